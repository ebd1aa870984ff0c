/* What a daemon has done lately, in memory, for its status page: the last changes it published, the last records that went
 * to the dead-letter topic, and how many of both a minute. Of each batch only the last few are kept, under one lock, so that
 * a batch costs the same however large it is. Any thread. */
#ifndef TAGD_COMMAND_RECENT_H
#define TAGD_COMMAND_RECENT_H

#include "tagd/port.h"

#define TAGD_RECENT_CHANGES_MAX 50
#define TAGD_RECENT_CHANGE_BYTES_MAX ((size_t)64 * 1024) /* of a change's value; a longer one isn't kept */
#define TAGD_RECENT_LETTERS_MAX 100
#define TAGD_RECENT_OF_BATCH_MAX 20 /* of each kind, that a batch gives at most */
#define TAGD_RECENT_SAMPLE_MS 1000
#define TAGD_RECENT_MINUTE_MS 60000

struct tagd_recent;
struct tagd_recent *tagd_recent_new(int64_t (*wall_ms)(void)); /* wall_ms: the clock */
void tagd_recent_free(struct tagd_recent *recent);             /* NULL is fine */

/* As worker.h's `published`. */
void tagd_recent_published(void *recent, const struct tagd_shard_outputs *shards, size_t n);

/* How it goes on, by counters since start. Called about once a second. */
struct tagd_recent_counts {
    uint64_t records, changes, dead_letters;
};
void tagd_recent_sample(struct tagd_recent *recent, int64_t mono_ms, struct tagd_recent_counts counts);
/* What was counted in the last minute, or since start if that is shorter; over *ms. */
struct tagd_recent_counts tagd_recent_minute(struct tagd_recent *recent, int64_t *ms);

/* JSON arrays of at most max objects, newest first. */
void tagd_recent_changes_json(struct tagd_recent *recent, size_t max, struct tagd_buf *out);
void tagd_recent_letters_json(struct tagd_recent *recent, size_t max, struct tagd_buf *out);

#endif
