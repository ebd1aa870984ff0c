/* skip: one record is passed over because an operator says so. The shard is taken over as by a worker, which ends what an
 * earlier owner left open and publishes what it had not; then a batch of its own, with the record as a dead letter
 * (`poison`) and nothing else, is committed to the store and published with the offsets. So whatever fails in between, the
 * next take-over finds a batch like any other. Pure: the world is struct tagd_port, of a group that nobody else is in.
 *
 * Refused, with nothing changed but the owner and what was published: a shard under repair, an import that isn't finished,
 * what a take-over refuses, an offset that isn't the next one, a record that isn't there yet. */
#ifndef TAGD_WORKER_SKIP_H
#define TAGD_WORKER_SKIP_H

#include "tagd/worker.h"

#define TAGD_SKIP_REASON_MAX 200 /* bytes of an operator's reason */

enum tagd_skip_result {
    TAGD_SKIP_DONE,
    TAGD_SKIP_REFUSED, /* trying again doesn't help before something else is done */
    TAGD_SKIP_AGAIN    /* a server failed, or another owner came: run again, it finds out what is there */
};
struct tagd_skip_config {
    const struct tagd_worker_config *worker; /* of it group, owner, catalog, topics, rules.partitions, at_least_once,
                                                continue_on_data_gap and begins_at_end are looked at */
    uint32_t shard, topic;
    int64_t offset;
    const char *reason;    /* of the dead letter, after "skipped by an operator: " */
    bool without_record;   /* if it can't be read, the dead letter has no key, headers and value */
    int assign_timeout_ms; /* for the group to give us the shard */
};
struct tagd_skip_outcome {
    bool committed; /* AGAIN: the store has it; the next take-over publishes it, if that isn't done */
    bool empty;     /* the dead letter has nothing of the record */
};
enum tagd_skip_result tagd_skip(const struct tagd_skip_config *config, struct tagd_port *port,
                                struct tagd_skip_outcome *outcome, struct tagd_error *error);

#endif
