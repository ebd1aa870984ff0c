/* A decoded profile's inside, for the engine. */
#ifndef TAGD_PROFILE_STATE_H
#define TAGD_PROFILE_STATE_H

#include "base/set.h"
#include "catalog/compiled.h"
#include "tagd/profile.h"

/* A long store's panes but the latest, as a profile has them stored; they are opened once somebody asks for one of
 * them. What is often asked is known beside them. */
struct tagd_packed {
    uint32_t n;          /* panes; 0: none */
    int64_t first, last; /* the first and the last of them */
    tagd_i128 *sums;     /* of their cells, by column */
    unsigned char
        *bytes; /* [begin, end): the first one's cells, then each one's distance from the one before and cells */
    uint32_t begin, end, cap;
};

/* Panes of one store, ascending, each at most once; only panes with events are there. Those packed come before the n
 * others, which then are one at least; a pane's place counts both, so that unpacking leaves it as it is.
 * An all-time store has one pane, number 0. Cells: n x n_columns, as enum tagd_column_kind says. */
struct tagd_panes {
    uint32_t n, cap;
    int64_t *pane;
    tagd_i128 *cells;
    struct tagd_packed packed;
};
static inline uint32_t tagd_panes_count(const struct tagd_panes *panes)
{
    return panes->packed.n + panes->n;
}
/* Of panes of which there are some. */
static inline int64_t tagd_panes_first(const struct tagd_panes *panes)
{
    return panes->packed.n ? panes->packed.first : panes->pane[0];
}

/* Text that is kept; its memory is reused. */
struct tagd_text {
    char *p;
    uint32_t n, cap;
};

/* Different values of one value store. Entries ascend by pane and, in a pane, by when the value was last seen, then by
 * arrival: the last entry is the value seen last. A value is at most once in a pane. Values are numbered; a number is
 * free once no entry has it. */
struct tagd_seen {
    uint64_t count; /* of events in the pane */
    int64_t last;   /* the latest of them, ms */
    uint32_t value;
};
struct tagd_known {
    uint32_t entries; /* that have it; 0: the number is free */
    uint32_t code;    /* its number in the binary form, while that is written */
    int64_t i;
    struct tagd_text s; /* string */
};
struct tagd_values {
    uint32_t n, cap;
    int64_t *pane;
    struct tagd_seen *seen;
    struct tagd_known *known;
    uint32_t n_known, cap_known;
    size_t bytes; /* of all strings known */
};

/* A mark's value; `at` is the event's time. LATEST and FIRST have no value. */
struct tagd_mark_state {
    bool present;
    int64_t at;
    int64_t i;
    struct tagd_text s; /* string */
};

/* An attribute: its latest update, which may have removed it. */
struct tagd_attribute_state {
    bool updated, present;
    int64_t at;
    int64_t i;
    struct tagd_text s;
};

/* What a dimension with for or min_dwell waits for: the rules' tag since rule_at, and another outcome of the rules since
 * wanted_at, if that waits to take its place. -1: none. */
struct tagd_hold {
    int32_t rule, wanted;
    bool waits;
    int64_t rule_at, wanted_at;
    struct tagd_text rule_text, wanted_text; /* a value's */
};

/* A person's word, the latest by time. */
struct tagd_assignment_state {
    bool known;
    int64_t at;       /* the event's time */
    int32_t tag;      /* -1: cleared */
    int64_t until_ms; /* exclusive; TAGD_NEVER: until it is cleared */
    struct tagd_text by, reason;
};

/* Rules that look back at how dimensions stood may change these without end, each time a millisecond after the last:
 * how often they did in a row. Past the limit nothing is looked back at until something else happens. */
struct tagd_chase {
    int64_t at; /* the last change */
    uint32_t n;
};
static inline void tagd_chase_step(struct tagd_chase *chase, int64_t now)
{
    chase->n = now == chase->at + 1 ? chase->n + 1 : 0;
    chase->at = now;
}

struct tagd_tag_state {
    int32_t tag, prev; /* -1: none */
    int64_t at;        /* since when; meaningful once it has changed at all */
    bool changed;
    bool assigned;                    /* the tag is a person's */
    struct tagd_text text, prev_text; /* a value's */
    struct tagd_hold hold;
    struct tagd_assignment_state assignment;
    struct tagd_review review;
};

struct tagd_id {
    struct tagd_hash128 hash;
    int64_t until; /* the last clock at which a second one is a duplicate */
};

/* What a profile has one of for each dimension, store, value store, mark, attribute, goal of the catalog. */
enum tagd_part { TAGD_TAGS, TAGD_PANES, TAGD_VALUES, TAGD_MARKS, TAGD_ATTRIBUTES, TAGD_GOALS, TAGD_PARTS };

/* Parts of one kind as they are stored, if the catalog has many: those of 2^bits numbers in a row together. A chunk is
 * opened once one of its parts is asked for, and is written as it was stored unless one of them was touched since. */
struct tagd_chunk {    /* within the bytes */
    size_t entry;      /* where it begins: by how much its number is more than that of the one before, */
    size_t length;     /* how long it is, */
    size_t begin, end; /* and itself */
};
struct tagd_chunks {
    uint32_t n, words; /* 0: the catalog hasn't so many parts; all is open */
    uint32_t bits;
    uint32_t n_closed;  /* of `closed` */
    uint64_t *closed;   /* set: chunks */
    uint64_t *stored;   /* set: those of which the bytes are right */
    uint64_t *to_write; /* set: scratch of the writer */
    struct tagd_chunk *chunk;
    unsigned char *bytes;
    size_t cap;
};
static inline uint32_t tagd_chunk_of(const struct tagd_chunks *chunks, uint32_t number)
{
    return number >> chunks->bits;
}

/* All parts of one kind. Those not in `touched` and not in a closed chunk are as in a customer never seen, and cost nothing. */
struct tagd_parts {
    uint32_t n, words;
    uint64_t *touched; /* set: those that may be other, at least */
    struct tagd_chunks chunks;
};

struct tagd_profile {
    const struct tagd_catalog *catalog;
    uint64_t outcomes;    /* one more than the most tags of a dimension */
    unsigned other_kinds; /* of events that the catalog has, other than TAG: 1 << kind */
    bool any_holds;       /* some dimension has `for` or `min_dwell` */
    struct tagd_parts parts[TAGD_PARTS];
    uint64_t *touched; /* the sets of all parts, one after the other */
    uint32_t touched_words;
    bool chunked; /* parts of some kind are in chunks */
    int64_t base; /* from which stored chunks count instants */
    bool exists;
    int64_t last;  /* own latest event time */
    int64_t clock; /* up to where it has been evaluated */
    int64_t due;
    uint64_t revision[TAGD_KINDS];
    int64_t changed_at; /* the last change of a tag */
    struct tagd_chase chase;
    /* The parts themselves. Who reads one takes it by tagd_tag_of() and its like, who writes to one by tagd_touch_tag()
     * and its like. A dimension's hold, assignment and review are in no chunk: they may be read as they are. */
    struct tagd_tag_state *tag_states;
    struct tagd_panes *stores;
    struct tagd_values *value_stores;
    struct tagd_mark_state *mark_states;
    struct tagd_attribute_state *attribute_states;
    struct tagd_goal_state *goals;
    uint32_t n_assignments; /* dimensions of which a person has spoken */
    struct tagd_id *ids;    /* in order of arrival */
    uint32_t n_ids, cap_ids;
};

void tagd_open_all(struct tagd_profile *profile, enum tagd_part part);
void tagd_open_chunk(struct tagd_profile *profile, enum tagd_part part, uint32_t chunk);
/* What is known stays the same. */
static inline void tagd_open(const struct tagd_profile *profile, enum tagd_part part, uint32_t number)
{
    const struct tagd_chunks *chunks = &profile->parts[part].chunks;
    if (__builtin_expect(chunks->n_closed > 0, 0) && tagd_set_has(chunks->closed, tagd_chunk_of(chunks, number)))
        tagd_open_chunk((struct tagd_profile *)(uintptr_t)profile, part, tagd_chunk_of(chunks, number));
}
static inline void tagd_touch(struct tagd_profile *profile, enum tagd_part part, uint32_t number)
{
    struct tagd_parts *parts = &profile->parts[part];
    tagd_open(profile, part, number);
    tagd_set_add(parts->touched, number);
    if (parts->chunks.n > 0)
        tagd_set_remove(parts->chunks.stored, tagd_chunk_of(&parts->chunks, number));
}

static inline const struct tagd_tag_state *tagd_tag_of(const struct tagd_profile *profile, uint32_t dimension)
{
    tagd_open(profile, TAGD_TAGS, dimension);
    return &profile->tag_states[dimension];
}
static inline struct tagd_tag_state *tagd_touch_tag(struct tagd_profile *profile, uint32_t dimension)
{
    tagd_touch(profile, TAGD_TAGS, dimension);
    return &profile->tag_states[dimension];
}
static inline const struct tagd_panes *tagd_panes_of(const struct tagd_profile *profile, uint32_t store)
{
    tagd_open(profile, TAGD_PANES, store);
    return &profile->stores[store];
}
static inline struct tagd_panes *tagd_touch_panes(struct tagd_profile *profile, uint32_t store)
{
    tagd_touch(profile, TAGD_PANES, store);
    return &profile->stores[store];
}
static inline const struct tagd_values *tagd_values_of(const struct tagd_profile *profile, uint32_t value_store)
{
    tagd_open(profile, TAGD_VALUES, value_store);
    return &profile->value_stores[value_store];
}
static inline struct tagd_values *tagd_touch_values(struct tagd_profile *profile, uint32_t value_store)
{
    tagd_touch(profile, TAGD_VALUES, value_store);
    return &profile->value_stores[value_store];
}
static inline const struct tagd_mark_state *tagd_mark_of(const struct tagd_profile *profile, uint32_t mark)
{
    tagd_open(profile, TAGD_MARKS, mark);
    return &profile->mark_states[mark];
}
static inline struct tagd_mark_state *tagd_touch_mark(struct tagd_profile *profile, uint32_t mark)
{
    tagd_touch(profile, TAGD_MARKS, mark);
    return &profile->mark_states[mark];
}
static inline const struct tagd_attribute_state *tagd_attribute_of(const struct tagd_profile *profile,
                                                                   uint32_t attribute)
{
    tagd_open(profile, TAGD_ATTRIBUTES, attribute);
    return &profile->attribute_states[attribute];
}
static inline struct tagd_attribute_state *tagd_touch_attribute(struct tagd_profile *profile, uint32_t attribute)
{
    tagd_touch(profile, TAGD_ATTRIBUTES, attribute);
    return &profile->attribute_states[attribute];
}
static inline struct tagd_goal_state *tagd_touch_goal(struct tagd_profile *profile, uint32_t goal)
{
    tagd_touch(profile, TAGD_GOALS, goal);
    return &profile->goals[goal];
}
/* Over those touched that are open. */
#define TAGD_EACH_TOUCHED(i, profile, part) TAGD_EACH (i, (profile)->parts[part].touched, (profile)->parts[part].words)

/* The pane's cells, made if need be. NULL and *dropped raised: the store is full and the pane is older than all of it.
 */
tagd_i128 *tagd_panes_at(struct tagd_panes *panes, int64_t pane, uint32_t n_columns, uint64_t *dropped);
/* Panes <= last go. */
void tagd_panes_drop(struct tagd_panes *panes, int64_t last, uint32_t n_columns);
/* Those packed join the others. */
void tagd_panes_unpack_all(struct tagd_panes *panes, uint32_t n_columns);
static inline void tagd_panes_unpack(const struct tagd_panes *panes, uint32_t n_columns)
{
    if (panes->packed.n > 0)
        tagd_panes_unpack_all((struct tagd_panes *)(uintptr_t)panes, n_columns); /* what is known stays the same */
}
/* A value seen at `at`, in the pane. Past a limit the value seen longest ago goes (it may be this one) and *dropped is
 * raised. */
void tagd_values_add(struct tagd_values *values, enum tagd_field_type type, int64_t pane, int64_t at,
                     const struct tagd_value *value, uint64_t *dropped);
/* Room for one more entry, or one more known value (with no entries). */
void tagd_values_grow(struct tagd_values *values);
void tagd_values_known_grow(struct tagd_values *values);
/* Panes <= last go. */
void tagd_values_drop(struct tagd_values *values, int64_t last);
/* Adds a dedupe id; past the limit the one that ends first goes and *dropped is raised. */
void tagd_profile_add_id(struct tagd_profile *profile, struct tagd_hash128 hash, int64_t until, uint64_t *dropped);
void tagd_text_set(struct tagd_text *text, struct tagd_str s);
static inline struct tagd_str tagd_text_str(const struct tagd_text *text)
{
    return (struct tagd_str){text->p ? text->p : "", text->n};
}

#endif
