/* The outbox entry: what a batch publishes, so that a later owner can do it. A list, and behind it the text: what the
 * events consist of, one after the other, packed, since events of one kind are alike: a store keeps and logs a sixth.
 *
 *   u8      version, 4
 *   d       watermark; INT64_MIN: none
 *   u       topics; for each  d  next offset to commit, -1: never read
 *   u       outputs; for each
 *     u8    its kind (enum tagd_output_kind), which says to which topic it goes
 *           1: a dead letter   u topic, u offset, u8 code, u reason bytes, reason   (its record is fetched again)
 *           else an event      u key bytes, key, u header bytes, u value bytes; and in the text its headers
 *                              (emit/binary.c; in structured mode none) and its value
 *
 *   the text, 256 KiB of it a block, the last one shorter; for each
 *     u32   bytes of the block, low byte first
 *     ...   an LZ4 block
 *
 * u: LEB128; d: zigzag LEB128. The output's place in the list is the index of its tagd_batch header. */
#include "shard/shard.h"

#include <assert.h>
#include <lz4.h>

#define VERSION 4
#define BLOCK ((size_t)256 * 1024) /* of text; LZ4 looks back 64 KiB */
#define RATIO_MAX 255              /* of an LZ4 block */

void tagd_outbox_begin(struct tagd_buf *out, int64_t watermark_ms, uint32_t n_topics, const int64_t *offset,
                       size_t n_outputs)
{
    tagd_buf_add_byte(out, VERSION);
    tagd_buf_add_zigzag(out, watermark_ms);
    tagd_buf_add_varint(out, n_topics);
    for (uint32_t i = 0; i < n_topics; i++)
        tagd_buf_add_zigzag(out, offset[i]);
    tagd_buf_add_varint(out, n_outputs);
}

static void add_bytes(struct tagd_buf *out, struct tagd_str s)
{
    tagd_buf_add_varint(out, s.n);
    tagd_buf_add_str(out, s);
}

void tagd_outbox_add_event(struct tagd_buf *out, enum tagd_output_kind kind, struct tagd_str key, size_t header_bytes,
                           size_t value_bytes)
{
    tagd_buf_add_byte(out, (unsigned char)kind);
    add_bytes(out, key);
    tagd_buf_add_varint(out, header_bytes);
    tagd_buf_add_varint(out, value_bytes);
}

void tagd_outbox_add_dead_letter(struct tagd_buf *out, uint32_t topic, int64_t offset, enum tagd_event_code code,
                                 struct tagd_str reason)
{
    tagd_buf_add_byte(out, TAGD_OUT_DEAD_LETTER);
    tagd_buf_add_varint(out, topic);
    tagd_buf_add_varint(out, (uint64_t)offset);
    tagd_buf_add_byte(out, (unsigned char)code);
    add_bytes(out, reason);
}

void tagd_outbox_add_text(struct tagd_buf *out, struct tagd_str text)
{
    for (size_t at = 0; at < text.n; at += BLOCK) {
        int n = (int)(text.n - at < BLOCK ? text.n - at : BLOCK), bound = LZ4_compressBound(n);
        tagd_buf_reserve(out, 4 + (size_t)bound);
        int packed = LZ4_compress_default(text.p + at, out->p + out->n + 4, n, bound);
        assert(packed > 0); /* there is room for the worst case */
        for (int i = 0; i < 4; i++)
            tagd_buf_add_byte(out, (unsigned char)((unsigned)packed >> (8 * i)));
        out->n += (size_t)packed;
    }
}

static unsigned char read_byte(struct tagd_reader *reader)
{
    struct tagd_str s = tagd_read_bytes(reader, 1);
    return s.n == 1 ? (unsigned char)s.p[0] : 0;
}

/* As many as there may be. */
static size_t read_length(struct tagd_reader *reader)
{
    uint64_t n = tagd_read_varint(reader);
    if (n > (size_t)(reader->end - reader->p))
        reader->bad = true;
    return reader->bad ? 0 : (size_t)n;
}

static struct tagd_str read_bytes(struct tagd_reader *reader)
{
    return tagd_read_bytes(reader, read_length(reader));
}

/* Of headers and value the lengths: their text comes later. No more than so much of it can be there. */
static void read_event(struct tagd_reader *reader, struct tagd_outbox_output *output, size_t *text_left)
{
    output->key = read_bytes(reader);
    uint64_t header_bytes = tagd_read_varint(reader), value_bytes = tagd_read_varint(reader);
    if (header_bytes > *text_left || value_bytes > *text_left - header_bytes) {
        reader->bad = true;
        return;
    }
    output->n_headers = (size_t)header_bytes;
    output->value.n = (size_t)value_bytes;
    *text_left -= output->n_headers + output->value.n;
}

/* All that is left, unpacked. */
static struct tagd_reader unpack(struct tagd_reader *reader, size_t n, struct tagd_arena *arena)
{
    unsigned char *text = tagd_arena_alloc(arena, n + 1);
    for (size_t at = 0; at < n && !reader->bad; at += BLOCK) {
        uint32_t n_packed = 0;
        for (int i = 0; i < 4; i++)
            n_packed |= (uint32_t)read_byte(reader) << (8 * i);
        struct tagd_str packed = tagd_read_bytes(reader, n_packed);
        int wanted = (int)(n - at < BLOCK ? n - at : BLOCK);
        if (packed.n > (size_t)LZ4_COMPRESSBOUND(BLOCK) ||
            LZ4_decompress_safe(packed.p, (char *)text + at, (int)packed.n, wanted) != wanted)
            reader->bad = true;
    }
    return (struct tagd_reader){text, text + n, reader->bad || reader->p != reader->end};
}

static void read_text(struct tagd_reader *reader, struct tagd_arena *arena, struct tagd_outbox_output *output)
{
    struct tagd_str block = tagd_read_bytes(reader, output->n_headers);
    if (block.n > 0 && !tagd_emit_headers_read(block, arena, &output->headers, &output->n_headers))
        reader->bad = true;
    output->value = tagd_read_bytes(reader, output->value.n);
}

static void read_output(struct tagd_reader *reader, struct tagd_outbox_output *output, size_t *text_left)
{
    unsigned char kind = read_byte(reader);
    reader->bad = reader->bad || kind >= TAGD_OUTPUT_KINDS;
    output->kind = (enum tagd_output_kind)kind;
    if (kind != TAGD_OUT_DEAD_LETTER) {
        read_event(reader, output, text_left);
        return;
    }
    output->topic = (uint32_t)tagd_read_varint(reader);
    output->offset = (int64_t)tagd_read_varint(reader);
    unsigned char code = read_byte(reader);
    output->code = (enum tagd_event_code)code;
    output->reason = read_bytes(reader);
    if (output->topic >= TAGD_TOPICS_MAX || output->offset < 0 || code == TAGD_EVENT_OK || code >= TAGD_EVENT_CODES)
        reader->bad = true;
}

bool tagd_outbox_read(struct tagd_str bytes, struct tagd_arena *arena, struct tagd_outbox_content *content)
{
    struct tagd_reader reader = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n, false};
    *content = (struct tagd_outbox_content){0};
    if (read_byte(&reader) != VERSION)
        return false;
    content->watermark_ms = tagd_read_zigzag(&reader);
    uint64_t n_topics = tagd_read_varint(&reader);
    if (reader.bad || n_topics > TAGD_TOPICS_MAX)
        return false;
    content->n_topics = (uint32_t)n_topics;
    for (uint32_t i = 0; i < content->n_topics; i++)
        content->offset[i] = tagd_read_zigzag(&reader);
    uint64_t n = tagd_read_varint(&reader);
    if (reader.bad || n > bytes.n) /* an output has a byte at least */
        return false;
    content->n_outputs = (size_t)n;
    content->outputs = tagd_arena_zalloc(arena, (content->n_outputs + 1) * sizeof(*content->outputs));
    size_t most = RATIO_MAX * bytes.n, left = most;
    for (size_t i = 0; i < content->n_outputs && !reader.bad; i++)
        read_output(&reader, &content->outputs[i], &left);
    if (reader.bad)
        return false;
    struct tagd_reader text = unpack(&reader, most - left, arena);
    for (size_t i = 0; i < content->n_outputs && !text.bad; i++)
        if (content->outputs[i].kind != TAGD_OUT_DEAD_LETTER)
            read_text(&text, arena, &content->outputs[i]);
    return !text.bad && text.p == text.end;
}
