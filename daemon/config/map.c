/* sources[].map: where each attribute and field of a topic in another shape is.
 *
 *   id          "/pointer"  {"from": "offset"}
 *   source      "/pointer"  {"const": "text"}
 *   type        "/pointer"  {"const": "text"}
 *   subject     "/pointer"  {"const": "text"}  {"from": "key"}
 *   time        "/pointer"  {"at": "/pointer", "as": "rfc3339" | "epoch_s" | "epoch_ms"}  or not there
 *   data        "/pointer" of a whole object, or an object of fields, or not there
 *     a field   "/pointer"  {"const": text, number or boolean}  {"at", "as"}  {"fields": {...}}, an object one level down */
#include "config/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/pointer.h"

/* What a rule may be, besides a pointer. */
enum { MAY_CONST = 1, MAY_KEY = 2, MAY_OFFSET = 4, MAY_FORM = 8, MAY_ANY_CONST = 16, MAY_FIELDS = 32 };

static bool read_pointer(struct reader *reader, const cJSON *node, struct tagd_map_rule *rule)
{
    struct tagd_pointer_fault wrong;
    const char *text;
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    rule->kind = TAGD_MAP_AT;
    if (tagd_pointer_split(tagd_str_of(text), &reader->config->arena, &rule->at, &wrong))
        return true;
    size_t offset = strcmp(text, node->valuestring) == 0 ? wrong.offset : TAGD_JSONC_WHOLE;
    return tagd_jsonc_fail(reader->jsonc, reader->error, node, NULL, offset, false, "found \"%s\"; %s",
                           tagd_config_shown(node, text), wrong.what);
}

/* ---- the keys of a rule that is an object; `into` is the rule ---- */

static bool rule_const(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_map_rule *rule = into;
    const char *text;
    if (cJSON_IsNumber(node) || cJSON_IsBool(node)) {
        rule->kind = cJSON_IsNumber(node) ? TAGD_MAP_NUMBER : TAGD_MAP_BOOLEAN;
        rule->number = cJSON_IsNumber(node) ? node->valuedouble : cJSON_IsTrue(node);
        return true;
    }
    if (!cJSON_IsString(node))
        return tagd_config_fault(reader, node, "expected a string, a number or a boolean, found %s",
                                 tagd_json_kind(node));
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    rule->kind = TAGD_MAP_TEXT;
    rule->text = tagd_str_of(text);
    return true;
}

static bool rule_at(struct reader *reader, const cJSON *node, void *into)
{
    return read_pointer(reader, node, into);
}

static bool read_word(struct reader *reader, const cJSON *node, const char *const *words, size_t n, size_t *found,
                      const char *expected)
{
    const char *text;
    if (!tagd_config_read_text(reader, node, &text))
        return false;
    for (*found = 0; *found < n; (*found)++)
        if (strcmp(text, words[*found]) == 0)
            return true;
    return tagd_config_fault(reader, node, "found \"%s\", expected %s", tagd_config_shown(node, text), expected);
}

static bool rule_as(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const words[] = {"rfc3339", "epoch_s", "epoch_ms"};
    static const enum tagd_time_form forms[] = {TAGD_RFC3339, TAGD_EPOCH_S, TAGD_EPOCH_MS};
    size_t found;
    if (!read_word(reader, node, words, 3, &found, "one of \"rfc3339\", \"epoch_s\", \"epoch_ms\""))
        return false;
    ((struct tagd_map_rule *)into)->form = forms[found];
    return true;
}

static bool rule_from(struct reader *reader, const cJSON *node, void *into)
{
    static const char *const words[] = {"key", "offset"};
    size_t found;
    if (!read_word(reader, node, words, 2, &found, "\"key\", the record's key, or for an id \"offset\""))
        return false;
    ((struct tagd_map_rule *)into)->kind = found == 0 ? TAGD_MAP_KEY : TAGD_MAP_OFFSET;
    return true;
}

static bool read_fields(struct reader *reader, const cJSON *node, unsigned may, struct tagd_map_rule *rule);

static bool rule_fields(struct reader *reader, const cJSON *node, void *into)
{
    return read_fields(reader, node, MAY_ANY_CONST | MAY_FORM, into);
}

/* Whether a rule of this kind may stand here; if not, why and what to do. */
static bool check_kind(struct reader *reader, const cJSON *node, unsigned may, const struct tagd_map_rule *rule)
{
    bool number = rule->kind == TAGD_MAP_NUMBER || rule->kind == TAGD_MAP_BOOLEAN;
    if (rule->kind == TAGD_MAP_TEXT && !(may & (MAY_CONST | MAY_ANY_CONST)))
        return tagd_config_fault(reader, node,
                                 "a constant can't stand here: it would be the same in every record; use a pointer%s",
                                 may & MAY_OFFSET ? ", or {\"from\": \"offset\"}" : "");
    if (number && !(may & MAY_ANY_CONST))
        return tagd_config_fault(reader, node, "this constant must be a string");
    if (rule->kind == TAGD_MAP_KEY && !(may & MAY_KEY))
        return tagd_config_fault(reader, node, "\"from\": \"key\" can't stand here; use a pointer");
    if (rule->kind == TAGD_MAP_OFFSET && !(may & MAY_OFFSET))
        return tagd_config_fault(reader, node, "\"from\": \"offset\" makes an id and nothing else; use a pointer");
    if (rule->kind == TAGD_MAP_FIELDS && !(may & MAY_FIELDS))
        return tagd_config_fault(reader, node, "\"fields\" can't stand here; use a pointer");
    if (rule->form != TAGD_RFC3339 && !(may & MAY_FORM))
        return tagd_config_fault(reader, node, "\"as\" is for times; take it out");
    return true;
}

static bool read_rule(struct reader *reader, const cJSON *node, unsigned may, struct tagd_map_rule *rule)
{
    static const struct key keys[] = {{"const", rule_const, false},
                                      {"at", rule_at, false},
                                      {"as", rule_as, false},
                                      {"from", rule_from, false},
                                      {"fields", rule_fields, false}};
    static const char one[] = "expected a JSON Pointer such as \"/order/id\", {\"const\": ...}, {\"at\": \"/pointer\", "
                              "\"as\": \"epoch_ms\"} or {\"from\": \"key\"}";
    if (cJSON_IsString(node))
        return read_pointer(reader, node, rule);
    if (!cJSON_IsObject(node))
        return tagd_config_fault(reader, node, "%s, found %s", one, tagd_json_kind(node));
    bool as = cJSON_GetObjectItemCaseSensitive(node, "as") != NULL;
    bool at = cJSON_GetObjectItemCaseSensitive(node, "at") != NULL;
    if (as && !at)
        return tagd_config_fault(reader, node, "\"as\" says what the time \"at\" a pointer is; add \"at\"");
    if (!tagd_config_read_object(reader, node, keys, sizeof(keys) / sizeof(keys[0]), rule))
        return false;
    if (cJSON_GetArraySize(node) != (as ? 2 : 1))
        return tagd_config_fault(reader, node, "%s, only one of them", one);
    if (at && !as)
        return tagd_config_fault(reader, node,
                                 "\"at\" needs \"as\", a time's form; if this is no time, write the pointer alone");
    return check_kind(reader, node, may, rule);
}

/* ---- names for messages ---- */

static const char *called(struct reader *reader, const char *name, const struct tagd_map_rule *rule)
{
    const char *place = rule->kind == TAGD_MAP_AT       ? rule->at.n == 0 ? "the whole value" : rule->at.text.p
                        : rule->kind == TAGD_MAP_KEY    ? "the record's key"
                        : rule->kind == TAGD_MAP_OFFSET ? "topic, partition, offset"
                        : rule->kind == TAGD_MAP_FIELDS ? "made of fields"
                                                        : "a constant";
    return rule->kind == TAGD_MAP_NONE ? tagd_arena_printf(&reader->config->arena, "%s", name)
                                       : tagd_arena_printf(&reader->config->arena, "%s (%s)", name, place);
}

/* ---- data ---- */

static bool read_fields(struct reader *reader, const cJSON *node, unsigned may, struct tagd_map_rule *rule)
{
    struct tagd_arena *arena = &reader->config->arena;
    if (!cJSON_IsObject(node))
        return tagd_config_fault(reader, node, "expected an object of fields, found %s", tagd_json_kind(node));
    size_t n = (size_t)cJSON_GetArraySize(node);
    if (n > TAGD_MAP_FIELDS_MAX)
        return tagd_config_fault(reader, node, "there are %zu fields; at most %d are possible", n, TAGD_MAP_FIELDS_MAX);
    struct tagd_map_field *fields = tagd_arena_zalloc(arena, (n + 1) * sizeof(*fields));
    rule->kind = TAGD_MAP_FIELDS;
    rule->fields = fields;
    for (const cJSON *item = node->child; item != NULL; item = item->next) {
        struct tagd_map_field *field = &fields[rule->n_fields++];
        field->name = tagd_arena_copy(arena, item->string, strlen(item->string));
        if (!read_rule(reader, item, may, &field->rule))
            return false;
        field->rule.called = called(reader, field->name.p, &field->rule);
    }
    return true;
}

static bool map_data(struct reader *reader, const cJSON *node, void *into)
{
    struct tagd_map_rule *rule = &((struct tagd_map *)into)->data;
    if (cJSON_IsString(node))
        return read_pointer(reader, node, rule);
    if (!cJSON_IsObject(node))
        return tagd_config_fault(reader, node,
                                 "expected the JSON Pointer of an object, or an object of fields, found %s",
                                 tagd_json_kind(node));
    return read_fields(reader, node, MAY_ANY_CONST | MAY_FORM | MAY_FIELDS, rule);
}

/* ---- attributes ---- */

static bool check_constant(struct reader *reader, const cJSON *node, const struct tagd_map_rule *rule, size_t max)
{
    if (rule->kind != TAGD_MAP_TEXT)
        return true;
    if (rule->text.n == 0 || rule->text.n > max)
        return tagd_config_fault(reader, node, "this constant must have 1 to %zu bytes, found %zu", max, rule->text.n);
    return true;
}

static bool read_attribute(struct reader *reader, const cJSON *node, struct tagd_map *map,
                           enum tagd_map_attribute attribute, unsigned may)
{
    struct tagd_map_rule *rule = &map->attributes[attribute];
    size_t max = attribute == TAGD_MAP_SUBJECT ? TAGD_SUBJECT_MAX : TAGD_ATTRIBUTE_MAX;
    return read_rule(reader, node, may, rule) && check_constant(reader, node, rule, max);
}

static bool map_id(struct reader *reader, const cJSON *node, void *into)
{
    return read_attribute(reader, node, into, TAGD_MAP_ID, MAY_OFFSET);
}

static bool map_source(struct reader *reader, const cJSON *node, void *into)
{
    return read_attribute(reader, node, into, TAGD_MAP_SOURCE, MAY_CONST);
}

static bool map_type(struct reader *reader, const cJSON *node, void *into)
{
    return read_attribute(reader, node, into, TAGD_MAP_TYPE, MAY_CONST);
}

static bool map_subject(struct reader *reader, const cJSON *node, void *into)
{
    return read_attribute(reader, node, into, TAGD_MAP_SUBJECT, MAY_CONST | MAY_KEY);
}

static bool map_time(struct reader *reader, const cJSON *node, void *into)
{
    return read_attribute(reader, node, into, TAGD_MAP_TIME, MAY_FORM);
}

bool tagd_config_read_map(struct reader *reader, const cJSON *node, struct tagd_map *map)
{
    static const struct key keys[] = {{"id", map_id, true},      {"source", map_source, true},
                                      {"type", map_type, true},  {"subject", map_subject, true},
                                      {"time", map_time, false}, {"data", map_data, false}};
    static const char *const names[TAGD_MAP_ATTRIBUTES] = {[TAGD_MAP_ID] = "id",
                                                           [TAGD_MAP_SOURCE] = "source",
                                                           [TAGD_MAP_TYPE] = "type",
                                                           [TAGD_MAP_SUBJECT] = "subject",
                                                           [TAGD_MAP_TIME] = "time"};
    if (!tagd_config_read_object(reader, node, keys, sizeof(keys) / sizeof(keys[0]), map))
        return false;
    for (int i = 0; i < TAGD_MAP_ATTRIBUTES; i++)
        map->attributes[i].called = called(reader, names[i], &map->attributes[i]);
    map->data.called = called(reader, "data", &map->data);
    return true;
}
