/* Any bytes as the population in Redis: the form, names of sets and members of them with their counts, and as what people
 * ask of it in a URL or on a command line. What is refused has a sentence; and whatever the counts say, the answer and the
 * reports are what they say they are. */
#include "fuzz.h"

#include "base/json.h"
#include "command/census.h"
#include "command/command.h"
#include "command/portrait.h"
#include "metrics/metrics.h"
#include "population/population.h"
#include "report/report.h"

#define PAIRS_MAX 8
#define MEMBERS_MAX 40

static struct tagd_catalog *catalog;

static void must_be_in(struct tagd_str part, struct tagd_str text)
{
    MUST(part.n == 0 || (part.p >= text.p && part.p + part.n <= text.p + text.n));
}

static void read_form(struct tagd_str form)
{
    struct tagd_str pairs[PAIRS_MAX];
    size_t n = tagd_population_form_pairs(form, pairs, PAIRS_MAX);
    MUST(n <= PAIRS_MAX);
    for (size_t i = 0; i < n; i++) {
        must_be_in(pairs[i], form);
        MUST(pairs[i].n == 0 || !memchr(pairs[i].p, '\n', pairs[i].n));
    }
}

static void the_own_form_reads(void)
{
    struct tagd_buf form = {0}, name = {0};
    struct tagd_str pairs[PAIRS_MAX];
    tagd_population_form(catalog, true, &form);
    MUST(tagd_population_form_pairs(str_of(&form), pairs, PAIRS_MAX) == 2);
    for (size_t i = 0; i < 2; i++) {
        name.n = 0;
        tagd_set_name(catalog, tagd_set_breakdown(catalog, i), &name);
        MUST(tagd_str_eq(str_of(&name), pairs[i]));
    }
    tagd_buf_free(&form);
    tagd_buf_free(&name);
}

static void read_member(struct tagd_str member)
{
    struct tagd_str tag = {0}, first, second;
    size_t dimension = 0;
    bool came = false;
    if (tagd_day_member(catalog, member, &dimension, &tag, &came)) {
        MUST(dimension < tagd_catalog_n_dimensions(catalog));
        must_be_in(tag, member);
    }
    if (!tagd_pair_member(member, &first, &second))
        return;
    struct tagd_counts counts = {0};
    must_be_in(first, member);
    must_be_in(second, member);
    struct tagd_str written = tagd_counts_pair(&counts, first, second), again[2];
    MUST(tagd_pair_member(written, &again[0], &again[1]) && tagd_str_eq(first, again[0]) &&
         tagd_str_eq(second, again[1]));
    tagd_counts_free(&counts);
}

/* ---- questions ---- */

static void ask(struct input *in, struct tagd_population_query *query)
{
    static const char *const names[] = {"dimension", "breakdown", "days", "months", "tags", "other"};
    struct tagd_error error = {{0}};
    char value[64];
    const char *name = names[take(in, 1) % 6];
    struct tagd_str text = take_text(in, sizeof(value) - 1);
    memcpy(value, text.p, text.n);
    value[text.n] = '\0';
    if (tagd_census_argument(catalog, name, value, query, &error)) {
        MUST(query->dimension < (int32_t)tagd_catalog_n_dimensions(catalog) && query->breakdown < 2);
        MUST(query->days >= 0 && query->days <= TAGD_POPULATION_DAYS && query->months >= 0 &&
             query->months <= TAGD_POPULATION_MONTHS && query->tags_max <= TAGD_POPULATION_TAGS_MAX);
    } else {
        MUST(error.text[0] != '\0');
        *query = tagd_census_query();
    }
}

static int64_t take_set(struct input *in)
{
    unsigned what = (unsigned)take(in, 1);
    switch (what >> 6) {
    case 0: return what % tagd_sets(catalog);
    case 1: return tagd_set_day(FUZZ_T0 / TAGD_MS_DAY - (what & 63));
    case 2: return tagd_set_month(tagd_month_of(FUZZ_T0 / TAGD_MS_DAY) - (what & 31));
    default: return TAGD_SET_ALL;
    }
}

/* Members that are called as they should be, or anything. */
static struct tagd_str take_member(struct input *in, struct tagd_buf *name)
{
    static const char *const known[] = {
        "customers",           "b.activity",  "busy",       "lost",   "+b.activity|busy",
        "back|started",        "1|x|y",       "4|busy|tea", "alert:", "-b.level|high",
        "stay|missed|holdout", "+alert:loud", "here",       "gone",   "b.activity|b.category",
        "back|reached"};
    unsigned what = (unsigned)take(in, 1);
    if (what < 128)
        return tagd_str_of(known[what % 16]);
    name->n = 0;
    tagd_buf_add_str(name, take_text(in, 40));
    return str_of(name);
}

static void must_be_json(const struct tagd_buf *text)
{
    struct tagd_json_fault fault;
    bool is = tagd_json_check(text->p, text->n, &fault);
    if (!is)
        fprintf(stderr, "byte %zu: %s: %.90s\n", fault.offset, fault.what, text->p + fault.offset - fault.offset % 60);
    MUST(is);
}

static void report(const struct tagd_counts *counts, const struct tagd_population_query *query)
{
    static const enum tagd_report_format formats[] = {TAGD_REPORT_MARKDOWN, TAGD_REPORT_HTML, TAGD_REPORT_JSON};
    struct tagd_population_info info = {.group = "g", .as_of_ms = FUZZ_T0, .shards = 2};
    struct tagd_buf out = {0};
    tagd_population_report(catalog, counts, query, &info, &out);
    must_be_json(&out);
    struct tagd_portrait *portrait =
        tagd_portrait_new(catalog, counts, &info, query->days ? query->days : 7, TAGD_ENGLISH);
    for (int i = 0; i < 3; i++) {
        out.n = 0;
        tagd_portrait_write(portrait, formats[i], &out);
        MUST(out.n > 0 && tagd_utf8_valid(out.p, out.n));
    }
    must_be_json(&out);
    tagd_portrait_free(portrait);
    tagd_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct tagd_population_query query = tagd_census_query();
    struct tagd_counts counts = {0};
    struct tagd_buf name = {0};
    if (!catalog) {
        catalog = tagd_catalog_load("fuzz", fuzz_every_kind, sizeof(fuzz_every_kind) - 1, NULL);
        the_own_form_reads();
    }
    unsigned what = (unsigned)take(&in, 1);
    if (what < 64) {
        read_form((struct tagd_str){(const char *)in.p, in.n});
        return 0;
    }
    for (unsigned i = what & 3; i > 0; i--)
        ask(&in, &query);
    query.breakdown = what & 4 ? TAGD_ALL_BREAKDOWNS : query.breakdown;
    query.days = what & 8 ? 20 : query.days;
    query.months = what & 16 ? 9 : query.months;
    for (unsigned i = 0; i < MEMBERS_MAX && in.n > 0; i++) {
        int64_t set = take_set(&in);
        struct tagd_str member = take_member(&in, &name);
        read_member(member);
        /* As all that was ever counted: no event has other text. */
        if (tagd_utf8_valid(member.p, member.n) && (member.n == 0 || !memchr(member.p, '\0', member.n)))
            tagd_counts_add(&counts, set, member, (int64_t)(int32_t)take(&in, 4));
    }
    report(&counts, &query);
    tagd_counts_free(&counts);
    tagd_buf_free(&name);
    return 0;
}
