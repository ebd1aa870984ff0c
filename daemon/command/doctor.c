/* tagd doctor: asks both servers and this host, and says what is wrong (checks.c). */
#include "command/checks.h"

#include "command/command.h"
#include "command/load.h"
#include "io/io.h"

#include <hiredis/hiredis.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#define TIMEOUT_MS 10000 /* for Kafka's first answer */
#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

struct doctor {
    const char *path;
    bool json;
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_checks checks;
};

static struct tagd_host look_at_host(void)
{
    struct tagd_host host = {.open_files = -1,
                             .root = geteuid() == 0,
                             .librdkafka = (uint32_t)rd_kafka_version(),
                             .librdkafka_text = rd_kafka_version_str(),
                             .hiredis_text =
                                 TEXT_OF(HIREDIS_MAJOR) "." TEXT_OF(HIREDIS_MINOR) "." TEXT_OF(HIREDIS_PATCH)};
    struct timex clock = {0};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        host.open_files = (int64_t)files.rlim_cur;
    int state = adjtimex(&clock);
    host.clock = state < 0 ? -1 : state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
    return host;
}

static void look_at_heads(struct doctor *doctor, uint32_t shards)
{
    struct tagd_head *heads = tagd_xcalloc(shards, sizeof(*heads));
    struct tagd_error error;
    if (tagd_io_heads(doctor->config, shards, 0, NULL, heads, &error) == TAGD_IO_OK)
        tagd_check_heads(heads, shards, doctor->config, doctor->catalog, &doctor->checks);
    else
        tagd_checks_add(&doctor->checks, TAGD_CHECK_FAIL, "state", "it can't be read: %s", error.text);
    free(heads);
}

static void look(struct doctor *doctor)
{
    struct tagd_survey_kafka *kafka = tagd_xcalloc(1, sizeof(*kafka));
    struct tagd_survey_redis redis;
    struct tagd_host host = look_at_host();
    const struct tagd_config *config = doctor->config;
    tagd_checks_add(&doctor->checks, TAGD_CHECK_OK, "configuration", "%s, catalog %s@%s", doctor->path,
                    tagd_catalog_name(doctor->catalog), tagd_catalog_version(doctor->catalog));
    tagd_check_host(&host, config, &doctor->checks);
    tagd_io_survey_kafka(config, TIMEOUT_MS, kafka);
    tagd_check_kafka(kafka, config, doctor->catalog, &doctor->checks);
    tagd_io_survey_redis(config, &redis);
    uint32_t partitions = (uint32_t)kafka->topics[0].partitions;
    tagd_check_redis(&redis, config, partitions, &doctor->checks);
    bool ours = redis.unreachable[0] == '\0' && redis.refused[0] == '\0' && strcmp(redis.group, config->group) == 0 &&
                redis.shards > 0 && redis.shards <= TAGD_SHARDS_MAX && strcmp(redis.role, "master") == 0 &&
                strcmp(redis.policy, "noeviction") == 0;
    if (ours)
        look_at_heads(doctor, (uint32_t)redis.shards);
    free(kafka);
}

/* ---- telling ---- */

static void print_text(const struct tagd_checks *checks)
{
    for (size_t i = 0; i < checks->n; i++)
        printf("%-4s  %-14s%s\n", tagd_check_level_name(checks->at[i].level), checks->at[i].name, checks->at[i].text);
    printf("%zu ok, %zu to be looked at, %zu wrong\n", checks->by_level[TAGD_CHECK_OK],
           checks->by_level[TAGD_CHECK_WARN], checks->by_level[TAGD_CHECK_FAIL]);
}

static void print_json(const struct tagd_checks *checks)
{
    struct tagd_buf out = {0};
    tagd_buf_add_z(&out, "{\"checks\":[");
    for (size_t i = 0; i < checks->n; i++) {
        tagd_buf_printf(&out, "%s\n{\"level\":\"%s\",\"check\":\"%s\",\"text\":", i == 0 ? "" : ",",
                        tagd_check_level_name(checks->at[i].level), checks->at[i].name);
        tagd_buf_add_json(&out, tagd_str_of(checks->at[i].text));
        tagd_buf_add_byte(&out, '}');
    }
    tagd_buf_printf(&out, "\n],\"ok\":%zu,\"warn\":%zu,\"fail\":%zu}\n", checks->by_level[TAGD_CHECK_OK],
                    checks->by_level[TAGD_CHECK_WARN], checks->by_level[TAGD_CHECK_FAIL]);
    fwrite(out.p, 1, out.n, stdout);
    tagd_buf_free(&out);
}

static int examine(struct doctor *doctor)
{
    const struct tagd_checks *checks = &doctor->checks;
    look(doctor);
    if (doctor->json)
        print_json(checks);
    else
        print_text(checks);
    if (checks->out_of_reach)
        return TAGD_EXIT_UNAVAILABLE;
    return checks->by_level[TAGD_CHECK_FAIL] > 0 ? TAGD_EXIT_CONFIG : TAGD_EXIT_OK;
}

int tagd_command_doctor(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct doctor doctor = {0};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            doctor.path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--json"))
            doctor.json = true;
        else
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    if (doctor.path == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE, "doctor wants --config FILE; tagd doctor --help shows how");
    int code = tagd_command_load(doctor.path, &doctor.config, &doctor.catalog);
    if (code == TAGD_EXIT_OK)
        code = examine(&doctor);
    tagd_checks_free(&doctor.checks);
    tagd_catalog_free(doctor.catalog);
    tagd_config_free(doctor.config);
    return code;
}
