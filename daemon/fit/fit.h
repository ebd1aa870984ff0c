/* fit: the parameters of a churn model by maximum likelihood, how sure they are, and whether the model fits at all. No I/O, no
 * clock. It stands on GSL, so it is a room of the daemon's program and none of libtagd: who embeds the engine only computes
 * with parameters, and needs no GSL. */
#ifndef TAGD_FIT_H
#define TAGD_FIT_H

#include "tagd/model.h"

#define TAGD_FIT_REPEATERS_MIN 10      /* customers with x > 0; fewer don't make four parameters */
#define TAGD_FIT_REPEATERS_ADVISED 100 /* fewer are a warning */
#define TAGD_FIT_ROWS 8                /* of counts: 0 to 6 repeat purchases, and 7 or more */
#define TAGD_FIT_WARNINGS_MAX 7        /* each at once: the search, the repeaters, four parameters, the counts */
#define TAGD_FIT_WARNING_BYTES 320

struct tagd_fit {
    struct tagd_churn_model model;
    double log_likelihood;
    /* Of r, alpha, a, b: the square roots on the diagonal of the inverse Hessian of minus the log-likelihood, taken by the
     * parameters' logarithms, where it is nearest to a parabola, each times its parameter (the delta method). NaN: the data
     * don't determine it. */
    double standard_errors[4];
    uint64_t customers, repeat_customers;
    /* How many customers made so many repeat purchases, and how many the fitted model expects, given when each came. */
    double actual[TAGD_FIT_ROWS], expected[TAGD_FIT_ROWS];
    /* Pearson's statistic over these rows, rare ones joined, and the chance of a larger one if the model is true; 0 degrees of
     * freedom: too few rows are left, and p_value is NaN. */
    double chi_square, p_value;
    unsigned degrees_of_freedom;
    double misplaced; /* share of customers that would have to move to another row for the rows to be as expected */
    size_t n_warnings;
    char warnings[TAGD_FIT_WARNINGS_MAX][TAGD_FIT_WARNING_BYTES]; /* why not to trust it, with what can be done */
};

/* Groups in ascending order of x. False: too few repeat customers for any fit; *error says so. */
bool tagd_fit_run(enum tagd_model_kind kind, const struct tagd_model_group *groups, size_t n, struct tagd_fit *fit,
                  struct tagd_error *error);

enum tagd_fit_end {
    TAGD_FIT_AT_MAXIMUM,
    TAGD_FIT_SHORT_OF_IT, /* the search gave up */
    TAGD_FIT_NO_MAXIMUM   /* where it ended, the Hessian isn't positive definite */
};
/* The rows, the statistic and the warnings of a fit whose model, standard errors and customers are there. */
void tagd_fit_judge(const struct tagd_model_group *groups, size_t n, enum tagd_fit_end end, struct tagd_fit *fit);

/* Whether a parameter is where the model's limits stopped it. */
bool tagd_fit_at_limit(double value);

#endif
