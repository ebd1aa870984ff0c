#include "worker/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shard/shard.h"

#define POLL_MS 50
#define NEW_GROUP "history goes into a group without a past: give it a new \"group\" and \"redis.prefix\""

struct lane {
    struct tagd_shard shard; /* its head's baseline is that of the last commit */
    struct tagd_batch batch;
    bool touched; /* lines of this batch moved its time, or are for its customers */
};

struct tagd_import {
    struct tagd_import_config config;
    struct tagd_worker_config worker; /* what the shard room wants to know */
    struct tagd_port *port;
    struct tagd_shard_context context;
    struct tagd_worker_stats stats;
    struct lane *lanes; /* by shard */
    struct tagd_shard_writes *writes;
    struct tagd_arena lines, arena;
    size_t batch_lines, batch_bytes;
    uint64_t n_lines, n_bad, n_after, n_commits;
};

/* ---- may it? ---- */

static bool same_import(const struct tagd_import_config *config, const struct tagd_head *head)
{
    return strcmp(head->baseline.import, config->identity) == 0;
}

static bool refuse_other(const struct tagd_import_config *config, uint32_t shard, const struct tagd_head *head,
                         struct tagd_error *error)
{
    char before[TAGD_TIME_TEXT];
    tagd_time_format(head->baseline.before_ms, before);
    const char *what = head->baseline.finished ? "finished" : "begun";
    if (head->baseline.before_ms != config->before_ms)
        return tagd_fail(error,
                         "shard %" PRIu32 ": another import was %s there, with --until %s; run that one again, "
                         "or " NEW_GROUP,
                         shard, what, before);
    if (strcmp(head->catalog_hash, tagd_catalog_hash(config->catalog)) != 0)
        return tagd_fail(error,
                         "shard %" PRIu32 ": another import was %s there, with another catalog (%s, now %s); run that "
                         "one again, or " NEW_GROUP,
                         shard, what, head->catalog_hash, tagd_catalog_hash(config->catalog));
    return tagd_fail(error,
                     "shard %" PRIu32 ": another import was %s there, from files of other contents or order, or under "
                     "other settings (partitioner, \"past\", \"max_event_bytes\", \"junk_subjects\"); run that one "
                     "again, or " NEW_GROUP,
                     shard, what);
}

static bool may_shard(const struct tagd_import_config *config, uint32_t shard, const struct tagd_head *head,
                      struct tagd_error *error)
{
    if (!head->exists)
        return true;
    if (head->baseline.import[0] == '\0')
        return tagd_fail(
            error, "shard %" PRIu32 " has state already: the daemon committed batch %" PRIu64 " there; " NEW_GROUP,
            shard, head->batch);
    if (!same_import(config, head))
        return refuse_other(config, shard, head, error);
    if (head->n_topics == config->n_topics && head->partitions == config->partitions)
        return true;
    return tagd_fail(error,
                     "shard %" PRIu32 ": the import was begun with %" PRIu32 " source topics of %" PRIu32
                     " partitions, now it is %" PRIu32 " of %" PRIu32 "; go back to those, or " NEW_GROUP,
                     shard, head->n_topics, head->partitions, config->n_topics, config->partitions);
}

bool tagd_import_may(const struct tagd_import_config *config, const struct tagd_head *heads, struct tagd_error *error)
{
    for (uint32_t shard = 0; shard < config->partitions; shard++)
        if (!may_shard(config, shard, &heads[shard], error))
            return false;
    return true;
}

/* ---- operations ---- */

static void no_input(void *to, const struct tagd_input *in)
{
    (void)to, (void)in;
}

static void carry_out(struct tagd_import *import, struct tagd_op *op)
{
    op->arena = &import->arena;
    op->status = TAGD_PENDING;
    import->port->submit(import->port->self, op);
    while (op->status == TAGD_PENDING)
        import->port->poll(import->port->self, POLL_MS, 0, no_input, import);
}

static enum tagd_import_result result_of(const struct tagd_op *op, struct tagd_error *error)
{
    if (op->status == TAGD_DONE)
        return TAGD_IMPORT_OK;
    *error = op->error;
    if (op->status == TAGD_DENIED)
        return TAGD_IMPORT_REFUSED;
    return op->status == TAGD_FENCED ? TAGD_IMPORT_TAKEN : TAGD_IMPORT_AGAIN;
}

static enum tagd_import_result commit(struct tagd_import *import, size_t n, struct tagd_error *error)
{
    struct tagd_op op = {.kind = TAGD_OP_COMMIT};
    op.u.commit.shards = import->writes;
    op.u.commit.n_shards = n;
    if (n == 0)
        return TAGD_IMPORT_OK;
    carry_out(import, &op);
    import->n_commits += op.status == TAGD_DONE;
    for (size_t i = 0; i < n; i++)
        if (op.status != TAGD_UNKNOWN && import->writes[i].status == TAGD_DONE)
            import->lanes[import->writes[i].shard].shard.head = import->writes[i].head;
    return result_of(&op, error);
}

/* The head as it is, under our fence, for the caller to change. Batch 0: the daemon's batches build on it. */
static struct tagd_shard_writes *write_head(const struct lane *lane, struct tagd_shard_writes *writes)
{
    tagd_shard_head_only(&lane->shard, "", 0, writes);
    writes->head.exists = true;
    writes->head.fence = lane->shard.fence;
    return writes;
}

/* ---- begin ---- */

static struct tagd_head first_head(const struct tagd_import *import)
{
    const struct tagd_import_config *config = &import->config;
    struct tagd_head head = tagd_shard_first_head(config->catalog, config->n_topics, config->partitions);
    head.baseline.before_ms = config->before_ms;
    snprintf(head.baseline.import, sizeof(head.baseline.import), "%s", config->identity);
    return head;
}

static enum tagd_import_result fence(struct tagd_import *import, uint32_t number, struct tagd_error *error)
{
    struct tagd_shard *shard = &import->lanes[number].shard;
    struct tagd_op op = {.kind = TAGD_OP_FENCE, .shard = number};
    carry_out(import, &op);
    if (op.status != TAGD_DONE)
        return result_of(&op, error);
    shard->fence = op.u.fence.fence;
    shard->head = op.u.fence.head;
    shard->next_due_ms = op.u.fence.next_due_ms;
    tagd_arena_reset(&import->arena);
    return may_shard(&import->config, number, &shard->head, error) ? TAGD_IMPORT_OK : TAGD_IMPORT_REFUSED;
}

enum tagd_import_result tagd_import_begin(struct tagd_import *import, const struct tagd_head *heads,
                                          struct tagd_error *error)
{
    size_t n = 0;
    if (!tagd_import_may(&import->config, heads, error))
        return TAGD_IMPORT_REFUSED;
    for (uint32_t number = 0; number < import->config.partitions; number++) {
        struct lane *lane = &import->lanes[number];
        lane->shard.number = number;
        lane->shard.head = heads[number];
        if (!heads[number].baseline.finished) {
            enum tagd_import_result result = fence(import, number, error);
            if (result != TAGD_IMPORT_OK)
                return result;
        }
        if (!lane->shard.head.exists) {
            lane->shard.head = first_head(import);
            write_head(lane, &import->writes[n++]);
        }
    }
    for (size_t i = 0; i < n; i++)
        tagd_population_begin(import->config.catalog, &import->arena, &import->writes[i].population);
    enum tagd_import_result result = commit(import, n, error);
    for (uint32_t number = 0; number < import->config.partitions && result == TAGD_IMPORT_OK; number++) {
        struct lane *lane = &import->lanes[number];
        lane->shard.watermark_ms = lane->shard.head.watermark_ms;
        lane->shard.latest_ms = lane->shard.head.latest_ms;
        tagd_batch_begin(&lane->batch, &lane->shard);
    }
    return result;
}

/* ---- lines ---- */

struct tagd_arena *tagd_import_arena(struct tagd_import *import)
{
    return &import->lines;
}

static struct lane *lane_of(struct tagd_import *import, struct tagd_str subject)
{
    uint32_t hash = import->config.partitioner == TAGD_CRC32 ? tagd_crc32(subject) : tagd_murmur2(subject);
    return &import->lanes[hash % import->config.partitions];
}

void tagd_import_take(struct tagd_import *import, const struct tagd_record *record, const struct tagd_event *event)
{
    uint64_t index = import->n_lines++;
    bool after = event->has_time && event->time_ms >= import->config.before_ms;
    import->batch_lines++;
    import->batch_bytes += record->value.n;
    import->n_bad += event->code != TAGD_EVENT_OK;
    import->n_after += event->code == TAGD_EVENT_OK && after;
    if (after || event->subject.n == 0)
        return;
    struct lane *lane = lane_of(import, event->subject);
    const struct tagd_baseline *baseline = &lane->shard.head.baseline;
    if (baseline->finished || index < baseline->lines)
        return;
    lane->touched = true;
    if (event->has_time && event->time_ms > lane->batch.latest_ms)
        lane->batch.latest_ms = event->time_ms;
    if (lane->batch.latest_ms > lane->batch.watermark_ms)
        lane->batch.watermark_ms = lane->batch.latest_ms;
    if (event->code == TAGD_EVENT_OK)
        tagd_batch_add(&lane->batch, record, event, lane->batch.watermark_ms);
}

bool tagd_import_full(const struct tagd_import *import)
{
    return import->batch_lines >= import->config.batch_events_max ||
           import->batch_bytes >= import->config.batch_bytes_max;
}

/* The lane's batch takes place: profiles are read, the engine runs, one transaction. */
static enum tagd_import_result step(struct tagd_import *import, struct lane *lane, struct tagd_error *error)
{
    struct tagd_worker_stats before = import->stats;
    struct tagd_batch *batch = &lane->batch;
    struct tagd_op load = {.kind = TAGD_OP_LOAD};
    tagd_arena_reset(&import->arena);
    tagd_batch_load(batch, &import->context, &load);
    carry_out(import, &load);
    if (load.status != TAGD_DONE)
        return result_of(&load, error);
    if (!tagd_batch_apply(batch, &import->context, &load, error))
        return TAGD_IMPORT_REFUSED;
    struct tagd_shard_writes *writes = write_head(lane, import->writes);
    struct tagd_baseline *baseline = &writes->head.baseline;
    writes->head.watermark_ms = batch->watermark_ms;
    writes->head.latest_ms = batch->latest_ms;
    writes->profiles = batch->writes;
    writes->n_profiles = batch->n_writes;
    writes->population = batch->population;
    baseline->lines = import->n_lines;
    baseline->events += import->stats.events - before.events;
    baseline->duplicates += import->stats.duplicates - before.duplicates;
    baseline->ignored += import->stats.ignored - before.ignored;
    baseline->customers += batch->n_begun;
    enum tagd_import_result result = commit(import, 1, error);
    lane->shard.watermark_ms = batch->watermark_ms;
    lane->shard.latest_ms = batch->latest_ms;
    lane->shard.next_due_ms = batch->next_due_ms;
    lane->touched = false;
    tagd_batch_begin(batch, &lane->shard);
    return result;
}

enum tagd_import_result tagd_import_flush(struct tagd_import *import, struct tagd_error *error)
{
    enum tagd_import_result result = TAGD_IMPORT_OK;
    for (uint32_t i = 0; i < import->config.partitions && result == TAGD_IMPORT_OK; i++)
        if (import->lanes[i].touched)
            result = step(import, &import->lanes[i], error);
    import->batch_lines = import->batch_bytes = 0;
    tagd_arena_reset(&import->lines);
    return result;
}

/* ---- finish ---- */

/* Time runs to `to`, included; more customers than a batch looks at take several batches. */
static enum tagd_import_result run_time(struct tagd_import *import, struct lane *lane, int64_t to,
                                        struct tagd_error *error)
{
    enum tagd_import_result result = TAGD_IMPORT_OK;
    while (result == TAGD_IMPORT_OK && (lane->shard.watermark_ms < to || lane->shard.next_due_ms <= to)) {
        lane->batch.watermark_ms = to;
        result = step(import, lane, error);
    }
    return result;
}

enum tagd_import_result tagd_import_finish(struct tagd_import *import, struct tagd_error *error)
{
    enum tagd_import_result result = tagd_import_flush(import, error);
    size_t n = 0;
    for (uint32_t i = 0; i < import->config.partitions && result == TAGD_IMPORT_OK; i++)
        if (!import->lanes[i].shard.head.baseline.finished)
            result = run_time(import, &import->lanes[i], import->config.before_ms - 1, error);
    if (result != TAGD_IMPORT_OK)
        return result;
    for (uint32_t i = 0; i < import->config.partitions; i++) {
        if (import->lanes[i].shard.head.baseline.finished)
            continue;
        struct tagd_baseline *baseline = &write_head(&import->lanes[i], &import->writes[n++])->head.baseline;
        baseline->lines = import->n_lines;
        baseline->finished = true;
    }
    return commit(import, n, error);
}

/* ---- life ---- */

struct tagd_import_counts tagd_import_counts(const struct tagd_import *import)
{
    struct tagd_import_counts counts = {.lines = import->n_lines, .bad = import->n_bad, .after = import->n_after};
    for (uint32_t i = 0; i < import->config.partitions; i++) {
        const struct tagd_baseline *baseline = &import->lanes[i].shard.head.baseline;
        counts.events += baseline->events;
        counts.duplicates += baseline->duplicates;
        counts.ignored += baseline->ignored;
        counts.customers += baseline->customers;
        counts.shards += baseline->customers > 0;
    }
    return counts;
}

uint64_t tagd_import_commits(const struct tagd_import *import)
{
    return import->n_commits;
}

struct tagd_import *tagd_import_new(const struct tagd_import_config *config, struct tagd_port *port)
{
    struct tagd_import *import = tagd_xcalloc(1, sizeof(*import));
    import->config = *config;
    import->port = port;
    import->worker = (struct tagd_worker_config){
        .catalog = config->catalog, .group = config->group, .owner = "", .n_topics = config->n_topics};
    import->context = (struct tagd_shard_context){.config = &import->worker, .stats = &import->stats};
    import->context.engine = tagd_engine_new(config->catalog, config->horizon_ms);
    import->context.profile = tagd_profile_new(config->catalog);
    import->context.members = tagd_members_new(config->catalog);
    import->context.emit = (struct tagd_emit){.catalog = config->catalog, .group = config->group};
    tagd_emit_prepare(&import->context.emit);
    tagd_engine_telling(import->context.engine, TAGD_BASELINE);
    import->lanes = tagd_xcalloc(config->partitions, sizeof(*import->lanes));
    import->writes = tagd_xcalloc(config->partitions, sizeof(*import->writes));
    return import;
}

void tagd_import_free(struct tagd_import *import)
{
    if (import == NULL)
        return;
    for (uint32_t i = 0; i < import->config.partitions; i++)
        tagd_batch_free(&import->lanes[i].batch);
    free(import->lanes);
    free(import->writes);
    tagd_arena_free(&import->lines);
    tagd_arena_free(&import->arena);
    tagd_emit_free(&import->context.emit);
    tagd_members_free(import->context.members);
    tagd_profile_free(import->context.profile);
    tagd_engine_free(import->context.engine);
    free(import);
}
