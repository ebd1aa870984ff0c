/* Selections of events: a type or a group, perhaps with a filter. */
#include <string.h>

#include "catalog/expression.h"

bool tagd_parse_field_type(struct parse *parse, const struct tagd_match *by_type, struct tagd_str field, size_t at,
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
                return tagd_parse_fail(
                           parse, at,
                           "field '%.*s' is %s in one member of the group and %s in another: expected one type",
                           (int)field.n, field.p, tagd_field_type_name(*type), tagd_field_type_name(declared->type)),
                       false;
            any = true;
            *type = declared->type;
        }
    }
    if (!any)
        return tagd_parse_fail(parse, at, "no event selected here declares a field '%.*s'", (int)field.n, field.p),
               false;
    return true;
}

static bool filter_literal(struct parse *parse, struct tagd_term *term)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    const char *wanted = tagd_field_type_name(term->field_type);
    char c = tagd_parse_peek(parse);
    struct tagd_str text;
    if (c == '"' || c == '\'') {
        if (!tagd_parse_take_string(parse, &text))
            return false;
        bool ok = term->field_type == TAGD_STRING ? (term->literal.s = text, true)
                  : term->field_type == TAGD_TIME ? tagd_time_parse(text, &term->literal.i)
                  : term->field_type == TAGD_DATE ? tagd_date_parse(text, &term->literal.i)
                                                  : false;
        return ok ? true
                  : (tagd_parse_fail(parse, start, "the field is %s: this string is not one%s", wanted,
                                     term->field_type == TAGD_DATE ? TAGD_DATE_EXPECTED : ""),
                     false);
    }
    if (tagd_is_digit(c) || c == '-') {
        struct tagd_node *node = tagd_parse_number(parse);
        if (!node)
            return false;
        if (term->field_type != TAGD_DECIMAL || node->type != TAGD_T_NUMBER)
            return tagd_parse_fail(parse, start, "the field is %s: found %s", wanted, tagd_type_name(node->type)),
                   false;
        if (node->literal.kind != TAGD_V_DECIMAL)
            return tagd_parse_fail(parse, start,
                                   "a decimal field has 4 places and at most 100000000000: this number does not fit"),
                   false;
        term->literal.i = (int64_t)node->literal.u.d;
        return true;
    }
    bool yes = tagd_parse_take_word(parse, "true");
    if (yes || tagd_parse_take_word(parse, "false")) {
        if (term->field_type != TAGD_BOOLEAN)
            return tagd_parse_fail(parse, start, "the field is %s: found a boolean", wanted), false;
        term->literal.i = yes;
        return true;
    }
    char what[80];
    return tagd_parse_fail(parse, start, "expected a literal of type %s, found %s", wanted,
                           tagd_parse_found(parse, what)),
           false;
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
        tagd_parse_skip_space(parse);
        size_t at = parse->at;
        struct tagd_str field = tagd_parse_take_name(parse);
        char what[80];
        if (!field.n)
            return tagd_parse_fail(parse, at, "expected a field's name, found %s", tagd_parse_found(parse, what)),
                   false;
        if (*n == FILTER_TERMS_MAX)
            return tagd_parse_fail(parse, at, "a filter has at most %d terms", FILTER_TERMS_MAX), false;
        struct raw_term *raw = &terms[*n];
        *raw = (struct raw_term){.field = field};
        if (!tagd_parse_field_type(parse, by_type, field, at, &raw->term.field_type))
            return false;
        tagd_parse_skip_space(parse);
        size_t op_at = parse->at;
        if (!tagd_parse_take_operator(parse, true, &raw->term.op))
            return tagd_parse_fail(parse, op_at, "expected one of = == != < <= > >=, found %s",
                                   tagd_parse_found(parse, what)),
                   false;
        if (raw->term.field_type == TAGD_BOOLEAN && raw->term.op != TAGD_N_EQ && raw->term.op != TAGD_N_NE)
            return tagd_parse_fail(parse, op_at, "booleans are only equal or different: expected = or !="), false;
        if (!filter_literal(parse, &raw->term))
            return false;
        raw->term.literal.present = true;
        ++*n;
    } while (tagd_parse_take(parse, ","));
    return tagd_parse_expect(parse, "}", "after the filter");
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

const struct tagd_group *tagd_find_group(const struct tagd_catalog *catalog, struct tagd_str name)
{
    for (uint32_t i = 0; i < catalog->n_groups; i++) {
        if (tagd_str_eq(catalog->groups[i].name, name))
            return &catalog->groups[i];
    }
    return NULL;
}

struct tagd_match *tagd_parse_events(struct parse *parse, bool groups)
{
    struct tagd_catalog *catalog = parse->catalog;
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    struct tagd_str name = tagd_parse_take_name(parse);
    char what[80];
    if (!name.n)
        return tagd_parse_fail(parse, start, "expected an event type%s, found %s", groups ? " or a group" : "",
                               tagd_parse_found(parse, what));
    struct tagd_match *by_type = tagd_arena_zalloc(&catalog->arena, (catalog->n_types + 1) * sizeof *by_type);
    int32_t type = tagd_catalog_type_find(catalog, name);
    const struct tagd_group *group = groups ? tagd_find_group(catalog, name) : NULL;
    if (type >= 0) {
        by_type[type].n_clauses = 1;
        by_type[type].clauses = tagd_arena_zalloc(&catalog->arena, sizeof *by_type->clauses);
    } else if (group) {
        memcpy(by_type, group->by_type, catalog->n_types * sizeof *by_type);
    } else if (tagd_catalog_type_reserved(name)) {
        return tagd_parse_fail(parse, start,
                               "'%.*s' is a reserved type: rules read what it sets (attr.NAME, a dimension's name)",
                               (int)name.n, name.p);
    } else {
        return tagd_parse_fail(parse, start, "'%.*s' is not declared: expected an event type of \"events\"%s",
                               (int)name.n, name.p, groups ? " or a group of \"groups\"" : "");
    }
    if (tagd_parse_take(parse, "{")) {
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
    struct tagd_match *match = tagd_parse_events(parse, false);
    if (!match)
        return false;
    tagd_parse_skip_space(parse);
    char what[80];
    if (parse->at < parse->n)
        return tagd_parse_fail(parse, parse->at, "expected the end of the member, found %s",
                               tagd_parse_found(parse, what)),
               false;
    for (uint32_t i = 0; i < parse->catalog->n_types; i++) {
        if (match[i].n_clauses)
            add_match(parse->catalog, &by_type[i], &match[i]);
    }
    return true;
}

int32_t tagd_parse_selector(struct parse *parse)
{
    struct tagd_match *match = tagd_parse_events(parse, true);
    if (!match)
        return -1;
    tagd_parse_skip_space(parse);
    char what[80];
    if (parse->at < parse->n)
        return tagd_parse_fail(parse, parse->at, "expected the end of the events, found %s",
                               tagd_parse_found(parse, what)),
               -1;
    return (int32_t)tagd_state_selector(parse->catalog, match);
}
