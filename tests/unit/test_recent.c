/* What a daemon keeps of what it has done lately. */
#include "command/recent.h"
#include "log/recent.h"
#include "check.h"

static int64_t wall_ms(void)
{
    return 1795500000123;
}

static struct tagd_output change(struct tagd_arena *arena, int i)
{
    const char *value = tagd_arena_printf(arena,
                                          "{\"type\":\"tagd.tag.changed\",\"time\":\"2026-11-24T06:00:%02d.000Z\","
                                          "\"data\":{\"dimension\":\"value.level\","
                                          "\"from\":null,\"to\":\"t%d\",\"origin\":\"event\"}}",
                                          i % 60, i);
    return (struct tagd_output){.kind = TAGD_OUT_CHANGE, .key = TAGD_STR("C1"), .value = tagd_str_of(value)};
}

static struct tagd_output letter(struct tagd_arena *arena, int i)
{
    struct tagd_header *headers = tagd_arena_alloc(arena, 4 * sizeof(*headers));
    headers[0] = (struct tagd_header){TAGD_STR("tagd_error"), TAGD_STR("malformed")};
    headers[1] = (struct tagd_header){TAGD_STR("tagd_reason"), TAGD_STR("byte 1: \"no\" JSON")};
    headers[2] = (struct tagd_header){TAGD_STR("tagd_topic"), TAGD_STR("orders")};
    headers[3] = (struct tagd_header){TAGD_STR("tagd_offset"), tagd_arena_i64(arena, i)};
    return (struct tagd_output){.kind = TAGD_OUT_DEAD_LETTER, .headers = headers, .n_headers = 4};
}

/* Shards, each with so many dead letters and changes, numbered through. */
static void publish(struct tagd_recent *recent, size_t n_shards, int n_letters, int n_changes)
{
    struct tagd_arena arena = {0};
    struct tagd_shard_outputs *shards = tagd_arena_zalloc(&arena, n_shards * sizeof(*shards));
    for (size_t s = 0; s < n_shards; s++) {
        struct tagd_output *outputs = tagd_arena_alloc(&arena, (size_t)(n_letters + n_changes + 1) * sizeof(*outputs));
        for (int i = 0; i < n_letters; i++)
            outputs[i] = letter(&arena, (int)s * n_letters + i);
        for (int i = 0; i < n_changes; i++)
            outputs[n_letters + i] = change(&arena, (int)s * n_changes + i);
        shards[s] = (struct tagd_shard_outputs){
            .shard = (uint32_t)s, .outputs = outputs, .n_outputs = (size_t)(n_letters + n_changes)};
    }
    tagd_recent_published(recent, shards, n_shards);
    tagd_arena_free(&arena);
}

static size_t count(const struct tagd_buf *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text->p; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static void changes_json(struct tagd_recent *recent, size_t max, struct tagd_buf *out)
{
    out->n = 0;
    tagd_recent_changes_json(recent, max, out);
    tagd_buf_add_byte(out, '\0');
}

static void letters_json(struct tagd_recent *recent, size_t max, struct tagd_buf *out)
{
    out->n = 0;
    tagd_recent_letters_json(recent, max, out);
    tagd_buf_add_byte(out, '\0');
}

static void the_last_of_each_batch_are_kept_the_newest_first(void)
{
    struct tagd_recent *recent = tagd_recent_new(wall_ms);
    struct tagd_buf out = {0};
    changes_json(recent, 50, &out);
    CHECK(strcmp(out.p, "[]") == 0);
    publish(recent, 1, 3, 1000);
    changes_json(recent, 50, &out);
    CHECK(count(&out, "\"customer\":\"C1\"") == TAGD_RECENT_OF_BATCH_MAX);
    CHECK(strstr(out.p, "\"to\":\"t999\"") < strstr(out.p, "\"to\":\"t998\"") &&
          strstr(out.p, "\"to\":\"t979\"") == NULL);
    CHECK(
        strstr(out.p,
               "{\"shard\":0,\"customer\":\"C1\",\"type\":\"tagd.tag.changed\",\"what\":\"value.level\",\"from\":null,"
               "\"to\":\"t999\",\"time\":\"2026-11-24T06:00:39.000Z\",\"origin\":\"event\"}") != NULL);
    letters_json(recent, 100, &out);
    CHECK(count(&out, "\"code\":\"malformed\"") == 3);
    CHECK(
        strstr(
            out.p,
            "{\"partition\":0,\"offset\":2,\"topic\":\"orders\",\"code\":\"malformed\",\"reason\":\"byte 1: \\\"no\\\" "
            "JSON\",\"time\":\"2026-11-24T06:00:00.123Z\"}") != NULL);
    letters_json(recent, 2, &out);
    CHECK(count(&out, "\"code\"") == 2 && strstr(out.p, "\"offset\":2,") < strstr(out.p, "\"offset\":1,"));
    tagd_buf_free(&out);
    tagd_recent_free(recent);
}

static void rings_keep_so_many_and_no_more(void)
{
    struct tagd_recent *recent = tagd_recent_new(wall_ms);
    struct tagd_buf out = {0};
    for (int i = 0; i < 10; i++)
        publish(recent, 1, 25, 25);
    changes_json(recent, 1000, &out);
    CHECK(count(&out, "\"customer\"") == TAGD_RECENT_CHANGES_MAX);
    letters_json(recent, 1000, &out);
    CHECK(count(&out, "\"code\"") == TAGD_RECENT_LETTERS_MAX);
    tagd_buf_free(&out);
    tagd_recent_free(recent);
}

static void many_shards_of_a_batch_share_its_places(void)
{
    struct tagd_recent *recent = tagd_recent_new(wall_ms);
    struct tagd_buf out = {0};
    publish(recent, 4, 0, 50);
    changes_json(recent, 50, &out);
    CHECK(count(&out, "\"customer\"") == 20 && count(&out, "\"shard\":0,") == 5 && count(&out, "\"shard\":3,") == 5);
    tagd_recent_free(recent);
    recent = tagd_recent_new(wall_ms);
    publish(recent, 300, 1, 1);
    changes_json(recent, 50, &out);
    CHECK(count(&out, "\"customer\"") == TAGD_RECENT_OF_BATCH_MAX && strstr(out.p, "\"shard\":299,") != NULL);
    tagd_buf_free(&out);
    tagd_recent_free(recent);
}

static void binary_changes_are_read_as_well(void)
{
    struct tagd_recent *recent = tagd_recent_new(wall_ms);
    struct tagd_buf out = {0};
    const struct tagd_header headers[] = {{TAGD_STR("ce_type"), TAGD_STR("tagd.alert.raised")},
                                          {TAGD_STR("ce_time"), TAGD_STR("2026-11-24T06:00:01.000Z")}};
    const struct tagd_output output = {.kind = TAGD_OUT_CHANGE,
                                       .key = TAGD_STR("C7"),
                                       .value = TAGD_STR("{\"alert\":\"key-loss\",\"origin\":\"time\"}"),
                                       .headers = headers,
                                       .n_headers = 2};
    const struct tagd_shard_outputs shard = {.shard = 5, .outputs = &output, .n_outputs = 1};
    tagd_recent_published(recent, &shard, 1);
    changes_json(recent, 1, &out);
    CHECK(
        strcmp(out.p,
               "[\n{\"shard\":5,\"customer\":\"C7\",\"type\":\"tagd.alert.raised\",\"what\":\"key-loss\",\"from\":null,"
               "\"to\":null,\"time\":\"2026-11-24T06:00:01.000Z\",\"origin\":\"time\"}]") == 0);
    tagd_buf_free(&out);
    tagd_recent_free(recent);
}

static void a_value_past_the_limit_is_not_kept(void)
{
    struct tagd_recent *recent = tagd_recent_new(wall_ms);
    struct tagd_buf out = {0};
    char *large = tagd_xmalloc(TAGD_RECENT_CHANGE_BYTES_MAX + 1);
    memset(large, ' ', TAGD_RECENT_CHANGE_BYTES_MAX + 1);
    memcpy(large, "{}", 2);
    struct tagd_output output = {
        .kind = TAGD_OUT_CHANGE, .key = TAGD_STR("C1"), .value = {large, TAGD_RECENT_CHANGE_BYTES_MAX + 1}};
    const struct tagd_shard_outputs shard = {.outputs = &output, .n_outputs = 1};
    tagd_recent_published(recent, &shard, 1);
    changes_json(recent, 50, &out);
    CHECK(strcmp(out.p, "[]") == 0);
    output.value.n--;
    tagd_recent_published(recent, &shard, 1);
    changes_json(recent, 50, &out);
    CHECK(count(&out, "\"customer\"") == 1);
    free(large);
    tagd_buf_free(&out);
    tagd_recent_free(recent);
}

static void a_minute_is_counted_by_its_ends(void)
{
    struct tagd_recent *recent = tagd_recent_new(wall_ms);
    int64_t ms;
    CHECK(tagd_recent_minute(recent, &ms).records == 0 && ms == 0);
    for (uint64_t i = 0; i < 200; i++)
        tagd_recent_sample(recent, (int64_t)i * 1000, (struct tagd_recent_counts){10 * i, i, i / 100});
    struct tagd_recent_counts counts = tagd_recent_minute(recent, &ms);
    CHECK(ms == 60000 && counts.records == 600 && counts.changes == 60 && counts.dead_letters == 0);
    tagd_recent_free(recent);
}

static void warnings_are_kept_and_what_only_informs_is_not(void)
{
    struct tagd_log_kept *kept = tagd_xcalloc(TAGD_LOG_RECENT_MAX + 1, sizeof(*kept));
    struct tagd_error error;
    struct tagd_log line;
    struct tagd_logger *logger = tagd_logger_new(TAGD_LOG_JSON, TAGD_NOTE_INFO, "/dev/null", &error);
    char text[64];
    CHECK(logger != NULL);
    tagd_log_line(logger, TAGD_NOTE_INFO, "nothing special");
    CHECK(tagd_log_recent(kept, 10) == 0);
    tagd_log_begin(&line, logger, TAGD_NOTE_WARN, "outputs are held");
    tagd_log_text(&line, "by", "a person");
    tagd_log_text(&line, "token", "0123456789abcdef");
    tagd_log_number(&line, "n", -3);
    tagd_log_end(&line);
    CHECK(tagd_log_recent(kept, 10) == 1 && kept[0].level == TAGD_NOTE_WARN);
    CHECK(strcmp(kept[0].text, "outputs are held by=a person token=[hidden] n=-3") == 0);
    for (int i = 0; i < TAGD_LOG_RECENT_MAX + 5; i++) {
        snprintf(text, sizeof(text), "error %d", i);
        tagd_log_keep(TAGD_NOTE_ERROR, i, tagd_str_of(text));
    }
    CHECK(tagd_log_recent(kept, TAGD_LOG_RECENT_MAX + 1) == TAGD_LOG_RECENT_MAX &&
          strcmp(kept[0].text, "error 54") == 0 && strcmp(kept[TAGD_LOG_RECENT_MAX - 1].text, "error 5") == 0);
    char long_text[TAGD_LOG_RECENT_BYTES_MAX + 10];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    memcpy(long_text + TAGD_LOG_RECENT_BYTES_MAX - 1, "\xC3\xA9", 2); /* a character over the border goes whole */
    tagd_log_line(logger, TAGD_NOTE_WARN, long_text);
    CHECK(tagd_log_recent(kept, 1) == 1 && strlen(kept[0].text) == TAGD_LOG_RECENT_BYTES_MAX - 1);
    tagd_log_begin(&line, logger, TAGD_NOTE_WARN, long_text + 20);
    tagd_log_text(&line, "by", "somebody who finds no room for all of it");
    tagd_log_end(&line);
    CHECK(tagd_log_recent(kept, 1) == 1 && strlen(kept[0].text) == TAGD_LOG_RECENT_BYTES_MAX);
    tagd_logger_free(logger);
    free(kept);
}

int main(void)
{
    RUN(the_last_of_each_batch_are_kept_the_newest_first);
    RUN(rings_keep_so_many_and_no_more);
    RUN(many_shards_of_a_batch_share_its_places);
    RUN(binary_changes_are_read_as_well);
    RUN(a_value_past_the_limit_is_not_kept);
    RUN(a_minute_is_counted_by_its_ends);
    RUN(warnings_are_kept_and_what_only_informs_is_not);
    return DONE();
}
