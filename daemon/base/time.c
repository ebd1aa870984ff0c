#include "base/digits.h"
#include "base/text.h"
#include "tagd/base.h"

#include <stdio.h>
#include <string.h>

#define DURATION_MAX (INT64_C(100000) * TAGD_MS_DAY)

/* Two digits at p, or a number over 99 if they aren't. */
static unsigned two(const char *p)
{
    unsigned tens = (unsigned char)p[0] - '0', ones = (unsigned char)p[1] - '0';

    return tens > 9 || ones > 9 ? 1000 : tens * 10 + ones;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar, for years from 0 on: Howard Hinnant's days_from_civil, with
 * years that begin in March and are counted from one era of 400 years before the year 0. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = year + 400 - (month <= 2);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return (int64_t)(y * 365 + y / 4 - y / 100 + y / 400 + of_year) - 719468 - 146097;
}

/* The inverse: Howard Hinnant's civil_from_days. */
static void civil_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t era = tagd_floor_div(days + 719468, 146097);
    unsigned doe = (unsigned)(days + 719468 - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;

    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = yoe + era * 400 + (*month <= 2);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* True and *days set if there is such a day. */
static bool real_date(unsigned year, unsigned month, unsigned day, int64_t *days)
{
    static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1])
        return false;
    if (month == 2 && day == 29 && !is_leap(year))
        return false;
    *days = days_of(year, month, day);
    return true;
}

/* Four digits at p. */
static bool year_at(const char *p, unsigned *year)
{
    unsigned century = two(p), years = two(p + 2);

    *year = century * 100 + years;
    return century <= 99 && years <= 99;
}

/* "YYYY-MM-DD" at p, ten bytes. */
static bool date_at(const char *p, int64_t *days)
{
    unsigned year;

    return year_at(p, &year) && p[4] == '-' && p[7] == '-' && real_date(year, two(p + 5), two(p + 8), days);
}

/* "Z", "+hh:mm" or "-hh:mm", the whole of the n bytes. */
static bool offset_at(const char *p, size_t n, int64_t *ms)
{
    unsigned hours, minutes;

    *ms = 0;
    if (n == 1)
        return *p == 'Z' || *p == 'z';
    if (n != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
        return false;
    hours = two(p + 1);
    minutes = two(p + 4);
    if (hours > 23 || minutes > 59)
        return false;
    *ms = (int64_t)(hours * 60 + minutes) * 60000;
    if (p[0] == '-')
        *ms = -*ms;
    return true;
}

bool tagd_zone_parse(struct tagd_str text, int64_t *ms)
{
    return text.n == 6 && offset_at(text.p, text.n, ms) && *ms > -15 * INT64_C(3600000) && *ms < 15 * INT64_C(3600000);
}

/* Eight characters, digits where `form` has '0' and the same elsewhere: of each digit that another follows, their number
 * as two digits takes its place. False: they aren't. */
static inline bool pairs_of(uint64_t *eight, const char *form)
{
    uint64_t wanted = tagd_load8(form), no_digits = wanted ^ TAGD_EACH_BYTE('0'), found = *eight ^ wanted;
    uint64_t no_digit = (no_digits + TAGD_EACH_BYTE(0x7F)) >> 7 & TAGD_EACH_BYTE(1); /* 1 where there is none */
    uint64_t most = TAGD_EACH_BYTE(9) - 9 * no_digit;

    uint64_t over = (found & TAGD_EACH_BYTE(0x7F)) + TAGD_EACH_BYTE(0x7F) - most;

    if ((over | found) & TAGD_EACH_BYTE(0x80))
        return false;
    *eight = found * 10 + (found >> 8);
    return true;
}

/* The number of a pair at that place. */
static inline unsigned pair_at(uint64_t pairs, int place)
{
    return pairs >> 8 * place & 0xFF;
}

bool tagd_time_parse(struct tagd_str text, int64_t *ms)
{
    const char *p = text.p;
    unsigned hour, minute, second, fraction = 0;
    int64_t days, offset, result;
    uint64_t date, day;
    size_t at = 19;

    if (text.n < 20 || p[16] != ':')
        return false;
    date = tagd_load8(p);
    day = tagd_load8(p + 8) | UINT64_C(0x20) << 16; /* T or t */
    if (!pairs_of(&date, "0000-00-") || !pairs_of(&day, "00t00:00") ||
        !real_date(pair_at(date, 0) * 100 + pair_at(date, 2), pair_at(date, 5), pair_at(day, 0), &days))
        return false;
    hour = pair_at(day, 3);
    minute = pair_at(day, 6);
    second = two(p + 17);
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    if (p[at] == '.') {
        static const unsigned scales[] = {100, 10, 1};

        for (at++; at < text.n && p[at] >= '0' && p[at] <= '9'; at++)
            if (at < 23)
                fraction += (unsigned)(p[at] - '0') * scales[at - 20];
        if (at == 20)
            return false;
    }
    if (!offset_at(p + at, text.n - at, &offset))
        return false;
    result = days * TAGD_MS_DAY + (int64_t)((hour * 60 + minute) * 60 + second) * 1000 + fraction - offset;
    /* A leap second, which UTC inserts at a day's end, is the second after it. */
    if (second == 60 && result - tagd_floor_div(result, TAGD_MS_DAY) * TAGD_MS_DAY >= 1000)
        return false;
    if (result < TAGD_TIME_MIN || result > TAGD_TIME_MAX)
        return false;
    *ms = result;
    return true;
}

size_t tagd_date_format(int64_t days, char out[TAGD_TIME_TEXT])
{
    unsigned month, day;
    int64_t year;

    if (days < TAGD_TIME_MIN / TAGD_MS_DAY || days > TAGD_TIME_MAX / TAGD_MS_DAY) /* no such year in four digits */
        return (size_t)snprintf(out, TAGD_TIME_TEXT, "%s", days < 0 ? "-infinity" : "infinity");
    civil_of(days, &year, &month, &day);
    tagd_put_two(out, (unsigned)year / 100);
    tagd_put_two(out + 2, (unsigned)year % 100);
    out[4] = '-';
    tagd_put_two(out + 5, month);
    out[7] = '-';
    tagd_put_two(out + 8, day);
    out[10] = '\0';
    return 10;
}

int64_t tagd_month_of(int64_t days)
{
    unsigned month, day;
    int64_t year;
    civil_of(days, &year, &month, &day);
    return year * 12 + month - 1;
}

size_t tagd_month_format(int64_t month, char out[TAGD_TIME_TEXT])
{
    int64_t year = tagd_floor_div(month, 12);
    return (size_t)snprintf(out, TAGD_TIME_TEXT, "%04lld-%02lld", (long long)year, (long long)(month - year * 12 + 1));
}

size_t tagd_time_format(int64_t ms, char out[TAGD_TIME_TEXT])
{
    int64_t days = tagd_floor_div(ms, TAGD_MS_DAY), year;
    unsigned of_day, month, day;
    char *p = out;

    if (ms < TAGD_TIME_MIN || ms > TAGD_TIME_MAX)
        return tagd_date_format(days, out);
    of_day = (unsigned)(ms - days * TAGD_MS_DAY);
    civil_of(days, &year, &month, &day);
    p = tagd_put_two(p, (unsigned)year / 100);
    p = tagd_put_two(p, (unsigned)year % 100);
    *p++ = '-';
    p = tagd_put_two(p, month);
    *p++ = '-';
    p = tagd_put_two(p, day);
    *p++ = 'T';
    p = tagd_put_two(p, of_day / 3600000);
    *p++ = ':';
    p = tagd_put_two(p, of_day / 60000 % 60);
    *p++ = ':';
    p = tagd_put_two(p, of_day / 1000 % 60);
    *p++ = '.';
    *p++ = (char)('0' + of_day / 100 % 10);
    p = tagd_put_two(p, of_day % 100);
    *p++ = 'Z';
    *p = '\0';
    return (size_t)(p - out);
}

bool tagd_date_parse_iso(struct tagd_str text, int64_t *days)
{
    return text.n == 10 && date_at(text.p, days);
}

static bool skip(struct tagd_str *rest, const char *z)
{
    size_t n = strlen(z);

    if (rest->n < n || memcmp(rest->p, z, n) != 0)
        return false;
    *rest = (struct tagd_str){rest->p + n, rest->n - n};
    return true;
}

/* The number of one or two digits that the text begins with. */
static bool skip_number(struct tagd_str *rest, unsigned *number)
{
    size_t n = 0;

    *number = 0;
    for (; n < rest->n && n < 2 && rest->p[n] >= '0' && rest->p[n] <= '9'; n++)
        *number = *number * 10 + (unsigned)(rest->p[n] - '0');
    *rest = (struct tagd_str){rest->p + n, rest->n - n};
    return n > 0;
}

bool tagd_date_parse(struct tagd_str text, int64_t *days)
{
    static const struct {
        const char *year, *month, *day; /* what stands behind each */
    } forms[] = {{"-", "-", ""}, {"/", "/", ""}, {".", ".", ""}, {"年", "月", "日"}};
    unsigned year, month, day;

    if (text.n < 8 || !year_at(text.p, &year))
        return false;
    if (text.n == 8 && two(text.p + 4) <= 99 && two(text.p + 6) <= 99)
        return real_date(year, two(text.p + 4), two(text.p + 6), days);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tagd_str rest = {text.p + 4, text.n - 4};

        if (skip(&rest, forms[i].year) && skip_number(&rest, &month) && skip(&rest, forms[i].month) &&
            skip_number(&rest, &day) && skip(&rest, forms[i].day) && rest.n == 0)
            return real_date(year, month, day, days);
    }
    return false;
}

bool tagd_duration_parse(struct tagd_str text, int64_t *ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},        {"m", 60000},
                 {"h", 3600000}, {"d", TAGD_MS_DAY}, {"w", 7 * (int64_t)TAGD_MS_DAY}};
    int64_t number = 0;
    size_t at = 0;

    for (; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
        number = number * 10 + (text.p[at] - '0');
        if (number > DURATION_MAX)
            return false;
    }
    if (at == 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!tagd_str_eq((struct tagd_str){text.p + at, text.n - at}, tagd_str_of(units[i].name)))
            continue;
        if (number > DURATION_MAX / units[i].ms)
            return false;
        *ms = number * units[i].ms;
        return true;
    }
    return false;
}

/* The day on which month and day return in a year: 29 February on the 28th where there is none. */
static int64_t return_in(int64_t year, unsigned month, unsigned day)
{
    return days_of((unsigned)year, month, month == 2 && day == 29 && !is_leap(year) ? 28 : day);
}

int64_t tagd_days_until_return(int64_t date, int64_t today)
{
    int64_t year, born, next;
    unsigned month, day, m, d;

    civil_of(date, &born, &month, &day);
    civil_of(today, &year, &m, &d);
    next = return_in(year, month, day);
    return (next >= today ? next : return_in(year + 1, month, day)) - today;
}

int64_t tagd_years_since(int64_t date, int64_t today)
{
    int64_t year, born;
    unsigned month, day, m, d;

    if (date > today)
        return -1;
    civil_of(date, &born, &month, &day);
    civil_of(today, &year, &m, &d);
    return year - born - (return_in(year, month, day) > today);
}

int64_t tagd_years_full(int64_t date, int64_t years)
{
    int64_t born;
    unsigned month, day;

    civil_of(date, &born, &month, &day);
    return return_in(born + years, month, day);
}
