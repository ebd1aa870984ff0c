/* The catalog's JSON -> struct tagd_catalog: names, events, groups, metrics, dimensions; then what refers to what. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/text.h"
#include "catalog/parse.h"

#define TEXT_BYTES_MAX 16384 /* of an expression */

struct load {
    struct tagd_catalog *catalog;
    struct tagd_jsonc *jsonc;
    struct tagd_error *error;
};

__attribute__((format(printf, 4, 5))) static bool fail_at(struct load *load, const char *pointer, bool key,
                                                          const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return tagd_jsonc_fail(load->jsonc, load->error, NULL, pointer, TAGD_JSONC_WHOLE, key, "%s", text);
}

/* pointer + "/" + escaped token, in the catalog's arena. */
static const char *below(struct load *load, const char *pointer, const char *token)
{
    struct tagd_buf buf = {0};
    tagd_buf_add_z(&buf, pointer);
    tagd_buf_add_byte(&buf, '/');
    for (const char *p = token; *p; p++) {
        if (*p == '~' || *p == '/')
            tagd_buf_add_z(&buf, *p == '~' ? "~0" : "~1");
        else
            tagd_buf_add_byte(&buf, (unsigned char)*p);
    }
    const char *out = tagd_arena_copy(&load->catalog->arena, buf.p, buf.n).p;
    tagd_buf_free(&buf);
    return out;
}

static const char *below_index(struct load *load, const char *pointer, uint32_t i)
{
    char token[16];
    snprintf(token, sizeof token, "%u", i);
    return below(load, pointer, token);
}

static const char *kind_name(const cJSON *node)
{
    return cJSON_IsObject(node)   ? "an object"
           : cJSON_IsArray(node)  ? (node->child ? "an array" : "an empty array")
           : cJSON_IsString(node) ? (node->valuestring[0] ? "a string" : "an empty string")
           : cJSON_IsNumber(node) ? "a number"
           : cJSON_IsBool(node)   ? "a boolean"
                                  : "null";
}

static bool known_keys(struct load *load, const cJSON *object, const char *pointer, const char *const *keys)
{
    for (const cJSON *child = object->child; child; child = child->next) {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], child->string) != 0)
            i++;
        if (keys[i])
            continue;
        struct tagd_buf buf = {0};
        for (i = 0; keys[i]; i++)
            tagd_buf_printf(&buf, "%s%s", i ? ", " : "", keys[i]);
        tagd_buf_add_byte(&buf, 0);
        fail_at(load, below(load, pointer, child->string), true, "unknown key '%s': expected one of %s", child->string,
                buf.p);
        tagd_buf_free(&buf);
        return false;
    }
    return true;
}

static bool want(struct load *load, const cJSON *node, const char *pointer, bool ok, const char *expected)
{
    return ok ? true : fail_at(load, pointer, false, "expected %s, found %s", expected, kind_name(node));
}

/* ASCII letters, digits, _ and -, beginning with a letter; with dots between levels if levels > 1 allows them. */
static bool name_ok(const char *name, int min_levels, int max_levels)
{
    int levels = 1;
    size_t n = strlen(name);
    bool start = true;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool rest = (c >= '0' && c <= '9') || c == '-';
        if (c == '.') {
            if (start)
                return false;
            levels++;
            start = true;
        } else if (letter || (rest && (!start || levels > 1))) {
            start = false;
        } else {
            return false;
        }
    }
    return n > 0 && n <= TAGD_NAME_BYTES_MAX && !start && levels >= min_levels && levels <= max_levels;
}

static bool dimension_name_ok(const char *name)
{
    return name_ok(name, 2, 2) && strncmp(name, "attr.", 5) != 0;
}

/* ASCII letters, digits, _ and -. */
static bool tag_letters_ok(const char *name)
{
    for (const char *p = name; *p; p++) {
        bool ok =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-';
        if (!ok)
            return false;
    }
    return true;
}

static const char *keep(struct load *load, const char *text)
{
    return tagd_arena_copy(&load->catalog->arena, text, strlen(text)).p;
}

/* As JSON text in the catalog's arena; NULL: there is nothing. */
static const char *keep_json(struct load *load, const cJSON *node)
{
    if (!node || cJSON_IsNull(node))
        return NULL;
    char *text = cJSON_PrintUnformatted(node);
    const char *kept = keep(load, text);
    cJSON_free(text);
    return kept;
}

/* ---- head ---- */

static bool load_label(struct load *load, const cJSON *label, const char *pointer)
{
    if (!label || cJSON_IsString(label))
        return true;
    if (!want(load, label, pointer, cJSON_IsObject(label), "a text, or texts by language"))
        return false;
    for (const cJSON *node = label->child; node; node = node->next) {
        if (!want(load, node, below(load, pointer, node->string), cJSON_IsString(node), "a text"))
            return false;
    }
    return true;
}

static bool load_text(struct load *load, const cJSON *root, const char *key, const char **out)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!node)
        return fail_at(load, "", false, "key '%s' is missing", key);
    const char *pointer = below(load, "", key);
    if (!want(load, node, pointer, cJSON_IsString(node) && node->valuestring[0], "a text"))
        return false;
    *out = keep(load, node->valuestring);
    return true;
}

static bool load_zone(struct load *load, const cJSON *root)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, "timezone");
    if (!node)
        return true;
    const char *text = cJSON_IsString(node) ? node->valuestring : "";
    return tagd_zone_parse(tagd_str_of(text), &load->catalog->zone_ms) ||
           fail_at(load, "/timezone", false, "expected a fixed offset such as \"+08:00\", at most 14 hours");
}

/* ---- events ---- */

static bool load_type(struct load *load, const cJSON *type, const char *pointer, struct tagd_field *field)
{
    static const char *const names[] = {"decimal", "string", "boolean", "time", "date", NULL};
    for (int i = 0; cJSON_IsString(type) && names[i]; i++) {
        if (strcmp(names[i], type->valuestring) == 0) {
            field->type = (enum tagd_field_type)i;
            return true;
        }
    }
    return fail_at(load, pointer, false, "expected one of \"decimal\", \"string\", \"boolean\", \"time\", \"date\"");
}

static bool load_field(struct load *load, const cJSON *node, const char *pointer, struct tagd_field *field)
{
    static const char *const keys[] = {"type", "required", NULL};
    const cJSON *type = node;
    if (cJSON_IsObject(node)) {
        if (!known_keys(load, node, pointer, keys))
            return false;
        type = cJSON_GetObjectItemCaseSensitive(node, "type");
        const cJSON *required = cJSON_GetObjectItemCaseSensitive(node, "required");
        if (!type)
            return fail_at(load, pointer, false, "key 'type' is missing");
        if (required &&
            !want(load, required, below(load, pointer, "required"), cJSON_IsBool(required), "true or false"))
            return false;
        field->required = cJSON_IsTrue(required);
        pointer = below(load, pointer, "type");
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

static int by_attribute_name(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_attribute_def *)a)->field.name,
                        ((const struct tagd_attribute_def *)b)->field.name);
}

static bool load_fields(struct load *load, const cJSON *fields, const char *pointer, struct tagd_event_type *type)
{
    if (!want(load, fields, pointer, cJSON_IsObject(fields), "an object of fields"))
        return false;
    int n = cJSON_GetArraySize(fields);
    if (n > TAGD_FIELDS_MAX)
        return fail_at(load, pointer, false, "%d fields: a type has at most %d", n, TAGD_FIELDS_MAX);
    type->fields = tagd_arena_zalloc(&load->catalog->arena, ((size_t)n + 1) * sizeof *type->fields);
    for (const cJSON *node = fields->child; node; node = node->next) {
        const char *at = below(load, pointer, node->string);
        struct tagd_field *field = &type->fields[type->n_fields];
        if (!name_ok(node->string, 1, 1) || strcmp(node->string, "source") == 0)
            return fail_at(
                load, at, true,
                "expected a field's name of ASCII letters, digits, _ and - ('source' is one of every event)");
        field->name = tagd_str_of(keep(load, node->string));
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
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object") || !known_keys(load, node, pointer, keys))
        return false;
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(node, "fields");
    if (fields && !load_fields(load, fields, below(load, pointer, "fields"), type))
        return false;
    const cJSON *dedupe = cJSON_GetObjectItemCaseSensitive(node, "dedupe");
    if (dedupe && (!cJSON_IsString(dedupe) ||
                   !tagd_duration_parse(tagd_str_of(dedupe->valuestring), &type->dedupe_ms) || type->dedupe_ms <= 0))
        return fail_at(load, below(load, pointer, "dedupe"), false,
                       "expected a duration longer than nothing, such as \"7d\"");
    return load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label"));
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

static bool load_events(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(root, "events");
    if (!events)
        return fail_at(load, "", false, "key 'events' is missing");
    if (!want(load, events, "/events", cJSON_IsObject(events), "an object of event types"))
        return false;
    int n = cJSON_GetArraySize(events);
    if (n > TAGD_EVENT_TYPES_MAX)
        return fail_at(load, "/events", false, "%d event types: a catalog has at most %d", n, TAGD_EVENT_TYPES_MAX);
    catalog->types = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->types);
    for (const cJSON *node = events->child; node; node = node->next) {
        const char *pointer = below(load, "/events", node->string);
        struct tagd_event_type *type = &catalog->types[catalog->n_types];
        if (!name_ok(node->string, 1, 16))
            return fail_at(load, pointer, true,
                           "expected an event type's name of ASCII letters, digits, _, - and dots, at most %d bytes",
                           TAGD_NAME_BYTES_MAX);
        type->name = tagd_str_of(keep(load, node->string));
        if (tagd_catalog_type_reserved(type->name))
            return fail_at(load, pointer, true,
                           "'%s' is a reserved type: it needs no declaration and may not be declared", node->string);
        if (!load_event(load, node, pointer, type))
            return false;
        catalog->n_types++;
    }
    qsort(catalog->types, catalog->n_types, sizeof *catalog->types, by_type_name);
    index_types(catalog);
    return true;
}

static bool load_attributes(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(root, "attributes");
    if (!attributes)
        return true;
    if (!want(load, attributes, "/attributes", cJSON_IsObject(attributes), "an object of attributes"))
        return false;
    int n = cJSON_GetArraySize(attributes);
    if (n > TAGD_ATTRIBUTES_MAX)
        return fail_at(load, "/attributes", false, "%d attributes: a catalog has at most %d", n, TAGD_ATTRIBUTES_MAX);
    catalog->attributes = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->attributes);
    for (const cJSON *node = attributes->child; node; node = node->next) {
        const char *pointer = below(load, "/attributes", node->string);
        struct tagd_field *field = &catalog->attributes[catalog->n_attributes].field;
        if (!name_ok(node->string, 1, 1))
            return fail_at(load, pointer, true, "expected an attribute's name of ASCII letters, digits, _ and -");
        field->name = tagd_str_of(keep(load, node->string));
        if (!load_type(load, node, pointer, field))
            return false;
        catalog->n_attributes++;
    }
    qsort(catalog->attributes, catalog->n_attributes, sizeof *catalog->attributes, by_attribute_name);
    return true;
}

/* ---- value tables ---- */

/* The string of a member; there may be very many, so a pointer is made for a message only. */
static bool table_text(struct load *load, const cJSON *node, const char *pointer, struct tagd_str *out)
{
    size_t n = cJSON_IsString(node) ? strlen(node->valuestring) : 0;
    if (cJSON_IsString(node) && n <= TAGD_STRING_MAX) {
        *out = tagd_arena_copy(&load->catalog->arena, node->valuestring, n);
        return true;
    }
    const char *at = below(load, pointer, node->string);
    return want(load, node, at, cJSON_IsString(node), "a string") &&
           fail_at(load, at, false, "expected a string of at most %d bytes, found %zu", TAGD_STRING_MAX, n);
}

static bool load_row(struct load *load, const cJSON *node, const char *pointer, struct tagd_table_row *row)
{
    size_t n = strlen(node->string);
    if (n > TAGD_STRING_MAX)
        return fail_at(load, pointer, false, "a key has at most %d bytes: that which begins with '%.*s' has %zu",
                       TAGD_STRING_MAX, (int)tagd_utf8_cut(node->string, 40), node->string, n);
    row->key = tagd_arena_copy(&load->catalog->arena, node->string, n);
    return table_text(load, node, pointer, &row->value);
}

static int by_row_key(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_table_row *)a)->key, ((const struct tagd_table_row *)b)->key);
}

static bool load_rows(struct load *load, const cJSON *values, const char *pointer, struct tagd_table *table)
{
    if (!want(load, values, pointer, cJSON_IsObject(values), "an object of values by key"))
        return false;
    int n = cJSON_GetArraySize(values);
    if (n == 0)
        return fail_at(load, pointer, false, "a table has at least one value");
    if (n > TAGD_TABLE_VALUES_MAX)
        return fail_at(load, pointer, false, "%d values: a table has at most %d", n, TAGD_TABLE_VALUES_MAX);
    table->rows = tagd_arena_zalloc(&load->catalog->arena, (size_t)n * sizeof *table->rows);
    for (const cJSON *node = values->child; node; node = node->next) {
        if (!load_row(load, node, pointer, &table->rows[table->n_rows++]))
            return false;
    }
    qsort(table->rows, table->n_rows, sizeof *table->rows, by_row_key);
    return true;
}

static bool load_table(struct load *load, const cJSON *node, const char *pointer, struct tagd_table *table)
{
    static const char *const keys[] = {"values", "else", "keep", NULL};
    if (!name_ok(node->string, 1, 1))
        return fail_at(load, pointer, true, "expected a table's name of ASCII letters, digits, _ and -");
    table->name = tagd_str_of(keep(load, node->string));
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object with 'values'") ||
        !known_keys(load, node, pointer, keys))
        return false;
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(node, "values"),
                *other = cJSON_GetObjectItemCaseSensitive(node, "else"),
                *kept = cJSON_GetObjectItemCaseSensitive(node, "keep");
    if (!values)
        return fail_at(load, pointer, false, "key 'values' is missing");
    if (!load_rows(load, values, below(load, pointer, "values"), table))
        return false;
    if (other && kept)
        return fail_at(load, below(load, pointer, "keep"), true,
                       "a table has 'else' or 'keep' for what isn't in it: expected one of them");
    if (other && !table_text(load, other, pointer, &table->other))
        return false;
    if (kept && !want(load, kept, below(load, pointer, "keep"), cJSON_IsBool(kept), "true or false"))
        return false;
    table->keep = cJSON_IsTrue(kept);
    return true;
}

static int by_table_name(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_table *)a)->name, ((const struct tagd_table *)b)->name);
}

static bool load_tables(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *tables = cJSON_GetObjectItemCaseSensitive(root, "tables");
    if (!tables)
        return true;
    if (!want(load, tables, "/tables", cJSON_IsObject(tables), "an object of value tables"))
        return false;
    int n = cJSON_GetArraySize(tables);
    if (n > TAGD_TABLES_MAX)
        return fail_at(load, "/tables", false, "%d tables: a catalog has at most %d", n, TAGD_TABLES_MAX);
    catalog->tables = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->tables);
    for (const cJSON *node = tables->child; node; node = node->next) {
        if (!load_table(load, node, below(load, "/tables", node->string), &catalog->tables[catalog->n_tables]))
            return false;
        catalog->n_tables++;
    }
    qsort(catalog->tables, catalog->n_tables, sizeof *catalog->tables, by_table_name);
    return true;
}

static struct parse parse_of(struct load *load, const char *pointer, const char *text)
{
    return (struct parse){.catalog = load->catalog,
                          .jsonc = load->jsonc,
                          .error = load->error,
                          .pointer = pointer,
                          .text = text,
                          .n = strlen(text)};
}

static bool load_groups(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(root, "groups");
    if (!groups)
        return true;
    if (!want(load, groups, "/groups", cJSON_IsObject(groups), "an object of groups"))
        return false;
    catalog->groups =
        tagd_arena_zalloc(&catalog->arena, ((size_t)cJSON_GetArraySize(groups) + 1) * sizeof *catalog->groups);
    for (const cJSON *node = groups->child; node; node = node->next) {
        const char *pointer = below(load, "/groups", node->string);
        struct tagd_group *group = &catalog->groups[catalog->n_groups];
        if (!name_ok(node->string, 1, 16))
            return fail_at(load, pointer, true, "expected a group's name of ASCII letters, digits, _, - and dots");
        if (tagd_catalog_type_find(catalog, tagd_str_of(node->string)) >= 0)
            return fail_at(load, pointer, true, "'%s' is an event type already: expected another name", node->string);
        if (!want(load, node, pointer, cJSON_IsArray(node), "an array of event types"))
            return false;
        group->name = tagd_str_of(keep(load, node->string));
        group->by_type = tagd_arena_zalloc(&catalog->arena, (catalog->n_types + 1) * sizeof *group->by_type);
        uint32_t i = 0;
        for (const cJSON *member = node->child; member; member = member->next, i++) {
            const char *at = below_index(load, pointer, i);
            if (!want(load, member, at, cJSON_IsString(member), "an event type, perhaps with a filter"))
                return false;
            struct parse parse = parse_of(load, at, keep(load, member->valuestring));
            if (!tagd_parse_member(&parse, group->by_type))
                return false;
        }
        if (i == 0)
            return fail_at(load, pointer, false, "a group has at least one member");
        catalog->n_groups++;
    }
    return true;
}

/* ---- metrics and dimensions: names first, since rules refer to them ---- */

static bool expression_text(struct load *load, const cJSON *node, const char *pointer, const char **text)
{
    if (!want(load, node, pointer, cJSON_IsString(node), "an expression in a string"))
        return false;
    if (strlen(node->valuestring) > TEXT_BYTES_MAX)
        return fail_at(load, pointer, false, "an expression has at most %d bytes", TEXT_BYTES_MAX);
    *text = keep(load, node->valuestring);
    return true;
}

static bool name_metrics(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(root, "metrics");
    if (!metrics)
        return true;
    if (!want(load, metrics, "/metrics", cJSON_IsObject(metrics), "an object of metrics"))
        return false;
    static const char *const words[] = {"and", "or", "not", "in", "is", "null", "true", "false", "offset", NULL};
    catalog->metrics =
        tagd_arena_zalloc(&catalog->arena, ((size_t)cJSON_GetArraySize(metrics) + 1) * sizeof *catalog->metrics);
    for (const cJSON *node = metrics->child; node; node = node->next) {
        const char *pointer = below(load, "/metrics", node->string);
        if (!name_ok(node->string, 1, 1))
            return fail_at(load, pointer, true, "expected a metric's name of ASCII letters, digits, _ and -");
        for (int i = 0; words[i]; i++) {
            if (strcmp(words[i], node->string) == 0)
                return fail_at(load, pointer, true, "'%s' is a word of the language: expected another name",
                               node->string);
        }
        struct tagd_metric *metric = &catalog->metrics[catalog->n_metrics++];
        metric->name = keep(load, node->string);
        if (!expression_text(load, node, pointer, &metric->text))
            return false;
    }
    return true;
}

/* A span of time under `key` of node; *ms stays if there is none. */
static bool load_span(struct load *load, const cJSON *node, const char *pointer, const char *key, int64_t *ms)
{
    const cJSON *span = cJSON_GetObjectItemCaseSensitive(node, key);
    if (!span)
        return true;
    if (cJSON_IsString(span) && tagd_duration_parse(tagd_str_of(span->valuestring), ms))
        return true;
    return fail_at(load, below(load, pointer, key), false, "expected a duration such as \"1h\"");
}

static void load_plan(struct load *load, const cJSON *node, struct tagd_rule *rule)
{
    rule->plan = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "plan"));
}

/* No rule gives a tag of a manual dimension, so that nothing of rules belongs to it. */
static bool refuse_rule(struct load *load, const cJSON *node, const char *pointer, const char *const *keys)
{
    for (int i = 0; keys[i]; i++) {
        if (cJSON_GetObjectItemCaseSensitive(node, keys[i]))
            return fail_at(
                load, below(load, pointer, keys[i]), true,
                "only tag.assigned gives the tags of a dimension with \"assign\": \"manual\": expected no '%s'",
                keys[i]);
    }
    return true;
}

static bool name_rule(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"tag", "when", "label", "plan", "for", "min_dwell", NULL};
    static const char *const of_rules[] = {"when", "for", "min_dwell", NULL};
    bool manual = dimension->assign == TAGD_ASSIGN_MANUAL;
    if (!want(load, node, pointer, cJSON_IsObject(node),
              manual ? "an object with 'tag'" : "an object with 'tag' and 'when'") ||
        !known_keys(load, node, pointer, keys) || (manual && !refuse_rule(load, node, pointer, of_rules)))
        return false;
    const cJSON *tag = cJSON_GetObjectItemCaseSensitive(node, "tag"),
                *when = cJSON_GetObjectItemCaseSensitive(node, "when");
    if (!tag || (!when && !manual))
        return fail_at(load, pointer, false, "key '%s' is missing", tag ? "when" : "tag");
    const char *tag_at = below(load, pointer, "tag");
    if (!cJSON_IsString(tag) || !tag->valuestring[0] || strlen(tag->valuestring) > TAGD_NAME_BYTES_MAX)
        return fail_at(load, tag_at, false, "expected a tag's name of 1 to %d bytes", TAGD_NAME_BYTES_MAX);
    if (!tag_letters_ok(tag->valuestring))
        return fail_at(load, tag_at, false,
                       "a tag's name has ASCII letters, digits, _ and - (labels carry other scripts)");
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        if (strcmp(dimension->rules[i].tag, tag->valuestring) == 0)
            return fail_at(load, tag_at, false, "tag '%s' stands in this dimension already: join the rules with 'or'",
                           tag->valuestring);
    }
    if (!load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label")))
        return false;
    struct tagd_rule *rule = &dimension->rules[dimension->n_rules++];
    rule->tag = keep(load, tag->valuestring);
    rule->label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    rule->for_ms = dimension->for_ms;
    rule->dwell_ms = dimension->dwell_ms;
    load_plan(load, node, rule);
    if (manual)
        return true;
    return load_span(load, node, pointer, "for", &rule->for_ms) &&
           load_span(load, node, pointer, "min_dwell", &rule->dwell_ms) &&
           expression_text(load, when, below(load, pointer, "when"), &rule->text);
}

/* A dimension whose tag is the value of an expression: one rule without a tag of its own. */
static bool name_value(struct load *load, const cJSON *value, const char *pointer, struct tagd_dimension *dimension)
{
    dimension->is_value = true;
    dimension->rules = tagd_arena_zalloc(&load->catalog->arena, sizeof *dimension->rules);
    dimension->n_rules = 1;
    dimension->rules->for_ms = dimension->for_ms;
    dimension->rules->dwell_ms = dimension->dwell_ms;
    return expression_text(load, value, below(load, pointer, "value"), &dimension->rules->text);
}

static bool load_assign(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const names[] = {
        [TAGD_ASSIGN_AUTO] = "auto", [TAGD_ASSIGN_MANUAL] = "manual", [TAGD_ASSIGN_REVIEW] = "review"};
    static const char *const of_rules[] = {"value", "for", "min_dwell", NULL};
    const cJSON *assign = cJSON_GetObjectItemCaseSensitive(node, "assign"),
                *expires = cJSON_GetObjectItemCaseSensitive(node, "expires");
    for (int i = 0; assign && i < 3; i++) {
        if (!cJSON_IsString(assign) || strcmp(assign->valuestring, names[i]) != 0)
            continue;
        dimension->assign = (enum tagd_assign)i;
        assign = NULL;
    }
    if (assign)
        return fail_at(load, below(load, pointer, "assign"), false, "expected \"auto\", \"manual\" or \"review\"");
    if (dimension->assign == TAGD_ASSIGN_MANUAL && !refuse_rule(load, node, pointer, of_rules))
        return false;
    if (dimension->assign == TAGD_ASSIGN_REVIEW && cJSON_GetObjectItemCaseSensitive(node, "value"))
        return fail_at(load, below(load, pointer, "value"), true,
                       "a dimension with \"assign\": \"review\" has 'tags': a value is not proposed");
    if (expires && dimension->assign != TAGD_ASSIGN_REVIEW)
        return fail_at(load, below(load, pointer, "expires"), true,
                       "proposals expire: expected 'expires' only beside \"assign\": \"review\"");
    if (expires && (!load_span(load, node, pointer, "expires", &dimension->expires_ms) || dimension->expires_ms == 0))
        return fail_at(load, below(load, pointer, "expires"), false, "expected a duration longer than nothing");
    return load_span(load, node, pointer, "for", &dimension->for_ms) &&
           load_span(load, node, pointer, "min_dwell", &dimension->dwell_ms);
}

static void see_holds(struct tagd_dimension *dimension)
{
    dimension->holds_back = dimension->for_ms > 0;
    for (uint32_t i = 0; i < dimension->n_rules; i++)
        dimension->holds_back |= dimension->rules[i].for_ms > 0 || dimension->rules[i].dwell_ms > 0;
}

static bool name_dimension(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"tags", "value", "label", "assign", "for", "min_dwell", "expires", NULL};
    struct tagd_catalog *catalog = load->catalog;
    if (!dimension_name_ok(node->string))
        return fail_at(load, pointer, true, "expected a dimension's name of two levels, such as value.level");
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object"))
        return false;
    if (!known_keys(load, node, pointer, keys))
        return false;
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(node, "tags"),
                *value = cJSON_GetObjectItemCaseSensitive(node, "value");
    if (!tags && !value)
        return fail_at(load, pointer, false, "key 'tags' or 'value' is missing");
    if (tags && value)
        return fail_at(load, below(load, pointer, "value"), true,
                       "a dimension has 'tags' or a 'value': expected one of them");
    if (!load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label")))
        return false;
    dimension->name = keep(load, node->string);
    dimension->label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    if (!load_assign(load, node, pointer, dimension))
        return false;
    if (value)
        return name_value(load, value, pointer, dimension);
    const char *tags_at = below(load, pointer, "tags");
    if (!want(load, tags, tags_at, cJSON_IsArray(tags) && tags->child, "an array of at least one tag"))
        return false;
    int n = cJSON_GetArraySize(tags);
    if (n > TAGD_TAGS_MAX)
        return fail_at(load, tags_at, false, "%d tags: a dimension has at most %d", n, TAGD_TAGS_MAX);
    dimension->rules = tagd_arena_zalloc(&catalog->arena, (size_t)n * sizeof *dimension->rules);
    uint32_t i = 0;
    for (const cJSON *tag = tags->child; tag; tag = tag->next) {
        if (!name_rule(load, tag, below_index(load, tags_at, i++), dimension))
            return false;
    }
    return true;
}

/* ---- churn ---- */

static bool load_parameters(struct load *load, const cJSON *node, struct tagd_churn_model *model)
{
    static const char *const names[] = {"r", "alpha", "a", "b"};
    double *const values[] = {&model->r, &model->alpha, &model->a, &model->b};
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(node, "model");
    struct tagd_error error;
    if (!cJSON_IsString(kind) || !tagd_model_kind_parse(tagd_str_of(kind->valuestring), &model->kind))
        return fail_at(load, kind ? "/churn/model" : "/churn", false, "expected \"model\": \"bg-nbd\" or \"mbg-nbd\"");
    for (int i = 0; i < 4; i++) {
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(node, names[i]);
        if (!cJSON_IsNumber(number))
            return fail_at(load, number ? below(load, "/churn", names[i]) : "/churn", false,
                           "expected a number as '%s': `tagd fit` finds it", names[i]);
        *values[i] = number->valuedouble;
    }
    return tagd_model_check(model, &error) || fail_at(load, "/churn", false, "%s", error.text);
}

/* The events under `key`, or `otherwise` if there is none: their text, which rules are made with, and selector. */
static bool load_churn_events(struct load *load, const cJSON *node, const char *key, const char **text,
                              uint32_t *selector)
{
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(node, key);
    const char *pointer = below(load, "/churn", key);
    if (events && !expression_text(load, events, pointer, text))
        return false;
    struct parse parse = parse_of(load, pointer, *text);
    int32_t found = tagd_parse_selector(&parse);
    *selector = (uint32_t)found;
    return found >= 0;
}

/* What the model knows of a customer: purchase days, the first purchase and the last. */
static void keep_purchases(struct tagd_catalog *catalog)
{
    struct tagd_churn *churn = &catalog->churn;
    struct tagd_str no_field = {"", 0};
    uint32_t store = tagd_state_store(catalog, churn->selector, TAGD_MS_DAY, true);
    churn->days = tagd_state_window(catalog, false, store, 0, 0);
    churn->days_column = tagd_state_column(catalog, store, TAGD_COL_DAYS, no_field);
    churn->first = tagd_state_mark(catalog, churn->selector, TAGD_MARK_FIRST, no_field, TAGD_DECIMAL);
    churn->latest = tagd_state_mark(catalog, churn->selector, TAGD_MARK_LATEST, no_field, TAGD_DECIMAL);
}

/* Drivers are parsed with the rules. By default: how long the silence is, beside the mean time between purchase days. */
static bool name_drivers(struct load *load, const cJSON *node, const char *events)
{
    static const char *const keys[] = {"name", "value", "usual", "label", NULL};
    struct tagd_catalog *catalog = load->catalog;
    struct tagd_churn *churn = &catalog->churn;
    const cJSON *drivers = cJSON_GetObjectItemCaseSensitive(node, "drivers");
    if (drivers && !want(load, drivers, "/churn/drivers", cJSON_IsArray(drivers), "an array of drivers"))
        return false;
    int n = drivers ? cJSON_GetArraySize(drivers) : 1;
    if (n > TAGD_DRIVERS_MAX)
        return fail_at(load, "/churn/drivers", false, "%d drivers: a catalog has at most %d", n, TAGD_DRIVERS_MAX);
    churn->drivers = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *churn->drivers);
    if (!drivers) {
        churn->n_drivers = 1;
        churn->drivers[0] = (struct tagd_driver){
            .name = "silence",
            .value_text = tagd_arena_printf(&catalog->arena, "since(%s)", events),
            .usual_text = tagd_arena_printf(&catalog->arena, "(since_first(%s) - since(%s)) / (days(%s) - 1)", events,
                                            events, events)};
        return true;
    }
    for (const cJSON *driver = drivers->child; driver; driver = driver->next) {
        const char *pointer = below_index(load, "/churn/drivers", churn->n_drivers);
        struct tagd_driver *into = &churn->drivers[churn->n_drivers++];
        if (!want(load, driver, pointer, cJSON_IsObject(driver), "an object with 'name' and 'value'") ||
            !known_keys(load, driver, pointer, keys))
            return false;
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(driver, "name"),
                    *value = cJSON_GetObjectItemCaseSensitive(driver, "value"),
                    *usual = cJSON_GetObjectItemCaseSensitive(driver, "usual");
        if (!cJSON_IsString(name) || !name->valuestring[0] || strlen(name->valuestring) > TAGD_NAME_BYTES_MAX || !value)
            return fail_at(load, pointer, false, "expected 'name', a text, and 'value', an expression");
        into->name = keep(load, name->valuestring);
        if (!expression_text(load, value, below(load, pointer, "value"), &into->value_text) ||
            (usual && !expression_text(load, usual, below(load, pointer, "usual"), &into->usual_text)) ||
            !load_label(load, cJSON_GetObjectItemCaseSensitive(driver, "label"), below(load, pointer, "label")))
            return false;
    }
    return true;
}

static const struct level {
    const char *tag;
    const char *below, *silence; /* without "levels" */
} levels[] = {{"churned", "0.2", "90d"}, {"at-risk", "0.5", "60d"}, {"watch", "0.7", "30d"}};
#define LEVELS (sizeof levels / sizeof *levels)

/* The rule of a level, in the language: the model's word, and where it has none, silence. */
static const char *level_rule(struct load *load, const char *events, const char *below_text, const char *silence)
{
    struct tagd_buf text = {0};
    tagd_buf_printf(&text, "p_alive() < %s", below_text);
    if (silence)
        tagd_buf_printf(&text, " or p_alive() is null and since(%s) >= %s", events, silence);
    const char *kept = tagd_arena_copy(&load->catalog->arena, text.p, text.n).p;
    tagd_buf_free(&text);
    return kept;
}

static bool load_level(struct load *load, const cJSON *node, const char *events, double *least, struct tagd_rule *rule)
{
    static const char *const keys[] = {"below", "silence", "label", "plan", NULL};
    const char *pointer = below(load, "/churn/levels", node->string);
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(node, "below"),
                *silence = cJSON_GetObjectItemCaseSensitive(node, "silence");
    int64_t ms;
    char text[32];
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object with 'below'") ||
        !known_keys(load, node, pointer, keys) ||
        !load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label")))
        return false;
    if (!cJSON_IsNumber(limit) || limit->valuedouble <= *least || limit->valuedouble >= 1)
        return fail_at(
            load, limit ? below(load, pointer, "below") : pointer, false,
            "expected 'below', a probability between 0 and 1: churned's is the least, then at-risk's, then watch's");
    if (silence && (!cJSON_IsString(silence) || !tagd_duration_parse(tagd_str_of(silence->valuestring), &ms)))
        return fail_at(load, below(load, pointer, "silence"), false, "expected a duration such as \"90d\"");
    *least = limit->valuedouble;
    snprintf(text, sizeof text, "%.15g", limit->valuedouble);
    rule->text = level_rule(load, events, text, silence ? silence->valuestring : NULL);
    rule->label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    load_plan(load, node, rule);
    return true;
}

/* What is left: whoever bought at all. */
static bool load_stable(struct load *load, const cJSON *node, const char *events, struct tagd_rule *rule)
{
    static const char *const keys[] = {"label", "plan", NULL};
    const char *pointer = "/churn/levels/stable";
    rule->tag = "stable";
    rule->text = tagd_arena_printf(&load->catalog->arena, "since(%s) is not null", events);
    if (!node)
        return true;
    rule->label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    load_plan(load, node, rule);
    return want(load, node, pointer, cJSON_IsObject(node), "an object") && known_keys(load, node, pointer, keys) &&
           load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label"));
}

static bool load_levels(struct load *load, const cJSON *given, const char *events, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"churned", "at-risk", "watch", "stable", NULL};
    double least = 0;
    if (given && (!want(load, given, "/churn/levels", cJSON_IsObject(given), "an object of levels") ||
                  !known_keys(load, given, "/churn/levels", keys)))
        return false;
    for (size_t i = 0; i < LEVELS; i++) {
        const cJSON *node = given ? cJSON_GetObjectItemCaseSensitive(given, levels[i].tag) : NULL;
        struct tagd_rule *rule = &dimension->rules[dimension->n_rules];
        if (given && !node)
            continue;
        rule->tag = levels[i].tag;
        rule->text = level_rule(load, events, levels[i].below, levels[i].silence);
        if (node && !load_level(load, node, events, &least, rule))
            return false;
        dimension->n_rules++;
    }
    return load_stable(load, given ? cJSON_GetObjectItemCaseSensitive(given, "stable") : NULL, events,
                       &dimension->rules[dimension->n_rules++]);
}

/* The dimension that the section makes, unless the catalog's own rules do. */
static bool name_levels(struct load *load, const cJSON *node, const char *events)
{
    struct tagd_catalog *catalog = load->catalog;
    struct tagd_dimension *dimension = &catalog->dimensions[catalog->n_dimensions];
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(node, "levels");
    bool own = tagd_catalog_dimension_find(catalog, TAGD_STR(TAGD_CHURN_DIMENSION)) >= 0;
    if (own && given)
        return fail_at(load, "/churn/levels", true,
                       "\"dimensions\" has " TAGD_CHURN_DIMENSION " already: expected levels here or rules there");
    if (own)
        return true;
    *dimension = (struct tagd_dimension){.name = TAGD_CHURN_DIMENSION,
                                         .kind = TAGD_KIND_CHURN,
                                         .label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"))};
    dimension->rules = tagd_arena_zalloc(&catalog->arena, (LEVELS + 1) * sizeof *dimension->rules);
    if (!load_levels(load, given, events, dimension) || !load_span(load, node, "/churn", "for", &dimension->for_ms) ||
        !load_span(load, node, "/churn", "min_dwell", &dimension->dwell_ms))
        return false;
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        dimension->rules[i].for_ms = dimension->for_ms;
        dimension->rules[i].dwell_ms = dimension->dwell_ms;
    }
    see_holds(dimension);
    catalog->has_churn_level = true;
    catalog->n_dimensions++;
    return true;
}

static bool name_churn(struct load *load, const cJSON *root)
{
    static const char *const keys[] = {"model", "event",   "r",        "alpha", "a",         "b",   "levels",
                                       "label", "drivers", "activity", "for",   "min_dwell", "fit", NULL};
    struct tagd_churn *churn = &load->catalog->churn;
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, "churn");
    const char *events = "order.paid", *activity;
    uint32_t signs;
    if (!node)
        return true;
    if (!want(load, node, "/churn", cJSON_IsObject(node), "an object, as `tagd fit` prints it") ||
        !known_keys(load, node, "/churn", keys) || !load_parameters(load, node, &churn->model) ||
        !load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), "/churn/label") ||
        !load_churn_events(load, node, "event", &events, &churn->selector))
        return false;
    activity = events;
    if (!load_churn_events(load, node, "activity", &activity, &signs))
        return false;
    churn->given = true;
    keep_purchases(load->catalog);
    churn->activity = tagd_state_mark(load->catalog, signs, TAGD_MARK_LATEST, (struct tagd_str){"", 0}, TAGD_DECIMAL);
    return name_drivers(load, node, events) && name_levels(load, node, events);
}

#define ALERT_TAG "raised"

/* An alert is a dimension with one tag. */
static bool name_alerts(struct load *load, const cJSON *alerts)
{
    static const char *const keys[] = {"when", "label", "plan", "for", "min_dwell", NULL};
    struct tagd_catalog *catalog = load->catalog;
    for (const cJSON *node = alerts ? alerts->child : NULL; node; node = node->next) {
        const char *pointer = below(load, "/alerts", node->string);
        struct tagd_dimension *alert = &catalog->dimensions[catalog->n_dimensions];
        if (!name_ok(node->string, 1, 1))
            return fail_at(load, pointer, true, "expected an alert's name of ASCII letters, digits, _ and -");
        if (!want(load, node, pointer, cJSON_IsObject(node), "an object with 'when'") ||
            !known_keys(load, node, pointer, keys))
            return false;
        const cJSON *when = cJSON_GetObjectItemCaseSensitive(node, "when");
        if (!when)
            return fail_at(load, pointer, false, "key 'when' is missing");
        *alert = (struct tagd_dimension){.name = keep(load, node->string), .kind = TAGD_KIND_ALERT, .n_rules = 1};
        alert->rules = tagd_arena_zalloc(&catalog->arena, sizeof *alert->rules);
        alert->rules->tag = ALERT_TAG;
        load_plan(load, node, alert->rules);
        alert->label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
        if (!load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label")) ||
            !load_span(load, node, pointer, "for", &alert->rules->for_ms) ||
            !load_span(load, node, pointer, "min_dwell", &alert->rules->dwell_ms) ||
            !expression_text(load, when, below(load, pointer, "when"), &alert->rules->text))
            return false;
        see_holds(alert);
        catalog->n_dimensions++;
        catalog->n_alerts++;
    }
    return true;
}

static bool name_dimensions(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *dimensions = cJSON_GetObjectItemCaseSensitive(root, "dimensions");
    if (!dimensions)
        return fail_at(load, "", false, "key 'dimensions' is missing");
    if (!want(load, dimensions, "/dimensions", cJSON_IsObject(dimensions), "an object of dimensions"))
        return false;
    int n = cJSON_GetArraySize(dimensions);
    if (n > TAGD_DIMENSIONS_MAX)
        return fail_at(load, "/dimensions", false, "%d dimensions: a catalog has at most %d", n, TAGD_DIMENSIONS_MAX);
    const cJSON *alerts = cJSON_GetObjectItemCaseSensitive(root, "alerts");
    if (alerts && !want(load, alerts, "/alerts", cJSON_IsObject(alerts), "an object of alerts"))
        return false;
    int n_alerts = alerts ? cJSON_GetArraySize(alerts) : 0;
    if (n_alerts > TAGD_ALERTS_MAX)
        return fail_at(load, "/alerts", false, "%d alerts: a catalog has at most %d", n_alerts, TAGD_ALERTS_MAX);
    catalog->dimensions =
        tagd_arena_zalloc(&catalog->arena, ((size_t)n + (size_t)n_alerts + 2) * sizeof *catalog->dimensions);
    for (const cJSON *node = dimensions->child; node; node = node->next) {
        struct tagd_dimension *dimension = &catalog->dimensions[catalog->n_dimensions];
        if (!name_dimension(load, node, below(load, "/dimensions", node->string), dimension))
            return false;
        see_holds(dimension);
        if (strcmp(dimension->name, TAGD_CHURN_DIMENSION) == 0)
            dimension->kind = TAGD_KIND_CHURN;
        catalog->has_churn_level |= dimension->kind == TAGD_KIND_CHURN;
        catalog->reviews |= dimension->assign == TAGD_ASSIGN_REVIEW;
        catalog->n_dimensions++;
    }
    return name_churn(load, root) && name_alerts(load, alerts);
}

/* ---- aliases ---- */

/* "level1.level2.tag" -> its dimension and tag, kept. */
static bool split_tag(struct load *load, const char *name, struct tagd_str *dimension, struct tagd_str *tag)
{
    const char *dot = strrchr(name, '.');
    if (!dot)
        return false;
    *dimension = tagd_arena_copy(&load->catalog->arena, name, (size_t)(dot - name));
    *tag = tagd_str_of(keep(load, dot + 1));
    return dimension_name_ok(dimension->p) && tag->n > 0 && tag->n <= TAGD_NAME_BYTES_MAX && tag_letters_ok(tag->p);
}

static bool load_alias(struct load *load, const cJSON *node, const char *pointer, struct tagd_alias *alias)
{
    const struct tagd_catalog *catalog = load->catalog;
    struct tagd_str dimension, tag;
    int32_t to, to_tag;
    if (!split_tag(load, node->string, &alias->dimension, &alias->tag))
        return fail_at(load, pointer, true, "expected the old name of a tag, as dimension.tag in three levels");
    if (tagd_catalog_tag_find(catalog, alias->dimension, alias->tag, &to, &to_tag))
        return fail_at(load, pointer, true, "'%s' is a tag of this catalog: an alias is a name that is no tag any more",
                       node->string);
    if (!cJSON_IsString(node) || !split_tag(load, node->valuestring, &dimension, &tag))
        return fail_at(load, pointer, false, "expected the name of a tag, as dimension.tag in three levels");
    if (!tagd_catalog_tag_find(catalog, dimension, tag, &to, &to_tag))
        return fail_at(load, pointer, false, "'%s' is no tag of this catalog: an alias leads to one that is",
                       node->valuestring);
    alias->to = (uint32_t)to;
    alias->to_tag = (uint32_t)to_tag;
    return true;
}

static int by_alias_name(const void *left, const void *right)
{
    const struct tagd_alias *a = left, *b = right;
    int order = tagd_str_cmp(a->dimension, b->dimension);
    return order ? order : tagd_str_cmp(a->tag, b->tag);
}

static bool load_aliases(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *aliases = cJSON_GetObjectItemCaseSensitive(root, "aliases");
    if (!aliases)
        return true;
    if (!want(load, aliases, "/aliases", cJSON_IsObject(aliases), "an object of old and new names of tags"))
        return false;
    int n = cJSON_GetArraySize(aliases);
    if (n > TAGD_ALIASES_MAX)
        return fail_at(load, "/aliases", false, "%d aliases: a catalog has at most %d", n, TAGD_ALIASES_MAX);
    catalog->aliases = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->aliases);
    struct tagd_alias *alias = catalog->aliases;
    for (const cJSON *node = aliases->child; node; node = node->next) {
        if (!load_alias(load, node, below(load, "/aliases", node->string), alias++))
            return false;
    }
    catalog->n_aliases = (uint32_t)n; /* not before: an alias doesn't lead to another one */
    qsort(catalog->aliases, catalog->n_aliases, sizeof *catalog->aliases, by_alias_name);
    return true;
}

/* ---- goals ---- */

/* A share of 0 to 1 under `key`, as a decimal; *share stays if there is none. */
static bool load_share(struct load *load, const cJSON *node, const char *pointer, const char *key, int64_t *share)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(node, key);
    if (!number)
        return true;
    bool fits = cJSON_IsNumber(number) && number->valuedouble >= 0 && number->valuedouble <= 1 &&
                tagd_decimal_from_double(number->valuedouble, share);
    return fits || fail_at(load, below(load, pointer, key), false, "expected a share from 0 to 1, such as 0.15");
}

static bool load_start(struct load *load, const cJSON *start, const char *pointer, struct tagd_goal *goal)
{
    struct tagd_catalog *catalog = load->catalog;
    struct tagd_str dimension, tag;
    int32_t d, t;
    if (!cJSON_IsString(start) || !split_tag(load, start->valuestring, &dimension, &tag))
        return fail_at(load, pointer, false, "expected the name of a tag, as dimension.tag in three levels");
    if (!tagd_catalog_tag_find(catalog, dimension, tag, &d, &t))
        return fail_at(load, pointer, false, "'%s' is no tag of this catalog: a goal starts as a customer gets one",
                       start->valuestring);
    int32_t other = tagd_catalog_goal_of(catalog, (size_t)d, t);
    if (other >= 0)
        return fail_at(load, pointer, false, "this tag starts goal '%s' already: a tag starts one goal",
                       catalog->goals[other].name);
    goal->dimension = (uint32_t)d;
    goal->tag = (uint32_t)t;
    return true;
}

static bool load_reach(struct load *load, const cJSON *reach, const char *pointer, struct tagd_goal *goal)
{
    const char *text;
    if (!expression_text(load, reach, pointer, &text))
        return false;
    struct parse parse = parse_of(load, pointer, text);
    int32_t selector = tagd_parse_selector(&parse);
    goal->selector = (uint32_t)selector;
    return selector >= 0;
}

/* What is hoped for: one of a share, or a difference to those held out. */
static bool load_targets(struct load *load, const cJSON *node, const char *pointer, struct tagd_goal *goal)
{
    if (!load_share(load, node, pointer, "holdout", &goal->holdout) ||
        !load_share(load, node, pointer, "target", &goal->target) ||
        !load_share(load, node, pointer, "uplift", &goal->uplift) ||
        !load_share(load, node, pointer, "fewer_missed", &goal->fewer_missed))
        return false;
    if ((goal->target >= 0) + (goal->uplift >= 0) + (goal->fewer_missed >= 0) > 1)
        return fail_at(load, pointer, true, "expected one of 'target', 'uplift' and 'fewer_missed'");
    return (goal->uplift < 0 && goal->fewer_missed < 0) || goal->holdout > 0 ||
           fail_at(load, pointer, true, "'%s' is against customers who are held out: say how many as 'holdout'",
                   goal->uplift >= 0 ? "uplift" : "fewer_missed");
}

static bool load_goal(struct load *load, const cJSON *node, const char *pointer, struct tagd_goal *goal)
{
    static const char *const keys[] = {"start",  "reach",        "within", "target", "holdout",
                                       "uplift", "fewer_missed", "label",  NULL};
    static const char *const needed[] = {"start", "reach", "within", NULL};
    if (!name_ok(node->string, 1, 1))
        return fail_at(load, pointer, true, "expected a goal's name of ASCII letters, digits, _ and -");
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object with 'start', 'reach' and 'within'") ||
        !known_keys(load, node, pointer, keys))
        return false;
    for (int i = 0; needed[i]; i++) {
        if (!cJSON_GetObjectItemCaseSensitive(node, needed[i]))
            return fail_at(load, pointer, false, "key '%s' is missing", needed[i]);
    }
    *goal = (struct tagd_goal){.name = keep(load, node->string),
                               .label = keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label")),
                               .target = -1,
                               .uplift = -1,
                               .fewer_missed = -1};
    if (!load_start(load, cJSON_GetObjectItemCaseSensitive(node, "start"), below(load, pointer, "start"), goal) ||
        !load_reach(load, cJSON_GetObjectItemCaseSensitive(node, "reach"), below(load, pointer, "reach"), goal) ||
        !load_span(load, node, pointer, "within", &goal->within_ms))
        return false;
    if (goal->within_ms == 0)
        return fail_at(load, below(load, pointer, "within"), false, "expected a duration longer than nothing");
    return load_targets(load, node, pointer, goal) &&
           load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label"));
}

static bool load_goals(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *goals = cJSON_GetObjectItemCaseSensitive(root, "goals");
    if (!goals)
        return true;
    if (!want(load, goals, "/goals", cJSON_IsObject(goals), "an object of goals"))
        return false;
    int n = cJSON_GetArraySize(goals);
    if (n > TAGD_GOALS_MAX)
        return fail_at(load, "/goals", false, "%d goals: a catalog has at most %d", n, TAGD_GOALS_MAX);
    catalog->goals = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->goals);
    for (const cJSON *node = goals->child; node; node = node->next) {
        if (!load_goal(load, node, below(load, "/goals", node->string), &catalog->goals[catalog->n_goals]))
            return false;
        catalog->n_goals++;
    }
    return true;
}

/* ---- measures ---- */

static bool load_measure(struct load *load, const cJSON *node, const char *pointer, struct tagd_measure_def *into)
{
    static const char *const keys[] = {"value", "of", "label", NULL};
    const cJSON *label = cJSON_GetObjectItemCaseSensitive(node, "label"),
                *of = cJSON_GetObjectItemCaseSensitive(node, "of");
    if (!name_ok(node->string, 1, 1))
        return fail_at(load, pointer, true, "expected a measure's name of ASCII letters, digits, _ and -");
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object with 'value'") ||
        !known_keys(load, node, pointer, keys) || !load_label(load, label, below(load, pointer, "label")))
        return false;
    const char *at = below(load, pointer, "value"), *of_at = below(load, pointer, "of");
    if (!cJSON_GetObjectItemCaseSensitive(node, "value"))
        return fail_at(load, pointer, false, "key 'value' is missing");
    if (!expression_text(load, cJSON_GetObjectItemCaseSensitive(node, "value"), at, &into->text) ||
        (of && !expression_text(load, of, of_at, &into->of_text)))
        return false;
    struct parse parse = parse_of(load, at, into->text);
    into->value = tagd_parse_expression(&parse);
    if (!into->value)
        return false;
    enum tagd_type type = into->value->type;
    if (type != TAGD_T_BOOLEAN && type != TAGD_T_NUMBER && type != TAGD_T_DURATION)
        return fail_at(load, at, false, "a measure is a condition, a number or a duration");
    into->measure.kind = type == TAGD_T_BOOLEAN  ? TAGD_MEASURE_SHARE
                         : type == TAGD_T_NUMBER ? TAGD_MEASURE_NUMBER
                                                 : TAGD_MEASURE_DURATION;
    into->measure.name = keep(load, node->string);
    into->measure.label = keep_json(load, label);
    if (!of)
        return true;
    parse = parse_of(load, of_at, into->of_text);
    into->of = tagd_parse_expression(&parse);
    return into->of && (into->of->type == TAGD_T_BOOLEAN ||
                        fail_at(load, of_at, false, "expected a condition, found an expression that is no boolean"));
}

/* Figures for reports. No part of the meaning but for the state that they need. */
static bool load_measures(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *measures = cJSON_GetObjectItemCaseSensitive(root, "measures");
    if (!measures)
        return true;
    if (!want(load, measures, "/measures", cJSON_IsObject(measures), "an object of measures"))
        return false;
    int n = cJSON_GetArraySize(measures);
    if (n > TAGD_MEASURES_MAX)
        return fail_at(load, "/measures", false, "%d measures: a catalog has at most %d", n, TAGD_MEASURES_MAX);
    catalog->measures = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->measures);
    for (const cJSON *node = measures->child; node; node = node->next) {
        if (!load_measure(load, node, below(load, "/measures", node->string), &catalog->measures[catalog->n_measures]))
            return false;
        catalog->n_measures++;
    }
    return true;
}

/* ---- breakdowns ---- */

/* A dimension by its own name, at its place in the list. */
static bool breakdown_part(struct load *load, const cJSON *node, const char *pointer, uint32_t *dimension)
{
    const struct tagd_catalog *catalog = load->catalog;
    uint32_t n = catalog->n_dimensions - catalog->n_alerts;
    if (!want(load, node, pointer, cJSON_IsString(node), "the name of a dimension"))
        return false;
    for (*dimension = 0; *dimension < n; ++*dimension) {
        if (strcmp(catalog->dimensions[*dimension].name, node->valuestring) == 0)
            return true;
    }
    return fail_at(load, pointer, false, "'%s' is no dimension of this catalog", node->valuestring);
}

static bool load_breakdown(struct load *load, const cJSON *node, const char *pointer)
{
    struct tagd_catalog *catalog = load->catalog;
    uint32_t of[2] = {0, 0};
    int n = cJSON_GetArraySize(node);
    if (!want(load, node, pointer, cJSON_IsArray(node) && (n == 1 || n == 2), "an array of two dimensions, or of one"))
        return false;
    for (int i = 0; i < n; i++) {
        if (!breakdown_part(load, cJSON_GetArrayItem(node, i), below_index(load, pointer, (uint32_t)i), &of[i]))
            return false;
        catalog->dimensions[of[i]].by_day = true;
    }
    if (n == 1 && !catalog->dimensions[of[0]].is_value)
        return fail_at(load, pointer, false, "'%s' has 'tags', which are always counted: expected a second dimension",
                       catalog->dimensions[of[0]].name);
    for (const cJSON *before = node->prev; n == 1 && before->next; before = before->prev) {
        if (cJSON_Compare(before, node, true))
            return fail_at(load, pointer, false, "this one stands in \"breakdowns\" already");
    }
    if (n == 1)
        return true;
    struct tagd_breakdown pair = {of[0] < of[1] ? of[0] : of[1], of[0] < of[1] ? of[1] : of[0]};
    if (pair.a == pair.b)
        return fail_at(load, pointer, false, "expected two different dimensions");
    for (uint32_t i = 0; i < catalog->n_breakdowns; i++) {
        if (catalog->breakdowns[i].a == pair.a && catalog->breakdowns[i].b == pair.b)
            return fail_at(load, pointer, false, "these two stand in \"breakdowns\" already");
    }
    catalog->breakdowns[catalog->n_breakdowns++] = pair;
    return true;
}

/* What customers are counted by, beyond each dimension by itself. No part of the meaning: a shard counts anew. */
static bool load_breakdowns(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *breakdowns = cJSON_GetObjectItemCaseSensitive(root, "breakdowns");
    int n = cJSON_GetArraySize(breakdowns);
    uint32_t i = 0;
    for (uint32_t d = 0; d < catalog->n_dimensions; d++)
        catalog->dimensions[d].by_day = !catalog->dimensions[d].is_value;
    if (!breakdowns)
        return true;
    if (!want(load, breakdowns, "/breakdowns", cJSON_IsArray(breakdowns), "an array of breakdowns"))
        return false;
    if (n > TAGD_BREAKDOWNS_MAX)
        return fail_at(load, "/breakdowns", false, "%d breakdowns: a catalog has at most %d", n, TAGD_BREAKDOWNS_MAX);
    catalog->breakdowns = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->breakdowns);
    for (const cJSON *node = breakdowns->child; node; node = node->next) {
        if (!load_breakdown(load, node, below_index(load, "/breakdowns", i++)))
            return false;
    }
    return true;
}

/* ---- rules ---- */

static bool same_value(const struct tagd_node *a, const struct tagd_node *b)
{
    return tagd_str_eq(a->text, b->text);
}

/* What `because` shows of a rule: functions, attributes, dimensions, metrics and lookups, each once; of a lookup what
 * it gives, not what is looked up. */
static void collect_values(const struct tagd_node *node, struct tagd_node **out, uint32_t *n)
{
    if (!node)
        return;
    if (tagd_node_named(node)) {
        for (uint32_t i = 0; i < *n; i++) {
            if (same_value(out[i], node))
                return;
        }
        out[(*n)++] = (struct tagd_node *)(uintptr_t)node;
        return;
    }
    collect_values(node->a, out, n);
    collect_values(node->b, out, n);
    for (uint32_t i = 0; i < node->n_list; i++)
        collect_values(node->list[i], out, n);
}

static uint32_t count_nodes(const struct tagd_node *node)
{
    if (!node)
        return 0;
    uint32_t n = 1 + count_nodes(node->a) + count_nodes(node->b);
    for (uint32_t i = 0; i < node->n_list; i++)
        n += count_nodes(node->list[i]);
    return n;
}

/* A value can be a tag if its text is exact and if time changes it at pane boundaries only. */
static bool value_fits(struct load *load, const char *at, const struct tagd_node *value)
{
    if (value->varies || value->decays)
        return fail_at(load, at, false,
                       "this value varies with every millisecond: expected one that changes with events and at pane "
                       "boundaries only");
    if (value->type == TAGD_T_DURATION || value->type == TAGD_T_NULL)
        return fail_at(load, at, false,
                       "%s can't be a tag: expected a string, an exact number, a boolean, a time or a date",
                       value->type == TAGD_T_NULL ? "null" : "a duration");
    if (value->type == TAGD_T_NUMBER && !value->exact)
        return fail_at(load, at, false,
                       "this number is a double (avg and arithmetic are): expected an exact one, as count, sum, min, "
                       "max, distinct, days, top, first, latest or an attribute give it");
    return true;
}

static bool load_rule(struct load *load, struct tagd_dimension *dimension, struct tagd_rule *rule, const char *at)
{
    struct parse parse = parse_of(load, at, rule->text);
    parse.needs = dimension->needs;
    parse.looks = dimension->looks;
    rule->when = tagd_parse_expression(&parse);
    if (!rule->when)
        return false;
    if (dimension->is_value) {
        if (!value_fits(load, at, rule->when))
            return false;
    } else if (rule->when->type != TAGD_T_BOOLEAN && rule->when->type != TAGD_T_NULL) {
        return fail_at(load, at, false, "expected a condition, found an expression that is no boolean");
    }
    rule->values = tagd_arena_zalloc(&load->catalog->arena, count_nodes(rule->when) * sizeof *rule->values);
    collect_values(rule->when, rule->values, &rule->n_values);
    return true;
}

/* A figure that is told beside a level: it may be anything that rules compute, but no condition. */
static bool load_figure(struct load *load, const char *text, const char *at, struct tagd_node **node)
{
    struct parse parse = parse_of(load, at, text);
    *node = tagd_parse_expression(&parse);
    if (!*node)
        return false;
    enum tagd_type type = (*node)->type;
    return type == TAGD_T_NUMBER || type == TAGD_T_DURATION ||
           fail_at(load, at, false, "expected a number or a duration");
}

static bool load_driver(struct load *load, struct tagd_driver *driver, const char *at)
{
    return load_figure(load, driver->value_text, below(load, at, "value"), &driver->value) &&
           (!driver->usual_text || load_figure(load, driver->usual_text, below(load, at, "usual"), &driver->usual));
}

static bool load_rules(struct load *load)
{
    struct tagd_catalog *catalog = load->catalog;
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        struct tagd_dimension *dimension = &catalog->dimensions[d];
        dimension->needs = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        dimension->looks = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        dimension->reads = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        dimension->stirs = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        bool alert = dimension->kind == TAGD_KIND_ALERT;
        const char *pointer = below(load, alert ? "/alerts" : "/dimensions", dimension->name);
        for (uint32_t i = 0; i < dimension->n_rules && dimension->assign != TAGD_ASSIGN_MANUAL; i++) {
            const char *at = dimension->is_value ? below(load, pointer, "value")
                             : alert             ? below(load, pointer, "when")
                                     : below(load, below_index(load, below(load, pointer, "tags"), i), "when");
            if (!load_rule(load, dimension, &dimension->rules[i], at))
                return false;
        }
    }
    for (uint32_t i = 0; i < catalog->churn.n_drivers; i++) {
        if (!load_driver(load, &catalog->churn.drivers[i], below_index(load, "/churn/drivers", i)))
            return false;
    }
    /* Metrics that no rule uses are checked all the same. */
    for (uint32_t i = 0; i < catalog->n_metrics; i++) {
        struct parse parse = parse_of(load, "/metrics", "");
        if (!tagd_metric_node(&parse, i, 0))
            return false;
    }
    return true;
}

/* Topological order, ties in catalog order; then needs become transitive. */
static bool order_dimensions(struct load *load)
{
    struct tagd_catalog *catalog = load->catalog;
    uint32_t n = catalog->n_dimensions, placed = 0;
    catalog->order = tagd_arena_zalloc(&catalog->arena, (n + 1) * sizeof *catalog->order);
    bool *done = tagd_arena_zalloc(&catalog->arena, n + 1);
    while (placed < n) {
        uint32_t next = n;
        for (uint32_t d = 0; d < n && next == n; d++) {
            bool ready = !done[d];
            for (uint32_t i = 0; i < n && ready; i++)
                ready = !catalog->dimensions[d].needs[i] || done[i];
            next = ready ? d : n;
        }
        if (next == n) {
            uint32_t d = 0;
            while (done[d])
                d++;
            const char *name = catalog->dimensions[d].name;
            return fail_at(load, below(load, "/dimensions", name), true,
                           "dimension '%s' depends on itself through others, or on one that does", name);
        }
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; catalog->dimensions[next].needs[i] && j < n; j++)
                catalog->dimensions[next].needs[j] |= catalog->dimensions[i].needs[j];
        }
        done[next] = true;
        catalog->order[placed++] = next;
    }
    return true;
}

/* ---- how dimensions reach each other ---- */

/* reads: what it needs and looks at, through others too. */
static void link_reads(struct tagd_catalog *catalog)
{
    uint32_t n = catalog->n_dimensions;
    for (uint32_t d = 0; d < n; d++) {
        struct tagd_dimension *dimension = &catalog->dimensions[d];
        for (uint32_t i = 0; i < n; i++) {
            dimension->reads[i] = dimension->needs[i] || dimension->looks[i];
            catalog->dimensions[i].remembered |= dimension->looks[i];
            catalog->looks_back |= dimension->looks[i];
        }
    }
    for (uint32_t by = 0; by < n; by++) {
        for (uint32_t d = 0; d < n; d++) {
            for (uint32_t i = 0; catalog->dimensions[d].reads[by] && i < n; i++)
                catalog->dimensions[d].reads[i] |= catalog->dimensions[by].reads[i];
        }
    }
}

/* Those that look at it, and those that need one of these. */
static void link_stirs(struct tagd_catalog *catalog)
{
    uint32_t n = catalog->n_dimensions;
    for (uint32_t d = 0; d < n; d++) {
        bool *stirs = catalog->dimensions[d].stirs;
        for (uint32_t i = 0; catalog->dimensions[d].remembered && i < n; i++) {
            const struct tagd_dimension *other = &catalog->dimensions[i];
            stirs[i] = other->looks[d];
            for (uint32_t j = 0; j < n && !stirs[i]; j++)
                stirs[i] = other->needs[j] && catalog->dimensions[j].looks[d];
        }
    }
}

/* ---- what an event touches ---- */

static void touch(struct tagd_catalog *catalog, const struct tagd_node *node, uint32_t dimension)
{
    if (!node)
        return;
    if (node->kind == TAGD_N_METRIC)
        touch(catalog, catalog->metrics[node->index].node, dimension);
    if (node->kind >= TAGD_N_COUNT && node->kind <= TAGD_N_DAYS)
        catalog->selectors[catalog->stores[catalog->windows[node->index].store].selector].dimensions[dimension] = true;
    if (node->kind == TAGD_N_DISTINCT || node->kind == TAGD_N_TOP)
        catalog->selectors[catalog->value_stores[catalog->windows[node->index].store].selector].dimensions[dimension] =
            true;
    if (node->kind == TAGD_N_UNTIL_NEXT)
        catalog->selectors[catalog->value_stores[node->column].selector].dimensions[dimension] = true;
    if (tagd_node_of_mark(node))
        catalog->selectors[catalog->marks[node->index].selector].dimensions[dimension] = true;
    if (tagd_node_of_attribute(node))
        catalog->attributes[node->index].dimensions[dimension] = true;
    if (node->kind == TAGD_N_P_ALIVE)
        catalog->selectors[catalog->churn.selector].dimensions[dimension] = true;
    touch(catalog, node->a, dimension);
    touch(catalog, node->b, dimension);
    for (uint32_t i = 0; i < node->n_list; i++)
        touch(catalog, node->list[i], dimension);
}

/* And those that read these. */
static void touch_through(const struct tagd_catalog *catalog, bool *dimensions)
{
    bool touched[TAGD_DIMENSIONS_MAX + TAGD_ALERTS_MAX];
    memcpy(touched, dimensions, catalog->n_dimensions);
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        for (uint32_t i = 0; i < catalog->n_dimensions; i++)
            dimensions[d] |= catalog->dimensions[d].reads[i] && touched[i];
    }
}

static void link_selector(struct tagd_catalog *catalog, uint32_t s)
{
    struct tagd_arena *arena = &catalog->arena;
    struct tagd_selector *selector = &catalog->selectors[s];
    touch_through(catalog, selector->dimensions);
    selector->stores = tagd_arena_zalloc(arena, (catalog->n_stores + 1) * sizeof *selector->stores);
    selector->value_stores = tagd_arena_zalloc(arena, (catalog->n_value_stores + 1) * sizeof *selector->value_stores);
    selector->marks = tagd_arena_zalloc(arena, (catalog->n_marks + 1) * sizeof *selector->marks);
    for (uint32_t i = 0; i < catalog->n_stores; i++) {
        if (catalog->stores[i].selector == s)
            selector->stores[selector->n_stores++] = i;
    }
    for (uint32_t i = 0; i < catalog->n_value_stores; i++) {
        if (catalog->value_stores[i].selector == s)
            selector->value_stores[selector->n_value_stores++] = i;
    }
    for (uint32_t i = 0; i < catalog->n_marks; i++) {
        if (catalog->marks[i].selector == s)
            selector->marks[selector->n_marks++] = i;
    }
    selector->goals = tagd_arena_zalloc(arena, (catalog->n_goals + 1) * sizeof *selector->goals);
    for (uint32_t i = 0; i < catalog->n_goals; i++) {
        if (catalog->goals[i].selector == s)
            selector->goals[selector->n_goals++] = i;
    }
}

static void link_state(struct tagd_catalog *catalog)
{
    struct tagd_arena *arena = &catalog->arena;
    link_reads(catalog);
    link_stirs(catalog);
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        catalog->attributes[i].dimensions = tagd_arena_zalloc(arena, catalog->n_dimensions + 1);
    for (uint32_t i = 0; i < catalog->n_selectors; i++) /* some are older than the last dimension */
        catalog->selectors[i].dimensions = tagd_arena_zalloc(arena, catalog->n_dimensions + 1);
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        for (uint32_t i = 0; i < catalog->dimensions[d].n_rules; i++)
            touch(catalog, catalog->dimensions[d].rules[i].when, d);
    }
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        touch_through(catalog, catalog->attributes[i].dimensions);
    for (uint32_t s = 0; s < catalog->n_selectors; s++)
        link_selector(catalog, s);
    for (uint32_t t = 0; t < catalog->n_types; t++) {
        struct tagd_event_type *type = &catalog->types[t];
        type->selectors = tagd_arena_zalloc(arena, (catalog->n_selectors + 1) * sizeof *type->selectors);
        for (uint32_t s = 0; s < catalog->n_selectors; s++) {
            if (catalog->selectors[s].by_type[t].n_clauses)
                type->selectors[type->n_selectors++] = s;
        }
    }
}

/* ---- meaning ---- */

static void describe_node(const struct tagd_catalog *catalog, const struct tagd_node *node, struct tagd_buf *out)
{
    if (!node)
        return;
    if (node->kind == TAGD_N_METRIC) {
        describe_node(catalog, catalog->metrics[node->index].node, out);
        return;
    }
    tagd_buf_printf(out, "(%d %d", (int)node->kind, (int)node->type);
    if (node->kind == TAGD_N_LITERAL) {
        const struct tagd_val *val = &node->literal;
        tagd_buf_printf(out, " %d:", (int)val->kind);
        if (val->kind == TAGD_V_DECIMAL)
            tagd_buf_add_decimal(out, val->u.d);
        else if (val->kind == TAGD_V_DOUBLE)
            tagd_buf_add_double(out, val->u.f);
        else if (val->kind == TAGD_V_STRING)
            tagd_buf_add_json(out, val->u.s);
        else if (val->kind != TAGD_V_NULL)
            tagd_buf_add_i64(out, val->kind == TAGD_V_BOOL ? val->u.b : val->u.i);
    } else if (tagd_node_named(node)) {
        tagd_buf_printf(out, " %u %u %u", node->index, node->column, node->count_column);
        if (node->kind == TAGD_N_UNTIL_NEXT)
            tagd_buf_printf(out, " %lld", (long long)node->literal.u.i);
    }
    describe_node(catalog, node->a, out);
    describe_node(catalog, node->b, out);
    for (uint32_t i = 0; i < node->n_list; i++)
        describe_node(catalog, node->list[i], out);
    tagd_buf_add_byte(out, ')');
}

static void describe_dimension(const struct tagd_catalog *catalog, const struct tagd_dimension *dimension,
                               struct tagd_buf *out)
{
    static const char *const words[TAGD_KINDS] = {
        [TAGD_KIND_TAG] = "dimension", [TAGD_KIND_ALERT] = "alert", [TAGD_KIND_CHURN] = "churn"};
    tagd_buf_printf(out, "%s %s\n", words[dimension->kind], dimension->name);
    if (dimension->assign != TAGD_ASSIGN_AUTO || dimension->for_ms)
        tagd_buf_printf(out, "assign %d expires %lld for %lld\n", (int)dimension->assign,
                        (long long)dimension->expires_ms, (long long)dimension->for_ms);
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        const struct tagd_rule *rule = &dimension->rules[i];
        tagd_buf_printf(out, "%s %s ", rule->tag ? "tag" : "value", rule->tag ? rule->tag : "");
        if (rule->for_ms || rule->dwell_ms)
            tagd_buf_printf(out, "for %lld dwell %lld ", (long long)rule->for_ms, (long long)rule->dwell_ms);
        describe_node(catalog, rule->when, out);
        tagd_buf_add_byte(out, '\n');
    }
}

static void describe_table(const struct tagd_table *table, struct tagd_buf *out)
{
    tagd_buf_printf(out, "table %.*s %d ", (int)table->name.n, table->name.p, table->keep);
    if (table->other.p)
        tagd_buf_add_json(out, table->other);
    for (uint32_t i = 0; i < table->n_rows; i++) {
        tagd_buf_add_byte(out, ' ');
        tagd_buf_add_json(out, table->rows[i].key);
        tagd_buf_add_byte(out, ':');
        tagd_buf_add_json(out, table->rows[i].value);
    }
    tagd_buf_add_byte(out, '\n');
}

/* Two catalogs with the same text here keep the same state and give the same tags. */
static void describe_meaning(const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    tagd_buf_printf(out, "tagd catalog 1\nzone %lld\n", (long long)catalog->zone_ms);
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        const struct tagd_event_type *type = &catalog->types[i];
        tagd_buf_printf(out, "event %.*s %lld", (int)type->name.n, type->name.p, (long long)type->dedupe_ms);
        for (uint32_t j = 0; j < type->n_fields; j++)
            tagd_buf_printf(out, " %.*s:%d:%d", (int)type->fields[j].name.n, type->fields[j].name.p,
                            (int)type->fields[j].type, type->fields[j].required);
        tagd_buf_add_byte(out, '\n');
    }
    for (uint32_t i = 0; i < catalog->n_selectors; i++)
        tagd_buf_printf(out, "selector %s\n", catalog->selectors[i].key);
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        tagd_buf_printf(out, "attribute %s %d\n", catalog->attributes[i].field.name.p,
                        (int)catalog->attributes[i].field.type);
    for (uint32_t i = 0; i < catalog->n_tables; i++)
        describe_table(&catalog->tables[i], out);
    for (uint32_t i = 0; i < catalog->n_stores; i++) {
        const struct tagd_store *store = &catalog->stores[i];
        tagd_buf_printf(out, "store %u %lld %d", store->selector, (long long)store->grid.pane_ms,
                        store->grid.span == TAGD_SPAN_FOREVER);
        for (uint32_t j = 0; j < store->n_columns; j++)
            tagd_buf_printf(out, " %d:%.*s", (int)store->columns[j].kind, (int)store->columns[j].field.n,
                            store->columns[j].field.n ? store->columns[j].field.p : "");
        tagd_buf_add_byte(out, '\n');
    }
    for (uint32_t i = 0; i < catalog->n_value_stores; i++) {
        const struct tagd_value_store *store = &catalog->value_stores[i];
        tagd_buf_printf(out, "values %u %lld %.*s %d\n", store->selector, (long long)store->grid.pane_ms,
                        (int)store->field.n, store->field.p, store->ordered);
    }
    for (uint32_t i = 0; i < catalog->n_windows; i++)
        tagd_buf_printf(out, "window %d %u %lld %lld\n", catalog->windows[i].values, catalog->windows[i].store,
                        (long long)catalog->windows[i].panes, (long long)catalog->windows[i].offset_ms);
    for (uint32_t i = 0; i < catalog->n_marks; i++)
        tagd_buf_printf(out, "mark %u %d %.*s\n", catalog->marks[i].selector, (int)catalog->marks[i].kind,
                        (int)catalog->marks[i].field.n, catalog->marks[i].field.n ? catalog->marks[i].field.p : "");
    for (uint32_t d = 0; d < catalog->n_dimensions; d++)
        describe_dimension(catalog, &catalog->dimensions[d], out);
    if (catalog->churn.given) {
        const struct tagd_churn_model *model = &catalog->churn.model;
        tagd_buf_printf(out, "churn %d %.17g %.17g %.17g %.17g %u\n", (int)model->kind, model->r, model->alpha,
                        model->a, model->b, catalog->churn.selector);
    }
    for (uint32_t i = 0; i < catalog->n_goals; i++) {
        const struct tagd_goal *goal = &catalog->goals[i];
        tagd_buf_printf(out, "goal %s %u %u %u %lld\n", goal->name, goal->dimension, goal->tag, goal->selector,
                        (long long)goal->within_ms);
    }
    for (uint32_t i = 0; i < catalog->n_aliases; i++) {
        const struct tagd_alias *alias = &catalog->aliases[i];
        tagd_buf_printf(out, "alias %.*s %.*s %u %u\n", (int)alias->dimension.n, alias->dimension.p, (int)alias->tag.n,
                        alias->tag.p, alias->to, alias->to_tag);
    }
}

static bool load_root(struct load *load)
{
    static const char *const keys[] = {"catalog",    "version", "timezone", "label",      "events", "groups",
                                       "attributes", "tables",  "metrics",  "dimensions", "alerts", "aliases",
                                       "goals",      "churn",   "measures", "breakdowns", NULL};
    const cJSON *root = tagd_jsonc_root(load->jsonc);
    if (!want(load, root, "", cJSON_IsObject(root), "an object"))
        return false;
    if (!known_keys(load, root, "", keys) || !load_text(load, root, "catalog", &load->catalog->name) ||
        !load_text(load, root, "version", &load->catalog->version) || !load_zone(load, root) ||
        !load_label(load, cJSON_GetObjectItemCaseSensitive(root, "label"), "/label") || !load_events(load, root) ||
        !load_groups(load, root) || !load_attributes(load, root) || !load_tables(load, root) ||
        !name_metrics(load, root) || !name_dimensions(load, root) || !load_aliases(load, root) ||
        !load_breakdowns(load, root) || !load_rules(load) || !load_goals(load, root) || !load_measures(load, root) ||
        !order_dimensions(load))
        return false;
    load->catalog->label = keep_json(load, cJSON_GetObjectItemCaseSensitive(root, "label"));
    link_state(load->catalog);
    struct tagd_buf meaning = {0};
    describe_meaning(load->catalog, &meaning);
    struct tagd_hash128 hash = tagd_hash_pair((struct tagd_str){meaning.p, meaning.n}, TAGD_STR(""));
    snprintf(load->catalog->hash, sizeof load->catalog->hash, "%016llx%016llx", (unsigned long long)hash.hi,
             (unsigned long long)hash.lo);
    tagd_buf_free(&meaning);
    return true;
}

struct tagd_catalog *tagd_catalog_load(const char *name, const char *text, size_t n, struct tagd_error *error)
{
    if (n > TAGD_CATALOG_BYTES_MAX) {
        tagd_fail(error, "%s: %zu bytes: a catalog has at most %d", name, n, TAGD_CATALOG_BYTES_MAX);
        return NULL;
    }
    struct load load = {.error = error};
    load.jsonc = tagd_jsonc_parse(name, text, n, error);
    if (!load.jsonc)
        return NULL;
    load.catalog = tagd_xcalloc(1, sizeof *load.catalog);
    bool ok = load_root(&load);
    tagd_jsonc_free(load.jsonc);
    if (!ok) {
        tagd_catalog_free(load.catalog);
        return NULL;
    }
    return load.catalog;
}

void tagd_catalog_free(struct tagd_catalog *catalog)
{
    if (!catalog)
        return;
    tagd_arena_free(&catalog->arena);
    free(catalog);
}
