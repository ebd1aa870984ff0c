/* What event's own files share. */
#ifndef TAGD_EVENT_ROOM_H
#define TAGD_EVENT_ROOM_H

#include "base/json.h"
#include "tagd/event.h"

/* Sets code and reason; returns false. */
bool tagd_event_refuse(struct tagd_event *event, enum tagd_event_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* One attribute as the record gave it. */
struct tagd_attribute {
    enum { TAGD_ABSENT, TAGD_TEXT, TAGD_NOT_TEXT, TAGD_INSTANT } state;
    struct tagd_str text;
    const char *kind; /* "a number": what was found, if it is not text */
    int64_t ms;       /* INSTANT: a time that came as a number */
};

enum tagd_attribute_name {
    TAGD_ATTR_SPECVERSION,
    TAGD_ATTR_ID,
    TAGD_ATTR_SOURCE,
    TAGD_ATTR_TYPE,
    TAGD_ATTR_SUBJECT,
    TAGD_ATTR_TIME,
    TAGD_ATTRS
};
extern const struct tagd_str tagd_attribute_names[TAGD_ATTRS];

#define TAGD_ENVELOPE_NODES 32
/* A record taken apart, its parts unchecked. */
struct tagd_envelope {
    struct tagd_attribute attrs[TAGD_ATTRS];
    const struct tagd_json *data; /* NULL: none */
    const char *no_data;          /* why the data can't be read as JSON, or NULL; matters to declared types only */
    const char *not_object;       /* the value is JSON, but this and not an object; or NULL */
    const struct tagd_map *map;   /* the topic's, or NULL */
    struct tagd_json nodes[TAGD_ENVELOPE_NODES];
};
/* Of the record's JSON, as much as it has at first: where the envelope is, so that a usual event leaves nothing behind. */
static inline struct tagd_json_room tagd_envelope_room(struct tagd_envelope *envelope, struct tagd_arena *arena)
{
    return (struct tagd_json_room){envelope->nodes, TAGD_ENVELOPE_NODES, arena};
}

/* Finds the record's form and takes it apart. False: malformed, said in the event. */
bool tagd_envelope_read(const struct tagd_record *record, struct tagd_arena *arena, struct tagd_envelope *envelope,
                        struct tagd_event *event);

/* The same by a map: any JSON value, attributes and data from where the map says. */
bool tagd_map_read(const struct tagd_map *map, const struct tagd_record *record, struct tagd_arena *arena,
                   struct tagd_envelope *envelope, struct tagd_event *event);

/* For messages: the attribute's name, with its place if a map says where it is; what a mapped time looks like; the rule
 * of a field among those that `of` puts together, or NULL. */
const char *tagd_attribute_called(const struct tagd_envelope *envelope, enum tagd_attribute_name name);
const char *tagd_time_form_expected(enum tagd_time_form form);
const struct tagd_map_rule *tagd_map_field_rule(const struct tagd_map_rule *of, struct tagd_str name);

/* A whole number that a double holds exactly, as its decimal text. NULL: it isn't one. */
#define TAGD_EXACT_MAX INT64_C(9007199254740991) /* 2^53 - 1: beyond it two numbers may read as one */
const char *tagd_number_text(double number, struct tagd_arena *arena, struct tagd_str *text);

/* Reads the declared fields of event->type into event->fields. False: invalid, said in the event. */
bool tagd_fields_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                      struct tagd_arena *arena, struct tagd_event *event);

/* Reads the attributes of a profile.updated into event->updates. False: invalid, said in the event. */
bool tagd_updates_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                       struct tagd_arena *arena, struct tagd_event *event);

/* Reads a tag.assigned, tag.cleared or tag.reviewed into event->verdict. False: invalid, said in the event. */
bool tagd_verdict_read(const struct tagd_catalog *catalog, const struct tagd_envelope *envelope,
                       struct tagd_arena *arena, struct tagd_event *event);

#endif
