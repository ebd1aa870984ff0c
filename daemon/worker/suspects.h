/* suspects: a shard's first records after its owner died without leaving it: one of them may have killed it. They are
 * tried (struct tagd_port, `trial`) before this process decodes them, and again before it applies them. What kills a
 * trial, and kills the second one alone, is condemned: it becomes a dead letter, `poison`.
 *
 * Which records: those that were there when the shard was taken over, until so many of the shard's are committed as its
 * owner may have held. If it held more, and a later one was the killer, the next owner begins behind those committed. */
#ifndef TAGD_WORKER_SUSPECTS_H
#define TAGD_WORKER_SUSPECTS_H

#include "worker/lane.h"

struct tagd_suspects { /* what a poll gave of such shards and is not decoded yet: records and ends, in order */
    struct tagd_suspect {
        struct tagd_input in;
        int64_t wall_ms; /* when it came in */
    } * waiting;
    size_t n, cap;
};

struct tagd_tried {
    size_t n;                 /* came through, or may go on all the same */
    bool condemned;           /* the next one killed the process twice: */
    struct tagd_error reason; /* a dead letter's; or, if none is condemned, why one killed it once; empty: none did */
};

void tagd_suspects_add(struct tagd_suspects *suspects, const struct tagd_input *in, int64_t wall_ms);
/* The first n go, with nothing released. */
void tagd_suspects_shift(struct tagd_suspects *suspects, size_t n);
/* Those of the shard go; their tokens are released. */
void tagd_suspects_drop(struct tagd_suspects *suspects, uint32_t shard, const struct tagd_port *port);
/* Decodes what waits, in a trial. rules: by topic. Memory of the trial: arena. */
struct tagd_tried tagd_suspects_decode(const struct tagd_suspects *suspects, const struct tagd_port *port,
                                       const struct tagd_event_rules *rules, struct tagd_arena *arena);
void tagd_suspects_free(struct tagd_suspects *suspects);

/* ---- a lane under suspicion ---- */

/* An owner died with the shard, which held up to n_max of its records. */
void tagd_lane_suspect(struct tagd_lane *lane, size_t n_max);
/* It begins to be read: the ends are those of its take-over. */
void tagd_lane_suspect_to(struct tagd_lane *lane, const struct tagd_committed_topic *committed, uint32_t n_topics);
/* A batch of so many records is committed. */
void tagd_lane_cleared(struct tagd_lane *lane, size_t n_records, uint32_t n_topics);
/* A replay's records had come through when they were read first, or were dead letters. But dead letters may be gone, and
 * what killed in the replay itself must not do so again: all of them are tried. */
static inline bool tagd_lane_suspects(const struct tagd_lane *lane, const struct tagd_record *record)
{
    return lane->suspects_left > 0 &&
           (lane->repair.phase != TAGD_NO_REPAIR || record->offset < lane->suspect_to[record->topic]);
}
/* Whether some are not read yet: it can't be left as one that is beyond suspicion. */
bool tagd_lane_has_suspects(const struct tagd_lane *lane, uint32_t n_topics);

/* Applies the batches of those of the lanes that hold suspects, in a trial, after the LOAD and before they are applied;
 * of all their events those from `next` on, 0 at first. If there is a reason, it is *culprit's, and those from the
 * result's n on are still to be tried; condemned: *culprit's event is a dead letter of its batch now, and none of these. */
struct tagd_tried tagd_suspects_apply(struct tagd_lane *const *lanes, size_t n_lanes, const struct tagd_port *port,
                                      struct tagd_shard_context *context, struct tagd_arena *arena, size_t next,
                                      const struct tagd_record **culprit);

#endif
