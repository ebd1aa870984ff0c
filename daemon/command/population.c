/* tagd population: how many customers carry which tag, as Redis has counted them; or counted again from all profiles. Reads
 * the store; owns nothing. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compiled.h"
#include "command/census.h"
#include "command/load.h"
#include "command/servers.h"

#define CUSTOMERS 2000 /* profiles read at once */
#define TRIES 5        /* at a shard that changes while it is counted */
#define SHOWN 20       /* differences of a shard */

struct population {
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_io_reader *reader;
    struct tagd_population_query query;
    bool as_json, recount;
    struct tagd_arena arena;
    struct tagd_counts counted, recounted; /* of one shard */
    uint64_t n_customers, n_counts, n_differences, n_changing, n_uncounted;
};

/* ---- as a table ---- */

static void print_row(struct tagd_str name, int64_t customers, int64_t of)
{
    printf("  %-32.*s %12" PRId64, (int)name.n, name.p, customers);
    if (of > 0)
        printf(" %6.1f %%", 100.0 * (double)customers / (double)of);
    putchar('\n');
}

static int64_t in_all(const struct population *population, const struct tagd_counts *sums, size_t d)
{
    struct tagd_buf name = {0};
    tagd_set_name(population->catalog, tagd_set_dimension(d), &name);
    int64_t count = tagd_counts_get(sums, TAGD_SET_ALL, (struct tagd_str){name.p, name.n});
    tagd_buf_free(&name);
    return count;
}

/* The set's counts, the largest first; returns their sum. */
static int64_t print_ranked(const struct tagd_ranked *ranked, size_t n, int64_t set, size_t most, int64_t of)
{
    int64_t listed = 0;
    for (size_t i = 0; i < n && most > 0; i++) {
        if (ranked[i].set != set)
            continue;
        print_row(ranked[i].member, ranked[i].value, of);
        listed += ranked[i].value;
        most--;
    }
    return listed;
}

static void print_dimension(const struct population *population, const struct tagd_counts *sums,
                            const struct tagd_ranked *ranked, size_t n, size_t d, int64_t customers)
{
    const struct tagd_dimension *dimension = &population->catalog->dimensions[d];
    int64_t tagged = in_all(population, sums, d), listed = 0;
    printf("\n%s\n", dimension->name);
    for (uint32_t i = 0; i < dimension->n_rules && !dimension->is_value; i++) {
        struct tagd_str tag = tagd_str_of(dimension->rules[i].tag);
        listed += tagd_counts_get(sums, tagd_set_dimension(d), tag);
        print_row(tag, tagd_counts_get(sums, tagd_set_dimension(d), tag), customers);
    }
    if (dimension->is_value)
        listed = print_ranked(ranked, n, tagd_set_dimension(d), population->query.tags_max, customers);
    if (tagged > listed)
        print_row(TAGD_STR("(others)"), tagged - listed, customers);
    print_row(TAGD_STR("(none)"), customers - tagged, customers);
}

static void print_pair(const struct population *population, const struct tagd_ranked *ranked, size_t n, size_t i)
{
    const struct tagd_breakdown *pair = &population->catalog->breakdowns[i];
    const struct tagd_dimension *dimensions = population->catalog->dimensions;
    int64_t set = tagd_set_breakdown(population->catalog, i);
    struct tagd_str first, second;
    size_t left = population->query.tags_max;
    printf("\n%s by %s\n", dimensions[pair->a].name, dimensions[pair->b].name);
    for (size_t k = 0; k < n && left > 0; k++) {
        if (ranked[k].set != set || !tagd_pair_member(ranked[k].member, &first, &second))
            continue;
        printf("  %-20.*s %-20.*s %12" PRId64 "\n", (int)first.n, first.p, (int)second.n, second.p, ranked[k].value);
        left--;
    }
}

static void print_days(const struct population *population, const struct tagd_ranked *ranked, size_t n)
{
    char text[TAGD_TIME_TEXT];
    struct tagd_str tag;
    int64_t day;
    size_t dimension;
    bool came, any = false;
    for (size_t i = 0; i < n; i++) {
        if (!tagd_set_is_day(ranked[i].set, &day) ||
            !tagd_day_member(population->catalog, ranked[i].member, &dimension, &tag, &came) ||
            (population->query.dimension >= 0 && (size_t)population->query.dimension != dimension))
            continue;
        if (!any)
            printf("\nwho came (+) and left (-), by day\n");
        any = true;
        text[tagd_date_format(day, text)] = '\0';
        printf("  %s %c %12" PRId64 "  %s %.*s\n", text, came ? '+' : '-', ranked[i].value,
               population->catalog->dimensions[dimension].name, (int)tag.n, tag.p == NULL ? "" : tag.p);
    }
}

static void print_cohort(const char *month, const char *customers, const struct tagd_cohort *cohort)
{
    char rate[24] = "     -  ";
    if (cohort->n[TAGD_GOAL_NONE] == 0)
        return;
    if (!isnan(tagd_cohort_rate(cohort)))
        snprintf(rate, sizeof(rate), "%6.1f %%", 100.0 * tagd_cohort_rate(cohort));
    printf("  %s %-8s %12" PRId64 " began %12" PRId64 " reached %s %12" PRId64 " missed\n", month, customers,
           cohort->n[TAGD_GOAL_NONE], cohort->n[TAGD_GOAL_REACHED], rate, cohort->n[TAGD_GOAL_MISSED]);
}

static void print_goals(const struct population *population, const struct tagd_counts *sums, int64_t as_of_ms)
{
    const struct tagd_catalog *catalog = population->catalog;
    int64_t day = tagd_population_day(catalog, as_of_ms, INT64_MIN);
    for (size_t g = 0; population->query.months > 0 && day != INT64_MIN && g < catalog->n_goals; g++) {
        printf("\ngoal %s, by the month in which it began\n", catalog->goals[g].name);
        for (int64_t month = tagd_month_of(day) - population->query.months + 1; month <= tagd_month_of(day); month++) {
            struct tagd_cohort treated = tagd_goal_cohort(catalog, sums, g, month, false),
                               holdout = tagd_goal_cohort(catalog, sums, g, month, true);
            char text[TAGD_TIME_TEXT];
            tagd_month_format(month, text);
            print_cohort(text, "treated", &treated);
            print_cohort(text, "held out", &holdout);
        }
    }
}

static void print_table(const struct population *population, const struct tagd_counts *sums,
                        const struct tagd_population_info *info)
{
    const struct tagd_catalog *catalog = population->catalog;
    int64_t customers = tagd_counts_get(sums, TAGD_SET_ALL, TAGD_STR("customers"));
    char text[TAGD_TIME_TEXT] = "never";
    size_t n;
    struct tagd_ranked *ranked = tagd_counts_rank(sums, &n);
    if (info->as_of_ms != INT64_MIN)
        tagd_time_format(info->as_of_ms, text);
    printf("group %s, catalog %s@%s, as of %s: %" PRId64 " customers in %" PRIu32 " shards\n", info->group,
           catalog->name, catalog->version, text, customers, info->shards);
    if (info->uncounted > 0)
        printf("%" PRIu32
               " of the shards aren't counted by this catalog yet: a daemon counts them as it takes them over\n",
               info->uncounted);
    for (size_t d = 0; d < catalog->n_dimensions; d++) {
        bool asked = population->query.dimension < 0 || (size_t)population->query.dimension == d;
        if (asked && catalog->dimensions[d].kind != TAGD_KIND_ALERT)
            print_dimension(population, sums, ranked, n, d, customers);
        else if (asked)
            printf("\nalert %s\n  %-32s %12" PRId64 "\n", catalog->dimensions[d].name, "raised",
                   in_all(population, sums, d));
    }
    for (size_t i = 0; i < catalog->n_breakdowns; i++)
        if (population->query.breakdown == TAGD_ALL_BREAKDOWNS ||
            (population->query.breakdown >= 0 && (size_t)population->query.breakdown == i))
            print_pair(population, ranked, n, i);
    print_days(population, ranked, n);
    print_goals(population, sums, info->as_of_ms);
    free(ranked);
}

static int print_population(struct population *population)
{
    struct tagd_counts sums = {0};
    struct tagd_population_info info = {.group = population->config->group};
    struct tagd_error error;
    enum tagd_io_result result =
        tagd_census_gather(population->reader, population->catalog, &population->query, NULL, &sums, &info, &error);
    if (result == TAGD_IO_OK && population->as_json) {
        struct tagd_buf out = {0};
        tagd_population_report(population->catalog, &sums, &population->query, &info, &out);
        printf("%.*s\n", (int)out.n, out.p);
        tagd_buf_free(&out);
    } else if (result == TAGD_IO_OK) {
        print_table(population, &sums, &info);
    }
    tagd_counts_free(&sums);
    return result == TAGD_IO_OK ? TAGD_EXIT_OK : tagd_servers_error(result, &error);
}

/* ---- counted again ---- */

/* All the shard's sets but those of days and months. */
static enum tagd_io_result read_counts(struct population *population, uint32_t shard, struct tagd_io_shard *of,
                                       struct tagd_error *error)
{
    size_t n = (size_t)tagd_sets(population->catalog);
    struct tagd_io_set *sets = tagd_arena_zalloc(&population->arena, n * sizeof(*sets));
    for (size_t i = 0; i < n; i++) {
        struct tagd_buf name = {0};
        tagd_set_name(population->catalog, (int64_t)i, &name);
        sets[i] = (struct tagd_io_set){.name = tagd_arena_copy(&population->arena, name.p, name.n), .most = INT32_MAX};
        tagd_buf_free(&name);
    }
    enum tagd_io_result result = tagd_io_read_counts(population->reader, shard, sets, n, &population->arena, of, error);
    tagd_counts_clear(&population->counted);
    for (size_t i = 0; i < n && result == TAGD_IO_OK; i++)
        for (size_t k = 0; k < sets[i].n; k++)
            tagd_counts_add(&population->counted, (int64_t)i, sets[i].members[k], sets[i].counts[k]);
    return result;
}

static enum tagd_io_result read_profiles(struct population *population, uint32_t shard, struct tagd_error *error)
{
    struct tagd_profile *profile = tagd_profile_new(population->catalog);
    enum tagd_io_result result = TAGD_IO_OK;
    struct tagd_load_item *items;
    size_t from = 0, n = 1;
    tagd_counts_clear(&population->recounted);
    for (; n > 0 && result == TAGD_IO_OK; from += n) {
        tagd_arena_reset(&population->arena);
        result =
            tagd_io_read_customers(population->reader, shard, from, CUSTOMERS, &population->arena, &items, &n, error);
        for (size_t i = 0; result == TAGD_IO_OK && i < n; i++) {
            if (items[i].bytes.n == 0)
                continue;
            struct tagd_error why;
            if (tagd_profile_decode(profile, items[i].bytes, &why)) {
                tagd_counts_profile(&population->recounted, profile, population->catalog);
                continue;
            }
            tagd_fail(error, "shard %" PRIu32 ": the stored profile of customer \"%.*s\" can't be read: %s", shard,
                      (int)items[i].customer.n, items[i].customer.p, why.text);
            result = TAGD_IO_CONFIG;
        }
    }
    tagd_profile_free(profile);
    return result;
}

static void show_difference(struct population *population, uint32_t shard, int64_t set, struct tagd_str member,
                            uint64_t *n)
{
    struct tagd_buf name = {0};
    population->n_differences++;
    if (++*n > SHOWN)
        return;
    tagd_set_name(population->catalog, set, &name);
    printf("shard %" PRIu32 ": %.*s %.*s: counted %" PRId64 ", in the profiles %" PRId64 "\n", shard, (int)name.n,
           name.p, (int)member.n, member.p, tagd_counts_get(&population->counted, set, member),
           tagd_counts_get(&population->recounted, set, member));
    tagd_buf_free(&name);
}

static void compare(struct population *population, uint32_t shard)
{
    const struct tagd_counts *counted = &population->counted, *recounted = &population->recounted;
    uint64_t n = 0;
    for (size_t i = 0; i < counted->n; i++) {
        struct tagd_str member = tagd_counts_member(counted, i);
        if (tagd_counts_get(recounted, counted->at[i].set, member) != counted->at[i].value)
            show_difference(population, shard, counted->at[i].set, member, &n);
    }
    for (size_t i = 0; i < recounted->n; i++) {
        struct tagd_str member = tagd_counts_member(recounted, i);
        if (tagd_counts_get(counted, recounted->at[i].set, member) == 0)
            show_difference(population, shard, recounted->at[i].set, member, &n);
    }
    population->n_counts += counted->n;
    population->n_customers += (uint64_t)tagd_counts_get(recounted, TAGD_SET_ALL, TAGD_STR("customers"));
}

static bool same_place(const struct tagd_head *a, const struct tagd_head *b)
{
    return a->exists == b->exists && a->fence == b->fence && a->batch == b->batch &&
           a->repair.phase == b->repair.phase && a->baseline.lines == b->baseline.lines &&
           memcmp(a->next_offset, b->next_offset, sizeof(a->next_offset)) == 0;
}

/* If nothing was written meanwhile, what was read one after the other belongs together. */
static enum tagd_io_result recount_shard(struct population *population, uint32_t shard, struct tagd_error *error)
{
    struct tagd_buf form = {0};
    tagd_population_form(population->catalog, true, &form);
    enum tagd_io_result result = TAGD_IO_OK;
    for (unsigned tries = 0; tries < TRIES && result == TAGD_IO_OK; tries++) {
        struct tagd_io_shard before, after;
        tagd_arena_reset(&population->arena);
        result = read_counts(population, shard, &before, error);
        if (result != TAGD_IO_OK || !before.head.exists)
            break;
        if (!tagd_str_eq(before.form, (struct tagd_str){form.p, form.n})) {
            population->n_uncounted++;
            break;
        }
        result = read_profiles(population, shard, error);
        if (result == TAGD_IO_OK)
            result = tagd_io_read_counts(population->reader, shard, NULL, 0, &population->arena, &after, error);
        if (result == TAGD_IO_OK && same_place(&before.head, &after.head)) {
            compare(population, shard);
            break;
        }
        population->n_changing += result == TAGD_IO_OK && tries + 1 == TRIES;
    }
    tagd_buf_free(&form);
    return result;
}

static int recount(struct population *population)
{
    struct tagd_error error;
    uint32_t shards;
    enum tagd_io_result result = tagd_io_read_shards(population->reader, &shards, &error);
    for (uint32_t shard = 0; result == TAGD_IO_OK && shard < shards; shard++)
        result = recount_shard(population, shard, &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    printf("%" PRIu64 " counts compared with %" PRIu64 " profiles of %" PRIu32 " shards, %" PRIu64 " differ\n",
           population->n_counts, population->n_customers, shards, population->n_differences);
    if (population->n_differences > 0)
        return tagd_command_error(
            TAGD_EXIT_DATA,
            "the population in Redis is not what the profiles add up to; delete the keys "
            "\"%s{%s:SHARD}:pop\" of the shards concerned and restart the daemons: a shard without "
            "it is counted anew",
            population->config->redis.prefix, population->config->group);
    if (population->n_uncounted > 0)
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE,
                                  "%" PRIu64
                                  " shards aren't counted by this catalog yet: a daemon counts them as it takes "
                                  "them over; run one with it, then try again",
                                  population->n_uncounted);
    if (population->n_changing > 0)
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE,
                                  "%" PRIu64
                                  " shards changed while they were counted, %d times in a row; try again when "
                                  "less happens, or stop the daemons meanwhile",
                                  population->n_changing, TRIES);
    return TAGD_EXIT_OK;
}

/* ---- the command ---- */

static int population_of(struct population *population, const char *path, const char *const *names,
                         const char *const *values, size_t n)
{
    struct tagd_error error;
    int code = tagd_command_load(path, &population->config, &population->catalog);
    population->query = tagd_census_query();
    for (size_t i = 0; i < n && code == TAGD_EXIT_OK; i++)
        if (!tagd_census_argument(population->catalog, names[i], values[i], &population->query, &error))
            code = tagd_command_error(TAGD_EXIT_USAGE, "--%s", error.text);
    if (code != TAGD_EXIT_OK)
        return code;
    population->reader = tagd_io_reader_new(population->config);
    return population->recount ? recount(population) : print_population(population);
}

int tagd_command_population(int argc, char **argv)
{
    const char *path = NULL, *names[5], *values[5];
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct population population = {0};
    size_t n = 0;
    while (tagd_options_next(&options)) {
        bool query = tagd_options_is(&options, "--dimension") || tagd_options_is(&options, "--breakdown") ||
                     tagd_options_is(&options, "--days") || tagd_options_is(&options, "--months") ||
                     tagd_options_is(&options, "--tags");
        if (tagd_options_is(&options, "--config")) {
            path = tagd_options_value(&options);
        } else if (query && n < 5) {
            names[n] = options.word + 2;
            values[n++] = tagd_options_value(&options);
        } else if (tagd_options_is(&options, "--json")) {
            population.as_json = true;
        } else if (tagd_options_is(&options, "--recount")) {
            population.recount = true;
        } else {
            tagd_options_unknown(&options);
        }
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    if (path == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE, "population wants --config FILE; tagd population --help shows how");
    if (population.recount && (n > 0 || population.as_json))
        return tagd_command_error(TAGD_EXIT_USAGE, "--recount compares all there is: leave out the other options");
    int code = population_of(&population, path, names, values, n);
    tagd_counts_free(&population.counted);
    tagd_counts_free(&population.recounted);
    tagd_arena_free(&population.arena);
    tagd_io_reader_free(population.reader);
    tagd_catalog_free(population.catalog);
    tagd_config_free(population.config);
    return code;
}
