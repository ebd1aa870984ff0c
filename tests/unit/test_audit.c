/* The running audit: nothing in normal runs, and every planted mismatch. */
#include "world.h"

#define T0 INT64_C(1700000000000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"
#define ROUND 11000 /* two audits, one of each shard */

/* A shard that runs, with a batch, and was audited and found right. */
static struct tagd_worker *start(struct world *world, bool at_least_once)
{
    world_open(world, ACTIVITY);
    struct tagd_worker_config config = world_config(world, "a", true);
    config.at_least_once = at_least_once;
    struct tagd_worker *worker = tagd_worker_new(&config, &world->port);
    world_event(world, 0, 0, "login", "c", T0);
    world_run(world, worker, ROUND);
    CHECK(tagd_worker_stats(worker)->audits >= 1 && tagd_worker_stats(worker)->audit_mismatches == 0);
    CHECK(tagd_worker_stats(worker)->takeovers == 2 && !world->shards[1].head.exists);
    return worker;
}

/* Until the shard runs again, or the worker had to stop; whether a mismatch was counted. */
static bool sees(struct world *world, struct tagd_worker *worker, int steps)
{
    struct tagd_error error;
    bool goes_on = true;
    for (int i = 0; i < steps && goes_on; i++) {
        world->mono_ms++;
        world->wall_ms++;
        goes_on = tagd_worker_step(worker, 0, &error);
    }
    return tagd_worker_stats(worker)->audit_mismatches == 1;
}

static void normal_runs_have_no_mismatch(void)
{
    for (int at_least_once = 0; at_least_once <= 1; at_least_once++) {
        struct world world;
        struct tagd_worker *worker = start(&world, at_least_once == 1);
        for (int i = 1; i <= 30; i++) {
            world_event(&world, (uint32_t)i % 2, (uint32_t)i / 2 % 2, i % 7 ? "login" : "unheard.of", "d",
                        T0 + 3000 * i);
            world_run(&world, worker, 2500);
        }
        CHECK(tagd_worker_stats(worker)->audits >= 12 && tagd_worker_stats(worker)->audit_mismatches == 0);
        CHECK(tagd_worker_stats(worker)->takeovers == 2 && tagd_worker_stats(worker)->batches >= 30);
        world_run(&world, worker, ROUND);
        CHECK(world.shards[0].n_outbox == 0 &&
              world.shards[1].n_outbox == 0); /* an audit takes published entries along */
        tagd_worker_free(worker);
        world_close(&world);
    }
}

static void under_steady_load_too_a_shard_is_audited(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    uint64_t before = tagd_worker_stats(worker)->audits;
    for (int i = 0; i < 63; i++) { /* a record at every poll: no idle moment */
        world_event(&world, 0, 0, "unheard.of", "d", T0);
        world_run(&world, worker, 1);
        world.mono_ms += 300;
        world.wall_ms += 300;
    }
    uint64_t n = tagd_worker_stats(worker)->audits - before; /* in 19 s */
    CHECK(n >= 1 && n <= 2 && tagd_worker_stats(worker)->audit_mismatches == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void no_more_than_one_every_five_seconds(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    uint64_t before = tagd_worker_stats(worker)->audits;
    world_run(&world, worker, 20000);
    uint64_t n = tagd_worker_stats(worker)->audits - before;
    CHECK(n >= 2 && n <= 5);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- planted mismatches ---- */

static void commit_behind_its_back(struct world *world, uint64_t fence, uint64_t batch, int64_t offset)
{
    char text[TAGD_METADATA_MAX];
    size_t n = tagd_metadata_write(text, fence, batch, world->shards[0].head.watermark_ms);
    for (uint32_t topic = 0; topic < WORLD_TOPICS; topic++) {
        world->shards[0].topics[topic].metadata = world_keep(world, (struct tagd_str){text, n});
        if (topic == 0)
            world->shards[0].topics[topic].committed = offset;
    }
}

static void kafkas_committed_batch_that_goes_back_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world_event(&world, 0, 0, "login", "c", T0 + 1);
    world_run(&world, worker, 20);
    CHECK(world.shards[0].head.batch == 2);
    commit_behind_its_back(&world, world.shards[0].head.fence, 1, 1);
    CHECK(sees(&world, worker, ROUND));
    CHECK(tagd_worker_stats(worker)->takeovers == 3 && tagd_worker_stats(worker)->takeover_outbox == 1);
    CHECK(world.shards[0].topics[0].committed == 2); /* and mended */
    tagd_buf_add_byte(&world.notes, '\0');
    CHECK(strstr(world.notes.p,
                 "topic \"first\": Kafka's committed offset is 1 with position \"1,1,1700000000001\", Redis "
                 "has 2 with \"1,2,1700000000001\""));
    tagd_worker_free(worker);
    world_close(&world);
}

static void kafkas_committed_batch_that_goes_forward_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    commit_behind_its_back(&world, world.shards[0].head.fence, 2, 2);
    CHECK(sees(&world, worker, ROUND) && world.shards[0].head.batch == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void an_offset_that_somebody_moved_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world.shards[0].topics[0].committed = 0;
    CHECK(sees(&world, worker, ROUND));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_position_that_is_not_the_offsets_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    commit_behind_its_back(&world, world.shards[0].head.fence + 1, 1, 1);
    CHECK(sees(&world, worker, ROUND));
    tagd_worker_free(worker);
    world_close(&world);
}

static void offsets_that_somebody_deleted_are_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    for (uint32_t topic = 0; topic < WORLD_TOPICS; topic++) {
        world.shards[0].topics[topic].committed = -1;
        world.shards[0].topics[topic].metadata = (struct tagd_str){"", 0};
    }
    CHECK(sees(&world, worker, ROUND));
    CHECK(tagd_worker_stats(worker)->takeovers == 3); /* the output partition knows the batch */
    world_run(&world, worker, 3 * ROUND);             /* and what nobody has put there since isn't missed */
    CHECK(tagd_worker_stats(worker)->audit_mismatches == 1 && tagd_worker_stats(worker)->takeovers == 3);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_publication_that_was_done_and_is_not_there_is_seen_and_made(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_DONE, false};
    world_event(&world, 0, 0, "login", "d", T0 + 1);
    world_run(&world, worker, 20);
    CHECK(world_saw(&world.published, ""));
    CHECK(sees(&world, worker, ROUND));
    CHECK(world_saw(&world.published, "tag:d:1 b.activity>busy;"));
    CHECK(tagd_worker_stats(worker)->takeover_outbox == 1 && world.shards[0].topics[0].committed == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_head_that_somebody_changed_is_seen(void)
{
    for (int at_least_once = 0; at_least_once <= 1; at_least_once++) {
        struct world world;
        struct tagd_worker *worker = start(&world, at_least_once == 1);
        world.shards[0].head.batch--;
        CHECK(sees(&world, worker, ROUND + 3000));
        tagd_buf_add_byte(&world.notes, '\0');
        CHECK(
            strstr(world.notes.p, "Redis is at batch 0 (fence 1), and this process had left it at batch 1 (fence 1)"));
        tagd_worker_free(worker);
        world_close(&world);
    }
}

static void an_older_store_is_seen_though_it_names_another_owner(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world.shards[0].fence = 0;
    world.shards[0].head.batch--;
    snprintf(world.shards[0].head.owner, sizeof(world.shards[0].head.owner), "b");
    CHECK(sees(&world, worker, ROUND + 3000));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_store_that_was_emptied_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    struct world_shard *shard = &world.shards[0];
    shard->fence = 0;
    shard->head = (struct tagd_head){.watermark_ms = INT64_MIN, .latest_ms = INT64_MIN};
    shard->n_customers = shard->n_outbox = 0;
    CHECK(sees(&world, worker, ROUND + 3000));
    tagd_worker_free(worker);
    world_close(&world);
}

/* A failover showed an older store, where the shard had no batch yet, and was undone. */
static void a_batch_of_which_this_process_does_not_know_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    struct world_shard *shard = &world.shards[1];
    uint64_t fence = shard->fence;
    shard->head = world.shards[0].head; /* an earlier life's, never published */
    shard->head.next_offset[0] = 0;
    shard->fence = shard->head.fence = 77;
    struct tagd_buf entry = {0};
    tagd_outbox_begin(&entry, T0, WORLD_TOPICS, shard->head.next_offset, 1);
    struct tagd_str value = TAGD_STR("{\"id\":\"tag:e:1\",\"dimension\":\"b.activity\",\"to\":\"busy\"}");
    tagd_outbox_add_event(&entry, TAGD_OUT_CHANGE, TAGD_STR("e"), 0, value.n);
    tagd_outbox_add_text(&entry, value);
    shard->outbox[shard->n_outbox++] =
        (struct tagd_outbox_entry){77, 1, 0, world_keep(&world, (struct tagd_str){entry.p, entry.n})};
    CHECK(!sees(&world, worker, ROUND + 3000)); /* by its fence, it is another owner's */
    CHECK(tagd_worker_stats(worker)->takeovers == 3 && tagd_worker_stats(worker)->takeover_outbox == 1);
    CHECK(shard->tail.batch == 1 && shard->tail.fence == 77 && shard->fence > 77 && fence < 77);
    tagd_buf_free(&entry);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_head_out_of_nowhere_is_seen(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world.shards[1].head = world.shards[0].head;
    CHECK(sees(&world, worker, ROUND + 3000));
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- what is none ---- */

static void another_owner_is_no_mismatch(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world.shards[0].fence++;
    snprintf(world.shards[0].head.owner, sizeof(world.shards[0].head.owner), "b");
    CHECK(!sees(&world, worker, ROUND + 3000) && tagd_worker_stats(worker)->commits_fenced == 1);
    CHECK(tagd_worker_stats(worker)->takeovers == 3);
    tagd_worker_free(worker);
    world_close(&world);
}

/* It was ended, or is about to, before head named it. */
static void nor_is_one_that_has_a_fence_only(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world.shards[0].fence++;
    CHECK(!sees(&world, worker, ROUND + 3000) && tagd_worker_stats(worker)->commits_fenced == 1);
    CHECK(tagd_worker_stats(worker)->takeovers == 3);
    tagd_worker_free(worker);
    world_close(&world);
}

static void nor_is_one_of_a_shard_without_a_batch(void)
{
    struct world world;
    struct tagd_worker *worker = start(&world, false);
    world.shards[1].fence++;
    CHECK(!sees(&world, worker, ROUND + 3000) && tagd_worker_stats(worker)->commits_fenced == 1);
    CHECK(tagd_worker_stats(worker)->takeovers == 3 && !world.shards[1].head.exists);
    tagd_worker_free(worker);
    world_close(&world);
}

static void servers_that_do_not_answer_are_no_mismatch(void)
{
    static const struct {
        enum tagd_op_kind kind;
        enum tagd_op_status status;
    } answers[] = {{TAGD_OP_COMMITTED, TAGD_ABORTED},
                   {TAGD_OP_COMMIT, TAGD_REFUSED},
                   {TAGD_OP_COMMIT, TAGD_ABORTED},
                   {TAGD_OP_COMMIT, TAGD_UNKNOWN}};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct world world;
        struct tagd_worker *worker = start(&world, false);
        world.faults[answers[i].kind] = (struct world_fault){1, answers[i].status, false};
        world_run(&world, worker, 2 * ROUND);
        CHECK(world.faults[answers[i].kind].count == 0 && tagd_worker_stats(worker)->audit_mismatches == 0);
        CHECK(tagd_worker_stats(worker)->takeovers == (answers[i].status == TAGD_UNKNOWN ? 3 : 2));
        CHECK(tagd_worker_stats(worker)->shards_running == 2);
        tagd_worker_free(worker);
        world_close(&world);
    }
}

/* At each step around an audit. */
static void leaving_in_the_middle_is_clean(void)
{
    for (int before = 0; before < 12; before++)
        for (int how = 0; how < 3; how++) {
            struct world world;
            struct tagd_error error = {""};
            struct tagd_worker *worker = start(&world, false);
            uint64_t audits = tagd_worker_stats(worker)->audits;
            while (tagd_worker_stats(worker)->audits == audits)
                world_run(&world, worker, 1);
            world_run(&world, worker, 5000 - 6 + before); /* the next one is just so far */
            world.revoke = how == 0;
            world.lost = how == 1;
            if (how == 2)
                tagd_worker_stop(worker);
            bool goes_on = true;
            for (int i = 0; i < 20 && goes_on; i++) {
                world.mono_ms++;
                goes_on = tagd_worker_step(worker, 0, &error);
            }
            CHECK(goes_on == (how != 2) && error.text[0] == '\0');
            CHECK((world.shards[0].head.owner[0] == '\0') == (how != 1));
            CHECK(tagd_worker_stats(worker)->audit_mismatches == 0 && world.revoked == (how == 0));
            tagd_worker_free(worker);
            world_close(&world);
        }
}

int main(void)
{
    RUN(normal_runs_have_no_mismatch);
    RUN(under_steady_load_too_a_shard_is_audited);
    RUN(no_more_than_one_every_five_seconds);
    RUN(kafkas_committed_batch_that_goes_back_is_seen);
    RUN(kafkas_committed_batch_that_goes_forward_is_seen);
    RUN(an_offset_that_somebody_moved_is_seen);
    RUN(a_position_that_is_not_the_offsets_is_seen);
    RUN(offsets_that_somebody_deleted_are_seen);
    RUN(a_publication_that_was_done_and_is_not_there_is_seen_and_made);
    RUN(a_head_that_somebody_changed_is_seen);
    RUN(an_older_store_is_seen_though_it_names_another_owner);
    RUN(a_store_that_was_emptied_is_seen);
    RUN(a_batch_of_which_this_process_does_not_know_is_seen);
    RUN(a_head_out_of_nowhere_is_seen);
    RUN(another_owner_is_no_mismatch);
    RUN(nor_is_one_that_has_a_fence_only);
    RUN(nor_is_one_of_a_shard_without_a_batch);
    RUN(servers_that_do_not_answer_are_no_mismatch);
    RUN(leaving_in_the_middle_is_clean);
    return DONE();
}
