/* The expressions of rules and drivers -> nodes; then the order of evaluation. */
#include "catalog/load.h"

static bool same_value(const struct tagd_node *a, const struct tagd_node *b)
{
    return tagd_str_eq(a->text, b->text);
}

/* What `because` shows of a rule: functions, attributes, dimensions, metrics and lookups, each once; of a lookup what
 * it gives, not what is looked up. */
static void collect_values(const struct tagd_node *node, struct tagd_node **out, uint32_t *n)
{
    if (!node)
        return;
    if (tagd_node_named(node)) {
        for (uint32_t i = 0; i < *n; i++) {
            if (same_value(out[i], node))
                return;
        }
        out[(*n)++] = (struct tagd_node *)(uintptr_t)node;
        return;
    }
    collect_values(node->a, out, n);
    collect_values(node->b, out, n);
    for (uint32_t i = 0; i < node->n_list; i++)
        collect_values(node->list[i], out, n);
}

static uint32_t count_nodes(const struct tagd_node *node)
{
    if (!node)
        return 0;
    uint32_t n = 1 + count_nodes(node->a) + count_nodes(node->b);
    for (uint32_t i = 0; i < node->n_list; i++)
        n += count_nodes(node->list[i]);
    return n;
}

/* A value can be a tag if its text is exact and if time changes it at pane boundaries only. */
static bool value_fits(struct load *load, const char *at, const struct tagd_node *value)
{
    if (value->varies || value->decays)
        return tagd_load_fail(
            load, at, false,
            "this value varies with every millisecond: expected one that changes with events and at pane "
            "boundaries only");
    if (value->type == TAGD_T_DURATION || value->type == TAGD_T_NULL)
        return tagd_load_fail(load, at, false,
                              "%s can't be a tag: expected a string, an exact number, a boolean, a time or a date",
                              value->type == TAGD_T_NULL ? "null" : "a duration");
    if (value->type == TAGD_T_NUMBER && !value->exact)
        return tagd_load_fail(
            load, at, false,
            "this number is a double (avg and arithmetic are): expected an exact one, as count, sum, min, "
            "max, distinct, days, top, first, latest or an attribute give it");
    return true;
}

static bool load_rule(struct load *load, struct tagd_dimension *dimension, struct tagd_rule *rule, const char *at)
{
    struct parse parse = tagd_load_parse_of(load, at, rule->text);
    parse.needs = dimension->needs;
    parse.looks = dimension->looks;
    rule->when = tagd_parse_expression(&parse);
    if (!rule->when)
        return false;
    if (dimension->is_value) {
        if (!value_fits(load, at, rule->when))
            return false;
    } else if (rule->when->type != TAGD_T_BOOLEAN && rule->when->type != TAGD_T_NULL) {
        return tagd_load_fail(load, at, false, "expected a condition, found an expression that is no boolean");
    }
    rule->values = tagd_arena_zalloc(&load->catalog->arena, count_nodes(rule->when) * sizeof *rule->values);
    collect_values(rule->when, rule->values, &rule->n_values);
    return true;
}

/* A figure that is told beside a level: it may be anything that rules compute, but no condition. */
static bool load_figure(struct load *load, const char *text, const char *at, struct tagd_node **node)
{
    struct parse parse = tagd_load_parse_of(load, at, text);
    *node = tagd_parse_expression(&parse);
    if (!*node)
        return false;
    enum tagd_type type = (*node)->type;
    return type == TAGD_T_NUMBER || type == TAGD_T_DURATION ||
           tagd_load_fail(load, at, false, "expected a number or a duration");
}

static bool load_driver(struct load *load, struct tagd_driver *driver, const char *at)
{
    return load_figure(load, driver->value_text, tagd_load_below(load, at, "value"), &driver->value) &&
           (!driver->usual_text ||
            load_figure(load, driver->usual_text, tagd_load_below(load, at, "usual"), &driver->usual));
}

bool tagd_load_rules(struct load *load)
{
    struct tagd_catalog *catalog = load->catalog;
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        struct tagd_dimension *dimension = &catalog->dimensions[d];
        dimension->needs = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        dimension->looks = tagd_arena_zalloc(&catalog->arena, catalog->n_dimensions + 1);
        bool alert = dimension->kind == TAGD_KIND_ALERT;
        const char *pointer = tagd_load_below(load, alert ? "/alerts" : "/dimensions", dimension->name);
        for (uint32_t i = 0; i < dimension->n_rules && dimension->assign != TAGD_ASSIGN_MANUAL; i++) {
            const char *at =
                dimension->is_value ? tagd_load_below(load, pointer, "value")
                : alert             ? tagd_load_below(load, pointer, "when")
                        : tagd_load_below(load, tagd_load_below_index(load, tagd_load_below(load, pointer, "tags"), i),
                                          "when");
            if (!load_rule(load, dimension, &dimension->rules[i], at))
                return false;
        }
    }
    for (uint32_t i = 0; i < catalog->churn.n_drivers; i++) {
        if (!load_driver(load, &catalog->churn.drivers[i], tagd_load_below_index(load, "/churn/drivers", i)))
            return false;
    }
    /* Metrics that no rule uses are checked all the same. */
    for (uint32_t i = 0; i < catalog->n_metrics; i++) {
        struct parse parse = tagd_load_parse_of(load, "/metrics", "");
        if (!tagd_metric_node(&parse, i, 0))
            return false;
    }
    return true;
}

bool tagd_load_order(struct load *load)
{
    struct tagd_catalog *catalog = load->catalog;
    uint32_t n = catalog->n_dimensions, placed = 0;
    catalog->order = tagd_arena_zalloc(&catalog->arena, (n + 1) * sizeof *catalog->order);
    bool *done = tagd_arena_zalloc(&catalog->arena, n + 1);
    while (placed < n) {
        uint32_t next = n;
        for (uint32_t d = 0; d < n && next == n; d++) {
            bool ready = !done[d];
            for (uint32_t i = 0; i < n && ready; i++)
                ready = !catalog->dimensions[d].needs[i] || done[i];
            next = ready ? d : n;
        }
        if (next == n) {
            uint32_t d = 0;
            while (done[d])
                d++;
            const char *name = catalog->dimensions[d].name;
            return tagd_load_fail(load, tagd_load_below(load, "/dimensions", name), true,
                                  "dimension '%s' depends on itself through others, or on one that does", name);
        }
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; catalog->dimensions[next].needs[i] && j < n; j++)
                catalog->dimensions[next].needs[j] |= catalog->dimensions[i].needs[j];
        }
        done[next] = true;
        catalog->dimensions[next].place = placed;
        catalog->order[placed++] = next;
    }
    return true;
}
