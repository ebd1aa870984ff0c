#include "command/watch.h"

#include "log/log.h"
#include "metrics/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVERY_MS 1000
#define HELD_BATCHES_MAX 10000 /* of a shard */
#define HELD_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct tagd_watch {
    struct tagd_watch_config with;
    struct tagd_brakes brakes;
    uint32_t *changes_max;
    struct tagd_io_reader *reader;   /* the thread's, */
    int64_t own_ms[TAGD_TOPICS_MAX]; /* and so are these: the latest events of this process */
    pthread_t thread;
    bool started;
    pthread_cond_t wake;
    pthread_mutex_t mutex; /* of what follows */
    bool stopping;
    bool up; /* Redis has answered the last time */
    int64_t answered_ms;
    struct tagd_error why;
    struct tagd_io_server server;
    struct tagd_held held;
    bool tripped; /* a hold is asked for, since */
    bool urgent;  /* and that was just now */
    bool refused; /* Redis didn't take it, and that was told */
    size_t trip_dimension;
    uint32_t trip_changes;
};

/* ---- what changed is told ---- */

static void say(const struct tagd_watch *watch, enum tagd_note_level level, const char *message, const char *key,
                const char *value)
{
    struct tagd_log line;
    tagd_log_begin(&line, watch->with.logger, level, message);
    if (key != NULL)
        tagd_log_text(&line, key, value);
    tagd_log_end(&line);
}

static void tell_outputs(const struct tagd_watch *watch, const struct tagd_held *now)
{
    const struct tagd_held *before = &watch->held;
    struct tagd_log line;
    if (before->outputs == now->outputs)
        return;
    if (!now->outputs) {
        say(watch, TAGD_NOTE_INFO, "outputs are released", NULL, NULL);
        return;
    }
    tagd_log_begin(&line, watch->with.logger, TAGD_NOTE_WARN,
                   "outputs are held: changes are kept and not published; look whether they are right, then \"tagd "
                   "release\" lets them go");
    tagd_log_text(&line, "by", now->by);
    tagd_log_text(&line, "why", now->why);
    tagd_log_end(&line);
}

static void tell_source(const struct tagd_watch *watch, const struct tagd_held_source *before,
                        const struct tagd_held_source *now)
{
    if (now->held && !before->held)
        say(watch, TAGD_NOTE_WARN,
            "a source is silent for longer than its expect_every: tags that silence alone would change are held; they "
            "go on when it is back, or when \"tagd release\" says that it may be silent",
            "topic", now->topic);
    else if (before->held && !now->held)
        say(watch, TAGD_NOTE_INFO, now->silent ? "a silent source is released" : "a silent source is back", "topic",
            now->topic);
}

static void tell(const struct tagd_watch *watch, const struct tagd_held *now)
{
    const struct tagd_held *before = &watch->held;
    tell_outputs(watch, now);
    for (size_t i = 0; i < watch->with.config->n_sources; i++)
        tell_source(watch, &before->sources[i], &now->sources[i]);
    if (now->clock_apart && !before->clock_apart)
        say(watch, TAGD_NOTE_WARN,
            "this host's clock and Redis's are more than a minute apart: tags that silence changes are held; set right "
            "the one that is wrong, or \"tagd release\" if both are as they should be",
            NULL, NULL);
    else if (before->clock_apart && !now->clock_apart)
        say(watch, TAGD_NOTE_INFO, "this host's clock and Redis's agree again", NULL, NULL);
}

/* ---- looking ---- */

static void set_brakes(struct tagd_watch *watch, const struct tagd_held *held)
{
    struct tagd_brakes *brakes = &watch->brakes;
    __atomic_store_n(&brakes->limits_off_ms, held->limits_off_ms, __ATOMIC_RELAXED);
    __atomic_store_n(&brakes->time_to_ms, held->time_to_ms, __ATOMIC_RELAXED);
    __atomic_store_n(&brakes->clock_agrees, !held->clock_apart, __ATOMIC_RELAXED);
    __atomic_store_n(&brakes->outputs_flow, !held->outputs, __ATOMIC_RELEASE);
}

/* A worker's wish. True: Redis has it, or there was none. */
static bool store_hold(struct tagd_watch *watch)
{
    const struct tagd_config *config = watch->with.config;
    char why[TAGD_HOLD_WHY_MAX + 1];
    struct tagd_error error;
    pthread_mutex_lock(&watch->mutex);
    watch->urgent = false;
    bool tripped = watch->tripped;
    size_t dimension = watch->trip_dimension;
    uint32_t changes = watch->trip_changes;
    pthread_mutex_unlock(&watch->mutex);
    if (!tripped)
        return true;
    snprintf(why, sizeof(why),
             "%s changed %" PRIu32 " times within a minute in a worker's shards; max_changes_per_minute is %" PRIu32,
             tagd_catalog_dimension(watch->with.catalog, dimension), changes, watch->changes_max[dimension]);
    bool stored = tagd_hold(watch->reader, config->instance, why, tagd_io_wall_ms(), &error) == TAGD_IO_OK;
    if (!stored && !watch->refused)
        say(watch, TAGD_NOTE_ERROR,
            "max_changes_per_minute is passed, and Redis doesn't take the hold: the batch waits until it does, or "
            "until "
            "\"tagd release --limits\" lets it through",
            "error", error.text);
    watch->refused = !stored;
    return stored;
}

/* Redis learns of later events than it knows; and of a source of which nobody ever read one, that it was silent from now
 * on. */
static void tell_redis(struct tagd_watch *watch, const struct tagd_held *held)
{
    struct tagd_error error;
    for (size_t i = 0; i < watch->with.config->n_sources; i++) {
        if (watch->own_ms[i] == INT64_MIN && held->sources[i].latest_ms == INT64_MIN)
            watch->own_ms[i] = tagd_io_wall_ms();
        if (watch->own_ms[i] > held->sources[i].heard_ms)
            tagd_held_heard(watch->reader, watch->with.config, i, watch->own_ms[i], &error); /* or the next time */
    }
}

static enum tagd_io_result look(struct tagd_watch *watch, struct tagd_error *error)
{
    struct tagd_held held;
    struct tagd_io_server server;
    int64_t asked_ms = tagd_io_mono_ms();
    watch->with.latest(watch->with.to, watch->own_ms);
    bool stored = store_hold(watch);
    enum tagd_io_result result =
        tagd_held_read(watch->reader, watch->with.config, watch->own_ms, &held, &server, error);
    bool up = result == TAGD_IO_OK;
    pthread_mutex_lock(&watch->mutex);
    if (watch->up && !up)
        say(watch, TAGD_NOTE_WARN, error->text, NULL, NULL);
    watch->up = up;
    if (up)
        watch->answered_ms = asked_ms;
    else
        watch->why = *error;
    if (up) {
        tagd_held_keep_clock(&held, &watch->held);
        tell(watch, &held);
        watch->tripped = watch->tripped && !stored;
        watch->held = held;
        watch->server = server;
        set_brakes(watch, &held);
    }
    pthread_mutex_unlock(&watch->mutex);
    if (up)
        tell_redis(watch, &held);
    return result;
}

/* Until it is time to look again, or a worker asks for a hold. False: it is to stop. */
static bool wait_for(struct tagd_watch *watch, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stopping && !watch->urgent && pthread_cond_timedwait(&watch->wake, &watch->mutex, &until) == 0)
        ;
    bool goes_on = !watch->stopping;
    pthread_mutex_unlock(&watch->mutex);
    return goes_on;
}

static void *look_on(void *to)
{
    struct tagd_watch *watch = to;
    struct tagd_error error;
    while (wait_for(watch, EVERY_MS))
        look(watch, &error);
    return NULL;
}

/* From a worker's thread. Once outputs are held it has been heard. */
static void on_trip(void *to, size_t dimension, uint32_t changes)
{
    struct tagd_watch *watch = to;
    pthread_mutex_lock(&watch->mutex);
    if (!watch->tripped && watch->brakes.outputs_flow) {
        watch->tripped = watch->urgent = true;
        watch->trip_dimension = dimension;
        watch->trip_changes = changes;
        pthread_cond_signal(&watch->wake);
    }
    pthread_mutex_unlock(&watch->mutex);
}

/* ---- from start to end ---- */

static uint32_t limit_of(const struct tagd_config *config, const char *dimension)
{
    uint32_t others = 0;
    for (size_t i = 0; i < config->n_changes_limits; i++) {
        if (strcmp(config->changes_limits[i].dimension, dimension) == 0)
            return config->changes_limits[i].most;
        if (strcmp(config->changes_limits[i].dimension, "*") == 0)
            others = config->changes_limits[i].most;
    }
    return others;
}

static void set_limits(struct tagd_watch *watch)
{
    const struct tagd_catalog *catalog = watch->with.catalog;
    size_t n = tagd_catalog_n_dimensions(catalog);
    if (watch->with.config->n_changes_limits == 0)
        return;
    watch->changes_max = tagd_xcalloc(n + 1, sizeof(*watch->changes_max));
    for (size_t d = 0; d < n; d++)
        if (tagd_catalog_kind(catalog, d) != TAGD_KIND_ALERT)
            watch->changes_max[d] = limit_of(watch->with.config, tagd_catalog_dimension(catalog, d));
    watch->brakes.changes_max = watch->changes_max;
}

struct tagd_watch *tagd_watch_new(const struct tagd_watch_config *with, enum tagd_io_result *result,
                                  struct tagd_error *error)
{
    struct tagd_watch *watch = tagd_xcalloc(1, sizeof(*watch));
    pthread_condattr_t monotonic;
    watch->with = *with;
    watch->answered_ms = tagd_io_mono_ms(); /* it was asked before this */
    watch->brakes.trip = on_trip;
    watch->brakes.to = watch;
    watch->brakes.held_batches_max = HELD_BATCHES_MAX;
    watch->brakes.held_bytes_max = HELD_BYTES_MAX;
    watch->brakes.time_to_ms = watch->brakes.limits_off_ms = INT64_MIN;
    for (size_t i = 0; i < TAGD_TOPICS_MAX; i++)
        watch->own_ms[i] = INT64_MIN;
    set_limits(watch);
    tagd_held_judge(with->config, NULL, 0, NULL, 0, NULL, tagd_io_wall_ms(), INT64_MIN, &watch->held);
    watch->reader = tagd_io_reader_new(with->config);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&watch->mutex, NULL);
    *result = look(watch, error);
    return watch;
}

void tagd_watch_start(struct tagd_watch *watch)
{
    if (pthread_create(&watch->thread, NULL, look_on, watch) != 0)
        abort();
    watch->started = true;
}

void tagd_watch_free(struct tagd_watch *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->mutex);
    if (watch->started)
        pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->mutex);
    tagd_io_reader_free(watch->reader);
    free(watch->changes_max);
    free(watch);
}

struct tagd_brakes *tagd_watch_brakes(struct tagd_watch *watch)
{
    return &watch->brakes;
}

/* ---- what others see of it ---- */

static bool copy(struct tagd_watch *watch, struct tagd_held *held, struct tagd_io_server *server)
{
    pthread_mutex_lock(&watch->mutex);
    *held = watch->held;
    *server = watch->server;
    bool up = watch->up;
    pthread_mutex_unlock(&watch->mutex);
    return up;
}

void tagd_watch_look(struct tagd_watch *watch, struct tagd_watched *watched)
{
    watched->up = copy(watch, &watched->held, &watched->server);
    pthread_mutex_lock(&watch->mutex);
    watched->answered_ms = watch->answered_ms;
    snprintf(watched->why, sizeof(watched->why), "%s", watched->up ? "" : watch->why.text);
    pthread_mutex_unlock(&watch->mutex);
}

static void gauge(struct tagd_buf *out, const char *name, const char *help, int64_t value)
{
    tagd_metrics_head(out, name, help, "gauge");
    tagd_buf_printf(out, "%s %" PRId64 "\n", name, value);
}

static void write_server(const struct tagd_io_server *server, struct tagd_buf *out)
{
    gauge(out, "tagd_redis_memory_bytes", "Memory that Redis uses.", server->memory_bytes);
    gauge(out, "tagd_redis_memory_limit_bytes", "Its maxmemory; 0: none is set.", server->memory_max_bytes);
    gauge(out, "tagd_redis_aof_enabled", "Whether it has an append-only file.", server->aof);
    gauge(out, "tagd_redis_aof_failing", "Whether writing or rewriting that file failed last.", server->aof_failing);
    tagd_metrics_head(out, "tagd_redis_evicted_keys_total", "Keys it has evicted since it started: state that is lost.",
                      "counter");
    tagd_buf_printf(out, "tagd_redis_evicted_keys_total %" PRId64 "\n", server->evicted);
    if (server->clock_ahead_ms == INT64_MIN)
        return;
    tagd_metrics_head(out, "tagd_redis_clock_offset_seconds", "How far its clock is ahead of the daemon's.", "gauge");
    tagd_buf_printf(out, "tagd_redis_clock_offset_seconds %.3f\n", (double)server->clock_ahead_ms / 1000);
}

static void by_topic(struct tagd_buf *out, const char *name, const char *topic)
{
    tagd_buf_printf(out, "%s{topic=\"", name);
    tagd_metrics_label(out, tagd_str_of(topic));
    tagd_buf_add_z(out, "\"} ");
}

static void write_sources(const struct tagd_watch *watch, const struct tagd_held *held, struct tagd_buf *out)
{
    size_t n = watch->with.config->n_sources;
    tagd_metrics_head(out, "tagd_source_latest_timestamp_seconds",
                      "Time of the topic's latest event, of all shards, whoever has read it.", "gauge");
    for (size_t i = 0; i < n; i++)
        if (held->sources[i].latest_ms != INT64_MIN) {
            by_topic(out, "tagd_source_latest_timestamp_seconds", held->sources[i].topic);
            tagd_buf_printf(out, "%.3f\n", (double)held->sources[i].latest_ms / 1000);
        }
    tagd_metrics_head(out, "tagd_source_expect_every_seconds", "The topic's expect_every, if it has one.", "gauge");
    for (size_t i = 0; i < n; i++)
        if (held->sources[i].expect_every_ms > 0) {
            by_topic(out, "tagd_source_expect_every_seconds", held->sources[i].topic);
            tagd_buf_printf(out, "%.3f\n", (double)held->sources[i].expect_every_ms / 1000);
        }
    tagd_metrics_head(out, "tagd_source_held",
                      "Whether the topic has been silent for longer than that, so that time stands.", "gauge");
    for (size_t i = 0; i < n; i++)
        if (held->sources[i].expect_every_ms > 0) {
            by_topic(out, "tagd_source_held", held->sources[i].topic);
            tagd_buf_printf(out, "%d\n", held->sources[i].held);
        }
}

void tagd_watch_metrics(struct tagd_watch *watch, struct tagd_buf *out)
{
    struct tagd_held held;
    struct tagd_io_server server;
    bool up = copy(watch, &held, &server);
    gauge(out, "tagd_redis_up", "Whether Redis answers, and is as the daemon needs it.", up);
    if (up)
        write_server(&server, out);
    gauge(out, "tagd_outputs_held", "Whether outputs are held, by a limit or by a person.", held.outputs);
    write_sources(watch, &held, out);
}

static void add_time(struct tagd_buf *out, const char *name, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    if (ms != INT64_MIN)
        tagd_time_format(ms, text);
    tagd_buf_printf(out, ms == INT64_MIN ? "\"%s\":null" : "\"%s\":\"%s\"", name, text);
}

void tagd_watch_json(struct tagd_watch *watch, struct tagd_buf *out)
{
    struct tagd_held held;
    struct tagd_io_server server;
    copy(watch, &held, &server);
    tagd_buf_add_z(out, "{\"outputs\":");
    if (held.outputs) {
        tagd_buf_add_byte(out, '{');
        add_time(out, "since", held.since_ms);
        tagd_buf_add_z(out, ",\"by\":");
        tagd_buf_add_json(out, tagd_str_of(held.by));
        tagd_buf_add_z(out, ",\"why\":");
        tagd_buf_add_json(out, tagd_str_of(held.why));
        tagd_buf_add_byte(out, '}');
    } else {
        tagd_buf_add_z(out, "null");
    }
    tagd_buf_printf(out, ",\"clock_apart\":%s,\"sources\":[", held.clock_apart ? "true" : "false");
    for (size_t i = 0; i < watch->with.config->n_sources; i++) {
        const struct tagd_held_source *source = &held.sources[i];
        tagd_buf_add_z(out, i > 0 ? ",{\"topic\":" : "{\"topic\":");
        tagd_buf_add_json(out, tagd_str_of(source->topic == NULL ? "" : source->topic));
        tagd_buf_add_byte(out, ',');
        add_time(out, "latest", source->topic == NULL ? INT64_MIN : source->latest_ms);
        if (source->expect_every_ms > 0)
            tagd_buf_printf(out, ",\"expect_every_seconds\":%.3f", (double)source->expect_every_ms / 1000);
        else
            tagd_buf_add_z(out, ",\"expect_every_seconds\":null");
        tagd_buf_printf(out, ",\"silent\":%s,\"held\":%s}", source->silent ? "true" : "false",
                        source->held ? "true" : "false");
    }
    tagd_buf_add_z(out, "]}");
}
