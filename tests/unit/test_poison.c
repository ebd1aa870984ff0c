/* After an owner's death: its shards' first records are tried, and what kills twice becomes a dead letter. */
#include "world.h"

#define T0 INT64_C(1700000000000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"
#define DECODING "decoding it killed the process twice, the second time alone: SIGSEGV"
#define APPLYING "applying it killed the process twice, the second time alone: SIGSEGV"

/* An event whose id says what it does to who decodes or applies it. */
static void event_of(struct world *world, uint32_t shard, uint32_t topic, const char *id, const char *subject,
                     int64_t time_ms)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    world_append(world, shard, topic,
                 tagd_arena_printf(&world->memory,
                                   "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"test\",\"type\":\"login\","
                                   "\"subject\":\"%s\",\"time\":\"%s\",\"data\":{}}",
                                   id, subject, time));
}

static void event(struct world *world, uint32_t topic, const char *id, const char *subject, int64_t time_ms)
{
    event_of(world, 0, topic, id, subject, time_ms);
}

static struct tagd_worker *start(struct world *world, const char *owner)
{
    struct tagd_worker_config config = world_config(world, owner, true);
    return tagd_worker_new(&config, &world->port);
}

/* A shard with a batch, whose owner has died. */
static void owner_dies(struct world *world, const char *owner)
{
    world_open(world, ACTIVITY);
    world->trials_run = true;
    event(world, 0, "first", "c", T0);
    struct tagd_worker *worker = start(world, owner);
    world_run(world, worker, 60);
    CHECK(world_saw(&world->published, "tag:c:1 b.activity>busy;") && world->trials == 0);
    world_kill(world, worker);
}

static bool noted(struct world *world, const char *text)
{
    tagd_buf_add_byte(&world->notes, '\0');
    return strstr(world->notes.p, text) != NULL;
}

/* "code value;" of the dead letters, by what their values begin with. */
static size_t letters(struct world *world, const char *code)
{
    size_t n = 0;
    tagd_buf_add_byte(&world->letters, '\0');
    for (const char *p = world->letters.p; (p = strstr(p, code)) != NULL; p++)
        n++;
    world->letters.n--;
    return n;
}

static void nothing_is_tried_where_the_owner_left_cleanly(void)
{
    struct world world;
    struct tagd_error error;
    world_open(&world, ACTIVITY);
    world.trials_run = true;
    event(&world, 0, "first", "c", T0);
    struct tagd_worker *worker = start(&world, "a");
    world_run(&world, worker, 60);
    tagd_worker_stop(worker);
    while (tagd_worker_step(worker, 0, &error))
        ;
    tagd_worker_free(worker);
    world.assign = true;
    worker = start(&world, "b");
    event(&world, 0, "second", "d", T0 + 1);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;tag:d:1 b.activity>busy;"));
    CHECK(world.trials == 0 && tagd_worker_stats(worker)->trials == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void nor_where_this_process_takes_its_own_shard_over_again(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world.trials_run = true;
    event(&world, 0, "first", "c", T0);
    struct tagd_worker *worker = start(&world, "a");
    world_run(&world, worker, 60);
    world.faults[TAGD_OP_COMMIT] = (struct world_fault){1, TAGD_UNKNOWN, false};
    event(&world, 0, "second", "d", T0 + 1);
    world_run(&world, worker, 600);
    CHECK(tagd_worker_stats(worker)->takeovers == 3);
    world.lost = true;
    world_run(&world, worker, 10);
    world.assign = true;
    event(&world, 0, "third", "e", T0 + 2);
    world_run(&world, worker, 600);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;tag:d:1 b.activity>busy;tag:e:1 b.activity>busy;"));
    CHECK(world.trials == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_record_that_kills_in_decoding_becomes_a_dead_letter_and_all_others_count(void)
{
    static const char *const owners[] = {"a", "b"}; /* the same id again, or another's */
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        owner_dies(&world, "a");
        event(&world, 0, "second", "d", T0 + 1);
        event(&world, 0, "kills decoding", "d", T0 + 2);
        event(&world, 0, "third", "e", T0 + 3);
        event(&world, 0, "kills decoding too", "c", T0 + 4);
        world_append(&world, 0, 0, "{nonsense");
        struct tagd_worker *worker = start(&world, owners[i]);
        world_run(&world, worker, 60);
        CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;tag:e:1 b.activity>busy;"));
        CHECK(letters(&world, "poison") == 2 && letters(&world, "malformed") == 1);
        CHECK(tagd_worker_stats(worker)->dead_letters[TAGD_EVENT_POISON] == 2);
        CHECK(tagd_worker_stats(worker)->trials == 5 && tagd_worker_stats(worker)->records == 5);
        CHECK(world.shards[0].topics[0].committed == 6);
        CHECK(noted(&world, "shard 0: topic \"first\" offset 2: " DECODING "; it becomes a dead letter"));
        tagd_buf_add_byte(&world.wire, '\0');
        CHECK(strstr(world.wire.p, "no key tagd_error=poison tagd_reason=" DECODING
                                   " tagd_topic=first tagd_partition=0 tagd_offset=2 value {"));
        tagd_worker_free(worker);
        world_close(&world);
    }
}

static void a_record_that_kills_in_the_engine_becomes_one_too(void)
{
    struct world world;
    owner_dies(&world, "a");
    event(&world, 0, "second", "d", T0 + 1);
    event(&world, 0, "kills applying", "d", T0 + 2);
    event(&world, 0, "third", "d", T0 + 20000);
    event(&world, 0, "kills applying", "e", T0 + 20001); /* a customer that comes to nothing */
    event(&world, 0, "fourth", "c", T0 + 20002);
    event(&world, 0, "kills applying", "c", T0 + 20003); /* the last of its customer */
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;tag:d:2 b.activity>silent;tag:d:3 b.activity>busy;"
                                      "tag:c:2 b.activity>silent;tag:c:3 b.activity>busy;"));
    CHECK(letters(&world, "poison") == 3 && world.shards[0].n_customers == 2);
    CHECK(noted(&world, "shard 0: topic \"first\" offset 2: " APPLYING "; it becomes a dead letter"));
    CHECK(tagd_worker_stats(worker)->events == 3 && world.shards[0].topics[0].committed == 7);
    CHECK(world.shards[0].head.watermark_ms == T0 + 20003); /* their times could be read, and count */
    tagd_worker_free(worker);
    world_close(&world);
}

static void what_kills_once_or_only_in_company_is_let_through(void)
{
    struct world world;
    owner_dies(&world, "a");
    event(&world, 0, "kills once", "d", T0 + 1);
    event(&world, 0, "kills in company", "e", T0 + 2);
    event(&world, 0, "third", "f", T0 + 3);
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;tag:e:1 b.activity>busy;tag:f:1 b.activity>busy;"));
    CHECK(letters(&world, "poison") == 0);
    CHECK(noted(&world, "offset 1: decoding it killed a trial once, though not alone: SIGSEGV; it is let through"));
    CHECK(strstr(world.notes.p, "offset 0: decoding it killed a trial") == NULL);
    CHECK(noted(&world, "decoding it killed") && world.shards[0].topics[0].committed == 4);
    tagd_worker_free(worker);
    world_close(&world);
}

static void what_is_behind_one_that_is_let_through_in_the_engine_is_tried_too(void)
{
    struct world world;
    owner_dies(&world, "a");
    event(&world, 0, "2nd", "d", T0 + 1);
    event(&world, 0, "kills applying in company", "e", T0 + 2);
    event(&world, 0, "kills applying", "f", T0 + 3);
    event(&world, 0, "last", "g", T0 + 4);
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;tag:e:1 b.activity>busy;tag:g:1 b.activity>busy;"));
    CHECK(letters(&world, "poison") == 1 && noted(&world, APPLYING));
    CHECK(noted(&world, "applying it killed a trial once, though not alone: SIGSEGV; it is let through"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_death_before_the_shards_first_batch_counts(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world.trials_run = true;
    world.faults[TAGD_OP_COMMIT] = (struct world_fault){1, TAGD_PENDING, false};
    event(&world, 0, "kills decoding", "c", T0);
    struct tagd_worker *worker = start(&world, "a");
    world_run(&world, worker, 60);
    CHECK(world.trials == 0 && !world.shards[0].head.exists); /* nobody knows yet */
    world_kill(&world, worker);
    worker = start(&world, "a");
    event(&world, 0, "second", "d", T0 + 1);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;") && letters(&world, "poison") == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_dead_letter_that_was_not_published_comes_from_the_outbox_with_its_reason(void)
{
    struct world world;
    owner_dies(&world, "a");
    event(&world, 0, "kills decoding", "d", T0 + 1);
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 60);
    CHECK(letters(&world, "poison") == 0 && world.shards[0].n_outbox >= 1);
    tagd_buf_add_byte(&world.wire, '\0');
    const char *first = strstr(world.wire.p, "no key tagd_error=poison");
    CHECK(first != NULL);
    char *wanted = strdup(first);
    world.wire.n = 0;
    world_kill(&world, worker);
    worker = start(&world, "b");
    world_run(&world, worker, 60);
    CHECK(letters(&world, "poison") == 1);
    tagd_buf_add_byte(&world.wire, '\0');
    CHECK(strcmp(world.wire.p, wanted) == 0);
    free(wanted);
    tagd_worker_free(worker);
    world_close(&world);
}

static void records_keep_their_order_and_ends_theirs_while_some_are_tried(void)
{
    struct world world;
    world_open(&world, "\"b.last\":{\"tags\":[{\"tag\":\"order\",\"when\":\"since(order.paid) < since(login)\"},"
                       "{\"tag\":\"login\",\"when\":\"true\"}]}");
    world.trials_run = true;
    event(&world, 0, "first", "x", T0);
    struct tagd_worker *worker = start(&world, "a");
    world_run(&world, worker, 60);
    world_kill(&world, worker);
    for (int i = 1; i <= 20; i++) {
        if (i % 5 == 0)
            event(&world, (uint32_t)(i % 2), "kills decoding", "c", T0 + 1000 * i - 1);
        world_event(&world, 0, (uint32_t)(i % 2), i % 2 ? "login" : "order.paid", "c", T0 + 1000 * i);
    }
    worker = start(&world, "b");
    world_run(&world, worker, 200);
    CHECK(tagd_worker_stats(worker)->events == 20 && tagd_worker_stats(worker)->late == 0);
    CHECK(letters(&world, "poison") == 4 && tagd_worker_stats(worker)->changes_event == 20);
    tagd_worker_free(worker);
    world_close(&world);
}

static void nothing_overtakes_what_waits_to_be_tried(void)
{
    struct world world;
    owner_dies(&world, "a"); /* with the second shard too, which is taken over last: a batch may follow at once */
    event_of(&world, 1, 0, "second", "d", T0 + 10);
    event_of(&world, 1, 1, "kills decoding", "d", T0 + 1);
    event_of(&world, 1, 1, "kills decoding too", "d", T0 + 2);
    event_of(&world, 1, 1, "third", "d", T0 + 3);
    struct tagd_worker_config config = world_config(&world, "b", false);
    config.max_idle_ms = 0; /* no topic is waited for */
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 60);
    CHECK(tagd_worker_stats(worker)->events == 2 && tagd_worker_stats(worker)->late == 0);
    CHECK(letters(&world, "poison") == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_condemned_record_may_wait_through_batches(void)
{
    struct world world;
    owner_dies(&world, "a");
    for (int i = 0; i < 12; i++)
        event(&world, 0, i == 8 ? "kills decoding" : tagd_arena_printf(&world.memory, "e%d", i), "d", T0 + 1 + i);
    struct tagd_worker_config config = world_config(&world, "b", true);
    config.batch_bytes_max = 1; /* a record a batch */
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 300);
    CHECK(tagd_worker_stats(worker)->events == 11 && letters(&world, "poison") == 1);
    CHECK(world.shards[0].topics[0].committed == 13);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_condemned_record_has_its_headers_though_they_were_not_read(void)
{
    struct world world;
    const struct tagd_header own = {TAGD_STR("own"), TAGD_STR("h")};
    owner_dies(&world, "a");
    world.headers_unread = true;
    event(&world, 0, "kills applying", "d", T0 + 1);
    struct world_partition *partition = &world.shards[0].topics[0];
    partition->records[partition->end - 1].headers = &own;
    partition->records[partition->end - 1].n_headers = 1;
    struct tagd_worker_config config = world_config(&world, "b", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 300);
    CHECK(letters(&world, "h/poison") == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void once_that_many_are_committed_nothing_is_tried(void)
{
    struct world world;
    owner_dies(&world, "a");
    for (int i = 0; i < 30; i++)
        event(&world, 0, tagd_arena_printf(&world.memory, "e%d", i), "d", T0 + 1 + i);
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 60);
    CHECK(tagd_worker_stats(worker)->trials == 30);
    size_t trials = world.trials;
    event(&world, 0, "kills decoding", "e", T0 + 100); /* it was not there when the owner died */
    world_run(&world, worker, 60);
    CHECK(world.trials == trials && tagd_worker_stats(worker)->trials == 30);
    CHECK(tagd_worker_stats(worker)->events == 31);
    world.lost = true; /* nor when it is lost, and comes back to who had it */
    world_run(&world, worker, 5);
    event(&world, 0, "later", "f", T0 + 101);
    world.assign = true;
    world_run(&world, worker, 600);
    CHECK(world.trials == trials && tagd_worker_stats(worker)->events == 32);
    tagd_worker_free(worker);
    world_close(&world);
}

static void what_came_after_the_death_is_not_tried(void)
{
    struct world world;
    owner_dies(&world, "a");
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 60);
    event(&world, 0, "later", "d", T0 + 1);
    world_run(&world, worker, 60);
    CHECK(world.trials == 0 && world_saw(&world.published, "tag:d:1 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_shard_lost_under_suspicion_is_under_suspicion_when_it_comes_back(void)
{
    struct world world;
    owner_dies(&world, "a");
    event(&world, 0, "kills decoding", "d", T0 + 1);
    world.faults[TAGD_OP_COMMIT] = (struct world_fault){2, TAGD_REFUSED, false}; /* the claim is the first */
    struct tagd_worker *worker = start(&world, "b");
    world_run(&world, worker, 40);
    CHECK(world.faults[TAGD_OP_COMMIT].count == 0 && world.trials > 0 && letters(&world, "poison") == 0);
    size_t trials = world.trials;
    world.lost = true;
    world_run(&world, worker, 5);
    world.assign = true;
    world_run(&world, worker, 600);
    CHECK(world.trials > trials && letters(&world, "poison") == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

/* Left at any step, cleanly or not: whoever comes next, this process or another, tries what is left. */
static void a_shard_left_under_suspicion_is_under_suspicion_for_the_next_owner(void)
{
    for (int steps = 1; steps < 40; steps++)
        for (int how = 0; how < 2; how++) {
            struct world world;
            owner_dies(&world, "a");
            event(&world, 0, "kills decoding", "d", T0 + 1);
            struct tagd_worker *worker = start(&world, "b");
            world_run(&world, worker, steps);
            world.revoke = true;
            world_run(&world, worker, 10);
            if (how == 1) {
                tagd_worker_free(worker);
                worker = start(&world, "c");
            }
            world.assign = true;
            world_run(&world, worker, 300);
            CHECK(letters(&world, "poison") == 1 && world.shards[0].topics[0].committed == 2);
            tagd_worker_free(worker);
            world_close(&world);
        }
}

static void what_kills_a_replay_is_tried_by_the_next_owner_and_not_applied_again(void)
{
    struct world world;
    owner_dies(&world, "a");
    struct world_store copy = world_copy(&world.shards[0]);
    event(&world, 0, "second", "d", T0 + 1);
    event(&world, 0, "once harmless, kills decoding", "d", T0 + 2);
    struct tagd_worker *worker = start(&world, "a");
    world.trial_skipped = true;
    world_run(&world, worker, 300);
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;"));
    world_kill(&world, worker);
    world_bring_back(&world.shards[0], &copy);
    world.trial_skipped = false;
    worker = start(&world, "b");
    world_run(&world, worker, 3000);
    CHECK(tagd_worker_stats(worker)->repairs == 1 && noted(&world, "it is not applied again"));
    CHECK(world.published.n == 0 && letters(&world, "poison") == 0 && world.shards[0].topics[0].committed == 3);
    tagd_worker_free(worker);
    world_close(&world);
}

static void another_owners_death_counts_where_this_process_had_the_shard_before(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world.trials_run = true;
    event(&world, 0, "first", "c", T0);
    struct tagd_worker *worker = start(&world, "a");
    world_run(&world, worker, 60);
    world.lost = true;
    world_run(&world, worker, 5);
    world.shards[0].fence++;
    snprintf(world.shards[0].head.owner, sizeof(world.shards[0].head.owner), "b");
    event(&world, 0, "kills decoding", "d", T0 + 1);
    world.assign = true;
    world_run(&world, worker, 600);
    CHECK(letters(&world, "poison") == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

/* Whatever the step: nothing is held any more, nothing is lost. */
static void leaving_while_some_wait_to_be_tried_is_clean(void)
{
    for (int steps = 1; steps < 40; steps++)
        for (int how = 0; how < 2; how++) {
            struct world world;
            owner_dies(&world, "a");
            for (int i = 0; i < 10; i++)
                event(&world, (uint32_t)i % 2, i % 3 == 2 ? "kills decoding" : "kills applying", "d", T0 + 1 + i);
            struct tagd_worker *worker = start(&world, "b");
            world_run(&world, worker, steps);
            world.revoke = how == 0;
            world.lost = how == 1;
            world_run(&world, worker, 10);
            CHECK(world.held == 0);
            world.assign = true;
            world_run(&world, worker, 300);
            CHECK(world.shards[0].topics[0].committed == 6 && world.shards[0].topics[1].committed == 5);
            tagd_worker_free(worker);
            world_close(&world);
        }
}

int main(void)
{
    RUN(nothing_is_tried_where_the_owner_left_cleanly);
    RUN(nor_where_this_process_takes_its_own_shard_over_again);
    RUN(a_record_that_kills_in_decoding_becomes_a_dead_letter_and_all_others_count);
    RUN(a_record_that_kills_in_the_engine_becomes_one_too);
    RUN(what_kills_once_or_only_in_company_is_let_through);
    RUN(what_is_behind_one_that_is_let_through_in_the_engine_is_tried_too);
    RUN(a_death_before_the_shards_first_batch_counts);
    RUN(a_dead_letter_that_was_not_published_comes_from_the_outbox_with_its_reason);
    RUN(records_keep_their_order_and_ends_theirs_while_some_are_tried);
    RUN(nothing_overtakes_what_waits_to_be_tried);
    RUN(a_condemned_record_may_wait_through_batches);
    RUN(a_condemned_record_has_its_headers_though_they_were_not_read);
    RUN(once_that_many_are_committed_nothing_is_tried);
    RUN(what_came_after_the_death_is_not_tried);
    RUN(a_shard_lost_under_suspicion_is_under_suspicion_when_it_comes_back);
    RUN(a_shard_left_under_suspicion_is_under_suspicion_for_the_next_owner);
    RUN(what_kills_a_replay_is_tried_by_the_next_owner_and_not_applied_again);
    RUN(another_owners_death_counts_where_this_process_had_the_shard_before);
    RUN(leaving_while_some_wait_to_be_tried_is_clean);
    return DONE();
}
