/* The broker: source partitions, output partitions with transactions, committed offsets, the group. Modelled after Kafka:
 * a transactional id's epoch fences off earlier producers; ending a transaction appends a marker to every partition it
 * touched; records of open transactions, and all behind them, aren't seen by read_committed; offsets sent to a
 * transaction count when it is committed, and only from the group's present generation; a transaction that stays open is
 * aborted after its timeout. */
#include "sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void sim_broker_open(struct sim *sim)
{
    struct sim_broker *broker = &sim->broker;
    for (uint32_t topic = 0; topic < SIM_TOPICS; topic++)
        for (uint32_t shard = 0; shard < SIM_SHARDS; shard++) {
            struct sim_source *source = &broker->sources[topic][shard];
            source->records = tagd_arena_alloc(&sim->memory, (SIM_EVENTS_MAX + 64) * sizeof(*source->records));
            source->offset = -1;
        }
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        memset(broker->transactions[i].first, -1, sizeof(broker->transactions[i].first));
        broker->group.members[i].down_ms = SIM_NEVER;
    }
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        broker->group.owner[shard] = -1;
}

void sim_broker_append(struct sim *sim, const struct sim_event *event)
{
    uint32_t topic = event->record.topic, shard = (uint32_t)event->record.partition;
    struct sim_source *source = &sim->broker.sources[topic][shard];
    assert(source->high < SIM_EVENTS_MAX + 64);
    struct sim_in *in = &source->records[source->high];
    *in = (struct sim_in){.record = event->record,
                          .customer = event->customer,
                          .marker = event->marker,
                          .bad = event->bad,
                          .poison = event->poison,
                          .at_ms = sim->now_ms};
    in->record.offset = source->high++;
    SIM_TRACE(sim, "append %u/%u @%lld %s %.*s", topic, shard, (long long)in->record.offset, in->marker ? "marker" : "",
              (int)(in->record.value.n < 180 ? in->record.value.n : 180), in->record.value.p);
    sim_node_appended(sim, topic, shard);
}

/* ---- transactions ---- */

int64_t sim_broker_stable(const struct sim *sim, int kind, uint32_t shard)
{
    int64_t stable = sim->broker.logs[kind][shard].high;
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        int64_t first = sim->broker.transactions[i].first[kind][shard];
        if (first >= 0 && first < stable)
            stable = first;
    }
    return stable;
}

static struct sim_out *push(struct sim *sim, int kind, uint32_t shard)
{
    struct sim_log *log = &sim->broker.logs[kind][shard];
    if (log->high == log->cap) {
        log->cap = log->cap > 0 ? 2 * log->cap : 64;
        struct sim_out *records = tagd_arena_alloc(&sim->memory, (size_t)log->cap * sizeof(*records));
        if (log->high > 0)
            memcpy(records, log->records, (size_t)log->high * sizeof(*records));
        log->records = records;
    }
    struct sim_out *out = &log->records[log->high];
    *out = (struct sim_out){0};
    out->record.offset = log->high++;
    out->record.partition = (int32_t)shard;
    out->record.timestamp_ms = SIM_WALL_MS + sim->now_ms;
    return out;
}

/* What a concurrent reader sees now. */
static void look(struct sim *sim, int kind, uint32_t shard)
{
    struct sim_log *log = &sim->broker.logs[kind][shard];
    int64_t stable = sim_broker_stable(sim, kind, shard);
    for (; log->seen < stable; log->seen++)
        if (log->records[log->seen].state == SIM_OUT_COMMITTED)
            sim_check_output(sim, (enum tagd_output_kind)kind, shard, &log->records[log->seen]);
}

void sim_broker_append_output(struct sim *sim, const struct tagd_shard_outputs *outputs, size_t i,
                              enum sim_out_state state, uint32_t producer)
{
    const struct tagd_output *from = &outputs->outputs[i];
    int kind = (int)from->kind;
    struct sim_out *out = push(sim, kind, outputs->shard);
    struct tagd_header *headers = tagd_arena_alloc(&sim->memory, (from->n_headers + 2) * sizeof(*headers));
    out->state = state;
    out->producer = producer;
    out->at = (struct tagd_position){true, outputs->fence, outputs->batch};
    out->index = from->index;
    out->record.key = sim_keep(sim, from->key);
    out->record.value = sim_keep(sim, from->value);
    out->record.has_key = from->has_key;
    out->record.has_value = from->has_value;
    for (size_t h = 0; h < from->n_headers; h++)
        headers[h] = (struct tagd_header){sim_keep(sim, from->headers[h].name), sim_keep(sim, from->headers[h].value)};
    headers[from->n_headers] = (struct tagd_header){
        TAGD_STR("tagd_batch"),
        tagd_str_of(tagd_arena_printf(&sim->memory, "%llu.%llu.%u", (unsigned long long)outputs->fence,
                                      (unsigned long long)outputs->batch, from->index))};
    headers[from->n_headers + 1] = (struct tagd_header){TAGD_STR("tagd_group"), TAGD_STR("g")};
    out->record.headers = headers;
    out->record.n_headers = from->n_headers + 2;
    look(sim, kind, outputs->shard);
}

uint32_t sim_broker_init(struct sim *sim, uint32_t id)
{
    struct sim_transaction *transaction = &sim->broker.transactions[id];
    if (transaction->open)
        sim_broker_end(sim, id, transaction->epoch, false);
    return ++transaction->epoch;
}

static bool open_transaction(struct sim *sim, uint32_t id, uint32_t epoch)
{
    struct sim_transaction *transaction = &sim->broker.transactions[id];
    if (transaction->epoch != epoch)
        return false;
    if (transaction->open)
        return true;
    transaction->open = true;
    transaction->began_ms = sim->now_ms;
    sim_late_ends_come(sim, id);
    return true;
}

bool sim_broker_produce(struct sim *sim, uint32_t id, uint32_t epoch, const struct tagd_shard_outputs *outputs)
{
    struct sim_transaction *transaction = &sim->broker.transactions[id];
    if (!open_transaction(sim, id, epoch))
        return false;
    for (size_t i = 0; i < outputs->n_outputs; i++) {
        int kind = (int)outputs->outputs[i].kind;
        if (transaction->first[kind][outputs->shard] < 0)
            transaction->first[kind][outputs->shard] = sim->broker.logs[kind][outputs->shard].high;
        sim_broker_append_output(sim, outputs, i, SIM_OUT_OPEN, id);
    }
    return true;
}

bool sim_broker_add_offsets(struct sim *sim, uint32_t id, uint32_t epoch, const struct tagd_shard_outputs *outputs)
{
    struct sim_pending *pending = &sim->broker.transactions[id].pending[outputs->shard];
    if (!open_transaction(sim, id, epoch))
        return false;
    memcpy(pending->offset, outputs->offset, sizeof(pending->offset));
    pending->metadata = sim_keep(sim, outputs->metadata);
    pending->given = true;
    return true;
}

void sim_broker_set_offsets(struct sim *sim, const struct tagd_shard_outputs *outputs)
{
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
        struct sim_source *source = &sim->broker.sources[topic][outputs->shard];
        source->offset = outputs->offset[topic] < 0 ? 0 : outputs->offset[topic];
        source->metadata = sim_keep(sim, outputs->metadata);
    }
}

bool sim_broker_unstable(const struct sim *sim, uint32_t shard)
{
    for (uint32_t i = 0; i < SIM_NODES; i++)
        if (sim->broker.transactions[i].open && sim->broker.transactions[i].pending[shard].given)
            return true;
    return false;
}

static void end_records(struct sim *sim, uint32_t id, int kind, uint32_t shard, bool commit)
{
    struct sim_transaction *transaction = &sim->broker.transactions[id];
    struct sim_log *log = &sim->broker.logs[kind][shard];
    int64_t first = transaction->first[kind][shard];
    if (first < 0)
        return;
    for (int64_t i = first; i < log->high; i++)
        if (log->records[i].state == SIM_OUT_OPEN && log->records[i].producer == id)
            log->records[i].state = commit ? SIM_OUT_COMMITTED : SIM_OUT_ABORTED;
    transaction->first[kind][shard] = -1;
    push(sim, kind, shard)->state = SIM_OUT_MARKER;
}

bool sim_broker_end(struct sim *sim, uint32_t id, uint32_t epoch, bool commit)
{
    struct sim_transaction *transaction = &sim->broker.transactions[id];
    if (transaction->epoch != epoch)
        return false;
    if (!transaction->open)
        return true;
    transaction->open = false;
    if (commit && sim->store.race == SIM_RACE_GOES_ON) {
        sim->store.race = SIM_NO_RACE;
        sim->store.back_ms = sim->now_ms;
    }
    SIM_TRACE(sim, "broker: transaction of %u %s", id, commit ? "committed" : "aborted");
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++) {
        struct sim_pending *pending = &transaction->pending[shard];
        for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++)
            end_records(sim, id, kind, shard, commit);
        if (pending->given && commit) {
            struct tagd_shard_outputs outputs = {.shard = shard, .metadata = pending->metadata};
            memcpy(outputs.offset, pending->offset, sizeof(pending->offset));
            sim_broker_set_offsets(sim, &outputs);
        }
        pending->given = false;
    }
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++)
            look(sim, kind, shard);
    return true;
}

/* ---- the group ---- */

bool sim_group_knows(const struct sim *sim, uint32_t node, uint32_t member, uint32_t generation)
{
    const struct sim_group *group = &sim->broker.group;
    return group->members[node].in && group->members[node].id == member && group->generation == generation;
}

static void tell_assignment(struct sim *sim, uint32_t node, int64_t delay_ms)
{
    struct sim_node *to = &sim->nodes[node];
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        to->event_shards[shard] = sim->broker.group.owner[shard] == (int)node;
    sim_node_hears(sim, to, SIM_ASSIGNED, delay_ms);
}

/* Range: members by instance id, partitions in a row. */
static void finish_rebalance(struct sim *sim)
{
    struct sim_group *group = &sim->broker.group;
    uint32_t n = 0, at = 0, shard = 0;
    for (uint32_t i = 0; i < SIM_NODES; i++)
        n += group->members[i].in;
    group->rebalancing = false;
    group->generation++;
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        if (!group->members[i].in)
            continue;
        uint32_t share = sim->plan.n_shards / n + (at < sim->plan.n_shards % n);
        for (uint32_t k = 0; k < share; k++)
            group->owner[shard++] = (int)i;
        at++;
    }
    SIM_TRACE(sim, "group: generation %u, %u members", group->generation, n);
    for (uint32_t i = 0; i < SIM_NODES; i++)
        if (group->members[i].in && sim->nodes[i].member == group->members[i].id) /* else it joins, and hears then */
            tell_assignment(sim, i, sim_between(&sim->random, 0, 50));
}

static void finish_if_all_joined(struct sim *sim)
{
    const struct sim_group *group = &sim->broker.group;
    bool any = false;
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        if (group->members[i].in && !group->members[i].joined)
            return;
        any = any || group->members[i].in;
    }
    if (group->rebalancing && any)
        finish_rebalance(sim);
}

void sim_group_rebalance(struct sim *sim)
{
    struct sim_group *group = &sim->broker.group;
    if (group->rebalancing)
        return;
    group->rebalancing = true;
    group->since_ms = sim->now_ms;
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        group->members[i].joined = false;
        if (group->members[i].in && sim->nodes[i].has_membership && sim->nodes[i].member == group->members[i].id)
            sim_node_hears(sim, &sim->nodes[i], SIM_REVOKED, sim_between(&sim->random, 1, 500));
        else if (group->members[i].in && sim->nodes[i].alive && sim->nodes[i].member == group->members[i].id) {
            group->members[i].joined = true; /* it has no assignment that would go first, */
            if (sim->nodes[i].event == SIM_ASSIGNED)
                sim->nodes[i].event = SIM_NO_EVENT; /* and the one it was to hear of is void */
        }
    }
    finish_if_all_joined(sim);
}

void sim_group_join(struct sim *sim, uint32_t node)
{
    struct sim_group *group = &sim->broker.group;
    struct sim_member *member = &group->members[node];
    bool known = member->in, same = known && member->id == sim->nodes[node].member;
    if (!same) {
        member->id = ++group->next_id;
        sim->nodes[node].member = member->id;
    }
    member->in = true;
    member->down_ms = SIM_NEVER;
    if (known && !group->rebalancing) { /* a static member that came back: nothing changes but its member id */
        tell_assignment(sim, node, sim_between(&sim->random, 1, 50));
        return;
    }
    sim_group_rebalance(sim);
    member->joined = true;
    finish_if_all_joined(sim);
}

void sim_group_leave(struct sim *sim, uint32_t node)
{
    struct sim_group *group = &sim->broker.group;
    if (!group->members[node].in)
        return;
    SIM_TRACE(sim, "group: member %u is dropped", node);
    group->members[node].in = false;
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        if (group->owner[shard] == (int)node)
            group->owner[shard] = -1;
    if (sim->nodes[node].alive && sim->nodes[node].member == group->members[node].id)
        sim_node_hears(sim, &sim->nodes[node], SIM_LOST, sim_between(&sim->random, 1, 800));
    sim_group_rebalance(sim);
    finish_if_all_joined(sim);
}

/* ---- time ---- */

static void expire_members(struct sim *sim)
{
    struct sim_group *group = &sim->broker.group;
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        struct sim_member *member = &group->members[i];
        const struct sim_node *node = &sim->nodes[i];
        bool heard = node->alive && !node->paused && node->member == member->id;
        if (!member->in)
            continue;
        if (heard)
            member->down_ms = SIM_NEVER;
        else if (member->down_ms == SIM_NEVER)
            member->down_ms = sim->now_ms;
        if (!heard && sim->now_ms - member->down_ms >= SIM_SESSION_MS)
            sim_group_leave(sim, i);
    }
    if (!group->rebalancing || sim->now_ms - group->since_ms < SIM_REBALANCE_MS)
        return;
    for (uint32_t i = 0; i < SIM_NODES; i++)
        if (group->members[i].in && !group->members[i].joined)
            sim_group_leave(sim, i);
}

void sim_broker_tick(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        struct sim_transaction *transaction = &sim->broker.transactions[i];
        if (!transaction->open || sim->now_ms - transaction->began_ms < SIM_TRANSACTION_MS)
            continue;
        sim->coverage->timeouts++;
        sim_broker_init(sim, i); /* the coordinator bumps the epoch, too */
    }
    expire_members(sim);
}
