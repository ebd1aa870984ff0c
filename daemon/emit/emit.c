/* A change as a structured CloudEvent. */
#include "emit/emit.h"

#include "catalog/compiled.h"

static void add_tag(struct tagd_buf *out, const struct tagd_emit_dimension *dimension, struct tagd_tag tag)
{
    if (!tag.text.p)
        TAGD_BUF_ADD(out, "null");
    else if (dimension->rules[tag.index].tag.p)
        tagd_buf_add_str(out, dimension->rules[tag.index].tag);
    else
        tagd_buf_add_json(out, tag.text);
}

static void add_time(struct tagd_buf *out, int64_t ms)
{
    tagd_buf_reserve(out, TAGD_TIME_TEXT + 2);
    tagd_buf_add_byte(out, '"');
    out->n += tagd_time_format(ms, out->p + out->n);
    tagd_buf_add_byte(out, '"');
}

/* "rule":...,"values":{...} */
static void add_rule(struct tagd_buf *out, const struct tagd_emit_rule *rules, const struct tagd_change *change,
                     int32_t rule)
{
    if (rule < 0) {
        TAGD_BUF_ADD(out, "\"rule\":null,\"values\":{}");
        return;
    }
    const struct tagd_emit_rule *of = &rules[rule];
    tagd_buf_add_str(out, of->values[0]);
    for (uint32_t i = 0; i < of->n_values; i++) {
        if (i)
            tagd_buf_add_str(out, of->values[i]);
        tagd_engine_rule_value(change->engine, change->dimension, (size_t)rule, i, out);
    }
    tagd_buf_add_byte(out, '}');
}

static void add_until(struct tagd_buf *out, int64_t until_ms)
{
    if (until_ms == TAGD_NEVER)
        TAGD_BUF_ADD(out, "null");
    else
        add_time(out, until_ms);
}

/* Of a tag that a person gave. */
static void add_assignment(struct tagd_buf *out, const struct tagd_assignment *by)
{
    TAGD_BUF_ADD(out, "\"by\":");
    tagd_buf_add_json(out, by->by);
    TAGD_BUF_ADD(out, ",\"reason\":");
    tagd_buf_add_json(out, by->reason);
    TAGD_BUF_ADD(out, ",\"until\":");
    add_until(out, by->until_ms);
}

static void add_proposal_id(struct tagd_buf *out, struct tagd_str subject, uint64_t revision)
{
    tagd_buf_add_byte(out, '"');
    tagd_buf_add_str(out, tagd_emit_id_prefix(TAGD_KIND_PROPOSAL));
    tagd_buf_add_escaped(out, subject);
    tagd_buf_add_byte(out, ':');
    tagd_buf_add_i64(out, (int64_t)revision);
    tagd_buf_add_byte(out, '"');
}

static void add_because(struct tagd_buf *out, const struct tagd_emit_rule *rules, const struct tagd_change *change)
{
    TAGD_BUF_ADD(out, ",\"because\":{");
    if (change->by.known) {
        add_assignment(out, &change->by);
        tagd_buf_add_byte(out, '}');
        return;
    }
    int32_t from = change->from.index, to = change->to.index;
    add_rule(out, rules, change, to);
    bool failed = from >= 0 && !change->from_by && (to < 0 || from < to) && rules[from].values;
    if (failed) {
        TAGD_BUF_ADD(out, ",\"failed\":{");
        add_rule(out, rules, change, from);
        tagd_buf_add_byte(out, '}');
    } else {
        TAGD_BUF_ADD(out, ",\"failed\":null");
    }
    if (change->origin == TAGD_BY_REVIEW && change->kind != TAGD_KIND_PROPOSAL) {
        TAGD_BUF_ADD(out, ",\"by\":");
        tagd_buf_add_json(out, change->cause->verdict.by);
        TAGD_BUF_ADD(out, ",\"proposal\":");
        add_proposal_id(out, change->cause->subject, change->cause->verdict.proposal);
    }
    tagd_buf_add_byte(out, '}');
}

/* A tag is a member of its own text; the first one's comma becomes the brace. */
static void add_tags(struct tagd_buf *out, const struct tagd_emit_fixed *fixed, const struct tagd_profile *profile)
{
    TAGD_BUF_ADD(out, ",\"tags\":");
    size_t start = out->n;
    for (uint32_t d = 0; tagd_profile_next_tagged(profile, &d); d++) {
        const struct tagd_emit_dimension *dimension = &fixed->dimensions[d];
        int32_t tag = tagd_profile_tag(profile, d);
        if (tag < 0 || !dimension->shown)
            continue;
        if (dimension->rules[tag].member.p) {
            tagd_buf_add_str(out, dimension->rules[tag].member);
            continue;
        }
        tagd_buf_add_str(out, dimension->key);
        tagd_buf_add_json(out, tagd_profile_tag_text(profile, d));
    }
    if (out->n == start)
        tagd_buf_add_byte(out, '{');
    out->p[start] = '{';
    tagd_buf_add_byte(out, '}');
}

static const struct tagd_str origins[] = {[TAGD_BY_EVENT] = {"event", 5},
                                          [TAGD_BY_TIME] = {"time", 4},
                                          [TAGD_BY_HAND] = {"manual", 6},
                                          [TAGD_BY_REVIEW] = {"review", 6},
                                          [TAGD_BY_REPAIR] = {"repair", 6}};
static const char *const statuses[] = {[TAGD_PROPOSAL_OPEN] = "open",
                                       [TAGD_PROPOSAL_APPROVED] = "approved",
                                       [TAGD_PROPOSAL_REJECTED] = "rejected",
                                       [TAGD_PROPOSAL_WITHDRAWN] = "withdrawn",
                                       [TAGD_PROPOSAL_EXPIRED] = "expired"};

const char *tagd_emit_status(enum tagd_proposal_status status)
{
    return statuses[status];
}

struct tagd_str tagd_emit_id_prefix(enum tagd_kind kind)
{
    static const struct tagd_str prefixes[TAGD_KINDS] = {[TAGD_KIND_TAG] = {"tag:", 4},
                                                         [TAGD_KIND_ALERT] = {"alert:", 6},
                                                         [TAGD_KIND_PROPOSAL] = {"proposal:", 9},
                                                         [TAGD_KIND_GOAL] = {"goal:", 5},
                                                         [TAGD_KIND_CHURN] = {"churn:", 6}};
    return prefixes[kind];
}

struct tagd_str tagd_emit_type(const struct tagd_change *change)
{
    switch (change->kind) {
    case TAGD_KIND_ALERT: return change->to.index < 0 ? TAGD_STR("tagd.alert.cleared") : TAGD_STR("tagd.alert.raised");
    case TAGD_KIND_PROPOSAL:
        return change->status == TAGD_PROPOSAL_OPEN ? TAGD_STR("tagd.tag.proposed") : TAGD_STR("tagd.proposal.closed");
    case TAGD_KIND_GOAL:
        return change->outcome == TAGD_GOAL_REACHED ? TAGD_STR("tagd.goal.reached") : TAGD_STR("tagd.goal.missed");
    case TAGD_KIND_CHURN: return TAGD_STR("tagd.churn.changed");
    default: return TAGD_STR("tagd.tag.changed");
    }
}

/* What it is about, and of a tag or a proposal from which to which. */
static void add_subject_matter(struct tagd_buf *out, const struct tagd_emit_dimension *dimension,
                               const struct tagd_change *change)
{
    tagd_buf_add_str(out, dimension->subject);
    if (change->kind == TAGD_KIND_ALERT)
        return;
    TAGD_BUF_ADD(out, ",\"from\":");
    add_tag(out, dimension, change->from);
    TAGD_BUF_ADD(out, ",\"to\":");
    add_tag(out, dimension, change->to);
}

/* When the change ends by itself; of a proposal: when it expires, or what became of it. */
static void add_end(struct tagd_buf *out, const struct tagd_emit_dimension *dimension, struct tagd_str subject,
                    const struct tagd_change *change)
{
    if (change->kind == TAGD_KIND_PROPOSAL && change->status != TAGD_PROPOSAL_OPEN) {
        TAGD_BUF_ADD(out, ",\"proposal\":");
        add_proposal_id(out, subject, change->proposal);
        TAGD_BUF_ADD(out, ",\"status\":\"");
        tagd_buf_add_z(out, statuses[change->status]);
        TAGD_BUF_ADD(out, "\",\"by\":");
        if (change->origin == TAGD_BY_REVIEW)
            tagd_buf_add_json(out, change->cause->verdict.by);
        else
            TAGD_BUF_ADD(out, "null");
        return;
    }
    if (change->kind == TAGD_KIND_PROPOSAL)
        TAGD_BUF_ADD(out, ",\"expires\":");
    else
        TAGD_BUF_ADD(out, ",\"valid_until\":");
    add_until(out, change->valid_until_ms);
    if (change->kind == TAGD_KIND_ALERT || change->kind == TAGD_KIND_PROPOSAL)
        return;
    TAGD_BUF_ADD(out, ",\"then\":");
    add_tag(out, dimension, change->then);
}

static void add_head(const struct tagd_emit *emit, const struct tagd_change *change, struct tagd_buf *out)
{
    TAGD_BUF_ADD(out, ",\"revision\":");
    tagd_buf_add_i64(out, (int64_t)change->revision);
    tagd_buf_add_str(out, emit->fixed->catalog);
    tagd_buf_add_str(out, origins[change->origin]);
    tagd_buf_add_byte(out, '"');
}

static void add_holdout(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                        struct tagd_buf *out)
{
    const struct tagd_goal *goal = tagd_catalog_goal(emit->catalog, (size_t)change->goal);
    TAGD_BUF_ADD(out, ",\"deadline\":");
    add_time(out, change->deadline_ms);
    tagd_buf_add_z(out, tagd_catalog_holds_out(goal, subject) ? ",\"holdout\":true" : ",\"holdout\":false");
}

/* A goal that has ended. */
static void add_goal(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                     struct tagd_buf *out)
{
    const struct tagd_emit_dimension *dimension = &emit->fixed->dimensions[change->dimension];
    TAGD_BUF_ADD(out, "{\"goal\":");
    tagd_buf_add_str(out, emit->fixed->goals[change->goal]);
    TAGD_BUF_ADD(out, ",\"dimension\":");
    tagd_buf_add_str(out, dimension->name);
    TAGD_BUF_ADD(out, ",\"tag\":");
    add_tag(out, dimension, change->to);
    TAGD_BUF_ADD(out, ",\"started\":");
    add_time(out, change->goal_started_ms);
    add_holdout(emit, subject, change, out);
    add_head(emit, change, out);
    add_tags(out, emit->fixed, change->profile);
}

/* The goal that entering the tag started, so that a campaign knows by when, and whom to leave alone. */
static void add_started(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                        struct tagd_buf *out)
{
    if (change->goal < 0)
        return;
    TAGD_BUF_ADD(out, ",\"goal\":{\"name\":");
    tagd_buf_add_str(out, emit->fixed->goals[change->goal]);
    add_holdout(emit, subject, change, out);
    tagd_buf_add_byte(out, '}');
}

/* A tag, an alert or a proposal. */
static void add_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                       struct tagd_buf *out)
{
    const struct tagd_emit_dimension *dimension = &emit->fixed->dimensions[change->dimension];
    bool closed = change->kind == TAGD_KIND_PROPOSAL && change->status != TAGD_PROPOSAL_OPEN;
    add_subject_matter(out, dimension, change);
    add_head(emit, change, out);
    if (!closed)
        add_because(out, dimension->rules, change);
    add_end(out, dimension, subject, change);
    add_tags(out, emit->fixed, change->profile);
    if (!closed && change->to.index >= 0)
        tagd_buf_add_str(out, dimension->rules[change->to.index].plan);
    else if (!closed)
        TAGD_BUF_ADD(out, ",\"plan\":null");
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
    if (emit->caught_up)
        TAGD_BUF_ADD(out, ",\"caught_up\":true}");
    else
        TAGD_BUF_ADD(out, ",\"caught_up\":false}");
}

/* What was written before, from `start` on, once more. */
static void add_again(struct tagd_buf *out, size_t start, size_t n)
{
    tagd_buf_reserve(out, n);
    tagd_buf_add(out, out->p + start, n);
}

void tagd_emit_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                      struct tagd_buf *out)
{
    TAGD_BUF_ADD(out, "{\"specversion\":\"1.0\",\"id\":\"");
    tagd_buf_add_str(out, tagd_emit_id_prefix(change->kind));
    size_t start = out->n;
    tagd_buf_add_escaped(out, subject);
    size_t n = out->n - start;
    tagd_buf_add_byte(out, ':');
    tagd_buf_add_i64(out, (int64_t)change->revision);
    tagd_buf_add_str(out, emit->fixed->attributes);
    tagd_buf_add_str(out, tagd_emit_type(change));
    TAGD_BUF_ADD(out, "\",\"subject\":\"");
    add_again(out, start, n);
    TAGD_BUF_ADD(out, "\",\"time\":");
    add_time(out, change->time_ms);
    TAGD_BUF_ADD(out, ",\"recordedtime\":");
    add_time(out, emit->recorded_ms < 0 ? change->time_ms : emit->recorded_ms);
    if (change->cause) {
        TAGD_BUF_ADD(out, ",\"causationid\":\"");
        tagd_buf_add_escaped(out, change->cause->source);
        tagd_buf_add_byte(out, '#');
        tagd_buf_add_escaped(out, change->cause->id);
        tagd_buf_add_byte(out, '"');
    }
    TAGD_BUF_ADD(out, ",\"datacontenttype\":\"application/json\",\"data\":");
    tagd_emit_data(emit, subject, change, out);
    tagd_buf_add_byte(out, '}');
}
