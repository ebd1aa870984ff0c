/* ops: the port's operations, stage by stage: each stage is one request that a server has dealt with, at an instant of
 * its own, so that anything may happen between two. What each answers is what daemon/io answers. */
#ifndef TAGD_SIM_OPS_H
#define TAGD_SIM_OPS_H

#include "sim.h"

#define SIM_STORE_DELAY_MS 3
#define SIM_BROKER_DELAY_MS 8

/* Up to most_ms, as the seed and the task's fate have it. */
int64_t sim_op_delay(struct sim *sim, const struct sim_task *task, int64_t most_ms);
/* The operation is answered; the task is gone. */
void sim_op_finish(struct sim_node *node, struct sim_task *task, enum tagd_op_status status, const char *why);
void sim_op_go_on(struct sim_node *node, struct sim_task *task, int64_t most_ms);
/* Its fate is this one, at this stage. */
bool sim_op_is(const struct sim_task *task, enum sim_fault_kind fate);

/* One stage. */
void sim_op_store(struct sim_node *node, struct sim_task *task);  /* FENCE, LOAD, COMMIT */
void sim_op_broker(struct sim_node *node, struct sim_task *task); /* all others but SEND */

/* Requests that arrive although their sender has given up; NULL: there is no room for more. */
struct sim_late *sim_late_new(struct sim *sim);
void sim_op_exec_late(struct sim_node *node, const struct sim_task *task);
void sim_op_end_late(struct sim_node *node);

void sim_send_submit(struct sim_node *node, struct tagd_op *op, enum sim_fault_kind fate);
void sim_sends_run(struct sim *sim, struct sim_node *node);
void sim_send_append(struct sim *sim, const struct tagd_shard_outputs *shards, size_t n, uint32_t id);

#endif
