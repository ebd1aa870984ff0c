/* Any bytes as a stored profile. What is read is written to bytes that read as the same. A profile that events made reads
 * again, looked at or not, and is written the same; changed anywhere, it is refused or is one of the former. */
#include "fuzz.h"

#include "profile/state.h"

enum { EVERY_KIND, WIDE, PLAIN, CATALOGS };
#define STEPS_MAX 300
#define SWEEP_MAX 400 /* bytes that are changed in turn */

/* More than 32 of everything: parts are in chunks. */
static void wide_text(struct tagd_buf *text)
{
    tagd_buf_add_z(text, "{\"catalog\":\"wide\",\"version\":\"1\",\"events\":{\"login\":{},\"order.paid\":{\"fields\":"
                         "{\"amount\":\"decimal\",\"category\":\"string\"}}},\"attributes\":{");
    for (int i = 0; i < 40; i++)
        tagd_buf_printf(text, "%s\"a%d\":\"%s\"", i ? "," : "", i, i % 2 ? "string" : "decimal");
    tagd_buf_add_z(text, ",\"region\":\"string\"},\"dimensions\":{");
    for (int i = 0; i < 40; i++)
        tagd_buf_printf(
            text,
            "%s\"m.c%d\":{\"value\":\"latest(amount, order.paid{category='%d'})\"},"
            "\"s.c%d\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(order.paid{category='%d'}[30d]) >= 2\"},"
            "{\"tag\":\"no\",\"when\":\"attr.a%d is null\"}]},"
            "\"v.c%d\":{\"value\":\"top(amount, order.paid{category='%d'}[7d])\"}",
            i ? "," : "", i, i, i, i, i, i, i);
    tagd_buf_add_z(text, "}}");
}

static struct customer *customer_of(unsigned which)
{
    static const char plain[] = "{\"catalog\":\"plain\",\"version\":\"1\"," FUZZ_EVENTS "\"dimensions\":{\"b.a\":{"
                                "\"tags\":[{\"tag\":\"x\",\"when\":\"sum(amount, order.paid[30d:1m]) > 1\"}]},"
                                "\"b.v\":{\"value\":\"top(category, order.paid)\"}}}";
    static struct customer customers[CATALOGS];
    struct customer *customer = &customers[which % CATALOGS];
    if (customers[WIDE].catalog)
        return customer;
    struct tagd_buf text = {0};
    wide_text(&text);
    customer_new(&customers[EVERY_KIND], fuzz_every_kind, sizeof(fuzz_every_kind) - 1);
    customer_new(&customers[PLAIN], plain, sizeof(plain) - 1);
    customer_new(&customers[WIDE], text.p, text.n);
    tagd_buf_free(&text);
    return customer;
}

/* That a packed part is sound its checksum says, and nobody else: one that was found for a part that isn't is no fault. */
static bool is_packed_unsoundly(const struct tagd_panes *panes, const struct tagd_store *store)
{
    const struct tagd_packed *packed = &panes->packed;
    if (packed->n == 0)
        return false;
    struct tagd_reader reader = {packed->bytes + packed->begin, packed->bytes + packed->end, false};
    int64_t pane = packed->first;
    for (uint32_t i = 0; i < packed->n; i++) {
        uint64_t step = i ? tagd_read_varint(&reader) : 0;
        reader.bad = reader.bad || step > INT64_MAX || (i && __builtin_add_overflow(pane, (int64_t)step, &pane));
        for (uint32_t c = 0; c < store->n_columns; c++)
            tagd_read_zigzag128(&reader);
    }
    return reader.bad || reader.p != reader.end || pane != packed->last;
}

static bool any_unsound(const struct tagd_profile *profile)
{
    TAGD_EACH_TOUCHED (i, profile, TAGD_PANES)
        if (is_packed_unsoundly(&profile->stores[i], &profile->catalog->stores[i]))
            return true;
    return false;
}

/* ---- what was read of any bytes is in range ---- */

static void values_must_be_in_range(const struct tagd_values *values)
{
    MUST(values->n <= TAGD_PROFILE_VALUES_MAX && values->bytes <= TAGD_PROFILE_VALUE_BYTES_MAX);
    for (uint32_t i = 0; i < values->n; i++)
        MUST(values->seen[i].value < values->n_known && values->seen[i].count > 0 &&
             (i == 0 || values->pane[i - 1] <= values->pane[i]));
    for (uint32_t i = 0; i < values->n_known; i++)
        MUST(values->known[i].entries > 0 && values->known[i].s.n <= TAGD_STRING_MAX);
}

static void tag_must_be_in_range(const struct tagd_dimension *dimension, const struct tagd_tag_state *state)
{
    int32_t n = (int32_t)dimension->n_rules;
    MUST(state->tag >= -1 && state->tag < n && state->prev >= -1 && state->prev < n);
    MUST(state->hold.rule >= -1 && state->hold.rule < n && state->hold.wanted >= -1 && state->hold.wanted < n);
    MUST(state->review.approved >= -1 && state->review.approved < n);
    MUST(!state->assignment.known || (state->assignment.tag >= -1 && state->assignment.tag < n));
    MUST(state->text.n <= TAGD_STRING_MAX && state->prev_text.n <= TAGD_STRING_MAX &&
         state->assignment.by.n <= TAGD_STRING_MAX && state->assignment.reason.n <= TAGD_STRING_MAX);
}

/* Of what is open; closed chunks are as their checksum says. */
static void must_be_in_range(const struct tagd_profile *profile)
{
    TAGD_EACH_TOUCHED (i, profile, TAGD_TAGS)
        tag_must_be_in_range(&profile->catalog->dimensions[i], &profile->tag_states[i]);
    TAGD_EACH_TOUCHED (i, profile, TAGD_PANES) {
        const struct tagd_panes *panes = &profile->stores[i];
        MUST(tagd_panes_count(panes) >= 1 && tagd_panes_count(panes) <= TAGD_PROFILE_PANES_MAX);
        for (uint32_t j = 1; j < panes->n; j++)
            MUST(panes->pane[j - 1] < panes->pane[j]);
    }
    TAGD_EACH_TOUCHED (i, profile, TAGD_VALUES)
        values_must_be_in_range(&profile->value_stores[i]);
    MUST(profile->n_ids <= TAGD_PROFILE_IDS_MAX);
}

static void read_any(struct tagd_profile *profile, const struct tagd_buf *bytes)
{
    struct tagd_buf first = {0}, second = {0};
    struct tagd_error error = {{0}};
    char *exact = tagd_xmalloc(bytes->n);
    memcpy(exact, str_of(bytes).p, bytes->n);
    if (!tagd_profile_decode(profile, (struct tagd_str){exact, bytes->n}, &error)) {
        MUST(is_sentence(error.text) && !tagd_profile_exists(profile));
        tagd_profile_check(profile);
    } else if (!any_unsound(profile)) {
        must_be_in_range(profile);
        tagd_profile_encode(profile, &first);
        MUST(tagd_profile_decode(profile, str_of(&first), &error));
        tagd_profile_encode(profile, &second);
        MUST(tagd_str_eq(str_of(&first), str_of(&second)));
    }
    free(exact);
    tagd_buf_free(&first);
    tagd_buf_free(&second);
}

/* As it was, whether anybody looked at all of it or not. */
static void read_own(struct tagd_profile *profile, struct tagd_buf *bytes)
{
    struct tagd_buf unseen = {0}, seen = {0};
    struct tagd_error error = {{0}};
    tagd_profile_encode(profile, bytes);
    tagd_profile_check(profile);
    MUST(tagd_profile_decode(profile, str_of(bytes), &error));
    tagd_profile_encode(profile, &unseen);
    tagd_profile_check(profile);
    tagd_profile_encode(profile, &seen);
    MUST(tagd_str_eq(str_of(bytes), str_of(&unseen)) && tagd_str_eq(str_of(bytes), str_of(&seen)));
    tagd_buf_free(&unseen);
    tagd_buf_free(&seen);
}

/* ---- questions ---- */

static bool same_history(const struct tagd_tag_history *a, const struct tagd_tag_history *b)
{
    return a->changed == b->changed && tagd_str_eq(a->tag, b->tag) && tagd_str_eq(a->before, b->before) &&
           a->since_ms == b->since_ms;
}

/* What is asked of a dimension, set once more, is what is asked again. */
static void set_again(struct tagd_profile *profile, size_t d, struct tagd_arena *arena)
{
    struct tagd_tag_history history, again;
    struct tagd_review review;
    struct tagd_assignment assignment;
    struct tagd_proposal proposal;
    tagd_profile_tag_history(profile, d, &history);
    MUST(tagd_str_eq(history.tag, tagd_profile_tag_text(profile, d)));
    MUST((history.tag.p != NULL) == (tagd_profile_tag(profile, d) >= 0));
    if (history.tag.p)
        history.tag = tagd_arena_copy(arena, history.tag.p, history.tag.n);
    if (history.before.p)
        history.before = tagd_arena_copy(arena, history.before.p, history.before.n);
    MUST(tagd_profile_set_tag_history(profile, d, &history));
    tagd_profile_tag_history(profile, d, &again);
    MUST(same_history(&history, &again));
    tagd_profile_review(profile, d, &review);
    tagd_profile_set_review(profile, d, &review);
    MUST(tagd_profile_proposal(profile, d, &proposal) == (review.open > 0));
    MUST(!review.open || proposal.expires_ms >= proposal.at_ms);
    tagd_profile_assignment(profile, d, &assignment);
    MUST(assignment.known || assignment.tag == -1);
}

static void ask(struct tagd_profile *profile, const struct tagd_buf *bytes)
{
    static struct tagd_arena arena;
    struct tagd_buf again = {0};
    struct tagd_goal_state goal;
    struct tagd_profile_sizes sizes;
    uint32_t n_tagged = 0;
    tagd_arena_reset(&arena);
    tagd_profile_sizes(profile, &sizes);
    MUST(sizes.panes <= TAGD_PROFILE_PANES_MAX && sizes.values <= TAGD_PROFILE_VALUES_MAX &&
         sizes.dedupe_ids <= TAGD_PROFILE_IDS_MAX && sizes.value_bytes <= TAGD_PROFILE_VALUE_BYTES_MAX);
    MUST(tagd_profile_clock(profile) >= tagd_profile_latest(profile) &&
         tagd_profile_due(profile) > tagd_profile_clock(profile));
    for (uint32_t d = 0; tagd_profile_next_tagged(profile, &d); d++)
        n_tagged += tagd_profile_tag(profile, d) >= 0;
    for (size_t d = 0; d < tagd_catalog_n_dimensions(profile->catalog); d++) {
        n_tagged -= tagd_profile_tag(profile, d) >= 0;
        set_again(profile, d, &arena);
    }
    MUST(n_tagged == 0);
    for (size_t g = 0; g < tagd_catalog_n_goals(profile->catalog); g++) {
        tagd_profile_goal(profile, g, &goal);
        tagd_profile_set_goal(profile, g, &goal);
    }
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        tagd_profile_set_revision(profile, (enum tagd_kind)kind, tagd_profile_revision(profile, (enum tagd_kind)kind));
    tagd_profile_set_changed_at(profile, tagd_profile_changed_at(profile));
    tagd_profile_encode(profile, &again);
    MUST(tagd_str_eq(str_of(bytes), str_of(&again)));
    tagd_buf_free(&again);
}

static void live(struct customer *customer, struct input *in, unsigned steps, struct tagd_buf *bytes)
{
    struct tagd_error error;
    customer_begin(customer);
    for (unsigned i = 0; i < steps && in->n > 0; i++) {
        customer_step(customer, in);
        if (i % 4 != 3 || !tagd_profile_exists(customer->profile))
            continue;
        bytes->n = 0;
        tagd_profile_encode(customer->profile, bytes);
        MUST(tagd_profile_decode(customer->profile, str_of(bytes), &error));
    }
    bytes->n = 0;
    if (!tagd_profile_exists(customer->profile))
        return;
    read_own(customer->profile, bytes);
    ask(customer->profile, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct tagd_buf bytes = {0};
    unsigned what = (unsigned)take(&in, 1);
    struct customer *customer = customer_of(what >> 2);
    unsigned char by;
    switch (what & 3) {
    case 0: /* bytes as they are */ tagd_buf_add(&bytes, in.p, in.n); break;
    case 1: /* behind a head that is right */
        tagd_buf_add_byte(&bytes, 4);
        tagd_buf_add(&bytes, tagd_catalog_hash(customer->catalog), 4);
        tagd_buf_add(&bytes, in.p, in.n);
        break;
    case 2: /* what events made, some of its bytes changed */
        live(customer, &in, (unsigned)take(&in, 2) % STEPS_MAX, &bytes);
        damage(&in, &bytes);
        break;
    default: /* each of its bytes in turn */
        by = (unsigned char)take(&in, 1);
        live(customer, &in, STEPS_MAX, &bytes);
        for (size_t i = 0; i < bytes.n && i < SWEEP_MAX; i++) {
            bytes.p[i] = (char)((unsigned char)bytes.p[i] ^ by);
            read_any(customer->profile, &bytes);
            bytes.p[i] = (char)((unsigned char)bytes.p[i] ^ by);
        }
        break;
    }
    read_any(customer->profile, &bytes);
    tagd_buf_free(&bytes);
    return 0;
}
