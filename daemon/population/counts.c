#include "population/population.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compiled.h"

#define VERSION "1"
#define NOT_COUNTED "0"
#define SLOTS_LEAST 64
#define DAYS_BASE (INT64_C(1) << 40) /* more than there are days, either way */
#define MONTHS_BASE (4 * DAYS_BASE)

/* ---- sets ---- */

int64_t tagd_set_breakdown(const struct tagd_catalog *catalog, size_t breakdown)
{
    return 1 + (int64_t)catalog->n_dimensions + (int64_t)breakdown;
}

int64_t tagd_set_day(int64_t day)
{
    return day - DAYS_BASE;
}

bool tagd_set_is_day(int64_t set, int64_t *day)
{
    *day = set + DAYS_BASE;
    return set < 0 && set > -2 * DAYS_BASE;
}

int64_t tagd_set_month(int64_t month)
{
    return month - MONTHS_BASE;
}

bool tagd_set_is_month(int64_t set, int64_t *month)
{
    *month = set + MONTHS_BASE;
    return set <= -2 * DAYS_BASE;
}

int64_t tagd_sets(const struct tagd_catalog *catalog)
{
    return tagd_set_breakdown(catalog, catalog->n_breakdowns);
}

void tagd_set_dimension_name(const struct tagd_catalog *catalog, size_t dimension, struct tagd_buf *out)
{
    if (catalog->dimensions[dimension].kind == TAGD_KIND_ALERT)
        tagd_buf_add_z(out, "alert:");
    tagd_buf_add_z(out, catalog->dimensions[dimension].name);
}

static void pair_name(const struct tagd_catalog *catalog, const struct tagd_breakdown *pair, struct tagd_buf *out)
{
    tagd_buf_printf(out, "%s|%s", catalog->dimensions[pair->a].name, catalog->dimensions[pair->b].name);
}

void tagd_set_name(const struct tagd_catalog *catalog, int64_t set, struct tagd_buf *out)
{
    char text[TAGD_TIME_TEXT];
    int64_t day, month, n = (int64_t)catalog->n_dimensions;
    if (tagd_set_is_day(set, &day))
        tagd_buf_add(out, text, tagd_date_format(day, text));
    else if (tagd_set_is_month(set, &month))
        tagd_buf_add(out, text, tagd_month_format(month, text));
    else if (set == TAGD_SET_ALL)
        tagd_buf_add_z(out, "all");
    else if (set <= n)
        tagd_set_dimension_name(catalog, (size_t)set - 1, out);
    else
        pair_name(catalog, &catalog->breakdowns[set - 1 - n], out);
}

static int by_pair(const void *left, const void *right)
{
    const struct tagd_breakdown *a = left, *b = right;
    return a->a != b->a ? (a->a > b->a) - (a->a < b->a) : (a->b > b->b) - (a->b < b->b);
}

/* The version, then a line a pair, in the order of the dimensions: however the catalog lists them. */
void tagd_population_form(const struct tagd_catalog *catalog, bool counted, struct tagd_buf *out)
{
    size_t n = catalog->n_breakdowns;
    struct tagd_breakdown *pairs = tagd_xmalloc((n + 1) * sizeof(*pairs));
    if (n > 0)
        memcpy(pairs, catalog->breakdowns, n * sizeof(*pairs));
    qsort(pairs, n, sizeof(*pairs), by_pair);
    tagd_buf_add_z(out, counted ? VERSION : NOT_COUNTED);
    for (size_t i = 0; i < n; i++) {
        tagd_buf_add_byte(out, '\n');
        pair_name(catalog, &pairs[i], out);
    }
    free(pairs);
}

size_t tagd_population_form_pairs(struct tagd_str form, struct tagd_str *pairs, size_t max)
{
    size_t n = 0;
    const char *end = form.p + form.n, *line = form.n == 0 ? NULL : memchr(form.p, '\n', form.n);
    while (line != NULL && n < max) {
        const char *next = memchr(line + 1, '\n', (size_t)(end - line - 1));
        pairs[n++] = (struct tagd_str){line + 1, (size_t)((next == NULL ? end : next) - line - 1)};
        line = next;
    }
    return n;
}

int64_t tagd_population_day(const struct tagd_catalog *catalog, int64_t watermark_ms, int64_t latest_ms)
{
    int64_t present = watermark_ms > latest_ms ? watermark_ms : latest_ms;
    return present == INT64_MIN ? INT64_MIN : tagd_local_day(catalog, present);
}

/* ---- the table ---- */

static struct tagd_member member_of(struct tagd_str text)
{
    return (struct tagd_member){text, tagd_hash64(text)};
}

/* The slot of the count, or the empty one where it belongs. */
static uint32_t slot_of(const struct tagd_counts *counts, int64_t set, const struct tagd_member *of)
{
    uint64_t hash = of->hash ^ (uint64_t)set * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t mask = (uint32_t)(counts->n_slots - 1), slot = (uint32_t)hash & mask;
    struct tagd_str member = of->text;
    for (; counts->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct tagd_count *count = &counts->at[counts->slots[slot] - 1];
        if (count->set == set && count->n == member.n && memcmp(counts->text.p + count->at, member.p, member.n) == 0)
            break;
    }
    return slot;
}

static void grow(struct tagd_counts *counts)
{
    assert(counts->n_slots < UINT32_MAX / 2);
    counts->n_slots = counts->n_slots > 0 ? counts->n_slots * 2 : SLOTS_LEAST;
    counts->cap = counts->n_slots / 2;
    counts->at = tagd_xrealloc(counts->at, counts->cap * sizeof(*counts->at));
    free(counts->slots);
    counts->slots = tagd_xcalloc(counts->n_slots, sizeof(*counts->slots));
    for (size_t i = 0; i < counts->n; i++) {
        struct tagd_member member = member_of(tagd_counts_member(counts, i));
        counts->at[i].slot = slot_of(counts, counts->at[i].set, &member);
        counts->slots[counts->at[i].slot] = (uint32_t)i + 1;
    }
}

void tagd_counts_add_member(struct tagd_counts *counts, int64_t set, const struct tagd_member *member, int64_t by)
{
    struct tagd_str text = member->text;
    if (counts->n == counts->cap)
        grow(counts);
    uint32_t slot = slot_of(counts, set, member);
    if (counts->slots[slot] == 0) {
        tagd_buf_reserve(&counts->text, text.n + 1); /* never NULL */
        counts->at[counts->n] =
            (struct tagd_count){.set = set, .at = counts->text.n, .n = (uint32_t)text.n, .slot = slot};
        tagd_buf_add_str(&counts->text, text);
        counts->slots[slot] = (uint32_t)++counts->n;
    }
    counts->at[counts->slots[slot] - 1].value += by;
}

void tagd_counts_add(struct tagd_counts *counts, int64_t set, struct tagd_str member, int64_t by)
{
    struct tagd_member hashed = member_of(member);
    tagd_counts_add_member(counts, set, &hashed, by);
}

static void add_in_all(struct tagd_counts *counts, const struct tagd_catalog *catalog, int64_t set, int64_t by)
{
    counts->member.n = 0;
    tagd_set_name(catalog, set, &counts->member);
    tagd_counts_add(counts, TAGD_SET_ALL, (struct tagd_str){counts->member.p, counts->member.n}, by);
}

void tagd_counts_add_tag(struct tagd_counts *counts, const struct tagd_catalog *catalog, size_t dimension,
                         struct tagd_str tag, int64_t by)
{
    int64_t set = tagd_set_dimension(dimension);
    add_in_all(counts, catalog, set, by);
    if (catalog->dimensions[dimension].kind != TAGD_KIND_ALERT)
        tagd_counts_add(counts, set, tag, by);
}

struct tagd_str tagd_counts_pair(struct tagd_counts *counts, struct tagd_str first, struct tagd_str second)
{
    struct tagd_buf *member = &counts->member;
    member->n = 0;
    tagd_buf_add_i64(member, (int64_t)first.n);
    tagd_buf_add_byte(member, '|');
    tagd_buf_add_str(member, first);
    tagd_buf_add_byte(member, '|');
    tagd_buf_add_str(member, second);
    return (struct tagd_str){member->p, member->n};
}

void tagd_counts_add_pair(struct tagd_counts *counts, const struct tagd_catalog *catalog, size_t breakdown,
                          struct tagd_str first, struct tagd_str second, int64_t by)
{
    int64_t set = tagd_set_breakdown(catalog, breakdown);
    add_in_all(counts, catalog, set, by);
    tagd_counts_add(counts, set, tagd_counts_pair(counts, first, second), by);
}

int64_t tagd_counts_get(const struct tagd_counts *counts, int64_t set, struct tagd_str member)
{
    struct tagd_member hashed = member_of(member);
    uint32_t found = counts->n == 0 ? 0 : counts->slots[slot_of(counts, set, &hashed)];
    return found == 0 ? 0 : counts->at[found - 1].value;
}

struct tagd_str tagd_counts_member(const struct tagd_counts *counts, size_t i)
{
    return (struct tagd_str){counts->text.p + counts->at[i].at, counts->at[i].n};
}

void tagd_counts_clear(struct tagd_counts *counts)
{
    for (size_t i = 0; i < counts->n; i++)
        counts->slots[counts->at[i].slot] = 0;
    counts->n = counts->text.n = 0;
}

void tagd_counts_free(struct tagd_counts *counts)
{
    free(counts->at);
    free(counts->slots);
    tagd_buf_free(&counts->text);
    tagd_buf_free(&counts->member);
    *counts = (struct tagd_counts){0};
}

/* ---- members known beforehand ---- */

static struct tagd_member kept(struct tagd_members *members, const struct tagd_buf *text)
{
    return member_of(tagd_arena_copy(&members->arena, text->p, text->n));
}

/* Of one tag, or of all of a value's. */
static void add_members(struct tagd_members *members, size_t dimension, uint32_t at, const char *tag,
                        struct tagd_buf *text)
{
    bool by_tag = tag != NULL && members->catalog->dimensions[dimension].kind != TAGD_KIND_ALERT;
    members->tags[at] = member_of(tagd_str_of(tag == NULL ? "" : tag));
    text->n = 0;
    tagd_buf_add_byte(text, '+');
    tagd_set_dimension_name(members->catalog, dimension, text);
    if (by_tag)
        tagd_buf_printf(text, "|%s", tag);
    members->came[at] = kept(members, text);
    text->p[0] = '-';
    members->left[at] = kept(members, text);
}

const char *tagd_goal_outcome_name(enum tagd_goal_outcome outcome)
{
    static const char *const names[] = {"started", "reached", "missed"};
    return names[outcome];
}

void tagd_goal_member_name(const struct tagd_catalog *catalog, size_t goal, enum tagd_goal_outcome outcome,
                           bool holdout, struct tagd_buf *out)
{
    tagd_buf_printf(out, "%s|%s%s", catalog->goals[goal].name, tagd_goal_outcome_name(outcome),
                    holdout ? "|holdout" : "");
}

static void add_goal_members(struct tagd_members *members, size_t goal, struct tagd_buf *text)
{
    for (int outcome = TAGD_GOAL_NONE; outcome <= TAGD_GOAL_MISSED; outcome++)
        for (int holdout = 0; holdout <= 1; holdout++) {
            text->n = 0;
            tagd_goal_member_name(members->catalog, goal, (enum tagd_goal_outcome)outcome, holdout, text);
            members->goals[tagd_goal_member(goal, (enum tagd_goal_outcome)outcome, holdout)] = kept(members, text);
        }
}

struct tagd_members *tagd_members_new(const struct tagd_catalog *catalog)
{
    struct tagd_members *members = tagd_xcalloc(1, sizeof(*members));
    size_t n = 0;
    struct tagd_buf text = {0};
    members->catalog = catalog;
    members->customers = member_of(TAGD_STR("customers"));
    members->base = tagd_xcalloc(catalog->n_dimensions + 1, sizeof(*members->base));
    for (size_t d = 0; d < catalog->n_dimensions; d++) {
        members->base[d] = (uint32_t)n;
        n += catalog->dimensions[d].n_rules;
    }
    members->tags = tagd_xcalloc(n + 1, sizeof(*members->tags));
    members->came = tagd_xcalloc(n + 1, sizeof(*members->came));
    members->left = tagd_xcalloc(n + 1, sizeof(*members->left));
    for (size_t d = 0; d < catalog->n_dimensions; d++)
        for (uint32_t i = 0; i < catalog->dimensions[d].n_rules; i++)
            add_members(members, d, members->base[d] + i, catalog->dimensions[d].rules[i].tag, &text);
    members->all = tagd_xcalloc((size_t)tagd_sets(catalog), sizeof(*members->all));
    for (int64_t set = 0; set < tagd_sets(catalog); set++) {
        text.n = 0;
        tagd_set_name(catalog, set, &text);
        members->all[set] = kept(members, &text);
    }
    members->goals = tagd_xcalloc((size_t)catalog->n_goals * TAGD_GOAL_MEMBERS + 1, sizeof(*members->goals));
    for (uint32_t g = 0; g < catalog->n_goals; g++)
        add_goal_members(members, g, &text);
    tagd_buf_free(&text);
    return members;
}

void tagd_members_free(struct tagd_members *members)
{
    if (members == NULL)
        return;
    free(members->base);
    free(members->tags);
    free(members->came);
    free(members->left);
    free(members->all);
    free(members->goals);
    tagd_arena_free(&members->arena);
    free(members);
}

/* ---- a profile ---- */

void tagd_counts_profile(struct tagd_counts *counts, const struct tagd_profile *profile,
                         const struct tagd_catalog *catalog)
{
    tagd_counts_add(counts, TAGD_SET_ALL, TAGD_STR("customers"), 1);
    for (uint32_t d = 0; tagd_profile_next_tagged(profile, &d); d++) {
        struct tagd_str tag = tagd_profile_tag_text(profile, d);
        if (tag.p != NULL)
            tagd_counts_add_tag(counts, catalog, d, tag, 1);
    }
    for (size_t i = 0; i < catalog->n_breakdowns; i++) {
        struct tagd_str a = tagd_profile_tag_text(profile, catalog->breakdowns[i].a),
                        b = tagd_profile_tag_text(profile, catalog->breakdowns[i].b);
        if (a.p != NULL && b.p != NULL)
            tagd_counts_add_pair(counts, catalog, i, a, b, 1);
    }
}
