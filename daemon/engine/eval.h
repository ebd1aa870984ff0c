/* Room-internal: the value of an expression at an instant, and until when it stands if nothing more happens. */
#ifndef TAGD_ENGINE_EVAL_H
#define TAGD_ENGINE_EVAL_H

#include "catalog/compiled.h"
#include "profile/state.h"

/* Where a window stands on its panes: [lo, hi) are in it, sums are theirs. Moves forward only; begun anew when stale.
 */
struct cursor {
    uint64_t stamp;
    int64_t at; /* pane number of (now - offset) */
    uint32_t lo, hi;
    tagd_i128 *sums; /* by column of the store */
};

/* One view of a profile at one instant. */
struct view {
    const struct tagd_catalog *catalog;
    const struct tagd_profile *profile;
    int64_t now;
    uint64_t stamp;          /* cursors with another one are stale */
    const struct view *base; /* fresh cursors are copied from there if they are good; may be NULL */
    struct cursor *cursors;  /* by window */
    int32_t *tags;           /* by dimension, at now */
    int64_t *stable;         /* by dimension: the tag stands until just before */
    struct view *walk;       /* scratch of the same shape for looking ahead of now; NULL in a walk itself */
};

struct tagd_val tagd_eval(struct view *view, const struct tagd_node *node);
/* True if the condition holds: neither false nor null. */
bool tagd_holds(struct view *view, const struct tagd_node *node);
/* An instant after now up to which (exclusive) the node's value stays what it is at now. Never too late; may be early
 * where an exact answer would take more than a bounded search: the caller looks again from there. TAGD_NEVER: for ever.
 */
int64_t tagd_stable(struct view *view, const struct tagd_node *node);

#endif
