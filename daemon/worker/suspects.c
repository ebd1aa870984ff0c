#include "worker/suspects.h"

#include <stdlib.h>
#include <string.h>

/* ---- a trial, and a second one ---- */

struct trial {
    const struct tagd_port *port;
    const struct tagd_record **records; /* by call */
    size_t n, from;                     /* from: the first of the trial under way */
    void (*run)(struct trial *trial, size_t i);
    /* decoding */
    const struct tagd_suspect *waiting;
    const struct tagd_event_rules *rules;
    struct tagd_arena *arena;
    /* applying */
    struct trial_step {
        struct tagd_lane *lane;
        struct tagd_batch_step step;
    } * steps;
    struct tagd_shard_context *context;
};

static void run_from(void *to, size_t i)
{
    struct trial *trial = to;
    trial->run(trial, trial->from + i);
}

static size_t try_range(struct trial *trial, size_t from, size_t n, struct tagd_error *killed)
{
    trial->from = from;
    return trial->port->trial(trial->port->self, trial->records + from, n, run_from, trial, killed);
}

/* What call i needs before it: of a batch, the earlier events of its customer. */
static size_t alone_from(const struct trial *trial, size_t i)
{
    while (trial->steps != NULL && i > 0 && trial->steps[i - 1].lane == trial->steps[i].lane &&
           trial->steps[i - 1].step.customer == trial->steps[i].step.customer)
        i--;
    return i;
}

/* Calls from `next` on. */
static struct tagd_tried try_twice(struct trial *trial, size_t next, const char *what)
{
    struct tagd_tried tried = {.n = trial->n};
    struct tagd_error killed = {""};
    if (next >= trial->n)
        return tried;
    size_t first = alone_from(trial, next), through = first + try_range(trial, first, trial->n - first, &killed);
    if (through >= trial->n)
        return tried;
    size_t from = alone_from(trial, through), n = through - from;
    tagd_fail(&tried.reason, "%s it killed a trial once, though not alone: %s", what, killed.text);
    tried.n = (through < next ? next : through) + 1; /* what was let through before doesn't keep the rest */
    if (try_range(trial, from, n + 1, &killed) != n)
        return tried;
    tagd_fail(&tried.reason, "%s it killed the process twice, the second time alone: %s", what, killed.text);
    tried.n = through;
    tried.condemned = true;
    return tried;
}

/* ---- decoding ---- */

void tagd_suspects_add(struct tagd_suspects *suspects, const struct tagd_input *in, int64_t wall_ms)
{
    if (suspects->n == suspects->cap) {
        suspects->cap = suspects->cap ? suspects->cap * 2 : 1024;
        suspects->waiting = tagd_xrealloc(suspects->waiting, suspects->cap * sizeof(*suspects->waiting));
    }
    suspects->waiting[suspects->n++] = (struct tagd_suspect){*in, wall_ms};
}

void tagd_suspects_shift(struct tagd_suspects *suspects, size_t n)
{
    suspects->n -= n;
    memmove(suspects->waiting, suspects->waiting + n, suspects->n * sizeof(*suspects->waiting));
}

void tagd_suspects_drop(struct tagd_suspects *suspects, uint32_t shard, const struct tagd_port *port)
{
    size_t kept = 0;
    for (size_t i = 0; i < suspects->n; i++) {
        const struct tagd_input *in = &suspects->waiting[i].in;
        if ((uint32_t)in->record.partition != shard)
            suspects->waiting[kept++] = suspects->waiting[i];
        else if (in->kind == TAGD_IN_RECORD)
            port->release(port->self, in->token);
    }
    suspects->n = kept;
}

static void decode(struct trial *trial, size_t i)
{
    const struct tagd_suspect *suspect = &trial->waiting[i];
    const struct tagd_record *record = &suspect->in.record;
    struct tagd_event event;
    if (suspect->in.kind == TAGD_IN_RECORD)
        tagd_event_decode(&trial->rules[record->topic], record, suspect->wall_ms, trial->arena, &event);
}

struct tagd_tried tagd_suspects_decode(const struct tagd_suspects *suspects, const struct tagd_port *port,
                                       const struct tagd_event_rules *rules, struct tagd_arena *arena)
{
    struct trial trial = {
        .port = port, .n = suspects->n, .run = decode, .waiting = suspects->waiting, .rules = rules, .arena = arena};
    trial.records = tagd_xmalloc((trial.n + 1) * sizeof(struct tagd_record *));
    for (size_t i = 0; i < trial.n; i++)
        trial.records[i] = &suspects->waiting[i].in.record;
    struct tagd_tried tried = try_twice(&trial, 0, "decoding");
    free(trial.records);
    return tried;
}

void tagd_suspects_free(struct tagd_suspects *suspects)
{
    free(suspects->waiting);
    *suspects = (struct tagd_suspects){0};
}

/* ---- lanes ---- */

void tagd_lane_suspect(struct tagd_lane *lane, size_t n_max)
{
    lane->suspects_left = n_max;
    for (uint32_t i = 0; i < TAGD_TOPICS_MAX; i++)
        lane->suspect_to[i] = -1;
}

void tagd_lane_suspect_to(struct tagd_lane *lane, const struct tagd_committed_topic *committed, uint32_t n_topics)
{
    for (uint32_t i = 0; i < n_topics && lane->suspects_left > 0; i++)
        if (lane->suspect_to[i] < 0)
            lane->suspect_to[i] = committed[i].high;
}

void tagd_lane_cleared(struct tagd_lane *lane, size_t n_records, uint32_t n_topics)
{
    bool more = false;
    for (uint32_t i = 0; i < n_topics; i++)
        more = more || lane->shard.next_offset[i] < lane->suspect_to[i];
    if (!more || n_records >= lane->suspects_left)
        lane->suspects_left = 0;
    else
        lane->suspects_left -= n_records;
}

bool tagd_lane_has_suspects(const struct tagd_lane *lane, uint32_t n_topics)
{
    if (lane->suspects_left == 0 || lane->repair.phase != TAGD_NO_REPAIR)
        return lane->suspects_left > 0;
    for (uint32_t i = 0; i < n_topics; i++) {
        const struct tagd_lane_topic *topic = &lane->topics[i];
        bool passed = lane->shard.status == TAGD_SHARD_RUNNING && topic->n == 0 && topic->at_end;
        if ((passed ? topic->next : lane->shard.next_offset[i]) < lane->suspect_to[i])
            return true;
    }
    return false;
}

/* ---- applying ---- */

static bool holds_suspects(const struct tagd_lane *lane)
{
    for (size_t i = 0; i < lane->batch.n_items && lane->suspects_left > 0; i++)
        if (tagd_lane_suspects(lane, lane->batch.items[i].record))
            return true;
    return false;
}

static void apply(struct trial *trial, size_t i)
{
    struct trial_step *step = &trial->steps[i];
    tagd_batch_try(&step->lane->batch, trial->context, &step->lane->load, &step->step);
}

static void add_steps(struct trial *trial, struct tagd_lane *lane, struct tagd_batch_step *steps)
{
    const struct tagd_batch *batch = &lane->batch;
    size_t n = tagd_batch_steps(batch, steps);
    for (size_t i = 0; i < n; i++) {
        trial->records[trial->n] = batch->items[steps[i].item].record;
        trial->steps[trial->n++] = (struct trial_step){lane, steps[i]};
    }
}

struct tagd_tried tagd_suspects_apply(struct tagd_lane *const *lanes, size_t n_lanes, const struct tagd_port *port,
                                      struct tagd_shard_context *context, struct tagd_arena *arena, size_t next,
                                      const struct tagd_record **culprit)
{
    struct trial trial = {.port = port, .run = apply, .context = context};
    size_t n_items = 0;
    for (size_t i = 0; i < n_lanes; i++)
        n_items += holds_suspects(lanes[i]) ? lanes[i]->batch.n_items : 0;
    if (n_items == 0)
        return (struct tagd_tried){0};
    struct tagd_batch_step *steps = tagd_xmalloc(n_items * sizeof(*steps));
    trial.records = tagd_xmalloc(n_items * sizeof(struct tagd_record *));
    trial.steps = tagd_xmalloc(n_items * sizeof(*trial.steps));
    for (size_t i = 0; i < n_lanes; i++)
        if (holds_suspects(lanes[i]))
            add_steps(&trial, lanes[i], steps);
    struct tagd_tried tried = try_twice(&trial, next, "applying");
    if (tried.condemned) {
        const struct trial_step *last = &trial.steps[tried.n];
        *culprit = trial.records[tried.n];
        tagd_batch_condemn(&last->lane->batch, &last->step, tried.reason.text, arena);
    } else if (tried.reason.text[0] != '\0') {
        *culprit = trial.records[tried.n - 1];
    }
    free(trial.steps);
    free(trial.records);
    free(steps);
    return tried;
}
