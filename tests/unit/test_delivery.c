/* Delivery at_least_once, and changing it, over a world in memory. */
#include "worker/sending.h"
#include "world.h"

#define T0 INT64_C(1700000000000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"
#define C1 "tag:c:1 b.activity>busy;"
#define C2 "tag:c:2 b.activity>silent;"
#define C3 "tag:c:3 b.activity>busy;"
#define C4 "tag:c:4 b.activity>silent;"
#define C5 "tag:c:5 b.activity>busy;"
#define C6 "tag:c:6 b.activity>silent;"
#define C7 "tag:c:7 b.activity>busy;"
#define C8 "tag:c:8 b.activity>silent;"
#define C9 "tag:c:9 b.activity>busy;"

static struct tagd_worker *start(struct world *world, const char *owner, bool at_least_once)
{
    struct tagd_worker_config config = world_config(world, owner, true);
    config.at_least_once = at_least_once;
    config.batch_events_max = 1;
    return tagd_worker_new(&config, &world->port);
}

static struct tagd_worker *open_with(struct world *world, const char *owner)
{
    world_open(world, ACTIVITY);
    return start(world, owner, true);
}

static void login(struct world *world, int n)
{
    world_event(world, 0, 0, "login", "c", T0 + 20000 * n);
}

/* The item's id is among those before it. */
static bool is_repeat(const char *all, const char *item)
{
    size_t n = strcspn(item, " ") + 1;
    for (const char *p = all; p < item; p += strcspn(p, ";") + 1)
        if (strncmp(p, item, n) == 0)
            return true;
    return false;
}

/* Whether exactly these were published once repeats are dropped by id; *repeats counts what was dropped. */
static bool saw_once(struct world *world, const char *expected, int *repeats)
{
    struct tagd_buf first = {0};
    *repeats = 0;
    tagd_buf_add_byte(&world->published, '\0');
    for (const char *p = world->published.p; *p != '\0'; p += strcspn(p, ";") + 1) {
        if (is_repeat(world->published.p, p))
            (*repeats)++;
        else
            tagd_buf_add(&first, p, strcspn(p, ";") + 1);
    }
    bool same = tagd_str_eq((struct tagd_str){first.p == NULL ? "" : first.p, first.n}, tagd_str_of(expected));
    if (!same)
        fprintf(stderr, "saw      %s\nfirst    %.*s\nexpected %s\n", world->published.p, (int)first.n, first.p,
                expected);
    tagd_buf_free(&first);
    world->published.n = 0;
    return same;
}

/* Whether the first copies of the dead letters are these, which differ, and there are repeats only where they may be. */
static bool letters_are(struct world *world, const char *expected, bool may_repeat)
{
    struct tagd_buf first = {0};
    tagd_buf_add_byte(&first, '\0');
    tagd_buf_add_byte(&world->letters, '\0');
    for (const char *p = world->letters.p; *p != '\0'; p += strcspn(p, ";") + 1) {
        char letter[64];
        snprintf(letter, sizeof(letter), "%.*s", (int)strcspn(p, ";") + 1, p);
        if (strstr(first.p, letter) != NULL)
            continue;
        first.n--;
        tagd_buf_printf(&first, "%s%c", letter, '\0');
    }
    bool same = strcmp(first.p, expected) == 0 && (may_repeat || strlen(world->letters.p) == strlen(expected));
    if (!same)
        fprintf(stderr, "letters %s\nexpected %s\n", world->letters.p, expected);
    tagd_buf_free(&first);
    world->letters.n = 0;
    return same;
}

static bool metadata_is(const struct world *world, const char *expected)
{
    return tagd_str_eq(world->shards[0].topics[0].metadata, tagd_str_of(expected));
}

/* ---- the path ---- */

static void the_next_batch_is_committed_while_the_outputs_of_the_last_are_not_acknowledged(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    world.sends_held = true;
    login(&world, 0);
    login(&world, 1);
    world_run(&world, worker, 100);
    CHECK(world.shards[0].head.batch == 2 && world.shards[0].head.at_least_once && world.shards[0].n_outbox == 2);
    CHECK(world_saw(&world.published, "") && world.shards[0].topics[0].committed == -1);
    CHECK(tagd_worker_stats(worker)->outputs_unacknowledged == 3);
    world.sends_held = false;
    world_run(&world, worker, 5);
    CHECK(world_saw(&world.published, C1 C2 C3) && tagd_worker_stats(worker)->outputs_unacknowledged == 0);
    world_run(&world, worker, 110); /* no batch comes to take the entries along */
    CHECK(world.shards[0].n_outbox == 0 && world.shards[0].head.batch == 2);
    CHECK(world.shards[0].topics[0].committed == 2 && metadata_is(&world, "1,2,1700000020000"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_batch_takes_the_acknowledged_entries_along(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    CHECK(world.shards[0].n_outbox == 1);
    login(&world, 1);
    world_run(&world, worker, 20);
    CHECK(world.shards[0].n_outbox == 1 && world.shards[0].outbox[0].batch == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void offsets_are_committed_at_most_every_second(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    CHECK(world.shards[0].topics[0].committed == 1);
    login(&world, 1);
    world_run(&world, worker, 900);
    CHECK(world.shards[0].topics[0].committed == 1 && world.shards[0].n_outbox == 0);
    world.faults[TAGD_OP_OFFSETS] = (struct world_fault){1, TAGD_ABORTED, false};
    world_run(&world, worker, 200);
    CHECK(world.shards[0].topics[0].committed == 1 && tagd_worker_stats(worker)->offsets_failed == 1);
    world_run(&world, worker, 1000);
    CHECK(world.shards[0].topics[0].committed == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void offsets_that_went_back_are_committed_again(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    CHECK(world.shards[0].topics[0].committed == 1 && metadata_is(&world, "1,1,1700000000000"));
    world.shards[0].topics[0].committed = 0; /* a former owner's commit was slow */
    world_run(&world, worker, 4000);
    CHECK(world.shards[0].topics[0].committed == 0);
    world_run(&world, worker, 12000); /* both shards have been audited */
    CHECK(world.shards[0].topics[0].committed == 1 && metadata_is(&world, "1,1,1700000000000"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void no_batch_begins_past_the_limit_of_unacknowledged_ones(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    world.sends_held = true;
    for (uint32_t i = 0; i < TAGD_UNACKNOWLEDGED_BATCHES_MAX / 2 + 10; i++) {
        world_event(&world, 0, 0, "unheard.of", "c", T0);
        world_event(&world, 1, 1, "unheard.of", "c", T0);
    }
    world_run(&world, worker, 1000);
    CHECK(world.shards[0].head.batch + world.shards[1].head.batch == TAGD_UNACKNOWLEDGED_BATCHES_MAX);
    world.sends_held = false;
    world_run(&world, worker, 200);
    CHECK(world.shards[0].head.batch + world.shards[1].head.batch == TAGD_UNACKNOWLEDGED_BATCHES_MAX + 20);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_worker_that_waits_for_acknowledgements_sleeps(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world.stalled = 1u << 1;
    world.sends_held = true;
    for (uint32_t i = 0; i < TAGD_UNACKNOWLEDGED_BATCHES_MAX / 2 + 10; i++)
        for (uint32_t shard = 0; shard < 2; shard++)
            world_event(&world, shard, i == 0, "unheard.of", "c", T0);
    struct tagd_worker_config config = world_config(&world, "a", false);
    config.at_least_once = true;
    config.batch_events_max = 1;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 1000);
    CHECK(world.shards[0].head.batch + world.shards[1].head.batch == TAGD_UNACKNOWLEDGED_BATCHES_MAX && world.held > 0);
    CHECK(world_run_waiting(&world, worker, 1000) == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void the_bytes_that_are_unacknowledged_have_a_limit_too(void)
{
    struct tagd_sendings sendings;
    tagd_sendings_init(&sendings, 1);
    struct tagd_output output = {.key = {"", 0}, .value = {"", TAGD_UNACKNOWLEDGED_BYTES_MAX - 1}};
    struct tagd_shard_outputs outputs = {.outputs = &output, .n_outputs = 1, .metadata = {"", 0}};
    struct tagd_sending *sending = tagd_sendings_push(&sendings, 2);
    tagd_sendings_add(&sendings, sending, &outputs, 1);
    CHECK(!tagd_sendings_full(&sendings) && tagd_sendings_hold(&sendings, 0));
    output.value.n = 1;
    tagd_sendings_add(&sendings, sending, &outputs, 1);
    CHECK(tagd_sendings_full(&sendings) && tagd_sendings_completed(&sendings) == NULL);
    sending->op.status = TAGD_DONE;
    CHECK(tagd_sendings_completed(&sendings) == sending);
    tagd_sendings_pop(&sendings);
    CHECK(!tagd_sendings_full(&sendings) && !tagd_sendings_hold(&sendings, 0) && sendings.n == 0 &&
          sendings.n_outputs == 0 && sendings.bytes == 0);
    tagd_sendings_free(&sendings);
}

/* ---- deaths ---- */

static void a_death_between_commit_and_sending_loses_and_repeats_nothing(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    world.sends_held = true; /* still in the process when it dies */
    login(&world, 0);
    world_append(&world, 0, 0, "{nonsense");
    world_run(&world, worker, 60);
    CHECK(world.shards[0].head.batch == 2);
    world_kill(&world, worker);
    world.sends_held = false;
    worker = start(&world, "b", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1) && world_saw(&world.letters, "malformed {nonsense;"));
    CHECK(tagd_worker_stats(worker)->outputs_redelivered == 2 && tagd_worker_stats(worker)->takeover_outbox == 1);
    CHECK(tagd_worker_stats(worker)->events == 0);
    world_run(&world, worker, 110);
    CHECK(world.shards[0].n_outbox == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_death_before_the_acknowledgement_repeats_the_same_bytes(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    world.faults[TAGD_OP_SEND] = (struct world_fault){1, TAGD_PENDING, true};
    login(&world, 0);
    world_run(&world, worker, 300);
    CHECK(world_saw(&world.published, C1) && world.shards[0].n_outbox == 1);
    world_kill(&world, worker);
    world.wall_ms += 5000; /* another time of recording would show */
    worker = start(&world, "a", true);
    login(&world, 1);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1 C2 C3));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_death_between_acknowledgement_and_drop_repeats(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1) && tagd_worker_stats(worker)->outputs_unacknowledged == 0);
    CHECK(world.shards[0].n_outbox == 1);
    world_kill(&world, worker);
    worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1));
    world_run(&world, worker, 110);
    world_kill(&world, worker);
    worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "") && tagd_worker_stats(worker)->takeover_level == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- failures ---- */

static void what_fails_is_sent_again_before_anything_behind_it(void)
{
    for (int effect = 0; effect < 2; effect++)
        for (int count = 1; count <= 4; count++) {
            struct world world;
            int repeats;
            struct tagd_worker *worker = open_with(&world, "a");
            world.sends_held = true;
            for (int i = 0; i < 3; i++)
                login(&world, i);
            world_run(&world, worker, 100);
            world.faults[TAGD_OP_SEND] = (struct world_fault){count, TAGD_ABORTED, effect};
            world.sends_held = false;
            login(&world, 3);
            world_run(&world, worker, 600);
            CHECK(saw_once(&world, C1 C2 C3 C4 C5 C6 C7, &repeats));
            CHECK(tagd_worker_stats(worker)->publish_aborted > 0 && tagd_worker_stats(worker)->events == 4);
            CHECK(world.shards[0].n_outbox == 0 && world.shards[0].head.batch == 4);
            tagd_worker_free(worker);
            world_close(&world);
        }
}

/* Outputs that failed while the shard's next batch was in hand: that one waits for its turn in the outbox. */
static void a_batch_in_hand_does_not_overtake_what_failed(void)
{
    for (int steps = 0; steps < 12; steps++) {
        struct world world;
        int repeats;
        struct tagd_worker *worker = open_with(&world, "a");
        world_run(&world, worker, 40);
        world.sends_held = true;
        login(&world, 0);
        world_run(&world, worker, 8);
        CHECK(world.shards[0].head.batch == 1);
        login(&world, 1);
        world_run(&world, worker, steps);
        world.faults[TAGD_OP_SEND] = (struct world_fault){1, TAGD_ABORTED, false};
        world.sends_held = false;
        world_run(&world, worker, 600);
        CHECK(saw_once(&world, C1 C2 C3, &repeats) && repeats == 0);
        tagd_worker_free(worker);
        world_close(&world);
    }
}

/* A take-over sends an entry, and waits for the dead letters of the next one while the first one fails. */
static void a_takeover_sends_nothing_behind_an_entry_that_failed(void)
{
    for (int effect = 0; effect < 2; effect++)
        for (int count = 1; count <= 3; count++) {
            struct world world;
            int repeats;
            struct tagd_worker *worker = open_with(&world, "a");
            world.sends_held = true;
            login(&world, 0);
            world_append(&world, 0, 0, "{nonsense");
            login(&world, 1);
            world_run(&world, worker, 100);
            CHECK(world.shards[0].head.batch == 2 && world.shards[0].n_outbox == 2);
            world_kill(&world, worker);
            world.sends_held = false;
            worker = start(&world, "a", true);
            world.faults[TAGD_OP_SEND] = (struct world_fault){count, TAGD_ABORTED, effect};
            world_run(&world, worker, 600);
            CHECK(saw_once(&world, C1 C2 C3, &repeats) && letters_are(&world, "malformed {nonsense;", repeats > 0));
            CHECK(tagd_worker_stats(worker)->publish_aborted > 0 && world.shards[0].n_outbox == 0);
            tagd_worker_free(worker);
            world_close(&world);
        }
}

static void no_answer_loses_or_invents_a_change(void)
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
                   {TAGD_OP_COMMIT, TAGD_UNKNOWN, true},     {TAGD_OP_SEND, TAGD_ABORTED, false},
                   {TAGD_OP_SEND, TAGD_ABORTED, true},       {TAGD_OP_OFFSETS, TAGD_ABORTED, false},
                   {TAGD_OP_OFFSETS, TAGD_ABORTED, true}};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        for (int count = 1; count <= 8; count++) { /* a COMMIT is a batch's or a drop's */
            struct world world;
            int repeats;
            struct tagd_worker *worker = open_with(&world, "a");
            world.faults[answers[i].kind] = (struct world_fault){count, answers[i].status, answers[i].effect};
            for (int k = 0; k < 4; k++) {
                login(&world, k);
                world_run(&world, worker, k % 2 == 0 ? 40 : 300);
            }
            world_run(&world, worker, 6000);
            CHECK(saw_once(&world, C1 C2 C3 C4 C5 C6 C7, &repeats));
            CHECK(world.shards[0].topics[0].committed == 4 && world.shards[0].n_outbox == 0);
            CHECK(strcmp(world.shards[0].customers[0].view, "b.activity=busy _revision=7 _at=1700000060000 ") == 0);
            tagd_worker_free(worker);
            world_close(&world);
        }
}

static void a_zombie_sends_only_what_redis_has(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1));
    world.shards[0].fence += 5; /* somebody took it */
    login(&world, 1);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "") && tagd_worker_stats(worker)->commits_fenced == 1);
    CHECK(world.shards[0].head.batch == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_zombies_drop_takes_nothing_from_its_successor(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    world.shards[0].fence += 5;
    world_run(&world, worker, 110);
    CHECK(world.shards[0].n_outbox == 1 && tagd_worker_stats(worker)->commits_fenced == 1);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- leaving ---- */

static void a_stop_waits_for_acknowledgements_and_leaves_nothing_to_repeat(void)
{
    for (int steps = 0; steps < 12; steps++) {
        struct world world;
        struct tagd_error error = {"?"};
        struct tagd_worker *worker = open_with(&world, "a");
        login(&world, 0);
        world_run(&world, worker, 60);
        login(&world, 1);
        world_run(&world, worker, steps);
        tagd_worker_stop(worker);
        world.sends_held = true;
        for (int i = 0; i < 50; i++, world.mono_ms++)
            tagd_worker_step(worker, 0, &error);
        world.sends_held = false;
        while (tagd_worker_step(worker, 0, &error) && world.mono_ms < 100000)
            world.mono_ms++;
        CHECK(world.mono_ms < 10000 && error.text[0] == '\0');
        CHECK(world.shards[0].head.owner[0] == '\0' && world.shards[0].n_outbox == 0);
        CHECK(world.shards[0].topics[0].committed == world.shards[0].head.next_offset[0]);
        world_kill(&world, worker);
        worker = start(&world, "a", true);
        world_run(&world, worker, 200);
        CHECK(world_saw(&world.published, C1 C2 C3) && tagd_worker_stats(worker)->outputs_redelivered == 0);
        tagd_worker_free(worker);
        world_close(&world);
    }
}

static void a_stop_gives_up_on_what_nobody_acknowledges_and_the_next_owner_sends_it(void)
{
    struct world world;
    struct tagd_error error = {"?"};
    struct tagd_worker *worker = open_with(&world, "a");
    world.sends_held = true;
    login(&world, 0);
    world_run(&world, worker, 60);
    tagd_worker_stop(worker);
    int64_t from = world.mono_ms;
    while (tagd_worker_step(worker, 0, &error) && world.mono_ms < from + 10000)
        world.mono_ms++;
    CHECK(world.mono_ms - from >= 2900 && world.mono_ms - from < 3500 && error.text[0] == '\0');
    CHECK(world.shards[0].n_outbox == 1 && strcmp(world.shards[0].head.owner, "a") == 0);
    world_kill(&world, worker);
    world.sends_held = false;
    worker = start(&world, "b", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1));
    tagd_worker_free(worker);
    world_close(&world);
}

static void shards_that_are_revoked_are_left_with_offsets_committed(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    login(&world, 1);
    world_run(&world, worker, 20);
    CHECK(world.shards[0].topics[0].committed == 1); /* the second within a second */
    world.revoke = true;
    world_run(&world, worker, 20);
    CHECK(world.revoked == 1 && world.shards[0].head.owner[0] == '\0' && world.shards[0].n_outbox == 0);
    CHECK(world.shards[0].topics[0].committed == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void shards_that_were_lost_are_dropped_with_all_on_its_way(void)
{
    struct world world;
    int repeats;
    struct tagd_worker *worker = open_with(&world, "a");
    world.sends_held = true;
    login(&world, 0);
    world_run(&world, worker, 60);
    world.lost = true;
    world_run(&world, worker, 20);
    CHECK(tagd_worker_stats(worker)->shards_running == 0);
    world.sends_held = false; /* acknowledged to nobody */
    world_run(&world, worker, 20);
    world.assign = true;
    login(&world, 1);
    world_run(&world, worker, 300);
    CHECK(saw_once(&world, C1 C2 C3, &repeats) && repeats == 1 && world.shards[0].n_outbox == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- delivery changes ---- */

static void what_was_committed_exactly_once_is_sent_once_at_least_once(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker *worker = start(&world, "a", false);
    login(&world, 0);
    world_run(&world, worker, 60);
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    login(&world, 1);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1) && world.shards[0].n_outbox == 1 && !world.shards[0].head.at_least_once);
    world_kill(&world, worker);
    worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C2 C3) && world.shards[0].head.at_least_once);
    CHECK(tagd_worker_stats(worker)->outputs_redelivered == 0);
    world_kill(&world, worker);
    world_close(&world);
}

static void what_exactly_once_has_published_is_not_sent_again(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker *worker = start(&world, "a", false);
    login(&world, 0);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1) && world.shards[0].n_outbox == 1);
    for (int i = 0; i < 3; i++) { /* nor by one that dies before the first batch of its own */
        world_kill(&world, worker);
        worker = start(&world, "a", true);
        world_run(&world, worker, 60);
        CHECK(world_saw(&world.published, "") && world.shards[0].n_outbox == 0);
    }
    world_kill(&world, worker);
    world_close(&world);
}

/* The producer that would end it of itself is not there. */
static void a_transaction_of_an_earlier_life_is_ended_at_least_once_too(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    struct tagd_worker *worker = start(&world, "a", false);
    login(&world, 0);
    world_run(&world, worker, 60);
    world_kill(&world, worker);
    worker = start(&world, "a", false);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.ended, ""));
    world_kill(&world, worker);
    worker = start(&world, "a", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.ended, "a;"));
    world_kill(&world, worker);
    worker = start(&world, "b", true);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.ended, "a;"));
    world_kill(&world, worker);
    world_close(&world);
}

static void what_may_have_been_sent_is_sent_again_exactly_once_and_then_no_more(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    world.faults[TAGD_OP_SEND] = (struct world_fault){1, TAGD_PENDING, true};
    login(&world, 0);
    login(&world, 1);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C1 C2 C3) && world.shards[0].n_outbox == 2);
    for (int i = 0; i < 3; i++) {
        world_kill(&world, worker);
        worker = start(&world, "a", false);
        world_run(&world, worker, 60);
        CHECK(world_saw(&world.published, i == 0 ? C1 C2 C3 : ""));
        CHECK(!world.shards[0].head.at_least_once && world.shards[0].topics[0].committed == 2);
    }
    login(&world, 2);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, C4 C5));
    world_kill(&world, worker);
    world_close(&world);
}

static void offsets_that_lag_are_brought_level_when_delivery_becomes_exactly_once(void)
{
    struct world world;
    struct tagd_worker *worker = open_with(&world, "a");
    world.faults[TAGD_OP_OFFSETS] = (struct world_fault){1, TAGD_PENDING, false};
    login(&world, 0);
    world_run(&world, worker, 300);
    CHECK(world.shards[0].n_outbox == 0 && world.shards[0].topics[0].committed == -1);
    for (int i = 0; i < 2; i++) {
        world_kill(&world, worker);
        worker = start(&world, "a", false);
        world_run(&world, worker, 60);
        CHECK(world.shards[0].topics[0].committed == 1 && metadata_is(&world, "1,1,1700000000000"));
        CHECK(tagd_worker_stats(worker)->takeover_level == 1 && !world.shards[0].head.at_least_once);
    }
    CHECK(world_saw(&world.published, C1));
    world_kill(&world, worker);
    world_close(&world);
}

/* The process dies; what it had sent may still come through, from the front: so many outputs. */
static void die(struct world *world, struct tagd_worker *worker, size_t still_sent)
{
    for (size_t i = 0; i < world->n_sends; i++)
        for (size_t k = 0; k < world->sends[i].n_shards; k++) {
            struct tagd_shard_outputs *shard = &world->sends[i].shards[k];
            shard->n_outputs = shard->n_outputs < still_sent ? shard->n_outputs : still_sent;
            still_sent -= shard->n_outputs;
            world_see_outputs(world, shard);
        }
    world_kill(world, worker);
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245 + 12345;
    return *state >> 16;
}

/* Three lives, each under either delivery, the first two ended after so many steps; in the third, what is sent may fail
 * once. Returns the repeats. */
static int three_lives(unsigned modes, int first, int second)
{
    unsigned random = modes * 7919 + (unsigned)first * 104729 + (unsigned)second;
    struct world world;
    struct tagd_error error;
    int repeats;
    world_open(&world, ACTIVITY);
    for (int i = 0; i < 4; i++) {
        login(&world, i);
        if (i == 0 || i == 2)
            world_append(&world, 0, 0, i == 0 ? "{first" : "{second");
    }
    struct tagd_worker *worker = start(&world, "a", modes & 1);
    world.sends_held = next_random(&random) % 2;
    world_run(&world, worker, first);
    die(&world, worker, next_random(&random) % 4);
    worker = start(&world, next_random(&random) % 2 ? "a" : "b", modes & 2);
    world.sends_held = next_random(&random) % 2;
    world_run(&world, worker, second);
    die(&world, worker, next_random(&random) % 4);
    world.sends_held = false;
    world.faults[TAGD_OP_SEND].count = (int)(next_random(&random) % 4);
    world.faults[TAGD_OP_SEND].status = TAGD_ABORTED;
    world.faults[TAGD_OP_SEND].effect = next_random(&random) % 2;
    worker = start(&world, "a", modes & 4);
    world_run(&world, worker, 400);
    world.faults[TAGD_OP_SEND].count = 0;
    tagd_worker_stop(worker);
    while (tagd_worker_step(worker, 0, &error))
        world.mono_ms++;
    CHECK(saw_once(&world, C1 C2 C3 C4 C5 C6 C7, &repeats));
    CHECK(letters_are(&world, "malformed {first;malformed {second;", modes != 0));
    CHECK(world.shards[0].head.batch == 6 && world.shards[0].topics[0].committed == 6);
    CHECK(strcmp(world.shards[0].customers[0].view, "b.activity=busy _revision=7 _at=1700000060000 ") == 0);
    world_kill(&world, worker);
    world_close(&world);
    return repeats;
}

static void deaths_and_changes_of_delivery_at_any_step_lose_and_invent_nothing(void)
{
    size_t runs = 0, repeated = 0;
    for (unsigned modes = 0; modes < 8; modes++)
        for (int first = 1; first < 48; first++)
            for (int second = 1; second < 48; second++, runs++) {
                int repeats = three_lives(modes, first, second);
                CHECK(modes != 0 || repeats == 0);
                repeated += repeats > 0;
            }
    CHECK(repeated > 0);
    printf("%zu runs, %zu of them with repeats\n", runs, repeated);
}

/* ---- what is refused ---- */

static void a_redis_that_lost_what_was_sent_is_refused(void)
{
    struct world world;
    struct tagd_error error = {""};
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    struct tagd_head head = world.shards[0].head;
    login(&world, 1);
    world_run(&world, worker, 60); /* its offsets are not committed yet, but its outputs are there */
    world_kill(&world, worker);
    world.shards[0].head = head;
    worker = start(&world, "a", true);
    int steps = 0;
    for (; tagd_worker_step(worker, 0, &error) && steps < 100; steps++)
        world.mono_ms += 10; /* it is refused twice */
    CHECK(steps < 100 && strstr(error.text, "lost its last writes") != NULL);
    world_kill(&world, worker);
    world_close(&world);
}

static void a_right_that_is_missing_for_a_takeover_stops_it(void)
{
    for (int denied = 0; denied < 2; denied++) {
        struct world world;
        struct tagd_error error = {""};
        struct tagd_worker *worker = open_with(&world, "a");
        login(&world, 0);
        world_run(&world, worker, 60);
        world_kill(&world, worker);
        worker = start(&world, "b", true);
        world.faults[TAGD_OP_END_OWNER] = (struct world_fault){1, denied ? TAGD_DENIED : TAGD_ABORTED, false};
        bool going = true;
        for (int i = 0; i < 500 && going; i++, world.mono_ms++)
            going = tagd_worker_step(worker, 0, &error);
        CHECK(going == !denied && (strstr(error.text, "shard 0: planted") != NULL) == denied);
        CHECK(tagd_worker_stats(worker)->takeover_outbox == !denied);
        world_kill(&world, worker);
        world_close(&world);
    }
}

/* Redis came back older while outputs of what it lost were still on their way. */
static void what_is_on_its_way_is_waited_for_before_a_comparison(void)
{
    struct world world;
    struct tagd_error error = {""};
    struct tagd_worker *worker = open_with(&world, "a");
    login(&world, 0);
    world_run(&world, worker, 60);
    struct tagd_head head = world.shards[0].head;
    world.sends_held = true;
    login(&world, 1);
    world_run(&world, worker, 20);
    CHECK(world.shards[0].head.batch == 2);
    world.shards[0].head = head;
    world.faults[TAGD_OP_LOAD] = (struct world_fault){1, TAGD_UNKNOWN, false};
    login(&world, 2);
    world_run(&world, worker, 1000);
    CHECK(world_saw(&world.published, C1) && tagd_worker_stats(worker)->takeovers == 2);
    world.sends_held = false;
    int steps = 0;
    for (; tagd_worker_step(worker, 0, &error) && steps < 100; steps++)
        world.mono_ms += 10; /* it is refused twice */
    CHECK(steps < 100 && strstr(error.text, "lost its last writes") != NULL);
    CHECK(world_saw(&world.published, C2 C3));
    world_kill(&world, worker);
    world_close(&world);
}

/* One that goes on past gaps. */
static struct tagd_worker *start_past_gaps(struct world *world, bool at_least_once)
{
    struct tagd_worker_config config = world_config(world, "a", true);
    config.at_least_once = at_least_once;
    config.continue_on_data_gap = true;
    return tagd_worker_new(&config, &world->port);
}

/* The second topic's first three records: never read, and gone. */
static void lose_three(struct world *world)
{
    world->shards[0].topics[1].low = world->shards[0].topics[1].end = 3;
}

static void a_gap_that_was_passed_over_is_no_reset_to_the_next_owner(void)
{
    for (int stopped = 0; stopped < 2; stopped++)
        for (int at_least_once = 0; at_least_once < 2; at_least_once++) {
            struct world world;
            struct tagd_error error;
            world_open(&world, ACTIVITY);
            struct tagd_worker *worker = start(&world, "a", at_least_once);
            login(&world, 0);
            world_run(&world, worker, 300);
            lose_three(&world);
            for (unsigned i = 0; i < 3; i++) {
                world_kill(&world, worker);
                worker = start_past_gaps(&world, at_least_once);
                world_run(&world, worker, 1100);
                CHECK(tagd_worker_stats(worker)->takeover_level > 0 && tagd_worker_stats(worker)->data_gaps == 1);
                CHECK(world.shards[0].topics[1].committed == 0 && world.shards[0].topics[0].committed == 1);
                if (stopped)
                    tagd_worker_stop(worker);
                while (stopped && tagd_worker_step(worker, 0, &error))
                    world.mono_ms++;
                CHECK(!stopped || world.shards[0].head.owner[0] == '\0');
            }
            world_kill(&world, worker);
            worker = start_past_gaps(&world, at_least_once);
            login(&world, 1); /* the next batch makes it known to both */
            world_run(&world, worker, 1100);
            CHECK(world.shards[0].topics[1].committed == 3 && world.shards[0].head.next_offset[1] == 3);
            login(&world, 2);
            world_run(&world, worker, 1100);
            CHECK(world.shards[0].topics[1].committed == 3 && world.shards[0].topics[0].committed == 3);
            CHECK(world_saw(&world.published, C1 C2 C3 C4 C5));
            tagd_worker_free(worker);
            world_close(&world);
        }
}

/* The outbox's entries are acknowledged, dropped and their offsets committed before a batch has passed the gap. */
static void a_gap_behind_an_outbox_is_no_reset_to_the_next_owner(void)
{
    struct world world;
    int repeats;
    struct tagd_worker *worker = open_with(&world, "a");
    world.faults[TAGD_OP_SEND] = (struct world_fault){1, TAGD_PENDING, true};
    login(&world, 0);
    world_run(&world, worker, 300);
    lose_three(&world);
    for (unsigned i = 0; i < 3; i++) {
        world_kill(&world, worker);
        CHECK(world.shards[0].n_outbox == (i == 0));
        worker = start_past_gaps(&world, true);
        world_run(&world, worker, 1300);
        CHECK(tagd_worker_stats(worker)->data_gaps == 1 && world.shards[0].topics[1].committed == 0);
    }
    CHECK(saw_once(&world, C1, &repeats));
    world_kill(&world, worker);
    world_close(&world);
}

/* Topic 1 begins at offset 3; the records of both topics alternate, one a batch. */
static void a_batch_of_one_topic_keeps_the_place_in_the_other_and_a_gap_behind_it(void)
{
    static const int64_t places[][2] = {{1, 0}, {2, 3}, {2, 4}, {3, 4}, {3, 5}};
    struct world world;
    struct tagd_error error;
    world_open(&world, ACTIVITY);
    struct tagd_worker *worker = start(&world, "a", true);
    login(&world, 0);
    world_run(&world, worker, 300);
    world_kill(&world, worker);
    lose_three(&world);
    for (int i = 1; i <= 4; i++)
        world_event(&world, 0, i % 2 == 0, "login", "c", T0 + 20000 * i);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.continue_on_data_gap = true;
    config.batch_events_max = 1;
    worker = tagd_worker_new(&config, &world.port);
    for (int i = 0; i < 200; i++) {
        const struct tagd_head *head = &world.shards[0].head;
        CHECK(head->batch >= 1 && head->batch <= 5);
        CHECK(memcmp(head->next_offset, places[head->batch - 1], sizeof(places[0])) == 0);
        CHECK(tagd_worker_step(worker, 0, &error));
    }
    CHECK(world.shards[0].head.batch == 5 && world_saw(&world.published, C1 C2 C3 C4 C5 C6 C7 C8 C9));
    tagd_worker_free(worker);
    world_close(&world);
}

int main(void)
{
    RUN(the_next_batch_is_committed_while_the_outputs_of_the_last_are_not_acknowledged);
    RUN(a_batch_takes_the_acknowledged_entries_along);
    RUN(offsets_are_committed_at_most_every_second);
    RUN(offsets_that_went_back_are_committed_again);
    RUN(no_batch_begins_past_the_limit_of_unacknowledged_ones);
    RUN(a_worker_that_waits_for_acknowledgements_sleeps);
    RUN(the_bytes_that_are_unacknowledged_have_a_limit_too);
    RUN(a_death_between_commit_and_sending_loses_and_repeats_nothing);
    RUN(a_death_before_the_acknowledgement_repeats_the_same_bytes);
    RUN(a_death_between_acknowledgement_and_drop_repeats);
    RUN(what_fails_is_sent_again_before_anything_behind_it);
    RUN(a_batch_in_hand_does_not_overtake_what_failed);
    RUN(a_takeover_sends_nothing_behind_an_entry_that_failed);
    RUN(no_answer_loses_or_invents_a_change);
    RUN(a_zombie_sends_only_what_redis_has);
    RUN(a_zombies_drop_takes_nothing_from_its_successor);
    RUN(a_stop_waits_for_acknowledgements_and_leaves_nothing_to_repeat);
    RUN(a_stop_gives_up_on_what_nobody_acknowledges_and_the_next_owner_sends_it);
    RUN(shards_that_are_revoked_are_left_with_offsets_committed);
    RUN(shards_that_were_lost_are_dropped_with_all_on_its_way);
    RUN(what_was_committed_exactly_once_is_sent_once_at_least_once);
    RUN(what_exactly_once_has_published_is_not_sent_again);
    RUN(a_transaction_of_an_earlier_life_is_ended_at_least_once_too);
    RUN(what_may_have_been_sent_is_sent_again_exactly_once_and_then_no_more);
    RUN(offsets_that_lag_are_brought_level_when_delivery_becomes_exactly_once);
    RUN(deaths_and_changes_of_delivery_at_any_step_lose_and_invent_nothing);
    RUN(a_redis_that_lost_what_was_sent_is_refused);
    RUN(a_right_that_is_missing_for_a_takeover_stops_it);
    RUN(what_is_on_its_way_is_waited_for_before_a_comparison);
    RUN(a_gap_that_was_passed_over_is_no_reset_to_the_next_owner);
    RUN(a_gap_behind_an_outbox_is_no_reset_to_the_next_owner);
    RUN(a_batch_of_one_topic_keeps_the_place_in_the_other_and_a_gap_behind_it);
    return DONE();
}
