#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

int64_t bench_now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t bench_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t bench_cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return ((int64_t)used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec +
           used.ru_stime.tv_usec;
}

int64_t bench_number(const char *text, const char *what, int64_t least)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < least)
        bench_die("%s: a whole number of at least %" PRId64 ", not \"%s\"", what, least, text);
    return n;
}

static void refuse_loss(rd_kafka_t *producer, const rd_kafka_message_t *message, void *nothing)
{
    (void)producer;
    (void)nothing;
    if (message->err)
        bench_die("not produced: %s", rd_kafka_err2str(message->err));
}

rd_kafka_t *bench_client(rd_kafka_type_t type, const char *bootstrap, const char *const *properties)
{
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const common[] = {
        "bootstrap.servers", bootstrap, "socket.nagle.disable", "true", "log_level", "3", NULL};
    const char *const *lists[] = {common, properties};
    for (size_t i = 0; i < 2; i++)
        for (const char *const *p = lists[i]; *p != NULL; p += 2)
            if (rd_kafka_conf_set(conf, p[0], p[1], error, sizeof(error)) != RD_KAFKA_CONF_OK)
                bench_die("%s", error);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, refuse_loss);
    rd_kafka_t *client = rd_kafka_new(type, conf, error, sizeof(error));
    if (client == NULL)
        bench_die("%s", error);
    return client;
}

rd_kafka_t *bench_reader(const char *bootstrap, const char *topic, int partitions, int64_t from, bool committed_only)
{
    const char *const properties[] = {"group.id",
                                      "bench",
                                      "enable.auto.commit",
                                      "false",
                                      "fetch.wait.max.ms",
                                      "50",
                                      "enable.partition.eof",
                                      "true",
                                      "queued.min.messages",
                                      "1000000",
                                      "isolation.level",
                                      committed_only ? "read_committed" : "read_uncommitted",
                                      NULL};
    rd_kafka_t *consumer = bench_client(RD_KAFKA_CONSUMER, bootstrap, properties);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_poll_set_consumer(consumer);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = from;
    rd_kafka_resp_err_t failed = rd_kafka_assign(consumer, list);
    if (failed)
        bench_die("%s: %s", topic, rd_kafka_err2str(failed));
    rd_kafka_topic_partition_list_destroy(list);
    return consumer;
}

void bench_produce(rd_kafka_t *producer, const char *topic, struct bench_span key, struct bench_span value,
                   int64_t time_ms)
{
    for (;;) {
        rd_kafka_resp_err_t failed =
            rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key.p, key.n),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_END);
        if (!failed)
            break;
        if (failed != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            bench_die("%s: %s", topic, rd_kafka_err2str(failed));
        rd_kafka_poll(producer, 10);
    }
}

struct bench_span bench_member(struct bench_span json, const char *name)
{
    char quoted[BENCH_TEXT_MAX];
    struct bench_span found = {NULL, 0};
    int n = snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    const char *p = memmem(json.p, json.n, quoted, (size_t)n);
    if (p == NULL)
        return found;
    const char *end = json.p + json.n;
    p += n;
    bool text = p < end && *p == '"';
    found.p = text ? p + 1 : p;
    p = found.p;
    while (p < end && *p != '"' && (text || (*p != ',' && *p != '}')))
        p++;
    found.n = (size_t)(p - found.p);
    return found;
}

static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int digits(const char *p, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++)
        value = value * 10 + (p[i] - '0');
    return value;
}

int64_t bench_instant(struct bench_span json, const char *name)
{
    struct bench_span at = bench_member(json, name);
    if (at.p == NULL)
        bench_die("no %s in %.*s", name, (int)json.n, json.p);
    if (at.n != strlen("2026-01-01T00:00:00.000Z") || at.p[10] != 'T')
        return strtoll(at.p, NULL, 10);
    const char *p = at.p;
    int64_t days = days_from_civil(digits(p, 4), digits(p + 5, 2), digits(p + 8, 2));
    return (((days * 24 + digits(p + 11, 2)) * 60 + digits(p + 14, 2)) * 60 + digits(p + 17, 2)) * 1000 +
           digits(p + 20, 3);
}

void bench_write_instant(char text[static BENCH_TEXT_MAX], int64_t ms)
{
    struct tm at;
    time_t seconds = (time_t)(ms / 1000);
    gmtime_r(&seconds, &at);
    size_t n = strftime(text, BENCH_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &at);
    snprintf(text + n, BENCH_TEXT_MAX - n, ".%03dZ", (int)(ms % 1000));
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void bench_print_quantiles(int64_t *values, size_t n)
{
    if (n == 0) {
        printf("{\"n\": 0}");
        return;
    }
    qsort(values, n, sizeof(*values), by_value);
    printf("{\"n\": %zu, \"p50\": %" PRId64 ", \"p99\": %" PRId64 ", \"p999\": %" PRId64 ", \"max\": %" PRId64 "}", n,
           values[n / 2], values[n * 99 / 100], values[n * 999 / 1000], values[n - 1]);
}
