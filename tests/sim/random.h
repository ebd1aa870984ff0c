/* random: one seed decides all. splitmix64: each stream its own state. */
#ifndef TAGD_SIM_RANDOM_H
#define TAGD_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_next(struct sim_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline struct sim_random sim_random_of(uint64_t seed, uint64_t stream)
{
    struct sim_random random = {seed * UINT64_C(0xD1342543DE82EF95) + stream * UINT64_C(0xA0761D6478BD642F)};
    sim_next(&random);
    return random;
}

/* lo to hi, both included */
static inline int64_t sim_between(struct sim_random *random, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(sim_next(random) % (uint64_t)(hi - lo + 1));
}

static inline bool sim_percent(struct sim_random *random, unsigned percent)
{
    return sim_next(random) % 100 < percent;
}

#endif
