/* Functions of expressions: the table of them, and what stands between their brackets. */
#include <stdio.h>

#include "catalog/expression.h"

#define ANY_FIELD 0x1F
#define ONLY(type) (1U << (type))

static const struct {
    const char *name;
    enum tagd_node_kind kind;
    unsigned fields; /* types of field it takes; 0: it has no field */
    bool range;
} functions[] = {
    {"count", TAGD_N_COUNT, 0, true},
    {"sum", TAGD_N_SUM, ONLY(TAGD_DECIMAL), true},
    {"avg", TAGD_N_AVG, ONLY(TAGD_DECIMAL), true},
    {"min", TAGD_N_MIN, ONLY(TAGD_DECIMAL) | ONLY(TAGD_TIME) | ONLY(TAGD_DATE), true},
    {"max", TAGD_N_MAX, ONLY(TAGD_DECIMAL) | ONLY(TAGD_TIME) | ONLY(TAGD_DATE), true},
    {"distinct", TAGD_N_DISTINCT, ANY_FIELD, true},
    {"top", TAGD_N_TOP, ANY_FIELD, true},
    {"days", TAGD_N_DAYS, 0, true},
    {"first", TAGD_N_FIRST, ANY_FIELD, false},
    {"latest", TAGD_N_LATEST, ANY_FIELD, false},
    {"since", TAGD_N_SINCE, 0, false},
    {"since_first", TAGD_N_SINCE_FIRST, 0, false},
    {"until", TAGD_N_UNTIL, ONLY(TAGD_TIME), false},
    {"until_next", TAGD_N_UNTIL_NEXT, ONLY(TAGD_TIME), false},
    {"days_until", TAGD_N_DAYS_UNTIL, 0, false},
    {"years", TAGD_N_YEARS, 0, false},
    {"lookup", TAGD_N_LOOKUP, 0, false},
};
/* Of a dimension, as it stood before this evaluation. */
static const struct {
    const char *name;
    enum tagd_node_kind kind;
} past_functions[] = {{"was", TAGD_N_WAS}, {"previous", TAGD_N_PREVIOUS}, {"held", TAGD_N_HELD}};

static bool is_exact(enum tagd_node_kind kind, enum tagd_type type)
{
    return type == TAGD_T_NUMBER && kind != TAGD_N_AVG;
}

/* Of a window of panes. */
static void finish_panes(struct parse *parse, struct tagd_node *node, uint32_t selector, struct tagd_str field,
                         const struct window_range *range)
{
    static const enum tagd_column_kind columns[] = {
        [TAGD_N_COUNT] = TAGD_COL_COUNT,   [TAGD_N_SUM] = TAGD_COL_FIELD_SUM, [TAGD_N_AVG] = TAGD_COL_FIELD_SUM,
        [TAGD_N_MIN] = TAGD_COL_FIELD_MIN, [TAGD_N_MAX] = TAGD_COL_FIELD_MAX, [TAGD_N_DAYS] = TAGD_COL_DAYS};
    struct tagd_catalog *catalog = parse->catalog;
    bool forever = node->kind == TAGD_N_DAYS && !range->window; /* every day is a pane that stays */
    uint32_t store = tagd_state_store(catalog, selector, forever ? TAGD_MS_DAY : range->pane, forever);
    node->index =
        tagd_state_window(catalog, false, store, range->window ? range->window / range->pane : 0, range->offset);
    node->column = tagd_state_column(catalog, store, columns[node->kind], field);
    if (node->kind == TAGD_N_AVG)
        node->count_column = tagd_state_column(catalog, store, TAGD_COL_FIELD_COUNT, field);
}

/* Of a window of values. */
static void finish_values(struct parse *parse, struct tagd_node *node, uint32_t selector, struct tagd_str field,
                          enum tagd_field_type type, const struct window_range *range)
{
    struct tagd_catalog *catalog = parse->catalog;
    uint32_t store = tagd_state_values(catalog, selector, range->pane, field, type);
    node->index =
        tagd_state_window(catalog, true, store, range->window ? range->window / range->pane : 0, range->offset);
    if (node->kind == TAGD_N_TOP)
        catalog->value_stores[store].ordered = true;
}

static void finish_mark(struct parse *parse, struct tagd_node *node, uint32_t selector, struct tagd_str field,
                        enum tagd_field_type type)
{
    enum tagd_node_kind kind = node->kind;
    bool first = kind == TAGD_N_SINCE_FIRST || tagd_node_calendar(node);
    node->slope = kind == TAGD_N_UNTIL ? -1 : kind == TAGD_N_SINCE || kind == TAGD_N_SINCE_FIRST ? 1 : 0;
    node->varies = node->slope != 0;
    node->timed = node->varies || tagd_node_calendar(node);
    node->flat = !node->varies;
    node->index = tagd_state_mark(parse->catalog, selector,
                                  kind == TAGD_N_SINCE   ? TAGD_MARK_LATEST
                                  : first                ? TAGD_MARK_FIRST
                                  : kind == TAGD_N_FIRST ? TAGD_MARK_FIRST_VALUE
                                                         : TAGD_MARK_VALUE,
                                  field, type);
}

static enum tagd_type function_type(enum tagd_node_kind kind, enum tagd_field_type field)
{
    switch (kind) {
    case TAGD_N_MIN:
    case TAGD_N_MAX:
    case TAGD_N_TOP:
    case TAGD_N_FIRST:
    case TAGD_N_LATEST: return tagd_value_type(field);
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST:
    case TAGD_N_UNTIL: return TAGD_T_DURATION;
    default: return TAGD_T_NUMBER;
    }
}

/* The types that a function takes, as words: "decimal, time or date". */
static const char *types_text(unsigned types, char out[80])
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i <= TAGD_DATE; i++) {
        if (!(types & ONLY(i)))
            continue;
        types &= ~ONLY(i);
        n += (size_t)snprintf(out + n, 80 - n, "%s%s", n == 0 ? "" : types ? ", " : " or ", tagd_field_type_name(i));
    }
    return out;
}

/* "field," before the events. */
static bool parse_field(struct parse *parse, struct tagd_str *field, size_t *at)
{
    char what[80];
    tagd_parse_skip_space(parse);
    *at = parse->at;
    *field = tagd_parse_take_name(parse);
    if (!field->n)
        return tagd_parse_fail(parse, *at, "expected the name of a field, found %s", tagd_parse_found(parse, what)),
               false;
    return tagd_parse_expect(parse, ",", "after the field");
}

/* What stands next: an attribute, or an event type or a group; else false. Nothing is taken. */
static bool peek_date(struct parse *parse, const char *function, bool *attribute)
{
    char what[80];
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = tagd_parse_take_name(parse);
    parse->at = at;
    *attribute = tagd_is_attribute(name);
    if (*attribute || tagd_catalog_type_find(parse->catalog, name) >= 0 || tagd_find_group(parse->catalog, name) ||
        tagd_catalog_type_reserved(name))
        return true;
    return tagd_parse_fail(
               parse, at,
               "expected an attribute of type date, as in %s(attr.birthday), or an event type or a group, found %s",
               function, tagd_parse_found(parse, what)),
           false;
}

/* days_until(attr.NAME), years(attr.NAME), after '('. */
static struct tagd_node *parse_of_attribute(struct parse *parse, size_t f, size_t start)
{
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = tagd_parse_take_name(parse);
    int32_t attribute = tagd_find_attribute(parse->catalog, name);
    if (attribute < 0)
        return tagd_parse_unknown_attribute(parse, at, name);
    enum tagd_field_type type = parse->catalog->attributes[attribute].field.type;
    if (type != TAGD_DATE)
        return tagd_parse_fail(parse, at, "%s wants an attribute of type date: '%.*s' is %s", functions[f].name,
                               (int)name.n, name.p, tagd_field_type_name(type));
    if (!tagd_parse_expect(parse, ")", "after the attribute"))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, functions[f].kind, TAGD_T_NUMBER, start);
    node->index = (uint32_t)attribute;
    node->timed = node->exact = true;
    return node;
}

static int32_t find_table(const struct tagd_catalog *catalog, struct tagd_str name)
{
    for (uint32_t i = 0; i < catalog->n_tables; i++) {
        if (tagd_str_eq(catalog->tables[i].name, name))
            return (int32_t)i;
    }
    return -1;
}

/* lookup(TABLE, expression), after '('. */
static struct tagd_node *parse_lookup(struct parse *parse, size_t start)
{
    char what[80];
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = tagd_parse_take_name(parse);
    if (!name.n)
        return tagd_parse_fail(parse, at, "expected the name of a table, found %s", tagd_parse_found(parse, what));
    int32_t table = find_table(parse->catalog, name);
    if (table < 0)
        return tagd_parse_fail(parse, at, "'%.*s' is not declared: expected a table of \"tables\"", (int)name.n,
                               name.p);
    if (!tagd_parse_expect(parse, ",", "after the table"))
        return NULL;
    tagd_parse_skip_space(parse);
    at = parse->at;
    struct tagd_node *key = tagd_parse_or(parse);
    if (!key)
        return NULL;
    if (key->type != TAGD_T_STRING && key->type != TAGD_T_TAG && key->type != TAGD_T_NULL)
        return tagd_parse_fail(parse, at, "lookup wants a string to look up, found %s", tagd_type_name(key->type));
    if (!tagd_parse_expect(parse, ")", "after what is looked up"))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, TAGD_N_LOOKUP, TAGD_T_STRING, start);
    node->index = (uint32_t)table;
    node->a = key;
    node->timed = key->timed;
    return node;
}

/* ", events [, duration])": what meets an instant, and how long before it at most. */
static struct tagd_node *parse_met(struct parse *parse, size_t start, uint32_t selector, struct tagd_str field)
{
    struct tagd_catalog *catalog = parse->catalog;
    int64_t before = 0;
    if (!tagd_parse_expect(parse, ",",
                           "and what meets an instant, as in until_next(due, contact.planned, contact.sent)"))
        return NULL;
    struct tagd_match *by_type = tagd_parse_events(parse, true);
    if (!by_type ||
        (tagd_parse_take(parse, ",") &&
         !tagd_parse_take_duration(parse, "how long before an instant it may be met", &before)) ||
        !tagd_parse_expect(parse, ")", "after the events that meet an instant"))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, TAGD_N_UNTIL_NEXT, TAGD_T_DURATION, start);
    node->column = tagd_state_values(catalog, selector, 0, field, TAGD_TIME);
    catalog->value_stores[node->column].ordered = true; /* when an instant was given last matters too */
    node->index = tagd_state_mark(catalog, tagd_state_selector(catalog, by_type), TAGD_MARK_LATEST,
                                  (struct tagd_str){"", 0}, TAGD_DECIMAL);
    node->literal = (struct tagd_val){.kind = TAGD_V_DURATION, .u.i = before};
    node->slope = -1;
    node->varies = node->timed = true;
    node->flat = false;
    return node;
}

static enum tagd_node_kind of_first(enum tagd_node_kind kind)
{
    return kind == TAGD_N_DAYS_UNTIL ? TAGD_N_DAYS_UNTIL_FIRST : kind == TAGD_N_YEARS ? TAGD_N_YEARS_FIRST : kind;
}

static struct tagd_node *parse_function(struct parse *parse, size_t f, size_t start)
{
    enum tagd_node_kind kind = of_first(functions[f].kind);
    struct tagd_str field = {0};
    struct window_range range = {0};
    size_t field_at = 0;
    char types[80];
    bool attribute = false;
    if (kind == TAGD_N_LOOKUP)
        return parse_lookup(parse, start);
    if (kind != functions[f].kind && !peek_date(parse, functions[f].name, &attribute))
        return NULL;
    if (attribute)
        return parse_of_attribute(parse, f, start);
    if (functions[f].fields && !parse_field(parse, &field, &field_at))
        return NULL;
    struct tagd_match *by_type = tagd_parse_events(parse, true);
    if (!by_type)
        return NULL;
    enum tagd_field_type type = TAGD_DECIMAL;
    if (functions[f].fields && !tagd_parse_field_type(parse, by_type, field, field_at, &type))
        return NULL;
    if (functions[f].fields && !(functions[f].fields & ONLY(type)))
        return tagd_parse_fail(parse, field_at, "%s wants a field of type %s: '%.*s' is %s", functions[f].name,
                               types_text(functions[f].fields, types), (int)field.n, field.p,
                               tagd_field_type_name(type));
    uint32_t selector = tagd_state_selector(parse->catalog, by_type);
    tagd_parse_skip_space(parse);
    if (functions[f].range) {
        if (!tagd_parse_range(parse, &range))
            return NULL;
    } else if (tagd_parse_peek(parse) == '[') {
        return tagd_parse_fail(parse, parse->at, "%s looks at all time: expected ')' without a window",
                               functions[f].name);
    }
    if (kind == TAGD_N_UNTIL_NEXT)
        return parse_met(parse, start, selector, field);
    if (!tagd_parse_expect(parse, ")", "after the events"))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, kind, function_type(kind, type), start);
    node->timed = range.window != 0;
    node->exact = is_exact(kind, node->type);
    if (kind <= TAGD_N_DAYS)
        finish_panes(parse, node, selector, field, &range);
    else if (kind <= TAGD_N_TOP)
        finish_values(parse, node, selector, field, type, &range);
    else
        finish_mark(parse, node, selector, field, type);
    return node;
}

/* was(D), previous(D), held(D), after '('. */
static struct tagd_node *parse_past(struct parse *parse, size_t f, size_t start)
{
    struct tagd_catalog *catalog = parse->catalog;
    enum tagd_node_kind kind = past_functions[f].kind;
    char what[80];
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = tagd_parse_take_name(parse);
    int32_t dimension = name.n ? tagd_catalog_dimension_find(catalog, name) : -1;
    if (name.n && dimension < 0)
        return tagd_parse_fail(parse, at,
                               "'%.*s' is not known: expected the name of a dimension, as in %s(value.level)",
                               (int)name.n, name.p, past_functions[f].name);
    if (dimension < 0)
        return tagd_parse_fail(parse, at, "expected the name of a dimension, as in %s(value.level), found %s",
                               past_functions[f].name, tagd_parse_found(parse, what));
    if (!tagd_parse_expect(parse, ")", "after the dimension"))
        return NULL;
    bool clock = kind == TAGD_N_HELD;
    struct tagd_node *node = tagd_parse_node(parse, kind, clock ? TAGD_T_DURATION : TAGD_T_TAG, start);
    node->index = (uint32_t)dimension;
    node->varies = node->timed = clock;
    node->flat = !clock;
    node->slope = clock;
    tagd_parse_collect_needs(parse, node);
    return node;
}

static struct tagd_node *parse_p_alive(struct parse *parse, size_t start)
{
    if (!parse->catalog->churn.given)
        return tagd_parse_fail(parse, start,
                               "p_alive() is the churn model's: expected a \"churn\" section, which `tagd fit` makes");
    if (!tagd_parse_expect(parse, ")", "after p_alive("))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, TAGD_N_P_ALIVE, TAGD_T_NUMBER, start);
    node->decays = node->timed = true;
    return node;
}

static struct tagd_node *no_function(struct parse *parse, size_t start, struct tagd_str name)
{
    char names[240];
    size_t n = 0;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", functions[i].name);
    for (size_t i = 0; i < sizeof past_functions / sizeof *past_functions; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, ", %s", past_functions[i].name);
    snprintf(names + n, sizeof names - n, ", p_alive");
    return tagd_parse_fail(parse, start, "no function is named '%.*s': expected one of %s", (int)name.n, name.p, names);
}

struct tagd_node *tagd_parse_call(struct parse *parse, size_t start, struct tagd_str name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (tagd_str_eq(name, tagd_str_of(functions[i].name)))
            return parse_function(parse, i, start);
    }
    for (size_t i = 0; i < sizeof past_functions / sizeof *past_functions; i++) {
        if (tagd_str_eq(name, tagd_str_of(past_functions[i].name)))
            return parse_past(parse, i, start);
    }
    if (tagd_str_eq(name, TAGD_STR("p_alive")))
        return parse_p_alive(parse, start);
    return no_function(parse, start, name);
}
