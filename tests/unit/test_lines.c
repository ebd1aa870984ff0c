/* Lines of a file, as commands take them. */
#include "command/command.h"
#include "command/lines.h"
#include "check.h"

#include <unistd.h>

/* In place of the one that stands with all commands. */
int tagd_command_error(enum tagd_exit code, const char *fmt, ...)
{
    CHECK(code == TAGD_EXIT_DATA && fmt);
    return (int)code;
}

static struct tagd_lines lines_of(const char *text, size_t n)
{
    FILE *file = tmpfile();
    CHECK(file && fwrite(text, 1, n, file) == n && fflush(file) == 0);
    rewind(file);
    return (struct tagd_lines){.path = "test", .file = file};
}

static bool is_next(struct tagd_lines *lines, const char *text, uint64_t number)
{
    struct tagd_str line;
    return tagd_lines_next(lines, &line) && tagd_str_eq(line, tagd_str_of(text)) && lines->number == number;
}

static bool is_at_its_end(struct tagd_lines *lines)
{
    struct tagd_str line;
    return !tagd_lines_next(lines, &line) && !tagd_lines_next(lines, &line);
}

static void blank_lines_are_counted_and_left_out(void)
{
    const char text[] = "\na\r\n\r\n\nbc\n\n\nd\n\n";
    struct tagd_lines lines = lines_of(text, sizeof text - 1);
    CHECK(is_next(&lines, "a", 2) && is_next(&lines, "bc", 5) && is_next(&lines, "d", 8) && is_at_its_end(&lines));
    CHECK(tagd_lines_close(&lines));
}

static void the_last_line_may_lack_its_line_feed(void)
{
    struct tagd_lines lines = lines_of("a\nlast", 6);
    CHECK(is_next(&lines, "a", 1) && is_next(&lines, "last", 2) && is_at_its_end(&lines));
    CHECK(tagd_lines_close(&lines));
}

static void an_empty_file_has_no_line(void)
{
    struct tagd_lines lines = lines_of("", 0);
    CHECK(is_at_its_end(&lines) && lines.number == 0);
    CHECK(tagd_lines_close(&lines));
}

static void at_most_so_many_come_at_once(void)
{
    struct tagd_lines lines = lines_of("a\n\nb\nc\n", 7);
    struct tagd_line some[3] = {0};
    CHECK(tagd_lines_some(&lines, some, 2) == 2);
    CHECK(tagd_str_eq(some[0].text, TAGD_STR("a")) && some[0].number == 1);
    CHECK(tagd_str_eq(some[1].text, TAGD_STR("b")) && some[1].number == 3);
    CHECK(tagd_lines_some(&lines, some, 3) == 1 && tagd_str_eq(some[0].text, TAGD_STR("c")) && some[0].number == 4);
    CHECK(tagd_lines_some(&lines, some, 3) == 0);
    CHECK(tagd_lines_close(&lines));
}

/* Lines that end anywhere in what one read gives, and one that takes several. */
static void lines_of_any_length_come_whole(void)
{
    enum { LINES = 3000 };
    struct tagd_buf text = {0};
    for (int i = 0; i < LINES; i++) {
        for (int n = i == 1500 ? 700000 : i * 37 % 1000; n > 0; n--)
            tagd_buf_add_byte(&text, (unsigned char)('a' + n % 26));
        tagd_buf_printf(&text, "%d\n", i);
    }
    struct tagd_lines lines = lines_of(text.p, text.n);
    const char *p = text.p;
    for (int i = 0; i < LINES; i++) {
        struct tagd_str line;
        size_t n = (size_t)(strchr(p, '\n') - p);
        CHECK(tagd_lines_next(&lines, &line) && tagd_str_eq(line, (struct tagd_str){p, n}));
        CHECK(lines.number == (uint64_t)i + 1);
        p += n + 1;
    }
    CHECK(is_at_its_end(&lines) && tagd_lines_close(&lines));
    tagd_buf_free(&text);
}

static void lines_that_are_there_do_not_wait_for_more(void)
{
    int ends[2];
    struct tagd_line some[4];
    CHECK(pipe(ends) == 0 && write(ends[1], "a\nb\nhalf", 8) == 8);
    struct tagd_lines lines = {.path = "test", .file = fdopen(ends[0], "r")};
    CHECK(tagd_lines_some(&lines, some, 4) == 2 && tagd_str_eq(some[1].text, TAGD_STR("b")));
    CHECK(write(ends[1], " and half\n", 10) == 10 && close(ends[1]) == 0);
    CHECK(tagd_lines_some(&lines, some, 4) == 1 && tagd_str_eq(some[0].text, TAGD_STR("half and half")));
    CHECK(tagd_lines_some(&lines, some, 4) == 0 && tagd_lines_close(&lines));
}

/* What is left when reading fails is no line. */
static void a_file_that_cannot_be_read_is_told_apart_from_one_that_ends(void)
{
    int ends[2];
    struct tagd_line some[4];
    CHECK(pipe(ends) == 0 && write(ends[1], "a\nhalf", 6) == 6);
    struct tagd_lines lines = {.path = "test", .file = fdopen(ends[0], "r")};
    CHECK(tagd_lines_some(&lines, some, 4) == 1 && close(ends[0]) == 0);
    CHECK(tagd_lines_some(&lines, some, 4) == 0 && lines.error != 0 && !tagd_lines_close(&lines));
    close(ends[1]);
}

/* In the middle of what was read, at the end, and where somebody else has read the file. */
static void a_file_is_read_from_its_first_line_once_more(void)
{
    static const char text[] = "a\nbc\nd";
    char byte;
    struct tagd_str line;
    struct tagd_lines lines = lines_of(text, sizeof(text) - 1);
    CHECK(tagd_lines_next(&lines, &line) && tagd_lines_next(&lines, &line));
    for (int round = 0; round < 3; round++) {
        CHECK(round != 2 || fread(&byte, 1, 1, lines.file) <= 1);
        tagd_lines_rewind(&lines);
        CHECK(lines.number == 0);
        CHECK(tagd_lines_next(&lines, &line) && tagd_str_eq(line, TAGD_STR("a")) && lines.number == 1);
        CHECK(tagd_lines_next(&lines, &line) && tagd_str_eq(line, TAGD_STR("bc")));
        CHECK(tagd_lines_next(&lines, &line) && tagd_str_eq(line, TAGD_STR("d")));
        CHECK(!tagd_lines_next(&lines, &line) && lines.error == 0);
    }
    CHECK(tagd_lines_close(&lines));
}

int main(void)
{
    RUN(a_file_is_read_from_its_first_line_once_more);
    RUN(blank_lines_are_counted_and_left_out);
    RUN(the_last_line_may_lack_its_line_feed);
    RUN(an_empty_file_has_no_line);
    RUN(at_most_so_many_come_at_once);
    RUN(lines_of_any_length_come_whole);
    RUN(lines_that_are_there_do_not_wait_for_more);
    RUN(a_file_that_cannot_be_read_is_told_apart_from_one_that_ends);
    return DONE();
}
