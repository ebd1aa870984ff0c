/* A change as a structured CloudEvent. */
#include "tagd/emit.h"

#include <string.h>

#include "catalog/compiled.h"
#include "emit/emit.h"

static void add_z_json(struct tagd_buf *out, const char *z)
{
    tagd_buf_add_json(out, tagd_str_of(z));
}

/* The inside of a JSON string, without quotes. */
static void add_inside(struct tagd_buf *out, struct tagd_str s)
{
    size_t start = out->n;
    tagd_buf_add_json(out, s);
    memmove(out->p + start, out->p + start + 1, out->n - start - 2);
    out->n -= 2;
}

static void add_tag(struct tagd_buf *out, struct tagd_str tag)
{
    if (tag.p)
        tagd_buf_add_json(out, tag);
    else
        tagd_buf_add_z(out, "null");
}

static void add_time(struct tagd_buf *out, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    size_t n = tagd_time_format(ms, text);
    tagd_buf_add_byte(out, '"');
    tagd_buf_add(out, text, n);
    tagd_buf_add_byte(out, '"');
}

/* "rule":...,"values":{...} */
static void add_rule(struct tagd_buf *out, const struct tagd_change *change, int32_t rule)
{
    tagd_buf_add_z(out, "\"rule\":");
    if (rule < 0) {
        tagd_buf_add_z(out, "null,\"values\":{}");
        return;
    }
    add_z_json(out, tagd_engine_rule_text(change->engine, change->dimension, (size_t)rule));
    tagd_buf_add_z(out, ",\"values\":");
    tagd_engine_rule_values(change->engine, change->dimension, (size_t)rule, out);
}

static void add_because(struct tagd_buf *out, const struct tagd_change *change)
{
    tagd_buf_add_z(out, ",\"because\":{");
    int32_t from = change->from.index, to = change->to.index;
    add_rule(out, change, to);
    bool failed = from >= 0 && (to < 0 || from < to);
    tagd_buf_add_z(out, ",\"failed\":");
    if (failed) {
        tagd_buf_add_byte(out, '{');
        add_rule(out, change, from);
        tagd_buf_add_byte(out, '}');
    } else {
        tagd_buf_add_z(out, "null");
    }
    tagd_buf_add_byte(out, '}');
}

static void add_tags(struct tagd_buf *out, const struct tagd_emit *emit, const struct tagd_profile *profile)
{
    bool any = false;
    tagd_buf_add_z(out, ",\"tags\":{");
    for (uint32_t d = 0; d < emit->catalog->n_dimensions; d++) {
        struct tagd_str tag = tagd_profile_tag_text(profile, d);
        if (!tag.p || (emit->carry && !emit->carry[d]))
            continue;
        if (any)
            tagd_buf_add_byte(out, ',');
        any = true;
        add_z_json(out, emit->catalog->dimensions[d].name);
        tagd_buf_add_byte(out, ':');
        add_tag(out, tag);
    }
    tagd_buf_add_byte(out, '}');
}

static const char *origin_of(const struct tagd_change *change)
{
    if (change->repair)
        return "repair";
    return change->cause ? "event" : "time";
}

void tagd_emit_data(const struct tagd_emit *emit, const struct tagd_change *change, struct tagd_buf *out)
{
    const struct tagd_dimension *dimension = &emit->catalog->dimensions[change->dimension];
    tagd_buf_add_z(out, "{\"dimension\":");
    add_z_json(out, dimension->name);
    tagd_buf_add_z(out, ",\"from\":");
    add_tag(out, change->from.text);
    tagd_buf_add_z(out, ",\"to\":");
    add_tag(out, change->to.text);
    tagd_buf_add_z(out, ",\"revision\":");
    tagd_buf_add_i64(out, (int64_t)change->revision);
    tagd_buf_add_z(out, ",\"catalog\":");
    tagd_buf_add_byte(out, '"');
    add_inside(out, tagd_str_of(emit->catalog->name));
    tagd_buf_add_byte(out, '@');
    add_inside(out, tagd_str_of(emit->catalog->version));
    tagd_buf_add_byte(out, '"');
    tagd_buf_add_z(out, ",\"origin\":\"");
    tagd_buf_add_z(out, origin_of(change));
    tagd_buf_add_byte(out, '"');
    add_because(out, change);
    tagd_buf_add_z(out, ",\"valid_until\":");
    if (change->valid_until_ms == TAGD_NEVER)
        tagd_buf_add_z(out, "null");
    else
        add_time(out, change->valid_until_ms);
    tagd_buf_add_z(out, ",\"then\":");
    add_tag(out, change->then.text);
    add_tags(out, emit, change->profile);
    const char *plan = change->to.index < 0 ? NULL : dimension->rules[change->to.index].plan;
    tagd_buf_add_z(out, ",\"plan\":");
    tagd_buf_add_z(out, plan ? plan : "null");
    tagd_buf_add_z(out, emit->caught_up ? ",\"caught_up\":true}" : ",\"caught_up\":false}");
}

void tagd_emit_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                      struct tagd_buf *out)
{
    tagd_buf_add_z(out, "{\"specversion\":\"1.0\",\"id\":\"" TAGD_ID_OF_TAG);
    add_inside(out, subject);
    tagd_buf_add_byte(out, ':');
    tagd_buf_add_i64(out, (int64_t)change->revision);
    tagd_buf_add_z(out, "\",\"source\":\"" TAGD_SOURCE_PREFIX);
    add_inside(out, tagd_str_of(emit->group));
    tagd_buf_add_z(out, "\",\"type\":\"" TAGD_TYPE_OF_TAG "\",\"subject\":");
    tagd_buf_add_json(out, subject);
    tagd_buf_add_z(out, ",\"time\":");
    add_time(out, change->time_ms);
    tagd_buf_add_z(out, ",\"recordedtime\":");
    add_time(out, emit->recorded_ms < 0 ? change->time_ms : emit->recorded_ms);
    if (change->cause) {
        tagd_buf_add_z(out, ",\"causationid\":\"");
        add_inside(out, change->cause->source);
        tagd_buf_add_byte(out, '#');
        add_inside(out, change->cause->id);
        tagd_buf_add_byte(out, '"');
    }
    tagd_buf_add_z(out, ",\"datacontenttype\":\"application/json\",\"data\":");
    tagd_emit_data(emit, change, out);
    tagd_buf_add_byte(out, '}');
}
