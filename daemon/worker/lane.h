/* lane: what a worker holds of one shard: the records that wait, by topic, merged by event time; its watermark. */
#ifndef TAGD_WORKER_LANE_H
#define TAGD_WORKER_LANE_H

#include "shard/shard.h"

#define TAGD_CONDEMNED UINT64_MAX /* a generation that never comes: the record must not be decoded */

struct tagd_queued {
    struct tagd_record record;
    void *token;
    struct tagd_event *event; /* in the intake arena of this generation; CONDEMNED: of its own, from malloc */
    uint64_t generation;
    bool has_time;
    int64_t time_ms;
    int64_t wall_ms; /* when it came in: what `future` is measured by, also if it is decoded again */
};

struct tagd_lane_topic {
    struct tagd_queued *ring;
    size_t first, n, cap; /* cap: a power of two */
    int64_t next;         /* after the last record or end seen; -1: not known yet */
    int64_t known_end;    /* the partition holds records up to here, as last heard */
    int64_t latest_ms;    /* of its records taken; INT64_MIN: none since the shard runs */
    bool at_end;          /* seen at its end, no record since; */
    int64_t end_since_ms; /* since then, monotonic, */
    int64_t confirmed_ms; /* and confirmed last by an answer to a question of this instant */
};

struct tagd_lane {
    struct tagd_shard shard;
    bool lost, again;    /* lost: to be dropped; again: assigned since */
    bool leavable;       /* it doesn't run, but is as the store has it: it can be left cleanly */
    bool overtaken;      /* another owner was met: it waits for the group's word, then it is taken over again */
    int64_t progress_ms; /* monotonic: it moved then, or had nothing to do; 0: not since it was taken over */
    int64_t retry_ms;    /* monotonic: not taken over before */
    struct tagd_lane_topic topics[TAGD_TOPICS_MAX];
    size_t queued, queued_bytes;
    bool again_asked;          /* its records can't be read on: it is taken over again as soon as it is not in hand */
    struct tagd_repair repair; /* as it was taken over; with a phase: its records are replayed, up to to_offset */
    int64_t waiting_since_ms;  /* for a topic that holds more; 0: not waiting */
    struct tagd_batch batch;
    struct tagd_op load;
    /* Committed while outputs were held: published by the take-over that follows. */
    size_t held_batches, held_bytes;
    /* suspects.h */
    size_t suspects_left; /* records until the shard is beyond suspicion; 0: it is */
    int64_t suspect_to[TAGD_TOPICS_MAX];
    /* audit.h */
    bool told_kafka; /* something of it was published since it was taken over */
    bool doubted;    /* the store refused what only our own head should meet, or Kafka has another batch: the next FENCE
                        says whether that was another owner */
    bool doubt_told; /* what was found has been told */
    /* at least once */
    bool resend;      /* what was sent of it failed: it is taken over again as soon as it is not in hand */
    int64_t drop_ms;  /* monotonic: the outbox entries of published batches go then, if no batch has taken them along;
                         0: there are none */
    bool offsets_due; /* these are not committed to Kafka yet: after the last published batch */
    int64_t offset[TAGD_TOPICS_MAX];
    uint64_t offset_fence, offset_batch;
    char metadata[TAGD_METADATA_MAX];
    size_t n_metadata;
};

struct tagd_lane_clock {
    int64_t wall_ms, mono_ms;
    bool parted;   /* the two clocks disagree: no time passes by the wall clock */
    int64_t to_ms; /* a brake: nor does it pass further than this by itself; INT64_MAX: it may */
};

/* Forgets positions and ends, as a shard that begins to run. The queues must be empty. */
void tagd_lane_reset(struct tagd_lane *lane, const struct tagd_takeover *takeover, uint32_t n_topics);
/* Under repair: what is at or past to_offset is not wanted, and shows that the topic was read up to there. */
bool tagd_lane_wants(struct tagd_lane *lane, const struct tagd_record *record);
/* Under repair: all topics were read up to to_offset, and nothing of them waits. */
bool tagd_lane_replayed(const struct tagd_lane *lane, uint32_t n_topics);
void tagd_lane_push(struct tagd_lane *lane, const struct tagd_queued *queued, int64_t known_end);
void tagd_lane_end(struct tagd_lane *lane, const struct tagd_input *in, int64_t mono_ms);
/* The next record in the shard's order, out of the queue; false: none is there, or one must be waited for. Start a
 * batch with tagd_lane_begin. */
bool tagd_lane_take(struct tagd_lane *lane, const struct tagd_worker_config *config, const struct tagd_lane_clock *now,
                    struct tagd_queued *taken);
/* A batch's watermarks: begin, then moved by each record taken, then at the end. */
struct tagd_lane_watermark {
    int64_t watermark_ms, latest_ms;
    uint32_t lagging; /* topics, as bits */
};
void tagd_lane_begin(const struct tagd_lane *lane, const struct tagd_worker_config *config,
                     const struct tagd_lane_clock *now, struct tagd_lane_watermark *watermark);
void tagd_lane_move(struct tagd_lane *lane, const struct tagd_worker_config *config, const struct tagd_lane_clock *now,
                    const struct tagd_queued *taken, struct tagd_lane_watermark *watermark);
void tagd_lane_settle(const struct tagd_lane *lane, const struct tagd_worker_config *config,
                      const struct tagd_lane_clock *now, struct tagd_lane_watermark *watermark);
/* Whether the shard has read all there was, as far as is known. A partition that is one record behind counts as read:
 * that may be the end of a producer's transaction, which takes up an offset. */
bool tagd_lane_caught_up(const struct tagd_lane *lane, uint32_t n_topics);
bool tagd_lane_lagging(const struct tagd_lane *lane, uint32_t topic, int64_t grace_ms, int64_t mono_ms);
void tagd_lane_free(struct tagd_lane *lane);

#endif
