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

void tagd_catalog_describe(const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    tagd_buf_printf(out, "catalog %s, version %s, meaning %s\n", catalog->name, catalog->version, catalog->hash);
    tagd_buf_printf(out, "%u event types, %u groups, %u attributes, %u tables, %u metrics, %u dimensions\n",
                    catalog->n_types, catalog->n_groups, catalog->n_attributes, catalog->n_tables, catalog->n_metrics,
                    catalog->n_dimensions);
    tagd_buf_printf(out, "kept for each customer: %u pane stores, %u value stores (%u windows), %u marks\n",
                    catalog->n_stores, catalog->n_value_stores, catalog->n_windows, catalog->n_marks);
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        const struct tagd_dimension *dimension = &catalog->dimensions[catalog->order[i]];
        tagd_buf_printf(out, "%s:", dimension->name);
        if (dimension->is_value)
            tagd_buf_printf(out, " the value of %s", dimension->rules[0].text);
        for (uint32_t j = 0; !dimension->is_value && j < dimension->n_rules; j++)
            tagd_buf_printf(out, " %s", dimension->rules[j].tag);
        tagd_buf_add_byte(out, '\n');
    }
}
