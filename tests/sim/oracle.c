/* What is right: the engine itself over each customer's events, one after the other, with nothing in between. Modes are
 * made so that the changes are a function of the events alone: in order, and no watermark passes an event that is still
 * to be read. The engine has a proof of its own, against tests/reference. */
#include "sim.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define BEYOND_MS 12000 /* past the last event: longer than every window and silence of the catalogs */

bool sim_exact(const struct sim *sim)
{
    return sim->plan.mode != SIM_UNORDERED && !sim->lossy;
}

struct telling {
    struct sim *sim;
    struct sim_customer_truth *truth;
    struct tagd_str subject;
    struct tagd_emit emit;
    uint64_t revision[TAGD_KINDS];
};

/* Room for one more of n, as an array of the run's memory; cap grows. */
static void *grown(struct sim *sim, void *of, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return of;
    *cap = *cap > 0 ? 2 * *cap : 16;
    void *to = tagd_arena_alloc(&sim->memory, *cap * size);
    if (n > 0)
        memcpy(to, of, n * size);
    return to;
}

static void add_view(struct sim *sim, const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = sim->plan.catalog;
    for (size_t i = 0; i < tagd_catalog_n_dimensions(catalog); i++) {
        struct tagd_str tag = tagd_profile_tag_text(profile, i);
        if (tag.p != NULL && tagd_catalog_kind(catalog, i) != TAGD_KIND_ALERT)
            tagd_buf_printf(out, "%s=%.*s;", tagd_catalog_dimension(catalog, i), (int)tag.n, tag.p);
    }
    tagd_buf_printf(out, "_revision=%" PRIu64 ";_at=%" PRId64 ";", tagd_profile_revision(profile, TAGD_KIND_TAG),
                    tagd_profile_changed_at(profile));
}

static void on_change(void *self, const struct tagd_change *change)
{
    struct telling *telling = self;
    struct sim *sim = telling->sim;
    struct sim_stream *stream = &telling->truth->streams[tagd_output_kind_of(change->kind)];
    struct tagd_buf text = {0};
    stream->events = grown(sim, stream->events, stream->n, &stream->cap, sizeof(*stream->events));
    struct sim_expected *expected = &stream->events[stream->n++];
    assert(change->revision == ++telling->revision[change->kind]);
    *expected = (struct sim_expected){.headers = {NULL, 0}};
    if (sim->plan.content_binary) {
        tagd_emit_headers(&telling->emit, telling->subject, change, &text);
        expected->headers = sim_keep(sim, (struct tagd_str){text.p, text.n});
        text.n = 0;
        tagd_emit_data(&telling->emit, telling->subject, change, &text);
    } else {
        tagd_emit_change(&telling->emit, telling->subject, change, &text);
    }
    expected->bytes = sim_keep(sim, (struct tagd_str){text.p, text.n});
    tagd_buf_free(&text);
}

/* A view shows all tags after a whole evaluation. There is none before anything that it shows has changed. */
static void note_view(struct sim *sim, struct sim_customer_truth *truth, const struct tagd_profile *profile)
{
    struct tagd_buf text = {0};
    if (tagd_profile_revision(profile, TAGD_KIND_TAG) + tagd_profile_revision(profile, TAGD_KIND_CHURN) == 0)
        return;
    add_view(sim, profile, &text);
    struct tagd_str view = {text.p, text.n};
    if (truth->n_views == 0 || !tagd_str_eq(view, truth->views[truth->n_views - 1])) {
        truth->views = grown(sim, truth->views, truth->n_views, &truth->cap_views, sizeof(*truth->views));
        truth->views[truth->n_views++] = sim_keep(sim, view);
    }
    tagd_buf_free(&text);
}

static void run_time(struct sim *sim, struct tagd_engine *engine, struct tagd_profile *profile,
                     struct sim_customer_truth *truth, int64_t to_ms, struct tagd_sink sink)
{
    for (int64_t due; tagd_profile_exists(profile) && (due = tagd_profile_due(profile)) <= to_ms;) {
        tagd_engine_advance(engine, profile, due, sink);
        note_view(sim, truth, profile);
    }
}

static void run_customer(struct sim *sim, struct tagd_engine *engine, struct tagd_profile *profile, int customer,
                         const struct tagd_event *events)
{
    struct sim_plan *plan = &sim->plan;
    struct sim_customer_truth *truth = &sim->truth[customer];
    struct telling telling = {.sim = sim,
                              .truth = truth,
                              .subject = tagd_str_of(tagd_arena_printf(&sim->memory, "c%d", customer)),
                              .emit = {.catalog = plan->catalog, .group = "g"}};
    struct tagd_sink sink = {&telling, on_change};
    struct tagd_tally *tally = &sim->tallies[plan->customer_shard[customer]];
    tagd_emit_prepare(&telling.emit);
    tagd_profile_clear(profile);
    tagd_engine_watch(engine, tagd_tally_watcher(tally));
    for (size_t i = 0; i < plan->n_events; i++) {
        if (plan->events[i].customer != customer || plan->events[i].dropped || plan->events[i].marker ||
            plan->events[i].bad || events[i].type == TAGD_TYPE_UNDECLARED)
            continue;
        run_time(sim, engine, profile, truth, events[i].time_ms, sink); /* a batch may end anywhere among these */
        tagd_engine_apply(engine, profile, &events[i], INT64_MIN, sink);
        note_view(sim, truth, profile);
    }
    run_time(sim, engine, profile, truth, sim->rest_ms, sink);
    tagd_emit_free(&telling.emit);
    if (tagd_profile_exists(profile))
        tagd_tally_customer(tally, telling.subject, profile, true);
}

struct tagd_event_rules sim_event_rules(const struct sim *sim)
{
    const struct sim_plan *plan = &sim->plan;
    return (struct tagd_event_rules){.catalog = plan->catalog,
                                     .max_bytes = TAGD_EVENT_BYTES_MAX,
                                     .past_ms = INT64_MIN,
                                     .future_ms = plan->mode == SIM_LIVE ? 300000 : -1,
                                     .partitioner = TAGD_NO_PARTITIONER,
                                     .partitions = (int32_t)plan->n_shards,
                                     .junk = tagd_junk_of(tagd_junk_subjects, tagd_n_junk_subjects)};
}

void sim_oracle_run(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    struct tagd_event_rules rules = sim_event_rules(sim);
    struct tagd_event *events = tagd_arena_alloc(&sim->memory, (plan->n_events + 1) * sizeof(*events));
    for (size_t i = 0; i < plan->n_events; i++) {
        tagd_event_decode(&rules, &plan->events[i].record, SIM_WALL_MS + plan->events[i].at_ms, &sim->memory,
                          &events[i]);
        enum sim_poison poison = plan->events[i].poison;
        bool condemned = poison == SIM_KILLS_DECODING || poison == SIM_KILLS_APPLYING;
        plan->events[i].bad = !plan->events[i].marker && (events[i].code != TAGD_EVENT_OK || condemned);
        sim->coverage->poisoned[poison] += !plan->events[i].dropped;
        if (events[i].has_time && !plan->events[i].dropped && events[i].time_ms + BEYOND_MS > sim->rest_ms)
            sim->rest_ms = events[i].time_ms + BEYOND_MS;
    }
    if (plan->mode == SIM_UNORDERED)
        return;
    struct tagd_engine *engine = tagd_engine_new(plan->catalog, 100000);
    struct tagd_profile *profile = tagd_profile_new(plan->catalog);
    sim->members = tagd_members_new(plan->catalog);
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        tagd_tally_begin(&sim->tallies[shard], sim->members);
    for (int customer = 0; customer < (int)plan->n_customers; customer++)
        run_customer(sim, engine, profile, customer, events);
    tagd_profile_free(profile);
    tagd_engine_free(engine);
}
