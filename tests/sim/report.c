#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FULL_SEEDS 200000 /* what tests/run.sh runs, */
#define FULL_FLOOR 100    /* and how often everything that counts must happen in it */

static const char *const op_names[] = {"FENCE",  "COMMITTED", "TAIL", "END_OWNER", "START",   "LOAD",
                                       "COMMIT", "PUBLISH",   "SEND", "OFFSETS",   "REFETCH", "OUTPUTS"};
static const char *const status_names[] = {"pending", "done",    "fenced",  "refused",
                                           "denied",  "aborted", "unknown", "gone"};
static const char *const context_names[SIM_CONTEXTS] = {"taking over", "running"};

/* Answers that must have been given, as bits of statuses: all that daemon/io gives. */
#define BIT(status) (1u << TAGD_##status)
static const unsigned wanted[SIM_CONTEXTS][TAGD_OP_OUTPUTS + 1] = {
    {[TAGD_OP_FENCE] = BIT(DONE) | BIT(REFUSED) | BIT(DENIED) | BIT(ABORTED),
     [TAGD_OP_COMMITTED] = BIT(DONE) | BIT(ABORTED),
     [TAGD_OP_TAIL] = BIT(DONE) | BIT(ABORTED),
     [TAGD_OP_END_OWNER] = BIT(DONE) | BIT(DENIED) | BIT(ABORTED),
     [TAGD_OP_START] = BIT(DONE) | BIT(FENCED) | BIT(ABORTED) | BIT(GONE),
     [TAGD_OP_LOAD] = BIT(DONE) | BIT(REFUSED) | BIT(DENIED) | BIT(UNKNOWN),
     [TAGD_OP_COMMIT] = BIT(DONE) | BIT(FENCED) | BIT(REFUSED) | BIT(DENIED) | BIT(ABORTED) | BIT(UNKNOWN),
     [TAGD_OP_PUBLISH] = BIT(DONE) | BIT(FENCED) | BIT(ABORTED) | BIT(UNKNOWN),
     [TAGD_OP_SEND] = BIT(DONE) | BIT(ABORTED),
     [TAGD_OP_REFETCH] = BIT(DONE) | BIT(ABORTED) | BIT(GONE),
     [TAGD_OP_OUTPUTS] = BIT(DONE) | BIT(ABORTED)},
    {[TAGD_OP_COMMITTED] = BIT(DONE) | BIT(ABORTED),
     [TAGD_OP_LOAD] = BIT(DONE) | BIT(REFUSED) | BIT(DENIED) | BIT(UNKNOWN),
     [TAGD_OP_COMMIT] = BIT(DONE) | BIT(FENCED) | BIT(REFUSED) | BIT(DENIED) | BIT(ABORTED) | BIT(UNKNOWN),
     [TAGD_OP_PUBLISH] = BIT(DONE) | BIT(FENCED) | BIT(ABORTED) | BIT(UNKNOWN),
     [TAGD_OP_SEND] = BIT(DONE) | BIT(ABORTED),
     [TAGD_OP_OFFSETS] = BIT(DONE) | BIT(ABORTED)},
};

void report_add(struct sim_coverage *to, const struct sim_coverage *from)
{
    uint64_t *sum = (uint64_t *)to;
    const uint64_t *more = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++) /* it is counters and nothing else */
        sum[i] += more[i];
}

static const char *const kind_names[TAGD_KINDS] = {[TAGD_KIND_TAG] = "changes of tags",
                                                   [TAGD_KIND_ALERT] = "alerts",
                                                   [TAGD_KIND_PROPOSAL] = "proposals and their ends",
                                                   [TAGD_KIND_GOAL] = "goals",
                                                   [TAGD_KIND_CHURN] = "changes of churn"};
static const char *const poison_names[] = {"harmless", "kills decoding", "kills applying", "kills sometimes"};

struct least {
    uint64_t n, floor;
    char name[80];
    unsigned missing;
};

static void must(struct least *least, const char *what, const char *which, uint64_t n)
{
    printf("    %-44s %12" PRIu64 "%s\n", which, n, n < least->floor ? "   TOO FEW" : "");
    least->missing += n < least->floor;
    if (least->name[0] != '\0' && n >= least->n)
        return;
    least->n = n;
    snprintf(least->name, sizeof(least->name), "%s: %s", what, which);
}

static void report_answers(const struct sim_coverage *coverage, struct least *least)
{
    for (unsigned context = 0; context < SIM_CONTEXTS; context++) {
        printf("  answers while %s\n", context_names[context]);
        for (unsigned kind = 0; kind <= TAGD_OP_OUTPUTS; kind++)
            for (unsigned status = TAGD_DONE; status <= TAGD_GONE; status++) {
                uint64_t n = coverage->answers[context][kind][status];
                char name[64];
                snprintf(name, sizeof(name), "%s %s", op_names[kind], status_names[status]);
                if (wanted[context][kind] >> status & 1)
                    must(least, context_names[context], name, n);
                else if (n > 0)
                    printf("    %-44s %12" PRIu64 "\n", name, n);
            }
    }
}

static void report_rows(const struct sim_coverage *coverage, struct least *least)
{
    printf("  take-overs\n");
    must(least, "take-over", "new", coverage->rows_new);
    must(least, "take-over", "level", coverage->rows_level);
    must(least, "take-over", "outbox", coverage->rows_outbox);
    must(least, "take-over", "outbox batches", coverage->outbox_batches);
    must(least, "take-over", "gap passed over", coverage->gaps);
    must(least, "take-over", "repairs begun", coverage->repairs_begun);
    must(least, "take-over", "repairs ended", coverage->repairs);
    must(least, "take-over", "customers counted anew", coverage->counts_anew);
    must(least, "cache", "profiles found there", coverage->cache_hits);
    must(least, "cache", "profiles read from the store", coverage->cache_misses);
    printf("  refused, each for a fault of its own\n");
    for (unsigned i = 0; i < SIM_REASONS; i++)
        must(least, "refused", sim_reasons[i], coverage->refusals[i]);
    printf("  refused, and put right\n");
    for (unsigned i = 0; i < SIM_MENDED; i++)
        must(least, "refused", sim_mended[i], coverage->mended[i]);
    printf("  poison\n");
    for (unsigned i = SIM_KILLS_DECODING; i <= SIM_KILLS_SOMETIMES; i++) {
        must(least, "poison", poison_names[i], coverage->poisoned[i]);
        must(least, "deaths", poison_names[i], coverage->deaths[i]);
    }
    must(least, "poison", "condemned", coverage->condemned);
    printf("  the group and the broker\n");
    must(least, "group", "assigned", coverage->assigned);
    must(least, "group", "revoked", coverage->revoked);
    must(least, "group", "lost", coverage->lost);
    must(least, "broker", "transaction timeouts", coverage->timeouts);
    must(least, "broker", "taints", coverage->taints);
    must(least, "broker", "late ends", coverage->late_ends);
    must(least, "broker", "late ends shut out", coverage->late_ends_refused);
    must(least, "store", "late EXECs that count", coverage->late_execs);
}

/* How often each must have happened at least. Few seeds may miss some by chance. */
static uint64_t floor_of(uint64_t seeds)
{
    if (seeds >= FULL_SEEDS)
        return FULL_FLOOR;
    return seeds < 10000 ? 0 : FULL_FLOOR * seeds / FULL_SEEDS / 2;
}

bool report_coverage(const struct sim_coverage *coverage)
{
    struct least least = {.floor = floor_of(coverage->seeds)};
    printf("  faults\n");
    for (unsigned kind = 0; kind < SIM_FAULTS; kind++)
        must(&least, "fault", sim_fault_names[kind], coverage->faults[kind]);
    report_answers(coverage, &least);
    report_rows(coverage, &least);
    printf("  compared\n");
    for (unsigned kind = 0; kind < TAGD_KINDS; kind++)
        must(&least, "compared", kind_names[kind], coverage->changes[kind]);
    must(&least, "compared", "dead letters", coverage->letters);
    must(&least, "compared", "views", coverage->view_checks);
    printf("  told by a repair\n");
    for (unsigned kind = 0; kind < TAGD_KINDS; kind++)
        if (kind != TAGD_KIND_GOAL) /* ends by an event or by time, whoever tells it */
            must(&least, "told by a repair", kind_names[kind], coverage->differences[kind]);
    printf("  proposals\n");
    for (unsigned status = TAGD_PROPOSAL_OPEN + 1; status <= TAGD_PROPOSAL_EXPIRED; status++)
        must(&least, "proposals", tagd_emit_status((enum tagd_proposal_status)status), coverage->ends[status]);
    must(&least, "compared", "populations", coverage->population_checks);
    must(&least, "held", "limits on changes", coverage->trips);
    printf("  %" PRIu64 " operations, %" PRIu64 " stages, %" PRIu64 " steps of workers; audits %" PRIu64
           ", mismatches %" PRIu64 "\n",
           coverage->submits, coverage->stages, coverage->steps, coverage->audits, coverage->audit_mismatches);
    printf("  the least: %s, %" PRIu64 "; %u of less than %" PRIu64 "\n", least.name, least.n, least.missing,
           least.floor);
    return least.missing == 0;
}

void report_plan(const struct sim *sim)
{
    const struct sim_plan *plan = &sim->plan;
    static const char *const modes[] = {"one topic", "two topics", "live", "unordered"};
    printf("catalog %s, %s, %u topics, %u shards, %u customers, %u processes of %u workers, %s%s%s, grace %" PRId64
           " ms, batches of %zu, slowness %u\n",
           tagd_catalog_name(plan->catalog), modes[plan->mode], plan->n_topics, plan->n_shards, plan->n_customers,
           plan->n_processes, plan->n_workers, plan->at_least_once ? "at least once" : "exactly once",
           plan->content_binary ? ", binary" : "", plan->overlapped ? ", overlapped" : "", plan->grace_ms,
           plan->batch_events_max, plan->slowness);
    for (size_t i = 0; i < plan->n_faults; i++) {
        const struct sim_fault *fault = &plan->faults[i];
        if (fault->dropped)
            continue;
        printf("  fault %zu at %" PRId64 ": %s", i, fault->at_ms, sim_fault_names[fault->kind]);
        if (fault->kind >= SIM_SLOW)
            printf(" of %s, stage %u", op_names[fault->op], fault->amount);
        printf(", process %u, %" PRId64 " ms%s\n", fault->process, fault->for_ms, fault->done ? "" : " (not met)");
    }
}
