/* What is looked at beside the workers, every second: Redis's memory, its append-only file and its clock; and what is held
 * (brakes.h), which it tells the workers of. */
#ifndef TAGD_COMMAND_WATCH_H
#define TAGD_COMMAND_WATCH_H

#include "command/brakes.h"
#include "log/log.h"
#include "tagd/worker.h"

struct tagd_watch_config {
    const struct tagd_config *config;
    const struct tagd_catalog *catalog;
    /* The latest event of each source topic that this process's workers know of, into an array by topic: nothing is written
     * for those they know none of. Called from the watch's thread. */
    void (*latest)(void *to, int64_t *latest_ms);
    void *to;
    struct tagd_logger *logger; /* what is held from now on, and what no more, is said there */
};

/* Has looked once when it returns; *result and *error say what came of it. What it is given must outlive it. */
struct tagd_watch *tagd_watch_new(const struct tagd_watch_config *with, enum tagd_io_result *result,
                                  struct tagd_error *error);
/* Goes on looking, in a thread of its own with a connection of its own. */
void tagd_watch_start(struct tagd_watch *watch);
void tagd_watch_free(struct tagd_watch *watch); /* after the workers; NULL is fine */
/* For the workers. Until Redis has told what is held, all is. */
struct tagd_brakes *tagd_watch_brakes(struct tagd_watch *watch);
/* What it saw. Any thread. */
struct tagd_watched {
    bool up;             /* Redis answered when it was asked last */
    int64_t answered_ms; /* monotonic: when it was asked last and answered */
    char why[1024];      /* it didn't; empty: not known */
    struct tagd_held held;
    struct tagd_io_server server;
};
void tagd_watch_look(struct tagd_watch *watch, struct tagd_watched *watched);
/* As metrics; as a JSON object. Any thread. */
void tagd_watch_metrics(struct tagd_watch *watch, struct tagd_buf *out);
void tagd_watch_json(struct tagd_watch *watch, struct tagd_buf *out);

#endif
