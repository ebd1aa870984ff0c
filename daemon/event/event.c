#include "event/event.h"
#include "base/text.h"
#include "tagd/catalog.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

_Static_assert(TAGD_EVENT_DEPTH_MAX == TAGD_JSON_DEPTH_MAX, "the JSON check keeps the limit of depth");

const char *tagd_event_code_name(enum tagd_event_code code)
{
    static const char *const names[TAGD_EVENT_CODES] = {
        [TAGD_EVENT_OK] = "ok",
        [TAGD_EVENT_TOO_LARGE] = "too_large",
        [TAGD_EVENT_MALFORMED] = "malformed",
        [TAGD_EVENT_JUNK_SUBJECT] = "junk_subject",
        [TAGD_EVENT_INVALID] = "invalid",
        [TAGD_EVENT_PAST] = "past",
        [TAGD_EVENT_FUTURE] = "future",
        [TAGD_EVENT_MISROUTED] = "misrouted",
        [TAGD_EVENT_UNSUPPORTED] = "unsupported",
        [TAGD_EVENT_POISON] = "poison",
    };

    assert(code >= 0 && code < TAGD_EVENT_CODES);
    return names[code];
}

/* What trackers and forms are known to send where a customer's id is missing. */
#define JUNK(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
const struct tagd_str tagd_junk_subjects[] = {
    JUNK(""),
    JUNK("null"),
    JUNK("(null)"),
    JUNK("nil"),
    JUNK("none"),
    JUNK("undefined"),
    JUNK("nan"),
    JUNK("unknown"),
    JUNK("n/a"),
    JUNK("anonymous"),
    JUNK("guest"),
    JUNK("true"),
    JUNK("false"),
    JUNK("0"),
    JUNK("-1"),
    JUNK("-"),
    JUNK("--"),
    JUNK("{}"),
    JUNK("[]"),
    JUNK("[object object]"),
    JUNK("00000000-0000-0000-0000-000000000000"),
};
const size_t tagd_n_junk_subjects = sizeof(tagd_junk_subjects) / sizeof(tagd_junk_subjects[0]);

static void refuse(struct tagd_event *event, enum tagd_event_code code, char room[TAGD_EVENT_REASON_MAX],
                   const char *fmt, va_list args) __attribute__((format(printf, 4, 0)));
static void refuse(struct tagd_event *event, enum tagd_event_code code, char room[TAGD_EVENT_REASON_MAX],
                   const char *fmt, va_list args)
{
    int n = vsnprintf(room, TAGD_EVENT_REASON_MAX, fmt, args);

    if (n >= TAGD_EVENT_REASON_MAX)
        room[tagd_utf8_cut(room, TAGD_EVENT_REASON_MAX - 1)] = '\0';
    for (char *p = room; *p; p++) /* a header's value, and a line of a log */
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
    event->code = code;
    event->reason = room;
}

bool tagd_event_refuse(struct tagd_event *event, enum tagd_event_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    refuse(event, code, tagd_arena_alloc(event->arena, TAGD_EVENT_REASON_MAX), fmt, args);
    va_end(args);
    return false;
}

static uint64_t length_bit(size_t n)
{
    return UINT64_C(1) << n % 64;
}

struct tagd_junk tagd_junk_of(const struct tagd_str *subjects, size_t n)
{
    struct tagd_junk junk = {subjects, n, 0};

    for (size_t i = 0; i < n; i++)
        junk.lengths |= length_bit(subjects[i].n);
    return junk;
}

static bool is_junk(const struct tagd_junk *junk, struct tagd_str subject)
{
    if (!(junk->lengths & length_bit(subject.n)))
        return false;
    for (size_t i = 0; i < junk->n; i++) {
        struct tagd_str known = junk->subjects[i];

        if (known.n != subject.n)
            continue;
        if (known.n == 0 || (((known.p[0] ^ subject.p[0]) & ~0x20) == 0 && /* the first letters may be the same */
                             strncasecmp(known.p, subject.p, known.n) == 0))
            return true;
    }
    return false;
}

/* Eight of U+0020 to U+007E. A borrow or carry comes only from a byte that isn't one. */
static bool all_printable(uint64_t eight)
{
    return (((eight - TAGD_EACH_BYTE(0x20)) | (eight + TAGD_EACH_BYTE(1)) | eight) & TAGD_EACH_BYTE(0x80)) == 0;
}

/* Unicode's Cc: U+0000 to U+001F, U+007F to U+009F. */
static bool has_control(struct tagd_str s)
{
    size_t i = 0;

    while (s.n - i >= 8 && all_printable(tagd_load8(s.p + i)))
        i += 8;
    for (; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < 0x20 || c == 0x7F || (c == 0xC2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xA0))
            return true;
    }
    return false;
}

/* ---- time ---- */

enum clock { CLOCK_RIGHT, CLOCK_INVALID, CLOCK_PAST, CLOCK_FUTURE };

static enum clock check_range(const struct tagd_event_rules *rules, const struct tagd_record *record, int64_t wall_ms,
                              int64_t time_ms)
{
    int64_t now = record->log_append_time && record->timestamp_ms >= 0 ? record->timestamp_ms : wall_ms;

    if (time_ms < rules->past_ms)
        return CLOCK_PAST;
    if (rules->future_ms >= 0 && time_ms - rules->future_ms > now)
        return CLOCK_FUTURE;
    return CLOCK_RIGHT;
}

/* Sets time_ms and has_time; of a time that can't be read both stay 0. */
static enum clock read_time(const struct tagd_event_rules *rules, const struct tagd_record *record, int64_t wall_ms,
                            const struct tagd_envelope *envelope, struct tagd_event *event)
{
    const struct tagd_attribute *time = &envelope->attrs[TAGD_ATTR_TIME];
    enum clock clock;
    int64_t time_ms;

    if (envelope->not_object || time->state == TAGD_NOT_TEXT)
        return CLOCK_INVALID;
    if (time->state == TAGD_INSTANT) {
        time_ms = time->ms;
    } else if (time->state == TAGD_TEXT) {
        if (!tagd_time_parse(time->text, &time_ms))
            return CLOCK_INVALID;
    } else {
        if (rules->time_required || record->timestamp_ms < 0 || record->timestamp_ms > TAGD_TIME_MAX)
            return CLOCK_INVALID;
        time_ms = record->timestamp_ms;
    }
    clock = check_range(rules, record, wall_ms, time_ms);
    event->time_ms = time_ms;
    event->has_time = clock == CLOCK_RIGHT;
    return clock;
}

static bool refuse_time(const struct tagd_event_rules *rules, const struct tagd_envelope *envelope,
                        struct tagd_event *event)
{
    const struct tagd_attribute *time = &envelope->attrs[TAGD_ATTR_TIME];
    const char *called = tagd_attribute_called(envelope, TAGD_ATTR_TIME);
    enum tagd_time_form form = envelope->map ? envelope->map->attributes[TAGD_MAP_TIME].form : TAGD_RFC3339;

    if (time->state == TAGD_NOT_TEXT)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected %s, found %s", called,
                                 form == TAGD_RFC3339 ? "a string" : tagd_time_form_expected(form), time->kind);
    if (time->state == TAGD_TEXT)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected %s, found \"%.*s\"", called,
                                 tagd_time_form_expected(form),
                                 (int)tagd_utf8_cut(time->text.p, time->text.n < 40 ? time->text.n : 40), time->text.p);
    if (rules->time_required)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: missing", called);
    return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: missing, and the record has no timestamp to stand for it",
                             called);
}

static bool check_clock(const struct tagd_event_rules *rules, const struct tagd_record *record,
                        const struct tagd_envelope *envelope, enum clock clock, struct tagd_event *event)
{
    const char *called;
    char at[TAGD_TIME_TEXT], limit[TAGD_TIME_TEXT];

    if (clock == CLOCK_RIGHT)
        return true;
    called = tagd_attribute_called(envelope, TAGD_ATTR_TIME);
    tagd_time_format(event->time_ms, at);
    if (clock == CLOCK_PAST) {
        tagd_time_format(rules->past_ms, limit);
        return tagd_event_refuse(event, TAGD_EVENT_PAST, "%s: %s is before the earliest allowed, %s", called, at,
                                 limit);
    }
    return tagd_event_refuse(event, TAGD_EVENT_FUTURE, "%s: %s is over %lld ms ahead of the %s", called, at,
                             (long long)rules->future_ms,
                             record->log_append_time && record->timestamp_ms >= 0 ? "record's append time" : "clock");
}

/* ---- attributes ---- */

static bool refuse_text(const struct tagd_envelope *envelope, enum tagd_attribute_name name, size_t max,
                        struct tagd_event *event)
{
    const struct tagd_attribute *attr = &envelope->attrs[name];
    const char *called = tagd_attribute_called(envelope, name);

    if (attr->state == TAGD_ABSENT)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: missing", called);
    if (attr->state == TAGD_NOT_TEXT)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected %s, found %s", called,
                                 envelope->map ? "a string or a whole number" : "a string", attr->kind);
    if (attr->text.n == 0)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected 1 to %zu bytes, found an empty string",
                                 called, max);
    return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected at most %zu bytes, found %zu", called, max,
                             attr->text.n);
}

/* True if the attribute is text of 1 to `max` bytes. */
static inline bool check_text(const struct tagd_envelope *envelope, enum tagd_attribute_name name, size_t max,
                              struct tagd_event *event)
{
    const struct tagd_attribute *attr = &envelope->attrs[name];

    return (attr->state == TAGD_TEXT && attr->text.n > 0 && attr->text.n <= max) ||
           refuse_text(envelope, name, max, event);
}

static bool check_attributes(const struct tagd_event_rules *rules, const struct tagd_envelope *envelope,
                             enum clock clock, struct tagd_event *event)
{
    const struct tagd_attribute *version = &envelope->attrs[TAGD_ATTR_SPECVERSION];

    if (envelope->not_object)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "value: expected an object, found %s",
                                 envelope->not_object);
    if (!envelope->map && !check_text(envelope, TAGD_ATTR_SPECVERSION, 16, event))
        return false;
    if (!envelope->map && !tagd_str_eq(version->text, TAGD_STR("1.0")))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "specversion: expected \"1.0\", found \"%.*s\"",
                                 (int)version->text.n, version->text.p);
    if (!check_text(envelope, TAGD_ATTR_ID, TAGD_ATTRIBUTE_MAX, event) ||
        !check_text(envelope, TAGD_ATTR_SOURCE, TAGD_ATTRIBUTE_MAX, event) ||
        !check_text(envelope, TAGD_ATTR_TYPE, TAGD_ATTRIBUTE_MAX, event) ||
        !check_text(envelope, TAGD_ATTR_SUBJECT, TAGD_SUBJECT_MAX, event))
        return false;
    if (has_control(event->subject))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: a control character",
                                 tagd_attribute_called(envelope, TAGD_ATTR_SUBJECT));
    return clock != CLOCK_INVALID || refuse_time(rules, envelope, event);
}

/* ---- routing ---- */

static const char *const partitioner_names[] = {[TAGD_MURMUR2] = "murmur2", [TAGD_CRC32] = "crc32"};

static uint32_t partition_of(enum tagd_partitioner partitioner, struct tagd_str subject, int32_t partitions)
{
    return (partitioner == TAGD_MURMUR2 ? tagd_murmur2(subject) : tagd_crc32(subject)) % (uint32_t)partitions;
}

static bool check_route(const struct tagd_event_rules *rules, const struct tagd_record *record,
                        const struct tagd_envelope *envelope, struct tagd_event *event)
{
    enum tagd_partitioner other = rules->partitioner == TAGD_MURMUR2 ? TAGD_CRC32 : TAGD_MURMUR2;
    bool other_fits, other_key;
    uint32_t right;

    if (rules->partitioner == TAGD_NO_PARTITIONER || rules->partitions <= 0)
        return true;
    right = partition_of(rules->partitioner, event->subject, rules->partitions);
    if (right == (uint32_t)record->partition)
        return true;
    other_fits = partition_of(other, event->subject, rules->partitions) == (uint32_t)record->partition;
    other_key = record->has_key && !tagd_str_eq(record->key, event->subject);
    return tagd_event_refuse(event, TAGD_EVENT_MISROUTED,
                             "%s: %s puts it in partition %u of %d, the record is in %d; %s%s would fit%s",
                             tagd_attribute_called(envelope, TAGD_ATTR_SUBJECT), partitioner_names[rules->partitioner],
                             right, (int)rules->partitions, (int)record->partition, other_fits ? "" : "neither it nor ",
                             partitioner_names[other], other_key ? "; the record's key is not the subject" : "");
}

/* ---- the record ---- */

/* Reserved types that this version does. */
static const struct {
    struct tagd_str name;
    int32_t type;
} done_types[] = {
    {{"profile.updated", 15}, TAGD_TYPE_PROFILE_UPDATED},
    {{"tag.assigned", 12}, TAGD_TYPE_TAG_ASSIGNED},
    {{"tag.cleared", 11}, TAGD_TYPE_TAG_CLEARED},
    {{"tag.reviewed", 12}, TAGD_TYPE_TAG_REVIEWED},
};

static void take_views(const struct tagd_event_rules *rules, const struct tagd_envelope *envelope,
                       struct tagd_event *event)
{
    event->id = envelope->attrs[TAGD_ATTR_ID].text;
    event->source = envelope->attrs[TAGD_ATTR_SOURCE].text;
    event->subject = envelope->attrs[TAGD_ATTR_SUBJECT].text;
    event->type_name = envelope->attrs[TAGD_ATTR_TYPE].text;
    if (event->type_name.n)
        event->type = tagd_catalog_type_find(rules->catalog, event->type_name);
    if (tagd_catalog_dedupe_ms(rules->catalog, event->type) > 0)
        event->dedupe = tagd_hash_pair(event->source, event->id);
    for (size_t i = 0; event->type < 0 && i < sizeof(done_types) / sizeof(*done_types); i++) {
        if (tagd_str_eq(event->type_name, done_types[i].name))
            event->type = done_types[i].type;
    }
}

static void clear(struct tagd_event *event, struct tagd_arena *arena)
{
    event->code = TAGD_EVENT_OK;
    event->reason = "";
    event->has_time = false;
    event->time_ms = 0;
    event->type = TAGD_TYPE_UNDECLARED;
    event->id = event->source = event->subject = event->type_name = (struct tagd_str){"", 0};
    event->dedupe = (struct tagd_hash128){0, 0};
    event->fields = NULL;
    event->updates = NULL;
    event->n_undeclared = 0;
    event->verdict = (struct tagd_verdict){.dimension = -1, .tag = -1};
    event->arena = arena;
}

static void condemn(struct tagd_event *event, char room[TAGD_EVENT_REASON_MAX], const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void condemn(struct tagd_event *event, char room[TAGD_EVENT_REASON_MAX], const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    refuse(event, TAGD_EVENT_POISON, room, fmt, args);
    va_end(args);
}

void tagd_event_condemn(const char *reason, char room[TAGD_EVENT_REASON_MAX], struct tagd_event *event)
{
    clear(event, NULL);
    condemn(event, room, "%s", reason);
}

void tagd_event_decode(const struct tagd_event_rules *rules, const struct tagd_record *record, int64_t wall_ms,
                       struct tagd_arena *arena, struct tagd_event *event)
{
    struct tagd_envelope envelope;
    enum clock clock;

    clear(event, arena);
    if (record->value.n > rules->max_bytes) {
        tagd_event_refuse(event, TAGD_EVENT_TOO_LARGE, "value: %zu bytes, over the limit of %zu", record->value.n,
                          rules->max_bytes);
        return;
    }
    if (!(rules->map ? tagd_map_read(rules->map, record, arena, &envelope, event)
                     : tagd_envelope_read(record, arena, &envelope, event)))
        return;
    take_views(rules, &envelope, event);
    clock = read_time(rules, record, wall_ms, &envelope, event);
    if (envelope.attrs[TAGD_ATTR_SUBJECT].state == TAGD_TEXT && is_junk(&rules->junk, event->subject)) {
        tagd_event_refuse(event, TAGD_EVENT_JUNK_SUBJECT, "%s: \"%.*s\" stands for no customer",
                          tagd_attribute_called(&envelope, TAGD_ATTR_SUBJECT), (int)event->subject.n, event->subject.p);
        return;
    }
    if (!check_attributes(rules, &envelope, clock, event))
        return;
    if (event->type >= 0 && !tagd_fields_read(rules->catalog, &envelope, arena, event))
        return;
    if (event->type == TAGD_TYPE_PROFILE_UPDATED && !tagd_updates_read(rules->catalog, &envelope, arena, event))
        return;
    if (event->type <= TAGD_TYPE_TAG_ASSIGNED && !tagd_verdict_read(rules->catalog, &envelope, arena, event))
        return;
    if (!check_clock(rules, record, &envelope, clock, event) || !check_route(rules, record, &envelope, event))
        return;
    if (event->type == TAGD_TYPE_UNDECLARED && tagd_catalog_type_reserved(event->type_name))
        tagd_event_refuse(event, TAGD_EVENT_UNSUPPORTED, "type: %.*s is reserved and not yet done by this version",
                          (int)event->type_name.n, event->type_name.p);
}
