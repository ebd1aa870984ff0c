/* Sets of small numbers: a bit each. All sets that meet have the same number of words. */
#ifndef TAGD_BASE_SET_H
#define TAGD_BASE_SET_H

#include "tagd/base.h"

#define TAGD_SET_WORDS(n) (((n) + 63) / 64)

static inline bool tagd_set_has(const uint64_t *set, uint32_t i)
{
    return set[i / 64] >> (i % 64) & 1;
}
static inline void tagd_set_add(uint64_t *set, uint32_t i)
{
    set[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline void tagd_set_remove(uint64_t *set, uint32_t i)
{
    set[i / 64] &= ~(UINT64_C(1) << (i % 64));
}
static inline void tagd_set_clear(uint64_t *set, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        set[w] = 0;
}
static inline void tagd_set_join(uint64_t *set, const uint64_t *more, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        set[w] |= more[w];
}
static inline bool tagd_set_empty(const uint64_t *set, uint32_t words)
{
    uint64_t any = 0;
    for (uint32_t w = 0; w < words; w++)
        any |= set[w];
    return any == 0;
}
/* 0 to n - 1. */
static inline void tagd_set_fill(uint64_t *set, uint32_t n)
{
    for (uint32_t w = 0; w < n / 64; w++)
        set[w] = UINT64_MAX;
    if (n % 64)
        set[n / 64] = (UINT64_C(1) << n % 64) - 1;
}
/* The first member from *i on. False: there is none. */
static inline bool tagd_set_next(const uint64_t *set, uint32_t words, uint32_t *i)
{
    uint32_t w = *i / 64;
    if (w >= words)
        return false;
    uint64_t bits = set[w] & UINT64_MAX << *i % 64;
    while (bits == 0) {
        if (++w == words)
            return false;
        bits = set[w];
    }
    *i = w * 64 + (uint32_t)__builtin_ctzll(bits);
    return true;
}
/* Over the members, ascending; a word that has been begun may change without effect. No `break`: there are loops within. */
#define TAGD_EACH(i, set, words)                                                                                       \
    for (uint32_t i##_word = 0; i##_word < (words); i##_word++)                                                        \
        for (uint64_t i##_bits = (set)[i##_word]; i##_bits != 0; i##_bits &= i##_bits - 1)                             \
            for (uint32_t i = i##_word * 64 + (uint32_t)__builtin_ctzll(i##_bits), i##_once = 1; i##_once; i##_once = 0)

#endif
