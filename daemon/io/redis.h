/* The store: one Redis connection of one worker. Keys, with TAG = {<group>:<shard>}, so that a shard's are in one hash slot:
 *
 *   <prefix>TAG:fence         the fence last taken, decimal
 *   <prefix>TAG:head          struct tagd_head as one line of text (redis_head.c)
 *   <prefix>TAG:profiles      hash: customer -> profile
 *   <prefix>TAG:timers        sorted set: customer by next due instant in ms, +inf if nothing is due
 *   <prefix>TAG:outbox        hash: batch -> "<fence> <prev_fence>\n" and the shard's bytes
 *   <prefix>TAG:told          hash, during a repair: customer -> what the outputs tell, as the shard wrote it
 *   <prefix>TAG:pop           the population's form: what is counted
 *   <prefix>TAG:pop:<set>     sorted set: how many customers, by tag; see population/population.h
 *   <prefix>tags:<customer>   hash for readers
 *   <prefix>group             the group that owns the prefix
 *   <prefix>shards            the number of shards the state was made with
 *   <prefix>sources           the source topics it was made from, in order, between spaces
 *   <prefix>brakes            hash: what is held, and what was released; command/brakes.h says what it holds
 *   <prefix>heard             hash: topic -> the time of the latest event that was read of it, ms
 *
 * A fence counts for the connection it was taken on: after a reconnect, operations of shards fenced before are
 * TAGD_UNKNOWN. */
#ifndef TAGD_IO_REDIS_H
#define TAGD_IO_REDIS_H

#include "io/io.h"
#include "shard/repair.h"
#include "io/survey.h"

struct tagd_redis;

struct tagd_redis *tagd_redis_new(const struct tagd_config *config, uint32_t partitions, const struct tagd_notes *notes,
                                  struct tagd_io_stats *stats);
void tagd_redis_free(struct tagd_redis *redis);
/* Connects and checks the server if there is no connection. */
enum tagd_io_result tagd_redis_connect(struct tagd_redis *redis, struct tagd_error *error);
/* FENCE, LOAD, COMMIT. */
void tagd_redis_submit(struct tagd_redis *redis, struct tagd_op *op);
enum tagd_io_result tagd_redis_peek(struct tagd_redis *redis, uint32_t shard, struct tagd_str customer,
                                    struct tagd_arena *arena, struct tagd_io_peek *peek, struct tagd_error *error);

/* See io.h: tagd_io_read_... */
enum tagd_io_result tagd_redis_read_shards(struct tagd_redis *redis, uint32_t *shards, struct tagd_error *error);
enum tagd_io_result tagd_redis_read_counts(struct tagd_redis *redis, uint32_t shard, struct tagd_io_set *sets,
                                           size_t n_sets, struct tagd_arena *arena, struct tagd_io_shard *of,
                                           struct tagd_error *error);
enum tagd_io_result tagd_redis_read_members(struct tagd_redis *redis, uint32_t shard, struct tagd_str set,
                                            const struct tagd_str *members, size_t n, int64_t *counts,
                                            struct tagd_error *error);
enum tagd_io_result tagd_redis_scan_customers(struct tagd_redis *redis, uint32_t shard, uint64_t *cursor, size_t about,
                                              struct tagd_arena *arena, struct tagd_load_item **items, size_t *n,
                                              struct tagd_error *error);
enum tagd_io_result tagd_redis_read_customers(struct tagd_redis *redis, uint32_t shard, size_t from, size_t max,
                                              struct tagd_arena *arena, struct tagd_load_item **items, size_t *n,
                                              struct tagd_error *error);

/* See io.h. */
enum tagd_io_result tagd_redis_board_read(struct tagd_redis *redis, enum tagd_io_board board, struct tagd_arena *arena,
                                          struct tagd_io_entry **entries, size_t *n, struct tagd_error *error);
enum tagd_io_result tagd_redis_board_write(struct tagd_redis *redis, enum tagd_io_board board, struct tagd_str field,
                                           struct tagd_str value, struct tagd_error *error);
enum tagd_io_result tagd_redis_server(struct tagd_redis *redis, struct tagd_io_server *server,
                                      struct tagd_error *error);

/* See survey.h: of a connection that is made for it and closed again. */
void tagd_redis_survey(struct tagd_redis *redis, struct tagd_survey_redis *survey);

/* The heads of all shards as they are, `partitions` of them. Takes no fence, writes nothing. */
enum tagd_io_result tagd_redis_heads(struct tagd_redis *redis, struct tagd_head *heads, struct tagd_error *error);

/* The head's text: "3 fence batch prev_fence partitions watermark latest hash owner n_topics offset...", "-" for empty;
 * then " at_least_once" if that is how it is; then, once they were looked at, " outputs end...", as many as kinds of
 * outputs; then, during a repair, " repair phase outputs_from... to_watermark to_offset...", as many as kinds and as
 * topics; then, with a baseline, " import identity finished before lines events duplicates ignored customers". Earlier
 * versions are refused: they kept profiles elsewhere. */
void tagd_redis_head_write(struct tagd_buf *out, const struct tagd_head *head);
bool tagd_redis_head_read(struct tagd_str text, struct tagd_head *head);
/* Why a text can't be read as a head: *error says of which format it is, and what to do. */
void tagd_redis_head_unread(struct tagd_str text, struct tagd_error *error);
#define TAGD_OTHER_VERSION "run the version that wrote it, or " TAGD_NEW_GROUP

#endif
