/* tagd run: the daemon. One thread a worker, each with its own connections; this thread waits for signals and looks on.
 */
#include "command/answers.h"
#include "command/load.h"
#include "command/run.h"
#include "command/servers.h"
#include "command/status.h"
#include "log/log.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START_TIMEOUT_MS 10000
#define STOP_TIMEOUT_MS 4500
#define STEP_MS 50
#define BATCH_TOLD_BYTES ((size_t)8 * 1024 * 1024) /* of outputs: what batches aim at */
#define WATCH_MS 1000                              /* between looks at the counters, and at the shards */

static void log_note(void *to, const struct tagd_note *note)
{
    tagd_log_note(((struct run *)to)->logger, note);
}

/* The daemon ends for this reason. Where the log is JSON on stderr, nothing else is to stand there. */
static int fail(const struct run *run, enum tagd_exit code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(const struct run *run, enum tagd_exit code, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tagd_service_failed(text);
    tagd_logger_flush(run->logger);
    if (!tagd_logger_is_stderr(run->logger) || tagd_logger_is_json_stderr(run->logger)) {
        struct tagd_log line;
        tagd_log_begin(&line, run->logger, TAGD_NOTE_ERROR, text);
        tagd_log_number(&line, "exit", (int64_t)code);
        tagd_log_end(&line);
    }
    return tagd_logger_is_json_stderr(run->logger) ? (int)code : tagd_command_error(code, "%s", text);
}

/* ---- what others ask of the workers ---- */

int64_t tagd_run_stood_ms(const struct run *run)
{
    int64_t now = tagd_io_mono_ms(), longest = 0;
    for (size_t i = 0; i < run->n_workers; i++) {
        int64_t stood = now - __atomic_load_n(&run->workers[i].step_ms, __ATOMIC_RELAXED);
        if (stood > longest && !__atomic_load_n(&run->workers[i].finished, __ATOMIC_ACQUIRE))
            longest = stood;
    }
    return longest;
}

/* The shards of this process's workers, as they were at the last look. */
static void flag_shards(void *to, bool *flags)
{
    struct run *run = to;
    for (size_t i = 0; i < run->n_workers; i++) {
        pthread_mutex_lock(&run->workers[i].mutex);
        for (size_t k = 0; k < run->workers[i].n_shards; k++)
            flags[run->workers[i].shards[k].stats.shard] = true;
        pthread_mutex_unlock(&run->workers[i].mutex);
    }
}

/* The latest event of each topic that workers have read. */
static void find_latest(void *to, int64_t *latest_ms)
{
    struct run *run = to;
    for (size_t i = 0; i < run->n_workers; i++) {
        pthread_mutex_lock(&run->workers[i].mutex);
        for (size_t k = 0; k < run->workers[i].n_shards; k++)
            for (size_t topic = 0; topic < run->config->n_sources; topic++)
                if (run->workers[i].shards[k].stats.latest_ms[topic] > latest_ms[topic])
                    latest_ms[topic] = run->workers[i].shards[k].stats.latest_ms[topic];
        pthread_mutex_unlock(&run->workers[i].mutex);
    }
}

/* ---- a worker's thread ---- */

/* A partition's end is before what its producers have written: one of their transactions is open. Its end moves when that
 * is over. */
static int64_t open_for(struct run_open *open, bool at_end, int64_t next, int64_t end)
{
    int64_t now = tagd_io_mono_ms();
    if (!at_end || end <= next) {
        open->since_ms = 0;
        return 0;
    }
    if (open->since_ms == 0 || open->offset != next)
        *open = (struct run_open){now, next};
    return now - open->since_ms;
}

/* Since when the shard has had its status, as far as that is looked at. */
static int64_t since_of(struct run_worker *worker, const struct tagd_shard_stats *stats)
{
    struct run_since *since = &worker->since[stats->shard];
    if (since->looks == 0 || since->looks + 1 != worker->looks || since->status != stats->status)
        *since = (struct run_since){stats->status, tagd_io_mono_ms(), 0};
    since->looks = worker->looks;
    return since->ms;
}

static void copy_shards(struct run_worker *worker)
{
    const struct run *run = worker->run;
    struct tagd_shard_stats *stats = worker->shard_stats;
    size_t n = tagd_worker_shards(worker->worker, stats, run->partitions), n_topics = run->config->n_sources;
    worker->looks++;
    pthread_mutex_lock(&worker->mutex);
    for (size_t i = 0; i < n; i++) {
        struct tagd_metrics_shard *shard = &worker->shards[i];
        shard->stats = stats[i];
        shard->since_ms = since_of(worker, &stats[i]);
        for (uint32_t topic = 0; topic < n_topics; topic++) {
            int64_t next = stats[i].next_offset[topic], end = tagd_io_end_offset(worker->io, topic, stats[i].shard);
            if (stats[i].end_offset[topic] > end)
                end = stats[i].end_offset[topic];
            shard->lag[topic] = next < 0 || end < 0 ? -1 : end > next ? end - next : 0;
            shard->open_ms[topic] =
                open_for(&worker->open[stats[i].shard * n_topics + topic], stats[i].at_end[topic], next, end);
        }
    }
    worker->n_shards = n;
    pthread_mutex_unlock(&worker->mutex);
}

/* While some don't, each step may be the one that waits for a server, and is to be seen as what it is. */
static bool all_run(const struct run_worker *worker)
{
    uint64_t ours = __atomic_load_n(&tagd_io_stats(worker->io)->shards_assigned, __ATOMIC_RELAXED);
    return __atomic_load_n(&tagd_worker_stats(worker->worker)->shards_running, __ATOMIC_RELAXED) == ours;
}

static void *work(void *to)
{
    struct run_worker *worker = to;
    bool asked = false;
    int64_t copied_ms = 0;
    for (;;) {
        int64_t now = tagd_io_mono_ms();
        __atomic_store_n(&worker->step_ms, now, __ATOMIC_RELAXED);
        if (!asked && __atomic_load_n(&worker->run->stopping, __ATOMIC_RELAXED)) {
            tagd_worker_stop(worker->worker);
            asked = true;
        }
        if (now - copied_ms >= WATCH_MS || !all_run(worker)) {
            copy_shards(worker);
            copied_ms = now;
        }
        if (!tagd_worker_step(worker->worker, STEP_MS, &worker->error))
            break;
    }
    __atomic_store_n(&worker->finished, true, __ATOMIC_RELEASE);
    return NULL;
}

/* ---- looking on ---- */

static void log_counters(struct run *run)
{
    struct tagd_metrics_worker *workers = tagd_xcalloc(run->n_workers, sizeof(*workers));
    struct tagd_metrics_watched now[TAGD_METRICS_WATCHED];
    for (size_t i = 0; i < run->n_workers; i++) {
        workers[i].stats = tagd_worker_stats(run->workers[i].worker);
        workers[i].io = tagd_io_stats(run->workers[i].io);
    }
    tagd_metrics_watch(workers, run->n_workers, now);
    for (size_t i = 0; i < TAGD_METRICS_WATCHED && now[i].name != NULL; i++) {
        struct tagd_log line;
        if (now[i].value == run->seen[i].value)
            continue;
        tagd_log_begin(&line, run->logger, now[i].warn ? TAGD_NOTE_WARN : TAGD_NOTE_INFO, now[i].name);
        tagd_log_number(&line, "new", (int64_t)(now[i].value - run->seen[i].value));
        tagd_log_number(&line, "total", (int64_t)now[i].value);
        tagd_log_end(&line);
        run->seen[i] = now[i];
    }
    free(workers);
}

static void sample(const struct run *run)
{
    struct tagd_recent_counts counts = {0, 0, 0};
    for (size_t i = 0; i < run->n_workers; i++) {
        struct tagd_recent_counts of = tagd_status_counts(tagd_worker_stats(run->workers[i].worker));
        counts.records += of.records;
        counts.changes += of.changes;
        counts.dead_letters += of.dead_letters;
    }
    tagd_recent_sample(run->recent, tagd_io_mono_ms(), counts);
}

static bool all_finished(const struct run *run)
{
    for (size_t i = 0; i < run->n_workers; i++)
        if (run->workers[i].started && !__atomic_load_n(&run->workers[i].finished, __ATOMIC_ACQUIRE))
            return false;
    return true;
}

static const struct run_worker *failed_worker(const struct run *run)
{
    for (size_t i = 0; i < run->n_workers; i++)
        if (__atomic_load_n(&run->workers[i].finished, __ATOMIC_ACQUIRE) && run->workers[i].error.text[0] != '\0')
            return &run->workers[i];
    return NULL;
}

/* "3 of 3 shards run, lag 0 records": as they were at the last look. */
static void tell_status(struct run *run, int64_t now)
{
    char text[128];
    uint64_t assigned = 0, running = 0, lag = 0, unknown = 0;
    for (size_t i = 0; i < run->n_workers; i++) {
        struct run_worker *worker = &run->workers[i];
        assigned += __atomic_load_n(&tagd_io_stats(worker->io)->shards_assigned, __ATOMIC_RELAXED);
        pthread_mutex_lock(&worker->mutex);
        for (size_t k = 0; k < worker->n_shards; k++) {
            const struct tagd_metrics_shard *shard = &worker->shards[k];
            running += shard->stats.status == TAGD_SHARD_RUNNING;
            for (size_t topic = 0; topic < run->config->n_sources; topic++) {
                unknown += shard->lag[topic] < 0;
                lag += shard->lag[topic] < 0 ? 0 : (uint64_t)shard->lag[topic];
            }
        }
        pthread_mutex_unlock(&worker->mutex);
    }
    if (assigned == 0)
        snprintf(text, sizeof(text), "no shard is assigned");
    else if (unknown > 0)
        snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " shards run, lag not known yet", running, assigned);
    else
        snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " shards run, lag %" PRIu64 " records", running,
                 assigned, lag);
    tagd_service_status(&run->service, text, now);
}

static void reload(struct run *run)
{
    tagd_service_reloading();
    tagd_logger_reopen(run->logger);
    tagd_service_reloaded();
}

static void tell_service(struct run *run, bool stopping, int64_t now)
{
    tagd_service_feed(&run->service, tagd_run_stood_ms(run), now);
    if (stopping)
        tagd_service_stopping(&run->service, now);
    else
        tell_status(run, now);
}

/* Returns when all workers have stopped, of themselves or because they were asked to. */
static int look_on(struct run *run, const sigset_t *signals)
{
    int64_t stop_ms = 0, watched_ms = 0;
    while (!all_finished(run)) {
        int signal = sigtimedwait(signals, NULL, &(struct timespec){0, 100000000});
        int64_t now = tagd_io_mono_ms();
        tagd_logger_tick(run->logger);
        tell_service(run, stop_ms != 0, now);
        if (signal == SIGHUP) {
            reload(run);
            continue;
        }
        if (signal > 0 && stop_ms != 0) {
            tagd_log_line(run->logger, TAGD_NOTE_WARN,
                          "a second signal; leaving at once: the next owner finishes what is in flight");
            _exit(TAGD_EXIT_UNAVAILABLE);
        }
        if ((signal > 0 || failed_worker(run) != NULL) && stop_ms == 0) {
            tagd_log_line(run->logger, TAGD_NOTE_INFO,
                          signal > 0 ? "stopping on a signal" : "stopping: a worker can't go on");
            __atomic_store_n(&run->stopping, true, __ATOMIC_RELAXED);
            stop_ms = now;
            tagd_service_stopping(&run->service, now);
        }
        if (now - watched_ms >= WATCH_MS) {
            log_counters(run);
            sample(run);
            watched_ms = now;
        }
        if (stop_ms == 0 || now - stop_ms < STOP_TIMEOUT_MS)
            continue;
        const struct run_worker *failed = failed_worker(run);
        if (failed != NULL)
            _exit(fail(run, TAGD_EXIT_CONFIG, "%s", failed->error.text));
        _exit(fail(run, TAGD_EXIT_UNAVAILABLE,
                   "a server does not answer, so not everything could be finished; the "
                   "next owner finishes it"));
    }
    log_counters(run);
    const struct run_worker *failed = failed_worker(run);
    return failed == NULL ? TAGD_EXIT_OK : fail(run, TAGD_EXIT_CONFIG, "%s", failed->error.text);
}

/* ---- starting ---- */

/* The flags of "carry" from the dimensions' names, which were checked when the catalog was loaded. */
static void set_carry(struct run *run)
{
    size_t n = tagd_catalog_n_dimensions(run->catalog);
    if (run->config->carry_all)
        return;
    run->carry = tagd_xcalloc(n + 1, sizeof(*run->carry));
    for (size_t i = 0; i < run->config->n_carry; i++) {
        size_t dimension = 0;
        while (dimension < n && strcmp(tagd_catalog_dimension(run->catalog, dimension), run->config->carry[i]) != 0)
            dimension++;
        assert(dimension < n);
        run->carry[dimension] = true;
    }
}

static struct tagd_worker *make_worker(struct run *run, const struct run_worker *worker)
{
    const struct tagd_config *config = run->config;
    struct tagd_worker_config with = {
        .catalog = run->catalog,
        .group = config->group,
        .owner = tagd_io_owner(worker->io),
        .n_topics = (uint32_t)config->n_sources,
        .topics = run->topics,
        .rules = {.catalog = run->catalog,
                  .max_bytes = config->max_event_bytes,
                  .past_ms = config->past_ms,
                  .future_ms = config->time_events ? -1 : config->future_ms,
                  .partitions = (int32_t)run->partitions,
                  .junk = tagd_junk_of(config->junk_subjects, config->n_junk_subjects)},
        .partitioners = run->partitioners,
        .maps = run->maps,
        .content_binary = config->content_binary,
        .at_least_once = config->at_least_once,
        .time_events = config->time_events,
        .grace_ms = config->grace_ms,
        .max_idle_ms = config->max_idle_ms,
        .horizon_ms = config->horizon_ms,
        .carry = run->carry,
        .continue_on_data_gap = config->continue_on_data_gap,
        .rebuild = run->rebuild,
        .begins_at_end = config->start_latest,
        .batch_events_max = config->batch_events,
        .batch_bytes_max = config->batch_bytes,
        .batch_told_bytes = BATCH_TOLD_BYTES,
        .cache_bytes_max = config->cache_bytes,
        .brakes = tagd_watch_brakes(run->watch),
        .published = tagd_recent_published,
        .published_to = run->recent,
        .note = log_note,
        .note_to = run,
    };
    return tagd_worker_new(&with, tagd_io_port(worker->io));
}

static int start_workers(struct run *run)
{
    struct tagd_error error;
    enum tagd_io_result result;
    run->workers = tagd_xcalloc(run->config->workers, sizeof(*run->workers));
    for (size_t i = 0; i < run->config->workers; i++) {
        struct run_worker *worker = &run->workers[i];
        tagd_service_starting(START_TIMEOUT_MS);
        worker->io =
            tagd_io_new(run->config, (unsigned)i, run->partitions, START_TIMEOUT_MS, &run->notes, &result, &error);
        if (worker->io == NULL)
            return fail(run, tagd_servers_exit(result), "%s", error.text);
        worker->run = run;
        worker->worker = make_worker(run, worker);
        worker->shards = tagd_xcalloc(run->partitions, sizeof(*worker->shards));
        worker->shard_stats = tagd_xcalloc(run->partitions, sizeof(*worker->shard_stats));
        worker->since = tagd_xcalloc(run->partitions, sizeof(*worker->since));
        worker->open = tagd_xcalloc((size_t)run->partitions * run->config->n_sources, sizeof(*worker->open));
        worker->step_ms = tagd_io_mono_ms();
        pthread_mutex_init(&worker->mutex, NULL);
        run->n_workers = i + 1;
    }
    return TAGD_EXIT_OK;
}

static void log_start(const struct run *run)
{
    struct tagd_log line;
    char listen[128];
    tagd_log_begin(&line, run->logger, TAGD_NOTE_INFO, "started");
    tagd_log_text(&line, "version", TAGD_VERSION);
    tagd_log_text(&line, "group", run->config->group);
    tagd_log_text(&line, "instance", run->config->instance);
    tagd_log_text(&line, "delivery", run->config->at_least_once ? "at_least_once" : "exactly_once");
    tagd_log_number(&line, "workers", (int64_t)run->n_workers);
    tagd_log_number(&line, "shards", run->partitions);
    tagd_log_text(&line, "catalog", tagd_catalog_name(run->catalog));
    tagd_log_text(&line, "catalog_version", tagd_catalog_version(run->catalog));
    tagd_log_text(&line, "catalog_hash", tagd_catalog_hash(run->catalog));
    if (run->http != NULL) {
        const char *host = run->config->http.host;
        snprintf(listen, sizeof(listen), strchr(host, ':') == NULL ? "%s://%s:%d" : "%s://[%s]:%d",
                 run->config->http.cert == NULL ? "http" : "https", host, tagd_http_port(run->http));
        tagd_log_text(&line, "http", listen);
    }
    tagd_log_end(&line);
}

static int start_and_look_on(struct run *run)
{
    struct tagd_error error;
    enum tagd_io_result result;
    sigset_t signals;
    run->started_ms = tagd_io_wall_ms();
    run->recent = tagd_recent_new(tagd_io_wall_ms);
    run->watch = tagd_watch_new(&(struct tagd_watch_config){run->config, run->catalog, find_latest, run, run->logger},
                                &result, &error);
    if (result == TAGD_IO_CONFIG)
        return fail(run, TAGD_EXIT_CONFIG, "%s", error.text);
    int code = start_workers(run);
    if (code != TAGD_EXIT_OK)
        return code;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (run->config->http.host != NULL) {
        run->census = tagd_census_new(run->config, run->catalog, run->partitions, flag_shards, run);
        run->http = tagd_answers_listen(run, &error);
        if (run->http == NULL)
            return fail(run, TAGD_EXIT_CONFIG, "%s", error.text);
    }
    log_start(run);
    tagd_watch_start(run->watch);
    for (size_t i = 0; i < run->n_workers; i++) {
        if (pthread_create(&run->workers[i].thread, NULL, work, &run->workers[i]) != 0) {
            tagd_log_line(run->logger, TAGD_NOTE_ERROR, "a thread can't be started");
            _exit(TAGD_EXIT_UNAVAILABLE);
        }
        run->workers[i].started = true;
    }
    tagd_service_ready(&run->service, tagd_io_mono_ms());
    code = look_on(run, &signals);
    for (size_t i = 0; i < run->n_workers; i++)
        pthread_join(run->workers[i].thread, NULL);
    tagd_log_line(run->logger, TAGD_NOTE_INFO, "stopped");
    return code;
}

static void say_what_is_rebuilt(const struct run *run, uint32_t empty)
{
    struct tagd_log line;
    tagd_log_begin(&line, run->logger, TAGD_NOTE_INFO,
                   empty == 0 ? "--rebuild: Redis has the state of every shard; there is nothing to rebuild"
                              : "--rebuild: shards without state in Redis are made again from the topics' beginnings, "
                                "if anything was published of them");
    tagd_log_number(&line, "without_state", empty);
    tagd_log_number(&line, "shards", run->partitions);
    tagd_log_end(&line);
}

/* No shard of a group whose import isn't finished may begin, and none is to be fenced off while it goes on; and one that
 * begins upon a history begins where that ends. */
static int check_history(const struct run *run, const char *path)
{
    struct tagd_error error;
    uint32_t unfinished = 0, fresh = 0, empty = 0;
    struct tagd_head *heads = tagd_xcalloc(run->partitions, sizeof(*heads));
    tagd_service_starting(START_TIMEOUT_MS);
    enum tagd_io_result result =
        tagd_io_heads(run->config, run->partitions, START_TIMEOUT_MS, &run->notes, heads, &error);
    for (uint32_t shard = 0; shard < run->partitions && result == TAGD_IO_OK; shard++) {
        unfinished += tagd_head_importing(&heads[shard]);
        fresh += heads[shard].baseline.finished && heads[shard].batch == 0;
        empty += !heads[shard].exists;
    }
    free(heads);
    if (result != TAGD_IO_OK)
        return fail(run, tagd_servers_exit(result), "%s", error.text);
    if (unfinished == 0 && fresh > 0 && run->config->start_latest)
        return fail(run, TAGD_EXIT_CONFIG, "%s: " TAGD_LATEST_AFTER_HISTORY, path);
    if (unfinished == 0 && run->rebuild)
        say_what_is_rebuilt(run, empty);
    if (unfinished == 0)
        return TAGD_EXIT_OK;
    return fail(run, TAGD_EXIT_CONFIG,
                "the import of history into group \"%s\" isn't finished in %u of %u shards; run the same "
                "\"tagd import\" again, which goes on where it stopped, or take a new \"group\" and "
                "\"redis.prefix\"",
                run->config->group, unfinished, run->partitions);
}

/* Reads the configuration, which says where the log is, and says there what is to be warned of. */
static int open_log(struct run *run, const char *path)
{
    struct tagd_error error;
    struct tagd_buf warnings = {0};
    int code = tagd_command_load_quietly(path, &run->config, &run->catalog, &warnings);
    if (code == TAGD_EXIT_OK)
        run->logger = tagd_logger_new(run->config->log.format, run->config->log.level,
                                      tagd_command_beside(&run->config->arena, path, run->config->log.file), &error);
    if (code == TAGD_EXIT_OK && run->logger == NULL)
        code = tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    for (size_t at = 0; at < warnings.n && run->logger != NULL; at += strlen(warnings.p + at) + 1)
        tagd_log_line(run->logger, TAGD_NOTE_WARN, warnings.p + at);
    tagd_buf_free(&warnings);
    return code;
}

static int run_with(struct run *run, const char *path, bool create_topics)
{
    struct tagd_error error;
    run->path = path;
    int code = open_log(run, path);
    if (code != TAGD_EXIT_OK)
        return code;
    if (geteuid() == 0)
        tagd_log_line(run->logger, TAGD_NOTE_WARN,
                      "runs as root, which it has no need of: give it a user of its own, such as DynamicUser= of a "
                      "systemd unit or setpriv --reuid");
    set_carry(run);
    for (size_t i = 0; i < run->config->n_sources; i++) {
        run->topics[i] = run->config->sources[i].topic;
        run->partitioners[i] = run->config->sources[i].partitioner;
        run->maps[i] = run->config->sources[i].map;
    }
    tagd_service_starting(START_TIMEOUT_MS);
    enum tagd_io_result result =
        tagd_io_check_topics(run->config, create_topics, START_TIMEOUT_MS, &run->notes, &run->partitions, &error);
    if (result != TAGD_IO_OK)
        return fail(run, tagd_servers_exit(result), "%s", error.text);
    code = check_history(run, path);
    return code == TAGD_EXIT_OK ? start_and_look_on(run) : code;
}

/* While it starts nothing is in flight, so a signal ends it at once. */
static void leave(int signal)
{
    (void)signal;
    _exit(TAGD_EXIT_OK);
}

/* A SIGHUP while it starts is kept until it is looked for. */
static void keep_hangups(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int tagd_command_run(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    const char *path = NULL;
    struct run run = {.notes = {log_note, &run}};
    bool create_topics = false, core_dumps = false;
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--create-topics"))
            create_topics = true;
        else if (tagd_options_is(&options, "--rebuild"))
            run.rebuild = true;
        else if (tagd_options_is(&options, "--core-dumps"))
            core_dumps = true;
        else
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    if (path == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE, "run wants --config FILE; tagd run --help shows how");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    keep_hangups();
    tagd_service_harden(core_dumps);
    tagd_service_begin(&run.service);
    int code = run_with(&run, path, create_topics);
    tagd_http_free(run.http);
    tagd_census_free(run.census);
    tagd_watch_free(run.watch);
    for (size_t i = 0; i < run.n_workers; i++) {
        tagd_worker_free(run.workers[i].worker);
        tagd_io_free(run.workers[i].io);
        pthread_mutex_destroy(&run.workers[i].mutex);
        free(run.workers[i].shards);
        free(run.workers[i].shard_stats);
        free(run.workers[i].open);
        free(run.workers[i].since);
    }
    free(run.workers);
    tagd_recent_free(run.recent);
    free(run.carry);
    tagd_catalog_free(run.catalog);
    tagd_config_free(run.config);
    tagd_logger_free(run.logger);
    return code;
}
