#include "worker/rates.h"

#include <stdlib.h>
#include <string.h>

struct tagd_rate {
    size_t dimension;
    uint32_t most;
    uint32_t counts[TAGD_RATES_SECONDS]; /* by second, */
    int64_t seconds[TAGD_RATES_SECONDS]; /* and which one that is */
};

struct tagd_rates {
    size_t n;
    uint32_t *of; /* by dimension: index + 1; 0: not counted */
    struct tagd_rate rates[];
};

struct tagd_rates *tagd_rates_new(const uint32_t *most, size_t n_dimensions)
{
    size_t n = 0;
    for (size_t d = 0; d < n_dimensions; d++)
        n += most[d] > 0;
    struct tagd_rates *rates = tagd_xcalloc(1, sizeof(*rates) + n * sizeof(rates->rates[0]));
    rates->of = tagd_xcalloc(n_dimensions + 1, sizeof(*rates->of));
    for (size_t d = 0; d < n_dimensions; d++) {
        if (most[d] == 0)
            continue;
        rates->rates[rates->n] = (struct tagd_rate){.dimension = d, .most = most[d]};
        rates->of[d] = (uint32_t)++rates->n;
    }
    return rates;
}

void tagd_rates_free(struct tagd_rates *rates)
{
    if (rates == NULL)
        return;
    free(rates->of);
    free(rates);
}

void tagd_rates_add(struct tagd_rates *rates, size_t dimension, uint32_t n, int64_t mono_ms)
{
    int64_t second = mono_ms / 1000;
    size_t slot = (size_t)(second % TAGD_RATES_SECONDS);
    if (rates->of[dimension] == 0)
        return;
    struct tagd_rate *rate = &rates->rates[rates->of[dimension] - 1];
    if (rate->seconds[slot] != second)
        rate->counts[slot] = 0;
    rate->seconds[slot] = second;
    rate->counts[slot] += n;
}

int64_t tagd_rates_over(const struct tagd_rates *rates, size_t ours, size_t all, int64_t mono_ms, uint32_t *changes)
{
    int64_t second = mono_ms / 1000;
    for (size_t i = 0; i < rates->n; i++) {
        const struct tagd_rate *rate = &rates->rates[i];
        uint64_t most = (uint64_t)rate->most * ours / all, sum = 0;
        for (size_t slot = 0; slot < TAGD_RATES_SECONDS; slot++)
            if (second - rate->seconds[slot] < TAGD_RATES_SECONDS)
                sum += rate->counts[slot];
        if (sum <= (most > 0 ? most : 1))
            continue;
        *changes = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
        return (int64_t)rate->dimension;
    }
    return -1;
}

void tagd_rates_forget(struct tagd_rates *rates)
{
    for (size_t i = 0; i < rates->n; i++)
        memset(rates->rates[i].counts, 0, sizeof(rates->rates[i].counts));
}
