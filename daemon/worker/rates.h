/* rates: how many changes of each dimension were told within the last minute, against what is believed. */
#ifndef TAGD_WORKER_RATES_H
#define TAGD_WORKER_RATES_H

#include "tagd/base.h"

#define TAGD_RATES_SECONDS 60

struct tagd_rates;
/* most: by dimension, 0: not counted. Copied. */
struct tagd_rates *tagd_rates_new(const uint32_t *most, size_t n_dimensions);
void tagd_rates_free(struct tagd_rates *rates); /* NULL is fine */
/* n more changes of a dimension at an instant of the monotonic clock, not before the last one's. */
void tagd_rates_add(struct tagd_rates *rates, size_t dimension, uint32_t n, int64_t mono_ms);
/* The dimension with more changes than its part of what is believed, `ours` shards of `all`, at least 1; -1: none.
 * *changes: how many. */
int64_t tagd_rates_over(const struct tagd_rates *rates, size_t ours, size_t all, int64_t mono_ms, uint32_t *changes);
void tagd_rates_forget(struct tagd_rates *rates);

#endif
