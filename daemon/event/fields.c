#include "event/event.h"
#include "tagd/catalog.h"

#include <string.h>

static const char *expected_of(enum tagd_field_type type)
{
    switch (type) {
    case TAGD_DECIMAL: return "a number";
    case TAGD_STRING: return "a string";
    case TAGD_BOOLEAN: return "a boolean";
    case TAGD_TIME: return "a time as RFC 3339 writes it";
    case TAGD_DATE: return "a date as " TAGD_DATE_FORMS;
    }
    return "a value";
}

/* NULL if the value was read, else what was found in its place. */
static const char *read_value(enum tagd_field_type type, const cJSON *node, struct tagd_value *value)
{
    bool right_kind = type == TAGD_DECIMAL   ? cJSON_IsNumber(node)
                      : type == TAGD_BOOLEAN ? cJSON_IsBool(node)
                                             : cJSON_IsString(node);
    struct tagd_str text;

    if (!right_kind)
        return tagd_json_kind(node);
    value->present = true;
    switch (type) {
    case TAGD_DECIMAL: return tagd_decimal_from_double(node->valuedouble, &value->i) ? NULL : "one beyond 10^11";
    case TAGD_BOOLEAN: value->i = cJSON_IsTrue(node); return NULL;
    case TAGD_STRING:
        value->s = tagd_str_of(node->valuestring);
        return value->s.n <= TAGD_STRING_MAX ? NULL : "one of more than 1024 bytes";
    case TAGD_TIME:
        text = tagd_str_of(node->valuestring);
        return tagd_time_parse(text, &value->i) ? NULL : "another string";
    case TAGD_DATE:
        text = tagd_str_of(node->valuestring);
        return tagd_date_parse(text, &value->i) ? NULL : "another string";
    }
    return "an unknown type";
}

/* By a map a whole number where a string is wanted is its decimal text. */
static const char *read_mapped(const struct tagd_map *map, enum tagd_field_type type, const cJSON *node,
                               struct tagd_arena *arena, struct tagd_value *value)
{
    const char *found;

    if (!map || type != TAGD_STRING || !cJSON_IsNumber(node))
        return read_value(type, node, value);
    found = tagd_number_text(node->valuedouble, arena, &value->s);
    value->present = !found;
    return found;
}

/* within: "data" or an object in it; rule: the map's of that object, or NULL. */
static bool refuse_field(const char *within, const struct tagd_map_rule *rule, const struct tagd_field *field,
                         const char *found, struct tagd_event *event)
{
    const struct tagd_map_rule *own = tagd_map_field_rule(rule, field->name);
    int n = (int)field->name.n;
    const char *name = field->name.p, *expected = expected_of(field->type);

    if (own && own->form != TAGD_RFC3339)
        expected = tagd_time_form_expected(own->form);
    if (own)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s/%s: expected %s, found %s", within, own->called,
                                 expected, found);
    if (rule && rule->kind == TAGD_MAP_AT)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s/%.*s (%s/%.*s): expected %s, found %s", within, n, name,
                                 rule->at.text.p, n, name, expected, found);
    return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s/%.*s: expected %s, found %s", within, n, name, expected,
                             found);
}

/* The member of each field; the last one if a key stands twice. */
static void find_members(const struct tagd_field *fields, size_t n, const cJSON *data,
                         const cJSON *members[TAGD_FIELDS_MAX])
{
    size_t guess = 0; /* producers mostly write the fields in one order */

    memset(members, 0, n * sizeof(*members));
    for (const cJSON *member = data ? data->child : NULL; member; member = member->next) {
        struct tagd_str name = tagd_str_of(member->string);

        for (size_t i = 0; i < n; i++) {
            size_t field = guess + i < n ? guess + i : guess + i - n;

            if (tagd_str_eq(fields[field].name, name)) {
                members[field] = member;
                guess = field + 1 < n ? field + 1 : 0;
                break;
            }
        }
    }
}

bool tagd_updates_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                       struct tagd_arena *arena, struct tagd_event *event)
{
    const struct tagd_map_rule *rule =
        tagd_map_field_rule(envelope->map ? &envelope->map->data : NULL, TAGD_STR("attributes"));
    const cJSON *attributes = NULL;

    event->updates = tagd_arena_zalloc(arena, tagd_catalog_n_attributes(catalog) * sizeof(*event->updates));
    event->n_undeclared = 0;
    if (envelope->no_data)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: %s", envelope->no_data);
    for (const cJSON *member = cJSON_IsObject(envelope->data) ? envelope->data->child : NULL; member;
         member = member->next)
        if (strcmp(member->string, "attributes") == 0)
            attributes = member; /* of two the last */
    if (!attributes || !cJSON_IsObject(attributes))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data/attributes: expected an object, found %s",
                                 attributes ? tagd_json_kind(attributes) : "nothing");
    for (const cJSON *member = attributes->child; member; member = member->next) {
        struct tagd_str name = tagd_str_of(member->string);
        int32_t i = tagd_catalog_attribute_find(catalog, name);
        const char *found;

        if (i < 0) {
            event->n_undeclared++;
            continue;
        }
        event->updates[i] = (struct tagd_update){.given = true}; /* a name given twice counts as its last */
        if (cJSON_IsNull(member))
            continue;
        found = read_mapped(envelope->map, tagd_catalog_attribute(catalog, (size_t)i)->type, member, arena,
                            &event->updates[i].value);
        if (found)
            return refuse_field("data/attributes", rule, tagd_catalog_attribute(catalog, (size_t)i), found, event);
    }
    return true;
}

bool tagd_fields_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                      struct tagd_arena *arena, struct tagd_event *event)
{
    size_t n = tagd_catalog_n_fields(catalog, event->type);
    const struct tagd_field *fields = n ? tagd_catalog_fields(catalog, event->type) : NULL;
    const cJSON *members[TAGD_FIELDS_MAX], *data = envelope->data;

    if (n > TAGD_FIELDS_MAX)
        n = TAGD_FIELDS_MAX;
    event->fields = tagd_arena_zalloc(arena, n * sizeof(*event->fields));
    if (envelope->no_data)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: %s", envelope->no_data);
    if (data && cJSON_IsNull(data))
        data = NULL;
    if (data && !cJSON_IsObject(data))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected an object, found %s",
                                 envelope->map ? envelope->map->data.called : "data", tagd_json_kind(data));
    find_members(fields, n, data, members);
    for (size_t i = 0; i < n; i++) {
        const char *found = NULL;
        bool missing = !members[i] || cJSON_IsNull(members[i]);

        if (!missing)
            found = read_mapped(envelope->map, fields[i].type, members[i], arena, &event->fields[i]);
        else if (fields[i].required)
            found = members[i] ? "null" : "nothing";
        if (found)
            return refuse_field("data", envelope->map ? &envelope->map->data : NULL, &fields[i], found, event);
    }
    return true;
}
