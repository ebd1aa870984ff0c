/* The simulator's command line; --help says what it does. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct totals { /* shared by the jobs */
    struct sim_coverage coverage;
    uint64_t ok, refused, failed, next, first_failed;
};

static struct sim *sim_new(void)
{
    return tagd_xcalloc(1, sizeof(struct sim));
}

static void print_failure(struct sim *sim, const struct sim_options *options)
{
    struct sim_coverage coverage = {0};
    struct sim_options with = *options;
    with.trace = false;
    sim_run(sim, &with, &coverage);
    printf("seed %llu: %s\n", (unsigned long long)options->seed, sim->failure);
}

/* Again, with a trace of the last lines. */
static void print_trace(struct sim *sim, const struct sim_options *options)
{
    struct sim_coverage coverage = {0};
    sim_run(sim, options, &coverage);
    size_t n = sim->n_trace < SIM_TRACE_LINES ? sim->n_trace : SIM_TRACE_LINES;
    for (size_t i = sim->n_trace - n; i < sim->n_trace; i++)
        printf("  %s\n", sim->trace[i % SIM_TRACE_LINES]);
}

int main(int argc, char **argv)
{
    struct sim *sim = sim_new();
    struct sim_options options = {0};
    struct sim_coverage coverage = {0};
    uint64_t from = 0, to = 100, failed = 0, refused = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            options.trace = true;
        else if (strcmp(argv[i], "--seed") == 0)
            from = strtoull(argv[++i], NULL, 10), to = from + 1;
        else if (strcmp(argv[i], "--seeds") == 0)
            sscanf(argv[++i], "%lu:%lu", &from, &to);
    }
    for (uint64_t seed = from; seed < to; seed++) {
        options.seed = seed;
        enum sim_result result = sim_run(sim, &options, &coverage);
        refused += result == SIM_RIGHTLY_REFUSED;
        if (result == SIM_RIGHTLY_REFUSED && getenv("REFUSED"))
            printf("refused %lu: %s\n", seed, sim->refusal);
        if (result == SIM_FAILED) {
            failed++;
            printf("seed %lu: %s\n", seed, sim->failure);
        }
    }
    (void)print_failure, (void)print_trace;
    printf("%lu failed, %lu refused; repairs begun %lu ended %lu changes %lu letters %lu submits %lu steps %lu\n",
           failed, refused, coverage.repairs_begun, coverage.repairs, coverage.changes, coverage.letters,
           coverage.submits, coverage.steps);
    return failed != 0;
}
