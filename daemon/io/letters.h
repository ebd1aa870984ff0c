/* letters: the dead-letter topic as operators read it, and one transaction of records under the group's transactional id
 * for replays, "<group>-replay". What a letter is, and which is to be replayed, is for the caller to know
 * (command/letters.h). Belongs to one thread; joins no group. */
#ifndef TAGD_IO_LETTERS_H
#define TAGD_IO_LETTERS_H

#include "io/io.h"

struct tagd_io_letters;

/* Connects when it is asked. config must outlive it. NULL: *error says which property is wrong. */
struct tagd_io_letters *tagd_io_letters_new(const struct tagd_config *config, struct tagd_error *error);
void tagd_io_letters_free(struct tagd_io_letters *letters); /* NULL is fine */

/* Of a partition of the dead-letter topic: the offset of the first record at or after since_ms (INT64_MIN: the first one
 * that is there), and the end, which counts what isn't committed yet: all that was committed before the call is before
 * it. Nothing since then: from is the end. */
enum tagd_io_result tagd_io_letters_bounds(struct tagd_io_letters *letters, uint32_t partition, int64_t since_ms,
                                           int64_t *from, int64_t *end, struct tagd_error *error);
/* The committed records in [from, end), in order, as long as `take` returns true; the record is the callee's until then
 * only. Waits for transactions that are open there, for 60 s without any progress at most: UNREACHABLE. */
enum tagd_io_result tagd_io_letters_read(struct tagd_io_letters *letters, uint32_t partition, int64_t from, int64_t end,
                                         bool (*take)(void *to, const struct tagd_record *record), void *to,
                                         struct tagd_error *error);
/* The timestamp of a record of a source topic; -1: it is gone, or has none. */
enum tagd_io_result tagd_io_letters_source_time(struct tagd_io_letters *letters, const char *topic, uint32_t partition,
                                                int64_t offset, int64_t *timestamp_ms, struct tagd_error *error);

/* Once this is done, whoever replayed for the group before can't any more, and what they had not committed never will
 * be. */
enum tagd_io_result tagd_io_letters_begin(struct tagd_io_letters *letters, int timeout_ms, struct tagd_error *error);

struct tagd_io_message {
    const char *topic;
    uint32_t partition;
    struct tagd_str key, value;
    bool has_key, has_value;
    const struct tagd_header *headers;
    size_t n_headers;
    int64_t timestamp_ms; /* 0: now */
};
/* All of them or none, in one transaction. UNREACHABLE: none of them is there, or nobody knows; or another one has begun:
 * whoever begins and reads again finds out. CONFIG: none is there, and trying again doesn't help. */
enum tagd_io_result tagd_io_letters_publish(struct tagd_io_letters *letters, const struct tagd_io_message *messages,
                                            size_t n, struct tagd_error *error);

#endif
