/* io: the real world behind struct tagd_port: a Kafka consumer and producer, a Redis connection, the clocks; one of each
 * a worker. Operations but SEND and OFFSETS are carried out inside `submit`, which may block for some seconds when a
 * server does not answer; their completion is seen after the next `poll`. Everything here belongs to the worker's
 * thread but where said otherwise. */
#ifndef TAGD_IO_H
#define TAGD_IO_H

#include "config/config.h"
#include "tagd/port.h"

enum tagd_io_result {
    TAGD_IO_OK,
    TAGD_IO_UNREACHABLE, /* a server does not answer; trying again may help */
    TAGD_IO_CONFIG       /* a server or a topic is not as it must be; trying again doesn't help */
};

/* Where notes go. Called from any thread. */
struct tagd_notes {
    void (*note)(void *to, const struct tagd_note *note);
    void *to;
};

/* Whether librdkafka takes the configuration's properties, as consumer and as producer; no server is asked. False:
 * *error names the property. */
bool tagd_io_check_properties(const struct tagd_config *config, struct tagd_error *error);

/* Whether the certificate files for Redis can be read and belong together. False: *error names the key. */
bool tagd_io_check_tls(const struct tagd_config *config, struct tagd_error *error);

/* Checks the topics: sources are there, with the same number of partitions, and so are the outputs. With `create`,
 * makes those that are missing. Writes the number. Also checks the librdkafka properties. Waits at most timeout_ms for
 * a broker. */
enum tagd_io_result tagd_io_check_topics(const struct tagd_config *config, bool create, int timeout_ms,
                                         const struct tagd_notes *notes, uint32_t *partitions,
                                         struct tagd_error *error);

struct tagd_io;

/* Connects to both servers and subscribes. The worker's transactional id is "<group>-<instance>-<worker>", and whatever
 * transaction it left open is ended before this returns. config must outlive the result. NULL: *result and *error say
 * why. */
struct tagd_io *tagd_io_new(const struct tagd_config *config, unsigned worker, uint32_t partitions, int timeout_ms,
                            const struct tagd_notes *notes, enum tagd_io_result *result, struct tagd_error *error);
/* After the worker: its operations are not touched any more. NULL is fine. */
void tagd_io_free(struct tagd_io *io);
struct tagd_port *tagd_io_port(struct tagd_io *io);
const char *tagd_io_owner(const struct tagd_io *io);

/* Read across threads by relaxed atomic loads. */
struct tagd_io_stats {
    uint64_t assignments;     /* received since start */
    uint64_t shards_assigned; /* gauge */
    uint64_t lost;            /* assignments lost */
    uint64_t owners_ended;    /* takeovers that had to end another owner's transactional id */
    uint64_t producers;       /* producers made, the first included */
    uint64_t tainted;         /* transactions whose EndTxn was sent twice or answered with an error */
    uint64_t redis_connects;  /* connections made, the first included */
    uint64_t truncated;       /* dead letters cut to the broker's limit */
};
const struct tagd_io_stats *tagd_io_stats(const struct tagd_io *io);

/* The partition's end as the client last heard of it; -1: not known. Any thread. */
int64_t tagd_io_end_offset(const struct tagd_io *io, uint32_t topic, uint32_t shard);

/* When a Kafka client of this process complained last that brokers are away or don't answer: monotonic; 0: never. Any
 * thread. */
int64_t tagd_io_kafka_trouble_ms(void);

int64_t tagd_io_wall_ms(void);
int64_t tagd_io_mono_ms(void);
int64_t tagd_io_mono_us(void); /* for short times: stands still while the machine sleeps */

/* ---- the store alone, for `import` ---- */

/* A port of FENCE, LOAD and COMMIT; a poll hands nothing out. Connects to Redis and claims the prefix for the group.
 * config must outlive the result. NULL: *result and *error say why. */
struct tagd_io *tagd_io_store_new(const struct tagd_config *config, uint32_t partitions, int timeout_ms,
                                  const struct tagd_notes *notes, enum tagd_io_result *result,
                                  struct tagd_error *error);
/* Whether Kafka knows nothing of the group: no members, no offsets, no outputs. Shards whose head (of `partitions`) has
 * a batch may have offsets and outputs. Waits at most timeout_ms for the broker. */
enum tagd_io_result tagd_io_check_unused(const struct tagd_config *config, uint32_t partitions,
                                         const struct tagd_head *heads, int timeout_ms, const struct tagd_notes *notes,
                                         struct tagd_error *error);

/* Whether the group has no members, waiting at most timeout_ms for that. Joins nothing, changes nothing. CONFIG: it has. */
enum tagd_io_result tagd_io_check_stopped(const struct tagd_config *config, int timeout_ms,
                                          const struct tagd_notes *notes, struct tagd_error *error);

/* ---- reading the store without owning anything ---- */
/* The heads of all shards; one that doesn't exist is zeroed. Waits at most timeout_ms for Redis. */
enum tagd_io_result tagd_io_heads(const struct tagd_config *config, uint32_t partitions, int timeout_ms,
                                  const struct tagd_notes *notes, struct tagd_head *heads, struct tagd_error *error);

struct tagd_io_peek {
    struct tagd_head head;
    struct tagd_str profile; /* n = 0: not there */
    uint32_t partitions;     /* 0: the group keeps nothing here yet */
};
/* Redis alone: takes no fence, writes nothing. Results live in the arena. */
enum tagd_io_result tagd_io_peek(const struct tagd_config *config, uint32_t shard, struct tagd_str customer,
                                 struct tagd_arena *arena, struct tagd_io_peek *peek, struct tagd_error *error);

/* ---- read by whoever asks, without owning anything ---- */

/* Connects when it is asked. config must outlive it. One thread at a time. */
struct tagd_io_reader;
struct tagd_io_reader *tagd_io_reader_new(const struct tagd_config *config);
void tagd_io_reader_free(struct tagd_io_reader *reader); /* NULL is fine */

/* Redis as it says it is. */
struct tagd_io_server {
    int64_t memory_bytes, memory_max_bytes; /* max 0: as much as the machine has */
    bool aof, aof_failing;                  /* there is an append-only file; writing or rewriting it failed last */
    int64_t evicted;                        /* keys, since it started: each is state that was lost */
    int64_t clock_ahead_ms;                 /* of ours; INT64_MIN: it answered too slowly to tell */
};
enum tagd_io_result tagd_io_read_server(struct tagd_io_reader *reader, struct tagd_io_server *server,
                                        struct tagd_error *error);

/* What daemons and people tell each other through Redis: small hashes beside the shards, read and written by anybody. */
enum tagd_io_board {
    TAGD_IO_BRAKES, /* what is held, and what was released */
    TAGD_IO_HEARD   /* the latest event of each source topic, whoever has read it */
};
#define TAGD_IO_BOARD_MAX 2000 /* fields that are read */
struct tagd_io_entry {
    struct tagd_str field, value;
};
/* All fields, in any order; they live in the arena. */
enum tagd_io_result tagd_io_board_read(struct tagd_io_reader *reader, enum tagd_io_board board,
                                       struct tagd_arena *arena, struct tagd_io_entry **entries, size_t *n,
                                       struct tagd_error *error);
/* value.p NULL: the field goes. */
enum tagd_io_result tagd_io_board_write(struct tagd_io_reader *reader, enum tagd_io_board board, struct tagd_str field,
                                        struct tagd_str value, struct tagd_error *error);

/* ---- a population, likewise ---- */

struct tagd_io_set { /* of one shard: counts, the largest first */
    struct tagd_str name;
    size_t most; /* so many are read */
    struct tagd_str *members;
    int64_t *counts;
    size_t n;
    bool more; /* there are others */
};
struct tagd_io_shard {
    struct tagd_head head;
    struct tagd_str form; /* of its population; empty: none */
};

/* The number of shards; 0: the group keeps nothing here yet. */
enum tagd_io_result tagd_io_read_shards(struct tagd_io_reader *reader, uint32_t *shards, struct tagd_error *error);
/* The sets, all as they were at one instant; results live in the arena. */
enum tagd_io_result tagd_io_read_counts(struct tagd_io_reader *reader, uint32_t shard, struct tagd_io_set *sets,
                                        size_t n_sets, struct tagd_arena *arena, struct tagd_io_shard *of,
                                        struct tagd_error *error);
/* How many are in these counts of a set. */
enum tagd_io_result tagd_io_read_members(struct tagd_io_reader *reader, uint32_t shard, struct tagd_str set,
                                         const struct tagd_str *members, size_t n, int64_t *counts,
                                         struct tagd_error *error);
/* Profiles of about so many customers, from *cursor on, which is 0 at first and again after the last ones. Who is a customer
 * all the while comes at least once, whatever is written meanwhile; some come twice. */
enum tagd_io_result tagd_io_scan_customers(struct tagd_io_reader *reader, uint32_t shard, uint64_t *cursor,
                                           size_t about, struct tagd_arena *arena, struct tagd_load_item **items,
                                           size_t *n, struct tagd_error *error);
/* Profiles of up to max customers, from the from-th on, in an order that stays while nothing is written. */
enum tagd_io_result tagd_io_read_customers(struct tagd_io_reader *reader, uint32_t shard, size_t from, size_t max,
                                           struct tagd_arena *arena, struct tagd_load_item **items, size_t *n,
                                           struct tagd_error *error);

#endif
