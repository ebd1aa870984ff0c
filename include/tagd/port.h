/* port: what shard and worker need of the world, and nothing else of it. It speaks of the job, not of the servers.
 * Submit and completion: `submit` starts an operation, which the port owns until a later `poll` has set its status to
 * something other than TAGD_PENDING; results live until the operation is submitted again or its memory is released by
 * its owner (results are allocated from op->arena, which the worker owns and resets). One thread uses a port.
 *
 * A batch is identified by (fence, batch). The fence is taken anew by every FENCE operation and is larger than any
 * before. A store that went back has lost count of them: so that no two histories share one, a fence is at least the
 * wall clock's milliseconds. */
#ifndef TAGD_PORT_H
#define TAGD_PORT_H

#include "tagd/event.h"

#define TAGD_TOPICS_MAX 16   /* source topics */
#define TAGD_SHARDS_MAX 4096 /* partitions of a topic */

/* Something on-call may want to read: a sentence, and what it is about, as far as that is known. The text and the topic
 * live as long as the call that hands them over. */
enum tagd_note_level { TAGD_NOTE_INFO, TAGD_NOTE_WARN, TAGD_NOTE_ERROR };
struct tagd_note {
    enum tagd_note_level level;
    const char *text;
    const char *topic;            /* NULL: of none */
    int64_t shard, batch, offset; /* -1: of none */
};
#define TAGD_NOTE(level) ((struct tagd_note){(level), NULL, NULL, -1, -1, -1})

enum tagd_op_kind {
    TAGD_OP_FENCE,     /* take a fence for one shard, then read its head, outbox and first due instant */
    TAGD_OP_COMMITTED, /* Kafka's committed offsets and metadata of one shard, every topic, and the topics' beginnings
                        */
    TAGD_OP_TAIL,      /* the last batch of this group on the shard's output partitions, read committed */
    TAGD_OP_END_OWNER, /* end any open transaction of another owner's transactional id */
    TAGD_OP_START,     /* begin to fetch a shard at given offsets; its records may come before the completion is seen */
    TAGD_OP_LOAD,      /* profiles, and customers due */
    TAGD_OP_COMMIT,    /* writes of one batch, several shards, one transaction of the store */
    TAGD_OP_PUBLISH,   /* outputs and offsets of one batch, several shards, one Kafka transaction */
    TAGD_OP_SEND,      /* outputs of one batch, several shards, without a transaction; see below */
    TAGD_OP_OFFSETS,   /* offsets and metadata of several shards, without a transaction */
    TAGD_OP_REFETCH,   /* one source record again, for a dead letter in an outbox */
    TAGD_OP_OUTPUTS    /* what was published of one shard, from some batch on, read committed; see below */
};

enum tagd_op_status {
    TAGD_PENDING,
    TAGD_DONE,
    TAGD_FENCED,  /* another owner has it; nothing of this operation took effect */
    TAGD_REFUSED, /* the server said no (out of memory, too large, ...): nothing took effect; error says what */
    TAGD_DENIED,  /* the same for lack of a right: trying again doesn't help until somebody gives it */
    TAGD_ABORTED, /* the transaction was aborted: nothing took effect; it may be sent again */
    TAGD_UNKNOWN, /* nobody knows whether it took effect: take a new fence and compare */
    TAGD_GONE     /* REFETCH: the record is no longer there; START: offset out of range */
};

/* One of a shard's batches, or none. */
struct tagd_position {
    bool found;
    uint64_t fence, batch;
};
/* Whether a is a batch, and b none or an earlier one. */
static inline bool tagd_position_later(struct tagd_position a, struct tagd_position b)
{
    return a.found && (!b.found || (a.fence != b.fence ? a.fence > b.fence : a.batch > b.batch));
}

/* History that an import put into a shard before its first batch. Zeroed: none. */
struct tagd_baseline {
    char import[33]; /* the import's identity: 32 hexadecimal digits; empty: no baseline */
    bool finished;   /* false: only this import may go on with the shard */
    int64_t
        before_ms;  /* it holds what is before this instant; once finished, the stream's events before it are ignored */
    uint64_t lines; /* of the merged files, taken into account so far */
    uint64_t events, duplicates, ignored, customers; /* applied; not applied; begun, among these lines */
};

/* What is published, each kind to a topic of its own. The last one is there only if the catalog has events of kind churn:
 * else nothing goes there, nobody asks for it, and its topic need not exist. */
enum tagd_output_kind { TAGD_OUT_CHANGE, TAGD_OUT_DEAD_LETTER, TAGD_OUT_CHURN, TAGD_OUTPUT_KINDS };

/* A repair that goes on: Redis had gone back, or was empty. Only repair may go on with such a shard. While it lasts, the
 * head's (fence, batch) are Kafka's, and its next_offset runs from where Redis was to `to_offset`. */
enum tagd_repair_phase {
    TAGD_NO_REPAIR,
    TAGD_REPAIR_TELLING,  /* what the outputs tell of customers is written down ("told") */
    TAGD_REPAIR_REPLAYING /* the input is replayed untold; then the differences are published and told ones go */
};
struct tagd_repair {
    enum tagd_repair_phase phase;
    int64_t to_offset[TAGD_TOPICS_MAX]; /* by topic: what is before it has been published */
    int64_t to_watermark_ms;            /* up to where time had been published; INT64_MIN: nowhere */
    int64_t
        outputs_from[TAGD_OUTPUT_KINDS]; /* on the output partitions: what may not be in the state is from here on */
};

/* SEND: any number may be pending at once. All it points to but its shards' array is read before submit returns. What is
 * sent to a shard is appended in the order of submission, and nothing of a later SEND is there before all of an earlier
 * one is, as long as none fails. DONE: every output is acknowledged by the broker. ABORTED: some may be there and some
 * not; every other SEND pending then, or submitted before the next poll, is ABORTED too.
 * OFFSETS: one may be pending at a time; it says where on-call and the next owner may see us, and may fail. */

/* head: what the store knows of a shard. Stored by the port as it likes; compared by the shard. */
struct tagd_head {
    bool exists;
    uint64_t fence, batch; /* of the last committed batch; batch counts from 1, 0: none yet */
    uint64_t prev_fence;   /* fence of batch - 1 */
    uint32_t n_topics, partitions;
    int64_t next_offset[TAGD_TOPICS_MAX]; /* next to read, by topic; -1: never read */
    int64_t watermark_ms;                 /* INT64_MIN: none yet */
    int64_t latest_ms;                    /* latest event time read; INT64_MIN: none yet */
    char catalog_hash[33];
    char owner[256];                        /* transactional id of the owner; empty: it left cleanly */
    struct tagd_baseline baseline;          /* batch is 0 until the daemon's first one builds on it */
    struct tagd_repair repair;              /* phase NO_REPAIR: none */
    int64_t outputs_end[TAGD_OUTPUT_KINDS]; /* ends of the output partitions when they were looked at last: what later
                                               batches publish is from there on; 0: they never were */
    bool at_least_once; /* how the entries in its outbox are sent: those of `false` are there if Kafka's committed
                           batch says so, those of `true` have to be sent again, all of them */
};
/* An import has begun with the shard and isn't finished: nobody else may go on with it. */
static inline bool tagd_head_importing(const struct tagd_head *head)
{
    return head->exists && head->baseline.import[0] != '\0' && !head->baseline.finished;
}

/* One thing to publish. A dead letter names its source record; value and key are there too when it is first published,
 * and are fetched again (REFETCH) when it comes out of an outbox. */
#define TAGD_DEAD_LETTER_HEADERS 5 /* a dead letter's last headers say why and where; those before are the record's */
struct tagd_output {
    enum tagd_output_kind kind;
    struct tagd_str key, value;
    bool has_key, has_value;
    const struct tagd_header *headers; /* the port adds tagd_batch and tagd_group to outputs of every kind */
    size_t n_headers;
    uint32_t index; /* within the shard's batch, over all kinds: tagd_batch is <fence>.<batch>.<index> */
};

struct tagd_outbox_entry {
    uint64_t fence, batch, prev_fence;
    struct tagd_str bytes; /* as the shard wrote it */
};

struct tagd_committed_topic {
    int64_t offset;           /* -1: none */
    struct tagd_str metadata; /* empty: none */
    int64_t low, high;        /* first offset still there; end of the partition under read-committed */
};

struct tagd_profile_write {
    struct tagd_str customer, bytes;
    bool due_changed;            /* then the timer is set; */
    int64_t due_ms;              /* TAGD_NEVER: stays listed at infinity */
    bool view_changed;           /* then tags:<customer> becomes this: */
    const struct tagd_str *view; /* n_view pairs: dimension, tag, ..., and _revision, _at */
    size_t n_view;
    /* What of it the store need not write. NULL: it is rewritten whole. Else, by pair: it is there as it is; and fields of
     * before that aren't in it any more. */
    const bool *view_same;
    const struct tagd_str *gone;
    size_t n_gone;
};

struct tagd_told_write {             /* during a repair: what the outputs tell of a customer, as the shard wrote it */
    struct tagd_str customer, bytes; /* bytes.n = 0: it goes */
};

/* The population: named sets of counts, which stand beside the profiles and change with them. A count that comes to 0 is
 * gone. Beside them stands their form, a text that says what is counted. */
struct tagd_count_write { /* it becomes larger by so much */
    struct tagd_str set, member;
    int64_t by;
};
struct tagd_population_write {
    const struct tagd_str *drops; /* these sets go, before anything is counted */
    size_t n_drops;
    const struct tagd_count_write *counts; /* those of one set one after the other */
    size_t n_counts;
    struct tagd_str form; /* empty: it stays */
};

struct tagd_shard_writes { /* COMMIT: one shard's share of a batch */
    uint32_t shard;
    uint64_t fence;                  /* ours */
    uint64_t base_fence, base_batch; /* the head this builds on: the commit is FENCED if the store's differs */
    struct tagd_head head;           /* the new one; one that does not exist: nothing is written, only compared */
    const struct tagd_profile_write *profiles;
    size_t n_profiles;
    const struct tagd_told_write *told;
    size_t n_told;
    struct tagd_str outbox;  /* entry of head.batch; empty: none; */
    uint64_t outbox_drop_to; /* entries of batches <= this go; 0: none */
    struct tagd_population_write population;
    enum tagd_op_status status; /* result: DONE or FENCED, or the operation's */
};

struct tagd_shard_outputs { /* PUBLISH, SEND, OFFSETS: one shard's share */
    uint32_t shard;
    const struct tagd_output *outputs;
    size_t n_outputs;
    uint64_t fence, batch;           /* for tagd_batch headers */
    int64_t offset[TAGD_TOPICS_MAX]; /* to commit, by topic; -1 as 0 where nothing was read */
    struct tagd_str metadata;        /* NUL-free text, "<fence>,<batch>,<watermark>" */
};

struct tagd_load_item {
    struct tagd_str customer;
    struct tagd_str bytes; /* result; n = 0: not there */
    bool known;            /* of items: bytes are known already, the store isn't asked for them */
    struct tagd_str told;  /* result, if asked for; n = 0: none */
};

struct tagd_published { /* OUTPUTS: one record of an output partition */
    struct tagd_position at;
    struct tagd_record record; /* key, value, headers; topic is not set */
};

struct tagd_op {
    enum tagd_op_kind kind;
    enum tagd_op_status status;
    struct tagd_error error; /* where status is neither DONE nor PENDING */
    struct tagd_arena *arena;
    uint32_t shard; /* all but COMMIT, PUBLISH, SEND and OFFSETS */
    union {
        struct {
            uint64_t at_least; /* the new fence is larger than this too */
            uint64_t fence;    /* results; */
            uint64_t before;   /* the store's last one: whether anybody took one since ours; 0: none */
            struct tagd_head head;
            struct tagd_outbox_entry *outbox; /* ascending by batch */
            size_t n_outbox;
            int64_t next_due_ms;             /* TAGD_NEVER: none */
            struct tagd_str population_form; /* empty: none */
        } fence;
        struct {
            struct tagd_committed_topic *topics;    /* by topic */
            int64_t outputs_end[TAGD_OUTPUT_KINDS]; /* ends under read-committed, as they were before these offsets;
                                                       0 of a kind that isn't there */
        } committed;
        struct {
            bool repeats;              /* outputs sent again may stand behind later batches' */
            struct tagd_position last; /* results; */
            bool emptied
                [TAGD_OUTPUT_KINDS]; /* nothing of the group was found on that output partition, whose first records
                                                are deleted: there may have been something */
        } tail;
        struct {
            struct tagd_str owner;
        } end_owner;
        struct {
            int64_t *offsets; /* by topic; -1: where new shards begin; result: where it began */
        } start;
        struct {
            struct tagd_load_item *items;
            size_t n_items;
            int64_t due_to_ms; /* INT64_MIN: don't ask */
            size_t due_max;
            /* If due ones are asked for: the bytes of one of them that isn't among items, if they are known (p NULL: they
             * aren't). May be NULL. */
            struct tagd_str (*known)(void *to, struct tagd_str customer);
            void *known_to;
            struct tagd_load_item *due; /* results: customers due, their profiles, ascending by instant */
            size_t n_due;
            int64_t next_due_ms;           /* first instant after those returned; nothing if due_to_ms doesn't ask */
            bool with_told;                /* also what is told of the customers of items and due, */
            size_t settle_max;             /* and up to so many customers of whom something is told; 0: don't ask */
            struct tagd_load_item *settle; /* results: with profile and told, in any order */
            size_t n_settle;
            size_t walk_max;             /* and up to so many of all customers; 0: don't ask */
            size_t walk_from;            /* from this one on, in an order that stays while nothing is written */
            struct tagd_load_item *walk; /* results: with their profiles */
            size_t n_walk;
        } load;
        struct {
            struct tagd_shard_writes *shards;
            size_t n_shards;
        } commit;
        struct {
            struct tagd_shard_outputs *shards; /* OFFSETS: without outputs */
            size_t n_shards;
        } publish; /* and SEND, OFFSETS */
        struct {
            uint32_t topic;
            int64_t offset;
            struct tagd_record record; /* result */
        } refetch;
        /* Records of this group (header tagd_group) only, in offset order. Neither batch numbers nor fences fall along a
         * partition, as long as nothing was sent without a transaction. */
        struct {
            enum tagd_output_kind kind;
            int64_t from;                   /* -1: find the first of a batch >= batch, or of a fence > fence */
            uint64_t fence, batch;          /* if from is -1 */
            size_t max;                     /* records; fewer if they are large */
            struct tagd_published *outputs; /* results */
            size_t n_outputs;
            int64_t began,
                next;   /* looked at [began, next); began: `from`, or what is the first there if that is later */
            bool end;   /* next is the partition's end */
            bool whole; /* none is lost. from was -1: an earlier record is before began, or began is 0; else: began is
                           from */
        } outputs;
    } u;
};

/* What comes in. Records of a shard and topic come in offset order. Views live until `release` is called with the
 * token. */
enum tagd_input_kind {
    TAGD_IN_RECORD,
    TAGD_IN_END, /* the partition was at its end (next_offset) when the broker answered; confirmed_ms: monotonic time of
                    the answer */
    TAGD_IN_ASSIGN, /* n_shards shards are ours now: take them over */
    TAGD_IN_REVOKE, /* they go: finish, then call `revoked` */
    TAGD_IN_LOST,   /* they are gone already: drop everything in hand */
    TAGD_IN_AGAIN, /* n_shards shards can't be read on where they are (the records are deleted): take them over again */
    TAGD_IN_FATAL  /* error: the worker must stop */
};
struct tagd_input {
    enum tagd_input_kind kind;
    struct tagd_record record; /* RECORD; END: topic, partition, offset = next offset */
    void *token;               /* RECORD: for release */
    int64_t end_offset;        /* RECORD: the partition holds records up to here, as last heard; -1: not known */
    int64_t confirmed_ms;      /* END, by mono_ms */
    const uint32_t *shards;    /* ASSIGN, REVOKE, LOST, AGAIN */
    size_t n_shards;
    const char *error;
};

struct tagd_port {
    void *self;
    void (*submit)(void *self, struct tagd_op *op);
    /* Lets the world act: completes operations, and hands inputs (up to max_records records) to `input`, which may keep
     * a record until it releases its token. Waits up to timeout_ms if there is nothing. max_records 0: no records are
     * wanted. */
    void (*poll)(void *self, int timeout_ms, size_t max_records, void (*input)(void *to, const struct tagd_input *in),
                 void *to);
    void (*release)(void *self, void *token);
    /* Reads the headers of a record that came with headers_unread; they live as long as its token. */
    void (*headers)(void *self, void *token, struct tagd_record *record);
    void (*revoked)(void *self); /* the shards of the last REVOKE are finished with */
    /* Calls run(to, i) for i from 0 to n-1, or up to the first that would kill the process (a fatal signal, or no end
     * within a limit), somewhere where that kills nobody: a call sees what those before it did, and nothing of it is
     * seen afterwards. How many came through; if not all, *killed says what the next died of ("SIGSEGV"). n if it can't
     * be tried. records: what the i-th call is about, n of them. */
    size_t (*trial)(void *self, const struct tagd_record *const *records, size_t n, void (*run)(void *to, size_t i),
                    void *to, struct tagd_error *killed);
    int64_t (*wall_ms)(void *self);
    int64_t (*mono_ms)(void *self);
    int64_t (*mono_us)(void *self); /* for short times only: it may stand while the machine sleeps */
};

#endif
