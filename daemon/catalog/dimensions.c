/* Metrics, dimensions and alerts by name, with the texts of their expressions. */
#include <string.h>

#include "catalog/load.h"

/* ---- metrics ---- */

bool tagd_load_metrics(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(root, "metrics");
    if (!metrics)
        return true;
    if (!tagd_load_want(load, metrics, "/metrics", cJSON_IsObject(metrics), "an object of metrics"))
        return false;
    static const char *const words[] = {"and", "or", "not", "in", "is", "null", "true", "false", "offset", NULL};
    catalog->metrics =
        tagd_arena_zalloc(&catalog->arena, ((size_t)cJSON_GetArraySize(metrics) + 1) * sizeof *catalog->metrics);
    for (const cJSON *node = metrics->child; node; node = node->next) {
        const char *pointer = tagd_load_below(load, "/metrics", node->string);
        if (!tagd_load_name_ok(node->string, 1, 1))
            return tagd_load_fail(load, pointer, true, "expected a metric's name of ASCII letters, digits, _ and -");
        for (int i = 0; words[i]; i++) {
            if (strcmp(words[i], node->string) == 0)
                return tagd_load_fail(load, pointer, true, "'%s' is a word of the language: expected another name",
                                      node->string);
        }
        struct tagd_metric *metric = &catalog->metrics[catalog->n_metrics++];
        metric->name = tagd_load_keep(load, node->string);
        if (!tagd_load_expression(load, node, pointer, &metric->text))
            return false;
    }
    return true;
}

/* ---- dimensions ---- */

/* No rule gives a tag of a manual dimension, so that nothing of rules belongs to it. */
static bool refuse_rule(struct load *load, const cJSON *node, const char *pointer, const char *const *keys)
{
    for (int i = 0; keys[i]; i++) {
        if (cJSON_GetObjectItemCaseSensitive(node, keys[i]))
            return tagd_load_fail(
                load, tagd_load_below(load, pointer, keys[i]), true,
                "only tag.assigned gives the tags of a dimension with \"assign\": \"manual\": expected no '%s'",
                keys[i]);
    }
    return true;
}

static bool name_rule(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"tag", "when", "label", "plan", "for", "min_dwell", NULL};
    static const char *const of_rules[] = {"when", "for", "min_dwell", NULL};
    bool manual = dimension->assign == TAGD_ASSIGN_MANUAL;
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node),
                        manual ? "an object with 'tag'" : "an object with 'tag' and 'when'") ||
        !tagd_load_known_keys(load, node, pointer, keys) || (manual && !refuse_rule(load, node, pointer, of_rules)))
        return false;
    const cJSON *tag = cJSON_GetObjectItemCaseSensitive(node, "tag"),
                *when = cJSON_GetObjectItemCaseSensitive(node, "when");
    if (!tag || (!when && !manual))
        return tagd_load_fail(load, pointer, false, "key '%s' is missing", tag ? "when" : "tag");
    const char *tag_at = tagd_load_below(load, pointer, "tag");
    if (!cJSON_IsString(tag) || !tag->valuestring[0] || strlen(tag->valuestring) > TAGD_NAME_BYTES_MAX)
        return tagd_load_fail(load, tag_at, false, "expected a tag's name of 1 to %d bytes", TAGD_NAME_BYTES_MAX);
    if (!tagd_load_tag_letters_ok(tag->valuestring))
        return tagd_load_fail(load, tag_at, false,
                              "a tag's name has ASCII letters, digits, _ and - (labels carry other scripts)");
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        if (strcmp(dimension->rules[i].tag, tag->valuestring) == 0)
            return tagd_load_fail(load, tag_at, false,
                                  "tag '%s' stands in this dimension already: join the rules with 'or'",
                                  tag->valuestring);
    }
    if (!tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                         tagd_load_below(load, pointer, "label")))
        return false;
    struct tagd_rule *rule = &dimension->rules[dimension->n_rules++];
    rule->tag = tagd_load_keep(load, tag->valuestring);
    rule->label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    rule->for_ms = dimension->for_ms;
    rule->dwell_ms = dimension->dwell_ms;
    tagd_load_plan(load, node, rule);
    if (manual)
        return true;
    return tagd_load_span(load, node, pointer, "for", &rule->for_ms) &&
           tagd_load_span(load, node, pointer, "min_dwell", &rule->dwell_ms) &&
           tagd_load_expression(load, when, tagd_load_below(load, pointer, "when"), &rule->text);
}

/* A dimension whose tag is the value of an expression: one rule without a tag of its own. */
static bool name_value(struct load *load, const cJSON *value, const char *pointer, struct tagd_dimension *dimension)
{
    dimension->is_value = true;
    dimension->rules = tagd_arena_zalloc(&load->catalog->arena, sizeof *dimension->rules);
    dimension->n_rules = 1;
    dimension->rules->for_ms = dimension->for_ms;
    dimension->rules->dwell_ms = dimension->dwell_ms;
    return tagd_load_expression(load, value, tagd_load_below(load, pointer, "value"), &dimension->rules->text);
}

static bool load_assign(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const names[] = {
        [TAGD_ASSIGN_AUTO] = "auto", [TAGD_ASSIGN_MANUAL] = "manual", [TAGD_ASSIGN_REVIEW] = "review"};
    static const char *const of_rules[] = {"value", "for", "min_dwell", NULL};
    const cJSON *assign = cJSON_GetObjectItemCaseSensitive(node, "assign"),
                *expires = cJSON_GetObjectItemCaseSensitive(node, "expires");
    for (int i = 0; assign && i < 3; i++) {
        if (!cJSON_IsString(assign) || strcmp(assign->valuestring, names[i]) != 0)
            continue;
        dimension->assign = (enum tagd_assign)i;
        assign = NULL;
    }
    if (assign)
        return tagd_load_fail(load, tagd_load_below(load, pointer, "assign"), false,
                              "expected \"auto\", \"manual\" or \"review\"");
    if (dimension->assign == TAGD_ASSIGN_MANUAL && !refuse_rule(load, node, pointer, of_rules))
        return false;
    if (dimension->assign == TAGD_ASSIGN_REVIEW && cJSON_GetObjectItemCaseSensitive(node, "value"))
        return tagd_load_fail(load, tagd_load_below(load, pointer, "value"), true,
                              "a dimension with \"assign\": \"review\" has 'tags': a value is not proposed");
    if (expires && dimension->assign != TAGD_ASSIGN_REVIEW)
        return tagd_load_fail(load, tagd_load_below(load, pointer, "expires"), true,
                              "proposals expire: expected 'expires' only beside \"assign\": \"review\"");
    if (expires &&
        (!tagd_load_span(load, node, pointer, "expires", &dimension->expires_ms) || dimension->expires_ms == 0))
        return tagd_load_fail(load, tagd_load_below(load, pointer, "expires"), false,
                              "expected a duration longer than nothing");
    return tagd_load_span(load, node, pointer, "for", &dimension->for_ms) &&
           tagd_load_span(load, node, pointer, "min_dwell", &dimension->dwell_ms);
}

void tagd_load_see_holds(struct tagd_dimension *dimension)
{
    dimension->holds_back = dimension->for_ms > 0;
    for (uint32_t i = 0; i < dimension->n_rules; i++)
        dimension->holds_back |= dimension->rules[i].for_ms > 0 || dimension->rules[i].dwell_ms > 0;
}

static bool name_dimension(struct load *load, const cJSON *node, const char *pointer, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"tags", "value", "label", "assign", "for", "min_dwell", "expires", NULL};
    struct tagd_catalog *catalog = load->catalog;
    if (!tagd_load_dimension_name_ok(node->string))
        return tagd_load_fail(load, pointer, true, "expected a dimension's name of two levels, such as value.level");
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object"))
        return false;
    if (!tagd_load_known_keys(load, node, pointer, keys))
        return false;
    const cJSON *tags = cJSON_GetObjectItemCaseSensitive(node, "tags"),
                *value = cJSON_GetObjectItemCaseSensitive(node, "value");
    if (!tags && !value)
        return tagd_load_fail(load, pointer, false, "key 'tags' or 'value' is missing");
    if (tags && value)
        return tagd_load_fail(load, tagd_load_below(load, pointer, "value"), true,
                              "a dimension has 'tags' or a 'value': expected one of them");
    if (!tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                         tagd_load_below(load, pointer, "label")))
        return false;
    dimension->name = tagd_load_keep(load, node->string);
    dimension->label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    if (!load_assign(load, node, pointer, dimension))
        return false;
    if (value)
        return name_value(load, value, pointer, dimension);
    const char *tags_at = tagd_load_below(load, pointer, "tags");
    if (!tagd_load_want(load, tags, tags_at, cJSON_IsArray(tags) && tags->child, "an array of at least one tag"))
        return false;
    int n = cJSON_GetArraySize(tags);
    if (n > TAGD_TAGS_MAX)
        return tagd_load_fail(load, tags_at, false, "%d tags: a dimension has at most %d", n, TAGD_TAGS_MAX);
    dimension->rules = tagd_arena_zalloc(&catalog->arena, (size_t)n * sizeof *dimension->rules);
    uint32_t i = 0;
    for (const cJSON *tag = tags->child; tag; tag = tag->next) {
        if (!name_rule(load, tag, tagd_load_below_index(load, tags_at, i++), dimension))
            return false;
    }
    return true;
}

/* ---- alerts ---- */

#define ALERT_TAG "raised"

/* An alert is a dimension with one tag. */
static bool name_alerts(struct load *load, const cJSON *alerts)
{
    static const char *const keys[] = {"when", "label", "plan", "for", "min_dwell", NULL};
    struct tagd_catalog *catalog = load->catalog;
    for (const cJSON *node = alerts ? alerts->child : NULL; node; node = node->next) {
        const char *pointer = tagd_load_below(load, "/alerts", node->string);
        struct tagd_dimension *alert = &catalog->dimensions[catalog->n_dimensions];
        if (!tagd_load_name_ok(node->string, 1, 1))
            return tagd_load_fail(load, pointer, true, "expected an alert's name of ASCII letters, digits, _ and -");
        if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object with 'when'") ||
            !tagd_load_known_keys(load, node, pointer, keys))
            return false;
        const cJSON *when = cJSON_GetObjectItemCaseSensitive(node, "when");
        if (!when)
            return tagd_load_fail(load, pointer, false, "key 'when' is missing");
        *alert =
            (struct tagd_dimension){.name = tagd_load_keep(load, node->string), .kind = TAGD_KIND_ALERT, .n_rules = 1};
        alert->rules = tagd_arena_zalloc(&catalog->arena, sizeof *alert->rules);
        alert->rules->tag = ALERT_TAG;
        tagd_load_plan(load, node, alert->rules);
        alert->label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
        if (!tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                             tagd_load_below(load, pointer, "label")) ||
            !tagd_load_span(load, node, pointer, "for", &alert->rules->for_ms) ||
            !tagd_load_span(load, node, pointer, "min_dwell", &alert->rules->dwell_ms) ||
            !tagd_load_expression(load, when, tagd_load_below(load, pointer, "when"), &alert->rules->text))
            return false;
        tagd_load_see_holds(alert);
        catalog->n_dimensions++;
        catalog->n_alerts++;
    }
    return true;
}

/* ---- all dimensions: the catalog's own, that of churn, alerts ---- */

bool tagd_load_dimensions(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *dimensions = cJSON_GetObjectItemCaseSensitive(root, "dimensions");
    if (!dimensions)
        return tagd_load_fail(load, "", false, "key 'dimensions' is missing");
    if (!tagd_load_want(load, dimensions, "/dimensions", cJSON_IsObject(dimensions), "an object of dimensions"))
        return false;
    int n = cJSON_GetArraySize(dimensions);
    if (n > TAGD_DIMENSIONS_MAX)
        return tagd_load_fail(load, "/dimensions", false, "%d dimensions: a catalog has at most %d", n,
                              TAGD_DIMENSIONS_MAX);
    const cJSON *alerts = cJSON_GetObjectItemCaseSensitive(root, "alerts");
    if (alerts && !tagd_load_want(load, alerts, "/alerts", cJSON_IsObject(alerts), "an object of alerts"))
        return false;
    int n_alerts = alerts ? cJSON_GetArraySize(alerts) : 0;
    if (n_alerts > TAGD_ALERTS_MAX)
        return tagd_load_fail(load, "/alerts", false, "%d alerts: a catalog has at most %d", n_alerts, TAGD_ALERTS_MAX);
    catalog->dimensions =
        tagd_arena_zalloc(&catalog->arena, ((size_t)n + (size_t)n_alerts + 2) * sizeof *catalog->dimensions);
    for (const cJSON *node = dimensions->child; node; node = node->next) {
        struct tagd_dimension *dimension = &catalog->dimensions[catalog->n_dimensions];
        if (!name_dimension(load, node, tagd_load_below(load, "/dimensions", node->string), dimension))
            return false;
        tagd_load_see_holds(dimension);
        if (strcmp(dimension->name, TAGD_CHURN_DIMENSION) == 0)
            dimension->kind = TAGD_KIND_CHURN;
        catalog->has_churn_level |= dimension->kind == TAGD_KIND_CHURN;
        catalog->reviews |= dimension->assign == TAGD_ASSIGN_REVIEW;
        catalog->n_dimensions++;
    }
    return tagd_load_churn(load, root) && name_alerts(load, alerts);
}
