/* The two forms of a CloudEvent in a Kafka record (CloudEvents 1.0, Kafka protocol binding):
 * structured: content-type application/cloudevents+json, or no ce_* header: the value is a JSON object of attributes
 * and `data`; binary: ce_* headers are the attributes, the value is the data, of the type that content-type says, JSON
 * if it is absent. A name given twice counts as its last. JSON null is an absent attribute. */
#include "event/event.h"

#include <string.h>
#include <strings.h>

const struct tagd_str tagd_attribute_names[TAGD_ATTRS] = {
    {"specversion", 11}, {"id", 2}, {"source", 6}, {"type", 4}, {"subject", 7}, {"time", 4},
};

static bool same_word(struct tagd_str a, struct tagd_str b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static bool begins(struct tagd_str s, struct tagd_str with)
{
    return s.n >= with.n && strncasecmp(s.p, with.p, with.n) == 0;
}

static bool ends(struct tagd_str s, struct tagd_str with)
{
    return s.n >= with.n && strncasecmp(s.p + s.n - with.n, with.p, with.n) == 0;
}

static struct tagd_json_fault no_fault(void)
{
    return (struct tagd_json_fault){0, ""};
}

/* "application/json; charset=utf-8" -> "application/json" */
static struct tagd_str media_type(struct tagd_str s)
{
    const char *semicolon = s.n ? memchr(s.p, ';', s.n) : NULL;

    if (semicolon)
        s.n = (size_t)(semicolon - s.p);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    return s;
}

static bool is_json(struct tagd_str media)
{
    return media.n == 0 || same_word(media, TAGD_STR("application/json")) || same_word(media, TAGD_STR("text/json")) ||
           ends(media, TAGD_STR("+json"));
}

static bool read_attribute_header(const struct tagd_header *header, struct tagd_envelope *envelope,
                                  struct tagd_event *event)
{
    struct tagd_str name = {header->name.p + 3, header->name.n - 3};
    for (int i = 0; i < TAGD_ATTRS; i++) {
        if (!same_word(name, tagd_attribute_names[i]))
            continue;
        if (!header->value.p) {
            envelope->attrs[i] = (struct tagd_attribute){TAGD_ABSENT, {"", 0}, "null", 0};
            continue;
        }
        if (!tagd_utf8_valid(header->value.p, header->value.n))
            return tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "header ce_%s: invalid UTF-8",
                                     tagd_attribute_names[i].p);
        if (header->value.n && memchr(header->value.p, '\0', header->value.n))
            return tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "header ce_%s: a NUL byte",
                                     tagd_attribute_names[i].p);
        envelope->attrs[i] = (struct tagd_attribute){TAGD_TEXT, header->value, "a string", 0};
    }
    return true;
}

static bool read_binary(const struct tagd_record *record, struct tagd_str media, struct tagd_arena *arena,
                        struct tagd_envelope *envelope, struct tagd_event *event)
{
    struct tagd_json_fault fault = no_fault();

    for (size_t i = 0; i < record->n_headers; i++)
        if (begins(record->headers[i].name, TAGD_STR("ce_")) &&
            !read_attribute_header(&record->headers[i], envelope, event))
            return false;
    if (record->value.n == 0)
        return true;
    if (!is_json(media)) {
        envelope->no_data = "expected JSON, but content-type says otherwise";
        return true;
    }
    envelope->data = tagd_json_read(tagd_envelope_room(envelope, arena), record->value.p, record->value.n, &fault);
    return envelope->data ||
           tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "value: byte %zu: %s", fault.offset, fault.what);
}

/* The attribute of that name, or TAGD_ATTRS. One by one, so that each is a comparison with a constant. */
static enum tagd_attribute_name attribute_of(struct tagd_str name)
{
    if (tagd_str_eq(name, TAGD_STR("specversion")))
        return TAGD_ATTR_SPECVERSION;
    if (tagd_str_eq(name, TAGD_STR("id")))
        return TAGD_ATTR_ID;
    if (tagd_str_eq(name, TAGD_STR("source")))
        return TAGD_ATTR_SOURCE;
    if (tagd_str_eq(name, TAGD_STR("type")))
        return TAGD_ATTR_TYPE;
    if (tagd_str_eq(name, TAGD_STR("subject")))
        return TAGD_ATTR_SUBJECT;
    if (tagd_str_eq(name, TAGD_STR("time")))
        return TAGD_ATTR_TIME;
    return TAGD_ATTRS;
}

static struct tagd_attribute attribute(const struct tagd_json *member)
{
    switch (member->type) {
    case TAGD_JSON_NULL: return (struct tagd_attribute){TAGD_ABSENT, {"", 0}, "null", 0};
    case TAGD_JSON_STRING: return (struct tagd_attribute){TAGD_TEXT, member->text, "a string", 0};
    default: return (struct tagd_attribute){TAGD_NOT_TEXT, {"", 0}, tagd_json_what(member), 0};
    }
}

static void read_member(const struct tagd_json *member, struct tagd_envelope *envelope)
{
    enum tagd_attribute_name name = attribute_of(member->name);

    if (name < TAGD_ATTRS)
        envelope->attrs[name] = attribute(member);
    else if (tagd_str_eq(member->name, TAGD_STR("data")))
        envelope->data = member;
    else if (tagd_str_eq(member->name, TAGD_STR("data_base64")))
        envelope->no_data = member->type == TAGD_JSON_NULL ? NULL : "expected a JSON object, found data_base64";
}

static bool read_structured(const struct tagd_record *record, struct tagd_arena *arena, struct tagd_envelope *envelope,
                            struct tagd_event *event)
{
    struct tagd_json_fault fault = no_fault();
    const struct tagd_json *root =
        tagd_json_read(tagd_envelope_room(envelope, arena), record->value.p, record->value.n, &fault);

    if (!root)
        return tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "value: byte %zu: %s", fault.offset, fault.what);
    if (root->type != TAGD_JSON_OBJECT) {
        envelope->not_object = tagd_json_what(root);
        return true;
    }
    for (const struct tagd_json *member = root->child; member; member = member->next)
        read_member(member, envelope);
    return true;
}

bool tagd_envelope_read(const struct tagd_record *record, struct tagd_arena *arena, struct tagd_envelope *envelope,
                        struct tagd_event *event)
{
    struct tagd_str media = {"", 0};
    bool binary = false;

    memset(envelope, 0, offsetof(struct tagd_envelope, nodes));
    for (size_t i = 0; i < record->n_headers; i++) {
        const struct tagd_header *header = &record->headers[i];

        if (same_word(header->name, TAGD_STR("content-type")))
            media = media_type(header->value);
        else if (begins(header->name, TAGD_STR("ce_")))
            binary = true;
    }
    if (!record->has_value)
        return tagd_event_refuse(event, TAGD_EVENT_MALFORMED,
                                 "value: the record has none (a tombstone); expected an event");
    if (begins(media, TAGD_STR("application/cloudevents"))) {
        if (!same_word(media, TAGD_STR("application/cloudevents+json")) &&
            !same_word(media, TAGD_STR("application/cloudevents")))
            return tagd_event_refuse(event, TAGD_EVENT_MALFORMED,
                                     "header content-type: expected application/cloudevents+json, one event a record");
        binary = false;
    }
    return binary ? read_binary(record, media, arena, envelope, event)
                  : read_structured(record, arena, envelope, event);
}
