#include "base/pointer.h"

#include <string.h>

static bool fault_at(struct tagd_pointer_fault *fault, size_t offset, const char *what)
{
    *fault = (struct tagd_pointer_fault){offset, what};
    return false;
}

/* ~0 stands for ~ and ~1 for /. */
static struct tagd_str unescaped(struct tagd_arena *arena, const char *p, size_t n)
{
    char *out = tagd_arena_alloc(arena, n + 1);
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        out[k++] = p[i] != '~' ? p[i] : p[i + 1] == '0' ? '~' : '/';
        i += p[i] == '~';
    }
    out[k] = '\0';
    return (struct tagd_str){out, k};
}

bool tagd_pointer_split(struct tagd_str text, struct tagd_arena *arena, struct tagd_pointer *pointer,
                        struct tagd_pointer_fault *fault)
{
    struct tagd_str *tokens;
    size_t n = 0, at = 1;

    *pointer = (struct tagd_pointer){text, NULL, 0};
    if (text.n == 0)
        return true;
    if (text.p[0] != '/')
        return fault_at(fault, 0, "a JSON Pointer begins with \"/\", as in \"/order/total\"");
    if (text.n > TAGD_POINTER_BYTES_MAX)
        return fault_at(fault, TAGD_POINTER_BYTES_MAX, "a JSON Pointer may have 256 bytes at most");
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '/';
        if (text.p[i] == '~' && (i + 1 == text.n || (text.p[i + 1] != '0' && text.p[i + 1] != '1')))
            return fault_at(fault, i, "in a JSON Pointer write \"~0\" for \"~\" and \"~1\" for \"/\"");
    }
    if (n > TAGD_JSON_DEPTH_MAX)
        return fault_at(fault, 0, "a JSON Pointer may lead 64 levels down at most, as deep as a record may be");
    tokens = tagd_arena_alloc(arena, n * sizeof(*tokens));
    for (size_t i = 0; i < n; i++) {
        const char *slash = memchr(text.p + at, '/', text.n - at);
        size_t end = slash ? (size_t)(slash - text.p) : text.n;

        tokens[i] = unescaped(arena, text.p + at, end - at);
        at = end + 1;
    }
    pointer->tokens = tokens;
    pointer->n = n;
    return true;
}

/* An array's index by the letter of RFC 6901. */
static bool index_of(struct tagd_str name, size_t *index)
{
    *index = 0;
    if (name.n == 0 || name.n > 9 || (name.n > 1 && name.p[0] == '0'))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9')
            return false;
        *index = *index * 10 + (size_t)(name.p[i] - '0');
    }
    return true;
}

static const struct tagd_json *node_at(const struct tagd_json *array, struct tagd_str name)
{
    const struct tagd_json *node = array->child;
    size_t index;

    if (!index_of(name, &index))
        return NULL;
    while (node && index-- > 0)
        node = node->next;
    return node;
}

const struct tagd_json *tagd_pointer_find(const struct tagd_pointer *pointer, const struct tagd_json *root)
{
    const struct tagd_json *node = root;

    for (size_t i = 0; node && i < pointer->n; i++)
        node = node->type == TAGD_JSON_OBJECT  ? tagd_json_member(node, pointer->tokens[i])
               : node->type == TAGD_JSON_ARRAY ? node_at(node, pointer->tokens[i])
                                               : NULL;
    return node;
}
