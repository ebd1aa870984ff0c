#include "base/cjson.h"

#include <stdlib.h>

/* cJSON's memory while a parse of this thread is under way; otherwise malloc's. */
static _Thread_local struct tagd_arena *parse_arena;

static void *json_alloc(size_t n)
{
    return parse_arena ? tagd_arena_alloc(parse_arena, n) : malloc(n);
}

static void json_free(void *p)
{
    if (!parse_arena)
        free(p);
}

/* Before main, so that no thread ever sees the hooks change. */
__attribute__((constructor)) static void install_hooks(void)
{
    cJSON_Hooks hooks = {json_alloc, json_free};

    cJSON_InitHooks(&hooks);
}

cJSON *tagd_json_parse(struct tagd_arena *arena, const char *p, size_t n, struct tagd_json_fault *found)
{
    struct tagd_arena *outer = parse_arena;
    const char *end = NULL;
    cJSON *root;

    if (!tagd_json_check(p, n, found))
        return NULL;
    parse_arena = arena;
    root = cJSON_ParseWithLengthOpts(p, n, &end, false);
    parse_arena = outer;
    if (!root)
        *found = (struct tagd_json_fault){end ? (size_t)(end - p) : 0, "not JSON as the parser reads it"};
    return root;
}

const char *tagd_json_kind(const cJSON *node)
{
    switch (node ? node->type & 0xFF : cJSON_Invalid) {
    case cJSON_False:
    case cJSON_True: return "a boolean";
    case cJSON_NULL: return "null";
    case cJSON_Number: return "a number";
    case cJSON_String: return "a string";
    case cJSON_Array: return "an array";
    case cJSON_Object: return "an object";
    default: return "nothing";
    }
}
