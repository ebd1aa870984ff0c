#include "io/redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_VERSION 3
#define AT_LEAST_ONCE " at_least_once" /* a version that doesn't know it refuses the head */
#define OUTPUTS " outputs"             /* likewise */
#define REPAIR " repair "              /* likewise */

static void write_repair(struct tagd_buf *out, const struct tagd_head *head)
{
    const struct tagd_repair *repair = &head->repair;
    tagd_buf_printf(out, REPAIR "%d", (int)repair->phase);
    for (int i = 0; i < TAGD_OUTPUT_KINDS; i++)
        tagd_buf_printf(out, " %" PRId64, repair->outputs_from[i]);
    tagd_buf_printf(out, " %" PRId64, repair->to_watermark_ms);
    for (uint32_t i = 0; i < head->n_topics; i++)
        tagd_buf_printf(out, " %" PRId64, repair->to_offset[i]);
}

static void write_ends(struct tagd_buf *out, const struct tagd_head *head)
{
    bool any = false;
    for (int i = 0; i < TAGD_OUTPUT_KINDS; i++)
        any = any || head->outputs_end[i] > 0;
    if (any)
        tagd_buf_add_z(out, OUTPUTS);
    for (int i = 0; i < TAGD_OUTPUT_KINDS && any; i++)
        tagd_buf_printf(out, " %" PRId64, head->outputs_end[i]);
}

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
    write_ends(out, head);
    if (head->repair.phase != TAGD_NO_REPAIR)
        write_repair(out, head);
    const struct tagd_baseline *baseline = &head->baseline;
    if (baseline->import[0] != '\0')
        tagd_buf_printf(out, " import %s %d %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
                        baseline->import, baseline->finished, baseline->before_ms, baseline->lines, baseline->events,
                        baseline->duplicates, baseline->ignored, baseline->customers);
}

/* n numbers, each after a blank; NULL: they aren't there. */
static const char *read_numbers(const char *p, int64_t *numbers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int length = 0;
        if (*p != ' ' || sscanf(p, " %" SCNd64 "%n", &numbers[i], &length) != 1)
            return NULL;
        p += length;
    }
    return p;
}

/* What follows " repair "; NULL: it is none. */
static const char *read_repair(const char *p, uint32_t n_topics, struct tagd_repair *repair)
{
    int phase, n = 0;
    if (sscanf(p, "%d%n", &phase, &n) != 1 || (phase != TAGD_REPAIR_TELLING && phase != TAGD_REPAIR_REPLAYING))
        return NULL;
    repair->phase = phase == TAGD_REPAIR_TELLING ? TAGD_REPAIR_TELLING : TAGD_REPAIR_REPLAYING;
    p = read_numbers(p + n, repair->outputs_from, TAGD_OUTPUT_KINDS);
    p = p == NULL ? NULL : read_numbers(p, &repair->to_watermark_ms, 1);
    return p == NULL ? NULL : read_numbers(p, repair->to_offset, n_topics);
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

/* There is one way to write it: numbers that are too large, signs and blanks of another hand are no head. */
static bool is_written_so(struct tagd_str text, const struct tagd_head *head)
{
    struct tagd_buf written = {0};
    tagd_redis_head_write(&written, head);
    bool same = tagd_str_eq(text, (struct tagd_str){written.p, written.n});
    tagd_buf_free(&written);
    return same;
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
    const char *p = read_numbers(copy + n, head->next_offset, head->n_topics);
    if (p == NULL)
        return false;
    size_t n_flag = strlen(AT_LEAST_ONCE);
    if (strncmp(p, AT_LEAST_ONCE, n_flag) == 0 && (p[n_flag] == '\0' || p[n_flag] == ' ')) {
        head->at_least_once = true;
        p += n_flag;
    }
    if (strncmp(p, OUTPUTS " ", strlen(OUTPUTS) + 1) == 0) {
        p = read_numbers(p + strlen(OUTPUTS), head->outputs_end, TAGD_OUTPUT_KINDS);
        if (p == NULL)
            return false;
    }
    if (strncmp(p, REPAIR, strlen(REPAIR)) == 0) {
        p = read_repair(p + strlen(REPAIR), head->n_topics, &head->repair);
        if (p == NULL || head->at_least_once) /* nothing but exactly once is repaired */
            return false;
    }
    if (strcmp(head->catalog_hash, "-") == 0)
        head->catalog_hash[0] = '\0';
    if (strcmp(head->owner, "-") == 0)
        head->owner[0] = '\0';
    return (*p == '\0' || read_baseline(p, &head->baseline)) && is_written_so(text, head);
}

void tagd_redis_head_unread(struct tagd_str text, struct tagd_error *error)
{
    int version = 0;
    for (size_t i = 0; i < text.n && i < 6 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        version = version * 10 + (text.p[i] - '0');
    if (version > HEAD_VERSION)
        tagd_fail(error,
                  "its head in Redis is of format %d, and this tagd reads format %d: a newer one wrote "
                  "it; " TAGD_OTHER_VERSION,
                  version, HEAD_VERSION);
    else if (version > 0 && version < HEAD_VERSION)
        tagd_fail(error,
                  "its head in Redis is of format %d, and this tagd reads format %d: an older one wrote "
                  "it; " TAGD_OTHER_VERSION,
                  version, HEAD_VERSION);
    else
        tagd_fail(error,
                  "its head in Redis can't be read: it is damaged, or of another version of tagd; " TAGD_OTHER_VERSION);
}
