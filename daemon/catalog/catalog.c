/* What others ask of a compiled catalog. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compiled.h"

const char *tagd_catalog_name(const struct tagd_catalog *catalog)
{
    return catalog->name;
}
const char *tagd_catalog_version(const struct tagd_catalog *catalog)
{
    return catalog->version;
}
const char *tagd_catalog_hash(const struct tagd_catalog *catalog)
{
    return catalog->hash;
}

int32_t tagd_catalog_type_find(const struct tagd_catalog *catalog, struct tagd_str name)
{
    if (!catalog->n_type_slots)
        return -1;
    uint32_t mask = catalog->n_type_slots - 1, slot = (uint32_t)tagd_hash64(name) & mask;
    while (catalog->type_slots[slot]) {
        uint32_t type = catalog->type_slots[slot] - 1;
        if (tagd_str_eq(catalog->types[type].name, name))
            return (int32_t)type;
        slot = (slot + 1) & mask;
    }
    return -1;
}

bool tagd_catalog_type_reserved(struct tagd_str name)
{
    static const char *const reserved[] = {"profile.updated", "tag.assigned",      "tag.cleared",    "tag.reviewed",
                                           "identity.linked", "identity.unlinked", "customer.erased"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (tagd_str_eq(name, tagd_str_of(reserved[i])))
            return true;
    }
    return false;
}

size_t tagd_catalog_n_types(const struct tagd_catalog *catalog)
{
    return catalog->n_types;
}
size_t tagd_catalog_n_fields(const struct tagd_catalog *catalog, int32_t type)
{
    return catalog->types[type].n_fields;
}
const struct tagd_field *tagd_catalog_fields(const struct tagd_catalog *catalog, int32_t type)
{
    return catalog->types[type].fields;
}
int64_t tagd_catalog_dedupe_ms(const struct tagd_catalog *catalog, int32_t type)
{
    return type < 0 ? 0 : catalog->types[type].dedupe_ms;
}
size_t tagd_catalog_n_attributes(const struct tagd_catalog *catalog)
{
    return catalog->n_attributes;
}
const struct tagd_field *tagd_catalog_attribute(const struct tagd_catalog *catalog, size_t attribute)
{
    return &catalog->attributes[attribute].field;
}
int32_t tagd_catalog_attribute_find(const struct tagd_catalog *catalog, struct tagd_str name)
{
    for (uint32_t i = 0; i < catalog->n_attributes; i++) {
        if (tagd_str_eq(catalog->attributes[i].field.name, name))
            return (int32_t)i;
    }
    return -1;
}

static int by_key(const void *key, const void *row)
{
    return tagd_str_cmp(*(const struct tagd_str *)key, ((const struct tagd_table_row *)row)->key);
}

struct tagd_str tagd_table_find(const struct tagd_table *table, struct tagd_str key)
{
    const struct tagd_table_row *row = bsearch(&key, table->rows, table->n_rows, sizeof *table->rows, by_key);
    if (row)
        return row->value;
    return table->keep ? key : table->other;
}

size_t tagd_catalog_n_dimensions(const struct tagd_catalog *catalog)
{
    return catalog->n_dimensions;
}
const char *tagd_catalog_dimension(const struct tagd_catalog *catalog, size_t dimension)
{
    return catalog->dimensions[dimension].name;
}
enum tagd_kind tagd_catalog_kind(const struct tagd_catalog *catalog, size_t dimension)
{
    return catalog->dimensions[dimension].kind;
}
bool tagd_catalog_has_kind(const struct tagd_catalog *catalog, enum tagd_kind kind)
{
    switch (kind) {
    case TAGD_KIND_ALERT: return catalog->n_alerts > 0;
    case TAGD_KIND_PROPOSAL: return catalog->reviews;
    case TAGD_KIND_CHURN: return catalog->has_churn_level;
    case TAGD_KIND_GOAL: return catalog->n_goals > 0;
    default: return true;
    }
}
enum tagd_assign tagd_catalog_assign(const struct tagd_catalog *catalog, size_t dimension)
{
    return catalog->dimensions[dimension].assign;
}

static const struct tagd_alias *alias_find(const struct tagd_catalog *catalog, struct tagd_str dimension,
                                           struct tagd_str tag)
{
    size_t lo = 0, hi = catalog->n_aliases;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct tagd_alias *alias = &catalog->aliases[mid];
        int order = tagd_str_cmp(alias->dimension, dimension);
        order = order ? order : tagd_str_cmp(alias->tag, tag);
        if (order == 0)
            return alias;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* A dimension by its own name. */
static int32_t named(const struct tagd_catalog *catalog, struct tagd_str name)
{
    for (uint32_t i = 0; i < catalog->n_dimensions - catalog->n_alerts; i++) {
        if (tagd_str_eq(tagd_str_of(catalog->dimensions[i].name), name))
            return (int32_t)i;
    }
    return -1;
}

int32_t tagd_catalog_dimension_find(const struct tagd_catalog *catalog, struct tagd_str name)
{
    int32_t found = named(catalog, name);
    if (found >= 0)
        return found;
    for (uint32_t i = 0; i < catalog->n_aliases; i++) {
        if (!tagd_str_eq(catalog->aliases[i].dimension, name))
            continue;
        if (found >= 0 && (uint32_t)found != catalog->aliases[i].to)
            return -1;
        found = (int32_t)catalog->aliases[i].to;
    }
    return found;
}

bool tagd_catalog_tag_find(const struct tagd_catalog *catalog, struct tagd_str dimension_name, struct tagd_str tag_name,
                           int32_t *dimension, int32_t *tag)
{
    const struct tagd_alias *alias = alias_find(catalog, dimension_name, tag_name);
    *dimension = alias ? (int32_t)alias->to : named(catalog, dimension_name);
    *tag = alias ? (int32_t)alias->to_tag : -1;
    if (alias || *dimension < 0)
        return alias != NULL;
    const struct tagd_dimension *d = &catalog->dimensions[*dimension];
    for (uint32_t i = 0; i < d->n_rules && !d->is_value && *tag < 0; i++) {
        if (tagd_str_eq(tagd_str_of(d->rules[i].tag), tag_name))
            *tag = (int32_t)i;
    }
    return *tag >= 0;
}

bool tagd_catalog_is_value(const struct tagd_catalog *catalog, size_t dimension)
{
    return catalog->dimensions[dimension].is_value;
}
size_t tagd_catalog_n_tags(const struct tagd_catalog *catalog, size_t dimension)
{
    return catalog->dimensions[dimension].is_value ? 0 : catalog->dimensions[dimension].n_rules;
}
const char *tagd_catalog_tag(const struct tagd_catalog *catalog, size_t dimension, size_t tag)
{
    return catalog->dimensions[dimension].rules[tag].tag;
}

size_t tagd_catalog_n_goals(const struct tagd_catalog *catalog)
{
    return catalog->n_goals;
}
const struct tagd_goal *tagd_catalog_goal(const struct tagd_catalog *catalog, size_t goal)
{
    return &catalog->goals[goal];
}
int32_t tagd_catalog_goal_of(const struct tagd_catalog *catalog, size_t dimension, int32_t tag)
{
    for (uint32_t i = 0; i < catalog->n_goals && tag >= 0; i++) {
        if (catalog->goals[i].dimension == dimension && catalog->goals[i].tag == (uint32_t)tag)
            return (int32_t)i;
    }
    return -1;
}
bool tagd_catalog_holds_out(const struct tagd_goal *goal, struct tagd_str customer)
{
    char text[TAGD_NAME_BYTES_MAX + 1 + TAGD_SUBJECT_MAX];
    size_t n = strlen(goal->name);
    if (customer.n > TAGD_SUBJECT_MAX)
        customer.n = TAGD_SUBJECT_MAX;
    memcpy(text, goal->name, n);
    text[n] = ':';
    memcpy(text + n + 1, customer.p, customer.n);
    return tagd_crc32((struct tagd_str){text, n + 1 + customer.n}) % TAGD_DECIMAL_ONE < goal->holdout;
}

static void describe_dimension(const struct tagd_dimension *dimension, struct tagd_buf *out)
{
    static const char *const assigns[] = {
        [TAGD_ASSIGN_AUTO] = "", [TAGD_ASSIGN_MANUAL] = ", manual", [TAGD_ASSIGN_REVIEW] = ", review"};
    if (dimension->kind == TAGD_KIND_ALERT) {
        tagd_buf_printf(out, "alert %s: %s\n", dimension->name, dimension->rules[0].text);
        return;
    }
    tagd_buf_printf(out, "%s%s:", dimension->name, assigns[dimension->assign]);
    if (dimension->is_value)
        tagd_buf_printf(out, " the value of %s", dimension->rules[0].text);
    for (uint32_t j = 0; !dimension->is_value && j < dimension->n_rules; j++)
        tagd_buf_printf(out, " %s", dimension->rules[j].tag);
    tagd_buf_add_byte(out, '\n');
}

const char *tagd_catalog_label(const struct tagd_catalog *catalog, size_t dimension)
{
    return catalog->dimensions[dimension].label;
}
const char *tagd_catalog_tag_label(const struct tagd_catalog *catalog, size_t dimension, size_t tag)
{
    return catalog->dimensions[dimension].rules[tag].label;
}

static void describe_breakdowns(const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    for (uint32_t i = 0; i < catalog->n_breakdowns; i++) {
        const struct tagd_breakdown *breakdown = &catalog->breakdowns[i];
        tagd_buf_printf(out, "counted by both %s and %s\n", catalog->dimensions[breakdown->a].name,
                        catalog->dimensions[breakdown->b].name);
    }
}

size_t tagd_catalog_n_measures(const struct tagd_catalog *catalog)
{
    return catalog->n_measures;
}

const struct tagd_measure *tagd_catalog_measure(const struct tagd_catalog *catalog, size_t measure)
{
    return &catalog->measures[measure].measure;
}

const char *tagd_catalog_title(const struct tagd_catalog *catalog)
{
    return catalog->label;
}

void tagd_catalog_describe(const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    tagd_buf_printf(out, "catalog %s, version %s, meaning %s\n", catalog->name, catalog->version, catalog->hash);
    tagd_buf_printf(out, "%u event types, %u groups, %u attributes, %u tables, %u metrics, %u dimensions",
                    catalog->n_types, catalog->n_groups, catalog->n_attributes, catalog->n_tables, catalog->n_metrics,
                    catalog->n_dimensions - catalog->n_alerts);
    if (catalog->n_alerts)
        tagd_buf_printf(out, ", %u alert%s", catalog->n_alerts, catalog->n_alerts == 1 ? "" : "s");
    if (catalog->n_aliases)
        tagd_buf_printf(out, ", %u alias%s", catalog->n_aliases, catalog->n_aliases == 1 ? "" : "es");
    tagd_buf_printf(out, "\nkept for each customer: %u pane stores, %u value stores (%u windows), %u marks\n",
                    catalog->n_stores, catalog->n_value_stores, catalog->n_windows, catalog->n_marks);
    for (uint32_t i = 0; i < catalog->n_dimensions; i++)
        describe_dimension(&catalog->dimensions[catalog->order[i]], out);
    describe_breakdowns(catalog, out);
}
