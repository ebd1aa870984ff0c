/* What is held, from what Redis has and what the clocks say. */
#include "check.h"
#include "command/brakes.h"

#define NOW INT64_C(1700000000000)

static struct tagd_source sources[2] = {{.topic = "orders", .expect_every_ms = 60000}, {.topic = "orders2"}};

static struct tagd_held judge(const struct tagd_io_entry *brakes, size_t n_brakes, const struct tagd_io_entry *heard,
                              size_t n_heard, int64_t clock_ahead_ms)
{
    struct tagd_config config = {.sources = sources, .n_sources = 2, .grace_ms = 2000};
    struct tagd_held held;
    tagd_held_judge(&config, brakes, n_brakes, heard, n_heard, NULL, NOW, clock_ahead_ms, &held);
    return held;
}

static struct tagd_io_entry entry(const char *field, const char *value)
{
    return (struct tagd_io_entry){tagd_str_of(field), tagd_str_of(value)};
}

static void an_empty_board_holds_nothing(void)
{
    struct tagd_held held = judge(NULL, 0, NULL, 0, 0);
    CHECK(!held.outputs && held.time_to_ms == INT64_MAX && !held.clock_apart && held.limits_off_ms == INT64_MIN);
    CHECK(held.sources[0].latest_ms == INT64_MIN && !held.sources[0].silent && !held.sources[0].held);
}

static void a_hold_says_since_when_by_whom_and_why(void)
{
    struct tagd_io_entry brakes[] = {entry("hold", "1699999999000 host-1 b\nvalue.level changed\n9 times"),
                                     entry("limits_off", "1700000100000")};
    struct tagd_held held = judge(brakes, 2, NULL, 0, 0);
    CHECK(held.outputs && held.since_ms == 1699999999000 && strcmp(held.by, "host-1 b") == 0);
    CHECK(strcmp(held.why, "value.level changed\n9 times") == 0 && held.limits_off_ms == 1700000100000);
}

static void what_nobody_can_read_holds_all_the_same(void)
{
    static const char *const values[] = {"", "x", "12 a", "12\na b", " \n"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct tagd_io_entry brakes = entry("hold", values[i]);
        CHECK(judge(&brakes, 1, NULL, 0, 0).outputs);
    }
}

static void a_source_is_silent_a_millisecond_after_it_was_expected(void)
{
    struct tagd_io_entry heard[] = {entry("order", "1699999939000"), entry("orders", "1699999938000"),
                                    entry("orders2", "1")};
    struct tagd_held held = judge(NULL, 0, heard, 3, 0);
    CHECK(held.sources[0].latest_ms == 1699999938000 && held.time_to_ms == 1699999998000);
    CHECK(!held.sources[0].silent && held.sources[1].latest_ms == 1 && !held.sources[1].silent);
    heard[1] = entry("orders", "1699999937999");
    held = judge(NULL, 0, heard, 3, 0);
    CHECK(held.sources[0].silent && held.sources[0].held && held.time_to_ms == 1699999997999);
}

/* A daemon that reads old events, after a restart or behind another, doesn't make the source silent; nor does Redis, that
 * knows less than this one. */
static void the_later_of_what_redis_and_the_daemon_know_counts(void)
{
    struct tagd_config config = {.sources = sources, .n_sources = 2, .grace_ms = 2000};
    struct tagd_io_entry heard = entry("orders", "1699999938000");
    struct tagd_held held;
    for (int64_t more = -1; more <= 1; more++) {
        int64_t own[2] = {INT64_C(1699999938000) + more, INT64_MIN};
        tagd_held_judge(&config, NULL, 0, &heard, 1, own, NOW, 0, &held);
        CHECK(held.sources[0].heard_ms == 1699999938000);
        CHECK(held.sources[0].latest_ms == 1699999938000 + (more > 0));
        CHECK(held.sources[1].heard_ms == INT64_MIN && held.sources[1].latest_ms == INT64_MIN);
    }
}

static void what_is_no_number_was_not_said(void)
{
    struct tagd_io_entry brakes[] = {entry("limits_off", "1700000100000x"), entry("silent orders", "1699999938000 ")};
    struct tagd_io_entry heard = entry("orders", "1699999938000.");
    struct tagd_held held = judge(brakes, 2, &heard, 1, 0);
    CHECK(held.limits_off_ms == INT64_MIN && held.sources[0].released_ms == INT64_MIN);
    CHECK(held.sources[0].heard_ms == INT64_MIN && held.sources[0].latest_ms == INT64_MIN);
}

static void a_silence_that_was_released_is_believed_until_the_next_event(void)
{
    struct tagd_io_entry heard = entry("orders", "1699999000000"), brakes = entry("silent orders", "1699999000000");
    struct tagd_held held = judge(&brakes, 1, &heard, 1, 0);
    CHECK(held.sources[0].silent && !held.sources[0].held && held.time_to_ms == INT64_MAX);
    heard = entry("orders", "1699999000001");
    held = judge(&brakes, 1, &heard, 1, 0);
    CHECK(held.sources[0].held && held.time_to_ms == 1699999060001);
    brakes = entry("silent orders2", "1799999000001"); /* of another topic */
    CHECK(judge(&brakes, 1, &heard, 1, 0).sources[0].held);
}

static void clocks_may_differ_by_a_minute_or_as_was_believed(void)
{
    struct tagd_io_entry brakes = entry("clock", "100000");
    CHECK(!judge(NULL, 0, NULL, 0, TAGD_CLOCKS_APART_MS).clock_apart);
    CHECK(judge(NULL, 0, NULL, 0, TAGD_CLOCKS_APART_MS + 1).clock_apart);
    CHECK(judge(NULL, 0, NULL, 0, -TAGD_CLOCKS_APART_MS - 1).clock_apart);
    CHECK(!judge(NULL, 0, NULL, 0, INT64_MIN).clock_apart);
    CHECK(!judge(&brakes, 1, NULL, 0, 100000 + TAGD_CLOCKS_APART_MS).clock_apart);
    CHECK(judge(&brakes, 1, NULL, 0, 100000 + TAGD_CLOCKS_APART_MS + 1).clock_apart);
    CHECK(!judge(&brakes, 1, NULL, 0, 0).clock_apart);
}

static void a_clock_that_was_not_told_is_where_it_was(void)
{
    struct tagd_held before = judge(NULL, 0, NULL, 0, 600000), now = judge(NULL, 0, NULL, 0, INT64_MIN);
    tagd_held_keep_clock(&now, &before);
    CHECK(now.clock_apart && now.clock_ahead_ms == 600000);
    now = judge(NULL, 0, NULL, 0, 0);
    tagd_held_keep_clock(&now, &before);
    CHECK(!now.clock_apart && now.clock_ahead_ms == 0);
}

static void numbers_past_all_time_are_taken_as_they_are(void)
{
    static const char *const numbers[] = {"9223372036854775807", "-9223372036854775808", "-9223372036854775807"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct tagd_io_entry brakes = entry("clock", numbers[i]), heard = entry("orders", numbers[i]);
        struct tagd_held held = judge(&brakes, 1, &heard, 1, 100000);
        CHECK(held.clock_apart);
        CHECK(held.sources[0].silent == (i == 2)); /* the least number is "never heard of" */
        CHECK(judge(&brakes, 1, NULL, 0, INT64_MAX).clock_apart == (i > 0));
        CHECK(judge(&brakes, 1, NULL, 0, INT64_MIN + 1).clock_apart == (i == 0));
    }
}

int main(void)
{
    RUN(an_empty_board_holds_nothing);
    RUN(a_hold_says_since_when_by_whom_and_why);
    RUN(what_nobody_can_read_holds_all_the_same);
    RUN(a_source_is_silent_a_millisecond_after_it_was_expected);
    RUN(the_later_of_what_redis_and_the_daemon_know_counts);
    RUN(what_is_no_number_was_not_said);
    RUN(a_silence_that_was_released_is_believed_until_the_next_event);
    RUN(clocks_may_differ_by_a_minute_or_as_was_believed);
    RUN(a_clock_that_was_not_told_is_where_it_was);
    RUN(numbers_past_all_time_are_taken_as_they_are);
    return DONE();
}
