/* What a seed decides beforehand: the configuration, the events and when they are appended, the faults. A seed takes part
 * of the kinds of faults only, so that runs differ in kind and not in number alone. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_fault_names[SIM_FAULTS] = {
    "kill",           "pause",          "stop",          "store cut",     "store down",      "store full",
    "store back",     "store failover", "store emptied", "broker down",   "rebalance",       "kick",
    "offsets expire", "retention",      "gap",           "offsets reset", "outputs deleted", "clock set",
    "wrong config",   "outputs held",   "time held",     "slow",          "lost before",     "lost after",
    "late",           "refused",        "die before",    "die after",     "denied",          "stolen"};

/* ---- catalogs ---- */

/* The first three have tags alone; the others have every kind of events, and all that stands between a rule's outcome and a
 * tag. Nothing of them is changed by time later than BEYOND_MS (oracle.c) after the last event. */
#define CATALOGS 6
#define TOPIC_LAG_MS 3000
#define EVENTS                                                                                                         \
    "\"events\":{\"buy\":{\"fields\":{\"amount\":\"decimal\",\"category\":\"string\"},\"dedupe\":\"4s\"},\"login\":{}" \
    ","                                                                                                                \
    "\"chat\":{\"fields\":{\"direction\":\"string\"}}},\"groups\":{\"interaction\":[\"login\",\"buy\","                \
    "\"chat{direction=\\\"inbound\\\"}\"]},\"attributes\":{\"region\":\"string\",\"score\":\"decimal\"}"
static const char *const catalog_texts[CATALOGS] = {
    "{\"catalog\":\"a\",\"version\":\"1\"," EVENTS ",\"dimensions\":{"
    "\"behaviour.activity\":{\"tags\":[{\"tag\":\"active\",\"when\":\"count(interaction[4s]) >= 2\"},"
    "{\"tag\":\"lost\",\"when\":\"since(interaction) > 7s\"},{\"tag\":\"dormant\",\"when\":\"since(interaction) >= "
    "3s\"},{\"tag\":\"quiet\",\"when\":\"true\"}]},"
    "\"value.level\":{\"tags\":[{\"tag\":\"high\",\"when\":\"sum(amount, buy[9s]) >= 300\"},"
    "{\"tag\":\"mid\",\"when\":\"sum(amount, buy[9s]) >= 100\"},{\"tag\":\"low\",\"when\":\"true\"}]},"
    "\"need.category\":{\"value\":\"top(category, buy[8s])\"},\"place.region\":{\"value\":\"attr.region\"}}}",
    "{\"catalog\":\"b\",\"version\":\"1\"," EVENTS ",\"dimensions\":{"
    "\"behaviour.activity\":{\"tags\":[{\"tag\":\"active\",\"when\":\"since(interaction) < 2s\"}]},"
    "\"mood.state\":{\"tags\":[{\"tag\":\"keen\",\"when\":\"behaviour.activity == 'active' and count(buy[5s]) >= 1\"},"
    "{\"tag\":\"gone\",\"when\":\"since(login) >= 1500ms and attr.score is "
    "null\"},{\"tag\":\"cool\",\"when\":\"true\"}]}"
    "}}",
    "{\"catalog\":\"c\",\"version\":\"1\"," EVENTS ",\"dimensions\":{"
    "\"count.all\":{\"tags\":[{\"tag\":\"many\",\"when\":\"count(interaction) >= 6\"},{\"tag\":\"some\",\"when\":"
    "\"count(interaction) >= 3\"},{\"tag\":\"few\",\"when\":\"true\"}]},"
    "\"need.category\":{\"value\":\"latest(category, buy)\"}}}",
    /* for, min_dwell, churn and alerts on it */
    "{\"catalog\":\"d\",\"version\":\"1\"," EVENTS ",\"dimensions\":{"
    "\"behaviour.activity\":{\"for\":\"700ms\",\"tags\":[{\"tag\":\"active\",\"when\":\"count(interaction[3s]) >= "
    "2\",\"min_dwell\":\"2s\"},{\"tag\":\"dormant\",\"when\":\"since(interaction) >= 3s\",\"for\":\"0s\"},"
    "{\"tag\":\"quiet\",\"when\":\"true\"}]},"
    "\"churn.level\":{\"tags\":[{\"tag\":\"churned\",\"when\":\"since(interaction) > 5s\"},"
    "{\"tag\":\"watch\",\"when\":\"since(interaction) >= 2500ms\",\"for\":\"300ms\"},"
    "{\"tag\":\"often\",\"when\":\"count(buy[2s]) >= "
    "2\",\"min_dwell\":\"1s\"},{\"tag\":\"stable\",\"when\":\"true\"}]},"
    "\"need.category\":{\"for\":\"400ms\",\"value\":\"top(category, buy[4s])\"}},"
    "\"alerts\":{\"key-loss\":{\"when\":\"behaviour.activity == 'dormant' and churn.level != 'stable'\"},"
    "\"burst\":{\"when\":\"count(buy[3s]) >= 2\",\"for\":\"300ms\",\"min_dwell\":\"1s\"}},"
    "\"churn\":{\"model\":\"mbg-nbd\",\"event\":\"buy\",\"activity\":\"interaction\",\"r\":300,\"alpha\":0.001,\"a\":0."
    "8,\"b\":2.4},"
    "\"goals\":{\"back\":{\"start\":\"behaviour.activity.dormant\",\"reach\":\"buy\",\"within\":\"2s\",\"holdout\":0.5}"
    ","
    "\"kept\":{\"start\":\"churn.level.watch\",\"reach\":\"interaction\",\"within\":\"1500ms\"}}}",
    /* reviewed and manual tags, and rules that look back */
    "{\"catalog\":\"e\",\"version\":\"1\"," EVENTS ",\"dimensions\":{"
    "\"behaviour.activity\":{\"tags\":[{\"tag\":\"active\",\"when\":\"since(interaction) < 2s\"},{\"tag\":\"dormant\","
    "\"when\":\"since(interaction) >= 3s\"}]},"
    "\"value.level\":{\"assign\":\"review\",\"expires\":\"2500ms\",\"tags\":[{\"tag\":\"high\",\"when\":\"sum(amount, "
    "buy[4s]) >= 150\"},{\"tag\":\"mid\",\"when\":\"sum(amount, buy[4s]) >= "
    "50\"},{\"tag\":\"low\",\"when\":\"true\"}]},"
    "\"buys.often\":{\"assign\":\"review\",\"for\":\"300ms\",\"tags\":[{\"tag\":\"yes\",\"when\":\"count(buy[4s]) >= "
    "2\"}]},"
    "\"care.plan\":{\"tags\":[{\"tag\":\"back\",\"when\":\"was(behaviour.activity) == 'dormant' and since(buy) < 2s or "
    "was(care.plan) == 'back' and held(care.plan) < "
    "1500ms\"},{\"tag\":\"again\",\"when\":\"previous(behaviour.activity) == "
    "'dormant' and held(behaviour.activity) < 1s\"},{\"tag\":\"vip\",\"when\":\"value.level == 'high'\"}]},"
    "\"need.type\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"silk\"},{\"tag\":\"tea\"}]}},"
    "\"goals\":{\"more\":{\"start\":\"value.level.high\",\"reach\":\"buy\",\"within\":\"1s\"},"
    "\"asked\":{\"start\":\"need.type.tea\",\"reach\":\"chat{direction=\\\"inbound\\\"}\",\"within\":\"2s\"}}}",
    /* all of it */
    "{\"catalog\":\"f\",\"version\":\"1\"," EVENTS ",\"dimensions\":{"
    "\"churn.level\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"churned\",\"when\":\"since(interaction) > 4s\"},"
    "{\"tag\":\"stable\",\"when\":\"since(interaction) < 1s\",\"for\":\"500ms\"}]},"
    "\"value.level\":{\"assign\":\"review\",\"expires\":\"2s\",\"min_dwell\":\"800ms\",\"tags\":[{\"tag\":\"high\","
    "\"when\":"
    "\"sum(amount, buy[3s]) >= 100\"},{\"tag\":\"low\",\"when\":\"true\"}]},"
    "\"place.region\":{\"value\":\"attr.region\",\"min_dwell\":\"1s\"},"
    "\"mood.state\":{\"tags\":[{\"tag\":\"keen\",\"when\":\"count(interaction[2s]) >= 2\",\"min_dwell\":\"900ms\"},"
    "{\"tag\":\"cooling\",\"when\":\"was(mood.state) == 'keen' or was(mood.state) == 'cooling' and held(mood.state) < "
    "2s\"}]}},"
    "\"alerts\":{\"key-loss\":{\"when\":\"value.level == 'high' and since(buy) > 2s\",\"for\":\"200ms\"},"
    "\"moved\":{\"when\":\"held(place.region) < 1s and previous(place.region) is not null\"}},"
    "\"goals\":{\"again\":{\"start\":\"mood.state.cooling\",\"reach\":\"interaction\",\"within\":\"900ms\",\"holdout\":"
    "0.3},"
    "\"won\":{\"start\":\"churn.level.churned\",\"reach\":\"buy\",\"within\":\"2500ms\"}}}"};

/* By catalog and variant; a day of the first one's time zone ends within the run. */
static const char *const breakdowns[CATALOGS][SIM_VARIANTS] = {
    {"\"timezone\":\"+01:46\",\"breakdowns\":[[\"behaviour.activity\",\"value.level\"],[\"need.category\","
     "\"behaviour.activity\"],[\"place.region\"]]",
     "\"timezone\":\"+01:46\",\"breakdowns\":[[\"place.region\",\"value.level\"]]"},
    {"\"breakdowns\":[[\"behaviour.activity\",\"mood.state\"]]", "\"breakdowns\":[]"},
    {"\"breakdowns\":[]", "\"breakdowns\":[[\"need.category\",\"count.all\"]]"},
    {"\"breakdowns\":[[\"churn.level\",\"need.category\"]]", "\"breakdowns\":[[\"need.category\"]]"},
    {"\"breakdowns\":[[\"value.level\",\"care.plan\"],[\"need.type\",\"buys.often\"]]", "\"breakdowns\":[]"},
    {"\"breakdowns\":[]", "\"breakdowns\":[[\"churn.level\",\"value.level\"]]"}};

static const struct tagd_catalog *variant_of(size_t i, unsigned variant)
{
    static struct tagd_catalog *catalogs[CATALOGS][SIM_VARIANTS]; /* one process, one thread: compiled once */
    struct tagd_catalog **catalog = &catalogs[i][variant];
    struct tagd_buf text = {0};
    struct tagd_error error;
    if (*catalog != NULL)
        return *catalog;
    tagd_buf_printf(&text, "{%s,%s", breakdowns[i][variant], catalog_texts[i] + 1);
    *catalog = tagd_catalog_load("sim.json", text.p, text.n, &error);
    tagd_buf_free(&text);
    if (*catalog == NULL) {
        fprintf(stderr, "%s\n", error.text);
        exit(70);
    }
    return *catalog;
}

static const struct tagd_catalog *catalog_of(size_t i)
{
    return variant_of(i, 0);
}

const struct tagd_catalog *sim_variant(const struct tagd_catalog *catalog, unsigned variant)
{
    size_t i = 0;
    while (catalog_of(i) != catalog)
        i++;
    return variant_of(i, variant);
}

const struct tagd_catalog *sim_other_catalog(const struct tagd_catalog *catalog)
{
    return catalog_of(catalog == catalog_of(0) ? 1 : 0);
}

/* ---- events ---- */

static const char *data_of(struct sim *sim, struct sim_random *random, const char **type)
{
    static const char *const categories[] = {"tea", "silk", "books"};
    static const char *const regions[] = {"\"north\"", "\"south\"", "null"};
    switch (sim_between(random, 0, 9)) {
    case 0:
    case 1:
    case 2:
    case 3:
        *type = "buy";
        return tagd_arena_printf(&sim->memory, "{\"amount\":%lld,\"category\":\"%s\"}",
                                 (long long)sim_between(random, 1, 150), categories[sim_between(random, 0, 2)]);
    case 4:
    case 5: *type = "login"; return "{}";
    case 6:
    case 7: *type = "chat"; return sim_percent(random, 50) ? "{\"direction\":\"inbound\"}" : "{\"direction\":\"out\"}";
    case 8:
        *type = "profile.updated";
        return tagd_arena_printf(&sim->memory, "{\"attributes\":{\"region\":%s,\"score\":%s}}",
                                 regions[sim_between(random, 0, 2)], sim_percent(random, 50) ? "1.5" : "null");
    default: *type = "unheard.of"; return "{}";
    }
}

/* ---- what people say ---- */

/* What the customers are by the events so far, where somebody decides about what is proposed. */
struct past {
    struct tagd_event_rules rules;
    struct tagd_engine *engine; /* NULL: nobody does */
    struct tagd_profile *profiles[SIM_CUSTOMERS];
};

static void past_open(struct sim *sim, struct past *past)
{
    *past = (struct past){.rules = sim_event_rules(sim)};
    if (!tagd_catalog_has_kind(sim->plan.catalog, TAGD_KIND_PROPOSAL))
        return;
    past->engine = tagd_engine_new(sim->plan.catalog, 0);
    for (uint32_t i = 0; i < sim->plan.n_customers; i++)
        past->profiles[i] = tagd_profile_new(sim->plan.catalog);
}

static void past_close(struct past *past)
{
    tagd_engine_free(past->engine);
    for (uint32_t i = 0; i < SIM_CUSTOMERS; i++)
        tagd_profile_free(past->profiles[i]);
}

static void told_nobody(void *self, const struct tagd_change *change)
{
    (void)self, (void)change;
}

static void past_add(struct sim *sim, struct past *past, const struct sim_event *event)
{
    struct tagd_event decoded;
    bool dies = event->poison == SIM_KILLS_DECODING || event->poison == SIM_KILLS_APPLYING;
    if (past->engine == NULL || event->customer < 0 || event->marker || dies)
        return;
    tagd_event_decode(&past->rules, &event->record, SIM_WALL_MS + event->at_ms, &sim->memory, &decoded);
    if (decoded.code == TAGD_EVENT_OK)
        tagd_engine_apply(past->engine, past->profiles[event->customer], &decoded, INT64_MIN,
                          (struct tagd_sink){NULL, told_nobody});
}

/* The open proposal of some dimension, from one on; any number, if there is none. */
static uint64_t open_of(const struct sim *sim, const struct past *past, uint32_t customer, int64_t time_ms, size_t from)
{
    size_t n = tagd_catalog_n_dimensions(sim->plan.catalog);
    struct tagd_profile *profile = past->profiles[customer];
    struct tagd_proposal proposal;
    tagd_engine_advance(past->engine, profile, time_ms - 1, (struct tagd_sink){NULL, told_nobody});
    for (size_t i = 0; i < n; i++)
        if (tagd_profile_proposal(profile, (from + i) % n, &proposal))
            return proposal.revision;
    return 1 + from;
}

/* Draws the same from random whatever the customers are. */
static const char *word_of(struct sim *sim, struct sim_random *random, const struct past *past, uint32_t customer,
                           int64_t time_ms, const char **type)
{
    const struct tagd_catalog *catalog = sim->plan.catalog;
    size_t pick = (size_t)sim_between(random, 0, 11), n = tagd_catalog_n_dimensions(catalog), d = pick % n;
    unsigned kind = (unsigned)sim_between(random, 0, 9), number = (unsigned)sim_between(random, 1, 9);
    int64_t until_ms = time_ms + sim_between(random, -500, 3000);
    char until[TAGD_TIME_TEXT];
    if (past->engine != NULL && kind < 6) {
        uint64_t proposal = kind == 5 ? number : open_of(sim, past, customer, time_ms, pick);
        *type = "tag.reviewed";
        return tagd_arena_printf(&sim->memory,
                                 "{\"proposal\":\"proposal:c%u:%llu\",\"decision\":\"%s\",\"by\":\"ann\"}", customer,
                                 (unsigned long long)proposal, number < 7 ? "approved" : "rejected");
    }
    while (tagd_catalog_kind(catalog, d) == TAGD_KIND_ALERT || tagd_catalog_is_value(catalog, d))
        d = (d + 1) % n;
    *type = kind == 9 ? "tag.cleared" : "tag.assigned";
    const char *name = tagd_catalog_dimension(catalog, d);
    if (kind == 9)
        return tagd_arena_printf(&sim->memory, "{\"dimension\":\"%s\",\"by\":\"bob\"}", name);
    tagd_time_format(until_ms, until);
    return tagd_arena_printf(&sim->memory,
                             "{\"dimension\":\"%s\",\"tag\":\"%s\",\"by\":\"bob\",\"reason\":\"call\"%s%s%s}", name,
                             tagd_catalog_tag(catalog, d, number % tagd_catalog_n_tags(catalog, d)),
                             number > 4 ? ",\"until\":\"" : "", number > 4 ? until : "", number > 4 ? "\"" : "");
}

static const char *event_text(struct sim *sim, const char *id, const char *type, const char *subject, int64_t time_ms,
                              const char *data)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    return tagd_arena_printf(
        &sim->memory,
        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"s\",\"type\":\"%s\",\"subject\":\"%s\","
        "\"time\":\"%s\",\"data\":%s}",
        id, type, subject, time, data);
}

/* One that can't be used, of any kind. */
static const char *bad_text(struct sim *sim, struct sim_random *random, const char *id, const char *subject,
                            int64_t time_ms)
{
    switch (sim_between(random, 0, sim->plan.mode == SIM_LIVE ? 7 : 5)) {
    case 0: return "not an event";
    case 1: return event_text(sim, id, "login", "unknown", time_ms, "{}");
    case 2: return event_text(sim, id, "buy", "c0", time_ms, "{\"amount\":\"much\"}");
    case 3: return event_text(sim, "", "login", "c1", time_ms, "{}");
    case 4: return event_text(sim, id, "tag.assigned", "c0", time_ms, "{\"dimension\":\"a.b\",\"tag\":\"c\"}");
    case 5: return "{\"specversion\":\"1.0\",\"id\":\"x\"";
    default: return event_text(sim, id, "login", subject, time_ms + 3600000, "{}"); /* ahead of the clock */
    }
}

static void make_event(struct sim *sim, struct sim_random *random, const struct past *past, size_t i, int64_t time_ms)
{
    struct sim_plan *plan = &sim->plan;
    struct sim_event *event = &plan->events[i];
    uint32_t customer = (uint32_t)sim_between(random, 0, (int64_t)plan->n_customers - 1);
    uint32_t topic = plan->customer_topic[customer];
    if (plan->mode == SIM_UNORDERED) { /* a replay, which has both topics at hand, takes them in another order */
        topic = (uint32_t)sim_between(random, 0, plan->n_topics - 1);
        time_ms -= topic * TOPIC_LAG_MS;
    }
    bool people = tagd_catalog_has_kind(plan->catalog, TAGD_KIND_ALERT) ||
                  tagd_catalog_has_kind(plan->catalog, TAGD_KIND_PROPOSAL);
    bool said = people && sim_percent(random, 25);
    const char *type, *text,
        *data = said ? word_of(sim, random, past, customer, time_ms, &type) : data_of(sim, random, &type);
    char id[24], subject[16];
    snprintf(id, sizeof(id), "e%zu", i > 3 && sim_percent(random, 8) ? i - 3 : i);
    snprintf(subject, sizeof(subject), "c%u", customer);
    event->customer = (int)customer;
    event->record = (struct tagd_record){.has_value = true, .timestamp_ms = time_ms};
    event->record.topic = topic;
    event->record.partition = (int32_t)plan->customer_shard[customer];
    event->marker = sim_percent(random, 5);
    if (sim_percent(random, plan->bad_percent)) {
        text = bad_text(sim, random, id, subject, time_ms);
        event->customer = -1;
    } else {
        text = event_text(sim, id, type, subject, time_ms, data);
    }
    event->record.value = tagd_str_of(text);
    event->record.key = tagd_str_of(tagd_arena_printf(&sim->memory, "%s", subject));
    event->record.has_key = true;
}

/* Otherwise it would count, and be seen to. */
static void make_poison(struct sim *sim, struct sim_random *random, size_t i, int64_t time_ms)
{
    struct sim_event *event = &sim->plan.events[i];
    static const char *const what[] = {"", "kills decoding", "kills applying", "kills sometimes"};
    char id[24];
    event->poison = (enum sim_poison)sim_between(random, SIM_KILLS_DECODING, SIM_KILLS_SOMETIMES);
    event->marker = false;
    if (event->customer < 0)
        event->customer = 0;
    snprintf(id, sizeof(id), "p%zu", i);
    const char *subject = tagd_arena_printf(&sim->memory, "c%d", event->customer);
    event->record.topic = sim->plan.customer_topic[event->customer];
    event->record.partition = (int32_t)sim->plan.customer_shard[event->customer];
    event->record.key = tagd_str_of(subject);
    event->record.value = tagd_str_of(
        event_text(sim, id, "buy", subject, time_ms,
                   tagd_arena_printf(&sim->memory, "{\"amount\":777,\"category\":\"%s\"}", what[event->poison])));
}

static void make_events(struct sim *sim, struct sim_random *random)
{
    struct sim_plan *plan = &sim->plan;
    int64_t at_ms = sim->now_ms + 100, time_ms = SIM_WALL_MS, pace = sim_between(random, 5, 400);
    struct past past;
    past_open(sim, &past);
    plan->n_events = (size_t)sim_between(random, 10, 110);
    if (sim->options.scenario)
        plan->n_events = 4 + plan->n_events % 12;
    for (size_t i = 0; i < plan->n_events; i++) {
        at_ms += sim_percent(random, 30) ? 0 : sim_between(random, 0, 2 * pace);
        if (sim_percent(random, 2))
            at_ms += sim_between(random, 1000, 9000);
        time_ms += sim_percent(random, 10) ? sim_between(random, 500, 5000) : sim_between(random, 0, 600);
        int64_t of_event = plan->mode == SIM_LIVE ? SIM_WALL_MS + at_ms : time_ms;
        if (plan->mode == SIM_UNORDERED)
            of_event -= sim_between(random, 0, 3000);
        make_event(sim, random, &past, i, of_event);
        if (plan->poison && sim_percent(random, 4))
            make_poison(sim, random, i, of_event);
        plan->events[i].at_ms = at_ms;
        plan->events[i].dropped = sim->options.drop_events[i];
        past_add(sim, &past, &plan->events[i]);
    }
    past_close(&past);
    plan->events_end_ms = at_ms;
}

/* ---- faults ---- */

static unsigned weight_of(enum sim_fault_kind kind)
{
    switch (kind) {
    case SIM_EXPIRE: return 1;
    case SIM_RESET:
    case SIM_OUTPUTS_GONE:
    case SIM_GAP: return 2;
    case SIM_WRONG: return 4;
    case SIM_HOLD:
    case SIM_SILENT: return 6;
    case SIM_STORE_FAILOVER: return 5;
    case SIM_STORE_BACK:
    case SIM_STORE_EMPTIED: return 3;
    case SIM_KILL:
    case SIM_DIE_BEFORE:
    case SIM_DIE_AFTER:
    case SIM_PAUSE: return 8;
    default: return 9;
    }
}

/* Few faults but the store's failovers and deaths, and many bad records: a copy that lost the race may hold a dead letter
 * that nobody else has come to. */
static bool races(const struct sim *sim)
{
    return sim->options.seed % 16 == 15 && !sim->options.scenario;
}

/* Late events of every customer in two topics, and a store that loses much of them or all: the replay, which has both topics
 * at hand, makes other proposals than were made, and tags that came about otherwise. */
static bool strays(const struct sim *sim)
{
    return sim->options.seed % 16 == 7 && !sim->options.scenario;
}

/* Kinds that this seed has. The rare ones end most runs, so few seeds have one. */
static void choose_kinds(struct sim_random *random, bool *has)
{
    for (unsigned kind = 0; kind < SIM_FAULTS; kind++)
        has[kind] = sim_percent(random, 5 * weight_of((enum sim_fault_kind)kind));
}

static enum tagd_op_kind op_of(struct sim_random *random, const struct sim_plan *plan)
{
    static const enum tagd_op_kind often[] = {TAGD_OP_COMMIT, TAGD_OP_PUBLISH, TAGD_OP_LOAD, TAGD_OP_FENCE};
    if (sim_percent(random, 60)) {
        enum tagd_op_kind kind = often[sim_between(random, 0, 3)];
        return kind == TAGD_OP_PUBLISH && plan->at_least_once ? TAGD_OP_SEND : kind;
    }
    return (enum tagd_op_kind)sim_between(random, 0, TAGD_OP_OUTPUTS);
}

static void make_fault(struct sim *sim, struct sim_random *random, enum sim_fault_kind kind, struct sim_fault *fault)
{
    const struct sim_plan *plan = &sim->plan;
    static const enum tagd_op_kind denied[] = {TAGD_OP_FENCE, TAGD_OP_LOAD, TAGD_OP_COMMIT, TAGD_OP_END_OWNER};
    static const int64_t lengths[] = {50, 700, 3500, 8000, 14000};
    *fault = (struct sim_fault){.kind = kind,
                                .at_ms = sim_between(random, sim->now_ms, plan->events_end_ms + 3000),
                                .for_ms = lengths[sim_between(random, 0, 4)] + sim_between(random, 0, 700),
                                .process = (uint32_t)sim_between(random, 0, (int64_t)plan->n_processes - 1),
                                .amount = (uint32_t)sim_between(random, 0, 20),
                                .op = op_of(random, plan),
                                .context = sim_percent(random, 40) ? SIM_TAKING_OVER : SIM_CONTEXTS};
    if (kind == SIM_LATE)
        fault->op = sim_percent(random, 50) || plan->at_least_once ? TAGD_OP_COMMIT : TAGD_OP_PUBLISH;
    if (kind == SIM_REFUSED)
        fault->op = sim_percent(random, 30) ? TAGD_OP_FENCE : sim_percent(random, 40) ? TAGD_OP_LOAD : TAGD_OP_COMMIT;
    if (kind == SIM_DENIED)
        fault->op = denied[sim_between(random, 0, 3)];
    if (kind == SIM_STOLEN)
        fault->op = sim_percent(random, 80) ? TAGD_OP_COMMIT : TAGD_OP_START;
    if (kind == SIM_REFUSED && sim_percent(random, 5))
        fault->op = TAGD_OP_START;
    else if (kind == SIM_REFUSED && sim_percent(random, 30))
        fault->op = plan->at_least_once ? TAGD_OP_SEND : TAGD_OP_PUBLISH;
}

/* A third of the scenarios has nothing but the death to come, a third a store that goes back, a third one that is
 * emptied: the death comes in a repair, too. */
static void make_scenario(struct sim *sim, struct sim_random *random)
{
    struct sim_plan *plan = &sim->plan;
    plan->faults_end_ms = plan->events_end_ms + 4000;
    if (sim->options.seed % 3 == 0 || plan->at_least_once)
        return;
    plan->rebuild = true;
    plan->n_faults = 1;
    make_fault(sim, random, sim->options.seed % 3 == 1 ? SIM_STORE_BACK : SIM_STORE_EMPTIED, &plan->faults[0]);
    plan->faults[0].at_ms = plan->events_end_ms - (plan->events_end_ms - sim->now_ms) / 3;
}

/* An owner dies with a batch that only its store has; the store fails over, and soon back. */
static void make_race(struct sim *sim, struct sim_random *random, size_t i)
{
    struct sim_fault *faults = sim->plan.faults;
    faults[i].kind = i == 0 ? SIM_DIE_AFTER : SIM_STORE_FAILOVER;
    faults[i].op = TAGD_OP_COMMIT;
    faults[i].context = SIM_CONTEXTS;
    if (i == 1)
        faults[1].at_ms = faults[0].at_ms + sim_between(random, 50, 1000);
    faults[i].for_ms = i == 0 ? 50 : sim_between(random, 500, 3000);
}

static void make_faults(struct sim *sim, struct sim_random *random)
{
    struct sim_plan *plan = &sim->plan;
    bool has[SIM_FAULTS];
    unsigned kinds[SIM_FAULTS], n = 0;
    choose_kinds(random, has);
    if (races(sim)) {
        memset(has, 0, sizeof(has));
        has[SIM_STORE_FAILOVER] = has[SIM_KILL] = has[SIM_DIE_AFTER] = true;
    }
    if (strays(sim)) /* and nothing that a repair can't do without */
        has[SIM_RETAIN] = has[SIM_GAP] = has[SIM_EXPIRE] = has[SIM_RESET] = has[SIM_OUTPUTS_GONE] = has[SIM_WRONG] =
            false;
    if (plan->wrong_delivery || strays(sim))
        has[SIM_KILL] = true;
    for (unsigned kind = 0; kind < SIM_FAULTS; kind++)
        if (has[kind])
            kinds[n++] = kind;
    if (sim->options.scenario) {
        make_scenario(sim, random);
        return;
    }
    plan->n_faults = n == 0 ? 0 : (size_t)sim_between(random, 0, 14);
    if ((plan->wrong_delivery || races(sim) || strays(sim)) && plan->n_faults < 2)
        plan->n_faults = 2;
    for (size_t i = 0; i < plan->n_faults; i++) {
        make_fault(sim, random, (enum sim_fault_kind)kinds[sim_between(random, 0, (int64_t)n - 1)], &plan->faults[i]);
        if (plan->wrong_delivery && i < 2) {
            plan->faults[i].kind = i == 0 ? SIM_STORE_BACK : SIM_WRONG;
            plan->faults[i].at_ms = plan->events_end_ms - (plan->events_end_ms - sim->now_ms) / 3;
        }
        if (races(sim) && i < 2)
            make_race(sim, random, i);
        if (strays(sim) && i < 2)
            plan->faults[i].kind = i == 0 ? SIM_STORE_EMPTIED : SIM_STORE_BACK;
        plan->faults[i].dropped = sim->options.drop_faults >> i & 1;
    }
    plan->faults_end_ms = plan->events_end_ms + 4000;
}

void sim_plan_make(struct sim *sim)
{
    struct sim_random random = sim_random_of(sim->options.seed, 1);
    struct sim_plan *plan = &sim->plan;
    unsigned kind = (unsigned)sim_between(&random, 0, 99);
    plan->mode = kind < 40 ? SIM_ONE_TOPIC : kind < 60 ? SIM_TWO_TOPICS : kind < 90 ? SIM_LIVE : SIM_UNORDERED;
    plan->n_topics = plan->mode == SIM_ONE_TOPIC || (plan->mode != SIM_TWO_TOPICS && sim_percent(&random, 50)) ? 1 : 2;
    plan->n_shards = (uint32_t)sim_between(&random, 1, SIM_SHARDS);
    plan->n_customers = (uint32_t)sim_between(&random, 1, SIM_CUSTOMERS);
    plan->n_processes = (uint32_t)sim_between(&random, 1, SIM_PROCESSES);
    plan->n_workers = (uint32_t)sim_between(&random, 1, 2);
    plan->catalog = catalog_of((size_t)sim_between(&random, 0, CATALOGS - 1));
    plan->rolling = sim->options.seed % 5 == 4;
    plan->at_least_once = sim_percent(&random, 15);
    plan->content_binary = sim_percent(&random, 25);
    plan->overlapped = sim_percent(&random, 35);
    plan->stable_reads = sim_percent(&random, 50);
    plan->continue_on_data_gap = sim_percent(&random, 75);
    plan->rebuild = sim_percent(&random, 80);
    plan->poison = sim_percent(&random, 12);
    plan->limited = sim_percent(&random, 12);
    plan->forgets = plan->poison && !plan->at_least_once && !sim->options.scenario && sim_percent(&random, 15);
    plan->bad_percent = sim_percent(&random, 70) ? 8 : 40;
    if (races(sim))
        plan->bad_percent = 60;
    if (strays(sim)) {
        plan->mode = SIM_UNORDERED;
        plan->n_topics = 2;
        plan->catalog = catalog_of(CATALOGS - 1 - sim->options.seed / 16 % 3);
        plan->rebuild = true;
    }
    plan->wrong_delivery = sim_percent(&random, 1) && !sim->options.scenario;
    if (plan->wrong_delivery) {
        plan->n_shards = plan->n_processes = plan->n_workers = 1;
        plan->at_least_once = false;
    }
    plan->import_until_ms = sim_percent(&random, 2) && !sim->options.scenario ? sim->now_ms + 4000 : 0;
    plan->grace_ms = plan->mode == SIM_TWO_TOPICS ? 10000000
                     : sim_percent(&random, 30)   ? 0
                                                  : sim_between(&random, 1, 2500);
    plan->batch_events_max = sim_percent(&random, 50) ? (size_t)sim_between(&random, 1, 8) : 1000;
    plan->slowness = sim_percent(&random, 80) ? 1 : (uint32_t)sim_between(&random, 2, 12);
    for (uint32_t i = 0; i < SIM_CUSTOMERS; i++) {
        plan->customer_topic[i] = (uint32_t)sim_between(&random, 0, plan->n_topics - 1);
        plan->customer_shard[i] = (uint32_t)sim_between(&random, 0, plan->n_shards - 1);
    }
    make_events(sim, &random);
    make_faults(sim, &random);
}
