/* Dead letters for operators. The reader is read-committed; an end that open transactions hold back is waited for, so that
 * nothing that was committed before is missed: a marker that isn't seen is a record replayed twice. */
#include "io/kafka.h"
#include "io/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INIT_TIMEOUT_MS 4000
#define AGAIN_PAUSE_MS 200
#define STUCK_MAX_MS 60000 /* an open transaction ends after its timeout; 10 s are tagd's */

struct tagd_io_letters {
    struct tagd_config config; /* a copy: replays are transactions, whatever "delivery" is */
    struct tagd_io_stats stats;
    struct tagd_kafka kafka;
    struct tagd_arena arena;
};

struct tagd_io_letters *tagd_io_letters_new(const struct tagd_config *config, struct tagd_error *error)
{
    struct tagd_io_letters *letters = tagd_xcalloc(1, sizeof(*letters));
    struct tagd_kafka *kafka = &letters->kafka;
    letters->config = *config;
    letters->config.at_least_once = false;
    kafka->config = &letters->config;
    kafka->stats = &letters->stats;
    kafka->n_topics = (uint32_t)config->n_sources;
    kafka->n_outputs = tagd_kafka_output_topics(config, kafka->outputs);
    kafka->once = true;
    snprintf(kafka->owner, sizeof(kafka->owner), "%s-replay", config->group);
    if (tagd_kafka_reader(kafka, error) != NULL)
        return letters;
    tagd_io_letters_free(letters);
    return NULL;
}

void tagd_io_letters_free(struct tagd_io_letters *letters)
{
    if (letters == NULL)
        return;
    tagd_kafka_producer_close(&letters->kafka);
    tagd_kafka_reader_close(&letters->kafka);
    tagd_arena_free(&letters->arena);
    free(letters);
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, AGAIN_PAUSE_MS * 1000000}, NULL);
}

/* The offset at `which`, as tagd_kafka_list_offsets takes it. */
static enum tagd_io_result ask(rd_kafka_t *rk, const char *topic, uint32_t partition, int64_t which, int64_t *offset,
                               struct tagd_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, (int32_t)partition);
    rd_kafka_resp_err_t err = tagd_kafka_list_offsets_patiently(rk, list, which);
    *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return TAGD_IO_OK;
    tagd_fail(error, "Kafka doesn't say where topic \"%s\" partition %u begins and ends: %s", topic, partition,
              rd_kafka_err2str(err));
    return err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? TAGD_IO_CONFIG : TAGD_IO_UNREACHABLE;
}

enum tagd_io_result tagd_io_letters_bounds(struct tagd_io_letters *letters, uint32_t partition, int64_t since_ms,
                                           int64_t *from, int64_t *end, struct tagd_error *error)
{
    const char *topic = letters->config.dead_letter;
    enum tagd_io_result result =
        ask(letters->kafka.reader, topic, partition, since_ms < 0 ? -2 : since_ms, from, error);
    if (result == TAGD_IO_OK && !tagd_kafka_written_end(&letters->kafka, topic, partition, end, error))
        result = TAGD_IO_UNREACHABLE;
    if (result == TAGD_IO_OK && *from < 0)
        *from = *end;
    return result;
}

struct taking {
    struct tagd_io_letters *letters;
    bool (*take)(void *to, const struct tagd_record *record);
    void *to;
    bool stopped;
};

static bool take_message(void *to, const rd_kafka_message_t *message)
{
    struct taking *taking = to;
    struct tagd_record record;
    tagd_arena_reset(&taking->letters->arena);
    tagd_kafka_copy_record(message, &taking->letters->arena, &record);
    taking->stopped = !taking->take(taking->to, &record);
    return !taking->stopped;
}

enum tagd_io_result tagd_io_letters_read(struct tagd_io_letters *letters, uint32_t partition, int64_t from, int64_t end,
                                         bool (*take)(void *to, const struct tagd_record *record), void *to,
                                         struct tagd_error *error)
{
    struct taking taking = {letters, take, to, false};
    const char *topic = letters->config.dead_letter;
    int64_t stuck_ms = tagd_io_mono_ms(), low;
    for (int64_t next = from; next < end && !taking.stopped; from = next) {
        if (!tagd_kafka_read_range(&letters->kafka, topic, partition, from, end, take_message, &taking, &next, error))
            return TAGD_IO_UNREACHABLE;
        if (next > from) {
            stuck_ms = tagd_io_mono_ms();
            continue;
        }
        enum tagd_io_result result = ask(letters->kafka.reader, topic, partition, -2, &low, error);
        if (result != TAGD_IO_OK)
            return result;
        next = low > next ? low : next; /* what was there is deleted meanwhile */
        if (tagd_io_mono_ms() - stuck_ms > STUCK_MAX_MS) {
            tagd_fail(error,
                      "topic \"%s\" partition %u ends at offset %lld and gives nothing from %lld on: a transaction is "
                      "open there; try again once it is over",
                      topic, partition, (long long)end, (long long)next);
            return TAGD_IO_UNREACHABLE;
        }
        nap();
    }
    return TAGD_IO_OK;
}

static bool take_time(void *to, const rd_kafka_message_t *message)
{
    int64_t *wanted = to; /* offset, then timestamp */
    rd_kafka_timestamp_type_t type;
    if (message->offset == wanted[0])
        wanted[1] = rd_kafka_message_timestamp(message, &type);
    return false;
}

enum tagd_io_result tagd_io_letters_source_time(struct tagd_io_letters *letters, const char *topic, uint32_t partition,
                                                int64_t offset, int64_t *timestamp_ms, struct tagd_error *error)
{
    int64_t wanted[2] = {offset, -1}, low, end;
    *timestamp_ms = -1;
    enum tagd_io_result result = ask(letters->kafka.reader, topic, partition, -2, &low, error);
    if (result == TAGD_IO_OK)
        result = ask(letters->kafka.reader, topic, partition, -1, &end, error);
    if (result != TAGD_IO_OK || offset < low || offset >= end)
        return result;
    if (!tagd_kafka_read_range(&letters->kafka, topic, partition, offset, offset + 1, take_time, wanted, NULL, error))
        return TAGD_IO_UNREACHABLE;
    *timestamp_ms = wanted[1];
    return TAGD_IO_OK;
}

/* ---- publishing ---- */

enum tagd_io_result tagd_io_letters_begin(struct tagd_io_letters *letters, int timeout_ms, struct tagd_error *error)
{
    int64_t deadline = tagd_io_mono_ms() + timeout_ms;
    bool unreachable;
    while (!tagd_kafka_producer_ready(&letters->kafka, INIT_TIMEOUT_MS, &unreachable, error)) {
        if (!unreachable)
            return TAGD_IO_CONFIG;
        if (tagd_io_mono_ms() >= deadline)
            return TAGD_IO_UNREACHABLE;
    }
    return TAGD_IO_OK;
}

struct publishing {
    struct tagd_kafka *kafka;
    const struct tagd_io_message *messages;
    size_t n;
};

static bool produce_one(struct tagd_kafka *kafka, const struct tagd_io_message *message, struct tagd_error *error)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(message->n_headers);
    for (size_t i = 0; i < message->n_headers; i++)
        rd_kafka_header_add(headers, message->headers[i].name.p, (ssize_t)message->headers[i].name.n,
                            message->headers[i].value.p, (ssize_t)message->headers[i].value.n);
    for (unsigned tries = 0;; tries++) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            kafka->producer, RD_KAFKA_V_TOPIC(message->topic), RD_KAFKA_V_PARTITION((int32_t)message->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(message->has_key ? message->key.p : NULL, message->has_key ? message->key.n : 0),
            RD_KAFKA_V_VALUE(message->has_value ? (void *)(uintptr_t)message->value.p : NULL,
                             message->has_value ? message->value.n : 0),
            RD_KAFKA_V_TIMESTAMP(message->timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return true;
        if (tagd_kafka_made_room(kafka, err, tries))
            continue;
        rd_kafka_headers_destroy(headers);
        tagd_kafka_delivery_failed(kafka, err);
        return tagd_fail(error, "can't produce to \"%s\": %s", message->topic, rd_kafka_err2str(err));
    }
}

static bool produce(void *to, struct tagd_error *error)
{
    const struct publishing *publishing = to;
    for (size_t i = 0; i < publishing->n; i++)
        if (!produce_one(publishing->kafka, &publishing->messages[i], error))
            return false;
    return true;
}

enum tagd_io_result tagd_io_letters_publish(struct tagd_io_letters *letters, const struct tagd_io_message *messages,
                                            size_t n, struct tagd_error *error)
{
    struct publishing publishing = {&letters->kafka, messages, n};
    struct tagd_op op = {.status = TAGD_PENDING};
    rd_kafka_resp_err_t delivery;
    tagd_kafka_transact(&letters->kafka, &op, produce, &publishing);
    if (op.status == TAGD_DONE)
        return TAGD_IO_OK;
    *error = op.error;
    delivery = letters->kafka.delivery;
    if (op.status == TAGD_FENCED)
        tagd_fail(error, "another replay of group \"%s\" has begun; let it end, then run this again",
                  letters->config.group);
    if (op.status != TAGD_ABORTED || delivery == RD_KAFKA_RESP_ERR_NO_ERROR)
        return TAGD_IO_UNREACHABLE;
    tagd_fail(error, "Kafka doesn't take the records: %s; nothing of them was replayed", rd_kafka_err2str(delivery));
    return delivery == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
                   delivery == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                   delivery == RD_KAFKA_RESP_ERR_INVALID_RECORD || delivery == RD_KAFKA_RESP_ERR_POLICY_VIOLATION
               ? TAGD_IO_CONFIG
               : TAGD_IO_UNREACHABLE;
}
