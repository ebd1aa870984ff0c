/* Standing counts change by what a customer had before a batch and has after it, however often they changed in it; the
 * counts of days and months by every change. */
#include "population/population.h"

#include <assert.h>
#include <stdlib.h>

#include "catalog/compiled.h"

static void tally_of(struct tagd_tally *tally, const struct tagd_members *members)
{
    size_t n = members->catalog->n_dimensions;
    if (tally->members == members)
        return;
    free(tally->left);
    free(tally->place);
    tally->members = members;
    tally->left = tagd_xcalloc(n + 1, sizeof(*tally->left));
    tally->place = tagd_xcalloc(n + 1, sizeof(*tally->place));
    tally->n_left = 0;
}

static void forget_customer(struct tagd_tally *tally)
{
    for (size_t i = 0; i < tally->n_left; i++)
        tally->place[tally->left[i].dimension] = 0;
    tally->n_left = tally->n_goals = tally->text.n = 0;
}

void tagd_tally_begin(struct tagd_tally *tally, const struct tagd_members *members)
{
    tally_of(tally, members);
    forget_customer(tally);
    tagd_counts_clear(&tally->counts);
    tally->n_moves = 0;
}

/* ---- moves ---- */

/* Where the tag stands among the members that are known beforehand. */
static uint32_t place_of(const struct tagd_members *members, size_t dimension, struct tagd_tag tag)
{
    return members->base[dimension] + (uint32_t)tag.index;
}

/* Of a value it is built. */
static struct tagd_str day_member(struct tagd_tally *tally, size_t dimension, struct tagd_str tag, bool came)
{
    struct tagd_buf *member = &tally->counts.member;
    const struct tagd_member *of = came ? tally->members->came : tally->members->left;
    struct tagd_str all = of[tally->members->base[dimension]].text;
    member->n = 0;
    tagd_buf_add_str(member, all);
    tagd_buf_add_byte(member, '|');
    tagd_buf_add_str(member, tag);
    return (struct tagd_str){member->p, member->n};
}

/* Came to the tag, or left it, on that day. */
static void count_day(struct tagd_tally *tally, size_t dimension, struct tagd_tag tag, bool came, int64_t day)
{
    const struct tagd_members *members = tally->members;
    const struct tagd_dimension *of = &members->catalog->dimensions[dimension];
    if (tag.index < 0)
        return;
    if (of->is_value && of->by_day) {
        tagd_counts_add(&tally->counts, tagd_set_day(day), day_member(tally, dimension, tag.text, came), 1);
        return;
    }
    uint32_t place = place_of(members, dimension, tag);
    tagd_counts_add_member(&tally->counts, tagd_set_day(day), came ? &members->came[place] : &members->left[place], 1);
}

static void keep_move(struct tagd_tally *tally, struct tagd_move move)
{
    if (tally->n_moves == tally->cap_moves) {
        tally->cap_moves = tally->cap_moves > 0 ? tally->cap_moves * 2 : 256;
        tally->moves = tagd_xrealloc(tally->moves, tally->cap_moves * sizeof(*tally->moves));
    }
    tally->moves[tally->n_moves++] = move;
}

void tagd_tally_move(void *to, size_t dimension, struct tagd_tag from, struct tagd_tag into, int64_t at_ms)
{
    struct tagd_tally *tally = to;
    int64_t day = tagd_local_day(tally->members->catalog, at_ms);
    keep_move(tally, (struct tagd_move){(uint32_t)dimension, from.index, into.index});
    count_day(tally, dimension, from, false, day);
    count_day(tally, dimension, into, true, day);
    if (tally->place[dimension] != 0)
        return;
    tally->left[tally->n_left] = (struct tagd_left){(uint32_t)dimension, from.index, tally->text.n, from.text.n};
    tally->place[dimension] = (uint32_t)++tally->n_left;
    tagd_buf_reserve(&tally->text, from.text.n + 1); /* never NULL */
    tagd_buf_add_str(&tally->text, from.text);
}

/* ---- goals ---- */

static void count_goal(struct tagd_tally *tally, size_t goal, int64_t started_ms, enum tagd_goal_outcome outcome,
                       int64_t by)
{
    if (tally->n_goals == tally->cap_goals) {
        tally->cap_goals = tally->cap_goals > 0 ? tally->cap_goals * 2 : 16;
        tally->goals = tagd_xrealloc(tally->goals, tally->cap_goals * sizeof(*tally->goals));
    }
    tally->goals[tally->n_goals++] = (struct tagd_goal_count){
        (uint32_t)goal, outcome, tagd_month_of(tagd_local_day(tally->members->catalog, started_ms)), by};
}

void tagd_tally_goal(void *to, size_t goal, int64_t started_ms, enum tagd_goal_outcome outcome)
{
    count_goal(to, goal, started_ms, outcome, 1);
}

/* How a goal that began then stands by this. False: it doesn't say. */
static bool stands(const struct tagd_goal_state *state, int64_t started_ms, enum tagd_goal_outcome *outcome)
{
    bool runs = state->running && state->started == started_ms;
    *outcome = runs ? TAGD_GOAL_NONE : state->outcome;
    return runs || (state->outcome != TAGD_GOAL_NONE && state->ended_started == started_ms);
}

/* The earliest beginning of which it knows; of others before nothing can be said. */
static int64_t known_from(const struct tagd_goal_state *state)
{
    return state->outcome != TAGD_GOAL_NONE ? state->ended_started : state->running ? state->started : INT64_MIN;
}

/* One goal that `one` has, by what the other says of it. */
static void count_begun(struct tagd_tally *tally, size_t goal, int64_t started_ms, enum tagd_goal_outcome outcome,
                        const struct tagd_goal_state *other, int64_t by)
{
    enum tagd_goal_outcome there;
    bool known = stands(other, started_ms, &there);
    if (known ? there == outcome : started_ms < known_from(other))
        return;
    if (!known)
        count_goal(tally, goal, started_ms, TAGD_GOAL_NONE, by);
    if (outcome != TAGD_GOAL_NONE)
        count_goal(tally, goal, started_ms, outcome, by);
}

static void count_state(struct tagd_tally *tally, size_t goal, const struct tagd_goal_state *one,
                        const struct tagd_goal_state *other, int64_t by)
{
    if (one->running)
        count_begun(tally, goal, one->started, TAGD_GOAL_NONE, other, by);
    if (one->outcome != TAGD_GOAL_NONE)
        count_begun(tally, goal, one->ended_started, one->outcome, other, by);
}

void tagd_tally_goal_state(struct tagd_tally *tally, size_t goal, const struct tagd_goal_state *was,
                           const struct tagd_goal_state *is)
{
    count_state(tally, goal, was, is, -1);
    count_state(tally, goal, is, was, 1);
}

/* Who is held out is known by now. */
static void count_goals(struct tagd_tally *tally, struct tagd_str customer)
{
    const struct tagd_members *members = tally->members;
    for (size_t i = 0; i < tally->n_goals; i++) {
        const struct tagd_goal_count *goal = &tally->goals[i];
        bool holdout = tagd_catalog_holds_out(&members->catalog->goals[goal->goal], customer);
        tagd_counts_add_member(&tally->counts, tagd_set_month(goal->month),
                               &members->goals[tagd_goal_member(goal->goal, goal->outcome, holdout)], goal->by);
    }
}

/* ---- a customer ---- */

static struct tagd_tag tag_now(const struct tagd_profile *profile, size_t dimension)
{
    return (struct tagd_tag){tagd_profile_tag(profile, dimension), tagd_profile_tag_text(profile, dimension)};
}

static struct tagd_tag tag_before(const struct tagd_tally *tally, const struct tagd_profile *profile, size_t dimension)
{
    if (tally->place[dimension] == 0)
        return tag_now(profile, dimension);
    const struct tagd_left *left = &tally->left[tally->place[dimension] - 1];
    if (left->tag < 0)
        return (struct tagd_tag){-1, {NULL, 0}};
    return (struct tagd_tag){left->tag, {tally->text.p + left->at, left->n}};
}

static bool same_tag(struct tagd_tag a, struct tagd_tag b)
{
    return a.index == b.index && (a.index < 0 || tagd_str_eq(a.text, b.text));
}

static void count_tag(struct tagd_tally *tally, size_t dimension, struct tagd_tag tag, int64_t by)
{
    const struct tagd_members *members = tally->members;
    const struct tagd_dimension *of = &members->catalog->dimensions[dimension];
    int64_t set = tagd_set_dimension(dimension);
    if (tag.index < 0)
        return;
    tagd_counts_add_member(&tally->counts, TAGD_SET_ALL, &members->all[set], by);
    if (of->is_value)
        tagd_counts_add(&tally->counts, set, tag.text, by);
    else if (of->kind != TAGD_KIND_ALERT)
        tagd_counts_add_member(&tally->counts, set, &members->tags[place_of(members, dimension, tag)], by);
}

static void count_pair(struct tagd_tally *tally, size_t i, struct tagd_tag a, struct tagd_tag b, int64_t by)
{
    int64_t set = tagd_set_breakdown(tally->members->catalog, i);
    if (a.index < 0 || b.index < 0)
        return;
    tagd_counts_add_member(&tally->counts, TAGD_SET_ALL, &tally->members->all[set], by);
    tagd_counts_add(&tally->counts, set, tagd_counts_pair(&tally->counts, a.text, b.text), by);
}

static void count_pairs(struct tagd_tally *tally, const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = tally->members->catalog;
    for (size_t i = 0; i < catalog->n_breakdowns; i++) {
        const struct tagd_breakdown *pair = &catalog->breakdowns[i];
        if (tally->place[pair->a] == 0 && tally->place[pair->b] == 0)
            continue;
        struct tagd_tag was_a = tag_before(tally, profile, pair->a), was_b = tag_before(tally, profile, pair->b);
        struct tagd_tag a = tag_now(profile, pair->a), b = tag_now(profile, pair->b);
        if (same_tag(a, was_a) && same_tag(b, was_b))
            continue;
        count_pair(tally, i, was_a, was_b, -1);
        count_pair(tally, i, a, b, 1);
    }
}

void tagd_tally_customer(struct tagd_tally *tally, struct tagd_str customer, const struct tagd_profile *profile,
                         bool began)
{
    if (began)
        tagd_counts_add_member(&tally->counts, TAGD_SET_ALL, &tally->members->customers, 1);
    for (size_t i = 0; i < tally->n_left; i++) {
        size_t dimension = tally->left[i].dimension;
        struct tagd_tag before = tag_before(tally, profile, dimension), now = tag_now(profile, dimension);
        if (same_tag(before, now))
            continue;
        count_tag(tally, dimension, before, -1);
        count_tag(tally, dimension, now, 1);
    }
    if (tally->n_left > 0)
        count_pairs(tally, profile);
    count_goals(tally, customer);
    forget_customer(tally);
}

void tagd_tally_free(struct tagd_tally *tally)
{
    tagd_counts_free(&tally->counts);
    free(tally->moves);
    free(tally->left);
    free(tally->goals);
    free(tally->place);
    tagd_buf_free(&tally->text);
    *tally = (struct tagd_tally){0};
}

/* ---- since the process began ---- */

struct tagd_flow *tagd_flow_new(const struct tagd_catalog *catalog)
{
    struct tagd_flow *flow = tagd_xcalloc(1, sizeof(*flow));
    uint32_t n = 0;
    flow->base = tagd_xcalloc(catalog->n_dimensions + 1, sizeof(*flow->base));
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        flow->base[d] = n;
        n += catalog->dimensions[d].n_rules;
    }
    flow->base[catalog->n_dimensions] = n;
    flow->entries = tagd_xcalloc(n + 1, sizeof(*flow->entries));
    flow->exits = tagd_xcalloc(n + 1, sizeof(*flow->exits));
    return flow;
}

static void count_one(uint64_t *count)
{
    __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

void tagd_flow_add(struct tagd_flow *flow, const struct tagd_move *moves, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t base = flow->base[moves[i].dimension];
        assert(moves[i].from < 0 || base + (uint32_t)moves[i].from < flow->base[moves[i].dimension + 1]);
        if (moves[i].from >= 0)
            count_one(&flow->exits[base + (uint32_t)moves[i].from]);
        if (moves[i].into >= 0)
            count_one(&flow->entries[base + (uint32_t)moves[i].into]);
    }
}

void tagd_flow_free(struct tagd_flow *flow)
{
    if (flow == NULL)
        return;
    free(flow->base);
    free(flow->entries);
    free(flow->exits);
    free(flow);
}
