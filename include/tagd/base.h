/* base: what two rooms use at least: arena, buffer, text views, time, decimals, errors.
 * No I/O, no clock, no thread. Nothing here knows of events or catalogs. */
#ifndef TAGD_BASE_H
#define TAGD_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef __int128 tagd_i128;

/* ---- text views: not NUL-terminated, not owned ---- */
struct tagd_str {
    const char *p;
    size_t n;
};
#define TAGD_STR(lit) ((struct tagd_str){(lit), sizeof(lit) - 1})
static inline struct tagd_str tagd_str_of(const char *z)
{
    return (struct tagd_str){z, strlen(z)};
}
static inline bool tagd_str_eq(struct tagd_str a, struct tagd_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/* Byte order, as memcmp, shorter first: <0, 0, >0. */
int tagd_str_cmp(struct tagd_str a, struct tagd_str b);
/* True if the bytes are well-formed UTF-8 (no surrogates, no overlong forms). NUL is well-formed. */
bool tagd_utf8_valid(const char *p, size_t n);

/* ---- memory: running out of it aborts with a message; tagd never goes on without memory it needs ---- */
void *tagd_xmalloc(size_t n);
void *tagd_xcalloc(size_t n, size_t size);
void *tagd_xrealloc(void *p, size_t n);
char *tagd_xstrdup(const char *text); /* of NULL: NULL */

/* ---- arena: grows by chunks, freed as a whole; reset keeps the chunks, so a warm arena allocates nothing ---- */
struct tagd_arena {
    struct tagd_arena_chunk *first, *cur;
    size_t used; /* bytes used of cur */
};
void *tagd_arena_alloc(struct tagd_arena *arena, size_t n); /* aligned to 16, zeroed: no; never NULL */
void *tagd_arena_zalloc(struct tagd_arena *arena, size_t n);
struct tagd_str tagd_arena_copy(struct tagd_arena *arena, const char *p, size_t n); /* NUL-terminated copy */
const char *tagd_arena_printf(struct tagd_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tagd_arena_reset(struct tagd_arena *arena);
void tagd_arena_free(struct tagd_arena *arena);

/* ---- buffer: growing bytes ---- */
struct tagd_buf {
    char *p;
    size_t n, cap;
};
void tagd_buf_grow(struct tagd_buf *buf, size_t more); /* tagd_buf_reserve's, when there is no room */
static inline void tagd_buf_reserve(struct tagd_buf *buf, size_t more)
{
    if (buf->cap - buf->n < more)
        tagd_buf_grow(buf, more);
}
static inline void tagd_buf_add(struct tagd_buf *buf, const void *p, size_t n)
{
    if (n == 0)
        return;
    tagd_buf_reserve(buf, n);
    memcpy(buf->p + buf->n, p, n);
    buf->n += n;
}
static inline void tagd_buf_add_str(struct tagd_buf *buf, struct tagd_str s)
{
    tagd_buf_add(buf, s.p, s.n);
}
static inline void tagd_buf_add_byte(struct tagd_buf *buf, unsigned char b)
{
    tagd_buf_reserve(buf, 1);
    buf->p[buf->n++] = (char)b;
}
void tagd_buf_add_z(struct tagd_buf *buf, const char *z);
/* A literal, its length known to the compiler. */
#define TAGD_BUF_ADD(buf, lit) tagd_buf_add((buf), "" lit, sizeof(lit) - 1)
void tagd_buf_printf(struct tagd_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes; escapes what RFC 8259 asks for. */
void tagd_buf_add_json(struct tagd_buf *buf, struct tagd_str s);
void tagd_buf_add_escaped(struct tagd_buf *buf, struct tagd_str s); /* the same without the quotes */
void tagd_buf_add_i64(struct tagd_buf *buf, int64_t v);
#define TAGD_INTEGER_TEXT 20 /* bytes that these write at most */
/* Decimal digits, with a minus if need be. No NUL; returns the length. */
size_t tagd_i64_format(int64_t v, char *out);
size_t tagd_u64_format(uint64_t v, char *out);
struct tagd_str tagd_arena_i64(struct tagd_arena *arena, int64_t v); /* the same, in the arena */
/* LEB128: of any length, of 64 bits, and zigzag. */
void tagd_buf_add_leb(struct tagd_buf *buf, unsigned __int128 v);
static inline void tagd_buf_add_varint(struct tagd_buf *buf, uint64_t v)
{
    if (v < 0x80)
        tagd_buf_add_byte(buf, (unsigned char)v);
    else
        tagd_buf_add_leb(buf, v);
}
static inline void tagd_buf_add_zigzag(struct tagd_buf *buf, int64_t v)
{
    tagd_buf_add_varint(buf, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}
static inline void tagd_buf_add_zigzag128(struct tagd_buf *buf, tagd_i128 v)
{
    unsigned __int128 u = ((unsigned __int128)v << 1) ^ (v < 0 ? ~(unsigned __int128)0 : 0);

    if (u < 0x80)
        tagd_buf_add_byte(buf, (unsigned char)u);
    else
        tagd_buf_add_leb(buf, u);
}
void tagd_buf_free(struct tagd_buf *buf); /* frees the bytes, zeroes the struct */

/* ---- reader over bytes: after a read past the end or a malformed number, `bad` is set and 0 is returned ---- */
struct tagd_reader {
    const unsigned char *p, *end;
    bool bad;
};
uint64_t tagd_read_varint_long(struct tagd_reader *reader); /* of any length, as are: */
tagd_i128 tagd_read_zigzag128_long(struct tagd_reader *reader);
/* Of two to eight bytes that have eight before the end, all at once. False, and nothing is read: it is of another length,
 * or malformed. */
static inline bool tagd_read_word(struct tagd_reader *reader, uint64_t *v)
{
    uint64_t word, ends;
    if (reader->end - reader->p < 8 || reader->bad)
        return false;
    memcpy(&word, reader->p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    ends = ~word & 0x8080808080808080;
    if (ends == 0)
        return false;
    unsigned end = (unsigned)__builtin_ctzll(ends); /* the last byte's highest bit */
    word &= UINT64_MAX >> (63 - end);
    if (end == 7 || word >> (end - 7) == 0)
        return false;
    /* the seven bits of each byte move together */
    word = (word & 0x007F007F007F007F) | (word & 0x7F007F007F007F00) >> 1;
    word = (word & 0x00003FFF00003FFF) | (word & 0x3FFF00003FFF0000) >> 2;
    *v = (word & 0x000000000FFFFFFF) | (word & 0x0FFFFFFF00000000) >> 4;
    reader->p += end / 8 + 1;
    return true;
}
/* A reader of which only these know stays in registers. */
static inline uint64_t tagd_read_varint(struct tagd_reader *reader)
{
    uint64_t v;
    if (reader->p < reader->end && *reader->p < 0x80 && !reader->bad)
        return *reader->p++;
    if (tagd_read_word(reader, &v))
        return v;
    struct tagd_reader at = *reader;
    v = tagd_read_varint_long(&at);
    *reader = at;
    return v;
}
static inline int64_t tagd_read_zigzag(struct tagd_reader *reader)
{
    uint64_t u = tagd_read_varint(reader);
    return (int64_t)((u >> 1) ^ (0 - (u & 1)));
}
static inline tagd_i128 tagd_read_zigzag128(struct tagd_reader *reader)
{
    uint64_t u;
    if (reader->p < reader->end && *reader->p < 0x80 && !reader->bad)
        u = *reader->p++;
    else if (!tagd_read_word(reader, &u)) {
        struct tagd_reader at = *reader;
        tagd_i128 v = tagd_read_zigzag128_long(&at);
        *reader = at;
        return v;
    }
    return (int64_t)((u >> 1) ^ (0 - (u & 1)));
}
struct tagd_str tagd_read_bytes(struct tagd_reader *reader, size_t n); /* a view */

/* ---- time: milliseconds since 1970-01-01T00:00:00Z ---- */
#define TAGD_NEVER INT64_MAX            /* later than every instant */
#define TAGD_TIME_MAX 253402300799999   /* 9999-12-31T23:59:59.999Z */
#define TAGD_TIME_MIN (-62167219200000) /* 0000-01-01T00:00:00Z */
#define TAGD_MS_DAY 86400000
/* RFC 3339 with any offset, cut to the millisecond. False: not a time. */
bool tagd_time_parse(struct tagd_str text, int64_t *ms);
#define TAGD_TIME_TEXT 32 /* bytes that tagd_time_format writes at most, NUL included */
/* "2026-11-23T02:00:00.123Z": always three digits and Z. Returns the length. */
size_t tagd_time_format(int64_t ms, char out[TAGD_TIME_TEXT]);
/* A real date of the Gregorian calendar, of a year of four digits that stands first, as people and systems write it:
 * 2023-10-15, 2023/10/15 or 2023.10.15 (one separator, month and day of one or two digits), 20231015, or 2023年10月15日
 * (one or two digits) -> days since 1970-01-01, so that the same date is the same value. False: none of these; *days is
 * left alone. */
bool tagd_date_parse(struct tagd_str text, int64_t *days);
#define TAGD_DATE_FORMS "2023-10-15, 2023/10/15, 2023.10.15, 20231015 or 2023年10月15日" /* for messages */
/* "YYYY-MM-DD" and nothing else. */
bool tagd_date_parse_iso(struct tagd_str text, int64_t *days);
/* "YYYY-MM-DD", whatever form it came in. Returns the length. */
size_t tagd_date_format(int64_t days, char out[TAGD_TIME_TEXT]);
/* A month, counted from January of the year 0, that a day is in; and "YYYY-MM" of one. Returns the length. */
int64_t tagd_month_of(int64_t days);
size_t tagd_month_format(int64_t month, char out[TAGD_TIME_TEXT]);
/* Days from `today` to the next yearly return of `date` (both in days since 1970-01-01), 0 on the day itself, at most
 * 365. 29 February returns on the 28th in years that have none. Proleptic Gregorian calendar. */
int64_t tagd_days_until_return(int64_t date, int64_t today);
/* Whole years from `date` to `today`: the yearly returns of the date, as above, that have come since. -1: the date is
 * still ahead. */
int64_t tagd_years_since(int64_t date, int64_t today);
/* The day on which `years` whole years since the date are full: the date itself for 0. years >= 0, at most 20000. */
int64_t tagd_years_full(int64_t date, int64_t years);
/* "500ms" "90s" "15m" "2h" "30d" "12w", one number and one unit, digits only, at most 100,000 days. */
bool tagd_duration_parse(struct tagd_str text, int64_t *ms);
/* A fixed offset from UTC, "+08:00" or "-03:30", at most 14 hours and 59 minutes -> what local time is ahead by, ms. */
bool tagd_zone_parse(struct tagd_str text, int64_t *ms);
/* Quotient rounded to minus infinity; b > 0. */
static inline int64_t tagd_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* ---- decimals: fixed-point, 4 places, so 1.5 is 15000 ---- */
#define TAGD_DECIMAL_ONE 10000
#define TAGD_DECIMAL_MAX 1000000000000000 /* 10^11 as a decimal */
/* The double's decimal text with 15 digits, rounded half away from zero to 4 places. False: not finite or |v| > 10^11.
 */
bool tagd_decimal_from_double(double v, int64_t *decimal);
/* The same of the double that a number of JSON reads as, by its text. */
bool tagd_decimal_parse(struct tagd_str number, int64_t *decimal);
#define TAGD_NUMBER_BYTES_MAX 63 /* of a number's text */
double tagd_double_parse(struct tagd_str number);
double tagd_decimal_to_double(tagd_i128 decimal); /* correctly rounded */
/* The exact quotient sum / count rounded once to a double; count > 0. */
double tagd_decimal_avg(tagd_i128 sum, int64_t count);
#define TAGD_DECIMAL_TEXT 48
/* Without trailing zeros: -1.5, 20. No NUL; returns the length. */
size_t tagd_decimal_format(tagd_i128 decimal, char out[TAGD_DECIMAL_TEXT]);
void tagd_buf_add_decimal(struct tagd_buf *buf, tagd_i128 decimal); /* the same text */
void tagd_buf_add_double(struct tagd_buf *buf, double v);           /* shortest text that reads back the same */

/* ---- histograms of times ---- */
/* By size: counts[i] are those of at most tagd_histogram_bounds_us[i], and more than the bound before; the last are
 * beyond all bounds. */
#define TAGD_HISTOGRAM_BOUNDS 20
extern const int64_t tagd_histogram_bounds_us[TAGD_HISTOGRAM_BOUNDS];
struct tagd_histogram {
    uint64_t counts[TAGD_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};
/* One writer; others may read meanwhile, by relaxed atomic loads. A negative time counts as none. */
void tagd_histogram_add(struct tagd_histogram *histogram, int64_t us);

/* ---- hashes ---- */
/* 128 bits of XXH3 over a, a NUL-safe separator (its length) and b. */
struct tagd_hash128 {
    uint64_t lo, hi;
};
struct tagd_hash128 tagd_hash_pair(struct tagd_str a, struct tagd_str b);
uint64_t tagd_hash64(struct tagd_str s);
/* Kafka's partitioners: the Java clients' murmur2 (already masked positive) and zlib's CRC-32. */
uint32_t tagd_murmur2(struct tagd_str key);
uint32_t tagd_crc32(struct tagd_str key);

/* ---- a JSON Pointer (RFC 6901), split; owned by whoever made it ---- */
#define TAGD_POINTER_BYTES_MAX 256
struct tagd_pointer {
    struct tagd_str text;          /* as written */
    const struct tagd_str *tokens; /* NUL-terminated, ~0 and ~1 undone */
    size_t n;                      /* 0: the whole document */
};

/* ---- errors: one sentence with the place and the remedy ---- */
struct tagd_error {
    char text[1024];
};
/* Sets the text; returns false, so that `return tagd_fail(error, ...)` reads well. error may be NULL. */
bool tagd_fail(struct tagd_error *error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
