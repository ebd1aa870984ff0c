/* The group's population as Redis has it, read by whoever asks: any process answers for all shards. */
#ifndef TAGD_COMMAND_CENSUS_H
#define TAGD_COMMAND_CENSUS_H

#include "config/config.h"
#include "http/http.h"
#include "io/io.h"
#include "population/population.h"

/* What a query asks for, by name and value, as HTTP and the command line give it: dimension, breakdown, days, months, tags.
 * False:
 * *error says what is wrong. */
struct tagd_population_query tagd_census_query(void);
bool tagd_census_argument(const struct tagd_catalog *catalog, const char *name, const char *value,
                          struct tagd_population_query *query, struct tagd_error *error);
/* Whether the shard is counted by this catalog: its meaning, and its breakdowns. */
bool tagd_census_counts(const struct tagd_catalog *catalog, const struct tagd_io_shard *of);
/* Adds up the shards (only: a flag each, NULL: all). A shard that isn't counted by this catalog is left out, and counted
 * as such. info->group is the caller's. */
enum tagd_io_result tagd_census_gather(struct tagd_io_reader *reader, const struct tagd_catalog *catalog,
                                       const struct tagd_population_query *query, const bool *only,
                                       struct tagd_counts *sums, struct tagd_population_info *info,
                                       struct tagd_error *error);

/* ---- beside the daemon ---- */

/* A thread that reads the population of this process's shards every few seconds. `ours` flags them (of `shards`); it is
 * called from that thread. */
struct tagd_census;
struct tagd_census *tagd_census_new(const struct tagd_config *config, const struct tagd_catalog *catalog,
                                    uint32_t shards, void (*ours)(void *to, bool *flags), void *to);
void tagd_census_free(struct tagd_census *census); /* NULL is fine */
/* The answer to GET /v1/population, read now; returns the status. Any thread. */
int tagd_census_answer(struct tagd_census *census, const struct tagd_http_arguments *arguments, struct tagd_buf *body);
/* What the thread read last, as metrics; nothing, if that is too long ago. flows: of each worker. Any thread. */
void tagd_census_metrics(struct tagd_census *census, const struct tagd_flow *const *flows, size_t n_flows,
                         struct tagd_buf *out);

#endif
