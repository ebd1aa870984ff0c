#include "tagd/base.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tagd_buf_reserve(struct tagd_buf *buf, size_t more)
{
    size_t cap = buf->cap ? buf->cap : 64;

    if (buf->cap - buf->n >= more)
        return;
    if (more > SIZE_MAX / 4 - buf->n)
        tagd_xmalloc(SIZE_MAX / 2);
    while (cap - buf->n < more)
        cap *= 2;
    buf->p = tagd_xrealloc(buf->p, cap);
    buf->cap = cap;
}

void tagd_buf_add(struct tagd_buf *buf, const void *p, size_t n)
{
    if (n == 0)
        return;
    tagd_buf_reserve(buf, n);
    memcpy(buf->p + buf->n, p, n);
    buf->n += n;
}

void tagd_buf_add_z(struct tagd_buf *buf, const char *z)
{
    tagd_buf_add(buf, z, strlen(z));
}

void tagd_buf_add_str(struct tagd_buf *buf, struct tagd_str s)
{
    tagd_buf_add(buf, s.p, s.n);
}

void tagd_buf_add_byte(struct tagd_buf *buf, unsigned char b)
{
    tagd_buf_reserve(buf, 1);
    buf->p[buf->n++] = (char)b;
}

void tagd_buf_printf(struct tagd_buf *buf, const char *fmt, ...)
{
    va_list args;
    int n;

    tagd_buf_reserve(buf, 64);
    va_start(args, fmt);
    n = vsnprintf(buf->p + buf->n, buf->cap - buf->n, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n >= buf->cap - buf->n) {
        tagd_buf_reserve(buf, (size_t)n + 1);
        va_start(args, fmt);
        vsnprintf(buf->p + buf->n, buf->cap - buf->n, fmt, args);
        va_end(args);
    }
    buf->n += (size_t)n;
}

static void add_escape(struct tagd_buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn?fr"; /* 0x08 to 0x0d; 0x0b has none */
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

    if (c == '"' || c == '\\') {
        text[1] = (char)c;
        tagd_buf_add(buf, text, 2);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        text[1] = letters[c - 0x08];
        tagd_buf_add(buf, text, 2);
    } else {
        tagd_buf_add(buf, text, 6);
    }
}

void tagd_buf_add_json(struct tagd_buf *buf, struct tagd_str s)
{
    size_t start = 0;

    tagd_buf_reserve(buf, s.n + 2);
    tagd_buf_add_byte(buf, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        tagd_buf_add(buf, s.p + start, i - start);
        add_escape(buf, c);
        start = i + 1;
    }
    if (s.n > start)
        tagd_buf_add(buf, s.p + start, s.n - start);
    tagd_buf_add_byte(buf, '"');
}

/* Writes the digits so that they end before `end`; returns their first. */
static char *digits(char *end, unsigned __int128 v)
{
    uint64_t rest;

    for (; v > UINT64_MAX; v /= 10)
        *--end = (char)('0' + (int)(v % 10));
    rest = (uint64_t)v;
    do {
        *--end = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest);
    return end;
}

static unsigned __int128 magnitude(tagd_i128 v)
{
    return v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
}

void tagd_buf_add_i64(struct tagd_buf *buf, int64_t v)
{
    char text[24], *end = text + sizeof(text) - 1, *p;

    *end = '\0';
    p = digits(end, magnitude(v));
    if (v < 0)
        *--p = '-';
    tagd_buf_add(buf, p, (size_t)(end - p));
}

size_t tagd_decimal_format(tagd_i128 decimal, char out[TAGD_DECIMAL_TEXT])
{
    unsigned __int128 whole = magnitude(decimal);
    unsigned places = (unsigned)(whole % TAGD_DECIMAL_ONE);
    char text[48], *end = text + sizeof(text) - 1, *p;
    char fraction[6] = {'.',
                        (char)('0' + places / 1000),
                        (char)('0' + places / 100 % 10),
                        (char)('0' + places / 10 % 10),
                        (char)('0' + places % 10),
                        '\0'};
    size_t n = 5, n_whole;

    *end = '\0';
    p = digits(end, whole / TAGD_DECIMAL_ONE);
    if (decimal < 0)
        *--p = '-';
    n_whole = (size_t)(end - p);
    memcpy(out, p, n_whole);
    if (places == 0)
        return n_whole;
    while (fraction[n - 1] == '0')
        n--;
    memcpy(out + n_whole, fraction, n);
    return n_whole + n;
}

void tagd_buf_add_decimal(struct tagd_buf *buf, tagd_i128 decimal)
{
    char text[TAGD_DECIMAL_TEXT];

    tagd_buf_add(buf, text, tagd_decimal_format(decimal, text));
}

void tagd_buf_add_double(struct tagd_buf *buf, double v)
{
    char text[40];

    if (!isfinite(v)) {
        tagd_buf_add_z(buf, "null");
        return;
    }
    if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
        tagd_buf_add_i64(buf, (int64_t)v);
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    tagd_buf_add_z(buf, text);
}

void tagd_buf_add_varint(struct tagd_buf *buf, uint64_t v)
{
    unsigned char bytes[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (unsigned char)(v | 0x80);
    bytes[n++] = (unsigned char)v;
    tagd_buf_add(buf, bytes, n);
}

void tagd_buf_add_zigzag(struct tagd_buf *buf, int64_t v)
{
    tagd_buf_add_varint(buf, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

void tagd_buf_add_zigzag128(struct tagd_buf *buf, tagd_i128 v)
{
    unsigned __int128 u = ((unsigned __int128)v << 1) ^ (v < 0 ? ~(unsigned __int128)0 : 0);
    unsigned char bytes[19];
    size_t n = 0;

    for (; u >= 0x80; u >>= 7)
        bytes[n++] = (unsigned char)((unsigned)(u & 0x7F) | 0x80);
    bytes[n++] = (unsigned char)u;
    tagd_buf_add(buf, bytes, n);
}

void tagd_buf_free(struct tagd_buf *buf)
{
    free(buf->p);
    *buf = (struct tagd_buf){0};
}

/* Up to `bits` bits; only the shortest form of a number is well-formed. */
static unsigned __int128 read_leb(struct tagd_reader *reader, unsigned bits)
{
    unsigned __int128 v = 0;

    for (unsigned shift = 0; !reader->bad && shift < bits; shift += 7) {
        unsigned char b;

        if (reader->p == reader->end)
            break;
        b = *reader->p++;
        if (shift + 7 > bits && (b >> (bits - shift)) != 0)
            break;
        v |= (unsigned __int128)(b & 0x7Fu) << shift;
        if (b < 0x80) {
            if (b == 0 && shift > 0)
                break;
            return v;
        }
    }
    reader->bad = true;
    return 0;
}

/* Of at most nine bytes, as nearly all are. False, and nothing is read: it is longer, or malformed. */
static inline bool read_short(struct tagd_reader *reader, uint64_t *v)
{
    const unsigned char *p = reader->p;
    *v = 0;
    for (unsigned shift = 0; shift < 63 && p < reader->end; shift += 7) {
        unsigned char b = *p++;
        *v |= (uint64_t)(b & 0x7F) << shift;
        if (b >= 0x80)
            continue;
        if (reader->bad || (b == 0 && shift > 0))
            return false;
        reader->p = p;
        return true;
    }
    return false;
}

uint64_t tagd_read_varint_long(struct tagd_reader *reader)
{
    uint64_t v;

    return read_short(reader, &v) ? v : (uint64_t)read_leb(reader, 64);
}

tagd_i128 tagd_read_zigzag128_long(struct tagd_reader *reader)
{
    uint64_t v;
    unsigned __int128 u = read_short(reader, &v) ? v : read_leb(reader, 128);

    return (tagd_i128)((u >> 1) ^ (0 - (u & 1)));
}

struct tagd_str tagd_read_bytes(struct tagd_reader *reader, size_t n)
{
    struct tagd_str view = {"", 0};

    if (reader->bad || n > (size_t)(reader->end - reader->p)) {
        reader->bad = true;
        return view;
    }
    view = (struct tagd_str){(const char *)reader->p, n};
    reader->p += n;
    return view;
}
