/* The operators of expressions, by recursive descent: text -> typed nodes.
 *
 *   or      = and { "or" and }
 *   and     = not { "and" not }
 *   not     = "not" not | compare
 *   compare = sum [ ("==" "!=" "<" "<=" ">" ">=") sum | "in" "(" sum {"," sum} ")" | "is" ["not"] "null" ]
 *   sum     = product { ("+" | " - ") product }
 *   product = primary { ("*" | "/") primary }
 *   primary = literal | "(" or ")" | name | function "(" ... ")"
 */
#include <string.h>

#include "catalog/expression.h"

static struct tagd_node *binary(struct parse *parse, enum tagd_node_kind kind, enum tagd_type type, struct tagd_node *a,
                                struct tagd_node *b)
{
    struct tagd_node *node = tagd_parse_node(parse, kind, type, tagd_parse_start_of(parse, a));
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
    return tagd_parse_fail(
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
        return tagd_parse_fail(parse, at, "'%s' can't join %s and %s",
                               kind == TAGD_N_ADD   ? "+"
                               : kind == TAGD_N_SUB ? "-"
                               : kind == TAGD_N_MUL ? "*"
                                                    : "/",
                               tagd_type_name(l), tagd_type_name(r));
    if (a->decays || b->decays)
        return no_decay(parse, at);
    if (kind == TAGD_N_MUL && a->varies && b->varies)
        return tagd_parse_fail(
            parse, at,
            "both sides of this product vary with time: expected at most one, so that the next instant can be "
            "computed");
    if (kind == TAGD_N_DIV && b->varies)
        return tagd_parse_fail(
            parse, at,
            "the divisor varies with time: expected one that is constant between events, so that the next "
            "instant can be computed");
    struct tagd_node *node = binary(parse, kind, type, a, b);
    node->varies = a->varies || b->varies;
    node->slope = slope_of(kind, a, b);
    node->flat = (a->flat && b->flat) || (type == TAGD_T_DURATION && node->slope == 0);
    return node;
}

struct tagd_node *tagd_parse_deeper(struct parse *parse, struct tagd_node *(*rule)(struct parse *))
{
    if (parse->depth >= TAGD_EXPR_DEPTH_MAX)
        return tagd_parse_fail(parse, parse->at, "this expression is nested more than %d deep", TAGD_EXPR_DEPTH_MAX);
    parse->depth++;
    struct tagd_node *node = rule(parse);
    parse->depth--;
    return node;
}

static struct tagd_node *parse_product(struct parse *parse)
{
    struct tagd_node *a = tagd_parse_deeper(parse, tagd_parse_primary);
    while (a) {
        tagd_parse_skip_space(parse);
        size_t at = parse->at;
        bool mul = tagd_parse_take(parse, "*");
        if (!mul && !tagd_parse_take(parse, "/"))
            return a;
        struct tagd_node *b = tagd_parse_deeper(parse, tagd_parse_primary);
        a = b ? arithmetic(parse, mul ? TAGD_N_MUL : TAGD_N_DIV, at, a, b) : NULL;
    }
    return NULL;
}

static struct tagd_node *parse_sum(struct parse *parse)
{
    struct tagd_node *a = parse_product(parse);
    while (a) {
        tagd_parse_skip_space(parse);
        size_t at = parse->at;
        bool add = tagd_parse_take(parse, "+");
        if (!add && !tagd_parse_take(parse, "-"))
            return a;
        if (!add && (at == 0 || !strchr(" \t\r\n", parse->text[at - 1]) || parse->at >= parse->n ||
                     !strchr(" \t\r\n", parse->text[parse->at])))
            return tagd_parse_fail(parse, at, "a minus between two values stands between spaces");
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
        return tagd_parse_fail(parse, tagd_parse_start_of(parse, node), "this string is not %s%s", tagd_type_name(type),
                               type == TAGD_T_DATE ? TAGD_DATE_EXPECTED : ""),
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
            return tagd_parse_fail(parse, tagd_parse_start_of(parse, text),
                                   "'%.*s' is an alias of a tag of '%s': compare with that dimension",
                                   (int)text->literal.u.s.n, text->literal.u.s.p, parse->catalog->dimensions[to].name),
                   false;
        text->literal.u.s = tagd_str_of(d->rules[tag].tag);
        return true;
    }
    struct tagd_str name = dimension_name(dimension);
    if (!tagd_str_eq(name, tagd_str_of(d->name)))
        return tagd_parse_fail(
                   parse, tagd_parse_start_of(parse, text),
                   "no alias is named '%.*s.%.*s': by its old name a dimension has old tags alone; it is '%s' now",
                   (int)name.n, name.p, (int)text->literal.u.s.n, text->literal.u.s.p, d->name),
               false;
    struct tagd_buf tags = {0};
    for (uint32_t i = 0; i < d->n_rules && tags.n < 300; i++)
        tagd_buf_printf(&tags, "%s%s", i ? ", " : "", d->rules[i].tag);
    tagd_buf_add_byte(&tags, 0);
    tagd_parse_fail(parse, tagd_parse_start_of(parse, text), "dimension '%s' has no tag '%.*s': it has %s", d->name,
                    (int)text->literal.u.s.n, text->literal.u.s.p, tags.p);
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
        return tagd_parse_fail(parse, at, "%s can't be compared with %s", tagd_type_name(a->type),
                               tagd_type_name(b->type)),
               false;
    if (ordering && (l == TAGD_T_BOOLEAN || r == TAGD_T_BOOLEAN || a->type == TAGD_T_TAG || b->type == TAGD_T_TAG))
        return tagd_parse_fail(parse, at, "%s is only equal or different: expected == or !=",
                               a->type == TAGD_T_TAG || b->type == TAGD_T_TAG ? "a tag" : "a boolean"),
               false;
    return true;
}

#define IN_LIST_MAX 1000

static struct tagd_node *parse_in(struct parse *parse, struct tagd_node *a)
{
    if (!tagd_parse_expect(parse, "(", "after 'in'"))
        return NULL;
    struct tagd_node **list = NULL;
    uint32_t n = 0, cap = 0;
    bool timed = a->timed;
    do {
        tagd_parse_skip_space(parse);
        size_t at = parse->at;
        struct tagd_node *b = tagd_parse_deeper(parse, parse_sum);
        if (!b || !comparable(parse, TAGD_N_IN, at, a, b))
            return NULL;
        if (n == IN_LIST_MAX)
            return tagd_parse_fail(parse, at, "a list has at most %d values", IN_LIST_MAX);
        if (n == cap) {
            cap = cap ? cap * 2 : 8;
            struct tagd_node **wider = tagd_arena_zalloc(&parse->catalog->arena, cap * sizeof *wider);
            if (n)
                memcpy(wider, list, n * sizeof *wider);
            list = wider;
        }
        list[n++] = b;
        timed = timed || b->timed;
    } while (tagd_parse_take(parse, ","));
    if (!tagd_parse_expect(parse, ")", "after the list"))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, TAGD_N_IN, TAGD_T_BOOLEAN, tagd_parse_start_of(parse, a));
    node->a = a;
    node->list = list;
    node->n_list = n;
    node->timed = timed;
    return node;
}

/* Says of a comparison with a literal what is compared with which, so that nobody has to look at each evaluation. */
static struct tagd_node *against_literal(const struct tagd_catalog *catalog, struct tagd_node *node)
{
    const struct tagd_node *a = tagd_behind_metric(catalog, node->a), *b = tagd_behind_metric(catalog, node->b);
    bool flipped = a->kind == TAGD_N_LITERAL;
    if (!flipped && b->kind != TAGD_N_LITERAL)
        return node;
    node->value = flipped ? b : a;
    node->level = flipped ? &a->literal : &b->literal;
    node->op = flipped ? tagd_mirrored(node->kind) : node->kind;
    return node;
}

static struct tagd_node *parse_compare(struct parse *parse)
{
    struct tagd_node *a = parse_sum(parse);
    if (!a)
        return NULL;
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    enum tagd_node_kind kind;
    if (tagd_parse_take_operator(parse, false, &kind)) {
        struct tagd_node *b = parse_sum(parse);
        if (!b || !comparable(parse, kind, at, a, b))
            return NULL;
        return against_literal(parse->catalog, binary(parse, kind, TAGD_T_BOOLEAN, a, b));
    }
    if (tagd_parse_take(parse, "="))
        return tagd_parse_fail(parse, at, "expected == to compare (a single = stands in filters only)");
    if (tagd_parse_take_word(parse, "in"))
        return parse_in(parse, a);
    if (tagd_parse_take_word(parse, "is")) {
        bool not = tagd_parse_take_word(parse, "not");
        char what[80];
        if (!tagd_parse_take_word(parse, "null"))
            return tagd_parse_fail(parse, parse->at, "expected 'null' after 'is', found %s",
                                   tagd_parse_found(parse, what));
        struct tagd_node *node = tagd_parse_node(parse, not ? TAGD_N_IS_NOT_NULL : TAGD_N_IS_NULL, TAGD_T_BOOLEAN,
                                                 tagd_parse_start_of(parse, a));
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
    return tagd_parse_fail(parse, at, "expected a condition %s, found %s", where, tagd_type_name(node->type)), false;
}

static struct tagd_node *parse_not(struct parse *parse)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    if (!tagd_parse_take_word(parse, "not"))
        return parse_compare(parse);
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    struct tagd_node *a = tagd_parse_deeper(parse, parse_not);
    if (!a || !boolean(parse, a, at, "after 'not'"))
        return NULL;
    struct tagd_node *node = tagd_parse_node(parse, TAGD_N_NOT, TAGD_T_BOOLEAN, start);
    node->a = a;
    node->timed = a->timed;
    return node;
}

static struct tagd_node *parse_chain(struct parse *parse, const char *word, enum tagd_node_kind kind,
                                     struct tagd_node *(*next)(struct parse *))
{
    tagd_parse_skip_space(parse);
    size_t at = parse->at;
    struct tagd_node *a = next(parse);
    while (a && tagd_parse_take_word(parse, word)) {
        if (!boolean(parse, a, at, word[0] == 'a' ? "before 'and'" : "before 'or'"))
            return NULL;
        tagd_parse_skip_space(parse);
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

struct tagd_node *tagd_parse_or(struct parse *parse)
{
    return parse_chain(parse, "or", TAGD_N_OR, parse_and);
}
