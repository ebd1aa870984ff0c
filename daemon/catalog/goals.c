/* Goals: the tag that starts one, the events that reach it, and what is hoped for. */
#include "catalog/load.h"

/* A share of 0 to 1 under `key`, as a decimal; *share stays if there is none. */
static bool load_share(struct load *load, const cJSON *node, const char *pointer, const char *key, int64_t *share)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(node, key);
    if (!number)
        return true;
    bool fits = cJSON_IsNumber(number) && number->valuedouble >= 0 && number->valuedouble <= 1 &&
                tagd_decimal_from_double(number->valuedouble, share) &&
                tagd_decimal_to_double(*share) == number->valuedouble;
    return fits || tagd_load_fail(load, tagd_load_below(load, pointer, key), false,
                                  "expected a share from 0 to 1 with at most four decimals, such as 0.15");
}

static bool load_start(struct load *load, const cJSON *start, const char *pointer, struct tagd_goal *goal)
{
    struct tagd_catalog *catalog = load->catalog;
    struct tagd_str dimension, tag;
    int32_t d, t;
    if (!cJSON_IsString(start) || !tagd_load_tag(load, start->valuestring, &dimension, &tag))
        return tagd_load_fail(load, pointer, false, "expected the name of a tag, as dimension.tag in three levels");
    if (!tagd_catalog_tag_find(catalog, dimension, tag, &d, &t))
        return tagd_load_fail(load, pointer, false,
                              "'%s' is no tag of this catalog: a goal starts as a customer gets one",
                              start->valuestring);
    int32_t other = tagd_catalog_goal_of(catalog, (size_t)d, t);
    if (other >= 0)
        return tagd_load_fail(load, pointer, false, "this tag starts goal '%s' already: a tag starts one goal",
                              catalog->goals[other].name);
    goal->dimension = (uint32_t)d;
    goal->tag = (uint32_t)t;
    return true;
}

static bool load_reach(struct load *load, const cJSON *reach, const char *pointer, struct tagd_goal *goal)
{
    const char *text;
    if (!tagd_load_expression(load, reach, pointer, &text))
        return false;
    struct parse parse = tagd_load_parse_of(load, pointer, text);
    int32_t selector = tagd_parse_selector(&parse);
    goal->selector = (uint32_t)selector;
    return selector >= 0;
}

/* What is hoped for: one of a share, or a difference to those held out. */
static bool load_targets(struct load *load, const cJSON *node, const char *pointer, struct tagd_goal *goal)
{
    if (!load_share(load, node, pointer, "holdout", &goal->holdout) ||
        !load_share(load, node, pointer, "target", &goal->target) ||
        !load_share(load, node, pointer, "uplift", &goal->uplift) ||
        !load_share(load, node, pointer, "fewer_missed", &goal->fewer_missed))
        return false;
    if ((goal->target >= 0) + (goal->uplift >= 0) + (goal->fewer_missed >= 0) > 1)
        return tagd_load_fail(load, pointer, true, "expected one of 'target', 'uplift' and 'fewer_missed'");
    return (goal->uplift < 0 && goal->fewer_missed < 0) || goal->holdout > 0 ||
           tagd_load_fail(load, pointer, true, "'%s' is against customers who are held out: say how many as 'holdout'",
                          goal->uplift >= 0 ? "uplift" : "fewer_missed");
}

static bool load_goal(struct load *load, const cJSON *node, const char *pointer, struct tagd_goal *goal)
{
    static const char *const keys[] = {"start",  "reach",        "within", "target", "holdout",
                                       "uplift", "fewer_missed", "label",  NULL};
    static const char *const needed[] = {"start", "reach", "within", NULL};
    if (!tagd_load_name_ok(node->string, 1, 1))
        return tagd_load_fail(load, pointer, true, "expected a goal's name of ASCII letters, digits, _ and -");
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object with 'start', 'reach' and 'within'") ||
        !tagd_load_known_keys(load, node, pointer, keys))
        return false;
    for (int i = 0; needed[i]; i++) {
        if (!cJSON_GetObjectItemCaseSensitive(node, needed[i]))
            return tagd_load_fail(load, pointer, false, "key '%s' is missing", needed[i]);
    }
    *goal = (struct tagd_goal){.name = tagd_load_keep(load, node->string),
                               .label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label")),
                               .target = -1,
                               .uplift = -1,
                               .fewer_missed = -1};
    if (!load_start(load, cJSON_GetObjectItemCaseSensitive(node, "start"), tagd_load_below(load, pointer, "start"),
                    goal) ||
        !load_reach(load, cJSON_GetObjectItemCaseSensitive(node, "reach"), tagd_load_below(load, pointer, "reach"),
                    goal) ||
        !tagd_load_span(load, node, pointer, "within", &goal->within_ms))
        return false;
    if (goal->within_ms == 0)
        return tagd_load_fail(load, tagd_load_below(load, pointer, "within"), false,
                              "expected a duration longer than nothing");
    return load_targets(load, node, pointer, goal) &&
           tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                           tagd_load_below(load, pointer, "label"));
}

bool tagd_load_goals(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *goals = cJSON_GetObjectItemCaseSensitive(root, "goals");
    if (!goals)
        return true;
    if (!tagd_load_want(load, goals, "/goals", cJSON_IsObject(goals), "an object of goals"))
        return false;
    int n = cJSON_GetArraySize(goals);
    if (n > TAGD_GOALS_MAX)
        return tagd_load_fail(load, "/goals", false, "%d goals: a catalog has at most %d", n, TAGD_GOALS_MAX);
    catalog->goals = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->goals);
    for (const cJSON *node = goals->child; node; node = node->next) {
        if (!load_goal(load, node, tagd_load_below(load, "/goals", node->string), &catalog->goals[catalog->n_goals]))
            return false;
        catalog->n_goals++;
    }
    return true;
}
