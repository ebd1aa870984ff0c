#include "log/recent.h"

#include "base/text.h"

#include <pthread.h>
#include <string.h>

static struct {
    pthread_mutex_t mutex;
    struct tagd_log_kept ring[TAGD_LOG_RECENT_MAX];
    size_t n, next;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void tagd_log_keep(enum tagd_note_level level, int64_t wall_ms, struct tagd_str text)
{
    size_t n = text.n <= TAGD_LOG_RECENT_BYTES_MAX ? text.n : tagd_utf8_cut(text.p, TAGD_LOG_RECENT_BYTES_MAX);
    if (level == TAGD_NOTE_INFO)
        return;
    pthread_mutex_lock(&kept.mutex);
    struct tagd_log_kept *line = &kept.ring[kept.next];
    kept.next = (kept.next + 1) % TAGD_LOG_RECENT_MAX;
    kept.n += kept.n < TAGD_LOG_RECENT_MAX;
    line->wall_ms = wall_ms;
    line->level = level;
    if (n > 0)
        memcpy(line->text, text.p, n);
    line->text[n] = '\0';
    pthread_mutex_unlock(&kept.mutex);
}

size_t tagd_log_recent(struct tagd_log_kept *out, size_t max)
{
    pthread_mutex_lock(&kept.mutex);
    size_t n = kept.n < max ? kept.n : max;
    for (size_t i = 0; i < n; i++)
        out[i] = kept.ring[(kept.next + TAGD_LOG_RECENT_MAX - 1 - i) % TAGD_LOG_RECENT_MAX];
    pthread_mutex_unlock(&kept.mutex);
    return n;
}
