/* For a terminal, a wiki, a pull request. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "catalog/compiled.h"
#include "report/report.h"

static const char *word(const struct tagd_portrait *portrait, enum tagd_word word)
{
    return tagd_word(portrait->language, word);
}

/* As text wherever Markdown is shown: no markup, no link, and neither a bar nor a line's end ends a cell. */
static void add_text(struct tagd_buf *out, struct tagd_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '<' || c == '&') {
            tagd_buf_add_z(out, c == '<' ? "&lt;" : "&amp;");
            continue;
        }
        if (strchr("|\\`*[]", c) != NULL && c != '\0')
            tagd_buf_add_byte(out, '\\');
        tagd_buf_add_byte(out, (unsigned char)c < ' ' ? ' ' : (unsigned char)c);
    }
}

static void add_heading(struct tagd_buf *out, int level, struct tagd_str text)
{
    tagd_buf_add_byte(out, '\n');
    while (level-- > 0)
        tagd_buf_add_byte(out, '#');
    tagd_buf_add_byte(out, ' ');
    add_text(out, text);
    tagd_buf_add_byte(out, '\n');
}

static void add_word_heading(const struct tagd_portrait *portrait, enum tagd_word of, struct tagd_buf *out)
{
    add_heading(out, 2, tagd_str_of(word(portrait, of)));
}

/* Under a head of n columns, the first of which are texts. */
static void add_rule(struct tagd_buf *out, size_t texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tagd_buf_add_z(out, i < texts ? "|---" : "|---:");
    tagd_buf_add_z(out, "|\n");
}

/* ---- dimensions ---- */

static void add_figures(const struct tagd_portrait *portrait, const struct tagd_figure *figures, struct tagd_buf *out)
{
    for (size_t m = 0; m < portrait->n_measures; m++) {
        tagd_buf_add_z(out, " ");
        tagd_add_mean(out, tagd_catalog_measure(portrait->catalog, m), &figures[m], portrait->language);
        tagd_buf_add_z(out, " |");
    }
}

static void add_row(const struct tagd_portrait *portrait, const struct tagd_portrait_row *row, struct tagd_buf *out)
{
    tagd_buf_add_z(out, "| ");
    add_text(out, row->label);
    tagd_buf_add_z(out, " | ");
    tagd_add_count(out, row->customers);
    tagd_buf_add_z(out, " | ");
    tagd_add_share(out, tagd_share_of(row->customers, portrait->customers));
    tagd_buf_add_z(out, " | ");
    if (row->by_day) {
        tagd_add_count(out, row->history[0]);
        tagd_buf_add_z(out, " | ");
        tagd_add_count(out, row->came);
        tagd_buf_add_z(out, " | ");
        tagd_add_count(out, row->left);
        tagd_buf_add_z(out, " | ");
        tagd_add_signed(out, row->customers - row->history[0]);
        tagd_buf_add_z(out, " |");
    } else {
        tagd_buf_add_z(out, "- | - | - | - |");
    }
    add_figures(portrait, row->figures, out);
    tagd_buf_add_byte(out, '\n');
}

static void add_rest(const struct tagd_portrait *portrait, enum tagd_word name, int64_t customers, struct tagd_buf *out)
{
    if (customers == 0)
        return;
    tagd_buf_printf(out, "| %s | ", word(portrait, name));
    tagd_add_count(out, customers);
    tagd_buf_add_z(out, " | ");
    tagd_add_share(out, tagd_share_of(customers, portrait->customers));
    tagd_buf_add_z(out, " | | | | |");
    for (size_t m = 0; m < portrait->n_measures; m++)
        tagd_buf_add_z(out, " |");
    tagd_buf_add_byte(out, '\n');
}

static void add_dimension(const struct tagd_portrait *portrait, const struct tagd_portrait_dimension *of,
                          struct tagd_buf *out)
{
    add_heading(out, 3, of->label);
    tagd_buf_printf(out, "\n| %s | %s | %s | %s | %s | %s | %s |", word(portrait, TAGD_WORD_TAG),
                    word(portrait, TAGD_WORD_CUSTOMERS), word(portrait, TAGD_WORD_SHARE),
                    word(portrait, TAGD_WORD_BEFORE), word(portrait, TAGD_WORD_CAME), word(portrait, TAGD_WORD_LEFT),
                    word(portrait, TAGD_WORD_CHANGE));
    for (size_t m = 0; m < portrait->n_measures; m++) {
        tagd_buf_add_byte(out, ' ');
        add_text(out, portrait->measures[m].label);
        tagd_buf_add_z(out, " |");
    }
    tagd_buf_add_byte(out, '\n');
    add_rule(out, 1, 7 + portrait->n_measures);
    for (size_t i = 0; i < of->n_rows; i++)
        add_row(portrait, &of->rows[i], out);
    add_rest(portrait, TAGD_WORD_OTHERS, of->others, out);
    add_rest(portrait, TAGD_WORD_NONE, of->none, out);
    if (portrait->n_measures == 0)
        return;
    tagd_buf_printf(out, "| **%s** | ", word(portrait, TAGD_WORD_ALL));
    tagd_add_count(out, portrait->customers);
    tagd_buf_add_z(out, " | | | | | |");
    for (size_t m = 0; m < portrait->n_measures; m++) {
        tagd_buf_add_byte(out, ' ');
        tagd_add_mean(out, tagd_catalog_measure(portrait->catalog, m), &portrait->measures[m].all, portrait->language);
        tagd_buf_add_z(out, " |");
    }
    tagd_buf_add_byte(out, '\n');
}

static void add_dimensions(const struct tagd_portrait *portrait, bool churn, struct tagd_buf *out)
{
    for (size_t i = 0; i < portrait->n_dimensions; i++)
        if (tagd_portrait_is_churn(portrait, &portrait->dimensions[i]) == churn)
            add_dimension(portrait, &portrait->dimensions[i], out);
}

/* ---- the rest ---- */

static void add_cohort(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *of, size_t m,
                       struct tagd_buf *out)
{
    const struct tagd_cohort *treated = &of->treated[m];
    const struct tagd_goal *goal = tagd_catalog_goal(portrait->catalog, of->goal);
    double rate = tagd_cohort_rate(treated), held = tagd_cohort_rate(&of->holdout[m]);
    if (treated->n[TAGD_GOAL_NONE] == 0 && of->holdout[m].n[TAGD_GOAL_NONE] == 0)
        return;
    tagd_buf_add_z(out, "| ");
    tagd_add_month(out, of->first_month + (int64_t)m);
    for (int i = TAGD_GOAL_NONE; i <= TAGD_GOAL_MISSED; i++) {
        tagd_buf_add_z(out, " | ");
        tagd_add_count(out, treated->n[i]);
    }
    tagd_buf_add_z(out, " | ");
    tagd_add_count(out, tagd_cohort_running(treated));
    tagd_buf_add_z(out, " | ");
    tagd_add_share(out, rate);
    tagd_buf_add_z(out, " | ");
    tagd_add_share(out, held);
    tagd_buf_add_z(out, " | ");
    double effect;
    enum tagd_attainment attainment =
        tagd_goal_attainment(goal, treated, &of->holdout[m], tagd_portrait_month_over(portrait, of, m), &effect);
    tagd_add_attainment(out, attainment, effect, portrait->language);
    tagd_buf_add_z(out, " |\n");
}

static void add_goal(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *of, struct tagd_buf *out)
{
    add_heading(out, 3, of->label);
    tagd_buf_printf(out, "\n| %s | %s | %s | %s | %s | %s | %s | ", word(portrait, TAGD_WORD_MONTH),
                    word(portrait, TAGD_WORD_STARTED), word(portrait, TAGD_WORD_REACHED),
                    word(portrait, TAGD_WORD_MISSED), word(portrait, TAGD_WORD_RUNNING), word(portrait, TAGD_WORD_RATE),
                    word(portrait, TAGD_WORD_HOLDOUT_RATE));
    tagd_add_target(out, tagd_catalog_goal(portrait->catalog, of->goal), portrait->language);
    tagd_buf_add_z(out, " |\n");
    add_rule(out, 1, 8);
    for (size_t m = 0; m < of->n_months; m++)
        add_cohort(portrait, of, m, out);
}

static void add_goals(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    if (portrait->n_goals == 0)
        return;
    add_word_heading(portrait, TAGD_WORD_GOALS, out);
    tagd_buf_printf(out, "\n%s\n", word(portrait, TAGD_WORD_NOTE_GOALS));
    for (size_t i = 0; i < portrait->n_goals; i++)
        add_goal(portrait, &portrait->goals[i], out);
}

static void add_alerts(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    if (portrait->n_alerts == 0)
        return;
    add_word_heading(portrait, TAGD_WORD_ALERTS, out);
    tagd_buf_printf(out, "\n| %s | %s | %s | %s |\n", word(portrait, TAGD_WORD_ALERT),
                    word(portrait, TAGD_WORD_RAISED_NOW), word(portrait, TAGD_WORD_RAISED),
                    word(portrait, TAGD_WORD_CLEARED));
    add_rule(out, 1, 4);
    for (size_t i = 0; i < portrait->n_alerts; i++) {
        const struct tagd_portrait_alert *alert = &portrait->alerts[i];
        const int64_t counts[] = {alert->raised, alert->began, alert->ended};
        tagd_buf_add_z(out, "| ");
        add_text(out, alert->label);
        for (size_t k = 0; k < 3; k++) {
            tagd_buf_add_z(out, " | ");
            tagd_add_count(out, counts[k]);
        }
        tagd_buf_add_z(out, " |\n");
    }
}

static void add_pair(const struct tagd_portrait *portrait, const struct tagd_portrait_pair *pair, struct tagd_buf *out)
{
    const struct tagd_portrait_dimension *a = &portrait->dimensions[pair->a], *b = &portrait->dimensions[pair->b];
    struct tagd_buf title = {0};
    tagd_buf_printf(&title, "%.*s %s %.*s", (int)a->label.n, a->label.p, word(portrait, TAGD_WORD_BY), (int)b->label.n,
                    b->label.p);
    add_heading(out, 3, (struct tagd_str){title.p, title.n});
    tagd_buf_free(&title);
    tagd_buf_add_z(out, "\n| |");
    for (size_t y = 0; y < b->n_rows; y++) {
        tagd_buf_add_byte(out, ' ');
        add_text(out, b->rows[y].label);
        tagd_buf_add_z(out, " |");
    }
    tagd_buf_add_byte(out, '\n');
    add_rule(out, 1, 1 + b->n_rows);
    for (size_t x = 0; x < a->n_rows; x++) {
        tagd_buf_add_z(out, "| ");
        add_text(out, a->rows[x].label);
        for (size_t y = 0; y < b->n_rows; y++) {
            tagd_buf_add_z(out, " | ");
            tagd_add_count(out, pair->counts[x * b->n_rows + y]);
        }
        tagd_buf_add_z(out, " |\n");
    }
}

static void add_unused(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool any = false;
    add_word_heading(portrait, TAGD_WORD_UNUSED, out);
    for (size_t i = 0; i < portrait->n_dimensions; i++)
        for (size_t k = 0; k < portrait->dimensions[i].n_rows; k++) {
            const struct tagd_portrait_row *row = &portrait->dimensions[i].rows[k];
            if (row->customers > 0)
                continue;
            tagd_buf_add_z(out, any ? "- " : "\n- ");
            any = true;
            add_text(out, portrait->dimensions[i].label);
            tagd_buf_add_z(out, ": ");
            add_text(out, row->label);
            tagd_buf_add_byte(out, '\n');
        }
    if (!any)
        tagd_buf_printf(out, "\n%s\n", word(portrait, TAGD_WORD_NO_UNUSED));
}

static void add_head(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    tagd_buf_add_z(out, "# ");
    add_text(out, portrait->title);
    tagd_buf_printf(out, " - %s\n\n", word(portrait, TAGD_WORD_REPORT));
    if (portrait->last_day == INT64_MIN) {
        tagd_buf_printf(out, "%s\n", word(portrait, TAGD_WORD_NOTHING));
        return;
    }
    tagd_buf_printf(out, "%s: ", word(portrait, TAGD_WORD_PERIOD));
    tagd_add_day(out, portrait->first_day);
    tagd_buf_add_z(out, " - ");
    tagd_add_day(out, portrait->last_day);
    tagd_buf_printf(out, " | %s: ", word(portrait, TAGD_WORD_AS_OF));
    tagd_add_present(portrait, out);
    tagd_buf_add_z(out, " | ");
    add_text(out, tagd_str_of(portrait->catalog->name));
    tagd_buf_add_byte(out, '@');
    add_text(out, tagd_str_of(portrait->catalog->version));
    tagd_buf_printf(out, " | %s: ", word(portrait, TAGD_WORD_CUSTOMERS));
    tagd_add_count(out, portrait->customers);
    tagd_buf_add_byte(out, '\n');
    if (portrait->info.uncounted > 0)
        tagd_buf_printf(out, "\n**%" PRIu32 " %s**\n", portrait->info.uncounted, word(portrait, TAGD_WORD_UNCOUNTED));
    for (size_t m = 0; m < portrait->n_measures; m++) {
        tagd_buf_add_z(out, m == 0 ? "\n- " : "- ");
        add_text(out, portrait->measures[m].label);
        tagd_buf_add_z(out, ": ");
        tagd_add_mean(out, tagd_catalog_measure(portrait->catalog, m), &portrait->measures[m].all, portrait->language);
        tagd_buf_add_byte(out, '\n');
    }
    if (portrait->n_measures > 0)
        tagd_buf_printf(out, "\n%s\n", word(portrait, TAGD_WORD_NOTE_MEASURES));
}

void tagd_portrait_markdown(const struct tagd_portrait *portrait, struct tagd_buf *out)
{
    bool churn = false;
    add_head(portrait, out);
    if (portrait->last_day == INT64_MIN)
        return;
    for (size_t i = 0; i < portrait->n_dimensions; i++)
        churn |= tagd_portrait_is_churn(portrait, &portrait->dimensions[i]);
    if (churn)
        add_word_heading(portrait, TAGD_WORD_CHURN, out);
    add_dimensions(portrait, true, out);
    add_goals(portrait, out);
    add_alerts(portrait, out);
    if (portrait->n_dimensions > churn)
        add_word_heading(portrait, TAGD_WORD_TAGS, out);
    add_dimensions(portrait, false, out);
    if (portrait->n_pairs > 0)
        add_word_heading(portrait, TAGD_WORD_CROSSED, out);
    for (size_t i = 0; i < portrait->n_pairs; i++)
        add_pair(portrait, &portrait->pairs[i], out);
    if (portrait->n_dimensions > 0)
        add_unused(portrait, out);
}
