/* What the files of this room share: the odds against a customer who has just bought. */
#ifndef TAGD_MODEL_ODDS_H
#define TAGD_MODEL_ODDS_H

#include "tagd/model.h"

/* How often a customer with x repeat purchases has stayed, as the models count it, beside b: where BG/NBD has b + x - 1,
 * and MBG/NBD, whose customers may leave after the first purchase already, b + x. BG/NBD: x > 0. */
static inline double tagd_model_stayed(const struct tagd_churn_model *model, uint32_t x)
{
    return model->b + (model->kind == TAGD_BG_NBD ? (double)x - 1 : (double)x);
}

#endif
