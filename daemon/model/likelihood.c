/* How likely purchases are under a model. The gamma and beta functions come only as quotients at arguments x apart:
 *     G(r + x) / G(r) = r (r + 1) ... (r + x - 1),   B(a, b + k) / B(a, b) = b / (a + b) ... (b + k - 1) / (a + b + k - 1),
 * sums of logarithms that lose nothing however large a parameter is; groups in ascending order of x share them. */
#include "model/odds.h"

#include <assert.h>
#include <math.h>

/* The sums up to some x, each with its derivative. */
struct quotients {
    uint32_t n_gamma, n_beta; /* factors so far */
    double gamma, by_r;       /* ln G(r + x)/G(r) */
    double beta, by_a, by_b;  /* ln B(a, b + k)/B(a, b) */
    double stayed, at_once;   /* of x: beside a, and the logarithm of the odds; unless nothing can be told */
};

static void extend(struct quotients *sums, const struct tagd_churn_model *model, uint32_t x)
{
    for (; sums->n_gamma < x; sums->n_gamma++) {
        double factor = model->r + (double)sums->n_gamma;
        sums->gamma += log(factor);
        sums->by_r += 1 / factor;
    }
    uint32_t k = model->kind == TAGD_BG_NBD ? x : x + 1;
    for (; sums->n_beta < k; sums->n_beta++) {
        double factor = model->b + (double)sums->n_beta;
        sums->beta -= log1p(model->a / factor);
        sums->by_a -= 1 / (model->a + factor);
        sums->by_b += 1 / factor - 1 / (model->a + factor);
    }
    sums->stayed = tagd_model_stayed(model, x);
    sums->at_once = tagd_model_speaks(model, x) ? log(model->a / sums->stayed) : -INFINITY;
}

/* One customer of the group: the logarithm of their likelihood; `by` gets its derivatives. */
static double of_one(const struct tagd_churn_model *model, const struct tagd_model_group *group,
                     const struct quotients *sums, double log_alpha, double by[4])
{
    double x = (double)group->x, age = model->alpha + group->T, last = model->alpha + group->t_x;
    double elapsed = log1p(group->T / model->alpha), silent = log1p((group->T - group->t_x) / last);
    /* The odds e^z; -ln P(alive) is ln(1 + e^z), and its derivative by z is the chance to be gone. */
    double z = sums->at_once + (model->r + x) * silent, less = exp(-fabs(z));
    double gone = (z > 0 ? 1 : less) / (1 + less);
    by[0] = sums->by_r - elapsed + gone * silent;
    by[1] = model->r / model->alpha - (model->r + x) / age + gone * (model->r + x) * (1 / age - 1 / last);
    by[2] = sums->by_a + gone / model->a;
    by[3] = sums->by_b - (gone > 0 ? gone / sums->stayed : 0);
    return sums->gamma + sums->beta - model->r * elapsed - x * (log_alpha + elapsed) + fmax(z, 0) + log1p(less);
}

double tagd_model_log_likelihood(const struct tagd_churn_model *model, const struct tagd_model_group *groups, size_t n,
                                 double gradient[4])
{
    struct quotients sums = {0};
    double total = 0, by[4], log_alpha = log(model->alpha);
    for (size_t j = 0; gradient && j < 4; j++)
        gradient[j] = 0;
    for (size_t i = 0; i < n; i++) {
        assert(i == 0 || groups[i].x >= groups[i - 1].x);
        if (i == 0 || groups[i].x > groups[i - 1].x)
            extend(&sums, model, groups[i].x);
        total += groups[i].n * of_one(model, &groups[i], &sums, log_alpha, by);
        for (size_t j = 0; gradient && j < 4; j++)
            gradient[j] += groups[i].n * by[j];
    }
    return total;
}

void tagd_model_counts(const struct tagd_churn_model *model, double t, size_t n, double *p)
{
    /* Of a customer who stays: k purchases (negative binomial), more than k, and the chance to have stayed so far. */
    double moved = t / (model->alpha + t), exactly = exp(-model->r * log1p(t / model->alpha)), at_least = 1, stayed = 1;
    for (size_t k = 0; k < n; k++) {
        /* Leaves after the k-th repeat purchase, having stayed after all before. */
        double leaves = 0;
        if (tagd_model_speaks(model, (uint32_t)k)) {
            double factor = tagd_model_stayed(model, (uint32_t)k);
            leaves = stayed * model->a / (model->a + factor);
            stayed *= factor / (model->a + factor);
        }
        p[k] = stayed * exactly + leaves * at_least;
        at_least = fmax(at_least - exactly, 0);
        exactly *= (model->r + (double)k) / ((double)k + 1) * moved;
    }
}
