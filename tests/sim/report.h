/* report: what was counted over all seeds, as a table, and whether nothing that must happen was left out. */
#ifndef TAGD_SIM_REPORT_H
#define TAGD_SIM_REPORT_H

#include "sim.h"

void report_add(struct sim_coverage *to, const struct sim_coverage *from);
/* Prints the table. False: something that counts has happened less often than it must in so many seeds. */
bool report_coverage(const struct sim_coverage *coverage);
/* The configuration and the faults of a run. */
void report_plan(const struct sim *sim);

#endif
