#include "worker/skip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shard/shard.h"

#define POLL_MS 50
#define TAKEOVERS_MAX 20 /* attempts, a pause apart */
#define PAUSE_MS 500
#define PUBLISHES_MAX 5

struct skip {
    const struct tagd_skip_config *config;
    struct tagd_port *port;
    struct tagd_shard shard;
    struct tagd_takeover takeover;
    struct tagd_worker_stats stats;
    struct tagd_arena arena;  /* of the take-over, */
    struct tagd_arena memory; /* and of the batch */
    bool assigned, gone;      /* the shard is ours; it was, or the port is at its end */
    char fatal[256];
    bool claimed;    /* the store may have our name by now; before it had */
    char owner[256]; /* this one; empty: the shard was left cleanly */
    struct tagd_buf outbox;
    struct tagd_output letter;
    char metadata[TAGD_METADATA_MAX];
    struct tagd_skip_outcome *outcome;
};

/* ---- operations ---- */

static void take_input(void *to, const struct tagd_input *in)
{
    struct skip *skip = to;
    bool ours = false;
    for (size_t i = 0; i < in->n_shards; i++)
        ours = ours || in->shards[i] == skip->config->shard;
    if (in->kind == TAGD_IN_RECORD)
        skip->port->release(skip->port->self, in->token);
    else if (in->kind == TAGD_IN_ASSIGN)
        skip->assigned = ours;
    else if (in->kind == TAGD_IN_REVOKE || in->kind == TAGD_IN_LOST)
        skip->gone = true;
    else if (in->kind == TAGD_IN_FATAL) {
        skip->gone = true;
        snprintf(skip->fatal, sizeof(skip->fatal), "%s", in->error);
    }
}

static void carry_out(struct skip *skip, struct tagd_op *op, struct tagd_arena *arena)
{
    op->arena = arena;
    op->status = TAGD_PENDING;
    skip->port->submit(skip->port->self, op);
    while (op->status == TAGD_PENDING)
        skip->port->poll(skip->port->self, POLL_MS, 0, take_input, skip);
}

static void pause_for(struct skip *skip, int64_t ms)
{
    int64_t until = skip->port->mono_ms(skip->port->self) + ms;
    for (int64_t polls = 0; polls < ms && skip->port->mono_ms(skip->port->self) < until; polls++)
        skip->port->poll(skip->port->self, POLL_MS, 0, take_input, skip);
}

/* ---- taking over ---- */

static enum tagd_skip_result await_shard(struct skip *skip, struct tagd_error *error)
{
    const struct tagd_skip_config *config = skip->config;
    for (int left_ms = config->assign_timeout_ms; left_ms > 0 && !skip->assigned && !skip->gone; left_ms -= POLL_MS)
        skip->port->poll(skip->port->self, POLL_MS, 0, take_input, skip);
    if (skip->assigned && !skip->gone)
        return TAGD_SKIP_DONE;
    tagd_fail(error,
              "Kafka didn't give us partition %" PRIu32 " of the sources%s%s; somebody else may be in group \"%s\": "
              "stop all daemons of it, then run this again",
              config->shard, skip->fatal[0] == '\0' ? "" : ": ", skip->fatal, config->worker->group);
    return TAGD_SKIP_AGAIN;
}

static bool under_repair(const struct skip *skip)
{
    return skip->takeover.decision.verdict == TAGD_TAKEOVER_REPAIR ||
           skip->takeover.head.repair.phase != TAGD_NO_REPAIR;
}

/* A shard that was fenced and has no head had an owner, who died before the first batch. */
static void note_owner(struct skip *skip, const struct tagd_op *fence)
{
    const struct tagd_head *head = &fence->u.fence.head;
    bool died_nameless = !head->exists && fence->u.fence.before > 0;
    snprintf(skip->owner, sizeof(skip->owner), "%s", died_nameless ? skip->config->worker->owner : head->owner);
}

/* One attempt. */
static enum tagd_takeover_result take_over_once(struct skip *skip, struct tagd_error *error)
{
    struct tagd_op op = {.arena = &skip->arena};
    tagd_arena_reset(&skip->arena);
    tagd_takeover_begin(&skip->takeover, &skip->shard, &op);
    for (;;) {
        enum tagd_takeover_step step = skip->takeover.step;
        carry_out(skip, &op, &skip->arena);
        if (step == TAGD_TAKEOVER_FENCE && op.status == TAGD_DONE && !skip->claimed)
            note_owner(skip, &op);
        skip->claimed = skip->claimed || step == TAGD_TAKEOVER_CLAIM;
        enum tagd_takeover_result result =
            tagd_takeover_next(&skip->takeover, skip->config->worker, &skip->stats, &op, error);
        if (result != TAGD_TAKEOVER_SUBMIT)
            return result;
        if (!under_repair(skip))
            continue;
        tagd_fail(error,
                  "shard %" PRIu32 " is under repair, or needs to be: Redis went back. Run the daemon until it is "
                  "repaired (tagd_shards_repairing), then skip",
                  skip->config->shard);
        return TAGD_TAKEOVER_STOP;
    }
}

static enum tagd_skip_result take_over(struct skip *skip, struct tagd_error *error)
{
    enum tagd_takeover_result result = TAGD_TAKEOVER_AGAIN;
    for (int tries = 0; tries < TAKEOVERS_MAX && result == TAGD_TAKEOVER_AGAIN && !skip->gone; tries++) {
        if (tries > 0)
            pause_for(skip, PAUSE_MS);
        result = take_over_once(skip, error);
    }
    if (result == TAGD_TAKEOVER_RUNNING)
        skip->shard.published = skip->shard.head.batch; /* all that was sent is acknowledged */
    return result == TAGD_TAKEOVER_RUNNING ? TAGD_SKIP_DONE
           : result == TAGD_TAKEOVER_STOP  ? TAGD_SKIP_REFUSED
                                           : TAGD_SKIP_AGAIN;
}

/* ---- the record ---- */

static bool is_next(const struct skip *skip, struct tagd_error *error)
{
    const struct tagd_skip_config *config = skip->config;
    const char *topic = config->worker->topics[config->topic];
    int64_t next = skip->shard.next_offset[config->topic], end = skip->takeover.committed[config->topic].high;
    if (config->offset != next)
        return tagd_fail(error,
                         "the next offset of topic \"%s\", partition %" PRIu32 " is %" PRId64 ", not %" PRId64
                         ": only the next one can be skipped%s",
                         topic, config->shard, next, config->offset,
                         config->offset < next ? "; that one is passed already" : "");
    return next < end || tagd_fail(error,
                                   "topic \"%s\", partition %" PRIu32 " ends at offset %" PRId64
                                   ": there is nothing to be skipped yet",
                                   topic, config->shard, end);
}

static enum tagd_skip_result fetch(struct skip *skip, struct tagd_record *record, struct tagd_error *error)
{
    const struct tagd_skip_config *config = skip->config;
    struct tagd_op op = {.kind = TAGD_OP_REFETCH, .shard = config->shard};
    op.u.refetch.topic = config->topic;
    op.u.refetch.offset = config->offset;
    carry_out(skip, &op, &skip->memory);
    *record = (struct tagd_record){0};
    skip->outcome->empty = op.status != TAGD_DONE;
    if (op.status == TAGD_DONE)
        *record = op.u.refetch.record;
    if (op.status == TAGD_DONE || op.status == TAGD_GONE || config->without_record)
        return TAGD_SKIP_DONE;
    tagd_fail(error,
              "the record can't be read, so its dead letter would have nothing of it: %s; try again, or say "
              "--without-record",
              op.error.text);
    return TAGD_SKIP_REFUSED;
}

/* ---- the batch ---- */

static void make_batch(struct skip *skip, const struct tagd_record *record, struct tagd_shard_writes *writes)
{
    const struct tagd_skip_config *config = skip->config;
    const struct tagd_worker_config *worker = config->worker;
    struct tagd_shard *shard = &skip->shard;
    struct tagd_str reason =
        tagd_str_of(tagd_arena_printf(&skip->memory, "skipped by an operator%s%.*s",
                                      config->reason[0] == '\0' ? "" : ": ", TAGD_SKIP_REASON_MAX, config->reason));
    tagd_shard_head_only(shard, worker->owner, shard->published, writes);
    struct tagd_head *head = &writes->head;
    if (!shard->head.exists)
        tagd_population_begin(worker->catalog, &skip->memory, &writes->population);
    head->exists = true;
    head->at_least_once = worker->at_least_once;
    head->prev_fence = shard->head.fence;
    head->fence = shard->fence;
    head->batch = shard->head.batch + 1;
    memcpy(head->next_offset, shard->next_offset, sizeof(head->next_offset));
    head->next_offset[config->topic] = config->offset + 1;
    tagd_outbox_begin(&skip->outbox, head->watermark_ms, worker->n_topics, head->next_offset, 1);
    tagd_outbox_add_dead_letter(&skip->outbox, config->topic, config->offset, TAGD_EVENT_POISON, reason);
    writes->outbox = (struct tagd_str){skip->outbox.p, skip->outbox.n};
    tagd_dead_letter(record, TAGD_EVENT_POISON, reason, worker->topics[config->topic], config->shard, config->offset, 0,
                     &skip->memory, &skip->letter);
}

static enum tagd_skip_result result_of(const struct skip *skip, const struct tagd_op *op, struct tagd_error *error)
{
    if (op->status == TAGD_DONE)
        return TAGD_SKIP_DONE;
    tagd_fail(error, "shard %" PRIu32 ": %s; %s", skip->config->shard, op->error.text,
              skip->outcome->committed
                  ? "the record is skipped in Redis, and the next take-over publishes the rest: start the daemon"
                  : "run this again: it tells whether the record is skipped");
    return TAGD_SKIP_AGAIN;
}

static enum tagd_skip_result commit(struct skip *skip, struct tagd_shard_writes *writes, struct tagd_error *error)
{
    struct tagd_op op = {.kind = TAGD_OP_COMMIT};
    op.u.commit.shards = writes;
    op.u.commit.n_shards = 1;
    carry_out(skip, &op, &skip->memory);
    if (op.status == TAGD_DONE && writes->status == TAGD_FENCED) {
        tagd_fail(&op.error, "another owner has taken it");
        op.status = TAGD_FENCED;
    }
    if (op.status == TAGD_DONE)
        skip->shard.head = writes->head;
    return result_of(skip, &op, error);
}

static enum tagd_skip_result publish(struct skip *skip, enum tagd_op_kind kind, size_t n_outputs,
                                     struct tagd_error *error)
{
    struct tagd_shard_outputs outputs = tagd_head_outputs(&skip->shard.head, skip->config->shard, skip->metadata);
    struct tagd_op op = {.kind = kind, .status = TAGD_ABORTED};
    outputs.outputs = &skip->letter;
    outputs.n_outputs = n_outputs;
    op.u.publish.shards = &outputs;
    op.u.publish.n_shards = 1;
    for (int tries = 0; tries < PUBLISHES_MAX && op.status == TAGD_ABORTED && !skip->gone; tries++) {
        if (tries > 0)
            pause_for(skip, PAUSE_MS);
        carry_out(skip, &op, &skip->memory);
    }
    return result_of(skip, &op, error);
}

static enum tagd_skip_result pass_over(struct skip *skip, struct tagd_error *error)
{
    struct tagd_shard_writes writes;
    struct tagd_record record;
    bool at_least_once = skip->config->worker->at_least_once;
    if (!is_next(skip, error))
        return TAGD_SKIP_REFUSED;
    enum tagd_skip_result result = fetch(skip, &record, error);
    if (result != TAGD_SKIP_DONE)
        return result;
    make_batch(skip, &record, &writes);
    result = commit(skip, &writes, error);
    if (result != TAGD_SKIP_DONE)
        return result;
    skip->outcome->committed = true;
    result = publish(skip, at_least_once ? TAGD_OP_SEND : TAGD_OP_PUBLISH, 1, error);
    if (result == TAGD_SKIP_DONE && at_least_once)
        result = publish(skip, TAGD_OP_OFFSETS, 0, error);
    if (result == TAGD_SKIP_DONE)
        skip->shard.published = skip->shard.head.batch;
    return result;
}

/* An owner that died with the shard stays named, since what killed it may come next: whoever takes over tries that first.
 * If this fails, our own name stands there, and means the same. */
static void leave(struct skip *skip)
{
    struct tagd_shard_writes writes;
    struct tagd_error ignored;
    if (!skip->shard.head.exists || skip->gone)
        return;
    tagd_shard_head_only(&skip->shard, skip->owner, skip->shard.published, &writes);
    commit(skip, &writes, &ignored);
}

enum tagd_skip_result tagd_skip(const struct tagd_skip_config *config, struct tagd_port *port,
                                struct tagd_skip_outcome *outcome, struct tagd_error *error)
{
    struct skip *skip = tagd_xcalloc(1, sizeof(*skip));
    *outcome = (struct tagd_skip_outcome){0};
    skip->config = config;
    skip->port = port;
    skip->outcome = outcome;
    skip->shard.number = config->shard;
    enum tagd_skip_result result = await_shard(skip, error);
    if (result == TAGD_SKIP_DONE)
        result = take_over(skip, error);
    if (result == TAGD_SKIP_DONE) {
        result = pass_over(skip, error);
        if (result != TAGD_SKIP_AGAIN)
            leave(skip);
    }
    tagd_counts_free(&skip->takeover.counts);
    tagd_letters_free(&skip->shard.letters);
    tagd_buf_free(&skip->outbox);
    tagd_arena_free(&skip->arena);
    tagd_arena_free(&skip->memory);
    free(skip);
    return result;
}
