/* JSON read in place: one pass checks the text and makes a tree of it, whose names and values are views of the text.
 * The check is strict: UTF-8, RFC 8259's grammar to the letter, a limit of depth, a position for every fault. What
 * RFC 8259 allows but a C string or a double of cJSON can't hold is a fault too: \u0000 or a lone surrogate in a string, a
 * number of over 63 characters. */
#ifndef TAGD_BASE_JSON_H
#define TAGD_BASE_JSON_H

#include "tagd/base.h"

#define TAGD_JSON_DEPTH_MAX 64

struct tagd_json_fault {
    size_t offset;    /* byte of the text */
    const char *what; /* static text: "expected a value" */
};

enum tagd_json_type {
    TAGD_JSON_NULL,
    TAGD_JSON_FALSE,
    TAGD_JSON_TRUE,
    TAGD_JSON_NUMBER,
    TAGD_JSON_STRING,
    TAGD_JSON_ARRAY,
    TAGD_JSON_OBJECT
};

struct tagd_json {
    enum tagd_json_type type;
    struct tagd_str name;           /* of an object's member */
    struct tagd_str text;           /* STRING: its characters, without NUL; NUMBER: as written */
    struct tagd_json *child, *next; /* ARRAY, OBJECT: the first in it; the next beside it */
};

/* True if the n bytes are one JSON text, at most TAGD_JSON_DEPTH_MAX levels deep. */
bool tagd_json_check(const char *p, size_t n, struct tagd_json_fault *fault);

/* Where nodes are put: the caller's, and once these are used up, the arena, where strings with escapes go too. */
struct tagd_json_room {
    struct tagd_json *nodes;
    size_t n; /* left */
    struct tagd_arena *arena;
};
/* Checks and reads. What isn't put into the room are views of the text. NULL: *fault says why. */
struct tagd_json *tagd_json_read(struct tagd_json_room room, const char *p, size_t n, struct tagd_json_fault *fault);

/* NULL is of no type. */
static inline bool tagd_json_is(const struct tagd_json *node, enum tagd_json_type type)
{
    return node && node->type == type;
}

/* An object's member of that name, of several the last. NULL: there is none. */
const struct tagd_json *tagd_json_member(const struct tagd_json *object, struct tagd_str name);

/* "an object", "a string", ...: for messages; of NULL "nothing". */
const char *tagd_json_what(const struct tagd_json *node);

#endif
