#include "tagd/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN 4096
#define CHUNK_MAX (1024 * 1024)
#define ALIGN 16

struct tagd_arena_chunk {
    struct tagd_arena_chunk *next;
    size_t cap;
    _Alignas(ALIGN) unsigned char bytes[];
};

static void *or_die(void *p, size_t n)
{
    if (!p) {
        fprintf(stderr, "tagd: out of memory: %zu bytes were asked for\n", n);
        abort();
    }
    return p;
}

void *tagd_xmalloc(size_t n)
{
    return or_die(malloc(n ? n : 1), n);
}

void *tagd_xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n ? n : 1, size ? size : 1), n);
}

void *tagd_xrealloc(void *p, size_t n)
{
    return or_die(realloc(p, n ? n : 1), n);
}

char *tagd_xstrdup(const char *text)
{
    return text == NULL ? NULL : memcpy(tagd_xmalloc(strlen(text) + 1), text, strlen(text) + 1);
}

/* Makes cur a chunk with room for n: one kept by a reset, or a new one put after cur. */
static void next_chunk(struct tagd_arena *arena, size_t n)
{
    struct tagd_arena_chunk *cur = arena->cur;
    size_t cap = cur ? cur->cap * 2 : CHUNK_MIN;
    struct tagd_arena_chunk *chunk = cur ? cur->next : arena->first;

    while (chunk && chunk->cap < n) {
        cur = chunk;
        chunk = chunk->next;
    }
    if (!chunk) {
        if (cap > CHUNK_MAX)
            cap = CHUNK_MAX;
        if (cap < n)
            cap = n;
        chunk = tagd_xmalloc(sizeof(*chunk) + cap);
        chunk->cap = cap;
        chunk->next = NULL;
        if (cur)
            cur->next = chunk;
        else
            arena->first = chunk;
    }
    arena->cur = chunk;
    arena->used = 0;
}

void *tagd_arena_alloc(struct tagd_arena *arena, size_t n)
{
    unsigned char *p;

    if (n > SIZE_MAX / 2)
        or_die(NULL, n);
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!arena->cur || arena->cur->cap - arena->used < n)
        next_chunk(arena, n);
    p = arena->cur->bytes + arena->used;
    arena->used += n;
    return p;
}

void *tagd_arena_zalloc(struct tagd_arena *arena, size_t n)
{
    return memset(tagd_arena_alloc(arena, n), 0, n);
}

struct tagd_str tagd_arena_copy(struct tagd_arena *arena, const char *p, size_t n)
{
    char *copy = tagd_arena_alloc(arena, n + 1);

    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return (struct tagd_str){copy, n};
}

const char *tagd_arena_printf(struct tagd_arena *arena, const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        n = 0;
    text = tagd_arena_alloc(arena, (size_t)n + 1);
    text[0] = '\0';
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

void tagd_arena_reset(struct tagd_arena *arena)
{
    arena->cur = arena->first;
    arena->used = 0;
}

void tagd_arena_free(struct tagd_arena *arena)
{
    struct tagd_arena_chunk *chunk = arena->first;

    while (chunk) {
        struct tagd_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *arena = (struct tagd_arena){0};
}
