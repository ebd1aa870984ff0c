#include "io/redis.h"
#include "io/redis_tls.h"

#include <hiredis/hiredis.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 2000
#define REPLY_TIMEOUT_MS 5000
#define CLOCK_ANSWER_MS 200 /* a slower answer doesn't tell what Redis's clock says */
#define RECONNECT_PAUSE_MS 200
#define EXEC_TRIES_MAX 5
#define LOAD_FIELDS_MAX 1000  /* of one HMGET, ZMSCORE */
#define WRITE_FIELDS_MAX 1000 /* of one HSET, ZADD */
#define READ_BYTES (128 * 1024)
#define SEND_BYTES (256 * 1024)     /* so much is sent before more is written: Redis reads it meanwhile */
#define PARTS_FIRST 1024            /* a power of two */
#define PARTS_MAX ((size_t)1 << 24) /* of an answer, before any of them is there: more is no answer to what we ask */
#define POPULATION "pop"            /* key of its form; its sets have ":" and their name behind it */

struct shard_state {
    uint64_t serial;                 /* of the connection its fence was taken on; 0: none */
    uint64_t outbox_low, outbox_end; /* outbox entries are of batches from low to before end; none: end <= low */
};

struct tagd_redis {
    const struct tagd_config *config;
    const struct tagd_notes *notes;
    struct tagd_io_stats *stats;
    redisContext *context;
    struct tagd_redis_tls *tls; /* of the connection; NULL: it has none */
    uint64_t serial;            /* of the connection, from 1 */
    int64_t retry_ms;
    bool warned_aof;
    bool surveyed;            /* whatever it is: who connects looks for what is wrong */
    bool demoted;             /* an answer said so: the connection is left after the operation */
    struct tagd_buf out;      /* commands, or parts, not sent yet */
    size_t n_out;             /* how many commands wait for their answers to be received */
    struct tagd_arena *arena; /* where answers are put: the operation's, or */
    struct tagd_arena own;    /* for what has none, until the next */
    int unsent;               /* errno of a send that failed, after which nothing is sent; 0: none did */
    char in[READ_BYTES];
    struct tagd_buf keys; /* how those of a shard begin: <prefix>{<group>:<shard>}: */
    uint32_t keys_of;     /* that shard */
    uint32_t partitions;
    struct shard_state *shards;
};

/* ---- sending ---- */

static int send_bytes(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno;
        p += sent;
        n -= (size_t)sent;
    }
    return 0;
}

/* If the connection is gone, the first receive finds it. */
static void send_some(struct tagd_redis *redis, const char *p, size_t n)
{
    if (redis->unsent == 0 && redis->context != NULL)
        redis->unsent =
            redis->tls == NULL ? send_bytes(redis->context->fd, p, n) : tagd_redis_tls_send(redis->tls, p, n);
}

static void send_out(struct tagd_redis *redis)
{
    send_some(redis, redis->out.p, redis->out.n);
    redis->out.n = 0;
}

static void send_commands(struct tagd_redis *redis)
{
    send_out(redis);
    redis->n_out = 0;
}

/* ---- commands as RESP, straight into the buffer ---- */

/* "*" or "$", the number, and the end of the line. */
static void count(struct tagd_buf *out, char kind, size_t n)
{
    char text[32];
    size_t at = sizeof(text);
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    text[--at] = kind;
    tagd_buf_add(out, text + at, sizeof(text) - at);
}

static void command(struct tagd_redis *redis, size_t n_args)
{
    count(&redis->out, '*', n_args);
    redis->n_out++;
}

static void length(struct tagd_buf *out, size_t n)
{
    count(out, '$', n);
}

static void bytes(struct tagd_redis *redis, struct tagd_str s)
{
    if (s.n >= SEND_BYTES) {
        send_out(redis);
        send_some(redis, s.p, s.n);
    } else {
        tagd_buf_add_str(&redis->out, s);
    }
}

static void arg(struct tagd_redis *redis, struct tagd_str s)
{
    length(&redis->out, s.n);
    tagd_buf_add_str(&redis->out, s);
    tagd_buf_add(&redis->out, "\r\n", 2);
    if (redis->out.n >= SEND_BYTES)
        send_out(redis);
}

static void arg_z(struct tagd_redis *redis, const char *z)
{
    arg(redis, tagd_str_of(z));
}

static void arg_u64(struct tagd_redis *redis, uint64_t v)
{
    char text[TAGD_INTEGER_TEXT];
    arg(redis, (struct tagd_str){text, tagd_u64_format(v, text)});
}

static void arg_i64(struct tagd_redis *redis, int64_t v)
{
    char text[TAGD_INTEGER_TEXT];
    arg(redis, (struct tagd_str){text, tagd_i64_format(v, text)});
}

static void arg_instant(struct tagd_redis *redis, int64_t ms)
{
    if (ms == TAGD_NEVER)
        arg_z(redis, "+inf");
    else
        arg_i64(redis, ms);
}

/* A key of the shard: <prefix>{<group>:<shard>}:<name><customer>. */
static void arg_key(struct tagd_redis *redis, uint32_t shard, const char *name, struct tagd_str customer)
{
    struct tagd_buf *keys = &redis->keys, *out = &redis->out;
    size_t n_name = strlen(name);
    if (keys->n == 0 || redis->keys_of != shard) {
        keys->n = 0;
        tagd_buf_printf(keys, "%s{%s:%" PRIu32 "}:", redis->config->redis.prefix, redis->config->group, shard);
        redis->keys_of = shard;
    }
    length(out, keys->n + n_name + customer.n);
    tagd_buf_reserve(out, keys->n + n_name + customer.n + 2);
    tagd_buf_add(out, keys->p, keys->n);
    tagd_buf_add(out, name, n_name);
    tagd_buf_add_str(out, customer);
    tagd_buf_add(out, "\r\n", 2);
}

static void arg_shard_key(struct tagd_redis *redis, uint32_t shard, const char *name)
{
    arg_key(redis, shard, name, (struct tagd_str){"", 0});
}

static void arg_view_key(struct tagd_redis *redis, struct tagd_str customer)
{
    const char *prefix = redis->config->redis.prefix;
    size_t n = strlen(prefix) + 5;
    length(&redis->out, n + customer.n);
    tagd_buf_add_z(&redis->out, prefix);
    tagd_buf_add_z(&redis->out, "tags:");
    tagd_buf_add_str(&redis->out, customer);
    tagd_buf_add(&redis->out, "\r\n", 2);
}

/* ---- answers, as hiredis reads them, in an arena ---- */

/* Parts come one after the other. There is room for PARTS_FIRST of them, and always for twice as many as have come: what
 * an answer says of itself takes no memory. */
static void add_part(const redisReadTask *task, redisReply *part)
{
    redisReply *whole = task->parent->obj;
    size_t at = (size_t)task->idx;
    if (at >= PARTS_FIRST && (at & (at - 1)) == 0) {
        redisReply **more = tagd_arena_alloc(task->privdata, 2 * at * sizeof(*more));
        memcpy(more, whole->element, at * sizeof(*more));
        whole->element = more;
    }
    whole->element[at] = part;
}

static void *new_reply(const redisReadTask *task)
{
    redisReply *reply = tagd_arena_zalloc(task->privdata, sizeof(*reply));
    reply->type = task->type;
    if (task->parent != NULL)
        add_part(task, reply);
    return reply;
}

static void *new_string(const redisReadTask *task, char *text, size_t n)
{
    redisReply *reply = new_reply(task);
    struct tagd_str copy = tagd_arena_copy(task->privdata, text, n);
    reply->str = (char *)(uintptr_t)copy.p;
    reply->len = n;
    return reply;
}

#if HIREDIS_MAJOR >= 1
static void *new_array(const redisReadTask *task, size_t n)
#else
static void *new_array(const redisReadTask *task, int n)
#endif
{
    if ((size_t)n > PARTS_MAX)
        return NULL; /* which hiredis takes for want of memory */
    redisReply *reply = new_reply(task);
    reply->elements = (size_t)n;
    size_t room = (size_t)n < PARTS_FIRST ? (size_t)n : PARTS_FIRST;
    reply->element = tagd_arena_zalloc(task->privdata, (room + 1) * sizeof(redisReply *));
    return reply;
}

static void *new_integer(const redisReadTask *task, long long value)
{
    redisReply *reply = new_reply(task);
    reply->integer = value;
    return reply;
}

static void *new_nil(const redisReadTask *task)
{
    redisReply *reply = new_reply(task);
    reply->type = REDIS_REPLY_NIL; /* the task's is of what isn't there */
    return reply;
}

static void free_nothing(void *reply)
{
    (void)reply;
}

static redisReplyObjectFunctions in_arena = {
    .createString = new_string,
    .createArray = new_array,
    .createInteger = new_integer,
    .createNil = new_nil,
    .freeObject = free_nothing,
};

/* ---- receiving ---- */

static void disconnect(struct tagd_redis *redis)
{
    tagd_redis_tls_close(redis->tls);
    redis->tls = NULL;
    if (redis->context != NULL)
        redisFree(redis->context);
    redis->context = NULL;
    redis->out.n = 0;
    redis->n_out = 0;
    redis->retry_ms = tagd_io_mono_ms() + RECONNECT_PAUSE_MS;
}

/* It is a replica by now, or about to load another's data: the master is elsewhere, perhaps under the same name. */
static bool says_demoted(const redisReply *reply)
{
    static const char *const words[] = {"READONLY", "LOADING", "MASTERDOWN"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && reply->type == REDIS_REPLY_ERROR; i++)
        if (strncmp(reply->str, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* The next reply, if a whole one was read. False: it is malformed. */
static bool parsed(struct tagd_redis *redis, redisReply **reply, const char **why)
{
    void *object = NULL;
    redis->context->reader->privdata = redis->arena;
    if (redisReaderGetReply(redis->context->reader, &object) != REDIS_OK) {
        *why = redis->context->reader->err == REDIS_ERR_OOM ? "an answer of too many parts"
                                                            : redis->context->reader->errstr;
        return false;
    }
    *reply = object;
    return true;
}

static const char *reason_of(const struct tagd_redis *redis, int failed)
{
    if (redis->tls != NULL && failed == EPROTO)
        return tagd_redis_tls_why(redis->tls);
    return failed == EAGAIN || failed == EWOULDBLOCK ? "no answer in time" : strerror(failed);
}

/* Reads some more. */
static bool fill(struct tagd_redis *redis, const char **why)
{
    ssize_t n;
    if (redis->tls != NULL)
        n = tagd_redis_tls_receive(redis->tls, redis->in, sizeof(redis->in));
    else
        do
            n = recv(redis->context->fd, redis->in, sizeof(redis->in), 0);
        while (n < 0 && errno == EINTR);
    if (n > 0 && redisReaderFeed(redis->context->reader, redis->in, (size_t)n) == REDIS_OK)
        return true;
    *why = n == 0 ? "Server closed the connection" : reason_of(redis, errno);
    return false;
}

/* The next reply, in the operation's arena; or NULL: the connection is gone and closed. */
static redisReply *receive(struct tagd_redis *redis, struct tagd_error *error)
{
    redisReply *reply = NULL;
    const char *why = NULL;
    if (redis->unsent != 0)
        why = reason_of(redis, redis->unsent);
    while (why == NULL && parsed(redis, &reply, &why) && reply == NULL && fill(redis, &why))
        ;
    if (reply != NULL) {
        redis->demoted = redis->demoted || says_demoted(reply);
        return reply;
    }
    tagd_fail(error, "Redis: %s", why);
    disconnect(redis);
    return NULL;
}

/* What Redis said, without what we put before it. */
static const char *answer_in(const struct tagd_error *error)
{
    return strncmp(error->text, "Redis: ", 7) == 0 ? error->text + 7 : error->text;
}

static bool is_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR;
}

static struct tagd_str reply_str(const redisReply *reply)
{
    assert(reply != NULL);
    return reply->type == REDIS_REPLY_STRING ? (struct tagd_str){reply->str, reply->len} : (struct tagd_str){"", 0};
}

static uint64_t reply_u64(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

/* The n replies of what was sent; false: the connection is gone (none is there), or one is an error (all are there). */
static bool receive_all(struct tagd_redis *redis, redisReply **replies, size_t n, struct tagd_error *error)
{
    for (size_t i = 0; i < n; i++) {
        replies[i] = receive(redis, error);
        if (replies[i] != NULL)
            continue;
        while (i-- > 0)
            replies[i] = NULL;
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (is_error(replies[i]))
            return tagd_fail(error, "Redis: %s", replies[i]->str);
    return true;
}

/* ---- connecting ---- */

static void info_value(const char *info, const char *name, char *value, size_t size)
{
    const char *p = strstr(info, name);
    size_t n = strlen(name), k = 0;
    value[0] = '\0';
    while (p != NULL && (p[n] != ':' || (p != info && p[-1] != '\n')))
        p = strstr(p + 1, name);
    if (p == NULL)
        return;
    for (p += n + 1; *p != '\0' && *p != '\r' && *p != '\n' && k + 1 < size; p++)
        value[k++] = *p;
    value[k] = '\0';
}

static enum tagd_io_result check_info(struct tagd_redis *redis, const char *info, struct tagd_error *error)
{
    char value[64];
    info_value(info, "loading", value, sizeof(value));
    if (strcmp(value, "1") == 0) {
        tagd_fail(error, "Redis is still loading its data; wait until it has");
        return TAGD_IO_UNREACHABLE;
    }
    info_value(info, "redis_mode", value, sizeof(value));
    if (strcmp(value, "cluster") == 0) {
        tagd_fail(error,
                  "Redis runs as a cluster, which is not in this version yet; give \"redis.url\" a single server");
        return TAGD_IO_CONFIG;
    }
    info_value(info, "role", value, sizeof(value));
    if (value[0] != '\0' && strcmp(value, "master") != 0) {
        tagd_fail(error, "Redis is a replica, which takes no writes; give \"redis.url\" the address of the master");
        return TAGD_IO_UNREACHABLE; /* a failover may be under way */
    }
    info_value(info, "maxmemory_policy", value, sizeof(value));
    if (value[0] != '\0' && strcmp(value, "noeviction") != 0) {
        tagd_fail(error,
                  "Redis has maxmemory-policy %s, which would drop customers' state; set it to noeviction, as in: "
                  "redis-cli config set maxmemory-policy noeviction",
                  value);
        return TAGD_IO_CONFIG;
    }
    info_value(info, "aof_enabled", value, sizeof(value));
    if (strcmp(value, "1") != 0 && !redis->warned_aof && redis->notes != NULL) {
        redis->warned_aof = true;
        struct tagd_note note = TAGD_NOTE(TAGD_NOTE_WARN);
        note.text = "Redis has no append-only file: a crash of it loses state; set appendonly to yes";
        redis->notes->note(redis->notes->to, &note);
    }
    return TAGD_IO_OK;
}

static const char *place_of(const struct tagd_config *config, char text[256])
{
    if (config->redis.host == NULL)
        snprintf(text, 256, "%s", config->redis.unix_path);
    else
        snprintf(text, 256, strchr(config->redis.host, ':') == NULL ? "%s:%d" : "[%s]:%d", config->redis.host,
                 config->redis.port);
    return text;
}

/* Writes value to the key <prefix><name> if nobody has (and claims), and asks for what is there. */
static void ask_claim(struct tagd_redis *redis, bool claims, const char *name, struct tagd_str value)
{
    char key[TAGD_PREFIX_MAX + 16];
    snprintf(key, sizeof(key), "%s%s", redis->config->redis.prefix, name);
    if (claims) {
        command(redis, 3);
        arg_z(redis, "SETNX");
        arg_z(redis, key);
        arg(redis, value);
    } else {
        command(redis, 1);
        arg_z(redis, "PING");
    }
    command(redis, 2);
    arg_z(redis, "GET");
    arg_z(redis, key);
}

/* The names of the sources, in order: the shards' offsets are kept by their index. */
static void sources_text(const struct tagd_config *config, struct tagd_buf *out)
{
    for (size_t i = 0; i < config->n_sources; i++)
        tagd_buf_printf(out, "%s%s", i == 0 ? "" : " ", config->sources[i].topic);
}

static bool lacks_right(const char *answer)
{
    return strncmp(answer, "NOPERM", 6) == 0;
}

#define NEEDED_RIGHTS "give our Redis user the commands that deploy/security.md lists on "

/* What can be done about a refusal of the very first commands. */
static const char *remedy(const char *answer)
{
    static const char *const remedies[][2] = {
        {"NOAUTH", "give \"redis.password\", and \"redis.user\" if it isn't the default user"},
        {"WRONGPASS", "correct \"redis.user\" and \"redis.password\", or those in \"redis.url\""},
        {"NOPERM", "give our Redis user the commands that deploy/security.md lists"},
        {"ERR AUTH <password> called without any password configured",
         "take the password out, or give \"redis.user\" as well"},
    };
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (strncmp(answer, remedies[i][0], strlen(remedies[i][0])) == 0)
            return remedies[i][1];
    return "correct \"redis.url\", as in \"redis://user:password@host:6379/0\"";
}

/* The first error among the replies, if there is one: rights don't change by themselves, memory may. */
static enum tagd_io_result refused_keys(const struct tagd_redis *redis, redisReply **replies, size_t n,
                                        struct tagd_error *error)
{
    char place[256];
    for (size_t i = 0; i < n && replies[i] != NULL; i++) {
        if (!is_error(replies[i]))
            continue;
        bool rights = lacks_right(replies[i]->str);
        tagd_fail(error, "Redis at %s doesn't let us use the keys under \"%s\": %s%s", place_of(redis->config, place),
                  redis->config->redis.prefix, replies[i]->str, rights ? "; " NEEDED_RIGHTS "them" : "");
        return rights ? TAGD_IO_CONFIG : TAGD_IO_UNREACHABLE;
    }
    return TAGD_IO_UNREACHABLE;
}

/* Is what is kept under the prefix of this group, number of partitions and sources? Whoever claims it writes them down
 * if nobody has; who only reads looks at the group. */
static enum tagd_io_result check_prefix(struct tagd_redis *redis, bool claims, struct tagd_error *error)
{
    const struct tagd_config *config = redis->config;
    redisReply *replies[6] = {0};
    struct tagd_buf sources = {0};
    char partitions[16];
    enum tagd_io_result result = TAGD_IO_UNREACHABLE;
    sources_text(config, &sources);
    snprintf(partitions, sizeof(partitions), "%" PRIu32, redis->partitions);
    ask_claim(redis, claims, "group", tagd_str_of(config->group));
    if (claims) {
        ask_claim(redis, true, "shards", tagd_str_of(partitions));
        ask_claim(redis, true, "sources", (struct tagd_str){sources.p, sources.n});
    }
    size_t n = redis->n_out;
    send_commands(redis);
    if (!receive_all(redis, replies, n, error)) {
        result = refused_keys(redis, replies, n, error);
        goto out;
    }
    result = TAGD_IO_CONFIG;
    struct tagd_str owner = reply_str(replies[1]);
    if (!tagd_str_eq(owner, tagd_str_of(config->group)) && (claims || owner.n > 0)) {
        tagd_fail(
            error,
            "the Redis prefix \"%s\" belongs to group \"%.*s\", not \"%s\"; give this group its own \"redis.prefix\"",
            config->redis.prefix, (int)owner.n, owner.p, config->group);
        goto out;
    }
    if (claims && reply_u64(replies[3]) != redis->partitions) {
        tagd_fail(error,
                  "the state under Redis prefix \"%s\" was made with %" PRIu64
                  " partitions and the topics have %" PRIu32
                  ": customers would sit in other shards; go back to %" PRIu64
                  " partitions, or a new \"group\" and \"redis.prefix\" read the topics again",
                  config->redis.prefix, reply_u64(replies[3]), redis->partitions, reply_u64(replies[3]));
        goto out;
    }
    struct tagd_str made_from = claims ? reply_str(replies[5]) : (struct tagd_str){0};
    if (claims && !tagd_str_eq(made_from, (struct tagd_str){sources.p, sources.n})) {
        tagd_fail(error,
                  "the state under Redis prefix \"%s\" was made from the sources %.*s, in this order, and \"sources\" "
                  "has %.*s: records would be passed over; go back to those, or a new \"group\" and \"redis.prefix\" "
                  "read the topics again",
                  config->redis.prefix, (int)(made_from.n < 300 ? made_from.n : 300), made_from.p,
                  (int)(sources.n < 300 ? sources.n : 300), sources.p);
        goto out;
    }
    result = TAGD_IO_OK;
out:
    tagd_buf_free(&sources);
    return result;
}

/* Are we welcome there? AUTH and SELECT come first; an error in them is a matter of configuration. */
static enum tagd_io_result greet(struct tagd_redis *redis, bool claims, struct tagd_error *error)
{
    const struct tagd_config *config = redis->config;
    redisReply *replies[3] = {0};
    enum tagd_io_result result = TAGD_IO_UNREACHABLE;
    size_t n = 0;
    if (config->redis.password != NULL) {
        command(redis, config->redis.user == NULL ? 2 : 3);
        arg_z(redis, "AUTH");
        if (config->redis.user != NULL)
            arg_z(redis, config->redis.user);
        arg_z(redis, config->redis.password);
    }
    if (config->redis.db != 0) {
        command(redis, 2);
        arg_z(redis, "SELECT");
        arg_u64(redis, (uint64_t)config->redis.db);
    }
    command(redis, 1);
    arg_z(redis, "INFO");
    n = redis->n_out;
    send_commands(redis);
    struct tagd_error reason;
    char place[256];
    if (!receive_all(redis, replies, n, &reason)) {
        if (strncmp(answer_in(&reason), TAGD_REDIS_TLS_PREFIX, strlen(TAGD_REDIS_TLS_PREFIX)) == 0) {
            tagd_fail(error, "Redis at %s refuses our %s", place_of(config, place), answer_in(&reason));
            return TAGD_IO_CONFIG; /* TLS 1.3 says so only after the handshake */
        }
        tagd_fail(
            error, "what serves at %s gives no answer of a Redis: %s; start one there, or correct \"redis.url\"%s",
            place_of(config, place), answer_in(&reason), config->redis.tls.on ? "" : " (\"rediss://\" is with TLS)");
        for (size_t i = 0; i < n && replies[i] != NULL; i++) {
            if (!is_error(replies[i]))
                continue;
            tagd_config_redact(config,
                               replies[i]->str); /* of a command that Redis doesn't know it tells the arguments */
            if (strncmp(replies[i]->str, "LOADING", 7) != 0)
                result = TAGD_IO_CONFIG;
            tagd_fail(error, "Redis at %s refuses us: %s; %s", place_of(config, place), replies[i]->str,
                      remedy(replies[i]->str));
            break;
        }
        return result;
    }
    if (redis->surveyed)
        return TAGD_IO_OK;
    result = check_info(redis, reply_str(replies[n - 1]).p, error);
    return result == TAGD_IO_OK ? check_prefix(redis, claims, error) : result;
}

/* claim: as one that may write. */
static enum tagd_io_result connect_as(struct tagd_redis *redis, bool claim, struct tagd_error *error)
{
    const struct tagd_config *config = redis->config;
    char place[256];
    struct timeval connect_time = {CONNECT_TIMEOUT_MS / 1000, (CONNECT_TIMEOUT_MS % 1000) * 1000};
    struct timeval reply_time = {REPLY_TIMEOUT_MS / 1000, (REPLY_TIMEOUT_MS % 1000) * 1000};
    if (redis->context != NULL)
        return TAGD_IO_OK;
    int64_t pause_ms = redis->retry_ms - tagd_io_mono_ms();
    if (pause_ms > 0 && pause_ms <= RECONNECT_PAUSE_MS)
        nanosleep(&(struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000}, NULL);
    redis->out.n = 0;
    redis->n_out = 0;
    redis->context = config->redis.host == NULL
                         ? redisConnectUnixWithTimeout(config->redis.unix_path, connect_time)
                         : redisConnectWithTimeout(config->redis.host, config->redis.port, connect_time);
    if (redis->context == NULL || redis->context->err != 0) {
        tagd_fail(error, "Redis at %s is out of reach: %s; start it, or correct \"redis.url\"", place_of(config, place),
                  redis->context == NULL ? "no memory" : redis->context->errstr);
        disconnect(redis);
        return TAGD_IO_UNREACHABLE;
    }
    redis->context->reader->fn = &in_arena;
    redis->context->reader->maxbuf = 0; /* its buffer stays */
    redis->unsent = 0;
    redisSetTimeout(redis->context, reply_time);
    if (config->redis.host != NULL) /* a Unix socket has none, and the refusal would break the connection */
        redisEnableKeepAlive(redis->context);
    enum tagd_io_result result = TAGD_IO_OK;
    if (config->redis.tls.on)
        redis->tls = tagd_redis_tls_open(config, redis->context->fd, place_of(config, place), CONNECT_TIMEOUT_MS,
                                         REPLY_TIMEOUT_MS, &result, error);
    if (redis->tls != NULL || !config->redis.tls.on)
        result = greet(redis, claim, error);
    if (result != TAGD_IO_OK) {
        disconnect(redis);
        return result;
    }
    redis->serial++;
    redis->demoted = false; /* what an earlier connection was told */
    if (redis->stats != NULL)
        __atomic_fetch_add(&redis->stats->redis_connects, 1, __ATOMIC_RELAXED);
    return TAGD_IO_OK;
}

/* What follows is no operation: answers are kept until the next such. */
static enum tagd_io_result begin(struct tagd_redis *redis, bool claim, struct tagd_error *error)
{
    tagd_arena_reset(&redis->own);
    redis->arena = &redis->own;
    return connect_as(redis, claim, error);
}

enum tagd_io_result tagd_redis_connect(struct tagd_redis *redis, struct tagd_error *error)
{
    return begin(redis, true, error);
}

/* ---- FENCE ---- */

static int by_batch(const void *a, const void *b)
{
    uint64_t x = ((const struct tagd_outbox_entry *)a)->batch, y = ((const struct tagd_outbox_entry *)b)->batch;
    return x < y ? -1 : x > y;
}

/* "<fence> <prev_fence>\n" and bytes. */
static bool outbox_entry_read(struct tagd_str batch, struct tagd_str value, struct tagd_arena *arena,
                              struct tagd_outbox_entry *entry)
{
    char text[64];
    const char *line = memchr(value.p, '\n', value.n);
    size_t n = line == NULL ? 0 : (size_t)(line - value.p);
    if (line == NULL || n >= sizeof(text) || batch.n == 0)
        return false;
    memcpy(text, value.p, n);
    text[n] = '\0';
    entry->batch = strtoull(batch.p, NULL, 10);
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &entry->fence, &entry->prev_fence) != 2)
        return false;
    entry->bytes = tagd_arena_copy(arena, line + 1, value.n - n - 1);
    return true;
}

static int64_t reply_instant(const redisReply *reply)
{
    double score = reply->type == REDIS_REPLY_STRING ? strtod(reply->str, NULL) : INFINITY;
    if (!(score < 9e18))
        return TAGD_NEVER;
    return score < -9e18 ? INT64_MIN : (int64_t)score;
}

/* Redis answered, but not as it should: the data is not ours, or damaged. */
static void refuse(struct tagd_op *op, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct tagd_op *op, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(op->error.text, sizeof(op->error.text), fmt, args);
    va_end(args);
    op->status = TAGD_REFUSED;
}

/* How an operation ends that Redis answered with the error in op->error: nothing of it took effect. */
static enum tagd_op_status refusal(const struct tagd_redis *redis, struct tagd_op *op)
{
    size_t n = strlen(op->error.text);
    if (!lacks_right(answer_in(&op->error)))
        return TAGD_REFUSED;
    snprintf(op->error.text + n, sizeof(op->error.text) - n, "; " NEEDED_RIGHTS "the keys under \"%s\"",
             redis->config->redis.prefix);
    return TAGD_DENIED;
}

/* One that no owner had, nor has in a copy of this data that went another way: that one's are of other moments. */
static uint64_t fence_after(uint64_t stored, uint64_t at_least)
{
    uint64_t fence = (stored > at_least ? stored : at_least) + 1, now = (uint64_t)tagd_io_wall_ms();
    return fence > now ? fence : now;
}

/* What is there, of an answer to GET. False: it is no fence, or none is larger. */
static bool read_fence(const redisReply *reply, uint64_t *fence)
{
    struct tagd_str text = reply_str(reply);
    size_t n = 0;
    *fence = reply_u64(reply);
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    return reply->type == REDIS_REPLY_NIL || (n > 0 && n == text.n && *fence < UINT64_MAX);
}

static bool take_fence(struct tagd_redis *redis, struct tagd_op *op)
{
    redisReply *replies[3] = {0};
    for (unsigned tries = 0; tries < EXEC_TRIES_MAX; tries++) {
        command(redis, 2);
        arg_z(redis, "WATCH");
        arg_shard_key(redis, op->shard, "fence");
        command(redis, 2);
        arg_z(redis, "GET");
        arg_shard_key(redis, op->shard, "fence");
        send_commands(redis);
        bool ok = receive_all(redis, replies, 2, &op->error);
        uint64_t stored = 0;
        if (!ok)
            return false;
        if (!read_fence(replies[1], &stored))
            return tagd_fail(&op->error, "shard %" PRIu32 ": its fence in Redis is no number that can grow", op->shard);
        uint64_t fence = fence_after(stored, op->u.fence.at_least);
        command(redis, 1);
        arg_z(redis, "MULTI");
        command(redis, 3);
        arg_z(redis, "SET");
        arg_shard_key(redis, op->shard, "fence");
        arg_u64(redis, fence);
        command(redis, 1);
        arg_z(redis, "EXEC");
        send_commands(redis);
        ok = receive_all(redis, replies, 3, &op->error);
        bool taken = ok && replies[2]->type == REDIS_REPLY_ARRAY;
        if (!ok)
            return false;
        if (taken) {
            op->u.fence.fence = fence;
            op->u.fence.before = stored;
            return true;
        }
    }
    return tagd_fail(&op->error, "shard %" PRIu32 ": others take its fence all the time", op->shard);
}

/* It stays as long as the arena it was read into: an operation's is the operation's own. */
static struct tagd_str kept(const redisReply *reply)
{
    struct tagd_str s = reply_str(reply);
    return s.n == 0 ? (struct tagd_str){NULL, 0} : s;
}

static void do_fence(struct tagd_redis *redis, struct tagd_op *op)
{
    struct shard_state *shard = &redis->shards[op->shard];
    redisReply *replies[4] = {0};
    op->status = TAGD_ABORTED;
    if (!take_fence(redis, op)) {
        if (redis->context != NULL)
            op->status = refusal(redis, op);
        return;
    }
    command(redis, 2);
    arg_z(redis, "GET");
    arg_shard_key(redis, op->shard, "head");
    command(redis, 2);
    arg_z(redis, "HGETALL");
    arg_shard_key(redis, op->shard, "outbox");
    command(redis, 5);
    arg_z(redis, "ZRANGE");
    arg_shard_key(redis, op->shard, "timers");
    arg_z(redis, "0");
    arg_z(redis, "0");
    arg_z(redis, "WITHSCORES");
    command(redis, 2);
    arg_z(redis, "GET");
    arg_shard_key(redis, op->shard, POPULATION);
    send_commands(redis);
    if (!receive_all(redis, replies, 4, &op->error)) {
        if (redis->context != NULL)
            op->status = refusal(redis, op);
        return;
    }
    bool empty = replies[0]->type == REDIS_REPLY_NIL; /* it may have been emptied since we connected */
    if (empty && check_prefix(redis, true, &op->error) != TAGD_IO_OK) {
        op->status = redis->context != NULL ? TAGD_REFUSED : TAGD_ABORTED;
        return;
    }
    op->u.fence.head = (struct tagd_head){.watermark_ms = INT64_MIN, .latest_ms = INT64_MIN};
    for (unsigned i = 0; i < TAGD_TOPICS_MAX; i++)
        op->u.fence.head.next_offset[i] = -1;
    if (replies[0]->type == REDIS_REPLY_STRING && !tagd_redis_head_read(reply_str(replies[0]), &op->u.fence.head)) {
        struct tagd_error why;
        tagd_redis_head_unread(reply_str(replies[0]), &why);
        refuse(op, "%s", why.text);
        op->status = TAGD_DENIED; /* trying again doesn't help */
        return;
    }
    size_t n = replies[1]->elements / 2;
    op->u.fence.outbox = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(*op->u.fence.outbox));
    op->u.fence.n_outbox = n;
    for (size_t i = 0; i < n; i++) {
        if (outbox_entry_read(reply_str(replies[1]->element[2 * i]), reply_str(replies[1]->element[2 * i + 1]),
                              op->arena, &op->u.fence.outbox[i]))
            continue;
        refuse(op,
               "its outbox in Redis can't be read: it is damaged, or of another version of tagd; " TAGD_OTHER_VERSION);
        op->status = TAGD_DENIED;
        return;
    }
    qsort(op->u.fence.outbox, n, sizeof(*op->u.fence.outbox), by_batch);
    op->u.fence.next_due_ms = replies[2]->elements < 2 ? TAGD_NEVER : reply_instant(replies[2]->element[1]);
    shard->outbox_low = n == 0 ? 0 : op->u.fence.outbox[0].batch;
    shard->outbox_end = n == 0 ? 0 : op->u.fence.outbox[n - 1].batch + 1;
    shard->serial = redis->serial;
    op->u.fence.population_form = kept(replies[3]);
    op->status = TAGD_DONE;
}

/* ---- LOAD ---- */

/* Of a shard's hashes by customer. */
enum value_of { PROFILE, TOLD };
static const char *const hash_of[] = {[PROFILE] = "profiles", [TOLD] = "told"};

static void ask_values(struct tagd_redis *redis, uint32_t shard, struct tagd_load_item *const *items, size_t n,
                       enum value_of what)
{
    for (size_t i = 0; i < n; i += LOAD_FIELDS_MAX) {
        size_t some = n - i < LOAD_FIELDS_MAX ? n - i : LOAD_FIELDS_MAX;
        command(redis, 2 + some);
        arg_z(redis, "HMGET");
        arg_shard_key(redis, shard, hash_of[what]);
        for (size_t k = i; k < i + some; k++)
            arg(redis, items[k]->customer);
    }
}

/* The answers. */
static bool take_values(struct tagd_redis *redis, struct tagd_op *op, struct tagd_load_item *const *items, size_t n,
                        enum value_of what)
{
    bool ok = true;
    for (size_t i = 0; i < n; i += LOAD_FIELDS_MAX) {
        size_t some = n - i < LOAD_FIELDS_MAX ? n - i : LOAD_FIELDS_MAX;
        redisReply *reply = receive(redis, &op->error);
        if (reply == NULL)
            return false;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != some)
            ok = tagd_fail(&op->error, "Redis: %s", is_error(reply) ? reply->str : "an answer of another form");
        else
            for (size_t k = 0; k < some && ok; k++)
                *(what == PROFILE ? &items[i + k]->bytes : &items[i + k]->told) = kept(reply->element[k]);
    }
    return ok;
}

/* A table of items by customer: 2^bits slots. */
struct table {
    struct tagd_load_item **slots;
    size_t mask;
};

static struct table table_new(struct tagd_arena *arena, size_t n)
{
    size_t size = 16;
    while (size < n * 2)
        size *= 2;
    return (struct table){tagd_arena_zalloc(arena, size * sizeof(struct tagd_load_item *)), size - 1};
}

/* The customer's slot: empty if the table doesn't have it. */
static struct tagd_load_item **table_slot(const struct table *table, struct tagd_str customer)
{
    size_t at = tagd_hash64(customer) & table->mask;
    while (table->slots[at] != NULL && !tagd_str_eq(table->slots[at]->customer, customer))
        at = (at + 1) & table->mask;
    return &table->slots[at];
}

/* The instant of a customer's timer. */
static bool due_of(struct tagd_redis *redis, struct tagd_op *op, struct tagd_str customer, int64_t *ms)
{
    command(redis, 3);
    arg_z(redis, "ZSCORE");
    arg_shard_key(redis, op->shard, "timers");
    arg(redis, customer);
    send_commands(redis);
    redisReply *reply = receive(redis, &op->error);
    if (reply == NULL)
        return false;
    if (is_error(reply))
        return tagd_fail(&op->error, "Redis: %s", reply->str);
    *ms = reply->type == REDIS_REPLY_STRING ? reply_instant(reply)
                                            : op->u.load.due_to_ms; /* moved meanwhile: look again */
    return true;
}

/* Those due, as ZRANGEBYSCORE found them, without their instants: only the first one that has to wait is asked for its. */
static bool load_due(struct tagd_redis *redis, struct tagd_op *op, redisReply *due, redisReply *after)
{
    if (due->type != REDIS_REPLY_ARRAY || after->type != REDIS_REPLY_ARRAY)
        return tagd_fail(&op->error, "Redis: %s", is_error(due) ? due->str : "an answer of another form");
    size_t n = due->elements;
    op->u.load.next_due_ms = after->elements < 2 ? TAGD_NEVER : reply_instant(after->element[1]);
    if (n > op->u.load.due_max) {
        n = op->u.load.due_max;
        if (!due_of(redis, op, reply_str(due->element[n]), &op->u.load.next_due_ms))
            return false;
    }
    op->u.load.n_due = n;
    op->u.load.due = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(*op->u.load.due));
    struct tagd_load_item **wanted = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(struct tagd_load_item *));
    struct table asked = table_new(op->arena, op->u.load.n_items);
    size_t n_wanted = 0;
    for (size_t i = 0; i < op->u.load.n_items; i++)
        *table_slot(&asked, op->u.load.items[i].customer) = &op->u.load.items[i];
    for (size_t i = 0; i < n; i++) {
        struct tagd_str customer = reply_str(due->element[i]);
        op->u.load.due[i].customer = tagd_arena_copy(op->arena, customer.p, customer.n);
        const struct tagd_load_item *known = *table_slot(&asked, customer);
        if (known != NULL)
            op->u.load.due[i].bytes = known->bytes;
        else if (op->u.load.known != NULL)
            op->u.load.due[i].bytes = op->u.load.known(op->u.load.known_to, customer);
        if (known == NULL && op->u.load.due[i].bytes.p == NULL)
            wanted[n_wanted++] = &op->u.load.due[i];
    }
    if (n_wanted == 0)
        return true;
    ask_values(redis, op->shard, wanted, n_wanted, PROFILE);
    send_commands(redis);
    return take_values(redis, op, wanted, n_wanted, PROFILE);
}

/* What is told of the customers of items and due. */
static bool load_told(struct tagd_redis *redis, struct tagd_op *op)
{
    size_t n_items = op->u.load.n_items, n = n_items + op->u.load.n_due;
    struct tagd_load_item **wanted = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(struct tagd_load_item *));
    for (size_t i = 0; i < n; i++)
        wanted[i] = i < n_items ? &op->u.load.items[i] : &op->u.load.due[i - n_items];
    if (n == 0)
        return true;
    ask_values(redis, op->shard, wanted, n, TOLD);
    send_commands(redis);
    return take_values(redis, op, wanted, n, TOLD);
}

/* Takes customers and what is told of them from one answer of HSCAN, which may name one again. */
static bool take_scanned(struct tagd_op *op, const struct table *table, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return tagd_fail(&op->error, "Redis: %s", is_error(reply) ? reply->str : "an answer of another form");
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements && op->u.load.n_settle < op->u.load.settle_max; i += 2) {
        struct tagd_str customer = reply_str(pairs->element[i]);
        struct tagd_load_item **slot = table_slot(table, customer);
        if (*slot != NULL)
            continue;
        *slot = &op->u.load.settle[op->u.load.n_settle++];
        (*slot)->customer = tagd_arena_copy(op->arena, customer.p, customer.n);
        (*slot)->told = kept(pairs->element[i + 1]);
    }
    return true;
}

/* The first customers of whom something is told, in the hash's own order, and their profiles. */
static bool load_settle(struct tagd_redis *redis, struct tagd_op *op)
{
    size_t max = op->u.load.settle_max;
    struct table table = table_new(op->arena, max);
    struct tagd_load_item **wanted = tagd_arena_zalloc(op->arena, max * sizeof(struct tagd_load_item *));
    uint64_t cursor = 0;
    op->u.load.settle = tagd_arena_zalloc(op->arena, max * sizeof(*op->u.load.settle));
    do {
        command(redis, 5);
        arg_z(redis, "HSCAN");
        arg_shard_key(redis, op->shard, hash_of[TOLD]);
        arg_u64(redis, cursor);
        arg_z(redis, "COUNT");
        arg_u64(redis, max);
        send_commands(redis);
        redisReply *reply = receive(redis, &op->error);
        bool ok = reply != NULL && take_scanned(op, &table, reply);
        cursor = ok ? reply_u64(reply->element[0]) : 0;
        if (!ok)
            return false;
    } while (cursor != 0 && op->u.load.n_settle < max);
    for (size_t i = 0; i < op->u.load.n_settle; i++)
        wanted[i] = &op->u.load.settle[i];
    if (op->u.load.n_settle == 0)
        return true;
    ask_values(redis, op->shard, wanted, op->u.load.n_settle, PROFILE);
    send_commands(redis);
    return take_values(redis, op, wanted, op->u.load.n_settle, PROFILE);
}

/* The walk's customers, every step-th of these elements, with their profiles. */
static bool take_walk(struct tagd_redis *redis, struct tagd_op *op, redisReply *const *elements, size_t n, size_t step)
{
    struct tagd_load_item **wanted = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(struct tagd_load_item *));
    op->u.load.walk = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(*op->u.load.walk));
    for (size_t i = 0; i < n; i++) {
        struct tagd_str customer = reply_str(elements[i * step]);
        op->u.load.walk[i].customer = tagd_arena_copy(op->arena, customer.p, customer.n);
        wanted[i] = &op->u.load.walk[i];
    }
    op->u.load.n_walk = n;
    if (n == 0)
        return true;
    ask_values(redis, op->shard, wanted, n, PROFILE);
    send_commands(redis);
    return take_values(redis, op, wanted, n, PROFILE);
}

/* All customers stand among the timers. */
static bool load_walk(struct tagd_redis *redis, struct tagd_op *op)
{
    command(redis, 4);
    arg_z(redis, "ZRANGE");
    arg_shard_key(redis, op->shard, "timers");
    arg_u64(redis, op->u.load.walk_from);
    arg_u64(redis, op->u.load.walk_from + op->u.load.walk_max - 1);
    send_commands(redis);
    redisReply *reply = receive(redis, &op->error);
    if (reply == NULL)
        return false;
    bool ok = reply->type == REDIS_REPLY_ARRAY ||
              tagd_fail(&op->error, "Redis: %s", is_error(reply) ? reply->str : "an answer of another form");
    ok = ok && take_walk(redis, op, reply->element, reply->elements, 1);
    return ok;
}

/* Those due up to the instant, and one more; then the first one after it. */
static void ask_due(struct tagd_redis *redis, const struct tagd_op *op)
{
    char from[24];
    snprintf(from, sizeof(from), "(%" PRId64, op->u.load.due_to_ms);
    command(redis, 7);
    arg_z(redis, "ZRANGEBYSCORE");
    arg_shard_key(redis, op->shard, "timers");
    arg_z(redis, "-inf");
    arg_instant(redis, op->u.load.due_to_ms);
    arg_z(redis, "LIMIT");
    arg_z(redis, "0");
    arg_u64(redis, op->u.load.due_max + 1);
    command(redis, 8);
    arg_z(redis, "ZRANGEBYSCORE");
    arg_shard_key(redis, op->shard, "timers");
    arg_z(redis, op->u.load.due_to_ms == TAGD_NEVER ? "(+inf" : from);
    arg_z(redis, "+inf");
    arg_z(redis, "WITHSCORES");
    arg_z(redis, "LIMIT");
    arg_z(redis, "0");
    arg_z(redis, "1");
}

static void do_load(struct tagd_redis *redis, struct tagd_op *op)
{
    bool with_due = op->u.load.due_to_ms != INT64_MIN, ok = true;
    struct tagd_load_item **items =
        tagd_arena_zalloc(op->arena, (op->u.load.n_items + 1) * sizeof(struct tagd_load_item *));
    redisReply *due = NULL, *after = NULL;
    op->u.load.due = NULL;
    op->u.load.n_due = 0;
    op->u.load.next_due_ms = TAGD_NEVER;
    op->u.load.settle = NULL;
    op->u.load.n_settle = 0;
    op->u.load.walk = NULL;
    op->u.load.n_walk = 0;
    size_t n_unknown = 0;
    for (size_t i = 0; i < op->u.load.n_items; i++)
        if (!op->u.load.items[i].known)
            items[n_unknown++] = &op->u.load.items[i];
    ask_values(redis, op->shard, items, n_unknown, PROFILE);
    if (with_due)
        ask_due(redis, op);
    if (redis->n_out > 0) {
        send_commands(redis);
        ok = take_values(redis, op, items, n_unknown, PROFILE);
    }
    if (with_due && redis->context != NULL) {
        due = receive(redis, &op->error);
        after = due == NULL ? NULL : receive(redis, &op->error);
        ok = after != NULL && ok && load_due(redis, op, due, after);
    }
    ok = ok && (!op->u.load.with_told || load_told(redis, op));
    ok = ok && (op->u.load.settle_max == 0 || load_settle(redis, op));
    ok = ok && (op->u.load.walk_max == 0 || load_walk(redis, op));
    op->status = ok ? TAGD_DONE : redis->context != NULL ? refusal(redis, op) : TAGD_UNKNOWN;
}

/* ---- COMMIT ---- */

/* Counts are scores, which are exact up to 2^53. One that comes to 0 goes: no other is 0 then. */
static void population_commands(struct tagd_redis *redis, uint32_t shard, const struct tagd_population_write *writes)
{
    for (size_t i = 0; i < writes->n_drops; i++) {
        command(redis, 2);
        arg_z(redis, "DEL");
        arg_key(redis, shard, POPULATION ":", writes->drops[i]);
    }
    bool falls = false;
    for (size_t i = 0; i < writes->n_counts; i++) {
        const struct tagd_count_write *count = &writes->counts[i];
        command(redis, 4);
        arg_z(redis, "ZINCRBY");
        arg_key(redis, shard, POPULATION ":", count->set);
        arg_i64(redis, count->by);
        arg(redis, count->member);
        falls = falls || count->by < 0;
        bool last = i + 1 == writes->n_counts || !tagd_str_eq(writes->counts[i + 1].set, count->set);
        if (!falls || !last)
            continue;
        falls = false;
        command(redis, 4);
        arg_z(redis, "ZREMRANGEBYSCORE");
        arg_key(redis, shard, POPULATION ":", count->set);
        arg_z(redis, "0");
        arg_z(redis, "0");
    }
    if (writes->form.n == 0)
        return;
    command(redis, 3);
    arg_z(redis, "SET");
    arg_shard_key(redis, shard, POPULATION);
    arg(redis, writes->form);
}

/* Profiles that stay, timers that are set: many with one command. */
static void write_profiles(struct tagd_redis *redis, const struct tagd_shard_writes *writes, size_t n)
{
    for (size_t i = 0, left = n, some = 0; i < writes->n_profiles; i++) {
        const struct tagd_profile_write *profile = &writes->profiles[i];
        if (profile->bytes.n == 0)
            continue;
        if (some == 0) {
            some = left < WRITE_FIELDS_MAX ? left : WRITE_FIELDS_MAX;
            left -= some;
            command(redis, 2 + 2 * some);
            arg_z(redis, "HSET");
            arg_shard_key(redis, writes->shard, hash_of[PROFILE]);
        }
        some--;
        arg(redis, profile->customer);
        arg(redis, profile->bytes);
    }
}

struct timer {
    int64_t due_ms;
    struct tagd_str customer;
};

/* By instant; spare has room for as many. glibc's qsort takes so much from malloc each time that malloc tidies up all it
 * has, which cost more than the sorting. */
static void sort_timers(struct timer *timers, struct timer *spare, size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2, low = 0, high = half;
    sort_timers(timers, spare, half);
    sort_timers(timers + half, spare, n - half);
    memcpy(spare, timers, n * sizeof(*timers));
    for (size_t i = 0; i < n; i++)
        timers[i] = high == n || (low < half && spare[low].due_ms <= spare[high].due_ms) ? spare[low++] : spare[high++];
}

/* In the order of their instants: each is put near the one before, whose surroundings Redis has just looked at. */
static void write_timers(struct tagd_redis *redis, const struct tagd_shard_writes *writes, size_t n)
{
    struct timer *timers = tagd_arena_alloc(redis->arena, (2 * n + 1) * sizeof(*timers));
    size_t k = 0;
    for (size_t i = 0; i < writes->n_profiles; i++) {
        const struct tagd_profile_write *profile = &writes->profiles[i];
        if (profile->bytes.n > 0 && profile->due_changed)
            timers[k++] = (struct timer){profile->due_ms, profile->customer};
    }
    sort_timers(timers, timers + n, n);
    for (size_t i = 0; i < n; i++) {
        if (i % WRITE_FIELDS_MAX == 0) {
            command(redis, 2 + 2 * (n - i < WRITE_FIELDS_MAX ? n - i : WRITE_FIELDS_MAX));
            arg_z(redis, "ZADD");
            arg_shard_key(redis, writes->shard, "timers");
        }
        arg_instant(redis, timers[i].due_ms);
        arg(redis, timers[i].customer);
    }
}

static void drop_profile(struct tagd_redis *redis, uint32_t shard, struct tagd_str customer)
{
    command(redis, 3);
    arg_z(redis, "HDEL");
    arg_shard_key(redis, shard, hash_of[PROFILE]);
    arg(redis, customer);
    command(redis, 3);
    arg_z(redis, "ZREM");
    arg_shard_key(redis, shard, "timers");
    arg(redis, customer);
}

static void write_view(struct tagd_redis *redis, const struct tagd_profile_write *profile)
{
    size_t n = 0;
    if (profile->view_same == NULL) {
        command(redis, 2);
        arg_z(redis, "DEL");
        arg_view_key(redis, profile->customer);
    }
    if (profile->n_gone > 0) {
        command(redis, 2 + profile->n_gone);
        arg_z(redis, "HDEL");
        arg_view_key(redis, profile->customer);
        for (size_t i = 0; i < profile->n_gone; i++)
            arg(redis, profile->gone[i]);
    }
    for (size_t i = 0; i < profile->n_view; i++)
        n += profile->view_same == NULL || !profile->view_same[i];
    if (n == 0)
        return;
    command(redis, 2 + 2 * n);
    arg_z(redis, "HSET");
    arg_view_key(redis, profile->customer);
    for (size_t i = 0; i < profile->n_view; i++) {
        if (profile->view_same != NULL && profile->view_same[i])
            continue;
        arg(redis, profile->view[2 * i]);
        arg(redis, profile->view[2 * i + 1]);
    }
}

static void write_customers(struct tagd_redis *redis, const struct tagd_shard_writes *writes)
{
    size_t n_profiles = 0, n_timers = 0;
    for (size_t i = 0; i < writes->n_profiles; i++) {
        const struct tagd_profile_write *profile = &writes->profiles[i];
        n_profiles += profile->bytes.n > 0;
        n_timers += profile->bytes.n > 0 && profile->due_changed;
        if (profile->bytes.n == 0)
            drop_profile(redis, writes->shard, profile->customer);
    }
    write_profiles(redis, writes, n_profiles);
    write_timers(redis, writes, n_timers);
    for (size_t i = 0; i < writes->n_profiles; i++)
        if (writes->profiles[i].view_changed)
            write_view(redis, &writes->profiles[i]);
}

static void write_told(struct tagd_redis *redis, const struct tagd_shard_writes *writes)
{
    for (size_t i = 0; i < writes->n_told; i++) {
        const struct tagd_told_write *told = &writes->told[i];
        bool gone = told->bytes.n == 0;
        command(redis, gone ? 3 : 4);
        arg_z(redis, gone ? "HDEL" : "HSET");
        arg_shard_key(redis, writes->shard, hash_of[TOLD]);
        arg(redis, told->customer);
        if (!gone)
            arg(redis, told->bytes);
    }
}

static void write_outbox(struct tagd_redis *redis, const struct tagd_shard_writes *writes)
{
    const struct shard_state *state = &redis->shards[writes->shard];
    char text[48];
    if (writes->outbox.n > 0) {
        size_t n = (size_t)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", writes->head.fence,
                                    writes->head.prev_fence);
        command(redis, 4);
        arg_z(redis, "HSET");
        arg_shard_key(redis, writes->shard, "outbox");
        arg_u64(redis, writes->head.batch);
        length(&redis->out, n + writes->outbox.n);
        tagd_buf_add(&redis->out, text, n);
        bytes(redis, writes->outbox);
        tagd_buf_add(&redis->out, "\r\n", 2);
    }
    for (uint64_t batch = state->outbox_low; batch <= writes->outbox_drop_to && batch < state->outbox_end; batch++) {
        command(redis, 3);
        arg_z(redis, "HDEL");
        arg_shard_key(redis, writes->shard, "outbox");
        arg_u64(redis, batch);
    }
}

static void shard_commands(struct tagd_redis *redis, const struct tagd_shard_writes *writes)
{
    struct tagd_buf text = {0};
    if (!writes->head.exists)
        return;
    command(redis, 3);
    arg_z(redis, "SET");
    arg_shard_key(redis, writes->shard, "head");
    tagd_redis_head_write(&text, &writes->head);
    arg(redis, (struct tagd_str){text.p, text.n});
    tagd_buf_free(&text);
    write_customers(redis, writes);
    write_told(redis, writes);
    write_outbox(redis, writes);
    population_commands(redis, writes->shard, &writes->population);
}

/* WATCHes and reads fence and head of the shards still in hand; those that are no longer ours become FENCED. */
static bool watch_and_compare(struct tagd_redis *redis, struct tagd_op *op, size_t n)
{
    struct tagd_shard_writes *shards = op->u.commit.shards;
    bool ok = true;
    command(redis, 1 + 2 * n);
    arg_z(redis, "WATCH");
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        if (shards[i].status != TAGD_PENDING)
            continue;
        arg_shard_key(redis, shards[i].shard, "fence");
        arg_shard_key(redis, shards[i].shard, "head");
    }
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        if (shards[i].status != TAGD_PENDING)
            continue;
        command(redis, 3);
        arg_z(redis, "MGET");
        arg_shard_key(redis, shards[i].shard, "fence");
        arg_shard_key(redis, shards[i].shard, "head");
    }
    send_commands(redis);
    redisReply *reply = receive(redis, &op->error);
    if (reply == NULL)
        return false;
    if (is_error(reply))
        ok = tagd_fail(&op->error, "Redis: %s", reply->str);
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_head head = {0};
        if (shards[i].status != TAGD_PENDING)
            continue;
        reply = receive(redis, &op->error);
        if (reply == NULL)
            return false;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
            ok = tagd_fail(&op->error, "Redis: %s", is_error(reply) ? reply->str : "an answer of another form");
        } else {
            bool exists = reply->element[1]->type == REDIS_REPLY_STRING;
            bool read = !exists || tagd_redis_head_read(reply_str(reply->element[1]), &head);
            if (reply_u64(reply->element[0]) != shards[i].fence || !read || head.fence != shards[i].base_fence ||
                head.batch != shards[i].base_batch)
                shards[i].status = TAGD_FENCED;
        }
    }
    return ok;
}

enum exec_outcome { EXEC_DONE, EXEC_NIL, EXEC_REFUSED, EXEC_PARTLY, EXEC_LOST };

static enum exec_outcome exec(struct tagd_redis *redis, struct tagd_op *op)
{
    enum exec_outcome outcome = EXEC_DONE;
    command(redis, 1);
    arg_z(redis, "MULTI");
    for (size_t i = 0; i < op->u.commit.n_shards; i++)
        if (op->u.commit.shards[i].status == TAGD_PENDING)
            shard_commands(redis, &op->u.commit.shards[i]);
    command(redis, 1);
    arg_z(redis, "EXEC");
    size_t n = redis->n_out;
    send_commands(redis);
    for (size_t i = 0; i < n; i++) {
        redisReply *reply = receive(redis, &op->error);
        if (reply == NULL)
            return EXEC_LOST;
        if (is_error(reply)) { /* one that isn't queued makes EXEC fail: keep the first text, it has the reason */
            if (outcome != EXEC_REFUSED)
                tagd_fail(&op->error, "Redis: %s", reply->str);
            outcome = EXEC_REFUSED;
        } else if (i + 1 == n && reply->type != REDIS_REPLY_ARRAY) {
            outcome = EXEC_NIL;
        } else if (i + 1 == n) {
            for (size_t k = 0; k < reply->elements; k++) {
                if (!is_error(reply->element[k]))
                    continue;
                tagd_fail(&op->error, "Redis: part of a transaction failed: %s", reply->element[k]->str);
                outcome = EXEC_PARTLY;
            }
        }
    }
    return outcome;
}

/* A repair makes batch numbers jump: only where entries are is anything to be dropped. */
static void outbox_moves(struct shard_state *state, const struct tagd_shard_writes *writes)
{
    if (writes->outbox_drop_to >= state->outbox_low)
        state->outbox_low = writes->outbox_drop_to + 1;
    if (writes->outbox.n == 0)
        return;
    if (state->outbox_low >= state->outbox_end)
        state->outbox_low = writes->head.batch;
    state->outbox_end = writes->head.batch + 1;
}

static void commit_settle(struct tagd_redis *redis, struct tagd_op *op, enum tagd_op_status status)
{
    bool fenced = false;
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        struct shard_state *state = &redis->shards[writes->shard];
        if (writes->status == TAGD_PENDING)
            writes->status = status;
        if (writes->status == TAGD_DONE)
            outbox_moves(state, writes);
        fenced = fenced || writes->status == TAGD_FENCED;
    }
    op->status = status == TAGD_DONE && fenced ? TAGD_FENCED : status;
    if (op->status == TAGD_FENCED)
        tagd_fail(&op->error, "another owner has taken over");
}

static void do_commit(struct tagd_redis *redis, struct tagd_op *op)
{
    for (size_t i = 0; i < op->u.commit.n_shards; i++)
        op->u.commit.shards[i].status = TAGD_PENDING;
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        if (redis->shards[op->u.commit.shards[i].shard].serial == redis->serial)
            continue;
        tagd_fail(&op->error, "the Redis connection is a new one; a new fence is needed");
        commit_settle(redis, op, TAGD_UNKNOWN);
        return;
    }
    for (unsigned tries = 0; tries < EXEC_TRIES_MAX; tries++) {
        size_t n = 0;
        for (size_t i = 0; i < op->u.commit.n_shards; i++)
            n += op->u.commit.shards[i].status == TAGD_PENDING;
        if (n == 0)
            break;
        if (!watch_and_compare(redis, op, n)) {
            commit_settle(redis, op, redis->context == NULL ? TAGD_ABORTED : refusal(redis, op));
            return;
        }
        n = 0;
        for (size_t i = 0; i < op->u.commit.n_shards; i++)
            n += op->u.commit.shards[i].status == TAGD_PENDING;
        if (n == 0)
            break;
        switch (exec(redis, op)) {
        case EXEC_DONE: commit_settle(redis, op, TAGD_DONE); return;
        case EXEC_NIL: break; /* the next round finds whose */
        case EXEC_REFUSED: commit_settle(redis, op, refusal(redis, op)); return;
        case EXEC_PARTLY:
        case EXEC_LOST: commit_settle(redis, op, TAGD_UNKNOWN); return;
        }
    }
    /* All fenced, or nil again and again without a fence that changed: nothing took effect. */
    commit_settle(redis, op, TAGD_ABORTED);
    size_t n_fenced = 0;
    for (size_t i = 0; i < op->u.commit.n_shards; i++)
        n_fenced += op->u.commit.shards[i].status == TAGD_FENCED;
    if (n_fenced == op->u.commit.n_shards) {
        op->status = TAGD_FENCED;
        tagd_fail(&op->error, "another owner has taken over");
    } else {
        tagd_fail(&op->error, "Redis: keys change under the transaction all the time");
    }
}

/* ---- what the room exports ---- */

void tagd_redis_submit(struct tagd_redis *redis, struct tagd_op *op)
{
    redis->arena = op->arena;
    if (connect_as(redis, true, &op->error) != TAGD_IO_OK) {
        op->status = op->kind == TAGD_OP_LOAD ? TAGD_UNKNOWN : TAGD_ABORTED;
        for (size_t i = 0; op->kind == TAGD_OP_COMMIT && i < op->u.commit.n_shards; i++)
            op->u.commit.shards[i].status = op->status;
        return;
    }
    if (op->kind == TAGD_OP_FENCE) {
        do_fence(redis, op);
    } else if (op->kind == TAGD_OP_COMMIT) {
        do_commit(redis, op);
    } else if (redis->shards[op->shard].serial != redis->serial) {
        tagd_fail(&op->error, "the Redis connection is a new one; a new fence is needed");
        op->status = TAGD_UNKNOWN;
    } else {
        do_load(redis, op);
    }
    if (redis->demoted && redis->context != NULL)
        disconnect(redis);
    redis->demoted = false;
}

/* A shard's, if there is one. False: what is there is none. */
static bool take_head(const redisReply *reply, uint32_t shard, struct tagd_head *head, struct tagd_error *error)
{
    struct tagd_error why;
    if (reply->type != REDIS_REPLY_STRING || tagd_redis_head_read(reply_str(reply), head))
        return true;
    tagd_redis_head_unread(reply_str(reply), &why);
    return tagd_fail(error, "shard %" PRIu32 ": %s", shard, why.text);
}

enum tagd_io_result tagd_redis_peek(struct tagd_redis *redis, uint32_t shard, struct tagd_str customer,
                                    struct tagd_arena *arena, struct tagd_io_peek *peek, struct tagd_error *error)
{
    redisReply *replies[3] = {0};
    char shards[TAGD_PREFIX_MAX + 8];
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    command(redis, 2);
    arg_z(redis, "GET");
    arg_shard_key(redis, shard, "head");
    command(redis, 3);
    arg_z(redis, "HGET");
    arg_shard_key(redis, shard, hash_of[PROFILE]);
    arg(redis, customer);
    command(redis, 2);
    arg_z(redis, "GET");
    snprintf(shards, sizeof(shards), "%sshards", redis->config->redis.prefix);
    arg_z(redis, shards);
    send_commands(redis);
    *peek = (struct tagd_io_peek){0};
    if (!receive_all(redis, replies, 3, error)) {
        result = TAGD_IO_UNREACHABLE;
    } else if (!take_head(replies[0], shard, &peek->head, error)) {
        result = TAGD_IO_CONFIG;
    } else {
        peek->profile = tagd_arena_copy(arena, reply_str(replies[1]).p, reply_str(replies[1]).n);
        peek->partitions = (uint32_t)reply_u64(replies[2]);
    }
    return result;
}

enum tagd_io_result tagd_redis_heads(struct tagd_redis *redis, struct tagd_head *heads, struct tagd_error *error)
{
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    for (uint32_t shard = 0; shard < redis->partitions; shard++) {
        command(redis, 2);
        arg_z(redis, "GET");
        arg_shard_key(redis, shard, "head");
    }
    send_commands(redis);
    for (uint32_t shard = 0; shard < redis->partitions; shard++) {
        redisReply *reply = receive(redis, error);
        if (reply == NULL)
            return TAGD_IO_UNREACHABLE;
        heads[shard] = (struct tagd_head){0};
        if (is_error(reply)) {
            tagd_fail(error, "Redis: %s", reply->str);
            result = TAGD_IO_CONFIG;
        } else if (!take_head(reply, shard, &heads[shard], error)) {
            result = TAGD_IO_CONFIG;
        }
    }
    return result;
}

/* ---- the population, for readers ---- */

enum tagd_io_result tagd_redis_read_shards(struct tagd_redis *redis, uint32_t *shards, struct tagd_error *error)
{
    char key[TAGD_PREFIX_MAX + 8];
    redisReply *reply = NULL;
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    command(redis, 2);
    arg_z(redis, "GET");
    snprintf(key, sizeof(key), "%sshards", redis->config->redis.prefix);
    arg_z(redis, key);
    send_commands(redis);
    result = receive_all(redis, &reply, 1, error) ? TAGD_IO_OK : TAGD_IO_UNREACHABLE;
    if (result == TAGD_IO_OK)
        *shards = (uint32_t)reply_u64(reply);
    return result;
}

/* A score; what no count can be is 0. */
static int64_t reply_count(const redisReply *reply)
{
    double count = reply->type == REDIS_REPLY_STRING ? strtod(reply->str, NULL) : 0;
    return count > -9e18 && count < 9e18 ? (int64_t)count : 0;
}

static bool take_set(struct tagd_io_set *set, const redisReply *reply, struct tagd_arena *arena,
                     struct tagd_error *error)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return tagd_fail(error, "Redis: %s", is_error(reply) ? reply->str : "an answer of another form");
    size_t n = reply->elements / 2;
    set->more = n > set->most;
    set->n = set->more ? set->most : n;
    set->members = tagd_arena_alloc(arena, (set->n + 1) * sizeof(*set->members));
    set->counts = tagd_arena_alloc(arena, (set->n + 1) * sizeof(*set->counts));
    for (size_t i = 0; i < set->n; i++) {
        struct tagd_str member = reply_str(reply->element[2 * i]);
        set->members[i] = tagd_arena_copy(arena, member.p, member.n);
        set->counts[i] = reply_count(reply->element[2 * i + 1]);
    }
    return true;
}

/* What EXEC answered: the head, the form, and each set. */
static bool take_shard(uint32_t shard, struct tagd_io_set *sets, size_t n_sets, const redisReply *reply,
                       struct tagd_arena *arena, struct tagd_io_shard *of, struct tagd_error *error)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n_sets + 2)
        return tagd_fail(error, "Redis: an answer of another form");
    *of = (struct tagd_io_shard){
        .form = tagd_arena_copy(arena, reply_str(reply->element[1]).p, reply_str(reply->element[1]).n)};
    if (!take_head(reply->element[0], shard, &of->head, error))
        return false;
    for (size_t i = 0; i < n_sets; i++)
        if (!take_set(&sets[i], reply->element[i + 2], arena, error))
            return false;
    return true;
}

enum tagd_io_result tagd_redis_read_counts(struct tagd_redis *redis, uint32_t shard, struct tagd_io_set *sets,
                                           size_t n_sets, struct tagd_arena *arena, struct tagd_io_shard *of,
                                           struct tagd_error *error)
{
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    command(redis, 1);
    arg_z(redis, "MULTI");
    command(redis, 2);
    arg_z(redis, "GET");
    arg_shard_key(redis, shard, "head");
    command(redis, 2);
    arg_z(redis, "GET");
    arg_shard_key(redis, shard, POPULATION);
    for (size_t i = 0; i < n_sets; i++) {
        command(redis, 5);
        arg_z(redis, "ZREVRANGE");
        arg_key(redis, shard, POPULATION ":", sets[i].name);
        arg_z(redis, "0");
        arg_u64(redis, sets[i].most); /* one more, to see whether there are */
        arg_z(redis, "WITHSCORES");
    }
    command(redis, 1);
    arg_z(redis, "EXEC");
    size_t n = redis->n_out;
    redisReply **replies = tagd_arena_zalloc(arena, n * sizeof(redisReply *));
    send_commands(redis);
    bool received = receive_all(redis, replies, n, error);
    if (!received)
        result = redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
    else if (!take_shard(shard, sets, n_sets, replies[n - 1], arena, of, error))
        result = TAGD_IO_CONFIG;
    return result;
}

enum tagd_io_result tagd_redis_read_members(struct tagd_redis *redis, uint32_t shard, struct tagd_str set,
                                            const struct tagd_str *members, size_t n, int64_t *counts,
                                            struct tagd_error *error)
{
    enum tagd_io_result result = begin(redis, false, error);
    for (size_t i = 0; i < n && result == TAGD_IO_OK; i += LOAD_FIELDS_MAX) {
        size_t some = n - i < LOAD_FIELDS_MAX ? n - i : LOAD_FIELDS_MAX;
        redisReply *reply = NULL;
        command(redis, 2 + some);
        arg_z(redis, "ZMSCORE");
        arg_key(redis, shard, POPULATION ":", set);
        for (size_t k = i; k < i + some; k++)
            arg(redis, members[k]);
        send_commands(redis);
        if (!receive_all(redis, &reply, 1, error))
            result = redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
        for (size_t k = 0; result == TAGD_IO_OK && k < some; k++)
            counts[i + k] = k < reply->elements ? reply_count(reply->element[k]) : 0;
    }
    return result;
}

enum tagd_io_result tagd_redis_read_customers(struct tagd_redis *redis, uint32_t shard, size_t from, size_t max,
                                              struct tagd_arena *arena, struct tagd_load_item **items, size_t *n,
                                              struct tagd_error *error)
{
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = shard, .arena = arena};
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    op.u.load.walk_from = from;
    op.u.load.walk_max = max;
    if (!load_walk(redis, &op)) {
        *error = op.error;
        return redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
    }
    *items = op.u.load.walk;
    *n = op.u.load.n_walk;
    return TAGD_IO_OK;
}

enum tagd_io_result tagd_redis_scan_customers(struct tagd_redis *redis, uint32_t shard, uint64_t *cursor, size_t about,
                                              struct tagd_arena *arena, struct tagd_load_item **items, size_t *n,
                                              struct tagd_error *error)
{
    struct tagd_op op = {.kind = TAGD_OP_LOAD, .shard = shard, .arena = arena};
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    command(redis, 5);
    arg_z(redis, "ZSCAN");
    arg_shard_key(redis, shard, "timers");
    arg_u64(redis, *cursor);
    arg_z(redis, "COUNT");
    arg_u64(redis, about);
    send_commands(redis);
    redisReply *reply = receive(redis, &op.error);
    bool ok = reply != NULL;
    if (ok &&
        (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[1]->type != REDIS_REPLY_ARRAY))
        ok = tagd_fail(&op.error, "Redis: %s", is_error(reply) ? reply->str : "an answer of another form");
    ok = ok && take_walk(redis, &op, reply->element[1]->element, reply->element[1]->elements / 2, 2);
    *cursor = ok ? reply_u64(reply->element[0]) : 0;
    *error = op.error;
    *items = op.u.load.walk;
    *n = op.u.load.n_walk;
    return ok ? TAGD_IO_OK : redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
}

static const char *const board_names[] = {[TAGD_IO_BRAKES] = "brakes", [TAGD_IO_HEARD] = "heard"};

static void arg_board(struct tagd_redis *redis, enum tagd_io_board board)
{
    char key[TAGD_PREFIX_MAX + 16];
    snprintf(key, sizeof(key), "%s%s", redis->config->redis.prefix, board_names[board]);
    arg_z(redis, key);
}

enum tagd_io_result tagd_redis_board_read(struct tagd_redis *redis, enum tagd_io_board board, struct tagd_arena *arena,
                                          struct tagd_io_entry **entries, size_t *n, struct tagd_error *error)
{
    redisReply *reply = NULL;
    enum tagd_io_result result = begin(redis, false, error);
    *n = 0;
    if (result != TAGD_IO_OK)
        return result;
    command(redis, 2);
    arg_z(redis, "HGETALL");
    arg_board(redis, board);
    send_commands(redis);
    if (!receive_all(redis, &reply, 1, error))
        return redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
    size_t most = reply->elements / 2 < TAGD_IO_BOARD_MAX ? reply->elements / 2 : TAGD_IO_BOARD_MAX;
    *entries = tagd_arena_alloc(arena, (most + 1) * sizeof(**entries));
    for (; *n < most; (*n)++) {
        struct tagd_str field = reply_str(reply->element[2 * *n]), value = reply_str(reply->element[2 * *n + 1]);
        (*entries)[*n] =
            (struct tagd_io_entry){tagd_arena_copy(arena, field.p, field.n), tagd_arena_copy(arena, value.p, value.n)};
    }
    return TAGD_IO_OK;
}

enum tagd_io_result tagd_redis_board_write(struct tagd_redis *redis, enum tagd_io_board board, struct tagd_str field,
                                           struct tagd_str value, struct tagd_error *error)
{
    redisReply *reply = NULL;
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    command(redis, value.p == NULL ? 3 : 4);
    arg_z(redis, value.p == NULL ? "HDEL" : "HSET");
    arg_board(redis, board);
    arg(redis, field);
    if (value.p != NULL)
        arg(redis, value);
    send_commands(redis);
    if (receive_all(redis, &reply, 1, error))
        return TAGD_IO_OK;
    return redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
}

static int64_t info_number(const char *info, const char *name)
{
    char value[64];
    info_value(info, name, value, sizeof(value));
    return strtoll(value, NULL, 10);
}

static bool info_is(const char *info, const char *name, const char *wanted)
{
    char value[64];
    info_value(info, name, value, sizeof(value));
    return strcmp(value, wanted) == 0;
}

/* asked_ms: our clock in the middle between question and answer. */
static void take_server(const char *info, const redisReply *time, int64_t asked_ms, struct tagd_io_server *server)
{
    *server = (struct tagd_io_server){.memory_bytes = info_number(info, "used_memory"),
                                      .memory_max_bytes = info_number(info, "maxmemory"),
                                      .aof = info_is(info, "aof_enabled", "1"),
                                      .evicted = info_number(info, "evicted_keys"),
                                      .clock_ahead_ms = INT64_MIN};
    server->aof_failing = server->aof && (!info_is(info, "aof_last_write_status", "ok") ||
                                          !info_is(info, "aof_last_bgrewrite_status", "ok"));
    if (asked_ms != INT64_MIN && time->type == REDIS_REPLY_ARRAY && time->elements == 2)
        server->clock_ahead_ms =
            (int64_t)reply_u64(time->element[0]) * 1000 + (int64_t)reply_u64(time->element[1]) / 1000 - asked_ms;
}

enum tagd_io_result tagd_redis_server(struct tagd_redis *redis, struct tagd_io_server *server, struct tagd_error *error)
{
    redisReply *replies[2] = {NULL, NULL};
    enum tagd_io_result result = begin(redis, false, error);
    if (result != TAGD_IO_OK)
        return result;
    command(redis, 1);
    arg_z(redis, "TIME");
    command(redis, 1);
    arg_z(redis, "INFO");
    int64_t wall_ms = tagd_io_wall_ms(), began_ms = tagd_io_mono_ms();
    send_commands(redis);
    if (!receive_all(redis, replies, 2, error))
        return redis->context == NULL ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
    int64_t took_ms = tagd_io_mono_ms() - began_ms;
    take_server(reply_str(replies[1]).p, replies[0], took_ms > CLOCK_ANSWER_MS ? INT64_MIN : wall_ms + took_ms / 2,
                server);
    return TAGD_IO_OK;
}

/* ---- a survey ---- */

static void copy_info(const char *info, const char *name, char *to, size_t size)
{
    info_value(info, name, to, size);
}

static void take_info(const char *info, struct tagd_survey_redis *survey)
{
    copy_info(info, "redis_version", survey->version, sizeof(survey->version));
    copy_info(info, "redis_mode", survey->mode, sizeof(survey->mode));
    copy_info(info, "role", survey->role, sizeof(survey->role));
    copy_info(info, "maxmemory_policy", survey->policy, sizeof(survey->policy));
    survey->loading = info_is(info, "loading", "1");
    survey->aof = info_is(info, "aof_enabled", "1");
    survey->aof_write_failed = survey->aof && !info_is(info, "aof_last_write_status", "ok");
    survey->aof_rewrite_failed = survey->aof && !info_is(info, "aof_last_bgrewrite_status", "ok");
    survey->rdb_failed = !info_is(info, "rdb_last_bgsave_status", "ok");
    survey->memory = info_number(info, "used_memory");
    survey->memory_max = info_number(info, "maxmemory");
    survey->evicted = info_number(info, "evicted_keys");
}

/* The value of a CONFIG GET of one name; empty if it wasn't answered. */
static void take_setting(const redisReply *reply, char *to, size_t size)
{
    to[0] = '\0';
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
        snprintf(to, size, "%.*s", (int)reply_str(reply->element[1]).n, reply_str(reply->element[1]).p);
}

static void ask_setting(struct tagd_redis *redis, const char *name)
{
    command(redis, 3);
    arg_z(redis, "CONFIG");
    arg_z(redis, "GET");
    arg_z(redis, name);
}

static void ask_key(struct tagd_redis *redis, const char *name)
{
    char key[TAGD_PREFIX_MAX + 16];
    snprintf(key, sizeof(key), "%s%s", redis->config->redis.prefix, name);
    command(redis, 2);
    arg_z(redis, "GET");
    arg_z(redis, key);
}

static void take_key(const redisReply *reply, char *to, size_t size, struct tagd_survey_redis *survey)
{
    survey->denied_keys = survey->denied_keys || is_error(reply);
    snprintf(to, size, "%.*s", (int)reply_str(reply).n, reply_str(reply).p);
}

enum { SURVEY_TIME, SURVEY_INFO, SURVEY_FSYNC, SURVEY_BUFFERS, SURVEY_GROUP, SURVEY_SHARDS, SURVEY_SOURCES, SURVEY_N };

static bool ask_survey(struct tagd_redis *redis, redisReply **replies, int64_t *clock_ms, struct tagd_error *error)
{
    command(redis, 1);
    arg_z(redis, "TIME");
    command(redis, 1);
    arg_z(redis, "INFO");
    ask_setting(redis, "appendfsync");
    ask_setting(redis, "client-output-buffer-limit");
    ask_key(redis, "group");
    ask_key(redis, "shards");
    ask_key(redis, "sources");
    int64_t wall_ms = tagd_io_wall_ms(), began_ms = tagd_io_mono_ms();
    send_commands(redis);
    for (size_t i = 0; i < SURVEY_N; i++) {
        replies[i] = receive(redis, error);
        if (replies[i] == NULL)
            return false;
        if (i == SURVEY_TIME)
            *clock_ms = wall_ms + (tagd_io_mono_ms() - began_ms) / 2;
    }
    return true;
}

void tagd_redis_survey(struct tagd_redis *redis, struct tagd_survey_redis *survey)
{
    redisReply *replies[SURVEY_N] = {0};
    struct tagd_error error;
    char shards[32];
    int64_t clock_ms = 0;
    *survey = (struct tagd_survey_redis){.shards = -1, .clock_ahead_ms = INT64_MIN};
    redis->surveyed = true;
    enum tagd_io_result result = begin(redis, false, &error);
    if (result != TAGD_IO_OK || !ask_survey(redis, replies, &clock_ms, &error)) {
        snprintf(result == TAGD_IO_CONFIG ? survey->refused : survey->unreachable, TAGD_SURVEY_TEXT, "%.*s",
                 TAGD_SURVEY_TEXT - 1, error.text);
        return;
    }
    if (is_error(replies[SURVEY_INFO])) {
        snprintf(survey->refused, sizeof(survey->refused), "%.*s", TAGD_SURVEY_TEXT - 1, replies[SURVEY_INFO]->str);
        return;
    }
    take_info(reply_str(replies[SURVEY_INFO]).p, survey);
    const redisReply *time = replies[SURVEY_TIME];
    if (time->type == REDIS_REPLY_ARRAY && time->elements == 2)
        survey->clock_ahead_ms =
            (int64_t)reply_u64(time->element[0]) * 1000 + (int64_t)reply_u64(time->element[1]) / 1000 - clock_ms;
    take_setting(replies[SURVEY_FSYNC], survey->append_fsync, sizeof(survey->append_fsync));
    take_setting(replies[SURVEY_BUFFERS], survey->buffers, sizeof(survey->buffers));
    take_key(replies[SURVEY_GROUP], survey->group, sizeof(survey->group), survey);
    take_key(replies[SURVEY_SHARDS], shards, sizeof(shards), survey);
    take_key(replies[SURVEY_SOURCES], survey->sources, sizeof(survey->sources), survey);
    if (shards[0] != '\0')
        survey->shards = strtoll(shards, NULL, 10);
}

struct tagd_redis *tagd_redis_new(const struct tagd_config *config, uint32_t partitions, const struct tagd_notes *notes,
                                  struct tagd_io_stats *stats)
{
    struct tagd_redis *redis = tagd_xcalloc(1, sizeof(*redis));
    redis->config = config;
    redis->notes = notes;
    redis->stats = stats;
    redis->partitions = partitions;
    redis->shards = tagd_xcalloc(partitions == 0 ? 1 : partitions, sizeof(*redis->shards));
    return redis;
}

void tagd_redis_free(struct tagd_redis *redis)
{
    if (redis == NULL)
        return;
    disconnect(redis);
    tagd_buf_free(&redis->out);
    tagd_buf_free(&redis->keys);
    tagd_arena_free(&redis->own);
    free(redis->shards);
    free(redis);
}
