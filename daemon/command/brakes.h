/* What is held, of a whole group: as Redis has it, and as the clock says. Read by every daemon of the group and by the
 * commands hold and release, which write it.
 *
 * The board "brakes" holds:
 *   hold            "<ms> <by>\n<why>": outputs are held since then; not there: they flow
 *   limits_off      ms: until then max_changes_per_minute doesn't count
 *   silent <topic>  ms: the source's silence since its event of this instant is believed
 *   clock           ms: by so much is Redis's clock ahead, and believed to be
 * and the board "heard", by topic, the instant of the latest event that anybody has read. Who knows of a later one writes
 * it; two who do so at once may leave the earlier, until the other looks again. */
#ifndef TAGD_COMMAND_BRAKES_H
#define TAGD_COMMAND_BRAKES_H

#include "config/config.h"
#include "io/io.h"

#define TAGD_CLOCKS_APART_MS 60000 /* Redis's clock and ours may differ by less */
#define TAGD_HOLD_WHY_MAX 500      /* bytes of a reason */
#define TAGD_LIMITS_OFF_MAX_MS (INT64_C(7) * TAGD_MS_DAY)

struct tagd_held_source {
    const char *topic;
    int64_t expect_every_ms; /* 0: it may be silent */
    int64_t heard_ms;        /* its latest event as the board has it; INT64_MIN: it has none */
    int64_t latest_ms;       /* or as the caller knows, if that is later */
    int64_t released_ms;     /* silence since its event of this instant is believed; INT64_MIN: none was released */
    bool silent;             /* for longer than expected */
    bool held;               /* and that isn't believed: time stands at latest_ms + expect_every_ms */
};

struct tagd_held {
    bool outputs;
    int64_t since_ms; /* outputs are held */
    char by[TAGD_INSTANCE_MAX + 8], why[TAGD_HOLD_WHY_MAX + 1];
    int64_t limits_off_ms; /* INT64_MIN: limits count */
    struct tagd_held_source sources[TAGD_TOPICS_MAX];
    int64_t time_to_ms;                        /* the least that a silent source allows; INT64_MAX: no bound */
    int64_t clock_ahead_ms, clock_believed_ms; /* Redis's; ahead INT64_MIN: it didn't tell */
    bool clock_apart;
};

/* As it is now, with what Redis says of itself. own: by topic, the latest events that the caller knows of (INT64_MIN:
 * none); NULL. */
enum tagd_io_result tagd_held_read(struct tagd_io_reader *reader, const struct tagd_config *config, const int64_t *own,
                                   struct tagd_held *held, struct tagd_io_server *server, struct tagd_error *error);
/* From what was read; no I/O. */
void tagd_held_judge(const struct tagd_config *config, const struct tagd_io_entry *brakes, size_t n_brakes,
                     const struct tagd_io_entry *heard, size_t n_heard, const int64_t *own, int64_t wall_ms,
                     int64_t clock_ahead_ms, struct tagd_held *held);
/* Where Redis's clock wasn't told, or too slowly to go by, that of before counts. */
void tagd_held_keep_clock(struct tagd_held *held, const struct tagd_held *before);
/* A topic's latest event, which the board doesn't have. */
enum tagd_io_result tagd_held_heard(struct tagd_io_reader *reader, const struct tagd_config *config, size_t topic,
                                    int64_t latest_ms, struct tagd_error *error);
enum tagd_io_result tagd_hold(struct tagd_io_reader *reader, const char *by, const char *why, int64_t wall_ms,
                              struct tagd_error *error);
enum tagd_io_result tagd_release_outputs(struct tagd_io_reader *reader, struct tagd_error *error);
/* until_ms INT64_MIN: limits count again. */
enum tagd_io_result tagd_release_limits(struct tagd_io_reader *reader, int64_t until_ms, struct tagd_error *error);
enum tagd_io_result tagd_release_source(struct tagd_io_reader *reader, const struct tagd_held_source *source,
                                        struct tagd_error *error);
enum tagd_io_result tagd_release_clock(struct tagd_io_reader *reader, int64_t ahead_ms, struct tagd_error *error);

#endif
