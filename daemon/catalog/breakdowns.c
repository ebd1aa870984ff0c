/* Breakdowns: what customers are counted by, beyond each dimension by itself. */
#include <string.h>

#include "catalog/load.h"

/* A dimension by its own name, at its place in the list. */
static bool breakdown_part(struct load *load, const cJSON *node, const char *pointer, uint32_t *dimension)
{
    const struct tagd_catalog *catalog = load->catalog;
    uint32_t n = catalog->n_dimensions - catalog->n_alerts;
    if (!tagd_load_want(load, node, pointer, cJSON_IsString(node), "the name of a dimension"))
        return false;
    for (*dimension = 0; *dimension < n; ++*dimension) {
        if (strcmp(catalog->dimensions[*dimension].name, node->valuestring) == 0)
            return true;
    }
    return tagd_load_fail(load, pointer, false, "'%s' is no dimension of this catalog", node->valuestring);
}

static bool load_breakdown(struct load *load, const cJSON *node, const char *pointer)
{
    struct tagd_catalog *catalog = load->catalog;
    uint32_t of[2] = {0, 0};
    int n = cJSON_GetArraySize(node);
    if (!tagd_load_want(load, node, pointer, cJSON_IsArray(node) && (n == 1 || n == 2),
                        "an array of two dimensions, or of one"))
        return false;
    for (int i = 0; i < n; i++) {
        if (!breakdown_part(load, cJSON_GetArrayItem(node, i), tagd_load_below_index(load, pointer, (uint32_t)i),
                            &of[i]))
            return false;
        catalog->dimensions[of[i]].by_day = true;
    }
    if (n == 1 && !catalog->dimensions[of[0]].is_value)
        return tagd_load_fail(load, pointer, false,
                              "'%s' has 'tags', which are always counted: expected a second dimension",
                              catalog->dimensions[of[0]].name);
    for (const cJSON *before = node->prev; n == 1 && before->next; before = before->prev) {
        if (cJSON_Compare(before, node, true))
            return tagd_load_fail(load, pointer, false, "this one stands in \"breakdowns\" already");
    }
    if (n == 1)
        return true;
    struct tagd_breakdown pair = {of[0] < of[1] ? of[0] : of[1], of[0] < of[1] ? of[1] : of[0]};
    if (pair.a == pair.b)
        return tagd_load_fail(load, pointer, false, "expected two different dimensions");
    for (uint32_t i = 0; i < catalog->n_breakdowns; i++) {
        if (catalog->breakdowns[i].a == pair.a && catalog->breakdowns[i].b == pair.b)
            return tagd_load_fail(load, pointer, false, "these two stand in \"breakdowns\" already");
    }
    catalog->breakdowns[catalog->n_breakdowns++] = pair;
    return true;
}

/* No part of the meaning: a shard counts anew. */
bool tagd_load_breakdowns(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *breakdowns = cJSON_GetObjectItemCaseSensitive(root, "breakdowns");
    int n = cJSON_GetArraySize(breakdowns);
    uint32_t i = 0;
    for (uint32_t d = 0; d < catalog->n_dimensions; d++)
        catalog->dimensions[d].by_day = !catalog->dimensions[d].is_value;
    if (!breakdowns)
        return true;
    if (!tagd_load_want(load, breakdowns, "/breakdowns", cJSON_IsArray(breakdowns), "an array of breakdowns"))
        return false;
    if (n > TAGD_BREAKDOWNS_MAX)
        return tagd_load_fail(load, "/breakdowns", false, "%d breakdowns: a catalog has at most %d", n,
                              TAGD_BREAKDOWNS_MAX);
    catalog->breakdowns = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->breakdowns);
    for (const cJSON *node = breakdowns->child; node; node = node->next) {
        if (!load_breakdown(load, node, tagd_load_below_index(load, "/breakdowns", i++)))
            return false;
    }
    return true;
}
