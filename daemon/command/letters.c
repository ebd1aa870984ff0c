#include "command/letters.h"

#include <stdlib.h>

/* ---- reading ---- */

static bool read_number(struct tagd_str text, int64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < text.n && text.n <= 18; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *n = *n * 10 + (text.p[i] - '0');
    }
    return text.n > 0 && text.n <= 18;
}

bool tagd_letter_place_parse(const char *text, struct tagd_letter_place *place)
{
    const char *colon = strchr(text, ':');
    int64_t partition;
    if (colon == NULL || !read_number((struct tagd_str){text, (size_t)(colon - text)}, &partition) ||
        partition >= TAGD_SHARDS_MAX || !read_number(tagd_str_of(colon + 1), &place->offset))
        return false;
    place->partition = (uint32_t)partition;
    return true;
}

static bool read_code(struct tagd_str text, enum tagd_event_code *code)
{
    for (*code = TAGD_EVENT_TOO_LARGE; *code < TAGD_EVENT_CODES; (*code)++)
        if (tagd_str_eq(text, tagd_str_of(tagd_event_code_name(*code))))
            return true;
    return false;
}

bool tagd_letter_code_parse(const char *text, enum tagd_event_code *code)
{
    return read_code(tagd_str_of(text), code);
}

/* The last header of that name, from the from-th on; p NULL: none. */
static struct tagd_str header(const struct tagd_record *record, size_t from, const char *name)
{
    for (size_t i = record->n_headers; i-- > from;)
        if (tagd_str_eq(record->headers[i].name, tagd_str_of(name)))
            return record->headers[i].value;
    return (struct tagd_str){NULL, 0};
}

static bool has_header(const struct tagd_record *record, const char *name, size_t *at)
{
    for (*at = record->n_headers; (*at)-- > 0;)
        if (tagd_str_eq(record->headers[*at].name, tagd_str_of(name)))
            return true;
    return false;
}

enum tagd_letter_kind tagd_letter_read(const struct tagd_record *record, const char *group,
                                       struct tagd_letter_view *view)
{
    size_t at;
    *view = (struct tagd_letter_view){0};
    bool letter = has_header(record, "tagd_error", &at);
    if (!letter && !has_header(record, "tagd_replayed", &at))
        return TAGD_LETTER_FOREIGN;
    view->n_own = letter ? at : 0;
    struct tagd_str by = header(record, at, "tagd_group"), full = header(record, at, "tagd_truncated");
    view->topic = header(record, at, "tagd_topic");
    view->reason = header(record, at, "tagd_reason");
    if (by.p == NULL || !tagd_str_eq(by, tagd_str_of(group)) || view->topic.p == NULL ||
        !read_number(header(record, at, "tagd_partition"), &view->partition) ||
        !read_number(header(record, at, "tagd_offset"), &view->offset))
        return TAGD_LETTER_FOREIGN;
    if (!letter)
        return TAGD_LETTER_MARKER;
    view->truncated = full.p != NULL && read_number(full, &view->full_bytes);
    return read_code(header(record, at, "tagd_error"), &view->code) ? TAGD_LETTER_RECORD : TAGD_LETTER_FOREIGN;
}

/* ---- lists ---- */

static struct tagd_letter_entry *append(struct tagd_letter_entry **at, size_t *n, size_t *cap)
{
    if (*n == *cap) {
        *cap = *cap == 0 ? 64 : *cap * 2;
        *at = tagd_xrealloc(*at, *cap * sizeof(**at));
    }
    return &(*at)[(*n)++];
}

bool tagd_letter_list_add(struct tagd_letter_list *list, const struct tagd_record *record, const char *group)
{
    struct tagd_letter_view view;
    enum tagd_letter_kind kind = tagd_letter_read(record, group, &view);
    list->n_foreign += kind == TAGD_LETTER_FOREIGN;
    if (kind == TAGD_LETTER_FOREIGN)
        return true;
    if (kind == TAGD_LETTER_RECORD && list->n == TAGD_LETTERS_MAX)
        return false;
    struct tagd_letter_entry *entry = kind == TAGD_LETTER_RECORD
                                          ? append(&list->at, &list->n, &list->cap)
                                          : append(&list->marks, &list->n_marks, &list->cap_marks);
    *entry = (struct tagd_letter_entry){.at = {(uint32_t)record->partition, record->offset},
                                        .topic = tagd_arena_copy(&list->arena, view.topic.p, view.topic.n).p,
                                        .partition = view.partition,
                                        .offset = view.offset,
                                        .time_ms = record->timestamp_ms,
                                        .value_bytes = record->value.n,
                                        .code = view.code,
                                        .truncated = view.truncated,
                                        .full_bytes = view.full_bytes};
    if (kind == TAGD_LETTER_RECORD)
        entry->reason = tagd_arena_copy(&list->arena, view.reason.p == NULL ? "" : view.reason.p, view.reason.n).p;
    return true;
}

static int by_number(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const void *left, const void *right)
{
    const struct tagd_letter_entry *a = left, *b = right;
    int order = by_number(a->at.partition, b->at.partition);
    return order != 0 ? order : by_number(a->at.offset, b->at.offset);
}

static int by_source(const void *left, const void *right)
{
    const struct tagd_letter_entry *a = left, *b = right;
    int order = strcmp(a->topic, b->topic);
    if (order == 0)
        order = by_number(a->partition, b->partition);
    return order != 0 ? order : by_number(a->offset, b->offset);
}

static int by_source_and_place(const void *left, const void *right)
{
    int order = by_source(left, right);
    return order != 0 ? order : by_place(left, right);
}

void tagd_letter_list_settle(struct tagd_letter_list *list)
{
    if (list->n == 0)
        return;
    if (list->n_marks > 0)
        qsort(list->marks, list->n_marks, sizeof(*list->marks), by_source);
    qsort(list->at, list->n, sizeof(*list->at), by_source_and_place);
    for (size_t i = 0; i < list->n; i++) {
        struct tagd_letter_entry *entry = &list->at[i];
        entry->repeated = i > 0 && by_source(entry, entry - 1) == 0;
        entry->replayed =
            list->n_marks > 0 && bsearch(entry, list->marks, list->n_marks, sizeof(*entry), by_source) != NULL;
    }
    qsort(list->at, list->n, sizeof(*list->at), by_place);
}

const struct tagd_letter_entry *tagd_letter_list_find(const struct tagd_letter_list *list,
                                                      struct tagd_letter_place place)
{
    struct tagd_letter_entry wanted = {.at = place};
    return list->n == 0 ? NULL : bsearch(&wanted, list->at, list->n, sizeof(wanted), by_place);
}

bool tagd_letter_fits(const struct tagd_letter_filter *filter, const struct tagd_letter_entry *entry)
{
    bool there = filter->n_places == 0;
    for (size_t i = 0; i < filter->n_places && !there; i++)
        there = filter->places[i].partition == entry->at.partition && filter->places[i].offset == entry->at.offset;
    return there && (filter->code == TAGD_EVENT_OK || entry->code == filter->code) &&
           (filter->topic == NULL || strcmp(filter->topic, entry->topic) == 0) && entry->time_ms >= filter->since_ms &&
           entry->time_ms < filter->until_ms;
}

void tagd_letter_list_free(struct tagd_letter_list *list)
{
    free(list->at);
    free(list->marks);
    tagd_arena_free(&list->arena);
    *list = (struct tagd_letter_list){0};
}

/* ---- whether it can be used by now ---- */

void tagd_letter_judge(const struct tagd_event_rules *rules, const struct tagd_record *record, int64_t wall_ms,
                       struct tagd_arena *arena, struct tagd_letter_verdict *verdict)
{
    struct tagd_event_rules strict = *rules;
    struct tagd_record moved = *record;
    struct tagd_event event;
    tagd_event_decode(rules, record, wall_ms, arena, &event);
    if (event.code == TAGD_EVENT_MISROUTED) {
        uint32_t hash = rules->partitioner == TAGD_MURMUR2 ? tagd_murmur2(event.subject) : tagd_crc32(event.subject);
        moved.partition = (int32_t)(hash % (uint32_t)rules->partitions);
        tagd_event_decode(rules, &moved, wall_ms, arena, &event);
    }
    *verdict = (struct tagd_letter_verdict){
        .code = event.code, .reason = event.reason, .partition = (uint32_t)moved.partition};
    if (event.code != TAGD_EVENT_OK)
        return;
    strict.time_required = true;
    tagd_event_decode(&strict, &moved, wall_ms, arena, &event);
    verdict->stamped = event.code != TAGD_EVENT_OK;
}
