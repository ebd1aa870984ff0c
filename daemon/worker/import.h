/* import: history into a group's shards as a baseline, before their first batch. Events come in one order for all
 * shards; each shard applies its own with "time": "events" and grace 0, tells nothing, and keeps in its head how many
 * lines it has taken into account. Pure: of the world it needs FENCE, LOAD and COMMIT of struct tagd_port.
 *
 *   begin    every shard gets a fence, and a head that says `import` with its identity, no line yet
 *   take     the lines, from the first one in every attempt: a shard passes over those its head has taken already
 *   flush    whenever it is full: one transaction a shard with profiles, timers, views and the number of lines
 *   finish   time runs to before_ms - 1 in every shard; then all heads say `finished`, in one transaction
 *
 * Killed at any moment and begun again with the same lines, it ends in the same state: batches are cut by the lines
 * alone, so that those that were committed and those that follow are the same ones. Between two attempts nobody else
 * goes on with such a shard: taking over refuses it. */
#ifndef TAGD_WORKER_IMPORT_H
#define TAGD_WORKER_IMPORT_H

#include "tagd/catalog.h"
#include "tagd/port.h"

struct tagd_import_config {
    const struct tagd_catalog *catalog;
    const char *group;
    uint32_t n_topics, partitions;
    enum tagd_partitioner partitioner; /* MURMUR2 or CRC32: a customer's shard */
    int64_t before_ms;                 /* events at or after it are the stream's */
    int64_t horizon_ms;
    size_t batch_events_max, batch_bytes_max; /* lines, and their bytes, of a batch */
    char identity[33];                        /* of lines, before_ms and all that gives them their meaning */
};

enum tagd_import_result {
    TAGD_IMPORT_OK,
    TAGD_IMPORT_AGAIN,  /* the store was away or lost count: a new import, from the first line, goes on where it is */
    TAGD_IMPORT_TAKEN,  /* another process took a shard */
    TAGD_IMPORT_REFUSED /* trying again doesn't help */
};

struct tagd_import_counts {
    uint64_t lines, bad, after;                      /* taken by this attempt; among them; not before before_ms */
    uint64_t events, duplicates, ignored, customers; /* committed, all attempts together */
    uint64_t shards;                                 /* with customers */
};

/* Whether the import may go into, or on in, shards with these heads (of config->partitions; one that doesn't exist is
 * zeroed). False: *error says what was found and what can be done. */
bool tagd_import_may(const struct tagd_import_config *config, const struct tagd_head *heads, struct tagd_error *error);

struct tagd_import;
/* config is copied; what it points to must outlive the import. */
struct tagd_import *tagd_import_new(const struct tagd_import_config *config, struct tagd_port *port);
void tagd_import_free(struct tagd_import *import); /* NULL is fine */

/* heads: as they are; a shard that is finished already is left alone. */
enum tagd_import_result tagd_import_begin(struct tagd_import *import, const struct tagd_head *heads,
                                          struct tagd_error *error);
/* Where lines and their events must be kept until they are taken and flushed: a flush resets it. */
struct tagd_arena *tagd_import_arena(struct tagd_import *import);
void tagd_import_take(struct tagd_import *import, const struct tagd_record *record, const struct tagd_event *event);
bool tagd_import_full(const struct tagd_import *import);
enum tagd_import_result tagd_import_flush(struct tagd_import *import, struct tagd_error *error);
enum tagd_import_result tagd_import_finish(struct tagd_import *import, struct tagd_error *error);
struct tagd_import_counts tagd_import_counts(const struct tagd_import *import);
/* Transactions of this attempt that took place: 0, and it is no further than the one before. */
uint64_t tagd_import_commits(const struct tagd_import *import);

#endif
