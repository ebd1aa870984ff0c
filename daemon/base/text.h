/* Character-level words. */
#ifndef TAGD_BASE_TEXT_H
#define TAGD_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 character at p (p < end), 0 if it is not one. */
size_t tagd_utf8_step(const unsigned char *p, const unsigned char *end);
/* The largest n' <= n at which the text of n bytes may be cut without splitting a character. */
size_t tagd_utf8_cut(const char *p, size_t n);
/* Eight bytes, the first one lowest. */
static inline uint64_t tagd_load8(const void *p)
{
    uint64_t eight;

    memcpy(&eight, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return eight;
}
/* Eight times the same. */
#define TAGD_EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

#endif
