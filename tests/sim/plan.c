/* What a seed decides beforehand: the configuration, the events and when they are appended, the faults. A seed takes part
 * of the kinds of faults only, so that runs differ in kind and not in number alone. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_fault_names[SIM_FAULTS] = {"kill",
                                                 "pause",
                                                 "stop",
                                                 "store cut",
                                                 "store down",
                                                 "store full",
                                                 "store back",
                                                 "store failover",
                                                 "store emptied",
                                                 "broker down",
                                                 "rebalance",
                                                 "kick",
                                                 "offsets expire",
                                                 "retention",
                                                 "gap",
                                                 "offsets reset",
                                                 "outputs deleted",
                                                 "clock set",
                                                 "wrong config",
                                                 "slow",
                                                 "lost before",
                                                 "lost after",
                                                 "late",
                                                 "refused",
                                                 "die before",
                                                 "die after",
                                                 "denied",
                                                 "stolen"};

/* ---- catalogs ---- */

#define CATALOGS 3
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
    "\"need.category\":{\"value\":\"latest(category, buy)\"}}}"};

/* By catalog and variant; a day of the first one's time zone ends within the run. */
static const char *const breakdowns[CATALOGS][SIM_VARIANTS] = {
    {"\"timezone\":\"+01:46\",\"breakdowns\":[[\"behaviour.activity\",\"value.level\"],[\"need.category\","
     "\"behaviour.activity\"],[\"place.region\"]]",
     "\"timezone\":\"+01:46\",\"breakdowns\":[[\"place.region\",\"value.level\"]]"},
    {"\"breakdowns\":[[\"behaviour.activity\",\"mood.state\"]]", "\"breakdowns\":[]"},
    {"\"breakdowns\":[]", "\"breakdowns\":[[\"need.category\",\"count.all\"]]"}};

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

static void make_event(struct sim *sim, struct sim_random *random, size_t i, int64_t time_ms)
{
    struct sim_plan *plan = &sim->plan;
    struct sim_event *event = &plan->events[i];
    uint32_t customer = (uint32_t)sim_between(random, 0, (int64_t)plan->n_customers - 1);
    const char *type, *data = data_of(sim, random, &type), *text;
    char id[24], subject[16];
    snprintf(id, sizeof(id), "e%zu", i > 3 && sim_percent(random, 8) ? i - 3 : i);
    snprintf(subject, sizeof(subject), "c%u", customer);
    event->customer = (int)customer;
    event->record = (struct tagd_record){.has_value = true, .timestamp_ms = time_ms};
    event->record.topic = plan->customer_topic[customer];
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
        make_event(sim, random, i, of_event);
        if (plan->poison && sim_percent(random, 4))
            make_poison(sim, random, i, of_event);
        plan->events[i].at_ms = at_ms;
        plan->events[i].dropped = sim->options.drop_events[i];
    }
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
    if (plan->wrong_delivery)
        has[SIM_KILL] = true;
    for (unsigned kind = 0; kind < SIM_FAULTS; kind++)
        if (has[kind])
            kinds[n++] = kind;
    if (sim->options.scenario) {
        make_scenario(sim, random);
        return;
    }
    plan->n_faults = n == 0 ? 0 : (size_t)sim_between(random, 0, 14);
    if ((plan->wrong_delivery || races(sim)) && plan->n_faults < 2)
        plan->n_faults = 2;
    for (size_t i = 0; i < plan->n_faults; i++) {
        make_fault(sim, random, (enum sim_fault_kind)kinds[sim_between(random, 0, (int64_t)n - 1)], &plan->faults[i]);
        if (plan->wrong_delivery && i < 2) {
            plan->faults[i].kind = i == 0 ? SIM_STORE_BACK : SIM_WRONG;
            plan->faults[i].at_ms = plan->events_end_ms - (plan->events_end_ms - sim->now_ms) / 3;
        }
        if (races(sim) && i < 2)
            make_race(sim, random, i);
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
    plan->forgets = plan->poison && !plan->at_least_once && !sim->options.scenario && sim_percent(&random, 15);
    plan->bad_percent = sim_percent(&random, 70) ? 8 : 40;
    if (races(sim))
        plan->bad_percent = 60;
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
