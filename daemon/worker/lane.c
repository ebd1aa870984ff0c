#include "worker/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool repairing(const struct tagd_lane *lane)
{
    return lane->repair.phase != TAGD_NO_REPAIR;
}

void tagd_lane_reset(struct tagd_lane *lane, const struct tagd_takeover *takeover, uint32_t n_topics)
{
    lane->waiting_since_ms = 0;
    lane->repair = takeover->head.repair;
    for (uint32_t i = 0; i < n_topics; i++) {
        struct tagd_lane_topic *topic = &lane->topics[i];
        topic->next = takeover->decision.start[i];
        topic->known_end = repairing(lane) ? lane->repair.to_offset[i] : takeover->committed[i].high;
        topic->latest_ms = INT64_MIN;
        topic->at_end = repairing(lane) && topic->next >= lane->repair.to_offset[i];
    }
}

bool tagd_lane_wants(struct tagd_lane *lane, const struct tagd_record *record)
{
    if (!repairing(lane) || record->offset < lane->repair.to_offset[record->topic])
        return true;
    lane->topics[record->topic].at_end = true;
    return false;
}

bool tagd_lane_replayed(const struct tagd_lane *lane, uint32_t n_topics)
{
    for (uint32_t i = 0; i < n_topics; i++)
        if (lane->topics[i].n > 0 || !lane->topics[i].at_end)
            return false;
    return true;
}

void tagd_lane_push(struct tagd_lane *lane, const struct tagd_queued *queued, int64_t known_end)
{
    struct tagd_lane_topic *topic = &lane->topics[queued->record.topic];
    if (topic->n == topic->cap) {
        size_t cap = topic->cap ? topic->cap * 2 : 64;
        struct tagd_queued *ring = tagd_xmalloc(cap * sizeof(*ring));
        for (size_t i = 0; i < topic->n; i++)
            ring[i] = topic->ring[(topic->first + i) & (topic->cap - 1)];
        free(topic->ring);
        topic->ring = ring;
        topic->first = 0;
        topic->cap = cap;
    }
    topic->ring[(topic->first + topic->n++) & (topic->cap - 1)] = *queued;
    topic->next = queued->record.offset + 1;
    if (known_end > topic->known_end && !repairing(lane))
        topic->known_end = known_end;
    topic->at_end = repairing(lane) && topic->next >= topic->known_end;
    lane->queued++;
    lane->queued_bytes += queued->record.key.n + queued->record.value.n;
}

void tagd_lane_end(struct tagd_lane *lane, const struct tagd_input *in, int64_t mono_ms)
{
    struct tagd_lane_topic *topic = &lane->topics[in->record.topic];
    if (in->record.offset < topic->next || (repairing(lane) && in->record.offset < topic->known_end))
        return;
    if (!topic->at_end) {
        topic->at_end = true;
        topic->end_since_ms = mono_ms;
        topic->confirmed_ms = in->confirmed_ms;
    }
    if (in->confirmed_ms > topic->confirmed_ms)
        topic->confirmed_ms = in->confirmed_ms;
    if (repairing(lane))
        return;
    topic->next = in->record.offset;
    if (topic->next > topic->known_end)
        topic->known_end = topic->next;
}

/* Known to hold more, and nothing of it is here. */
static bool holds_more(const struct tagd_lane_topic *topic)
{
    return topic->n == 0 && !topic->at_end && (topic->next < 0 || topic->next < topic->known_end);
}

static bool must_wait(struct tagd_lane *lane, const struct tagd_worker_config *config,
                      const struct tagd_lane_clock *now)
{
    for (uint32_t i = 0; i < config->n_topics; i++) {
        if (!holds_more(&lane->topics[i]))
            continue;
        if (config->time_events || repairing(lane))
            return true;
        if (lane->waiting_since_ms == 0)
            lane->waiting_since_ms = now->mono_ms;
        return now->mono_ms - lane->waiting_since_ms < config->max_idle_ms;
    }
    lane->waiting_since_ms = 0;
    return false;
}

bool tagd_lane_take(struct tagd_lane *lane, const struct tagd_worker_config *config, const struct tagd_lane_clock *now,
                    struct tagd_queued *taken)
{
    struct tagd_lane_topic *best = NULL;
    int64_t best_ms = 0;
    if (lane->queued == 0 || (config->n_topics > 1 && must_wait(lane, config, now)))
        return false;
    for (uint32_t i = 0; i < config->n_topics; i++) {
        struct tagd_lane_topic *topic = &lane->topics[i];
        if (topic->n == 0)
            continue;
        const struct tagd_queued *head = &topic->ring[topic->first];
        int64_t at =
            head->has_time ? head->time_ms : INT64_MIN; /* without a usable time there is nothing to wait for */
        if (best != NULL && at >= best_ms)
            continue;
        best = topic;
        best_ms = at;
    }
    assert(best != NULL); /* something is queued */
    *taken = best->ring[best->first];
    best->first = (best->first + 1) & (best->cap - 1);
    best->n--;
    lane->queued--;
    lane->queued_bytes -= taken->record.key.n + taken->record.value.n;
    return true;
}

/* ---- watermark ---- */

static int64_t minus(int64_t ms, int64_t grace_ms)
{
    return ms < INT64_MIN + grace_ms ? INT64_MIN : ms - grace_ms;
}

static void raise_to(struct tagd_lane_watermark *watermark, int64_t ms)
{
    if (ms > watermark->watermark_ms)
        watermark->watermark_ms = ms;
}

/* Up to where time had been published. */
static void cap(const struct tagd_lane *lane, struct tagd_lane_watermark *watermark)
{
    if (repairing(lane) && watermark->watermark_ms > lane->repair.to_watermark_ms)
        watermark->watermark_ms = lane->repair.to_watermark_ms;
}

bool tagd_lane_lagging(const struct tagd_lane *lane, uint32_t topic, int64_t grace_ms, int64_t mono_ms)
{
    const struct tagd_lane_topic *of = &lane->topics[topic];
    if (repairing(lane))
        return of->n > 0 || !of->at_end;
    return of->n > 0 || !of->at_end || mono_ms - of->end_since_ms < grace_ms;
}

static uint32_t lagging_topics(const struct tagd_lane *lane, const struct tagd_worker_config *config, int64_t mono_ms)
{
    uint32_t lagging = 0;
    for (uint32_t i = 0; i < config->n_topics; i++)
        if (tagd_lane_lagging(lane, i, config->grace_ms, mono_ms))
            lagging |= 1u << i;
    return lagging;
}

/* Live: wall - grace once nothing lags, else the least of the lagging partitions' latest event times minus grace; and
 * never past what an answer of the broker covers of a partition that doesn't lag: after a stall its end is an old one. */
static int64_t live_bound(const struct tagd_lane *lane, const struct tagd_worker_config *config,
                          const struct tagd_lane_clock *now, uint32_t lagging)
{
    int64_t bound = repairing(lane) ? lane->repair.to_watermark_ms : now->wall_ms - config->grace_ms;
    if (now->parted && !repairing(lane))
        return INT64_MIN;
    if (now->to_ms < bound && !repairing(lane))
        bound = now->to_ms;
    for (uint32_t i = 0; i < config->n_topics; i++) {
        const struct tagd_lane_topic *topic = &lane->topics[i];
        int64_t of = lagging & 1u << i ? minus(topic->latest_ms, config->grace_ms)
                                       : now->wall_ms - (now->mono_ms - topic->confirmed_ms);
        if (of < bound)
            bound = of;
    }
    return bound;
}

void tagd_lane_begin(const struct tagd_lane *lane, const struct tagd_worker_config *config,
                     const struct tagd_lane_clock *now, struct tagd_lane_watermark *watermark)
{
    *watermark = (struct tagd_lane_watermark){lane->shard.watermark_ms, lane->shard.latest_ms, 0};
    if (!config->time_events)
        watermark->lagging = lagging_topics(lane, config, now->mono_ms);
}

void tagd_lane_move(struct tagd_lane *lane, const struct tagd_worker_config *config, const struct tagd_lane_clock *now,
                    const struct tagd_queued *taken, struct tagd_lane_watermark *watermark)
{
    struct tagd_lane_topic *topic = &lane->topics[taken->record.topic];
    if (taken->has_time && taken->time_ms > topic->latest_ms)
        topic->latest_ms = taken->time_ms;
    if (taken->has_time && taken->time_ms > watermark->latest_ms)
        watermark->latest_ms = taken->time_ms;
    if (config->time_events)
        raise_to(watermark, minus(watermark->latest_ms, config->grace_ms));
    else
        raise_to(watermark, live_bound(lane, config, now, watermark->lagging | 1u << taken->record.topic));
    cap(lane, watermark);
}

void tagd_lane_settle(const struct tagd_lane *lane, const struct tagd_worker_config *config,
                      const struct tagd_lane_clock *now, struct tagd_lane_watermark *watermark)
{
    if (repairing(lane) && tagd_lane_replayed(lane, config->n_topics))
        raise_to(watermark, lane->repair.to_watermark_ms);
    else if (!config->time_events)
        raise_to(watermark, live_bound(lane, config, now, lagging_topics(lane, config, now->mono_ms)));
    cap(lane, watermark);
}

bool tagd_lane_caught_up(const struct tagd_lane *lane, uint32_t n_topics)
{
    for (uint32_t i = 0; i < n_topics; i++) {
        const struct tagd_lane_topic *topic = &lane->topics[i];
        bool read = topic->at_end || (topic->next >= 0 && topic->known_end - topic->next <= 1);
        if (topic->n > 0 || !read)
            return false;
    }
    return true;
}

void tagd_lane_free(struct tagd_lane *lane)
{
    for (uint32_t i = 0; i < TAGD_TOPICS_MAX; i++)
        free(lane->topics[i].ring);
    tagd_batch_free(&lane->batch);
    tagd_letters_free(&lane->shard.letters);
    free(lane);
}
