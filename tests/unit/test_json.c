/* JSON read in place, against a byte-by-byte reference of the grammar and against cJSON's tree. */
#include "check.h"
#include "json_reference.h"

#define CASES 240000
#define NUMBERS 200000
#define TEXT_MAX 4096

static struct tagd_arena arena;

/* ---- made-up texts: the same ones every time ---- */

static uint64_t seed;

static uint32_t below(uint32_t n) /* SplitMix64 */
{
    uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

struct text {
    char p[TEXT_MAX];
    size_t n;
};

static void put(struct text *text, const char *z)
{
    size_t n = strlen(z);

    if (text->n + n <= sizeof(text->p)) {
        memcpy(text->p + text->n, z, n);
        text->n += n;
    }
}

static void put_one_of(struct text *text, const char *const *of, size_t n)
{
    put(text, of[below((uint32_t)n)]);
}
#define PUT_ONE_OF(text, of) put_one_of(text, of, sizeof(of) / sizeof(*(of)))

static void put_blanks(struct text *text)
{
    static const char *const blanks[] = {" ", "\n", "\t", "\r", "  \t", "\r\n"};

    if (below(6) == 0)
        PUT_ONE_OF(text, blanks);
}

static void put_digits(struct text *text, uint32_t most)
{
    for (uint32_t n = below(most) + 1; n > 0; n--)
        put(text, (const char[]){(char)('0' + below(10)), '\0'});
}

static void put_number(struct text *text)
{
    static const char *const special[] = {"0",
                                          "-0",
                                          "0.00005",
                                          "-0.00005",
                                          "0.00004999999999999",
                                          "100000000000",
                                          "100000000000.0001",
                                          "-100000000000",
                                          "99999999999.9999",
                                          "99999999999.99995",
                                          "999999999999999",
                                          "9007199254740993",
                                          "0.1000000000000000055511151231257827",
                                          "1e400",
                                          "-1E-400",
                                          "1.5e+3",
                                          "12345678901234567890123456789012345678901234567890123456789.123",
                                          "123456789012345678901234567890123456789012345678901234567890.123"};

    if (below(6) == 0) {
        PUT_ONE_OF(text, special);
        return;
    }
    if (below(3) == 0)
        put(text, "-");
    if (below(4) == 0) {
        put(text, "0");
    } else {
        put(text, (const char[]){(char)('1' + below(9)), '\0'});
        if (below(2))
            put_digits(text, below(10) == 0 ? 20 : 8);
    }
    if (below(2)) {
        put(text, ".");
        put_digits(text, below(10) == 0 ? 20 : 6);
        if (below(4) == 0)
            put(text, "5");
    }
    if (below(8) == 0) {
        static const char *const exponents[] = {"e", "E", "e+", "e-", "E-"};

        PUT_ONE_OF(text, exponents);
        put_digits(text, 3);
    }
}

static void put_string(struct text *text)
{
    static const char *const parts[] = {"a",
                                        "b",
                                        "name",
                                        "C0001",
                                        "a longer run of plain characters",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\/",
                                        "\\b\\f\\r",
                                        "\\t",
                                        "\\u0041",
                                        "\\u00e9",
                                        "\\u4ef7",
                                        "\\uFFFF",
                                        "\\u007f",
                                        "\\ud83d\\ude00",
                                        "\\uDBFF\\uDFFF",
                                        "价格",
                                        "é",
                                        "😀",
                                        "\x7f",
                                        "~",
                                        " ",
                                        "",
                                        "\xC2\x80",
                                        "\xEF\xBF\xBF"};

    put(text, "\"");
    for (uint32_t n = below(4); n > 0; n--)
        PUT_ONE_OF(text, parts);
    put(text, "\"");
}

static void put_name(struct text *text)
{
    static const char *const names[] = {"\"a\"",  "\"b\"",    "\"A\"",       "\"\"",
                                        "\"id\"", "\"data\"", "\"\\u0061\"", "\"subject\""};

    if (below(3))
        PUT_ONE_OF(text, names);
    else
        put_string(text);
}

static void put_value(struct text *text, uint32_t depth)
{
    static const char *const words[] = {"true", "false", "null"};
    uint32_t kind = below(depth > 0 ? 8 : 5);

    put_blanks(text);
    if (kind < 2) {
        put_string(text);
    } else if (kind < 4) {
        put_number(text);
    } else if (kind == 4) {
        PUT_ONE_OF(text, words);
    } else {
        bool object = kind < 7;

        put(text, object ? "{" : "[");
        for (uint32_t i = 0, n = below(5); i < n; i++) {
            if (i > 0)
                put(text, ",");
            put_blanks(text);
            if (object) {
                put_name(text);
                put_blanks(text);
                put(text, ":");
            }
            put_value(text, depth - 1);
        }
        put_blanks(text);
        put(text, object ? "}" : "]");
    }
    put_blanks(text);
}

/* Around the limit of depth. */
static void put_deep(struct text *text)
{
    uint32_t n = 60 + below(8);
    bool objects[68];

    for (uint32_t i = 0; i < n; i++) {
        objects[i] = below(2);
        put(text, objects[i] ? "{\"d\":" : "[");
    }
    put_value(text, 0);
    while (n > 0)
        put(text, objects[--n] ? "}" : "]");
}

static void cut(struct text *text, size_t at, size_t n)
{
    if (n > text->n - at)
        n = text->n - at;
    memmove(text->p + at, text->p + at + n, text->n - at - n);
    text->n -= n;
}

static void insert(struct text *text, size_t at, const char *p, size_t n)
{
    if (text->n + n > sizeof(text->p))
        return;
    memmove(text->p + at + n, text->p + at, text->n - at);
    memcpy(text->p + at, p, n);
    text->n += n;
}

static void spoil(struct text *text)
{
    static const char *const bits[] = {"{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       ":",
                                       "\"",
                                       "\\",
                                       "\\u",
                                       "\\u0000",
                                       "\\ud800",
                                       "\\udc00",
                                       "\\ud83dx",
                                       "\\x",
                                       "0",
                                       "1",
                                       "-",
                                       ".",
                                       "e",
                                       "E+",
                                       "tru",
                                       "nul",
                                       "\x01",
                                       "\x1f",
                                       "\x80",
                                       "\xC0\x80",
                                       "\xED\xA0\x80",
                                       "\xF4\x90\x80\x80",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xE4\xBB",
                                       "\xEF\xBB\xBF",
                                       "\xFF",
                                       "/",
                                       "'",
                                       " ",
                                       "\v",
                                       "NaN",
                                       "+"};
    size_t at = below((uint32_t)text->n + 1);
    const char *bit = bits[below(sizeof(bits) / sizeof(*bits))];

    switch (below(6)) {
    case 0: text->n = at; break;
    case 1: cut(text, at, below(4) + 1); break;
    case 2:
        if (at < text->n)
            text->p[at] = (char)below(256);
        break;
    case 3:
        if (at < text->n)
            text->p[at] ^= (char)(1 << below(8));
        break;
    default: insert(text, at, bit, strlen(bit));
    }
}

/* ---- what must hold ---- */

static void a_text_reads_as_the_reference_and_cjson_read_it(void)
{
    static struct text text;
    uint32_t sound = 0;

    seed = 1;
    for (uint32_t i = 0; i < CASES; i++) {
        text.n = 0;
        if (below(16) == 0)
            put_deep(&text);
        else
            put_value(&text, 3);
        for (uint32_t n = below(2) * (below(3) + 1); n > 0; n--)
            spoil(&text);
        CHECK(agree(text.p, text.n, &sound));
    }
    CHECK(sound > CASES / 4 && sound < CASES * 3 / 4);
}

static void every_cut_of_an_event_reads_as_the_reference_reads_it(void)
{
    static struct text text;
    uint32_t sound = 0;

    text.n = 0;
    put(&text,
        " {\"id\":\"e1\",\"a\\u0062\":\"价\\n\",\"n\":[-1.50e+3,true,false,null,{}],\"data\":{\"amount\":129.90}} ");
    for (; text.n > 0; text.n--)
        CHECK(agree(text.p, text.n, &sound));
    CHECK(agree(text.p, text.n, &sound) && sound == 2); /* whole, and without its last blank */
}

static void every_byte_at_every_place_of_a_string_reads_as_the_reference_reads_it(void)
{
    uint32_t sound = 0;

    for (unsigned c = 0; c < 256; c++)
        for (size_t at = 1; at < 19; at++) {
            char text[] = "\"1234567890123456789\"";

            text[at] = (char)c;
            CHECK(agree(text, sizeof(text) - 1, &sound));
        }
    CHECK(sound == 18 * (0x80 - 0x20 - 2)); /* all of ASCII but control characters, quote and backslash */
}

static void a_number_is_the_decimal_that_its_double_gives(void)
{
    static struct text text;

    seed = 2;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        text.n = 0;
        put_number(&text);
        if (text.n > TAGD_NUMBER_BYTES_MAX)
            continue;
        text.p[text.n] = '\0';
        CHECK(same_number((struct tagd_str){text.p, text.n}, strtod(text.p, NULL)));
    }
}

static void a_number_beyond_10_to_the_11_leaves_the_decimal_alone(void)
{
    int64_t decimal = 7;

    CHECK(!tagd_decimal_parse(TAGD_STR("100000000000.1"), &decimal) && decimal == 7);
    CHECK(!tagd_decimal_parse(TAGD_STR("1e12"), &decimal) && decimal == 7);
    CHECK(tagd_decimal_parse(TAGD_STR("-100000000000"), &decimal) && decimal == -TAGD_DECIMAL_MAX);
}

static void what_has_no_escapes_is_a_view_of_the_text(void)
{
    static const char text[] = "{\"plain\":\"价\",\"n\":12,\"es\\u0063\":\"\\n\"}";
    struct tagd_json_fault fault;
    const struct tagd_json *member;

    tagd_arena_reset(&arena);
    member = tagd_json_read((struct tagd_json_room){NULL, 0, &arena}, text, sizeof(text) - 1, &fault)->child;
    CHECK(member->name.p == text + 2 && member->text.p == text + 10 && member->text.n == 3);
    member = member->next;
    CHECK(member->text.p == text + 19 && member->text.n == 2);
    member = member->next;
    CHECK(same_text(member->name, "esc") && same_text(member->text, "\n") && !member->next);
}

static void of_members_of_one_name_the_last_is_found(void)
{
    static const char text[] = "{\"a\":1,\"b\":2,\"\\u0061\":3,\"aa\":4}";
    struct tagd_json_fault fault;
    const struct tagd_json *root;

    tagd_arena_reset(&arena);
    root = tagd_json_read((struct tagd_json_room){NULL, 0, &arena}, text, sizeof(text) - 1, &fault);
    CHECK(same_text(tagd_json_member(root, TAGD_STR("a"))->text, "3"));
    CHECK(!tagd_json_member(root, TAGD_STR("A")) && !tagd_json_member(root, TAGD_STR("")));
}

int main(void)
{
    RUN(a_text_reads_as_the_reference_and_cjson_read_it);
    RUN(every_cut_of_an_event_reads_as_the_reference_reads_it);
    RUN(every_byte_at_every_place_of_a_string_reads_as_the_reference_reads_it);
    RUN(a_number_is_the_decimal_that_its_double_gives);
    RUN(a_number_beyond_10_to_the_11_leaves_the_decimal_alone);
    RUN(what_has_no_escapes_is_a_view_of_the_text);
    RUN(of_members_of_one_name_the_last_is_found);
    tagd_arena_free(&arena);
    return DONE();
}
