/* Parts as bytes: see the head of profile.c. */
#include "profile/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "profile/numbers.h"

void tagd_put_checksum(unsigned char *to, const unsigned char *p, size_t n, uint32_t plus)
{
    uint32_t sum = (uint32_t)tagd_hash64((struct tagd_str){(const char *)p, n}) + plus;
    for (int i = 0; i < CHECKSUM_BYTES; i++)
        to[i] = (unsigned char)(sum >> 8 * i);
}

void tagd_chunks_new(struct tagd_chunks *chunks, uint32_t n_parts, uint32_t bits)
{
    if (n_parts <= CHUNKED_PAST)
        return;
    chunks->bits = bits;
    chunks->n = tagd_chunk_of(chunks, n_parts - 1) + 1;
    chunks->words = TAGD_SET_WORDS(chunks->n);
    chunks->closed = tagd_xcalloc(chunks->words, sizeof *chunks->closed);
    chunks->stored = tagd_xcalloc(chunks->words, sizeof *chunks->stored);
    chunks->to_write = tagd_xcalloc(chunks->words, sizeof *chunks->to_write);
    chunks->chunk = tagd_xcalloc(chunks->n, sizeof *chunks->chunk);
}

void tagd_chunks_free(struct tagd_chunks *chunks)
{
    free(chunks->closed);
    free(chunks->stored);
    free(chunks->to_write);
    free(chunks->chunk);
    free(chunks->bytes);
}

void tagd_chunks_clear(struct tagd_chunks *chunks)
{
    chunks->n_closed = 0;
    tagd_set_clear(chunks->closed, chunks->words);
    tagd_set_clear(chunks->stored, chunks->words);
}

/* ---- read ---- */

static void keep_bytes(struct tagd_chunks *chunks, const unsigned char *from, size_t n)
{
    if (n > chunks->cap) {
        chunks->cap = n + n / 2;
        free(chunks->bytes);
        chunks->bytes = tagd_xmalloc(chunks->cap);
    }
    memcpy(chunks->bytes, from, n);
}

/* Where the chunk is whose number has been read. */
static struct tagd_chunk read_chunk(struct tagd_reader *reader, const unsigned char *list, size_t entry)
{
    struct tagd_chunk chunk = {.entry = entry, .length = (size_t)(reader->p - list)};
    uint64_t length = tagd_read_varint(reader);
    reader->bad = reader->bad || length == 0 || length > (size_t)(reader->end - reader->p);
    if (reader->bad)
        return chunk;
    chunk.begin = (size_t)(reader->p - list);
    reader->p += length;
    chunk.end = (size_t)(reader->p - list);
    return chunk;
}

void tagd_chunks_read(struct tagd_chunks *chunks, struct tagd_reader *from)
{
    struct tagd_reader copy = *from, *reader = &copy;
    uint32_t next = 0;
    size_t entry = 0;
    for (uint64_t step; (step = tagd_read_varint(reader)) > 0;) {
        reader->bad = reader->bad || step > chunks->n - next;
        if (reader->bad)
            break;
        next += (uint32_t)step;
        chunks->chunk[next - 1] = read_chunk(reader, from->p, entry);
        tagd_set_add(chunks->closed, next - 1);
        chunks->n_closed++;
        entry = (size_t)(reader->p - from->p);
    }
    size_t n = (size_t)(reader->p - from->p);
    unsigned char expected[CHECKSUM_BYTES];
    struct tagd_str found = tagd_read_bytes(reader, CHECKSUM_BYTES);
    if (!reader->bad) {
        tagd_put_checksum(expected, from->p, n, 0);
        reader->bad = memcmp(expected, found.p, CHECKSUM_BYTES) != 0;
        keep_bytes(chunks, from->p, n);
        memcpy(chunks->stored, chunks->closed, chunks->words * sizeof *chunks->stored);
    }
    *from = copy;
}

struct tagd_reader tagd_chunks_open(struct tagd_chunks *chunks, uint32_t chunk)
{
    const struct tagd_chunk *of = &chunks->chunk[chunk];
    tagd_set_remove(chunks->closed, chunk);
    chunks->n_closed--;
    return (struct tagd_reader){chunks->bytes + of->begin, chunks->bytes + of->end, false};
}

/* ---- write ---- */

void tagd_chunks_write(struct chunk_writer *writer, const struct tagd_chunks *chunks, struct tagd_buf *out)
{
    *writer = (struct chunk_writer){.out = out, .chunks = chunks, .begin = out->n};
}

static void copy_waiting(struct chunk_writer *writer)
{
    if (writer->to > writer->from)
        tagd_buf_add(writer->out, writer->chunks->bytes + writer->from, writer->to - writer->from);
    writer->from = writer->to = 0;
}

static void add_number(struct chunk_writer *writer, uint32_t chunk)
{
    tagd_buf_add_varint(writer->out, 1 + chunk - writer->next);
    writer->next = chunk + 1;
}

void tagd_chunk_copy(struct chunk_writer *writer, uint32_t chunk)
{
    const struct tagd_chunk *of = &writer->chunks->chunk[chunk];
    if (writer->to != of->entry || writer->to == 0) {
        copy_waiting(writer);
        add_number(writer, chunk);
        writer->from = of->length;
    }
    writer->to = of->end;
    writer->next = chunk + 1;
}

size_t tagd_chunk_begin(struct chunk_writer *writer, uint32_t chunk)
{
    copy_waiting(writer);
    add_number(writer, chunk);
    tagd_buf_add_byte(writer->out, 0); /* of its length */
    return writer->out->n;
}

void tagd_chunk_end(struct chunk_writer *writer, size_t begin)
{
    struct tagd_buf *out = writer->out;
    size_t n = out->n - begin;
    unsigned char length[VARINT_BYTES];
    size_t more = (size_t)(put(length, n) - length) - 1;
    if (more > 0) {
        tagd_buf_reserve(out, more);
        memmove(out->p + begin + more, out->p + begin, n);
        out->n += more;
    }
    memcpy(out->p + begin - 1, length, more + 1);
}

void tagd_chunks_written(struct chunk_writer *writer)
{
    unsigned char sum[CHECKSUM_BYTES];
    struct tagd_buf *out = writer->out;
    copy_waiting(writer);
    tagd_buf_add_byte(out, 0);
    tagd_put_checksum(sum, (const unsigned char *)out->p + writer->begin, out->n - writer->begin, 0);
    tagd_buf_add(out, sum, CHECKSUM_BYTES);
}
