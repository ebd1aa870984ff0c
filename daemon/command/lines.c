#include "command/lines.h"

#include "command/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define PAST_MS INT64_C(631152000000) /* 1990 */

/* Reads some more behind what is left, which moves to the front. */
static void fill(struct tagd_lines *lines)
{
    ssize_t n;
    if (lines->from > 0) {
        memmove(lines->bytes, lines->bytes + lines->from, lines->to - lines->from);
        lines->seen -= lines->from;
        lines->to -= lines->from;
        lines->from = 0;
    }
    if (lines->to == lines->cap) {
        lines->cap = lines->cap ? lines->cap * 2 : READ_BYTES;
        lines->bytes = tagd_xrealloc(lines->bytes, lines->cap);
    }
    do
        n = read(fileno(lines->file), lines->bytes + lines->to, lines->cap - lines->to);
    while (n < 0 && errno == EINTR);
    lines->error = n < 0 ? errno : 0;
    lines->ended = n <= 0;
    lines->to += n > 0 ? (size_t)n : 0;
}

/* The next line of what was read; false: it isn't whole yet. */
static bool take(struct tagd_lines *lines, struct tagd_str *line)
{
    if (lines->from == lines->to)
        return false;
    const char *start = lines->bytes + lines->from;
    const char *feed =
        lines->to > lines->seen ? memchr(lines->bytes + lines->seen, '\n', lines->to - lines->seen) : NULL;
    size_t n = feed ? (size_t)(feed - start) : lines->to - lines->from;
    lines->seen = feed ? lines->from + n + 1 : lines->to;
    if (!feed && !(lines->ended && !lines->error))
        return false;
    lines->from = lines->seen;
    lines->number++;
    *line = (struct tagd_str){start, n && start[n - 1] == '\r' ? n - 1 : n};
    return true;
}

size_t tagd_lines_some(struct tagd_lines *lines, struct tagd_line *out, size_t max)
{
    size_t n = 0;
    while (n < max) {
        struct tagd_str text;
        if (take(lines, &text)) {
            if (text.n)
                out[n++] = (struct tagd_line){text, lines->number};
        } else if (n > 0 || lines->ended) {
            break;
        } else {
            fill(lines);
        }
    }
    return n;
}

bool tagd_lines_next(struct tagd_lines *lines, struct tagd_str *line)
{
    struct tagd_line next;
    if (tagd_lines_some(lines, &next, 1) == 0)
        return false;
    *line = next.text;
    return true;
}

void tagd_lines_rewind(struct tagd_lines *lines)
{
    rewind(lines->file);
    lines->from = lines->seen = lines->to = 0;
    lines->number = 0;
    lines->error = 0;
    lines->ended = false;
}

void tagd_lines_free(struct tagd_lines *lines)
{
    free(lines->bytes);
    lines->bytes = NULL;
    lines->from = lines->seen = lines->to = lines->cap = 0;
}

bool tagd_lines_open(struct tagd_lines *lines, const char *path)
{
    *lines = (struct tagd_lines){.path = path, .file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r")};
    if (!lines->file)
        tagd_command_error(TAGD_EXIT_DATA, "%s: %s; expected events in a readable file, one JSON a line", path,
                           strerror(errno));
    return lines->file != NULL;
}

bool tagd_lines_close(struct tagd_lines *lines)
{
    tagd_lines_free(lines);
    if (lines->file != stdin)
        fclose(lines->file);
    if (lines->error)
        tagd_command_error(TAGD_EXIT_DATA,
                           "%s: reading stopped after line %llu: %s; expected events in a readable file", lines->path,
                           (unsigned long long)lines->number, strerror(lines->error));
    return !lines->error;
}

struct tagd_record tagd_line_record(struct tagd_str line)
{
    return (struct tagd_record){.value = line, .has_value = true, .timestamp_ms = -1};
}

struct tagd_event_rules tagd_line_rules(const struct tagd_catalog *catalog)
{
    return (struct tagd_event_rules){.catalog = catalog,
                                     .max_bytes = TAGD_EVENT_BYTES_MAX,
                                     .past_ms = PAST_MS,
                                     .future_ms = -1,
                                     .partitioner = TAGD_NO_PARTITIONER,
                                     .time_required = true,
                                     .junk = tagd_junk_of(tagd_junk_subjects, tagd_n_junk_subjects)};
}

void tagd_line_report(const char *file, uint64_t number, const struct tagd_event *event)
{
    struct tagd_buf text = {0};
    tagd_buf_add_byte(&text, '{');
    if (file) {
        tagd_buf_add_z(&text, "\"file\":");
        tagd_buf_add_json(&text, tagd_str_of(file));
        tagd_buf_add_byte(&text, ',');
    }
    tagd_buf_printf(&text, "\"line\":%llu,\"error\":\"%s\",\"reason\":", (unsigned long long)number,
                    tagd_event_code_name(event->code));
    tagd_buf_add_json(&text, tagd_str_of(event->reason));
    tagd_buf_add_z(&text, "}\n");
    fwrite(text.p, 1, text.n, stderr);
    tagd_buf_free(&text);
}
