/* Room-internal: the binary form of one store's panes. */
#ifndef TAGD_PROFILE_PANES_H
#define TAGD_PROFILE_PANES_H

#include "profile/state.h"

#define PACKED_LEAST 8 /* panes of a store from which on all but the last are packed */
#define PANES_FEW 8 /* a store's number of panes, less one, stands beside its own number if it is below it, less one */

void tagd_panes_free(struct tagd_panes *panes);
/* There is a pane at least. `step`: from the store before. */
void tagd_panes_encode(const struct tagd_panes *panes, const struct tagd_store *store, uint64_t step,
                       struct tagd_buf *out);
/* Of a store whose number has been read, and beside it `few`. The panes are clear. */
void tagd_panes_decode(struct tagd_panes *panes, const struct tagd_store *store, unsigned few,
                       struct tagd_reader *reader);
/* Asserts the invariants. */
void tagd_panes_check(const struct tagd_panes *panes, const struct tagd_store *store);

/* Whether a pane of that number begins at an instant at all. */
static inline bool tagd_pane_begins(const struct tagd_grid *grid, int64_t pane)
{
    int64_t begin;
    return grid->pane_ms == 0 || (!__builtin_mul_overflow(pane, grid->pane_ms, &begin) &&
                                  !__builtin_sub_overflow(begin, grid->shift_ms, &begin));
}

#endif
