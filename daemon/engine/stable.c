/* Until when an expression's value stands.
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

#define SEARCH_STEPS_MAX 4000 /* of one search; past it the answer is an early one */

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
    if (tagd_val_compare(val, range->lo) < 0)
        range->lo = val;
    if (tagd_val_compare(val, range->hi) > 0)
        range->hi = val;
}

/* <0 or >0: what the operation makes lies on that side of all values that are not null; 0: it is a value. */
static int overflow_of(struct tagd_val made, enum tagd_node_kind kind, struct tagd_val a, struct tagd_val b)
{
    return made.kind != TAGD_V_NULL ? 0 : tagd_val_raw(kind, a, b) < 0 ? -1 : 1;
}

/* What the operation makes of all values of two ranges. */
static struct range combined(enum tagd_node_kind kind, const struct range *a, const struct range *b)
{
    struct range range = {0};
    if (a->open || b->open)
        return open_range;
    struct tagd_val x[] = {a->lo, a->lo, a->hi, a->hi}, y[] = {b->lo, b->hi, b->lo, b->hi};
    bool by_zero = kind == TAGD_N_DIV && b->lo.kind != TAGD_V_NULL && tagd_val_number(b->lo) == 0;
    bool null = a->lo.kind == TAGD_V_NULL || b->lo.kind == TAGD_V_NULL || by_zero;
    int side = 0;
    for (int i = 0; i < 4; i++) {
        struct tagd_val made = tagd_val_arithmetic(kind, x[i], y[i]);
        int beyond = null ? 0 : overflow_of(made, kind, x[i], y[i]);
        side = i == 0 ? beyond : side;
        /* beyond the limit at one end and beyond the other at the other: in between are values */
        if (beyond != side)
            return open_range;
        widen(&range, made, i == 0);
    }
    return range;
}

static struct range range_of(struct view *view, const struct tagd_node *node, int64_t from, int64_t to)
{
    if (node->flat) {
        struct tagd_val val = tagd_eval(view, node);
        return (struct range){.lo = val, .hi = val};
    }
    if (node->kind == TAGD_N_METRIC)
        return range_of(view, view->catalog->metrics[node->index].node, from, to);
    struct range range = {0};
    if (tagd_is_clock(node)) {
        widen(&range, tagd_clock_val(view, node, from), true);
        widen(&range, tagd_clock_val(view, node, to), false);
        return range;
    }
    struct range a = range_of(view, node->a, from, to), b = range_of(view, node->b, from, to);
    return combined(node->kind, &a, &b);
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
    if (tagd_val_compare(a->hi, b->lo) < 0)
        return tagd_val_outcome(kind, -1) ? IS_TRUE : IS_FALSE;
    if (tagd_val_compare(a->lo, b->hi) > 0)
        return tagd_val_outcome(kind, 1) ? IS_TRUE : IS_FALSE;
    if (tagd_val_compare(a->lo, b->hi) == 0 && tagd_val_compare(a->hi, b->lo) == 0)
        return tagd_val_outcome(kind, 0) ? IS_TRUE : IS_FALSE;
    if (tagd_val_compare(a->hi, b->lo) == 0 && tagd_val_outcome(kind, 0) == tagd_val_outcome(kind, -1))
        return tagd_val_outcome(kind, 0) ? IS_TRUE : IS_FALSE;
    if (tagd_val_compare(a->lo, b->hi) == 0 && tagd_val_outcome(kind, 0) == tagd_val_outcome(kind, 1))
        return tagd_val_outcome(kind, 0) ? IS_TRUE : IS_FALSE;
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

static bool is_whole(double v)
{
    return v == trunc(v) && fabs(v) < (double)TAGD_DURATION_MAX;
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
    *line = (struct line){v, v, is_whole(v) ? 0 : fabs(v) * ROUNDING};
    return true;
}

/* Whole milliseconds times a whole number, or divided by 1, are whole milliseconds: nothing is cut. */
static bool stays_whole(enum tagd_node_kind kind, const struct line *a, const struct line *b)
{
    bool whole_a = a->from == a->to && a->error == 0 && is_whole(a->from),
         whole_b = b->from == b->to && b->error == 0 && is_whole(b->from);
    return kind == TAGD_N_MUL ? whole_a || whole_b : whole_b && fabs(b->from) == 1;
}

/* False: null, not a duration or a number, or so large that it may become null. */
static bool line_of(struct view *view, const struct tagd_node *node, int64_t from, int64_t to, struct line *line)
{
    struct line a, b;
    if (node->flat)
        return constant_line(tagd_eval(view, node), line);
    if (node->kind == TAGD_N_METRIC)
        return line_of(view, view->catalog->metrics[node->index].node, from, to, line);
    if (tagd_is_clock(node)) {
        struct tagd_val first = tagd_clock_val(view, node, from), last = tagd_clock_val(view, node, to);
        if (first.kind == TAGD_V_NULL || last.kind == TAGD_V_NULL)
            return false;
        *line = (struct line){(double)first.u.i, (double)last.u.i, 0};
        return true;
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
    if ((node->kind == TAGD_N_MUL || node->kind == TAGD_N_DIV) && !(exact && stays_whole(node->kind, &a, &b))) {
        line->error += exact ? 1 : 0; /* cut to a whole millisecond */
        exact = false;
    }
    if (!exact)
        line->error += magnitude(line) * ROUNDING;
    return magnitude(line) + line->error < (double)TAGD_DURATION_MAX;
}

static bool is_power_of_two(double v)
{
    int exponent;
    return fabs(frexp(v, &exponent)) == 0.5;
}

/* A clock times a constant; dividing by a power of two is multiplying by its inverse, to the last bit. False: it is
 * something else. */
static bool scaled_clock(struct view *view, const struct tagd_node *node, const struct tagd_node **clock,
                         double *factor)
{
    node = tagd_behind_metric(view->catalog, node);
    *factor = 1;
    *clock = node;
    if (tagd_is_clock(node))
        return true;
    if ((node->kind != TAGD_N_MUL && node->kind != TAGD_N_DIV) || node->type != TAGD_T_DURATION)
        return false;
    const struct tagd_node *constant = node->b, *other = node->a;
    if (node->kind == TAGD_N_MUL && !node->a->varies) {
        constant = node->a;
        other = node->b;
    }
    other = tagd_behind_metric(view->catalog, other);
    if (constant->varies || !tagd_is_clock(other))
        return false;
    struct tagd_val val = tagd_eval(view, constant);
    if (val.kind == TAGD_V_NULL || tagd_val_number(val) == 0)
        return false;
    double number = tagd_val_number(val);
    *clock = other;
    *factor = node->kind == TAGD_N_MUL ? number : 1 / number;
    return node->kind == TAGD_N_MUL || is_power_of_two(number);
}

/* Whether two expressions have one value at every instant of a stretch: the same operations on the same values. */
static bool same_value(struct view *view, const struct tagd_node *a, const struct tagd_node *b)
{
    a = tagd_behind_metric(view->catalog, a);
    b = tagd_behind_metric(view->catalog, b);
    if (!a->varies && !b->varies) {
        struct tagd_val x = tagd_eval(view, a), y = tagd_eval(view, b);
        return x.kind != TAGD_V_NULL && x.kind == y.kind && tagd_val_compare(x, y) == 0;
    }
    if (!a->varies || !b->varies)
        return false;
    const struct tagd_node *clock_a, *clock_b;
    double factor_a, factor_b;
    if (scaled_clock(view, a, &clock_a, &factor_a) && scaled_clock(view, b, &clock_b, &factor_b) &&
        factor_a == factor_b) {
        struct tagd_val x = tagd_clock_val(view, clock_a, view->now), y = tagd_clock_val(view, clock_b, view->now);
        return tagd_node_falls(clock_a) == tagd_node_falls(clock_b) && x.kind != TAGD_V_NULL && x.kind == y.kind &&
               x.u.i == y.u.i;
    }
    return !tagd_is_clock(a) && a->kind == b->kind && same_value(view, a->a, b->a) && same_value(view, a->b, b->b);
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
        return tagd_val_outcome(kind, 1) ? IS_TRUE : IS_FALSE;
    if (first < -error && last < -error)
        return tagd_val_outcome(kind, -1) ? IS_TRUE : IS_FALSE;
    if ((error == 0 && first == 0 && last == 0) || same_value(view, left, right))
        return tagd_val_outcome(kind, 0) ? IS_TRUE : IS_FALSE;
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
    node = tagd_behind_metric(view->catalog, node);
    if (tagd_is_clock(node))
        return TAGD_NEVER;
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
        --*view->decisions;
        step = later(1, earlier(step, limit - at));
        enum verdict verdict = decide(view, node, at, at + step - 1);
        if (verdict == now) {
            at += step;
            step *= 2;
        } else if (verdict != UNDECIDED || i >= SEARCH_STEPS_MAX || *view->decisions < 0) {
            return at;
        } else {
            assert(step > 1);
            step /= 2;
        }
    }
    return end;
}

/* since(E), until(f, E), until_next(f, E, S), held(D) against a literal: it is the literal at one instant. */
static int64_t clock_crossing(const struct view *view, const struct tagd_node *clock, enum tagd_node_kind kind,
                              int64_t duration)
{
    int64_t zero;
    if (!tagd_clock_zero(view, clock, &zero))
        return TAGD_NEVER;
    bool falls = tagd_node_falls(clock);
    int64_t reach = falls ? zero - duration : zero + duration;
    bool before = tagd_val_outcome(kind, falls ? 1 : -1), at = tagd_val_outcome(kind, 0),
         after = tagd_val_outcome(kind, falls ? -1 : 1);
    if (view->now < reach && before != at)
        return reach;
    if (view->now <= reach && at != after)
        return reach + 1;
    return TAGD_NEVER;
}

static enum verdict against(enum tagd_node_kind kind, struct tagd_val val, struct tagd_val literal)
{
    if (val.kind == TAGD_V_NULL)
        return IS_NULL;
    return tagd_val_outcome(kind, tagd_val_compare(val, literal)) ? IS_TRUE : IS_FALSE;
}

/* What an expression looks up, and that in turn; else itself. */
static const struct tagd_node *behind_lookups(const struct tagd_catalog *catalog, const struct tagd_node *node)
{
    node = tagd_behind_metric(catalog, node);
    while (node->kind == TAGD_N_LOOKUP)
        node = tagd_behind_metric(catalog, node->a);
    return node;
}

/* A function of a window, or what a table makes of it, against a literal: panes go by until the comparison turns. */
static int64_t window_crossing(struct view *view, enum tagd_node_kind kind, const struct tagd_node *value,
                               const struct tagd_node *window, struct tagd_val literal)
{
    struct view *walk = view->walk;
    walk->profile = view->profile;
    walk->stamp++;
    walk->base = view;
    walk->now = view->now;
    enum verdict now = against(kind, tagd_eval(walk, value), literal);
    for (int i = 0; i < WALK_PANES_MAX; i++) {
        int64_t next = tagd_window_boundary(walk, window->index);
        if (next == TAGD_NEVER)
            return TAGD_NEVER;
        walk->now = next;
        if (against(kind, tagd_eval(walk, value), literal) != now)
            return next;
    }
    return walk->now;
}

static struct tagd_val whole_val(int64_t n)
{
    return (struct tagd_val){.kind = TAGD_V_DECIMAL, .u.d = (tagd_i128)n * TAGD_DECIMAL_ONE};
}

/* The whole number at or below a literal, or `most` away from 0 if it is farther. */
static int64_t whole_below(struct tagd_val literal, int64_t most)
{
    double l = floor(tagd_val_number(literal));
    return l > (double)most ? most : l < (double)-most ? -most : (int64_t)l;
}

#define YEARS_BETWEEN_LEAPS 8

/* days_until against a literal. Within a year its value falls by one a day, so that the comparison turns on the next
 * day or where the value passes the literal. The day on which it does. */
static int64_t days_crossing(enum tagd_node_kind kind, int64_t date, int64_t today, enum verdict now,
                             struct tagd_val literal)
{
    int64_t day = today + 1, near = whole_below(literal, 1000);
    for (int year = 0; year <= YEARS_BETWEEN_LEAPS + 1; year++) {
        int64_t left = tagd_days_until_return(date, day), tries[] = {left, near + 1, near, near - 1};
        for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
            if (tries[i] < 0 || tries[i] > left)
                continue;
            if (against(kind, whole_val(tries[i]), literal) != now)
                return day + left - tries[i];
        }
        day += left + 1;
    }
    return TAGD_NEVER;
}

#define YEARS_FAR 20000 /* past every year that has four digits, from every date that has */

/* years against a literal. Its value is null up to the date and grows from then on, so that the comparison turns at the
 * date, where the value reaches the literal, or where it passes it. */
static int64_t years_crossing(enum tagd_node_kind kind, int64_t date, int64_t today, enum verdict now,
                              struct tagd_val literal)
{
    int64_t years = tagd_years_since(date, today), near = whole_below(literal, YEARS_FAR - 1);
    if (years < 0)
        return date;
    for (int64_t n = near; n <= near + 1; n++) {
        if (n > years && against(kind, whole_val(n), literal) != now)
            return tagd_years_full(date, n);
    }
    return TAGD_NEVER;
}

/* days_until or years against a literal. */
static int64_t calendar_crossing(struct view *view, enum tagd_node_kind kind, const struct tagd_node *node,
                                 struct tagd_val literal)
{
    int64_t date, today = tagd_local_day(view->catalog, view->now);
    if (!tagd_calendar_date(view, node, &date))
        return TAGD_NEVER;
    enum verdict now = against(kind, tagd_eval(view, node), literal);
    int64_t day = tagd_node_years(node) ? years_crossing(kind, date, today, now, literal)
                                        : days_crossing(kind, date, today, now, literal);
    return day == TAGD_NEVER ? TAGD_NEVER : tagd_local_midnight(view->catalog, day);
}

/* When days_until or years is another: at the next midnight, or at the next birthday's. */
static int64_t calendar_change(const struct view *view, const struct tagd_node *node)
{
    int64_t date, today = tagd_local_day(view->catalog, view->now);
    if (!tagd_calendar_date(view, node, &date))
        return TAGD_NEVER;
    int64_t day = tagd_node_years(node) ? tagd_years_full(date, tagd_years_since(date, today) + 1) : today + 1;
    return tagd_local_midnight(view->catalog, day);
}

/* When days_until or years is null no more, if time brings that about: a date that lies ahead comes. */
static int64_t calendar_begin(const struct view *view, const struct tagd_node *node)
{
    int64_t date;
    bool ahead = tagd_node_years(node) && tagd_calendar_date(view, node, &date) &&
                 date > tagd_local_day(view->catalog, view->now);
    return ahead ? tagd_local_midnight(view->catalog, date) : TAGD_NEVER;
}

/* p_alive() against what is constant until its own next instant: it falls, so that a comparison turns once at most. */
static int64_t alive_crossing(struct view *view, enum tagd_node_kind kind, const struct tagd_node *level)
{
    const struct tagd_churn_model *model = &view->catalog->churn.model;
    struct tagd_purchases purchases;
    int64_t stable = tagd_stable(view, level);
    struct tagd_val val = tagd_eval(view, level);
    if (val.kind == TAGD_V_NULL || !tagd_purchases(view, &purchases))
        return stable;
    bool strict = kind == TAGD_N_LT || kind == TAGD_N_GE;
    int64_t at = strict ? tagd_model_below_ms(model, &purchases, tagd_val_number(val))
                        : tagd_model_at_most_ms(model, &purchases, tagd_val_number(val));
    return at > view->now ? earlier(stable, at) : stable;
}

static int64_t stable_comparison(struct view *view, const struct tagd_node *node)
{
    const struct tagd_node *value = node->value; /* NULL: no side is a literal */
    if (value && node->level->kind == TAGD_V_NULL)
        return TAGD_NEVER;
    if (node->a->decays)
        return alive_crossing(view, node->kind, node->b);
    if (node->b->decays)
        return alive_crossing(view, tagd_mirrored(node->kind), node->a);
    if (value && tagd_is_clock(value))
        return clock_crossing(view, value, node->op, node->level->u.i);
    if (value && tagd_node_calendar(value))
        return calendar_crossing(view, node->op, value, *node->level);
    if (value && view->walk && tagd_node_sums(view->catalog, value) && node->level->kind == TAGD_V_DECIMAL)
        return tagd_window_crossing(view, value, node->op, node->level->u.d);
    const struct tagd_node *inside = value ? behind_lookups(view->catalog, value) : NULL;
    if (inside && tagd_node_windowed(inside) && view->walk)
        return window_crossing(view, node->op, value, inside, *node->level);
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
    if (tagd_node_windowed(node))
        return tagd_window_boundary(view, node->index);
    int64_t at;
    bool varies;
    const struct tagd_node *inner;
    switch (node->kind) {
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST:
    case TAGD_N_UNTIL:
    case TAGD_N_UNTIL_NEXT:
    case TAGD_N_HELD: return tagd_clock_zero(view, node, &at) ? view->now + 1 : TAGD_NEVER;
    case TAGD_N_DAYS_UNTIL:
    case TAGD_N_YEARS:
    case TAGD_N_DAYS_UNTIL_FIRST:
    case TAGD_N_YEARS_FIRST: return calendar_change(view, node);
    case TAGD_N_LOOKUP: return tagd_stable(view, node->a);
    case TAGD_N_DIMENSION: return view->stable[node->index];
    case TAGD_N_METRIC: return tagd_stable(view, view->catalog->metrics[node->index].node);
    case TAGD_N_AND:
    case TAGD_N_OR: return stable_logic(view, node);
    case TAGD_N_NOT: return tagd_stable(view, node->a);
    case TAGD_N_IS_NULL:
    case TAGD_N_IS_NOT_NULL:
        inner = tagd_behind_metric(view->catalog, node->a);
        if (node->a->decays)
            return TAGD_NEVER; /* events alone decide it */
        if (tagd_node_calendar(inner))
            return calendar_begin(view, inner);
        return node->a->varies ? search(view, node) : tagd_stable(view, node->a);
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
