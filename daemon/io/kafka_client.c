#include "io/certificate.h"
#include "io/kafka.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define PATIENT_TIMEOUT_MS 5000
#define PATIENT_TRIES 5
#define PATIENT_PAUSE_MS 200

size_t tagd_kafka_output_topics(const struct tagd_config *config, const char *topics[TAGD_OUTPUT_KINDS])
{
    topics[TAGD_OUT_CHANGE] = config->tag_changes;
    topics[TAGD_OUT_DEAD_LETTER] = config->dead_letter;
    topics[TAGD_OUT_CHURN] = config->churn_risk;
    return config->has_churn ? TAGD_OUTPUT_KINDS : TAGD_OUT_CHURN;
}

static void note_as(const struct tagd_notes *notes, struct tagd_note about, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static void note_as(const struct tagd_notes *notes, struct tagd_note about, const char *fmt, va_list args)
{
    char text[1024];
    if (notes == NULL || notes->note == NULL)
        return;
    vsnprintf(text, sizeof(text), fmt, args);
    about.text = text;
    notes->note(notes->to, &about);
}

void tagd_kafka_note(const struct tagd_notes *notes, enum tagd_note_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    note_as(notes, TAGD_NOTE(level), fmt, args);
    va_end(args);
}

void tagd_kafka_note_of(const struct tagd_notes *notes, struct tagd_note about, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    note_as(notes, about, fmt, args);
    va_end(args);
}

void tagd_kafka_redacted(const struct tagd_config *config, const char *text, char shown[TAGD_KAFKA_TEXT_MAX])
{
    char *whole = tagd_xstrdup(text); /* a secret that the end would cut is one all the same */
    tagd_config_redact(config, whole);
    snprintf(shown, TAGD_KAFKA_TEXT_MAX, "%s", whole);
    free(whole);
}

static int64_t trouble_ms; /* atomic */

int64_t tagd_io_kafka_trouble_ms(void)
{
    return __atomic_load_n(&trouble_ms, __ATOMIC_RELAXED);
}

/* That a connection failed, brokers are away, or requests go unanswered. */
static bool is_trouble(const char *facility)
{
    static const char *const facilities[] = {"FAIL", "ERROR", "REQTMOUT"};
    for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
        if (strcmp(facility, facilities[i]) == 0)
            return true;
    return false;
}

/* Any thread. What `debug` asks for stays out of the log: it holds the configuration. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char shown[TAGD_KAFKA_TEXT_MAX];
    const struct tagd_kafka *kafka = rd_kafka_opaque(rk);
    if (level > LOG_WARNING || strcmp(facility, "CONFWARN") == 0)
        return;
    if (is_trouble(facility))
        __atomic_store_n(&trouble_ms, tagd_io_mono_ms(), __ATOMIC_RELAXED);
    tagd_kafka_redacted(kafka->config, text, shown);
    tagd_kafka_note(kafka->notes, TAGD_NOTE_WARN, "Kafka: %s: %s", facility, shown);
}

bool tagd_kafka_denied(rd_kafka_resp_err_t err)
{
    return *tagd_kafka_remedy(err) != '\0';
}

#define GIVE "; give our Kafka user "
#define HOW "; deploy/security.md has the commands"

const char *tagd_kafka_remedy(rd_kafka_resp_err_t err)
{
    switch ((int)err) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return GIVE "Read on the sources, and Read and Write on the outputs" HOW;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: return GIVE "Read on the group" HOW;
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return GIVE "Write on the transactional ids that begin with the group's name and \"-\"" HOW;
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return GIVE "IdempotentWrite on the cluster, which Kafka before 2.8 asks for" HOW;
    default: return "";
    }
}

const char *tagd_kafka_explained(char out[TAGD_KAFKA_TEXT_MAX], const char *text, rd_kafka_resp_err_t err)
{
    const char *remedy = tagd_kafka_remedy(err);
    size_t n = strlen(text);
    if (*remedy != '\0' && n > 0 && text[n - 1] == '.')
        n--;
    snprintf(out, TAGD_KAFKA_TEXT_MAX, "%.*s%s", (int)n, text, remedy);
    return out;
}

/* Any thread. librdkafka and OpenSSL have judged; this only gives the verdict words. */
static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t broker_id, int *x509_error, int depth,
                          const char *bytes, size_t n, char *said, size_t size, void *opaque)
{
    const char *text = tagd_certificate_text(*x509_error);
    (void)rk, (void)broker, (void)broker_id, (void)depth, (void)bytes, (void)n, (void)opaque;
    if (*x509_error == 0)
        return 1;
    switch (tagd_certificate_fault(*x509_error)) {
    case TAGD_CERTIFICATE_OTHER_NAME:
        snprintf(said, size,
                 "is not for the name it is reached by (%s); reach it by one that stands in it, or give Kafka a "
                 "certificate for this one",
                 text);
        break;
    case TAGD_CERTIFICATE_EXPIRED: snprintf(said, size, "or its CA's, has expired; renew it"); break;
    case TAGD_CERTIFICATE_EARLY: snprintf(said, size, "is not valid yet; is this machine's clock right?"); break;
    case TAGD_CERTIFICATE_UNKNOWN_CA:
        snprintf(said, size,
                 "is signed by none of the CAs that we know (%s); set \"ssl.ca.location\" to the file of the CA that "
                 "signed it",
                 text);
        break;
    case TAGD_CERTIFICATE_BAD: snprintf(said, size, "can't be trusted: %s; give Kafka another one", text); break;
    }
    return 0;
}

/* librdkafka has no call that says which side a property is for, but its own table does: "name | C | range | ...". */
static char *property_table(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&text, &n);
    if (file == NULL)
        return NULL;
    rd_kafka_conf_properties_show(file);
    fclose(file);
    return text;
}

static bool property_fits(const char *table, const char *name, enum tagd_kafka_side side)
{
    size_t n = strlen(name);
    for (const char *line = table; line != NULL && *line != '\0';) {
        const char *bar = strchr(line, '|'), *end = strchr(line, '\n');
        if (strncmp(line, name, n) == 0 && bar != NULL && strspn(line + n, " ") == (size_t)(bar - line) - n) {
            char who = bar[1 + strspn(bar + 1, " ")];
            return who == '*' || who == (side == TAGD_KAFKA_CONSUMER ? 'C' : 'P');
        }
        line = end == NULL ? NULL : end + 1;
    }
    return true;
}

void tagd_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return;
    fprintf(stderr, "tagd: librdkafka refuses %s=%s: %s\n", name, value, text);
    abort();
}

/* Is the property, or another name of it, among the user's? */
static bool given(const struct tagd_config *config, const char *name)
{
    static const char *const aliases[][2] = {{"compression.codec", "compression.type"},
                                             {"linger.ms", "queue.buffering.max.ms"}};
    for (size_t i = 0; i < config->n_kafka; i++) {
        if (strcmp(config->kafka[i].name, name) == 0)
            return true;
        for (size_t k = 0; k < sizeof(aliases) / sizeof(aliases[0]); k++)
            if (strcmp(name, aliases[k][0]) == 0 && strcmp(config->kafka[i].name, aliases[k][1]) == 0)
                return true;
    }
    return false;
}

static const struct tagd_property defaults_of_both[] = {
    {"socket.nagle.disable", "true"},
    {"reconnect.backoff.max.ms", "2000"},
};
static const struct tagd_property defaults_of_consumer[] = {
    {"session.timeout.ms", "10000"},  {"heartbeat.interval.ms", "2000"},      {"fetch.wait.max.ms", "100"},
    {"fetch.error.backoff.ms", "50"}, {"queued.max.messages.kbytes", "8192"},
};
static const struct tagd_property defaults_of_producer[] = {
    {"transaction.timeout.ms", "10000"},
    {"retry.backoff.ms", "10"},
    {"compression.codec", "lz4"},
    {"queue.buffering.max.messages", "1000000"},
};

/* A transaction's outputs are waited for as a whole, so nothing is gained by waiting for more. Without one, what a batch
 * publishes should be one request a partition: an idempotent producer of librdkafka 2.0.2 has five on their way at most,
 * and while more waits behind these its thread turns without a pause. A broker on the same cores then takes seconds to
 * answer. */
static const struct tagd_property linger_exactly_once[] = {{"linger.ms", "0"}};
static const struct tagd_property linger_at_least_once[] = {{"linger.ms", "1"}};

static void set_defaults(const struct tagd_config *config, rd_kafka_conf_t *conf, const struct tagd_property *defaults,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!given(config, defaults[i].name))
            tagd_kafka_set(conf, defaults[i].name, defaults[i].value);
}

rd_kafka_conf_t *tagd_kafka_conf(struct tagd_kafka *kafka, enum tagd_kafka_side side, struct tagd_error *error)
{
    const struct tagd_config *config = kafka->config;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char *table = property_table();
    char text[512];
    bool ok = true;
    tagd_kafka_set(conf, "client.id", "tagd");
    set_defaults(config, conf, defaults_of_both, sizeof(defaults_of_both) / sizeof(defaults_of_both[0]));
    if (side == TAGD_KAFKA_CONSUMER) {
        set_defaults(config, conf, defaults_of_consumer,
                     sizeof(defaults_of_consumer) / sizeof(defaults_of_consumer[0]));
    } else {
        set_defaults(config, conf, defaults_of_producer,
                     sizeof(defaults_of_producer) / sizeof(defaults_of_producer[0]));
        set_defaults(config, conf, config->at_least_once ? linger_at_least_once : linger_exactly_once, 1);
    }
    for (size_t i = 0; i < config->n_kafka && ok; i++) {
        const struct tagd_property *property = &config->kafka[i];
        if (!property_fits(table, property->name, side))
            continue;
        if (rd_kafka_conf_set(conf, property->name, property->value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
            text[strcspn(text, "\n")] = '\0';
            tagd_config_redact(config, text);
            ok = tagd_fail(error, "at /kafka/%s: librdkafka refuses it: %s; correct it, or take it out", property->name,
                           text);
        }
    }
    free(table);
    if (!ok) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate); /* without TLS in librdkafka there is none to verify */
    rd_kafka_conf_set_opaque(conf, kafka);
    return conf;
}

rd_kafka_t *tagd_kafka_client_new(enum tagd_kafka_side side, rd_kafka_conf_t *conf, struct tagd_error *error)
{
    char text[512];
    rd_kafka_t *rk =
        rd_kafka_new(side == TAGD_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (rk != NULL)
        return rk;
    rd_kafka_conf_destroy(conf);
    tagd_fail(error, "at /kafka: librdkafka refuses what is set there: %s; correct it", text);
    return NULL;
}

rd_kafka_resp_err_t tagd_kafka_list_offsets_patiently(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                                      int64_t which)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int tries = 0; tries < PATIENT_TRIES; tries++) {
        if (tries > 0)
            nanosleep(&(struct timespec){0, PATIENT_PAUSE_MS * 1000000}, NULL);
        err = tagd_kafka_list_offsets(rk, list, which, PATIENT_TIMEOUT_MS);
        for (int i = 0; i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            err = list->elems[i].err;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
            break;
    }
    return err;
}

rd_kafka_resp_err_t tagd_kafka_list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t which,
                                            int timeout_ms)
{
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = which;
        list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (list->cnt == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    return rd_kafka_offsets_for_times(rk, list, timeout_ms);
}

bool tagd_io_check_properties(const struct tagd_config *config, struct tagd_error *error)
{
    struct tagd_kafka kafka = {.config = config};
    for (enum tagd_kafka_side side = TAGD_KAFKA_CONSUMER; side <= TAGD_KAFKA_PRODUCER; side++) {
        rd_kafka_conf_t *conf = tagd_kafka_conf(&kafka, side, error);
        if (conf == NULL)
            return false;
        rd_kafka_conf_destroy(conf);
    }
    return true;
}
