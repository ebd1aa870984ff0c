/* One record is passed over by an operator: head, offsets and the dead letter, whatever fails in between. */
#include "world.h"
#include "worker/skip.h"

#define T0 INT64_C(1700000000000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"

static void run_worker(struct world *world, bool at_least_once)
{
    struct tagd_worker_config config = world_config(world, "a", true);
    struct tagd_error error;
    config.at_least_once = at_least_once;
    world->assign = true;
    struct tagd_worker *worker = tagd_worker_new(&config, &world->port);
    world_run(world, worker, 200);
    tagd_worker_stop(worker);
    for (int i = 0; i < 200; i++, world->mono_ms++)
        if (!tagd_worker_step(worker, 0, &error))
            break;
    tagd_worker_free(worker);
    for (uint32_t shard = 0; shard < WORLD_SHARDS; shard++)
        world->shards[shard].running = false;
}

static enum tagd_skip_result skip(struct world *world, uint32_t topic, int64_t offset, bool at_least_once,
                                  struct tagd_skip_outcome *outcome, struct tagd_error *error)
{
    struct tagd_worker_config worker = world_config(world, "b", true);
    worker.at_least_once = at_least_once;
    struct tagd_skip_config config = {.worker = &worker,
                                      .shard = 1,
                                      .topic = topic,
                                      .offset = offset,
                                      .reason = "it hangs",
                                      .assign_timeout_ms = 500};
    world->assign = true;
    enum tagd_skip_result result = tagd_skip(&config, &world->port, outcome, error);
    world->shards[0].running = world->shards[1].running = false;
    return result;
}

/* The daemon has read two records of topic 0, and a third has come. */
static void open_with(struct world *world, bool at_least_once)
{
    world_open(world, ACTIVITY);
    world_event(world, 1, 0, "login", "c", T0);
    world_event(world, 1, 1, "login", "d", T0 + 1000);
    run_worker(world, at_least_once);
    world_event(world, 1, 0, "login", "e", T0 + 2000);
    world_event(world, 1, 0, "login", "f", T0 + 3000);
}

static bool is_stored(struct world *world, const char *customer)
{
    const struct world_customer *found = world_customer(&world->shards[1], tagd_str_of(customer));
    return found != NULL && found->bytes.n > 0;
}

static size_t count(const struct tagd_buf *where, const char *what)
{
    size_t n = 0, length = strlen(what);
    for (size_t at = 0; at + length <= where->n; at++)
        n += memcmp(where->p + at, what, length) == 0;
    return n;
}

static void the_next_record_becomes_a_dead_letter_and_the_daemon_goes_on_behind_it(void)
{
    for (int at_least_once = 0; at_least_once < 2; at_least_once++) {
        struct world world;
        struct tagd_skip_outcome outcome;
        struct tagd_error error;
        open_with(&world, at_least_once);
        struct tagd_head before = world.shards[1].head;
        CHECK(skip(&world, 0, 1, at_least_once, &outcome, &error) == TAGD_SKIP_DONE && !outcome.empty);
        const struct tagd_head *head = &world.shards[1].head;
        CHECK(head->batch == before.batch + 1 && head->next_offset[0] == 2 && head->next_offset[1] == 1);
        CHECK(head->watermark_ms == before.watermark_ms && head->latest_ms == before.latest_ms);
        CHECK(head->owner[0] == '\0' && world.shards[1].n_outbox == 0);
        CHECK(world.shards[1].topics[0].committed == 2 && world.shards[1].topics[1].committed == 1);
        CHECK(count(&world.letters, "poison {") == 1);
        run_worker(&world, at_least_once);
        CHECK(!is_stored(&world, "e") && is_stored(&world, "f") && count(&world.letters, "poison") == 1);
        world_close(&world);
    }
}

static void only_the_next_record_can_be_skipped(void)
{
    struct world world;
    struct tagd_skip_outcome outcome;
    struct tagd_error error;
    open_with(&world, false);
    CHECK(skip(&world, 0, 0, false, &outcome, &error) == TAGD_SKIP_REFUSED);
    CHECK(strstr(error.text, "is 1, not 0: only the next one can be skipped; that one is passed already"));
    CHECK(skip(&world, 0, 2, false, &outcome, &error) == TAGD_SKIP_REFUSED && strstr(error.text, "is 1, not 2"));
    CHECK(skip(&world, 1, 1, false, &outcome, &error) == TAGD_SKIP_REFUSED && strstr(error.text, "ends at offset 1"));
    CHECK(world.shards[1].head.next_offset[0] == 1 && world.shards[1].head.owner[0] == '\0' && world.letters.n == 0);
    world_close(&world);
}

static void a_shard_without_a_batch_begins_behind_the_record(void)
{
    struct world world;
    struct tagd_skip_outcome outcome;
    struct tagd_error error;
    world_open(&world, ACTIVITY);
    world_event(&world, 1, 0, "login", "e", T0);
    world_event(&world, 1, 0, "login", "f", T0 + 1);
    CHECK(skip(&world, 0, 0, false, &outcome, &error) == TAGD_SKIP_DONE);
    CHECK(world.shards[1].head.batch == 1 && world.shards[1].population.form.n > 0);
    run_worker(&world, false);
    CHECK(!is_stored(&world, "e") && is_stored(&world, "f") && count(&world.letters, "poison {") == 1);
    world_close(&world);
}

/* Whatever operation fails in whatever way, the daemon or another attempt finds out, and the letter is there once. */
static void a_skip_that_fails_anywhere_is_done_once_or_not_at_all(void)
{
    static const enum tagd_op_kind kinds[] = {TAGD_OP_FENCE,  TAGD_OP_COMMITTED, TAGD_OP_TAIL,
                                              TAGD_OP_COMMIT, TAGD_OP_PUBLISH,   TAGD_OP_REFETCH};
    static const enum tagd_op_status statuses[] = {TAGD_UNKNOWN, TAGD_FENCED};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int count_to = 1; count_to <= 3; count_to++)
            for (size_t s = 0; s < 2 * sizeof statuses / sizeof *statuses; s++) {
                struct world world;
                struct tagd_skip_outcome outcome;
                struct tagd_error error;
                enum tagd_op_status status = statuses[s / 2];
                bool effect = s % 2 == 1 && status == TAGD_UNKNOWN;
                open_with(&world, false);
                world.faults[kinds[k]] = (struct world_fault){count_to, status, effect};
                enum tagd_skip_result result = skip(&world, 0, 1, false, &outcome, &error);
                world.faults[kinds[k]].count = 0;
                world.n_ops = 0;
                CHECK(result != TAGD_SKIP_DONE || count(&world.letters, "poison {") == 1);
                run_worker(&world, false);
                bool skipped = !is_stored(&world, "e");
                CHECK(skipped == (count(&world.letters, "poison {") == 1) && (skipped || world.letters.n == 0));
                CHECK(result == TAGD_SKIP_DONE || outcome.committed ? skipped : true);
                CHECK(is_stored(&world, "f") && world.shards[1].topics[0].committed == 3);
                world_close(&world);
            }
}

static void a_shard_under_repair_is_refused(void)
{
    struct world world;
    struct tagd_skip_outcome outcome;
    struct tagd_error error;
    open_with(&world, false);
    struct world_store store = world_copy(&world.shards[1]);
    run_worker(&world, false);
    world_bring_back(&world.shards[1], &store);
    CHECK(skip(&world, 0, 1, false, &outcome, &error) == TAGD_SKIP_REFUSED && strstr(error.text, "under repair"));
    CHECK(world.letters.n == 0 && world.shards[1].head.next_offset[0] == 1);
    run_worker(&world, false);
    CHECK(is_stored(&world, "e") && is_stored(&world, "f"));
    world_close(&world);
}

static void an_owner_that_died_stays_named(void)
{
    struct world world;
    struct tagd_skip_outcome outcome;
    struct tagd_error error;
    open_with(&world, false);
    snprintf(world.shards[1].head.owner, sizeof world.shards[1].head.owner, "dead");
    CHECK(skip(&world, 0, 1, false, &outcome, &error) == TAGD_SKIP_DONE);
    CHECK(strcmp(world.shards[1].head.owner, "dead") == 0 && world_saw(&world.ended, "dead;"));
    world_close(&world);
}

/* Who died before a first batch left a fence and no head to stand in: the skip names itself in its place. */
static void an_owner_that_died_before_its_first_batch_is_named(void)
{
    for (uint64_t fence = 0; fence < 2; fence++) {
        struct world world;
        struct tagd_skip_outcome outcome;
        struct tagd_error error;
        world_open(&world, ACTIVITY);
        world_event(&world, 1, 0, "login", "e", T0);
        world.shards[1].fence = fence;
        CHECK(skip(&world, 0, 0, false, &outcome, &error) == TAGD_SKIP_DONE);
        CHECK(strcmp(world.shards[1].head.owner, fence == 0 ? "" : "b") == 0);
        world_close(&world);
    }
}

int main(void)
{
    RUN(the_next_record_becomes_a_dead_letter_and_the_daemon_goes_on_behind_it);
    RUN(only_the_next_record_can_be_skipped);
    RUN(a_shard_without_a_batch_begins_behind_the_record);
    RUN(a_skip_that_fails_anywhere_is_done_once_or_not_at_all);
    RUN(a_shard_under_repair_is_refused);
    RUN(an_owner_that_died_stays_named);
    RUN(an_owner_that_died_before_its_first_batch_is_named);
    return DONE();
}
