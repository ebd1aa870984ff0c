#include "base/jsonc.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SHOWN_MAX 160 /* bytes of a source line in a message */
#define MESSAGE_MAX 640

struct tagd_jsonc {
    struct tagd_arena arena;
    const char *name;
    struct tagd_str text;                                        /* as given */
    struct tagd_str plain;                                       /* comments blanked, same length */
    bool (*hides)(struct tagd_str text, size_t from, size_t to); /* NULL: nothing is hidden */
    cJSON *root;
};

/* ---- the place in the source ---- */

static bool wide(unsigned c)
{
    return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
           (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
}

/* The character at p; bytes that aren't UTF-8 stand for themselves. Moves *p past it. */
static unsigned next_char(const char **p, const char *end)
{
    const unsigned char *u = (const unsigned char *)*p;
    size_t step = tagd_utf8_step(u, (const unsigned char *)end);
    unsigned c = step == 2 ? u[0] & 0x1Fu : step == 3 ? u[0] & 0x0Fu : step == 4 ? u[0] & 0x07u : u[0];

    for (size_t i = 1; i < step; i++)
        c = c << 6 | (u[i] & 0x3Fu);
    *p += step ? step : 1;
    return c;
}

/* The line as a terminal can show it, and a caret under the place. */
static void show(struct tagd_buf *out, const char *line, const char *place, const char *stop, const char *end)
{
    const char *p;

    while (place - line > LINE_SHOWN_MAX / 2)
        next_char(&line, end);
    if (stop - line > LINE_SHOWN_MAX)
        stop = line + tagd_utf8_cut(line, LINE_SHOWN_MAX);
    for (p = line; p < stop;) { /* bytes that aren't text must not reach a terminal */
        const char *from = p;
        unsigned c = next_char(&p, end);

        if ((c < 0x20 && c != '\t') || c == 0x7F || (c >= 0x80 && p - from == 1))
            tagd_buf_add_byte(out, '?');
        else
            tagd_buf_add(out, from, (size_t)(p - from));
    }
    tagd_buf_add_z(out, "\n  ");
    for (p = line; p < place;) {
        unsigned c = next_char(&p, end);

        tagd_buf_add_z(out, c == '\t' ? "\t" : wide(c) ? "  " : " ");
    }
    tagd_buf_add_z(out, "^");
}

static bool fail_at(const struct tagd_jsonc *jsonc, struct tagd_error *error, size_t offset, const char *pointer,
                    const char *message)
{
    const char *text = jsonc->text.p, *place = text + offset, *end = text + jsonc->text.n;
    const char *line = place, *stop = place, *p;
    size_t line_number = 1, column = 1;
    struct tagd_buf out = {0};

    while (line > text && line[-1] != '\n')
        line--;
    while (stop < end && *stop != '\n' && *stop != '\r')
        stop++;
    for (p = text; p < line; p++)
        line_number += *p == '\n';
    for (p = line; p < place; column++)
        next_char(&p, end);
    tagd_buf_printf(&out, "%s:%zu:%zu: ", jsonc->name, line_number, column);
    if (pointer)
        tagd_buf_printf(&out, "at %s: ", *pointer ? pointer : "the top");
    tagd_buf_add_z(&out, message);
    for (size_t i = 0; i < out.n; i++) /* names and values in it: the message stays one line */
        if ((unsigned char)out.p[i] < 0x20 || out.p[i] == 0x7F)
            out.p[i] = '?';
    tagd_buf_add_z(&out, "\n  ");
    if (jsonc->hides && jsonc->hides(jsonc->text, (size_t)(line - text), (size_t)(stop - text)))
        tagd_buf_add_z(&out, "(the line isn't shown: it may hold a password)");
    else
        show(&out, line, place, stop, end);
    tagd_buf_add_byte(&out, '\0');
    tagd_fail(error, "%s", out.p);
    tagd_buf_free(&out);
    return false;
}

/* ---- the locator: walks well-formed JSON ---- */

struct place {
    size_t key, value; /* offsets; key == value for the root and for array items */
};

static size_t blanks(struct tagd_str t, size_t at)
{
    while (at < t.n && (t.p[at] == ' ' || t.p[at] == '\n' || t.p[at] == '\t' || t.p[at] == '\r'))
        at++;
    return at;
}

static size_t past_string(struct tagd_str t, size_t at)
{
    for (at++; at < t.n && t.p[at] != '"'; at++)
        at += t.p[at] == '\\';
    return at < t.n ? at + 1 : t.n;
}

static size_t past_value(struct tagd_str t, size_t at)
{
    size_t depth = 0;

    do {
        at = blanks(t, at);
        if (at >= t.n)
            return t.n;
        if (t.p[at] == '"') {
            at = past_string(t, at);
        } else if (t.p[at] == '{' || t.p[at] == '[') {
            depth++;
            at++;
        } else if (t.p[at] == '}' || t.p[at] == ']') {
            depth--;
            at++;
        } else if (t.p[at] == ',' || t.p[at] == ':') {
            at++;
        } else {
            while (at < t.n && !strchr(" \t\r\n,:]}", t.p[at]))
                at++;
        }
    } while (depth > 0);
    return at;
}

/* UTF-8 bytes of the string element at `at` (a plain byte or an escape) into out; moves *at past it. */
static size_t decode(struct tagd_str t, size_t *at, char out[4])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    unsigned c;
    char e;

    if (t.p[*at] != '\\') {
        out[0] = t.p[(*at)++];
        return 1;
    }
    e = t.p[*at + 1];
    *at += 2;
    if (e != 'u') {
        const char *known = strchr(from, e);

        out[0] = known ? to[known - from] : e;
        return 1;
    }
    c = (unsigned)strtoul((char[]){t.p[*at], t.p[*at + 1], t.p[*at + 2], t.p[*at + 3], 0}, NULL, 16);
    *at += 4;
    if (c >= 0xD800 && c <= 0xDBFF) {
        size_t low = *at + 2;

        c = 0x10000 + ((c - 0xD800) << 10) - 0xDC00 +
            (unsigned)strtoul((char[]){t.p[low], t.p[low + 1], t.p[low + 2], t.p[low + 3], 0}, NULL, 16);
        *at += 6;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Does the string at `at` (its opening quote) say `key`? */
static bool string_is(struct tagd_str t, size_t at, struct tagd_str key)
{
    size_t matched = 0;

    for (at++; t.p[at] != '"';) {
        char bytes[4];
        size_t n = decode(t, &at, bytes);

        if (key.n - matched < n || memcmp(key.p + matched, bytes, n) != 0)
            return false;
        matched += n;
    }
    return matched == key.n;
}

/* Where byte `wanted` of the decoded string stands whose opening quote is at `at`. */
static size_t inside(struct tagd_str t, size_t at, size_t wanted)
{
    size_t seen = 0;

    for (at++; t.p[at] != '"';) {
        size_t here = at;
        char bytes[4];

        seen += decode(t, &at, bytes);
        if (seen > wanted)
            return here;
    }
    return at;
}

/* The child of the container at place->value: the last member of that key (so the second of two), or the item. */
static bool child(struct tagd_str t, struct place *place, struct tagd_str token)
{
    bool object = t.p[place->value] == '{', found = false;
    size_t at = place->value + 1, index = 0;
    struct place result = *place;

    if (!object && t.p[place->value] != '[')
        return false;
    for (;; index++) {
        struct place here;
        char number[24];
        bool match;

        at = blanks(t, at);
        if (at >= t.n || t.p[at] == '}' || t.p[at] == ']')
            break;
        here.key = here.value = at;
        if (object) {
            match = string_is(t, at, token);
            at = blanks(t, past_string(t, at));
            here.value = blanks(t, at + 1);
        } else {
            match =
                tagd_str_eq(token, (struct tagd_str){number, (size_t)snprintf(number, sizeof(number), "%zu", index)});
        }
        if (match) {
            result = here;
            found = true;
        }
        at = blanks(t, past_value(t, here.value));
        if (at < t.n && t.p[at] == ',')
            at++;
    }
    *place = result;
    return found;
}

/* The place of the pointer, or of its nearest ancestor that exists (then *exact is false). */
static struct place locate(struct tagd_str t, const char *pointer, bool *exact)
{
    size_t start = blanks(t, 0);
    struct place place = {start, start};
    struct tagd_buf token = {0};

    *exact = true;
    while (*pointer == '/' && *exact) {
        token.n = 0;
        for (pointer++; *pointer && *pointer != '/'; pointer++) {
            if (*pointer == '~' && (pointer[1] == '0' || pointer[1] == '1'))
                tagd_buf_add_byte(&token, *++pointer == '0' ? '~' : '/');
            else
                tagd_buf_add_byte(&token, (unsigned char)*pointer);
        }
        *exact = child(t, &place, (struct tagd_str){token.p, token.n});
    }
    tagd_buf_free(&token);
    return place;
}

/* ---- pointers ---- */

static void terminate(struct tagd_buf *pointer)
{
    tagd_buf_add_byte(pointer, '\0');
    pointer->n--;
}

void tagd_jsonc_pointer_add(struct tagd_buf *pointer, const char *token)
{
    tagd_buf_add_byte(pointer, '/');
    for (; *token; token++) {
        if (*token == '~')
            tagd_buf_add_z(pointer, "~0");
        else if (*token == '/')
            tagd_buf_add_z(pointer, "~1");
        else
            tagd_buf_add_byte(pointer, (unsigned char)*token);
    }
    terminate(pointer);
}

void tagd_jsonc_pointer_add_index(struct tagd_buf *pointer, size_t index)
{
    tagd_buf_printf(pointer, "/%zu", index);
    terminate(pointer);
}

static void pointer_add_child(struct tagd_buf *pointer, const cJSON *node, size_t index)
{
    if (node->string)
        tagd_jsonc_pointer_add(pointer, node->string);
    else
        tagd_jsonc_pointer_add_index(pointer, index);
}

/* Extends the pointer of `from` to that of `node`, below it or itself. As deep as the text, so at most 64. */
static bool pointer_find(struct tagd_buf *pointer, const cJSON *from, const cJSON *node)
{
    size_t index = 0, n = pointer->n;

    if (from == node)
        return true;
    for (const cJSON *item = from->child; item; item = item->next, index++) {
        pointer_add_child(pointer, item, index);
        if (pointer_find(pointer, item, node))
            return true;
        pointer->n = n;
        terminate(pointer);
    }
    return false;
}

/* ---- what the room exports ---- */

bool tagd_jsonc_fail(const struct tagd_jsonc *jsonc, struct tagd_error *error, const cJSON *node, const char *pointer,
                     size_t string_offset, bool at_key, const char *fmt, ...)
{
    struct tagd_buf found = {0};
    char message[MESSAGE_MAX];
    struct place place;
    va_list args;
    size_t at;
    bool exact;
    int n;

    va_start(args, fmt);
    n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (n >= (int)sizeof(message))
        message[tagd_utf8_cut(message, sizeof(message) - 1)] = '\0';
    terminate(&found);
    if (!pointer) {
        if (node)
            pointer_find(&found, jsonc->root, node);
        pointer = found.p;
    }
    place = locate(jsonc->plain, pointer, &exact);
    at = at_key ? place.key : place.value;
    if (exact && string_offset != TAGD_JSONC_WHOLE && jsonc->plain.p[at] == '"')
        at = inside(jsonc->plain, at, string_offset);
    fail_at(jsonc, error, at, pointer, message);
    tagd_buf_free(&found);
    return false;
}

static int by_key(const void *a, const void *b)
{
    const cJSON *left = *(cJSON *const *)a, *right = *(cJSON *const *)b;

    return strcmp(left->string, right->string);
}

/* The first key that stands twice in the object, or NULL. */
static const char *key_twice(const cJSON *object)
{
    const char *twice = NULL;
    const cJSON **members;
    size_t n = 0;

    for (const cJSON *item = object->child; item; item = item->next)
        n++;
    if (n < 2)
        return NULL;
    members = tagd_xmalloc(n * sizeof(*members));
    n = 0;
    for (const cJSON *item = object->child; item; item = item->next)
        members[n++] = item;
    qsort(members, n, sizeof(*members), by_key);
    for (size_t i = 1; i < n && !twice; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            twice = members[i]->string;
    free(members);
    return twice;
}

static bool keys_unique(const struct tagd_jsonc *jsonc, const cJSON *node, struct tagd_buf *pointer,
                        struct tagd_error *error)
{
    size_t n = pointer->n, index = 0;
    const char *twice = cJSON_IsObject(node) ? key_twice(node) : NULL;

    if (twice) {
        tagd_jsonc_pointer_add(pointer, twice);
        return tagd_jsonc_fail(jsonc, error, NULL, pointer->p, TAGD_JSONC_WHOLE, true,
                               "the key \"%s\" stands twice in this object; keep one", twice);
    }
    for (const cJSON *item = node->child; item; item = item->next, index++) {
        pointer_add_child(pointer, item, index);
        if (!keys_unique(jsonc, item, pointer, error))
            return false;
        pointer->n = n;
        terminate(pointer);
    }
    return true;
}

/* Comments become blanks, byte for byte, so that offsets stay. Returns the offset of a block without an end, or n. */
static size_t blank_comments(char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        size_t start = at;
        bool block;

        if (p[at] == '"') {
            for (at++; at < n && p[at] != '"' && p[at] != '\n'; at++)
                at += p[at] == '\\' && at + 1 < n;
            at++;
            continue;
        }
        if (p[at] != '/' || at + 1 >= n || (p[at + 1] != '/' && p[at + 1] != '*')) {
            at++;
            continue;
        }
        block = p[at + 1] == '*';
        for (at += 2; at < n && (block ? !(p[at] == '*' && at + 1 < n && p[at + 1] == '/') : p[at] != '\n'); at++)
            ;
        if (block && at >= n)
            return start;
        at += block ? 2 : 0;
        for (; start < at; start++)
            if (p[start] != '\n' && p[start] != '\r')
                p[start] = ' ';
    }
    return n;
}

static bool read_text(struct tagd_jsonc *jsonc, struct tagd_error *error)
{
    char *plain = (char *)(uintptr_t)jsonc->plain.p;
    size_t n = jsonc->text.n, open_comment;
    struct tagd_json_fault fault = {0, ""};
    struct tagd_buf pointer = {0};
    bool unique;

    for (size_t at = 0; at < n;) { /* comments too */
        size_t step =
            tagd_utf8_step((const unsigned char *)jsonc->text.p + at, (const unsigned char *)jsonc->text.p + n);
        if (step == 0)
            return fail_at(jsonc, error, at, NULL, "invalid UTF-8; save the file as UTF-8");
        at += step;
    }
    open_comment = blank_comments(plain, n);
    if (open_comment < n)
        return fail_at(jsonc, error, open_comment, NULL, "the comment has no end; close it with */");
    if (blanks(jsonc->plain, 0) == n)
        return fail_at(jsonc, error, 0, NULL, "the file says nothing; expected an object between { and }");
    jsonc->root = tagd_json_parse(&jsonc->arena, plain, n, &fault);
    if (!jsonc->root)
        return fail_at(jsonc, error, fault.offset, NULL, fault.what);
    terminate(&pointer);
    unique = keys_unique(jsonc, jsonc->root, &pointer, error);
    tagd_buf_free(&pointer);
    return unique;
}

struct tagd_jsonc *tagd_jsonc_parse(const char *name, const char *text, size_t n, struct tagd_error *error)
{
    return tagd_jsonc_parse_hiding(name, text, n, NULL, error);
}

struct tagd_jsonc *tagd_jsonc_parse_hiding(const char *name, const char *text, size_t n,
                                           bool (*hides)(struct tagd_str text, size_t from, size_t to),
                                           struct tagd_error *error)
{
    struct tagd_jsonc *jsonc = tagd_xcalloc(1, sizeof(*jsonc));

    jsonc->name = tagd_arena_copy(&jsonc->arena, name, strlen(name)).p;
    jsonc->text = tagd_arena_copy(&jsonc->arena, text, n);
    jsonc->plain = tagd_arena_copy(&jsonc->arena, text, n);
    jsonc->hides = hides;
    if (read_text(jsonc, error))
        return jsonc;
    tagd_jsonc_free(jsonc);
    return NULL;
}

void tagd_jsonc_free(struct tagd_jsonc *jsonc)
{
    if (!jsonc)
        return;
    tagd_arena_free(&jsonc->arena);
    free(jsonc);
}

cJSON *tagd_jsonc_root(const struct tagd_jsonc *jsonc)
{
    return jsonc->root;
}
