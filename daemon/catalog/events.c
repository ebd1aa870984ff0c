/* Event types and their fields, groups of types, and attributes. */
#include <stdlib.h>
#include <string.h>

#include "catalog/load.h"

static bool load_type(struct load *load, const cJSON *type, const char *pointer, struct tagd_field *field)
{
    static const char *const names[] = {"decimal", "string", "boolean", "time", "date", NULL};
    for (int i = 0; cJSON_IsString(type) && names[i]; i++) {
        if (strcmp(names[i], type->valuestring) == 0) {
            field->type = (enum tagd_field_type)i;
            return true;
        }
    }
    return tagd_load_fail(load, pointer, false,
                          "expected one of \"decimal\", \"string\", \"boolean\", \"time\", \"date\"");
}

static bool load_field(struct load *load, const cJSON *node, const char *pointer, struct tagd_field *field)
{
    static const char *const keys[] = {"type", "required", NULL};
    const cJSON *type = node;
    if (cJSON_IsObject(node)) {
        if (!tagd_load_known_keys(load, node, pointer, keys))
            return false;
        type = cJSON_GetObjectItemCaseSensitive(node, "type");
        const cJSON *required = cJSON_GetObjectItemCaseSensitive(node, "required");
        if (!type)
            return tagd_load_fail(load, pointer, false, "key 'type' is missing");
        if (required && !tagd_load_want(load, required, tagd_load_below(load, pointer, "required"),
                                        cJSON_IsBool(required), "true or false"))
            return false;
        field->required = cJSON_IsTrue(required);
        pointer = tagd_load_below(load, pointer, "type");
    }
    return load_type(load, type, pointer, field);
}

/* An object's keys have no order: events, fields and attributes are kept in order of their names, so that the
 * meaning is the same however they are written. */
static int by_field_name(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_field *)a)->name, ((const struct tagd_field *)b)->name);
}

static int by_type_name(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_event_type *)a)->name, ((const struct tagd_event_type *)b)->name);
}

static bool load_fields(struct load *load, const cJSON *fields, const char *pointer, struct tagd_event_type *type)
{
    if (!tagd_load_want(load, fields, pointer, cJSON_IsObject(fields), "an object of fields"))
        return false;
    int n = cJSON_GetArraySize(fields);
    if (n > TAGD_FIELDS_MAX)
        return tagd_load_fail(load, pointer, false, "%d fields: a type has at most %d", n, TAGD_FIELDS_MAX);
    type->fields = tagd_arena_zalloc(&load->catalog->arena, ((size_t)n + 1) * sizeof *type->fields);
    for (const cJSON *node = fields->child; node; node = node->next) {
        const char *at = tagd_load_below(load, pointer, node->string);
        struct tagd_field *field = &type->fields[type->n_fields];
        if (!tagd_load_name_ok(node->string, 1, 1) || strcmp(node->string, "source") == 0)
            return tagd_load_fail(
                load, at, true,
                "expected a field's name of ASCII letters, digits, _ and - ('source' is one of every event)");
        field->name = tagd_str_of(tagd_load_keep(load, node->string));
        if (!load_field(load, node, at, field))
            return false;
        type->n_fields++;
    }
    qsort(type->fields, type->n_fields, sizeof *type->fields, by_field_name);
    return true;
}

static bool load_event(struct load *load, const cJSON *node, const char *pointer, struct tagd_event_type *type)
{
    static const char *const keys[] = {"fields", "dedupe", "label", NULL};
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object") ||
        !tagd_load_known_keys(load, node, pointer, keys))
        return false;
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(node, "fields");
    if (fields && !load_fields(load, fields, tagd_load_below(load, pointer, "fields"), type))
        return false;
    const cJSON *dedupe = cJSON_GetObjectItemCaseSensitive(node, "dedupe");
    if (dedupe && (!cJSON_IsString(dedupe) ||
                   !tagd_duration_parse(tagd_str_of(dedupe->valuestring), &type->dedupe_ms) || type->dedupe_ms <= 0))
        return tagd_load_fail(load, tagd_load_below(load, pointer, "dedupe"), false,
                              "expected a duration longer than nothing, such as \"7d\"");
    return tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                           tagd_load_below(load, pointer, "label"));
}

static void index_types(struct tagd_catalog *catalog)
{
    uint32_t n = 16;
    while (n < catalog->n_types * 4)
        n *= 2;
    catalog->n_type_slots = n;
    catalog->type_slots = tagd_arena_zalloc(&catalog->arena, n * sizeof *catalog->type_slots);
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        uint32_t slot = (uint32_t)tagd_hash64(catalog->types[i].name) & (n - 1);
        while (catalog->type_slots[slot])
            slot = (slot + 1) & (n - 1);
        catalog->type_slots[slot] = i + 1;
    }
}

bool tagd_load_events(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(root, "events");
    if (!events)
        return tagd_load_fail(load, "", false, "key 'events' is missing");
    if (!tagd_load_want(load, events, "/events", cJSON_IsObject(events), "an object of event types"))
        return false;
    int n = cJSON_GetArraySize(events);
    if (n > TAGD_EVENT_TYPES_MAX)
        return tagd_load_fail(load, "/events", false, "%d event types: a catalog has at most %d", n,
                              TAGD_EVENT_TYPES_MAX);
    catalog->types = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->types);
    for (const cJSON *node = events->child; node; node = node->next) {
        const char *pointer = tagd_load_below(load, "/events", node->string);
        struct tagd_event_type *type = &catalog->types[catalog->n_types];
        if (!tagd_load_name_ok(node->string, 1, 16))
            return tagd_load_fail(
                load, pointer, true,
                "expected an event type's name of ASCII letters, digits, _, - and dots, at most %d bytes",
                TAGD_NAME_BYTES_MAX);
        type->name = tagd_str_of(tagd_load_keep(load, node->string));
        if (tagd_catalog_type_reserved(type->name))
            return tagd_load_fail(load, pointer, true,
                                  "'%s' is a reserved type: it needs no declaration and may not be declared",
                                  node->string);
        if (!load_event(load, node, pointer, type))
            return false;
        catalog->n_types++;
    }
    qsort(catalog->types, catalog->n_types, sizeof *catalog->types, by_type_name);
    index_types(catalog);
    return true;
}

/* ---- groups ---- */

bool tagd_load_groups(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(root, "groups");
    if (!groups)
        return true;
    if (!tagd_load_want(load, groups, "/groups", cJSON_IsObject(groups), "an object of groups"))
        return false;
    catalog->groups =
        tagd_arena_zalloc(&catalog->arena, ((size_t)cJSON_GetArraySize(groups) + 1) * sizeof *catalog->groups);
    for (const cJSON *node = groups->child; node; node = node->next) {
        const char *pointer = tagd_load_below(load, "/groups", node->string);
        struct tagd_group *group = &catalog->groups[catalog->n_groups];
        if (!tagd_load_name_ok(node->string, 1, 16))
            return tagd_load_fail(load, pointer, true,
                                  "expected a group's name of ASCII letters, digits, _, - and dots");
        if (tagd_catalog_type_find(catalog, tagd_str_of(node->string)) >= 0)
            return tagd_load_fail(load, pointer, true, "'%s' is an event type already: expected another name",
                                  node->string);
        if (!tagd_load_want(load, node, pointer, cJSON_IsArray(node), "an array of event types"))
            return false;
        group->name = tagd_str_of(tagd_load_keep(load, node->string));
        group->by_type = tagd_arena_zalloc(&catalog->arena, (catalog->n_types + 1) * sizeof *group->by_type);
        uint32_t i = 0;
        for (const cJSON *member = node->child; member; member = member->next, i++) {
            const char *at = tagd_load_below_index(load, pointer, i);
            if (!tagd_load_want(load, member, at, cJSON_IsString(member), "an event type, perhaps with a filter"))
                return false;
            struct parse parse = tagd_load_parse_of(load, at, tagd_load_keep(load, member->valuestring));
            if (!tagd_parse_member(&parse, group->by_type))
                return false;
        }
        if (i == 0)
            return tagd_load_fail(load, pointer, false, "a group has at least one member");
        catalog->n_groups++;
    }
    return true;
}

/* ---- attributes ---- */

static int by_attribute_name(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_attribute_def *)a)->field.name,
                        ((const struct tagd_attribute_def *)b)->field.name);
}

bool tagd_load_attributes(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(root, "attributes");
    if (!attributes)
        return true;
    if (!tagd_load_want(load, attributes, "/attributes", cJSON_IsObject(attributes), "an object of attributes"))
        return false;
    int n = cJSON_GetArraySize(attributes);
    if (n > TAGD_ATTRIBUTES_MAX)
        return tagd_load_fail(load, "/attributes", false, "%d attributes: a catalog has at most %d", n,
                              TAGD_ATTRIBUTES_MAX);
    catalog->attributes = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->attributes);
    for (const cJSON *node = attributes->child; node; node = node->next) {
        const char *pointer = tagd_load_below(load, "/attributes", node->string);
        struct tagd_field *field = &catalog->attributes[catalog->n_attributes].field;
        if (!tagd_load_name_ok(node->string, 1, 1))
            return tagd_load_fail(load, pointer, true,
                                  "expected an attribute's name of ASCII letters, digits, _ and -");
        field->name = tagd_str_of(tagd_load_keep(load, node->string));
        if (!load_type(load, node, pointer, field))
            return false;
        catalog->n_attributes++;
    }
    qsort(catalog->attributes, catalog->n_attributes, sizeof *catalog->attributes, by_attribute_name);
    return true;
}
