/* population: how many customers carry which tag, and how many came to it and left it each day: what a shard's counts are
 * called, how they follow its profiles, and what they say together. They are a function of the stored profiles, but for
 * those of days and months, which are one of all changes of tags and goals there ever were, told or not.
 *
 * A count is a member of a set; one that is 0 is not there. Sets of a shard, by their names:
 *
 *   all           `customers`: how many there are; `<dimension>`: how many of them have a tag in it; `alert:<name>`: for
 *                 how many the alert is raised; `<a>|<b>`: how many have a tag in both
 *   <dimension>   `<tag>`: how many have it
 *   <a>|<b>       of each pair of the catalog's breakdowns, a before b in the catalog: `<bytes of the first tag>|<the
 *                 first tag>|<the second>`: how many have both
 *   <yyyy-mm-dd>  `+<dimension>|<tag>`, `-<dimension>|<tag>`: how often on that day of the catalog's time zone a customer
 *                 came to the tag, and left it; of a `value` that stands in no breakdown `+<dimension>`, `-<dimension>`, of
 *                 all its tags together; `+alert:<name>`, `-alert:<name>`: how often it was raised and cleared
 *   <yyyy-mm>     `<goal>|started`, `<goal>|reached`, `<goal>|missed`: how many of the goals that began in that month of
 *                 the catalog's time zone there are, and how many of them ended how by now; with `|holdout` behind it those
 *                 of customers who are held out, who are in no other
 *
 * A day is kept as long as it is among the last TAGD_POPULATION_DAYS up to the shard's present, a month as long as it is
 * among the last TAGD_POPULATION_MONTHS. Beside the sets stands
 * their form: the version of all this, and the pairs that are counted; state of another form is counted anew. */
#ifndef TAGD_POPULATION_H
#define TAGD_POPULATION_H

#include "tagd/engine.h"

#define TAGD_POPULATION_DAYS 400
#define TAGD_POPULATION_MONTHS 24
#define TAGD_POPULATION_TAGS_DEFAULT 1000 /* of a value's tags and of a pair's the most frequent are listed */
#define TAGD_POPULATION_TAGS_MAX 100000

/* ---- sets (counts.c) ---- */

#define TAGD_SET_ALL 0
static inline int64_t tagd_set_dimension(size_t dimension)
{
    return 1 + (int64_t)dimension;
}
int64_t tagd_set_breakdown(const struct tagd_catalog *catalog, size_t breakdown);
/* day: since 1970-01-01, local. */
int64_t tagd_set_day(int64_t day);
bool tagd_set_is_day(int64_t set, int64_t *day);
/* month: as tagd_month_of() has it. */
int64_t tagd_set_month(int64_t month);
bool tagd_set_is_month(int64_t set, int64_t *month);
void tagd_set_name(const struct tagd_catalog *catalog, int64_t set, struct tagd_buf *out);
/* All sets but those of days and months are from 0 to below it; those are negative. */
int64_t tagd_sets(const struct tagd_catalog *catalog);
/* A dimension's name as a member of `all`: an alert's has "alert:" before it. */
void tagd_set_dimension_name(const struct tagd_catalog *catalog, size_t dimension, struct tagd_buf *out);
/* counted: of a shard that is counted, else of one that is being counted. */
void tagd_population_form(const struct tagd_catalog *catalog, bool counted, struct tagd_buf *out);
/* The names of the pairs of which there may be counts; they point into the form. Returns how many there are. */
size_t tagd_population_form_pairs(struct tagd_str form, struct tagd_str *pairs, size_t max);
/* The local day of a shard's present: the later of its watermark and its latest event, ms. INT64_MIN: none yet. */
int64_t tagd_population_day(const struct tagd_catalog *catalog, int64_t watermark_ms, int64_t latest_ms);

/* ---- counts (counts.c): a table; zeroed it is empty, and warm use allocates nothing ---- */

struct tagd_count {
    int64_t set;
    size_t at; /* the member, in text */
    uint32_t n, slot;
    int64_t value;
};
struct tagd_counts {
    struct tagd_count *at;
    size_t n, cap;
    uint32_t *slots; /* index + 1 */
    size_t n_slots;
    struct tagd_buf text, member;
};
void tagd_counts_add(struct tagd_counts *counts, int64_t set, struct tagd_str member, int64_t by);
/* Those who have a tag, and those who have both of a breakdown's: in their set, and in `all`. */
void tagd_counts_add_tag(struct tagd_counts *counts, const struct tagd_catalog *catalog, size_t dimension,
                         struct tagd_str tag, int64_t by);
void tagd_counts_add_pair(struct tagd_counts *counts, const struct tagd_catalog *catalog, size_t breakdown,
                          struct tagd_str first, struct tagd_str second, int64_t by);
/* A pair's member; it lives until the next one is made. */
struct tagd_str tagd_counts_pair(struct tagd_counts *counts, struct tagd_str first, struct tagd_str second);
int64_t tagd_counts_get(const struct tagd_counts *counts, int64_t set, struct tagd_str member);
/* It lives until the next one is added. */
struct tagd_str tagd_counts_member(const struct tagd_counts *counts, size_t i);
void tagd_counts_clear(struct tagd_counts *counts);
void tagd_counts_free(struct tagd_counts *counts);
/* Members that a catalog knows beforehand, so that counting builds and hashes no names. */
struct tagd_member {
    struct tagd_str text;
    uint64_t hash;
};
struct tagd_members {
    const struct tagd_catalog *catalog;
    struct tagd_arena arena;
    uint32_t *base; /* by dimension: where its tags begin, in what follows; a value has one place there */
    struct tagd_member *tags, *came, *left;
    struct tagd_member *all; /* of `all`, by set */
    struct tagd_member customers;
    struct tagd_member *goals; /* by tagd_goal_member() */
};
enum { TAGD_GOAL_MEMBERS = 6 }; /* of a goal */
static inline size_t tagd_goal_member(size_t goal, enum tagd_goal_outcome outcome, bool holdout)
{
    return goal * TAGD_GOAL_MEMBERS + (size_t)outcome * 2 + holdout;
}
struct tagd_members *tagd_members_new(const struct tagd_catalog *catalog);
void tagd_members_free(struct tagd_members *members); /* NULL is fine */
void tagd_goal_member_name(const struct tagd_catalog *catalog, size_t goal, enum tagd_goal_outcome outcome,
                           bool holdout, struct tagd_buf *out);
const char *tagd_goal_outcome_name(enum tagd_goal_outcome outcome); /* NONE: started */
void tagd_counts_add_member(struct tagd_counts *counts, int64_t set, const struct tagd_member *member, int64_t by);

/* Adds a stored profile: over all of a shard this is what its sets but those of days and months must be. */
void tagd_counts_profile(struct tagd_counts *counts, const struct tagd_profile *profile,
                         const struct tagd_catalog *catalog);

/* ---- a tally: by how much counts change, customer after customer (tally.c) ---- */

struct tagd_move { /* tags as indexes; -1: none */
    uint32_t dimension;
    int32_t from, into;
};
struct tagd_left { /* what the present customer had in a dimension before it moved */
    uint32_t dimension;
    int32_t tag;
    size_t at, n; /* its text */
};
struct tagd_goal_count { /* of the present customer */
    uint32_t goal;
    enum tagd_goal_outcome outcome; /* NONE: it began */
    int64_t month, by;              /* of its beginning */
};
struct tagd_tally { /* zeroed it is new */
    const struct tagd_members *members;
    struct tagd_counts counts;
    struct tagd_move *moves; /* all there were since it began */
    size_t n_moves, cap_moves;
    struct tagd_left *left;
    size_t n_left;
    struct tagd_goal_count *goals;
    size_t n_goals, cap_goals;
    uint32_t *place; /* by dimension: in left, + 1; 0: it hasn't moved */
    struct tagd_buf text;
};
void tagd_tally_begin(struct tagd_tally *tally, const struct tagd_members *members);
/* What an engine tells its watcher of the present customer. */
void tagd_tally_move(void *tally, size_t dimension, struct tagd_tag from, struct tagd_tag into, int64_t at_ms);
void tagd_tally_goal(void *tally, size_t goal, int64_t started_ms, enum tagd_goal_outcome outcome);
static inline struct tagd_watcher tagd_tally_watcher(struct tagd_tally *tally)
{
    return (struct tagd_watcher){tally, tagd_tally_move, tagd_tally_goal};
}
/* A goal of the present customer stands otherwise than it did, with nothing between that was told of: only beginnings and
 * ends are counted, or taken back, on which both have something to say. */
void tagd_tally_goal_state(struct tagd_tally *tally, size_t goal, const struct tagd_goal_state *was,
                           const struct tagd_goal_state *is);
/* All of the customer is done: this is the profile as it will be stored. began: it wasn't there before. */
void tagd_tally_customer(struct tagd_tally *tally, struct tagd_str customer, const struct tagd_profile *profile,
                         bool began);
void tagd_tally_free(struct tagd_tally *tally);

/* How often tags were come to and left, since this process began; one thread adds, others read by relaxed loads. */
struct tagd_flow {
    uint32_t *base; /* by dimension: where its tags begin; a value's are counted together */
    uint64_t *entries, *exits;
};
struct tagd_flow *tagd_flow_new(const struct tagd_catalog *catalog);
void tagd_flow_add(struct tagd_flow *flow, const struct tagd_move *moves, size_t n);
void tagd_flow_free(struct tagd_flow *flow); /* NULL is fine */

/* ---- what they say (report.c) ---- */

enum { TAGD_NO_BREAKDOWN = -1, TAGD_ALL_BREAKDOWNS = -2 };
struct tagd_population_query {
    int32_t dimension; /* -1: all, and alerts */
    int32_t breakdown; /* index, or one of the above */
    int64_t days;      /* so many up to that of as_of_ms; 0: none */
    int64_t months;    /* likewise */
    size_t tags_max;   /* a value's tags and a pair's counts that are listed */
};
struct tagd_population_info {
    const char *group;          /* NULL: there is none */
    int64_t as_of_ms;           /* the latest instant that counts; INT64_MIN: none */
    uint32_t shards, uncounted; /* uncounted: among them, not yet by this catalog, or not at all */
};
/* One JSON object, no newline. */
void tagd_population_report(const struct tagd_catalog *catalog, const struct tagd_counts *sums,
                            const struct tagd_population_query *query, const struct tagd_population_info *info,
                            struct tagd_buf *out);

/* Counts in the order in which they are told: by set, then the largest first, of equals by their bytes; without those
 * that are 0. */
struct tagd_ranked {
    int64_t set, value;
    struct tagd_str member;
};
/* n of them, of malloc. They point into the counts. */
struct tagd_ranked *tagd_counts_rank(const struct tagd_counts *counts, size_t *n);
/* A day's count: the dimension, its tag (p NULL: all of them) and whether it is of those who came. False: it is none of
 * this catalog. */
bool tagd_day_member(const struct tagd_catalog *catalog, struct tagd_str member, size_t *dimension,
                     struct tagd_str *tag, bool *came);
/* Of a month's goal, how many began, were reached and missed: by outcome. */
struct tagd_cohort {
    int64_t n[3];
};
struct tagd_cohort tagd_goal_cohort(const struct tagd_catalog *catalog, const struct tagd_counts *sums, size_t goal,
                                    int64_t month, bool holdout);
/* How many go on. */
int64_t tagd_cohort_running(const struct tagd_cohort *cohort);
/* A cohort's share of those reached. NaN: none began, or more ended than are known to have begun. */
double tagd_cohort_rate(const struct tagd_cohort *cohort);
/* A pair's. */
bool tagd_pair_member(struct tagd_str member, struct tagd_str *first, struct tagd_str *second);

#endif
