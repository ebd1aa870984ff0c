/* What is looked at beside the workers, every other second: Redis's memory, its append-only file, its clock. */
#ifndef TAGD_COMMAND_WATCH_H
#define TAGD_COMMAND_WATCH_H

#include "config/config.h"
#include "io/io.h"

/* A thread with a connection of its own. config must outlive it. */
struct tagd_watch;
struct tagd_watch *tagd_watch_new(const struct tagd_config *config);
void tagd_watch_free(struct tagd_watch *watch); /* NULL is fine */
/* As metrics. Any thread. */
void tagd_watch_metrics(struct tagd_watch *watch, struct tagd_buf *out);

#endif
