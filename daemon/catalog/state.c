/* What a compiled catalog keeps of each customer: selectors, stores of panes and of values, windows over them, marks. */
#include <string.h>

#include "catalog/parse.h"

static void *grow(struct tagd_arena *arena, void *old, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return old;
    *cap = *cap ? *cap * 2 : 8;
    void *p = tagd_arena_zalloc(arena, *cap * size);
    if (n)
        memcpy(p, old, n * size);
    return p;
}

static void describe_match(const struct tagd_match *match, struct tagd_buf *out)
{
    for (uint32_t i = 0; i < match->n_clauses; i++) {
        tagd_buf_add_byte(out, '|');
        for (uint32_t j = 0; j < match->clauses[i].n_terms; j++) {
            const struct tagd_term *term = &match->clauses[i].terms[j];
            tagd_buf_printf(out, ";%d,%d,%d,%lld,", term->field, (int)term->field_type, (int)term->op,
                            (long long)term->literal.i);
            if (term->field_type == TAGD_STRING)
                tagd_buf_add_json(out, term->literal.s);
        }
    }
}

uint32_t tagd_state_selector(struct tagd_catalog *catalog, const struct tagd_match *by_type)
{
    struct tagd_buf key = {0};
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        if (!by_type[i].n_clauses)
            continue;
        tagd_buf_printf(&key, "%u", i);
        describe_match(&by_type[i], &key);
    }
    struct tagd_str text = {key.p, key.n};
    for (uint32_t i = 0; i < catalog->n_selectors; i++) {
        if (tagd_str_eq(tagd_str_of(catalog->selectors[i].key), text)) {
            tagd_buf_free(&key);
            return i;
        }
    }
    catalog->selectors = grow(&catalog->arena, catalog->selectors, catalog->n_selectors, &catalog->cap_selectors,
                              sizeof *catalog->selectors);
    struct tagd_selector *selector = &catalog->selectors[catalog->n_selectors];
    *selector = (struct tagd_selector){.key = tagd_arena_copy(&catalog->arena, text.p, text.n).p};
    selector->by_type = tagd_arena_zalloc(&catalog->arena, catalog->n_types * sizeof *by_type);
    memcpy(selector->by_type, by_type, catalog->n_types * sizeof *by_type);
    tagd_buf_free(&key);
    return catalog->n_selectors++;
}

static struct tagd_grid grid_of(const struct tagd_catalog *catalog, int64_t pane_ms, bool forever)
{
    return (struct tagd_grid){.pane_ms = pane_ms,
                              .shift_ms = pane_ms == TAGD_MS_DAY ? catalog->zone_ms : 0,
                              .span = forever ? TAGD_SPAN_FOREVER : 0};
}

uint32_t tagd_state_store(struct tagd_catalog *catalog, uint32_t selector, int64_t pane_ms, bool forever)
{
    for (uint32_t i = 0; i < catalog->n_stores; i++) {
        const struct tagd_store *store = &catalog->stores[i];
        if (store->selector == selector && store->grid.pane_ms == pane_ms &&
            (store->grid.span == TAGD_SPAN_FOREVER) == forever)
            return i;
    }
    catalog->stores =
        grow(&catalog->arena, catalog->stores, catalog->n_stores, &catalog->cap_stores, sizeof *catalog->stores);
    catalog->stores[catalog->n_stores] =
        (struct tagd_store){.selector = selector, .grid = grid_of(catalog, pane_ms, forever)};
    return catalog->n_stores++;
}

uint32_t tagd_state_values(struct tagd_catalog *catalog, uint32_t selector, int64_t pane_ms, struct tagd_str field,
                           enum tagd_field_type type)
{
    for (uint32_t i = 0; i < catalog->n_value_stores; i++) {
        const struct tagd_value_store *store = &catalog->value_stores[i];
        if (store->selector == selector && store->grid.pane_ms == pane_ms && tagd_str_eq(store->field, field))
            return i;
    }
    catalog->value_stores = grow(&catalog->arena, catalog->value_stores, catalog->n_value_stores,
                                 &catalog->cap_value_stores, sizeof *catalog->value_stores);
    catalog->value_stores[catalog->n_value_stores] =
        (struct tagd_value_store){.selector = selector,
                                  .grid = grid_of(catalog, pane_ms, false),
                                  .field = field,
                                  .field_type = type,
                                  .by_type = tagd_field_by_type(catalog, field)};
    return catalog->n_value_stores++;
}

int32_t *tagd_field_by_type(struct tagd_catalog *catalog, struct tagd_str field)
{
    int32_t *by_type = tagd_arena_zalloc(&catalog->arena, (catalog->n_types + 1) * sizeof *by_type);
    bool source = tagd_str_eq(field, TAGD_STR("source"));
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        by_type[i] = source ? TAGD_FIELD_SOURCE : TAGD_FIELD_ABSENT;
        for (uint32_t j = 0; j < catalog->types[i].n_fields; j++) {
            if (tagd_str_eq(catalog->types[i].fields[j].name, field))
                by_type[i] = (int32_t)j;
        }
    }
    return by_type;
}

uint32_t tagd_state_column(struct tagd_catalog *catalog, uint32_t index, enum tagd_column_kind kind,
                           struct tagd_str field)
{
    struct tagd_store *store = &catalog->stores[index];
    for (uint32_t i = 0; i < store->n_columns; i++) {
        if (store->columns[i].kind == kind && tagd_str_eq(store->columns[i].field, field))
            return i;
    }
    struct tagd_column *columns = tagd_arena_zalloc(&catalog->arena, (store->n_columns + 1) * sizeof *columns);
    if (store->n_columns)
        memcpy(columns, store->columns, store->n_columns * sizeof *columns);
    store->columns = columns;
    columns[store->n_columns] = (struct tagd_column){
        .kind = kind, .field = field, .by_type = field.n ? tagd_field_by_type(catalog, field) : NULL};
    return store->n_columns++;
}

uint32_t tagd_state_window(struct tagd_catalog *catalog, bool values, uint32_t store, int64_t panes, int64_t offset_ms)
{
    for (uint32_t i = 0; i < catalog->n_windows; i++) {
        const struct tagd_window *window = &catalog->windows[i];
        if (window->values == values && window->store == store && window->panes == panes &&
            window->offset_ms == offset_ms)
            return i;
    }
    catalog->windows =
        grow(&catalog->arena, catalog->windows, catalog->n_windows, &catalog->cap_windows, sizeof *catalog->windows);
    catalog->windows[catalog->n_windows] =
        (struct tagd_window){.values = values, .store = store, .panes = panes, .offset_ms = offset_ms};
    struct tagd_grid *grid = values ? &catalog->value_stores[store].grid : &catalog->stores[store].grid;
    int64_t span = panes ? panes + offset_ms / grid->pane_ms : 0;
    if (span > grid->span)
        grid->span = span;
    return catalog->n_windows++;
}

uint32_t tagd_state_mark(struct tagd_catalog *catalog, uint32_t selector, enum tagd_mark_kind kind,
                         struct tagd_str field, enum tagd_field_type type)
{
    for (uint32_t i = 0; i < catalog->n_marks; i++) {
        const struct tagd_mark *mark = &catalog->marks[i];
        if (mark->selector == selector && mark->kind == kind && tagd_str_eq(mark->field, field))
            return i;
    }
    catalog->marks =
        grow(&catalog->arena, catalog->marks, catalog->n_marks, &catalog->cap_marks, sizeof *catalog->marks);
    catalog->marks[catalog->n_marks] =
        (struct tagd_mark){.selector = selector,
                           .kind = kind,
                           .field = field,
                           .field_type = type,
                           .by_type = field.n ? tagd_field_by_type(catalog, field) : NULL};
    return catalog->n_marks++;
}
