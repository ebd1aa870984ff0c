/* How many lines of one kind the log takes. A kind is a level and a message's first words, digits taken out. The clock comes
 * in as an argument; nothing here reads one or writes a line. */
#ifndef TAGD_LOG_LIMIT_H
#define TAGD_LOG_LIMIT_H

#include "tagd/port.h"

#define TAGD_LOG_SAME_MAX 6      /* lines of one kind in a window; further ones are counted, */
#define TAGD_LOG_WINDOW_MS 60000 /* and told when the window is over, which begins with a kind's first line */
#define TAGD_LOG_KINDS_MAX 64    /* that are told apart at once; lines of further ones count as one kind together */
#define TAGD_LOG_KIND_WORDS 5    /* of a message that make its kind */
#define TAGD_LOG_KIND_BYTES 160  /* of a message that are looked at, and told; the NUL included */

struct tagd_log_kind {
    uint64_t hash;
    enum tagd_note_level level;
    int64_t since_ms;
    unsigned n;                     /* lines taken in the window */
    uint64_t left_out;              /* lines that were not */
    char text[TAGD_LOG_KIND_BYTES]; /* of its first line; "": of several kinds */
};

struct tagd_log_limit { /* all 0 at first. kinds[0 .. n-1] are in use, all different */
    struct tagd_log_kind kinds[TAGD_LOG_KINDS_MAX];
    struct tagd_log_kind others; /* n is 0: not in use */
    size_t n;
};

/* May the line be written? If not, it is counted. now_ms never goes back. */
bool tagd_log_limit_take(struct tagd_log_limit *limit, enum tagd_note_level level, const char *message, int64_t now_ms);
/* A kind whose window is over and of which lines were left out: it is forgotten, so that its next line begins another
 * window. False: there is none. INT64_MAX: whether its window is over or not. */
bool tagd_log_limit_over(struct tagd_log_limit *limit, int64_t now_ms, struct tagd_log_kind *over);

#endif
