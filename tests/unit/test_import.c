/* History as a baseline, over a world in memory: killed and begun again at every operation, and then the stream. */
#include "world.h"
#include "worker/import.h"

#define T0 INT64_C(1700000000000)
#define BEFORE (T0 + 100000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) > 40s\"},"                              \
    "{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},{\"tag\":\"busy\",\"when\":\"true\"}]},"              \
    "\"b.orders\":{\"tags\":[{\"tag\":\"some\",\"when\":\"count(order.paid) >= 2\"}]}"

struct line {
    const char *type, *id, *subject;
    int64_t time_ms; /* INT64_MIN: no time */
};
/* c and e sit in shard 0, d and f in shard 1. */
static const struct line history[] = {
    {"login", "1", "c", T0},
    {"order.paid", "2", "c", T0 + 1000},
    {"order.paid", "2", "c", T0 + 1000}, /* twice */
    {"login", "3", "d", T0 + 2000},
    {"login", "4", "d", INT64_MIN},       /* bad */
    {"login", "5", "d", BEFORE},          /* the stream's */
    {"unheard.of", "6", "f", T0 + 20000}, /* moves time in d's shard */
    {"order.paid", "7", "c", T0 + 30000},
    {"login", "8", "d", T0 + 5000}, /* late */
    {"login", "9", "f", BEFORE - 1},
    {"login", "10", "e", T0 + 3000}, /* late, and silent at once */
};
#define N_HISTORY (sizeof(history) / sizeof(history[0]))

static uint32_t shard_of(const char *subject)
{
    return tagd_murmur2(tagd_str_of(subject)) % WORLD_SHARDS;
}

static struct tagd_import_config config_of(const struct world *world, int batch)
{
    return (struct tagd_import_config){.catalog = world->catalog,
                                       .group = "g",
                                       .n_topics = WORLD_TOPICS,
                                       .partitions = WORLD_SHARDS,
                                       .partitioner = TAGD_MURMUR2,
                                       .before_ms = BEFORE,
                                       .horizon_ms = 400 * (int64_t)TAGD_MS_DAY,
                                       .batch_events_max = (size_t)batch,
                                       .batch_bytes_max = 1 << 20,
                                       .identity = "0123456789abcdef0123456789abcdef"};
}

static void take_line(const struct world *world, struct tagd_import *import, const struct line *line)
{
    struct tagd_event_rules rules = {.catalog = world->catalog,
                                     .max_bytes = TAGD_EVENT_BYTES_MAX,
                                     .past_ms = INT64_MIN,
                                     .future_ms = -1,
                                     .partitioner = TAGD_NO_PARTITIONER,
                                     .time_required = true};
    struct tagd_arena *arena = tagd_import_arena(import);
    char time[TAGD_TIME_TEXT] = "?";
    if (line->time_ms != INT64_MIN)
        tagd_time_format(line->time_ms, time);
    const char *text = tagd_arena_printf(arena,
                                         "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"test\",\"type\":\"%s\","
                                         "\"subject\":\"%s\",\"time\":\"%s\",\"data\":{}}",
                                         line->id, line->type, line->subject, time);
    struct tagd_record *record = tagd_arena_zalloc(arena, sizeof(*record));
    struct tagd_event *event = tagd_arena_alloc(arena, sizeof(*event));
    *record = (struct tagd_record){.value = tagd_str_of(text), .has_value = true, .timestamp_ms = -1};
    tagd_event_decode(&rules, record, 0, arena, event);
    tagd_import_take(import, record, event);
}

/* One attempt. counts may be NULL. */
static enum tagd_import_result attempt(struct world *world, const struct tagd_import_config *config, size_t n_lines,
                                       struct tagd_import_counts *counts, struct tagd_error *error)
{
    struct tagd_import *import = tagd_import_new(config, &world->port);
    struct tagd_head heads[WORLD_SHARDS];
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        heads[i] = world->shards[i].head;
    enum tagd_import_result result = tagd_import_begin(import, heads, error);
    for (size_t i = 0; i < n_lines && result == TAGD_IMPORT_OK; i++) {
        take_line(world, import, &history[i]);
        if (tagd_import_full(import))
            result = tagd_import_flush(import, error);
    }
    if (result == TAGD_IMPORT_OK)
        result = tagd_import_finish(import, error);
    if (counts != NULL)
        *counts = tagd_import_counts(import);
    tagd_import_free(import);
    world->n_ops = 0;
    world->assign = true; /* its polls passed over it */
    return result;
}

static enum tagd_import_result import_all(struct world *world, int batch, struct tagd_import_counts *counts)
{
    struct tagd_error error = {""};
    struct tagd_import_config config = config_of(world, batch);
    return attempt(world, &config, N_HISTORY, counts, &error);
}

static bool refuses(struct world *world, const struct tagd_import_config *config, const char *why)
{
    struct tagd_error error = {""};
    bool is = attempt(world, config, N_HISTORY, NULL, &error) == TAGD_IMPORT_REFUSED && strstr(error.text, why) &&
              strstr(error.text, "shard ");
    if (!is)
        fprintf(stderr, "%s\n", error.text);
    return is;
}

static void a_right_that_is_missing_ends_it_and_all_else_may_be_tried_again(void)
{
    static const enum tagd_op_kind kinds[] = {TAGD_OP_FENCE, TAGD_OP_LOAD, TAGD_OP_COMMIT};
    for (size_t i = 0; i < 3; i++)
        for (int count = 1; count <= 2; count++) {
            struct world world;
            world_open(&world, ACTIVITY);
            world.faults[kinds[i]] = (struct world_fault){count, TAGD_DENIED, false};
            CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_REFUSED);
            world.faults[kinds[i]] = (struct world_fault){count, TAGD_REFUSED, false};
            CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_AGAIN);
            CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
            world_close(&world);
        }
}

/* All but the fences. */
static bool same_store(const struct world *a, const struct world *b)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        const struct world_shard *x = &a->shards[i], *y = &b->shards[i];
        const struct tagd_baseline *p = &x->head.baseline, *q = &y->head.baseline;
        if (x->n_customers != y->n_customers || x->head.batch != y->head.batch ||
            x->head.watermark_ms != y->head.watermark_ms || x->head.latest_ms != y->head.latest_ms ||
            p->finished != q->finished || p->before_ms != q->before_ms || p->lines != q->lines ||
            p->events != q->events || p->duplicates != q->duplicates || p->ignored != q->ignored ||
            p->customers != q->customers)
            return false;
        for (size_t k = 0; k < x->n_customers; k++) {
            const struct world_customer *m = &x->customers[k], *n = &y->customers[k];
            if (!tagd_str_eq(m->id, n->id) || !tagd_str_eq(m->bytes, n->bytes) || m->due_ms != n->due_ms ||
                strcmp(m->view, n->view) != 0)
                return false;
        }
    }
    return true;
}

static const char *view(struct world *world, const char *subject)
{
    return world_customer(&world->shards[shard_of(subject)], tagd_str_of(subject))->view;
}

/* ---- tests ---- */

static void history_makes_state_and_tags_and_tells_nothing(void)
{
    struct world world;
    struct tagd_import_counts counts;
    world_open(&world, ACTIVITY);
    CHECK(shard_of("c") == 0 && shard_of("d") == 1 && shard_of("f") == 1);
    CHECK(import_all(&world, 3, &counts) == TAGD_IMPORT_OK);
    CHECK(counts.lines == 11 && counts.bad == 1 && counts.after == 1);
    CHECK(counts.events == 7 && counts.duplicates == 1 && counts.ignored == 1 && counts.customers == 4 &&
          counts.shards == 2);
    CHECK(strcmp(view(&world, "c"), "b.activity=lost b.orders=some _revision=0 _at=1700000070001 ") == 0);
    CHECK(strcmp(view(&world, "d"), "b.activity=lost _revision=0 _at=1700000045001 ") == 0);
    CHECK(strcmp(view(&world, "f"), "b.activity=busy _revision=0 _at=1700000099999 ") == 0);
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        const struct tagd_head *head = &world.shards[i].head;
        CHECK(head->batch == 0 && head->owner[0] == '\0' && head->next_offset[0] == -1 && head->n_topics == 2);
        CHECK(head->watermark_ms == BEFORE - 1 && head->baseline.finished && head->baseline.lines == 11);
        CHECK(world.shards[i].n_outbox == 0);
    }
    CHECK(world.shards[0].head.latest_ms == T0 + 30000 && world.shards[1].head.latest_ms == BEFORE - 1);
    CHECK(world_saw(&world.published, "") && world_saw(&world.letters, ""));
    world_close(&world);
}

static void shards_without_customers_get_the_baseline_too(void)
{
    struct world world;
    struct tagd_error error;
    struct tagd_import_counts counts;
    world_open(&world, ACTIVITY);
    struct tagd_import_config config = config_of(&world, 10);
    CHECK(attempt(&world, &config, 0, &counts, &error) == TAGD_IMPORT_OK && counts.shards == 0);
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        CHECK(world.shards[i].head.exists && world.shards[i].head.baseline.finished &&
              world.shards[i].head.watermark_ms == BEFORE - 1);
    world_close(&world);
}

static void the_cut_into_batches_changes_nothing_that_is_seen(void)
{
    struct world one, other;
    world_open(&one, ACTIVITY);
    CHECK(import_all(&one, 100, NULL) == TAGD_IMPORT_OK);
    for (int batch = 1; batch <= 10; batch++) {
        world_open(&other, ACTIVITY);
        CHECK(import_all(&other, batch, NULL) == TAGD_IMPORT_OK);
        for (const char *c = "cdef"; *c; c++)
            CHECK(strcmp(view(&one, (const char[]){*c, 0}), view(&other, (const char[]){*c, 0})) == 0);
        world_close(&other);
    }
    world_close(&one);
}

static void more_customers_than_a_batch_looks_at_fall_silent_at_the_end(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    world.due_most = 1;
    CHECK(import_all(&world, 100, NULL) == TAGD_IMPORT_OK);
    CHECK(strcmp(view(&world, "c"), "b.activity=lost b.orders=some _revision=0 _at=1700000070001 ") == 0);
    CHECK(strcmp(view(&world, "e"), "b.activity=lost _revision=0 _at=1700000043001 ") == 0);
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        for (size_t k = 0; k < world.shards[i].n_customers; k++)
            CHECK(world.shards[i].customers[k].due_ms >= BEFORE);
    world_close(&world);
}

/* d's late login of T0 + 5 s is evaluated at T0 + 20 s, where f's unheard-of event has moved time. */
static void a_line_that_is_not_applied_moves_its_shards_time(void)
{
    struct world world;
    struct tagd_error error;
    world_open(&world, ACTIVITY);
    struct tagd_import_config config = config_of(&world, 3);
    config.before_ms = T0 + 30000;
    CHECK(attempt(&world, &config, N_HISTORY, NULL, &error) == TAGD_IMPORT_OK);
    CHECK(strcmp(view(&world, "d"), "b.activity=silent _revision=0 _at=1700000012000 ") == 0);
    world_close(&world);
}

/* Every operation in turn answers that nobody knows, with its effect or without; the next attempt begins anew. */
static void killed_at_any_operation_it_ends_in_the_same_state(void)
{
    static const enum tagd_op_kind kinds[] = {TAGD_OP_FENCE, TAGD_OP_LOAD, TAGD_OP_COMMIT};
    struct world whole, world;
    int kills = 0;
    for (int batch = 1; batch <= 4; batch++) {
        world_open(&whole, ACTIVITY);
        CHECK(import_all(&whole, batch, NULL) == TAGD_IMPORT_OK);
        for (int k = 0; k < 6; k++) {
            for (int count = 1;; count++) {
                world_open(&world, ACTIVITY);
                world.faults[kinds[k / 2]] = (struct world_fault){count, TAGD_UNKNOWN, k % 2 == 1};
                enum tagd_import_result result = import_all(&world, batch, NULL);
                bool planted = world.faults[kinds[k / 2]].count == 0;
                if (planted) {
                    CHECK(result == TAGD_IMPORT_AGAIN);
                    kills++;
                    result = import_all(&world, batch, NULL);
                }
                CHECK(result == TAGD_IMPORT_OK && same_store(&whole, &world));
                world_close(&world);
                if (!planted)
                    break;
            }
        }
        world_close(&whole);
    }
    CHECK(kills > 100);
}

static void an_attempt_that_gets_no_further_is_told_from_one_that_does(void)
{
    struct world world;
    struct tagd_error error;
    struct tagd_head heads[WORLD_SHARDS];
    world_open(&world, ACTIVITY);
    struct tagd_import_config config = config_of(&world, 1);
    for (int attempts = 0; attempts < 4; attempts++) {
        struct tagd_import *import = tagd_import_new(&config, &world.port);
        for (size_t i = 0; i < WORLD_SHARDS; i++)
            heads[i] = world.shards[i].head;
        CHECK(tagd_import_commits(import) == 0);
        CHECK(tagd_import_begin(import, heads, &error) == TAGD_IMPORT_OK);
        CHECK(tagd_import_commits(import) == (attempts == 0)); /* the heads that say so, once */
        world.faults[TAGD_OP_COMMIT] = (struct world_fault){attempts < 3, TAGD_REFUSED, false};
        take_line(&world, import, &history[0]);
        CHECK(tagd_import_flush(import, &error) == (attempts < 3 ? TAGD_IMPORT_AGAIN : TAGD_IMPORT_OK));
        CHECK(tagd_import_commits(import) == (attempts == 0 || attempts == 3));
        tagd_import_free(import);
        world.n_ops = 0;
    }
    world_close(&world);
}

static void killed_again_and_again_it_ends_in_the_same_state(void)
{
    struct world whole, world;
    enum tagd_import_result result;
    int attempts = 0;
    world_open(&whole, ACTIVITY);
    CHECK(import_all(&whole, 1, NULL) == TAGD_IMPORT_OK);
    world_open(&world, ACTIVITY);
    do {
        world.faults[TAGD_OP_COMMIT] = (struct world_fault){2, TAGD_UNKNOWN, true};
        result = import_all(&world, 1, NULL);
    } while (++attempts < 100 && result == TAGD_IMPORT_AGAIN);
    CHECK(result == TAGD_IMPORT_OK && attempts > 4 && same_store(&whole, &world));
    world_close(&world);
    world_close(&whole);
}

static void a_finished_import_run_again_counts_the_same_and_changes_nothing(void)
{
    struct world whole, world;
    struct tagd_import_counts first, again;
    world_open(&whole, ACTIVITY);
    world_open(&world, ACTIVITY);
    CHECK(import_all(&whole, 3, NULL) == TAGD_IMPORT_OK && import_all(&world, 3, &first) == TAGD_IMPORT_OK);
    uint64_t fence = world.shards[0].fence;
    CHECK(import_all(&world, 3, &again) == TAGD_IMPORT_OK);
    CHECK(memcmp(&first, &again, sizeof(first)) == 0 && same_store(&whole, &world) && world.shards[0].fence == fence);
    world_close(&world);
    world_close(&whole);
}

static void shards_finished_one_by_one_are_left_alone(void)
{
    struct world whole, world;
    world_open(&whole, ACTIVITY);
    world_open(&world, ACTIVITY);
    CHECK(import_all(&whole, 3, NULL) == TAGD_IMPORT_OK && import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    world.shards[1].head.baseline.finished = false;
    uint64_t fence = world.shards[0].fence;
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK && same_store(&whole, &world));
    CHECK(world.shards[0].fence == fence && world.shards[1].fence > fence);
    world_close(&world);
    world_close(&whole);
}

static void another_import_catalog_or_state_is_refused(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    struct tagd_import_config config = config_of(&world, 3);
    config.identity[0] = 'f';
    CHECK(refuses(&world, &config, "files of other contents"));
    config.before_ms++;
    CHECK(refuses(&world, &config, "with --until 2023-11-14T22:15:00.000Z"));
    config = config_of(&world, 3);
    config.n_topics = 1;
    CHECK(refuses(&world, &config, "begun with 2 source topics"));
    config = config_of(&world, 3);
    config.identity[0] = 'f';
    world.shards[0].head.catalog_hash[0] = '?';
    CHECK(refuses(&world, &config, "another catalog"));
    config = config_of(&world, 3);
    world.shards[0].head.baseline = (struct tagd_baseline){0};
    CHECK(refuses(&world, &config, "has state already"));
    world_close(&world);
}

static void another_owner_of_a_shard_ends_it(void)
{
    struct world world;
    struct tagd_error error;
    struct tagd_head heads[WORLD_SHARDS] = {{0}};
    world_open(&world, ACTIVITY);
    struct tagd_import_config config = config_of(&world, 3);
    struct tagd_import *import = tagd_import_new(&config, &world.port);
    CHECK(tagd_import_begin(import, heads, &error) == TAGD_IMPORT_OK);
    world.shards[1].fence++;
    for (size_t i = 0; i < N_HISTORY; i++)
        take_line(&world, import, &history[i]);
    CHECK(tagd_import_finish(import, &error) == TAGD_IMPORT_TAKEN);
    CHECK(world.shards[1].n_customers == 0);
    tagd_import_free(import);
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    world_close(&world);
}

/* The stream overlaps the history: what is before the baseline is ignored there, and silence goes on from it. */
static void the_stream_goes_on_from_the_baseline(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    world_event(&world, 0, 0, "order.paid", "c", BEFORE - 1); /* in no history, and yet before it */
    world_event(&world, 0, 0, "unheard.of", "c", BEFORE - 1);
    world_event(&world, 0, 0, "login", "b", BEFORE - 1);
    world_event(&world, 1, 0, "login", "f", BEFORE);
    world_event(&world, 1, 0, "unheard.of", "f", BEFORE + 10000);
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "tag:f:1 b.activity>silent;"));
    CHECK(tagd_worker_stats(worker)->ignored_history == 3 && tagd_worker_stats(worker)->ignored == 1);
    CHECK(tagd_worker_stats(worker)->events == 1 && tagd_worker_stats(worker)->takeover_new == 2);
    CHECK(world_customer(&world.shards[0], TAGD_STR("b")) == NULL && world.shards[0].topics[0].committed == 3);
    world_event(&world, 0, 0, "login", "c", BEFORE + 5000);
    world_run(&world, worker, 60);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void the_first_batch_upon_a_baseline_survives_a_kill_before_it_is_published(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    world_event(&world, 0, 0, "login", "c", BEFORE);
    world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "") && world.shards[0].head.batch == 1);
    world_kill(&world, worker);
    worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 100);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    CHECK(world.shards[0].head.baseline.finished && world.shards[0].head.baseline.before_ms == BEFORE);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_shard_upon_a_baseline_taken_over_again_begins_where_it_began(void)
{
    struct world world;
    world_open(&world, ACTIVITY);
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    world.latest = true;
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 60);
    world.faults[TAGD_OP_COMMIT] = (struct world_fault){1, TAGD_UNKNOWN, false};
    world_event(&world, 0, 0, "login", "c", BEFORE);
    world_run(&world, worker, 600);
    CHECK(world_saw(&world.published, "tag:c:1 b.activity>busy;"));
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_worker_leaves_an_unfinished_import_alone_and_stops(void)
{
    struct world world;
    struct tagd_error error = {""};
    world_open(&world, ACTIVITY);
    world.faults[TAGD_OP_COMMIT] = (struct world_fault){3, TAGD_UNKNOWN, false};
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_AGAIN);
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    bool going = true;
    for (int i = 0; i < 100 && going; i++, world.mono_ms += 10)
        going = tagd_worker_step(worker, 0, &error);
    CHECK(!going && strstr(error.text, "run the same \"tagd import\" again") != NULL);
    CHECK(world.shards[0].head.owner[0] == '\0' && world.shards[1].head.owner[0] == '\0'); /* not claimed */
    tagd_worker_free(worker);
    world.n_ops = 0;
    CHECK(import_all(&world, 3, NULL) == TAGD_IMPORT_OK);
    world_close(&world);
}

int main(void)
{
    RUN(history_makes_state_and_tags_and_tells_nothing);
    RUN(shards_without_customers_get_the_baseline_too);
    RUN(the_cut_into_batches_changes_nothing_that_is_seen);
    RUN(more_customers_than_a_batch_looks_at_fall_silent_at_the_end);
    RUN(a_line_that_is_not_applied_moves_its_shards_time);
    RUN(killed_at_any_operation_it_ends_in_the_same_state);
    RUN(a_right_that_is_missing_ends_it_and_all_else_may_be_tried_again);
    RUN(an_attempt_that_gets_no_further_is_told_from_one_that_does);
    RUN(killed_again_and_again_it_ends_in_the_same_state);
    RUN(a_finished_import_run_again_counts_the_same_and_changes_nothing);
    RUN(shards_finished_one_by_one_are_left_alone);
    RUN(another_import_catalog_or_state_is_refused);
    RUN(another_owner_of_a_shard_ends_it);
    RUN(the_stream_goes_on_from_the_baseline);
    RUN(the_first_batch_upon_a_baseline_survives_a_kill_before_it_is_published);
    RUN(a_shard_upon_a_baseline_taken_over_again_begins_where_it_began);
    RUN(a_worker_leaves_an_unfinished_import_alone_and_stops);
    return DONE();
}
