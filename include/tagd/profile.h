/* profile: what is known of one customer (panes, totals, marks, tags, dedupe ids), and its binary form.
 * The form is versioned; see the head of daemon/profile/profile.c. No evaluation happens here. */
#ifndef TAGD_PROFILE_H
#define TAGD_PROFILE_H

#include "tagd/base.h"
#include "tagd/catalog.h"

#define TAGD_PROFILE_PANES_MAX 20000 /* panes of one customer and store; past it the oldest goes, counted */
/* Different values (distinct, top) of one customer and value store: value x pane, and the bytes of different strings; past
 * either the value seen longest ago goes, counted. */
#define TAGD_PROFILE_VALUES_MAX 10000
#define TAGD_PROFILE_VALUE_BYTES_MAX (256 * 1024)
#define TAGD_PROFILE_IDS_MAX 10000 /* dedupe ids of one customer; past it the one that ends first goes, counted */

#define TAGD_CHASE_MAX 100 /* changes in a row, a millisecond apart, that rules which look back make of each other */

struct tagd_profile; /* decoded; reused for many customers, so warm use allocates nothing */

struct tagd_profile *tagd_profile_new(const struct tagd_catalog *catalog);
void tagd_profile_free(struct tagd_profile *profile);
/* Makes it the profile of a customer never seen. */
void tagd_profile_clear(struct tagd_profile *profile);
/* Reads the binary form. False: not a profile of this version and catalog, or damaged; the profile is then clear. */
bool tagd_profile_decode(struct tagd_profile *profile, struct tagd_str bytes, struct tagd_error *error);
/* Appends the binary form. */
void tagd_profile_encode(const struct tagd_profile *profile, struct tagd_buf *out);
bool tagd_profile_exists(const struct tagd_profile *profile); /* has it had an applied event? */

/* The earliest instant at which time alone may change a tag (a lower bound, ms); TAGD_NEVER: none. */
int64_t tagd_profile_due(const struct tagd_profile *profile);
/* The revision of the last event of that kind (0: none yet); and the last tag change's effective time. */
uint64_t tagd_profile_revision(const struct tagd_profile *profile, enum tagd_kind kind);
int64_t tagd_profile_changed_at(const struct tagd_profile *profile);
/* The customer's own latest event time, ms; INT64_MIN: none yet. */
int64_t tagd_profile_latest(const struct tagd_profile *profile);
/* The tag of a dimension: index (0 for a value), or -1 for none; and its text (p NULL: none), which lives as long as the
 * profile is not changed. */
int32_t tagd_profile_tag(const struct tagd_profile *profile, size_t dimension);
struct tagd_str tagd_profile_tag_text(const struct tagd_profile *profile, size_t dimension);
/* The first dimension from *dimension on that may have a tag; all that have one are among these. False: there is none. */
bool tagd_profile_next_tagged(const struct tagd_profile *profile, uint32_t *dimension);
/* A person's word on a dimension's tag, the latest by time. The texts live as long as the profile is not changed. */
struct tagd_assignment {
    bool known;       /* else the rest says nothing */
    int32_t tag;      /* -1: the tag was cleared */
    int64_t until_ms; /* TAGD_NEVER: until it is cleared */
    struct tagd_str by, reason;
};
void tagd_profile_assignment(const struct tagd_profile *profile, size_t dimension, struct tagd_assignment *assignment);
/* The open proposal of a reviewed dimension. False: none. */
struct tagd_proposal {
    uint64_t revision; /* its event's */
    int32_t tag;       /* -1: that there be none */
    int64_t at_ms;
    int64_t expires_ms; /* TAGD_NEVER: it stays open */
};
bool tagd_profile_proposal(const struct tagd_profile *profile, size_t dimension, struct tagd_proposal *proposal);
/* A goal of the customer, and how the last one before it ended. */
enum tagd_goal_outcome { TAGD_GOAL_NONE, TAGD_GOAL_REACHED, TAGD_GOAL_MISSED };
struct tagd_goal_state {
    bool running;
    int64_t started; /* while it runs, ms */
    /* The last one that ended; NONE: none did. Its start, when it ended, and its event's revision (0: untold). */
    enum tagd_goal_outcome outcome;
    int64_t ended_started, ended;
    uint64_t revision;
};
void tagd_profile_goal(const struct tagd_profile *profile, size_t goal, struct tagd_goal_state *state);
void tagd_profile_set_goal(struct tagd_profile *profile, size_t goal, const struct tagd_goal_state *state);
/* All that is known of a dimension's tag. The texts live as long as the profile is not changed. */
struct tagd_tag_history {
    bool changed;                /* ever; else the rest says none */
    struct tagd_str tag, before; /* p NULL: none */
    int64_t since_ms;            /* when `before` became `tag` */
};
void tagd_profile_tag_history(const struct tagd_profile *profile, size_t dimension, struct tagd_tag_history *history);
/* How a reviewed dimension stands. Tags: -1 is none, which may be proposed as well. */
struct tagd_review {
    int32_t approved;
    uint64_t open; /* the revision of the open proposal; 0: none. Then: */
    int32_t proposed;
    int64_t proposed_at;
    bool
        declined; /* this outcome was rejected, or nobody cared: it isn't proposed again before the rules say another */
    int32_t declined_tag;
};
void tagd_profile_review(const struct tagd_profile *profile, size_t dimension, struct tagd_review *review);
/* For repair: what is published takes the place of what was computed. The texts must not be the profile's own. Where
 * the rules' tag has stood for as long as the tag has, so that `min_dwell` counts from when that was published: it counts
 * from since_ms now, or from the customer's clock if another tag was published, which the rules' takes the place of only
 * now. What waits for its `for` goes on waiting. False: the dimension has no such tag; nothing is set. */
bool tagd_profile_set_tag_history(struct tagd_profile *profile, size_t dimension,
                                  const struct tagd_tag_history *history);
void tagd_profile_set_review(struct tagd_profile *profile, size_t dimension, const struct tagd_review *review);
void tagd_profile_set_revision(struct tagd_profile *profile, enum tagd_kind kind, uint64_t revision);
void tagd_profile_set_changed_at(struct tagd_profile *profile, int64_t changed_at_ms);
/* Up to where the customer has been evaluated, ms. */
int64_t tagd_profile_clock(const struct tagd_profile *profile);
/* How full the profile's limits are: the fullest store of panes and of values, and the dedupe ids. */
struct tagd_profile_sizes {
    uint32_t panes, values, dedupe_ids;
    size_t value_bytes;
};
void tagd_profile_sizes(const struct tagd_profile *profile, struct tagd_profile_sizes *sizes);
/* Asserts the struct's invariants (sorted panes, bounds, counts); for tests. */
void tagd_profile_check(const struct tagd_profile *profile);

#endif
