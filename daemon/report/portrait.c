/* What the counts say, put together dimension by dimension; and what a walk over the profiles adds. */
#include "report/report.h"

#include <math.h>
#include <stdlib.h>

#include "catalog/compiled.h"

struct build {
    struct tagd_portrait *portrait;
    const struct tagd_counts *sums;
    struct tagd_ranked *ranked;
    size_t n_ranked;
    size_t n_days;
};

static struct tagd_str label_or(const struct build *build, const char *label, struct tagd_str name)
{
    struct tagd_str text = tagd_label_in(label, build->portrait->language, &build->portrait->arena);
    return text.p != NULL ? text : name;
}

static int64_t in_all(const struct build *build, size_t d)
{
    struct tagd_buf name = {0};
    tagd_set_name(build->portrait->catalog, tagd_set_dimension(d), &name);
    int64_t count = tagd_counts_get(build->sums, TAGD_SET_ALL, (struct tagd_str){name.p, name.n});
    tagd_buf_free(&name);
    return count;
}

static struct tagd_str kept(const struct build *build, struct tagd_str text)
{
    return tagd_arena_copy(&build->portrait->arena, text.p, text.n);
}

/* ---- dimensions ---- */

static struct tagd_portrait_row *add_row(struct build *build, struct tagd_portrait_dimension *of, struct tagd_str tag,
                                         const char *label)
{
    struct tagd_arena *arena = &build->portrait->arena;
    struct tagd_portrait_row *row = &of->rows[of->n_rows++];
    row->tag = kept(build, tag);
    row->label_json = label;
    row->label = label_or(build, label, tag.n > 0 ? row->tag : TAGD_STR("\"\""));
    row->customers = tagd_counts_get(build->sums, tagd_set_dimension(of->dimension), tag);
    row->by_day = build->portrait->catalog->dimensions[of->dimension].by_day;
    row->history = tagd_arena_zalloc(arena, (build->n_days + 1) * sizeof(*row->history));
    row->figures = tagd_arena_zalloc(arena, (build->portrait->n_measures + 1) * sizeof(*row->figures));
    return row;
}

static void add_rows(struct build *build, struct tagd_portrait_dimension *of)
{
    const struct tagd_dimension *dimension = &build->portrait->catalog->dimensions[of->dimension];
    size_t most = dimension->is_value ? TAGD_REPORT_VALUES : dimension->n_rules;
    of->rows = tagd_arena_zalloc(&build->portrait->arena, (most + 1) * sizeof(*of->rows));
    for (uint32_t i = 0; i < dimension->n_rules && !dimension->is_value; i++)
        add_row(build, of, tagd_str_of(dimension->rules[i].tag), dimension->rules[i].label);
    for (size_t i = 0; i < build->n_ranked && dimension->is_value && of->n_rows < most; i++)
        if (build->ranked[i].set == tagd_set_dimension(of->dimension))
            add_row(build, of, build->ranked[i].member, NULL);
}

static void add_dimension(struct build *build, size_t d)
{
    struct tagd_portrait *portrait = build->portrait;
    const struct tagd_dimension *dimension = &portrait->catalog->dimensions[d];
    struct tagd_portrait_dimension *of = &portrait->dimensions[portrait->n_dimensions++];
    of->dimension = d;
    of->label = label_or(build, dimension->label, tagd_str_of(dimension->name));
    of->tagged = in_all(build, d);
    of->none = portrait->customers - of->tagged;
    add_rows(build, of);
    of->others = of->tagged;
    for (size_t i = 0; i < of->n_rows; i++)
        of->others -= of->rows[i].customers;
    of->others = of->others > 0 ? of->others : 0;
}

static void add_alert(struct build *build, size_t d)
{
    struct tagd_portrait *portrait = build->portrait;
    const struct tagd_dimension *dimension = &portrait->catalog->dimensions[d];
    portrait->alerts[portrait->n_alerts++] =
        (struct tagd_portrait_alert){.dimension = d,
                                     .label = label_or(build, dimension->label, tagd_str_of(dimension->name)),
                                     .raised = in_all(build, d)};
}

/* ---- days ---- */

static struct tagd_portrait_row *row_of(const struct tagd_portrait_dimension *of, struct tagd_str tag)
{
    for (size_t i = 0; i < of->n_rows; i++)
        if (tagd_str_eq(of->rows[i].tag, tag))
            return &of->rows[i];
    return NULL;
}

/* One count of a day: history holds what each day's comings and goings come to, until it is summed up. */
static void take_count(struct build *build, const struct tagd_ranked *count, int64_t day)
{
    struct tagd_portrait *portrait = build->portrait;
    struct tagd_str tag;
    size_t d;
    bool came;
    if (!tagd_day_member(portrait->catalog, count->member, &d, &tag, &came))
        return;
    for (size_t i = 0; i < portrait->n_alerts; i++)
        if (portrait->alerts[i].dimension == d)
            *(came ? &portrait->alerts[i].began : &portrait->alerts[i].ended) += count->value;
    for (size_t i = 0; i < portrait->n_dimensions; i++) {
        struct tagd_portrait_dimension *of = &portrait->dimensions[i];
        if (of->dimension != d)
            continue;
        *(came ? &of->came : &of->left) += count->value;
        struct tagd_portrait_row *row = tag.p == NULL ? NULL : row_of(of, tag);
        if (row == NULL)
            continue;
        *(came ? &row->came : &row->left) += count->value;
        row->history[day - portrait->first_day + 1] += came ? count->value : -count->value;
    }
}

/* From the present backwards; days of which nothing was counted yet are as the earliest that was. */
static void sum_up(struct tagd_portrait_row *row, size_t n_days)
{
    int64_t now = row->customers;
    for (size_t i = n_days; i > 0; i--) {
        int64_t net = row->history[i];
        row->history[i] = now;
        now = now > net ? now - net : 0;
    }
    row->history[0] = now;
}

static void add_days(struct build *build)
{
    struct tagd_portrait *portrait = build->portrait;
    for (size_t i = 0; i < build->n_ranked; i++) {
        int64_t day;
        if (tagd_set_is_day(build->ranked[i].set, &day) && day >= portrait->first_day && day <= portrait->last_day)
            take_count(build, &build->ranked[i], day);
    }
    for (size_t i = 0; i < portrait->n_dimensions; i++)
        for (size_t k = 0; k < portrait->dimensions[i].n_rows; k++)
            sum_up(&portrait->dimensions[i].rows[k], build->n_days);
}

/* ---- goals ---- */

/* Months that the period touches, and those before in which what began may have ended in it. */
static void add_goal(struct build *build, size_t g)
{
    struct tagd_portrait *portrait = build->portrait;
    const struct tagd_catalog *catalog = portrait->catalog;
    const struct tagd_goal *goal = &catalog->goals[g];
    struct tagd_portrait_goal *of = &portrait->goals[portrait->n_goals++];
    of->goal = g;
    of->label = label_or(build, goal->label, tagd_str_of(goal->name));
    if (portrait->last_day == INT64_MIN)
        return;
    int64_t last = tagd_month_of(portrait->last_day),
            first = tagd_month_of(portrait->first_day - (goal->within_ms + TAGD_MS_DAY - 1) / TAGD_MS_DAY);
    of->first_month = first > last - TAGD_REPORT_MONTHS ? first : last - TAGD_REPORT_MONTHS + 1;
    of->n_months = (size_t)(last - of->first_month + 1);
    for (size_t i = 0; i < of->n_months; i++) {
        of->treated[i] = tagd_goal_cohort(catalog, build->sums, g, of->first_month + (int64_t)i, false);
        of->holdout[i] = tagd_goal_cohort(catalog, build->sums, g, of->first_month + (int64_t)i, true);
    }
}

/* ---- pairs ---- */

static size_t place_of(const struct tagd_portrait *portrait, size_t dimension)
{
    size_t i = 0;
    while (portrait->dimensions[i].dimension != dimension)
        i++;
    return i;
}

static void add_pair(struct build *build, size_t breakdown)
{
    struct tagd_portrait *portrait = build->portrait;
    const struct tagd_breakdown *of = &portrait->catalog->breakdowns[breakdown];
    struct tagd_portrait_pair *pair = &portrait->pairs[portrait->n_pairs++];
    *pair = (struct tagd_portrait_pair){.a = place_of(portrait, of->a), .b = place_of(portrait, of->b)};
    const struct tagd_portrait_dimension *a = &portrait->dimensions[pair->a], *b = &portrait->dimensions[pair->b];
    pair->counts = tagd_arena_zalloc(&portrait->arena, (a->n_rows * b->n_rows + 1) * sizeof(*pair->counts));
    for (size_t i = 0; i < build->n_ranked; i++) {
        struct tagd_str first, second;
        if (build->ranked[i].set != tagd_set_breakdown(portrait->catalog, breakdown) ||
            !tagd_pair_member(build->ranked[i].member, &first, &second))
            continue;
        const struct tagd_portrait_row *x = row_of(a, first), *y = row_of(b, second);
        if (x != NULL && y != NULL)
            pair->counts[(size_t)(x - a->rows) * b->n_rows + (size_t)(y - b->rows)] = build->ranked[i].value;
    }
}

/* ---- all of it ---- */

static void *zalloc(struct build *build, size_t n, size_t size)
{
    return tagd_arena_zalloc(&build->portrait->arena, (n + 1) * size);
}

static void add_measures(struct build *build)
{
    struct tagd_portrait *portrait = build->portrait;
    portrait->n_measures = portrait->catalog->n_measures;
    portrait->measures = zalloc(build, portrait->n_measures, sizeof(*portrait->measures));
    for (size_t i = 0; i < portrait->n_measures; i++) {
        const struct tagd_measure *measure = tagd_catalog_measure(portrait->catalog, i);
        portrait->measures[i].label = label_or(build, measure->label, tagd_str_of(measure->name));
    }
}

static void set_period(struct tagd_portrait *portrait, int64_t days)
{
    portrait->last_day = tagd_population_day(portrait->catalog, portrait->info.as_of_ms, INT64_MIN);
    portrait->first_day = portrait->last_day == INT64_MIN ? INT64_MIN + 1 : portrait->last_day - days + 1;
}

struct tagd_portrait *tagd_portrait_new(const struct tagd_catalog *catalog, const struct tagd_counts *sums,
                                        const struct tagd_population_info *info, int64_t days,
                                        enum tagd_language language)
{
    struct tagd_portrait *portrait = tagd_xcalloc(1, sizeof(*portrait));
    *portrait = (struct tagd_portrait){.catalog = catalog, .info = *info, .language = language};
    struct build build = {.portrait = portrait, .sums = sums};
    size_t n = catalog->n_dimensions;
    build.ranked = tagd_counts_rank(sums, &build.n_ranked);
    set_period(portrait, days);
    build.n_days = portrait->last_day == INT64_MIN ? 0 : (size_t)days;
    portrait->title = label_or(&build, catalog->label, tagd_str_of(catalog->name));
    portrait->customers = tagd_counts_get(sums, TAGD_SET_ALL, TAGD_STR("customers"));
    portrait->dimensions = zalloc(&build, n, sizeof(*portrait->dimensions));
    portrait->alerts = zalloc(&build, n, sizeof(*portrait->alerts));
    portrait->goals = zalloc(&build, catalog->n_goals, sizeof(*portrait->goals));
    portrait->pairs = zalloc(&build, catalog->n_breakdowns, sizeof(*portrait->pairs));
    add_measures(&build);
    for (size_t d = 0; d < n; d++)
        (catalog->dimensions[d].kind == TAGD_KIND_ALERT ? add_alert : add_dimension)(&build, d);
    add_days(&build);
    for (size_t g = 0; g < catalog->n_goals; g++)
        add_goal(&build, g);
    for (size_t i = 0; i < catalog->n_breakdowns; i++)
        add_pair(&build, i);
    free(build.ranked);
    return portrait;
}

static void add_figure(struct tagd_figure *figure, double value)
{
    figure->sum += value;
    figure->n++;
}

void tagd_portrait_add(struct tagd_portrait *portrait, const struct tagd_engine *engine,
                       const struct tagd_profile *profile)
{
    portrait->walked++;
    for (size_t i = 0; i < portrait->n_dimensions; i++) {
        struct tagd_portrait_dimension *of = &portrait->dimensions[i];
        struct tagd_str tag = tagd_profile_tag_text(profile, of->dimension);
        of->present = tag.p == NULL ? NULL : row_of(of, tag);
    }
    for (size_t m = 0; m < portrait->n_measures; m++) {
        double value;
        if (!tagd_engine_measure(engine, m, &value))
            continue;
        add_figure(&portrait->measures[m].all, value);
        for (size_t i = 0; i < portrait->n_dimensions; i++)
            if (portrait->dimensions[i].present != NULL)
                add_figure(&portrait->dimensions[i].present->figures[m], value);
    }
}

void tagd_portrait_free(struct tagd_portrait *portrait)
{
    if (portrait == NULL)
        return;
    tagd_arena_free(&portrait->arena);
    free(portrait);
}

double tagd_figure_mean(const struct tagd_figure *figure)
{
    return figure->n == 0 ? NAN : figure->sum / (double)figure->n;
}

bool tagd_portrait_is_churn(const struct tagd_portrait *portrait, const struct tagd_portrait_dimension *of)
{
    return portrait->catalog->dimensions[of->dimension].kind == TAGD_KIND_CHURN;
}

bool tagd_portrait_month_over(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *goal, size_t month)
{
    return goal->first_month + (int64_t)month < tagd_month_of(portrait->last_day) &&
           tagd_cohort_running(&goal->treated[month]) == 0 && tagd_cohort_running(&goal->holdout[month]) == 0;
}

/* More reached, or fewer missed, than of those held out, as a share of these. */
static double effect_of(const struct tagd_goal *goal, const struct tagd_cohort *treated,
                        const struct tagd_cohort *holdout)
{
    enum tagd_goal_outcome outcome = goal->uplift >= 0 ? TAGD_GOAL_REACHED : TAGD_GOAL_MISSED;
    double began = (double)treated->n[TAGD_GOAL_NONE], held = (double)holdout->n[TAGD_GOAL_NONE];
    if (holdout->n[outcome] == 0)
        return NAN;
    double change = (double)treated->n[outcome] * held / (began * (double)holdout->n[outcome]) - 1;
    return goal->uplift >= 0 ? change : -change;
}

/* None of those held out did it: nobody can be a share better than that, only better, or no worse. */
static enum tagd_attainment against_none(const struct tagd_goal *goal, const struct tagd_cohort *treated)
{
    bool met = goal->uplift >= 0 ? treated->n[TAGD_GOAL_REACHED] > 0 : treated->n[TAGD_GOAL_MISSED] == 0;
    return met ? TAGD_TARGET_MET : TAGD_TARGET_MISSED;
}

enum tagd_attainment tagd_goal_attainment(const struct tagd_goal *goal, const struct tagd_cohort *treated,
                                          const struct tagd_cohort *holdout, bool over, double *effect)
{
    double rate = tagd_cohort_rate(treated);
    bool against = goal->uplift >= 0 || goal->fewer_missed >= 0;
    *effect = NAN;
    if (isnan(rate) || (goal->target < 0 && !against) || (against && isnan(tagd_cohort_rate(holdout))))
        return TAGD_NO_TARGET;
    if (against)
        *effect = effect_of(goal, treated, holdout);
    if (!over)
        return TAGD_TARGET_OPEN;
    if (against && isnan(*effect))
        return against_none(goal, treated);
    double hoped = tagd_decimal_to_double(!against            ? goal->target
                                          : goal->uplift >= 0 ? goal->uplift
                                                              : goal->fewer_missed);
    return (against ? *effect : rate) >= hoped - 1e-12 ? TAGD_TARGET_MET : TAGD_TARGET_MISSED;
}

void tagd_portrait_write(const struct tagd_portrait *portrait, enum tagd_report_format format, struct tagd_buf *out)
{
    switch (format) {
    case TAGD_REPORT_JSON: tagd_portrait_json(portrait, out); return;
    case TAGD_REPORT_HTML: tagd_portrait_html(portrait, out); return;
    case TAGD_REPORT_MARKDOWN: tagd_portrait_markdown(portrait, out); return;
    }
}
