#include "io/redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_VERSION 1
#define AT_LEAST_ONCE " at_least_once" /* a version that doesn't know it refuses the head */

void tagd_redis_head_write(struct tagd_buf *out, const struct tagd_head *head)
{
    tagd_buf_printf(out, "%d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRId64 " %" PRId64 " %s %s %" PRIu32,
                    HEAD_VERSION, head->fence, head->batch, head->prev_fence, head->partitions, head->watermark_ms,
                    head->latest_ms, head->catalog_hash[0] == '\0' ? "-" : head->catalog_hash,
                    head->owner[0] == '\0' ? "-" : head->owner, head->n_topics);
    for (uint32_t i = 0; i < head->n_topics; i++)
        tagd_buf_printf(out, " %" PRId64, head->next_offset[i]);
    if (head->at_least_once)
        tagd_buf_add_z(out, AT_LEAST_ONCE);
}

bool tagd_redis_head_read(struct tagd_str text, struct tagd_head *head)
{
    char copy[1024];
    int version, n = 0;
    if (text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *head = (struct tagd_head){.exists = true};
    if (sscanf(copy,
               "%d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNd64 " %" SCNd64 " %32s %255s %" SCNu32 "%n",
               &version, &head->fence, &head->batch, &head->prev_fence, &head->partitions, &head->watermark_ms,
               &head->latest_ms, head->catalog_hash, head->owner, &head->n_topics, &n) != 10 ||
        version != HEAD_VERSION || head->n_topics > TAGD_TOPICS_MAX)
        return false;
    const char *p = copy + n;
    for (uint32_t i = 0; i < head->n_topics; i++, p += n)
        if (sscanf(p, " %" SCNd64 "%n", &head->next_offset[i], &n) != 1)
            return false;
    if (strcmp(p, AT_LEAST_ONCE) == 0) {
        head->at_least_once = true;
        p += strlen(AT_LEAST_ONCE);
    }
    if (strcmp(head->catalog_hash, "-") == 0)
        head->catalog_hash[0] = '\0';
    if (strcmp(head->owner, "-") == 0)
        head->owner[0] = '\0';
    return *p == '\0';
}
