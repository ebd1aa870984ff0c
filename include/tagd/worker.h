/* worker: several shards, one thread's loop: rebalances, take-over, merging of topics by time, watermark, batches,
 * commit, publication. Pure: the world is struct tagd_port. Workers share nothing; counters are plain and read across
 * by relaxed loads. */
#ifndef TAGD_WORKER_H
#define TAGD_WORKER_H

#include "tagd/catalog.h"
#include "tagd/engine.h"
#include "tagd/port.h"

/* What holds all workers of a process back, and is set while they run: one struct for all, read and written by atomic
 * accesses but where said otherwise. Zeroed it holds everything. */
struct tagd_brakes {
    bool outputs_flow;     /* false: outputs are kept in the outboxes, and no shard is taken over that isn't yet */
    bool clock_agrees;     /* false: the wall clock isn't believed, as if it had been set */
    int64_t time_to_ms;    /* live time goes no further by itself; INT64_MAX: no bound */
    int64_t limits_off_ms; /* wall clock: until then changes_max doesn't count; INT64_MIN: it does */
    /* By dimension, fixed: so many changes a minute of all shards together are believed, 0: any number; NULL: nothing is
     * limited. Changes that a shard tells before it has read all there was don't count. */
    const uint32_t *changes_max;
    /* Fixed: so much of a shard is held at most; then no more is read of it. Batches, and bytes of their outbox entries. */
    size_t held_batches_max, held_bytes_max;
    /* A batch would be past that. Called from a worker's thread, again and again until outputs_flow is false, which the
     * worker waits for: a hold must be known to whoever comes after it before there is something to be held. */
    void (*trip)(void *to, size_t dimension, uint32_t changes);
    void *to;
};

struct tagd_worker_config {
    const struct tagd_catalog *catalog;
    const char *group, *owner; /* owner: this worker's transactional id */
    uint32_t n_topics;
    const char *const *topics;                 /* names, for messages and dead-letter headers */
    struct tagd_event_rules rules;             /* partitioner by topic below replaces the one in here */
    const enum tagd_partitioner *partitioners; /* by topic */
    const struct tagd_map *const *maps;        /* by topic, NULL: CloudEvents; NULL: all are */
    bool content_binary;                       /* changes as CloudEvents in binary mode */
    bool at_least_once;                        /* "delivery" */
    bool time_events;                          /* "time": "events" */
    int64_t grace_ms, max_idle_ms, horizon_ms;
    const bool *carry; /* a flag a dimension; NULL: all */
    bool continue_on_data_gap;
    bool rebuild;       /* a shard whose state Redis has lost is made again from the topics' beginnings */
    bool begins_at_end; /* new shards begin at the topics' ends: such a state can't be made again */
    size_t batch_events_max, batch_bytes_max; /* e.g. 20,000 and 8 MiB */
    size_t batch_told_bytes;                  /* e.g. 8 MiB: so much of outputs is aimed at by fewer events; 0: any */
    size_t cache_bytes_max;                   /* of profiles kept in memory; 0: none are */
    struct tagd_brakes *brakes;               /* outlives the worker; NULL: nothing is held */
    /* The outputs of a batch that are published, or under at_least_once handed over: for who looks on. Once a batch, from
     * the worker's thread; nothing of it lives longer than the call. May be NULL. Not of batches that waited in an outbox. */
    void (*published)(void *to, const struct tagd_shard_outputs *shards, size_t n);
    void *published_to;
    /* What on-call may want to read; may be NULL. */
    void (*note)(void *to, const struct tagd_note *note);
    void *note_to;
};

/* What a shard that is ours does. The first four are what the worker goes by; the others are said of a shard to who looks
 * at it (tagd_worker_shards). */
enum tagd_shard_status {
    TAGD_SHARD_IDLE,       /* assigned, nothing has begun */
    TAGD_SHARD_RECOVERING, /* it is being taken over, or will be after a pause */
    TAGD_SHARD_RUNNING,
    TAGD_SHARD_STOPPED,   /* it can't go on, and neither can the daemon */
    TAGD_SHARD_REPAIRING, /* Redis was behind what was published: nothing new is published before that is mended */
    TAGD_SHARD_FENCED,    /* another owner was met: it is taken over again if it stays ours */
    TAGD_SHARD_HELD,      /* a brake holds its outputs or its time */
    TAGD_SHARD_STALLED,   /* it runs, but nothing of it has moved for TAGD_STALLED_MS though something is there to do */
    TAGD_SHARD_STATUSES
};
#define TAGD_STALLED_MS 5000
const char *tagd_shard_status_name(enum tagd_shard_status status); /* "running" */

/* What a batch goes through, one after the other. */
enum tagd_stage {
    TAGD_STAGE_LOAD,    /* profiles that are not in memory are read from the store */
    TAGD_STAGE_APPLY,   /* the engine: events and time become changes */
    TAGD_STAGE_COMMIT,  /* to the store, until it was done: attempts that were refused included */
    TAGD_STAGE_PUBLISH, /* to Kafka, likewise; at least once: until all is acknowledged, while the next batch goes on */
    TAGD_STAGES
};

struct tagd_worker_stats { /* counters since start; gauges where said. Read across threads with relaxed atomic loads. */
    uint64_t records, events, duplicates, ignored, late;
    uint64_t ignored_history; /* before the baseline that an import made */
    uint64_t dead_letters[TAGD_EVENT_CODES];
    uint64_t changes_event, changes_time, changes_manual, changes_review; /* of tags, told */
    uint64_t alerts_raised, alerts_cleared;
    uint64_t proposals[TAGD_PROPOSAL_STATUSES]; /* OPEN: made; else closed */
    uint64_t stale_reviews;                     /* decisions about proposals that weren't open */
    uint64_t batches, batch_records;            /* committed */
    uint64_t commits_fenced, commits_refused, commits_unknown, publish_aborted, publish_unknown, publish_fenced;
    uint64_t outputs_redelivered;                          /* sent again: nobody knew whether they were there */
    uint64_t outputs_unacknowledged, bytes_unacknowledged; /* gauges; exactly once: 0 */
    uint64_t offsets_failed;                               /* commits of offsets alone */
    uint64_t takeovers, takeover_new, takeover_level, takeover_outbox, takeover_outbox_batches, takeover_refused,
        data_gaps;
    uint64_t repairs_begun, repairs, repair_records, repair_told, repair_changes; /* begun; ended; records replayed;
                                     customers that the outputs tell of; differences published */
    uint64_t populations_counted;      /* shards whose customers were counted anew */
    uint64_t audits, audit_mismatches; /* comparisons of a running shard with Kafka's committed batch and the store's */
    uint64_t trials;                   /* records tried out first, since an earlier owner died */
    uint64_t cache_hits, cache_misses; /* customers whose profiles were in memory, and who were read from the store */
    uint64_t cache_bytes, cache_customers; /* gauges */
    uint64_t undeclared_attributes;
    uint64_t limit_panes, limit_values, limit_dedupe_ids, limit_chases;
    uint64_t shards_running;                   /* gauge */
    uint64_t shards_repairing;                 /* gauge */
    uint64_t clock_parted;                     /* gauge: 1: the wall clock was set; live time stands */
    uint64_t held_batches, held_bytes;         /* gauges: in outboxes, not published since outputs are held */
    int64_t watermark_min_ms;                  /* gauge; INT64_MIN: none */
    struct tagd_histogram stages[TAGD_STAGES]; /* of batches that were published */
    /* Of such a batch's oldest record: from its timestamp in Kafka until then. */
    struct tagd_histogram latency;
    /* Of changes that timers make, "time": "live": recorded so long after their instant and `grace`. */
    struct tagd_histogram lateness;
};
struct tagd_shard_stats { /* a shard's, gauges */
    uint32_t shard;
    enum tagd_shard_status status;
    uint64_t fence, batch;
    int64_t watermark_ms;
    int64_t next_due_ms;          /* no timer is due earlier; TAGD_NEVER: there is none */
    int64_t progress_ms;          /* monotonic: it moved then, or had nothing to do; 0: not since it was taken over */
    bool at_end[TAGD_TOPICS_MAX]; /* the partition was read to its end, as its readers see it */
    int64_t next_offset[TAGD_TOPICS_MAX], end_offset[TAGD_TOPICS_MAX];
    int64_t latest_ms[TAGD_TOPICS_MAX]; /* of its events since it was taken over; INT64_MIN: none */
};

struct tagd_worker;
struct tagd_worker *tagd_worker_new(const struct tagd_worker_config *config, struct tagd_port *port);
void tagd_worker_free(struct tagd_worker *worker);
/* One step of the loop; never blocks but in port.poll, for at most timeout_ms. False: the worker has stopped, for good
 * (a fatal error: *error says what and what to do; or the stop that was asked for is complete: error->text is empty).
 */
bool tagd_worker_step(struct tagd_worker *worker, int timeout_ms, struct tagd_error *error);
/* Asks for a stop: what is in flight is finished, heads are marked as left cleanly, nothing stays open. */
void tagd_worker_stop(struct tagd_worker *worker);
const struct tagd_worker_stats *tagd_worker_stats(const struct tagd_worker *worker);
/* How often tags were come to and left, since start, without what a repair replays; it lives as long as the worker. */
struct tagd_flow;
const struct tagd_flow *tagd_worker_flow(const struct tagd_worker *worker);
size_t tagd_worker_shards(const struct tagd_worker *worker, struct tagd_shard_stats *out, size_t max);
/* As it is at an instant after the stats were taken, by the same monotonic clock: of a worker that stands still, none are
 * taken any more. */
enum tagd_shard_status tagd_shard_status_at(const struct tagd_shard_stats *stats, int64_t mono_ms);

#endif
