/* The reader: a consumer that belongs to no group, for a look at single records: the tail of the outputs, a source
 * record again, where a partition begins and ends. Made when first needed. */
#include "io/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASK_TIMEOUT_MS 4000
#define READ_TIMEOUT_MS 10000 /* of one chunk */
#define CHUNK_FIRST 64        /* offsets; each further chunk is CHUNK_GROWTH times as long */
#define CHUNK_GROWTH 8
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
    tagd_kafka_set(conf, "fetch.wait.max.ms",
                   "5"); /* a range ends with the partition's end, which is told only after that */
    kafka->reader = tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
    return kafka->reader;
}

void tagd_kafka_reader_close(struct tagd_kafka *kafka)
{
    if (kafka->reader != NULL)
        rd_kafka_destroy(kafka->reader);
    kafka->reader = NULL;
}

static bool ask(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t which, int64_t *offset,
                struct tagd_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, (int32_t)shard);
    rd_kafka_resp_err_t err = tagd_kafka_list_offsets(kafka->reader, list, which, ASK_TIMEOUT_MS);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = list->elems[0].err;
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ||
           tagd_fail(error, "Kafka doesn't say where topic \"%s\" partition %u begins and ends: %s", topic, shard,
                     rd_kafka_err2str(err));
}

/* The record's batch, if it is of our group. */
static bool batch_of(const struct tagd_kafka *kafka, const rd_kafka_message_t *message, uint64_t *fence,
                     uint64_t *batch)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t n;
    char text[96];
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "tagd_group", &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR || value == NULL ||
        !tagd_str_eq((struct tagd_str){value, n}, tagd_str_of(kafka->config->group)) ||
        rd_kafka_header_get_last(headers, "tagd_batch", &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR || value == NULL ||
        n >= sizeof(text))
        return false;
    memcpy(text, value, n);
    text[n] = '\0';
    return sscanf(text, "%" SCNu64 ".%" SCNu64 ".", fence, batch) == 2;
}

/* Reads [from, end) of a partition, or up to its end, as long as take returns true. */
static bool read_range(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t from, int64_t end,
                       bool (*take)(void *to, const rd_kafka_message_t *message), void *to, struct tagd_error *error)
{
    int64_t deadline = tagd_io_mono_ms() + READ_TIMEOUT_MS;
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
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            going = false;
        else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                 message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
            going = false; /* gone meanwhile */
        else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            ok = tagd_fail(error, "can't read topic \"%s\" partition %u: %s", topic, shard,
                           rd_kafka_message_errstr(message));
        else if (message->offset >= end || !take(to, message) || message->offset == end - 1)
            going = false;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            deadline = tagd_io_mono_ms() + READ_TIMEOUT_MS;
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(rkt, (int32_t)shard);
    rd_kafka_topic_destroy(rkt);
    return ok;
}

/* ---- TAIL ---- */

struct tail {
    const struct tagd_kafka *kafka;
    struct tagd_position last;
};

static bool take_tail(void *to, const rd_kafka_message_t *message)
{
    struct tail *tail = to;
    struct tagd_position read = {.found = true};
    if (batch_of(tail->kafka, message, &read.fence, &read.batch) && tagd_position_later(read, tail->last))
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
    while (!settled && end > low) {
        int64_t from = end - low > length ? end - length : low;
        struct tagd_position before = tail->last;
        if (!read_range(kafka, topic, shard, from, end, take_tail, tail, error))
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
    for (size_t i = 0; i < TAGD_OUTPUTS_MAX; i++) {
        struct tail tail = {.kafka = kafka};
        if (!tail_of(kafka, kafka->outputs[i], op->shard, op->u.tail.repeats, &tail, &op->error))
            return;
        if (tagd_position_later(tail.last, op->u.tail.last))
            op->u.tail.last = tail.last;
    }
    op->status = TAGD_DONE;
}

/* ---- REFETCH ---- */

static bool take_record(void *to, const rd_kafka_message_t *message)
{
    struct tagd_op *op = to;
    struct tagd_record *record = &op->u.refetch.record;
    rd_kafka_timestamp_type_t stamp;
    rd_kafka_headers_t *headers;
    if (message->offset != op->u.refetch.offset)
        return false;
    *record = (struct tagd_record){.has_key = message->key != NULL, .has_value = message->payload != NULL};
    record->key = tagd_arena_copy(op->arena, message->key == NULL ? "" : message->key, message->key_len);
    record->value = tagd_arena_copy(op->arena, message->payload == NULL ? "" : message->payload, message->len);
    record->timestamp_ms = rd_kafka_message_timestamp(message, &stamp);
    record->log_append_time = stamp == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    record->topic = op->u.refetch.topic;
    record->partition = message->partition;
    record->offset = message->offset;
    op->status = TAGD_DONE;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    size_t n = rd_kafka_header_cnt(headers);
    struct tagd_header *copies = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(*copies));
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        copies[i].name = tagd_arena_copy(op->arena, name, strlen(name));
        if (value != NULL)
            copies[i].value = tagd_arena_copy(op->arena, value, size);
        record->n_headers = i + 1;
    }
    record->headers = copies;
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
        !read_range(kafka, topic, op->shard, op->u.refetch.offset, op->u.refetch.offset + 1, take_record, op,
                    &op->error))
        return;
    if (op->status == TAGD_DONE)
        return;
    op->status = TAGD_GONE;
    tagd_fail(&op->error, "topic \"%s\" partition %u no longer has offset %lld", topic, op->shard,
              (long long)op->u.refetch.offset);
}
