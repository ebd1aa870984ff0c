#include "command/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAMED_MAX 3 /* shards that a sentence names */

const char *tagd_severity_name(enum tagd_severity severity)
{
    static const char *const names[TAGD_SEVERITIES] = {"fine", "notice", "warning", "error"};
    return names[severity];
}

/* ---- words ---- */

struct words {
    char text[512];
};

static struct words span_of(int64_t ms)
{
    struct words words;
    int64_t s = ms / 1000;
    if (s < 120)
        snprintf(words.text, sizeof(words.text), "%" PRId64 " s", s);
    else if (s < 7200)
        snprintf(words.text, sizeof(words.text), "%" PRId64 " min", s / 60);
    else if (s < 172800)
        snprintf(words.text, sizeof(words.text), "%" PRId64 " h", s / 3600);
    else
        snprintf(words.text, sizeof(words.text), "%" PRId64 " days", s / 86400);
    return words;
}

static struct words instant_of(int64_t ms)
{
    struct words words;
    char text[TAGD_TIME_TEXT];
    tagd_time_format(ms, text);
    snprintf(words.text, sizeof(words.text), "%.10s %.8s UTC", text, text + 11);
    return words;
}

/* Of a problem: some shards, and the worst of what was measured of them. */
struct some {
    uint32_t named[NAMED_MAX];
    size_t n;
    int64_t worst_ms;
    int64_t records;
};

static void add_shard(struct some *some, uint32_t shard, int64_t ms)
{
    if (some->n < NAMED_MAX)
        some->named[some->n] = shard;
    some->n++;
    if (ms > some->worst_ms)
        some->worst_ms = ms;
}

/* "Shard 3 has", "Shards 0, 1 and 2 have", "Shards 0, 1, 2 and 61 more have", "All 4 shards have". */
static struct words who(const struct some *some, size_t n_shards, const char *one, const char *many)
{
    struct words words;
    if (some->n == 1)
        snprintf(words.text, sizeof(words.text), "Shard %" PRIu32 " %s", some->named[0], one);
    else if (some->n == n_shards)
        snprintf(words.text, sizeof(words.text), "All %zu shards %s", some->n, many);
    else if (some->n == 2)
        snprintf(words.text, sizeof(words.text), "Shards %" PRIu32 " and %" PRIu32 " %s", some->named[0],
                 some->named[1], many);
    else if (some->n == 3)
        snprintf(words.text, sizeof(words.text), "Shards %" PRIu32 ", %" PRIu32 " and %" PRIu32 " %s", some->named[0],
                 some->named[1], some->named[2], many);
    else
        snprintf(words.text, sizeof(words.text), "Shards %" PRIu32 ", %" PRIu32 ", %" PRIu32 " and %zu more %s",
                 some->named[0], some->named[1], some->named[2], some->n - 3, many);
    return words;
}

/* ---- problems ---- */

struct judge {
    const struct tagd_health_facts *facts;
    struct tagd_health *health;
};

static struct tagd_problem *add(struct judge *judge, enum tagd_severity severity, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static struct tagd_problem *add(struct judge *judge, enum tagd_severity severity, const char *fmt, ...)
{
    struct tagd_health *health = judge->health;
    size_t last = health->n_problems < TAGD_PROBLEMS_MAX ? health->n_problems++ : TAGD_PROBLEMS_MAX - 1;
    struct tagd_problem *problem = &health->problems[last];
    va_list args;
    problem->severity = severity;
    problem->remedy[0] = '\0';
    va_start(args, fmt);
    vsnprintf(problem->what, sizeof(problem->what), fmt, args);
    va_end(args);
    return problem;
}

/* Something waits because of the problem that was added last. */
static void waits(const struct judge *judge)
{
    judge->health->keeps_up = false;
}

static void remedy(struct tagd_problem *problem, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void remedy(struct tagd_problem *problem, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(problem->remedy, sizeof(problem->remedy), fmt, args);
    va_end(args);
}

static bool redis_is_silent(const struct tagd_health_facts *facts)
{
    return facts->redis_silent_ms > TAGD_HEALTH_REDIS_MS;
}

static bool kafka_complains(const struct tagd_health_facts *facts)
{
    return facts->kafka_trouble_ms < TAGD_HEALTH_KAFKA_MS;
}

static void redis_remedy(const struct judge *judge, struct tagd_problem *problem)
{
    remedy(
        problem,
        "See whether Redis runs and answers (redis-cli ping there), and whether this host reaches %s. tagd goes on by "
        "itself as soon as it answers; nothing is lost meanwhile.",
        judge->facts->redis);
}

static void kafka_remedy(const struct judge *judge, struct tagd_problem *problem)
{
    remedy(problem,
           "See whether the brokers at %s run and whether this host reaches them; the log below has their words. tagd "
           "goes "
           "on by itself as soon as they answer; nothing is lost meanwhile.",
           judge->facts->kafka);
}

/* Why shards stand still, as far as is known, behind what they do. */
static void add_still(struct judge *judge, const struct some *some, int64_t open_ms, enum tagd_severity severity,
                      const char *what)
{
    const struct tagd_health_facts *facts = judge->facts;
    struct words span = span_of(some->worst_ms);
    waits(judge);
    if (redis_is_silent(facts)) {
        redis_remedy(judge, add(judge, severity, "%s for %s: Redis at %s has not answered for %s%s%s.", what, span.text,
                                facts->redis, span_of(facts->redis_silent_ms).text,
                                facts->redis_why[0] == '\0' ? "" : ": ", facts->redis_why));
    } else if (kafka_complains(facts)) {
        kafka_remedy(judge, add(judge, severity, "%s for %s: Kafka at %s does not answer as it should.", what,
                                span.text, facts->kafka));
    } else if (open_ms >= TAGD_STALLED_MS) {
        remedy(
            add(judge, severity,
                "%s for %s: a producer's transaction has been open for %s, and nothing behind it can be "
                "read before it ends.",
                what, span.text, span_of(open_ms).text),
            "Find the producer that writes to the sources in transactions and has not ended one; "
            "kafka-transactions.sh --bootstrap-server %s list shows them. Its broker ends it after the producer's own "
            "transaction.timeout.ms.",
            facts->kafka);
    } else if (facts->step_ms >= TAGD_HEALTH_STEP_MS) {
        remedy(
            add(judge, severity, "%s for %s: a worker's thread has been in one step for %s.", what, span.text,
                span_of(facts->step_ms).text),
            "See what the log below says and whether this host has CPU and memory left. If it stays so, take a stack "
            "trace (gdb -p PID) and restart tagd: nothing is lost.");
    } else {
        remedy(add(judge, severity,
                   "%s for %s, though there is something to do, and neither Redis nor Kafka is known to be away.", what,
                   span.text),
               "The newest lines of the log below say what it tries. Restarting tagd loses nothing.");
    }
}

/* ---- shards ---- */

static bool recovers(enum tagd_shard_status status)
{
    return status == TAGD_SHARD_IDLE || status == TAGD_SHARD_RECOVERING || status == TAGD_SHARD_FENCED;
}

static void judge_stalled(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    struct some stalled = {0};
    int64_t open_ms = 0;
    for (size_t i = 0; i < facts->n_shards; i++)
        if (facts->shards[i].status == TAGD_SHARD_STALLED) {
            add_shard(&stalled, facts->shards[i].shard, facts->shards[i].still_ms);
            open_ms = facts->shards[i].open_ms > open_ms ? facts->shards[i].open_ms : open_ms;
        }
    if (stalled.n > 0)
        add_still(judge, &stalled, open_ms, TAGD_ERROR,
                  who(&stalled, facts->n_shards, "has not moved", "have not moved").text);
}

static void judge_takeovers(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    struct some slow = {0};
    for (size_t i = 0; i < facts->n_shards; i++)
        if (recovers(facts->shards[i].status) && facts->shards[i].since_ms >= TAGD_HEALTH_TAKEOVER_MS)
            add_shard(&slow, facts->shards[i].shard, facts->shards[i].since_ms);
    if (slow.n > 0)
        add_still(judge, &slow, 0, TAGD_ERROR, who(&slow, facts->n_shards, "has not come up", "have not come up").text);
}

static void judge_repairs(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    struct some repaired = {0}, stopped = {0};
    for (size_t i = 0; i < facts->n_shards; i++) {
        if (facts->shards[i].status == TAGD_SHARD_REPAIRING)
            add_shard(&repaired, facts->shards[i].shard, facts->shards[i].since_ms);
        if (facts->shards[i].status == TAGD_SHARD_STOPPED)
            add_shard(&stopped, facts->shards[i].shard, 0);
    }
    if (repaired.n > 0 || stopped.n > 0)
        waits(judge);
    if (repaired.n > 0)
        remedy(add(judge, TAGD_WARNING, "%s under repair for %s: Redis came back older than what was published.",
                   who(&repaired, facts->n_shards, "has been", "have been").text, span_of(repaired.worst_ms).text),
               "Wait: records are read again until Redis is level, and only then is anything new published. "
               "tagd_repair_records_total in /metrics shows that it goes on.");
    if (stopped.n > 0)
        remedy(add(judge, TAGD_ERROR, "%s, and the daemon stops.",
                   who(&stopped, facts->n_shards, "can't go on", "can't go on").text),
               "The newest error of the log below says what was found and what can be done.");
}

/* Behind by the clock, but moving. */
static void judge_lag(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    struct some behind = {0}, open = {0};
    for (size_t i = 0; i < facts->n_shards; i++) {
        const struct tagd_health_shard *shard = &facts->shards[i];
        if (shard->status != TAGD_SHARD_RUNNING)
            continue;
        if (shard->open_ms >= TAGD_HEALTH_OPEN_MS)
            add_shard(&open, shard->shard, shard->open_ms);
        if (facts->time_events || shard->lag_ms == INT64_MIN || shard->lag_ms - facts->grace_ms < TAGD_HEALTH_LAG_MS)
            continue;
        add_shard(&behind, shard->shard, shard->lag_ms - facts->grace_ms);
        behind.records += shard->lag_records > 0 ? shard->lag_records : 0;
    }
    if (behind.n > 0 || open.n > 0)
        waits(judge);
    if (behind.n > 0)
        remedy(add(judge, TAGD_WARNING, "%s %s behind, with %" PRId64 " records to read.",
                   who(&behind, facts->n_shards, "is", "are").text, span_of(behind.worst_ms).text, behind.records),
               "If the lag below shrinks, wait. If it grows, more comes than is done: raise \"workers\", start another "
               "instance, or see whether Redis or this host is slow.");
    if (open.n > 0)
        remedy(add(judge, TAGD_WARNING, "%s behind a producer's transaction that has been open for %s.",
                   who(&open, facts->n_shards, "waits", "wait").text, span_of(open.worst_ms).text),
               "Find the producer that writes to the sources in transactions and has not ended one.");
}

static void judge_start(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    size_t running = 0;
    for (size_t i = 0; i < facts->n_shards; i++)
        running += !recovers(facts->shards[i].status);
    if (facts->assignments == 0 && facts->uptime_ms >= TAGD_HEALTH_START_MS) {
        waits(judge);
        kafka_remedy(judge, add(judge, TAGD_ERROR,
                                "The consumer group has given this instance no shard for %s since it started.",
                                span_of(facts->uptime_ms).text));
    } else if (facts->uptime_ms < TAGD_HEALTH_START_MS && (facts->assignments == 0 || running < facts->n_shards)) {
        waits(judge);
        remedy(add(judge, TAGD_NOTICE, "Starting: %zu of %zu shards run.", running, facts->n_shards),
               "Wait some seconds.");
    } else if (facts->n_shards == 0 && kafka_complains(facts)) {
        waits(judge);
        kafka_remedy(judge,
                     add(judge, TAGD_ERROR, "This process has no shard, and Kafka at %s does not answer as it should.",
                         facts->kafka));
    } else if (facts->n_shards == 0) {
        remedy(add(judge, TAGD_NOTICE, "Standing by: other instances of the group have all shards."),
               "Nothing; if another instance ends, its shards come here.");
    }
}

/* ---- what is held ---- */

static void judge_held(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    const struct tagd_held *held = facts->held;
    bool any = held->outputs || held->clock_apart || facts->clock_parted;
    for (size_t i = 0; i < facts->n_sources; i++)
        any = any || held->sources[i].held;
    if (any)
        waits(judge);
    if (held->outputs)
        remedy(add(judge, TAGD_WARNING, "Changes are kept and not published since %s, held by %s: %s.",
                   instant_of(held->since_ms).text, held->by, held->why),
               "Look whether the changes are right. If they are: tagd release --config %s --outputs", facts->config);
    for (size_t i = 0; i < facts->n_sources; i++)
        if (held->sources[i].held)
            remedy(
                add(judge, TAGD_WARNING,
                    "The source %s is silent since %s, for longer than its expect_every: tags that silence alone would "
                    "change are held.",
                    held->sources[i].topic, instant_of(held->sources[i].latest_ms).text),
                "Find out why its producers are silent. If they may be: tagd release --config %s --source %s",
                facts->config, held->sources[i].topic);
    if (held->clock_apart)
        remedy(add(judge, TAGD_WARNING, "Redis's clock is %s %s this host's: tags that silence changes are held.",
                   span_of(held->clock_ahead_ms < 0 ? -held->clock_ahead_ms : held->clock_ahead_ms).text,
                   held->clock_ahead_ms < 0 ? "behind" : "ahead of"),
               "Set right the clock that is wrong. If both are as they should be: tagd release --config %s --clock",
               facts->config);
    if (facts->clock_parted && !held->clock_apart)
        remedy(add(judge, TAGD_WARNING, "This host's clock was set while tagd ran: tags that silence changes stand."),
               "Set it right again; or, if it is right now, restart tagd.");
}

/* ---- servers and records ---- */

static void judge_redis(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    const struct tagd_io_server *server = facts->server;
    if (redis_is_silent(facts)) {
        waits(judge);
        if (judge->health->n_problems == 0) /* else the shards that stand still have said so */
            redis_remedy(judge, add(judge, TAGD_ERROR, "Redis at %s has not answered for %s%s%s.", facts->redis,
                                    span_of(facts->redis_silent_ms).text, facts->redis_why[0] == '\0' ? "" : ": ",
                                    facts->redis_why));
        return;
    }
    if (server->evicted > 0)
        remedy(
            add(judge, TAGD_ERROR, "Redis has evicted %" PRId64 " keys since it started: state may be lost.",
                server->evicted),
            "Set maxmemory-policy to noeviction and give Redis the memory it needs; tagd population --recount compares "
            "what is there.");
    if (server->aof_failing)
        remedy(add(judge, TAGD_ERROR, "Redis can't write its append-only file: what it has now, a restart would lose."),
               "See Redis's own log and whether its disk is full.");
    if (server->memory_max_bytes > 0 &&
        server->memory_bytes / TAGD_HEALTH_MEMORY_PERCENT >= server->memory_max_bytes / 100)
        remedy(add(judge, TAGD_WARNING, "Redis uses %" PRId64 " of the %" PRId64 " MiB that its maxmemory allows.",
                   server->memory_bytes >> 20, server->memory_max_bytes >> 20),
               "Raise maxmemory before it is full: then Redis refuses writes and tagd waits.");
}

static void judge_records(struct judge *judge)
{
    const struct tagd_recent_counts *minute = &judge->facts->minute;
    if (minute->dead_letters >= TAGD_HEALTH_LETTERS &&
        minute->dead_letters * 100 >= minute->records * TAGD_HEALTH_LETTERS_PERCENT)
        remedy(
            add(judge, TAGD_WARNING,
                "%" PRIu64 " of the last minute's %" PRIu64
                " records could not be used and went to the dead-letter topic.",
                minute->dead_letters, minute->records),
            "The dead letters below say why, with topic and offset; tell those who produce them. Nothing is lost: the "
            "topic has each record as it came.");
}

static void judge_worker(struct judge *judge)
{
    const struct tagd_health_facts *facts = judge->facts;
    if (facts->failed != NULL || facts->step_ms >= TAGD_HEALTH_STEP_MS)
        waits(judge);
    if (facts->failed != NULL)
        remedy(add(judge, TAGD_ERROR, "A worker can't go on, and the daemon stops: %s.", facts->failed),
               "The sentence says what can be done; then start tagd again.");
    else if (facts->step_ms >= TAGD_HEALTH_STEP_MS && judge->health->n_problems == 0)
        remedy(add(judge, TAGD_WARNING, "A worker's thread has been in one step for %s.", span_of(facts->step_ms).text),
               "See whether Redis and Kafka are slow, and whether this host has CPU and memory left.");
}

/* The worst first, else as they were found. */
static void sort(struct tagd_health *health)
{
    for (size_t i = 1; i < health->n_problems; i++) {
        struct tagd_problem moved = health->problems[i];
        size_t to = i;
        for (; to > 0 && health->problems[to - 1].severity < moved.severity; to--)
            health->problems[to] = health->problems[to - 1];
        health->problems[to] = moved;
    }
}

void tagd_health_judge(const struct tagd_health_facts *facts, struct tagd_health *health)
{
    struct judge judge = {facts, health};
    health->n_problems = 0;
    health->keeps_up = true;
    judge_stalled(&judge);
    judge_takeovers(&judge);
    judge_redis(&judge);
    judge_worker(&judge);
    judge_repairs(&judge);
    judge_lag(&judge);
    judge_start(&judge);
    judge_held(&judge);
    judge_records(&judge);
    sort(health);
    health->severity = health->n_problems == 0 ? TAGD_FINE : health->problems[0].severity;
    if (health->n_problems == 0)
        snprintf(health->headline, sizeof(health->headline), "Keeping up");
    else
        snprintf(health->headline, sizeof(health->headline), "%s%s",
                 health->keeps_up && health->severity > TAGD_NOTICE ? "Keeping up, but " : "",
                 health->problems[0].what);
}
