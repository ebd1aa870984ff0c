/* The binary form of a profile, version 3. All numbers are LEB128; z: zigzag; d: zigzag difference to `last`. Only what is
 * there has a place in it, so that a profile costs what its customer did, however large the catalog is.
 *
 *   byte    version (3)
 *   4 bytes the first 4 of the catalog's hash, so that a profile of another catalog is never misread
 *   z       last: own latest event time, ms
 *   d       clock
 *   u       due: 0 never, else 1 + zigzag(due - last)
 *   u       revision
 *   d       changed_at
 *   list    of dimensions whose tag ever changed; beside the number, of R*R: (tag + 1) * R + prev + 1, where R is one more
 *           than the most tags of a dimension; z last - at; a `value` then has the text of tag and prev, those that are
 *           there: u length and bytes
 *   for each other kind of events that the catalog has: u revision
 *   if rules look back: u how many changes in a row are a millisecond apart, d the last of them
 *   list    of dimensions with `for` or `min_dwell` that have a rules' tag or one that waits: u the rules' tag + 1; if
 *           there is one: d since when; u 0 nothing waits, else 1 + what waits + 1, d since when; of a `value` then the
 *           texts of both, those that are there
 *   list    of reviewed dimensions that have any of these: u approved tag + 1; u the open proposal's revision, 0 none, then
 *           u its tag + 1 and d since when; u 0 nothing is declined, else 1 + the declined tag + 1
 *   list    of dimensions that a person ever spoke about: z last - at, u tag + 1; if there is one: u until: 0 cleared, else
 *           1 + zigzag(until - last), u length and bytes of reason; u length and bytes of by; u 1 the present tag is this
 *           one, else 0
 *   list    of goals that run or did: u 0 not running, else 1 + zigzag(last - its start); u outcome of the last that ended,
 *           0 none, then d its start, d when it ended, u its revision
 *   list    of stores with panes; beside the number, of 8: how many panes less one, at most 7; if 7: u twice the rest, and
 *           one more if packed; then its panes, plain or packed
 *   list    of value stores with entries: u number of different values; each: z (number) or u length and bytes (string); u
 *           number of entries; for each: u pane - previous pane (the first: z), u value's place in that list; if ordered:
 *           u count, z last time - this pane's beginning (all time: `last` - last time)
 *   list    of marks that are there: z last - at; a VALUE then z (number) or u length and bytes (string)
 *   list    of attributes ever updated: z last - at; then u 0 removed, 1 there: and z or u length and bytes
 *   u       number of dedupe ids; for each: 16 bytes hash, d until
 *
 * A list: for each, ascending: u 1 + (number - one more than the one before; the first: its number) * N + what stands beside
 * the number, of N (1, if nothing is said); u 0 ends it. A list that can have nothing by this catalog isn't there.
 *
 * Plain panes: z the first; each other: u pane - previous pane; each is followed by z128 a column.
 * Packed panes, of 32 or more, in a store of which windows take sums only if no cell is below 0:
 *   4 bytes checksum of the packed part, low byte first: the low half of its XXH3 of 64 bits, plus the number of panes
 *   u length of the packed part, and that: z first pane; u last packed pane - first; z128 a column, the sum of its cells;
 *           the first one's cells; each other, but the store's latest: u pane - previous pane, z128 a column
 *   the latest pane: u pane - previous pane, z128 a column
 * An event that adds to the latest pane, or to a new one, leaves the rest of the packed part as bytes. Nothing of it is
 * looked at when a profile is read; that it is sound the checksum says.
 *
 * Valid: the whole input is read, no more; panes ascend; tags, places and lengths are in range; what a list has is there. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "profile/numbers.h"
#include "profile/panes.h"
#include "profile/state.h"

#define VERSION 3

/* One block has them all. */
static void touched_new(struct tagd_touched *touched, const struct tagd_catalog *catalog)
{
    uint64_t **sets[] = {&touched->tags,  &touched->panes,      &touched->values,
                         &touched->marks, &touched->attributes, &touched->goals};
    uint32_t words[] = {TAGD_SET_WORDS(catalog->n_dimensions),   TAGD_SET_WORDS(catalog->n_stores),
                        TAGD_SET_WORDS(catalog->n_value_stores), TAGD_SET_WORDS(catalog->n_marks),
                        TAGD_SET_WORDS(catalog->n_attributes),   TAGD_SET_WORDS(catalog->n_goals)};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        touched->words += words[i];
    touched->all = tagd_xcalloc(touched->words + 1, sizeof *touched->all);
    uint64_t *at = touched->all;
    for (size_t i = 0; i < sizeof words / sizeof *words; at += words[i], i++)
        *sets[i] = at;
}

/* Of a dimension only what it can have: most have a tag and nothing else. The texts' memory stays. */
static inline void clear_tag(const struct tagd_dimension *dimension, struct tagd_tag_state *state)
{
    struct tagd_hold *hold = &state->hold;
    struct tagd_assignment_state *word = &state->assignment;
    state->tag = state->prev = -1;
    state->at = 0;
    state->changed = state->assigned = false;
    if (dimension->holds_back)
        *hold = (struct tagd_hold){
            .rule = -1, .wanted = -1, .rule_text = hold->rule_text, .wanted_text = hold->wanted_text};
    if (word->known)
        *word = (struct tagd_assignment_state){.by = word->by, .reason = word->reason};
    if (dimension->assign == TAGD_ASSIGN_REVIEW)
        state->review = (struct tagd_review){.approved = -1};
}

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
    touched_new(&profile->touched, catalog);
    profile->outcomes = 1;
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        clear_tag(&catalog->dimensions[i], &profile->tags[i]);
        profile->tags[i].hold.rule = profile->tags[i].hold.wanted = -1;
        profile->tags[i].review.approved = -1;
        profile->any_holds |= catalog->dimensions[i].holds_back;
        if (catalog->dimensions[i].n_rules >= profile->outcomes)
            profile->outcomes = catalog->dimensions[i].n_rules + 1;
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
    for (uint32_t i = 0; i < profile->catalog->n_stores; i++)
        tagd_panes_free(&profile->panes[i]);
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
    free(profile->touched.all);
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

/* What is touched, but the texts' memory. */
static void clear_parts(struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = profile->catalog;
    const struct tagd_touched *touched = &profile->touched;
    TAGD_EACH_TOUCHED(i, touched->tags, catalog->n_dimensions)
    clear_tag(&catalog->dimensions[i], &profile->tags[i]);
    TAGD_EACH_TOUCHED(i, touched->panes, catalog->n_stores)
    profile->panes[i].n = profile->panes[i].packed.n = 0;
    TAGD_EACH_TOUCHED(i, touched->values, catalog->n_value_stores)
    values_clear(&profile->values[i]);
    TAGD_EACH_TOUCHED(i, touched->marks, catalog->n_marks)
    profile->marks[i].present = false;
    TAGD_EACH_TOUCHED(i, touched->attributes, catalog->n_attributes)
    profile->attributes[i].updated = profile->attributes[i].present = false;
    TAGD_EACH_TOUCHED(i, touched->goals, catalog->n_goals)
    profile->goals[i] = (struct tagd_goal_state){0};
    tagd_set_clear(touched->all, touched->words);
}

void tagd_profile_clear(struct tagd_profile *profile)
{
    profile->exists = false;
    profile->last = profile->clock = INT64_MIN;
    profile->due = TAGD_NEVER;
    memset(profile->revision, 0, sizeof profile->revision);
    profile->changed_at = 0;
    profile->chase = (struct tagd_chase){0};
    profile->n_assignments = 0;
    clear_parts(profile);
    profile->n_ids = 0;
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

/* A number's entry in a list: its step from the number before, and what stands beside it, of n. */
static uint64_t entry(uint32_t number, uint32_t *next, uint64_t n, uint64_t beside)
{
    uint64_t step = number - *next;
    *next = number + 1;
    return 1 + step * n + beside;
}

static void end_list(struct tagd_buf *out)
{
    tagd_buf_add_byte(out, 0);
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

static void encode_tags(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint64_t outcomes = profile->outcomes;
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.tags, profile->catalog->n_dimensions)
    {
        const struct tagd_tag_state *state = &profile->tags[i];
        if (!state->changed)
            continue;
        unsigned char *p = reserve(out, 2 * (size_t)VARINT_BYTES);
        uint64_t beside = (uint64_t)(state->tag + 1) * outcomes + (uint64_t)(state->prev + 1);
        p = put(p, entry(i, &next, outcomes * outcomes, beside));
        written(out, put(p, zigzag(diff(profile->last, state->at))));
        if (!profile->catalog->dimensions[i].is_value)
            continue;
        encode_text(out, state->tag < 0 ? NULL : &state->text);
        encode_text(out, state->prev < 0 ? NULL : &state->prev_text);
    }
    end_list(out);
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

static bool holds(const struct tagd_hold *hold)
{
    return hold->rule >= 0 || hold->waits;
}

static bool reviews(const struct tagd_review *review)
{
    return review->approved >= 0 || review->open || review->declined;
}

static void encode_holds(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.tags, profile->catalog->n_dimensions)
    {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[i];
        if (!dimension->holds_back || !holds(&profile->tags[i].hold))
            continue;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        encode_hold(profile, dimension->is_value, &profile->tags[i].hold, out);
    }
    end_list(out);
}

static void encode_reviews(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.tags, profile->catalog->n_dimensions)
    {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[i];
        if (dimension->assign != TAGD_ASSIGN_REVIEW || !reviews(&profile->tags[i].review))
            continue;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        encode_review(profile, &profile->tags[i].review, out);
    }
    end_list(out);
}

static void encode_assignment(const struct tagd_profile *profile, const struct tagd_tag_state *of, struct tagd_buf *out)
{
    const struct tagd_assignment_state *state = &of->assignment;
    tagd_buf_add_zigzag(out, diff(profile->last, state->at));
    tagd_buf_add_varint(out, (uint64_t)(state->tag + 1));
    if (state->tag >= 0) {
        bool ends = state->until_ms != TAGD_NEVER;
        tagd_buf_add_varint(out, ends ? 1 + zigzag(diff(state->until_ms, profile->last)) : 0);
        encode_text(out, &state->reason);
    }
    encode_text(out, &state->by);
    tagd_buf_add_varint(out, of->assigned);
}

static void encode_assignments(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t left = profile->n_assignments, next = 0;
    for (uint32_t i = 0; left > 0 && tagd_set_next(profile->touched.tags, profile->catalog->set_words, &i); i++) {
        if (!profile->tags[i].assignment.known)
            continue;
        left--;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        encode_assignment(profile, &profile->tags[i], out);
    }
    end_list(out);
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

static void encode_goals(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.goals, profile->catalog->n_goals)
    {
        if (!profile->goals[i].running && profile->goals[i].outcome == TAGD_GOAL_NONE)
            continue;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        encode_goal(profile, &profile->goals[i], out);
    }
    end_list(out);
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
    if (profile->any_holds)
        encode_holds(profile, out);
    if (catalog->reviews)
        encode_reviews(profile, out);
    encode_assignments(profile, out);
    if (catalog->n_goals > 0)
        encode_goals(profile, out);
}

static void encode_panes(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.panes, profile->catalog->n_stores)
    {
        if (tagd_panes_count(&profile->panes[i]) == 0)
            continue;
        tagd_panes_encode(&profile->panes[i], &profile->catalog->stores[i], i - next, out);
        next = i + 1;
    }
    end_list(out);
}

static int64_t begin_of(const struct tagd_value_store *store, int64_t pane, int64_t last)
{
    return store->grid.pane_ms ? tagd_grid_begin(&store->grid, pane) : last;
}

static void encode_value_store(const struct tagd_profile *profile, uint32_t index, struct tagd_buf *out)
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

static void encode_values(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.values, profile->catalog->n_value_stores)
    {
        if (profile->values[i].n == 0)
            continue;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        encode_value_store(profile, i, out);
    }
    end_list(out);
}

static void encode_marks(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.marks, catalog->n_marks)
    {
        const struct tagd_mark_state *mark = &profile->marks[i];
        if (!mark->present)
            continue;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        tagd_buf_add_zigzag(out, diff(profile->last, mark->at));
        if (tagd_mark_has_value(&catalog->marks[i]))
            encode_value(out, catalog->marks[i].field_type, mark->i, &mark->s);
    }
    end_list(out);
}

static void encode_attributes(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    uint32_t next = 0;
    TAGD_EACH_TOUCHED(i, profile->touched.attributes, catalog->n_attributes)
    {
        const struct tagd_attribute_state *state = &profile->attributes[i];
        if (!state->updated)
            continue;
        tagd_buf_add_varint(out, entry(i, &next, 1, 0));
        tagd_buf_add_zigzag(out, diff(profile->last, state->at));
        tagd_buf_add_varint(out, state->present);
        if (state->present)
            encode_value(out, catalog->attributes[i].field.type, state->i, &state->s);
    }
    end_list(out);
}

static void encode_state(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    if (catalog->n_stores > 0)
        encode_panes(profile, out);
    if (catalog->n_value_stores > 0)
        encode_values(profile, out);
    if (catalog->n_marks > 0)
        encode_marks(profile, out);
    if (catalog->n_attributes > 0)
        encode_attributes(profile, out);
}

void tagd_profile_encode(const struct tagd_profile *profile, struct tagd_buf *out)
{
    assert(profile->exists);
    tagd_buf_add_byte(out, VERSION);
    tagd_buf_add(out, profile->catalog->hash, 4);
    tagd_buf_add_zigzag(out, profile->last);
    tagd_buf_add_zigzag(out, diff(profile->clock, profile->last));
    tagd_buf_add_varint(out, profile->due == TAGD_NEVER ? 0 : 1 + zigzag(diff(profile->due, profile->last)));
    tagd_buf_add_varint(out, profile->revision[TAGD_KIND_TAG]);
    tagd_buf_add_zigzag(out, diff(profile->changed_at, profile->last));
    encode_tags(profile, out);
    encode_standings(profile, out);
    encode_state(profile, out);
    tagd_buf_add_varint(out, profile->n_ids);
    for (uint32_t i = 0; i < profile->n_ids; i++) {
        tagd_buf_add(out, &profile->ids[i].hash, sizeof profile->ids[i].hash);
        tagd_buf_add_zigzag(out, diff(profile->ids[i].until, profile->last));
    }
}

/* ---- decode ---- */

/* What a list's entry says: a number below `below`, and what stands beside it, of n. */
struct entry {
    uint32_t number, next;
    uint64_t beside;
};

/* The next one. False: the list ends here, or is damaged. */
static inline bool read_entry(struct tagd_reader *reader, uint32_t below, uint64_t n, struct entry *entry)
{
    uint64_t code = tagd_read_varint(reader), step = (code - 1) / n;
    if (code == 0)
        return false;
    reader->bad = reader->bad || step >= below - entry->next;
    if (reader->bad)
        return false;
    entry->number = entry->next + (uint32_t)step;
    entry->next = entry->number + 1;
    entry->beside = (code - 1) % n;
    return true;
}

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

static void decode_tags(struct tagd_profile *profile, struct tagd_reader *from)
{
    struct tagd_reader copy = *from, *reader = &copy;
    uint64_t outcomes = profile->outcomes;
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_dimensions, outcomes * outcomes, &entry)) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[entry.number];
        struct tagd_tag_state *state = tagd_touch_tag(profile, entry.number);
        uint64_t tag = entry.beside / outcomes, prev = entry.beside % outcomes;
        state->changed = true;
        state->at = diff(profile->last, tagd_read_zigzag(reader));
        reader->bad = reader->bad || tag > dimension->n_rules || prev > dimension->n_rules;
        state->tag = reader->bad ? -1 : (int32_t)tag - 1;
        state->prev = reader->bad ? -1 : (int32_t)prev - 1;
        if (dimension->is_value) {
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

static void decode_holds(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_dimensions, 1, &entry)) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[entry.number];
        struct tagd_hold *hold = &tagd_touch_tag(profile, entry.number)->hold;
        decode_hold(profile, dimension, hold, reader);
        reader->bad = reader->bad || !dimension->holds_back || !holds(hold);
    }
}

static void decode_reviews(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_dimensions, 1, &entry)) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[entry.number];
        struct tagd_review *review = &tagd_touch_tag(profile, entry.number)->review;
        decode_review(profile, dimension, review, reader);
        reader->bad = reader->bad || dimension->assign != TAGD_ASSIGN_REVIEW || !reviews(review);
    }
}

static void decode_assignments(struct tagd_profile *profile, struct tagd_reader *reader)
{
    const struct tagd_catalog *catalog = profile->catalog;
    struct entry entry = {0};
    while (read_entry(reader, catalog->n_dimensions, 1, &entry)) {
        struct tagd_tag_state *of = tagd_touch_tag(profile, entry.number);
        struct tagd_assignment_state *state = &of->assignment;
        state->known = true;
        profile->n_assignments++;
        state->at = diff(profile->last, tagd_read_zigzag(reader));
        state->tag = decode_tag(reader, &catalog->dimensions[entry.number], tagd_read_varint(reader), 1);
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
        of->assigned = assigned == 1;
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

static void decode_goals(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_goals, 1, &entry)) {
        struct tagd_goal_state *goal = tagd_touch_goal(profile, entry.number);
        decode_goal(profile, goal, reader);
        reader->bad = reader->bad || (!goal->running && goal->outcome == TAGD_GOAL_NONE);
    }
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
    if (profile->any_holds)
        decode_holds(profile, reader);
    if (catalog->reviews)
        decode_reviews(profile, reader);
    decode_assignments(profile, reader);
    if (catalog->n_goals > 0)
        decode_goals(profile, reader);
}

static void decode_panes(struct tagd_profile *profile, struct tagd_reader *reader)
{
    const struct tagd_catalog *catalog = profile->catalog;
    struct entry entry = {0};
    while (read_entry(reader, catalog->n_stores, PANES_FEW, &entry))
        tagd_panes_decode(tagd_touch_panes(profile, entry.number), &catalog->stores[entry.number],
                          (unsigned)entry.beside, reader);
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

static void decode_value_store(struct tagd_profile *profile, uint32_t index, struct tagd_reader *reader)
{
    const struct tagd_value_store *store = &profile->catalog->value_stores[index];
    struct tagd_values *values = tagd_touch_values(profile, index);
    decode_known(values, store->field_type, reader);
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n == 0 || n > TAGD_PROFILE_VALUES_MAX;
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

static void decode_values(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_value_stores, 1, &entry))
        decode_value_store(profile, entry.number, reader);
}

static void decode_marks(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_marks, 1, &entry)) {
        const struct tagd_mark *mark = &profile->catalog->marks[entry.number];
        struct tagd_mark_state *state = tagd_touch_mark(profile, entry.number);
        state->present = true;
        state->at = diff(profile->last, tagd_read_zigzag(reader));
        if (tagd_mark_has_value(mark))
            decode_value(reader, mark->field_type, &state->i, &state->s);
    }
}

static void decode_attributes(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_attributes, 1, &entry)) {
        struct tagd_attribute_state *state = tagd_touch_attribute(profile, entry.number);
        state->updated = true;
        state->at = diff(profile->last, tagd_read_zigzag(reader));
        uint64_t there = tagd_read_varint(reader);
        reader->bad = reader->bad || there > 1;
        state->present = there == 1;
        if (state->present)
            decode_value(reader, profile->catalog->attributes[entry.number].field.type, &state->i, &state->s);
    }
}

static void decode_state(struct tagd_profile *profile, struct tagd_reader *reader)
{
    const struct tagd_catalog *catalog = profile->catalog;
    if (catalog->n_stores > 0)
        decode_panes(profile, reader);
    if (catalog->n_value_stores > 0)
        decode_values(profile, reader);
    if (catalog->n_marks > 0)
        decode_marks(profile, reader);
    if (catalog->n_attributes > 0)
        decode_attributes(profile, reader);
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
    profile->revision[TAGD_KIND_TAG] = tagd_read_varint(&reader);
    profile->changed_at = plus(profile->last, tagd_read_zigzag(&reader));
    decode_tags(profile, &reader);
    decode_standings(profile, &reader);
    decode_state(profile, &reader);
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
bool tagd_profile_next_tagged(const struct tagd_profile *profile, uint32_t *dimension)
{
    return tagd_set_next(profile->touched.tags, profile->catalog->set_words, dimension);
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
    struct tagd_tag_state *state = tagd_touch_tag(profile, (uint32_t)dimension);
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
    tagd_touch_tag(profile, (uint32_t)dimension)->review = *review;
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
    *tagd_touch_goal(profile, (uint32_t)goal) = *state;
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
    TAGD_EACH_TOUCHED(i, profile->touched.panes, profile->catalog->n_stores)
    {
        if (tagd_panes_count(&profile->panes[i]) > sizes->panes)
            sizes->panes = tagd_panes_count(&profile->panes[i]);
    }
    TAGD_EACH_TOUCHED(i, profile->touched.values, profile->catalog->n_value_stores)
    {
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

static void check_tag(const struct tagd_profile *profile, uint32_t d)
{
    const struct tagd_tag_state *state = &profile->tags[d];
    bool anything = state->changed || holds(&state->hold) || reviews(&state->review) || state->assignment.known;
    assert(state->tag >= -1 && state->tag < (int32_t)profile->catalog->dimensions[d].n_rules);
    assert(state->tag == -1 || state->changed);
    assert(state->review.open <= profile->revision[TAGD_KIND_PROPOSAL]);
    assert(!state->hold.waits || profile->catalog->dimensions[d].holds_back);
    assert(!state->assigned || state->assignment.tag == state->tag);
    assert(!anything || tagd_set_has(profile->touched.tags, d));
}

/* What is there is in its set. */
static void check_touched(const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = profile->catalog;
    const struct tagd_touched *touched = &profile->touched;
    for (uint32_t i = 0; i < catalog->n_stores; i++)
        assert(tagd_panes_count(&profile->panes[i]) == 0 || tagd_set_has(touched->panes, i));
    for (uint32_t i = 0; i < catalog->n_value_stores; i++)
        assert(profile->values[i].n == 0 || tagd_set_has(touched->values, i));
    for (uint32_t i = 0; i < catalog->n_marks; i++)
        assert(!profile->marks[i].present || tagd_set_has(touched->marks, i));
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        assert(!profile->attributes[i].updated || tagd_set_has(touched->attributes, i));
    for (uint32_t i = 0; i < catalog->n_goals; i++)
        assert(!profile->goals[i].running || tagd_set_has(touched->goals, i));
}

void tagd_profile_check(const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = profile->catalog;
    uint32_t words = 0;
    for (uint32_t i = 0; i < catalog->n_stores; i++)
        tagd_panes_check(&profile->panes[i], &catalog->stores[i]);
    for (uint32_t i = 0; i < catalog->n_value_stores; i++)
        check_values(&profile->values[i]);
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        check_tag(profile, i);
        words += profile->tags[i].assignment.known;
    }
    check_touched(profile);
    assert(words == profile->n_assignments);
    assert(profile->n_ids <= TAGD_PROFILE_IDS_MAX);
    assert(!profile->exists || (profile->clock >= profile->last && profile->due > profile->clock));
}
