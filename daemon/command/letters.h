/* letters: what a record of the dead-letter topic is, and which of them an operator means. Pure.
 *
 * A letter is a record that couldn't be used: its own key, value and headers, and from the last header "tagd_error" on those
 * that say why. A marker says that a letter was replayed: it has a header "tagd_replayed" with the letter's place,
 * tagd_topic, tagd_partition and tagd_offset with where the letter's record was read, and no "tagd_error". Markers stand in
 * the partition of their letter, behind it, and are written in one transaction with the replayed record.
 *
 * A letter is known by where its record was read: at least once it may be there again, and is the same letter. */
#ifndef TAGD_COMMAND_LETTERS_H
#define TAGD_COMMAND_LETTERS_H

#include "config/config.h"

#define TAGD_LETTERS_MAX 1000000 /* letters of a group that are looked at at once */

struct tagd_letter_place { /* in the dead-letter topic */
    uint32_t partition;
    int64_t offset;
};
/* "PARTITION:OFFSET". */
bool tagd_letter_place_parse(const char *text, struct tagd_letter_place *place);

enum tagd_letter_kind {
    TAGD_LETTER_FOREIGN, /* of another group, or nothing that tagd wrote */
    TAGD_LETTER_RECORD,  /* a letter */
    TAGD_LETTER_MARKER   /* of one that was replayed */
};
struct tagd_letter_view {  /* of a letter's record: views */
    struct tagd_str topic; /* where it was read: */
    int64_t partition, offset;
    enum tagd_event_code code;
    struct tagd_str reason;
    bool truncated;     /* the copy isn't all of it: */
    int64_t full_bytes; /* of its value */
    size_t n_own;       /* the first so many headers are the record's own */
};
/* A marker has topic, partition and offset alone. */
enum tagd_letter_kind tagd_letter_read(const struct tagd_record *record, const char *group,
                                       struct tagd_letter_view *view);

struct tagd_letter_filter {
    enum tagd_event_code code;  /* TAGD_EVENT_OK: any */
    const char *topic;          /* NULL: any */
    int64_t since_ms, until_ms; /* dead-lettered at or after, and before; INT64_MIN, INT64_MAX: any time */
    const struct tagd_letter_place *places;
    size_t n_places; /* 0: anywhere */
};

struct tagd_letter_entry { /* one letter; text is the arena's of its list */
    struct tagd_letter_place at;
    const char *topic;
    int64_t partition, offset;
    enum tagd_event_code code;
    const char *reason;
    int64_t time_ms; /* when it was dead-lettered */
    size_t value_bytes;
    bool truncated;
    int64_t full_bytes;
    bool replayed; /* there is a marker; */
    bool repeated; /* the same letter stands at an earlier place too: after tagd_letters_settle */
};
struct tagd_letter_list {
    struct tagd_arena arena;
    struct tagd_letter_entry *at; /* by place */
    size_t n, cap;
    struct tagd_letter_entry *marks; /* topic, partition, offset of markers */
    size_t n_marks, cap_marks;
    size_t n_foreign;
};
/* Takes a record of the topic into account, those of a partition in order of offset. False: there are more letters than
 * TAGD_LETTERS_MAX. */
bool tagd_letter_list_add(struct tagd_letter_list *list, const struct tagd_record *record, const char *group);
/* Once all are there: which letters were replayed, and which are repeats. Any order of partitions; entries are by place
 * then. */
void tagd_letter_list_settle(struct tagd_letter_list *list);
const struct tagd_letter_entry *tagd_letter_list_find(const struct tagd_letter_list *list,
                                                      struct tagd_letter_place place);
bool tagd_letter_fits(const struct tagd_letter_filter *filter, const struct tagd_letter_entry *entry);
void tagd_letter_list_free(struct tagd_letter_list *list);

/* False: no such code. */
bool tagd_letter_code_parse(const char *text, enum tagd_event_code *code);

/* What a letter's record is by the rules of now, as it would be read in its partition of its topic, or, if it is in a wrong
 * one, in the right one. */
struct tagd_letter_verdict {
    enum tagd_event_code code; /* TAGD_EVENT_OK: it can be used */
    const char *reason;        /* the arena's */
    uint32_t partition;        /* where it belongs */
    bool stamped;              /* it has no time of its own: the record's timestamp stands for it */
};
/* rules: of its topic, with partitions and partitioner; record: its own headers alone, partition where it was read,
 * timestamp_ms what will stand for its time. */
void tagd_letter_judge(const struct tagd_event_rules *rules, const struct tagd_record *record, int64_t wall_ms,
                       struct tagd_arena *arena, struct tagd_letter_verdict *verdict);

#endif
