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
    const char *at = memmem(in.p, in.n, what, strlen(what));
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

/* Without knowing what is right: it builds on what was told before. */
static void check_chain(struct sim *sim, struct sim_customer_truth *truth, const struct tagd_record *record)
{
    struct tagd_str name = tag_at(find(record->value, "\"dimension\":")),
                    from = tag_at(find(record->value, "\"from\":")), to = tag_at(find(record->value, "\"to\":"));
    for (size_t i = 0; i < tagd_catalog_n_dimensions(sim->plan.catalog); i++) {
        if (!tagd_str_eq(name, tagd_str_of(tagd_catalog_dimension(sim->plan.catalog, i))))
            continue;
        if (!same_tag(from, truth->tags[i]) || same_tag(from, to))
            sim_fail(sim, "a change doesn't build on the one before: %.*s", (int)record->value.n, record->value.p);
        truth->tags[i] = to;
        return;
    }
    sim_fail(sim, "a change of no dimension: %.*s", (int)record->value.n, record->value.p);
}

static void check_change(struct sim *sim, const struct sim_out *out)
{
    const struct tagd_record *record = &out->record;
    int customer = sim_customer_of(record->key);
    const char *at = find(record->value, "\"revision\":");
    if (customer < 0 || at == NULL) {
        sim_fail(sim, "a change of nobody: %.*s", (int)record->value.n, record->value.p);
        return;
    }
    struct sim_customer_truth *truth = &sim->truth[customer];
    uint64_t revision = strtoull(at, NULL, 10);
    sim->coverage->changes++;
    if (sim->plan.at_least_once && revision >= 1 && revision <= truth->seen) {
        bool same = tagd_str_eq(truth->copies[revision - 1], record->value) ||
                    (sim->store.disasters &&
                     (sim->plan.mode == SIM_UNORDERED || same_but_when(truth->copies[revision - 1], record->value)));
        if (!same)
            sim_fail(sim, "a repeat differs: %.*s", (int)record->value.n, record->value.p);
        return;
    }
    if (revision != truth->seen + 1 || truth->seen == SIM_CHANGES_MAX) {
        sim_fail(sim, "customer c%d: revision %" PRIu64 " after %zu: %.*s", customer, revision, truth->seen,
                 (int)record->value.n, record->value.p);
        return;
    }
    check_chain(sim, truth, record);
    if (sim_exact(sim) && truth->seen >= truth->n)
        sim_fail(sim, "customer c%d: one change more than there should be: %.*s", customer, (int)record->value.n,
                 record->value.p);
    else if (sim_exact(sim) && (!same_but_when(truth->changes[truth->seen].bytes, record->value) ||
                                !same_headers(sim, truth->changes[truth->seen].headers, record)))
        sim_fail(sim, "customer c%d: %.*s\nshould be %.*s", customer, (int)record->value.n, record->value.p,
                 (int)truth->changes[truth->seen].bytes.n, truth->changes[truth->seen].bytes.p);
    truth->copies[truth->seen++] = record->value;
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

void sim_check_output(struct sim *sim, int kind, uint32_t shard, const struct sim_out *out)
{
    SIM_TRACE(sim, "seen: %d/%u @%" PRId64 " %" PRIu64 ".%" PRIu64 ".%u %.*s %.*s", kind, shard, out->record.offset,
              out->at.fence, out->at.batch, out->index, (int)out->record.key.n, out->record.key.p,
              (int)(out->record.value.n < 180 ? out->record.value.n : 180), out->record.value.p);
    if (!sim->plan.at_least_once)
        check_position(sim, kind, shard, out);
    if (kind == TAGD_OUT_CHANGE)
        check_change(sim, out);
    else
        check_letter(sim, shard, out);
}

void sim_check_view(struct sim *sim, uint32_t customer, struct tagd_str view)
{
    const struct sim_customer_truth *truth = &sim->truth[customer];
    const char *at = find(view, "_revision=");
    uint64_t revision = at == NULL ? 0 : strtoull(at, NULL, 10);
    sim->coverage->view_checks++;
    if (!sim_exact(sim))
        return;
    if (revision == 0 || revision > truth->n)
        sim_fail(sim, "customer c%u: a view that isn't right: %.*s", customer, (int)view.n, view.p);
    else if (!tagd_str_eq(view, truth->changes[revision - 1].view))
        sim_fail(sim, "customer c%u: the view is %.*s and should be %.*s", customer, (int)view.n, view.p,
                 (int)truth->changes[revision - 1].view.n, truth->changes[revision - 1].view.p);
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
    for (uint32_t i = 0; i < sim->plan.n_customers && sim_exact(sim); i++) {
        const struct sim_customer_truth *truth = &sim->truth[i];
        struct tagd_str view = sim->store.shards[sim->plan.customer_shard[i]].customers[i].view;
        if (truth->seen == truth->n && truth->n > 0 && !tagd_str_eq(view, truth->changes[truth->n - 1].view))
            return not_yet(why, size, "customer c%u: the view is still %.*s", i, (int)view.n, view.p);
        if (truth->seen < truth->n)
            return not_yet(why, size, "customer c%u: %zu of %zu changes are published", i, sim->truth[i].seen,
                           sim->truth[i].n);
    }
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        if (!sim_population_rests(sim, shard, why, size))
            return false;
    return true;
}
