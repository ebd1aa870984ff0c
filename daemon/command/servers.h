/* What the commands say of a server that doesn't answer, or not as it should. */
#ifndef TAGD_COMMAND_SERVERS_H
#define TAGD_COMMAND_SERVERS_H

#include "command/command.h"
#include "io/io.h"

/* Of a result that isn't TAGD_IO_OK. */
enum tagd_exit tagd_servers_exit(enum tagd_io_result result);
/* Writes the error to stderr; the exit code. */
int tagd_servers_error(enum tagd_io_result result, const struct tagd_error *error);
/* For tagd_notes: what is more than information goes to stderr. */
void tagd_servers_warn(void *to, const struct tagd_note *note);

#endif
