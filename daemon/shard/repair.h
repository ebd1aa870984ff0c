/* What the files of a repair share (told.c, repair.c, and batch.c, which settles it). */
#ifndef TAGD_SHARD_REPAIR_H
#define TAGD_SHARD_REPAIR_H

#include "shard/shard.h"

#define TAGD_NEW_GROUP "a new \"group\" and \"redis.prefix\" read the topics again"

/* ---- what the outputs tell of a customer (told.c) ---- */

#define TAGD_TOLD_NO_TIME INT64_MIN

struct tagd_told_tag {
    struct tagd_tag_history history;
    bool known;                /* also since when and what was before; false: only the tag itself */
    struct tagd_review review; /* of a reviewed dimension; proposed_at may be TAGD_TOLD_NO_TIME */
};
struct tagd_told {
    uint64_t revision[TAGD_KINDS]; /* by kind: of the last event told; 0: none */
    int64_t changed_at_ms;         /* the last change of kind TAG */
    struct tagd_told_tag *tags;    /* by dimension */
    struct tagd_goal_state *goals; /* by goal */
};

/* A published event, or one of an outbox. Texts point into the record or the arena. */
struct tagd_told_change {
    struct tagd_str customer;
    enum tagd_kind kind;
    size_t dimension;
    uint64_t revision;        /* of its kind */
    struct tagd_str from, to; /* p NULL: none. Of a PROPOSAL: the tag approved before it, and the proposed one */
    int64_t time_ms;
    enum tagd_proposal_status status; /* PROPOSAL: OPEN, it was made; else what became of it, */
    uint64_t proposal;                /* and the revision under which it was made */
    int32_t goal;                     /* TAG, CHURN: the goal that runs since its tag was entered; GOAL; -1: none */
    int64_t goal_started_ms;
    enum tagd_goal_outcome outcome; /* GOAL */
    size_t place;                   /* its turn among the customer's */
};
/* Reads both content modes. False: it is no event of this catalog. */
bool tagd_told_change_read(const struct tagd_catalog *catalog, struct tagd_str key, struct tagd_str value,
                           const struct tagd_header *headers, size_t n_headers, struct tagd_arena *arena,
                           struct tagd_told_change *change);

/* As the profile says; texts are copied into the arena. */
void tagd_told_of_profile(struct tagd_told *told, const struct tagd_catalog *catalog,
                          const struct tagd_profile *profile, struct tagd_arena *arena);
void tagd_told_write(const struct tagd_told *told, const struct tagd_catalog *catalog, struct tagd_buf *out);
/* Views point into bytes. False: damaged, of another version or another catalog. */
bool tagd_told_read(struct tagd_str bytes, const struct tagd_catalog *catalog, struct tagd_arena *arena,
                    struct tagd_told *told);
/* The change was published: it is the next one of its kind, or told already. False: it doesn't follow what is told. */
bool tagd_told_follow(struct tagd_told *told, const struct tagd_catalog *catalog,
                      const struct tagd_told_change *change);
/* The change, made last of all of its kind, was never published. False: it is not the last one that is told. */
bool tagd_told_take_back(struct tagd_told *told, const struct tagd_catalog *catalog,
                         const struct tagd_told_change *change);
/* What is told takes its place in the profile that was computed anew, context's; if the two differ, all is evaluated over
 * it, and what that changes is told to the sink. */
void tagd_told_settle(const struct tagd_told *told, struct tagd_shard_context *context, struct tagd_sink sink);

/* ---- steps (takeover.c, repair.c) ---- */

enum tagd_takeover_result tagd_takeover_submit(struct tagd_takeover *takeover, struct tagd_op *op,
                                               enum tagd_takeover_step step, enum tagd_op_kind kind);
/* Commits takeover->writes, and its head is the take-over's. */
enum tagd_takeover_result tagd_takeover_commit(struct tagd_takeover *takeover, struct tagd_op *op,
                                               enum tagd_takeover_step step);
enum tagd_takeover_result tagd_takeover_start(struct tagd_takeover *takeover, struct tagd_op *op);

/* It must not be taken over, by what was read: to try once more, or to stop. */
enum tagd_takeover_result tagd_takeover_refused(struct tagd_takeover *takeover, struct tagd_worker_stats *stats);

/* What is counted is that of this catalog; else, with the table's consent, it is counted before anything is done. */
bool tagd_population_is_counted(const struct tagd_takeover *takeover, const struct tagd_catalog *catalog);
enum tagd_takeover_result tagd_population_count(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                                struct tagd_op *op);
enum tagd_takeover_result tagd_population_next(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                               struct tagd_worker_stats *stats, struct tagd_op *op,
                                               struct tagd_error *error);

/* The table said REPAIR. */
enum tagd_takeover_result tagd_repair_begin(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                            struct tagd_worker_stats *stats, struct tagd_op *op,
                                            struct tagd_error *error);
/* Head says that a repair goes on. */
enum tagd_takeover_result tagd_repair_resume(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                             struct tagd_op *op);
/* A step of its own is completed. */
enum tagd_takeover_result tagd_repair_next(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                           struct tagd_worker_stats *stats, struct tagd_op *op,
                                           struct tagd_error *error);

#endif
