/* What the outputs tell of a customer, while a shard is repaired: what was published last, beside a profile that is
 * computed again. Its form in the store:
 *
 *   u8      version, 2
 *   4 bytes the first 4 of the catalog's hash, so that dimensions are never taken for others
 *   u       kinds of events; for each, in the order of enum tagd_kind
 *     u     revision of the last event told; 0: none
 *   z       effective time of the last change of a tag
 *   for each dimension, in the catalog's order:
 *     u8    bits: 1 a change was told, 2 since when and what was before are known, 4 there is a tag, 8 there was one
 *           before
 *     u     bytes of the tag, and the tag, if there is one; the same of the one before; z since when, if known
 *   for each reviewed dimension:
 *     u     approved tag + 1
 *     u     revision of the open proposal; 0: none; else u its tag + 1, z when it was made, TAGD_TOLD_NO_TIME: not known
 *     u     0 nothing is declined, else 1 + the declined tag + 1
 *
 * u: LEB128; z: zigzag LEB128. Valid: the whole input is read, no more.
 *
 * Every kind of events counts its revisions by itself, so each is followed by itself, whatever topic it is in; the dimensions
 * of one kind are no other's. Of a proposal is told how its dimension stands with those who review it: all of that is
 * published, since each proposal and each end says which tag was approved before it.
 *
 * A replay gives a proposal the number that it had, so that the decisions among the records find it. It does so as long as it
 * makes the same proposals in the same order. It may not:
 *   - an event that was late for one clock and is not for another is evaluated at another instant, and so are timers that
 *     were more than one batch takes: a proposal may then be made that was not, or the other way round
 *   - the events of one customer in two source topics may be taken in another order, if one topic wasn't waited for
 *   - a copy of another history has numbered proposals that nobody was told of
 * From there on a number may mean another proposal, and a decision may hit the wrong one, or none. So what people were told
 * and what they decided isn't taken from a replay: the end (below) puts what is told in its place. */
#include "shard/repair.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"

#define VERSION 2
enum { CHANGED = 1, KNOWN = 2, TAG = 4, BEFORE = 8 };

/* ---- form ---- */

static struct tagd_str copy_of(struct tagd_arena *arena, struct tagd_str text)
{
    return text.p == NULL ? text : tagd_arena_copy(arena, text.p, text.n);
}

static bool is_reviewed(const struct tagd_catalog *catalog, size_t dimension)
{
    return tagd_catalog_assign(catalog, dimension) == TAGD_ASSIGN_REVIEW;
}

void tagd_told_of_profile(struct tagd_told *told, const struct tagd_catalog *catalog,
                          const struct tagd_profile *profile, struct tagd_arena *arena)
{
    size_t n = tagd_catalog_n_dimensions(catalog);
    *told = (struct tagd_told){.changed_at_ms = tagd_profile_changed_at(profile),
                               .tags = tagd_arena_zalloc(arena, (n + 1) * sizeof(*told->tags))};
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        told->revision[kind] = tagd_profile_revision(profile, (enum tagd_kind)kind);
    for (size_t d = 0; d < n; d++) {
        struct tagd_tag_history *history = &told->tags[d].history;
        tagd_profile_tag_history(profile, d, history);
        history->tag = copy_of(arena, history->tag);
        history->before = copy_of(arena, history->before);
        told->tags[d].known = true;
        tagd_profile_review(profile, d, &told->tags[d].review);
    }
}

static void add_text(struct tagd_buf *out, struct tagd_str text)
{
    if (text.p == NULL)
        return;
    tagd_buf_add_varint(out, text.n);
    tagd_buf_add_str(out, text);
}

static void add_review(struct tagd_buf *out, const struct tagd_review *review)
{
    tagd_buf_add_varint(out, (uint64_t)(review->approved + 1));
    tagd_buf_add_varint(out, review->open);
    if (review->open != 0) {
        tagd_buf_add_varint(out, (uint64_t)(review->proposed + 1));
        tagd_buf_add_zigzag(out, review->proposed_at);
    }
    tagd_buf_add_varint(out, review->declined ? (uint64_t)(review->declined_tag + 2) : 0);
}

void tagd_told_write(const struct tagd_told *told, const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    size_t n = tagd_catalog_n_dimensions(catalog);
    tagd_buf_add_byte(out, VERSION);
    tagd_buf_add(out, tagd_catalog_hash(catalog), 4);
    tagd_buf_add_varint(out, TAGD_KINDS);
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        tagd_buf_add_varint(out, told->revision[kind]);
    tagd_buf_add_zigzag(out, told->changed_at_ms);
    for (size_t d = 0; d < n; d++) {
        const struct tagd_told_tag *of = &told->tags[d];
        const struct tagd_tag_history *history = &of->history;
        tagd_buf_add_byte(out, (unsigned char)((history->changed ? CHANGED : 0) | (of->known ? KNOWN : 0) |
                                               (history->tag.p ? TAG : 0) | (history->before.p ? BEFORE : 0)));
        add_text(out, history->tag);
        add_text(out, history->before);
        if (of->known)
            tagd_buf_add_zigzag(out, history->since_ms);
    }
    for (size_t d = 0; d < n; d++)
        if (is_reviewed(catalog, d))
            add_review(out, &told->tags[d].review);
}

static struct tagd_str read_text(struct tagd_reader *reader, bool there)
{
    uint64_t n = there ? tagd_read_varint(reader) : 0;
    if (n > (size_t)(reader->end - reader->p))
        reader->bad = true;
    return !there || reader->bad ? (struct tagd_str){NULL, 0} : tagd_read_bytes(reader, (size_t)n);
}

static void read_tag(struct tagd_reader *reader, struct tagd_told_tag *of)
{
    struct tagd_str bits = tagd_read_bytes(reader, 1);
    unsigned char is = reader->bad ? 0 : (unsigned char)bits.p[0];
    reader->bad = reader->bad || is >= 2 * BEFORE;
    of->known = is & KNOWN;
    of->history.changed = is & CHANGED;
    of->history.tag = read_text(reader, is & TAG);
    of->history.before = read_text(reader, is & BEFORE);
    if (of->known)
        of->history.since_ms = tagd_read_zigzag(reader);
}

/* A tag's number + base. */
static int32_t read_tag_number(struct tagd_reader *reader, uint64_t number, uint64_t base, size_t n_tags)
{
    reader->bad = reader->bad || number > n_tags + base - 1;
    return reader->bad ? -1 : (int32_t)number - (int32_t)base;
}

static void read_review(struct tagd_reader *reader, size_t n_tags, struct tagd_review *review)
{
    review->approved = read_tag_number(reader, tagd_read_varint(reader), 1, n_tags);
    review->open = tagd_read_varint(reader);
    if (review->open != 0) {
        review->proposed = read_tag_number(reader, tagd_read_varint(reader), 1, n_tags);
        review->proposed_at = tagd_read_zigzag(reader);
    }
    uint64_t declined = tagd_read_varint(reader);
    review->declined = declined > 0;
    if (review->declined)
        review->declined_tag = read_tag_number(reader, declined, 2, n_tags);
}

bool tagd_told_read(struct tagd_str bytes, const struct tagd_catalog *catalog, struct tagd_arena *arena,
                    struct tagd_told *told)
{
    struct tagd_reader reader = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n, false};
    size_t n = tagd_catalog_n_dimensions(catalog);
    struct tagd_str begin = tagd_read_bytes(&reader, 5);
    if (reader.bad || begin.p[0] != VERSION || memcmp(begin.p + 1, tagd_catalog_hash(catalog), 4) != 0)
        return false;
    *told = (struct tagd_told){.tags = tagd_arena_zalloc(arena, (n + 1) * sizeof(*told->tags))};
    uint64_t n_kinds = tagd_read_varint(&reader);
    if (reader.bad || n_kinds > TAGD_KINDS)
        return false;
    for (uint64_t kind = 0; kind < n_kinds; kind++)
        told->revision[kind] = tagd_read_varint(&reader);
    told->changed_at_ms = tagd_read_zigzag(&reader);
    for (size_t d = 0; d < n && !reader.bad; d++)
        read_tag(&reader, &told->tags[d]);
    for (size_t d = 0; d < n && !reader.bad; d++)
        if (is_reviewed(catalog, d))
            read_review(&reader, tagd_catalog_n_tags(catalog, d), &told->tags[d].review);
    return !reader.bad && reader.p == reader.end;
}

/* ---- published changes ---- */

/* A member's text; p NULL: it isn't there, or is null, or no string. */
static struct tagd_str text_of(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(member) ? tagd_str_of(member->valuestring) : (struct tagd_str){NULL, 0};
}

static struct tagd_str header_of(const struct tagd_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (tagd_str_eq(headers[i].name, tagd_str_of(name)))
            return headers[i].value;
    return (struct tagd_str){NULL, 0};
}

/* The dimension that an event of that kind names. */
static bool find_dimension(const struct tagd_catalog *catalog, enum tagd_kind kind, struct tagd_str name,
                           size_t *dimension)
{
    for (size_t d = 0; name.p != NULL && d < tagd_catalog_n_dimensions(catalog); d++) {
        if (!tagd_str_eq(name, tagd_str_of(tagd_catalog_dimension(catalog, d))))
            continue;
        *dimension = d;
        return kind == TAGD_KIND_PROPOSAL ? is_reviewed(catalog, d) : tagd_catalog_kind(catalog, d) == kind;
    }
    return false;
}

/* The number of a tag's text; -1: none. False: the dimension can't have it. */
static bool find_tag(const struct tagd_catalog *catalog, size_t dimension, struct tagd_str tag, int32_t *number)
{
    *number = -1;
    if (tag.p == NULL || tagd_catalog_is_value(catalog, dimension))
        return tag.n <= TAGD_STRING_MAX;
    for (size_t i = 0; i < tagd_catalog_n_tags(catalog, dimension) && *number < 0; i++)
        if (tagd_str_eq(tag, tagd_str_of(tagd_catalog_tag(catalog, dimension, i))))
            *number = (int32_t)i;
    return *number >= 0;
}

static int32_t tag_number(const struct tagd_catalog *catalog, const struct tagd_told_change *change,
                          struct tagd_str tag)
{
    int32_t number;
    find_tag(catalog, change->dimension, tag, &number); /* which was looked up when the change was read */
    return number;
}

/* The revision of a customer's proposal: "proposal:<customer>:<revision>". */
static bool read_proposal(struct tagd_str id, struct tagd_str customer, uint64_t *revision)
{
    static const struct tagd_str prefix = {"proposal:", 9};
    size_t at = prefix.n + customer.n + 1;
    if (id.p == NULL || id.n <= at || id.n > at + 15 || memcmp(id.p, prefix.p, prefix.n) != 0 ||
        memcmp(id.p + prefix.n, customer.p, customer.n) != 0 || id.p[at - 1] != ':')
        return false;
    for (*revision = 0; at < id.n && id.p[at] >= '0' && id.p[at] <= '9'; at++)
        *revision = *revision * 10 + (uint64_t)(id.p[at] - '0');
    return at == id.n && *revision > 0;
}

static bool read_status(struct tagd_str name, enum tagd_proposal_status *status)
{
    for (int i = TAGD_PROPOSAL_OPEN + 1; name.p != NULL && i <= TAGD_PROPOSAL_EXPIRED; i++)
        if (tagd_str_eq(name, tagd_str_of(tagd_emit_status((enum tagd_proposal_status)i)))) {
            *status = (enum tagd_proposal_status)i;
            return true;
        }
    return false;
}

/* ---- of each kind, what is in data ---- */

static bool read_change(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    int32_t number;
    change->from = text_of(data, "from");
    change->to = text_of(data, "to");
    return find_dimension(catalog, change->kind, text_of(data, "dimension"), &change->dimension) &&
           find_tag(catalog, change->dimension, change->from, &number) &&
           find_tag(catalog, change->dimension, change->to, &number);
}

static bool read_end(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    return read_change(catalog, data, change) && read_status(text_of(data, "status"), &change->status) &&
           read_proposal(text_of(data, "proposal"), change->customer, &change->proposal);
}

/* An alert is a dimension with one tag. */
static bool read_raised(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    if (!find_dimension(catalog, change->kind, text_of(data, "alert"), &change->dimension))
        return false;
    change->to = tagd_str_of(tagd_catalog_tag(catalog, change->dimension, 0));
    return true;
}

static bool read_cleared(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    bool read = read_raised(catalog, data, change);
    change->from = change->to;
    change->to = (struct tagd_str){NULL, 0};
    return read;
}

static const struct event_type {
    const char *name;
    enum tagd_kind kind;
    bool (*read)(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change);
} event_types[] = {
    {"tagd.tag.changed", TAGD_KIND_TAG, read_change},       {"tagd.churn.changed", TAGD_KIND_CHURN, read_change},
    {"tagd.alert.raised", TAGD_KIND_ALERT, read_raised},    {"tagd.alert.cleared", TAGD_KIND_ALERT, read_cleared},
    {"tagd.tag.proposed", TAGD_KIND_PROPOSAL, read_change}, {"tagd.proposal.closed", TAGD_KIND_PROPOSAL, read_end}};

static const struct event_type *type_of(struct tagd_str name)
{
    for (size_t i = 0; name.p != NULL && i < sizeof(event_types) / sizeof(event_types[0]); i++)
        if (tagd_str_eq(name, tagd_str_of(event_types[i].name)))
            return &event_types[i];
    return NULL;
}

bool tagd_told_change_read(const struct tagd_catalog *catalog, struct tagd_str key, struct tagd_str value,
                           const struct tagd_header *headers, size_t n_headers, struct tagd_arena *arena,
                           struct tagd_told_change *change)
{
    struct tagd_json_fault fault;
    struct tagd_str name = header_of(headers, n_headers, "ce_type"), time = header_of(headers, n_headers, "ce_time");
    bool binary = name.p != NULL;
    const cJSON *root = tagd_json_parse(arena, value.p, value.n, &fault);
    const cJSON *data = binary ? root : cJSON_GetObjectItemCaseSensitive(root, "data");
    const cJSON *revision = cJSON_GetObjectItemCaseSensitive(data, "revision");
    if (!binary) {
        name = text_of(root, "type");
        time = text_of(root, "time");
    }
    const struct event_type *type = type_of(name);
    if (type == NULL || time.p == NULL || key.n == 0 || !cJSON_IsNumber(revision) || revision->valuedouble < 1 ||
        revision->valuedouble > 9007199254740992.0)
        return false;
    *change =
        (struct tagd_told_change){.customer = key, .kind = type->kind, .revision = (uint64_t)revision->valuedouble};
    return tagd_time_parse(time, &change->time_ms) && type->read(catalog, data, change);
}

/* ---- following them ---- */

static bool same_tag(struct tagd_str a, struct tagd_str b)
{
    return (a.p == NULL) == (b.p == NULL) && (a.p == NULL || tagd_str_eq(a, b));
}

static bool is_open(const struct tagd_review *review, uint64_t revision, int32_t tag)
{
    return review->open == revision && review->proposed == tag;
}

static bool follow_proposal(struct tagd_review *review, const struct tagd_catalog *catalog,
                            const struct tagd_told_change *change)
{
    int32_t from = tag_number(catalog, change, change->from), to = tag_number(catalog, change, change->to);
    bool made = change->status == TAGD_PROPOSAL_OPEN;
    if (review->approved != from || !(made ? review->open == 0 : is_open(review, change->proposal, to)))
        return false;
    if (made) {
        *review = (struct tagd_review){
            .approved = from, .open = change->revision, .proposed = to, .proposed_at = change->time_ms};
        return true;
    }
    bool approved = change->status == TAGD_PROPOSAL_APPROVED;
    bool declined = change->status == TAGD_PROPOSAL_REJECTED || change->status == TAGD_PROPOSAL_EXPIRED;
    *review = (struct tagd_review){.approved = approved ? to : from, .declined = declined, .declined_tag = to};
    return true;
}

static bool follow_tag(struct tagd_told_tag *of, const struct tagd_told_change *change)
{
    if (!same_tag(of->history.tag, change->from))
        return false;
    of->history = (struct tagd_tag_history){true, change->to, change->from, change->time_ms};
    of->known = true;
    return true;
}

bool tagd_told_follow(struct tagd_told *told, const struct tagd_catalog *catalog, const struct tagd_told_change *change)
{
    uint64_t *revision = &told->revision[change->kind];
    struct tagd_told_tag *of = &told->tags[change->dimension];
    if (change->revision <= *revision)
        return true;
    if (change->revision != *revision + 1 ||
        !(change->kind == TAGD_KIND_PROPOSAL ? follow_proposal(&of->review, catalog, change) : follow_tag(of, change)))
        return false;
    *revision = change->revision;
    if (change->kind == TAGD_KIND_TAG)
        told->changed_at_ms = change->time_ms;
    return true;
}

/* The latest change of a tag that is known: what stood before one that is taken back is not. At the latest, if there is
 * none. */
static int64_t latest_change(const struct tagd_told *told, const struct tagd_catalog *catalog, int64_t at_the_latest_ms)
{
    int64_t latest = INT64_MIN;
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        const struct tagd_told_tag *of = &told->tags[d];
        if (tagd_catalog_kind(catalog, d) == TAGD_KIND_TAG && of->known && of->history.changed &&
            of->history.since_ms > latest)
            latest = of->history.since_ms;
    }
    return latest == INT64_MIN ? at_the_latest_ms : latest;
}

static bool take_back_tag(struct tagd_told_tag *of, const struct tagd_told_change *change)
{
    if (!same_tag(of->history.tag, change->to))
        return false;
    of->history = (struct tagd_tag_history){.changed = true, .tag = change->from};
    of->known = false;
    return true;
}

/* A proposal that was open, or is so again, had nothing declined beside it. */
static bool take_back_proposal(struct tagd_review *review, const struct tagd_catalog *catalog,
                               const struct tagd_told_change *change)
{
    int32_t from = tag_number(catalog, change, change->from), to = tag_number(catalog, change, change->to);
    bool made = change->status == TAGD_PROPOSAL_OPEN;
    if (!(made ? is_open(review, change->revision, to) : review->open == 0))
        return false;
    *review = (struct tagd_review){.approved = from};
    if (made)
        return true;
    review->open = change->proposal;
    review->proposed = to;
    review->proposed_at = TAGD_TOLD_NO_TIME;
    return true;
}

bool tagd_told_take_back(struct tagd_told *told, const struct tagd_catalog *catalog,
                         const struct tagd_told_change *change)
{
    uint64_t *revision = &told->revision[change->kind];
    struct tagd_told_tag *of = &told->tags[change->dimension];
    if (change->revision != *revision ||
        !(change->kind == TAGD_KIND_PROPOSAL ? take_back_proposal(&of->review, catalog, change)
                                             : take_back_tag(of, change)))
        return false;
    --*revision;
    if (change->kind == TAGD_KIND_TAG)
        told->changed_at_ms = latest_change(told, catalog, change->time_ms);
    return true;
}

/* ---- the end ---- */

static bool same_history(const struct tagd_tag_history *a, const struct tagd_tag_history *b)
{
    return a->changed == b->changed && same_tag(a->before, b->before) && a->since_ms == b->since_ms;
}

/* Whether it took the place of another one. */
static bool settle_tag(const struct tagd_told_tag *of, struct tagd_profile *profile, size_t dimension)
{
    struct tagd_tag_history is, told = of->history;
    tagd_profile_tag_history(profile, dimension, &is);
    bool same = same_tag(is.tag, told.tag);
    if (same && (!of->known || same_history(&is, &told)))
        return false;
    if (!of->known)
        told.since_ms = tagd_profile_clock(profile);
    bool set = tagd_profile_set_tag_history(profile, dimension, &told);
    assert(set); /* tags were looked up when they were told */
    (void)set;
    return true;
}

/* The same; what the replay declined silently since is right if it came to the same proposals. */
static bool settle_review(const struct tagd_told_tag *of, struct tagd_profile *profile, size_t dimension)
{
    struct tagd_review is, told = of->review;
    tagd_profile_review(profile, dimension, &is);
    bool open = told.open != 0, timed = open && told.proposed_at != TAGD_TOLD_NO_TIME;
    if (is.approved == told.approved && is.open == told.open &&
        (!open || (is.proposed == told.proposed && (!timed || is.proposed_at == told.proposed_at))))
        return false;
    if (open && !timed)
        told.proposed_at = tagd_profile_clock(profile);
    tagd_profile_set_review(profile, dimension, &told);
    return true;
}

void tagd_told_settle(const struct tagd_told *told, struct tagd_shard_context *context, struct tagd_sink sink)
{
    const struct tagd_catalog *catalog = context->config->catalog;
    struct tagd_profile *profile = context->profile;
    bool moved = false;
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        moved |= settle_tag(&told->tags[d], profile, d);
        if (is_reviewed(catalog, d))
            moved |= settle_review(&told->tags[d], profile, d);
    }
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        tagd_profile_set_revision(profile, (enum tagd_kind)kind, told->revision[kind]);
    tagd_profile_set_changed_at(profile, told->changed_at_ms);
    if (moved)
        tagd_engine_repair(context->engine, profile, sink);
}
