/* What a catalog means, as a text, and its hash. */
#include <stdio.h>

#include "catalog/load.h"

static void describe_node(const struct tagd_catalog *catalog, const struct tagd_node *node, struct tagd_buf *out)
{
    if (!node)
        return;
    if (node->kind == TAGD_N_METRIC) {
        describe_node(catalog, catalog->metrics[node->index].node, out);
        return;
    }
    tagd_buf_printf(out, "(%d %d", (int)node->kind, (int)node->type);
    if (node->kind == TAGD_N_LITERAL) {
        const struct tagd_val *val = &node->literal;
        tagd_buf_printf(out, " %d:", (int)val->kind);
        if (val->kind == TAGD_V_DECIMAL)
            tagd_buf_add_decimal(out, val->u.d);
        else if (val->kind == TAGD_V_DOUBLE)
            tagd_buf_add_double(out, val->u.f);
        else if (val->kind == TAGD_V_STRING)
            tagd_buf_add_json(out, val->u.s);
        else if (val->kind != TAGD_V_NULL)
            tagd_buf_add_i64(out, val->kind == TAGD_V_BOOL ? val->u.b : val->u.i);
    } else if (tagd_node_named(node)) {
        tagd_buf_printf(out, " %u %u %u", node->index, node->column, node->count_column);
        if (node->kind == TAGD_N_UNTIL_NEXT)
            tagd_buf_printf(out, " %lld", (long long)node->literal.u.i);
    }
    describe_node(catalog, node->a, out);
    describe_node(catalog, node->b, out);
    for (uint32_t i = 0; i < node->n_list; i++)
        describe_node(catalog, node->list[i], out);
    tagd_buf_add_byte(out, ')');
}

static void describe_dimension(const struct tagd_catalog *catalog, const struct tagd_dimension *dimension,
                               struct tagd_buf *out)
{
    static const char *const words[TAGD_KINDS] = {
        [TAGD_KIND_TAG] = "dimension", [TAGD_KIND_ALERT] = "alert", [TAGD_KIND_CHURN] = "churn"};
    tagd_buf_printf(out, "%s %s\n", words[dimension->kind], dimension->name);
    if (dimension->assign != TAGD_ASSIGN_AUTO || dimension->for_ms)
        tagd_buf_printf(out, "assign %d expires %lld for %lld\n", (int)dimension->assign,
                        (long long)dimension->expires_ms, (long long)dimension->for_ms);
    for (uint32_t i = 0; i < dimension->n_rules; i++) {
        const struct tagd_rule *rule = &dimension->rules[i];
        tagd_buf_printf(out, "%s %s ", rule->tag ? "tag" : "value", rule->tag ? rule->tag : "");
        if (rule->for_ms || rule->dwell_ms)
            tagd_buf_printf(out, "for %lld dwell %lld ", (long long)rule->for_ms, (long long)rule->dwell_ms);
        describe_node(catalog, rule->when, out);
        tagd_buf_add_byte(out, '\n');
    }
}

static void describe_table(const struct tagd_table *table, struct tagd_buf *out)
{
    tagd_buf_printf(out, "table %.*s %d ", (int)table->name.n, table->name.p, table->keep);
    if (table->other.p)
        tagd_buf_add_json(out, table->other);
    for (uint32_t i = 0; i < table->n_rows; i++) {
        tagd_buf_add_byte(out, ' ');
        tagd_buf_add_json(out, table->rows[i].key);
        tagd_buf_add_byte(out, ':');
        tagd_buf_add_json(out, table->rows[i].value);
    }
    tagd_buf_add_byte(out, '\n');
}

/* Two catalogs with the same text here keep the same state and give the same tags. */
static void describe_meaning(const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    tagd_buf_printf(out, "tagd catalog 1\nzone %lld\n", (long long)catalog->zone_ms);
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        const struct tagd_event_type *type = &catalog->types[i];
        tagd_buf_printf(out, "event %.*s %lld", (int)type->name.n, type->name.p, (long long)type->dedupe_ms);
        for (uint32_t j = 0; j < type->n_fields; j++)
            tagd_buf_printf(out, " %.*s:%d:%d", (int)type->fields[j].name.n, type->fields[j].name.p,
                            (int)type->fields[j].type, type->fields[j].required);
        tagd_buf_add_byte(out, '\n');
    }
    for (uint32_t i = 0; i < catalog->n_selectors; i++)
        tagd_buf_printf(out, "selector %s\n", catalog->selectors[i].key);
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        tagd_buf_printf(out, "attribute %s %d\n", catalog->attributes[i].field.name.p,
                        (int)catalog->attributes[i].field.type);
    for (uint32_t i = 0; i < catalog->n_tables; i++)
        describe_table(&catalog->tables[i], out);
    for (uint32_t i = 0; i < catalog->n_stores; i++) {
        const struct tagd_store *store = &catalog->stores[i];
        tagd_buf_printf(out, "store %u %lld %d", store->selector, (long long)store->grid.pane_ms,
                        store->grid.span == TAGD_SPAN_FOREVER);
        for (uint32_t j = 0; j < store->n_columns; j++)
            tagd_buf_printf(out, " %d:%.*s", (int)store->columns[j].kind, (int)store->columns[j].field.n,
                            store->columns[j].field.n ? store->columns[j].field.p : "");
        tagd_buf_add_byte(out, '\n');
    }
    for (uint32_t i = 0; i < catalog->n_value_stores; i++) {
        const struct tagd_value_store *store = &catalog->value_stores[i];
        tagd_buf_printf(out, "values %u %lld %.*s %d\n", store->selector, (long long)store->grid.pane_ms,
                        (int)store->field.n, store->field.p, store->ordered);
    }
    for (uint32_t i = 0; i < catalog->n_windows; i++)
        tagd_buf_printf(out, "window %d %u %lld %lld\n", catalog->windows[i].values, catalog->windows[i].store,
                        (long long)catalog->windows[i].panes, (long long)catalog->windows[i].offset_ms);
    for (uint32_t i = 0; i < catalog->n_marks; i++)
        tagd_buf_printf(out, "mark %u %d %.*s\n", catalog->marks[i].selector, (int)catalog->marks[i].kind,
                        (int)catalog->marks[i].field.n, catalog->marks[i].field.n ? catalog->marks[i].field.p : "");
    for (uint32_t d = 0; d < catalog->n_dimensions; d++)
        describe_dimension(catalog, &catalog->dimensions[d], out);
    if (catalog->churn.given) {
        const struct tagd_churn_model *model = &catalog->churn.model;
        tagd_buf_printf(out, "churn %d %.17g %.17g %.17g %.17g %u\n", (int)model->kind, model->r, model->alpha,
                        model->a, model->b, catalog->churn.selector);
    }
    for (uint32_t i = 0; i < catalog->n_goals; i++) {
        const struct tagd_goal *goal = &catalog->goals[i];
        tagd_buf_printf(out, "goal %s %u %u %u %lld\n", goal->name, goal->dimension, goal->tag, goal->selector,
                        (long long)goal->within_ms);
    }
    for (uint32_t i = 0; i < catalog->n_aliases; i++) {
        const struct tagd_alias *alias = &catalog->aliases[i];
        tagd_buf_printf(out, "alias %.*s %.*s %u %u\n", (int)alias->dimension.n, alias->dimension.p, (int)alias->tag.n,
                        alias->tag.p, alias->to, alias->to_tag);
    }
}

void tagd_load_meaning(struct tagd_catalog *catalog)
{
    struct tagd_buf meaning = {0};
    describe_meaning(catalog, &meaning);
    struct tagd_hash128 hash = tagd_hash_pair((struct tagd_str){meaning.p, meaning.n}, TAGD_STR(""));
    snprintf(catalog->hash, sizeof catalog->hash, "%016llx%016llx", (unsigned long long)hash.hi,
             (unsigned long long)hash.lo);
    tagd_buf_free(&meaning);
}
