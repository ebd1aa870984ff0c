/* What a person says about a tag: tag.assigned, tag.cleared, tag.reviewed. */
#include "event/event.h"

#include "base/text.h"
#include "tagd/catalog.h"

#include <string.h>

#define PROPOSAL_ID "proposal:"

/* The text under `name` of data, of 1 to TAGD_STRING_MAX bytes. */
static bool read_text(const cJSON *data, const char *name, struct tagd_str *text, struct tagd_event *event)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(data, name);
    if (!cJSON_IsString(member))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data/%s: expected a string, found %s", name,
                                 member ? tagd_json_kind(member) : "nothing");
    *text = tagd_str_of(member->valuestring);
    if (text->n == 0 || text->n > TAGD_STRING_MAX)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data/%s: expected 1 to %d bytes, found %zu", name,
                                 TAGD_STRING_MAX, text->n);
    return true;
}

static int shown(struct tagd_str text)
{
    return (int)tagd_utf8_cut(text.p, text.n < 60 ? text.n : 60);
}

static bool read_dimension(const struct tagd_catalog *catalog, const cJSON *data, struct tagd_event *event)
{
    struct tagd_verdict *verdict = &event->verdict;
    struct tagd_str dimension, tag;
    if (!read_text(data, "dimension", &dimension, event))
        return false;
    verdict->dimension = tagd_catalog_dimension_find(catalog, dimension);
    if (event->type == TAGD_TYPE_TAG_CLEARED && verdict->dimension >= 0)
        return true;
    if (event->type == TAGD_TYPE_TAG_ASSIGNED) {
        if (!read_text(data, "tag", &tag, event))
            return false;
        if (tagd_catalog_tag_find(catalog, dimension, tag, &verdict->dimension, &verdict->tag))
            return true;
    }
    if (verdict->dimension < 0)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID,
                                 "data/dimension: the catalog has no dimension \"%.*s\", nor an alias of that name",
                                 shown(dimension), dimension.p);
    if (tagd_catalog_is_value(catalog, (size_t)verdict->dimension))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID,
                                 "data/dimension: the tag of \"%.*s\" is drawn from the data: it can't be assigned",
                                 shown(dimension), dimension.p);
    return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data/tag: dimension \"%.*s\" has no tag \"%.*s\"",
                             shown(dimension), dimension.p, shown(tag), tag.p);
}

/* Absent or null: until it is cleared. */
static bool read_until(const cJSON *data, struct tagd_event *event)
{
    const cJSON *until = cJSON_GetObjectItemCaseSensitive(data, "until");
    event->verdict.until_ms = TAGD_NEVER;
    if (!until || cJSON_IsNull(until))
        return true;
    if (cJSON_IsString(until) && tagd_time_parse(tagd_str_of(until->valuestring), &event->verdict.until_ms))
        return true;
    return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data/until: expected a time as RFC 3339 writes it, found %s",
                             cJSON_IsString(until) ? "another string" : tagd_json_kind(until));
}

/* proposal:<subject>:<revision> */
static bool read_proposal(const cJSON *data, struct tagd_event *event)
{
    struct tagd_str id, subject = event->subject;
    const size_t prefix = sizeof(PROPOSAL_ID) - 1;
    uint64_t revision = 0;
    if (!read_text(data, "proposal", &id, event))
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
                                     "data/proposal: expected the id of a proposal of this customer, as " PROPOSAL_ID
                                     "%.*s:1, found \"%.*s\"",
                                     shown(subject), subject.p, shown(id), id.p);
}

static bool read_decision(const cJSON *data, struct tagd_event *event)
{
    struct tagd_str decision;
    if (!read_text(data, "decision", &decision, event))
        return false;
    event->verdict.approved = tagd_str_eq(decision, TAGD_STR("approved"));
    return event->verdict.approved || tagd_str_eq(decision, TAGD_STR("rejected")) ||
           tagd_event_refuse(event, TAGD_EVENT_INVALID,
                             "data/decision: expected \"approved\" or \"rejected\", found \"%.*s\"", shown(decision),
                             decision.p);
}

bool tagd_verdict_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                       struct tagd_event *event)
{
    const cJSON *data = envelope->data;
    if (envelope->no_data)
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: %s", envelope->no_data);
    if (!cJSON_IsObject(data))
        return tagd_event_refuse(event, TAGD_EVENT_INVALID, "data: expected an object, found %s",
                                 data ? tagd_json_kind(data) : "nothing");
    if (event->type == TAGD_TYPE_TAG_REVIEWED)
        return read_proposal(data, event) && read_decision(data, event) &&
               read_text(data, "by", &event->verdict.by, event);
    if (!read_dimension(catalog, data, event) || !read_text(data, "by", &event->verdict.by, event))
        return false;
    return event->type == TAGD_TYPE_TAG_CLEARED ||
           (read_text(data, "reason", &event->verdict.reason, event) && read_until(data, event));
}
