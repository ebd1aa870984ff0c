#include "command/brakes.h"

#include <inttypes.h>
#include <stdio.h>

enum tagd_io_result tagd_held_read(struct tagd_io_reader *reader, const struct tagd_config *config, const int64_t *own,
                                   struct tagd_held *held, struct tagd_io_server *server, struct tagd_error *error)
{
    struct tagd_arena arena = {0};
    struct tagd_io_entry *brakes = NULL, *heard = NULL;
    size_t n_brakes = 0, n_heard = 0;
    enum tagd_io_result result = tagd_io_read_server(reader, server, error);
    if (result == TAGD_IO_OK)
        result = tagd_io_board_read(reader, TAGD_IO_BRAKES, &arena, &brakes, &n_brakes, error);
    if (result == TAGD_IO_OK)
        result = tagd_io_board_read(reader, TAGD_IO_HEARD, &arena, &heard, &n_heard, error);
    if (result == TAGD_IO_OK)
        tagd_held_judge(config, brakes, n_brakes, heard, n_heard, own, tagd_io_wall_ms(), server->clock_ahead_ms, held);
    tagd_arena_free(&arena);
    return result;
}

static enum tagd_io_result write_number(struct tagd_io_reader *reader, enum tagd_io_board board, struct tagd_str field,
                                        int64_t number, struct tagd_error *error)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRId64, number);
    return tagd_io_board_write(reader, board, field, (struct tagd_str){text, (size_t)n}, error);
}

enum tagd_io_result tagd_held_heard(struct tagd_io_reader *reader, const struct tagd_config *config, size_t topic,
                                    int64_t latest_ms, struct tagd_error *error)
{
    return write_number(reader, TAGD_IO_HEARD, tagd_str_of(config->sources[topic].topic), latest_ms, error);
}

enum tagd_io_result tagd_hold(struct tagd_io_reader *reader, const char *by, const char *why, int64_t wall_ms,
                              struct tagd_error *error)
{
    struct tagd_buf value = {0};
    tagd_buf_printf(&value, "%" PRId64 " %s\n%s", wall_ms, by, why);
    enum tagd_io_result result =
        tagd_io_board_write(reader, TAGD_IO_BRAKES, TAGD_STR("hold"), (struct tagd_str){value.p, value.n}, error);
    tagd_buf_free(&value);
    return result;
}

enum tagd_io_result tagd_release_outputs(struct tagd_io_reader *reader, struct tagd_error *error)
{
    return tagd_io_board_write(reader, TAGD_IO_BRAKES, TAGD_STR("hold"), (struct tagd_str){NULL, 0}, error);
}

enum tagd_io_result tagd_release_limits(struct tagd_io_reader *reader, int64_t until_ms, struct tagd_error *error)
{
    if (until_ms == INT64_MIN)
        return tagd_io_board_write(reader, TAGD_IO_BRAKES, TAGD_STR("limits_off"), (struct tagd_str){NULL, 0}, error);
    return write_number(reader, TAGD_IO_BRAKES, TAGD_STR("limits_off"), until_ms, error);
}

enum tagd_io_result tagd_release_source(struct tagd_io_reader *reader, const struct tagd_held_source *source,
                                        struct tagd_error *error)
{
    char field[TAGD_TOPIC_NAME_MAX + 16];
    int n = snprintf(field, sizeof(field), "silent %s", source->topic);
    return write_number(reader, TAGD_IO_BRAKES, (struct tagd_str){field, (size_t)n}, source->latest_ms, error);
}

enum tagd_io_result tagd_release_clock(struct tagd_io_reader *reader, int64_t ahead_ms, struct tagd_error *error)
{
    return write_number(reader, TAGD_IO_BRAKES, TAGD_STR("clock"), ahead_ms, error);
}
