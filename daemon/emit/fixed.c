/* What a catalog and a group put into every change, as JSON: made once, then only copied. */
#include "emit/emit.h"

#include <stdlib.h>

#include "catalog/compiled.h"

/* The text made so far, kept; the buffer is empty again. */
static struct tagd_str keep(struct tagd_emit_fixed *fixed, struct tagd_buf *text)
{
    struct tagd_str kept = tagd_arena_copy(&fixed->arena, text->p, text->n);
    text->n = 0;
    return kept;
}

static struct tagd_str from(struct tagd_str text, size_t at)
{
    return (struct tagd_str){text.p + at, text.n - at};
}

static void make_values(struct tagd_emit_fixed *fixed, struct tagd_emit_rule *to, const struct tagd_rule *rule,
                        struct tagd_buf *text)
{
    to->n_values = rule->n_values;
    to->values = tagd_arena_alloc(&fixed->arena, (rule->n_values + 1) * sizeof(*to->values));
    TAGD_BUF_ADD(text, "\"rule\":");
    tagd_buf_add_json(text, tagd_str_of(rule->text));
    TAGD_BUF_ADD(text, ",\"values\":{");
    for (uint32_t i = 0; i < rule->n_values; i++) {
        if (i)
            tagd_buf_add_byte(text, ',');
        tagd_buf_add_json(text, rule->values[i]->text);
        tagd_buf_add_byte(text, ':');
        to->values[i] = keep(fixed, text);
    }
    if (rule->n_values == 0)
        to->values[0] = keep(fixed, text);
}

static void make_rule(struct tagd_emit_fixed *fixed, const struct tagd_emit_dimension *of, struct tagd_emit_rule *to,
                      const struct tagd_rule *rule, struct tagd_buf *text)
{
    *to = (struct tagd_emit_rule){0};
    if (rule->tag) {
        tagd_buf_add_str(text, of->key);
        tagd_buf_add_json(text, tagd_str_of(rule->tag));
        to->member = keep(fixed, text);
        to->tag = from(to->member, of->key.n);
    }
    if (rule->text)
        make_values(fixed, to, rule, text);
    TAGD_BUF_ADD(text, ",\"plan\":");
    tagd_buf_add_z(text, rule->plan ? rule->plan : "null");
    to->plan = keep(fixed, text);
}

static void make_dimension(struct tagd_emit_fixed *fixed, struct tagd_emit_dimension *to,
                           const struct tagd_dimension *dimension, struct tagd_buf *text)
{
    tagd_buf_add_z(text, dimension->kind == TAGD_KIND_ALERT ? "{\"alert\":" : "{\"dimension\":");
    tagd_buf_add_json(text, tagd_str_of(dimension->name));
    to->subject = keep(fixed, text);
    tagd_buf_add_byte(text, ',');
    tagd_buf_add_json(text, tagd_str_of(dimension->name));
    tagd_buf_add_byte(text, ':');
    to->key = keep(fixed, text);
    to->name = (struct tagd_str){to->key.p + 1, to->key.n - 2};
    to->rules = tagd_arena_alloc(&fixed->arena, dimension->n_rules * sizeof(*to->rules));
    for (uint32_t i = 0; i < dimension->n_rules; i++)
        make_rule(fixed, to, &to->rules[i], &dimension->rules[i], text);
}

static void make_dimensions(struct tagd_emit_fixed *fixed, const struct tagd_emit *emit, struct tagd_buf *text)
{
    uint32_t n = emit->catalog->n_dimensions;
    fixed->dimensions = tagd_arena_alloc(&fixed->arena, n * sizeof(*fixed->dimensions));
    for (uint32_t d = 0; d < n; d++) {
        make_dimension(fixed, &fixed->dimensions[d], &emit->catalog->dimensions[d], text);
        fixed->dimensions[d].shown =
            emit->catalog->dimensions[d].kind != TAGD_KIND_ALERT && (!emit->carry || emit->carry[d]);
    }
}

static void make_names(struct tagd_emit_fixed *fixed, const struct tagd_emit *emit, struct tagd_buf *text)
{
    TAGD_BUF_ADD(text, TAGD_SOURCE_PREFIX);
    tagd_buf_add_z(text, emit->group);
    fixed->source = keep(fixed, text);
    TAGD_BUF_ADD(text, "\",\"source\":");
    tagd_buf_add_json(text, fixed->source);
    TAGD_BUF_ADD(text, ",\"type\":\"");
    fixed->attributes = keep(fixed, text);
    TAGD_BUF_ADD(text, ",\"catalog\":\"");
    tagd_buf_add_escaped(text, tagd_str_of(emit->catalog->name));
    tagd_buf_add_byte(text, '@');
    tagd_buf_add_escaped(text, tagd_str_of(emit->catalog->version));
    TAGD_BUF_ADD(text, "\",\"origin\":\"");
    fixed->catalog = keep(fixed, text);
}

static void make_goals(struct tagd_emit_fixed *fixed, const struct tagd_catalog *catalog, struct tagd_buf *text)
{
    size_t n = tagd_catalog_n_goals(catalog);
    fixed->goals = tagd_arena_alloc(&fixed->arena, n * sizeof(*fixed->goals));
    for (size_t i = 0; i < n; i++) {
        tagd_buf_add_json(text, tagd_str_of(tagd_catalog_goal(catalog, i)->name));
        fixed->goals[i] = keep(fixed, text);
    }
}

void tagd_emit_prepare(struct tagd_emit *emit)
{
    struct tagd_emit_fixed *fixed = tagd_xcalloc(1, sizeof(*fixed));
    struct tagd_buf text = {0};
    make_names(fixed, emit, &text);
    make_dimensions(fixed, emit, &text);
    make_goals(fixed, emit->catalog, &text);
    tagd_buf_free(&text);
    emit->fixed = fixed;
}

void tagd_emit_free(struct tagd_emit *emit)
{
    if (emit->fixed == NULL)
        return;
    tagd_arena_free(&emit->fixed->arena);
    free(emit->fixed);
    emit->fixed = NULL;
}
