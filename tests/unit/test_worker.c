/* Worker and shard over a world in memory. */
#include "world.h"

#define T0 INT64_C(1700000000000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"

static struct tagd_worker *start(struct world *world, const char *owner, bool time_events)
{
    struct tagd_worker_config config = world_config(world, owner, time_events);
    return tagd_worker_new(&config, &world->port);
}

static void an_event_becomes_a_change_a_view_a_timer_and_an_offset(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 1, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    CHECK(strcmp(world.shards[1].customers[0].view, "b.activity=busy _revision=1 _at=1700000000000 ") == 0);
    CHECK(world.shards[1].customers[0].due_ms == T0 + 10000);
    CHECK(world.shards[1].topics[0].committed == 1 && world.shards[1].topics[1].committed == 0);
    CHECK(tagd_str_eq(world.shards[1].topics[1].metadata, TAGD_STR("1,1,1700000000000")));
    CHECK(!world.shards[0].head.exists && strcmp(world.shards[1].head.owner, "a") == 0);
    CHECK(tagd_worker_stats(worker)->takeover_new == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void said(struct world *world, const char *type, int64_t time_ms, const char *data)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    world_append(world, 0, 0,
                 tagd_arena_printf(&world->memory,
                                   "{\"specversion\":\"1.0\",\"id\":\"e%u\",\"source\":\"test\",\"type\":\"%s\","
                                   "\"subject\":\"c\",\"time\":\"%s\",\"data\":%s}",
                                   world->n_events++, type, time, data));
}

static void each_kind_of_event_out_is_counted_by_itself_and_views_have_tags_alone(void)
{
    struct world world;
    world_open(&world, "\"b.r\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"once\",\"when\":\"count(login) == 1\"},"
                       "{\"tag\":\"twice\",\"when\":\"count(login) == 2\"}]},"
                       "\"b.m\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"vip\"}]}},"
                       "\"alerts\":{\"here\":{\"when\":\"since(login) < 10s\"},\"ever\":{\"when\":\"true\"}");
    said(&world, "login", T0, "{}");
    said(&world, "tag.reviewed", T0 + 1, "{\"proposal\":\"proposal:c:1\",\"decision\":\"approved\",\"by\":\"li\"}");
    said(&world, "tag.assigned", T0 + 2,
         "{\"dimension\":\"b.m\",\"tag\":\"vip\",\"by\":\"li\",\"reason\":\"r\",\"until\":\"2023-11-14T22:13:25Z\"}");
    said(&world, "login", T0 + 3, "{}");
    said(&world, "login", T0 + 4, "{}");
    said(&world, "tag.reviewed", T0 + 5, "{\"proposal\":\"proposal:c:5\",\"decision\":\"rejected\",\"by\":\"li\"}");
    said(&world, "tag.reviewed", T0 + 6, "{\"proposal\":\"proposal:c:5\",\"decision\":\"approved\",\"by\":\"li\"}");
    world_event(&world, 0, 0, "unheard.of", "d", T0 + 60000);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.content_binary = true;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 60);
    const struct tagd_worker_stats *stats = tagd_worker_stats(worker);
    CHECK(world_saw(
        &world.published,
        "proposal:c:1;alert:c:1;alert:c:2;proposal:c:2;tag:c:1;tag:c:2;proposal:c:3;proposal:c:4;proposal:c:5;"
        "proposal:c:6;tag:c:3;alert:c:3;"));
    CHECK(stats->changes_review == 1 && stats->changes_manual == 1 && stats->changes_time == 1 &&
          stats->changes_event == 0);
    CHECK(stats->alerts_raised == 2 && stats->alerts_cleared == 1 && stats->stale_reviews == 1 &&
          stats->limit_chases == 0);
    CHECK(stats->proposals[TAGD_PROPOSAL_OPEN] == 3 && stats->proposals[TAGD_PROPOSAL_APPROVED] == 1 &&
          stats->proposals[TAGD_PROPOSAL_REJECTED] == 1 && stats->proposals[TAGD_PROPOSAL_WITHDRAWN] == 1 &&
          stats->proposals[TAGD_PROPOSAL_EXPIRED] == 0);
    CHECK(strcmp(world.shards[0].customers[0].view, "b.r=once _revision=3 _at=1700000005000 ") == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_timer_fires_though_batches_since_had_none_due(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker *worker = start(&world, "a", true);
    world_event(&world, 0, 0, "login", "c", T0);
    world_run(&world, worker, 60);
    world_event(&world, 0, 0, "login", "d", T0 + 5000);
    world_run(&world, worker, 20);
    world_event(&world, 0, 0, "unheard.of", "e", T0 + 10000);
    world_run(&world, worker, 20);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;tag:d:1 b.activity>busy;tag:c:2 b.activity>silent;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_timer_that_fires_arms_the_next_one(void)
{
    struct world world;
    world_open(&world,
               "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) > 20s\"},"
               "{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},{\"tag\":\"busy\",\"when\":\"true\"}]}");
    struct tagd_worker *worker = start(&world, "a", true);
    world_event(&world, 0, 0, "login", "c", T0);
    world_run(&world, worker, 60);
    for (int i = 1; i <= 3; i++) {
        world_event(&world, 0, 0, "unheard.of", "d", T0 + 10000 * i);
        world_run(&world, worker, 20);
        CHECK(world.due_max == 2500);
    }
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;tag:c:2 b.activity>silent;tag:c:3 b.activity>lost;"));
    CHECK(world.shards[0].customers[0].due_ms == TAGD_NEVER);
    tagd_worker_free(worker);
    world_close(&world);
}

static void records_that_come_with_the_completion_of_START_are_kept(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    for (uint32_t i = 0; i < 20; i++)
        world_event(&world, i % 2, 0, "login", i < 2 ? "first" : "others", T0 + i);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 100);
    CHECK(tagd_worker_stats(worker)->events == 20);
    tagd_worker_free(worker);
    world_close(&world);
}

static void topics_are_merged_by_time_and_one_that_holds_more_is_waited_for(void)
{
    struct world world;
    world_open(&world, "\"b.last\":{\"tags\":[{\"tag\":\"order\",\"when\":\"since(order.paid) < since(login)\"},"
                       "{\"tag\":\"login\",\"when\":\"true\"}]}");
    for (int i = 0; i < 20; i++)
        world_event(&world, 0, (uint32_t)(i % 2), i % 2 ? "login" : "order.paid", "c", T0 + 1000 * i);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.batch_events_max = 3; /* the first topic's records fill all there is room for before the second's come */
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 400);
    CHECK(tagd_worker_stats(worker)->events == 20 && tagd_worker_stats(worker)->late == 0);
    CHECK(tagd_worker_stats(worker)->changes_event == 19);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- faults ---- */

static void a_topic_that_holds_more_and_gives_nothing_keeps_nobody_busy(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 1, "login", "d", T0);
    world.stalled = 1u << 1;
    struct tagd_worker *worker = start(&world, "a", false);
    CHECK(world_run_waiting(&world, worker, 100) == 0);
    world_event(&world, 0, 0, "login", "c", T0);
    CHECK(world_run_waiting(&world, worker, 95) == 0 && world_saw(&world.published, ""));
    CHECK(world_run_waiting(&world, worker, 105) <= 1 && world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    CHECK(world_run_waiting(&world, worker, 1000) == 0);
    world_event(&world, 0, 0, "login", "e", T0 + 1); /* it has been waited for already */
    CHECK(world_run_waiting(&world, worker, 20) == 0 && world_saw(&world.published, "tag:e:1 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void what_was_committed_and_not_published_comes_from_the_outbox_once(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    world_append(&world, 0, 0, "{nonsense");
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false}; /* it never answers */
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "") && world.shards[0].n_outbox == 1);
    world_kill(&world, worker);
    worker = start(&world, "b", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    CHECK(world_saw(&world.letters, "malformed {nonsense;")); /* fetched again */
    CHECK(tagd_worker_stats(worker)->takeover_outbox == 1 && tagd_worker_stats(worker)->takeover_outbox_batches == 1);
    CHECK(world.shards[0].topics[0].committed == 2);
    world_event(&world, 0, 0, "login", "c", T0 + 10000);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:2 b.activity>silent;tag:c:3 b.activity>busy;"));
    CHECK(tagd_worker_stats(worker)->events == 1); /* the first one was not applied again */
    world_kill(&world, worker);
    world_close(&world);
}

/* What the first owner was about to publish, and what the second one published for it. */
static void publish_in_vain_and_take_over(struct world *world, bool binary)
{
    struct tagd_worker_config config = world_config(world, "a", true);
    config.content_binary = binary;
    world_event(world, 0, 0, "login", "\u5ba2 c", T0);
    world_append(world, 0, 0, "{nonsense");
    world_event(world, 0, 0, "unheard.of", "d", T0 + 10000);
    world->faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    struct tagd_worker *worker = tagd_worker_new(&config, &world->port);
    world_run(world, worker, 100);
    CHECK(world_saw(&world->published, ""));
    world_kill(world, worker);
    world->wall_ms += 1000000; /* what was recorded was recorded then */
    worker = start(world, "b", true);
    world_run(world, worker, 60);
    world_kill(world, worker);
    CHECK(world->wire.n > 0 && world->wire.n % 2 == 0);
    CHECK(memcmp(world->wire.p, world->wire.p + world->wire.n / 2, world->wire.n / 2) == 0);
}

static void a_later_owner_publishes_the_same_bytes_and_headers(void)
{
    struct world world;
    for (int binary = 0; binary <= 1; binary++) {
        world_open(&world, ACTIVITY);
        publish_in_vain_and_take_over(&world, binary == 1);
        tagd_buf_add_byte(&world.wire, '\0');
        CHECK((strstr(world.wire.p, "ce_id") != NULL) == (binary == 1));
        CHECK(strstr(world.wire.p, "tagd_error=malformed tagd_reason=value: byte 1: "));
        world_close(&world);
    }
}

static void in_binary_mode_the_attributes_are_headers_and_the_value_is_data(void)
{
    struct world world;
    char expected[600];
    world_open(&world, ACTIVITY);
    world_append(
        &world, 0, 0,
        "{\"specversion\":\"1.0\",\"id\":\"e\\\"1\",\"source\":\"web\",\"type\":\"login\",\"subject\":\"c\\\\d\","
        "\"time\":\"2023-11-14T22:13:20Z\"}");
    world_event(&world, 0, 0, "unheard.of", "d", T0 + 10000);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.content_binary = true;
    world.wall_ms = T0 + 3600000;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "tag:c\\d:1;tag:c\\d:2;"));
    tagd_buf_add_byte(&world.wire, '\0');
    const char *recorded = strstr(world.wire.p, "ce_recordedtime=");
    CHECK(recorded != NULL && strncmp(recorded, "ce_recordedtime=2023-11-14T23:13:20.", 36) == 0);
    snprintf(expected, sizeof(expected),
             "key c\\d ce_specversion=1.0 ce_id=tag:c\\d:1 ce_source=tagd/g ce_type=tagd.tag.changed ce_subject=c\\d "
             "ce_time=2023-11-14T22:13:20.000Z %.40s ce_causationid=web#e\"1 content-type=application/json value "
             "{\"dimension\":\"b.activity\",\"from\":null,\"to\":\"busy\",\"revision\":1,",
             recorded);
    CHECK(strncmp(world.wire.p, expected, strlen(expected)) == 0);
    const char *second = strchr(world.wire.p, '\n') + 1; /* the passing of time has no cause */
    CHECK(strstr(second, "ce_id=tag:c\\d:2") && !strstr(second, "ce_causationid"));
    CHECK(strstr(second, "ce_time=2023-11-14T22:13:30.000Z"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void each_topic_has_its_own_map(void)
{
    static const struct tagd_str token = {"who", 3};
    static const struct tagd_map map = {
        .attributes = {[TAGD_MAP_ID] = {.kind = TAGD_MAP_OFFSET, .text = {"second", 6}, .called = "id"},
                       [TAGD_MAP_SOURCE] = {.kind = TAGD_MAP_TEXT, .text = {"crm", 3}, .called = "source"},
                       [TAGD_MAP_TYPE] = {.kind = TAGD_MAP_TEXT, .text = {"login", 5}, .called = "type"},
                       [TAGD_MAP_SUBJECT] = {.kind = TAGD_MAP_AT, .at = {{"/who", 4}, &token, 1}, .called = "subject"},
                       [TAGD_MAP_TIME] = {.called = "time"}},
        .data = {.called = "data"}};
    static const struct tagd_map *const maps[WORLD_TOPICS] = {NULL, &map};
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    world_append(&world, 0, 1, "{\"who\":\"d\"}");
    world.shards[0].topics[1].records[0].timestamp_ms = T0 + 1;
    world_append(&world, 0, 0, "{\"who\":\"d\"}");
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.maps = maps;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;tag:d:1 b.activity>busy;"));
    CHECK(world_saw(&world.letters, "invalid {\"who\":\"d\"};"));
    tagd_buf_add_byte(&world.wire, '\0');
    CHECK(strstr(world.wire.p, "\"causationid\":\"crm#second/0/0\""));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_batch_built_on_another_owners_batch_comes_from_the_outbox_too(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    world_kill(&world, worker);
    world_event(&world, 0, 0, "login", "c", T0 + 20000);
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    worker = start(&world, "b", true);
    world_run(&world, worker, 100);
    world_kill(&world, worker);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    worker = start(&world, "c", true);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "tag:c:2 b.activity>silent;tag:c:3 b.activity>busy;"));
    CHECK(tagd_worker_stats(worker)->takeover_outbox == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void what_was_published_before_the_death_is_not_published_again(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, true};
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    world_kill(&world, worker);
    worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "") && tagd_worker_stats(worker)->takeover_level == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

/* Every answer of COMMIT and PUBLISH that is not DONE, with and without effect, ends in each change published once. */
static void no_answer_loses_or_doubles_a_change(void)
{
    static const struct {
        enum tagd_op_kind kind;
        enum tagd_op_status status;
        bool effect;
    } answers[] = {{TAGD_OP_FENCE, TAGD_ABORTED, false},     {TAGD_OP_FENCE, TAGD_ABORTED, true},
                   {TAGD_OP_COMMITTED, TAGD_ABORTED, false}, {TAGD_OP_TAIL, TAGD_ABORTED, false},
                   {TAGD_OP_START, TAGD_ABORTED, false},     {TAGD_OP_LOAD, TAGD_UNKNOWN, false},
                   {TAGD_OP_LOAD, TAGD_REFUSED, false},      {TAGD_OP_COMMIT, TAGD_REFUSED, false},
                   {TAGD_OP_COMMIT, TAGD_ABORTED, false},    {TAGD_OP_COMMIT, TAGD_UNKNOWN, false},
                   {TAGD_OP_COMMIT, TAGD_UNKNOWN, true},     {TAGD_OP_PUBLISH, TAGD_ABORTED, false},
                   {TAGD_OP_PUBLISH, TAGD_REFUSED, false},   {TAGD_OP_PUBLISH, TAGD_UNKNOWN, false},
                   {TAGD_OP_PUBLISH, TAGD_UNKNOWN, true},    {TAGD_OP_PUBLISH, TAGD_FENCED, false}};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        for (int count = 1; count <= 3; count++) {
            struct world world;
            world_open(&world, ACTIVITY);
            world.faults[answers[i].kind] = (struct world_fault){count, answers[i].status, answers[i].effect};
            struct tagd_worker_config config = world_config(&world, "a", true);
            config.batch_events_max = 1;
            struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
            for (int k = 0; k < 4; k++) {
                world_event(&world, 0, 0, "login", "c", T0 + 20000 * k);
                world_run(&world, worker, 40);
            }
            world_run(
                &world, worker,
                6000); /* the pause before a shard is taken over again after another owner was met is the longest */
            CHECK(world_saw(
                &world.published,
                "tag:c:1 b.activity>busy;tag:c:2 b.activity>silent;tag:c:3 b.activity>busy;tag:c:4 b.activity>silent;"
                "tag:c:5 b.activity>busy;tag:c:6 b.activity>silent;tag:c:7 b.activity>busy;"));
            CHECK(world.shards[0].topics[0].committed == 4);
            CHECK(strcmp(world.shards[0].customers[0].view, "b.activity=busy _revision=7 _at=1700000060000 ") == 0);
            tagd_worker_free(worker);
            world_close(&world);
        }
}

static void a_worker_whose_fence_was_taken_publishes_nothing_more(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    world.shards[0].fence += 5; /* somebody took it */
    world_event(&world, 0, 0, "login", "c", T0 + 20000);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "") && tagd_worker_stats(worker)->commits_fenced == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void shards_that_were_lost_are_dropped_with_all_in_hand(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    world_event(&world, 0, 0, "login", "c", T0 + 20000);
    world.lost = true;
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;") && tagd_worker_stats(worker)->shards_running == 0);
    world.assign = true;
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:2 b.activity>silent;tag:c:3 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void shards_that_are_revoked_are_left_cleanly(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    world.revoke = true;
    world_run(&world, worker, 20);
    CHECK(world.revoked == 1 && world.shards[0].head.owner[0] == '\0' && world.shards[0].n_outbox == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_stop_ends_with_nothing_open(void)
{
    struct world world;
    struct tagd_error error = {"?"};
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    tagd_worker_stop(worker);
    int steps = 0;
    while (tagd_worker_step(worker, 0, &error) && steps < 50)
        steps++;
    CHECK(steps < 50 && error.text[0] == '\0' && world.shards[0].head.owner[0] == '\0');
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_state_of_another_catalog_is_refused(void)
{
    struct world world;
    struct tagd_error error = {""};
    world_open(&world, ACTIVITY);
    world_event(&world, 0, 0, "login", "c", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    world_kill(&world, worker);
    snprintf(world.shards[0].head.catalog_hash, sizeof(world.shards[0].head.catalog_hash), "another");
    worker = start(&world, "a", true);
    int steps = 0;
    for (; tagd_worker_step(worker, 0, &error) && steps < 100; steps++)
        world.mono_ms += 10; /* it is refused twice */
    CHECK(steps < 100 && strstr(error.text, "catalog") != NULL && strstr(error.text, "\"group\"") != NULL);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- live time ---- */

static void silence_changes_a_tag_when_the_end_was_seen_and_grace_has_passed(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    int64_t at = world.wall_ms;
    world_event(&world, 0, 0, "login", "c", at);
    struct tagd_worker *worker = start(&world, "a", false);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    while (world.wall_ms < at + 12000 - 1)
        world_run(&world, worker, 1);
    CHECK(world_saw(&world.published, ""));
    world_run(&world, worker, 20);
    CHECK(world_saw(&world.published, "tag:c:2 b.activity>silent;") && world.due_max == 5000);
    tagd_worker_free(worker);
    world_close(&world);
}

static void after_a_stall_an_old_end_proves_nothing(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    int64_t at = world.wall_ms;
    world_event(&world, 0, 0, "login", "c", at);
    struct tagd_worker *worker = start(&world, "a", false);
    world_run(&world, worker, 3000);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    world.ends_confirmed = false; /* the process stood still; meanwhile the customer has come */
    world.wall_ms += 20000;
    world.mono_ms += 20000;
    world_run(&world, worker, 50);
    CHECK(world_saw(&world.published, ""));
    world_event(&world, 0, 0, "login", "c", at + 9000);
    world.ends_confirmed = true;
    world_run(&world, worker, 50);
    CHECK(world_saw(&world.published, ""));
    world_run(&world, worker, 3000);
    CHECK(world_saw(&world.published, "tag:c:2 b.activity>silent;"));
    CHECK(strstr(world.shards[0].customers[0].view, "_at=1700000019000") != NULL);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_wall_clock_that_was_set_makes_nobody_silent(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    int64_t at = world.wall_ms;
    world_event(&world, 0, 0, "login", "c", at);
    struct tagd_worker *worker = start(&world, "a", false);
    world_run(&world, worker, 3000);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    world.wall_ms += 3600000;
    world_run(&world, worker, 3000);
    CHECK(world_saw(&world.published, "") && tagd_worker_stats(worker)->clock_parted == 1);
    CHECK(world.notes.n > 0);
    world.wall_ms -= 3600000;
    world_run(&world, worker, 7000);
    CHECK(world_saw(&world.published, "tag:c:2 b.activity>silent;") && tagd_worker_stats(worker)->clock_parted == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_new_shard_taken_over_again_begins_where_it_began(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world.latest = true;
    world_event(&world, 0, 0, "login", "before", T0);
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    world.faults[TAGD_OP_COMMIT] = (struct world_fault){1, TAGD_UNKNOWN, false};
    world_event(&world, 0, 0, "login", "c", T0 + 1);
    world_run(&world, worker, 600);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    world_event(&world, 0, 1, "login", "d", T0 + 2); /* its topic's beginning was settled with the first batch */
    world_kill(&world, worker);
    worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_shard_without_a_batch_whose_first_records_are_deleted_is_a_gap(void)
{
    struct world world;
    struct tagd_error error = {""};
    world_open(&world, ACTIVITY);
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 40); /* it begins at offset 0 */
    world.faults[TAGD_OP_LOAD] = (struct world_fault){1, TAGD_UNKNOWN, false};
    for (int i = 0; i < 3; i++)
        world_event(&world, 0, 0, "login", "c", 1000 + i);
    world_run(&world, worker, 5);
    world.shards[0].topics[0].low = 3;
    bool going = true;
    for (int i = 0; i < 600 && going; i++) {
        world.mono_ms++;
        going = tagd_worker_step(worker, 0, &error);
    }
    CHECK(!going && strstr(error.text, "3 records were deleted before they were read") != NULL);
    tagd_worker_free(worker);
    world_close(&world);
}

/* Another topic's record must not carry time past what lies unread behind an end that was confirmed long ago. */
static void after_a_stall_an_old_end_of_one_topic_holds_the_time_of_another(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker_config config = world_config(&world, "a", false);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_event(&world, 0, 0, "login", "c", world.wall_ms);
    world_run(&world, worker, 3000);
    int64_t stood_ms = world.wall_ms;
    world.ends_confirmed = false;
    world.mono_ms += 60000; /* the process stood still */
    world.wall_ms += 60000;
    world.stalled = 1u << 1; /* what the second topic got meanwhile isn't here yet */
    world_event(&world, 0, 1, "login", "d", world.wall_ms - 30000);
    world_event(&world, 0, 0, "login", "c", world.wall_ms);
    world_run(&world, worker, 20);
    struct tagd_shard_stats stats[WORLD_SHARDS];
    CHECK(tagd_worker_shards(worker, stats, WORLD_SHARDS) == WORLD_SHARDS);
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        CHECK(stats[i].watermark_ms <= stood_ms);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_refusal_that_another_owner_brought_about_is_not_believed(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world.shards[0].tail = (struct tagd_position){true, 9, 9}; /* published since the store was read */
    world_run(&world, worker, 12);
    world.shards[0].fence++;
    world_run(&world, worker, 250);
    world.shards[0].fence++;
    world.shards[0].tail = (struct tagd_position){0};
    world_run(&world, worker, 600);
    CHECK(tagd_worker_stats(worker)->shards_running == WORLD_SHARDS);
    tagd_worker_free(worker);
    world_close(&world);
}

static void run_two_batches_of_a_customer(size_t cache_bytes, uint64_t hits, uint64_t customers)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.cache_bytes_max = cache_bytes;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_event(&world, 0, 0, "login", "c", T0);
    world_run(&world, worker, 60);
    world_event(&world, 0, 0, "login", "c", T0 + 5000);
    world_event(&world, 0, 0, "login", "d", T0 + 5000);
    world_run(&world, worker, 60);
    const struct tagd_worker_stats *stats = tagd_worker_stats(worker);
    CHECK(stats->cache_hits == hits && stats->cache_misses == 3 - hits && stats->cache_customers == customers);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_profile_that_was_written_is_not_read_again_if_there_is_room_for_it(void)
{
    run_two_batches_of_a_customer(1 << 20, 1, 2);
    run_two_batches_of_a_customer(0, 0, 0);
}

static void a_profile_of_another_time_of_a_shard_is_read_again(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker *worker = start(&world, "a", true);
    const struct tagd_worker_stats *stats = tagd_worker_stats(worker);
    world_event(&world, 0, 0, "login", "c", T0);
    world_run(&world, worker, 60);
    world.revoke = true;
    world_run(&world, worker, 20);
    world.assign = true;
    world_run(&world, worker, 60);
    world_event(&world, 0, 0, "login", "c", T0 + 1000);
    world_run(&world, worker, 20);
    CHECK(stats->cache_hits == 0 && stats->cache_misses == 2);
    world_event(&world, 0, 0, "login", "c", T0 + 2000);
    world_run(&world, worker, 20);
    CHECK(stats->cache_hits == 1 && stats->cache_misses == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

/* As many as a poll gives at most, each time: all the first record again. */
static void poll_a_backlog(void *self, int timeout_ms, size_t max_records,
                           void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct world *world = self;
    struct world_partition *partition = &world->shards[0].topics[0];
    world_poll(self, timeout_ms, max_records, input, to);
    for (int i = 0; i < 2000 && world->shards[0].running; i++) {
        struct tagd_input in = {TAGD_IN_RECORD, .record = partition->records[0], .token = world};
        in.record.offset = partition->next++;
        in.end_offset = partition->end = partition->next;
        world->held++;
        input(to, &in);
    }
}

/* Whether anything is published while the backlog lasts; it is in the end. */
static bool is_begun(size_t events_max, size_t bytes_max)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.batch_events_max = events_max;
    config.batch_bytes_max = bytes_max;
    world_event(&world, 0, 0, "login", "c", T0);
    world.port.poll = poll_a_backlog;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 20);
    bool begun = world.published.n > 0;
    world.port.poll = world_poll;
    world_run(&world, worker, 20);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
    return begun;
}

static void a_batch_waits_for_a_backlog_until_it_is_full(void)
{
    CHECK(!is_begun(1000000, 1 << 30));
    CHECK(is_begun(5000, 1 << 30) && is_begun(1000000, 100000));
}

static void headers_are_read_of_dead_letters_alone_if_they_say_nothing_else(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    const struct tagd_header own = {TAGD_STR("own"), TAGD_STR("h")};
    world.headers_unread = true;
    world_event(&world, 0, 0, "login", "c", T0);
    world_append(&world, 0, 0, "nonsense");
    world.shards[0].topics[0].records[1].headers = &own;
    world.shards[0].topics[0].records[1].n_headers = 1;
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;") &&
          world_saw(&world.letters, "h/malformed nonsense;"));
    CHECK(world.headers_read == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void an_attribute_that_is_not_declared_is_counted(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world_append(
        &world, 0, 0,
        "{\"specversion\":\"1.0\",\"id\":\"u\",\"source\":\"crm\",\"type\":\"profile.updated\",\"subject\":\"c\","
        "\"time\":\"2023-11-14T22:13:20Z\",\"data\":{\"attributes\":{\"region\":\"north\",\"shoes\":43}}}");
    struct tagd_worker *worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(tagd_worker_stats(worker)->events == 1 && tagd_worker_stats(worker)->undeclared_attributes == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void add_logins(struct world *world, int n, int64_t at_ms)
{
    for (int i = 0; i < n; i++) {
        char customer[16];
        snprintf(customer, sizeof(customer), "c%d", i);
        world_event(world, 0, 0, "login", customer, at_ms);
    }
}

struct shown {
    size_t calls, shares, changes, letters;
    bool in_order; /* dead letters come before changes */
};

static void show(void *to, const struct tagd_shard_outputs *shards, size_t n)
{
    struct shown *shown = to;
    shown->calls++;
    shown->shares += n;
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < shards[s].n_outputs; i++) {
            bool letter = shards[s].outputs[i].kind == TAGD_OUT_DEAD_LETTER;
            shown->letters += letter;
            shown->changes += !letter;
            if (letter && i > 0 && shards[s].outputs[i - 1].kind != TAGD_OUT_DEAD_LETTER)
                shown->in_order = false;
        }
}

static void what_is_published_is_shown_once_a_batch_to_who_looks_on(void)
{
    for (int at_least_once = 0; at_least_once < 2; at_least_once++) {
        struct world world;
        struct shown shown = {.in_order = true};
        world_open(&world, ACTIVITY);
        struct tagd_worker_config config = world_config(&world, "a", true);
        config.at_least_once = at_least_once;
        config.published = show;
        config.published_to = &shown;
        struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
        add_logins(&world, 5, T0);
        world_event(&world, 0, 0, "login", "", T0); /* no subject */
        add_logins(&world, 5, T0 + 1);
        world_event(&world, 1, 0, "login", "other", T0);
        world_run(&world, worker, 60);
        CHECK(shown.calls == 1 && shown.shares == tagd_worker_stats(worker)->batches && shown.shares == 2);
        CHECK(shown.in_order);
        CHECK(shown.changes == tagd_worker_stats(worker)->changes_event && shown.changes == 6 && shown.letters == 1);
        tagd_worker_free(worker);
        world_close(&world);
    }
}

static void large_outputs_make_batches_smaller_and_small_ones_larger_again(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.batch_told_bytes = 10000;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    const struct tagd_worker_stats *stats = tagd_worker_stats(worker);
    add_logins(&world, 250, T0);
    world_run(&world, worker, 60);
    CHECK(stats->batches == 1 && stats->changes_event == 250); /* some 500 bytes each: 10 times what is aimed at */
    add_logins(&world, 250, T0);
    world_run(&world, worker, 60);
    CHECK(stats->batches == 1 + 2 &&
          stats->changes_event == 250); /* the least of a batch, and as nothing is told twice that */
    tagd_worker_free(worker);
    world_close(&world);
}

int main(void)
{
    RUN(what_is_published_is_shown_once_a_batch_to_who_looks_on);
    RUN(a_refusal_that_another_owner_brought_about_is_not_believed);
    RUN(a_shard_without_a_batch_whose_first_records_are_deleted_is_a_gap);
    RUN(after_a_stall_an_old_end_of_one_topic_holds_the_time_of_another);
    RUN(an_event_becomes_a_change_a_view_a_timer_and_an_offset);
    RUN(each_kind_of_event_out_is_counted_by_itself_and_views_have_tags_alone);
    RUN(a_timer_fires_though_batches_since_had_none_due);
    RUN(a_timer_that_fires_arms_the_next_one);
    RUN(records_that_come_with_the_completion_of_START_are_kept);
    RUN(topics_are_merged_by_time_and_one_that_holds_more_is_waited_for);
    RUN(a_topic_that_holds_more_and_gives_nothing_keeps_nobody_busy);
    RUN(what_was_committed_and_not_published_comes_from_the_outbox_once);
    RUN(a_later_owner_publishes_the_same_bytes_and_headers);
    RUN(in_binary_mode_the_attributes_are_headers_and_the_value_is_data);
    RUN(each_topic_has_its_own_map);
    RUN(a_batch_built_on_another_owners_batch_comes_from_the_outbox_too);
    RUN(what_was_published_before_the_death_is_not_published_again);
    RUN(no_answer_loses_or_doubles_a_change);
    RUN(a_worker_whose_fence_was_taken_publishes_nothing_more);
    RUN(shards_that_were_lost_are_dropped_with_all_in_hand);
    RUN(shards_that_are_revoked_are_left_cleanly);
    RUN(a_stop_ends_with_nothing_open);
    RUN(a_state_of_another_catalog_is_refused);
    RUN(silence_changes_a_tag_when_the_end_was_seen_and_grace_has_passed);
    RUN(after_a_stall_an_old_end_proves_nothing);
    RUN(a_wall_clock_that_was_set_makes_nobody_silent);
    RUN(a_new_shard_taken_over_again_begins_where_it_began);
    RUN(a_batch_waits_for_a_backlog_until_it_is_full);
    RUN(headers_are_read_of_dead_letters_alone_if_they_say_nothing_else);
    RUN(an_attribute_that_is_not_declared_is_counted);
    RUN(large_outputs_make_batches_smaller_and_small_ones_larger_again);
    RUN(a_profile_that_was_written_is_not_read_again_if_there_is_room_for_it);
    RUN(a_profile_of_another_time_of_a_shard_is_read_again);
    return DONE();
}
