#include "base/digits.h"
#include "base/text.h"
#include "tagd/base.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tagd_buf_grow(struct tagd_buf *buf, size_t more)
{
    size_t cap = buf->cap ? buf->cap : 64;

    if (more > SIZE_MAX / 4 - buf->n)
        tagd_xmalloc(SIZE_MAX / 2);
    while (cap - buf->n < more)
        cap *= 2;
    buf->p = tagd_xrealloc(buf->p, cap);
    buf->cap = cap;
}

void tagd_buf_add_z(struct tagd_buf *buf, const char *z)
{
    tagd_buf_add(buf, z, strlen(z));
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

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Whether one of eight bytes does: no borrow reaches a byte but from one that does itself. */
static bool one_needs_escape(uint64_t eight)
{
    const uint64_t ones = TAGD_EACH_BYTE(1);
    uint64_t quote = eight ^ TAGD_EACH_BYTE('"'), backslash = eight ^ TAGD_EACH_BYTE('\\');

    return (((eight - TAGD_EACH_BYTE(0x20)) | (quote - ones) | (backslash - ones)) & ~eight & TAGD_EACH_BYTE(0x80)) !=
           0;
}

/* Every one of 1 to 7 bytes, some twice; blanks fill up. */
static uint64_t few_at(const char *p, size_t n)
{
    uint32_t first, last;
    char three[4] = {p[0], p[n / 2], p[n - 1], ' '};

    if (n < 4) {
        memcpy(&first, three, 4);
        return first | (uint64_t)first << 32;
    }
    memcpy(&first, p, 4);
    memcpy(&last, p + n - 4, 4);
    return first | (uint64_t)last << 32;
}

static bool is_plain(const char *p, size_t n)
{
    if (n < 8)
        return n == 0 || !one_needs_escape(few_at(p, n));
    for (size_t i = 0; i + 8 < n; i += 8)
        if (one_needs_escape(tagd_load8(p + i)))
            return false;
    return !one_needs_escape(tagd_load8(p + n - 8));
}

void tagd_buf_add_escaped(struct tagd_buf *buf, struct tagd_str s)
{
    size_t start = 0;

    if (is_plain(s.p, s.n)) {
        tagd_buf_add_str(buf, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!needs_escape((unsigned char)s.p[i]))
            continue;
        tagd_buf_add(buf, s.p + start, i - start);
        add_escape(buf, (unsigned char)s.p[i]);
        start = i + 1;
    }
    tagd_buf_add(buf, s.p + start, s.n - start);
}

void tagd_buf_add_json(struct tagd_buf *buf, struct tagd_str s)
{
    tagd_buf_reserve(buf, s.n + 2);
    tagd_buf_add_byte(buf, '"');
    tagd_buf_add_escaped(buf, s);
    tagd_buf_add_byte(buf, '"');
}

const char tagd_digit_pairs[201] = "00010203040506070809101112131415161718192021222324"
                                   "25262728293031323334353637383940414243444546474849"
                                   "50515253545556575859606162636465666768697071727374"
                                   "75767778798081828384858687888990919293949596979899";

/* Writes the digits so that they end before `end`; returns their first. */
static char *digits(char *end, uint64_t v)
{
    for (; v >= 100; v /= 100)
        tagd_put_two(end -= 2, (unsigned)(v % 100));
    if (v >= 10)
        tagd_put_two(end -= 2, (unsigned)v);
    else
        *--end = (char)('0' + (int)v);
    return end;
}

static char *digits128(char *end, unsigned __int128 v)
{
    for (; v > UINT64_MAX; v /= 10)
        *--end = (char)('0' + (int)(v % 10));
    return digits(end, (uint64_t)v);
}

static unsigned __int128 magnitude(tagd_i128 v)
{
    return v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
}

size_t tagd_u64_format(uint64_t v, char *out)
{
    char text[TAGD_INTEGER_TEXT], *end = text + sizeof(text), *p = digits(end, v);

    memcpy(out, p, (size_t)(end - p));
    return (size_t)(end - p);
}

size_t tagd_i64_format(int64_t v, char *out)
{
    if (v >= 0)
        return tagd_u64_format((uint64_t)v, out);
    out[0] = '-';
    return 1 + tagd_u64_format(0 - (uint64_t)v, out + 1);
}

struct tagd_str tagd_arena_i64(struct tagd_arena *arena, int64_t v)
{
    char *text = tagd_arena_alloc(arena, TAGD_INTEGER_TEXT);

    return (struct tagd_str){text, tagd_i64_format(v, text)};
}

void tagd_buf_add_i64(struct tagd_buf *buf, int64_t v)
{
    char text[TAGD_INTEGER_TEXT];

    tagd_buf_add(buf, text, tagd_i64_format(v, text));
}

/* The whole part's digits; *places: what stands behind the point. Numbers of 64 bits are divided far faster. */
static char *whole_digits(char *end, unsigned __int128 v, unsigned *places)
{
    if (v <= UINT64_MAX) {
        *places = (unsigned)((uint64_t)v % TAGD_DECIMAL_ONE);
        return digits(end, (uint64_t)v / TAGD_DECIMAL_ONE);
    }
    *places = (unsigned)(v % TAGD_DECIMAL_ONE);
    return digits128(end, v / TAGD_DECIMAL_ONE);
}

size_t tagd_decimal_format(tagd_i128 decimal, char out[TAGD_DECIMAL_TEXT])
{
    char text[48], *end = text + sizeof(text), *p;
    unsigned places;
    size_t n;

    p = whole_digits(end, magnitude(decimal), &places);
    if (decimal < 0)
        *--p = '-';
    n = (size_t)(end - p);
    memcpy(out, p, n);
    if (places == 0)
        return n;
    out[n] = '.';
    tagd_put_two(out + n + 1, places / 100);
    tagd_put_two(out + n + 3, places % 100);
    for (n += 5; out[n - 1] == '0';)
        n--;
    return n;
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

void tagd_buf_add_leb(struct tagd_buf *buf, unsigned __int128 v)
{
    char *p;

    tagd_buf_reserve(buf, 19);
    p = buf->p + buf->n;
    for (; v > UINT64_MAX; v >>= 7)
        *p++ = (char)((unsigned)(v & 0x7F) | 0x80);
    for (uint64_t rest = (uint64_t)v;; rest >>= 7) {
        if (rest < 0x80) {
            *p++ = (char)rest;
            break;
        }
        *p++ = (char)((unsigned)(rest & 0x7F) | 0x80);
    }
    buf->n = (size_t)(p - buf->p);
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
