/* A decoded profile's inside, for the engine. */
#ifndef TAGD_PROFILE_STATE_H
#define TAGD_PROFILE_STATE_H

#include "catalog/compiled.h"
#include "tagd/profile.h"

/* Panes of one store, ascending, each at most once; only panes with events are there.
 * An all-time store has one pane, number 0. Cells: n x n_columns; counts and sums (decimals) alike. */
struct tagd_panes {
    uint32_t n, cap;
    int64_t *pane;
    tagd_i128 *cells;
};

/* A mark's value; `at` is the event's time. LATEST and FIRST have no value. */
struct tagd_mark_state {
    bool present;
    int64_t at;
    int64_t i;
    char *s; /* string, owned */
    uint32_t n, cap;
};

struct tagd_tag_state {
    int32_t tag, prev; /* -1: none */
    int64_t at;        /* since when; meaningful once it has changed at all */
    bool changed;
};

struct tagd_id {
    struct tagd_hash128 hash;
    int64_t until; /* the last clock at which a second one is a duplicate */
};

struct tagd_profile {
    const struct tagd_catalog *catalog;
    bool exists;
    int64_t last;  /* own latest event time */
    int64_t clock; /* up to where it has been evaluated */
    int64_t due;
    uint64_t revision;
    int64_t changed_at;
    struct tagd_panes *panes;      /* by store */
    struct tagd_mark_state *marks; /* by mark */
    struct tagd_tag_state *tags;   /* by dimension */
    struct tagd_id *ids;           /* in order of arrival */
    uint32_t n_ids, cap_ids;
};

/* The pane's cells, made if need be. NULL and *dropped raised: the store is full and the pane is older than all of it.
 */
tagd_i128 *tagd_panes_at(struct tagd_panes *panes, int64_t pane, uint32_t n_columns, uint64_t *dropped);
/* Panes <= last go. */
void tagd_panes_drop(struct tagd_panes *panes, int64_t last, uint32_t n_columns);
/* Adds a dedupe id; past the limit the one that ends first goes and *dropped is raised. */
void tagd_profile_add_id(struct tagd_profile *profile, struct tagd_hash128 hash, int64_t until, uint64_t *dropped);
void tagd_mark_set_string(struct tagd_mark_state *mark, struct tagd_str s);

#endif
