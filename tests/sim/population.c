/* The store's population, and what it must be: at every write what the stored profiles add up to; once all is at rest,
 * where what is right is known, also what the events alone make of it, with who came and went each day. */
#include "sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct sim_count *find(struct sim_population *population, struct tagd_str set, struct tagd_str member)
{
    for (size_t i = 0; i < population->n; i++)
        if (tagd_str_eq(population->counts[i].set, set) && tagd_str_eq(population->counts[i].member, member))
            return &population->counts[i];
    return NULL;
}

static bool goes(const struct tagd_population_write *writes, struct tagd_str set)
{
    for (size_t i = 0; i < writes->n_drops; i++)
        if (tagd_str_eq(writes->drops[i], set))
            return true;
    return false;
}

static struct sim_count *add(struct sim *sim, struct sim_population *population, const struct tagd_count_write *write)
{
    assert(population->n < SIM_COUNTS);
    struct sim_count *count = &population->counts[population->n++];
    *count = (struct sim_count){sim_keep(sim, write->set), sim_keep(sim, write->member), 0};
    return count;
}

void sim_population_write(struct sim *sim, struct sim_store_shard *shard, const struct tagd_population_write *writes)
{
    struct sim_population *population = tagd_arena_alloc(&sim->memory, sizeof(*population));
    population->n = 0;
    for (size_t i = 0; shard->population != NULL && i < shard->population->n; i++)
        if (!goes(writes, shard->population->counts[i].set))
            population->counts[population->n++] = shard->population->counts[i];
    for (size_t i = 0; i < writes->n_counts; i++) {
        const struct tagd_count_write *write = &writes->counts[i];
        struct sim_count *count = find(population, write->set, write->member);
        count = count != NULL ? count : add(sim, population, write);
        count->n += write->by;
        if (count->n < 0)
            sim_fail(sim, "population: %.*s %.*s is %" PRId64, (int)write->set.n, write->set.p, (int)write->member.n,
                     write->member.p, count->n);
        if (count->n == 0)
            *count = population->counts[--population->n];
    }
    shard->population = population; /* snapshots have the one before */
    if (writes->form.n > 0)
        shard->form = sim_keep(sim, writes->form);
}

/* The catalog whose form the shard's is; NULL: it isn't counted. */
static const struct tagd_catalog *counted_by(const struct sim *sim, const struct sim_store_shard *shard)
{
    struct tagd_buf form = {0};
    const struct tagd_catalog *found = NULL;
    for (unsigned i = 0; i < SIM_VARIANTS && found == NULL; i++) {
        form.n = 0;
        tagd_population_form(sim_variant(sim->plan.catalog, i), true, &form);
        if (tagd_str_eq(shard->form, (struct tagd_str){form.p, form.n}))
            found = sim_variant(sim->plan.catalog, i);
    }
    tagd_buf_free(&form);
    return found;
}

static bool is_day(struct tagd_str set)
{
    return set.p[0] >= '0' && set.p[0] <= '9';
}

/* Days apart, or also. How many counts it has besides. */
static size_t n_of(const struct sim_population *population, bool days)
{
    size_t n = 0;
    for (size_t i = 0; population != NULL && i < population->n; i++)
        n += days || !is_day(population->counts[i].set);
    return n;
}

/* Whether the shard's counts are these; *why says which isn't. */
static bool same(const struct tagd_catalog *catalog, struct sim_population *population,
                 const struct tagd_counts *counts, bool days, char *why, size_t size)
{
    struct tagd_buf name = {0};
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; i < counts->n && ok; i++) {
        struct tagd_str member = tagd_counts_member(counts, i);
        int64_t wanted = counts->at[i].value;
        if (wanted == 0)
            continue;
        name.n = 0;
        tagd_set_name(catalog, counts->at[i].set, &name);
        const struct sim_count *count =
            population == NULL ? NULL : find(population, (struct tagd_str){name.p, name.n}, member);
        ok = count != NULL && count->n == wanted;
        n++;
        snprintf(why, size, "%.*s %.*s is %" PRId64 " and should be %" PRId64, (int)name.n, name.p, (int)member.n,
                 member.p, count == NULL ? 0 : count->n, wanted);
    }
    tagd_buf_free(&name);
    if (ok && n_of(population, days) != n) {
        snprintf(why, size, "it has %zu counts and should have %zu", n_of(population, days), n);
        return false;
    }
    return ok;
}

void sim_check_population(struct sim *sim, uint32_t number)
{
    struct sim_store_shard *shard = &sim->store.shards[number];
    const struct tagd_catalog *catalog = counted_by(sim, shard);
    struct tagd_counts *counts = &sim->recount;
    struct tagd_error error;
    char why[300];
    if (catalog == NULL)
        return;
    tagd_counts_clear(counts);
    for (uint32_t i = 0; i < SIM_CUSTOMERS; i++)
        if (shard->customers[i].bytes.n > 0 && tagd_profile_decode(sim->profile, shard->customers[i].bytes, &error))
            tagd_counts_profile(counts, sim->profile, catalog);
    sim->coverage->population_checks++;
    if (!same(catalog, shard->population, counts, false, why, sizeof(why)))
        sim_fail(sim, "shard %u: the population isn't what its profiles add up to: %s", number, why);
}

/* Days of a `value` are counted tag by tag by one variant, and together by the other. */
static bool mixes(const struct sim *sim)
{
    return sim->plan.rolling;
}

bool sim_population_rests(struct sim *sim, uint32_t number, char *why, size_t size)
{
    struct sim_store_shard *shard = &sim->store.shards[number];
    char what[300] = "";
    if (!shard->head.exists)
        return true;
    if (counted_by(sim, shard) == NULL) {
        snprintf(why, size, "shard %u isn't counted", number);
        return false;
    }
    if (!sim_exact(sim) || mixes(sim) ||
        same(sim->plan.catalog, shard->population, &sim->tallies[number].counts, true, what, sizeof(what)))
        return true;
    snprintf(why, size, "shard %u: the population: %s", number, what);
    return false;
}
