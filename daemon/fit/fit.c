/* Maximum likelihood. The search is over the parameters' logarithms, so that none becomes negative: from several starting
 * points by BFGS with the exact gradient, and from the best end by Newton's method, with the Hessian that the standard errors
 * need anyway. */
#include "fit/fit.h"

#include <math.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_multimin.h>

#define N_PARAMETERS 4
#define BFGS_STEPS_MAX 200
#define BFGS_FIRST_STEP 0.01    /* of the logarithms */
#define BFGS_LINE_TOLERANCE 0.1 /* as GSL's manual advises */
#define BFGS_GRADIENT 1e-5      /* of the mean log-likelihood: near enough for Newton */
#define NEWTON_STEPS_MAX 30
#define HESSIAN_STEP 1e-4 /* of the logarithms; the gradient is exact, so the Hessian is good to 1e-8 */
#define GAIN_LAST 1e-6 /* log-likelihood still to be gained, by the parabola: one more step is exact to six digits, */
#define LAST_STEP_MAX 1e-2 /* of the logarithms: a wider one is where nothing tells one point from another */
#define GAIN_FAILED 1e-3   /* and with more than this the search has failed */

struct problem {
    enum tagd_model_kind kind;
    const struct tagd_model_group *groups;
    size_t n;
    double customers;
    bool known; /* the last point's logarithms, value and slopes */
    double logs[N_PARAMETERS], value, slopes[N_PARAMETERS];
};

static struct tagd_churn_model model_of(enum tagd_model_kind kind, const double logs[N_PARAMETERS])
{
    double values[N_PARAMETERS];
    for (size_t i = 0; i < N_PARAMETERS; i++)
        values[i] = fmin(fmax(exp(logs[i]), TAGD_MODEL_PARAMETER_MIN), TAGD_MODEL_PARAMETER_MAX);
    return (struct tagd_churn_model){kind, values[0], values[1], values[2], values[3]};
}

/* Minus the mean log-likelihood, and its slopes. Past a limit of the parameters it is as at the limit, plus a parabola that
 * leads back. */
static double cost(const struct problem *problem, const double logs[N_PARAMETERS], double slopes[N_PARAMETERS])
{
    struct tagd_churn_model model = model_of(problem->kind, logs);
    const double values[N_PARAMETERS] = {model.r, model.alpha, model.a, model.b};
    double gradient[N_PARAMETERS];
    double sum =
        -tagd_model_log_likelihood(&model, problem->groups, problem->n, slopes ? gradient : NULL) / problem->customers;
    for (size_t i = 0; i < N_PARAMETERS; i++) {
        double lower = log(TAGD_MODEL_PARAMETER_MIN), upper = log(TAGD_MODEL_PARAMETER_MAX);
        double past = logs[i] < lower ? logs[i] - lower : logs[i] > upper ? logs[i] - upper : 0;
        sum += past * past;
        if (slopes)
            slopes[i] = past != 0 ? 2 * past : -gradient[i] * values[i] / problem->customers;
    }
    return sum;
}

/* ---- from a starting point: GSL, which asks for value and slopes of one point by turns ---- */

static const struct problem *at_point(struct problem *problem, const gsl_vector *at)
{
    gsl_vector_const_view last = gsl_vector_const_view_array(problem->logs, N_PARAMETERS);
    if (!problem->known || !gsl_vector_equal(&last.vector, at)) {
        memcpy(problem->logs, at->data, sizeof problem->logs);
        problem->value = cost(problem, problem->logs, problem->slopes);
        problem->known = true;
    }
    return problem;
}

static double gsl_value(const gsl_vector *at, void *problem)
{
    return at_point(problem, at)->value;
}

static void gsl_slopes(const gsl_vector *at, void *problem, gsl_vector *slopes)
{
    memcpy(slopes->data, at_point(problem, at)->slopes, N_PARAMETERS * sizeof(double));
}

static void gsl_both(const gsl_vector *at, void *problem, double *value, gsl_vector *slopes)
{
    *value = gsl_value(at, problem);
    gsl_slopes(at, problem, slopes);
}

static void bfgs(struct problem *problem, double logs[N_PARAMETERS])
{
    gsl_multimin_function_fdf function = {gsl_value, gsl_slopes, gsl_both, N_PARAMETERS, problem};
    gsl_multimin_fdfminimizer *search =
        gsl_multimin_fdfminimizer_alloc(gsl_multimin_fdfminimizer_vector_bfgs2, N_PARAMETERS);
    gsl_vector_view start = gsl_vector_view_array(logs, N_PARAMETERS);
    gsl_multimin_fdfminimizer_set(search, &function, &start.vector, BFGS_FIRST_STEP, BFGS_LINE_TOLERANCE);
    for (int i = 0; i < BFGS_STEPS_MAX; i++)
        if (gsl_multimin_fdfminimizer_iterate(search) != GSL_SUCCESS ||
            gsl_multimin_test_gradient(search->gradient, BFGS_GRADIENT) == GSL_SUCCESS)
            break;
    memcpy(logs, search->x->data, N_PARAMETERS * sizeof *logs);
    gsl_multimin_fdfminimizer_free(search);
}

/* Where the data hardly determine a parameter, the likelihood may have several maxima. The starting points go by the data's
 * own rate of purchases: customers who differ much and little, who leave early, late, and some at once while others never. */
static void search_from_all(struct problem *problem, double best[N_PARAMETERS])
{
    static const double starts[][3] = {{1, 1, 5}, {1, 0.1, 0.1}, {3, 2, 2}, {0.3, 0.5, 2}}; /* r, a, b */
    double purchases = 0, weeks = 0, least = INFINITY;
    for (size_t i = 0; i < problem->n; i++) {
        purchases += problem->groups[i].n * (double)problem->groups[i].x;
        weeks += problem->groups[i].n * problem->groups[i].T;
    }
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        double logs[N_PARAMETERS] = {log(starts[i][0]), log(starts[i][0] * weeks / purchases), log(starts[i][1]),
                                     log(starts[i][2])};
        bfgs(problem, logs);
        double end = cost(problem, logs, NULL);
        if (end < least) {
            least = end;
            memcpy(best, logs, sizeof logs);
        }
    }
}

/* ---- at the maximum: Newton ---- */

/* Central differences of the slopes; symmetric. */
static void hessian_at(const struct problem *problem, const double logs[N_PARAMETERS], gsl_matrix *hessian)
{
    double rows[N_PARAMETERS][N_PARAMETERS];
    for (size_t i = 0; i < N_PARAMETERS; i++) {
        double at[N_PARAMETERS], up[N_PARAMETERS], down[N_PARAMETERS];
        memcpy(at, logs, sizeof at);
        at[i] = logs[i] + HESSIAN_STEP;
        cost(problem, at, up);
        at[i] = logs[i] - HESSIAN_STEP;
        cost(problem, at, down);
        for (size_t j = 0; j < N_PARAMETERS; j++)
            rows[i][j] = (up[j] - down[j]) / (2 * HESSIAN_STEP);
    }
    for (size_t i = 0; i < N_PARAMETERS; i++)
        for (size_t j = 0; j < N_PARAMETERS; j++)
            gsl_matrix_set(hessian, i, j, (rows[i][j] + rows[j][i]) / 2);
}

/* Steps until nothing is left to be gained; `factor` is then the Hessian's Cholesky factor as near as the last step. */
static enum tagd_fit_end climb(const struct problem *problem, double logs[N_PARAMETERS], gsl_matrix *factor)
{
    double gain = INFINITY;
    for (int i = 0; i < NEWTON_STEPS_MAX; i++) {
        double slopes[N_PARAMETERS], step[N_PARAMETERS], next[N_PARAMETERS], twice = 0, widest = 0;
        double here = cost(problem, logs, slopes);
        hessian_at(problem, logs, factor);
        if (gsl_linalg_cholesky_decomp1(factor) != GSL_SUCCESS)
            return TAGD_FIT_NO_MAXIMUM;
        memcpy(step, slopes, sizeof step);
        gsl_vector_view view = gsl_vector_view_array(step, N_PARAMETERS);
        gsl_linalg_cholesky_svx(factor, &view.vector);
        for (size_t j = 0; j < N_PARAMETERS; j++) {
            twice += slopes[j] * step[j];
            widest = fmax(widest, fabs(step[j]));
            next[j] = logs[j] - step[j];
        }
        gain = twice / 2 * problem->customers;
        bool last = gain < GAIN_LAST; /* too little for the cost to show */
        if (last ? widest > LAST_STEP_MAX : !(cost(problem, next, NULL) <= here))
            break;
        memcpy(logs, next, sizeof next);
        if (last)
            break;
    }
    return gain < GAIN_FAILED ? TAGD_FIT_AT_MAXIMUM : TAGD_FIT_SHORT_OF_IT;
}

static void set_standard_errors(const struct problem *problem, gsl_matrix *factor, struct tagd_fit *fit)
{
    const double values[N_PARAMETERS] = {fit->model.r, fit->model.alpha, fit->model.a, fit->model.b};
    gsl_linalg_cholesky_invert(factor);
    for (size_t i = 0; i < N_PARAMETERS; i++)
        if (!tagd_fit_at_limit(values[i]))
            fit->standard_errors[i] = values[i] * sqrt(gsl_matrix_get(factor, i, i) / problem->customers);
}

bool tagd_fit_run(enum tagd_model_kind kind, const struct tagd_model_group *groups, size_t n, struct tagd_fit *fit,
                  struct tagd_error *error)
{
    struct problem problem = {.kind = kind, .groups = groups, .n = n};
    double logs[N_PARAMETERS] = {0};
    *fit = (struct tagd_fit){.standard_errors = {NAN, NAN, NAN, NAN}};
    for (size_t i = 0; i < n; i++) {
        problem.customers += groups[i].n;
        fit->repeat_customers += groups[i].x > 0 ? (uint64_t)groups[i].n : 0;
    }
    fit->customers = (uint64_t)problem.customers;
    if (fit->repeat_customers < TAGD_FIT_REPEATERS_MIN)
        return tagd_fail(error, "%llu of %llu customers bought on more than one day; a fit wants %d such or more",
                         (unsigned long long)fit->repeat_customers, (unsigned long long)fit->customers,
                         TAGD_FIT_REPEATERS_MIN);
    gsl_error_handler_t *handler = gsl_set_error_handler_off(); /* it would abort */
    gsl_matrix *factor = gsl_matrix_alloc(N_PARAMETERS, N_PARAMETERS);
    search_from_all(&problem, logs);
    enum tagd_fit_end end = climb(&problem, logs, factor);
    fit->model = model_of(kind, logs);
    fit->log_likelihood = tagd_model_log_likelihood(&fit->model, groups, n, NULL);
    if (end != TAGD_FIT_NO_MAXIMUM)
        set_standard_errors(&problem, factor, fit);
    gsl_matrix_free(factor);
    gsl_set_error_handler(handler);
    tagd_fit_judge(groups, n, end, fit);
    return true;
}
