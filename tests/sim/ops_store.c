/* FENCE, LOAD and COMMIT as daemon/io/redis.c does them: a connection that broke, the fence that a new one asks for, WATCH
 * and EXEC. */
#include "ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define REPLY_TIMEOUT_MS 5000
#define EXEC_TRIES_MAX 5

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
    sim_op_finish(node, task, status, why);
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
    if (sim_op_is(task, SIM_DENIED)) {
        finish_store(node, task, TAGD_DENIED, "NOPERM this user has no permissions to run it");
        return true;
    }
    bool full = node->sim->now_ms < node->sim->store.full_until_ms && task->op->kind != TAGD_OP_LOAD;
    if (!full && !sim_op_is(task, SIM_REFUSED))
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
        sim_op_go_on(node, task, SIM_STORE_DELAY_MS);
        return;
    }
    finish_store(node, task, task->op->kind == TAGD_OP_LOAD ? TAGD_UNKNOWN : TAGD_ABORTED, "can't connect to Redis");
}

static void stage_fence(struct sim_node *node, struct sim_task *task)
{
    struct tagd_op *op = task->op;
    if (cut(node)) {
        sim_op_finish(node, task, TAGD_ABORTED, "Redis: the connection broke");
        return;
    }
    if (task->stage == 1) {
        if (refused(node, task))
            return;
        if (!sim_op_is(task, SIM_LOST_BEFORE))
            sim_store_fence(node->sim, op);
        if (sim_op_is(task, SIM_LOST_BEFORE) || sim_op_is(task, SIM_LOST_AFTER))
            hang(node, task);
        else
            sim_op_go_on(node, task, SIM_STORE_DELAY_MS);
        return;
    }
    sim_store_read_shard(node->sim, op);
    node->shard_serial[op->shard] = node->serial;
    node->outbox_low[op->shard] = op->u.fence.n_outbox == 0 ? op->u.fence.head.batch + 1 : op->u.fence.outbox[0].batch;
    sim_op_finish(node, task, TAGD_DONE, "");
}

static void stage_load(struct sim_node *node, struct sim_task *task)
{
    if (cut(node)) {
        sim_op_finish(node, task, TAGD_UNKNOWN, "Redis: the connection broke");
        return;
    }
    if (node->shard_serial[task->op->shard] != node->serial) {
        sim_op_finish(node, task, TAGD_UNKNOWN, "the Redis connection is a new one; a new fence is needed");
        return;
    }
    if (refused(node, task))
        return;
    if (task->fate == SIM_LOST_BEFORE || task->fate == SIM_LOST_AFTER) {
        hang(node, task);
        return;
    }
    sim_store_load(node->sim, task->op);
    sim_op_finish(node, task, TAGD_DONE, "");
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
    if (sim_op_is(task, SIM_LOST_BEFORE)) {
        hang(node, task);
        return;
    }
    if (task->fate == SIM_STOLEN) { /* somebody whom the shard was taken from meanwhile */
        sim_store_take(node->sim, op->u.commit.shards[0].shard, 0);
        task->fate = SIM_FAULTS;
    }
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        if (writes->status == TAGD_PENDING && !sim_store_compare(node->sim, writes, &task->watched[i]))
            writes->status = TAGD_FENCED;
        left += writes->status == TAGD_PENDING;
    }
    if (left > 0)
        sim_op_go_on(node, task, SIM_STORE_DELAY_MS);
    else
        sim_op_finish(node, task, TAGD_FENCED, "another owner has taken over");
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
        struct tagd_str *gone = tagd_arena_alloc(&sim->memory, (copies[i].n_gone + 1) * sizeof(*gone));
        for (size_t k = 0; k < copies[i].n_gone; k++)
            gone[k] = sim_keep(sim, copies[i].gone[k]);
        copies[i].gone = gone;
        if (copies[i].view_same == NULL)
            continue;
        bool *same = tagd_arena_alloc(&sim->memory, copies[i].n_view);
        memcpy(same, copies[i].view_same, copies[i].n_view);
        copies[i].view_same = same;
    }
    return copies;
}

static struct tagd_population_write copy_population(struct sim *sim, const struct tagd_population_write *writes)
{
    struct tagd_population_write copy = *writes;
    struct tagd_str *drops = tagd_arena_alloc(&sim->memory, (writes->n_drops + 1) * sizeof(*drops));
    struct tagd_count_write *counts = tagd_arena_alloc(&sim->memory, (writes->n_counts + 1) * sizeof(*counts));
    for (size_t i = 0; i < writes->n_drops; i++)
        drops[i] = sim_keep(sim, writes->drops[i]);
    for (size_t i = 0; i < writes->n_counts; i++)
        counts[i] = (struct tagd_count_write){sim_keep(sim, writes->counts[i].set),
                                              sim_keep(sim, writes->counts[i].member), writes->counts[i].by};
    copy.drops = drops;
    copy.counts = counts;
    copy.form = sim_keep(sim, writes->form);
    return copy;
}

/* An EXEC that the server reads only after its sender has given up. */
void sim_op_exec_late(struct sim_node *node, const struct sim_task *task)
{
    struct sim *sim = node->sim;
    struct sim_late *late = sim_late_new(sim);
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
        writes->population = copy_population(sim, &writes->population);
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
    if (sim_op_is(task, SIM_LOST_BEFORE) || sim_op_is(task, SIM_LATE)) {
        if (task->fate == SIM_LATE)
            sim_op_exec_late(node, task);
        hang(node, task);
        return;
    }
    if (unwatched(sim, task->op, task->watched)) { /* nil */
        if (++task->tries == EXEC_TRIES_MAX) {
            finish_store(node, task, TAGD_ABORTED, "Redis: keys change under the transaction all the time");
            return;
        }
        task->stage = 0;
        sim_op_go_on(node, task, SIM_STORE_DELAY_MS);
        return;
    }
    write_all(node, task->op);
    if (sim_op_is(task, SIM_LOST_AFTER))
        hang(node, task);
    else
        sim_op_go_on(node, task, SIM_STORE_DELAY_MS);
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
    sim_op_finish(node, task, fenced ? TAGD_FENCED : TAGD_DONE, "another owner has taken over");
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

void sim_op_store(struct sim_node *node, struct sim_task *task)
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
