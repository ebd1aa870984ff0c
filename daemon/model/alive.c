/* P(alive), and the instant at which it falls below a level. With odds against being alive of e^z,
 *     P = 1 / (1 + e^z),   z = ln(a / (b + x - 1)) + (r + x) ln(1 + silence / (alpha + t_x)),
 * since (alpha + T) / (alpha + t_x) = 1 + (T - t_x) / (alpha + t_x).
 *
 * As computed, P never rises from one millisecond to the next. Division, product, sum and rint round monotonically, so
 * only log1p and exp could turn two neighbours round, being a unit or two in the last place off. They can't, because
 * arguments that differ, differ by more than that. A millisecond, 1.65e-9 weeks, moves L = ln(1 + silence / (alpha + t_x))
 * by 1.65e-9 / (alpha + T), which is at least 7 units in L's last place for all parameters and silences within the limits
 * of model.h (worst: alpha = 1e-4, t_x = 0, a silence of a thousand years). And z is rounded to a multiple of 2^-48, so
 * that two different z move e^z by 16 units or more. That costs 2e-15 of z, less than what its parts are off by. */
#include "model/odds.h"

#include <assert.h>
#include <math.h>

/* Here P is 1e-304: it stays above 0, as it is by definition. */
#define Z_MAX 700

static const char *const kinds[] = {[TAGD_BG_NBD] = "bg-nbd", [TAGD_MBG_NBD] = "mbg-nbd"};

const char *tagd_model_kind_name(enum tagd_model_kind kind)
{
    return kinds[kind];
}

bool tagd_model_kind_parse(struct tagd_str text, enum tagd_model_kind *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (tagd_str_eq(text, tagd_str_of(kinds[i]))) {
            *kind = (enum tagd_model_kind)i;
            return true;
        }
    }
    return false;
}

bool tagd_model_check(const struct tagd_churn_model *model, struct tagd_error *error)
{
    static const char *const names[] = {"r", "alpha", "a", "b"};
    const double values[] = {model->r, model->alpha, model->a, model->b};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!(values[i] >= TAGD_MODEL_PARAMETER_MIN && values[i] <= TAGD_MODEL_PARAMETER_MAX))
            return tagd_fail(error, "%s is %g: expected a number from %g to %g", names[i], values[i],
                             TAGD_MODEL_PARAMETER_MIN, TAGD_MODEL_PARAMETER_MAX);
    return true;
}

bool tagd_model_speaks(const struct tagd_churn_model *model, uint32_t x)
{
    return model->kind == TAGD_MBG_NBD || x > 0;
}

/* P(alive) of one customer as a function of silence. */
struct curve {
    double at_once;  /* z as they buy */
    double exponent; /* r + x */
    double scale;    /* alpha + t_x, weeks */
};

static struct curve curve_of(const struct tagd_churn_model *model, uint32_t x, double t_x)
{
    return (struct curve){.at_once = log(model->a / tagd_model_stayed(model, x)),
                          .exponent = model->r + (double)x,
                          .scale = model->alpha + t_x};
}

/* Never inlined: one body, so that a crossing and an evaluation round alike whatever the compiler makes of either. */
__attribute__((noinline)) static double alive(const struct curve *curve, double silence_weeks)
{
    double z = curve->at_once + curve->exponent * log1p(silence_weeks / curve->scale);
    return 1 / (1 + exp(fmin(rint(z * 0x1p48) * 0x1p-48, Z_MAX)));
}

double tagd_model_p_alive(const struct tagd_churn_model *model, uint32_t x, double t_x, double T)
{
    if (!tagd_model_speaks(model, x))
        return NAN;
    assert(t_x >= 0 && T >= t_x);
    struct curve curve = curve_of(model, x, t_x);
    return alive(&curve, T - t_x);
}

static double weeks(int64_t ms)
{
    return (double)ms / (double)TAGD_MODEL_WEEK;
}

static struct curve curve_at(const struct tagd_churn_model *model, const struct tagd_purchases *purchases)
{
    assert(purchases->first_ms <= purchases->last_ms && purchases->last_ms <= TAGD_TIME_MAX);
    return curve_of(model, purchases->x, weeks(purchases->last_ms - purchases->first_ms));
}

/* The longest silence that there can be. */
static int64_t end_of_silence(const struct tagd_purchases *purchases)
{
    int64_t end_ms = TAGD_TIME_MAX - purchases->last_ms;
    return end_ms < TAGD_MODEL_SILENCE_MAX ? end_ms : TAGD_MODEL_SILENCE_MAX;
}

double tagd_model_p_alive_at(const struct tagd_churn_model *model, const struct tagd_purchases *purchases,
                             int64_t now_ms)
{
    if (!tagd_model_speaks(model, purchases->x))
        return NAN;
    struct curve curve = curve_at(model, purchases);
    int64_t end_ms = end_of_silence(purchases);
    if (now_ms <= purchases->last_ms)
        return alive(&curve, 0);
    return alive(&curve, weeks(now_ms < purchases->last_ms + end_ms ? now_ms - purchases->last_ms : end_ms));
}

/* ---- crossing ---- */

struct level {
    struct curve curve;
    double level;
    bool at_most; /* P <= level, else P < level */
};

static bool crossed(const struct level *level, int64_t silence_ms)
{
    double p = alive(&level->curve, weeks(silence_ms));
    return level->at_most ? p <= level->level : p < level->level;
}

/* The closed form, as a silence of 1 ms to end_ms. Where there is none (a level of 1 and more, or 0 and less), any. */
static int64_t closed_form(const struct level *level, int64_t end_ms)
{
    double z = log((1 - level->level) / level->level);
    double silence = expm1((z - level->curve.at_once) / level->curve.exponent) * level->curve.scale;
    double ms = ceil(silence * (double)TAGD_MODEL_WEEK);
    if (!(ms >= 1))
        return 1;
    return ms < (double)end_ms ? (int64_t)ms : end_ms;
}

/* The first silence at which the level is crossed, knowing that it isn't at `before`, and is at `after`. Looks around the
 * guess in steps that double, since it is off by a few milliseconds at most where double precision allows, then halves. */
static int64_t first_crossed(const struct level *level, int64_t before, int64_t after, int64_t guess)
{
    if (crossed(level, guess)) {
        after = guess;
        for (int64_t step = 1; after - step > before; step *= 2) {
            if (!crossed(level, after - step)) {
                before = after - step;
                break;
            }
            after -= step;
        }
    } else {
        before = guess;
        for (int64_t step = 1; before + step < after; step *= 2) {
            if (crossed(level, before + step)) {
                after = before + step;
                break;
            }
            before += step;
        }
    }
    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;
        if (crossed(level, middle))
            after = middle;
        else
            before = middle;
    }
    return after;
}

static int64_t crossing_ms(const struct tagd_churn_model *model, const struct tagd_purchases *purchases, double value,
                           bool at_most)
{
    if (!tagd_model_speaks(model, purchases->x))
        return TAGD_NEVER;
    struct level level = {curve_at(model, purchases), value, at_most};
    int64_t end_ms = end_of_silence(purchases);
    if (crossed(&level, 0))
        return purchases->last_ms;
    if (!crossed(&level, end_ms))
        return TAGD_NEVER;
    return purchases->last_ms + first_crossed(&level, 0, end_ms, closed_form(&level, end_ms));
}

int64_t tagd_model_below_ms(const struct tagd_churn_model *model, const struct tagd_purchases *purchases, double level)
{
    return crossing_ms(model, purchases, level, false);
}

int64_t tagd_model_at_most_ms(const struct tagd_churn_model *model, const struct tagd_purchases *purchases,
                              double level)
{
    return crossing_ms(model, purchases, level, true);
}
