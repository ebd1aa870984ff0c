/* The topics as they must be: sources are there and have one number of partitions; so have the outputs. */
#include "io/kafka.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define ASK_TIMEOUT_MS 3000
#define CREATE_TIMEOUT_MS 15000
#define SETTLE_TIMEOUT_MS 15000
#define PARTITIONS_DEFAULT 6
#define REPLICATION_MAX 3
#define TOPICS_MAX (TAGD_TOPICS_MAX + TAGD_OUTPUT_KINDS)

struct topics {
    const char *names[TOPICS_MAX]; /* sources first */
    int partitions[TOPICS_MAX];    /* 0: not there */
    size_t n, n_sources;
    int brokers;
};

/* What librdkafka logged last: its error codes say of a refused connection, an unknown host and a server that speaks
 * another protocol alike that the transport failed. */
struct last_words {
    const struct tagd_config *config;
    pthread_mutex_t mutex;
    char text[512];
    char certificate[512]; /* why the broker's was refused */
};

/* What is no matter of reach, by librdkafka's words: it has no code for them. */
static const struct refusal {
    const char *words, *remedy;
} refusals[] = {
    {"SASL authentication error", "correct \"sasl.username\" and \"sasl.password\""},
    {"Unsupported SASL mechanism", "set \"sasl.mechanism\" to one of those"},
    {"alert bad certificate", NULL},
    {"alert certificate unknown", NULL},
    {"alert certificate required", NULL},
    {"alert unknown ca", NULL},
    {"alert certificate expired", NULL},
    {"broker might require SASL authentication", "set \"security.protocol\", and \"sasl.mechanism\" if that is it"},
};
static const char own_certificate[] = "set \"ssl.certificate.location\" and \"ssl.key.location\" to a certificate of "
                                      "ours that is valid and signed by a CA "
                                      "that the broker knows";
#define SCRAM_VERSION 0x020601ff /* of librdkafka, from which on its SCRAM is what Kafka 4 wants */

static void keep_certificate(struct last_words *words, const char *text)
{
    const char *why = strstr(text, TAGD_KAFKA_CERTIFICATE_WORDS);
    if (why == NULL)
        return;
    pthread_mutex_lock(&words->mutex);
    snprintf(words->certificate, sizeof(words->certificate), "%s", why + strlen(TAGD_KAFKA_CERTIFICATE_WORDS));
    pthread_mutex_unlock(&words->mutex);
}

/* Any thread. "[thrd:...]: SERVER: WHAT (after 0ms in state CONNECT)" -> "SERVER: WHAT" */
static void keep_words(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct last_words *words = rd_kafka_opaque(rk);
    const char *begin = strstr(text, "]: ");
    char shown[TAGD_KAFKA_TEXT_MAX];
    if (level <= LOG_WARNING)
        keep_certificate(words, text);
    if (level > LOG_WARNING || strcmp(facility, "FAIL") != 0) /* a connection's failure */
        return;
    if (strstr(text, "ApiVersionRequest failed") != NULL) /* no answer, which librdkafka takes for an old broker */
        return;
    begin = text[0] == '[' && begin != NULL ? begin + 3 : text;
    tagd_kafka_redacted(words->config, begin, shown);
    const char *end = strstr(shown, " (after ");
    pthread_mutex_lock(&words->mutex);
    snprintf(words->text, sizeof(words->text), "%.*s", end == NULL ? (int)strlen(shown) : (int)(end - shown), shown);
    pthread_mutex_unlock(&words->mutex);
}

/* Whether the broker was reached and will not have us, or we not it; and what to do then. */
static bool is_refusal(const struct last_words *words, struct tagd_error *error)
{
    const char *servers = words->config->bootstrap_servers;
    if (words->certificate[0] != '\0') {
        const char *comma = strncmp(words->certificate, "or ", 3) == 0 ? "," : "";
        tagd_fail(error, "the certificate of Kafka at %s%s %s", servers, comma, words->certificate);
        return true;
    }
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const char *remedy = refusals[i].remedy;
        if (strstr(words->text, refusals[i].words) == NULL)
            continue;
        bool scram = strstr(words->text, "SASL mechanism SCRAM") != NULL && rd_kafka_version() < SCRAM_VERSION;
        tagd_fail(error, "Kafka at %s refuses us: %s; %s%s%s", servers, words->text, remedy ? remedy : own_certificate,
                  scram ? "; Kafka 4 also refuses what librdkafka before 2.6.1 makes of SCRAM, and this is " : "",
                  scram ? rd_kafka_version_str() : "");
        return true;
    }
    return false;
}

static enum tagd_io_result say_why(rd_kafka_t *rk, struct tagd_error *error)
{
    struct last_words *words = rd_kafka_opaque(rk);
    pthread_mutex_lock(&words->mutex);
    bool refused = is_refusal(words, error);
    if (!refused)
        tagd_fail(error, "%s",
                  words->text[0] == '\0' ? "it is connected to, but gives no answer of a Kafka" : words->text);
    pthread_mutex_unlock(&words->mutex);
    return refused ? TAGD_IO_CONFIG : TAGD_IO_UNREACHABLE;
}

static void nap(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* How many partitions each topic has. */
static enum tagd_io_result look(rd_kafka_t *rk, struct topics *topics, int timeout_ms, struct tagd_error *error)
{
    for (size_t i = 0; i < topics->n; i++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topics->names[i], NULL);
        if (rkt == NULL) {
            tagd_fail(error, "\"%s\" can't be a topic's name", topics->names[i]);
            return TAGD_IO_CONFIG;
        }
        rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, rkt, &metadata, timeout_ms);
        rd_kafka_topic_destroy(rkt);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return say_why(rk, error);
        }
        topics->brokers = metadata->broker_cnt;
        topics->partitions[i] = 0;
        err = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            topics->partitions[i] = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
            err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
            continue;
        tagd_fail(error, "topic \"%s\": %s%s", topics->names[i], rd_kafka_err2str(err),
                  tagd_kafka_denied(err) ? tagd_kafka_remedy(err) : "; see the broker's log");
        return err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ? TAGD_IO_UNREACHABLE : TAGD_IO_CONFIG;
    }
    return TAGD_IO_OK;
}

static enum tagd_io_result look_until(rd_kafka_t *rk, struct topics *topics, const struct tagd_config *config,
                                      int timeout_ms, const struct tagd_notes *notes, struct tagd_error *error)
{
    int64_t deadline = tagd_io_mono_ms() + timeout_ms;
    bool noted = false;
    for (;;) {
        struct tagd_error reason;
        int64_t left_ms = deadline - tagd_io_mono_ms();
        int ask_ms = left_ms > ASK_TIMEOUT_MS ? ASK_TIMEOUT_MS : left_ms < 100 ? 100 : (int)left_ms;
        enum tagd_io_result result = look(rk, topics, ask_ms, &reason);
        if (result == TAGD_IO_CONFIG)
            tagd_fail(error, "%s", reason.text);
        if (result != TAGD_IO_UNREACHABLE)
            return result;
        if (!noted)
            tagd_kafka_note(notes, TAGD_NOTE_WARN, "Kafka at %s is out of reach: %s; waiting for it up to %d s",
                            config->bootstrap_servers, reason.text, timeout_ms / 1000);
        noted = true;
        if (tagd_io_mono_ms() > deadline) {
            tagd_fail(error, "Kafka at %s is out of reach: %s; start it, or correct \"bootstrap.servers\"",
                      config->bootstrap_servers, reason.text);
            return TAGD_IO_UNREACHABLE;
        }
        nap(200);
    }
}

static bool create_one(rd_kafka_t *rk, const char *name, int partitions, int replication, struct tagd_error *error)
{
    char text[512] = "";
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, replication, text, sizeof(text));
    if (topic == NULL)
        return tagd_fail(error, "topic \"%s\" can't be created: %s", name, text);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, CREATE_TIMEOUT_MS, text, sizeof(text));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CREATE_TIMEOUT_MS + 1000);
    bool ok = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!ok) {
        tagd_fail(error, "topic \"%s\" can't be created: %s", name,
                  event == NULL ? "no answer in time" : rd_kafka_event_error_string(event));
    } else {
        size_t n;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
        rd_kafka_resp_err_t err = n == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
        ok = err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ||
             tagd_fail(error, "topic \"%s\" can't be created: %s%s", name, rd_kafka_err2str(err),
                       tagd_kafka_denied(err) ? "; give our Kafka user Create on it, or create it and start without "
                                                "--create-topics"
                                              : "");
    }
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
    return ok;
}

static size_t n_missing(const struct topics *topics)
{
    size_t n = 0;
    for (size_t i = 0; i < topics->n; i++)
        n += topics->partitions[i] == 0;
    return n;
}

static enum tagd_io_result create_missing(rd_kafka_t *rk, struct topics *topics, const struct tagd_config *config,
                                          const struct tagd_notes *notes, struct tagd_error *error)
{
    int partitions = PARTITIONS_DEFAULT,
        replication = topics->brokers > REPLICATION_MAX ? REPLICATION_MAX : topics->brokers;
    for (size_t i = topics->n_sources; i-- > 0;)
        if (topics->partitions[i] > 0)
            partitions = topics->partitions[i];
    for (size_t i = 0; i < topics->n; i++) {
        if (topics->partitions[i] > 0)
            continue;
        if (!create_one(rk, topics->names[i], partitions, replication < 1 ? 1 : replication, error))
            return TAGD_IO_CONFIG;
        tagd_kafka_note(notes, TAGD_NOTE_INFO, "created topic \"%s\" with %d partitions", topics->names[i], partitions);
    }
    for (int64_t deadline = tagd_io_mono_ms() + SETTLE_TIMEOUT_MS; n_missing(topics) > 0;) {
        enum tagd_io_result result = look_until(rk, topics, config, SETTLE_TIMEOUT_MS, notes, error);
        if (result != TAGD_IO_OK)
            return result;
        if (n_missing(topics) > 0 && tagd_io_mono_ms() > deadline) {
            tagd_fail(error, "topics were created but Kafka doesn't show them; see the broker's log");
            return TAGD_IO_UNREACHABLE;
        }
        if (n_missing(topics) > 0)
            nap(200);
    }
    return TAGD_IO_OK;
}

static enum tagd_io_result compare(const struct topics *topics, struct tagd_error *error)
{
    int partitions = 0;
    for (size_t i = 0; i < topics->n_sources && partitions == 0; i++)
        partitions = topics->partitions[i];
    for (size_t i = 0; i < topics->n; i++) {
        if (topics->partitions[i] == 0) {
            if (partitions > 0)
                tagd_fail(error,
                          "topic \"%s\" does not exist; create it with %d partitions, or start with --create-topics",
                          topics->names[i], partitions);
            else
                tagd_fail(error, "topic \"%s\" does not exist; create it, or start with --create-topics",
                          topics->names[i]);
            return TAGD_IO_CONFIG;
        }
        if (topics->partitions[i] == partitions)
            continue;
        if (i < topics->n_sources)
            tagd_fail(
                error,
                "source topic \"%s\" has %d partitions, \"%s\" has %d; all sources need the same number: create \"%s\" "
                "anew with %d",
                topics->names[i], topics->partitions[i], topics->names[0], partitions, topics->names[i], partitions);
        else
            tagd_fail(error, "output topic \"%s\" has %d partitions, the sources have %d; create it anew with %d",
                      topics->names[i], topics->partitions[i], partitions, partitions);
        return TAGD_IO_CONFIG;
    }
    if (partitions <= TAGD_SHARDS_MAX)
        return TAGD_IO_OK;
    tagd_fail(error, "the sources have %d partitions; at most %d are possible", partitions, TAGD_SHARDS_MAX);
    return TAGD_IO_CONFIG;
}

enum tagd_io_result tagd_io_check_topics(const struct tagd_config *config, bool create, int timeout_ms,
                                         const struct tagd_notes *notes, uint32_t *partitions, struct tagd_error *error)
{
    struct tagd_kafka kafka = {.config = config};
    struct topics topics = {.n_sources = config->n_sources};
    for (size_t i = 0; i < config->n_sources; i++)
        topics.names[topics.n++] = config->sources[i].topic;
    topics.n += tagd_kafka_output_topics(config, topics.names + topics.n);
    struct last_words words = {.config = config, .mutex = PTHREAD_MUTEX_INITIALIZER};
    /* a consumer: asking must not create topics */
    rd_kafka_conf_t *conf =
        tagd_io_check_properties(config, error) ? tagd_kafka_conf(&kafka, TAGD_KAFKA_CONSUMER, error) : NULL;
    if (conf == NULL)
        return TAGD_IO_CONFIG;
    rd_kafka_conf_set_log_cb(conf, keep_words);
    rd_kafka_conf_set_opaque(conf, &words);
    rd_kafka_t *rk = tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
    if (rk == NULL)
        return TAGD_IO_CONFIG;
    enum tagd_io_result result = look_until(rk, &topics, config, timeout_ms, notes, error);
    if (result == TAGD_IO_OK && create && n_missing(&topics) > 0)
        result = create_missing(rk, &topics, config, notes, error);
    if (result == TAGD_IO_OK)
        result = compare(&topics, error);
    if (result == TAGD_IO_OK)
        *partitions = (uint32_t)topics.partitions[0];
    rd_kafka_destroy(rk);
    return result;
}
