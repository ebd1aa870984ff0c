/* The consumer: rebalances, fetching, ends of partitions.
 *
 * What is fetched is the running shards' partitions, always assigned with offsets: rd_kafka_assign replaces the whole
 * assignment, so shards that run already go on from the offset after the last record handed out, and a record below
 * that is dropped. Rebalances are noted in the callback and handed out by the poll; rd_kafka_assign is called outside
 * the callback.
 *
 * An end of partition is handed out at once, with the instant of the confirmation before it (or of the start), which it
 * certainly comes after. Then it is confirmed by asking the leaders for the ends, soon after an end is seen and every
 * 250 ms after that: confirmed_ms is the instant before the question was sent, so an answer that lay in a socket while
 * the process stood still proves nothing. Fetch answers can't serve for this: they don't say again that a partition is
 * at its end.
 *
 * A shard whose next offset the broker doesn't have is no longer fetched and handed out as TAGD_IN_AGAIN. */
#include "io/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX 4096 /* messages of one call */
#define CONFIRM_EVERY_MS 250
#define CONFIRM_SOON_MS 25
#define CONFIRMING_MS 1 /* the poll waits no longer while an answer is awaited */
#define ASK_TIMEOUT_MS 4000
#define WAKE_BELOW 20000 /* messages in the client's queue */
#define WAKE_EVERY_MS 20
#define WAKE_TIMEOUT_MS 100
#define DEATHS_MAX 3 /* of the client, in the window; more are somebody else's doing */
#define DEATHS_WINDOW_MS 60000
#define OFFSETS_FRESH_MS 2000 /* beginnings and ends asked for by COMMITTED serve START for so long */

static bool client_open(struct tagd_kafka *kafka, struct tagd_error *error);
static void client_close(struct tagd_kafka *kafka);

static struct tagd_kafka_partition *partition_of(struct tagd_kafka *kafka, uint32_t shard, uint32_t topic)
{
    return &kafka->shards[shard].topics[topic];
}

/* ---- rebalances ---- */

static void set_fatal(struct tagd_kafka *kafka, const char *text)
{
    if (kafka->fatal[0] == '\0')
        snprintf(kafka->fatal, sizeof(kafka->fatal), "%s", text);
}

/* Which shards the list gives us, and whether each comes with its partition of every topic. */
static void take_assignment(struct tagd_kafka *kafka, const rd_kafka_topic_partition_list_t *list)
{
    uint32_t *seen = tagd_xcalloc(kafka->partitions, sizeof(*seen));
    char text[512];
    kafka->n_event_shards = 0;
    for (int i = 0; i < list->cnt; i++) {
        int32_t topic = tagd_config_source(kafka->config, list->elems[i].topic), shard = list->elems[i].partition;
        if (topic < 0)
            continue;
        if (shard < 0 || (uint32_t)shard >= kafka->partitions) {
            snprintf(text, sizeof(text),
                     "topic \"%s\" has got more partitions than the %u it had; a changed number needs a new group and "
                     "prefix, "
                     "which read the topics again",
                     list->elems[i].topic, kafka->partitions);
            set_fatal(kafka, text);
            continue;
        }
        seen[shard] |= 1u << topic;
    }
    for (uint32_t shard = 0; shard < kafka->partitions; shard++) {
        if (seen[shard] == 0)
            continue;
        kafka->event_shards[kafka->n_event_shards++] = shard;
        for (uint32_t topic = 0; topic < kafka->n_topics; topic++) {
            if (seen[shard] & 1u << topic)
                continue;
            snprintf(text, sizeof(text),
                     "shard %u was assigned without its partition of topic \"%s\"; all members of group \"%s\" must "
                     "have the same "
                     "sources and the assignor range",
                     shard, kafka->config->sources[topic].topic, kafka->config->group);
            set_fatal(kafka, text);
        }
    }
    free(seen);
}

static void forget_membership(struct tagd_kafka *kafka)
{
    if (kafka->membership != NULL)
        rd_kafka_consumer_group_metadata_destroy(kafka->membership);
    kafka->membership = NULL;
}

/* Called from within rd_kafka_consume_batch_queue and rd_kafka_consumer_close, so in the worker's thread. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct tagd_kafka *kafka = opaque;
    if (kafka->closing) {
        rd_kafka_assign(rk, NULL);
        return;
    }
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        kafka->event = TAGD_KAFKA_ASSIGN;
        forget_membership(kafka);
        kafka->membership = rd_kafka_consumer_group_metadata(rk);
        take_assignment(kafka, list);
        return;
    }
    kafka->event = err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && !rd_kafka_assignment_lost(rk) ? TAGD_KAFKA_REVOKE
                                                                                                : TAGD_KAFKA_LOST;
}

static void drop_stash(struct tagd_kafka *kafka)
{
    for (size_t i = kafka->at_stash; i < kafka->n_stash; i++)
        rd_kafka_message_destroy(kafka->stash[i]);
    kafka->at_stash = kafka->n_stash = 0;
}

/* What was fetched of the shard for an earlier start of it: handed out after a new one it would pass over what lies
 * before. */
static void drop_stash_of(struct tagd_kafka *kafka, uint32_t shard)
{
    size_t kept = kafka->at_stash;
    for (size_t i = kafka->at_stash; i < kafka->n_stash; i++) {
        if (kafka->stash[i]->rkt != NULL && kafka->stash[i]->partition == (int32_t)shard)
            rd_kafka_message_destroy(kafka->stash[i]);
        else
            kafka->stash[kept++] = kafka->stash[i];
    }
    kafka->n_stash = kept;
}

/* Nothing is ours any more. */
static void unassign(struct tagd_kafka *kafka)
{
    forget_membership(kafka);
    drop_stash(kafka);
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        kafka->shards[shard].assigned = kafka->shards[shard].running = false;
    __atomic_store_n(&kafka->stats->shards_assigned, 0, __ATOMIC_RELAXED);
    kafka->assign_due = false;
    kafka->revoking = false;
    if (kafka->dead)
        return;
    rd_kafka_resp_err_t err = rd_kafka_assign(kafka->consumer, NULL);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tagd_kafka_note(kafka->notes, TAGD_NOTE_WARN, "Kafka: unassigning: %s", rd_kafka_err2str(err));
}

/* Fetching of all running shards begins, or goes on, at their next offsets. */
static void assign_running(struct tagd_kafka *kafka)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        for (uint32_t topic = 0; topic < kafka->n_topics && kafka->shards[shard].running; topic++)
            rd_kafka_topic_partition_list_add(list, kafka->config->sources[topic].topic, (int32_t)shard)->offset =
                partition_of(kafka, shard, topic)->next;
    rd_kafka_resp_err_t err = rd_kafka_assign(kafka->consumer, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tagd_kafka_note(kafka->notes, TAGD_NOTE_WARN, "Kafka: assigning: %s", rd_kafka_err2str(err));
    rd_kafka_topic_partition_list_destroy(list);
    kafka->assign_due = false;
}

static void note_shards(const struct tagd_kafka *kafka, const char *what)
{
    struct tagd_buf list = {0};
    for (size_t i = 0; i < kafka->n_event_shards && i < 32; i++)
        tagd_buf_printf(&list, "%s%u", i == 0 ? ": " : " ", kafka->event_shards[i]);
    if (kafka->n_event_shards > 32)
        tagd_buf_add_z(&list, " ...");
    tagd_kafka_note(kafka->notes, TAGD_NOTE_INFO, "%s, %zu shards%.*s", what, kafka->n_event_shards, (int)list.n,
                    list.n == 0 ? "" : list.p);
    tagd_buf_free(&list);
}

/* Hands the noted rebalance out. */
static void hand_out_event(struct tagd_kafka *kafka, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    enum tagd_kafka_event event = kafka->event;
    struct tagd_input in = {.shards = kafka->event_shards};
    kafka->event = TAGD_KAFKA_NO_EVENT;
    if (event == TAGD_KAFKA_ASSIGN) {
        for (size_t i = 0; i < kafka->n_event_shards; i++)
            kafka->shards[kafka->event_shards[i]].assigned = true;
        while (kafka->n_ended > 0)
            free((void *)(uintptr_t)kafka->ended[--kafka->n_ended].p);
        __atomic_store_n(&kafka->stats->shards_assigned, kafka->n_event_shards, __ATOMIC_RELAXED);
        __atomic_add_fetch(&kafka->stats->assignments, 1, __ATOMIC_RELAXED);
        assign_running(kafka); /* none yet: tells the client that the rebalance is dealt with */
        note_shards(kafka, "assigned");
        in.kind = TAGD_IN_ASSIGN;
        in.n_shards = kafka->n_event_shards;
        input(to, &in);
        return;
    }
    kafka->n_event_shards = 0;
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        if (kafka->shards[shard].assigned)
            kafka->event_shards[kafka->n_event_shards++] = shard;
    in.n_shards = kafka->n_event_shards;
    if (event == TAGD_KAFKA_REVOKE) {
        note_shards(kafka, "revoked");
        kafka->revoking = true;
        in.kind = TAGD_IN_REVOKE;
        input(to, &in);
        return;
    }
    __atomic_add_fetch(&kafka->stats->lost, 1, __ATOMIC_RELAXED);
    note_shards(kafka, "lost: the group went on without us");
    in.kind = TAGD_IN_LOST;
    input(to, &in);
    unassign(kafka);
}

void tagd_kafka_revoked(struct tagd_kafka *kafka)
{
    if (kafka->revoking)
        unassign(kafka);
}

/* ---- records ---- */

static struct tagd_kafka_held *hold(struct tagd_kafka *kafka, rd_kafka_message_t *message)
{
    struct tagd_kafka_held *held = kafka->free_held;
    if (held != NULL) {
        kafka->free_held = held->next;
        __builtin_prefetch(held->next); /* the next record's: it was used a batch ago */
    } else {
        held = tagd_xcalloc(1, sizeof(*held));
    }
    held->message = message;
    kafka->n_held++;
    return held;
}

void tagd_kafka_release(struct tagd_kafka *kafka, void *token)
{
    struct tagd_kafka_held *held = token;
    rd_kafka_message_destroy(held->message);
    held->message = NULL;
    kafka->n_held--;
    held->next = kafka->free_held;
    kafka->free_held = held;
}

/* librdkafka makes a reader for them even where there are none, which is a good part of what a record costs. */
void tagd_kafka_headers(void *token, struct tagd_record *record)
{
    struct tagd_kafka_held *held = token;
    rd_kafka_headers_t *headers;
    record->headers_unread = false;
    if (rd_kafka_message_headers(held->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    size_t n = rd_kafka_header_cnt(headers);
    if (n > held->cap_headers) {
        held->headers = tagd_xrealloc(held->headers, n * sizeof(*held->headers));
        held->cap_headers = n;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        held->headers[i] = (struct tagd_header){tagd_str_of(name), {value, value == NULL ? 0 : size}};
        record->n_headers = i + 1;
    }
    record->headers = held->headers;
}

static int32_t topic_of(const struct tagd_kafka *kafka, const rd_kafka_message_t *message)
{
    for (uint32_t i = 0; i < kafka->n_topics; i++)
        if (kafka->topics[i] == message->rkt)
            return (int32_t)i;
    return message->rkt == NULL ? -1 : tagd_config_source(kafka->config, rd_kafka_topic_name(message->rkt));
}

/* False: the message isn't wanted any more and is destroyed by the caller. */
static bool hand_out_record(struct tagd_kafka *kafka, rd_kafka_message_t *message, uint32_t topic,
                            void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct tagd_kafka_partition *partition = partition_of(kafka, (uint32_t)message->partition, topic);
    if (message->offset < partition->next)
        return false;
    struct tagd_kafka_held *held = hold(kafka, message);
    struct tagd_input in = {.kind = TAGD_IN_RECORD, .token = held};
    rd_kafka_timestamp_type_t stamp;
    in.record.key = (struct tagd_str){message->key == NULL ? "" : message->key, message->key_len};
    in.record.value = (struct tagd_str){message->payload == NULL ? "" : message->payload, message->len};
    in.record.has_key = message->key != NULL;
    in.record.has_value = message->payload != NULL;
    in.record.timestamp_ms = rd_kafka_message_timestamp(message, &stamp);
    in.record.log_append_time = stamp == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    in.record.topic = topic;
    in.record.partition = message->partition;
    in.record.offset = message->offset;
    const struct tagd_source *source = &kafka->config->sources[topic];
    if (source->no_headers || source->map != NULL)
        in.record.headers_unread = true;
    else
        tagd_kafka_headers(held, &in.record);
    if (partition->known_end <= message->offset + 1) {
        int64_t low, high;
        if (rd_kafka_get_watermark_offsets(kafka->consumer, kafka->config->sources[topic].topic, message->partition,
                                           &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR)
            partition->known_end = high;
    }
    in.end_offset = partition->known_end;
    partition->next = message->offset + 1;
    partition->at_end = false;
    input(to, &in);
    return true;
}

static void hand_out_end(struct tagd_kafka *kafka, uint32_t topic, uint32_t shard,
                         void (*input)(void *to, const struct tagd_input *in), void *to)
{
    const struct tagd_kafka_partition *partition = partition_of(kafka, shard, topic);
    struct tagd_input in = {.kind = TAGD_IN_END, .confirmed_ms = partition->confirmed_ms};
    in.record.topic = topic;
    in.record.partition = (int32_t)shard;
    in.record.offset = partition->next;
    input(to, &in);
}

static void take_error(struct tagd_kafka *kafka, const rd_kafka_message_t *message)
{
    char text[TAGD_KAFKA_TEXT_MAX], reason[TAGD_KAFKA_TEXT_MAX];
    const char *name = message->rkt == NULL ? "?" : rd_kafka_topic_name(message->rkt);
    struct tagd_note about = TAGD_NOTE(TAGD_NOTE_WARN);
    const char *said = message->payload == NULL ? rd_kafka_err2str(message->err) : rd_kafka_message_errstr(message);
    tagd_kafka_explained(reason, said, message->err);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        snprintf(text, sizeof(text), "Kafka doesn't allow it: topic \"%s\": %.700s", name, reason);
        set_fatal(kafka, text);
        return;
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        snprintf(text, sizeof(text), "Kafka doesn't allow it: group \"%s\": %.700s", kafka->config->group, reason);
        set_fatal(kafka, text);
        return;
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
        snprintf(
            text, sizeof(text),
            "Kafka's group \"%s\" has members that are no tagd (%.700s); end them, or give \"group\" a name of its own",
            kafka->config->group, reason);
        set_fatal(kafka, text);
        return;
    case RD_KAFKA_RESP_ERR__FATAL: return; /* the next poll sees to it */
    default:
        if (message->rkt == NULL) { /* of the group, or of a broker */
            tagd_kafka_note(kafka->notes, TAGD_NOTE_WARN, "Kafka: %s", reason);
            return;
        }
        about.topic = name;
        about.shard = message->partition;
        tagd_kafka_note_of(kafka->notes, about, "Kafka: topic \"%s\": %s", name, reason);
    }
}

/* The records to be read next were deleted, or the partition lost its end. Fetching the shard stops; the take-over that
 * follows finds out what is there. */
static void hand_out_again(struct tagd_kafka *kafka, const rd_kafka_message_t *message,
                           void (*input)(void *to, const struct tagd_input *in), void *to)
{
    uint32_t shard = (uint32_t)message->partition;
    struct tagd_note about = TAGD_NOTE(TAGD_NOTE_WARN);
    about.topic = rd_kafka_topic_name(message->rkt);
    about.shard = message->partition;
    tagd_kafka_note_of(kafka->notes, about,
                       "Kafka: topic \"%s\" partition %u no longer has the records to be read next; taking the shard "
                       "over again",
                       about.topic, shard);
    kafka->shards[shard].running = false;
    kafka->assign_due = true;
    input(to, &(struct tagd_input){.kind = TAGD_IN_AGAIN, .shards = &shard, .n_shards = 1});
}

static bool out_of_range(const rd_kafka_message_t *message)
{
    return message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
           message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
}

static void hand_out_message(struct tagd_kafka *kafka, rd_kafka_message_t *message,
                             void (*input)(void *to, const struct tagd_input *in), void *to)
{
    int32_t topic = topic_of(kafka, message);
    bool ours = topic >= 0 && message->partition >= 0 && (uint32_t)message->partition < kafka->partitions &&
                kafka->shards[message->partition].running;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (ours && hand_out_record(kafka, message, (uint32_t)topic, input, to))
            return;
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        struct tagd_kafka_partition *partition =
            ours ? partition_of(kafka, (uint32_t)message->partition, (uint32_t)topic) : NULL;
        if (partition != NULL && message->offset >= partition->next) {
            partition->next = message->offset; /* past what a transaction's end takes up */
            partition->at_end = true;
            kafka->confirm_soon = true;
            hand_out_end(kafka, (uint32_t)topic, (uint32_t)message->partition, input, to);
        }
    } else if (!out_of_range(message)) {
        take_error(kafka, message);
    } else if (ours) { /* else it is of an earlier start */
        hand_out_again(kafka, message, input, to);
    }
    rd_kafka_message_destroy(message);
}

/* ---- confirming ends ---- */

/* Asks the leaders for the ends of the partitions at their end. */
static void ask_ends(struct tagd_kafka *kafka)
{
    struct tagd_error error;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        for (uint32_t topic = 0; topic < kafka->n_topics && kafka->shards[shard].running; topic++)
            if (partition_of(kafka, shard, topic)->at_end)
                rd_kafka_topic_partition_list_add(list, kafka->config->sources[topic].topic, (int32_t)shard);
    rd_kafka_t *reader = list->cnt == 0 ? NULL : tagd_kafka_reader(kafka, &error);
    kafka->confirm_ms = tagd_io_mono_ms();
    if (reader == NULL && list->cnt > 0)
        set_fatal(kafka, error.text);
    if (reader == NULL) {
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    kafka->confirm_soon = false;
    kafka->confirming = tagd_kafka_ends_ask(kafka, reader, list);
    if (!kafka->confirming)
        set_fatal(kafka, "no thread can be made; give the process more of them");
}

/* Hands out the ends that are there still. Records that were appended meanwhile show as an end further on; and if they
 * have come here since, the answer is an older one. */
static void take_ends(struct tagd_kafka *kafka, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t err;
    if (!tagd_kafka_ends_answer(kafka, &list, &err))
        return;
    kafka->confirming = false;
    for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        uint32_t shard = (uint32_t)list->elems[i].partition,
                 topic = (uint32_t)tagd_config_source(kafka->config, list->elems[i].topic);
        struct tagd_kafka_partition *partition = partition_of(kafka, shard, topic);
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR || !kafka->shards[shard].running || !partition->at_end ||
            list->elems[i].offset != partition->next)
            continue;
        partition->confirmed_ms = kafka->confirm_ms;
        hand_out_end(kafka, topic, shard, input, to);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void confirm_ends(struct tagd_kafka *kafka, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    if (kafka->confirming)
        take_ends(kafka, input, to);
    int64_t since_ms = tagd_io_mono_ms() - kafka->confirm_ms;
    if (!kafka->confirming && since_ms >= (kafka->confirm_soon ? CONFIRM_SOON_MS : CONFIRM_EVERY_MS))
        ask_ends(kafka);
}

/* ---- death of the client ---- */

/* After a fatal error: all shards are lost, and once nothing of the old client is held a new one is made. The usual
 * error is that the group fenced our instance id off: after a broken connection that may have been ourselves,
 * rejoining; again and again, it is another daemon. */
static void bury(struct tagd_kafka *kafka, const char *why, void (*input)(void *to, const struct tagd_input *in),
                 void *to)
{
    char text[512];
    int64_t now = tagd_io_mono_ms();
    if (now - kafka->first_death_ms > DEATHS_WINDOW_MS) {
        kafka->first_death_ms = now;
        kafka->deaths = 0;
    }
    kafka->dead = true;
    kafka->event = TAGD_KAFKA_LOST;
    tagd_kafka_note(kafka->notes, TAGD_NOTE_WARN, "the Kafka consumer can't go on and is made anew: %s", why);
    hand_out_event(kafka, input, to);
    if (++kafka->deaths <= DEATHS_MAX)
        return;
    snprintf(text, sizeof(text),
             "the Kafka consumer can't go on: %s; does another daemon run as instance \"%s\" of group \"%s\"? Give "
             "each its own \"instance\"",
             why, kafka->config->instance, kafka->config->group);
    set_fatal(kafka, text);
}

/* Whether the client can be polled. */
static bool alive(struct tagd_kafka *kafka, void (*input)(void *to, const struct tagd_input *in), void *to)
{
    struct tagd_error error;
    char why[256];
    if (!kafka->dead && rd_kafka_fatal_error(kafka->consumer, why, sizeof(why)) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bury(kafka, why, input, to);
    if (!kafka->dead)
        return true;
    if (kafka->n_held > 0 || kafka->fatal[0] != '\0')
        return false;
    client_close(kafka);
    kafka->dead = false;
    if (!client_open(kafka, &error))
        set_fatal(kafka, error.text);
    return kafka->fatal[0] == '\0';
}

/* ---- fetching goes on ---- */

/* Adds the running shards' partitions that are known to hold more records that weren't fetched. */
static bool add_behind(struct tagd_kafka *kafka, rd_kafka_topic_partition_list_t *list)
{
    int64_t low, high, fetched = (int64_t)rd_kafka_queue_length(kafka->queue) + (int64_t)kafka->n_stash;
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        for (uint32_t topic = 0; topic < kafka->n_topics && kafka->shards[shard].running; topic++)
            if (rd_kafka_get_watermark_offsets(kafka->consumer, kafka->config->sources[topic].topic, (int32_t)shard,
                                               &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                high - partition_of(kafka, shard, topic)->next > fetched)
                rd_kafka_topic_partition_list_add(list, kafka->config->sources[topic].topic, (int32_t)shard);
    return list->cnt > 0;
}

/* Once a client has fetched as much as it may it looks again after a second, however soon that is used up (librdkafka
 * before 2.2, which made that a property). Any request to a broker makes it look at once. */
static void keep_fetching(struct tagd_kafka *kafka)
{
    int64_t now = tagd_io_mono_ms();
    if (now - kafka->woken_ms < WAKE_EVERY_MS || rd_kafka_queue_length(kafka->queue) >= WAKE_BELOW)
        return;
    kafka->woken_ms = now;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    if (add_behind(kafka, list))
        tagd_kafka_list_offsets(kafka->consumer, list, -1, WAKE_TIMEOUT_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- the poll ---- */

static void pause_ms(int timeout_ms)
{
    if (timeout_ms > 0)
        nanosleep(&(struct timespec){timeout_ms / 1000, timeout_ms % 1000 * 1000000L}, NULL);
}

/* Takes what the client has into the stash; serves the callbacks. */
static void consume(struct tagd_kafka *kafka, int timeout_ms, size_t max)
{
    ssize_t n;
    if (kafka->n_stash > 0) {
        if (kafka->n_stash - kafka->at_stash >= BATCH_MAX) {
            pause_ms(timeout_ms);
            return;
        }
        memmove(kafka->stash, kafka->stash + kafka->at_stash,
                (kafka->n_stash - kafka->at_stash) * sizeof(*kafka->stash));
        kafka->n_stash -= kafka->at_stash;
        kafka->at_stash = 0;
    }
    keep_fetching(kafka);
    /* The call waits until all it may take is there, so only the first message is waited for. */
    size_t room = BATCH_MAX - kafka->n_stash;
    n = rd_kafka_consume_batch_queue(kafka->queue, timeout_ms, kafka->stash + kafka->n_stash, 1);
    if (n <= 0)
        return;
    kafka->n_stash += (size_t)n;
    room = max < room ? max : room;
    if (room <= 1)
        return;
    n = rd_kafka_consume_batch_queue(kafka->queue, 0, kafka->stash + kafka->n_stash, room - 1);
    if (n > 0)
        kafka->n_stash += (size_t)n;
}

void tagd_kafka_poll(struct tagd_kafka *kafka, int timeout_ms, size_t max_records,
                     void (*input)(void *to, const struct tagd_input *in), void *to)
{
    if (kafka->fatal[0] != '\0') {
        input(to, &(struct tagd_input){.kind = TAGD_IN_FATAL, .error = kafka->fatal});
        pause_ms(timeout_ms);
        return;
    }
    if (!alive(kafka, input, to)) {
        pause_ms(timeout_ms < 10 ? timeout_ms : 10);
        return;
    }
    if (kafka->assign_due && !kafka->revoking)
        assign_running(kafka);
    if (kafka->revoking) { /* what is fetched is not wanted; the next word is `revoked` */
        pause_ms(timeout_ms < 10 ? timeout_ms : 10);
        return;
    }
    /* Without records wanted, some are taken anyway and kept, so that what comes behind them is seen. */
    size_t waiting = kafka->n_stash - kafka->at_stash;
    if (max_records == 0 && waiting >= BATCH_MAX) { /* it must be polled on, or rebalances stand: fetched again later */
        drop_stash(kafka);
        assign_running(kafka);
        waiting = 0;
    }
    if (kafka->confirming && timeout_ms > CONFIRMING_MS)
        timeout_ms = CONFIRMING_MS;
    if (kafka->event == TAGD_KAFKA_NO_EVENT)
        consume(kafka, waiting > 0 && max_records > 0 ? 0 : timeout_ms, max_records > 0 ? max_records : 100);
    for (size_t i = 0; i < max_records && kafka->at_stash < kafka->n_stash; i++)
        hand_out_message(kafka, kafka->stash[kafka->at_stash++], input, to);
    if (kafka->at_stash == kafka->n_stash)
        kafka->at_stash = kafka->n_stash = 0;
    if (kafka->event != TAGD_KAFKA_NO_EVENT && kafka->fatal[0] == '\0')
        hand_out_event(kafka, input, to);
    /* Only when nothing waits here: a record in the stash would show the end to be none. */
    if (kafka->n_stash == 0 && !kafka->revoking)
        confirm_ends(kafka, input, to);
}

/* ---- operations ---- */

/* Beginnings and ends of the shard's partitions, unless they were asked for within fresh_ms; -1: always. */
static bool ask_offsets(struct tagd_kafka *kafka, uint32_t shard, int64_t fresh_ms, struct tagd_error *error)
{
    int64_t now = tagd_io_mono_ms();
    bool fresh = true, ok = true;
    for (uint32_t topic = 0; topic < kafka->n_topics; topic++) {
        int64_t asked_ms = partition_of(kafka, shard, topic)->asked_ms;
        fresh = fresh && asked_ms != 0 && now - asked_ms <= fresh_ms;
    }
    if (fresh)
        return true;
    rd_kafka_t *reader = tagd_kafka_reader(kafka, error);
    if (reader == NULL)
        return false;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)kafka->n_topics);
    for (uint32_t topic = 0; topic < kafka->n_topics; topic++)
        rd_kafka_topic_partition_list_add(list, kafka->config->sources[topic].topic, (int32_t)shard);
    for (int64_t which = -2; which <= -1 && ok; which++) {
        rd_kafka_resp_err_t err = tagd_kafka_list_offsets(reader, list, which, ASK_TIMEOUT_MS);
        for (int i = 0; i < list->cnt && ok; i++) {
            struct tagd_kafka_partition *partition =
                partition_of(kafka, shard, (uint32_t)tagd_config_source(kafka->config, list->elems[i].topic));
            if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
                err = list->elems[i].err;
            if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
                ok = tagd_fail(error, "Kafka doesn't say where topic \"%s\" partition %u begins and ends: %s%s",
                               list->elems[i].topic, shard, rd_kafka_err2str(err), tagd_kafka_remedy(err));
            else if (which == -2)
                partition->low = list->elems[i].offset;
            else
                partition->high = list->elems[i].offset;
        }
    }
    for (uint32_t topic = 0; topic < kafka->n_topics && ok; topic++)
        partition_of(kafka, shard, topic)->asked_ms = now;
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

void tagd_kafka_committed(struct tagd_kafka *kafka, struct tagd_op *op)
{
    op->status = TAGD_ABORTED;
    if (!tagd_kafka_outputs_end(kafka, op->shard, op->u.committed.outputs_end, &op->error))
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)kafka->n_topics);
    for (uint32_t topic = 0; topic < kafka->n_topics; topic++)
        rd_kafka_topic_partition_list_add(list, kafka->config->sources[topic].topic, (int32_t)op->shard);
    rd_kafka_resp_err_t err = kafka->consumer == NULL ? RD_KAFKA_RESP_ERR__DESTROY
                                                      : rd_kafka_committed(kafka->consumer, list, ASK_TIMEOUT_MS);
    op->u.committed.topics = tagd_arena_zalloc(op->arena, kafka->n_topics * sizeof(*op->u.committed.topics));
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &list->elems[i];
        struct tagd_committed_topic *topic = &op->u.committed.topics[tagd_config_source(kafka->config, from->topic)];
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            err = from->err;
        topic->offset = from->offset < 0 ? -1 : from->offset;
        if (from->metadata_size > 0)
            topic->metadata = tagd_arena_copy(op->arena, from->metadata, from->metadata_size);
        while (topic->metadata.n > 0 && topic->metadata.p[topic->metadata.n - 1] == '\0')
            topic->metadata.n--;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tagd_fail(&op->error, "Kafka doesn't say the committed offsets of shard %u: %s%s", op->shard,
                  rd_kafka_err2str(err), tagd_kafka_remedy(err));
        return;
    }
    if (!ask_offsets(kafka, op->shard, -1, &op->error))
        return;
    for (uint32_t topic = 0; topic < kafka->n_topics; topic++) {
        op->u.committed.topics[topic].low = partition_of(kafka, op->shard, topic)->low;
        op->u.committed.topics[topic].high = partition_of(kafka, op->shard, topic)->high;
    }
    op->status = TAGD_DONE;
}

void tagd_kafka_start(struct tagd_kafka *kafka, struct tagd_op *op)
{
    struct tagd_kafka_shard *shard = &kafka->shards[op->shard];
    if (!shard->assigned) {
        op->status = TAGD_FENCED;
        tagd_fail(&op->error, "shard %u isn't ours", op->shard);
        return;
    }
    if (!ask_offsets(kafka, op->shard, OFFSETS_FRESH_MS, &op->error)) {
        op->status = TAGD_ABORTED;
        return;
    }
    for (uint32_t topic = 0; topic < kafka->n_topics; topic++) {
        struct tagd_kafka_partition *partition = &shard->topics[topic];
        int64_t offset = op->u.start.offsets[topic];
        if (offset < 0)
            offset = kafka->config->start_latest ? partition->high : partition->low;
        if (offset > partition->high && !ask_offsets(kafka, op->shard, -1, &op->error)) {
            op->status = TAGD_ABORTED;
            return;
        }
        if (offset < partition->low || offset > partition->high) {
            op->status = TAGD_GONE;
            tagd_fail(&op->error, "topic \"%s\" partition %u has no offset %lld: it holds %lld to %lld",
                      kafka->config->sources[topic].topic, op->shard, (long long)offset, (long long)partition->low,
                      (long long)partition->high);
            return;
        }
        op->u.start.offsets[topic] = partition->next = offset;
        partition->at_end = false;
        partition->confirmed_ms = tagd_io_mono_ms();
    }
    drop_stash_of(kafka, op->shard);
    shard->running = true;
    kafka->assign_due = true;
    op->status = TAGD_DONE;
}

/* ---- OFFSETS ---- */

static void offsets_over(struct tagd_kafka *kafka, rd_kafka_resp_err_t err)
{
    struct tagd_op *op = kafka->offsets_op;
    kafka->offsets_op = NULL;
    if (op == NULL)
        return;
    op->status = err == RD_KAFKA_RESP_ERR_NO_ERROR ? TAGD_DONE : TAGD_ABORTED;
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tagd_fail(&op->error, "Kafka: %s%s", rd_kafka_err2str(err), tagd_kafka_remedy(err));
}

/* The worker's thread, from within the poll below. */
static void on_offsets(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)rk;
    for (int i = 0; list != NULL && i < list->cnt && err == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        err = list->elems[i].err;
    offsets_over(opaque, err);
}

void tagd_kafka_offsets(struct tagd_kafka *kafka, struct tagd_op *op)
{
    kafka->offsets_op = op;
    if (kafka->consumer == NULL || kafka->dead || kafka->membership == NULL) {
        offsets_over(kafka, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
        return;
    }
    rd_kafka_topic_partition_list_t *list = tagd_kafka_offset_list(kafka, op);
    rd_kafka_resp_err_t err = rd_kafka_commit_queue(kafka->consumer, list, kafka->commits, on_offsets, kafka);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        offsets_over(kafka, err);
}

void tagd_kafka_offsets_poll(struct tagd_kafka *kafka)
{
    if (kafka->offsets_op != NULL)
        rd_kafka_queue_poll_callback(kafka->commits, 0);
}

/* ---- opening and closing ---- */

static bool client_open(struct tagd_kafka *kafka, struct tagd_error *error)
{
    rd_kafka_conf_t *conf = tagd_kafka_conf(kafka, TAGD_KAFKA_CONSUMER, error);
    if (conf == NULL)
        return false;
    tagd_kafka_set(conf, "group.id", kafka->config->group);
    tagd_kafka_set(conf, "group.instance.id", kafka->owner);
    tagd_kafka_set(conf, "enable.auto.commit", "false");
    tagd_kafka_set(conf, "enable.auto.offset.store", "false");
    tagd_kafka_set(conf, "enable.partition.eof", "true");
    tagd_kafka_set(conf, "isolation.level", "read_committed");
    tagd_kafka_set(conf, "partition.assignment.strategy", "range");
    tagd_kafka_set(conf, "auto.offset.reset", "error");
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    kafka->consumer = tagd_kafka_client_new(TAGD_KAFKA_CONSUMER, conf, error);
    if (kafka->consumer == NULL)
        return false;
    rd_kafka_poll_set_consumer(kafka->consumer);
    kafka->queue = rd_kafka_queue_get_consumer(kafka->consumer);
    kafka->commits = rd_kafka_queue_new(kafka->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)kafka->n_topics);
    for (uint32_t i = 0; i < kafka->n_topics; i++) {
        kafka->topics[i] = rd_kafka_topic_new(kafka->consumer, kafka->config->sources[i].topic, NULL);
        rd_kafka_topic_partition_list_add(list, kafka->config->sources[i].topic, RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t err = rd_kafka_subscribe(kafka->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR || tagd_fail(error, "can't subscribe: %s", rd_kafka_err2str(err));
}

static void client_close(struct tagd_kafka *kafka)
{
    kafka->closing = true;
    offsets_over(kafka, RD_KAFKA_RESP_ERR__DESTROY);
    forget_membership(kafka);
    drop_stash(kafka);
    rd_kafka_assign(kafka->consumer, NULL); /* a rebalance that was not answered yet would hold the close for ever */
    rd_kafka_consumer_close(kafka->consumer);
    for (uint32_t i = 0; i < kafka->n_topics; i++)
        if (kafka->topics[i] != NULL)
            rd_kafka_topic_destroy(kafka->topics[i]);
    rd_kafka_queue_destroy(kafka->queue);
    rd_kafka_queue_destroy(kafka->commits);
    rd_kafka_destroy(kafka->consumer);
    kafka->consumer = NULL;
    kafka->closing = false;
}

bool tagd_kafka_consumer_open(struct tagd_kafka *kafka, struct tagd_error *error)
{
    kafka->stash = tagd_xcalloc(BATCH_MAX, sizeof(rd_kafka_message_t *));
    kafka->event_shards = tagd_xcalloc(kafka->partitions, sizeof(*kafka->event_shards));
    kafka->shards = tagd_xcalloc(kafka->partitions, sizeof(*kafka->shards));
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        kafka->shards[shard].topics = tagd_xcalloc(kafka->n_topics, sizeof(*kafka->shards[shard].topics));
    return client_open(kafka, error);
}

void tagd_kafka_consumer_close(struct tagd_kafka *kafka)
{
    if (kafka->shards == NULL)
        return;
    if (kafka->consumer != NULL)
        client_close(kafka);
    for (uint32_t shard = 0; shard < kafka->partitions; shard++)
        free(kafka->shards[shard].topics);
    while (kafka->free_held != NULL) {
        struct tagd_kafka_held *held = kafka->free_held;
        kafka->free_held = held->next;
        free(held->headers);
        free(held);
    }
    free(kafka->shards);
    free(kafka->event_shards);
    free(kafka->stash);
    kafka->shards = NULL;
}
