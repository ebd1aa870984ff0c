/* Value tables. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "catalog/load.h"

/* The string of a member; there may be very many, so a pointer is made for a message only. */
static bool table_text(struct load *load, const cJSON *node, const char *pointer, struct tagd_str *out)
{
    size_t n = cJSON_IsString(node) ? strlen(node->valuestring) : 0;
    if (cJSON_IsString(node) && n <= TAGD_STRING_MAX) {
        *out = tagd_arena_copy(&load->catalog->arena, node->valuestring, n);
        return true;
    }
    const char *at = tagd_load_below(load, pointer, node->string);
    return tagd_load_want(load, node, at, cJSON_IsString(node), "a string") &&
           tagd_load_fail(load, at, false, "expected a string of at most %d bytes, found %zu", TAGD_STRING_MAX, n);
}

static bool load_row(struct load *load, const cJSON *node, const char *pointer, struct tagd_table_row *row)
{
    size_t n = strlen(node->string);
    if (n > TAGD_STRING_MAX)
        return tagd_load_fail(load, pointer, false, "a key has at most %d bytes: that which begins with '%.*s' has %zu",
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
    if (!tagd_load_want(load, values, pointer, cJSON_IsObject(values), "an object of values by key"))
        return false;
    int n = cJSON_GetArraySize(values);
    if (n == 0)
        return tagd_load_fail(load, pointer, false, "a table has at least one value");
    if (n > TAGD_TABLE_VALUES_MAX)
        return tagd_load_fail(load, pointer, false, "%d values: a table has at most %d", n, TAGD_TABLE_VALUES_MAX);
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
    if (!tagd_load_name_ok(node->string, 1, 1))
        return tagd_load_fail(load, pointer, true, "expected a table's name of ASCII letters, digits, _ and -");
    table->name = tagd_str_of(tagd_load_keep(load, node->string));
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object with 'values'") ||
        !tagd_load_known_keys(load, node, pointer, keys))
        return false;
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(node, "values"),
                *other = cJSON_GetObjectItemCaseSensitive(node, "else"),
                *kept = cJSON_GetObjectItemCaseSensitive(node, "keep");
    if (!values)
        return tagd_load_fail(load, pointer, false, "key 'values' is missing");
    if (!load_rows(load, values, tagd_load_below(load, pointer, "values"), table))
        return false;
    if (other && kept)
        return tagd_load_fail(load, tagd_load_below(load, pointer, "keep"), true,
                              "a table has 'else' or 'keep' for what isn't in it: expected one of them");
    if (other && !table_text(load, other, pointer, &table->other))
        return false;
    if (kept &&
        !tagd_load_want(load, kept, tagd_load_below(load, pointer, "keep"), cJSON_IsBool(kept), "true or false"))
        return false;
    table->keep = cJSON_IsTrue(kept);
    return true;
}

static int by_table_name(const void *a, const void *b)
{
    return tagd_str_cmp(((const struct tagd_table *)a)->name, ((const struct tagd_table *)b)->name);
}

bool tagd_load_tables(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *tables = cJSON_GetObjectItemCaseSensitive(root, "tables");
    if (!tables)
        return true;
    if (!tagd_load_want(load, tables, "/tables", cJSON_IsObject(tables), "an object of value tables"))
        return false;
    int n = cJSON_GetArraySize(tables);
    if (n > TAGD_TABLES_MAX)
        return tagd_load_fail(load, "/tables", false, "%d tables: a catalog has at most %d", n, TAGD_TABLES_MAX);
    catalog->tables = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->tables);
    for (const cJSON *node = tables->child; node; node = node->next) {
        if (!load_table(load, node, tagd_load_below(load, "/tables", node->string),
                        &catalog->tables[catalog->n_tables]))
            return false;
        catalog->n_tables++;
    }
    qsort(catalog->tables, catalog->n_tables, sizeof *catalog->tables, by_table_name);
    return true;
}
