#include "tagd/base.h"

const int64_t tagd_histogram_bounds_us[TAGD_HISTOGRAM_BOUNDS] = {
    100,    250,    500,     1000,    2500,    5000,     10000,    25000,    50000,     100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000, 300000000, 3600000000};

void tagd_histogram_add(struct tagd_histogram *histogram, int64_t us)
{
    size_t bucket = 0;
    us = us < 0 ? 0 : us;
    while (bucket < TAGD_HISTOGRAM_BOUNDS && us > tagd_histogram_bounds_us[bucket])
        bucket++;
    __atomic_store_n(&histogram->counts[bucket], histogram->counts[bucket] + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&histogram->sum_us, histogram->sum_us + (uint64_t)us, __ATOMIC_RELAXED);
}
