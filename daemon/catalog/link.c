/* How dimensions reach each other, and what an event touches. */
#include <string.h>

#include "catalog/load.h"

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

void tagd_load_link(struct tagd_catalog *catalog)
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
