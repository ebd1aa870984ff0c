/* model: churn mathematics. How likely is it that a customer who has fallen silent is still one, at which instant does
 * that fall below a level, and how likely are the purchases that were seen? Two models of a customer's own rhythm, which
 * differ in one thing: under BG/NBD nobody leaves before their first repeat purchase, under MBG/NBD they may.
 *
 *   Purchases come at random (Poisson) at a rate that differs from customer to customer (gamma, r and alpha: r / alpha a
 *   week on average); after each purchase the customer leaves for good with a chance that differs too (beta, a and b).
 *   BG/NBD: Fader, Hardie, Lee, "Counting Your Customers the Easy Way", Marketing Science 24 (2), 2005.
 *   MBG/NBD: Batislam, Denizel, Filiztekin, "Empirical validation and comparison of models for customer base analysis",
 *   International Journal of Research in Marketing 24 (3), 2007.
 *
 * Of a customer the models know x, the number of different local days with a purchase, less one; t_x, how long after the
 * first purchase the last one was; T, how long ago the first one was. Durations are in weeks, instants in milliseconds.
 * Pure functions over their arguments: no state, nothing allocates, nothing here fits a model to data (daemon/fit does). */
#ifndef TAGD_MODEL_H
#define TAGD_MODEL_H

#include "tagd/base.h"

enum tagd_model_kind { TAGD_BG_NBD, TAGD_MBG_NBD };

struct tagd_churn_model {
    enum tagd_model_kind kind;
    double r, alpha, a, b; /* alpha in weeks, the others without a unit */
};

/* What each parameter may be; within these limits P(alive) never rises with time, not even in its last digit. */
#define TAGD_MODEL_PARAMETER_MIN 1e-4
#define TAGD_MODEL_PARAMETER_MAX 1e6
/* A longer silence counts as this long, a thousand years: a level that isn't crossed within it never is. */
#define TAGD_MODEL_SILENCE_MAX (INT64_C(365250) * TAGD_MS_DAY)
#define TAGD_MODEL_WEEK (INT64_C(7) * TAGD_MS_DAY)

/* "bg-nbd", "mbg-nbd"; parse is false for any other text. */
const char *tagd_model_kind_name(enum tagd_model_kind kind);
bool tagd_model_kind_parse(struct tagd_str text, enum tagd_model_kind *kind);
/* Whether all parameters are within the limits; all else here expects that. False: *error names the one that isn't. */
bool tagd_model_check(const struct tagd_churn_model *model, struct tagd_error *error);

/* ---- P(alive) ---- */

/* Whether the model can tell anything of a customer with x repeat purchase days: BG/NBD can't if there is none, since
 * there everybody stays until their first one; it would say 1 however long the silence. */
bool tagd_model_speaks(const struct tagd_churn_model *model, uint32_t x);

/* P(alive | x, t_x, T), in weeks, 0 <= t_x <= T:
 *     1 / (1 + a / (b + x - 1) * ((alpha + T) / (alpha + t_x))^(r + x)), MBG/NBD with b + x for b + x - 1
 * (Fader, Hardie, "Computing P(alive) using the BG/NBD model", 2008; Batislam and others 2007, appendix A (5)). In
 * logarithms, so nothing overflows; above 0, at most 1. NaN: the model doesn't speak. */
double tagd_model_p_alive(const struct tagd_churn_model *model, uint32_t x, double t_x, double T);

/* A customer's purchases, by exact instants (ms): TAGD_TIME_MIN <= first_ms <= last_ms <= TAGD_TIME_MAX. */
struct tagd_purchases {
    uint32_t x;
    int64_t first_ms, last_ms;
};

/* The same at an instant, any: t_x is last - first, T is now - first; before the last purchase it is as at it. Never rises
 * from one millisecond to the next. NaN: the model doesn't speak. */
double tagd_model_p_alive_at(const struct tagd_churn_model *model, const struct tagd_purchases *purchases,
                             int64_t now_ms);

/* The first millisecond, from the last purchase on, at which tagd_model_p_alive_at is below the level, or at most the
 * level: exactly that function, so that who evaluates at that instant, or one before, agrees. The closed form
 *     T* = (alpha + t_x) * ((1 - level) / level * (b + x - 1) / a)^(1 / (r + x)) - alpha
 * (MBG/NBD: b + x) is where it looks first. Any level will do. TAGD_NEVER: not within TAGD_MODEL_SILENCE_MAX of the last
 * purchase or by TAGD_TIME_MAX, or the model doesn't speak. */
int64_t tagd_model_below_ms(const struct tagd_churn_model *model, const struct tagd_purchases *purchases, double level);
int64_t tagd_model_at_most_ms(const struct tagd_churn_model *model, const struct tagd_purchases *purchases,
                              double level);

/* ---- likelihood ---- */

/* n customers alike; 0 <= t_x <= T, in weeks. */
struct tagd_model_group {
    uint32_t x;
    double t_x, T, n;
};

/* The log-likelihood of the groups' purchases, which must stand in ascending order of x: the sum over customers of
 *     ln L = ln G(r + x)/G(r) + r ln alpha - (r + x) ln(alpha + T) + ln B(a, b + k)/B(a, b) - ln P(alive)
 * with G the gamma and B the beta function, k = x for BG/NBD (2005, equation 6) and x + 1 for MBG/NBD, and P(alive) = 1
 * for x = 0 under BG/NBD. gradient: its derivatives by r, alpha, a, b; NULL: not wanted. One pass of O(n + largest x). */
double tagd_model_log_likelihood(const struct tagd_churn_model *model, const struct tagd_model_group *groups, size_t n,
                                 double gradient[4]);

/* p[k] = P(X(t) = k) for k < n: how many repeat purchases a customer taken at random makes in the t weeks after the first
 * one (2005, equation 8). */
void tagd_model_counts(const struct tagd_churn_model *model, double t, size_t n, double *p);

#endif
