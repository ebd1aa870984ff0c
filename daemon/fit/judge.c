/* Whether a fitted model may be trusted: whether the data determine its parameters, and whether it tells how often customers
 * bought. The second is a chi-square over counts of repeat purchases, in the rows of the 2005 paper's figure, which with
 * many customers sees what matters to nobody; so it takes both to warn: that chance is no explanation, and that a share of
 * customers worth the name is elsewhere than expected. The parameters fit each customer's times and not these rows, so a true
 * model's statistic tends to be larger than the degrees of freedom say (Chernoff, Lehmann 1954); hence the strict level. */
#include "fit/fit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include <gsl/gsl_cdf.h>

#define ERROR_MAX 0.5       /* a standard error as a share of its parameter */
#define LIMIT_MARGIN 1.01   /* that near to a limit is at it */
#define P_VALUE_MIN 0.001   /* less is no chance */
#define MISPLACED_MAX 0.02  /* of customers */
#define ROW_EXPECTED_MIN 5  /* fewer customers expected: joined with the row before */
#define FITTED_PARAMETERS 4 /* each takes a degree of freedom */

static const char *const names[] = {"r", "alpha", "a", "b"};

static void warn(struct tagd_fit *fit, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct tagd_fit *fit, const char *fmt, ...)
{
    va_list args;
    if (fit->n_warnings == TAGD_FIT_WARNINGS_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(fit->warnings[fit->n_warnings++], TAGD_FIT_WARNING_BYTES, fmt, args);
    va_end(args);
}

bool tagd_fit_at_limit(double value)
{
    return value <= TAGD_MODEL_PARAMETER_MIN * LIMIT_MARGIN || value >= TAGD_MODEL_PARAMETER_MAX / LIMIT_MARGIN;
}

static void count_rows(const struct tagd_model_group *groups, size_t n, struct tagd_fit *fit)
{
    for (size_t k = 0; k < TAGD_FIT_ROWS; k++)
        fit->actual[k] = fit->expected[k] = 0;
    for (size_t i = 0; i < n; i++) {
        double p[TAGD_FIT_ROWS - 1], rest = 1;
        tagd_model_counts(&fit->model, groups[i].T, TAGD_FIT_ROWS - 1, p);
        for (size_t k = 0; k < TAGD_FIT_ROWS - 1; k++) {
            fit->expected[k] += groups[i].n * p[k];
            rest -= p[k];
        }
        fit->expected[TAGD_FIT_ROWS - 1] += groups[i].n * fmax(rest, 0);
        fit->actual[groups[i].x < TAGD_FIT_ROWS ? groups[i].x : TAGD_FIT_ROWS - 1] += groups[i].n;
    }
}

/* From the last row forward: a row too rare is joined with the one before it, and the first, if it is, with the second. */
static unsigned join_rows(const struct tagd_fit *fit, double actual[TAGD_FIT_ROWS], double expected[TAGD_FIT_ROWS])
{
    unsigned n = 0;
    double actual_sum = 0, expected_sum = 0;
    for (size_t k = TAGD_FIT_ROWS; k-- > 0;) {
        actual_sum += fit->actual[k];
        expected_sum += fit->expected[k];
        if (expected_sum < ROW_EXPECTED_MIN)
            continue;
        actual[n] = actual_sum;
        expected[n++] = expected_sum;
        actual_sum = expected_sum = 0;
    }
    if (n > 0) {
        actual[n - 1] += actual_sum;
        expected[n - 1] += expected_sum;
    }
    return n;
}

static void compare_rows(struct tagd_fit *fit)
{
    double actual[TAGD_FIT_ROWS], expected[TAGD_FIT_ROWS], moved = 0;
    unsigned n = join_rows(fit, actual, expected);
    fit->chi_square = 0;
    for (size_t i = 0; i < n; i++)
        fit->chi_square += (actual[i] - expected[i]) * (actual[i] - expected[i]) / expected[i];
    for (size_t k = 0; k < TAGD_FIT_ROWS; k++)
        moved += fabs(fit->actual[k] - fit->expected[k]);
    fit->misplaced = moved / 2 / (double)fit->customers;
    fit->degrees_of_freedom = n > FITTED_PARAMETERS + 1 ? n - 1 - FITTED_PARAMETERS : 0;
    fit->p_value = fit->degrees_of_freedom ? gsl_cdf_chisq_Q(fit->chi_square, fit->degrees_of_freedom) : NAN;
}

static void warn_of_counts(struct tagd_fit *fit)
{
    size_t worst = 0;
    if (!(fit->p_value < P_VALUE_MIN) || fit->misplaced <= MISPLACED_MAX)
        return;
    for (size_t k = 1; k < TAGD_FIT_ROWS; k++)
        if (fabs(fit->actual[k] - fit->expected[k]) > fabs(fit->actual[worst] - fit->expected[worst]))
            worst = k;
    warn(fit,
         "the model doesn't tell how often customers bought: %.1f %% of them are elsewhere than it expects "
         "(chi-square %.1f with %u degrees of freedom), most of all at %zu%s repeat purchase%s, %.0f against %.0f; "
         "try %s, or fit groups of customers by themselves",
         100 * fit->misplaced, fit->chi_square, fit->degrees_of_freedom, worst,
         worst == TAGD_FIT_ROWS - 1 ? " or more" : "", worst == 1 ? "" : "s", fit->actual[worst], fit->expected[worst],
         tagd_model_kind_name(fit->model.kind == TAGD_BG_NBD ? TAGD_MBG_NBD : TAGD_BG_NBD));
}

static void warn_of_parameters(enum tagd_fit_end end, struct tagd_fit *fit)
{
    const double values[] = {fit->model.r, fit->model.alpha, fit->model.a, fit->model.b};
    if (end == TAGD_FIT_NO_MAXIMUM)
        warn(fit, "the likelihood has no clear maximum (its Hessian isn't positive definite), so there are no "
                  "standard errors; take more customers or a longer history");
    for (size_t i = 0; i < 4; i++) {
        if (tagd_fit_at_limit(values[i]))
            warn(fit,
                 "%s ran to its limit, %g: the data don't determine it, and customers may differ less than the "
                 "model says; try the other model, or take a longer history",
                 names[i], values[i]);
        else if (fit->standard_errors[i] > ERROR_MAX * values[i])
            warn(fit,
                 "%s is hardly determined: %.3g with a standard error of %.3g; take more customers or a longer history",
                 names[i], values[i], fit->standard_errors[i]);
    }
}

void tagd_fit_judge(const struct tagd_model_group *groups, size_t n, enum tagd_fit_end end, struct tagd_fit *fit)
{
    fit->n_warnings = 0;
    count_rows(groups, n, fit);
    compare_rows(fit);
    if (end == TAGD_FIT_SHORT_OF_IT)
        warn(fit, "the search ended short of the maximum: the parameters are near it at best");
    if (fit->repeat_customers < TAGD_FIT_REPEATERS_ADVISED)
        warn(fit, "only %llu customers bought on more than one day; %d or more make parameters that last",
             (unsigned long long)fit->repeat_customers, TAGD_FIT_REPEATERS_ADVISED);
    warn_of_parameters(end, fit);
    warn_of_counts(fit);
}
