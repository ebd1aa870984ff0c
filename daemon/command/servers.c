#include "command/servers.h"

#include <stdio.h>

enum tagd_exit tagd_servers_exit(enum tagd_io_result result)
{
    return result == TAGD_IO_UNREACHABLE ? TAGD_EXIT_UNAVAILABLE : TAGD_EXIT_CONFIG;
}

int tagd_servers_error(enum tagd_io_result result, const struct tagd_error *error)
{
    return tagd_command_error(tagd_servers_exit(result), "%s", error->text);
}

void tagd_servers_warn(void *to, const struct tagd_note *note)
{
    (void)to;
    if (note->level != TAGD_NOTE_INFO)
        fprintf(stderr, "tagd: %s\n", note->text);
}
