/* Expressions: text -> typed nodes. Recursive descent; an error names the place to the character.
 *
 *   or      = and { "or" and }
 *   and     = not { "and" not }
 *   not     = "not" not | compare
 *   compare = sum [ ("==" "!=" "<" "<=" ">" ">=") sum | "in" "(" sum {"," sum} ")" | "is" ["not"] "null" ]
 *   sum     = product { ("+" | " - ") product }
 *   product = primary { ("*" | "/") primary }
 *   primary = literal | "(" or ")" | name | function "(" ... ")"
 */
#include "catalog/parse.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tagd_node *parse_or(struct parse *parse);

static const char *const type_names[] = {
    [TAGD_T_NULL] = "null",         [TAGD_T_NUMBER] = "a number", [TAGD_T_DURATION] = "a duration",
    [TAGD_T_BOOLEAN] = "a boolean", [TAGD_T_STRING] = "a string", [TAGD_T_TIME] = "a time",
    [TAGD_T_DATE] = "a date",       [TAGD_T_TAG] = "a tag",
};

__attribute__((format(printf, 3, 4))) static void *fail(struct parse *parse, size_t at, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tagd_jsonc_fail(parse->jsonc, parse->error, NULL, parse->pointer, at, false, "%s", text);
    return NULL;
}

/* ---- characters and tokens ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_name(char c)
{
    return is_letter(c) || is_digit(c) || c == '_' || c == '-';
}
static char peek(const struct parse *parse)
{
    return parse->at < parse->n ? parse->text[parse->at] : '\0';
}
static void skip_space(struct parse *parse)
{
    while (parse->at < parse->n && strchr(" \t\r\n", parse->text[parse->at]) && parse->text[parse->at])
        parse->at++;
}

/* A name with the dots between its levels; empty if there is none here. */
static struct tagd_str take_name(struct parse *parse)
{
    skip_space(parse);
    size_t start = parse->at;
    if (!is_letter(peek(parse)) && peek(parse) != '_')
        return (struct tagd_str){parse->text + start, 0};
    while (parse->at < parse->n &&
           (is_name(parse->text[parse->at]) ||
            (parse->text[parse->at] == '.' && parse->at + 1 < parse->n && is_name(parse->text[parse->at + 1]))))
        parse->at++;
    return (struct tagd_str){parse->text + start, parse->at - start};
}

static bool take(struct parse *parse, const char *token)
{
    skip_space(parse);
    size_t n = strlen(token);
    if (parse->n - parse->at < n || memcmp(parse->text + parse->at, token, n) != 0)
        return false;
    parse->at += n;
    return true;
}

static bool take_word(struct parse *parse, const char *word)
{
    size_t start = (skip_space(parse), parse->at);
    if (tagd_str_eq(take_name(parse), tagd_str_of(word)))
        return true;
    parse->at = start;
    return false;
}

static const char *found(struct parse *parse, char out[80])
{
    skip_space(parse);
    if (parse->at >= parse->n)
        return "the end";
    size_t n = 1;
    if (is_name(parse->text[parse->at])) {
        while (parse->at + n < parse->n && n < 60 && is_name(parse->text[parse->at + n]))
            n++;
    } else {
        while (parse->at + n < parse->n && ((unsigned char)parse->text[parse->at + n] & 0xC0) == 0x80)
            n++;
    }
    snprintf(out, 80, "'%.*s'", (int)n, parse->text + parse->at);
    return out;
}

static bool expect(struct parse *parse, const char *token, const char *where)
{
    char text[80];
    if (take(parse, token))
        return true;
    const char *what = found(parse, text);
    fail(parse, parse->at, "expected '%s' %s, found %s", token, where, what);
    return false;
}

/* ---- nodes ---- */

static struct tagd_node *node_new(struct parse *parse, enum tagd_node_kind kind, enum tagd_type type, size_t start)
{
    struct tagd_node *node = tagd_arena_zalloc(&parse->catalog->arena, sizeof *node);
    node->kind = kind;
    node->type = type;
    node->flat = true;
    node->text = (struct tagd_str){parse->text + start, parse->at - start};
    return node;
}

static size_t start_of(const struct parse *parse, const struct tagd_node *node)
{
    return (size_t)(node->text.p - parse->text);
}

/* ---- literals ---- */

/* A quoted string's content in the arena. Either quote; a backslash takes the next character as it is. It may become a
 * tag, so it is no longer than any string of an event. */
static bool take_string(struct parse *parse, struct tagd_str *out)
{
    size_t start = parse->at;
    char quote = parse->text[parse->at++];
    char *copy = tagd_arena_alloc(&parse->catalog->arena, parse->n - parse->at + 1);
    size_t n = 0;
    while (parse->at < parse->n && parse->text[parse->at] != quote) {
        if (parse->text[parse->at] == '\\' && parse->at + 1 < parse->n)
            parse->at++;
        copy[n++] = parse->text[parse->at++];
    }
    if (parse->at >= parse->n)
        return fail(parse, start, "this string is not closed: expected %c", quote), false;
    parse->at++;
    if (n > TAGD_STRING_MAX)
        return fail(parse, start, "this string has %zu bytes; a string has at most %d", n, TAGD_STRING_MAX), false;
    copy[n] = '\0';
    *out = (struct tagd_str){copy, n};
    return true;
}

/* The value of a number's text: exact if it has at most 4 places and is within range, else a double. */
static struct tagd_val number_value(const char *text, size_t n)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    double f = strtod(copy, NULL);
    const char *dot = memchr(text, '.', n);
    size_t end = n;
    while (dot && text[end - 1] == '0')
        end--;
    bool places_fit = !dot || text + end - dot <= 5; /* the dot and 4 places */
    int64_t decimal;                                 /* 10^11 and 4 places are 15 digits, which a double tells apart */
    if (places_fit && !memchr(text, 'e', n) && !memchr(text, 'E', n) && tagd_decimal_from_double(f, &decimal))
        return (struct tagd_val){.kind = TAGD_V_DECIMAL, .u.d = decimal};
    return (struct tagd_val){.kind = TAGD_V_DOUBLE, .u.f = f};
}

static struct tagd_node *literal(struct parse *parse, size_t start, enum tagd_type type, struct tagd_val value)
{
    struct tagd_node *node = node_new(parse, TAGD_N_LITERAL, type, start);
    node->literal = value;
    node->exact = value.kind == TAGD_V_DECIMAL;
    return node;
}

/* Length of the digits of a number at p: digits [. digits] [e digits]; `e` only if digits follow. */
static size_t number_length(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && is_digit(p[i]))
        i++;
    if (i + 1 < n && p[i] == '.' && is_digit(p[i + 1])) {
        i++;
        while (i < n && is_digit(p[i]))
            i++;
    }
    size_t e = i;
    if (e < n && (p[e] == 'e' || p[e] == 'E')) {
        e++;
        if (e < n && (p[e] == '+' || p[e] == '-'))
            e++;
        if (e < n && is_digit(p[e])) {
            while (e < n && is_digit(p[e]))
                e++;
            return e;
        }
    }
    return i;
}

/* A number or duration, perhaps with a minus right before it. */
static struct tagd_node *parse_number(struct parse *parse)
{
    size_t start = parse->at;
    bool minus = peek(parse) == '-';
    size_t digits = start + (minus ? 1 : 0);
    size_t n = number_length(parse->text + digits, parse->n - digits);
    size_t end = digits + n;
    if (n == 0)
        return fail(parse, start,
                    "expected a number after the minus; a minus between two values stands between spaces");
    if (end < parse->n && is_letter(parse->text[end])) {
        size_t unit = end;
        while (unit < parse->n && is_name(parse->text[unit]))
            unit++;
        int64_t ms;
        if (!tagd_duration_parse((struct tagd_str){parse->text + digits, unit - digits}, &ms))
            return fail(
                parse, start,
                "'%.*s' is not a duration: expected a whole number and one of ms, s, m, h, d, w, at most 100000d",
                (int)(unit - start < 60 ? unit - start : 60), parse->text + start);
        parse->at = unit;
        return literal(parse, start, TAGD_T_DURATION,
                       (struct tagd_val){.kind = TAGD_V_DURATION, .u.i = minus ? -ms : ms});
    }
    if (n > 40)
        return fail(parse, start, "this number has %zu characters; at most 40 are read", n);
    parse->at = end;
    struct tagd_val value = number_value(parse->text + start, end - start);
    if (value.kind == TAGD_V_DOUBLE && !isfinite(value.u.f))
        return fail(parse, start, "this number is too large");
    return literal(parse, start, TAGD_T_NUMBER, value);
}

/* ---- filters and event selections ---- */

static const struct {
    const char *text;
    enum tagd_node_kind kind;
} operators[] = {{"==", TAGD_N_EQ}, {"!=", TAGD_N_NE}, {"<=", TAGD_N_LE},
                 {">=", TAGD_N_GE}, {"<", TAGD_N_LT},  {">", TAGD_N_GT}};

static bool take_operator(struct parse *parse, bool filter, enum tagd_node_kind *kind)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (take(parse, operators[i].text)) {
            *kind = operators[i].kind;
            return true;
        }
    }
    if (filter && take(parse, "=")) {
        *kind = TAGD_N_EQ;
        return true;
    }
    return false;
}

static const char *const field_type_names[] = {[TAGD_DECIMAL] = "decimal",
                                               [TAGD_STRING] = "string",
                                               [TAGD_BOOLEAN] = "boolean",
                                               [TAGD_TIME] = "time",
                                               [TAGD_DATE] = "date"};

/* The type a field has in all members that declare it. */
static bool field_type(struct parse *parse, const struct tagd_match *by_type, struct tagd_str field, size_t at,
                       enum tagd_field_type *type)
{
    if (tagd_str_eq(field, TAGD_STR("source"))) {
        *type = TAGD_STRING;
        return true;
    }
    bool any = false;
    const struct tagd_catalog *catalog = parse->catalog;
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        if (!by_type[i].n_clauses)
            continue;
        for (uint32_t j = 0; j < catalog->types[i].n_fields; j++) {
            const struct tagd_field *declared = &catalog->types[i].fields[j];
            if (!tagd_str_eq(declared->name, field))
                continue;
            if (any && declared->type != *type)
                return fail(parse, at,
                            "field '%.*s' is %s in one member of the group and %s in another: expected one type",
                            (int)field.n, field.p, field_type_names[*type], field_type_names[declared->type]),
                       false;
            any = true;
            *type = declared->type;
        }
    }
    if (!any)
        return fail(parse, at, "no event selected here declares a field '%.*s'", (int)field.n, field.p), false;
    return true;
}

static const char date_forms[] = ": expected a date as " TAGD_DATE_FORMS;

static bool filter_literal(struct parse *parse, struct tagd_term *term)
{
    skip_space(parse);
    size_t start = parse->at;
    const char *wanted = field_type_names[term->field_type];
    char c = peek(parse);
    struct tagd_str text;
    if (c == '"' || c == '\'') {
        if (!take_string(parse, &text))
            return false;
        bool ok = term->field_type == TAGD_STRING ? (term->literal.s = text, true)
                  : term->field_type == TAGD_TIME ? tagd_time_parse(text, &term->literal.i)
                  : term->field_type == TAGD_DATE ? tagd_date_parse(text, &term->literal.i)
                                                  : false;
        return ok ? true
                  : (fail(parse, start, "the field is %s: this string is not one%s", wanted,
                          term->field_type == TAGD_DATE ? date_forms : ""),
                     false);
    }
    if (is_digit(c) || c == '-') {
        struct tagd_node *node = parse_number(parse);
        if (!node)
            return false;
        if (term->field_type != TAGD_DECIMAL || node->type != TAGD_T_NUMBER)
            return fail(parse, start, "the field is %s: found %s", wanted, type_names[node->type]), false;
        if (node->literal.kind != TAGD_V_DECIMAL)
            return fail(parse, start,
                        "a decimal field has 4 places and at most 100000000000: this number does not fit"),
                   false;
        term->literal.i = (int64_t)node->literal.u.d;
        return true;
    }
    bool yes = take_word(parse, "true");
    if (yes || take_word(parse, "false")) {
        if (term->field_type != TAGD_BOOLEAN)
            return fail(parse, start, "the field is %s: found a boolean", wanted), false;
        term->literal.i = yes;
        return true;
    }
    char what[80];
    return fail(parse, start, "expected a literal of type %s, found %s", wanted, found(parse, what)), false;
}

struct raw_term {
    struct tagd_str field;
    struct tagd_term term;
};
#define FILTER_TERMS_MAX 16

/* The terms between braces, after '{'. */
static bool parse_terms(struct parse *parse, const struct tagd_match *by_type, struct raw_term *terms, uint32_t *n)
{
    do {
        skip_space(parse);
        size_t at = parse->at;
        struct tagd_str field = take_name(parse);
        char what[80];
        if (!field.n)
            return fail(parse, at, "expected a field's name, found %s", found(parse, what)), false;
        if (*n == FILTER_TERMS_MAX)
            return fail(parse, at, "a filter has at most %d terms", FILTER_TERMS_MAX), false;
        struct raw_term *raw = &terms[*n];
        *raw = (struct raw_term){.field = field};
        if (!field_type(parse, by_type, field, at, &raw->term.field_type))
            return false;
        skip_space(parse);
        size_t op_at = parse->at;
        if (!take_operator(parse, true, &raw->term.op))
            return fail(parse, op_at, "expected one of = == != < <= > >=, found %s", found(parse, what)), false;
        if (raw->term.field_type == TAGD_BOOLEAN && raw->term.op != TAGD_N_EQ && raw->term.op != TAGD_N_NE)
            return fail(parse, op_at, "booleans are only equal or different: expected = or !="), false;
        if (!filter_literal(parse, &raw->term))
            return false;
        raw->term.literal.present = true;
        ++*n;
    } while (take(parse, ","));
    return expect(parse, "}", "after the filter");
}

/* Every clause of every type gets the terms as well; a clause whose type lacks a field can never hold and goes. */
static void add_terms(struct tagd_catalog *catalog, struct tagd_match *by_type, const struct raw_term *terms,
                      uint32_t n)
{
    for (uint32_t type = 0; type < catalog->n_types; type++) {
        struct tagd_match *match = &by_type[type];
        if (!match->n_clauses)
            continue;
        struct tagd_clause *clauses = tagd_arena_zalloc(&catalog->arena, match->n_clauses * sizeof *clauses);
        bool lacks = false;
        for (uint32_t i = 0; i < match->n_clauses; i++) {
            clauses[i].n_terms = match->clauses[i].n_terms + n;
            clauses[i].terms = tagd_arena_zalloc(&catalog->arena, clauses[i].n_terms * sizeof *clauses[i].terms);
            if (match->clauses[i].n_terms)
                memcpy(clauses[i].terms, match->clauses[i].terms, match->clauses[i].n_terms * sizeof *clauses[i].terms);
            for (uint32_t j = 0; j < n; j++) {
                struct tagd_term *term = &clauses[i].terms[match->clauses[i].n_terms + j];
                *term = terms[j].term;
                term->field = tagd_field_by_type(catalog, terms[j].field)[type];
                lacks = lacks || term->field == TAGD_FIELD_ABSENT;
            }
        }
        match->clauses = clauses;
        if (lacks)
            match->n_clauses = 0;
    }
}

static void add_match(struct tagd_catalog *catalog, struct tagd_match *to, const struct tagd_match *from)
{
    struct tagd_clause *clauses =
        tagd_arena_zalloc(&catalog->arena, (to->n_clauses + from->n_clauses) * sizeof *clauses);
    if (to->n_clauses)
        memcpy(clauses, to->clauses, to->n_clauses * sizeof *clauses);
    memcpy(clauses + to->n_clauses, from->clauses, from->n_clauses * sizeof *clauses);
    to->clauses = clauses;
    to->n_clauses += from->n_clauses;
}

static const struct tagd_group *find_group(const struct tagd_catalog *catalog, struct tagd_str name)
{
    for (uint32_t i = 0; i < catalog->n_groups; i++) {
        if (tagd_str_eq(catalog->groups[i].name, name))
            return &catalog->groups[i];
    }
    return NULL;
}

/* E: an event type or a group, perhaps with a filter. Fresh array, or NULL. */
static struct tagd_match *parse_events(struct parse *parse, bool groups)
{
    struct tagd_catalog *catalog = parse->catalog;
    skip_space(parse);
    size_t start = parse->at;
    struct tagd_str name = take_name(parse);
    char what[80];
    if (!name.n)
        return fail(parse, start, "expected an event type%s, found %s", groups ? " or a group" : "",
                    found(parse, what));
    struct tagd_match *by_type = tagd_arena_zalloc(&catalog->arena, (catalog->n_types + 1) * sizeof *by_type);
    int32_t type = tagd_catalog_type_find(catalog, name);
    const struct tagd_group *group = groups ? find_group(catalog, name) : NULL;
    if (type >= 0) {
        by_type[type].n_clauses = 1;
        by_type[type].clauses = tagd_arena_zalloc(&catalog->arena, sizeof *by_type->clauses);
    } else if (group) {
        memcpy(by_type, group->by_type, catalog->n_types * sizeof *by_type);
    } else if (tagd_catalog_type_reserved(name)) {
        return fail(parse, start, "'%.*s' is a reserved type: rules read what it sets (attr.NAME, a dimension's name)",
                    (int)name.n, name.p);
    } else {
        return fail(parse, start, "'%.*s' is not declared: expected an event type of \"events\"%s", (int)name.n, name.p,
                    groups ? " or a group of \"groups\"" : "");
    }
    if (take(parse, "{")) {
        struct raw_term terms[FILTER_TERMS_MAX];
        uint32_t n = 0;
        if (!parse_terms(parse, by_type, terms, &n))
            return NULL;
        add_terms(catalog, by_type, terms, n);
    }
    return by_type;
}

bool tagd_parse_member(struct parse *parse, struct tagd_match *by_type)
{
    struct tagd_match *match = parse_events(parse, false);
    if (!match)
        return false;
    skip_space(parse);
    char what[80];
    if (parse->at < parse->n)
        return fail(parse, parse->at, "expected the end of the member, found %s", found(parse, what)), false;
    for (uint32_t i = 0; i < parse->catalog->n_types; i++) {
        if (match[i].n_clauses)
            add_match(parse->catalog, &by_type[i], &match[i]);
    }
    return true;
}

int32_t tagd_parse_selector(struct parse *parse)
{
    struct tagd_match *match = parse_events(parse, true);
    if (!match)
        return -1;
    skip_space(parse);
    char what[80];
    if (parse->at < parse->n)
        return fail(parse, parse->at, "expected the end of the events, found %s", found(parse, what)), -1;
    return (int32_t)tagd_state_selector(parse->catalog, match);
}

/* ---- windows ---- */

static int64_t default_pane(int64_t window)
{
    if (window < 3600000)
        return 1000;
    if (window < TAGD_MS_DAY)
        return 60000;
    return window <= 31 * (int64_t)TAGD_MS_DAY ? 3600000 : TAGD_MS_DAY;
}

static bool take_duration(struct parse *parse, const char *what, int64_t *ms)
{
    skip_space(parse);
    size_t start = parse->at;
    char text[80];
    if (!is_digit(peek(parse)))
        return fail(parse, start, "expected %s such as 30d, found %s", what, found(parse, text)), false;
    struct tagd_node *node = parse_number(parse);
    if (!node)
        return false;
    if (node->type != TAGD_T_DURATION)
        return fail(parse, start, "expected %s such as 30d, found a number: a unit is missing", what), false;
    *ms = node->literal.u.i;
    return true;
}

struct window_range {
    int64_t window, pane, offset; /* ms; window 0: all time */
};

/* [window], [window:pane], offset; or nothing: all time. */
static bool parse_range(struct parse *parse, struct window_range *range)
{
    skip_space(parse);
    size_t start = parse->at;
    *range = (struct window_range){0};
    if (!take(parse, "["))
        return true;
    int64_t window, pane, offset = 0;
    if (!take_duration(parse, "a window", &window))
        return false;
    if (window <= 0)
        return fail(parse, start + 1, "a window is longer than nothing"), false;
    pane = default_pane(window);
    bool explicit_pane = take(parse, ":");
    skip_space(parse);
    size_t pane_at = explicit_pane ? parse->at : start + 1;
    if (explicit_pane && !take_duration(parse, "a pane", &pane))
        return false;
    if (!expect(parse, "]", "after the window"))
        return false;
    if (pane <= 0 || TAGD_MS_DAY % pane != 0)
        return fail(parse, pane_at, "a pane divides a day: expected one such as 1s, 1m, 15m, 1h, 1d"), false;
    if (window % pane != 0)
        return fail(
                   parse, pane_at,
                   "the window (%lld ms) is not a multiple of its pane (%lld ms%s): name a pane that fits, as in [W:P]",
                   (long long)window, (long long)pane, explicit_pane ? "" : ", the default"),
               false;
    if (take_word(parse, "offset")) {
        skip_space(parse);
        size_t at = parse->at;
        if (!take_duration(parse, "an offset", &offset))
            return false;
        if (offset % pane != 0)
            return fail(parse, at, "the offset is not a multiple of the pane (%lld ms)", (long long)pane), false;
    }
    if ((window + offset) / pane > TAGD_WINDOW_PANES_MAX)
        return fail(parse, start, "window and offset have %lld panes; at most %d are kept: take a longer pane",
                    (long long)((window + offset) / pane), TAGD_WINDOW_PANES_MAX),
               false;
    *range = (struct window_range){window, pane, offset};
    return true;
}

/* ---- functions ---- */

static enum tagd_type value_type(enum tagd_field_type type)
{
    switch (type) {
    case TAGD_DECIMAL: return TAGD_T_NUMBER;
    case TAGD_STRING: return TAGD_T_STRING;
    case TAGD_BOOLEAN: return TAGD_T_BOOLEAN;
    case TAGD_TIME: return TAGD_T_TIME;
    case TAGD_DATE: return TAGD_T_DATE;
    }
    return TAGD_T_NULL;
}

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
    case TAGD_N_LATEST: return value_type(field);
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
    for (unsigned i = 0; i < sizeof field_type_names / sizeof *field_type_names; i++) {
        if (!(types & ONLY(i)))
            continue;
        types &= ~ONLY(i);
        n += (size_t)snprintf(out + n, 80 - n, "%s%s", n == 0 ? "" : types ? ", " : " or ", field_type_names[i]);
    }
    return out;
}

/* "field," before the events. */
static bool parse_field(struct parse *parse, struct tagd_str *field, size_t *at)
{
    char what[80];
    skip_space(parse);
    *at = parse->at;
    *field = take_name(parse);
    if (!field->n)
        return fail(parse, *at, "expected the name of a field, found %s", found(parse, what)), false;
    return expect(parse, ",", "after the field");
}

/* The attribute that attr.NAME names; -1: none of that name. */
static int32_t find_attribute(const struct tagd_catalog *catalog, struct tagd_str name)
{
    return tagd_catalog_attribute_find(catalog, (struct tagd_str){name.p + 5, name.n - 5});
}

static void *unknown_attribute(struct parse *parse, size_t at, struct tagd_str name)
{
    return fail(parse, at, "'%.*s' is not declared: expected an attribute of \"attributes\"", (int)name.n, name.p);
}

static bool is_attribute(struct tagd_str name)
{
    return name.n > 5 && memcmp(name.p, "attr.", 5) == 0;
}

/* What stands next: an attribute, or an event type or a group; else false. Nothing is taken. */
static bool peek_date(struct parse *parse, const char *function, bool *attribute)
{
    char what[80];
    skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = take_name(parse);
    parse->at = at;
    *attribute = is_attribute(name);
    if (*attribute || tagd_catalog_type_find(parse->catalog, name) >= 0 || find_group(parse->catalog, name) ||
        tagd_catalog_type_reserved(name))
        return true;
    return fail(parse, at,
                "expected an attribute of type date, as in %s(attr.birthday), or an event type or a group, found %s",
                function, found(parse, what)),
           false;
}

/* days_until(attr.NAME), years(attr.NAME), after '('. */
static struct tagd_node *parse_of_attribute(struct parse *parse, size_t f, size_t start)
{
    skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = take_name(parse);
    int32_t attribute = find_attribute(parse->catalog, name);
    if (attribute < 0)
        return unknown_attribute(parse, at, name);
    enum tagd_field_type type = parse->catalog->attributes[attribute].field.type;
    if (type != TAGD_DATE)
        return fail(parse, at, "%s wants an attribute of type date: '%.*s' is %s", functions[f].name, (int)name.n,
                    name.p, field_type_names[type]);
    if (!expect(parse, ")", "after the attribute"))
        return NULL;
    struct tagd_node *node = node_new(parse, functions[f].kind, TAGD_T_NUMBER, start);
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
    skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = take_name(parse);
    if (!name.n)
        return fail(parse, at, "expected the name of a table, found %s", found(parse, what));
    int32_t table = find_table(parse->catalog, name);
    if (table < 0)
        return fail(parse, at, "'%.*s' is not declared: expected a table of \"tables\"", (int)name.n, name.p);
    if (!expect(parse, ",", "after the table"))
        return NULL;
    skip_space(parse);
    at = parse->at;
    struct tagd_node *key = parse_or(parse);
    if (!key)
        return NULL;
    if (key->type != TAGD_T_STRING && key->type != TAGD_T_TAG && key->type != TAGD_T_NULL)
        return fail(parse, at, "lookup wants a string to look up, found %s", type_names[key->type]);
    if (!expect(parse, ")", "after what is looked up"))
        return NULL;
    struct tagd_node *node = node_new(parse, TAGD_N_LOOKUP, TAGD_T_STRING, start);
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
    if (!expect(parse, ",", "and what meets an instant, as in until_next(due, contact.planned, contact.sent)"))
        return NULL;
    struct tagd_match *by_type = parse_events(parse, true);
    if (!by_type || (take(parse, ",") && !take_duration(parse, "how long before an instant it may be met", &before)) ||
        !expect(parse, ")", "after the events that meet an instant"))
        return NULL;
    struct tagd_node *node = node_new(parse, TAGD_N_UNTIL_NEXT, TAGD_T_DURATION, start);
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
    struct tagd_match *by_type = parse_events(parse, true);
    if (!by_type)
        return NULL;
    enum tagd_field_type type = TAGD_DECIMAL;
    if (functions[f].fields && !field_type(parse, by_type, field, field_at, &type))
        return NULL;
    if (functions[f].fields && !(functions[f].fields & ONLY(type)))
        return fail(parse, field_at, "%s wants a field of type %s: '%.*s' is %s", functions[f].name,
                    types_text(functions[f].fields, types), (int)field.n, field.p, field_type_names[type]);
    uint32_t selector = tagd_state_selector(parse->catalog, by_type);
    skip_space(parse);
    if (functions[f].range) {
        if (!parse_range(parse, &range))
            return NULL;
    } else if (peek(parse) == '[') {
        return fail(parse, parse->at, "%s looks at all time: expected ')' without a window", functions[f].name);
    }
    if (kind == TAGD_N_UNTIL_NEXT)
        return parse_met(parse, start, selector, field);
    if (!expect(parse, ")", "after the events"))
        return NULL;
    struct tagd_node *node = node_new(parse, kind, function_type(kind, type), start);
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

/* ---- names ---- */

static bool is_past(const struct tagd_node *node)
{
    return node->kind == TAGD_N_WAS || node->kind == TAGD_N_PREVIOUS || node->kind == TAGD_N_HELD;
}

/* Dimensions that a metric reads count for every rule that uses it. */
static void collect_needs(const struct parse *parse, const struct tagd_node *node)
{
    if (!node || !parse->needs)
        return;
    if (node->kind == TAGD_N_DIMENSION)
        parse->needs[node->index] = true;
    if (is_past(node))
        parse->looks[node->index] = true;
    if (node->kind == TAGD_N_METRIC)
        collect_needs(parse, parse->catalog->metrics[node->index].node);
    collect_needs(parse, node->a);
    collect_needs(parse, node->b);
    for (uint32_t i = 0; i < node->n_list; i++)
        collect_needs(parse, node->list[i]);
}

/* was(D), previous(D), held(D), after '('. */
static struct tagd_node *parse_past(struct parse *parse, size_t f, size_t start)
{
    struct tagd_catalog *catalog = parse->catalog;
    enum tagd_node_kind kind = past_functions[f].kind;
    char what[80];
    skip_space(parse);
    size_t at = parse->at;
    struct tagd_str name = take_name(parse);
    int32_t dimension = name.n ? tagd_catalog_dimension_find(catalog, name) : -1;
    if (name.n && dimension < 0)
        return fail(parse, at, "'%.*s' is not known: expected the name of a dimension, as in %s(value.level)",
                    (int)name.n, name.p, past_functions[f].name);
    if (dimension < 0)
        return fail(parse, at, "expected the name of a dimension, as in %s(value.level), found %s",
                    past_functions[f].name, found(parse, what));
    if (!expect(parse, ")", "after the dimension"))
        return NULL;
    bool clock = kind == TAGD_N_HELD;
    struct tagd_node *node = node_new(parse, kind, clock ? TAGD_T_DURATION : TAGD_T_TAG, start);
    node->index = (uint32_t)dimension;
    node->varies = node->timed = clock;
    node->flat = !clock;
    node->slope = clock;
    collect_needs(parse, node);
    return node;
}

static struct tagd_node *parse_name(struct parse *parse, size_t start, struct tagd_str name)
{
    struct tagd_catalog *catalog = parse->catalog;
    for (uint32_t i = 0; i < catalog->n_metrics; i++) {
        if (!tagd_str_eq(tagd_str_of(catalog->metrics[i].name), name))
            continue;
        struct tagd_node *inner = tagd_metric_node(parse, i, start);
        if (!inner)
            return NULL;
        struct tagd_node *node = node_new(parse, TAGD_N_METRIC, inner->type, start);
        node->index = i;
        node->a = NULL;
        node->varies = inner->varies;
        node->flat = inner->flat;
        node->slope = inner->slope;
        node->timed = inner->timed;
        node->exact = inner->exact;
        node->decays = inner->decays;
        collect_needs(parse, inner);
        return node;
    }
    int32_t dimension = tagd_catalog_dimension_find(catalog, name);
    if (dimension >= 0) {
        struct tagd_node *node = node_new(parse, TAGD_N_DIMENSION, TAGD_T_TAG, start);
        node->index = (uint32_t)dimension;
        node->timed = true;
        collect_needs(parse, node);
        return node;
    }
    if (is_attribute(name)) {
        int32_t attribute = find_attribute(catalog, name);
        if (attribute < 0)
            return unknown_attribute(parse, start, name);
        enum tagd_type type = value_type(catalog->attributes[attribute].field.type);
        struct tagd_node *node = node_new(parse, TAGD_N_ATTRIBUTE, type, start);
        node->index = (uint32_t)attribute;
        node->exact = type == TAGD_T_NUMBER;
        return node;
    }
    return fail(parse, start,
                "'%.*s' is not known: expected a function, a metric, an attribute (attr.NAME) or a dimension (a string "
                "stands in quotes)",
                (int)name.n, name.p);
}

static struct tagd_node *parse_p_alive(struct parse *parse, size_t start)
{
    if (!parse->catalog->churn.given)
        return fail(parse, start,
                    "p_alive() is the churn model's: expected a \"churn\" section, which `tagd fit` makes");
    if (!expect(parse, ")", "after p_alive("))
        return NULL;
    struct tagd_node *node = node_new(parse, TAGD_N_P_ALIVE, TAGD_T_NUMBER, start);
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
    return fail(parse, start, "no function is named '%.*s': expected one of %s", (int)name.n, name.p, names);
}

static struct tagd_node *parse_word(struct parse *parse)
{
    skip_space(parse);
    size_t start = parse->at;
    struct tagd_str name = take_name(parse);
    size_t end = parse->at;
    if (tagd_str_eq(name, TAGD_STR("true")) || tagd_str_eq(name, TAGD_STR("false")))
        return literal(parse, start, TAGD_T_BOOLEAN, (struct tagd_val){.kind = TAGD_V_BOOL, .u.b = name.n == 4});
    if (tagd_str_eq(name, TAGD_STR("null")))
        return literal(parse, start, TAGD_T_NULL, (struct tagd_val){.kind = TAGD_V_NULL});
    if (take(parse, "(")) {
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
    parse->at = end;
    return parse_name(parse, start, name);
}

static struct tagd_node *parse_primary(struct parse *parse)
{
    skip_space(parse);
    size_t start = parse->at;
    char c = peek(parse), what[80];
    struct tagd_str text;
    if (is_digit(c) || c == '-')
        return parse_number(parse);
    if (c == '"' || c == '\'') {
        if (!take_string(parse, &text))
            return NULL;
        return literal(parse, start, TAGD_T_STRING, (struct tagd_val){.kind = TAGD_V_STRING, .u.s = text});
    }
    if (take(parse, "(")) {
        struct tagd_node *node = parse_or(parse);
        return node && expect(parse, ")", "to close '('") ? node : NULL;
    }
    if (is_letter(c) || c == '_')
        return parse_word(parse);
    return fail(parse, start, "expected a value, found %s", found(parse, what));
}

/* ---- operators ---- */

static struct tagd_node *binary(struct parse *parse, enum tagd_node_kind kind, enum tagd_type type, struct tagd_node *a,
                                struct tagd_node *b)
{
    struct tagd_node *node = node_new(parse, kind, type, start_of(parse, a));
    node->a = a;
    node->b = b;
    node->timed = a->timed || b->timed;
    return node;
}

static int slope_of(enum tagd_node_kind kind, const struct tagd_node *a, const struct tagd_node *b)
{
    if (!a->varies && !b->varies)
        return 0;
    if ((kind != TAGD_N_ADD && kind != TAGD_N_SUB) || a->slope == TAGD_SLOPE_OTHER || b->slope == TAGD_SLOPE_OTHER)
        return TAGD_SLOPE_OTHER;
    return kind == TAGD_N_ADD ? a->slope + b->slope : a->slope - b->slope;
}

static void *no_decay(struct parse *parse, size_t at)
{
    return fail(
        parse, at,
        "p_alive() doesn't change linearly with time: expected < <= > >= between it and what is constant between "
        "events, or a null test, so that the next instant can be computed");
}

static struct tagd_node *arithmetic(struct parse *parse, enum tagd_node_kind kind, size_t at, struct tagd_node *a,
                                    struct tagd_node *b)
{
    enum tagd_type l = a->type, r = b->type, type = TAGD_T_NULL;
    bool number = (l == TAGD_T_NUMBER || l == TAGD_T_NULL) && (r == TAGD_T_NUMBER || r == TAGD_T_NULL);
    if (number)
        type = TAGD_T_NUMBER;
    else if (kind == TAGD_N_ADD || kind == TAGD_N_SUB)
        type = (l == TAGD_T_DURATION || l == TAGD_T_NULL) && (r == TAGD_T_DURATION || r == TAGD_T_NULL)
                   ? TAGD_T_DURATION
                   : TAGD_T_NULL;
    else if (l == TAGD_T_DURATION && (r == TAGD_T_NUMBER || r == TAGD_T_NULL))
        type = TAGD_T_DURATION;
    else if (kind == TAGD_N_MUL && r == TAGD_T_DURATION && (l == TAGD_T_NUMBER || l == TAGD_T_NULL))
        type = TAGD_T_DURATION;
    else if (kind == TAGD_N_DIV && l == TAGD_T_DURATION && r == TAGD_T_DURATION)
        type = TAGD_T_NUMBER;
    else if (kind == TAGD_N_DIV && l == TAGD_T_NULL && r == TAGD_T_DURATION)
        type = TAGD_T_NUMBER;
    if (type == TAGD_T_NULL)
        return fail(parse, at, "'%s' can't join %s and %s",
                    kind == TAGD_N_ADD   ? "+"
                    : kind == TAGD_N_SUB ? "-"
                    : kind == TAGD_N_MUL ? "*"
                                         : "/",
                    type_names[l], type_names[r]);
    if (a->decays || b->decays)
        return no_decay(parse, at);
    if (kind == TAGD_N_MUL && a->varies && b->varies)
        return fail(parse, at,
                    "both sides of this product vary with time: expected at most one, so that the next instant can be "
                    "computed");
    if (kind == TAGD_N_DIV && b->varies)
        return fail(parse, at,
                    "the divisor varies with time: expected one that is constant between events, so that the next "
                    "instant can be computed");
    struct tagd_node *node = binary(parse, kind, type, a, b);
    node->varies = a->varies || b->varies;
    node->slope = slope_of(kind, a, b);
    node->flat = (a->flat && b->flat) || (type == TAGD_T_DURATION && node->slope == 0);
    return node;
}

static struct tagd_node *deeper(struct parse *parse, struct tagd_node *(*rule)(struct parse *))
{
    if (parse->depth >= TAGD_EXPR_DEPTH_MAX)
        return fail(parse, parse->at, "this expression is nested more than %d deep", TAGD_EXPR_DEPTH_MAX);
    parse->depth++;
    struct tagd_node *node = rule(parse);
    parse->depth--;
    return node;
}

static struct tagd_node *parse_product(struct parse *parse)
{
    struct tagd_node *a = deeper(parse, parse_primary);
    while (a) {
        skip_space(parse);
        size_t at = parse->at;
        bool mul = take(parse, "*");
        if (!mul && !take(parse, "/"))
            return a;
        struct tagd_node *b = deeper(parse, parse_primary);
        a = b ? arithmetic(parse, mul ? TAGD_N_MUL : TAGD_N_DIV, at, a, b) : NULL;
    }
    return NULL;
}

static struct tagd_node *parse_sum(struct parse *parse)
{
    struct tagd_node *a = parse_product(parse);
    while (a) {
        skip_space(parse);
        size_t at = parse->at;
        bool add = take(parse, "+");
        if (!add && !take(parse, "-"))
            return a;
        if (!add && (at == 0 || !strchr(" \t\r\n", parse->text[at - 1]) || parse->at >= parse->n ||
                     !strchr(" \t\r\n", parse->text[parse->at])))
            return fail(parse, at, "a minus between two values stands between spaces");
        struct tagd_node *b = parse_product(parse);
        a = b ? arithmetic(parse, add ? TAGD_N_ADD : TAGD_N_SUB, at, a, b) : NULL;
    }
    return NULL;
}

/* A string literal beside a time or a date is one. */
static bool coerce(struct parse *parse, struct tagd_node *node, enum tagd_type type)
{
    if (node->kind != TAGD_N_LITERAL || node->type != TAGD_T_STRING || (type != TAGD_T_TIME && type != TAGD_T_DATE))
        return true;
    int64_t i;
    bool ok = type == TAGD_T_TIME ? tagd_time_parse(node->literal.u.s, &i) : tagd_date_parse(node->literal.u.s, &i);
    if (!ok)
        return fail(parse, start_of(parse, node), "this string is not %s%s", type_names[type],
                    type == TAGD_T_DATE ? date_forms : ""),
               false;
    node->type = type;
    node->literal = (struct tagd_val){.kind = type == TAGD_T_TIME ? TAGD_V_TIME : TAGD_V_DATE, .u.i = i};
    return true;
}

/* As the rule names it: was(NAME) and its like too. */
static struct tagd_str dimension_name(const struct tagd_node *node)
{
    struct tagd_str text = node->text;
    const char *open = memchr(text.p, '(', text.n);
    if (!open)
        return text;
    struct tagd_str name = {open + 1, text.n - (size_t)(open + 1 - text.p) - 1};
    while (name.n && strchr(" \t\r\n", name.p[0])) {
        name.p++;
        name.n--;
    }
    while (name.n && strchr(" \t\r\n", name.p[name.n - 1]))
        name.n--;
    return name;
}

/* The literal names a tag of the dimension, by itself or, under the old name of the dimension, as an alias: then it
 * becomes the tag that is meant. */
static bool tag_exists(struct parse *parse, const struct tagd_node *dimension, struct tagd_node *text)
{
    if (text->kind != TAGD_N_LITERAL || text->type != TAGD_T_STRING)
        return true;
    const struct tagd_dimension *d = &parse->catalog->dimensions[dimension->index];
    if (d->is_value)
        return true;
    int32_t to, tag;
    if (tagd_catalog_tag_find(parse->catalog, dimension_name(dimension), text->literal.u.s, &to, &tag)) {
        if ((uint32_t)to != dimension->index)
            return fail(parse, start_of(parse, text),
                        "'%.*s' is an alias of a tag of '%s': compare with that dimension", (int)text->literal.u.s.n,
                        text->literal.u.s.p, parse->catalog->dimensions[to].name),
                   false;
        text->literal.u.s = tagd_str_of(d->rules[tag].tag);
        return true;
    }
    struct tagd_str name = dimension_name(dimension);
    if (!tagd_str_eq(name, tagd_str_of(d->name)))
        return fail(parse, start_of(parse, text),
                    "no alias is named '%.*s.%.*s': by its old name a dimension has old tags alone; it is '%s' now",
                    (int)name.n, name.p, (int)text->literal.u.s.n, text->literal.u.s.p, d->name),
               false;
    struct tagd_buf tags = {0};
    for (uint32_t i = 0; i < d->n_rules && tags.n < 300; i++)
        tagd_buf_printf(&tags, "%s%s", i ? ", " : "", d->rules[i].tag);
    tagd_buf_add_byte(&tags, 0);
    fail(parse, start_of(parse, text), "dimension '%s' has no tag '%.*s': it has %s", d->name, (int)text->literal.u.s.n,
         text->literal.u.s.p, tags.p);
    tagd_buf_free(&tags);
    return false;
}

/* A tag of a dimension that it names, and not one behind a metric. */
static bool is_tag(const struct tagd_node *node)
{
    return node->kind == TAGD_N_DIMENSION || node->kind == TAGD_N_WAS || node->kind == TAGD_N_PREVIOUS;
}

/* Whether two operands may be compared; makes literals fit. */
static bool comparable(struct parse *parse, enum tagd_node_kind kind, size_t at, struct tagd_node *a,
                       struct tagd_node *b)
{
    if (!coerce(parse, a, b->type) || !coerce(parse, b, a->type))
        return false;
    if (is_tag(a) && !tag_exists(parse, a, b))
        return false;
    if (is_tag(b) && !tag_exists(parse, b, a))
        return false;
    enum tagd_type l = a->type == TAGD_T_TAG ? TAGD_T_STRING : a->type,
                   r = b->type == TAGD_T_TAG ? TAGD_T_STRING : b->type;
    bool ordering = kind != TAGD_N_EQ && kind != TAGD_N_NE && kind != TAGD_N_IN;
    if ((a->decays || b->decays) && (!ordering || a->varies || b->varies || (a->decays && b->decays)))
        return no_decay(parse, at), false;
    if (l != r && l != TAGD_T_NULL && r != TAGD_T_NULL)
        return fail(parse, at, "%s can't be compared with %s", type_names[a->type], type_names[b->type]), false;
    if (ordering && (l == TAGD_T_BOOLEAN || r == TAGD_T_BOOLEAN || a->type == TAGD_T_TAG || b->type == TAGD_T_TAG))
        return fail(parse, at, "%s is only equal or different: expected == or !=",
                    a->type == TAGD_T_TAG || b->type == TAGD_T_TAG ? "a tag" : "a boolean"),
               false;
    return true;
}

#define IN_LIST_MAX 1000

static struct tagd_node *parse_in(struct parse *parse, struct tagd_node *a)
{
    if (!expect(parse, "(", "after 'in'"))
        return NULL;
    struct tagd_node **list = NULL;
    uint32_t n = 0, cap = 0;
    bool timed = a->timed;
    do {
        skip_space(parse);
        size_t at = parse->at;
        struct tagd_node *b = deeper(parse, parse_sum);
        if (!b || !comparable(parse, TAGD_N_IN, at, a, b))
            return NULL;
        if (n == IN_LIST_MAX)
            return fail(parse, at, "a list has at most %d values", IN_LIST_MAX);
        if (n == cap) {
            cap = cap ? cap * 2 : 8;
            struct tagd_node **wider = tagd_arena_zalloc(&parse->catalog->arena, cap * sizeof *wider);
            if (n)
                memcpy(wider, list, n * sizeof *wider);
            list = wider;
        }
        list[n++] = b;
        timed = timed || b->timed;
    } while (take(parse, ","));
    if (!expect(parse, ")", "after the list"))
        return NULL;
    struct tagd_node *node = node_new(parse, TAGD_N_IN, TAGD_T_BOOLEAN, start_of(parse, a));
    node->a = a;
    node->list = list;
    node->n_list = n;
    node->timed = timed;
    return node;
}

static struct tagd_node *parse_compare(struct parse *parse)
{
    struct tagd_node *a = parse_sum(parse);
    if (!a)
        return NULL;
    skip_space(parse);
    size_t at = parse->at;
    enum tagd_node_kind kind;
    if (take_operator(parse, false, &kind)) {
        struct tagd_node *b = parse_sum(parse);
        if (!b || !comparable(parse, kind, at, a, b))
            return NULL;
        return binary(parse, kind, TAGD_T_BOOLEAN, a, b);
    }
    if (take(parse, "="))
        return fail(parse, at, "expected == to compare (a single = stands in filters only)");
    if (take_word(parse, "in"))
        return parse_in(parse, a);
    if (take_word(parse, "is")) {
        bool not = take_word(parse, "not");
        char what[80];
        if (!take_word(parse, "null"))
            return fail(parse, parse->at, "expected 'null' after 'is', found %s", found(parse, what));
        struct tagd_node *node =
            node_new(parse, not ? TAGD_N_IS_NOT_NULL : TAGD_N_IS_NULL, TAGD_T_BOOLEAN, start_of(parse, a));
        node->a = a;
        node->timed = a->timed;
        return node;
    }
    return a;
}

static bool boolean(struct parse *parse, const struct tagd_node *node, size_t at, const char *where)
{
    if (node->type == TAGD_T_BOOLEAN || node->type == TAGD_T_NULL)
        return true;
    return fail(parse, at, "expected a condition %s, found %s", where, type_names[node->type]), false;
}

static struct tagd_node *parse_not(struct parse *parse)
{
    skip_space(parse);
    size_t start = parse->at;
    if (!take_word(parse, "not"))
        return parse_compare(parse);
    skip_space(parse);
    size_t at = parse->at;
    struct tagd_node *a = deeper(parse, parse_not);
    if (!a || !boolean(parse, a, at, "after 'not'"))
        return NULL;
    struct tagd_node *node = node_new(parse, TAGD_N_NOT, TAGD_T_BOOLEAN, start);
    node->a = a;
    node->timed = a->timed;
    return node;
}

static struct tagd_node *parse_chain(struct parse *parse, const char *word, enum tagd_node_kind kind,
                                     struct tagd_node *(*next)(struct parse *))
{
    skip_space(parse);
    size_t at = parse->at;
    struct tagd_node *a = next(parse);
    while (a && take_word(parse, word)) {
        if (!boolean(parse, a, at, word[0] == 'a' ? "before 'and'" : "before 'or'"))
            return NULL;
        skip_space(parse);
        size_t b_at = parse->at;
        struct tagd_node *b = next(parse);
        if (!b || !boolean(parse, b, b_at, word[0] == 'a' ? "after 'and'" : "after 'or'"))
            return NULL;
        a = binary(parse, kind, TAGD_T_BOOLEAN, a, b);
    }
    return a;
}

static struct tagd_node *parse_and(struct parse *parse)
{
    return parse_chain(parse, "and", TAGD_N_AND, parse_not);
}

static struct tagd_node *parse_or(struct parse *parse)
{
    return parse_chain(parse, "or", TAGD_N_OR, parse_and);
}

/* ---- whole expressions ---- */

/* Parts of the tree and the deepest nesting of metrics in it. */
static void measure(const struct tagd_catalog *catalog, const struct tagd_node *node, uint64_t *nodes,
                    uint32_t *nesting)
{
    if (!node)
        return;
    ++*nodes;
    if (node->kind == TAGD_N_METRIC) {
        const struct tagd_metric *metric = &catalog->metrics[node->index];
        *nodes += metric->nodes;
        *nesting = metric->nesting > *nesting ? metric->nesting : *nesting;
    }
    measure(catalog, node->a, nodes, nesting);
    measure(catalog, node->b, nodes, nesting);
    for (uint32_t i = 0; i < node->n_list; i++)
        measure(catalog, node->list[i], nodes, nesting);
}

/* The whole text, and how large it is. */
static struct tagd_node *parse_measured(struct parse *parse, uint32_t *nodes, uint32_t *nesting)
{
    struct tagd_node *node = deeper(parse, parse_or);
    skip_space(parse);
    char what[80];
    if (!node)
        return NULL;
    if (parse->at < parse->n)
        return fail(parse, parse->at, "expected an operator or the end, found %s", found(parse, what));
    uint64_t n = 0;
    *nesting = 0;
    measure(parse->catalog, node, &n, nesting);
    if (n > TAGD_EXPR_NODES_MAX)
        return fail(parse, 0, "with the metrics it uses this expression has %llu parts; at most %d are taken",
                    (unsigned long long)n, TAGD_EXPR_NODES_MAX);
    *nodes = (uint32_t)n;
    return node;
}

static struct tagd_node *metrics_too_deep(struct parse *parse, size_t at)
{
    return fail(parse, at, "metrics use metrics more than %d deep here", TAGD_METRIC_DEPTH_MAX);
}

struct tagd_node *tagd_metric_node(struct parse *from, uint32_t index, size_t at)
{
    struct tagd_metric *metric = &from->catalog->metrics[index];
    if (metric->state == 1)
        return fail(from, at, "metric '%s' depends on itself", metric->name);
    if (metric->state == 2)
        return metric->node;
    if (from->metric_depth == TAGD_METRIC_DEPTH_MAX)
        return metrics_too_deep(from, at);
    metric->state = 1;
    struct parse parse = *from;
    char *pointer = NULL;
    struct tagd_buf buf = {0};
    tagd_buf_printf(&buf, "/metrics/%s", metric->name);
    pointer = (char *)(uintptr_t)tagd_arena_copy(&from->catalog->arena, buf.p, buf.n).p;
    tagd_buf_free(&buf);
    parse.pointer = pointer;
    parse.text = metric->text;
    parse.n = strlen(metric->text);
    parse.at = 0;
    parse.depth = 0;
    parse.metric_depth++;
    metric->node = parse_measured(&parse, &metric->nodes, &metric->nesting);
    if (metric->node && ++metric->nesting > TAGD_METRIC_DEPTH_MAX)
        metric->node = metrics_too_deep(&parse, 0);
    metric->state = 2;
    return metric->node;
}

struct tagd_node *tagd_parse_expression(struct parse *parse)
{
    uint32_t nodes, nesting;
    return parse_measured(parse, &nodes, &nesting);
}
