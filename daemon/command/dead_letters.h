/* dead_letters: what list, show and replay share. */
#ifndef TAGD_COMMAND_DEAD_LETTERS_H
#define TAGD_COMMAND_DEAD_LETTERS_H

#include "command/letters.h"
#include "io/letters.h"
#include "tagd/catalog.h"

#define TAGD_LETTERS_TIMEOUT_MS 10000 /* for a server's first answer */

struct tagd_dead_letters {
    const char *path;
    bool json, dry_run;
    size_t limit; /* of list: the latest so many */
    struct tagd_letter_filter filter;
    struct tagd_letter_place *places; /* the filter's */
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    uint32_t partitions;
    struct tagd_io_letters *io;
    struct tagd_letter_list list;
};

/* Reads all letters and markers, of each partition from the first record at or after since_ms, into the list, and settles
 * it. An exit code; what went wrong is written. */
int tagd_dead_letters_read(struct tagd_dead_letters *command, int64_t since_ms);
/* replay.c. An exit code. */
int tagd_dead_letters_replay(struct tagd_dead_letters *command);

#endif
