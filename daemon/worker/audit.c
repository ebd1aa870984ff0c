#include "worker/audit.h"

#include <inttypes.h>
#include <stdio.h>

static bool same_position(const struct tagd_head *head, struct tagd_str metadata)
{
    uint64_t fence, batch;
    int64_t watermark_ms;
    return tagd_metadata_read(metadata, &fence, &batch, &watermark_ms) && fence == head->fence &&
           batch == head->batch && watermark_ms == head->watermark_ms;
}

bool tagd_audit_agrees(const struct tagd_shard *shard, const struct tagd_committed_topic *committed,
                       const char *const *topics, uint32_t n_topics, bool told, struct tagd_error *error)
{
    const struct tagd_head *head = &shard->head;
    for (uint32_t i = 0; i < n_topics; i++) {
        const struct tagd_committed_topic *topic = &committed[i];
        int64_t next = head->next_offset[i] < 0 ? 0 : head->next_offset[i];
        char wanted[TAGD_METADATA_MAX];
        if (topic->offset < 0 && !told)
            continue;
        if (topic->offset == next && same_position(head, topic->metadata))
            continue;
        tagd_metadata_write(wanted, head->fence, head->batch, head->watermark_ms);
        return tagd_fail(error,
                         "shard %" PRIu32 ": topic \"%s\": Kafka's committed offset is %" PRId64
                         " with position \"%.*s\", Redis has %" PRId64 " with \"%s\" (fence, batch, watermark)",
                         shard->number, topics[i], topic->offset, (int)topic->metadata.n, topic->metadata.p, next,
                         wanted);
    }
    return true;
}
