/* io's producers and reader against librdkafka's mock cluster, which is good for error paths: a broker's answers are
 * planted, and nothing is proven of transactions. */
#include "check.h"
#include "io/kafka.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define API_PRODUCE 0
#define API_FIND_COORDINATOR 10
#define API_INIT_PRODUCER_ID 22
#define API_ADD_OFFSETS_TO_TXN 25
#define WAIT_MAX_MS 10000

int64_t tagd_io_mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
int64_t tagd_io_mono_ms(void)
{
    return tagd_io_mono_us() / 1000;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

struct bench {
    rd_kafka_t *host; /* of the mock cluster */
    rd_kafka_mock_cluster_t *cluster;
    struct tagd_source source;
    struct tagd_property properties[1];
    struct tagd_config config;
    struct tagd_io_stats stats;
    struct tagd_kafka kafka;
    struct tagd_arena arena;
};

static void bench_open(struct bench *bench, bool at_least_once)
{
    char text[256];
    *bench = (struct bench){.source = {.topic = "in"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    bench->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    CHECK(bench->host != NULL);
    bench->cluster = rd_kafka_mock_cluster_new(bench->host, 1);
    CHECK(bench->cluster != NULL);
    bench->properties[0] =
        (struct tagd_property){"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(bench->cluster)};
    CHECK(rd_kafka_mock_topic_create(bench->cluster, "changes", 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_mock_topic_create(bench->cluster, "letters", 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_mock_topic_create(bench->cluster, "churn", 1, 1) == RD_KAFKA_RESP_ERR_NO_ERROR);
    bench->config = (struct tagd_config){.group = "g",
                                         .sources = &bench->source,
                                         .n_sources = 1,
                                         .kafka = bench->properties,
                                         .n_kafka = 1,
                                         .at_least_once = at_least_once};
    bench->kafka = (struct tagd_kafka){.config = &bench->config,
                                       .stats = &bench->stats,
                                       .partitions = 1,
                                       .n_topics = 1,
                                       .owner = "g-b-0",
                                       .outputs = {"changes", "letters", "churn"},
                                       .n_outputs = TAGD_OUT_CHURN};
}

static void bench_close(struct bench *bench)
{
    tagd_kafka_sends_forget(&bench->kafka);
    tagd_kafka_reader_close(&bench->kafka);
    while (bench->kafka.n_ended > 0)
        free((void *)(uintptr_t)bench->kafka.ended[--bench->kafka.n_ended].p);
    free(bench->kafka.ended);
    rd_kafka_mock_cluster_destroy(bench->cluster);
    rd_kafka_destroy(bench->host);
    tagd_arena_free(&bench->arena);
}

/* ---- sending ---- */

struct sent {
    struct tagd_output output;
    struct tagd_shard_outputs shard;
    struct tagd_op op;
};

static void send_one_of(struct bench *bench, struct sent *sent, enum tagd_output_kind kind)
{
    *sent = (struct sent){.output = {.kind = kind, .value = TAGD_STR("x"), .has_value = true}};
    sent->shard = (struct tagd_shard_outputs){.outputs = &sent->output, .n_outputs = 1, .fence = 2, .batch = 9};
    sent->op = (struct tagd_op){.kind = TAGD_OP_SEND, .arena = &bench->arena};
    sent->op.u.publish.shards = &sent->shard;
    sent->op.u.publish.n_shards = 1;
    tagd_kafka_send(&bench->kafka, &sent->op);
}

static void send_one(struct bench *bench, struct sent *sent)
{
    send_one_of(bench, sent, TAGD_OUT_DEAD_LETTER);
}

/* The client knows already that a message was too large, and refuses all that follows for what came of that; the report
 * on the message itself is seen last. */
static void a_message_that_is_too_large_is_known_behind_what_it_led_to(void)
{
    struct bench bench;
    struct sent large, behind;
    char text[256];
    bench_open(&bench, true);
    rd_kafka_mock_push_request_errors(bench.cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    send_one(&bench, &large);
    CHECK(large.op.status == TAGD_PENDING);
    int64_t deadline = tagd_io_mono_ms() + WAIT_MAX_MS;
    while (rd_kafka_fatal_error(bench.kafka.producer, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        CHECK(tagd_io_mono_ms() < deadline);
        pause_ms(1);
    }
    pause_ms(100); /* the message's report comes after the fatal error */
    size_t limit = bench.kafka.dead_letter_bytes_max;
    send_one(&bench, &behind);
    CHECK(bench.kafka.send_failed && bench.kafka.delivery != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    tagd_kafka_sends_poll(&bench.kafka);
    CHECK(large.op.status == TAGD_ABORTED && behind.op.status == TAGD_ABORTED);
    CHECK(bench.kafka.dead_letter_bytes_max == limit / 2);
    send_one(&bench, &large); /* on a new producer */
    while (large.op.status == TAGD_PENDING) {
        CHECK(tagd_io_mono_ms() < deadline);
        tagd_kafka_sends_poll(&bench.kafka);
        pause_ms(1);
    }
    CHECK(large.op.status == TAGD_DONE && bench.kafka.dead_letter_bytes_max == limit / 2);
    bench_close(&bench);
}

static void only_a_size_replaces_the_first_reason(void)
{
    struct tagd_kafka kafka = {.delivery = RD_KAFKA_RESP_ERR_NO_ERROR};
    tagd_kafka_delivery_failed(&kafka, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
    tagd_kafka_delivery_failed(&kafka, RD_KAFKA_RESP_ERR_INVALID_MSG);
    tagd_kafka_delivery_failed(&kafka, RD_KAFKA_RESP_ERR__FATAL);
    CHECK(kafka.delivery == RD_KAFKA_RESP_ERR_INVALID_MSG);
    tagd_kafka_delivery_failed(&kafka, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    CHECK(kafka.delivery == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    tagd_kafka_delivery_failed(&kafka, RD_KAFKA_RESP_ERR__FATAL);
    CHECK(kafka.delivery == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
}

/* ---- ending another owner's transaction ---- */

static enum tagd_op_status end_owner(struct bench *bench, const char *owner, struct tagd_error *error)
{
    struct tagd_op op = {.kind = TAGD_OP_END_OWNER, .u.end_owner.owner = tagd_str_of(owner)};
    tagd_kafka_end_owner(&bench->kafka, &op);
    *error = op.error;
    return op.status;
}

static void a_right_to_a_transactional_id_that_is_missing_is_named(void)
{
    static const int16_t apis[] = {API_FIND_COORDINATOR, API_INIT_PRODUCER_ID};
    for (int at_least_once = 0; at_least_once < 2; at_least_once++)
        for (size_t i = 0; i < 2; i++) {
            struct bench bench;
            struct tagd_error error;
            bench_open(&bench, at_least_once);
            rd_kafka_mock_push_request_errors(bench.cluster, apis[i], 1,
                                              RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            CHECK(end_owner(&bench, "g-other-0", &error) == TAGD_DENIED);
            CHECK(strstr(error.text, "transaction of \"g-other-0\"") &&
                  strstr(error.text, "give our Kafka user Write on the transactional ids"));
            CHECK(end_owner(&bench, "g-other-0", &error) == TAGD_DONE); /* given meanwhile */
            rd_kafka_mock_push_request_errors(bench.cluster, API_INIT_PRODUCER_ID, 1,
                                              RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT);
            CHECK(end_owner(&bench, "g-third-0", &error) == TAGD_ABORTED && strstr(error.text, "give our") == NULL);
            bench_close(&bench);
        }
}

/* One output of shard 0, and its offset, in a transaction. */
static void publish_one(struct bench *bench)
{
    struct tagd_output output = {
        .kind = TAGD_OUT_CHANGE, .key = TAGD_STR("c"), .value = TAGD_STR("{}"), .has_key = true, .has_value = true};
    struct tagd_shard_outputs shard = {
        .fence = 1, .batch = 1, .metadata = TAGD_STR("m"), .outputs = &output, .n_outputs = 1};
    struct tagd_op op = {.kind = TAGD_OP_PUBLISH};
    op.u.publish.shards = &shard;
    op.u.publish.n_shards = 1;
    tagd_kafka_publish(&bench->kafka, &op);
    CHECK(op.status == TAGD_DONE);
}

/* A transaction that is sent back since the one before isn't over makes the next ones begin later, up to a limit; as none is
 * sent back they begin earlier again. */
static void transactions_learn_how_long_the_last_ones_markers_take(void)
{
    struct bench bench;
    bench_open(&bench, false);
    bench.kafka.membership = rd_kafka_consumer_group_metadata_new("g");
    publish_one(&bench);
    CHECK(bench.kafka.pause_us == 0);
    for (int64_t pause_us = 500; pause_us <= 2000; pause_us += 500) {
        rd_kafka_mock_push_request_errors(bench.cluster, API_ADD_OFFSETS_TO_TXN, 1,
                                          RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS);
        int64_t before = bench.kafka.ended_us, waits_us = bench.kafka.pause_us;
        publish_one(&bench);
        CHECK(bench.kafka.pause_us == pause_us && bench.kafka.ended_us >= before + waits_us);
    }
    publish_one(&bench);
    CHECK(bench.kafka.pause_us == 2000 - 2000 / 128);
    bench.kafka.pause_us = 20000;
    int64_t ended_us = bench.kafka.ended_us;
    rd_kafka_mock_push_request_errors(bench.cluster, API_ADD_OFFSETS_TO_TXN, 1,
                                      RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS);
    publish_one(&bench);
    CHECK(bench.kafka.pause_us == 20000 && bench.kafka.ended_us >= ended_us + 20000);
    rd_kafka_consumer_group_metadata_destroy(bench.kafka.membership);
    bench.kafka.membership = NULL;
    bench_close(&bench);
}

/* Unless it is given, by whichever of its names. */
static void only_without_transactions_outputs_wait_for_more(void)
{
    static const char *const names[] = {"bootstrap.servers", "linger.ms", "queue.buffering.max.ms"};
    for (int i = 0; i < 6; i++) {
        struct bench bench;
        struct tagd_error error;
        char value[32];
        size_t size = sizeof(value);
        bench_open(&bench, i % 2 == 1);
        if (i >= 2)
            bench.properties[0] = (struct tagd_property){names[i / 2], "7"};
        rd_kafka_conf_t *conf = tagd_kafka_conf(&bench.kafka, TAGD_KAFKA_PRODUCER, &error);
        CHECK(conf != NULL && rd_kafka_conf_get(conf, "linger.ms", value, &size) == RD_KAFKA_CONF_OK);
        CHECK(strcmp(value, i >= 2 ? "7" : i == 1 ? "1" : "0") == 0);
        rd_kafka_conf_destroy(conf);
        bench_close(&bench);
    }
}

/* ---- the tail ---- */

static rd_kafka_t *some_producer(struct bench *bench)
{
    struct tagd_error error;
    rd_kafka_conf_t *conf = tagd_kafka_conf(&bench->kafka, TAGD_KAFKA_PRODUCER, &error);
    rd_kafka_t *producer = tagd_kafka_client_new(TAGD_KAFKA_PRODUCER, conf, &error);
    CHECK(producer != NULL);
    return producer;
}

/* So many outputs of one batch on the partition of a topic, by whatever producer. */
static void append_of(rd_kafka_t *producer, const char *topic, const char *group, const char *batch, int n)
{
    for (int i = 0; i < n; i++)
        CHECK(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE("x", 1),
                                RD_KAFKA_V_HEADER("tagd_batch", batch, -1), RD_KAFKA_V_HEADER("tagd_group", group, -1),
                                RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_flush(producer, WAIT_MAX_MS) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void append(rd_kafka_t *producer, const char *batch, int n)
{
    append_of(producer, "changes", "g", batch, n);
}

static bool tail_is(struct bench *bench, bool repeats, uint64_t fence, uint64_t batch)
{
    struct tagd_op op = {.kind = TAGD_OP_TAIL, .u.tail.repeats = repeats};
    tagd_kafka_tail(&bench->kafka, &op);
    bool is = op.status == TAGD_DONE && op.u.tail.last.found && op.u.tail.last.fence == fence &&
              op.u.tail.last.batch == batch && !op.u.tail.emptied[TAGD_OUT_CHANGE] &&
              !op.u.tail.emptied[TAGD_OUT_DEAD_LETTER];
    if (!is)
        fprintf(stderr, "%s %d %d.%d\n", op.error.text, op.u.tail.last.found, (int)op.u.tail.last.fence,
                (int)op.u.tail.last.batch);
    return is;
}

/* A process was frozen with these in its queue, and woke after another had gone on. */
static void repeats_behind_later_batches_do_not_hide_them(void)
{
    struct bench bench;
    bench_open(&bench, true);
    rd_kafka_t *producer = some_producer(&bench);
    append(producer, "2.7.0", 600);
    append(producer, "3.9.0", 1);
    append(producer, "2.7.0", 63);
    CHECK(tail_is(&bench, false, 3, 9) && tail_is(&bench, true, 3, 9));
    append(producer, "2.7.0", 1);
    CHECK(tail_is(&bench, false, 2, 7) && tail_is(&bench, true, 3, 9));
    append(producer, "2.7.0", 4607 - 64);
    CHECK(tail_is(&bench, true, 3, 9));
    append(producer, "2.7.0", 1); /* the limit */
    CHECK(tail_is(&bench, true, 2, 7));
    append(producer, "3.8.0", 1); /* later than what was read: it is looked for further */
    append(producer, "2.7.0", 512);
    CHECK(tail_is(&bench, true, 3, 9));
    rd_kafka_destroy(producer);
    bench_close(&bench);
}

/* ---- the outputs ---- */

static struct tagd_op outputs_after(struct bench *bench, enum tagd_output_kind kind, int64_t from, uint64_t fence,
                                    uint64_t batch, size_t max)
{
    struct tagd_op op = {.kind = TAGD_OP_OUTPUTS, .arena = &bench->arena};
    op.u.outputs.kind = kind;
    op.u.outputs.from = from;
    op.u.outputs.fence = fence;
    op.u.outputs.batch = batch;
    op.u.outputs.max = max;
    tagd_kafka_outputs(&bench->kafka, &op);
    if (op.status != TAGD_DONE)
        fprintf(stderr, "%s\n", op.error.text);
    return op;
}

static struct tagd_op outputs_from(struct bench *bench, enum tagd_output_kind kind, int64_t from, uint64_t batch,
                                   size_t max)
{
    return outputs_after(bench, kind, from, UINT64_MAX, batch, max);
}

static bool looked(const struct tagd_op *op, int64_t began, int64_t next, size_t n, bool end)
{
    return op->status == TAGD_DONE && op->u.outputs.began == began && op->u.outputs.next == next &&
           op->u.outputs.n_outputs == n && op->u.outputs.end == end && op->u.outputs.whole;
}

static void outputs_are_found_by_batch_behind_those_of_earlier_ones(void)
{
    struct bench bench;
    bench_open(&bench, false);
    rd_kafka_t *producer = some_producer(&bench);
    append(producer, "2.7.0", 5000);
    append_of(producer, "changes", "other", "1.1.0", 3);
    append(producer, "2.9.0", 700); /* several chunks from the end */
    append(producer, "4.10.0", 10);
    append_of(producer, "changes", "other", "1.1.0", 1);
    struct tagd_op op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 9, 10000);
    CHECK(looked(&op, 5000, 5714, 710, true));
    CHECK(op.u.outputs.outputs[0].at.batch == 9 && op.u.outputs.outputs[0].record.offset == 5003);
    CHECK(op.u.outputs.outputs[709].at.fence == 4 && op.u.outputs.outputs[709].at.batch == 10);
    op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 8, 10000); /* a batch without outputs */
    CHECK(looked(&op, 5000, 5714, 710, true));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 10, 10000);
    CHECK(looked(&op, 5703, 5714, 10, true));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 11, 10000);
    CHECK(looked(&op, 5713, 5714, 0, true));
    op = outputs_after(&bench, TAGD_OUT_CHANGE, -1, 4, 11, 10000);
    CHECK(looked(&op, 5713, 5714, 0, true));
    op = outputs_after(&bench, TAGD_OUT_CHANGE, -1, 3, 11,
                       10000); /* fence 4 is another history's, though its batch is 10 */
    CHECK(looked(&op, 5703, 5714, 10, true));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 7, 10000); /* none is earlier: from the beginning */
    CHECK(looked(&op, 0, 5714, 5710, true));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 0, 10000);
    CHECK(looked(&op, 0, 5714, 5710, true));
    rd_kafka_destroy(producer);
    bench_close(&bench);
}

static void outputs_are_read_on_where_an_earlier_look_ended(void)
{
    struct bench bench;
    bench_open(&bench, false);
    rd_kafka_t *producer = some_producer(&bench);
    append(producer, "2.7.0", 5);
    append_of(producer, "changes", "other", "2.7.0", 2);
    append(producer, "2.8.0", 3);
    append_of(producer, "changes", "other", "2.9.0", 1);
    struct tagd_op op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 7, 4);
    CHECK(looked(&op, 0, 4, 4, false));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, 4, 0, 3);
    CHECK(looked(&op, 4, 9, 3, false) && op.u.outputs.outputs[0].at.batch == 7 &&
          op.u.outputs.outputs[2].at.batch == 8 && op.u.outputs.outputs[2].record.offset == 8);
    op = outputs_from(&bench, TAGD_OUT_CHANGE, 9, 0, 1); /* full with the last one of ours */
    CHECK(looked(&op, 9, 10, 1, false));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, 10, 0, 1);
    CHECK(looked(&op, 10, 11, 0, true));
    op = outputs_from(&bench, TAGD_OUT_CHANGE, 11, 0, 1);
    CHECK(looked(&op, 11, 11, 0, true));
    append(producer, "2.9.0", 1); /* what comes later is seen by the next look */
    op = outputs_from(&bench, TAGD_OUT_CHANGE, 11, 0, 1);
    CHECK(looked(&op, 11, 12, 1, true));
    rd_kafka_destroy(producer);
    bench_close(&bench);
}

static void a_header_of_another_hand_names_no_batch(void)
{
    static const char *const wrong[] = {"",       "2",      "2.9",     "2.9.",   "2..0",
                                        ".9.0",   "2.9.x",  "2.9.0.1", "-2.9.0", "2.-9.0",
                                        " 2.9.0", "2. 9.0", "02.9.0",  "2.9.0 ", "18446744073709551616.9.0"};
    struct tagd_position at;
    CHECK(tagd_kafka_position_read(TAGD_STR("2.9.0"), &at) && at.found && at.fence == 2 && at.batch == 9);
    CHECK(tagd_kafka_position_read(TAGD_STR("18446744073709551615.0.12"), &at) && at.fence == UINT64_MAX &&
          at.batch == 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(!tagd_kafka_position_read(tagd_str_of(wrong[i]), &at) && !at.found);
}

static void outputs_come_whole_and_by_kind(void)
{
    struct bench bench;
    bench_open(&bench, false);
    rd_kafka_t *producer = some_producer(&bench);
    struct tagd_op op = outputs_from(&bench, TAGD_OUT_DEAD_LETTER, -1, 5, 10); /* nothing there at all */
    CHECK(looked(&op, 0, 0, 0, true));
    append_of(producer, "changes", "g", "1.1.0", 2);
    CHECK(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("letters"), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_KEY("k\0y", 3),
                            RD_KAFKA_V_HEADER("mine", NULL, 0), RD_KAFKA_V_HEADER("tagd_batch", "3.4.1", -1),
                            RD_KAFKA_V_HEADER("tagd_group", "g", -1), RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_flush(producer, WAIT_MAX_MS) == RD_KAFKA_RESP_ERR_NO_ERROR);
    op = outputs_from(&bench, TAGD_OUT_DEAD_LETTER, -1, 1, 10);
    CHECK(looked(&op, 0, 1, 1, true));
    const struct tagd_record *record = &op.u.outputs.outputs[0].record;
    CHECK(op.u.outputs.outputs[0].at.found && op.u.outputs.outputs[0].at.fence == 3 &&
          op.u.outputs.outputs[0].at.batch == 4);
    CHECK(record->has_key && record->key.n == 3 && memcmp(record->key.p, "k\0y", 3) == 0 && !record->has_value &&
          record->value.n == 0 && record->offset == 0 && record->timestamp_ms > 0);
    CHECK(record->n_headers == 3 && tagd_str_eq(record->headers[0].name, TAGD_STR("mine")) &&
          record->headers[0].value.p == NULL && tagd_str_eq(record->headers[1].value, TAGD_STR("3.4.1")));
    rd_kafka_destroy(producer);
    bench_close(&bench);
}

/* Where the catalog has nothing to say about churn, its topic need not exist: nobody asks for it. */
static void the_topic_of_churn_is_used_only_if_there_is_something_for_it(void)
{
    struct bench bench;
    int64_t end[TAGD_OUTPUT_KINDS] = {7, 7, 7};
    const char *topics[TAGD_OUTPUT_KINDS];
    struct tagd_config config = {.tag_changes = "changes", .churn_risk = "churn", .dead_letter = "letters"};
    CHECK(tagd_kafka_output_topics(&config, topics) == 2 && strcmp(topics[TAGD_OUT_CHANGE], "changes") == 0 &&
          strcmp(topics[TAGD_OUT_DEAD_LETTER], "letters") == 0);
    config.has_churn = true;
    CHECK(tagd_kafka_output_topics(&config, topics) == 3 && strcmp(topics[TAGD_OUT_CHURN], "churn") == 0);
    bench_open(&bench, true);
    rd_kafka_t *producer = some_producer(&bench);
    append(producer, "2.7.0", 2);
    append_of(producer, "churn", "g", "2.8.0", 3);
    struct tagd_op op = {.kind = TAGD_OP_TAIL};
    tagd_kafka_tail(&bench.kafka, &op);
    CHECK(op.status == TAGD_DONE && op.u.tail.last.batch == 7 && !op.u.tail.emptied[TAGD_OUT_CHURN]);
    CHECK(tagd_kafka_outputs_end(&bench.kafka, 0, end, &op.error) && end[TAGD_OUT_CHANGE] == 2 &&
          end[TAGD_OUT_DEAD_LETTER] == 0 && end[TAGD_OUT_CHURN] == 0);
    bench.kafka.n_outputs = TAGD_OUTPUT_KINDS;
    tagd_kafka_tail(&bench.kafka, &op);
    CHECK(op.status == TAGD_DONE && op.u.tail.last.batch == 8 && !op.u.tail.emptied[TAGD_OUT_CHURN] &&
          !op.u.tail.emptied[TAGD_OUT_DEAD_LETTER]);
    CHECK(tagd_kafka_outputs_end(&bench.kafka, 0, end, &op.error) && end[TAGD_OUT_CHURN] == 3);
    struct sent sent;
    send_one_of(&bench, &sent, TAGD_OUT_CHURN);
    for (int64_t deadline = tagd_io_mono_ms() + WAIT_MAX_MS; sent.op.status == TAGD_PENDING;) {
        CHECK(tagd_io_mono_ms() < deadline);
        tagd_kafka_sends_poll(&bench.kafka);
        pause_ms(1);
    }
    CHECK(sent.op.status == TAGD_DONE);
    op = outputs_from(&bench, TAGD_OUT_CHURN, -1, 8, 10);
    CHECK(op.u.outputs.n_outputs == 4 && op.u.outputs.outputs[3].at.batch == 9);
    op = outputs_from(&bench, TAGD_OUT_CHANGE, -1, 0, 10);
    CHECK(op.u.outputs.n_outputs == 2);
    rd_kafka_destroy(producer);
    bench_close(&bench);
}

int main(void)
{
    RUN(the_topic_of_churn_is_used_only_if_there_is_something_for_it);
    RUN(outputs_are_found_by_batch_behind_those_of_earlier_ones);
    RUN(outputs_are_read_on_where_an_earlier_look_ended);
    RUN(outputs_come_whole_and_by_kind);
    RUN(a_header_of_another_hand_names_no_batch);
    RUN(a_message_that_is_too_large_is_known_behind_what_it_led_to);
    RUN(only_a_size_replaces_the_first_reason);
    RUN(transactions_learn_how_long_the_last_ones_markers_take);
    RUN(only_without_transactions_outputs_wait_for_more);
    RUN(repeats_behind_later_batches_do_not_hide_them);
    RUN(a_right_to_a_transactional_id_that_is_missing_is_named);
    return DONE();
}
