/* Kinds of events out: churn.level is one of its own, which goes to a topic of its own; the others share one. */
#include "world.h"

#define T0 INT64_C(1700000000000)

#define CHURN                                                                                                          \
    "\"churn.level\":{\"tags\":[{\"tag\":\"churned\",\"when\":\"since(login) > 5s\"},"                                 \
    "{\"tag\":\"stable\",\"when\":\"true\"}]}"
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(login) >= 2s\"},"                                  \
    "{\"tag\":\"busy\",\"when\":\"true\"}]}"

static void churn_level_is_a_kind_of_its_own(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog("", ACTIVITY "," CHURN, &error);
    CHECK(tagd_catalog_kind(catalog, 0) == TAGD_KIND_TAG && tagd_catalog_kind(catalog, 1) == TAGD_KIND_CHURN);
    CHECK(tagd_catalog_has_kind(catalog, TAGD_KIND_TAG) && tagd_catalog_has_kind(catalog, TAGD_KIND_CHURN) &&
          !tagd_catalog_has_kind(catalog, TAGD_KIND_ALERT) && !tagd_catalog_has_kind(catalog, TAGD_KIND_PROPOSAL));
    CHECK(tagd_output_kinds(catalog) == 3);
    tagd_catalog_free(catalog);
    catalog = shop_catalog("\"alerts\":{\"churn\":{\"when\":\"count(login) > 3\"}},",
                           "\"churn.levels\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]},"
                           "\"b.x\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}",
                           &error);
    CHECK(tagd_catalog_kind(catalog, 0) == TAGD_KIND_TAG && tagd_catalog_kind(catalog, 2) == TAGD_KIND_ALERT);
    CHECK(!tagd_catalog_has_kind(catalog, TAGD_KIND_CHURN) && tagd_catalog_has_kind(catalog, TAGD_KIND_ALERT) &&
          tagd_catalog_has_kind(catalog, TAGD_KIND_PROPOSAL));
    CHECK(tagd_output_kinds(catalog) == 2);
    tagd_catalog_free(catalog);
}

/* ---- what a change of it says ---- */

struct telling {
    struct tagd_emit emit;
    struct tagd_buf text; /* a line an event */
    bool binary;
};

static struct telling telling_of(const struct tagd_catalog *catalog, const char *group, const bool *carry, bool binary)
{
    struct telling telling = {
        .emit = {.catalog = catalog, .group = group, .carry = carry, .recorded_ms = -1, .caught_up = true},
        .binary = binary};
    tagd_emit_prepare(&telling.emit);
    return telling;
}

static void forget(struct telling *telling)
{
    tagd_emit_free(&telling->emit);
    tagd_buf_free(&telling->text);
}

static void tell(void *self, const struct tagd_change *change)
{
    struct telling *telling = self;
    struct tagd_arena arena = {0};
    struct tagd_buf block = {0};
    const struct tagd_header *headers;
    size_t n;
    if (!telling->binary) {
        tagd_emit_change(&telling->emit, TAGD_STR("c"), change, &telling->text);
    } else {
        tagd_emit_headers(&telling->emit, TAGD_STR("c"), change, &block);
        CHECK(tagd_emit_headers_read((struct tagd_str){block.p, block.n}, &arena, &headers, &n));
        for (size_t i = 0; i < n; i++)
            tagd_buf_printf(&telling->text, "%.*s=%.*s ", (int)headers[i].name.n, headers[i].name.p,
                            (int)headers[i].value.n, headers[i].value.p);
    }
    tagd_buf_add_z(&telling->text, "\n");
    tagd_arena_free(&arena);
    tagd_buf_free(&block);
}

static bool says(struct telling *telling, const char *what)
{
    tagd_buf_add_byte(&telling->text, '\0');
    bool is = strstr(telling->text.p, what) != NULL;
    telling->text.n--;
    if (!is)
        fprintf(stderr, "no %s in\n%s\n", what, telling->text.p);
    return is;
}

static void a_change_of_churn_has_an_id_a_type_and_members_of_its_own(void)
{
    struct shop shop = shop_open("", ACTIVITY "," CHURN);
    for (int binary = 0; binary < 2; binary++) {
        struct telling telling = telling_of(shop.catalog, "g", NULL, binary == 1);
        tagd_profile_clear(shop.profile);
        shop_event(&shop, "login", T0, "{}");
        tagd_engine_advance(shop.engine, shop.profile, T0 + 6000, (struct tagd_sink){&telling, tell});
        CHECK(tagd_profile_revision(shop.profile, TAGD_KIND_TAG) == 2 &&
              tagd_profile_revision(shop.profile, TAGD_KIND_CHURN) == 2);
        CHECK(tagd_profile_changed_at(shop.profile) == T0 + 2000); /* of tags */
        if (binary) {
            CHECK(says(&telling, "ce_id=churn:c:2 ") && says(&telling, "ce_type=tagd.churn.changed "));
        } else {
            CHECK(says(&telling, "\"id\":\"churn:c:2\",\"source\":\"tagd/g\",\"type\":\"tagd.churn.changed\""));
            CHECK(says(&telling,
                       "{\"dimension\":\"churn.level\",\"from\":\"stable\",\"to\":\"churned\",\"revision\":2,"
                       "\"catalog\":\"shop@1\",\"origin\":\"time\",\"because\":{\"rule\":\"since(login) > 5s\","));
            CHECK(says(&telling, "\"valid_until\":null,\"then\":null,\"tags\":{\"b.activity\":\"silent\","
                                 "\"churn.level\":\"churned\"},\"plan\":null,\"p_alive\":null,\"drivers\":[],"
                                 "\"last_activity\":null,\"caught_up\":true}}"));
            CHECK(says(&telling, "\"id\":\"tag:c:2\""));
        }
        forget(&telling);
    }
    shop_close(&shop);
}

/* ---- where it goes ---- */

static struct tagd_worker *start(struct world *world, bool binary)
{
    struct tagd_worker_config config = world_config(world, "a", true);
    config.content_binary = binary;
    return tagd_worker_new(&config, &world->port);
}

/* The place in the batch, of the header that the port adds. */
static unsigned long place_of(const struct tagd_record *record, uint64_t *batch)
{
    char text[96];
    for (size_t i = 0; i < record->n_headers; i++)
        if (tagd_str_eq(record->headers[i].name, TAGD_STR("tagd_batch"))) {
            snprintf(text, sizeof(text), "%.*s", (int)record->headers[i].value.n, record->headers[i].value.p);
            *batch = strtoull(strchr(text, '.') + 1, NULL, 10);
            return strtoul(strrchr(text, '.') + 1, NULL, 10);
        }
    CHECK(false);
    return 0;
}

/* Every place of the batch is taken once, and in each topic they rise. */
static void check_places(const struct world_shard *shard, uint64_t of, size_t n)
{
    bool taken[64] = {false};
    size_t found = 0;
    for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++)
        for (int64_t i = 0, least = 0; i < shard->outputs[kind].end; i++) {
            uint64_t batch;
            unsigned long place = place_of(&shard->outputs[kind].at[i].record, &batch);
            if (batch != of)
                continue;
            CHECK(place < n && !taken[place] && (int64_t)place >= least);
            taken[place] = true;
            least = (int64_t)place + 1;
            found++;
        }
    CHECK(found == n);
}

static bool is_in(const struct world_shard *shard, enum tagd_output_kind kind, int64_t at, const char *what)
{
    const struct tagd_record *record = &shard->outputs[kind].at[at].record;
    for (size_t i = 0; i < record->n_headers; i++)
        if (tagd_str_eq(record->headers[i].value, tagd_str_of(what)))
            return true;
    return at < shard->outputs[kind].end && strstr(record->value.p, what) != NULL;
}

static void feed(struct world *world)
{
    world_event(world, 0, 0, "login", "c", T0);
    world_append(world, 0, 0, "{nonsense");
    world_event(world, 0, 0, "login", "d", T0 + 7000);
}

/* By the worker that made the batch, or, from its outbox, by the one that comes after. */
static void each_event_of_a_batch_goes_to_its_topic_in_order(void)
{
    for (int way = 0; way < 4; way++) {
        struct world world;
        world_open(&world, ACTIVITY "," CHURN);
        struct tagd_worker *worker = start(&world, way % 2 == 1);
        world_run(&world, worker, 10);
        feed(&world);
        if (way >= 2)
            world.faults[TAGD_OP_PUBLISH] = (struct world_fault){1, TAGD_PENDING, false};
        world_run(&world, worker, 20);
        const struct world_shard *shard = &world.shards[0];
        CHECK((shard->outputs[TAGD_OUT_CHURN].end == 0) == (way >= 2));
        if (way >= 2) {
            world_kill(&world, worker);
            world.faults[TAGD_OP_PUBLISH] = (struct world_fault){0};
            worker = start(&world, way % 2 == 0); /* what is in the outbox goes out as it was made */
            world_run(&world, worker, 20);
        }
        /* c: busy, stable; silent; churned. d: busy, stable. And a dead letter. */
        CHECK(shard->outputs[TAGD_OUT_CHANGE].end == 3 && shard->outputs[TAGD_OUT_CHURN].end == 3 &&
              shard->outputs[TAGD_OUT_DEAD_LETTER].end == 1);
        CHECK(is_in(shard, TAGD_OUT_CHANGE, 0, way % 2 ? "tag:c:1" : "\"tag:c:1\"") &&
              is_in(shard, TAGD_OUT_CHANGE, 1, way % 2 ? "tag:c:2" : "\"tag:c:2\"") &&
              is_in(shard, TAGD_OUT_CHANGE, 2, way % 2 ? "tag:d:1" : "\"tag:d:1\""));
        CHECK(is_in(shard, TAGD_OUT_CHURN, 0, way % 2 ? "churn:c:1" : "\"churn:c:1\"") &&
              is_in(shard, TAGD_OUT_CHURN, 1, way % 2 ? "churn:c:2" : "\"churn:c:2\"") &&
              is_in(shard, TAGD_OUT_CHURN, 2, way % 2 ? "churn:d:1" : "\"churn:d:1\""));
        check_places(shard, shard->outputs[TAGD_OUT_CHURN].at[0].at.batch, 7);
        tagd_worker_free(worker);
        world_close(&world);
    }
}

/* Its revision is that of tags, which churn doesn't count among. */
static void a_view_shows_churn_that_changed_alone(void)
{
    struct world world;
    world_open(&world, ACTIVITY "," CHURN);
    struct tagd_worker *worker = start(&world, false);
    world_event(&world, 0, 0, "login", "c", T0);
    world_event(&world, 0, 0, "login", "d", T0 + 4000);
    world_run(&world, worker, 20);
    const struct world_customer *c = world_customer(&world.shards[0], TAGD_STR("c"));
    CHECK(strcmp(c->view, "b.activity=silent churn.level=stable _revision=2 _at=1700000002000 ") == 0);
    world_event(&world, 0, 0, "login", "d", T0 + 5001);
    world_run(&world, worker, 20);
    CHECK(strcmp(c->view, "b.activity=silent churn.level=churned _revision=2 _at=1700000002000 ") == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

int main(void)
{
    RUN(churn_level_is_a_kind_of_its_own);
    RUN(a_change_of_churn_has_an_id_a_type_and_members_of_its_own);
    RUN(each_event_of_a_batch_goes_to_its_topic_in_order);
    RUN(a_view_shows_churn_that_changed_alone);
    return DONE();
}
