/* What the programs of the benchmark share: an end with a sentence, clocks, arguments, librdkafka clients, percentiles. */
#ifndef TAGD_TESTS_BENCH_H
#define TAGD_TESTS_BENCH_H
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_TEXT_MAX 64

struct bench_span {
    const char *p; /* NULL: not there */
    size_t n;
};

/* Says why on stderr and ends the program with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

int64_t bench_now_us(void);  /* monotonic */
int64_t bench_wall_us(void); /* since 1970 */
int64_t bench_cpu_us(void);  /* this process, all threads, user and system */

/* A whole number of at least `least`, or the end; `what` names it. */
int64_t bench_number(const char *text, const char *what, int64_t least);

/* librdkafka properties, name and value in turn, NULL at the end. The client is made of them and the bootstrap servers.
 * A record that a producer can't deliver ends the program. */
rd_kafka_t *bench_client(rd_kafka_type_t type, const char *bootstrap, const char *const *properties);

/* A consumer with no group's help: all partitions of a topic, from an offset (RD_KAFKA_OFFSET_BEGINNING, _END). */
rd_kafka_t *bench_reader(const char *bootstrap, const char *topic, int partitions, int64_t from, bool committed_only);

/* Blocks until the client's queue has room. The broker sets the time if time_ms is 0. */
void bench_produce(rd_kafka_t *producer, const char *topic, struct bench_span key, struct bench_span value,
                   int64_t time_ms);

/* What stands between the name's quote and the next one: the text of "name":"text". The first that is found. */
struct bench_span bench_member(struct bench_span json, const char *name);

/* The member's instant in ms: RFC 3339 in UTC with milliseconds, or a plain number. */
int64_t bench_instant(struct bench_span json, const char *name);

/* Writes "YYYY-MM-DDTHH:MM:SS.mmmZ" and a NUL. */
void bench_write_instant(char text[static BENCH_TEXT_MAX], int64_t ms);

/* Prints {"n", "p50", "p99", "p999", "max"} of the values, which it sorts. */
void bench_print_quantiles(int64_t *values, size_t n);
#endif
