/* tagd dead-letters replay: records that couldn't be used are put into their source topics again, each once.
 *
 * First the group's transactional id for replays is taken, so that whoever replayed before is fenced off; only then
 * letters and markers are read, to their ends. Each transaction holds records and, for each, the marker that says so: so
 * whatever happens, a record is there if its marker is, and whoever comes next knows.
 *
 * Every letter is judged first, by the rules of now: what would be a dead letter again is left, and named. */
#include "command/dead_letters.h"

#include "command/servers.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MESSAGES 200                    /* of a transaction: records and markers */
#define CHUNK_BYTES ((size_t)4 * 1024 * 1024) /* of records, and one more */
#define MARKER_HEADERS 5

struct pending { /* a letter of the transaction that is being filled */
    const struct tagd_letter_entry *entry;
    uint32_t to;
    bool stamped, stamp_lost;
};

struct replay {
    struct tagd_dead_letters *command;
    const struct tagd_letter_entry **chosen; /* by place */
    size_t n_chosen, at;
    size_t n_replayed, n_left, n_before, n_repeated, n_poison;
    struct tagd_arena arena; /* of the transaction */
    struct tagd_io_message messages[CHUNK_MESSAGES];
    struct pending pending[CHUNK_MESSAGES / 2];
    size_t n_messages, bytes;
    int code; /* of what stopped it */
};

static void left(struct replay *replay, const struct tagd_letter_entry *entry, const char *why)
{
    replay->n_left++;
    printf("%" PRIu32 ":%" PRId64 "  %s:%" PRId64 ":%" PRId64 "  %s  left: %s\n", entry->at.partition, entry->at.offset,
           entry->topic, entry->partition, entry->offset, tagd_event_code_name(entry->code), why);
}

/* ---- which ---- */

/* Poison kills the daemon: somebody must mean it. */
static bool is_asked_for(const struct tagd_letter_filter *filter, const struct tagd_letter_entry *entry)
{
    return entry->code != TAGD_EVENT_POISON || filter->code == TAGD_EVENT_POISON || filter->n_places > 0;
}

static void choose_one(struct replay *replay, const struct tagd_letter_entry *entry)
{
    const struct tagd_dead_letters *command = replay->command;
    if (entry->replayed)
        replay->n_before++;
    else if (entry->repeated)
        replay->n_repeated++;
    else if (!is_asked_for(&command->filter, entry))
        replay->n_poison++;
    else if (entry->truncated)
        left(replay, entry, "it was truncated, so its record isn't here; send it again from where it came from");
    else if (tagd_config_source(command->config, entry->topic) < 0)
        left(replay, entry, "its topic is no source of this configuration");
    else if (entry->partition >= command->partitions)
        left(replay, entry, "its topic has no such partition any more");
    else
        replay->chosen[replay->n_chosen++] = entry;
}

static int check_places(const struct tagd_dead_letters *command)
{
    for (size_t i = 0; i < command->filter.n_places; i++) {
        struct tagd_letter_place place = command->filter.places[i];
        if (tagd_letter_list_find(&command->list, place) == NULL)
            return tagd_command_error(TAGD_EXIT_DATA,
                                      "there is no dead letter of group \"%s\" at %" PRIu32 ":%" PRId64
                                      " of topic \"%s\"; tagd dead-letters list tells those that are there. Nothing "
                                      "was replayed",
                                      command->config->group, place.partition, place.offset,
                                      command->config->dead_letter);
    }
    return TAGD_EXIT_OK;
}

static void choose(struct replay *replay)
{
    const struct tagd_letter_list *list = &replay->command->list;
    replay->chosen = tagd_xcalloc(list->n + 1, sizeof(*replay->chosen));
    for (size_t i = 0; i < list->n; i++)
        if (tagd_letter_fits(&replay->command->filter, &list->at[i]))
            choose_one(replay, &list->at[i]);
}

/* ---- one letter ---- */

static void judge(const struct replay *replay, const struct tagd_letter_entry *entry, const struct tagd_record *own,
                  struct tagd_arena *arena, struct tagd_letter_verdict *verdict)
{
    const struct tagd_config *config = replay->command->config;
    const struct tagd_source *source = &config->sources[tagd_config_source(config, entry->topic)];
    struct tagd_event_rules rules = {.catalog = replay->command->catalog,
                                     .map = source->map,
                                     .max_bytes = config->max_event_bytes,
                                     .past_ms = config->past_ms,
                                     .future_ms = config->time_events ? -1 : config->future_ms,
                                     .partitioner = source->partitioner,
                                     .partitions = (int32_t)replay->command->partitions,
                                     .junk = tagd_junk_of(config->junk_subjects, config->n_junk_subjects)};
    tagd_letter_judge(&rules, own, tagd_io_wall_ms(), arena, verdict);
}

/* Where an event has no time of its own, its record's timestamp must be what it was. False: Kafka doesn't answer. */
static bool find_stamp(struct replay *replay, const struct tagd_letter_entry *entry, struct tagd_record *own,
                       struct pending *pending)
{
    struct tagd_error error;
    int64_t ms;
    enum tagd_io_result result = tagd_io_letters_source_time(replay->command->io, entry->topic,
                                                             (uint32_t)entry->partition, entry->offset, &ms, &error);
    if (result != TAGD_IO_OK) {
        replay->code = tagd_servers_error(result, &error);
        return false;
    }
    pending->stamped = true;
    pending->stamp_lost = ms < 0;
    if (ms >= 0)
        own->timestamp_ms = ms;
    return true;
}

static struct tagd_io_message *add_message(struct replay *replay)
{
    assert(replay->n_messages < CHUNK_MESSAGES);
    struct tagd_io_message *message = &replay->messages[replay->n_messages++];
    *message = (struct tagd_io_message){0};
    return message;
}

static struct tagd_str keep(struct replay *replay, struct tagd_str text)
{
    return text.p == NULL ? text : tagd_arena_copy(&replay->arena, text.p, text.n);
}

static struct tagd_str place_text(struct replay *replay, const struct tagd_letter_entry *entry)
{
    return tagd_str_of(
        tagd_arena_printf(&replay->arena, "%" PRIu32 ":%" PRId64, entry->at.partition, entry->at.offset));
}

/* The record as it was: its own key, value and headers, and where it comes from. */
static void add_record(struct replay *replay, const struct pending *pending, const struct tagd_record *own)
{
    struct tagd_io_message *message = add_message(replay);
    struct tagd_header *headers = tagd_arena_alloc(&replay->arena, (own->n_headers + 1) * sizeof(*headers));
    for (size_t i = 0; i < own->n_headers; i++)
        headers[i] = (struct tagd_header){keep(replay, own->headers[i].name), keep(replay, own->headers[i].value)};
    headers[own->n_headers] = (struct tagd_header){TAGD_STR("tagd_replayed_from"), place_text(replay, pending->entry)};
    message->topic = pending->entry->topic;
    message->partition = pending->to;
    message->has_key = own->has_key;
    message->has_value = own->has_value;
    message->key = keep(replay, own->key);
    message->value = keep(replay, own->value);
    message->headers = headers;
    message->n_headers = own->n_headers + 1;
    message->timestamp_ms = pending->stamped ? own->timestamp_ms : 0;
    replay->bytes += own->key.n + own->value.n;
}

static void add_marker(struct replay *replay, const struct pending *pending)
{
    const struct tagd_letter_entry *entry = pending->entry;
    const struct tagd_config *config = replay->command->config;
    struct tagd_io_message *message = add_message(replay);
    struct tagd_header *headers = tagd_arena_alloc(&replay->arena, MARKER_HEADERS * sizeof(*headers));
    struct tagd_str place = place_text(replay, entry);
    headers[0] = (struct tagd_header){TAGD_STR("tagd_replayed"), place};
    headers[1] = (struct tagd_header){TAGD_STR("tagd_topic"), tagd_str_of(entry->topic)};
    headers[2] = (struct tagd_header){TAGD_STR("tagd_partition"), tagd_arena_i64(&replay->arena, entry->partition)};
    headers[3] = (struct tagd_header){TAGD_STR("tagd_offset"), tagd_arena_i64(&replay->arena, entry->offset)};
    headers[4] = (struct tagd_header){TAGD_STR("tagd_group"), tagd_str_of(config->group)};
    message->topic = config->dead_letter;
    message->partition = entry->at.partition;
    message->has_key = message->has_value = true;
    message->key = place;
    message->value = tagd_str_of(tagd_arena_printf(
        &replay->arena, "{\"replayed\":\"%.*s\",\"to_partition\":%" PRIu32 "}", (int)place.n, place.p, pending->to));
    message->headers = headers;
    message->n_headers = MARKER_HEADERS;
}

/* ---- a transaction ---- */

static void print_replayed(const struct replay *replay, const struct pending *pending)
{
    const struct tagd_letter_entry *entry = pending->entry;
    printf("%" PRIu32 ":%" PRId64 "  %s:%" PRId64 ":%" PRId64 "  %s  %s partition %" PRIu32 "%s%s%s\n",
           entry->at.partition, entry->at.offset, entry->topic, entry->partition, entry->offset,
           tagd_event_code_name(entry->code), replay->command->dry_run ? "would go to" : "replayed to", pending->to,
           (int64_t)pending->to != entry->partition ? ", where its subject belongs" : "",
           pending->stamp_lost ? ", at the time of its dead letter: its own is gone" : "",
           entry->code == TAGD_EVENT_POISON ? "; it has killed the daemon before" : "");
}

/* False: it stops. */
static bool flush(struct replay *replay)
{
    struct tagd_error error;
    size_t n = replay->n_messages / 2;
    enum tagd_io_result result = TAGD_IO_OK;
    if (n > 0 && !replay->command->dry_run)
        result = tagd_io_letters_publish(replay->command->io, replay->messages, replay->n_messages, &error);
    if (result != TAGD_IO_OK) {
        replay->code = tagd_servers_error(result, &error);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        print_replayed(replay, &replay->pending[i]);
    fflush(stdout);
    replay->n_replayed += n;
    replay->n_messages = replay->bytes = 0;
    tagd_arena_reset(&replay->arena);
    return true;
}

static bool gone(struct replay *replay, const struct tagd_letter_entry *entry)
{
    left(replay, entry, "it isn't there any more");
    return true;
}

static bool take_letter(struct replay *replay, const struct tagd_letter_entry *entry, const struct tagd_record *record)
{
    struct tagd_letter_view view;
    struct tagd_letter_verdict verdict = {.partition = (uint32_t)entry->partition};
    struct tagd_record own = *record;
    struct pending *pending = &replay->pending[replay->n_messages / 2];
    struct tagd_arena arena = {0};
    bool fine = true;
    if (tagd_letter_read(record, replay->command->config->group, &view) != TAGD_LETTER_RECORD)
        return gone(replay, entry); /* the topic was made anew */
    *pending = (struct pending){.entry = entry};
    own.n_headers = view.n_own;
    own.partition = (int32_t)entry->partition;
    own.offset = entry->offset;
    if (entry->code != TAGD_EVENT_POISON) /* which might kill this process too */
        judge(replay, entry, &own, &arena, &verdict);
    if (verdict.stamped || entry->code == TAGD_EVENT_POISON) {
        fine = find_stamp(replay, entry, &own, pending);
        if (fine && verdict.stamped)
            judge(replay, entry, &own, &arena, &verdict);
    }
    pending->to = verdict.partition;
    if (fine && verdict.code != TAGD_EVENT_OK) {
        const char *why = tagd_arena_printf(&arena, "it would be a dead letter again, %s: %s",
                                            tagd_event_code_name(verdict.code), verdict.reason);
        left(replay, entry, why);
    } else if (fine) {
        add_record(replay, pending, &own);
        add_marker(replay, pending);
    }
    tagd_arena_free(&arena);
    return fine;
}

static bool take(void *to, const struct tagd_record *record)
{
    struct replay *replay = to;
    const struct tagd_letter_entry *entry = replay->chosen[replay->at];
    uint32_t partition = entry->at.partition;
    for (; entry->at.offset < record->offset; entry = replay->chosen[replay->at]) {
        gone(replay, entry);
        if (++replay->at == replay->n_chosen || replay->chosen[replay->at]->at.partition != partition)
            return false;
    }
    if (record->offset < entry->at.offset)
        return true;
    if (!take_letter(replay, entry, record))
        return false;
    replay->at++;
    if ((replay->n_messages == CHUNK_MESSAGES || replay->bytes >= CHUNK_BYTES) && !flush(replay))
        return false;
    return replay->at < replay->n_chosen && replay->chosen[replay->at]->at.partition == partition;
}

static int replay_chosen(struct replay *replay)
{
    struct tagd_error error;
    while (replay->at < replay->n_chosen && replay->code == TAGD_EXIT_OK) {
        const struct tagd_letter_entry *first = replay->chosen[replay->at];
        size_t last = replay->at;
        while (last + 1 < replay->n_chosen && replay->chosen[last + 1]->at.partition == first->at.partition)
            last++;
        enum tagd_io_result result = tagd_io_letters_read(replay->command->io, first->at.partition, first->at.offset,
                                                          replay->chosen[last]->at.offset + 1, take, replay, &error);
        if (result != TAGD_IO_OK)
            return tagd_servers_error(result, &error);
        for (; replay->code == TAGD_EXIT_OK && replay->at <= last; replay->at++)
            gone(replay, replay->chosen[replay->at]);
    }
    if (replay->code == TAGD_EXIT_OK)
        flush(replay);
    return replay->code;
}

/* ---- all of it ---- */

static void sum_up(const struct replay *replay)
{
    printf("%zu record%s %s", replay->n_replayed, replay->n_replayed == 1 ? "" : "s",
           replay->command->dry_run ? "would be replayed" : "replayed");
    if (replay->n_left > 0)
        printf(", %zu left", replay->n_left);
    if (replay->n_before > 0)
        printf("; %zu replayed before", replay->n_before);
    if (replay->n_repeated > 0)
        printf("; %zu are repeats of others", replay->n_repeated);
    if (replay->n_poison > 0)
        printf("; %zu poison, which killed the daemon: replayed with --code poison or by place alone",
               replay->n_poison);
    putchar('\n');
}

int tagd_dead_letters_replay(struct tagd_dead_letters *command)
{
    struct tagd_error error;
    if (!command->dry_run) {
        enum tagd_io_result result = tagd_io_letters_begin(command->io, TAGD_LETTERS_TIMEOUT_MS, &error);
        if (result != TAGD_IO_OK)
            return tagd_servers_error(result, &error);
    }
    int code = tagd_dead_letters_read(command, INT64_MIN);
    if (code == TAGD_EXIT_OK)
        code = check_places(command);
    if (code != TAGD_EXIT_OK)
        return code;
    struct replay *replay = tagd_xcalloc(1, sizeof(*replay));
    replay->command = command;
    choose(replay);
    code = replay_chosen(replay);
    if (code == TAGD_EXIT_OK || replay->n_replayed > 0)
        sum_up(replay);
    if (code == TAGD_EXIT_OK && replay->n_left > 0)
        code = TAGD_EXIT_DATA;
    tagd_arena_free(&replay->arena);
    free((void *)replay->chosen);
    free(replay);
    return code;
}
