/* JSON for the rooms that read it: a strict check of the text, then cJSON over an arena.
 * The check is what cJSON alone lacks: UTF-8, RFC 8259's grammar to the letter, a limit of depth, a position for every
 * fault. */
#ifndef TAGD_BASE_JSON_H
#define TAGD_BASE_JSON_H

#include "tagd/base.h"

#include <cjson/cJSON.h>

#define TAGD_JSON_DEPTH_MAX 64

struct tagd_json_fault {
    size_t offset;    /* byte of the text */
    const char *what; /* static text: "expected a value" */
};

/* True if the n bytes are one JSON text of RFC 8259 in UTF-8, at most TAGD_JSON_DEPTH_MAX levels deep. What RFC 8259
 * allows but cJSON can't hold is a fault too: a string with \u0000 or a lone surrogate, a number of over 63 characters.
 */
bool tagd_json_check(const char *p, size_t n, struct tagd_json_fault *fault);

/* Checks and parses; the tree lives in the arena and is never given to cJSON_Delete. NULL: *fault says why. */
cJSON *tagd_json_parse(struct tagd_arena *arena, const char *p, size_t n, struct tagd_json_fault *fault);

/* "an object", "a string", ...: for messages. */
const char *tagd_json_kind(const cJSON *node);

#endif
