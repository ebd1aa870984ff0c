/* Windows over panes and values: what is in them at an instant, kept as they move forward. */
#include "engine/eval.h"

#include <string.h>

static const struct tagd_grid *grid_of(const struct view *view, const struct tagd_window *window)
{
    return window->values ? &view->catalog->value_stores[window->store].grid
                          : &view->catalog->stores[window->store].grid;
}

/* What a window looks at: panes, or values by pane, and the numbers of the panes, ascending; of values one an entry. */
struct looked_at {
    const struct tagd_panes *panes;   /* NULL: values */
    const struct tagd_values *values; /* NULL: panes */
    const int64_t *pane;
    uint32_t n;
};

static inline struct looked_at looked_at(const struct view *view, const struct tagd_window *window)
{
    if (window->values) {
        const struct tagd_values *values = tagd_values_of(view->profile, window->store);
        return (struct looked_at){NULL, values, values->pane, values->n};
    }
    const struct tagd_panes *panes = tagd_panes_of(view->profile, window->store);
    tagd_panes_unpack(panes, view->catalog->stores[window->store].n_columns);
    return (struct looked_at){panes, NULL, panes->pane, panes->n};
}

static void counts_grow(struct cursor *cursor, uint32_t n)
{
    if (n <= cursor->cap_counts)
        return;
    cursor->cap_counts = n * 2;
    cursor->counts = tagd_xrealloc(cursor->counts, cursor->cap_counts * sizeof *cursor->counts);
}

static void cursor_begin(struct view *view, uint32_t index, struct cursor *cursor, int64_t pane,
                         const struct looked_at *at)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    const struct cursor *from = view->base ? &view->base->cursors[index] : NULL;
    uint32_t n_columns = window->values ? 0 : view->catalog->stores[window->store].n_columns;
    uint32_t n_known = at->values ? at->values->n_known : 0;
    bool copy = from && from->stamp == view->base->stamp && from->at <= pane;
    uint32_t first;
    const int64_t *panes = at->pane;
    for (first = copy ? 0 : at->n; first > 0 && panes[first - 1] > pane - window->panes; first--)
        ;
    counts_grow(cursor, n_known);
    cursor->stamp = view->stamp;
    cursor->at = copy ? from->at : pane;
    cursor->lo = copy ? from->lo : first;
    cursor->hi = copy ? from->hi : first;
    cursor->distinct = copy ? from->distinct : 0;
    for (uint32_t c = 0; c < n_columns; c++) {
        cursor->sums[c] = copy ? from->sums[c] : 0;
        cursor->best[c] = copy ? from->best[c] : 0;
    }
    if (n_known && copy)
        memcpy(cursor->counts, from->counts, n_known * sizeof *cursor->counts);
    else if (n_known)
        memset(cursor->counts, 0, n_known * sizeof *cursor->counts);
}

/* ---- panes come and go ---- */

struct pane_store {
    const struct tagd_store *store;
    const struct tagd_panes *panes;
    const struct tagd_catalog *catalog;
};

static tagd_i128 cell(const struct pane_store *at, uint32_t i, uint32_t column)
{
    return at->panes->cells[(size_t)i * at->store->n_columns + column];
}

/* The local days that a pane has events on: first and last; at most two, one after the other. */
static void days_of_pane(const struct pane_store *at, uint32_t i, uint32_t column, int64_t *first, int64_t *last)
{
    unsigned bits = (unsigned)cell(at, i, column);
    int64_t day = tagd_local_day(at->catalog, tagd_grid_begin(&at->store->grid, at->panes->pane[i]));
    *first = bits & 1 ? day : day + 1;
    *last = bits & 2 ? day + 1 : day;
}

static void days_enter(const struct pane_store *at, struct cursor *cursor, uint32_t i, uint32_t column)
{
    int64_t first, last, unused, before = INT64_MIN;
    days_of_pane(at, i, column, &first, &last);
    if (i > cursor->lo)
        days_of_pane(at, i - 1, column, &unused, &before);
    cursor->sums[column] += (first > before) + (last > first && last > before);
}

static void days_leave(const struct pane_store *at, struct cursor *cursor, uint32_t i, uint32_t column)
{
    int64_t first, last, unused, after = INT64_MAX;
    days_of_pane(at, i, column, &first, &last);
    if (i + 1 < cursor->hi)
        days_of_pane(at, i + 1, column, &after, &unused);
    cursor->sums[column] -= (first < after) + (last > first && last < after);
}

static void best_enter(const struct pane_store *at, struct cursor *cursor, uint32_t i, uint32_t column)
{
    tagd_i128 value = cell(at, i, column), best = cursor->sums[column];
    bool least = at->store->columns[column].kind == TAGD_COL_FIELD_MIN;
    if (value == 0 || (best != 0 && (least ? value > best : value < best)))
        return;
    cursor->sums[column] = value;
    cursor->best[column] = i;
}

static void best_leave(const struct pane_store *at, struct cursor *cursor, uint32_t i, uint32_t column)
{
    if (cursor->sums[column] == 0 || cursor->best[column] != i)
        return;
    cursor->sums[column] = 0;
    for (uint32_t next = i + 1; next < cursor->hi; next++)
        best_enter(at, cursor, next, column);
}

/* Of a store whose panes only add up. */
static void sums_enter(struct view *view, const struct pane_store *at, struct cursor *cursor, uint32_t to)
{
    uint32_t n_columns = at->store->n_columns;
    if (cursor->hi >= to) /* there may be no cells at all */
        return;
    const tagd_i128 *cells = &at->panes->cells[(size_t)cursor->hi * n_columns];
    for (; cursor->hi < to; cursor->hi++, cells += n_columns) {
        for (uint32_t c = 0; c < n_columns; c++) {
            cursor->sums[c] += cells[c];
            view->negative |= cells[c] < 0;
        }
    }
}

static void pane_enter(const struct pane_store *at, struct cursor *cursor, uint32_t i)
{
    for (uint32_t c = 0; c < at->store->n_columns; c++) {
        switch (at->store->columns[c].kind) {
        case TAGD_COL_FIELD_MIN:
        case TAGD_COL_FIELD_MAX: best_enter(at, cursor, i, c); break;
        case TAGD_COL_DAYS: days_enter(at, cursor, i, c); break;
        default: cursor->sums[c] += cell(at, i, c); break;
        }
    }
}

static void pane_leave(const struct pane_store *at, struct cursor *cursor, uint32_t i)
{
    for (uint32_t c = 0; c < at->store->n_columns; c++) {
        switch (at->store->columns[c].kind) {
        case TAGD_COL_FIELD_MIN:
        case TAGD_COL_FIELD_MAX: best_leave(at, cursor, i, c); break;
        case TAGD_COL_DAYS: days_leave(at, cursor, i, c); break;
        default: cursor->sums[c] -= cell(at, i, c); break;
        }
    }
}

static void value_enter(struct cursor *cursor, const struct tagd_seen *seen)
{
    cursor->distinct += cursor->counts[seen->value] == 0;
    cursor->counts[seen->value] += seen->count;
}

static void value_leave(struct cursor *cursor, const struct tagd_seen *seen)
{
    cursor->counts[seen->value] -= seen->count;
    cursor->distinct -= cursor->counts[seen->value] == 0;
}

/* All packed panes are in the window that ends with the pane, so that their sum is enough. */
static bool stays_packed(const struct tagd_store *store, const struct tagd_panes *panes,
                         const struct tagd_window *window, int64_t pane)
{
    return store->sums && panes->packed.first > pane - window->panes && panes->packed.last <= pane;
}

static const struct cursor *bring_packed(struct view *view, const struct pane_store *at, struct cursor *cursor,
                                         int64_t pane)
{
    const struct tagd_panes *panes = at->panes;
    uint32_t packed = panes->packed.n, n_columns = at->store->n_columns, hi = 0;
    memcpy(cursor->sums, panes->packed.sums, n_columns * sizeof *cursor->sums);
    for (; hi < panes->n && panes->pane[hi] <= pane; hi++) {
        for (uint32_t c = 0; c < n_columns; c++) {
            cursor->sums[c] += cell(at, hi, c);
            view->negative |= cell(at, hi, c) < 0;
        }
    }
    cursor->stamp = view->stamp;
    cursor->at = pane;
    cursor->now = view->now;
    cursor->lo = 0;
    cursor->hi = packed + hi;
    return cursor;
}

/* Brings the window's cursor to view->now. */
static const struct cursor *bring(struct view *view, uint32_t index, struct cursor *cursor)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    int64_t pane = tagd_grid_pane(grid_of(view, window), view->now - window->offset_ms);
    struct pane_store at = {NULL, NULL, view->catalog};
    if (!window->values) {
        at.store = &view->catalog->stores[window->store];
        at.panes = tagd_panes_of(view->profile, window->store);
        if (at.panes->packed.n > 0 && stays_packed(at.store, at.panes, window, pane))
            return bring_packed(view, &at, cursor, pane);
    }
    const struct looked_at of = looked_at(view, window);
    const int64_t *panes = of.pane;
    uint32_t n = of.n;
    if (cursor->stamp != view->stamp || cursor->at > pane)
        cursor_begin(view, index, cursor, pane, &of);
    cursor->at = pane;
    cursor->now = view->now;
    if (at.store && at.store->sums) {
        uint32_t to = cursor->hi;
        while (to < n && panes[to] <= pane)
            to++;
        sums_enter(view, &at, cursor, to);
    }
    for (; cursor->hi < n && panes[cursor->hi] <= pane; cursor->hi++) {
        if (window->values)
            value_enter(cursor, &of.values->seen[cursor->hi]);
        else
            pane_enter(&at, cursor, cursor->hi);
    }
    for (; cursor->lo < cursor->hi && panes[cursor->lo] <= pane - window->panes; cursor->lo++) {
        if (window->values)
            value_leave(cursor, &of.values->seen[cursor->lo]);
        else
            pane_leave(&at, cursor, cursor->lo);
    }
    return cursor;
}

static inline const struct cursor *window_seek(struct view *view, uint32_t index)
{
    struct cursor *cursor = &view->cursors[index];
    return cursor->stamp == view->stamp && cursor->now == view->now ? cursor : bring(view, index, cursor);
}

/* Of all time. */
static tagd_i128 all_time_sum(const struct view *view, const struct tagd_window *window, uint32_t column)
{
    const struct tagd_panes *panes = tagd_panes_of(view->profile, window->store);
    if (view->catalog->stores[window->store].columns[column].kind == TAGD_COL_DAYS)
        return tagd_panes_count(panes); /* a pane a day */
    return panes->n ? panes->cells[column] : 0;
}

tagd_i128 tagd_window_sum(struct view *view, uint32_t index, uint32_t column)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    return window->panes ? window_seek(view, index)->sums[column] : all_time_sum(view, window, column);
}

/* The next instant at which a pane with events leaves or enters. */
int64_t tagd_window_boundary(struct view *view, uint32_t index)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    if (!window->panes)
        return TAGD_NEVER;
    const struct tagd_grid *grid = grid_of(view, window);
    const struct cursor *cursor = window_seek(view, index);
    const struct looked_at of = looked_at(view, window); /* unpacked, for which the cursor stands as before */
    const int64_t *panes = of.pane;
    uint32_t n = of.n;
    int64_t pane = TAGD_NEVER;
    if (cursor->lo < cursor->hi)
        pane = panes[cursor->lo] + window->panes;
    if (cursor->hi < n && panes[cursor->hi] < pane)
        pane = panes[cursor->hi];
    return pane == TAGD_NEVER ? TAGD_NEVER : tagd_grid_begin(grid, pane) + window->offset_ms;
}

int64_t tagd_window_crossing(struct view *view, const struct tagd_node *node, enum tagd_node_kind op, tagd_i128 level)
{
    const struct tagd_window *window = &view->catalog->windows[node->index];
    const struct tagd_store *store = &view->catalog->stores[window->store];
    const struct tagd_panes *panes = tagd_panes_of(view->profile, window->store);
    const struct cursor *cursor = window_seek(view, node->index);
    tagd_panes_unpack(panes, store->n_columns);
    tagd_i128 sum = cursor->sums[node->column], one = node->kind == TAGD_N_COUNT ? TAGD_DECIMAL_ONE : 1;
    bool now = tagd_val_outcome(op, (sum * one > level) - (sum * one < level));
    int64_t pane = TAGD_NEVER;
    for (uint32_t lo = cursor->lo, hi = cursor->hi, i = 0; i < WALK_PANES_MAX; i++) {
        pane = lo < hi ? panes->pane[lo] + window->panes : TAGD_NEVER;
        if (hi < panes->n && panes->pane[hi] < pane)
            pane = panes->pane[hi];
        if (pane == TAGD_NEVER)
            return TAGD_NEVER;
        for (; hi < panes->n && panes->pane[hi] <= pane; hi++)
            sum += panes->cells[(size_t)hi * store->n_columns + node->column];
        for (; lo < hi && panes->pane[lo] <= pane - window->panes; lo++)
            sum -= panes->cells[(size_t)lo * store->n_columns + node->column];
        if (tagd_val_outcome(op, (sum * one > level) - (sum * one < level)) != now)
            break;
    }
    return tagd_grid_begin(&store->grid, pane) + window->offset_ms;
}

uint32_t tagd_window_distinct(struct view *view, uint32_t index)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    return window->panes ? window_seek(view, index)->distinct : tagd_values_of(view->profile, window->store)->n;
}

/* The entry of the most frequent value, ties to the one seen last; UINT32_MAX: none. */
uint32_t tagd_window_top(struct view *view, uint32_t index)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    const struct tagd_values *values = tagd_values_of(view->profile, window->store);
    uint64_t most = 0;
    uint32_t top = UINT32_MAX;
    if (!window->panes) { /* a value is there once */
        for (uint32_t i = 0; i < values->n; i++) {
            if (values->seen[i].count >= most) {
                most = values->seen[i].count;
                top = i;
            }
        }
        return top;
    }
    const struct cursor *cursor = window_seek(view, index);
    for (uint32_t i = 0; i < values->n_known; i++)
        most = cursor->counts[i] > most ? cursor->counts[i] : most;
    for (uint32_t i = cursor->hi; i > cursor->lo; i--) {
        if (cursor->counts[values->seen[i - 1].value] == most)
            return i - 1;
    }
    return UINT32_MAX;
}
