/* The simulator's command line. Jobs are processes: each takes some seeds at a time and adds what it counted. */
#include "report.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOME 100        /* seeds that a job takes at once */
#define ROUND 100000    /* seeds between two writes of the state */
#define FAILURES_MAX 20 /* shown */

static const char usage[] =
    "usage: sim [--seeds A:B] [--jobs N] [--state FILE]   runs seeds A to B-1; FILE: goes on where it stopped\n"
    "       sim --seeds A:B --first [--jobs N]            the same, up to the first that fails\n"
    "       sim --seed N [--trace] [--shrink]             one seed: what happens; the least that still fails\n"
    "       sim --sweep N [--jobs N]                      N scenarios, a death at every stage of every operation\n";

struct shared {
    uint64_t next, ok, refused, failed, shown;
    bool first; /* no further than the first that fails */
};

static struct sim *sim_new(void)
{
    return tagd_xcalloc(1, sizeof(struct sim));
}

/* ---- a failure ---- */

static void print_trace(const struct sim *sim)
{
    size_t n = sim->n_trace < SIM_TRACE_LINES ? sim->n_trace : SIM_TRACE_LINES;
    for (size_t i = sim->n_trace - n; i < sim->n_trace; i++)
        printf("    %s\n", sim->trace[i % SIM_TRACE_LINES]);
}

static void show_failure(struct sim *sim, const struct sim_options *options)
{
    struct sim_coverage coverage = {0};
    struct sim_options with = *options;
    with.keep_trace = true;
    sim_run(sim, &with, &coverage);
    printf("seed %" PRIu64 " failed", options->seed);
    if (options->crash_stage != 0)
        printf(" (a death %s stage %" PRIu64 ", back after %" PRId64 " ms)", options->crash_after ? "after" : "before",
               options->crash_stage, options->crash_gone_ms);
    printf(": %s\n", sim->failure);
    print_trace(sim);
    fflush(stdout);
}

static bool fails(struct sim *sim, const struct sim_options *options)
{
    struct sim_coverage coverage = {0};
    return sim_run(sim, options, &coverage) == SIM_FAILED;
}

/* Drops faults and events one by one as long as it still fails. */
static void shrink(struct sim *sim, struct sim_options *options)
{
    bool less = true;
    while (less) {
        less = false;
        for (uint32_t i = 0; i < SIM_FAULTS_MAX; i++) {
            struct sim_options with = *options;
            with.drop_faults |= 1u << i;
            if (with.drop_faults == options->drop_faults || !fails(sim, &with))
                continue;
            *options = with;
            less = i < sim->plan.n_faults || less;
        }
        for (size_t i = SIM_EVENTS_MAX; i-- > 0;) {
            struct sim_options with = *options;
            with.drop_events[i] = true;
            if (options->drop_events[i] || !fails(sim, &with))
                continue;
            *options = with;
            less = i < sim->plan.n_events || less;
        }
    }
}

static int run_one(struct sim_options *options, bool shrinks)
{
    struct sim *sim = sim_new();
    struct sim_coverage coverage = {0};
    if (shrinks && fails(sim, options)) {
        shrink(sim, options);
        options->trace = true;
    }
    enum sim_result result = sim_run(sim, options, &coverage);
    report_plan(sim);
    printf("seed %" PRIu64 ": %s\n", options->seed,
           result == SIM_OK       ? "all is as it should be"
           : result == SIM_FAILED ? sim->failure
                                  : sim->refusal);
    return result == SIM_FAILED;
}

/* ---- many ---- */

static void job(struct shared *shared, struct sim_coverage *coverage, uint64_t to)
{
    struct sim *sim = sim_new();
    for (;;) {
        uint64_t from = __atomic_fetch_add(&shared->next, SOME, __ATOMIC_SEQ_CST);
        if (from >= to)
            return;
        for (uint64_t seed = from; seed < to && seed < from + SOME; seed++) {
            if (shared->first && __atomic_load_n(&shared->failed, __ATOMIC_SEQ_CST) > 0)
                return;
            struct sim_options options = {.seed = seed};
            enum sim_result result = sim_run(sim, &options, coverage);
            __atomic_add_fetch(result == SIM_OK       ? &shared->ok
                               : result == SIM_FAILED ? &shared->failed
                                                      : &shared->refused,
                               1, __ATOMIC_SEQ_CST);
            if (result == SIM_FAILED && __atomic_add_fetch(&shared->shown, 1, __ATOMIC_SEQ_CST) <= FAILURES_MAX)
                show_failure(sim, &options);
        }
    }
}

static void *shared_new(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

/* True: no job died. */
static bool run_jobs(struct shared *shared, struct sim_coverage *coverages, unsigned jobs, uint64_t to,
                     void (*run)(struct shared *shared, struct sim_coverage *coverage, uint64_t to))
{
    bool ok = true;
    fflush(stdout);
    for (unsigned i = 0; i < jobs; i++) {
        pid_t pid = fork();
        if (pid < 0)
            abort();
        if (pid > 0)
            continue;
        run(shared, &coverages[i], to);
        fflush(stdout);
        _exit(0);
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status;
        ok = wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && ok;
    }
    return ok;
}

static void read_state(const char *path, struct shared *shared, struct sim_coverage *total)
{
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    if (file == NULL)
        return;
    if (fread(shared, sizeof(*shared), 1, file) != 1 || fread(total, sizeof(*total), 1, file) != 1) {
        fprintf(stderr, "%s is no state of this simulator; delete it to begin anew\n", path);
        exit(65);
    }
    fclose(file);
}

static void write_state(const char *path, const struct shared *shared, const struct sim_coverage *total)
{
    FILE *file = path == NULL ? NULL : fopen(path, "wb");
    if (file == NULL)
        return;
    fwrite(shared, sizeof(*shared), 1, file);
    fwrite(total, sizeof(*total), 1, file);
    fclose(file);
}

static int run_seeds(uint64_t from, uint64_t to, unsigned jobs, const char *state, bool first)
{
    struct shared *shared = shared_new(sizeof(*shared));
    struct sim_coverage *coverages = shared_new(jobs * sizeof(*coverages)), total = {0};
    bool alive = true;
    shared->next = from;
    shared->first = first;
    read_state(state, shared, &total);
    while (shared->next < to && alive && !(first && shared->failed > 0)) {
        uint64_t round_end = shared->next + ROUND < to ? shared->next + ROUND : to;
        alive = run_jobs(shared, coverages, jobs, round_end, job);
        for (unsigned i = 0; i < jobs; i++)
            report_add(&total, &coverages[i]);
        memset(coverages, 0, jobs * sizeof(*coverages));
        shared->next = round_end;
        write_state(state, shared, &total);
    }
    bool covered = first || report_coverage(&total);
    printf("%" PRIu64 " seeds: %" PRIu64 " as they should be, %" PRIu64 " rightly refused, %" PRIu64 " failed%s\n",
           total.seeds, shared->ok, shared->refused, shared->failed, alive ? "" : "; a job died");
    return shared->failed > 0 || !alive || !covered;
}

/* ---- the sweep ---- */

static void sweep_scenario(struct sim *sim, struct shared *shared, struct sim_coverage *coverage, uint64_t seed)
{
    struct sim_options options = {.seed = seed, .scenario = true};
    if (sim_run(sim, &options, coverage) == SIM_FAILED) {
        __atomic_add_fetch(&shared->failed, 1, __ATOMIC_SEQ_CST);
        show_failure(sim, &options);
        return;
    }
    uint64_t stages = sim->stages;
    __atomic_add_fetch(&shared->refused, stages, __ATOMIC_SEQ_CST);
    for (uint64_t i = 0; i < 4 * stages; i++) {
        options.crash_stage = i / 4 + 1;
        options.crash_after = i & 1;
        options.crash_gone_ms = i & 2 ? SIM_SESSION_MS + 4000 : 300; /* another takes over; or it is back before */
        bool ok = sim_run(sim, &options, coverage) == SIM_OK;
        __atomic_add_fetch(ok ? &shared->ok : &shared->failed, 1, __ATOMIC_SEQ_CST);
        if (!ok && __atomic_add_fetch(&shared->shown, 1, __ATOMIC_SEQ_CST) <= FAILURES_MAX)
            show_failure(sim, &options);
    }
}

static void sweep_job(struct shared *shared, struct sim_coverage *coverage, uint64_t to)
{
    struct sim *sim = sim_new();
    for (uint64_t seed; (seed = __atomic_fetch_add(&shared->next, 1, __ATOMIC_SEQ_CST)) < to;)
        sweep_scenario(sim, shared, coverage, seed);
}

static int sweep(uint64_t scenarios, unsigned jobs)
{
    struct shared *shared = shared_new(sizeof(*shared));
    struct sim_coverage *coverages = shared_new(jobs * sizeof(*coverages)), total = {0};
    bool alive = run_jobs(shared, coverages, jobs, scenarios, sweep_job);
    uint64_t changes = 0;
    for (unsigned i = 0; i < jobs; i++)
        report_add(&total, &coverages[i]);
    for (unsigned kind = 0; kind < TAGD_KINDS; kind++)
        changes += total.changes[kind];
    printf("sweep: %" PRIu64 " scenarios, %" PRIu64 " stages of operations; %" PRIu64
           " deaths before and after them, %" PRIu64 " compared as equal, %" PRIu64 " not; %" PRIu64
           " changes and %" PRIu64 " views compared%s\n",
           scenarios, shared->refused, shared->ok + shared->failed, shared->ok, shared->failed, changes,
           total.view_checks, alive ? "" : "; a job died");
    return shared->failed > 0 || !alive;
}

int main(int argc, char **argv)
{
    struct sim_options options = {0};
    uint64_t from = 0, to = 10000, scenarios = 0;
    unsigned jobs = 1;
    bool one = false, shrinks = false, first = false;
    const char *state = NULL;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        int known = 1;
        if (strcmp(argv[i], "--trace") == 0)
            options.trace = true;
        else if (strcmp(argv[i], "--shrink") == 0)
            shrinks = true;
        else if (strcmp(argv[i], "--first") == 0)
            first = true;
        else if (strcmp(argv[i], "--seed") == 0)
            known = one = sscanf(value, "%" SCNu64, &options.seed) == 1, i++;
        else if (strcmp(argv[i], "--seeds") == 0)
            known = sscanf(value, "%" SCNu64 ":%" SCNu64, &from, &to) == 2, i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            known = sscanf(value, "%u", &jobs) == 1 && jobs > 0, i++;
        else if (strcmp(argv[i], "--sweep") == 0)
            known = sscanf(value, "%" SCNu64, &scenarios) == 1, i++;
        else if (strcmp(argv[i], "--state") == 0)
            state = value, i++;
        else
            known = 0;
        if (!known) {
            fputs(usage, stderr);
            return 64;
        }
    }
    if (one)
        return run_one(&options, shrinks);
    return scenarios > 0 ? sweep(scenarios, jobs) : run_seeds(from, to, jobs, state, first);
}
