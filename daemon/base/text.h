/* Character-level words that base's own files share. */
#ifndef TAGD_BASE_TEXT_H
#define TAGD_BASE_TEXT_H

#include <stddef.h>

/* Bytes of the well-formed UTF-8 character at p (p < end), 0 if it is not one. */
size_t tagd_utf8_step(const unsigned char *p, const unsigned char *end);
/* The largest n' <= n at which the text of n bytes may be cut without splitting a character. */
size_t tagd_utf8_cut(const char *p, size_t n);

#endif
