/* The value of an expression at an instant. */
#include "engine/eval.h"

#include <math.h>

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
double tagd_val_number(struct tagd_val val)
{
    if (val.kind == TAGD_V_DURATION)
        return (double)val.u.i;
    return val.kind == TAGD_V_DECIMAL ? tagd_decimal_to_double(val.u.d) : val.u.f;
}

/* ---- values ---- */

static struct tagd_val field_val(enum tagd_field_type type, int64_t i, struct tagd_str s)
{
    switch (type) {
    case TAGD_DECIMAL: return decimal_val(i);
    case TAGD_BOOLEAN: return bool_val(i != 0);
    case TAGD_TIME: return (struct tagd_val){.kind = TAGD_V_TIME, .u.i = i};
    case TAGD_DATE: return (struct tagd_val){.kind = TAGD_V_DATE, .u.i = i};
    case TAGD_STRING: break;
    }
    return (struct tagd_val){.kind = TAGD_V_STRING, .u.s = s};
}

/* The least or greatest: as cells are, 0 none. */
static struct tagd_val best_val(enum tagd_type type, tagd_i128 cell)
{
    if (cell == 0)
        return null_val;
    tagd_i128 value = cell > 0 ? cell - 1 : cell;
    if (type == TAGD_T_NUMBER)
        return decimal_val(value);
    return (struct tagd_val){.kind = type == TAGD_T_TIME ? TAGD_V_TIME : TAGD_V_DATE, .u.i = (int64_t)value};
}

static struct tagd_val aggregate(struct view *view, const struct tagd_node *node)
{
    tagd_i128 sum = tagd_window_sum(view, node->index, node->column);
    switch (node->kind) {
    case TAGD_N_COUNT:
    case TAGD_N_DAYS: return decimal_val(sum * TAGD_DECIMAL_ONE);
    case TAGD_N_SUM: return decimal_val(sum);
    case TAGD_N_MIN:
    case TAGD_N_MAX: return best_val(node->type, sum);
    default: break;
    }
    tagd_i128 count = tagd_window_sum(view, node->index, node->count_column);
    return count > 0 ? double_val(tagd_decimal_avg(sum, (int64_t)count)) : null_val;
}

static struct tagd_val values_val(struct view *view, const struct tagd_node *node)
{
    const struct tagd_window *window = &view->catalog->windows[node->index];
    const struct tagd_values *values = tagd_values_of(view->profile, window->store);
    if (node->kind == TAGD_N_DISTINCT) {
        return decimal_val((tagd_i128)tagd_window_distinct(view, node->index) * TAGD_DECIMAL_ONE);
    }
    uint32_t entry = tagd_window_top(view, node->index);
    if (entry == UINT32_MAX)
        return null_val;
    const struct tagd_known *known = &values->known[values->seen[entry].value];
    return field_val(view->catalog->value_stores[window->store].field_type, known->i, tagd_text_str(&known->s));
}

bool tagd_is_clock(const struct tagd_node *node)
{
    return node->kind == TAGD_N_SINCE || node->kind == TAGD_N_SINCE_FIRST || node->kind == TAGD_N_HELD ||
           tagd_node_falls(node);
}

/* The earliest instant that nothing has met: what meets one comes after the event that gave it, and not too long before
 * the instant. */
static bool next_unmet(const struct view *view, const struct tagd_node *node, int64_t *instant)
{
    const struct tagd_values *values = tagd_values_of(view->profile, node->column);
    const struct tagd_mark_state *met = tagd_mark_of(view->profile, node->index);
    bool any = false;
    for (uint32_t i = 0; i < values->n; i++) {
        int64_t at = values->known[values->seen[i].value].i;
        if (met->present && met->at > values->seen[i].last && met->at >= at - node->literal.u.i)
            continue;
        if (!any || at < *instant)
            *instant = at;
        any = true;
    }
    return any;
}

bool tagd_clock_zero(const struct view *view, const struct tagd_node *node, int64_t *zero)
{
    if (node->kind == TAGD_N_HELD) {
        const struct standing *standing = &view->standings[node->index];
        *zero = standing->at;
        return standing->tag.tag >= 0;
    }
    if (node->kind == TAGD_N_UNTIL_NEXT)
        return next_unmet(view, node, zero);
    const struct tagd_mark_state *mark = tagd_mark_of(view->profile, node->index);
    *zero = node->kind == TAGD_N_UNTIL ? mark->i : mark->at;
    return mark->present;
}

struct tagd_val tagd_clock_val(const struct view *view, const struct tagd_node *node, int64_t at)
{
    int64_t zero;
    if (!tagd_clock_zero(view, node, &zero))
        return null_val;
    return duration_val(tagd_node_falls(node) ? zero - at : at - zero);
}

static struct tagd_val mark_value(const struct view *view, const struct tagd_node *node)
{
    const struct tagd_mark_state *mark = tagd_mark_of(view->profile, node->index);
    if (tagd_is_clock(node))
        return tagd_clock_val(view, node, view->now);
    return mark->present ? field_val(view->catalog->marks[node->index].field_type, mark->i, tagd_text_str(&mark->s))
                         : null_val;
}

static struct tagd_val attribute_value(const struct view *view, const struct tagd_node *node)
{
    const struct tagd_attribute_state *state = tagd_attribute_of(view->profile, node->index);
    if (!state->present)
        return null_val;
    return field_val(view->catalog->attributes[node->index].field.type, state->i, tagd_text_str(&state->s));
}

bool tagd_calendar_date(const struct view *view, const struct tagd_node *node, int64_t *date)
{
    if (tagd_node_of_attribute(node)) {
        const struct tagd_attribute_state *state = tagd_attribute_of(view->profile, node->index);
        *date = state->i;
        return state->present;
    }
    const struct tagd_mark_state *mark = tagd_mark_of(view->profile, node->index);
    *date = tagd_local_day(view->catalog, mark->at);
    return mark->present;
}

static struct tagd_val calendar_value(const struct view *view, const struct tagd_node *node)
{
    int64_t date, today = tagd_local_day(view->catalog, view->now);
    if (!tagd_calendar_date(view, node, &date))
        return null_val;
    int64_t n = tagd_node_years(node) ? tagd_years_since(date, today) : tagd_days_until_return(date, today);
    return n < 0 ? null_val : decimal_val((tagd_i128)n * TAGD_DECIMAL_ONE);
}

static struct tagd_val lookup_value(struct view *view, const struct tagd_node *node)
{
    struct tagd_val key = tagd_eval(view, node->a);
    if (key.kind == TAGD_V_NULL)
        return null_val;
    struct tagd_str value = tagd_table_find(&view->catalog->tables[node->index], key.u.s);
    return value.p ? (struct tagd_val){.kind = TAGD_V_STRING, .u.s = value} : null_val;
}

static struct tagd_val truncated(double ms)
{
    return fabs(ms) <= (double)TAGD_DURATION_MAX ? duration_val((int64_t)ms) : null_val;
}

double tagd_val_raw(enum tagd_node_kind kind, struct tagd_val a, struct tagd_val b)
{
    double x = tagd_val_number(a), y = tagd_val_number(b);
    return kind == TAGD_N_ADD ? x + y : kind == TAGD_N_SUB ? x - y : kind == TAGD_N_MUL ? x * y : x / y;
}

struct tagd_val tagd_val_arithmetic(enum tagd_node_kind kind, struct tagd_val a, struct tagd_val b)
{
    if (a.kind == TAGD_V_NULL || b.kind == TAGD_V_NULL)
        return null_val;
    bool da = a.kind == TAGD_V_DURATION, db = b.kind == TAGD_V_DURATION;
    if (da && db && kind != TAGD_N_DIV)
        return duration_val(kind == TAGD_N_ADD ? a.u.i + b.u.i : a.u.i - b.u.i);
    if (kind == TAGD_N_DIV && tagd_val_number(b) == 0)
        return null_val;
    double result = tagd_val_raw(kind, a, b);
    bool duration = kind == TAGD_N_MUL ? da || db : kind == TAGD_N_DIV && da && !db;
    return duration ? truncated(result) : double_val(result);
}

/* Both not null, of comparable kinds: <0, 0, >0. */
int tagd_val_compare(struct tagd_val a, struct tagd_val b)
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
    double x = tagd_val_number(a), y = tagd_val_number(b);
    return (x > y) - (x < y);
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
        else if (tagd_val_compare(a, b) == 0)
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

static struct tagd_val tag_value(const struct view *view, const struct tagd_node *node)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[node->index];
    int32_t tag = tagd_view_tag(view, node->index);
    if (tag < 0)
        return null_val;
    return (struct tagd_val){.kind = TAGD_V_STRING, .u.s = tagd_view_text(view, dimension, node->index, tag)};
}

/* was(D), previous(D). */
static struct tagd_val past_value(const struct view *view, const struct tagd_node *node)
{
    const struct standing *standing = &view->standings[node->index];
    const struct outcome *outcome = node->kind == TAGD_N_WAS ? &standing->tag : &standing->before;
    return outcome->tag < 0 ? null_val : (struct tagd_val){.kind = TAGD_V_STRING, .u.s = outcome->text};
}

bool tagd_purchases(struct view *view, struct tagd_purchases *purchases)
{
    const struct tagd_churn *churn = &view->catalog->churn;
    const struct tagd_mark_state *first = tagd_mark_of(view->profile, churn->first),
                                 *latest = tagd_mark_of(view->profile, churn->latest);
    if (!latest->present)
        return false;
    purchases->x = (uint32_t)tagd_window_sum(view, churn->days, churn->days_column) - 1;
    purchases->first_ms = first->at;
    purchases->last_ms = latest->at;
    return tagd_model_speaks(&churn->model, purchases->x);
}

static struct tagd_val p_alive_value(struct view *view)
{
    struct tagd_purchases purchases;
    return tagd_purchases(view, &purchases)
               ? double_val(tagd_model_p_alive_at(&view->catalog->churn.model, &purchases, view->now))
               : null_val;
}

struct tagd_val tagd_eval(struct view *view, const struct tagd_node *node)
{
    struct tagd_val a, b;
    switch (node->kind) {
    case TAGD_N_LITERAL: return node->literal;
    case TAGD_N_COUNT:
    case TAGD_N_SUM:
    case TAGD_N_AVG:
    case TAGD_N_MIN:
    case TAGD_N_MAX:
    case TAGD_N_DAYS: return aggregate(view, node);
    case TAGD_N_DISTINCT:
    case TAGD_N_TOP: return values_val(view, node);
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST:
    case TAGD_N_UNTIL:
    case TAGD_N_UNTIL_NEXT:
    case TAGD_N_LATEST:
    case TAGD_N_FIRST: return mark_value(view, node);
    case TAGD_N_ATTRIBUTE: return attribute_value(view, node);
    case TAGD_N_DAYS_UNTIL:
    case TAGD_N_YEARS:
    case TAGD_N_DAYS_UNTIL_FIRST:
    case TAGD_N_YEARS_FIRST: return calendar_value(view, node);
    case TAGD_N_LOOKUP: return lookup_value(view, node);
    case TAGD_N_DIMENSION: return tag_value(view, node);
    case TAGD_N_WAS:
    case TAGD_N_PREVIOUS: return past_value(view, node);
    case TAGD_N_HELD: return tagd_clock_val(view, node, view->now);
    case TAGD_N_P_ALIVE: return p_alive_value(view);
    case TAGD_N_METRIC: return tagd_eval(view, view->catalog->metrics[node->index].node);
    case TAGD_N_AND:
    case TAGD_N_OR: return eval_logic(view, node);
    case TAGD_N_NOT: a = tagd_eval(view, node->a); return a.kind == TAGD_V_NULL ? a : bool_val(!a.u.b);
    case TAGD_N_IN: return eval_in(view, node);
    case TAGD_N_ADD:
    case TAGD_N_SUB:
    case TAGD_N_MUL:
    case TAGD_N_DIV: return tagd_val_arithmetic(node->kind, tagd_eval(view, node->a), tagd_eval(view, node->b));
    case TAGD_N_IS_NULL: return bool_val(tagd_eval(view, node->a).kind == TAGD_V_NULL);
    case TAGD_N_IS_NOT_NULL: return bool_val(tagd_eval(view, node->a).kind != TAGD_V_NULL);
    default: break;
    }
    a = tagd_eval(view, node->a);
    b = tagd_eval(view, node->b);
    if (a.kind == TAGD_V_NULL || b.kind == TAGD_V_NULL)
        return null_val;
    return bool_val(tagd_val_outcome(node->kind, tagd_val_compare(a, b)));
}

/* A window's figure, or a time gone by, against a literal of its kind. False: it is something else. */
static bool shortly(struct view *view, const struct tagd_node *node, bool *holds)
{
    const struct tagd_node *value = node->value;
    if ((value->kind == TAGD_N_COUNT || value->kind == TAGD_N_SUM) && node->level->kind == TAGD_V_DECIMAL) {
        tagd_i128 sum = tagd_window_sum(view, value->index, value->column);
        tagd_i128 level = node->level->u.d;
        sum *= value->kind == TAGD_N_COUNT ? TAGD_DECIMAL_ONE : 1;
        *holds = tagd_val_outcome(node->op, (sum > level) - (sum < level));
        return true;
    }
    if (value->kind == TAGD_N_SINCE && node->level->kind == TAGD_V_DURATION) {
        const struct tagd_mark_state *mark = tagd_mark_of(view->profile, value->index);
        int64_t gone = view->now - mark->at, level = node->level->u.i;
        *holds = mark->present && gone <= TAGD_DURATION_MAX && gone >= -TAGD_DURATION_MAX &&
                 tagd_val_outcome(node->op, (gone > level) - (gone < level));
        return true;
    }
    return false;
}

/* Without making a value of each operand, where it is one of the usual conditions. */
bool tagd_holds(struct view *view, const struct tagd_node *node)
{
    bool holds;
    if (node->value && shortly(view, node, &holds))
        return holds;
    if (node->kind == TAGD_N_LITERAL)
        return node->literal.kind == TAGD_V_BOOL && node->literal.u.b;
    if (node->kind == TAGD_N_AND)
        return tagd_holds(view, node->a) && tagd_holds(view, node->b);
    if (node->kind == TAGD_N_OR)
        return tagd_holds(view, node->a) || tagd_holds(view, node->b);
    struct tagd_val val = tagd_eval(view, node);
    return val.kind == TAGD_V_BOOL && val.u.b;
}
