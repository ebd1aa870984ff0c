/* The reader: a consumer that belongs to no group, for a look at single records: the outputs or their tail, a source
 * record again, where a partition begins and ends. Made when first needed. */
#include "io/kafka.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#define ASK_TIMEOUT_MS 4000
#define READ_TIMEOUT_MS 10000 /* of one chunk */
#define SETTLE_TIMEOUT_MS 3000
#define SETTLE_PAUSE_MS 20
#define CHUNK_FIRST 64 /* offsets; each further chunk is CHUNK_GROWTH times as long */
#define CHUNK_GROWTH 8
#define LOOKED_MAX 100000            /* records of one OUTPUTS, of whatever group: the worker stands still meanwhile */
#define TAKEN_MAX (16 * 1024 * 1024) /* bytes of keys and values, and one record more */
#define AHEAD                                                                                                          \
    "1000" /* records fetched before they are wanted: a range is short, and what is beyond it is thrown away */
#define CHUNK_REPEATS 512 /* the first one where repeats may stand last: with the second, 4608 offsets are looked at */

rd_kafka_t *tagd_kafka_reader(struct tagd_kafka *kafka, struct tagd_error *error)
{
    if (kafka->reader != NULL)
        return kafka->reader;
    rd_kafka_conf_t *conf = tagd_kafka_conf(kafka, TAGD_KAFKA_CONSUMER, error);
    if (conf == NULL)
        return NULL;
    tagd_kafka_set(conf, "enable.auto.commit", "false");
    tagd_kafka_set(conf, "enable.partition.eof", "true");
    tagd_kafka_set(conf, "isolation.level", "read_committed");
    tagd_kafka_set(conf, "auto.offset.reset", "error");
    tagd_kafka_set(conf, "queued.min.messages", AHEAD);
    tagd_kafka_set(conf, "fetch.wait.max.ms",
                   "5"); /* a range ends with the partition's end, which is told only after that */
    kafka->reader = tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
    return kafka->reader;
}

void tagd_kafka_reader_close(struct tagd_kafka *kafka)
{
    if (kafka->reader != NULL)
        rd_kafka_destroy(kafka->reader);
    if (kafka->written != NULL)
        rd_kafka_destroy(kafka->written);
    kafka->reader = kafka->written = NULL;
}

static bool ask_by(rd_kafka_t *rk, const char *topic, uint32_t shard, int64_t which, int64_t *offset,
                   struct tagd_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, (int32_t)shard);
    rd_kafka_resp_err_t err = tagd_kafka_list_offsets(rk, list, which, ASK_TIMEOUT_MS);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = list->elems[0].err;
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ||
           tagd_fail(error, "Kafka doesn't say where topic \"%s\" partition %u begins and ends: %s%s", topic, shard,
                     rd_kafka_err2str(err), tagd_kafka_remedy(err));
}

/* Digits and the dot behind them, which is passed. */
static bool read_number(struct tagd_str *rest, uint64_t *number)
{
    size_t n = 0;
    for (*number = 0; n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9'; n++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(rest->p[n] - '0'), number))
            return false;
    if (n == 0 || n == rest->n || rest->p[n] != '.' || (rest->p[0] == '0' && n > 1))
        return false;
    *rest = (struct tagd_str){rest->p + n + 1, rest->n - n - 1};
    return true;
}

bool tagd_kafka_position_read(struct tagd_str text, struct tagd_position *at)
{
    at->found = read_number(&text, &at->fence) && read_number(&text, &at->batch) && text.n > 0;
    for (size_t i = 0; i < text.n; i++)
        at->found = at->found && text.p[i] >= '0' && text.p[i] <= '9';
    return at->found;
}

static bool ask(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t which, int64_t *offset,
                struct tagd_error *error)
{
    return ask_by(kafka->reader, topic, shard, which, offset, error);
}

bool tagd_kafka_written_end(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t *end,
                            struct tagd_error *error)
{
    if (kafka->written == NULL) {
        rd_kafka_conf_t *conf = tagd_kafka_conf(kafka, TAGD_KAFKA_CONSUMER, error);
        if (conf == NULL)
            return false;
        tagd_kafka_set(conf, "isolation.level", "read_uncommitted");
        kafka->written = tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
        if (kafka->written == NULL)
            return false;
    }
    return ask_by(kafka->written, topic, shard, -1, end, error);
}

/* The record's batch, if it is of our group. */
static bool batch_of(const struct tagd_kafka *kafka, const rd_kafka_message_t *message, struct tagd_position *at)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t n;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "tagd_group", &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR || value == NULL ||
        !tagd_str_eq((struct tagd_str){value, n}, tagd_str_of(kafka->config->group)) ||
        rd_kafka_header_get_last(headers, "tagd_batch", &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR || value == NULL)
        return false;
    return tagd_kafka_position_read((struct tagd_str){value, n}, at);
}

bool tagd_kafka_read_range(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t from, int64_t end,
                           bool (*take)(void *to, const rd_kafka_message_t *message), void *to, int64_t *next,
                           struct tagd_error *error)
{
    int64_t deadline = tagd_io_mono_ms() + READ_TIMEOUT_MS, at = from;
    bool going = true, ok = true;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(kafka->reader, topic, NULL);
    if (rd_kafka_consume_start(rkt, (int32_t)shard, from) != 0) {
        tagd_fail(error, "can't read topic \"%s\" partition %u: %s", topic, shard,
                  rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_topic_destroy(rkt);
        return false;
    }
    while (going && ok) {
        rd_kafka_message_t *message = rd_kafka_consume(rkt, (int32_t)shard, 200);
        if (message == NULL) {
            if (tagd_io_mono_ms() > deadline)
                ok = tagd_fail(error, "can't read topic \"%s\" partition %u: no answer in time", topic, shard);
            continue;
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            going = false;
            at = message->offset;
        } else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                   message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
            going = false; /* gone meanwhile */
        } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            ok = tagd_fail(error, "can't read topic \"%s\" partition %u: %s%s", topic, shard,
                           rd_kafka_message_errstr(message), tagd_kafka_remedy(message->err));
        } else {
            deadline = tagd_io_mono_ms() + READ_TIMEOUT_MS;
            at = message->offset < end ? message->offset + 1 : end;
            going = message->offset < end && take(to, message) && at < end;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(rkt, (int32_t)shard);
    rd_kafka_topic_destroy(rkt);
    if (next != NULL)
        *next = at;
    return ok;
}

/* ---- TAIL ---- */

struct tail {
    const struct tagd_kafka *kafka;
    struct tagd_position last;
    int64_t low; /* the partition begins there */
};

static bool take_tail(void *to, const rd_kafka_message_t *message)
{
    struct tail *tail = to;
    struct tagd_position read;
    if (batch_of(tail->kafka, message, &read) && tagd_position_later(read, tail->last))
        tail->last = read; /* what was sent again stands behind what is later */
    return true;
}

/* Repeats that a frozen process had in its queue may stand behind later batches of its successor: then one more chunk is
 * read, and another as long as later ones are found. */
static bool tail_of(struct tagd_kafka *kafka, const char *topic, uint32_t shard, bool repeats, struct tail *tail,
                    struct tagd_error *error)
{
    int64_t low, end, length = repeats ? CHUNK_REPEATS : CHUNK_FIRST;
    bool settled = false;
    if (!ask(kafka, topic, shard, -2, &low, error) || !ask(kafka, topic, shard, -1, &end, error))
        return false;
    tail->low = low;
    while (!settled && end > low) {
        int64_t from = end - low > length ? end - length : low;
        struct tagd_position before = tail->last;
        if (!tagd_kafka_read_range(kafka, topic, shard, from, end, take_tail, tail, NULL, error))
            return false;
        settled = tail->last.found && (!repeats || !tagd_position_later(tail->last, before));
        end = from;
        length *= CHUNK_GROWTH;
    }
    return true;
}

void tagd_kafka_tail(struct tagd_kafka *kafka, struct tagd_op *op)
{
    op->u.tail.last = (struct tagd_position){0};
    op->status = TAGD_ABORTED;
    if (tagd_kafka_reader(kafka, &op->error) == NULL)
        return;
    memset(op->u.tail.emptied, 0, sizeof(op->u.tail.emptied));
    for (size_t i = 0; i < kafka->n_outputs; i++) {
        struct tail tail = {.kafka = kafka};
        if (!tail_of(kafka, kafka->outputs[i], op->shard, op->u.tail.repeats, &tail, &op->error))
            return;
        op->u.tail.emptied[i] = !tail.last.found && tail.low > 0;
        if (tagd_position_later(tail.last, op->u.tail.last))
            op->u.tail.last = tail.last;
    }
    op->status = TAGD_DONE;
}

/* ---- a record, copied ---- */

static void copy_headers(const rd_kafka_message_t *message, struct tagd_arena *arena, struct tagd_record *record)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    size_t n = rd_kafka_header_cnt(headers);
    struct tagd_header *copies = tagd_arena_zalloc(arena, (n + 1) * sizeof(*copies));
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        copies[i].name = tagd_arena_copy(arena, name, strlen(name));
        if (value != NULL)
            copies[i].value = tagd_arena_copy(arena, value, size);
        record->n_headers = i + 1;
    }
    record->headers = copies;
}

void tagd_kafka_copy_record(const rd_kafka_message_t *message, struct tagd_arena *arena, struct tagd_record *record)
{
    rd_kafka_timestamp_type_t stamp;
    *record = (struct tagd_record){.has_key = message->key != NULL,
                                   .has_value = message->payload != NULL,
                                   .partition = message->partition,
                                   .offset = message->offset};
    record->key = tagd_arena_copy(arena, message->key == NULL ? "" : message->key, message->key_len);
    record->value = tagd_arena_copy(arena, message->payload == NULL ? "" : message->payload, message->len);
    record->timestamp_ms = rd_kafka_message_timestamp(message, &stamp);
    record->log_append_time = stamp == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    copy_headers(message, arena, record);
}

/* ---- OUTPUTS ---- */

struct place {
    const struct tagd_kafka *kafka;
    uint64_t fence, batch;
    int64_t after; /* the offset after the last earlier record; -1: none was seen */
};

static bool take_place(void *to, const rd_kafka_message_t *message)
{
    struct place *place = to;
    struct tagd_position at;
    if (batch_of(place->kafka, message, &at) && at.batch < place->batch && at.fence <= place->fence)
        place->after = message->offset + 1;
    return true;
}

/* Numbers never fall along the partition, so what is before an earlier record is earlier too. */
static bool find_place(struct tagd_kafka *kafka, struct tagd_op *op, const char *topic, int64_t low, int64_t high)
{
    struct place place = {kafka, op->u.outputs.fence, op->u.outputs.batch, -1};
    int64_t end = op->u.outputs.batch > 1 ? high : low, length = CHUNK_FIRST; /* batches count from 1 */
    while (place.after < 0 && end > low) {
        int64_t from = end - low > length ? end - length : low;
        if (!tagd_kafka_read_range(kafka, topic, op->shard, from, end, take_place, &place, NULL, &op->error))
            return false;
        end = from;
        length *= CHUNK_GROWTH;
    }
    op->u.outputs.began = place.after < 0 ? low : place.after;
    op->u.outputs.whole = place.after >= 0 || low == 0;
    return true;
}

struct taking {
    const struct tagd_kafka *kafka;
    struct tagd_op *op;
    size_t looked, bytes;
    bool full; /* enough for one operation: the next one goes on */
};

static bool take_output(void *to, const rd_kafka_message_t *message)
{
    struct taking *taking = to;
    struct tagd_op *op = taking->op;
    struct tagd_published *output = &op->u.outputs.outputs[op->u.outputs.n_outputs];
    if (batch_of(taking->kafka, message, &output->at)) {
        tagd_kafka_copy_record(message, op->arena, &output->record);
        op->u.outputs.n_outputs++;
        taking->bytes += message->key_len + message->len;
    }
    taking->full =
        op->u.outputs.n_outputs == op->u.outputs.max || ++taking->looked == LOOKED_MAX || taking->bytes >= TAKEN_MAX;
    return !taking->full;
}

static bool read_outputs(struct tagd_kafka *kafka, struct tagd_op *op, const char *topic, int64_t high)
{
    struct taking taking = {.kafka = kafka, .op = op};
    assert(op->u.outputs.max > 0);
    op->u.outputs.outputs = tagd_arena_zalloc(op->arena, op->u.outputs.max * sizeof(*op->u.outputs.outputs));
    op->u.outputs.next = op->u.outputs.began;
    if (op->u.outputs.began < high && !tagd_kafka_read_range(kafka, topic, op->shard, op->u.outputs.began, high,
                                                             take_output, &taking, &op->u.outputs.next, &op->error))
        return false;
    op->u.outputs.end = op->u.outputs.next >= high;
    return op->u.outputs.end || taking.full ||
           tagd_fail(&op->error, "topic \"%s\" partition %u: records were deleted while they were read", topic,
                     op->shard);
}

/* The end under read-committed, once all that is written by now is before it: an open transaction, such as a replay of
 * dead letters that was killed, hides what others have committed behind its first record. */
static bool settled_end(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t *high,
                        struct tagd_error *error)
{
    int64_t written, deadline = tagd_io_mono_ms() + SETTLE_TIMEOUT_MS;
    if (!tagd_kafka_written_end(kafka, topic, shard, &written, error))
        return false;
    for (;;) {
        if (!ask(kafka, topic, shard, -1, high, error))
            return false;
        if (*high >= written)
            return true;
        if (tagd_io_mono_ms() >= deadline)
            return tagd_fail(error,
                             "a transaction is open on topic \"%s\" partition %u, perhaps of a replay of dead letters "
                             "that was killed; its end is waited for",
                             topic, shard);
        nanosleep(&(struct timespec){0, SETTLE_PAUSE_MS * 1000000}, NULL);
    }
}

void tagd_kafka_outputs(struct tagd_kafka *kafka, struct tagd_op *op)
{
    const char *topic = kafka->outputs[op->u.outputs.kind];
    int64_t low, high, from = op->u.outputs.from;
    op->u.outputs.n_outputs = 0;
    op->status = TAGD_ABORTED;
    if (tagd_kafka_reader(kafka, &op->error) == NULL || !ask(kafka, topic, op->shard, -2, &low, &op->error) ||
        !settled_end(kafka, topic, op->shard, &high, &op->error))
        return;
    op->u.outputs.began = from < low ? low : from;
    op->u.outputs.whole = from >= low;
    if (from < 0 && !find_place(kafka, op, topic, low, high))
        return;
    if (read_outputs(kafka, op, topic, high))
        op->status = TAGD_DONE;
}

bool tagd_kafka_outputs_end(struct tagd_kafka *kafka, uint32_t shard, int64_t *end, struct tagd_error *error)
{
    if (tagd_kafka_reader(kafka, error) == NULL)
        return false;
    memset(end, 0, TAGD_OUTPUT_KINDS * sizeof(*end));
    for (size_t i = 0; i < kafka->n_outputs; i++)
        if (!ask(kafka, kafka->outputs[i], shard, -1, &end[i], error))
            return false;
    return true;
}

/* ---- REFETCH ---- */

static bool take_record(void *to, const rd_kafka_message_t *message)
{
    struct tagd_op *op = to;
    if (message->offset != op->u.refetch.offset)
        return false;
    tagd_kafka_copy_record(message, op->arena, &op->u.refetch.record);
    op->u.refetch.record.topic = op->u.refetch.topic;
    op->status = TAGD_DONE;
    return false;
}

void tagd_kafka_refetch(struct tagd_kafka *kafka, struct tagd_op *op)
{
    const char *topic = kafka->config->sources[op->u.refetch.topic].topic;
    int64_t low, high;
    op->status = TAGD_ABORTED;
    if (tagd_kafka_reader(kafka, &op->error) == NULL || !ask(kafka, topic, op->shard, -2, &low, &op->error) ||
        !ask(kafka, topic, op->shard, -1, &high, &op->error))
        return;
    if (op->u.refetch.offset >= low && op->u.refetch.offset < high &&
        !tagd_kafka_read_range(kafka, topic, op->shard, op->u.refetch.offset, op->u.refetch.offset + 1, take_record, op,
                               NULL, &op->error))
        return;
    if (op->status == TAGD_DONE)
        return;
    op->status = TAGD_GONE;
    tagd_fail(&op->error, "topic \"%s\" partition %u no longer has offset %lld", topic, op->shard,
              (long long)op->u.refetch.offset);
}
