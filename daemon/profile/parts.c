/* Lists of parts: tags, panes, values, marks, attributes. See the head of profile.c. */
#include "profile/parts.h"

#include <assert.h>

#include "profile/numbers.h"
#include "profile/panes.h"

#define BASE_MS (INT64_C(1) << 33) /* some 99 days: instants of both sides of it take five bytes */

/* Of a list whose kind is known there, so that nothing is chosen for each entry. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

int64_t tagd_parts_base(int64_t last)
{
    return last & -BASE_MS;
}

/* ---- encode: a part's entry, if there is anything of it; instants from `base` on ---- */

static inline void encode_tag(const struct tagd_profile *profile, uint32_t i, uint32_t *next, int64_t base,
                              struct tagd_buf *out)
{
    const struct tagd_tag_state *state = &profile->tag_states[i];
    uint64_t outcomes = profile->outcomes;
    if (!state->changed)
        return;
    unsigned char *p = reserve(out, 2 * (size_t)VARINT_BYTES);
    uint64_t beside = (uint64_t)(state->tag + 1) * outcomes + (uint64_t)(state->prev + 1);
    p = put(p, entry_code(i, next, outcomes * outcomes, beside));
    written(out, put(p, zigzag(diff(base, state->at))));
    if (!profile->catalog->dimensions[i].is_value)
        return;
    encode_text(out, state->tag < 0 ? NULL : &state->text);
    encode_text(out, state->prev < 0 ? NULL : &state->prev_text);
}

static inline void encode_panes(const struct tagd_profile *profile, uint32_t i, uint32_t *next, struct tagd_buf *out)
{
    const struct tagd_panes *panes = &profile->stores[i];
    if (tagd_panes_count(panes) == 0)
        return;
    tagd_panes_encode(panes, &profile->catalog->stores[i], i - *next, out);
    *next = i + 1;
}

static int64_t begin_of(const struct tagd_value_store *store, int64_t pane, int64_t base)
{
    return store->grid.pane_ms ? tagd_grid_begin(&store->grid, pane) : base;
}

static void encode_value_store(const struct tagd_profile *profile, uint32_t index, int64_t base, struct tagd_buf *out)
{
    const struct tagd_value_store *store = &profile->catalog->value_stores[index];
    const struct tagd_values *values = &profile->value_stores[index];
    uint32_t n = 0;
    for (uint32_t i = 0; i < values->n_known; i++) {
        if (values->known[i].entries)
            values->known[i].code = n++;
    }
    tagd_buf_add_varint(out, n);
    for (uint32_t i = 0; i < values->n_known; i++) {
        if (values->known[i].entries)
            encode_value(out, store->field_type, values->known[i].i, &values->known[i].s);
    }
    tagd_buf_add_varint(out, values->n);
    for (uint32_t i = 0; i < values->n; i++) {
        const struct tagd_seen *seen = &values->seen[i];
        if (i == 0)
            tagd_buf_add_zigzag(out, values->pane[0]);
        else
            tagd_buf_add_varint(out, (uint64_t)(values->pane[i] - values->pane[i - 1]));
        tagd_buf_add_varint(out, values->known[seen->value].code);
        if (!store->ordered)
            continue;
        tagd_buf_add_varint(out, seen->count);
        tagd_buf_add_zigzag(out, diff(seen->last, begin_of(store, values->pane[i], base)));
    }
}

static void encode_values(const struct tagd_profile *profile, uint32_t i, uint32_t *next, int64_t base,
                          struct tagd_buf *out)
{
    if (profile->value_stores[i].n == 0)
        return;
    tagd_buf_add_varint(out, entry_code(i, next, 1, 0));
    encode_value_store(profile, i, base, out);
}

static inline void encode_mark(const struct tagd_profile *profile, uint32_t i, uint32_t *next, int64_t base,
                               struct tagd_buf *out)
{
    const struct tagd_mark *mark = &profile->catalog->marks[i];
    const struct tagd_mark_state *state = &profile->mark_states[i];
    if (!state->present)
        return;
    unsigned char *p = reserve(out, 2 * (size_t)VARINT_BYTES);
    p = put(p, entry_code(i, next, 1, 0));
    written(out, put(p, zigzag(diff(base, state->at))));
    if (tagd_mark_has_value(mark))
        encode_value(out, mark->field_type, state->i, &state->s);
}

static void encode_attribute(const struct tagd_profile *profile, uint32_t i, uint32_t *next, int64_t base,
                             struct tagd_buf *out)
{
    const struct tagd_attribute_state *state = &profile->attribute_states[i];
    if (!state->updated)
        return;
    tagd_buf_add_varint(out, entry_code(i, next, 1, 0));
    tagd_buf_add_zigzag(out, diff(base, state->at));
    tagd_buf_add_varint(out, state->present);
    if (state->present)
        encode_value(out, profile->catalog->attributes[i].field.type, state->i, &state->s);
}

/* Of those in one word of a set, bit 0 being the part `first`. */
ALWAYS_INLINE void encode_entries(const struct tagd_profile *profile, enum tagd_part part, uint32_t first,
                                  uint64_t bits, uint32_t *next, int64_t base, struct tagd_buf *out)
{
    for (; bits != 0; bits &= bits - 1) {
        uint32_t i = first + (uint32_t)__builtin_ctzll(bits);
        switch (part) {
        case TAGD_TAGS: encode_tag(profile, i, next, base, out); break;
        case TAGD_PANES: encode_panes(profile, i, next, out); break;
        case TAGD_VALUES: encode_values(profile, i, next, base, out); break;
        case TAGD_MARKS: encode_mark(profile, i, next, base, out); break;
        default: encode_attribute(profile, i, next, base, out); break;
        }
    }
}

/* Whether anything is left of a part that was touched. */
static bool is_there(const struct tagd_profile *profile, enum tagd_part part, uint32_t i)
{
    switch (part) {
    case TAGD_TAGS: return profile->tag_states[i].changed;
    case TAGD_PANES: return tagd_panes_count(&profile->stores[i]) > 0;
    case TAGD_VALUES: return profile->value_stores[i].n > 0;
    case TAGD_MARKS: return profile->mark_states[i].present;
    default: return profile->attribute_states[i].updated;
    }
}

/* Those of a chunk that are there, bit 0 being the part `first`. */
static uint64_t left_of(const struct tagd_profile *profile, enum tagd_part part, uint32_t first)
{
    const struct tagd_parts *parts = &profile->parts[part];
    uint64_t all = (UINT64_C(1) << (1U << parts->chunks.bits)) - 1, left = 0;
    for (uint64_t bits = parts->touched[first / 64] >> first % 64 & all; bits != 0; bits &= bits - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(bits);
        left |= (uint64_t)is_there(profile, part, first + i) << i;
    }
    return left;
}

/* The chunks that may have something to be written: those that were read, and those of parts that were touched. */
static const uint64_t *chunks_to_write(const struct tagd_parts *parts)
{
    const struct tagd_chunks *chunks = &parts->chunks;
    memcpy(chunks->to_write, chunks->stored, chunks->words * sizeof *chunks->to_write);
    TAGD_EACH (i, parts->touched, parts->words)
        tagd_set_add(chunks->to_write, tagd_chunk_of(chunks, i));
    return chunks->to_write;
}

static __attribute__((noinline)) void encode_chunks(const struct tagd_profile *profile, enum tagd_part part,
                                                    struct tagd_buf *out)
{
    const struct tagd_chunks *chunks = &profile->parts[part].chunks;
    struct chunk_writer writer;
    tagd_chunks_write(&writer, chunks, out);
    const uint64_t *to_write = chunks_to_write(&profile->parts[part]);
    TAGD_EACH (chunk, to_write, chunks->words) {
        if (tagd_set_has(chunks->stored, chunk)) {
            tagd_chunk_copy(&writer, chunk);
            continue;
        }
        uint32_t first = chunk << chunks->bits, next = first;
        uint64_t left = left_of(profile, part, first);
        if (left == 0)
            continue;
        size_t begin = tagd_chunk_begin(&writer, chunk);
        encode_entries(profile, part, first, left, &next, profile->base, out);
        tagd_chunk_end(&writer, begin);
    }
    tagd_chunks_written(&writer);
}

ALWAYS_INLINE void encode_list(const struct tagd_profile *profile, enum tagd_part part, struct tagd_buf *out)
{
    const struct tagd_parts *parts = &profile->parts[part];
    uint32_t next = 0;
    if (parts->n == 0)
        return;
    if (parts->chunks.n > 0) {
        encode_chunks(profile, part, out);
        return;
    }
    for (uint32_t word = 0; word < parts->words; word++)
        encode_entries(profile, part, word * 64, parts->touched[word], &next, profile->last, out);
    tagd_buf_add_byte(out, 0);
}

void tagd_parts_encode_tags(const struct tagd_profile *profile, struct tagd_buf *out)
{
    encode_list(profile, TAGD_TAGS, out);
}

void tagd_parts_encode_others(const struct tagd_profile *profile, struct tagd_buf *out)
{
    encode_list(profile, TAGD_PANES, out);
    encode_list(profile, TAGD_VALUES, out);
    encode_list(profile, TAGD_MARKS, out);
    encode_list(profile, TAGD_ATTRIBUTES, out);
}

/* ---- decode ---- */

static void decode_tag_texts(struct tagd_tag_state *state, struct tagd_reader *reader)
{
    if (state->tag >= 0)
        decode_text(reader, &state->text);
    if (state->prev >= 0)
        decode_text(reader, &state->prev_text);
}

static inline void decode_tag(struct tagd_profile *profile, const struct entry *entry, int64_t base,
                              struct tagd_reader *reader)
{
    const struct tagd_dimension *dimension = &profile->catalog->dimensions[entry->number];
    struct tagd_tag_state *state = &profile->tag_states[entry->number];
    uint64_t outcomes = profile->outcomes, tag = entry->beside / outcomes, prev = entry->beside % outcomes;
    state->changed = true;
    state->at = diff(base, tagd_read_zigzag(reader));
    reader->bad = reader->bad || tag > dimension->n_rules || prev > dimension->n_rules;
    state->tag = reader->bad ? -1 : (int32_t)tag - 1;
    state->prev = reader->bad ? -1 : (int32_t)prev - 1;
    if (dimension->is_value)
        decode_tag_texts(state, reader);
}

/* The different values: each takes the next number. */
static void decode_known(struct tagd_values *values, enum tagd_field_type type, struct tagd_reader *reader)
{
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n > TAGD_PROFILE_VALUES_MAX;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        tagd_values_known_grow(values);
        struct tagd_known *known = &values->known[values->n_known++];
        decode_value(reader, type, &known->i, &known->s);
        values->bytes += type == TAGD_STRING ? known->s.n : 0;
    }
    reader->bad = reader->bad || values->bytes > TAGD_PROFILE_VALUE_BYTES_MAX;
}

static void decode_value_store(struct tagd_profile *profile, uint32_t index, int64_t base, struct tagd_reader *reader)
{
    const struct tagd_value_store *store = &profile->catalog->value_stores[index];
    struct tagd_values *values = &profile->value_stores[index];
    decode_known(values, store->field_type, reader);
    uint64_t n = tagd_read_varint(reader);
    reader->bad = reader->bad || n == 0 || n > TAGD_PROFILE_VALUES_MAX;
    for (uint64_t i = 0; i < n && !reader->bad; i++) {
        tagd_values_grow(values);
        uint64_t step = i ? tagd_read_varint(reader) : 0;
        values->pane[i] = i ? plus(values->pane[i - 1], (int64_t)step) : tagd_read_zigzag(reader);
        reader->bad = reader->bad || !tagd_pane_begins(&store->grid, values->pane[i]);
        if (reader->bad)
            return;
        uint64_t value = tagd_read_varint(reader);
        struct tagd_seen *seen = &values->seen[i];
        seen->count = store->ordered ? tagd_read_varint(reader) : 1;
        seen->last = begin_of(store, values->pane[i], base);
        if (store->ordered)
            seen->last = plus(seen->last, tagd_read_zigzag(reader));
        reader->bad = reader->bad || step > INT64_MAX || value >= values->n_known || seen->count == 0 ||
                      (i && values->pane[i] < values->pane[i - 1]);
        if (reader->bad)
            return;
        seen->value = (uint32_t)value;
        values->known[value].entries++;
        values->n = (uint32_t)i + 1;
    }
    for (uint32_t i = 0; i < values->n_known; i++)
        reader->bad = reader->bad || values->known[i].entries == 0;
}

static inline void decode_mark(struct tagd_profile *profile, uint32_t i, int64_t base, struct tagd_reader *reader)
{
    const struct tagd_mark *mark = &profile->catalog->marks[i];
    struct tagd_mark_state *state = &profile->mark_states[i];
    state->present = true;
    state->at = diff(base, tagd_read_zigzag(reader));
    if (tagd_mark_has_value(mark))
        decode_value(reader, mark->field_type, &state->i, &state->s);
}

static void decode_attribute(struct tagd_profile *profile, uint32_t i, int64_t base, struct tagd_reader *reader)
{
    struct tagd_attribute_state *state = &profile->attribute_states[i];
    state->updated = true;
    state->at = diff(base, tagd_read_zigzag(reader));
    uint64_t there = tagd_read_varint(reader);
    reader->bad = reader->bad || there > 1;
    state->present = there == 1;
    if (state->present)
        decode_value(reader, profile->catalog->attributes[i].field.type, &state->i, &state->s);
}

ALWAYS_INLINE uint64_t beside_of(const struct tagd_profile *profile, enum tagd_part part)
{
    return part == TAGD_TAGS ? profile->outcomes * profile->outcomes : part == TAGD_PANES ? PANES_FEW : 1;
}

ALWAYS_INLINE void decode_entry(struct tagd_profile *profile, enum tagd_part part, const struct entry *entry,
                                int64_t base, struct tagd_reader *reader)
{
    uint32_t i = entry->number;
    tagd_set_add(profile->parts[part].touched, i);
    switch (part) {
    case TAGD_TAGS: decode_tag(profile, entry, base, reader); break;
    case TAGD_PANES:
        tagd_panes_decode(&profile->stores[i], &profile->catalog->stores[i], (unsigned)entry->beside, reader);
        break;
    case TAGD_VALUES: decode_value_store(profile, i, base, reader); break;
    case TAGD_MARKS: decode_mark(profile, i, base, reader); break;
    default: decode_attribute(profile, i, base, reader); break;
    }
}

ALWAYS_INLINE void decode_list(struct tagd_profile *profile, enum tagd_part part, struct tagd_reader *reader)
{
    struct tagd_parts *parts = &profile->parts[part];
    struct entry entry = {0};
    if (parts->n == 0)
        return;
    if (parts->chunks.n > 0) {
        tagd_chunks_read(&parts->chunks, reader);
        return;
    }
    while (read_entry(reader, parts->n, beside_of(profile, part), &entry))
        decode_entry(profile, part, &entry, profile->last, reader);
}

void tagd_parts_decode_tags(struct tagd_profile *profile, struct tagd_reader *reader)
{
    struct tagd_reader at = *reader;
    decode_list(profile, TAGD_TAGS, &at);
    *reader = at;
}

void tagd_parts_decode_others(struct tagd_profile *profile, struct tagd_reader *reader)
{
    decode_list(profile, TAGD_PANES, reader);
    decode_list(profile, TAGD_VALUES, reader);
    decode_list(profile, TAGD_MARKS, reader);
    decode_list(profile, TAGD_ATTRIBUTES, reader);
}

/* ---- chunks ---- */

void tagd_open_chunk(struct tagd_profile *profile, enum tagd_part part, uint32_t chunk)
{
    struct tagd_parts *parts = &profile->parts[part];
    struct tagd_reader reader = tagd_chunks_open(&parts->chunks, chunk);
    uint32_t first = chunk << parts->chunks.bits, past = (chunk + 1) << parts->chunks.bits;
    struct entry entry = {.next = first};
    while (reader.p < reader.end &&
           read_entry(&reader, past < parts->n ? past : parts->n, beside_of(profile, part), &entry))
        decode_entry(profile, part, &entry, profile->base, &reader);
    assert(!reader.bad && reader.p == reader.end);
}

void tagd_open_all(struct tagd_profile *profile, enum tagd_part part)
{
    TAGD_EACH (chunk, profile->parts[part].chunks.closed, profile->parts[part].chunks.words)
        tagd_open_chunk(profile, part, chunk);
}

void tagd_parts_rebase(const struct tagd_profile *asked)
{
    struct tagd_profile *profile = (struct tagd_profile *)(uintptr_t)asked; /* what is known stays the same */
    if (!profile->chunked || profile->base == tagd_parts_base(profile->last))
        return;
    for (int part = 0; part < TAGD_PARTS; part++) {
        tagd_open_all(profile, (enum tagd_part)part);
        tagd_chunks_clear(&profile->parts[part].chunks);
    }
    profile->base = tagd_parts_base(profile->last);
}
