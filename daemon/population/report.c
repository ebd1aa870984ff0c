#include "population/population.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compiled.h"

/* ---- in order ---- */

static int by_rank(const void *left, const void *right)
{
    const struct tagd_ranked *a = left, *b = right;
    if (a->set != b->set)
        return a->set < b->set ? -1 : 1;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return tagd_str_cmp(a->member, b->member);
}

struct tagd_ranked *tagd_counts_rank(const struct tagd_counts *counts, size_t *n)
{
    struct tagd_ranked *ranked = tagd_xmalloc((counts->n + 1) * sizeof(*ranked));
    *n = 0;
    for (size_t i = 0; i < counts->n; i++)
        if (counts->at[i].value != 0)
            ranked[(*n)++] =
                (struct tagd_ranked){counts->at[i].set, counts->at[i].value, tagd_counts_member(counts, i)};
    qsort(ranked, *n, sizeof(*ranked), by_rank);
    return ranked;
}

struct report {
    const struct tagd_catalog *catalog;
    const struct tagd_counts *sums;
    const struct tagd_population_query *query;
    struct tagd_ranked *ranked;
    size_t n_ranked;
    struct tagd_buf *out;
};

/* The set's counts: from the returned one on, *n of them. */
static const struct tagd_ranked *ranked_of(const struct report *report, int64_t set, size_t *n)
{
    size_t low = 0, high = report->n_ranked;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (report->ranked[middle].set < set)
            low = middle + 1;
        else
            high = middle;
    }
    for (*n = 0; low + *n < report->n_ranked && report->ranked[low + *n].set == set;)
        ++*n;
    return &report->ranked[low];
}

static int64_t in_all(const struct report *report, int64_t set)
{
    struct tagd_buf name = {0};
    tagd_set_name(report->catalog, set, &name);
    int64_t count = tagd_counts_get(report->sums, TAGD_SET_ALL, (struct tagd_str){name.p, name.n});
    tagd_buf_free(&name);
    return count;
}

static bool asked(const struct report *report, size_t dimension)
{
    return report->query->dimension < 0 || (size_t)report->query->dimension == dimension;
}

static bool is_alert(const struct report *report, size_t dimension)
{
    return report->catalog->dimensions[dimension].kind == TAGD_KIND_ALERT;
}

static void add_label(struct tagd_buf *out, const char *label)
{
    tagd_buf_printf(out, "\"label\":%s", label == NULL ? "null" : label);
}

static void begin_member(struct report *report, bool *first, const char *name)
{
    if (!*first)
        tagd_buf_add_byte(report->out, ',');
    *first = false;
    tagd_buf_add_json(report->out, tagd_str_of(name));
    tagd_buf_add_byte(report->out, ':');
}

/* ---- dimensions and alerts ---- */

static void add_tag(struct tagd_buf *out, bool first, struct tagd_str tag, const char *label, int64_t customers)
{
    tagd_buf_add_z(out, first ? "{\"tag\":" : ",{\"tag\":");
    tagd_buf_add_json(out, tag);
    tagd_buf_add_byte(out, ',');
    add_label(out, label);
    tagd_buf_printf(out, ",\"customers\":%" PRId64 "}", customers);
}

/* The tags; returns how many customers the listed ones have. */
static int64_t add_tags(struct report *report, size_t d)
{
    const struct tagd_dimension *dimension = &report->catalog->dimensions[d];
    int64_t listed = 0;
    for (uint32_t i = 0; i < dimension->n_rules && !dimension->is_value; i++) {
        struct tagd_str tag = tagd_str_of(dimension->rules[i].tag);
        int64_t customers = tagd_counts_get(report->sums, tagd_set_dimension(d), tag);
        add_tag(report->out, i == 0, tag, dimension->rules[i].label, customers);
        listed += customers;
    }
    size_t n = 0;
    const struct tagd_ranked *ranked = dimension->is_value ? ranked_of(report, tagd_set_dimension(d), &n) : NULL;
    for (size_t i = 0; i < n && i < report->query->tags_max; i++) {
        add_tag(report->out, i == 0, ranked[i].member, NULL, ranked[i].value);
        listed += ranked[i].value;
    }
    return listed;
}

static void add_dimension(struct report *report, size_t d, int64_t customers)
{
    struct tagd_buf *out = report->out;
    int64_t tagged = in_all(report, tagd_set_dimension(d));
    tagd_buf_add_byte(out, '{');
    add_label(out, report->catalog->dimensions[d].label);
    tagd_buf_printf(out, ",\"customers\":%" PRId64 ",\"none\":%" PRId64 ",\"tags\":[", tagged, customers - tagged);
    int64_t listed = add_tags(report, d);
    tagd_buf_printf(out, "],\"others\":%" PRId64 "}", tagged > listed ? tagged - listed : 0);
}

static void add_dimensions(struct report *report, int64_t customers)
{
    bool first = true;
    tagd_buf_add_z(report->out, ",\"dimensions\":{");
    for (size_t d = 0; d < report->catalog->n_dimensions; d++) {
        if (is_alert(report, d) || !asked(report, d))
            continue;
        begin_member(report, &first, report->catalog->dimensions[d].name);
        add_dimension(report, d, customers);
    }
    first = true;
    tagd_buf_add_z(report->out, "},\"alerts\":{");
    for (size_t d = 0; d < report->catalog->n_dimensions; d++) {
        if (!is_alert(report, d) || !asked(report, d))
            continue;
        begin_member(report, &first, report->catalog->dimensions[d].name);
        tagd_buf_add_byte(report->out, '{');
        add_label(report->out, report->catalog->dimensions[d].label);
        tagd_buf_printf(report->out, ",\"raised\":%" PRId64 "}", in_all(report, tagd_set_dimension(d)));
    }
    tagd_buf_add_byte(report->out, '}');
}

/* ---- pairs ---- */

bool tagd_pair_member(struct tagd_str member, struct tagd_str *first, struct tagd_str *second)
{
    size_t n = 0, at = 0;
    for (; at < member.n && at < 6 && member.p[at] >= '0' && member.p[at] <= '9'; at++)
        n = n * 10 + (size_t)(member.p[at] - '0');
    if (at == 0 || at >= member.n || member.p[at] != '|' || member.n - at - 1 < n + 1 || member.p[at + 1 + n] != '|')
        return false;
    *first = (struct tagd_str){member.p + at + 1, n};
    *second = (struct tagd_str){member.p + at + n + 2, member.n - at - n - 2};
    return true;
}

static void add_breakdown(struct report *report, size_t i)
{
    const struct tagd_breakdown *pair = &report->catalog->breakdowns[i];
    struct tagd_buf *out = report->out;
    struct tagd_str first, second;
    size_t n;
    int64_t set = tagd_set_breakdown(report->catalog, i), customers = in_all(report, set), listed = 0;
    const struct tagd_ranked *ranked = ranked_of(report, set, &n);
    tagd_buf_printf(out, "{\"dimensions\":[\"%s\",\"%s\"],\"customers\":%" PRId64 ",\"counts\":[",
                    report->catalog->dimensions[pair->a].name, report->catalog->dimensions[pair->b].name, customers);
    bool any = false;
    for (size_t k = 0; k < n && k < report->query->tags_max; k++) {
        if (!tagd_pair_member(ranked[k].member, &first, &second))
            continue;
        tagd_buf_add_z(out, any ? ",{\"tags\":[" : "{\"tags\":[");
        any = true;
        tagd_buf_add_json(out, first);
        tagd_buf_add_byte(out, ',');
        tagd_buf_add_json(out, second);
        tagd_buf_printf(out, "],\"customers\":%" PRId64 "}", ranked[k].value);
        listed += ranked[k].value;
    }
    tagd_buf_printf(out, "],\"others\":%" PRId64 "}", customers > listed ? customers - listed : 0);
}

static void add_breakdowns(struct report *report)
{
    bool first = true;
    if (report->query->breakdown == TAGD_NO_BREAKDOWN)
        return;
    tagd_buf_add_z(report->out, ",\"breakdowns\":[");
    for (size_t i = 0; i < report->catalog->n_breakdowns; i++) {
        if (report->query->breakdown >= 0 && (size_t)report->query->breakdown != i)
            continue;
        if (!first)
            tagd_buf_add_byte(report->out, ',');
        first = false;
        add_breakdown(report, i);
    }
    tagd_buf_add_byte(report->out, ']');
}

/* ---- days ---- */

bool tagd_day_member(const struct tagd_catalog *catalog, struct tagd_str member, size_t *dimension,
                     struct tagd_str *tag, bool *came)
{
    struct tagd_str name = {member.p + 1, member.n - 1};
    *tag = (struct tagd_str){NULL, 0};
    if (member.n < 2 || (member.p[0] != '+' && member.p[0] != '-'))
        return false;
    const char *bar = memchr(name.p, '|', name.n);
    if (bar != NULL) {
        *tag = (struct tagd_str){bar + 1, (size_t)(name.p + name.n - bar - 1)};
        name.n = (size_t)(bar - name.p);
    }
    bool alert = name.n > 6 && memcmp(name.p, "alert:", 6) == 0;
    if (alert)
        name = (struct tagd_str){name.p + 6, name.n - 6};
    *came = member.p[0] == '+';
    for (*dimension = 0; *dimension < catalog->n_dimensions; ++*dimension)
        if ((catalog->dimensions[*dimension].kind == TAGD_KIND_ALERT) == alert &&
            tagd_str_eq(tagd_str_of(catalog->dimensions[*dimension].name), name))
            return true;
    return false;
}

struct row { /* of a day: a dimension, and one of its tags or (p NULL) all of them */
    int64_t day;
    size_t dimension;
    struct tagd_str tag;
    int64_t entries, exits;
};

static int by_row(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    if (a->day != b->day)
        return a->day < b->day ? -1 : 1;
    if (a->dimension != b->dimension)
        return a->dimension < b->dimension ? -1 : 1;
    if ((a->tag.p == NULL) != (b->tag.p == NULL))
        return a->tag.p == NULL ? -1 : 1;
    return tagd_str_cmp(a->tag, b->tag);
}

static bool same_row(const struct row *a, const struct row *b)
{
    return by_row(a, b) == 0;
}

/* Those of the days asked for, in order; the entries and the exits of one tag in one row. */
static struct row *rows_of(const struct report *report, int64_t last, size_t *n)
{
    struct row *rows = tagd_xmalloc((report->n_ranked + 1) * sizeof(*rows));
    size_t n_all = 0;
    for (size_t i = 0; i < report->n_ranked && last != INT64_MIN; i++) {
        const struct tagd_ranked *from = &report->ranked[i];
        struct row *row = &rows[n_all];
        bool came;
        int64_t day;
        if (!tagd_set_is_day(from->set, &day) || day <= last - report->query->days || day > last ||
            !tagd_day_member(report->catalog, from->member, &row->dimension, &row->tag, &came) ||
            !asked(report, row->dimension))
            continue;
        row->day = day;
        row->entries = came ? from->value : 0;
        row->exits = came ? 0 : from->value;
        n_all++;
    }
    qsort(rows, n_all, sizeof(*rows), by_row);
    *n = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (*n > 0 && same_row(&rows[*n - 1], &rows[i])) {
            rows[*n - 1].entries += rows[i].entries;
            rows[*n - 1].exits += rows[i].exits;
        } else {
            rows[(*n)++] = rows[i];
        }
    }
    return rows;
}

/* One dimension on one day: rows from `rows` on. Returns how many they are. */
static size_t add_day_dimension(struct report *report, const struct row *rows, size_t n_left)
{
    struct tagd_buf *out = report->out;
    int64_t entries = 0, exits = 0;
    size_t n = 0, listed = 0;
    while (n < n_left && rows[n].day == rows->day && rows[n].dimension == rows->dimension) {
        entries += rows[n].entries;
        exits += rows[n++].exits;
    }
    if (is_alert(report, rows->dimension)) {
        tagd_buf_printf(out, "{\"raised\":%" PRId64 ",\"cleared\":%" PRId64 "}", entries, exits);
        return n;
    }
    tagd_buf_printf(out, "{\"entries\":%" PRId64 ",\"exits\":%" PRId64, entries, exits);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].tag.p == NULL)
            continue;
        tagd_buf_add_z(out, listed++ == 0 ? ",\"tags\":[{\"tag\":" : ",{\"tag\":");
        tagd_buf_add_json(out, rows[i].tag);
        tagd_buf_printf(out, ",\"entries\":%" PRId64 ",\"exits\":%" PRId64 "}", rows[i].entries, rows[i].exits);
    }
    tagd_buf_add_z(out, listed > 0 ? "]}" : "}");
    return n;
}

/* All of one day, the dimensions or the alerts. */
static void add_day_part(struct report *report, const struct row *rows, size_t n, bool alerts)
{
    bool first = true;
    for (size_t i = 0; i < n;) {
        if (is_alert(report, rows[i].dimension) != alerts) {
            i++;
            continue;
        }
        begin_member(report, &first, report->catalog->dimensions[rows[i].dimension].name);
        i += add_day_dimension(report, &rows[i], n - i);
    }
}

static void add_days(struct report *report, int64_t last)
{
    size_t n, n_day;
    char text[TAGD_TIME_TEXT];
    if (report->query->days == 0)
        return;
    struct row *rows = rows_of(report, last, &n);
    tagd_buf_add_z(report->out, ",\"days\":[");
    for (size_t i = 0; i < n; i += n_day) {
        for (n_day = 0; i + n_day < n && rows[i + n_day].day == rows[i].day;)
            n_day++;
        text[tagd_date_format(rows[i].day, text)] = '\0';
        tagd_buf_printf(report->out, "%s{\"day\":\"%s\",\"dimensions\":{", i == 0 ? "" : ",", text);
        add_day_part(report, &rows[i], n_day, false);
        tagd_buf_add_z(report->out, "},\"alerts\":{");
        add_day_part(report, &rows[i], n_day, true);
        tagd_buf_add_z(report->out, "}}");
    }
    tagd_buf_add_byte(report->out, ']');
    free(rows);
}

/* ---- months ---- */

struct tagd_cohort tagd_goal_cohort(const struct tagd_catalog *catalog, const struct tagd_counts *sums, size_t goal,
                                    int64_t month, bool holdout)
{
    struct tagd_cohort cohort = {{0}};
    struct tagd_buf name = {0};
    for (int outcome = TAGD_GOAL_NONE; outcome <= TAGD_GOAL_MISSED; outcome++) {
        name.n = 0;
        tagd_goal_member_name(catalog, goal, (enum tagd_goal_outcome)outcome, holdout, &name);
        cohort.n[outcome] = tagd_counts_get(sums, tagd_set_month(month), (struct tagd_str){name.p, name.n});
    }
    tagd_buf_free(&name);
    return cohort;
}

/* Ends are counted in the month of their beginning, which may not have been counted: months began to be later, or `holdout`
 * was another one. */
static bool adds_up(const struct tagd_cohort *cohort)
{
    return cohort->n[TAGD_GOAL_REACHED] + cohort->n[TAGD_GOAL_MISSED] <= cohort->n[TAGD_GOAL_NONE];
}

int64_t tagd_cohort_running(const struct tagd_cohort *cohort)
{
    return adds_up(cohort) ? cohort->n[TAGD_GOAL_NONE] - cohort->n[TAGD_GOAL_REACHED] - cohort->n[TAGD_GOAL_MISSED] : 0;
}

double tagd_cohort_rate(const struct tagd_cohort *cohort)
{
    int64_t began = cohort->n[TAGD_GOAL_NONE];
    return began == 0 || !adds_up(cohort) ? NAN : (double)cohort->n[TAGD_GOAL_REACHED] / (double)began;
}

static void add_cohort(struct tagd_buf *out, const char *name, const struct tagd_cohort *cohort)
{
    tagd_buf_printf(out, ",\"%s\":{", name);
    for (int outcome = TAGD_GOAL_NONE; outcome <= TAGD_GOAL_MISSED; outcome++)
        tagd_buf_printf(out, "%s\"%s\":%" PRId64, outcome == 0 ? "" : ",",
                        tagd_goal_outcome_name((enum tagd_goal_outcome)outcome), cohort->n[outcome]);
    tagd_buf_add_byte(out, '}');
}

/* Months in which the goal began for somebody. */
static void add_goal(struct report *report, size_t g, int64_t last)
{
    const struct tagd_goal *goal = tagd_catalog_goal(report->catalog, g);
    struct tagd_buf *out = report->out;
    bool first = true;
    tagd_buf_add_byte(out, '{');
    add_label(out, goal->label);
    tagd_buf_printf(out, ",\"start\":\"%s.%s\",\"target\":", tagd_catalog_dimension(report->catalog, goal->dimension),
                    tagd_catalog_tag(report->catalog, goal->dimension, goal->tag));
    if (goal->target < 0)
        tagd_buf_add_z(out, "null");
    else
        tagd_buf_add_decimal(out, goal->target);
    tagd_buf_add_z(out, ",\"months\":[");
    for (int64_t month = last - report->query->months + 1; month <= last; month++) {
        struct tagd_cohort treated = tagd_goal_cohort(report->catalog, report->sums, g, month, false),
                           holdout = tagd_goal_cohort(report->catalog, report->sums, g, month, true);
        char text[TAGD_TIME_TEXT];
        if (treated.n[TAGD_GOAL_NONE] == 0 && holdout.n[TAGD_GOAL_NONE] == 0)
            continue;
        tagd_month_format(month, text);
        tagd_buf_printf(out, "%s{\"month\":\"%s\"", first ? "" : ",", text);
        first = false;
        add_cohort(out, "treated", &treated);
        add_cohort(out, "holdout", &holdout);
        tagd_buf_add_byte(out, '}');
    }
    tagd_buf_add_z(out, "]}");
}

static void add_goals(struct report *report, int64_t present)
{
    bool first = true;
    if (report->query->months == 0)
        return;
    tagd_buf_add_z(report->out, ",\"goals\":{");
    for (size_t g = 0; g < tagd_catalog_n_goals(report->catalog); g++) {
        begin_member(report, &first, tagd_catalog_goal(report->catalog, g)->name);
        add_goal(report, g, present == INT64_MIN ? 0 : tagd_month_of(present));
    }
    tagd_buf_add_byte(report->out, '}');
}

/* ---- all of it ---- */

static void add_head(struct report *report, const struct tagd_population_info *info, int64_t customers)
{
    struct tagd_buf *out = report->out;
    char text[TAGD_TIME_TEXT];
    tagd_buf_add_z(out, "{\"group\":");
    if (info->group != NULL)
        tagd_buf_add_json(out, tagd_str_of(info->group));
    else
        tagd_buf_add_z(out, "null");
    tagd_buf_add_z(out, ",\"catalog\":");
    struct tagd_buf name = {0};
    tagd_buf_printf(&name, "%s@%s", report->catalog->name, report->catalog->version);
    tagd_buf_add_json(out, (struct tagd_str){name.p, name.n});
    tagd_buf_free(&name);
    tagd_buf_add_z(out, ",\"as_of\":");
    if (info->as_of_ms == INT64_MIN)
        tagd_buf_add_z(out, "null");
    else
        tagd_buf_add_json(out, (struct tagd_str){text, tagd_time_format(info->as_of_ms, text)});
    tagd_buf_printf(out, ",\"shards\":%" PRIu32 ",\"uncounted\":%" PRIu32 ",\"customers\":%" PRId64, info->shards,
                    info->uncounted, customers);
}

void tagd_population_report(const struct tagd_catalog *catalog, const struct tagd_counts *sums,
                            const struct tagd_population_query *query, const struct tagd_population_info *info,
                            struct tagd_buf *out)
{
    struct report report = {.catalog = catalog, .sums = sums, .query = query, .out = out};
    int64_t customers = tagd_counts_get(sums, TAGD_SET_ALL, TAGD_STR("customers"));
    report.ranked = tagd_counts_rank(sums, &report.n_ranked);
    add_head(&report, info, customers);
    add_dimensions(&report, customers);
    add_breakdowns(&report);
    int64_t present = tagd_population_day(catalog, info->as_of_ms, INT64_MIN);
    add_days(&report, present);
    add_goals(&report, present);
    tagd_buf_add_byte(out, '}');
    free(report.ranked);
}
