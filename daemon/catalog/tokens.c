/* Characters, tokens and literals of expressions; errors with their place. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/expression.h"

void *tagd_parse_fail(struct parse *parse, size_t at, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tagd_jsonc_fail(parse->jsonc, parse->error, NULL, parse->pointer, at, false, "%s", text);
    return NULL;
}

/* ---- characters and tokens ---- */

bool tagd_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
bool tagd_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_name(char c)
{
    return tagd_is_letter(c) || tagd_is_digit(c) || c == '_' || c == '-';
}
char tagd_parse_peek(const struct parse *parse)
{
    return parse->at < parse->n ? parse->text[parse->at] : '\0';
}
void tagd_parse_skip_space(struct parse *parse)
{
    while (parse->at < parse->n && strchr(" \t\r\n", parse->text[parse->at]) && parse->text[parse->at])
        parse->at++;
}

struct tagd_str tagd_parse_take_name(struct parse *parse)
{
    tagd_parse_skip_space(parse);
    size_t start = parse->at;
    if (!tagd_is_letter(tagd_parse_peek(parse)) && tagd_parse_peek(parse) != '_')
        return (struct tagd_str){parse->text + start, 0};
    while (parse->at < parse->n &&
           (is_name(parse->text[parse->at]) ||
            (parse->text[parse->at] == '.' && parse->at + 1 < parse->n && is_name(parse->text[parse->at + 1]))))
        parse->at++;
    return (struct tagd_str){parse->text + start, parse->at - start};
}

bool tagd_parse_take(struct parse *parse, const char *token)
{
    tagd_parse_skip_space(parse);
    size_t n = strlen(token);
    if (parse->n - parse->at < n || memcmp(parse->text + parse->at, token, n) != 0)
        return false;
    parse->at += n;
    return true;
}

bool tagd_parse_take_word(struct parse *parse, const char *word)
{
    size_t start = (tagd_parse_skip_space(parse), parse->at);
    if (tagd_str_eq(tagd_parse_take_name(parse), tagd_str_of(word)))
        return true;
    parse->at = start;
    return false;
}

const char *tagd_parse_found(struct parse *parse, char out[80])
{
    tagd_parse_skip_space(parse);
    if (parse->at >= parse->n)
        return "the end";
    size_t n = 1;
    if (is_name(parse->text[parse->at])) {
        while (parse->at + n < parse->n && n < 60 && is_name(parse->text[parse->at + n]))
            n++;
    } else {
        while (parse->at + n < parse->n && ((unsigned char)parse->text[parse->at + n] & 0xC0) == 0x80)
            n++;
    }
    snprintf(out, 80, "'%.*s'", (int)n, parse->text + parse->at);
    return out;
}

bool tagd_parse_expect(struct parse *parse, const char *token, const char *where)
{
    char text[80];
    if (tagd_parse_take(parse, token))
        return true;
    const char *what = tagd_parse_found(parse, text);
    tagd_parse_fail(parse, parse->at, "expected '%s' %s, found %s", token, where, what);
    return false;
}

/* ---- nodes ---- */

struct tagd_node *tagd_parse_node(struct parse *parse, enum tagd_node_kind kind, enum tagd_type type, size_t start)
{
    struct tagd_node *node = tagd_arena_zalloc(&parse->catalog->arena, sizeof *node);
    node->kind = kind;
    node->type = type;
    node->flat = true;
    node->text = (struct tagd_str){parse->text + start, parse->at - start};
    return node;
}

size_t tagd_parse_start_of(const struct parse *parse, const struct tagd_node *node)
{
    return (size_t)(node->text.p - parse->text);
}

/* ---- literals ---- */

/* A quoted string's content in the arena. Either quote; a backslash takes the next character as it is. It may become a
 * tag, so it is no longer than any string of an event. */
bool tagd_parse_take_string(struct parse *parse, struct tagd_str *out)
{
    size_t start = parse->at;
    char quote = parse->text[parse->at++];
    char *copy = tagd_arena_alloc(&parse->catalog->arena, parse->n - parse->at + 1);
    size_t n = 0;
    while (parse->at < parse->n && parse->text[parse->at] != quote) {
        if (parse->text[parse->at] == '\\' && parse->at + 1 < parse->n)
            parse->at++;
        copy[n++] = parse->text[parse->at++];
    }
    if (parse->at >= parse->n)
        return tagd_parse_fail(parse, start, "this string is not closed: expected %c", quote), false;
    parse->at++;
    if (n > TAGD_STRING_MAX)
        return tagd_parse_fail(parse, start, "this string has %zu bytes; a string has at most %d", n, TAGD_STRING_MAX),
               false;
    copy[n] = '\0';
    *out = (struct tagd_str){copy, n};
    return true;
}

/* The value of a number's text: exact if it has at most 4 places and is within range, else a double. */
static struct tagd_val number_value(const char *text, size_t n)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    double f = strtod(copy, NULL);
    const char *dot = memchr(text, '.', n);
    size_t end = n;
    while (dot && text[end - 1] == '0')
        end--;
    bool places_fit = !dot || text + end - dot <= 5; /* the dot and 4 places */
    int64_t decimal;                                 /* 10^11 and 4 places are 15 digits, which a double tells apart */
    if (places_fit && !memchr(text, 'e', n) && !memchr(text, 'E', n) && tagd_decimal_from_double(f, &decimal))
        return (struct tagd_val){.kind = TAGD_V_DECIMAL, .u.d = decimal};
    return (struct tagd_val){.kind = TAGD_V_DOUBLE, .u.f = f};
}

struct tagd_node *tagd_parse_literal(struct parse *parse, size_t start, enum tagd_type type, struct tagd_val value)
{
    struct tagd_node *node = tagd_parse_node(parse, TAGD_N_LITERAL, type, start);
    node->literal = value;
    node->exact = value.kind == TAGD_V_DECIMAL;
    return node;
}

/* Length of the digits of a number at p: digits [. digits] [e digits]; `e` only if digits follow. */
static size_t number_length(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && tagd_is_digit(p[i]))
        i++;
    if (i + 1 < n && p[i] == '.' && tagd_is_digit(p[i + 1])) {
        i++;
        while (i < n && tagd_is_digit(p[i]))
            i++;
    }
    size_t e = i;
    if (e < n && (p[e] == 'e' || p[e] == 'E')) {
        e++;
        if (e < n && (p[e] == '+' || p[e] == '-'))
            e++;
        if (e < n && tagd_is_digit(p[e])) {
            while (e < n && tagd_is_digit(p[e]))
                e++;
            return e;
        }
    }
    return i;
}

struct tagd_node *tagd_parse_number(struct parse *parse)
{
    size_t start = parse->at;
    bool minus = tagd_parse_peek(parse) == '-';
    size_t digits = start + (minus ? 1 : 0);
    size_t n = number_length(parse->text + digits, parse->n - digits);
    size_t end = digits + n;
    if (n == 0)
        return tagd_parse_fail(parse, start,
                               "expected a number after the minus; a minus between two values stands between spaces");
    if (end < parse->n && tagd_is_letter(parse->text[end])) {
        size_t unit = end;
        while (unit < parse->n && is_name(parse->text[unit]))
            unit++;
        int64_t ms;
        if (!tagd_duration_parse((struct tagd_str){parse->text + digits, unit - digits}, &ms))
            return tagd_parse_fail(
                parse, start,
                "'%.*s' is not a duration: expected a whole number and one of ms, s, m, h, d, w, at most 100000d",
                (int)(unit - start < 60 ? unit - start : 60), parse->text + start);
        parse->at = unit;
        return tagd_parse_literal(parse, start, TAGD_T_DURATION,
                                  (struct tagd_val){.kind = TAGD_V_DURATION, .u.i = minus ? -ms : ms});
    }
    if (n > 40)
        return tagd_parse_fail(parse, start, "this number has %zu characters; at most 40 are read", n);
    parse->at = end;
    struct tagd_val value = number_value(parse->text + start, end - start);
    if (value.kind == TAGD_V_DOUBLE && !isfinite(value.u.f))
        return tagd_parse_fail(parse, start, "this number is too large");
    return tagd_parse_literal(parse, start, TAGD_T_NUMBER, value);
}

/* ---- operators ---- */

static const struct {
    const char *text;
    enum tagd_node_kind kind;
} operators[] = {{"==", TAGD_N_EQ}, {"!=", TAGD_N_NE}, {"<=", TAGD_N_LE},
                 {">=", TAGD_N_GE}, {"<", TAGD_N_LT},  {">", TAGD_N_GT}};

bool tagd_parse_take_operator(struct parse *parse, bool filter, enum tagd_node_kind *kind)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (tagd_parse_take(parse, operators[i].text)) {
            *kind = operators[i].kind;
            return true;
        }
    }
    if (filter && tagd_parse_take(parse, "=")) {
        *kind = TAGD_N_EQ;
        return true;
    }
    return false;
}

/* ---- names of types ---- */

const char *tagd_type_name(enum tagd_type type)
{
    static const char *const names[] = {
        [TAGD_T_NULL] = "null",         [TAGD_T_NUMBER] = "a number", [TAGD_T_DURATION] = "a duration",
        [TAGD_T_BOOLEAN] = "a boolean", [TAGD_T_STRING] = "a string", [TAGD_T_TIME] = "a time",
        [TAGD_T_DATE] = "a date",       [TAGD_T_TAG] = "a tag",
    };
    return names[type];
}

const char *tagd_field_type_name(enum tagd_field_type type)
{
    static const char *const names[] = {[TAGD_DECIMAL] = "decimal",
                                        [TAGD_STRING] = "string",
                                        [TAGD_BOOLEAN] = "boolean",
                                        [TAGD_TIME] = "time",
                                        [TAGD_DATE] = "date"};
    return names[type];
}
