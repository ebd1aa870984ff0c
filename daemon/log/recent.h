/* The last warnings and errors, whatever level the log has, kept in memory for who looks on: a ring, of fixed size. Any
 * thread. */
#ifndef TAGD_LOG_RECENT_H
#define TAGD_LOG_RECENT_H

#include "log/log.h"

#define TAGD_LOG_RECENT_MAX 50 /* lines that are kept */

struct tagd_log_kept {
    int64_t wall_ms;
    enum tagd_note_level level;
    char text[TAGD_LOG_RECENT_BYTES_MAX + 1]; /* the message, then " key=value" */
};

/* Keeps a line, unless it only informs. */
void tagd_log_keep(enum tagd_note_level level, int64_t wall_ms, struct tagd_str text);
/* Newest first; how many there are, at most max. */
size_t tagd_log_recent(struct tagd_log_kept *out, size_t max);

#endif
