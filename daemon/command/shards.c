#include "command/shards.h"

#include <inttypes.h>
#include <stdlib.h>

struct row {
    size_t worker;
    const struct tagd_metrics_shard *shard;
};

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct row *)a)->shard->stats.shard, y = ((const struct row *)b)->shard->stats.shard;
    return (x > y) - (x < y);
}

static void add_time(struct tagd_buf *out, const char *name, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    if (ms == INT64_MIN || ms == TAGD_NEVER) {
        tagd_buf_printf(out, ",\"%s\":null", name);
        return;
    }
    tagd_time_format(ms, text);
    tagd_buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

/* -1: not known. */
static void add_count(struct tagd_buf *out, const char *name, int64_t n)
{
    if (n < 0)
        tagd_buf_printf(out, ",\"%s\":null", name);
    else
        tagd_buf_printf(out, ",\"%s\":%" PRId64, name, n);
}

static void add_topic(const struct tagd_metrics_info *info, const struct tagd_metrics_shard *shard, size_t topic,
                      struct tagd_buf *out)
{
    int64_t next = shard->stats.next_offset[topic], lag = shard->lag[topic];
    tagd_buf_add_z(out, "{\"topic\":");
    tagd_buf_add_json(out, tagd_str_of(info->topics[topic]));
    add_count(out, "next_offset", next);
    add_count(out, "end_offset", next < 0 || lag < 0 ? -1 : next + lag);
    add_count(out, "lag_records", lag);
    tagd_buf_printf(out, ",\"open_transaction_seconds\":%.3f}", (double)shard->open_ms[topic] / 1000);
}

static void add_shard(const struct tagd_metrics_info *info, const struct row *row, struct tagd_buf *out)
{
    const struct tagd_shard_stats *stats = &row->shard->stats;
    tagd_buf_printf(out, "{\"shard\":%" PRIu32 ",\"status\":\"%s\",\"worker\":%zu", stats->shard,
                    tagd_shard_status_name(tagd_shard_status_at(stats, info->mono_ms)), row->worker);
    tagd_buf_printf(out, ",\"fence\":%" PRIu64 ",\"batch\":%" PRIu64, stats->fence, stats->batch);
    add_time(out, "watermark", stats->watermark_ms);
    add_time(out, "next_timer", stats->next_due_ms);
    add_count(out, "lag_records", tagd_metrics_lag_records(row->shard, info->n_topics));
    if (stats->watermark_ms == INT64_MIN)
        tagd_buf_add_z(out, ",\"lag_seconds\":null");
    else
        tagd_buf_printf(out, ",\"lag_seconds\":%.3f", (double)(info->wall_ms - stats->watermark_ms) / 1000);
    tagd_buf_add_z(out, ",\"topics\":[");
    for (size_t topic = 0; topic < info->n_topics; topic++) {
        if (topic > 0)
            tagd_buf_add_byte(out, ',');
        add_topic(info, row->shard, topic, out);
    }
    tagd_buf_add_z(out, "]}");
}

void tagd_shards_json(const struct tagd_metrics_info *info, const char *instance,
                      const struct tagd_metrics_worker *workers, size_t n, struct tagd_watch *watch,
                      struct tagd_buf *out)
{
    size_t n_rows = 0;
    for (size_t i = 0; i < n; i++)
        n_rows += workers[i].n_shards;
    struct row *rows = tagd_xcalloc(n_rows + 1, sizeof(*rows));
    n_rows = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < workers[i].n_shards; k++)
            rows[n_rows++] = (struct row){i, &workers[i].shards[k]};
    qsort(rows, n_rows, sizeof(*rows), by_number);
    tagd_buf_add_z(out, "{\"group\":");
    tagd_buf_add_json(out, tagd_str_of(info->group));
    tagd_buf_add_z(out, ",\"instance\":");
    tagd_buf_add_json(out, tagd_str_of(instance));
    add_time(out, "as_of", info->wall_ms);
    tagd_buf_add_z(out, ",\"held\":");
    tagd_watch_json(watch, out);
    tagd_buf_add_z(out, ",\"shards\":[");
    for (size_t i = 0; i < n_rows; i++) {
        tagd_buf_add_z(out, i > 0 ? ",\n" : "\n");
        add_shard(info, &rows[i], out);
    }
    tagd_buf_add_z(out, "\n]}\n");
    free(rows);
}
