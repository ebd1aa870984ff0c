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
#define WAIT_MAX_MS 10000

int64_t tagd_io_mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
                                       .outputs = {"changes", "letters"}};
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

static void send_one(struct bench *bench, struct sent *sent)
{
    *sent = (struct sent){.output = {.kind = TAGD_OUT_DEAD_LETTER, .value = TAGD_STR("x"), .has_value = true}};
    sent->shard = (struct tagd_shard_outputs){.outputs = &sent->output, .n_outputs = 1, .fence = 1, .batch = 1};
    sent->op = (struct tagd_op){.kind = TAGD_OP_SEND, .arena = &bench->arena};
    sent->op.u.publish.shards = &sent->shard;
    sent->op.u.publish.n_shards = 1;
    tagd_kafka_send(&bench->kafka, &sent->op);
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
                  strstr(error.text, "rights Write and Describe"));
            CHECK(end_owner(&bench, "g-other-0", &error) == TAGD_DONE); /* given meanwhile */
            rd_kafka_mock_push_request_errors(bench.cluster, API_INIT_PRODUCER_ID, 1,
                                              RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT);
            CHECK(end_owner(&bench, "g-third-0", &error) == TAGD_ABORTED && strstr(error.text, "rights") == NULL);
            bench_close(&bench);
        }
}

/* ---- the tail ---- */

/* So many outputs of one batch on the partition of changes, by whatever producer. */
static void append(rd_kafka_t *producer, const char *batch, int n)
{
    for (int i = 0; i < n; i++)
        CHECK(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("changes"), RD_KAFKA_V_PARTITION(0),
                                RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_HEADER("tagd_batch", batch, -1),
                                RD_KAFKA_V_HEADER("tagd_group", "g", -1),
                                RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_flush(producer, WAIT_MAX_MS) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

static bool tail_is(struct bench *bench, bool repeats, uint64_t fence, uint64_t batch)
{
    struct tagd_op op = {.kind = TAGD_OP_TAIL, .u.tail.repeats = repeats};
    tagd_kafka_tail(&bench->kafka, &op);
    bool is = op.status == TAGD_DONE && op.u.tail.last.found && op.u.tail.last.fence == fence &&
              op.u.tail.last.batch == batch;
    if (!is)
        fprintf(stderr, "%s %d %d.%d\n", op.error.text, op.u.tail.last.found, (int)op.u.tail.last.fence,
                (int)op.u.tail.last.batch);
    return is;
}

/* A process was frozen with these in its queue, and woke after another had gone on. */
static void repeats_behind_later_batches_do_not_hide_them(void)
{
    struct bench bench;
    struct tagd_error error;
    bench_open(&bench, true);
    rd_kafka_conf_t *conf = tagd_kafka_conf(&bench.kafka, TAGD_KAFKA_PRODUCER, &error);
    rd_kafka_t *producer = tagd_kafka_client_new(TAGD_KAFKA_PRODUCER, conf, &error);
    CHECK(producer != NULL);
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

int main(void)
{
    RUN(a_message_that_is_too_large_is_known_behind_what_it_led_to);
    RUN(only_a_size_replaces_the_first_reason);
    RUN(repeats_behind_later_batches_do_not_hide_them);
    RUN(a_right_to_a_transactional_id_that_is_missing_is_named);
    return DONE();
}
