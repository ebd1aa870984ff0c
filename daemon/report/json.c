/* For programs: all there is, with labels as the catalog has them. */
#include <inttypes.h>
#include <math.h>

#include "catalog/compiled.h"
#include "report/report.h"

static void add_key(struct tagd_buf *out, bool *first, const char *name)
{
    if (!*first)
        tagd_buf_add_byte(out, ',');
    *first = false;
    tagd_buf_add_json(out, tagd_str_of(name));
    tagd_buf_add_byte(out, ':');
}

static void add_label(struct tagd_buf *out, const char *label)
{
    tagd_buf_printf(out, "\"label\":%s", label == NULL ? "null" : label);
}

static void add_number(struct tagd_buf *out, double number)
{
    if (isnan(number))
        tagd_buf_add_z(out, "null");
    else
        tagd_buf_add_double(out, number);
}

static void add_figure(struct tagd_buf *out, const struct tagd_figure *figure)
{
    tagd_buf_printf(out, "{\"customers\":%" PRIu64 ",\"mean\":", figure->n);
    add_number(out, tagd_figure_mean(figure));
    tagd_buf_add_byte(out, '}');
}

static void add_figures(const struct tagd_portrait *portrait, const struct tagd_figure *figures, struct tagd_buf *out)
{
    bool first = true;
    tagd_buf_add_z(out, ",\"measures\":{");
    for (size_t m = 0; m < portrait->n_measures; m++) {
        add_key(out, &first, tagd_catalog_measure(portrait->catalog, m)->name);
        add_figure(out, &figures[m]);
    }
    tagd_buf_add_byte(out, '}');
}

static void add_row(const struct tagd_portrait *portrait, const struct tagd_portrait_row *row, struct tagd_buf *out)
{
    tagd_buf_add_z(out, "{\"tag\":");
    tagd_buf_add_json(out, row->tag);
    tagd_buf_add_byte(out, ',');
    add_label(out, row->label_json);
    tagd_buf_printf(out, ",\"customers\":%" PRId64, row->customers);
    if (row->by_day)
        tagd_buf_printf(out, ",\"before\":%" PRId64 ",\"entries\":%" PRId64 ",\"exits\":%" PRId64, row->history[0],
                        row->came, row->left);
    add_figures(portrait, row->figures, out);
    tagd_buf_add_byte(out, '}');
}

static void add_dimensions(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool first = true;
    tagd_buf_add_z(out, ",\"dimensions\":{");
    for (size_t i = 0; i < portrait->n_dimensions; i++) {
        const struct tagd_portrait_dimension *of = &portrait->dimensions[i];
        add_key(out, &first, portrait->catalog->dimensions[of->dimension].name);
        tagd_buf_add_byte(out, '{');
        add_label(out, portrait->catalog->dimensions[of->dimension].label);
        tagd_buf_printf(out,
                        ",\"customers\":%" PRId64 ",\"none\":%" PRId64 ",\"others\":%" PRId64 ",\"entries\":%" PRId64
                        ",\"exits\":%" PRId64 ",\"tags\":[",
                        of->tagged, of->none, of->others, of->came, of->left);
        for (size_t k = 0; k < of->n_rows; k++) {
            if (k > 0)
                tagd_buf_add_byte(out, ',');
            add_row(portrait, &of->rows[k], out);
        }
        tagd_buf_add_z(out, "]}");
    }
    tagd_buf_add_byte(out, '}');
}

static void add_unused(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool first = true;
    tagd_buf_add_z(out, ",\"unused\":[");
    for (size_t i = 0; i < portrait->n_dimensions; i++) {
        const struct tagd_portrait_dimension *of = &portrait->dimensions[i];
        for (size_t k = 0; k < of->n_rows; k++) {
            if (of->rows[k].customers > 0)
                continue;
            tagd_buf_printf(out, "%s\"%s.", first ? "" : ",", portrait->catalog->dimensions[of->dimension].name);
            tagd_buf_add_escaped(out, of->rows[k].tag);
            tagd_buf_add_byte(out, '"');
            first = false;
        }
    }
    tagd_buf_add_byte(out, ']');
}

static void add_alerts(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool first = true;
    tagd_buf_add_z(out, ",\"alerts\":{");
    for (size_t i = 0; i < portrait->n_alerts; i++) {
        const struct tagd_portrait_alert *alert = &portrait->alerts[i];
        add_key(out, &first, portrait->catalog->dimensions[alert->dimension].name);
        tagd_buf_add_byte(out, '{');
        add_label(out, portrait->catalog->dimensions[alert->dimension].label);
        tagd_buf_printf(out, ",\"customers\":%" PRId64 ",\"raised\":%" PRId64 ",\"cleared\":%" PRId64 "}",
                        alert->raised, alert->began, alert->ended);
    }
    tagd_buf_add_byte(out, '}');
}

static void add_cohort(struct tagd_buf *out, const char *name, const struct tagd_cohort *cohort)
{
    double rate = tagd_cohort_rate(cohort);
    tagd_buf_printf(out,
                    ",\"%s\":{\"started\":%" PRId64 ",\"reached\":%" PRId64 ",\"missed\":%" PRId64 ",\"rate\":", name,
                    cohort->n[TAGD_GOAL_NONE], cohort->n[TAGD_GOAL_REACHED], cohort->n[TAGD_GOAL_MISSED]);
    add_number(out, rate);
    tagd_buf_add_byte(out, '}');
}

static void add_attainment(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *of, size_t m,
                           struct tagd_buf *out)
{
    static const char *const names[] = {[TAGD_NO_TARGET] = "null",
                                        [TAGD_TARGET_OPEN] = "\"open\"",
                                        [TAGD_TARGET_MET] = "\"met\"",
                                        [TAGD_TARGET_MISSED] = "\"missed\""};
    double effect;
    enum tagd_attainment attainment =
        tagd_goal_attainment(tagd_catalog_goal(portrait->catalog, of->goal), &of->treated[m], &of->holdout[m],
                             tagd_portrait_month_over(portrait, of, m), &effect);
    tagd_buf_add_z(out, ",\"effect\":");
    add_number(out, effect);
    tagd_buf_printf(out, ",\"target\":%s", names[attainment]);
}

/* A share, as a decimal. */
static void add_hoped(struct tagd_buf *out, int64_t share)
{
    if (share < 0)
        tagd_buf_add_z(out, "null");
    else
        tagd_buf_add_decimal(out, share);
}

static void add_goals(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool first = true;
    tagd_buf_add_z(out, ",\"goals\":{");
    for (size_t i = 0; i < portrait->n_goals; i++) {
        const struct tagd_portrait_goal *of = &portrait->goals[i];
        const struct tagd_goal *goal = tagd_catalog_goal(portrait->catalog, of->goal);
        add_key(out, &first, goal->name);
        tagd_buf_add_byte(out, '{');
        add_label(out, goal->label);
        tagd_buf_printf(out,
                        ",\"start\":\"%s.%s\",\"target\":", tagd_catalog_dimension(portrait->catalog, goal->dimension),
                        tagd_catalog_tag(portrait->catalog, goal->dimension, goal->tag));
        add_hoped(out, goal->target);
        tagd_buf_add_z(out, ",\"uplift\":");
        add_hoped(out, goal->uplift);
        tagd_buf_add_z(out, ",\"fewer_missed\":");
        add_hoped(out, goal->fewer_missed);
        tagd_buf_add_z(out, ",\"months\":[");
        for (size_t m = 0; m < of->n_months; m++) {
            tagd_buf_add_z(out, m == 0 ? "{\"month\":\"" : ",{\"month\":\"");
            tagd_add_month(out, of->first_month + (int64_t)m);
            tagd_buf_add_byte(out, '"');
            add_cohort(out, "treated", &of->treated[m]);
            add_cohort(out, "holdout", &of->holdout[m]);
            add_attainment(portrait, of, m, out);
            tagd_buf_add_byte(out, '}');
        }
        tagd_buf_add_z(out, "]}");
    }
    tagd_buf_add_byte(out, '}');
}

static void add_measures(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    static const char *const kinds[] = {"share", "number", "duration"};
    bool first = true;
    tagd_buf_add_z(out, ",\"measures\":{");
    for (size_t m = 0; m < portrait->n_measures; m++) {
        const struct tagd_measure *measure = tagd_catalog_measure(portrait->catalog, m);
        const struct tagd_figure *all = &portrait->measures[m].all;
        add_key(out, &first, measure->name);
        tagd_buf_add_byte(out, '{');
        add_label(out, measure->label);
        tagd_buf_printf(out, ",\"kind\":\"%s\",\"customers\":%" PRIu64 ",\"mean\":", kinds[measure->kind], all->n);
        add_number(out, tagd_figure_mean(all));
        tagd_buf_add_byte(out, '}');
    }
    tagd_buf_add_byte(out, '}');
}

static void add_pairs(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    tagd_buf_add_z(out, ",\"breakdowns\":[");
    for (size_t i = 0; i < portrait->n_pairs; i++) {
        const struct tagd_portrait_pair *pair = &portrait->pairs[i];
        const struct tagd_portrait_dimension *a = &portrait->dimensions[pair->a], *b = &portrait->dimensions[pair->b];
        bool first = true;
        tagd_buf_printf(out, "%s{\"dimensions\":[\"%s\",\"%s\"],\"counts\":[", i == 0 ? "" : ",",
                        portrait->catalog->dimensions[a->dimension].name,
                        portrait->catalog->dimensions[b->dimension].name);
        for (size_t x = 0; x < a->n_rows; x++)
            for (size_t y = 0; y < b->n_rows; y++) {
                int64_t count = pair->counts[x * b->n_rows + y];
                if (count == 0)
                    continue;
                tagd_buf_add_z(out, first ? "{\"tags\":[" : ",{\"tags\":[");
                first = false;
                tagd_buf_add_json(out, a->rows[x].tag);
                tagd_buf_add_byte(out, ',');
                tagd_buf_add_json(out, b->rows[y].tag);
                tagd_buf_printf(out, "],\"customers\":%" PRId64 "}", count);
            }
        tagd_buf_add_z(out, "]}");
    }
    tagd_buf_add_byte(out, ']');
}

static void add_head(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    const struct tagd_population_info *info = &portrait->info;
    struct tagd_buf name = {0};
    tagd_buf_printf(&name, "%s@%s", portrait->catalog->name, portrait->catalog->version);
    tagd_buf_add_z(out, "{\"catalog\":");
    tagd_buf_add_json(out, (struct tagd_str){name.p, name.n});
    tagd_buf_free(&name);
    tagd_buf_add_byte(out, ',');
    add_label(out, portrait->catalog->label);
    tagd_buf_add_z(out, ",\"group\":");
    if (info->group == NULL)
        tagd_buf_add_z(out, "null");
    else
        tagd_buf_add_json(out, tagd_str_of(info->group));
    if (portrait->last_day == INT64_MIN) {
        tagd_buf_add_z(out, ",\"as_of\":null,\"period\":null");
    } else {
        char text[TAGD_TIME_TEXT];
        tagd_time_format(info->as_of_ms, text);
        tagd_buf_printf(out, ",\"as_of\":\"%s\",\"period\":{\"from\":\"", text);
        tagd_add_day(out, portrait->first_day);
        tagd_buf_add_z(out, "\",\"to\":\"");
        tagd_add_day(out, portrait->last_day);
        tagd_buf_printf(out, "\",\"days\":%" PRId64 "}", portrait->last_day - portrait->first_day + 1);
    }
    tagd_buf_printf(out, ",\"shards\":%" PRIu32 ",\"uncounted\":%" PRIu32 ",\"customers\":%" PRId64, info->shards,
                    info->uncounted, portrait->customers);
}

void tagd_portrait_json(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    add_head(portrait, out);
    add_measures(portrait, out);
    add_dimensions(portrait, out);
    add_unused(portrait, out);
    add_goals(portrait, out);
    add_alerts(portrait, out);
    add_pairs(portrait, out);
    tagd_buf_add_z(out, "}\n");
}
