/* What `tagd report` and `tagd simulate --report` share: which portrait is asked for. */
#ifndef TAGD_COMMAND_PORTRAIT_H
#define TAGD_COMMAND_PORTRAIT_H

#include "command/command.h"
#include "report/report.h"

struct tagd_portrait_options {
    int64_t days;
    enum tagd_report_format format;
    enum tagd_language language;
    bool given, format_given; /* any of them; that one */
};
struct tagd_portrait_options tagd_portrait_options_new(void);
/* Takes --period, --format and --language; false: the word is none of them. A wrong value is told, and fails. */
bool tagd_portrait_option(struct tagd_portrait_options *of, struct tagd_options *options);
/* The query of which the sums must be. */
struct tagd_population_query tagd_portrait_query(const struct tagd_portrait_options *of);

#endif
