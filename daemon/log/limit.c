#include "log/limit.h"

#include <stdio.h>
#include <string.h>

static uint64_t hash_of(enum tagd_note_level level, const char *message)
{
    char text[TAGD_LOG_KIND_BYTES];
    size_t n = 0, words = 0;
    text[n++] = (char)level;
    for (const char *p = message; *p != '\0' && n < sizeof(text); p++) {
        if (*p == ' ' && ++words == TAGD_LOG_KIND_WORDS)
            break;
        if (*p < '0' || *p > '9')
            text[n++] = *p;
    }
    return tagd_hash64((struct tagd_str){text, n});
}

static void begin(struct tagd_log_kind *kind, uint64_t hash, enum tagd_note_level level, int64_t now_ms)
{
    *kind = (struct tagd_log_kind){.hash = hash, .level = level, .since_ms = now_ms};
}

static bool is_over(const struct tagd_log_kind *kind, int64_t now_ms)
{
    return now_ms == INT64_MAX || now_ms - kind->since_ms >= TAGD_LOG_WINDOW_MS;
}

/* The kind's place, if need be a new one; those of windows that left nothing out are free again once they are over. */
static struct tagd_log_kind *find(struct tagd_log_limit *limit, uint64_t hash, enum tagd_note_level level,
                                  const char *message, int64_t now_ms)
{
    struct tagd_log_kind *place = limit->n < TAGD_LOG_KINDS_MAX ? &limit->kinds[limit->n] : NULL;
    for (size_t i = 0; i < limit->n; i++) {
        struct tagd_log_kind *kind = &limit->kinds[i];
        bool is_free = kind->left_out == 0 && is_over(kind, now_ms);
        if (kind->hash == hash && !is_free)
            return kind;
        if (is_free && (place == NULL || kind->hash == hash))
            place = kind;
    }
    if (place == NULL) {
        if (limit->others.n == 0 || (limit->others.left_out == 0 && is_over(&limit->others, now_ms)))
            begin(&limit->others, 0, level, now_ms);
        return &limit->others;
    }
    if (place == &limit->kinds[limit->n])
        limit->n++;
    begin(place, hash, level, now_ms);
    snprintf(place->text, sizeof(place->text), "%.*s", TAGD_LOG_KIND_BYTES - 1, message);
    return place;
}

bool tagd_log_limit_take(struct tagd_log_limit *limit, enum tagd_note_level level, const char *message, int64_t now_ms)
{
    struct tagd_log_kind *kind = find(limit, hash_of(level, message), level, message, now_ms);
    if (kind->n == TAGD_LOG_SAME_MAX) {
        kind->left_out++;
        return false;
    }
    kind->n++;
    return true;
}

bool tagd_log_limit_over(struct tagd_log_limit *limit, int64_t now_ms, struct tagd_log_kind *over)
{
    for (size_t i = 0; i < limit->n; i++) {
        if (limit->kinds[i].left_out == 0 || !is_over(&limit->kinds[i], now_ms))
            continue;
        *over = limit->kinds[i];
        limit->kinds[i] = limit->kinds[--limit->n];
        return true;
    }
    if (limit->others.left_out == 0 || !is_over(&limit->others, now_ms))
        return false;
    *over = limit->others;
    limit->others = (struct tagd_log_kind){0};
    return true;
}
