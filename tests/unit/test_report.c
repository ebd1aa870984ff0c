/* Reports: what a period's counts come to, measures of a tag's carriers, and how all of it is told. */
#include <math.h>

#include "report/report.h"
#include "shop.h"

#define DAY ((int64_t)TAGD_MS_DAY)
#define TODAY INT64_C(19676)         /* 2023-11-15, local */
#define NOON (TODAY * DAY + DAY / 6) /* of +08:00 */
#define LEVEL                                                                                                          \
    "\"v.level\":{\"label\":{\"en\":\"Value\",\"zh-CN\":\"价值\"},\"tags\":["                                        \
    "{\"tag\":\"high\",\"label\":{\"zh-CN\":\"高\"},\"when\":\"count(order.paid) >= 2\"},"                            \
    "{\"tag\":\"low\",\"label\":\"<Low & \\\"less\\\">\",\"when\":\"count(order.paid) >= 1\"},"                        \
    "{\"tag\":\"none\",\"when\":\"false\"}]},"                                                                         \
    "\"n.category\":{\"value\":\"latest(category, order.paid)\"}"
#define MORE                                                                                                           \
    "\"timezone\":\"+08:00\",\"breakdowns\":[[\"v.level\",\"n.category\"]],"                                           \
    "\"alerts\":{\"loss\":{\"label\":\"Loss\",\"when\":\"false\"}},"                                                   \
    "\"goals\":{\"again\":{\"label\":{\"en\":\"Again\"},\"start\":\"v.level.low\",\"reach\":\"order.paid\","           \
    "\"within\":\"30d\",\"target\":0.5}},"                                                                             \
    "\"measures\":{\"repurchase\":{\"label\":{\"en\":\"Bought again\",\"zh-CN\":\"复购\"},\"value\":"                \
    "\"count(order.paid) >= 2\",\"of\":\"count(order.paid) >= 1\"},"                                                   \
    "\"mean\":{\"value\":\"avg(amount, order.paid)\"},\"silence\":{\"value\":\"since(login)\"}},"

static bool has(const struct tagd_buf *text, const char *what)
{
    struct tagd_buf copy = {0};
    tagd_buf_add(&copy, text->p, text->n);
    tagd_buf_add_byte(&copy, '\0');
    bool found = strstr(copy.p, what) != NULL;
    if (!found)
        fprintf(stderr, "no %s in\n%s\n", what, copy.p);
    tagd_buf_free(&copy);
    return found;
}

static void add(struct tagd_counts *sums, int64_t day, const char *member, int64_t n)
{
    tagd_counts_add(sums, tagd_set_day(day), tagd_str_of(member), n);
}

/* Five customers: 3 high, 1 low, 1 without a level. */
static void count_all(const struct tagd_catalog *catalog, struct tagd_counts *sums)
{
    tagd_counts_add(sums, TAGD_SET_ALL, TAGD_STR("customers"), 5);
    for (int i = 0; i < 4; i++)
        tagd_counts_add_tag(sums, catalog, 0, i < 3 ? TAGD_STR("high") : TAGD_STR("low"), 1);
    for (int i = 0; i < 14; i++) {
        char value[16];
        snprintf(value, sizeof(value), "c%02d", i);
        tagd_counts_add_tag(sums, catalog, 1, tagd_str_of(value), i == 13 ? 2 : 1);
    }
    tagd_counts_add_pair(sums, catalog, 0, TAGD_STR("high"), TAGD_STR("c13"), 2);
    tagd_counts_add_pair(sums, catalog, 0, TAGD_STR("low"), TAGD_STR("c12"), 1); /* c12 isn't among those listed */
    tagd_counts_add(sums, TAGD_SET_ALL, TAGD_STR("alert:loss"), 4);
    add(sums, TODAY - 2, "+v.level|high", 7); /* before a period of two days */
    add(sums, TODAY - 1, "+v.level|high", 2);
    add(sums, TODAY - 1, "-v.level|high", 1);
    add(sums, TODAY, "+v.level|high", 1);
    add(sums, TODAY, "-v.level|low", 1);
    add(sums, TODAY, "+n.category|c13", 1);
    add(sums, TODAY, "+n.category|gone", 6);
    add(sums, TODAY, "+alert:loss", 3);
    add(sums, TODAY - 1, "-alert:loss", 2);
    add(sums, TODAY + 1, "+v.level|high", 50);
    int64_t month = tagd_month_of(TODAY);
    tagd_counts_add(sums, tagd_set_month(month), TAGD_STR("again|started"), 8);
    tagd_counts_add(sums, tagd_set_month(month), TAGD_STR("again|reached"), 5);
    tagd_counts_add(sums, tagd_set_month(month - 1), TAGD_STR("again|started"), 4);
    tagd_counts_add(sums, tagd_set_month(month - 1), TAGD_STR("again|reached"), 1);
    tagd_counts_add(sums, tagd_set_month(month - 1), TAGD_STR("again|missed"), 3);
    tagd_counts_add(sums, tagd_set_month(month - 1), TAGD_STR("again|started|holdout"), 2);
    tagd_counts_add(sums, tagd_set_month(month - 2), TAGD_STR("again|started"), 9); /* ended before the period */
}

static struct tagd_portrait *portrait_of(const struct tagd_catalog *catalog, int64_t days, enum tagd_language language)
{
    struct tagd_counts sums = {0};
    struct tagd_population_info info = {"g", NOON, 2, 0};
    count_all(catalog, &sums);
    struct tagd_portrait *portrait = tagd_portrait_new(catalog, &sums, &info, days, language);
    tagd_counts_free(&sums);
    return portrait;
}

static struct tagd_catalog *open_catalog(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog(MORE, LEVEL, &error);
    if (catalog == NULL)
        fprintf(stderr, "%s\n", error.text);
    CHECK(catalog != NULL);
    return catalog;
}

static void history_is_told_from_the_present_backwards(void)
{
    struct tagd_catalog *catalog = open_catalog();
    struct tagd_portrait *portrait = portrait_of(catalog, 2, TAGD_ENGLISH);
    const struct tagd_portrait_dimension *level = &portrait->dimensions[0], *category = &portrait->dimensions[1];
    const int64_t high[] = {1, 2, 3}, low[] = {2, 2, 1};
    CHECK(portrait->first_day == TODAY - 1 && portrait->last_day == TODAY);
    CHECK(memcmp(level->rows[0].history, high, sizeof(high)) == 0);
    CHECK(memcmp(level->rows[1].history, low, sizeof(low)) == 0);
    CHECK(level->rows[0].came == 3 && level->rows[0].left == 1 && level->came == 3 && level->left == 2);
    CHECK(level->none == 1 && level->others == 0 && level->n_rows == 3);
    CHECK(category->n_rows == TAGD_REPORT_VALUES && tagd_str_eq(category->rows[0].tag, TAGD_STR("c13")));
    CHECK(category->tagged == 15 && category->others == 15 - 2 - 11);
    CHECK(category->rows[0].came == 1 && category->came == 7);
    CHECK(portrait->alerts[0].raised == 4 && portrait->alerts[0].began == 3 && portrait->alerts[0].ended == 2);
    CHECK(portrait->pairs[0].counts[0] == 2);
    tagd_portrait_free(portrait);
    portrait = portrait_of(catalog, 3, TAGD_ENGLISH); /* more came than there are: counting began later */
    CHECK(portrait->dimensions[0].rows[0].history[0] == 0 && portrait->dimensions[0].rows[0].history[1] == 1);
    tagd_portrait_free(portrait);
    tagd_catalog_free(catalog);
}

static void goals_reach_back_as_far_as_what_ended_in_the_period(void)
{
    struct tagd_catalog *catalog = open_catalog();
    struct tagd_portrait *portrait = portrait_of(catalog, 2, TAGD_ENGLISH);
    const struct tagd_portrait_goal *goal = &portrait->goals[0];
    CHECK(goal->n_months == 2 && goal->first_month == tagd_month_of(TODAY) - 1);
    CHECK(tagd_cohort_rate(&goal->treated[0]) == 0.25 && tagd_cohort_running(&goal->treated[0]) == 0);
    CHECK(tagd_cohort_rate(&goal->treated[1]) == 0.625 && tagd_cohort_running(&goal->treated[1]) == 3);
    CHECK(tagd_cohort_rate(&goal->holdout[0]) == 0 && isnan(tagd_cohort_rate(&goal->holdout[1])));
    CHECK(!tagd_portrait_month_over(portrait, goal, 0)); /* of those held out some go on */
    portrait->goals[0].holdout[0].n[TAGD_GOAL_MISSED] = 2;
    CHECK(tagd_portrait_month_over(portrait, goal, 0));
    portrait->goals[0].treated[1].n[TAGD_GOAL_MISSED] = 3;
    CHECK(!tagd_portrait_month_over(portrait, goal, 1)); /* the month itself goes on */
    tagd_portrait_free(portrait);
    portrait = portrait_of(catalog, 400, TAGD_ENGLISH);
    CHECK(portrait->goals[0].n_months == TAGD_REPORT_MONTHS);
    CHECK(portrait->goals[0].first_month == tagd_month_of(TODAY) - TAGD_REPORT_MONTHS + 1);
    CHECK(portrait->goals[0].treated[TAGD_REPORT_MONTHS - 1].n[TAGD_GOAL_REACHED] == 5);
    tagd_portrait_free(portrait);
    tagd_catalog_free(catalog);
}

/* Ends whose beginnings weren't counted: nothing is said of such a month. */
static void a_month_that_doesnt_add_up_has_no_rate(void)
{
    const struct tagd_cohort cohort = {{2, 1, 2}}, held = {{4, 2, 2}};
    const struct tagd_goal goal = {.target = 100, .uplift = -1, .fewer_missed = -1};
    double effect;
    CHECK(isnan(tagd_cohort_rate(&cohort)) && tagd_cohort_running(&cohort) == 0);
    CHECK(tagd_goal_attainment(&goal, &cohort, &held, true, &effect) == TAGD_NO_TARGET && isnan(effect));
}

static void what_is_hoped_for_is_judged_when_the_month_is_over(void)
{
    enum { SHARE, UPLIFT, FEWER_MISSED, NOTHING };
    static const struct {
        int hopes;
        int64_t hoped, treated[3], holdout[3];
        enum tagd_attainment attainment; /* once over */
        double effect;
    } rows[] = {{SHARE, 2500, {8, 2, 6}, {0}, TAGD_TARGET_MET, NAN},
                {SHARE, 2501, {8, 2, 6}, {0}, TAGD_TARGET_MISSED, NAN},
                {SHARE, 2500, {0}, {2, 1, 1}, TAGD_NO_TARGET, NAN},
                {NOTHING, 0, {8, 4, 4}, {2, 1, 1}, TAGD_NO_TARGET, NAN},
                {UPLIFT, 2500, {8, 5, 3}, {4, 2, 2}, TAGD_TARGET_MET, 0.25},
                {UPLIFT, 2501, {8, 5, 3}, {4, 2, 2}, TAGD_TARGET_MISSED, 0.25},
                {UPLIFT, 2500, {8, 5, 3}, {0}, TAGD_NO_TARGET, NAN},
                {UPLIFT, 2500, {0}, {4, 2, 2}, TAGD_NO_TARGET, NAN},
                {UPLIFT, 2500, {8, 1, 7}, {4, 0, 4}, TAGD_TARGET_MET, NAN},
                {UPLIFT, 2500, {8, 0, 8}, {4, 0, 4}, TAGD_TARGET_MISSED, NAN},
                {FEWER_MISSED, 2500, {8, 5, 3}, {4, 2, 2}, TAGD_TARGET_MET, 0.25},
                {FEWER_MISSED, 2501, {8, 5, 3}, {4, 2, 2}, TAGD_TARGET_MISSED, 0.25},
                {FEWER_MISSED, 2500, {8, 2, 6}, {4, 2, 2}, TAGD_TARGET_MISSED, -0.5},
                {FEWER_MISSED, 2500, {8, 8, 0}, {4, 4, 0}, TAGD_TARGET_MET, NAN},
                {FEWER_MISSED, 2500, {8, 7, 1}, {4, 4, 0}, TAGD_TARGET_MISSED, NAN}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tagd_goal goal = {.target = rows[i].hopes == SHARE ? rows[i].hoped : -1,
                                 .uplift = rows[i].hopes == UPLIFT ? rows[i].hoped : -1,
                                 .fewer_missed = rows[i].hopes == FEWER_MISSED ? rows[i].hoped : -1};
        bool judged = rows[i].attainment != TAGD_NO_TARGET;
        struct tagd_cohort treated, holdout;
        double effect;
        memcpy(treated.n, rows[i].treated, sizeof(treated.n));
        memcpy(holdout.n, rows[i].holdout, sizeof(holdout.n));
        CHECK(tagd_goal_attainment(&goal, &treated, &holdout, true, &effect) == rows[i].attainment);
        CHECK(isnan(rows[i].effect) ? isnan(effect) : effect == rows[i].effect);
        CHECK(tagd_goal_attainment(&goal, &treated, &holdout, false, &effect) ==
              (judged ? TAGD_TARGET_OPEN : TAGD_NO_TARGET));
    }
}

static void measures_are_means_of_those_of_whom_they_say_anything(void)
{
    struct shop shop = shop_open(MORE, LEVEL);
    struct tagd_portrait *portrait = portrait_of(shop.catalog, 2, TAGD_ENGLISH);
    const struct tagd_portrait_dimension *level = &portrait->dimensions[0];
    shop_event(&shop, "login", NOON, "{}"); /* no order: only silence says something, of no tag */
    tagd_engine_view(shop.engine, shop.profile, NOON + 5000);
    tagd_portrait_add(portrait, shop.engine, shop.profile);
    CHECK(portrait->measures[0].all.n == 0 && isnan(tagd_figure_mean(&portrait->measures[0].all)));
    CHECK(tagd_figure_mean(&portrait->measures[2].all) == 5000 && level->rows[1].figures[2].n == 0);
    shop_event(&shop, "order.paid", NOON + 1, "{\"amount\":10,\"category\":\"c13\"}");
    tagd_engine_view(shop.engine, shop.profile, NOON + 5000);
    tagd_portrait_add(portrait, shop.engine, shop.profile);
    CHECK(tagd_figure_mean(&level->rows[1].figures[0]) == 0 && tagd_figure_mean(&level->rows[1].figures[1]) == 10);
    shop_event(&shop, "order.paid", NOON + 2, "{\"amount\":21,\"category\":\"c13\"}");
    tagd_engine_view(shop.engine, shop.profile, NOON + 5000);
    tagd_portrait_add(portrait, shop.engine, shop.profile);
    CHECK(tagd_figure_mean(&level->rows[0].figures[0]) == 1 && tagd_figure_mean(&level->rows[0].figures[1]) == 15.5);
    CHECK(tagd_figure_mean(&portrait->measures[0].all) == 0.5 && portrait->measures[0].all.n == 2);
    CHECK(portrait->dimensions[1].rows[0].figures[1].n == 2 && portrait->walked == 3);
    tagd_portrait_free(portrait);
    shop_close(&shop);
}

/* A count below 0 is damaged; its tag, which the customers' data made, is among those unused. */
static void an_unused_tag_of_any_text_is_told_as_json(void)
{
    struct tagd_catalog *catalog = open_catalog();
    struct tagd_counts sums = {0};
    struct tagd_population_info info = {"g", NOON, 2, 0};
    struct tagd_buf json = {0};
    tagd_counts_add(&sums, tagd_set_dimension(1), TAGD_STR("a \"b\"\n"), -1);
    struct tagd_portrait *portrait = tagd_portrait_new(catalog, &sums, &info, 2, TAGD_ENGLISH);
    tagd_portrait_write(portrait, TAGD_REPORT_JSON, &json);
    CHECK(has(&json, "\"n.category.a \\\"b\\\"\\n\"]"));
    tagd_portrait_free(portrait);
    tagd_counts_free(&sums);
    tagd_buf_free(&json);
    tagd_catalog_free(catalog);
}

static void each_form_tells_it(void)
{
    struct tagd_catalog *catalog = open_catalog();
    struct tagd_portrait *portrait = portrait_of(catalog, 2, TAGD_ENGLISH);
    struct tagd_buf json = {0}, markdown = {0}, html = {0};
    tagd_portrait_write(portrait, TAGD_REPORT_JSON, &json);
    tagd_portrait_write(portrait, TAGD_REPORT_MARKDOWN, &markdown);
    tagd_portrait_write(portrait, TAGD_REPORT_HTML, &html);
    CHECK(has(&json, "\"period\":{\"from\":\"2023-11-14\",\"to\":\"2023-11-15\",\"days\":2}"));
    CHECK(
        has(&json,
            "{\"tag\":\"high\",\"label\":{\"zh-CN\":\"高\"},\"customers\":3,\"before\":1,\"entries\":3,\"exits\":1,"));
    CHECK(has(&json, "\"unused\":[\"v.level.none\"]"));
    CHECK(
        has(&json,
            "\"months\":[{\"month\":\"2023-10\",\"treated\":{\"started\":4,\"reached\":1,\"missed\":3,\"rate\":0.25}"));
    CHECK(has(&json, "\"alerts\":{\"loss\":{\"label\":\"Loss\",\"customers\":4,\"raised\":3,\"cleared\":2}}"));
    CHECK(has(&json, "\"counts\":[{\"tags\":[\"high\",\"c13\"],\"customers\":2}]"));
    CHECK(has(&json, "\"silence\":{\"label\":null,\"kind\":\"duration\",\"customers\":0,\"mean\":null}"));
    CHECK(has(&markdown, "As of: 2023-11-15 12:00 +08:00"));
    CHECK(has(&markdown, "| 高 | 3 | 60.0 % | 1 | 3 | 1 | +2 |"));
    CHECK(has(&markdown, "| (none) | 1 | 20.0 % |"));
    CHECK(has(&markdown, "| 2023-10 | 4 | 1 | 3 | 0 | 25.0 % | 0.0 % | not over yet |"));
    CHECK(has(&markdown, "| 2023-11 | 8 | 5 | 0 | 3 | 62.5 % | - | not over yet |"));
    CHECK(has(&markdown, "- Value: none\n"));
    CHECK(has(&markdown, "| &lt;Low &amp; \"less\"> | 1 |"));
    CHECK(has(&html, "&lt;Low &amp; &quot;less&quot;&gt;"));
    CHECK(has(&html, "<html lang=\"en\">"));
    CHECK(has(&html, "<title>高: 1 \xe2\x86\x92 3</title>"));
    CHECK(has(&html, "<li>Value: none</li>"));
    tagd_portrait_free(portrait);
    portrait = portrait_of(catalog, 2, TAGD_CHINESE);
    html.n = 0;
    tagd_portrait_write(portrait, TAGD_REPORT_HTML, &html);
    CHECK(has(&html, "<html lang=\"zh-CN\">") && has(&html, "<h3>价值</h3>") && has(&html, ">复购<"));
    CHECK(has(&html, "<h3>Again</h3>")); /* a label without Chinese */
    tagd_portrait_free(portrait);
    tagd_buf_free(&json);
    tagd_buf_free(&markdown);
    tagd_buf_free(&html);
    tagd_catalog_free(catalog);
}

static void before_anything_has_happened_it_says_so(void)
{
    struct tagd_catalog *catalog = open_catalog();
    struct tagd_counts sums = {0};
    struct tagd_population_info info = {"g", INT64_MIN, 2, 2};
    for (int format = TAGD_REPORT_MARKDOWN; format <= TAGD_REPORT_JSON; format++) {
        static const char *const says[] = {
            "Nothing has been counted yet.", "<p>Nothing has been counted yet.</p>",
            "\"as_of\":null,\"period\":null,\"shards\":2,\"uncounted\":2,\"customers\":0"};
        struct tagd_portrait *portrait = tagd_portrait_new(catalog, &sums, &info, 30, TAGD_ENGLISH);
        struct tagd_buf out = {0};
        tagd_portrait_write(portrait, (enum tagd_report_format)format, &out);
        CHECK(has(&out, says[format]));
        tagd_buf_free(&out);
        tagd_portrait_free(portrait);
    }
    tagd_catalog_free(catalog);
}

static void numbers_are_as_people_write_them(void)
{
    static const struct {
        int64_t count;
        const char *text, *change;
    } counts[] = {{0, "0", "0"},
                  {7, "7", "+7"},
                  {999, "999", "+999"},
                  {1000, "1,000", "+1,000"},
                  {-1234567, "-1,234,567", "-1,234,567"}};
    static const struct {
        double mean;
        unsigned kind;
        const char *text;
    } means[] = {{0.125, TAGD_MEASURE_SHARE, "12.5 %"},
                 {7.826, TAGD_MEASURE_NUMBER, "7.83"},
                 {2.0 * 86400000, TAGD_MEASURE_DURATION, "2.0 days"},
                 {2.0 * 86400000 - 1, TAGD_MEASURE_DURATION, "48.0 hours"},
                 {90000, TAGD_MEASURE_DURATION, "90.0 s"},
                 {-4.0 * 86400000, TAGD_MEASURE_DURATION, "-4.0 days"}};
    struct tagd_buf out = {0};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        out.n = 0;
        tagd_add_count(&out, counts[i].count);
        CHECK(tagd_str_eq((struct tagd_str){out.p, out.n}, tagd_str_of(counts[i].text)));
        out.n = 0;
        tagd_add_signed(&out, counts[i].count);
        CHECK(tagd_str_eq((struct tagd_str){out.p, out.n}, tagd_str_of(counts[i].change)));
    }
    for (size_t i = 0; i < sizeof(means) / sizeof(means[0]); i++) {
        struct tagd_measure measure = {"m", NULL, 0};
        struct tagd_figure figure = {means[i].mean * 4, 4};
        measure.kind = means[i].kind;
        out.n = 0;
        tagd_add_mean(&out, &measure, &figure, TAGD_ENGLISH);
        CHECK(tagd_str_eq((struct tagd_str){out.p, out.n}, tagd_str_of(means[i].text)));
    }
    tagd_buf_free(&out);
}

static void every_word_is_there_in_both_languages(void)
{
    enum tagd_language language;
    for (int word = 0; word < TAGD_WORDS; word++)
        for (int i = 0; i < TAGD_LANGUAGES; i++)
            CHECK(tagd_word((enum tagd_language)i, (enum tagd_word)word) != NULL);
    CHECK(tagd_language_parse("zh-CN", &language) && language == TAGD_CHINESE);
    CHECK(tagd_language_parse("en", &language) && language == TAGD_ENGLISH);
    CHECK(!tagd_language_parse("zh", &language) && !tagd_language_parse("", &language));
}

int main(void)
{
    RUN(history_is_told_from_the_present_backwards);
    RUN(goals_reach_back_as_far_as_what_ended_in_the_period);
    RUN(a_month_that_doesnt_add_up_has_no_rate);
    RUN(what_is_hoped_for_is_judged_when_the_month_is_over);
    RUN(measures_are_means_of_those_of_whom_they_say_anything);
    RUN(each_form_tells_it);
    RUN(an_unused_tag_of_any_text_is_told_as_json);
    RUN(before_anything_has_happened_it_says_so);
    RUN(numbers_are_as_people_write_them);
    RUN(every_word_is_there_in_both_languages);
    return DONE();
}
