/* The different values of a field that one customer was seen with, by pane: struct tagd_values. */
#include <stdlib.h>
#include <string.h>

#include "profile/state.h"

void tagd_text_set(struct tagd_text *text, struct tagd_str s)
{
    if (s.n > text->cap) {
        text->cap = (uint32_t)(s.n < 16 ? 16 : s.n * 2);
        text->p = tagd_xrealloc(text->p, text->cap);
    }
    if (s.n)
        memcpy(text->p, s.p, s.n);
    text->n = (uint32_t)s.n;
}

static bool same(const struct tagd_known *known, enum tagd_field_type type, const struct tagd_value *value)
{
    return type == TAGD_STRING ? tagd_str_eq(tagd_text_str(&known->s), value->s) : known->i == value->i;
}

/* Its number; UINT32_MAX: not known. */
static uint32_t find(const struct tagd_values *values, enum tagd_field_type type, const struct tagd_value *value)
{
    for (uint32_t i = 0; i < values->n_known; i++) {
        if (values->known[i].entries && same(&values->known[i], type, value))
            return i;
    }
    return UINT32_MAX;
}

void tagd_values_known_grow(struct tagd_values *values)
{
    uint32_t cap = values->cap_known;
    if (values->n_known < cap)
        return;
    values->cap_known = cap ? cap * 2 : 8;
    values->known = tagd_xrealloc(values->known, values->cap_known * sizeof *values->known);
    memset(values->known + cap, 0, (values->cap_known - cap) * sizeof *values->known);
}

static uint32_t number_of(struct tagd_values *values, enum tagd_field_type type, const struct tagd_value *value)
{
    uint32_t i = 0;
    while (i < values->n_known && values->known[i].entries)
        i++;
    if (i == values->n_known) {
        tagd_values_known_grow(values);
        values->n_known++;
    }
    values->known[i].i = value->i;
    if (type == TAGD_STRING) {
        tagd_text_set(&values->known[i].s, value->s);
        values->bytes += value->s.n;
    }
    return i;
}

static void forget(struct tagd_values *values, uint32_t entry)
{
    struct tagd_known *known = &values->known[values->seen[entry].value];
    if (--known->entries == 0) {
        values->bytes -= known->s.n;
        known->s.n = 0;
    }
}

static void drop_first(struct tagd_values *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        forget(values, i);
    values->n -= n;
    memmove(values->pane, values->pane + n, values->n * sizeof *values->pane);
    memmove(values->seen, values->seen + n, values->n * sizeof *values->seen);
}

void tagd_values_drop(struct tagd_values *values, int64_t last)
{
    uint32_t n = 0;
    while (n < values->n && values->pane[n] <= last)
        n++;
    if (n)
        drop_first(values, n);
}

void tagd_values_grow(struct tagd_values *values)
{
    if (values->n < values->cap)
        return;
    values->cap = values->cap ? values->cap * 2 : 8;
    values->pane = tagd_xrealloc(values->pane, values->cap * sizeof *values->pane);
    values->seen = tagd_xrealloc(values->seen, values->cap * sizeof *values->seen);
}

/* Where a value of this pane that was last seen at `at` stands, behind all that were seen no later. */
static uint32_t place_of(const struct tagd_values *values, int64_t pane, int64_t at)
{
    uint32_t i = values->n;
    while (i > 0 && (values->pane[i - 1] > pane || (values->pane[i - 1] == pane && values->seen[i - 1].last > at)))
        i--;
    return i;
}

/* The entry of the value in the pane; UINT32_MAX: none. */
static uint32_t entry_of(const struct tagd_values *values, int64_t pane, uint32_t value)
{
    for (uint32_t i = values->n; i > 0 && values->pane[i - 1] >= pane; i--) {
        if (values->pane[i - 1] == pane && values->seen[i - 1].value == value)
            return i - 1;
    }
    return UINT32_MAX;
}

/* Once more in its pane: it is counted and, if it was seen no later before, moves behind the others. */
static void see_again(struct tagd_values *values, uint32_t entry, int64_t at)
{
    struct tagd_seen seen = values->seen[entry];
    seen.count++;
    if (at >= seen.last) {
        uint32_t place = place_of(values, values->pane[entry], at) - 1;
        memmove(values->seen + entry, values->seen + entry + 1, (place - entry) * sizeof *values->seen);
        entry = place;
        seen.last = at;
    }
    values->seen[entry] = seen;
}

static bool has_room(const struct tagd_values *values, size_t more)
{
    return values->n < TAGD_PROFILE_VALUES_MAX && values->bytes + more <= TAGD_PROFILE_VALUE_BYTES_MAX;
}

void tagd_values_add(struct tagd_values *values, enum tagd_field_type type, int64_t pane, int64_t at,
                     const struct tagd_value *value, uint64_t *dropped)
{
    uint32_t number = find(values, type, value);
    uint32_t entry = number == UINT32_MAX ? UINT32_MAX : entry_of(values, pane, number);
    if (entry != UINT32_MAX) {
        see_again(values, entry, at);
        return;
    }
    while (!has_room(values, number == UINT32_MAX && type == TAGD_STRING ? value->s.n : 0)) {
        ++*dropped;
        if (place_of(values, pane, at) == 0)
            return;
        drop_first(values, 1);
        number = find(values, type, value); /* it may have gone just now */
    }
    if (number == UINT32_MAX)
        number = number_of(values, type, value);
    tagd_values_grow(values);
    uint32_t place = place_of(values, pane, at);
    memmove(values->pane + place + 1, values->pane + place, (values->n - place) * sizeof *values->pane);
    memmove(values->seen + place + 1, values->seen + place, (values->n - place) * sizeof *values->seen);
    values->pane[place] = pane;
    values->seen[place] = (struct tagd_seen){.count = 1, .last = at, .value = number};
    values->known[number].entries++;
    values->n++;
}
