/* The binary form of a profile, version 2. All numbers are LEB128; z: zigzag; d: zigzag difference to `last`.
 *
 *   byte    version (2)
 *   4 bytes the first 4 of the catalog's hash, so that a profile of another catalog is never misread
 *   z       last: own latest event time, ms
 *   d       clock
 *   u       due: 0 never, else 1 + zigzag(due - last)
 *   u       0: no tag ever changed, else 1 + revision
 *   d       changed_at
 *   for each dimension: u tag + 1; if any tag ever changed: u 0 not this one, else 1 + zigzag(last - at); then u prev + 1;
 *                       a `value` then has the text of tag and prev, those that are there: u length and bytes
 *   for each other kind of events that the catalog has: u revision
 *   if rules look back: u how many changes in a row are a millisecond apart, d the last of them
 *   for each dimension with `for` or `min_dwell`: u the rules' tag + 1; if there is one: d since when; u 0 nothing waits, else
 *                       1 + what waits + 1, d since when; of a `value` then the texts of both, those that are there
 *   for each reviewed dimension: u approved tag + 1; u the open proposal's revision, 0 none, then u its tag + 1 and d
 *                       since when; u 0 nothing is declined, else 1 + the declined tag + 1
 *   u       number of dimensions that a person ever spoke about; for each: u dimension - the one before, z last - at,
 *                       u tag + 1; if there is one: u until: 0 cleared, else 1 + zigzag(until - last), u length and bytes
 *                       of reason; u length and bytes of by; u 1 the present tag is this one, else 0
 *   for each goal:      u 0 not running, else 1 + zigzag(last - its start); u outcome of the last that ended, 0 none, then
 *                       d its start, d when it ended, u its revision
 *   for each store:     u number of panes; for each: u pane - previous pane (the first: z), then z128 a column
 *   for each value store: u number of different values; each: z (number) or u length and bytes (string); u number of
 *                       entries; for each: u pane - previous pane (the first: z), u value's place in that list; if
 *                       ordered: u count, z last time - this pane's beginning (all time: `last` - last time)
 *   for each mark:      u 0 absent, else 1 + zigzag(last - at); a VALUE then z (number) or u length and bytes (string)
 *   for each attribute: u 0 never updated, else 1 + zigzag(last - at); then u 0 removed, 1 there: and z or u length and
 *                       bytes
 *   u       number of dedupe ids; for each: 16 bytes hash, d until
 *
 * Valid: the whole input is read, no more; panes ascend; tags, places and lengths are in range. */
#include "profile/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 2

struct tagd_profile *tagd_profile_new(const struct tagd_catalog *catalog)
{
    struct tagd_profile *profile = tagd_xcalloc(1, sizeof *profile);
    profile->catalog = catalog;
    profile->panes = tagd_xcalloc(catalog->n_stores + 1, sizeof *profile->panes);
    profile->marks = tagd_xcalloc(catalog->n_marks + 1, sizeof *profile->marks);
    profile->values = tagd_xcalloc(catalog->n_value_stores + 1, sizeof *profile->values);
    profile->attributes = tagd_xcalloc(catalog->n_attributes + 1, sizeof *profile->attributes);
    profile->tags = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *profile->tags);
    profile->goals = tagd_xcalloc(catalog->n_goals + 1, sizeof *profile->goals);
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        profile->tags[i].hold.rule = profile->tags[i].hold.wanted = -1;
        profile->tags[i].review.approved = -1;
    }
    tagd_profile_clear(profile);
    return profile;
}

static void values_free(struct tagd_values *values)
{
    for (uint32_t i = 0; i < values->cap_known; i++)
        free(values->known[i].s.p);
    free(values->known);
    free(values->pane);
    free(values->seen);
}

void tagd_profile_free(struct tagd_profile *profile)
{
    if (!profile)
        return;
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++) {
        free(profile->panes[i].pane);
        free(profile->panes[i].cells);
    }
    for (uint32_t i = 0; i < profile->catalog->n_value_stores; i++)
        values_free(&profile->values[i]);
    for (uint32_t i = 0; i < profile->catalog->n_marks; i++)
        free(profile->marks[i].s.p);
    for (uint32_t i = 0; i < profile->catalog->n_attributes; i++)
        free(profile->attributes[i].s.p);
    for (uint32_t i = 0; i < profile->catalog->n_dimensions; i++) {
        free(profile->tags[i].text.p);
        free(profile->tags[i].prev_text.p);
        free(profile->tags[i].hold.rule_text.p);
        free(profile->tags[i].hold.wanted_text.p);
        free(profile->tags[i].assignment.by.p);
        free(profile->tags[i].assignment.reason.p);
    }
    free(profile->panes);
    free(profile->values);
    free(profile->marks);
    free(profile->attributes);
    free(profile->tags);
    free(profile->goals);
    free(profile->ids);
    free(profile);
}

static void values_clear(struct tagd_values *values)
{
    for (uint32_t i = 0; i < values->n_known; i++) {
        values->known[i].entries = 0;
        values->known[i].s.n = 0;
    }
    values->n = values->n_known = 0;
    values->bytes = 0;
}

static void clear_assignments(struct tagd_profile *profile)
{
    for (uint32_t i = 0; profile->n_assignments > 0 && i < profile->catalog->n_dimensions; i++) {
        struct tagd_assignment_state *state = &profile->tags[i].assignment;
        *state = (struct tagd_assignment_state){.by = state->by, .reason = state->reason};
        profile->tags[i].assigned = false;
    }
    profile->n_assignments = 0;
}

/* Of a dimension only what it can have: most have a tag and nothing else. */
static void clear_tags(struct tagd_profile *profile)
{
    clear_assignments(profile);
    for (uint32_t i = 0; i < profile->catalog->n_dimensions; i++) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[i];
        struct tagd_tag_state *state = &profile->tags[i];
        state->tag = state->prev = -1;
        state->at = 0;
        state->changed = false;
        if (dimension->holds_back)
            state->hold = (struct tagd_hold){
                .rule = -1, .wanted = -1, .rule_text = state->hold.rule_text, .wanted_text = state->hold.wanted_text};
        if (dimension->assign == TAGD_ASSIGN_REVIEW)
            state->review = (struct tagd_review){.approved = -1};
    }
}

void tagd_profile_clear(struct tagd_profile *profile)
{
    profile->exists = false;
    profile->last = profile->clock = INT64_MIN;
    profile->due = TAGD_NEVER;
    memset(profile->revision, 0, sizeof profile->revision);
    profile->changed_at = 0;
    profile->chase = (struct tagd_chase){0};
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++)
        profile->panes[i].n = 0;
    for (uint32_t i = 0; i < profile->catalog->n_value_stores; i++)
        values_clear(&profile->values[i]);
    for (uint32_t i = 0; i < profile->catalog->n_marks; i++)
        profile->marks[i].present = false;
    for (uint32_t i = 0; i < profile->catalog->n_attributes; i++)
        profile->attributes[i].updated = profile->attributes[i].present = false;
    clear_tags(profile);
    memset(profile->goals, 0, profile->catalog->n_goals * sizeof *profile->goals);
    profile->n_ids = 0;
}

/* ---- panes ---- */

static void panes_reserve(struct tagd_panes *panes, uint32_t n, uint32_t n_columns)
{
    if (n <= panes->cap)
        return;
    while (panes->cap < n)
        panes->cap = panes->cap ? panes->cap * 2 : 8;
    panes->pane = tagd_xrealloc(panes->pane, panes->cap * sizeof *panes->pane);
    panes->cells = tagd_xrealloc(panes->cells, (size_t)panes->cap * n_columns * sizeof *panes->cells);
}

tagd_i128 *tagd_panes_at(struct tagd_panes *panes, int64_t pane, uint32_t n_columns, uint64_t *dropped)
{
    uint32_t i = panes->n;
    while (i > 0 && panes->pane[i - 1] > pane)
        i--;
    if (i > 0 && panes->pane[i - 1] == pane)
        return &panes->cells[(size_t)(i - 1) * n_columns];
    if (panes->n == TAGD_PROFILE_PANES_MAX) {
        ++*dropped;
        if (i == 0)
            return NULL;
        tagd_panes_drop(panes, panes->pane[0], n_columns);
        i--;
    }
    panes_reserve(panes, panes->n + 1, n_columns);
    memmove(&panes->pane[i + 1], &panes->pane[i], (panes->n - i) * sizeof *panes->pane);
    memmove(&panes->cells[(size_t)(i + 1) * n_columns], &panes->cells[(size_t)i * n_columns],
            (size_t)(panes->n - i) * n_columns * sizeof *panes->cells);
    panes->pane[i] = pane;
    tagd_i128 *cells = &panes->cells[(size_t)i * n_columns];
    memset(cells, 0, n_columns * sizeof *cells);
    panes->n++;
    return cells;
}

void tagd_panes_drop(struct tagd_panes *panes, int64_t last, uint32_t n_columns)
{
    uint32_t i = 0;
    while (i < panes->n && panes->pane[i] <= last)
        i++;
    if (i == 0)
        return;
    panes->n -= i;
    memmove(panes->pane, panes->pane + i, panes->n * sizeof *panes->pane);
    memmove(panes->cells, panes->cells + (size_t)i * n_columns, (size_t)panes->n * n_columns * sizeof *panes->cells);
}

void tagd_profile_add_id(struct tagd_profile *profile, struct tagd_hash128 hash, int64_t until, uint64_t *dropped)
{
    if (profile->n_ids == TAGD_PROFILE_IDS_MAX) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < profile->n_ids; i++) {
            if (profile->ids[i].until < profile->ids[first].until)
                first = i;
        }
        memmove(&profile->ids[first], &profile->ids[first + 1], (profile->n_ids - first - 1) * sizeof *profile->ids);
        profile->n_ids--;
        ++*dropped;
    }
    if (profile->n_ids == profile->cap_ids) {
        profile->cap_ids = profile->cap_ids ? profile->cap_ids * 2 : 8;
        profile->ids = tagd_xrealloc(profile->ids, profile->cap_ids * sizeof *profile->ids);
    }
    profile->ids[profile->n_ids++] = (struct tagd_id){hash, until};
}

/* ---- encode ---- */

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
/* Differences wrap, so that every pair of instants has one. */
static int64_t diff(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static bool any_changed(const struct tagd_profile *profile)
{
    bool any = profile->revision[TAGD_KIND_TAG] > 0;
    for (uint32_t i = 0; i < profile->catalog->n_dimensions && !any; i++)
        any = profile->tags[i].changed;
    return any;
}

/* ---- numbers, written where room is reserved ---- */

#define VARINT_BYTES 10 /* at most */
#define VARINT128_BYTES 19

static inline unsigned char *put(unsigned char *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (unsigned char)(v | 0x80);
    *p++ = (unsigned char)v;
    return p;
}

static inline unsigned char *put_128(unsigned char *p, tagd_i128 v)
{
    unsigned __int128 u = ((unsigned __int128)v << 1) ^ (v < 0 ? ~(unsigned __int128)0 : 0);
    for (; u > UINT64_MAX; u >>= 7)
        *p++ = (unsigned char)((unsigned)(u & 0x7F) | 0x80);
    return put(p, (uint64_t)u);
}

static unsigned char *reserve(struct tagd_buf *out, size_t more)
{
    tagd_buf_reserve(out, more);
    return (unsigned char *)out->p + out->n;
}

static void written(struct tagd_buf *out, const unsigned char *end)
{
    out->n = (size_t)(end - (unsigned char *)out->p);
}

static void encode_text(struct tagd_buf *out, const struct tagd_text *text)
{
    if (!text)
        return;
    tagd_buf_add_varint(out, text->n);
    tagd_buf_add(out, text->p, text->n);
}

static void encode_value(struct tagd_buf *out, enum tagd_field_type type, int64_t i, const struct tagd_text *s)
{
    if (type == TAGD_STRING)
        encode_text(out, s);
    else
        tagd_buf_add_zigzag(out, i);
}

static void encode_tags(const struct tagd_profile *profile, bool any, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    unsigned char *p = reserve(out, (size_t)catalog->n_dimensions * 3 * VARINT_BYTES);
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        const struct tagd_tag_state *state = &profile->tags[i];
        p = put(p, (uint64_t)(state->tag + 1));
        if (!any)
            continue;
        p = put(p, state->changed ? 1 + zigzag(diff(profile->last, state->at)) : 0);
        if (state->changed)
            p = put(p, (uint64_t)(state->prev + 1));
        if (!catalog->dimensions[i].is_value)
            continue;
        written(out, p);
        encode_text(out, state->tag < 0 ? NULL : &state->text);
        encode_text(out, state->prev < 0 ? NULL : &state->prev_text);
        p = reserve(out, (size_t)(catalog->n_dimensions - i) * 3 * VARINT_BYTES);
    }
    written(out, p);
}

/* Other than TAG, whose revision stands apart. */
static bool has_kind(const struct tagd_catalog *catalog, enum tagd_kind kind)
{
    return kind != TAGD_KIND_TAG && tagd_catalog_has_kind(catalog, kind);
}

static void encode_hold(const struct tagd_profile *profile, bool is_value, const struct tagd_hold *hold,
                        struct tagd_buf *out)
{
    tagd_buf_add_varint(out, (uint64_t)(hold->rule + 1));
    if (hold->rule >= 0)
        tagd_buf_add_zigzag(out, diff(profile->last, hold->rule_at));
    tagd_buf_add_varint(out, hold->waits ? (uint64_t)(hold->wanted + 2) : 0);
    if (hold->waits)
        tagd_buf_add_zigzag(out, diff(profile->last, hold->wanted_at));
    encode_text(out, is_value && hold->rule >= 0 ? &hold->rule_text : NULL);
    encode_text(out, is_value && hold->waits && hold->wanted >= 0 ? &hold->wanted_text : NULL);
}

static void encode_review(const struct tagd_profile *profile, const struct tagd_review *review, struct tagd_buf *out)
{
    tagd_buf_add_varint(out, (uint64_t)(review->approved + 1));
    tagd_buf_add_varint(out, review->open);
    if (review->open) {
        tagd_buf_add_varint(out, (uint64_t)(review->proposed + 1));
        tagd_buf_add_zigzag(out, diff(profile->last, review->proposed_at));
    }
    tagd_buf_add_varint(out, review->declined ? (uint64_t)(review->declined_tag + 2) : 0);
}

static void encode_assignments(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t n = 0, before = 0;
    for (uint32_t i = 0; i < profile->catalog->n_dimensions; i++)
        n += profile->tags[i].assignment.known;
    tagd_buf_add_varint(out, n);
    for (uint32_t i = 0; i < profile->catalog->n_dimensions; i++) {
        const struct tagd_assignment_state *state = &profile->tags[i].assignment;
        if (!state->known)
            continue;
        tagd_buf_add_varint(out, i - before);
        before = i;
        tagd_buf_add_zigzag(out, diff(profile->last, state->at));
        tagd_buf_add_varint(out, (uint64_t)(state->tag + 1));
        if (state->tag >= 0) {
            bool ends = state->until_ms != TAGD_NEVER;
            tagd_buf_add_varint(out, ends ? 1 + zigzag(diff(state->until_ms, profile->last)) : 0);
            encode_text(out, &state->reason);
        }
        encode_text(out, &state->by);
        tagd_buf_add_varint(out, profile->tags[i].assigned);
    }
}

static void encode_goal(const struct tagd_profile *profile, const struct tagd_goal_state *goal, struct tagd_buf *out)
{
    tagd_buf_add_varint(out, goal->running ? 1 + zigzag(diff(profile->last, goal->started)) : 0);
    tagd_buf_add_varint(out, (uint64_t)goal->outcome);
    if (goal->outcome == TAGD_GOAL_NONE)
        return;
    tagd_buf_add_zigzag(out, diff(profile->last, goal->ended_started));
    tagd_buf_add_zigzag(out, diff(profile->last, goal->ended));
    tagd_buf_add_varint(out, goal->revision);
}

static void encode_standings(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    for (int kind = 0; kind < TAGD_KINDS; kind++) {
        if (has_kind(catalog, (enum tagd_kind)kind))
            tagd_buf_add_varint(out, profile->revision[kind]);
    }
    if (catalog->looks_back) {
        tagd_buf_add_varint(out, profile->chase.n);
        tagd_buf_add_zigzag(out, diff(profile->last, profile->chase.at));
    }
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        if (catalog->dimensions[i].holds_back)
            encode_hold(profile, catalog->dimensions[i].is_value, &profile->tags[i].hold, out);
    }
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        if (catalog->dimensions[i].assign == TAGD_ASSIGN_REVIEW)
            encode_review(profile, &profile->tags[i].review, out);
    }
    encode_assignments(profile, out);
    for (uint32_t i = 0; i < catalog->n_goals; i++)
        encode_goal(profile, &profile->goals[i], out);
}

static unsigned char *put_pane(unsigned char *p, const struct tagd_panes *panes, uint32_t i, uint32_t n_columns)
{
    p = put(p, i ? (uint64_t)(panes->pane[i] - panes->pane[i - 1]) : zigzag(panes->pane[0]));
    const tagd_i128 *cells = &panes->cells[(size_t)i * n_columns];
    for (uint32_t c = 0; c < n_columns; c++)
        p = put_128(p, cells[c]);
    return p;
}

static void encode_panes(const struct tagd_profile *profile, struct tagd_buf *out)
{
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++) {
        const struct tagd_panes *panes = &profile->panes[i];
        uint32_t n_columns = profile->catalog->stores[i].n_columns;
        unsigned char *p =
            reserve(out, VARINT_BYTES + (size_t)panes->n * (VARINT_BYTES + n_columns * (size_t)VARINT128_BYTES));
        p = put(p, panes->n);
        for (uint32_t j = 0; j < panes->n; j++)
            p = put_pane(p, panes, j, n_columns);
        written(out, p);
    }
}

static int64_t begin_of(const struct tagd_value_store *store, int64_t pane, int64_t last)
{
    return store->grid.pane_ms ? tagd_grid_begin(&store->grid, pane) : last;
}

static void encode_values(const struct tagd_profile *profile, uint32_t index, struct tagd_buf *out)
{
    const struct tagd_value_store *store = &profile->catalog->value_stores[index];
    const struct tagd_values *values = &profile->values[index];
    uint32_t n = 0;
    for (uint32_t i = 0; i < values->n_known; i++) {
        if (values->known[i].entries)
            values->known[i].code = n++;
    }
    tagd_buf_add_varint(out, n);
    for (uint32_t i = 0; i < values->n_known; i++) {
        if (values->known[i].entries)
            encode_value(out, store->field_type, values->known[i].i, &values->known[i].s);
    }
    tagd_buf_add_varint(out, values->n);
    for (uint32_t i = 0; i < values->n; i++) {
        const struct tagd_seen *seen = &values->seen[i];
        if (i == 0)
            tagd_buf_add_zigzag(out, values->pane[0]);
        else
            tagd_buf_add_varint(out, (uint64_t)(values->pane[i] - values->pane[i - 1]));
        tagd_buf_add_varint(out, values->known[seen->value].code);
        if (!store->ordered)
            continue;
        tagd_buf_add_varint(out, seen->count);
        tagd_buf_add_zigzag(out, diff(seen->last, begin_of(store, values->pane[i], profile->last)));
    }
}

static void encode_marks(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    for (uint32_t i = 0; i < catalog->n_marks; i++) {
        const struct tagd_mark_state *mark = &profile->marks[i];
        tagd_buf_add_varint(out, mark->present ? 1 + zigzag(diff(profile->last, mark->at)) : 0);
        if (mark->present && tagd_mark_has_value(&catalog->marks[i]))
            encode_value(out, catalog->marks[i].field_type, mark->i, &mark->s);
    }
}

static void encode_attributes(const struct tagd_profile *profile, struct tagd_buf *out)
{
    for (uint32_t i = 0; i < profile->catalog->n_attributes; i++) {
        const struct tagd_attribute_state *state = &profile->attributes[i];
        tagd_buf_add_varint(out, state->updated ? 1 + zigzag(diff(profile->last, state->at)) : 0);
        if (!state->updated)
            continue;
        tagd_buf_add_varint(out, state->present);
        if (state->present)
            encode_value(out, profile->catalog->attributes[i].field.type, state->i, &state->s);
    }
}

void tagd_profile_encode(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    assert(profile->exists);
    bool any = any_changed(profile);
    tagd_buf_add_byte(out, VERSION);
    tagd_buf_add(out, catalog->hash, 4);
    tagd_buf_add_zigzag(out, profile->last);
    tagd_buf_add_zigzag(out, diff(profile->clock, profile->last));
    tagd_buf_add_varint(out, profile->due == TAGD_NEVER ? 0 : 1 + zigzag(diff(profile->due, profile->last)));
    tagd_buf_add_varint(out, any ? 1 + profile->revision[TAGD_KIND_TAG] : 0);
    tagd_buf_add_zigzag(out, diff(profile->changed_at, profile->last));
    encode_tags(profile, any, out);
    encode_standings(profile, out);
    encode_panes(profile, out);
    for (uint32_t i = 0; i < catalog->n_value_stores; i++)
        encode_values(profile, i, out);
    encode_marks(profile, out);
    encode_attributes(profile, out);
    tagd_buf_add_varint(out, profile->n_ids);
    for (uint32_t i = 0; i < profile->n_ids; i++) {
        tagd_buf_add(out, &profile->ids[i].hash, sizeof profile->ids[i].hash);
        tagd_buf_add_zigzag(out, diff(profile->ids[i].until, profile->last));
    }
}

/* ---- decode ---- */

static void decode_text(struct tagd_reader *reader, struct tagd_text *text)
{
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n > TAGD_STRING_MAX;
    if (!reader->bad)
        tagd_text_set(text, tagd_read_bytes(reader, (size_t)n));
}

static void decode_value(struct tagd_reader *reader, enum tagd_field_type type, int64_t *i, struct tagd_text *s)
{
    if (type == TAGD_STRING)
        decode_text(reader, s);
    else
        *i = tagd_read_zigzag(reader);
}

static void decode_tag_texts(struct tagd_tag_state *state, struct tagd_reader *reader)
{
    if (state->tag >= 0)
        decode_text(reader, &state->text);
    if (state->prev >= 0)
        decode_text(reader, &state->prev_text);
}

static void decode_tags(struct tagd_profile *profile, bool any, struct tagd_reader *from)
{
    struct tagd_reader copy = *from, *reader = &copy;
    for (uint32_t i = 0; i < profile->catalog->n_dimensions; i++) {
        struct tagd_tag_state *state = &profile->tags[i];
        uint64_t n = profile->catalog->dimensions[i].n_rules, tag = tagd_read_varint(reader), prev = 0;
        state->changed = false;
        if (any) {
            uint64_t at = tagd_read_varint(reader);
            state->changed = at != 0;
            state->at = at ? diff(profile->last, unzigzag(at - 1)) : 0;
            prev = at ? tagd_read_varint(reader) : 0;
        }
        reader->bad = reader->bad || tag > n || prev > n;
        state->tag = reader->bad ? -1 : (int32_t)tag - 1;
        state->prev = reader->bad ? -1 : (int32_t)prev - 1;
        if (profile->catalog->dimensions[i].is_value) {
            *from = copy;
            decode_tag_texts(state, from);
            copy = *from;
        }
    }
    *from = copy;
}

/* A tag's number + base; past the dimension's tags: damaged. */
static int32_t decode_tag(struct tagd_reader *reader, const struct tagd_dimension *dimension, uint64_t number,
                          uint64_t base)
{
    reader->bad = reader->bad || number > dimension->n_rules + base - 1;
    return reader->bad ? -1 : (int32_t)number - (int32_t)base;
}

static void decode_hold(struct tagd_profile *profile, const struct tagd_dimension *dimension, struct tagd_hold *hold,
                        struct tagd_reader *reader)
{
    hold->rule = decode_tag(reader, dimension, tagd_read_varint(reader), 1);
    hold->rule_at = hold->rule >= 0 ? diff(profile->last, tagd_read_zigzag(reader)) : 0;
    uint64_t wanted = tagd_read_varint(reader);
    hold->waits = wanted > 0;
    if (hold->waits) {
        hold->wanted = decode_tag(reader, dimension, wanted, 2);
        hold->wanted_at = diff(profile->last, tagd_read_zigzag(reader));
    }
    if (dimension->is_value && hold->rule >= 0)
        decode_text(reader, &hold->rule_text);
    if (dimension->is_value && hold->waits && hold->wanted >= 0)
        decode_text(reader, &hold->wanted_text);
}

static void decode_review(struct tagd_profile *profile, const struct tagd_dimension *dimension,
                          struct tagd_review *review, struct tagd_reader *reader)
{
    review->approved = decode_tag(reader, dimension, tagd_read_varint(reader), 1);
    review->open = tagd_read_varint(reader);
    if (review->open) {
        review->proposed = decode_tag(reader, dimension, tagd_read_varint(reader), 1);
        review->proposed_at = diff(profile->last, tagd_read_zigzag(reader));
    }
    uint64_t declined = tagd_read_varint(reader);
    review->declined = declined > 0;
    if (review->declined)
        review->declined_tag = decode_tag(reader, dimension, declined, 2);
}

static void decode_assignments(struct tagd_profile *profile, struct tagd_reader *reader)
{
    const struct tagd_catalog *catalog = profile->catalog;
    uint64_t n = tagd_read_varint(reader), at = 0;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        uint64_t step = tagd_read_varint(reader);
        reader->bad = reader->bad || step >= catalog->n_dimensions - at || (i > 0 && step == 0);
        if (reader->bad)
            return;
        at += step;
        struct tagd_assignment_state *state = &profile->tags[at].assignment;
        state->known = true;
        profile->n_assignments++;
        state->at = diff(profile->last, tagd_read_zigzag(reader));
        state->tag = decode_tag(reader, &catalog->dimensions[at], tagd_read_varint(reader), 1);
        state->until_ms = TAGD_NEVER;
        state->reason.n = 0;
        if (state->tag >= 0) {
            uint64_t until = tagd_read_varint(reader);
            if (until)
                state->until_ms = plus(profile->last, unzigzag(until - 1));
            decode_text(reader, &state->reason);
        }
        decode_text(reader, &state->by);
        uint64_t assigned = tagd_read_varint(reader);
        reader->bad = reader->bad || assigned > 1;
        profile->tags[at].assigned = assigned == 1;
    }
}

static void decode_goal(struct tagd_profile *profile, struct tagd_goal_state *goal, struct tagd_reader *reader)
{
    uint64_t started = tagd_read_varint(reader), outcome = tagd_read_varint(reader);
    goal->running = started > 0;
    goal->started = started ? diff(profile->last, unzigzag(started - 1)) : 0;
    reader->bad = reader->bad || outcome > TAGD_GOAL_MISSED;
    goal->outcome = reader->bad ? TAGD_GOAL_NONE : (enum tagd_goal_outcome)outcome;
    if (goal->outcome == TAGD_GOAL_NONE)
        return;
    goal->ended_started = diff(profile->last, tagd_read_zigzag(reader));
    goal->ended = diff(profile->last, tagd_read_zigzag(reader));
    goal->revision = tagd_read_varint(reader);
}

static void decode_standings(struct tagd_profile *profile, struct tagd_reader *reader)
{
    const struct tagd_catalog *catalog = profile->catalog;
    for (int kind = 0; kind < TAGD_KINDS; kind++) {
        if (has_kind(catalog, (enum tagd_kind)kind))
            profile->revision[kind] = tagd_read_varint(reader);
    }
    if (catalog->looks_back) {
        uint64_t n = tagd_read_varint(reader);
        reader->bad = reader->bad || n > UINT32_MAX;
        profile->chase = (struct tagd_chase){diff(profile->last, tagd_read_zigzag(reader)), (uint32_t)n};
    }
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        if (catalog->dimensions[i].holds_back)
            decode_hold(profile, &catalog->dimensions[i], &profile->tags[i].hold, reader);
    }
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        if (catalog->dimensions[i].assign == TAGD_ASSIGN_REVIEW)
            decode_review(profile, &catalog->dimensions[i], &profile->tags[i].review, reader);
    }
    decode_assignments(profile, reader);
    for (uint32_t i = 0; i < catalog->n_goals; i++)
        decode_goal(profile, &profile->goals[i], reader);
}

static void decode_pane(struct tagd_panes *panes, uint32_t n_columns, struct tagd_reader *reader)
{
    uint32_t j = panes->n;
    uint64_t step = j ? tagd_read_varint(reader) : 0;
    int64_t pane = j ? plus(panes->pane[j - 1], (int64_t)step) : tagd_read_zigzag(reader);
    reader->bad = reader->bad || (j && (step == 0 || step > INT64_MAX || pane <= panes->pane[j - 1]));
    panes->pane[j] = pane;
    tagd_i128 *cells = &panes->cells[(size_t)j * n_columns];
    for (uint32_t c = 0; c < n_columns; c++)
        cells[c] = tagd_read_zigzag128(reader);
    panes->n = j + 1;
}

static void decode_panes(struct tagd_profile *profile, struct tagd_reader *from)
{
    struct tagd_reader reader = *from;
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++) {
        struct tagd_panes *panes = &profile->panes[i];
        uint32_t n_columns = profile->catalog->stores[i].n_columns;
        uint64_t n = tagd_read_varint(&reader);
        reader.bad = reader.bad || n > TAGD_PROFILE_PANES_MAX || n > (uint64_t)(reader.end - reader.p);
        if (reader.bad)
            break;
        panes_reserve(panes, (uint32_t)n, n_columns);
        while (panes->n < n && !reader.bad)
            decode_pane(panes, n_columns, &reader);
    }
    *from = reader;
}

/* The different values: each takes the next number. */
static void decode_known(struct tagd_values *values, enum tagd_field_type type, struct tagd_reader *reader)
{
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n > TAGD_PROFILE_VALUES_MAX;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        tagd_values_known_grow(values);
        struct tagd_known *known = &values->known[values->n_known++];
        decode_value(reader, type, &known->i, &known->s);
        values->bytes += type == TAGD_STRING ? known->s.n : 0;
    }
    reader->bad = reader->bad || values->bytes > TAGD_PROFILE_VALUE_BYTES_MAX;
}

static void decode_values(struct tagd_profile *profile, uint32_t index, struct tagd_reader *reader)
{
    const struct tagd_value_store *store = &profile->catalog->value_stores[index];
    struct tagd_values *values = &profile->values[index];
    decode_known(values, store->field_type, reader);
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n > TAGD_PROFILE_VALUES_MAX;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        tagd_values_grow(values);
        uint64_t step = i ? tagd_read_varint(reader) : 0;
        values->pane[i] = i ? plus(values->pane[i - 1], (int64_t)step) : tagd_read_zigzag(reader);
        uint64_t value = tagd_read_varint(reader);
        struct tagd_seen *seen = &values->seen[i];
        seen->count = store->ordered ? tagd_read_varint(reader) : 1;
        seen->last = begin_of(store, values->pane[i], profile->last);
        if (store->ordered)
            seen->last = plus(seen->last, tagd_read_zigzag(reader));
        reader->bad = reader->bad || step > INT64_MAX || value >= values->n_known || seen->count == 0 ||
                      (i && values->pane[i] < values->pane[i - 1]);
        if (reader->bad)
            return;
        seen->value = (uint32_t)value;
        values->known[value].entries++;
        values->n = (uint32_t)i + 1;
    }
    for (uint32_t i = 0; i < values->n_known; i++)
        reader->bad = reader->bad || values->known[i].entries == 0;
}

static void decode_marks(struct tagd_profile *profile, struct tagd_reader *reader)
{
    for (uint32_t i = 0; i < profile->catalog->n_marks && !reader->bad; i++) {
        const struct tagd_mark *mark = &profile->catalog->marks[i];
        struct tagd_mark_state *state = &profile->marks[i];
        uint64_t at = tagd_read_varint(reader);
        state->present = at != 0;
        state->at = at ? diff(profile->last, unzigzag(at - 1)) : 0;
        if (state->present && tagd_mark_has_value(mark))
            decode_value(reader, mark->field_type, &state->i, &state->s);
    }
}

static void decode_attributes(struct tagd_profile *profile, struct tagd_reader *reader)
{
    for (uint32_t i = 0; i < profile->catalog->n_attributes && !reader->bad; i++) {
        struct tagd_attribute_state *state = &profile->attributes[i];
        uint64_t at = tagd_read_varint(reader);
        state->updated = at != 0;
        state->at = at ? diff(profile->last, unzigzag(at - 1)) : 0;
        uint64_t there = at ? tagd_read_varint(reader) : 0;
        reader->bad = reader->bad || there > 1;
        state->present = there == 1;
        if (state->present)
            decode_value(reader, profile->catalog->attributes[i].field.type, &state->i, &state->s);
    }
}

static void decode_ids(struct tagd_profile *profile, struct tagd_reader *reader)
{
    uint64_t n = tagd_read_varint(reader), dropped = 0;
    reader->bad = reader->bad || n > TAGD_PROFILE_IDS_MAX;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        struct tagd_hash128 hash = {0};
        struct tagd_str bytes = tagd_read_bytes(reader, sizeof hash);
        if (reader->bad)
            return;
        memcpy(&hash, bytes.p, sizeof hash);
        tagd_profile_add_id(profile, hash, plus(profile->last, tagd_read_zigzag(reader)), &dropped);
    }
}

bool tagd_profile_decode(struct tagd_profile *profile, struct tagd_str bytes, struct tagd_error *error)
{
    struct tagd_reader reader = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n, false};
    tagd_profile_clear(profile);
    struct tagd_str head = tagd_read_bytes(&reader, 5);
    if (reader.bad)
        return tagd_fail(error, "a profile of %zu bytes is cut short", bytes.n);
    if (head.p[0] != VERSION)
        return tagd_fail(error, "a profile of format %d: this tagd reads format %d; run the version that wrote it",
                         (unsigned char)head.p[0], VERSION);
    if (memcmp(head.p + 1, profile->catalog->hash, 4) != 0)
        return tagd_fail(error, "a profile of another catalog: take a new group and prefix");
    profile->exists = true;
    profile->last = tagd_read_zigzag(&reader);
    profile->clock = plus(profile->last, tagd_read_zigzag(&reader));
    uint64_t due = tagd_read_varint(&reader);
    profile->due = due ? plus(profile->last, unzigzag(due - 1)) : TAGD_NEVER;
    uint64_t revision = tagd_read_varint(&reader);
    profile->revision[TAGD_KIND_TAG] = revision ? revision - 1 : 0;
    profile->changed_at = plus(profile->last, tagd_read_zigzag(&reader));
    decode_tags(profile, revision > 0, &reader);
    decode_standings(profile, &reader);
    decode_panes(profile, &reader);
    for (uint32_t i = 0; i < profile->catalog->n_value_stores; i++)
        decode_values(profile, i, &reader);
    decode_marks(profile, &reader);
    decode_attributes(profile, &reader);
    decode_ids(profile, &reader);
    if (reader.bad || reader.p != reader.end) {
        tagd_profile_clear(profile);
        return tagd_fail(error, "a profile of %zu bytes is damaged", bytes.n);
    }
    return true;
}

/* ---- questions ---- */

bool tagd_profile_exists(const struct tagd_profile *profile)
{
    return profile->exists;
}
int64_t tagd_profile_latest(const struct tagd_profile *profile)
{
    return profile->last;
}

int64_t tagd_profile_due(const struct tagd_profile *profile)
{
    return profile->due;
}
uint64_t tagd_profile_revision(const struct tagd_profile *profile, enum tagd_kind kind)
{
    return profile->revision[kind];
}
int64_t tagd_profile_changed_at(const struct tagd_profile *profile)
{
    return profile->changed_at;
}
int32_t tagd_profile_tag(const struct tagd_profile *profile, size_t dimension)
{
    return profile->tags[dimension].tag;
}

int64_t tagd_profile_clock(const struct tagd_profile *profile)
{
    return profile->clock;
}

static struct tagd_str text_of(const struct tagd_dimension *dimension, int32_t tag, const struct tagd_text *value)
{
    if (tag < 0)
        return (struct tagd_str){NULL, 0};
    return dimension->is_value ? tagd_text_str(value) : tagd_str_of(dimension->rules[tag].tag);
}

struct tagd_str tagd_profile_tag_text(const struct tagd_profile *profile, size_t dimension)
{
    const struct tagd_tag_state *state = &profile->tags[dimension];
    return text_of(&profile->catalog->dimensions[dimension], state->tag, &state->text);
}

void tagd_profile_tag_history(const struct tagd_profile *profile, size_t dimension, struct tagd_tag_history *history)
{
    const struct tagd_dimension *d = &profile->catalog->dimensions[dimension];
    const struct tagd_tag_state *state = &profile->tags[dimension];
    *history = (struct tagd_tag_history){.changed = state->changed};
    if (!state->changed)
        return;
    history->tag = text_of(d, state->tag, &state->text);
    history->before = text_of(d, state->prev, &state->prev_text);
    history->since_ms = state->at;
}

/* The index of a tag's text. False: there is none. */
static bool find_tag(const struct tagd_dimension *dimension, struct tagd_str text, int32_t *tag)
{
    *tag = text.p == NULL ? -1 : 0;
    if (text.p == NULL || dimension->is_value)
        return text.n <= TAGD_STRING_MAX;
    while ((uint32_t)*tag < dimension->n_rules && !tagd_str_eq(text, tagd_str_of(dimension->rules[*tag].tag)))
        ++*tag;
    return (uint32_t)*tag < dimension->n_rules;
}

static bool is_tag(const struct tagd_dimension *dimension, const struct tagd_tag_state *state, int32_t tag,
                   struct tagd_str text)
{
    return tag == state->tag && (tag < 0 || !dimension->is_value || tagd_str_eq(text, tagd_text_str(&state->text)));
}

/* The rules' tag is the tag, and both since one instant. */
static bool stands_by_rules(const struct tagd_dimension *dimension, const struct tagd_tag_state *state)
{
    return dimension->holds_back && dimension->assign == TAGD_ASSIGN_AUTO && !state->assigned && state->changed &&
           state->hold.rule >= 0 && state->hold.rule_at == state->at;
}

bool tagd_profile_set_tag_history(struct tagd_profile *profile, size_t dimension,
                                  const struct tagd_tag_history *history)
{
    const struct tagd_dimension *d = &profile->catalog->dimensions[dimension];
    struct tagd_tag_state *state = &profile->tags[dimension];
    int32_t tag, before;
    if (!find_tag(d, history->tag, &tag) || !find_tag(d, history->before, &before))
        return false;
    bool same = is_tag(d, state, tag, history->tag);
    if (stands_by_rules(d, state))
        state->hold.rule_at = same ? history->since_ms : profile->clock;
    state->assigned = state->assigned && same;
    state->changed = history->changed;
    state->at = history->changed ? history->since_ms : 0;
    state->tag = tag;
    state->prev = before;
    if (d->is_value && tag >= 0)
        tagd_text_set(&state->text, history->tag);
    if (d->is_value && before >= 0)
        tagd_text_set(&state->prev_text, history->before);
    return true;
}

void tagd_profile_review(const struct tagd_profile *profile, size_t dimension, struct tagd_review *review)
{
    *review = profile->tags[dimension].review;
}

void tagd_profile_set_review(struct tagd_profile *profile, size_t dimension, const struct tagd_review *review)
{
    profile->tags[dimension].review = *review;
}

void tagd_profile_set_revision(struct tagd_profile *profile, enum tagd_kind kind, uint64_t revision)
{
    profile->revision[kind] = revision;
}

void tagd_profile_set_changed_at(struct tagd_profile *profile, int64_t changed_at_ms)
{
    profile->changed_at = changed_at_ms;
}

void tagd_profile_assignment(const struct tagd_profile *profile, size_t dimension, struct tagd_assignment *assignment)
{
    const struct tagd_assignment_state *state = &profile->tags[dimension].assignment;
    *assignment = (struct tagd_assignment){.known = state->known, .tag = -1};
    if (!state->known)
        return;
    assignment->tag = state->tag;
    assignment->until_ms = state->until_ms;
    assignment->by = tagd_text_str(&state->by);
    assignment->reason = tagd_text_str(&state->reason);
}

void tagd_profile_goal(const struct tagd_profile *profile, size_t goal, struct tagd_goal_state *state)
{
    *state = profile->goals[goal];
}

void tagd_profile_set_goal(struct tagd_profile *profile, size_t goal, const struct tagd_goal_state *state)
{
    profile->goals[goal] = *state;
}

bool tagd_profile_proposal(const struct tagd_profile *profile, size_t dimension, struct tagd_proposal *proposal)
{
    const struct tagd_review *review = &profile->tags[dimension].review;
    int64_t expires = profile->catalog->dimensions[dimension].expires_ms;
    *proposal = (struct tagd_proposal){review->open, review->proposed, review->proposed_at,
                                       expires ? review->proposed_at + expires : TAGD_NEVER};
    return review->open > 0;
}

void tagd_profile_sizes(const struct tagd_profile *profile, struct tagd_profile_sizes *sizes)
{
    *sizes = (struct tagd_profile_sizes){.dedupe_ids = profile->n_ids};
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++) {
        if (profile->panes[i].n > sizes->panes)
            sizes->panes = profile->panes[i].n;
    }
    for (uint32_t i = 0; i < profile->catalog->n_value_stores; i++) {
        if (profile->values[i].n > sizes->values)
            sizes->values = profile->values[i].n;
        if (profile->values[i].bytes > sizes->value_bytes)
            sizes->value_bytes = profile->values[i].bytes;
    }
}

static void check_values(const struct tagd_values *values)
{
    uint32_t entries = 0, n_in_use = 0;
    size_t bytes = 0;
    assert(values->n <= values->cap && values->n <= TAGD_PROFILE_VALUES_MAX);
    for (uint32_t i = 0; i < values->n; i++) {
        assert(values->seen[i].value < values->n_known && values->seen[i].count > 0);
        assert(i == 0 || values->pane[i - 1] < values->pane[i] ||
               (values->pane[i - 1] == values->pane[i] && values->seen[i - 1].last <= values->seen[i].last));
    }
    for (uint32_t i = 0; i < values->n_known; i++) {
        entries += values->known[i].entries;
        n_in_use += values->known[i].entries > 0;
        bytes += values->known[i].s.n;
        assert(values->known[i].entries || values->known[i].s.n == 0);
    }
    assert(entries == values->n && n_in_use <= values->n && bytes == values->bytes);
}

void tagd_profile_check(const struct tagd_profile *profile)
{
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++) {
        const struct tagd_panes *panes = &profile->panes[i];
        assert(panes->n <= panes->cap && panes->n <= TAGD_PROFILE_PANES_MAX);
        for (uint32_t j = 1; j < panes->n; j++)
            assert(panes->pane[j - 1] < panes->pane[j]);
        assert(profile->catalog->stores[i].grid.pane_ms || panes->n <= 1);
    }
    for (uint32_t i = 0; i < profile->catalog->n_value_stores; i++)
        check_values(&profile->values[i]);
    for (uint32_t i = 0; i < profile->catalog->n_dimensions; i++) {
        assert(profile->tags[i].tag >= -1 && profile->tags[i].tag < (int32_t)profile->catalog->dimensions[i].n_rules);
        assert(profile->tags[i].tag == -1 || profile->tags[i].changed);
        assert(profile->tags[i].review.open <= profile->revision[TAGD_KIND_PROPOSAL]);
        assert(!profile->tags[i].hold.waits || profile->catalog->dimensions[i].holds_back);
        assert(!profile->tags[i].assigned || profile->tags[i].assignment.tag == profile->tags[i].tag);
    }
    assert(profile->n_ids <= TAGD_PROFILE_IDS_MAX);
    assert(!profile->exists || (profile->clock >= profile->last && profile->due > profile->clock));
}
