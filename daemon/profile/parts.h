/* Room-internal: lists of parts in the binary form, whole or in chunks. */
#ifndef TAGD_PROFILE_PARTS_H
#define TAGD_PROFILE_PARTS_H

#include "profile/chunks.h"
#include "profile/state.h"

/* From where chunks count instants, of a profile with that latest event. */
int64_t tagd_parts_base(int64_t last);
/* Before any are written: the base may have moved since they were read. */
void tagd_parts_rebase(const struct tagd_profile *profile);
void tagd_parts_encode_tags(const struct tagd_profile *profile, struct tagd_buf *out);
void tagd_parts_decode_tags(struct tagd_profile *profile, struct tagd_reader *reader);
/* Panes, values, marks, attributes. */
void tagd_parts_encode_others(const struct tagd_profile *profile, struct tagd_buf *out);
void tagd_parts_decode_others(struct tagd_profile *profile, struct tagd_reader *reader);

/* ---- lists ---- */

/* A number's entry: its step from the one before, and what stands beside it, of n. */
static inline uint64_t entry_code(uint32_t number, uint32_t *next, uint64_t n, uint64_t beside)
{
    uint64_t step = number - *next;
    *next = number + 1;
    return 1 + step * n + beside;
}

static inline void end_list(struct tagd_buf *out)
{
    tagd_buf_add_byte(out, 0);
}

/* What a list's entry says: a number below `below`, and what stands beside it, of n. */
struct entry {
    uint32_t number, next;
    uint64_t beside;
};

/* The next one. False: the list ends here, or is damaged. */
static inline bool read_entry(struct tagd_reader *reader, uint32_t below, uint64_t n, struct entry *entry)
{
    uint64_t code = tagd_read_varint(reader);
    if (code == 0)
        return false;
    bool next = code - 1 < n; /* mostly: a division takes longer than all else here */
    uint64_t step = next ? 0 : (code - 1) / n;
    reader->bad = reader->bad || step >= below - entry->next;
    if (reader->bad)
        return false;
    entry->number = entry->next + (uint32_t)step;
    entry->next = entry->number + 1;
    entry->beside = next ? code - 1 : (code - 1) % n;
    return true;
}

/* ---- texts and values ---- */

static inline void encode_text(struct tagd_buf *out, const struct tagd_text *text)
{
    if (!text)
        return;
    tagd_buf_add_varint(out, text->n);
    tagd_buf_add(out, text->p, text->n);
}

static inline void encode_value(struct tagd_buf *out, enum tagd_field_type type, int64_t i, const struct tagd_text *s)
{
    if (type == TAGD_STRING)
        encode_text(out, s);
    else
        tagd_buf_add_zigzag(out, i);
}

static inline void decode_text(struct tagd_reader *reader, struct tagd_text *text)
{
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n > TAGD_STRING_MAX;
    if (!reader->bad)
        tagd_text_set(text, tagd_read_bytes(reader, (size_t)n));
}

static inline void decode_value(struct tagd_reader *reader, enum tagd_field_type type, int64_t *i, struct tagd_text *s)
{
    if (type == TAGD_STRING)
        decode_text(reader, s);
    else
        *i = tagd_read_zigzag(reader);
}

#endif
