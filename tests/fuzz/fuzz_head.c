/* Any bytes as the small texts that say where a shard stands: its head in Redis, the metadata of Kafka's offsets, and the
 * header tagd_batch. What is read is written as it was read: there is one way to write it. */
#include "fuzz.h"

#include <inttypes.h>

#include "io/kafka.h"
#include "io/redis.h"
#include "shard/shard.h"

static void read_head(struct tagd_str text)
{
    struct tagd_head head, again;
    struct tagd_buf written = {0};
    struct tagd_error why = {{0}};
    if (!tagd_redis_head_read(text, &head)) {
        tagd_redis_head_unread(text, &why);
        MUST(is_sentence(why.text));
        return;
    }
    MUST(head.exists && head.n_topics <= TAGD_TOPICS_MAX && head.repair.phase <= TAGD_REPAIR_REPLAYING);
    MUST(head.repair.phase == TAGD_NO_REPAIR || !head.at_least_once);
    tagd_redis_head_write(&written, &head);
    MUST(tagd_str_eq(text, str_of(&written)));
    MUST(tagd_redis_head_read(str_of(&written), &again));
    tagd_buf_free(&written);
}

static void read_metadata(struct tagd_str text)
{
    char written[TAGD_METADATA_MAX];
    uint64_t fence, batch;
    int64_t watermark_ms;
    if (!tagd_metadata_read(text, &fence, &batch, &watermark_ms))
        return;
    size_t n = tagd_metadata_write(written, fence, batch, watermark_ms);
    MUST(tagd_str_eq(text, (struct tagd_str){written, n}));
}

/* Behind the batch stands the output's number, which nobody asks for. */
static void read_position(struct tagd_str text)
{
    struct tagd_position at;
    char written[64];
    MUST(tagd_kafka_position_read(text, &at) == at.found);
    if (!at.found)
        return;
    size_t n = (size_t)snprintf(written, sizeof(written), "%" PRIu64 ".%" PRIu64 ".", at.fence, at.batch);
    MUST(text.n > n && memcmp(text.p, written, n) == 0);
    for (; n < text.n; n++)
        MUST(text.p[n] >= '0' && text.p[n] <= '9');
}

/* A head of any numbers. */
static void make_head(struct input *in, struct tagd_head *head)
{
    unsigned what = (unsigned)take(in, 1);
    *head = (struct tagd_head){.exists = true};
    head->fence = (uint64_t)take_i64(in);
    head->batch = (uint64_t)take_i64(in);
    head->prev_fence = (uint64_t)take_i64(in);
    head->partitions = (uint32_t)take(in, 4);
    head->watermark_ms = take_i64(in);
    head->latest_ms = take_i64(in);
    head->n_topics = (uint32_t)take(in, 1) % (TAGD_TOPICS_MAX + 1);
    for (uint32_t i = 0; i < head->n_topics; i++)
        head->next_offset[i] = take_i64(in);
    snprintf(head->catalog_hash, sizeof(head->catalog_hash), "%.*s", what & 1 ? 32 : 0,
             "0123456789abcdef0123456789abcdef");
    memset(head->owner, 'o', what & 2 ? sizeof(head->owner) - 1 : 0);
    for (int i = 0; i < TAGD_OUTPUT_KINDS && what & 4; i++)
        head->outputs_end[i] = take_i64(in) & INT64_MAX;
    head->at_least_once = (what & 24) == 8;
    if ((what & 24) == 16) {
        head->repair.phase = what & 32 ? TAGD_REPAIR_TELLING : TAGD_REPAIR_REPLAYING;
        head->repair.to_watermark_ms = take_i64(in);
        for (int i = 0; i < TAGD_OUTPUT_KINDS; i++)
            head->repair.outputs_from[i] = take_i64(in);
        for (uint32_t i = 0; i < head->n_topics; i++)
            head->repair.to_offset[i] = take_i64(in);
    }
    if (what & 64) {
        struct tagd_baseline *baseline = &head->baseline;
        *baseline = (struct tagd_baseline){"fedcba9876543210fedcba9876543210", what & 128, take_i64(in), 1, 2, 3, 4, 5};
        baseline->lines = (uint64_t)take_i64(in);
    }
}

static void a_head_that_was_written(struct input *in)
{
    struct tagd_head head, read;
    struct tagd_buf text = {0};
    make_head(in, &head);
    tagd_redis_head_write(&text, &head);
    MUST(tagd_redis_head_read(str_of(&text), &read));
    MUST(read.fence == head.fence && read.batch == head.batch && read.watermark_ms == head.watermark_ms &&
         strcmp(read.owner, head.owner) == 0 && read.at_least_once == head.at_least_once &&
         read.repair.phase == head.repair.phase && read.baseline.lines == head.baseline.lines);
    damage(in, &text);
    read_head(str_of(&text));
    tagd_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    unsigned what = (unsigned)take(&in, 1);
    char *exact = tagd_xmalloc(in.n + 1); /* so that a read past its end is seen */
    struct tagd_str text = {exact + 1, in.n};
    memcpy(exact + 1, in.p, in.n);
    switch (what & 3) {
    case 0: read_head(text); break;
    case 1: read_metadata(text); break;
    case 2: read_position(text); break;
    default: a_head_that_was_written(&in); break;
    }
    free(exact);
    return 0;
}
