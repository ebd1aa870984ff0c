/* event: the bytes of one Kafka record -> struct tagd_event, checked against the catalog's fields.
 * Never does I/O, never reads a clock: what it needs of the world is in struct tagd_record and tagd_event_rules. */
#ifndef TAGD_EVENT_H
#define TAGD_EVENT_H

#include "tagd/base.h"

struct tagd_catalog;

#define TAGD_EVENT_DEPTH_MAX 64            /* levels of nesting in a record's JSON; deeper is malformed */
#define TAGD_EVENT_BYTES_MAX (1024 * 1024) /* default of max_bytes */
#define TAGD_STRING_MAX 1024               /* bytes of a declared string field; longer is invalid */
#define TAGD_ATTRIBUTE_MAX 1024            /* bytes of id, source, type */
#define TAGD_SUBJECT_MAX 128

/* Why a record can't be used; names and order are those of the dead-letter topic. */
enum tagd_event_code {
    TAGD_EVENT_OK = 0,
    TAGD_EVENT_TOO_LARGE,
    TAGD_EVENT_MALFORMED,
    TAGD_EVENT_JUNK_SUBJECT,
    TAGD_EVENT_INVALID,
    TAGD_EVENT_PAST,
    TAGD_EVENT_FUTURE,
    TAGD_EVENT_MISROUTED,
    TAGD_EVENT_UNSUPPORTED,
    TAGD_EVENT_POISON,
    TAGD_EVENT_CODES
};
const char *tagd_event_code_name(enum tagd_event_code code); /* "too_large", ... */

enum tagd_field_type { TAGD_DECIMAL, TAGD_STRING, TAGD_BOOLEAN, TAGD_TIME, TAGD_DATE };

/* A field's value. present is false if the event lacks it or it is JSON null. */
struct tagd_value {
    bool present;
    int64_t i;         /* decimal (4 places), boolean 0/1, time (ms), date (days) */
    struct tagd_str s; /* string */
};

struct tagd_header {
    struct tagd_str name, value; /* value.p NULL: the header has no value, which is not an empty one */
};

/* One record as Kafka gave it; all views belong to the caller and must live as long as the event. */
struct tagd_record {
    struct tagd_str key, value;
    bool has_key, has_value;
    const struct tagd_header *headers;
    size_t n_headers;
    bool headers_unread;  /* they are there and not in `headers`: nothing of what the event is depends on them */
    int64_t timestamp_ms; /* record timestamp; -1: none */
    bool log_append_time; /* the topic stamps on append */
    uint32_t topic;       /* index in the configuration's sources */
    int32_t partition;    /* the shard */
    int64_t offset;
};

/* ---- the map of a topic in another JSON shape: where each attribute and each field of data is ---- */

#define TAGD_MAP_FIELDS_MAX 256 /* fields of data in one map */

enum tagd_map_kind {
    TAGD_MAP_NONE, /* not given: there is no data; the time is the record's timestamp */
    TAGD_MAP_AT,   /* at a pointer into the value */
    TAGD_MAP_TEXT, /* constants */
    TAGD_MAP_NUMBER,
    TAGD_MAP_BOOLEAN,
    TAGD_MAP_KEY,    /* an attribute: the record's key */
    TAGD_MAP_OFFSET, /* id: TOPIC/PARTITION/OFFSET */
    TAGD_MAP_FIELDS  /* data, or a field of it: an object put together from fields */
};
enum tagd_time_form { TAGD_RFC3339, TAGD_EPOCH_S, TAGD_EPOCH_MS };

struct tagd_map_rule {
    enum tagd_map_kind kind;
    enum tagd_time_form form; /* AT, of a time; other values are taken as they are */
    struct tagd_pointer at;
    struct tagd_str text; /* TEXT: the constant; OFFSET: the topic; NUL-terminated */
    double number;        /* NUMBER; BOOLEAN: 0 or 1 */
    const struct tagd_map_field *fields;
    size_t n_fields;
    const char *called; /* in messages, with its place: "subject (/member)" */
};
struct tagd_map_field {
    struct tagd_str name; /* NUL-terminated */
    struct tagd_map_rule rule;
};

enum tagd_map_attribute {
    TAGD_MAP_ID,
    TAGD_MAP_SOURCE,
    TAGD_MAP_TYPE,
    TAGD_MAP_SUBJECT,
    TAGD_MAP_TIME,
    TAGD_MAP_ATTRIBUTES
};
struct tagd_map {
    struct tagd_map_rule attributes[TAGD_MAP_ATTRIBUTES]; /* all but TIME are given */
    struct tagd_map_rule data;                            /* NONE, AT (an object) or FIELDS */
};

/* Whether the map of `topic` can feed the catalog: every field it gives is declared by a type it may have, of a type
 * its constant or time form fits. False: *error says what doesn't, and what to do. */
bool tagd_map_check(const struct tagd_map *map, const struct tagd_catalog *catalog, const char *topic,
                    struct tagd_error *error);

enum tagd_partitioner { TAGD_MURMUR2, TAGD_CRC32, TAGD_NO_PARTITIONER };

/* Subjects that stand for no customer, compared ASCII case-insensitively. The list isn't copied. */
struct tagd_junk {
    const struct tagd_str *subjects;
    size_t n;
    uint64_t lengths; /* that they have, modulo 64, as bits */
};
struct tagd_junk tagd_junk_of(const struct tagd_str *subjects, size_t n);

struct tagd_event_rules {
    const struct tagd_catalog *catalog;
    const struct tagd_map *map; /* NULL: CloudEvents */
    size_t max_bytes;           /* too_large above it */
    int64_t past_ms;            /* earliest time */
    int64_t future_ms;          /* how far ahead is allowed; < 0: not checked (time: events) */
    enum tagd_partitioner partitioner;
    int32_t partitions; /* 0: not checked */
    bool time_required; /* simulate: an event without `time` is invalid */
    struct tagd_junk junk;
};
extern const struct tagd_str tagd_junk_subjects[]; /* the default list */
extern const size_t tagd_n_junk_subjects;

#define TAGD_TYPE_UNDECLARED (-1)      /* the catalog does not declare it: ignored */
#define TAGD_TYPE_PROFILE_UPDATED (-2) /* reserved: attributes of the customer; */
#define TAGD_TYPE_TAG_ASSIGNED (-3)    /* a person gives a tag, */
#define TAGD_TYPE_TAG_CLEARED (-4)     /* takes it back, */
#define TAGD_TYPE_TAG_REVIEWED (-5)    /* or decides about a proposal */

struct tagd_update { /* of an attribute */
    bool given;
    struct tagd_value value; /* not present: it is removed */
};

struct tagd_verdict {       /* of a person, about a tag */
    int32_t dimension, tag; /* ASSIGNED; CLEARED: dimension alone */
    int64_t until_ms;       /* ASSIGNED: up to when, exclusive; TAGD_NEVER: until it is cleared */
    uint64_t proposal;      /* REVIEWED: its revision */
    bool approved;          /* REVIEWED */
    struct tagd_str by, reason;
};

#define TAGD_EVENT_REASON_MAX 256 /* bytes of a reason, with its end; a longer one is cut at a character's border */

/* What each event is looked at for comes first: a batch's events are not in the processor's cache any more when it is
 * applied. */
struct tagd_event {
    enum tagd_event_code code;
    int32_t type; /* index in the catalog's events, or one of the TAGD_TYPEs */
    int64_t time_ms;
    struct tagd_str subject;
    struct tagd_value
        *fields; /* the type's declared fields in the catalog's order of names; n = catalog's count for type */
    struct tagd_update *updates; /* PROFILE_UPDATED: by the catalog's attributes */
    uint32_t n_undeclared;       /* PROFILE_UPDATED: attributes that the catalog does not declare: ignored */
    bool has_time;               /* the time was read and is neither past nor future: moves the shard's time */
    struct tagd_hash128 dedupe;  /* of (source, id), if the type has `dedupe` */
    struct tagd_str id, source, type_name;
    struct tagd_verdict verdict; /* TAG_ASSIGNED, TAG_CLEARED, TAG_REVIEWED */
    const char *reason;          /* a sentence with the place, if code is not OK; else "" */
    struct tagd_arena *arena;    /* where a reason is put */
};

/* Decodes and checks one record: all memory it needs comes from arena, where the event's views may also point.
 * wall_ms: the clock, used for `future` where the topic doesn't stamp on append. Never fails: what can't be used has a
 * code. Codes are tried in the order of the enum; a record of an undeclared type that is otherwise sound has code OK
 * and type TAGD_TYPE_UNDECLARED. */
void tagd_event_decode(const struct tagd_event_rules *rules, const struct tagd_record *record, int64_t wall_ms,
                       struct tagd_arena *arena, struct tagd_event *event);
/* The event of a record that must not be decoded: code POISON with this reason, and nothing else is known, no time
 * either. The reason is copied to room, which must live as long as the event. */
void tagd_event_condemn(const char *reason, char room[TAGD_EVENT_REASON_MAX], struct tagd_event *event);

#endif
