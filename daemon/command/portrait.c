#include "command/portrait.h"

#include <string.h>

struct tagd_portrait_options tagd_portrait_options_new(void)
{
    return (struct tagd_portrait_options){.days = 30, .format = TAGD_REPORT_MARKDOWN, .language = TAGD_ENGLISH};
}

static bool period_of(const char *value, int64_t *days)
{
    int64_t ms;
    if (!tagd_duration_parse(tagd_str_of(value), &ms) || ms % TAGD_MS_DAY != 0 || ms < TAGD_MS_DAY ||
        ms > TAGD_POPULATION_DAYS * (int64_t)TAGD_MS_DAY)
        return false;
    *days = ms / TAGD_MS_DAY;
    return true;
}

static bool format_of(const char *value, enum tagd_report_format *format)
{
    static const char *const names[] = {
        [TAGD_REPORT_MARKDOWN] = "markdown", [TAGD_REPORT_HTML] = "html", [TAGD_REPORT_JSON] = "json"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) != 0)
            continue;
        *format = (enum tagd_report_format)i;
        return true;
    }
    return false;
}

static void refuse(struct tagd_options *options, const char *name, const char *value, const char *expected)
{
    tagd_command_error(TAGD_EXIT_USAGE, "%s \"%s\": expected %s", name, value, expected);
    options->failed = true;
}

bool tagd_portrait_option(struct tagd_portrait_options *of, struct tagd_options *options)
{
    const char *value;
    if (tagd_options_is(options, "--period")) {
        value = tagd_options_value(options);
        if (value != NULL && !period_of(value, &of->days))
            refuse(options, "--period", value, "days or weeks, such as 7d, 30d or 90d, at most 400d");
    } else if (tagd_options_is(options, "--format")) {
        value = tagd_options_value(options);
        of->format_given = true;
        if (value != NULL && !format_of(value, &of->format))
            refuse(options, "--format", value, "markdown, html or json");
    } else if (tagd_options_is(options, "--language")) {
        value = tagd_options_value(options);
        if (value != NULL && !tagd_language_parse(value, &of->language))
            refuse(options, "--language", value, "en or zh-CN");
    } else {
        return false;
    }
    of->given = true;
    return true;
}

struct tagd_population_query tagd_portrait_query(const struct tagd_portrait_options *of)
{
    return (struct tagd_population_query){.dimension = -1,
                                          .breakdown = TAGD_ALL_BREAKDOWNS,
                                          .days = of->days,
                                          .months = TAGD_POPULATION_MONTHS,
                                          .tags_max = TAGD_POPULATION_TAGS_MAX};
}
