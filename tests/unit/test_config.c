#include "check.h"
#include "config/config.h"

#define LEAST_REST                                                                                                     \
    "\"sources\": [{\"topic\": \"events\"}], \"kafka\": {\"bootstrap.servers\": \"127.0.0.1:9092\"}, "                 \
    "\"redis\": {\"url\": \"redis://127.0.0.1:6379\"}"
#define LEAST "\"catalog\": \"shop.json\", " LEAST_REST

static struct tagd_error error;

static const char *environment(void *to, const char *name)
{
    (void)to;
    if (strcmp(name, "WORKERS") == 0)
        return "3";
    if (strcmp(name, "PASSWORD") == 0)
        return "a${WORKERS}";
    if (strcmp(name, "TOKEN") == 0)
        return "0123456789abcdef";
    if (strcmp(name, "SHORT") == 0)
        return "0123456789abcde";
    return NULL;
}

static bool file(void *to, const char *path, struct tagd_buf *out, struct tagd_error *why)
{
    (void)to;
    if (strcmp(path, "/run/secrets/redis") == 0)
        tagd_buf_add_z(out, "p@s:s/w%d\n");
    else if (strcmp(path, "lines") == 0)
        tagd_buf_add_z(out, "a\nb\n\n");
    else if (strcmp(path, "empty") == 0)
        tagd_buf_add_z(out, "\n");
    else if (strcmp(path, "nul") == 0)
        tagd_buf_add(out, "a\0b", 3);
    else if (strcmp(path, "latin") == 0)
        tagd_buf_add_z(out, "w\xf6rd");
    else if (strcmp(path, "variable") == 0)
        tagd_buf_add_z(out, "${WORKERS}");
    else if (strcmp(path, "three") == 0)
        tagd_buf_add_z(out, "3\n");
    else
        return tagd_fail(why, "%s: No such file; expected a secret", path);
    return true;
}

static const struct tagd_config_outside outside = {environment, file, NULL};

static struct tagd_config *parse(const char *text)
{
    error.text[0] = '\0';
    return tagd_config_parse("tagd.json", text, strlen(text), "host.local", &outside, &error);
}

/* The text is refused, and the message holds both. */
static bool refused(const char *text, const char *place, const char *what)
{
    struct tagd_config *config = parse(text);
    bool ok = config == NULL && strstr(error.text, place) != NULL && strstr(error.text, what) != NULL;
    if (!ok)
        fprintf(stderr, "%s\n%s\n", text, config == NULL ? error.text : "(taken)");
    tagd_config_free(config);
    return ok;
}

static bool taken(const char *text)
{
    struct tagd_config *config = parse(text);
    if (config == NULL)
        fprintf(stderr, "%s\n%s\n", text, error.text);
    tagd_config_free(config);
    return config != NULL;
}

static void the_least_configuration_has_all_defaults(void)
{
    struct tagd_config *config = parse("{" LEAST "}");
    CHECK(config != NULL);
    CHECK(strcmp(config->group, "tagd") == 0);
    CHECK(strcmp(config->instance, "host.local") == 0);
    CHECK(strcmp(config->catalog, "shop.json") == 0);
    CHECK(config->n_sources == 1 && strcmp(config->sources[0].topic, "events") == 0);
    CHECK(config->sources[0].partitioner == TAGD_MURMUR2);
    CHECK(strcmp(config->tag_changes, "tagd.tag-changes") == 0);
    CHECK(strcmp(config->churn_risk, "tagd.churn-risk") == 0);
    CHECK(strcmp(config->dead_letter, "tagd.dead-letter") == 0);
    CHECK(config->n_kafka == 1 && strcmp(config->bootstrap_servers, "127.0.0.1:9092") == 0);
    CHECK(!config->start_latest);
    CHECK(strcmp(config->redis.host, "127.0.0.1") == 0 && config->redis.port == 6379 && config->redis.db == 0);
    CHECK(strcmp(config->redis.prefix, "tagd:") == 0 && config->redis.password == NULL);
    CHECK(config->workers == 1 && !config->time_events && !config->at_least_once);
    CHECK(config->grace_ms == 2000 && config->max_idle_ms == 100 && config->horizon_ms == INT64_C(400) * TAGD_MS_DAY);
    CHECK(config->carry_all && !config->continue_on_data_gap);
    CHECK(strcmp(config->http.host, "127.0.0.1") == 0 && config->http.port == 9464);
    CHECK(config->past_ms == INT64_C(631152000000) && config->future_ms == 300000);
    CHECK(config->max_event_bytes == 1048576 && config->batch_events == 20000);
    CHECK(config->cache_bytes == 64 * 1024 * 1024);
    CHECK(config->log.format == TAGD_LOG_LOGFMT && config->log.level == TAGD_NOTE_INFO && config->log.file == NULL);
    CHECK(config->n_junk_subjects == tagd_n_junk_subjects);
    tagd_config_free(config);
}

static void every_key_is_read(void)
{
    struct tagd_config *config = parse(
        "{ // a comment\n"
        "\"group\": \"g\", \"instance\": \"i\", \"catalog\": \"c.json\",\n"
        "\"sources\": [{\"topic\": \"a\", \"partitioner\": \"crc32\"}, {\"topic\": \"b\", \"partitioner\": "
        "\"none\", \"headers\": \"ignore\"}],\n"
        "\"outputs\": {\"tag_changes\": \"x\", \"churn_risk\": \"y\", \"dead_letter\": \"z\"},\n"
        "\"kafka\": {\"bootstrap.servers\": \"k:1\", \"auto.offset.reset\": \"latest\", \"fetch.min.bytes\": 10,\n"
        "  \"socket.keepalive.enable\": true},\n"
        "\"redis\": {\"url\": \"redis://u:p%40w@[::1]:7000/3\", \"prefix\": \"t:\"},\n"
        "\"delivery\": \"at_least_once\", \"workers\": 2, \"time\": \"events\", \"grace\": \"0s\", \"max_idle\": "
        "\"1s\",\n"
        "\"carry\": [\"value.level\"], \"horizon\": \"30d\", \"on_data_gap\": \"continue\", \"http\": {\"listen\": "
        "\"[::1]:0\"},\n"
        "\"past\": \"2000-01-01\", \"future\": \"1h\", \"max_event_bytes\": 2048, \"junk_subjects\": [\"nobody\"],\n"
        "\"batch_events\": 5, \"batch_bytes\": 100000, \"cache_bytes\": 0,\n"
        "\"log\": {\"format\": \"json\", \"level\": \"error\", \"file\": \"logs/tagd.log\"} }");
    CHECK(config != NULL);
    CHECK(strcmp(config->group, "g") == 0 && strcmp(config->instance, "i") == 0);
    CHECK(config->n_sources == 2 && config->sources[0].partitioner == TAGD_CRC32);
    CHECK(config->sources[1].partitioner == TAGD_NO_PARTITIONER);
    CHECK(!config->sources[0].no_headers && config->sources[1].no_headers);
    CHECK(strcmp(config->tag_changes, "x") == 0 && strcmp(config->dead_letter, "z") == 0);
    CHECK(config->start_latest && config->n_kafka == 3);
    CHECK(strcmp(config->kafka[1].name, "fetch.min.bytes") == 0 && strcmp(config->kafka[1].value, "10") == 0);
    CHECK(strcmp(config->kafka[2].value, "true") == 0);
    CHECK(strcmp(config->redis.host, "::1") == 0 && config->redis.port == 7000 && config->redis.db == 3);
    CHECK(strcmp(config->redis.user, "u") == 0 && strcmp(config->redis.password, "p@w") == 0);
    CHECK(config->at_least_once && config->workers == 2 && config->time_events && config->grace_ms == 0 &&
          config->max_idle_ms == 1000);
    CHECK(!config->carry_all && config->n_carry == 1 && strcmp(config->carry[0], "value.level") == 0);
    CHECK(config->continue_on_data_gap && strcmp(config->http.host, "::1") == 0 && config->http.port == 0);
    CHECK(config->past_ms == INT64_C(946684800000) && config->future_ms == 3600000);
    CHECK(config->max_event_bytes == 2048 && config->batch_events == 5 && config->batch_bytes == 100000);
    CHECK(config->cache_bytes == 0);
    CHECK(config->log.format == TAGD_LOG_JSON && config->log.level == TAGD_NOTE_ERROR);
    CHECK(strcmp(config->log.file, "logs/tagd.log") == 0);
    CHECK(config->n_junk_subjects == 1 && tagd_str_eq(config->junk_subjects[0], TAGD_STR("nobody")));
    tagd_config_free(config);
}

static void a_value_may_come_from_the_environment(void)
{
    struct tagd_config *config =
        parse("{" LEAST ", \"workers\": \"${WORKERS}\", \"group\": \"g${WORKERS}\", \"instance\": \"$5\"}");
    CHECK(config == NULL); /* "$5" is no name, but no variable either */
    config = parse("{\"workers\": \"${WORKERS}\", \"group\": \"g${WORKERS}\", " LEAST "}");
    CHECK(config != NULL && config->workers == 3 && strcmp(config->group, "g3") == 0);
    tagd_config_free(config);
    CHECK(refused("{\"group\": \"x${NOWHERE}\", " LEAST "}", "tagd.json:1:13", "NOWHERE"));
    CHECK(refused("{\"group\": \"${}\", " LEAST "}", "/group", "${NAME}"));
}

static void what_the_environment_gives_is_not_looked_at_again(void)
{
    struct tagd_config *config =
        parse("{\"catalog\": \"c\", \"sources\": [{\"topic\": \"e\"}], \"kafka\": {\"bootstrap.servers\": \"k:1\", "
              "\"sasl.password\": \"${PASSWORD}\"}, \"redis\": {\"url\": \"redis://h\"}}");
    CHECK(config != NULL && strcmp(config->kafka[1].value, "a${WORKERS}") == 0);
    tagd_config_free(config);
}

static void where_other_hosts_reach_it_http_wants_a_guard(void)
{
    static const char *const others[] = {"0.0.0.0:9464", "[::]:9464", "10.0.0.1:80", "128.0.0.1:80", "example.org:80"};
    static const char *const ours[] = {"127.0.0.1:9464", "127.8.8.8:80", "[::1]:0", "localhost:80", "off"};
    char text[512];
    for (size_t i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "{" LEAST ", \"http\": {\"listen\": \"%s\"}}", others[i]);
        CHECK(refused(text, "/http/listen", "\"insecure\": true"));
        snprintf(text, sizeof(text), "{" LEAST ", \"http\": {\"insecure\": true, \"listen\": \"%s\"}}", others[i]);
        CHECK(taken(text));
        snprintf(text, sizeof(text), "{" LEAST ", \"http\": {\"listen\": \"%s\", \"token\": \"${TOKEN}\"}}", others[i]);
        CHECK(taken(text));
        snprintf(text, sizeof(text),
                 "{" LEAST ", \"http\": {\"listen\": \"%s\", \"tls\": {\"cert\": \"c\", \"key\": \"k\"}}}", others[i]);
        CHECK(refused(text, "/http/listen", "client_ca"));
        snprintf(text, sizeof(text), "{" LEAST ", \"http\": {\"listen\": \"%s\"}}", ours[i]);
        CHECK(taken(text));
    }
    struct tagd_config *config =
        parse("{" LEAST ", \"http\": {\"listen\": \"0.0.0.0:1\", \"requests_per_second\": 7, \"token\": \"${TOKEN}\", "
              "\"tls\": {\"cert\": \"c\", \"key\": \"k\", \"client_ca\": \"a\"}}}");
    CHECK(config != NULL && strcmp(config->http.token, "0123456789abcdef") == 0 && config->http.rate == 7);
    CHECK(strcmp(config->http.cert, "c") == 0 && strcmp(config->http.key, "k") == 0 &&
          strcmp(config->http.client_ca, "a") == 0);
    tagd_config_free(config);
    CHECK(refused("{" LEAST ", \"http\": {\"token\": \"${SHORT}\"}}", "/http/token", "has 15 bytes"));
    CHECK(refused("{" LEAST ", \"http\": {\"token\": \"0123456789abcdef\"}}", "/http/token", "${NAME}"));
}

static void an_unknown_key_is_refused_with_its_place(void)
{
    CHECK(refused("{" LEAST ",\n \"grase\": \"2s\"}", "tagd.json:2:2: at /grase", "unknown key \"grase\""));
    CHECK(refused("{\"catalog\": \"c\", \"sources\": [{\"topik\": \"a\"}]}", "/sources/0/topik", "topic, partitioner"));
}

static void a_missing_key_is_named(void)
{
    CHECK(refused("{" LEAST_REST "}", "at the top", "\"catalog\" is missing"));
    CHECK(refused("{\"catalog\": \"c\", \"sources\": [{\"topic\": \"a\", \"headers\": \"no\"}]}", "/sources/0/headers",
                  "ignore"));
    CHECK(refused("{\"catalog\": \"c\", \"sources\": [{}]}", "/sources/0", "\"topic\" is missing"));
    CHECK(refused("{\"catalog\": \"c\", \"sources\": [{\"topic\": \"a\"}], \"kafka\": {}}", "/kafka",
                  "bootstrap.servers"));
    CHECK(refused("{\"catalog\": \"c\", \"sources\": []}", "/sources", "no source"));
}

static void at_least_once_sends_without_a_time_limit(void)
{
    static const char limited[] =
        "{\"catalog\": \"c\", \"sources\": [{\"topic\": \"a\"}], \"redis\": {\"url\": \"redis://h\"}, \"kafka\": "
        "{\"bootstrap.servers\": \"k:1\", \"message.timeout.ms\": 1000}, \"delivery\": \"%s\"}";
    char text[400];
    snprintf(text, sizeof(text), limited, "at_least_once");
    CHECK(refused(text, "/kafka/message.timeout.ms", "without a time limit"));
    snprintf(text, sizeof(text), limited, "exactly_once");
    struct tagd_config *config = parse(text);
    CHECK(config != NULL && !config->at_least_once);
    tagd_config_free(config);
    CHECK(refused("{\"delivery\": \"at_most_once\", " LEAST "}", "/delivery", "\"exactly_once\", \"at_least_once\""));
}

#define SERVERS(redis)                                                                                                 \
    "{\"catalog\": \"c\", \"sources\": [{\"topic\": \"e\"}], \"kafka\": {\"bootstrap.servers\": \"k:1\"}, \"redis\": " \
    "{" redis "}}"

static void tls_to_redis_has_its_files_and_verifies_unless_told_otherwise(void)
{
    struct tagd_config *config = parse(SERVERS("\"url\": \"rediss://u:p@h/1\""));
    CHECK(config != NULL && config->redis.tls.on && config->redis.tls.verify && config->redis.tls.ca == NULL);
    CHECK(strcmp(config->redis.host, "h") == 0 && config->redis.port == 6379 && config->redis.db == 1);
    tagd_config_free(config);
    config =
        parse(SERVERS("\"tls\": {\"ca\": \"ca.pem\", \"cert\": \"c.pem\", \"key\": \"k.pem\", \"server_name\": \"r\", "
                      "\"verify\": false}, \"url\": \"rediss://h\""));
    CHECK(config != NULL && strcmp(config->redis.tls.ca, "ca.pem") == 0 &&
          strcmp(config->redis.tls.cert, "c.pem") == 0);
    CHECK(strcmp(config->redis.tls.key, "k.pem") == 0 && strcmp(config->redis.tls.server_name, "r") == 0);
    CHECK(!config->redis.tls.verify);
    tagd_config_free(config);
    config = parse(SERVERS("\"url\": \"redis://h\""));
    CHECK(config != NULL && !config->redis.tls.on);
    tagd_config_free(config);
    CHECK(refused(SERVERS("\"url\": \"redis://h\", \"tls\": {}"), "/redis/tls", "rediss://"));
    CHECK(refused(SERVERS("\"url\": \"unix:///s\", \"tls\": {}"), "/redis/tls", "rediss://"));
    CHECK(refused(SERVERS("\"url\": \"rediss://h\", \"tls\": {\"cert\": \"c\"}"), "/redis/tls", "give both"));
    CHECK(refused(SERVERS("\"url\": \"rediss://h\", \"tls\": {\"key\": \"k\"}"), "/redis/tls", "give both"));
    CHECK(refused(SERVERS("\"url\": \"rediss://h\", \"tls\": {\"verify\": \"no\"}"), "/redis/tls/verify",
                  "true or false"));
    CHECK(refused(SERVERS("\"url\": \"rediss://h\", \"tls\": {\"verify\": 0}"), "/redis/tls/verify", "true or false"));
    CHECK(refused(SERVERS("\"url\": \"rediss://h\", \"tls\": {\"ca\": \"\"}"), "/redis/tls/ca", "path of a file"));
    char text[600], name[TAGD_SERVER_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[TAGD_SERVER_NAME_MAX + 1] = '\0';
    snprintf(text, sizeof(text), SERVERS("\"url\": \"rediss://h\", \"tls\": {\"server_name\": \"%s\"}"), name);
    CHECK(refused(text, "/redis/tls/server_name", "of 1 to 255 bytes"));
    snprintf(text, sizeof(text), SERVERS("\"url\": \"rediss://h\", \"tls\": {\"server_name\": \"%s\"}"), name + 1);
    CHECK(taken(text));
}

static void a_value_may_come_from_a_file(void)
{
    struct tagd_config *config = parse("{\"catalog\": \"c\", \"sources\": [{\"topic\": \"e\"}], \"workers\": "
                                       "\"${file:three}\", \"kafka\": {\"bootstrap.servers\": "
                                       "\"k:1\", \"sasl.password\": \"<${file:variable}>${file:lines}\"}, \"redis\": "
                                       "{\"url\": \"redis://h\", \"user\": \"u\", "
                                       "\"password\": \"${file:/run/secrets/redis}\"}}");
    CHECK(config != NULL && config->workers == 3);
    CHECK(strcmp(config->redis.user, "u") == 0 && strcmp(config->redis.password, "p@s:s/w%d") == 0);
    CHECK(strcmp(config->kafka[1].value, "<${WORKERS}>a\nb\n") == 0); /* one line feed goes */
    CHECK(!config->literal_secret);
    tagd_config_free(config);
    CHECK(refused("{\"group\": \"${file:nowhere}\"}", "at /group", "nowhere: No such file; expected a secret"));
    CHECK(refused("{\"group\": \"${file:empty}\"}", "at /group", "empty is empty; write the secret into it"));
    CHECK(refused("{\"group\": \"${file:nul}\"}", "at /group", "nul holds a NUL"));
    CHECK(refused("{\"group\": \"${file:latin}\"}", "at /group", "latin is not valid UTF-8"));
    CHECK(refused("{\"group\": \"${file:}\"}", "at /group", "${file:PATH}"));
    CHECK(refused("{\"group\": \"${file:three\"}", "at /group", "${file:PATH}"));
    CHECK(refused("{\"group\": \"${files:three}\"}", "at /group", "${file:PATH}"));
}

static void redis_has_its_user_and_password_in_one_place(void)
{
    CHECK(refused(SERVERS("\"url\": \"redis://u:p@h\", \"password\": \"p\""), "/redis/password",
                  "a user's part already"));
    CHECK(refused(SERVERS("\"user\": \"u\", \"url\": \"redis://:p@h\""), "/redis/user", "a user's part already"));
    CHECK(refused(SERVERS("\"user\": \"u\", \"url\": \"redis://h\""), "/redis/user", "needs a \"password\""));
    CHECK(refused(SERVERS("\"password\": \"\", \"url\": \"redis://h\""), "/redis/password", "the password is empty"));
    CHECK(refused(SERVERS("\"user\": \"\", \"password\": \"p\", \"url\": \"redis://h\""), "/redis/user",
                  "the user is empty"));
    struct tagd_config *config = parse(SERVERS("\"password\": \"p\", \"url\": \"unix:///s\""));
    CHECK(config != NULL && config->redis.user == NULL && strcmp(config->redis.password, "p") == 0);
    tagd_config_free(config);
}

/* Each has the password "hush-hush", and a mistake that would show the line. */
static void no_message_shows_a_password(void)
{
    static const char *const texts[] = {
        SERVERS("\"url\": \"redis://:hush-hush@h:x\""),
        SERVERS("\"url\": \"redis://hush-hush@h\""),
        SERVERS("\"url\": \"redis://:hush-hush%@h\""),
        SERVERS("\"url\": \"redis:/u:hush-hush@h\", \"password\": 1"),
        SERVERS("\"url\": \"redis://h:0\", \"password\": \"hush-hush\""),
        SERVERS("\"password\": \"hush-hush\" \"url\": \"redis://h\""),
        SERVERS("\"password: \"hush-hush\", \"url\": \"redis://h\""),
        SERVERS("\"password\" \"hush-hush\", \"url\": \"redis://h\""),
        SERVERS("\"password\":\n\n  \"hush-hush\" \"url\": \"redis://h\""),
        "{\"group\": \"a/b\", \"kafka\": {\"sasl.password\": \"hush-hush\"}}",
        "{\"group\": \"a/b\", \"kafka\": {\"ssl.key.password\": \"hush-hush\"}}",
        "{\"group\": \"a/b\", \"kafka\": {\"sasl.oauthbearer.client.secret\": \"hush-hush\"}}",
        "{\"group\": \"a/b\", \"kafka\": {\"ssl.key.pem\": \"hush-hush\"}}",
        "{\"group\": \"a/b\", \"Password\"  :  \"hush-hush\"}",
        "{\"group\": \"${NAME}\", \"kafka\": {\"sasl.password\": \"hush-hush\"}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK(parse(texts[i]) == NULL);
        if (strstr(error.text, "hush") != NULL)
            fprintf(stderr, "%s\n", error.text);
        CHECK(strstr(error.text, "hush") == NULL && strstr(error.text, "tagd.json:") == error.text);
    }
    /* but the place of what isn't there is shown, */
    CHECK(refused("{\"group\": \"a/b\", \"kafka\": {\"sasl.password\": \"${PASSWORD}\"}}", "/group",
                  "\"${PASSWORD}\"}}\n"));
    CHECK(refused("{\"group\": \"a/b\", \"redis\": {\"url\": \"redis://u:${PASSWORD}@h\"}}", "/group",
                  "u:${PASSWORD}@h"));
    CHECK(refused("{\"sources\": [{\"topic\": \"token/events\"}]}", "/sources/0/topic", "[{\"topic\": \"token/events"));
    /* and what came from a file isn't */
    CHECK(refused("{\"workers\": \"${file:/run/secrets/redis}\"}", "/workers", "found \"${file:/run/secrets/redis}\""));
    CHECK(
        refused("{\"group\": \"${file:/run/secrets/redis}\"}", "/group", "\"${file:/run/secrets/redis}\" can't name"));
    CHECK(refused("{\"grace\": \"${file:/run/secrets/redis}\"}", "/grace",
                  "\"${file:/run/secrets/redis}\" is no duration"));
    CHECK(refused("{\"time\": \"${file:/run/secrets/redis}\"}", "/time", "found \"${file:/run/secrets/redis}\""));
    CHECK(refused("{\"past\": \"${file:/run/secrets/redis}\"}", "/past", "found \"${file:/run/secrets/redis}\""));
}

static void secrets_are_known_and_taken_out_of_what_others_say(void)
{
    struct tagd_config *config =
        parse("{\"catalog\": \"c\", \"sources\": [{\"topic\": \"e\"}], \"kafka\": {\"bootstrap.servers\": \"k:1\", "
              "\"sasl.username\": "
              "\"bob\", \"sasl.password\": \"hush-hush\", \"ssl.key.password\": \"abc\"}, \"redis\": {\"url\": "
              "\"redis://:%41%42cd@h\"}}");
    CHECK(config != NULL && config->literal_secret);
    char text[] = "bob: hush-hushhush-hush, ABcd: abc hush";
    tagd_config_redact(config, text);
    CHECK(strcmp(text, "bob: ******, ***: abc hush") ==
          0); /* shorter than TAGD_REDACTED_LEAST: it would hit anything */
    tagd_config_free(config);
    static const char *const passwords[][2] = {{"hush", "hush-hush"},
                                               {"hush-hush", "hush"}}; /* one begins with another */
    for (int i = 0; i < 2; i++) {
        char json[400], both[] = "hush-hush hush.";
        snprintf(json, sizeof(json),
                 "{\"catalog\": \"c\", \"sources\": [{\"topic\": \"e\"}], \"kafka\": {\"bootstrap.servers\": "
                 "\"k:1\", \"sasl.password\": \"%s\"}, \"redis\": {\"url\": \"redis://:%s@h\"}}",
                 passwords[i][0], passwords[i][1]);
        config = parse(json);
        CHECK(config != NULL && config->n_secrets == 2);
        tagd_config_redact(config, both);
        CHECK(strcmp(both, "*** ***.") == 0);
        tagd_config_free(config);
    }
    config = parse(SERVERS("\"url\": \"redis://u:${PASSWORD}@h\""));
    CHECK(config != NULL && !config->literal_secret && config->n_secrets == 1);
    tagd_config_free(config);
    config = parse(SERVERS("\"url\": \"redis://h\""));
    CHECK(config != NULL && !config->literal_secret && config->n_secrets == 0);
    tagd_config_free(config);
}

static void topics_must_differ(void)
{
    CHECK(
        refused("{\"catalog\": \"c\", \"sources\": [{\"topic\": \"a\"}, {\"topic\": \"a\"}]}", "/sources/1", "twice"));
    CHECK(refused("{\"outputs\": {\"tag_changes\": \"events\"}, " LEAST "}", "/outputs", "both source and output"));
    CHECK(refused("{\"outputs\": {\"tag_changes\": \"x\", \"dead_letter\": \"x\"}, " LEAST "}", "/outputs",
                  "two outputs"));
}

static void what_the_guarantees_rest_on_cannot_be_set(void)
{
    CHECK(refused("{\"kafka\": {\"isolation.level\": \"read_uncommitted\"}}", "/kafka/isolation.level",
                  "set by tagd itself"));
    CHECK(refused("{\"kafka\": {\"transactional.id\": \"x\"}}", "/kafka/transactional.id", "set by tagd itself"));
    CHECK(refused("{\"kafka\": {\"delivery.report.only.error\": true}}", "/kafka/delivery.report.only.error",
                  "set by tagd itself"));
    CHECK(refused("{\"kafka\": {\"auto.offset.reset\": \"none\"}}", "/kafka/auto.offset.reset", "earliest"));
}

static void values_out_of_range_are_refused(void)
{
    CHECK(refused("{\"workers\": 0, " LEAST "}", "/workers", "from 1 to 64"));
    CHECK(refused("{\"workers\": 1.5, " LEAST "}", "/workers", "whole number"));
    CHECK(refused("{\"workers\": \"2x\", " LEAST "}", "/workers", "whole number"));
    CHECK(refused("{\"grace\": \"2\", " LEAST "}", "/grace", "no duration"));
    CHECK(refused("{\"grace\": \"2d\", " LEAST "}", "/grace", "too long"));
    CHECK(refused("{\"cache_bytes\": 68719476737, " LEAST "}", "/cache_bytes", "from 0 to 68719476736"));
    CHECK(refused("{\"group\": \"a{b}\", " LEAST "}", "/group", "can't name"));
    CHECK(refused("{\"time\": \"dead\", " LEAST "}", "/time", "\"live\", \"events\""));
    CHECK(refused("{\"http\": {\"listen\": \"9464\"}, " LEAST "}", "/http/listen", "address:port"));
    CHECK(refused("{\"http\": {\"listen\": \"h:99999\"}, " LEAST "}", "/http/listen", "address:port"));
    CHECK(refused("{\"past\": \"long ago\", " LEAST "}", "/past", "expected a time"));
    CHECK(refused("{\"past\": \"2000/01/01\", " LEAST "}", "/past", "expected a time"));
    CHECK(refused("{\"redis\": {\"url\": \"redis://h\", \"prefix\": \"a{b\"}}", "/redis/prefix", "can't hold"));
    CHECK(refused("[]", "the top", "expected an object"));
}

static void redis_addresses(void)
{
    static const char *const good[] = {"redis://h",           "redis://h:1",    "redis://:pw@h/2",
                                       "redis://u:p/w@h:1/2", "unix:///r.sock", "unix:///r.sock?db=2",
                                       "redis://[::1]"};
    static const char *const bad[] = {"",
                                      "h:1",
                                      "redis://",
                                      "redis://:1",
                                      "redis://h:0",
                                      "redis://h:x",
                                      "redis://h/x",
                                      "redis://pw@h",
                                      "redis://:%4@h",
                                      "redis://:%00@h",
                                      "unix://r",
                                      "unix:///r?db=x",
                                      "redis://h:65536",
                                      "redis://[::1"};
    char text[512];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(text, sizeof(text),
                 "{\"catalog\": \"c\", \"sources\": [{\"topic\": \"e\"}], \"kafka\": {\"bootstrap.servers\": \"k:1\"}, "
                 "\"redis\": {\"url\": \"%s\"}}",
                 good[i]);
        CHECK(taken(text));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "{\"redis\": {\"url\": \"%s\"}}", bad[i]);
        CHECK(refused(text, "at /redis/url", ""));
    }
}

static void an_instance_is_made_from_any_host_name(void)
{
    const char *text = "{" LEAST "}";
    struct tagd_config *config = tagd_config_parse("f", text, strlen(text), "my host!", NULL, &error);
    CHECK(config != NULL && strcmp(config->instance, "my-host-") == 0);
    tagd_config_free(config);
    config = tagd_config_parse("f", text, strlen(text), "", NULL, &error);
    CHECK(config != NULL && config->instance[0] != '\0');
    tagd_config_free(config);
}

#define REST ", \"catalog\": \"c\", \"kafka\": {\"bootstrap.servers\": \"k:1\"}, \"redis\": {\"url\": \"redis://h\"}}"

static void a_map_is_read(void)
{
    struct tagd_config *config = parse(
        "{\"sources\": [{\"map\": {\"id\": {\"from\": \"offset\"}, \"source\": {\"const\": \"s${WORKERS}\"}, "
        "\"type\": \"/a~1b/0\", \"subject\": {\"from\": \"key\"}, \"time\": {\"at\": \"/ts\", \"as\": \"epoch_s\"}, "
        "\"data\": {\"amount\": \"/total\", \"coupon\": {\"const\": true}, \"n\": {\"const\": 1.5}, \"eta\": "
        "{\"at\": \"/eta\", \"as\": \"epoch_ms\"}, \"attributes\": {\"fields\": {\"region\": \"/r\"}}}}, \"topic\": "
        "\"crm\"}, {\"topic\": \"b\", \"map\": {\"id\": \"/i\", \"source\": \"/s\", \"type\": {\"const\": \"t\"}, "
        "\"subject\": {\"const\": \"c\"}, \"data\": \"\"}}, {\"topic\": \"plain\"}]" REST);
    CHECK(config != NULL && config->n_sources == 3 && config->sources[2].map == NULL);
    const struct tagd_map_rule *rules = config->sources[0].map->attributes, *data = &config->sources[0].map->data;
    CHECK(rules[TAGD_MAP_ID].kind == TAGD_MAP_OFFSET && tagd_str_eq(rules[TAGD_MAP_ID].text, TAGD_STR("crm")));
    CHECK(rules[TAGD_MAP_SOURCE].kind == TAGD_MAP_TEXT && tagd_str_eq(rules[TAGD_MAP_SOURCE].text, TAGD_STR("s3")));
    CHECK(rules[TAGD_MAP_TYPE].kind == TAGD_MAP_AT && rules[TAGD_MAP_TYPE].at.n == 2);
    CHECK(tagd_str_eq(rules[TAGD_MAP_TYPE].at.tokens[0], TAGD_STR("a/b")));
    CHECK(strcmp(rules[TAGD_MAP_TYPE].called, "type (/a~1b/0)") == 0);
    CHECK(rules[TAGD_MAP_SUBJECT].kind == TAGD_MAP_KEY);
    CHECK(rules[TAGD_MAP_TIME].kind == TAGD_MAP_AT && rules[TAGD_MAP_TIME].form == TAGD_EPOCH_S);
    CHECK(data->kind == TAGD_MAP_FIELDS && data->n_fields == 5);
    CHECK(strcmp(data->fields[0].rule.called, "amount (/total)") == 0);
    CHECK(data->fields[1].rule.kind == TAGD_MAP_BOOLEAN && data->fields[1].rule.number == 1);
    CHECK(data->fields[2].rule.kind == TAGD_MAP_NUMBER && data->fields[2].rule.number == 1.5);
    CHECK(data->fields[3].rule.form == TAGD_EPOCH_MS);
    CHECK(data->fields[4].rule.kind == TAGD_MAP_FIELDS && data->fields[4].rule.n_fields == 1);
    rules = config->sources[1].map->attributes;
    CHECK(rules[TAGD_MAP_TIME].kind == TAGD_MAP_NONE && strcmp(rules[TAGD_MAP_TIME].called, "time") == 0);
    CHECK(config->sources[1].map->data.kind == TAGD_MAP_AT && config->sources[1].map->data.at.n == 0);
    tagd_config_free(config);
}

/* Whether a map with `member` put in the place of its own of that name (or added) is refused so. */
static bool map_refused(const char *name, const char *value, const char *place, const char *what)
{
    static const char *const members[][2] = {{"id", "\"/i\""},      {"source", "\"/s\""}, {"type", "\"/t\""},
                                             {"subject", "\"/c\""}, {"time", "\"/z\""},   {"data", "{}"}};
    char text[2000];
    bool known = false;
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"sources\": [{\"topic\": \"a\", \"map\": {\n");
    for (size_t i = 0; i < 6; i++) {
        bool this = strcmp(members[i][0], name) == 0;
        known = known || this;
        if (this && value == NULL)
            continue;
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\"%s\": %s%s", members[i][0], this ? value : members[i][1],
                              i < 5 ? ", " : "");
    }
    if (!known)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ", \"%s\": %s", name, value);
    snprintf(text + n, sizeof(text) - n, "}}]" REST);
    return refused(text, place, what);
}

static void a_wrong_map_is_refused_with_its_place(void)
{
    static const char *const table[][4] = {
        {"id", NULL, "1:36: at /sources/0/map", "\"id\" is missing"},
        {"source", NULL, "/sources/0/map", "\"source\" is missing"},
        {"type", NULL, "/sources/0/map", "\"type\" is missing"},
        {"subject", NULL, "/sources/0/map", "\"subject\" is missing"},
        {"member", "\"/m\"", "/sources/0/map/member", "unknown key \"member\""},
        {"id", "\"order\"", "2:8: at /sources/0/map/id", "begins with \"/\""},
        {"id", "\"#/a\"", "/sources/0/map/id", "begins with \"/\""},
        {"id", "\"/a~x\"", "2:10: at /sources/0/map/id", "\"~0\" for \"~\""},
        {"id", "7", "/sources/0/map/id", "expected a JSON Pointer"},
        {"id", "null", "/sources/0/map/id", "found null"},
        {"id", "{}", "/sources/0/map/id", "expected a JSON Pointer"},
        {"id", "{\"path\": \"/a\"}", "/sources/0/map/id/path", "unknown key \"path\""},
        {"id", "{\"const\": \"x\"}", "/sources/0/map/id", "{\"from\": \"offset\"}"},
        {"id", "{\"from\": \"topic\"}", "/sources/0/map/id/from", "found \"topic\""},
        {"id", "{\"at\": \"/a\", \"from\": \"key\"}", "/sources/0/map/id", "only one of them"},
        {"id", "{\"at\": \"/a\", \"as\": \"epoch_s\"}", "/sources/0/map/id", "\"as\" is for times"},
        {"id", "{\"fields\": {}}", "/sources/0/map/id", "\"fields\" can't stand here"},
        {"id", "\"${NOWHERE}\"", "/sources/0/map/id", "NOWHERE"},
        {"source", "{\"const\": 5}", "/sources/0/map/source", "must be a string"},
        {"source", "{\"const\": true}", "/sources/0/map/source", "must be a string"},
        {"source", "{\"const\": null}", "/sources/0/map/source/const", "found null"},
        {"source", "{\"const\": \"\"}", "/sources/0/map/source", "1 to 1024 bytes, found 0"},
        {"type", "{\"from\": \"offset\"}", "/sources/0/map/type", "makes an id and nothing else"},
        {"time", "{\"const\": \"2026-01-01T00:00:00Z\"}", "/sources/0/map/time", "a constant can't stand here"},
        {"type", "{\"from\": \"key\"}", "/sources/0/map/type", "use a pointer"},
        {"time", "{\"at\": \"/a\"}", "/sources/0/map/time", "\"at\" needs \"as\""},
        {"time", "{\"as\": \"epoch_s\"}", "/sources/0/map/time", "add \"at\""},
        {"time", "{\"at\": \"/a\", \"as\": \"epoch_us\"}", "/sources/0/map/time/as", "\"epoch_ms\""},
        {"time", "{\"from\": \"key\"}", "/sources/0/map/time", "use a pointer"},
        {"data", "[]", "/sources/0/map/data", "found an array"},
        {"data", "\"payload\"", "/sources/0/map/data", "begins with \"/\""},
        {"data", "{\"amount\": 5}", "/sources/0/map/data/amount", "found a number"},
        {"data", "{\"amount\": \"total\"}", "/sources/0/map/data/amount", "begins with \"/\""},
        {"data", "{\"amount\": {\"const\": []}}", "/sources/0/map/data/amount/const", "found an array"},
        {"data", "{\"amount\": {\"from\": \"key\"}}", "/sources/0/map/data/amount", "use a pointer"},
        {"data", "{\"a\": {\"fields\": {\"b\": {\"fields\": {}}}}}", "/sources/0/map/data/a/fields/b",
         "can't stand here"},
        {"data", "{\"a\": {\"fields\": []}}", "/sources/0/map/data/a/fields", "an object of fields"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        CHECK(map_refused(table[i][0], table[i][1], table[i][2], table[i][3]));
    CHECK(refused("{\"sources\": [{\"topic\": \"a\", \"map\": \"/x\"}]}", "/sources/0/map", "expected an object"));
}

static void a_map_gives_256_fields_and_no_more(void)
{
    for (size_t n = TAGD_MAP_FIELDS_MAX; n <= TAGD_MAP_FIELDS_MAX + 1; n++) {
        struct tagd_buf text = {0};
        tagd_buf_add_z(&text,
                       "{\"sources\": [{\"topic\": \"a\", \"map\": {\"id\": \"/i\", \"source\": \"/s\", \"type\": "
                       "\"/t\", \"subject\": \"/c\", \"data\": {");
        for (size_t i = 0; i < n; i++)
            tagd_buf_printf(&text, "%s\"f%zu\": \"/f%zu\"", i == 0 ? "" : ", ", i, i);
        tagd_buf_add_z(&text, "}}}]" REST);
        tagd_buf_add_byte(&text, '\0');
        CHECK(n == TAGD_MAP_FIELDS_MAX ? taken(text.p) : refused(text.p, "/sources/0/map/data", "257 fields"));
        tagd_buf_free(&text);
    }
}

static void outputs_may_be_in_binary_mode(void)
{
    struct tagd_config *config = parse("{\"outputs\": {\"content_mode\": \"binary\"}, " LEAST "}");
    CHECK(config != NULL && config->content_binary);
    tagd_config_free(config);
    config = parse("{\"outputs\": {\"content_mode\": \"structured\"}, " LEAST "}");
    CHECK(config != NULL && !config->content_binary);
    tagd_config_free(config);
    CHECK(refused("{\"outputs\": {\"content_mode\": \"batched\"}, " LEAST "}", "/outputs/content_mode", "\"binary\""));
}

static void a_source_may_be_expected_and_changes_limited(void)
{
#define SOURCE(expect)                                                                                                 \
    "{\"catalog\": \"shop.json\", \"sources\": [{\"topic\": \"events\", \"expect_every\": \"" expect "\"}], "          \
    "\"kafka\": {\"bootstrap.servers\": \"a:1\"}, \"redis\": {\"url\": \"redis://127.0.0.1\"}"
    struct tagd_config *config = parse("{" LEAST ", \"max_changes_per_minute\": {\"value.level\": 5, \"*\": \"7\"}}");
    CHECK(config != NULL && config->sources[0].expect_every_ms == 0 && config->n_changes_limits == 2);
    CHECK(strcmp(config->changes_limits[0].dimension, "value.level") == 0 && config->changes_limits[0].most == 5);
    CHECK(strcmp(config->changes_limits[1].dimension, "*") == 0 && config->changes_limits[1].most == 7);
    tagd_config_free(config);
    config = parse(SOURCE("10s") "}");
    CHECK(config != NULL && config->sources[0].expect_every_ms == 10000 && config->n_changes_limits == 0);
    tagd_config_free(config);
    CHECK(refused(SOURCE("9999ms") "}", "/sources/0/expect_every", "at least \"10s\""));
    CHECK(taken(SOURCE("366d") "}") && refused(SOURCE("367d") "}", "/sources/0/expect_every", "at most \"366d\""));
    CHECK(refused(SOURCE("1h") ", \"time\": \"events\"}", "/sources/0/expect_every", "silence changes no tag"));
#undef SOURCE
}

int main(void)
{
    RUN(a_source_may_be_expected_and_changes_limited);
    RUN(a_map_is_read);
    RUN(a_wrong_map_is_refused_with_its_place);
    RUN(a_map_gives_256_fields_and_no_more);
    RUN(outputs_may_be_in_binary_mode);
    RUN(the_least_configuration_has_all_defaults);
    RUN(every_key_is_read);
    RUN(a_value_may_come_from_the_environment);
    RUN(what_the_environment_gives_is_not_looked_at_again);
    RUN(where_other_hosts_reach_it_http_wants_a_guard);
    RUN(an_unknown_key_is_refused_with_its_place);
    RUN(a_missing_key_is_named);
    RUN(at_least_once_sends_without_a_time_limit);
    RUN(tls_to_redis_has_its_files_and_verifies_unless_told_otherwise);
    RUN(a_value_may_come_from_a_file);
    RUN(redis_has_its_user_and_password_in_one_place);
    RUN(no_message_shows_a_password);
    RUN(secrets_are_known_and_taken_out_of_what_others_say);
    RUN(topics_must_differ);
    RUN(what_the_guarantees_rest_on_cannot_be_set);
    RUN(values_out_of_range_are_refused);
    RUN(redis_addresses);
    RUN(an_instance_is_made_from_any_host_name);
    return DONE();
}
