#include "command/status.h"

#include "command/health.h"
#include "log/recent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t load(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static uint64_t letters_of(const struct tagd_worker_stats *stats, int code)
{
    return load(&stats->dead_letters[code]);
}

struct tagd_recent_counts tagd_status_counts(const struct tagd_worker_stats *stats)
{
    struct tagd_recent_counts counts = {.records = load(&stats->records)};
    counts.changes = load(&stats->changes_event) + load(&stats->changes_time) + load(&stats->changes_manual) +
                     load(&stats->changes_review) + load(&stats->repair_changes);
    for (int code = TAGD_EVENT_OK + 1; code < TAGD_EVENT_CODES; code++)
        counts.dead_letters += letters_of(stats, code);
    return counts;
}

/* ---- what was seen ---- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct tagd_health_shard *)a)->shard, y = ((const struct tagd_health_shard *)b)->shard;
    return (x > y) - (x < y);
}

static struct tagd_health_shard fact_of(const struct tagd_metrics_info *info, const struct tagd_metrics_shard *shard)
{
    const struct tagd_shard_stats *stats = &shard->stats;
    struct tagd_health_shard fact = {.shard = stats->shard,
                                     .lag_records = tagd_metrics_lag_records(shard, info->n_topics),
                                     .status = tagd_shard_status_at(stats, info->mono_ms),
                                     .still_ms = info->mono_ms - stats->progress_ms,
                                     .since_ms = info->mono_ms - shard->since_ms,
                                     .lag_ms = stats->watermark_ms == INT64_MIN ? INT64_MIN
                                                                                : info->wall_ms - stats->watermark_ms};
    for (size_t topic = 0; topic < info->n_topics; topic++)
        fact.open_ms = shard->open_ms[topic] > fact.open_ms ? shard->open_ms[topic] : fact.open_ms;
    return fact;
}

static struct tagd_health_shard *facts_of(const struct tagd_metrics_info *info,
                                          const struct tagd_metrics_worker *workers, size_t n_workers, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < n_workers; i++)
        *n += workers[i].n_shards;
    struct tagd_health_shard *facts = tagd_xcalloc(*n + 1, sizeof(*facts));
    *n = 0;
    for (size_t i = 0; i < n_workers; i++)
        for (size_t k = 0; k < workers[i].n_shards; k++)
            facts[(*n)++] = fact_of(info, &workers[i].shards[k]);
    qsort(facts, *n, sizeof(*facts), by_number);
    return facts;
}

static const char *redis_place(const struct tagd_config *config, char text[300])
{
    const char *host = config->redis.host;
    if (host == NULL)
        return config->redis.unix_path;
    snprintf(text, 300, strchr(host, ':') == NULL ? "%s:%d" : "[%s]:%d", host, config->redis.port);
    return text;
}

static void judge(const struct run *run, const struct tagd_metrics_info *info,
                  const struct tagd_metrics_worker *workers, struct tagd_health_facts *facts,
                  const struct tagd_watched *watched, struct tagd_health *health)
{
    char redis[300];
    int64_t minute_ms, trouble_ms = tagd_io_kafka_trouble_ms();
    facts->uptime_ms = info->wall_ms - info->started_ms;
    facts->redis = redis_place(run->config, redis);
    facts->kafka = run->config->bootstrap_servers;
    facts->config = run->path;
    facts->redis_silent_ms = info->mono_ms - watched->answered_ms;
    facts->redis_why = watched->why;
    facts->kafka_trouble_ms = trouble_ms == 0 ? INT64_MAX : info->mono_ms - trouble_ms;
    facts->held = &watched->held;
    facts->n_sources = run->config->n_sources;
    facts->server = &watched->server;
    facts->minute = tagd_recent_minute(run->recent, &minute_ms);
    facts->time_events = run->config->time_events;
    facts->grace_ms = run->config->grace_ms;
    for (size_t i = 0; i < run->n_workers; i++) {
        const struct run_worker *worker = &run->workers[i];
        bool finished = __atomic_load_n(&worker->finished, __ATOMIC_ACQUIRE);
        facts->assignments += load(&workers[i].io->assignments);
        facts->clock_parted = facts->clock_parted || load(&workers[i].stats->clock_parted) > 0;
        facts->step_ms = !finished && workers[i].step_ms > facts->step_ms ? workers[i].step_ms : facts->step_ms;
        if (finished && worker->error.text[0] != '\0')
            facts->failed = worker->error.text;
    }
    tagd_health_judge(facts, health);
}

/* ---- as JSON ---- */

static void add_text(struct tagd_buf *out, const char *key, const char *text)
{
    tagd_buf_printf(out, "\"%s\":", key);
    tagd_buf_add_json(out, tagd_str_of(text));
}

static void add_time(struct tagd_buf *out, const char *key, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    tagd_time_format(ms, text);
    tagd_buf_printf(out, "\"%s\":\"%s\"", key, text);
}

static void add_process(const struct run *run, const struct tagd_metrics_info *info, struct tagd_buf *out)
{
    add_text(out, "version", info->version);
    tagd_buf_add_byte(out, ',');
    add_text(out, "group", info->group);
    tagd_buf_add_byte(out, ',');
    add_text(out, "instance", run->config->instance);
    tagd_buf_add_byte(out, ',');
    add_text(out, "config", run->path);
    tagd_buf_add_z(out, ",\"catalog\":{");
    add_text(out, "name", info->catalog);
    tagd_buf_add_byte(out, ',');
    add_text(out, "version", tagd_catalog_version(run->catalog));
    tagd_buf_add_byte(out, ',');
    add_text(out, "hash", info->catalog_hash);
    tagd_buf_add_z(out, "},");
    add_text(out, "delivery", run->config->at_least_once ? "at_least_once" : "exactly_once");
    tagd_buf_printf(out, ",\"time\":\"%s\",\"grace_seconds\":%.3f,\"workers\":%zu,",
                    info->time_events ? "events" : "live", (double)info->grace_ms / 1000, run->n_workers);
    add_time(out, "as_of", info->wall_ms);
    tagd_buf_add_byte(out, ',');
    add_time(out, "started", info->started_ms);
    tagd_buf_printf(out, ",\"uptime_seconds\":%.3f", (double)(info->wall_ms - info->started_ms) / 1000);
}

static void add_verdict(const struct tagd_health *health, struct tagd_buf *out)
{
    tagd_buf_printf(out, ",\n\"verdict\":{\"severity\":\"%s\",\"keeping_up\":%s,", tagd_severity_name(health->severity),
                    health->keeps_up ? "true" : "false");
    add_text(out, "headline", health->headline);
    tagd_buf_add_z(out, ",\"problems\":[");
    for (size_t i = 0; i < health->n_problems; i++) {
        const struct tagd_problem *problem = &health->problems[i];
        tagd_buf_printf(out, "%s{\"severity\":\"%s\",", i > 0 ? "," : "", tagd_severity_name(problem->severity));
        add_text(out, "what", problem->what);
        tagd_buf_add_byte(out, ',');
        add_text(out, "do", problem->remedy);
        tagd_buf_add_byte(out, '}');
    }
    tagd_buf_add_z(out, "]}");
}

static void add_shard(const struct tagd_health_shard *shard, struct tagd_buf *out)
{
    tagd_buf_printf(out, "{\"shard\":%" PRIu32 ",\"status\":\"%s\",\"since_seconds\":%.3f", shard->shard,
                    tagd_shard_status_name(shard->status), (double)shard->since_ms / 1000);
    if (shard->status == TAGD_SHARD_STALLED)
        tagd_buf_printf(out, ",\"still_seconds\":%.3f", (double)shard->still_ms / 1000);
    else
        tagd_buf_add_z(out, ",\"still_seconds\":null");
    if (shard->lag_ms == INT64_MIN)
        tagd_buf_add_z(out, ",\"lag_seconds\":null");
    else
        tagd_buf_printf(out, ",\"lag_seconds\":%.3f", (double)shard->lag_ms / 1000);
    if (shard->lag_records < 0)
        tagd_buf_add_z(out, ",\"lag_records\":null}");
    else
        tagd_buf_printf(out, ",\"lag_records\":%" PRId64 "}", shard->lag_records);
}

static void add_counts(const struct run *run, const struct tagd_metrics_worker *workers, struct tagd_buf *out)
{
    struct tagd_recent_counts all = {0, 0, 0};
    uint64_t held_batches = 0, held_bytes = 0;
    int64_t ms;
    struct tagd_recent_counts minute = tagd_recent_minute(run->recent, &ms);
    for (size_t i = 0; i < run->n_workers; i++) {
        struct tagd_recent_counts of = tagd_status_counts(workers[i].stats);
        all.records += of.records;
        all.changes += of.changes;
        all.dead_letters += of.dead_letters;
        held_batches += load(&workers[i].stats->held_batches);
        held_bytes += load(&workers[i].stats->held_bytes);
    }
    tagd_buf_printf(out,
                    ",\n\"counts\":{\"records\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"dead_letters\":%" PRIu64
                    ",\"held_batches\":%" PRIu64 ",\"held_bytes\":%" PRIu64 "}",
                    all.records, all.changes, all.dead_letters, held_batches, held_bytes);
    tagd_buf_printf(out,
                    ",\n\"minute\":{\"seconds\":%.3f,\"records\":%" PRIu64 ",\"changes\":%" PRIu64
                    ",\"dead_letters\":%" PRIu64 "}",
                    (double)ms / 1000, minute.records, minute.changes, minute.dead_letters);
}

static void add_redis(const struct tagd_watched *watched, const struct tagd_health_facts *facts, struct tagd_buf *out)
{
    const struct tagd_io_server *server = &watched->server;
    tagd_buf_printf(out,
                    ",\n\"redis\":{\"up\":%s,\"silent_seconds\":%.3f,\"memory_bytes\":%" PRId64
                    ",\"memory_limit_bytes\":%" PRId64 ",\"aof\":%s,\"aof_failing\":%s,\"evicted_keys\":%" PRId64 "}",
                    watched->up && facts->redis_silent_ms <= TAGD_HEALTH_REDIS_MS ? "true" : "false",
                    (double)facts->redis_silent_ms / 1000, server->memory_bytes, server->memory_max_bytes,
                    server->aof ? "true" : "false", server->aof_failing ? "true" : "false", server->evicted);
}

static void add_log(struct tagd_buf *out)
{
    struct tagd_log_kept *lines = tagd_xmalloc(TAGD_LOG_RECENT_MAX * sizeof(*lines));
    size_t n = tagd_log_recent(lines, TAGD_LOG_RECENT_MAX);
    tagd_buf_add_z(out, ",\n\"log\":[");
    for (size_t i = 0; i < n; i++) {
        tagd_buf_add_z(out, i > 0 ? ",\n{" : "\n{");
        add_time(out, "time", lines[i].wall_ms);
        tagd_buf_printf(out, ",\"level\":\"%s\",", lines[i].level == TAGD_NOTE_ERROR ? "error" : "warn");
        add_text(out, "text", lines[i].text);
        tagd_buf_add_byte(out, '}');
    }
    tagd_buf_add_byte(out, ']');
    free(lines);
}

void tagd_status_letters_json(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out)
{
    tagd_buf_add_byte(out, '{');
    for (int code = TAGD_EVENT_OK + 1; code < TAGD_EVENT_CODES; code++) {
        uint64_t letters = 0;
        for (size_t i = 0; i < n; i++)
            letters += letters_of(workers[i].stats, code);
        tagd_buf_printf(out, "%s\"%s\":%" PRIu64, code > TAGD_EVENT_OK + 1 ? "," : "",
                        tagd_event_code_name((enum tagd_event_code)code), letters);
    }
    tagd_buf_add_byte(out, '}');
}

void tagd_status_json(const struct run *run, const struct tagd_metrics_info *info,
                      const struct tagd_metrics_worker *workers, struct tagd_buf *out)
{
    struct tagd_health_facts facts = {0};
    struct tagd_watched *watched = tagd_xmalloc(sizeof(*watched));
    struct tagd_health *health = tagd_xmalloc(sizeof(*health));
    struct tagd_health_shard *shards = facts_of(info, workers, run->n_workers, &facts.n_shards);
    facts.shards = shards;
    tagd_watch_look(run->watch, watched);
    judge(run, info, workers, &facts, watched, health);
    tagd_buf_add_byte(out, '{');
    add_process(run, info, out);
    add_verdict(health, out);
    tagd_buf_add_z(out, ",\n\"shards\":[");
    for (size_t i = 0; i < facts.n_shards; i++) {
        tagd_buf_add_z(out, i > 0 ? ",\n" : "\n");
        add_shard(&shards[i], out);
    }
    tagd_buf_add_z(out, "],\n\"held\":");
    tagd_watch_json(run->watch, out);
    add_redis(watched, &facts, out);
    add_counts(run, workers, out);
    tagd_buf_add_z(out, ",\n\"dead_letters\":");
    tagd_status_letters_json(workers, run->n_workers, out);
    add_log(out);
    tagd_buf_add_z(out, "}\n");
    free(shards);
    free(health);
    free(watched);
}
