/* Any bytes as a record's value: its JSON reads as the reference and cJSON read it, and whatever its form and map, decoding
 * ends with a code and, if it can't be used, a reason in UTF-8. */
#include "../unit/json_reference.h"
#include "tagd/catalog.h"
#include "tagd/event.h"

static const char catalog_text[] =
    "{\"catalog\": \"fuzz\", \"version\": \"1\", \"events\": {\"a\": {\"fields\": {\"d\": \"decimal\", \"s\": "
    "\"string\","
    " \"b\": \"boolean\", \"t\": \"time\", \"y\": \"date\"}, \"dedupe\": \"7d\"}, \"c\": {}},"
    "\"attributes\": {\"s\": \"string\", \"t\": \"time\", \"d\": \"decimal\"},"
    "\"dimensions\": {\"m.k\": {\"assign\": \"review\", \"tags\": [{\"tag\": \"v\", \"when\": \"true\"}]}}}";

static void decode(const struct tagd_catalog *catalog, const struct tagd_map *map, const struct tagd_record *record)
{
    static struct tagd_arena arena;
    static struct tagd_event event;
    struct tagd_event_rules rules = {.catalog = catalog,
                                     .map = map,
                                     .max_bytes = TAGD_EVENT_BYTES_MAX,
                                     .future_ms = -1,
                                     .partitioner = TAGD_NO_PARTITIONER,
                                     .junk = tagd_junk_of(tagd_junk_subjects, tagd_n_junk_subjects)};

    tagd_arena_reset(&arena);
    tagd_event_decode(&rules, record, 0, &arena, &event);
    if ((event.code == TAGD_EVENT_OK) != (event.reason[0] == '\0') ||
        !tagd_utf8_valid(event.reason, strlen(event.reason)))
        abort();
}

static struct tagd_map_rule at(const struct tagd_str *name, enum tagd_time_form form)
{
    return (struct tagd_map_rule){.kind = TAGD_MAP_AT, .form = form, .at = {*name, name, 1}, .called = name->p};
}

static void make_map(struct tagd_map *map)
{
    static const struct tagd_str id = {"id", 2}, type = {"type", 4}, subject = {"subject", 7}, time = {"time", 4};
    static struct tagd_map_field fields[] = {{{"d", 1}, {.kind = TAGD_MAP_NUMBER, .number = 0.1}},
                                             {{"s", 1}, {.kind = TAGD_MAP_NONE}},
                                             {{"t", 1}, {.kind = TAGD_MAP_NONE}}};

    fields[1].rule = at(&subject, TAGD_RFC3339);
    fields[2].rule = at(&time, TAGD_EPOCH_S);
    map->attributes[TAGD_MAP_ID] = at(&id, TAGD_RFC3339);
    map->attributes[TAGD_MAP_SOURCE] =
        (struct tagd_map_rule){.kind = TAGD_MAP_TEXT, .text = {"s", 1}, .called = "source"};
    map->attributes[TAGD_MAP_TYPE] = at(&type, TAGD_RFC3339);
    map->attributes[TAGD_MAP_SUBJECT] = at(&subject, TAGD_RFC3339);
    map->attributes[TAGD_MAP_TIME] = at(&time, TAGD_EPOCH_MS);
    map->data = (struct tagd_map_rule){.kind = TAGD_MAP_FIELDS, .fields = fields, .n_fields = 3, .called = "data"};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tagd_header headers[] = {
        {{"ce_specversion", 14}, {"1.0", 3}}, {{"ce_id", 5}, {"1", 1}},        {{"ce_source", 9}, {"s", 1}},
        {{"ce_type", 7}, {"a", 1}},           {{"ce_subject", 10}, {"C1", 2}},
    };
    static struct tagd_catalog *catalog;
    static struct tagd_map map;
    struct tagd_record record = {.value = {(const char *)data, size}, .has_value = true};
    uint32_t sound = 0;

    if (!catalog) {
        catalog = tagd_catalog_load("fuzz", catalog_text, sizeof(catalog_text) - 1, NULL);
        make_map(&map);
    }
    if (!catalog || !agree((const char *)data, size, &sound))
        abort();
    decode(catalog, NULL, &record);
    decode(catalog, &map, &record);
    record.headers = headers;
    record.n_headers = sizeof(headers) / sizeof(*headers);
    decode(catalog, NULL, &record);
    return 0;
}
