#include "io/kafka.h"
#include "io/survey.h"
#include "shard/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_TIMEOUT_MS 5000
#define INIT_TIMEOUT_MS 8000
#define RESOURCES_MAX (TAGD_TOPICS_MAX + TAGD_OUTPUT_KINDS + 1)

static void say(char text[TAGD_SURVEY_TEXT], const char *what)
{
    snprintf(text, TAGD_SURVEY_TEXT, "%s", what);
}

/* ---- topics ---- */

static void take_topic(const struct rd_kafka_metadata_topic *from, struct tagd_survey_topic *topic)
{
    if (from->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (from->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && from->err != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
            say(topic->wrong, rd_kafka_err2str(from->err));
        return;
    }
    topic->partitions = from->partition_cnt;
    for (int i = 0; i < from->partition_cnt; i++)
        if (i == 0 || from->partitions[i].replica_cnt < topic->replicas)
            topic->replicas = from->partitions[i].replica_cnt;
}

/* False: Kafka doesn't answer. */
static bool ask_topics(rd_kafka_t *rk, int timeout_ms, struct tagd_survey_kafka *survey, int *broker)
{
    for (size_t i = 0; i < survey->n_topics; i++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, survey->topics[i].name, NULL);
        rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, rkt, &metadata, i == 0 ? timeout_ms : ASK_TIMEOUT_MS);
        rd_kafka_topic_destroy(rkt);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            say(survey->unreachable, rd_kafka_err2str(err));
            return false;
        }
        survey->brokers = metadata->broker_cnt;
        *broker = metadata->broker_cnt > 0 ? metadata->brokers[0].id : -1;
        if (metadata->topic_cnt == 1)
            take_topic(&metadata->topics[0], &survey->topics[i]);
        rd_kafka_metadata_destroy(metadata);
    }
    return true;
}

static bool take_nothing(void *to, const rd_kafka_message_t *message)
{
    (void)to, (void)message;
    return false;
}

/* How much each partition holds, and whether one of them can be read. */
static void read_topic(struct tagd_kafka *kafka, struct tagd_survey_topic *topic)
{
    struct tagd_error error;
    int n = topic->partitions;
    rd_kafka_topic_partition_list_t *low = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(low, topic->name, i);
    rd_kafka_topic_partition_list_t *high = rd_kafka_topic_partition_list_copy(low);
    rd_kafka_resp_err_t err = tagd_kafka_list_offsets_patiently(kafka->reader, low, -2);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        err = tagd_kafka_list_offsets_patiently(kafka->reader, high, -1);
    topic->records = topic->most = err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -1;
    for (int i = 0; i < n && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        int64_t records = high->elems[i].offset - low->elems[i].offset;
        topic->records += records;
        if (records > topic->most) {
            topic->most = records;
            topic->most_at = i;
        }
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        say(topic->unreadable, rd_kafka_err2str(err));
    else if (!tagd_kafka_read_range(kafka, topic->name, 0, high->elems[0].offset, high->elems[0].offset + 1,
                                    take_nothing, NULL, NULL, &error))
        snprintf(topic->unreadable, sizeof(topic->unreadable), "%.*s", (int)sizeof(topic->unreadable) - 1, error.text);
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
}

/* ---- configurations ---- */

static void copy_text(char *to, size_t size, const char *value)
{
    snprintf(to, size, "%s", value == NULL ? "" : value);
}

static void take_topic_entry(struct tagd_survey_topic *topic, const char *name, const char *value)
{
    int64_t n = value == NULL ? -1 : strtoll(value, NULL, 10);
    if (strcmp(name, "retention.ms") == 0)
        topic->retention_ms = n;
    else if (strcmp(name, "retention.bytes") == 0)
        topic->retention_bytes = n;
    else if (strcmp(name, "max.message.bytes") == 0)
        topic->max_message_bytes = n;
    else if (strcmp(name, "min.insync.replicas") == 0)
        topic->min_insync = n;
    else if (strcmp(name, "cleanup.policy") == 0)
        copy_text(topic->cleanup, sizeof(topic->cleanup), value);
    else if (strcmp(name, "message.timestamp.type") == 0)
        copy_text(topic->timestamp_type, sizeof(topic->timestamp_type), value);
}

static void take_broker_entry(struct tagd_survey_kafka *survey, const char *name, const char *value)
{
    int64_t n = value == NULL ? -1 : strtoll(value, NULL, 10);
    if (strcmp(name, "transaction.max.timeout.ms") == 0)
        survey->transaction_max_ms = n;
    else if (strcmp(name, "group.max.session.timeout.ms") == 0)
        survey->group_max_session_ms = n;
    else if (strcmp(name, "offsets.retention.minutes") == 0)
        survey->offsets_retention_min = n;
    else if (strcmp(name, "unclean.leader.election.enable") == 0)
        copy_text(survey->unclean, sizeof(survey->unclean), value);
}

static struct tagd_survey_topic *topic_of(struct tagd_survey_kafka *survey, const char *name)
{
    for (size_t i = 0; i < survey->n_topics; i++)
        if (strcmp(survey->topics[i].name, name) == 0)
            return &survey->topics[i];
    return NULL;
}

static void take_resource(struct tagd_survey_kafka *survey, const rd_kafka_ConfigResource_t *resource)
{
    struct tagd_survey_topic *topic = NULL;
    size_t n = 0;
    if (rd_kafka_ConfigResource_type(resource) == RD_KAFKA_RESOURCE_TOPIC)
        topic = topic_of(survey, rd_kafka_ConfigResource_name(resource));
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);
    rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(resource);
    say(topic != NULL ? topic->no_config : survey->no_config,
        err == RD_KAFKA_RESP_ERR_NO_ERROR ? "" : rd_kafka_err2str(err));
    for (size_t i = 0; i < n; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]), *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (topic != NULL)
            take_topic_entry(topic, name, value);
        else
            take_broker_entry(survey, name, value);
    }
}

/* One question a broker: topics by any, the broker's own by itself. */
static void ask_configs(rd_kafka_t *rk, struct tagd_survey_kafka *survey, rd_kafka_ConfigResource_t **resources,
                        size_t n)
{
    char text[TAGD_SURVEY_TEXT] = "";
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, ASK_TIMEOUT_MS, text, sizeof(text));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConfigs(rk, resources, n, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_TIMEOUT_MS + 1000);
    if (event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t n_results = 0;
        const rd_kafka_ConfigResource_t **results =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n_results);
        for (size_t i = 0; i < n_results; i++)
            take_resource(survey, results[i]);
    }
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
}

static void describe(rd_kafka_t *rk, struct tagd_survey_kafka *survey, int broker)
{
    rd_kafka_ConfigResource_t *resources[RESOURCES_MAX];
    char id[16];
    size_t n = 0;
    say(survey->no_config, "no answer in time");
    for (size_t i = 0; i < survey->n_topics; i++) {
        struct tagd_survey_topic *topic = &survey->topics[i];
        topic->retention_ms = topic->retention_bytes = topic->max_message_bytes = topic->min_insync = -1;
        say(topic->no_config, "no answer in time");
        if (topic->partitions > 0)
            resources[n++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic->name);
    }
    if (n > 0)
        ask_configs(rk, survey, resources, n);
    for (size_t i = 0; i < n; i++)
        rd_kafka_ConfigResource_destroy(resources[i]);
    snprintf(id, sizeof(id), "%d", broker);
    resources[0] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, id);
    ask_configs(rk, survey, resources, 1);
    rd_kafka_ConfigResource_destroy(resources[0]);
}

/* ---- the group ---- */

static void ask_group(rd_kafka_t *rk, const struct tagd_config *config, struct tagd_survey_kafka *survey)
{
    const struct rd_kafka_group_list *list;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(rk, config->group, &list, ASK_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        say(survey->no_group, rd_kafka_err2str(err));
        return;
    }
    for (int i = 0; i < list->group_cnt; i++) {
        const struct rd_kafka_group_info *info = &list->groups[i];
        if (strcmp(info->group, config->group) != 0)
            continue;
        if (info->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            say(survey->no_group, rd_kafka_err2str(info->err));
        copy_text(survey->state, sizeof(survey->state), info->state);
        survey->members = info->member_cnt;
        if (info->member_cnt > 0)
            snprintf(survey->member, sizeof(survey->member), "\"%s\" at %s", info->members[0].client_id,
                     info->members[0].client_host);
    }
    rd_kafka_group_list_destroy(list);
}

/* Whether tagd has written what stands beside the offset. */
static bool is_ours(const rd_kafka_topic_partition_t *at)
{
    uint64_t fence, batch;
    int64_t watermark_ms;
    size_t n = at->metadata == NULL ? 0 : strnlen(at->metadata, at->metadata_size);
    return tagd_metadata_read((struct tagd_str){at->metadata, n}, &fence, &batch, &watermark_ms);
}

static void ask_offsets(rd_kafka_t *rk, const struct tagd_config *config, struct tagd_survey_kafka *survey)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < config->n_sources; i++)
        for (int p = 0; p < survey->topics[i].partitions; p++)
            rd_kafka_topic_partition_list_add(list, config->sources[i].topic, p);
    rd_kafka_resp_err_t err =
        list->cnt == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_committed(rk, list, ASK_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        say(survey->no_offsets, rd_kafka_err2str(err));
    for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->offset < 0)
            continue;
        survey->offsets++;
        if (is_ours(at))
            continue;
        survey->foreign_offsets++;
        snprintf(survey->foreign_at, sizeof(survey->foreign_at), "topic \"%.200s\", partition %d", at->topic,
                 (int)at->partition);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/* As the daemon's first worker begins: under its own id, so that it takes no other right than that. */
static void try_transactions(struct tagd_kafka *kafka, struct tagd_survey_kafka *survey)
{
    struct tagd_error error;
    bool unreachable;
    snprintf(kafka->owner, sizeof(kafka->owner), "%s-%s-0", kafka->config->group, kafka->config->instance);
    snprintf(survey->owner, sizeof(survey->owner), "%s", kafka->owner);
    if (!tagd_kafka_producer_ready(kafka, INIT_TIMEOUT_MS, &unreachable, &error))
        snprintf(survey->no_transactions, sizeof(survey->no_transactions), "%.*s",
                 (int)sizeof(survey->no_transactions) - 1, error.text);
    tagd_kafka_producer_close(kafka);
}

/* ---- all of it ---- */

static void name_topics(const struct tagd_config *config, struct tagd_survey_kafka *survey)
{
    const char *outputs[TAGD_OUTPUT_KINDS];
    size_t n_outputs = tagd_kafka_output_topics(config, outputs);
    for (size_t i = 0; i < config->n_sources; i++)
        survey->topics[survey->n_topics++] =
            (struct tagd_survey_topic){.name = config->sources[i].topic, .source = true, .records = -1};
    for (size_t i = 0; i < n_outputs; i++)
        survey->topics[survey->n_topics++] =
            (struct tagd_survey_topic){.name = outputs[i], .kind = (enum tagd_output_kind)i, .records = -1};
}

static void ask_all(struct tagd_kafka *kafka, rd_kafka_t *rk, int timeout_ms, struct tagd_survey_kafka *survey)
{
    struct tagd_error error;
    int broker = -1;
    if (!ask_topics(rk, timeout_ms, survey, &broker))
        return;
    describe(rk, survey, broker);
    for (size_t i = 0; i < survey->n_topics; i++)
        if (survey->topics[i].partitions > 0 && tagd_kafka_reader(kafka, &error) != NULL)
            read_topic(kafka, &survey->topics[i]);
    ask_group(rk, kafka->config, survey);
    ask_offsets(rk, kafka->config, survey);
    if (survey->members == 0 && survey->no_group[0] == '\0' && !kafka->config->at_least_once)
        try_transactions(kafka, survey);
}

void tagd_io_survey_kafka(const struct tagd_config *config, int timeout_ms, struct tagd_survey_kafka *survey)
{
    struct tagd_io_stats stats = {0};
    struct tagd_kafka kafka = {
        .config = config, .stats = &stats, .n_topics = (uint32_t)config->n_sources, .once = true};
    struct tagd_error error;
    kafka.n_outputs = tagd_kafka_output_topics(config, kafka.outputs);
    *survey =
        (struct tagd_survey_kafka){.transaction_max_ms = -1, .group_max_session_ms = -1, .offsets_retention_min = -1};
    name_topics(config, survey);
    rd_kafka_conf_t *conf = tagd_kafka_conf(&kafka, TAGD_KAFKA_CONSUMER, &error);
    if (conf != NULL)
        tagd_kafka_set(conf, "group.id", config->group);
    rd_kafka_t *rk = conf == NULL ? NULL : tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, &error);
    if (rk == NULL) {
        snprintf(survey->unreachable, sizeof(survey->unreachable), "%.*s", (int)sizeof(survey->unreachable) - 1,
                 error.text);
        return;
    }
    ask_all(&kafka, rk, timeout_ms, survey);
    tagd_kafka_reader_close(&kafka);
    rd_kafka_destroy(rk);
}
