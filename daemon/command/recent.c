#include "command/recent.h"

#include "base/cjson.h"
#include "base/text.h"
#include "config/config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define SAMPLES (TAGD_RECENT_MINUTE_MS / TAGD_RECENT_SAMPLE_MS + 1)

/* A change as it was published. The buffers stay where they are, so that a warm ring allocates nothing. */
struct change {
    struct tagd_buf value; /* a whole CloudEvent; or, in binary mode, its data, */
    char time[TAGD_TIME_TEXT];
    char type[64]; /* and these; empty: structured */
    char key[TAGD_SUBJECT_MAX + 1];
    uint32_t shard;
};

struct letter {
    char topic[TAGD_TOPIC_NAME_MAX + 1], code[32], reason[TAGD_EVENT_REASON_MAX], offset[TAGD_INTEGER_TEXT + 1];
    uint32_t shard;
    int64_t wall_ms;
};

struct sample {
    int64_t mono_ms;
    struct tagd_recent_counts counts;
};

struct tagd_recent {
    int64_t (*wall_ms)(void);
    pthread_mutex_t mutex; /* of all that follows */
    struct change changes[TAGD_RECENT_CHANGES_MAX];
    size_t n_changes, next_change;
    struct letter letters[TAGD_RECENT_LETTERS_MAX];
    size_t n_letters, next_letter;
    struct sample samples[SAMPLES];
    size_t n_samples, next_sample;
};

struct tagd_recent *tagd_recent_new(int64_t (*wall_ms)(void))
{
    struct tagd_recent *recent = tagd_xcalloc(1, sizeof(*recent));
    recent->wall_ms = wall_ms;
    pthread_mutex_init(&recent->mutex, NULL);
    return recent;
}

void tagd_recent_free(struct tagd_recent *recent)
{
    if (recent == NULL)
        return;
    for (size_t i = 0; i < TAGD_RECENT_CHANGES_MAX; i++)
        tagd_buf_free(&recent->changes[i].value);
    pthread_mutex_destroy(&recent->mutex);
    free(recent);
}

/* ---- what a batch leaves ---- */

static void copy(char *into, size_t size, struct tagd_str text)
{
    size_t n = text.n < size ? text.n : tagd_utf8_cut(text.p, size - 1);
    if (n > 0)
        memcpy(into, text.p, n);
    into[n] = '\0';
}

static struct tagd_str header_of(const struct tagd_output *output, struct tagd_str name)
{
    for (size_t i = output->n_headers; i-- > 0;)
        if (tagd_str_eq(output->headers[i].name, name) && output->headers[i].value.p != NULL)
            return output->headers[i].value;
    return (struct tagd_str){"", 0};
}

static void keep_letter(struct tagd_recent *recent, uint32_t shard, const struct tagd_output *output, int64_t wall_ms)
{
    struct letter *letter = &recent->letters[recent->next_letter];
    recent->next_letter = (recent->next_letter + 1) % TAGD_RECENT_LETTERS_MAX;
    recent->n_letters += recent->n_letters < TAGD_RECENT_LETTERS_MAX;
    copy(letter->topic, sizeof(letter->topic), header_of(output, TAGD_STR("tagd_topic")));
    copy(letter->code, sizeof(letter->code), header_of(output, TAGD_STR("tagd_error")));
    copy(letter->reason, sizeof(letter->reason), header_of(output, TAGD_STR("tagd_reason")));
    copy(letter->offset, sizeof(letter->offset), header_of(output, TAGD_STR("tagd_offset")));
    letter->shard = shard;
    letter->wall_ms = wall_ms;
}

static void keep_change(struct tagd_recent *recent, uint32_t shard, const struct tagd_output *output)
{
    struct change *change = &recent->changes[recent->next_change];
    if (output->value.n > TAGD_RECENT_CHANGE_BYTES_MAX)
        return;
    recent->next_change = (recent->next_change + 1) % TAGD_RECENT_CHANGES_MAX;
    recent->n_changes += recent->n_changes < TAGD_RECENT_CHANGES_MAX;
    change->value.n = 0;
    tagd_buf_add_str(&change->value, output->value);
    copy(change->time, sizeof(change->time), header_of(output, TAGD_STR("ce_time")));
    copy(change->type, sizeof(change->type), header_of(output, TAGD_STR("ce_type")));
    copy(change->key, sizeof(change->key), output->key);
    change->shard = shard;
}

/* A shard's dead letters stand before its changes. */
static size_t letters_of(const struct tagd_shard_outputs *shard)
{
    size_t n = 0;
    while (n < shard->n_outputs && shard->outputs[n].kind == TAGD_OUT_DEAD_LETTER)
        n++;
    return n;
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The last ones of each shard, the same of each as far as that goes. */
static void keep_shard(struct tagd_recent *recent, const struct tagd_shard_outputs *shard, size_t most)
{
    size_t n_letters = letters_of(shard), n_changes = shard->n_outputs - n_letters;
    int64_t wall_ms = n_letters > 0 ? recent->wall_ms() : 0;
    for (size_t i = n_letters - lesser(n_letters, most); i < n_letters; i++)
        keep_letter(recent, shard->shard, &shard->outputs[i], wall_ms);
    for (size_t i = shard->n_outputs - lesser(n_changes, most); i < shard->n_outputs; i++)
        keep_change(recent, shard->shard, &shard->outputs[i]);
}

void tagd_recent_published(void *to, const struct tagd_shard_outputs *shards, size_t n)
{
    struct tagd_recent *recent = to;
    size_t telling = 0;
    for (size_t i = 0; i < n; i++)
        telling += shards[i].n_outputs > 0;
    if (telling == 0)
        return;
    bool many = telling > TAGD_RECENT_OF_BATCH_MAX; /* one of each is too many: the first ones are passed over */
    size_t passed = many ? telling - TAGD_RECENT_OF_BATCH_MAX : 0, most = many ? 1 : TAGD_RECENT_OF_BATCH_MAX / telling;
    pthread_mutex_lock(&recent->mutex);
    for (size_t i = 0; i < n; i++) {
        if (shards[i].n_outputs == 0)
            continue;
        if (passed > 0)
            passed--;
        else
            keep_shard(recent, &shards[i], most);
    }
    pthread_mutex_unlock(&recent->mutex);
}

/* ---- how many ---- */

void tagd_recent_sample(struct tagd_recent *recent, int64_t mono_ms, struct tagd_recent_counts counts)
{
    pthread_mutex_lock(&recent->mutex);
    recent->samples[recent->next_sample] = (struct sample){mono_ms, counts};
    recent->next_sample = (recent->next_sample + 1) % SAMPLES;
    recent->n_samples += recent->n_samples < SAMPLES;
    pthread_mutex_unlock(&recent->mutex);
}

struct tagd_recent_counts tagd_recent_minute(struct tagd_recent *recent, int64_t *ms)
{
    struct tagd_recent_counts of = {0, 0, 0};
    *ms = 0;
    pthread_mutex_lock(&recent->mutex);
    if (recent->n_samples > 0) {
        const struct sample *last = &recent->samples[(recent->next_sample + SAMPLES - 1) % SAMPLES];
        const struct sample *first = &recent->samples[(recent->next_sample + SAMPLES - recent->n_samples) % SAMPLES];
        *ms = last->mono_ms - first->mono_ms;
        of = (struct tagd_recent_counts){last->counts.records - first->counts.records,
                                         last->counts.changes - first->counts.changes,
                                         last->counts.dead_letters - first->counts.dead_letters};
    }
    pthread_mutex_unlock(&recent->mutex);
    return of;
}

/* ---- as JSON ---- */

static void add_member(struct tagd_buf *out, const char *key, const char *text)
{
    tagd_buf_printf(out, ",\"%s\":", key);
    if (text == NULL)
        tagd_buf_add_z(out, "null");
    else
        tagd_buf_add_json(out, tagd_str_of(text));
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* What changed, and from what to what, of whatever kind of event. */
static void add_change(const struct change *change, struct tagd_arena *arena, struct tagd_buf *out)
{
    struct tagd_json_fault fault;
    const cJSON *parsed = tagd_json_parse(arena, change->value.p, change->value.n, &fault);
    const cJSON *data = change->type[0] != '\0' ? parsed : cJSON_GetObjectItemCaseSensitive(parsed, "data");
    const char *type = change->type[0] != '\0' ? change->type : text_of(parsed, "type");
    const char *names[] = {"dimension", "alert", "goal"}, *what = NULL;
    for (size_t i = 0; i < 3 && what == NULL; i++)
        what = text_of(data, names[i]);
    tagd_buf_printf(out, "{\"shard\":%" PRIu32, change->shard);
    add_member(out, "customer", change->key);
    add_member(out, "type", type);
    add_member(out, "what", what);
    add_member(out, "from", text_of(data, "from"));
    add_member(out, "to", text_of(data, "to"));
    add_member(out, "time", change->type[0] != '\0' ? change->time : text_of(parsed, "time"));
    add_member(out, "origin", text_of(data, "origin"));
    tagd_buf_add_byte(out, '}');
}

static void add_letter(const struct letter *letter, struct tagd_buf *out)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(letter->wall_ms, time);
    tagd_buf_printf(out, "{\"partition\":%" PRIu32 ",\"offset\":%s", letter->shard,
                    letter->offset[0] == '\0' ? "null" : letter->offset);
    add_member(out, "topic", letter->topic);
    add_member(out, "code", letter->code);
    add_member(out, "reason", letter->reason);
    add_member(out, "time", time);
    tagd_buf_add_byte(out, '}');
}

/* The newest n of them, newest first, their values copied: they are read without the lock, which a worker may want. */
static size_t copy_changes(struct tagd_recent *recent, size_t max, struct tagd_arena *arena, struct change *out)
{
    pthread_mutex_lock(&recent->mutex);
    size_t n = lesser(recent->n_changes, max);
    for (size_t i = 0; i < n; i++) {
        size_t at = (recent->next_change + TAGD_RECENT_CHANGES_MAX - 1 - i) % TAGD_RECENT_CHANGES_MAX;
        out[i] = recent->changes[at];
        out[i].value.p = tagd_arena_alloc(arena, out[i].value.n + 1);
        memcpy(out[i].value.p, recent->changes[at].value.p, out[i].value.n);
    }
    pthread_mutex_unlock(&recent->mutex);
    return n;
}

void tagd_recent_changes_json(struct tagd_recent *recent, size_t max, struct tagd_buf *out)
{
    struct tagd_arena arena = {0};
    struct change *changes = tagd_xmalloc(TAGD_RECENT_CHANGES_MAX * sizeof(*changes));
    size_t n = copy_changes(recent, max, &arena, changes);
    tagd_buf_add_byte(out, '[');
    for (size_t i = 0; i < n; i++) {
        tagd_buf_add_z(out, i > 0 ? ",\n" : "\n");
        add_change(&changes[i], &arena, out);
    }
    tagd_buf_add_byte(out, ']');
    free(changes);
    tagd_arena_free(&arena);
}

void tagd_recent_letters_json(struct tagd_recent *recent, size_t max, struct tagd_buf *out)
{
    tagd_buf_add_byte(out, '[');
    pthread_mutex_lock(&recent->mutex);
    for (size_t i = 0; i < lesser(recent->n_letters, max); i++) {
        tagd_buf_add_z(out, i > 0 ? ",\n" : "\n");
        add_letter(&recent->letters[(recent->next_letter + TAGD_RECENT_LETTERS_MAX - 1 - i) % TAGD_RECENT_LETTERS_MAX],
                   out);
    }
    pthread_mutex_unlock(&recent->mutex);
    tagd_buf_add_byte(out, ']');
}
