/* What stands for a value: literals, names of metrics, dimensions and attributes, calls, brackets. */
#include <string.h>

#include "catalog/expression.h"

/* ---- attributes ---- */

enum tagd_type tagd_value_type(enum tagd_field_type type)
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

int32_t tagd_find_attribute(const struct tagd_catalog *catalog, struct tagd_str name)
{
    return tagd_catalog_attribute_find(catalog, (struct tagd_str){name.p + 5, name.n - 5});
}

void *tagd_parse_unknown_attribute(struct parse *parse, size_t at, struct tagd_str name)
{
    return tagd_parse_fail(parse, at, "'%.*s' is not declared: expected an attribute of \"attributes\"", (int)name.n,
                           name.p);
}

bool tagd_is_attribute(struct tagd_str name)
{
    return name.n > 5 && memcmp(name.p, "attr.", 5) == 0;
}

/* ---- names ---- */

static bool is_past(const struct tagd_node *node)
{
    return node->kind == TAGD_N_WAS || node->kind == TAGD_N_PREVIOUS || node->kind == TAGD_N_HELD;
}

void tagd_parse_collect_needs(const struct parse *parse, const struct tagd_node *node)
{
    if (!node || !parse->needs)
        return;
    if (node->kind == TAGD_N_DIMENSION)
        parse->needs[node->index] = true;
    if (is_past(node))
        parse->looks[node->index] = true;
    if (node->kind == TAGD_N_METRIC)
        tagd_parse_collect_needs(parse, parse->catalog->metrics[node->index].node);
    tagd_parse_collect_needs(parse, node->a);
    tagd_parse_collect_needs(parse, node->b);
    for (uint32_t i = 0; i < node->n_list; i++)
        tagd_parse_collect_needs(parse, node->list[i]);
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
        struct tagd_node *node = tagd_parse_node(parse, TAGD_N_METRIC, inner->type, start);
        node->index = i;
        node->a = NULL;
        node->varies = inner->varies;
        node->flat = inner->flat;
        node->slope = inner->slope;
        node->timed = inner->timed;
        node->exact = inner->exact;
        node->decays = inner->decays;
        tagd_parse_collect_needs(parse, inner);
        return node;
    }
    int32_t dimension = tagd_catalog_dimension_find(catalog, name);
    if (dimension >= 0) {
        struct tagd_node *node = tagd_parse_node(parse, TAGD_N_DIMENSION, TAGD_T_TAG, start);
        node->index = (uint32_t)dimension;
        node->timed = true;
        tagd_parse_collect_needs(parse, node);
        return node;
    }
    if (tagd_is_attribute(name)) {
        int32_t attribute = tagd_find_attribute(catalog, name);
        if (attribute < 0)
            return tagd_parse_unknown_attribute(parse, start, name);
        enum tagd_type type = tagd_value_type(catalog->attributes[attribute].field.type);
        struct tagd_node *node = tagd_parse_node(parse, TAGD_N_ATTRIBUTE, type, start);
        node->index = (uint32_t)attribute;
        node->exact = type == TAGD_T_NUMBER;
        return node;
    }
    return tagd_parse_fail(
        parse, start,
        "'%.*s' is not known: expected a function, a metric, an attribute (attr.NAME) or a dimension (a string "
        "stands in quotes)",
        (int)name.n, name.p);
}

static struct tagd_node *parse_word(struct parse *parse)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    struct tagd_str name = tagd_parse_take_name(parse);
    size_t end = parse->at;
    if (tagd_str_eq(name, TAGD_STR("true")) || tagd_str_eq(name, TAGD_STR("false")))
        return tagd_parse_literal(parse, start, TAGD_T_BOOLEAN,
                                  (struct tagd_val){.kind = TAGD_V_BOOL, .u.b = name.n == 4});
    if (tagd_str_eq(name, TAGD_STR("null")))
        return tagd_parse_literal(parse, start, TAGD_T_NULL, (struct tagd_val){.kind = TAGD_V_NULL});
    if (tagd_parse_take(parse, "("))
        return tagd_parse_call(parse, start, name);
    parse->at = end;
    return parse_name(parse, start, name);
}

struct tagd_node *tagd_parse_primary(struct parse *parse)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    char c = tagd_parse_peek(parse), what[80];
    struct tagd_str text;
    if (tagd_is_digit(c) || c == '-')
        return tagd_parse_number(parse);
    if (c == '"' || c == '\'') {
        if (!tagd_parse_take_string(parse, &text))
            return NULL;
        return tagd_parse_literal(parse, start, TAGD_T_STRING, (struct tagd_val){.kind = TAGD_V_STRING, .u.s = text});
    }
    if (tagd_parse_take(parse, "(")) {
        struct tagd_node *node = tagd_parse_or(parse);
        return node && tagd_parse_expect(parse, ")", "to close '('") ? node : NULL;
    }
    if (tagd_is_letter(c) || c == '_')
        return parse_word(parse);
    return tagd_parse_fail(parse, start, "expected a value, found %s", tagd_parse_found(parse, what));
}
