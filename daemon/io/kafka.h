/* Kafka, as io's own files share it: one consumer, one producer (transactional, or plain under at_least_once) and one reader (a consumer that belongs
 * to no group) of one worker. All but the callbacks marked so run in the worker's thread. */
#ifndef TAGD_IO_KAFKA_H
#define TAGD_IO_KAFKA_H

#include "io/io.h"

#include <librdkafka/rdkafka.h>

#define TAGD_OWNER_MAX 255       /* bytes of a transactional id */
#define TAGD_KAFKA_TEXT_MAX 1024 /* bytes of what librdkafka says that are shown */

/* One shard's partition of one topic, for the consumer. */
struct tagd_kafka_partition {
    int64_t next;         /* the offset after the last record handed out, or where to start */
    int64_t low, high;    /* as last asked for */
    int64_t known_end;    /* as the fetches tell; looked up when it is passed */
    int64_t asked_ms;     /* when; 0: never */
    int64_t confirmed_ms; /* at its end then, or it had not begun to be read then */
    bool at_end;          /* end of partition seen at next, no record since */
};

struct tagd_kafka_shard {
    bool assigned, running;
    struct tagd_kafka_partition *topics; /* by topic */
};

/* One SEND that is not completed, in the order of submission. */
struct tagd_kafka_send {
    struct tagd_op *op;   /* NULL: completed */
    size_t left;          /* messages without a word of them yet */
    bool entered, failed; /* all are with the client; one of them was given up */
    struct tagd_kafka_send *next;
};

/* A record that the worker holds; the token of struct tagd_input. */
struct tagd_kafka_held {
    rd_kafka_message_t *message;
    struct tagd_header *headers;
    size_t cap_headers;
    struct tagd_kafka_held *next; /* free list */
};

enum tagd_kafka_event { TAGD_KAFKA_NO_EVENT, TAGD_KAFKA_ASSIGN, TAGD_KAFKA_REVOKE, TAGD_KAFKA_LOST };

struct tagd_kafka {
    const struct tagd_config *config;
    const struct tagd_notes *notes;
    struct tagd_io_stats *stats;
    uint32_t partitions, n_topics;
    char owner[TAGD_OWNER_MAX + 1];
    const char *outputs[TAGD_OUTPUT_KINDS]; /* output topics, by kind; those in use are the first n_outputs */
    size_t n_outputs;

    /* consumer */
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topics[TAGD_TOPICS_MAX];
    struct tagd_kafka_shard *shards;
    rd_kafka_consumer_group_metadata_t *membership; /* of the present assignment; NULL: none */
    bool closing;
    bool assign_due;             /* running shards changed: rd_kafka_assign is to be called */
    enum tagd_kafka_event event; /* from the rebalance callback, not handed out yet */
    bool revoking;               /* REVOKE is handed out, `revoked` not called yet */
    uint32_t *event_shards;
    size_t n_event_shards;
    char fatal[1024];           /* not empty: to hand out */
    rd_kafka_message_t **stash; /* consumed, not handed out yet */
    size_t n_stash, at_stash;
    struct tagd_kafka_held *free_held;
    size_t n_held; /* by the worker */
    bool dead;     /* the client had a fatal error and is to be made anew */
    unsigned deaths;
    int64_t first_death_ms; /* of the present window */
    int64_t confirm_ms;     /* when ends were last asked for; */
    bool confirming;        /* there is no answer yet */
    struct tagd_kafka_ends *ends;
    bool confirm_soon;          /* an end was seen that isn't confirmed */
    int64_t woken_ms;           /* when the client was last made to look whether it should fetch */
    rd_kafka_queue_t *commits;  /* answers to commits of offsets alone */
    struct tagd_op *offsets_op; /* the OFFSETS under way; NULL: none */

    /* producer */
    rd_kafka_t *producer;
    rd_kafka_topic_t *producer_topics[TAGD_OUTPUT_KINDS];
    bool ready;                    /* init_transactions is done */
    bool once;                     /* a producer that was lost isn't made anew: it would fence whoever took its id */
    unsigned end_sent, end_failed; /* EndTxn of the present transaction; written by broker threads, atomically */
    unsigned offsets_sent;         /* AddOffsetsToTxn of it, likewise */
    int64_t ended_us, pause_us;    /* when the last transaction ended, and how long after it the next one begins */
    rd_kafka_resp_err_t delivery;  /* first delivery error of the present transaction */
    size_t message_bytes_max;      /* of a message with key and headers */
    size_t dead_letter_bytes_max;  /* shrinks if the broker says too large */
    struct tagd_kafka_send *first_send, *last_send;
    bool send_failed; /* nothing more is sent before the next poll has made all sends fail */
    char send_error[TAGD_KAFKA_TEXT_MAX];

    /* reader */
    rd_kafka_t *reader;
    rd_kafka_t *written;    /* like it, but that it sees what isn't committed */
    struct tagd_str *ended; /* owners ended since the last assignment */
    size_t n_ended;
};

/* kafka_client.c */
/* What stands in librdkafka's log before our own words on a certificate. */
#define TAGD_KAFKA_CERTIFICATE_WORDS "verification callback failed: "
enum tagd_kafka_side { TAGD_KAFKA_CONSUMER, TAGD_KAFKA_PRODUCER };
/* A configuration with the user's properties that the side knows; the callbacks' opaque is kafka, of which config and
 * notes are used. NULL: *error names the property. */
rd_kafka_conf_t *tagd_kafka_conf(struct tagd_kafka *kafka, enum tagd_kafka_side side, struct tagd_error *error);
/* Sets a property that is known to be right; aborts with a message if it isn't. */
void tagd_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value);
/* Takes conf, also if it fails. */
rd_kafka_t *tagd_kafka_client_new(enum tagd_kafka_side side, rd_kafka_conf_t *conf, struct tagd_error *error);
/* The output topics of a configuration, into an array by kind: how many are in use. */
size_t tagd_kafka_output_topics(const struct tagd_config *config, const char *topics[TAGD_OUTPUT_KINDS]);
/* What can be done about a denied right, to stand behind the error's text: "; give ..."; "" for any other error. */
const char *tagd_kafka_remedy(rd_kafka_resp_err_t err);
/* The text, whose full stop goes, and the remedy; returns out. */
const char *tagd_kafka_explained(char out[TAGD_KAFKA_TEXT_MAX], const char *text, rd_kafka_resp_err_t err);
bool tagd_kafka_denied(rd_kafka_resp_err_t err);
/* What librdkafka says, without the configuration's secrets. */
void tagd_kafka_redacted(const struct tagd_config *config, const char *text, char shown[TAGD_KAFKA_TEXT_MAX]);
void tagd_kafka_note(const struct tagd_notes *notes, enum tagd_note_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with what it is about. */
void tagd_kafka_note_of(const struct tagd_notes *notes, struct tagd_note about, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Offsets of partitions at `which` (-1: the end under read-committed, -2: the beginning), in place: one request a
 * broker. */
rd_kafka_resp_err_t tagd_kafka_list_offsets(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t which,
                                            int timeout_ms);
/* The same, several times: a topic that was just made may have no leader for a moment. The first error of all partitions'. */
rd_kafka_resp_err_t tagd_kafka_list_offsets_patiently(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                                      int64_t which);

/* kafka_ends.c: one question at a time, of partitions' ends under read-committed. The list is taken. False: no thread can
 * be made for it. */
bool tagd_kafka_ends_ask(struct tagd_kafka *kafka, rd_kafka_t *reader, rd_kafka_topic_partition_list_t *list);
/* False: there is no answer yet. The list is the caller's then. */
bool tagd_kafka_ends_answer(struct tagd_kafka *kafka, rd_kafka_topic_partition_list_t **list, rd_kafka_resp_err_t *err);
/* Waits for what is under way; before the reader is closed. */
void tagd_kafka_ends_close(struct tagd_kafka *kafka);

/* kafka_consumer.c */
bool tagd_kafka_consumer_open(struct tagd_kafka *kafka, struct tagd_error *error);
void tagd_kafka_consumer_close(struct tagd_kafka *kafka);
void tagd_kafka_poll(struct tagd_kafka *kafka, int timeout_ms, size_t max_records,
                     void (*input)(void *to, const struct tagd_input *in), void *to);
void tagd_kafka_release(struct tagd_kafka *kafka, void *token);
void tagd_kafka_headers(void *token, struct tagd_record *record);
void tagd_kafka_revoked(struct tagd_kafka *kafka);
void tagd_kafka_start(struct tagd_kafka *kafka, struct tagd_op *op);
void tagd_kafka_committed(struct tagd_kafka *kafka, struct tagd_op *op);
void tagd_kafka_offsets(struct tagd_kafka *kafka, struct tagd_op *op);
/* Takes the answer to an OFFSETS, if it is there. */
void tagd_kafka_offsets_poll(struct tagd_kafka *kafka);

/* kafka_producer.c */
/* A producer whose earlier transactions are all over. False: *error says why; *unreachable whether trying again may
 * help. */
bool tagd_kafka_producer_ready(struct tagd_kafka *kafka, int timeout_ms, bool *unreachable, struct tagd_error *error);
bool tagd_kafka_producer_open(struct tagd_kafka *kafka, struct tagd_error *error);
void tagd_kafka_producer_close(struct tagd_kafka *kafka);
void tagd_kafka_publish(struct tagd_kafka *kafka, struct tagd_op *op);
/* One transaction of what `produce` hands to the client, without offsets; *op has the outcome as PUBLISH has, and nothing
 * else. The producer must be ready: one that was lost isn't made anew for it. */
void tagd_kafka_transact(struct tagd_kafka *kafka, struct tagd_op *op,
                         bool (*produce)(void *to, struct tagd_error *error), void *to);
void tagd_kafka_end_owner(struct tagd_kafka *kafka, struct tagd_op *op);
/* Hands one output to the client, which copies it; opaque comes back with its delivery report. */
bool tagd_kafka_produce(struct tagd_kafka *kafka, const struct tagd_shard_outputs *shard,
                        const struct tagd_output *output, void *opaque, struct tagd_error *error);
/* Whether a message that the producer didn't take, so many times, may be offered again: its queue was full, and has been
 * served. */
bool tagd_kafka_made_room(struct tagd_kafka *kafka, rd_kafka_resp_err_t err, unsigned tries);
/* Notes why a message was given up: the first reason counts, but for one that is too large, which would be so again. */
void tagd_kafka_delivery_failed(struct tagd_kafka *kafka, rd_kafka_resp_err_t err);
/* After a delivery error: if a message was too large for the broker, the next dead letters will be smaller. */
void tagd_kafka_shrink(struct tagd_kafka *kafka);
rd_kafka_topic_partition_list_t *tagd_kafka_offset_list(const struct tagd_kafka *kafka, const struct tagd_op *op);

/* kafka_sender.c */
rd_kafka_t *tagd_kafka_sender_new(struct tagd_kafka *kafka, struct tagd_error *error);
void tagd_kafka_send(struct tagd_kafka *kafka, struct tagd_op *op);
/* Completes the SENDs that there is word of. */
void tagd_kafka_sends_poll(struct tagd_kafka *kafka);
/* Closes the producer and forgets the SENDs, whose operations may be gone already. */
void tagd_kafka_sends_forget(struct tagd_kafka *kafka);

/* kafka_reader.c */
/* The reader, made if need be. Questions to partitions' leaders go by it: on the consumer's connections they would wait
 * behind a fetch that waits for records. NULL: *error says why. */
rd_kafka_t *tagd_kafka_reader(struct tagd_kafka *kafka, struct tagd_error *error);
void tagd_kafka_reader_close(struct tagd_kafka *kafka);
/* The header tagd_batch, "<fence>.<batch>.<index>": which batch's. False: it is none (at->found likewise). */
bool tagd_kafka_position_read(struct tagd_str text, struct tagd_position *at);
/* The end of a partition, behind what isn't committed yet too. */
bool tagd_kafka_written_end(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t *end,
                            struct tagd_error *error);
/* Reads [from, end) of a partition, or up to its end, as long as take returns true. How far it came, in *next (which may
 * be NULL): less than end if take stopped it, if the end under read-committed is before it, or if the records are gone
 * meanwhile. The reader must be there. */
bool tagd_kafka_read_range(struct tagd_kafka *kafka, const char *topic, uint32_t shard, int64_t from, int64_t end,
                           bool (*take)(void *to, const rd_kafka_message_t *message), void *to, int64_t *next,
                           struct tagd_error *error);
/* The record, but for its topic, into the arena. */
void tagd_kafka_copy_record(const rd_kafka_message_t *message, struct tagd_arena *arena, struct tagd_record *record);
void tagd_kafka_tail(struct tagd_kafka *kafka, struct tagd_op *op);
/* Where the shard's output partitions end, by kind. */
bool tagd_kafka_outputs_end(struct tagd_kafka *kafka, uint32_t shard, int64_t *end, struct tagd_error *error);
void tagd_kafka_outputs(struct tagd_kafka *kafka, struct tagd_op *op);
void tagd_kafka_refetch(struct tagd_kafka *kafka, struct tagd_op *op);

#endif
