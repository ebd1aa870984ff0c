/* What a running daemon answers over HTTP: which path says what. */
#ifndef TAGD_COMMAND_ANSWERS_H
#define TAGD_COMMAND_ANSWERS_H

#include "command/run.h"

/* Listens as the configuration says. NULL: *error says why not. */
struct tagd_http *tagd_answers_listen(struct run *run, struct tagd_error *error);

#endif
