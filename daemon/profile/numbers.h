/* Room-internal: numbers of the binary form, written where room is reserved. */
#ifndef TAGD_PROFILE_NUMBERS_H
#define TAGD_PROFILE_NUMBERS_H

#include "tagd/base.h"

#define VARINT_BYTES 10 /* at most */
#define VARINT128_BYTES 19

static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
/* Differences wrap, so that every pair of instants has one. */
static inline int64_t diff(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static inline int64_t plus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline unsigned char *put(unsigned char *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (unsigned char)(v | 0x80);
    *p++ = (unsigned char)v;
    return p;
}

static inline unsigned char *put_128(unsigned char *p, tagd_i128 v)
{
    if (v == (int64_t)v)
        return put(p, zigzag((int64_t)v));
    unsigned __int128 u = ((unsigned __int128)v << 1) ^ (v < 0 ? ~(unsigned __int128)0 : 0);
    for (; u > UINT64_MAX; u >>= 7)
        *p++ = (unsigned char)((unsigned)(u & 0x7F) | 0x80);
    return put(p, (uint64_t)u);
}

static inline unsigned char *reserve(struct tagd_buf *out, size_t more)
{
    tagd_buf_reserve(out, more);
    return (unsigned char *)out->p + out->n;
}

static inline void written(struct tagd_buf *out, const unsigned char *end)
{
    out->n = (size_t)(end - (unsigned char *)out->p);
}

#endif
