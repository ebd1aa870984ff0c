/* What holds a worker back, over a world in memory. */
#include "worker/rates.h"
#include "world.h"

#define T0 INT64_C(1700000000000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"

/* Of a test's worker: everything flows, one dimension is limited to 3 changes a minute if it is asked for. */
struct held {
    struct world world;
    struct tagd_brakes brakes;
    uint32_t changes_max[2];
    unsigned trips;
    size_t dimension;
    uint32_t changes;
};

static void on_trip(void *to, size_t dimension, uint32_t changes)
{
    struct held *held = to;
    held->trips++;
    held->dimension = dimension;
    held->changes = changes;
}

static struct tagd_worker *start(struct held *held, const char *owner, bool live, bool at_least_once)
{
    struct tagd_worker_config config = world_config(&held->world, owner, !live);
    config.at_least_once = at_least_once;
    config.batch_events_max = 10;
    config.brakes = &held->brakes;
    return tagd_worker_new(&config, &held->world.port);
}

static struct tagd_worker *open_with(struct held *held, bool live, bool at_least_once, bool limited)
{
    *held = (struct held){.changes_max = {3, 0}};
    world_open(&held->world, ACTIVITY);
    held->brakes = world_brakes();
    held->brakes.changes_max = limited ? held->changes_max : NULL;
    held->brakes.held_batches_max = 3;
    held->brakes.trip = on_trip;
    held->brakes.to = held;
    return start(held, "a", live, at_least_once);
}

static void close_all(struct held *held, struct tagd_worker *worker)
{
    tagd_worker_free(worker);
    world_close(&held->world);
}

static void login(struct held *held, const char *subject, int64_t time_ms)
{
    world_event(&held->world, 0, 0, "login", subject, time_ms);
}

static enum tagd_shard_status status_of(const struct tagd_worker *worker)
{
    struct tagd_shard_stats stats[WORLD_SHARDS];
    size_t n = tagd_worker_shards(worker, stats, WORLD_SHARDS);
    for (size_t i = 0; i < n; i++)
        if (stats[i].shard == 0)
            return stats[i].status;
    return TAGD_SHARD_STATUSES;
}

/* ---- outputs ---- */

static void held_outputs_wait_in_the_outbox_and_are_published_in_order(void)
{
    for (int at_least_once = 0; at_least_once <= 1; at_least_once++) {
        struct held held;
        struct tagd_worker *worker = open_with(&held, false, at_least_once, false);
        world_run(&held.world, worker, 60);
        held.brakes.outputs_flow = false;
        login(&held, "c", T0);
        world_run(&held.world, worker, 20);
        login(&held, "d", T0 + 1);
        world_run(&held.world, worker, 20);
        CHECK(world_saw(&held.world.published, "") && held.world.shards[0].head.batch == 2);
        CHECK(held.world.shards[0].n_outbox == 2 && held.world.shards[0].topics[0].committed == -1);
        CHECK(tagd_worker_stats(worker)->held_batches == 2 && tagd_worker_stats(worker)->held_bytes > 0);
        CHECK(status_of(worker) == TAGD_SHARD_HELD);
        CHECK(strcmp(held.world.shards[0].customers[0].view, "b.activity=busy _revision=1 _at=1700000000000 ") == 0);
        held.brakes.outputs_flow = true;
        login(&held, "e", T0 + 2);
        world_run(&held.world, worker, 60);
        CHECK(world_saw(&held.world.published,
                        "tag:c:1 b.activity>busy;tag:d:1 b.activity>busy;tag:e:1 b.activity>busy;"));
        CHECK(tagd_worker_stats(worker)->held_batches == 0 && status_of(worker) == TAGD_SHARD_RUNNING);
        close_all(&held, worker);
    }
}

static void held_outputs_outlive_their_owner_and_no_successor_publishes_them(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, false);
    world_run(&held.world, worker, 60);
    held.brakes.outputs_flow = false;
    login(&held, "c", T0);
    world_run(&held.world, worker, 20);
    world_kill(&held.world, worker);
    worker = start(&held, "b", false, false);
    world_run(&held.world, worker, 3000);
    CHECK(world_saw(&held.world.published, "") && status_of(worker) == TAGD_SHARD_HELD);
    CHECK(tagd_worker_stats(worker)->takeovers == 0);
    held.brakes.outputs_flow = true;
    world_run(&held.world, worker, 60);
    CHECK(world_saw(&held.world.published, "tag:c:1 b.activity>busy;"));
    close_all(&held, worker);
}

static void a_worker_that_leaves_while_outputs_are_held_does_not_leave_cleanly(void)
{
    struct held held;
    struct tagd_error error = {""};
    struct tagd_worker *worker = open_with(&held, false, false, false);
    world_run(&held.world, worker, 60);
    held.brakes.outputs_flow = false;
    login(&held, "c", T0);
    world_run(&held.world, worker, 20);
    tagd_worker_stop(worker);
    for (int i = 0; i < 100 && tagd_worker_step(worker, 0, &error); i++)
        held.world.mono_ms++;
    CHECK(error.text[0] == '\0' && strcmp(held.world.shards[0].head.owner, "a") == 0);
    CHECK(world_saw(&held.world.published, ""));
    close_all(&held, worker);
}

static void as_much_is_held_as_may_be_and_then_nothing_more_is_read(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, false);
    world_run(&held.world, worker, 60);
    held.brakes.outputs_flow = false;
    for (int i = 0; i < 100; i++)
        login(&held, "c", T0 + 20000 * i);
    world_run(&held.world, worker, 200);
    CHECK(held.world.shards[0].head.batch == 3 && held.world.shards[0].n_outbox == 3);
    CHECK(held.world.shards[0].head.next_offset[0] == 30 && held.world.held <= 10 + 10);
    held.brakes.outputs_flow = true;
    world_run(&held.world, worker, 400);
    CHECK(held.world.shards[0].head.next_offset[0] == 100 && held.world.shards[0].topics[0].committed == 100);
    close_all(&held, worker);
}

static void held_bytes_have_a_limit_too(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, false);
    held.brakes.held_bytes_max = 1;
    world_run(&held.world, worker, 60);
    held.brakes.outputs_flow = false;
    login(&held, "c", T0);
    world_run(&held.world, worker, 20);
    login(&held, "d", T0 + 1);
    world_run(&held.world, worker, 20);
    CHECK(held.world.shards[0].head.batch == 1);
    close_all(&held, worker);
}

static void nothing_is_audited_while_what_is_committed_waits(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, false);
    world_run(&held.world, worker, 60);
    login(&held, "b", T0);
    world_run(&held.world, worker, 20);
    CHECK(world_saw(&held.world.published, "tag:b:1 b.activity>busy;"));
    held.brakes.outputs_flow = false;
    login(&held, "c", T0);
    world_run(&held.world, worker, 20000);
    held.brakes.outputs_flow = true;
    world_run(&held.world, worker, 60);
    CHECK(tagd_worker_stats(worker)->audit_mismatches == 0);
    CHECK(world_saw(&held.world.published, "tag:c:1 b.activity>busy;"));
    close_all(&held, worker);
}

/* ---- limits ---- */

static void more_changes_than_are_believed_are_held_before_they_are_committed(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, true);
    held.changes_max[0] = 6; /* of two shards, of which this worker has both */
    tagd_worker_free(worker);
    worker = start(&held, "a", false, false);
    world_run(&held.world, worker, 60);
    for (int i = 0; i < 6; i++)
        login(&held, i % 2 ? "c" : "d", T0 + 20000 * i);
    world_run(&held.world, worker, 60);
    CHECK(held.trips > 0);
    CHECK(held.world.shards[0].head.batch == 0 && held.dimension == 0 && held.changes == 11);
    CHECK(world_saw(&held.world.published, ""));
    held.brakes.outputs_flow = false; /* the hold is known */
    world_run(&held.world, worker, 20);
    CHECK(held.world.shards[0].head.batch == 1 && world_saw(&held.world.published, ""));
    unsigned trips = held.trips;
    held.brakes.outputs_flow = true;
    world_run(&held.world, worker, 60);
    CHECK(held.world.shards[0].topics[0].committed == 6 && held.trips == trips);
    login(&held, "e", T0 + 120000); /* what was counted before the release is forgotten */
    world_run(&held.world, worker, 20);
    CHECK(held.world.shards[0].topics[0].committed == 7 && held.trips == trips);
    close_all(&held, worker);
}

/* A worker that is past its limit, and waits for the hold. */
static struct tagd_worker *trip(struct held *held)
{
    struct tagd_worker *worker = open_with(held, false, false, true);
    world_run(&held->world, worker, 60);
    for (int i = 0; i < 4; i++)
        login(held, "c", T0 + 20000 * i);
    world_run(&held->world, worker, 60);
    CHECK(held->trips > 0 && world_saw(&held->world.published, ""));
    return worker;
}

static void a_batch_waits_for_its_hold_for_as_long_as_that_takes(void)
{
    struct held held;
    struct tagd_worker *worker = trip(&held);
    unsigned trips = held.trips;
    held.world.mono_ms += 600000; /* what was counted is long ago */
    world_run(&held.world, worker, 20);
    CHECK(held.world.shards[0].head.batch == 0 && held.trips > trips && world_saw(&held.world.published, ""));
    held.brakes.outputs_flow = false;
    world_run(&held.world, worker, 20);
    CHECK(held.world.shards[0].head.batch == 1 && world_saw(&held.world.published, ""));
    close_all(&held, worker);
}

static void as_many_changes_as_are_believed_are_not_held(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, true);
    world_run(&held.world, worker, 60);
    login(&held, "c", T0);
    login(&held, "d", T0 + 1);
    login(&held, "e", T0 + 2);
    world_run(&held.world, worker, 60);
    CHECK(held.trips == 0 &&
          world_saw(&held.world.published, "tag:c:1 b.activity>busy;tag:d:1 b.activity>busy;tag:e:1 b.activity>busy;"));
    held.world.mono_ms += 59000;
    login(&held, "f", T0 + 3);
    world_run(&held.world, worker, 20);
    CHECK(held.trips > 0);
    held.brakes.outputs_flow = false;
    world_run(&held.world, worker, 20);
    held.brakes.outputs_flow = true;
    world_run(&held.world, worker, 60);
    held.world.mono_ms += 61000;
    held.trips = 0;
    login(&held, "g", T0 + 4);
    world_run(&held.world, worker, 20);
    CHECK(held.trips == 0);
    close_all(&held, worker);
}

static void limits_that_are_switched_off_let_a_waiting_batch_through(void)
{
    struct held held;
    struct tagd_worker *worker = trip(&held);
    held.brakes.limits_off_ms = held.world.wall_ms + 1000;
    world_run(&held.world, worker, 20);
    CHECK(held.world.shards[0].topics[0].committed == 4);
    close_all(&held, worker);
}

static void what_is_told_before_all_is_read_is_not_limited(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, false, false, true);
    for (int i = 0; i < 40; i++)
        login(&held, "c", T0 + 20000 * i);
    for (int i = 0; i < 60 && held.world.shards[0].head.batch < 3; i++)
        world_run(&held.world, worker, 1);
    CHECK(held.world.shards[0].head.batch == 3 && held.trips == 0); /* the fourth batch of ten sees the end */
    held.brakes.limits_off_ms = INT64_MAX;
    world_run(&held.world, worker, 200);
    CHECK(held.world.shards[0].topics[0].committed == 40);
    CHECK(held.world.shards[0].head.batch == 4);
    close_all(&held, worker);
}

static void a_worker_that_waits_for_a_hold_can_be_stopped(void)
{
    struct held held;
    struct tagd_error error = {""};
    struct tagd_worker *worker = trip(&held);
    tagd_worker_stop(worker);
    for (int i = 0; i < 100 && tagd_worker_step(worker, 0, &error); i++)
        held.world.mono_ms++;
    CHECK(error.text[0] == '\0' && held.world.shards[0].head.batch == 0);
    close_all(&held, worker);
}

static void rates_are_of_a_minute_and_of_a_workers_part(void)
{
    const uint32_t most[3] = {0, 100, 10};
    uint32_t changes = 0;
    struct tagd_rates *rates = tagd_rates_new(most, 3);
    tagd_rates_add(rates, 0, 1000, 5000);
    tagd_rates_add(rates, 2, 5, 5000);
    CHECK(tagd_rates_over(rates, 1, 2, 5000, &changes) == -1);
    tagd_rates_add(rates, 2, 1, 64999);
    CHECK(tagd_rates_over(rates, 1, 2, 64999, &changes) == 2 && changes == 6);
    CHECK(tagd_rates_over(rates, 2, 2, 64999, &changes) == -1);
    CHECK(tagd_rates_over(rates, 1, 2, 65000, &changes) == -1); /* the five are a minute ago */
    tagd_rates_add(rates, 2, 2, 65000);
    CHECK(tagd_rates_over(rates, 1, 100, 65000, &changes) == 2 && changes == 3); /* a part is one change at least */
    tagd_rates_forget(rates);
    CHECK(tagd_rates_over(rates, 1, 100, 65000, &changes) == -1);
    tagd_rates_free(rates);
}

/* ---- time ---- */

static void time_goes_no_further_than_a_brake_lets_it(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, true, false, false);
    world_run(&held.world, worker, 60);
    login(&held, "c", held.world.wall_ms);
    world_run(&held.world, worker, 10);
    CHECK(world_saw(&held.world.published, "tag:c:1 b.activity>busy;"));
    held.brakes.time_to_ms = held.world.wall_ms + 5000;
    world_run(&held.world, worker, 6000);
    CHECK(status_of(worker) == TAGD_SHARD_RUNNING); /* grace: it has not come to it yet */
    world_run(&held.world, worker, 20000);
    CHECK(world_saw(&held.world.published, "") && status_of(worker) == TAGD_SHARD_HELD);
    CHECK(tagd_worker_stats(worker)->watermark_min_ms == held.brakes.time_to_ms);
    login(&held, "d", held.world.wall_ms); /* events go on */
    world_run(&held.world, worker, 10);
    CHECK(world_saw(&held.world.published, "tag:d:1 b.activity>busy;"));
    held.brakes.time_to_ms = INT64_MAX;
    world_run(&held.world, worker, 20);
    CHECK(world_saw(&held.world.published, "tag:c:2 b.activity>silent;"));
    close_all(&held, worker);
}

static void a_clock_that_nobody_agrees_with_moves_no_time(void)
{
    struct held held;
    struct tagd_worker *worker = open_with(&held, true, false, false);
    world_run(&held.world, worker, 60);
    login(&held, "c", held.world.wall_ms);
    world_run(&held.world, worker, 10);
    held.brakes.clock_agrees = false;
    world_run(&held.world, worker, 20000);
    CHECK(world_saw(&held.world.published, "tag:c:1 b.activity>busy;"));
    CHECK(tagd_worker_stats(worker)->clock_parted == 1 && status_of(worker) == TAGD_SHARD_HELD);
    held.brakes.clock_agrees = true;
    world_run(&held.world, worker, 20);
    CHECK(world_saw(&held.world.published, "tag:c:2 b.activity>silent;"));
    CHECK(tagd_worker_stats(worker)->clock_parted == 0);
    close_all(&held, worker);
}

/* ---- what a shard is seen to do ---- */

static void a_shard_that_has_something_to_do_and_does_not_move_is_stalled(void)
{
    struct held held;
    struct tagd_shard_stats stats[WORLD_SHARDS];
    struct tagd_worker *worker = open_with(&held, false, true, false);
    world_run(&held.world, worker, 60);
    held.world.sends_held = true;
    for (int i = 0; i < 40; i++)
        login(&held, "c", T0 + 20000 * i);
    world_run(&held.world, worker, TAGD_STALLED_MS - 100);
    tagd_worker_shards(worker, stats, WORLD_SHARDS);
    CHECK(stats[0].shard == 0 && tagd_shard_status_at(&stats[0], held.world.mono_ms) == TAGD_SHARD_RUNNING);
    world_run(&held.world, worker, 200);
    tagd_worker_shards(worker, stats, WORLD_SHARDS);
    CHECK(tagd_shard_status_at(&stats[0], held.world.mono_ms) == TAGD_SHARD_STALLED);
    held.world.sends_held = false;
    world_run(&held.world, worker, 60);
    tagd_worker_shards(worker, stats, WORLD_SHARDS);
    CHECK(tagd_shard_status_at(&stats[0], held.world.mono_ms) == TAGD_SHARD_RUNNING);
    CHECK(tagd_shard_status_at(&stats[0], held.world.mono_ms + TAGD_STALLED_MS) == TAGD_SHARD_STALLED);
    close_all(&held, worker);
}

static void a_shard_with_nothing_to_do_is_not_stalled(void)
{
    for (int live = 0; live <= 1; live++) {
        struct held held;
        struct tagd_shard_stats stats[WORLD_SHARDS];
        struct tagd_worker *worker = open_with(&held, live, false, false);
        world_run(&held.world, worker, 20000);
        tagd_worker_shards(worker, stats, WORLD_SHARDS);
        for (size_t i = 0; i < WORLD_SHARDS; i++)
            CHECK(tagd_shard_status_at(&stats[i], held.world.mono_ms) == TAGD_SHARD_RUNNING);
        close_all(&held, worker);
    }
}

static void times_are_counted_by_size(void)
{
    struct tagd_histogram histogram = {0};
    tagd_histogram_add(&histogram, -5);
    tagd_histogram_add(&histogram, 100);
    tagd_histogram_add(&histogram, 101);
    tagd_histogram_add(&histogram, INT64_C(3600000000));
    tagd_histogram_add(&histogram, INT64_C(3600000001));
    CHECK(histogram.counts[0] == 2 && histogram.counts[1] == 1);
    CHECK(histogram.counts[TAGD_HISTOGRAM_BOUNDS - 1] == 1 && histogram.counts[TAGD_HISTOGRAM_BOUNDS] == 1);
    CHECK(histogram.sum_us == 7200000202);
}

static void a_batchs_stages_and_latency_are_measured(void)
{
    for (int at_least_once = 0; at_least_once <= 1; at_least_once++) {
        struct held held;
        struct tagd_worker *worker = open_with(&held, true, at_least_once, false);
        world_run(&held.world, worker, 60);
        login(&held, "c", held.world.wall_ms);
        held.world.shards[0].topics[0].records[0].timestamp_ms = held.world.wall_ms - 7;
        world_run(&held.world, worker, 10);
        const struct tagd_worker_stats *stats = tagd_worker_stats(worker);
        for (int stage = 0; stage < TAGD_STAGES; stage++) {
            uint64_t n = 0;
            for (int i = 0; i <= TAGD_HISTOGRAM_BOUNDS; i++)
                n += stats->stages[stage].counts[i];
            CHECK(n == 1);
        }
        CHECK(stats->latency.sum_us >= 8000 && stats->latency.sum_us <= 20000);
        world_run(&held.world, worker, 11990); /* since() >= 10s, and grace */
        CHECK(world_saw(&held.world.published, "tag:c:1 b.activity>busy;"));
        CHECK(stats->lateness.sum_us == 0);
        world_run(&held.world, worker, 20);
        CHECK(world_saw(&held.world.published, "tag:c:2 b.activity>silent;"));
        uint64_t late = 0;
        for (int i = 0; i <= TAGD_HISTOGRAM_BOUNDS; i++)
            late += stats->lateness.counts[i];
        CHECK(late == 1 && stats->lateness.sum_us <= 2000);
        close_all(&held, worker);
    }
}

int main(void)
{
    RUN(held_outputs_wait_in_the_outbox_and_are_published_in_order);
    RUN(held_outputs_outlive_their_owner_and_no_successor_publishes_them);
    RUN(a_worker_that_leaves_while_outputs_are_held_does_not_leave_cleanly);
    RUN(as_much_is_held_as_may_be_and_then_nothing_more_is_read);
    RUN(held_bytes_have_a_limit_too);
    RUN(nothing_is_audited_while_what_is_committed_waits);
    RUN(more_changes_than_are_believed_are_held_before_they_are_committed);
    RUN(a_batch_waits_for_its_hold_for_as_long_as_that_takes);
    RUN(as_many_changes_as_are_believed_are_not_held);
    RUN(limits_that_are_switched_off_let_a_waiting_batch_through);
    RUN(what_is_told_before_all_is_read_is_not_limited);
    RUN(a_worker_that_waits_for_a_hold_can_be_stopped);
    RUN(rates_are_of_a_minute_and_of_a_workers_part);
    RUN(time_goes_no_further_than_a_brake_lets_it);
    RUN(a_clock_that_nobody_agrees_with_moves_no_time);
    RUN(a_shard_that_has_something_to_do_and_does_not_move_is_stalled);
    RUN(a_shard_with_nothing_to_do_is_not_stalled);
    RUN(times_are_counted_by_size);
    RUN(a_batchs_stages_and_latency_are_measured);
    return DONE();
}
