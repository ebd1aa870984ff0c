/* shard: the commit protocol of one partition number: a batch of events -> profiles, outputs and the next head; and
 * taking over. It submits nothing itself: the worker does, since one transaction carries all its shards. */
#ifndef TAGD_SHARD_SHARD_H
#define TAGD_SHARD_SHARD_H

#include "base/set.h"
#include "population/population.h"
#include "shard/cache.h"
#include "tagd/emit.h"
#include "tagd/engine.h"
#include "tagd/port.h"
#include "tagd/worker.h"

/* Customers looked at for time alone, a batch and shard; more wait for the next batch. Events wait for those beside them:
 * there are fewer then, or as many as events. */
#define TAGD_DUE_MAX 5000
#define TAGD_DUE_BESIDE_EVENTS 2500

#define TAGD_SETTLE_MAX 1000 /* told customers that are settled in one batch */

/* Source records that were dead-lettered, while a shard is repaired: history has decided about them. Sorted. */
struct tagd_letter {
    uint32_t topic;
    int64_t offset;
    enum tagd_event_code code;
};
struct tagd_letters {
    struct tagd_letter *at;
    size_t n, cap;
};
void tagd_letters_add(struct tagd_letters *letters, struct tagd_letter letter);
void tagd_letters_sort(struct tagd_letters *letters);
/* NULL: it was not dead-lettered. */
const struct tagd_letter *tagd_letters_find(const struct tagd_letters *letters, uint32_t topic, int64_t offset);
void tagd_letters_free(struct tagd_letters *letters);

struct tagd_shard {
    uint32_t number;
    enum tagd_shard_status status;
    uint64_t fence;                 /* ours; 0: none */
    uint64_t refused;               /* the fence under which taking it over was refused last; 0: it was not */
    struct tagd_head head;          /* as the store has it */
    uint64_t published;             /* batches up to this are known to be published: their outbox entries may go */
    int64_t next_due_ms;            /* no timer is earlier; TAGD_NEVER: none */
    int64_t watermark_ms;           /* never back; INT64_MIN: none yet */
    int64_t latest_ms;              /* latest event time read; INT64_MIN: none yet */
    bool has_first;                 /* it began without a batch, */
    int64_t first[TAGD_TOPICS_MAX]; /* here: if it must begin again before its first commit */
    /* While it runs: next to read, by topic. Before the first batch since its take-over it may be ahead of head's, past a
     * gap; head keeps its own until then, since Kafka has these under head's batch. */
    int64_t next_offset[TAGD_TOPICS_MAX];
    /* While head says that a repair goes on: */
    struct tagd_letters letters;
    bool repair_level;                             /* Kafka's committed offsets and watermark are those to repair to */
    uint64_t n_replayed, n_settled, n_differences; /* by this owner */
};

/* How many kinds of outputs there are with a catalog, from the first on; and which one an event goes out by. */
static inline int tagd_output_kinds(const struct tagd_catalog *catalog)
{
    return tagd_catalog_has_kind(catalog, TAGD_KIND_CHURN) ? TAGD_OUTPUT_KINDS : TAGD_OUT_CHURN;
}
static inline enum tagd_output_kind tagd_output_kind_of(enum tagd_kind kind)
{
    return kind == TAGD_KIND_CHURN ? TAGD_OUT_CHURN : TAGD_OUT_CHANGE;
}

/* What all shards of a worker share while they work on batches. */
struct tagd_shard_context {
    const struct tagd_worker_config *config;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_emit emit;
    struct tagd_worker_stats *stats;
    struct tagd_members *members;
    struct tagd_flow *flow;   /* NULL: nobody asks */
    struct tagd_cache *cache; /* NULL: none */
    uint32_t *told;           /* changes of tags by dimension, since the caller set them to 0; NULL: nobody asks */
};

#define TAGD_COUNT(stats, field, by)                                                                                   \
    __atomic_store_n(&(stats)->field, (stats)->field + (uint64_t)(by), __ATOMIC_RELAXED)

/* ---- a batch of one shard (batch.c) ---- */

/* What a batch tells of. */
struct tagd_batch_told_of {
    uint64_t event, time, manual, review; /* changes of tags, by what brought them about */
    uint64_t repair;                      /* of all kinds: what was published said otherwise */
    uint64_t raised, cleared;             /* alerts */
    uint64_t proposals[TAGD_PROPOSAL_STATUSES];
};

struct tagd_batch_item {
    const struct tagd_record *record;
    const struct tagd_event *event;
    int64_t watermark_ms; /* as this record has moved it */
    uint32_t next;        /* of the same customer, + 1; 0: the last */
};

struct tagd_batch_customer {
    struct tagd_str id;
    uint64_t hash;        /* tagd_hash64 of it */
    uint32_t first, last; /* items + 1; 0: only time */
    bool fired;           /* its timer is due */
};

struct tagd_batch_output { /* an output before its bytes stand still */
    enum tagd_output_kind kind;
    struct tagd_str key;
    size_t at, n;   /* a change's value in text, */
    size_t headers; /* behind so many bytes of its block of headers; 0: structured */
    uint32_t item;  /* a dead letter's */
};

/* Reused from batch to batch, so warm use allocates nothing. */
struct tagd_batch {
    struct tagd_shard *shard;
    /* in */
    struct tagd_batch_item *items;
    size_t n_items, cap_items;
    int64_t next_offset[TAGD_TOPICS_MAX]; /* after this batch */
    int64_t watermark_ms, latest_ms;      /* after this batch */
    bool caught_up;
    bool any_odd; /* of the items: dead letters, or others that aren't simply applied */
    bool muted;   /* of a repair: tags change untold, */
    bool settle;  /* or, once all is replayed, customers of whom something is told are compared with it */
    /* by customer */
    struct tagd_batch_customer *customers;
    size_t n_customers, cap_customers;
    uint32_t *slots; /* customer + 1 */
    size_t n_slots;
    struct tagd_load_item *loads;
    size_t cap_loads;
    struct tagd_cache *cache; /* for customers that are due; NULL: none */
    struct tagd_worker_stats *stats;
    /* out */
    struct tagd_buf profile_bytes, told_bytes;
    struct tagd_buf outbox, text; /* the entry; what its events consist of */
    struct tagd_told_write *told;
    size_t n_told, cap_told;
    bool ends_repair;
    struct tagd_profile_write *writes;
    size_t n_writes, cap_writes;
    struct tagd_batch_output *pending;
    struct tagd_output *outputs;
    size_t n_outputs, cap_outputs;
    int64_t next_due_ms;
    char metadata[96];
    /* while it is applied */
    struct tagd_str subject;
    bool by_timer; /* nothing came of the subject */
    uint64_t
        moved[TAGD_SET_WORDS(TAGD_DIMENSIONS_MAX + TAGD_ALERTS_MAX + 1)]; /* set: dimensions of the subject told of */
    struct tagd_batch_told_of n;
    uint64_t n_begun;        /* customers that were not there before */
    struct tagd_tally tally; /* what all of it makes of the population */
    struct tagd_population_write population;
    struct tagd_shard_context *context;
};

/* Muted if the shard is under repair. */
void tagd_batch_begin(struct tagd_batch *batch, struct tagd_shard *shard);
/* The record's own offset is passed; the event and the record must live until the batch is over. */
void tagd_batch_add(struct tagd_batch *batch, const struct tagd_record *record, const struct tagd_event *event,
                    int64_t watermark_ms);
/* Fills a LOAD: the customers of the items, and those whose timers are due at the batch's watermark. */
void tagd_batch_load(struct tagd_batch *batch, const struct tagd_shard_context *context, struct tagd_op *op);
/* After the LOAD: runs the engine, makes writes, outputs and the outbox entry. Memory: op->arena, until the batch is
 * over. False: a stored profile can't be read, or a repair finds that history is missing. */
bool tagd_batch_apply(struct tagd_batch *batch, struct tagd_shard_context *context, struct tagd_op *op,
                      struct tagd_error *error);
/* Between LOAD and apply, where an event may kill the process. A step is the work on one event, with what has to come
 * before and after it: its customer's profile is read before the first one, time passes and the profile is written after
 * the last. */
struct tagd_batch_step {
    uint32_t customer, item; /* indexes */
};
/* The steps of all events to be applied, a customer's one after the other; there is room for n_items of them. */
size_t tagd_batch_steps(const struct tagd_batch *batch, struct tagd_batch_step *steps);
/* Takes a step; all steps of its customer before it must have been taken. The batch is good for nothing but further
 * steps then: this is for trials, of which nothing is seen afterwards. */
void tagd_batch_try(struct tagd_batch *batch, struct tagd_shard_context *context, struct tagd_op *op,
                    const struct tagd_batch_step *step);
/* The step's event becomes a dead letter, `poison`, and is not applied. The reason is copied. */
void tagd_batch_condemn(struct tagd_batch *batch, const struct tagd_batch_step *step, const char *reason,
                        struct tagd_arena *arena);
void tagd_batch_writes(struct tagd_batch *batch, const struct tagd_shard_context *context,
                       struct tagd_shard_writes *writes);
/* Whether it is one of its own, with a number, to be published. A repair's other batches keep the position: all of it
 * was published. */
bool tagd_batch_is_numbered(const struct tagd_batch *batch);
void tagd_batch_outputs(struct tagd_batch *batch, struct tagd_shard_outputs *outputs);
/* The COMMIT is done: the shard's head is the batch's. */
void tagd_batch_committed(struct tagd_batch *batch, const struct tagd_shard_writes *writes,
                          struct tagd_shard_context *context);
void tagd_batch_free(struct tagd_batch *batch);

/* The commit's metadata: "<fence>,<batch>,<watermark>", the watermark "-" while there is none. */
#define TAGD_METADATA_MAX 96
size_t tagd_metadata_write(char out[TAGD_METADATA_MAX], uint64_t fence, uint64_t batch, int64_t watermark_ms);
bool tagd_metadata_read(struct tagd_str text, uint64_t *fence, uint64_t *batch, int64_t *watermark_ms);
/* A shard's share of what is to be committed to Kafka, without outputs: it is where its head is. Its metadata is written. */
struct tagd_shard_outputs tagd_head_outputs(const struct tagd_head *head, uint32_t shard,
                                            char metadata[TAGD_METADATA_MAX]);

/* The head of a shard without a batch: what its state will be made with, nothing read yet. */
struct tagd_head tagd_shard_first_head(const struct tagd_catalog *catalog, uint32_t n_topics, uint32_t partitions);
/* The writes that say that the shard is left cleanly (owner ""), or is ours (owner), and drop the outbox up to a batch:
 * nothing else changes. */
void tagd_shard_head_only(const struct tagd_shard *shard, const char *owner, uint64_t drop_to,
                          struct tagd_shard_writes *writes);

/* Headers of a dead letter: the record's own, then why and where. All in the arena but the record's. */
void tagd_dead_letter(const struct tagd_record *record, enum tagd_event_code code, struct tagd_str reason,
                      const char *topic, uint32_t shard, int64_t offset, uint32_t index, struct tagd_arena *arena,
                      struct tagd_output *output);
/* An event, of whatever kind; headers NULL: in structured mode, else in binary mode with these. */
void tagd_event_output(enum tagd_output_kind kind, struct tagd_str key, struct tagd_str value,
                       const struct tagd_header *headers, size_t n_headers, uint32_t index, struct tagd_output *output);

/* ---- the outbox entry (outbox.c) ---- */

struct tagd_outbox_output {
    enum tagd_output_kind kind;
    struct tagd_str key, value;        /* an event's; */
    const struct tagd_header *headers; /* in binary mode: its headers; NULL: structured */
    size_t n_headers;
    uint32_t topic; /* a dead letter's source */
    int64_t offset;
    enum tagd_event_code code;
    struct tagd_str reason;
};
struct tagd_outbox_content {
    int64_t watermark_ms;
    uint32_t n_topics;
    int64_t offset[TAGD_TOPICS_MAX];
    struct tagd_outbox_output *outputs;
    size_t n_outputs;
};
void tagd_outbox_begin(struct tagd_buf *out, int64_t watermark_ms, uint32_t n_topics, const int64_t *offset,
                       size_t n_outputs);
/* An event: its headers (a block as emit writes it, in binary mode; none: in structured mode) and its value are in the
 * text, in the order in which events are added. */
void tagd_outbox_add_event(struct tagd_buf *out, enum tagd_output_kind kind, struct tagd_str key, size_t header_bytes,
                           size_t value_bytes);
void tagd_outbox_add_dead_letter(struct tagd_buf *out, uint32_t topic, int64_t offset, enum tagd_event_code code,
                                 struct tagd_str reason);
/* At last: the text of all its events. */
void tagd_outbox_add_text(struct tagd_buf *out, struct tagd_str text);
/* Views point into bytes and the arena. False: damaged, or of another version. */
bool tagd_outbox_read(struct tagd_str bytes, struct tagd_arena *arena, struct tagd_outbox_content *content);

/* ---- the population (population.c) ---- */

/* What the batch's customers change in it, once all are tallied. Memory: arena. */
void tagd_batch_population(struct tagd_batch *batch, const struct tagd_catalog *catalog, struct tagd_arena *arena);
/* Of writes that make the shard's first head: its population begins with nothing. */
void tagd_population_begin(const struct tagd_catalog *catalog, struct tagd_arena *arena,
                           struct tagd_population_write *population);

/* ---- taking over (takeover.c) ---- */

enum tagd_takeover_verdict {
    TAGD_TAKEOVER_NEW,
    TAGD_TAKEOVER_LEVEL,
    TAGD_TAKEOVER_OUTBOX,
    TAGD_TAKEOVER_REPAIR,
    TAGD_TAKEOVER_REFUSE
};

struct tagd_takeover_found { /* what was read, of one shard */
    uint32_t shard;
    const struct tagd_head *head;
    const struct tagd_outbox_entry *outbox;
    size_t n_outbox;
    const struct tagd_committed_topic *committed; /* by topic */
    struct tagd_position tail;                    /* of the output partitions */
    const bool *emptied;                          /* by kind of output: as TAIL says */
    struct tagd_arena *arena;                     /* to read outbox entries in */
    const int64_t *first; /* by topic: where it began, if it began without a batch and has none yet; NULL */
};
struct tagd_takeover_decision {
    enum tagd_takeover_verdict verdict;
    size_t first; /* OUTBOX: entries first..n_outbox-1 are to be published */
    int64_t start[TAGD_TOPICS_MAX];
    unsigned gaps; /* topics whose next records are gone, and passed over */
    /* REPAIR */
    struct tagd_position k; /* what was published last */
    int64_t to_offset[TAGD_TOPICS_MAX], to_watermark_ms;
    /* A repair goes on, or begins: Kafka's offsets and watermark are those to repair to. */
    bool repair_level;
};
/* The table of take-overs, as a pure function. REFUSE: *error says what was found and what can be done. */
void tagd_takeover_decide(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                          struct tagd_takeover_decision *decision, struct tagd_error *error);

enum tagd_takeover_step {
    TAGD_TAKEOVER_FENCE,
    TAGD_TAKEOVER_END_OWNER,
    TAGD_TAKEOVER_CLAIM,
    TAGD_TAKEOVER_COMMITTED,
    TAGD_TAKEOVER_TAIL,
    TAGD_TAKEOVER_MARK,
    TAGD_TAKEOVER_REFETCH,
    TAGD_TAKEOVER_PUBLISH,
    TAGD_TAKEOVER_LEVEL_OFFSETS,
    TAGD_TAKEOVER_REPAIR_SCAN, /* these are repair.c's */
    TAGD_TAKEOVER_REPAIR_UNDO,
    TAGD_TAKEOVER_REPAIR_BEGIN,
    TAGD_TAKEOVER_REPAIR_CHANGES,
    TAGD_TAKEOVER_REPAIR_LOAD,
    TAGD_TAKEOVER_REPAIR_TELL,
    TAGD_TAKEOVER_REPAIR_LETTERS,
    TAGD_TAKEOVER_REPAIR_REPLAY,
    TAGD_TAKEOVER_UNCOUNT, /* these are population.c's */
    TAGD_TAKEOVER_COUNT,
    TAGD_TAKEOVER_COUNTED,
    TAGD_TAKEOVER_START,
    TAGD_TAKEOVER_DONE
};

struct tagd_takeover {
    struct tagd_shard *shard;
    enum tagd_takeover_step step;
    uint64_t before; /* the store's fence as this take-over began */
    bool fenced;     /* it has one of its own */
    struct tagd_head head;
    struct tagd_outbox_entry *outbox;
    size_t n_outbox;
    int64_t next_due_ms;
    struct tagd_committed_topic *committed;
    int64_t outputs_end[TAGD_OUTPUT_KINDS]; /* as COMMITTED found it */
    struct tagd_takeover_decision decision;
    bool repeats; /* what is in the outbox may have been sent before */
    /* while the outbox is published */
    size_t entry, letter;
    struct tagd_outbox_content content;
    struct tagd_output *outputs;
    char metadata[TAGD_METADATA_MAX];
    struct tagd_shard_writes writes;
    struct tagd_shard_outputs publish;
    /* while a repair is prepared */
    struct tagd_repair repair;
    int scanned;         /* kind of output looked at; then the one whose changes are read */
    bool *was_published; /* by entry of the outbox */
    struct tagd_told_change *changes;
    size_t n_changes, cap_changes;
    int64_t outputs_next; /* the chunk after this one begins here */
    bool outputs_over;    /* there is none */
    /* while its customers are counted */
    struct tagd_str population_form; /* as FENCE found it */
    struct tagd_counts counts;       /* memory that outlives the take-over */
    size_t n_counted;                /* customers; then counts that are written */
};

enum tagd_takeover_result {
    TAGD_TAKEOVER_SUBMIT, /* op is filled in for the next step; a SEND need not be completed before it */
    TAGD_TAKEOVER_AGAIN,  /* *error says what went wrong; begin again after a pause */
    TAGD_TAKEOVER_STOP,   /* refused, or a right is missing: *error says what was found and what can be done */
    TAGD_TAKEOVER_RUNNING /* the shard runs */
};
/* For on-call, of the shard that is taken over. */
void tagd_takeover_note(const struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                        enum tagd_note_level level, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Fills op (arena set by the caller, who doesn't reset it until the take-over is over) for the first step. *takeover is
 * zeroed, or was one before. */
void tagd_takeover_begin(struct tagd_takeover *takeover, struct tagd_shard *shard, struct tagd_op *op);
/* op is completed. */
enum tagd_takeover_result tagd_takeover_next(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                             struct tagd_worker_stats *stats, struct tagd_op *op,
                                             struct tagd_error *error);

#endif
