#include "command/watch.h"

#include "metrics/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define EVERY_MS 2000

struct tagd_watch {
    struct tagd_io_reader *reader; /* the thread's */
    pthread_t thread;
    pthread_cond_t wake;
    pthread_mutex_t mutex; /* of what follows */
    bool stopping;
    bool up; /* Redis has answered the last time */
    struct tagd_io_server server;
};

static void look(struct tagd_watch *watch)
{
    struct tagd_error error;
    struct tagd_io_server server;
    bool up = tagd_io_read_server(watch->reader, &server, &error) == TAGD_IO_OK;
    pthread_mutex_lock(&watch->mutex);
    watch->up = up;
    if (up)
        watch->server = server;
    pthread_mutex_unlock(&watch->mutex);
}

/* False: it is to stop. */
static bool wait_for(struct tagd_watch *watch, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stopping && pthread_cond_timedwait(&watch->wake, &watch->mutex, &until) == 0)
        ;
    bool goes_on = !watch->stopping;
    pthread_mutex_unlock(&watch->mutex);
    return goes_on;
}

static void *look_on(void *to)
{
    struct tagd_watch *watch = to;
    do
        look(watch);
    while (wait_for(watch, EVERY_MS));
    return NULL;
}

struct tagd_watch *tagd_watch_new(const struct tagd_config *config)
{
    struct tagd_watch *watch = tagd_xcalloc(1, sizeof(*watch));
    pthread_condattr_t monotonic;
    watch->reader = tagd_io_reader_new(config);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&watch->mutex, NULL);
    if (pthread_create(&watch->thread, NULL, look_on, watch) != 0)
        abort();
    return watch;
}

void tagd_watch_free(struct tagd_watch *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->mutex);
    tagd_io_reader_free(watch->reader);
    free(watch);
}

static void gauge(struct tagd_buf *out, const char *name, const char *help, int64_t value)
{
    tagd_metrics_head(out, name, help, "gauge");
    tagd_buf_printf(out, "%s %" PRId64 "\n", name, value);
}

void tagd_watch_metrics(struct tagd_watch *watch, struct tagd_buf *out)
{
    pthread_mutex_lock(&watch->mutex);
    struct tagd_io_server server = watch->server;
    bool up = watch->up;
    pthread_mutex_unlock(&watch->mutex);
    gauge(out, "tagd_redis_up", "Whether Redis answers, and is as the daemon needs it.", up);
    if (!up)
        return;
    gauge(out, "tagd_redis_memory_bytes", "Memory that Redis uses.", server.memory_bytes);
    gauge(out, "tagd_redis_memory_limit_bytes", "Its maxmemory; 0: none is set.", server.memory_max_bytes);
    gauge(out, "tagd_redis_aof_enabled", "Whether it has an append-only file.", server.aof);
    gauge(out, "tagd_redis_aof_failing", "Whether writing or rewriting that file failed last.", server.aof_failing);
    tagd_metrics_head(out, "tagd_redis_evicted_keys_total", "Keys it has evicted since it started: state that is lost.",
                      "counter");
    tagd_buf_printf(out, "tagd_redis_evicted_keys_total %" PRId64 "\n", server.evicted);
    if (server.clock_ahead_ms == INT64_MIN)
        return;
    tagd_metrics_head(out, "tagd_redis_clock_offset_seconds", "How far its clock is ahead of the daemon's.", "gauge");
    tagd_buf_printf(out, "tagd_redis_clock_offset_seconds %.3f\n", (double)server.clock_ahead_ms / 1000);
}
