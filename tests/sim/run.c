/* One seed: the plan, then whatever happens next, until all is at rest after the faults are over. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 200
#define REST_MS 90000 /* after the faults, at most so long */
#define STOP_MS 30000
#define INSTANTS_MAX 200000

void sim_trace(struct sim *sim, const char *fmt, ...)
{
    va_list args;
    char *line = sim->trace[sim->n_trace++ % SIM_TRACE_LINES];
    int n = snprintf(line, sizeof(sim->trace[0]), "%8lld ", (long long)sim->now_ms);
    va_start(args, fmt);
    vsnprintf(line + n, sizeof(sim->trace[0]) - (size_t)n, fmt, args);
    va_end(args);
    if (sim->options.trace)
        puts(line);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
    va_list args;
    if (sim->failure[0] != '\0')
        return;
    va_start(args, fmt);
    vsnprintf(sim->failure, sizeof(sim->failure), fmt, args);
    va_end(args);
    SIM_TRACE(sim, "WRONG: %s", sim->failure);
}

struct tagd_str sim_keep(struct sim *sim, struct tagd_str s)
{
    return s.n == 0 ? (struct tagd_str){s.p == NULL ? NULL : "", 0} : tagd_arena_copy(&sim->memory, s.p, s.n);
}

/* ---- processes ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void sim_process_kill(struct sim *sim, uint32_t process, int64_t back_ms)
{
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].process == process)
            sim_node_kill(sim, &sim->nodes[i]);
    sim->processes[process] = (struct sim_process){.back_ms = sim->ending ? SIM_NEVER : back_ms,
                                                   .wrong = sim->processes[process].wrong,
                                                   .wrong_until_ms = sim->processes[process].wrong_until_ms};
}

static bool servers_up(const struct sim *sim)
{
    return sim->now_ms >= sim->broker.down_until_ms && sim->now_ms >= sim->store.down_until_ms;
}

void sim_process_start(struct sim *sim, uint32_t process)
{
    sim->processes[process].alive = true;
    sim->processes[process].back_ms = SIM_NEVER;
    for (uint32_t i = 0; i < sim->plan.n_workers; i++)
        sim_node_start(sim, process * sim->plan.n_workers + i);
}

static void go_on(struct sim *sim, uint32_t process)
{
    sim->processes[process].paused = false;
    sim->processes[process].back_ms = SIM_NEVER;
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].process == process)
            sim_node_resume(sim, &sim->nodes[i]);
}

static void bring_back(struct sim *sim)
{
    for (uint32_t process = 0; process < sim->plan.n_processes; process++) {
        if (sim->processes[process].back_ms > sim->now_ms)
            continue;
        if (sim->processes[process].paused)
            go_on(sim, process);
        else if (servers_up(sim))
            sim_process_start(sim, process);
    }
}

/* A process of which no worker is left has ended. */
static void note_ends(struct sim *sim)
{
    for (uint32_t process = 0; process < sim->plan.n_processes; process++) {
        bool any = false;
        for (size_t i = 0; i < sim->n_nodes; i++)
            any = any || (sim->nodes[i].process == process && sim->nodes[i].alive);
        if (sim->processes[process].alive && !any && !sim->ending)
            sim_process_kill(sim, process, earlier(sim->processes[process].back_ms, sim->now_ms + 1000));
    }
}

void sim_process_stop(struct sim *sim, uint32_t process)
{
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].process == process && sim->nodes[i].alive)
            tagd_worker_stop(sim->nodes[i].worker);
}

/* ---- faults ---- */

static void begin_process_fault(struct sim *sim, const struct sim_fault *fault)
{
    struct sim_process *process = &sim->processes[fault->process];
    int64_t back_ms = sim->now_ms + fault->for_ms;
    if (!process->alive || process->paused)
        return;
    if (fault->kind == SIM_KILL) {
        sim_process_kill(sim, fault->process, back_ms);
        return;
    }
    process->back_ms = back_ms;
    if (fault->kind == SIM_STOP) {
        sim_process_stop(sim, fault->process);
        process->back_ms = back_ms + 4000;
        return;
    }
    process->paused = true;
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].process == fault->process)
            sim_node_pause(sim, &sim->nodes[i]);
}

/* What has been read, as the store has it, is deleted; or what hasn't. */
static void delete_records(struct sim *sim, bool unread)
{
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
            struct sim_source *source = &sim->broker.sources[topic][shard];
            const struct tagd_head *head = &sim->store.shards[shard].head;
            int64_t read = head->exists && head->next_offset[topic] > 0 ? head->next_offset[topic] : 0;
            if (read > source->low)
                source->low = read;
            if (!unread || read >= source->high)
                continue;
            if (source->low < source->high)
                source->low = sim_between(&sim->random, source->low + 1, source->high);
            sim->lossy = true;
        }
}

/* A repair that doesn't know of them takes what it reads again as it is by now. */
static void forget_letters(struct sim *sim, uint32_t shard)
{
    for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++)
        for (int64_t i = 0; i < sim->broker.sources[topic][shard].high; i++) {
            struct sim_in *in = &sim->broker.sources[topic][shard].records[i];
            in->forgotten = in->letters > 0;
            sim->lossy = sim->lossy || (in->forgotten && sim->store.disasters);
        }
}

/* Not if offsets and store may go, too, nor of a first batch: nothing would tell of what was there. */
static void delete_outputs(struct sim *sim, bool changes_too)
{
    for (size_t i = 0; i < sim->plan.n_faults && sim->store.disasters; i++)
        if (sim->plan.faults[i].kind == SIM_EXPIRE)
            return;
    sim->happened[SIM_OUTPUTS_GONE] = true;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++) {
        if (sim->store.shards[shard].head.batch > 1)
            forget_letters(sim, shard);
        for (int kind = 0; kind < TAGD_OUTPUT_KINDS && sim->store.shards[shard].head.batch > 1; kind++)
            if (changes_too || kind == TAGD_OUT_DEAD_LETTER)
                sim->broker.logs[kind][shard].low = sim_broker_stable(sim, kind, shard);
    }
}

static void expire_offsets(struct sim *sim, bool outputs_too)
{
    if (outputs_too)
        delete_outputs(sim, true);
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++) {
            sim->broker.sources[topic][shard].offset = -1;
            sim->broker.sources[topic][shard].metadata = (struct tagd_str){0};
        }
}

/* Somebody sets a group's offset: to another place, or back to an earlier batch of which nothing else tells any more.
 * Where the store may have lost something, too, that would be a history that nobody can tell from a true one. */
static void reset_offsets(struct sim *sim, uint32_t amount)
{
    bool lost = sim->store.disasters;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++) {
        struct sim_source *source = &sim->broker.sources[amount / 3 % sim->plan.n_topics][shard];
        const struct sim_store_shard *stored = &sim->store.shards[shard];
        uint64_t oldest = stored->n_outbox > 0 ? stored->outbox[0].batch - 1 : stored->head.batch;
        if (source->offset < 0)
            continue;
        if (amount % 3 == 0 || lost || sim->plan.at_least_once) {
            source->metadata = (struct tagd_str){0};
        } else if (amount % 3 == 1) {
            source->offset += source->offset > 0 ? -1 : 1;
        } else if (oldest > 2) {
            char metadata[TAGD_METADATA_MAX];
            size_t n = tagd_metadata_write(metadata, stored->head.fence, oldest - 2, stored->head.watermark_ms);
            for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++)
                sim->broker.sources[topic][shard].metadata = sim_keep(sim, (struct tagd_str){metadata, n});
            delete_outputs(sim, true);
        }
    }
}

static void set_clock(struct sim *sim, const struct sim_fault *fault)
{
    int64_t by_ms = 61000 + (int64_t)fault->amount * 11000;
    sim->clock_ms = fault->amount % 2 ? by_ms : -by_ms;
    for (size_t i = 0; i < sim->n_nodes; i++) /* who hasn't run yet begins with it */
        if (sim->nodes[i].alive && tagd_worker_stats(sim->nodes[i].worker)->takeovers == 0) {
            sim->clock_started = true;
            sim->lossy = sim->lossy || sim->plan.mode == SIM_LIVE;
        }
    sim->clock_until_ms = sim->now_ms + fault->for_ms;
}

/* A worker that was started in between believes the wrong clock; somebody starts it again. */
static void right_clock(struct sim *sim)
{
    sim->clock_ms = 0;
    if (sim->clock_started)
        for (uint32_t process = 0; process < sim->plan.n_processes; process++)
            if (sim->processes[process].alive)
                sim_process_kill(sim, process, sim->now_ms + 100);
    sim->clock_started = false;
}

static bool only_one_under_repair(const struct sim *sim)
{
    return sim->n_nodes == 1 && sim->plan.n_shards == 1 && !sim->plan.at_least_once &&
           sim->store.shards[0].head.repair.phase != TAGD_NO_REPAIR;
}

/* A configuration that must be refused. False: now it would not be. */
static bool make_wrong(struct sim *sim, const struct sim_fault *fault)
{
    struct sim_process *process = &sim->processes[fault->process];
    bool all = true;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        all = all && sim->store.shards[shard].head.exists && sim->store.shards[shard].head.batch > 0;
    if (sim->plan.wrong_delivery ? !only_one_under_repair(sim) : !all || sim->store.disasters)
        return false;
    for (size_t i = 0; i < SIM_LATES && sim->plan.wrong_delivery; i++)
        sim->lates[i].done = true;
    sim_process_kill(sim, fault->process, sim->now_ms + 300);
    process->wrong = sim->plan.wrong_delivery ? SIM_OTHER_DELIVERY
                     : fault->amount % 2      ? SIM_OTHER_CATALOG
                                              : SIM_OTHER_PARTITIONS;
    process->wrong_until_ms = sim->now_ms + 15000;
    return true;
}

static void make_right(struct sim *sim, uint32_t process)
{
    if (sim->processes[process].wrong == SIM_RIGHT)
        return;
    sim->processes[process].wrong = SIM_RIGHT;
    if (sim->processes[process].alive)
        sim_process_kill(sim, process, sim->now_ms + 100);
}

/* The store that is about to come may know of no repair, and nobody would refuse the other delivery. */
static void make_delivery_right(struct sim *sim)
{
    for (uint32_t process = 0; process < sim->plan.n_processes; process++)
        if (sim->processes[process].wrong == SIM_OTHER_DELIVERY)
            make_right(sim, process);
}

static void end_import(struct sim *sim)
{
    SIM_TRACE(sim, "the import is finished");
    sim->plan.import_until_ms = 0;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        sim->store.shards[shard].head.baseline.finished = true;
}

static void begin_import(struct sim *sim)
{
    for (uint32_t shard = 0; shard < sim->plan.n_shards && sim->plan.import_until_ms != 0; shard++) {
        struct tagd_head *head = &sim->store.shards[shard].head;
        *head = tagd_shard_first_head(sim->plan.catalog, sim->plan.n_topics, sim->plan.n_shards);
        head->exists = true;
        head->baseline = (struct tagd_baseline){.import = "0123456789abcdef0123456789abcdef", .before_ms = INT64_MIN};
        sim->store.shards[shard].fence = 1;
        head->fence = 1;
    }
}

static void right_what_is_due(struct sim *sim)
{
    if (sim->clock_ms != 0 && (sim->calm || sim->now_ms >= sim->clock_until_ms))
        right_clock(sim);
    if (sim->plan.import_until_ms != 0 && sim->now_ms >= sim->plan.import_until_ms)
        end_import(sim);
    for (uint32_t process = 0; process < sim->plan.n_processes; process++)
        if (sim->calm || sim->now_ms >= sim->processes[process].wrong_until_ms)
            make_right(sim, process);
}

const char *const sim_mended[SIM_MENDED] = {"NOPERM", "was made by another catalog",
                                            "customers would sit in other shards", "goes on only with \"delivery\"",
                                            "isn't finished"};

bool sim_is_mended(struct sim *sim, const struct sim_node *node, const char *text)
{
    enum sim_wrong wrong = sim->processes[node->process].wrong;
    bool due[SIM_MENDED] = {sim->happened[SIM_DENIED], wrong == SIM_OTHER_CATALOG, wrong == SIM_OTHER_PARTITIONS,
                            wrong == SIM_OTHER_DELIVERY, sim->imported};
    for (size_t i = 0; i < SIM_MENDED; i++) {
        const char *under_repair = i == 3 ? "repair is for \"delivery\"" : sim_mended[i];
        if (!due[i] || (strstr(text, sim_mended[i]) == NULL && strstr(text, under_repair) == NULL))
            continue;
        sim->coverage->mended[i]++;
        if (i == SIM_MENDED - 1 && sim->plan.import_until_ms == 0) /* the store has forgotten that it was */
            end_import(sim);
        sim->processes[node->process].wrong = SIM_RIGHT;
        return true;
    }
    return false;
}

static void hold_outputs(struct sim *sim, int64_t until_ms)
{
    sim->brakes.outputs_flow = false;
    if (until_ms > sim->hold_until_ms)
        sim->hold_until_ms = until_ms;
}

/* More changes than are believed: they are held for a while, or let through from then on. */
static void on_trip(void *to, size_t dimension, uint32_t changes)
{
    struct sim *sim = to;
    (void)dimension, (void)changes;
    if (sim->calm || sim_percent(&sim->random, 20))
        sim->brakes.limits_off_ms = INT64_MAX;
    else
        hold_outputs(sim, sim->now_ms + sim_between(&sim->random, 1, 2000));
    sim->coverage->trips++;
}

static void open_brakes(struct sim *sim)
{
    size_t n = TAGD_DIMENSIONS_MAX + TAGD_ALERTS_MAX;
    sim->changes_max = tagd_arena_alloc(&sim->memory, n * sizeof(*sim->changes_max));
    for (size_t i = 0; i < n; i++)
        sim->changes_max[i] = 3;
    sim->brakes = (struct tagd_brakes){.outputs_flow = true,
                                       .clock_agrees = true,
                                       .time_to_ms = INT64_MAX,
                                       .limits_off_ms = INT64_MIN,
                                       .changes_max = sim->plan.limited ? sim->changes_max : NULL,
                                       .held_batches_max = 20,
                                       .held_bytes_max = 1 << 20,
                                       .trip = on_trip,
                                       .to = sim};
}

static void release_brakes(struct sim *sim)
{
    if (sim->now_ms >= sim->hold_until_ms)
        sim->brakes.outputs_flow = true;
    if (sim->now_ms >= sim->silent_until_ms)
        sim->brakes.time_to_ms = INT64_MAX;
}

void sim_fault_begin(struct sim *sim, struct sim_fault *fault)
{
    int64_t until_ms = sim->now_ms + (fault->for_ms < 9000 ? fault->for_ms : 9000);
    if (fault->kind == SIM_WRONG && !make_wrong(sim, fault)) {
        fault->at_ms = sim->now_ms + (sim->plan.wrong_delivery ? 3 : 20);
        return;
    }
    if (fault->kind == SIM_STORE_BACK || fault->kind == SIM_STORE_FAILOVER || fault->kind == SIM_STORE_EMPTIED)
        make_delivery_right(sim);
    fault->done = true;
    sim->happened[fault->kind] = true;
    sim->coverage->faults[fault->kind]++;
    SIM_TRACE(sim, "fault: %s for %lld ms, %u", sim_fault_names[fault->kind], (long long)fault->for_ms, fault->process);
    switch (fault->kind) {
    case SIM_KILL:
    case SIM_PAUSE:
    case SIM_STOP: begin_process_fault(sim, fault); return;
    case SIM_STORE_CUT: sim_store_cut(sim); return;
    case SIM_STORE_DOWN: sim->store.down_until_ms = until_ms; return;
    case SIM_STORE_FULL: sim->store.full_until_ms = until_ms; return;
    case SIM_STORE_BACK: sim_store_go_back(sim, 1 + fault->amount % 12); return;
    case SIM_STORE_FAILOVER:
        if (fault->amount % 4 && !sim->plan.at_least_once) {
            sim->store.race = SIM_RACE_WAITS;
            return;
        }
        sim_store_fail_over(sim, 1 + fault->amount % 12, until_ms);
        return;
    case SIM_STORE_EMPTIED: sim_store_empty(sim); return;
    case SIM_BROKER_DOWN: sim->broker.down_until_ms = until_ms; return;
    case SIM_REBALANCE: sim_group_rebalance(sim); return;
    case SIM_KICK:
        sim_group_leave(sim, fault->process * sim->plan.n_workers + fault->amount % sim->plan.n_workers);
        return;
    case SIM_EXPIRE: expire_offsets(sim, fault->amount % 2); return;
    case SIM_RESET: reset_offsets(sim, fault->amount); return;
    case SIM_OUTPUTS_GONE: delete_outputs(sim, fault->amount % 2); return;
    case SIM_CLOCK: set_clock(sim, fault); return;
    case SIM_HOLD: hold_outputs(sim, until_ms); return;
    case SIM_SILENT:
        sim->brakes.time_to_ms = SIM_WALL_MS + sim->now_ms - fault->amount * 100;
        sim->silent_until_ms = until_ms;
        return;
    case SIM_RETAIN: delete_records(sim, false); return;
    case SIM_GAP: delete_records(sim, true); return;
    default: return;
    }
}

static bool of_operation(const struct sim_fault *fault)
{
    return fault->kind >= SIM_SLOW;
}

void sim_fault_end_all(struct sim *sim)
{
    SIM_TRACE(sim, "faults are over");
    sim->calm = true;
    right_what_is_due(sim);
    if (sim->plan.import_until_ms != 0)
        end_import(sim);
    sim->broker.down_until_ms = sim->store.down_until_ms = sim->store.full_until_ms = 0;
    sim->hold_until_ms = sim->silent_until_ms = 0;
    sim->store.race = SIM_NO_RACE;
    if (sim->store.back_ms != SIM_NEVER)
        sim->store.back_ms = sim->now_ms;
    for (uint32_t process = 0; process < sim->plan.n_processes; process++)
        if (sim->processes[process].back_ms != SIM_NEVER)
            sim->processes[process].back_ms = sim->now_ms;
}

/* ---- what happens next ---- */

static int64_t next_instant(const struct sim *sim)
{
    int64_t next = sim->now_ms / TICK_MS * TICK_MS + TICK_MS;
    if (sim->next_event < sim->plan.n_events)
        next = earlier(next, sim->plan.events[sim->next_event].at_ms);
    next = earlier(next, sim_late_next(sim));
    for (size_t i = 0; i < sim->plan.n_faults && !sim->calm; i++)
        if (!sim->plan.faults[i].done && !sim->plan.faults[i].dropped && !of_operation(&sim->plan.faults[i]))
            next = earlier(next, sim->plan.faults[i].at_ms);
    for (size_t i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (!node->alive)
            continue;
        next = earlier(next, sim_ops_next(node));
        if (!node->paused)
            next = earlier(next, node->wake_ms);
    }
    return next > sim->now_ms ? next : sim->now_ms;
}

static void append_due(struct sim *sim)
{
    for (; sim->next_event < sim->plan.n_events && sim->plan.events[sim->next_event].at_ms <= sim->now_ms;
         sim->next_event++)
        if (!sim->plan.events[sim->next_event].dropped)
            sim_broker_append(sim, &sim->plan.events[sim->next_event]);
}

static void tick(struct sim *sim)
{
    if (sim->now_ms % TICK_MS != 0)
        return;
    release_brakes(sim);
    sim_store_tick(sim);
    sim_broker_tick(sim);
    right_what_is_due(sim);
    bring_back(sim);
    note_ends(sim);
    for (size_t i = 0; i < sim->n_nodes; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (!node->alive || node->paused || !node->rejoin || node->rejoin_ms > sim->now_ms ||
            sim->now_ms < sim->broker.down_until_ms)
            continue;
        node->rejoin = false;
        sim_group_join(sim, (uint32_t)i);
    }
}

static void forget_poison(struct sim *sim)
{
    SIM_TRACE(sim, "fault: a dead letter is forgotten");
    sim->forgetting = sim->plan.forgets = false;
    sim->happened[SIM_STORE_BACK] = true;
    delete_outputs(sim, false);
    sim_store_go_back(sim, (uint32_t)sim_between(&sim->random, 4, 12));
}

static void start_race(struct sim *sim)
{
    SIM_TRACE(sim, "fault: a race");
    sim->store.race = SIM_RACE_GOES_ON;
    if (sim->store.racer >= 0 && sim->nodes[sim->store.racer].alive)
        sim_process_kill(sim, sim->nodes[sim->store.racer].process, sim->now_ms + 200);
    sim_store_fail_over(sim, 3, SIM_NEVER);
}

static void happen(struct sim *sim)
{
    tick(sim);
    append_due(sim);
    sim_late_run(sim);
    for (size_t i = 0; i < sim->plan.n_faults && !sim->calm; i++) {
        struct sim_fault *fault = &sim->plan.faults[i];
        if (!fault->done && !fault->dropped && !of_operation(fault) && fault->at_ms <= sim->now_ms)
            sim_fault_begin(sim, fault);
    }
    size_t first = (size_t)sim_between(&sim->random, 0, (int64_t)sim->n_nodes - 1);
    for (size_t k = 0; k < sim->n_nodes; k++) {
        struct sim_node *node = &sim->nodes[(first + k) % sim->n_nodes];
        if (node->alive)
            sim_ops_run(sim, node);
        if (node->alive && !node->paused && node->wake_ms <= sim->now_ms)
            sim_node_step(sim, node);
    }
    if (sim->store.race == SIM_RACE_STARTS)
        start_race(sim);
    if (sim->forgetting)
        forget_poison(sim);
}

static bool over(const struct sim *sim)
{
    return sim->failure[0] != '\0' || sim->refusal[0] != '\0';
}

static void run_to(struct sim *sim, int64_t until_ms)
{
    while (sim->now_ms < until_ms && !over(sim)) {
        sim->now_ms = earlier(next_instant(sim), until_ms);
        happen(sim);
        if (++sim->instants > INSTANTS_MAX)
            sim_fail(sim, "it does not end");
    }
}

/* ---- refusals ---- */

const char *const sim_reasons[SIM_REASONS] = {"Redis lost its last writes",
                                              "the outbox does not fill",
                                              "Redis has no state of it",
                                              "somebody reset group",
                                              "records were deleted before they were read",
                                              "its committed offsets are gone",
                                              "it is another history's",
                                              "can't be repaired"};

/* Repair must be possible unless something else than the state is missing. */
static bool right(const struct sim *sim)
{
    bool asked = strstr(sim->refusal, "--rebuild") != NULL && !sim->plan.rebuild;
    bool lost = strstr(sim->refusal, "Redis lost its last writes") != NULL ||
                strstr(sim->refusal, "Redis has no state of it") != NULL ||
                strstr(sim->refusal, "can't be repaired") != NULL;
    return !lost || asked || strstr(sim->refusal, "it is another history's") != NULL || sim->plan.at_least_once ||
           sim->happened[SIM_EXPIRE] || sim->happened[SIM_RESET] || sim->happened[SIM_OUTPUTS_GONE] ||
           sim->happened[SIM_RETAIN] || sim->happened[SIM_GAP] ||
           sim->plan.wrong_delivery; /* what was sent the other way has no offsets of its own */
}

/* A worker that stops must have a reason: one of these faults. */
static bool explained(struct sim *sim)
{
    static const enum sim_fault_kind by[SIM_REASONS][4] = {
        {SIM_STORE_BACK, SIM_STORE_FAILOVER, SIM_STORE_EMPTIED, SIM_FAULTS},
        {SIM_STORE_BACK, SIM_STORE_FAILOVER, SIM_STORE_EMPTIED, SIM_RESET},
        {SIM_STORE_EMPTIED, SIM_STORE_BACK, SIM_STORE_FAILOVER, SIM_FAULTS},
        {SIM_STORE_BACK, SIM_STORE_FAILOVER, SIM_STORE_EMPTIED, SIM_RESET},
        {SIM_GAP, SIM_STORE_BACK, SIM_STORE_FAILOVER, SIM_STORE_EMPTIED},
        {SIM_EXPIRE, SIM_FAULTS, SIM_FAULTS, SIM_FAULTS},
        {SIM_STORE_FAILOVER, SIM_STORE_BACK, SIM_FAULTS, SIM_FAULTS},
        {SIM_STORE_FAILOVER, SIM_STORE_BACK, SIM_STORE_EMPTIED, SIM_FAULTS}};
    for (size_t i = 0; i < SIM_REASONS; i++)
        for (size_t k = 0; k < 4 && strstr(sim->refusal, sim_reasons[i]) != NULL; k++)
            if (by[i][k] != SIM_FAULTS && sim->happened[by[i][k]]) {
                sim->coverage->refusals[i]++;
                return right(sim);
            }
    return false;
}

/* ---- the run ---- */

static void open_run(struct sim *sim, const struct sim_options *options, struct sim_coverage *coverage)
{
    struct tagd_arena memory = sim->memory;
    struct sim_snapshot *snapshots = sim->store.snapshots;
    memset(sim, 0, sizeof(*sim));
    sim->memory = memory;
    sim->store.snapshots = snapshots;
    if (snapshots == NULL)
        sim->store.snapshots = tagd_xcalloc(SIM_SNAPSHOTS, sizeof(*snapshots));
    tagd_arena_reset(&sim->memory);
    sim->options = *options;
    sim->coverage = coverage;
    sim->tracing = options->trace || options->keep_trace;
    sim->now_ms = 1000;
    sim->random = sim_random_of(options->seed, 2);
    for (size_t i = 0; i < SIM_LATES; i++)
        sim->lates[i].done = true;
    sim_plan_make(sim);
    open_brakes(sim);
    sim->n_nodes = sim->plan.n_processes * sim->plan.n_workers;
    for (size_t i = 0; i < sim->plan.n_faults; i++)
        sim->store.keeps = sim->store.keeps || sim->plan.faults[i].kind == SIM_STORE_BACK ||
                           sim->plan.faults[i].kind == SIM_STORE_FAILOVER;
    sim->store.keeps = sim->store.keeps || sim->plan.forgets;
    for (size_t i = 0; i < sim->plan.n_faults || i == 0; i++)
        sim->store.disasters =
            sim->store.disasters || sim->store.keeps || sim->plan.faults[i].kind == SIM_STORE_EMPTIED;
    sim->plan.stable_reads = sim->plan.stable_reads || sim->store.disasters; /* else an owner that nobody knows of */
    sim_broker_open(sim);
    sim_store_open(sim);
    sim->imported = sim->plan.import_until_ms != 0;
    begin_import(sim);
    sim->profile = tagd_profile_new(sim->plan.catalog);
    sim_oracle_run(sim);
    for (uint32_t process = 0; process < sim->plan.n_processes; process++)
        sim->processes[process].back_ms = sim->now_ms + sim_between(&sim->random, 0, 3000);
}

/* Time goes on past the last event: in a stream's time, an event that nobody knows the type of. */
static void let_time_pass(struct sim *sim)
{
    char time[TAGD_TIME_TEXT];
    if (sim->plan.mode == SIM_LIVE)
        return;
    tagd_time_format(sim->rest_ms + sim->plan.grace_ms, time);
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++) {
        struct sim_event event = {.customer = -1};
        event.record.value = tagd_str_of(tagd_arena_printf(&sim->memory,
                                                           "{\"specversion\":\"1.0\",\"id\":\"end\",\"source\":\"s\","
                                                           "\"type\":\"end\",\"subject\":\"c0\",\"time\":\"%s\"}",
                                                           time));
        event.record.has_value = true;
        event.record.partition = (int32_t)shard;
        event.record.timestamp_ms = -1;
        sim_broker_append(sim, &event);
    }
}

static bool all_run(const struct sim *sim)
{
    uint64_t running = 0;
    for (size_t i = 0; i < sim->n_nodes; i++)
        if (sim->nodes[i].alive)
            running += tagd_worker_stats(sim->nodes[i].worker)->shards_running;
    return running == sim->plan.n_shards;
}

/* Nobody who has heard too late that a shard is another's has taken its fence. */
static bool holds_fences(const struct sim *sim, const struct sim_node *node)
{
    struct tagd_shard_stats stats[SIM_SHARDS];
    size_t n = node->alive ? tagd_worker_shards(node->worker, stats, SIM_SHARDS) : 0;
    for (size_t i = 0; i < n; i++)
        if (stats[i].fence != sim->store.shards[stats[i].shard].fence)
            return false;
    return true;
}

static void wait_for_rest(struct sim *sim, bool with_changes)
{
    int64_t until_ms = sim->now_ms + REST_MS;
    char why[400];
    bool exact = with_changes || sim->plan.mode == SIM_LIVE;
    if (sim->plan.mode == SIM_LIVE && sim->rest_ms + sim->plan.grace_ms - SIM_WALL_MS > sim->now_ms)
        until_ms += sim->rest_ms + sim->plan.grace_ms - SIM_WALL_MS - sim->now_ms;
    while (!over(sim)) {
        run_to(sim, sim->now_ms + 300);
        bool rests = sim_check_rest(sim, why, sizeof(why)) || (!exact && strstr(why, "changes are published") != NULL);
        if (rests && all_run(sim))
            return;
        if (sim->now_ms >= until_ms)
            sim_fail(sim, "it does not come to rest: %s", rests ? "not all shards run" : why);
    }
}

static void stop_all(struct sim *sim)
{
    int64_t until_ms = sim->now_ms + STOP_MS;
    bool any = true;
    char why[400];
    bool connected = sim->options.crash_stage == 0 && all_run(sim); /* else the last word may not reach the store */
    for (size_t i = 0; i < sim->n_nodes; i++) {
        connected =
            connected && sim->nodes[i].n_tasks == 0 && !sim->nodes[i].revoking && holds_fences(sim, &sim->nodes[i]);
        for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
            connected = connected && (!sim->nodes[i].alive || !sim->nodes[i].assigned[shard] ||
                                      (sim->nodes[i].connected && sim->nodes[i].store_epoch == sim->store.epoch &&
                                       sim->nodes[i].shard_serial[shard] == sim->nodes[i].serial));
    }
    sim->ending = true;
    for (uint32_t process = 0; process < sim->plan.n_processes; process++)
        sim->processes[process].back_ms = SIM_NEVER;
    for (uint32_t process = 0; process < sim->plan.n_processes; process++)
        sim_process_stop(sim, process);
    while (any && !over(sim)) {
        any = false;
        run_to(sim, sim->now_ms + 100);
        for (size_t i = 0; i < sim->n_nodes; i++)
            any = any || sim->nodes[i].alive;
        if (sim->now_ms >= until_ms)
            sim_fail(sim, "a worker doesn't stop");
    }
    if (over(sim))
        return;
    if (connected && !sim_check_rest(sim, why, sizeof(why)))
        sim_fail(sim, "after the stop: %s", why);
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        if (connected && sim->store.shards[shard].head.owner[0] != '\0')
            sim_fail(sim, "shard %u wasn't left cleanly", shard);
}

/* A record kills one process, and a second one if that stood still and had read it before, or if the store forgot that
 * the first one died. */
static void check_deaths(struct sim *sim)
{
    unsigned most = sim->plan.n_processes + 3 * sim->store.disasters;
    for (uint32_t shard = 0; shard < sim->plan.n_shards; shard++)
        for (uint32_t topic = 0; topic < sim->plan.n_topics; topic++)
            for (int64_t i = 0; i < sim->broker.sources[topic][shard].high; i++) {
                const struct sim_in *in = &sim->broker.sources[topic][shard].records[i];
                if (in->poison != SIM_KILLS_SOMETIMES && in->deaths > most)
                    sim_fail(sim, "topic %u shard %u: offset %lld killed %u processes", topic, shard, (long long)i,
                             in->deaths);
            }
}

static void close_run(struct sim *sim)
{
    for (size_t i = 0; i < sim->n_nodes; i++)
        sim_node_kill(sim, &sim->nodes[i]);
    tagd_profile_free(sim->profile);
    tagd_counts_free(&sim->recount);
    for (uint32_t shard = 0; shard < SIM_SHARDS; shard++)
        tagd_tally_free(&sim->tallies[shard]);
    tagd_members_free(sim->members);
}

enum sim_result sim_run(struct sim *sim, const struct sim_options *options, struct sim_coverage *coverage)
{
    open_run(sim, options, coverage);
    coverage->seeds++;
    run_to(sim, sim->plan.faults_end_ms);
    sim_fault_end_all(sim);
    wait_for_rest(sim, false);
    if (!over(sim))
        let_time_pass(sim);
    wait_for_rest(sim, true);
    if (!over(sim))
        stop_all(sim);
    close_run(sim);
    check_deaths(sim);
    enum sim_result result = SIM_OK;
    if (sim->failure[0] == '\0' && sim->refusal[0] != '\0') {
        result = SIM_RIGHTLY_REFUSED;
        if (!explained(sim))
            sim_fail(sim, "a worker stopped without a cause: %s", sim->refusal);
    }
    if (sim->failure[0] != '\0')
        result = SIM_FAILED;
    return result;
}
