/* tagd release: what is held of a group, by a person, by a limit or by a clock, is let go. */
#include "command/holding.h"
#include "command/servers.h"

#include <stdio.h>
#include <string.h>

static enum tagd_io_result release_outputs(struct tagd_holding *command, bool *any, struct tagd_error *error)
{
    enum tagd_io_result result = TAGD_IO_OK;
    if (command->for_ms > 0)
        result = tagd_release_limits(command->reader, tagd_io_wall_ms() + command->for_ms, error);
    if (result == TAGD_IO_OK && command->held.outputs)
        result = tagd_release_outputs(command->reader, error);
    if (result != TAGD_IO_OK)
        return result;
    *any = *any || command->held.outputs || command->for_ms > 0;
    if (command->held.outputs)
        printf("released: outputs\n");
    if (command->for_ms > 0)
        printf("released: max_changes_per_minute doesn't count for %lld s\n", (long long)(command->for_ms / 1000));
    return TAGD_IO_OK;
}

static enum tagd_io_result release_sources(struct tagd_holding *command, bool *any, struct tagd_error *error)
{
    enum tagd_io_result result = TAGD_IO_OK;
    for (size_t i = 0; i < command->config->n_sources && result == TAGD_IO_OK; i++) {
        const struct tagd_held_source *source = &command->held.sources[i];
        if (!source->held || (command->source != NULL && strcmp(command->source, source->topic) != 0))
            continue;
        result = tagd_release_source(command->reader, source, error);
        *any = true;
        if (result == TAGD_IO_OK)
            printf("released: the source \"%s\" may be silent until its next event\n", source->topic);
    }
    return result;
}

static enum tagd_io_result release_clock(struct tagd_holding *command, bool *any, struct tagd_error *error)
{
    if (!command->held.clock_apart)
        return TAGD_IO_OK;
    *any = true;
    printf("released: Redis's clock may be %.3f s ahead\n", (double)command->held.clock_ahead_ms / 1000);
    return tagd_release_clock(command->reader, command->held.clock_ahead_ms, error);
}

static int release(struct tagd_holding *command)
{
    struct tagd_error error;
    bool all = !command->outputs && !command->clock && command->source == NULL, any = false;
    enum tagd_io_result result = TAGD_IO_OK;
    if (all || command->outputs)
        result = release_outputs(command, &any, &error);
    if (result == TAGD_IO_OK && (all || command->source != NULL))
        result = release_sources(command, &any, &error);
    if (result == TAGD_IO_OK && (all || command->clock))
        result = release_clock(command, &any, &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    if (!any)
        printf("nothing of it is held\n");
    return TAGD_EXIT_OK;
}

static bool read_for(struct tagd_holding *command, const char *text)
{
    return text == NULL || (tagd_duration_parse(tagd_str_of(text), &command->for_ms) && command->for_ms > 0 &&
                            command->for_ms <= TAGD_LIMITS_OFF_MAX_MS);
}

int tagd_command_release(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct tagd_holding command = {0};
    const char *for_text = NULL;
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            command.path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--outputs"))
            command.outputs = true;
        else if (tagd_options_is(&options, "--for"))
            for_text = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--source"))
            command.source = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--clock"))
            command.clock = true;
        else
            tagd_options_unknown(&options);
    }
    if (!options.failed && !read_for(&command, for_text))
        return tagd_command_error(TAGD_EXIT_USAGE, "--for: \"%s\" is no duration of up to 7d, as in \"1h\"", for_text);
    if (for_text != NULL && (command.clock || command.source != NULL) && !command.outputs)
        return tagd_command_error(TAGD_EXIT_USAGE, "--for is of outputs; add --outputs, or take it out");
    return tagd_holding_finish(&command, &options, "release", release);
}
