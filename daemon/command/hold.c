/* tagd hold: outputs of a group are kept back, by a person. */
#include "command/holding.h"
#include "command/servers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int hold(struct tagd_holding *command)
{
    struct tagd_error error;
    char host[TAGD_INSTANCE_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "somebody");
    if (command->held.outputs) {
        printf("outputs are held already\n");
        tagd_holding_print(command);
        return TAGD_EXIT_OK;
    }
    enum tagd_io_result result = tagd_release_limits(command->reader, INT64_MIN, &error);
    if (result == TAGD_IO_OK)
        result = tagd_hold(command->reader, host, command->reason == NULL ? "tagd hold" : command->reason,
                           tagd_io_wall_ms(), &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    printf("outputs of group \"%s\" are held within a second: changes are kept and not published; tagd release lets "
           "them go\n",
           command->config->group);
    return TAGD_EXIT_OK;
}

int tagd_command_hold(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct tagd_holding command = {0};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            command.path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--reason"))
            command.reason = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--list"))
            command.list = true;
        else
            tagd_options_unknown(&options);
    }
    if (command.reason != NULL && (strlen(command.reason) > TAGD_HOLD_WHY_MAX || strchr(command.reason, '\n') != NULL))
        return tagd_command_error(TAGD_EXIT_USAGE, "--reason: at most %d bytes in one line are possible",
                                  TAGD_HOLD_WHY_MAX);
    if (command.reason != NULL && !tagd_utf8_valid(command.reason, strlen(command.reason)))
        return tagd_command_error(TAGD_EXIT_USAGE, "--reason is not UTF-8; set the terminal's locale to one that is");
    return tagd_holding_finish(&command, &options, "hold", hold);
}
