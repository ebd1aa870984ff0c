/* tagd report: a period's portrait of a group's customers, from the counts and the profiles in Redis. Reads the store; owns
 * nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command/census.h"
#include "command/ids.h"
#include "command/load.h"
#include "command/portrait.h"
#include "command/servers.h"

#define CUSTOMERS 2000 /* profiles read at once */

struct report {
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_io_reader *reader;
    struct tagd_portrait_options options;
    struct tagd_portrait *portrait;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_arena arena;
    bool progress;
};

/* seen: customers of the shard that came already. */
static enum tagd_io_result add_customers(struct report *report, uint32_t shard, int64_t present, struct tagd_ids *seen,
                                         const struct tagd_load_item *items, size_t n, struct tagd_error *error)
{
    for (size_t i = 0; i < n; i++) {
        struct tagd_error why;
        uint32_t known = seen->n;
        if (items[i].bytes.n == 0 || tagd_ids_number(seen, items[i].customer, tagd_hash64(items[i].customer)) != known)
            continue;
        if (!tagd_profile_decode(report->profile, items[i].bytes, &why)) {
            tagd_fail(error, "shard %" PRIu32 ": the stored profile of customer \"%.*s\" can't be read: %s", shard,
                      (int)items[i].customer.n, items[i].customer.p, why.text);
            return TAGD_IO_CONFIG;
        }
        int64_t clock = tagd_profile_clock(report->profile);
        tagd_engine_view(report->engine, report->profile, clock > present ? clock : present);
        tagd_portrait_add(report->portrait, report->engine, report->profile);
    }
    return TAGD_IO_OK;
}

static void show_progress(const struct report *report)
{
    if (report->progress)
        fprintf(stderr, "\r%" PRIu64 " of %" PRId64 " customers ", report->portrait->walked,
                report->portrait->customers);
}

/* All profiles of a shard that this catalog's daemon counts, as of the shard's present. */
static enum tagd_io_result walk_shard(struct report *report, uint32_t shard, struct tagd_error *error)
{
    struct tagd_io_shard of;
    struct tagd_load_item *items;
    struct tagd_ids seen = {0};
    uint64_t cursor = 0;
    size_t n;
    tagd_arena_reset(&report->arena);
    enum tagd_io_result result = tagd_io_read_counts(report->reader, shard, NULL, 0, &report->arena, &of, error);
    if (result != TAGD_IO_OK || !of.head.exists || !tagd_census_counts(report->catalog, &of))
        return result;
    int64_t present = of.head.watermark_ms > of.head.latest_ms ? of.head.watermark_ms : of.head.latest_ms;
    do {
        tagd_arena_reset(&report->arena);
        result = tagd_io_scan_customers(report->reader, shard, &cursor, CUSTOMERS, &report->arena, &items, &n, error);
        if (result == TAGD_IO_OK)
            result = add_customers(report, shard, present, &seen, items, n, error);
        show_progress(report);
    } while (cursor != 0 && result == TAGD_IO_OK);
    tagd_ids_free(&seen);
    return result;
}

static enum tagd_io_result walk(struct report *report, struct tagd_error *error)
{
    uint32_t shards = 0;
    enum tagd_io_result result = tagd_io_read_shards(report->reader, &shards, error);
    report->engine = tagd_engine_new(report->catalog, 0);
    report->profile = tagd_profile_new(report->catalog);
    for (uint32_t shard = 0; shard < shards && result == TAGD_IO_OK; shard++)
        result = walk_shard(report, shard, error);
    if (report->progress)
        fputs("\r\033[K", stderr);
    return result;
}

static int write_out(const struct report *report)
{
    struct tagd_buf out = {0};
    tagd_portrait_write(report->portrait, report->options.format, &out);
    bool written = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    tagd_buf_free(&out);
    return written ? TAGD_EXIT_OK
                   : tagd_command_error(TAGD_EXIT_UNAVAILABLE, "can't write to standard output; see where it leads");
}

static int report_of(struct report *report, const char *path)
{
    struct tagd_error error;
    struct tagd_counts sums = {0};
    int code = tagd_command_load(path, &report->config, &report->catalog);
    if (code != TAGD_EXIT_OK)
        return code;
    struct tagd_population_query query = tagd_portrait_query(&report->options);
    struct tagd_population_info info = {.group = report->config->group};
    report->reader = tagd_io_reader_new(report->config);
    enum tagd_io_result result =
        tagd_census_gather(report->reader, report->catalog, &query, NULL, &sums, &info, &error);
    if (result == TAGD_IO_OK)
        report->portrait =
            tagd_portrait_new(report->catalog, &sums, &info, report->options.days, report->options.language);
    tagd_counts_free(&sums);
    if (result == TAGD_IO_OK && tagd_catalog_n_measures(report->catalog) > 0)
        result = walk(report, &error);
    if (result == TAGD_IO_OK)
        return write_out(report);
    return tagd_servers_error(result, &error);
}

int tagd_command_report(int argc, char **argv)
{
    const char *path = NULL;
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct report report = {.options = tagd_portrait_options_new(), .progress = isatty(2) && !isatty(1)};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            path = tagd_options_value(&options);
        else if (!tagd_portrait_option(&report.options, &options))
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    if (path == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE, "report wants --config FILE; tagd report --help shows how");
    int code = report_of(&report, path);
    tagd_portrait_free(report.portrait);
    tagd_engine_free(report.engine);
    tagd_profile_free(report.profile);
    tagd_arena_free(&report.arena);
    tagd_io_reader_free(report.reader);
    tagd_catalog_free(report.catalog);
    tagd_config_free(report.config);
    return code;
}
