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

static void print_rule(const char *name, const struct tagd_map_rule *rule)
{
    static const char *const forms[] = {
        [TAGD_RFC3339] = "", [TAGD_EPOCH_S] = " as epoch_s", [TAGD_EPOCH_MS] = " as epoch_ms"};
    switch (rule->kind) {
    case TAGD_MAP_NONE: break;
    case TAGD_MAP_AT: printf("  %s: at \"%s\"%s\n", name, rule->at.text.p, forms[rule->form]); break;
    case TAGD_MAP_TEXT: printf("  %s: always \"%s\"\n", name, rule->text.p); break;
    case TAGD_MAP_NUMBER: printf("  %s: always %.15g\n", name, rule->number); break;
    case TAGD_MAP_BOOLEAN: printf("  %s: always %s\n", name, rule->number != 0 ? "true" : "false"); break;
    case TAGD_MAP_KEY: printf("  %s: the record's key\n", name); break;
    case TAGD_MAP_OFFSET: printf("  %s: topic/partition/offset\n", name); break;
    case TAGD_MAP_FIELDS: break;
    }
    for (size_t i = 0; i < rule->n_fields; i++) {
        struct tagd_buf member = {0};
        tagd_buf_printf(&member, "%s/%s", name, rule->fields[i].name.p);
        tagd_buf_add_byte(&member, '\0');
        print_rule(member.p, &rule->fields[i].rule);
        tagd_buf_free(&member);
    }
}

static void print_source(const struct tagd_source *source)
{
    static const char *const partitioners[] = {
        [TAGD_MURMUR2] = "", [TAGD_CRC32] = ", partitioner crc32", [TAGD_NO_PARTITIONER] = ", no partitioner"};
    static const char *const names[] = {[TAGD_MAP_ID] = "id",
                                        [TAGD_MAP_SOURCE] = "source",
                                        [TAGD_MAP_TYPE] = "type",
                                        [TAGD_MAP_SUBJECT] = "subject",
                                        [TAGD_MAP_TIME] = "time"};
    printf("source %s%s\n", source->topic, partitioners[source->partitioner]);
    if (!source->map)
        return;
    for (size_t i = 0; i < TAGD_MAP_ATTRIBUTES; i++)
        print_rule(names[i], &source->map->attributes[i]);
    print_rule("data", &source->map->data);
}

static int check_config(const char *path)
{
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    int code = tagd_command_load(path, &config, &catalog);
    if (code != TAGD_EXIT_OK) {
        tagd_config_free(config);
        return code;
    }
    printf("group %s, instance %s, %u worker%s, delivery %s, time %s, grace %lld ms\n", config->group, config->instance,
           config->workers, config->workers == 1 ? "" : "s", config->at_least_once ? "at_least_once" : "exactly_once",
           config->time_events ? "events" : "live", (long long)config->grace_ms);
    for (size_t i = 0; i < config->n_sources; i++)
        print_source(&config->sources[i]);
    printf("outputs %s, %s%s%s%s\n", config->tag_changes, config->has_churn ? config->churn_risk : "",
           config->has_churn ? ", " : "", config->dead_letter, config->content_binary ? ", in binary mode" : "");
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
