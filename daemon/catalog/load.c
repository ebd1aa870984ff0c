/* The catalog's JSON -> struct tagd_catalog: its head, and its sections in the order in which they need each other. */
#include <stdlib.h>

#include "catalog/load.h"

static bool load_text(struct load *load, const cJSON *root, const char *key, const char **out)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!node)
        return tagd_load_fail(load, "", false, "key '%s' is missing", key);
    const char *pointer = tagd_load_below(load, "", key);
    if (!tagd_load_want(load, node, pointer, cJSON_IsString(node) && node->valuestring[0], "a text"))
        return false;
    *out = tagd_load_keep(load, node->valuestring);
    return true;
}

static bool load_zone(struct load *load, const cJSON *root)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, "timezone");
    if (!node)
        return true;
    const char *text = cJSON_IsString(node) ? node->valuestring : "";
    return tagd_zone_parse(tagd_str_of(text), &load->catalog->zone_ms) ||
           tagd_load_fail(load, "/timezone", false, "expected a fixed offset such as \"+08:00\", at most 14 hours");
}

static bool load_root(struct load *load)
{
    static const char *const keys[] = {"catalog",    "version", "timezone", "label",      "events", "groups",
                                       "attributes", "tables",  "metrics",  "dimensions", "alerts", "aliases",
                                       "goals",      "churn",   "measures", "breakdowns", NULL};
    const cJSON *root = tagd_jsonc_root(load->jsonc);
    if (!tagd_load_want(load, root, "", cJSON_IsObject(root), "an object"))
        return false;
    if (!tagd_load_known_keys(load, root, "", keys) || !load_text(load, root, "catalog", &load->catalog->name) ||
        !load_text(load, root, "version", &load->catalog->version) || !load_zone(load, root) ||
        !tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(root, "label"), "/label") ||
        !tagd_load_events(load, root) || !tagd_load_groups(load, root) || !tagd_load_attributes(load, root) ||
        !tagd_load_tables(load, root) || !tagd_load_metrics(load, root) || !tagd_load_dimensions(load, root) ||
        !tagd_load_aliases(load, root) || !tagd_load_breakdowns(load, root) || !tagd_load_rules(load) ||
        !tagd_load_goals(load, root) || !tagd_load_measures(load, root) || !tagd_load_order(load))
        return false;
    load->catalog->label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(root, "label"));
    tagd_load_link(load->catalog);
    tagd_load_steady(load->catalog);
    tagd_load_meaning(load->catalog);
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
