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

static void add_customer(const char *customer, const char *due, const char *revision)
{
    char key[2 * BENCH_TEXT_MAX], view[2 * BENCH_TEXT_MAX];
    snprintf(key, sizeof(key), "{bare:0}:p:%s", customer);
    snprintf(view, sizeof(view), "bare:tags:%s", customer);
    add("SET", key, profile, NULL);
    add("ZADD", "{bare:0}:timers", due, customer, NULL);
    add("DEL", view, NULL);
    add("HSET", view, "behaviour.activity", "gone", "_revision", revision, "_at", "1767225600000", NULL);
}

static void fill(int64_t n)
{
    char customer[BENCH_TEXT_MAX], due[BENCH_TEXT_MAX];
    add("SET", "{bare:0}:head", "head", NULL);
    add("SET", "{bare:0}:fence", "1", NULL);
    for (int64_t i = 0; i < n; i++) {
        snprintf(customer, sizeof(customer), "C%07" PRId64, i);
        snprintf(due, sizeof(due), "%" PRId64, 1000 + i % 60000);
        add_customer(customer, due, "1");
        if (i % FILL == FILL - 1)
            take_all();
    }
    take_all();
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
    size_t n = due->elements / 2;
    const char **words = calloc(n + 1, sizeof(*words));
    char(*keys)[BENCH_TEXT_MAX] = calloc(n + 1, sizeof(*keys));
    if (words == NULL || keys == NULL)
        bench_die("out of memory");
    words[0] = "MGET";
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof(keys[i]), "{bare:0}:p:%s", due->element[2 * i]->str);
        words[i + 1] = keys[i];
    }
    redisAppendCommandArgv(redis, (int)n + 1, words, NULL);
    pending++;
    take_all();
    free(words);
    free(keys);
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
    for (size_t i = 0; i + 1 < due->elements; i += 2)
        add_customer(due->element[i]->str, "+inf", "2");
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
