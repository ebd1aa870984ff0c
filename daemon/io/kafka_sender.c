/* Sending without transactions. The producer is idempotent and gives nothing up: no message has a time limit, the client
 * keeps the order through its own retries, and a gap is fatal to it (enable.gapless.guarantee), so nothing behind a
 * message that the broker refused is appended. After any failure the producer is closed and every SEND that is not
 * completed fails; what is sent next begins with the oldest of these again. So over all producers, of this process and
 * of others, the first copies of a shard's outputs stand in their order. */
#include "io/kafka.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The first failure says why; what comes of it is for tagd_kafka_delivery_failed to say. */
static void fail(struct tagd_kafka *kafka, rd_kafka_resp_err_t err, const char *text)
{
    tagd_kafka_delivery_failed(kafka, err);
    if (kafka->send_failed)
        return;
    kafka->send_failed = true;
    tagd_kafka_explained(kafka->send_error, text, err);
}

static void complete_if_over(struct tagd_kafka_send *send)
{
    if (send->op == NULL || send->left > 0 || !send->entered || send->failed)
        return;
    send->op->status = TAGD_DONE;
    send->op = NULL;
}

/* The worker's thread, from within a poll. */
static void on_sent(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct tagd_kafka *kafka = opaque;
    struct tagd_kafka_send *send = message->_private;
    (void)rk;
    assert(send->left > 0);
    send->left--;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        send->failed = true;
        fail(kafka, message->err, rd_kafka_err2str(message->err));
    }
    complete_if_over(send);
}

rd_kafka_t *tagd_kafka_sender_new(struct tagd_kafka *kafka, struct tagd_error *error)
{
    rd_kafka_conf_t *conf = tagd_kafka_conf(kafka, TAGD_KAFKA_PRODUCER, error);
    if (conf == NULL)
        return NULL;
    tagd_kafka_set(conf, "enable.idempotence", "true");
    tagd_kafka_set(conf, "enable.gapless.guarantee", "true");
    tagd_kafka_set(conf, "message.timeout.ms", "0");
    tagd_kafka_set(conf, "delivery.report.only.error", "false"); /* each acknowledgement counts */
    rd_kafka_conf_set_dr_msg_cb(conf, on_sent);
    return tagd_kafka_client_new(TAGD_KAFKA_PRODUCER, conf, error);
}

static void push(struct tagd_kafka *kafka, struct tagd_kafka_send *send)
{
    if (kafka->last_send != NULL)
        kafka->last_send->next = send;
    else
        kafka->first_send = send;
    kafka->last_send = send;
}

static void pop(struct tagd_kafka *kafka)
{
    struct tagd_kafka_send *send = kafka->first_send;
    kafka->first_send = send->next;
    if (kafka->first_send == NULL)
        kafka->last_send = NULL;
    free(send);
}

static void produce_all(struct tagd_kafka *kafka, struct tagd_kafka_send *send, struct tagd_op *op)
{
    struct tagd_error error;
    for (size_t i = 0; i < op->u.publish.n_shards; i++) {
        const struct tagd_shard_outputs *shard = &op->u.publish.shards[i];
        for (size_t k = 0; k < shard->n_outputs; k++) {
            send->left++;
            if (tagd_kafka_produce(kafka, shard, &shard->outputs[k], send, &error))
                continue;
            send->left--;
            send->failed = true;
            fail(kafka, kafka->delivery, error.text);
            return;
        }
    }
}

void tagd_kafka_send(struct tagd_kafka *kafka, struct tagd_op *op)
{
    if (!kafka->send_failed && !tagd_kafka_producer_open(kafka, &op->error))
        fail(kafka, RD_KAFKA_RESP_ERR__FAIL, op->error.text);
    if (kafka->send_failed) {
        tagd_fail(&op->error, "Kafka: %s", kafka->send_error);
        op->status = TAGD_ABORTED;
        return;
    }
    struct tagd_kafka_send *send = tagd_xcalloc(1, sizeof(*send));
    send->op = op;
    push(kafka, send);
    produce_all(kafka, send, op);
    send->entered = true;
    complete_if_over(send);
}

/* The producer goes, and with it all that is not completed. */
static void abort_sends(struct tagd_kafka *kafka)
{
    tagd_kafka_producer_close(kafka);
    for (; kafka->first_send != NULL; pop(kafka)) {
        struct tagd_op *op = kafka->first_send->op;
        if (op == NULL)
            continue;
        tagd_fail(&op->error, "Kafka: %s", kafka->send_error);
        op->status = TAGD_ABORTED;
    }
    tagd_kafka_shrink(kafka);
    kafka->delivery = RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka->send_failed = false;
}

void tagd_kafka_sends_poll(struct tagd_kafka *kafka)
{
    char text[256];
    if (kafka->producer != NULL) {
        rd_kafka_poll(kafka->producer, 0);
        rd_kafka_resp_err_t err = rd_kafka_fatal_error(kafka->producer, text, sizeof(text));
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            fail(kafka, err, text);
    }
    if (kafka->send_failed) {
        abort_sends(kafka);
        return;
    }
    while (kafka->first_send != NULL && kafka->first_send->op == NULL)
        pop(kafka);
}

void tagd_kafka_sends_forget(struct tagd_kafka *kafka)
{
    tagd_kafka_producer_close(kafka);
    while (kafka->first_send != NULL)
        pop(kafka);
}
