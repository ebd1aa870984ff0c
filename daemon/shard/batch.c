/* A batch of one shard: its events by customer, one profile read and one written a customer, the outputs, the next
 * head. The order of the outputs is a customer's own order; dead letters come first. */
#include "shard/repair.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_LEAST 64
/* So many customers ahead the cache's memory is asked for: the slot, and then what it leads to. */
#define PREFETCH_SLOT 24
#define PREFETCH_BLOCK 12
/* And so many ahead for an event, then for what it leads to, or for a stored profile. */
#define PREFETCH_SUBJECT 16
#define PREFETCH_EVENT 4
#define LINE 64 /* bytes that come into the processor's cache at once */

/* ---- metadata ---- */

size_t tagd_metadata_write(char out[TAGD_METADATA_MAX], uint64_t fence, uint64_t batch, int64_t watermark_ms)
{
    int n = watermark_ms == INT64_MIN
                ? snprintf(out, TAGD_METADATA_MAX, "%" PRIu64 ",%" PRIu64 ",-", fence, batch)
                : snprintf(out, TAGD_METADATA_MAX, "%" PRIu64 ",%" PRIu64 ",%" PRId64, fence, batch, watermark_ms);
    return (size_t)n;
}

struct tagd_shard_outputs tagd_head_outputs(const struct tagd_head *head, uint32_t shard,
                                            char metadata[TAGD_METADATA_MAX])
{
    size_t n = tagd_metadata_write(metadata, head->fence, head->batch, head->watermark_ms);
    struct tagd_shard_outputs outputs = {
        .shard = shard, .fence = head->fence, .batch = head->batch, .metadata = {metadata, n}};
    for (uint32_t i = 0; i < TAGD_TOPICS_MAX; i++)
        outputs.offset[i] = head->next_offset[i] < 0 ? 0 : head->next_offset[i];
    return outputs;
}

bool tagd_metadata_read(struct tagd_str text, uint64_t *fence, uint64_t *batch, int64_t *watermark_ms)
{
    char copy[TAGD_METADATA_MAX];
    int n = 0;
    if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (copy[0] < '0' || copy[0] > '9' || sscanf(copy, "%20" SCNu64 ",%20" SCNu64 ",%n", fence, batch, &n) != 2 ||
        n == 0)
        return false;
    if (strcmp(copy + n, "-") == 0)
        *watermark_ms = INT64_MIN;
    else if (sscanf(copy + n, "%20" SCNd64, watermark_ms) != 1)
        return false;
    /* There is one way to write it: numbers that are too large, signs and blanks are of another hand. */
    char written[TAGD_METADATA_MAX];
    size_t length = tagd_metadata_write(written, *fence, *batch, *watermark_ms);
    return tagd_str_eq(text, (struct tagd_str){written, length});
}

/* ---- outputs ---- */

void tagd_event_output(enum tagd_output_kind kind, struct tagd_str key, struct tagd_str value,
                       const struct tagd_header *headers, size_t n_headers, uint32_t index, struct tagd_output *output)
{
    static const struct tagd_header structured[] = {
        {{"content-type", 12}, {"application/cloudevents+json; charset=UTF-8", 43}}};
    *output = (struct tagd_output){.kind = kind,
                                   .key = key,
                                   .value = value,
                                   .has_key = true,
                                   .has_value = true,
                                   .headers = headers == NULL ? structured : headers,
                                   .n_headers = headers == NULL ? 1 : n_headers,
                                   .index = index};
}

void tagd_dead_letter(const struct tagd_record *record, enum tagd_event_code code, struct tagd_str reason,
                      const char *topic, uint32_t shard, int64_t offset, uint32_t index, struct tagd_arena *arena,
                      struct tagd_output *output)
{
    struct tagd_header *headers =
        tagd_arena_alloc(arena, (record->n_headers + TAGD_DEAD_LETTER_HEADERS) * sizeof(*headers));
    size_t n = record->n_headers;
    if (n > 0)
        memcpy(headers, record->headers, n * sizeof(*headers));
    headers[n++] = (struct tagd_header){TAGD_STR("tagd_error"), tagd_str_of(tagd_event_code_name(code))};
    headers[n++] = (struct tagd_header){TAGD_STR("tagd_reason"), reason};
    headers[n++] = (struct tagd_header){TAGD_STR("tagd_topic"), tagd_str_of(topic)};
    headers[n++] =
        (struct tagd_header){TAGD_STR("tagd_partition"), tagd_str_of(tagd_arena_printf(arena, "%" PRIu32, shard))};
    headers[n++] =
        (struct tagd_header){TAGD_STR("tagd_offset"), tagd_str_of(tagd_arena_printf(arena, "%" PRId64, offset))};
    *output = (struct tagd_output){.kind = TAGD_OUT_DEAD_LETTER,
                                   .key = record->key,
                                   .value = record->value,
                                   .has_key = record->has_key,
                                   .has_value = record->has_value,
                                   .headers = headers,
                                   .n_headers = n,
                                   .index = index};
}

static struct tagd_batch_output *add_output(struct tagd_batch *batch)
{
    if (batch->n_outputs == batch->cap_outputs) {
        batch->cap_outputs = batch->cap_outputs ? batch->cap_outputs * 2 : 256;
        batch->pending = tagd_xrealloc(batch->pending, batch->cap_outputs * sizeof(*batch->pending));
        batch->outputs = tagd_xrealloc(batch->outputs, batch->cap_outputs * sizeof(*batch->outputs));
    }
    return &batch->pending[batch->n_outputs++];
}

static void count_change(struct tagd_batch_told_of *n, const struct tagd_change *change)
{
    if (change->origin == TAGD_BY_REPAIR)
        n->repair++;
    else if (change->kind == TAGD_KIND_PROPOSAL)
        n->proposals[change->status]++;
    else if (change->kind == TAGD_KIND_ALERT)
        *(change->to.index < 0 ? &n->cleared : &n->raised) += 1;
    else if (change->origin == TAGD_BY_HAND)
        n->manual++;
    else if (change->origin == TAGD_BY_REVIEW)
        n->review++;
    else if (change->origin == TAGD_BY_EVENT)
        n->event++;
    else
        n->time++;
}

/* A change that a timer has brought about: how long after its instant it is recorded. What is late since events were is
 * for the lag to say. */
static void note_lateness(const struct tagd_batch *batch, const struct tagd_change *change)
{
    const struct tagd_worker_config *config = batch->context->config;
    if (batch->caught_up && batch->by_timer && !config->time_events)
        tagd_histogram_add(&batch->stats->lateness,
                           (batch->context->emit.recorded_ms - change->time_ms - config->grace_ms) * 1000);
}

static void on_change(void *self, const struct tagd_change *change)
{
    struct tagd_batch *batch = self;
    struct tagd_batch_output *output = add_output(batch);
    const struct tagd_emit *emit = &batch->context->emit;
    size_t start = batch->text.n;
    *output = (struct tagd_batch_output){.kind = tagd_output_kind_of(change->kind), .key = batch->subject};
    if (batch->context->config->content_binary) {
        tagd_emit_headers(emit, batch->subject, change, &batch->text);
        output->headers = batch->text.n - start;
        tagd_emit_data(emit, batch->subject, change, &batch->text);
    } else {
        tagd_emit_change(emit, batch->subject, change, &batch->text);
    }
    output->at = start + output->headers;
    output->n = batch->text.n - output->at;
    tagd_set_add(batch->moved, (uint32_t)change->dimension);
    count_change(&batch->n, change);
    if (change->origin == TAGD_BY_TIME)
        note_lateness(batch, change);
    bool counts = change->kind == TAGD_KIND_TAG || change->kind == TAGD_KIND_CHURN;
    if (batch->context->told != NULL && batch->caught_up && counts && change->origin != TAGD_BY_REPAIR)
        batch->context->told[change->dimension]++;
}

/* ---- in ---- */

void tagd_batch_begin(struct tagd_batch *batch, struct tagd_shard *shard)
{
    batch->shard = shard;
    batch->n_items = batch->n_customers = batch->n_writes = batch->n_outputs = batch->n_told = 0;
    batch->profile_bytes.n = batch->text.n = batch->outbox.n = batch->told_bytes.n = 0;
    batch->n = (struct tagd_batch_told_of){0};
    batch->n_begun = 0;
    batch->muted = shard->head.repair.phase != TAGD_NO_REPAIR;
    batch->settle = batch->ends_repair = false;
    batch->watermark_ms = shard->watermark_ms;
    batch->latest_ms = shard->latest_ms;
    batch->caught_up = false;
    memcpy(batch->next_offset, shard->next_offset, sizeof(batch->next_offset));
}

void tagd_batch_add(struct tagd_batch *batch, const struct tagd_record *record, const struct tagd_event *event,
                    int64_t watermark_ms)
{
    if (batch->n_items == batch->cap_items) {
        batch->cap_items = batch->cap_items ? batch->cap_items * 2 : 256;
        batch->items = tagd_xrealloc(batch->items, batch->cap_items * sizeof(*batch->items));
    }
    batch->items[batch->n_items++] = (struct tagd_batch_item){record, event, watermark_ms, 0};
    batch->next_offset[record->topic] = record->offset + 1;
}

/* ---- by customer ---- */

static void clear_slots(struct tagd_batch *batch, size_t n)
{
    size_t wanted = SLOTS_LEAST;
    while (wanted < 2 * n)
        wanted *= 2;
    if (wanted > batch->n_slots) {
        free(batch->slots);
        batch->slots = tagd_xmalloc(wanted * sizeof(*batch->slots));
        batch->n_slots = wanted;
    }
    memset(batch->slots, 0, batch->n_slots * sizeof(*batch->slots));
}

/* The customer's place, made if need be. */
static struct tagd_batch_customer *customer_of(struct tagd_batch *batch, struct tagd_str id)
{
    uint64_t hash = tagd_hash64(id);
    size_t at = hash & (batch->n_slots - 1);
    for (; batch->slots[at] != 0; at = (at + 1) & (batch->n_slots - 1))
        if (tagd_str_eq(batch->customers[batch->slots[at] - 1].id, id))
            return &batch->customers[batch->slots[at] - 1];
    if (batch->n_customers == batch->cap_customers) {
        batch->cap_customers = batch->cap_customers ? batch->cap_customers * 2 : 256;
        batch->customers = tagd_xrealloc(batch->customers, batch->cap_customers * sizeof(*batch->customers));
    }
    batch->customers[batch->n_customers] = (struct tagd_batch_customer){.id = id, .hash = hash};
    batch->slots[at] = (uint32_t)++batch->n_customers;
    return &batch->customers[batch->n_customers - 1];
}

/* A baseline holds it already, or was told that it holds all of that time. */
static bool is_history(const struct tagd_batch *batch, const struct tagd_event *event)
{
    const struct tagd_baseline *baseline = &batch->shard->head.baseline;
    return baseline->finished && event->time_ms < baseline->before_ms;
}

/* History has decided: it was dead-lettered, whatever is wrong with it by now. */
static bool was_letter(const struct tagd_batch *batch, const struct tagd_record *record)
{
    return batch->muted && tagd_letters_find(&batch->shard->letters, record->topic, record->offset) != NULL;
}

/* One of which something is counted or published besides what the engine makes of it. */
static bool is_odd(const struct tagd_batch *batch, const struct tagd_event *event)
{
    return event->code != TAGD_EVENT_OK || event->type == TAGD_TYPE_UNDECLARED || event->n_undeclared > 0 ||
           is_history(batch, event);
}

static bool is_applied(const struct tagd_batch *batch, const struct tagd_batch_item *item)
{
    const struct tagd_event *event = item->event;
    return !was_letter(batch, item->record) && event->code == TAGD_EVENT_OK && event->type != TAGD_TYPE_UNDECLARED &&
           !is_history(batch, event);
}

/* Asks for a customer's profile, unless it is known. */
static struct tagd_load_item load_of(const struct tagd_batch *batch, const struct tagd_shard_context *context,
                                     const struct tagd_batch_customer *customer)
{
    struct tagd_load_item item = {.customer = customer->id};
    item.bytes =
        tagd_cache_get(context->cache, batch->shard->number, batch->shard->fence, customer->id, customer->hash);
    item.known = item.bytes.p != NULL;
    return item;
}

static void ask_for_profiles(struct tagd_batch *batch, const struct tagd_shard_context *context)
{
    const struct tagd_cache *cache = context->cache;
    uint32_t shard = batch->shard->number;
    size_t n = batch->n_customers, n_known = 0;
    for (size_t i = 0; cache == NULL && i < n; i++)
        batch->loads[i] = (struct tagd_load_item){.customer = batch->customers[i].id};
    for (size_t i = 0; cache != NULL && i < n; i++) {
        if (i + PREFETCH_SLOT < n)
            tagd_cache_prefetch_slot(cache, shard, batch->customers[i + PREFETCH_SLOT].hash);
        if (i + PREFETCH_BLOCK < n)
            tagd_cache_prefetch_block(cache, shard, batch->customers[i + PREFETCH_BLOCK].hash);
        batch->loads[i] = load_of(batch, context, &batch->customers[i]);
        n_known += batch->loads[i].known;
    }
    TAGD_COUNT(context->stats, cache_hits, n_known);
    TAGD_COUNT(context->stats, cache_misses, n - n_known);
}

static struct tagd_str known_profile(void *to, struct tagd_str customer)
{
    const struct tagd_batch *batch = to;
    struct tagd_str bytes =
        tagd_cache_get(batch->cache, batch->shard->number, batch->shard->fence, customer, tagd_hash64(customer));
    TAGD_COUNT(batch->stats, cache_hits, bytes.p != NULL);
    TAGD_COUNT(batch->stats, cache_misses, bytes.p == NULL);
    return bytes;
}

static size_t due_max(const struct tagd_batch *batch)
{
    if (batch->n_items == 0)
        return TAGD_DUE_MAX;
    return batch->n_items > TAGD_DUE_BESIDE_EVENTS ? batch->n_items : TAGD_DUE_BESIDE_EVENTS;
}

void tagd_batch_load(struct tagd_batch *batch, const struct tagd_shard_context *context, struct tagd_op *op)
{
    clear_slots(batch, batch->n_items + due_max(batch));
    batch->any_odd = false;
    for (uint32_t i = 0; i < batch->n_items; i++) {
        if (i + 2 * PREFETCH_SUBJECT < batch->n_items)
            __builtin_prefetch(batch->items[i + 2 * PREFETCH_SUBJECT].event);
        if (i + PREFETCH_SUBJECT < batch->n_items)
            __builtin_prefetch(batch->items[i + PREFETCH_SUBJECT].event->subject.p);
        batch->any_odd = batch->any_odd || is_odd(batch, batch->items[i].event);
        if (!is_applied(batch, &batch->items[i]))
            continue;
        struct tagd_batch_customer *customer = customer_of(batch, batch->items[i].event->subject);
        if (customer->first == 0)
            customer->first = i + 1;
        else
            batch->items[customer->last - 1].next = i + 1;
        customer->last = i + 1;
    }
    if (batch->n_customers > batch->cap_loads) {
        batch->cap_loads = batch->n_customers + batch->n_customers / 2;
        free(batch->loads);
        batch->loads = tagd_xmalloc(batch->cap_loads * sizeof(*batch->loads));
    }
    ask_for_profiles(batch, context);
    bool due = batch->shard->next_due_ms <= batch->watermark_ms && batch->watermark_ms != INT64_MIN;
    op->kind = TAGD_OP_LOAD;
    op->shard = batch->shard->number;
    op->u.load.items = batch->loads;
    op->u.load.n_items = batch->n_customers;
    op->u.load.due_to_ms = due ? batch->watermark_ms : INT64_MIN;
    op->u.load.due_max = due_max(batch);
    batch->cache = context->cache;
    batch->stats = context->stats;
    op->u.load.known = context->cache == NULL ? NULL : known_profile;
    op->u.load.known_to = batch;
    op->u.load.due = NULL;
    op->u.load.n_due = 0;
    op->u.load.with_told = batch->muted;
    op->u.load.settle_max = batch->settle ? TAGD_SETTLE_MAX : 0;
    op->u.load.settle = NULL;
    op->u.load.n_settle = 0;
    op->u.load.walk_max = 0;
}

/* ---- the engine's turn ---- */

static void reserve_told(struct tagd_batch *batch, size_t n)
{
    if (n <= batch->cap_told)
        return;
    batch->cap_told = n + n / 2;
    free(batch->told);
    batch->told = tagd_xmalloc(batch->cap_told * sizeof(*batch->told));
}

static void reserve_writes(struct tagd_batch *batch, size_t n)
{
    if (n <= batch->cap_writes)
        return;
    batch->cap_writes = n + n / 2;
    free(batch->writes);
    batch->writes = tagd_xmalloc(batch->cap_writes * sizeof(*batch->writes));
}

/* Dead letters, and what else isn't applied. */
static void take_odd(struct tagd_batch *batch)
{
    struct tagd_worker_stats *stats = batch->context->stats;
    for (uint32_t i = 0; batch->any_odd && i < batch->n_items; i++) {
        const struct tagd_event *event = batch->items[i].event;
        if (event->code != TAGD_EVENT_OK) {
            *add_output(batch) = (struct tagd_batch_output){.kind = TAGD_OUT_DEAD_LETTER, .item = i};
            TAGD_COUNT(stats, dead_letters[event->code], 1);
        } else if (is_history(batch, event)) {
            TAGD_COUNT(stats, ignored_history, 1);
        } else if (event->type == TAGD_TYPE_UNDECLARED) {
            TAGD_COUNT(stats, ignored, 1);
        } else {
            TAGD_COUNT(stats, undeclared_attributes, event->n_undeclared);
        }
    }
}

static void count_applied(struct tagd_worker_stats *stats, enum tagd_applied applied, bool late)
{
    switch (applied) {
    case TAGD_APPLIED:
        TAGD_COUNT(stats, events, 1);
        TAGD_COUNT(stats, late, late);
        return;
    case TAGD_DUPLICATE: TAGD_COUNT(stats, duplicates, 1); return;
    case TAGD_IGNORED: TAGD_COUNT(stats, ignored, 1); return;
    }
}

/* Always inlined, like what else only asks ahead: gcc takes such a function for one that does nothing, and drops calls of
 * it. */
static inline __attribute__((always_inline)) void prefetch_event(const struct tagd_event *event)
{
    __builtin_prefetch(event);
    __builtin_prefetch((const char *)event + LINE);
}

static inline void apply_item(struct tagd_batch *batch, const struct tagd_batch_item *item)
{
    struct tagd_shard_context *context = batch->context;
    struct tagd_sink sink = {batch, on_change};
    bool known = tagd_profile_exists(context->profile);
    bool late = item->event->time_ms < item->watermark_ms ||
                (known && item->event->time_ms < tagd_profile_latest(context->profile));
    enum tagd_applied applied =
        tagd_engine_apply(context->engine, context->profile, item->event, item->watermark_ms, sink);
    if (!batch->muted) /* it was counted when it was first read */
        count_applied(context->stats, applied, late);
}

/* A view shows something else only if this has grown. */
static uint64_t shown_revisions(const struct tagd_profile *profile)
{
    return tagd_profile_revision(profile, TAGD_KIND_TAG) + tagd_profile_revision(profile, TAGD_KIND_CHURN);
}

/* Dimensions that have no tag any more. */
static void list_gone(const struct tagd_batch *batch, struct tagd_arena *arena, struct tagd_profile_write *write)
{
    const struct tagd_catalog *catalog = batch->context->config->catalog;
    uint32_t words = TAGD_SET_WORDS((uint32_t)tagd_catalog_n_dimensions(catalog));
    size_t most = 0, n = 0;
    for (uint32_t w = 0; w < words; w++)
        most += (size_t)__builtin_popcountll(batch->moved[w]);
    struct tagd_str *gone = tagd_arena_alloc(arena, (most + 1) * sizeof(*gone));
    TAGD_EACH (d, batch->moved, words) {
        if (tagd_catalog_kind(catalog, d) != TAGD_KIND_ALERT && tagd_profile_tag(batch->context->profile, d) < 0)
            gone[n++] = tagd_str_of(tagd_catalog_dimension(catalog, d));
    }
    write->gone = gone;
    write->n_gone = n;
}

/* All tags, _revision and _at. whole: what the store shows isn't known. */
static void make_view(struct tagd_batch *batch, struct tagd_arena *arena, struct tagd_profile_write *write, bool whole)
{
    const struct tagd_catalog *catalog = batch->context->config->catalog;
    const struct tagd_profile *profile = batch->context->profile;
    size_t most = 0, n = 0;
    for (uint32_t d = 0; tagd_profile_next_tagged(profile, &d); d++)
        most++;
    struct tagd_str *view = tagd_arena_alloc(arena, (most + 2) * 2 * sizeof(*view));
    bool *same = tagd_arena_zalloc(arena, most + 2);
    for (uint32_t d = 0; tagd_profile_next_tagged(profile, &d); d++) {
        struct tagd_str tag = tagd_profile_tag_text(profile, d);
        if (!tag.p || tagd_catalog_kind(catalog, d) == TAGD_KIND_ALERT)
            continue;
        same[n / 2] = !tagd_set_has(batch->moved, d);
        view[n++] = tagd_str_of(tagd_catalog_dimension(catalog, d));
        view[n++] = tagd_catalog_is_value(catalog, d) ? tagd_arena_copy(arena, tag.p, tag.n) : tag;
    }
    view[n++] = TAGD_STR("_revision");
    view[n++] = tagd_arena_i64(arena, (int64_t)tagd_profile_revision(profile, TAGD_KIND_TAG));
    view[n++] = TAGD_STR("_at");
    view[n++] = tagd_arena_i64(arena, tagd_profile_changed_at(profile));
    write->view_changed = true;
    write->view = view;
    write->n_view = n / 2;
    write->view_same = whole ? NULL : same;
    if (!whole)
        list_gone(batch, arena, write);
}

static bool read_profile(const struct tagd_batch *batch, const struct tagd_load_item *loaded, struct tagd_error *error)
{
    struct tagd_error why;
    if (loaded->bytes.n == 0) {
        tagd_profile_clear(batch->context->profile);
        return true;
    }
    return tagd_profile_decode(batch->context->profile, loaded->bytes, &why) ||
           tagd_fail(error, "shard %" PRIu32 ": the stored profile of customer \"%.*s\" can't be read: %s",
                     batch->shard->number, (int)loaded->customer.n, loaded->customer.p, why.text);
}

static void write_told(struct tagd_batch *batch, struct tagd_str customer, const struct tagd_told *told)
{
    size_t at = batch->told_bytes.n;
    tagd_told_write(told, batch->context->config->catalog, &batch->told_bytes);
    batch->told[batch->n_told++] =
        (struct tagd_told_write){customer, {NULL, batch->told_bytes.n - at}}; /* as with profiles */
}

/* Tags have changed untold. What was published is what the profile said before: nothing published of the customer was
 * missing in it. */
static bool tell_before(struct tagd_batch *batch, const struct tagd_load_item *loaded, struct tagd_arena *arena,
                        struct tagd_error *error)
{
    struct tagd_told told;
    if (!read_profile(batch, loaded, error))
        return false;
    tagd_told_of_profile(&told, batch->context->config->catalog, batch->context->profile, arena);
    write_told(batch, loaded->customer, &told);
    return true;
}

static void write_profile(struct tagd_batch *batch, struct tagd_profile_write *write)
{
    size_t at = batch->profile_bytes.n;
    tagd_profile_encode(batch->context->profile, &batch->profile_bytes);
    write->bytes = (struct tagd_str){NULL, batch->profile_bytes.n - at}; /* its place is known when the buffer rests */
}

static void set_timer(struct tagd_batch *batch, struct tagd_profile_write *write, bool changed)
{
    write->due_changed = changed;
    if (changed && write->due_ms < batch->next_due_ms)
        batch->next_due_ms = write->due_ms;
}

static bool apply_customer(struct tagd_batch *batch, const struct tagd_batch_customer *customer,
                           const struct tagd_load_item *loaded, struct tagd_arena *arena, struct tagd_error *error)
{
    struct tagd_shard_context *context = batch->context;
    struct tagd_profile *profile = context->profile;
    batch->subject = customer->id;
    batch->by_timer = customer->first == 0;
    if (!read_profile(batch, loaded, error))
        return false;
    uint64_t shown = shown_revisions(profile), untold = tagd_engine_untold(context->engine);
    int64_t due = tagd_profile_due(profile);
    bool known = tagd_profile_exists(profile);
    memset(batch->moved, 0, sizeof(batch->moved));
    for (uint32_t i = customer->first; i != 0;) {
        const struct tagd_batch_item *item = &batch->items[i - 1];
        i = item->next;
        if (i != 0)
            prefetch_event(batch->items[i - 1].event);
        apply_item(batch, item);
    }
    if (!tagd_profile_exists(profile)) /* a first event that applied to nothing makes no customer */
        return true;
    if (batch->watermark_ms != INT64_MIN)
        tagd_engine_advance(context->engine, profile, batch->watermark_ms, (struct tagd_sink){batch, on_change});
    struct tagd_profile_write *write = &batch->writes[batch->n_writes++];
    *write = (struct tagd_profile_write){.customer = customer->id, .due_ms = tagd_profile_due(profile)};
    set_timer(batch, write, !known || customer->fired || write->due_ms < due);
    batch->n_begun += !known;
    tagd_tally_customer(&batch->tally, customer->id, profile, !known);
    bool silently = tagd_engine_untold(context->engine) != untold;
    bool changed = shown_revisions(profile) != shown || silently;
    if (changed && !batch->muted)
        make_view(batch, arena, write, silently);
    write_profile(batch, write);
    return !changed || !batch->muted || loaded->told.n > 0 || tell_before(batch, loaded, arena, error);
}

static struct tagd_tag *copy_tags(const struct tagd_profile *profile, const struct tagd_catalog *catalog,
                                  struct tagd_arena *arena)
{
    size_t n = tagd_catalog_n_dimensions(catalog);
    struct tagd_tag *tags = tagd_arena_alloc(arena, (n + 1) * sizeof(*tags));
    for (size_t d = 0; d < n; d++) {
        struct tagd_str text = tagd_profile_tag_text(profile, d);
        tags[d] = (struct tagd_tag){tagd_profile_tag(profile, d),
                                    text.p ? tagd_arena_copy(arena, text.p, text.n) : (struct tagd_str){NULL, 0}};
    }
    return tags;
}

static struct tagd_goal_state *copy_goals(const struct tagd_profile *profile, const struct tagd_catalog *catalog,
                                          struct tagd_arena *arena)
{
    size_t n = tagd_catalog_n_goals(catalog);
    struct tagd_goal_state *goals = tagd_arena_alloc(arena, (n + 1) * sizeof(*goals));
    for (size_t g = 0; g < n; g++)
        tagd_profile_goal(profile, g, &goals[g]);
    return goals;
}

/* What the population sees of settling: told tags and goals take the place of computed ones and are evaluated over; only
 * what that comes to in the end is a move. */
static void tally_settled(struct tagd_batch *batch, struct tagd_str customer, const struct tagd_tag *before,
                          const struct tagd_goal_state *goals)
{
    const struct tagd_profile *profile = batch->context->profile;
    const struct tagd_catalog *catalog = batch->context->config->catalog;
    for (size_t g = 0; g < tagd_catalog_n_goals(catalog); g++) {
        struct tagd_goal_state now;
        tagd_profile_goal(profile, g, &now);
        tagd_tally_goal_state(&batch->tally, g, &goals[g], &now);
    }
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        struct tagd_tag now = {tagd_profile_tag(profile, d), tagd_profile_tag_text(profile, d)};
        if (now.index != before[d].index || (now.index >= 0 && !tagd_str_eq(now.text, before[d].text)))
            tagd_tally_move(&batch->tally, d, before[d], now, tagd_profile_clock(profile));
    }
    tagd_tally_customer(&batch->tally, customer, profile, false);
}

/* A customer of whom something is told, once all is replayed. */
static bool settle_customer(struct tagd_batch *batch, const struct tagd_load_item *loaded, struct tagd_arena *arena,
                            struct tagd_error *error)
{
    struct tagd_shard_context *context = batch->context;
    struct tagd_told told;
    batch->subject = loaded->customer;
    if (!tagd_told_read(loaded->told, context->config->catalog, arena, &told))
        return tagd_fail(error, "shard %" PRIu32 ": what is told of customer \"%.*s\" in Redis can't be read",
                         batch->shard->number, (int)loaded->customer.n, loaded->customer.p);
    if (!read_profile(batch, loaded, error))
        return false;
    if (!tagd_profile_exists(context->profile))
        return tagd_fail(error,
                         "shard %" PRIu32 ": changes of customer \"%.*s\" were published, but nothing that was read "
                         "again is of that customer: history is missing; bring back a newer copy of Redis's data, "
                         "or " TAGD_NEW_GROUP,
                         batch->shard->number, (int)loaded->customer.n, loaded->customer.p);
    int64_t due = tagd_profile_due(context->profile);
    bool shown = shown_revisions(context->profile) > 0; /* perhaps by a batch that was taken back */
    const struct tagd_tag *before = copy_tags(context->profile, context->config->catalog, arena);
    const struct tagd_goal_state *goals = copy_goals(context->profile, context->config->catalog, arena);
    tagd_told_settle(&told, context, (struct tagd_sink){batch, on_change});
    tally_settled(batch, loaded->customer, before, goals);
    struct tagd_profile_write *write = &batch->writes[batch->n_writes++];
    *write = (struct tagd_profile_write){.customer = loaded->customer, .due_ms = tagd_profile_due(context->profile)};
    set_timer(batch, write, write->due_ms < due);
    if (shown || shown_revisions(context->profile) > 0)
        make_view(batch, arena, write, true);
    write_profile(batch, write);
    batch->told[batch->n_told++] = (struct tagd_told_write){loaded->customer, {NULL, 0}};
    return true;
}

static bool settle_customers(struct tagd_batch *batch, struct tagd_op *op, struct tagd_error *error)
{
    size_t n = op->u.load.n_settle;
    reserve_writes(batch, n);
    reserve_told(batch, n);
    batch->ends_repair = n == 0;
    for (size_t i = 0; i < n; i++)
        if (!settle_customer(batch, &op->u.load.settle[i], op->arena, error))
            return false;
    return true;
}

static void settle_event(struct tagd_batch *batch, uint32_t index, struct tagd_arena *arena)
{
    const struct tagd_batch_output *from = &batch->pending[index];
    struct tagd_str value = {batch->text.p + from->at, from->n};
    struct tagd_str block = {batch->text.p + from->at - from->headers, from->headers};
    const struct tagd_header *headers = NULL;
    size_t n_headers = 0;
    bool read = block.n == 0 || tagd_emit_headers_read(block, arena, &headers, &n_headers);
    assert(read); /* it was just written */
    (void)read;
    tagd_event_output(from->kind, from->key, value, headers, n_headers, index, &batch->outputs[index]);
    tagd_outbox_add_event(&batch->outbox, from->kind, from->key, block.n, value.n);
}

/* The buffers don't grow any more: views into them can be made. */
static void settle_bytes(struct tagd_batch *batch, struct tagd_arena *arena)
{
    const struct tagd_worker_config *config = batch->context->config;
    size_t at = 0;
    for (size_t i = 0; i < batch->n_writes; i++) {
        batch->writes[i].bytes.p = batch->profile_bytes.p + at;
        at += batch->writes[i].bytes.n;
    }
    at = 0;
    for (size_t i = 0; i < batch->n_told && batch->told_bytes.n > 0; i++) {
        batch->told[i].bytes.p = batch->told_bytes.p + at;
        at += batch->told[i].bytes.n;
    }
    tagd_outbox_begin(&batch->outbox, batch->watermark_ms, config->n_topics, batch->next_offset, batch->n_outputs);
    for (uint32_t i = 0; i < batch->n_outputs; i++) {
        const struct tagd_batch_output *from = &batch->pending[i];
        if (from->kind != TAGD_OUT_DEAD_LETTER) {
            settle_event(batch, i, arena);
            continue;
        }
        const struct tagd_record *record = batch->items[from->item].record;
        const struct tagd_event *event = batch->items[from->item].event;
        struct tagd_str reason = tagd_str_of(event->reason);
        tagd_dead_letter(record, event->code, reason, config->topics[record->topic], batch->shard->number,
                         record->offset, i, arena, &batch->outputs[i]);
        tagd_outbox_add_dead_letter(&batch->outbox, record->topic, record->offset, event->code, reason);
    }
    tagd_outbox_add_text(&batch->outbox, (struct tagd_str){batch->text.p, batch->text.n});
}

static inline __attribute__((always_inline)) void prefetch_profile(const struct tagd_load_item *loaded)
{
    for (size_t at = 0; at < loaded->bytes.n && at < 4 * LINE; at += LINE)
        __builtin_prefetch(loaded->bytes.p + at);
}

/* What will be needed for a customer's first event. */
static inline __attribute__((always_inline)) void prefetch(const struct tagd_batch *batch, const struct tagd_op *op,
                                                           size_t i, size_t n)
{
    if (i + 3 * PREFETCH_EVENT < n && batch->customers[i + 3 * PREFETCH_EVENT].first > 0)
        __builtin_prefetch(&batch->items[batch->customers[i + 3 * PREFETCH_EVENT].first - 1]);
    if (i + 2 * PREFETCH_EVENT < n && batch->customers[i + 2 * PREFETCH_EVENT].first > 0)
        prefetch_event(batch->items[batch->customers[i + 2 * PREFETCH_EVENT].first - 1].event);
    if (i + PREFETCH_EVENT >= n || batch->customers[i + PREFETCH_EVENT].first == 0)
        return;
    __builtin_prefetch(batch->items[batch->customers[i + PREFETCH_EVENT].first - 1].event->fields);
    prefetch_profile(&op->u.load.items[i + PREFETCH_EVENT]);
}

/* Customers that are looked at for their events or for time. */
static bool apply_customers(struct tagd_batch *batch, struct tagd_op *op, struct tagd_error *error)
{
    size_t n_loaded = batch->n_customers;
    reserve_writes(batch, n_loaded + op->u.load.n_due);
    if (batch->muted)
        reserve_told(batch, n_loaded + op->u.load.n_due);
    else
        take_odd(batch);
    /* Those due among the loaded ones first: customers may move as more are added. */
    for (size_t i = 0; i < op->u.load.n_due; i++)
        customer_of(batch, op->u.load.due[i].customer)->fired = true;
    for (size_t i = 0; i < n_loaded; i++) {
        prefetch(batch, op, i, n_loaded);
        if (!apply_customer(batch, &batch->customers[i], &op->u.load.items[i], op->arena, error))
            return false;
    }
    for (size_t i = n_loaded, due = 0; i < batch->n_customers; i++) {
        while (!tagd_str_eq(op->u.load.due[due].customer, batch->customers[i].id))
            due++; /* those not loaded were added in the order of the due ones */
        if (due + PREFETCH_EVENT < op->u.load.n_due)
            prefetch_profile(&op->u.load.due[due + PREFETCH_EVENT]);
        if (!apply_customer(batch, &batch->customers[i], &op->u.load.due[due], op->arena, error))
            return false;
    }
    return true;
}

static bool apply_muted(struct tagd_batch *batch, struct tagd_op *op, struct tagd_error *error)
{
    tagd_engine_telling(batch->context->engine, TAGD_REPLAY);
    bool ok = apply_customers(batch, op, error);
    tagd_engine_telling(batch->context->engine, TAGD_TOLD);
    return ok;
}

bool tagd_batch_apply(struct tagd_batch *batch, struct tagd_shard_context *context, struct tagd_op *op,
                      struct tagd_error *error)
{
    const struct tagd_limits *limits = tagd_engine_limits(context->engine);
    const struct tagd_catalog *catalog = context->config->catalog;
    batch->context = context;
    tagd_tally_begin(&batch->tally, context->members);
    if (!batch->settle)
        tagd_engine_watch(context->engine, tagd_tally_watcher(&batch->tally));
    batch->next_due_ms = op->u.load.due_to_ms != INT64_MIN ? op->u.load.next_due_ms : batch->shard->next_due_ms;
    context->emit.caught_up = batch->caught_up;
    bool ok = batch->settle  ? settle_customers(batch, op, error)
              : batch->muted ? apply_muted(batch, op, error)
                             : apply_customers(batch, op, error);
    tagd_engine_watch(context->engine, TAGD_NO_WATCHER);
    if (!ok)
        return false;
    settle_bytes(batch, op->arena);
    tagd_batch_population(batch, catalog, op->arena);
    __atomic_store_n(&context->stats->limit_panes, limits->panes, __ATOMIC_RELAXED);
    __atomic_store_n(&context->stats->limit_values, limits->values, __ATOMIC_RELAXED);
    __atomic_store_n(&context->stats->limit_dedupe_ids, limits->dedupe_ids, __ATOMIC_RELAXED);
    __atomic_store_n(&context->stats->limit_chases, limits->chases, __ATOMIC_RELAXED);
    __atomic_store_n(&context->stats->stale_reviews, limits->stale_reviews, __ATOMIC_RELAXED);
    return true;
}

/* ---- trying it ---- */

size_t tagd_batch_steps(const struct tagd_batch *batch, struct tagd_batch_step *steps)
{
    size_t n = 0;
    for (uint32_t c = 0; c < batch->n_customers; c++)
        for (uint32_t i = batch->customers[c].first; i != 0; i = batch->items[i - 1].next)
            steps[n++] = (struct tagd_batch_step){c, i - 1};
    return n;
}

void tagd_batch_try(struct tagd_batch *batch, struct tagd_shard_context *context, struct tagd_op *op,
                    const struct tagd_batch_step *step)
{
    const struct tagd_batch_customer *customer = &batch->customers[step->customer];
    struct tagd_profile *profile = context->profile;
    struct tagd_str bytes = op->u.load.items[step->customer].bytes;
    struct tagd_profile_write write;
    struct tagd_error why; /* a profile that can't be read is for apply to tell */
    batch->context = context;
    batch->subject = customer->id;
    tagd_tally_begin(&batch->tally, context->members);
    tagd_engine_watch(context->engine, tagd_tally_watcher(&batch->tally));
    if (step->item + 1 == customer->first && (bytes.n == 0 || !tagd_profile_decode(profile, bytes, &why)))
        tagd_profile_clear(profile);
    apply_item(batch, &batch->items[step->item]);
    if (step->item + 1 != customer->last || !tagd_profile_exists(profile))
        return;
    if (batch->watermark_ms != INT64_MIN)
        tagd_engine_advance(context->engine, profile, batch->watermark_ms, (struct tagd_sink){batch, on_change});
    make_view(batch, op->arena, &write, true);
    tagd_profile_encode(profile, &batch->profile_bytes);
}

void tagd_batch_condemn(struct tagd_batch *batch, const struct tagd_batch_step *step, const char *reason,
                        struct tagd_arena *arena)
{
    struct tagd_batch_customer *customer = &batch->customers[step->customer];
    struct tagd_batch_item *item = &batch->items[step->item];
    struct tagd_event *event = tagd_arena_alloc(arena, sizeof(*event));
    uint32_t *link = &customer->first, before = 0;
    while (*link != step->item + 1) {
        before = *link;
        link = &batch->items[before - 1].next;
    }
    *link = item->next;
    if (item->next == 0)
        customer->last = before;
    tagd_event_condemn(reason, tagd_arena_alloc(arena, TAGD_EVENT_REASON_MAX), event);
    item->event = event;
    batch->any_odd = true;
}

/* ---- out ---- */

struct tagd_head tagd_shard_first_head(const struct tagd_catalog *catalog, uint32_t n_topics, uint32_t partitions)
{
    struct tagd_head head = {
        .n_topics = n_topics, .partitions = partitions, .watermark_ms = INT64_MIN, .latest_ms = INT64_MIN};
    for (size_t i = 0; i < TAGD_TOPICS_MAX; i++)
        head.next_offset[i] = -1;
    snprintf(head.catalog_hash, sizeof(head.catalog_hash), "%s", tagd_catalog_hash(catalog));
    return head;
}

void tagd_shard_head_only(const struct tagd_shard *shard, const char *owner, uint64_t drop_to,
                          struct tagd_shard_writes *writes)
{
    *writes = (struct tagd_shard_writes){.shard = shard->number,
                                         .fence = shard->fence,
                                         .base_fence = shard->head.fence,
                                         .base_batch = shard->head.batch,
                                         .head = shard->head,
                                         .outbox_drop_to = drop_to};
    snprintf(writes->head.owner, sizeof(writes->head.owner), "%s", owner);
}

bool tagd_batch_is_numbered(const struct tagd_batch *batch)
{
    return !batch->muted || batch->n_outputs > 0 || (batch->ends_repair && !batch->shard->repair_level);
}

void tagd_batch_writes(struct tagd_batch *batch, const struct tagd_shard_context *context,
                       struct tagd_shard_writes *writes)
{
    const struct tagd_shard *shard = batch->shard;
    tagd_shard_head_only(shard, context->config->owner, shard->published, writes);
    writes->head.exists = true;
    writes->head.at_least_once = context->config->at_least_once;
    if (tagd_batch_is_numbered(batch)) {
        writes->head.prev_fence = shard->head.fence;
        writes->head.fence = shard->fence;
        writes->head.batch = shard->head.batch + 1;
        writes->outbox = (struct tagd_str){batch->outbox.p, batch->outbox.n};
    }
    if (batch->ends_repair)
        writes->head.repair = (struct tagd_repair){.phase = TAGD_NO_REPAIR};
    writes->head.watermark_ms = batch->watermark_ms;
    writes->head.latest_ms = batch->latest_ms;
    memcpy(writes->head.next_offset, batch->next_offset, sizeof(writes->head.next_offset));
    writes->profiles = batch->writes;
    writes->n_profiles = batch->n_writes;
    writes->told = batch->told;
    writes->n_told = batch->n_told;
    writes->population = batch->population;
}

void tagd_batch_outputs(struct tagd_batch *batch, struct tagd_shard_outputs *outputs)
{
    *outputs = tagd_head_outputs(&batch->shard->head, batch->shard->number, batch->metadata);
    outputs->outputs = batch->outputs;
    outputs->n_outputs = batch->n_outputs;
}

static void count_repair(const struct tagd_batch *batch, struct tagd_shard_context *context)
{
    struct tagd_shard *shard = batch->shard;
    size_t n_settled = batch->settle ? batch->n_told : 0;
    shard->n_replayed += batch->n_items;
    shard->n_settled += n_settled;
    shard->n_differences += batch->n.repair;
    shard->repair_level = shard->repair_level || batch->n_outputs > 0; /* its offsets are published with them */
    TAGD_COUNT(context->stats, repair_records, batch->n_items);
    TAGD_COUNT(context->stats, repair_told, n_settled);
    TAGD_COUNT(context->stats, repair_changes, batch->n.repair);
    TAGD_COUNT(context->stats, repairs, batch->ends_repair);
}

static void count_told(const struct tagd_batch_told_of *n, struct tagd_worker_stats *stats)
{
    TAGD_COUNT(stats, changes_event, n->event);
    TAGD_COUNT(stats, changes_time, n->time);
    TAGD_COUNT(stats, changes_manual, n->manual);
    TAGD_COUNT(stats, changes_review, n->review);
    TAGD_COUNT(stats, alerts_raised, n->raised);
    TAGD_COUNT(stats, alerts_cleared, n->cleared);
    for (int status = 0; status < TAGD_PROPOSAL_STATUSES; status++)
        TAGD_COUNT(stats, proposals[status], n->proposals[status]);
}

static void keep_profiles(const struct tagd_shard *shard, const struct tagd_shard_writes *writes,
                          struct tagd_shard_context *context)
{
    if (context->cache == NULL)
        return;
    uint64_t hashes[PREFETCH_SLOT] = {0}; /* of the last so many */
    for (size_t i = 0; i < writes->n_profiles + PREFETCH_SLOT; i++) {
        uint64_t *hash = &hashes[i % PREFETCH_SLOT];
        if (i >= PREFETCH_SLOT) {
            const struct tagd_profile_write *write = &writes->profiles[i - PREFETCH_SLOT];
            tagd_cache_put(context->cache, shard->number, shard->fence, write->customer, *hash, write->bytes);
        }
        if (i < writes->n_profiles) {
            *hash = tagd_hash64(writes->profiles[i].customer);
            tagd_cache_prefetch_slot(context->cache, shard->number, *hash);
        }
        if (i >= PREFETCH_BLOCK && i < writes->n_profiles + PREFETCH_BLOCK)
            tagd_cache_prefetch_block(context->cache, shard->number, hashes[(i - PREFETCH_BLOCK) % PREFETCH_SLOT]);
    }
    __atomic_store_n(&context->stats->cache_bytes, tagd_cache_bytes(context->cache), __ATOMIC_RELAXED);
    __atomic_store_n(&context->stats->cache_customers, tagd_cache_customers(context->cache), __ATOMIC_RELAXED);
}

void tagd_batch_committed(struct tagd_batch *batch, const struct tagd_shard_writes *writes,
                          struct tagd_shard_context *context)
{
    struct tagd_shard *shard = batch->shard;
    shard->head = writes->head;
    memcpy(shard->next_offset, batch->next_offset, sizeof(shard->next_offset));
    shard->watermark_ms = batch->watermark_ms;
    shard->latest_ms = batch->latest_ms;
    shard->next_due_ms = batch->next_due_ms;
    keep_profiles(shard, writes, context);
    if (batch->muted) {
        count_repair(batch, context);
        return;
    }
    TAGD_COUNT(context->stats, batches, 1);
    TAGD_COUNT(context->stats, batch_records, batch->n_items);
    count_told(&batch->n, context->stats);
    if (context->flow != NULL)
        tagd_flow_add(context->flow, batch->tally.moves, batch->tally.n_moves);
}

void tagd_batch_free(struct tagd_batch *batch)
{
    free(batch->items);
    free(batch->customers);
    free(batch->slots);
    free(batch->loads);
    free(batch->writes);
    free(batch->pending);
    free(batch->outputs);
    free(batch->told);
    tagd_tally_free(&batch->tally);
    tagd_buf_free(&batch->told_bytes);
    tagd_buf_free(&batch->profile_bytes);
    tagd_buf_free(&batch->text);
    tagd_buf_free(&batch->outbox);
    *batch = (struct tagd_batch){0};
}
