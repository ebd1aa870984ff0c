/* What `tagd run` holds, for run.c and for answers.c, which tells of it over HTTP. */
#ifndef TAGD_COMMAND_RUN_H
#define TAGD_COMMAND_RUN_H

#include "command/census.h"
#include "command/recent.h"
#include "command/service.h"
#include "command/watch.h"
#include "http/http.h"
#include "io/io.h"
#include "metrics/metrics.h"
#include "tagd/worker.h"

#include <pthread.h>

/* A partition that was read to its end, and yet holds more: since when, at which offset. */
struct run_open {
    int64_t since_ms, offset; /* monotonic; 0: it doesn't */
};

/* What a shard does, since when. */
struct run_since {
    enum tagd_shard_status status;
    int64_t ms;     /* monotonic */
    uint64_t looks; /* the worker's, when it was looked at last: it was ours then */
};

struct run_worker {
    struct run *run;
    struct tagd_io *io;
    struct tagd_worker *worker;
    pthread_t thread;
    bool started;
    bool finished;                        /* atomic */
    int64_t step_ms;                      /* atomic: when the last step began */
    struct tagd_error error;              /* read once finished */
    struct tagd_shard_stats *shard_stats; /* room for all, the thread's own; */
    struct run_open *open;                /* by shard and topic, likewise; */
    struct run_since *since;              /* and by shard */
    uint64_t looks;
    pthread_mutex_t mutex; /* of the two below */
    struct tagd_metrics_shard *shards;
    size_t n_shards;
};

struct run {
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    const char *topics[TAGD_TOPICS_MAX];
    enum tagd_partitioner partitioners[TAGD_TOPICS_MAX];
    const struct tagd_map *maps[TAGD_TOPICS_MAX];
    bool *carry;
    uint32_t partitions;
    bool rebuild; /* --rebuild */
    struct tagd_logger *logger;
    struct tagd_notes notes;
    struct tagd_service service;
    struct run_worker *workers;
    size_t n_workers;
    struct tagd_metrics_watched seen[TAGD_METRICS_WATCHED];
    struct tagd_http *http;
    struct tagd_census *census;
    struct tagd_watch *watch;
    struct tagd_recent *recent;
    const char *path;   /* of the configuration */
    int64_t started_ms; /* wall clock */
    bool stopping;      /* atomic */
};

/* How long the longest step of a worker has lasted that is under way. Any thread. */
int64_t tagd_run_stood_ms(const struct run *run);

#endif
