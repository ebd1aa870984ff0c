/* Picks the command. */
#include "command/command.h"

#include <stdio.h>
#include <string.h>

static void print_help(FILE *out)
{
    fputs("usage: tagd COMMAND [OPTIONS]\n\nKeeps customers' tags up to date from their events.\n\n", out);
    for (size_t i = 0; i < tagd_n_commands; i++)
        fprintf(out, "  %-14s%s\n", tagd_commands[i].name, tagd_commands[i].help);
    fputs("\n"
          "  --help, -h       this, or a command's options: tagd run --help\n"
          "  --version, -V    the version\n"
          "\n"
          "example, to begin with:\n"
          "  tagd check --catalog shop.json\n"
          "\n"
          "exit codes: 0 done; 64 usage; 65 bad data; 69 a server is out of reach; 70 a bug in tagd;\n"
          "  78 bad configuration or catalog, or topics or state that don't fit them\n",
          out);
}

/* Before "--" only, so that an operand may have any text. */
static bool has_option(int argc, char **argv, const char *name, const char *letter)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], name) == 0 || strcmp(argv[i], letter) == 0)
            return true;
    return false;
}

static int finish_stdout(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return TAGD_EXIT_OK;
    return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "can't write to standard output; see where it leads");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TAGD_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("tagd " TAGD_VERSION);
        return finish_stdout();
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return finish_stdout();
    }
    for (size_t i = 0; i < tagd_n_commands; i++) {
        if (strcmp(argv[1], tagd_commands[i].name) != 0)
            continue;
        if (has_option(argc - 1, argv + 1, "--help", "-h")) {
            fputs(tagd_commands[i].usage, stdout);
            return finish_stdout();
        }
        if (has_option(argc - 1, argv + 1, "--version", "-V")) {
            puts("tagd " TAGD_VERSION);
            return finish_stdout();
        }
        int code = tagd_commands[i].run(argc - 1, argv + 1);
        return code == TAGD_EXIT_OK ? finish_stdout() : code;
    }
    return tagd_command_error(TAGD_EXIT_USAGE, "no command \"%s\"; tagd --help lists them", argv[1]);
}
