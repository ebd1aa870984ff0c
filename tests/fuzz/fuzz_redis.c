/* Any bytes as what the server behind "redis.url" answers. The first byte chooses what was asked. Every operation ends, with
 * a status and, if it isn't done, a sentence; what it found keeps its limits; and a connection on which the answers make no
 * sense is closed. */
#include "io/redis.c" /* the readers are the file's own */

#include "command/brakes.h"

#include "fuzz.h"

#include <unistd.h>

#define SHARDS 2
#define ITEMS 3
#define ANSWER_MAX 60000 /* bytes, so that a socket takes them at once */
#define NAMES TAGD_STR("a"), TAGD_STR("b"), TAGD_STR("c")

static struct tagd_arena arena;

static void note(void *to, const struct tagd_note *about)
{
    (void)to;
    MUST(is_sentence(about->text));
}

/* Connected to somebody who has answered already, and hung up. */
static void answer(struct tagd_redis *redis, const struct input *in)
{
    int ends[2];
    size_t n = in->n < ANSWER_MAX ? in->n : ANSWER_MAX;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(n == 0 || send(ends[1], in->p, n, 0) == (ssize_t)n);
    shutdown(ends[1], SHUT_WR);
    redis->context = redisConnectFd(ends[0]);
    MUST(redis->context);
    redis->context->reader->fn = &in_arena;
    redis->context->reader->maxbuf = 0;
    redis->serial = 7;
    for (uint32_t i = 0; i < redis->partitions; i++)
        redis->shards[i].serial = redis->serial;
    dup2(ends[1], 99); /* our end stays open: what is sent has a reader */
    close(ends[1]);
}

static void must_be_a_head(const struct tagd_head *head)
{
    MUST(head->n_topics <= TAGD_TOPICS_MAX && memchr(head->owner, '\0', sizeof(head->owner)));
    MUST(memchr(head->catalog_hash, '\0', sizeof(head->catalog_hash)));
}

static void must_have_ended(const struct tagd_op *op)
{
    MUST(op->status != TAGD_PENDING);
    MUST(op->status == TAGD_DONE || op->error.text[0] != '\0');
}

/* ---- operations ---- */

static void fence(struct tagd_redis *redis, struct input *in)
{
    struct tagd_op op = {.kind = TAGD_OP_FENCE, .arena = &arena, .shard = 1};
    op.u.fence.at_least = take(in, 1);
    answer(redis, in);
    tagd_redis_submit(redis, &op);
    must_have_ended(&op);
    if (op.status != TAGD_DONE)
        return;
    MUST(op.u.fence.fence > op.u.fence.before && op.u.fence.fence > op.u.fence.at_least);
    must_be_a_head(&op.u.fence.head);
    for (size_t i = 1; i < op.u.fence.n_outbox; i++)
        MUST(op.u.fence.outbox[i - 1].batch <= op.u.fence.outbox[i].batch);
}

static struct tagd_str known(void *to, struct tagd_str customer)
{
    (void)to;
    return customer.n % 2 ? TAGD_STR("profile") : (struct tagd_str){NULL, 0};
}

static void must_be_items(const struct tagd_load_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        MUST((items[i].customer.p || items[i].customer.n == 0) && (items[i].bytes.p || items[i].bytes.n == 0) &&
             (items[i].told.p || items[i].told.n == 0));
}

static void load(struct tagd_redis *redis, struct input *in)
{
    struct tagd_load_item items[ITEMS] = {{.customer = TAGD_STR("a")}, {.customer = TAGD_STR("b")}, {.known = true}};
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .arena = &arena, .shard = 1};
    unsigned what = (unsigned)take(in, 1);
    op.u.load.items = items;
    op.u.load.n_items = what % (ITEMS + 1);
    op.u.load.due_to_ms = what & 4 ? FUZZ_T0 : INT64_MIN;
    op.u.load.due_max = 2;
    op.u.load.known = what & 8 ? known : NULL;
    op.u.load.with_told = what & 16;
    op.u.load.settle_max = what & 32 ? 3 : 0;
    op.u.load.walk_max = what & 64 ? 3 : 0;
    answer(redis, in);
    tagd_redis_submit(redis, &op);
    must_have_ended(&op);
    if (op.status != TAGD_DONE)
        return;
    must_be_items(items, op.u.load.n_items);
    must_be_items(op.u.load.due, op.u.load.n_due);
    must_be_items(op.u.load.settle, op.u.load.n_settle);
    must_be_items(op.u.load.walk, op.u.load.n_walk);
    MUST(op.u.load.n_due <= op.u.load.due_max && op.u.load.n_settle <= op.u.load.settle_max);
}

static void commit(struct tagd_redis *redis, struct input *in)
{
    struct tagd_profile_write profile = {.customer = TAGD_STR("a"), .bytes = TAGD_STR("p"), .due_changed = true};
    struct tagd_shard_writes shards[SHARDS] = {
        {.shard = 0, .fence = 5, .base_fence = 5, .base_batch = 3, .profiles = &profile, .n_profiles = 1},
        {.shard = 1, .fence = 5, .outbox = TAGD_STR("o"), .outbox_drop_to = 1}};
    struct tagd_op op = {.kind = TAGD_OP_COMMIT, .arena = &arena};
    op.u.commit.shards = shards;
    op.u.commit.n_shards = 1 + take(in, 1) % SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        shards[i].head = (struct tagd_head){.exists = true, .fence = 5, .batch = 4};
    answer(redis, in);
    tagd_redis_submit(redis, &op);
    must_have_ended(&op);
    for (size_t i = 0; i < op.u.commit.n_shards; i++)
        MUST(shards[i].status != TAGD_PENDING && (shards[i].status != TAGD_FENCED || op.status != TAGD_DONE));
}

static void meet(struct tagd_redis *redis, struct input *in)
{
    struct tagd_error error = {{0}};
    unsigned what = (unsigned)take(in, 1);
    answer(redis, in);
    redis->arena = &arena;
    enum tagd_io_result result = greet(redis, what & 1, &error);
    MUST(result == TAGD_IO_OK || error.text[0] != '\0');
}

/* ---- what readers ask ---- */

static void peek(struct tagd_redis *redis, struct input *in)
{
    struct tagd_io_peek peek;
    struct tagd_error error = {{0}};
    answer(redis, in);
    if (tagd_redis_peek(redis, 1, TAGD_STR("a"), &arena, &peek, &error) != TAGD_IO_OK)
        MUST(error.text[0] != '\0');
    else
        must_be_a_head(&peek.head);
}

static void heads(struct tagd_redis *redis, struct input *in)
{
    struct tagd_head heads[SHARDS];
    struct tagd_error error = {{0}};
    answer(redis, in);
    if (tagd_redis_heads(redis, heads, &error) != TAGD_IO_OK)
        MUST(error.text[0] != '\0');
    else
        must_be_a_head(&heads[1]);
}

static void counts(struct tagd_redis *redis, struct input *in)
{
    struct tagd_io_set sets[2] = {{.name = TAGD_STR("all"), .most = 2}, {.name = TAGD_STR("b.a"), .most = 9}};
    struct tagd_io_shard of = {0};
    struct tagd_error error = {{0}};
    answer(redis, in);
    if (tagd_redis_read_counts(redis, 1, sets, 2, &arena, &of, &error) != TAGD_IO_OK) {
        MUST(error.text[0] != '\0');
        return;
    }
    must_be_a_head(&of.head);
    MUST(sets[0].n <= sets[0].most && sets[1].n <= sets[1].most);
}

static void members(struct tagd_redis *redis, struct input *in)
{
    static const struct tagd_str names[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    int64_t found[3];
    struct tagd_error error = {{0}};
    answer(redis, in);
    MUST(tagd_redis_read_members(redis, 1, TAGD_STR("all"), names, 3, found, &error) == TAGD_IO_OK ||
         error.text[0] != '\0');
}

static void customers(struct tagd_redis *redis, struct input *in)
{
    struct tagd_load_item *items = NULL;
    struct tagd_error error = {{0}};
    uint64_t cursor = 0;
    size_t n = 0;
    bool scan = take(in, 1) & 1;
    answer(redis, in);
    enum tagd_io_result result = scan ? tagd_redis_scan_customers(redis, 1, &cursor, 9, &arena, &items, &n, &error)
                                      : tagd_redis_read_customers(redis, 1, 0, 9, &arena, &items, &n, &error);
    MUST(result == TAGD_IO_OK || error.text[0] != '\0');
    if (result == TAGD_IO_OK)
        must_be_items(items, n);
}

static void shards(struct tagd_redis *redis, struct input *in)
{
    uint32_t n;
    struct tagd_error error = {{0}};
    answer(redis, in);
    MUST(tagd_redis_read_shards(redis, &n, &error) == TAGD_IO_OK || error.text[0] != '\0');
}

/* What daemons and people tell each other, and what is held by it. */
static void board(struct tagd_redis *redis, struct input *in)
{
    struct tagd_source sources[] = {{.topic = "e", .expect_every_ms = 60000}, {.topic = "f"}};
    const struct tagd_config config = {.sources = sources, .n_sources = 2, .grace_ms = 2000};
    struct tagd_io_entry *entries = NULL;
    struct tagd_held held;
    struct tagd_error error = {{0}};
    size_t n;
    answer(redis, in);
    if (tagd_redis_board_read(redis, TAGD_IO_BRAKES, &arena, &entries, &n, &error) != TAGD_IO_OK) {
        MUST(error.text[0] != '\0' && n == 0);
        return;
    }
    MUST(n <= TAGD_IO_BOARD_MAX);
    tagd_held_judge(&config, entries, n, entries, n, NULL, FUZZ_T0, 0, &held);
    MUST(strlen(held.by) < sizeof(held.by) && strlen(held.why) <= TAGD_HOLD_WHY_MAX);
    MUST(!held.sources[0].held || held.sources[0].silent);
    MUST(!held.sources[1].silent && !held.clock_apart);
}

static void server(struct tagd_redis *redis, struct input *in)
{
    struct tagd_io_server about;
    struct tagd_error error = {{0}};
    answer(redis, in);
    MUST(tagd_redis_server(redis, &about, &error) == TAGD_IO_OK || error.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const asked[])(struct tagd_redis *, struct input *) = {
        fence, load, commit, meet, peek, heads, counts, members, customers, shards, board, server};
    static struct tagd_source source = {.topic = "e"};
    static struct tagd_config config = {.group = "g", .sources = &source, .n_sources = 1};
    static const struct tagd_notes notes = {.note = note};
    struct input in = {data, size};
    unsigned what = (unsigned)take(&in, 1);
    config.redis.unix_path = "/nowhere";
    config.redis.prefix = "p:";
    config.redis.password = what & 0x80 ? "secret" : NULL;
    config.redis.db = what & 0x40 ? 2 : 0;
    struct tagd_redis *redis = tagd_redis_new(&config, SHARDS, &notes, NULL);
    asked[(what & 0x3F) % (sizeof(asked) / sizeof(*asked))](redis, &in);
    tagd_redis_free(redis);
    tagd_arena_reset(&arena);
    return 0;
}
