/* A change as a structured CloudEvent. */
#include "emit/emit.h"

#include <string.h>

#include "catalog/compiled.h"

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

/* NULL: only a person gives that tag. */
static const char *rule_of(const struct tagd_change *change, int32_t rule)
{
    return tagd_engine_rule_text(change->engine, change->dimension, (size_t)rule);
}

/* "rule":...,"values":{...} */
static void add_rule(struct tagd_buf *out, const struct tagd_change *change, int32_t rule)
{
    tagd_buf_add_z(out, "\"rule\":");
    if (rule < 0) {
        tagd_buf_add_z(out, "null,\"values\":{}");
        return;
    }
    add_z_json(out, rule_of(change, rule));
    tagd_buf_add_z(out, ",\"values\":");
    tagd_engine_rule_values(change->engine, change->dimension, (size_t)rule, out);
}

static void add_until(struct tagd_buf *out, int64_t until_ms)
{
    if (until_ms == TAGD_NEVER)
        tagd_buf_add_z(out, "null");
    else
        add_time(out, until_ms);
}

/* Of a tag that a person gave. */
static void add_assignment(struct tagd_buf *out, const struct tagd_assignment *by)
{
    tagd_buf_add_z(out, "\"by\":");
    tagd_buf_add_json(out, by->by);
    tagd_buf_add_z(out, ",\"reason\":");
    tagd_buf_add_json(out, by->reason);
    tagd_buf_add_z(out, ",\"until\":");
    add_until(out, by->until_ms);
}

static void add_proposal_id(struct tagd_buf *out, struct tagd_str subject, uint64_t revision)
{
    tagd_buf_add_byte(out, '"');
    tagd_buf_add_z(out, tagd_emit_id_prefix(TAGD_KIND_PROPOSAL));
    add_inside(out, subject);
    tagd_buf_add_byte(out, ':');
    tagd_buf_add_i64(out, (int64_t)revision);
    tagd_buf_add_byte(out, '"');
}

static void add_because(struct tagd_buf *out, const struct tagd_change *change)
{
    tagd_buf_add_z(out, ",\"because\":{");
    if (change->by.known) {
        add_assignment(out, &change->by);
        tagd_buf_add_byte(out, '}');
        return;
    }
    int32_t from = change->from.index, to = change->to.index;
    add_rule(out, change, to);
    bool failed = from >= 0 && !change->from_by && (to < 0 || from < to) && rule_of(change, from);
    tagd_buf_add_z(out, ",\"failed\":");
    if (failed) {
        tagd_buf_add_byte(out, '{');
        add_rule(out, change, from);
        tagd_buf_add_byte(out, '}');
    } else {
        tagd_buf_add_z(out, "null");
    }
    if (change->origin == TAGD_BY_REVIEW && change->kind != TAGD_KIND_PROPOSAL) {
        tagd_buf_add_z(out, ",\"by\":");
        tagd_buf_add_json(out, change->cause->verdict.by);
        tagd_buf_add_z(out, ",\"proposal\":");
        add_proposal_id(out, change->cause->subject, change->cause->verdict.proposal);
    }
    tagd_buf_add_byte(out, '}');
}

static void add_tags(struct tagd_buf *out, const struct tagd_emit *emit, const struct tagd_profile *profile)
{
    bool any = false;
    tagd_buf_add_z(out, ",\"tags\":{");
    for (uint32_t d = 0; d < emit->catalog->n_dimensions; d++) {
        struct tagd_str tag = tagd_profile_tag_text(profile, d);
        if (!tag.p || emit->catalog->dimensions[d].kind == TAGD_KIND_ALERT || (emit->carry && !emit->carry[d]))
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

static const char *const origins[] = {[TAGD_BY_EVENT] = "event",
                                      [TAGD_BY_TIME] = "time",
                                      [TAGD_BY_HAND] = "manual",
                                      [TAGD_BY_REVIEW] = "review",
                                      [TAGD_BY_REPAIR] = "repair"};
static const char *const statuses[] = {[TAGD_PROPOSAL_OPEN] = "open",
                                       [TAGD_PROPOSAL_APPROVED] = "approved",
                                       [TAGD_PROPOSAL_REJECTED] = "rejected",
                                       [TAGD_PROPOSAL_WITHDRAWN] = "withdrawn",
                                       [TAGD_PROPOSAL_EXPIRED] = "expired"};

const char *tagd_emit_status(enum tagd_proposal_status status)
{
    return statuses[status];
}

const char *tagd_emit_id_prefix(enum tagd_kind kind)
{
    static const char *const prefixes[TAGD_KINDS] = {[TAGD_KIND_TAG] = "tag:",
                                                     [TAGD_KIND_ALERT] = "alert:",
                                                     [TAGD_KIND_PROPOSAL] = "proposal:",
                                                     [TAGD_KIND_GOAL] = "goal:",
                                                     [TAGD_KIND_CHURN] = "churn:"};
    return prefixes[kind];
}

const char *tagd_emit_type(const struct tagd_change *change)
{
    switch (change->kind) {
    case TAGD_KIND_ALERT: return change->to.index < 0 ? "tagd.alert.cleared" : "tagd.alert.raised";
    case TAGD_KIND_PROPOSAL: return change->status == TAGD_PROPOSAL_OPEN ? "tagd.tag.proposed" : "tagd.proposal.closed";
    case TAGD_KIND_GOAL: return change->outcome == TAGD_GOAL_REACHED ? "tagd.goal.reached" : "tagd.goal.missed";
    case TAGD_KIND_CHURN: return "tagd.churn.changed";
    default: return "tagd.tag.changed";
    }
}

/* What it is about, and of a tag or a proposal from which to which. */
static void add_subject_matter(struct tagd_buf *out, const struct tagd_change *change, const char *name)
{
    tagd_buf_add_z(out, change->kind == TAGD_KIND_ALERT ? "{\"alert\":" : "{\"dimension\":");
    add_z_json(out, name);
    if (change->kind == TAGD_KIND_ALERT)
        return;
    tagd_buf_add_z(out, ",\"from\":");
    add_tag(out, change->from.text);
    tagd_buf_add_z(out, ",\"to\":");
    add_tag(out, change->to.text);
}

/* When the change ends by itself; of a proposal: when it expires, or what became of it. */
static void add_end(struct tagd_buf *out, struct tagd_str subject, const struct tagd_change *change)
{
    if (change->kind == TAGD_KIND_PROPOSAL && change->status != TAGD_PROPOSAL_OPEN) {
        tagd_buf_add_z(out, ",\"proposal\":");
        add_proposal_id(out, subject, change->proposal);
        tagd_buf_add_z(out, ",\"status\":\"");
        tagd_buf_add_z(out, statuses[change->status]);
        tagd_buf_add_z(out, "\",\"by\":");
        if (change->origin == TAGD_BY_REVIEW)
            tagd_buf_add_json(out, change->cause->verdict.by);
        else
            tagd_buf_add_z(out, "null");
        return;
    }
    tagd_buf_add_z(out, change->kind == TAGD_KIND_PROPOSAL ? ",\"expires\":" : ",\"valid_until\":");
    add_until(out, change->valid_until_ms);
    if (change->kind == TAGD_KIND_ALERT || change->kind == TAGD_KIND_PROPOSAL)
        return;
    tagd_buf_add_z(out, ",\"then\":");
    add_tag(out, change->then.text);
}

static void add_head(const struct tagd_emit *emit, const struct tagd_change *change, struct tagd_buf *out)
{
    tagd_buf_add_z(out, ",\"revision\":");
    tagd_buf_add_i64(out, (int64_t)change->revision);
    tagd_buf_add_z(out, ",\"catalog\":");
    tagd_buf_add_byte(out, '"');
    add_inside(out, tagd_str_of(emit->catalog->name));
    tagd_buf_add_byte(out, '@');
    add_inside(out, tagd_str_of(emit->catalog->version));
    tagd_buf_add_byte(out, '"');
    tagd_buf_add_z(out, ",\"origin\":\"");
    tagd_buf_add_z(out, origins[change->origin]);
    tagd_buf_add_byte(out, '"');
}

static void add_holdout(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                        struct tagd_buf *out)
{
    const struct tagd_goal *goal = tagd_catalog_goal(emit->catalog, (size_t)change->goal);
    tagd_buf_add_z(out, ",\"deadline\":");
    add_time(out, change->deadline_ms);
    tagd_buf_add_z(out, tagd_catalog_holds_out(goal, subject) ? ",\"holdout\":true" : ",\"holdout\":false");
}

/* A goal that has ended. */
static void add_goal(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                     struct tagd_buf *out)
{
    tagd_buf_add_z(out, "{\"goal\":");
    add_z_json(out, tagd_catalog_goal(emit->catalog, (size_t)change->goal)->name);
    tagd_buf_add_z(out, ",\"dimension\":");
    add_z_json(out, emit->catalog->dimensions[change->dimension].name);
    tagd_buf_add_z(out, ",\"tag\":");
    add_tag(out, change->to.text);
    tagd_buf_add_z(out, ",\"started\":");
    add_time(out, change->goal_started_ms);
    add_holdout(emit, subject, change, out);
    add_head(emit, change, out);
    add_tags(out, emit, change->profile);
}

/* The goal that entering the tag started, so that a campaign knows by when, and whom to leave alone. */
static void add_started(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                        struct tagd_buf *out)
{
    if (change->goal < 0)
        return;
    tagd_buf_add_z(out, ",\"goal\":{\"name\":");
    add_z_json(out, tagd_catalog_goal(emit->catalog, (size_t)change->goal)->name);
    add_holdout(emit, subject, change, out);
    tagd_buf_add_byte(out, '}');
}

/* A tag, an alert or a proposal. */
static void add_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                       struct tagd_buf *out)
{
    const struct tagd_dimension *dimension = &emit->catalog->dimensions[change->dimension];
    bool closed = change->kind == TAGD_KIND_PROPOSAL && change->status != TAGD_PROPOSAL_OPEN;
    add_subject_matter(out, change, dimension->name);
    add_head(emit, change, out);
    if (!closed)
        add_because(out, change);
    add_end(out, subject, change);
    add_tags(out, emit, change->profile);
    const char *plan = change->to.index < 0 ? NULL : dimension->rules[change->to.index].plan;
    if (!closed) {
        tagd_buf_add_z(out, ",\"plan\":");
        tagd_buf_add_z(out, plan ? plan : "null");
    }
    add_started(emit, subject, change, out);
    if (change->kind != TAGD_KIND_CHURN)
        return;
    tagd_buf_add_byte(out, ',');
    tagd_engine_churn(change->engine, out);
}

void tagd_emit_data(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                    struct tagd_buf *out)
{
    if (change->kind == TAGD_KIND_GOAL)
        add_goal(emit, subject, change, out);
    else
        add_change(emit, subject, change, out);
    tagd_buf_add_z(out, emit->caught_up ? ",\"caught_up\":true}" : ",\"caught_up\":false}");
}

void tagd_emit_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                      struct tagd_buf *out)
{
    tagd_buf_add_z(out, "{\"specversion\":\"1.0\",\"id\":\"");
    tagd_buf_add_z(out, tagd_emit_id_prefix(change->kind));
    add_inside(out, subject);
    tagd_buf_add_byte(out, ':');
    tagd_buf_add_i64(out, (int64_t)change->revision);
    tagd_buf_add_z(out, "\",\"source\":\"" TAGD_SOURCE_PREFIX);
    add_inside(out, tagd_str_of(emit->group));
    tagd_buf_add_z(out, "\",\"type\":\"");
    tagd_buf_add_z(out, tagd_emit_type(change));
    tagd_buf_add_z(out, "\",\"subject\":");
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
    tagd_emit_data(emit, subject, change, out);
    tagd_buf_add_byte(out, '}');
}
