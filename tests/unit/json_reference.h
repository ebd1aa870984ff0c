/* What base/json.c is held against: its grammar once more, byte by byte and with no tree, and cJSON's tree. What may be
 * JSON, where and how a text fails to be, and what it holds must be the same. */
#ifndef TAGD_TEST_JSON_REFERENCE_H
#define TAGD_TEST_JSON_REFERENCE_H

#include "base/cjson.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const unsigned char *p, *end;
    const char *fault; /* at p */
};

static bool fault(struct scan *scan, const unsigned char *at, const char *what)
{
    scan->p = at;
    scan->fault = what;
    return false;
}

static void skip_blanks(struct scan *scan)
{
    while (scan->p < scan->end && (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\t' || *scan->p == '\r'))
        scan->p++;
}

/* Four hex digits at p, or -1. */
static int hex4(const unsigned char *p, const unsigned char *end)
{
    int v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* p at the backslash. */
static bool scan_escape(struct scan *scan)
{
    const unsigned char *start = scan->p, *end = scan->end;
    int unit;

    if (end - start < 2)
        return fault(scan, start, "the string has no closing quote");
    scan->p = start + 2;
    if (start[1] != 'u')
        return (start[1] && strchr("\"\\/bfnrt", start[1])) || fault(scan, start, "an unknown escape in a string");
    unit = hex4(start + 2, end);
    if (unit < 0)
        return fault(scan, start, "expected four hex digits after \\u");
    if (unit == 0)
        return fault(scan, start, "the character \\u0000 is not allowed");
    scan->p = start + 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    if (unit > 0xDBFF || end - start < 12 || start[6] != '\\' || start[7] != 'u')
        return fault(scan, start, "half of a surrogate pair");
    unit = hex4(start + 8, end);
    if (unit < 0xDC00 || unit > 0xDFFF)
        return fault(scan, start, "half of a surrogate pair");
    scan->p = start + 12;
    return true;
}

/* p at the opening quote. */
static bool scan_string(struct scan *scan)
{
    const unsigned char *start = scan->p, *end = scan->end, *p = start + 1;

    while (p < end) {
        unsigned char c = *p;

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            p++;
        } else if (c == '"') {
            scan->p = p + 1;
            return true;
        } else if (c == '\\') {
            scan->p = p;
            if (!scan_escape(scan))
                return false;
            p = scan->p;
        } else if (c < 0x20) {
            return fault(scan, p, "a control character in a string");
        } else {
            size_t step = tagd_utf8_step(p, end);

            if (step == 0)
                return fault(scan, p, "invalid UTF-8");
            p += step;
        }
    }
    return fault(scan, start, "the string has no closing quote");
}

static const unsigned char *skip_digits(const unsigned char *p, const unsigned char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static bool scan_number(struct scan *scan)
{
    const unsigned char *start = scan->p, *p = start, *end = scan->end, *from;

    if (*p == '-')
        p++;
    from = p;
    p = skip_digits(p, end);
    if (p == from)
        return fault(scan, p, "expected a digit");
    if (*from == '0' && p - from > 1)
        return fault(scan, from, "a number with a leading zero");
    if (p < end && *p == '.') {
        from = ++p;
        p = skip_digits(p, end);
        if (p == from)
            return fault(scan, p, "expected a digit after the decimal point");
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        from = p;
        p = skip_digits(p, end);
        if (p == from)
            return fault(scan, p, "expected a digit in the exponent");
    }
    if (p - start > 63)
        return fault(scan, start, "a number of more than 63 characters");
    scan->p = p;
    return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(scan->end - scan->p) < n || memcmp(scan->p, word, n) != 0)
        return fault(scan, scan->p, "expected a value");
    scan->p += n;
    return true;
}

static bool scan_scalar(struct scan *scan)
{
    switch (*scan->p) {
    case '"': return scan_string(scan);
    case 't': return scan_word(scan, "true");
    case 'f': return scan_word(scan, "false");
    case 'n': return scan_word(scan, "null");
    default:
        if (*scan->p == '-' || (*scan->p >= '0' && *scan->p <= '9'))
            return scan_number(scan);
        return fault(scan, scan->p,
                     *scan->p < 0x80 || tagd_utf8_step(scan->p, scan->end) ? "expected a value" : "invalid UTF-8");
    }
}

/* A member's key and colon. */
static bool scan_key(struct scan *scan, const char *expected)
{
    skip_blanks(scan);
    if (scan->p == scan->end || *scan->p != '"')
        return fault(scan, scan->p, expected);
    if (!scan_string(scan))
        return false;
    skip_blanks(scan);
    if (scan->p == scan->end || *scan->p != ':')
        return fault(scan, scan->p, "expected ':'");
    scan->p++;
    return true;
}

/* After a value: closes what ends here, and passes a comma. True in *more if another value follows. */
static bool scan_after(struct scan *scan, uint64_t objects, unsigned *depth, bool *more)
{
    *more = false;
    while (*depth > 0) {
        bool object = objects >> (*depth - 1) & 1;

        skip_blanks(scan);
        if (scan->p == scan->end || (*scan->p != ',' && *scan->p != (object ? '}' : ']')))
            return fault(scan, scan->p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        if (*scan->p++ == ',') {
            *more = true;
            return !object || scan_key(scan, "expected a key in quotes after ','");
        }
        --*depth;
    }
    return true;
}

/* `objects`: bit d is set if level d is an object. */
static bool scan_text(struct scan *scan)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    bool more = true;

    while (more) {
        skip_blanks(scan);
        if (scan->p == scan->end)
            return fault(scan, scan->p, depth ? "the text ends before the value does" : "there is no value");
        if (*scan->p == '{' || *scan->p == '[') {
            bool object = *scan->p == '{';

            if (depth == 64)
                return fault(scan, scan->p, "nested deeper than 64 levels");
            scan->p++;
            objects = (objects & ~(UINT64_C(1) << depth)) | (uint64_t)object << depth;
            depth++;
            skip_blanks(scan);
            if (scan->p < scan->end && *scan->p == (object ? '}' : ']')) {
                scan->p++;
                depth--;
            } else if (object) {
                if (!scan_key(scan, "expected a key in quotes or '}'"))
                    return false;
                continue;
            } else {
                continue;
            }
        } else if (!scan_scalar(scan)) {
            return false;
        }
        if (!scan_after(scan, objects, &depth, &more))
            return false;
    }
    skip_blanks(scan);
    return scan->p == scan->end || fault(scan, scan->p, "text after the end of the value");
}

static bool reference_check(const char *p, size_t n, struct tagd_json_fault *found)
{
    const unsigned char *start = (const unsigned char *)p;
    struct scan scan = {start, start + n, NULL};

    if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        fault(&scan, start, "a byte order mark; write UTF-8 without it");
    else if (scan_text(&scan))
        return true;
    *found = (struct tagd_json_fault){(size_t)(scan.p - start), scan.fault};
    return false;
}

/* ---- both trees ---- */

static inline bool same_text(struct tagd_str a, const char *z)
{
    return tagd_str_eq(a, tagd_str_of(z));
}

static bool same_number(struct tagd_str number, double wanted)
{
    double read = tagd_double_parse(number);
    int64_t decimal = 0, wanted_decimal = 0;
    bool fits = tagd_decimal_parse(number, &decimal);

    return read == wanted && !signbit(read) == !signbit(wanted) &&
           fits == tagd_decimal_from_double(wanted, &wanted_decimal) && decimal == wanted_decimal;
}

static bool same_tree(const struct tagd_json *node, const cJSON *wanted)
{
    const struct tagd_json *child = node->child;

    if (strcmp(tagd_json_what(node), tagd_json_kind(wanted)) != 0)
        return false;
    switch (node->type) {
    case TAGD_JSON_NULL: return !child;
    case TAGD_JSON_FALSE:
    case TAGD_JSON_TRUE: return !child && cJSON_IsTrue(wanted) == (node->type == TAGD_JSON_TRUE);
    case TAGD_JSON_NUMBER: return !child && same_number(node->text, wanted->valuedouble);
    case TAGD_JSON_STRING: return !child && same_text(node->text, wanted->valuestring);
    case TAGD_JSON_ARRAY:
    case TAGD_JSON_OBJECT: break;
    }
    for (const cJSON *other = wanted->child; other; other = other->next, child = child->next)
        if (!child || !same_text(child->name, other->string ? other->string : "") || !same_tree(child, other))
            return false;
    return !child;
}

/* Of every text the same is said: where it is wrong and how, or what it holds. */
static bool agree(const char *p, size_t n, uint32_t *sound)
{
    static struct tagd_arena arena;
    struct tagd_json nodes[8];
    struct tagd_json_room room = {nodes, n % 9, &arena};
    struct tagd_json_fault wanted = {0, ""}, fault = {0, ""}, checked = {0, ""};
    char *exact = tagd_xmalloc(n); /* so that a read past its end is seen */
    bool good = reference_check(memcpy(exact, p, n), n, &wanted), same;
    struct tagd_json *root;

    tagd_arena_reset(&arena);
    root = tagd_json_read(room, exact, n, &fault);
    same = (root != NULL) == good && tagd_json_check(exact, n, &checked) == good && wanted.offset == fault.offset &&
           strcmp(wanted.what, fault.what) == 0 && wanted.offset == checked.offset &&
           strcmp(wanted.what, checked.what) == 0;
    if (same && good) {
        struct tagd_json_fault none;
        const cJSON *tree = tagd_json_parse(&arena, exact, n, &none);

        same = tree && same_tree(root, tree);
        ++*sound;
    }
    if (!same)
        fprintf(stderr, "%.*s\nwanted: %s at %zu; found: %s at %zu\n", (int)n, p, wanted.what, wanted.offset,
                fault.what, fault.offset);
    free(exact);
    return same;
}

#endif
