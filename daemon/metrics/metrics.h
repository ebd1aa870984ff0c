/* metrics: the workers' counters as Prometheus text. Counters are read by relaxed atomic loads while the workers run;
 * of the shards it is given a copy. Only reads. */
#ifndef TAGD_METRICS_H
#define TAGD_METRICS_H

#include "io/io.h"
#include "population/population.h"
#include "tagd/worker.h"

struct tagd_metrics_shard {
    struct tagd_shard_stats stats;
    int64_t lag[TAGD_TOPICS_MAX];     /* records by topic; -1: not known */
    int64_t since_ms;                 /* monotonic: it has the status of its stats since then */
    int64_t open_ms[TAGD_TOPICS_MAX]; /* for how long a transaction of its producer has been open, at least; 0: none */
};
/* Of all topics; -1: of one it isn't known. */
int64_t tagd_metrics_lag_records(const struct tagd_metrics_shard *shard, size_t n_topics);

struct tagd_metrics_worker {
    const struct tagd_worker_stats *stats;
    const struct tagd_io_stats *io;
    const struct tagd_metrics_shard *shards;
    size_t n_shards;
    int64_t step_ms; /* since its last step began */
};

struct tagd_metrics_info {
    const char *version, *group, *catalog, *catalog_hash;
    const char *const *topics;
    size_t n_topics;
    bool time_events;
    int64_t grace_ms;
    int64_t started_ms;       /* wall clock */
    int64_t wall_ms, mono_ms; /* now */
};

void tagd_metrics_write(const struct tagd_metrics_info *info, const struct tagd_metrics_worker *workers,
                        size_t n_workers, struct tagd_buf *out);

/* The two lines before a family. */
void tagd_metrics_head(struct tagd_buf *out, const char *name, const char *help, const char *type);
/* A label's value: backslash, quote and line feed are escaped. */
void tagd_metrics_label(struct tagd_buf *out, struct tagd_str value);

/* Of each shard: status, lag, offsets, timers (shards.c). */
void tagd_metrics_shards(const struct tagd_metrics_info *info, const struct tagd_metrics_worker *workers, size_t n,
                         struct tagd_buf *out);
/* How long things take (times.c). */
void tagd_metrics_times(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out);
/* The process, by the names that Prometheus's own clients use (process.c). */
void tagd_metrics_process(const struct tagd_metrics_info *info, struct tagd_buf *out);

/* ---- the population (population.c) ---- */

#define TAGD_METRICS_TAGS_MAX 100 /* of a value's tags the most frequent are exported */
#define TAGD_METRICS_MONTHS 12    /* of goals */
/* sums: of this process's shards up to as_of_ms; NULL: nobody knows them. flows: of each worker. */
void tagd_metrics_population(const struct tagd_catalog *catalog, const struct tagd_counts *sums, int64_t as_of_ms,
                             const struct tagd_flow *const *flows, size_t n_flows, struct tagd_buf *out);

/* Counters that only some faults move: their names and sums, for the log. */
#define TAGD_METRICS_WATCHED 24
struct tagd_metrics_watched {
    const char *name; /* NULL: no more */
    bool warn;
    uint64_t value;
};
void tagd_metrics_watch(const struct tagd_metrics_worker *workers, size_t n_workers,
                        struct tagd_metrics_watched out[TAGD_METRICS_WATCHED]);

#endif
