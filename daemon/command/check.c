/* tagd check: what is wrong with a configuration or a catalog, or a summary. */
#include <stdio.h>

#include "command/command.h"
#include "command/load.h"

static void print_catalog(const struct tagd_catalog *catalog)
{
    struct tagd_buf out = {0};
    tagd_catalog_describe(catalog, &out);
    fwrite(out.p, 1, out.n, stdout);
    tagd_buf_free(&out);
}

static int check_catalog(const char *path)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = tagd_command_load_catalog(path, &error);
    if (!catalog)
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    print_catalog(catalog);
    tagd_catalog_free(catalog);
    return TAGD_EXIT_OK;
}

static int check_config(const char *path)
{
    struct tagd_error error;
    struct tagd_config *config = tagd_command_load_config(path, &error);
    if (!config)
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    struct tagd_catalog *catalog = tagd_command_load_catalog_of(path, config, &error);
    if (!catalog) {
        tagd_config_free(config);
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    }
    printf("group %s, instance %s, %u worker%s, delivery %s, time %s, grace %lld ms\n", config->group, config->instance,
           config->workers, config->workers == 1 ? "" : "s", config->at_least_once ? "at_least_once" : "exactly_once",
           config->time_events ? "events" : "live", (long long)config->grace_ms);
    for (size_t i = 0; i < config->n_sources; i++)
        printf("source %s\n", config->sources[i].topic);
    printf("outputs %s, %s, %s\n", config->tag_changes, config->churn_risk, config->dead_letter);
    print_catalog(catalog);
    tagd_catalog_free(catalog);
    tagd_config_free(config);
    return TAGD_EXIT_OK;
}

int tagd_command_check(int argc, char **argv)
{
    const char *config = NULL, *catalog = NULL;
    struct tagd_options options = {.argc = argc, .argv = argv};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            config = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--catalog"))
            catalog = tagd_options_value(&options);
        else
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    if (!config && !catalog)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "check wants --config FILE or --catalog FILE; tagd check --help shows how");
    int code = catalog ? check_catalog(catalog) : TAGD_EXIT_OK;
    if (config && code == TAGD_EXIT_OK)
        code = check_config(config);
    return code;
}
