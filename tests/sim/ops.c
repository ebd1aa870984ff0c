/* What all operations share: how they are submitted, when they go on, how they end, and what is late. */
#include "ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int64_t sim_op_delay(struct sim *sim, const struct sim_task *task, int64_t most_ms)
{
    int64_t ms = sim_between(&sim->random, 1, most_ms) * sim->plan.slowness;
    return task != NULL && task->fate == SIM_SLOW ? 60 * ms : ms;
}

static uint32_t shard_of(const struct tagd_op *op)
{
    switch (op->kind) {
    case TAGD_OP_COMMIT: return op->u.commit.shards[0].shard;
    case TAGD_OP_PUBLISH:
    case TAGD_OP_SEND:
    case TAGD_OP_OFFSETS: return op->u.publish.n_shards == 0 ? 0 : op->u.publish.shards[0].shard;
    default: return op->shard;
    }
}

void sim_op_finish(struct sim_node *node, struct sim_task *task, enum tagd_op_status status, const char *why)
{
    struct tagd_op *op = task->op;
    struct sim *sim = node->sim;
    uint32_t shard = shard_of(op);
    sim->coverage->answers[node->taking[shard] ? SIM_TAKING_OVER : SIM_RUNNING][op->kind][status]++;
    if (status != TAGD_DONE)
        tagd_fail(&op->error, "%s", why);
    if (op->kind == TAGD_OP_START && status == TAGD_DONE) {
        node->running[shard] = true;
        node->taking[shard] = false;
    }
    SIM_TRACE(sim, "%s: %d answered %d %s", node->owner, op->kind, status, status == TAGD_DONE ? "" : why);
    op->status = status;
    node->wake_ms = sim->now_ms;
    size_t behind = (size_t)(&node->tasks[node->n_tasks] - task) - 1;
    memmove(task, task + 1, behind * sizeof(*task));
    node->n_tasks--;
    if (!sim->plan.overlapped && node->n_tasks > 0) { /* the thread asks the next thing only now */
        node->tasks[0].began_ms = sim->now_ms;
        node->tasks[0].at_ms = sim->now_ms + sim_op_delay(sim, NULL, 2);
    }
}

void sim_op_go_on(struct sim_node *node, struct sim_task *task, int64_t most_ms)
{
    task->stage++;
    task->at_ms = node->sim->now_ms + sim_op_delay(node->sim, task, most_ms);
}

bool sim_op_is(const struct sim_task *task, enum sim_fault_kind fate)
{
    return task->fate == fate && task->stage == task->fate_stage;
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
    int context = node->taking[shard_of(op)] ? SIM_TAKING_OVER : SIM_RUNNING;
    for (size_t i = 0; i < sim->plan.n_faults && !sim->calm; i++) {
        struct sim_fault *fault = &sim->plan.faults[i];
        if (fault->kind < SIM_SLOW || fault->done || fault->dropped || fault->at_ms > sim->now_ms ||
            fault->op != op->kind || (fault->context != SIM_CONTEXTS && fault->context != context))
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
    if (op->kind == TAGD_OP_COMMIT)
        sim_node_commits(sim, node, op);
    if (node->dying)
        return;
    if (op->kind == TAGD_OP_FENCE)
        node->taking[op->shard] = true;
    enum sim_fault_kind fate = fate_of(node, op, &stage);
    SIM_TRACE(sim, "%s: submits %d shard %u", node->owner, op->kind, op->shard);
    if (op->kind == TAGD_OP_SEND) {
        if (fate == SIM_DIE_BEFORE || fate == SIM_DIE_AFTER)
            node->dying = true;
        sim_send_submit(node, op, fate);
        return;
    }
    if (op->kind == TAGD_OP_START) /* nothing of where it was read before comes any more */
        node->running[op->shard] = false;
    assert(node->n_tasks < SIM_TASKS);
    node->tasks[node->n_tasks++] = (struct sim_task){.op = op,
                                                     .at_ms = sim->now_ms + sim_op_delay(sim, NULL, 2),
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
        if (i == 0 && (send->appended || send->fails) && !node->paused && send->ack_ms < next)
            next = send->ack_ms; /* the others are acknowledged behind it */
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
    return sim_op_is(task, after ? SIM_DIE_AFTER : SIM_DIE_BEFORE);
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
    case TAGD_OP_COMMIT: sim_op_store(node, task); break;
    default: sim_op_broker(node, task); break;
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
        sim_sends_run(sim, node);
}

static void leave_requests(struct sim *sim, struct sim_node *node, const struct sim_task *task)
{
    struct tagd_op *op = task->op;
    if (op->kind == TAGD_OP_COMMIT && task->stage == 2 && node->connected) {
        sim_op_exec_late(node, task);
    } else if (op->kind == TAGD_OP_PUBLISH && task->stage == 3) {
        sim_op_end_late(node);
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
            struct sim_late *late = sim_late_new(sim);
            if (late == NULL)
                break;
            late->kind = SIM_LATE_OUTPUTS;
            late->at_ms = at_ms += sim_op_delay(sim, NULL, SIM_BROKER_DELAY_MS);
            late->outputs = send->shards[k];
            late->id = node->index;
        }
    }
    node->n_tasks = node->n_sends = 0;
}

/* ---- what is late ---- */

struct sim_late *sim_late_new(struct sim *sim)
{
    for (size_t i = 0; i < SIM_LATES; i++)
        if (sim->lates[i].done) {
            sim->lates[i] = (struct sim_late){.at_ms = sim->now_ms + sim_between(&sim->random, 1, 12000)};
            return &sim->lates[i];
        }
    return NULL;
}

int64_t sim_late_next(const struct sim *sim)
{
    int64_t next = SIM_NEVER;
    for (size_t i = 0; i < SIM_LATES; i++)
        if (!sim->lates[i].done && sim->lates[i].at_ms < next)
            next = sim->lates[i].at_ms;
    return next;
}

void sim_late_ends_come(struct sim *sim, uint32_t id)
{
    for (size_t i = 0; i < SIM_LATES; i++)
        if (!sim->lates[i].done && sim->lates[i].kind == SIM_LATE_END && sim->lates[i].id == id)
            sim->lates[i].at_ms = sim->now_ms + sim_between(&sim->random, 0, 12);
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
    case SIM_LATE_OUTPUTS: sim_send_append(sim, &late->outputs, 1, late->id); return;
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
