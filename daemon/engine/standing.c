/* How a rule's outcome becomes the tag. Between the two stand, in this order:
 *
 *   for, min_dwell   the outcome is the rules' tag once it has been the outcome for as long as `for` says, without a
 *                    break, and once the rules' tag before has stood as long as its `min_dwell` says
 *   review           the rules' tag is proposed, and is approved or not
 *   an assignment    a person's word wins over all of that while it lasts
 *
 * Besides, what was(), previous() and held() read: how a dimension stood as the evaluation began. A view has a copy of
 * all this, so that looking ahead changes no profile; dimensions that have none of it are plain, and cost nothing here. */
#include "engine/eval.h"

#include <assert.h>

static struct tagd_str tag_text(const struct tagd_dimension *dimension, int32_t tag, const struct tagd_text *value)
{
    if (tag < 0)
        return (struct tagd_str){NULL, 0};
    return dimension->is_value ? tagd_text_str(value) : tagd_str_of(dimension->rules[tag].tag);
}

static struct outcome kept(struct view *view, uint32_t d, struct outcome outcome)
{
    if (view->catalog->dimensions[d].is_value && outcome.tag >= 0)
        outcome.text = tagd_arena_copy(&view->texts_arena, outcome.text.p, outcome.text.n);
    return outcome;
}

static bool same(struct outcome a, struct outcome b)
{
    return a.tag == b.tag && (a.tag < 0 || tagd_str_eq(a.text, b.text));
}

/* Texts are copied where the profile's own may be written before the view is done with. */
void tagd_standing_take(struct view *view, uint32_t d)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    const struct tagd_tag_state *state = tagd_tag_of(view->profile, d);
    struct standing *standing = &view->standings[d];
    const struct tagd_hold *hold = &state->hold;
    *standing = (struct standing){.changed = state->changed,
                                  .at = state->at,
                                  .assigned = state->assigned,
                                  .tag = {state->tag, tag_text(dimension, state->tag, &state->text)},
                                  .before = {state->prev, tag_text(dimension, state->prev, &state->prev_text)},
                                  .rule = {hold->rule, tag_text(dimension, hold->rule, &hold->rule_text)},
                                  .wanted = {hold->wanted, tag_text(dimension, hold->wanted, &hold->wanted_text)},
                                  .waits = hold->waits,
                                  .rule_at = hold->rule_at,
                                  .wanted_at = hold->wanted_at,
                                  .review = state->review};
    standing->tag = kept(view, d, standing->tag);
    standing->before = kept(view, d, standing->before);
    standing->rule = kept(view, d, standing->rule);
    standing->wanted = kept(view, d, standing->wanted);
}

/* ---- for, min_dwell ---- */

/* When the outcome that waits is the rules' tag, if it stays. */
static int64_t ripe_at(const struct tagd_dimension *dimension, const struct standing *standing)
{
    int64_t held = standing->wanted_at +
                   (standing->wanted.tag < 0 ? dimension->for_ms : dimension->rules[standing->wanted.tag].for_ms);
    if (standing->rule.tag < 0)
        return held;
    int64_t dwelt = standing->rule_at + dimension->rules[standing->rule.tag].dwell_ms;
    return held > dwelt ? held : dwelt;
}

static struct outcome held_back(struct view *view, uint32_t d, struct outcome outcome, bool *moved)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    struct standing *standing = &view->standings[d];
    if (same(outcome, standing->rule)) {
        *moved |= standing->waits;
        standing->waits = false;
        return standing->rule;
    }
    if (!standing->waits || !same(outcome, standing->wanted)) {
        standing->waits = *moved = true;
        standing->wanted = kept(view, d, outcome);
        standing->wanted_at = view->now;
    }
    if (view->now < ripe_at(dimension, standing))
        return standing->rule;
    standing->rule = standing->wanted;
    standing->rule_at = view->now;
    standing->waits = false;
    *moved = true;
    return standing->rule;
}

/* ---- review ---- */

static void close_proposal(struct standing *standing, enum tagd_proposal_status status)
{
    standing->closed = status;
    standing->was_open = standing->review;
    standing->review.open = 0;
}

/* What a person said of the open proposal, or that nobody did. */
static void decide(const struct tagd_dimension *dimension, struct standing *standing, int64_t now)
{
    struct tagd_review *review = &standing->review;
    if (!review->open)
        return;
    bool expired = dimension->expires_ms && now >= review->proposed_at + dimension->expires_ms;
    if (standing->decision == TAGD_PROPOSAL_OPEN && !expired)
        return;
    close_proposal(standing, standing->decision == TAGD_PROPOSAL_OPEN ? TAGD_PROPOSAL_EXPIRED : standing->decision);
    if (standing->decision == TAGD_PROPOSAL_APPROVED) {
        review->approved = review->proposed;
    } else {
        review->declined = true;
        review->declined_tag = review->proposed;
    }
}

/* The rules' tag is proposed if it isn't the approved one, unless it was declined and the rules have said nothing else
 * since, or a person has assigned a tag. */
static struct outcome reviewed(struct view *view, uint32_t d, struct outcome rule, bool assigned, bool *moved)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    struct standing *standing = &view->standings[d];
    struct tagd_review *review = &standing->review;
    bool was_declined = review->declined;
    standing->closed = TAGD_PROPOSAL_OPEN;
    decide(dimension, standing, view->now);
    if (review->open && (assigned || review->proposed != rule.tag))
        close_proposal(standing, TAGD_PROPOSAL_WITHDRAWN);
    if (review->declined && review->declined_tag != rule.tag)
        review->declined = false;
    bool opens =
        !review->open && !assigned && rule.tag != review->approved && !review->declined && !view->proposes_none;
    if (opens) {
        review->open = TAGD_PROPOSAL_UNNUMBERED;
        review->proposed = rule.tag;
        review->proposed_at = view->now;
    }
    *moved |= opens || standing->closed != TAGD_PROPOSAL_OPEN || review->declined != was_declined;
    return (struct outcome){review->approved, tag_text(dimension, review->approved, NULL)};
}

/* ---- assignments ---- */

static bool is_assigned(const struct tagd_assignment_state *assignment, int64_t now)
{
    return assignment->known && assignment->tag >= 0 && now < assignment->until_ms;
}

bool tagd_stand(struct view *view, uint32_t d)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    const struct tagd_assignment_state *assignment = &view->profile->tag_states[d].assignment;
    struct standing *standing = &view->standings[d];
    struct outcome outcome = {view->tags[d], view->texts[d]};
    bool moved = false, assigned = is_assigned(assignment, view->now);
    if (dimension->holds_back)
        outcome = held_back(view, d, outcome, &moved);
    if (dimension->assign == TAGD_ASSIGN_REVIEW)
        outcome = reviewed(view, d, outcome, assigned, &moved);
    moved |= assigned != standing->assigned;
    standing->assigned = assigned;
    if (assigned)
        outcome = (struct outcome){assignment->tag, tag_text(dimension, assignment->tag, NULL)};
    view->tags[d] = outcome.tag;
    view->texts[d] = outcome.text;
    return moved;
}

int64_t tagd_standing_stable(const struct view *view, uint32_t d)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    const struct tagd_assignment_state *assignment = &view->profile->tag_states[d].assignment;
    const struct standing *standing = &view->standings[d];
    int64_t stable = TAGD_NEVER;
    if (standing->waits)
        stable = ripe_at(dimension, standing);
    if (is_assigned(assignment, view->now) && assignment->until_ms < stable)
        stable = assignment->until_ms;
    if (standing->review.open && dimension->expires_ms && standing->review.proposed_at + dimension->expires_ms < stable)
        stable = standing->review.proposed_at + dimension->expires_ms;
    return stable > view->now ? stable : view->now + 1;
}

bool tagd_standing_follow(struct view *view, uint32_t d)
{
    struct standing *standing = &view->standings[d];
    struct outcome outcome = {view->tags[d], view->texts[d]};
    if (same(outcome, standing->tag))
        return false;
    standing->before = standing->tag;
    standing->tag = kept(view, d, outcome);
    standing->at = view->now;
    standing->changed = true;
    return true;
}

/* ---- for explain ---- */

static struct tagd_tag tag_of(struct outcome outcome)
{
    return (struct tagd_tag){outcome.tag, outcome.text};
}

bool tagd_standing_holding(const struct view *view, uint32_t d, struct tagd_holding *holding)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    const struct standing *standing = &view->standings[d];
    *holding = (struct tagd_holding){.rule = {-1, {NULL, 0}}, .wanted = {-1, {NULL, 0}}};
    if (!dimension->holds_back)
        return false;
    holding->rule = tag_of(standing->rule);
    holding->rule_since_ms = standing->rule_at;
    holding->waits = standing->waits;
    if (!standing->waits)
        return true;
    holding->wanted = tag_of(standing->wanted);
    holding->wanted_since_ms = standing->wanted_at;
    holding->due_ms = ripe_at(dimension, standing);
    return true;
}

/* ---- into the profile ---- */

static void set_text(struct tagd_text *text, const struct tagd_dimension *dimension, struct outcome outcome)
{
    if (dimension->is_value && outcome.tag >= 0)
        tagd_text_set(text, outcome.text);
}

void tagd_standing_give(const struct view *view, uint32_t d, struct tagd_tag_state *state)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    const struct standing *standing = &view->standings[d];
    struct tagd_hold *hold = &state->hold;
    state->assigned = standing->assigned;
    state->review = standing->review;
    hold->rule = standing->rule.tag;
    hold->wanted = standing->wanted.tag;
    hold->waits = standing->waits;
    hold->rule_at = standing->rule_at;
    hold->wanted_at = standing->wanted_at;
    set_text(&hold->rule_text, dimension, standing->rule);
    set_text(&hold->wanted_text, dimension, standing->wanted);
}
