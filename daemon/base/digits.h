/* Digits, two at a time, for base's own files. */
#ifndef TAGD_BASE_DIGITS_H
#define TAGD_BASE_DIGITS_H

#include <string.h>

extern const char tagd_digit_pairs[201]; /* "000102...99" */
/* v: at most 99. Returns what is behind them. */
static inline char *tagd_put_two(char *p, unsigned v)
{
    memcpy(p, tagd_digit_pairs + 2 * (size_t)v, 2);
    return p + 2;
}

#endif
