/* tagd hold and tagd release: what is held of a group, by a person or by a limit, and what is let go. */
#include "command/brakes.h"
#include "command/command.h"
#include "command/load.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct brakes_command {
    const char *path, *reason, *source;
    bool list, outputs, clock;
    int64_t for_ms; /* 0: not given */
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_io_reader *reader;
    struct tagd_held held;
};

static int io_error(enum tagd_io_result result, const struct tagd_error *error)
{
    return tagd_command_error(result == TAGD_IO_UNREACHABLE ? TAGD_EXIT_UNAVAILABLE : TAGD_EXIT_CONFIG, "%s",
                              error->text);
}

static const char *time_text(int64_t ms, char text[TAGD_TIME_TEXT])
{
    tagd_time_format(ms, text);
    return text;
}

static void print_held(const struct brakes_command *command)
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

/* ---- hold ---- */

static int hold(struct brakes_command *command)
{
    struct tagd_error error;
    char host[TAGD_INSTANCE_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "somebody");
    if (command->held.outputs) {
        printf("outputs are held already\n");
        print_held(command);
        return TAGD_EXIT_OK;
    }
    enum tagd_io_result result = tagd_release_limits(command->reader, INT64_MIN, &error);
    if (result == TAGD_IO_OK)
        result = tagd_hold(command->reader, host, command->reason == NULL ? "tagd hold" : command->reason,
                           tagd_io_wall_ms(), &error);
    if (result != TAGD_IO_OK)
        return io_error(result, &error);
    printf("outputs of group \"%s\" are held within a second: changes are kept and not published; tagd release lets "
           "them go\n",
           command->config->group);
    return TAGD_EXIT_OK;
}

/* ---- release ---- */

static enum tagd_io_result release_outputs(struct brakes_command *command, bool *any, struct tagd_error *error)
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

static enum tagd_io_result release_sources(struct brakes_command *command, bool *any, struct tagd_error *error)
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

static enum tagd_io_result release_clock(struct brakes_command *command, bool *any, struct tagd_error *error)
{
    if (!command->held.clock_apart)
        return TAGD_IO_OK;
    *any = true;
    printf("released: Redis's clock may be %.3f s ahead\n", (double)command->held.clock_ahead_ms / 1000);
    return tagd_release_clock(command->reader, command->held.clock_ahead_ms, error);
}

static int release(struct brakes_command *command)
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
        return io_error(result, &error);
    if (!any)
        printf("nothing of it is held\n");
    return TAGD_EXIT_OK;
}

/* ---- both ---- */

static bool is_source(const struct tagd_config *config, const char *topic)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].topic, topic) == 0)
            return true;
    return false;
}

static int with_reader(struct brakes_command *command, int (*run)(struct brakes_command *command))
{
    struct tagd_error error;
    struct tagd_io_server server;
    if (command->source != NULL && !is_source(command->config, command->source))
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "--source: \"%s\" is no source topic of %s; name one of its /sources",
                                  command->source, command->path);
    command->reader = tagd_io_reader_new(command->config);
    enum tagd_io_result result =
        tagd_held_read(command->reader, command->config, NULL, &command->held, &server, &error);
    if (result != TAGD_IO_OK)
        return io_error(result, &error);
    if (!command->list)
        return run(command);
    print_held(command);
    return TAGD_EXIT_OK;
}

static int finish(struct brakes_command *command, const struct tagd_options *options, const char *name,
                  int (*run)(struct brakes_command *command))
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

int tagd_command_hold(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct brakes_command command = {0};
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
    return finish(&command, &options, "hold", hold);
}

static bool read_for(struct brakes_command *command, const char *text)
{
    return text == NULL || (tagd_duration_parse(tagd_str_of(text), &command->for_ms) && command->for_ms > 0 &&
                            command->for_ms <= TAGD_LIMITS_OFF_MAX_MS);
}

int tagd_command_release(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct brakes_command command = {0};
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
    return finish(&command, &options, "release", release);
}
