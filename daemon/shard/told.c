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
 *   for each goal:
 *     u     1 it runs, then z since when; else 0
 *     u     outcome of the last that ended; 0: none; else z its start, z when it ended, u its event's revision
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

#include "base/cjson.h"

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
    size_t n_goals = tagd_catalog_n_goals(catalog);
    told->goals = tagd_arena_zalloc(arena, (n_goals + 1) * sizeof(*told->goals));
    for (size_t g = 0; g < n_goals; g++)
        tagd_profile_goal(profile, g, &told->goals[g]);
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

static void add_goal(struct tagd_buf *out, const struct tagd_goal_state *goal)
{
    tagd_buf_add_varint(out, goal->running);
    if (goal->running)
        tagd_buf_add_zigzag(out, goal->started);
    tagd_buf_add_varint(out, (uint64_t)goal->outcome);
    if (goal->outcome == TAGD_GOAL_NONE)
        return;
    tagd_buf_add_zigzag(out, goal->ended_started);
    tagd_buf_add_zigzag(out, goal->ended);
    tagd_buf_add_varint(out, goal->revision);
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
    for (size_t g = 0; g < tagd_catalog_n_goals(catalog); g++)
        add_goal(out, &told->goals[g]);
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

static struct tagd_str read_text(struct tagd_reader *reader, bool there)
{
    uint64_t n = there ? tagd_read_varint(reader) : 0;
    if (n > (size_t)(reader->end - reader->p))
        reader->bad = true;
    return !there || reader->bad ? (struct tagd_str){NULL, 0} : tagd_read_bytes(reader, (size_t)n);
}

static void read_tag(struct tagd_reader *reader, const struct tagd_catalog *catalog, size_t dimension,
                     struct tagd_told_tag *of)
{
    int32_t number;
    struct tagd_str bits = tagd_read_bytes(reader, 1);
    unsigned char is = reader->bad ? 0 : (unsigned char)bits.p[0];
    reader->bad = reader->bad || is >= 2 * BEFORE;
    of->known = is & KNOWN;
    of->history.changed = is & CHANGED;
    of->history.tag = read_text(reader, is & TAG);
    of->history.before = read_text(reader, is & BEFORE);
    reader->bad = reader->bad || !find_tag(catalog, dimension, of->history.tag, &number) ||
                  !find_tag(catalog, dimension, of->history.before, &number);
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

static void read_goal(struct tagd_reader *reader, struct tagd_goal_state *goal)
{
    uint64_t running = tagd_read_varint(reader);
    goal->running = running == 1;
    goal->started = goal->running ? tagd_read_zigzag(reader) : 0;
    uint64_t outcome = tagd_read_varint(reader);
    reader->bad = reader->bad || running > 1 || outcome > TAGD_GOAL_MISSED;
    goal->outcome = reader->bad ? TAGD_GOAL_NONE : (enum tagd_goal_outcome)outcome;
    if (goal->outcome == TAGD_GOAL_NONE)
        return;
    goal->ended_started = tagd_read_zigzag(reader);
    goal->ended = tagd_read_zigzag(reader);
    goal->revision = tagd_read_varint(reader);
}

bool tagd_told_read(struct tagd_str bytes, const struct tagd_catalog *catalog, struct tagd_arena *arena,
                    struct tagd_told *told)
{
    struct tagd_reader reader = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n, false};
    size_t n = tagd_catalog_n_dimensions(catalog), n_goals = tagd_catalog_n_goals(catalog);
    struct tagd_str begin = tagd_read_bytes(&reader, 5);
    if (reader.bad || begin.p[0] != VERSION || memcmp(begin.p + 1, tagd_catalog_hash(catalog), 4) != 0)
        return false;
    *told = (struct tagd_told){.tags = tagd_arena_zalloc(arena, (n + 1) * sizeof(*told->tags)),
                               .goals = tagd_arena_zalloc(arena, (n_goals + 1) * sizeof(*told->goals))};
    uint64_t n_kinds = tagd_read_varint(&reader);
    if (reader.bad || n_kinds > TAGD_KINDS)
        return false;
    for (uint64_t kind = 0; kind < n_kinds; kind++)
        told->revision[kind] = tagd_read_varint(&reader);
    told->changed_at_ms = tagd_read_zigzag(&reader);
    for (size_t d = 0; d < n && !reader.bad; d++)
        read_tag(&reader, catalog, d, &told->tags[d]);
    for (size_t d = 0; d < n && !reader.bad; d++)
        if (is_reviewed(catalog, d))
            read_review(&reader, tagd_catalog_n_tags(catalog, d), &told->tags[d].review);
    for (size_t g = 0; g < n_goals && !reader.bad; g++)
        read_goal(&reader, &told->goals[g]);
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

static bool find_goal(const struct tagd_catalog *catalog, struct tagd_str name, int32_t *goal)
{
    for (size_t g = 0; name.p != NULL && g < tagd_catalog_n_goals(catalog); g++)
        if (tagd_str_eq(name, tagd_str_of(tagd_catalog_goal(catalog, g)->name))) {
            *goal = (int32_t)g;
            return true;
        }
    return false;
}

/* "goal":{"name","deadline",...} of a change that entered a goal's tag. */
static bool read_goal_begun(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    const cJSON *goal = cJSON_GetObjectItemCaseSensitive(data, "goal");
    struct tagd_str deadline = text_of(goal, "deadline");
    if (goal == NULL)
        return true;
    if (!find_goal(catalog, text_of(goal, "name"), &change->goal) || deadline.p == NULL ||
        !tagd_time_parse(deadline, &change->goal_started_ms))
        return false;
    change->goal_started_ms -= tagd_catalog_goal(catalog, (size_t)change->goal)->within_ms;
    return true;
}

static bool read_goal_ended(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    struct tagd_str started = text_of(data, "started");
    return find_goal(catalog, text_of(data, "goal"), &change->goal) && started.p != NULL &&
           tagd_time_parse(started, &change->goal_started_ms);
}

static bool read_reached(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    change->outcome = TAGD_GOAL_REACHED;
    return read_goal_ended(catalog, data, change);
}

static bool read_missed(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    change->outcome = TAGD_GOAL_MISSED;
    return read_goal_ended(catalog, data, change);
}

static bool read_change(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_told_change *change)
{
    int32_t number;
    change->from = text_of(data, "from");
    change->to = text_of(data, "to");
    return read_goal_begun(catalog, data, change) &&
           find_dimension(catalog, change->kind, text_of(data, "dimension"), &change->dimension) &&
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
    {"tagd.tag.proposed", TAGD_KIND_PROPOSAL, read_change}, {"tagd.proposal.closed", TAGD_KIND_PROPOSAL, read_end},
    {"tagd.goal.reached", TAGD_KIND_GOAL, read_reached},    {"tagd.goal.missed", TAGD_KIND_GOAL, read_missed}};

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
    *change = (struct tagd_told_change){
        .customer = key, .kind = type->kind, .revision = (uint64_t)revision->valuedouble, .goal = -1};
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

/* A goal that begins as churn.level changes is told to begin on one topic and to end on another, which are read one after
 * the other. So what is told of a goal doesn't depend on their order: starts grow, and what began no later than one that
 * has ended has ended too. */
static void follow_goal_begun(struct tagd_told *told, const struct tagd_told_change *change)
{
    if (change->goal < 0)
        return;
    struct tagd_goal_state *goal = &told->goals[change->goal];
    if (goal->outcome != TAGD_GOAL_NONE && change->goal_started_ms <= goal->ended_started)
        return;
    goal->running = true;
    goal->started = change->goal_started_ms;
}

static void follow_goal_ended(struct tagd_goal_state *goal, const struct tagd_told_change *change)
{
    goal->running = goal->running && goal->started > change->goal_started_ms;
    goal->outcome = change->outcome;
    goal->ended_started = change->goal_started_ms;
    goal->ended = change->time_ms;
    goal->revision = change->revision;
}

/* What the event says follows what is told of its kind. */
static bool follow(struct tagd_told *told, const struct tagd_catalog *catalog, const struct tagd_told_change *change)
{
    struct tagd_told_tag *of = &told->tags[change->dimension];
    switch (change->kind) {
    case TAGD_KIND_PROPOSAL: return follow_proposal(&of->review, catalog, change);
    case TAGD_KIND_GOAL: follow_goal_ended(&told->goals[change->goal], change); return true;
    default: return follow_tag(of, change);
    }
}

bool tagd_told_follow(struct tagd_told *told, const struct tagd_catalog *catalog, const struct tagd_told_change *change)
{
    uint64_t *revision = &told->revision[change->kind];
    if (change->revision <= *revision)
        return true;
    if (change->revision != *revision + 1 || !follow(told, catalog, change))
        return false;
    *revision = change->revision;
    if (change->kind != TAGD_KIND_GOAL)
        follow_goal_begun(told, change);
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

/* It runs again; how the one before it ended isn't known any more. */
static void take_back_goal_ended(struct tagd_goal_state *goal, const struct tagd_told_change *change)
{
    *goal = (struct tagd_goal_state){.running = true, .started = change->goal_started_ms};
}

static bool take_back(struct tagd_told *told, const struct tagd_catalog *catalog, const struct tagd_told_change *change)
{
    struct tagd_told_tag *of = &told->tags[change->dimension];
    switch (change->kind) {
    case TAGD_KIND_PROPOSAL: return take_back_proposal(&of->review, catalog, change);
    case TAGD_KIND_GOAL: take_back_goal_ended(&told->goals[change->goal], change); return true;
    default: break;
    }
    if (change->goal >= 0 && change->goal_started_ms == change->time_ms) /* it began with this very change */
        told->goals[change->goal].running = false;
    return take_back_tag(of, change);
}

bool tagd_told_take_back(struct tagd_told *told, const struct tagd_catalog *catalog,
                         const struct tagd_told_change *change)
{
    uint64_t *revision = &told->revision[change->kind];
    if (change->revision != *revision || !take_back(told, catalog, change))
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

static bool settle_goal(const struct tagd_goal_state *told, struct tagd_profile *profile, size_t goal)
{
    struct tagd_goal_state is;
    tagd_profile_goal(profile, goal, &is);
    bool same_end =
        told->outcome == is.outcome &&
        (is.outcome == TAGD_GOAL_NONE || (told->ended_started == is.ended_started && told->ended == is.ended));
    if (told->running == is.running && (!is.running || told->started == is.started) && same_end)
        return false;
    tagd_profile_set_goal(profile, goal, told);
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
    for (size_t g = 0; g < tagd_catalog_n_goals(catalog); g++)
        moved |= settle_goal(&told->goals[g], profile, g);
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        tagd_profile_set_revision(profile, (enum tagd_kind)kind, told->revision[kind]);
    tagd_profile_set_changed_at(profile, told->changed_at_ms);
    if (moved)
        tagd_engine_repair(context->engine, profile, sink);
}
