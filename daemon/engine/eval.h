/* Room-internal: the value of an expression at an instant, and until when it stands if nothing more happens. */
#ifndef TAGD_ENGINE_EVAL_H
#define TAGD_ENGINE_EVAL_H

#include "catalog/compiled.h"
#include "profile/state.h"
#include "tagd/engine.h"

/* Where a window stands on its panes or values: [lo, hi) are in it. Moves forward only; begun anew when stale. */
struct cursor {
    uint64_t stamp;
    int64_t now; /* the view's, when it was brought there */
    int64_t at;  /* pane number of (now - offset) */
    uint32_t lo, hi;
    /* by column of a pane store: the sum, the least or greatest (as its cells are), or the number of days; and for least
     * and greatest, the last pane that has it */
    tagd_i128 *sums;
    uint32_t *best;
    /* by value of a value store: how often; and how many are more than never */
    uint64_t *counts;
    uint32_t cap_counts, distinct;
};

#define VALUE_TEXT 64 /* bytes of a number, time or date as a tag: 39 digits of 128 bits, sign and dot */

/* A tag, or what may become one. */
struct outcome {
    int32_t tag; /* -1: none */
    struct tagd_str text;
};

#define TAGD_PROPOSAL_UNNUMBERED UINT64_MAX /* revision of a proposal that the present evaluation makes */

/* How a dimension stands: as an evaluation begins, what was(), previous() and held() read; and what an outcome of its
 * rules passes through, which the evaluation moves on. See standing.c. */
struct standing {
    struct outcome tag, before;
    bool changed; /* ever; then since `at` */
    int64_t at;
    bool assigned; /* the tag is a person's */
    /* for, min_dwell: the rules' tag since rule_at, and another outcome since wanted_at, if that waits */
    struct outcome rule, wanted;
    bool waits;
    int64_t rule_at, wanted_at;
    struct tagd_review review;
    enum tagd_proposal_status decision; /* what the present event says of the open proposal; OPEN: nothing */
    enum tagd_proposal_status closed;   /* what became in this evaluation of one that was_open; OPEN: nothing */
    struct tagd_review was_open;
};

/* One view of a profile at one instant. Sets are of dimensions' places in the order of evaluation. */
struct view {
    const struct tagd_catalog *catalog;
    const struct tagd_profile *profile;
    int64_t now;
    bool stands;             /* some dimension is never plain */
    uint64_t stamp;          /* cursors with another one are stale */
    const struct view *base; /* fresh cursors are copied from there if they are good; may be NULL */
    struct cursor *cursors;  /* by window */
    uint64_t *own;           /* set: what this view has evaluated; the other tags are the profile's */
    int32_t *tags;           /* by dimension, of its own, at now */
    struct tagd_str *texts;  /* by dimension: a value's text at now; in scratch, or in the profile */
    bool negative;           /* a part of a sum that was asked for is below 0 */
    char (*scratch)[VALUE_TEXT];
    struct standing *standings; /* by dimension; only those that are not plain are kept up */
    struct tagd_arena texts_arena;
    bool proposes_none;  /* an import: nobody would be told */
    uint64_t *evaluated; /* set: in the present step of a scan */
    struct tagd_chase chase;
    int64_t *stable;    /* by dimension: the tag stands until just before */
    int64_t *decisions; /* that searches may still take; below 0 their answers are early */
    struct view *walk;  /* scratch of the same shape for looking ahead of now; NULL in a walk itself */
};

/* A dimension's tag at the view's instant, as far as it has been evaluated. */
static inline int32_t tagd_view_tag(const struct view *view, uint32_t d)
{
    return tagd_set_has(view->own, view->catalog->dimensions[d].place) ? view->tags[d]
                                                                       : tagd_tag_of(view->profile, d)->tag;
}

static inline struct tagd_str tagd_view_text(const struct view *view, const struct tagd_dimension *dimension,
                                             uint32_t d, int32_t tag)
{
    if (!dimension->is_value)
        return tagd_str_of(dimension->rules[tag].tag);
    return tagd_set_has(view->own, dimension->place) ? view->texts[d]
                                                     : tagd_text_str(&tagd_tag_of(view->profile, d)->text);
}

struct tagd_val tagd_eval(struct view *view, const struct tagd_node *node);
/* True if the condition holds: neither false nor null. */
bool tagd_holds(struct view *view, const struct tagd_node *node);
/* An instant after now up to which (exclusive) the node's value stays what it is at now. Never too late; may be early
 * where an exact answer would take more than a bounded search: the caller looks again from there. TAGD_NEVER: for ever.
 */
int64_t tagd_stable(struct view *view, const struct tagd_node *node);

/* ---- from outcome to tag (standing.c) ---- */

/* Nothing stands between the rules' outcome and the tag, and nobody asks how it stood before. */
static inline bool tagd_is_plain(const struct view *view, uint32_t d)
{
    return !tagd_set_has(view->catalog->standing, view->catalog->dimensions[d].place) &&
           !view->profile->tag_states[d].assignment.known;
}
/* Of a dimension that is not plain: */
void tagd_standing_take(struct view *view, uint32_t dimension); /* as the profile has it */
/* The view's tag, which is the rules' outcome at now, becomes the dimension's. Whether anything of its standing moved,
 * so that the profile has to be written even if the tag is the same. */
bool tagd_stand(struct view *view, uint32_t dimension);
/* Until when it stands so, whatever the rules say: later than now. */
int64_t tagd_standing_stable(const struct view *view, uint32_t dimension);
/* The evaluation is over: the view's tag is the present one, as the next evaluation will find it. Whether it changed. */
bool tagd_standing_follow(struct view *view, uint32_t dimension);
void tagd_standing_give(const struct view *view, uint32_t dimension, struct tagd_tag_state *state);
/* Of any dimension; false: it has neither for nor min_dwell. */
bool tagd_standing_holding(const struct view *view, uint32_t dimension, struct tagd_holding *holding);

/* ---- values (eval.c) ---- */

/* Both not null, of comparable kinds: <0, 0, >0; and what a comparison makes of that. */
int tagd_val_compare(struct tagd_val a, struct tagd_val b);
static inline bool tagd_val_outcome(enum tagd_node_kind kind, int order)
{
    switch (kind) {
    case TAGD_N_EQ: return order == 0;
    case TAGD_N_NE: return order != 0;
    case TAGD_N_LT: return order < 0;
    case TAGD_N_LE: return order <= 0;
    case TAGD_N_GT: return order > 0;
    default: return order >= 0;
    }
}
struct tagd_val tagd_val_arithmetic(enum tagd_node_kind kind, struct tagd_val a, struct tagd_val b);
/* The same before it is cut to whole milliseconds or found too large; neither is null, no divisor is 0. */
double tagd_val_raw(enum tagd_node_kind kind, struct tagd_val a, struct tagd_val b);
double tagd_val_number(struct tagd_val val); /* of a decimal, a double or a duration (ms) */
/* since, since_first, until, until_next, held: linear in time; the value at an instant, null if there is no event or no tag. */
bool tagd_is_clock(const struct tagd_node *node);
/* The instant at which it is 0; false: it is null. */
bool tagd_clock_zero(const struct view *view, const struct tagd_node *node, int64_t *zero);
struct tagd_val tagd_clock_val(const struct view *view, const struct tagd_node *node, int64_t at);
/* days_until, years: the date they are of, in local days; false: there is none. */
bool tagd_calendar_date(const struct view *view, const struct tagd_node *node, int64_t *date);

/* What the churn model knows of the customer; false: it has nothing to say. */
bool tagd_purchases(struct view *view, struct tagd_purchases *purchases);

/* ---- windows at view->now (window.c) ---- */

/* A column: the sum, the least or greatest as cells are, or the number of days. */
tagd_i128 tagd_window_sum(struct view *view, uint32_t window, uint32_t column);
uint32_t tagd_window_distinct(struct view *view, uint32_t window);
/* The entry of the most frequent value, of equals the one seen last; UINT32_MAX: none. */
uint32_t tagd_window_top(struct view *view, uint32_t window);
#define WALK_PANES_MAX 4000 /* of one look ahead; past it the answer is an early one */
/* A count or a sum, of a window whose panes only add up. */
static inline bool tagd_node_sums(const struct tagd_catalog *catalog, const struct tagd_node *node)
{
    return (node->kind == TAGD_N_COUNT || node->kind == TAGD_N_SUM) && catalog->windows[node->index].panes &&
           catalog->stores[catalog->windows[node->index].store].sums;
}
/* Of such a node against a level: when the comparison turns as panes leave and enter; TAGD_NEVER: it doesn't. */
int64_t tagd_window_crossing(struct view *view, const struct tagd_node *node, enum tagd_node_kind op, tagd_i128 level);
/* The next instant at which a pane with events leaves or enters; TAGD_NEVER: none. */
int64_t tagd_window_boundary(struct view *view, uint32_t window);

#endif
