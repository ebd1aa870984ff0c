/* survey: what both servers say of themselves and of what is the configuration's there, for `tagd doctor`. Changes nothing,
 * but that open transactions of the group's own first id are ended, as the daemon's start does, and only if the group has
 * no members. Nothing here judges. What a server doesn't say is -1, INT64_MIN or empty, with the reason beside it. */
#ifndef TAGD_IO_SURVEY_H
#define TAGD_IO_SURVEY_H

#include "io/io.h"

#define TAGD_SURVEY_TEXT 256

struct tagd_survey_topic {
    const char *name;
    bool source;
    enum tagd_output_kind kind; /* if it is no source */
    int partitions;             /* 0: it doesn't exist, or `wrong` says what Kafka answered */
    int replicas;               /* of the partition that has the fewest */
    char wrong[TAGD_SURVEY_TEXT];
    char unreadable[TAGD_SURVEY_TEXT]; /* why nothing can be read of it; empty: it can */
    char no_config[TAGD_SURVEY_TEXT];  /* why its configuration isn't known; empty: it is: */
    int64_t retention_ms, retention_bytes, max_message_bytes, min_insync;
    char cleanup[64], timestamp_type[32];
    int64_t records, most; /* about, of all partitions and of the fullest one; -1: not known */
    int32_t most_at;
};

struct tagd_survey_kafka {
    char unreachable[TAGD_SURVEY_TEXT]; /* why; empty: it answers */
    int brokers;
    char no_config[TAGD_SURVEY_TEXT]; /* of the broker */
    int64_t transaction_max_ms, group_max_session_ms, offsets_retention_min;
    char unclean[8]; /* "true", "false" */
    struct tagd_survey_topic topics[TAGD_TOPICS_MAX + TAGD_OUTPUT_KINDS];
    size_t n_topics;
    char no_group[TAGD_SURVEY_TEXT]; /* why the group can't be asked about */
    int members;
    char state[32], member[TAGD_SURVEY_TEXT];
    char no_offsets[TAGD_SURVEY_TEXT];
    int offsets, foreign_offsets; /* committed ones, and those of them that tagd didn't write */
    char foreign_at[TAGD_SURVEY_TEXT];
    char owner[TAGD_SURVEY_TEXT];           /* the transactional id that was tried; empty: it wasn't */
    char no_transactions[TAGD_SURVEY_TEXT]; /* why it can't begin */
};
void tagd_io_survey_kafka(const struct tagd_config *config, int timeout_ms, struct tagd_survey_kafka *survey);

struct tagd_survey_redis {
    char unreachable[TAGD_SURVEY_TEXT];
    char refused[TAGD_SURVEY_TEXT]; /* it answers, and not as it must */
    char version[32], mode[32], role[32], policy[32], append_fsync[32], buffers[TAGD_SURVEY_TEXT];
    bool loading, aof, aof_write_failed, aof_rewrite_failed, rdb_failed;
    int64_t memory, memory_max, evicted, clock_ahead_ms;
    char group[TAGD_SURVEY_TEXT], sources[1024]; /* of the prefix; empty: nobody's */
    int64_t shards;                              /* -1: none are written down */
    bool denied_keys;
};
void tagd_io_survey_redis(const struct tagd_config *config, struct tagd_survey_redis *survey);

#endif
