/* The section churn: the model, the events that it reads, drivers, and the dimension of levels that it makes. */
#include <stdio.h>
#include <string.h>

#include "catalog/load.h"

static bool load_parameters(struct load *load, const cJSON *node, struct tagd_churn_model *model)
{
    static const char *const names[] = {"r", "alpha", "a", "b"};
    double *const values[] = {&model->r, &model->alpha, &model->a, &model->b};
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(node, "model");
    struct tagd_error error;
    if (!cJSON_IsString(kind) || !tagd_model_kind_parse(tagd_str_of(kind->valuestring), &model->kind))
        return tagd_load_fail(load, kind ? "/churn/model" : "/churn", false,
                              "expected \"model\": \"bg-nbd\" or \"mbg-nbd\"");
    for (int i = 0; i < 4; i++) {
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(node, names[i]);
        if (!cJSON_IsNumber(number))
            return tagd_load_fail(load, number ? tagd_load_below(load, "/churn", names[i]) : "/churn", false,
                                  "expected a number as '%s': `tagd fit` finds it", names[i]);
        *values[i] = number->valuedouble;
    }
    return tagd_model_check(model, &error) || tagd_load_fail(load, "/churn", false, "%s", error.text);
}

/* The events under `key`, or `otherwise` if there is none: their text, which rules are made with, and selector. */
static bool load_churn_events(struct load *load, const cJSON *node, const char *key, const char **text,
                              uint32_t *selector)
{
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(node, key);
    const char *pointer = tagd_load_below(load, "/churn", key);
    if (events && !tagd_load_expression(load, events, pointer, text))
        return false;
    struct parse parse = tagd_load_parse_of(load, pointer, *text);
    int32_t found = tagd_parse_selector(&parse);
    *selector = (uint32_t)found;
    return found >= 0;
}

/* What the model knows of a customer: purchase days, the first purchase and the last. */
static void keep_purchases(struct tagd_catalog *catalog)
{
    struct tagd_churn *churn = &catalog->churn;
    struct tagd_str no_field = {"", 0};
    uint32_t store = tagd_state_store(catalog, churn->selector, TAGD_MS_DAY, true);
    churn->days = tagd_state_window(catalog, false, store, 0, 0);
    churn->days_column = tagd_state_column(catalog, store, TAGD_COL_DAYS, no_field);
    churn->first = tagd_state_mark(catalog, churn->selector, TAGD_MARK_FIRST, no_field, TAGD_DECIMAL);
    churn->latest = tagd_state_mark(catalog, churn->selector, TAGD_MARK_LATEST, no_field, TAGD_DECIMAL);
}

/* Drivers are parsed with the rules. By default: how long the silence is, beside the mean time between purchase days. */
static bool name_drivers(struct load *load, const cJSON *node, const char *events)
{
    static const char *const keys[] = {"name", "value", "usual", "label", NULL};
    struct tagd_catalog *catalog = load->catalog;
    struct tagd_churn *churn = &catalog->churn;
    const cJSON *drivers = cJSON_GetObjectItemCaseSensitive(node, "drivers");
    if (drivers && !tagd_load_want(load, drivers, "/churn/drivers", cJSON_IsArray(drivers), "an array of drivers"))
        return false;
    int n = drivers ? cJSON_GetArraySize(drivers) : 1;
    if (n > TAGD_DRIVERS_MAX)
        return tagd_load_fail(load, "/churn/drivers", false, "%d drivers: a catalog has at most %d", n,
                              TAGD_DRIVERS_MAX);
    churn->drivers = tagd_arena_zalloc(&catalog->arena, ((size_t)n + 1) * sizeof *churn->drivers);
    if (!drivers) {
        churn->n_drivers = 1;
        churn->drivers[0] = (struct tagd_driver){
            .name = "silence",
            .value_text = tagd_arena_printf(&catalog->arena, "since(%s)", events),
            .usual_text = tagd_arena_printf(&catalog->arena, "(since_first(%s) - since(%s)) / (days(%s) - 1)", events,
                                            events, events)};
        return true;
    }
    for (const cJSON *driver = drivers->child; driver; driver = driver->next) {
        const char *pointer = tagd_load_below_index(load, "/churn/drivers", churn->n_drivers);
        struct tagd_driver *into = &churn->drivers[churn->n_drivers++];
        if (!tagd_load_want(load, driver, pointer, cJSON_IsObject(driver), "an object with 'name' and 'value'") ||
            !tagd_load_known_keys(load, driver, pointer, keys))
            return false;
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(driver, "name"),
                    *value = cJSON_GetObjectItemCaseSensitive(driver, "value"),
                    *usual = cJSON_GetObjectItemCaseSensitive(driver, "usual");
        if (!cJSON_IsString(name) || !name->valuestring[0] || strlen(name->valuestring) > TAGD_NAME_BYTES_MAX || !value)
            return tagd_load_fail(load, pointer, false, "expected 'name', a text, and 'value', an expression");
        into->name = tagd_load_keep(load, name->valuestring);
        if (!tagd_load_expression(load, value, tagd_load_below(load, pointer, "value"), &into->value_text) ||
            (usual && !tagd_load_expression(load, usual, tagd_load_below(load, pointer, "usual"), &into->usual_text)) ||
            !tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(driver, "label"),
                             tagd_load_below(load, pointer, "label")))
            return false;
    }
    return true;
}

static const struct level {
    const char *tag;
    const char *below, *silence; /* without "levels" */
} levels[] = {{"churned", "0.2", "90d"}, {"at-risk", "0.5", "60d"}, {"watch", "0.7", "30d"}};
#define LEVELS (sizeof levels / sizeof *levels)

/* The rule of a level, in the language: the model's word, and where it has none, silence. */
static const char *level_rule(struct load *load, const char *events, const char *below_text, const char *silence)
{
    struct tagd_buf text = {0};
    tagd_buf_printf(&text, "p_alive() < %s", below_text);
    if (silence)
        tagd_buf_printf(&text, " or p_alive() is null and since(%s) >= %s", events, silence);
    const char *kept = tagd_arena_copy(&load->catalog->arena, text.p, text.n).p;
    tagd_buf_free(&text);
    return kept;
}

static bool load_level(struct load *load, const cJSON *node, const char *events, double *least, struct tagd_rule *rule)
{
    static const char *const keys[] = {"below", "silence", "label", "plan", NULL};
    const char *pointer = tagd_load_below(load, "/churn/levels", node->string);
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(node, "below"),
                *silence = cJSON_GetObjectItemCaseSensitive(node, "silence");
    int64_t ms;
    char text[32];
    if (!tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object with 'below'") ||
        !tagd_load_known_keys(load, node, pointer, keys) ||
        !tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                         tagd_load_below(load, pointer, "label")))
        return false;
    if (!cJSON_IsNumber(limit) || limit->valuedouble <= *least || limit->valuedouble >= 1)
        return tagd_load_fail(
            load, limit ? tagd_load_below(load, pointer, "below") : pointer, false,
            "expected 'below', a probability between 0 and 1: churned's is the least, then at-risk's, then watch's");
    if (silence && (!cJSON_IsString(silence) || !tagd_duration_parse(tagd_str_of(silence->valuestring), &ms)))
        return tagd_load_fail(load, tagd_load_below(load, pointer, "silence"), false,
                              "expected a duration such as \"90d\"");
    *least = limit->valuedouble;
    snprintf(text, sizeof text, "%.15g", limit->valuedouble);
    rule->text = level_rule(load, events, text, silence ? silence->valuestring : NULL);
    rule->label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    tagd_load_plan(load, node, rule);
    return true;
}

/* What is left: whoever bought at all. */
static bool load_stable(struct load *load, const cJSON *node, const char *events, struct tagd_rule *rule)
{
    static const char *const keys[] = {"label", "plan", NULL};
    const char *pointer = "/churn/levels/stable";
    rule->tag = "stable";
    rule->text = tagd_arena_printf(&load->catalog->arena, "since(%s) is not null", events);
    if (!node)
        return true;
    rule->label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"));
    tagd_load_plan(load, node, rule);
    return tagd_load_want(load, node, pointer, cJSON_IsObject(node), "an object") &&
           tagd_load_known_keys(load, node, pointer, keys) &&
           tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"),
                           tagd_load_below(load, pointer, "label"));
}

static bool load_levels(struct load *load, const cJSON *given, const char *events, struct tagd_dimension *dimension)
{
    static const char *const keys[] = {"churned", "at-risk", "watch", "stable", NULL};
    double least = 0;
    if (given && (!tagd_load_want(load, given, "/churn/levels", cJSON_IsObject(given), "an object of levels") ||
                  !tagd_load_known_keys(load, given, "/churn/levels", keys)))
        return false;
    for (size_t i = 0; i < LEVELS; i++) {
        const cJSON *node = given ? cJSON_GetObjectItemCaseSensitive(given, levels[i].tag) : NULL;
        struct tagd_rule *rule = &dimension->rules[dimension->n_rules];
        if (given && !node)
            continue;
        rule->tag = levels[i].tag;
        rule->text = level_rule(load, events, levels[i].below, levels[i].silence);
        if (node && !load_level(load, node, events, &least, rule))
            return false;
        dimension->n_rules++;
    }
    return load_stable(load, given ? cJSON_GetObjectItemCaseSensitive(given, "stable") : NULL, events,
                       &dimension->rules[dimension->n_rules++]);
}

/* The dimension that the section makes, unless the catalog's own rules do. */
static bool name_levels(struct load *load, const cJSON *node, const char *events)
{
    struct tagd_catalog *catalog = load->catalog;
    struct tagd_dimension *dimension = &catalog->dimensions[catalog->n_dimensions];
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(node, "levels");
    bool own = tagd_catalog_dimension_find(catalog, TAGD_STR(TAGD_CHURN_DIMENSION)) >= 0;
    if (own && given)
        return tagd_load_fail(load, "/churn/levels", true,
                              "\"dimensions\" has " TAGD_CHURN_DIMENSION
                              " already: expected levels here or rules there");
    if (own)
        return true;
    *dimension =
        (struct tagd_dimension){.name = TAGD_CHURN_DIMENSION,
                                .kind = TAGD_KIND_CHURN,
                                .label = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "label"))};
    dimension->rules = tagd_arena_zalloc(&catalog->arena, (LEVELS + 1) * sizeof *dimension->rules);
    if (!load_levels(load, given, events, dimension) ||
        !tagd_load_span(load, node, "/churn", "for", &dimension->for_ms) ||
        !tagd_load_span(load, node, "/churn", "min_dwell", &dimension->dwell_ms))
        return false;
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        dimension->rules[i].for_ms = dimension->for_ms;
        dimension->rules[i].dwell_ms = dimension->dwell_ms;
    }
    tagd_load_see_holds(dimension);
    catalog->has_churn_level = true;
    catalog->n_dimensions++;
    return true;
}

bool tagd_load_churn(struct load *load, const cJSON *root)
{
    static const char *const keys[] = {"model", "event",   "r",        "alpha", "a",         "b",   "levels",
                                       "label", "drivers", "activity", "for",   "min_dwell", "fit", NULL};
    struct tagd_churn *churn = &load->catalog->churn;
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(root, "churn");
    const char *events = "order.paid", *activity;
    uint32_t signs;
    if (!node)
        return true;
    if (!tagd_load_want(load, node, "/churn", cJSON_IsObject(node), "an object, as `tagd fit` prints it") ||
        !tagd_load_known_keys(load, node, "/churn", keys) || !load_parameters(load, node, &churn->model) ||
        !tagd_load_label(load, cJSON_GetObjectItemCaseSensitive(node, "label"), "/churn/label") ||
        !load_churn_events(load, node, "event", &events, &churn->selector))
        return false;
    activity = events;
    if (!load_churn_events(load, node, "activity", &activity, &signs))
        return false;
    churn->given = true;
    keep_purchases(load->catalog);
    churn->activity = tagd_state_mark(load->catalog, signs, TAGD_MARK_LATEST, (struct tagd_str){"", 0}, TAGD_DECIMAL);
    return name_drivers(load, node, events) && name_levels(load, node, events);
}
