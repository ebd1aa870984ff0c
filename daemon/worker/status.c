#include "tagd/worker.h"

const char *tagd_shard_status_name(enum tagd_shard_status status)
{
    static const char *const names[TAGD_SHARD_STATUSES] = {"idle",      "recovering", "running", "stopped",
                                                           "repairing", "fenced",     "held",    "stalled"};
    return names[status];
}

enum tagd_shard_status tagd_shard_status_at(const struct tagd_shard_stats *stats, int64_t mono_ms)
{
    bool moves = stats->status != TAGD_SHARD_RUNNING || mono_ms - stats->progress_ms < TAGD_STALLED_MS;
    return moves ? stats->status : TAGD_SHARD_STALLED;
}
