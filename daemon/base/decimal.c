#include "tagd/base.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;

/* From the text "d.dddddddddddddde[+-]xx": 15 digits, of which those past the 4th place are rounded away. */
static int64_t round_text(double v)
{
    char text[40];
    int64_t number = 0;
    int exponent, drop;

    snprintf(text, sizeof(text), "%.14e", v);
    for (int i = 0; i < 16; i++)
        if (i != 1)
            number = number * 10 + (text[i] - '0');
    exponent = atoi(text + 17);
    drop = 10 - exponent; /* number has 14 - exponent places; keep 4 */
    if (drop > 15)
        return 0;
    for (; drop < 0; drop++)
        number *= 10;
    for (; drop > 1; drop--)
        number /= 10;
    return drop == 1 ? (number + 5) / 10 : number;
}

bool tagd_decimal_from_double(double v, int64_t *decimal)
{
    double size = fabs(v);
    int64_t near;

    if (!(size <= 1e11))
        return false;
    /* The double nearest to a decimal of at most 15 digits has that decimal as its 15-digit text. */
    near = (int64_t)(size * TAGD_DECIMAL_ONE + 0.5);
    if ((double)near / TAGD_DECIMAL_ONE != size)
        near = round_text(size);
    *decimal = v < 0 ? -near : near;
    return true;
}

/* A text of at most 15 digits, without exponent: their number, and how many stand behind the point. */
static bool few_digits(struct tagd_str text, uint64_t *number, unsigned *places)
{
    size_t point = text.n, n = 0;

    if (text.n > 16)
        return false;
    *number = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = (unsigned char)text.p[i] - (unsigned)'0';

        if (digit <= 9) {
            *number = *number * 10 + digit;
            n++;
        } else if (text.p[i] == '.') {
            point = i + 1;
        } else {
            return false;
        }
    }
    *places = (unsigned)(text.n - point);
    return n <= 15;
}

/* Decimals of at most 15 digits read as different doubles, and print as they were written: the text itself is rounded. */
bool tagd_decimal_parse(struct tagd_str number, int64_t *decimal)
{
    bool negative = number.n && number.p[0] == '-';
    uint64_t size;
    unsigned places;

    if (!few_digits((struct tagd_str){number.p + negative, number.n - negative}, &size, &places))
        return tagd_decimal_from_double(tagd_double_parse(number), decimal);
    for (; places < 4; places++)
        size *= 10;
    for (; places > 5; places--)
        size /= 10;
    if (places == 5)
        size = (size + 5) / 10;
    if (size > TAGD_DECIMAL_MAX)
        return false;
    *decimal = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

/* strtod wants a NUL, and the point of its locale. */
double tagd_double_parse(struct tagd_str number)
{
    char text[TAGD_NUMBER_BYTES_MAX + 1], *point;

    assert(number.n <= TAGD_NUMBER_BYTES_MAX);
    memcpy(text, number.p, number.n);
    text[number.n] = '\0';
    point = memchr(text, '.', number.n);
    if (point)
        *point = *localeconv()->decimal_point;
    return strtod(text, NULL);
}

static int bit_length(u128 v)
{
    uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;

    return high ? 128 - __builtin_clzll(high) : low ? 64 - __builtin_clzll(low) : 0;
}

/* num / den rounded once, half to even; num > 0, 0 < den < 2^80. */
static double quotient(u128 num, u128 den)
{
    int shift = 128 - bit_length(num), drop;
    u128 q, rest, half, kept;

    num <<= shift;
    q = num / den;
    rest = num % den;
    while (bit_length(q) < 56) { /* rest < den < 2^80, so it may be doubled */
        rest <<= 1;
        q <<= 1;
        shift++;
        if (rest >= den) {
            rest -= den;
            q |= 1;
        }
    }
    drop = bit_length(q) - 53;
    half = (u128)1 << (drop - 1);
    kept = q >> drop;
    q &= (half << 1) - 1;
    if (q > half || (q == half && (rest != 0 || (kept & 1))))
        kept++;
    return ldexp((double)(uint64_t)kept, drop - shift);
}

double tagd_decimal_avg(tagd_i128 sum, int64_t count)
{
    u128 den = (u128)count * TAGD_DECIMAL_ONE;
    u128 num = sum < 0 ? -(u128)sum : (u128)sum;
    double v;

    if (num == 0)
        return 0;
    if (num <= (u128)1 << 53 && den <= (u128)1 << 53)
        v = (double)(uint64_t)num / (double)(uint64_t)den;
    else
        v = quotient(num, den);
    return sum < 0 ? -v : v;
}

double tagd_decimal_to_double(tagd_i128 decimal)
{
    return tagd_decimal_avg(decimal, 1);
}
