#include "base/text.h"
#include "tagd/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct tagd_str tagd_str_of(const char *z)
{
    return (struct tagd_str){z, strlen(z)};
}

int tagd_str_cmp(struct tagd_str a, struct tagd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static bool tail(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return false;
    return true;
}

/* The Unicode standard's table 3-7 of well-formed byte sequences. */
size_t tagd_utf8_step(const unsigned char *p, const unsigned char *end)
{
    size_t left = (size_t)(end - p);
    unsigned char b = p[0];

    if (b < 0x80)
        return 1;
    if (b < 0xC2 || b > 0xF4)
        return 0;
    if (b < 0xE0)
        return left >= 2 && tail(p + 1, 1) ? 2 : 0;
    if (b < 0xF0) {
        if (left < 3 || !tail(p + 1, 2) || (b == 0xE0 && p[1] < 0xA0) || (b == 0xED && p[1] > 0x9F))
            return 0;
        return 3;
    }
    if (left < 4 || !tail(p + 1, 3) || (b == 0xF0 && p[1] < 0x90) || (b == 0xF4 && p[1] > 0x8F))
        return 0;
    return 4;
}

bool tagd_utf8_valid(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;

    while (p < end) {
        uint64_t eight;
        size_t step;

        if (end - p >= 8) {
            memcpy(&eight, p, 8);
            if (!(eight & 0x8080808080808080u)) {
                p += 8;
                continue;
            }
        }
        step = tagd_utf8_step(p, end);
        if (step == 0)
            return false;
        p += step;
    }
    return true;
}

size_t tagd_utf8_cut(const char *p, size_t n)
{
    size_t start = n;

    while (start > 0 && n - start < 3 && ((unsigned char)p[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)p[start - 1] < 0xC0)
        return n;
    start--; /* at the lead byte of the last character */
    return tagd_utf8_step((const unsigned char *)p + start, (const unsigned char *)p + n) ? n : start;
}

bool tagd_fail(struct tagd_error *error, const char *fmt, ...)
{
    va_list args;
    int n;

    if (!error)
        return false;
    va_start(args, fmt);
    n = vsnprintf(error->text, sizeof(error->text), fmt, args);
    va_end(args);
    if (n < 0)
        error->text[0] = '\0';
    else if ((size_t)n >= sizeof(error->text))
        error->text[tagd_utf8_cut(error->text, sizeof(error->text) - 1)] = '\0';
    return false;
}
