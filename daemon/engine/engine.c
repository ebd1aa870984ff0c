/* Applying events and the passing of time to a profile.
 *
 * profile->due is a lower bound on the next instant at which time alone changes a tag. An event can bring it forward
 * only through the dimensions it touches, so after an event those alone are looked at; for the others the old bound
 * stands. */
#include "tagd/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/eval.h"

#define DUE_STEPS_MAX 64 /* instants looked at for `due`; past it the bound is early and is looked at again then */
#define DUE_DECISIONS_MAX 20000    /* of all searches for one `due` */
#define UNTIL_DECISIONS_MAX 400000 /* of all searches for one `valid_until`; past it none is told */
#define UNTIL_STEPS_MAX 200000 /* instants looked at for `valid_until`: far more than a horizon of minute panes has */

struct tagd_engine {
    const struct tagd_catalog *catalog;
    int64_t horizon_ms;
    struct view now, scan, walk;
    int64_t decisions;
    uint64_t *flags, *closure; /* sets: dimensions at work; and all they need */
    uint64_t *at_first;        /* set: those that a customer's first event is evaluated for, whatever it touches */
    uint64_t *changed;         /* set: dimensions, by number, in the present evaluation */
    uint64_t *settled;         /* set: those that it evaluated, by number */
    bool *from_by;             /* dimensions whose tag before was a person's */
    bool unsteady;             /* the present event may bring forward what time does even to tags it leaves alone */
    bool *reached;             /* goals that the present event reaches if they run */
    enum tagd_telling telling;
    bool repairs;     /* what was published otherwise is evaluated */
    uint32_t decided; /* the dimension whose proposal the present event decides about */
    enum tagd_proposal_status decision;
    struct tagd_watcher watcher; /* moved NULL: nobody watches */
    uint64_t untold;             /* evaluations that changed tags since; only ever raised */
    struct tagd_limits limits;
};

/* ---- life ---- */

static void view_new(struct view *view, const struct tagd_catalog *catalog)
{
    view->catalog = catalog;
    view->stamp = 1;
    view->stands = !tagd_set_empty(catalog->standing, catalog->set_words);
    view->cursors = tagd_xcalloc(catalog->n_windows + 1, sizeof *view->cursors);
    view->tags = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *view->tags);
    view->texts = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *view->texts);
    view->scratch = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *view->scratch);
    view->stable = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *view->stable);
    view->own = tagd_xcalloc(catalog->set_words + 1, sizeof *view->own);
    view->evaluated = tagd_xcalloc(catalog->set_words + 1, sizeof *view->evaluated);
    view->standings = tagd_xcalloc(catalog->n_dimensions + 1, sizeof *view->standings);
    for (uint32_t i = 0; i < catalog->n_windows; i++) {
        const struct tagd_window *window = &catalog->windows[i];
        uint32_t n_columns = window->values ? 0 : catalog->stores[window->store].n_columns;
        view->cursors[i].sums = tagd_xcalloc(n_columns + 1, sizeof *view->cursors[i].sums);
        view->cursors[i].best = tagd_xcalloc(n_columns + 1, sizeof *view->cursors[i].best);
    }
}

static void view_free(struct view *view)
{
    for (uint32_t i = 0; i < view->catalog->n_windows; i++) {
        free(view->cursors[i].sums);
        free(view->cursors[i].best);
        free(view->cursors[i].counts);
    }
    free(view->cursors);
    free(view->tags);
    free(view->texts);
    free(view->scratch);
    free(view->stable);
    free(view->own);
    free(view->evaluated);
    free(view->standings);
    tagd_arena_free(&view->texts_arena);
}

static void flag_at_first(struct tagd_engine *engine);

struct tagd_engine *tagd_engine_new(const struct tagd_catalog *catalog, int64_t horizon_ms)
{
    struct tagd_engine *engine = tagd_xcalloc(1, sizeof *engine);
    engine->catalog = catalog;
    engine->horizon_ms = horizon_ms;
    view_new(&engine->now, catalog);
    view_new(&engine->scan, catalog);
    view_new(&engine->walk, catalog);
    engine->now.walk = engine->scan.walk = &engine->walk;
    engine->now.decisions = engine->scan.decisions = engine->walk.decisions = &engine->decisions;
    engine->scan.base = &engine->now;
    engine->flags = tagd_xcalloc(catalog->set_words + 1, sizeof *engine->flags);
    engine->closure = tagd_xcalloc(catalog->set_words + 1, sizeof *engine->closure);
    engine->changed = tagd_xcalloc(catalog->set_words + 1, sizeof *engine->changed);
    engine->settled = tagd_xcalloc(catalog->set_words + 1, sizeof *engine->settled);
    engine->from_by = tagd_xcalloc(catalog->n_dimensions + 1, 1);
    engine->reached = tagd_xcalloc(catalog->n_goals + 1, 1);
    engine->at_first = tagd_xcalloc(catalog->set_words + 1, sizeof *engine->at_first);
    flag_at_first(engine);
    return engine;
}

void tagd_engine_free(struct tagd_engine *engine)
{
    if (!engine)
        return;
    view_free(&engine->now);
    view_free(&engine->scan);
    view_free(&engine->walk);
    free(engine->flags);
    free(engine->closure);
    free(engine->changed);
    free(engine->settled);
    free(engine->from_by);
    free(engine->reached);
    free(engine->at_first);
    free(engine);
}

void tagd_engine_telling(struct tagd_engine *engine, enum tagd_telling telling)
{
    engine->telling = telling;
    engine->now.proposes_none = engine->scan.proposes_none = telling == TAGD_BASELINE;
}

void tagd_engine_watch(struct tagd_engine *engine, struct tagd_watcher watcher)
{
    engine->watcher = watcher;
}

uint64_t tagd_engine_untold(const struct tagd_engine *engine)
{
    return engine->untold;
}

const struct tagd_limits *tagd_engine_limits(const struct tagd_engine *engine)
{
    return &engine->limits;
}

/* ---- evaluation ---- */

/* A value as a tag's text: in the view's scratch, or where the string is. */
static struct tagd_str text_of(struct view *view, uint32_t d, struct tagd_val val)
{
    char *scratch = view->scratch[d];
    switch (val.kind) {
    case TAGD_V_STRING: return val.u.s;
    case TAGD_V_BOOL: return val.u.b ? TAGD_STR("true") : TAGD_STR("false");
    case TAGD_V_DECIMAL: return (struct tagd_str){scratch, tagd_decimal_format(val.u.d, scratch)};
    case TAGD_V_TIME: return (struct tagd_str){scratch, tagd_time_format(val.u.i, scratch)};
    case TAGD_V_DATE: return (struct tagd_str){scratch, tagd_date_format(val.u.i, scratch)};
    default: assert(false && "a duration or a double is no tag"); return TAGD_STR("");
    }
}
_Static_assert(VALUE_TEXT >= TAGD_DECIMAL_TEXT && VALUE_TEXT >= TAGD_TIME_TEXT, "a value's text fits");

/* The first rule that holds; -1: none. */
static int32_t winner_of(struct view *view, const struct tagd_dimension *dimension)
{
    for (uint32_t i = 0; i < dimension->n_rules && dimension->assign != TAGD_ASSIGN_MANUAL; i++) {
        if (tagd_holds(view, dimension->rules[i].when))
            return (int32_t)i;
    }
    return -1;
}

/* Sets the view's tag of the dimension. Whether its standing moved. */
static bool evaluate_dimension(struct view *view, uint32_t d)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    tagd_set_add(view->own, dimension->place);
    if (dimension->is_value) {
        struct tagd_val val = tagd_eval(view, dimension->rules[0].when);
        view->tags[d] = val.kind == TAGD_V_NULL ? -1 : 0;
        if (val.kind != TAGD_V_NULL)
            view->texts[d] = text_of(view, d, val);
    } else {
        view->tags[d] = winner_of(view, dimension);
        if (view->tags[d] >= 0)
            view->texts[d] = tagd_str_of(dimension->rules[view->tags[d]].tag);
    }
    return !tagd_is_plain(view, d) && tagd_stand(view, d);
}

static struct tagd_tag named(const struct tagd_catalog *catalog, uint32_t d, int32_t tag, struct tagd_str value)
{
    const struct tagd_dimension *dimension = &catalog->dimensions[d];
    if (tag < 0)
        return (struct tagd_tag){-1, {NULL, 0}};
    return (struct tagd_tag){tag, dimension->is_value ? value : tagd_str_of(dimension->rules[tag].tag)};
}

static struct tagd_tag tag_of(const struct view *view, uint32_t d)
{
    return named(view->catalog, d, view->tags[d], view->texts[d]);
}

/* Whether the view's tag differs from the profile's. */
static bool differs(const struct view *view, uint32_t d)
{
    const struct tagd_tag_state *state = tagd_tag_of(view->profile, d);
    if (view->tags[d] != state->tag)
        return true;
    return state->tag >= 0 && view->catalog->dimensions[d].is_value &&
           !tagd_str_eq(view->texts[d], tagd_text_str(&state->text));
}

/* How those of the set stand that are not plain; NULL: of all. */
static void take_standings(struct view *view, const uint64_t *of)
{
    if (!view->stands && view->profile->n_assignments == 0)
        return;
    const struct tagd_catalog *catalog = view->catalog;
    TAGD_EACH (i, catalog->standing, catalog->set_words) {
        if (!of || tagd_set_has(of, i))
            tagd_standing_take(view, catalog->order[i]);
    }
    TAGD_EACH_TOUCHED (d, view->profile, TAGD_TAGS) {
        if (view->profile->tag_states[d].assignment.known &&
            !tagd_set_has(catalog->standing, catalog->dimensions[d].place))
            tagd_standing_take(view, d);
    }
}

/* The winner stands until it, or a rule before it, turns. */
static int64_t stable_dimension(struct view *view, uint32_t d)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    bool plain = tagd_is_plain(view, d);
    int32_t winner = plain || dimension->is_value ? tagd_view_tag(view, d) : winner_of(view, dimension);
    uint32_t last = winner < 0 ? dimension->n_rules : (uint32_t)winner + 1;
    int64_t stable = plain ? TAGD_NEVER : tagd_standing_stable(view, d);
    for (uint32_t i = 0; i < last && dimension->assign != TAGD_ASSIGN_MANUAL; i++) {
        int64_t at = tagd_stable(view, dimension->rules[i].when);
        stable = at < stable ? at : stable;
    }
    return stable;
}

/* The profile has changed, or is another one: nothing known of it holds. What is asked of it then is of these dimensions;
 * NULL: of any. */
static void view_reset(struct tagd_engine *engine, const struct tagd_profile *profile, int64_t now, const uint64_t *of)
{
    engine->now.profile = profile;
    engine->now.stamp++;
    engine->now.now = now;
    engine->now.negative = false;
    tagd_arena_reset(&engine->now.texts_arena);
    tagd_set_clear(engine->now.own, engine->catalog->set_words);
    take_standings(&engine->now, of);
    if (engine->decision != TAGD_PROPOSAL_OPEN)
        engine->now.standings[engine->decided].decision = engine->decision;
}

/* The dimension changed at the view's instant: those that look at how it stood are evaluated in the next millisecond. */
static void stir(struct view *view, const uint64_t *flags, uint32_t d)
{
    const struct tagd_dimension *dimension = &view->catalog->dimensions[d];
    if (!dimension->remembered || view->chase.n >= TAGD_CHASE_MAX)
        return;
    TAGD_EACH (i, dimension->stirs, view->catalog->set_words) {
        if (tagd_set_has(flags, i))
            view->stable[view->catalog->order[i]] = view->now + 1;
    }
}

/* As the profile stands at the view's instant, which has been evaluated. */
static void scan_begin(struct view *scan, const struct tagd_profile *profile, int64_t now, const uint64_t *flags)
{
    const struct tagd_catalog *catalog = scan->catalog;
    scan->profile = profile;
    scan->stamp++;
    scan->now = now;
    scan->chase = profile->chase;
    tagd_arena_reset(&scan->texts_arena);
    tagd_set_clear(scan->own, catalog->set_words);
    take_standings(scan, flags);
    TAGD_EACH (i, flags, catalog->set_words)
        scan->stable[catalog->order[i]] = INT64_MIN;
    TAGD_EACH (d, catalog->remembered, catalog->set_words) {
        if (tagd_tag_of(profile, d)->changed && tagd_tag_of(profile, d)->at == now)
            stir(scan, flags, d);
    }
}

/* What was evaluated is how the dimensions stand from now on. */
static void follow(struct view *scan, const uint64_t *flags)
{
    const struct tagd_catalog *catalog = scan->catalog;
    bool any = false;
    TAGD_EACH (i, scan->evaluated, catalog->set_words) {
        uint32_t d = catalog->order[i];
        if (tagd_is_plain(scan, d) || !tagd_standing_follow(scan, d))
            continue;
        any |= catalog->dimensions[d].remembered;
        stir(scan, flags, d);
    }
    if (any)
        tagd_chase_step(&scan->chase, scan->now);
}

/* Evaluates what doesn't stand any longer at the scan's instant. Whether the profile would change (target < 0: any of
 * it; else: the target's tag). */
static bool scan_step(struct view *scan, const uint64_t *flags, int64_t target)
{
    const struct tagd_catalog *catalog = scan->catalog;
    bool changed = false;
    tagd_set_clear(scan->evaluated, catalog->set_words);
    TAGD_EACH (i, flags, catalog->set_words) {
        uint32_t d = catalog->order[i];
        if (scan->stable[d] > scan->now)
            continue;
        tagd_set_add(scan->evaluated, i);
        bool moved = evaluate_dimension(scan, d);
        changed = changed || (target < 0 ? moved || differs(scan, d) : d == (uint32_t)target && differs(scan, d));
    }
    if (!changed)
        follow(scan, flags);
    return changed;
}

/* The first instant in (from, end] at which a tag of `flags` (or the tag of `target` alone, if >= 0) changes with time;
 * at most `steps` instants are looked at, then *exact is false and the instant is a lower bound. TAGD_NEVER: none. */
static int64_t scan_next(struct tagd_engine *engine, const struct tagd_profile *profile, const uint64_t *flags,
                         int64_t target, int64_t end, int steps, struct tagd_tag *then)
{
    const struct tagd_catalog *catalog = engine->catalog;
    struct view *scan = &engine->scan;
    engine->decisions = target < 0 ? DUE_DECISIONS_MAX : UNTIL_DECISIONS_MAX;
    scan_begin(scan, profile, engine->now.now, flags);
    for (;;) {
        int64_t next = TAGD_NEVER;
        TAGD_EACH (i, flags, catalog->set_words) {
            uint32_t d = catalog->order[i];
            if (scan->stable[d] <= scan->now)
                scan->stable[d] = stable_dimension(scan, d);
            next = scan->stable[d] < next ? scan->stable[d] : next;
        }
        if (next > end || next >= TAGD_TIME_MAX)
            return TAGD_NEVER;
        scan->now = next;
        bool changed = scan_step(scan, flags, target);
        if (changed && target >= 0)
            *then = tag_of(scan, (uint32_t)target);
        if (changed)
            return next;
        if (--steps <= 0 || engine->decisions < 0)
            return target < 0 ? next : TAGD_NEVER;
    }
}

static enum tagd_origin origin_of(const struct tagd_engine *engine, uint32_t d, const struct tagd_event *cause)
{
    if (!cause)
        return engine->repairs ? TAGD_BY_REPAIR : TAGD_BY_TIME;
    if ((cause->type == TAGD_TYPE_TAG_ASSIGNED || cause->type == TAGD_TYPE_TAG_CLEARED) &&
        cause->verdict.dimension == (int32_t)d)
        return TAGD_BY_HAND;
    return engine->decision != TAGD_PROPOSAL_OPEN && engine->decided == d ? TAGD_BY_REVIEW : TAGD_BY_EVENT;
}

static void add_goal(const struct tagd_catalog *catalog, uint32_t goal, int64_t started, struct tagd_change *change)
{
    change->goal_started_ms = started;
    change->deadline_ms = started + catalog->goals[goal].within_ms;
}

static void tell_tag(struct tagd_engine *engine, struct tagd_profile *profile, uint32_t d,
                     const struct tagd_event *cause, enum tagd_origin origin, struct tagd_sink sink)
{
    const struct tagd_tag_state *state = tagd_tag_of(profile, d);
    enum tagd_kind kind = engine->catalog->dimensions[d].kind;
    int64_t at = engine->now.now;
    if (kind == TAGD_KIND_TAG)
        profile->changed_at = at;
    struct tagd_change change = {.kind = kind,
                                 .engine = engine,
                                 .profile = profile,
                                 .dimension = d,
                                 .from = named(engine->catalog, d, state->prev, tagd_text_str(&state->prev_text)),
                                 .to = tag_of(&engine->now, d),
                                 .revision = ++profile->revision[kind],
                                 .time_ms = at,
                                 .origin = origin,
                                 .cause = cause,
                                 .from_by = engine->from_by[d],
                                 .goal = tagd_catalog_goal_of(engine->catalog, d, state->tag)};
    if (change.goal >= 0)
        add_goal(engine->catalog, (uint32_t)change.goal, profile->goals[change.goal].started, &change);
    if (state->assigned)
        tagd_profile_assignment(profile, d, &change.by);
    tagd_engine_next(engine, profile, d, at, &change.valid_until_ms, &change.then);
    sink.change(sink.self, &change);
}

/* Of a proposal: that it was made, or what became of it. */
static void tell_proposal(struct tagd_engine *engine, const struct tagd_profile *profile, uint32_t d,
                          const struct tagd_review *review, enum tagd_proposal_status status, uint64_t revision,
                          const struct tagd_event *cause, struct tagd_sink sink)
{
    const struct tagd_dimension *dimension = &engine->catalog->dimensions[d];
    struct tagd_change change = {.kind = TAGD_KIND_PROPOSAL,
                                 .engine = engine,
                                 .profile = profile,
                                 .dimension = d,
                                 .from = named(engine->catalog, d, review->approved, TAGD_STR("")),
                                 .to = named(engine->catalog, d, review->proposed, TAGD_STR("")),
                                 .revision = revision,
                                 .time_ms = engine->now.now,
                                 .valid_until_ms =
                                     dimension->expires_ms ? review->proposed_at + dimension->expires_ms : TAGD_NEVER,
                                 .then = {-1, {NULL, 0}},
                                 .origin = origin_of(engine, d, cause),
                                 .cause = cause,
                                 .status = status,
                                 .proposal = review->open,
                                 .goal = -1};
    sink.change(sink.self, &change);
}

/* Numbers what became of the dimension's proposals in this evaluation, and tells it. Whether anything did. */
static bool settle_proposal(struct tagd_engine *engine, struct tagd_profile *profile, uint32_t d,
                            const struct tagd_event *cause, struct tagd_sink sink)
{
    const struct standing *standing = &engine->now.standings[d];
    struct tagd_review *review = &tagd_touch_tag(profile, d)->review;
    uint64_t *revision = &profile->revision[TAGD_KIND_PROPOSAL];
    bool told = engine->telling == TAGD_TOLD;
    if (standing->closed != TAGD_PROPOSAL_OPEN) {
        ++*revision;
        if (told)
            tell_proposal(engine, profile, d, &standing->was_open, standing->closed, *revision, cause, sink);
    }
    if (standing->review.open == TAGD_PROPOSAL_UNNUMBERED) {
        review->open = ++*revision;
        if (told)
            tell_proposal(engine, profile, d, review, TAGD_PROPOSAL_OPEN, *revision, cause, sink);
    }
    return standing->closed != TAGD_PROPOSAL_OPEN || standing->review.open == TAGD_PROPOSAL_UNNUMBERED;
}

/* ---- goals ---- */

static void tell_goal(struct tagd_engine *engine, const struct tagd_profile *profile, uint32_t goal,
                      const struct tagd_event *cause, struct tagd_sink sink)
{
    const struct tagd_goal *of = &engine->catalog->goals[goal];
    const struct tagd_goal_state *state = &profile->goals[goal];
    bool reached = state->outcome == TAGD_GOAL_REACHED;
    struct tagd_change change = {.kind = TAGD_KIND_GOAL,
                                 .engine = engine,
                                 .profile = profile,
                                 .dimension = of->dimension,
                                 .from = {-1, {NULL, 0}},
                                 .to = named(engine->catalog, of->dimension, (int32_t)of->tag, TAGD_STR("")),
                                 .revision = state->revision,
                                 .time_ms = engine->now.now,
                                 .valid_until_ms = TAGD_NEVER,
                                 .then = {-1, {NULL, 0}},
                                 .origin = reached ? TAGD_BY_EVENT : TAGD_BY_TIME,
                                 .cause = reached ? cause : NULL,
                                 .goal = (int32_t)goal,
                                 .outcome = state->outcome};
    add_goal(engine->catalog, goal, state->ended_started, &change);
    sink.change(sink.self, &change);
}

/* Goals that the present event has reached, or whose time is over. Whether there are any. */
static bool end_goals(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *cause,
                      struct tagd_sink sink)
{
    bool any = false;
    TAGD_EACH_TOUCHED (i, profile, TAGD_GOALS) {
        struct tagd_goal_state *state = &profile->goals[i];
        bool over = engine->now.now >= state->started + engine->catalog->goals[i].within_ms;
        bool reached = cause && engine->reached[i] && cause->time_ms >= state->started;
        if (!state->running || !(over || reached))
            continue;
        any = true;
        state->running = false;
        state->outcome = over ? TAGD_GOAL_MISSED : TAGD_GOAL_REACHED;
        state->ended_started = state->started;
        state->ended = engine->now.now;
        state->revision = engine->telling == TAGD_BASELINE ? 0 : ++profile->revision[TAGD_KIND_GOAL];
        if (engine->watcher.goal)
            engine->watcher.goal(engine->watcher.to, i, state->started, state->outcome);
        if (engine->telling == TAGD_TOLD)
            tell_goal(engine, profile, i, cause, sink);
    }
    return any;
}

/* A goal that runs already goes on. */
static void start_goals(struct tagd_engine *engine, struct tagd_profile *profile)
{
    bool any = !tagd_set_empty(engine->changed, engine->catalog->set_words);
    for (uint32_t i = 0; any && i < engine->catalog->n_goals; i++) {
        const struct tagd_goal *goal = &engine->catalog->goals[i];
        struct tagd_goal_state *state = &profile->goals[i];
        if (state->running || !tagd_set_has(engine->changed, goal->dimension) ||
            tagd_tag_of(profile, goal->dimension)->tag != (int32_t)goal->tag)
            continue;
        tagd_touch_goal(profile, i)->running = true;
        state->started = engine->now.now;
        if (engine->watcher.goal)
            engine->watcher.goal(engine->watcher.to, i, state->started, TAGD_GOAL_NONE);
    }
}

/* The earliest instant at which a goal that runs is missed. */
static int64_t goals_due(const struct tagd_profile *profile)
{
    int64_t due = TAGD_NEVER;
    TAGD_EACH_TOUCHED (i, profile, TAGD_GOALS) {
        const struct tagd_goal_state *state = &profile->goals[i];
        int64_t deadline = state->started + profile->catalog->goals[i].within_ms;
        if (state->running && deadline < due)
            due = deadline;
    }
    return due;
}

static void tell_move(const struct tagd_engine *engine, const struct tagd_profile *profile, uint32_t d)
{
    const struct tagd_tag_state *state = tagd_tag_of(profile, d);
    engine->watcher.moved(engine->watcher.to, d,
                          named(engine->catalog, d, state->prev, tagd_text_str(&state->prev_text)),
                          tag_of(&engine->now, d), engine->now.now);
}

static bool tell_dimension(struct tagd_engine *engine, struct tagd_profile *profile, uint32_t d,
                           const struct tagd_event *cause, struct tagd_sink sink)
{
    const struct tagd_dimension *dimension = &engine->catalog->dimensions[d];
    bool any = dimension->assign == TAGD_ASSIGN_REVIEW && settle_proposal(engine, profile, d, cause, sink);
    if (!tagd_set_has(engine->changed, d))
        return any;
    if (engine->watcher.moved)
        tell_move(engine, profile, d);
    if (engine->telling == TAGD_TOLD)
        tell_tag(engine, profile, d, cause, origin_of(engine, d, cause), sink);
    else if (dimension->kind == TAGD_KIND_TAG)
        profile->changed_at = engine->now.now;
    return true;
}

/* What the evaluation changed: goals that ended, then in catalog order the dimensions, of one its proposals first. */
static void tell_all(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *cause,
                     struct tagd_sink sink)
{
    const struct tagd_catalog *catalog = engine->catalog;
    bool any = end_goals(engine, profile, cause, sink);
    start_goals(engine, profile);
    const uint64_t *told = catalog->reviews ? engine->settled : engine->changed;
    TAGD_EACH (d, told, catalog->set_words)
        any |= tell_dimension(engine, profile, d, cause, sink);
    engine->untold += any && engine->telling != TAGD_TOLD;
}

/* The present tag becomes the one before, and the view's the present. */
static void set_tag(struct tagd_tag_state *state, const struct view *now, uint32_t d)
{
    struct tagd_text before = state->text;
    state->text = state->prev_text;
    state->prev_text = before;
    state->prev = state->tag;
    state->tag = now->tags[d];
    state->at = now->now;
    state->changed = true;
    if (now->catalog->dimensions[d].is_value && state->tag >= 0)
        tagd_text_set(&state->text, now->texts[d]);
}

/* Whether dimensions that rules look back at change a millisecond after the other, by themselves. */
static void see_chase(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *cause)
{
    bool any = false;
    TAGD_EACH (d, engine->changed, engine->catalog->set_words)
        any |= engine->catalog->dimensions[d].remembered;
    if (cause)
        profile->chase = (struct tagd_chase){0};
    if (!any)
        return;
    tagd_chase_step(&profile->chase, engine->now.now);
    engine->limits.chases += profile->chase.n == TAGD_CHASE_MAX;
}

/* flags and all they need. */
static const uint64_t *closure_of(struct tagd_engine *engine, const uint64_t *flags)
{
    const struct tagd_catalog *catalog = engine->catalog;
    memcpy(engine->closure, flags, catalog->set_words * sizeof *flags);
    TAGD_EACH (i, flags, catalog->set_words) {
        const struct tagd_dimension *dimension = &catalog->dimensions[catalog->order[i]];
        if (!dimension->alone)
            tagd_set_join(engine->closure, dimension->reads, catalog->set_words);
    }
    return engine->closure;
}

/* The view at `at`, for the flagged dimensions; drivers of churn may ask of any. */
static void view_flagged(struct tagd_engine *engine, const struct tagd_profile *profile, const uint64_t *flags,
                         int64_t at)
{
    const struct tagd_catalog *catalog = engine->catalog;
    bool all = catalog->churn.given || !engine->now.stands;
    view_reset(engine, profile, at, all ? NULL : closure_of(engine, flags));
}

/* Evaluates the flagged dimensions at `at` and tells the sink what changed, in catalog order. */
static void settle(struct tagd_engine *engine, struct tagd_profile *profile, const uint64_t *flags, int64_t at,
                   const struct tagd_event *cause, struct tagd_sink sink)
{
    const struct tagd_catalog *catalog = engine->catalog;
    view_flagged(engine, profile, flags, at);
    tagd_set_clear(engine->changed, catalog->set_words);
    tagd_set_clear(engine->settled, catalog->set_words);
    TAGD_EACH (i, flags, catalog->set_words)
        evaluate_dimension(&engine->now, catalog->order[i]);
    TAGD_EACH (i, flags, catalog->set_words) {
        uint32_t d = catalog->order[i];
        tagd_set_add(engine->settled, d);
        engine->from_by[d] = profile->tag_states[d].assigned;
        if (differs(&engine->now, d)) {
            tagd_set_add(engine->changed, d);
            set_tag(tagd_touch_tag(profile, d), &engine->now, d);
        }
        if (!tagd_is_plain(&engine->now, d))
            tagd_standing_give(&engine->now, d, tagd_touch_tag(profile, d));
    }
    see_chase(engine, profile, cause);
    tell_all(engine, profile, cause, sink);
}

static void flag_all(struct tagd_engine *engine)
{
    tagd_set_fill(engine->flags, engine->catalog->n_dimensions);
}

/* All but those that give a customer of whom nothing is known no tag, at whatever instant: they are evaluated when
 * something touches them. */
static void flag_at_first(struct tagd_engine *engine)
{
    const struct tagd_catalog *catalog = engine->catalog;
    struct tagd_profile *nothing = tagd_profile_new(catalog);
    flag_all(engine);
    view_reset(engine, nothing, 0, NULL);
    scan_begin(&engine->scan, nothing, 0, engine->flags);
    TAGD_EACH (i, engine->flags, catalog->set_words) {
        uint32_t d = catalog->order[i];
        const struct tagd_dimension *dimension = &catalog->dimensions[d];
        engine->decisions = DUE_DECISIONS_MAX;
        bool blank = dimension->alone && tagd_is_plain(&engine->now, d) && !evaluate_dimension(&engine->now, d) &&
                     engine->now.tags[d] < 0 && stable_dimension(&engine->scan, d) >= TAGD_TIME_MAX;
        if (!blank)
            tagd_set_add(engine->at_first, i);
    }
    engine->now.profile = engine->scan.profile = NULL;
    tagd_profile_free(nothing);
}

/* ---- time ---- */

/* When time by itself changes a flagged dimension or ends a goal. */
static int64_t due_of(struct tagd_engine *engine, struct tagd_profile *profile, const uint64_t *flags)
{
    int64_t due = scan_next(engine, profile, flags, -1, TAGD_TIME_MAX, DUE_STEPS_MAX, NULL);
    int64_t goals = goals_due(profile);
    return due < goals ? due : goals;
}

void tagd_engine_advance(struct tagd_engine *engine, struct tagd_profile *profile, int64_t to_ms, struct tagd_sink sink)
{
    if (!profile->exists)
        return;
    while (profile->due <= to_ms) {
        int64_t at = profile->due;
        flag_all(engine);
        settle(engine, profile, engine->flags, at, NULL, sink);
        profile->due = due_of(engine, profile, engine->flags);
        assert(profile->due > at);
        profile->clock = at > profile->clock ? at : profile->clock;
    }
    if (to_ms > profile->clock)
        profile->clock = to_ms;
}

void tagd_engine_repair(struct tagd_engine *engine, struct tagd_profile *profile, struct tagd_sink sink)
{
    engine->repairs = true;
    flag_all(engine);
    settle(engine, profile, engine->flags, profile->clock, NULL, sink);
    engine->repairs = false;
    profile->due = due_of(engine, profile, engine->flags);
}

/* ---- events ---- */

static struct tagd_value field_value(const struct tagd_event *event, int32_t field)
{
    if (field == TAGD_FIELD_SOURCE)
        return (struct tagd_value){.present = true, .s = event->source};
    return field == TAGD_FIELD_ABSENT ? (struct tagd_value){0} : event->fields[field];
}

static bool term_holds(const struct tagd_event *event, const struct tagd_term *term)
{
    struct tagd_value value = field_value(event, term->field);
    if (!value.present)
        return false;
    int order = term->field_type == TAGD_STRING ? tagd_str_cmp(value.s, term->literal.s)
                                                : (value.i > term->literal.i) - (value.i < term->literal.i);
    return tagd_val_outcome(term->op, order);
}

static bool matches(const struct tagd_event *event, const struct tagd_match *match)
{
    for (uint32_t i = 0; i < match->n_clauses; i++) {
        const struct tagd_clause *clause = &match->clauses[i];
        uint32_t j = 0;
        while (j < clause->n_terms && term_holds(event, &clause->terms[j]))
            j++;
        if (j == clause->n_terms)
            return true;
    }
    return false;
}

/* No window can see this pane or one before it any more. */
static int64_t gone_of(const struct tagd_grid *grid, int64_t clock)
{
    return grid->pane_ms ? tagd_grid_pane(grid, clock) - grid->span : INT64_MIN;
}

/* Bit of TAGD_COL_DAYS. */
static int day_bit(const struct tagd_catalog *catalog, const struct tagd_store *store, int64_t pane, int64_t t)
{
    return tagd_local_day(catalog, t) > tagd_local_day(catalog, tagd_grid_begin(&store->grid, pane)) ? 2 : 1;
}

static tagd_i128 add_to_cell(enum tagd_column_kind kind, tagd_i128 cell, int64_t value, int day_bit)
{
    tagd_i128 shifted = value >= 0 ? (tagd_i128)value + 1 : value; /* never 0, which is none */
    switch (kind) {
    case TAGD_COL_FIELD_SUM: return cell + value;
    case TAGD_COL_FIELD_MIN: return cell == 0 || shifted < cell ? shifted : cell;
    case TAGD_COL_FIELD_MAX: return cell == 0 || shifted > cell ? shifted : cell;
    case TAGD_COL_DAYS: return cell | day_bit;
    default: return cell + 1;
    }
}

static void add_to_store(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event,
                         uint32_t index)
{
    const struct tagd_store *store = &engine->catalog->stores[index];
    struct tagd_panes *panes = tagd_touch_panes(profile, index);
    int64_t gone = gone_of(&store->grid, profile->clock), pane = tagd_grid_pane(&store->grid, event->time_ms);
    tagd_panes_drop(panes, gone, store->n_columns);
    if (pane <= gone)
        return;
    tagd_i128 *cells = tagd_panes_at(panes, pane, store->n_columns, &engine->limits.panes);
    for (uint32_t c = 0; cells && c < store->n_columns; c++) {
        const struct tagd_column *column = &store->columns[c];
        struct tagd_value value = {.present = true};
        if (column->by_type)
            value = field_value(event, column->by_type[event->type]);
        if (!value.present)
            continue;
        engine->unsteady |= column->kind == TAGD_COL_FIELD_SUM && value.i < 0;
        cells[c] = add_to_cell(column->kind, cells[c], value.i, day_bit(engine->catalog, store, pane, event->time_ms));
    }
}

static void add_to_values(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event,
                          uint32_t index)
{
    const struct tagd_value_store *store = &engine->catalog->value_stores[index];
    int64_t gone = gone_of(&store->grid, profile->clock), pane = tagd_grid_pane(&store->grid, event->time_ms);
    struct tagd_values *values = tagd_touch_values(profile, index);
    tagd_values_drop(values, gone);
    struct tagd_value value = field_value(event, store->by_type[event->type]);
    if (pane > gone && value.present)
        tagd_values_add(values, store->field_type, pane, event->time_ms, &value, &engine->limits.values);
}

static void add_to_mark(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event,
                        uint32_t index)
{
    const struct tagd_mark *mark = &engine->catalog->marks[index];
    struct tagd_mark_state *state = tagd_touch_mark(profile, index);
    struct tagd_value value = {.present = true};
    if (mark->by_type)
        value = field_value(event, mark->by_type[event->type]);
    bool first = mark->kind == TAGD_MARK_FIRST || mark->kind == TAGD_MARK_FIRST_VALUE;
    bool beaten = state->present && (first ? event->time_ms >= state->at : event->time_ms < state->at);
    if (!value.present || beaten)
        return;
    engine->unsteady |= first || !state->present;
    state->present = true;
    state->at = event->time_ms;
    state->i = value.i;
    if (mark->field_type == TAGD_STRING)
        tagd_text_set(&state->s, value.s);
}

/* Adds the event to all that selects it; flags the dimensions that read any of it. */
static void add_event(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event)
{
    const struct tagd_catalog *catalog = engine->catalog;
    const struct tagd_event_type *type = &catalog->types[event->type];
    for (uint32_t i = 0; i < type->n_selectors; i++) {
        const struct tagd_selector *selector = &catalog->selectors[type->selectors[i]];
        if (!matches(event, &selector->by_type[event->type]))
            continue;
        for (uint32_t j = 0; j < selector->n_stores; j++)
            add_to_store(engine, profile, event, selector->stores[j]);
        for (uint32_t j = 0; j < selector->n_value_stores; j++)
            add_to_values(engine, profile, event, selector->value_stores[j]);
        for (uint32_t j = 0; j < selector->n_marks; j++)
            add_to_mark(engine, profile, event, selector->marks[j]);
        for (uint32_t j = 0; j < selector->n_goals; j++)
            engine->reached[selector->goals[j]] = true;
        tagd_set_join(engine->flags, selector->dimensions, catalog->set_words);
    }
}

/* Of profile.updated: each attribute has the value of its latest update by time. */
static void update_attributes(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event)
{
    const struct tagd_catalog *catalog = engine->catalog;
    for (uint32_t i = 0; i < catalog->n_attributes; i++) {
        const struct tagd_update *update = &event->updates[i];
        if (!update->given)
            continue;
        struct tagd_attribute_state *state = tagd_touch_attribute(profile, i);
        if (state->updated && event->time_ms < state->at)
            continue;
        state->updated = true;
        state->present = update->value.present;
        state->at = event->time_ms;
        state->i = update->value.i;
        if (state->present && catalog->attributes[i].field.type == TAGD_STRING)
            tagd_text_set(&state->s, update->value.s);
        tagd_set_join(engine->flags, catalog->attributes[i].dimensions, catalog->set_words);
    }
}

static void flag_readers(struct tagd_engine *engine, uint32_t d)
{
    const struct tagd_dimension *dimension = &engine->catalog->dimensions[d];
    tagd_set_add(engine->flags, dimension->place);
    tagd_set_join(engine->flags, dimension->read_by, engine->catalog->set_words);
}

/* tag.assigned, tag.cleared: a dimension has the latest word by time. */
static void take_assignment(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event)
{
    const struct tagd_verdict *verdict = &event->verdict;
    struct tagd_assignment_state *state = &tagd_touch_tag(profile, (uint32_t)verdict->dimension)->assignment;
    if (state->known && event->time_ms < state->at)
        return;
    bool assigned = event->type == TAGD_TYPE_TAG_ASSIGNED;
    profile->n_assignments += !state->known;
    state->known = true;
    state->at = event->time_ms;
    state->tag = assigned ? verdict->tag : -1;
    state->until_ms = assigned ? verdict->until_ms : TAGD_NEVER;
    tagd_text_set(&state->by, verdict->by);
    tagd_text_set(&state->reason, assigned ? verdict->reason : TAGD_STR(""));
    flag_readers(engine, (uint32_t)verdict->dimension);
}

/* tag.reviewed: what it says of an open proposal is decided in the evaluation. */
static void take_review(struct tagd_engine *engine, const struct tagd_profile *profile, const struct tagd_event *event)
{
    TAGD_EACH_TOUCHED (d, profile, TAGD_TAGS) {
        const struct tagd_review *review = &profile->tag_states[d].review;
        if (!review->open || review->open != event->verdict.proposal)
            continue;
        engine->decided = d;
        engine->decision = event->verdict.approved ? TAGD_PROPOSAL_APPROVED : TAGD_PROPOSAL_REJECTED;
        flag_readers(engine, d);
        return;
    }
    engine->limits.stale_reviews++;
}

/* Dimensions that look at how others stood, and these changed at this very instant. */
static void flag_stirred(struct tagd_engine *engine, const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = engine->catalog;
    TAGD_EACH (d, catalog->remembered, catalog->set_words) {
        const struct tagd_tag_state *state = tagd_tag_of(profile, d);
        if (state->changed && state->at == profile->clock)
            tagd_set_join(engine->flags, catalog->dimensions[d].stirs, catalog->set_words);
    }
}

static void take_event(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event)
{
    switch (event->type) {
    case TAGD_TYPE_PROFILE_UPDATED: update_attributes(engine, profile, event); break;
    case TAGD_TYPE_TAG_ASSIGNED:
    case TAGD_TYPE_TAG_CLEARED: take_assignment(engine, profile, event); break;
    case TAGD_TYPE_TAG_REVIEWED: take_review(engine, profile, event); break;
    default: add_event(engine, profile, event);
    }
}

static bool is_duplicate(const struct tagd_profile *profile, const struct tagd_event *event, int64_t clock)
{
    for (uint32_t i = 0; i < profile->n_ids; i++) {
        const struct tagd_id *id = &profile->ids[i];
        if (id->hash.lo == event->dedupe.lo && id->hash.hi == event->dedupe.hi && clock <= id->until)
            return true;
    }
    return false;
}

static void remember_id(struct tagd_engine *engine, struct tagd_profile *profile, const struct tagd_event *event,
                        int64_t clock)
{
    int64_t span = tagd_catalog_dedupe_ms(engine->catalog, event->type);
    uint32_t n = 0;
    for (uint32_t i = 0; i < profile->n_ids; i++) {
        if (profile->ids[i].until >= clock)
            profile->ids[n++] = profile->ids[i];
    }
    profile->n_ids = n;
    if (span && event->time_ms + span >= clock)
        tagd_profile_add_id(profile, event->dedupe, event->time_ms + span, &engine->limits.dedupe_ids);
}

/* Of the flagged dimensions leaves those that time may by now change before profile->due; see catalog/steady.c. Whether
 * there are any. */
static bool leave_to_look_at(struct tagd_engine *engine, const struct tagd_profile *profile)
{
    const struct tagd_catalog *catalog = engine->catalog;
    bool any = false;
    if (engine->unsteady || engine->now.negative)
        return true;
    tagd_set_clear(engine->closure, catalog->set_words);
    TAGD_EACH (i, engine->flags, catalog->set_words) {
        uint32_t d = catalog->order[i];
        const struct tagd_dimension *dimension = &catalog->dimensions[d];
        bool same = dimension->steady && !tagd_set_has(engine->changed, d) && !profile->tag_states[d].assignment.known;
        any |= !same;
        if (!same || !dimension->alone)
            tagd_set_add(engine->closure, i);
    }
    memcpy(engine->flags, engine->closure, catalog->set_words * sizeof *engine->flags);
    return any;
}

enum tagd_applied tagd_engine_apply(struct tagd_engine *engine, struct tagd_profile *profile,
                                    const struct tagd_event *event, int64_t watermark_ms, struct tagd_sink sink)
{
    assert(event->code == TAGD_EVENT_OK);
    bool first = !profile->exists;
    int64_t clock = event->time_ms > watermark_ms ? event->time_ms : watermark_ms;
    if (!first && profile->last > clock)
        clock = profile->last;
    bool ignored = event->type == TAGD_TYPE_UNDECLARED;
    bool duplicate =
        !ignored && tagd_catalog_dedupe_ms(engine->catalog, event->type) && is_duplicate(profile, event, clock);
    if (ignored || duplicate) {
        if (!first)
            tagd_engine_advance(engine, profile, profile->last > watermark_ms ? profile->last : watermark_ms, sink);
        return ignored ? TAGD_IGNORED : TAGD_DUPLICATE;
    }
    tagd_engine_advance(engine, profile, clock, sink);
    profile->exists = true;
    profile->clock = clock;
    if (first || event->time_ms > profile->last)
        profile->last = event->time_ms;
    if (first)
        memcpy(engine->flags, engine->at_first, engine->catalog->set_words * sizeof *engine->flags);
    else
        tagd_set_clear(engine->flags, engine->catalog->set_words);
    memset(engine->reached, 0, engine->catalog->n_goals);
    engine->unsteady = first || event->type < 0;
    uint64_t dropped = engine->limits.panes + engine->limits.values;
    remember_id(engine, profile, event, clock);
    take_event(engine, profile, event);
    engine->unsteady |= engine->limits.panes + engine->limits.values != dropped;
    flag_stirred(engine, profile);
    settle(engine, profile, engine->flags, clock, event, sink);
    engine->decision = TAGD_PROPOSAL_OPEN;
    if (leave_to_look_at(engine, profile)) {
        int64_t due = due_of(engine, profile, closure_of(engine, engine->flags));
        profile->due = due < profile->due ? due : profile->due;
    }
    assert(profile->due > profile->clock);
    return TAGD_APPLIED;
}

/* ---- for emit and explain ---- */

void tagd_engine_view(struct tagd_engine *engine, struct tagd_profile *profile, int64_t at_ms)
{
    view_reset(engine, profile, at_ms, NULL);
}

void tagd_engine_next(struct tagd_engine *engine, struct tagd_profile *profile, size_t dimension, int64_t at_ms,
                      int64_t *valid_until_ms, struct tagd_tag *then)
{
    const struct tagd_dimension *of = &engine->catalog->dimensions[dimension];
    int64_t end = at_ms + engine->horizon_ms;
    assert(engine->now.profile == profile && engine->now.now == at_ms);
    memcpy(engine->closure, of->reads, engine->catalog->set_words * sizeof *of->reads);
    tagd_set_add(engine->closure, of->place);
    *then = (struct tagd_tag){-1, {NULL, 0}};
    *valid_until_ms = scan_next(engine, profile, engine->closure, (int64_t)dimension, end, UNTIL_STEPS_MAX, then);
}

const char *tagd_engine_rule_text(const struct tagd_engine *engine, size_t dimension, size_t rule)
{
    return engine->catalog->dimensions[dimension].rules[rule].text;
}

bool tagd_engine_rule_holds(const struct tagd_engine *engine, size_t dimension, size_t rule)
{
    const struct tagd_dimension *d = &engine->catalog->dimensions[dimension];
    struct view *now = (struct view *)(uintptr_t)&engine->now; /* cursors are a cache */
    if (d->is_value)
        return tagd_eval(now, d->rules[rule].when).kind != TAGD_V_NULL;
    return d->rules[rule].when && tagd_holds(now, d->rules[rule].when);
}

bool tagd_engine_holding(const struct tagd_engine *engine, size_t dimension, struct tagd_holding *holding)
{
    return tagd_standing_holding(&engine->now, (uint32_t)dimension, holding);
}

static void add_val(struct tagd_buf *out, struct tagd_val val)
{
    char text[TAGD_TIME_TEXT];
    switch (val.kind) {
    case TAGD_V_NULL: tagd_buf_add_z(out, "null"); return;
    case TAGD_V_BOOL: tagd_buf_add_z(out, val.u.b ? "true" : "false"); return;
    case TAGD_V_DECIMAL: tagd_buf_add_decimal(out, val.u.d); return;
    case TAGD_V_DOUBLE: tagd_buf_add_double(out, val.u.f); return;
    case TAGD_V_DURATION:
        tagd_buf_add_z(out, "{\"ms\":");
        tagd_buf_add_i64(out, val.u.i);
        tagd_buf_add_byte(out, '}');
        return;
    case TAGD_V_STRING: tagd_buf_add_json(out, val.u.s); return;
    case TAGD_V_TIME: tagd_buf_add_json(out, (struct tagd_str){text, tagd_time_format(val.u.i, text)}); return;
    case TAGD_V_DATE: tagd_buf_add_json(out, (struct tagd_str){text, tagd_date_format(val.u.i, text)}); return;
    }
}

void tagd_engine_rule_value(const struct tagd_engine *engine, size_t dimension, size_t rule, size_t value,
                            struct tagd_buf *out)
{
    struct view *now = (struct view *)(uintptr_t)&engine->now; /* cursors are a cache */
    add_val(out, tagd_eval(now, engine->catalog->dimensions[dimension].rules[rule].values[value]));
}

void tagd_engine_rule_values(const struct tagd_engine *engine, size_t dimension, size_t rule, struct tagd_buf *out)
{
    const struct tagd_rule *r = &engine->catalog->dimensions[dimension].rules[rule];
    tagd_buf_add_byte(out, '{');
    for (uint32_t i = 0; i < r->n_values; i++) {
        if (i)
            tagd_buf_add_byte(out, ',');
        tagd_buf_add_json(out, r->values[i]->text);
        tagd_buf_add_byte(out, ':');
        tagd_engine_rule_value(engine, dimension, rule, i, out);
    }
    tagd_buf_add_byte(out, '}');
}

bool tagd_engine_measure(const struct tagd_engine *engine, size_t measure, double *value)
{
    const struct tagd_measure_def *of = &engine->catalog->measures[measure];
    struct view *now = (struct view *)(uintptr_t)&engine->now;
    struct tagd_val among = {.kind = TAGD_V_BOOL, .u.b = true};
    if (of->of)
        among = tagd_eval(now, of->of);
    if (among.kind != TAGD_V_BOOL || !among.u.b)
        return false;
    struct tagd_val val = tagd_eval(now, of->value);
    switch (val.kind) {
    case TAGD_V_BOOL: *value = val.u.b; return true;
    case TAGD_V_DECIMAL: *value = tagd_decimal_to_double(val.u.d); return true;
    case TAGD_V_DOUBLE: *value = val.u.f; return true;
    case TAGD_V_DURATION: *value = (double)val.u.i; return true;
    default: return false;
    }
}

void tagd_engine_churn(const struct tagd_engine *engine, struct tagd_buf *out)
{
    const struct tagd_churn *churn = &engine->catalog->churn;
    struct view *now = (struct view *)(uintptr_t)&engine->now;
    const struct tagd_node alive = {.kind = TAGD_N_P_ALIVE};
    const struct tagd_val none = {.kind = TAGD_V_NULL};
    tagd_buf_add_z(out, "\"p_alive\":");
    add_val(out, churn->given ? tagd_eval(now, &alive) : none);
    tagd_buf_add_z(out, ",\"drivers\":[");
    for (uint32_t i = 0; i < churn->n_drivers; i++) {
        const struct tagd_driver *driver = &churn->drivers[i];
        tagd_buf_add_z(out, i ? ",{\"name\":" : "{\"name\":");
        tagd_buf_add_json(out, tagd_str_of(driver->name));
        tagd_buf_add_z(out, ",\"value\":");
        add_val(out, tagd_eval(now, driver->value));
        tagd_buf_add_z(out, ",\"usual\":");
        add_val(out, driver->usual ? tagd_eval(now, driver->usual) : none);
        tagd_buf_add_byte(out, '}');
    }
    tagd_buf_add_z(out, "],\"last_activity\":");
    const struct tagd_mark_state *activity = churn->given ? tagd_mark_of(now->profile, churn->activity) : NULL;
    add_val(out, activity && activity->present ? (struct tagd_val){.kind = TAGD_V_TIME, .u.i = activity->at} : none);
}

void tagd_engine_attribute(const struct tagd_engine *engine, size_t attribute, struct tagd_buf *out)
{
    struct view *now = (struct view *)(uintptr_t)&engine->now;
    struct tagd_node node = {.kind = TAGD_N_ATTRIBUTE, .index = (uint32_t)attribute};
    add_val(out, tagd_eval(now, &node));
}
