/* report: a period's portrait of the customers of a catalog, for people who decide: built from the population's counts and
 * from a walk over the profiles, told as JSON, Markdown or one HTML file that needs no network. No I/O, no clock. */
#ifndef TAGD_REPORT_REPORT_H
#define TAGD_REPORT_REPORT_H

#include "population/population.h"

enum tagd_language { TAGD_ENGLISH, TAGD_CHINESE, TAGD_LANGUAGES };
enum tagd_report_format { TAGD_REPORT_MARKDOWN, TAGD_REPORT_HTML, TAGD_REPORT_JSON };

#define TAGD_REPORT_VALUES 12 /* of a value's tags the most frequent are listed */
#define TAGD_REPORT_MONTHS 12 /* of goals at most */

/* ---- the portrait (portrait.c) ---- */

struct tagd_figure { /* a mean over the customers of whom the measure says anything */
    double sum;
    uint64_t n;
};
struct tagd_portrait_row { /* a tag */
    struct tagd_str tag;
    const char *label_json; /* NULL: none */
    struct tagd_str label;  /* in the portrait's language; the tag itself, if it has none */
    int64_t customers;
    bool by_day;                 /* what follows is known: not of a value that stands in no breakdown */
    int64_t came, left;          /* in the period */
    int64_t *history;            /* customers before the period, then at the end of each of its days */
    struct tagd_figure *figures; /* by measure, of the carriers */
};
struct tagd_portrait_dimension {
    size_t dimension; /* in the catalog */
    struct tagd_str label;
    struct tagd_portrait_row *rows; /* in the catalog's order; of a value the most frequent first */
    size_t n_rows;
    int64_t tagged, others, none;      /* others: who have a tag that isn't listed */
    int64_t came, left;                /* all its tags together */
    struct tagd_portrait_row *present; /* of the customer who is added; NULL: none */
};
struct tagd_portrait_alert {
    size_t dimension; /* in the catalog */
    struct tagd_str label;
    int64_t raised, began, ended; /* now; in the period */
};
struct tagd_portrait_goal {
    size_t goal;
    struct tagd_str label;
    int64_t first_month; /* the earliest that is told */
    size_t n_months;     /* up to the present */
    struct tagd_cohort treated[TAGD_REPORT_MONTHS], holdout[TAGD_REPORT_MONTHS];
};
struct tagd_portrait_measure {
    struct tagd_str label;
    struct tagd_figure all;
};
struct tagd_portrait_pair { /* customers by the tags of two dimensions, rows as theirs */
    size_t a, b;            /* in the portrait */
    int64_t *counts;        /* by row of a, then of b */
};
struct tagd_portrait {
    const struct tagd_catalog *catalog;
    struct tagd_population_info info;
    enum tagd_language language;
    struct tagd_str title;
    int64_t first_day, last_day; /* of the period; last_day INT64_MIN: nothing has happened yet */
    int64_t customers;
    uint64_t walked; /* profiles that were added */
    struct tagd_portrait_dimension *dimensions;
    size_t n_dimensions;
    struct tagd_portrait_alert *alerts;
    size_t n_alerts;
    struct tagd_portrait_goal *goals;
    size_t n_goals;
    struct tagd_portrait_measure *measures;
    size_t n_measures;
    struct tagd_portrait_pair *pairs;
    size_t n_pairs;
    struct tagd_arena arena;
};
/* days: the period's, up to that of info->as_of_ms. sums: with so many days, TAGD_POPULATION_MONTHS months and all
 * breakdowns. */
struct tagd_portrait *tagd_portrait_new(const struct tagd_catalog *catalog, const struct tagd_counts *sums,
                                        const struct tagd_population_info *info, int64_t days,
                                        enum tagd_language language);
/* One customer's measures; the engine was set up to view the profile. */
void tagd_portrait_add(struct tagd_portrait *portrait, const struct tagd_engine *engine,
                       const struct tagd_profile *profile);
void tagd_portrait_free(struct tagd_portrait *portrait); /* NULL is fine */
/* The mean of the carriers of a row and all of which it is told, in [0, 1] for shares. NaN: nothing. */
double tagd_figure_mean(const struct tagd_figure *figure);
bool tagd_portrait_is_churn(const struct tagd_portrait *portrait, const struct tagd_portrait_dimension *of);
/* The month is past, and all goals that began in it have ended. */
bool tagd_portrait_month_over(const struct tagd_portrait *portrait, const struct tagd_portrait_goal *goal,
                              size_t month);

enum tagd_attainment { TAGD_NO_TARGET, TAGD_TARGET_OPEN, TAGD_TARGET_MET, TAGD_TARGET_MISSED };
/* Whether a month's customers did what the goal hopes for, judged once the month is over. NO_TARGET: nothing is hoped for, or
 * there is nobody to judge, or to compare with. *effect: by which share more reached it than of those held out, or fewer
 * missed it; NaN: nothing like it is hoped for, or none of those held out did. */
enum tagd_attainment tagd_goal_attainment(const struct tagd_goal *goal, const struct tagd_cohort *treated,
                                          const struct tagd_cohort *holdout, bool over, double *effect);

/* ---- told ---- */

void tagd_portrait_write(const struct tagd_portrait *portrait, enum tagd_report_format format, struct tagd_buf *out);
void tagd_portrait_json(const struct tagd_portrait *portrait, struct tagd_buf *out);     /* json.c */
void tagd_portrait_markdown(const struct tagd_portrait *portrait, struct tagd_buf *out); /* markdown.c */
void tagd_portrait_html(const struct tagd_portrait *portrait, struct tagd_buf *out);     /* html.c */

/* ---- words and numbers (words.c) ---- */

enum tagd_word {
    TAGD_WORD_REPORT,
    TAGD_WORD_PERIOD,
    TAGD_WORD_AS_OF,
    TAGD_WORD_CUSTOMERS,
    TAGD_WORD_ALL,
    TAGD_WORD_TAG,
    TAGD_WORD_SHARE,
    TAGD_WORD_BEFORE,
    TAGD_WORD_CAME,
    TAGD_WORD_LEFT,
    TAGD_WORD_CHANGE,
    TAGD_WORD_OTHERS,
    TAGD_WORD_NONE,
    TAGD_WORD_TAGS,
    TAGD_WORD_CHURN,
    TAGD_WORD_GOALS,
    TAGD_WORD_MONTH,
    TAGD_WORD_STARTED,
    TAGD_WORD_REACHED,
    TAGD_WORD_MISSED,
    TAGD_WORD_RUNNING,
    TAGD_WORD_RATE,
    TAGD_WORD_HOLDOUT_RATE,
    TAGD_WORD_TARGET,
    TAGD_WORD_MET,
    TAGD_WORD_NOT_MET,
    TAGD_WORD_OPEN,
    TAGD_WORD_ALERTS,
    TAGD_WORD_ALERT,
    TAGD_WORD_RAISED_NOW,
    TAGD_WORD_RAISED,
    TAGD_WORD_CLEARED,
    TAGD_WORD_UNUSED,
    TAGD_WORD_NO_UNUSED,
    TAGD_WORD_CROSSED,
    TAGD_WORD_CHANGES,
    TAGD_WORD_GOALS_REACHED,
    TAGD_WORD_UNCOUNTED,
    TAGD_WORD_NOTHING,
    TAGD_WORD_NOTE_MEASURES,
    TAGD_WORD_NOTE_GOALS,
    TAGD_WORD_BY,
    TAGD_WORD_UPLIFT,
    TAGD_WORD_FEWER_MISSED,
    TAGD_WORDS
};
const char *tagd_word(enum tagd_language language, enum tagd_word word);
/* "en" or "zh-CN". False: neither. */
bool tagd_language_parse(const char *text, enum tagd_language *language);
const char *tagd_language_name(enum tagd_language language);
/* A label of the catalog in the language; of texts by language the first, if it isn't among them. p NULL: none. */
struct tagd_str tagd_label_in(const char *label, enum tagd_language language, struct tagd_arena *arena);
void tagd_add_count(struct tagd_buf *out, int64_t count);  /* 1,234,567 */
void tagd_add_share(struct tagd_buf *out, double share);   /* 12.3 %; NaN: - */
double tagd_share_of(int64_t count, int64_t of);           /* NaN: of nobody */
void tagd_add_signed(struct tagd_buf *out, int64_t count); /* +1,234; 0 as 0 */
/* A measure's mean as people read it. */
void tagd_add_mean(struct tagd_buf *out, const struct tagd_measure *measure, const struct tagd_figure *figure,
                   enum tagd_language language);
/* What a goal hopes for, and how a month stands to it. */
void tagd_add_target(struct tagd_buf *out, const struct tagd_goal *goal, enum tagd_language language);
void tagd_add_attainment(struct tagd_buf *out, enum tagd_attainment attainment, double effect,
                         enum tagd_language language);
void tagd_add_day(struct tagd_buf *out, int64_t day);
void tagd_add_present(const struct tagd_portrait *portrait, struct tagd_buf *out); /* 2026-11-28 09:30 +08:00 */
void tagd_add_month(struct tagd_buf *out, int64_t month);

/* ---- charts (chart.c): SVG ---- */

struct tagd_series {
    struct tagd_str label;
    const int64_t *values;
};
#define TAGD_CHART_COLOURS 12
const char *tagd_chart_colour(size_t i);
/* Stacked areas over days: values[0] is before first_day. */
void tagd_chart_area(const struct tagd_series *series, size_t n, int64_t first_day, size_t n_days,
                     struct tagd_buf *out);
/* Rates by month as columns, those of held-out customers beside them, the target as a line (NaN: none). */
struct tagd_rate {
    int64_t month;
    double rate, holdout; /* NaN: none */
    bool over;
};
void tagd_chart_rates(const struct tagd_rate *rates, size_t n, double target, enum tagd_language language,
                      struct tagd_buf *out);
void tagd_add_markup(struct tagd_buf *out, struct tagd_str text); /* escaped for HTML and SVG */

#endif
