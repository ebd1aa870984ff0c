#include "command/checks.h"

#include "catalog/compiled.h"
#include "command/brakes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRDKAFKA_LEAST 0x020002ff /* what tagd is proven with */
#define LIBRDKAFKA_BAD 0x020100ff   /* 2.1.0 hands records out twice after a leader changed; 2.1.1 doesn't */
#define REDIS_LEAST_MAJOR 6
#define REDIS_LEAST_MINOR 2 /* ZMSCORE */
#define MS_HOUR INT64_C(3600000)
#define LETTER_AROUND_BYTES 8192 /* of a dead letter: key, headers, reason */
#define CLOCKS_WARN_MS 1000
#define OPEN_FILES_LEAST 1024
#define MEMORY_WARN_PERCENT 80
#define MEMORY_FAIL_PERCENT 95
#define SKEW_RECORDS_LEAST 10000 /* of a topic, before its partitions are compared */
#define SKEW_TIMES 4             /* the fullest one against the mean */
#define TRANSACTION_TIMEOUT_MS 10000
#define SESSION_TIMEOUT_MS 10000
#define CLIENT_MESSAGE_BYTES 1000000 /* librdkafka's message.max.bytes */

const char *tagd_check_level_name(enum tagd_check_level level)
{
    static const char *const names[] = {[TAGD_CHECK_OK] = "ok", [TAGD_CHECK_WARN] = "warn", [TAGD_CHECK_FAIL] = "fail"};
    return names[level];
}

void tagd_checks_add(struct tagd_checks *checks, enum tagd_check_level level, const char *name, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (checks->n == checks->cap) {
        checks->cap = checks->cap == 0 ? 64 : checks->cap * 2;
        checks->at = tagd_xrealloc(checks->at, checks->cap * sizeof(*checks->at));
    }
    for (char *p = text; *p != '\0'; p++) /* a line each */
        if (*p == '\n')
            *p = ' ';
    checks->at[checks->n++] = (struct tagd_check){level, name, tagd_arena_copy(&checks->arena, text, strlen(text)).p};
    checks->by_level[level]++;
}

#define OK(name, ...) tagd_checks_add(checks, TAGD_CHECK_OK, name, __VA_ARGS__)
#define WARN(name, ...) tagd_checks_add(checks, TAGD_CHECK_WARN, name, __VA_ARGS__)
#define FAIL(name, ...) tagd_checks_add(checks, TAGD_CHECK_FAIL, name, __VA_ARGS__)

void tagd_checks_free(struct tagd_checks *checks)
{
    free(checks->at);
    tagd_arena_free(&checks->arena);
    *checks = (struct tagd_checks){0};
}

static int64_t property_ms(const struct tagd_config *config, const char *name, int64_t otherwise)
{
    for (size_t i = 0; i < config->n_kafka; i++)
        if (strcmp(config->kafka[i].name, name) == 0)
            return strtoll(config->kafka[i].value, NULL, 10);
    return otherwise;
}

/* ---- the host ---- */

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0;
}

void tagd_check_host(const struct tagd_host *host, const struct tagd_config *config, struct tagd_checks *checks)
{
    if (host->librdkafka < LIBRDKAFKA_LEAST)
        FAIL("librdkafka", "version %s, older than 2.0.2, which tagd needs; upgrade it", host->librdkafka_text);
    else if (host->librdkafka == LIBRDKAFKA_BAD)
        WARN("librdkafka", "version %s hands records out twice after a leader changed; upgrade it",
             host->librdkafka_text);
    else
        OK("librdkafka", "version %s; proven with 2.0.2", host->librdkafka_text);
    OK("hiredis", "version %s", host->hiredis_text);
    if (host->open_files >= 0 && host->open_files < OPEN_FILES_LEAST)
        WARN("open files", "at most %" PRId64 " may be open; raise the limit to %d or more (ulimit -n, LimitNOFILE)",
             host->open_files, OPEN_FILES_LEAST);
    else
        OK("open files", "the limit is high enough");
    if (host->root)
        WARN("user", "we are root; give the daemon a user of its own");
    else
        OK("user", "not root");
    if (host->clock == 0)
        WARN("clock", "this host's clock isn't synchronised; run an NTP client: live time goes by it");
    else
        OK("clock", host->clock < 0 ? "whether it is synchronised isn't known here" : "synchronised");
    if (config->http.host == NULL)
        OK("http", "off");
    else if (is_loopback(config->http.host))
        OK("http", "on loopback alone");
    else if (config->http.token != NULL || config->http.client_ca != NULL)
        OK("http", "who asks from elsewhere must show a token or a certificate");
    else
        WARN(
            "http",
            "listens on %s, and \"insecure\" says that anybody may ask who customers are; give \"http\" a \"token\" or "
            "a \"client_ca\"",
            config->http.host);
}

/* ---- Kafka: topics ---- */

static uint32_t check_partitions(const struct tagd_survey_kafka *survey, struct tagd_checks *checks)
{
    int partitions = 0;
    bool fine = true;
    const char *like = "";
    for (size_t i = 0; i < survey->n_topics && partitions == 0; i++) {
        partitions = survey->topics[i].partitions;
        like = survey->topics[i].name;
    }
    for (size_t i = 0; i < survey->n_topics; i++) {
        const struct tagd_survey_topic *topic = &survey->topics[i];
        fine = fine && topic->partitions > 0 && topic->partitions == partitions;
        if (topic->wrong[0] != '\0')
            FAIL("topics", "\"%s\": %s; give our user the right Describe on it, or see the broker's log", topic->name,
                 topic->wrong);
        else if (topic->partitions == 0 && partitions > 0)
            FAIL("topics",
                 "\"%s\" does not exist; create it with %d partitions, or start tagd run with "
                 "--create-topics",
                 topic->name, partitions);
        else if (topic->partitions == 0)
            FAIL("topics", "\"%s\" does not exist; create it, or start tagd run with --create-topics", topic->name);
        else if (topic->partitions != partitions)
            FAIL("topics",
                 "\"%s\" has %d partitions, \"%s\" has %d; all need the same number: create \"%s\" anew with %d",
                 topic->name, topic->partitions, like, partitions, topic->name, partitions);
    }
    if (partitions > TAGD_SHARDS_MAX)
        FAIL("topics", "%d partitions; at most %d are possible", partitions, TAGD_SHARDS_MAX);
    else if (fine)
        OK("topics", "all %zu are there, with %d partitions each", survey->n_topics, partitions);
    return (uint32_t)partitions;
}

static void check_replicas(const struct tagd_survey_topic *topic, struct tagd_checks *checks)
{
    if (topic->replicas == 1)
        WARN("replication",
             "\"%s\" has one replica: a lost broker takes acknowledged records with it; give it 3, with "
             "min.insync.replicas 2",
             topic->name);
    else if (topic->min_insync == 1)
        WARN("replication",
             "\"%s\" has min.insync.replicas 1: one lost broker may take acknowledged records with it; "
             "set it to 2",
             topic->name);
    else
        OK("replication", "\"%s\" has %d replicas", topic->name, topic->replicas);
}

static void check_cleanup(const struct tagd_survey_topic *topic, struct tagd_checks *checks)
{
    bool compacts = strstr(topic->cleanup, "compact") != NULL;
    if (!compacts)
        OK("cleanup", "\"%s\" is not compacted", topic->name);
    else if (topic->source)
        WARN("cleanup",
             "source \"%s\" is compacted: a repair or a new group would miss records; set cleanup.policy to "
             "delete",
             topic->name);
    else if (topic->kind == TAGD_OUT_DEAD_LETTER)
        FAIL("cleanup",
             "\"%s\" is compacted: records without a key can't be dead-lettered, and letters vanish; set "
             "cleanup.policy to delete",
             topic->name);
    else
        FAIL("cleanup",
             "\"%s\" is compacted, so what was published can't be read back for a repair; set "
             "cleanup.policy to delete",
             topic->name);
}

/* The longest span that a rule of the catalog looks back over; INT64_MAX: for ever. */
static int64_t longest_ms(const struct tagd_catalog *catalog)
{
    int64_t longest = 0;
    if (catalog->n_marks > 0)
        return INT64_MAX; /* a first or latest event may be of any time */
    for (size_t i = 0; i < tagd_catalog_n_types(catalog); i++)
        if (tagd_catalog_dedupe_ms(catalog, (int32_t)i) > longest)
            longest = tagd_catalog_dedupe_ms(catalog, (int32_t)i);
    for (uint32_t i = 0; i < catalog->n_windows; i++) {
        const struct tagd_window *window = &catalog->windows[i];
        const struct tagd_grid *grid =
            window->values ? &catalog->value_stores[window->store].grid : &catalog->stores[window->store].grid;
        if (window->panes == 0)
            return INT64_MAX;
        if (window->panes * grid->pane_ms + window->offset_ms > longest)
            longest = window->panes * grid->pane_ms + window->offset_ms;
    }
    return longest;
}

static void check_retention(const struct tagd_survey_topic *topic, int64_t longest, struct tagd_checks *checks)
{
    double days = (double)topic->retention_ms / TAGD_MS_DAY;
    const char *what = topic->source ? "tagd may stand still, or Redis be set back, for no longer"
                                     : "Redis may be set back by no more, or a repair is refused";
    if (topic->retention_ms >= 0 && topic->retention_ms < MS_HOUR)
        FAIL("retention", "\"%s\" keeps records for %.3g minutes: %s; raise retention.ms to days", topic->name,
             (double)topic->retention_ms / 60000, what);
    else if (topic->retention_ms >= 0 && topic->retention_ms < TAGD_MS_DAY)
        WARN("retention", "\"%s\" keeps records for %.3g days: %s; raise retention.ms to some days", topic->name, days,
             what);
    else if (topic->retention_bytes >= 0)
        WARN("retention",
             "\"%s\" keeps %" PRId64 " bytes a partition, whatever their age; set retention.bytes to -1, or "
             "be sure that they last for days",
             topic->name, topic->retention_bytes);
    else if (topic->source && topic->retention_ms >= 0 && topic->retention_ms < longest && longest == INT64_MAX)
        WARN("retention",
             "source \"%s\" keeps records for %.3g days and rules look back over all time: a new group "
             "doesn't know what is older; begin with tagd import",
             topic->name, days);
    else if (topic->source && topic->retention_ms >= 0 && topic->retention_ms < longest)
        WARN("retention",
             "source \"%s\" keeps records for %.3g days and rules look back over %.3g: a new group doesn't "
             "know what is older; begin with tagd import",
             topic->name, days, (double)longest / TAGD_MS_DAY);
    else
        OK("retention", "\"%s\" keeps records long enough", topic->name);
}

static void check_sizes(const struct tagd_survey_topic *topic, const struct tagd_config *config,
                        struct tagd_checks *checks)
{
    int64_t client = property_ms(config, "message.max.bytes", CLIENT_MESSAGE_BYTES);
    int64_t needed = (int64_t)config->max_event_bytes + LETTER_AROUND_BYTES;
    if (topic->source && topic->max_message_bytes > needed)
        WARN("sizes",
             "source \"%s\" takes messages of %" PRId64 " bytes and max_event_bytes is %zu: what is larger becomes "
             "a dead letter; raise max_event_bytes, or lower the topic's max.message.bytes",
             topic->name, topic->max_message_bytes, config->max_event_bytes);
    else if (!topic->source && topic->kind == TAGD_OUT_DEAD_LETTER &&
             (topic->max_message_bytes < needed || client < needed))
        WARN("sizes",
             "dead letters of up to %" PRId64 " bytes don't fit: max.message.bytes of \"%s\" is %" PRId64
             ", message.max.bytes under \"kafka\" %" PRId64
             "; raise both, or large letters are cut and can't be replayed",
             needed, topic->name, topic->max_message_bytes, client);
    else if (!topic->source && topic->max_message_bytes < 65536)
        FAIL("sizes",
             "\"%s\" takes messages of %" PRId64 " bytes, and tagd's have up to 64 KiB; raise its "
             "max.message.bytes",
             topic->name, topic->max_message_bytes);
    else
        OK("sizes", "\"%s\" takes messages of %" PRId64 " bytes", topic->name, topic->max_message_bytes);
}

static void check_skew(const struct tagd_survey_topic *topic, struct tagd_checks *checks)
{
    if (!topic->source || topic->records < SKEW_RECORDS_LEAST || topic->partitions < 2)
        return;
    if (topic->most * topic->partitions > SKEW_TIMES * topic->records)
        WARN("skew",
             "partition %" PRId32 " of \"%s\" holds %.0f%% of its records; key records by customer, so that one "
             "worker hasn't most of the work",
             topic->most_at, topic->name, 100.0 * (double)topic->most / (double)topic->records);
    else
        OK("skew", "\"%s\" is spread over its partitions", topic->name);
}

static void check_topic(const struct tagd_survey_topic *topic, const struct tagd_config *config, int64_t longest,
                        struct tagd_checks *checks)
{
    if (topic->unreadable[0] != '\0')
        FAIL("rights", "\"%s\" can't be read: %s; give our user the right Read on it", topic->name, topic->unreadable);
    else
        OK("rights", "\"%s\" can be read%s", topic->name, topic->source ? "" : "; Write isn't tried");
    check_skew(topic, checks);
    if (topic->no_config[0] != '\0') {
        WARN("configuration",
             "that of topic \"%s\" isn't known: %s; give our user the right DescribeConfigs, or look at "
             "retention, cleanup.policy and max.message.bytes by hand",
             topic->name, topic->no_config);
        return;
    }
    check_replicas(topic, checks);
    check_cleanup(topic, checks);
    check_retention(topic, longest, checks);
    check_sizes(topic, config, checks);
    if (topic->source)
        OK("timestamps", "\"%s\": %s", topic->name,
           strcmp(topic->timestamp_type, "LogAppendTime") == 0
               ? "of the append, which `future` is compared with, and which stands for a missing time"
               : "of the producer, which stand for a missing time");
}

/* ---- Kafka: broker and group ---- */

static void check_broker(const struct tagd_survey_kafka *survey, const struct tagd_config *config,
                         struct tagd_checks *checks)
{
    int64_t transaction = property_ms(config, "transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
    int64_t session = property_ms(config, "session.timeout.ms", SESSION_TIMEOUT_MS);
    OK("kafka", "%d broker%s at %s", survey->brokers, survey->brokers == 1 ? "" : "s", config->bootstrap_servers);
    if (survey->no_config[0] != '\0') {
        WARN("broker",
             "its configuration isn't known: %s; give our user the right DescribeConfigs on the cluster, or "
             "look at transaction.max.timeout.ms by hand",
             survey->no_config);
        return;
    }
    if (survey->transaction_max_ms >= 0 && survey->transaction_max_ms < transaction && !config->at_least_once)
        FAIL("broker",
             "transaction.max.timeout.ms is %" PRId64 ", less than our %" PRId64
             "; raise it, or lower transaction.timeout.ms under \"kafka\"",
             survey->transaction_max_ms, transaction);
    else if (survey->group_max_session_ms >= 0 && survey->group_max_session_ms < session)
        FAIL("broker",
             "group.max.session.timeout.ms is %" PRId64 ", less than our %" PRId64
             "; raise it, or lower session.timeout.ms under \"kafka\"",
             survey->group_max_session_ms, session);
    else if (strcmp(survey->unclean, "true") == 0)
        WARN("broker", "unclean.leader.election.enable is true: acknowledged records may be lost; set it to false");
    else if (survey->offsets_retention_min >= 0 && survey->offsets_retention_min < 24 * 60)
        WARN("broker",
             "offsets.retention.minutes is %" PRId64 ": a group that stands still for longer loses its "
             "offsets; raise it to days",
             survey->offsets_retention_min);
    else
        OK("broker", "timeouts and retention of offsets are long enough");
}

static void check_group(const struct tagd_survey_kafka *survey, const struct tagd_config *config,
                        struct tagd_checks *checks)
{
    if (survey->no_group[0] != '\0')
        FAIL("group", "Kafka doesn't tell of \"%s\": %s; give our user the right Read on the group", config->group,
             survey->no_group);
    else if (survey->members > 0)
        OK("group", "\"%s\" runs: %d member%s, one is %s", config->group, survey->members,
           survey->members == 1 ? "" : "s", survey->member);
    else
        OK("group", "\"%s\" has no members%s%s", config->group, survey->state[0] == '\0' ? "" : ", state ",
           survey->state);
    if (survey->no_offsets[0] != '\0')
        FAIL("offsets", "Kafka doesn't tell those of \"%s\": %s; give our user the right Read on the group",
             config->group, survey->no_offsets);
    else if (survey->foreign_offsets > 0)
        FAIL("offsets",
             "%d that tagd did not write, as of %s: somebody reset group \"%s\" or uses its name; put them "
             "back with their metadata, or take a new \"group\" and \"redis.prefix\"",
             survey->foreign_offsets, survey->foreign_at, config->group);
    else
        OK("offsets", "%d committed, all by tagd", survey->offsets);
    if (config->at_least_once)
        OK("transactions", "not tried: \"delivery\" is at_least_once");
    else if (survey->owner[0] == '\0')
        OK("transactions", "not tried: the group runs, and its ids are in use");
    else if (survey->no_transactions[0] != '\0')
        FAIL("transactions", "%s; give our user the rights Write and Describe on transactional ids \"%s-...\"",
             survey->no_transactions, config->group);
    else
        OK("transactions", "\"%s\" may begin", survey->owner);
}

void tagd_check_kafka(const struct tagd_survey_kafka *survey, const struct tagd_config *config,
                      const struct tagd_catalog *catalog, struct tagd_checks *checks)
{
    if (survey->unreachable[0] != '\0') {
        checks->out_of_reach = true;
        FAIL("kafka",
             "no answer at %s: %s; start it, or correct \"bootstrap.servers\" and what belongs to it under "
             "\"kafka\"",
             config->bootstrap_servers, survey->unreachable);
        return;
    }
    check_broker(survey, config, checks);
    check_partitions(survey, checks);
    int64_t longest = longest_ms(catalog);
    for (size_t i = 0; i < survey->n_topics; i++)
        if (survey->topics[i].partitions > 0)
            check_topic(&survey->topics[i], config, longest, checks);
    check_group(survey, config, checks);
}

/* ---- Redis ---- */

static void check_server(const struct tagd_survey_redis *survey, struct tagd_checks *checks)
{
    int major = 0, minor = 0;
    sscanf(survey->version, "%d.%d", &major, &minor);
    if (major < REDIS_LEAST_MAJOR || (major == REDIS_LEAST_MAJOR && minor < REDIS_LEAST_MINOR))
        FAIL("redis", "version %s, older than %d.%d, which tagd needs; upgrade it", survey->version, REDIS_LEAST_MAJOR,
             REDIS_LEAST_MINOR);
    else
        OK("redis", "version %s", survey->version);
    if (strcmp(survey->mode, "cluster") == 0)
        FAIL("role", "a cluster, which this version can't use; give \"redis.url\" a single server");
    else if (survey->role[0] != '\0' && strcmp(survey->role, "master") != 0)
        FAIL("role", "a replica, which takes no writes; give \"redis.url\" the address of the master");
    else
        OK("role", "a master of its own");
}

static void check_memory(const struct tagd_survey_redis *survey, struct tagd_checks *checks)
{
    int64_t percent = survey->memory_max > 0 ? survey->memory * 100 / survey->memory_max : 0;
    if (survey->policy[0] != '\0' && strcmp(survey->policy, "noeviction") != 0)
        FAIL("eviction",
             "maxmemory-policy %s would drop customers' state; redis-cli config set maxmemory-policy "
             "noeviction, and in its configuration",
             survey->policy);
    else if (survey->evicted > 0)
        FAIL("eviction",
             "%" PRId64 " keys were evicted since it started: state may be lost; see tagd population "
             "--recount, and raise maxmemory",
             survey->evicted);
    else
        OK("eviction", "none: noeviction");
    if (percent >= MEMORY_FAIL_PERCENT)
        FAIL("memory", "%" PRId64 "%% of maxmemory are used: writes are refused at 100; raise maxmemory", percent);
    else if (percent >= MEMORY_WARN_PERCENT)
        WARN("memory", "%" PRId64 "%% of maxmemory are used: writes are refused at 100; raise maxmemory", percent);
    else
        OK("memory",
           survey->memory_max > 0 ? "enough is left below maxmemory" : "no maxmemory: as much as the host has");
}

static void check_persistence(const struct tagd_survey_redis *survey, const struct tagd_config *config,
                              struct tagd_checks *checks)
{
    if (!survey->aof)
        WARN("persistence", "no append-only file: a crash loses state; redis-cli config set appendonly yes, and in its "
                            "configuration");
    else if (survey->aof_write_failed || survey->aof_rewrite_failed)
        FAIL("persistence", "%s its append-only file failed last; see Redis's log, and the disk",
             survey->aof_write_failed ? "writing" : "rewriting");
    else if (strcmp(survey->append_fsync, "no") == 0)
        WARN("persistence", "appendfsync no: a crash of the host loses what the kernel held; set it to everysec");
    else if (config->at_least_once && survey->append_fsync[0] != '\0' && strcmp(survey->append_fsync, "always") != 0)
        WARN("persistence",
             "appendfsync %s with \"delivery\": \"at_least_once\": what a crash loses isn't repaired; set it "
             "to always",
             survey->append_fsync);
    else
        OK("persistence", "append-only file, appendfsync %s",
           survey->append_fsync[0] == '\0' ? "not told" : survey->append_fsync);
    if (survey->rdb_failed)
        WARN("snapshots",
             "the last one failed: Redis refuses writes then, by stop-writes-on-bgsave-error; see its log, "
             "and the disk");
}

static void check_clock(const struct tagd_survey_redis *survey, struct tagd_checks *checks)
{
    int64_t apart = survey->clock_ahead_ms == INT64_MIN ? 0 : llabs(survey->clock_ahead_ms);
    if (survey->clock_ahead_ms == INT64_MIN)
        OK("clocks", "Redis doesn't tell its time");
    else if (apart > TAGD_CLOCKS_APART_MS)
        FAIL("clocks", "Redis's is %.3f s ahead of this host's: time would be held; set the clocks, by NTP on both",
             (double)survey->clock_ahead_ms / 1000);
    else if (apart >= CLOCKS_WARN_MS)
        WARN("clocks", "Redis's is %.3f s ahead of this host's; run an NTP client on both",
             (double)survey->clock_ahead_ms / 1000);
    else
        OK("clocks", "Redis's and this host's agree");
}

static void check_prefix(const struct tagd_survey_redis *survey, const struct tagd_config *config, uint32_t partitions,
                         struct tagd_checks *checks)
{
    struct tagd_buf sources = {0};
    for (size_t i = 0; i < config->n_sources; i++)
        tagd_buf_printf(&sources, "%s%s", i == 0 ? "" : " ", config->sources[i].topic);
    tagd_buf_add_byte(&sources, '\0');
    if (survey->denied_keys)
        FAIL("prefix",
             "keys under \"%s\" can't be read; give the user of \"redis.url\" the right to all commands on "
             "them",
             config->redis.prefix);
    else if (survey->group[0] == '\0')
        OK("prefix", "nothing is under \"%s\" yet", config->redis.prefix);
    else if (strcmp(survey->group, config->group) != 0)
        FAIL("prefix", "\"%s\" belongs to group \"%s\", not \"%s\"; give this group its own \"redis.prefix\"",
             config->redis.prefix, survey->group, config->group);
    else if (survey->shards >= 0 && partitions > 0 && survey->shards != partitions)
        FAIL("prefix",
             "the state was made with %" PRId64 " partitions and the topics have %" PRIu32 "; go back to %" PRId64
             ", or take a new \"group\" and \"redis.prefix\"",
             survey->shards, partitions, survey->shards);
    else if (survey->sources[0] != '\0' && strcmp(survey->sources, sources.p) != 0)
        FAIL("prefix",
             "the state was made from the sources %.300s, in this order, and \"sources\" has %.300s; go back to "
             "those, or take a new \"group\" and \"redis.prefix\"",
             survey->sources, sources.p);
    else
        OK("prefix", "\"%s\" is this group's", config->redis.prefix);
    tagd_buf_free(&sources);
}

static void check_buffers(const struct tagd_survey_redis *survey, struct tagd_checks *checks)
{
    if (survey->buffers[0] == '\0')
        OK("buffers", "client-output-buffer-limit isn't told");
    else if (strstr(survey->buffers, "normal 0 0") == NULL)
        WARN("buffers",
             "client-output-buffer-limit is \"%s\": connections that read many profiles may be cut; set "
             "\"normal 0 0 0\"",
             survey->buffers);
    else
        OK("buffers", "connections are not cut for large answers");
}

void tagd_check_redis(const struct tagd_survey_redis *survey, const struct tagd_config *config, uint32_t partitions,
                      struct tagd_checks *checks)
{
    if (survey->unreachable[0] != '\0') {
        checks->out_of_reach = true;
        FAIL("redis", "%s; start it, or correct \"redis.url\"", survey->unreachable);
        return;
    }
    if (survey->refused[0] != '\0') {
        FAIL("redis", "%s", survey->refused);
        return;
    }
    if (survey->loading) {
        checks->out_of_reach = true;
        FAIL("redis", "it is still loading its data; wait until it has");
        return;
    }
    check_server(survey, checks);
    check_memory(survey, checks);
    check_persistence(survey, config, checks);
    check_buffers(survey, checks);
    check_clock(survey, checks);
    check_prefix(survey, config, partitions, checks);
}

/* ---- the state ---- */

void tagd_check_heads(const struct tagd_head *heads, uint32_t n, const struct tagd_config *config,
                      const struct tagd_catalog *catalog, struct tagd_checks *checks)
{
    uint32_t with_state = 0, other = 0, importing = 0, repairing = 0;
    const char *hash = "";
    for (uint32_t i = 0; i < n; i++) {
        if (!heads[i].exists)
            continue;
        with_state++;
        importing += tagd_head_importing(&heads[i]);
        repairing += heads[i].repair.phase != TAGD_NO_REPAIR;
        if (strcmp(heads[i].catalog_hash, tagd_catalog_hash(catalog)) == 0)
            continue;
        other++;
        hash = heads[i].catalog_hash;
    }
    if (other > 0)
        FAIL("state",
             "%" PRIu32 " of %" PRIu32 " shards were made by another catalog (%s, now %s); run that one, or take "
             "a new \"group\" and \"redis.prefix\"",
             other, with_state, hash, tagd_catalog_hash(catalog));
    else if (importing > 0)
        FAIL("state", "an import of history isn't finished in %" PRIu32 " shards; run the same tagd import again",
             importing);
    else if (repairing > 0)
        WARN("state", "%" PRIu32 " shards of group \"%s\" are under repair; let the daemon run until that is over",
             repairing, config->group);
    else
        OK("state", with_state == 0 ? "there is none yet" : "made by this catalog");
}
