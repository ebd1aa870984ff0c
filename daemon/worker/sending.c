#include "worker/sending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void tagd_sendings_init(struct tagd_sendings *sendings, uint32_t n_shards)
{
    *sendings = (struct tagd_sendings){.n_of = tagd_xcalloc(n_shards + 1, sizeof(*sendings->n_of))};
}

struct tagd_sending *tagd_sendings_push(struct tagd_sendings *sendings, size_t n_shards)
{
    struct tagd_sending *sending = sendings->spare;
    if (sending != NULL)
        sendings->spare = sending->next;
    else
        sending = tagd_xcalloc(1, sizeof(*sending));
    if (n_shards > sending->cap) {
        free(sending->shards);
        free(sending->shares);
        sending->shards = tagd_xmalloc(n_shards * sizeof(*sending->shards));
        sending->shares = tagd_xmalloc(n_shards * sizeof(*sending->shares));
        sending->cap = n_shards;
    }
    sending->next = NULL;
    sending->n = sending->n_outputs = sending->bytes = 0;
    sending->began_us = 0;
    sending->oldest_ms = INT64_MAX;
    sending->op.kind = TAGD_OP_SEND;
    sending->op.status = TAGD_PENDING;
    sending->op.u.publish.shards = sending->shards;
    sending->op.u.publish.n_shards = 0;
    if (sendings->last != NULL)
        sendings->last->next = sending;
    else
        sendings->first = sending;
    sendings->last = sending;
    sendings->n++;
    return sending;
}

void tagd_sendings_add(struct tagd_sendings *sendings, struct tagd_sending *sending,
                       const struct tagd_shard_outputs *outputs, uint64_t fence)
{
    struct tagd_sending_share *share = &sending->shares[sending->n];
    size_t bytes = 0;
    assert(sending->n < sending->cap && outputs->metadata.n < sizeof(share->metadata));
    for (size_t i = 0; i < outputs->n_outputs; i++)
        bytes += outputs->outputs[i].key.n + outputs->outputs[i].value.n;
    sendings->n_of[outputs->shard]++;
    share->fence = fence;
    memcpy(share->metadata, outputs->metadata.p, outputs->metadata.n);
    sending->shards[sending->n] = *outputs;
    sending->shards[sending->n].metadata.p = share->metadata;
    sending->op.u.publish.n_shards = ++sending->n;
    sending->n_outputs += outputs->n_outputs;
    sending->bytes += bytes;
    sendings->n_outputs += outputs->n_outputs;
    sendings->bytes += bytes;
}

struct tagd_sending *tagd_sendings_completed(const struct tagd_sendings *sendings)
{
    struct tagd_sending *first = sendings->first;
    return first == NULL || first->op.status == TAGD_PENDING ? NULL : first;
}

void tagd_sendings_pop(struct tagd_sendings *sendings)
{
    struct tagd_sending *first = sendings->first;
    assert(sendings->n_outputs >= first->n_outputs && sendings->bytes >= first->bytes);
    for (size_t i = 0; i < first->n; i++) {
        assert(sendings->n_of[first->shards[i].shard] > 0);
        sendings->n_of[first->shards[i].shard]--;
    }
    sendings->first = first->next;
    if (sendings->first == NULL)
        sendings->last = NULL;
    sendings->n--;
    sendings->n_outputs -= first->n_outputs;
    sendings->bytes -= first->bytes;
    first->next = sendings->spare;
    sendings->spare = first;
}

bool tagd_sendings_hold(const struct tagd_sendings *sendings, uint32_t shard)
{
    return sendings->n_of[shard] > 0;
}

bool tagd_sendings_full(const struct tagd_sendings *sendings)
{
    return sendings->n >= TAGD_UNACKNOWLEDGED_BATCHES_MAX || sendings->bytes >= TAGD_UNACKNOWLEDGED_BYTES_MAX;
}

static void free_list(struct tagd_sending *sending)
{
    while (sending != NULL) {
        struct tagd_sending *next = sending->next;
        free(sending->shards);
        free(sending->shares);
        free(sending);
        sending = next;
    }
}

void tagd_sendings_free(struct tagd_sendings *sendings)
{
    free_list(sendings->first);
    free_list(sendings->spare);
    free(sendings->n_of);
    *sendings = (struct tagd_sendings){0};
}
