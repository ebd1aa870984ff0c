#include "check.h"
#include "tagd/model.h"

#include <math.h>

#define T0 INT64_C(1700000000000)
#define WEEK TAGD_MODEL_WEEK

/* Fader, Hardie, Lee (2005), table 2; and MBG/NBD as fitted to the same customers. */
static const struct tagd_churn_model paper = {TAGD_BG_NBD, 0.243, 4.414, 0.793, 2.426};
static const struct tagd_churn_model modified = {TAGD_MBG_NBD, 0.525, 6.183, 0.891, 1.614};

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}
static double uniform(double from, double to)
{
    return from + (to - from) * (double)(next_random() >> 11) / 0x1p53;
}
/* Between two positive numbers, evenly by their logarithms. */
static double scaled(double from, double to)
{
    return fmin(fmax(exp(uniform(log(from), log(to))), from), to);
}

static struct tagd_churn_model random_model(enum tagd_model_kind kind, bool extreme)
{
    double least = extreme ? TAGD_MODEL_PARAMETER_MIN : 0.02, most = extreme ? TAGD_MODEL_PARAMETER_MAX : 50;
    return (struct tagd_churn_model){kind, scaled(least, most), scaled(least, most), scaled(least, most),
                                     scaled(least, most)};
}

static struct tagd_purchases random_purchases(enum tagd_model_kind kind, uint32_t most_x)
{
    uint32_t least = kind == TAGD_BG_NBD ? 1 : 0;
    struct tagd_purchases purchases = {.x = least + (uint32_t)(next_random() % (most_x - least + 1))};
    purchases.last_ms = T0 + (int64_t)(next_random() % (uint64_t)WEEK);
    purchases.first_ms = purchases.last_ms - (purchases.x ? (int64_t)scaled(1, 1000.0 * (double)WEEK) : 0);
    return purchases;
}

/* ---- P(alive) ---- */

static void p_alive_of_the_papers_customer_is_0_72658(void)
{
    double p = tagd_model_p_alive(&paper, 2, 30.43, 38.86);
    CHECK(fabs(p - 0.72658) < 5e-6);
    struct tagd_purchases purchases = {2, T0, T0 + 213 * (int64_t)TAGD_MS_DAY}; /* 30.43 weeks */
    CHECK(fabs(tagd_model_p_alive_at(&paper, &purchases, T0 + 272 * (int64_t)TAGD_MS_DAY) - p) < 1e-4);
}

static void p_alive_equals_the_formula_as_it_is_written(void)
{
    for (int i = 0; i < 200000; i++) {
        enum tagd_model_kind kind = i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD;
        struct tagd_churn_model m = random_model(kind, false);
        uint32_t x = (uint32_t)(next_random() % 20) + (kind == TAGD_BG_NBD);
        double t_x = x ? scaled(0.01, 200) : 0, T = t_x + scaled(0.001, 200);
        double stayed = m.b + (double)x - (kind == TAGD_BG_NBD);
        double plain = 1 / (1 + m.a / stayed * pow((m.alpha + T) / (m.alpha + t_x), m.r + (double)x));
        CHECK(fabs(tagd_model_p_alive(&m, x, t_x, T) - plain) < 1e-12);
    }
}

static void bg_nbd_says_nothing_of_a_first_purchase_and_mbg_nbd_does(void)
{
    struct tagd_purchases once = {0, T0, T0};
    CHECK(!tagd_model_speaks(&paper, 0) && tagd_model_speaks(&paper, 1) && tagd_model_speaks(&modified, 0));
    CHECK(isnan(tagd_model_p_alive(&paper, 0, 0, 30)));
    CHECK(isnan(tagd_model_p_alive_at(&paper, &once, T0 + 30 * WEEK)));
    CHECK(tagd_model_below_ms(&paper, &once, 0.5) == TAGD_NEVER);
    CHECK(tagd_model_at_most_ms(&paper, &once, 1) == TAGD_NEVER);
    double p = tagd_model_p_alive_at(&modified, &once, T0 + 30 * WEEK);
    CHECK(fabs(p - 1 / (1 + 0.891 / 1.614 * pow((6.183 + 30) / 6.183, 0.525))) < 1e-12);
}

static void any_instant_may_be_asked_for(void)
{
    struct tagd_purchases purchases = {3, TAGD_TIME_MIN, T0}, latest = {3, T0, TAGD_TIME_MAX};
    double end = tagd_model_p_alive_at(&paper, &purchases, TAGD_TIME_MAX);
    CHECK(tagd_model_p_alive_at(&paper, &purchases, TAGD_NEVER) == end);
    CHECK(tagd_model_p_alive_at(&paper, &purchases, INT64_MIN) == tagd_model_p_alive_at(&paper, &purchases, T0));
    CHECK(tagd_model_p_alive_at(&paper, &latest, TAGD_NEVER) == tagd_model_p_alive_at(&paper, &latest, T0));
}

static void before_the_last_purchase_is_as_at_it(void)
{
    struct tagd_purchases purchases = {3, T0, T0 + 5 * WEEK};
    double p = tagd_model_p_alive_at(&paper, &purchases, purchases.last_ms);
    CHECK(fabs(p - 1 / (1 + 0.793 / (2.426 + 2))) < 1e-12);
    CHECK(tagd_model_p_alive_at(&paper, &purchases, T0) == p);
}

static void two_purchases_on_the_first_day_count_from_the_later_one(void)
{
    struct tagd_purchases purchases = {0, T0, T0 + 3600000};
    double hour = 1.0 / 168;
    double p = tagd_model_p_alive_at(&modified, &purchases, T0 + 10 * WEEK);
    CHECK(fabs(p - 1 / (1 + 0.891 / 1.614 * pow((6.183 + 10) / (6.183 + hour), 0.525))) < 1e-12);
}

static void nothing_overflows_at_the_extremes(void)
{
    const double ends[] = {TAGD_MODEL_PARAMETER_MIN, 1, TAGD_MODEL_PARAMETER_MAX};
    const uint32_t xs[] = {1, 500, 3652424};
    for (size_t i = 0; i < 81 * 2; i++) {
        struct tagd_churn_model m = {i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD, ends[i / 2 % 3], ends[i / 6 % 3],
                                     ends[i / 18 % 3], ends[i / 54]};
        CHECK(tagd_model_check(&m, NULL));
        for (size_t j = 0; j < 3; j++) {
            struct tagd_purchases purchases = {xs[j], TAGD_TIME_MIN, T0};
            double first = tagd_model_p_alive_at(&m, &purchases, T0);
            double last = tagd_model_p_alive_at(&m, &purchases, TAGD_TIME_MAX);
            CHECK(first <= 1 && last > 0 && last <= first);
            purchases.last_ms = purchases.first_ms;
            first = tagd_model_p_alive_at(&m, &purchases, purchases.first_ms);
            last = tagd_model_p_alive_at(&m, &purchases, TAGD_TIME_MAX);
            CHECK(first <= 1 && last > 0 && last <= first);
        }
    }
}

/* Every millisecond of stretches behind each other, longer and longer silences of every scale. */
static void never_rising(const struct tagd_churn_model *m, const struct tagd_purchases *purchases)
{
    double before = 1;
    int64_t at = purchases->last_ms;
    for (int64_t stretch = 1; stretch < TAGD_MODEL_SILENCE_MAX * 2; stretch *= 3) {
        for (int i = 0; i < 40; i++) {
            double p = tagd_model_p_alive_at(m, purchases, at + i);
            CHECK(p > 0 && p <= before);
            before = p;
        }
        at += stretch + 40;
    }
}

static void p_alive_never_rises_from_one_millisecond_to_the_next(void)
{
    for (int i = 0; i < 4000; i++) {
        enum tagd_model_kind kind = i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD;
        struct tagd_churn_model m = random_model(kind, i % 4 < 2);
        struct tagd_purchases purchases = random_purchases(kind, i % 3 ? 5 : 500);
        never_rising(&m, &purchases);
    }
    for (int i = 0; i < 2000; i++) { /* where the last place is most at risk: a level of z near 0, and a steep start */
        struct tagd_churn_model m = {i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD, scaled(TAGD_MODEL_PARAMETER_MIN, 0.01),
                                     i % 4 < 2 ? TAGD_MODEL_PARAMETER_MIN : TAGD_MODEL_PARAMETER_MAX, 1, 1};
        struct tagd_purchases purchases = random_purchases(m.kind, 1);
        never_rising(&m, &purchases);
    }
}

static void a_silence_of_a_thousand_years_is_as_long_as_any(void)
{
    struct tagd_purchases purchases = {1, T0, T0};
    double p = tagd_model_p_alive_at(&paper, &purchases, T0 + TAGD_MODEL_SILENCE_MAX);
    CHECK(tagd_model_p_alive_at(&paper, &purchases, T0 + TAGD_MODEL_SILENCE_MAX - 1000) > p);
    CHECK(tagd_model_p_alive_at(&paper, &purchases, T0 + TAGD_MODEL_SILENCE_MAX + 1) == p);
    CHECK(tagd_model_p_alive_at(&paper, &purchases, TAGD_TIME_MAX) == p);
    CHECK(tagd_model_at_most_ms(&paper, &purchases, p) <= T0 + TAGD_MODEL_SILENCE_MAX);
    CHECK(tagd_model_below_ms(&paper, &purchases, p) == TAGD_NEVER);
}

/* ---- crossing ---- */

/* By definition, knowing nothing of the closed form. */
static int64_t bisected(const struct tagd_churn_model *m, const struct tagd_purchases *purchases, double level,
                        bool at_most)
{
    int64_t before = purchases->last_ms - 1, after = TAGD_TIME_MAX + 1;
    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;
        double p = tagd_model_p_alive_at(m, purchases, middle);
        if (at_most ? p <= level : p < level)
            after = middle;
        else
            before = middle;
    }
    return after > TAGD_TIME_MAX ? TAGD_NEVER : after;
}

static void the_crossing_is_what_bisection_finds(void)
{
    int in_time = 0, compared = 0;
    for (int i = 0; i < 200000; i++) {
        enum tagd_model_kind kind = i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD;
        struct tagd_churn_model m = random_model(kind, i % 10 == 0);
        struct tagd_purchases purchases = random_purchases(kind, i % 3 ? 10 : 500);
        double level = uniform(0.01, 0.99);
        int64_t below = tagd_model_below_ms(&m, &purchases, level),
                at_most = tagd_model_at_most_ms(&m, &purchases, level);
        CHECK(below == bisected(&m, &purchases, level, false) && at_most == bisected(&m, &purchases, level, true));
        CHECK(at_most <= below);
        compared += 2;
        if (below == TAGD_NEVER || below == purchases.last_ms)
            continue;
        in_time++;
        CHECK(tagd_model_p_alive_at(&m, &purchases, below) < level);
        CHECK(tagd_model_p_alive_at(&m, &purchases, below - 1) >= level);
        CHECK(at_most == purchases.last_ms || tagd_model_p_alive_at(&m, &purchases, at_most - 1) > level);
    }
    CHECK(in_time > 100000);
    printf("%d crossings equal to bisection, %d of them within reach\n", compared, 2 * in_time);
}

static void the_crossing_is_the_closed_form_to_the_millisecond(void)
{
    int exact = 0;
    for (int i = 0; i < 20000; i++) {
        enum tagd_model_kind kind = i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD;
        struct tagd_churn_model m = {kind, uniform(0.2, 3), uniform(2, 10), uniform(0.3, 2), uniform(1, 5)};
        struct tagd_purchases purchases = random_purchases(kind, 30);
        double level = uniform(0.05, 0.7), stayed = m.b + purchases.x - (kind == TAGD_BG_NBD);
        long double t_x = (long double)(purchases.last_ms - purchases.first_ms) / WEEK;
        long double T = (m.alpha + t_x) * powl((1 - (long double)level) / level * stayed / m.a,
                                               1 / (m.r + (long double)purchases.x)) -
                        m.alpha;
        if (T <= t_x || T > 500)
            continue;
        int64_t closed = purchases.first_ms + (int64_t)ceill(T * WEEK);
        CHECK(llabs(tagd_model_below_ms(&m, &purchases, level) - closed) <= 1);
        exact += tagd_model_below_ms(&m, &purchases, level) == closed;
    }
    CHECK(exact > 9000);
}

static void a_level_that_p_alive_stands_on_is_not_below_it(void)
{
    for (int i = 0; i < 10000; i++) {
        struct tagd_purchases purchases = random_purchases(TAGD_BG_NBD, 20);
        int64_t now = purchases.last_ms + (int64_t)scaled(1, 100.0 * (double)WEEK);
        double level = tagd_model_p_alive_at(&paper, &purchases, now);
        CHECK(tagd_model_at_most_ms(&paper, &purchases, level) <= now);
        CHECK(tagd_model_below_ms(&paper, &purchases, level) > now);
    }
}

static void levels_that_no_probability_has_are_answered_too(void)
{
    struct tagd_purchases purchases = {4, T0, T0 + 20 * WEEK};
    CHECK(tagd_model_below_ms(&paper, &purchases, 0) == TAGD_NEVER);
    CHECK(tagd_model_at_most_ms(&paper, &purchases, 0) == TAGD_NEVER);
    CHECK(tagd_model_below_ms(&paper, &purchases, -1) == TAGD_NEVER);
    CHECK(tagd_model_at_most_ms(&paper, &purchases, -INFINITY) == TAGD_NEVER);
    CHECK(tagd_model_below_ms(&paper, &purchases, NAN) == TAGD_NEVER);
    CHECK(tagd_model_below_ms(&paper, &purchases, 1) == purchases.last_ms);
    CHECK(tagd_model_at_most_ms(&paper, &purchases, 1) == purchases.last_ms);
    CHECK(tagd_model_below_ms(&paper, &purchases, 2) == purchases.last_ms);
    CHECK(tagd_model_below_ms(&paper, &purchases, INFINITY) == purchases.last_ms);
    struct tagd_churn_model loyal = {TAGD_MBG_NBD, 1, 1, TAGD_MODEL_PARAMETER_MIN, TAGD_MODEL_PARAMETER_MAX};
    struct tagd_purchases years = {3000000, TAGD_TIME_MIN, T0}; /* 1 as far as a double shows */
    CHECK(tagd_model_p_alive_at(&loyal, &years, T0) < 1 && tagd_model_below_ms(&loyal, &years, 1) == T0);
}

static void a_crossing_past_the_end_of_time_never_comes(void)
{
    struct tagd_purchases late = {2, TAGD_TIME_MAX - 10 * WEEK, TAGD_TIME_MAX - WEEK};
    int64_t at = tagd_model_below_ms(&paper, &late, 0.8);
    CHECK(at == TAGD_NEVER || at <= TAGD_TIME_MAX);
    CHECK(tagd_model_below_ms(&paper, &late, 0.1) == TAGD_NEVER);
    double end = tagd_model_p_alive_at(&paper, &late, TAGD_TIME_MAX);
    CHECK(tagd_model_at_most_ms(&paper, &late, end) <= TAGD_TIME_MAX);
    CHECK(tagd_model_below_ms(&paper, &late, end) == TAGD_NEVER);
}

/* ---- parameters ---- */

static void a_parameter_out_of_range_is_named(void)
{
    struct tagd_error error;
    struct tagd_churn_model m = paper;
    CHECK(tagd_model_check(&m, &error));
    m.r = TAGD_MODEL_PARAMETER_MIN, m.alpha = TAGD_MODEL_PARAMETER_MAX;
    CHECK(tagd_model_check(&m, &error));
    m.r = nextafter(TAGD_MODEL_PARAMETER_MIN, 0);
    CHECK(!tagd_model_check(&m, &error) &&
          strcmp(error.text, "r is 0.0001: expected a number from 0.0001 to 1e+06") == 0);
    m = paper, m.alpha = nextafter(TAGD_MODEL_PARAMETER_MAX, INFINITY);
    CHECK(!tagd_model_check(&m, &error) && strncmp(error.text, "alpha ", 6) == 0);
    m = paper, m.a = -0.1;
    CHECK(!tagd_model_check(&m, &error) &&
          strcmp(error.text, "a is -0.1: expected a number from 0.0001 to 1e+06") == 0);
    m = paper, m.b = NAN;
    CHECK(!tagd_model_check(&m, &error) && strncmp(error.text, "b ", 2) == 0);
}

static void kinds_have_names(void)
{
    enum tagd_model_kind kind;
    CHECK(tagd_model_kind_parse(TAGD_STR("bg-nbd"), &kind) && kind == TAGD_BG_NBD);
    CHECK(tagd_model_kind_parse(TAGD_STR("mbg-nbd"), &kind) && kind == TAGD_MBG_NBD);
    CHECK(!tagd_model_kind_parse(TAGD_STR("BG-NBD"), &kind) && !tagd_model_kind_parse(TAGD_STR(""), &kind));
    CHECK(strcmp(tagd_model_kind_name(TAGD_MBG_NBD), "mbg-nbd") == 0);
}

/* ---- likelihood ---- */

/* Equation 6 of 2005, and its like of 2007, as they are written. */
static double plain_log_likelihood(const struct tagd_churn_model *m, uint32_t count, double t_x, double T)
{
    double x = count, k = m->kind == TAGD_BG_NBD ? 0 : 1;
    double gammas = lgamma(m->r + x) - lgamma(m->r) + m->r * log(m->alpha);
    double whole = lgamma(m->a) + lgamma(m->b) - lgamma(m->a + m->b);
    double stays = lgamma(m->a) + lgamma(m->b + x + k) - lgamma(m->a + m->b + x + k) - whole;
    double sum = exp(stays) * pow(m->alpha + T, -(m->r + x));
    if (count > 0 || k == 1)
        sum += exp(lgamma(m->a + 1) + lgamma(m->b + x + k - 1) - lgamma(m->a + m->b + x + k) - whole) *
               pow(m->alpha + t_x, -(m->r + x));
    return gammas + log(sum);
}

static void the_likelihood_equals_the_papers_formula(void)
{
    for (int i = 0; i < 50000; i++) {
        struct tagd_churn_model m = random_model(i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD, false);
        uint32_t x = (uint32_t)(next_random() % 12);
        double t_x = x ? scaled(0.1, 100) : 0;
        struct tagd_model_group group = {x, t_x, t_x + scaled(0.1, 100), 1};
        double plain = plain_log_likelihood(&m, x, t_x, group.T), ours = tagd_model_log_likelihood(&m, &group, 1, NULL);
        CHECK(fabs(ours - plain) < 1e-9 * (1 + fabs(plain)));
    }
}

static void groups_add_up(void)
{
    struct tagd_model_group groups[] = {{0, 0, 12, 3}, {0, 0, 30, 1}, {1, 5, 12, 2}, {7, 20, 21, 1}, {7, 3, 40, 4}};
    for (int kind = TAGD_BG_NBD; kind <= TAGD_MBG_NBD; kind++) {
        struct tagd_churn_model m = random_model((enum tagd_model_kind)kind, false);
        double sum = 0;
        for (size_t i = 0; i < 5; i++) {
            struct tagd_model_group one = groups[i];
            one.n = 1;
            sum += groups[i].n * tagd_model_log_likelihood(&m, &one, 1, NULL);
        }
        CHECK(fabs(tagd_model_log_likelihood(&m, groups, 5, NULL) - sum) < 1e-9);
    }
}

static void the_gradient_is_the_likelihoods_slope(void)
{
    for (int i = 0; i < 2000; i++) {
        struct tagd_churn_model m = random_model(i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD, false);
        uint32_t x = (uint32_t)(next_random() % 12);
        double t_x = x ? scaled(0.1, 100) : 0, gradient[4];
        struct tagd_model_group groups[] = {{0, 0, 10, 2}, {x, t_x, t_x + scaled(0.1, 100), 1}};
        tagd_model_log_likelihood(&m, groups, 2, gradient);
        double *const parameters[] = {&m.r, &m.alpha, &m.a, &m.b};
        for (size_t j = 0; j < 4; j++) {
            double at = *parameters[j], h = at * 1e-5;
            *parameters[j] = at + h;
            double up = tagd_model_log_likelihood(&m, groups, 2, NULL);
            *parameters[j] = at - h;
            double down = tagd_model_log_likelihood(&m, groups, 2, NULL);
            *parameters[j] = at;
            double slope = (up - down) / (2 * h);
            CHECK(fabs(gradient[j] - slope) < 1e-6 * (1 / at + fabs(slope)));
        }
    }
}

/* ---- counts ---- */

/* One customer after the models' story, told by the random numbers. */
static uint32_t simulated(const struct tagd_churn_model *m, double t)
{
    double rate = 0, p;
    for (int i = 0; i < (int)m->r; i++) /* whole r, a and b: sums and quotients of exponentials */
        rate -= log(uniform(0, 1)) / m->alpha;
    double stay = 0, leave = 0;
    for (int i = 0; i < (int)m->a; i++)
        leave -= log(uniform(0, 1));
    for (int i = 0; i < (int)m->b; i++)
        stay -= log(uniform(0, 1));
    p = leave / (leave + stay);
    uint32_t x = 0;
    if (m->kind == TAGD_MBG_NBD && uniform(0, 1) < p)
        return 0;
    for (double at = -log(uniform(0, 1)) / rate; at < t; at -= log(uniform(0, 1)) / rate) {
        x++;
        if (uniform(0, 1) < p)
            break;
    }
    return x;
}

static void counts_are_those_of_simulated_customers(void)
{
    for (int kind = TAGD_BG_NBD; kind <= TAGD_MBG_NBD; kind++) {
        struct tagd_churn_model m = {(enum tagd_model_kind)kind, 2, 8, 1, 3};
        double p[12], found[12] = {0}, sum = 0;
        int n = 400000;
        tagd_model_counts(&m, 20, 12, p);
        for (int i = 0; i < n; i++) {
            uint32_t x = simulated(&m, 20);
            if (x < 12)
                found[x] += 1.0 / n;
        }
        for (size_t k = 0; k < 12; k++) {
            CHECK(fabs(found[k] - p[k]) < 5 * sqrt(p[k] * (1 - p[k]) / n));
            sum += p[k];
        }
        CHECK(sum < 1);
    }
}

static void counts_add_up_to_one(void)
{
    static double p[20000];
    for (int i = 0; i < 40; i++) {
        struct tagd_churn_model m = {i % 2 ? TAGD_BG_NBD : TAGD_MBG_NBD, scaled(0.1, 5), scaled(1, 20), scaled(0.1, 5),
                                     scaled(0.1, 5)};
        double sum = 0;
        tagd_model_counts(&m, uniform(0, 100), 20000, p);
        for (size_t k = 0; k < 20000; k++)
            sum += p[k];
        CHECK(fabs(sum - 1) < 1e-9);
    }
    tagd_model_counts(&paper, 0, 3, p);
    CHECK(p[0] == 1 && p[1] == 0 && p[2] == 0);
}

int main(void)
{
    RUN(p_alive_of_the_papers_customer_is_0_72658);
    RUN(p_alive_equals_the_formula_as_it_is_written);
    RUN(bg_nbd_says_nothing_of_a_first_purchase_and_mbg_nbd_does);
    RUN(any_instant_may_be_asked_for);
    RUN(before_the_last_purchase_is_as_at_it);
    RUN(two_purchases_on_the_first_day_count_from_the_later_one);
    RUN(nothing_overflows_at_the_extremes);
    RUN(p_alive_never_rises_from_one_millisecond_to_the_next);
    RUN(a_silence_of_a_thousand_years_is_as_long_as_any);
    RUN(the_crossing_is_what_bisection_finds);
    RUN(the_crossing_is_the_closed_form_to_the_millisecond);
    RUN(a_level_that_p_alive_stands_on_is_not_below_it);
    RUN(levels_that_no_probability_has_are_answered_too);
    RUN(a_crossing_past_the_end_of_time_never_comes);
    RUN(a_parameter_out_of_range_is_named);
    RUN(kinds_have_names);
    RUN(the_likelihood_equals_the_papers_formula);
    RUN(groups_add_up);
    RUN(the_gradient_is_the_likelihoods_slope);
    RUN(counts_are_those_of_simulated_customers);
    RUN(counts_add_up_to_one);
    return DONE();
}
