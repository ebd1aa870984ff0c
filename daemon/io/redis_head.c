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
    const struct tagd_baseline *baseline = &head->baseline;
    if (baseline->import[0] != '\0')
        tagd_buf_printf(out, " import %s %d %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                        baseline->import, baseline->finished, baseline->before_ms, baseline->lines, baseline->events,
                        baseline->duplicates, baseline->ignored, baseline->customers);
}

/* " import ..." up to the end. */
static bool read_baseline(const char *p, struct tagd_baseline *baseline)
{
    int n = 0, finished;
    if (sscanf(p, " import %32s %d %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "%n",
               baseline->import, &finished, &baseline->before_ms, &baseline->lines, &baseline->events,
               &baseline->duplicates, &baseline->ignored, &baseline->customers, &n) != 8 ||
        (finished != 0 && finished != 1))
        return false;
    baseline->finished = finished == 1;
    return p[n] == '\0';
}

bool tagd_redis_head_read(struct tagd_str text, struct tagd_head *head)
{
    char copy[2048];
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
    size_t n_flag = strlen(AT_LEAST_ONCE);
    if (strncmp(p, AT_LEAST_ONCE, n_flag) == 0 && (p[n_flag] == '\0' || p[n_flag] == ' ')) {
        head->at_least_once = true;
        p += n_flag;
    }
    if (strcmp(head->catalog_hash, "-") == 0)
        head->catalog_hash[0] = '\0';
    if (strcmp(head->owner, "-") == 0)
        head->owner[0] = '\0';
    return *p == '\0' || read_baseline(p, &head->baseline);
}
