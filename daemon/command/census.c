#include "command/census.h"

#include "metrics/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalog/compiled.h"

#define EVERY_MS 10000  /* between two reads, */
#define SHARE 20        /* and so many times as long as a read takes */
#define STALE_MS 120000 /* older numbers are none */

/* ---- a query ---- */

struct tagd_population_query tagd_census_query(void)
{
    return (struct tagd_population_query){
        .dimension = -1, .breakdown = TAGD_NO_BREAKDOWN, .tags_max = TAGD_POPULATION_TAGS_DEFAULT};
}

static bool number_of(const char *name, const char *value, int64_t most, int64_t *number, struct tagd_error *error)
{
    char *end = NULL;
    errno = 0;
    *number = value[0] >= '0' && value[0] <= '9' ? strtoll(value, &end, 10) : 0;
    if (end != NULL && *end == '\0' && errno == 0 && *number >= 1 && *number <= most)
        return true;
    return tagd_fail(error, "%s: expected a whole number from 1 to %lld, found \"%s\"", name, (long long)most, value);
}

static bool dimension_of(const struct tagd_catalog *catalog, const char *value, struct tagd_population_query *query,
                         struct tagd_error *error)
{
    struct tagd_buf name = {0};
    bool found = false;
    for (size_t d = 0; d < catalog->n_dimensions && !found; d++) {
        name.n = 0;
        tagd_set_name(catalog, tagd_set_dimension(d), &name);
        found = tagd_str_eq(tagd_str_of(value), (struct tagd_str){name.p, name.n});
        query->dimension = (int32_t)d;
    }
    tagd_buf_free(&name);
    return found ||
           tagd_fail(error,
                     "dimension: the catalog has no \"%s\"; expected a dimension, as value.level, or an alert, "
                     "as alert:NAME",
                     value);
}

static bool breakdown_of(const struct tagd_catalog *catalog, const char *value, struct tagd_population_query *query,
                         struct tagd_error *error)
{
    const char *comma = strchr(value, ',');
    struct tagd_str first = {value, comma == NULL ? 0 : (size_t)(comma - value)},
                    second = tagd_str_of(comma == NULL ? "" : comma + 1);
    if (strcmp(value, "all") == 0) {
        query->breakdown = TAGD_ALL_BREAKDOWNS;
        return true;
    }
    for (uint32_t i = 0; i < catalog->n_breakdowns; i++) {
        struct tagd_str a = tagd_str_of(catalog->dimensions[catalog->breakdowns[i].a].name),
                        b = tagd_str_of(catalog->dimensions[catalog->breakdowns[i].b].name);
        if ((tagd_str_eq(first, a) && tagd_str_eq(second, b)) || (tagd_str_eq(first, b) && tagd_str_eq(second, a))) {
            query->breakdown = (int32_t)i;
            return true;
        }
    }
    return tagd_fail(
        error,
        "breakdown: \"%s\" is none of the catalog's \"breakdowns\"; expected two dimensions of one of them "
        "with a comma between, or all",
        value);
}

bool tagd_census_argument(const struct tagd_catalog *catalog, const char *name, const char *value,
                          struct tagd_population_query *query, struct tagd_error *error)
{
    int64_t tags = 0;
    value = value == NULL ? "" : value;
    if (strcmp(name, "dimension") == 0)
        return dimension_of(catalog, value, query, error);
    if (strcmp(name, "breakdown") == 0)
        return breakdown_of(catalog, value, query, error);
    if (strcmp(name, "days") == 0)
        return number_of(name, value, TAGD_POPULATION_DAYS, &query->days, error);
    if (strcmp(name, "months") == 0)
        return number_of(name, value, TAGD_POPULATION_MONTHS, &query->months, error);
    if (strcmp(name, "tags") != 0)
        return tagd_fail(error, "\"%s\" is no argument: expected dimension, breakdown, days, months or tags", name);
    bool ok = number_of(name, value, TAGD_POPULATION_TAGS_MAX, &tags, error);
    query->tags_max = ok ? (size_t)tags : query->tags_max;
    return ok;
}

/* ---- adding up ---- */

struct gather {
    struct tagd_io_reader *reader;
    const struct tagd_catalog *catalog;
    const struct tagd_population_query *query;
    struct tagd_counts *sums;
    struct tagd_population_info *info;
    struct tagd_error *error;
    struct tagd_arena arena, results; /* results: of one shard */
    int64_t *sets;                    /* those asked for, */
    struct tagd_io_set *asked;
    size_t n_sets;
    bool *more, *counted; /* by set asked for; by shard */
    uint32_t shards;
};

static struct tagd_str kept_name(struct gather *gather, int64_t set)
{
    struct tagd_buf name = {0};
    tagd_set_name(gather->catalog, set, &name);
    struct tagd_str kept = tagd_arena_copy(&gather->arena, name.p, name.n);
    tagd_buf_free(&name);
    return kept;
}

static void ask_for(struct gather *gather, int64_t set, size_t most)
{
    gather->sets[gather->n_sets] = set;
    gather->asked[gather->n_sets++] = (struct tagd_io_set){.name = kept_name(gather, set), .most = most};
}

/* A dimension's tags are all read, and of the values and pairs those that are listed. */
static void choose_sets(struct gather *gather)
{
    const struct tagd_catalog *catalog = gather->catalog;
    const struct tagd_population_query *query = gather->query;
    size_t n = (size_t)tagd_sets(catalog);
    gather->sets = tagd_arena_alloc(&gather->arena, n * sizeof(*gather->sets));
    gather->asked = tagd_arena_alloc(&gather->arena, n * sizeof(*gather->asked));
    gather->more = tagd_arena_zalloc(&gather->arena, n);
    ask_for(gather, TAGD_SET_ALL, n);
    for (size_t d = 0; d < catalog->n_dimensions; d++) {
        bool asked = query->dimension < 0 || (size_t)query->dimension == d;
        if (asked && catalog->dimensions[d].kind != TAGD_KIND_ALERT)
            ask_for(gather, tagd_set_dimension(d), catalog->dimensions[d].is_value ? query->tags_max : TAGD_TAGS_MAX);
    }
    for (size_t i = 0; i < catalog->n_breakdowns; i++)
        if (query->breakdown == TAGD_ALL_BREAKDOWNS || (query->breakdown >= 0 && (size_t)query->breakdown == i))
            ask_for(gather, tagd_set_breakdown(catalog, i), query->tags_max);
}

static void add_set(struct gather *gather, int64_t set, const struct tagd_io_set *from)
{
    for (size_t i = 0; i < from->n; i++)
        tagd_counts_add(gather->sums, set, from->members[i], from->counts[i]);
}

bool tagd_census_counts(const struct tagd_catalog *catalog, const struct tagd_io_shard *of)
{
    struct tagd_buf form = {0};
    tagd_population_form(catalog, true, &form);
    bool counts = tagd_str_eq(of->form, (struct tagd_str){form.p, form.n}) &&
                  strcmp(of->head.catalog_hash, tagd_catalog_hash(catalog)) == 0;
    tagd_buf_free(&form);
    return counts;
}

static enum tagd_io_result gather_shard(struct gather *gather, uint32_t shard)
{
    struct tagd_io_shard of;
    tagd_arena_reset(&gather->results);
    enum tagd_io_result result =
        tagd_io_read_counts(gather->reader, shard, gather->asked, gather->n_sets, &gather->results, &of, gather->error);
    if (result != TAGD_IO_OK || !of.head.exists)
        return result;
    int64_t present = of.head.watermark_ms > of.head.latest_ms ? of.head.watermark_ms : of.head.latest_ms;
    if (present > gather->info->as_of_ms)
        gather->info->as_of_ms = present;
    gather->counted[shard] = tagd_census_counts(gather->catalog, &of);
    gather->info->uncounted += !gather->counted[shard];
    for (size_t i = 0; i < gather->n_sets && gather->counted[shard]; i++) {
        add_set(gather, gather->sets[i], &gather->asked[i]);
        gather->more[i] |= gather->asked[i].more;
    }
    return TAGD_IO_OK;
}

/* Some shard has more members of the set than were read: the largest that were are looked up in all shards. */
static enum tagd_io_result complete(struct gather *gather, size_t i)
{
    size_t n_ranked, n = 0;
    enum tagd_io_result result = TAGD_IO_OK;
    int64_t set = gather->sets[i];
    struct tagd_ranked *ranked = tagd_counts_rank(gather->sums, &n_ranked);
    struct tagd_str *members = tagd_xmalloc((gather->query->tags_max + 1) * sizeof(*members));
    int64_t *counts = tagd_xmalloc((gather->query->tags_max + 1) * sizeof(*counts));
    for (size_t k = 0; k < n_ranked; k++) {
        if (ranked[k].set != set)
            continue;
        struct tagd_str member = tagd_arena_copy(&gather->arena, ranked[k].member.p, ranked[k].member.n);
        tagd_counts_add(gather->sums, set, member, -ranked[k].value);
        if (n < gather->query->tags_max)
            members[n++] = member;
    }
    for (uint32_t shard = 0; shard < gather->shards && result == TAGD_IO_OK; shard++) {
        if (!gather->counted[shard])
            continue;
        result = tagd_io_read_members(gather->reader, shard, gather->asked[i].name, members, n, counts, gather->error);
        for (size_t k = 0; k < n && result == TAGD_IO_OK; k++)
            tagd_counts_add(gather->sums, set, members[k], counts[k]);
    }
    free(counts);
    free(members);
    free(ranked);
    return result;
}

/* Of days and months. */
static enum tagd_io_result gather_flow(struct gather *gather)
{
    int64_t last = tagd_population_day(gather->catalog, gather->info->as_of_ms, INT64_MIN);
    size_t n_days = (size_t)gather->query->days, n = last == INT64_MIN ? 0 : n_days + (size_t)gather->query->months;
    int64_t *numbers = tagd_arena_alloc(&gather->arena, (n + 1) * sizeof(*numbers));
    struct tagd_io_set *sets = tagd_arena_alloc(&gather->arena, (n + 1) * sizeof(*sets));
    enum tagd_io_result result = TAGD_IO_OK;
    for (size_t i = 0; i < n; i++) {
        numbers[i] =
            i < n_days ? tagd_set_day(last - (int64_t)i) : tagd_set_month(tagd_month_of(last) - (int64_t)(i - n_days));
        sets[i] = (struct tagd_io_set){.name = kept_name(gather, numbers[i]), .most = INT32_MAX};
    }
    for (uint32_t shard = 0; shard < gather->shards && n > 0 && result == TAGD_IO_OK; shard++) {
        struct tagd_io_shard of;
        if (!gather->counted[shard])
            continue;
        tagd_arena_reset(&gather->results);
        result = tagd_io_read_counts(gather->reader, shard, sets, n, &gather->results, &of, gather->error);
        for (size_t i = 0; i < n && result == TAGD_IO_OK; i++)
            add_set(gather, numbers[i], &sets[i]);
    }
    return result;
}

static enum tagd_io_result gather_all(struct gather *gather, const bool *only)
{
    enum tagd_io_result result = tagd_io_read_shards(gather->reader, &gather->shards, gather->error);
    if (result != TAGD_IO_OK)
        return result;
    gather->counted = tagd_arena_zalloc(&gather->arena, gather->shards + 1);
    choose_sets(gather);
    for (uint32_t shard = 0; shard < gather->shards && result == TAGD_IO_OK; shard++) {
        if (only != NULL && !only[shard])
            continue;
        gather->info->shards++;
        result = gather_shard(gather, shard);
    }
    for (size_t i = 0; i < gather->n_sets && result == TAGD_IO_OK; i++)
        if (gather->more[i])
            result = complete(gather, i);
    return result == TAGD_IO_OK ? gather_flow(gather) : result;
}

enum tagd_io_result tagd_census_gather(struct tagd_io_reader *reader, const struct tagd_catalog *catalog,
                                       const struct tagd_population_query *query, const bool *only,
                                       struct tagd_counts *sums, struct tagd_population_info *info,
                                       struct tagd_error *error)
{
    struct gather gather = {
        .reader = reader, .catalog = catalog, .query = query, .sums = sums, .info = info, .error = error};
    tagd_counts_clear(sums);
    info->as_of_ms = INT64_MIN;
    info->shards = info->uncounted = 0;
    enum tagd_io_result result = gather_all(&gather, only);
    tagd_arena_free(&gather.arena);
    tagd_arena_free(&gather.results);
    return result;
}

/* ---- beside the daemon ---- */

struct tagd_census {
    const struct tagd_config *config;
    const struct tagd_catalog *catalog;
    uint32_t shards;
    void (*ours)(void *to, bool *flags);
    void *to;
    pthread_t thread;
    pthread_cond_t wake;
    pthread_mutex_t mutex; /* of what follows */
    bool stopping;
    struct tagd_counts sums;
    int64_t as_of_ms;       /* the latest instant that counts in them */
    int64_t read_ms;        /* when; 0: never */
    pthread_mutex_t asking; /* of the reader that answers */
    struct tagd_io_reader *reader;
};

/* The numbers of before stay if they can't be read. */
static void look(struct tagd_census *census, struct tagd_io_reader *reader, struct tagd_counts *sums, bool *flags)
{
    struct tagd_population_query query = tagd_census_query();
    struct tagd_population_info info = {0};
    struct tagd_error error;
    query.tags_max = TAGD_METRICS_TAGS_MAX;
    query.months = TAGD_METRICS_MONTHS;
    memset(flags, 0, census->shards);
    census->ours(census->to, flags);
    if (tagd_census_gather(reader, census->catalog, &query, flags, sums, &info, &error) != TAGD_IO_OK)
        return;
    pthread_mutex_lock(&census->mutex);
    struct tagd_counts before = census->sums;
    census->sums = *sums;
    *sums = before;
    census->as_of_ms = info.as_of_ms;
    census->read_ms = tagd_io_mono_ms();
    pthread_mutex_unlock(&census->mutex);
}

/* False: it is to stop. */
static bool wait_for(struct tagd_census *census, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&census->mutex);
    while (!census->stopping && pthread_cond_timedwait(&census->wake, &census->mutex, &until) == 0)
        ;
    bool goes_on = !census->stopping;
    pthread_mutex_unlock(&census->mutex);
    return goes_on;
}

static void *look_on(void *to)
{
    struct tagd_census *census = to;
    struct tagd_io_reader *reader = tagd_io_reader_new(census->config);
    struct tagd_counts sums = {0};
    bool *flags = tagd_xcalloc(census->shards + 1, sizeof(*flags));
    int64_t pause_ms = 1000; /* shards are being taken over */
    while (wait_for(census, pause_ms)) {
        int64_t began = tagd_io_mono_ms();
        look(census, reader, &sums, flags);
        int64_t took = tagd_io_mono_ms() - began;
        pause_ms = took * SHARE > EVERY_MS ? took * SHARE : EVERY_MS;
    }
    free(flags);
    tagd_counts_free(&sums);
    tagd_io_reader_free(reader);
    return NULL;
}

struct tagd_census *tagd_census_new(const struct tagd_config *config, const struct tagd_catalog *catalog,
                                    uint32_t shards, void (*ours)(void *to, bool *flags), void *to)
{
    struct tagd_census *census = tagd_xcalloc(1, sizeof(*census));
    pthread_condattr_t monotonic;
    *census = (struct tagd_census){.config = config, .catalog = catalog, .shards = shards, .ours = ours, .to = to};
    census->reader = tagd_io_reader_new(config);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&census->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&census->mutex, NULL);
    pthread_mutex_init(&census->asking, NULL);
    if (pthread_create(&census->thread, NULL, look_on, census) != 0)
        abort();
    return census;
}

void tagd_census_free(struct tagd_census *census)
{
    if (census == NULL)
        return;
    pthread_mutex_lock(&census->mutex);
    census->stopping = true;
    pthread_cond_signal(&census->wake);
    pthread_mutex_unlock(&census->mutex);
    pthread_join(census->thread, NULL);
    pthread_cond_destroy(&census->wake);
    pthread_mutex_destroy(&census->mutex);
    pthread_mutex_destroy(&census->asking);
    tagd_counts_free(&census->sums);
    tagd_io_reader_free(census->reader);
    free(census);
}

static int refuse(int status, const char *why, struct tagd_buf *body)
{
    tagd_buf_add_z(body, "{\"error\":");
    tagd_buf_add_json(body, tagd_str_of(why));
    tagd_buf_add_z(body, "}\n");
    return status;
}

int tagd_census_answer(struct tagd_census *census, const struct tagd_http_arguments *arguments, struct tagd_buf *body)
{
    struct tagd_population_query query = tagd_census_query();
    struct tagd_population_info info = {.group = census->config->group};
    struct tagd_counts sums = {0};
    struct tagd_error error;
    for (size_t i = 0; i < arguments->n; i++)
        if (!tagd_census_argument(census->catalog, arguments->at[i].name, arguments->at[i].value, &query, &error))
            return refuse(400, error.text, body);
    pthread_mutex_lock(&census->asking);
    enum tagd_io_result result =
        tagd_census_gather(census->reader, census->catalog, &query, NULL, &sums, &info, &error);
    pthread_mutex_unlock(&census->asking);
    if (result == TAGD_IO_OK) {
        tagd_population_report(census->catalog, &sums, &query, &info, body);
        tagd_buf_add_byte(body, '\n');
    }
    tagd_counts_free(&sums);
    return result == TAGD_IO_OK ? 200 : refuse(503, error.text, body);
}

void tagd_census_metrics(struct tagd_census *census, const struct tagd_flow *const *flows, size_t n_flows,
                         struct tagd_buf *out)
{
    pthread_mutex_lock(&census->mutex);
    bool known = census->read_ms != 0 && tagd_io_mono_ms() - census->read_ms < STALE_MS;
    tagd_metrics_population(census->catalog, known ? &census->sums : NULL, census->as_of_ms, flows, n_flows, out);
    pthread_mutex_unlock(&census->mutex);
}
