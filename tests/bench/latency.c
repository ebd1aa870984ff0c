/* From an event to the change that a read_committed reader has of it: one thread sends events of customers FIRST and on,
 * one each, at an even rate, for so many seconds and ten before, which warm up and aren't counted; another reads the
 * changes. IN and OUT may be the same topic: what an event takes to a reader of its own. Prints one line of JSON:
 *   events       from the call that produces an event to its first change's arrival, µs
 *   timers       arrival of changes by time less their instant and GRACE_MS, ms
 *   busy         as events: those sent between the first arrival of a change by time and the last
 *   first_ms, last_ms   when these two were, since 1970
 *   behind       events sent more than 10 ms after they were to be; lost: without a change 30 s after the last was sent
 *   cpu_us       this program's own, all of it
 * Without RATE it sends nothing and reads for so many seconds, or until TIMERS changes by time are there.
 *   latency BOOTSTRAP IN OUT PARTITIONS FIRST RATE SECONDS GRACE_MS [TIMERS] */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LATE_US 10000
#define TICK_US 1000
#define REST_US 30000000
#define WARM_S 10

struct timer {
    int64_t lateness_ms, arrived_us;
};

static struct load {
    const char *bootstrap, *in, *out;
    int64_t first, rate, n, seconds, grace_ms, timers_wanted;
    int64_t *sent_us, *took_us; /* by event; 0: not yet */
    int64_t behind, answered;
    struct timer *timers;
    size_t n_timers, timers_room;
    atomic_bool sent_all, ready;
} load;

static void send_event(rd_kafka_t *producer, int64_t i)
{
    char subject[BENCH_TEXT_MAX], at[BENCH_TEXT_MAX], value[512];
    int64_t now_ms = bench_wall_us() / 1000;
    bench_write_instant(at, now_ms);
    int key = snprintf(subject, sizeof(subject), "C%07" PRId64, load.first + i);
    int n = snprintf(value, sizeof(value),
                     "{\"specversion\":\"1.0\",\"id\":\"l%" PRId64
                     "\",\"source\":\"douyin\",\"type\":\"login\",\"subject\":"
                     "\"%s\",\"time\":\"%s\",\"datacontenttype\":\"application/json\",\"data\":{\"room\":\"r1\"}}",
                     load.first + i, subject, at);
    __atomic_store_n(&load.sent_us[i], bench_now_us(), __ATOMIC_RELEASE);
    bench_produce(producer, load.in, (struct bench_span){subject, (size_t)key}, (struct bench_span){value, (size_t)n},
                  now_ms);
}

static void *send_all(void *nothing)
{
    (void)nothing;
    /* Not idempotent: with five requests on their way librdkafka's thread turns without a pause until one is answered, and
     * takes the core that the broker needs to answer it. */
    const char *const properties[] = {"partitioner", "murmur2_random", "linger.ms", "1", NULL};
    rd_kafka_t *producer = bench_client(RD_KAFKA_PRODUCER, load.bootstrap, properties);
    while (!atomic_load(&load.ready))
        rd_kafka_poll(producer, 10);
    int64_t began = bench_now_us();
    for (int64_t i = 0; i < load.n; i++) {
        int64_t due = began + i * 1000000 / load.rate, now = bench_now_us();
        while (now < due) { /* a millisecond's events go together: waking up for each would take half a core */
            nanosleep(&(struct timespec){0, TICK_US * 1000}, NULL);
            rd_kafka_poll(producer, 0);
            now = bench_now_us();
        }
        load.behind += now - due > LATE_US;
        send_event(producer, i);
    }
    rd_kafka_flush(producer, 10000);
    rd_kafka_destroy(producer);
    atomic_store(&load.sent_all, true);
    return NULL;
}

/* The number of the event whose customer it is, or -1. */
static int64_t event_of(struct bench_span subject)
{
    char text[BENCH_TEXT_MAX];
    if (subject.p == NULL || subject.n < 2 || subject.n >= sizeof(text))
        return -1;
    memcpy(text, subject.p + 1, subject.n - 1);
    text[subject.n - 1] = '\0';
    int64_t i = strtoll(text, NULL, 10) - load.first;
    return i < load.n ? i : -1;
}

static void take_timer(struct bench_span value, int64_t now_us)
{
    if (load.n_timers == load.timers_room) {
        load.timers_room = load.timers_room * 2 + 1024;
        load.timers = realloc(load.timers, load.timers_room * sizeof(*load.timers));
        if (load.timers == NULL)
            bench_die("out of memory");
    }
    int64_t late = bench_wall_us() / 1000 - bench_instant(value, "time") - load.grace_ms;
    load.timers[load.n_timers++] = (struct timer){late, now_us};
}

static void take_change(const rd_kafka_message_t *message)
{
    struct bench_span value = {message->payload, message->len};
    int64_t now = bench_now_us(), i = event_of(bench_member(value, "subject"));
    if (memmem(value.p, value.n, "\"origin\":\"time\"", 15) != NULL) {
        if (i < 0 || i >= load.rate * WARM_S)
            take_timer(value, now);
        return;
    }
    if (i < 0 || load.took_us[i] != 0)
        return;
    int64_t sent = __atomic_load_n(&load.sent_us[i], __ATOMIC_ACQUIRE);
    if (sent == 0)
        return; /* a change that was there before its event */
    load.took_us[i] = now - sent > 0 ? now - sent : 1;
    load.answered++;
}

static bool done(int64_t began_us, int64_t sent_us)
{
    if (load.timers_wanted > 0 && (int64_t)load.n_timers >= load.timers_wanted)
        return atomic_load(&load.sent_all) && load.answered == load.n;
    if (load.n == 0 || load.timers_wanted > 0)
        return bench_now_us() - began_us > (WARM_S + load.seconds) * 1000000 + REST_US;
    return sent_us != 0 && (load.answered == load.n || bench_now_us() - sent_us > REST_US);
}

static void read_changes(int partitions)
{
    rd_kafka_t *consumer = bench_reader(load.bootstrap, load.out, partitions, RD_KAFKA_OFFSET_END, true);
    int64_t began = bench_now_us(), sent = 0;
    int ended = 0;
    while (!done(began, sent)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 20);
        if (sent == 0 && atomic_load(&load.sent_all))
            sent = bench_now_us();
        if (message == NULL)
            continue;
        if (!message->err)
            take_change(message);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && ++ended == partitions)
            atomic_store(&load.ready, true); /* at the end of all that was there */
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* What those events took that were sent between two moments, but for those that warm up. */
static size_t choose(int64_t *chosen, int64_t from_us, int64_t to_us)
{
    size_t n = 0;
    for (int64_t i = load.rate * WARM_S; i < load.n; i++)
        if (load.took_us[i] != 0 && load.sent_us[i] >= from_us && load.sent_us[i] <= to_us)
            chosen[n++] = load.took_us[i];
    return n;
}

static void print_all(void)
{
    size_t most = (size_t)load.n > load.n_timers ? (size_t)load.n : load.n_timers;
    int64_t *values = calloc(most + 1, sizeof(*values)), from_us = INT64_MAX, to_us = INT64_MIN;
    int64_t wall_us = bench_wall_us() - bench_now_us();
    if (values == NULL)
        bench_die("out of memory");
    printf("{\"events\": ");
    bench_print_quantiles(values, choose(values, INT64_MIN, INT64_MAX));
    for (size_t i = 0; i < load.n_timers; i++) {
        values[i] = load.timers[i].lateness_ms;
        from_us = load.timers[i].arrived_us < from_us ? load.timers[i].arrived_us : from_us;
        to_us = load.timers[i].arrived_us > to_us ? load.timers[i].arrived_us : to_us;
    }
    printf(", \"timers\": ");
    bench_print_quantiles(values, load.n_timers);
    printf(", \"busy\": ");
    bench_print_quantiles(values, choose(values, from_us, to_us));
    if (load.n_timers > 0)
        printf(", \"first_ms\": %" PRId64 ", \"last_ms\": %" PRId64, (from_us + wall_us) / 1000,
               (to_us + wall_us) / 1000);
    printf(", \"behind\": %" PRId64 ", \"lost\": %" PRId64 ", \"cpu_us\": %" PRId64 "}\n", load.behind,
           load.n - load.answered, bench_cpu_us());
    free(values);
}

int main(int argc, char **argv)
{
    pthread_t sender;
    if (argc < 9 || argc > 10)
        bench_die("usage: latency BOOTSTRAP IN OUT PARTITIONS FIRST RATE SECONDS GRACE_MS [TIMERS]");
    load = (struct load){.bootstrap = argv[1], .in = argv[2], .out = argv[3]};
    load.first = bench_number(argv[5], "FIRST", 0);
    load.rate = bench_number(argv[6], "RATE", 0);
    load.seconds = bench_number(argv[7], "SECONDS", 1);
    load.grace_ms = bench_number(argv[8], "GRACE_MS", 0);
    load.timers_wanted = argc == 10 ? bench_number(argv[9], "TIMERS", 0) : 0;
    load.n = load.rate * (load.seconds + WARM_S);
    load.sent_us = calloc((size_t)load.n + 1, sizeof(int64_t));
    load.took_us = calloc((size_t)load.n + 1, sizeof(int64_t));
    if (load.sent_us == NULL || load.took_us == NULL || pthread_create(&sender, NULL, send_all, NULL) != 0)
        bench_die("out of memory or threads");
    read_changes((int)bench_number(argv[4], "PARTITIONS", 1));
    pthread_join(sender, NULL);
    print_all();
    free(load.sent_us);
    free(load.took_us);
    free(load.timers);
    return 0;
}
