/* Any bytes as a record: a value; or, before an empty line, headers, each "name: value" on a line, of which `key` is the
 * record's key. Its JSON reads as the reference and cJSON read it; whatever its form and map, decoding ends with a code and,
 * if it can't be used, a reason in UTF-8; and what can be used says what cJSON finds in it, within the limits. */
#include "fuzz.h"

#include <math.h>

#include "../unit/json_reference.h"
#include "config/config.h"

#define HEADERS_MAX 16
#define PARTITIONS 5

static const char catalog_text[] =
    "{\"catalog\":\"fuzz\",\"version\":\"1\",\"events\":{\"a\":{\"fields\":{\"d\":\"decimal\",\"s\":\"string\","
    "\"b\":\"boolean\",\"t\":\"time\",\"y\":\"date\"},\"dedupe\":\"7d\"},\"c\":{},"
    "\"r\":{\"fields\":{\"d\":{\"type\":\"decimal\",\"required\":true}}},"
    "\"order.paid\":{\"fields\":{\"amount\":\"decimal\",\"category\":\"string\"},\"dedupe\":\"1h\"},\"login\":{}},"
    "\"attributes\":{\"s\":\"string\",\"t\":\"time\",\"d\":\"decimal\",\"b\":\"boolean\",\"y\":\"date\"},"
    "\"aliases\":{\"old.k.v\":\"m.k.v\"},"
    "\"dimensions\":{\"m.k\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"v\",\"when\":\"true\"}]},"
    "\"m.v\":{\"value\":\"latest(s, a)\"}}}";

static const char config_text[] =
    "{\"catalog\":\"c\",\"kafka\":{\"bootstrap.servers\":\"h\"},\"redis\":{\"url\":\"redis://h\"},\"sources\":["
    "{\"topic\":\"a\",\"map\":{\"id\":\"/id\",\"source\":{\"const\":\"s\"},\"type\":\"/type\",\"subject\":\"/subject\","
    "\"time\":{\"at\":\"/time\",\"as\":\"epoch_ms\"},\"data\":{\"d\":{\"const\":0.1},\"s\":\"/subject\","
    "\"t\":{\"at\":\"/time\",\"as\":\"epoch_s\"},\"b\":{\"const\":true},\"y\":\"/data/y\"}}},"
    "{\"topic\":\"b\",\"map\":{\"id\":{\"from\":\"offset\"},\"source\":\"/source\",\"type\":{\"const\":\"a\"},"
    "\"subject\":{\"from\":\"key\"},\"data\":\"/data\"}},"
    "{\"topic\":\"c\",\"map\":{\"id\":\"/id\",\"source\":{\"const\":\"s\"},\"type\":\"/type\",\"subject\":\"/subject\","
    "\"time\":{\"at\":\"/time\",\"as\":\"epoch_s\"},\"data\":\"\"}},"
    "{\"topic\":\"d\",\"map\":{\"id\":\"/id\",\"source\":{\"const\":\"s\"},\"type\":{\"const\":\"profile.updated\"},"
    "\"subject\":\"/subject\",\"time\":\"/time\",\"data\":{\"attributes\":{\"fields\":{\"s\":\"/data/s\",\"d\":"
    "\"/data/d\",\"b\":{\"const\":false},\"t\":{\"at\":\"/data/t\",\"as\":\"epoch_ms\"}}}}}},"
    "{\"topic\":\"e\",\"map\":{\"id\":\"/id\",\"source\":{\"const\":\"s\"},\"type\":{\"const\":\"tag.assigned\"},"
    "\"subject\":\"/subject\",\"data\":{\"dimension\":{\"const\":\"m.k\"},\"tag\":\"/data/tag\",\"by\":\"/data/by\","
    "\"reason\":\"/data/reason\",\"until\":{\"at\":\"/data/until\",\"as\":\"epoch_ms\"}}}},"
    "{\"topic\":\"f\",\"map\":{\"id\":\"/id\",\"source\":{\"const\":\"s\"},\"type\":{\"const\":\"c\"},"
    "\"subject\":\"/data/0/1\"}}]}";

static struct tagd_catalog *catalog;
static struct tagd_config *config;

static void begin(void)
{
    struct tagd_error error = {{0}};
    if (catalog)
        return;
    catalog = tagd_catalog_load("fuzz", catalog_text, sizeof(catalog_text) - 1, &error);
    config = tagd_config_parse("fuzz", config_text, sizeof(config_text) - 1, "i", NULL, &error);
    if (!catalog || !config)
        fprintf(stderr, "%s\n", error.text);
    MUST(catalog && config);
    for (size_t i = 0; i < config->n_sources; i++)
        MUST(tagd_map_check(config->sources[i].map, catalog, config->sources[i].topic, &error));
}

/* ---- what cJSON says of a structured event ---- */

static bool is_text(const cJSON *object, const char *name, struct tagd_str text)
{
    const cJSON *found = NULL;
    for (const cJSON *child = object ? object->child : NULL; child; child = child->next) /* the last one counts */
        if (strcmp(child->string, name) == 0)
            found = child;
    return cJSON_IsString(found) && tagd_str_eq(text, tagd_str_of(found->valuestring));
}

static const cJSON *last_of(const cJSON *object, const char *name)
{
    const cJSON *found = NULL;
    for (const cJSON *child = object ? object->child : NULL; child; child = child->next)
        if (strcmp(child->string, name) == 0)
            found = child;
    return found;
}

static void must_say(const struct tagd_field *field, const struct tagd_value *value, const cJSON *data)
{
    const cJSON *found = last_of(data, field->name.p);
    int64_t wanted = 0;
    MUST(value->present == (found && !cJSON_IsNull(found)));
    if (!value->present)
        return;
    switch (field->type) {
    case TAGD_DECIMAL:
        MUST(cJSON_IsNumber(found) && tagd_decimal_from_double(found->valuedouble, &wanted) && wanted == value->i);
        break;
    case TAGD_STRING: MUST(is_text(data, field->name.p, value->s) && value->s.n <= TAGD_STRING_MAX); break;
    case TAGD_BOOLEAN: MUST(cJSON_IsBool(found) && cJSON_IsTrue(found) == (value->i == 1)); break;
    case TAGD_TIME:
        MUST(cJSON_IsString(found) && tagd_time_parse(tagd_str_of(found->valuestring), &wanted) && wanted == value->i);
        break;
    case TAGD_DATE:
        MUST(cJSON_IsString(found) && tagd_date_parse(tagd_str_of(found->valuestring), &wanted) && wanted == value->i);
        break;
    }
}

static void must_be_as_cjson_has_it(const struct tagd_event *event, const cJSON *root)
{
    const cJSON *time = last_of(root, "time"), *data = last_of(root, "data");
    int64_t ms;
    MUST(is_text(root, "id", event->id) && is_text(root, "source", event->source));
    MUST(is_text(root, "type", event->type_name) && is_text(root, "subject", event->subject));
    MUST(!cJSON_IsString(time) || (tagd_time_parse(tagd_str_of(time->valuestring), &ms) && ms == event->time_ms));
    for (size_t i = 0; event->type >= 0 && i < tagd_catalog_n_fields(catalog, event->type); i++)
        must_say(&tagd_catalog_fields(catalog, event->type)[i], &event->fields[i], data);
}

/* ---- decoding ---- */

static void must_keep_its_limits(const struct tagd_event *event, const struct tagd_event_rules *rules)
{
    const struct tagd_verdict *verdict = &event->verdict;
    MUST(event->subject.n >= 1 && event->subject.n <= TAGD_SUBJECT_MAX &&
         tagd_utf8_valid(event->subject.p, event->subject.n));
    MUST(event->id.n >= 1 && event->id.n <= TAGD_ATTRIBUTE_MAX && event->source.n <= TAGD_ATTRIBUTE_MAX);
    MUST(event->has_time && event->time_ms >= rules->past_ms && event->time_ms <= TAGD_TIME_MAX);
    MUST(event->type >= TAGD_TYPE_TAG_REVIEWED && event->type < (int32_t)tagd_catalog_n_types(catalog));
    for (size_t i = 0; event->type >= 0 && i < tagd_catalog_n_fields(catalog, event->type); i++)
        if (event->fields[i].present && tagd_catalog_fields(catalog, event->type)[i].type == TAGD_DECIMAL)
            MUST(llabs(event->fields[i].i) <= TAGD_DECIMAL_MAX);
    if (event->type != TAGD_TYPE_TAG_ASSIGNED)
        return;
    MUST(verdict->dimension >= 0 && verdict->dimension < (int32_t)tagd_catalog_n_dimensions(catalog));
    MUST(verdict->tag >= 0 && verdict->tag < (int32_t)tagd_catalog_n_tags(catalog, (size_t)verdict->dimension));
    MUST(verdict->by.n >= 1 && verdict->by.n <= TAGD_STRING_MAX && verdict->reason.n <= TAGD_STRING_MAX);
}

static enum tagd_event_code decode(const struct tagd_event_rules *rules, const struct tagd_record *record,
                                   struct tagd_event *event)
{
    static struct tagd_arena arena;
    tagd_arena_reset(&arena);
    tagd_event_decode(rules, record, FUZZ_T0, &arena, event);
    MUST(event->code < TAGD_EVENT_CODES && tagd_event_code_name(event->code));
    MUST((event->code == TAGD_EVENT_OK) == (event->reason[0] == '\0'));
    MUST(strlen(event->reason) < TAGD_EVENT_REASON_MAX && tagd_utf8_valid(event->reason, strlen(event->reason)));
    if (event->code == TAGD_EVENT_OK)
        must_keep_its_limits(event, rules);
    return event->code;
}

static void decode_every_way(const struct tagd_record *record)
{
    static struct tagd_arena arena;
    struct tagd_json_fault fault;
    struct tagd_event event;
    struct tagd_event_rules rules = {.catalog = catalog,
                                     .max_bytes = 4096,
                                     .past_ms = 0,
                                     .future_ms = -1,
                                     .partitioner = TAGD_NO_PARTITIONER,
                                     .junk = tagd_junk_of(tagd_junk_subjects, tagd_n_junk_subjects)};
    enum tagd_event_code code = decode(&rules, record, &event);
    if (code == TAGD_EVENT_OK && record->n_headers == 0) {
        tagd_arena_reset(&arena);
        must_be_as_cjson_has_it(&event, tagd_json_parse(&arena, record->value.p, record->value.n, &fault));
    }
    rules.future_ms = 300000;
    rules.partitions = PARTITIONS;
    rules.time_required = record->value.n % 2;
    for (int partitioner = TAGD_MURMUR2; partitioner <= TAGD_NO_PARTITIONER && code == TAGD_EVENT_OK; partitioner++) {
        rules.partitioner = (enum tagd_partitioner)partitioner;
        enum tagd_event_code found = decode(&rules, record, &event);
        MUST(found == TAGD_EVENT_OK || found == TAGD_EVENT_FUTURE || found == TAGD_EVENT_MISROUTED ||
             (found == TAGD_EVENT_INVALID && rules.time_required));
    }
    for (size_t i = 0; i < config->n_sources; i++) {
        rules.map = config->sources[i].map;
        decode(&rules, record, &event);
    }
}

/* ---- headers ---- */

/* Each by itself, so that a read past its end is seen. */
static struct tagd_str copy_of(struct tagd_str text, char **copy)
{
    *copy = text.p ? tagd_xmalloc(text.n + 1) : NULL;
    if (text.p)
        memcpy(*copy + 1, text.p, text.n);
    return (struct tagd_str){text.p ? *copy + 1 : NULL, text.n};
}

static void decode_copy(struct tagd_record record)
{
    struct tagd_header headers[HEADERS_MAX];
    char *copies[2 * HEADERS_MAX + 1];
    size_t n = 0;
    record.key = copy_of(record.key, &copies[n++]);
    for (size_t i = 0; i < record.n_headers; i++) {
        headers[i].name = copy_of(record.headers[i].name, &copies[n++]);
        headers[i].value = copy_of(record.headers[i].value, &copies[n++]);
    }
    record.headers = headers;
    decode_every_way(&record);
    while (n > 0)
        free(copies[--n]);
}

/* One line; false: it is none. */
static bool take_header(const char **p, const char *end, struct tagd_header *header)
{
    const char *feed = memchr(*p, '\n', (size_t)(end - *p)),
               *colon = feed ? memchr(*p, ':', (size_t)(feed - *p)) : NULL;
    if (!colon)
        return false;
    header->name = (struct tagd_str){*p, (size_t)(colon - *p)};
    colon += colon + 1 < feed && colon[1] == ' ';
    header->value = (struct tagd_str){colon + 1, (size_t)(feed - colon) - (feed > colon)};
    if (header->value.n == 1 && header->value.p[0] == '-')
        header->value = (struct tagd_str){NULL, 0};
    *p = feed + 1;
    return true;
}

/* What stands before the value goes to the record. */
static void take_headers(struct tagd_str text, struct tagd_header *headers, struct tagd_record *record)
{
    const char *p = text.p, *end = text.p + text.n;
    struct tagd_header header;
    size_t n = 0;
    while (n < HEADERS_MAX && p < end && take_header(&p, end, &header)) {
        if (tagd_str_eq(header.name, TAGD_STR("key"))) {
            record->has_key = header.value.p != NULL;
            record->key = header.value;
        } else {
            headers[n++] = header;
        }
    }
    if (p == end || *p != '\n')
        return;
    record->headers = headers;
    record->n_headers = n;
    record->value = (struct tagd_str){p + 1, (size_t)(end - p) - 1};
    record->log_append_time = n % 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tagd_header binary[] = {
        {{"ce_specversion", 14}, {"1.0", 3}}, {{"ce_id", 5}, {"1", 1}},        {{"ce_source", 9}, {"s", 1}},
        {{"ce_type", 7}, {"a", 1}},           {{"ce_subject", 10}, {"C1", 2}},
    };
    struct tagd_header headers[HEADERS_MAX];
    struct tagd_str text = {(const char *)data, size};
    struct tagd_record record = {.value = text, .has_value = size > 0, .timestamp_ms = FUZZ_T0, .partition = 2};
    uint32_t sound = 0;
    begin();
    if (!agree(text.p, size, &sound))
        abort();
    if (size > 0)
        take_headers(text, headers, &record);
    decode_copy(record);
    if (record.n_headers > 0)
        return 0;
    record.headers = binary;
    record.n_headers = sizeof(binary) / sizeof(*binary);
    decode_every_way(&record);
    return 0;
}
