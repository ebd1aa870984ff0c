/* What a person says about a tag: tag.assigned, tag.cleared, tag.reviewed. */
#include "event/event.h"

#include "base/text.h"
#include "tagd/catalog.h"

#include <string.h>

#define PROPOSAL_ID "proposal:"

/* Where it is read from, and into which event. */
struct source {
    const struct tagd_catalog *catalog;
    const struct tagd_envelope *envelope;
    struct tagd_arena *arena;
    struct tagd_event *event;
};

/* For messages: "data/by", with its place in the record if a map says where it is. */
static const char *called(const struct source *from, const char *name)
{
    const struct tagd_map *map = from->envelope->map;
    const struct tagd_map_rule *own = tagd_map_field_rule(map ? &map->data : NULL, tagd_str_of(name));
    if (own)
        return tagd_arena_printf(from->arena, "data/%s", own->called);
    if (map && map->data.kind == TAGD_MAP_AT)
        return tagd_arena_printf(from->arena, "data/%s (%s/%s)", name, map->data.at.text.p, name);
    return tagd_arena_printf(from->arena, "data/%s", name);
}

/* The text under `name` of data, of 1 to TAGD_STRING_MAX bytes; by a map a whole number is its decimal text. */
static bool read_text(const struct source *from, const char *name, struct tagd_str *text)
{
    const struct tagd_json *member = tagd_json_member(from->envelope->data, tagd_str_of(name));
    const char *found = tagd_json_what(member);
    if (tagd_json_is(member, TAGD_JSON_STRING)) {
        *text = member->text;
        found = NULL;
    } else if (from->envelope->map && tagd_json_is(member, TAGD_JSON_NUMBER)) {
        found = tagd_number_text(tagd_double_parse(member->text), from->arena, text);
    }
    if (found)
        return tagd_event_refuse(from->event, TAGD_EVENT_INVALID, "%s: expected a string, found %s", called(from, name),
                                 found);
    if (text->n == 0 || text->n > TAGD_STRING_MAX)
        return tagd_event_refuse(from->event, TAGD_EVENT_INVALID, "%s: expected 1 to %d bytes, found %zu",
                                 called(from, name), TAGD_STRING_MAX, text->n);
    return true;
}

static int shown(struct tagd_str text)
{
    return (int)tagd_utf8_cut(text.p, text.n < 60 ? text.n : 60);
}

static bool read_dimension(const struct source *from)
{
    struct tagd_event *event = from->event;
    struct tagd_verdict *verdict = &event->verdict;
    struct tagd_str dimension, tag;
    if (!read_text(from, "dimension", &dimension))
        return false;
    verdict->dimension = tagd_catalog_dimension_find(from->catalog, dimension);
    if (event->type == TAGD_TYPE_TAG_CLEARED && verdict->dimension >= 0)
        return true;
    if (event->type == TAGD_TYPE_TAG_ASSIGNED) {
        if (!read_text(from, "tag", &tag))
            return false;
        int32_t found;
        if (tagd_catalog_tag_find(from->catalog, dimension, tag, &found, &verdict->tag)) {
            verdict->dimension = found;
            return true;
        }
    }
    if (verdict->dimension < 0)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID,
                                 "%s: the catalog has no dimension \"%.*s\", nor an alias of that name",
                                 called(from, "dimension"), shown(dimension), dimension.p);
    if (tagd_catalog_is_value(from->catalog, (size_t)verdict->dimension))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID,
                                 "%s: the tag of \"%.*s\" is drawn from the data: it can't be assigned",
                                 called(from, "dimension"), shown(dimension), dimension.p);
    return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: dimension \"%.*s\" has no tag \"%.*s\"",
                             called(from, "tag"), shown(dimension), dimension.p, shown(tag), tag.p);
}

/* Absent or null: until it is cleared. */
static bool read_until(const struct source *from)
{
    const struct tagd_json *until = tagd_json_member(from->envelope->data, TAGD_STR("until"));
    const struct tagd_map *map = from->envelope->map;
    const struct tagd_map_rule *own = tagd_map_field_rule(map ? &map->data : NULL, TAGD_STR("until"));
    int64_t *ms = &from->event->verdict.until_ms;
    *ms = TAGD_NEVER;
    if (!until || until->type == TAGD_JSON_NULL ||
        (until->type == TAGD_JSON_STRING && tagd_time_parse(until->text, ms)))
        return true;
    return tagd_event_refuse(from->event, TAGD_EVENT_INVALID, "%s: expected %s, found %s", called(from, "until"),
                             tagd_time_form_expected(own ? own->form : TAGD_RFC3339),
                             until->type == TAGD_JSON_STRING ? "another string" : tagd_json_what(until));
}

/* proposal:<subject>:<revision> */
static bool read_proposal(const struct source *from)
{
    struct tagd_event *event = from->event;
    struct tagd_str id, subject = event->subject;
    const size_t prefix = sizeof(PROPOSAL_ID) - 1;
    uint64_t revision = 0;
    if (!read_text(from, "proposal", &id))
        return false;
    size_t digits = prefix + subject.n + 1, n = id.n > digits ? id.n - digits : 0;
    bool fits = n > 0 && n <= 15 && memcmp(id.p, PROPOSAL_ID, prefix) == 0 &&
                memcmp(id.p + prefix, subject.p, subject.n) == 0 && id.p[digits - 1] == ':' && id.p[digits] != '0';
    for (size_t i = digits; fits && i < id.n; i++) {
        fits = id.p[i] >= '0' && id.p[i] <= '9';
        revision = revision * 10 + (uint64_t)(id.p[i] - '0');
    }
    event->verdict.proposal = revision;
    return fits || tagd_event_refuse(event, TAGD_EVENT_INVALID,
                                     "%s: expected the id of a proposal of this customer, as " PROPOSAL_ID
                                     "%.*s:1, found \"%.*s\"",
                                     called(from, "proposal"), shown(subject), subject.p, shown(id), id.p);
}

static bool read_decision(const struct source *from)
{
    struct tagd_event *event = from->event;
    struct tagd_str decision;
    if (!read_text(from, "decision", &decision))
        return false;
    event->verdict.approved = tagd_str_eq(decision, TAGD_STR("approved"));
    return event->verdict.approved || tagd_str_eq(decision, TAGD_STR("rejected")) ||
           tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected \"approved\" or \"rejected\", found \"%.*s\"",
                             called(from, "decision"), shown(decision), decision.p);
}

bool tagd_verdict_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                       struct tagd_arena *arena, struct tagd_event *event)
{
    const struct source from = {catalog, envelope, arena, event};
    const struct tagd_json *data = envelope->data;
    if (envelope->no_data)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: %s", envelope->no_data);
    if (!tagd_json_is(data, TAGD_JSON_OBJECT))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "%s: expected an object, found %s",
                                 envelope->map ? envelope->map->data.called : "data", tagd_json_what(data));
    if (event->type == TAGD_TYPE_TAG_REVIEWED)
        return read_proposal(&from) && read_decision(&from) && read_text(&from, "by", &event->verdict.by);
    if (!read_dimension(&from) || !read_text(&from, "by", &event->verdict.by))
        return false;
    return event->type == TAGD_TYPE_TAG_CLEARED ||
           (read_text(&from, "reason", &event->verdict.reason) && read_until(&from));
}
