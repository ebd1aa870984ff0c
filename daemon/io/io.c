#include "io/io.h"

#include "io/kafka.h"
#include "io/redis.h"
#include "io/redis_tls.h"
#include "io/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INIT_TIMEOUT_MS 4000
#define SENT_LOOK_MS 2 /* while outputs are on their way, their acknowledgements are looked for so often */

struct tagd_io {
    struct tagd_port port;
    struct tagd_notes notes;
    struct tagd_io_stats stats;
    struct tagd_kafka kafka;
    struct tagd_redis *redis;
    size_t completed; /* operations submitted since the last poll: it must not wait */
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t tagd_io_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t tagd_io_mono_ms(void)
{
    return clock_us(CLOCK_BOOTTIME) / 1000; /* goes on while the machine sleeps: what was known before is old then */
}

int64_t tagd_io_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* ---- the port ---- */

/* What is read of Kafka says what is committed only if no earlier transaction of ours is still open. */
static bool settled(struct tagd_io *io, struct tagd_op *op)
{
    bool unreachable;
    if (tagd_kafka_producer_ready(&io->kafka, INIT_TIMEOUT_MS, &unreachable, &op->error))
        return true;
    op->status = TAGD_ABORTED;
    return false;
}

static void port_submit(void *self, struct tagd_op *op)
{
    struct tagd_io *io = self;
    op->status = TAGD_PENDING;
    op->error.text[0] = '\0';
    io->completed++;
    switch (op->kind) {
    case TAGD_OP_FENCE:
    case TAGD_OP_LOAD:
    case TAGD_OP_COMMIT: tagd_redis_submit(io->redis, op); return;
    case TAGD_OP_COMMITTED:
        if (settled(io, op))
            tagd_kafka_committed(&io->kafka, op);
        return;
    case TAGD_OP_TAIL:
        if (settled(io, op))
            tagd_kafka_tail(&io->kafka, op);
        return;
    case TAGD_OP_OUTPUTS:
        if (settled(io, op))
            tagd_kafka_outputs(&io->kafka, op);
        return;
    case TAGD_OP_END_OWNER: tagd_kafka_end_owner(&io->kafka, op); return;
    case TAGD_OP_START: tagd_kafka_start(&io->kafka, op); return;
    case TAGD_OP_PUBLISH: tagd_kafka_publish(&io->kafka, op); return;
    case TAGD_OP_SEND: tagd_kafka_send(&io->kafka, op); return;
    case TAGD_OP_OFFSETS: tagd_kafka_offsets(&io->kafka, op); return;
    case TAGD_OP_REFETCH: tagd_kafka_refetch(&io->kafka, op); return;
    }
    abort();
}

static void port_poll(void *self, int timeout_ms, size_t max_records,
                      void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct tagd_io *io = self;
    int wait_ms = io->completed > 0 ? 0 : timeout_ms;
    io->completed = 0;
    if (io->kafka.config->at_least_once) {
        tagd_kafka_sends_poll(&io->kafka);
        tagd_kafka_offsets_poll(&io->kafka);
        if (io->kafka.first_send != NULL && wait_ms > SENT_LOOK_MS)
            wait_ms = SENT_LOOK_MS;
    }
    tagd_kafka_poll(&io->kafka, wait_ms, max_records, input, to);
}

static void port_release(void *self, void *token)
{
    tagd_kafka_release(&((struct tagd_io *)self)->kafka, token);
}

static void port_headers(void *self, void *token, struct tagd_record *record)
{
    (void)self;
    tagd_kafka_headers(token, record);
}

static void port_revoked(void *self)
{
    tagd_kafka_revoked(&((struct tagd_io *)self)->kafka);
}

static size_t port_trial(void *self, const struct tagd_record *const *records, size_t n,
                         void (*run)(void *to, size_t i), void *to, struct tagd_error *killed)
{
    static const struct tagd_trial_limits limits = {TAGD_TRIAL_CALL_MS, TAGD_TRIAL_MEMORY_BYTES};
    struct tagd_io *io = self;
    (void)records;
    size_t through = tagd_io_trial(&limits, n, run, to, killed);
    if (through == n && killed->text[0] != '\0')
        tagd_kafka_note(&io->notes, TAGD_NOTE_WARN, "records are not tried before they are taken: %s", killed->text);
    return through;
}

static int64_t port_wall_ms(void *self)
{
    (void)self;
    return tagd_io_wall_ms();
}

static int64_t port_mono_ms(void *self)
{
    (void)self;
    return tagd_io_mono_ms();
}

static int64_t port_mono_us(void *self)
{
    (void)self;
    return tagd_io_mono_us();
}

/* ---- opening and closing ---- */

bool tagd_io_check_tls(const struct tagd_config *config, struct tagd_error *error)
{
    return tagd_redis_tls_check(config, error);
}

static bool begin_producer(struct tagd_io *io, int64_t deadline, enum tagd_io_result *result, struct tagd_error *error)
{
    for (;;) {
        int64_t left_ms = deadline - tagd_io_mono_ms();
        bool unreachable;
        if (tagd_kafka_producer_ready(&io->kafka,
                                      left_ms < 100               ? 100
                                      : left_ms < INIT_TIMEOUT_MS ? (int)left_ms
                                                                  : INIT_TIMEOUT_MS,
                                      &unreachable, error))
            return true;
        *result = unreachable ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
        if (!unreachable || tagd_io_mono_ms() >= deadline)
            return false;
    }
}

static void note_wait(const struct tagd_notes *notes, const char *why, int64_t deadline)
{
    tagd_kafka_note(notes, TAGD_NOTE_WARN, "%s; waiting for it up to %lld s", why,
                    (long long)(deadline - tagd_io_mono_ms() + 999) / 1000);
}

static bool begin_redis(struct tagd_io *io, int64_t deadline, enum tagd_io_result *result, struct tagd_error *error)
{
    for (bool noted = false;; noted = true) {
        *result = tagd_redis_connect(io->redis, error);
        if (*result == TAGD_IO_UNREACHABLE && !noted)
            note_wait(&io->notes, error->text, deadline);
        if (*result != TAGD_IO_UNREACHABLE || tagd_io_mono_ms() >= deadline)
            return *result == TAGD_IO_OK;
    }
}

static void no_poll(void *self, int timeout_ms, size_t max_records,
                    void (*input)(void *to, const struct tagd_input *in), void *to)
{
    (void)self, (void)timeout_ms, (void)max_records, (void)input, (void)to;
}

static struct tagd_io *io_new(const struct tagd_config *config, uint32_t partitions, const struct tagd_notes *notes)
{
    struct tagd_io *io = tagd_xcalloc(1, sizeof(*io));
    if (notes != NULL)
        io->notes = *notes;
    io->port = (struct tagd_port){.self = io,
                                  .submit = port_submit,
                                  .poll = port_poll,
                                  .release = port_release,
                                  .headers = port_headers,
                                  .revoked = port_revoked,
                                  .trial = port_trial,
                                  .wall_ms = port_wall_ms,
                                  .mono_ms = port_mono_ms,
                                  .mono_us = port_mono_us};
    io->redis = tagd_redis_new(config, partitions, &io->notes, &io->stats);
    io->kafka.config = config;
    io->kafka.notes = &io->notes;
    io->kafka.stats = &io->stats;
    io->kafka.partitions = partitions;
    io->kafka.n_topics = (uint32_t)config->n_sources;
    io->kafka.n_outputs = tagd_kafka_output_topics(config, io->kafka.outputs);
    return io;
}

struct tagd_io *tagd_io_store_new(const struct tagd_config *config, uint32_t partitions, int timeout_ms,
                                  const struct tagd_notes *notes, enum tagd_io_result *result, struct tagd_error *error)
{
    struct tagd_io *io = io_new(config, partitions, notes);
    io->port.poll = no_poll;
    if (begin_redis(io, tagd_io_mono_ms() + timeout_ms, result, error))
        return io;
    tagd_io_free(io);
    return NULL;
}

struct tagd_io *tagd_io_new(const struct tagd_config *config, unsigned worker, uint32_t partitions, int timeout_ms,
                            const struct tagd_notes *notes, enum tagd_io_result *result, struct tagd_error *error)
{
    struct tagd_io *io = io_new(config, partitions, notes);
    int64_t deadline = tagd_io_mono_ms() + timeout_ms;
    snprintf(io->kafka.owner, sizeof(io->kafka.owner), "%s-%s-%u", config->group, config->instance, worker);
    *result = TAGD_IO_CONFIG;
    if (begin_redis(io, deadline, result, error) && begin_producer(io, deadline, result, error)) {
        *result = TAGD_IO_CONFIG;
        if (tagd_kafka_consumer_open(&io->kafka, error)) {
            *result = TAGD_IO_OK;
            return io;
        }
    }
    tagd_io_free(io);
    return NULL;
}

void tagd_io_free(struct tagd_io *io)
{
    if (io == NULL)
        return;
    io->kafka.offsets_op = NULL; /* the worker, whose operations they are, is gone already */
    tagd_kafka_sends_forget(&io->kafka);
    tagd_kafka_ends_close(&io->kafka);
    tagd_kafka_reader_close(&io->kafka);
    tagd_kafka_consumer_close(&io->kafka);
    tagd_redis_free(io->redis);
    while (io->kafka.n_ended > 0)
        free((void *)(uintptr_t)io->kafka.ended[--io->kafka.n_ended].p);
    free(io->kafka.ended);
    free(io);
}

struct tagd_port *tagd_io_port(struct tagd_io *io)
{
    return &io->port;
}

const char *tagd_io_owner(const struct tagd_io *io)
{
    return io->kafka.owner;
}

const struct tagd_io_stats *tagd_io_stats(const struct tagd_io *io)
{
    return &io->stats;
}

int64_t tagd_io_end_offset(const struct tagd_io *io, uint32_t topic, uint32_t shard)
{
    int64_t low, high;
    if (topic >= io->kafka.n_topics || shard >= io->kafka.partitions || io->kafka.consumer == NULL ||
        rd_kafka_get_watermark_offsets(io->kafka.consumer, io->kafka.config->sources[topic].topic, (int32_t)shard, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return -1;
    return high < 0 ? -1 : high;
}

enum tagd_io_result tagd_io_peek(const struct tagd_config *config, uint32_t shard, struct tagd_str customer,
                                 struct tagd_arena *arena, struct tagd_io_peek *peek, struct tagd_error *error)
{
    struct tagd_redis *redis = tagd_redis_new(config, 0, NULL, NULL);
    enum tagd_io_result result = tagd_redis_peek(redis, shard, customer, arena, peek, error);
    tagd_redis_free(redis);
    return result;
}

enum tagd_io_result tagd_io_heads(const struct tagd_config *config, uint32_t partitions, int timeout_ms,
                                  const struct tagd_notes *notes, struct tagd_head *heads, struct tagd_error *error)
{
    struct tagd_redis *redis = tagd_redis_new(config, partitions, notes, NULL);
    int64_t deadline = tagd_io_mono_ms() + timeout_ms;
    enum tagd_io_result result = tagd_redis_heads(redis, heads, error);
    if (result == TAGD_IO_UNREACHABLE && timeout_ms > 0)
        note_wait(notes, error->text, deadline);
    while (result == TAGD_IO_UNREACHABLE && tagd_io_mono_ms() < deadline)
        result = tagd_redis_heads(redis, heads, error);
    tagd_redis_free(redis);
    return result;
}

void tagd_io_survey_redis(const struct tagd_config *config, struct tagd_survey_redis *survey)
{
    struct tagd_redis *redis = tagd_redis_new(config, 0, NULL, NULL);
    tagd_redis_survey(redis, survey);
    tagd_redis_free(redis);
}

/* ---- a population ---- */

struct tagd_io_reader {
    struct tagd_redis *redis;
};

struct tagd_io_reader *tagd_io_reader_new(const struct tagd_config *config)
{
    struct tagd_io_reader *reader = tagd_xcalloc(1, sizeof(*reader));
    reader->redis = tagd_redis_new(config, 0, NULL, NULL);
    return reader;
}

void tagd_io_reader_free(struct tagd_io_reader *reader)
{
    if (reader == NULL)
        return;
    tagd_redis_free(reader->redis);
    free(reader);
}

enum tagd_io_result tagd_io_read_server(struct tagd_io_reader *reader, struct tagd_io_server *server,
                                        struct tagd_error *error)
{
    return tagd_redis_server(reader->redis, server, error);
}

enum tagd_io_result tagd_io_board_read(struct tagd_io_reader *reader, enum tagd_io_board board,
                                       struct tagd_arena *arena, struct tagd_io_entry **entries, size_t *n,
                                       struct tagd_error *error)
{
    return tagd_redis_board_read(reader->redis, board, arena, entries, n, error);
}

enum tagd_io_result tagd_io_board_write(struct tagd_io_reader *reader, enum tagd_io_board board, struct tagd_str field,
                                        struct tagd_str value, struct tagd_error *error)
{
    return tagd_redis_board_write(reader->redis, board, field, value, error);
}

enum tagd_io_result tagd_io_read_shards(struct tagd_io_reader *reader, uint32_t *shards, struct tagd_error *error)
{
    return tagd_redis_read_shards(reader->redis, shards, error);
}

enum tagd_io_result tagd_io_read_counts(struct tagd_io_reader *reader, uint32_t shard, struct tagd_io_set *sets,
                                        size_t n_sets, struct tagd_arena *arena, struct tagd_io_shard *of,
                                        struct tagd_error *error)
{
    return tagd_redis_read_counts(reader->redis, shard, sets, n_sets, arena, of, error);
}

enum tagd_io_result tagd_io_read_members(struct tagd_io_reader *reader, uint32_t shard, struct tagd_str set,
                                         const struct tagd_str *members, size_t n, int64_t *counts,
                                         struct tagd_error *error)
{
    return tagd_redis_read_members(reader->redis, shard, set, members, n, counts, error);
}

enum tagd_io_result tagd_io_read_customers(struct tagd_io_reader *reader, uint32_t shard, size_t from, size_t max,
                                           struct tagd_arena *arena, struct tagd_load_item **items, size_t *n,
                                           struct tagd_error *error)
{
    return tagd_redis_read_customers(reader->redis, shard, from, max, arena, items, n, error);
}

enum tagd_io_result tagd_io_scan_customers(struct tagd_io_reader *reader, uint32_t shard, uint64_t *cursor,
                                           size_t about, struct tagd_arena *arena, struct tagd_load_item **items,
                                           size_t *n, struct tagd_error *error)
{
    return tagd_redis_scan_customers(reader->redis, shard, cursor, about, arena, items, n, error);
}
