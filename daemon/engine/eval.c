/* Values and their stability.
 *
 * Between two instants at which a pane enters or leaves one of its windows, an expression changes with time only
 * through since() and its kin, linearly. Every operation (integer and IEEE arithmetic with rounding alike) is monotone
 * in each operand, so evaluating an expression on the two ends of a stretch of time bounds all values in between,
 * rounding included. The search for the instant at which a comparison changes halves a stretch until the bounds decide
 * it: exact to the millisecond, with no assumption on how rounding falls. The usual shapes (since against a constant, a
 * count against a constant) are solved directly. */
#include "engine/eval.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SEARCH_STEPS_MAX 4000 /* of one search; past it the answer is an early one */
#define WALK_PANES_MAX 4000

static const struct tagd_val null_val = {.kind = TAGD_V_NULL};

static struct tagd_val bool_val(bool b)
{
    return (struct tagd_val){.kind = TAGD_V_BOOL, .u.b = b};
}
static struct tagd_val decimal_val(tagd_i128 d)
{
    return (struct tagd_val){.kind = TAGD_V_DECIMAL, .u.d = d};
}
static struct tagd_val double_val(double f)
{
    return isfinite(f) ? (struct tagd_val){.kind = TAGD_V_DOUBLE, .u.f = f} : null_val;
}
static struct tagd_val duration_val(int64_t ms)
{
    bool fits = ms <= TAGD_DURATION_MAX && ms >= -TAGD_DURATION_MAX;
    return fits ? (struct tagd_val){.kind = TAGD_V_DURATION, .u.i = ms} : null_val;
}
static double number_of(struct tagd_val val)
{
    return val.kind == TAGD_V_DECIMAL ? tagd_decimal_to_double(val.u.d) : val.u.f;
}

/* ---- windows ---- */

static int64_t pane_of(const struct tagd_store *store, int64_t t)
{
    return tagd_floor_div(t + store->shift_ms, store->pane_ms);
}

static void cursor_begin(struct view *view, uint32_t window, struct cursor *cursor, int64_t pane, uint32_t n_columns)
{
    const struct cursor *from = view->base ? &view->base->cursors[window] : NULL;
    cursor->stamp = view->stamp;
    if (from && from->stamp == view->base->stamp && from->at <= pane) {
        cursor->at = from->at;
        cursor->lo = from->lo;
        cursor->hi = from->hi;
        memcpy(cursor->sums, from->sums, n_columns * sizeof *cursor->sums);
        return;
    }
    cursor->at = pane;
    cursor->lo = cursor->hi = 0;
    memset(cursor->sums, 0, n_columns * sizeof *cursor->sums);
}

/* The window's cursor at view->now. */
static const struct cursor *window_seek(struct view *view, uint32_t index)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    const struct tagd_store *store = &view->catalog->stores[window->store];
    const struct tagd_panes *panes = &view->profile->panes[window->store];
    struct cursor *cursor = &view->cursors[index];
    uint32_t n_columns = store->n_columns;
    int64_t pane = pane_of(store, view->now - window->offset_ms);
    if (cursor->stamp != view->stamp || cursor->at > pane)
        cursor_begin(view, index, cursor, pane, n_columns);
    cursor->at = pane;
    while (cursor->hi < panes->n && panes->pane[cursor->hi] <= pane) {
        for (uint32_t c = 0; c < n_columns; c++)
            cursor->sums[c] += panes->cells[(size_t)cursor->hi * n_columns + c];
        cursor->hi++;
    }
    while (cursor->lo < cursor->hi && panes->pane[cursor->lo] <= pane - window->panes) {
        for (uint32_t c = 0; c < n_columns; c++)
            cursor->sums[c] -= panes->cells[(size_t)cursor->lo * n_columns + c];
        cursor->lo++;
    }
    return cursor;
}

static tagd_i128 window_sum(struct view *view, uint32_t index, uint32_t column)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    if (window->panes)
        return window_seek(view, index)->sums[column];
    const struct tagd_panes *panes = &view->profile->panes[window->store];
    return panes->n ? panes->cells[column] : 0;
}

/* The next instant at which a pane with events leaves or enters. */
static int64_t window_boundary(struct view *view, uint32_t index)
{
    const struct tagd_window *window = &view->catalog->windows[index];
    if (!window->panes)
        return TAGD_NEVER;
    const struct tagd_store *store = &view->catalog->stores[window->store];
    const struct tagd_panes *panes = &view->profile->panes[window->store];
    const struct cursor *cursor = window_seek(view, index);
    int64_t pane = TAGD_NEVER;
    if (cursor->lo < cursor->hi)
        pane = panes->pane[cursor->lo] + window->panes;
    if (cursor->hi < panes->n && panes->pane[cursor->hi] < pane)
        pane = panes->pane[cursor->hi];
    return pane == TAGD_NEVER ? TAGD_NEVER : pane * store->pane_ms - store->shift_ms + window->offset_ms;
}

/* ---- values ---- */

static struct tagd_val aggregate(struct view *view, const struct tagd_node *node)
{
    tagd_i128 sum = window_sum(view, node->index, node->column);
    if (node->kind == TAGD_N_COUNT)
        return decimal_val(sum * TAGD_DECIMAL_ONE);
    if (node->kind == TAGD_N_SUM)
        return decimal_val(sum);
    tagd_i128 count = window_sum(view, node->index, node->count_column);
    return count > 0 ? double_val(tagd_decimal_avg(sum, (int64_t)count)) : null_val;
}

static struct tagd_val mark_value(const struct view *view, const struct tagd_node *node)
{
    const struct tagd_mark_state *mark = &view->profile->marks[node->index];
    if (!mark->present)
        return null_val;
    if (node->kind != TAGD_N_LATEST)
        return duration_val(view->now - mark->at);
    switch (view->catalog->marks[node->index].field_type) {
    case TAGD_DECIMAL: return decimal_val(mark->i);
    case TAGD_BOOLEAN: return bool_val(mark->i != 0);
    case TAGD_TIME: return (struct tagd_val){.kind = TAGD_V_TIME, .u.i = mark->i};
    case TAGD_DATE: return (struct tagd_val){.kind = TAGD_V_DATE, .u.i = mark->i};
    case TAGD_STRING: break;
    }
    return (struct tagd_val){.kind = TAGD_V_STRING, .u.s = {mark->s, mark->n}};
}

static struct tagd_val truncated(double ms)
{
    return fabs(ms) <= (double)TAGD_DURATION_MAX ? duration_val((int64_t)ms) : null_val;
}

static struct tagd_val arithmetic(enum tagd_node_kind kind, struct tagd_val a, struct tagd_val b)
{
    if (a.kind == TAGD_V_NULL || b.kind == TAGD_V_NULL)
        return null_val;
    bool da = a.kind == TAGD_V_DURATION, db = b.kind == TAGD_V_DURATION;
    if (da && db && kind != TAGD_N_DIV)
        return duration_val(kind == TAGD_N_ADD ? a.u.i + b.u.i : a.u.i - b.u.i);
    double x = da ? (double)a.u.i : number_of(a), y = db ? (double)b.u.i : number_of(b);
    if (kind == TAGD_N_DIV && y == 0)
        return null_val;
    double result = kind == TAGD_N_ADD ? x + y : kind == TAGD_N_SUB ? x - y : kind == TAGD_N_MUL ? x * y : x / y;
    bool duration = kind == TAGD_N_MUL ? da || db : kind == TAGD_N_DIV && da && !db;
    return duration ? truncated(result) : double_val(result);
}

/* Both not null, of comparable kinds: <0, 0, >0. */
static int compare(struct tagd_val a, struct tagd_val b)
{
    switch (a.kind) {
    case TAGD_V_BOOL: return (int)a.u.b - (int)b.u.b;
    case TAGD_V_STRING: return tagd_str_cmp(a.u.s, b.u.s);
    case TAGD_V_DURATION:
    case TAGD_V_TIME:
    case TAGD_V_DATE: return (a.u.i > b.u.i) - (a.u.i < b.u.i);
    default: break;
    }
    if (a.kind == TAGD_V_DECIMAL && b.kind == TAGD_V_DECIMAL)
        return (a.u.d > b.u.d) - (a.u.d < b.u.d);
    double x = number_of(a), y = number_of(b);
    return (x > y) - (x < y);
}

static bool outcome(enum tagd_node_kind kind, int order)
{
    switch (kind) {
    case TAGD_N_EQ: return order == 0;
    case TAGD_N_NE: return order != 0;
    case TAGD_N_LT: return order < 0;
    case TAGD_N_LE: return order <= 0;
    case TAGD_N_GT: return order > 0;
    default: return order >= 0;
    }
}

static struct tagd_val eval_in(struct view *view, const struct tagd_node *node)
{
    struct tagd_val a = tagd_eval(view, node->a);
    if (a.kind == TAGD_V_NULL)
        return null_val;
    bool unknown = false;
    for (uint32_t i = 0; i < node->n_list; i++) {
        struct tagd_val b = tagd_eval(view, node->list[i]);
        if (b.kind == TAGD_V_NULL)
            unknown = true;
        else if (compare(a, b) == 0)
            return bool_val(true);
    }
    return unknown ? null_val : bool_val(false);
}

static struct tagd_val eval_logic(struct view *view, const struct tagd_node *node)
{
    bool decisive = node->kind == TAGD_N_OR;
    struct tagd_val a = tagd_eval(view, node->a);
    if (a.kind == TAGD_V_BOOL && a.u.b == decisive)
        return a;
    struct tagd_val b = tagd_eval(view, node->b);
    if (b.kind == TAGD_V_BOOL && b.u.b == decisive)
        return b;
    return a.kind == TAGD_V_NULL || b.kind == TAGD_V_NULL ? null_val : bool_val(!decisive);
}

struct tagd_val tagd_eval(struct view *view, const struct tagd_node *node)
{
    struct tagd_val a, b;
    int32_t tag;
    switch (node->kind) {
    case TAGD_N_LITERAL: return node->literal;
    case TAGD_N_COUNT:
    case TAGD_N_SUM:
    case TAGD_N_AVG: return aggregate(view, node);
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST:
    case TAGD_N_LATEST: return mark_value(view, node);
    case TAGD_N_DIMENSION:
        tag = view->tags[node->index];
        return tag < 0 ? null_val
                       : (struct tagd_val){.kind = TAGD_V_STRING,
                                           .u.s = tagd_str_of(view->catalog->dimensions[node->index].rules[tag].tag)};
    case TAGD_N_METRIC: return tagd_eval(view, view->catalog->metrics[node->index].node);
    case TAGD_N_AND:
    case TAGD_N_OR: return eval_logic(view, node);
    case TAGD_N_NOT: a = tagd_eval(view, node->a); return a.kind == TAGD_V_NULL ? a : bool_val(!a.u.b);
    case TAGD_N_IN: return eval_in(view, node);
    case TAGD_N_ADD:
    case TAGD_N_SUB:
    case TAGD_N_MUL:
    case TAGD_N_DIV: return arithmetic(node->kind, tagd_eval(view, node->a), tagd_eval(view, node->b));
    case TAGD_N_IS_NULL: return bool_val(tagd_eval(view, node->a).kind == TAGD_V_NULL);
    case TAGD_N_IS_NOT_NULL: return bool_val(tagd_eval(view, node->a).kind != TAGD_V_NULL);
    default: break;
    }
    a = tagd_eval(view, node->a);
    b = tagd_eval(view, node->b);
    if (a.kind == TAGD_V_NULL || b.kind == TAGD_V_NULL)
        return null_val;
    return bool_val(outcome(node->kind, compare(a, b)));
}

bool tagd_holds(struct view *view, const struct tagd_node *node)
{
    struct tagd_val val = tagd_eval(view, node);
    return val.kind == TAGD_V_BOOL && val.u.b;
}

/* ---- bounds over a stretch of time in which no window changes ---- */

struct range {
    struct tagd_val lo, hi; /* both null: null throughout */
    bool open;              /* may be null in places, or unbounded: says nothing */
};

static const struct range open_range = {.open = true};

static void widen(struct range *range, struct tagd_val val, bool first)
{
    if (range->open)
        return;
    if (first) {
        range->lo = range->hi = val;
        return;
    }
    if ((val.kind == TAGD_V_NULL) != (range->lo.kind == TAGD_V_NULL)) {
        range->open = true;
        return;
    }
    if (val.kind == TAGD_V_NULL)
        return;
    if (compare(val, range->lo) < 0)
        range->lo = val;
    if (compare(val, range->hi) > 0)
        range->hi = val;
}

static struct range range_of(struct view *view, const struct tagd_node *node, int64_t from, int64_t to)
{
    if (!node->varies) {
        struct tagd_val val = tagd_eval(view, node);
        return (struct range){.lo = val, .hi = val};
    }
    if (node->kind == TAGD_N_METRIC)
        return range_of(view, view->catalog->metrics[node->index].node, from, to);
    struct range range = {0};
    if (node->kind == TAGD_N_SINCE || node->kind == TAGD_N_SINCE_FIRST) {
        const struct tagd_mark_state *mark = &view->profile->marks[node->index];
        widen(&range, mark->present ? duration_val(from - mark->at) : null_val, true);
        widen(&range, mark->present ? duration_val(to - mark->at) : null_val, false);
        return range;
    }
    struct range a = range_of(view, node->a, from, to), b = range_of(view, node->b, from, to);
    if (a.open || b.open)
        return open_range;
    widen(&range, arithmetic(node->kind, a.lo, b.lo), true);
    widen(&range, arithmetic(node->kind, a.lo, b.hi), false);
    widen(&range, arithmetic(node->kind, a.hi, b.lo), false);
    widen(&range, arithmetic(node->kind, a.hi, b.hi), false);
    return range;
}

enum verdict { IS_FALSE, IS_TRUE, IS_NULL, UNDECIDED };

static enum verdict verdict_of(struct tagd_val val)
{
    return val.kind == TAGD_V_NULL ? IS_NULL : val.u.b ? IS_TRUE : IS_FALSE;
}

static enum verdict range_compare(enum tagd_node_kind kind, const struct range *a, const struct range *b)
{
    if (a->open || b->open)
        return UNDECIDED;
    if (a->lo.kind == TAGD_V_NULL || b->lo.kind == TAGD_V_NULL)
        return IS_NULL;
    if (compare(a->hi, b->lo) < 0)
        return outcome(kind, -1) ? IS_TRUE : IS_FALSE;
    if (compare(a->lo, b->hi) > 0)
        return outcome(kind, 1) ? IS_TRUE : IS_FALSE;
    if (compare(a->lo, b->hi) == 0 && compare(a->hi, b->lo) == 0)
        return outcome(kind, 0) ? IS_TRUE : IS_FALSE;
    if (compare(a->hi, b->lo) == 0 && outcome(kind, 0) == outcome(kind, -1))
        return outcome(kind, 0) ? IS_TRUE : IS_FALSE;
    if (compare(a->lo, b->hi) == 0 && outcome(kind, 0) == outcome(kind, 1))
        return outcome(kind, 0) ? IS_TRUE : IS_FALSE;
    return UNDECIDED;
}

/* The two sides' difference is bounded more sharply than each side: both are linear but for rounding, so that what they
 * have in common cancels. Values at both ends of the stretch, and by how much rounding may move any value in it. */
struct line {
    double from, to, error;
};
#define ROUNDING 0x1p-50 /* relative, of one operation and its operands' conversion to double; generous */

static double magnitude(const struct line *line)
{
    double a = fabs(line->from), b = fabs(line->to);
    return a > b ? a : b;
}

static bool constant_line(struct tagd_val val, struct line *line)
{
    double v;
    switch (val.kind) {
    case TAGD_V_DURATION: *line = (struct line){(double)val.u.i, (double)val.u.i, 0}; return true;
    case TAGD_V_DECIMAL: v = tagd_decimal_to_double(val.u.d); break;
    case TAGD_V_DOUBLE: v = val.u.f; break;
    default: return false;
    }
    *line = (struct line){v, v, fabs(v) * ROUNDING};
    return true;
}

/* False: null, not a duration or a number, or so large that it may become null. */
static bool line_of(struct view *view, const struct tagd_node *node, int64_t from, int64_t to, struct line *line)
{
    struct line a, b;
    if (!node->varies)
        return constant_line(tagd_eval(view, node), line);
    if (node->kind == TAGD_N_METRIC)
        return line_of(view, view->catalog->metrics[node->index].node, from, to, line);
    if (node->kind == TAGD_N_SINCE || node->kind == TAGD_N_SINCE_FIRST) {
        const struct tagd_mark_state *mark = &view->profile->marks[node->index];
        if (mark->present)
            *line = (struct line){(double)(from - mark->at), (double)(to - mark->at), 0};
        return mark->present;
    }
    if (!line_of(view, node->a, from, to, &a) || !line_of(view, node->b, from, to, &b))
        return false;
    bool exact = node->type == TAGD_T_DURATION; /* sums of whole milliseconds below 2^53 */
    switch (node->kind) {
    case TAGD_N_ADD: *line = (struct line){a.from + b.from, a.to + b.to, a.error + b.error}; break;
    case TAGD_N_SUB: *line = (struct line){a.from - b.from, a.to - b.to, a.error + b.error}; break;
    case TAGD_N_MUL:
        *line = (struct line){a.from * b.from, a.to * b.to,
                              a.error * magnitude(&b) + b.error * magnitude(&a) + a.error * b.error};
        break;
    case TAGD_N_DIV:
        if (b.from != b.to || fabs(b.from) <= 2 * b.error)
            return false;
        *line = (struct line){a.from / b.from, a.to / b.to, 2 * a.error / fabs(b.from)};
        break;
    default: return false;
    }
    if (node->kind == TAGD_N_MUL || node->kind == TAGD_N_DIV) {
        line->error += exact ? 1 : 0; /* cut to a whole millisecond */
        exact = false;
    }
    if (!exact)
        line->error += magnitude(line) * ROUNDING;
    return magnitude(line) + line->error < (double)TAGD_DURATION_MAX;
}

/* Whether two expressions have one value at every instant of a stretch: the same operations on the same values. */
static bool same_value(struct view *view, const struct tagd_node *a, const struct tagd_node *b)
{
    while (a->kind == TAGD_N_METRIC)
        a = view->catalog->metrics[a->index].node;
    while (b->kind == TAGD_N_METRIC)
        b = view->catalog->metrics[b->index].node;
    if (!a->varies && !b->varies) {
        struct tagd_val x = tagd_eval(view, a), y = tagd_eval(view, b);
        return x.kind != TAGD_V_NULL && x.kind == y.kind && compare(x, y) == 0;
    }
    if (!a->varies || !b->varies)
        return false;
    bool a_since = a->kind == TAGD_N_SINCE || a->kind == TAGD_N_SINCE_FIRST;
    if (a_since && (b->kind == TAGD_N_SINCE || b->kind == TAGD_N_SINCE_FIRST)) {
        const struct tagd_mark_state *x = &view->profile->marks[a->index], *y = &view->profile->marks[b->index];
        return x->present && y->present && x->at == y->at;
    }
    return !a_since && a->kind == b->kind && same_value(view, a->a, b->a) && same_value(view, a->b, b->b);
}

/* What a comparison is throughout [from, to]. */
static enum verdict compare_over(struct view *view, enum tagd_node_kind kind, const struct tagd_node *left,
                                 const struct tagd_node *right, int64_t from, int64_t to)
{
    struct range a = range_of(view, left, from, to), b = range_of(view, right, from, to);
    enum verdict verdict = range_compare(kind, &a, &b);
    struct line x, y;
    if (verdict != UNDECIDED || !line_of(view, left, from, to, &x) || !line_of(view, right, from, to, &y))
        return verdict;
    double first = x.from - y.from, last = x.to - y.to, error = x.error + y.error;
    if (error > 0)
        error += (magnitude(&x) + magnitude(&y)) * ROUNDING;
    if (first > error && last > error)
        return outcome(kind, 1) ? IS_TRUE : IS_FALSE;
    if (first < -error && last < -error)
        return outcome(kind, -1) ? IS_TRUE : IS_FALSE;
    if ((error == 0 && first == 0 && last == 0) || same_value(view, left, right))
        return outcome(kind, 0) ? IS_TRUE : IS_FALSE;
    return UNDECIDED;
}

/* What the comparison, `in` or null test is throughout [from, to]. */
static enum verdict decide(struct view *view, const struct tagd_node *node, int64_t from, int64_t to)
{
    if (node->kind == TAGD_N_IS_NULL || node->kind == TAGD_N_IS_NOT_NULL) {
        struct range a = range_of(view, node->a, from, to);
        if (a.open)
            return UNDECIDED;
        return (a.lo.kind == TAGD_V_NULL) == (node->kind == TAGD_N_IS_NULL) ? IS_TRUE : IS_FALSE;
    }
    if (node->kind != TAGD_N_IN)
        return compare_over(view, node->kind, node->a, node->b, from, to);
    enum verdict all = IS_FALSE;
    for (uint32_t i = 0; i < node->n_list; i++) {
        enum verdict one = compare_over(view, TAGD_N_EQ, node->a, node->list[i], from, to);
        if (one == IS_TRUE || one == UNDECIDED)
            return one;
        if (one == IS_NULL)
            all = IS_NULL;
    }
    return all;
}

/* ---- stability ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The next instant at which a window inside the node changes; since() left aside. */
static int64_t boundary(struct view *view, const struct tagd_node *node)
{
    if (!node || !node->timed)
        return TAGD_NEVER;
    switch (node->kind) {
    case TAGD_N_COUNT:
    case TAGD_N_SUM:
    case TAGD_N_AVG: return window_boundary(view, node->index);
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST: return TAGD_NEVER;
    case TAGD_N_METRIC: return boundary(view, view->catalog->metrics[node->index].node);
    default: break;
    }
    if (!node->varies)
        return tagd_stable(view, node);
    return earlier(boundary(view, node->a), boundary(view, node->b));
}

static int64_t search(struct view *view, const struct tagd_node *node)
{
    int64_t end = earlier(boundary(view, node->a), boundary(view, node->b));
    for (uint32_t i = 0; i < node->n_list; i++)
        end = earlier(end, boundary(view, node->list[i]));
    enum verdict now = verdict_of(tagd_eval(view, node));
    int64_t limit = earlier(end, TAGD_TIME_MAX), at = view->now + 1, step = limit - at;
    for (int i = 0; at < limit; i++) {
        step = later(1, earlier(step, limit - at));
        enum verdict verdict = decide(view, node, at, at + step - 1);
        if (verdict == now) {
            at += step;
            step *= 2;
        } else if (verdict != UNDECIDED || i >= SEARCH_STEPS_MAX) {
            return at;
        } else {
            assert(step > 1);
            step /= 2;
        }
    }
    return end;
}

static const struct tagd_node *behind_metric(const struct tagd_catalog *catalog, const struct tagd_node *node)
{
    while (node->kind == TAGD_N_METRIC)
        node = catalog->metrics[node->index].node;
    return node;
}

/* since(E) against a literal: it crosses at latest + D, or one millisecond on. */
static int64_t since_crossing(const struct view *view, const struct tagd_node *since, enum tagd_node_kind kind,
                              int64_t duration)
{
    const struct tagd_mark_state *mark = &view->profile->marks[since->index];
    if (!mark->present)
        return TAGD_NEVER;
    int64_t reach = mark->at + duration;
    bool at_reach = kind != TAGD_N_GT && kind != TAGD_N_LE, past_reach = kind != TAGD_N_GE && kind != TAGD_N_LT;
    if (at_reach && reach > view->now)
        return reach;
    if (past_reach && reach + 1 > view->now)
        return reach + 1;
    return TAGD_NEVER;
}

/* count or sum of a window against a literal: panes go by until the comparison turns. */
static int64_t window_crossing(struct view *view, const struct tagd_node *node, const struct tagd_node *window,
                               bool flipped, struct tagd_val literal)
{
    struct view *walk = view->walk;
    walk->profile = view->profile;
    walk->stamp++;
    walk->base = view;
    walk->now = view->now;
    bool now = outcome(
        node->kind, compare(flipped ? literal : aggregate(walk, window), flipped ? aggregate(walk, window) : literal));
    for (int i = 0; i < WALK_PANES_MAX; i++) {
        int64_t next = window_boundary(walk, window->index);
        if (next == TAGD_NEVER)
            return TAGD_NEVER;
        walk->now = next;
        struct tagd_val val = aggregate(walk, window);
        if (outcome(node->kind, compare(flipped ? literal : val, flipped ? val : literal)) != now)
            return next;
    }
    return walk->now;
}

static enum tagd_node_kind mirrored(enum tagd_node_kind kind)
{
    switch (kind) {
    case TAGD_N_LT: return TAGD_N_GT;
    case TAGD_N_LE: return TAGD_N_GE;
    case TAGD_N_GT: return TAGD_N_LT;
    case TAGD_N_GE: return TAGD_N_LE;
    default: return kind;
    }
}

static int64_t stable_comparison(struct view *view, const struct tagd_node *node)
{
    const struct tagd_node *a = behind_metric(view->catalog, node->a), *b = behind_metric(view->catalog, node->b);
    bool flipped = a->kind == TAGD_N_LITERAL;
    const struct tagd_node *left = flipped ? b : a, *right = flipped ? a : b;
    if (right->kind == TAGD_N_LITERAL && right->literal.kind == TAGD_V_NULL)
        return TAGD_NEVER;
    if (right->kind == TAGD_N_LITERAL && (left->kind == TAGD_N_SINCE || left->kind == TAGD_N_SINCE_FIRST))
        return since_crossing(view, left, flipped ? mirrored(node->kind) : node->kind, right->literal.u.i);
    if (right->kind == TAGD_N_LITERAL && (left->kind == TAGD_N_COUNT || left->kind == TAGD_N_SUM) && view->walk)
        return window_crossing(view, node, left, flipped, right->literal);
    if (node->a->varies || node->b->varies)
        return search(view, node);
    return earlier(tagd_stable(view, node->a), tagd_stable(view, node->b));
}

static int64_t stable_logic(struct view *view, const struct tagd_node *node)
{
    bool decisive = node->kind == TAGD_N_OR;
    struct tagd_val a = tagd_eval(view, node->a), b = tagd_eval(view, node->b);
    bool by_a = a.kind == TAGD_V_BOOL && a.u.b == decisive, by_b = b.kind == TAGD_V_BOOL && b.u.b == decisive;
    int64_t sa = tagd_stable(view, node->a), sb = tagd_stable(view, node->b);
    if (by_a && by_b)
        return later(sa, sb);
    return by_a ? sa : by_b ? sb : earlier(sa, sb);
}

int64_t tagd_stable(struct view *view, const struct tagd_node *node)
{
    if (!node->timed)
        return TAGD_NEVER;
    int64_t at;
    bool varies;
    switch (node->kind) {
    case TAGD_N_COUNT:
    case TAGD_N_SUM:
    case TAGD_N_AVG: return window_boundary(view, node->index);
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST: return view->profile->marks[node->index].present ? view->now + 1 : TAGD_NEVER;
    case TAGD_N_DIMENSION: return view->stable[node->index];
    case TAGD_N_METRIC: return tagd_stable(view, view->catalog->metrics[node->index].node);
    case TAGD_N_AND:
    case TAGD_N_OR: return stable_logic(view, node);
    case TAGD_N_NOT: return tagd_stable(view, node->a);
    case TAGD_N_IS_NULL:
    case TAGD_N_IS_NOT_NULL: return node->a->varies ? search(view, node) : tagd_stable(view, node->a);
    case TAGD_N_ADD:
    case TAGD_N_SUB:
    case TAGD_N_MUL:
    case TAGD_N_DIV: return earlier(tagd_stable(view, node->a), tagd_stable(view, node->b));
    case TAGD_N_IN:
        varies = node->a->varies;
        at = varies ? TAGD_NEVER : tagd_stable(view, node->a);
        for (uint32_t i = 0; i < node->n_list; i++) {
            varies = varies || node->list[i]->varies;
            at = varies ? at : earlier(at, tagd_stable(view, node->list[i]));
        }
        return varies ? search(view, node) : at;
    default: return stable_comparison(view, node);
    }
}
