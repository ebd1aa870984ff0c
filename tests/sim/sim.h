/* sim: a world in memory for the real workers: a broker, a store, processes, and faults. One thread, virtual time; one
 * seed decides all. tests/sim/README.md says what is modelled, and after what.
 *
 * Time runs in milliseconds of the monotonic clock; the wall clock is SIM_WALL_MS ahead. Everything that happens happens
 * at some instant: a stage of an operation, a step of a worker, an append, a fault. run.c takes the earliest of them
 * next. All memory of a run is in one arena. */
#ifndef TAGD_SIM_H
#define TAGD_SIM_H

#include "random.h"
#include "shard/shard.h"
#include "tagd/worker.h"

#define SIM_TOPICS 2
#define SIM_SHARDS 3
#define SIM_CUSTOMERS 10
#define SIM_PROCESSES 3
#define SIM_NODES (2 * SIM_PROCESSES) /* workers */
#define SIM_OUTBOX 192
#define SIM_SNAPSHOTS 64
#define SIM_WALL_MS INT64_C(1700000000000)
#define SIM_SESSION_MS 10000     /* session.timeout.ms */
#define SIM_TRANSACTION_MS 10000 /* transaction.timeout.ms */
#define SIM_REBALANCE_MS 30000   /* a member that doesn't come back to the group in time is dropped */
#define SIM_NEVER INT64_MAX

struct sim;
struct sim_node;

enum sim_context { SIM_TAKING_OVER, SIM_RUNNING, SIM_CONTEXTS };

/* ---- faults ---- */

enum sim_fault_kind {
    /* of processes */
    SIM_KILL,
    SIM_PAUSE,
    SIM_STOP,
    /* of the store */
    SIM_STORE_CUT,
    SIM_STORE_DOWN,
    SIM_STORE_FULL,
    SIM_STORE_BACK,
    SIM_STORE_FAILOVER,
    SIM_STORE_EMPTIED,
    /* of the broker and the group */
    SIM_BROKER_DOWN,
    SIM_REBALANCE,
    SIM_KICK,
    SIM_EXPIRE,
    SIM_RETAIN,
    SIM_GAP,
    SIM_RESET,
    SIM_OUTPUTS_GONE,
    /* of whoever runs it */
    SIM_CLOCK,
    SIM_WRONG,
    SIM_HOLD,   /* outputs are held */
    SIM_SILENT, /* live time is held where it is */
    /* of one operation */
    SIM_SLOW,
    SIM_LOST_BEFORE,
    SIM_LOST_AFTER,
    SIM_LATE,
    SIM_REFUSED,
    SIM_DIE_BEFORE,
    SIM_DIE_AFTER,
    SIM_DENIED,
    SIM_STOLEN,
    SIM_FAULTS
};
extern const char *const sim_fault_names[SIM_FAULTS];

struct sim_fault {
    enum sim_fault_kind kind;
    int64_t at_ms;
    int64_t for_ms;       /* until it is over, or the process is back */
    uint32_t process;     /* of processes, KICK */
    uint32_t amount;      /* BACK: snapshots; of operations: the stage */
    enum tagd_op_kind op; /* of operations */
    int context;          /* of operations: an enum sim_context that it waits for; SIM_CONTEXTS: any */
    bool dropped;         /* by shrinking */
    bool done;
};
#define SIM_FAULTS_MAX 24

/* ---- what a seed decides (plan.c) ---- */

enum sim_mode {
    SIM_ONE_TOPIC,  /* "time": "events", one topic, in order: the changes are a function of the events */
    SIM_TWO_TOPICS, /* the same over two topics, with a grace longer than all the run */
    SIM_LIVE,       /* "time": "live": an event's time is the instant of its append */
    SIM_UNORDERED   /* late events: only what holds for any order is checked */
};

/* What a record does to a process that touches it, or to a trial of it. */
enum sim_poison { SIM_HARMLESS, SIM_KILLS_DECODING, SIM_KILLS_APPLYING, SIM_KILLS_SOMETIMES };

struct sim_event { /* to be appended */
    int64_t at_ms;
    struct tagd_record record; /* all but the offset */
    int customer;              /* -1: of none */
    bool marker;               /* takes up an offset, holds nothing */
    bool bad;                  /* it can't be used: a dead letter */
    bool dropped;              /* by shrinking */
    enum sim_poison poison;
};
#define SIM_EVENTS_MAX 160

struct sim_plan {
    enum sim_mode mode;
    uint32_t n_topics, n_shards, n_customers, n_processes, n_workers; /* workers a process */
    const struct tagd_catalog *catalog;
    bool at_least_once, content_binary, overlapped, stable_reads, continue_on_data_gap, rebuild, poison;
    bool limited;            /* few changes a minute are believed */
    bool rolling;            /* processes run with either of two catalogs that differ in their breakdowns */
    bool forgets;            /* the first poison's dead letter goes, and the store to before it */
    bool wrong_delivery;     /* what is wrong of a configuration is the delivery */
    int64_t import_until_ms; /* an import goes on up to then; 0: there is none */
    int64_t grace_ms;
    size_t batch_events_max;
    uint32_t slowness; /* scales all delays */
    unsigned bad_percent;
    struct sim_event events[SIM_EVENTS_MAX];
    size_t n_events;
    struct sim_fault faults[SIM_FAULTS_MAX];
    size_t n_faults;
    int64_t events_end_ms, faults_end_ms;
    uint32_t customer_topic[SIM_CUSTOMERS], customer_shard[SIM_CUSTOMERS];
};

/* ---- the broker (broker.c) ---- */

struct sim_in { /* a source record */
    struct tagd_record record;
    int customer;
    bool marker, bad; /* bad: it must become a dead letter */
    unsigned letters; /* dead letters seen of it */
    bool forgotten;   /* and deleted */
    enum sim_poison poison;
    unsigned deaths; /* of processes, and, if it kills only sometimes, trials */
    int64_t at_ms;
};
struct sim_source {
    struct sim_in *records;
    int64_t low, high;
    int64_t offset; /* committed; -1: none */
    struct tagd_str metadata;
};

enum sim_out_state { SIM_OUT_OPEN, SIM_OUT_COMMITTED, SIM_OUT_ABORTED, SIM_OUT_MARKER };
struct sim_out {
    enum sim_out_state state;
    struct tagd_record record;
    struct tagd_position at;
    uint32_t index, producer;
};
struct sim_log { /* an output partition */
    struct sim_out *records;
    int64_t low, high, cap;
    int64_t seen; /* what is before it was looked at, read committed */
};

struct sim_pending {
    int64_t offset[SIM_TOPICS];
    struct tagd_str metadata;
    bool given;
};
struct sim_transaction { /* of a transactional id: node's index */
    uint32_t epoch;
    bool open;
    int64_t began_ms;
    int64_t first[TAGD_OUTPUT_KINDS][SIM_SHARDS]; /* -1: none */
    struct sim_pending pending[SIM_SHARDS];
};

struct sim_member {
    bool in;
    uint32_t id;     /* grows */
    bool joined;     /* the rebalance that is on */
    int64_t down_ms; /* not heard since; SIM_NEVER: heard */
};
struct sim_group {
    uint32_t generation, next_id;
    bool rebalancing;
    int64_t since_ms;
    int owner[SIM_SHARDS]; /* node; -1 */
    struct sim_member members[SIM_NODES];
};

struct sim_broker {
    struct sim_source sources[SIM_TOPICS][SIM_SHARDS];
    struct sim_log logs[TAGD_OUTPUT_KINDS][SIM_SHARDS];
    struct sim_transaction transactions[SIM_NODES];
    struct sim_group group;
    int64_t down_until_ms;
};

void sim_broker_open(struct sim *sim);
void sim_broker_append(struct sim *sim, const struct sim_event *event);
int64_t sim_broker_stable(const struct sim *sim, int kind, uint32_t shard); /* last stable offset */
uint32_t sim_broker_init(struct sim *sim, uint32_t id);                     /* init_transactions: the new epoch */
/* False: the epoch is an old one. */
bool sim_broker_produce(struct sim *sim, uint32_t id, uint32_t epoch, const struct tagd_shard_outputs *outputs);
void sim_broker_append_output(struct sim *sim, const struct tagd_shard_outputs *outputs, size_t i,
                              enum sim_out_state state, uint32_t producer);
bool sim_broker_add_offsets(struct sim *sim, uint32_t id, uint32_t epoch, const struct tagd_shard_outputs *outputs);
void sim_broker_set_offsets(struct sim *sim, const struct tagd_shard_outputs *outputs);
/* EndTxn. False: refused, the epoch is an old one. */
bool sim_broker_end(struct sim *sim, uint32_t id, uint32_t epoch, bool commit);
bool sim_broker_unstable(const struct sim *sim, uint32_t shard); /* offsets of it are in an open transaction */
void sim_broker_tick(struct sim *sim);
/* the group */
void sim_group_join(struct sim *sim, uint32_t node);
void sim_group_rebalance(struct sim *sim);
void sim_group_leave(struct sim *sim, uint32_t node); /* dropped by the coordinator */
bool sim_group_knows(const struct sim *sim, uint32_t node, uint32_t member, uint32_t generation);

/* ---- the store (store.c) ---- */

struct sim_customer {
    struct tagd_str bytes, told;
    int64_t due_ms;
    uint64_t view_revision; /* of the view; */
    struct tagd_str view;   /* as text */
};
struct sim_count {
    struct tagd_str set, member;
    int64_t n;
};
#define SIM_COUNTS 192
struct sim_population { /* never changed in place */
    struct sim_count counts[SIM_COUNTS];
    size_t n;
};
struct sim_store_shard {
    uint64_t fence;
    uint64_t version; /* of fence and head: what WATCH sees */
    struct tagd_head head;
    struct sim_population *population; /* NULL: nothing */
    struct tagd_str form;
    struct sim_customer customers[SIM_CUSTOMERS];
    struct tagd_outbox_entry outbox[SIM_OUTBOX];
    size_t n_outbox;
};
struct sim_snapshot {
    int64_t at_ms;
    struct sim_store_shard shards[SIM_SHARDS];
};
/* A failover in the middle of a race: a batch with a dead letter is committed, its owner dies before it publishes it, and
 * the store is an older copy up to when another batch is published. */
enum sim_race { SIM_NO_RACE, SIM_RACE_WAITS, SIM_RACE_STARTS, SIM_RACE_GOES_ON };

struct sim_store {
    struct sim_store_shard shards[SIM_SHARDS];
    uint64_t version; /* the last given out */
    uint64_t epoch;   /* connections of an older one are cut */
    int64_t down_until_ms, full_until_ms;
    bool keeps;                     /* snapshots are taken */
    bool disasters;                 /* it may lose something in this run */
    struct sim_snapshot *snapshots; /* a ring */
    size_t n_snapshots;
    struct sim_store_shard other[SIM_SHARDS]; /* the diverged copy, */
    int64_t back_ms;                          /* to which it goes back then; SIM_NEVER: not */
    enum sim_race race;
    int racer; /* node that has written what is to lose it */
};

void sim_store_open(struct sim *sim);
uint64_t sim_store_take(struct sim *sim, uint32_t number, uint64_t at_least); /* its fence: the new one */
void sim_store_fence(struct sim *sim, struct tagd_op *op);
void sim_store_read_shard(struct sim *sim, struct tagd_op *op);
void sim_store_load(struct sim *sim, struct tagd_op *op);
/* Whether the shard is as the writes suppose; the version to watch. */
bool sim_store_compare(const struct sim *sim, const struct tagd_shard_writes *writes, uint64_t *version);
void sim_store_write(struct sim *sim, const struct tagd_shard_writes *writes, uint64_t outbox_low);
void sim_store_cut(struct sim *sim);
void sim_store_go_back(struct sim *sim, uint32_t snapshots);
void sim_store_fail_over(struct sim *sim, uint32_t snapshots, int64_t back_ms);
void sim_store_tick(struct sim *sim);
int sim_node_of(const struct sim *sim, struct tagd_str owner); /* -1: none */
/* population.c */
void sim_population_write(struct sim *sim, struct sim_store_shard *shard, const struct tagd_population_write *writes);
/* At every write: it is what the stored profiles add up to. */
void sim_check_population(struct sim *sim, uint32_t shard);
/* At rest it is counted, and what the events make of it; *why says what isn't. */
bool sim_population_rests(struct sim *sim, uint32_t shard, char *why, size_t size);
void sim_store_empty(struct sim *sim);

/* ---- a worker and its port (node.c, ops.c) ---- */

struct sim_task { /* an operation under way */
    struct tagd_op *op;
    uint32_t stage;
    int64_t at_ms;
    enum sim_fault_kind fate; /* SIM_FAULTS: none */
    uint32_t fate_stage;
    bool frozen; /* the process stands still, and so does this */
    bool died;   /* at this stage the process dies, after its effect */
    int64_t began_ms;
    uint64_t watched[SIM_SHARDS];
    uint32_t tries;
};
#define SIM_TASKS 16

struct sim_send { /* a SEND: copies, appended in order */
    struct tagd_op *op;
    struct tagd_shard_outputs *shards;
    size_t n_shards;
    int64_t append_ms, ack_ms;
    bool appended, fails;
    enum sim_context context;
};
#define SIM_SENDS 160

struct sim_reading {                            /* of one partition */
    int64_t next, fetched, known_end, fetch_ms; /* fetch_ms: an answer comes then; SIM_NEVER: none is to come */
    int64_t confirmed_ms;
    bool at_end;
};
struct sim_stashed {
    uint32_t topic, shard;
    int64_t offset;
    bool end;
};
#define SIM_STASH 1024

struct sim_held { /* a record that a worker holds, in seeds with poison: its token */
    struct sim_in *in;
    int64_t serial;
    unsigned kills; /* of trials; at two it is condemned */
    bool used, decoded;
};
#define SIM_HELD 1024

enum sim_group_event { SIM_NO_EVENT, SIM_ASSIGNED, SIM_REVOKED, SIM_LOST };

struct sim_node {
    struct sim *sim;
    uint32_t index, process;
    char owner[32];
    bool alive, paused, dying, freed;
    struct tagd_worker *worker;
    struct tagd_port port;
    int64_t wake_ms, gone_ms; /* gone_ms: once it dies, so long */
    bool taking[SIM_SHARDS];  /* a shard, over */
    struct sim_task tasks[SIM_TASKS];
    size_t n_tasks;
    struct sim_send sends[SIM_SENDS];
    size_t n_sends;
    bool sends_failed;
    /* store */
    bool connected;
    uint64_t store_epoch, serial;
    uint64_t shard_serial[SIM_SHARDS], outbox_low[SIM_SHARDS];
    /* producer */
    bool ready;
    uint32_t epoch;
    bool ended[SIM_NODES];
    /* consumer */
    bool has_membership;
    uint32_t member, membership_id, membership_generation;
    enum sim_group_event event;
    int64_t event_ms; /* it is heard of then */
    bool event_shards[SIM_SHARDS], assigned[SIM_SHARDS], running[SIM_SHARDS];
    bool revoking, rejoin;
    int64_t rejoin_ms;
    struct sim_reading readings[SIM_TOPICS][SIM_SHARDS];
    struct sim_stashed stash[SIM_STASH];
    size_t n_stash, at_stash;
    int64_t confirm_ms;
    int held;
    struct sim_held *holds; /* SIM_HELD of them */
    int64_t holds_serial;
    uint64_t holds_decoded; /* records that the worker had decoded when it was last looked */
};

enum sim_wrong { SIM_RIGHT, SIM_OTHER_CATALOG, SIM_OTHER_PARTITIONS, SIM_OTHER_DELIVERY };
struct sim_process {
    bool alive, paused;
    enum sim_wrong wrong; /* its configuration, up to */
    int64_t wrong_until_ms;
    int64_t back_ms; /* it starts, or goes on, then; SIM_NEVER: not planned */
};

void sim_node_start(struct sim *sim, uint32_t index);
void sim_node_kill(struct sim *sim, struct sim_node *node);
void sim_node_pause(struct sim *sim, struct sim_node *node);
void sim_node_resume(struct sim *sim, struct sim_node *node);
void sim_node_step(struct sim *sim, struct sim_node *node);
void sim_node_hears(struct sim *sim, struct sim_node *node, enum sim_group_event event, int64_t delay_ms);
void sim_node_appended(struct sim *sim, uint32_t topic, uint32_t shard);
void sim_node_forget_shards(struct sim_node *node);
/* ops.c */
void sim_node_may_die(struct sim *sim, struct sim_node *node, struct sim_in *in, enum sim_poison poison);
void sim_node_commits(struct sim *sim, struct sim_node *node, const struct tagd_op *op);
void sim_op_submit(struct sim_node *node, struct tagd_op *op);
int64_t sim_ops_next(const struct sim_node *node); /* when something of them happens next */
void sim_ops_run(struct sim *sim, struct sim_node *node);
void sim_ops_die(struct sim *sim, struct sim_node *node); /* what is on its way may still arrive */
void sim_late_run(struct sim *sim);
void sim_late_ends_come(struct sim *sim, uint32_t id); /* at the worst moment: a transaction of the id was opened */
int64_t sim_late_next(const struct sim *sim);

/* What arrives although its sender has given up or is dead. */
struct sim_late {
    int64_t at_ms;
    bool done;
    enum { SIM_LATE_EXEC, SIM_LATE_END, SIM_LATE_OUTPUTS } kind;
    struct tagd_shard_writes writes[SIM_SHARDS];
    uint64_t watched[SIM_SHARDS], outbox_low[SIM_SHARDS];
    size_t n;
    uint32_t id, epoch;
    bool commit;
    struct tagd_shard_outputs outputs;
};
#define SIM_LATES 32

/* ---- what is right (oracle.c, check.c) ---- */

struct sim_expected {
    struct tagd_str bytes; /* the record's value; in binary mode the headers' block behind it */
    struct tagd_str headers;
};
struct sim_stream { /* a customer's events of one topic, in order */
    struct sim_expected *events;
    size_t n, cap;
    size_t seen; /* published, read committed; at least once: appended */
};
#define SIM_EVENTS_OUT_MAX 512 /* of a customer and kind */
#define SIM_DIMENSIONS_MAX 8   /* with alerts */
#define SIM_GOALS_MAX 2
struct sim_customer_truth {
    struct sim_stream streams[TAGD_OUTPUT_KINDS]; /* of dead letters: none */
    struct tagd_str *views;                       /* each that there may be, in order */
    size_t n_views, cap_views;
    /* as the events seen tell: */
    uint64_t revision[TAGD_KINDS];
    struct tagd_str copies[TAGD_KINDS][SIM_EVENTS_OUT_MAX]; /* as they were first published */
    struct tagd_str tags[SIM_DIMENSIONS_MAX];               /* by dimension; p NULL: none */
    uint64_t open[SIM_DIMENSIONS_MAX];                      /* the open proposal's revision; 0: none */
    struct tagd_str deadline[SIM_GOALS_MAX];                /* of a goal that runs; p NULL: it doesn't */
};
void sim_oracle_run(struct sim *sim);
struct tagd_event_rules sim_event_rules(const struct sim *sim);
bool sim_exact(const struct sim *sim); /* what is right is known */

void sim_check_output(struct sim *sim, enum tagd_output_kind kind, uint32_t shard, const struct sim_out *out);
void sim_check_view(struct sim *sim, uint32_t customer, struct tagd_str view);
/* A profile was written, and its view if it is to be: both say the same. */
void sim_check_profile(struct sim *sim, uint32_t customer, const struct sim_customer *stored);
/* Whether all is done that is to be done; *why says what isn't. */
bool sim_check_rest(struct sim *sim, char *why, size_t size);

/* ---- coverage ---- */

#define SIM_REASONS 8
#define SIM_MENDED 5
extern const char *const sim_mended[SIM_MENDED];
extern const char *const sim_reasons[SIM_REASONS];
struct sim_coverage {
    uint64_t seeds, faults[SIM_FAULTS], answers[SIM_CONTEXTS][TAGD_OP_OUTPUTS + 1][TAGD_GONE + 1];
    uint64_t rows_new, rows_level, rows_outbox, outbox_batches, refused, late_ends, late_execs, late_ends_refused;
    uint64_t refusals[SIM_REASONS]; /* by what is said */
    uint64_t mended[SIM_MENDED];    /* the same, and then somebody put it right */
    uint64_t poisoned[SIM_KILLS_SOMETIMES + 1], deaths[SIM_KILLS_SOMETIMES + 1], condemned;
    uint64_t gaps, repairs_begun, repairs, audits, audit_mismatches, trials, cache_hits, cache_misses;
    uint64_t trips; /* of a limit on changes */
    uint64_t changes[TAGD_KINDS], differences[TAGD_KINDS], ends[TAGD_PROPOSAL_EXPIRED + 1];
    uint64_t letters, view_checks, commits, submits, steps, stages, lost, revoked, assigned, timeouts, taints;
    uint64_t counts_anew, population_checks;
};

/* ---- a run (run.c) ---- */

struct sim_options {
    uint64_t seed;
    bool trace, keep_trace; /* prints as it goes; keeps the last lines */
    uint32_t drop_faults;   /* as bits, by index */
    bool drop_events[SIM_EVENTS_MAX];
    bool scenario;         /* a small run without faults, but perhaps one: */
    uint64_t crash_stage;  /* the process dies at this stage of all operations; 0: nowhere, */
    bool crash_after;      /* before or after its effect, */
    int64_t crash_gone_ms; /* and is back after so long */
};

#define SIM_CACHE_SMALL (17 * 1024) /* a few customers, beside the table */
#define SIM_TRACE_LINES 48
struct sim {
    struct sim_options options;
    struct sim_plan plan;
    struct sim_random random; /* delays and chances on the way */
    int64_t now_ms;
    struct tagd_arena memory;
    struct sim_broker broker;
    struct sim_store store;
    struct sim_process processes[SIM_PROCESSES];
    struct sim_node nodes[SIM_NODES];
    size_t n_nodes, next_event;
    bool calm;   /* faults are over */
    bool ending; /* all processes stop, for good */
    struct sim_late lates[SIM_LATES];
    struct sim_customer_truth truth[SIM_CUSTOMERS];
    struct tagd_profile *profile; /* for a look into stored ones */
    struct tagd_counts recount;
    struct tagd_members *members;
    struct tagd_tally tallies[SIM_SHARDS]; /* what is right, by shard */
    uint64_t starts;                       /* of workers */
    bool happened[SIM_FAULTS];
    bool forgetting;           /* now */
    bool imported;             /* an import came before the first batch */
    int64_t clock_ms;          /* the wall clock is ahead by this, */
    int64_t clock_until_ms;    /* until then */
    bool clock_started;        /* a process has started with it */
    bool lossy;                /* records were deleted before they were read: what is right isn't known any more */
    struct tagd_brakes brakes; /* of all workers; */
    uint32_t *changes_max;
    int64_t hold_until_ms, silent_until_ms; /* they are released then */
    int64_t rest_ms;                        /* time has to come so far before all changes can be there */
    struct sim_coverage *coverage;
    uint64_t stages, instants;
    bool tracing;
    char trace[SIM_TRACE_LINES][280];
    size_t n_trace;
    char failure[1200]; /* not empty: something is wrong */
    char refusal[1200]; /* not empty: a worker stopped, and rightly */
};

enum sim_result { SIM_OK, SIM_RIGHTLY_REFUSED, SIM_FAILED };
enum sim_result sim_run(struct sim *sim, const struct sim_options *options, struct sim_coverage *coverage);
void sim_plan_make(struct sim *sim);
void sim_plan_free_catalogs(void);
void sim_fault_begin(struct sim *sim, struct sim_fault *fault);
void sim_fault_end_all(struct sim *sim);
void sim_process_kill(struct sim *sim, uint32_t process, int64_t back_ms);
void sim_process_start(struct sim *sim, uint32_t process);
void sim_process_stop(struct sim *sim, uint32_t process);
/* Whether somebody puts right what a worker stopped for, and the process is started again. */
bool sim_is_mended(struct sim *sim, const struct sim_node *node, const char *text);
const struct tagd_catalog *sim_other_catalog(const struct tagd_catalog *catalog);
#define SIM_VARIANTS 2
/* The same catalog with its breakdowns (0), or with others (1). */
const struct tagd_catalog *sim_variant(const struct tagd_catalog *catalog, unsigned variant);

void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define SIM_TRACE(sim, ...)                                                                                            \
    do {                                                                                                               \
        if ((sim)->tracing)                                                                                            \
            sim_trace(sim, __VA_ARGS__);                                                                               \
    } while (0)
struct tagd_str sim_keep(struct sim *sim, struct tagd_str s);
int sim_customer_of(struct tagd_str id); /* "c3" -> 3; -1: none */

#endif
