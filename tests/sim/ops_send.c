/* SEND as daemon/io/kafka_sender.c does it: in order, acknowledged in order; one failure fails all that is pending. */
#include "ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct tagd_shard_outputs *copy_outputs(struct sim *sim, const struct tagd_shard_outputs *from, size_t n)
{
    struct tagd_shard_outputs *copies = tagd_arena_alloc(&sim->memory, (n + 1) * sizeof(*copies));
    for (size_t i = 0; i < n; i++) {
        struct tagd_output *outputs =
            tagd_arena_alloc(&sim->memory, (from[i].n_outputs + 1) * sizeof(struct tagd_output));
        copies[i] = from[i];
        copies[i].outputs = outputs;
        for (size_t k = 0; k < from[i].n_outputs; k++) {
            const struct tagd_output *output = &from[i].outputs[k];
            struct tagd_header *headers = tagd_arena_alloc(&sim->memory, (output->n_headers + 1) * sizeof(*headers));
            outputs[k] = *output;
            outputs[k].key = sim_keep(sim, output->key);
            outputs[k].value = sim_keep(sim, output->value);
            for (size_t h = 0; h < output->n_headers; h++)
                headers[h] = (struct tagd_header){sim_keep(sim, output->headers[h].name),
                                                  sim_keep(sim, output->headers[h].value)};
            outputs[k].headers = headers;
        }
    }
    return copies;
}

void sim_send_append(struct sim *sim, const struct tagd_shard_outputs *shards, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < shards[i].n_outputs; k++)
            sim_broker_append_output(sim, &shards[i], k, SIM_OUT_COMMITTED, id);
}

void sim_send_submit(struct sim_node *node, struct tagd_op *op, enum sim_fault_kind fate)
{
    struct sim *sim = node->sim;
    if (node->sends_failed) {
        tagd_fail(&op->error, "Kafka: an earlier message was given up");
        op->status = TAGD_ABORTED;
        return;
    }
    assert(node->n_sends < SIM_SENDS);
    struct sim_send *send = &node->sends[node->n_sends++];
    const struct sim_send *before = node->n_sends > 1 ? send - 1 : NULL;
    *send = (struct sim_send){.op = op, .n_shards = op->u.publish.n_shards};
    bool taking = send->n_shards > 0 && node->taking[op->u.publish.shards[0].shard];
    send->context = taking ? SIM_TAKING_OVER : SIM_RUNNING;
    send->shards = copy_outputs(sim, op->u.publish.shards, send->n_shards);
    send->append_ms = sim->now_ms + sim_op_delay(sim, NULL, SIM_BROKER_DELAY_MS);
    if (before != NULL && before->append_ms > send->append_ms)
        send->append_ms = before->append_ms;
    send->ack_ms =
        (send->append_ms == SIM_NEVER ? sim->now_ms : send->append_ms) + sim_op_delay(sim, NULL, SIM_BROKER_DELAY_MS);
    if (fate == SIM_SLOW)
        send->ack_ms += 2000;
    if (before != NULL && before->ack_ms > send->ack_ms)
        send->ack_ms = before->ack_ms;
    send->fails = fate != SIM_FAULTS && fate != SIM_SLOW;
    if (fate == SIM_LOST_BEFORE || fate == SIM_REFUSED)
        send->append_ms = SIM_NEVER; /* nor does anything behind it arrive */
}

static void abort_sends(struct sim_node *node)
{
    for (size_t i = 0; i < node->n_sends; i++) {
        tagd_fail(&node->sends[i].op->error, "Kafka: a message was given up");
        node->sends[i].op->status = TAGD_ABORTED;
        node->sim->coverage->answers[node->sends[i].context][TAGD_OP_SEND][TAGD_ABORTED]++;
    }
    node->n_sends = 0;
    node->wake_ms = node->sim->now_ms;
}

void sim_sends_run(struct sim *sim, struct sim_node *node)
{
    size_t done = 0;
    bool down = sim->now_ms < sim->broker.down_until_ms;
    for (size_t i = 0; i < node->n_sends; i++) { /* in order, come what may */
        struct sim_send *send = &node->sends[i];
        if (send->appended)
            continue;
        if (send->append_ms <= sim->now_ms && down)
            send->append_ms = sim->broker.down_until_ms + 1;
        if (send->append_ms > sim->now_ms)
            break;
        sim_send_append(sim, send->shards, send->n_shards, node->index);
        send->appended = true;
        if (send->ack_ms <= sim->now_ms)
            send->ack_ms = sim->now_ms + 1;
    }
    if (node->paused)
        return;
    for (; done < node->n_sends && node->sends[done].ack_ms <= sim->now_ms; done++) {
        if (node->sends[done].fails) {
            memmove(node->sends, node->sends + done, (node->n_sends - done) * sizeof(*node->sends));
            node->n_sends -= done;
            abort_sends(node);
            return;
        }
        if (!node->sends[done].appended)
            break;
        node->sends[done].op->status = TAGD_DONE;
        sim->coverage->answers[node->sends[done].context][TAGD_OP_SEND][TAGD_DONE]++;
        node->wake_ms = sim->now_ms;
    }
    memmove(node->sends, node->sends + done, (node->n_sends - done) * sizeof(*node->sends));
    node->n_sends -= done;
}
