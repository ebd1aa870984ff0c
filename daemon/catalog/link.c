/* How dimensions reach each other, and what an event touches. */
#include <string.h>

#include "catalog/load.h"

/* ---- how dimensions reach each other ---- */

static uint64_t *new_set(struct tagd_catalog *catalog)
{
    return tagd_arena_zalloc(&catalog->arena, (catalog->set_words + 1) * sizeof(uint64_t));
}

/* reads: what it needs and looks at, through others too. */
static void link_reads(struct tagd_catalog *catalog)
{
    uint32_t n = catalog->n_dimensions;
    for (uint32_t d = 0; d < n; d++) {
        struct tagd_dimension *dimension = &catalog->dimensions[d];
        dimension->reads = new_set(catalog);
        dimension->read_by = new_set(catalog);
        for (uint32_t i = 0; i < n; i++) {
            if (dimension->needs[i] || dimension->looks[i])
                tagd_set_add(dimension->reads, catalog->dimensions[i].place);
            catalog->dimensions[i].remembered |= dimension->looks[i];
            catalog->looks_back |= dimension->looks[i];
        }
    }
    for (uint32_t by = 0; by < n; by++) {
        for (uint32_t d = 0; d < n; d++) {
            if (tagd_set_has(catalog->dimensions[d].reads, catalog->dimensions[by].place))
                tagd_set_join(catalog->dimensions[d].reads, catalog->dimensions[by].reads, catalog->set_words);
        }
    }
    for (uint32_t d = 0; d < n; d++) {
        catalog->dimensions[d].alone = tagd_set_empty(catalog->dimensions[d].reads, catalog->set_words);
        TAGD_EACH (i, catalog->dimensions[d].reads, catalog->set_words)
            tagd_set_add(catalog->dimensions[catalog->order[i]].read_by, catalog->dimensions[d].place);
    }
}

/* Those that look at it, and those that need one of these. */
static void link_stirs(struct tagd_catalog *catalog)
{
    uint32_t n = catalog->n_dimensions;
    for (uint32_t d = 0; d < n; d++) {
        catalog->dimensions[d].stirs = new_set(catalog);
        for (uint32_t i = 0; catalog->dimensions[d].remembered && i < n; i++) {
            const struct tagd_dimension *other = &catalog->dimensions[i];
            bool stirred = other->looks[d];
            for (uint32_t j = 0; j < n && !stirred; j++)
                stirred = other->needs[j] && catalog->dimensions[j].looks[d];
            if (stirred)
                tagd_set_add(catalog->dimensions[d].stirs, other->place);
        }
    }
}

/* Those with which something always stands between the rules' outcome and the tag, or that are looked back at. */
static void link_standing(struct tagd_catalog *catalog)
{
    catalog->standing = new_set(catalog);
    catalog->remembered = new_set(catalog);
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        const struct tagd_dimension *dimension = &catalog->dimensions[d];
        if (dimension->holds_back || dimension->remembered || dimension->assign != TAGD_ASSIGN_AUTO)
            tagd_set_add(catalog->standing, dimension->place);
        if (dimension->remembered)
            tagd_set_add(catalog->remembered, d);
    }
}

static void link_sums(struct tagd_catalog *catalog)
{
    for (uint32_t i = 0; i < catalog->n_stores; i++) {
        struct tagd_store *store = &catalog->stores[i];
        store->sums = true;
        for (uint32_t c = 0; c < store->n_columns; c++) {
            enum tagd_column_kind kind = store->columns[c].kind;
            store->sums = store->sums && kind <= TAGD_COL_FIELD_COUNT;
        }
    }
}

/* ---- what an event touches ---- */

static void touch_selector(struct tagd_catalog *catalog, uint32_t selector, uint32_t dimension)
{
    tagd_set_add(catalog->selectors[selector].dimensions, catalog->dimensions[dimension].place);
}

static void touch(struct tagd_catalog *catalog, const struct tagd_node *node, uint32_t dimension)
{
    if (!node)
        return;
    if (node->kind == TAGD_N_METRIC)
        touch(catalog, catalog->metrics[node->index].node, dimension);
    if (node->kind >= TAGD_N_COUNT && node->kind <= TAGD_N_DAYS)
        touch_selector(catalog, catalog->stores[catalog->windows[node->index].store].selector, dimension);
    if (node->kind == TAGD_N_DISTINCT || node->kind == TAGD_N_TOP)
        touch_selector(catalog, catalog->value_stores[catalog->windows[node->index].store].selector, dimension);
    if (node->kind == TAGD_N_UNTIL_NEXT)
        touch_selector(catalog, catalog->value_stores[node->column].selector, dimension);
    if (tagd_node_of_mark(node))
        touch_selector(catalog, catalog->marks[node->index].selector, dimension);
    if (tagd_node_of_attribute(node))
        tagd_set_add(catalog->attributes[node->index].dimensions, catalog->dimensions[dimension].place);
    if (node->kind == TAGD_N_P_ALIVE)
        touch_selector(catalog, catalog->churn.selector, dimension);
    touch(catalog, node->a, dimension);
    touch(catalog, node->b, dimension);
    for (uint32_t i = 0; i < node->n_list; i++)
        touch(catalog, node->list[i], dimension);
}

/* And those that read these. */
static void touch_through(const struct tagd_catalog *catalog, uint64_t *dimensions)
{
    uint64_t touched[TAGD_SET_WORDS(TAGD_DIMENSIONS_MAX + TAGD_ALERTS_MAX) + 1];
    memcpy(touched, dimensions, catalog->set_words * sizeof *touched);
    TAGD_EACH (i, touched, catalog->set_words)
        tagd_set_join(dimensions, catalog->dimensions[catalog->order[i]].read_by, catalog->set_words);
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
    catalog->set_words = TAGD_SET_WORDS(catalog->n_dimensions);
    link_reads(catalog);
    link_stirs(catalog);
    link_standing(catalog);
    link_sums(catalog);
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        catalog->attributes[i].dimensions = new_set(catalog);
    for (uint32_t i = 0; i < catalog->n_selectors; i++) /* some are older than the last dimension */
        catalog->selectors[i].dimensions = new_set(catalog);
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
