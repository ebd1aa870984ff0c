/* Any bytes as a configuration file. What is read keeps every limit that config.h names; what isn't has a sentence that
 * begins with the file. The maps of its sources are then held against a catalog, and take a record. */
#include "fuzz.h"

#include "config/config.h"

static const char *environment(void *to, const char *name)
{
    static const char *const values[][2] = {{"A", "a"},     {"N", "7"},         {"BAD", "\xFF"},
                                            {"EMPTY", ""},  {"NESTED", "${A}"}, {"URL", "redis://u:p%40@h:1/2"},
                                            {"BIG", "1e9"}, {"HEX", "0x10"}};
    (void)to;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        if (strcmp(values[i][0], name) == 0)
            return values[i][1];
    return NULL;
}

static void must_be_a_name(const char *name, size_t max)
{
    size_t n = strlen(name);
    MUST(n >= 1 && n <= max && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n);
}

static bool within(int64_t v, int64_t least, int64_t most)
{
    return v >= least && v <= most;
}

/* Of a "${file:PATH}". */
static bool file(void *to, const char *path, struct tagd_buf *out, struct tagd_error *error)
{
    (void)to;
    if (strchr(path, '0') != NULL)
        return tagd_fail(error, "%.100s: there is no such file; correct the path", path);
    tagd_buf_add_z(out, path[0] == '/' ? "a-secret-of-a-file\n" : "short");
    return true;
}

static void must_have_topics(const struct tagd_config *config)
{
    const char *topics[TAGD_TOPICS_MAX + 3] = {config->tag_changes, config->churn_risk, config->dead_letter};
    MUST(within((int64_t)config->n_sources, 1, TAGD_TOPICS_MAX));
    for (size_t i = 0; i < config->n_sources; i++)
        topics[3 + i] = config->sources[i].topic;
    for (size_t i = 0; i < 3 + config->n_sources; i++) {
        must_be_a_name(topics[i], TAGD_TOPIC_NAME_MAX);
        for (size_t k = 0; k < i; k++)
            MUST(strcmp(topics[i], topics[k]) != 0);
    }
}

static void must_have_servers(const struct tagd_config *config)
{
    MUST(config->bootstrap_servers[0] != '\0' && config->n_kafka >= 1);
    for (size_t i = 0; i < config->n_kafka; i++)
        MUST(strcmp(config->kafka[i].name, "group.id") != 0 && config->kafka[i].value);
    MUST((config->redis.host != NULL) != (config->redis.unix_path != NULL));
    MUST(within(config->redis.port, 1, 65535) && config->redis.db >= 0);
    MUST(strlen(config->redis.prefix) <= TAGD_PREFIX_MAX && !strpbrk(config->redis.prefix, "{}"));
    MUST(config->redis.user == NULL || config->redis.password != NULL);
    MUST(config->redis.tls.on || (config->redis.tls.ca == NULL && config->redis.tls.cert == NULL));
    MUST((config->redis.tls.cert == NULL) == (config->redis.tls.key == NULL));
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

/* Nobody else asks who customers are, unless that is said. */
static void must_be_guarded(const struct tagd_config *config)
{
    if (config->http.host == NULL)
        return;
    size_t n = config->http.token == NULL ? TAGD_HTTP_TOKEN_LEAST : strlen(config->http.token);
    MUST(within(config->http.port, 0, 65535) && within(config->http.rate, 1, TAGD_HTTP_RATE_MAX));
    MUST(within((int64_t)n, TAGD_HTTP_TOKEN_LEAST, TAGD_HTTP_TOKEN_MAX));
    MUST(is_loopback(config->http.host) || config->http.token != NULL || config->http.client_ca != NULL ||
         config->http.insecure);
}

/* What is a secret is not shown. */
static void must_be_hidden(const struct tagd_config *config, const char *secret)
{
    char text[2000];
    if (secret == NULL || strlen(secret) < TAGD_REDACTED_LEAST || strlen(secret) > 1000 || strchr(secret, '*') != NULL)
        return;
    snprintf(text, sizeof(text), "\001%s\001", secret);
    tagd_config_redact(config, text);
    MUST(strstr(text, secret) == NULL);
}

static void must_keep_its_limits(const struct tagd_config *config)
{
    must_be_a_name(config->group, TAGD_GROUP_MAX);
    must_be_a_name(config->instance, TAGD_INSTANCE_MAX);
    MUST(config->catalog[0] != '\0' && within(config->workers, 1, TAGD_WORKERS_MAX));
    MUST(within(config->grace_ms, 0, TAGD_GRACE_MAX_MS) && within(config->max_idle_ms, 0, TAGD_MAX_IDLE_MAX_MS));
    MUST(within(config->horizon_ms, 0, TAGD_HORIZON_MAX_MS) && within(config->future_ms, 0, TAGD_FUTURE_MAX_MS));
    MUST(within(config->past_ms, TAGD_TIME_MIN, TAGD_TIME_MAX));
    MUST(within((int64_t)config->max_event_bytes, TAGD_EVENT_BYTES_LEAST, TAGD_EVENT_BYTES_MOST));
    MUST(within((int64_t)config->batch_events, 1, TAGD_BATCH_EVENTS_MAX));
    MUST(within((int64_t)config->batch_bytes, TAGD_BATCH_BYTES_LEAST, TAGD_BATCH_BYTES_MAX));
    MUST(within((int64_t)config->cache_bytes, 0, TAGD_CACHE_BYTES_MAX));
    MUST(config->n_junk_subjects <= TAGD_JUNK_SUBJECTS_MAX && config->n_carry <= TAGD_CARRY_MAX);
    MUST(config->n_changes_limits <= TAGD_CHANGES_LIMITS_MAX);
    for (size_t i = 0; i < config->n_changes_limits; i++)
        MUST(within(config->changes_limits[i].most, 1, TAGD_CHANGES_PER_MINUTE_MAX));
    for (size_t i = 0; i < config->n_sources; i++)
        MUST(config->sources[i].expect_every_ms == 0 ||
             (!config->time_events &&
              within(config->sources[i].expect_every_ms, TAGD_EXPECT_EVERY_LEAST_MS, TAGD_EXPECT_EVERY_MAX_MS)));
    for (size_t i = 0; i < config->n_junk_subjects; i++)
        MUST(tagd_utf8_valid(config->junk_subjects[i].p, config->junk_subjects[i].n));
}

/* A map that the catalog takes reads any record, or says why not. */
static void map_a_record(const struct tagd_catalog *catalog, const struct tagd_map *map, const char *topic)
{
    static const char value[] =
        "{\"a\":{\"b\":[1,\"two\",true,null,{\"c\":-2.5}]},\"id\":\"i\",\"no\":17,\"who\":\"C1\","
        "\"ts\":1700000000000,\"s\":1700000000,\"when\":\"2023-11-14T22:13:20Z\",\"d\":{}}";
    static struct tagd_arena arena;
    struct tagd_error error = {{0}};
    struct tagd_event event;
    struct tagd_record record = {.value = {value, sizeof(value) - 1},
                                 .key = {"C2", 2},
                                 .has_value = true,
                                 .has_key = true,
                                 .timestamp_ms = FUZZ_T0,
                                 .partition = 3,
                                 .offset = 12};
    struct tagd_event_rules rules = {.catalog = catalog,
                                     .map = map,
                                     .max_bytes = TAGD_EVENT_BYTES_MAX,
                                     .future_ms = -1,
                                     .partitioner = TAGD_NO_PARTITIONER};
    if (!tagd_map_check(map, catalog, topic, &error)) {
        MUST(is_sentence(error.text));
        return;
    }
    tagd_arena_reset(&arena);
    tagd_event_decode(&rules, &record, 0, &arena, &event);
    MUST((event.code == TAGD_EVENT_OK) == (event.reason[0] == '\0'));
    MUST(event.code != TAGD_EVENT_OK || (event.subject.n >= 1 && event.subject.n <= TAGD_SUBJECT_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tagd_catalog *catalog;
    struct tagd_error error = {{0}};
    if (!catalog)
        catalog = tagd_catalog_load("fuzz", fuzz_every_kind, sizeof(fuzz_every_kind) - 1, NULL);
    MUST(catalog);
    struct tagd_config *config = tagd_config_parse("fuzz.json", (const char *)data, size, "host.name",
                                                   &(struct tagd_config_outside){environment, file, NULL}, &error);
    if (!config) {
        MUST(is_sentence(error.text) && strncmp(error.text, "fuzz.json:", 10) == 0);
        return 0;
    }
    must_have_topics(config);
    must_have_servers(config);
    must_be_guarded(config);
    must_be_hidden(config, config->redis.password);
    must_be_hidden(config, config->http.token);
    must_keep_its_limits(config);
    for (size_t i = 0; i < config->n_sources; i++)
        if (config->sources[i].map)
            map_a_record(catalog, config->sources[i].map, config->sources[i].topic);
    tagd_config_free(config);
    return 0;
}
