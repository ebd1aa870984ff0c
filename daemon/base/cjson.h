/* cJSON over an arena, for the rooms that read whole documents: the check of base/json.h, then cJSON's tree. */
#ifndef TAGD_BASE_CJSON_H
#define TAGD_BASE_CJSON_H

#include "base/json.h"

#include <cjson/cJSON.h>

/* Checks and parses; the tree lives in the arena and is never given to cJSON_Delete. NULL: *fault says why. */
cJSON *tagd_json_parse(struct tagd_arena *arena, const char *p, size_t n, struct tagd_json_fault *fault);

/* "an object", "a string", ...: for messages. */
const char *tagd_json_kind(const cJSON *node);

#endif
