#include "command/lines.h"

#include "command/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAST_MS INT64_C(631152000000) /* 1990 */

bool tagd_lines_next(struct tagd_lines *lines, struct tagd_str *line)
{
    ssize_t n;
    while ((n = getline(&lines->line, &lines->cap, lines->file)) >= 0) {
        size_t length = (size_t)n;
        lines->number++;
        if (length && lines->line[length - 1] == '\n')
            length--;
        if (length && lines->line[length - 1] == '\r')
            length--;
        *line = (struct tagd_str){lines->line, length};
        if (length)
            return true;
    }
    lines->error = ferror(lines->file) ? errno : 0;
    return false;
}

void tagd_lines_free(struct tagd_lines *lines)
{
    free(lines->line);
    lines->line = NULL;
    lines->cap = 0;
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
                                     .junk_subjects = tagd_junk_subjects,
                                     .n_junk_subjects = tagd_n_junk_subjects};
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
