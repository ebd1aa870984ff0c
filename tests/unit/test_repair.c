/* Repair and rebuild: a store that went back, was emptied or is another history's copy, over a world in memory. Whatever
 * happens to the store, the outputs end up as those of a run in which nothing happened, byte for byte but for when they
 * were recorded. */
#include "world.h"

#include "profile/state.h"
#include "shard/repair.h"
#include "worker/lane.h"

#define T0 INT64_C(1700000000000)
#define STEP_MS 10000 /* of both clocks, between two steps of a script */
#define STEPS_MAX 16
#define SEEDS 200

/* ---- scripts ---- */

struct script {
    const char *name, *more, *dimensions;
    bool time_events, binary;
    int n;
    void (*feed)(struct world *world, int step);
};

/* An activity that silence changes, a tag that may be none, and a value. */
#define DIMENSIONS                                                                                                     \
    "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) > 25s\"},"                              \
    "{\"tag\":\"silent\",\"when\":\"since(interaction) >= 7s\"},{\"tag\":\"busy\",\"when\":\"true\"}]},"               \
    "\"b.hot\":{\"tags\":[{\"tag\":\"hot\",\"when\":\"count(order.paid[20s:1s]) >= 2\"}]},"                            \
    "\"b.category\":{\"value\":\"top(category, order.paid)\"}"

static void order(struct world *world, uint32_t topic, const char *customer, int64_t time_ms, const char *category)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    world_append(
        world, 0, topic,
        tagd_arena_printf(&world->memory,
                          "{\"specversion\":\"1.0\",\"id\":\"o%u\",\"source\":\"test\",\"type\":\"order.paid\","
                          "\"subject\":\"%s\",\"time\":\"%s\",\"data\":{\"category\":\"%s\"}}",
                          world->n_events++, customer, time, category));
}

/* Both topics, late events, a repeated one, bad records, customers that come and stay away. */
static void feed_shop(struct world *world, int step)
{
    int64_t at = T0 + (int64_t)step * STEP_MS;
    static const char *const categories[] = {"tea", "caf\u00e9 \\\"noir\\\"", "tea", "silk"};
    order(world, 0, "c", at, categories[step % 4]);
    if (step % 2 == 0) {
        world_event(world, 0, 1, "login", "d", at + 1);
        order(world, 1, "c", at + 2, categories[step % 4]);
    }
    if (step % 3 == 1) {
        static const struct tagd_header misleading[] = {{{"tagd_offset", 11}, {"0", 1}}};
        struct world_partition *topic = &world->shards[0].topics[0];
        world_append(world, 0, 0, "{nonsense");
        topic->records[topic->end - 1].headers = misleading;
        topic->records[topic->end - 1].n_headers = 1;
        world_event(world, 0, 1, "login", "late", at - 3 * STEP_MS);
    }
    if (step % 3 == 2) {
        order(world, 0, "e", at + 3, "books");
        order(world, 0, "e", at + 3, "toys");
        world_event(world, 0, 0, "unheard.of", "f", at + 4);
    }
    world_append_marker(world, 0, 0);
    if (step % 2 == 0)
        world_append_marker(world, 0, 1);
    if (step == 4) /* the same id, once more */
        world_append(world, 0, 0,
                     "{\"specversion\":\"1.0\",\"id\":\"o0\",\"source\":\"test\",\"type\":\"order.paid\","
                     "\"subject\":\"c\",\"time\":\"2023-11-14T22:13:20Z\",\"data\":{\"category\":\"tea\"}}");
}

/* Every kind of events, and all that stands between a rule's outcome and a tag. */
#define ALERTS                                                                                                         \
    "\"alerts\":{\"loss\":{\"when\":\"b.activity != 'busy' and churn.level == 'gone'\",\"for\":\"1s\"},"               \
    "\"hot\":{\"when\":\"b.hot == 'hot'\"}},"
#define KINDS                                                                                                          \
    "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) > 25s\"},"                              \
    "{\"tag\":\"silent\",\"when\":\"since(interaction) >= 7s\"},{\"tag\":\"busy\",\"when\":\"true\"}]},"               \
    "\"churn.level\":{\"tags\":[{\"tag\":\"gone\",\"when\":\"since(interaction) > 15s\"},"                             \
    "{\"tag\":\"here\",\"when\":\"true\"}]},"                                                                          \
    "\"b.category\":{\"for\":\"2s\",\"value\":\"top(category, order.paid)\"},"                                         \
    "\"b.level\":{\"assign\":\"review\",\"expires\":\"25s\",\"tags\":[{\"tag\":\"high\",\"when\":"                     \
    "\"count(order.paid) >= 3\"},{\"tag\":\"low\",\"when\":\"true\"}]},"                                               \
    "\"b.hot\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"hot\",\"when\":\"count(order.paid[12s:1s]) >= 2\"}]},"      \
    "\"b.steady\":{\"min_dwell\":\"12s\",\"tags\":[{\"tag\":\"on\",\"when\":\"count(interaction[9s:1s]) >= 2\"},"      \
    "{\"tag\":\"off\",\"when\":\"count(interaction[9s:1s]) == 0\"}]},"                                                 \
    "\"b.back\":{\"tags\":[{\"tag\":\"back\",\"when\":\"was(b.activity) == 'silent' and since(order.paid) < 5s or "    \
    "was(b.back) == 'back' and held(b.back) < 4s\"}]},"                                                                \
    "\"b.type\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"x\"},{\"tag\":\"y\"}]}"

static void say(struct world *world, uint32_t topic, const char *type, const char *customer, int64_t time_ms,
                const char *data)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    world_append(world, 0, topic,
                 tagd_arena_printf(&world->memory,
                                   "{\"specversion\":\"1.0\",\"id\":\"s%u\",\"source\":\"test\",\"type\":\"%s\","
                                   "\"subject\":\"%s\",\"time\":\"%s\",\"data\":%s}",
                                   world->n_events++, type, customer, time, data));
}

static void decide(struct world *world, const char *customer, int number, const char *decision, int64_t time_ms)
{
    say(world, 0, "tag.reviewed", customer, time_ms,
        tagd_arena_printf(&world->memory, "{\"proposal\":\"proposal:%s:%d\",\"decision\":\"%s\",\"by\":\"ann\"}",
                          customer, number, decision));
}

/* The same shop, with people who decide and assign. */
static void feed_people(struct world *world, int step)
{
    int64_t at = T0 + (int64_t)step * STEP_MS;
    char until[TAGD_TIME_TEXT];
    tagd_time_format(at + 4500, until);
    feed_shop(world, step);
    switch (step) {
    case 1:
        decide(world, "c", 1, "approved", at + 100);
        decide(world, "c", 2, "approved", at + 101);
        break;
    case 2:
        decide(world, "e", 1, "rejected", at + 100);
        say(world, 1, "tag.assigned", "d", at + 101,
            "{\"dimension\":\"b.type\",\"tag\":\"x\",\"by\":\"bob\",\"reason\":\"call\"}");
        break;
    case 3:
        decide(world, "c", 7, "approved", at + 100);
        say(world, 0, "tag.assigned", "e", at + 101,
            tagd_arena_printf(&world->memory,
                              "{\"dimension\":\"b.activity\",\"tag\":\"busy\",\"by\":\"bob\",\"reason\":\"met\","
                              "\"until\":\"%s\"}",
                              until));
        break;
    case 5:
        decide(world, "c", 9, "rejected", at + 100);
        say(world, 1, "tag.cleared", "d", at + 101, "{\"dimension\":\"b.type\",\"by\":\"bob\"}");
        break;
    case 6: decide(world, "e", 2, "approved", at + 100); break;
    default: break;
    }
}

static const struct script scripts[] = {
    {"events", "", DIMENSIONS, true, false, 8, feed_shop},
    {"events, binary", "", DIMENSIONS, true, true, 8, feed_shop},
    {"live", "", DIMENSIONS, false, false, 8, feed_shop},
    {"kinds, binary", ALERTS, KINDS, true, true, 8, feed_people},
    {"kinds, live", ALERTS, KINDS, false, false, 8, feed_people},
};

/* ---- a run ---- */

struct run {
    struct world world;
    const struct script *script;
    struct tagd_worker_config config;
    struct tagd_worker *worker;
    size_t deaths;
    struct world_store copies[STEPS_MAX + 1]; /* of shard 0, before each step */
};

static void start(struct run *run)
{
    run->worker = tagd_worker_new(&run->config, &run->world.port);
}

static void open_run(struct run *run, const struct script *script)
{
    memset(run, 0, sizeof(*run));
    world_open_with(&run->world, script->more, script->dimensions);
    run->script = script;
    run->config = world_config(&run->world, "a", script->time_events);
    run->config.content_binary = script->binary;
    run->config.rules.future_ms = script->time_events ? -1 : 3600000;
    start(run);
}

static void close_run(struct run *run)
{
    world_kill(&run->world, run->worker);
    world_close(&run->world);
}

/* A death is followed by another process at once. */
static void go(struct run *run, int ms)
{
    struct tagd_error error = {""};
    for (int i = 0; i < ms; i++) {
        run->world.mono_ms++;
        run->world.wall_ms++;
        if (!tagd_worker_step(run->worker, 0, &error))
            fprintf(stderr, "%s\n", error.text);
        CHECK(error.text[0] == '\0');
        if (!run->world.dead)
            continue;
        run->deaths++;
        world_kill(&run->world, run->worker);
        start(run);
    }
}

/* Until both shards run, after whatever that takes. */
static void recover(struct run *run)
{
    for (int i = 0; i < 4000 && tagd_worker_stats(run->worker)->shards_running < 2; i++)
        go(run, 1);
    go(run, 20);
}

static void set_clocks(struct run *run, int64_t since_start_ms)
{
    CHECK(run->world.wall_ms <= T0 + since_start_ms);
    run->world.mono_ms += T0 + since_start_ms - run->world.wall_ms;
    run->world.wall_ms = T0 + since_start_ms;
}

/* The clocks are the same in every run as the step begins and as its grace has passed. */
static void play(struct run *run, int from, int to)
{
    for (int step = from; step < to; step++) {
        set_clocks(run, (int64_t)step * STEP_MS + 40);
        go(run, 10);
        run->copies[step] = world_copy(&run->world.shards[0]);
        run->script->feed(&run->world, step);
        go(run, 20);
        set_clocks(run, (int64_t)step * STEP_MS + 2500);
        go(run, 20);
        set_clocks(run, (int64_t)step * STEP_MS + 5000);
        go(run, 20);
    }
    run->copies[to] = world_copy(&run->world.shards[0]);
}

/* ---- what came of it ---- */

static bool same_header(const struct tagd_header *header, const char *name)
{
    return tagd_str_eq(header->name, tagd_str_of(name));
}

/* A record as text, but for when it was recorded and by which batch. */
static void add_output(struct tagd_buf *text, const struct tagd_record *record)
{
    const char *value = record->value.p, *recorded = strstr(value, "\"recordedtime\":\"");
    size_t before = recorded == NULL ? record->value.n : (size_t)(recorded - value);
    tagd_buf_printf(text, "%.*s", (int)record->key.n, record->key.p);
    for (size_t i = 0; i < record->n_headers; i++)
        if (!same_header(&record->headers[i], "tagd_batch") && !same_header(&record->headers[i], "ce_recordedtime"))
            tagd_buf_printf(text, " %.*s=%.*s", (int)record->headers[i].name.n, record->headers[i].name.p,
                            (int)record->headers[i].value.n, record->headers[i].value.p);
    tagd_buf_printf(text, " %.*s", (int)before, value);
    if (recorded != NULL)
        tagd_buf_add_z(text, strchr(recorded + strlen("\"recordedtime\":\""), ','));
    tagd_buf_add_z(text, "\n");
}

static int by_text(const void *left, const void *right)
{
    const struct tagd_str *a = left, *b = right;
    return tagd_str_cmp(*a, *b);
}

/* Customer by customer and topic by topic, each in its own order; dead letters in the order of what they say. */
static struct tagd_buf outputs_of(struct world *world)
{
    static const char *const customers[] = {"c", "d", "e", "late", "f"};
    struct tagd_buf text = {0}, letter = {0};
    struct tagd_str letters[WORLD_OUTPUTS];
    struct world_shard *shard = &world->shards[0];
    for (size_t c = 0; c < 2 * sizeof(customers) / sizeof(customers[0]); c++) {
        const struct world_outputs *outputs = &shard->outputs[c % 2 == 0 ? TAGD_OUT_CHANGE : TAGD_OUT_CHURN];
        for (int64_t i = 0; i < outputs->end; i++)
            if (tagd_str_eq(outputs->at[i].record.key, tagd_str_of(customers[c / 2])))
                add_output(&text, &outputs->at[i].record);
    }
    size_t n = (size_t)shard->outputs[TAGD_OUT_DEAD_LETTER].end;
    for (size_t i = 0; i < n; i++) {
        letter.n = 0;
        add_output(&letter, &shard->outputs[TAGD_OUT_DEAD_LETTER].at[i].record);
        letters[i] = tagd_arena_copy(&world->memory, letter.p, letter.n);
    }
    qsort(letters, n, sizeof(letters[0]), by_text);
    for (size_t i = 0; i < n; i++)
        tagd_buf_add_str(&text, letters[i]);
    tagd_buf_add_byte(&text, '\0');
    tagd_buf_free(&letter);
    return text;
}

/* Views and profiles. Up to where a customer was evaluated is for batches to say; it changes nothing. */
static struct tagd_buf state_of(struct world *world)
{
    struct tagd_buf text = {0};
    struct tagd_error error;
    struct tagd_profile *profile = tagd_profile_new(world->catalog);
    const struct world_shard *shard = &world->shards[0];
    const char *ids[] = {"c", "d", "e", "late", "f"};
    for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++)
        for (size_t i = 0; i < shard->n_customers; i++) {
            const struct world_customer *customer = &shard->customers[i];
            if (!tagd_str_eq(customer->id, tagd_str_of(ids[k])))
                continue;
            CHECK(customer->told.n == 0 && customer->bytes.n > 0);
            CHECK(tagd_profile_decode(profile, customer->bytes, &error));
            tagd_profile_check(profile);
            CHECK(customer->due_ms <= tagd_profile_due(profile));
            profile->clock = profile->last;
            if (profile->chase.n == 0)
                profile->chase.at = 0; /* of a row of changes that is over */
            tagd_buf_printf(&text, "%s: %s", ids[k], customer->view);
            size_t at = text.n;
            tagd_profile_encode(profile, &text);
            for (size_t n = text.n, b = at; b < n; b++)
                tagd_buf_printf(&text, "%02x", (unsigned char)text.p[b]);
            memmove(text.p + at, text.p + at + (text.n - at) / 3, (text.n - at) / 3 * 2);
            text.n -= (text.n - at) / 3;
            tagd_buf_add_z(&text, "\n");
        }
    const struct tagd_head *head = &shard->head;
    tagd_buf_printf(&text, "next %" PRId64 ",%" PRId64 " of %" PRId64 ",%" PRId64 " watermark %" PRId64 "\n",
                    head->next_offset[0], head->next_offset[1], shard->topics[0].committed, shard->topics[1].committed,
                    head->watermark_ms);
    tagd_buf_add_byte(&text, '\0');
    CHECK(head->repair.phase == TAGD_NO_REPAIR);
    tagd_profile_free(profile);
    return text;
}

/* The same without the position, which a copy of another history may have passed. */
static struct tagd_buf customers_of(struct world *world)
{
    struct tagd_buf text = state_of(world);
    *strstr(text.p, "next ") = '\0';
    return text;
}

static bool same_text(const char *what, struct tagd_buf is, struct tagd_buf expected)
{
    bool same = strcmp(is.p, expected.p) == 0;
    size_t at = 0, line = 0;
    for (; !same && is.p[at] == expected.p[at]; at++)
        if (is.p[at] == '\n')
            line = at + 1;
    if (!same)
        fprintf(stderr, "%s is\n%.1000s\nand not\n%.1000s\n", what, is.p + line, expected.p + line);
    tagd_buf_free(&is);
    tagd_buf_free(&expected);
    return same;
}

struct known { /* of a customer, as what is published tells it */
    struct tagd_str customer;
    uint64_t revision[TAGD_KINDS];
    struct tagd_str tags[16];
    uint64_t open[16];
};

static void follow(struct known *known, const struct tagd_told_change *change)
{
    struct tagd_str *tag = &known->tags[change->dimension];
    uint64_t *open = &known->open[change->dimension];
    CHECK(change->revision == ++known->revision[change->kind]);
    if (change->kind == TAGD_KIND_PROPOSAL) {
        CHECK(change->status == TAGD_PROPOSAL_OPEN ? *open == 0 : *open == change->proposal);
        *open = change->status == TAGD_PROPOSAL_OPEN ? change->revision : 0;
        return;
    }
    CHECK((tag->p == NULL) == (change->from.p == NULL) && (tag->p == NULL || tagd_str_eq(*tag, change->from)));
    *tag = change->to;
}

/* Each customer's revisions of each kind have no gap, each change comes from the one before in its dimension, and only what
 * is open is closed. What has become of one customer. */
static struct known check_chain_of(struct world *world, const char *customer)
{
    struct known known[8] = {0}, found = {0};
    for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++) {
        struct world_outputs *outputs = &world->shards[0].outputs[kind];
        for (int64_t i = 0; i < outputs->end && kind != TAGD_OUT_DEAD_LETTER; i++) {
            const struct tagd_record *record = &outputs->at[i].record;
            struct tagd_told_change change;
            size_t k = 0;
            CHECK(tagd_told_change_read(world->catalog, record->key, record->value, record->headers, record->n_headers,
                                        &world->memory, &change));
            while (known[k].customer.p != NULL && !tagd_str_eq(known[k].customer, change.customer))
                k++;
            known[k].customer = change.customer;
            follow(&known[k], &change);
            if (tagd_str_eq(change.customer, tagd_str_of(customer)))
                found = known[k];
        }
    }
    return found;
}

static void check_chain(struct world *world)
{
    check_chain_of(world, "");
}

/* A view shows what is published, but for alerts. */
static void check_views(struct world *world)
{
    const struct world_shard *shard = &world->shards[0];
    for (size_t i = 0; i < shard->n_customers; i++) {
        char id[TAGD_SUBJECT_MAX + 1], shown[128], view[300];
        snprintf(view, sizeof(view), " %s", shard->customers[i].view);
        snprintf(id, sizeof(id), "%.*s", (int)shard->customers[i].id.n, shard->customers[i].id.p);
        struct known known = check_chain_of(world, id);
        for (size_t d = 0; d < tagd_catalog_n_dimensions(world->catalog); d++) {
            const char *name = tagd_catalog_dimension(world->catalog, d);
            bool may = tagd_catalog_kind(world->catalog, d) != TAGD_KIND_ALERT && known.tags[d].p != NULL;
            snprintf(shown, sizeof(shown), may ? " %s=%.*s " : " %s=", name, (int)known.tags[d].n, known.tags[d].p);
            CHECK((strstr(view, shown) != NULL) == may);
        }
    }
}

/* Everything that may be published, was. */
static void check_all_kinds(struct world *world)
{
    static const char *const said[] = {"tagd.tag.changed",        "tagd.churn.changed",       "tagd.alert.raised",
                                       "tagd.alert.cleared",      "tagd.tag.proposed",        "\"status\":\"approved\"",
                                       "\"status\":\"rejected\"", "\"status\":\"withdrawn\"", "tagd.proposal.closed",
                                       "\"status\":\"expired\"",  "\"origin\":\"review\"",    "\"origin\":\"manual\""};
    struct tagd_buf text = outputs_of(world);
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        if (strstr(text.p, said[i]) == NULL)
            fprintf(stderr, "no %s\n%s\n", said[i], text.p);
        CHECK(strstr(text.p, said[i]) != NULL);
    }
    tagd_buf_free(&text);
    check_views(world);
}

/* The undisturbed run of a script, made once. */
static struct run *undisturbed(const struct script *script)
{
    static struct run runs[sizeof(scripts) / sizeof(scripts[0])];
    struct run *run = &runs[script - scripts];
    if (run->script == NULL) {
        open_run(run, script);
        play(run, 0, script->n);
        CHECK(run->world.shards[0].outputs[TAGD_OUT_CHANGE].end > script->n);
        if (script->more[0] != '\0')
            check_all_kinds(&run->world);
    }
    return run;
}

static bool as_if_nothing_happened(struct run *run)
{
    struct run *expected = undisturbed(run->script);
    return same_text("published", outputs_of(&run->world), outputs_of(&expected->world)) &&
           same_text("state", state_of(&run->world), state_of(&expected->world));
}

/* ---- the store goes back ---- */

/* The process dies, the store is as it was before that step (0: as if nothing had ever been there). */
static void go_back(struct run *run, int to)
{
    world_kill(&run->world, run->worker);
    if (to == 0)
        world_empty(&run->world.shards[0]);
    else
        world_bring_back(&run->world.shards[0], &run->copies[to]);
    run->config.rebuild = to == 0;
    start(run);
}

static void a_store_that_went_back_anywhere_is_as_if_nothing_had_happened(void)
{
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++)
        for (int at = 1; at <= scripts[s].n; at++)
            for (int to = 0; to < at; to++) {
                struct run run;
                open_run(&run, &scripts[s]);
                play(&run, 0, at);
                go_back(&run, to);
                recover(&run);
                CHECK(tagd_worker_stats(run.worker)->repairs == 1 &&
                      tagd_worker_stats(run.worker)->repair_changes == 0);
                CHECK(tagd_worker_stats(run.worker)->repairs_begun == 1);
                CHECK(tagd_worker_stats(run.worker)->shards_running == 2);
                CHECK(tagd_worker_stats(run.worker)->shards_repairing == 0);
                play(&run, at, scripts[s].n);
                if (!as_if_nothing_happened(&run))
                    fprintf(stderr, "%s: at %d back to %d\n%.*s", scripts[s].name, at, to, (int)run.world.notes.n,
                            run.world.notes.p);
                CHECK(as_if_nothing_happened(&run));
                close_run(&run);
            }
}

static void stops_with(struct run *run, const char *why)
{
    struct tagd_error error = {""};
    int i = 0;
    for (; i < 1000 && tagd_worker_step(run->worker, 0, &error); i++)
        run->world.mono_ms++;
    if (i == 1000 || strstr(error.text, why) == NULL)
        fprintf(stderr, "not refused, or otherwise: %s\n", error.text);
    CHECK(i < 1000 && strstr(error.text, why) != NULL && strncmp(error.text, "shard 0: ", 9) == 0);
    CHECK(run->world.shards[0].outputs[TAGD_OUT_CHANGE].end > 0);
    close_run(run);
}

/* ---- deaths ---- */

static const struct {
    int at, to;
} falls[] = {{5, 2}, {6, 0}, {8, 7}, {2, 1}};

/* Dies once, at the n-th operation after the store went back, before or after it took effect; then perhaps the store goes
 * back again, to another copy. False: it was all over before. */
static bool fall_and_die(struct run *run, const struct script *script, size_t fall, size_t n, bool after, int again)
{
    open_run(run, script);
    run->world.outputs_most = 3;
    run->world.settle_most = 2;
    play(run, 0, falls[fall].at);
    go_back(run, falls[fall].to);
    run->world.die_at = run->world.n_done + n;
    run->world.die_after = after;
    for (int i = 0; i < 500 && run->deaths == 0; i++)
        go(run, 1);
    bool died = run->deaths > 0;
    run->world.die_at = 0;
    if (died && again >= 0)
        go_back(run, again);
    recover(run);
    return died;
}

static void a_death_at_any_operation_of_a_repair_changes_nothing(void)
{
    size_t n_deaths = 0;
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++)
        for (size_t fall = 0; fall < (scripts[s].binary && s < 3 ? 1 : sizeof(falls) / sizeof(falls[0])); fall++)
            for (int after = 0; after < 2; after++)
                for (size_t n = 1, died = true; died; n += s == 3 ? 1 : 4) { /* that one has all the others have */
                    struct run run;
                    died = fall_and_die(&run, &scripts[s], fall, n, after == 1, -1);
                    n_deaths += died;
                    play(&run, falls[fall].at, scripts[s].n);
                    if (!as_if_nothing_happened(&run))
                        fprintf(stderr, "%s: fall %zu, death %zu\n", scripts[s].name, fall, n);
                    CHECK(as_if_nothing_happened(&run));
                    close_run(&run);
                }
    CHECK(n_deaths > 300);
}

static void a_store_that_goes_back_again_in_the_middle_of_a_repair_changes_nothing(void)
{
    for (size_t s = 2; s <= 3; s++)
        for (size_t fall = 0; fall < s - 1; fall++)
            for (int again = 0; again <= falls[fall].at; again++)
                for (size_t n = 1 + (size_t)again % 3, died = true; died; n += 3) {
                    struct run run;
                    died = fall_and_die(&run, &scripts[s], fall, n, n % 2 == 0, again);
                    play(&run, falls[fall].at, scripts[s].n);
                    CHECK(as_if_nothing_happened(&run));
                    close_run(&run);
                }
}

/* A copy that was made in the middle of a repair, and comes back when more was published since. */
static void a_repair_that_was_overtaken_begins_again_from_its_own_state(void)
{
    for (size_t s = 2; s <= 3; s++)
        for (size_t fall = 0; fall < 2; fall++)
            for (size_t n = 1, died = true; died; n++) {
                struct run run;
                open_run(&run, &scripts[s]);
                run.world.settle_most = 1;
                play(&run, 0, falls[fall].at);
                go_back(&run, falls[fall].to);
                run.world.die_at = run.world.n_done + n;
                run.world.die_after = true;
                for (int i = 0; i < 500 && run.deaths == 0; i++)
                    go(&run, 1);
                died = run.deaths > 0;
                struct world_store middle = world_copy(&run.world.shards[0]);
                recover(&run);
                play(&run, falls[fall].at, falls[fall].at + 2);
                world_kill(&run.world, run.worker);
                world_bring_back(&run.world.shards[0], &middle);
                start(&run);
                recover(&run);
                play(&run, falls[fall].at + 2, scripts[s].n);
                if (!as_if_nothing_happened(&run))
                    fprintf(stderr, "%s: fall %zu, copy %zu\n%.*s", scripts[s].name, fall, n, (int)run.world.notes.n,
                            run.world.notes.p);
                CHECK(as_if_nothing_happened(&run));
                close_run(&run);
            }
}

/* ---- histories that part ---- */

/* The step's records are committed by an owner that never publishes them, and its copy of the store is kept. */
static struct world_store lose_a_race(struct run *run, int step)
{
    set_clocks(run, (int64_t)step * STEP_MS + 40);
    go(run, 10);
    run->copies[step] = world_copy(&run->world.shards[0]);
    run->script->feed(&run->world, step);
    run->world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    go(run, 20);
    struct world_store lost = world_copy(&run->world.shards[0]);
    CHECK(lost.n_outbox > 0 && lost.head.batch == run->copies[step].head.batch + 1);
    world_kill(&run->world, run->worker);
    run->world.faults[TAGD_OP_PUBLISH] = (struct world_fault){0};
    return lost;
}

/* The rest of a step that was fed already. */
static void finish_step(struct run *run, int step)
{
    go(run, 400);
    set_clocks(run, (int64_t)step * STEP_MS + 2500);
    go(run, 20);
    set_clocks(run, (int64_t)step * STEP_MS + 5000);
    go(run, 20);
    run->copies[step + 1] = world_copy(&run->world.shards[0]);
}

/* Winner's store, then the loser's, then the winner's, older. */
static void a_batch_that_lost_the_race_is_taken_back(void)
{
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++)
        for (int step = 1; step < scripts[s].n - 2; step++)
            for (int more = 0; more < 2; more++) {
                struct run run;
                open_run(&run, &scripts[s]);
                play(&run, 0, step);
                struct world_store lost = lose_a_race(&run, step);
                world_bring_back(&run.world.shards[0], &run.copies[step]);
                start(&run);
                finish_step(&run, step);
                play(&run, step + 1, step + 1 + more);
                struct tagd_buf state = customers_of(&run.world);
                world_kill(&run.world, run.worker);
                world_bring_back(&run.world.shards[0], &lost);
                start(&run);
                recover(&run);
                CHECK(same_text("state", customers_of(&run.world), state));
                CHECK(tagd_worker_stats(run.worker)->repairs == 1 &&
                      tagd_worker_stats(run.worker)->repair_changes == 0);
                play(&run, step + 1 + more, scripts[s].n - 1);
                go_back(&run, step);
                recover(&run);
                play(&run, scripts[s].n - 1, scripts[s].n);
                check_chain(&run.world);
                /* Live, the winner's watermark is its own. */
                CHECK(!scripts[s].time_events || as_if_nothing_happened(&run));
                close_run(&run);
            }
}

/* Kafka lost the offsets of the loser's batches without outputs, so the winner began before them, and gave their numbers
 * to batches with outputs. */
static void a_winner_that_began_earlier_than_the_losers_outbox_is_followed(void)
{
    struct run run;
    open_run(&run, &scripts[0]);
    play(&run, 0, 1);
    struct world_shard *shard = &run.world.shards[0];
    struct world_store before = world_copy(shard);
    for (int i = 0; i < 2; i++) {
        world_event(&run.world, 0, 0, "unheard.of", "f", T0 + 4);
        go(&run, 20);
    }
    CHECK(shard->head.batch == before.head.batch + 2);
    struct world_store lost = lose_a_race(&run, 1);
    CHECK(lost.outbox[0].batch == before.head.batch + 3);
    for (uint32_t topic = 0; topic < WORLD_TOPICS; topic++) {
        shard->topics[topic].committed = -1;
        shard->topics[topic].metadata = (struct tagd_str){"", 0};
    }
    world_bring_back(shard, &before);
    start(&run);
    finish_step(&run, 1);
    play(&run, 2, 4);
    CHECK(shard->head.batch >= lost.head.batch);
    struct tagd_buf state = customers_of(&run.world);
    world_kill(&run.world, run.worker);
    world_bring_back(shard, &lost);
    start(&run);
    recover(&run);
    CHECK(same_text("state", customers_of(&run.world), state));
    CHECK(tagd_worker_stats(run.worker)->repairs == 1 && tagd_worker_stats(run.worker)->repair_changes == 0);
    check_chain(&run.world);
    close_run(&run);
}

/* The loser let a timer fire that an event, which came too late for it, kept from firing for the winner: nobody knows any
 * more when the tag that stands had come about, but stand it does. */
static void a_change_that_only_the_loser_made_is_taken_back(void)
{
    struct run run;
    open_run(&run, &scripts[2]);
    play(&run, 0, 1);
    set_clocks(&run, 5060);
    world_event(&run.world, 0, 1, "login", "g", T0 + 5000);
    go(&run, 20);
    struct world_store before = world_copy(&run.world.shards[0]);
    int64_t end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
    run.world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    set_clocks(&run, 14500);
    go(&run, 20);
    struct world_store lost = world_copy(&run.world.shards[0]);
    CHECK(lost.head.batch > before.head.batch && run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end);
    world_kill(&run.world, run.worker);
    run.world.faults[TAGD_OP_PUBLISH] = (struct world_fault){0};
    world_bring_back(&run.world.shards[0], &before);
    world_event(&run.world, 0, 1, "login", "g", T0 + 11000);
    order(&run.world, 0, "e", T0 + 11001, "toys");
    start(&run);
    recover(&run);
    CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end > end);
    end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
    struct world_store winner = world_copy(&run.world.shards[0]);
    world_kill(&run.world, run.worker);
    world_bring_back(&run.world.shards[0], &lost);
    start(&run);
    recover(&run);
    CHECK(tagd_worker_stats(run.worker)->repairs == 1 && run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end);
    struct world_customer *of_loser = world_customer(&run.world.shards[0], TAGD_STR("g"));
    size_t g = 0;
    while (!tagd_str_eq(winner.customers[g].id, TAGD_STR("g")))
        g++;
    CHECK(strcmp(winner.customers[g].view, "b.activity=busy _revision=1 _at=1700000005000 ") == 0);
    CHECK(strcmp(of_loser->view, "b.activity=busy _revision=1 _at=1700000012000 ") == 0); /* at the latest */
    struct tagd_profile *profile = tagd_profile_new(run.world.catalog);
    struct tagd_tag_history history;
    struct tagd_error error;
    CHECK(tagd_profile_decode(profile, of_loser->bytes, &error));
    tagd_profile_tag_history(profile, 0, &history);
    CHECK(tagd_str_eq(history.before, TAGD_STR("silent")) && history.since_ms >= T0 + 12000); /* its own story */
    tagd_profile_free(profile);
    set_clocks(&run, 50000);
    go(&run, 3000);
    CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end > end);
    check_chain(&run.world);
    close_run(&run);
}

/* Nothing is read again of a topic whose records are deleted since: whether it may go on there is for the take-over
 * afterwards to decide. */
static void a_gap_behind_what_is_repaired_is_decided_about_afterwards(void)
{
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        struct run run;
        open_run(&run, &scripts[0]);
        play(&run, 0, 3);
        world_event(&run.world, 0, 1, "login", "d", T0 + 25000);
        go(&run, 20);
        struct world_partition *topic = &run.world.shards[0].topics[0];
        world_append(&run.world, 0, 0, "{}");
        topic->low = topic->end;
        run.config.continue_on_data_gap = goes_on == 1;
        go_back(&run, 3);
        if (!goes_on) {
            stops_with(&run, "1 records were deleted before they were read");
            continue;
        }
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1 && tagd_worker_stats(run.worker)->data_gaps == 1);
        close_run(&run);
    }
}

/* The loser had read further than what the winner published. */
static void a_copy_that_read_further_is_repaired_up_to_where_it_is(void)
{
    for (int letters = 0; letters < 2; letters++) {
        struct run run;
        struct tagd_error error = {""};
        open_run(&run, &scripts[0]);
        int step = letters ? 4 : 6; /* step 4 has a dead letter */
        play(&run, 0, step);
        struct world_store lost = lose_a_race(&run, step);
        world_bring_back(&run.world.shards[0], &run.copies[step]);
        run.config.batch_events_max = 1;
        int64_t committed = run.world.shards[0].topics[0].committed;
        start(&run);
        while (run.world.shards[0].topics[0].committed == committed)
            go(&run, 1);
        world_kill(&run.world, run.worker);
        CHECK(run.world.shards[0].topics[1].committed < lost.head.next_offset[1]);
        world_bring_back(&run.world.shards[0], &lost);
        run.config.batch_events_max = 1000;
        start(&run);
        if (letters) {
            for (int i = 0; i < 1000 && tagd_worker_step(run.worker, 0, &error); i++)
                run.world.mono_ms++;
            CHECK(strstr(error.text, "the dead letter of topic \"first\", offset ") != NULL);
            close_run(&run);
            continue;
        }
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1 && tagd_worker_stats(run.worker)->repair_changes == 1);
        CHECK(run.world.shards[0].topics[1].committed == lost.head.next_offset[1]);
        go_back(&run, 2); /* what a repair has published is told as anything else */
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repair_changes == 0);
        play(&run, step + 1, run.script->n);
        check_chain(&run.world);
        close_run(&run);
    }
}

/* Without any difference it is still to be said in Kafka up to where records were taken into account. */
static void a_copy_that_read_further_for_nothing_levels_the_offsets(void)
{
    struct run run;
    open_run(&run, &scripts[0]);
    play(&run, 0, 2);
    world_event(&run.world, 0, 0, "unheard.of", "f", T0 + 5001);
    struct world_store before = world_copy(&run.world.shards[0]);
    run.world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
    world_event(&run.world, 0, 1, "unheard.of", "f", T0 + 5002);
    go(&run, 20);
    struct world_store lost = world_copy(&run.world.shards[0]);
    world_kill(&run.world, run.worker);
    run.world.faults[TAGD_OP_PUBLISH] = (struct world_fault){0};
    world_bring_back(&run.world.shards[0], &before);
    run.config.batch_events_max = 1;
    start(&run);
    while (run.world.shards[0].topics[0].committed == before.head.next_offset[0])
        go(&run, 1);
    world_kill(&run.world, run.worker);
    CHECK(run.world.shards[0].topics[1].committed < lost.head.next_offset[1]);
    world_bring_back(&run.world.shards[0], &lost);
    start(&run);
    recover(&run);
    CHECK(tagd_worker_stats(run.worker)->repairs == 1 && tagd_worker_stats(run.worker)->shards_running == 2);
    CHECK(run.world.shards[0].topics[1].committed == lost.head.next_offset[1]);
    CHECK(run.world.shards[0].head.batch == lost.head.batch + 1);
    close_run(&run);
}

/* ---- all of it, by chance ---- */

#define POOL 12

struct chance {
    uint64_t state;
    struct world_store pool[POOL]; /* copies of the store, of whatever moment and history */
    size_t n;
};

static unsigned draw(struct chance *chance, unsigned below)
{
    chance->state = chance->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(chance->state >> 33) % below;
}

static void keep_copy(struct run *run, struct chance *chance)
{
    size_t at = chance->n < POOL ? chance->n++ : draw(chance, POOL);
    chance->pool[at] = world_copy(&run->world.shards[0]);
}

/* A process of another batch size, with another port, upon some copy. */
static void bring_back_any(struct run *run, struct chance *chance)
{
    unsigned which = draw(chance, (unsigned)chance->n + 1);
    keep_copy(run, chance);
    world_kill(&run->world, run->worker);
    run->config.rebuild = true; /* a copy may be of an emptied one */
    if (which == chance->n)
        world_empty(&run->world.shards[0]);
    else
        world_bring_back(&run->world.shards[0], &chance->pool[which]);
    run->world.outputs_most = 1 + draw(chance, 9);
    run->world.settle_most = 1 + draw(chance, 4);
    start(run);
}

static void suffer(struct run *run, struct chance *chance)
{
    for (unsigned blows = draw(chance, 4); blows > 0; blows--) {
        size_t deaths = run->deaths;
        bring_back_any(run, chance);
        run->world.die_at = run->world.n_done + 1 + draw(chance, 90);
        run->world.die_after = draw(chance, 2) == 1;
        for (int i = 0; i < 250 && run->deaths == deaths; i++)
            go(run, 1);
        run->world.die_at = 0;
        keep_copy(run, chance);
    }
}

static void whatever_happens_in_whatever_order_is_as_if_nothing_had_happened(void)
{
    static const size_t in_events[] = {0, 1, 3};
    static struct chance chance;
    size_t deaths = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct run run;
        chance = (struct chance){.state = seed};
        open_run(&run, &scripts[in_events[seed % 3]]);
        for (int step = 0; step < run.script->n; step++) {
            set_clocks(&run, (int64_t)step * STEP_MS + 40);
            go(&run, 10);
            keep_copy(&run, &chance);
            run.script->feed(&run.world, step);
            go(&run, (int)draw(&chance, 6)); /* its batch may be anywhere */
            if (step > 0)
                suffer(&run, &chance);
            recover(&run);
        }
        if (!as_if_nothing_happened(&run))
            fprintf(stderr, "seed %" PRIu64 "\n%.*s", seed, (int)run.world.notes.n, run.world.notes.p);
        CHECK(as_if_nothing_happened(&run));
        deaths += run.deaths;
        close_run(&run);
    }
    CHECK(deaths > 500);
}

/* ---- both shards, and all else that may come in between ---- */

/* The same for both shards: each has customers, bad records and timers of its own. */
static void feed_both(struct world *world, int step)
{
    struct world_shard *shards = world->shards;
    int64_t at = T0 + (int64_t)step * STEP_MS;
    feed_shop(world, step);
    world_event(world, 1, 0, "login", step % 2 == 0 ? "d" : "e", at + 5);
    world_event(world, 1, 1, "login", "c", at + 6);
    if (step % 2 == 1)
        world_append(world, 1, 0, "{nonsense");
    CHECK(shards[1].topics[0].end > step);
}

static void swap_shards(struct world *world)
{
    static struct world_shard first;
    first = world->shards[0];
    world->shards[0] = world->shards[1];
    world->shards[1] = first;
}

static bool both_same(struct run *run, struct run *expected)
{
    bool same = true;
    for (int i = 0; i < 2; i++) {
        same = same && same_text("published", outputs_of(&run->world), outputs_of(&expected->world)) &&
               same_text("state", state_of(&run->world), state_of(&expected->world));
        swap_shards(&run->world);
        swap_shards(&expected->world);
    }
    return same;
}

static void plant(struct run *run, struct chance *chance)
{
    static const struct {
        enum tagd_op_kind kind;
        enum tagd_op_status status;
        bool effect;
    } faults[] = {{TAGD_OP_COMMIT, TAGD_UNKNOWN, true},   {TAGD_OP_COMMIT, TAGD_UNKNOWN, false},
                  {TAGD_OP_COMMIT, TAGD_REFUSED, false},  {TAGD_OP_PUBLISH, TAGD_UNKNOWN, true},
                  {TAGD_OP_PUBLISH, TAGD_UNKNOWN, false}, {TAGD_OP_PUBLISH, TAGD_ABORTED, false},
                  {TAGD_OP_PUBLISH, TAGD_FENCED, false},  {TAGD_OP_LOAD, TAGD_UNKNOWN, false},
                  {TAGD_OP_OUTPUTS, TAGD_ABORTED, false}, {TAGD_OP_COMMITTED, TAGD_ABORTED, false},
                  {TAGD_OP_START, TAGD_ABORTED, false},   {TAGD_OP_FENCE, TAGD_UNKNOWN, false}};
    unsigned which = draw(chance, sizeof(faults) / sizeof(faults[0]));
    run->world.faults[faults[which].kind] =
        (struct world_fault){1 + (int)draw(chance, 3), faults[which].status, faults[which].effect};
}

/* The group takes both away, or the broker says that they can't be read on, or another owner has taken a fence. */
static void interfere(struct run *run, struct chance *chance)
{
    unsigned revoked = run->world.revoked;
    switch (draw(chance, 5)) {
    case 0:
        run->world.lost = true;
        go(run, 1 + (int)draw(chance, 3));
        run->world.assign = true;
        return;
    case 1:
        run->world.revoke = true;
        for (int i = 0; i < 5000 && run->world.revoked == revoked; i++)
            go(run, 1);
        CHECK(run->world.revoked > revoked);
        run->world.assign = true;
        return;
    case 2: run->world.again = true; return;
    case 3: run->world.shards[draw(chance, 2)].fence++; return;
    default: plant(run, chance); return;
    }
}

static void whatever_comes_in_between_while_both_shards_are_repaired_changes_nothing(void)
{
    static const struct script script = {"both", ALERTS, KINDS, true, false, 6, feed_both};
    static struct run expected;
    static struct world_store second[STEPS_MAX + 1];
    open_run(&expected, &script);
    play(&expected, 0, script.n);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct chance chance = {.state = seed};
        struct run run;
        open_run(&run, &script);
        run.world.outputs_most = 1 + draw(&chance, 4);
        run.world.settle_most = 1 + draw(&chance, 2);
        for (int step = 0; step + 1 < script.n; step++) {
            second[step] = world_copy(&run.world.shards[1]);
            play(&run, step, step + 1);
        }
        set_clocks(&run, (int64_t)(script.n - 1) * STEP_MS + 40);
        go_back(&run, 1 + (int)draw(&chance, 4));
        if (draw(&chance, 3) > 0)
            world_bring_back(&run.world.shards[1], &second[1 + draw(&chance, 4)]);
        go(&run, (int)draw(&chance, 20));
        plant(&run, &chance);
        feed_both(&run.world, script.n - 1); /* one may run while the other is repaired */
        for (unsigned n = draw(&chance, 7); n > 0; n--) {
            go(&run, 1 + (int)draw(&chance, 40));
            interfere(&run, &chance);
            go(&run, 2);
        }
        memset(run.world.faults, 0, sizeof(run.world.faults));
        recover(&run);
        go(&run, 3000);
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->shards_running == 2);
        bool same = both_same(&run, &expected);
        if (!same)
            fprintf(stderr, "seed %" PRIu64 "\n%.*s", seed, (int)run.world.notes.n, run.world.notes.p);
        CHECK(same);
        close_run(&run);
    }
    close_run(&expected);
}

/* ---- differences ---- */

/* The last published change with this text says another one instead. */
static void falsify_of(struct world *world, enum tagd_output_kind kind, const char *is, const char *becomes)
{
    struct world_outputs *outputs = &world->shards[0].outputs[kind];
    for (int64_t i = outputs->end; i-- > 0;) {
        struct tagd_record *record = &outputs->at[i].record;
        const char *at = strstr(record->value.p, is);
        if (at == NULL)
            continue;
        record->value = tagd_str_of(tagd_arena_printf(&world->memory, "%.*s%s%s", (int)(at - record->value.p),
                                                      record->value.p, becomes, at + strlen(is)));
        return;
    }
    CHECK(false);
}

static void falsify(struct world *world, const char *is, const char *becomes)
{
    falsify_of(world, TAGD_OUT_CHANGE, is, becomes);
}

static const char *last_change(struct world *world)
{
    const struct world_outputs *outputs = &world->shards[0].outputs[TAGD_OUT_CHANGE];
    return outputs->at[outputs->end - 1].record.value.p;
}

static void what_was_published_otherwise_is_put_right(void)
{
    for (int to = 0; to < 3; to++) {
        struct run run;
        open_run(&run, &scripts[0]);
        play(&run, 0, 3);
        int64_t end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
        falsify(&run.world, "\"from\":\"books\",\"to\":\"toys\"", "\"from\":\"books\",\"to\":\"dogs\"");
        go_back(&run, to);
        recover(&run);
        const struct world_customer *e = world_customer(&run.world.shards[0], TAGD_STR("e"));
        CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end + 1);
        CHECK(strstr(last_change(&run.world), "{\"dimension\":\"b.category\",\"from\":\"dogs\",\"to\":\"toys\","
                                              "\"revision\":5,\"catalog\":\"shop@1\",\"origin\":\"repair\","));
        CHECK(strstr(last_change(&run.world), "\"because\":{\"rule\":\"top(category, order.paid)\",\"values\":{\"top("
                                              "category, order.paid)\":\"toys\"},\"failed\":null}"));
        CHECK(strstr(last_change(&run.world), "\"id\":\"tag:e:5\"") && !strstr(last_change(&run.world), "causationid"));
        CHECK(strstr(last_change(&run.world), "\"time\":\"2023-11-14T22:13:40.00"));
        CHECK(strstr(last_change(&run.world), "\"caught_up\":false"));
        CHECK(strstr(e->view, "b.category=toys _revision=5 "));
        CHECK(tagd_worker_stats(run.worker)->repair_changes == 1 && tagd_worker_stats(run.worker)->changes_time == 0);
        CHECK(strstr(run.world.notes.p, "1 differences published"));
        go_back(&run, to); /* and that is known by now */
        recover(&run);
        CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end + 1);
        CHECK(tagd_worker_stats(run.worker)->repair_changes == 0);
        play(&run, 3, 8);
        check_chain(&run.world);
        CHECK(strstr(e->view, "b.category=toys "));
        close_run(&run);
    }
}

static int64_t n_outputs(const struct world *world)
{
    int64_t n = 0;
    for (uint32_t shard = 0; shard < WORLD_SHARDS; shard++)
        for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++)
            n += world->shards[shard].outputs[kind].end;
    return n;
}

/* What was on its way to Kafka when the hold came may still arrive; then nothing does, until it is lifted. False: the
 * repair was over before. */
static bool hold_after(struct run *run, struct tagd_brakes *brakes, int steps)
{
    go(run, steps);
    bool before = tagd_worker_stats(run->worker)->repairs == 0;
    bool on_its_way = run->world.n_ops > 0 && run->world.ops[0]->kind == TAGD_OP_PUBLISH;
    brakes->outputs_flow = false;
    go(run, on_its_way ? 1 : 0);
    int64_t n = n_outputs(&run->world);
    go(run, 100);
    CHECK(n_outputs(&run->world) == n);
    brakes->outputs_flow = true;
    recover(run);
    return before;
}

/* Brakes come with the next process. */
static void open_held(struct run *run, const struct script *script, struct tagd_brakes *brakes)
{
    *brakes = world_brakes();
    open_run(run, script);
    run->config.brakes = brakes;
    run->world.settle_most = 2;
}

static void a_hold_at_any_step_of_a_repair_only_delays_it(void)
{
    size_t n_holds = 0;
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++)
        for (size_t fall = 0; fall < sizeof(falls) / sizeof(falls[0]); fall++) {
            bool before = true;
            for (int steps = 0; before; steps++) {
                struct tagd_brakes brakes;
                struct run run;
                open_held(&run, &scripts[s], &brakes);
                play(&run, 0, falls[fall].at);
                go_back(&run, falls[fall].to);
                before = hold_after(&run, &brakes, steps);
                n_holds += before;
                CHECK(tagd_worker_stats(run.worker)->repairs == 1);
                play(&run, falls[fall].at, scripts[s].n);
                CHECK(as_if_nothing_happened(&run));
                close_run(&run);
            }
        }
    CHECK(n_holds > 100);
}

/* And what the repair publishes waits, too. */
static void a_hold_at_any_step_keeps_what_a_repair_puts_right(void)
{
    bool before = true;
    for (int steps = 0; before; steps++) {
        struct tagd_brakes brakes;
        struct run run;
        open_held(&run, &scripts[0], &brakes);
        play(&run, 0, 3);
        int64_t end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
        falsify(&run.world, "\"from\":\"books\",\"to\":\"toys\"", "\"from\":\"books\",\"to\":\"dogs\"");
        go_back(&run, 1);
        before = hold_after(&run, &brakes, steps);
        CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end + 1);
        CHECK(strstr(last_change(&run.world), "{\"dimension\":\"b.category\",\"from\":\"dogs\",\"to\":\"toys\","));
        CHECK(tagd_worker_stats(run.worker)->repairs == 1);
        play(&run, 3, 8);
        check_chain(&run.world);
        close_run(&run);
    }
}

/* Several, of several customers, and a death anywhere: each once. */
static void differences_are_published_once_whatever_dies(void)
{
    for (int after = 0; after < 2; after++)
        for (size_t n = 1, died = true; died; n++) {
            struct run run;
            open_run(&run, &scripts[0]);
            run.world.settle_most = 1;
            play(&run, 0, 3);
            int64_t end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
            falsify(&run.world, "\"from\":\"books\",\"to\":\"toys\"", "\"from\":\"books\",\"to\":null");
            falsify(&run.world, "\"from\":null,\"to\":\"hot\",\"revision\":9",
                    "\"from\":null,\"to\":null,\"revision\":9");
            go_back(&run, 0);
            run.world.die_at = run.world.n_done + n;
            run.world.die_after = after == 1;
            recover(&run);
            died = run.deaths > 0;
            CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end + 2);
            struct world_store middle = world_copy(&run.world.shards[0]);
            go_back(&run, 1);
            recover(&run);
            CHECK(tagd_worker_stats(run.worker)->repair_changes == 0);
            play(&run, 3, 8);
            check_chain(&run.world);
            world_kill(&run.world, run.worker);
            world_bring_back(&run.world.shards[0], &middle);
            start(&run);
            recover(&run);
            CHECK(tagd_worker_stats(run.worker)->repair_changes == 0);
            close_run(&run);
        }
}

/* ---- differences, of every kind ---- */

static const struct script people = {"kinds", ALERTS, KINDS, true, false, 8, feed_people};

/* The last record but so many of an output says this. */
static bool published(struct world *world, enum tagd_output_kind kind, int64_t back, const char *what)
{
    const struct world_outputs *outputs = &world->shards[0].outputs[kind];
    const char *value = outputs->at[outputs->end - 1 - back].record.value.p;
    bool is = strstr(value, what) != NULL;
    if (!is)
        fprintf(stderr, "no %s in\n%s\n", what, value);
    return is;
}

/* The state goes back, and then again: what the first repair has published is known to the second. */
static void repaired(struct run *run, int to, uint64_t differences)
{
    go_back(run, to);
    recover(run);
    if (tagd_worker_stats(run->worker)->repair_changes != differences)
        fprintf(stderr, "%.*s", (int)run->world.notes.n, run->world.notes.p);
    CHECK(tagd_worker_stats(run->worker)->repairs == 1);
    CHECK(tagd_worker_stats(run->worker)->repair_changes == differences);
    go_back(run, to);
    recover(run);
    CHECK(tagd_worker_stats(run->worker)->repairs == 1 && tagd_worker_stats(run->worker)->repair_changes == 0);
    check_chain(&run->world);
}

static void a_proposal_that_was_published_otherwise_is_closed_and_made_anew(void)
{
    for (int to = 0; to < 3; to++) {
        struct run run;
        open_run(&run, &people);
        play(&run, 0, 4);
        int64_t end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
        falsify(&run.world, "\"from\":null,\"to\":\"high\",\"revision\":4,",
                "\"from\":null,\"to\":\"low\",\"revision\":4,");
        repaired(&run, to, to < 2 ? 2 : 0); /* to 2: it was not read again */
        CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end + (to < 2 ? 2 : 0));
        if (to == 2) {
            close_run(&run);
            continue;
        }
        CHECK(published(&run.world, TAGD_OUT_CHANGE, 1,
                        "{\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"revision\":8,\"catalog\":\"shop@1\","
                        "\"origin\":\"repair\",\"proposal\":\"proposal:c:4\",\"status\":\"withdrawn\",\"by\":null"));
        CHECK(published(&run.world, TAGD_OUT_CHANGE, 1, "\"id\":\"proposal:c:8\""));
        CHECK(
            published(&run.world, TAGD_OUT_CHANGE, 0,
                      "{\"dimension\":\"b.level\",\"from\":null,\"to\":\"high\",\"revision\":9,\"catalog\":\"shop@1\","
                      "\"origin\":\"repair\",\"because\":{\"rule\":\"count(order.paid) >= 3\""));
        CHECK(published(&run.world, TAGD_OUT_CHANGE, 0, "\"id\":\"proposal:c:9\""));
        int64_t at = run.world.shards[0].head.latest_ms;
        decide(&run.world, "c", 4, "approved", at + 1); /* it is closed */
        go(&run, 20);
        CHECK(check_chain_of(&run.world, "c").revision[TAGD_KIND_PROPOSAL] == 9);
        decide(&run.world, "c", 9, "approved", at + 2);
        go(&run, 20);
        CHECK(strstr(world_customer(&run.world.shards[0], TAGD_STR("c"))->view, "b.level=high "));
        close_run(&run);
    }
}

/* Published is that the proposal was rejected, and so it was, whatever the records say by now; an alert that stands on the
 * decision is put right. */
static void what_people_decided_is_not_decided_again(void)
{
    for (int to = 0; to < 2; to++) {
        struct run run;
        open_run(&run, &people);
        play(&run, 0, 2);
        falsify(&run.world, "\"proposal\":\"proposal:c:2\",\"status\":\"approved\"",
                "\"proposal\":\"proposal:c:2\",\"status\":\"rejected\"");
        falsify(&run.world, "\"b.hot\",\"from\":null,\"to\":\"hot\",\"revision\":7",
                "\"b.hot\",\"from\":null,\"to\":null,\"revision\":7");
        repaired(&run, to, 1);
        CHECK(published(&run.world, TAGD_OUT_CHANGE, 0, "\"type\":\"tagd.alert.cleared\""));
        CHECK(published(&run.world, TAGD_OUT_CHANGE, 0,
                        "{\"alert\":\"hot\",\"revision\":2,\"catalog\":\"shop@1\",\"origin\":\"repair\""));
        CHECK(published(&run.world, TAGD_OUT_CHANGE, 0, "\"id\":\"alert:c:2\""));
        struct known c = check_chain_of(&run.world, "c");
        CHECK(c.revision[TAGD_KIND_PROPOSAL] == 5 && c.open[3] == 4 && c.open[4] == 0 && c.tags[4].p == NULL);
        CHECK(!strstr(world_customer(&run.world.shards[0], TAGD_STR("c"))->view, "b.hot="));
        play(&run, 2, 8); /* it is proposed again when the rules have said something else in between */
        CHECK(check_chain_of(&run.world, "c").revision[TAGD_KIND_PROPOSAL] > 6);
        close_run(&run);
    }
}

static void a_change_of_churn_that_was_published_otherwise_is_put_right_in_its_topic(void)
{
    for (int to = 0; to < 3; to++) {
        struct run run;
        open_run(&run, &people);
        play(&run, 0, 4);
        const struct world_outputs *outputs = run.world.shards[0].outputs;
        int64_t end = outputs[TAGD_OUT_CHANGE].end, churn = outputs[TAGD_OUT_CHURN].end;
        falsify_of(&run.world, TAGD_OUT_CHURN, "\"from\":null,\"to\":\"here\"", "\"from\":null,\"to\":\"gone\"");
        repaired(&run, to, 1);
        CHECK(outputs[TAGD_OUT_CHANGE].end == end && outputs[TAGD_OUT_CHURN].end == churn + 1);
        CHECK(published(&run.world, TAGD_OUT_CHURN, 0, "\"id\":\"churn:e:2\""));
        CHECK(published(
            &run.world, TAGD_OUT_CHURN, 0,
            "{\"dimension\":\"churn.level\",\"from\":\"gone\",\"to\":\"here\",\"revision\":2,\"catalog\":\"shop@1\","
            "\"origin\":\"repair\","));
        CHECK(strstr(world_customer(&run.world.shards[0], TAGD_STR("e"))->view, "churn.level=here "));
        close_run(&run);
    }
}

#define GOALS "\"goals\":{\"wake\":{\"start\":\"b.activity.silent\",\"reach\":\"interaction\",\"within\":\"20s\"}},"
static const struct script with_goals = {"goals", GOALS, KINDS, true, false, 8, feed_people};

/* What was told of a goal stands; the population follows it. */
static void a_goal_that_was_told_otherwise_is_counted_as_it_was_told(void)
{
    for (int to = 0; to < 3; to++) {
        struct run run;
        open_run(&run, &with_goals);
        play(&run, 0, 4);
        struct world_shard *shard = &run.world.shards[0];
        int64_t began = world_counted(shard, "2023-11", "wake|started"),
                reached = world_counted(shard, "2023-11", "wake|reached"),
                missed = world_counted(shard, "2023-11", "wake|missed");
        CHECK(began > 0 && reached > 0);
        go_back(&run, to); /* nothing was told otherwise */
        recover(&run);
        CHECK(world_counted(shard, "2023-11", "wake|started") == began);
        CHECK(world_counted(shard, "2023-11", "wake|reached") == reached);
        falsify(&run.world, "tagd.goal.reached", "tagd.goal.missed");
        go_back(&run, to);
        recover(&run);
        CHECK(world_counted(shard, "2023-11", "wake|started") == began);
        CHECK(world_counted(shard, "2023-11", "wake|reached") == reached - 1);
        CHECK(world_counted(shard, "2023-11", "wake|missed") == missed + 1);
        close_run(&run);
    }
}

/* Both topics of changes; the change of a tag among those of churn is nobody's. */
static void what_a_repair_lacks_of_churn_is_said(void)
{
    struct run run;
    open_run(&run, &people);
    play(&run, 0, 5);
    run.world.shards[0].outputs[TAGD_OUT_CHURN].low = 1;
    go_back(&run, 0);
    stops_with(&run, "the topic of churn risk begins at offset 1 of the shard's partition, so that outputs of batch 1");
    open_run(&run, &people);
    play(&run, 0, 5);
    go_back(&run, 0);
    while (run.world.shards[0].head.repair.phase != TAGD_REPAIR_TELLING)
        go(&run, 1);
    world_kill(&run.world, run.worker);
    run.world.shards[0].outputs[TAGD_OUT_CHURN].low = 1;
    start(&run);
    stops_with(&run, "the topic of churn risk begins at offset 1 of the shard's partition by now, and the repair needs "
                     "it from 0");
    open_run(&run, &people);
    play(&run, 0, 5);
    struct world_outputs *outputs = run.world.shards[0].outputs;
    outputs[TAGD_OUT_CHURN].at[0].record.value = outputs[TAGD_OUT_CHANGE].at[0].record.value;
    go_back(&run, 0);
    stops_with(&run, "the record at offset 0 of the shard's partition of churn risk can't be read as a change of this "
                     "catalog");
    open_run(&run, &people);
    play(&run, 0, 5);
    falsify(&run.world, "\"type\":\"tagd.alert.raised\"", "\"type\":\"tagd.alert.cleared\"");
    go_back(&run, 0);
    stops_with(&run, "of \"loss\": outputs are missing");
    open_run(&run, &people);
    play(&run, 0, 5);
    falsify(&run.world, "\"proposal\":\"proposal:c:2\",\"status\"", "\"proposal\":\"proposal:c:1\",\"status\"");
    go_back(&run, 0);
    stops_with(&run,
               "customer \"c\" is known up to revision 4, and the next published proposal is revision 5 of \"b.hot\"");
}

/* ---- how long a tag has been held ---- */

/* At 5 s it is published otherwise, and settled; the tag was taken as the first order came, at 0. */
static struct shop held_for(const char *tag, int64_t since_ms)
{
    struct shop shop =
        shop_open("", "\"b.steady\":{\"min_dwell\":\"20s\",\"tags\":[{\"tag\":\"on\",\"when\":"
                      "\"count(order.paid[10s:1s]) >= 1\"},{\"tag\":\"off\",\"when\":\"true\"}]},"
                      "\"b.held\":{\"tags\":[{\"tag\":\"long\",\"when\":\"held(b.steady) >= 15s\"}]},"
                      "\"b.before\":{\"tags\":[{\"tag\":\"off\",\"when\":\"previous(b.steady) == 'off'\"}]}");
    struct tagd_worker_config config = {.catalog = shop.catalog};
    struct tagd_shard_context context = {.config = &config, .engine = shop.engine, .profile = shop.profile};
    struct tagd_arena arena = {0};
    struct tagd_told told;
    shop_event(&shop, "order.paid", 0, "{}");
    shop_time(&shop, 5000);
    CHECK(shop_saw(&shop, "b.steady ->on@0;"));
    tagd_told_of_profile(&told, shop.catalog, shop.profile, &arena);
    told.tags[0].history.tag = tagd_str_of(tag);
    told.tags[0].history.since_ms = since_ms;
    tagd_told_settle(&told, &context, (struct tagd_sink){&shop, shop_change});
    tagd_profile_check(shop.profile);
    tagd_arena_free(&arena);
    return shop;
}

static void min_dwell_and_held_count_from_when_the_tag_was_published(void)
{
    struct shop shop = held_for("on", 0);
    shop_time(&shop, 40000);
    CHECK(shop_saw(&shop, "b.held ->long@15000;b.steady on>off@20000;b.held long>-@20001;b.held ->long@35000;"));
    shop_close(&shop);
    shop = held_for("on", 4000);
    CHECK(shop_saw(&shop, "")); /* no tag is another */
    shop_time(&shop, 23999);
    CHECK(shop_saw(&shop, "b.held ->long@19000;"));
    shop_time(&shop, 24001);
    CHECK(shop_saw(&shop, "b.steady on>off@24000;b.held long>-@24001;"));
    shop_close(&shop);
    shop = held_for("off", 1000); /* by what was published the rules' tag was taken only now */
    CHECK(shop_saw(&shop, "b.steady off>on@5000;"));
    shop_time(&shop, 24999);
    CHECK(shop_saw(&shop, "b.before ->off@5001;b.held ->long@20000;"));
    shop_time(&shop, 25001);
    CHECK(shop_saw(&shop, "b.steady on>off@25000;b.held long>-@25001;b.before off>-@25001;"));
    shop_close(&shop);
}

/* A tag that a person gave ends as it was to, and the rules' tag beneath counts from its own beginning. */
static void min_dwell_beneath_an_assignment_is_left_alone(void)
{
    struct shop shop = shop_open("", "\"b.steady\":{\"min_dwell\":\"20s\",\"tags\":[{\"tag\":\"on\",\"when\":"
                                     "\"count(order.paid[10s:1s]) >= 1\"},{\"tag\":\"off\",\"when\":\"true\"}]}");
    struct tagd_worker_config config = {.catalog = shop.catalog};
    struct tagd_shard_context context = {.config = &config, .engine = shop.engine, .profile = shop.profile};
    struct tagd_arena arena = {0};
    struct tagd_told told;
    shop_event(&shop, "order.paid", 0, "{}");
    shop_event(&shop, "tag.assigned", 1000,
               "{\"dimension\":\"b.steady\",\"tag\":\"off\",\"by\":\"ann\",\"reason\":\"x\",\"until\":\"1970-01-01T00:"
               "00:12Z\"}");
    CHECK(shop_saw(&shop, "b.steady ->on@0;b.steady on>off@1000 manual;"));
    tagd_told_of_profile(&told, shop.catalog, shop.profile, &arena);
    told.tags[0].history.tag = TAGD_STR("on"); /* the assignment was not known of */
    told.tags[0].history.since_ms = 500;
    tagd_told_settle(&told, &context, (struct tagd_sink){&shop, shop_change});
    tagd_profile_check(shop.profile);
    shop_time(&shop, 13000);
    CHECK(shop_saw(&shop, "b.steady on>off@1000;b.steady off>on@12000;"));
    tagd_told_of_profile(&told, shop.catalog, shop.profile, &arena);
    told.tags[0].history.since_ms = 12500;
    tagd_told_settle(&told, &context, (struct tagd_sink){&shop, shop_change});
    shop_time(&shop, 30000);
    CHECK(shop_saw(&shop, "b.steady on>off@20000;"));
    tagd_arena_free(&arena);
    shop_close(&shop);
}

/* The end of a proposal was taken back, and of one that was not published again nobody knows since when it was open. */
static void a_proposal_that_is_open_again_expires_from_now_on(void)
{
    struct shop shop =
        shop_open("", "\"b.level\":{\"assign\":\"review\",\"expires\":\"20s\",\"tags\":[{\"tag\":\"high\","
                      "\"when\":\"count(order.paid) >= 1\"}]}");
    struct tagd_worker_config config = {.catalog = shop.catalog};
    struct tagd_shard_context context = {.config = &config, .engine = shop.engine, .profile = shop.profile};
    struct tagd_arena arena = {0};
    struct tagd_told told;
    struct tagd_proposal proposal;
    shop_event(&shop, "order.paid", 1000, "{}");
    shop_event(&shop, "tag.reviewed", 2000, "{\"proposal\":\"proposal:c:1\",\"decision\":\"rejected\",\"by\":\"ann\"}");
    shop_time(&shop, 7000);
    CHECK(!tagd_profile_proposal(shop.profile, 0, &proposal));
    tagd_told_of_profile(&told, shop.catalog, shop.profile, &arena);
    CHECK(told.tags[0].review.declined);
    struct tagd_told_change end = {.kind = TAGD_KIND_PROPOSAL,
                                   .to = TAGD_STR("high"),
                                   .revision = 2,
                                   .status = TAGD_PROPOSAL_REJECTED,
                                   .proposal = 1};
    CHECK(tagd_told_take_back(&told, shop.catalog, &end));
    shop.seen.n = 0;
    tagd_told_settle(&told, &context, (struct tagd_sink){&shop, shop_change});
    tagd_profile_check(shop.profile);
    CHECK(shop_saw(&shop, "") && tagd_profile_proposal(shop.profile, 0, &proposal));
    CHECK(proposal.revision == 1 && proposal.tag == 0 && proposal.at_ms == 7000 && proposal.expires_ms == 27000);
    shop_time(&shop, 26999);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, 27000);
    CHECK(shop_saw(&shop, "b.level expired ->high@27000 #2 of #1;")); /* its end */
    CHECK(tagd_profile_revision(shop.profile, TAGD_KIND_PROPOSAL) == 2);
    tagd_arena_free(&arena);
    shop_close(&shop);
}

/* ---- what history alone decides ---- */

static void an_event_of_the_future_stays_a_dead_letter_when_its_time_has_come(void)
{
    struct run run;
    open_run(&run, &scripts[2]);
    run.world.outputs_most = 1;
    play(&run, 0, 1);
    world_append(&run.world, 0, 0, "{nonsense");
    order(&run.world, 0, "c", T0 + 3700000, "silk");
    go(&run, 20);
    CHECK(world_saw(
        &run.world.letters,
        "malformed {nonsense;future {\"specversion\":\"1.0\",\"id\":\"o3\",\"source\":\"test\",\"type\":\"order.paid\","
        "\"subject\":\"c\",\"time\":\"2023-11-14T23:15:00.000Z\",\"data\":{\"category\":\"silk\"}};"));
    set_clocks(&run, 3000000);
    go(&run, 3000);
    world_event(&run.world, 0, 0, "login", "g", T0 + 3000000);
    go(&run, 20);
    int64_t end = run.world.shards[0].outputs[TAGD_OUT_CHANGE].end;
    int64_t watermark = run.world.shards[0].head.watermark_ms;
    set_clocks(&run, 8000000);
    for (int to = 0; to < 2; to++) {
        go_back(&run, to);
        while (run.world.shards[0].head.repair.phase != TAGD_NO_REPAIR || tagd_worker_stats(run.worker)->repairs == 0)
            go(&run, 1);
        CHECK(run.world.shards[0].head.watermark_ms == watermark);
        CHECK(run.world.shards[0].head.latest_ms == T0 + 3000000);
        CHECK(tagd_worker_stats(run.worker)->repair_changes == 0);
        CHECK(run.world.shards[0].outputs[TAGD_OUT_CHANGE].end == end);
        CHECK(run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].end == 2);
    }
    run.world.wall_ms = T0 - 1000000; /* by this clock, what was read then has not happened yet */
    go_back(&run, 1);
    recover(&run);
    CHECK(tagd_worker_stats(run.worker)->repairs == 1 && tagd_worker_stats(run.worker)->repair_changes == 0);
    close_run(&run);
}

static void feed_nonsense(struct world *world, int step)
{
    order(world, 0, "c", T0 + (int64_t)step * STEP_MS, "tea");
    for (int i = 0; i < 8; i++)
        world_append(world, 0, 0, "{nonsense");
}

/* There may be far more of them than there is memory. */
static void outputs_that_were_read_are_not_kept(void)
{
    static const struct script script = {"nonsense", "", DIMENSIONS, true, false, 6, feed_nonsense};
    for (int to = 0; to < 2; to++) {
        struct run run;
        open_run(&run, &script);
        play(&run, 0, script.n);
        run.world.outputs_most = 1;
        run.world.reads_kept = 0;
        go_back(&run, to);
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1 &&
              run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].end == 48);
        CHECK(run.world.reads_kept < 24); /* the outbox's batch is looked for before */
        close_run(&run);
    }
}

static void records_that_came_since_are_read_after_the_repair(void)
{
    struct run run;
    open_run(&run, &scripts[0]);
    play(&run, 0, 4);
    world_kill(&run.world, run.worker);
    run.worker = NULL;
    set_clocks(&run, 4 * STEP_MS + 40);
    run.script->feed(&run.world, 4); /* while nobody runs */
    world_bring_back(&run.world.shards[0], &run.copies[1]);
    start(&run);
    recover(&run);
    CHECK(tagd_worker_stats(run.worker)->repairs == 1);
    set_clocks(&run, 4 * STEP_MS + 5000);
    play(&run, 5, 8);
    check_chain(&run.world);
    CHECK(same_text("state", state_of(&run.world), state_of(&undisturbed(run.script)->world)));
    close_run(&run);
}

/* A shard that goes in the middle is left as it is; the next owner goes on with the repair. */
static void a_repair_goes_on_with_the_next_owner(void)
{
    for (int ms = 1; ms < 40; ms++) {
        struct run run;
        open_run(&run, &scripts[0]);
        run.world.settle_most = run.world.outputs_most = 1;
        play(&run, 0, 5);
        run.config.batch_events_max = 2;
        go_back(&run, 1);
        go(&run, ms);
        unsigned revoked = run.world.revoked;
        run.world.revoke = true;
        go(&run, 20);
        CHECK(run.world.revoked == revoked + 1);
        world_kill(&run.world, run.worker);
        run.config.owner = "another";
        run.config.batch_events_max = 1000;
        start(&run);
        recover(&run);
        play(&run, 5, 8);
        CHECK(as_if_nothing_happened(&run));
        close_run(&run);
    }
}

static void an_answer_that_fails_in_a_repair_is_asked_again(void)
{
    static const enum tagd_op_kind kinds[] = {TAGD_OP_FENCE,   TAGD_OP_COMMITTED, TAGD_OP_TAIL,   TAGD_OP_START,
                                              TAGD_OP_OUTPUTS, TAGD_OP_LOAD,      TAGD_OP_COMMIT, TAGD_OP_PUBLISH};
    static const enum tagd_op_status answers[] = {TAGD_ABORTED, TAGD_UNKNOWN, TAGD_REFUSED};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t a = 0; a < 3; a++)
            for (int count = 1; count < 9; count++) {
                struct run run;
                open_run(&run, &scripts[0]);
                run.world.settle_most = 2;
                run.world.outputs_most = 5;
                play(&run, 0, 5);
                go_back(&run, count % 3);
                run.world.faults[kinds[k]] =
                    (struct world_fault){count, answers[a], answers[a] == TAGD_UNKNOWN && a % 2};
                recover(&run);
                run.world.faults[kinds[k]] = (struct world_fault){0};
                play(&run, 5, 8);
                CHECK(as_if_nothing_happened(&run));
                close_run(&run);
            }
}

/* ---- refusals ---- */

#define FALLEN(run, to)                                                                                                \
    static struct run run;                                                                                             \
    open_run(&run, &scripts[0]);                                                                                       \
    play(&run, 0, 5);                                                                                                  \
    go_back(&run, to)

static void what_a_repair_lacks_is_said(void)
{
    {
        FALLEN(run, 0);
        run.world.shards[0].outputs[TAGD_OUT_CHANGE].low = 1;
        stops_with(&run, "the topic of tag changes begins at offset 1 of the shard's partition");
    }
    {
        FALLEN(run, 0);
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = 1;
        stops_with(&run, "the topic of dead letters begins at offset 1 of the shard's partition, so that outputs of "
                         "batch 1 or later may have been deleted; bring back a newer copy of Redis's data, or a new");
    }
    {
        FALLEN(run, 0); /* even if there are none left: they may say what an emptied Redis knew */
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].end;
        stops_with(&run, "the topic of dead letters begins at offset 2 of the shard's partition");
    }
    {
        FALLEN(run, 3); /* dead letters of long ago have gone; the last one is of after the copy, and is there */
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = 1;
        CHECK(run.world.shards[0].head.outputs_end[TAGD_OUT_DEAD_LETTER] == 1);
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1);
        close_run(&run);
    }
    {
        FALLEN(run, 3); /* it isn't */
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = 2;
        stops_with(&run, "the topic of dead letters begins at offset 2 of the shard's partition");
    }
    {
        FALLEN(run, 3); /* the head of a version that didn't look at the ends */
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = 1;
        run.world.shards[0].head.outputs_end[TAGD_OUT_DEAD_LETTER] = 0;
        stops_with(&run, "the topic of dead letters begins at offset 1 of the shard's partition");
    }
    {
        FALLEN(run, 4); /* all changes of before the copy have gone: nothing tells its batch but its end */
        int64_t end = run.world.shards[0].head.outputs_end[TAGD_OUT_CHANGE];
        CHECK(end > 0 && end < run.world.shards[0].outputs[TAGD_OUT_CHANGE].end);
        run.world.shards[0].outputs[TAGD_OUT_CHANGE].low = end;
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1 && tagd_worker_stats(run.worker)->repair_changes == 0);
        play(&run, 5, run.script->n);
        CHECK(as_if_nothing_happened(&run));
        close_run(&run);
    }
    {
        FALLEN(run, 4); /* one more has gone */
        run.world.shards[0].outputs[TAGD_OUT_CHANGE].low = run.world.shards[0].head.outputs_end[TAGD_OUT_CHANGE] + 1;
        stops_with(&run, "the topic of tag changes begins at offset");
    }
    {
        struct run run; /* and here before it */
        open_run(&run, &scripts[0]);
        play(&run, 0, 7);
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].end;
        go_back(&run, 6);
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1);
        close_run(&run);
    }
    {
        FALLEN(run, 3); /* enough is there */
        run.world.shards[0].outputs[TAGD_OUT_CHANGE].low = 1;
        recover(&run);
        CHECK(tagd_worker_stats(run.worker)->repairs == 1);
        close_run(&run);
    }
    {
        FALLEN(run, 2);
        falsify(&run.world, "\"revision\":", "\"revision\":1");
        stops_with(&run, "outputs are missing, or what was there before them; after an import, its history is in no "
                         "topic");
    }
    {
        FALLEN(run, 2);
        falsify(&run.world, "\"from\":\"books\"", "\"from\":\"silk\"");
        stops_with(&run, "customer \"e\" is known up to revision 3, and the next published change is revision 4 of "
                         "\"b.category\"");
    }
    {
        FALLEN(run, 2);
        falsify(&run.world, "\"dimension\":\"b.category\"", "\"dimension\":\"b.other\"");
        stops_with(&run, "of the shard's partition of tag changes can't be read as a change of this catalog");
    }
    {
        FALLEN(run, 2);
        falsify(&run.world, "\"to\":\"busy\"", "\"to\":\"bored\"");
        stops_with(&run, "can't be read as a change of this catalog");
    }
    {
        FALLEN(run, 2);
        run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].at[1].record.n_headers = 1;
        stops_with(&run, "the record at offset 1 of the shard's partition of dead letters can't be read");
    }
    {
        FALLEN(run, 0);
        run.world.shards[0].n_customers = 1; /* a timer is left */
        run.world.shards[0].customers[0] = run.copies[1].customers[0];
        stops_with(&run, "Redis has parts of it, but not its head");
    }
    {
        FALLEN(run, 0);
        run.config.rebuild = false;
        world_kill(&run.world, run.worker);
        start(&run);
        stops_with(&run, "or run \"tagd run --rebuild\", which makes it again from the topics' beginnings");
    }
}

/* The records of a customer are not those they were. */
static void a_customer_that_was_published_of_and_does_not_come_again_is_missing_history(void)
{
    FALLEN(run, 0);
    struct tagd_record *records = run.world.shards[0].topics[0].records;
    for (int i = 0; i < run.world.shards[0].topics[0].end; i++)
        if (records[i].has_value && strstr(records[i].value.p, "\"subject\":\"e\"") != NULL)
            records[i].value = TAGD_STR("{}");
    stops_with(&run, "changes of customer \"e\" were published, but nothing that was read again is of that customer");
}

/* Retention came by in the middle of a repair. */
static void outputs_that_go_in_the_middle_of_a_repair_are_missed(void)
{
    struct run run;
    open_run(&run, &scripts[0]);
    play(&run, 0, 5);
    go_back(&run, 0);
    while (run.world.shards[0].head.repair.phase != TAGD_REPAIR_REPLAYING)
        go(&run, 1);
    world_kill(&run.world, run.worker);
    run.world.shards[0].outputs[TAGD_OUT_DEAD_LETTER].low = 1;
    start(&run);
    stops_with(&run,
               "the topic of dead letters begins at offset 1 of the shard's partition by now, and the repair needs "
               "it from 0");
}

static void outputs_that_went_since_an_overtaken_repair_began_are_missed(void)
{
    struct run run;
    open_run(&run, &scripts[0]);
    play(&run, 0, 5);
    go_back(&run, 0);
    while (run.world.shards[0].head.repair.phase != TAGD_REPAIR_REPLAYING)
        go(&run, 1);
    struct world_store middle = world_copy(&run.world.shards[0]);
    recover(&run);
    play(&run, 5, 6);
    world_kill(&run.world, run.worker);
    world_bring_back(&run.world.shards[0], &middle);
    run.world.shards[0].outputs[TAGD_OUT_CHANGE].low = 1;
    start(&run);
    stops_with(&run,
               "the topic of tag changes begins at offset 1 of the shard's partition, so that outputs of batch 6 or "
               "later may have been deleted");
}

/* ---- records that can't be read on ---- */

static void a_gap_that_opens_while_a_shard_runs_is_for_the_take_over_to_decide(void)
{
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        struct run run;
        open_run(&run, &scripts[0]);
        run.config.continue_on_data_gap = goes_on == 1;
        world_kill(&run.world, run.worker);
        start(&run);
        play(&run, 0, 1);
        struct world_partition *topic = &run.world.shards[0].topics[0];
        topic->end += 3; /* which nobody reads any more */
        topic->low = topic->next = topic->end;
        uint64_t takeovers = tagd_worker_stats(run.worker)->takeovers;
        run.world.again = true;
        if (!goes_on) {
            stops_with(&run, "3 records were deleted before they were read");
            continue;
        }
        go(&run, 400);
        CHECK(tagd_worker_stats(run.worker)->takeovers == takeovers + 2 &&
              tagd_worker_stats(run.worker)->data_gaps == 1);
        close_run(&run);
    }
}

/* ---- a lane ---- */

static void a_lane_replays_up_to_its_offsets_and_no_further_than_its_watermark(void)
{
    struct world world;
    world_open(&world, DIMENSIONS);
    struct tagd_worker_config config = world_config(&world, "a", true);
    struct tagd_lane *lane = tagd_xcalloc(1, sizeof(*lane));
    struct tagd_takeover takeover = {.head.repair = {TAGD_REPAIR_REPLAYING, {5, 2}, 1000, {0}},
                                     .decision.start = {3, 2}};
    struct tagd_lane_clock now = {0, 0, true, INT64_MAX};
    struct tagd_lane_watermark watermark;
    struct tagd_queued taken = {.record.topic = 0, .record.offset = 3, .has_time = true, .time_ms = 4000};
    struct tagd_input end = {TAGD_IN_END, .record.topic = 0, .record.offset = 4};
    lane->shard.watermark_ms = 500;
    lane->shard.latest_ms = INT64_MIN;
    tagd_lane_reset(lane, &takeover, 2);
    tagd_lane_begin(lane, &config, &now, &watermark);
    CHECK(tagd_lane_wants(lane, &taken.record) && !tagd_lane_replayed(lane, 2));
    tagd_lane_settle(lane, &config, &now, &watermark);
    CHECK(watermark.watermark_ms == 500);
    tagd_lane_move(lane, &config, &now, &taken, &watermark);
    CHECK(watermark.watermark_ms == 1000 && watermark.latest_ms == 4000);
    tagd_lane_end(lane, &end, 0); /* not there yet */
    CHECK(!tagd_lane_replayed(lane, 2));
    end.record.offset = 9;
    tagd_lane_end(lane, &end, 0);
    CHECK(tagd_lane_replayed(lane, 2) && lane->topics[0].known_end == 5);
    tagd_lane_reset(lane, &takeover, 2);
    taken.record.offset = 5;
    CHECK(!tagd_lane_wants(lane, &taken.record) && tagd_lane_replayed(lane, 2));
    tagd_lane_begin(lane, &config, &now, &watermark);
    tagd_lane_settle(lane, &config, &now, &watermark);
    CHECK(watermark.watermark_ms == 1000);
    tagd_lane_free(lane);
    world_close(&world);
}

/* ---- told ---- */

static void what_is_told_reads_back_and_a_cut_one_does_not(void)
{
    struct world world;
    struct tagd_arena arena = {0};
    struct tagd_buf bytes = {0};
    struct tagd_told told, back;
    world_open(&world, DIMENSIONS);
    struct tagd_profile *profile = tagd_profile_new(world.catalog);
    tagd_told_of_profile(&told, world.catalog, profile, &arena);
    CHECK(told.revision[TAGD_KIND_TAG] == 0 && told.tags[0].known && !told.tags[0].history.changed);
    struct tagd_told_change changes[] = {
        {.dimension = 0, .to = TAGD_STR("busy"), .revision = 1, .time_ms = 5},
        {.dimension = 2, .to = TAGD_STR(""), .revision = 2, .time_ms = -7},
        {.dimension = 0, .from = TAGD_STR("busy"), .to = TAGD_STR("silent"), .revision = 3, .time_ms = 9}};
    for (size_t i = 0; i < 3; i++)
        CHECK(tagd_told_follow(&told, world.catalog, &changes[i]));
    CHECK(tagd_told_follow(&told, world.catalog, &changes[1]) && told.revision[TAGD_KIND_TAG] == 3); /* already */
    CHECK(!tagd_told_take_back(&told, world.catalog, &changes[1]));
    CHECK(tagd_told_take_back(&told, world.catalog, &changes[2]) && told.revision[TAGD_KIND_TAG] == 2 &&
          told.changed_at_ms == -7);
    CHECK(!tagd_told_follow(&told, world.catalog, &changes[0]) || told.revision[TAGD_KIND_TAG] == 2);
    tagd_told_write(&told, world.catalog, &bytes);
    CHECK(tagd_told_read((struct tagd_str){bytes.p, bytes.n}, world.catalog, &arena, &back));
    CHECK(back.revision[TAGD_KIND_TAG] == 2 && tagd_str_eq(back.tags[0].history.tag, TAGD_STR("busy")) &&
          !back.tags[0].known);
    CHECK(back.tags[2].history.tag.p != NULL && back.tags[2].history.tag.n == 0 && back.tags[2].known &&
          back.tags[2].history.since_ms == -7 && back.tags[2].history.before.p == NULL);
    CHECK(!back.tags[1].history.changed && back.tags[1].history.tag.p == NULL);
    for (size_t n = 0; n < bytes.n; n++) {
        char *cut = tagd_xmalloc(n + 1);
        memcpy(cut, bytes.p, n);
        CHECK(!tagd_told_read((struct tagd_str){cut, n}, world.catalog, &arena, &back));
        free(cut);
    }
    for (size_t i = 0; i < bytes.n; i++) {
        bytes.p[i] = (char)(bytes.p[i] ^ 0xff);
        bool read = tagd_told_read((struct tagd_str){bytes.p, bytes.n}, world.catalog, &arena, &back);
        CHECK(!read || i >= 5); /* another version, another catalog */
        bytes.p[i] = (char)(bytes.p[i] ^ 0xff);
    }
    tagd_buf_add_byte(&bytes, 0);
    CHECK(!tagd_told_read((struct tagd_str){bytes.p, bytes.n}, world.catalog, &arena, &back));
    CHECK(bytes.p[5] == TAGD_KINDS);
    bytes.p[5]++; /* a kind that there is not; what follows moves by one */
    memmove(bytes.p + 7, bytes.p + 6, bytes.n - 7);
    CHECK(!tagd_told_read((struct tagd_str){bytes.p, bytes.n}, world.catalog, &arena, &back));
    tagd_profile_free(profile);
    tagd_buf_free(&bytes);
    tagd_arena_free(&arena);
    world_close(&world);
}

/* A record's value in structured mode, with the data. */
static bool change_is_read(const struct world *world, const char *type, const char *data,
                           struct tagd_told_change *change)
{
    static struct tagd_arena arena;
    const char *text = tagd_arena_printf(
        &arena, "{\"type\":\"%s\",\"time\":\"2023-11-14T22:13:20.005Z\",\"data\":{\"revision\":7,%s}}", type, data);
    return tagd_told_change_read(world->catalog, TAGD_STR("c"), tagd_str_of(text), NULL, 0, &arena, change);
}

/* It would be refused only as it takes its place in the profile, where nobody expects it. */
static void what_is_told_of_a_tag_that_there_is_not_is_refused(void)
{
    struct world world;
    struct tagd_arena arena = {0};
    struct tagd_buf bytes = {0};
    struct tagd_told told, back;
    world_open(&world, DIMENSIONS);
    struct tagd_profile *profile = tagd_profile_new(world.catalog);
    tagd_told_of_profile(&told, world.catalog, profile, &arena);
    static const struct {
        const char *tag, *before;
        bool is;
    } tags[] = {{"busy", NULL, true}, {"silent", "busy", true}, {"bushy", NULL, false}, {"busy", "silen", false}};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        struct tagd_tag_history *history = &told.tags[0].history;
        *history = (struct tagd_tag_history){.changed = true, .tag = tagd_str_of(tags[i].tag)};
        if (tags[i].before)
            history->before = tagd_str_of(tags[i].before);
        bytes.n = 0;
        tagd_told_write(&told, world.catalog, &bytes);
        CHECK(tagd_told_read((struct tagd_str){bytes.p, bytes.n}, world.catalog, &arena, &back) == tags[i].is);
    }
    tagd_profile_free(profile);
    tagd_buf_free(&bytes);
    tagd_arena_free(&arena);
    world_close(&world);
}

static void every_kind_of_events_is_read_and_nothing_else(void)
{
    static const struct {
        const char *type, *data;
    } wrong[] = {
        {"tagd.tag.changed", "\"dimension\":\"churn.level\",\"from\":null,\"to\":\"here\""}, /* another kind's */
        {"tagd.churn.changed", "\"dimension\":\"b.activity\",\"from\":null,\"to\":\"busy\""},
        {"tagd.churn.changed", "\"dimension\":\"churn.level\",\"from\":null,\"to\":\"gone-for-ever\""},
        {"tagd.tag.changed", "\"dimension\":\"loss\",\"from\":null,\"to\":\"raised\""},
        {"tagd.alert.raised", "\"alert\":\"b.activity\""},
        {"tagd.alert.raised", "\"alert\":\"lost\""},
        {"tagd.alert.raised", "\"dimension\":\"loss\""},
        {"tagd.tag.proposed", "\"dimension\":\"b.activity\",\"from\":null,\"to\":\"busy\""}, /* not reviewed */
        {"tagd.tag.proposed", "\"dimension\":\"b.level\",\"from\":null,\"to\":\"middle\""},
        {"tagd.proposal.closed", "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\""},
        {"tagd.proposal.closed", "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"proposal\":\"proposal:c:3\","
                                 "\"status\":\"open\""},
        {"tagd.proposal.closed", "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"proposal\":\"proposal:d:3\","
                                 "\"status\":\"expired\""},
        {"tagd.proposal.closed", "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"proposal\":\"proposal:c:\","
                                 "\"status\":\"expired\""},
        {"tagd.proposal.closed", "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"proposal\":\"proposal:c:0\","
                                 "\"status\":\"expired\""},
        {"tagd.proposal.closed",
         "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"proposal\":\"proposal:c:3x\","
         "\"status\":\"expired\""},
        {"tagd.tag.told", "\"dimension\":\"b.activity\",\"from\":null,\"to\":\"busy\""},
    };
    struct world world;
    struct tagd_told_change change;
    world_open_with(&world, ALERTS, KINDS);
    CHECK(change_is_read(&world, "tagd.churn.changed", "\"dimension\":\"churn.level\",\"from\":null,\"to\":\"gone\"",
                         &change));
    CHECK(change.kind == TAGD_KIND_CHURN && change.dimension == 1 && change.from.p == NULL && change.revision == 7 &&
          tagd_str_eq(change.to, TAGD_STR("gone")) && change.time_ms == T0 + 5 &&
          tagd_str_eq(change.customer, TAGD_STR("c")));
    CHECK(change_is_read(&world, "tagd.alert.raised", "\"alert\":\"hot\"", &change));
    CHECK(change.kind == TAGD_KIND_ALERT && change.dimension == 9 && change.from.p == NULL && change.to.p != NULL);
    CHECK(change_is_read(&world, "tagd.alert.cleared", "\"alert\":\"loss\"", &change));
    CHECK(change.dimension == 8 && change.from.p != NULL && change.to.p == NULL);
    CHECK(
        change_is_read(&world, "tagd.tag.proposed", "\"dimension\":\"b.level\",\"from\":\"low\",\"to\":null", &change));
    CHECK(change.kind == TAGD_KIND_PROPOSAL && change.dimension == 3 && change.status == TAGD_PROPOSAL_OPEN &&
          tagd_str_eq(change.from, TAGD_STR("low")) && change.to.p == NULL);
    CHECK(change_is_read(&world, "tagd.proposal.closed",
                         "\"dimension\":\"b.level\",\"from\":null,\"to\":\"low\",\"proposal\":\"proposal:c:103\","
                         "\"status\":\"expired\"",
                         &change));
    CHECK(change.kind == TAGD_KIND_PROPOSAL && change.status == TAGD_PROPOSAL_EXPIRED && change.proposal == 103);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(!change_is_read(&world, wrong[i].type, wrong[i].data, &change));
    world_close(&world);
}

static bool reviewed_as(const struct tagd_review *review, int32_t approved, uint64_t open, int32_t proposed,
                        int32_t declined)
{
    return review->approved == approved && review->open == open && (open == 0 || review->proposed == proposed) &&
           (review->declined ? review->declined_tag : -2) == declined;
}

/* Of b.hot, tag 0; b.level beside it, tags 0 and 1. -1: none. */
static void what_is_told_of_proposals_follows_them_and_goes_back(void)
{
    struct world world;
    struct tagd_arena arena = {0};
    struct tagd_buf bytes = {0};
    struct tagd_told told, back;
    const struct tagd_str hot = TAGD_STR("hot"), high = TAGD_STR("high"), none = {NULL, 0};
    struct tagd_told_change events[] = {
        {.dimension = 4, .to = hot, .revision = 1, .time_ms = 11},
        {.dimension = 3, .to = high, .revision = 2, .time_ms = 12},
        {.dimension = 4, .to = hot, .revision = 3, .time_ms = 13, .status = TAGD_PROPOSAL_APPROVED, .proposal = 1},
        {.dimension = 3, .to = high, .revision = 4, .time_ms = 14, .status = TAGD_PROPOSAL_REJECTED, .proposal = 2},
        {.dimension = 4, .from = hot, .to = none, .revision = 5, .time_ms = 15},
        {.dimension = 4, .from = hot, .revision = 6, .time_ms = 16, .status = TAGD_PROPOSAL_EXPIRED, .proposal = 5},
        {.dimension = 4, .from = hot, .revision = 7, .time_ms = 17},
        {.dimension = 4, .from = hot, .revision = 8, .time_ms = 18, .status = TAGD_PROPOSAL_WITHDRAWN, .proposal = 7},
    };
    const size_t n = sizeof(events) / sizeof(events[0]);
    world_open_with(&world, ALERTS, KINDS);
    struct tagd_profile *profile = tagd_profile_new(world.catalog);
    tagd_told_of_profile(&told, world.catalog, profile, &arena);
    const struct tagd_review *is = &told.tags[4].review, *level = &told.tags[3].review;
    for (size_t i = 0; i < n; i++) {
        struct tagd_told_change other = events[i];
        events[i].kind = other.kind = TAGD_KIND_PROPOSAL;
        other.from = events[i].from.p == NULL ? hot : none; /* another tag was approved */
        other.dimension = 4;
        CHECK(!tagd_told_follow(&told, world.catalog, &other));
        other = events[i];
        other.proposal++;
        CHECK(other.status == TAGD_PROPOSAL_OPEN || !tagd_told_follow(&told, world.catalog, &other));
        other = events[i];
        other.to = events[i].to.p == NULL ? hot : none; /* another tag was proposed */
        CHECK(other.status == TAGD_PROPOSAL_OPEN || !tagd_told_follow(&told, world.catalog, &other));
        CHECK(tagd_told_follow(&told, world.catalog, &events[i]) && told.revision[TAGD_KIND_PROPOSAL] == i + 1);
        other = events[i];
        other.revision++; /* one is open, or none is by now */
        CHECK(!tagd_told_follow(&told, world.catalog, &other) && told.revision[TAGD_KIND_PROPOSAL] == i + 1);
        bytes.n = 0;
        tagd_told_write(&told, world.catalog, &bytes);
        CHECK(tagd_told_read((struct tagd_str){bytes.p, bytes.n}, world.catalog, &arena, &back));
        for (size_t d = 3; d <= 4; d++)
            CHECK(reviewed_as(&back.tags[d].review, told.tags[d].review.approved, told.tags[d].review.open,
                              told.tags[d].review.proposed,
                              told.tags[d].review.declined ? told.tags[d].review.declined_tag : -2) &&
                  (is->open == 0 || back.tags[4].review.proposed_at == is->proposed_at));
        for (size_t cut = 0; cut < bytes.n; cut++)
            CHECK(!tagd_told_read((struct tagd_str){bytes.p, cut}, world.catalog, &arena, &back));
        if (i == 3)
            CHECK(reviewed_as(is, 0, 0, 0, -2) && reviewed_as(level, -1, 0, 0, 0));
        if (i == 4)
            CHECK(reviewed_as(is, 0, 5, -1, -2) && is->proposed_at == 15);
        if (i == 5)
            CHECK(reviewed_as(is, 0, 0, 0, -1));
        if (i == 6)
            CHECK(reviewed_as(is, 0, 7, -1, -2));
    }
    CHECK(reviewed_as(is, 0, 0, 0, -2) && told.changed_at_ms == 0 && told.revision[TAGD_KIND_TAG] == 0);
    CHECK(tagd_told_follow(&told, world.catalog, &events[2]) && reviewed_as(is, 0, 0, 0, -2)); /* told already */
    CHECK(!tagd_told_take_back(&told, world.catalog, &events[6]));                             /* not the last one */
    CHECK(tagd_told_take_back(&told, world.catalog, &events[7]) && reviewed_as(is, 0, 7, -1, -2) &&
          is->proposed_at == TAGD_TOLD_NO_TIME);
    CHECK(tagd_told_take_back(&told, world.catalog, &events[6]) && reviewed_as(is, 0, 0, 0, -2));
    CHECK(tagd_told_take_back(&told, world.catalog, &events[5]) && reviewed_as(is, 0, 5, -1, -2));
    CHECK(tagd_told_take_back(&told, world.catalog, &events[4]) && reviewed_as(is, 0, 0, 0, -2));
    CHECK(tagd_told_take_back(&told, world.catalog, &events[3]) && reviewed_as(level, -1, 2, 0, -2));
    CHECK(tagd_told_take_back(&told, world.catalog, &events[2]) && reviewed_as(is, -1, 1, 0, -2));
    CHECK(tagd_told_take_back(&told, world.catalog, &events[1]) && reviewed_as(level, -1, 0, 0, -2));
    CHECK(tagd_told_take_back(&told, world.catalog, &events[0]) && told.revision[TAGD_KIND_PROPOSAL] == 0);
    tagd_profile_free(profile);
    tagd_buf_free(&bytes);
    tagd_arena_free(&arena);
    world_close(&world);
}

/* A goal that begins with churn's level is told to begin on one topic and to end on another: whichever is read first. */
static void what_is_told_of_a_goal_does_not_depend_on_the_order_of_topics(void)
{
    for (int ended_first = 0; ended_first < 2; ended_first++) {
        struct world world;
        struct tagd_arena arena = {0};
        struct tagd_told told;
        world_open_with(&world, GOALS, KINDS);
        struct tagd_profile *profile = tagd_profile_new(world.catalog);
        tagd_told_of_profile(&told, world.catalog, profile, &arena);
        const struct tagd_told_change begun = {.kind = TAGD_KIND_TAG,
                                               .revision = 1,
                                               .to = TAGD_STR("silent"),
                                               .time_ms = 10,
                                               .goal = 0,
                                               .goal_started_ms = 10},
                                      ended = {.kind = TAGD_KIND_GOAL,
                                               .revision = 1,
                                               .time_ms = 20,
                                               .goal = 0,
                                               .goal_started_ms = 10,
                                               .outcome = TAGD_GOAL_REACHED};
        CHECK(tagd_told_follow(&told, world.catalog, ended_first ? &ended : &begun));
        CHECK(tagd_told_follow(&told, world.catalog, ended_first ? &begun : &ended));
        CHECK(!told.goals[0].running && told.goals[0].outcome == TAGD_GOAL_REACHED && told.goals[0].ended == 20);
        struct tagd_told_change again = begun;
        again.revision = 2;
        again.from = TAGD_STR("silent");
        again.time_ms = again.goal_started_ms = 11; /* the next one */
        CHECK(tagd_told_follow(&told, world.catalog, &again) && told.goals[0].running && told.goals[0].started == 11);
        tagd_profile_free(profile);
        tagd_arena_free(&arena);
        world_close(&world);
    }
}

int main(void)
{
    RUN(what_is_told_of_a_goal_does_not_depend_on_the_order_of_topics);
    RUN(what_is_told_reads_back_and_a_cut_one_does_not);
    RUN(what_is_told_of_a_tag_that_there_is_not_is_refused);
    RUN(every_kind_of_events_is_read_and_nothing_else);
    RUN(what_is_told_of_proposals_follows_them_and_goes_back);
    RUN(min_dwell_and_held_count_from_when_the_tag_was_published);
    RUN(min_dwell_beneath_an_assignment_is_left_alone);
    RUN(a_proposal_that_is_open_again_expires_from_now_on);
    RUN(a_lane_replays_up_to_its_offsets_and_no_further_than_its_watermark);
    RUN(a_store_that_went_back_anywhere_is_as_if_nothing_had_happened);
    RUN(a_death_at_any_operation_of_a_repair_changes_nothing);
    RUN(a_store_that_goes_back_again_in_the_middle_of_a_repair_changes_nothing);
    RUN(a_repair_that_was_overtaken_begins_again_from_its_own_state);
    RUN(a_batch_that_lost_the_race_is_taken_back);
    RUN(a_winner_that_began_earlier_than_the_losers_outbox_is_followed);
    RUN(a_change_that_only_the_loser_made_is_taken_back);
    RUN(a_gap_behind_what_is_repaired_is_decided_about_afterwards);
    RUN(a_copy_that_read_further_is_repaired_up_to_where_it_is);
    RUN(a_copy_that_read_further_for_nothing_levels_the_offsets);
    RUN(whatever_happens_in_whatever_order_is_as_if_nothing_had_happened);
    RUN(whatever_comes_in_between_while_both_shards_are_repaired_changes_nothing);
    RUN(what_was_published_otherwise_is_put_right);
    RUN(a_hold_at_any_step_of_a_repair_only_delays_it);
    RUN(a_hold_at_any_step_keeps_what_a_repair_puts_right);
    RUN(differences_are_published_once_whatever_dies);
    RUN(a_proposal_that_was_published_otherwise_is_closed_and_made_anew);
    RUN(what_people_decided_is_not_decided_again);
    RUN(a_change_of_churn_that_was_published_otherwise_is_put_right_in_its_topic);
    RUN(a_goal_that_was_told_otherwise_is_counted_as_it_was_told);
    RUN(what_a_repair_lacks_of_churn_is_said);
    RUN(an_event_of_the_future_stays_a_dead_letter_when_its_time_has_come);
    RUN(outputs_that_were_read_are_not_kept);
    RUN(records_that_came_since_are_read_after_the_repair);
    RUN(a_repair_goes_on_with_the_next_owner);
    RUN(an_answer_that_fails_in_a_repair_is_asked_again);
    RUN(what_a_repair_lacks_is_said);
    RUN(a_customer_that_was_published_of_and_does_not_come_again_is_missing_history);
    RUN(outputs_that_go_in_the_middle_of_a_repair_are_missed);
    RUN(outputs_that_went_since_an_overtaken_repair_began_are_missed);
    RUN(a_gap_that_opens_while_a_shard_runs_is_for_the_take_over_to_decide);
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++)
        close_run(undisturbed(&scripts[s]));
    return DONE();
}
