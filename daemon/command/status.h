/* What /v1/status says: one document that the status page lives on. */
#ifndef TAGD_COMMAND_STATUS_H
#define TAGD_COMMAND_STATUS_H

#include "command/run.h"

/* Of one worker, since it started. Any thread. */
struct tagd_recent_counts tagd_status_counts(const struct tagd_worker_stats *stats);

/* workers: what run has, as seen now (metrics.h). Asks no server. */
void tagd_status_json(const struct run *run, const struct tagd_metrics_info *info,
                      const struct tagd_metrics_worker *workers, struct tagd_buf *out);
/* Dead letters since start, by code, as a JSON object. */
void tagd_status_letters_json(const struct tagd_metrics_worker *workers, size_t n, struct tagd_buf *out);

#endif
