/* tagd skip: passes one record over, on purpose (worker/skip.c). This file asks whether it may. */
#include "worker/skip.h"

#include "command/brakes.h"
#include "command/load.h"
#include "command/servers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_TIMEOUT_MS 10000
#define STOPPED_TIMEOUT_MS 12000 /* the session of a daemon that was stopped, 10 s, and more */
#define ASSIGN_TIMEOUT_MS 60000  /* a group that was killed keeps its members for their session's timeout */

struct skip_command {
    const char *path, *topic, *reason;
    int64_t partition, offset; /* -1: not given */
    bool without_record;
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    uint32_t partitions, topic_index;
    struct tagd_notes notes;
};

/* ---- may it? ---- */

static int find_topic(struct skip_command *command)
{
    int32_t index = tagd_config_source(command->config, command->topic);
    if (index >= 0) {
        command->topic_index = (uint32_t)index;
        return TAGD_EXIT_OK;
    }
    return tagd_command_error(TAGD_EXIT_USAGE, "--topic: \"%s\" is no source topic of %s; name one of its /sources",
                              command->topic, command->path);
}

/* Whether the group stands still, and nothing says that its outputs must not go out. */
static int check_still(struct skip_command *command)
{
    struct tagd_error error;
    struct tagd_held held;
    struct tagd_io_server server;
    enum tagd_io_result result =
        tagd_io_check_topics(command->config, false, START_TIMEOUT_MS, &command->notes, &command->partitions, &error);
    if (result == TAGD_IO_OK)
        result = tagd_io_check_stopped(command->config, STOPPED_TIMEOUT_MS, &command->notes, &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    if (command->partition >= command->partitions)
        return tagd_command_error(TAGD_EXIT_USAGE, "--partition: topic \"%s\" has the partitions 0 to %" PRIu32,
                                  command->topic, command->partitions - 1);
    struct tagd_io_reader *reader = tagd_io_reader_new(command->config);
    result = tagd_held_read(reader, command->config, NULL, &held, &server, &error);
    tagd_io_reader_free(reader);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    if (held.outputs)
        return tagd_command_error(TAGD_EXIT_CONFIG,
                                  "outputs are held, by %s, and a skip publishes a dead letter; let them go by tagd "
                                  "release --outputs first",
                                  held.by);
    return TAGD_EXIT_OK;
}

/* ---- doing it ---- */

static int say(const struct skip_command *command, enum tagd_skip_result result,
               const struct tagd_skip_outcome *outcome, const struct tagd_error *error)
{
    if (result != TAGD_SKIP_DONE)
        return tagd_command_error(result == TAGD_SKIP_AGAIN ? TAGD_EXIT_UNAVAILABLE : TAGD_EXIT_CONFIG, "%s",
                                  error->text);
    printf("skipped topic \"%s\", partition %" PRId64 ", offset %" PRId64 "; %s in \"%s\", with the code poison. Start "
           "the daemon\n",
           command->topic, command->partition, command->offset,
           outcome->empty ? "a dead letter without its bytes is" : "it is", command->config->dead_letter);
    return TAGD_EXIT_OK;
}

static int skip(const struct skip_command *command)
{
    const struct tagd_config *config = command->config;
    const char *topics[TAGD_TOPICS_MAX];
    struct tagd_skip_outcome outcome;
    struct tagd_error error;
    enum tagd_io_result opened;
    struct tagd_io *io =
        tagd_io_new(config, 0, command->partitions, START_TIMEOUT_MS, &command->notes, &opened, &error);
    if (io == NULL)
        return tagd_servers_error(opened, &error);
    for (size_t i = 0; i < config->n_sources; i++)
        topics[i] = config->sources[i].topic;
    struct tagd_worker_config worker = {
        .catalog = command->catalog,
        .group = config->group,
        .owner = tagd_io_owner(io),
        .n_topics = (uint32_t)config->n_sources,
        .topics = topics,
        .rules = {.catalog = command->catalog, .partitions = (int32_t)command->partitions},
        .at_least_once = config->at_least_once,
        .continue_on_data_gap = config->continue_on_data_gap,
        .begins_at_end = config->start_latest};
    struct tagd_skip_config with = {.worker = &worker,
                                    .shard = (uint32_t)command->partition,
                                    .topic = command->topic_index,
                                    .offset = command->offset,
                                    .reason = command->reason == NULL ? "" : command->reason,
                                    .without_record = command->without_record,
                                    .assign_timeout_ms = ASSIGN_TIMEOUT_MS};
    enum tagd_skip_result result = tagd_skip(&with, tagd_io_port(io), &outcome, &error);
    tagd_io_free(io);
    return say(command, result, &outcome, &error);
}

/* ---- the command line ---- */

static void read_number(struct tagd_options *options, int64_t *n)
{
    const char *name = options->word, *text = tagd_options_value(options);
    if (text == NULL)
        return;
    size_t digits = strspn(text, "0123456789");
    if (text[digits] == '\0' && digits <= 18) {
        *n = strtoll(text, NULL, 10);
        return;
    }
    tagd_command_error(TAGD_EXIT_USAGE, "%s: expected a whole number from 0, found \"%s\"", name, text);
    options->failed = true;
}

static bool is_one_line(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return false;
    return true;
}

static int check_line(const struct skip_command *command)
{
    const char *missing = command->path == NULL    ? "--config FILE"
                          : command->topic == NULL ? "--topic T"
                          : command->partition < 0 ? "--partition N"
                          : command->offset < 0    ? "--offset O"
                                                   : NULL;
    if (missing != NULL)
        return tagd_command_error(TAGD_EXIT_USAGE, "skip wants %s; tagd skip --help shows how", missing);
    if (command->reason != NULL && (strlen(command->reason) > TAGD_SKIP_REASON_MAX || !is_one_line(command->reason) ||
                                    !tagd_utf8_valid(command->reason, strlen(command->reason))))
        return tagd_command_error(TAGD_EXIT_USAGE, "--reason: at most %d bytes of UTF-8 in one line are possible",
                                  TAGD_SKIP_REASON_MAX);
    return TAGD_EXIT_OK;
}

int tagd_command_skip(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct skip_command command = {.partition = -1, .offset = -1, .notes = {tagd_servers_warn, NULL}};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            command.path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--topic"))
            command.topic = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--partition"))
            read_number(&options, &command.partition);
        else if (tagd_options_is(&options, "--offset"))
            read_number(&options, &command.offset);
        else if (tagd_options_is(&options, "--reason"))
            command.reason = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--without-record"))
            command.without_record = true;
        else
            tagd_options_unknown(&options);
    }
    int code = options.failed ? TAGD_EXIT_USAGE : check_line(&command);
    if (code == TAGD_EXIT_OK)
        code = tagd_command_load(command.path, &command.config, &command.catalog);
    if (code == TAGD_EXIT_OK)
        code = find_topic(&command);
    if (code == TAGD_EXIT_OK)
        code = check_still(&command);
    if (code == TAGD_EXIT_OK)
        code = skip(&command);
    tagd_catalog_free(command.catalog);
    tagd_config_free(command.config);
    return code;
}
