/* sending: batches whose outputs are on their way to Kafka without a transaction, oldest first. Under at_least_once a
 * worker commits the next batch to the store while these are not acknowledged yet, up to the limits below. A batch
 * counts as published only when all older ones do, so what a shard has published is a number and not a set. */
#ifndef TAGD_WORKER_SENDING_H
#define TAGD_WORKER_SENDING_H

#include "shard/shard.h"

/* Each is a request or two a partition, and librdkafka has five of these on their way at most (io/kafka_client.c). */
#define TAGD_UNACKNOWLEDGED_BATCHES_MAX 2
#define TAGD_UNACKNOWLEDGED_BYTES_MAX ((size_t)64 * 1024 * 1024) /* of keys and values */

struct tagd_sending_share {
    uint64_t fence; /* under which the shard was ours: what becomes of it matters only while it still is */
    char metadata[TAGD_METADATA_MAX];
};

struct tagd_sending {
    struct tagd_op op;
    struct tagd_sending *next;
    struct tagd_shard_outputs *shards; /* op's; their outputs are gone once it was submitted */
    struct tagd_sending_share *shares; /* by the same index */
    size_t n, cap, n_outputs, bytes;
    int64_t began_us;  /* mono_us as it was handed over */
    int64_t oldest_ms; /* timestamp of its oldest record; INT64_MAX: none has one */
};

struct tagd_sendings {
    struct tagd_sending *first, *last, *spare;
    size_t n, n_outputs, bytes;
    uint32_t *n_of; /* by shard: how many hold something of it */
};

void tagd_sendings_init(struct tagd_sendings *sendings, uint32_t n_shards);

/* A new last one, without shards, for up to n_shards of them. Its op is the caller's to submit, after the shards were
 * added. */
struct tagd_sending *tagd_sendings_push(struct tagd_sendings *sendings, size_t n_shards);
void tagd_sendings_add(struct tagd_sendings *sendings, struct tagd_sending *sending,
                       const struct tagd_shard_outputs *outputs, uint64_t fence);
/* The oldest, if it is completed; NULL: none, or still pending. */
struct tagd_sending *tagd_sendings_completed(const struct tagd_sendings *sendings);
void tagd_sendings_pop(struct tagd_sendings *sendings);
/* Something of the shard is on its way, from whatever time it was ours. */
bool tagd_sendings_hold(const struct tagd_sendings *sendings, uint32_t shard);
/* A limit is reached: no new batch may begin. */
bool tagd_sendings_full(const struct tagd_sendings *sendings);
void tagd_sendings_free(struct tagd_sendings *sendings);

#endif
