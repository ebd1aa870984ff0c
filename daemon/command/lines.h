/* lines: events from a file, one JSON a line, as `simulate`, `fit` and `import` take them. */
#ifndef TAGD_COMMAND_LINES_H
#define TAGD_COMMAND_LINES_H

#include <stdio.h>

#include "tagd/event.h"

struct tagd_lines { /* zeroed but for path and file, which stay the caller's */
    const char *path;
    FILE *file;
    uint64_t number; /* of the last line read, from 1 */
    int error;       /* errno where reading stopped before the end; 0: it didn't */
    bool ended;
    char *bytes;
    size_t from, seen, to, cap; /* of bytes: what comes next, up to where there is no line feed, what was read */
};
struct tagd_line {
    struct tagd_str text;
    uint64_t number;
};
/* The next lines that aren't blank, without their ends, at most `max` of them and at least one: those that are there
 * without waiting for more. Lines may be of any length and the last may lack its line feed. Views until the next call.
 * 0: no more, or reading failed (error). */
size_t tagd_lines_some(struct tagd_lines *lines, struct tagd_line *out, size_t max);
/* The next one. */
bool tagd_lines_next(struct tagd_lines *lines, struct tagd_str *line);
void tagd_lines_rewind(struct tagd_lines *lines); /* of a file that is no pipe: from the first line once more */
void tagd_lines_free(struct tagd_lines *lines);   /* the file stays open */
/* Opens the file, or standard input for "-". False: it is said why not. */
bool tagd_lines_open(struct tagd_lines *lines, const char *path);
/* Closes it and frees. False: reading had stopped before the end; it is said why. */
bool tagd_lines_close(struct tagd_lines *lines);

/* A line is the value of a record without key, headers and timestamp. */
struct tagd_record tagd_line_record(struct tagd_str line);
/* What a line must be: an event of the catalog with a time of its own; not checked against a partition or the clock. */
struct tagd_event_rules tagd_line_rules(const struct tagd_catalog *catalog);
/* One JSON object and a line feed to stderr: where, which code, why. file NULL: not named. */
void tagd_line_report(const char *file, uint64_t number, const struct tagd_event *event);

#endif
