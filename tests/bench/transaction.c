/* The bare transaction, below which no exactly-once output can be: begin, one record, one group's offset, commit, over and
 * over, and a read_committed reader of the record beside it. Prints {"commits", "arrivals": µs from the call that begins
 * to the commit's end and to the record's arrival}. A second before warms up and isn't counted.
 *   transaction BOOTSTRAP TOPIC PARTITIONS SECONDS */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 1000000
#define PATIENCE_MS 10000
#define WARM_US 1000000

static int64_t began_us[MOST], committed_us[MOST], arrived_us[MOST];
static atomic_long n_committed;
static atomic_bool all_committed, ready;

static struct arguments {
    const char *bootstrap, *topic;
    int partitions;
    int64_t seconds;
} arguments;

static void check(rd_kafka_error_t *error)
{
    if (error != NULL)
        bench_die("%s", rd_kafka_error_string(error));
}

static void one(rd_kafka_t *producer, rd_kafka_consumer_group_metadata_t *group, long i)
{
    char text[BENCH_TEXT_MAX];
    struct bench_span record = {text, (size_t)snprintf(text, sizeof(text), "%ld", i)};
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, arguments.topic, 0)->offset = i;
    began_us[i] = bench_now_us();
    check(rd_kafka_begin_transaction(producer));
    bench_produce(producer, arguments.topic, record, record, 0);
    check(rd_kafka_send_offsets_to_transaction(producer, offsets, group, PATIENCE_MS));
    check(rd_kafka_commit_transaction(producer, PATIENCE_MS));
    committed_us[i] = bench_now_us() - began_us[i];
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_poll(producer, 0);
}

static void *commit_all(void *nothing)
{
    (void)nothing;
    const char *const properties[] = {
        "transactional.id", "bench-transaction", "retry.backoff.ms", "10", "linger.ms", "0", NULL};
    rd_kafka_t *producer = bench_client(RD_KAFKA_PRODUCER, arguments.bootstrap, properties);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new("bench-transaction");
    check(rd_kafka_init_transactions(producer, PATIENCE_MS));
    while (!atomic_load(&ready))
        rd_kafka_poll(producer, 10);
    int64_t until = bench_now_us() + arguments.seconds * 1000000 + WARM_US;
    for (long i = 0; i < MOST && bench_now_us() < until; i++) {
        one(producer, group, i);
        atomic_store(&n_committed, i + 1);
    }
    atomic_store(&all_committed, true);
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_destroy(producer);
    return NULL;
}

static void read_all(void)
{
    rd_kafka_t *consumer =
        bench_reader(arguments.bootstrap, arguments.topic, arguments.partitions, RD_KAFKA_OFFSET_BEGINNING, true);
    int ended = 0;
    for (long seen = 0; !atomic_load(&all_committed) || seen < atomic_load(&n_committed);) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 20);
        if (message == NULL)
            continue;
        if (!message->err && message->len < BENCH_TEXT_MAX) {
            char text[BENCH_TEXT_MAX] = {0};
            memcpy(text, message->payload, message->len);
            int64_t i = bench_number(text, "record", 0);
            if (i < MOST)
                arrived_us[i] = bench_now_us() - began_us[i];
            seen++;
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && ++ended == arguments.partitions) {
            atomic_store(&ready, true);
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

int main(int argc, char **argv)
{
    pthread_t committer;
    if (argc != 5)
        bench_die("usage: transaction BOOTSTRAP TOPIC PARTITIONS SECONDS");
    arguments = (struct arguments){argv[1], argv[2], (int)bench_number(argv[3], "PARTITIONS", 1),
                                   bench_number(argv[4], "SECONDS", 1)};
    if (pthread_create(&committer, NULL, commit_all, NULL) != 0)
        bench_die("no thread");
    read_all();
    pthread_join(committer, NULL);
    size_t n = (size_t)atomic_load(&n_committed), warm = 0;
    while (warm < n && began_us[warm] < began_us[0] + WARM_US)
        warm++;
    printf("{\"commits\": ");
    bench_print_quantiles(committed_us + warm, n - warm);
    printf(", \"arrivals\": ");
    bench_print_quantiles(arrived_us + warm, n - warm);
    printf("}\n");
    return 0;
}
