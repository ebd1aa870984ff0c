/* The Redis commands of timers that fire, and nothing else: what a daemon that costs nothing would need. Fills N customers'
 * profiles, timers and views, then lets all timers fire, BATCH at a time, with the commands and sizes that tagd's commits have
 * (daemon/io/redis.c). Prints {"timers", "seconds", "cpu_us"} of the firing.
 *   pipeline PORT N BATCH PROFILE_BYTES OUTPUT_BYTES */
#include "bench.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 16
#define FILL 10000
#define WIDE 1000 /* customers of one command */

static redisContext *redis;
static int64_t pending;
static char *profile, *outputs;

/* Texts, NULL at the end. */
static void add(const char *word, ...)
{
    const char *words[ARGUMENTS_MAX];
    int n = 0;
    va_list more;
    va_start(more, word);
    for (; word != NULL && n < ARGUMENTS_MAX; word = va_arg(more, const char *))
        words[n++] = word;
    va_end(more);
    redisAppendCommandArgv(redis, n, words, NULL);
    pending++;
}

static redisReply *take(void)
{
    redisReply *reply = NULL;
    if (redisGetReply(redis, (void **)&reply) != REDIS_OK || reply->type == REDIS_REPLY_ERROR)
        bench_die("Redis: %s", reply == NULL ? redis->errstr : reply->str);
    pending--;
    return reply;
}

static void take_all(void)
{
    while (pending > 0)
        freeReplyObject(take());
}

/* One command over many customers, a few words for each. */
struct wide {
    const char **words;
    size_t n, cap;
};

static void word(struct wide *wide, const char *text)
{
    if (wide->n == wide->cap) {
        wide->cap = wide->cap ? wide->cap * 2 : 1024;
        wide->words = realloc(wide->words, wide->cap * sizeof(*wide->words));
        if (wide->words == NULL)
            bench_die("out of memory");
    }
    wide->words[wide->n++] = text;
}

static void begin(struct wide *wide, const char *command, const char *key)
{
    wide->n = 0;
    word(wide, command);
    word(wide, key);
}

static void end(const struct wide *wide)
{
    redisAppendCommandArgv(redis, (int)wide->n, wide->words, NULL);
    pending++;
}

/* Profiles and timers by the thousand, a view each. */
static void write_customers(const char *const *customers, const char *const *dues, size_t n, const char *revision)
{
    static struct wide profiles, timers;
    char view[2 * BENCH_TEXT_MAX];
    for (size_t from = 0; from < n; from += WIDE) {
        begin(&profiles, "HSET", "{bare:0}:profiles");
        begin(&timers, "ZADD", "{bare:0}:timers");
        for (size_t i = from; i < n && i < from + WIDE; i++) {
            word(&profiles, customers[i]);
            word(&profiles, profile);
            word(&timers, dues[i]);
            word(&timers, customers[i]);
        }
        end(&profiles);
        end(&timers);
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(view, sizeof(view), "bare:tags:%s", customers[i]);
        add("HSET", view, "behaviour.activity", "gone", "_revision", revision, "_at", "1767225600000", NULL);
    }
}

static void fill(int64_t n)
{
    static char customer[FILL][BENCH_TEXT_MAX], due[FILL][BENCH_TEXT_MAX];
    const char *customers[FILL], *dues[FILL];
    add("SET", "{bare:0}:head", "head", NULL);
    add("SET", "{bare:0}:fence", "1", NULL);
    for (int64_t from = 0; from < n; from += FILL) {
        size_t some = n - from < FILL ? (size_t)(n - from) : FILL;
        for (size_t i = 0; i < some; i++) {
            snprintf(customer[i], sizeof(customer[i]), "C%07" PRId64, from + (int64_t)i);
            snprintf(due[i], sizeof(due[i]), "%" PRId64, 1000 + (from + (int64_t)i) % 60000);
            customers[i] = customer[i];
            dues[i] = due[i];
        }
        write_customers(customers, dues, some, "1");
        take_all();
    }
}

static redisReply *ask_due(const char *most)
{
    add("ZRANGEBYSCORE", "{bare:0}:timers", "-inf", "100000", "WITHSCORES", "LIMIT", "0", most, NULL);
    add("ZRANGEBYSCORE", "{bare:0}:timers", "(100000", "+inf", "WITHSCORES", "LIMIT", "0", "1", NULL);
    redisReply *due = take();
    take_all();
    return due;
}

static void load_profiles(const redisReply *due)
{
    static struct wide wide;
    for (size_t i = 0; i + 1 < due->elements; i += 2) {
        if (i % (2 * WIDE) == 0)
            begin(&wide, "HMGET", "{bare:0}:profiles");
        word(&wide, due->element[i]->str);
        if (i % (2 * WIDE) == 2 * WIDE - 2 || i + 3 >= due->elements)
            end(&wide);
    }
    take_all();
}

static void commit(const redisReply *due, int64_t batch)
{
    char this_batch[BENCH_TEXT_MAX], last_batch[BENCH_TEXT_MAX];
    snprintf(this_batch, sizeof(this_batch), "%" PRId64, batch);
    snprintf(last_batch, sizeof(last_batch), "%" PRId64, batch - 1);
    add("WATCH", "{bare:0}:fence", "{bare:0}:head", NULL);
    add("MGET", "{bare:0}:fence", "{bare:0}:head", NULL);
    take_all();
    add("MULTI", NULL);
    add("SET", "{bare:0}:head", this_batch, NULL);
    struct wide customers = {0}, dues = {0};
    for (size_t i = 0; i + 1 < due->elements; i += 2) {
        word(&customers, due->element[i]->str);
        word(&dues, "+inf");
    }
    write_customers(customers.words, dues.words, customers.n, "2");
    free(customers.words);
    free(dues.words);
    add("HSET", "{bare:0}:outbox", this_batch, outputs, NULL);
    add("ZINCRBY", "{bare:0}:population:tags", "1", "gone", NULL);
    add("HDEL", "{bare:0}:outbox", last_batch, NULL);
    add("EXEC", NULL);
    take_all();
}

static char *text_of(int64_t n)
{
    char *text = calloc((size_t)n + 1, 1);
    if (text == NULL)
        bench_die("out of memory");
    return memset(text, 'x', (size_t)n);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        bench_die("usage: pipeline PORT N BATCH PROFILE_BYTES OUTPUT_BYTES");
    int64_t n = bench_number(argv[2], "N", 1), most = bench_number(argv[3], "BATCH", 1), fired = 0, batch = 0;
    redis = redisConnect("127.0.0.1", (int)bench_number(argv[1], "PORT", 1));
    if (redis == NULL || redis->err)
        bench_die("no Redis on port %s", argv[1]);
    profile = text_of(bench_number(argv[4], "PROFILE_BYTES", 1));
    outputs = text_of(bench_number(argv[5], "OUTPUT_BYTES", 1) * most);
    fill(n);
    int64_t began = bench_now_us(), cpu = bench_cpu_us();
    while (fired < n) {
        redisReply *due = ask_due(argv[3]);
        load_profiles(due);
        commit(due, ++batch);
        fired += (int64_t)due->elements / 2;
        freeReplyObject(due);
    }
    printf("{\"timers\": %" PRId64 ", \"seconds\": %.3f, \"cpu_us\": %" PRId64 "}\n", fired,
           (double)(bench_now_us() - began) / 1e6, bench_cpu_us() - cpu);
    redisFree(redis);
    free(profile);
    free(outputs);
    return 0;
}
