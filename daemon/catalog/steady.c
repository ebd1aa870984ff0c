/* Dimensions whose next instant an event can only put off, as long as it leaves their tags as they are.
 *
 * With D the instant until which time by itself changed nothing before the event, let the event change no tag. A rule's
 * condition is
 *   rising    if no event makes it hold less, now or at any later instant, and time alone never makes it hold:
 *             count(E[30d]) >= 2, since(E) < 30d
 *   falling   if no event makes it hold more, and time alone never ends it: count(E[30d]) < 2, since(E) >= 30d
 * Then up to D the rule that won goes on to hold: it did so up to D without the event and holds no less (rising), or it
 * holds now and time doesn't end it (falling). And no rule before it comes to hold: it doesn't now and time doesn't bring
 * it about (rising), or it didn't up to D without the event and holds no more (falling). So D still stands and need not be
 * looked for again. "and" and "or" of conditions of one sort are of that sort; what neither events nor time change is of
 * both; and a rule that time doesn't change at all is as good.
 *
 * The engine looks again where this doesn't apply: a tag changed, an event was the first of a since(), sums have negative
 * parts, something was dropped at a limit, or an attribute or a person's word came. */
#include "catalog/load.h"

enum { NEITHER = 0, RISING = 1, FALLING = 2, BOTH = RISING | FALLING };

/* Of a value that events raise and time lowers, whether it is above or below. */
static unsigned of_raised(enum tagd_node_kind comparison)
{
    switch (comparison) {
    case TAGD_N_GE:
    case TAGD_N_GT: return RISING;
    case TAGD_N_LE:
    case TAGD_N_LT: return FALLING;
    default: return NEITHER;
    }
}

static unsigned of_comparison(const struct tagd_catalog *catalog, const struct tagd_node *node)
{
    if (!node->value)
        return NEITHER;
    switch (node->value->kind) {
    case TAGD_N_LITERAL:
    case TAGD_N_DIMENSION: return BOTH;
    case TAGD_N_COUNT:
    case TAGD_N_SUM:
    case TAGD_N_DAYS:
    case TAGD_N_DISTINCT: return catalog->windows[node->value->index].offset_ms == 0 ? of_raised(node->op) : NEITHER;
    case TAGD_N_SINCE:
    case TAGD_N_SINCE_FIRST: return of_raised(node->op) == NEITHER ? NEITHER : of_raised(node->op) ^ BOTH;
    default: return NEITHER;
    }
}

static unsigned of_condition(const struct tagd_catalog *catalog, const struct tagd_node *node)
{
    node = tagd_behind_metric(catalog, node);
    switch (node->kind) {
    case TAGD_N_LITERAL: return BOTH;
    case TAGD_N_AND:
    case TAGD_N_OR: return of_condition(catalog, node->a) & of_condition(catalog, node->b);
    case TAGD_N_EQ:
    case TAGD_N_NE:
    case TAGD_N_LT:
    case TAGD_N_LE:
    case TAGD_N_GT:
    case TAGD_N_GE: return of_comparison(catalog, node);
    default: return NEITHER;
    }
}

static bool looks(const struct tagd_catalog *catalog, const struct tagd_dimension *dimension)
{
    bool any = false;
    for (uint32_t i = 0; i < catalog->n_dimensions; i++)
        any |= dimension->looks[i];
    return any;
}

void tagd_load_steady(struct tagd_catalog *catalog)
{
    for (uint32_t d = 0; d < catalog->n_dimensions; d++) {
        struct tagd_dimension *dimension = &catalog->dimensions[d];
        dimension->steady =
            !dimension->holds_back && dimension->assign == TAGD_ASSIGN_AUTO && !looks(catalog, dimension);
        for (uint32_t i = 0; i < dimension->n_rules && dimension->steady; i++) {
            const struct tagd_node *when = dimension->rules[i].when;
            dimension->steady = !when || !when->timed || (!dimension->is_value && of_condition(catalog, when));
        }
    }
}
