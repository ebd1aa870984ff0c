/* Customers by tag, and who came and went, as Prometheus text. Each process exports its own shards, so that the sum over
 * all processes is the group's. */
#include "metrics/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_alert(const struct tagd_catalog *catalog, size_t d)
{
    return tagd_catalog_kind(catalog, d) == TAGD_KIND_ALERT;
}

/* tag.p NULL: without one. */
static void line(struct tagd_buf *out, const char *name, const char *of, const char *dimension, struct tagd_str tag,
                 int64_t value)
{
    tagd_buf_printf(out, "%s{%s=\"%s\"", name, of, dimension);
    if (tag.p != NULL) {
        tagd_buf_add_z(out, ",tag=\"");
        tagd_metrics_label(out, tag);
        tagd_buf_add_byte(out, '"');
    }
    tagd_buf_printf(out, "} %" PRId64 "\n", value);
}

static const struct tagd_str no_tag = {NULL, 0};

static int64_t in_all(const struct tagd_catalog *catalog, const struct tagd_counts *sums, size_t d)
{
    struct tagd_buf name = {0};
    tagd_set_name(catalog, tagd_set_dimension(d), &name);
    int64_t count = tagd_counts_get(sums, TAGD_SET_ALL, (struct tagd_str){name.p, name.n});
    tagd_buf_free(&name);
    return count;
}

static void write_tags(const struct tagd_catalog *catalog, const struct tagd_counts *sums, struct tagd_buf *out)
{
    size_t n, left = 0;
    int64_t set = -1;
    tagd_metrics_head(out, "tagd_population", "Customers who carry the tag, of this process's shards.", "gauge");
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++)
        for (size_t i = 0; i < tagd_catalog_n_tags(catalog, d) && !is_alert(catalog, d); i++) {
            struct tagd_str tag = tagd_str_of(tagd_catalog_tag(catalog, d, i));
            line(out, "tagd_population", "dimension", tagd_catalog_dimension(catalog, d), tag,
                 tagd_counts_get(sums, tagd_set_dimension(d), tag));
        }
    struct tagd_ranked *ranked = tagd_counts_rank(sums, &n);
    for (size_t i = 0; i < n; i++) {
        size_t d = (size_t)ranked[i].set - 1;
        left = ranked[i].set != set ? TAGD_METRICS_TAGS_MAX : left;
        set = ranked[i].set;
        if (set < 1 || d >= tagd_catalog_n_dimensions(catalog) || !tagd_catalog_is_value(catalog, d) || left == 0)
            continue;
        left--;
        line(out, "tagd_population", "dimension", tagd_catalog_dimension(catalog, d), ranked[i].member,
             ranked[i].value);
    }
    free(ranked);
}

static void write_gauges(const struct tagd_catalog *catalog, const struct tagd_counts *sums, struct tagd_buf *out)
{
    int64_t customers = tagd_counts_get(sums, TAGD_SET_ALL, TAGD_STR("customers"));
    tagd_metrics_head(out, "tagd_customers", "Customers of this process's shards.", "gauge");
    tagd_buf_printf(out, "tagd_customers %" PRId64 "\n", customers);
    write_tags(catalog, sums, out);
    tagd_metrics_head(out, "tagd_untagged", "Customers of this process's shards who carry no tag in the dimension.",
                      "gauge");
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++)
        if (!is_alert(catalog, d))
            line(out, "tagd_untagged", "dimension", tagd_catalog_dimension(catalog, d), no_tag,
                 customers - in_all(catalog, sums, d));
    tagd_metrics_head(out, "tagd_alerts", "Customers of this process's shards for whom the alert is raised.", "gauge");
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++)
        if (is_alert(catalog, d))
            line(out, "tagd_alerts", "alert", tagd_catalog_dimension(catalog, d), no_tag, in_all(catalog, sums, d));
}

static void write_goals(const struct tagd_catalog *catalog, const struct tagd_counts *sums, int64_t as_of_ms,
                        struct tagd_buf *out)
{
    int64_t day = tagd_population_day(catalog, as_of_ms, INT64_MIN);
    tagd_metrics_head(
        out, "tagd_goals",
        "Goals of this process's shards by the month in which they began, and how many of those ended how by now.",
        "gauge");
    for (size_t g = 0; day != INT64_MIN && g < tagd_catalog_n_goals(catalog); g++)
        for (int64_t month = tagd_month_of(day) - TAGD_METRICS_MONTHS + 1; month <= tagd_month_of(day); month++)
            for (int holdout = 0; holdout <= 1; holdout++) {
                struct tagd_cohort cohort = tagd_goal_cohort(catalog, sums, g, month, holdout);
                char text[TAGD_TIME_TEXT];
                tagd_month_format(month, text);
                for (int i = TAGD_GOAL_NONE; i <= TAGD_GOAL_MISSED && cohort.n[TAGD_GOAL_NONE] > 0; i++)
                    tagd_buf_printf(out,
                                    "tagd_goals{goal=\"%s\",month=\"%s\",customers=\"%s\",state=\"%s\"} %" PRId64 "\n",
                                    tagd_catalog_goal(catalog, g)->name, text, holdout ? "holdout" : "treated",
                                    tagd_goal_outcome_name((enum tagd_goal_outcome)i), cohort.n[i]);
            }
}

static int64_t flowed(const struct tagd_flow *const *flows, size_t n, size_t d, size_t tag, bool entries)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += __atomic_load_n((entries ? flows[i]->entries : flows[i]->exits) + flows[i]->base[d] + tag,
                               __ATOMIC_RELAXED);
    return (int64_t)sum;
}

static void write_flow(const struct tagd_catalog *catalog, const struct tagd_flow *const *flows, size_t n, bool entries,
                       struct tagd_buf *out)
{
    const char *name = entries ? "tagd_tag_entries_total" : "tagd_tag_exits_total";
    tagd_metrics_head(out, name,
                      entries ? "How often a customer came to the tag; of a value to any, by any of them."
                              : "How often a customer left the tag; of a value any of them.",
                      "counter");
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        if (is_alert(catalog, d))
            continue;
        if (tagd_catalog_is_value(catalog, d))
            line(out, name, "dimension", tagd_catalog_dimension(catalog, d), no_tag, flowed(flows, n, d, 0, entries));
        for (size_t i = 0; i < tagd_catalog_n_tags(catalog, d); i++)
            line(out, name, "dimension", tagd_catalog_dimension(catalog, d),
                 tagd_str_of(tagd_catalog_tag(catalog, d, i)), flowed(flows, n, d, i, entries));
    }
    name = entries ? "tagd_alerts_raised_total" : "tagd_alerts_cleared_total";
    tagd_metrics_head(out, name, entries ? "How often the alert was raised." : "How often the alert was cleared.",
                      "counter");
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++)
        if (is_alert(catalog, d))
            line(out, name, "alert", tagd_catalog_dimension(catalog, d), no_tag, flowed(flows, n, d, 0, entries));
}

void tagd_metrics_population(const struct tagd_catalog *catalog, const struct tagd_counts *sums, int64_t as_of_ms,
                             const struct tagd_flow *const *flows, size_t n_flows, struct tagd_buf *out)
{
    if (sums != NULL) {
        write_gauges(catalog, sums, out);
        write_goals(catalog, sums, as_of_ms, out);
    }
    write_flow(catalog, flows, n_flows, true, out);
    write_flow(catalog, flows, n_flows, false, out);
}
