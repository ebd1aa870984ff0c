/* Measures: figures for reports. No part of the meaning but for the state that they need. */
#include "catalog/load.h"

static bool load_measure(struct load *load, const cJSON *node, const char *pointer, struct tagd_measure_def *into)
{
    static const char *const keys[] = {"value", "of", "label", NULL};
    const cJSON *label = cJSON_GetObjectItemCaseSensitive(node, "label"),
                *of = cJSON_GetObjectItemCaseSensitive(node, "of");
    if (!tagd_load_name_ok(node->string, 1, 1))
        return tagd_load_fail(load, pointer, true, "expected a measure's name of ASCII letters, digits, _ and -");
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object with 'value'") ||
        !tagd_load_known_keys(load, node, pointer, keys) ||
        !tagd_load_label(load, label, tagd_load_below(load, pointer, "label")))
        return false;
    const char *at = tagd_load_below(load, pointer, "value"), *of_at = tagd_load_below(load, pointer, "of");
    if (!cJSON_GetObjectItemCaseSensitive(node, "value"))
        return tagd_load_fail(load, pointer, false, "key 'value' is missing");
    if (!tagd_load_expression(load, cJSON_GetObjectItemCaseSensitive(node, "value"), at, &into->text) ||
        (of && !tagd_load_expression(load, of, of_at, &into->of_text)))
        return false;
    struct parse parse = tagd_load_parse_of(load, at, into->text);
    into->value = tagd_parse_expression(&parse);
    if (!into->value)
        return false;
    enum tagd_type type = into->value->type;
    if (type != TAGD_T_BOOLEAN && type != TAGD_T_NUMBER && type != TAGD_T_DURATION)
        return tagd_load_fail(load, at, false, "a measure is a condition, a number or a duration");
    into->measure.kind = type == TAGD_T_BOOLEAN  ? TAGD_MEASURE_SHARE
                         : type == TAGD_T_NUMBER ? TAGD_MEASURE_NUMBER
                                                 : TAGD_MEASURE_DURATION;
    into->measure.name = tagd_load_keep(load, node->string);
    into->measure.label = tagd_load_keep_json(load, label);
    if (!of)
        return true;
    parse = tagd_load_parse_of(load, of_at, into->of_text);
    into->of = tagd_parse_expression(&parse);
    return into->of &&
           (into->of->type == TAGD_T_BOOLEAN ||
            tagd_load_fail(load, of_at, false, "expected a condition, found an expression that is no boolean"));
}

bool tagd_load_measures(struct load *load, const cJSON *root)
{
    struct tagd_catalog *catalog = load->catalog;
    const cJSON *measures = cJSON_GetObjectItemCaseSensitive(root, "measures");
    if (!measures)
        return true;
    if (!tagd_load_want(load, measures, "/measures", cJSON_IsObject(measures), "an object of measures"))
        return false;
    int n = cJSON_GetArraySize(measures);
    if (n > TAGD_MEASURES_MAX)
        return tagd_load_fail(load, "/measures", false, "%d measures: a catalog has at most %d", n, TAGD_MEASURES_MAX);
    catalog->measures = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *catalog->measures);
    for (const cJSON *node = measures->child; node; node = node->next) {
        if (!load_measure(load, node, tagd_load_below(load, "/measures", node->string),
                          &catalog->measures[catalog->n_measures]))
            return false;
        catalog->n_measures++;
    }
    return true;
}
