/* The operations of the port, stage by stage: each stage is one request that a server has dealt with, at an instant of
 * its own, so that anything may happen between two. What each answers is what daemon/io answers: redis.c for FENCE, LOAD
 * and COMMIT (a connection that broke, and the fence that a new one asks for; WATCH and EXEC), kafka_producer.c for
 * PUBLISH (a transaction given up, an end that was sent twice and the taint it leaves), kafka_sender.c for SEND. */
#include "sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REPLY_TIMEOUT_MS 5000
#define ASK_TIMEOUT_MS 4000
#define EXEC_TRIES_MAX 5
#define STORE_MS 3
#define BROKER_MS 8

static int64_t delay(struct sim *sim, const struct sim_task *task, int64_t most_ms)
{
    int64_t ms = sim_between(&sim->random, 1, most_ms) * sim->plan.slowness;
    return task != NULL && task->fate == SIM_SLOW ? 60 * ms : ms;
}

/* ---- the end of an operation ---- */

static void finish(struct sim_node *node, struct sim_task *task, enum tagd_op_status status, const char *why)
{
    struct tagd_op *op = task->op;
    struct sim *sim = node->sim;
    uint32_t shard = op->shard;
    if (op->kind == TAGD_OP_COMMIT || op->kind == TAGD_OP_PUBLISH)
        shard = op->kind == TAGD_OP_COMMIT ? op->u.commit.shards[0].shard : op->u.publish.shards[0].shard;
    sim->coverage->answers[node->running[shard] ? SIM_RUNNING : SIM_TAKING_OVER][op->kind][status]++;
    if (status != TAGD_DONE)
        tagd_fail(&op->error, "%s", why);
    if (op->kind == TAGD_OP_START && status == TAGD_DONE)
        node->running[shard] = true;
    SIM_TRACE(sim, "%s: %d answered %d %s", node->owner, op->kind, status, status == TAGD_DONE ? "" : why);
    op->status = status;
    node->wake_ms = sim->now_ms;
    size_t behind = (size_t)(&node->tasks[node->n_tasks] - task) - 1;
    memmove(task, task + 1, behind * sizeof(*task));
    node->n_tasks--;
    if (!sim->plan.overlapped && node->n_tasks > 0) { /* the thread asks the next thing only now */
        node->tasks[0].began_ms = sim->now_ms;
        node->tasks[0].at_ms = sim->now_ms + delay(sim, NULL, 2);
    }
}

static void go_on(struct sim_node *node, struct sim_task *task, int64_t most_ms)
{
    task->stage++;
    task->at_ms = node->sim->now_ms + delay(node->sim, task, most_ms);
}

static bool is(const struct sim_task *task, enum sim_fault_kind fate)
{
    return task->fate == fate && task->stage == task->fate_stage;
}

/* ---- the store ---- */

/* True: there is a connection, perhaps a new one. */
static bool connect_store(struct sim_node *node)
{
    struct sim *sim = node->sim;
    if (sim->now_ms < sim->store.down_until_ms) {
        node->connected = false;
        return false;
    }
    if (node->connected)
        return true;
    node->connected = true;
    node->serial++;
    node->store_epoch = sim->store.epoch;
    return true;
}

/* A request on it gets no answer: it is cut. */
static bool cut(struct sim_node *node)
{
    if (!node->connected || node->sim->now_ms < node->sim->store.down_until_ms ||
        node->store_epoch != node->sim->store.epoch)
        node->connected = false;
    return !node->connected;
}

static void settle(struct tagd_op *op, enum tagd_op_status status)
{
    for (size_t i = 0; op->kind == TAGD_OP_COMMIT && i < op->u.commit.n_shards; i++)
        if (op->u.commit.shards[i].status == TAGD_PENDING)
            op->u.commit.shards[i].status = status;
}

static void finish_store(struct sim_node *node, struct sim_task *task, enum tagd_op_status status, const char *why)
{
    settle(task->op, status);
    finish(node, task, status, why);
}

/* What the operation is called when its connection breaks. */
static enum tagd_op_status broken(const struct sim_task *task)
{
    if (task->op->kind == TAGD_OP_LOAD)
        return TAGD_UNKNOWN;
    return task->op->kind == TAGD_OP_COMMIT && task->stage >= 2 ? TAGD_UNKNOWN : TAGD_ABORTED;
}

/* No answer comes; after the timeout the connection is left. */
static void hang(struct sim_node *node, struct sim_task *task)
{
    task->stage = 90 + task->stage;
    task->at_ms = node->sim->now_ms + REPLY_TIMEOUT_MS;
}

static bool refused(struct sim_node *node, struct sim_task *task)
{
    bool full = node->sim->now_ms < node->sim->store.full_until_ms && task->op->kind != TAGD_OP_LOAD;
    if (!full && !is(task, SIM_REFUSED))
        return false;
    finish_store(node, task, TAGD_REFUSED, "OOM command not allowed");
    return true;
}

static void store_begin(struct sim_node *node, struct sim_task *task)
{
    if (task->op->kind == TAGD_OP_COMMIT)
        for (size_t i = 0; i < task->op->u.commit.n_shards; i++)
            task->op->u.commit.shards[i].status = TAGD_PENDING;
    if (connect_store(node)) {
        go_on(node, task, STORE_MS);
        return;
    }
    finish_store(node, task, task->op->kind == TAGD_OP_LOAD ? TAGD_UNKNOWN : TAGD_ABORTED, "can't connect to Redis");
}

static void stage_fence(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    if (cut(node)) {
        finish(node, task, TAGD_ABORTED, "Redis: the connection broke");
        return;
    }
    if (task->stage == 1) {
        if (refused(node, task))
            return;
        if (!is(task, SIM_LOST_BEFORE))
            sim_store_fence(node->sim, op);
        if (is(task, SIM_LOST_BEFORE) || is(task, SIM_LOST_AFTER))
            hang(node, task);
        else
            go_on(node, task, STORE_MS);
        return;
    }
    sim_store_read_shard(node->sim, op);
    node->shard_serial[op->shard] = node->serial;
    node->outbox_low[op->shard] = op->u.fence.n_outbox == 0 ? op->u.fence.head.batch + 1 : op->u.fence.outbox[0].batch;
    finish(node, task, TAGD_DONE, "");
}

static void stage_load(struct sim_node *node, struct sim_task *task)
{
    if (cut(node)) {
        finish(node, task, TAGD_UNKNOWN, "Redis: the connection broke");
        return;
    }
    if (node->shard_serial[task->op->shard] != node->serial) {
        finish(node, task, TAGD_UNKNOWN, "the Redis connection is a new one; a new fence is needed");
        return;
    }
    if (refused(node, task))
        return;
    if (task->fate == SIM_LOST_BEFORE || task->fate == SIM_LOST_AFTER) {
        hang(node, task);
        return;
    }
    sim_store_load(node->sim, task->op);
    finish(node, task, TAGD_DONE, "");
}

/* The serial counts before anything is sent. True: it is over. */
static bool needs_fence(struct sim_node *node, struct sim_task *task)
{
    const struct tagd_op *op = task->op;
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        if (node->shard_serial[op->u.commit.shards[i].shard] == node->serial)
            continue;
        finish_store(node, task, TAGD_UNKNOWN, "the Redis connection is a new one; a new fence is needed");
        return true;
    }
    return false;
}

static void watch(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    size_t left = 0;
    if (needs_fence(node, task))
        return;
    if (is(task, SIM_LOST_BEFORE)) {
        hang(node, task);
        return;
    }
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        if (writes->status == TAGD_PENDING && !sim_store_compare(node->sim, writes, &task->watched[i]))
            writes->status = TAGD_FENCED;
        left += writes->status == TAGD_PENDING;
    }
    if (left > 0)
        go_on(node, task, STORE_MS);
    else
        finish(node, task, TAGD_FENCED, "another owner has taken over");
}

static bool unwatched(const struct sim *sim, const struct tagd_op *op, const uint64_t *watched)
{
    for (size_t i = 0; i < op->u.commit.n_shards; i++)
        if (op->u.commit.shards[i].status == TAGD_PENDING &&
            sim->store.shards[op->u.commit.shards[i].shard].version != watched[i])
            return true;
    return false;
}

static void write_all(struct sim_node *node, struct tagd_op *op)
{
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        const struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        if (writes->status == TAGD_PENDING)
            sim_store_write(node->sim, writes, node->outbox_low[writes->shard]);
    }
    node->sim->coverage->commits++;
}

static struct sim_late *late_new(struct sim *sim)
{
    for (size_t i = 0; i < SIM_LATES; i++)
        if (sim->lates[i].done) {
            sim->lates[i] = (struct sim_late){.at_ms = sim->now_ms + sim_between(&sim->random, 1, 12000)};
            return &sim->lates[i];
        }
    return NULL;
}

static const struct tagd_profile_write *copy_profiles(struct sim *sim, const struct tagd_shard_writes *writes)
{
    struct tagd_profile_write *copies =
        tagd_arena_alloc(&sim->memory, (writes->n_profiles + 1) * sizeof(struct tagd_profile_write));
    for (size_t i = 0; i < writes->n_profiles; i++) {
        copies[i] = writes->profiles[i];
        copies[i].customer = sim_keep(sim, copies[i].customer);
        copies[i].bytes = sim_keep(sim, copies[i].bytes);
        if (!copies[i].view_changed)
            continue;
        struct tagd_str *view = tagd_arena_alloc(&sim->memory, (2 * copies[i].n_view + 1) * sizeof(*view));
        for (size_t k = 0; k < 2 * copies[i].n_view; k++)
            view[k] = sim_keep(sim, copies[i].view[k]);
        copies[i].view = view;
    }
    return copies;
}

/* An EXEC that the server reads only after its sender has given up. */
static void exec_late(struct sim_node *node, const struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct sim_late *late = late_new(sim);
    const struct tagd_op *op = task->op;
    if (late == NULL)
        return;
    late->kind = SIM_LATE_EXEC;
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_shard_writes *writes = &late->writes[late->n];
        if (op->u.commit.shards[i].status != TAGD_PENDING)
            continue;
        *writes = op->u.commit.shards[i];
        writes->profiles = copy_profiles(sim, writes);
        writes->outbox = sim_keep(sim, writes->outbox);
        struct tagd_told_write *told = tagd_arena_alloc(&sim->memory, (writes->n_told + 1) * sizeof(*told));
        for (size_t k = 0; k < writes->n_told; k++)
            told[k] =
                (struct tagd_told_write){sim_keep(sim, writes->told[k].customer), sim_keep(sim, writes->told[k].bytes)};
        writes->told = told;
        late->watched[late->n] = task->watched[i];
        late->outbox_low[late->n++] = node->outbox_low[writes->shard];
    }
}

static void exec(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    if (refused(node, task))
        return;
    if (is(task, SIM_LOST_BEFORE) || is(task, SIM_LATE)) {
        if (task->fate == SIM_LATE)
            exec_late(node, task);
        hang(node, task);
        return;
    }
    if (unwatched(sim, task->op, task->watched)) { /* nil */
        if (++task->tries == EXEC_TRIES_MAX) {
            finish_store(node, task, TAGD_ABORTED, "Redis: keys change under the transaction all the time");
            return;
        }
        task->stage = 0;
        go_on(node, task, STORE_MS);
        return;
    }
    write_all(node, task->op);
    if (is(task, SIM_LOST_AFTER))
        hang(node, task);
    else
        go_on(node, task, STORE_MS);
}

static void committed(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    bool fenced = false;
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        if (writes->status == TAGD_PENDING) {
            writes->status = TAGD_DONE;
            if (writes->outbox_drop_to >= node->outbox_low[writes->shard])
                node->outbox_low[writes->shard] = writes->outbox_drop_to + 1;
        }
        fenced = fenced || writes->status == TAGD_FENCED;
    }
    finish(node, task, fenced ? TAGD_FENCED : TAGD_DONE, "another owner has taken over");
}

static void stage_commit(struct sim_node *node, struct sim_task *task)
{
    if (cut(node)) {
        finish_store(node, task, broken(task), "Redis: the connection broke");
        return;
    }
    switch (task->stage) {
    case 1: watch(node, task); return;
    case 2: exec(node, task); return;
    default: committed(node, task); return;
    }
}

static void stage_store(struct sim_node *node, struct sim_task *task)
{
    if (task->stage >= 90) {
        node->connected = false;
        task->stage -= 90;
        finish_store(node, task, broken(task), "Redis: no answer in time");
        return;
    }
    if (task->stage == 0)
        store_begin(node, task);
    else if (task->op->kind == TAGD_OP_FENCE)
        stage_fence(node, task);
    else if (task->op->kind == TAGD_OP_LOAD)
        stage_load(node, task);
    else
        stage_commit(node, task);
}

/* ---- the broker ---- */

static bool broker_down(const struct sim *sim)
{
    return sim->now_ms < sim->broker.down_until_ms;
}

/* A question that is asked again and again until its time is over. True: not now. */
static bool unanswered(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    bool lost = is(task, SIM_LOST_BEFORE) || is(task, SIM_LOST_AFTER);
    if (!lost && !broker_down(sim))
        return false;
    if (sim->now_ms - task->began_ms >= ASK_TIMEOUT_MS)
        finish(node, task, TAGD_ABORTED, "Kafka: no answer in time");
    else
        task->at_ms = sim->now_ms + ASK_TIMEOUT_MS / 4;
    return true;
}

static void renew(struct sim_node *node)
{
    node->ready = false;
    if (broker_down(node->sim))
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
        finish(node, task, TAGD_DONE, "");
        return;
    }
    if (sim->plan.stable_reads && sim_broker_unstable(sim, op->shard)) { /* the client asks again */
        if (sim->now_ms - task->began_ms >= ASK_TIMEOUT_MS)
            finish(node, task, TAGD_ABORTED, "Kafka: offsets are not stable");
        else
            task->at_ms = sim->now_ms + 100;
        return;
    }
    op->u.committed.topics = tagd_arena_zalloc(op->arena, SIM_TOPICS * sizeof(*op->u.committed.topics));
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
        op->u.committed.topics[topic].offset = sim->broker.sources[topic][op->shard].offset;
        op->u.committed.topics[topic].metadata = sim->broker.sources[topic][op->shard].metadata;
    }
    go_on(node, task, BROKER_MS);
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
    if (task->stage == 1)
        op->u.tail.last = (struct tagd_position){0};
    struct tagd_position last = tail_of(node->sim, (int)task->stage - 1, op->shard);
    if (tagd_position_later(last, op->u.tail.last))
        op->u.tail.last = last;
    if (task->stage == 2)
        finish(node, task, TAGD_DONE, "");
    else
        go_on(node, task, BROKER_MS);
}

/* The first offset from which the batch or a later one is found; *whole: nothing before it that matters is lost. */
static int64_t find_batch(const struct sim_log *log, int64_t stable, uint64_t batch, bool *whole)
{
    int64_t began = log->low;
    bool earlier = false;
    for (int64_t i = log->low; i < stable; i++) {
        if (log->records[i].state != SIM_OUT_COMMITTED)
            continue;
        if (log->records[i].at.batch >= batch)
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
    int64_t stable = sim_broker_stable(sim, op->u.outputs.kind, op->shard);
    if (unanswered(node, task))
        return;
    op->u.outputs.whole = true;
    op->u.outputs.began = op->u.outputs.from;
    if (op->u.outputs.from < 0)
        op->u.outputs.began = find_batch(log, stable, op->u.outputs.batch, &op->u.outputs.whole);
    op->u.outputs.outputs = tagd_arena_alloc(op->arena, (op->u.outputs.max + 1) * sizeof(*op->u.outputs.outputs));
    op->u.outputs.n_outputs = 0;
    int64_t at = op->u.outputs.began > log->low ? op->u.outputs.began : log->low;
    for (; at < stable && op->u.outputs.n_outputs < op->u.outputs.max; at++)
        if (log->records[at].state == SIM_OUT_COMMITTED)
            op->u.outputs.outputs[op->u.outputs.n_outputs++] =
                (struct tagd_published){log->records[at].at, log->records[at].record};
    op->u.outputs.next = at;
    op->u.outputs.end = at >= stable;
    finish(node, task, TAGD_DONE, "");
}

static int node_of(const struct sim *sim, struct tagd_str owner)
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
    int owner = node_of(sim, task->op->u.end_owner.owner);
    if (owner < 0) {
        sim_fail(sim, "END_OWNER of nobody: \"%.*s\"", (int)task->op->u.end_owner.owner.n,
                 task->op->u.end_owner.owner.p);
        finish(node, task, TAGD_REFUSED, "no transactional id");
        return;
    }
    if (node->ended[owner] || (owner == (int)node->index && !sim->plan.at_least_once)) {
        finish(node, task, TAGD_DONE, "");
        return;
    }
    if (task->fate == SIM_LOST_AFTER && task->stage == task->fate_stage)
        sim_broker_init(sim, (uint32_t)owner);
    if (unanswered(node, task))
        return;
    sim_broker_init(sim, (uint32_t)owner);
    node->ended[owner] = true;
    finish(node, task, TAGD_DONE, "");
}

static void start(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    if (!node->assigned[op->shard]) {
        finish(node, task, TAGD_FENCED, "the shard isn't ours");
        return;
    }
    if (unanswered(node, task))
        return;
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
        const struct sim_source *source = &sim->broker.sources[topic][op->shard];
        int64_t offset = op->u.start.offsets[topic] < 0 ? source->low : op->u.start.offsets[topic];
        sim->lossy = sim->lossy || (op->u.start.offsets[topic] < 0 && source->low > 0);
        if (offset < source->low || offset > source->high) {
            finish(node, task, TAGD_GONE, "no such offset");
            return;
        }
        op->u.start.offsets[topic] = offset;
        node->readings[topic][op->shard] = (struct sim_reading){.next = offset,
                                                                .fetched = offset,
                                                                .fetch_ms = sim->now_ms + delay(sim, NULL, 15),
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
            reading->fetch_ms = sim->now_ms + delay(sim, NULL, 15);
        }
    finish(node, task, TAGD_DONE, "");
}

static void refetch(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    const struct sim_source *source = &node->sim->broker.sources[op->u.refetch.topic][op->shard];
    if (unanswered(node, task))
        return;
    if (op->u.refetch.offset < source->low || op->u.refetch.offset >= source->high) {
        finish(node, task, TAGD_GONE, "the record is no longer there");
        return;
    }
    op->u.refetch.record = source->records[op->u.refetch.offset].record;
    finish(node, task, TAGD_DONE, "");
}

static void commit_offsets(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    if (is(task, SIM_LOST_BEFORE) || is(task, SIM_LOST_AFTER) || broker_down(sim)) {
        finish(node, task, TAGD_ABORTED, "Kafka: no answer");
        return;
    }
    if (!node->has_membership || sim->broker.group.rebalancing ||
        !sim_group_knows(sim, node->index, node->membership_id, node->membership_generation)) {
        finish(node, task, TAGD_ABORTED, "Kafka: not a member of this generation");
        return;
    }
    for (size_t i = 0; i < op->u.publish.n_shards; i++)
        sim_broker_set_offsets(sim, &op->u.publish.shards[i]);
    finish(node, task, TAGD_DONE, "");
}

/* ---- PUBLISH ---- */

/* The end of the transaction was not asked for: it is aborted. */
static void give_up(struct sim_node *node, struct sim_task *task, enum tagd_op_status status, const char *why)
{
    if (status == TAGD_FENCED || broker_down(node->sim) || sim_percent(&node->sim->random, 20))
        renew(node);
    else
        sim_broker_end(node->sim, node->index, node->epoch, false);
    finish(node, task, status, why);
}

static void produce(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    bool ours = true;
    if (broker_down(sim) || is(task, SIM_LOST_BEFORE) || is(task, SIM_REFUSED)) {
        give_up(node, task, TAGD_ABORTED, "Kafka: a message was not delivered");
        return;
    }
    for (size_t i = 0; i < op->u.publish.n_shards && ours; i++)
        ours = op->u.publish.shards[i].n_outputs == 0 ||
               sim_broker_produce(sim, node->index, node->epoch, &op->u.publish.shards[i]);
    if (!ours)
        give_up(node, task, TAGD_FENCED, "Kafka: the producer is fenced");
    else if (is(task, SIM_LOST_AFTER))
        give_up(node, task, TAGD_ABORTED, "Kafka: a message was not acknowledged");
    else
        go_on(node, task, BROKER_MS);
}

static void send_offsets(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct tagd_op *op = task->op;
    bool ours = true;
    if (broker_down(sim) || is(task, SIM_LOST_BEFORE)) {
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
    else if (is(task, SIM_LOST_AFTER))
        give_up(node, task, TAGD_ABORTED, "Kafka: offsets were not acknowledged");
    else
        go_on(node, task, BROKER_MS);
}

static void end_late(struct sim_node *node)
{
    struct sim_late *late = late_new(node->sim);
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
    finish(node, task, TAGD_UNKNOWN, "Kafka: its end was sent more than once");
}

static void end_transaction(struct sim_node *node, struct sim_task *task)
{
    struct sim *sim = node->sim;
    bool twice = is(task, SIM_LOST_BEFORE) || is(task, SIM_LOST_AFTER) || is(task, SIM_LATE) || broker_down(sim);
    if (twice && task->tries == 0) { /* no answer: the client sends it again by itself */
        task->tries++;
        if (task->fate == SIM_LATE)
            end_late(node);
        else if (task->fate == SIM_LOST_AFTER && !broker_down(sim))
            sim_broker_end(sim, node->index, node->epoch, true);
        task->fate = SIM_FAULTS;
        task->at_ms = sim->now_ms + delay(sim, task, 3000);
        return;
    }
    if (broker_down(sim)) {
        task->at_ms = sim->now_ms + 100;
        return;
    }
    bool ours = sim_broker_end(sim, node->index, node->epoch, true);
    if (task->tries > 0)
        taint(node, task);
    else if (ours)
        go_on(node, task, BROKER_MS);
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
            go_on(node, task, BROKER_MS);
        else
            finish(node, task, TAGD_FENCED, "the group has assigned us nothing");
        return;
    case 1: produce(node, task); return;
    case 2: send_offsets(node, task); return;
    case 3: end_transaction(node, task); return;
    default: finish(node, task, TAGD_DONE, ""); return;
    }
}

static void stage_broker(struct sim_node *node, struct sim_task *task)
{
    enum tagd_op_kind kind = task->op->kind;
    if (kind == TAGD_OP_PUBLISH) {
        stage_publish(node, task);
        return;
    }
    if (task->stage == 0) {
        bool asks = kind == TAGD_OP_COMMITTED || kind == TAGD_OP_TAIL || kind == TAGD_OP_OUTPUTS;
        if (!asks || settled(node, task))
            go_on(node, task, BROKER_MS);
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

/* ---- SEND ---- */

static struct tagd_shard_outputs *copy_outputs(struct sim *sim, const struct tagd_shard_outputs *from, size_t n)
{
    struct tagd_shard_outputs *copies = tagd_arena_alloc(&sim->memory, (n + 1) * sizeof(*copies));
    for (size_t i = 0; i < n; i++) {
        struct tagd_output *outputs =
            tagd_arena_alloc(&sim->memory, (from[i].n_outputs + 1) * sizeof(struct tagd_output));
        copies[i] = from[i];
        copies[i].outputs = outputs;
        for (size_t k = 0; k < from[i].n_outputs; k++) {
            const struct tagd_output *output = &from[i].outputs[k];
            struct tagd_header *headers = tagd_arena_alloc(&sim->memory, (output->n_headers + 1) * sizeof(*headers));
            outputs[k] = *output;
            outputs[k].key = sim_keep(sim, output->key);
            outputs[k].value = sim_keep(sim, output->value);
            for (size_t h = 0; h < output->n_headers; h++)
                headers[h] = (struct tagd_header){sim_keep(sim, output->headers[h].name),
                                                  sim_keep(sim, output->headers[h].value)};
            outputs[k].headers = headers;
        }
    }
    return copies;
}

static void append_all(struct sim *sim, const struct tagd_shard_outputs *shards, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < shards[i].n_outputs; k++)
            sim_broker_append_output(sim, &shards[i], k, SIM_OUT_COMMITTED, id);
}

static void submit_send(struct sim_node *node, struct tagd_op *op, enum sim_fault_kind fate)
{
    struct sim *sim = node->sim;
    if (node->sends_failed) {
        tagd_fail(&op->error, "Kafka: an earlier message was given up");
        op->status = TAGD_ABORTED;
        return;
    }
    assert(node->n_sends < SIM_SENDS);
    struct sim_send *send = &node->sends[node->n_sends++];
    const struct sim_send *before = node->n_sends > 1 ? send - 1 : NULL;
    *send = (struct sim_send){.op = op, .n_shards = op->u.publish.n_shards};
    send->shards = copy_outputs(sim, op->u.publish.shards, send->n_shards);
    send->append_ms = sim->now_ms + delay(sim, NULL, BROKER_MS);
    if (before != NULL && before->append_ms > send->append_ms)
        send->append_ms = before->append_ms;
    send->ack_ms = (send->append_ms == SIM_NEVER ? sim->now_ms : send->append_ms) + delay(sim, NULL, BROKER_MS);
    if (fate == SIM_SLOW)
        send->ack_ms += 2000;
    if (before != NULL && before->ack_ms > send->ack_ms)
        send->ack_ms = before->ack_ms;
    send->fails = fate != SIM_FAULTS && fate != SIM_SLOW;
    if (fate == SIM_LOST_BEFORE || fate == SIM_REFUSED)
        send->append_ms = SIM_NEVER; /* nor does anything behind it arrive */
}

static void abort_sends(struct sim_node *node)
{
    for (size_t i = 0; i < node->n_sends; i++) {
        tagd_fail(&node->sends[i].op->error, "Kafka: a message was given up");
        node->sends[i].op->status = TAGD_ABORTED;
        node->sim->coverage->answers[SIM_RUNNING][TAGD_OP_SEND][TAGD_ABORTED]++;
    }
    node->n_sends = 0;
    node->wake_ms = node->sim->now_ms;
}

static void run_sends(struct sim *sim, struct sim_node *node)
{
    size_t done = 0;
    bool down = sim->now_ms < sim->broker.down_until_ms;
    for (size_t i = 0; i < node->n_sends; i++) { /* in order, come what may */
        struct sim_send *send = &node->sends[i];
        if (send->appended)
            continue;
        if (send->append_ms <= sim->now_ms && down)
            send->append_ms = sim->broker.down_until_ms + 1;
        if (send->append_ms > sim->now_ms)
            break;
        append_all(sim, send->shards, send->n_shards, node->index);
        send->appended = true;
        if (send->ack_ms <= sim->now_ms)
            send->ack_ms = sim->now_ms + 1;
    }
    if (node->paused)
        return;
    for (; done < node->n_sends && node->sends[done].ack_ms <= sim->now_ms; done++) {
        if (node->sends[done].fails) {
            memmove(node->sends, node->sends + done, (node->n_sends - done) * sizeof(*node->sends));
            node->n_sends -= done;
            abort_sends(node);
            return;
        }
        if (!node->sends[done].appended)
            break;
        node->sends[done].op->status = TAGD_DONE;
        sim->coverage->answers[SIM_RUNNING][TAGD_OP_SEND][TAGD_DONE]++;
        node->wake_ms = sim->now_ms;
    }
    memmove(node->sends, node->sends + done, (node->n_sends - done) * sizeof(*node->sends));
    node->n_sends -= done;
}

/* ---- what the node calls ---- */

static unsigned stages_of(enum tagd_op_kind kind)
{
    switch (kind) {
    case TAGD_OP_PUBLISH:
    case TAGD_OP_COMMIT: return 4;
    case TAGD_OP_FENCE:
    case TAGD_OP_COMMITTED:
    case TAGD_OP_TAIL: return 3;
    default: return 2;
    }
}

/* The stage at which something of the operation takes effect. */
static uint32_t effect_stage(const struct tagd_op *op, uint32_t amount)
{
    if (op->kind == TAGD_OP_PUBLISH)
        return 1 + amount % 3;
    return op->kind == TAGD_OP_COMMIT && amount % 4 != 0 ? 2 : 1;
}

static enum sim_fault_kind fate_of(struct sim_node *node, const struct tagd_op *op, uint32_t *stage)
{
    struct sim *sim = node->sim;
    for (size_t i = 0; i < sim->plan.n_faults && !sim->calm; i++) {
        struct sim_fault *fault = &sim->plan.faults[i];
        if (fault->kind < SIM_SLOW || fault->done || fault->dropped || fault->at_ms > sim->now_ms ||
            fault->op != op->kind)
            continue;
        fault->done = true;
        sim->happened[fault->kind] = true;
        sim->coverage->faults[fault->kind]++;
        bool dies = fault->kind == SIM_DIE_BEFORE || fault->kind == SIM_DIE_AFTER;
        *stage = dies ? fault->amount % stages_of(op->kind) : effect_stage(op, fault->amount);
        if (fault->kind == SIM_LATE)
            *stage = op->kind == TAGD_OP_PUBLISH ? 3 : 2;
        node->gone_ms = fault->for_ms;
        SIM_TRACE(sim, "fault: %s of operation %d at stage %u", sim_fault_names[fault->kind], op->kind, *stage);
        return fault->kind;
    }
    return SIM_FAULTS;
}

void sim_op_submit(struct sim_node *node, struct tagd_op *op)
{
    struct sim *sim = node->sim;
    uint32_t stage = 0;
    op->status = TAGD_PENDING;
    op->error.text[0] = '\0';
    if (node->dying)
        return;
    sim->coverage->submits++;
    enum sim_fault_kind fate = fate_of(node, op, &stage);
    SIM_TRACE(sim, "%s: submits %d shard %u", node->owner, op->kind, op->shard);
    if (op->kind == TAGD_OP_SEND) {
        if (fate == SIM_DIE_BEFORE || fate == SIM_DIE_AFTER)
            node->dying = true;
        submit_send(node, op, fate);
        return;
    }
    if (op->kind == TAGD_OP_START) /* nothing of where it was read before comes any more */
        node->running[op->shard] = false;
    assert(node->n_tasks < SIM_TASKS);
    node->tasks[node->n_tasks++] = (struct sim_task){.op = op,
                                                     .at_ms = sim->now_ms + delay(sim, NULL, 2),
                                                     .fate = fate,
                                                     .fate_stage = stage,
                                                     .began_ms = sim->now_ms};
}

int64_t sim_ops_next(const struct sim_node *node)
{
    int64_t next = SIM_NEVER;
    size_t n = node->sim->plan.overlapped || node->n_tasks == 0 ? node->n_tasks : 1;
    for (size_t i = 0; i < n; i++)
        if (!(node->tasks[i].frozen && node->paused) && node->tasks[i].at_ms < next)
            next = node->tasks[i].at_ms;
    for (size_t i = 0; i < node->n_sends; i++) {
        const struct sim_send *send = &node->sends[i];
        if ((send->appended || send->fails) && !node->paused && send->ack_ms < next)
            next = send->ack_ms;
        if (send->appended)
            continue;
        if (send->append_ms < next)
            next = send->append_ms;
        break; /* the next one comes behind it */
    }
    return next;
}

static bool dies_here(struct sim_node *node, const struct sim_task *task, bool after)
{
    struct sim *sim = node->sim;
    const struct sim_options *options = &sim->options;
    if (options->crash_stage != 0 && sim->stages == options->crash_stage && options->crash_after == after) {
        node->gone_ms = options->crash_gone_ms;
        return true;
    }
    return is(task, after ? SIM_DIE_AFTER : SIM_DIE_BEFORE);
}

static void die(struct sim *sim, const struct sim_node *node)
{
    sim_process_kill(sim, node->process, sim->now_ms + node->gone_ms);
}

/* One stage. False: the process is dead. */
static bool run_stage(struct sim *sim, struct sim_node *node, struct sim_task *task)
{
    sim->stages++;
    sim->coverage->stages++;
    if (dies_here(node, task, false)) {
        die(sim, node);
        return false;
    }
    bool after = dies_here(node, task, true);
    switch (task->op->kind) {
    case TAGD_OP_FENCE:
    case TAGD_OP_LOAD:
    case TAGD_OP_COMMIT: stage_store(node, task); break;
    default: stage_broker(node, task); break;
    }
    if (after)
        die(sim, node);
    if (after)
        return false;
    if (node->paused) /* what comes next isn't sent before it wakes */
        for (size_t i = 0; i < node->n_tasks; i++)
            node->tasks[i].frozen = true;
    return true;
}

void sim_ops_run(struct sim *sim, struct sim_node *node)
{
    for (size_t i = 0; i < node->n_tasks && (sim->plan.overlapped || i == 0);) {
        struct sim_task *task = &node->tasks[i];
        const struct tagd_op *op = task->op;
        if (task->at_ms > sim->now_ms || (task->frozen && node->paused)) {
            i++;
            continue;
        }
        if (!run_stage(sim, node, task))
            return;
        if (i < node->n_tasks && node->tasks[i].op == op)
            i++;
    }
    if (node->alive)
        run_sends(sim, node);
}

static void leave_requests(struct sim *sim, struct sim_node *node, const struct sim_task *task)
{
    struct tagd_op *op = task->op;
    if (op->kind == TAGD_OP_COMMIT && task->stage == 2 && node->connected) {
        exec_late(node, task);
    } else if (op->kind == TAGD_OP_PUBLISH && task->stage == 3) {
        end_late(node);
    } else if (op->kind == TAGD_OP_PUBLISH && task->stage == 1) {
        for (size_t i = 0; i < op->u.publish.n_shards; i++)
            sim_broker_produce(sim, node->index, node->epoch, &op->u.publish.shards[i]);
    } else if (op->kind == TAGD_OP_FENCE && task->stage == 1) {
        sim_store_fence(sim, op);
    }
}

void sim_ops_die(struct sim *sim, struct sim_node *node)
{
    for (size_t i = 0; i < node->n_tasks && node->dying; i++)
        if (sim_percent(&sim->random, 50))
            leave_requests(sim, node, &node->tasks[i]);
    size_t sent = (size_t)sim_between(&sim->random, 0, (int64_t)node->n_sends);
    int64_t at_ms = sim->now_ms;
    for (size_t i = 0; i < sent && node->dying && node->sends[i].append_ms != SIM_NEVER; i++) {
        const struct sim_send *send = &node->sends[i];
        for (size_t k = 0; k < send->n_shards && !send->appended; k++) {
            struct sim_late *late = late_new(sim);
            if (late == NULL)
                break;
            late->kind = SIM_LATE_OUTPUTS;
            late->at_ms = at_ms += delay(sim, NULL, BROKER_MS);
            late->outputs = send->shards[k];
            late->id = node->index;
        }
    }
    node->n_tasks = node->n_sends = 0;
}

/* ---- what is late ---- */

int64_t sim_late_next(const struct sim *sim)
{
    int64_t next = SIM_NEVER;
    for (size_t i = 0; i < SIM_LATES; i++)
        if (!sim->lates[i].done && sim->lates[i].at_ms < next)
            next = sim->lates[i].at_ms;
    return next;
}

static void arrive(struct sim *sim, const struct sim_late *late)
{
    bool watched = true;
    switch (late->kind) {
    case SIM_LATE_END:
        SIM_TRACE(sim, "late: the end of a transaction of %u", late->id);
        sim->coverage->late_ends++;
        sim->coverage->late_ends_refused += !sim_broker_end(sim, late->id, late->epoch, late->commit);
        return;
    case SIM_LATE_OUTPUTS: append_all(sim, &late->outputs, 1, late->id); return;
    case SIM_LATE_EXEC: break;
    }
    for (size_t i = 0; i < late->n; i++)
        watched = watched && sim->store.shards[late->writes[i].shard].version == late->watched[i];
    SIM_TRACE(sim, "late: EXEC, %s", watched ? "done" : "nil");
    sim->coverage->late_execs += watched;
    for (size_t i = 0; i < late->n && watched; i++)
        sim_store_write(sim, &late->writes[i], late->outbox_low[i]);
}

void sim_late_run(struct sim *sim)
{
    for (size_t i = 0; i < SIM_LATES; i++) {
        struct sim_late *late = &sim->lates[i];
        if (late->done || late->at_ms > sim->now_ms)
            continue;
        late->done = true;
        arrive(sim, late);
    }
}
