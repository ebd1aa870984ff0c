/* The binary form of a profile, version 4. All numbers are LEB128; z: zigzag; d: zigzag difference to `last`. Only what is
 * there has a place in it, so that a profile costs what its customer did, however large the catalog is.
 *
 *   byte    version (4)
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
 * Of tags, stores, value stores, marks and attributes, each kind of which the catalog has more than 32 has its list in
 * chunks, of 16 numbers (of stores and value stores: 4):
 *   for each chunk with an entry: u 1 + its number - one more than the one before (the first: its number); u length, and that:
 *           its entries, the first one's step from the chunk's first number; no end
 *   u 0
 *   4 bytes checksum of all that, low byte first: the low half of its XXH3 of 64 bits
 * Its instants are not to `last` but to the latest multiple of 2^33 ms up to it, so that a chunk of which an event asks for
 * nothing stays right as it is, for some 99 days.
 *
 * Plain panes: z the first; each other: u pane - previous pane; each is followed by z128 a column.
 * Packed panes, of 8 or more, in a store of which windows take sums only if no cell is below 0:
 *   4 bytes checksum of the packed part, low byte first: the low half of its XXH3 of 64 bits, plus the number of panes
 *   u length of the packed part, and that: z first pane; u last packed pane - first; z128 a column, the sum of its cells;
 *           the first one's cells; each other, but the store's latest: u pane - previous pane, z128 a column
 *   the latest pane: u pane - previous pane, z128 a column
 * An event that adds to the latest pane, or to a new one, leaves the rest of the packed part as bytes.
 *
 * Chunks and packed parts are not looked at when a profile is read: that they are sound their checksums say, which are.
 *
 * Valid: the whole input is read, no more; panes ascend, and each begins at an instant; tags, places and lengths are in
 * range; what a list has is there; checksums are right. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "profile/numbers.h"
#include "profile/panes.h"
#include "profile/parts.h"
#include "profile/state.h"

#define VERSION 4
#define HEAD_BYTES (5 + 5 * VARINT_BYTES) /* before the first list, at most */

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

/* How many parts are opened together: 16 that are small, 4 that may be large. */
static const uint32_t chunk_bits[TAGD_PARTS] = {
    [TAGD_TAGS] = 4, [TAGD_PANES] = 2, [TAGD_VALUES] = 2, [TAGD_MARKS] = 4, [TAGD_ATTRIBUTES] = 4};

/* One block has the sets of all. */
static void parts_new(struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = profile->catalog;
    uint32_t words = 0, n[] = {[TAGD_TAGS] = catalog->n_dimensions,       [TAGD_PANES] = catalog->n_stores,
                               [TAGD_VALUES] = catalog->n_value_stores,   [TAGD_MARKS] = catalog->n_marks,
                               [TAGD_ATTRIBUTES] = catalog->n_attributes, [TAGD_GOALS] = catalog->n_goals};
    for (int part = 0; part < TAGD_PARTS; part++) {
        profile->parts[part].n = n[part];
        profile->parts[part].words = TAGD_SET_WORDS(n[part]);
        words += profile->parts[part].words;
        if (part != TAGD_GOALS)
            tagd_chunks_new(&profile->parts[part].chunks, n[part], chunk_bits[part]);
        profile->chunked |= profile->parts[part].chunks.n > 0;
    }
    profile->touched_words = words;
    profile->touched = tagd_xcalloc(words + 1, sizeof *profile->touched);
    words = 0;
    for (int part = 0; part < TAGD_PARTS; words += profile->parts[part].words, part++)
        profile->parts[part].touched = profile->touched + words;
}

struct tagd_profile *tagd_profile_new(const struct tagd_catalog *catalog)
{
    struct tagd_profile *profile = tagd_xcalloc(1, sizeof *profile);
    profile->catalog = catalog;
    profile->tag_states = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *profile->tag_states);
    profile->stores = tagd_xcalloc(catalog->n_stores + 1, sizeof *profile->stores);
    profile->value_stores = tagd_xcalloc(catalog->n_value_stores + 1, sizeof *profile->value_stores);
    profile->mark_states = tagd_xcalloc(catalog->n_marks + 1, sizeof *profile->mark_states);
    profile->attribute_states = tagd_xcalloc(catalog->n_attributes + 1, sizeof *profile->attribute_states);
    profile->goals = tagd_xcalloc(catalog->n_goals + 1, sizeof *profile->goals);
    parts_new(profile);
    for (int kind = 0; kind < TAGD_KINDS; kind++) {
        bool has = kind != TAGD_KIND_TAG && tagd_catalog_has_kind(catalog, (enum tagd_kind)kind);
        profile->other_kinds |= (unsigned)has << kind;
    }
    profile->outcomes = 1;
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        struct tagd_tag_state *state = &profile->tag_states[i];
        clear_tag(&catalog->dimensions[i], state);
        state->hold.rule = state->hold.wanted = state->review.approved = -1;
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

static void tag_free(struct tagd_tag_state *state)
{
    free(state->text.p);
    free(state->prev_text.p);
    free(state->hold.rule_text.p);
    free(state->hold.wanted_text.p);
    free(state->assignment.by.p);
    free(state->assignment.reason.p);
}

static void parts_free(struct tagd_profile *profile)
{
    for (uint32_t i = 0; i < profile->parts[TAGD_TAGS].n; i++)
        tag_free(&profile->tag_states[i]);
    for (uint32_t i = 0; i < profile->parts[TAGD_PANES].n; i++)
        tagd_panes_free(&profile->stores[i]);
    for (uint32_t i = 0; i < profile->parts[TAGD_VALUES].n; i++)
        values_free(&profile->value_stores[i]);
    for (uint32_t i = 0; i < profile->parts[TAGD_MARKS].n; i++)
        free(profile->mark_states[i].s.p);
    for (uint32_t i = 0; i < profile->parts[TAGD_ATTRIBUTES].n; i++)
        free(profile->attribute_states[i].s.p);
    for (int part = 0; part < TAGD_PARTS; part++)
        tagd_chunks_free(&profile->parts[part].chunks);
    free(profile->touched);
}

void tagd_profile_free(struct tagd_profile *profile)
{
    if (!profile)
        return;
    parts_free(profile);
    free(profile->tag_states);
    free(profile->stores);
    free(profile->value_stores);
    free(profile->mark_states);
    free(profile->attribute_states);
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
    TAGD_EACH_TOUCHED (i, profile, TAGD_TAGS)
        clear_tag(&profile->catalog->dimensions[i], &profile->tag_states[i]);
    TAGD_EACH_TOUCHED (i, profile, TAGD_PANES)
        profile->stores[i].n = profile->stores[i].packed.n = 0;
    TAGD_EACH_TOUCHED (i, profile, TAGD_VALUES)
        values_clear(&profile->value_stores[i]);
    TAGD_EACH_TOUCHED (i, profile, TAGD_MARKS)
        profile->mark_states[i].present = false;
    TAGD_EACH_TOUCHED (i, profile, TAGD_ATTRIBUTES)
        profile->attribute_states[i].updated = profile->attribute_states[i].present = false;
    TAGD_EACH_TOUCHED (i, profile, TAGD_GOALS)
        profile->goals[i] = (struct tagd_goal_state){0};
    tagd_set_clear(profile->touched, profile->touched_words);
    for (int part = 0; part < TAGD_PARTS && profile->chunked; part++)
        tagd_chunks_clear(&profile->parts[part].chunks);
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
    TAGD_EACH_TOUCHED (i, profile, TAGD_TAGS) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[i];
        if (!dimension->holds_back || !holds(&profile->tag_states[i].hold))
            continue;
        tagd_buf_add_varint(out, entry_code(i, &next, 1, 0));
        encode_hold(profile, dimension->is_value, &profile->tag_states[i].hold, out);
    }
    end_list(out);
}

static void encode_reviews(const struct tagd_profile *profile, struct tagd_buf *out)
{
    uint32_t next = 0;
    TAGD_EACH_TOUCHED (i, profile, TAGD_TAGS) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[i];
        if (dimension->assign != TAGD_ASSIGN_REVIEW || !reviews(&profile->tag_states[i].review))
            continue;
        tagd_buf_add_varint(out, entry_code(i, &next, 1, 0));
        encode_review(profile, &profile->tag_states[i].review, out);
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
    for (uint32_t i = 0; left > 0 && tagd_set_next(profile->parts[TAGD_TAGS].touched, profile->catalog->set_words, &i);
         i++) {
        if (!profile->tag_states[i].assignment.known)
            continue;
        left--;
        tagd_buf_add_varint(out, entry_code(i, &next, 1, 0));
        encode_assignment(profile, &profile->tag_states[i], out);
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
    TAGD_EACH_TOUCHED (i, profile, TAGD_GOALS) {
        if (!profile->goals[i].running && profile->goals[i].outcome == TAGD_GOAL_NONE)
            continue;
        tagd_buf_add_varint(out, entry_code(i, &next, 1, 0));
        encode_goal(profile, &profile->goals[i], out);
    }
    end_list(out);
}

static void encode_standings(const struct tagd_profile *profile, struct tagd_buf *out)
{
    const struct tagd_catalog *catalog = profile->catalog;
    for (unsigned kinds = profile->other_kinds; kinds; kinds &= kinds - 1)
        tagd_buf_add_varint(out, profile->revision[__builtin_ctz(kinds)]);
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

void tagd_profile_encode(const struct tagd_profile *profile, struct tagd_buf *out)
{
    assert(profile->exists);
    unsigned char *p = reserve(out, HEAD_BYTES);
    *p++ = VERSION;
    memcpy(p, profile->catalog->hash, 4);
    p = put(p + 4, zigzag(profile->last));
    p = put(p, zigzag(diff(profile->clock, profile->last)));
    p = put(p, profile->due == TAGD_NEVER ? 0 : 1 + zigzag(diff(profile->due, profile->last)));
    p = put(p, profile->revision[TAGD_KIND_TAG]);
    written(out, put(p, zigzag(diff(profile->changed_at, profile->last))));
    tagd_parts_rebase(profile);
    tagd_parts_encode_tags(profile, out);
    encode_standings(profile, out);
    tagd_parts_encode_others(profile, out);
    tagd_buf_add_varint(out, profile->n_ids);
    for (uint32_t i = 0; i < profile->n_ids; i++) {
        tagd_buf_add(out, &profile->ids[i].hash, sizeof profile->ids[i].hash);
        tagd_buf_add_zigzag(out, diff(profile->ids[i].until, profile->last));
    }
}

/* ---- decode ---- */

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

/* Its tag may be in a closed chunk, and stays there. */
static struct tagd_tag_state *standing_tag(struct tagd_profile *profile, uint32_t dimension)
{
    tagd_set_add(profile->parts[TAGD_TAGS].touched, dimension);
    return &profile->tag_states[dimension];
}

static void decode_holds(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_dimensions, 1, &entry)) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[entry.number];
        reader->bad = reader->bad || !dimension->holds_back;
        if (reader->bad)
            return;
        struct tagd_hold *hold = &standing_tag(profile, entry.number)->hold;
        decode_hold(profile, dimension, hold, reader);
        reader->bad = reader->bad || !holds(hold);
    }
}

static void decode_reviews(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct entry entry = {0};
    while (read_entry(reader, profile->catalog->n_dimensions, 1, &entry)) {
        const struct tagd_dimension *dimension = &profile->catalog->dimensions[entry.number];
        reader->bad = reader->bad || dimension->assign != TAGD_ASSIGN_REVIEW;
        if (reader->bad)
            return;
        struct tagd_review *review = &standing_tag(profile, entry.number)->review;
        decode_review(profile, dimension, review, reader);
        reader->bad = reader->bad || !reviews(review);
    }
}

static void decode_assignments(struct tagd_profile *profile, struct tagd_reader *reader)
{
    const struct tagd_catalog *catalog = profile->catalog;
    struct entry entry = {0};
    while (read_entry(reader, catalog->n_dimensions, 1, &entry)) {
        struct tagd_tag_state *of = standing_tag(profile, entry.number);
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
    for (unsigned kinds = profile->other_kinds; kinds; kinds &= kinds - 1)
        profile->revision[__builtin_ctz(kinds)] = tagd_read_varint(reader);
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
    profile->base = tagd_parts_base(profile->last);
    tagd_parts_decode_tags(profile, &reader);
    decode_standings(profile, &reader);
    tagd_parts_decode_others(profile, &reader);
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
    const struct tagd_parts *tags = &profile->parts[TAGD_TAGS];
    if (tags->chunks.n_closed > 0)
        tagd_open_all((struct tagd_profile *)(uintptr_t)profile, TAGD_TAGS);
    return tagd_set_next(tags->touched, tags->words, dimension);
}
int32_t tagd_profile_tag(const struct tagd_profile *profile, size_t dimension)
{
    return tagd_tag_of(profile, (uint32_t)dimension)->tag;
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
    const struct tagd_tag_state *state = tagd_tag_of(profile, (uint32_t)dimension);
    return text_of(&profile->catalog->dimensions[dimension], state->tag, &state->text);
}

void tagd_profile_tag_history(const struct tagd_profile *profile, size_t dimension, struct tagd_tag_history *history)
{
    const struct tagd_dimension *d = &profile->catalog->dimensions[dimension];
    const struct tagd_tag_state *state = tagd_tag_of(profile, (uint32_t)dimension);
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
    *review = tagd_tag_of(profile, (uint32_t)dimension)->review;
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
    const struct tagd_assignment_state *state = &tagd_tag_of(profile, (uint32_t)dimension)->assignment;
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
    const struct tagd_review *review = &tagd_tag_of(profile, (uint32_t)dimension)->review;
    int64_t expires = profile->catalog->dimensions[dimension].expires_ms;
    *proposal = (struct tagd_proposal){review->open, review->proposed, review->proposed_at,
                                       expires ? review->proposed_at + expires : TAGD_NEVER};
    return review->open > 0;
}

void tagd_profile_sizes(const struct tagd_profile *profile, struct tagd_profile_sizes *sizes)
{
    *sizes = (struct tagd_profile_sizes){.dedupe_ids = profile->n_ids};
    for (uint32_t i = 0; i < profile->parts[TAGD_PANES].n; i++) {
        uint32_t n = tagd_panes_count(tagd_panes_of(profile, i));
        sizes->panes = n > sizes->panes ? n : sizes->panes;
    }
    for (uint32_t i = 0; i < profile->parts[TAGD_VALUES].n; i++) {
        const struct tagd_values *values = tagd_values_of(profile, i);
        sizes->values = values->n > sizes->values ? values->n : sizes->values;
        sizes->value_bytes = values->bytes > sizes->value_bytes ? values->bytes : sizes->value_bytes;
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
    const struct tagd_tag_state *state = tagd_tag_of(profile, d);
    bool anything = state->changed || holds(&state->hold) || reviews(&state->review) || state->assignment.known;
    assert(state->tag >= -1 && state->tag < (int32_t)profile->catalog->dimensions[d].n_rules);
    assert(state->tag == -1 || state->changed);
    assert(state->review.open <= profile->revision[TAGD_KIND_PROPOSAL]);
    assert(!state->hold.waits || profile->catalog->dimensions[d].holds_back);
    assert(!state->assigned || state->assignment.tag == state->tag);
    assert(!anything || tagd_set_has(profile->parts[TAGD_TAGS].touched, d));
}

static bool is_touched(const struct tagd_profile *profile, enum tagd_part part, uint32_t number)
{
    return tagd_set_has(profile->parts[part].touched, number);
}

/* What is there is in its set. */
static void check_touched(const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = profile->catalog;
    for (uint32_t i = 0; i < catalog->n_stores; i++)
        assert(tagd_panes_count(tagd_panes_of(profile, i)) == 0 || is_touched(profile, TAGD_PANES, i));
    for (uint32_t i = 0; i < catalog->n_value_stores; i++)
        assert(tagd_values_of(profile, i)->n == 0 || is_touched(profile, TAGD_VALUES, i));
    for (uint32_t i = 0; i < catalog->n_marks; i++)
        assert(!tagd_mark_of(profile, i)->present || is_touched(profile, TAGD_MARKS, i));
    for (uint32_t i = 0; i < catalog->n_attributes; i++)
        assert(!tagd_attribute_of(profile, i)->updated || is_touched(profile, TAGD_ATTRIBUTES, i));
    for (uint32_t i = 0; i < catalog->n_goals; i++)
        assert(!profile->goals[i].running || is_touched(profile, TAGD_GOALS, i));
}

void tagd_profile_check(const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = profile->catalog;
    uint32_t words = 0;
    for (uint32_t i = 0; i < catalog->n_stores; i++)
        tagd_panes_check(tagd_panes_of(profile, i), &catalog->stores[i]);
    for (uint32_t i = 0; i < catalog->n_value_stores; i++)
        check_values(tagd_values_of(profile, i));
    for (uint32_t i = 0; i < catalog->n_dimensions; i++) {
        check_tag(profile, i);
        words += tagd_tag_of(profile, i)->assignment.known;
    }
    check_touched(profile);
    assert(words == profile->n_assignments);
    assert(profile->n_ids <= TAGD_PROFILE_IDS_MAX);
    assert(!profile->exists || (profile->clock >= profile->last && profile->due > profile->clock));
}
