/* Any bytes as an instant, a date, a duration, an offset from UTC and a number. Each is read as the slow and obvious readers
 * here read it, and what is written of it reads as the same. */
#include "fuzz.h"

#include <math.h>
#include <time.h>

struct scan {
    const char *p, *end;
};

static bool passes(struct scan *scan, char c)
{
    bool there = scan->p < scan->end && *scan->p == c;
    scan->p += there;
    return there;
}

/* From least to most digits. */
static bool digits(struct scan *scan, int least, int most, long *v)
{
    int n = 0;
    for (*v = 0; n < most && scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9'; n++)
        *v = *v % 10000 * 10 + *scan->p++ - '0'; /* no more than five are looked at */
    return n >= least;
}

static bool two(struct scan *scan, long least, long most, long *v)
{
    return digits(scan, 2, 2, v) && *v >= least && *v <= most;
}

/* The days to a date that is real: normalised it stays the same. */
static bool days_of(long year, long month, long day, int64_t *days)
{
    struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day}, kept = tm;
    time_t s = timegm(&tm);
    *days = s / 86400 - (s % 86400 < 0);
    return tm.tm_year == kept.tm_year && tm.tm_mon == kept.tm_mon && tm.tm_mday == kept.tm_mday;
}

static bool scan_offset(struct scan *scan, int64_t *ms)
{
    long hours, minutes;
    bool plus = passes(scan, '+');
    if ((!plus && !passes(scan, '-')) || !two(scan, 0, 23, &hours) || !passes(scan, ':') || !two(scan, 0, 59, &minutes))
        return false;
    *ms = (hours * 60 + minutes) * (plus ? 60000 : -60000);
    return true;
}

/* Milliseconds, by their digits; more are cut. */
static bool scan_fraction(struct scan *scan, long *ms)
{
    static const long scales[] = {100, 10, 1};
    long digit;
    int n = 0;
    *ms = 0;
    if (!passes(scan, '.'))
        return true;
    for (; digits(scan, 1, 1, &digit); n++)
        *ms += n < 3 ? digit * scales[n] : 0;
    return n > 0;
}

static bool scan_time(struct tagd_str text, int64_t *ms)
{
    struct scan scan = {text.p, text.p + text.n};
    long year, month, day, hour, minute, second, fraction;
    int64_t days, offset = 0;
    if (!digits(&scan, 4, 4, &year) || !passes(&scan, '-') || !two(&scan, 1, 12, &month) || !passes(&scan, '-') ||
        !two(&scan, 1, 31, &day) || !(passes(&scan, 'T') || passes(&scan, 't')) || !two(&scan, 0, 23, &hour) ||
        !passes(&scan, ':') || !two(&scan, 0, 59, &minute) || !passes(&scan, ':') || !two(&scan, 0, 60, &second) ||
        !scan_fraction(&scan, &fraction) || !days_of(year, month, day, &days))
        return false;
    if (!passes(&scan, 'Z') && !passes(&scan, 'z') && !scan_offset(&scan, &offset))
        return false;
    *ms = days * TAGD_MS_DAY + ((hour * 60 + minute) * 60 + second) * 1000 + fraction - offset;
    bool leap_at_midnight = second < 60 || ((*ms % TAGD_MS_DAY) + TAGD_MS_DAY) % TAGD_MS_DAY < 1000;
    return scan.p == scan.end && leap_at_midnight && *ms >= TAGD_TIME_MIN && *ms <= TAGD_TIME_MAX;
}

static void read_time(struct tagd_str text)
{
    char written[TAGD_TIME_TEXT];
    int64_t ms = 0, wanted = 0, again = 0;
    bool is = scan_time(text, &wanted);
    MUST(tagd_time_parse(text, &ms) == is && (!is || ms == wanted));
    if (!is)
        return;
    size_t n = tagd_time_format(ms, written);
    MUST(n == 24 && tagd_time_parse((struct tagd_str){written, n}, &again) && again == ms);
}

/* ---- dates ---- */

static bool skips(struct scan *scan, const char *z)
{
    size_t n = strlen(z);
    if ((size_t)(scan->end - scan->p) < n || memcmp(scan->p, z, n) != 0)
        return false;
    scan->p += n;
    return true;
}

static bool scan_date_with(struct tagd_str text, const char *const *behind, int least, int64_t *days)
{
    struct scan scan = {text.p, text.p + text.n};
    long year, month, day;
    return digits(&scan, 4, 4, &year) && skips(&scan, behind[0]) && digits(&scan, least, 2, &month) &&
           skips(&scan, behind[1]) && digits(&scan, least, 2, &day) && skips(&scan, behind[2]) && scan.p == scan.end &&
           days_of(year, month, day, days);
}

static bool scan_date(struct tagd_str text, int64_t *days)
{
    static const char *const forms[][3] = {
        {"-", "-", ""}, {"/", "/", ""}, {".", ".", ""}, {"年", "月", "日"}, {"", "", ""}};
    for (int i = 0; i < 5; i++)
        if (scan_date_with(text, forms[i], i == 4 ? 2 : 1, days))
            return true;
    return false;
}

static void read_date(struct tagd_str text)
{
    static const char *const iso[] = {"-", "-", ""};
    char written[TAGD_TIME_TEXT];
    int64_t days = 7, wanted = 0, again = 0;
    bool is = scan_date(text, &wanted);
    MUST(tagd_date_parse(text, &days) == is && days == (is ? wanted : 7));
    bool is_iso = scan_date_with(text, iso, 2, &wanted);
    MUST(tagd_date_parse_iso(text, &again) == is_iso && (!is_iso || again == wanted));
    if (!is)
        return;
    size_t n = tagd_date_format(days, written);
    MUST(tagd_date_parse_iso((struct tagd_str){written, n}, &again) && again == days);
    for (int64_t from = days; from < days + 800; from += 71) {
        int64_t until = tagd_days_until_return(days, from), years = tagd_years_since(days, from);
        MUST(until >= 0 && until <= 365 && years >= 0 && tagd_years_full(days, years) <= from);
        MUST(tagd_years_full(days, years + 1) > from);
    }
    MUST(tagd_years_since(days, days - 1) == -1);
    n = tagd_month_format(tagd_month_of(days), written);
    MUST(n == 7);
    tagd_date_format(days, written + 8);
    MUST(memcmp(written, written + 8, 7) == 0);
}

/* ---- durations, offsets, numbers ---- */

static void read_duration(struct tagd_str text)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}, {"w", 6.048e8}};
    size_t n = 0;
    int64_t ms = 0;
    double wanted = -1, number = 0;
    for (; n < text.n && text.p[n] >= '0' && text.p[n] <= '9'; n++)
        number = number * 10 + (text.p[n] - '0');
    for (size_t i = 0; i < 6 && n > 0; i++)
        if (tagd_str_eq((struct tagd_str){text.p + n, text.n - n}, tagd_str_of(units[i].name)))
            wanted = number * units[i].ms;
    bool is = wanted >= 0 && wanted <= 1e5 * TAGD_MS_DAY;
    MUST(tagd_duration_parse(text, &ms) == is && (!is || (double)ms == wanted));
}

static void read_zone(struct tagd_str text)
{
    struct scan scan = {text.p, text.p + text.n};
    int64_t ms = 0, wanted = 0;
    bool is = scan_offset(&scan, &wanted) && scan.p == scan.end && llabs(wanted) < 15 * 3600000LL;
    MUST(tagd_zone_parse(text, &ms) == is && (!is || ms == wanted));
}

/* One as JSON has them. */
static bool is_number(struct tagd_str text)
{
    struct scan scan = {text.p, text.p + text.n};
    long v;
    passes(&scan, '-');
    if (!passes(&scan, '0') && !(scan.p < scan.end && digits(&scan, 1, 1000, &v)))
        return false;
    if (passes(&scan, '.') && !digits(&scan, 1, 1000, &v))
        return false;
    if (passes(&scan, 'e') || passes(&scan, 'E')) {
        if (!passes(&scan, '+'))
            passes(&scan, '-');
        if (!digits(&scan, 1, 1000, &v))
            return false;
    }
    return scan.p == scan.end && text.n <= TAGD_NUMBER_BYTES_MAX;
}

static void read_number(struct tagd_str text)
{
    char z[TAGD_NUMBER_BYTES_MAX + 1], written[TAGD_DECIMAL_TEXT];
    int64_t decimal = 0, wanted = 0, again = 0;
    if (!is_number(text))
        return;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    double v = strtod(z, NULL), read = tagd_double_parse(text);
    MUST(read == v && !signbit(read) == !signbit(v));
    bool is = tagd_decimal_from_double(v, &wanted);
    MUST(tagd_decimal_parse(text, &decimal) == is &&
         (!is || (decimal == wanted && llabs(decimal) <= TAGD_DECIMAL_MAX)));
    if (!is)
        return;
    MUST(fabs(tagd_decimal_to_double(decimal) - v) <= 0.00005 + fabs(v) * 1e-14);
    size_t n = tagd_decimal_format(decimal, written);
    MUST(n <= TAGD_DECIMAL_TEXT && tagd_decimal_parse((struct tagd_str){written, n}, &again) && again == decimal);
    MUST(tagd_decimal_avg(decimal, 1) == tagd_decimal_to_double(decimal));
}

/* A sum and how many there were: 16 bytes and 5. */
static void read_mean(struct input in)
{
    char written[TAGD_DECIMAL_TEXT];
    tagd_i128 sum = (tagd_i128)(((unsigned __int128)take(&in, 8) << 64) | take(&in, 8)) >> (take(&in, 1) & 127);
    int64_t count = (int64_t)take(&in, 4) + 1;
    long double wanted = (long double)sum / (long double)count / TAGD_DECIMAL_ONE;
    double mean = tagd_decimal_avg(sum, count), least = nextafter((double)wanted, -INFINITY),
           most = nextafter((double)wanted, INFINITY);
    MUST(mean >= least && mean <= most);
    MUST(tagd_decimal_to_double(sum) == tagd_decimal_avg(sum, 1));
    MUST(tagd_decimal_format(sum, written) <= TAGD_DECIMAL_TEXT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = tagd_xmalloc(size + 1); /* so that a read past its end is seen */
    struct tagd_str text = {exact + 1, size};
    memcpy(exact + 1, data, size);
    read_time(text);
    read_date(text);
    read_duration(text);
    read_zone(text);
    read_number(text);
    read_mean((struct input){data, size});
    free(exact);
    return 0;
}
