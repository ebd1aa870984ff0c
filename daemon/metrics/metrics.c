#include "metrics/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define WORKER(field) offsetof(struct tagd_worker_stats, field), false
#define IO(field) offsetof(struct tagd_io_stats, field), true

struct counter {
    const char *name, *label, *help; /* help NULL: another line of the family before */
    size_t offset;
    bool io;
    const char *type;
};

static const struct counter counters[] = {
    {"tagd_records_total", "", "Records read from the source topics.", WORKER(records), "counter"},
    {"tagd_events_total", "", "Events applied to customers.", WORKER(events), "counter"},
    {"tagd_duplicates_total", "", "Events ignored as duplicates.", WORKER(duplicates), "counter"},
    {"tagd_ignored_total", "{reason=\"undeclared\"}",
     "Records of types the catalog does not declare, and events before the time up to which history was imported.",
     WORKER(ignored), "counter"},
    {"tagd_ignored_total", "{reason=\"before_baseline\"}", NULL, WORKER(ignored_history), "counter"},
    {"tagd_undeclared_attributes_total", "", "Attributes of profile.updated the catalog does not declare; ignored.",
     WORKER(undeclared_attributes), "counter"},
    {"tagd_late_total", "", "Events behind their customer's clock.", WORKER(late), "counter"},
    {"tagd_tag_changes_total", "{origin=\"event\"}", "Tag changes, by what brought them about.", WORKER(changes_event),
     "counter"},
    {"tagd_tag_changes_total", "{origin=\"time\"}", NULL, WORKER(changes_time), "counter"},
    {"tagd_tag_changes_total", "{origin=\"manual\"}", NULL, WORKER(changes_manual), "counter"},
    {"tagd_tag_changes_total", "{origin=\"review\"}", NULL, WORKER(changes_review), "counter"},
    {"tagd_tag_changes_total", "{origin=\"repair\"}", NULL, WORKER(repair_changes), "counter"},
    {"tagd_alerts_total", "{change=\"raised\"}", "Alerts raised and cleared.", WORKER(alerts_raised), "counter"},
    {"tagd_alerts_total", "{change=\"cleared\"}", NULL, WORKER(alerts_cleared), "counter"},
    {"tagd_proposals_total", "", "Tags proposed for review.", WORKER(proposals[TAGD_PROPOSAL_OPEN]), "counter"},
    {"tagd_proposals_closed_total", "{status=\"approved\"}", "Proposals closed, by what became of them.",
     WORKER(proposals[TAGD_PROPOSAL_APPROVED]), "counter"},
    {"tagd_proposals_closed_total", "{status=\"rejected\"}", NULL, WORKER(proposals[TAGD_PROPOSAL_REJECTED]),
     "counter"},
    {"tagd_proposals_closed_total", "{status=\"withdrawn\"}", NULL, WORKER(proposals[TAGD_PROPOSAL_WITHDRAWN]),
     "counter"},
    {"tagd_proposals_closed_total", "{status=\"expired\"}", NULL, WORKER(proposals[TAGD_PROPOSAL_EXPIRED]), "counter"},
    {"tagd_stale_reviews_total", "", "Decisions about proposals that were not open (any more); nothing changed.",
     WORKER(stale_reviews), "counter"},
    {"tagd_limit_total", "{limit=\"panes\"}", "Times a limit of a customer was reached.", WORKER(limit_panes),
     "counter"},
    {"tagd_limit_total", "{limit=\"values\"}", NULL, WORKER(limit_values), "counter"},
    {"tagd_limit_total", "{limit=\"dedupe_ids\"}", NULL, WORKER(limit_dedupe_ids), "counter"},
    {"tagd_limit_total", "{limit=\"chases\"}", NULL, WORKER(limit_chases), "counter"},
    {"tagd_batches_total", "", "Batches committed to Redis.", WORKER(batches), "counter"},
    {"tagd_batch_records_total", "", "Records in the batches committed to Redis.", WORKER(batch_records), "counter"},
    {"tagd_profiles_loaded_total", "{from=\"cache\"}", "Profiles that batches asked for, by where they were.",
     WORKER(cache_hits), "counter"},
    {"tagd_profiles_loaded_total", "{from=\"redis\"}", NULL, WORKER(cache_misses), "counter"},
    {"tagd_cache_bytes", "", "Memory of the profiles kept in the daemon.", WORKER(cache_bytes), "gauge"},
    {"tagd_cache_customers", "", "Customers whose profiles are kept in the daemon.", WORKER(cache_customers), "gauge"},
    {"tagd_commits_total", "{outcome=\"fenced\"}", "Commits to Redis that were not simply done.",
     WORKER(commits_fenced), "counter"},
    {"tagd_commits_total", "{outcome=\"refused\"}", NULL, WORKER(commits_refused), "counter"},
    {"tagd_commits_total", "{outcome=\"unknown\"}", NULL, WORKER(commits_unknown), "counter"},
    {"tagd_publishes_total", "{outcome=\"aborted\"}", "Publications to Kafka that were not simply done.",
     WORKER(publish_aborted), "counter"},
    {"tagd_publishes_total", "{outcome=\"unknown\"}", NULL, WORKER(publish_unknown), "counter"},
    {"tagd_publishes_total", "{outcome=\"fenced\"}", NULL, WORKER(publish_fenced), "counter"},
    {"tagd_takeovers_total", "{found=\"new\"}", "Shards taken over, by what was found.", WORKER(takeover_new),
     "counter"},
    {"tagd_takeovers_total", "{found=\"level\"}", NULL, WORKER(takeover_level), "counter"},
    {"tagd_takeovers_total", "{found=\"outbox\"}", NULL, WORKER(takeover_outbox), "counter"},
    {"tagd_takeovers_total", "{found=\"refused\"}", NULL, WORKER(takeover_refused), "counter"},
    {"tagd_takeover_outbox_batches_total", "", "Batches published from the outbox at takeovers.",
     WORKER(takeover_outbox_batches), "counter"},
    {"tagd_takeover_owners_ended_total", "", "Other owners' transactional ids ended at takeovers.", IO(owners_ended),
     "counter"},
    {"tagd_data_gaps_total", "", "Gaps in the sources that were passed over (on_data_gap: continue).",
     WORKER(data_gaps), "counter"},
    {"tagd_repairs_begun_total", "", "Shards whose repair, or rebuild, began: Redis was behind what was published.",
     WORKER(repairs_begun), "counter"},
    {"tagd_repairs_total", "", "Shards whose repair, or rebuild, is over.", WORKER(repairs), "counter"},
    {"tagd_repair_records_total", "", "Records read again by repairs, with nothing published.", WORKER(repair_records),
     "counter"},
    {"tagd_repair_customers_total", "", "Customers compared with what was published of them, by repairs.",
     WORKER(repair_told), "counter"},
    {"tagd_populations_counted_total", "",
     "Shards whose customers were counted anew: the catalog's breakdowns are others, or an earlier version made them.",
     WORKER(populations_counted), "counter"},
    {"tagd_audits_total", "", "Comparisons of a running shard's state in Redis with Kafka's committed batch.",
     WORKER(audits), "counter"},
    {"tagd_audit_mismatches_total", "", "Comparisons that found a difference; the shard was taken over again.",
     WORKER(audit_mismatches), "counter"},
    {"tagd_trials_total", "", "Records tried out in a process of their own, since an earlier owner had died.",
     WORKER(trials), "counter"},
    {"tagd_assignments_total", "", "Assignments received from the consumer group.", IO(assignments), "counter"},
    {"tagd_assignments_lost_total", "", "Assignments lost without a word.", IO(lost), "counter"},
    {"tagd_kafka_producers_total", "", "Kafka producers made, the first of each worker included.", IO(producers),
     "counter"},
    {"tagd_kafka_tainted_total", "", "Transactions whose end was sent more than once or not answered.", IO(tainted),
     "counter"},
    {"tagd_redis_connects_total", "", "Connections to Redis made, the first of each worker included.",
     IO(redis_connects), "counter"},
    {"tagd_dead_letters_truncated_total", "", "Dead letters cut to the broker's limit.", IO(truncated), "counter"},
    {"tagd_outputs_redelivered_total", "",
     "At least once: outputs sent again since nobody knew whether they were there.", WORKER(outputs_redelivered),
     "counter"},
    {"tagd_offset_commits_failed_total", "", "At least once: commits of offsets to Kafka that failed.",
     WORKER(offsets_failed), "counter"},
    {"tagd_outputs_unacknowledged", "", "At least once: outputs sent and not acknowledged by Kafka yet.",
     WORKER(outputs_unacknowledged), "gauge"},
    {"tagd_bytes_unacknowledged", "", "At least once: bytes of keys and values of these.", WORKER(bytes_unacknowledged),
     "gauge"},
    {"tagd_shards_assigned", "", "Shards that are ours.", IO(shards_assigned), "gauge"},
    {"tagd_clock_parted", "", "Workers whose live time stands since the wall clock was set.", WORKER(clock_parted),
     "gauge"},
    {"tagd_held_batches", "", "Batches that are committed and not published, since outputs are held.",
     WORKER(held_batches), "gauge"},
    {"tagd_held_bytes", "", "Their bytes in the outboxes.", WORKER(held_bytes), "gauge"},
    {"tagd_shards_running", "", "Shards that are ours and run.", WORKER(shards_running), "gauge"},
    {"tagd_shards_repairing", "", "Shards that are ours and under repair: nothing new is published of them yet.",
     WORKER(shards_repairing), "gauge"},
};
#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t load_u64(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static uint64_t sum(const struct tagd_metrics_worker *workers, size_t n, size_t offset, bool io)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const char *base = io ? (const char *)workers[i].io : (const char *)workers[i].stats;
        total += load_u64((const uint64_t *)(const void *)(base + offset));
    }
    return total;
}

void tagd_metrics_head(struct tagd_buf *out, const char *name, const char *help, const char *type)
{
    tagd_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void tagd_metrics_label(struct tagd_buf *out, struct tagd_str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\\' || value.p[i] == '"')
            tagd_buf_add_byte(out, '\\');
        if (value.p[i] == '\n')
            tagd_buf_add_z(out, "\\n");
        else
            tagd_buf_add_byte(out, (unsigned char)value.p[i]);
    }
}

static void label(struct tagd_buf *out, const char *value)
{
    tagd_metrics_label(out, tagd_str_of(value));
}

static void write_dead_letters(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out)
{
    tagd_metrics_head(out, "tagd_dead_letters_total", "Records that went to the dead-letter topic, by code.",
                      "counter");
    for (int code = TAGD_EVENT_OK + 1; code < TAGD_EVENT_CODES; code++)
        tagd_buf_printf(
            out, "tagd_dead_letters_total{code=\"%s\"} %" PRIu64 "\n", tagd_event_code_name((enum tagd_event_code)code),
            sum(workers, n, offsetof(struct tagd_worker_stats, dead_letters) + (size_t)code * sizeof(uint64_t), false));
}

static void write_watermark(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        int64_t ms = __atomic_load_n(&workers[i].stats->watermark_min_ms, __ATOMIC_RELAXED);
        if (ms != INT64_MIN && ms < least && load_u64(&workers[i].stats->shards_running) > 0)
            least = ms;
    }
    if (least == INT64_MAX)
        return;
    tagd_metrics_head(out, "tagd_watermark_seconds", "The least watermark of the running shards, as Unix time.",
                      "gauge");
    tagd_buf_printf(out, "tagd_watermark_seconds %.3f\n", (double)least / 1000);
}

void tagd_metrics_write(const struct tagd_metrics_info *info, const struct tagd_metrics_worker *workers,
                        size_t n_workers, struct tagd_buf *out)
{
    tagd_metrics_head(out, "tagd_info", "What runs here.", "gauge");
    tagd_buf_add_z(out, "tagd_info{version=\"");
    label(out, info->version);
    tagd_buf_add_z(out, "\",group=\"");
    label(out, info->group);
    tagd_buf_add_z(out, "\",catalog=\"");
    label(out, info->catalog);
    tagd_buf_add_z(out, "\",hash=\"");
    label(out, info->catalog_hash);
    tagd_buf_add_z(out, "\"} 1\n");
    tagd_metrics_head(out, "tagd_workers", "Worker threads.", "gauge");
    tagd_buf_printf(out, "tagd_workers %zu\n", n_workers);
    for (size_t i = 0; i < N_COUNTERS; i++) {
        if (counters[i].help != NULL)
            tagd_metrics_head(out, counters[i].name, counters[i].help, counters[i].type);
        tagd_buf_printf(out, "%s%s %" PRIu64 "\n", counters[i].name, counters[i].label,
                        sum(workers, n_workers, counters[i].offset, counters[i].io));
    }
    write_dead_letters(workers, n_workers, out);
    write_watermark(workers, n_workers, out);
    tagd_metrics_shards(info, workers, n_workers, out);
    tagd_metrics_times(workers, n_workers, out);
    tagd_metrics_process(info, out);
}

void tagd_metrics_watch(const struct tagd_metrics_worker *workers, size_t n_workers,
                        struct tagd_metrics_watched out[TAGD_METRICS_WATCHED])
{
    static const struct {
        const char *name;
        bool warn;
        size_t offset;
        bool io;
    } watched[] = {
        {"shards taken over, new", false, WORKER(takeover_new)},
        {"shards taken over, store and topic level", false, WORKER(takeover_level)},
        {"shards taken over, outbox published", false, WORKER(takeover_outbox)},
        {"takeovers refused", true, WORKER(takeover_refused)},
        {"repairs begun: Redis was behind what was published", true, WORKER(repairs_begun)},
        {"repairs over", false, WORKER(repairs)},
        {"differences published by repairs", true, WORKER(repair_changes)},
        {"audits that found Redis and Kafka apart", true, WORKER(audit_mismatches)},
        {"records tried out in a process of their own, after an unclean end", false, WORKER(trials)},
        {"commits fenced: Redis no longer has the shard as it was left", true, WORKER(commits_fenced)},
        {"commits refused by Redis; trying again", true, WORKER(commits_refused)},
        {"commits with unknown outcome; comparing", true, WORKER(commits_unknown)},
        {"publications to Kafka failed; sending again", true, WORKER(publish_aborted)},
        {"Kafka transactions with unknown outcome; comparing", true, WORKER(publish_unknown)},
        {"Kafka transactions fenced", true, WORKER(publish_fenced)},
        {"outputs sent again", false, WORKER(outputs_redelivered)},
        {"gaps in the sources passed over", true, WORKER(data_gaps)},
        {"limits of profiles reached: panes", true, WORKER(limit_panes)},
        {"limits of profiles reached: values", true, WORKER(limit_values)},
        {"limits of profiles reached: dedupe ids", true, WORKER(limit_dedupe_ids)},
        {"rules that chase each other stopped", true, WORKER(limit_chases)},
    };
    size_t n = sizeof(watched) / sizeof(watched[0]);
    memset(out, 0, TAGD_METRICS_WATCHED * sizeof(*out));
    for (size_t i = 0; i < n && i < TAGD_METRICS_WATCHED; i++)
        out[i] = (struct tagd_metrics_watched){watched[i].name, watched[i].warn,
                                               sum(workers, n_workers, watched[i].offset, watched[i].io)};
}
