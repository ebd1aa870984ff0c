/* What a running daemon answers over HTTP: which path says what. */
#ifndef TAGD_COMMAND_ANSWERS_H
#define TAGD_COMMAND_ANSWERS_H

#include "http/http.h"

/* A tagd_http_answer; to: the struct run. */
int tagd_answers_get(void *to, const char *path, const struct tagd_http_arguments *arguments, struct tagd_buf *body,
                     const char **content_type);

#endif
