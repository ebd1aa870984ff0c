#include "config/config.h"

#include "config/reader.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the guarantees rest on: tagd sets these itself. */
static const char *const own_properties[] = {
    "group.id",
    "group.instance.id",
    "transactional.id",
    "enable.idempotence",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "isolation.level",
    "partition.assignment.strategy",
    "partitioner",
    "acks",
    "request.required.acks",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "enable.gapless.guarantee",
    "delivery.report.only.error",
    "enabled_events",
    "plugin.library.paths",
};

bool tagd_config_fault(struct reader *reader, const cJSON *node, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return tagd_jsonc_fail(reader->jsonc, reader->error, node, NULL, TAGD_JSONC_WHOLE, false, "%s", text);
}

/* ---- text with "${NAME}" and "${file:PATH}" ---- */

#define FILE_PREFIX "file:"

static bool name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* Whether n bytes are a name for the environment. */
static bool is_name(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!name_char(p[i], i == 0))
            return false;
    return n > 0;
}

static bool fault_within(struct reader *reader, const cJSON *node, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static bool fault_within(struct reader *reader, const cJSON *node, size_t at, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return tagd_jsonc_fail(reader->jsonc, reader->error, node, NULL, at, false, "%s", text);
}

static bool add_variable(struct reader *reader, const cJSON *node, size_t at, const char *name, struct tagd_buf *out)
{
    const char *value = reader->outside == NULL ? NULL : reader->outside->lookup(reader->outside->to, name);
    if (value == NULL)
        return fault_within(reader, node, at, "the environment has no %s; set it, or write the value here", name);
    if (!tagd_utf8_valid(value, strlen(value)))
        return fault_within(reader, node, at, "%s from the environment is not valid UTF-8; set it anew", name);
    tagd_buf_add_z(out, value);
    return true;
}

/* The file's content without the line feed at its end. */
static bool add_file(struct reader *reader, const cJSON *node, size_t at, const char *path, struct tagd_buf *out)
{
    struct tagd_error why;
    struct tagd_buf content = {0};
    bool ok = reader->outside != NULL && reader->outside->read(reader->outside->to, path, &content, &why);
    if (!ok)
        fault_within(reader, node, at, "%s", reader->outside == NULL ? "no file can be read here" : why.text);
    if (ok && content.n > 0 && content.p[content.n - 1] == '\n')
        content.n--;
    if (ok && content.n == 0)
        ok = fault_within(reader, node, at, "%s is empty; write the secret into it", path);
    else if (ok && memchr(content.p, '\0', content.n) != NULL)
        ok = fault_within(reader, node, at, "%s holds a NUL, which no secret can; write it anew as text", path);
    else if (ok && !tagd_utf8_valid(content.p, content.n))
        ok = fault_within(reader, node, at, "%s is not valid UTF-8; write it anew", path);
    if (ok) {
        tagd_buf_add_byte(&content, '\0');
        ok = tagd_config_keep_secret(reader, node, content.p);
        tagd_buf_add_z(out, content.p);
    }
    tagd_buf_free(&content);
    return ok;
}

/* The node's text with "${...}" replaced; node is a string. */
static bool expand(struct reader *reader, const cJSON *node, const char **text)
{
    struct tagd_buf out = {0};
    const char *p = node->valuestring;
    size_t n_prefix = strlen(FILE_PREFIX);
    bool ok = true;
    while (*p != '\0' && ok) {
        size_t at = (size_t)(p - node->valuestring);
        if (p[0] != '$' || p[1] != '{') {
            tagd_buf_add_byte(&out, (unsigned char)*p++);
            continue;
        }
        size_t n = strcspn(p + 2, "}");
        const char *name = tagd_arena_copy(&reader->config->arena, p + 2, n).p;
        bool file = strncmp(name, FILE_PREFIX, n_prefix) == 0 && n > n_prefix;
        if (p[2 + n] != '}' || (!file && !is_name(name, n)))
            ok = fault_within(reader, node, at,
                              "\"${\" begins a name from the environment, or a file: write \"${NAME}\" with letters, "
                              "digits and \"_\", or \"${file:PATH}\"");
        else
            ok = file ? add_file(reader, node, at, name + n_prefix, &out) : add_variable(reader, node, at, name, &out);
        p += n + 3;
    }
    if (ok)
        *text = tagd_arena_copy(&reader->config->arena, out.n == 0 ? "" : out.p, out.n).p;
    tagd_buf_free(&out);
    return ok;
}

const char *tagd_config_shown(const cJSON *node, const char *text)
{
    return strstr(node->valuestring, "${" FILE_PREFIX) == NULL ? text : node->valuestring;
}

/* A password, or what holds one: never shown, and known to be the text's own if it is. */
static bool note_secret(struct reader *reader, const cJSON *node, const char *value)
{
    if (strstr(node->valuestring, "${") == NULL)
        reader->config->literal_secret = true;
    return *value == '\0' || tagd_config_keep_secret(reader, node, value);
}

bool tagd_config_read_text(struct reader *reader, const cJSON *node, const char **text)
{
    if (!cJSON_IsString(node))
        return tagd_config_fault(reader, node, "expected a string, found %s", tagd_json_kind(node));
    return expand(reader, node, text);
}

static bool read_integer(struct reader *reader, const cJSON *node, int64_t least, int64_t most, int64_t *value)
{
    double number = NAN;
    const char *text = NULL;
    if (cJSON_IsNumber(node)) {
        number = node->valuedouble;
    } else if (cJSON_IsString(node)) {
        char *end;
        if (!expand(reader, node, &text))
            return false;
        if (*text >= '0' && *text <= '9') {
            number = strtod(text, &end);
            if (*end != '\0')
                number = NAN;
        }
    } else {
        return tagd_config_fault(reader, node, "expected a whole number, found %s", tagd_json_kind(node));
    }
    if (!(number >= (double)least && number <= (double)most) || number != floor(number))
        return text == NULL ? tagd_config_fault(reader, node, "expected a whole number from %lld to %lld",
                                                (long long)least, (long long)most)
                            : tagd_config_fault(reader, node, "expected a whole number from %lld to %lld, found \"%s\"",
                                                (long long)least, (long long)most, tagd_config_shown(node, text));
    *value = (int64_t)number;
    return true;
}

static bool read_boolean(struct reader *reader, const cJSON *node, bool *value)
{
    const char *text;
    if (cJSON_IsBool(node)) {
        *value = cJSON_IsTrue(node);
        return true;
    }
    if (!cJSON_IsString(node))
        return tagd_config_fault(reader, node, "expected true or false, found %s", tagd_json_kind(node));
    if (!expand(reader, node, &text))
        return false;
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0 ||
           tagd_config_fault(reader, node, "expected true or false, found \"%s\"", tagd_config_shown(node, text));
}

static bool read_duration(struct reader *reader, const cJSON *node, int64_t most, int64_t *value)
{
    const char *text;
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    const char *shown = tagd_config_shown(node, text);
    if (!tagd_duration_parse(tagd_str_of(text), value))
        return tagd_config_fault(
            reader, node, "\"%s\" is no duration; write one number and one of ms, s, m, h, d, w, as in \"2s\"", shown);
    if (*value > most && most % TAGD_MS_DAY == 0)
        return tagd_config_fault(reader, node, "\"%s\" is too long; at most \"%lldd\"", shown,
                                 (long long)(most / TAGD_MS_DAY));
    return *value <= most ||
           tagd_config_fault(reader, node, "\"%s\" is too long; at most \"%llds\"", shown, (long long)(most / 1000));
}

static bool read_choice(struct reader *reader, const cJSON *node, const char *const *choices, size_t n, size_t *choice)
{
    const char *text;
    struct tagd_buf list = {0};
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    for (*choice = 0; *choice < n; (*choice)++)
        if (strcmp(text, choices[*choice]) == 0)
            return true;
    for (size_t i = 0; i < n; i++)
        tagd_buf_printf(&list, "%s\"%s\"", i == 0 ? "" : ", ", choices[i]);
    tagd_config_fault(reader, node, "found \"%s\", expected one of %.*s", tagd_config_shown(node, text), (int)list.n,
                      list.p);
    tagd_buf_free(&list);
    return false;
}

/* Letters, digits, '.', '_', '-': what a topic, a group and an instance may be called. */
static bool read_name(struct reader *reader, const cJSON *node, const char *what, size_t max, const char **name)
{
    if (!tagd_config_read_text(reader, node, name))
        return false;
    const char *shown = tagd_config_shown(node, *name);
    size_t n = strlen(*name);
    if (n == 0)
        return tagd_config_fault(reader, node, "the %s has no name; give it one", what);
    if (n > max)
        return tagd_config_fault(reader, node, "the %s's name has %zu bytes; at most %zu are possible", what, n, max);
    for (const char *p = *name; *p != '\0'; p++)
        if (!name_char(*p, false) && *p != '.' && *p != '-')
            return tagd_config_fault(
                reader, node, "\"%s\" can't name a %s; use letters, digits, \".\", \"_\" and \"-\"", shown, what);
    if (strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) /* Kafka's rule for topics; nobody needs the others */
        return tagd_config_fault(reader, node, "\"%s\" can't name a %s; add letters or digits", shown, what);
    return true;
}

/* ---- objects ---- */

bool tagd_config_read_object(struct reader *reader, const cJSON *object, const struct key *keys, size_t n, void *into)
{
    if (!cJSON_IsObject(object))
        return tagd_config_fault(reader, object, "expected an object, found %s", tagd_json_kind(object));
    for (const cJSON *node = object->child; node != NULL; node = node->next) {
        size_t i = 0;
        while (i < n && strcmp(keys[i].name, node->string) != 0)
            i++;
        if (i == n) {
            struct tagd_buf list = {0};
            for (size_t k = 0; k < n; k++)
                tagd_buf_printf(&list, "%s%s", k == 0 ? "" : ", ", keys[k].name);
            tagd_jsonc_fail(reader->jsonc, reader->error, node, NULL, TAGD_JSONC_WHOLE, true,
                            "unknown key \"%s\"; take it out, or use one of: %.*s", node->string, (int)list.n, list.p);
            tagd_buf_free(&list);
            return false;
        }
        if (!keys[i].read(reader, node, into))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        if (keys[i].required && cJSON_GetObjectItemCaseSensitive(object, keys[i].name) == NULL)
            return tagd_config_fault(reader, object, "the key \"%s\" is missing; add it", keys[i].name);
    return true;
}
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- sources and outputs ---- */

static bool source_topic(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_source *source = into;
    return read_name(reader, node, "topic", TAGD_TOPIC_NAME_MAX, &source->topic);
}

static bool source_partitioner(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"murmur2", "crc32", "none"};
    static const enum tagd_partitioner values[] = {TAGD_MURMUR2, TAGD_CRC32, TAGD_NO_PARTITIONER};
    struct tagd_source *source = into;
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    source->partitioner = values[choice];
    return true;
}

static bool source_map(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_map *map = tagd_arena_zalloc(&reader->config->arena, sizeof(*map));
    ((struct tagd_source *)into)->map = map;
    return tagd_config_read_map(reader, node, map);
}

static bool source_headers(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"read", "ignore"};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_source *)into)->no_headers = choice == 1;
    return true;
}

static bool source_expect_every(struct reader *reader, const cJSON *node, void *into)
{
    int64_t *ms = &((struct tagd_source *)into)->expect_every_ms;
    if (!read_duration(reader, node, TAGD_EXPECT_EVERY_MAX_MS, ms))
        return false;
    return *ms >= TAGD_EXPECT_EVERY_LEAST_MS ||
           tagd_config_fault(reader, node, "too short to tell silence from a pause; at least \"%ds\"",
                             TAGD_EXPECT_EVERY_LEAST_MS / 1000);
}

/* A map's id made of topic, partition and offset needs the topic, which may stand behind the map. */
static void name_topic(struct tagd_source *source)
{
    if (source->map != NULL && source->map->attributes[TAGD_MAP_ID].kind == TAGD_MAP_OFFSET)
        source->map->attributes[TAGD_MAP_ID].text = tagd_str_of(source->topic);
}

static bool config_sources(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {{"topic", source_topic, true},
                                      {"partitioner", source_partitioner, false},
                                      {"map", source_map, false},
                                      {"headers", source_headers, false},
                                      {"expect_every", source_expect_every, false}};
    struct tagd_config *config = into;
    if (!cJSON_IsArray(node))
        return tagd_config_fault(reader, node, "expected an array of sources, found %s", tagd_json_kind(node));
    size_t n = (size_t)cJSON_GetArraySize(node);
    if (n == 0)
        return tagd_config_fault(reader, node, "there is no source; name at least one: {\"topic\": \"events\"}");
    if (n > TAGD_TOPICS_MAX)
        return tagd_config_fault(reader, node, "there are %zu sources; at most %d are possible", n, TAGD_TOPICS_MAX);
    config->sources = tagd_arena_zalloc(&config->arena, n * sizeof(*config->sources));
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        struct tagd_source *source = &config->sources[config->n_sources];
        source->partitioner = TAGD_MURMUR2;
        if (!tagd_config_read_object(reader, item, keys, N_OF(keys), source))
            return false;
        name_topic(source);
        for (size_t i = 0; i < config->n_sources; i++)
            if (strcmp(config->sources[i].topic, source->topic) == 0)
                return tagd_config_fault(reader, item, "the topic \"%s\" stands twice among the sources; keep one",
                                         source->topic);
        config->n_sources++;
    }
    return true;
}

static bool output_tag_changes(struct reader *reader, const cJSON *node, void *into)
{
    return read_name(reader, node, "topic", TAGD_TOPIC_NAME_MAX, &((struct tagd_config *)into)->tag_changes);
}

static bool output_churn_risk(struct reader *reader, const cJSON *node, void *into)
{
    return read_name(reader, node, "topic", TAGD_TOPIC_NAME_MAX, &((struct tagd_config *)into)->churn_risk);
}

static bool output_dead_letter(struct reader *reader, const cJSON *node, void *into)
{
    return read_name(reader, node, "topic", TAGD_TOPIC_NAME_MAX, &((struct tagd_config *)into)->dead_letter);
}

static bool output_content_mode(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"structured", "binary"};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_config *)into)->content_binary = choice == 1;
    return true;
}

static bool config_outputs(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {{"tag_changes", output_tag_changes, false},
                                      {"churn_risk", output_churn_risk, false},
                                      {"dead_letter", output_dead_letter, false},
                                      {"content_mode", output_content_mode, false}};
    return tagd_config_read_object(reader, node, keys, N_OF(keys), into);
}

static bool topics_differ(struct reader *reader, const cJSON *root)
{
    struct tagd_config *config = reader->config;
    const char *outputs[] = {config->tag_changes, config->churn_risk, config->dead_letter};
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, "outputs");
    if (node == NULL)
        node = cJSON_GetObjectItemCaseSensitive(root, "sources");
    for (size_t i = 0; i < N_OF(outputs); i++) {
        for (size_t k = 0; k < i; k++)
            if (strcmp(outputs[i], outputs[k]) == 0)
                return tagd_config_fault(reader, node, "two outputs are the topic \"%s\"; give each its own",
                                         outputs[i]);
        for (size_t k = 0; k < config->n_sources; k++)
            if (strcmp(outputs[i], config->sources[k].topic) == 0)
                return tagd_config_fault(
                    reader, node, "the topic \"%s\" is both source and output; give the output its own", outputs[i]);
    }
    return true;
}

/* ---- Kafka ---- */

static bool config_kafka(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    if (!cJSON_IsObject(node))
        return tagd_config_fault(reader, node, "expected an object, found %s", tagd_json_kind(node));
    config->kafka = tagd_arena_zalloc(&config->arena, ((size_t)cJSON_GetArraySize(node) + 1) * sizeof(*config->kafka));
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        const char *value;
        for (size_t i = 0; i < N_OF(own_properties); i++)
            if (strcmp(item->string, own_properties[i]) == 0)
                return tagd_jsonc_fail(reader->jsonc, reader->error, item, NULL, TAGD_JSONC_WHOLE, true,
                                       "\"%s\" is set by tagd itself, since its guarantees rest on it; take it out",
                                       item->string);
        if (cJSON_IsString(item)) {
            if (!expand(reader, item, &value) ||
                (tagd_config_is_secret(item->string) && !note_secret(reader, item, value)))
                return false;
        } else if (cJSON_IsBool(item)) {
            value = cJSON_IsTrue(item) ? "true" : "false";
        } else if (cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) &&
                   fabs(item->valuedouble) < 1e15) {
            value = tagd_arena_printf(&config->arena, "%lld", (long long)item->valuedouble);
        } else if (cJSON_IsNumber(item)) {
            value = tagd_arena_printf(&config->arena, "%.15g", item->valuedouble);
        } else {
            return tagd_config_fault(reader, item, "expected a string, a number or a boolean, found %s",
                                     tagd_json_kind(item));
        }
        if (strcmp(item->string, "auto.offset.reset") == 0) {
            config->start_latest = strcmp(value, "latest") == 0;
            if (!config->start_latest && strcmp(value, "earliest") != 0)
                return tagd_config_fault(reader, item, "found \"%s\", expected \"earliest\" or \"latest\"",
                                         cJSON_IsString(item) ? tagd_config_shown(item, value) : value);
            continue;
        }
        if (strcmp(item->string, "bootstrap.servers") == 0 || strcmp(item->string, "metadata.broker.list") == 0)
            config->bootstrap_servers = value;
        config->kafka[config->n_kafka++] =
            (struct tagd_property){tagd_arena_copy(&config->arena, item->string, strlen(item->string)).p, value};
    }
    if (config->bootstrap_servers == NULL || *config->bootstrap_servers == '\0')
        return tagd_config_fault(reader, node,
                                 "the key \"bootstrap.servers\" is missing; add it, as in \"127.0.0.1:9092\"");
    return true;
}

/* At least once nothing that is sent is given up, or what comes behind it would overtake it. */
static bool no_time_limit(struct reader *reader, const cJSON *root)
{
    static const char *const names[] = {"message.timeout.ms", "delivery.timeout.ms"};
    const cJSON *kafka = cJSON_GetObjectItemCaseSensitive(root, "kafka");
    for (size_t i = 0; reader->config->at_least_once && i < N_OF(names); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(kafka, names[i]);
        if (item != NULL)
            return tagd_jsonc_fail(reader->jsonc, reader->error, item, NULL, TAGD_JSONC_WHOLE, true,
                                   "with \"delivery\": \"at_least_once\" tagd sends without a time limit, so that "
                                   "nothing is lost or overtaken; take \"%s\" out",
                                   names[i]);
    }
    return true;
}

/* Where only events move time, a source's silence makes nothing. */
static bool silence_counts(struct reader *reader, const cJSON *root)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "sources")->child;
    for (size_t i = 0; i < reader->config->n_sources; i++, item = item->next)
        if (reader->config->time_events && reader->config->sources[i].expect_every_ms != 0)
            return tagd_jsonc_fail(
                reader->jsonc, reader->error, cJSON_GetObjectItemCaseSensitive(item, "expect_every"), NULL,
                TAGD_JSONC_WHOLE, true,
                "with \"time\": \"events\" silence changes no tag, so there is nothing to hold; take it out");
    return true;
}

/* ---- Redis ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* A copy of n bytes with %XX decoded; NULL: malformed, or a NUL. */
static const char *percent_decoded(struct tagd_arena *arena, const char *p, size_t n)
{
    char *out = tagd_arena_alloc(arena, n + 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        out[k] = p[i];
        if (p[i] == '%') {
            int high = i + 2 < n ? hex_digit(p[i + 1]) : -1, low = i + 2 < n ? hex_digit(p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return NULL;
            out[k] = (char)(high * 16 + low);
            i += 2;
        }
        if (out[k++] == '\0')
            return NULL;
    }
    out[k] = '\0';
    return out;
}

static bool decimal_number(const char *p, size_t n, int most, int *value)
{
    if (n == 0 || n > 9)
        return false;
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        *value = *value * 10 + (p[i] - '0');
    }
    return *value <= most;
}

/* "host", "host:port", "[v6]", "[v6]:port" in n bytes. */
static bool host_and_port(struct tagd_arena *arena, const char *p, size_t n, const char **host, int *port)
{
    const char *end = p + n, *colon;
    if (n > 0 && *p == '[') {
        const char *close = memchr(p, ']', n);
        if (close == NULL || close == p + 1)
            return false;
        *host = tagd_arena_copy(arena, p + 1, (size_t)(close - p) - 1).p;
        if (close + 1 == end)
            return true;
        return close[1] == ':' && decimal_number(close + 2, (size_t)(end - close) - 2, 65535, port);
    }
    colon = memchr(p, ':', n);
    if (colon == p || n == 0)
        return false;
    *host = tagd_arena_copy(arena, p, colon == NULL ? n : (size_t)(colon - p)).p;
    return colon == NULL || decimal_number(colon + 1, (size_t)(end - colon) - 1, 65535, port);
}

static bool redis_url(struct reader *reader, const cJSON *node, void *into)
{
    static const char plain[] = "redis://", tls[] = "rediss://", local[] = "unix://";
    struct tagd_config *config = into;
    const char *url, *rest, *path, *at, *query;
    if (!tagd_config_read_text(reader, node, &url))
        return false;
    config->redis.tls.on = strncmp(url, tls, sizeof(tls) - 1) == 0;
    if (strncmp(url, local, sizeof(local) - 1) == 0) {
        rest = url + sizeof(local) - 1;
        query = strstr(rest, "?db=");
        size_t n = query == NULL ? strlen(rest) : (size_t)(query - rest);
        if (*rest != '/' ||
            (query != NULL && !decimal_number(query + 4, strlen(query + 4), INT_MAX / 2, &config->redis.db)))
            return tagd_config_fault(reader, node,
                                     "expected \"unix:///path/to/redis.sock\", with \"?db=N\" if need be");
        config->redis.unix_path = tagd_arena_copy(&config->arena, rest, n).p;
        return true;
    }
    if (!config->redis.tls.on && strncmp(url, plain, sizeof(plain) - 1) != 0)
        return tagd_config_fault(
            reader, node,
            "expected \"redis://[user:password@]host[:port][/db]\", the same with \"rediss://\" for "
            "TLS, or \"unix:///path\"");
    rest = url + (config->redis.tls.on ? sizeof(tls) : sizeof(plain)) - 1;
    path = strchr(rest, '/');
    at = strrchr(rest, '@');
    if (at != NULL && path != NULL && path < at)
        path = strchr(at, '/');
    size_t n = path == NULL ? strlen(rest) : (size_t)(path - rest);
    if (at != NULL) {
        const char *colon = memchr(rest, ':', (size_t)(at - rest));
        if (colon == NULL)
            return tagd_config_fault(reader, node, "the part before \"@\" must be \"user:password\" or \":password\"");
        config->redis.password = percent_decoded(&config->arena, colon + 1, (size_t)(at - colon) - 1);
        config->redis.user = colon == rest ? NULL : percent_decoded(&config->arena, rest, (size_t)(colon - rest));
        struct tagd_str raw = tagd_str_of(node->valuestring);
        config->literal_secret = config->literal_secret || tagd_config_shows_secret(raw, 0, raw.n);
        if (config->redis.password == NULL || (colon != rest && config->redis.user == NULL))
            return tagd_config_fault(
                reader, node, "user and password may hold %%XX with two hex digits; write a \"%%\" itself as \"%%25\"");
        if (!tagd_config_keep_secret(reader, node, config->redis.password))
            return false;
        n -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    if (!host_and_port(&config->arena, rest, n, &config->redis.host, &config->redis.port) || config->redis.port == 0)
        return tagd_config_fault(reader, node,
                                 "expected \"redis://[user:password@]host[:port][/db]\"; host or port is wrong here");
    if (path != NULL && path[1] != '\0' && !decimal_number(path + 1, strlen(path + 1), INT_MAX / 2, &config->redis.db))
        return tagd_config_fault(reader, node,
                                 "the part after the last \"/\" must be a database's number, as in \"/0\"");
    return true;
}

static bool redis_prefix(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    const char *prefix;
    if (!tagd_config_read_text(reader, node, &prefix))
        return false;
    if (strlen(prefix) > TAGD_PREFIX_MAX)
        return tagd_config_fault(reader, node, "at most %d bytes are possible", TAGD_PREFIX_MAX);
    if (strpbrk(prefix, "{}") != NULL)
        return tagd_config_fault(reader, node,
                                 "a prefix can't hold \"{\" or \"}\", which say where Redis keeps a shard's keys");
    config->redis.prefix = prefix;
    return true;
}

static bool read_path(struct reader *reader, const cJSON *node, const char **path)
{
    if (!tagd_config_read_text(reader, node, path))
        return false;
    return **path != '\0' || tagd_config_fault(reader, node, "expected the path of a file");
}

static bool tls_ca(struct reader *reader, const cJSON *node, void *into)
{
    return read_path(reader, node, &((struct tagd_config *)into)->redis.tls.ca);
}

static bool tls_cert(struct reader *reader, const cJSON *node, void *into)
{
    return read_path(reader, node, &((struct tagd_config *)into)->redis.tls.cert);
}

static bool tls_key(struct reader *reader, const cJSON *node, void *into)
{
    return read_path(reader, node, &((struct tagd_config *)into)->redis.tls.key);
}

static bool tls_server_name(struct reader *reader, const cJSON *node, void *into)
{
    const char **name = &((struct tagd_config *)into)->redis.tls.server_name;
    if (!tagd_config_read_text(reader, node, name))
        return false;
    size_t n = strlen(*name);
    return (n > 0 && n <= TAGD_SERVER_NAME_MAX) ||
           tagd_config_fault(reader, node, "expected a host's name or an IP address, of 1 to %d bytes",
                             TAGD_SERVER_NAME_MAX);
}

static bool tls_verify(struct reader *reader, const cJSON *node, void *into)
{
    return read_boolean(reader, node, &((struct tagd_config *)into)->redis.tls.verify);
}

static bool redis_tls(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {{"ca", tls_ca, false},
                                      {"cert", tls_cert, false},
                                      {"key", tls_key, false},
                                      {"server_name", tls_server_name, false},
                                      {"verify", tls_verify, false}};
    struct tagd_config *config = into;
    if (!tagd_config_read_object(reader, node, keys, N_OF(keys), into))
        return false;
    if ((config->redis.tls.cert == NULL) != (config->redis.tls.key == NULL))
        return tagd_config_fault(reader, node,
                                 "\"cert\" and \"key\" are our certificate and its key; give both, or none");
    return true;
}

static bool read_later(struct reader *reader, const cJSON *node, void *into)
{
    (void)reader, (void)node, (void)into;
    return true;
}

static bool read_credential(struct reader *reader, const cJSON *node, const char *what, const char **text)
{
    if (!tagd_config_read_text(reader, node, text))
        return false;
    return **text != '\0' || tagd_config_fault(reader, node, "the %s is empty; write it, or take the key out", what);
}

/* User and password by keys of their own, where nothing needs an escape. */
static bool redis_credentials(struct reader *reader, const cJSON *redis)
{
    struct tagd_config *config = reader->config;
    const cJSON *user = cJSON_GetObjectItemCaseSensitive(redis, "user");
    const cJSON *password = cJSON_GetObjectItemCaseSensitive(redis, "password");
    if (user == NULL && password == NULL)
        return true;
    if (config->redis.password != NULL)
        return tagd_config_fault(reader, user != NULL ? user : password,
                                 "\"url\" has a user's part already; take that out, or this");
    if (password == NULL)
        return tagd_config_fault(reader, user, "a user needs a \"password\"; add it");
    return (user == NULL || read_credential(reader, user, "user", &config->redis.user)) &&
           read_credential(reader, password, "password", &config->redis.password) &&
           note_secret(reader, password, config->redis.password);
}

static bool config_redis(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {{"url", redis_url, true},
                                      {"user", read_later, false},
                                      {"password", read_later, false},
                                      {"prefix", redis_prefix, false},
                                      {"tls", redis_tls, false}};
    struct tagd_config *config = into;
    if (!tagd_config_read_object(reader, node, keys, N_OF(keys), into) || !redis_credentials(reader, node))
        return false;
    const cJSON *tls = cJSON_GetObjectItemCaseSensitive(node, "tls");
    return tls == NULL || config->redis.tls.on ||
           tagd_config_fault(reader, tls,
                             "\"tls\" is for a \"url\" with \"rediss://\"; write that, or take \"tls\" out");
}

/* ---- the rest ---- */

static bool http_listen(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    const char *text;
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    if (strcmp(text, "off") == 0) {
        config->http.host = NULL;
        return true;
    }
    config->http.port = -1;
    if (!host_and_port(&config->arena, text, strlen(text), &config->http.host, &config->http.port) ||
        config->http.port < 0)
        return tagd_config_fault(reader, node, "expected \"address:port\", as in \"127.0.0.1:9464\", or \"off\"");
    return true;
}

/* Letters, digits and what base64 and its relatives use: what a header can carry. */
static bool token_char(char c)
{
    return name_char(c, false) || (c != '\0' && strchr("-.~+/=", c) != NULL);
}

/* From the environment or a file of its own: this file is read by more people than may know it. */
static bool http_token(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    const char *token;
    if (!tagd_config_read_text(reader, node, &token))
        return false;
    if (strncmp(node->valuestring, "${", 2) != 0)
        return tagd_config_fault(reader, node,
                                 "a token is not for this file to keep: write \"${NAME}\" or \"${file:PATH}\"");
    size_t n = strlen(token);
    if (n < TAGD_HTTP_TOKEN_LEAST || n > TAGD_HTTP_TOKEN_MAX)
        return tagd_config_fault(reader, node,
                                 "the token has %zu bytes; from %d to %d are possible, as from openssl rand -hex 32", n,
                                 TAGD_HTTP_TOKEN_LEAST, TAGD_HTTP_TOKEN_MAX);
    for (const char *p = token; *p != '\0'; p++)
        if (!token_char(*p))
            return tagd_config_fault(
                reader, node, "the token may have letters, digits and \"-._~+/=\", as from openssl rand -hex 32");
    config->http.token = token;
    return tagd_config_keep_secret(reader, node, token);
}

static bool http_cert(struct reader *reader, const cJSON *node, void *into)
{
    return read_path(reader, node, &((struct tagd_config *)into)->http.cert);
}

static bool http_key(struct reader *reader, const cJSON *node, void *into)
{
    return read_path(reader, node, &((struct tagd_config *)into)->http.key);
}

static bool http_client_ca(struct reader *reader, const cJSON *node, void *into)
{
    return read_path(reader, node, &((struct tagd_config *)into)->http.client_ca);
}

static bool http_tls(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {
        {"cert", http_cert, true}, {"key", http_key, true}, {"client_ca", http_client_ca, false}};
    return tagd_config_read_object(reader, node, keys, N_OF(keys), into);
}

static bool http_insecure(struct reader *reader, const cJSON *node, void *into)
{
    return read_boolean(reader, node, &((struct tagd_config *)into)->http.insecure);
}

static bool http_rate(struct reader *reader, const cJSON *node, void *into)
{
    int64_t rate;
    if (!read_integer(reader, node, 1, TAGD_HTTP_RATE_MAX, &rate))
        return false;
    ((struct tagd_config *)into)->http.rate = (unsigned)rate;
    return true;
}

static bool config_http(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {{"listen", http_listen, false},
                                      {"token", http_token, false},
                                      {"tls", http_tls, false},
                                      {"insecure", http_insecure, false},
                                      {"requests_per_second", http_rate, false}};
    return tagd_config_read_object(reader, node, keys, N_OF(keys), into);
}

static bool log_format(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"logfmt", "json"};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_config *)into)->log.format = choice == 0 ? TAGD_LOG_LOGFMT : TAGD_LOG_JSON;
    return true;
}

static bool log_level(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"info", "warn", "error"};
    static const enum tagd_note_level values[] = {TAGD_NOTE_INFO, TAGD_NOTE_WARN, TAGD_NOTE_ERROR};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_config *)into)->log.level = values[choice];
    return true;
}

static bool log_file(struct reader *reader, const cJSON *node, void *into)
{
    const char **file = &((struct tagd_config *)into)->log.file;
    if (!tagd_config_read_text(reader, node, file))
        return false;
    return **file != '\0' || tagd_config_fault(reader, node,
                                               "expected the path of a file; leave the key out to log to "
                                               "standard error");
}

static bool config_log(struct reader *reader, const cJSON *node, void *into)
{
    static const struct key keys[] = {
        {"format", log_format, false}, {"level", log_level, false}, {"file", log_file, false}};
    return tagd_config_read_object(reader, node, keys, N_OF(keys), into);
}

/* What other hosts reach says who customers are: not to anybody who asks. */
static bool http_is_guarded(struct reader *reader, const cJSON *root)
{
    const struct tagd_config *config = reader->config;
    const char *host = config->http.host;
    if (host == NULL || strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0 ||
        config->http.token != NULL || config->http.client_ca != NULL || config->http.insecure)
        return true;
    const cJSON *http = cJSON_GetObjectItemCaseSensitive(root, "http");
    return tagd_config_fault(reader, cJSON_GetObjectItemCaseSensitive(http, "listen"),
                             "other hosts reach %s, and anybody there could ask who customers are: add \"token\": "
                             "\"${NAME}\" or \"tls\" with a \"client_ca\", or say \"insecure\": true if that is meant",
                             host);
}

static bool config_group(struct reader *reader, const cJSON *node, void *into)
{
    return read_name(reader, node, "group", TAGD_GROUP_MAX, &((struct tagd_config *)into)->group);
}

static bool config_instance(struct reader *reader, const cJSON *node, void *into)
{
    return read_name(reader, node, "instance", TAGD_INSTANCE_MAX, &((struct tagd_config *)into)->instance);
}

static bool config_catalog(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    if (!tagd_config_read_text(reader, node, &config->catalog))
        return false;
    return *config->catalog != '\0' || tagd_config_fault(reader, node, "expected the path of the catalog file");
}

static bool config_delivery(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"exactly_once", "at_least_once"};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_config *)into)->at_least_once = choice == 1;
    return true;
}

static bool config_workers(struct reader *reader, const cJSON *node, void *into)
{
    int64_t workers;
    if (!read_integer(reader, node, 1, TAGD_WORKERS_MAX, &workers))
        return false;
    ((struct tagd_config *)into)->workers = (unsigned)workers;
    return true;
}

static bool config_time(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"live", "events"};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_config *)into)->time_events = choice == 1;
    return true;
}

static bool config_grace(struct reader *reader, const cJSON *node, void *into)
{
    return read_duration(reader, node, TAGD_GRACE_MAX_MS, &((struct tagd_config *)into)->grace_ms);
}

static bool config_max_idle(struct reader *reader, const cJSON *node, void *into)
{
    return read_duration(reader, node, TAGD_MAX_IDLE_MAX_MS, &((struct tagd_config *)into)->max_idle_ms);
}

static bool config_horizon(struct reader *reader, const cJSON *node, void *into)
{
    return read_duration(reader, node, TAGD_HORIZON_MAX_MS, &((struct tagd_config *)into)->horizon_ms);
}

static bool config_future(struct reader *reader, const cJSON *node, void *into)
{
    return read_duration(reader, node, TAGD_FUTURE_MAX_MS, &((struct tagd_config *)into)->future_ms);
}

static bool config_past(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    const char *text;
    int64_t days;
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    if (tagd_time_parse(tagd_str_of(text), &config->past_ms))
        return true;
    if (!tagd_date_parse_iso(tagd_str_of(text), &days))
        return tagd_config_fault(reader, node, "expected a time, as in \"1990-01-01T00:00:00Z\", found \"%s\"",
                                 tagd_config_shown(node, text));
    config->past_ms = days * TAGD_MS_DAY;
    return true;
}

static bool config_carry(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    const char *text;
    if (cJSON_IsString(node)) {
        if (!tagd_config_read_text(reader, node, &text))
            return false;
        return strcmp(text, "all") == 0 ||
               tagd_config_fault(reader, node, "expected \"all\" or an array of dimensions");
    }
    if (!cJSON_IsArray(node))
        return tagd_config_fault(reader, node, "expected \"all\" or an array of dimensions, found %s",
                                 tagd_json_kind(node));
    size_t n = (size_t)cJSON_GetArraySize(node);
    if (n > TAGD_CARRY_MAX)
        return tagd_config_fault(reader, node, "at most %d dimensions are possible", TAGD_CARRY_MAX);
    config->carry_all = false;
    config->carry = tagd_arena_zalloc(&config->arena, (n + 1) * sizeof(*config->carry));
    for (const cJSON *item = node->child; item != NULL; item = item->next)
        if (!tagd_config_read_text(reader, item, &config->carry[config->n_carry++]))
            return false;
    return true;
}

static bool config_max_changes(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    if (!cJSON_IsObject(node))
        return tagd_config_fault(reader, node,
                                 "expected an object, as in {\"behaviour.activity\": 5000, \"*\": 20000}, found %s",
                                 tagd_json_kind(node));
    size_t n = (size_t)cJSON_GetArraySize(node);
    if (n > TAGD_CHANGES_LIMITS_MAX)
        return tagd_config_fault(reader, node, "at most %d dimensions are possible", TAGD_CHANGES_LIMITS_MAX);
    config->changes_limits = tagd_arena_zalloc(&config->arena, (n + 1) * sizeof(*config->changes_limits));
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        int64_t most;
        if (!read_integer(reader, item, 1, TAGD_CHANGES_PER_MINUTE_MAX, &most))
            return false;
        config->changes_limits[config->n_changes_limits++] = (struct tagd_changes_limit){
            tagd_arena_copy(&config->arena, item->string, strlen(item->string)).p, (uint32_t)most};
    }
    return true;
}

static bool config_on_data_gap(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const names[] = {"stop", "continue"};
    size_t choice;
    if (!read_choice(reader, node, names, N_OF(names), &choice))
        return false;
    ((struct tagd_config *)into)->continue_on_data_gap = choice == 1;
    return true;
}

static bool read_size(struct reader *reader, const cJSON *node, int64_t least, int64_t most, size_t *size)
{
    int64_t value;
    if (!read_integer(reader, node, least, most, &value))
        return false;
    *size = (size_t)value;
    return true;
}

static bool config_max_event_bytes(struct reader *reader, const cJSON *node, void *into)
{
    return read_size(reader, node, TAGD_EVENT_BYTES_LEAST, TAGD_EVENT_BYTES_MOST,
                     &((struct tagd_config *)into)->max_event_bytes);
}

static bool config_batch_events(struct reader *reader, const cJSON *node, void *into)
{
    return read_size(reader, node, 1, TAGD_BATCH_EVENTS_MAX, &((struct tagd_config *)into)->batch_events);
}

static bool config_batch_bytes(struct reader *reader, const cJSON *node, void *into)
{
    return read_size(reader, node, TAGD_BATCH_BYTES_LEAST, TAGD_BATCH_BYTES_MAX,
                     &((struct tagd_config *)into)->batch_bytes);
}

static bool config_cache_bytes(struct reader *reader, const cJSON *node, void *into)
{
    return read_size(reader, node, 0, TAGD_CACHE_BYTES_MAX, &((struct tagd_config *)into)->cache_bytes);
}

static bool config_junk_subjects(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_config *config = into;
    const char *text;
    if (!cJSON_IsArray(node))
        return tagd_config_fault(reader, node, "expected an array of strings, found %s", tagd_json_kind(node));
    size_t n = (size_t)cJSON_GetArraySize(node);
    if (n > TAGD_JUNK_SUBJECTS_MAX)
        return tagd_config_fault(reader, node, "at most %d are possible", TAGD_JUNK_SUBJECTS_MAX);
    config->junk_subjects = tagd_arena_zalloc(&config->arena, (n + 1) * sizeof(*config->junk_subjects));
    config->n_junk_subjects = 0;
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        if (!tagd_config_read_text(reader, item, &text))
            return false;
        config->junk_subjects[config->n_junk_subjects++] = tagd_str_of(text);
    }
    return true;
}

static void set_defaults(struct tagd_config *config, const char *default_instance)
{
    char *instance = tagd_arena_alloc(&config->arena, TAGD_INSTANCE_MAX + 1);
    size_t n = 0;
    for (const char *p = default_instance; *p != '\0' && n < TAGD_INSTANCE_MAX; p++)
        instance[n++] = name_char(*p, false) || *p == '.' ? *p : '-';
    instance[n] = '\0';
    config->group = TAGD_GROUP_DEFAULT;
    config->instance = n == 0 ? "a" : instance;
    config->tag_changes = TAGD_TAG_CHANGES_DEFAULT;
    config->churn_risk = TAGD_CHURN_RISK_DEFAULT;
    config->dead_letter = TAGD_DEAD_LETTER_DEFAULT;
    config->redis.port = TAGD_REDIS_PORT_DEFAULT;
    config->redis.prefix = TAGD_PREFIX_DEFAULT;
    config->redis.tls.verify = true;
    config->workers = 1;
    config->grace_ms = TAGD_GRACE_DEFAULT_MS;
    config->max_idle_ms = TAGD_MAX_IDLE_DEFAULT_MS;
    config->horizon_ms = TAGD_HORIZON_DEFAULT_MS;
    config->carry_all = true;
    config->http.host = TAGD_HTTP_HOST_DEFAULT;
    config->http.port = TAGD_HTTP_PORT_DEFAULT;
    config->http.rate = TAGD_HTTP_RATE_DEFAULT;
    config->past_ms = TAGD_PAST_DEFAULT_MS;
    config->future_ms = TAGD_FUTURE_DEFAULT_MS;
    config->max_event_bytes = TAGD_EVENT_BYTES_MAX;
    config->batch_events = TAGD_BATCH_EVENTS_DEFAULT;
    config->batch_bytes = TAGD_BATCH_BYTES_DEFAULT;
    config->cache_bytes = TAGD_CACHE_BYTES_DEFAULT;
    config->junk_subjects =
        tagd_arena_zalloc(&config->arena, (tagd_n_junk_subjects + 1) * sizeof(*config->junk_subjects));
    for (; config->n_junk_subjects < tagd_n_junk_subjects; config->n_junk_subjects++)
        config->junk_subjects[config->n_junk_subjects] = tagd_junk_subjects[config->n_junk_subjects];
}

struct tagd_config *tagd_config_parse(const char *name, const char *text, size_t n, const char *default_instance,
                                      const struct tagd_config_outside *outside, struct tagd_error *error)
{
    static const struct key keys[] = {
        {"group", config_group, false},
        {"instance", config_instance, false},
        {"catalog", config_catalog, true},
        {"sources", config_sources, true},
        {"outputs", config_outputs, false},
        {"kafka", config_kafka, true},
        {"redis", config_redis, true},
        {"delivery", config_delivery, false},
        {"workers", config_workers, false},
        {"time", config_time, false},
        {"grace", config_grace, false},
        {"max_idle", config_max_idle, false},
        {"carry", config_carry, false},
        {"max_changes_per_minute", config_max_changes, false},
        {"horizon", config_horizon, false},
        {"on_data_gap", config_on_data_gap, false},
        {"http", config_http, false},
        {"log", config_log, false},
        {"past", config_past, false},
        {"future", config_future, false},
        {"max_event_bytes", config_max_event_bytes, false},
        {"junk_subjects", config_junk_subjects, false},
        {"batch_events", config_batch_events, false},
        {"batch_bytes", config_batch_bytes, false},
        {"cache_bytes", config_cache_bytes, false},
    };
    if (n > TAGD_CONFIG_BYTES_MAX) {
        tagd_fail(error, "%s: has %zu bytes, at most %d are possible; is this the right file?", name, n,
                  TAGD_CONFIG_BYTES_MAX);
        return NULL;
    }
    struct tagd_jsonc *jsonc = tagd_jsonc_parse_hiding(name, text, n, tagd_config_shows_secret, error);
    if (jsonc == NULL)
        return NULL;
    struct tagd_config *config = tagd_xcalloc(1, sizeof(*config));
    struct reader reader = {jsonc, config, outside, error};
    const cJSON *root = tagd_jsonc_root(jsonc);
    set_defaults(config, default_instance);
    bool ok = tagd_config_read_object(&reader, root, keys, N_OF(keys), config) && topics_differ(&reader, root) &&
              no_time_limit(&reader, root) && silence_counts(&reader, root) && http_is_guarded(&reader, root);
    tagd_jsonc_free(jsonc);
    if (ok)
        return config;
    tagd_config_free(config);
    return NULL;
}

int32_t tagd_config_source(const struct tagd_config *config, const char *topic)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].topic, topic) == 0)
            return (int32_t)i;
    return -1;
}

void tagd_config_free(struct tagd_config *config)
{
    if (config == NULL)
        return;
    tagd_arena_free(&config->arena);
    free(config);
}
