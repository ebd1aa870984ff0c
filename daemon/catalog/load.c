/* The catalog's JSON -> struct tagd_catalog: names, events, groups, metrics, dimensions; then what refers to what. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/text.h"
#include "catalog/parse.h"

#define NAME_BYTES_MAX 128
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
    return n > 0 && n <= NAME_BYTES_MAX && !start && levels >= min_levels && levels <= max_levels;
}

static const char *keep(struct load *load, const char *text)
{
    return tagd_arena_copy(&load->catalog->arena, text, strlen(text)).p;
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
    static const char form[] = "+00:00";
    bool ok = strlen(text) == sizeof form - 1 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
    for (size_t i = 1; ok && i < sizeof form - 1; i++)
        ok = i == 3 || (text[i] >= '0' && text[i] <= '9');
    int hours = ok ? (text[1] - '0') * 10 + (text[2] - '0') : 0,
        minutes = ok ? (text[4] - '0') * 10 + (text[5] - '0') : 0;
    if (!ok || hours > 14 || minutes > 59)
        return fail_at(load, "/timezone", false, "expected a fixed offset such as \"+08:00\", at most 14 hours");
    load->catalog->zone_ms = (text[0] == '-' ? -1 : 1) * (int64_t)(hours * 60 + minutes) * 60000;
    return true;
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
                           NAME_BYTES_MAX);
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

static bool name_rule(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"tag", "when", "label", "plan", NULL};
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object with 'tag' and 'when'") ||
        !known_keys(load, node, pointer, keys))
        return false;
    const cJSON *tag = cJSON_GetObjectItemCaseSensitive(node, "tag"),
                *when = cJSON_GetObjectItemCaseSensitive(node, "when");
    if (!tag || !when)
        return fail_at(load, pointer, false, "key '%s' is missing", tag ? "when" : "tag");
    const char *tag_at = below(load, pointer, "tag");
    if (!cJSON_IsString(tag) || !tag->valuestring[0] || strlen(tag->valuestring) > NAME_BYTES_MAX)
        return fail_at(load, tag_at, false, "expected a tag's name of 1 to %d bytes", NAME_BYTES_MAX);
    for (const char *p = tag->valuestring; *p; p++) {
        bool ok =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-';
        if (!ok)
            return fail_at(load, tag_at, false,
                           "a tag's name has ASCII letters, digits, _ and - (labels carry other scripts)");
    }
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        if (strcmp(dimension->rules[i].tag, tag->valuestring) == 0)
            return fail_at(load, tag_at, false, "tag '%s' stands in this dimension already: join the rules with 'or'",
                           tag->valuestring);
    }
    if (!load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), below(load, pointer, "label")))
        return false;
    struct tagd_rule *rule = &dimension->rules[dimension->n_rules++];
    rule->tag = keep(load, tag->valuestring);
    const cJSON *plan = cJSON_GetObjectItemCaseSensitive(node, "plan");
    if (plan && !cJSON_IsNull(plan)) {
        char *text = cJSON_PrintUnformatted(plan);
        rule->plan = keep(load, text);
        cJSON_free(text);
    }
    return expression_text(load, when, below(load, pointer, "when"), &rule->text);
}

/* A dimension whose tag is the value of an expression: one rule without a tag of its own. */
static bool name_value(struct load *load, const cJSON *value, const char *pointer, struct tagd_dimension *dimension)
{
    dimension->is_value = true;
    dimension->rules = tagd_arena_zalloc(&load->catalog->arena, sizeof *dimension->rules);
    dimension->n_rules = 1;
    return expression_text(load, value, below(load, pointer, "value"), &dimension->rules->text);
}

static bool name_dimension(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"tags", "value", "label", NULL};
    static const char *const later[] = {"assign", "for", "min_dwell", NULL};
    struct tagd_catalog *catalog = load->catalog;
    if (!name_ok(node->string, 2, 2) || memcmp(node->string, "attr.", 5) == 0)
        return fail_at(load, pointer, true, "expected a dimension's name of two levels, such as value.level");
    if (!want(load, node, pointer, cJSON_IsObject(node), "an object"))
        return false;
    for (int i = 0; later[i]; i++) {
        if (cJSON_GetObjectItemCaseSensitive(node, later[i]))
            return fail_at(load, below(load, pointer, later[i]), true, "'%s' is not supported by this version",
                           later[i]);
    }
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
    catalog->dimensions = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->dimensions);
    for (const cJSON *node = dimensions->child; node; node = node->next) {
        if (!name_dimension(load, node, below(load, "/dimensions", node->string),
                            &catalog->dimensions[catalog->n_dimensions]))
            return false;
        catalog->n_dimensions++;
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
    if (value->varies)
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

static bool load_rules(struct load *load)
{
    struct tagd_catalog *catalog = load->catalog;
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        struct tagd_dimension *dimension = &catalog->dimensions[d];
        dimension->needs = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        const char *pointer = below(load, "/dimensions", dimension->name);
        for (uint32_t i = 0; i < dimension->n_rules; i++) {
            const char *at = dimension->is_value
                                 ? below(load, pointer, "value")
                                 : below(load, below_index(load, below(load, pointer, "tags"), i), "when");
            if (!load_rule(load, dimension, &dimension->rules[i], at))
                return false;
        }
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
    if (tagd_node_of_mark(node))
        catalog->selectors[catalog->marks[node->index].selector].dimensions[dimension] = true;
    if (tagd_node_of_attribute(node))
        catalog->attributes[node->index].dimensions[dimension] = true;
    touch(catalog, node->a, dimension);
    touch(catalog, node->b, dimension);
    for (uint32_t i = 0; i < node->n_list; i++)
        touch(catalog, node->list[i], dimension);
}

/* And those that read these. */
static void touch_through(const struct tagd_catalog *catalog, bool *dimensions)
{
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        for (uint32_t i = 0; i < catalog->n_dimensions; i++)
            dimensions[d] |= catalog->dimensions[d].needs[i] && dimensions[i];
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
}

static void link_state(struct tagd_catalog *catalog)
{
    struct tagd_arena *arena = &catalog->arena;
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        catalog->attributes[i].dimensions = tagd_arena_zalloc(arena, catalog->n_dimensions + 1);
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
    }
    describe_node(catalog, node->a, out);
    describe_node(catalog, node->b, out);
    for (uint32_t i = 0; i < node->n_list; i++)
        describe_node(catalog, node->list[i], out);
    tagd_buf_add_byte(out, ')');
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
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        tagd_buf_printf(out, "dimension %s\n", catalog->dimensions[d].name);
        for (uint32_t i = 0; i < catalog->dimensions[d].n_rules; i++) {
            const char *tag = catalog->dimensions[d].rules[i].tag;
            tagd_buf_printf(out, "%s %s ", tag ? "tag" : "value", tag ? tag : "");
            describe_node(catalog, catalog->dimensions[d].rules[i].when, out);
            tagd_buf_add_byte(out, '\n');
        }
    }
}

static bool load_root(struct load *load)
{
    static const char *const keys[] = {"catalog",    "version", "timezone", "label",      "events", "groups",
                                       "attributes", "tables",  "metrics",  "dimensions", NULL};
    static const char *const later[] = {"aliases", "churn", "goals", "alerts", NULL};
    const cJSON *root = tagd_jsonc_root(load->jsonc);
    if (!want(load, root, "", cJSON_IsObject(root), "an object"))
        return false;
    for (int i = 0; later[i]; i++) {
        if (cJSON_GetObjectItemCaseSensitive(root, later[i]))
            return fail_at(load, below(load, "", later[i]), true, "'%s' is not supported by this version", later[i]);
    }
    if (!known_keys(load, root, "", keys) || !load_text(load, root, "catalog", &load->catalog->name) ||
        !load_text(load, root, "version", &load->catalog->version) || !load_zone(load, root) ||
        !load_label(load, cJSON_GetObjectItemCaseSensitive(root, "label"), "/label") || !load_events(load, root) ||
        !load_groups(load, root) || !load_attributes(load, root) || !load_tables(load, root) ||
        !name_metrics(load, root) || !name_dimensions(load, root) || !load_rules(load) || !order_dimensions(load))
        return false;
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
