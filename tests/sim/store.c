/* The store: per shard fence, head, profiles, timers, views, outbox, told. A write is one transaction over the shards it
 * names. Bytes are never changed in place, so that a snapshot is a copy of the structs. */
#include "sim.h"

#include <assert.h>
#include <string.h>

static void clear_shard(struct sim *sim, struct sim_store_shard *shard)
{
    memset(shard, 0, sizeof(*shard));
    shard->version = ++sim->store.version;
    shard->head.watermark_ms = shard->head.latest_ms = INT64_MIN;
    for (uint32_t i = 0; i < TAGD_TOPICS_MAX; i++)
        shard->head.next_offset[i] = -1;
    for (uint32_t i = 0; i < SIM_CUSTOMERS; i++)
        shard->customers[i].due_ms = SIM_NEVER;
}

static void keep_snapshot(struct sim *sim)
{
    struct sim_store *store = &sim->store;
    if (!store->keeps)
        return;
    struct sim_snapshot *snapshot = &store->snapshots[store->n_snapshots++ % SIM_SNAPSHOTS];
    snapshot->at_ms = sim->now_ms;
    memcpy(snapshot->shards, store->shards, sizeof(store->shards));
}

void sim_store_open(struct sim *sim)
{
    sim->store.back_ms = SIM_NEVER;
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        clear_shard(sim, &sim->store.shards[shard]);
    keep_snapshot(sim);
}

/* ---- what is asked of it ---- */

uint64_t sim_store_take(struct sim *sim, uint32_t number, uint64_t at_least)
{
    struct sim_store_shard *shard = &sim->store.shards[number];
    uint64_t now = (uint64_t)(SIM_WALL_MS + sim->now_ms);
    shard->fence = (at_least > shard->fence ? at_least : shard->fence) + 1;
    if (shard->fence < now) /* no two histories of the store have the same one */
        shard->fence = now;
    shard->version = ++sim->store.version;
    keep_snapshot(sim);
    return shard->fence;
}

void sim_store_fence(struct sim *sim, struct tagd_op *op)
{
    op->u.fence.before = sim->store.shards[op->shard].fence;
    op->u.fence.fence = sim_store_take(sim, op->shard, op->u.fence.at_least);
}

void sim_store_read_shard(struct sim *sim, struct tagd_op *op)
{
    const struct sim_store_shard *shard = &sim->store.shards[op->shard];
    size_t n = shard->n_outbox;
    op->u.fence.head = shard->head;
    op->u.fence.outbox = tagd_arena_alloc(op->arena, (n + 1) * sizeof(*op->u.fence.outbox));
    memcpy(op->u.fence.outbox, shard->outbox, n * sizeof(*op->u.fence.outbox));
    op->u.fence.n_outbox = n;
    op->u.fence.population_form = shard->form;
    op->u.fence.next_due_ms = TAGD_NEVER;
    for (uint32_t i = 0; i < SIM_CUSTOMERS; i++)
        if (shard->customers[i].due_ms < op->u.fence.next_due_ms)
            op->u.fence.next_due_ms = shard->customers[i].due_ms;
}

static struct tagd_load_item item_of(struct sim *sim, const struct sim_store_shard *shard, uint32_t i, bool told)
{
    struct tagd_load_item item = {.bytes = shard->customers[i].bytes};
    item.customer = tagd_str_of(tagd_arena_printf(&sim->memory, "c%u", i));
    if (told)
        item.told = shard->customers[i].told;
    return item;
}

static void load_due(struct sim *sim, const struct sim_store_shard *shard, struct tagd_op *op)
{
    bool taken[SIM_CUSTOMERS] = {false};
    op->u.load.due = tagd_arena_zalloc(op->arena, (SIM_CUSTOMERS + 1) * sizeof(*op->u.load.due));
    for (;;) {
        uint32_t first = SIM_CUSTOMERS;
        for (uint32_t i = 0; i < SIM_CUSTOMERS; i++)
            if (!taken[i] && (first == SIM_CUSTOMERS || shard->customers[i].due_ms < shard->customers[first].due_ms))
                first = i;
        op->u.load.next_due_ms = first == SIM_CUSTOMERS ? TAGD_NEVER : shard->customers[first].due_ms;
        if (op->u.load.next_due_ms == TAGD_NEVER || op->u.load.next_due_ms > op->u.load.due_to_ms ||
            op->u.load.n_due == op->u.load.due_max)
            return;
        taken[first] = true;
        struct tagd_load_item *item = &op->u.load.due[op->u.load.n_due++];
        *item = item_of(sim, shard, first, op->u.load.with_told);
        struct tagd_str known = {NULL, 0};
        if (op->u.load.known != NULL)
            known = op->u.load.known(op->u.load.known_to, item->customer);
        if (known.p != NULL)
            item->bytes = known;
    }
}

static void load_walk(struct sim *sim, const struct sim_store_shard *shard, struct tagd_op *op)
{
    size_t left = op->u.load.walk_from;
    op->u.load.walk = tagd_arena_zalloc(op->arena, (SIM_CUSTOMERS + 1) * sizeof(*op->u.load.walk));
    op->u.load.n_walk = 0;
    for (uint32_t i = 0; i < SIM_CUSTOMERS && op->u.load.n_walk < op->u.load.walk_max; i++) {
        if (shard->customers[i].bytes.n == 0)
            continue;
        if (left > 0)
            left--;
        else
            op->u.load.walk[op->u.load.n_walk++] = item_of(sim, shard, i, false);
    }
}

void sim_store_load(struct sim *sim, struct tagd_op *op)
{
    const struct sim_store_shard *shard = &sim->store.shards[op->shard];
    for (size_t i = 0; i < op->u.load.n_items; i++) {
        int customer = sim_customer_of(op->u.load.items[i].customer);
        if (!op->u.load.items[i].known)
            op->u.load.items[i].bytes = customer < 0 ? (struct tagd_str){NULL, 0} : shard->customers[customer].bytes;
        if (op->u.load.with_told)
            op->u.load.items[i].told = customer < 0 ? (struct tagd_str){NULL, 0} : shard->customers[customer].told;
    }
    op->u.load.n_due = 0;
    op->u.load.due = NULL;
    op->u.load.next_due_ms = TAGD_NEVER;
    if (op->u.load.due_to_ms != INT64_MIN)
        load_due(sim, shard, op);
    load_walk(sim, shard, op);
    op->u.load.settle = tagd_arena_zalloc(op->arena, (SIM_CUSTOMERS + 1) * sizeof(*op->u.load.settle));
    op->u.load.n_settle = 0;
    for (uint32_t i = 0; i < SIM_CUSTOMERS && op->u.load.n_settle < op->u.load.settle_max; i++)
        if (shard->customers[i].told.n > 0)
            op->u.load.settle[op->u.load.n_settle++] = item_of(sim, shard, i, true);
}

bool sim_store_compare(const struct sim *sim, const struct tagd_shard_writes *writes, uint64_t *version)
{
    const struct sim_store_shard *shard = &sim->store.shards[writes->shard];
    *version = shard->version;
    return shard->fence == writes->fence && shard->head.fence == writes->base_fence &&
           shard->head.batch == writes->base_batch;
}

static bool is_gone(const struct tagd_profile_write *write, struct tagd_str field)
{
    bool gone = false;
    for (size_t i = 0; i < write->n_gone; i++)
        gone = gone || tagd_str_eq(write->gone[i], field);
    return gone;
}

/* The view of before, "field=value;" ..., with only what differs written over it, would be the new one. */
static bool differs_as_said(struct tagd_str before, const struct tagd_profile_write *write)
{
    size_t n_same = 0, n_kept = 0;
    for (size_t i = 0; i < write->n_view; i++)
        n_same += write->view_same[i];
    while (before.n > 0) {
        size_t n = (size_t)((const char *)memchr(before.p, ';', before.n) - before.p);
        size_t equals = (size_t)((const char *)memchr(before.p, '=', n) - before.p), i = 0;
        struct tagd_str field = {before.p, equals}, value = {before.p + equals + 1, n - equals - 1};
        while (i < write->n_view && !tagd_str_eq(write->view[2 * i], field))
            i++;
        if (i == write->n_view ? !is_gone(write, field)
                               : write->view_same[i] && !tagd_str_eq(write->view[2 * i + 1], value))
            return false;
        n_kept += i < write->n_view && write->view_same[i];
        before = (struct tagd_str){before.p + n + 1, before.n - n - 1};
    }
    return n_kept == n_same;
}

static void write_profile(struct sim *sim, struct sim_store_shard *shard, const struct tagd_profile_write *write,
                          bool repairing)
{
    int customer = sim_customer_of(write->customer);
    if (customer < 0 || customer >= SIM_CUSTOMERS) {
        sim_fail(sim, "a profile of \"%.*s\", who is no customer", (int)write->customer.n, write->customer.p);
        return;
    }
    struct sim_customer *to = &shard->customers[customer];
    to->bytes = sim_keep(sim, write->bytes);
    if (write->due_changed)
        to->due_ms = write->due_ms;
    if (write->view_changed && write->view_same != NULL && !differs_as_said(to->view, write))
        sim_fail(sim, "the view of %.*s, \"%.*s\", doesn't become the new one by what is written of it",
                 (int)write->customer.n, write->customer.p, (int)to->view.n, to->view.p);
    struct tagd_buf view = {0};
    for (size_t i = 0; write->view_changed && i < write->n_view; i++)
        tagd_buf_printf(&view, "%.*s=%.*s;", (int)write->view[2 * i].n, write->view[2 * i].p,
                        (int)write->view[2 * i + 1].n, write->view[2 * i + 1].p);
    if (write->view_changed) {
        to->view = sim_keep(sim, (struct tagd_str){view.p, view.n});
        sim_check_view(sim, (uint32_t)customer, to->view);
    }
    tagd_buf_free(&view);
    if (!repairing)
        sim_check_profile(sim, (uint32_t)customer, to);
}

/* A repair of a copy that has gone further than what was published: what it did there comes out as differences, which
 * tell of what is, and not how it came about. */
static void look_for_differences(struct sim *sim, const struct tagd_shard_writes *writes)
{
    const struct tagd_head *head = &sim->store.shards[writes->shard].head;
    uint64_t fence, batch;
    int64_t watermark_ms;
    for (uint32_t topic = 0; topic < sim->plan.n_topics && writes->head.repair.phase == TAGD_REPAIR_TELLING; topic++) {
        const struct sim_source *source = &sim->broker.sources[topic][writes->shard];
        bool read = tagd_metadata_read(source->metadata, &fence, &batch, &watermark_ms);
        sim->lossy = sim->lossy || (head->exists && (head->next_offset[topic] > source->offset ||
                                                     (read && head->watermark_ms > watermark_ms)));
    }
}

/* Best if the dead letter is of the last record: another owner may well come less far. */
static void look_for_race(struct sim *sim, const struct tagd_shard_writes *writes)
{
    struct tagd_outbox_content content;
    if (sim->store.race != SIM_RACE_WAITS || writes->outbox.n == 0 ||
        !tagd_outbox_read(writes->outbox, &sim->memory, &content))
        return;
    for (size_t i = 0; i < content.n_outputs; i++) {
        const struct tagd_outbox_output *output = &content.outputs[i];
        if (output->kind == TAGD_OUT_DEAD_LETTER && output->offset + 1 == content.offset[output->topic] &&
            sim->store.shards[writes->shard].head.next_offset[output->topic] < output->offset) {
            sim->store.race = SIM_RACE_STARTS;
            sim->store.racer = sim_node_of(sim, tagd_str_of(writes->head.owner));
        }
    }
}

void sim_store_write(struct sim *sim, const struct tagd_shard_writes *writes, uint64_t outbox_low)
{
    struct sim_store_shard *shard = &sim->store.shards[writes->shard];
    size_t n = 0;
    if (!writes->head.exists)
        return;
    shard->version = ++sim->store.version;
    look_for_differences(sim, writes);
    for (size_t i = 0; i < writes->n_profiles; i++)
        write_profile(sim, shard, &writes->profiles[i],
                      shard->head.repair.phase != TAGD_NO_REPAIR || writes->head.repair.phase != TAGD_NO_REPAIR);
    for (size_t i = 0; i < writes->n_told; i++) {
        int customer = sim_customer_of(writes->told[i].customer);
        if (customer >= 0)
            shard->customers[customer].told = sim_keep(sim, writes->told[i].bytes);
    }
    if (writes->outbox.n > 0) { /* HSET: it replaces */
        for (size_t i = 0; i < shard->n_outbox; i++)
            if (shard->outbox[i].batch != writes->head.batch)
                shard->outbox[n++] = shard->outbox[i];
        assert(n < SIM_OUTBOX);
        shard->outbox[n++] = (struct tagd_outbox_entry){writes->head.fence, writes->head.batch, writes->head.prev_fence,
                                                        sim_keep(sim, writes->outbox)};
        shard->n_outbox = n;
    }
    n = 0;
    for (size_t i = 0; i < shard->n_outbox; i++)
        if (shard->outbox[i].batch < outbox_low || shard->outbox[i].batch > writes->outbox_drop_to)
            shard->outbox[n++] = shard->outbox[i];
    shard->n_outbox = n;
    look_for_race(sim, writes);
    shard->head = writes->head;
    sim_population_write(sim, shard, &writes->population);
    sim_check_population(sim, writes->shard);
    keep_snapshot(sim);
}

/* ---- its faults ---- */

void sim_store_cut(struct sim *sim)
{
    sim->store.epoch++;
}

static void become(struct sim *sim, const struct sim_store_shard *shards)
{
    memcpy(sim->store.shards, shards, sizeof(sim->store.shards));
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        sim->store.shards[shard].version = ++sim->store.version;
    sim_store_cut(sim);
}

/* At most a second's worth is lost. */
static const struct sim_snapshot *snapshot_of(const struct sim *sim, uint32_t back)
{
    const struct sim_store *store = &sim->store;
    const struct sim_snapshot *found = NULL;
    for (size_t i = 0; i <= back && i < SIM_SNAPSHOTS && i < store->n_snapshots; i++) {
        const struct sim_snapshot *snapshot = &store->snapshots[(store->n_snapshots - 1 - i) % SIM_SNAPSHOTS];
        if (found != NULL && sim->now_ms - snapshot->at_ms > 1500)
            break;
        found = snapshot;
    }
    return found;
}

void sim_store_go_back(struct sim *sim, uint32_t snapshots)
{
    const struct sim_snapshot *snapshot = snapshot_of(sim, snapshots);
    if (snapshot != NULL)
        become(sim, snapshot->shards);
    keep_snapshot(sim);
}

void sim_store_fail_over(struct sim *sim, uint32_t snapshots, int64_t back_ms)
{
    memcpy(sim->store.other, sim->store.shards, sizeof(sim->store.shards));
    sim->store.back_ms = back_ms;
    sim_store_go_back(sim, snapshots);
}

void sim_store_tick(struct sim *sim)
{
    if (sim->now_ms < sim->store.back_ms)
        return;
    SIM_TRACE(sim, "store: back to the copy before the failover");
    sim->store.back_ms = SIM_NEVER;
    become(sim, sim->store.other);
    keep_snapshot(sim);
}

void sim_store_empty(struct sim *sim)
{
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        clear_shard(sim, &sim->store.shards[shard]);
    if (sim_percent(&sim->random, 50)) /* else it was told to */
        sim_store_cut(sim);
    keep_snapshot(sim);
}
