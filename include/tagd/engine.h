/* engine: profile + event or time -> profile + changes. Evaluates dimensions, finds the next instant at which time
 * alone changes a tag, explains. No I/O, no clock. One engine serves one thread. */
#ifndef TAGD_ENGINE_H
#define TAGD_ENGINE_H

#include "tagd/catalog.h"
#include "tagd/event.h"
#include "tagd/profile.h"

struct tagd_engine;

/* A tag of a dimension: the index of its rule (0: a value; -1: none) and its text (p NULL: none). */
struct tagd_tag {
    int32_t index;
    struct tagd_str text;
};

enum tagd_origin { TAGD_BY_EVENT, TAGD_BY_TIME, TAGD_BY_HAND, TAGD_BY_REVIEW, TAGD_BY_REPAIR };

/* What becomes of a proposal. */
enum tagd_proposal_status {
    TAGD_PROPOSAL_OPEN,
    TAGD_PROPOSAL_APPROVED,
    TAGD_PROPOSAL_REJECTED,
    TAGD_PROPOSAL_WITHDRAWN, /* the rules propose something else by now, or a person assigned a tag */
    TAGD_PROPOSAL_EXPIRED,
    TAGD_PROPOSAL_STATUSES
};

/* An event out, as a sink is told it; all pointers live until the call returns. */
struct tagd_change {
    enum tagd_kind kind;
    const struct tagd_engine *engine; /* for emit: rules and their values as of this evaluation */
    const struct tagd_profile *profile;
    size_t dimension;
    struct tagd_tag from, to; /* of a PROPOSAL: the tag approved last, and the proposed one */
    uint64_t revision;        /* a customer's of this kind, from 1, no gap */
    int64_t time_ms;          /* when it takes effect */
    int64_t valid_until_ms;   /* TAGD_NEVER: not within the horizon; of a PROPOSAL: when it expires */
    struct tagd_tag then;     /* none: the tag ends (or valid_until is NEVER) */
    enum tagd_origin origin;
    const struct tagd_event *cause; /* NULL: the passing of time, or a repair: published tags said otherwise */
    struct tagd_assignment by;      /* known: `to` is a person's, not a rule's */
    bool from_by;                   /* `from` was */
    /* PROPOSAL: */
    enum tagd_proposal_status status;
    uint64_t proposal; /* the revision of its event that proposed it */
    /* TAG, GOAL: */
    int32_t goal;                         /* the goal that entering the tag starts, or that has ended; -1: none */
    enum tagd_goal_outcome outcome;       /* GOAL */
    int64_t goal_started_ms, deadline_ms; /* of that goal */
};
struct tagd_sink {
    void *self;
    void (*change)(void *self, const struct tagd_change *change);
};

enum tagd_applied { TAGD_APPLIED, TAGD_DUPLICATE, TAGD_IGNORED };

struct tagd_limits { /* counters, only ever raised */
    uint64_t panes, values, dedupe_ids;
    uint64_t chases;        /* times that rules which look back at each other's dimensions were stopped */
    uint64_t stale_reviews; /* decisions about proposals that were not open (any more) */
};

struct tagd_engine *tagd_engine_new(const struct tagd_catalog *catalog, int64_t horizon_ms);
void tagd_engine_free(struct tagd_engine *engine);
const struct tagd_limits *tagd_engine_limits(const struct tagd_engine *engine);
/* How tags change: told; or untold and unnumbered, either as history that is there before the first change is published,
 * in which nothing is proposed for review either, or as history told before, in which proposals get the numbers again
 * that they had. TOLD at first. */
enum tagd_telling { TAGD_TOLD, TAGD_BASELINE, TAGD_REPLAY };
void tagd_engine_telling(struct tagd_engine *engine, enum tagd_telling telling);
/* Called at every change of a tag or an alert, told or not, several of one dimension one after the other; not for what
 * is told of a repair's differences, where no tag changes. `from` and `to` live until it returns. */
typedef void (*tagd_moved)(void *to, size_t dimension, struct tagd_tag from, struct tagd_tag into, int64_t at_ms);
/* Called, told or not, when a goal begins (outcome NONE) and when it ends; started_ms: when it began. */
typedef void (*tagd_goal_moved)(void *to, size_t goal, int64_t started_ms, enum tagd_goal_outcome outcome);
struct tagd_watcher {
    void *to;
    tagd_moved moved;
    tagd_goal_moved goal;
};
void tagd_engine_watch(struct tagd_engine *engine, struct tagd_watcher watcher);
#define TAGD_NO_WATCHER ((struct tagd_watcher){NULL, NULL, NULL})
/* How many times anything changed untold, ever: whether a customer's did is seen by looking before and after. */
uint64_t tagd_engine_untold(const struct tagd_engine *engine);

/* For repair, where published tags have taken the place of those that were computed untold: evaluates everything again
 * at the customer's clock. What that changes was published otherwise, and is told so. */
void tagd_engine_repair(struct tagd_engine *engine, struct tagd_profile *profile, struct tagd_sink sink);

/* Lets time run to `to_ms`, included: every instant at which a tag changes with no event, in order, each at its own
 * instant. Cheap if tagd_profile_due(profile) > to_ms. A profile that does not exist has no instants. */
void tagd_engine_advance(struct tagd_engine *engine, struct tagd_profile *profile, int64_t to_ms,
                         struct tagd_sink sink);

/* One decoded event (code OK). watermark_ms: the shard's, as this record has moved it. The customer's clock becomes the
 * later of its own latest event (this one included) and the watermark; time runs up to it first, then the event is
 * applied and evaluated at it. A duplicate or an ignored type changes nothing, but time still runs (due instants up to
 * the watermark). */
enum tagd_applied tagd_engine_apply(struct tagd_engine *engine, struct tagd_profile *profile,
                                    const struct tagd_event *event, int64_t watermark_ms, struct tagd_sink sink);

/* For emit and explain. The values of the rule `rule` of `dimension` (as {"text":value,...}, JSON) at the present
 * evaluation. */
void tagd_engine_rule_values(const struct tagd_engine *engine, size_t dimension, size_t rule, struct tagd_buf *out);
/* One of them alone, without its text: in the order of the rule's values. */
void tagd_engine_rule_value(const struct tagd_engine *engine, size_t dimension, size_t rule, size_t value,
                            struct tagd_buf *out);
/* An attribute's value at the present evaluation, as JSON; null: none. */
void tagd_engine_attribute(const struct tagd_engine *engine, size_t attribute, struct tagd_buf *out);
/* "p_alive":number or null,"drivers":[...],"last_activity":time or null of the present evaluation; JSON members. */
void tagd_engine_churn(const struct tagd_engine *engine, struct tagd_buf *out);
/* A measure at the present evaluation: of a condition 0 or 1, of a duration ms. False: it says nothing of this customer. */
bool tagd_engine_measure(const struct tagd_engine *engine, size_t measure, double *value);
/* NULL: only a person gives that tag. */
const char *tagd_engine_rule_text(const struct tagd_engine *engine, size_t dimension, size_t rule);
/* Whether it holds, of a value: isn't null, at the present evaluation. */
bool tagd_engine_rule_holds(const struct tagd_engine *engine, size_t dimension, size_t rule);
/* What `for` and `min_dwell` make of the dimension's rules. False: it has neither. The texts live until the engine is
 * used again. */
struct tagd_holding {
    struct tagd_tag rule;  /* the rules' tag */
    int64_t rule_since_ms; /* if there is one */
    bool waits;            /* another outcome of the rules, `wanted` since wanted_since_ms, is their tag at due_ms */
    struct tagd_tag wanted;
    int64_t wanted_since_ms, due_ms;
};
bool tagd_engine_holding(const struct tagd_engine *engine, size_t dimension, struct tagd_holding *holding);
/* Sets the engine up to answer rule_values for this profile at this instant; valid_until and then per dimension on
 * request; then's text lives until the engine is used again. */
void tagd_engine_view(struct tagd_engine *engine, struct tagd_profile *profile, int64_t at_ms);
void tagd_engine_next(struct tagd_engine *engine, struct tagd_profile *profile, size_t dimension, int64_t at_ms,
                      int64_t *valid_until_ms, struct tagd_tag *then);

#endif
