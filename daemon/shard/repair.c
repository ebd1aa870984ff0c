/* Repair: Redis came back older than what was published, or empty (rebuild). What was published is read from the output
 * topics and stays as it is; the state is made again from the source topics, untold; what the two disagree on is
 * published at the end. These are the steps inside the take-over:
 *
 *   SCAN      outputs of every kind: from where on they may not be in the state, and which outbox entries were never
 *             published: after a failover to an older copy and back, Redis may hold batches that lost a race
 *   UNDO      their customers are read: what these batches changed was never told
 *   BEGIN     head says TELLING, at the published batch; the outbox goes; what was taken back is told
 *   CHANGES, LOAD, TELL   the published events, topic by topic, a chunk at a time: of each customer is told (told.c)
 *             what its profile says, and the events that follow
 *   LETTERS   the source records that were dead-lettered
 *   REPLAY    head says REPLAYING; then the lane starts where the state is
 *
 * In TELLING a death repeats the telling, which tells again only what isn't told yet: no profile has changed. In
 * REPLAYING it repeats LETTERS. What follows is done by batches (batch.c): muted ones up to what was published, then
 * those that settle. A repair that finds the shard behind what is published by now begins again, with what is told and
 * from where the first one began to read outputs. */
#include "shard/repair.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1000 /* outputs */

static enum tagd_takeover_result refuse(const struct tagd_takeover *takeover, struct tagd_error *error, const char *fmt,
                                        ...) __attribute__((format(printf, 3, 4)));
static enum tagd_takeover_result refuse(const struct tagd_takeover *takeover, struct tagd_error *error, const char *fmt,
                                        ...)
{
    char why[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    tagd_fail(error,
              "shard %" PRIu32
              ": its state in Redis can't be repaired: %s; bring back a newer copy of Redis's data, or " TAGD_NEW_GROUP,
              takeover->shard->number, why);
    return TAGD_TAKEOVER_STOP;
}

/* ---- letters ---- */

static int compare_letters(const void *left, const void *right)
{
    const struct tagd_letter *a = left, *b = right;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

void tagd_letters_add(struct tagd_letters *letters, struct tagd_letter letter)
{
    if (letters->n == letters->cap) {
        letters->cap = letters->cap ? letters->cap * 2 : 64;
        letters->at = tagd_xrealloc(letters->at, letters->cap * sizeof(*letters->at));
    }
    letters->at[letters->n++] = letter;
}

void tagd_letters_sort(struct tagd_letters *letters)
{
    if (letters->n > 0)
        qsort(letters->at, letters->n, sizeof(*letters->at), compare_letters);
}

const struct tagd_letter *tagd_letters_find(const struct tagd_letters *letters, uint32_t topic, int64_t offset)
{
    struct tagd_letter key = {.topic = topic, .offset = offset};
    return letters->n == 0 ? NULL : bsearch(&key, letters->at, letters->n, sizeof(key), compare_letters);
}

void tagd_letters_free(struct tagd_letters *letters)
{
    free(letters->at);
    *letters = (struct tagd_letters){0};
}

/* A header of ours: the last one of its name, since those before are the record's. */
static struct tagd_str our_header(const struct tagd_record *record, const char *name)
{
    for (size_t i = record->n_headers; i-- > 0;)
        if (tagd_str_eq(record->headers[i].name, tagd_str_of(name)))
            return record->headers[i].value;
    return (struct tagd_str){NULL, 0};
}

static bool read_code(struct tagd_str name, enum tagd_event_code *code)
{
    for (int i = TAGD_EVENT_OK + 1; i < TAGD_EVENT_CODES; i++)
        if (tagd_str_eq(name, tagd_str_of(tagd_event_code_name((enum tagd_event_code)i)))) {
            *code = (enum tagd_event_code)i;
            return true;
        }
    return false;
}

static bool read_offset(struct tagd_str text, int64_t *offset)
{
    char copy[24];
    int n = 0;
    if (text.n == 0 || text.n >= sizeof(copy) || text.p[0] < '0' || text.p[0] > '9')
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return sscanf(copy, "%" SCNd64 "%n", offset, &n) == 1 && (size_t)n == text.n;
}

/* False: it can't be read. One of a topic that is no source any more is passed over. */
static bool read_letter(const struct tagd_worker_config *config, const struct tagd_record *record,
                        struct tagd_letters *letters)
{
    struct tagd_letter letter = {0};
    struct tagd_str topic = our_header(record, "tagd_topic");
    if (topic.p == NULL || !read_code(our_header(record, "tagd_error"), &letter.code) ||
        !read_offset(our_header(record, "tagd_offset"), &letter.offset))
        return false;
    for (; letter.topic < config->n_topics; letter.topic++)
        if (tagd_str_eq(topic, tagd_str_of(config->topics[letter.topic]))) {
            tagd_letters_add(letters, letter);
            break;
        }
    return true;
}

/* ---- outputs, a chunk at a time ---- */

static enum tagd_takeover_result ask_outputs(struct tagd_takeover *takeover, struct tagd_op *op,
                                             enum tagd_takeover_step step, int kind, int64_t from)
{
    op->u.outputs.kind = (enum tagd_output_kind)kind;
    op->u.outputs.from = from;
    op->u.outputs.max = CHUNK;
    return tagd_takeover_submit(takeover, op, step, TAGD_OP_OUTPUTS);
}

static const char *kind_name(enum tagd_output_kind kind)
{
    static const char *const names[TAGD_OUTPUT_KINDS] = {
        [TAGD_OUT_CHANGE] = "tag changes", [TAGD_OUT_DEAD_LETTER] = "dead letters", [TAGD_OUT_CHURN] = "churn risk"};
    return names[kind];
}

/* ---- SCAN ---- */

/* Of the outputs, the state may not know those from the outbox's first entry on, and those of a fence after its own:
 * another history's, which began earlier if Kafka had lost an owner's offsets of batches without outputs. */
static enum tagd_takeover_result scan(struct tagd_takeover *takeover, struct tagd_op *op)
{
    const struct tagd_head *head = &takeover->head;
    bool again = head->repair.phase != TAGD_NO_REPAIR;
    op->u.outputs.fence = head->fence;
    op->u.outputs.batch = takeover->n_outbox > 0 ? takeover->outbox[0].batch : head->batch + 1;
    return ask_outputs(takeover, op, TAGD_TAKEOVER_REPAIR_SCAN, takeover->scanned,
                       again ? head->repair.outputs_from[takeover->scanned] : -1);
}

static void mark_published(struct tagd_takeover *takeover, const struct tagd_published *outputs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t e = 0; e < takeover->n_outbox; e++)
            if (takeover->outbox[e].batch == outputs[i].at.batch && takeover->outbox[e].fence == outputs[i].at.fence)
                takeover->was_published[e] = true;
}

/* No entry of the outbox can be behind this chunk: batch numbers never fall along a partition. */
static bool scanned_enough(const struct tagd_takeover *takeover, const struct tagd_op *op)
{
    size_t n = op->u.outputs.n_outputs;
    return takeover->n_outbox == 0 || op->u.outputs.end ||
           (n > 0 && op->u.outputs.outputs[n - 1].at.batch > takeover->outbox[takeover->n_outbox - 1].batch);
}

/* The first chunk: whether all of them is there that the state may not know. A partition may have nothing for longer than
 * its topic keeps it: then what was its end when head was written says from where on the state doesn't know it. */
static bool is_whole(const struct tagd_takeover *takeover, const struct tagd_op *op)
{
    if (op->u.outputs.from >= 0)
        return op->u.outputs.began == op->u.outputs.from;
    return op->u.outputs.whole || op->u.outputs.began <= takeover->head.outputs_end[op->u.outputs.kind];
}

static enum tagd_takeover_result undo(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                      struct tagd_op *op, struct tagd_error *error);

static enum tagd_takeover_result scanned(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                         struct tagd_op *op, struct tagd_error *error)
{
    int kind = takeover->scanned;
    bool first = takeover->repair.outputs_from[kind] < 0;
    if (first && !is_whole(takeover, op))
        return refuse(takeover, error,
                      "the topic of %s begins at offset %" PRId64 " of the shard's partition, so that outputs of batch "
                      "%" PRIu64 " or later may have been deleted",
                      kind_name(op->u.outputs.kind), op->u.outputs.began, op->u.outputs.batch);
    if (first)
        takeover->repair.outputs_from[kind] = op->u.outputs.began;
    mark_published(takeover, op->u.outputs.outputs, op->u.outputs.n_outputs);
    if (!scanned_enough(takeover, op))
        return ask_outputs(takeover, op, TAGD_TAKEOVER_REPAIR_SCAN, kind, op->u.outputs.next);
    if (++takeover->scanned < tagd_output_kinds(config->catalog))
        return scan(takeover, op);
    return undo(takeover, config, op, error);
}

/* ---- changes by customer ---- */

static void add_change(struct tagd_takeover *takeover, const struct tagd_told_change *change, struct tagd_arena *arena)
{
    if (takeover->n_changes == takeover->cap_changes) {
        size_t cap = takeover->cap_changes ? takeover->cap_changes * 2 : CHUNK;
        struct tagd_told_change *changes = tagd_arena_alloc(arena, cap * sizeof(*changes));
        if (takeover->n_changes > 0)
            memcpy(changes, takeover->changes, takeover->n_changes * sizeof(*changes));
        takeover->changes = changes;
        takeover->cap_changes = cap;
    }
    takeover->changes[takeover->n_changes] = *change;
    takeover->changes[takeover->n_changes].place = takeover->n_changes;
    takeover->n_changes++;
}

static int by_customer(const void *left, const void *right)
{
    const struct tagd_told_change *a = left, *b = right;
    int order = tagd_str_cmp(a->customer, b->customer);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

/* Asks for the customers of the changes, which are put together by customer. */
static enum tagd_takeover_result load_customers(struct tagd_takeover *takeover, struct tagd_op *op,
                                                enum tagd_takeover_step step)
{
    struct tagd_load_item *items = tagd_arena_zalloc(op->arena, (takeover->n_changes + 1) * sizeof(*items));
    size_t n = 0;
    qsort(takeover->changes, takeover->n_changes, sizeof(*takeover->changes), by_customer);
    for (size_t i = 0; i < takeover->n_changes; i++)
        if (i == 0 || !tagd_str_eq(takeover->changes[i].customer, takeover->changes[i - 1].customer))
            items[n++].customer = takeover->changes[i].customer;
    memset(&op->u.load, 0, sizeof(op->u.load));
    op->u.load.items = items;
    op->u.load.n_items = n;
    op->u.load.due_to_ms = INT64_MIN;
    op->u.load.with_told = true;
    return tagd_takeover_submit(takeover, op, step, TAGD_OP_LOAD);
}

/* What is told of a customer so far. */
static bool told_so_far(const struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                        const struct tagd_load_item *item, struct tagd_profile *profile, struct tagd_arena *arena,
                        struct tagd_told *told, struct tagd_error *error)
{
    struct tagd_error why;
    if (item->told.n > 0)
        return tagd_told_read(item->told, config->catalog, arena, told) ||
               tagd_fail(error, "shard %" PRIu32 ": what is told of customer \"%.*s\" in Redis can't be read",
                         takeover->shard->number, (int)item->customer.n, item->customer.p);
    tagd_profile_clear(profile);
    if (item->bytes.n > 0 && !tagd_profile_decode(profile, item->bytes, &why))
        return tagd_fail(error, "shard %" PRIu32 ": the stored profile of customer \"%.*s\" can't be read: %s",
                         takeover->shard->number, (int)item->customer.n, item->customer.p, why.text);
    tagd_told_of_profile(told, config->catalog, profile, arena);
    return true;
}

static bool apply_change(const struct tagd_takeover *takeover, const struct tagd_worker_config *config, bool back,
                         const struct tagd_told_change *change, struct tagd_told *told, struct tagd_error *error)
{
    static const char *const words[TAGD_KINDS] = {[TAGD_KIND_TAG] = "change",
                                                  [TAGD_KIND_ALERT] = "alert",
                                                  [TAGD_KIND_PROPOSAL] = "proposal",
                                                  [TAGD_KIND_GOAL] = "goal",
                                                  [TAGD_KIND_CHURN] = "change"};
    uint64_t revision = told->revision[change->kind];
    if (back ? tagd_told_take_back(told, config->catalog, change) : tagd_told_follow(told, config->catalog, change))
        return true;
    refuse(takeover, error,
           "customer \"%.*s\" is known up to revision %" PRIu64 ", and %s %s is revision %" PRIu64
           " of \"%s\": %s; after an import, its history is in no topic",
           (int)change->customer.n, change->customer.p, revision, back ? "an unpublished" : "the next published",
           words[change->kind], change->revision, tagd_catalog_dimension(config->catalog, change->dimension),
           back ? "its profile is another batch's" : "outputs are missing, or what was there before them");
    return false;
}

/* The changes take effect on what is told of their customers. */
static bool tell(struct tagd_takeover *takeover, const struct tagd_worker_config *config, struct tagd_op *op, bool back,
                 struct tagd_told_write *writes, struct tagd_error *error)
{
    struct tagd_profile *profile = tagd_profile_new(config->catalog);
    const struct tagd_load_item *items = op->u.load.items;
    struct tagd_buf bytes = {0};
    bool ok = true;
    for (size_t i = 0, next = 0; i < op->u.load.n_items && ok; i++) {
        struct tagd_told told;
        ok = told_so_far(takeover, config, &items[i], profile, op->arena, &told, error);
        for (; ok && next < takeover->n_changes; next++) {
            const struct tagd_told_change *change = &takeover->changes[next];
            if (!tagd_str_eq(change->customer, items[i].customer))
                break;
            ok = apply_change(takeover, config, back, change, &told, error);
        }
        bytes.n = 0;
        if (ok)
            tagd_told_write(&told, config->catalog, &bytes);
        writes[i] = (struct tagd_told_write){items[i].customer, tagd_arena_copy(op->arena, bytes.p, bytes.n)};
    }
    tagd_buf_free(&bytes);
    tagd_profile_free(profile);
    return ok;
}

static void write_head(struct tagd_takeover *takeover, const struct tagd_worker_config *config, uint64_t drop_to)
{
    takeover->shard->head = takeover->head;
    tagd_shard_head_only(takeover->shard, config->owner, drop_to, &takeover->writes);
}

/* ---- UNDO, BEGIN ---- */

/* A dead letter that was never published, of a record that is not read again, would be lost. */
static bool letters_return(const struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                           const struct tagd_outbox_content *content, struct tagd_error *error)
{
    for (size_t i = 0; i < content->n_outputs; i++) {
        const struct tagd_outbox_output *output = &content->outputs[i];
        if (output->kind != TAGD_OUT_DEAD_LETTER || output->topic >= config->n_topics ||
            output->offset < takeover->committed[output->topic].offset)
            continue;
        refuse(takeover, error,
               "it is another history's, which has read further than what was published, and the dead letter of topic "
               "\"%s\", offset %" PRId64 ", would be lost",
               config->topics[output->topic], output->offset);
        return false;
    }
    return true;
}

/* The changes of the entries that were never published, newest first. */
static bool find_undone(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                        struct tagd_arena *arena, struct tagd_error *error)
{
    for (size_t e = takeover->n_outbox; e-- > 0;) {
        const struct tagd_outbox_entry *entry = &takeover->outbox[e];
        struct tagd_outbox_content content;
        struct tagd_told_change change;
        if (takeover->was_published[e])
            continue;
        bool read = tagd_outbox_read(entry->bytes, arena, &content);
        if (read && !letters_return(takeover, config, &content, error))
            return false;
        for (size_t i = read ? content.n_outputs : 0; i-- > 0 && read;) {
            const struct tagd_outbox_output *output = &content.outputs[i];
            if (output->kind == TAGD_OUT_DEAD_LETTER)
                continue;
            read = tagd_told_change_read(config->catalog, output->key, output->value, output->headers,
                                         output->n_headers, arena, &change);
            if (read)
                add_change(takeover, &change, arena);
        }
        if (!read)
            return tagd_fail(
                error,
                "shard %" PRIu32 ": the outbox entry of batch %" PRIu64
                " can't be read: it is damaged, or of another version of tagd; run that version, or " TAGD_NEW_GROUP,
                takeover->shard->number, entry->batch);
    }
    return true;
}

static void write_begin(struct tagd_takeover *takeover, const struct tagd_worker_config *config)
{
    const struct tagd_takeover_decision *decision = &takeover->decision;
    struct tagd_repair *repair = &takeover->repair;
    uint64_t drop_to = decision->k.batch;
    if (takeover->n_outbox > 0 && takeover->outbox[takeover->n_outbox - 1].batch > drop_to)
        drop_to = takeover->outbox[takeover->n_outbox - 1].batch;
    if (!takeover->head.exists)
        takeover->head = tagd_shard_first_head(config->catalog, config->n_topics, (uint32_t)config->rules.partitions);
    write_head(takeover, config, drop_to);
    struct tagd_head *head = &takeover->writes.head;
    head->exists = true;
    head->fence = decision->k.fence;
    head->batch = decision->k.batch;
    head->prev_fence = 0; /* no outbox entry is built on it that we know of */
    for (uint32_t i = 0; i < config->n_topics; i++)
        if (head->next_offset[i] < 0)
            head->next_offset[i] = 0;
    repair->phase = TAGD_REPAIR_TELLING;
    memcpy(repair->to_offset, decision->to_offset, sizeof(repair->to_offset));
    repair->to_watermark_ms = decision->to_watermark_ms;
    head->repair = *repair;
}

static enum tagd_takeover_result undo(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                      struct tagd_op *op, struct tagd_error *error)
{
    takeover->n_changes = takeover->cap_changes = 0;
    if (!find_undone(takeover, config, op->arena, error))
        return TAGD_TAKEOVER_STOP;
    if (takeover->n_changes > 0)
        return load_customers(takeover, op, TAGD_TAKEOVER_REPAIR_UNDO);
    write_begin(takeover, config);
    if (!takeover->head.exists)
        tagd_population_begin(config->catalog, op->arena, &takeover->writes.population);
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_REPAIR_BEGIN);
}

static enum tagd_takeover_result undone(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                        struct tagd_op *op, struct tagd_error *error)
{
    size_t n = op->u.load.n_items;
    struct tagd_told_write *writes = tagd_arena_alloc(op->arena, n * sizeof(*writes));
    if (!tell(takeover, config, op, true, writes, error))
        return TAGD_TAKEOVER_STOP;
    write_begin(takeover, config);
    takeover->writes.told = writes;
    takeover->writes.n_told = n;
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_REPAIR_BEGIN);
}

/* ---- CHANGES, LOAD, TELL ---- */

/* Nothing of what was read before is needed any more. */
static void forget(struct tagd_takeover *takeover, struct tagd_op *op)
{
    tagd_arena_reset(op->arena);
    takeover->committed = NULL;
    takeover->outbox = NULL;
    takeover->changes = NULL;
    takeover->n_outbox = takeover->n_changes = takeover->cap_changes = 0;
}

static enum tagd_takeover_result ask_changes(struct tagd_takeover *takeover, struct tagd_op *op, int64_t from)
{
    forget(takeover, op);
    return ask_outputs(takeover, op, TAGD_TAKEOVER_REPAIR_CHANGES, takeover->scanned, from);
}

/* Of a topic of events, from where the repair begins to read. */
static enum tagd_takeover_result first_changes(struct tagd_takeover *takeover, struct tagd_op *op, int kind)
{
    takeover->scanned = kind;
    return ask_changes(takeover, op, takeover->head.repair.outputs_from[kind]);
}

static enum tagd_takeover_result ask_letters(struct tagd_takeover *takeover, struct tagd_op *op, int64_t from)
{
    forget(takeover, op);
    return ask_outputs(takeover, op, TAGD_TAKEOVER_REPAIR_LETTERS, TAGD_OUT_DEAD_LETTER, from);
}

static enum tagd_takeover_result first_letters(struct tagd_takeover *takeover, struct tagd_op *op)
{
    takeover->shard->letters.n = 0;
    return ask_letters(takeover, op, takeover->head.repair.outputs_from[TAGD_OUT_DEAD_LETTER]);
}

static enum tagd_takeover_result next_changes(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                              struct tagd_op *op)
{
    if (!takeover->outputs_over)
        return ask_changes(takeover, op, takeover->outputs_next);
    if (takeover->scanned == TAGD_OUT_CHANGE && tagd_output_kinds(config->catalog) > TAGD_OUT_CHURN)
        return first_changes(takeover, op, TAGD_OUT_CHURN);
    return first_letters(takeover, op);
}

/* All from where the repair begins to read must still be there. */
static bool still_there(const struct tagd_takeover *takeover, const struct tagd_op *op, struct tagd_error *error)
{
    if (op->u.outputs.began == op->u.outputs.from)
        return true;
    refuse(takeover, error,
           "the topic of %s begins at offset %" PRId64 " of the shard's partition by now, and the repair needs it from "
           "%" PRId64,
           kind_name(op->u.outputs.kind), op->u.outputs.began, op->u.outputs.from);
    return false;
}

static enum tagd_takeover_result take_changes(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                              struct tagd_op *op, struct tagd_error *error)
{
    if (!still_there(takeover, op, error))
        return TAGD_TAKEOVER_STOP;
    for (size_t i = 0; i < op->u.outputs.n_outputs; i++) {
        const struct tagd_record *record = &op->u.outputs.outputs[i].record;
        struct tagd_told_change change;
        if (!tagd_told_change_read(config->catalog, record->key, record->value, record->headers, record->n_headers,
                                   op->arena, &change) ||
            tagd_output_kind_of(change.kind) != op->u.outputs.kind)
            return refuse(takeover, error,
                          "the record at offset %" PRId64 " of the shard's partition of %s can't be read as a change "
                          "of this catalog",
                          record->offset, kind_name(op->u.outputs.kind));
        add_change(takeover, &change, op->arena);
    }
    takeover->outputs_next = op->u.outputs.next;
    takeover->outputs_over = op->u.outputs.end;
    return takeover->n_changes == 0 ? next_changes(takeover, config, op)
                                    : load_customers(takeover, op, TAGD_TAKEOVER_REPAIR_LOAD);
}

static enum tagd_takeover_result write_told(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                            struct tagd_op *op, struct tagd_error *error)
{
    size_t n = op->u.load.n_items;
    struct tagd_told_write *writes = tagd_arena_alloc(op->arena, n * sizeof(*writes));
    if (!tell(takeover, config, op, false, writes, error))
        return TAGD_TAKEOVER_STOP;
    write_head(takeover, config, 0);
    takeover->writes.told = writes;
    takeover->writes.n_told = n;
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_REPAIR_TELL);
}

/* ---- LETTERS, REPLAY ---- */

static enum tagd_takeover_result take_letters(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                              struct tagd_op *op, struct tagd_error *error)
{
    struct tagd_letters *letters = &takeover->shard->letters;
    if (!still_there(takeover, op, error))
        return TAGD_TAKEOVER_STOP;
    for (size_t i = 0; i < op->u.outputs.n_outputs; i++)
        if (!read_letter(config, &op->u.outputs.outputs[i].record, letters))
            return refuse(takeover, error,
                          "the record at offset %" PRId64 " of the shard's partition of dead letters can't be read",
                          op->u.outputs.outputs[i].record.offset);
    if (!op->u.outputs.end)
        return ask_letters(takeover, op, op->u.outputs.next);
    tagd_letters_sort(letters);
    if (takeover->head.repair.phase == TAGD_REPAIR_REPLAYING)
        return tagd_takeover_start(takeover, op);
    write_head(takeover, config, 0);
    takeover->writes.head.repair.phase = TAGD_REPAIR_REPLAYING;
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_REPAIR_REPLAY);
}

/* ---- the way in ---- */

static const char *offsets_text(const struct tagd_worker_config *config, const int64_t *offset, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < config->n_topics && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%" PRId64, i == 0 ? "" : ",", offset[i]);
    return text;
}

static void note_way(const struct tagd_takeover *takeover, const struct tagd_worker_config *config, const char *what)
{
    char from[160], to[160];
    tagd_takeover_note(
        takeover, config, TAGD_NOTE_WARN, "shard %" PRIu32 ": %s from offset %s to %s; nothing is published twice",
        takeover->shard->number, what, offsets_text(config, takeover->head.next_offset, from, sizeof(from)),
        offsets_text(config, takeover->head.repair.to_offset, to, sizeof(to)));
}

static enum tagd_takeover_result begin(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                       struct tagd_op *op, struct tagd_error *error)
{
    const struct tagd_takeover_decision *decision = &takeover->decision;
    const struct tagd_head *head = &takeover->head;
    /* A store that lost its last writes lost count of fences too. */
    if (takeover->shard->fence <= decision->k.fence) {
        op->u.fence.at_least = decision->k.fence;
        return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_FENCE, TAGD_OP_FENCE);
    }
    if (!head->exists && (takeover->n_outbox > 0 || takeover->next_due_ms != TAGD_NEVER))
        return refuse(takeover, error, "Redis has parts of it, but not its head: remove them, or bring all of it back");
    if (head->exists)
        tagd_takeover_note(takeover, config, TAGD_NOTE_WARN,
                           "shard %" PRIu32 ": Redis is at batch %" PRIu64 " (fence %" PRIu64 ") and Kafka at %" PRIu64
                           " (fence %" PRIu64 "): Redis lost its last writes; repairing",
                           takeover->shard->number, head->batch, head->fence, decision->k.batch, decision->k.fence);
    else
        tagd_takeover_note(takeover, config, TAGD_NOTE_WARN,
                           "shard %" PRIu32 ": Redis has no state of it and Kafka is at batch %" PRIu64
                           " (fence %" PRIu64 "): rebuilding",
                           takeover->shard->number, decision->k.batch, decision->k.fence);
    takeover->was_published = tagd_arena_zalloc(op->arena, takeover->n_outbox + 1);
    takeover->repair = (struct tagd_repair){.outputs_from = {-1, -1, -1}};
    takeover->scanned = 0;
    return scan(takeover, op);
}

enum tagd_takeover_result tagd_repair_begin(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                            struct tagd_worker_stats *stats, struct tagd_op *op,
                                            struct tagd_error *error)
{
    enum tagd_takeover_result result = begin(takeover, config, op, error);
    return result == TAGD_TAKEOVER_STOP ? tagd_takeover_refused(takeover, stats) : result;
}

enum tagd_takeover_result tagd_repair_resume(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                             struct tagd_op *op)
{
    note_way(takeover, config, "its repair goes on: its records are read again");
    if (takeover->head.repair.phase == TAGD_REPAIR_TELLING)
        return first_changes(takeover, op, TAGD_OUT_CHANGE);
    return first_letters(takeover, op);
}

static enum tagd_takeover_result begun(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                       struct tagd_worker_stats *stats, struct tagd_op *op)
{
    takeover->shard->published = takeover->head.batch;
    TAGD_COUNT(stats, repairs_begun, 1);
    note_way(takeover, config, "reading what was published; then its records are read again");
    return first_changes(takeover, op, TAGD_OUT_CHANGE);
}

static enum tagd_takeover_result step(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                      struct tagd_worker_stats *stats, struct tagd_op *op, struct tagd_error *error)
{
    switch (takeover->step) {
    case TAGD_TAKEOVER_REPAIR_SCAN: return scanned(takeover, config, op, error);
    case TAGD_TAKEOVER_REPAIR_UNDO: return undone(takeover, config, op, error);
    case TAGD_TAKEOVER_REPAIR_BEGIN: return begun(takeover, config, stats, op);
    case TAGD_TAKEOVER_REPAIR_CHANGES: return take_changes(takeover, config, op, error);
    case TAGD_TAKEOVER_REPAIR_LOAD: return write_told(takeover, config, op, error);
    case TAGD_TAKEOVER_REPAIR_TELL: return next_changes(takeover, config, op);
    case TAGD_TAKEOVER_REPAIR_LETTERS: return take_letters(takeover, config, op, error);
    case TAGD_TAKEOVER_REPAIR_REPLAY: return tagd_takeover_start(takeover, op);
    default: assert(false && "a step of repair"); return TAGD_TAKEOVER_STOP;
    }
}

enum tagd_takeover_result tagd_repair_next(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                           struct tagd_worker_stats *stats, struct tagd_op *op,
                                           struct tagd_error *error)
{
    enum tagd_takeover_result result = step(takeover, config, stats, op, error);
    return result == TAGD_TAKEOVER_STOP ? tagd_takeover_refused(takeover, stats) : result;
}
