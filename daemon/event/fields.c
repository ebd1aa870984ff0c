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
static const char *read_value(enum tagd_field_type type, const struct tagd_json *node, struct tagd_value *value)
{
    bool right_kind = type == TAGD_DECIMAL   ? node->type == TAGD_JSON_NUMBER
                      : type == TAGD_BOOLEAN ? node->type == TAGD_JSON_TRUE || node->type == TAGD_JSON_FALSE
                                             : node->type == TAGD_JSON_STRING;

    if (!right_kind)
        return tagd_json_what(node);
    value->present = true;
    switch (type) {
    case TAGD_DECIMAL: return tagd_decimal_parse(node->text, &value->i) ? NULL : "one beyond 10^11";
    case TAGD_BOOLEAN: value->i = node->type == TAGD_JSON_TRUE; return NULL;
    case TAGD_STRING:
        value->s = node->text;
        return value->s.n <= TAGD_STRING_MAX ? NULL : "one of more than 1024 bytes";
    case TAGD_TIME: return tagd_time_parse(node->text, &value->i) ? NULL : "another string";
    case TAGD_DATE: return tagd_date_parse(node->text, &value->i) ? NULL : "another string";
    }
    return "an unknown type";
}

/* By a map a whole number where a string is wanted is its decimal text. */
static const char *read_mapped(const struct tagd_map *map, enum tagd_field_type type, const struct tagd_json *node,
                               struct tagd_arena *arena, struct tagd_value *value)
{
    const char *found;

    if (!map || type != TAGD_STRING || node->type != TAGD_JSON_NUMBER)
        return read_value(type, node, value);
    found = tagd_number_text(tagd_double_parse(node->text), arena, &value->s);
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
static void find_members(const struct tagd_field *fields, size_t n, const struct tagd_json *data,
                         const struct tagd_json *members[TAGD_FIELDS_MAX])
{
    size_t guess = 0; /* producers mostly write the fields in one order */

    memset(members, 0, n * sizeof(*members));
    for (const struct tagd_json *member = data ? data->child : NULL; member; member = member->next) {
        for (size_t i = 0; i < n; i++) {
            size_t field = guess + i < n ? guess + i : guess + i - n;

            if (tagd_str_eq(fields[field].name, member->name)) {
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
    const struct tagd_json *attributes = NULL;

    event->updates = tagd_arena_zalloc(arena, tagd_catalog_n_attributes(catalog) * sizeof(*event->updates));
    event->n_undeclared = 0;
    if (envelope->no_data)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: %s", envelope->no_data);
    if (tagd_json_is(envelope->data, TAGD_JSON_OBJECT))
        attributes = tagd_json_member(envelope->data, TAGD_STR("attributes"));
    if (!tagd_json_is(attributes, TAGD_JSON_OBJECT))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data/attributes: expected an object, found %s",
                                 tagd_json_what(attributes));
    for (const struct tagd_json *member = attributes->child; member; member = member->next) {
        int32_t i = tagd_catalog_attribute_find(catalog, member->name);
        const char *found;

        if (i < 0) {
            event->n_undeclared++;
            continue;
        }
        event->updates[i] = (struct tagd_update){.given = true}; /* a name given twice counts as its last */
        if (member->type == TAGD_JSON_NULL)
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
    const struct tagd_json *members[TAGD_FIELDS_MAX], *data = envelope->data;

    if (n > TAGD_FIELDS_MAX)
        n = TAGD_FIELDS_MAX;
    event->fields = tagd_arena_zalloc(arena, n * sizeof(*event->fields));
    if (envelope->no_data)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: %s", envelope->no_data);
    if (tagd_json_is(data, TAGD_JSON_NULL))
        data = NULL;
    if (data && data->type != TAGD_JSON_OBJECT)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected an object, found %s",
                                 envelope->map ? envelope->map->data.called : "data", tagd_json_what(data));
    find_members(fields, n, data, members);
    for (size_t i = 0; i < n; i++) {
        const char *found = NULL;
        bool missing = !members[i] || members[i]->type == TAGD_JSON_NULL;

        if (!missing)
            found = read_mapped(envelope->map, fields[i].type, members[i], arena, &event->fields[i]);
        else if (fields[i].required)
            found = members[i] ? "null" : "nothing";
        if (found)
            return refuse_field("data", envelope->map ? &envelope->map->data : NULL, &fields[i], found, event);
    }
    return true;
}
