/* One thread's loop over its shards. One thing is in hand at a time:
 *
 *   IDLE -> TAKEOVER   a shard that is ours and doesn't run; step by step until it runs, or a pause and again
 *        -> LOADING    a batch over all shards that have records or due timers: profiles and due customers are read;
 *        -> BRAKING    the engine has run, and made more changes than are believed: until it is known that they are held
 *        -> COMMITTING one transaction of the store;
 *        -> PUBLISHING exactly once: one Kafka transaction: outputs and offsets
 *        -> DROPPING   at least once: outbox entries that are acknowledged go, if no batch came to take them along
 *        -> AUDITING   now and then: Kafka's committed position of a shard, then the store's head, are as we believe
 *        -> RELEASING  shards that go: heads say that they are left cleanly
 *
 * At least once, outputs are handed to the producer after COMMITTING and the next batch begins; acknowledgements come
 * when they come (sending.h), and offsets are committed every second, for on-call and as a trace of what was published.
 * A batch that isn't acknowledged for good makes its shards be taken over again, which sends their outboxes.
 *
 * Answers:  FENCED   that shard's share is dropped, and it is taken over again after a pause if it is still ours
 *           REFUSED, DENIED, ABORTED   the same is sent again after a pause
 *           UNKNOWN  the shards of the operation are taken over again: a new fence, then the comparison tells
 * A shard that was committed but not published is never left as clean: the next owner finds its outbox.
 *
 * After an owner's death a shard's first records are tried before they are decoded, and before they are applied
 * (suspects.h). One is condemned at a time, and the loop goes round in between. */
#include "worker/audit.h"
#include "worker/rates.h"
#include "worker/sending.h"
#include "worker/suspects.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 100          /* before the same operation is sent again */
#define RETAKE_MS 200         /* before a shard is taken over again */
#define RETAKE_FENCED_MS 2000 /* after another owner was met: time for the group to tell us */
#define LEAVE_MS 3000         /* what is in flight gets so long when shards go */
#define LEAVE_LOOK_MS 10      /* and is looked at so often */
#define DROP_MS 100           /* a published batch's outbox entry waits so long for a batch to take it along */
#define DROP_RETRY_MS 1000    /* after Redis refused */
#define OFFSETS_MS 1000       /* between commits of offsets alone */
#define CLOCKS_PART_MS 60000  /* the wall clock may be slewed, not set */
#define BACKLOG 2000          /* records of one poll; where so many come, more come at once */
/* Of a worker's first batch, where outputs are aimed at: how large they are isn't known. */
#define BATCH_EVENTS_FIRST 2000
#define BATCH_EVENTS_LEAST 100
#define BLOCKED_EXTRA 1000 /* records let in past the limit while all wait for one topic */
#define AUDIT_MS 5000      /* between audits; without an idle moment twice that */
#define BRAKING_LOOK_MS 10 /* whether a hold is known */

enum activity { IDLE, TAKEOVER, LOADING, BRAKING, COMMITTING, PUBLISHING, DROPPING, AUDITING, RELEASING };

struct tagd_worker {
    struct tagd_worker_config config;
    struct tagd_event_rules rules[TAGD_TOPICS_MAX];
    struct tagd_port *port;
    struct tagd_shard_context context;
    struct tagd_worker_stats stats;
    struct tagd_lane **by_number; /* by partition number; NULL: not ours */
    struct tagd_lane **lanes;     /* those that are ours */
    size_t n_lanes, turn;
    size_t queued, queued_bytes;
    size_t batch_events; /* that the next batch may have */
    int64_t polled_ms;   /* the wall clock as the present poll's first record came */
    size_t n_polled;     /* records of the last poll */
    bool *owned;         /* by partition number: this process has owned it; named as owner, it is no stranger */
    struct tagd_suspects suspects;

    /* records: two generations, the batch's and the intake's */
    struct tagd_arena intake[2];
    uint64_t generation;

    /* what is in hand */
    enum activity activity;
    int64_t retry_ms; /* monotonic: the operation is sent again then; 0: it is under way */
    int64_t leave_ms; /* monotonic: when leaving began; 0: not leaving */
    struct tagd_arena arena;
    struct tagd_op op;
    struct tagd_takeover takeover;
    struct tagd_lane **batch; /* lanes of the batch */
    size_t n_batch;
    int64_t stage_us;  /* when its present stage began */
    int64_t oldest_ms; /* timestamp of its oldest record; INT64_MAX: none has one */
    size_t n_tried;    /* of the batch's suspects, applied in trials */
    void **tokens;
    size_t n_tokens, cap_tokens;
    struct tagd_shard_writes *writes;
    struct tagd_shard_outputs *outputs;
    int64_t audit_ms; /* monotonic: the next audit is due; 0: not known yet */
    size_t audit_turn;
    struct tagd_lane *audited;

    /* at least once: what goes on besides */
    struct tagd_sendings sendings;
    struct tagd_op offsets;
    bool offsets_under_way;
    int64_t offsets_ms; /* monotonic: not again before */
    struct tagd_shard_outputs *offset_shares;
    char (*offset_metadata)[TAGD_METADATA_MAX];

    /* brakes */
    struct tagd_rates *rates; /* NULL: nothing is limited */
    bool holding, time_held;  /* as last seen: outputs are held; live time is behind what it would be */
    size_t over_dimension;    /* what the batch that waits for a hold is over, */
    uint32_t over_changes;    /* and by how much */

    bool revoking, stopping, stopped, any_lost, clocks_parted;
    int64_t apart_ms;          /* wall minus monotonic clock, as last believed; 0: not known yet */
    struct tagd_error failure; /* text: why the worker must stop */
};

static int64_t mono_of(struct tagd_worker *worker)
{
    return worker->port->mono_ms(worker->port->self);
}

#define OF_NONE TAGD_NOTE(TAGD_NOTE_WARN) /* of no shard, or of several */
static struct tagd_note of(const struct tagd_lane *lane)
{
    struct tagd_note about = OF_NONE;
    about.shard = lane->shard.number;
    about.batch = (int64_t)lane->shard.head.batch;
    return about;
}

static struct tagd_note of_batch(const struct tagd_worker *worker)
{
    return worker->n_batch == 1 ? of(worker->batch[0]) : OF_NONE;
}

static void note(struct tagd_worker *worker, struct tagd_note about, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void note(struct tagd_worker *worker, struct tagd_note about, const char *fmt, ...)
{
    char text[1200];
    va_list args;
    if (worker->config.note == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    about.text = text;
    worker->config.note(worker->config.note_to, &about);
}

static void brake_time(struct tagd_worker *worker, struct tagd_lane_clock *now)
{
    const struct tagd_brakes *brakes = worker->config.brakes;
    if (brakes == NULL)
        return;
    now->to_ms = __atomic_load_n(&brakes->time_to_ms, __ATOMIC_RELAXED);
    now->parted = now->parted || !__atomic_load_n(&brakes->clock_agrees, __ATOMIC_RELAXED);
    worker->time_held =
        !worker->config.time_events && (now->parted || now->to_ms < now->wall_ms - worker->config.grace_ms);
}

/* Outputs are held: what is committed waits in the outbox. */
static bool holds(const struct tagd_worker *worker)
{
    const struct tagd_brakes *brakes = worker->config.brakes;
    return brakes != NULL && !__atomic_load_n(&brakes->outputs_flow, __ATOMIC_ACQUIRE);
}

/* As much of the shard is held as may be. */
static bool held_full(const struct tagd_worker *worker, const struct tagd_lane *lane)
{
    const struct tagd_brakes *brakes = worker->config.brakes;
    return lane->held_batches > 0 &&
           (lane->held_batches >= brakes->held_batches_max || lane->held_bytes >= brakes->held_bytes_max);
}

static void count_held(struct tagd_worker *worker)
{
    uint64_t batches = 0, bytes = 0;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        batches += worker->lanes[i]->held_batches;
        bytes += worker->lanes[i]->held_bytes;
    }
    __atomic_store_n(&worker->stats.held_batches, batches, __ATOMIC_RELAXED);
    __atomic_store_n(&worker->stats.held_bytes, bytes, __ATOMIC_RELAXED);
}

/* Both clocks. A wall clock that was set is not believed: live time stands until the two agree again, or a restart. */
static struct tagd_lane_clock clock_of(struct tagd_worker *worker)
{
    struct tagd_lane_clock now = {worker->port->wall_ms(worker->port->self), mono_of(worker), false, INT64_MAX};
    int64_t apart = now.wall_ms - now.mono_ms, by = apart - worker->apart_ms;
    if (worker->apart_ms != 0 && (by > CLOCKS_PART_MS || by < -CLOCKS_PART_MS)) {
        if (!worker->clocks_parted)
            note(worker, OF_NONE,
                 "the wall clock was set by %" PRId64
                 " ms: tags that silence changes stand until it is right again; restart if it is right now",
                 by);
        now.parted = true;
    } else {
        worker->apart_ms = apart;
    }
    worker->clocks_parted = now.parted;
    brake_time(worker, &now);
    __atomic_store_n(&worker->stats.clock_parted, now.parted, __ATOMIC_RELAXED);
    return now;
}

/* The batch's stage is over, and the next one begins. */
static void end_stage(struct tagd_worker *worker, enum tagd_stage stage)
{
    int64_t now_us = worker->port->mono_us(worker->port->self);
    tagd_histogram_add(&worker->stats.stages[stage], now_us - worker->stage_us);
    worker->stage_us = now_us;
}

static void note_latency(struct tagd_worker *worker, int64_t oldest_ms)
{
    if (oldest_ms != INT64_MAX)
        tagd_histogram_add(&worker->stats.latency, (worker->port->wall_ms(worker->port->self) - oldest_ms) * 1000);
}

static void fail(struct tagd_worker *worker, const char *text)
{
    if (worker->failure.text[0] == '\0')
        tagd_fail(&worker->failure, "%s", text);
    worker->stopping = true;
}

/* A head that says so: the state isn't what was published, and nothing is published of it. */
static bool under_repair(const struct tagd_lane *lane)
{
    return lane->shard.head.repair.phase != TAGD_NO_REPAIR;
}

static void count_shards(struct tagd_worker *worker)
{
    uint64_t running = 0, repairing = 0;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        bool runs = worker->lanes[i]->shard.status == TAGD_SHARD_RUNNING;
        running += runs && !under_repair(worker->lanes[i]);
        repairing += under_repair(worker->lanes[i]);
    }
    __atomic_store_n(&worker->stats.shards_running, running, __ATOMIC_RELAXED);
    __atomic_store_n(&worker->stats.shards_repairing, repairing, __ATOMIC_RELAXED);
    count_held(worker);
}

static void set_status(struct tagd_worker *worker, struct tagd_lane *lane, enum tagd_shard_status status)
{
    lane->shard.status = status;
    count_shards(worker);
}

/* ---- lanes ---- */

static void empty_queues(struct tagd_worker *worker, struct tagd_lane *lane)
{
    for (uint32_t i = 0; i < worker->config.n_topics; i++) {
        struct tagd_lane_topic *topic = &lane->topics[i];
        for (; topic->n > 0; topic->n--) {
            worker->port->release(worker->port->self, topic->ring[topic->first].token);
            if (topic->ring[topic->first].generation == TAGD_CONDEMNED)
                free(topic->ring[topic->first].event);
            topic->first = (topic->first + 1) & (topic->cap - 1);
        }
    }
    worker->queued -= lane->queued;
    worker->queued_bytes -= lane->queued_bytes;
    lane->queued = lane->queued_bytes = 0;
    tagd_suspects_drop(&worker->suspects, lane->shard.number, worker->port);
}

static void add_lane(struct tagd_worker *worker, uint32_t number)
{
    struct tagd_lane *lane = worker->by_number[number];
    if (lane != NULL) {
        lane->again = true;
        return;
    }
    lane = tagd_xcalloc(1, sizeof(*lane));
    lane->shard.number = number;
    lane->shard.status = TAGD_SHARD_IDLE;
    lane->shard.watermark_ms = lane->shard.latest_ms = INT64_MIN;
    lane->shard.next_due_ms = TAGD_NEVER;
    worker->by_number[number] = lane;
    worker->lanes[worker->n_lanes++] = lane;
}

static void drop_lane(struct tagd_worker *worker, size_t index)
{
    struct tagd_lane *lane = worker->lanes[index];
    empty_queues(worker, lane);
    if (lane->suspects_left > 0) /* they still are, if it comes back */
        worker->owned[lane->shard.number] = false;
    worker->by_number[lane->shard.number] = NULL;
    worker->lanes[index] = worker->lanes[--worker->n_lanes];
    tagd_lane_free(lane);
}

/* Nothing of the shard in memory counts any more; it is to be taken over again. */
static void retake(struct tagd_worker *worker, struct tagd_lane *lane, int64_t pause_ms)
{
    empty_queues(worker, lane);
    lane->resend = lane->offsets_due = lane->leavable = lane->told_kafka = false;
    lane->drop_ms = lane->progress_ms = 0;
    lane->held_batches = lane->held_bytes = 0; /* the take-over finds them in the outbox */
    lane->overtaken = pause_ms == RETAKE_FENCED_MS;
    lane->retry_ms = mono_of(worker) + pause_ms;
    set_status(worker, lane, TAGD_SHARD_RECOVERING);
}

/* ---- inputs ---- */

/* The lane that what came in is for; NULL: it isn't wanted. Records may come as soon as START was submitted, before its
 * completion is seen here. */
static struct tagd_lane *lane_for(const struct tagd_worker *worker, const struct tagd_input *in)
{
    struct tagd_lane *lane = worker->by_number[in->record.partition];
    if (lane == NULL || lane->lost)
        return NULL;
    bool starting = worker->activity == TAKEOVER && worker->takeover.shard == &lane->shard &&
                    worker->takeover.step == TAGD_TAKEOVER_START;
    return starting || lane->shard.status == TAGD_SHARD_RUNNING ? lane : NULL;
}

/* Under repair an event that was not in the future then isn't now, by whatever clock. */
static void decode(const struct tagd_worker *worker, const struct tagd_lane *lane, const struct tagd_record *record,
                   int64_t wall_ms, struct tagd_arena *arena, struct tagd_event *event)
{
    const struct tagd_event_rules *rules = &worker->rules[record->topic];
    struct tagd_event_rules of_repair;
    if (lane->repair.phase != TAGD_NO_REPAIR) {
        of_repair = *rules;
        of_repair.future_ms = -1;
        rules = &of_repair;
    }
    tagd_event_decode(rules, record, wall_ms, arena, event);
}

/* Under repair: the record was dead-lettered when it was read first. */
static const struct tagd_letter *letter_of(const struct tagd_lane *lane, const struct tagd_record *record)
{
    return lane->repair.phase == TAGD_NO_REPAIR
               ? NULL
               : tagd_letters_find(&lane->shard.letters, record->topic, record->offset);
}

/* Its time was too old or ahead of the clock when it was read first, and moved nothing. */
static bool was_off_time(const struct tagd_lane *lane, const struct tagd_record *record)
{
    const struct tagd_letter *letter = letter_of(lane, record);
    return letter != NULL && (letter->code == TAGD_EVENT_FUTURE || letter->code == TAGD_EVENT_PAST);
}

static bool was_poison(const struct tagd_lane *lane, const struct tagd_record *record)
{
    const struct tagd_letter *letter = letter_of(lane, record);
    return letter != NULL && letter->code == TAGD_EVENT_POISON;
}

/* condemned: why it must not be decoded; NULL: it may. */
static inline void queue_record(struct tagd_worker *worker, struct tagd_lane *lane, const struct tagd_input *in,
                                int64_t wall_ms, const char *condemned)
{
    struct tagd_arena *arena = &worker->intake[worker->generation & 1];
    struct tagd_queued queued = {
        .record = in->record, .token = in->token, .generation = worker->generation, .wall_ms = wall_ms};
    if (condemned != NULL) {
        queued.generation = TAGD_CONDEMNED;
        queued.event = tagd_xmalloc(sizeof(*queued.event) + TAGD_EVENT_REASON_MAX);
        tagd_event_condemn(condemned, (char *)(queued.event + 1), queued.event);
    } else {
        queued.event = tagd_arena_alloc(arena, sizeof(*queued.event));
        decode(worker, lane, &in->record, wall_ms, arena, queued.event);
    }
    /* A dead letter keeps them; one may be condemned later, a suspect or beside one. */
    if (queued.record.headers_unread && (queued.event->code != TAGD_EVENT_OK || lane->suspects_left > 0))
        worker->port->headers(worker->port->self, queued.token, &queued.record);
    queued.has_time = queued.event->has_time && !was_off_time(lane, &in->record);
    queued.time_ms = queued.event->time_ms;
    size_t bytes = lane->queued_bytes;
    tagd_lane_push(lane, &queued, in->end_offset);
    worker->queued++;
    worker->queued_bytes += lane->queued_bytes - bytes;
    TAGD_COUNT(&worker->stats, records, 1);
}

/* Whether it has to wait until it was tried, or until others of such shards were: ends and records keep their order. A
 * replay tries what was poison: decoding may come through, and tells the record's time. */
static bool must_be_tried(const struct tagd_worker *worker, const struct tagd_lane *lane, const struct tagd_input *in)
{
    bool tried = in->kind == TAGD_IN_RECORD && (tagd_lane_suspects(lane, &in->record) || was_poison(lane, &in->record));
    return tried || (worker->suspects.n > 0 && (lane->suspects_left > 0 || lane->repair.phase != TAGD_NO_REPAIR));
}

static void take_record(struct tagd_worker *worker, const struct tagd_input *in)
{
    struct tagd_lane *lane = lane_for(worker, in);
    if (lane == NULL) {
        worker->port->release(worker->port->self, in->token);
        return;
    }
    if (worker->n_polled++ == 0)
        worker->polled_ms = worker->port->wall_ms(worker->port->self);
    int64_t wall_ms = worker->polled_ms;
    if (must_be_tried(worker, lane, in))
        tagd_suspects_add(&worker->suspects, in, wall_ms);
    else if (tagd_lane_wants(lane, &in->record))
        queue_record(worker, lane, in, wall_ms, NULL);
    else
        worker->port->release(worker->port->self, in->token);
}

static void take_end(struct tagd_worker *worker, const struct tagd_input *in)
{
    struct tagd_lane *lane = lane_for(worker, in);
    if (lane == NULL)
        return;
    if (must_be_tried(worker, lane, in))
        tagd_suspects_add(&worker->suspects, in, 0);
    else
        tagd_lane_end(lane, in, mono_of(worker));
}

static void on_input(void *to, const struct tagd_input *in)
{
    struct tagd_worker *worker = to;
    switch (in->kind) {
    case TAGD_IN_RECORD: take_record(worker, in); return;
    case TAGD_IN_END: take_end(worker, in); return;
    case TAGD_IN_ASSIGN:
        for (size_t i = 0; i < in->n_shards; i++)
            add_lane(worker, in->shards[i]);
        return;
    case TAGD_IN_REVOKE: worker->revoking = true; return;
    case TAGD_IN_LOST:
        for (size_t i = 0; i < in->n_shards; i++)
            if (worker->by_number[in->shards[i]] != NULL) {
                worker->by_number[in->shards[i]]->lost = true;
                worker->by_number[in->shards[i]]->again = false;
            }
        worker->any_lost = true;
        return;
    case TAGD_IN_AGAIN:
        for (size_t i = 0; i < in->n_shards; i++)
            if (worker->by_number[in->shards[i]] != NULL)
                worker->by_number[in->shards[i]]->again_asked = true;
        return;
    case TAGD_IN_FATAL: fail(worker, in->error); return;
    }
}

/* ---- suspects ---- */

static bool leaving(const struct tagd_worker *worker)
{
    return worker->revoking || worker->stopping;
}

static void note_suspect(struct tagd_worker *worker, const struct tagd_record *record, const struct tagd_tried *tried)
{
    bool replayed = worker->by_number[record->partition]->repair.phase != TAGD_NO_REPAIR;
    const char *then = !tried->condemned ? "it is let through"
                       : replayed        ? "it is not applied again"
                                         : "it becomes a dead letter";
    struct tagd_note about = OF_NONE;
    about.shard = record->partition;
    about.topic = worker->config.topics[record->topic];
    about.offset = record->offset;
    note(worker, about, "shard %" PRId32 ": topic \"%s\" offset %" PRId64 ": %s; %s", record->partition,
         worker->config.topics[record->topic], record->offset, tried->reason.text, then);
}

static void take_tried(struct tagd_worker *worker, const struct tagd_suspect *suspect, const char *condemned)
{
    struct tagd_lane *lane = worker->by_number[suspect->in.record.partition];
    if (suspect->in.kind == TAGD_IN_END) {
        tagd_lane_end(lane, &suspect->in, mono_of(worker));
        return;
    }
    TAGD_COUNT(&worker->stats, trials, 1);
    if (tagd_lane_wants(lane, &suspect->in.record))
        queue_record(worker, lane, &suspect->in, suspect->wall_ms, condemned);
    else
        worker->port->release(worker->port->self, suspect->in.token);
}

/* What the last poll gave of such shards is decoded, up to the first that is condemned. */
static void take_suspects(struct tagd_worker *worker)
{
    struct tagd_suspects *suspects = &worker->suspects;
    if (suspects->n == 0 || leaving(worker))
        return;
    struct tagd_tried tried =
        tagd_suspects_decode(suspects, worker->port, worker->rules, &worker->intake[worker->generation & 1]);
    if (tried.reason.text[0] != '\0')
        note_suspect(worker, &suspects->waiting[tried.condemned ? tried.n : tried.n - 1].in.record, &tried);
    for (size_t i = 0; i < tried.n; i++)
        take_tried(worker, &suspects->waiting[i], NULL);
    if (tried.condemned)
        take_tried(worker, &suspects->waiting[tried.n++], tried.reason.text);
    tagd_suspects_shift(suspects, tried.n);
}

/* The batch may be applied; false: what is behind one that killed a trial is still to be tried. */
static bool batch_tried(struct tagd_worker *worker)
{
    const struct tagd_record *culprit;
    struct tagd_tried tried = tagd_suspects_apply(worker->batch, worker->n_batch, worker->port, &worker->context,
                                                  &worker->arena, worker->n_tried, &culprit);
    if (tried.reason.text[0] == '\0')
        return true;
    note_suspect(worker, culprit, &tried);
    worker->n_tried = tried.n;
    return false;
}

/* FENCE has found a head that names an owner which is not this process: it has died, or lives on without the shard. A
 * shard without a head has had an owner if a fence was taken before. */
static void look_for_death(struct tagd_worker *worker, struct tagd_lane *lane, uint64_t before,
                           const struct tagd_head *head)
{
    bool *known = &worker->owned[lane->shard.number];
    bool ours = !head->exists || strcmp(head->owner, worker->config.owner) == 0;
    bool owned = head->exists ? head->owner[0] != '\0' : before > 0;
    if (owned && !(ours && *known))
        tagd_lane_suspect(lane, 2 * worker->config.batch_events_max + BLOCKED_EXTRA);
    *known = true;
}

/* ---- operations ---- */

static void submit(struct tagd_worker *worker, struct tagd_op *op)
{
    op->arena = &worker->arena;
    op->status = TAGD_PENDING;
    worker->port->submit(worker->port->self, op);
}

/* What is in hand may be given up: leaving has taken too long. */
static bool overdue(struct tagd_worker *worker)
{
    return worker->leave_ms != 0 && mono_of(worker) - worker->leave_ms >= LEAVE_MS;
}

static bool pending(struct tagd_worker *worker)
{
    if (worker->retry_ms != 0)
        return false;
    switch (worker->activity) {
    case IDLE:
    case BRAKING: return false;
    case LOADING:
        for (size_t i = 0; i < worker->n_batch; i++)
            if (worker->batch[i]->load.status == TAGD_PENDING)
                return true;
        return false;
    case TAKEOVER:
    case COMMITTING:
    case PUBLISHING:
    case DROPPING:
    case AUDITING: return worker->op.status == TAGD_PENDING;
    case RELEASING: return worker->op.status == TAGD_PENDING || (worker->offsets_under_way && !overdue(worker));
    }
    return false;
}

static void retry_later(struct tagd_worker *worker, const char *what, const char *why)
{
    note(worker, of_batch(worker), "%s: %s; trying again", what, why);
    worker->retry_ms = mono_of(worker) + RETRY_MS;
}

/* ---- at least once ---- */

static void count_unacknowledged(struct tagd_worker *worker)
{
    __atomic_store_n(&worker->stats.outputs_unacknowledged, worker->sendings.n_outputs, __ATOMIC_RELAXED);
    __atomic_store_n(&worker->stats.bytes_unacknowledged, worker->sendings.bytes, __ATOMIC_RELAXED);
}

/* The share's lane, if the shard is still ours as it was when the share was sent. */
static struct tagd_lane *lane_of(const struct tagd_worker *worker, uint32_t number, uint64_t fence)
{
    struct tagd_lane *lane = worker->by_number[number];
    return lane == NULL || lane->lost || lane->shard.fence != fence ? NULL : lane;
}

static void submit_sending(struct tagd_worker *worker, struct tagd_sending *sending)
{
    sending->began_us = worker->port->mono_us(worker->port->self);
    submit(worker, &sending->op);
    count_unacknowledged(worker);
}

/* Where the shard may be seen to be: all up to this batch is published. */
static void note_offsets(struct tagd_lane *lane, const struct tagd_shard_outputs *at)
{
    memcpy(lane->offset, at->offset, sizeof(lane->offset));
    memcpy(lane->metadata, at->metadata.p, at->metadata.n);
    lane->n_metadata = at->metadata.n;
    lane->offset_fence = at->fence;
    lane->offset_batch = at->batch;
    lane->offsets_due = true;
}

static void take_acknowledged(struct tagd_worker *worker, const struct tagd_sending *sending)
{
    tagd_histogram_add(&worker->stats.stages[TAGD_STAGE_PUBLISH],
                       worker->port->mono_us(worker->port->self) - sending->began_us);
    note_latency(worker, sending->oldest_ms);
    for (size_t i = 0; i < sending->n; i++) {
        struct tagd_lane *lane = lane_of(worker, sending->shards[i].shard, sending->shares[i].fence);
        if (lane == NULL || lane->resend)
            continue;
        lane->progress_ms = mono_of(worker);
        lane->shard.published = sending->shards[i].batch;
        note_offsets(lane, &sending->shards[i]);
        if (lane->drop_ms == 0)
            lane->drop_ms = mono_of(worker) + DROP_MS;
    }
}

static void take_failed(struct tagd_worker *worker, const struct tagd_sending *sending)
{
    TAGD_COUNT(&worker->stats, publish_aborted, 1);
    note(worker, OF_NONE, "sending to Kafka: %s; sending it again", sending->op.error.text);
    for (size_t i = 0; i < sending->n; i++) {
        struct tagd_lane *lane = lane_of(worker, sending->shards[i].shard, sending->shares[i].fence);
        if (lane != NULL)
            lane->resend = true;
    }
}

static void take_acknowledgements(struct tagd_worker *worker)
{
    const struct tagd_sending *sending;
    while ((sending = tagd_sendings_completed(&worker->sendings)) != NULL) {
        if (sending->op.status == TAGD_DONE)
            take_acknowledged(worker, sending);
        else
            take_failed(worker, sending);
        tagd_sendings_pop(&worker->sendings);
    }
    count_unacknowledged(worker);
}

/* None of them is in hand: those whose outputs failed, and those that can't be read on. */
static void retake_failed(struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_lanes; i++) {
        struct tagd_lane *lane = worker->lanes[i];
        if ((lane->resend || lane->again_asked) && lane->shard.status == TAGD_SHARD_RUNNING)
            retake(worker, lane, RETAKE_MS);
    }
}

static void take_offsets(struct tagd_worker *worker)
{
    if (!worker->offsets_under_way || worker->offsets.status == TAGD_PENDING)
        return;
    worker->offsets_under_way = false;
    if (worker->offsets.status != TAGD_DONE) { /* the next one says more anyway */
        TAGD_COUNT(&worker->stats, offsets_failed, 1);
        note(worker, OF_NONE, "committing offsets to Kafka: %s; trying again", worker->offsets.error.text);
        return;
    }
    for (size_t i = 0; i < worker->offsets.u.publish.n_shards; i++) {
        const struct tagd_shard_outputs *share = &worker->offset_shares[i];
        struct tagd_lane *lane = worker->by_number[share->shard];
        if (lane != NULL && lane->offset_batch == share->batch && lane->offset_fence == share->fence)
            lane->offsets_due = false;
    }
}

static void commit_offsets(struct tagd_worker *worker)
{
    size_t n = 0;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        const struct tagd_lane *lane = worker->lanes[i];
        if (!lane->offsets_due || lane->lost)
            continue;
        memcpy(worker->offset_metadata[n], lane->metadata, lane->n_metadata);
        worker->offset_shares[n] =
            (struct tagd_shard_outputs){.shard = lane->shard.number,
                                        .fence = lane->offset_fence,
                                        .batch = lane->offset_batch,
                                        .metadata = {worker->offset_metadata[n], lane->n_metadata}};
        memcpy(worker->offset_shares[n++].offset, lane->offset, sizeof(lane->offset));
    }
    if (n == 0)
        return;
    worker->offsets_ms = mono_of(worker) + OFFSETS_MS;
    worker->offsets.kind = TAGD_OP_OFFSETS;
    worker->offsets.u.publish.shards = worker->offset_shares;
    worker->offsets.u.publish.n_shards = n;
    worker->offsets_under_way = true;
    submit(worker, &worker->offsets);
}

static void commit_offsets_if_due(struct tagd_worker *worker)
{
    if (worker->config.at_least_once && !worker->offsets_under_way && !leaving(worker) &&
        mono_of(worker) >= worker->offsets_ms)
        commit_offsets(worker);
}

/* Outbox entries of published batches that no batch has taken along. */
static bool begin_drop(struct tagd_worker *worker)
{
    int64_t now = mono_of(worker);
    bool due = false;
    size_t n = 0;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        const struct tagd_lane *lane = worker->lanes[i];
        if (lane->shard.status != TAGD_SHARD_RUNNING || lane->drop_ms == 0)
            continue;
        due = due || now >= lane->drop_ms;
        tagd_shard_head_only(&lane->shard, worker->config.owner, lane->shard.published, &worker->writes[n++]);
    }
    if (!due)
        return false;
    tagd_arena_reset(&worker->arena);
    worker->op.kind = TAGD_OP_COMMIT;
    worker->op.u.commit.shards = worker->writes;
    worker->op.u.commit.n_shards = n;
    submit(worker, &worker->op);
    worker->activity = DROPPING;
    return true;
}

/* The lane's entries up to the batch have gone. */
static void dropped(struct tagd_lane *lane, uint64_t to)
{
    if (lane->shard.published <= to)
        lane->drop_ms = 0;
}

/* A commit was fenced: by another owner, or since the store isn't what it was. The take-over will tell. */
static void overtaken(struct tagd_worker *worker, struct tagd_lane *lane)
{
    note(worker, of(lane),
         "shard %" PRIu32 ": Redis no longer has it as this process left it: another owner has taken it over, or Redis "
         "lost data; comparing",
         lane->shard.number);
    retake(worker, lane, RETAKE_FENCED_MS);
}

static void finish_drop(struct tagd_worker *worker)
{
    enum tagd_op_status status = worker->op.status;
    worker->activity = IDLE;
    TAGD_COUNT(&worker->stats, commits_refused, status == TAGD_REFUSED || status == TAGD_DENIED);
    TAGD_COUNT(&worker->stats, commits_unknown, status == TAGD_UNKNOWN);
    if (status != TAGD_DONE && status != TAGD_FENCED)
        note(worker, OF_NONE, "committing to Redis: %s; %s", worker->op.error.text,
             status == TAGD_UNKNOWN ? "comparing" : "trying again");
    for (size_t i = 0; i < worker->op.u.commit.n_shards; i++) {
        const struct tagd_shard_writes *writes = &worker->writes[i];
        struct tagd_lane *lane = worker->by_number[writes->shard];
        if (status == TAGD_UNKNOWN) {
            retake(worker, lane, 0);
        } else if (status != TAGD_DONE && status != TAGD_FENCED) {
            lane->drop_ms = mono_of(worker) + DROP_RETRY_MS;
        } else if (writes->status == TAGD_DONE) {
            dropped(lane, writes->outbox_drop_to);
        } else {
            TAGD_COUNT(&worker->stats, commits_fenced, 1);
            overtaken(worker, lane);
        }
    }
}

/* ---- take-over ---- */

/* A batch of the outbox goes out as any other; the take-over doesn't wait for its acknowledgement. */
static void send_entry(struct tagd_worker *worker)
{
    struct tagd_sending *sending = tagd_sendings_push(&worker->sendings, 1);
    tagd_sendings_add(&worker->sendings, sending, &worker->op.u.publish.shards[0], worker->takeover.shard->fence);
    submit_sending(worker, sending);
    worker->op.status = TAGD_DONE;
}

/* An audit met a store that is not as this process left it, or a Kafka that has another batch. Another owner's doing, or
 * a fault? Ours is the head of the last commit still; a fence that isn't ours was taken by another, though head doesn't
 * name its owner yet. */
static void resolve_doubt(struct tagd_worker *worker, struct tagd_lane *lane, uint64_t before,
                          const struct tagd_head *head)
{
    const struct tagd_head *ours = &lane->shard.head;
    struct tagd_position at = {head->exists, head->fence, head->batch}, left = {ours->exists, ours->fence, ours->batch};
    bool named = head->exists && strcmp(head->owner, worker->config.owner) != 0, taken = before != lane->shard.fence;
    bool others = (named || taken) && !tagd_position_later(left, at);
    bool told = lane->doubt_told;
    if (!lane->doubted)
        return;
    lane->doubted = lane->doubt_told = false;
    if (others) {
        TAGD_COUNT(&worker->stats, commits_fenced, 1);
        note(worker, of(lane), "shard %" PRIu32 ": another owner has taken it over", lane->shard.number);
        return;
    }
    TAGD_COUNT(&worker->stats, audits, 1);
    TAGD_COUNT(&worker->stats, audit_mismatches, 1);
    if (told)
        return;
    note(worker, of(lane),
         "shard %" PRIu32 ": Redis is at batch %" PRIu64 " (fence %" PRIu64
         "), and this process had left it at batch %" PRIu64 " (fence %" PRIu64 "); comparing",
         lane->shard.number, at.batch, at.fence, left.batch, left.fence);
}

/* Kafka is told where the store says it is, if there is nothing on its way that will say so. */
static void note_head(struct tagd_lane *lane)
{
    const struct tagd_head *head = &lane->shard.head;
    char metadata[TAGD_METADATA_MAX];
    if (head->batch == 0 || lane->shard.published != head->batch)
        return;
    struct tagd_shard_outputs at = tagd_head_outputs(head, lane->shard.number, metadata);
    note_offsets(lane, &at);
}

static void run_lane(struct tagd_worker *worker, struct tagd_lane *lane)
{
    set_status(worker, lane, TAGD_SHARD_RUNNING);
    lane->overtaken = false;
    lane->progress_ms = mono_of(worker);
    if (worker->config.at_least_once)
        note_head(lane);
}

static void advance_takeover(struct tagd_worker *worker)
{
    struct tagd_error error = {""};
    struct tagd_lane *lane = worker->by_number[worker->takeover.shard->number];
    enum tagd_takeover_result result;
    if (leaving(worker)) {
        set_status(worker, lane, TAGD_SHARD_RECOVERING);
        worker->activity = IDLE;
        return;
    }
    if (lane->resend) { /* what follows the entry that failed would overtake it */
        retake(worker, lane, RETAKE_MS);
        worker->activity = IDLE;
        return;
    }
    if (worker->takeover.step == TAGD_TAKEOVER_FENCE && worker->op.status == TAGD_DONE) {
        look_for_death(worker, lane, worker->op.u.fence.before, &worker->op.u.fence.head);
        resolve_doubt(worker, lane, worker->op.u.fence.before, &worker->op.u.fence.head);
    }
    do {
        result = tagd_takeover_next(&worker->takeover, &worker->config, &worker->stats, &worker->op, &error);
        if (result == TAGD_TAKEOVER_SUBMIT && worker->op.kind == TAGD_OP_SEND)
            send_entry(worker);
    } while (result == TAGD_TAKEOVER_SUBMIT && worker->op.kind == TAGD_OP_SEND);
    switch (result) {
    case TAGD_TAKEOVER_SUBMIT:
        if (worker->takeover.step == TAGD_TAKEOVER_START) {
            tagd_lane_reset(lane, &worker->takeover, worker->config.n_topics);
            if (lane->repair.phase == TAGD_NO_REPAIR) /* else it is for what comes after the replay */
                tagd_lane_suspect_to(lane, worker->takeover.committed, worker->config.n_topics);
        }
        submit(worker, &worker->op);
        return;
    case TAGD_TAKEOVER_AGAIN:
        note(worker, of(lane), "taking over: %s; trying again", error.text);
        retake(worker, lane, worker->op.status == TAGD_FENCED ? RETAKE_FENCED_MS : RETAKE_MS);
        break;
    case TAGD_TAKEOVER_STOP:
        set_status(worker, lane, TAGD_SHARD_STOPPED);
        fail(worker, error.text);
        break;
    case TAGD_TAKEOVER_RUNNING: run_lane(worker, lane); break;
    }
    worker->activity = IDLE;
}

/* What is still on its way from here is not on the output partitions yet: a comparison would not see it. */
static bool on_its_way(const struct tagd_worker *worker, const struct tagd_lane *lane)
{
    return tagd_sendings_hold(&worker->sendings, lane->shard.number);
}

static bool begin_takeover(struct tagd_worker *worker)
{
    int64_t now = mono_of(worker);
    if (holds(worker)) /* it would publish what it finds in the outbox */
        return false;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        struct tagd_lane *lane = worker->lanes[i];
        bool wants = lane->shard.status == TAGD_SHARD_IDLE || lane->shard.status == TAGD_SHARD_RECOVERING;
        if (!wants || now < lane->retry_ms || on_its_way(worker, lane))
            continue;
        tagd_arena_reset(&worker->arena);
        lane->resend = lane->again_asked = false; /* of its earlier fence */
        tagd_takeover_begin(&worker->takeover, &lane->shard, &worker->op);
        submit(worker, &worker->op);
        worker->activity = TAKEOVER;
        return true;
    }
    return false;
}

/* ---- a batch ---- */

static void keep_token(struct tagd_worker *worker, void *token)
{
    if (worker->n_tokens == worker->cap_tokens) {
        worker->cap_tokens = worker->cap_tokens ? worker->cap_tokens * 2 : 1024;
        worker->tokens = tagd_xrealloc(worker->tokens, worker->cap_tokens * sizeof(*worker->tokens));
    }
    worker->tokens[worker->n_tokens++] = token;
}

/* The batch is over, one way or another. */
static void end_batch(struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_tokens; i++)
        worker->port->release(worker->port->self, worker->tokens[i]);
    worker->n_tokens = 0;
    worker->n_batch = 0;
    worker->activity = IDLE;
}

static void add_item(struct tagd_worker *worker, struct tagd_lane *lane, const struct tagd_queued *taken,
                     int64_t watermark_ms)
{
    struct tagd_arena *arena = &worker->intake[worker->generation & 1];
    struct tagd_record *record = tagd_arena_alloc(arena, sizeof(*record));
    struct tagd_event *event = taken->event;
    *record = taken->record;
    if (record->timestamp_ms >= 0 && record->timestamp_ms < worker->oldest_ms)
        worker->oldest_ms = record->timestamp_ms;
    if (taken->generation == TAGD_CONDEMNED) {
        event = tagd_arena_alloc(arena, sizeof(*event));
        tagd_event_condemn(taken->event->reason, tagd_arena_alloc(arena, TAGD_EVENT_REASON_MAX), event);
        free(taken->event);
    } else if (taken->generation != worker->generation) { /* it waited through a batch, whose arena is gone */
        event = tagd_arena_alloc(arena, sizeof(*event));
        decode(worker, lane, record, taken->wall_ms, arena, event);
    }
    tagd_batch_add(&lane->batch, record, event, watermark_ms);
    keep_token(worker, taken->token);
}

/* There is nothing to do for the lane. That is as it should be if all there was has been read, and time goes on. */
static void note_idle(const struct tagd_worker *worker, struct tagd_lane *lane, const struct tagd_lane_clock *now,
                      int64_t watermark_ms)
{
    bool time_goes_on =
        worker->config.time_events || worker->time_held || now->parted || watermark_ms > lane->shard.watermark_ms;
    if (lane->queued == 0 && time_goes_on && tagd_lane_caught_up(lane, worker->config.n_topics))
        lane->progress_ms = now->mono_ms;
}

/* Takes what the lane has, up to the limits; true: there is work. */
static bool collect_lane(struct tagd_worker *worker, struct tagd_lane *lane, const struct tagd_lane_clock *now,
                         size_t *events_left, size_t *bytes_left)
{
    const struct tagd_worker_config *config = &worker->config;
    struct tagd_batch *batch = &lane->batch;
    struct tagd_lane_watermark watermark;
    struct tagd_queued taken;
    tagd_batch_begin(batch, &lane->shard);
    tagd_lane_begin(lane, config, now, &watermark);
    size_t queued = lane->queued, queued_bytes = lane->queued_bytes;
    while (*events_left > 0 && *bytes_left > 0 && tagd_lane_take(lane, config, now, &taken)) {
        size_t bytes = taken.record.key.n + taken.record.value.n;
        tagd_lane_move(lane, config, now, &taken, &watermark);
        add_item(worker, lane, &taken, watermark.watermark_ms);
        (*events_left)--;
        *bytes_left -= bytes < *bytes_left ? bytes : *bytes_left;
    }
    worker->queued -= queued - lane->queued;
    worker->queued_bytes -= queued_bytes - lane->queued_bytes;
    tagd_lane_settle(lane, config, now, &watermark);
    batch->watermark_ms = watermark.watermark_ms;
    batch->latest_ms = watermark.latest_ms;
    batch->caught_up = !batch->muted && tagd_lane_caught_up(lane, config->n_topics);
    for (uint32_t i = 0; i < config->n_topics; i++)
        if (lane->topics[i].n == 0 && lane->topics[i].at_end)
            batch->next_offset[i] = batch->muted ? lane->repair.to_offset[i] : lane->topics[i].next;
    bool due = batch->watermark_ms != INT64_MIN && lane->shard.next_due_ms <= batch->watermark_ms;
    batch->settle = batch->muted && batch->n_items == 0 && !due && tagd_lane_replayed(lane, config->n_topics);
    if (batch->n_items > 0 || due || batch->settle)
        return true;
    note_idle(worker, lane, now, watermark.watermark_ms);
    lane->shard.watermark_ms = watermark.watermark_ms; /* nothing to commit for it */
    return false;
}

/* While outputs are held a repair rests: it ends with a take-over, which would have to wait. */
static bool may_begin(const struct tagd_worker *worker, const struct tagd_lane *lane)
{
    bool rests = lane->repair.phase != TAGD_NO_REPAIR && holds(worker);
    return lane->shard.status == TAGD_SHARD_RUNNING && !rests && !held_full(worker, lane);
}

static bool begin_batch(struct tagd_worker *worker)
{
    struct tagd_lane_clock now = clock_of(worker);
    size_t events_left = worker->batch_events, bytes_left = worker->config.batch_bytes_max;
    worker->n_batch = 0;
    worker->oldest_ms = INT64_MAX;
    if (tagd_sendings_full(&worker->sendings))
        return false;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        struct tagd_lane *lane = worker->lanes[(worker->turn + i) % worker->n_lanes];
        if (may_begin(worker, lane) && collect_lane(worker, lane, &now, &events_left, &bytes_left))
            worker->batch[worker->n_batch++] = lane;
    }
    if (worker->n_batch == 0)
        return false;
    worker->turn = (worker->turn + 1) % worker->n_lanes;
    worker->generation++;
    tagd_arena_reset(&worker->intake[worker->generation & 1]);
    tagd_arena_reset(&worker->arena);
    worker->context.emit.recorded_ms = now.wall_ms;
    for (size_t i = 0; i < worker->n_batch; i++) {
        tagd_batch_load(&worker->batch[i]->batch, &worker->context, &worker->batch[i]->load);
        submit(worker, &worker->batch[i]->load);
    }
    worker->n_tried = 0;
    worker->stage_us = worker->port->mono_us(worker->port->self);
    worker->activity = LOADING;
    return true;
}

static void commit_batch(struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_batch; i++)
        tagd_batch_writes(&worker->batch[i]->batch, &worker->context, &worker->writes[i]);
    worker->op.kind = TAGD_OP_COMMIT;
    worker->op.u.commit.shards = worker->writes;
    worker->op.u.commit.n_shards = worker->n_batch;
    submit(worker, &worker->op);
    worker->activity = COMMITTING;
}

/* All lanes of the batch are taken over again. */
static void retake_batch(struct tagd_worker *worker, int64_t pause_ms)
{
    for (size_t i = 0; i < worker->n_batch; i++)
        retake(worker, worker->batch[i], pause_ms);
    end_batch(worker);
}

/* The lane goes as if the batch had never begun; only its records are gone, so it can't run on. */
static void give_back(struct tagd_worker *worker, struct tagd_lane *lane)
{
    bool leavable = !lane->resend, offsets_due = lane->offsets_due;
    retake(worker, lane, 0);
    lane->leavable = leavable;
    lane->offsets_due = offsets_due;
}

static void give_back_batch(struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_batch; i++)
        give_back(worker, worker->batch[i]);
    end_batch(worker);
}

/* The changes that were told since the last time count from now on. */
static void count_changes(struct tagd_worker *worker)
{
    size_t n = tagd_catalog_n_dimensions(worker->config.catalog);
    int64_t now = mono_of(worker);
    for (size_t d = 0; d < n; d++) {
        if (worker->context.told[d] > 0)
            tagd_rates_add(worker->rates, d, worker->context.told[d], now);
        worker->context.told[d] = 0;
    }
}

/* Whether outputs are held. What was counted before they were released doesn't count any more. */
static bool see_hold(struct tagd_worker *worker)
{
    bool holding = holds(worker);
    if (worker->holding && !holding && worker->rates != NULL)
        tagd_rates_forget(worker->rates);
    worker->holding = holding;
    return holding;
}

static bool limits_are_off(const struct tagd_worker *worker)
{
    int64_t until_ms = __atomic_load_n(&worker->config.brakes->limits_off_ms, __ATOMIC_RELAXED);
    return worker->port->wall_ms(worker->port->self) < until_ms;
}

static void ask_for_hold(struct tagd_worker *worker)
{
    struct tagd_brakes *brakes = worker->config.brakes;
    brakes->trip(brakes->to, worker->over_dimension, worker->over_changes);
}

/* More changes than are believed, and nobody has said that they may be: then the hold is asked for. */
static bool over_limit(struct tagd_worker *worker)
{
    if (worker->rates == NULL)
        return false;
    bool holding = see_hold(worker);
    count_changes(worker);
    if (holding || limits_are_off(worker))
        return false;
    int64_t dimension = tagd_rates_over(worker->rates, worker->n_lanes, (size_t)worker->config.rules.partitions,
                                        mono_of(worker), &worker->over_changes);
    if (dimension < 0)
        return false;
    worker->over_dimension = (size_t)dimension;
    ask_for_hold(worker);
    return true;
}

/* The next batch has as many events as come to the outputs aimed at, by what this one's came to, and at most twice as
 * many as this one might have. One whose outputs are time's for the most part tells nothing. */
static void adapt(struct tagd_worker *worker)
{
    const struct tagd_worker_config *config = &worker->config;
    size_t told = 0, events = 0, due = 0, n = 2 * worker->batch_events;
    for (size_t i = 0; i < worker->n_batch; i++) {
        told += worker->batch[i]->batch.text.n;
        events += worker->batch[i]->batch.n_items;
        due += worker->batch[i]->load.u.load.n_due;
    }
    if (config->batch_told_bytes == 0 || events <= due)
        return;
    double fit = told == 0 ? INFINITY : (double)events * (double)config->batch_told_bytes / (double)told;
    if (fit < (double)n)
        n = fit < BATCH_EVENTS_LEAST ? BATCH_EVENTS_LEAST : (size_t)fit;
    worker->batch_events = n < config->batch_events_max ? n : config->batch_events_max;
}

static void advance_loading(struct tagd_worker *worker)
{
    struct tagd_error error;
    if (leaving(worker)) { /* nothing of it has taken effect */
        give_back_batch(worker);
        return;
    }
    for (size_t i = 0; i < worker->n_batch; i++) {
        const struct tagd_op *load = &worker->batch[i]->load;
        if (load->status == TAGD_DONE)
            continue;
        note(worker, of(worker->batch[i]), "shard %" PRIu32 ": reading profiles: %s; taking it over again", load->shard,
             load->error.text);
        retake_batch(worker, RETAKE_MS);
        return;
    }
    if (!batch_tried(worker))
        return;
    end_stage(worker, TAGD_STAGE_LOAD);
    for (size_t i = 0; i < worker->n_batch; i++) {
        struct tagd_lane *lane = worker->batch[i];
        if (tagd_batch_apply(&lane->batch, &worker->context, &lane->load, &error))
            continue;
        fail(worker, error.text);
        retake_batch(worker, 0);
        return;
    }
    adapt(worker);
    end_stage(worker, TAGD_STAGE_APPLY);
    if (over_limit(worker))
        worker->activity = BRAKING;
    else
        commit_batch(worker);
}

static void advance_braking(struct tagd_worker *worker)
{
    if (leaving(worker)) /* nothing of it has taken effect */
        give_back_batch(worker);
    else if (see_hold(worker) || limits_are_off(worker))
        commit_batch(worker);
    else
        ask_for_hold(worker); /* however long that takes; once it is asked for this says nothing new */
}

static void show_published(const struct tagd_worker *worker, const struct tagd_shard_outputs *shards, size_t n)
{
    if (worker->config.published != NULL)
        worker->config.published(worker->config.published_to, shards, n);
}

static void publish_batch(struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_batch; i++)
        tagd_batch_outputs(&worker->batch[i]->batch, &worker->outputs[i]);
    worker->op.kind = TAGD_OP_PUBLISH;
    worker->op.u.publish.shards = worker->outputs;
    worker->op.u.publish.n_shards = worker->n_batch;
    submit(worker, &worker->op);
    worker->activity = PUBLISHING;
}

/* The outputs of what is committed are handed over, but of shards whose earlier outputs failed: they would overtake
 * these. */
static void send_batch(struct tagd_worker *worker)
{
    struct tagd_sending *sending = tagd_sendings_push(&worker->sendings, worker->n_batch);
    for (size_t i = 0; i < worker->n_batch; i++) {
        struct tagd_lane *lane = worker->batch[i];
        struct tagd_shard_outputs outputs;
        if (lane->resend) {
            retake(worker, lane, RETAKE_MS);
            continue;
        }
        tagd_batch_outputs(&lane->batch, &outputs);
        tagd_sendings_add(&worker->sendings, sending, &outputs, lane->shard.fence);
    }
    sending->oldest_ms = worker->oldest_ms;
    show_published(worker, sending->shards, sending->n);
    submit_sending(worker, sending);
    end_batch(worker);
}

/* The shard's repair is over, all of it: it is taken over again, and runs. */
static void end_if_repaired(struct tagd_worker *worker, struct tagd_lane *lane)
{
    struct tagd_shard *shard = &lane->shard;
    if (!lane->batch.ends_repair)
        return;
    note(worker, of(lane),
         "shard %" PRIu32 ": repaired: %" PRIu64 " records were read again, %" PRIu64
         " customers compared with what was published of them, %" PRIu64 " differences published",
         shard->number, shard->n_replayed, shard->n_settled, shard->n_differences);
    shard->n_replayed = shard->n_settled = shard->n_differences = 0;
    tagd_letters_free(&shard->letters);
    retake(worker, lane, 0);
}

/* Committed, and not published yet; what comes after it must not overtake it. */
static void hold(struct tagd_worker *worker, struct tagd_lane *lane, const struct tagd_shard_writes *writes)
{
    lane->held_batches++;
    lane->held_bytes += writes->outbox.n;
    count_held(worker);
}

/* Outputs flow again: the take-over publishes what has waited. */
static void retake_held(struct tagd_worker *worker)
{
    bool holding = see_hold(worker);
    for (size_t i = 0; i < worker->n_lanes && !holding; i++)
        if (worker->lanes[i]->held_batches > 0 && worker->lanes[i]->shard.status == TAGD_SHARD_RUNNING)
            retake(worker, worker->lanes[i], 0);
}

static void advance_committing(struct tagd_worker *worker)
{
    switch (worker->op.status) {
    case TAGD_REFUSED:
    case TAGD_DENIED:
    case TAGD_ABORTED:
        if (worker->op.status != TAGD_ABORTED)
            TAGD_COUNT(&worker->stats, commits_refused, 1);
        if (leaving(worker)) {
            retake_batch(worker, 0);
            return;
        }
        retry_later(worker, "committing to Redis", worker->op.error.text);
        return;
    case TAGD_UNKNOWN:
        TAGD_COUNT(&worker->stats, commits_unknown, 1);
        note(worker, of_batch(worker), "committing to Redis: %s; comparing", worker->op.error.text);
        retake_batch(worker, 0);
        return;
    case TAGD_DONE:
    case TAGD_FENCED:
    case TAGD_PENDING:
    case TAGD_GONE: break;
    }
    size_t n = 0;
    end_stage(worker, TAGD_STAGE_COMMIT);
    for (size_t i = 0; i < worker->n_batch; i++) {
        struct tagd_lane *lane = worker->batch[i];
        if (worker->writes[i].status == TAGD_DONE) {
            lane->progress_ms = mono_of(worker);
            tagd_batch_committed(&lane->batch, &worker->writes[i], &worker->context);
            if (lane->suspects_left > 0 && !lane->batch.muted)
                tagd_lane_cleared(lane, lane->batch.n_items, worker->config.n_topics);
            dropped(lane, worker->writes[i].outbox_drop_to);
            if (!tagd_batch_is_numbered(&lane->batch))
                end_if_repaired(worker, lane);
            else if (holds(worker) || lane->held_batches > 0)
                hold(worker, lane, &worker->writes[i]);
            else
                worker->batch[n++] = lane;
            continue;
        }
        TAGD_COUNT(&worker->stats, commits_fenced, 1);
        overtaken(worker, lane);
    }
    worker->n_batch = n;
    if (n == 0)
        end_batch(worker);
    else if (worker->config.at_least_once)
        send_batch(worker);
    else
        publish_batch(worker);
}

static void advance_publishing(struct tagd_worker *worker)
{
    switch (worker->op.status) {
    case TAGD_DONE:
        end_stage(worker, TAGD_STAGE_PUBLISH);
        note_latency(worker, worker->oldest_ms);
        show_published(worker, worker->outputs, worker->n_batch);
        for (size_t i = 0; i < worker->n_batch; i++) {
            worker->batch[i]->progress_ms = mono_of(worker);
            worker->batch[i]->shard.published = worker->batch[i]->shard.head.batch;
            end_if_repaired(worker, worker->batch[i]);
            worker->batch[i]->told_kafka = true;
        }
        end_batch(worker);
        return;
    case TAGD_FENCED:
        TAGD_COUNT(&worker->stats, publish_fenced, 1);
        note(worker, of_batch(worker), "publishing: %s", worker->op.error.text);
        retake_batch(worker, RETAKE_FENCED_MS);
        return;
    case TAGD_ABORTED:
    case TAGD_REFUSED:
    case TAGD_DENIED:
        TAGD_COUNT(&worker->stats, publish_aborted, 1);
        if (overdue(worker)) {
            retake_batch(worker, 0);
            return;
        }
        retry_later(worker, "publishing to Kafka", worker->op.error.text);
        return;
    case TAGD_PENDING:
    case TAGD_GONE:
    case TAGD_UNKNOWN: break;
    }
    TAGD_COUNT(&worker->stats, publish_unknown, 1);
    note(worker, of_batch(worker), "publishing to Kafka: %s; comparing", worker->op.error.text);
    retake_batch(worker, 0);
}

/* ---- audit ---- */

/* In turn, one of which the store's head and Kafka should say the same. */
static struct tagd_lane *next_audited(struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_lanes; i++) {
        struct tagd_lane *lane = worker->lanes[worker->audit_turn++ % worker->n_lanes];
        const struct tagd_shard *shard = &lane->shard;
        if (shard->status == TAGD_SHARD_RUNNING && !lane->lost && !lane->resend && lane->held_batches == 0 &&
            shard->head.repair.phase == TAGD_NO_REPAIR)
            return lane;
    }
    return NULL;
}

/* A commit of the head as it is: fenced, if the store has another, or one where this process knows of none. */
static void audit_store(struct tagd_worker *worker)
{
    const struct tagd_shard *shard = &worker->audited->shard;
    tagd_shard_head_only(shard, worker->config.owner, shard->published, &worker->writes[0]);
    worker->op.kind = TAGD_OP_COMMIT;
    worker->op.u.commit.shards = worker->writes;
    worker->op.u.commit.n_shards = 1;
    submit(worker, &worker->op);
}

static bool begin_audit(struct tagd_worker *worker, int64_t late_ms)
{
    int64_t now = mono_of(worker);
    if (worker->audit_ms == 0)
        worker->audit_ms = now + AUDIT_MS;
    if (now < worker->audit_ms + late_ms)
        return false;
    worker->audit_ms = now + AUDIT_MS;
    worker->audited = next_audited(worker);
    if (worker->audited == NULL)
        return false;
    tagd_arena_reset(&worker->arena);
    worker->activity = AUDITING;
    /* At least once Kafka's offsets only follow. They may have gone back: a former owner's commit that was slow came after
     * ours, and was taken, since that owner is a member again. Saying them anew costs less than asking. */
    if (worker->config.at_least_once)
        note_head(worker->audited);
    if (worker->config.at_least_once || worker->audited->shard.head.batch == 0) {
        audit_store(worker);
        return true;
    }
    worker->op.kind = TAGD_OP_COMMITTED;
    worker->op.shard = worker->audited->shard.number;
    submit(worker, &worker->op);
    return true;
}

static void audit_kafka(struct tagd_worker *worker)
{
    struct tagd_error error;
    struct tagd_lane *lane = worker->audited;
    if (tagd_audit_agrees(&lane->shard, worker->op.u.committed.topics, worker->config.topics, worker->config.n_topics,
                          lane->told_kafka, &error)) {
        worker->activity = AUDITING;
        memcpy(lane->shard.head.outputs_end, worker->op.u.committed.outputs_end, sizeof(lane->shard.head.outputs_end));
        audit_store(worker);
        return;
    }
    note(worker, of(lane), "%s; comparing", error.text);
    lane->doubted = lane->doubt_told = true;
    retake(worker, lane, 0);
}

/* A server that doesn't answer is no mismatch: another time. */
static void advance_auditing(struct tagd_worker *worker)
{
    struct tagd_lane *lane = worker->audited;
    enum tagd_op_status status = worker->op.status;
    worker->activity = IDLE;
    if (leaving(worker) || lane->shard.status != TAGD_SHARD_RUNNING)
        return;
    if (worker->op.kind == TAGD_OP_COMMITTED) {
        if (status == TAGD_DONE)
            audit_kafka(worker);
        return;
    }
    if (status == TAGD_DONE) {
        TAGD_COUNT(&worker->stats, audits, 1);
        dropped(lane, worker->writes[0].outbox_drop_to);
    } else if (status == TAGD_FENCED) {
        lane->doubted = true;
        retake(worker, lane, RETAKE_FENCED_MS);
    } else if (status == TAGD_UNKNOWN) {
        TAGD_COUNT(&worker->stats, commits_unknown, 1);
        note(worker, OF_NONE, "committing to Redis: %s; comparing", worker->op.error.text);
        retake(worker, lane, 0);
    }
}

/* ---- leaving ---- */

static void finish_release(struct tagd_worker *worker)
{
    while (worker->n_lanes > 0)
        drop_lane(worker, worker->n_lanes - 1);
    count_shards(worker);
    worker->activity = IDLE;
    worker->leave_ms = 0;
    if (worker->revoking)
        worker->port->revoked(worker->port->self);
    worker->revoking = false;
    worker->stopped = worker->stopping;
}

static void begin_release(struct tagd_worker *worker)
{
    size_t n = 0;
    if ((worker->sendings.n > 0 || worker->offsets_under_way) && !overdue(worker))
        return;
    for (size_t i = 0; i < worker->n_lanes; i++) {
        const struct tagd_lane *lane = worker->lanes[i];
        const struct tagd_shard *shard = &lane->shard;
        bool level = shard->status == TAGD_SHARD_RUNNING || lane->leavable;
        if (level && shard->head.exists && shard->published == shard->head.batch &&
            !tagd_lane_has_suspects(lane, worker->config.n_topics))
            tagd_shard_head_only(shard, "", shard->published, &worker->writes[n++]);
    }
    if (n == 0) {
        finish_release(worker);
        return;
    }
    tagd_arena_reset(&worker->arena);
    worker->op.kind = TAGD_OP_COMMIT;
    worker->op.u.commit.shards = worker->writes;
    worker->op.u.commit.n_shards = n;
    submit(worker, &worker->op);
    if (!worker->offsets_under_way)
        commit_offsets(worker);
    worker->activity = RELEASING;
}

/* ---- the loop ---- */

static void drop_lost(struct tagd_worker *worker)
{
    bool in_hand = worker->activity != IDLE && worker->activity != AUDITING;
    if (worker->activity == LOADING || worker->activity == BRAKING || worker->activity == COMMITTING ||
        worker->activity == PUBLISHING)
        end_batch(worker);
    worker->activity = IDLE;
    worker->retry_ms = 0;
    for (size_t i = worker->n_lanes; i-- > 0;) {
        struct tagd_lane *lane = worker->lanes[i];
        uint32_t number = lane->shard.number;
        bool again = lane->again;
        if (lane->lost) {
            drop_lane(worker, i);
            if (again)
                add_lane(worker, number);
        } else if (in_hand) {
            retake(worker, lane, 0); /* what it had in hand went with the others' */
        }
    }
    worker->any_lost = false;
    worker->revoking = worker->revoking && worker->n_lanes > 0;
    count_shards(worker);
}

static void resubmit(struct tagd_worker *worker)
{
    worker->retry_ms = 0;
    if (worker->activity == COMMITTING && leaving(worker))
        retake_batch(worker, 0);
    else if (worker->activity == PUBLISHING && overdue(worker))
        retake_batch(worker, 0);
    else
        submit(worker, &worker->op);
}

/* There is a backlog, and room for more of it: a larger batch has fewer customers an event. */
static bool more_at_once(const struct tagd_worker *worker)
{
    return worker->n_polled >= BACKLOG && worker->queued < worker->batch_events &&
           worker->queued_bytes < worker->config.batch_bytes_max;
}

static void begin_something(struct tagd_worker *worker)
{
    retake_failed(worker);
    retake_held(worker);
    if (leaving(worker)) {
        begin_release(worker);
        return;
    }
    if (begin_takeover(worker) || begin_drop(worker))
        return;
    if (worker->suspects.n > 0) /* what else there is may be behind them */
        return;
    if (!begin_audit(worker, AUDIT_MS) && !more_at_once(worker) && !begin_batch(worker))
        begin_audit(worker, 0);
}

static void advance(struct tagd_worker *worker)
{
    if (!leaving(worker))
        worker->leave_ms = 0;
    else if (worker->leave_ms == 0)
        worker->leave_ms = mono_of(worker);
    take_acknowledgements(worker);
    take_offsets(worker);
    commit_offsets_if_due(worker);
    if (pending(worker))
        return;
    if (worker->any_lost)
        drop_lost(worker);
    if (worker->retry_ms != 0) {
        if (mono_of(worker) >= worker->retry_ms || leaving(worker))
            resubmit(worker);
        return;
    }
    switch (worker->activity) {
    case IDLE: break;
    case TAKEOVER: advance_takeover(worker); break;
    case LOADING: advance_loading(worker); break;
    case BRAKING: advance_braking(worker); break;
    case COMMITTING: advance_committing(worker); break;
    case PUBLISHING: advance_publishing(worker); break;
    case DROPPING: finish_drop(worker); break;
    case AUDITING: advance_auditing(worker); break;
    case RELEASING: finish_release(worker); break;
    }
    if (worker->activity == IDLE && !worker->stopped)
        begin_something(worker);
}

/* Of some shard as much is held as may be: its records wait, and when enough of them do, nothing more comes in. */
static bool any_held_full(const struct tagd_worker *worker)
{
    for (size_t i = 0; i < worker->n_lanes; i++)
        if (held_full(worker, worker->lanes[i]))
            return true;
    return false;
}

/* How many records are welcome. When the limit is reached and yet nothing can be done, all wait for a topic whose
 * records are behind others' in the client's queue: some more are let in. */
static size_t room(const struct tagd_worker *worker)
{
    const struct tagd_worker_config *config = &worker->config;
    bool full = worker->queued >= worker->batch_events || worker->queued_bytes >= config->batch_bytes_max;
    if (leaving(worker) || worker->suspects.n > 0)
        return 0;
    if (!full)
        return worker->batch_events - worker->queued;
    return worker->activity == IDLE && !tagd_sendings_full(&worker->sendings) && !any_held_full(worker) ? BLOCKED_EXTRA
                                                                                                        : 0;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Until when nothing will have to be done, if nothing comes. */
static int wait_ms(struct tagd_worker *worker, int timeout_ms)
{
    struct tagd_lane_clock now = clock_of(worker);
    int64_t wait = worker->suspects.n > 0 && !leaving(worker) ? 0 : timeout_ms;
    if (worker->retry_ms != 0)
        return (int)sooner(wait, worker->retry_ms > now.mono_ms ? worker->retry_ms - now.mono_ms : 0);
    if (worker->activity == BRAKING)
        return (int)sooner(timeout_ms, BRAKING_LOOK_MS);
    if (worker->activity != IDLE)
        return timeout_ms;
    if (leaving(worker))
        return (int)sooner(wait, LEAVE_LOOK_MS);
    for (size_t i = 0; i < worker->n_lanes; i++) {
        const struct tagd_lane *lane = worker->lanes[i];
        if (lane->shard.status != TAGD_SHARD_RUNNING) {
            if (!on_its_way(worker, lane) && !worker->holding) /* an acknowledgement comes by itself */
                wait = sooner(wait, lane->retry_ms - now.mono_ms);
        } else if (!worker->config.time_events) {
            if (lane->shard.next_due_ms != TAGD_NEVER)
                wait = sooner(wait, lane->shard.next_due_ms > now.wall_ms - worker->config.grace_ms
                                        ? lane->shard.next_due_ms - (now.wall_ms - worker->config.grace_ms)
                                        : wait); /* due, but the watermark waits for an end: that comes by itself */
            /* A record waits; an acknowledgement that is waited for comes by itself. */
            if (lane->waiting_since_ms != 0 && lane->queued > 0 && !tagd_sendings_full(&worker->sendings))
                wait = sooner(wait, lane->waiting_since_ms + worker->config.max_idle_ms - now.mono_ms);
        }
    }
    return wait < 0 ? 0 : (int)wait;
}

bool tagd_worker_step(struct tagd_worker *worker, int timeout_ms, struct tagd_error *error)
{
    if (worker->stopped) {
        *error = worker->failure;
        return false;
    }
    worker->n_polled = 0;
    worker->port->poll(worker->port->self, wait_ms(worker, timeout_ms), room(worker), on_input, worker);
    take_suspects(worker);
    advance(worker);
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < worker->n_lanes; i++)
        if (worker->lanes[i]->shard.status == TAGD_SHARD_RUNNING && worker->lanes[i]->shard.watermark_ms < least)
            least = worker->lanes[i]->shard.watermark_ms;
    __atomic_store_n(&worker->stats.watermark_min_ms, least == INT64_MAX ? INT64_MIN : least, __ATOMIC_RELAXED);
    *error = worker->failure;
    return !worker->stopped;
}

void tagd_worker_stop(struct tagd_worker *worker)
{
    worker->stopping = true;
}

struct tagd_worker *tagd_worker_new(const struct tagd_worker_config *config, struct tagd_port *port)
{
    struct tagd_worker *worker = tagd_xcalloc(1, sizeof(*worker));
    size_t n = (size_t)config->rules.partitions;
    worker->config = *config;
    worker->port = port;
    for (uint32_t i = 0; i < config->n_topics; i++) {
        worker->rules[i] = config->rules;
        worker->rules[i].partitioner = config->partitioners[i];
        worker->rules[i].map = config->maps != NULL ? config->maps[i] : NULL;
    }
    worker->by_number = tagd_xcalloc(n + 1, sizeof(*worker->by_number));
    worker->owned = tagd_xcalloc(n + 1, sizeof(*worker->owned));
    worker->lanes = tagd_xcalloc(n + 1, sizeof(*worker->lanes));
    worker->batch = tagd_xcalloc(n + 1, sizeof(*worker->batch));
    worker->writes = tagd_xcalloc(n + 1, sizeof(*worker->writes));
    worker->outputs = tagd_xcalloc(n + 1, sizeof(*worker->outputs));
    tagd_sendings_init(&worker->sendings, (uint32_t)n);
    worker->offset_shares = tagd_xcalloc(n + 1, sizeof(*worker->offset_shares));
    worker->offset_metadata = tagd_xcalloc(n + 1, sizeof(*worker->offset_metadata));
    worker->context = (struct tagd_shard_context){.config = &worker->config, .stats = &worker->stats};
    worker->context.engine = tagd_engine_new(config->catalog, config->horizon_ms);
    worker->context.profile = tagd_profile_new(config->catalog);
    worker->context.members = tagd_members_new(config->catalog);
    worker->context.flow = tagd_flow_new(config->catalog);
    if (config->brakes != NULL && config->brakes->changes_max != NULL) {
        worker->rates = tagd_rates_new(config->brakes->changes_max, tagd_catalog_n_dimensions(config->catalog));
        worker->context.told =
            tagd_xcalloc(tagd_catalog_n_dimensions(config->catalog) + 1, sizeof(*worker->context.told));
    }
    worker->context.cache = config->cache_bytes_max == 0 ? NULL : tagd_cache_new(config->cache_bytes_max);
    worker->context.emit =
        (struct tagd_emit){.catalog = config->catalog, .group = config->group, .carry = config->carry};
    tagd_emit_prepare(&worker->context.emit);
    worker->batch_events = config->batch_events_max;
    if (config->batch_told_bytes > 0 && config->batch_events_max > BATCH_EVENTS_FIRST)
        worker->batch_events = BATCH_EVENTS_FIRST;
    worker->stats.watermark_min_ms = INT64_MIN;
    return worker;
}

void tagd_worker_free(struct tagd_worker *worker)
{
    if (worker == NULL)
        return;
    for (size_t i = 0; i < worker->n_tokens; i++)
        worker->port->release(worker->port->self, worker->tokens[i]);
    while (worker->n_lanes > 0)
        drop_lane(worker, worker->n_lanes - 1);
    tagd_suspects_free(&worker->suspects);
    free(worker->owned);
    free(worker->by_number);
    free(worker->lanes);
    free(worker->batch);
    free(worker->writes);
    free(worker->outputs);
    free(worker->offset_shares);
    free(worker->offset_metadata);
    tagd_sendings_free(&worker->sendings);
    free(worker->tokens);
    tagd_arena_free(&worker->intake[0]);
    tagd_arena_free(&worker->intake[1]);
    tagd_arena_free(&worker->arena);
    tagd_counts_free(&worker->takeover.counts);
    tagd_emit_free(&worker->context.emit);
    tagd_flow_free(worker->context.flow);
    tagd_rates_free(worker->rates);
    free(worker->context.told);
    tagd_cache_free(worker->context.cache);
    tagd_members_free(worker->context.members);
    tagd_profile_free(worker->context.profile);
    tagd_engine_free(worker->context.engine);
    free(worker);
}

const struct tagd_flow *tagd_worker_flow(const struct tagd_worker *worker)
{
    return worker->context.flow;
}

const struct tagd_worker_stats *tagd_worker_stats(const struct tagd_worker *worker)
{
    return &worker->stats;
}

/* Its take-over has found that Redis is behind, or goes on with a repair. */
static bool prepares_repair(const struct tagd_worker *worker, const struct tagd_lane *lane)
{
    const struct tagd_takeover *takeover = &worker->takeover;
    return worker->activity == TAKEOVER && takeover->shard == &lane->shard &&
           (takeover->head.repair.phase != TAGD_NO_REPAIR ||
            (takeover->step >= TAGD_TAKEOVER_REPAIR_SCAN && takeover->step <= TAGD_TAKEOVER_REPAIR_REPLAY));
}

static enum tagd_shard_status told_status(const struct tagd_worker *worker, const struct tagd_lane *lane)
{
    if (lane->shard.status == TAGD_SHARD_STOPPED)
        return TAGD_SHARD_STOPPED;
    if (under_repair(lane) || prepares_repair(worker, lane))
        return TAGD_SHARD_REPAIRING;
    if (holds(worker) || (worker->time_held && lane->shard.status == TAGD_SHARD_RUNNING))
        return TAGD_SHARD_HELD;
    return lane->overtaken && lane->shard.status == TAGD_SHARD_RECOVERING ? TAGD_SHARD_FENCED : lane->shard.status;
}

size_t tagd_worker_shards(const struct tagd_worker *worker, struct tagd_shard_stats *out, size_t max)
{
    size_t n = worker->n_lanes < max ? worker->n_lanes : max;
    for (size_t i = 0; i < n; i++) {
        const struct tagd_lane *lane = worker->lanes[i];
        out[i] = (struct tagd_shard_stats){.shard = lane->shard.number,
                                           .status = told_status(worker, lane),
                                           .fence = lane->shard.fence,
                                           .batch = lane->shard.head.batch,
                                           .watermark_ms = lane->shard.watermark_ms,
                                           .next_due_ms = lane->shard.next_due_ms,
                                           .progress_ms = lane->progress_ms};
        for (uint32_t t = 0; t < TAGD_TOPICS_MAX; t++) {
            bool passed = lane->topics[t].n == 0 && lane->topics[t].at_end;
            out[i].next_offset[t] = passed ? lane->topics[t].next : lane->shard.next_offset[t];
            out[i].end_offset[t] = lane->topics[t].known_end;
            out[i].at_end[t] = passed;
            out[i].latest_ms[t] = lane->topics[t].latest_ms;
        }
    }
    return n;
}
