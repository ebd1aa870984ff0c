/* audit: whether Kafka's committed position of a running shard is the one that the store's head names. Looked at every
 * few seconds, one shard at a time, so that a fault nobody was told of (a transaction's end that came too late, a store
 * that came back older, offsets that somebody put elsewhere) doesn't stay for long. */
#ifndef TAGD_WORKER_AUDIT_H
#define TAGD_WORKER_AUDIT_H

#include "shard/shard.h"

/* committed: by topic; all that head's batch has is published. told: Kafka was given a position since the shard was
 * taken over; else it may have forgotten the offsets. False: *error says how they differ. */
bool tagd_audit_agrees(const struct tagd_shard *shard, const struct tagd_committed_topic *committed,
                       const char *const *topics, uint32_t n_topics, bool told, struct tagd_error *error);

#endif
