/* Room-internal: the parts of one kind, some numbers in a row a chunk, as bytes until one of them is asked for. */
#ifndef TAGD_PROFILE_CHUNKS_H
#define TAGD_PROFILE_CHUNKS_H

#include "profile/state.h"

#define CHUNKED_PAST 32 /* parts of a kind, by the catalog */
#define CHECKSUM_BYTES 4

/* The low half of the bytes' XXH3 of 64 bits, plus a number; low byte first. */
void tagd_put_checksum(unsigned char *to, const unsigned char *p, size_t n, uint32_t plus);

/* 2^bits parts a chunk. */
void tagd_chunks_new(struct tagd_chunks *chunks, uint32_t n_parts, uint32_t bits);
void tagd_chunks_free(struct tagd_chunks *chunks);
void tagd_chunks_clear(struct tagd_chunks *chunks);

/* Reads where chunks are, and keeps their bytes; all of them are closed then. */
void tagd_chunks_read(struct tagd_chunks *chunks, struct tagd_reader *reader);
/* The bytes of a closed one, which is open from now on. */
struct tagd_reader tagd_chunks_open(struct tagd_chunks *chunks, uint32_t chunk);

/* Writes chunks, ascending. Those that are written as they were read, one behind the other, wait to be copied together. */
struct chunk_writer {
    struct tagd_buf *out;
    const struct tagd_chunks *chunks;
    size_t begin, from, to; /* where the list begins; [from, to) of the chunks' bytes waits */
    uint32_t next;          /* one more than the latest chunk */
};
void tagd_chunks_write(struct chunk_writer *writer, const struct tagd_chunks *chunks, struct tagd_buf *out);
/* One as it was read. */
void tagd_chunk_copy(struct chunk_writer *writer, uint32_t chunk);
/* One that is written between the two calls; where its bytes begin. There has to be one. */
size_t tagd_chunk_begin(struct chunk_writer *writer, uint32_t chunk);
void tagd_chunk_end(struct chunk_writer *writer, size_t begin);
void tagd_chunks_written(struct chunk_writer *writer);

#endif
