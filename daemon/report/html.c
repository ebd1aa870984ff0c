/* One file for a browser: no script, nothing from the network, fit for print. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "catalog/compiled.h"
#include "report/report.h"

static const char style[] =
    ":root{color-scheme:light}"
    "body{font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",\"Noto Sans\",\"PingFang SC\",\"Microsoft YaHei\",\"Noto "
    "Sans CJK "
    "SC\",sans-serif;color:#1d2329;background:#f4f5f7;margin:0}"
    "main{max-width:1180px;margin:0 auto;padding:24px 20px 48px}"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:20px;margin:36px 0 12px}h3{font-size:16px;margin:0 0 8px}"
    ".meta{color:#5c6670;margin:0 0 20px}.warn{background:#fff3cd;border:1px solid #e6c75f;padding:8px "
    "12px;border-radius:6px}"
    ".tiles{display:flex;gap:12px;flex-wrap:wrap}"
    ".tile{background:#fff;border-radius:8px;padding:12px 18px;min-width:120px;flex:1;box-shadow:0 1px 2px #0001}"
    ".tile b{display:block;font-size:24px;font-weight:600}.tile span{color:#5c6670}"
    "section{background:#fff;border-radius:8px;padding:16px 18px;margin:0 0 16px;box-shadow:0 1px 2px "
    "#0001;break-inside:avoid}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}"
    "td{white-space:nowrap}th,td{padding:4px 6px;text-align:right;border-bottom:1px solid #e7eaed}"
    "th:first-child,td:first-child{text-align:left}th{font-weight:600;color:#5c6670;font-size:13px;vertical-align:"
    "bottom}"
    "tr.all td{font-weight:600;border-top:2px solid #c9ced3}tr.rest td{color:#5c6670}"
    ".bar{display:flex;height:18px;border-radius:4px;overflow:hidden;background:#e7eaed;margin:0 0 10px}"
    ".bar i{display:block}.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:7px}"
    ".up{color:#2c7a4b}.down{color:#b0363f}"
    "svg{width:100%;height:auto;display:block;margin:4px 0 10px}"
    ".grid{stroke:#e1e5e8}.axis{font-size:11px;fill:#5c6670}.value{font-size:11px;fill:#1d2329}"
    ".rate{fill:#2f6f9f}.rate.open{fill:#2f6f9f;opacity:.45}.held{fill:#c2c7cc}"
    "line.target{stroke:#b5545c;stroke-width:1.5;stroke-dasharray:5 4}text.target{fill:#b5545c;font-size:11px}"
    ".legend{color:#5c6670;font-size:13px;margin:0 0 10px}.legend "
    "i{display:inline-block;width:10px;height:10px;margin:0 6px 0 "
    "14px}td.cell{text-align:center}ul{margin:0;padding-left:20px;columns:2}"
    "@media print{body{background:#fff}section,.tile{box-shadow:none;border:1px solid #e1e5e8}}"
    "@media (max-width:700px){ul{columns:1}}";

static const char *word(const struct tagd_portrait *portrait, enum tagd_word word)
{
    return tagd_word(portrait->language, word);
}

static void add_heading(const struct tagd_portrait *portrait, enum tagd_word of, struct tagd_buf *out)
{
    tagd_buf_printf(out, "<h2>%s</h2>", word(portrait, of));
}

static void begin_section(struct tagd_buf *out, struct tagd_str title)
{
    tagd_buf_add_z(out, "<section><h3>");
    tagd_add_markup(out, title);
    tagd_buf_add_z(out, "</h3>");
}

static void add_th(struct tagd_buf *out, const char *text)
{
    tagd_buf_printf(out, "<th>%s</th>", text);
}

static void add_count(struct tagd_buf *out, int64_t count)
{
    tagd_buf_add_z(out, "<td>");
    tagd_add_count(out, count);
    tagd_buf_add_z(out, "</td>");
}

static void add_share(struct tagd_buf *out, double share)
{
    tagd_buf_add_z(out, "<td>");
    tagd_add_share(out, share);
    tagd_buf_add_z(out, "</td>");
}

/* ---- dimensions ---- */

static void add_bar(const struct tagd_portrait *portrait, const struct tagd_portrait_dimension *of,
                    struct tagd_buf *out)
{
    tagd_buf_add_z(out, "<div class=\"bar\">");
    for (size_t i = 0; i < of->n_rows; i++) {
        if (of->rows[i].customers == 0)
            continue;
        tagd_buf_printf(out, "<i style=\"width:%.2f%%;background:%s\" title=\"",
                        100 * tagd_share_of(of->rows[i].customers, portrait->customers), tagd_chart_colour(i));
        tagd_add_markup(out, of->rows[i].label);
        tagd_buf_add_z(out, "\"></i>");
    }
    tagd_buf_add_z(out, "</div>");
}

static void add_areas(const struct tagd_portrait *portrait, const struct tagd_portrait_dimension *of,
                      struct tagd_buf *out)
{
    struct tagd_series *series = tagd_xcalloc(of->n_rows + 1, sizeof(*series));
    for (size_t i = 0; i < of->n_rows; i++)
        series[i] = (struct tagd_series){of->rows[i].label, of->rows[i].history};
    tagd_chart_area(series, of->n_rows, portrait->first_day, (size_t)(portrait->last_day - portrait->first_day + 1),
                    out);
    free(series);
}

static void add_figure(const struct tagd_portrait *portrait, size_t m, const struct tagd_figure *figure,
                       struct tagd_buf *out)
{
    tagd_buf_add_z(out, "<td>");
    tagd_add_mean(out, tagd_catalog_measure(portrait->catalog, m), figure, portrait->language);
    tagd_buf_add_z(out, "</td>");
}

static void add_row(const struct tagd_portrait *portrait, const struct tagd_portrait_row *row, size_t i,
                    struct tagd_buf *out)
{
    int64_t change = row->customers - row->history[0];
    tagd_buf_printf(out, "<tr><td><span class=\"key\" style=\"background:%s\"></span>", tagd_chart_colour(i));
    tagd_add_markup(out, row->label);
    tagd_buf_add_z(out, "</td>");
    add_count(out, row->customers);
    add_share(out, tagd_share_of(row->customers, portrait->customers));
    if (row->by_day) {
        add_count(out, row->history[0]);
        add_count(out, row->came);
        add_count(out, row->left);
        tagd_buf_add_z(out, "<td>");
        tagd_add_signed(out, change);
        tagd_buf_add_z(out, "</td>");
    } else {
        tagd_buf_add_z(out, "<td>-</td><td>-</td><td>-</td><td>-</td>");
    }
    for (size_t m = 0; m < portrait->n_measures; m++)
        add_figure(portrait, m, &row->figures[m], out);
    tagd_buf_add_z(out, "</tr>");
}

static void add_rest(const struct tagd_portrait *portrait, enum tagd_word name, int64_t customers, struct tagd_buf *out)
{
    if (customers == 0)
        return;
    tagd_buf_printf(out, "<tr class=\"rest\"><td>%s</td>", word(portrait, name));
    add_count(out, customers);
    add_share(out, tagd_share_of(customers, portrait->customers));
    tagd_buf_printf(out, "<td colspan=\"%zu\"></td></tr>", 4 + portrait->n_measures);
}

static void add_all(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    if (portrait->n_measures == 0)
        return;
    tagd_buf_printf(out, "<tr class=\"all\"><td>%s</td>", word(portrait, TAGD_WORD_ALL));
    add_count(out, portrait->customers);
    tagd_buf_add_z(out, "<td></td><td></td><td></td><td></td><td></td>");
    for (size_t m = 0; m < portrait->n_measures; m++)
        add_figure(portrait, m, &portrait->measures[m].all, out);
    tagd_buf_add_z(out, "</tr>");
}

static void add_dimension(const struct tagd_portrait *portrait, const struct tagd_portrait_dimension *of,
                          struct tagd_buf *out)
{
    static const enum tagd_word heads[] = {TAGD_WORD_TAG,  TAGD_WORD_CUSTOMERS, TAGD_WORD_SHARE, TAGD_WORD_BEFORE,
                                           TAGD_WORD_CAME, TAGD_WORD_LEFT,      TAGD_WORD_CHANGE};
    begin_section(out, of->label);
    add_bar(portrait, of, out);
    if (of->n_rows > 0 && of->rows[0].by_day)
        add_areas(portrait, of, out);
    tagd_buf_add_z(out, "<div class=\"scroll\"><table><thead><tr>");
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        add_th(out, word(portrait, heads[i]));
    for (size_t m = 0; m < portrait->n_measures; m++) {
        tagd_buf_add_z(out, "<th>");
        tagd_add_markup(out, portrait->measures[m].label);
        tagd_buf_add_z(out, "</th>");
    }
    tagd_buf_add_z(out, "</tr></thead><tbody>");
    for (size_t i = 0; i < of->n_rows; i++)
        add_row(portrait, &of->rows[i], i, out);
    add_rest(portrait, TAGD_WORD_OTHERS, of->others, out);
    add_rest(portrait, TAGD_WORD_NONE, of->none, out);
    add_all(portrait, out);
    tagd_buf_add_z(out, "</tbody></table></div></section>");
}

static void add_dimensions(const struct tagd_portrait *portrait, bool churn, struct tagd_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < portrait->n_dimensions; i++) {
        if (tagd_portrait_is_churn(portrait, &portrait->dimensions[i]) != churn)
            continue;
        if (!any)
            add_heading(portrait, churn ? TAGD_WORD_CHURN : TAGD_WORD_TAGS, out);
        any = true;
        add_dimension(portrait, &portrait->dimensions[i], out);
    }
}

/* ---- goals ---- */

static void add_cohort(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *of, size_t m,
                       const struct tagd_rate *rate, struct tagd_buf *out)
{
    static const char *const classes[] = {
        [TAGD_NO_TARGET] = "", [TAGD_TARGET_OPEN] = "", [TAGD_TARGET_MET] = "up", [TAGD_TARGET_MISSED] = "down"};
    const struct tagd_cohort *treated = &of->treated[m];
    double effect;
    enum tagd_attainment attainment = tagd_goal_attainment(tagd_catalog_goal(portrait->catalog, of->goal), treated,
                                                           &of->holdout[m], rate->over, &effect);
    tagd_buf_add_z(out, "<tr><td>");
    tagd_add_month(out, rate->month);
    tagd_buf_add_z(out, "</td>");
    for (int i = TAGD_GOAL_NONE; i <= TAGD_GOAL_MISSED; i++)
        add_count(out, treated->n[i]);
    add_count(out, tagd_cohort_running(treated));
    add_share(out, rate->rate);
    add_share(out, rate->holdout);
    tagd_buf_printf(out, "<td class=\"%s\">", classes[attainment]);
    tagd_add_attainment(out, attainment, effect, portrait->language);
    tagd_buf_add_z(out, "</td></tr>");
}

static void add_goal(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *of, struct tagd_buf *out)
{
    static const enum tagd_word heads[] = {TAGD_WORD_MONTH,       TAGD_WORD_STARTED, TAGD_WORD_REACHED,
                                           TAGD_WORD_MISSED,      TAGD_WORD_RUNNING, TAGD_WORD_RATE,
                                           TAGD_WORD_HOLDOUT_RATE};
    struct tagd_rate rates[TAGD_REPORT_MONTHS];
    size_t n = 0, months[TAGD_REPORT_MONTHS];
    const struct tagd_goal *goal = tagd_catalog_goal(portrait->catalog, of->goal);
    for (size_t m = 0; m < of->n_months; m++) {
        struct tagd_rate rate = {.month = of->first_month + (int64_t)m,
                                 .rate = tagd_cohort_rate(&of->treated[m]),
                                 .holdout = tagd_cohort_rate(&of->holdout[m]),
                                 .over = tagd_portrait_month_over(portrait, of, m)};
        if (of->treated[m].n[TAGD_GOAL_NONE] == 0 && of->holdout[m].n[TAGD_GOAL_NONE] == 0)
            continue;
        months[n] = m;
        rates[n++] = rate;
    }
    begin_section(out, of->label);
    tagd_chart_rates(rates, n, goal->target < 0 ? NAN : tagd_decimal_to_double(goal->target), portrait->language, out);
    tagd_buf_printf(
        out,
        "<p class=\"legend\"><i style=\"background:#2f6f9f\"></i>%s<i style=\"background:#2f6f9f;opacity:.45\">"
        "</i>%s<i style=\"background:#c2c7cc\"></i>%s</p>",
        word(portrait, TAGD_WORD_RATE), word(portrait, TAGD_WORD_OPEN), word(portrait, TAGD_WORD_HOLDOUT_RATE));
    tagd_buf_add_z(out, "<div class=\"scroll\"><table><thead><tr>");
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        add_th(out, word(portrait, heads[i]));
    tagd_buf_add_z(out, "<th>");
    tagd_add_target(out, goal, portrait->language);
    tagd_buf_add_z(out, "</th></tr></thead><tbody>");
    for (size_t i = 0; i < n; i++)
        add_cohort(portrait, of, months[i], &rates[i], out);
    tagd_buf_add_z(out, "</tbody></table></div></section>");
}

static void add_goals(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    if (portrait->n_goals == 0)
        return;
    add_heading(portrait, TAGD_WORD_GOALS, out);
    tagd_buf_printf(out, "<p class=\"meta\">%s</p>", word(portrait, TAGD_WORD_NOTE_GOALS));
    for (size_t i = 0; i < portrait->n_goals; i++)
        add_goal(portrait, &portrait->goals[i], out);
}

/* ---- the rest ---- */

static void add_alerts(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    static const enum tagd_word heads[] = {TAGD_WORD_ALERT, TAGD_WORD_RAISED_NOW, TAGD_WORD_RAISED, TAGD_WORD_CLEARED};
    if (portrait->n_alerts == 0)
        return;
    add_heading(portrait, TAGD_WORD_ALERTS, out);
    tagd_buf_add_z(out, "<section><div class=\"scroll\"><table><thead><tr>");
    for (size_t i = 0; i < 4; i++)
        add_th(out, word(portrait, heads[i]));
    tagd_buf_add_z(out, "</tr></thead><tbody>");
    for (size_t i = 0; i < portrait->n_alerts; i++) {
        const struct tagd_portrait_alert *alert = &portrait->alerts[i];
        tagd_buf_add_z(out, "<tr><td>");
        tagd_add_markup(out, alert->label);
        tagd_buf_add_z(out, "</td>");
        add_count(out, alert->raised);
        add_count(out, alert->began);
        add_count(out, alert->ended);
        tagd_buf_add_z(out, "</tr>");
    }
    tagd_buf_add_z(out, "</tbody></table></div></section>");
}

/* The darker the more. */
static void add_cell(struct tagd_buf *out, int64_t count, int64_t most)
{
    double depth = most > 0 ? (double)count / (double)most : 0;
    tagd_buf_printf(out, "<td class=\"cell\" style=\"background:rgba(47,111,159,%.2f)%s\">", 0.75 * depth,
                    depth > 0.6 ? ";color:#fff" : "");
    tagd_add_count(out, count);
    tagd_buf_add_z(out, "</td>");
}

static void add_pair(const struct tagd_portrait *portrait, const struct tagd_portrait_pair *pair, struct tagd_buf *out)
{
    const struct tagd_portrait_dimension *a = &portrait->dimensions[pair->a], *b = &portrait->dimensions[pair->b];
    int64_t most = 0;
    for (size_t i = 0; i < a->n_rows * b->n_rows; i++)
        most = pair->counts[i] > most ? pair->counts[i] : most;
    tagd_buf_add_z(out, "<section><h3>");
    tagd_add_markup(out, a->label);
    tagd_buf_printf(out, " %s ", word(portrait, TAGD_WORD_BY));
    tagd_add_markup(out, b->label);
    tagd_buf_add_z(out, "</h3><div class=\"scroll\"><table><thead><tr><th></th>");
    for (size_t y = 0; y < b->n_rows; y++) {
        tagd_buf_add_z(out, "<th style=\"text-align:center\">");
        tagd_add_markup(out, b->rows[y].label);
        tagd_buf_add_z(out, "</th>");
    }
    tagd_buf_add_z(out, "</tr></thead><tbody>");
    for (size_t x = 0; x < a->n_rows; x++) {
        tagd_buf_add_z(out, "<tr><td>");
        tagd_add_markup(out, a->rows[x].label);
        tagd_buf_add_z(out, "</td>");
        for (size_t y = 0; y < b->n_rows; y++)
            add_cell(out, pair->counts[x * b->n_rows + y], most);
        tagd_buf_add_z(out, "</tr>");
    }
    tagd_buf_add_z(out, "</tbody></table></div></section>");
}

static void add_unused(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool any = false;
    add_heading(portrait, TAGD_WORD_UNUSED, out);
    tagd_buf_add_z(out, "<section>");
    for (size_t i = 0; i < portrait->n_dimensions; i++)
        for (size_t k = 0; k < portrait->dimensions[i].n_rows; k++) {
            const struct tagd_portrait_row *row = &portrait->dimensions[i].rows[k];
            if (row->customers > 0)
                continue;
            tagd_buf_add_z(out, any ? "<li>" : "<ul><li>");
            any = true;
            tagd_add_markup(out, portrait->dimensions[i].label);
            tagd_buf_add_z(out, ": ");
            tagd_add_markup(out, row->label);
            tagd_buf_add_z(out, "</li>");
        }
    if (any)
        tagd_buf_add_z(out, "</ul>");
    else
        tagd_buf_add_z(out, word(portrait, TAGD_WORD_NO_UNUSED));
    tagd_buf_add_z(out, "</section>");
}

/* ---- the head ---- */

static void add_tile(const struct tagd_portrait *portrait, enum tagd_word name, int64_t count, struct tagd_buf *out)
{
    tagd_buf_add_z(out, "<div class=\"tile\"><b>");
    tagd_add_count(out, count);
    tagd_buf_printf(out, "</b><span>%s</span></div>", word(portrait, name));
}

static void add_tiles(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    int64_t changes = 0, reached = 0, raised = 0;
    for (size_t i = 0; i < portrait->n_dimensions; i++)
        changes += portrait->dimensions[i].came;
    for (size_t i = 0; i < portrait->n_alerts; i++)
        raised += portrait->alerts[i].raised;
    for (size_t i = 0; i < portrait->n_goals; i++)
        for (size_t m = 0; m < portrait->goals[i].n_months; m++)
            reached +=
                portrait->goals[i].treated[m].n[TAGD_GOAL_REACHED] + portrait->goals[i].holdout[m].n[TAGD_GOAL_REACHED];
    tagd_buf_add_z(out, "<div class=\"tiles\">");
    add_tile(portrait, TAGD_WORD_CUSTOMERS, portrait->customers, out);
    add_tile(portrait, TAGD_WORD_CHANGES, changes, out);
    if (portrait->n_goals > 0)
        add_tile(portrait, TAGD_WORD_GOALS_REACHED, reached, out);
    if (portrait->n_alerts > 0)
        add_tile(portrait, TAGD_WORD_ALERTS, raised, out);
    for (size_t m = 0; m < portrait->n_measures; m++) {
        tagd_buf_add_z(out, "<div class=\"tile\"><b>");
        tagd_add_mean(out, tagd_catalog_measure(portrait->catalog, m), &portrait->measures[m].all, portrait->language);
        tagd_buf_add_z(out, "</b><span>");
        tagd_add_markup(out, portrait->measures[m].label);
        tagd_buf_add_z(out, "</span></div>");
    }
    tagd_buf_add_z(out, "</div>");
}

static void add_head(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    tagd_buf_printf(out, "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><title>",
                    tagd_language_name(portrait->language));
    tagd_add_markup(out, portrait->title);
    tagd_buf_printf(
        out,
        "</title><meta name=\"viewport\" content=\"width=device-width\"><style>%s</style></head><body><main>"
        "<h1>",
        style);
    tagd_add_markup(out, portrait->title);
    tagd_buf_printf(out, " \xc2\xb7 %s</h1>", word(portrait, TAGD_WORD_REPORT));
    if (portrait->last_day == INT64_MIN)
        return;
    tagd_buf_printf(out, "<p class=\"meta\">%s: ", word(portrait, TAGD_WORD_PERIOD));
    tagd_add_day(out, portrait->first_day);
    tagd_buf_add_z(out, " \xe2\x80\x93 ");
    tagd_add_day(out, portrait->last_day);
    tagd_buf_printf(out, " \xc2\xb7 %s: ", word(portrait, TAGD_WORD_AS_OF));
    tagd_add_present(portrait, out);
    tagd_buf_add_z(out, " \xc2\xb7 ");
    tagd_add_markup(out, tagd_str_of(portrait->catalog->name));
    tagd_buf_add_byte(out, '@');
    tagd_add_markup(out, tagd_str_of(portrait->catalog->version));
    tagd_buf_add_z(out, "</p>");
    if (portrait->info.uncounted > 0)
        tagd_buf_printf(out, "<p class=\"warn\">%" PRIu32 " %s</p>", portrait->info.uncounted,
                        word(portrait, TAGD_WORD_UNCOUNTED));
}

void tagd_portrait_html(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    add_head(portrait, out);
    if (portrait->last_day == INT64_MIN) {
        tagd_buf_printf(out, "<p>%s</p></main></body></html>\n", word(portrait, TAGD_WORD_NOTHING));
        return;
    }
    add_tiles(portrait, out);
    add_dimensions(portrait, true, out);
    add_goals(portrait, out);
    add_alerts(portrait, out);
    if (portrait->n_measures > 0)
        tagd_buf_printf(out, "<p class=\"meta\">%s</p>", word(portrait, TAGD_WORD_NOTE_MEASURES));
    add_dimensions(portrait, false, out);
    if (portrait->n_pairs > 0)
        add_heading(portrait, TAGD_WORD_CROSSED, out);
    for (size_t i = 0; i < portrait->n_pairs; i++)
        add_pair(portrait, &portrait->pairs[i], out);
    if (portrait->n_dimensions > 0)
        add_unused(portrait, out);
    tagd_buf_add_z(out, "</main></body></html>\n");
}
