#include "metrics/metrics.h"

#include <inttypes.h>
#include <stddef.h>

static uint64_t load(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Of all workers together. label: "", or one pair. The counts are read once, so that buckets and count agree. */
static void write_histogram(const struct tagd_metrics_worker *workers, size_t n, size_t offset, const char *name,
                            const char *label, struct tagd_buf *out)
{
    uint64_t counts[TAGD_HISTOGRAM_BOUNDS + 1] = {0}, sum_us = 0, below = 0;
    const char *comma = label[0] == '\0' ? "" : ",";
    for (size_t w = 0; w < n; w++) {
        const struct tagd_histogram *of =
            (const struct tagd_histogram *)(const void *)((const char *)workers[w].stats + offset);
        for (size_t i = 0; i <= TAGD_HISTOGRAM_BOUNDS; i++)
            counts[i] += load(&of->counts[i]);
        sum_us += load(&of->sum_us);
    }
    for (size_t i = 0; i < TAGD_HISTOGRAM_BOUNDS; i++) {
        below += counts[i];
        tagd_buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, label, comma,
                        (double)tagd_histogram_bounds_us[i] / 1e6, below);
    }
    below += counts[TAGD_HISTOGRAM_BOUNDS];
    tagd_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label, comma, below);
    tagd_buf_printf(out, "%s_sum%s%s%s %.6f\n", name, label[0] == '\0' ? "" : "{", label, label[0] == '\0' ? "" : "}",
                    (double)sum_us / 1e6);
    tagd_buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", name, label[0] == '\0' ? "" : "{", label,
                    label[0] == '\0' ? "" : "}", below);
}

static void write_steps(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out)
{
    tagd_metrics_head(out, "tagd_worker_step_age_seconds", "Since a worker began its last step: large if it is stuck.",
                      "gauge");
    for (size_t w = 0; w < n; w++)
        tagd_buf_printf(out, "tagd_worker_step_age_seconds{worker=\"%zu\"} %.3f\n", w,
                        (double)workers[w].step_ms / 1000);
}

void tagd_metrics_times(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out)
{
    static const char *const stages[TAGD_STAGES] = {"stage=\"load\"", "stage=\"apply\"", "stage=\"commit\"",
                                                    "stage=\"publish\""};
    tagd_metrics_head(out, "tagd_stage_duration_seconds",
                      "What each stage of a batch takes: reading profiles, applying events and time, committing to "
                      "Redis, publishing to Kafka.",
                      "histogram");
    for (size_t i = 0; i < TAGD_STAGES; i++)
        write_histogram(workers, n, offsetof(struct tagd_worker_stats, stages) + i * sizeof(struct tagd_histogram),
                        "tagd_stage_duration_seconds", stages[i], out);
    tagd_metrics_head(out, "tagd_batch_latency_seconds",
                      "From the timestamp of a batch's oldest record until the batch is published.", "histogram");
    write_histogram(workers, n, offsetof(struct tagd_worker_stats, latency), "tagd_batch_latency_seconds", "", out);
    tagd_metrics_head(out, "tagd_timer_lateness_seconds",
                      "How long after its instant, and grace, a change that time makes is recorded, while all is read.",
                      "histogram");
    write_histogram(workers, n, offsetof(struct tagd_worker_stats, lateness), "tagd_timer_lateness_seconds", "", out);
    write_steps(workers, n, out);
}
