/* Taking over a shard.
 *
 *   FENCE      a new fence, the store's head, outbox and first timer: from here no other owner can commit
 *   END_OWNER  if head names another owner: its open transaction is ended, and it can't begin another
 *   CLAIM      head names us, so that whoever comes after ends our transactions before it compares
 *   COMMITTED  Kafka's offsets and their metadata
 *   TAIL       the last batch on the output partitions
 *   ...        the table below decides
 *   UNCOUNT, COUNT, COUNTED   if the population isn't that of this catalog: see population.c; then all of it again
 *   MARK       if "delivery" has changed to at_least_once: head says so, before anything is sent that way
 *   REFETCH, PUBLISH   batches of the outbox that Kafka doesn't have, in order
 *   LEVEL_OFFSETS, MARK   if "delivery" has changed to exactly_once: Kafka's batch is head's, and head says so
 *   REPAIR_... Redis is behind what was published: see repair.c
 *   START      fetching begins at head's offsets
 *
 * h: the store's (fence, batch); k: Kafka's, the later of the committed metadata and the tail. Which rows count is for
 * head to say, not for the configuration: head knows how what is in its outbox was sent.
 *
 *   an import that isn't finished               refused: only the import goes on
 *   nothing anywhere                            new
 *   a finished import (batch 0), no k           new, upon its baseline
 *   exactly once:
 *     h = k                                     level
 *     h > k, the outbox reaches back to k + 1   outbox, from k + 1
 *     h < k, or equal numbers, other fences     repair: Redis lost its last writes
 *     no h, k, and `tagd run --rebuild`         repair, from the topics' beginnings
 *     head says that a repair goes on           level or outbox, then it goes on; behind k, it begins again
 *   at least once:
 *     h >= k, nothing in the outbox             level
 *     h >= k, the outbox reaches up to h        outbox, all of it
 *   all else                                    refused, with what was found and what can be done
 *
 * Under at_least_once the outbox is handed to the producer and the shard runs: order is the producer's, and an entry
 * goes once it is acknowledged. */
#include "shard/repair.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the table ---- */

static void refuse(struct tagd_takeover_decision *decision)
{
    decision->verdict = TAGD_TAKEOVER_REFUSE;
}

/* Kafka's position by the committed metadata. False: an offset is not of our making. */
static bool committed_position(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                               struct tagd_position *k, struct tagd_error *error)
{
    for (uint32_t i = 0; i < config->n_topics; i++) {
        const struct tagd_committed_topic *topic = &found->committed[i];
        struct tagd_position p = {.found = true};
        int64_t watermark;
        if (topic->offset < 0)
            continue;
        if (!tagd_metadata_read(topic->metadata, &p.fence, &p.batch, &watermark))
            return tagd_fail(error,
                             "shard %" PRIu32 ": topic \"%s\" has a committed offset (%" PRId64
                             ") that tagd did not write: somebody reset group \"%s\" or used its name; put the offset "
                             "back with its metadata, or take a group name of its own: " TAGD_NEW_GROUP,
                             found->shard, config->topics[i], topic->offset, config->group);
        if (tagd_position_later(p, *k))
            *k = p;
    }
    return true;
}

/* The same state, still: the number of partitions, the sources, the catalog. */
static bool same_meaning(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                         struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    if (head->partitions != (uint32_t)config->rules.partitions)
        return tagd_fail(error,
                         "shard %" PRIu32 ": its state was made with %" PRIu32
                         " partitions and the topics have %" PRId32
                         ": customers would sit in other shards; go back to %" PRIu32 " partitions, or " TAGD_NEW_GROUP,
                         found->shard, head->partitions, config->rules.partitions, head->partitions);
    if (head->n_topics != config->n_topics)
        return tagd_fail(error,
                         "shard %" PRIu32 ": its state was made with %" PRIu32
                         " source topics and now there are %" PRIu32
                         "; go back to the same \"sources\", or " TAGD_NEW_GROUP,
                         found->shard, head->n_topics, config->n_topics);
    if (strcmp(head->catalog_hash, tagd_catalog_hash(config->catalog)) != 0)
        return tagd_fail(error,
                         "shard %" PRIu32 ": its state was made by another catalog (%s, now %s); run that one, or give "
                         "this one a group of its own: " TAGD_NEW_GROUP,
                         found->shard, head->catalog_hash, tagd_catalog_hash(config->catalog));
    return true;
}

/* Whether the entry, of which no output was found, is known not to be published: nothing was ever deleted where its outputs
 * would be, or earlier ones are still there, which are deleted first. One without outputs shows nothing, once or twice. */
static bool known_unpublished(const struct tagd_takeover_found *found, const struct tagd_outbox_entry *entry)
{
    struct tagd_outbox_content content;
    if (!tagd_outbox_read(entry->bytes, found->arena, &content))
        return true; /* it will be refused for that */
    for (size_t i = 0; i < content.n_outputs; i++)
        if (!found->emptied[content.outputs[i].kind])
            return true;
    return content.n_outputs == 0;
}

/* Kafka knows no offset (any more): what the output partitions and the outbox say. */
static bool position_without_offsets(const struct tagd_takeover_found *found, struct tagd_position *k,
                                     struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    uint64_t known = found->n_outbox > 0 ? found->outbox[0].batch - 1 : head->batch; /* dropped only once published */
    uint64_t fence = found->n_outbox > 0 ? found->outbox[0].prev_fence : head->fence;
    if (!k->found || k->batch < known)
        *k = (struct tagd_position){known > 0, fence, known};
    for (size_t i = 0; i < found->n_outbox; i++)
        if (found->outbox[i].batch > k->batch && !known_unpublished(found, &found->outbox[i]))
            return tagd_fail(
                error,
                "shard %" PRIu32 ": its committed offsets are gone and the topics that its batch %" PRIu64
                " publishes to hold nothing of it, so nobody knows whether it was published; " TAGD_NEW_GROUP,
                found->shard, found->outbox[i].batch);
    return true;
}

/* Where to go on, and whether the broker still has it. */
static bool find_start(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                       struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    for (uint32_t i = 0; i < config->n_topics; i++) {
        const struct tagd_committed_topic *topic = &found->committed[i];
        int64_t next = found->head->exists ? found->head->next_offset[i] : -1;
        if (next < 0 && found->first != NULL)
            next = found->first[i];
        decision->start[i] = next;
        if (next < 0)
            continue;
        if (next > topic->high)
            return tagd_fail(error,
                             "shard %" PRIu32 ": topic \"%s\" ends at offset %" PRId64
                             ", before the next one to read, %" PRId64
                             ": the topic was made anew or lost its end; " TAGD_NEW_GROUP,
                             found->shard, config->topics[i], topic->high, next);
        if (next >= topic->low)
            continue;
        if (!config->continue_on_data_gap)
            return tagd_fail(error,
                             "shard %" PRIu32 ": topic \"%s\" begins at offset %" PRId64
                             " and the next to read was %" PRId64 ": %" PRId64
                             " records were deleted before they were read; raise the topic's retention, and "
                             "set \"on_data_gap\": \"continue\" to go on without them",
                             found->shard, config->topics[i], topic->low, next, topic->low - next);
        decision->start[i] = topic->low;
        decision->gaps++;
    }
    return true;
}

/* The entries after batch k, without a hole, each built on the one before. */
static bool find_entries(const struct tagd_takeover_found *found, struct tagd_position k,
                         struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    size_t first = 0;
    while (first < found->n_outbox && found->outbox[first].batch <= k.batch)
        first++;
    uint64_t fence = k.fence, batch = k.batch;
    for (size_t i = first; i < found->n_outbox; i++) {
        const struct tagd_outbox_entry *entry = &found->outbox[i];
        if (entry->batch != batch + 1 || entry->prev_fence != fence)
            break;
        fence = entry->fence;
        batch = entry->batch;
    }
    if (batch != head->batch || fence != head->fence)
        return tagd_fail(error,
                         "shard %" PRIu32 ": Redis is at batch %" PRIu64 " (fence %" PRIu64 "), Kafka at %" PRIu64
                         " (fence %" PRIu64
                         "), and the outbox does not fill what lies between; was Redis restored from "
                         "a copy? " TAGD_NEW_GROUP,
                         found->shard, head->batch, head->fence, k.batch, k.fence);
    decision->first = first;
    return true;
}

/* Committed offsets of our making are where the state says, or, if they are of an earlier batch, not beyond. */
static bool offsets_fit(const struct tagd_worker_config *config, const struct tagd_takeover_found *found, bool level,
                        struct tagd_error *error)
{
    for (uint32_t i = 0; i < config->n_topics; i++) {
        int64_t is = found->committed[i].offset, next = found->head->next_offset[i];
        if (next < 0)
            next = 0;
        if (is < 0 || is == next || (!level && is < next))
            continue;
        return tagd_fail(error,
                         "shard %" PRIu32 ": topic \"%s\" has the committed offset %" PRId64
                         " and its state the next offset %" PRId64 ", %s of batch %" PRIu64
                         ": somebody reset group \"%s\"; put the offset back, or " TAGD_NEW_GROUP,
                         found->shard, config->topics[i], is, next, level ? "both" : "which is", found->head->batch,
                         config->group);
    }
    return true;
}

/* Head was written under at_least_once: whatever is in the outbox may be there, in part or not at all. */
static bool decide_at_least_once(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                                 struct tagd_position committed, struct tagd_takeover_decision *decision,
                                 struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    struct tagd_position before = {true, head->fence, head->batch};
    if (!offsets_fit(config, found, committed.found && committed.batch == head->batch, error))
        return false;
    if (found->n_outbox > 0)
        before = (struct tagd_position){true, found->outbox[0].prev_fence, found->outbox[0].batch - 1};
    decision->verdict = found->n_outbox > 0 ? TAGD_TAKEOVER_OUTBOX : TAGD_TAKEOVER_LEVEL;
    return find_entries(found, before, decision, error);
}

void tagd_takeover_note(const struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                        enum tagd_note_level level, const char *fmt, ...)
{
    struct tagd_note said = TAGD_NOTE(level);
    char text[1000];
    va_list args;
    if (config->note == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    said.text = text;
    said.shard = takeover->shard->number;
    said.batch = (int64_t)takeover->head.batch;
    config->note(config->note_to, &said);
}

/* ---- repair ---- */

/* Redis is behind Kafka's k, and nothing can be done but what is said here. */
static bool lost(const struct tagd_takeover_found *found, struct tagd_position k, struct tagd_error *error,
                 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static bool lost(const struct tagd_takeover_found *found, struct tagd_position k, struct tagd_error *error,
                 const char *fmt, ...)
{
    const struct tagd_head *head = found->head;
    char why[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    if (!head->exists)
        return tagd_fail(error,
                         "shard %" PRIu32 ": Redis has no state of it, but Kafka says that batch %" PRIu64
                         " (fence %" PRIu64 ") was published: Redis was emptied, or it is another one; bring its data "
                         "back, or %s",
                         found->shard, k.batch, k.fence, why);
    if (head->repair.phase != TAGD_NO_REPAIR && head->fence == k.fence && head->batch == k.batch)
        return tagd_fail(error,
                         "shard %" PRIu32 ": Redis lost its last writes and the repair isn't over; bring back a newer "
                         "copy of its data, or %s",
                         found->shard, why);
    return tagd_fail(error,
                     "shard %" PRIu32 ": Redis is at batch %" PRIu64 " (fence %" PRIu64
                     ") and Kafka already at %" PRIu64 " (fence %" PRIu64
                     "): Redis lost its last writes; bring back a newer copy of its data, or %s",
                     found->shard, head->batch, head->fence, k.batch, k.fence, why);
}

/* From where on records are to be read again, and whether all up to to_offset are still there. They are never passed
 * over: what they did was published. */
static bool find_replay(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                        struct tagd_position k, struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    for (uint32_t i = 0; i < config->n_topics; i++) {
        const struct tagd_committed_topic *topic = &found->committed[i];
        int64_t from = found->head->exists ? found->head->next_offset[i] : -1, to = decision->to_offset[i];
        if (from < 0 && config->begins_at_end)
            return lost(found, k, error,
                        TAGD_NEW_GROUP " (it can't be made again: new shards begin at the topics' ends, so nobody "
                                       "knows where topic \"%s\" began)",
                        config->topics[i]);
        from = from < 0 ? 0 : from;
        if (to > topic->high)
            return lost(found, k, error,
                        TAGD_NEW_GROUP " (it can't be repaired: topic \"%s\" ends at offset %" PRId64
                                       ", and its records up to %" PRId64
                                       " were taken into account: the topic was made anew or lost its end)",
                        config->topics[i], topic->high, to);
        if (from < to && from < topic->low)
            return lost(found, k, error,
                        TAGD_NEW_GROUP " (it can't be repaired: the records of topic \"%s\" from offset %" PRId64
                                       " to %" PRId64 " must be read again, and those before %" PRId64 " are deleted)",
                        config->topics[i], from, to, topic->low);
        decision->start[i] = from < topic->low ? topic->low : from;
    }
    return true;
}

/* Whether Kafka's committed offsets, and the watermark with them, are those of the repair. */
static bool is_level(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                     const int64_t *to_offset, int64_t to_watermark_ms)
{
    for (uint32_t i = 0; i < config->n_topics; i++) {
        const struct tagd_committed_topic *topic = &found->committed[i];
        struct tagd_position at;
        int64_t watermark;
        if (topic->offset != to_offset[i] || !tagd_metadata_read(topic->metadata, &at.fence, &at.batch, &watermark) ||
            watermark != to_watermark_ms)
            return false;
    }
    return true;
}

/* A copy of another history may have read further than what was published: it is repaired up to there. */
static bool find_target(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                        struct tagd_position k, struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    decision->to_watermark_ms = head->exists ? head->watermark_ms : INT64_MIN;
    for (uint32_t i = 0; i < config->n_topics; i++) {
        const struct tagd_committed_topic *topic = &found->committed[i];
        struct tagd_position at = {.found = true};
        int64_t watermark, next = head->exists ? head->next_offset[i] : 0;
        if (topic->offset < 0 || !tagd_metadata_read(topic->metadata, &at.fence, &at.batch, &watermark) ||
            at.fence != k.fence || at.batch != k.batch)
            return lost(found, k, error,
                        TAGD_NEW_GROUP " (it can't be repaired: topic \"%s\" has no committed offset of that batch, "
                                       "so nobody knows up to where its records were taken into account)",
                        config->topics[i]);
        decision->to_offset[i] = topic->offset > next ? topic->offset : next;
        if (watermark > decision->to_watermark_ms)
            decision->to_watermark_ms = watermark;
    }
    return true;
}

/* Redis lost its last writes, or all of them. */
static bool decide_lost(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                        struct tagd_position k, struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    if (config->at_least_once || head->at_least_once)
        return lost(found, k, error, TAGD_NEW_GROUP " (repair is for \"delivery\": \"exactly_once\")");
    if (!head->exists && !config->rebuild)
        return lost(found, k, error,
                    "run \"tagd run --rebuild\", which makes it again from the topics' beginnings if they still hold "
                    "all, or " TAGD_NEW_GROUP);
    decision->verdict = TAGD_TAKEOVER_REPAIR;
    decision->k = k;
    if (!find_target(config, found, k, decision, error) || !find_replay(config, found, k, decision, error))
        return false;
    decision->repair_level = is_level(config, found, decision->to_offset, decision->to_watermark_ms);
    return true;
}

/* Head says that a repair goes on, and Redis isn't behind Kafka's k. */
static bool decide_resumed(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                           struct tagd_position k, struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    if (config->at_least_once)
        return tagd_fail(error,
                         "shard %" PRIu32 ": its repair isn't over, and goes on only with \"delivery\": "
                         "\"exactly_once\"; set that until it is over, or " TAGD_NEW_GROUP,
                         found->shard);
    memcpy(decision->to_offset, head->repair.to_offset, sizeof(decision->to_offset));
    decision->to_watermark_ms = head->repair.to_watermark_ms;
    for (uint32_t i = 0; i < config->n_topics; i++)
        if (found->committed[i].offset > decision->to_offset[i])
            return tagd_fail(error,
                             "shard %" PRIu32 ": topic \"%s\" has the committed offset %" PRId64 ", beyond %" PRId64
                             ", up to where it is repaired: somebody reset group \"%s\"; put the "
                             "offset back, or " TAGD_NEW_GROUP,
                             found->shard, config->topics[i], found->committed[i].offset, decision->to_offset[i],
                             config->group);
    if (!find_replay(config, found, k, decision, error))
        return false;
    decision->verdict = k.batch < head->batch ? TAGD_TAKEOVER_OUTBOX : TAGD_TAKEOVER_LEVEL;
    decision->repair_level =
        k.batch < head->batch || is_level(config, found, decision->to_offset, decision->to_watermark_ms);
    return decision->verdict == TAGD_TAKEOVER_LEVEL || find_entries(found, k, decision, error);
}

static bool decide(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                   struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    const struct tagd_head *head = found->head;
    struct tagd_position h = {head->exists, head->fence, head->batch}, k = {0};
    if (tagd_head_importing(head))
        return tagd_fail(error,
                         "shard %" PRIu32 ": the import of history before its events isn't finished; run the same "
                         "\"tagd import\" again, which goes on where it stopped, or take a new \"group\" and "
                         "\"redis.prefix\"",
                         found->shard);
    if (head->exists && !same_meaning(config, found, error))
        return false;
    if (!committed_position(config, found, &k, error))
        return false;
    struct tagd_position committed = k;
    if (tagd_position_later(found->tail, k))
        k = found->tail;
    if (head->exists && !head->at_least_once && !committed.found && !position_without_offsets(found, &k, error))
        return false;
    if (k.found && (!head->exists || k.batch > h.batch || (k.batch == h.batch && k.fence != h.fence)))
        return decide_lost(config, found, k, decision, error);
    if (head->repair.phase != TAGD_NO_REPAIR)
        return decide_resumed(config, found, k, decision, error);
    if (!find_start(config, found, decision, error))
        return false;
    if (!head->exists) {
        decision->verdict = TAGD_TAKEOVER_NEW;
        return true;
    }
    if (h.batch == 0 && !k.found) {
        decision->verdict = TAGD_TAKEOVER_NEW;
        return true;
    }
    if (head->at_least_once)
        return decide_at_least_once(config, found, committed, decision, error);
    if (!k.found || k.batch < h.batch) {
        decision->verdict = TAGD_TAKEOVER_OUTBOX;
        return find_entries(found, k, decision, error);
    }
    decision->verdict = TAGD_TAKEOVER_LEVEL;
    return offsets_fit(config, found, true, error);
}

void tagd_takeover_decide(const struct tagd_worker_config *config, const struct tagd_takeover_found *found,
                          struct tagd_takeover_decision *decision, struct tagd_error *error)
{
    *decision = (struct tagd_takeover_decision){0};
    if (!decide(config, found, decision, error))
        refuse(decision);
}

/* ---- the steps ---- */

enum tagd_takeover_result tagd_takeover_submit(struct tagd_takeover *takeover, struct tagd_op *op,
                                               enum tagd_takeover_step step, enum tagd_op_kind kind)
{
    takeover->step = step;
    op->kind = kind;
    op->shard = takeover->shard->number;
    return TAGD_TAKEOVER_SUBMIT;
}

void tagd_takeover_begin(struct tagd_takeover *takeover, struct tagd_shard *shard, struct tagd_op *op)
{
    uint64_t at_least = shard->fence;
    *takeover = (struct tagd_takeover){.shard = shard, .counts = takeover->counts};
    shard->status = TAGD_SHARD_RECOVERING;
    op->u.fence.at_least = at_least;
    tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_FENCE, TAGD_OP_FENCE);
}

static enum tagd_takeover_result ask_committed(struct tagd_takeover *takeover, struct tagd_op *op)
{
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_COMMITTED, TAGD_OP_COMMITTED);
}

enum tagd_takeover_result tagd_takeover_commit(struct tagd_takeover *takeover, struct tagd_op *op,
                                               enum tagd_takeover_step step)
{
    takeover->head = takeover->writes.head;
    op->u.commit.shards = &takeover->writes;
    op->u.commit.n_shards = 1;
    return tagd_takeover_submit(takeover, op, step, TAGD_OP_COMMIT);
}

static enum tagd_takeover_result claim(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                       struct tagd_op *op)
{
    takeover->shard->head = takeover->head;
    tagd_shard_head_only(takeover->shard, config->owner, 0, &takeover->writes);
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_CLAIM);
}

/* From here on the outbox, without the entries that are published, is to be read as `delivery` now says. */
static enum tagd_takeover_result mark(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                      struct tagd_op *op)
{
    struct tagd_shard *shard = takeover->shard;
    shard->head = takeover->head;
    tagd_shard_head_only(shard, config->owner, shard->published, &takeover->writes);
    takeover->writes.head.at_least_once = config->at_least_once;
    return tagd_takeover_commit(takeover, op, TAGD_TAKEOVER_MARK);
}

static enum tagd_takeover_result fenced(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                        struct tagd_op *op)
{
    if (!takeover->fenced)
        takeover->before = op->u.fence.before;
    takeover->fenced = true;
    takeover->shard->fence = op->u.fence.fence;
    takeover->head = op->u.fence.head;
    takeover->outbox = op->u.fence.outbox;
    takeover->n_outbox = op->u.fence.n_outbox;
    takeover->next_due_ms = op->u.fence.next_due_ms;
    takeover->population_form = op->u.fence.population_form;
    bool ours = strcmp(takeover->head.owner, config->owner) == 0;
    if (!takeover->head.exists || tagd_head_importing(&takeover->head) || (ours && !config->at_least_once))
        return ask_committed(takeover, op);
    if (takeover->head.owner[0] == '\0')
        return claim(takeover, config, op);
    /* Also our own id's transaction, if it is not ours to begin any: an earlier life may have left it open. */
    op->u.end_owner.owner = tagd_str_of(takeover->head.owner);
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_END_OWNER, TAGD_OP_END_OWNER);
}

enum tagd_takeover_result tagd_takeover_start(struct tagd_takeover *takeover, struct tagd_op *op)
{
    op->u.start.offsets = takeover->decision.start;
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_START, TAGD_OP_START);
}

static enum tagd_takeover_result publish(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                         struct tagd_op *op)
{
    const struct tagd_outbox_entry *entry = &takeover->outbox[takeover->entry];
    struct tagd_outbox_content *content = &takeover->content;
    size_t n = tagd_metadata_write(takeover->metadata, entry->fence, entry->batch, content->watermark_ms);
    takeover->publish = (struct tagd_shard_outputs){.shard = takeover->shard->number,
                                                    .outputs = takeover->outputs,
                                                    .n_outputs = content->n_outputs,
                                                    .fence = entry->fence,
                                                    .batch = entry->batch,
                                                    .metadata = {takeover->metadata, n}};
    for (uint32_t i = 0; i < TAGD_TOPICS_MAX; i++)
        takeover->publish.offset[i] = i < content->n_topics && content->offset[i] > 0 ? content->offset[i] : 0;
    op->u.publish.shards = &takeover->publish;
    op->u.publish.n_shards = 1;
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_PUBLISH,
                                config->at_least_once ? TAGD_OP_SEND : TAGD_OP_PUBLISH);
}

/* A transaction without outputs, so that Kafka's committed batch is head's. */
static enum tagd_takeover_result level_offsets(struct tagd_takeover *takeover, struct tagd_op *op)
{
    takeover->publish = tagd_head_outputs(&takeover->head, takeover->shard->number, takeover->metadata);
    op->u.publish.shards = &takeover->publish;
    op->u.publish.n_shards = 1;
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_LEVEL_OFFSETS, TAGD_OP_PUBLISH);
}

/* The dead letters of the entry are fetched again, one after the other; then it is published. */
static enum tagd_takeover_result fetch_letters(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                               struct tagd_op *op)
{
    struct tagd_outbox_content *content = &takeover->content;
    while (takeover->letter < content->n_outputs && content->outputs[takeover->letter].kind != TAGD_OUT_DEAD_LETTER)
        takeover->letter++;
    if (takeover->letter == content->n_outputs)
        return publish(takeover, config, op);
    op->u.refetch.topic = content->outputs[takeover->letter].topic;
    op->u.refetch.offset = content->outputs[takeover->letter].offset;
    return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_REFETCH, TAGD_OP_REFETCH);
}

/* Nothing of the outbox is left to be published. */
static enum tagd_takeover_result entries_done(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                              struct tagd_op *op)
{
    if (takeover->head.repair.phase != TAGD_NO_REPAIR)
        return tagd_repair_resume(takeover, config, op);
    if (!takeover->head.exists || takeover->head.at_least_once == config->at_least_once)
        return tagd_takeover_start(takeover, op);
    if (takeover->decision.verdict == TAGD_TAKEOVER_LEVEL && takeover->head.batch > 0)
        return level_offsets(takeover, op);
    return mark(takeover, config, op);
}

static enum tagd_takeover_result open_entry(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                            struct tagd_op *op, struct tagd_error *error)
{
    struct tagd_outbox_content *content = &takeover->content;
    if (takeover->entry == takeover->n_outbox)
        return entries_done(takeover, config, op);
    if (!tagd_outbox_read(takeover->outbox[takeover->entry].bytes, op->arena, content) ||
        content->n_topics != config->n_topics) {
        tagd_fail(error,
                  "shard %" PRIu32 ": the outbox entry of batch %" PRIu64
                  " can't be read: it is damaged, or of another version of tagd; run that version, or " TAGD_NEW_GROUP,
                  takeover->shard->number, takeover->outbox[takeover->entry].batch);
        return TAGD_TAKEOVER_STOP;
    }
    takeover->outputs = tagd_arena_zalloc(op->arena, (content->n_outputs + 1) * sizeof(*takeover->outputs));
    takeover->letter = 0;
    for (uint32_t i = 0; i < content->n_outputs; i++) {
        const struct tagd_outbox_output *from = &content->outputs[i];
        if (from->kind != TAGD_OUT_DEAD_LETTER)
            tagd_event_output(from->kind, from->key, from->value, from->headers, from->n_headers, i,
                              &takeover->outputs[i]);
    }
    return fetch_letters(takeover, config, op);
}

static enum tagd_takeover_result fetched(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                         struct tagd_op *op)
{
    const struct tagd_outbox_output *from = &takeover->content.outputs[takeover->letter];
    struct tagd_record gone = {0};
    const char *topic = from->topic < config->n_topics ? config->topics[from->topic] : "?";
    tagd_dead_letter(op->status == TAGD_GONE ? &gone : &op->u.refetch.record, from->code, from->reason, topic,
                     takeover->shard->number, from->offset, (uint32_t)takeover->letter, op->arena,
                     &takeover->outputs[takeover->letter]);
    takeover->letter++;
    return fetch_letters(takeover, config, op);
}

/* What was read of the store and of Kafka was read one after the other. If another owner came in between, as it does when
 * the group went on without us and hasn't told us yet, they don't belong together. So a refusal counts if it comes again
 * and nobody took a fence since the first one was taken. */
enum tagd_takeover_result tagd_takeover_refused(struct tagd_takeover *takeover, struct tagd_worker_stats *stats)
{
    struct tagd_shard *shard = takeover->shard;
    bool alone = shard->refused != 0 && takeover->before == shard->refused;
    shard->refused = shard->fence;
    if (!alone)
        return TAGD_TAKEOVER_AGAIN;
    TAGD_COUNT(stats, takeover_refused, 1);
    return TAGD_TAKEOVER_STOP;
}

static enum tagd_takeover_result compare(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                         struct tagd_worker_stats *stats, struct tagd_op *op, struct tagd_error *error)
{
    bool begins = takeover->head.batch == 0 && takeover->shard->has_first;
    struct tagd_takeover_found found = {.shard = takeover->shard->number,
                                        .head = &takeover->head,
                                        .outbox = takeover->outbox,
                                        .n_outbox = takeover->n_outbox,
                                        .committed = takeover->committed,
                                        .tail = op->u.tail.last,
                                        .emptied = op->u.tail.emptied,
                                        .arena = op->arena,
                                        .first = begins ? takeover->shard->first : NULL};
    tagd_takeover_decide(config, &found, &takeover->decision, error);
    takeover->entry = takeover->n_outbox;
    takeover->repeats = takeover->head.at_least_once;
    takeover->shard->published = takeover->head.batch;
    takeover->shard->repair_level = takeover->decision.repair_level;
    if (takeover->decision.verdict != TAGD_TAKEOVER_REFUSE && !tagd_population_is_counted(takeover, config->catalog))
        return tagd_population_count(takeover, config, op);
    switch (takeover->decision.verdict) {
    case TAGD_TAKEOVER_REFUSE: return tagd_takeover_refused(takeover, stats);
    case TAGD_TAKEOVER_REPAIR: return tagd_repair_begin(takeover, config, stats, op, error);
    case TAGD_TAKEOVER_NEW: TAGD_COUNT(stats, takeover_new, 1); break;
    case TAGD_TAKEOVER_LEVEL: TAGD_COUNT(stats, takeover_level, 1); break;
    case TAGD_TAKEOVER_OUTBOX:
        TAGD_COUNT(stats, takeover_outbox, 1);
        takeover->entry = takeover->decision.first;
        takeover->shard->published = takeover->outbox[takeover->entry].batch - 1;
        break;
    }
    TAGD_COUNT(stats, data_gaps, takeover->decision.gaps);
    if (takeover->head.exists && config->at_least_once && !takeover->head.at_least_once)
        return mark(takeover, config, op);
    return open_entry(takeover, config, op, error);
}

static enum tagd_takeover_result published(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                           struct tagd_worker_stats *stats, struct tagd_op *op,
                                           struct tagd_error *error)
{
    TAGD_COUNT(stats, takeover_outbox_batches, 1);
    if (takeover->repeats)
        TAGD_COUNT(stats, outputs_redelivered, takeover->content.n_outputs);
    if (!config->at_least_once) /* else its acknowledgement says so */
        takeover->shard->published = takeover->outbox[takeover->entry].batch;
    takeover->entry++;
    return open_entry(takeover, config, op, error);
}

static enum tagd_takeover_result started(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                         struct tagd_worker_stats *stats)
{
    struct tagd_shard *shard = takeover->shard;
    shard->head = takeover->head;
    if (!shard->head.exists)
        shard->head = tagd_shard_first_head(config->catalog, config->n_topics, (uint32_t)config->rules.partitions);
    if (shard->head.batch == 0) {
        memcpy(shard->first, takeover->decision.start, sizeof(shard->first));
        shard->has_first = true;
    }
    memcpy(shard->next_offset, takeover->decision.start, sizeof(shard->next_offset));
    if (shard->head.repair.phase == TAGD_NO_REPAIR) /* the store has it with the next commit */
        memcpy(shard->head.outputs_end, takeover->outputs_end, sizeof(shard->head.outputs_end));
    shard->watermark_ms = shard->head.watermark_ms;
    shard->latest_ms = shard->head.latest_ms;
    shard->next_due_ms = takeover->next_due_ms;
    shard->status = TAGD_SHARD_RUNNING;
    takeover->step = TAGD_TAKEOVER_DONE;
    TAGD_COUNT(stats, takeovers, 1);
    return TAGD_TAKEOVER_RUNNING;
}

enum tagd_takeover_result tagd_takeover_next(struct tagd_takeover *takeover, const struct tagd_worker_config *config,
                                             struct tagd_worker_stats *stats, struct tagd_op *op,
                                             struct tagd_error *error)
{
    bool letter_gone = takeover->step == TAGD_TAKEOVER_REFETCH && op->status == TAGD_GONE;
    if (op->status != TAGD_DONE && !letter_gone) {
        tagd_fail(error, "shard %" PRIu32 ": %s", takeover->shard->number, op->error.text);
        return op->status == TAGD_DENIED ? TAGD_TAKEOVER_STOP : TAGD_TAKEOVER_AGAIN;
    }
    switch (takeover->step) {
    case TAGD_TAKEOVER_FENCE: return fenced(takeover, config, op);
    case TAGD_TAKEOVER_END_OWNER: return claim(takeover, config, op);
    case TAGD_TAKEOVER_CLAIM: return ask_committed(takeover, op);
    case TAGD_TAKEOVER_COMMITTED:
        takeover->committed = op->u.committed.topics;
        memcpy(takeover->outputs_end, op->u.committed.outputs_end, sizeof(takeover->outputs_end));
        op->u.tail.repeats = takeover->head.at_least_once;
        return tagd_takeover_submit(takeover, op, TAGD_TAKEOVER_TAIL, TAGD_OP_TAIL);
    case TAGD_TAKEOVER_TAIL: return compare(takeover, config, stats, op, error);
    case TAGD_TAKEOVER_REFETCH: return fetched(takeover, config, op);
    case TAGD_TAKEOVER_PUBLISH: return published(takeover, config, stats, op, error);
    case TAGD_TAKEOVER_LEVEL_OFFSETS: return mark(takeover, config, op);
    case TAGD_TAKEOVER_MARK: return open_entry(takeover, config, op, error);
    case TAGD_TAKEOVER_REPAIR_SCAN:
    case TAGD_TAKEOVER_REPAIR_UNDO:
    case TAGD_TAKEOVER_REPAIR_BEGIN:
    case TAGD_TAKEOVER_REPAIR_CHANGES:
    case TAGD_TAKEOVER_REPAIR_LOAD:
    case TAGD_TAKEOVER_REPAIR_TELL:
    case TAGD_TAKEOVER_REPAIR_LETTERS:
    case TAGD_TAKEOVER_REPAIR_REPLAY: return tagd_repair_next(takeover, config, stats, op, error);
    case TAGD_TAKEOVER_UNCOUNT:
    case TAGD_TAKEOVER_COUNT:
    case TAGD_TAKEOVER_COUNTED: return tagd_population_next(takeover, config, stats, op, error);
    case TAGD_TAKEOVER_START: return started(takeover, config, stats);
    case TAGD_TAKEOVER_DONE: break;
    }
    return TAGD_TAKEOVER_RUNNING;
}
