/* What /v1/shards says. */
#ifndef TAGD_COMMAND_SHARDS_H
#define TAGD_COMMAND_SHARDS_H

#include "command/watch.h"
#include "metrics/metrics.h"

/* The shards of this process's workers, by number, and what is held, as one JSON document. */
void tagd_shards_json(const struct tagd_metrics_info *info, const char *instance,
                      const struct tagd_metrics_worker *workers, size_t n, struct tagd_watch *watch,
                      struct tagd_buf *out);

#endif
