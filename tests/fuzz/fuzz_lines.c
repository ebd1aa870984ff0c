/* Any bytes as files of events, one a line, which come in pieces as a pipe gives them, and as a whole: the same lines come
 * out, those that are not blank, with their numbers, however they were cut. A line that is no event is told as JSON. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "command/command.h"
#include "command/lines.h"

#define LONG ((size_t)90000) /* of a piece; three of them are more than is read at once */
#define PIECES_MAX 8

/* In place of the one that stands with all commands. */
int tagd_command_error(enum tagd_exit code, const char *fmt, ...)
{
    MUST(code == TAGD_EXIT_DATA && fmt);
    return (int)code;
}

/* ---- the same, once more, of a text that is there ---- */

struct split {
    const char *p, *end;
    uint64_t number;
};
static bool split_next(struct split *split, struct tagd_str *line)
{
    while (split->p < split->end) {
        const char *start = split->p, *stop = start;
        while (stop < split->end && *stop != '\n')
            stop++;
        split->p = stop < split->end ? stop + 1 : stop;
        split->number++;
        *line = (struct tagd_str){start, (size_t)(stop - start)};
        if (line->n > 0 && line->p[line->n - 1] == '\r')
            line->n--;
        if (line->n > 0)
            return true;
    }
    return false;
}

static void must_be_the_lines(struct tagd_lines *lines, struct tagd_str text, size_t max)
{
    struct split split = {text.p, text.p + text.n, 0};
    struct tagd_line some[7];
    struct tagd_str wanted;
    for (size_t n; (n = tagd_lines_some(lines, some, max)) > 0;)
        for (size_t i = 0; i < n; i++)
            MUST(split_next(&split, &wanted) && tagd_str_eq(wanted, some[i].text) && split.number == some[i].number);
    MUST(!split_next(&split, &wanted) && lines->error == 0);
}

/* ---- files ---- */

static void write_all(int fd, struct tagd_str text)
{
    for (size_t at = 0; at < text.n;) {
        ssize_t n = write(fd, text.p + at, text.n - at);
        MUST(n > 0);
        at += (size_t)n;
    }
}

/* A file, which can be read again from its first line. */
static void read_file(struct tagd_str text, size_t max)
{
    char path[64];
    int fd = memfd_create("lines", 0);
    struct tagd_lines lines;
    MUST(fd >= 0);
    write_all(fd, text);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    MUST(tagd_lines_open(&lines, path));
    must_be_the_lines(&lines, text, max);
    tagd_lines_rewind(&lines);
    must_be_the_lines(&lines, text, max);
    MUST(tagd_lines_close(&lines));
    close(fd);
}

/* Each read gives the next of these pieces. */
static void read_pieces(const struct tagd_str *pieces, size_t n, struct tagd_str text, size_t max)
{
    int ends[2], room = 4 * 1024 * 1024;
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    for (size_t i = 0; i < n; i++)
        MUST(pieces[i].n == 0 || send(ends[1], pieces[i].p, pieces[i].n, MSG_DONTWAIT) == (ssize_t)pieces[i].n);
    close(ends[1]);
    struct tagd_lines lines = {.path = "pieces", .file = fdopen(ends[0], "r")};
    MUST(lines.file);
    must_be_the_lines(&lines, text, max);
    MUST(tagd_lines_close(&lines));
}

static void read_what_is_none(void)
{
    struct tagd_lines lines;
    struct tagd_str line;
    MUST(!tagd_lines_open(&lines, "/nowhere/at/all"));
    MUST(tagd_lines_open(&lines, "/"));
    MUST(!tagd_lines_next(&lines, &line) && lines.error != 0 && !tagd_lines_close(&lines));
}

/* ---- events ---- */

static void must_tell(struct tagd_str line, const struct tagd_event *event, uint64_t number)
{
    char *text = NULL;
    size_t n = 0;
    struct tagd_json_fault fault;
    FILE *kept = stderr, *memory = open_memstream(&text, &n);
    MUST(memory);
    stderr = memory;
    tagd_line_report(line.n % 2 ? "a file \"called\" so" : NULL, number, event);
    stderr = kept;
    fclose(memory);
    MUST(n > 0 && text[n - 1] == '\n' && tagd_json_check(text, n - 1, &fault));
    free(text);
}

static void decode(const struct tagd_catalog *catalog, struct tagd_str text)
{
    static struct tagd_arena arena;
    struct tagd_event_rules rules = tagd_line_rules(catalog);
    struct split split = {text.p, text.p + text.n, 0};
    struct tagd_event event;
    struct tagd_str line;
    while (split_next(&split, &line) && split.number < 20) {
        struct tagd_record record = tagd_line_record(line);
        tagd_arena_reset(&arena);
        tagd_event_decode(&rules, &record, 0, &arena, &event);
        MUST(event.code != TAGD_EVENT_OK || event.has_time);
        if (event.code != TAGD_EVENT_OK)
            must_tell(line, &event, split.number);
    }
}

/* Pieces of the rest, each behind its length; one of length 255 is long. */
static size_t take_pieces(struct input *in, struct tagd_str *pieces, struct tagd_buf *text)
{
    size_t n = 0;
    for (; n < PIECES_MAX && in->n > 0; n++) {
        size_t length = (size_t)take(in, 1), before = text->n;
        struct tagd_str piece = {(const char *)in->p, length < in->n && n + 1 < PIECES_MAX ? length : in->n};
        in->p += piece.n;
        in->n -= piece.n;
        for (size_t i = 0; i < LONG && length == 255; i++)
            tagd_buf_add_byte(text, 'x');
        tagd_buf_add_str(text, piece);
        pieces[n].n = text->n - before;
    }
    for (size_t i = 0, at = 0; i < n; at += pieces[i++].n)
        pieces[i].p = str_of(text).p + at;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tagd_catalog *catalog;
    struct tagd_str pieces[PIECES_MAX] = {{0}};
    struct input in = {data, size};
    struct tagd_buf text = {0};
    if (!catalog) {
        catalog = tagd_catalog_load("fuzz", fuzz_every_kind, sizeof(fuzz_every_kind) - 1, NULL);
        read_what_is_none();
    }
    size_t max = 1 + take(&in, 1) % 7, n = take_pieces(&in, pieces, &text);
    read_pieces(pieces, n, str_of(&text), max);
    read_file(str_of(&text), max);
    decode(catalog, str_of(&text));
    tagd_buf_free(&text);
    return 0;
}
