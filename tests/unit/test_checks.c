/* What is right and wrong about a set-up, at the edges of each check. */
#include "command/checks.h"
#include "shop.h"

static struct tagd_checks checks;
static struct tagd_config config;
static struct tagd_source sources[2] = {{.topic = "first"}, {.topic = "second"}};

static void fresh(void)
{
    tagd_checks_free(&checks);
    config = (struct tagd_config){.group = "g",
                                  .sources = sources,
                                  .n_sources = 2,
                                  .dead_letter = "dead",
                                  .bootstrap_servers = "kafka:9092",
                                  .max_event_bytes = 100000};
    config.redis.prefix = "tagd:";
}

/* The one check of this name whose text has `words`; else it is said which there are. */
static bool told(enum tagd_check_level level, const char *name, const char *words)
{
    size_t n = 0;
    for (size_t i = 0; i < checks.n; i++)
        n += checks.at[i].level == level && strcmp(checks.at[i].name, name) == 0 &&
             strstr(checks.at[i].text, words) != NULL;
    for (size_t i = 0; i < checks.n && n != 1; i++)
        fprintf(stderr, "%d %s: %s\n", checks.at[i].level, checks.at[i].name, checks.at[i].text);
    return n == 1;
}

static struct tagd_survey_redis good_redis(void)
{
    struct tagd_survey_redis redis = {.aof = true, .memory = 10, .memory_max = 100, .shards = -1};
    snprintf(redis.version, sizeof redis.version, "7.0.15");
    snprintf(redis.mode, sizeof redis.mode, "standalone");
    snprintf(redis.role, sizeof redis.role, "master");
    snprintf(redis.policy, sizeof redis.policy, "noeviction");
    snprintf(redis.append_fsync, sizeof redis.append_fsync, "everysec");
    snprintf(redis.buffers, sizeof redis.buffers, "normal 0 0 0 slave 1 2 3");
    return redis;
}

static void check_redis(struct tagd_survey_redis redis)
{
    fresh();
    tagd_check_redis(&redis, &config, 4, &checks);
}

static void a_good_redis_has_no_failure(void)
{
    check_redis(good_redis());
    CHECK(checks.by_level[TAGD_CHECK_OK] == checks.n && checks.n >= 7 && !checks.out_of_reach);
}

static void versions_of_redis_are_compared_as_numbers(void)
{
    static const struct {
        const char *version;
        enum tagd_check_level level;
    } rows[] = {{"6.1.9", TAGD_CHECK_FAIL},
                {"6.2.0", TAGD_CHECK_OK},
                {"6.10.0", TAGD_CHECK_OK},
                {"5.9.0", TAGD_CHECK_FAIL},
                {"10.0.0", TAGD_CHECK_OK}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tagd_survey_redis redis = good_redis();
        snprintf(redis.version, sizeof redis.version, "%s", rows[i].version);
        check_redis(redis);
        CHECK(told(rows[i].level, "redis", rows[i].version));
    }
}

static void memory_and_clocks_warn_before_they_fail(void)
{
    struct tagd_survey_redis redis = good_redis();
    redis.memory = 79;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_OK, "memory", ""));
    redis.memory = 80;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_WARN, "memory", "80% of maxmemory"));
    redis.memory = 95;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "memory", "raise maxmemory"));
    redis.memory_max = 0;
    redis.clock_ahead_ms = -999;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_OK, "memory", "no maxmemory") && told(TAGD_CHECK_OK, "clocks", "agree"));
    redis.clock_ahead_ms = -1000;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_WARN, "clocks", "-1.000 s ahead"));
    redis.clock_ahead_ms = 60001;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "clocks", "60.001 s ahead"));
    redis.clock_ahead_ms = INT64_MIN;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_OK, "clocks", "doesn't tell"));
}

static void what_redis_says_of_its_disk_counts(void)
{
    struct tagd_survey_redis redis = good_redis();
    redis.aof_write_failed = true;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "persistence", "writing its append-only file failed"));
    redis = good_redis();
    redis.aof_rewrite_failed = redis.rdb_failed = true;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "persistence", "rewriting") && told(TAGD_CHECK_WARN, "snapshots", "failed"));
    redis = good_redis();
    redis.evicted = 3;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "eviction", "3 keys were evicted"));
    redis = good_redis();
    redis.loading = true;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "redis", "loading") && checks.out_of_reach);
    redis = good_redis();
    snprintf(redis.mode, sizeof redis.mode, "cluster");
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "role", "a cluster"));
}

static void a_prefix_belongs_to_one_group_number_and_list_of_sources(void)
{
    struct tagd_survey_redis redis = good_redis();
    snprintf(redis.group, sizeof redis.group, "g");
    snprintf(redis.sources, sizeof redis.sources, "first second");
    redis.shards = 4;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_OK, "prefix", "is this group's"));
    redis.shards = 5;
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "prefix", "made with 5 partitions and the topics have 4"));
    redis.shards = 4;
    snprintf(redis.sources, sizeof redis.sources, "second first");
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "prefix", "in this order"));
    snprintf(redis.group, sizeof redis.group, "h");
    check_redis(redis);
    CHECK(told(TAGD_CHECK_FAIL, "prefix", "belongs to group \"h\""));
}

static struct tagd_survey_topic topic(const char *name, bool source, enum tagd_output_kind kind)
{
    struct tagd_survey_topic made = {.name = name,
                                     .source = source,
                                     .kind = kind,
                                     .partitions = 4,
                                     .replicas = 3,
                                     .retention_ms = -1,
                                     .retention_bytes = -1,
                                     .max_message_bytes = 108192,
                                     .min_insync = 2};
    snprintf(made.cleanup, sizeof made.cleanup, "delete");
    return made;
}

static void check_one(const struct tagd_catalog *catalog, struct tagd_survey_topic one)
{
    static struct tagd_survey_kafka kafka;
    fresh();
    kafka = (struct tagd_survey_kafka){.brokers = 3,
                                       .transaction_max_ms = 10000,
                                       .group_max_session_ms = 10000,
                                       .offsets_retention_min = 1440,
                                       .topics = {one},
                                       .n_topics = 1};
    tagd_check_kafka(&kafka, &config, catalog, &checks);
}

/* No retention is long enough for "at any time". */
static void a_first_or_latest_event_may_be_older_than_any_retention(void)
{
    static const char *const conditions[] = {"first(source, login) == \\\"app\\\"", "count(login[12d:1d]) > 1"};
    for (int i = 0; i < 2; i++) {
        char dimension[200];
        struct tagd_error error;
        snprintf(dimension, sizeof(dimension), "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"%s\"}]}", conditions[i]);
        struct tagd_catalog *catalog = shop_catalog("", dimension, &error);
        CHECK(catalog != NULL);
        struct tagd_survey_topic one = topic("first", true, TAGD_OUT_CHANGE);
        one.retention_ms = 12 * (int64_t)TAGD_MS_DAY;
        check_one(catalog, one);
        CHECK(told(i == 0 ? TAGD_CHECK_WARN : TAGD_CHECK_OK, "retention", i == 0 ? "over all time" : "long enough"));
        tagd_catalog_free(catalog);
    }
}

static void topics_are_judged_at_their_limits(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog(
        "", "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"count(login[10d:1d] offset 2d) > 1\"}]}", &error);
    CHECK(catalog != NULL);
    struct tagd_survey_topic one = topic("first", true, TAGD_OUT_CHANGE);
    check_one(catalog, one);
    CHECK(checks.by_level[TAGD_CHECK_OK] == checks.n);
    one.retention_ms = 12 * (int64_t)TAGD_MS_DAY; /* window and offset */
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_OK, "retention", "long enough"));
    one.retention_ms--;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_WARN, "retention", "rules look back over 12:"));
    one.retention_ms = TAGD_MS_DAY - 1;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_WARN, "retention", "may stand still"));
    one.retention_ms = 3600000 - 1;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_FAIL, "retention", "minutes"));
    one = topic("first", true, TAGD_OUT_CHANGE);
    one.max_message_bytes = 108193; /* over max_event_bytes and what is around it */
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_WARN, "sizes", "raise max_event_bytes"));
    one = topic("first", true, TAGD_OUT_CHANGE);
    one.records = 10000, one.most = 10000, one.most_at = 2;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_OK, "skew", "") && checks.by_level[TAGD_CHECK_WARN] == 0);
    one.partitions = 5;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_WARN, "skew", "partition 2 of \"first\" holds 100%"));
    one = topic("dead", false, TAGD_OUT_DEAD_LETTER);
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_OK, "sizes", ""));
    one.max_message_bytes--;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_WARN, "sizes", "don't fit"));
    one.retention_ms = 2 * (int64_t)TAGD_MS_DAY; /* an output needn't reach back as far as rules do */
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_OK, "retention", ""));
    one.min_insync = 1;
    check_one(catalog, one);
    CHECK(told(TAGD_CHECK_WARN, "replication", "min.insync.replicas 1"));
    tagd_catalog_free(catalog);
}

static void the_broker_must_allow_our_timeouts(void)
{
    static struct tagd_survey_kafka kafka;
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog("", "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}", &error);
    fresh();
    kafka =
        (struct tagd_survey_kafka){.transaction_max_ms = 9999, .group_max_session_ms = -1, .offsets_retention_min = -1};
    tagd_check_kafka(&kafka, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_FAIL, "broker", "transaction.max.timeout.ms is 9999, less than our 10000"));
    fresh();
    config.at_least_once = true;
    kafka.group_max_session_ms = 9999;
    tagd_check_kafka(&kafka, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_FAIL, "broker", "group.max.session.timeout.ms is 9999"));
    fresh();
    kafka = (struct tagd_survey_kafka){.unreachable = "no"};
    tagd_check_kafka(&kafka, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_FAIL, "kafka", "no answer at kafka:9092: no; start it") && checks.out_of_reach);
    tagd_catalog_free(catalog);
}

static void the_host_is_judged(void)
{
    struct tagd_host host = {1023, true, 0, 0x020001ff, "2.0.1", "1"};
    fresh();
    config.http.host = "0.0.0.0";
    tagd_check_host(&host, &config, &checks);
    CHECK(told(TAGD_CHECK_FAIL, "librdkafka", "older than 2.0.2") && told(TAGD_CHECK_WARN, "open files", "1023"));
    CHECK(told(TAGD_CHECK_WARN, "user", "root") && told(TAGD_CHECK_WARN, "clock", "NTP") &&
          told(TAGD_CHECK_WARN, "http", "0.0.0.0"));
    host = (struct tagd_host){1024, false, 1, 0x020002ff, "2.0.2", "1"};
    fresh();
    config.http.host = "127.0.0.1";
    tagd_check_host(&host, &config, &checks);
    CHECK(checks.by_level[TAGD_CHECK_OK] == checks.n);
    fresh();
    config.http.host = "0.0.0.0";
    config.http.token = "0123456789abcdef";
    tagd_check_host(&host, &config, &checks);
    CHECK(checks.by_level[TAGD_CHECK_OK] == checks.n);
    config.http.token = NULL;
    host.librdkafka = 0x020100ff;
    fresh();
    tagd_check_host(&host, &config, &checks);
    CHECK(told(TAGD_CHECK_WARN, "librdkafka", "upgrade it"));
}

static void state_of_another_catalog_or_of_an_import_is_a_failure(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog("", "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}", &error);
    struct tagd_head heads[2] = {{.exists = true}, {.exists = false}};
    snprintf(heads[0].catalog_hash, sizeof heads[0].catalog_hash, "%s", tagd_catalog_hash(catalog));
    fresh();
    tagd_check_heads(heads, 2, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_OK, "state", "made by this catalog"));
    heads[0].repair.phase = TAGD_REPAIR_TELLING;
    tagd_check_heads(heads, 2, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_WARN, "state", "under repair"));
    snprintf(heads[0].baseline.import, sizeof heads[0].baseline.import, "x");
    tagd_check_heads(heads, 2, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_FAIL, "state", "an import of history"));
    heads[0].catalog_hash[0] ^= 1;
    tagd_check_heads(heads, 2, &config, catalog, &checks);
    CHECK(told(TAGD_CHECK_FAIL, "state", "1 of 1 shards were made by another catalog"));
    tagd_catalog_free(catalog);
    tagd_checks_free(&checks);
}

int main(void)
{
    RUN(a_good_redis_has_no_failure);
    RUN(versions_of_redis_are_compared_as_numbers);
    RUN(memory_and_clocks_warn_before_they_fail);
    RUN(what_redis_says_of_its_disk_counts);
    RUN(a_prefix_belongs_to_one_group_number_and_list_of_sources);
    RUN(a_first_or_latest_event_may_be_older_than_any_retention);
    RUN(topics_are_judged_at_their_limits);
    RUN(the_broker_must_allow_our_timeouts);
    RUN(the_host_is_judged);
    RUN(state_of_another_catalog_or_of_an_import_is_a_failure);
    return DONE();
}
