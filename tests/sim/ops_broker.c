/* What is asked of the broker, and PUBLISH, as daemon/io/kafka_*.c do it: a transaction given up, an end that was sent
 * twice and the taint it leaves. */
#include "ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define ASK_TIMEOUT_MS 4000

static bool sim_broker_is_down(const struct sim *sim)
{
    return sim->now_ms < sim->broker.down_until_ms;
}

/* A question that is asked again and again until its time is over. True: not now. */
static bool unanswered(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    bool lost = sim_op_is(task, SIM_LOST_BEFORE) || sim_op_is(task, SIM_LOST_AFTER);
    if (!lost && !sim_broker_is_down(sim))
        return false;
    if (sim->now_ms - task->began_ms >= ASK_TIMEOUT_MS)
        sim_op_finish(node, task, TAGD_ABORTED, "Kafka: no answer in time");
    else
        task->at_ms = sim->now_ms + ASK_TIMEOUT_MS / 4;
    return true;
}

static void renew(struct sim_node *node)
{
    node->ready = false;
    if (sim_broker_is_down(node->sim))
        return;
    node->epoch = sim_broker_init(node->sim, node->index);
    node->ready = true;
}

/* Earlier transactions of ours are over. */
static bool settled(struct sim_node *node, struct sim_task *task)
{
    if (node->sim->plan.at_least_once && task->op->kind != TAGD_OP_PUBLISH)
        return true;
    if (unanswered(node, task))
        return false;
    if (!node->ready)
        renew(node);
    return true;
}

static void ask_committed(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    if (unanswered(node, task))
        return;
    if (task->stage == 2) {
        for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
            op->u.committed.topics[topic].low = sim->broker.sources[topic][op->shard].low;
            op->u.committed.topics[topic].high = sim->broker.sources[topic][op->shard].high;
        }
        sim_op_finish(node, task, TAGD_DONE, "");
        return;
    }
    if (sim->plan.stable_reads && sim_broker_unstable(sim, op->shard)) { /* the client asks again */
        if (sim->now_ms - task->began_ms >= ASK_TIMEOUT_MS)
            sim_op_finish(node, task, TAGD_ABORTED, "Kafka: offsets are not stable");
        else
            task->at_ms = sim->now_ms + 100;
        return;
    }
    op->u.committed.topics = tagd_arena_zalloc(op->arena, SIM_TOPICS * sizeof(*op->u.committed.topics));
    memset(op->u.committed.outputs_end, 0, sizeof(op->u.committed.outputs_end));
    for (int output = 0; output < tagd_output_kinds(sim->plan.catalog); output++)
        op->u.committed.outputs_end[output] = sim_broker_stable(sim, output, op->shard);
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
        op->u.committed.topics[topic].offset = sim->broker.sources[topic][op->shard].offset;
        op->u.committed.topics[topic].metadata = sim->broker.sources[topic][op->shard].metadata;
    }
    sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
}

static struct tagd_position tail_of(const struct sim *sim, int kind, uint32_t shard)
{
    const struct sim_log *log = &sim->broker.logs[kind][shard];
    struct tagd_position last = {0};
    int64_t stable = sim_broker_stable(sim, kind, shard);
    for (int64_t i = log->low; i < stable; i++)
        if (log->records[i].state == SIM_OUT_COMMITTED && tagd_position_later(log->records[i].at, last))
            last = log->records[i].at;
    return last;
}

static void ask_tail(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    if (unanswered(node, task))
        return;
    if (task->stage == 1) {
        op->u.tail.last = (struct tagd_position){0};
        memset(op->u.tail.emptied, 0, sizeof(op->u.tail.emptied));
    }
    struct tagd_position last = tail_of(node->sim, (int)task->stage - 1, op->shard);
    op->u.tail.emptied[task->stage - 1] = !last.found && node->sim->broker.logs[task->stage - 1][op->shard].low > 0;
    if (tagd_position_later(last, op->u.tail.last))
        op->u.tail.last = last;
    if ((int)task->stage == tagd_output_kinds(node->sim->plan.catalog))
        sim_op_finish(node, task, TAGD_DONE, "");
    else
        sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
}

/* The first offset from which the batch, a later one or a later fence is found; *whole: nothing before it that matters is
 * lost. */
static int64_t find_batch(const struct sim_log *log, int64_t stable, uint64_t fence, uint64_t batch, bool *whole)
{
    int64_t began = log->low;
    bool earlier = false;
    for (int64_t i = log->low; i < stable; i++) {
        if (log->records[i].state != SIM_OUT_COMMITTED)
            continue;
        if (log->records[i].at.batch >= batch || log->records[i].at.fence > fence)
            break;
        earlier = true;
        began = i + 1;
    }
    *whole = earlier || began == 0;
    return began;
}

static void ask_outputs(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    const struct sim_log *log = &sim->broker.logs[op->u.outputs.kind][op->shard];
    int64_t stable = sim_broker_stable(sim, (int)op->u.outputs.kind, op->shard);
    if (unanswered(node, task))
        return;
    if ((int)op->u.outputs.kind >= tagd_output_kinds(sim->plan.catalog))
        sim_fail(sim, "outputs of kind %d are asked for, and the catalog has none", (int)op->u.outputs.kind);
    op->u.outputs.whole = op->u.outputs.from >= log->low;
    op->u.outputs.began = op->u.outputs.whole ? op->u.outputs.from : log->low;
    if (op->u.outputs.from < 0)
        op->u.outputs.began = find_batch(log, stable, op->u.outputs.fence, op->u.outputs.batch, &op->u.outputs.whole);
    op->u.outputs.outputs = tagd_arena_alloc(op->arena, (op->u.outputs.max + 1) * sizeof(*op->u.outputs.outputs));
    op->u.outputs.n_outputs = 0;
    int64_t at = op->u.outputs.began;
    for (; at < stable && op->u.outputs.n_outputs < op->u.outputs.max; at++)
        if (log->records[at].state == SIM_OUT_COMMITTED)
            op->u.outputs.outputs[op->u.outputs.n_outputs++] =
                (struct tagd_published){log->records[at].at, log->records[at].record};
    op->u.outputs.next = at;
    op->u.outputs.end = at >= stable;
    sim_op_finish(node, task, TAGD_DONE, "");
}

int sim_node_of(const struct sim *sim, struct tagd_str owner)
{
    for (uint32_t i = 0; i < sim->n_nodes; i++) {
        char name[32];
        snprintf(name, sizeof(name), "g-p%u-%u", i / sim->plan.n_workers, i % sim->plan.n_workers);
        if (tagd_str_eq(owner, tagd_str_of(name)))
            return (int)i;
    }
    return -1;
}

static void end_owner(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    int owner = sim_node_of(sim, task->op->u.end_owner.owner);
    if (owner < 0) {
        sim_fail(sim, "END_OWNER of nobody: \"%.*s\"", (int)task->op->u.end_owner.owner.n,
                 task->op->u.end_owner.owner.p);
        sim_op_finish(node, task, TAGD_REFUSED, "no transactional id");
        return;
    }
    if (node->ended[owner] || (owner == (int)node->index && !sim->plan.at_least_once)) {
        sim_op_finish(node, task, TAGD_DONE, "");
        return;
    }
    if (sim_op_is(task, SIM_DENIED)) {
        sim_op_finish(node, task, TAGD_DENIED, "NOPERM: no right to that transactional id");
        return;
    }
    if (task->fate == SIM_LOST_AFTER && task->stage == task->fate_stage)
        sim_broker_init(sim, (uint32_t)owner);
    if (unanswered(node, task))
        return;
    sim_broker_init(sim, (uint32_t)owner);
    node->ended[owner] = true;
    sim_op_finish(node, task, TAGD_DONE, "");
}

/* Deleted records that the store hasn't read: from here on nothing exact is known. */
static void note_passed_over(struct sim *sim, uint32_t shard, uint32_t topic, int64_t offset)
{
    const struct tagd_head *head = &sim->store.shards[shard].head;
    const struct sim_source *source = &sim->broker.sources[topic][shard];
    for (int64_t i = head->next_offset[topic] > 0 ? head->next_offset[topic] : 0; i < offset && i < source->low; i++)
        sim->lossy = sim->lossy || !source->records[i].marker;
}

/* Between the question where to begin and the beginning, the shard goes, or its next records do. */
static void start_late(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct sim_source *source = &sim->broker.sources[0][task->op->shard];
    if (sim_op_is(task, SIM_STOLEN)) {
        sim_group_leave(sim, node->index);
        task->at_ms = sim->now_ms + 1000;
    } else if (task->op->u.start.offsets[0] >= 0 && task->op->u.start.offsets[0] < source->high) {
        source->low = task->op->u.start.offsets[0] + 1;
        sim->happened[SIM_GAP] = true;
    }
    task->fate = SIM_FAULTS;
}

static void start(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    bool stolen = sim_op_is(task, SIM_STOLEN);
    if (stolen || sim_op_is(task, SIM_REFUSED))
        start_late(node, task);
    if (stolen)
        return;
    if (!node->assigned[op->shard]) {
        sim_op_finish(node, task, TAGD_FENCED, "the shard isn't ours");
        return;
    }
    if (unanswered(node, task))
        return;
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
        const struct sim_source *source = &sim->broker.sources[topic][op->shard];
        int64_t offset = op->u.start.offsets[topic] < 0 ? source->low : op->u.start.offsets[topic];
        if (offset < source->low || offset > source->high) {
            sim_op_finish(node, task, TAGD_GONE, "no such offset");
            return;
        }
        note_passed_over(sim, op->shard, topic, offset);
        op->u.start.offsets[topic] = offset;
        node->readings[topic][op->shard] = (struct sim_reading){.next = offset,
                                                                .fetched = offset,
                                                                .fetch_ms = sim->now_ms + sim_op_delay(sim, NULL, 15),
                                                                .confirmed_ms = sim->now_ms};
    }
    size_t kept = node->at_stash;
    for (size_t i = node->at_stash; i < node->n_stash; i++)
        if (node->stash[i].shard != op->shard)
            node->stash[kept++] = node->stash[i];
    node->n_stash = kept;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++) /* the assignment is replaced: all are fetched anew */
        for (uint32_t topic = 0; topic < sim->plan.n_topics && node->running[shard]; topic++) {
            struct sim_reading *reading = &node->readings[topic][shard];
            reading->fetched = reading->next;
            reading->fetch_ms = sim->now_ms + sim_op_delay(sim, NULL, 15);
        }
    sim_op_finish(node, task, TAGD_DONE, "");
}

static void refetch(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    const struct sim_source *source = &node->sim->broker.sources[op->u.refetch.topic][op->shard];
    if (unanswered(node, task))
        return;
    if (op->u.refetch.offset < source->low || op->u.refetch.offset >= source->high) {
        sim_op_finish(node, task, TAGD_GONE, "the record is no longer there");
        return;
    }
    op->u.refetch.record = source->records[op->u.refetch.offset].record;
    sim_op_finish(node, task, TAGD_DONE, "");
}

static void commit_offsets(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    if (sim_op_is(task, SIM_LOST_BEFORE) || sim_op_is(task, SIM_LOST_AFTER) || sim_broker_is_down(sim)) {
        sim_op_finish(node, task, TAGD_ABORTED, "Kafka: no answer");
        return;
    }
    if (!node->has_membership || sim->broker.group.rebalancing ||
        !sim_group_knows(sim, node->index, node->membership_id, node->membership_generation)) {
        sim_op_finish(node, task, TAGD_ABORTED, "Kafka: not a member of this generation");
        return;
    }
    for (size_t i = 0; i < op->u.publish.n_shards; i++)
        sim_broker_set_offsets(sim, &op->u.publish.shards[i]);
    sim_op_finish(node, task, TAGD_DONE, "");
}

/* ---- PUBLISH ---- */

/* The end of the transaction was not asked for: it is aborted. */
static void give_up(struct sim_node *node, struct sim_task *task, enum tagd_op_status status, const char *why)
{
    if (status == TAGD_FENCED || sim_broker_is_down(node->sim) || sim_percent(&node->sim->random, 20))
        renew(node);
    else
        sim_broker_end(node->sim, node->index, node->epoch, false);
    sim_op_finish(node, task, status, why);
}

static void produce(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    bool ours = true;
    if (sim_broker_is_down(sim) || sim_op_is(task, SIM_LOST_BEFORE) || sim_op_is(task, SIM_REFUSED)) {
        give_up(node, task, TAGD_ABORTED, "Kafka: a message was not delivered");
        return;
    }
    for (size_t i = 0; i < op->u.publish.n_shards && ours; i++)
        ours = op->u.publish.shards[i].n_outputs == 0 ||
               sim_broker_produce(sim, node->index, node->epoch, &op->u.publish.shards[i]);
    if (!ours)
        give_up(node, task, TAGD_FENCED, "Kafka: the producer is fenced");
    else if (sim_op_is(task, SIM_LOST_AFTER))
        give_up(node, task, TAGD_ABORTED, "Kafka: a message was not acknowledged");
    else
        sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
}

static void send_offsets(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    bool ours = true;
    if (sim_broker_is_down(sim) || sim_op_is(task, SIM_LOST_BEFORE)) {
        give_up(node, task, TAGD_ABORTED, "Kafka: offsets were not taken");
        return;
    }
    if (!sim_group_knows(sim, node->index, node->membership_id, node->membership_generation)) {
        give_up(node, task, TAGD_FENCED, "Kafka: not a member of this generation");
        return;
    }
    for (size_t i = 0; i < op->u.publish.n_shards && ours; i++)
        ours = sim_broker_add_offsets(sim, node->index, node->epoch, &op->u.publish.shards[i]);
    if (!ours)
        give_up(node, task, TAGD_FENCED, "Kafka: the producer is fenced");
    else if (sim_op_is(task, SIM_LOST_AFTER))
        give_up(node, task, TAGD_ABORTED, "Kafka: offsets were not acknowledged");
    else
        sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
}

void sim_op_end_late(struct sim_node *node)
{
    struct sim_late *late = sim_late_new(node->sim);
    if (late == NULL)
        return;
    late->kind = SIM_LATE_END;
    late->id = node->index;
    late->epoch = node->epoch;
    late->commit = true;
}

/* Whether the transaction was committed isn't known to us: the producer is made anew before anything else. */
static void taint(struct sim_node *node, struct sim_task *task)
{
    node->sim->coverage->taints++;
    renew(node);
    sim_op_finish(node, task, TAGD_UNKNOWN, "Kafka: its end was sent more than once");
}

static void end_transaction(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    bool twice = sim_op_is(task, SIM_LOST_BEFORE) || sim_op_is(task, SIM_LOST_AFTER) || sim_op_is(task, SIM_LATE) ||
                 sim_broker_is_down(sim);
    if (twice && task->tries == 0) { /* no answer: the client sends it again by itself */
        task->tries++;
        if (task->fate == SIM_LATE)
            sim_op_end_late(node);
        else if (task->fate == SIM_LOST_AFTER && !sim_broker_is_down(sim))
            sim_broker_end(sim, node->index, node->epoch, true);
        task->fate = SIM_FAULTS;
        task->at_ms = sim->now_ms + sim_between(&sim->random, 1, 3000);
        return;
    }
    if (sim_broker_is_down(sim)) {
        task->at_ms = sim->now_ms + 100;
        return;
    }
    bool ours = sim_broker_end(sim, node->index, node->epoch, true);
    if (task->tries > 0)
        taint(node, task);
    else if (ours)
        sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
    else
        give_up(node, task, TAGD_FENCED, "Kafka: the producer is fenced");
}

static void stage_publish(struct sim_node *node, struct sim_task *task)
{
    switch (task->stage) {
    case 0:
        if (!settled(node, task))
            return;
        if (node->has_membership)
            sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
        else
            sim_op_finish(node, task, TAGD_FENCED, "the group has assigned us nothing");
        return;
    case 1: produce(node, task); return;
    case 2: send_offsets(node, task); return;
    case 3: end_transaction(node, task); return;
    default: sim_op_finish(node, task, TAGD_DONE, ""); return;
    }
}

void sim_op_broker(struct sim_node *node, struct sim_task *task)
{
    enum tagd_op_kind kind = task->op->kind;
    if (kind == TAGD_OP_PUBLISH) {
        stage_publish(node, task);
        return;
    }
    if (task->stage == 0) {
        bool asks = kind == TAGD_OP_COMMITTED || kind == TAGD_OP_TAIL || kind == TAGD_OP_OUTPUTS;
        if (!asks || settled(node, task))
            sim_op_go_on(node, task, SIM_BROKER_DELAY_MS);
        return;
    }
    switch (kind) {
    case TAGD_OP_COMMITTED: ask_committed(node, task); return;
    case TAGD_OP_TAIL: ask_tail(node, task); return;
    case TAGD_OP_OUTPUTS: ask_outputs(node, task); return;
    case TAGD_OP_END_OWNER: end_owner(node, task); return;
    case TAGD_OP_START: start(node, task); return;
    case TAGD_OP_REFETCH: refetch(node, task); return;
    default: commit_offsets(node, task); return;
    }
}
