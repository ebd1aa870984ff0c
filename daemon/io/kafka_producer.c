/* The producer: plain under at_least_once (kafka_sender.c has what is its own), else transactional. There the only doubtful moment is EndTxn: the client sends it again by itself when no answer
 * comes, and a late copy may end a later transaction. So EndTxn requests are counted by interceptors; one sent twice,
 * or not answered in order, taints the producer: it is made anew under the same id (init_transactions settles what is
 * open and shuts out late copies by a new epoch), and the outcome is called unknown, so that the shard compares
 * batches. */
#include "io/kafka.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API_ADD_OFFSETS_TO_TXN 25
#define API_END_TXN 26
#define INIT_TIMEOUT_MS 5000
#define SEND_OFFSETS_TIMEOUT_MS 5000
#define ABORT_TIMEOUT_MS 5000
#define LOOK_CLOSELY_MS 1000
#define PAUSE_STEP_US 500
#define PAUSE_MAX_US 20000 /* librdkafka's pause before it registers a partition again */
#define PAUSE_DECAY 128
#define MESSAGE_BYTES_DEFAULT 1000000 /* librdkafka's message.max.bytes; the broker's default is a little more */
#define MESSAGE_OVERHEAD 512          /* of a record batch with one record */
#define DEAD_LETTER_BYTES_LEAST 4096
#define OWN_HEADERS_BYTES 160     /* tagd_batch, tagd_group, tagd_truncated, without the group */
#define QUEUE_FULL_TRIES_MAX 3000 /* of 10 ms */

/* ---- watching what ends a transaction: broker threads ---- */

static rd_kafka_resp_err_t on_request_sent(rd_kafka_t *rk, int socket, const char *broker, int32_t broker_id,
                                           int16_t api_key, int16_t api_version, int32_t correlation, size_t size,
                                           void *opaque)
{
    struct tagd_kafka *kafka = opaque;
    (void)rk, (void)socket, (void)broker, (void)broker_id, (void)api_version, (void)correlation, (void)size;
    if (api_key == API_END_TXN)
        __atomic_add_fetch(&kafka->end_sent, 1, __ATOMIC_SEQ_CST);
    if (api_key == API_ADD_OFFSETS_TO_TXN)
        __atomic_add_fetch(&kafka->offsets_sent, 1, __ATOMIC_SEQ_CST);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_response_received(rd_kafka_t *rk, int socket, const char *broker, int32_t broker_id,
                                                int16_t api_key, int16_t api_version, int32_t correlation, size_t size,
                                                int64_t rtt, rd_kafka_resp_err_t err, void *opaque)
{
    struct tagd_kafka *kafka = opaque;
    (void)rk, (void)socket, (void)broker, (void)broker_id, (void)api_version, (void)correlation, (void)size, (void)rtt;
    if (api_key == API_END_TXN && err != RD_KAFKA_RESP_ERR_NO_ERROR)
        __atomic_add_fetch(&kafka->end_failed, 1, __ATOMIC_SEQ_CST);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text, size_t size)
{
    (void)conf, (void)text, (void)size;
    rd_kafka_interceptor_add_on_request_sent(rk, "tagd", on_request_sent, opaque);
    return rd_kafka_interceptor_add_on_response_received(rk, "tagd", on_response_received, opaque);
}

static unsigned end_sent(struct tagd_kafka *kafka)
{
    return __atomic_load_n(&kafka->end_sent, __ATOMIC_SEQ_CST);
}

static bool tainted(struct tagd_kafka *kafka)
{
    return end_sent(kafka) > 1 || __atomic_load_n(&kafka->end_failed, __ATOMIC_SEQ_CST) > 0;
}

/* ---- making a producer ---- */

bool tagd_kafka_made_room(struct tagd_kafka *kafka, rd_kafka_resp_err_t err, unsigned tries)
{
    if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL || tries >= QUEUE_FULL_TRIES_MAX)
        return false;
    rd_kafka_poll(kafka->producer, 10);
    return true;
}

void tagd_kafka_delivery_failed(struct tagd_kafka *kafka, rd_kafka_resp_err_t err)
{
    if (kafka->delivery == RD_KAFKA_RESP_ERR_NO_ERROR || kafka->delivery == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        kafka->delivery = err;
}

/* The worker's thread, from within a poll, a flush or a commit. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tagd_kafka_delivery_failed(opaque, message->err);
}

static size_t message_bytes_max(const struct tagd_config *config)
{
    for (size_t i = 0; i < config->n_kafka; i++)
        if (strcmp(config->kafka[i].name, "message.max.bytes") == 0)
            return (size_t)strtoull(config->kafka[i].value, NULL, 10);
    return MESSAGE_BYTES_DEFAULT;
}

static rd_kafka_t *producer_new(struct tagd_kafka *kafka, const char *id, bool watched, struct tagd_error *error)
{
    rd_kafka_conf_t *conf = tagd_kafka_conf(kafka, TAGD_KAFKA_PRODUCER, error);
    if (conf == NULL)
        return NULL;
    tagd_kafka_set(conf, "transactional.id", id);
    tagd_kafka_set(conf, "delivery.report.only.error", "true");
    if (watched) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
        rd_kafka_conf_interceptor_add_on_new(conf, "tagd", on_new, kafka);
    }
    return tagd_kafka_client_new(TAGD_KAFKA_PRODUCER, conf, error);
}

void tagd_kafka_producer_close(struct tagd_kafka *kafka)
{
    if (kafka->producer == NULL)
        return;
    for (size_t i = 0; i < kafka->n_outputs; i++)
        rd_kafka_topic_destroy(kafka->producer_topics[i]);
    rd_kafka_purge(kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(kafka->producer);
    kafka->producer = NULL;
    kafka->ready = false;
}

bool tagd_kafka_producer_open(struct tagd_kafka *kafka, struct tagd_error *error)
{
    if (kafka->producer != NULL)
        return true;
    kafka->message_bytes_max = message_bytes_max(kafka->config);
    if (kafka->dead_letter_bytes_max == 0 || kafka->dead_letter_bytes_max > kafka->message_bytes_max)
        kafka->dead_letter_bytes_max = kafka->message_bytes_max;
    kafka->producer = kafka->config->at_least_once ? tagd_kafka_sender_new(kafka, error)
                                                   : producer_new(kafka, kafka->owner, true, error);
    if (kafka->producer == NULL)
        return false;
    for (size_t i = 0; i < kafka->n_outputs; i++)
        kafka->producer_topics[i] = rd_kafka_topic_new(kafka->producer, kafka->outputs[i], NULL);
    __atomic_add_fetch(&kafka->stats->producers, 1, __ATOMIC_RELAXED);
    return true;
}

bool tagd_kafka_producer_ready(struct tagd_kafka *kafka, int timeout_ms, bool *unreachable, struct tagd_error *error)
{
    *unreachable = false;
    if (kafka->ready)
        return true;
    if (!tagd_kafka_producer_open(kafka, error))
        return false;
    if (kafka->config->at_least_once)
        return true;
    rd_kafka_error_t *failure = rd_kafka_init_transactions(kafka->producer, timeout_ms);
    if (failure == NULL) {
        kafka->ready = true;
        return true;
    }
    rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
    char text[TAGD_KAFKA_TEXT_MAX];
    tagd_fail(error, "Kafka doesn't let transactional id \"%s\" begin: %s", kafka->owner,
              tagd_kafka_explained(text, rd_kafka_error_string(failure), code));
    *unreachable = rd_kafka_error_is_retriable(failure) || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                   code == RD_KAFKA_RESP_ERR__TRANSPORT;
    if (!rd_kafka_error_is_retriable(failure))
        tagd_kafka_producer_close(kafka);
    rd_kafka_error_destroy(failure);
    return false;
}

/* After a taint, a fatal error or an abort that failed. It need not succeed now: nothing is asked of Kafka before it
 * does. */
static void producer_renew(struct tagd_kafka *kafka)
{
    struct tagd_error error;
    bool unreachable;
    tagd_kafka_producer_close(kafka);
    if (kafka->once)
        return;
    if (!tagd_kafka_producer_ready(kafka, INIT_TIMEOUT_MS, &unreachable, &error))
        tagd_kafka_note(kafka->notes, TAGD_NOTE_WARN, "%s", error.text);
}

/* ---- PUBLISH ---- */

static size_t around_bytes(const struct tagd_kafka *kafka, const struct tagd_output *output)
{
    size_t bytes = MESSAGE_OVERHEAD + OWN_HEADERS_BYTES + strlen(kafka->config->group) + output->key.n;
    for (size_t i = 0; i < output->n_headers; i++)
        bytes += output->headers[i].name.n + output->headers[i].value.n + 16;
    return bytes;
}

/* A dead letter as it goes out within the broker's limit: its value is cut; if that is not enough, the record's own
 * headers go (those that say why it is here are the last ones) and its key is cut. */
static struct tagd_output fit(const struct tagd_kafka *kafka, const struct tagd_output *output)
{
    struct tagd_output fitted = *output;
    size_t limit = kafka->dead_letter_bytes_max;
    if (around_bytes(kafka, &fitted) + fitted.value.n <= limit)
        return fitted;
    if (around_bytes(kafka, &fitted) > limit / 2 && fitted.n_headers > TAGD_DEAD_LETTER_HEADERS) {
        fitted.headers += fitted.n_headers - TAGD_DEAD_LETTER_HEADERS;
        fitted.n_headers = TAGD_DEAD_LETTER_HEADERS;
    }
    if (fitted.key.n > limit / 4)
        fitted.key.n = limit / 4;
    size_t around = around_bytes(kafka, &fitted), left = around >= limit ? 0 : limit - around;
    if (fitted.value.n > left)
        fitted.value.n = left;
    return fitted;
}

static rd_kafka_headers_t *make_headers(struct tagd_kafka *kafka, const struct tagd_shard_outputs *shard,
                                        const struct tagd_output *output, bool cut, size_t value_bytes)
{
    char batch[3 * TAGD_INTEGER_TEXT], full[TAGD_INTEGER_TEXT];
    size_t n = tagd_u64_format(shard->fence, batch);
    batch[n++] = '.';
    n += tagd_u64_format(shard->batch, batch + n);
    batch[n++] = '.';
    n += tagd_u64_format(output->index, batch + n);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(output->n_headers + 3);
    for (size_t i = 0; i < output->n_headers; i++)
        rd_kafka_header_add(headers, output->headers[i].name.p, (ssize_t)output->headers[i].name.n,
                            output->headers[i].value.p, (ssize_t)output->headers[i].value.n);
    if (cut)
        rd_kafka_header_add(headers, "tagd_truncated", 14, full, (ssize_t)tagd_u64_format(value_bytes, full));
    rd_kafka_header_add(headers, "tagd_batch", 10, batch, (ssize_t)n);
    rd_kafka_header_add(headers, "tagd_group", 10, kafka->config->group, (ssize_t)strlen(kafka->config->group));
    return headers;
}

/* In a transaction nobody goes on before the client has let go of every message, so that it need not have a value of its
 * own. */
bool tagd_kafka_produce(struct tagd_kafka *kafka, const struct tagd_shard_outputs *shard,
                        const struct tagd_output *output, void *opaque, struct tagd_error *error)
{
    int flags = kafka->config->at_least_once ? RD_KAFKA_MSG_F_COPY : 0;
    size_t topic = output->kind;
    assert(topic < kafka->n_outputs);
    struct tagd_output sent = output->kind != TAGD_OUT_DEAD_LETTER ? *output : fit(kafka, output);
    bool cut = sent.value.n < output->value.n || sent.n_headers < output->n_headers || sent.key.n < output->key.n;
    if (cut)
        __atomic_add_fetch(&kafka->stats->truncated, 1, __ATOMIC_RELAXED);
    rd_kafka_headers_t *headers = make_headers(kafka, shard, &sent, cut, output->value.n);
    for (unsigned tries = 0;; tries++) {
        rd_kafka_resp_err_t err = rd_kafka_producev(
            kafka->producer, RD_KAFKA_V_RKT(kafka->producer_topics[topic]), RD_KAFKA_V_PARTITION((int32_t)shard->shard),
            RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_KEY(sent.has_key ? sent.key.p : NULL, sent.has_key ? sent.key.n : 0),
            RD_KAFKA_V_VALUE(sent.has_value ? (void *)(uintptr_t)sent.value.p : NULL,
                             sent.has_value ? sent.value.n : 0),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return true;
        if (tagd_kafka_made_room(kafka, err, tries))
            continue;
        rd_kafka_headers_destroy(headers);
        tagd_kafka_delivery_failed(kafka, err);
        return tagd_fail(error, "can't produce to \"%s\": %s", kafka->outputs[topic], rd_kafka_err2str(err));
    }
}

rd_kafka_topic_partition_list_t *tagd_kafka_offset_list(const struct tagd_kafka *kafka, const struct tagd_op *op)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)(op->u.publish.n_shards * kafka->n_topics));
    for (size_t i = 0; i < op->u.publish.n_shards; i++) {
        const struct tagd_shard_outputs *shard = &op->u.publish.shards[i];
        for (uint32_t topic = 0; topic < kafka->n_topics; topic++) {
            rd_kafka_topic_partition_t *to =
                rd_kafka_topic_partition_list_add(list, kafka->config->sources[topic].topic, (int32_t)shard->shard);
            to->offset = shard->offset[topic] < 0 ? 0 : shard->offset[topic];
            char *metadata = tagd_xmalloc(shard->metadata.n + 1); /* the list frees it */
            memcpy(metadata, shard->metadata.p, shard->metadata.n);
            metadata[shard->metadata.n] = '\0';
            to->metadata = metadata;
            to->metadata_size = shard->metadata.n;
        }
    }
    return list;
}

/* Somebody else holds our id, our place in the group or our shards. */
static bool says_fenced(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID: return true;
    default: return false;
    }
}

/* A message that was refused says more than what the transaction comes to for it. */
static void fail_with(const struct tagd_kafka *kafka, struct tagd_op *op, const rd_kafka_error_t *failure)
{
    char text[TAGD_KAFKA_TEXT_MAX];
    rd_kafka_resp_err_t code = tagd_kafka_denied(kafka->delivery) ? kafka->delivery : rd_kafka_error_code(failure);
    tagd_fail(&op->error, "Kafka: %s", tagd_kafka_explained(text, rd_kafka_error_string(failure), code));
}

void tagd_kafka_shrink(struct tagd_kafka *kafka)
{
    if (kafka->delivery != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return;
    if (kafka->dead_letter_bytes_max <= DEAD_LETTER_BYTES_LEAST) {
        const char *churn = kafka->n_outputs > TAGD_OUT_CHURN ? kafka->outputs[TAGD_OUT_CHURN] : NULL;
        if (kafka->fatal[0] == '\0')
            snprintf(kafka->fatal, sizeof(kafka->fatal),
                     "Kafka finds a message for \"%s\"%s%s%s or \"%s\" too large; raise the topics' max.message.bytes "
                     "and, under \"kafka\", message.max.bytes",
                     kafka->outputs[TAGD_OUT_CHANGE], churn ? ", \"" : "", churn ? churn : "", churn ? "\"" : "",
                     kafka->outputs[TAGD_OUT_DEAD_LETTER]);
        return;
    }
    kafka->dead_letter_bytes_max /= 2;
    tagd_kafka_note(
        kafka->notes, TAGD_NOTE_WARN,
        "Kafka finds a message too large; dead letters are now cut to %zu bytes (raise the topic's max.message.bytes)",
        kafka->dead_letter_bytes_max);
}

/* The transaction is not to be: ends it, and says what became of it. failure may be NULL; it is taken. */
static void give_up(struct tagd_kafka *kafka, struct tagd_op *op, rd_kafka_error_t *failure)
{
    rd_kafka_resp_err_t code = failure == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(failure);
    bool fatal = failure != NULL && rd_kafka_error_is_fatal(failure);
    bool commit_sent = end_sent(kafka) > 0;
    if (failure != NULL)
        fail_with(kafka, op, failure);
    op->status = says_fenced(code) ? TAGD_FENCED : TAGD_ABORTED;
    if (commit_sent && !(says_fenced(code) && end_sent(kafka) == 1))
        op->status = TAGD_UNKNOWN;
    if (failure != NULL)
        rd_kafka_error_destroy(failure);
    if (fatal || commit_sent) {
        producer_renew(kafka);
    } else {
        failure = rd_kafka_abort_transaction(kafka->producer, ABORT_TIMEOUT_MS);
        bool renew = failure != NULL || tainted(kafka);
        if (failure != NULL)
            rd_kafka_error_destroy(failure);
        if (renew)
            producer_renew(kafka);
    }
    tagd_kafka_shrink(kafka);
}

/* A broker answers EndTxn before the transaction's markers are written, and sends back what the next transaction asks for
 * until they are (CONCURRENT_TRANSACTIONS). librdkafka tries again after retry.backoff.ms, for a partition after 20 ms: far
 * longer than markers take. So the next one begins a little later, as long as it takes for few to be sent back. */
static void await_markers(const struct tagd_kafka *kafka)
{
    int64_t left_us = kafka->ended_us + kafka->pause_us - tagd_io_mono_us();
    if (left_us > 0 && left_us <= kafka->pause_us)
        usleep((useconds_t)left_us);
}

static void learn_pause(struct tagd_kafka *kafka)
{
    bool sent_back = __atomic_load_n(&kafka->offsets_sent, __ATOMIC_SEQ_CST) > 1;
    kafka->ended_us = tagd_io_mono_us();
    kafka->pause_us += sent_back ? PAUSE_STEP_US : -(kafka->pause_us / PAUSE_DECAY);
    if (kafka->pause_us > PAUSE_MAX_US)
        kafka->pause_us = PAUSE_MAX_US;
}

/* Until the outputs are acknowledged, or for a while. rd_kafka_commit_transaction() waits for them too, but looks only every
 * 10 ms: nothing wakes it, since we ask for no reports of what went well (rd_kafka_flush() of librdkafka 2.0.2). */
static void await_outputs(struct tagd_kafka *kafka)
{
    int64_t until = tagd_io_mono_ms() + LOOK_CLOSELY_MS;
    while (rd_kafka_outq_len(kafka->producer) > 0 && tagd_io_mono_ms() < until)
        rd_kafka_poll(kafka->producer, 1);
}

static void commit(struct tagd_kafka *kafka, struct tagd_op *op)
{
    await_outputs(kafka);
    rd_kafka_error_t *failure = rd_kafka_commit_transaction(kafka->producer, -1);
    bool taint = tainted(kafka);
    if (taint)
        __atomic_add_fetch(&kafka->stats->tainted, 1, __ATOMIC_RELAXED);
    if (failure == NULL && !taint) {
        op->status = TAGD_DONE;
        learn_pause(kafka);
        return;
    }
    if (failure != NULL && rd_kafka_error_txn_requires_abort(failure)) {
        give_up(kafka, op, failure);
        return;
    }
    bool fenced = failure != NULL && end_sent(kafka) <= 1 && says_fenced(rd_kafka_error_code(failure));
    tagd_fail(&op->error, "Kafka: whether a transaction was committed isn't known: %s",
              failure == NULL ? "its end was sent more than once" : rd_kafka_error_string(failure));
    if (failure != NULL)
        rd_kafka_error_destroy(failure);
    op->status = fenced ? TAGD_FENCED : TAGD_UNKNOWN;
    producer_renew(kafka);
}

/* False: the operation is over. */
static bool begin(struct tagd_kafka *kafka, struct tagd_op *op)
{
    __atomic_store_n(&kafka->end_sent, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&kafka->end_failed, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&kafka->offsets_sent, 0, __ATOMIC_SEQ_CST);
    kafka->delivery = RD_KAFKA_RESP_ERR_NO_ERROR;
    await_markers(kafka);
    rd_kafka_error_t *failure = rd_kafka_begin_transaction(kafka->producer);
    if (failure == NULL)
        return true;
    tagd_fail(&op->error, "Kafka: %s", rd_kafka_error_string(failure));
    op->status = says_fenced(rd_kafka_error_code(failure)) ? TAGD_FENCED : TAGD_ABORTED;
    rd_kafka_error_destroy(failure);
    producer_renew(kafka);
    return false;
}

void tagd_kafka_publish(struct tagd_kafka *kafka, struct tagd_op *op)
{
    bool unreachable;
    if (!tagd_kafka_producer_ready(kafka, INIT_TIMEOUT_MS, &unreachable, &op->error)) {
        op->status = TAGD_ABORTED;
        return;
    }
    if (kafka->membership == NULL) {
        op->status = TAGD_FENCED;
        tagd_fail(&op->error, "the group has assigned us nothing");
        return;
    }
    if (!begin(kafka, op))
        return;
    for (size_t i = 0; i < op->u.publish.n_shards; i++) {
        const struct tagd_shard_outputs *shard = &op->u.publish.shards[i];
        for (size_t k = 0; k < shard->n_outputs; k++) {
            if (tagd_kafka_produce(kafka, shard, &shard->outputs[k], NULL, &op->error))
                continue;
            give_up(kafka, op, NULL);
            return;
        }
    }
    rd_kafka_topic_partition_list_t *offsets = tagd_kafka_offset_list(kafka, op);
    rd_kafka_error_t *failure =
        rd_kafka_send_offsets_to_transaction(kafka->producer, offsets, kafka->membership, SEND_OFFSETS_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(offsets);
    if (failure != NULL) {
        give_up(kafka, op, failure);
        return;
    }
    commit(kafka, op);
}

void tagd_kafka_transact(struct tagd_kafka *kafka, struct tagd_op *op,
                         bool (*produce)(void *to, struct tagd_error *error), void *to)
{
    if (!kafka->ready) { /* whoever began must look again before it goes on */
        op->status = TAGD_FENCED;
        tagd_fail(&op->error, "transactional id \"%s\" is no longer ours", kafka->owner);
        return;
    }
    if (!begin(kafka, op))
        return;
    if (produce(to, &op->error))
        commit(kafka, op);
    else
        give_up(kafka, op, NULL);
}

/* ---- END_OWNER ---- */

void tagd_kafka_end_owner(struct tagd_kafka *kafka, struct tagd_op *op)
{
    struct tagd_str owner = op->u.end_owner.owner;
    char id[TAGD_OWNER_MAX + 1];
    for (size_t i = 0; i < kafka->n_ended; i++)
        if (tagd_str_eq(kafka->ended[i], owner)) {
            op->status = TAGD_DONE;
            return;
        }
    if (owner.n > TAGD_OWNER_MAX) {
        op->status = TAGD_REFUSED;
        tagd_fail(&op->error, "shard %u's owner in Redis is no transactional id", op->shard);
        return;
    }
    memcpy(id, owner.p, owner.n);
    id[owner.n] = '\0';
    op->status = TAGD_ABORTED;
    if (strcmp(id, kafka->owner) == 0 && !kafka->config->at_least_once) {
        /* ours: an earlier life, ended when our producer began */
        op->status = TAGD_DONE;
        return;
    }
    rd_kafka_t *producer = producer_new(kafka, id, false, &op->error);
    if (producer == NULL)
        return;
    rd_kafka_error_t *failure = rd_kafka_init_transactions(producer, INIT_TIMEOUT_MS);
    if (failure != NULL) {
        rd_kafka_resp_err_t code = rd_kafka_error_code(failure);
        bool denied = tagd_kafka_denied(code);
        char text[TAGD_KAFKA_TEXT_MAX];
        tagd_fail(&op->error, "Kafka doesn't end the transaction of \"%s\": %s%s", id,
                  tagd_kafka_explained(text, rd_kafka_error_string(failure), code),
                  denied ? " (to take over from one that was killed, whatever \"delivery\" is)" : "");
        op->status = denied ? TAGD_DENIED : TAGD_ABORTED;
        rd_kafka_error_destroy(failure);
        rd_kafka_destroy(producer);
        return;
    }
    rd_kafka_destroy(producer);
    __atomic_add_fetch(&kafka->stats->owners_ended, 1, __ATOMIC_RELAXED);
    kafka->ended = tagd_xrealloc(kafka->ended, (kafka->n_ended + 1) * sizeof(*kafka->ended));
    char *copy = tagd_xmalloc(owner.n + 1);
    memcpy(copy, id, owner.n + 1);
    kafka->ended[kafka->n_ended++] = (struct tagd_str){copy, owner.n};
    op->status = TAGD_DONE;
}
