/* A worker in its process, and its port as daemon/io makes it: what the consumer fetches and when, rebalances as the
 * client hands them out, ends of partitions and their confirmation. Operations are in ops.c. */
#include "sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FETCH_MS 15
#define CONFIRM_EVERY_MS 250
#define CONFIRM_SOON_MS 25

static int64_t delay(struct sim *sim, int64_t most_ms)
{
    return sim_between(&sim->random, 1, most_ms) * sim->plan.slowness;
}

static void wake_at(struct sim_node *node, int64_t at_ms)
{
    if (at_ms < node->wake_ms)
        node->wake_ms = at_ms;
}

/* ---- the group ---- */

void sim_node_hears(struct sim *sim, struct sim_node *node, enum sim_group_event event, int64_t delay_ms)
{
    if (!node->alive)
        return;
    node->event = event;
    node->event_ms = sim->now_ms + delay_ms;
    wake_at(node, node->event_ms);
}

void sim_node_forget_shards(struct sim_node *node)
{
    node->has_membership = false;
    node->n_stash = node->at_stash = 0;
    memset(node->assigned, 0, sizeof(node->assigned));
    memset(node->running, 0, sizeof(node->running));
    node->revoking = false;
}

static void rejoin(struct sim *sim, struct sim_node *node, int64_t most_ms)
{
    sim_node_forget_shards(node);
    node->rejoin = true;
    node->rejoin_ms = sim->now_ms + delay(sim, most_ms);
}

static size_t list_shards(const bool *set, uint32_t *shards)
{
    size_t n = 0;
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        if (set[shard])
            shards[n++] = shard;
    return n;
}

static void hand_out_event(struct sim_node *node, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct sim *sim = node->sim;
    enum sim_group_event event = node->event;
    uint32_t shards[SIM_SHARDS];
    struct tagd_input in = {.shards = shards};
    node->event = SIM_NO_EVENT;
    switch (event) {
    case SIM_ASSIGNED:
        SIM_TRACE(sim, "%s: assigned %d %d %d", node->owner, node->event_shards[0], node->event_shards[1],
                  node->event_shards[2]);
        node->has_membership = true;
        node->membership_id = node->member;
        node->membership_generation = sim->broker.group.generation;
        memcpy(node->assigned, node->event_shards, sizeof(node->assigned));
        memset(node->ended, 0, sizeof(node->ended));
        sim->coverage->assigned++;
        in.kind = TAGD_IN_ASSIGN;
        in.n_shards = list_shards(node->assigned, shards);
        input(to, &in);
        return;
    case SIM_REVOKED:
        SIM_TRACE(sim, "%s: revoked", node->owner);
        sim->coverage->revoked++;
        node->revoking = true;
        in.kind = TAGD_IN_REVOKE;
        in.n_shards = list_shards(node->assigned, shards);
        input(to, &in);
        return;
    case SIM_LOST:
        SIM_TRACE(sim, "%s: lost", node->owner);
        sim->coverage->lost++;
        in.kind = TAGD_IN_LOST;
        in.n_shards = list_shards(node->assigned, shards);
        input(to, &in);
        rejoin(sim, node, 500);
        return;
    case SIM_NO_EVENT: return;
    }
}

static void port_revoked(void *self)
{
    struct sim_node *node = self;
    if (!node->revoking || node->dying)
        return;
    SIM_TRACE(node->sim, "%s: says revoked", node->owner);
    rejoin(node->sim, node, 20);
}

/* ---- poison ---- */

void sim_node_may_die(struct sim *sim, struct sim_node *node, struct sim_in *in, enum sim_poison poison)
{
    static const int64_t gone[] = {500, 3000, SIM_SESSION_MS + 4000};
    if (in->poison != poison || node->dying || (poison == SIM_KILLS_SOMETIMES && in->deaths > 1))
        return;
    in->deaths++;
    sim->coverage->deaths[poison]++;
    SIM_TRACE(sim, "%s: dies of offset %lld", node->owner, (long long)in->record.offset);
    node->dying = true;
    node->gone_ms = sim->calm ? 500 : gone[sim_between(&sim->random, 0, 2)];
}

/* Those that the worker has decoded since the last look: what waits for a trial is decoded in order. */
static void look_at_holds(struct sim_node *node)
{
    uint64_t decoded = tagd_worker_stats(node->worker)->records;
    for (; node->holds_decoded < decoded; node->holds_decoded++) {
        struct sim_held *first = NULL;
        for (size_t i = 0; i < SIM_HELD; i++) {
            struct sim_held *held = &node->holds[i];
            if (held->used && !held->decoded && (first == NULL || held->serial < first->serial))
                first = held;
        }
        assert(first != NULL);
        first->decoded = true;
    }
}

static struct sim_held *hold(struct sim_node *node, struct sim_in *in)
{
    size_t i = 0;
    look_at_holds(node);
    while (node->holds[i].used)
        i++;
    assert(i < SIM_HELD - 1);
    node->holds[i] = (struct sim_held){.in = in, .serial = node->holds_serial++, .used = true};
    return &node->holds[i];
}

static struct sim_held *held_of(const struct sim_node *node, const struct tagd_record *record)
{
    for (size_t i = 0; i < SIM_HELD; i++) {
        struct sim_held *held = &node->holds[i];
        if (held->used && held->in->record.topic == record->topic && held->in->record.partition == record->partition &&
            held->in->record.offset == record->offset)
            return held;
    }
    return NULL;
}

/* A shard's records come while it is under repair. */
static bool replays(const struct sim_node *node, uint32_t shard)
{
    struct tagd_shard_stats shards[SIM_SHARDS];
    size_t n = tagd_worker_shards(node->worker, shards, SIM_SHARDS);
    for (size_t i = 0; i < n && tagd_worker_stats(node->worker)->shards_repairing > 0; i++)
        if (shards[i].shard == shard)
            return (shards[i].status == TAGD_SHARD_REPAIRING || shards[i].status == TAGD_SHARD_RECOVERING) &&
                   !node->taking[shard];
    return false;
}

/* A record that the worker has just been given, and did not put aside for a trial, is decoded by now. */
static void see_decoded(struct sim *sim, struct sim_node *node, struct sim_held *held)
{
    uint64_t decoded = tagd_worker_stats(node->worker)->records;
    if (!held->used || decoded == node->holds_decoded)
        return;
    node->holds_decoded = decoded;
    held->decoded = true;
    if (held->in->poison == SIM_KILLS_DECODING && held->in->letters > 0 && !held->in->forgotten &&
        replays(node, (uint32_t)held->in->record.partition))
        sim_fail(sim, "what was known to be poison is decoded in a replay: offset %lld",
                 (long long)held->in->record.offset);
    sim_node_may_die(sim, node, held->in, SIM_KILLS_DECODING);
    sim_node_may_die(sim, node, held->in, SIM_KILLS_SOMETIMES);
}

/* The engine has applied what is to be committed: all that is held and passed, but what was condemned, or is known to
 * have been a dead letter. */
void sim_node_commits(struct sim *sim, struct sim_node *node, const struct tagd_op *op)
{
    for (size_t i = 0; i < op->u.commit.n_shards && sim->plan.poison; i++) {
        const struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        for (size_t k = 0; k < SIM_HELD; k++) {
            const struct sim_held *held = &node->holds[k];
            if (held->used && held->decoded && held->kills < 2 &&
                held->in->record.partition == (int32_t)writes->shard &&
                held->in->record.offset < writes->head.next_offset[held->in->record.topic] &&
                (writes->head.repair.phase == TAGD_NO_REPAIR || held->in->letters == 0 || held->in->forgotten))
                sim_node_may_die(sim, node, held->in, SIM_KILLS_APPLYING);
        }
    }
}

static bool kills_trial(struct sim_node *node, const struct tagd_record *record)
{
    struct sim_held *held = held_of(node, record);
    if (!record->has_value) /* an end, among what waits */
        return false;
    assert(held != NULL);
    enum sim_poison poison = held->in->poison;
    bool kills = poison == (held->decoded ? SIM_KILLS_APPLYING : SIM_KILLS_DECODING) ||
                 (poison == SIM_KILLS_SOMETIMES && held->kills == 0 && held->in->deaths++ < 2);
    held->kills += kills;
    node->sim->coverage->condemned += kills && held->kills == 2;
    return kills;
}

/* ---- records ---- */

void sim_node_appended(struct sim *sim, uint32_t topic, uint32_t shard)
{
    for (size_t i = 0; i < sim->n_nodes; i++) {
        struct sim_node *node = &sim->nodes[i];
        struct sim_reading *reading = &node->readings[topic][shard];
        if (!node->alive || !node->running[shard])
            continue;
        if (reading->fetch_ms == SIM_NEVER)
            reading->fetch_ms = sim->now_ms + delay(sim, FETCH_MS);
        wake_at(node, reading->fetch_ms);
    }
}

static void stash(struct sim_node *node, uint32_t topic, uint32_t shard, int64_t offset, bool end)
{
    assert(node->n_stash < SIM_STASH);
    node->stash[node->n_stash++] = (struct sim_stashed){topic, shard, offset, end};
}

/* A fetch's answer. Records below the partition's beginning are gone: the shard can't be read on. */
static bool take_fetch(struct sim_node *node, uint32_t topic, uint32_t shard)
{
    struct sim *sim = node->sim;
    struct sim_reading *reading = &node->readings[topic][shard];
    const struct sim_source *source = &sim->broker.sources[topic][shard];
    int64_t most = sim_between(&sim->random, 1, 24);
    if (reading->fetched < source->low)
        return false;
    for (; reading->fetched < source->high && most > 0; reading->fetched++, most--)
        if (!source->records[reading->fetched].marker)
            stash(node, topic, shard, reading->fetched, false);
    reading->known_end = source->high;
    reading->fetch_ms = SIM_NEVER;
    if (reading->fetched == source->high)
        stash(node, topic, shard, source->high, true);
    else
        reading->fetch_ms = sim->now_ms + delay(sim, FETCH_MS);
    return true;
}

static void fetch(struct sim_node *node, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct sim *sim = node->sim;
    if (node->at_stash == node->n_stash)
        node->at_stash = node->n_stash = 0;
    if (sim->now_ms < sim->broker.down_until_ms)
        return;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics && node->running[shard]; topic++) {
            if (node->readings[topic][shard].fetch_ms > sim->now_ms || node->n_stash > SIM_STASH / 2)
                continue;
            if (take_fetch(node, topic, shard))
                continue;
            SIM_TRACE(sim, "%s: shard %u can't be read on", node->owner, shard);
            node->running[shard] = false;
            input(to, &(struct tagd_input){.kind = TAGD_IN_AGAIN, .shards = &shard, .n_shards = 1});
        }
}

static void hand_out_end(struct sim_node *node, uint32_t topic, uint32_t shard,
                         void (*input)(void *to, const struct tagd_input *in), void *to)
{
    const struct sim_reading *reading = &node->readings[topic][shard];
    struct tagd_input in = {.kind = TAGD_IN_END, .confirmed_ms = reading->confirmed_ms};
    in.record.topic = topic;
    in.record.partition = (int32_t)shard;
    in.record.offset = reading->next;
    input(to, &in);
}

static bool hand_out(struct sim_node *node, const struct sim_stashed *stashed,
                     void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct sim_reading *reading = &node->readings[stashed->topic][stashed->shard];
    if (!node->running[stashed->shard] || stashed->offset < reading->next)
        return false;
    if (stashed->end) {
        reading->next = stashed->offset;
        reading->at_end = true;
        hand_out_end(node, stashed->topic, stashed->shard, input, to);
        return false;
    }
    struct sim_in *from = &node->sim->broker.sources[stashed->topic][stashed->shard].records[stashed->offset];
    struct sim_held *held = node->sim->plan.poison ? hold(node, from) : NULL;
    struct tagd_input in = {.kind = TAGD_IN_RECORD,
                            .record = from->record,
                            .token = held != NULL ? (void *)held : node,
                            .end_offset = reading->known_end};
    reading->next = stashed->offset + 1;
    reading->at_end = false;
    node->held++;
    input(to, &in);
    if (held != NULL)
        see_decoded(node->sim, node, held);
    return true;
}

static void confirm(struct sim_node *node, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct sim *sim = node->sim;
    bool soon = false;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++)
            soon = soon || (node->running[shard] && node->readings[topic][shard].at_end &&
                            node->readings[topic][shard].confirmed_ms < node->confirm_ms);
    if (sim->now_ms - node->confirm_ms < (soon ? CONFIRM_SOON_MS : CONFIRM_EVERY_MS) ||
        sim->now_ms < sim->broker.down_until_ms)
        return;
    node->confirm_ms = sim->now_ms;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics && node->running[shard]; topic++) {
            struct sim_reading *reading = &node->readings[topic][shard];
            if (!reading->at_end || sim->broker.sources[topic][shard].high != reading->next)
                continue;
            reading->confirmed_ms = sim->now_ms;
            hand_out_end(node, topic, shard, input, to);
        }
}

/* ---- the port ---- */

static void plan_wake(struct sim_node *node, int timeout_ms, size_t max_records)
{
    struct sim *sim = node->sim;
    node->wake_ms = sim->now_ms + (timeout_ms > 0 ? timeout_ms : 1);
    if (node->event != SIM_NO_EVENT && !node->revoking)
        wake_at(node, node->event_ms > sim->now_ms ? node->event_ms : sim->now_ms + 1);
    if (max_records > 0 && node->at_stash < node->n_stash)
        wake_at(node, sim->now_ms + 1);
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics && node->running[shard]; topic++) {
            const struct sim_reading *reading = &node->readings[topic][shard];
            if (reading->fetch_ms != SIM_NEVER)
                wake_at(node, reading->fetch_ms > sim->now_ms ? reading->fetch_ms : sim->now_ms + 1);
            if (sim->plan.mode == SIM_LIVE && reading->at_end)
                wake_at(node, node->confirm_ms + CONFIRM_EVERY_MS > sim->now_ms ? node->confirm_ms + CONFIRM_EVERY_MS
                                                                                : sim->now_ms + 10);
        }
}

static void port_poll(void *self, int timeout_ms, size_t max_records,
                      void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct sim_node *node = self;
    struct sim *sim = node->sim;
    if (node->dying)
        return;
    if (node->n_tasks > 0 && !sim->plan.overlapped) { /* the thread is inside submit */
        node->wake_ms = SIM_NEVER;
        return;
    }
    plan_wake(node, timeout_ms, max_records);
    for (size_t i = 0; i < node->n_sends; i++)
        wake_at(node, node->sends[i].ack_ms > sim->now_ms ? node->sends[i].ack_ms : sim->now_ms + 1);
    if (node->revoking)
        return;
    fetch(node, input, to);
    for (size_t n = 0; n < max_records && node->at_stash < node->n_stash && !node->dying; node->at_stash++)
        n += hand_out(node, &node->stash[node->at_stash], input, to);
    if (node->dying)
        return;
    if (node->event != SIM_NO_EVENT && node->event_ms <= sim->now_ms)
        hand_out_event(node, input, to);
    if (node->at_stash == node->n_stash && !node->revoking)
        confirm(node, input, to);
    if (max_records > 0 && node->at_stash < node->n_stash)
        wake_at(node, sim->now_ms + 1);
}

static void port_submit(void *self, struct tagd_op *op)
{
    sim_op_submit(self, op);
}

static void port_release(void *self, void *token)
{
    struct sim_node *node = self;
    struct sim_held *held = token;
    assert(node->held > 0);
    node->held--;
    if (!node->sim->plan.poison)
        return;
    if (node->alive && !node->freed)
        look_at_holds(node);
    assert(held->used);
    held->used = false;
}

static size_t port_trial(void *self, const struct tagd_record *const *records, size_t n,
                         void (*run)(void *to, size_t i), void *to, struct tagd_error *killed)
{
    struct sim_node *node = self;
    size_t through = 0;
    (void)run, (void)to;
    if (!node->sim->plan.poison)
        return n;
    look_at_holds(node);
    while (through < n && !kills_trial(node, records[through]))
        through++;
    if (through < n)
        tagd_fail(killed, "SIGSEGV");
    return through;
}

static int64_t port_wall_ms(void *self)
{
    const struct sim *sim = ((struct sim_node *)self)->sim;
    return SIM_WALL_MS + sim->now_ms + sim->clock_ms;
}

static int64_t port_mono_ms(void *self)
{
    return ((struct sim_node *)self)->sim->now_ms;
}

static int64_t port_mono_us(void *self)
{
    return port_mono_ms(self) * 1000;
}

/* ---- life ---- */

static void on_note(void *to, const struct tagd_note *note)
{
    struct sim_node *node = to;
    SIM_TRACE(node->sim, "%s notes: %s", node->owner, note->text);
}

static struct tagd_worker_config config_of(struct sim_node *node)
{
    static const char *const topics[SIM_TOPICS] = {"first", "second"};
    static const enum tagd_partitioner partitioners[SIM_TOPICS] = {TAGD_NO_PARTITIONER, TAGD_NO_PARTITIONER};
    static const size_t caches[] = {0, SIM_CACHE_SMALL, 1 << 20};
    const struct sim_plan *plan = &node->sim->plan;
    enum sim_wrong wrong = node->sim->processes[node->process].wrong;
    const struct tagd_catalog *catalog = wrong == SIM_OTHER_CATALOG ? sim_other_catalog(plan->catalog) : plan->catalog;
    if (plan->rolling && wrong != SIM_OTHER_CATALOG)
        catalog = sim_variant(plan->catalog, node->sim->starts++ % 3 == 1);
    bool at_least_once = wrong == SIM_OTHER_DELIVERY ? !plan->at_least_once : plan->at_least_once;
    return (struct tagd_worker_config){
        .catalog = catalog,
        .group = "g",
        .owner = node->owner,
        .n_topics = plan->n_topics,
        .topics = topics,
        .rules = {.catalog = catalog,
                  .max_bytes = TAGD_EVENT_BYTES_MAX,
                  .past_ms = INT64_MIN,
                  .future_ms = plan->mode == SIM_LIVE ? 300000 : -1,
                  .partitions = (int32_t)plan->n_shards + (wrong == SIM_OTHER_PARTITIONS),
                  .junk = tagd_junk_of(tagd_junk_subjects, tagd_n_junk_subjects)},
        .partitioners = partitioners,
        .content_binary = plan->content_binary,
        .at_least_once = at_least_once,
        .time_events = plan->mode != SIM_LIVE,
        .grace_ms = plan->grace_ms,
        .max_idle_ms = 100,
        .horizon_ms = 100000,
        .continue_on_data_gap = plan->continue_on_data_gap,
        .rebuild = plan->rebuild && !at_least_once,
        .batch_events_max = plan->batch_events_max,
        .batch_bytes_max = 1 << 20,
        .cache_bytes_max = caches[plan->events_end_ms % 3],
        .brakes = &node->sim->brakes,
        .note = on_note,
        .note_to = node};
}

void sim_node_start(struct sim *sim, uint32_t index)
{
    struct sim_node *node = &sim->nodes[index];
    uint64_t serial = node->serial;
    *node = (struct sim_node){.sim = sim, .index = index, .process = index / sim->plan.n_workers, .alive = true};
    snprintf(node->owner, sizeof(node->owner), "g-p%u-%u", node->process, index % sim->plan.n_workers);
    node->port = (struct tagd_port){.self = node,
                                    .submit = port_submit,
                                    .poll = port_poll,
                                    .release = port_release,
                                    .headers = NULL, /* none comes with headers_unread */
                                    .revoked = port_revoked,
                                    .trial = port_trial,
                                    .wall_ms = port_wall_ms,
                                    .mono_ms = port_mono_ms,
                                    .mono_us = port_mono_us};
    node->serial = serial;
    node->wake_ms = sim->now_ms + 1;
    node->ready = true; /* before the consumer is there, the producer's earlier transactions are ended */
    node->epoch = sim_broker_init(sim, index);
    node->rejoin = true;
    node->rejoin_ms = sim->now_ms + delay(sim, 100);
    struct tagd_worker_config config = config_of(node);
    node->worker = tagd_worker_new(&config, &node->port);
    if (sim->plan.poison)
        node->holds = tagd_arena_zalloc(&sim->memory, SIM_HELD * sizeof(*node->holds));
    sim->clock_started = sim->clock_started || sim->clock_ms != 0;                 /* it lives by that time, */
    sim->lossy = sim->lossy || (sim->clock_ms != 0 && sim->plan.mode == SIM_LIVE); /* and is early or late */
    SIM_TRACE(sim, "%s: starts", node->owner);
}

static bool store_changed(const struct sim *sim)
{
    return sim->happened[SIM_STORE_BACK] || sim->happened[SIM_STORE_FAILOVER] || sim->happened[SIM_STORE_EMPTIED];
}

static void count(struct sim *sim, const struct sim_node *node)
{
    const struct tagd_worker_stats *stats = tagd_worker_stats(node->worker);
    struct sim_coverage *coverage = sim->coverage;
    coverage->rows_new += stats->takeover_new;
    coverage->counts_anew += stats->populations_counted;
    coverage->rows_level += stats->takeover_level;
    coverage->rows_outbox += stats->takeover_outbox;
    coverage->outbox_batches += stats->takeover_outbox_batches;
    coverage->refused += stats->takeover_refused;
    coverage->gaps += stats->data_gaps;
    coverage->repairs_begun += stats->repairs_begun;
    coverage->repairs += stats->repairs;
    coverage->audits += stats->audits;
    coverage->audit_mismatches += stats->audit_mismatches;
    coverage->trials += stats->trials;
    coverage->cache_hits += stats->cache_hits;
    coverage->cache_misses += stats->cache_misses;
    if (stats->audit_mismatches > 0 && !store_changed(sim) && !sim->happened[SIM_EXPIRE] && !sim->happened[SIM_RESET])
        sim_fail(sim, "%s: an audit found a mismatch", node->owner);
}

static void end(struct sim *sim, struct sim_node *node)
{
    sim_ops_die(sim, node);
    count(sim, node);
    node->freed = true;
    tagd_worker_free(node->worker);
    node->worker = NULL;
    node->alive = false;
    if (node->held != 0)
        sim_fail(sim, "%s is gone and %d records were not released", node->owner, node->held);
}

void sim_node_kill(struct sim *sim, struct sim_node *node)
{
    if (!node->alive)
        return;
    SIM_TRACE(sim, "%s: dies", node->owner);
    node->dying = true;
    end(sim, node);
}

void sim_node_pause(struct sim *sim, struct sim_node *node)
{
    if (!node->alive || node->paused)
        return;
    SIM_TRACE(sim, "%s: stands still", node->owner);
    node->paused = true;
    for (size_t i = 0; i < node->n_tasks; i++) /* what is sent already arrives */
        node->tasks[i].frozen = sim_percent(&sim->random, 50);
    size_t sent = (size_t)sim_between(&sim->random, 0, (int64_t)node->n_sends);
    for (size_t i = sent; i < node->n_sends; i++)
        if (!node->sends[i].appended)
            node->sends[i].append_ms = SIM_NEVER;
}

void sim_node_resume(struct sim *sim, struct sim_node *node)
{
    if (!node->alive || !node->paused)
        return;
    SIM_TRACE(sim, "%s: goes on", node->owner);
    node->paused = false;
    node->wake_ms = sim->now_ms;
    for (size_t i = 0; i < node->n_tasks; i++) {
        node->tasks[i].frozen = false;
        if (node->tasks[i].at_ms < sim->now_ms)
            node->tasks[i].at_ms = sim->now_ms + 1;
    }
    for (size_t i = 0; i < node->n_sends; i++) {
        if (node->sends[i].append_ms == SIM_NEVER)
            node->sends[i].append_ms = sim->now_ms + 1;
        if (node->sends[i].ack_ms < sim->now_ms + 2)
            node->sends[i].ack_ms = sim->now_ms + 2;
    }
}

void sim_node_step(struct sim *sim, struct sim_node *node)
{
    struct tagd_error error = {""};
    sim->coverage->steps++;
    node->wake_ms = sim->now_ms + 1;
    bool going = tagd_worker_step(node->worker, 1000, &error);
    if (node->dying) {
        sim_process_kill(sim, node->process, sim->now_ms + node->gone_ms);
        return;
    }
    if (going)
        return;
    SIM_TRACE(sim, "%s: stopped: %s", node->owner, error.text);
    if (error.text[0] != '\0' && sim_is_mended(sim, node, error.text))
        sim_process_stop(sim, node->process);
    else if (error.text[0] != '\0' && sim->refusal[0] == '\0')
        snprintf(sim->refusal, sizeof(sim->refusal), "%s", error.text);
    end(sim, node);
}
