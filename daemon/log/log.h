/* log: one line an event of the daemon's life, in logfmt or JSON, to stderr or a file. Any thread may write; a line is one
 * write. Never fails and never waits: a line that can't be written at once is dropped, and the next one that can says how
 * many were. Lines of one kind are limited (limit.h), what is cut or hidden is said in line.h. */
#ifndef TAGD_LOG_H
#define TAGD_LOG_H

#include "log/limit.h"
#include "log/line.h"
#include "tagd/base.h"
#include "tagd/port.h"

struct tagd_logger;

/* What is below `level` isn't written. path NULL: stderr; else a file that is appended to, made if need be; relative to the
 * working directory. NULL: it can't be opened, and *error says why and what to do. */
struct tagd_logger *tagd_logger_new(enum tagd_log_format format, enum tagd_note_level level, const char *path,
                                    struct tagd_error *error);
/* Flushes and closes. NULL is fine. No other thread may write any more. */
void tagd_logger_free(struct tagd_logger *logger);
/* Opens the path again, since what was there has been renamed. If that fails it goes on with the old file and says so.
 * Stderr stays as it is. */
void tagd_logger_reopen(struct tagd_logger *logger);
/* Says what was left out of kinds whose window is over; to be called every second or so. */
void tagd_logger_tick(struct tagd_logger *logger);
/* The same of all kinds, before the last line. */
void tagd_logger_flush(struct tagd_logger *logger);
/* Whether it is stderr that is written to, and in JSON. */
bool tagd_logger_is_json_stderr(const struct tagd_logger *logger);
bool tagd_logger_is_stderr(const struct tagd_logger *logger);

#define TAGD_LOG_RECENT_BYTES_MAX                                                                                      \
    1000 /* of what recent.h keeps of a line; a longer one is cut at a character's border */

struct tagd_log { /* a line that is being written */
    struct tagd_logger *logger;
    enum tagd_note_level level;
    bool wanted;
    char kind[TAGD_LOG_KIND_BYTES]; /* the message's beginning */
    struct tagd_log_line line;
    int64_t wall_ms;
    char kept[TAGD_LOG_RECENT_BYTES_MAX + 1]; /* the message, then " key=value" */
};

/* tagd_log_begin, then any number of pairs, then tagd_log_end, which writes the line. A key is letters, digits and '_'. */
void tagd_log_begin(struct tagd_log *log, struct tagd_logger *logger, enum tagd_note_level level, const char *message);
void tagd_log_text(struct tagd_log *log, const char *key, const char *value);
void tagd_log_number(struct tagd_log *log, const char *key, int64_t value);
void tagd_log_end(struct tagd_log *log);

/* A line without pairs; and one of a note, with what it is about as pairs. */
void tagd_log_line(struct tagd_logger *logger, enum tagd_note_level level, const char *message);
void tagd_log_note(struct tagd_logger *logger, const struct tagd_note *note);

#endif
