/* What Kafka knows of a group before an import gives it a baseline: it must be nothing, or what a shard that the import
 * finished earlier has done since; and whether a group stands still. Joins no group, changes nothing. */
#include "io/kafka.h"

#include <string.h>
#include <time.h>

#define ASK_TIMEOUT_MS 5000
#define AGAIN_PAUSE_MS 200 /* a topic may have no leader for a moment */
#define NEW_GROUP "history goes into a group without a past: give it a new \"group\" and \"redis.prefix\""

static enum tagd_io_result unanswered(rd_kafka_resp_err_t err)
{
    return tagd_kafka_denied(err) ? TAGD_IO_CONFIG : TAGD_IO_UNREACHABLE;
}

static enum tagd_io_result check_members(rd_kafka_t *rk, const struct tagd_config *config, struct tagd_error *error)
{
    const struct rd_kafka_group_list *list;
    enum tagd_io_result result = TAGD_IO_OK;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(rk, config->group, &list, ASK_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tagd_fail(error, "Kafka doesn't say who is in group \"%s\": %s%s", config->group, rd_kafka_err2str(err),
                  tagd_kafka_remedy(err));
        return unanswered(err);
    }
    for (int i = 0; i < list->group_cnt && result == TAGD_IO_OK; i++) {
        const struct rd_kafka_group_info *info = &list->groups[i];
        if (strcmp(info->group, config->group) != 0)
            continue;
        if (info->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            tagd_fail(error, "Kafka doesn't say who is in group \"%s\": %s%s", config->group,
                      rd_kafka_err2str(info->err), tagd_kafka_remedy(info->err));
            result = unanswered(info->err);
            continue;
        }
        if (info->member_cnt == 0)
            continue;
        tagd_fail(error,
                  "group \"%s\" is running: it has %d member%s (client \"%s\" at %s); stop it first (one that was "
                  "killed leaves the group after its session timeout, 10 s)",
                  config->group, info->member_cnt, info->member_cnt == 1 ? "" : "s", info->members[0].client_id,
                  info->members[0].client_host);
        result = TAGD_IO_CONFIG;
    }
    rd_kafka_group_list_destroy(list);
    return result;
}

static bool may_have_a_past(const struct tagd_head *head)
{
    return head->exists && head->batch > 0;
}

/* A group that we may not ask of is told only to who polls; the question itself finds no end. */
static rd_kafka_resp_err_t told_meanwhile(rd_kafka_t *rk)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 0);
    if (message != NULL && tagd_kafka_denied(message->err))
        err = message->err;
    if (message != NULL)
        rd_kafka_message_destroy(message);
    return err;
}

static enum tagd_io_result check_offsets(rd_kafka_t *rk, const struct tagd_config *config, uint32_t partitions,
                                         const struct tagd_head *heads, struct tagd_error *error)
{
    enum tagd_io_result result = TAGD_IO_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)config->n_sources);
    for (size_t topic = 0; topic < config->n_sources; topic++)
        for (uint32_t shard = 0; shard < partitions; shard++)
            if (!may_have_a_past(&heads[shard]))
                rd_kafka_topic_partition_list_add(list, config->sources[topic].topic, (int32_t)shard);
    rd_kafka_resp_err_t err =
        list->cnt == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_committed(rk, list, ASK_TIMEOUT_MS);
    if (err == RD_KAFKA_RESP_ERR__TIMED_OUT)
        err = told_meanwhile(rk);
    for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR && result == TAGD_IO_OK; i++) {
        err = list->elems[i].err;
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR || list->elems[i].offset < 0)
            continue;
        tagd_fail(error,
                  "group \"%s\" has committed offsets already (topic \"%s\", partition %d: %lld): it has read the "
                  "stream before; " NEW_GROUP,
                  config->group, list->elems[i].topic, (int)list->elems[i].partition, (long long)list->elems[i].offset);
        result = TAGD_IO_CONFIG;
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tagd_fail(error, "Kafka doesn't say the committed offsets of group \"%s\": %s%s", config->group,
                  rd_kafka_err2str(err), tagd_kafka_remedy(err));
        result = unanswered(err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return result;
}

/* Offsets expire, outputs stay: the daemon would find them and refuse the shard. */
static enum tagd_io_result check_outputs(struct tagd_kafka *kafka, uint32_t partitions, const struct tagd_head *heads,
                                         struct tagd_error *error)
{
    struct tagd_arena arena = {0};
    enum tagd_io_result result = TAGD_IO_OK;
    for (uint32_t shard = 0; shard < partitions && result == TAGD_IO_OK; shard++) {
        struct tagd_op op = {.kind = TAGD_OP_TAIL, .shard = shard, .arena = &arena};
        if (may_have_a_past(&heads[shard]))
            continue;
        tagd_kafka_tail(kafka, &op);
        if (op.status != TAGD_DONE) {
            *error = op.error;
            result = TAGD_IO_UNREACHABLE;
        } else if (op.u.tail.last.found) {
            tagd_fail(
                error,
                "group \"%s\" has published before: partition %u of its output topics holds its batch %llu; " NEW_GROUP,
                kafka->config->group, shard, (unsigned long long)op.u.tail.last.batch);
            result = TAGD_IO_CONFIG;
        }
    }
    tagd_kafka_reader_close(kafka);
    tagd_arena_free(&arena);
    return result;
}

static enum tagd_io_result check(rd_kafka_t *rk, struct tagd_kafka *kafka, const struct tagd_head *heads,
                                 struct tagd_error *error)
{
    enum tagd_io_result result = check_members(rk, kafka->config, error);
    if (result == TAGD_IO_OK)
        result = check_offsets(rk, kafka->config, kafka->partitions, heads, error);
    return result == TAGD_IO_OK ? check_outputs(kafka, kafka->partitions, heads, error) : result;
}

enum tagd_io_result tagd_io_check_unused(const struct tagd_config *config, uint32_t partitions,
                                         const struct tagd_head *heads, int timeout_ms, const struct tagd_notes *notes,
                                         struct tagd_error *error)
{
    struct tagd_kafka kafka = {
        .config = config, .notes = notes, .partitions = partitions, .n_topics = (uint32_t)config->n_sources};
    kafka.n_outputs = tagd_kafka_output_topics(config, kafka.outputs);
    rd_kafka_conf_t *conf = tagd_kafka_conf(&kafka, TAGD_KAFKA_CONSUMER, error);
    if (conf == NULL)
        return TAGD_IO_CONFIG;
    tagd_kafka_set(conf, "group.id", config->group);
    rd_kafka_t *rk = tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
    if (rk == NULL)
        return TAGD_IO_CONFIG;
    int64_t deadline = tagd_io_mono_ms() + timeout_ms;
    enum tagd_io_result result;
    while ((result = check(rk, &kafka, heads, error)) == TAGD_IO_UNREACHABLE && tagd_io_mono_ms() < deadline)
        nanosleep(&(struct timespec){0, AGAIN_PAUSE_MS * 1000000}, NULL);
    rd_kafka_destroy(rk);
    return result;
}

/* A daemon that was stopped stays a member, so that it may come back without a rebalance, until its session times out. */
enum tagd_io_result tagd_io_check_stopped(const struct tagd_config *config, int timeout_ms,
                                          const struct tagd_notes *notes, struct tagd_error *error)
{
    struct tagd_kafka kafka = {.config = config};
    rd_kafka_conf_t *conf = tagd_kafka_conf(&kafka, TAGD_KAFKA_CONSUMER, error);
    rd_kafka_t *rk = conf == NULL ? NULL : tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
    if (rk == NULL)
        return TAGD_IO_CONFIG;
    int64_t deadline = tagd_io_mono_ms() + timeout_ms;
    enum tagd_io_result result;
    for (bool noted = false; (result = check_members(rk, config, error)) != TAGD_IO_OK; noted = true) {
        if (tagd_io_mono_ms() >= deadline)
            break;
        if (!noted)
            tagd_kafka_note(notes, TAGD_NOTE_WARN, "%s; waiting for up to %d s", error->text, timeout_ms / 1000);
        nanosleep(&(struct timespec){0, AGAIN_PAUSE_MS * 1000000}, NULL);
    }
    rd_kafka_destroy(rk);
    return result;
}
