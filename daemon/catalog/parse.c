/* Whole expressions and metrics: how large they are, and how deep. The grammar stands in operators.c. */
#include <string.h>

#include "catalog/expression.h"

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
    struct tagd_node *node = tagd_parse_deeper(parse, tagd_parse_or);
    tagd_parse_skip_space(parse);
    char what[80];
    if (!node)
        return NULL;
    if (parse->at < parse->n)
        return tagd_parse_fail(parse, parse->at, "expected an operator or the end, found %s",
                               tagd_parse_found(parse, what));
    uint64_t n = 0;
    *nesting = 0;
    measure(parse->catalog, node, &n, nesting);
    if (n > TAGD_EXPR_NODES_MAX)
        return tagd_parse_fail(parse, 0,
                               "with the metrics it uses this expression has %llu parts; at most %d are taken",
                               (unsigned long long)n, TAGD_EXPR_NODES_MAX);
    *nodes = (uint32_t)n;
    return node;
}

static struct tagd_node *metrics_too_deep(struct parse *parse, size_t at)
{
    return tagd_parse_fail(parse, at, "metrics use metrics more than %d deep here", TAGD_METRIC_DEPTH_MAX);
}

struct tagd_node *tagd_metric_node(struct parse *from, uint32_t index, size_t at)
{
    struct tagd_metric *metric = &from->catalog->metrics[index];
    if (metric->state == 1)
        return tagd_parse_fail(from, at, "metric '%s' depends on itself", metric->name);
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
