/* What is held, from what Redis has and what the clocks say; no I/O. */
#include "command/brakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number_of(struct tagd_str text, int64_t *number)
{
    char copy[32], *end;
    if (text.n == 0 || text.n >= sizeof(copy))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    int64_t read = strtoll(copy, &end, 10);
    if (*end != '\0')
        return false;
    *number = read;
    return true;
}

/* What stands behind a word and a space; p NULL: something else does. */
static struct tagd_str behind(const char *word, struct tagd_str text)
{
    size_t n = strlen(word);
    if (text.n <= n || memcmp(text.p, word, n) != 0 || text.p[n] != ' ')
        return (struct tagd_str){NULL, 0};
    return (struct tagd_str){text.p + n + 1, text.n - n - 1};
}

static void copy_text(char *into, size_t size, const char *p, size_t n)
{
    snprintf(into, size, "%.*s", (int)n, p);
}

/* "<ms> <by>\n<why>". Whatever it says, outputs are held. */
static void take_hold(struct tagd_str value, struct tagd_held *held)
{
    const char *space = memchr(value.p, ' ', value.n), *line = memchr(value.p, '\n', value.n), *end = value.p + value.n;
    held->outputs = true;
    if (space == NULL || line == NULL || space > line)
        return;
    number_of((struct tagd_str){value.p, (size_t)(space - value.p)}, &held->since_ms);
    copy_text(held->by, sizeof(held->by), space + 1, (size_t)(line - space) - 1);
    copy_text(held->why, sizeof(held->why), line + 1, (size_t)(end - line) - 1);
}

/* NULL: it is none of the configuration's. */
static struct tagd_held_source *source_of(const struct tagd_config *config, struct tagd_str topic,
                                          struct tagd_held *held)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (tagd_str_eq(topic, tagd_str_of(config->sources[i].topic)))
            return &held->sources[i];
    return NULL;
}

static void take_brake(const struct tagd_config *config, const struct tagd_io_entry *entry, struct tagd_held *held)
{
    struct tagd_held_source *source = source_of(config, behind("silent", entry->field), held);
    if (tagd_str_eq(entry->field, TAGD_STR("hold")))
        take_hold(entry->value, held);
    else if (tagd_str_eq(entry->field, TAGD_STR("limits_off")))
        number_of(entry->value, &held->limits_off_ms);
    else if (tagd_str_eq(entry->field, TAGD_STR("clock")))
        number_of(entry->value, &held->clock_believed_ms);
    else if (source != NULL)
        number_of(entry->value, &source->released_ms);
}

static void take_heard(const struct tagd_config *config, const struct tagd_io_entry *entry, struct tagd_held *held)
{
    struct tagd_held_source *source = source_of(config, entry->field, held);
    if (source != NULL && number_of(entry->value, &source->heard_ms) && source->heard_ms > source->latest_ms)
        source->latest_ms = source->heard_ms;
}

/* a - b, as near as there is room for. */
static int64_t difference(int64_t a, int64_t b)
{
    int64_t result;
    return __builtin_sub_overflow(a, b, &result) ? (a < b ? INT64_MIN : INT64_MAX) : result;
}

static bool apart(int64_t a, int64_t b)
{
    int64_t ms = difference(a, b);
    return ms > TAGD_CLOCKS_APART_MS || ms < -TAGD_CLOCKS_APART_MS;
}

static void judge_source(const struct tagd_config *config, int64_t wall_ms, struct tagd_held_source *source,
                         struct tagd_held *held)
{
    int64_t to_ms = difference(source->latest_ms, -source->expect_every_ms);
    if (source->expect_every_ms == 0 || source->latest_ms == INT64_MIN)
        return;
    bool believed = source->released_ms != INT64_MIN && source->released_ms >= source->latest_ms;
    source->silent = to_ms < wall_ms - config->grace_ms;
    source->held = source->silent && !believed;
    if (!believed && to_ms < held->time_to_ms)
        held->time_to_ms = to_ms;
}

void tagd_held_judge(const struct tagd_config *config, const struct tagd_io_entry *brakes, size_t n_brakes,
                     const struct tagd_io_entry *heard, size_t n_heard, const int64_t *own, int64_t wall_ms,
                     int64_t clock_ahead_ms, struct tagd_held *held)
{
    *held = (struct tagd_held){
        .limits_off_ms = INT64_MIN, .time_to_ms = INT64_MAX, .clock_ahead_ms = clock_ahead_ms, .clock_believed_ms = 0};
    for (size_t i = 0; i < config->n_sources; i++)
        held->sources[i] = (struct tagd_held_source){.topic = config->sources[i].topic,
                                                     .expect_every_ms = config->sources[i].expect_every_ms,
                                                     .heard_ms = INT64_MIN,
                                                     .latest_ms = own == NULL ? INT64_MIN : own[i],
                                                     .released_ms = INT64_MIN};
    for (size_t i = 0; i < n_brakes; i++)
        take_brake(config, &brakes[i], held);
    for (size_t i = 0; i < n_heard; i++)
        take_heard(config, &heard[i], held);
    for (size_t i = 0; i < config->n_sources; i++)
        judge_source(config, wall_ms, &held->sources[i], held);
    if (clock_ahead_ms != INT64_MIN)
        held->clock_apart = apart(clock_ahead_ms, 0) && apart(clock_ahead_ms, held->clock_believed_ms);
}

void tagd_held_keep_clock(struct tagd_held *held, const struct tagd_held *before)
{
    if (held->clock_ahead_ms != INT64_MIN)
        return;
    held->clock_ahead_ms = before->clock_ahead_ms;
    held->clock_apart = before->clock_apart;
}
