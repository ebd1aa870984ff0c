/* command: one file a subcommand. main.c picks it from the table here and answers --help and --version itself, so a
 * command sees only its own options. argv[0] is the command's name. A command returns its exit code and has written
 * what went wrong as one line to stderr (tagd_command_error), with what to do about it. */
#ifndef TAGD_COMMAND_H
#define TAGD_COMMAND_H

#include "tagd/base.h"

enum tagd_exit {
    TAGD_EXIT_OK = 0,
    TAGD_EXIT_USAGE = 64,       /* the command line */
    TAGD_EXIT_DATA = 65,        /* bad data */
    TAGD_EXIT_UNAVAILABLE = 69, /* a server is out of reach */
    TAGD_EXIT_BUG = 70,
    TAGD_EXIT_CONFIG = 78 /* bad configuration or catalog */
};

struct tagd_command {
    const char *name, *help, *usage;
    int (*run)(int argc, char **argv);
};
extern const struct tagd_command tagd_commands[];
extern const size_t tagd_n_commands;

int tagd_command_run(int argc, char **argv);
int tagd_command_check(int argc, char **argv);
int tagd_command_simulate(int argc, char **argv);
int tagd_command_import(int argc, char **argv);
int tagd_command_population(int argc, char **argv);
int tagd_command_report(int argc, char **argv);
int tagd_command_explain(int argc, char **argv);
int tagd_command_fit(int argc, char **argv);
int tagd_command_hold(int argc, char **argv);
int tagd_command_release(int argc, char **argv);
int tagd_command_dead_letters(int argc, char **argv);
int tagd_command_skip(int argc, char **argv);
int tagd_command_doctor(int argc, char **argv);

/* "tagd: <text>" and a line feed to stderr; returns code, so that `return tagd_command_error(...)` reads well. */
int tagd_command_error(enum tagd_exit code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Options, read by one small loop:
 *     struct tagd_options options = {.argc = argc, .argv = argv};
 *     while (tagd_options_next(&options)) {
 *         if (tagd_options_is(&options, "--config")) config = tagd_options_value(&options);
 *         else if (tagd_options_is(&options, NULL)) file = options.word; // an operand
 *         else tagd_options_unknown(&options);
 *     }
 *     if (options.failed) return TAGD_EXIT_USAGE; // the line is written
 * Both "--config F" and "--config=F" are taken; after "--" and for "-" all words are operands. */
struct tagd_options {
    int argc;
    char **argv;
    int at;         /* the next word's index, less one */
    char *word;     /* the present operand, or option's name */
    char *attached; /* the text after "=", or NULL */
    bool is_option, only_operands, failed;
};
bool tagd_options_next(struct tagd_options *options);                       /* false at the end, or once failed */
bool tagd_options_is(const struct tagd_options *options, const char *name); /* name NULL: an operand */
char *tagd_options_value(struct tagd_options *options);                     /* NULL and failed if there is none */
void tagd_options_unknown(struct tagd_options *options);                    /* says so; sets failed */

#endif
