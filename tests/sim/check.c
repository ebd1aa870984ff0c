/* What must hold: at every record that a read_committed reader sees, at every write of a view, and once all is at rest. */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sim_customer_of(struct tagd_str id)
{
    return id.n == 2 && id.p[0] == 'c' && id.p[1] >= '0' && id.p[1] <= '9' ? id.p[1] - '0' : -1;
}

static const char *find(struct tagd_str in, const char *what)
{
    const char *at = in.n == 0 ? NULL : memmem(in.p, in.n, what, strlen(what));
    return at == NULL ? NULL : at + strlen(what);
}

/* The text without recordedtime's value and without what follows "caught_up": these two may differ. */
static bool same_but_when(struct tagd_str a, struct tagd_str b)
{
    const char *a_end = find(a, "\"caught_up\":"), *b_end = find(b, "\"caught_up\":");
    const char *a_at = find(a, "\"recordedtime\":\""), *b_at = find(b, "\"recordedtime\":\"");
    if (a_end == NULL || b_end == NULL || (a_at == NULL) != (b_at == NULL))
        return false;
    if (a_at == NULL)
        return tagd_str_eq((struct tagd_str){a.p, (size_t)(a_end - a.p)},
                           (struct tagd_str){b.p, (size_t)(b_end - b.p)});
    return tagd_str_eq((struct tagd_str){a.p, (size_t)(a_at - a.p)}, (struct tagd_str){b.p, (size_t)(b_at - b.p)}) &&
           tagd_str_eq((struct tagd_str){a_at + 24, (size_t)(a_end - a_at - 24)},
                       (struct tagd_str){b_at + 24, (size_t)(b_end - b_at - 24)});
}

static bool same_headers(struct sim *sim, struct tagd_str block, const struct tagd_record *record)
{
    const struct tagd_header *headers;
    size_t n;
    if (block.n == 0)
        return true;
    if (!tagd_emit_headers_read(block, &sim->memory, &headers, &n) || record->n_headers != n + 2)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!tagd_str_eq(headers[i].name, record->headers[i].name) ||
            (!tagd_str_eq(headers[i].name, TAGD_STR("ce_recordedtime")) &&
             !tagd_str_eq(headers[i].value, record->headers[i].value)))
            return false;
    return true;
}

static struct tagd_str tag_at(const char *p)
{
    if (p == NULL || *p != '"')
        return (struct tagd_str){NULL, 0};
    return (struct tagd_str){p + 1, strcspn(p + 1, "\"")};
}

static bool same_tag(struct tagd_str a, struct tagd_str b)
{
    return (a.p == NULL) == (b.p == NULL) && (a.p == NULL || tagd_str_eq(a, b));
}

static struct tagd_str header_text(const struct tagd_record *record, const char *name)
{
    for (size_t i = record->n_headers; i-- > 0;)
        if (tagd_str_eq(record->headers[i].name, tagd_str_of(name)))
            return record->headers[i].value;
    return (struct tagd_str){NULL, 0};
}

/* The kind of an event, and its type: of the headers in binary mode. */
static bool read_kind(const struct tagd_record *record, enum tagd_kind *kind, struct tagd_str *type)
{
    static const char *const prefixes[TAGD_KINDS] = {[TAGD_KIND_TAG] = "tag:",
                                                     [TAGD_KIND_ALERT] = "alert:",
                                                     [TAGD_KIND_PROPOSAL] = "proposal:",
                                                     [TAGD_KIND_GOAL] = "goal:",
                                                     [TAGD_KIND_CHURN] = "churn:"};
    struct tagd_str id = header_text(record, "ce_id");
    *type = header_text(record, "ce_type");
    if (id.p == NULL) {
        id = tag_at(find(record->value, "\"id\":"));
        *type = tag_at(find(record->value, "\"type\":"));
    }
    for (int i = 0; i < TAGD_KINDS && id.p != NULL; i++)
        if (id.n > strlen(prefixes[i]) && memcmp(id.p, prefixes[i], strlen(prefixes[i])) == 0) {
            *kind = (enum tagd_kind)i;
            return type->p != NULL;
        }
    return false;
}

static bool is_type(struct tagd_str type, const char *name)
{
    return tagd_str_eq(type, tagd_str_of(name));
}

/* A dimension or an alert by its name. */
static bool find_dimension(const struct sim *sim, struct tagd_str name, size_t *dimension)
{
    for (*dimension = 0; *dimension < tagd_catalog_n_dimensions(sim->plan.catalog); ++*dimension)
        if (tagd_str_eq(name, tagd_str_of(tagd_catalog_dimension(sim->plan.catalog, *dimension))))
            return true;
    return false;
}

/* A proposal is made where none is open, and the one that is closed is open. */
static bool follow_proposal(struct sim *sim, uint64_t *open, const struct tagd_record *record, struct tagd_str type,
                            uint64_t revision)
{
    struct tagd_str id = tag_at(find(record->value, "\"proposal\":")),
                    status = tag_at(find(record->value, "\"status\":"));
    uint64_t before = *open;
    if (is_type(type, "tagd.tag.proposed")) {
        *open = revision;
        return before == 0;
    }
    char expected[64];
    int n = snprintf(expected, sizeof(expected), "proposal:%.*s:%" PRIu64, (int)record->key.n, record->key.p, before);
    for (int i = 0; i <= TAGD_PROPOSAL_EXPIRED; i++)
        sim->coverage->ends[i] += tagd_str_eq(status, tagd_str_of(tagd_emit_status((enum tagd_proposal_status)i)));
    *open = 0;
    return is_type(type, "tagd.proposal.closed") && before != 0 && id.p != NULL &&
           tagd_str_eq(id, (struct tagd_str){expected, (size_t)n});
}

static bool follow_tag(struct tagd_str *tag, const struct tagd_record *record, enum tagd_kind kind,
                       struct tagd_str type)
{
    struct tagd_str from = tag_at(find(record->value, "\"from\":")), to = tag_at(find(record->value, "\"to\":"));
    if (kind == TAGD_KIND_ALERT) {
        *(is_type(type, "tagd.alert.raised") ? &to : &from) = TAGD_STR("raised");
        from.p = is_type(type, "tagd.alert.raised") ? NULL : from.p;
        to.p = is_type(type, "tagd.alert.cleared") ? NULL : to.p;
    }
    bool follows = same_tag(from, *tag) && !same_tag(from, to);
    *tag = to;
    return follows;
}

static size_t find_goal(const struct sim *sim, struct tagd_str name)
{
    size_t g = 0;
    while (g < tagd_catalog_n_goals(sim->plan.catalog) &&
           !tagd_str_eq(name, tagd_str_of(tagd_catalog_goal(sim->plan.catalog, g)->name)))
        g++;
    return g;
}

/* It begins on another topic than it ends on, and nobody knows in which order the two are seen. */
static bool is_split(const struct sim *sim, size_t goal)
{
    size_t dimension = tagd_catalog_goal(sim->plan.catalog, goal)->dimension;
    return tagd_catalog_kind(sim->plan.catalog, dimension) == TAGD_KIND_CHURN;
}

/* What ends is what ran, by its deadline. */
static void check_goal(struct sim *sim, struct sim_customer_truth *truth, const struct tagd_record *record)
{
    size_t g = find_goal(sim, tag_at(find(record->value, "{\"goal\":")));
    struct tagd_str deadline = tag_at(find(record->value, "\"deadline\":"));
    if (g < tagd_catalog_n_goals(sim->plan.catalog) && is_split(sim, g))
        return;
    if (g == tagd_catalog_n_goals(sim->plan.catalog) || !same_tag(deadline, truth->deadline[g]) || deadline.p == NULL)
        sim_fail(sim, "a goal ends that doesn't run: %.*s", (int)record->value.n, record->value.p);
    else
        truth->deadline[g].p = NULL;
}

/* A change that enters a goal's tag names the goal, which begins, or runs already. */
static void follow_goal(struct sim *sim, struct sim_customer_truth *truth, const struct tagd_record *record,
                        enum tagd_kind kind, size_t dimension)
{
    const char *at = find(record->value, "\"goal\":{\"name\":");
    struct tagd_str tag = truth->tags[dimension];
    size_t g = 0, n = tagd_catalog_n_goals(sim->plan.catalog);
    for (; g < n; g++) {
        const struct tagd_goal *goal = tagd_catalog_goal(sim->plan.catalog, g);
        if (goal->dimension == dimension && tag.p != NULL &&
            tagd_str_eq(tag, tagd_str_of(tagd_catalog_tag(sim->plan.catalog, dimension, goal->tag))))
            break;
    }
    bool names = at != NULL && find_goal(sim, tag_at(at)) == g;
    if (kind == TAGD_KIND_ALERT || (g == n && at == NULL) || (g < n && names && is_split(sim, g)))
        return;
    struct tagd_str deadline = tag_at(find(record->value, "\"deadline\":"));
    if (g == n || !names || (truth->deadline[g].p != NULL && !same_tag(deadline, truth->deadline[g])))
        sim_fail(sim, "another goal than begins: %.*s", (int)record->value.n, record->value.p);
    else
        truth->deadline[g] = deadline;
}

/* Without knowing what is right: it builds on what was told before. */
static void check_chain(struct sim *sim, struct sim_customer_truth *truth, const struct tagd_record *record,
                        enum tagd_kind kind, struct tagd_str type, uint64_t revision)
{
    struct tagd_str name = tag_at(find(record->value, kind == TAGD_KIND_ALERT ? "{\"alert\":" : "{\"dimension\":"));
    size_t d;
    if (kind == TAGD_KIND_GOAL) {
        check_goal(sim, truth, record);
        return;
    }
    if (!find_dimension(sim, name, &d) ||
        (kind != TAGD_KIND_PROPOSAL && tagd_catalog_kind(sim->plan.catalog, d) != kind))
        sim_fail(sim, "an event of no dimension: %.*s", (int)record->value.n, record->value.p);
    else if (!(kind == TAGD_KIND_PROPOSAL ? follow_proposal(sim, &truth->open[d], record, type, revision)
                                          : follow_tag(&truth->tags[d], record, kind, type)))
        sim_fail(sim, "a change doesn't build on the one before: %.*s", (int)record->value.n, record->value.p);
    else if (kind != TAGD_KIND_PROPOSAL)
        follow_goal(sim, truth, record, kind, d);
}

/* As it should be, where that is known. */
static void check_expected(struct sim *sim, int customer, const struct sim_stream *stream,
                           const struct tagd_record *record)
{
    if (stream->seen >= stream->n) {
        sim_fail(sim, "customer c%d: one change more than there should be: %.*s", customer, (int)record->value.n,
                 record->value.p);
        return;
    }
    const struct sim_expected *expected = &stream->events[stream->seen];
    if (!same_but_when(expected->bytes, record->value) || !same_headers(sim, expected->headers, record))
        sim_fail(sim, "customer c%d: %.*s\nshould be %.*s", customer, (int)record->value.n, record->value.p,
                 (int)expected->bytes.n, expected->bytes.p);
}

static bool is_repeat(const struct sim *sim, struct tagd_str first, struct tagd_str value)
{
    return tagd_str_eq(first, value) ||
           (sim->store.disasters && (sim->plan.mode == SIM_UNORDERED || same_but_when(first, value)));
}

static void check_event(struct sim *sim, enum tagd_output_kind output, const struct sim_out *out)
{
    const struct tagd_record *record = &out->record;
    int customer = sim_customer_of(record->key);
    const char *at = find(record->value, "\"revision\":");
    enum tagd_kind kind;
    struct tagd_str type;
    if (customer < 0 || at == NULL || !read_kind(record, &kind, &type) || tagd_output_kind_of(kind) != output) {
        sim_fail(sim, "an event of nobody, or of another topic: %.*s", (int)record->value.n, record->value.p);
        return;
    }
    struct sim_customer_truth *truth = &sim->truth[customer];
    struct sim_stream *stream = &truth->streams[output];
    uint64_t revision = strtoull(at, NULL, 10), *seen = &truth->revision[kind];
    sim->coverage->changes[kind]++;
    sim->coverage->differences[kind] += find(record->value, "\"origin\":\"repair\"") != NULL;
    if (sim->plan.at_least_once && revision >= 1 && revision <= *seen) {
        if (!is_repeat(sim, truth->copies[kind][revision - 1], record->value))
            sim_fail(sim, "a repeat differs: %.*s", (int)record->value.n, record->value.p);
        return;
    }
    if (revision != *seen + 1 || revision > SIM_EVENTS_OUT_MAX) {
        sim_fail(sim, "customer c%d: revision %" PRIu64 " after %" PRIu64 ": %.*s", customer, revision, *seen,
                 (int)record->value.n, record->value.p);
        return;
    }
    check_chain(sim, truth, record, kind, type, revision);
    if (sim_exact(sim))
        check_expected(sim, customer, stream, record);
    truth->copies[kind][(*seen)++] = record->value;
    stream->seen++;
}

static int64_t header_number(const struct tagd_record *record, const char *name)
{
    for (size_t i = record->n_headers; i-- > 0;)
        if (tagd_str_eq(record->headers[i].name, tagd_str_of(name)))
            return strtoll(record->headers[i].value.p, NULL, 10);
    return -1;
}

static bool has_error(const struct tagd_record *record, const char *error)
{
    for (size_t i = record->n_headers; i-- > 0;)
        if (tagd_str_eq(record->headers[i].name, TAGD_STR("tagd_error")))
            return tagd_str_eq(record->headers[i].value, tagd_str_of(error));
    return false;
}

static void check_letter(struct sim *sim, uint32_t shard, const struct sim_out *out)
{
    int64_t offset = header_number(&out->record, "tagd_offset"),
            partition = header_number(&out->record, "tagd_partition");
    uint32_t topic = 0;
    for (size_t i = 0; i < out->record.n_headers; i++)
        if (tagd_str_eq(out->record.headers[i].name, TAGD_STR("tagd_topic")))
            topic = tagd_str_eq(out->record.headers[i].value, TAGD_STR("second"));
    struct sim_source *source = &sim->broker.sources[topic][shard];
    sim->coverage->letters++;
    if (partition != (int64_t)shard || offset < 0 || offset >= source->high) {
        sim_fail(sim, "a dead letter of no record: %" PRId64 "/%" PRId64, partition, offset);
        return;
    }
    struct sim_in *in = &source->records[offset];
    bool gone = offset < source->low && out->record.value.n == 0;
    bool poison = in->poison == SIM_KILLS_DECODING || in->poison == SIM_KILLS_APPLYING;
    sim->forgetting = poison && sim->plan.forgets;
    if (in->marker || !in->bad)
        sim_fail(sim, "a dead letter of a record that can be used: topic %u shard %u offset %" PRId64, topic, shard,
                 offset);
    else if (poison != has_error(&out->record, "poison"))
        sim_fail(sim, "a dead letter of another kind: topic %u shard %u offset %" PRId64, topic, shard, offset);
    else if (++in->letters > 1 && !sim->plan.at_least_once)
        sim_fail(sim, "the second dead letter of topic %u shard %u offset %" PRId64, topic, shard, offset);
    else if (!gone && !tagd_str_eq(in->record.value, out->record.value))
        sim_fail(sim, "a dead letter that isn't its record's bytes: topic %u shard %u offset %" PRId64, topic, shard,
                 offset);
}

/* Positions on a partition: batches never fall, and within one indexes grow. */
static void check_position(struct sim *sim, int kind, uint32_t shard, const struct sim_out *out)
{
    const struct sim_log *log = &sim->broker.logs[kind][shard];
    for (int64_t i = out->record.offset; i-- > log->low;) {
        const struct sim_out *before = &log->records[i];
        if (before->state != SIM_OUT_COMMITTED)
            continue;
        if (before->at.batch > out->at.batch || (before->at.batch == out->at.batch && before->index >= out->index))
            sim_fail(sim,
                     "on output %d of shard %u batch %" PRIu64 ".%" PRIu64 ".%u stands behind %" PRIu64 ".%" PRIu64
                     ".%u",
                     kind, shard, out->at.fence, out->at.batch, out->index, before->at.fence, before->at.batch,
                     before->index);
        return;
    }
}

void sim_check_output(struct sim *sim, enum tagd_output_kind kind, uint32_t shard, const struct sim_out *out)
{
    SIM_TRACE(sim, "seen: %d/%u @%" PRId64 " %" PRIu64 ".%" PRIu64 ".%u %.*s %.*s", kind, shard, out->record.offset,
              out->at.fence, out->at.batch, out->index, (int)out->record.key.n, out->record.key.p,
              (int)(out->record.value.n < 180 ? out->record.value.n : 180), out->record.value.p);
    if (!sim->plan.at_least_once)
        check_position(sim, (int)kind, shard, out);
    if (kind == TAGD_OUT_DEAD_LETTER)
        check_letter(sim, shard, out);
    else
        check_event(sim, kind, out);
}

void sim_check_view(struct sim *sim, uint32_t customer, struct tagd_str view)
{
    const struct sim_customer_truth *truth = &sim->truth[customer];
    size_t i = 0;
    sim->coverage->view_checks++;
    if (!sim_exact(sim))
        return;
    while (i < truth->n_views && !tagd_str_eq(view, truth->views[i]))
        i++;
    if (i == truth->n_views)
        sim_fail(sim, "customer c%u: a view that isn't right: %.*s", customer, (int)view.n, view.p);
}

void sim_check_profile(struct sim *sim, uint32_t customer, const struct sim_customer *stored)
{
    struct tagd_error error;
    const char *at = find(stored->view, "_revision=");
    uint64_t revision = at == NULL ? 0 : strtoull(at, NULL, 10);
    if (!tagd_profile_decode(sim->profile, stored->bytes, &error))
        sim_fail(sim, "customer c%u: a profile that can't be read: %s", customer, error.text);
    else if (tagd_profile_revision(sim->profile, TAGD_KIND_TAG) != revision)
        sim_fail(sim, "customer c%u: the profile is of revision %" PRIu64 ", the view of %" PRIu64, customer,
                 tagd_profile_revision(sim->profile, TAGD_KIND_TAG), revision);
}

/* ---- at rest ---- */

static bool not_yet(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool not_yet(char *why, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, size, fmt, args);
    va_end(args);
    return false;
}

static bool source_read(struct sim *sim, uint32_t topic, uint32_t shard, char *why, size_t size)
{
    const struct sim_source *source = &sim->broker.sources[topic][shard];
    const struct tagd_head *head = &sim->store.shards[shard].head;
    int64_t next = head->exists && head->next_offset[topic] > 0 ? head->next_offset[topic] : 0;
    for (int64_t i = source->low; i < source->high; i++) {
        if (source->records[i].marker)
            continue;
        if (i >= next)
            return not_yet(why, size, "topic %u shard %u: offset %" PRId64 " isn't read", topic, shard, i);
        if (source->records[i].bad && source->records[i].letters == 0 && !sim->lossy)
            return not_yet(why, size, "topic %u shard %u: no dead letter of offset %" PRId64, topic, shard, i);
    }
    return true;
}

static bool committed_as_stored(struct sim *sim, uint32_t shard, char *why, size_t size)
{
    const struct tagd_head *head = &sim->store.shards[shard].head;
    char metadata[TAGD_METADATA_MAX];
    if (!head->exists || head->batch == 0)
        return true;
    size_t n = tagd_metadata_write(metadata, head->fence, head->batch, head->watermark_ms);
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
        const struct sim_source *source = &sim->broker.sources[topic][shard];
        int64_t next = head->next_offset[topic] > 0 ? head->next_offset[topic] : 0;
        bool follows = sim->plan.at_least_once && sim->happened[SIM_RESET]; /* with the next batch */
        if ((source->offset < 0 && sim->happened[SIM_EXPIRE]) || follows)
            continue;
        if (source->offset != next || !tagd_str_eq(source->metadata, (struct tagd_str){metadata, n}))
            return not_yet(why, size, "topic %u shard %u: committed is %" PRId64 " %.*s, the store has %" PRId64 " %s",
                           topic, shard, source->offset, (int)source->metadata.n, source->metadata.p, next, metadata);
    }
    return true;
}

/* Whether the events seen tell of the customer what the store has. */
static bool told_as_stored(struct sim *sim, uint32_t customer, char *why, size_t size)
{
    const struct sim_customer_truth *truth = &sim->truth[customer];
    const struct sim_store_shard *shard = &sim->store.shards[sim->plan.customer_shard[customer]];
    const struct tagd_catalog *catalog = sim->plan.catalog;
    struct tagd_error error;
    if (shard->customers[customer].bytes.n == 0)
        return true;
    if (!tagd_profile_decode(sim->profile, shard->customers[customer].bytes, &error))
        return not_yet(why, size, "customer c%u: a profile that can't be read: %s", customer, error.text);
    tagd_profile_check(sim->profile);
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        if (truth->revision[kind] != tagd_profile_revision(sim->profile, (enum tagd_kind)kind))
            return not_yet(why, size, "customer c%u: revision %" PRIu64 " of kind %d is published, %" PRIu64 " stored",
                           customer, truth->revision[kind], kind,
                           tagd_profile_revision(sim->profile, (enum tagd_kind)kind));
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        struct tagd_str tag = tagd_profile_tag_text(sim->profile, d);
        struct tagd_proposal proposal;
        tagd_profile_proposal(sim->profile, d, &proposal);
        if (!same_tag(tag, truth->tags[d]) || proposal.revision != truth->open[d])
            return not_yet(why, size,
                           "customer c%u: of %s \"%.*s\" and proposal %" PRIu64 " are published, \"%.*s\" and %" PRIu64
                           " stored",
                           customer, tagd_catalog_dimension(catalog, d), (int)truth->tags[d].n, truth->tags[d].p,
                           truth->open[d], (int)tag.n, tag.p, proposal.revision);
    }
    return true;
}

/* All that should be published is, and the view is the last one. */
static bool all_published(const struct sim *sim, uint32_t customer, char *why, size_t size)
{
    const struct sim_customer_truth *truth = &sim->truth[customer];
    struct tagd_str view = sim->store.shards[sim->plan.customer_shard[customer]].customers[customer].view;
    bool all = true;
    for (int output = 0; output < TAGD_OUTPUT_KINDS; output++) {
        const struct sim_stream *stream = &truth->streams[output];
        if (stream->seen < stream->n)
            all =
                not_yet(why, size, "customer c%u: %zu of %zu changes are published", customer, stream->seen, stream->n);
    }
    if (all && truth->n_views > 0 && !tagd_str_eq(view, truth->views[truth->n_views - 1]))
        return not_yet(why, size, "customer c%u: the view is still %.*s", customer, (int)view.n, view.p);
    return all;
}

bool sim_check_rest(struct sim *sim, char *why, size_t size)
{
    for (uint32_t i = 0; i < SIM_NODES; i++)
        if (sim->broker.transactions[i].open)
            return not_yet(why, size, "a transaction of %u is open", i);
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++) {
        for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++)
            if (!source_read(sim, topic, shard, why, size))
                return false;
        if (!committed_as_stored(sim, shard, why, size))
            return false;
    }
    for (uint32_t i = 0; i < sim->plan.n_customers; i++)
        if (!told_as_stored(sim, i, why, size))
            return false;
    for (uint32_t i = 0; i < sim->plan.n_customers && sim_exact(sim); i++)
        if (!all_published(sim, i, why, size))
            return false;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        if (!sim_population_rests(sim, shard, why, size))
            return false;
    return true;
}
