/* The population of a shard, as its batches change it, and counted anew where it isn't that of this catalog's breakdowns:
 *
 *   UNCOUNT   the sets of before go, and the form says that it is being counted, and of which pairs there may be counts
 *   COUNT     all customers are read, a chunk at a time
 *   COUNTED   what they add up to is written, a chunk at a time; with the last one the form says what is counted
 *
 * Then the take-over begins again, with a new fence: nothing that it had read is kept meanwhile. A death in between
 * leaves a shard that isn't counted, and the next owner begins with UNCOUNT. Days and months are no part of it: no profile
 * tells of them. */
#include "shard/repair.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BUCKETS 512         /* days and months of one batch are put together by these */
#define PAIRS_OF_BEFORE 200 /* more than any catalog has */

static struct tagd_str name_of(const struct tagd_catalog *catalog, int64_t set, struct tagd_arena *arena)
{
    struct tagd_buf name = {0};
    tagd_set_name(catalog, set, &name);
    struct tagd_str kept = tagd_arena_copy(arena, name.p, name.n);
    tagd_buf_free(&name);
    return kept;
}

static struct tagd_str form_of(const struct tagd_catalog *catalog, bool counted, struct tagd_arena *arena)
{
    struct tagd_buf form = {0};
    tagd_population_form(catalog, counted, &form);
    struct tagd_str kept = tagd_arena_copy(arena, form.p, form.n);
    tagd_buf_free(&form);
    return kept;
}

/* ---- a batch ---- */

/* Of days or months, of which so many are kept up to the present: those that are too long ago by now, and were kept
 * before. Returns how many; *last is the latest of them. */
static size_t gone(int64_t before, int64_t present, int64_t kept, int64_t *last)
{
    *last = present - kept < before ? present - kept : before;
    return present <= before ? 0 : (size_t)(*last - (before - kept));
}

/* What is too long ago by now, and was kept when head was written. */
static void drop_old(struct tagd_batch *batch, const struct tagd_catalog *catalog, int64_t present,
                     struct tagd_arena *arena)
{
    const struct tagd_head *head = &batch->shard->head;
    int64_t before = tagd_population_day(catalog, head->watermark_ms, head->latest_ms), last_day, last_month;
    if (before == INT64_MIN || present <= before)
        return;
    size_t n_days = gone(before, present, TAGD_POPULATION_DAYS, &last_day),
           n_months = gone(tagd_month_of(before), tagd_month_of(present), TAGD_POPULATION_MONTHS, &last_month);
    struct tagd_str *drops = tagd_arena_alloc(arena, (n_days + n_months + 1) * sizeof(*drops));
    for (size_t i = 0; i < n_days; i++)
        drops[i] = name_of(catalog, tagd_set_day(last_day - (int64_t)i), arena);
    for (size_t i = 0; i < n_months; i++)
        drops[n_days + i] = name_of(catalog, tagd_set_month(last_month - (int64_t)i), arena);
    batch->population.drops = drops;
    batch->population.n_drops = n_days + n_months;
}

static size_t bucket_of(int64_t set, int64_t sets)
{
    return set < 0 ? (size_t)(sets + (set % BUCKETS + BUCKETS) % BUCKETS) : (size_t)set;
}

/* Nobody would look at it: it isn't any more, or was never, or is too long ago. */
static bool is_left_out(const struct tagd_count *count, int64_t present)
{
    int64_t at;
    return count->value == 0 || (tagd_set_is_day(count->set, &at) && at <= present - TAGD_POPULATION_DAYS) ||
           (tagd_set_is_month(count->set, &at) && at <= tagd_month_of(present) - TAGD_POPULATION_MONTHS);
}

/* The counts set by set: a list a bucket, of indexes + 1. */
static void write_counts(struct tagd_batch *batch, const struct tagd_catalog *catalog, int64_t present,
                         struct tagd_arena *arena)
{
    const struct tagd_counts *counts = &batch->tally.counts;
    int64_t sets = tagd_sets(catalog), written = INT64_MIN;
    size_t n_buckets = (size_t)sets + BUCKETS, n = 0;
    uint32_t *first = tagd_arena_zalloc(arena, n_buckets * sizeof(*first)),
             *next = tagd_arena_alloc(arena, (counts->n + 1) * sizeof(*next));
    struct tagd_count_write *writes = tagd_arena_alloc(arena, (counts->n + 1) * sizeof(*writes));
    struct tagd_str name = {NULL, 0};
    for (size_t i = counts->n; i-- > 0;) {
        size_t bucket = bucket_of(counts->at[i].set, sets);
        next[i] = first[bucket];
        first[bucket] = (uint32_t)i + 1;
    }
    for (size_t bucket = 0; bucket < n_buckets; bucket++)
        for (uint32_t at = first[bucket]; at != 0; at = next[at - 1]) {
            const struct tagd_count *count = &counts->at[at - 1];
            if (is_left_out(count, present))
                continue;
            if (name.p == NULL || count->set != written)
                name = name_of(catalog, count->set, arena);
            written = count->set;
            writes[n++] = (struct tagd_count_write){name, tagd_counts_member(counts, at - 1), count->value};
        }
    batch->population.counts = writes;
    batch->population.n_counts = n;
}

void tagd_batch_population(struct tagd_batch *batch, const struct tagd_catalog *catalog, struct tagd_arena *arena)
{
    int64_t present = tagd_population_day(catalog, batch->watermark_ms, batch->latest_ms);
    batch->population = (struct tagd_population_write){0};
    if (present != INT64_MIN)
        drop_old(batch, catalog, present, arena);
    if (batch->tally.counts.n > 0)
        write_counts(batch, catalog, present, arena);
    if (!batch->shard->head.exists)
        tagd_population_begin(catalog, arena, &batch->population);
}

void tagd_population_begin(const struct tagd_catalog *catalog, struct tagd_arena *arena,
                           struct tagd_population_write *population)
{
    size_t n = (size_t)tagd_sets(catalog);
    struct tagd_str *drops = tagd_arena_alloc(arena, (n + 1) * sizeof(*drops));
    for (size_t i = 0; i < n; i++)
        drops[i] = name_of(catalog, (int64_t)i, arena);
    population->drops = drops;
    population->n_drops = n;
    population->form = form_of(catalog, true, arena);
}

/* ---- counting anew ---- */

bool tagd_population_is_counted(const struct tagd_takeover *takeover, const struct tagd_catalog *catalog)
{
    struct tagd_buf form = {0};
    tagd_population_form(catalog, true, &form);
    bool same = tagd_str_eq(takeover->population_form, (struct tagd_str){form.p, form.n});
    tagd_buf_free(&form);
    return same || !takeover->head.exists;
}

/* Nothing of what was read before is needed any more. */
static void forget(struct tagd_takeover *takeover, struct tagd_op *op)
{
    tagd_arena_reset(op->arena);
    takeover->committed = NULL;
    takeover->outbox = NULL;
    takeover->n_outbox = 0;
    takeover->population_form = (struct tagd_str){NULL, 0};
}

static void write_head(struct tagd_takeover *takeover)
{
    takeover->shard->head = takeover->head;
    tagd_shard_head_only(takeover->shard, takeover->head.owner, 0, &takeover->writes);
}

static enum tagd_takeover_result uncount(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                         struct tagd_op *op)
{
    struct tagd_str pairs[PAIRS_OF_BEFORE];
    size_t n = tagd_population_form_pairs(takeover->population_form, pairs, PAIRS_OF_BEFORE);
    write_head(takeover);
    struct tagd_population_write *population = &takeover->writes.population;
    tagd_population_begin(config->catalog, op->arena, population);
    struct tagd_str *drops = tagd_arena_alloc(op->arena, (population->n_drops + n) * sizeof(*drops));
    memcpy(drops, population->drops, population->n_drops * sizeof(*drops));
    memcpy(drops + population->n_drops, pairs, n * sizeof(*drops));
    population->drops = drops;
    population->n_drops += n;
    population->form = form_of(config->catalog, false, op->arena);
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_UNCOUNT);
}

enum tagd_takeover_result tagd_population_count(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                                struct tagd_op *op)
{
    tagd_counts_clear(&takeover->counts);
    takeover->n_counted = 0;
    tagd_takeover_note(takeover, config, TAGD_NOTE_INFO,
                       "shard %" PRIu32
                       ": its population isn't that of this catalog's breakdowns, or of this version of tagd: "
                       "counting its customers",
                       takeover->shard->number);
    return uncount(takeover, config, op);
}

/* As many at once as a batch has events at most. */
static enum tagd_takeover_result ask_customers(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                               struct tagd_op *op)
{
    forget(takeover, op);
    memset(&op->u.load, 0, sizeof(op->u.load));
    op->u.load.due_to_ms = INT64_MIN;
    op->u.load.walk_max = config->batch_events_max;
    op->u.load.walk_from = takeover->n_counted;
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_COUNT, TAGD_OP_LOAD);
}

/* From n_counted on. */
static enum tagd_takeover_result write_sums(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                            struct tagd_op *op)
{
    const struct tagd_counts *counts = &takeover->counts;
    size_t n_sets = (size_t)tagd_sets(config->catalog), n = counts->n - takeover->n_counted;
    n = n < config->batch_events_max ? n : config->batch_events_max;
    forget(takeover, op);
    struct tagd_str *names = tagd_arena_alloc(op->arena, n_sets * sizeof(*names));
    struct tagd_count_write *writes = tagd_arena_alloc(op->arena, (n + 1) * sizeof(*writes));
    for (size_t i = 0; i < n_sets; i++)
        names[i] = name_of(config->catalog, (int64_t)i, op->arena);
    for (size_t i = 0; i < n; i++) {
        const struct tagd_count *count = &counts->at[takeover->n_counted + i];
        writes[i] = (struct tagd_count_write){names[count->set], tagd_counts_member(counts, takeover->n_counted + i),
                                              count->value};
    }
    write_head(takeover);
    takeover->writes.population.counts = writes;
    takeover->writes.population.n_counts = n;
    takeover->n_counted += n;
    if (takeover->n_counted == counts->n)
        takeover->writes.population.form = form_of(config->catalog, true, op->arena);
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_COUNTED);
}

static enum tagd_takeover_result take_customers(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                                struct tagd_op *op, struct tagd_error *error)
{
    struct tagd_profile *profile = tagd_profile_new(config->catalog);
    bool ok = true;
    for (size_t i = 0; i < op->u.load.n_walk && ok; i++) {
        const struct tagd_load_item *item = &op->u.load.walk[i];
        struct tagd_error why;
        if (item->bytes.n == 0)
            continue;
        ok = tagd_profile_decode(profile, item->bytes, &why) ||
             tagd_fail(error, "shard %" PRIu32 ": the stored profile of customer \"%.*s\" can't be read: %s",
                       takeover->shard->number, (int)item->customer.n, item->customer.p, why.text);
        if (ok)
            tagd_counts_profile(&takeover->counts, profile, config->catalog);
    }
    tagd_profile_free(profile);
    if (!ok)
        return TAGD_TAKEOVER_STOP;
    takeover->n_counted += op->u.load.n_walk;
    if (op->u.load.n_walk > 0)
        return ask_customers(takeover, config, op);
    tagd_takeover_note(takeover, config, TAGD_NOTE_INFO, "shard %" PRIu32 ": %" PRId64 " customers counted",
                       takeover->shard->number,
                       tagd_counts_get(&takeover->counts, TAGD_SET_ALL, TAGD_STR("customers")));
    takeover->n_counted = 0;
    return write_sums(takeover, config, op);
}

static enum tagd_takeover_result summed(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                        struct tagd_worker_stats *stats, struct tagd_op *op)
{
    struct tagd_shard *shard = takeover->shard;
    if (takeover->n_counted < takeover->counts.n)
        return write_sums(takeover, config, op);
    TAGD_COUNT(stats, populations_counted, 1);
    forget(takeover, op);
    tagd_counts_free(&takeover->counts);
    tagd_takeover_begin(takeover, shard, op);
    return TAGD_TAKEOVER_SUBMIT;
}

enum tagd_takeover_result tagd_population_next(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                               struct tagd_worker_stats *stats, struct tagd_op *op,
                                               struct tagd_error *error)
{
    switch (takeover->step) {
    case TAGD_TAKEOVER_UNCOUNT: return ask_customers(takeover, config, op);
    case TAGD_TAKEOVER_COUNT: return take_customers(takeover, config, op, error);
    case TAGD_TAKEOVER_COUNTED: return summed(takeover, config, stats, op);
    default: assert(false && "a step of counting"); return TAGD_TAKEOVER_STOP;
    }
}
