#include "check.h"
#include "fit/fit.h"

#include <math.h>

static uint64_t seed = 0x9E3779B97F4A7C15u;
static double uniform(void) /* above 0, below 1 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return ((double)(seed >> 12) + 0.5) / 0x1p52;
}
static double exponential(void)
{
    return -log(uniform());
}
/* Marsaglia and Tsang's method, below 1 by a power of a uniform number. */
static double gamma_of(double shape)
{
    if (shape < 1)
        return gamma_of(shape + 1) * pow(uniform(), 1 / shape);
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double normal = sqrt(2 * exponential()) * cos(6.283185307179586 * uniform());
        double v = 1 + c * normal;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(uniform()) < normal * normal / 2 + d - d * v + d * log(v))
            return d * v;
    }
}

#define CUSTOMERS_MAX 20000
static struct tagd_model_group groups[CUSTOMERS_MAX + 4];

static int by_x(const void *a, const void *b)
{
    const struct tagd_model_group *p = a, *q = b;
    return p->x < q->x ? -1 : p->x > q->x;
}

/* One customer after the model's story: a rate, a chance to leave, purchases until they leave or T weeks are over. */
static struct tagd_model_group customer(const struct tagd_churn_model *m, double rate, double leaves, double T)
{
    struct tagd_model_group made = {.T = T, .n = 1};
    bool stays = m->kind == TAGD_BG_NBD || uniform() >= leaves;
    for (double at = exponential() / rate; stays && at < T; at += exponential() / rate) {
        made.x++;
        made.t_x = at;
        stays = uniform() >= leaves;
    }
    return made;
}

/* n customers, those who never came again joined; how many groups. */
static size_t make_customers(const struct tagd_churn_model *m, size_t n)
{
    static const double ages[] = {26, 30, 34, 38};
    struct tagd_model_group once[4] = {{0, 0, 26, 0}, {0, 0, 30, 0}, {0, 0, 34, 0}, {0, 0, 38, 0}};
    size_t n_groups = 4;
    for (size_t i = 0; i < n; i++) {
        double leave = gamma_of(m->a), stay = gamma_of(m->b);
        groups[n_groups] = customer(m, gamma_of(m->r) / m->alpha, leave / (leave + stay), ages[i % 4]);
        if (groups[n_groups].x > 0)
            n_groups++;
        else
            once[i % 4].n++;
    }
    memcpy(groups, once, sizeof once);
    qsort(groups, n_groups, sizeof *groups, by_x);
    return n_groups;
}

static const struct tagd_churn_model truths[] = {{TAGD_BG_NBD, 0.5, 6, 0.8, 2.5},
                                                 {TAGD_MBG_NBD, 0.7, 6, 0.9, 1.6},
                                                 {TAGD_BG_NBD, 2, 8, 1.5, 4},
                                                 {TAGD_MBG_NBD, 1.5, 5, 0.5, 3}};
#define N_TRUTHS (sizeof truths / sizeof *truths)

/* How many standard errors the worst parameter is away from the truth. */
static double farthest(const struct tagd_fit *fit, const struct tagd_churn_model *truth)
{
    const double found[] = {fit->model.r, fit->model.alpha, fit->model.a, fit->model.b};
    const double made[] = {truth->r, truth->alpha, truth->a, truth->b};
    double worst = 0;
    for (size_t i = 0; i < 4; i++)
        worst = fmax(worst, fabs(found[i] - made[i]) / fit->standard_errors[i]);
    return worst;
}

static bool warned(const struct tagd_fit *fit, const char *of)
{
    for (size_t i = 0; i < fit->n_warnings; i++)
        if (strstr(fit->warnings[i], of))
            return true;
    return false;
}

static void a_fit_finds_the_parameters_that_made_the_customers(void)
{
    struct tagd_fit fit;
    for (size_t i = 0; i < N_TRUTHS; i++) {
        size_t n = make_customers(&truths[i], CUSTOMERS_MAX);
        CHECK(tagd_fit_run(truths[i].kind, groups, n, &fit, NULL));
        CHECK(fit.model.kind == truths[i].kind && fit.customers == CUSTOMERS_MAX && fit.n_warnings == 0);
        CHECK(farthest(&fit, &truths[i]) < 4);
        CHECK(fit.log_likelihood >= tagd_model_log_likelihood(&truths[i], groups, n, NULL));
    }
}

static void at_the_fit_the_likelihood_is_level(void)
{
    struct tagd_fit fit;
    for (size_t i = 0; i < 4 * N_TRUTHS; i++) {
        double gradient[4];
        size_t n = make_customers(&truths[i % N_TRUTHS], 1000);
        CHECK(tagd_fit_run(truths[i % N_TRUTHS].kind, groups, n, &fit, NULL));
        tagd_model_log_likelihood(&fit.model, groups, n, gradient);
        const double values[] = {fit.model.r, fit.model.alpha, fit.model.a, fit.model.b};
        for (size_t j = 0; j < 4; j++)
            CHECK(fabs(gradient[j] * values[j]) < 1e-3); /* of some thousands of log-likelihood */
    }
}

/* Fitted to many samples of one truth, a parameter scatters as its standard error says. */
static void standard_errors_are_how_fits_scatter(void)
{
    enum { SAMPLES = 50 };
    struct tagd_fit fit;
    for (size_t i = 2; i < N_TRUTHS; i++) {
        double sums[4] = {0}, squares[4] = {0}, errors[4] = {0};
        for (int sample = 0; sample < SAMPLES; sample++) {
            size_t n = make_customers(&truths[i], 1500);
            CHECK(tagd_fit_run(truths[i].kind, groups, n, &fit, NULL));
            const double found[] = {log(fit.model.r), log(fit.model.alpha), log(fit.model.a), log(fit.model.b)};
            const double values[] = {fit.model.r, fit.model.alpha, fit.model.a, fit.model.b};
            for (size_t j = 0; j < 4; j++) {
                sums[j] += found[j];
                squares[j] += found[j] * found[j];
                errors[j] += fit.standard_errors[j] / values[j] / SAMPLES;
            }
        }
        for (size_t j = 0; j < 4; j++) {
            double scatter = sqrt((squares[j] - sums[j] * sums[j] / SAMPLES) / (SAMPLES - 1));
            CHECK(scatter / errors[j] > 0.7 && scatter / errors[j] < 1.4); /* 10 % is one sigma */
        }
    }
}

static void a_model_that_is_true_is_seldom_said_not_to_fit(void)
{
    struct tagd_fit fit;
    size_t judged = 0, samples = 40;
    double p_values = 0;
    for (size_t i = 0; i < samples; i++) {
        size_t n = make_customers(&truths[i % N_TRUTHS], 1500);
        CHECK(tagd_fit_run(truths[i % N_TRUTHS].kind, groups, n, &fit, NULL));
        judged += warned(&fit, "how often");
        CHECK(fit.degrees_of_freedom == 3);
        p_values += fit.p_value / (double)samples;
    }
    CHECK(judged <= samples / 20);
    CHECK(p_values > 0.15 && p_values < 0.5); /* between a chi-square of 3 and one of 7 degrees of freedom */
}

static void rows_hold_every_customer(void)
{
    struct tagd_fit fit;
    double actual = 0, expected = 0;
    size_t n = make_customers(&truths[0], 3000);
    groups[n - 1].n = 5; /* customers alike */
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, n, &fit, NULL));
    for (size_t k = 0; k < TAGD_FIT_ROWS; k++) {
        actual += fit.actual[k];
        expected += fit.expected[k];
    }
    CHECK(actual == 3004 && fit.customers == 3004 && fabs(expected - 3004) < 1e-6);
    uint64_t seven = 0;
    for (size_t i = 0; i < n; i++)
        seven += groups[i].x >= 7 ? (uint64_t)groups[i].n : 0;
    CHECK((uint64_t)fit.actual[7] == seven && seven > 0);
}

static void customers_like_clockwork_dont_fit(void)
{
    struct tagd_fit fit;
    for (size_t i = 0; i < 1000; i++) /* a third buys once, the rest every four weeks, all 26 weeks long */
        groups[i] = (struct tagd_model_group){i < 333 ? 0 : 6, i < 333 ? 0 : 24, 26, 1};
    CHECK(tagd_fit_run(TAGD_MBG_NBD, groups, 1000, &fit, NULL));
    CHECK(warned(&fit, "the model doesn't tell how often customers bought"));
    CHECK(warned(&fit, "at 6 repeat purchases, 667 against"));
    CHECK(fit.p_value < 1e-6 && fit.misplaced > 0.3);
}

static void two_kinds_of_customers_in_one_file_dont_fit(void)
{
    struct tagd_fit fit;
    struct tagd_churn_model m = {.kind = TAGD_BG_NBD};
    for (size_t i = 0; i < 4000; i++) /* half buy every other week, half every other year; few ever leave */
        groups[i] = customer(&m, i < 2000 ? 0.15 : 0.001, 0.02, 30);
    qsort(groups, 4000, sizeof *groups, by_x);
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, 4000, &fit, NULL));
    CHECK(warned(&fit, "try mbg-nbd, or fit groups of customers by themselves"));
}

static void where_nobody_leaves_the_chance_to_leave_is_warned_of(void)
{
    struct tagd_fit fit;
    struct tagd_churn_model m = {.kind = TAGD_BG_NBD};
    for (size_t i = 0; i < 2000; i++)
        groups[i] = customer(&m, gamma_of(1) / 8, 0, 30);
    qsort(groups, 2000, sizeof *groups, by_x);
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, 2000, &fit, NULL));
    CHECK(fit.n_warnings > 0 &&
          (warned(&fit, "hardly determined") || warned(&fit, "its limit") || warned(&fit, "no clear maximum")));
}

static void where_all_buy_alike_their_difference_is_warned_of(void)
{
    struct tagd_fit fit;
    struct tagd_churn_model m = {.kind = TAGD_BG_NBD};
    for (size_t i = 0; i < 2000; i++)
        groups[i] = customer(&m, 0.2, 0.1, 30);
    qsort(groups, 2000, sizeof *groups, by_x);
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, 2000, &fit, NULL));
    CHECK(fit.n_warnings > 0 && (warned(&fit, "r is hardly determined") || warned(&fit, "r ran to its limit") ||
                                 warned(&fit, "no clear maximum")));
}

static void few_repeat_customers_are_warned_of_and_fewer_refused(void)
{
    struct tagd_fit fit;
    struct tagd_error error;
    size_t n = make_customers(&truths[0], 1000), least = 4 + TAGD_FIT_REPEATERS_MIN,
           advised = 4 + TAGD_FIT_REPEATERS_ADVISED;
    CHECK(n > advised && groups[3].x == 0 && groups[4].x == 1);
    for (size_t i = 0; i < 4; i++)
        groups[i].n = 40;
    for (size_t i = 4; i < advised; i++) /* not only those who came once more */
        groups[i] = groups[i + (n - advised) * (i - 4) / (advised - 5)];
    CHECK(!tagd_fit_run(TAGD_BG_NBD, groups, least - 1, &fit, &error));
    CHECK(strcmp(error.text, "9 of 169 customers bought on more than one day; a fit wants 10 such or more") == 0);
    CHECK(!tagd_fit_run(TAGD_BG_NBD, groups, 0, &fit, &error));
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, least, &fit, &error));
    CHECK(warned(&fit, "only 10 customers bought on more than one day; 100 or more make parameters that last"));
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, advised - 1, &fit, &error));
    CHECK(warned(&fit, "only 99 customers"));
    CHECK(tagd_fit_run(TAGD_BG_NBD, groups, advised, &fit, &error) && !warned(&fit, "only"));
}

static void rare_rows_are_joined_and_too_few_left_are_not_judged(void)
{
    struct tagd_fit fit = {.model = truths[0], .customers = 40};
    struct tagd_model_group many[] = {{0, 0, 30, 36}, {1, 20, 30, 4}};
    tagd_fit_judge(many, 2, TAGD_FIT_AT_MAXIMUM, &fit); /* no row but the first holds as many as five */
    CHECK(fit.degrees_of_freedom == 0 && isnan(fit.p_value) && !warned(&fit, "how often"));
    fit = (struct tagd_fit){.model = truths[0], .customers = 4000};
    many[0].n = 3600, many[1].n = 400;
    tagd_fit_judge(many, 2, TAGD_FIT_AT_MAXIMUM, &fit);
    CHECK(fit.degrees_of_freedom == 3 && fit.p_value < 1e-6 && warned(&fit, "how often"));
}

/* A million customers as the model expects them, but for a share who came once more than it says. */
static void judge_moved(double share, struct tagd_fit *fit)
{
    struct tagd_model_group rows[TAGD_FIT_ROWS];
    double p[TAGD_FIT_ROWS - 1], rest = 1;
    *fit = (struct tagd_fit){.model = truths[0], .customers = 1000000, .repeat_customers = 1000000};
    tagd_model_counts(&truths[0], 30, TAGD_FIT_ROWS - 1, p);
    for (size_t k = 0; k < TAGD_FIT_ROWS; k++) {
        double moved = k == 0 ? -share : k == 1 ? share : 0;
        rows[k] = (struct tagd_model_group){(uint32_t)k, 0, 30, 1e6 * ((k < TAGD_FIT_ROWS - 1 ? p[k] : rest) + moved)};
        rest -= k < TAGD_FIT_ROWS - 1 ? p[k] : 0;
    }
    tagd_fit_judge(rows, TAGD_FIT_ROWS, TAGD_FIT_AT_MAXIMUM, fit);
}

static void a_difference_that_is_certain_but_small_is_no_warning(void)
{
    struct tagd_fit fit;
    judge_moved(0.0199, &fit);
    CHECK(fit.p_value < 1e-6 && fabs(fit.misplaced - 0.0199) < 1e-6 && fit.n_warnings == 0);
    judge_moved(0.0201, &fit);
    CHECK(fit.n_warnings == 1 && warned(&fit, "2.0 % of them are elsewhere"));
}

static void limits_of_every_warning_are_where_they_are_said_to_be(void)
{
    struct tagd_fit fit = {
        .model = truths[0], .customers = 3000, .repeat_customers = 3000, .standard_errors = {0.25, 3, 0.4, 1.25}};
    struct tagd_model_group nobody = {0, 0, 0, 3000};
    tagd_fit_judge(&nobody, 1, TAGD_FIT_AT_MAXIMUM, &fit); /* each error is half its parameter; all is as expected */
    CHECK(fit.n_warnings == 0 && fit.misplaced == 0);
    fit.standard_errors[3] = 1.26;
    tagd_fit_judge(&nobody, 1, TAGD_FIT_AT_MAXIMUM, &fit);
    CHECK(fit.n_warnings == 1 && warned(&fit, "b is hardly determined: 2.5 with a standard error of 1.26"));
    fit.model.b = TAGD_MODEL_PARAMETER_MAX;
    tagd_fit_judge(&nobody, 1, TAGD_FIT_SHORT_OF_IT, &fit);
    CHECK(fit.n_warnings == 2 && warned(&fit, "b ran to its limit, 1e+06") &&
          warned(&fit, "the search ended short of the maximum"));
    for (size_t i = 0; i < 4; i++)
        fit.standard_errors[i] = NAN;
    fit.repeat_customers = 1;
    fit.model = (struct tagd_churn_model){TAGD_BG_NBD, TAGD_MODEL_PARAMETER_MIN, TAGD_MODEL_PARAMETER_MIN,
                                          TAGD_MODEL_PARAMETER_MIN, TAGD_MODEL_PARAMETER_MIN};
    struct tagd_model_group all = {9, 20, 30, 3000};
    tagd_fit_judge(&all, 1, TAGD_FIT_NO_MAXIMUM, &fit); /* all at once but the counts, which leave one row */
    CHECK(fit.n_warnings == TAGD_FIT_WARNINGS_MAX - 1);
    CHECK(warned(&fit, "no clear maximum") && warned(&fit, "alpha ran to its limit, 0.0001"));
}

int main(void)
{
    RUN(a_fit_finds_the_parameters_that_made_the_customers);
    RUN(at_the_fit_the_likelihood_is_level);
    RUN(standard_errors_are_how_fits_scatter);
    RUN(a_model_that_is_true_is_seldom_said_not_to_fit);
    RUN(rows_hold_every_customer);
    RUN(customers_like_clockwork_dont_fit);
    RUN(two_kinds_of_customers_in_one_file_dont_fit);
    RUN(where_nobody_leaves_the_chance_to_leave_is_warned_of);
    RUN(where_all_buy_alike_their_difference_is_warned_of);
    RUN(few_repeat_customers_are_warned_of_and_fewer_refused);
    RUN(rare_rows_are_joined_and_too_few_left_are_not_judged);
    RUN(a_difference_that_is_certain_but_small_is_no_warning);
    RUN(limits_of_every_warning_are_where_they_are_said_to_be);
    return DONE();
}
