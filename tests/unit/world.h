/* A world in memory behind struct tagd_port: topics, a consumer group of one, a store and a transactional producer. An
 * operation takes effect in the poll that completes it; in that same poll records of running shards are handed out. A
 * planted fault answers one operation otherwise, with or without its effect. What is sent without a transaction is
 * queued until it is let go, in order; if it fails, all that is queued fails. Memory is freed with the world. */
#ifndef TAGD_TEST_WORLD_H
#define TAGD_TEST_WORLD_H

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shard/shard.h"
#include "shop.h"
#include "tagd/worker.h"

#define WORLD_TOPICS 2
#define WORLD_SHARDS 2
#define WORLD_RECORDS 512
#define WORLD_CUSTOMERS 256
#define WORLD_OPS 8
#define WORLD_SENDS 128
#define WORLD_IDS 256
#define WORLD_OUTPUTS 512
#define WORLD_MARKER (-1) /* partition of what takes up an offset and is no record: the end of a transaction */

struct world_partition {
    struct tagd_record records[WORLD_RECORDS]; /* by offset */
    int64_t end, low, next;
    bool told_end;
    int64_t committed; /* -1: none */
    struct tagd_str metadata;
};
struct world_customer {
    struct tagd_str id, bytes, told; /* told.n = 0: none; a customer without bytes is one that is told of alone */
    int64_t due_ms;
    char view[256];
};
struct world_outputs {                       /* an output partition */
    struct tagd_published at[WORLD_OUTPUTS]; /* by offset */
    int64_t end, low;
};
struct world_count {
    struct tagd_str set, member;
    int64_t n;
};
struct world_population {
    struct tagd_str form;
    struct world_count *counts; /* never changed in place: a copy of the store has those of its moment */
    size_t n_counts;
};
/* What the store has of a shard. A copy can be taken and brought back: what it points to lives as long as the world. */
struct world_store {
    uint64_t fence;
    struct tagd_head head;
    struct world_customer customers[WORLD_CUSTOMERS];
    size_t n_customers;
    struct tagd_outbox_entry outbox[WORLD_RECORDS];
    size_t n_outbox;
    struct world_population population;
};
struct world_shard {
    struct world_partition topics[WORLD_TOPICS];
    struct world_outputs outputs[TAGD_OUTPUT_KINDS];
    uint64_t fence;
    struct tagd_head head;
    struct world_customer customers[WORLD_CUSTOMERS];
    size_t n_customers;
    struct tagd_outbox_entry outbox[WORLD_RECORDS];
    size_t n_outbox;
    struct world_population population;
    bool running;
    struct tagd_position tail;
    bool emptied;                          /* what was published is deleted */
    struct tagd_str first_copy[WORLD_IDS]; /* of the changes seen: a repeat must be the same bytes */
    size_t n_first_copies;
};
struct world_fault { /* the count-th operation of this kind from now on answers so; 0: none */
    int count;
    enum tagd_op_status status;
    bool effect;
};

struct world_send {
    struct tagd_op *op;
    struct tagd_shard_outputs *shards; /* copies */
    size_t n_shards;
};

struct world {
    struct tagd_port port;
    int64_t wall_ms, mono_ms;
    bool ends_confirmed; /* at each poll the ends are confirmed anew */
    bool latest;         /* new shards begin at the end */
    size_t due_most;     /* customers due that a LOAD gives at once; 0: as many as it asks for */
    struct world_shard shards[WORLD_SHARDS];
    struct world_fault faults[TAGD_OP_OUTPUTS + 1];
    struct tagd_op *ops[WORLD_OPS];
    size_t n_ops;
    struct world_send sends[WORLD_SENDS];
    size_t n_sends;
    bool sends_held;                  /* nothing that is sent comes through, or is answered */
    bool assign, revoke, lost, again; /* all shards, at the next poll */
    size_t n_done, die_at;            /* operations so far; the die_at-th (0: none) is where the process dies, */
    bool die_after, dead;             /* before or after it took effect; then nothing happens any more */
    unsigned n_events;
    size_t outputs_most; /* records that an OUTPUTS gives at once; 0: as many as it asks for */
    size_t settle_most;  /* the same of a LOAD's told customers */
    size_t reads_kept;   /* OUTPUTS while results of before were kept */
    unsigned revoked;
    uint32_t stalled;            /* topics, as bits, that give nothing, nor tell their end */
    size_t polls, polls_at_once; /* those that were not to wait */
    int held;                    /* tokens not released */
    size_t trials;
    bool trial_skipped;              /* nothing can be tried */
    bool trials_run;                 /* what is tried is run, in a process of its own */
    int came_through[WORLD_RECORDS]; /* trials, by offset */
    struct tagd_arena memory;
    struct tagd_buf published; /* "c tag:c:1 dimension>to;" */
    struct tagd_buf wire;      /* all that was to be published, taking effect or not: key, headers, value */
    size_t due_max;            /* that the last LOAD asked for */
    bool headers_unread;       /* records come so */
    unsigned headers_read;     /* how often they were asked for then */
    struct tagd_buf letters;   /* "code@offset;" */
    struct tagd_buf ended;     /* owners whose transactions were ended: "a;" */
    struct tagd_buf notes;
    struct tagd_catalog *catalog;
};

static const uint32_t world_all_shards[WORLD_SHARDS] = {0, 1};

static inline struct world_customer *world_customer(struct world_shard *shard, struct tagd_str id)
{
    for (size_t i = 0; i < shard->n_customers; i++)
        if (tagd_str_eq(shard->customers[i].id, id))
            return &shard->customers[i];
    return NULL;
}

static inline struct tagd_str world_keep(struct world *world, struct tagd_str s)
{
    return tagd_arena_copy(&world->memory, s.p, s.n);
}

/* ---- operations ---- */

static inline void world_fence(struct world_shard *shard, struct tagd_op *op)
{
    op->u.fence.before = shard->fence;
    shard->fence = (op->u.fence.at_least > shard->fence ? op->u.fence.at_least : shard->fence) + 1;
    op->u.fence.fence = shard->fence;
    op->u.fence.head = shard->head;
    op->u.fence.outbox = shard->outbox;
    op->u.fence.n_outbox = shard->n_outbox;
    op->u.fence.next_due_ms = TAGD_NEVER;
    op->u.fence.population_form = shard->population.form;
    for (size_t i = 0; i < shard->n_customers; i++)
        if (shard->customers[i].due_ms < op->u.fence.next_due_ms)
            op->u.fence.next_due_ms = shard->customers[i].due_ms;
}

/* ---- the store of a shard ---- */

static inline struct world_store world_copy(const struct world_shard *shard)
{
    struct world_store store = {.fence = shard->fence,
                                .head = shard->head,
                                .n_customers = shard->n_customers,
                                .n_outbox = shard->n_outbox,
                                .population = shard->population};
    memcpy(store.customers, shard->customers, sizeof(store.customers));
    memcpy(store.outbox, shard->outbox, sizeof(store.outbox));
    return store;
}

static inline void world_bring_back(struct world_shard *shard, const struct world_store *store)
{
    shard->fence = store->fence;
    shard->head = store->head;
    shard->n_customers = store->n_customers;
    shard->n_outbox = store->n_outbox;
    shard->population = store->population;
    memcpy(shard->customers, store->customers, sizeof(store->customers));
    memcpy(shard->outbox, store->outbox, sizeof(store->outbox));
}

static inline void world_empty(struct world_shard *shard)
{
    static const struct world_store nothing;
    world_bring_back(shard, &nothing);
    shard->head.watermark_ms = shard->head.latest_ms = INT64_MIN;
    for (size_t topic = 0; topic < TAGD_TOPICS_MAX; topic++)
        shard->head.next_offset[topic] = -1;
}

static inline void world_load_told(const struct world *world, struct world_shard *shard, struct tagd_op *op)
{
    size_t most = world->settle_most != 0 ? world->settle_most : op->u.load.settle_max;
    for (size_t i = 0; i < op->u.load.n_items && op->u.load.with_told; i++) {
        const struct world_customer *known = world_customer(shard, op->u.load.items[i].customer);
        op->u.load.items[i].told = known == NULL ? (struct tagd_str){NULL, 0} : known->told;
    }
    op->u.load.n_settle = 0;
    if (op->u.load.settle_max == 0)
        return;
    op->u.load.settle = tagd_arena_zalloc(op->arena, (shard->n_customers + 1) * sizeof(*op->u.load.settle));
    for (size_t i = 0; i < shard->n_customers; i++) {
        const struct world_customer *customer = &shard->customers[i];
        if (customer->told.n > 0 && op->u.load.n_settle < most)
            op->u.load.settle[op->u.load.n_settle++] =
                (struct tagd_load_item){.customer = customer->id, .bytes = customer->bytes, .told = customer->told};
    }
}

static inline void world_load_walk(struct world_shard *shard, struct tagd_op *op)
{
    size_t from = op->u.load.walk_from, n = shard->n_customers > from ? shard->n_customers - from : 0;
    op->u.load.n_walk = n < op->u.load.walk_max ? n : op->u.load.walk_max;
    op->u.load.walk = tagd_arena_zalloc(op->arena, (n + 1) * sizeof(*op->u.load.walk));
    for (size_t i = 0; i < op->u.load.n_walk; i++)
        op->u.load.walk[i] = (struct tagd_load_item){.customer = shard->customers[from + i].id,
                                                     .bytes = shard->customers[from + i].bytes};
}

static inline void world_load(struct world *world, struct world_shard *shard, struct tagd_op *op)
{
    size_t due_most = world->due_most != 0 ? world->due_most : op->u.load.due_max;
    world->due_max = op->u.load.due_max;
    for (size_t i = 0; i < op->u.load.n_items; i++) {
        const struct world_customer *known = world_customer(shard, op->u.load.items[i].customer);
        if (op->u.load.items[i].known)
            continue;
        op->u.load.items[i].bytes = known == NULL ? (struct tagd_str){NULL, 0} : known->bytes;
    }
    op->u.load.n_due = 0;
    op->u.load.next_due_ms = TAGD_NEVER;
    if (op->u.load.due_to_ms == INT64_MIN)
        return;
    op->u.load.due = tagd_arena_zalloc(op->arena, (shard->n_customers + 1) * sizeof(*op->u.load.due));
    for (size_t i = 0; i < shard->n_customers; i++) {
        const struct world_customer *customer = &shard->customers[i];
        if (customer->due_ms <= op->u.load.due_to_ms && op->u.load.n_due < due_most)
            op->u.load.due[op->u.load.n_due++] =
                (struct tagd_load_item){.customer = customer->id,
                                        .bytes = customer->bytes,
                                        .told = op->u.load.with_told ? customer->told : (struct tagd_str){NULL, 0}};
        else if (customer->due_ms < op->u.load.next_due_ms)
            op->u.load.next_due_ms = customer->due_ms;
    }
}

static inline struct world_customer *world_add_customer(struct world *world, struct world_shard *shard,
                                                        struct tagd_str id)
{
    CHECK(shard->n_customers < WORLD_CUSTOMERS);
    struct world_customer *customer = &shard->customers[shard->n_customers++];
    *customer = (struct world_customer){.id = world_keep(world, id), .due_ms = TAGD_NEVER};
    return customer;
}

static inline void world_write_told(struct world *world, struct world_shard *shard,
                                    const struct tagd_shard_writes *writes)
{
    for (size_t i = 0; i < writes->n_told; i++) {
        struct world_customer *customer = world_customer(shard, writes->told[i].customer);
        if (customer == NULL)
            customer = world_add_customer(world, shard, writes->told[i].customer);
        customer->told = world_keep(world, writes->told[i].bytes);
    }
}

/* ---- the population ---- */

static inline struct world_count *world_count(struct world_population *population, struct tagd_str set,
                                              struct tagd_str member)
{
    for (size_t i = 0; i < population->n_counts; i++)
        if (tagd_str_eq(population->counts[i].set, set) && tagd_str_eq(population->counts[i].member, member))
            return &population->counts[i];
    return NULL;
}

/* How many are in that count; 0: it isn't there. */
static inline int64_t world_counted(struct world_shard *shard, const char *set, const char *member)
{
    const struct world_count *count = world_count(&shard->population, tagd_str_of(set), tagd_str_of(member));
    return count == NULL ? 0 : count->n;
}

static inline void world_write_population(struct world *world, struct world_population *population,
                                          const struct tagd_population_write *writes)
{
    const struct world_count *before = population->counts;
    size_t n_before = population->n_counts, n = n_before + writes->n_counts + 1;
    population->counts = tagd_arena_alloc(&world->memory, n * sizeof(*before));
    population->n_counts = 0;
    for (size_t i = 0; i < n_before; i++) {
        bool drops = false;
        for (size_t k = 0; k < writes->n_drops; k++)
            drops = drops || tagd_str_eq(before[i].set, writes->drops[k]);
        if (!drops)
            population->counts[population->n_counts++] = before[i];
    }
    for (size_t i = 0; i < writes->n_counts; i++) {
        const struct tagd_count_write *write = &writes->counts[i];
        struct world_count *count = world_count(population, write->set, write->member);
        CHECK(write->by != 0);
        if (count == NULL) {
            count = &population->counts[population->n_counts++];
            *count = (struct world_count){world_keep(world, write->set), world_keep(world, write->member), 0};
        }
        count->n += write->by;
        CHECK(count->n >= 0);
        if (count->n == 0)
            *count = population->counts[--population->n_counts];
    }
    if (writes->form.n > 0)
        population->form = world_keep(world, writes->form);
}

/* Once it is counted it is what the stored profiles add up to, whatever happened. */
static inline void world_check_population(const struct world *world, struct world_shard *shard)
{
    struct tagd_counts counts = {0};
    struct tagd_profile *profile = tagd_profile_new(world->catalog);
    struct tagd_buf name = {0};
    struct tagd_error error;
    size_t n = 0;
    tagd_population_form(world->catalog, true, &name);
    bool counted = tagd_str_eq(shard->population.form, (struct tagd_str){name.p, name.n});
    for (size_t i = 0; i < shard->n_customers && counted; i++) {
        if (shard->customers[i].bytes.n == 0)
            continue;
        CHECK(tagd_profile_decode(profile, shard->customers[i].bytes, &error));
        tagd_counts_profile(&counts, profile, world->catalog);
    }
    for (size_t i = 0; i < counts.n && counted; i++) {
        name.n = 0;
        tagd_set_name(world->catalog, counts.at[i].set, &name);
        const struct world_count *count =
            world_count(&shard->population, (struct tagd_str){name.p, name.n}, tagd_counts_member(&counts, i));
        CHECK(count != NULL && count->n == counts.at[i].value);
    }
    for (size_t i = 0; i < shard->population.n_counts; i++)
        n += shard->population.counts[i].set.p[0] < '0' || shard->population.counts[i].set.p[0] > '9'; /* days */
    CHECK(!counted || n == counts.n);
    tagd_buf_free(&name);
    tagd_profile_free(profile);
    tagd_counts_free(&counts);
}

/* What the store is not told of a view, since it is the same, is there already; and what isn't there any more goes. */
static inline void world_check_view(const struct world_customer *customer, const struct tagd_profile_write *write)
{
    char old[sizeof customer->view + 1], field[sizeof old];
    snprintf(old, sizeof old, " %s", customer->view);
    for (size_t k = 0; write->view_same != NULL && k < write->n_view; k++) {
        const struct tagd_str *pair = &write->view[2 * k];
        snprintf(field, sizeof field, " %.*s=%.*s ", (int)pair[0].n, pair[0].p, (int)pair[1].n, pair[1].p);
        CHECK(!write->view_same[k] || strstr(old, field) != NULL);
    }
    char *rest = old, *name;
    while (write->view_same != NULL && (name = strtok_r(rest, " ", &rest)) != NULL) {
        struct tagd_str is = {name, strcspn(name, "=")};
        bool stays = false, goes = name[is.n] == '\0'; /* of a value with blanks */
        for (size_t k = 0; k < write->n_view; k++)
            stays |= tagd_str_eq(write->view[2 * k], is);
        for (size_t k = 0; k < write->n_gone; k++)
            goes |= tagd_str_eq(write->gone[k], is);
        CHECK(stays || goes);
    }
}

static inline void world_write(struct world *world, struct world_shard *shard, const struct tagd_shard_writes *writes)
{
    size_t kept = 0, n_views = 0, n_untold = 0;
    if (!writes->head.exists) { /* only compared */
        CHECK(writes->n_profiles == 0 && writes->n_told == 0 && writes->outbox.n == 0);
        CHECK(writes->population.n_counts == 0 && writes->population.form.n == 0);
        return;
    }
    for (size_t i = 0; i < writes->n_profiles; i++)
        n_views += writes->profiles[i].view_changed;
    for (size_t i = 0; i < writes->n_told; i++)
        n_untold += writes->told[i].bytes.n == 0;
    /* Under repair a view changes when its customer is settled. */
    CHECK(shard->head.repair.phase == TAGD_NO_REPAIR || n_views <= n_untold);
    /* Whoever published that batch is fenced off. */
    CHECK(writes->head.repair.phase != TAGD_REPAIR_TELLING || writes->fence > writes->head.fence);
    for (size_t i = 0; i < shard->n_outbox; i++)
        if (shard->outbox[i].batch > writes->outbox_drop_to)
            shard->outbox[kept++] = shard->outbox[i];
    shard->n_outbox = kept;
    if (writes->outbox.n > 0)
        shard->outbox[shard->n_outbox++] = (struct tagd_outbox_entry){
            writes->head.fence, writes->head.batch, writes->head.prev_fence, world_keep(world, writes->outbox)};
    shard->head = writes->head;
    world_write_told(world, shard, writes);
    for (size_t i = 0; i < writes->n_profiles; i++) {
        const struct tagd_profile_write *write = &writes->profiles[i];
        struct world_customer *customer = world_customer(shard, write->customer);
        if (customer == NULL)
            customer = world_add_customer(world, shard, write->customer);
        CHECK(customer->bytes.n > 0 || write->due_changed);
        customer->bytes = world_keep(world, write->bytes);
        if (write->due_changed)
            customer->due_ms = write->due_ms;
        size_t at = 0;
        if (write->view_changed)
            world_check_view(customer, write);
        for (size_t k = 0; write->view_changed && k < write->n_view; k++)
            at += (size_t)snprintf(customer->view + at, sizeof(customer->view) - at, "%.*s=%.*s ",
                                   (int)write->view[2 * k].n, write->view[2 * k].p, (int)write->view[2 * k + 1].n,
                                   write->view[2 * k + 1].p);
    }
    world_write_population(world, &shard->population, &writes->population);
    world_check_population(world, shard);
}

static inline void world_commit(struct world *world, struct tagd_op *op, bool effect)
{
    bool fenced = false;
    for (size_t i = 0; i < op->u.commit.n_shards; i++) {
        struct tagd_shard_writes *writes = &op->u.commit.shards[i];
        struct world_shard *shard = &world->shards[writes->shard];
        bool ours = shard->fence == writes->fence && shard->head.fence == writes->base_fence &&
                    shard->head.batch == writes->base_batch;
        writes->status = ours ? TAGD_DONE : TAGD_FENCED;
        fenced = fenced || !ours;
        if (ours && effect)
            world_write(world, shard, writes);
    }
    op->status = fenced ? TAGD_FENCED : TAGD_DONE;
}

static inline void world_see_id(struct world_shard *shard, struct tagd_str value)
{
    size_t n = strcspn(strstr(value.p, "\"id\":\""), ",") + (size_t)(strstr(value.p, "\"id\":\"") - value.p);
    for (size_t i = 0; i < shard->n_first_copies; i++)
        if (memcmp(shard->first_copy[i].p, value.p, n) == 0) {
            CHECK(tagd_str_eq(shard->first_copy[i], value));
            return;
        }
    CHECK(shard->n_first_copies < WORLD_IDS);
    shard->first_copy[shard->n_first_copies++] = value;
}

static inline void world_see_change(struct world *world, struct world_shard *shard, const struct tagd_output *output)
{
    struct tagd_str value = output->value;
    if (output->n_headers > 1) { /* binary mode */
        CHECK(tagd_str_eq(output->headers[1].name, TAGD_STR("ce_id")));
        tagd_buf_printf(&world->published, "%.*s;", (int)output->headers[1].value.n, output->headers[1].value.p);
        return;
    }
    static const char *const names[] = {"\"id\":\"", "\"dimension\":\"", "\"to\":"},
                             whole[][12] = {"\"alert\":\"", "{\"goal\":\""};
    const char *text = tagd_arena_copy(&world->memory, value.p, value.n).p;
    world_see_id(shard, (struct tagd_str){text, value.n});
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(text, names[i]);
        const char *name = strstr(text, whole[0]) != NULL ? strstr(text, whole[0]) : strstr(text, whole[1]);
        if (i > 0 && name != NULL) { /* raised or cleared; reached or missed */
            name = strchr(name, ':') + 2;
            tagd_buf_printf(&world->published, " %.*s", (int)strcspn(name, "\""), name);
            break;
        }
        CHECK(at != NULL);
        at += strlen(names[i]);
        at += i == 2 && *at == '"'; /* or null */
        tagd_buf_printf(&world->published, "%s%.*s", i == 0 ? "" : i == 1 ? " " : ">", (int)strcspn(at, "\","), at);
    }
    tagd_buf_add_z(&world->published, ";");
}

static inline void world_see_letter(struct world *world, const struct tagd_output *output)
{
    for (size_t i = 0; i < output->n_headers; i++)
        if (tagd_str_eq(output->headers[i].name, TAGD_STR("tagd_error")))
            tagd_buf_printf(&world->letters, "%.*s", (int)output->headers[i].value.n, output->headers[i].value.p);
        else if (tagd_str_eq(output->headers[i].name, TAGD_STR("own")))
            tagd_buf_printf(&world->letters, "%.*s/", (int)output->headers[i].value.n, output->headers[i].value.p);
    tagd_buf_printf(&world->letters, " %.*s;", (int)output->value.n, output->value.p);
}

static inline void world_see_wire(struct world *world, const struct tagd_op *op)
{
    for (size_t i = 0; i < op->u.publish.n_shards; i++)
        for (size_t k = 0; k < op->u.publish.shards[i].n_outputs; k++) {
            const struct tagd_output *output = &op->u.publish.shards[i].outputs[k];
            tagd_buf_printf(&world->wire, "%s%.*s", output->has_key ? "key " : "no key", (int)output->key.n,
                            output->key.p);
            for (size_t h = 0; h < output->n_headers; h++)
                tagd_buf_printf(&world->wire, " %.*s=%.*s", (int)output->headers[h].name.n, output->headers[h].name.p,
                                (int)output->headers[h].value.n, output->headers[h].value.p);
            tagd_buf_printf(&world->wire, " %s%.*s\n", output->has_value ? "value " : "no value", (int)output->value.n,
                            output->value.p);
        }
}

/* What a reader of the output partition finds, with the headers that the port adds. */
static inline void world_put_output(struct world *world, struct world_shard *shard, const struct tagd_output *output,
                                    struct tagd_position at)
{
    struct world_outputs *outputs = &shard->outputs[output->kind];
    CHECK((int)output->kind < tagd_output_kinds(world->catalog));
    struct tagd_header *headers =
        tagd_arena_alloc(&world->memory, (output->n_headers + 2) * sizeof(struct tagd_header));
    for (size_t i = 0; i < output->n_headers; i++)
        headers[i] = (struct tagd_header){world_keep(world, output->headers[i].name),
                                          world_keep(world, output->headers[i].value)};
    headers[output->n_headers] = (struct tagd_header){
        TAGD_STR("tagd_batch"), tagd_str_of(tagd_arena_printf(&world->memory, "%" PRIu64 ".%" PRIu64 ".%" PRIu32,
                                                              at.fence, at.batch, output->index))};
    headers[output->n_headers + 1] = (struct tagd_header){TAGD_STR("tagd_group"), TAGD_STR("g")};
    CHECK(outputs->end < WORLD_OUTPUTS);
    outputs->at[outputs->end] = (struct tagd_published){at,
                                                        {.key = world_keep(world, output->key),
                                                         .value = world_keep(world, output->value),
                                                         .has_key = output->has_key,
                                                         .has_value = output->has_value,
                                                         .headers = headers,
                                                         .n_headers = output->n_headers + 2,
                                                         .offset = outputs->end}};
    outputs->end++;
}

/* Copies that live as long as results do. */
static inline void *world_lend(struct tagd_arena *arena, const void *from, size_t n)
{
    void *copy = tagd_arena_alloc(arena, n + 1);
    if (n > 0)
        memcpy(copy, from, n);
    return copy;
}

static inline struct tagd_str world_lend_text(struct tagd_arena *arena, struct tagd_str text)
{
    return text.p == NULL ? text : tagd_arena_copy(arena, text.p, text.n);
}

static inline void world_lend_record(struct tagd_arena *arena, struct tagd_record *record)
{
    struct tagd_header *headers = world_lend(arena, record->headers, record->n_headers * sizeof(*headers));
    for (size_t i = 0; i < record->n_headers; i++)
        headers[i] =
            (struct tagd_header){world_lend_text(arena, headers[i].name), world_lend_text(arena, headers[i].value)};
    record->headers = headers;
    record->key = world_lend_text(arena, record->key);
    record->value = world_lend_text(arena, record->value);
}

/* OUTPUTS: a choice of `from` is the first record of a batch or a fence that is late enough. */
static inline void world_read_outputs(struct world *world, struct world_shard *shard, struct tagd_op *op)
{
    struct world_outputs *outputs = &shard->outputs[op->u.outputs.kind];
    CHECK((int)op->u.outputs.kind < tagd_output_kinds(world->catalog)); /* else its topic may not even be there */
    size_t most = world->outputs_most != 0 ? world->outputs_most : op->u.outputs.max;
    int64_t from = op->u.outputs.from;
    world->reads_kept += op->arena->used > 0;
    if (from < 0)
        for (from = outputs->low; from < outputs->end && outputs->at[from].at.batch < op->u.outputs.batch &&
                                  outputs->at[from].at.fence <= op->u.outputs.fence;)
            from++;
    op->u.outputs.whole = from > outputs->low || from == 0;
    from = from < outputs->low ? outputs->low : from;
    op->u.outputs.began = from;
    op->u.outputs.n_outputs = (size_t)(outputs->end - from) < most ? (size_t)(outputs->end - from) : most;
    op->u.outputs.outputs = world_lend(op->arena, &outputs->at[from], op->u.outputs.n_outputs * sizeof(outputs->at[0]));
    for (size_t i = 0; i < op->u.outputs.n_outputs; i++)
        world_lend_record(op->arena, &op->u.outputs.outputs[i].record);
    op->u.outputs.next = from + (int64_t)op->u.outputs.n_outputs;
    op->u.outputs.end = op->u.outputs.next == outputs->end;
}

static inline void world_see_outputs(struct world *world, const struct tagd_shard_outputs *from)
{
    struct world_shard *shard = &world->shards[from->shard];
    for (size_t k = 0; k < from->n_outputs; k++) {
        if (from->outputs[k].kind != TAGD_OUT_DEAD_LETTER)
            world_see_change(world, shard, &from->outputs[k]);
        else
            world_see_letter(world, &from->outputs[k]);
        shard->tail = (struct tagd_position){true, from->fence, from->batch};
        world_put_output(world, shard, &from->outputs[k], shard->tail);
    }
}

/* Outputs and offsets; OFFSETS has no outputs. */
static inline void world_publish(struct world *world, struct tagd_op *op)
{
    for (size_t i = 0; i < op->u.publish.n_shards; i++) {
        const struct tagd_shard_outputs *from = &op->u.publish.shards[i];
        struct world_shard *shard = &world->shards[from->shard];
        world_see_outputs(world, from);
        for (uint32_t topic = 0; topic < WORLD_TOPICS; topic++) {
            shard->topics[topic].committed = from->offset[topic];
            shard->topics[topic].metadata = world_keep(world, from->metadata);
        }
    }
}

/* ---- sending without transactions ---- */

/* All that is pointed to is copied now: it may be gone when submit returns. */
static inline void world_send(struct world *world, struct tagd_op *op)
{
    CHECK(world->n_sends < WORLD_SENDS);
    struct world_send *send = &world->sends[world->n_sends++];
    *send = (struct world_send){op, NULL, op->u.publish.n_shards};
    send->shards = tagd_arena_alloc(&world->memory, (send->n_shards + 1) * sizeof(*send->shards));
    for (size_t i = 0; i < send->n_shards; i++) {
        struct tagd_shard_outputs *shard = &send->shards[i];
        *shard = op->u.publish.shards[i];
        struct tagd_output *outputs =
            tagd_arena_alloc(&world->memory, (shard->n_outputs + 1) * sizeof(struct tagd_output));
        for (size_t k = 0; k < shard->n_outputs; k++) {
            outputs[k] = shard->outputs[k];
            outputs[k].value = world_keep(world, outputs[k].value);
            outputs[k].key = world_keep(world, outputs[k].key);
            struct tagd_header *headers =
                tagd_arena_alloc(&world->memory, (outputs[k].n_headers + 1) * sizeof(struct tagd_header));
            for (size_t h = 0; h < outputs[k].n_headers; h++)
                headers[h] = (struct tagd_header){world_keep(world, outputs[k].headers[h].name),
                                                  world_keep(world, outputs[k].headers[h].value)};
            outputs[k].headers = headers;
        }
        shard->outputs = outputs;
    }
}

static inline void world_let_through(struct world *world, const struct world_send *send)
{
    for (size_t i = 0; i < send->n_shards; i++)
        world_see_outputs(world, &send->shards[i]);
}

static inline void world_complete_sends(struct world *world)
{
    struct world_fault *fault = &world->faults[TAGD_OP_SEND];
    size_t n = world->sends_held ? 0 : world->n_sends;
    bool failed = false;
    for (size_t i = 0; i < n; i++) {
        struct tagd_op *op = world->sends[i].op;
        bool planted = !failed && fault->count > 0 && --fault->count == 0;
        CHECK(!planted || fault->effect || fault->status != TAGD_PENDING); /* else later ones would come first */
        if (!failed && (!planted || fault->effect))
            world_let_through(world, &world->sends[i]);
        failed = failed || (planted && fault->status != TAGD_PENDING);
        op->status = failed ? TAGD_ABORTED : planted ? TAGD_PENDING : TAGD_DONE;
        if (failed)
            tagd_fail(&op->error, "planted");
    }
    world->n_sends -= n;
}

static inline void world_committed(struct world_shard *shard, struct tagd_op *op)
{
    op->u.committed.topics = tagd_arena_zalloc(op->arena, WORLD_TOPICS * sizeof(*op->u.committed.topics));
    for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++)
        op->u.committed.outputs_end[kind] = shard->outputs[kind].end;
    for (uint32_t topic = 0; topic < WORLD_TOPICS; topic++) {
        const struct world_partition *partition = &shard->topics[topic];
        op->u.committed.topics[topic] =
            (struct tagd_committed_topic){partition->committed, partition->metadata, partition->low, partition->end};
    }
}

static inline void world_start(const struct world *world, struct world_shard *shard, struct tagd_op *op)
{
    shard->running = true;
    for (uint32_t topic = 0; topic < WORLD_TOPICS; topic++) {
        shard->topics[topic].next = op->u.start.offsets[topic] < 0
                                        ? (world->latest ? shard->topics[topic].end : shard->topics[topic].low)
                                        : op->u.start.offsets[topic];
        shard->topics[topic].told_end = false;
        op->u.start.offsets[topic] = shard->topics[topic].next;
    }
}

static inline void world_complete(struct world *world, struct tagd_op *op)
{
    struct world_shard *shard = &world->shards[op->shard < WORLD_SHARDS ? op->shard : 0];
    struct world_fault *fault = &world->faults[op->kind];
    bool planted = fault->count > 0 && --fault->count == 0, effect = !planted || fault->effect;
    world->dead = ++world->n_done == world->die_at;
    if (world->dead && !world->die_after)
        return;
    op->status = TAGD_DONE;
    if (op->kind == TAGD_OP_PUBLISH)
        world_see_wire(world, op);
    if (op->kind == TAGD_OP_COMMIT)
        world_commit(world, op, effect);
    if (effect)
        switch (op->kind) {
        case TAGD_OP_FENCE: world_fence(shard, op); break;
        case TAGD_OP_COMMITTED: world_committed(shard, op); break;
        case TAGD_OP_TAIL:
            CHECK(op->u.tail.repeats == shard->head.at_least_once);
            op->u.tail.last = shard->tail;
            for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++)
                op->u.tail.emptied[kind] = !shard->tail.found && shard->emptied;
            break;
        case TAGD_OP_START: world_start(world, shard, op); break;
        case TAGD_OP_LOAD:
            world_load_told(world, shard, op);
            world_load_walk(shard, op);
            world_load(world, shard, op);
            break;
        case TAGD_OP_OFFSETS:
        case TAGD_OP_PUBLISH: world_publish(world, op); break;
        case TAGD_OP_REFETCH:
            op->u.refetch.record = shard->topics[op->u.refetch.topic].records[op->u.refetch.offset];
            break;
        case TAGD_OP_END_OWNER:
            tagd_buf_add_str(&world->ended, op->u.end_owner.owner);
            tagd_buf_add_z(&world->ended, ";");
            break;
        case TAGD_OP_OUTPUTS: world_read_outputs(world, shard, op); break;
        case TAGD_OP_SEND:
        case TAGD_OP_COMMIT: break;
        }
    if (world->dead)
        op->status = TAGD_PENDING;
    if (planted) {
        op->status = fault->status;
        tagd_fail(&op->error, "planted");
    }
}

/* ---- the port ---- */

static inline void world_submit(void *self, struct tagd_op *op)
{
    struct world *world = self;
    CHECK(world->n_ops < WORLD_OPS && op->status == TAGD_PENDING);
    if (op->kind == TAGD_OP_SEND) {
        world_send(world, op);
        return;
    }
    world->ops[world->n_ops++] = op;
}

static inline size_t world_hand_out(struct world *world, uint32_t shard, uint32_t topic, size_t max,
                                    void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct world_partition *partition = &world->shards[shard].topics[topic];
    size_t n = 0;
    for (; n < max && partition->next < partition->end; n++, partition->next++) {
        if (partition->records[partition->next].partition == WORLD_MARKER)
            continue;
        struct tagd_input in = {TAGD_IN_RECORD, .record = partition->records[partition->next], .token = world,
                                .end_offset = partition->end};
        world->held++;
        in.record.headers_unread = world->headers_unread;
        if (world->headers_unread)
            in.record.n_headers = 0;
        input(to, &in);
    }
    if (partition->next < partition->end || (partition->told_end && !world->ends_confirmed))
        return n;
    partition->told_end = true;
    struct tagd_input in = {TAGD_IN_END, .confirmed_ms = world->mono_ms};
    in.record.topic = topic;
    in.record.partition = (int32_t)shard;
    in.record.offset = partition->end;
    input(to, &in);
    return n;
}

static inline void world_headers(void *self, void *token, struct tagd_record *record)
{
    struct world *world = self;
    const struct world_partition *of = &world->shards[record->partition].topics[record->topic];
    (void)token;
    CHECK(record->headers_unread);
    record->headers = of->records[record->offset].headers;
    record->n_headers = of->records[record->offset].n_headers;
    record->headers_unread = false;
    world->headers_read++;
}

static inline void world_poll(void *self, int timeout_ms, size_t max_records,
                              void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct world *world = self;
    size_t n = world->n_ops;
    world->polls++;
    world->polls_at_once += timeout_ms == 0;
    world->n_ops = 0;
    for (size_t i = 0; i < n && !world->dead; i++)
        world_complete(world, world->ops[i]);
    if (world->dead)
        return;
    world_complete_sends(world);
    struct tagd_input in = {.shards = world_all_shards, .n_shards = WORLD_SHARDS};
    if (world->assign || world->revoke || world->lost || world->again) {
        in.kind = world->assign   ? TAGD_IN_ASSIGN
                  : world->revoke ? TAGD_IN_REVOKE
                  : world->lost   ? TAGD_IN_LOST
                                  : TAGD_IN_AGAIN;
        for (uint32_t shard = 0; world->lost && shard < WORLD_SHARDS; shard++)
            world->shards[shard].running = false;
        world->assign = world->revoke = world->lost = world->again = false;
        input(to, &in);
    }
    for (uint32_t shard = 0; shard < WORLD_SHARDS; shard++)
        for (uint32_t topic = 0; topic < WORLD_TOPICS && world->shards[shard].running; topic++)
            if ((world->stalled & 1u << topic) == 0)
                max_records -= world_hand_out(world, shard, topic, max_records, input, to);
}

static inline void world_release(void *self, void *token)
{
    struct world *world = self;
    CHECK(token == world && world->held > 0);
    world->held--;
}

static inline void world_revoked(void *self)
{
    struct world *world = self;
    world->revoked++;
    for (uint32_t shard = 0; shard < WORLD_SHARDS; shard++)
        world->shards[shard].running = false;
}

/* What the record's text says that it does: "kills decoding", "kills applying" (it comes through one trial, and through
 * no other), "kills once" or "kills in company" (never the first of a trial), "kills applying in company" (both). */
static inline bool world_kills(struct world *world, const struct tagd_record *record, size_t i)
{
    const char *text = record->value.p;
    if (text == NULL)
        return false;
    if (strstr(text, "kills applying in company"))
        return world->came_through[record->offset]++ > 0 && i > 0;
    if (strstr(text, "kills applying"))
        return world->came_through[record->offset]++ > 0;
    if (strstr(text, "kills once"))
        return world->came_through[record->offset]++ == 0;
    return strstr(text, "kills decoding") || (strstr(text, "kills in company") && i > 0);
}

/* They are run in a child, as the real trial does, and must come through there. */
static inline void world_run_in_child(size_t n, void (*run)(void *to, size_t i), void *to)
{
    int status = -1;
    pid_t child = fork();
    CHECK(child >= 0);
    for (size_t i = 0; child == 0 && i < n; i++)
        run(to, i);
    if (child == 0)
        _exit(0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static inline size_t world_trial(void *self, const struct tagd_record *const *records, size_t n,
                                 void (*run)(void *to, size_t i), void *to, struct tagd_error *killed)
{
    struct world *world = self;
    size_t through = 0;
    CHECK(n > 0);
    if (world->trial_skipped)
        return n;
    world->trials++;
    while (through < n && !world_kills(world, records[through], through))
        through++;
    if (world->trials_run)
        world_run_in_child(through, run, to);
    if (through < n)
        tagd_fail(killed, "SIGSEGV");
    return through;
}

static inline int64_t world_wall(void *self)
{
    return ((struct world *)self)->wall_ms;
}

static inline int64_t world_mono(void *self)
{
    return ((struct world *)self)->mono_ms;
}

static inline int64_t world_mono_us(void *self)
{
    return world_mono(self) * 1000;
}

/* ---- for the tests ---- */

static inline void world_open_with(struct world *world, const char *more, const char *dimensions)
{
    struct tagd_error error = {""};
    *world = (struct world){.wall_ms = INT64_C(1700000000000), .mono_ms = 1000, .assign = true, .ends_confirmed = true};
    world->port = (struct tagd_port){.self = world,
                                     .submit = world_submit,
                                     .poll = world_poll,
                                     .release = world_release,
                                     .headers = world_headers,
                                     .revoked = world_revoked,
                                     .trial = world_trial,
                                     .wall_ms = world_wall,
                                     .mono_ms = world_mono,
                                     .mono_us = world_mono_us};
    world->catalog = shop_catalog(more, dimensions, &error);
    if (world->catalog == NULL)
        fprintf(stderr, "%s\n", error.text);
    CHECK(world->catalog != NULL);
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        world->shards[i].head.watermark_ms = world->shards[i].head.latest_ms = INT64_MIN;
        for (size_t topic = 0; topic < TAGD_TOPICS_MAX; topic++)
            world->shards[i].head.next_offset[topic] = -1;
        for (size_t topic = 0; topic < WORLD_TOPICS; topic++)
            world->shards[i].topics[topic].committed = -1;
    }
}

static inline void world_open(struct world *world, const char *dimensions)
{
    world_open_with(world, "", dimensions);
}

/* Nothing is held, nothing limited. */
static inline struct tagd_brakes world_brakes(void)
{
    return (struct tagd_brakes){.outputs_flow = true,
                                .clock_agrees = true,
                                .time_to_ms = INT64_MAX,
                                .limits_off_ms = INT64_MIN,
                                .held_batches_max = 100,
                                .held_bytes_max = 1 << 20};
}

static inline void world_close(struct world *world)
{
    CHECK(world->held == 0);
    tagd_catalog_free(world->catalog);
    tagd_arena_free(&world->memory);
    tagd_buf_free(&world->published);
    tagd_buf_free(&world->wire);
    tagd_buf_free(&world->letters);
    tagd_buf_free(&world->ended);
    tagd_buf_free(&world->notes);
}

static inline void world_append(struct world *world, uint32_t shard, uint32_t topic, const char *value)
{
    struct world_partition *partition = &world->shards[shard].topics[topic];
    CHECK(partition->end < WORLD_RECORDS);
    partition->records[partition->end] = (struct tagd_record){.value = world_keep(world, tagd_str_of(value)),
                                                              .has_value = true,
                                                              .timestamp_ms = -1,
                                                              .topic = topic,
                                                              .partition = (int32_t)shard,
                                                              .offset = partition->end};
    partition->end++;
    partition->told_end = false;
}

/* The end of a producer's transaction. */
static inline void world_append_marker(struct world *world, uint32_t shard, uint32_t topic)
{
    struct world_partition *partition = &world->shards[shard].topics[topic];
    CHECK(partition->end < WORLD_RECORDS);
    partition->records[partition->end++] = (struct tagd_record){.partition = WORLD_MARKER};
    partition->told_end = false;
}

static inline void world_event(struct world *world, uint32_t shard, uint32_t topic, const char *type,
                               const char *subject, int64_t time_ms)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    world_append(world, shard, topic,
                 tagd_arena_printf(&world->memory,
                                   "{\"specversion\":\"1.0\",\"id\":\"e%u\",\"source\":\"test\",\"type\":\"%s\","
                                   "\"subject\":\"%s\",\"time\":\"%s\",\"data\":{}}",
                                   world->n_events++, type, subject, time));
}

static inline void world_note(void *to, const struct tagd_note *note)
{
    struct world *world = to;
    tagd_buf_printf(&world->notes, "%s\n", note->text);
}

static inline struct tagd_worker_config world_config(struct world *world, const char *owner, bool time_events)
{
    static const char *const topics[WORLD_TOPICS] = {"first", "second"};
    static const enum tagd_partitioner partitioners[WORLD_TOPICS] = {TAGD_NO_PARTITIONER, TAGD_NO_PARTITIONER};
    return (struct tagd_worker_config){.catalog = world->catalog,
                                       .group = "g",
                                       .owner = owner,
                                       .n_topics = WORLD_TOPICS,
                                       .topics = topics,
                                       .rules = {.catalog = world->catalog,
                                                 .max_bytes = TAGD_EVENT_BYTES_MAX,
                                                 .past_ms = INT64_MIN,
                                                 .future_ms = -1,
                                                 .partitions = WORLD_SHARDS},
                                       .partitioners = partitioners,
                                       .time_events = time_events,
                                       .grace_ms = time_events ? 0 : 2000,
                                       .max_idle_ms = 100,
                                       .horizon_ms = 400 * (int64_t)TAGD_MS_DAY,
                                       .batch_events_max = 1000,
                                       .batch_bytes_max = 1 << 20,
                                       .cache_bytes_max = 1 << 20,
                                       .note = world_note,
                                       .note_to = world};
}

/* So many steps, each taking a millisecond of both clocks. */
static inline void world_run(struct world *world, struct tagd_worker *worker, int steps)
{
    struct tagd_error error = {""};
    for (int i = 0; i < steps; i++) {
        world->mono_ms++;
        world->wall_ms++;
        CHECK(tagd_worker_step(worker, 0, &error));
    }
}

/* The same, each poll waiting up to 50 ms; how many of them were not to wait at all. */
static inline size_t world_run_waiting(struct world *world, struct tagd_worker *worker, int steps)
{
    struct tagd_error error = {""};
    world->polls = world->polls_at_once = 0;
    for (int i = 0; i < steps; i++) {
        world->mono_ms++;
        world->wall_ms++;
        CHECK(tagd_worker_step(worker, 50, &error));
    }
    CHECK(world->polls == (size_t)steps);
    return world->polls_at_once;
}

/* The process is gone, with all it knew; what it held, the client library's memory, goes too. */
static inline void world_kill(struct world *world, struct tagd_worker *worker)
{
    world->n_ops = world->n_sends = world->die_at = 0;
    world->dead = false;
    memset(world->came_through, 0, sizeof(world->came_through));
    tagd_worker_free(worker);
    world->held = 0;
    for (uint32_t shard = 0; shard < WORLD_SHARDS; shard++)
        world->shards[shard].running = false;
    world->assign = true;
}

static inline bool world_saw(struct tagd_buf *seen, const char *expected)
{
    bool same = tagd_str_eq((struct tagd_str){seen->p ? seen->p : "", seen->n}, tagd_str_of(expected));
    if (!same)
        fprintf(stderr, "saw      %.*s\nexpected %s\n", (int)seen->n, seen->p ? seen->p : "", expected);
    seen->n = 0;
    return same;
}

#endif
