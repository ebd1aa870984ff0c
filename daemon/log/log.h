/* log: one line an event in logfmt, to stderr. Any thread may write; a line is one write. Never fails, never waits on
 * purpose. */
#ifndef TAGD_LOG_H
#define TAGD_LOG_H

#include "tagd/base.h"

enum tagd_log_level { TAGD_LOG_INFO, TAGD_LOG_WARN, TAGD_LOG_ERROR };

struct tagd_log {
    struct tagd_buf line;
    struct tagd_buf kept; /* what recent.h keeps of it */
    enum tagd_log_level level;
    int64_t wall_ms;
};

/* tagd_log_begin, then any number of pairs, then tagd_log_end, which writes the line and frees it. */
void tagd_log_begin(struct tagd_log *log, enum tagd_log_level level, const char *message);
void tagd_log_text(struct tagd_log *log, const char *key, const char *value);
void tagd_log_number(struct tagd_log *log, const char *key, int64_t value);
void tagd_log_end(struct tagd_log *log);

/* A line without pairs. */
void tagd_log_line(enum tagd_log_level level, const char *message);

#endif
