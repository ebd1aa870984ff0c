#include "base/json.h"
#include "base/text.h"

#include <string.h>

#define NODES_AT_ONCE 16 /* a small event's */

struct scan {
    const unsigned char *p, *end;
    const char *fault;        /* at p */
    struct tagd_arena *arena; /* NULL: the text is only checked, */
    struct tagd_json spare;   /* and this stands for every node */
    struct tagd_json *nodes;  /* room for n_nodes */
    size_t n_nodes;
    const char *expected;    /* where a member comes next, for the fault if there is none; elsewhere NULL */
    struct tagd_str name;    /* of that member */
    struct tagd_json **link; /* where the next node goes */
    unsigned depth;          /* of these: */
    struct tagd_json *open[TAGD_JSON_DEPTH_MAX];
    unsigned char closing[TAGD_JSON_DEPTH_MAX]; /* } or ] */
};

static bool fault(struct scan *scan, const unsigned char *at, const char *what)
{
    scan->p = at;
    scan->fault = what;
    return false;
}

static void skip_blank_run(struct scan *scan)
{
    while (scan->p < scan->end && (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\t' || *scan->p == '\r'))
        scan->p++;
}

static inline void skip_blanks(struct scan *scan)
{
    if (scan->p != scan->end && *scan->p <= ' ')
        skip_blank_run(scan);
}

/* True if that is the next byte, blanks aside; p is then there. */
static inline bool next_is(struct scan *scan, unsigned char c)
{
    if (scan->p != scan->end && *scan->p == c)
        return true;
    skip_blanks(scan);
    return scan->p != scan->end && *scan->p == c;
}

/* ---- strings ---- */

/* Its lowest bit set is the high bit of the first byte that is a quote, a backslash, a control character or not ASCII.
 * With bit 1 turned a quote is 0x20 and control characters stay below it, so taking 0x21 borrows; what is not ASCII keeps its
 * high bit in one of the two at least. A borrow spoils only the bytes above. */
static uint64_t first_special(uint64_t eight)
{
    uint64_t quote_or_control = (eight ^ TAGD_EACH_BYTE(2)) - TAGD_EACH_BYTE(0x21);
    uint64_t backslash = (eight ^ TAGD_EACH_BYTE('\\')) - TAGD_EACH_BYTE(1);

    return (quote_or_control | backslash) & TAGD_EACH_BYTE(0x80);
}

static inline const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t special = first_special(tagd_load8(p));

        if (special)
            return p + __builtin_ctzll(special) / 8;
    }
    while (p < end && *p >= ' ' && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
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

/* *at is the backslash, and then what follows the escape. */
static bool scan_escape(struct scan *scan, const unsigned char **at)
{
    const unsigned char *start = *at, *end = scan->end;
    int unit;

    if (end - start < 2)
        return fault(scan, start, "the string has no closing quote");
    *at = start + 2;
    if (start[1] != 'u')
        return (start[1] && strchr("\"\\/bfnrt", start[1])) || fault(scan, start, "an unknown escape in a string");
    unit = hex4(start + 2, end);
    if (unit < 0)
        return fault(scan, start, "expected four hex digits after \\u");
    if (unit == 0)
        return fault(scan, start, "the character \\u0000 is not allowed");
    *at = start + 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    if (unit > 0xDBFF || end - start < 12 || start[6] != '\\' || start[7] != 'u')
        return fault(scan, start, "half of a surrogate pair");
    unit = hex4(start + 8, end);
    if (unit < 0xDC00 || unit > 0xDFFF)
        return fault(scan, start, "half of a surrogate pair");
    *at = start + 12;
    return true;
}

/* Bytes written. */
static size_t put_utf8(unsigned char *out, unsigned c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (unsigned char)(0x80 | (c & 0x3F));
    out[0] = (unsigned char)(leads[n] | c);
    return n;
}

/* The character that the checked \u at *p stands for; *p is then what follows it. */
static unsigned take_unicode(const unsigned char **p, const unsigned char *end)
{
    unsigned unit = (unsigned)hex4(*p + 2, end);

    *p += 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit;
    unit = 0x10000 + ((unit & 0x3FF) << 10) + ((unsigned)hex4(*p + 2, end) & 0x3FF);
    *p += 6;
    return unit;
}

static unsigned char unescaped(unsigned char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
    }
}

/* The checked text from p to end, its escapes undone. */
static struct tagd_str unescape(struct tagd_arena *arena, const unsigned char *p, const unsigned char *end)
{
    unsigned char *out = tagd_arena_alloc(arena, (size_t)(end - p));
    size_t n = 0;

    while (p < end) {
        if (*p != '\\') {
            out[n++] = *p++;
        } else if (p[1] == 'u') {
            n += put_utf8(out + n, take_unicode(&p, end));
        } else {
            out[n++] = unescaped(p[1]);
            p += 2;
        }
    }
    return (struct tagd_str){(const char *)out, n};
}

/* p at the opening quote; what follows it is plain up to `p`. Rare, and so kept out of the loop. */
static __attribute__((noinline)) bool scan_unplain(struct scan *scan, const unsigned char *p, struct tagd_str *text)
{
    const unsigned char *start = scan->p + 1, *end = scan->end;
    bool escaped = false;

    for (; p < end && *p != '"'; p = skip_plain(p, end)) {
        if (*p < ' ')
            return fault(scan, p, "a control character in a string");
        if (*p == '\\') {
            escaped = true;
            if (!scan_escape(scan, &p))
                return false;
        }
        while (p < end && *p >= 0x80) {
            size_t step = tagd_utf8_step(p, end);

            if (step == 0)
                return fault(scan, p, "invalid UTF-8");
            p += step;
        }
    }
    if (p == end)
        return fault(scan, start - 1, "the string has no closing quote");
    scan->p = p + 1;
    *text = escaped && scan->arena ? unescape(scan->arena, start, p)
                                   : (struct tagd_str){(const char *)start, (size_t)(p - start)};
    return true;
}

/* p at the opening quote. */
static inline bool scan_string(struct scan *scan, struct tagd_str *text)
{
    const unsigned char *start = scan->p + 1, *p = skip_plain(start, scan->end);

    if (p == scan->end || *p != '"')
        return scan_unplain(scan, p, text);
    scan->p = p + 1;
    *text = (struct tagd_str){(const char *)start, (size_t)(p - start)};
    return true;
}

/* ---- other scalars ---- */

static const unsigned char *skip_digits(const unsigned char *p, const unsigned char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static bool scan_number(struct scan *scan, struct tagd_str *text)
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
    if (p - start > TAGD_NUMBER_BYTES_MAX)
        return fault(scan, start, "a number of more than 63 characters");
    scan->p = p;
    *text = (struct tagd_str){(const char *)start, (size_t)(p - start)};
    return true;
}

static bool scan_word(struct scan *scan, struct tagd_str word)
{
    if ((size_t)(scan->end - scan->p) < word.n || memcmp(scan->p, word.p, word.n) != 0)
        return fault(scan, scan->p, "expected a value");
    scan->p += word.n;
    return true;
}

/* ---- the tree ---- */

static bool scan_value(struct scan *scan, enum tagd_json_type *type, struct tagd_str *text)
{
    unsigned char c = *scan->p;

    *text = (struct tagd_str){"", 0};
    switch (c) {
    case '"': *type = TAGD_JSON_STRING; return scan_string(scan, text);
    case '{':
    case '[':
        *type = c == '{' ? TAGD_JSON_OBJECT : TAGD_JSON_ARRAY;
        if (scan->depth == TAGD_JSON_DEPTH_MAX)
            return fault(scan, scan->p, "nested deeper than 64 levels");
        scan->p++;
        return true;
    case 't': *type = TAGD_JSON_TRUE; return scan_word(scan, TAGD_STR("true"));
    case 'f': *type = TAGD_JSON_FALSE; return scan_word(scan, TAGD_STR("false"));
    case 'n': *type = TAGD_JSON_NULL; return scan_word(scan, TAGD_STR("null"));
    default: *type = TAGD_JSON_NUMBER;
    }
    if (c == '-' || (c >= '0' && c <= '9'))
        return scan_number(scan, text);
    return fault(scan, scan->p, c < 0x80 || tagd_utf8_step(scan->p, scan->end) ? "expected a value" : "invalid UTF-8");
}

static void take_room(struct scan *scan)
{
    scan->n_nodes = scan->arena ? NODES_AT_ONCE : 1;
    scan->nodes = scan->arena ? tagd_arena_alloc(scan->arena, NODES_AT_ONCE * sizeof(*scan->nodes)) : &scan->spare;
}

static inline struct tagd_json *add(struct scan *scan, enum tagd_json_type type, struct tagd_str text)
{
    struct tagd_json *node;

    if (scan->n_nodes == 0)
        take_room(scan);
    scan->n_nodes--;
    node = scan->nodes++;
    *node = (struct tagd_json){type, scan->name, text, NULL, NULL};
    *scan->link = node;
    scan->link = &node->next;
    return node;
}

/* A member's name and colon. */
static inline bool scan_name(struct scan *scan)
{
    if (!next_is(scan, '"'))
        return fault(scan, scan->p, scan->expected);
    if (!scan_string(scan, &scan->name))
        return false;
    if (!next_is(scan, ':'))
        return fault(scan, scan->p, "expected ':'");
    scan->p++;
    return true;
}

/* After the { or [ of a node: true if something is in it, which then comes next. */
static bool enter(struct scan *scan, struct tagd_json *node, bool object)
{
    unsigned char closing = object ? '}' : ']';

    if (next_is(scan, closing)) {
        scan->p++;
        return false;
    }
    scan->closing[scan->depth] = closing;
    scan->open[scan->depth++] = node;
    scan->link = &node->child;
    scan->name = (struct tagd_str){"", 0};
    scan->expected = object ? "expected a key in quotes or '}'" : NULL;
    return true;
}

/* After a value: closes what ends here, and passes a comma. True in *more if another value follows. */
static inline bool scan_after(struct scan *scan, bool *more)
{
    *more = false;
    while (scan->depth > 0) {
        unsigned char closing = scan->closing[scan->depth - 1];

        *more = next_is(scan, ',');
        if (!*more && !next_is(scan, closing))
            return fault(scan, scan->p, closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        scan->p++;
        if (*more) {
            scan->name = (struct tagd_str){"", 0};
            scan->expected = closing == '}' ? "expected a key in quotes after ','" : NULL;
            return true;
        }
        scan->link = &scan->open[--scan->depth]->next;
    }
    return true;
}

static bool scan_text(struct scan *scan)
{
    bool more = true;

    while (more) {
        enum tagd_json_type type;
        struct tagd_json *node;
        struct tagd_str text;

        if (scan->expected && !scan_name(scan))
            return false;
        skip_blanks(scan);
        if (scan->p == scan->end)
            return fault(scan, scan->p, scan->depth ? "the text ends before the value does" : "there is no value");
        if (!scan_value(scan, &type, &text))
            return false;
        node = add(scan, type, text);
        if (type >= TAGD_JSON_ARRAY && enter(scan, node, type == TAGD_JSON_OBJECT))
            continue;
        if (!scan_after(scan, &more))
            return false;
    }
    skip_blanks(scan);
    return scan->p == scan->end || fault(scan, scan->p, "text after the end of the value");
}

/* arena NULL: only checks. */
static bool read_text(struct tagd_json_room room, const char *p, size_t n, struct tagd_json **root,
                      struct tagd_json_fault *found)
{
    const unsigned char *start = (const unsigned char *)p;
    struct scan scan;

    scan.p = start;
    scan.end = start + n;
    scan.arena = room.arena;
    scan.name = (struct tagd_str){"", 0};
    scan.expected = NULL;
    scan.link = root;
    scan.nodes = room.nodes;
    scan.n_nodes = room.n;
    scan.depth = 0;
    if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        fault(&scan, start, "a byte order mark; write UTF-8 without it");
    else if (scan_text(&scan))
        return true;
    *found = (struct tagd_json_fault){(size_t)(scan.p - start), scan.fault};
    return false;
}

bool tagd_json_check(const char *p, size_t n, struct tagd_json_fault *found)
{
    struct tagd_json *root;

    return read_text((struct tagd_json_room){NULL, 0, NULL}, p, n, &root, found);
}

struct tagd_json *tagd_json_read(struct tagd_json_room room, const char *p, size_t n, struct tagd_json_fault *found)
{
    struct tagd_json *root;

    return read_text(room, p, n, &root, found) ? root : NULL;
}

const struct tagd_json *tagd_json_member(const struct tagd_json *object, struct tagd_str name)
{
    const struct tagd_json *last = NULL;

    for (const struct tagd_json *member = object->child; member; member = member->next)
        if (tagd_str_eq(member->name, name))
            last = member;
    return last;
}

const char *tagd_json_what(const struct tagd_json *node)
{
    static const char *const kinds[] = {
        [TAGD_JSON_NULL] = "null",       [TAGD_JSON_FALSE] = "a boolean", [TAGD_JSON_TRUE] = "a boolean",
        [TAGD_JSON_NUMBER] = "a number", [TAGD_JSON_STRING] = "a string", [TAGD_JSON_ARRAY] = "an array",
        [TAGD_JSON_OBJECT] = "an object"};

    return node ? kinds[node->type] : "nothing";
}
