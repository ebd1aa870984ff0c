/* Whether the daemon keeps up, and if not, what is wrong and what to do, in words for on-call: a pure function of what was
 * seen. No I/O, no clock. */
#ifndef TAGD_COMMAND_HEALTH_H
#define TAGD_COMMAND_HEALTH_H

#include "command/brakes.h"
#include "command/recent.h"
#include "tagd/worker.h"

#define TAGD_HEALTH_REDIS_MS 3000           /* Redis is asked every second: silent for longer, it is a problem */
#define TAGD_HEALTH_KAFKA_MS 60000          /* librdkafka's complaints count so long */
#define TAGD_HEALTH_STEP_MS TAGD_STALLED_MS /* a worker's step may take less */
#define TAGD_HEALTH_START_MS 15000          /* after which every shard should run */
#define TAGD_HEALTH_TAKEOVER_MS 10000       /* a take-over may take less */
#define TAGD_HEALTH_LAG_MS 30000            /* beyond grace */
#define TAGD_HEALTH_OPEN_MS 30000           /* a producer's transaction may be open for less */
#define TAGD_HEALTH_LETTERS 10              /* dead letters of a minute, at least so many, */
#define TAGD_HEALTH_LETTERS_PERCENT 1       /* and of its records so many in a hundred */
#define TAGD_HEALTH_MEMORY_PERCENT 90       /* of Redis's maxmemory */

enum tagd_severity { TAGD_FINE, TAGD_NOTICE, TAGD_WARNING, TAGD_ERROR, TAGD_SEVERITIES };
const char *tagd_severity_name(enum tagd_severity severity); /* "fine" */

struct tagd_health_shard {
    uint32_t shard;
    enum tagd_shard_status status; /* as it is now */
    int64_t still_ms;              /* since it moved, or had nothing to do; of a stalled one */
    int64_t since_ms;              /* it has had this status for so long */
    int64_t lag_ms;                /* the wall clock less its watermark; INT64_MIN: it has none */
    int64_t lag_records;           /* -1: not known */
    int64_t open_ms;               /* a producer's transaction has been open for so long; 0: none */
};

struct tagd_health_facts {
    const struct tagd_health_shard *shards; /* of this process, by number */
    size_t n_shards;
    uint64_t assignments; /* received since start */
    int64_t uptime_ms;
    const char *failed;                 /* why a worker can't go on; NULL: all can */
    int64_t step_ms;                    /* the slowest worker's present step has taken so long */
    const char *redis, *kafka, *config; /* where they are, for people */
    int64_t redis_silent_ms;            /* since it answered last */
    const char *redis_why;              /* "": it isn't known */
    int64_t kafka_trouble_ms;           /* since librdkafka complained last; INT64_MAX: it never did */
    const struct tagd_held *held;
    size_t n_sources;
    const struct tagd_io_server *server;
    struct tagd_recent_counts minute;
    bool time_events, clock_parted;
    int64_t grace_ms;
};

struct tagd_problem {
    enum tagd_severity severity;
    char what[1024], remedy[1024]; /* sentences */
};
#define TAGD_PROBLEMS_MAX 32 /* more can't be at once: one of a kind, and one a source */

struct tagd_health {
    enum tagd_severity severity;                     /* the worst */
    bool keeps_up;                                   /* nothing waits because of them */
    char headline[1100];                             /* one sentence: that it keeps up, or the worst problem */
    struct tagd_problem problems[TAGD_PROBLEMS_MAX]; /* the worst first */
    size_t n_problems;
};

void tagd_health_judge(const struct tagd_health_facts *facts, struct tagd_health *health);

#endif
