/* What the commands hold and release share: reading what is held of a group, and saying it. */
#ifndef TAGD_COMMAND_HOLDING_H
#define TAGD_COMMAND_HOLDING_H

#include "command/brakes.h"
#include "command/command.h"
#include "tagd/catalog.h"

struct tagd_holding {
    const char *path, *reason, *source; /* options; NULL: not given */
    bool list, outputs, clock;
    int64_t for_ms; /* 0: not given */
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_io_reader *reader;
    struct tagd_held held;
};

void tagd_holding_print(const struct tagd_holding *command);
/* Options are read: loads the configuration, reads what is held, and runs the command, or lists. The exit code; what is
 * wrong is written. */
int tagd_holding_finish(struct tagd_holding *command, const struct tagd_options *options, const char *name,
                        int (*run)(struct tagd_holding *command));

#endif
