/* A line of the log as bytes: pairs of key and value in logfmt or JSON. Pure. A line is always well-formed: what is too long
 * is cut within a value, which then ends in "…", or is a pair left out. Bytes that are not UTF-8 become U+FFFD.
 *
 * No secret is written: of NAME=VALUE, NAME = VALUE and "NAME": "VALUE" inside a value, where NAME holds one of the words
 * password, passwd, secret, token, key or credential in any case, VALUE becomes "[hidden]"; so does a pair whose own key
 * holds one, and what stands between "://" and "@". */
#ifndef TAGD_LOG_LINE_H
#define TAGD_LOG_LINE_H

#include "config/config.h"

#define TAGD_LOG_LINE_BYTES 4096  /* the line feed included: a pipe takes that many in one piece */
#define TAGD_LOG_VALUE_BYTES 2048 /* of a value, as it is written, without its quotes */
#define TAGD_LOG_HIDDEN "[hidden]"

struct tagd_log_line {
    enum tagd_log_format format;
    size_t n;
    char text[TAGD_LOG_LINE_BYTES];
};

/* The value as a line would show it, without its secrets, cut to `size` with its NUL at a character's border. */
void tagd_log_shown(const char *key, const char *value, char *out, size_t size);

void tagd_log_line_begin(struct tagd_log_line *line, enum tagd_log_format format);
void tagd_log_line_text(struct tagd_log_line *line, const char *key, const char *value);
void tagd_log_line_number(struct tagd_log_line *line, const char *key, int64_t value);
void tagd_log_line_end(struct tagd_log_line *line); /* with the line feed, without a NUL */

#endif
