/* io's side of Redis against a real one, which is started on a socket of its own. */
#include "check.h"
#include "io/redis.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MAX_MS 10000
#define MANY 3012 /* customers: more than one command's keys, and a hash that is no small list */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t tagd_io_mono_ms(void)
{
    return now_ms();
}

static int64_t wall = 1000;

int64_t tagd_io_wall_ms(void)
{
    return wall;
}

struct bench {
    char folder[64], socket[96];
    pid_t server;
    struct tagd_source source;
    struct tagd_config config;
    struct tagd_redis *redis;
    struct tagd_arena arena;
    uint64_t fence;
    struct tagd_head head;
};

static void bench_open(struct bench *bench)
{
    struct tagd_error error;
    *bench = (struct bench){.folder = "/tmp/tagd-test-redis-XXXXXX", .source = {.topic = "in"}};
    CHECK(mkdtemp(bench->folder) != NULL);
    snprintf(bench->socket, sizeof(bench->socket), "%s/redis.sock", bench->folder);
    bench->server = fork();
    CHECK(bench->server >= 0);
    if (bench->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a check that fails ends the test at once */
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", bench->socket, "--save", "", "--dir",
               bench->folder, "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
    bench->config = (struct tagd_config){.group = "g", .sources = &bench->source, .n_sources = 1};
    bench->config.redis.unix_path = bench->socket;
    bench->config.redis.prefix = "t:";
    bench->redis = tagd_redis_new(&bench->config, 2, NULL, NULL);
    for (int64_t deadline = now_ms() + START_MAX_MS; tagd_redis_connect(bench->redis, &error) != TAGD_IO_OK;) {
        if (now_ms() > deadline)
            fprintf(stderr, "%s\n", error.text);
        CHECK(now_ms() <= deadline);
    }
}

static void bench_close(struct bench *bench)
{
    tagd_redis_free(bench->redis);
    kill(bench->server, SIGTERM);
    waitpid(bench->server, NULL, 0);
    unlink(bench->socket);
    rmdir(bench->folder);
    tagd_arena_free(&bench->arena);
}

static void carry_out(struct bench *bench, struct tagd_op *op)
{
    op->arena = &bench->arena;
    op->status = TAGD_PENDING;
    tagd_redis_submit(bench->redis, op);
}

static struct tagd_op take(struct bench *bench)
{
    struct tagd_op op = {.kind = TAGD_OP_FENCE, .shard = 1};
    carry_out(bench, &op);
    CHECK(op.status == TAGD_DONE);
    bench->fence = op.u.fence.fence;
    bench->head = op.u.fence.head;
    return op;
}

/* Writes upon the present head; the new one has this batch. */
static enum tagd_op_status commit(struct bench *bench, uint64_t batch, struct tagd_shard_writes writes)
{
    writes.shard = 1;
    writes.fence = bench->fence;
    writes.base_fence = bench->head.fence;
    writes.base_batch = bench->head.batch;
    writes.head = bench->head;
    writes.head.exists = true;
    writes.head.fence = bench->fence;
    writes.head.batch = batch;
    writes.head.n_topics = 1;
    struct tagd_op op = {.kind = TAGD_OP_COMMIT, .u.commit = {&writes, 1}};
    carry_out(bench, &op);
    if (op.status == TAGD_DONE)
        bench->head = writes.head;
    return op.status;
}

static struct tagd_str customer_name(struct bench *bench, int i)
{
    char text[16];
    return tagd_arena_copy(&bench->arena, text, (size_t)snprintf(text, sizeof(text), "C%d", i));
}

/* Of `n` customers it is told "told C<i>", or nothing any more; every second one has a profile, "C<i>". */
static void tell(struct bench *bench, int n, bool gone)
{
    struct tagd_told_write *told = tagd_arena_zalloc(&bench->arena, (size_t)n * sizeof(*told));
    struct tagd_profile_write *profiles = tagd_arena_zalloc(&bench->arena, (size_t)n * sizeof(*profiles));
    struct tagd_shard_writes writes = {.told = told, .n_told = (size_t)n, .profiles = profiles};
    for (int i = 0; i < n; i++) {
        char text[32];
        told[i].customer = customer_name(bench, i);
        if (!gone)
            told[i].bytes = tagd_arena_copy(&bench->arena, text, (size_t)snprintf(text, sizeof(text), "told C%d", i));
        if (i % 2 == 0)
            profiles[writes.n_profiles++] = (struct tagd_profile_write){
                .customer = told[i].customer, .bytes = told[i].customer, .due_changed = true, .due_ms = i};
    }
    CHECK(commit(bench, bench->head.batch, writes) == TAGD_DONE);
}

static bool is_told(const struct tagd_load_item *item)
{
    return item->told.n > 5 && memcmp(item->told.p, "told ", 5) == 0 &&
           tagd_str_eq((struct tagd_str){item->told.p + 5, item->told.n - 5}, item->customer);
}

static void what_is_told_comes_with_the_profiles_and_goes(void)
{
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    tell(&bench, MANY, false);
    struct tagd_load_item items[] = {
        {.customer = TAGD_STR("C2999")}, {.customer = TAGD_STR("nobody")}, {.customer = TAGD_STR("C4")}};
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
    op.u.load.items = items;
    op.u.load.n_items = 3;
    op.u.load.due_to_ms = 2 * MANY;
    op.u.load.due_max = 1200;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && items[0].told.n == 0 && op.u.load.n_due == 1200 && op.u.load.due[0].told.n == 0);
    CHECK(op.u.load.n_settle == 0);
    op.u.load.with_told = true;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && op.u.load.n_due == 1200);
    CHECK(is_told(&items[0]) && items[0].bytes.n == 0);
    CHECK(items[1].told.n == 0 && items[1].bytes.n == 0);
    CHECK(is_told(&items[2]) && tagd_str_eq(items[2].bytes, TAGD_STR("C4")));
    for (size_t i = 0; i < op.u.load.n_due; i++)
        CHECK(is_told(&op.u.load.due[i]) && tagd_str_eq(op.u.load.due[i].bytes, op.u.load.due[i].customer));
    tell(&bench, MANY, true);
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && items[0].told.n == 0 && items[2].told.n == 0 && items[2].bytes.n == 2);
    bench_close(&bench);
}

/* As a settle batch does: some customers are looked at, what is told of them goes, and so on. */
static void all_that_are_told_of_are_met_once_each(void)
{
    struct bench bench;
    static bool met[MANY];
    int rounds = 0;
    bench_open(&bench);
    take(&bench);
    tell(&bench, MANY, false);
    for (size_t n = 0; n < MANY; rounds++) {
        struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
        struct tagd_told_write gone[70] = {0};
        op.u.load.due_to_ms = INT64_MIN;
        op.u.load.settle_max = 70;
        carry_out(&bench, &op);
        CHECK(op.status == TAGD_DONE && op.u.load.n_settle == (MANY - n < 70 ? MANY - n : 70));
        for (size_t i = 0; i < op.u.load.n_settle; i++, n++) {
            const struct tagd_load_item *item = &op.u.load.settle[i];
            int number = atoi(item->customer.p + 1);
            CHECK(is_told(item) && !met[number]);
            CHECK(number % 2 == 0 ? tagd_str_eq(item->bytes, item->customer) : item->bytes.n == 0);
            met[number] = true;
            gone[i].customer = item->customer;
        }
        struct tagd_shard_writes writes = {.told = gone, .n_told = op.u.load.n_settle};
        CHECK(commit(&bench, bench.head.batch, writes) == TAGD_DONE);
    }
    CHECK(rounds < MANY / 70 * 2);
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
    op.u.load.due_to_ms = INT64_MIN;
    op.u.load.settle_max = 70;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && op.u.load.n_settle == 0);
    bench_close(&bench);
}

/* Also while the head's batch stays the same. */
static void a_commit_is_fenced_once_another_has_the_shard(void)
{
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    CHECK(commit(&bench, 5, (struct tagd_shard_writes){0}) == TAGD_DONE);
    CHECK(commit(&bench, 5, (struct tagd_shard_writes){0}) == TAGD_DONE);
    struct tagd_told_write told = {TAGD_STR("C1"), TAGD_STR("x")};
    uint64_t earlier = bench.fence;
    take(&bench);
    CHECK(bench.fence > earlier && bench.head.batch == 5);
    uint64_t now = bench.fence;
    bench.fence = earlier;
    CHECK(commit(&bench, 5, (struct tagd_shard_writes){.told = &told, .n_told = 1}) == TAGD_FENCED);
    bench.fence = now;
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
    op.u.load.due_to_ms = INT64_MIN;
    op.u.load.settle_max = 1;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && op.u.load.n_settle == 0);
    CHECK(commit(&bench, 5, (struct tagd_shard_writes){.told = &told, .n_told = 1}) == TAGD_DONE);
    bench_close(&bench);
}

static void a_shard_without_a_head_is_compared_and_stays_without(void)
{
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    struct tagd_shard_writes writes = {.shard = 1, .fence = bench.fence};
    struct tagd_op op = {.kind = TAGD_OP_COMMIT, .u.commit = {&writes, 1}};
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && writes.status == TAGD_DONE);
    take(&bench);
    CHECK(!bench.head.exists);
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_FENCED);
    CHECK(commit(&bench, 1, (struct tagd_shard_writes){0}) == TAGD_DONE);
    writes.fence = bench.fence;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_FENCED);
    bench_close(&bench);
}

static size_t outbox_of(struct bench *bench, uint64_t *first)
{
    struct tagd_op op = take(bench);
    *first = op.u.fence.n_outbox > 0 ? op.u.fence.outbox[0].batch : 0;
    return op.u.fence.n_outbox;
}

/* A repair takes over Kafka's number: not every number between is an entry to be dropped. */
static void the_outbox_is_dropped_over_a_jump_of_the_batch(void)
{
    struct bench bench;
    uint64_t first;
    const uint64_t far = 1000000000000;
    bench_open(&bench);
    take(&bench);
    for (uint64_t batch = 1; batch <= 4; batch++)
        CHECK(commit(&bench, batch, (struct tagd_shard_writes){.outbox = TAGD_STR("o")}) == TAGD_DONE);
    CHECK(commit(&bench, 4, (struct tagd_shard_writes){.outbox_drop_to = 2}) == TAGD_DONE);
    CHECK(outbox_of(&bench, &first) == 2 && first == 3);
    CHECK(commit(&bench, far, (struct tagd_shard_writes){.outbox_drop_to = far}) == TAGD_DONE);
    CHECK(commit(&bench, far + 1, (struct tagd_shard_writes){.outbox = TAGD_STR("o")}) == TAGD_DONE);
    CHECK(commit(&bench, far + 2, (struct tagd_shard_writes){.outbox = TAGD_STR("o")}) == TAGD_DONE);
    CHECK(commit(&bench, far + 3, (struct tagd_shard_writes){.outbox = TAGD_STR("o"), .outbox_drop_to = far + 1}) ==
          TAGD_DONE);
    CHECK(outbox_of(&bench, &first) == 2 && first == far + 2);
    CHECK(commit(&bench, far + 3, (struct tagd_shard_writes){.outbox_drop_to = far + 3}) == TAGD_DONE);
    CHECK(outbox_of(&bench, &first) == 0);
    CHECK(commit(&bench, far + 4, (struct tagd_shard_writes){.outbox = TAGD_STR("o")}) == TAGD_DONE);
    CHECK(commit(&bench, far + 4, (struct tagd_shard_writes){.outbox_drop_to = far + 4}) == TAGD_DONE);
    CHECK(outbox_of(&bench, &first) == 0);
    bench_close(&bench);
}

/* Commands of more bytes than are sent at once, and entries on both sides of that size. */
static void large_commits_are_sent_in_parts_and_are_whole(void)
{
    enum { N = 4000, SIZE = 300 };
    static const size_t sizes[] = {1, 256 * 1024 - 1, 256 * 1024, 700000};
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    struct tagd_profile_write *profiles = tagd_arena_zalloc(&bench.arena, N * sizeof(*profiles));
    for (int i = 0; i < N; i++) {
        char *bytes = memset(tagd_arena_alloc(&bench.arena, SIZE), 'a' + i % 26, SIZE);
        profiles[i] = (struct tagd_profile_write){
            .customer = customer_name(&bench, i), .bytes = {bytes, SIZE}, .due_ms = N - i, .due_changed = true};
    }
    for (uint64_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        char *text = memset(tagd_arena_alloc(&bench.arena, sizes[k]), 'x', sizes[k]);
        struct tagd_shard_writes writes = {.profiles = profiles, .n_profiles = N, .outbox = {text, sizes[k]}};
        CHECK(commit(&bench, 1 + k, writes) == TAGD_DONE);
        struct tagd_op op = take(&bench);
        CHECK(op.u.fence.n_outbox == k + 1 && op.u.fence.next_due_ms == 1);
        struct tagd_str entry = op.u.fence.outbox[k].bytes;
        CHECK(entry.n == sizes[k] && memcmp(entry.p, text, sizes[k]) == 0);
    }
    struct tagd_load_item *items = tagd_arena_zalloc(&bench.arena, N * sizeof(*items));
    for (int i = 0; i < N; i++)
        items[i].customer = profiles[i].customer;
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
    op.u.load.items = items;
    op.u.load.n_items = N;
    op.u.load.due_to_ms = 2;
    op.u.load.due_max = 10;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && op.u.load.n_due == 2 && op.u.load.next_due_ms == 3);
    CHECK(tagd_str_eq(op.u.load.due[0].customer, profiles[N - 1].customer));
    op.u.load.due_to_ms = N; /* more are due than may come: the next one waits at its own instant */
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && op.u.load.n_due == 10 && op.u.load.next_due_ms == 11);
    CHECK(tagd_str_eq(op.u.load.due[9].customer, profiles[N - 10].customer));
    for (int i = 0; i < N; i++)
        CHECK(tagd_str_eq(items[i].bytes, profiles[i].bytes));
    bench_close(&bench);
}

static void a_head_in_repair_is_kept(void)
{
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    bench.head.repair = (struct tagd_repair){TAGD_REPAIR_REPLAYING, {42}, 1000, {7, 8}};
    CHECK(commit(&bench, 9, (struct tagd_shard_writes){0}) == TAGD_DONE);
    struct tagd_repair wanted = bench.head.repair;
    take(&bench);
    CHECK(bench.head.batch == 9 && memcmp(&bench.head.repair, &wanted, sizeof(wanted)) == 0);
    bench_close(&bench);
}

static void an_emptied_store_is_claimed_again(void)
{
    struct bench bench;
    struct tagd_error error;
    struct tagd_io_peek peek;
    bench_open(&bench);
    take(&bench);
    redisContext *other = redisConnectUnix(bench.socket);
    CHECK(other != NULL && other->err == 0);
    freeReplyObject(redisCommand(other, "FLUSHALL"));
    CHECK(commit(&bench, 1, (struct tagd_shard_writes){0}) == TAGD_FENCED);
    take(&bench);
    CHECK(tagd_redis_peek(bench.redis, 1, TAGD_STR("C1"), &bench.arena, &peek, &error) == TAGD_IO_OK);
    CHECK(peek.partitions == 2);
    freeReplyObject(redisCommand(other, "FLUSHALL"));
    freeReplyObject(redisCommand(other, "SET t:group other"));
    struct tagd_op op = {.kind = TAGD_OP_FENCE, .shard = 1};
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_REFUSED && strstr(op.error.text, "belongs to group \"other\"") != NULL);
    redisFree(other);
    bench_close(&bench);
}

/* A store that went back counts from what it knows; what it has forgotten must not come again. */
static void a_fence_is_larger_than_any_and_of_its_own_moment(void)
{
    struct bench bench;
    bench_open(&bench);
    wall = 1000;
    struct tagd_op op = take(&bench);
    CHECK(op.u.fence.before == 0 && op.u.fence.fence == 1000);
    op = take(&bench);
    CHECK(op.u.fence.before == 1000 && op.u.fence.fence == 1001);
    redisContext *other = redisConnectUnix(bench.socket);
    freeReplyObject(redisCommand(other, "FLUSHALL"));
    redisFree(other);
    wall = 5000;
    op = take(&bench);
    CHECK(op.u.fence.before == 0 && op.u.fence.fence == 5000);
    wall = 10; /* set back: it still grows */
    op = take(&bench);
    CHECK(op.u.fence.before == 5000 && op.u.fence.fence == 5001);
    bench_close(&bench);
}

/* The next one would be the smallest of all. */
static void a_fence_that_can_not_grow_is_refused(void)
{
    static const char *const wrong[] = {"18446744073709551615", "18446744073709551616", "-1", "x", "7x", "1.5"};
    struct bench bench;
    bench_open(&bench);
    redisContext *other = redisConnectUnix(bench.socket);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tagd_op op = {.kind = TAGD_OP_FENCE, .shard = 1};
        freeReplyObject(redisCommand(other, "SET t:{g:1}:fence %s", wrong[i]));
        carry_out(&bench, &op);
        CHECK(op.status == TAGD_REFUSED && strstr(op.error.text, "its fence in Redis is no number that can grow"));
    }
    freeReplyObject(redisCommand(other, "SET t:{g:1}:fence 18446744073709551614"));
    struct tagd_op op = take(&bench);
    CHECK(op.u.fence.fence == UINT64_MAX);
    redisFree(other);
    bench_close(&bench);
}

/* A process that listens there and answers once, whatever it is asked. */
static pid_t serve_once(const char *path, const char *answer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0);
    pid_t server = fork();
    CHECK(server >= 0);
    if (server == 0) {
        char asked[256];
        int to = accept(fd, NULL, NULL);
        if (recv(to, asked, sizeof(asked), 0) > 0)
            send(to, answer, strlen(answer), MSG_NOSIGNAL);
        shutdown(to, SHUT_WR);
        while (recv(to, asked, sizeof(asked), 0) > 0)
            ;
        _exit(0);
    }
    close(fd);
    return server;
}

/* Memory for them would be taken before any of them is there. */
static void an_answer_of_too_many_parts_ends_the_connection(void)
{
    static const char *const answers[] = {"*2147483647\r\n", "*16777217\r\n",
                                          "*16777216\r\n"}; /* the last is waited for */
    for (size_t i = 0; i < 3; i++) {
        char folder[] = "/tmp/tagd-test-redis-XXXXXX", path[96];
        struct tagd_source source = {.topic = "in"};
        struct tagd_config config = {.group = "g", .sources = &source, .n_sources = 1};
        struct tagd_error error;
        CHECK(mkdtemp(folder) != NULL);
        snprintf(path, sizeof(path), "%s/redis.sock", folder);
        pid_t server = serve_once(path, answers[i]);
        config.redis.unix_path = path;
        config.redis.prefix = "t:";
        struct tagd_redis *redis = tagd_redis_new(&config, 2, NULL, NULL);
        CHECK(tagd_redis_connect(redis, &error) == TAGD_IO_UNREACHABLE);
        CHECK(strstr(error.text, i < 2 ? "too many parts" : "Server closed the connection"));
        tagd_redis_free(redis);
        waitpid(server, NULL, 0);
        unlink(path);
        rmdir(folder);
    }
}

/* ---- the population ---- */

static struct tagd_count_write count(const char *set, const char *member, int64_t by)
{
    return (struct tagd_count_write){tagd_str_of(set), tagd_str_of(member), by};
}

static void write_counts(struct bench *bench, const struct tagd_count_write *counts, size_t n, const char *form)
{
    struct tagd_shard_writes writes = {.population = {.counts = counts, .n_counts = n, .form = tagd_str_of(form)}};
    CHECK(commit(bench, bench->head.batch + 1, writes) == TAGD_DONE);
}

/* "member count;" of the set, the largest first. */
static bool set_is(struct bench *bench, const char *name, size_t most, const char *expected)
{
    struct tagd_io_set set = {.name = tagd_str_of(name), .most = most};
    struct tagd_io_shard of;
    struct tagd_error error = {""};
    struct tagd_buf text = {0};
    CHECK(tagd_redis_read_counts(bench->redis, 1, &set, 1, &bench->arena, &of, &error) == TAGD_IO_OK);
    for (size_t i = 0; i < set.n; i++)
        tagd_buf_printf(&text, "%.*s %" PRId64 ";", (int)set.members[i].n, set.members[i].p, set.counts[i]);
    tagd_buf_printf(&text, "%s", set.more ? "more" : "");
    bool same = tagd_str_eq((struct tagd_str){text.p ? text.p : "", text.n}, tagd_str_of(expected));
    if (!same)
        fprintf(stderr, "saw      %.*s\nexpected %s\n", (int)text.n, text.p, expected);
    tagd_buf_free(&text);
    return same && of.head.batch == bench->head.batch;
}

static void counts_add_up_and_those_that_come_to_nothing_are_gone(void)
{
    struct bench bench;
    bench_open(&bench);
    struct tagd_op op = take(&bench);
    CHECK(op.u.fence.population_form.n == 0);
    struct tagd_count_write first[] = {count("v.level", "high", 2), count("v.level", "low", 1), count("v.level", "", 1),
                                       count("all", "customers", 9007199254740990)};
    write_counts(&bench, first, 4, "1\na|b");
    op = take(&bench);
    CHECK(tagd_str_eq(op.u.fence.population_form, TAGD_STR("1\na|b")));
    CHECK(set_is(&bench, "v.level", 9, "high 2;low 1; 1;") && set_is(&bench, "v.level", 3, "high 2;low 1; 1;"));
    CHECK(set_is(&bench, "v.level", 2, "high 2;low 1;more") && set_is(&bench, "none", 9, ""));
    struct tagd_count_write second[] = {count("v.level", "low", -1), count("v.level", "high", 1),
                                        count("v.level", "", -1), count("all", "customers", 1)};
    write_counts(&bench, second, 4, "");
    CHECK(set_is(&bench, "v.level", 9, "high 3;") && set_is(&bench, "all", 9, "customers 9007199254740991;"));
    op = take(&bench);
    CHECK(tagd_str_eq(op.u.fence.population_form, TAGD_STR("1\na|b")));
    struct tagd_count_write last = count("v.level", "high", -3);
    write_counts(&bench, &last, 1, "2");
    redisContext *other = redisConnectUnix(bench.socket);
    redisReply *reply = redisCommand(other, "EXISTS t:{g:1}:pop:v.level");
    CHECK(reply->integer == 0);
    freeReplyObject(reply);
    redisFree(other);
    bench_close(&bench);
}

static void sets_that_are_dropped_go_before_anything_is_counted(void)
{
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    struct tagd_count_write counts[] = {count("a", "x", 4), count("b", "x", 5)};
    struct tagd_str drops[] = {TAGD_STR("nothing"), TAGD_STR("a")};
    write_counts(&bench, counts, 2, "1");
    struct tagd_shard_writes writes = {
        .population = {.drops = drops, .n_drops = 2, .counts = counts, .n_counts = 1, .form = {NULL, 0}}};
    CHECK(commit(&bench, bench.head.batch + 1, writes) == TAGD_DONE);
    CHECK(set_is(&bench, "a", 9, "x 4;") && set_is(&bench, "b", 9, "x 5;"));
    bench_close(&bench);
}

static void a_fenced_commit_counts_nothing(void)
{
    struct bench bench;
    bench_open(&bench);
    take(&bench);
    struct tagd_count_write one = count("a", "x", 4);
    write_counts(&bench, &one, 1, "1");
    redisContext *other = redisConnectUnix(bench.socket);
    freeReplyObject(redisCommand(other, "SET t:{g:1}:fence 99999999"));
    redisFree(other);
    struct tagd_shard_writes writes = {.population = {.counts = &one, .n_counts = 1}};
    CHECK(commit(&bench, bench.head.batch + 1, writes) == TAGD_FENCED && set_is(&bench, "a", 9, "x 4;"));
    bench_close(&bench);
}

static void members_are_found_however_many_and_those_that_arent_there_are_0(void)
{
    struct bench bench;
    struct tagd_error error;
    bench_open(&bench);
    take(&bench);
    struct tagd_count_write *counts = tagd_arena_alloc(&bench.arena, MANY * sizeof(*counts));
    struct tagd_str *members = tagd_arena_alloc(&bench.arena, (MANY + 1) * sizeof(*members));
    int64_t *found = tagd_arena_alloc(&bench.arena, (MANY + 1) * sizeof(*found));
    for (int i = 0; i < MANY; i++) {
        members[i] = customer_name(&bench, i);
        counts[i] = (struct tagd_count_write){TAGD_STR("a"), members[i], i + 1};
    }
    members[MANY] = TAGD_STR("nobody");
    write_counts(&bench, counts, MANY, "1");
    CHECK(tagd_redis_read_members(bench.redis, 1, TAGD_STR("a"), members, MANY + 1, found, &error) == TAGD_IO_OK);
    for (int i = 0; i < MANY; i++)
        CHECK(found[i] == i + 1);
    CHECK(found[MANY] == 0);
    bench_close(&bench);
}

static void a_board_is_read_up_to_its_limit(void)
{
    struct bench bench;
    struct tagd_error error;
    struct tagd_io_entry *entries;
    size_t n;
    bench_open(&bench);
    for (int i = 0; i <= TAGD_IO_BOARD_MAX; i++) {
        struct tagd_str name = customer_name(&bench, i);
        CHECK(tagd_redis_board_write(bench.redis, TAGD_IO_HEARD, name, name, &error) == TAGD_IO_OK);
        if (i + 2 < TAGD_IO_BOARD_MAX)
            continue;
        CHECK(tagd_redis_board_read(bench.redis, TAGD_IO_HEARD, &bench.arena, &entries, &n, &error) == TAGD_IO_OK);
        CHECK(n == (size_t)(i < TAGD_IO_BOARD_MAX ? i + 1 : TAGD_IO_BOARD_MAX));
        for (size_t k = 0; k < n; k++)
            CHECK(entries[k].field.n > 1 && tagd_str_eq(entries[k].field, entries[k].value));
    }
    bench_close(&bench);
}

/* A chunk at a time, as a shard that counts its customers reads them; and as a reader does. */
static void a_walk_meets_every_customer_once(void)
{
    struct bench bench;
    static bool met[MANY];
    struct tagd_error error;
    size_t n = 0, some = 1;
    bench_open(&bench);
    take(&bench);
    tell(&bench, MANY, false); /* every second one has a profile */
    for (; some > 0; n += some) {
        struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
        op.u.load.due_to_ms = INT64_MIN;
        op.u.load.walk_max = 701;
        op.u.load.walk_from = n;
        carry_out(&bench, &op);
        CHECK(op.status == TAGD_DONE);
        some = op.u.load.n_walk;
        CHECK(some <= 701);
        struct tagd_load_item *items;
        size_t n_items;
        CHECK(tagd_redis_read_customers(bench.redis, 1, n, 701, &bench.arena, &items, &n_items, &error) == TAGD_IO_OK);
        CHECK(n_items == some);
        for (size_t i = 0; i < some; i++) {
            int number = atoi(op.u.load.walk[i].customer.p + 1);
            CHECK(!met[number] && tagd_str_eq(op.u.load.walk[i].bytes, op.u.load.walk[i].customer));
            CHECK(tagd_str_eq(items[i].customer, op.u.load.walk[i].customer));
            CHECK(tagd_str_eq(items[i].bytes, op.u.load.walk[i].bytes));
            met[number] = true;
        }
    }
    CHECK(n == MANY / 2);
    bench_close(&bench);
}

static void what_is_no_set_of_counts_is_told(void)
{
    struct bench bench;
    struct tagd_error error;
    struct tagd_io_set set = {.name = TAGD_STR("a"), .most = 9};
    struct tagd_io_shard of;
    uint32_t shards = 9;
    bench_open(&bench);
    CHECK(tagd_redis_read_shards(bench.redis, &shards, &error) == TAGD_IO_OK && shards == 2);
    redisContext *other = redisConnectUnix(bench.socket);
    freeReplyObject(redisCommand(other, "SET t:{g:1}:pop:a x"));
    CHECK(tagd_redis_read_counts(bench.redis, 1, &set, 1, &bench.arena, &of, &error) == TAGD_IO_CONFIG);
    CHECK(strstr(error.text, "WRONGTYPE"));
    freeReplyObject(redisCommand(other, "SET t:{g:1}:head x"));
    freeReplyObject(redisCommand(other, "DEL t:{g:1}:pop:a"));
    CHECK(tagd_redis_read_counts(bench.redis, 1, &set, 1, &bench.arena, &of, &error) == TAGD_IO_CONFIG);
    CHECK(strstr(error.text, "its head in Redis can't be read"));
    redisFree(other);
    bench_close(&bench);
}

static void a_score_that_no_count_can_be_is_0(void)
{
    static const struct tagd_str members[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    struct bench bench;
    struct tagd_error error;
    int64_t counts[4];
    bench_open(&bench);
    redisContext *other = redisConnectUnix(bench.socket);
    freeReplyObject(redisCommand(other, "ZADD t:{g:1}:pop:all inf a -inf b 1e300 c 5 d"));
    CHECK(tagd_redis_read_members(bench.redis, 1, TAGD_STR("all"), members, 4, counts, &error) == TAGD_IO_OK);
    CHECK(counts[0] == 0 && counts[1] == 0 && counts[2] == 0 && counts[3] == 5);
    redisFree(other);
    bench_close(&bench);
}

/* "field value field value ", as the hash has them, fields in order of their names. */
static const char *view_of(redisContext *other, const char *customer)
{
    static const char *const fields[] = {"_at", "_revision", "a.one", "b.two", "c.three"};
    static char text[500];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        redisReply *reply = redisCommand(other, "HGET t:tags:%s %s", customer, fields[i]);
        if (reply->type == REDIS_REPLY_STRING)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s ", fields[i], reply->str);
        freeReplyObject(reply);
    }
    return text;
}

static void of_a_view_that_is_known_only_what_differs_is_written(void)
{
    struct bench bench;
    struct tagd_str first[] = {TAGD_STR("a.one"), TAGD_STR("x"), TAGD_STR("b.two"),     TAGD_STR("y"),
                               TAGD_STR("_at"),   TAGD_STR("1"), TAGD_STR("_revision"), TAGD_STR("2")};
    struct tagd_str second[] = {TAGD_STR("a.one"), TAGD_STR("unwritten"), TAGD_STR("c.three"),   TAGD_STR("z"),
                                TAGD_STR("_at"),   TAGD_STR("3"),         TAGD_STR("_revision"), TAGD_STR("4")};
    struct tagd_str gone = TAGD_STR("b.two");
    bool same[4] = {true, false, false, false}, all[4] = {true, true, true, true};
    struct tagd_profile_write write = {
        .customer = TAGD_STR("C1"), .bytes = TAGD_STR("p"), .view_changed = true, .view = first, .n_view = 4};
    struct tagd_shard_writes writes = {.profiles = &write, .n_profiles = 1};
    bench_open(&bench);
    take(&bench);
    redisContext *other = redisConnectUnix(bench.socket);
    CHECK(commit(&bench, 1, writes) == TAGD_DONE);
    CHECK(strcmp(view_of(other, "C1"), "_at 1 _revision 2 a.one x b.two y ") == 0);
    write.view = second;
    write.view_same = same;
    write.gone = &gone;
    write.n_gone = 1;
    CHECK(commit(&bench, 2, writes) == TAGD_DONE);
    CHECK(strcmp(view_of(other, "C1"), "_at 3 _revision 4 a.one x c.three z ") == 0);
    write.n_gone = 0;
    write.view_same = all;
    CHECK(commit(&bench, 3, writes) == TAGD_DONE);
    CHECK(strcmp(view_of(other, "C1"), "_at 3 _revision 4 a.one x c.three z ") == 0);
    write.view = first;
    write.view_same = NULL;
    CHECK(commit(&bench, 4, writes) == TAGD_DONE);
    CHECK(strcmp(view_of(other, "C1"), "_at 1 _revision 2 a.one x b.two y ") == 0);
    redisFree(other);
    bench_close(&bench);
}

static int64_t number_of(redisContext *other, const char *command)
{
    redisReply *reply = redisCommand(other, command);
    int64_t n = reply->type == REDIS_REPLY_INTEGER ? reply->integer : reply->type == REDIS_REPLY_STRING ? 1 : 0;
    freeReplyObject(reply);
    return n;
}

static struct tagd_str known_of_c2(void *to, struct tagd_str customer)
{
    ++*(int *)to;
    return tagd_str_eq(customer, TAGD_STR("C2")) ? TAGD_STR("known") : (struct tagd_str){NULL, 0};
}

/* C1 is among the items: it isn't asked for once more. */
static void of_customers_that_are_due_those_that_are_known_are_not_read(void)
{
    struct bench bench;
    struct tagd_profile_write write[4];
    struct tagd_load_item items[] = {{.customer = TAGD_STR("C1")}};
    int asked = 0;
    bench_open(&bench);
    take(&bench);
    for (int i = 0; i < 4; i++)
        write[i] = (struct tagd_profile_write){.customer = customer_name(&bench, i),
                                               .bytes = customer_name(&bench, i),
                                               .due_changed = true,
                                               .due_ms = 10 + i};
    CHECK(commit(&bench, 1, (struct tagd_shard_writes){.profiles = write, .n_profiles = 4}) == TAGD_DONE);
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
    op.u.load.items = items;
    op.u.load.n_items = 1;
    op.u.load.due_to_ms = 100;
    op.u.load.due_max = 10;
    op.u.load.known = known_of_c2;
    op.u.load.known_to = &asked;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && op.u.load.n_due == 4 && asked == 3);
    CHECK(tagd_str_eq(op.u.load.due[0].bytes, TAGD_STR("C0")) && tagd_str_eq(op.u.load.due[1].bytes, TAGD_STR("C1")));
    CHECK(tagd_str_eq(op.u.load.due[2].bytes, TAGD_STR("known")));
    CHECK(tagd_str_eq(op.u.load.due[3].bytes, TAGD_STR("C3")));
    bench_close(&bench);
}

/* More than one command's keys; of each third one there is no profile, each fourth has no new timer. */
static void many_profiles_and_timers_are_written_and_go(void)
{
    struct bench bench;
    static struct tagd_profile_write write[MANY];
    struct tagd_shard_writes writes = {.profiles = write, .n_profiles = MANY};
    bench_open(&bench);
    take(&bench);
    redisContext *other = redisConnectUnix(bench.socket);
    for (int i = 0; i < MANY; i++)
        write[i] =
            (struct tagd_profile_write){.customer = customer_name(&bench, i),
                                        .bytes = i % 3 == 0 ? (struct tagd_str){NULL, 0} : customer_name(&bench, i),
                                        .due_changed = i % 4 != 0,
                                        .due_ms = i == 5 ? TAGD_NEVER : 1000 + i};
    CHECK(commit(&bench, 1, writes) == TAGD_DONE);
    CHECK(number_of(other, "ZCARD t:{g:1}:timers") == MANY / 2);
    CHECK(number_of(other, "HLEN t:{g:1}:profiles") == MANY - MANY / 3);
    CHECK(number_of(other, "HEXISTS t:{g:1}:profiles C2999") == 1 &&
          number_of(other, "HEXISTS t:{g:1}:profiles C3") == 0);
    CHECK(number_of(other, "ZCOUNT t:{g:1}:timers 1002 1002") == 1);
    CHECK(number_of(other, "ZCOUNT t:{g:1}:timers +inf +inf") == 1);
    struct tagd_load_item items[] = {{.customer = TAGD_STR("C2")},
                                     {.customer = TAGD_STR("C4"), .bytes = TAGD_STR("known"), .known = true},
                                     {.customer = TAGD_STR("C3")}};
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = 1};
    op.u.load.items = items;
    op.u.load.n_items = 3;
    op.u.load.due_to_ms = INT64_MIN;
    carry_out(&bench, &op);
    CHECK(op.status == TAGD_DONE && tagd_str_eq(items[0].bytes, TAGD_STR("C2")) && items[2].bytes.n == 0);
    CHECK(tagd_str_eq(items[1].bytes, TAGD_STR("known")));
    for (int i = 0; i < MANY; i++)
        write[i].bytes.n = 0;
    CHECK(commit(&bench, 2, writes) == TAGD_DONE);
    CHECK(number_of(other, "ZCARD t:{g:1}:timers") == 0);
    CHECK(number_of(other, "HLEN t:{g:1}:profiles") == 0);
    redisFree(other);
    bench_close(&bench);
}

int main(void)
{
    RUN(of_a_view_that_is_known_only_what_differs_is_written);
    RUN(many_profiles_and_timers_are_written_and_go);
    RUN(of_customers_that_are_due_those_that_are_known_are_not_read);
    RUN(counts_add_up_and_those_that_come_to_nothing_are_gone);
    RUN(sets_that_are_dropped_go_before_anything_is_counted);
    RUN(a_fenced_commit_counts_nothing);
    RUN(members_are_found_however_many_and_those_that_arent_there_are_0);
    RUN(a_board_is_read_up_to_its_limit);
    RUN(a_walk_meets_every_customer_once);
    RUN(what_is_no_set_of_counts_is_told);

    RUN(a_fence_is_larger_than_any_and_of_its_own_moment);
    RUN(a_fence_that_can_not_grow_is_refused);
    RUN(an_answer_of_too_many_parts_ends_the_connection);
    RUN(a_score_that_no_count_can_be_is_0);
    RUN(what_is_told_comes_with_the_profiles_and_goes);
    RUN(all_that_are_told_of_are_met_once_each);
    RUN(a_commit_is_fenced_once_another_has_the_shard);
    RUN(a_shard_without_a_head_is_compared_and_stays_without);
    RUN(the_outbox_is_dropped_over_a_jump_of_the_batch);
    RUN(large_commits_are_sent_in_parts_and_are_whole);
    RUN(a_head_in_repair_is_kept);
    RUN(an_emptied_store_is_claimed_again);
    return DONE();
}
