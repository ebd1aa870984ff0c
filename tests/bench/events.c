/* Prints events, one CloudEvent of about 185 bytes a line, evenly over a time; the same arguments give the same lines.
 *   events N CUSTOMERS SPAN_MS BASE_MS skew|each shop|orders|logins|TYPES|own:TYPES [FIRST]
 * skew: customer CUSTOMERS * u^2, u uniform; each: one after the other. shop: orders, logins, live-stream views, chat
 * messages alike; orders, logins: these alone; a number: types t0, t1, ... alike; own: each customer has one of these. FIRST: the
 * number of the first event and, with each, of its customer. */
#include "bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 5;

static uint64_t random_bits(void) /* splitmix64 */
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double uniform(void)
{
    return (double)(random_bits() >> 11) * 0x1p-53;
}

static const char *const shop[] = {"order.paid", "login", "live.view", "chat.message"};

/* Of which types events are: of `n` numbered ones, or, if that is 0, the shop's from one on. */
struct types {
    int64_t n;
    bool own;
    uint64_t from, to; /* of the shop's */
};

static struct types types_of(const char *text)
{
    if (strcmp(text, "shop") == 0)
        return (struct types){0, false, 0, 4};
    if (strcmp(text, "orders") == 0)
        return (struct types){0, false, 0, 1};
    if (strcmp(text, "logins") == 0)
        return (struct types){0, false, 1, 2};
    bool own = strncmp(text, "own:", 4) == 0;
    return (struct types){bench_number(text + (own ? 4 : 0), "TYPES", 1), own, 0, 0};
}

static void print_event(int64_t id, int64_t customer, int64_t at_ms, struct types types)
{
    static char second[BENCH_TEXT_MAX];
    static int64_t known = -1;
    char numbered[BENCH_TEXT_MAX], data[BENCH_TEXT_MAX];
    uint64_t pick = types.own ? (uint64_t)customer : random_bits();
    const char *type = types.n > 0 ? numbered : shop[types.from + pick % (types.to - types.from)];
    snprintf(numbered, sizeof(numbered), "t%" PRIu64, types.n > 0 ? pick % (uint64_t)types.n : 0);
    snprintf(data, sizeof(data), "{\"room\":\"r1\"}");
    if (type == shop[0])
        snprintf(data, sizeof(data), "{\"amount\":%.2f}", uniform() * 500);
    if (at_ms / 1000 != known)
        bench_write_instant(second, at_ms);
    known = at_ms / 1000;
    printf("{\"specversion\":\"1.0\",\"id\":\"e%" PRId64
           "\",\"source\":\"douyin\",\"type\":\"%s\",\"subject\":\"C%07" PRId64
           "\",\"time\":\"%.19s.%03dZ\",\"datacontenttype\":\"application/json\",\"data\":%s}\n",
           id, type, customer, second, (int)(at_ms % 1000), data);
}

int main(int argc, char **argv)
{
    if (argc < 7 || argc > 8)
        bench_die("usage: events N CUSTOMERS SPAN_MS BASE_MS skew|each shop|orders|logins|TYPES|own:TYPES [FIRST]");
    int64_t n = bench_number(argv[1], "N", 1), customers = bench_number(argv[2], "CUSTOMERS", 1);
    int64_t span_ms = bench_number(argv[3], "SPAN_MS", 0), base_ms = bench_number(argv[4], "BASE_MS", 0);
    bool skew = strcmp(argv[5], "skew") == 0;
    struct types types = types_of(argv[6]);
    int64_t first = argc == 8 ? bench_number(argv[7], "FIRST", 0) : 0;
    state += (uint64_t)first;
    for (int64_t i = 0; i < n; i++) {
        double u = uniform();
        int64_t customer = skew ? (int64_t)((double)customers * u * u) : (first + i) % customers;
        print_event(first + i, customer, base_ms + (int64_t)((double)span_ms * (double)i / (double)n), types);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
