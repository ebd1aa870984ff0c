#include "metrics/metrics.h"

#include <inttypes.h>

typedef const struct tagd_metrics_info *info_t;

/* One line a shard, or a shard and topic. */
struct family {
    const char *name, *help;
    void (*write)(info_t info, const struct tagd_metrics_shard *shard, const char *name, struct tagd_buf *out);
};

static void by_topic(info_t info, const struct tagd_metrics_shard *shard, const char *name, size_t topic,
                     struct tagd_buf *out)
{
    tagd_buf_printf(out, "%s{topic=\"", name);
    tagd_metrics_label(out, tagd_str_of(info->topics[topic]));
    tagd_buf_printf(out, "\",shard=\"%" PRIu32 "\"} ", shard->stats.shard);
}

static void write_status(info_t info, const struct tagd_metrics_shard *shard, const char *name, struct tagd_buf *out)
{
    enum tagd_shard_status now = tagd_shard_status_at(&shard->stats, info->mono_ms);
    for (int status = 0; status < TAGD_SHARD_STATUSES; status++)
        tagd_buf_printf(out, "%s{shard=\"%" PRIu32 "\",status=\"%s\"} %d\n", name, shard->stats.shard,
                        tagd_shard_status_name((enum tagd_shard_status)status), (int)now == status);
}

static void write_lag_records(info_t info, const struct tagd_metrics_shard *shard, const char *name,
                              struct tagd_buf *out)
{
    for (size_t topic = 0; topic < info->n_topics; topic++)
        if (shard->lag[topic] >= 0) {
            by_topic(info, shard, name, topic, out);
            tagd_buf_printf(out, "%" PRId64 "\n", shard->lag[topic]);
        }
}

static void write_next_offset(info_t info, const struct tagd_metrics_shard *shard, const char *name,
                              struct tagd_buf *out)
{
    for (size_t topic = 0; topic < info->n_topics; topic++)
        if (shard->stats.next_offset[topic] >= 0) {
            by_topic(info, shard, name, topic, out);
            tagd_buf_printf(out, "%" PRId64 "\n", shard->stats.next_offset[topic]);
        }
}

static void write_open(info_t info, const struct tagd_metrics_shard *shard, const char *name, struct tagd_buf *out)
{
    for (size_t topic = 0; topic < info->n_topics; topic++) {
        by_topic(info, shard, name, topic, out);
        tagd_buf_printf(out, "%.3f\n", (double)shard->open_ms[topic] / 1000);
    }
}

static void write_lag_seconds(info_t info, const struct tagd_metrics_shard *shard, const char *name,
                              struct tagd_buf *out)
{
    if (shard->stats.watermark_ms != INT64_MIN)
        tagd_buf_printf(out, "%s{shard=\"%" PRIu32 "\"} %.3f\n", name, shard->stats.shard,
                        (double)(info->wall_ms - shard->stats.watermark_ms) / 1000);
}

static void write_overdue(info_t info, const struct tagd_metrics_shard *shard, const char *name, struct tagd_buf *out)
{
    int64_t due_ms = shard->stats.next_due_ms, now_ms = info->wall_ms - info->grace_ms;
    if (!info->time_events && shard->stats.status == TAGD_SHARD_RUNNING)
        tagd_buf_printf(out, "%s{shard=\"%" PRIu32 "\"} %.3f\n", name, shard->stats.shard,
                        due_ms == TAGD_NEVER || due_ms > now_ms ? 0 : (double)(now_ms - due_ms) / 1000);
}

int64_t tagd_metrics_lag_records(const struct tagd_metrics_shard *shard, size_t n_topics)
{
    int64_t lag = 0;
    for (size_t topic = 0; topic < n_topics && lag >= 0; topic++)
        lag = shard->lag[topic] < 0 ? -1 : lag + shard->lag[topic];
    return lag;
}

void tagd_metrics_shards(info_t info, const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out)
{
    static const struct family families[] = {
        {"tagd_shard_status", "1 for what the shard does now, 0 for the others.", write_status},
        {"tagd_lag_records", "Records not yet applied, by topic and shard.", write_lag_records},
        {"tagd_lag_seconds", "How far a shard's watermark is behind the clock.", write_lag_seconds},
        {"tagd_next_offset", "The offset to be read next, by topic and shard.", write_next_offset},
        {"tagd_open_transaction_seconds",
         "How long a producer's transaction has been open, at least, behind which nothing can be read; 0: none is.",
         write_open},
        {"tagd_timer_overdue_seconds",
         "How long the earliest timer of a running shard has been due, beyond grace; 0: none is.", write_overdue},
    };
    tagd_metrics_head(out, "tagd_grace_seconds", "What the watermark stays behind the clock for late events.", "gauge");
    tagd_buf_printf(out, "tagd_grace_seconds %.3f\n", (double)info->grace_ms / 1000);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        tagd_metrics_head(out, families[i].name, families[i].help, "gauge");
        for (size_t w = 0; w < n; w++)
            for (size_t s = 0; s < workers[w].n_shards; s++)
                families[i].write(info, &workers[w].shards[s], families[i].name, out);
    }
}
