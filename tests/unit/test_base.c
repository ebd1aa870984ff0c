#include "base/jsonc.h"
#include "base/pointer.h"
#include "base/set.h"
#include "check.h"
#include "tagd/base.h"

#include <math.h>

static struct tagd_str text_of(const struct tagd_buf *buf)
{
    return (struct tagd_str){buf->p, buf->n};
}

#define SAYS(buf, z) tagd_str_eq(text_of(&(buf)), tagd_str_of(z))

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- text ---- */

static void strings_compare_as_bytes_shorter_first(void)
{
    CHECK(tagd_str_cmp(TAGD_STR("a"), TAGD_STR("ab")) < 0);
    CHECK(tagd_str_cmp(TAGD_STR("b"), TAGD_STR("ab")) > 0);
    CHECK(tagd_str_cmp(TAGD_STR("\xC3"), TAGD_STR("a")) > 0);
    CHECK(tagd_str_cmp(TAGD_STR(""), TAGD_STR("")) == 0);
    CHECK(tagd_str_eq((struct tagd_str){NULL, 0}, TAGD_STR("")));
    CHECK(!tagd_str_eq(TAGD_STR("a\0b"), TAGD_STR("a\0c")));
}

static bool utf8(const char *z)
{
    return tagd_utf8_valid(z, strlen(z));
}

static void utf8_takes_all_well_formed_text_and_no_other(void)
{
    CHECK(tagd_utf8_valid("", 0) && tagd_utf8_valid("a\0b", 3));
    CHECK(utf8("plain text of more than eight bytes") && utf8("价值等级 \xF0\x9F\x98\x80 é"));
    CHECK(utf8("\xED\x9F\xBF") && utf8("\xEE\x80\x80") && utf8("\xF4\x8F\xBF\xBF"));
    CHECK(!utf8("\xC0\x80") && !utf8("\xC1\xBF") && !utf8("\xE0\x9F\xBF") && !utf8("\xF0\x8F\xBF\xBF"));
    CHECK(!utf8("\xED\xA0\x80") && !utf8("\xED\xBF\xBF"));
    CHECK(!utf8("\xF4\x90\x80\x80") && !utf8("\xF5\x80\x80\x80") && !utf8("\xFF"));
    CHECK(!utf8("abc\xE4\xBB") && !utf8("\x80") && !utf8("12345678\xC3"));
}

/* ---- arena, buffer ---- */

static void a_warm_arena_gives_the_same_memory_again(void)
{
    struct tagd_arena arena = {0};
    void *first[300];

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 300; i++) {
            void *p = tagd_arena_alloc(&arena, i * 7 + (i % 50 ? 0 : 100000));

            CHECK((uintptr_t)p % 16 == 0);
            if (round == 0)
                first[i] = p;
            CHECK(p == first[i]);
        }
        tagd_arena_reset(&arena);
    }
    CHECK(strcmp(tagd_arena_printf(&arena, "%s %d", "x", 7), "x 7") == 0);
    CHECK(tagd_arena_copy(&arena, "abc", 2).p[2] == '\0');
    for (const char *p = tagd_arena_zalloc(&arena, 64), *end = p + 64; p < end; p++)
        CHECK(*p == 0);
    tagd_arena_free(&arena);
    CHECK(arena.first == NULL && arena.cur == NULL);
}

static void json_strings_escape_what_rfc_8259_asks_for(void)
{
    struct tagd_buf buf = {0};

    tagd_buf_add_json(&buf, TAGD_STR("a\"b\\c/\n\t\b\f\r\x0b\x01\x1f\x7f价\0z"));
    CHECK(SAYS(buf, "\"a\\\"b\\\\c/\\n\\t\\b\\f\\r\\u000b\\u0001\\u001f\x7f价\\u0000z\""));
    buf.n = 0;
    tagd_buf_add_json(&buf, (struct tagd_str){NULL, 0});
    CHECK(SAYS(buf, "\"\""));
    tagd_buf_printf(&buf, "%0200d", 5);
    CHECK(buf.n == 202 && buf.p[201] == '5');
    tagd_buf_free(&buf);
    CHECK(buf.p == NULL && buf.n == 0 && buf.cap == 0);
}

static void add_by_bytes(struct tagd_buf *buf, struct tagd_str s)
{
    static const char letters[] = "btn?fr";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"' || c == '\\')
            tagd_buf_printf(buf, "\\%c", c);
        else if (c >= 8 && c <= 13 && c != 11)
            tagd_buf_printf(buf, "\\%c", letters[c - 8]);
        else if (c < 0x20)
            tagd_buf_printf(buf, "\\u%04x", c);
        else
            tagd_buf_add_byte(buf, c);
    }
}

/* Every byte at every place of texts around the lengths of words, between bytes of either side of the limits. */
static void a_byte_is_escaped_wherever_it_stands(void)
{
    static const unsigned char around[] = {' ', '!', '#', '[', ']', 0x7f, 0x80, 0xA2, 0xDC, 0xff, '"', 0x1f};
    struct tagd_buf buf = {0}, expected = {0};
    char text[26];

    for (size_t a = 0; a < sizeof(around); a++)
        for (size_t n = 0; n <= sizeof(text); n++) {
            memset(text, around[a], n);
            for (size_t at = 0; at < n; at++) {
                for (unsigned c = 0; c < 256; c++) {
                    text[at] = (char)c;
                    buf.n = expected.n = 0;
                    tagd_buf_add_escaped(&buf, (struct tagd_str){text, n});
                    add_by_bytes(&expected, (struct tagd_str){text, n});
                    CHECK(tagd_str_eq(text_of(&buf), text_of(&expected)));
                }
                text[at] = (char)around[a];
            }
        }
    buf.n = 0;
    tagd_buf_add_escaped(&buf, (struct tagd_str){NULL, 0});
    CHECK(buf.n == 0);
    tagd_buf_free(&buf);
    tagd_buf_free(&expected);
}

static void whole_numbers_are_written_as_printf_does(void)
{
    struct tagd_buf buf = {0};
    char text[32];

    for (int i = 0; i < 200000; i++) {
        int64_t v = i < 2000 ? i - 1000 : (int64_t)(next_random() >> (next_random() % 64));

        for (int64_t sign = -1; sign <= 1; sign += 2) {
            buf.n = 0;
            tagd_buf_add_i64(&buf, v == INT64_MIN ? v : sign * v);
            snprintf(text, sizeof(text), "%lld", (long long)(v == INT64_MIN ? v : sign * v));
            CHECK(SAYS(buf, text));
        }
    }
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10)
        for (int64_t v = power - 1; v <= power + 1; v++) {
            buf.n = 0;
            tagd_buf_add_i64(&buf, v);
            snprintf(text, sizeof(text), "%lld", (long long)v);
            CHECK(SAYS(buf, text));
        }
    tagd_buf_free(&buf);
}

static void a_varint_has_a_byte_for_each_seven_bits(void)
{
    static const struct {
        uint64_t v;
        struct tagd_str bytes;
    } cases[] = {{0, {"\0", 1}},
                 {1, {"\x01", 1}},
                 {0x7f, {"\x7f", 1}},
                 {0x80, {"\x80\x01", 2}},
                 {0x3fff, {"\xff\x7f", 2}},
                 {0x4000, {"\x80\x80\x01", 3}},
                 {UINT64_MAX, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}}};
    struct tagd_buf buf = {0}, wide = {0};
    const unsigned __int128 top = (unsigned __int128)1 << 127;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf.n = 0;
        tagd_buf_add_varint(&buf, cases[i].v);
        CHECK(tagd_str_eq(text_of(&buf), cases[i].bytes));
    }
    for (int i = 0; i < 100000; i++) {
        int64_t v = (int64_t)next_random() >> (next_random() % 64);

        buf.n = wide.n = 0;
        tagd_buf_add_zigzag(&buf, v);
        tagd_buf_add_zigzag128(&wide, v);
        CHECK(tagd_str_eq(text_of(&buf), text_of(&wide)));
    }
    wide.n = 0;
    tagd_buf_add_zigzag128(&wide, (tagd_i128)top);
    CHECK(wide.n == 19 && (unsigned char)wide.p[17] == 0xff && wide.p[18] == 3);
    tagd_buf_free(&buf);
    tagd_buf_free(&wide);
}

static void numbers_are_written_in_full(void)
{
    struct tagd_buf buf = {0};

    tagd_buf_add_i64(&buf, 0);
    tagd_buf_add_byte(&buf, ' ');
    tagd_buf_add_i64(&buf, INT64_MIN);
    tagd_buf_add_byte(&buf, ' ');
    tagd_buf_add_i64(&buf, INT64_MAX);
    CHECK(SAYS(buf, "0 -9223372036854775808 9223372036854775807"));
    tagd_buf_free(&buf);
}

static void varints_come_back_and_bad_ones_are_refused(void)
{
    static const int64_t values[] = {0, 1, -1, 63, 64, -64, -65, 127, 128, 1 << 20, INT64_MAX, INT64_MIN};
    struct tagd_buf buf = {0};
    struct tagd_reader reader;
    tagd_i128 big = (tagd_i128)INT64_MAX * INT64_MAX;
    tagd_i128 least = (tagd_i128)((unsigned __int128)1 << 127);

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        tagd_buf_add_varint(&buf, (uint64_t)values[i]);
        tagd_buf_add_zigzag(&buf, values[i]);
        tagd_buf_add_zigzag128(&buf, values[i]);
        tagd_buf_add_zigzag128(&buf, big * (values[i] % 3));
    }
    tagd_buf_add_zigzag128(&buf, least);
    reader = (struct tagd_reader){(unsigned char *)buf.p, (unsigned char *)buf.p + buf.n, false};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        CHECK(tagd_read_varint(&reader) == (uint64_t)values[i]);
        CHECK(tagd_read_zigzag(&reader) == values[i]);
        CHECK(tagd_read_zigzag128(&reader) == values[i]);
        CHECK(tagd_read_zigzag128(&reader) == big * (values[i] % 3));
    }
    CHECK(tagd_read_zigzag128(&reader) == least);
    CHECK(!reader.bad && reader.p == reader.end);
    CHECK(tagd_read_varint(&reader) == 0 && reader.bad);
    tagd_buf_free(&buf);

    static const struct tagd_str bad[] = {
        {"\x80", 1},
        {"\x80\x00", 2},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10},
        {"", 0},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11},
        {"\x80\x00 and more", 11}, /* so is what has enough behind it to be read at once */
        {"\xFF\xFF\x80\x00 and more", 13},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00 and more", 17},
    };
    for (unsigned bits = 7; bits < 64; bits++) { /* whatever follows */
        uint64_t v = UINT64_MAX >> (64 - bits), got;

        tagd_buf_add_varint(&buf, v);
        tagd_buf_add(&buf, "\xFF\x81\x00\x7F\x80\x01\xFF\xFF", 8);
        reader = (struct tagd_reader){(unsigned char *)buf.p, (unsigned char *)buf.p + buf.n, false};
        got = tagd_read_varint(&reader);
        CHECK(got == v && !reader.bad && reader.end - reader.p == 8);
        tagd_buf_free(&buf);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const unsigned char *p = (const unsigned char *)bad[i].p;

        reader = (struct tagd_reader){p, p + bad[i].n, false};
        CHECK(tagd_read_varint(&reader) == 0 && reader.bad);
        CHECK(tagd_read_bytes(&reader, 0).n == 0 && reader.bad);
    }
    reader = (struct tagd_reader){(const unsigned char *)"\x80\x01", (const unsigned char *)"\x80\x01" + 2, true};
    CHECK(tagd_read_varint(&reader) == 0 && tagd_read_zigzag128(&reader) == 0 && reader.bad);
    reader = (struct tagd_reader){(const unsigned char *)"abc", (const unsigned char *)"abc" + 3, false};
    CHECK(tagd_str_eq(tagd_read_bytes(&reader, 2), TAGD_STR("ab")) && !reader.bad);
    CHECK(tagd_read_bytes(&reader, 2).n == 0 && reader.bad);
}

/* ---- time ---- */

static int64_t time_of(const char *z)
{
    int64_t ms = 0;

    return tagd_time_parse(tagd_str_of(z), &ms) ? ms : TAGD_NEVER;
}

static void times_of_any_offset_are_cut_to_the_millisecond(void)
{
    CHECK(time_of("1970-01-01T00:00:00Z") == 0);
    CHECK(time_of("1970-01-01t00:00:00.001999999999999999999z") == 1);
    CHECK(time_of("2026-11-23T10:00:00.123+08:00") == time_of("2026-11-23T02:00:00.123Z"));
    CHECK(time_of("1969-12-31T23:59:59.9Z") == -100);
    CHECK(time_of("1970-01-01T00:00:00-23:59") == INT64_C(86340000));
    CHECK(time_of("9999-12-31T23:59:59.999Z") == TAGD_TIME_MAX);
    CHECK(time_of("0000-01-01T00:00:00Z") == INT64_C(-62167219200000));
    CHECK(time_of("2000-02-29T00:00:00Z") == INT64_C(951782400000));
}

/* Each character of a time, with every other in its place. */
static void a_time_takes_at_each_place_only_what_may_stand_there(void)
{
    static const char *const may[] = {"0123456789", "0123456789", "0123456789", "0123456789", "-",
                                      "01",         "012",        "-",          "012",        "0123456789",
                                      "Tt",         "012",        "0123456789", ":",          "012345",
                                      "0123456789", ":",          "012345",     "0123456789", "Zz"};
    for (size_t place = 0; place < sizeof may / sizeof *may; place++) {
        for (int c = 1; c < 256; c++) {
            char text[] = "2026-11-22T02:00:00Z";
            text[place] = (char)c;
            CHECK((time_of(text) != TAGD_NEVER) == (strchr(may[place], c) != NULL));
        }
    }
    CHECK(time_of("0123-10-29T14:56:37Z") == INT64_C(-58259639003000) &&
          time_of("7890-12-13T09:48:52.006Z") == INT64_C(186847120132006));
}

static void a_leap_second_is_the_second_after_it(void)
{
    CHECK(time_of("2016-12-31T23:59:60Z") == time_of("2017-01-01T00:00:00Z"));
    CHECK(time_of("2016-12-31T23:59:60.5Z") == time_of("2017-01-01T00:00:00.5Z"));
    CHECK(time_of("2017-01-01T05:29:60+05:30") == time_of("2017-01-01T00:00:00Z"));
    CHECK(time_of("2017-01-01T12:34:60Z") == TAGD_NEVER);
}

static void what_is_no_time_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "2026-11-23",
        "2026-11-23T10:00:00",
        "2026-11-23 10:00:00Z",
        "2026-11-23T10:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T10:60:00Z",
        "2026-11-23T10:00:61Z",
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-04-31T10:00:00Z",
        "2026-04-00T10:00:00Z",
        "2026-11-23T10:00:00.Z",
        "2026-11-23T10:00:00,5Z",
        "2026-11-23T10:00:00+0800",
        "2026-11-23T10:00:00+08",
        "2026-11-23T10:00:00+24:00",
        "2026-11-23T10:00:00+08:60",
        "2026-11-23T10:00:00Zx",
        " 2026-11-23T10:00:00Z",
        "+026-11-23T10:00:00Z",
        "2026-11-23T1 :00:00Z",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00+00:01",
        "12026-11-23T10:00:00Z",
        "2026-11-23T10:00:00Z ",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(time_of(bad[i]) == TAGD_NEVER);
}

static void times_and_dates_read_back_as_written(void)
{
    char out[TAGD_TIME_TEXT];
    int64_t back;

    CHECK(tagd_time_format(-1, out) == 24 && strcmp(out, "1969-12-31T23:59:59.999Z") == 0);
    CHECK(tagd_time_format(INT64_C(1795399200123), out) == 24 && strcmp(out, "2026-11-23T02:00:00.123Z") == 0);
    CHECK(tagd_time_format(TAGD_TIME_MAX, out) == 24 && strcmp(out, "9999-12-31T23:59:59.999Z") == 0);
    CHECK(tagd_time_format(TAGD_TIME_MIN, out) == 24 && strcmp(out, "0000-01-01T00:00:00.000Z") == 0);
    CHECK(tagd_time_format(TAGD_TIME_MAX + 1, out) == 8 && strcmp(out, "infinity") == 0);
    CHECK(tagd_time_format(TAGD_TIME_MIN - 1, out) == 9 && strcmp(out, "-infinity") == 0);
    CHECK(tagd_time_format(TAGD_NEVER, out) == 8 && tagd_time_format(INT64_MIN, out) == 9);
    for (int i = 0; i < 20000; i++) {
        int64_t ms =
            (int64_t)(next_random() % (uint64_t)(TAGD_TIME_MAX + INT64_C(62167219200000))) - INT64_C(62167219200000);

        CHECK(tagd_time_parse((struct tagd_str){out, tagd_time_format(ms, out)}, &back) && back == ms);
    }
    for (int64_t day = -719528; day <= 2932896; day++) {
        struct tagd_str text = {out, tagd_date_format(day, out)};

        CHECK(tagd_date_parse(text, &back) && back == day);
        CHECK(tagd_date_parse_iso(text, &back) && back == day);
        text.n = tagd_time_format((day + 1) * TAGD_MS_DAY - 1, out);
        CHECK(text.n == 24 && tagd_time_parse(text, &back) && back == (day + 1) * TAGD_MS_DAY - 1);
    }
    CHECK(tagd_date_parse(TAGD_STR("2024-02-29"), &back) && back == 19782);
    CHECK(!tagd_date_parse(TAGD_STR("2023-02-29"), &back));
    CHECK(!tagd_date_parse(TAGD_STR("2024-02-29T"), &back) && !tagd_date_parse(TAGD_STR(""), &back));
}

static void a_date_in_any_of_its_forms_is_the_same_day(void)
{
    static const char *const forms[] = {"2023-01-05", "2023/01/05", "2023.01.05",   "20230105",     "2023年01月05日",
                                        "2023-1-5",   "2023/1/5",   "2023.1.5",     "2023年1月5日", "2023-01-5",
                                        "2023/1/05",  "2023.01.5",  "2023年01月5日"};
    int64_t day;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        CHECK(tagd_date_parse(tagd_str_of(forms[i]), &day) && day == 19362);
        CHECK(tagd_date_parse_iso(tagd_str_of(forms[i]), &day) == (i == 0));
    }
    CHECK(tagd_date_parse(TAGD_STR("20240229"), &day) && day == 19782);
    CHECK(tagd_date_parse(TAGD_STR("2024年2月29日"), &day) && day == 19782);
    CHECK(tagd_date_parse(TAGD_STR("2023/12/31"), &day) && day == 19722);
}

static void what_is_no_date_with_its_year_first_is_refused(void)
{
    static const char *const bad[] = {
        "10/15/2023",
        "15.10.2023",
        "15-10-2023",
        "23-10-15",
        "2023-10/15",
        "2023/10-15",
        "2023.10-15",
        "2023/10.15",
        "2023年10-15",
        "2023年10月15",
        "2023-10-15日",
        "2023年10月15日 ",
        " 2023-10-15",
        "2023-10-15 ",
        "2023-010-15",
        "2023-10-015",
        "2023-10",
        "2023-10-",
        "2023--15",
        "2023-10-1x",
        "202310151",
        "2023101",
        "2023-1015",
        "202310-15",
        "20231315",
        "20230229",
        "2023/2/29",
        "2023.0.1",
        "2023/1/0",
        "2023-13-1",
        "2023-4-31",
        "2023年2月30日",
        "+023-1-5",
        "-2023-1-5",
        "12023-1-5",
        "2023 10 15",
        "2023_10_15",
        "2023-1-5T",
        "2023-10-15T00:00:00Z",
        "二〇二三年十月一日",
        "２０２３-10-15",
        "2023月10年15日",
    };
    int64_t day = 7;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!tagd_date_parse(tagd_str_of(bad[i]), &day) && day == 7);
}

/* A time keeps to RFC 3339, whatever a date may look like. */
static void a_time_has_its_date_in_one_form_only(void)
{
    CHECK(time_of("2023-01-05T00:00:00Z") == INT64_C(1672876800000));
    CHECK(time_of("2023/01/05T00:00:00Z") == TAGD_NEVER && time_of("2023.01.05T00:00:00Z") == TAGD_NEVER);
    CHECK(time_of("2023-1-5T00:00:00.00Z") == TAGD_NEVER && time_of("20230105T00:00:00.0Z") == TAGD_NEVER);
    CHECK(time_of("2023-01/05T00:00:00Z") == TAGD_NEVER && time_of("2023年1月5日T00:00:00Z") == TAGD_NEVER);
}

static int64_t duration_of(const char *z)
{
    int64_t ms = 0;

    return tagd_duration_parse(tagd_str_of(z), &ms) ? ms : -1;
}

static void durations_have_one_number_and_one_unit(void)
{
    CHECK(duration_of("500ms") == 500 && duration_of("90s") == 90000 && duration_of("15m") == 900000);
    CHECK(duration_of("2h") == 7200000 && duration_of("30d") == INT64_C(2592000000));
    CHECK(duration_of("12w") == INT64_C(7257600000) && duration_of("0s") == 0);
    CHECK(duration_of("100000d") == INT64_C(8640000000000) && duration_of("100001d") == -1);
    CHECK(duration_of("14286w") == -1 && duration_of("8640000000001ms") == -1);
    CHECK(duration_of("99999999999999999999ms") == -1);
    CHECK(duration_of("") == -1 && duration_of("s") == -1 && duration_of("5") == -1 && duration_of("-5s") == -1);
    CHECK(duration_of("1.5h") == -1 && duration_of("1h30m") == -1 && duration_of("5 s") == -1 &&
          duration_of("5y") == -1);
    CHECK(duration_of("5S") == -1);
}

static void a_time_zone_is_a_fixed_offset_of_less_than_fifteen_hours(void)
{
    static const char *const refused[] = {"",       "Z",      "+8:00",   "08:00",  "+0800",  "+08:60",
                                          "+15:00", "-15:00", "+08:00 ", "+0a:00", "+08:000"};
    int64_t ms;
    CHECK(tagd_zone_parse(TAGD_STR("+08:00"), &ms) && ms == 8 * 3600000);
    CHECK(tagd_zone_parse(TAGD_STR("-03:30"), &ms) && ms == -(3 * 3600000 + 30 * 60000));
    CHECK(tagd_zone_parse(TAGD_STR("+14:59"), &ms) && ms == 15 * 3600000 - 60000);
    CHECK(tagd_zone_parse(TAGD_STR("-00:00"), &ms) && ms == 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK(!tagd_zone_parse(tagd_str_of(refused[i]), &ms));
}

static void division_rounds_to_minus_infinity(void)
{
    CHECK(tagd_floor_div(7, 2) == 3 && tagd_floor_div(-7, 2) == -4 && tagd_floor_div(-8, 2) == -4);
    CHECK(tagd_floor_div(-1, 1000) == -1 && tagd_floor_div(INT64_MIN, 1) == INT64_MIN);
}

/* ---- decimals ---- */

static int64_t decimal_of(double v)
{
    int64_t decimal = -7;

    return tagd_decimal_from_double(v, &decimal) ? decimal : INT64_MIN;
}

static void decimals_round_half_away_from_zero_by_their_text(void)
{
    CHECK(decimal_of(129.90) == 1299000 && decimal_of(-129.90) == -1299000 && decimal_of(0) == 0 &&
          decimal_of(-0.0) == 0);
    CHECK(decimal_of(1.00005) == 10001 && decimal_of(-1.00005) == -10001 && decimal_of(1.00004999999999) == 10000);
    CHECK(decimal_of(0.00005) == 1 && decimal_of(0.00004999) == 0 && decimal_of(5e-324) == 0 && decimal_of(1e-10) == 0);
    CHECK(decimal_of(2.00015) == 20002 && decimal_of(1.00025) == 10003 && decimal_of(8.00035) == 80004);
    CHECK(decimal_of(1e11) == TAGD_DECIMAL_MAX && decimal_of(-1e11) == -TAGD_DECIMAL_MAX);
    CHECK(decimal_of(99999999999.9999) == INT64_C(999999999999999));
    CHECK(decimal_of(100000000000.0001) == INT64_MIN && decimal_of(HUGE_VAL) == INT64_MIN &&
          decimal_of(NAN) == INT64_MIN);
}

/* The same by the text alone. */
static int64_t decimal_by_text(double v)
{
    char text[64], digits[64];
    int64_t number = 0;
    int exponent, n = 0;

    snprintf(text, sizeof(text), "%.14e", fabs(v));
    exponent = atoi(strchr(text, 'e') + 1);
    snprintf(digits, sizeof(digits), "%c%.14s", text[0], text + 2);
    for (n = 0; n <= exponent + 4 + 1; n++) { /* one digit more than are kept */
        int at = n;
        number = number * 10 + (at < 15 ? digits[at] - '0' : 0);
    }
    number = exponent + 4 + 1 < 0 ? 0 : (number + 5) / 10;
    return v < 0 ? -number : number;
}

static void decimals_equal_those_of_the_text(void)
{
    for (int i = 0; i < 200000; i++) {
        int64_t units = (int64_t)(next_random() % (2 * (uint64_t)TAGD_DECIMAL_MAX)) - TAGD_DECIMAL_MAX;
        double v;

        units /= (int64_t)1 << (next_random() % 50);
        v = (double)units / 10000;
        CHECK(decimal_of(v) == units && decimal_by_text(v) == units);
        v = (double)units / (double)(1 + next_random() % 99999);
        CHECK(fabs(v) > 1e11 || decimal_of(v) == decimal_by_text(v));
        v = (double)units / 100000;
        CHECK(decimal_of(v) == decimal_by_text(v));
    }
}

static tagd_i128 random_i128(void)
{
    unsigned __int128 v = (unsigned __int128)next_random() << 64 | next_random();

    return (tagd_i128)v / ((tagd_i128)1 << (next_random() % 126));
}

static void a_decimal_becomes_the_nearest_double(void)
{
    struct tagd_buf buf = {0};

    for (int i = 0; i < 100000; i++) {
        tagd_i128 v = random_i128();

        buf.n = 0;
        tagd_buf_add_decimal(&buf, v);
        tagd_buf_add_byte(&buf, '\0');
        CHECK(strtod(buf.p, NULL) == tagd_decimal_to_double(v));
    }
    tagd_buf_free(&buf);
}

/* A count of 10^k only moves the decimal point, and strtod rounds once. */
static void an_average_is_rounded_once(void)
{
    struct tagd_buf buf = {0};
    char text[128];

    for (int i = 0; i < 100000; i++) {
        tagd_i128 v = random_i128();
        int64_t count = 1;
        int k = (int)(next_random() % 19);

        for (int j = 0; j < k; j++)
            count *= 10;
        buf.n = 0;
        tagd_buf_add_decimal(&buf, v);
        snprintf(text, sizeof(text), "%.*se-%d", (int)buf.n, buf.p, k);
        CHECK(strtod(text, NULL) == tagd_decimal_avg(v, count));
    }
    tagd_buf_free(&buf);
    CHECK(tagd_decimal_avg(0, 3) == 0 && !signbit(tagd_decimal_avg(0, 3)));
    CHECK(tagd_decimal_avg(10000, 3) == 1.0 / 3 && tagd_decimal_avg(-20000, 3) == -2.0 / 3);
    CHECK(tagd_decimal_avg((tagd_i128)TAGD_DECIMAL_MAX * 7, 7) == 1e11);
    CHECK(tagd_decimal_avg((tagd_i128)((unsigned __int128)1 << 127), INT64_MAX) == -1844674407370955.25);
    CHECK(tagd_decimal_avg((tagd_i128)1 << 100, INT64_MAX) == 13743895.3472);
    CHECK(tagd_decimal_avg(1, INT64_MAX) == 1e-4 / 9223372036854775807.0);
}

static void decimals_of_128_bits_are_written_too(void)
{
    const tagd_i128 past = (tagd_i128)1 << 64;
    struct tagd_buf buf = {0};

    tagd_buf_add_decimal(&buf, past - 1);
    tagd_buf_add_byte(&buf, ' ');
    tagd_buf_add_decimal(&buf, past);
    tagd_buf_add_byte(&buf, ' ');
    tagd_buf_add_decimal(&buf, -past * TAGD_DECIMAL_ONE);
    tagd_buf_add_byte(&buf, ' ');
    tagd_buf_add_decimal(&buf, (tagd_i128)((unsigned __int128)1 << 127));
    CHECK(SAYS(buf, "1844674407370955.1615 1844674407370955.1616 -18446744073709551616 "
                    "-17014118346046923173168730371588410.5728"));
    tagd_buf_free(&buf);
}

static void decimals_are_written_without_trailing_zeros(void)
{
    static const struct {
        int64_t v;
        const char *text;
    } cases[] = {{0, "0"},
                 {1, "0.0001"},
                 {-1, "-0.0001"},
                 {15000, "1.5"},
                 {-15000, "-1.5"},
                 {200000, "20"},
                 {-200000, "-20"},
                 {120, "0.012"},
                 {12345678, "1234.5678"},
                 {INT64_MIN, "-922337203685477.5808"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tagd_buf buf = {0};

        tagd_buf_add_decimal(&buf, cases[i].v);
        CHECK(SAYS(buf, cases[i].text));
        tagd_buf_free(&buf);
    }
}

static void doubles_are_written_as_short_as_reads_back(void)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {1, "1"},
                 {-20, "-20"},
                 {0.1, "0.1"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e21, "1e+21"},
                 {123456789012345.0, "123456789012345"},
                 {5e-324, "4.94065645841247e-324"},
                 {HUGE_VAL, "null"}};
    struct tagd_buf buf = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf.n = 0;
        tagd_buf_add_double(&buf, cases[i].v);
        CHECK(SAYS(buf, cases[i].text));
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random();
        double v;

        memcpy(&v, &bits, sizeof(v));
        buf.n = 0;
        tagd_buf_add_double(&buf, v);
        tagd_buf_add_byte(&buf, '\0');
        CHECK(!isfinite(v) || strtod(buf.p, NULL) == v);
    }
    tagd_buf_free(&buf);
}

/* ---- hashes ---- */

static void partitioners_agree_with_kafka(void)
{
    /* org.apache.kafka.common.utils.UtilsTest, masked positive */
    CHECK(tagd_murmur2(TAGD_STR("21")) == ((uint32_t)-973932308 & 0x7fffffff));
    CHECK(tagd_murmur2(TAGD_STR("foobar")) == ((uint32_t)-790332482 & 0x7fffffff));
    CHECK(tagd_murmur2(TAGD_STR("a-little-bit-long-string")) == ((uint32_t)-985981536 & 0x7fffffff));
    CHECK(tagd_murmur2(TAGD_STR("a-little-bit-longer-string")) == ((uint32_t)-1486304829 & 0x7fffffff));
    CHECK(tagd_murmur2(TAGD_STR("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")) ==
          ((uint32_t)-58897971 & 0x7fffffff));
    CHECK(tagd_murmur2(TAGD_STR("abc")) == 479470107);
    CHECK(tagd_crc32(TAGD_STR("123456789")) == 0xCBF43926);
    CHECK(tagd_crc32(TAGD_STR("")) == 0);
}

static void a_pair_hashes_by_both_and_by_where_they_part(void)
{
    struct tagd_hash128 one = tagd_hash_pair(TAGD_STR("ab"), TAGD_STR("c"));
    struct tagd_hash128 two = tagd_hash_pair(TAGD_STR("a"), TAGD_STR("bc"));
    struct tagd_hash128 same = tagd_hash_pair(TAGD_STR("ab"), TAGD_STR("c"));
    static char big[5000];
    struct tagd_hash128 long_one, long_two;

    CHECK(one.lo == same.lo && one.hi == same.hi);
    CHECK(one.lo != two.lo && one.hi != two.hi);
    memset(big, 'x', sizeof(big));
    for (size_t n = 480; n < 530; n++) {
        long_one = tagd_hash_pair((struct tagd_str){big, n}, (struct tagd_str){big, 7});
        long_two = tagd_hash_pair((struct tagd_str){big, n - 1}, (struct tagd_str){big, 8});
        CHECK(long_one.lo != long_two.lo);
    }
    CHECK(tagd_hash64(TAGD_STR("")) == UINT64_C(0x2D06800538D394C2));
}

/* ---- JSON ---- */

static bool json(const char *text, size_t n)
{
    struct tagd_json_fault fault;

    return tagd_json_check(text, n, &fault);
}

static void only_json_to_the_letter_passes_the_check(void)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " [1, -0.5e+3, 0, true, false, null, \"\"] \n",
        "\"\\ud83d\\ude00\\n\\/\"",
        "{\"a\":{\"b\":[[],{}]},\"c\":1}",
        "0",
        "\"价值\"",
        "[[1],[2]]",
        "1E9",
    };
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[,1]",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "tru",
        "truex",
        "nul",
        "NaN",
        "Infinity",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "{} x",
        "\"",
        "\"a",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\n12345\"",
        "\"\\udc00\"",
        "\"\\ud800\\ud800\"",
        "\"\\u0000\"",
        "\"\n\"",
        "\"\xC3\"",
        "\xEF\xBB\xBF{}",
        "// a\n1",
        "\v1",
        "[\xFF]",
        "--1",
        "]",
        "1111111111111111111111111111111111111111111111111111111111111111",
    };
    char deep[200];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(json(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!json(bad[i], strlen(bad[i])));
    CHECK(!json("1\0", 2) && !json("\"a\0b\"", 5));
    memset(deep, '[', 100);
    memset(deep + 64, ']', 64);
    CHECK(json(deep, 128));
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    CHECK(!json(deep, 130));
}

static void parsing_uses_the_arena_and_nothing_else(void)
{
    struct tagd_arena arena = {0};
    struct tagd_json_fault fault;
    const char text[] = {'{', '"', 'a', '"', ':', '[', '1', ',', '"', 'x', '"', ']', '}'};
    cJSON *own, *root = tagd_json_parse(&arena, text, sizeof(text), &fault);

    CHECK(root && strcmp(root->child->child->next->valuestring, "x") == 0);
    CHECK(strcmp(tagd_json_kind(root), "an object") == 0);
    own = cJSON_Parse("{\"b\":[true]}"); /* outside, cJSON allocates as ever */
    CHECK(own);
    cJSON_Delete(own);
    CHECK(!tagd_json_parse(&arena, "[1,", 3, &fault) && fault.offset == 3);
    tagd_arena_free(&arena);
}

static bool error_is(const struct tagd_error *error, const char *text)
{
    if (strcmp(error->text, text) == 0)
        return true;
    fprintf(stderr, "the error is:\n%s\n", error->text);
    return false;
}

static void refuses(const char *text, const char *message)
{
    struct tagd_error error = {""};

    CHECK(!tagd_jsonc_parse("f.json", text, strlen(text), &error));
    CHECK(error_is(&error, message));
}

static void comments_are_blanks_but_not_in_strings(void)
{
    const char *text = "// head \"quote\n{ /* \"x\": 1, \n */ \"url\": \"http://a/*b*/\", // tail\n\"q\\\"//\": 2 }//";
    struct tagd_error error;
    struct tagd_jsonc *jsonc = tagd_jsonc_parse("f.json", text, strlen(text), &error);

    CHECK(jsonc);
    CHECK(strcmp(tagd_jsonc_root(jsonc)->child->valuestring, "http://a/*b*/") == 0);
    CHECK(strcmp(tagd_jsonc_root(jsonc)->child->next->string, "q\"//") == 0);
    tagd_jsonc_free(jsonc);
    tagd_jsonc_free(NULL);
}

static void a_syntax_error_shows_its_line_with_a_caret(void)
{
    refuses("{\n  \"a\": 1,\n  \"b\" 2\n}", "f.json:3:7: expected ':'\n    \"b\" 2\n        ^");
    refuses("{\"价\": tru}", "f.json:1:7: expected a value\n  {\"价\": tru}\n         ^");
    refuses("{\t/* x", "f.json:1:3: the comment has no end; close it with */\n  {\t/* x\n   \t^");
    refuses("{} // \xFF", "f.json:1:7: invalid UTF-8; save the file as UTF-8\n  {} // ?\n        ^");
    refuses("", "f.json:1:1: the file says nothing; expected an object between { and }\n  \n  ^");
    refuses("[\r\n1,\r\n]", "f.json:3:1: expected a value\n  ]\n  ^");
}

static void a_key_given_twice_is_refused_at_the_second(void)
{
    refuses(
        "{\"m\": {\"a/b\": 1,\n \"c\": 2, \"a\\/b\": 3}}",
        "f.json:2:10: at /m/a~1b: the key \"a/b\" stands twice in this object; keep one\n   \"c\": 2, \"a\\/b\": 3}}\n"
        "           ^");
}

static void a_fault_is_shown_where_its_pointer_leads(void)
{
    const char *text = "{ \"t\": [\n  {\"when\": \"a \\u4ef7\\\"b\" /* c */}, 7 ]}";
    struct tagd_error error;
    struct tagd_jsonc *jsonc = tagd_jsonc_parse("c.json", text, strlen(text), &error);
    const char *line = "\n    {\"when\": \"a \\u4ef7\\\"b\" /* c */}, 7 ]}\n";
    char expected[256];
    struct tagd_buf pointer = {0};
    const cJSON *when;

    CHECK(jsonc);
    when = tagd_jsonc_root(jsonc)->child->child->child;
    tagd_jsonc_pointer_add(&pointer, "t");
    tagd_jsonc_pointer_add_index(&pointer, 0);
    tagd_jsonc_pointer_add(&pointer, "when");
    CHECK(strcmp(pointer.p, "/t/0/when") == 0);
    CHECK(!tagd_jsonc_fail(jsonc, &error, NULL, pointer.p, TAGD_JSONC_WHOLE, false, "found %d", 1));
    snprintf(expected, sizeof(expected), "c.json:2:12: at /t/0/when: found 1%s%*s^", line, 13, "");
    CHECK(error_is(&error, expected));
    tagd_jsonc_fail(jsonc, &error, when, NULL, 6, false, "b"); /* 3 bytes of the character, one of the quote */
    snprintf(expected, sizeof(expected), "c.json:2:23: at /t/0/when: b%s%*s^", line, 24, "");
    CHECK(error_is(&error, expected));
    tagd_jsonc_fail(jsonc, &error, NULL, "/t/0/when", 99, false, "end");
    snprintf(expected, sizeof(expected), "c.json:2:24: at /t/0/when: end%s%*s^", line, 25, "");
    CHECK(error_is(&error, expected));
    tagd_jsonc_fail(jsonc, &error, NULL, "/t/0/when", TAGD_JSONC_WHOLE, true, "key");
    snprintf(expected, sizeof(expected), "c.json:2:4: at /t/0/when: key%s%*s^", line, 5, "");
    CHECK(error_is(&error, expected));
    tagd_jsonc_fail(jsonc, &error, NULL, "/t/1", 0, false, "seven");
    snprintf(expected, sizeof(expected), "c.json:2:36: at /t/1: seven%s%*s^", line, 37, "");
    CHECK(error_is(&error, expected));
    tagd_jsonc_fail(jsonc, &error, NULL, "/t/0/missing/deeper", 5, false, "gone");
    snprintf(expected, sizeof(expected), "c.json:2:3: at /t/0/missing/deeper: gone%s%*s^", line, 4, "");
    CHECK(error_is(&error, expected));
    tagd_jsonc_fail(jsonc, &error, NULL, "", 0, false, "all");
    CHECK(error_is(&error, "c.json:1:1: at the top: all\n  { \"t\": [\n  ^"));
    tagd_buf_free(&pointer);
    tagd_jsonc_free(jsonc);
}

static void an_error_is_cut_between_characters(void)
{
    struct tagd_error error;
    char text[2000];

    CHECK(!tagd_fail(NULL, "x"));
    for (size_t lead = 0; lead < 3; lead++) {
        memset(text, 'a', lead);
        for (size_t i = lead; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "价", 4);
        CHECK(!tagd_fail(&error, "%s", text));
        CHECK(tagd_utf8_valid(error.text, strlen(error.text)) && strlen(error.text) >= sizeof(error.text) - 4);
    }
}

static int64_t day(const char *z)
{
    int64_t days;
    CHECK(tagd_date_parse(tagd_str_of(z), &days));
    return days;
}

static void a_date_returns_every_year_and_29_february_on_the_28th_where_there_is_none(void)
{
    static const struct {
        const char *date, *today;
        int64_t days;
    } rows[] = {
        {"1990-11-25", "2023-11-24", 1},   {"1990-11-25", "2023-11-25", 0},   {"1990-11-25", "2023-11-26", 365},
        {"2030-01-01", "2023-12-31", 1},   {"1990-12-31", "2023-12-31", 0},   {"1990-01-01", "2023-01-02", 364},
        {"2000-02-29", "2023-02-27", 1},   {"2000-02-29", "2023-02-28", 0},   {"2000-02-29", "2023-03-01", 365},
        {"2000-02-29", "2024-02-28", 1},   {"2000-02-29", "2024-02-29", 0},   {"2000-02-29", "2024-03-01", 364},
        {"2000-02-29", "2100-02-28", 0},   {"2000-02-29", "2099-03-01", 364}, {"2000-02-28", "2024-02-29", 365},
        {"1896-02-29", "1900-03-01", 364},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t days = tagd_days_until_return(day(rows[i].date), day(rows[i].today));
        if (days != rows[i].days)
            fprintf(stderr, "%s seen on %s: %lld\n", rows[i].date, rows[i].today, (long long)days);
        CHECK(days == rows[i].days);
    }
}

static void years_are_full_on_the_day_and_not_before(void)
{
    static const struct {
        const char *date, *today;
        int64_t years;
    } rows[] = {
        {"1990-11-25", "2023-11-24", 32},  {"1990-11-25", "2023-11-25", 33}, {"1990-11-25", "2023-12-31", 33},
        {"1990-11-25", "2024-01-01", 33},  {"2023-11-25", "2023-11-25", 0},  {"2023-11-25", "2024-11-24", 0},
        {"2023-11-26", "2023-11-25", -1},  {"2030-01-01", "2023-12-31", -1}, {"2000-02-29", "2001-02-27", 0},
        {"2000-02-29", "2001-02-28", 1},   {"2000-02-29", "2004-02-28", 3},  {"2000-02-29", "2004-02-29", 4},
        {"2000-02-29", "2100-02-28", 100}, {"1896-02-29", "1900-02-28", 4},  {"0000-01-01", "2023-01-01", 2023},
        {"2000-02-28", "2004-02-28", 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t date = day(rows[i].date), today = day(rows[i].today), years = tagd_years_since(date, today);
        if (years != rows[i].years)
            fprintf(stderr, "%s seen on %s: %lld\n", rows[i].date, rows[i].today, (long long)years);
        CHECK(years == rows[i].years);
        if (years >= 0)
            CHECK(tagd_years_full(date, years) <= today && tagd_years_full(date, years + 1) > today);
    }
    for (int64_t date = day("1995-01-01"); date <= day("2005-12-31"); date++) {
        CHECK(tagd_years_full(date, 0) == date);
        for (int64_t n = 1; n <= 9; n++) {
            int64_t full = tagd_years_full(date, n);
            CHECK(tagd_years_since(date, full) == n && tagd_years_since(date, full - 1) == n - 1);
            CHECK(tagd_days_until_return(date, full) == 0);
        }
    }
    CHECK(tagd_years_full(day("9999-12-31"), 20000) > tagd_years_full(day("9999-12-31"), 19999));
}

/* ---- JSON Pointer ---- */

static bool split(const char *text, struct tagd_arena *arena, struct tagd_pointer *pointer,
                  struct tagd_pointer_fault *fault)
{
    return tagd_pointer_split(tagd_str_of(text), arena, pointer, fault);
}

/* RFC 6901, section 5, and what it leaves to be found missing. */
static void a_pointer_leads_where_rfc_6901_says(void)
{
    static const char document[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,"
        "\" \":7,\"m~n\":8,\"twice\":9,\"twice\":10,\"tw\":11,\"~1\":12,\"\u4ef7\":13,\"01\":14}";
    static const struct {
        const char *pointer;
        int value; /* -1: nothing is there */
    } table[] = {{"/", 0},
                 {"/a~1b", 1},
                 {"/c%d", 2},
                 {"/e^f", 3},
                 {"/g|h", 4},
                 {"/i\\j", 5},
                 {"/k\"l", 6},
                 {"/ ", 7},
                 {"/m~0n", 8},
                 {"/twice", 10},
                 {"/tw", 11},
                 {"/~01", 12},
                 {"/\u4ef7", 13},
                 {"/01", 14},
                 {"/twic", -1},
                 {"/twicee", -1},
                 {"/foo/2", -1},
                 {"/foo/-", -1},
                 {"/foo/00", -1},
                 {"/foo/01", -1},
                 {"/foo/+1", -1},
                 {"/foo/1x", -1},
                 {"/foo/", -1},
                 {"/foo/9999999999999999999999", -1},
                 {"/foo/18446744073709551617", -1}, /* 2^64 + 1 */
                 {"/foo/0/x", -1},
                 {"//", -1},
                 {"/twice/x", -1}};
    struct tagd_arena arena = {0};
    struct tagd_json_fault wrong;
    struct tagd_pointer_fault fault;
    struct tagd_pointer pointer;
    const struct tagd_json *root =
        tagd_json_read((struct tagd_json_room){NULL, 0, &arena}, document, sizeof(document) - 1, &wrong);

    CHECK(root != NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CHECK(split(table[i].pointer, &arena, &pointer, &fault));
        const struct tagd_json *found = tagd_pointer_find(&pointer, root);
        if ((found ? atoi(found->text.p) : -1) != table[i].value) {
            fprintf(stderr, "%s\n", table[i].pointer);
            CHECK(false);
        }
    }
    CHECK(split("", &arena, &pointer, &fault) && tagd_pointer_find(&pointer, root) == root);
    CHECK(split("/foo", &arena, &pointer, &fault) && tagd_json_is(tagd_pointer_find(&pointer, root), TAGD_JSON_ARRAY));
    CHECK(split("/foo/1", &arena, &pointer, &fault));
    CHECK(tagd_str_eq(tagd_pointer_find(&pointer, root)->text, TAGD_STR("baz")));
    tagd_arena_free(&arena);
}

static void a_wrong_pointer_is_refused_where_it_is_wrong(void)
{
    static const struct {
        const char *text;
        size_t offset;
    } table[] = {{"a", 0}, {"a/b", 0}, {"#/a", 0}, {"/a~", 2}, {"/a~2", 2}, {"/~0~x", 3}};
    struct tagd_arena arena = {0};
    struct tagd_pointer_fault fault;
    struct tagd_pointer pointer;
    char text[300];

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        CHECK(!split(table[i].text, &arena, &pointer, &fault) && fault.offset == table[i].offset);
    memset(text, 'x', sizeof(text));
    text[0] = '/';
    text[TAGD_POINTER_BYTES_MAX] = '\0';
    CHECK(split(text, &arena, &pointer, &fault));
    text[TAGD_POINTER_BYTES_MAX] = 'x';
    text[TAGD_POINTER_BYTES_MAX + 1] = '\0';
    CHECK(!split(text, &arena, &pointer, &fault));
    memset(text, '/', TAGD_JSON_DEPTH_MAX);
    text[TAGD_JSON_DEPTH_MAX] = '\0';
    CHECK(split(text, &arena, &pointer, &fault) && pointer.n == TAGD_JSON_DEPTH_MAX);
    text[TAGD_JSON_DEPTH_MAX] = '/';
    text[TAGD_JSON_DEPTH_MAX + 1] = '\0';
    CHECK(!split(text, &arena, &pointer, &fault));
    tagd_arena_free(&arena);
}

/* ---- sets ---- */

static bool set_is(const uint64_t *set, uint32_t words, const char *members)
{
    struct tagd_buf text = {0};
    TAGD_EACH (i, set, words)
        tagd_buf_printf(&text, "%u ", i);
    bool same = tagd_str_eq((struct tagd_str){text.p, text.n}, tagd_str_of(members));
    tagd_buf_free(&text);
    return same;
}

static void a_sets_members_come_in_order_and_once_each(void)
{
    uint64_t set[4] = {0}, more[4] = {0};
    CHECK(set_is(set, 4, "") && set_is(set, 0, "") && tagd_set_empty(set, 4));
    static const uint32_t members[] = {200, 0, 63, 64, 130, 255, 63};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        tagd_set_add(set, members[i]);
    CHECK(set_is(set, 4, "0 63 64 130 200 255 ") && set_is(set, 2, "0 63 64 "));
    CHECK(tagd_set_has(set, 63) && tagd_set_has(set, 200) && !tagd_set_has(set, 1) && !tagd_set_has(set, 62));
    tagd_set_add(more, 70);
    tagd_set_add(more, 64);
    CHECK(!tagd_set_empty(more, 4) && tagd_set_empty(more, 1));
    tagd_set_join(set, more, 4);
    CHECK(set_is(set, 4, "0 63 64 70 130 200 255 ") && set_is(more, 4, "64 70 "));
    tagd_set_clear(set, 4);
    CHECK(set_is(set, 4, ""));
}

static void a_filled_set_has_all_numbers_below_its_end(void)
{
    for (uint32_t n = 0; n <= 192; n++) {
        uint64_t set[4] = {0};
        uint32_t members = 0;
        tagd_set_fill(set, n);
        TAGD_EACH (i, set, 4)
            members += i < n;
        CHECK(members == n && set[3] == 0 && (n == 192 || !tagd_set_has(set, n)));
    }
}

int main(void)
{
    RUN(a_pointer_leads_where_rfc_6901_says);
    RUN(a_wrong_pointer_is_refused_where_it_is_wrong);
    RUN(strings_compare_as_bytes_shorter_first);
    RUN(utf8_takes_all_well_formed_text_and_no_other);
    RUN(a_warm_arena_gives_the_same_memory_again);
    RUN(json_strings_escape_what_rfc_8259_asks_for);
    RUN(a_byte_is_escaped_wherever_it_stands);
    RUN(whole_numbers_are_written_as_printf_does);
    RUN(a_varint_has_a_byte_for_each_seven_bits);
    RUN(numbers_are_written_in_full);
    RUN(varints_come_back_and_bad_ones_are_refused);
    RUN(times_of_any_offset_are_cut_to_the_millisecond);
    RUN(a_time_takes_at_each_place_only_what_may_stand_there);
    RUN(a_leap_second_is_the_second_after_it);
    RUN(what_is_no_time_is_refused);
    RUN(times_and_dates_read_back_as_written);
    RUN(a_date_in_any_of_its_forms_is_the_same_day);
    RUN(what_is_no_date_with_its_year_first_is_refused);
    RUN(a_time_has_its_date_in_one_form_only);
    RUN(durations_have_one_number_and_one_unit);
    RUN(a_time_zone_is_a_fixed_offset_of_less_than_fifteen_hours);
    RUN(division_rounds_to_minus_infinity);
    RUN(decimals_round_half_away_from_zero_by_their_text);
    RUN(decimals_equal_those_of_the_text);
    RUN(a_decimal_becomes_the_nearest_double);
    RUN(an_average_is_rounded_once);
    RUN(decimals_are_written_without_trailing_zeros);
    RUN(decimals_of_128_bits_are_written_too);
    RUN(doubles_are_written_as_short_as_reads_back);
    RUN(partitioners_agree_with_kafka);
    RUN(a_pair_hashes_by_both_and_by_where_they_part);
    RUN(only_json_to_the_letter_passes_the_check);
    RUN(parsing_uses_the_arena_and_nothing_else);
    RUN(comments_are_blanks_but_not_in_strings);
    RUN(a_syntax_error_shows_its_line_with_a_caret);
    RUN(a_key_given_twice_is_refused_at_the_second);
    RUN(a_fault_is_shown_where_its_pointer_leads);
    RUN(an_error_is_cut_between_characters);
    RUN(a_date_returns_every_year_and_29_february_on_the_28th_where_there_is_none);
    RUN(years_are_full_on_the_day_and_not_before);
    RUN(a_sets_members_come_in_order_and_once_each);
    RUN(a_filled_set_has_all_numbers_below_its_end);
    return DONE();
}
