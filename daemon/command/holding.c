#include "command/holding.h"

#include "command/load.h"
#include "command/servers.h"

#include <stdio.h>

static const char *time_text(int64_t ms, char text[TAGD_TIME_TEXT])
{
    tagd_time_format(ms, text);
    return text;
}

void tagd_holding_print(const struct tagd_holding *command)
{
    const struct tagd_held *held = &command->held;
    char text[TAGD_TIME_TEXT];
    bool any = held->outputs || held->clock_apart;
    if (held->outputs)
        printf("outputs are held since %s, by %s: %s\n", time_text(held->since_ms, text), held->by, held->why);
    for (size_t i = 0; i < command->config->n_sources; i++) {
        const struct tagd_held_source *source = &held->sources[i];
        any = any || source->held;
        if (source->held)
            printf("time is held: the source \"%s\" is silent since %s, for longer than its expect_every\n",
                   source->topic, time_text(source->latest_ms, text));
        else if (source->silent)
            printf("the source \"%s\" is silent since %s, which was released\n", source->topic,
                   time_text(source->latest_ms, text));
    }
    if (held->clock_apart)
        printf("time is held: Redis's clock is %.3f s ahead of this host's\n", (double)held->clock_ahead_ms / 1000);
    if (held->limits_off_ms > tagd_io_wall_ms())
        printf("max_changes_per_minute doesn't count until %s\n", time_text(held->limits_off_ms, text));
    if (!any)
        printf("nothing is held\n");
}

static int with_reader(struct tagd_holding *command, int (*run)(struct tagd_holding *command))
{
    struct tagd_error error;
    struct tagd_io_server server;
    if (command->source != NULL && tagd_config_source(command->config, command->source) < 0)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "--source: \"%s\" is no source topic of %s; name one of its /sources",
                                  command->source, command->path);
    command->reader = tagd_io_reader_new(command->config);
    enum tagd_io_result result =
        tagd_held_read(command->reader, command->config, NULL, &command->held, &server, &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    if (!command->list)
        return run(command);
    tagd_holding_print(command);
    return TAGD_EXIT_OK;
}

int tagd_holding_finish(struct tagd_holding *command, const struct tagd_options *options, const char *name,
                        int (*run)(struct tagd_holding *command))
{
    if (options->failed)
        return TAGD_EXIT_USAGE;
    if (command->path == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE, "%s wants --config FILE; tagd %s --help shows how", name, name);
    int code = tagd_command_load(command->path, &command->config, &command->catalog);
    if (code == TAGD_EXIT_OK)
        code = with_reader(command, run);
    tagd_io_reader_free(command->reader);
    tagd_catalog_free(command->catalog);
    tagd_config_free(command->config);
    return code;
}
