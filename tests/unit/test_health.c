/* Whether the daemon keeps up, in words. */
#include "command/health.h"
#include "check.h"

static struct tagd_held held;
static struct tagd_io_server server;
static struct tagd_health_shard shards[4];
static struct tagd_health health;

/* Four shards that run, and nothing wrong. */
static struct tagd_health_facts well(void)
{
    held = (struct tagd_held){.limits_off_ms = INT64_MIN};
    server = (struct tagd_io_server){.memory_bytes = 1000, .aof = true};
    for (uint32_t i = 0; i < 4; i++)
        shards[i] =
            (struct tagd_health_shard){.shard = i, .status = TAGD_SHARD_RUNNING, .since_ms = 60000, .lag_ms = 2100};
    return (struct tagd_health_facts){.shards = shards,
                                      .n_shards = 4,
                                      .assignments = 1,
                                      .uptime_ms = 3600000,
                                      .redis = "127.0.0.1:6379",
                                      .kafka = "127.0.0.1:9092",
                                      .config = "tagd.json",
                                      .redis_why = "",
                                      .kafka_trouble_ms = INT64_MAX,
                                      .held = &held,
                                      .n_sources = 2,
                                      .server = &server,
                                      .minute = {1000, 100, 0},
                                      .grace_ms = 2000};
}

static bool says(const char *text)
{
    return strstr(health.headline, text) != NULL;
}

static void judge(const struct tagd_health_facts *facts)
{
    tagd_health_judge(facts, &health);
}

static void all_well_is_keeping_up(void)
{
    struct tagd_health_facts facts = well();
    judge(&facts);
    CHECK(health.severity == TAGD_FINE && health.keeps_up && health.n_problems == 0 &&
          strcmp(health.headline, "Keeping up") == 0);
}

static void a_stalled_shard_names_the_server_that_is_silent(void)
{
    struct tagd_health_facts facts = well();
    shards[3].status = TAGD_SHARD_STALLED;
    shards[3].still_ms = 12400;
    facts.redis_silent_ms = 13000;
    facts.redis_why = "no answer in time";
    facts.kafka_trouble_ms = 0;
    judge(&facts);
    CHECK(health.severity == TAGD_ERROR && !health.keeps_up && health.n_problems == 1);
    CHECK(
        strcmp(
            health.headline,
            "Shard 3 has not moved for 12 s: Redis at 127.0.0.1:6379 has not answered for 13 s: no answer in time.") ==
        0);
    CHECK(strstr(health.problems[0].remedy, "redis-cli ping") != NULL);
    facts.redis_silent_ms = TAGD_HEALTH_REDIS_MS; /* asked every second: not silent yet */
    judge(&facts);
    CHECK(says("Kafka at 127.0.0.1:9092 does not answer as it should"));
    facts.kafka_trouble_ms = TAGD_HEALTH_KAFKA_MS; /* long ago */
    facts.step_ms = TAGD_HEALTH_STEP_MS;
    judge(&facts);
    CHECK(health.n_problems == 1 && says("a worker's thread has been in one step for 5 s"));
    shards[3].open_ms = TAGD_STALLED_MS;
    judge(&facts);
    CHECK(says("a producer's transaction has been open for 5 s"));
    shards[3].open_ms = TAGD_STALLED_MS - 1;
    facts.step_ms = TAGD_HEALTH_STEP_MS - 1;
    judge(&facts);
    CHECK(says("Shard 3 has not moved for 12 s, though there is something to do"));
}

static void several_shards_are_named_or_counted(void)
{
    struct tagd_health_facts facts = well();
    for (int i = 0; i < 4; i++)
        shards[i].still_ms = 7000 + i;
    shards[0].status = shards[2].status = TAGD_SHARD_STALLED;
    judge(&facts);
    CHECK(says("Shards 0 and 2 have not moved for 7 s"));
    shards[1].status = TAGD_SHARD_STALLED;
    judge(&facts);
    CHECK(says("Shards 0, 1 and 2 have not moved"));
    shards[3].status = TAGD_SHARD_STALLED;
    judge(&facts);
    CHECK(says("All 4 shards have not moved"));
    struct tagd_health_shard many[6];
    for (uint32_t i = 0; i < 6; i++)
        many[i] = (struct tagd_health_shard){
            .shard = i, .status = i < 5 ? TAGD_SHARD_STALLED : TAGD_SHARD_RUNNING, .still_ms = 130000};
    facts.shards = many;
    facts.n_shards = 6;
    judge(&facts);
    CHECK(says("Shards 0, 1, 2 and 2 more have not moved for 2 min"));
}

static void redis_that_is_silent_is_told_also_if_no_shard_stands(void)
{
    struct tagd_health_facts facts = well();
    facts.redis_silent_ms = TAGD_HEALTH_REDIS_MS;
    judge(&facts);
    CHECK(health.severity == TAGD_FINE);
    facts.redis_silent_ms = TAGD_HEALTH_REDIS_MS + 1;
    judge(&facts);
    CHECK(health.severity == TAGD_ERROR && !health.keeps_up &&
          says("Redis at 127.0.0.1:6379 has not answered for 3 s."));
}

static void a_take_over_has_its_time(void)
{
    struct tagd_health_facts facts = well();
    shards[1].status = TAGD_SHARD_RECOVERING;
    shards[1].since_ms = TAGD_HEALTH_TAKEOVER_MS - 1;
    judge(&facts);
    CHECK(health.severity == TAGD_FINE);
    shards[1].since_ms++;
    judge(&facts);
    CHECK(health.severity == TAGD_ERROR && says("Shard 1 has not come up for 10 s"));
}

static void lag_counts_beyond_grace(void)
{
    struct tagd_health_facts facts = well();
    shards[2].lag_ms = facts.grace_ms + TAGD_HEALTH_LAG_MS - 1;
    shards[2].lag_records = 1234;
    judge(&facts);
    CHECK(health.severity == TAGD_FINE);
    shards[2].lag_ms++;
    judge(&facts);
    CHECK(health.severity == TAGD_WARNING && !health.keeps_up &&
          says("Shard 2 is 30 s behind, with 1234 records to read."));
    facts.time_events = true; /* the clock has no part in it */
    judge(&facts);
    CHECK(health.severity == TAGD_FINE);
}

static void what_is_held_comes_with_the_command_that_releases_it(void)
{
    struct tagd_health_facts facts = well();
    held.outputs = true;
    held.since_ms = 1795500000000;
    strcpy(held.by, "host-a");
    strcpy(held.why, "a wrong catalog");
    judge(&facts);
    CHECK(health.severity == TAGD_WARNING && !health.keeps_up);
    CHECK(says("Changes are kept and not published since 2026-11-24 06:00:00 UTC, held by host-a: a wrong catalog."));
    CHECK(strstr(health.problems[0].remedy, "tagd release --config tagd.json --outputs") != NULL);
    held.sources[1] = (struct tagd_held_source){.topic = "logins", .latest_ms = 1795500000000, .held = true};
    held.clock_apart = true;
    held.clock_ahead_ms = -61000;
    judge(&facts);
    CHECK(health.n_problems == 3 && strstr(health.problems[1].remedy, "--source logins") != NULL);
    CHECK(strstr(health.problems[2].what, "61 s behind") != NULL &&
          strstr(health.problems[2].remedy, "--clock") != NULL);
}

static void records_that_cannot_be_used_are_told_and_it_keeps_up(void)
{
    struct tagd_health_facts facts = well();
    facts.minute.dead_letters = TAGD_HEALTH_LETTERS - 1;
    judge(&facts);
    CHECK(health.severity == TAGD_FINE);
    facts.minute.dead_letters++; /* 10 of 1000: one in a hundred */
    judge(&facts);
    CHECK(health.severity == TAGD_WARNING && health.keeps_up);
    CHECK(says("Keeping up, but 10 of the last minute's 1000 records could not be used"));
    facts.minute.records++;
    judge(&facts);
    CHECK(health.severity == TAGD_FINE);
}

static void the_worst_comes_first(void)
{
    struct tagd_health_facts facts = well();
    facts.minute.dead_letters = 500;
    shards[0].status = TAGD_SHARD_REPAIRING;
    server.aof_failing = true;
    server.memory_max_bytes = 1000;
    server.evicted = 7;
    judge(&facts);
    CHECK(health.n_problems == 5 && health.problems[0].severity == TAGD_ERROR &&
          health.problems[4].severity == TAGD_WARNING);
    CHECK(says("Redis has evicted 7 keys") && !health.keeps_up);
    server.memory_max_bytes = 1200; /* 83 % */
    judge(&facts);
    CHECK(health.n_problems == 4);
}

static void starting_and_standing_by_are_no_faults(void)
{
    struct tagd_health_facts facts = well();
    facts.n_shards = 0;
    judge(&facts);
    CHECK(health.severity == TAGD_NOTICE && health.keeps_up && says("Standing by"));
    facts.kafka_trouble_ms = TAGD_HEALTH_KAFKA_MS - 1; /* or the group has lost it */
    judge(&facts);
    CHECK(health.severity == TAGD_ERROR && !health.keeps_up);
    CHECK(says("This process has no shard, and Kafka at 127.0.0.1:9092 does not answer as it should."));
    facts.kafka_trouble_ms = TAGD_HEALTH_KAFKA_MS;
    judge(&facts);
    CHECK(health.severity == TAGD_NOTICE);
    facts.assignments = 0;
    facts.uptime_ms = TAGD_HEALTH_START_MS - 1;
    judge(&facts);
    CHECK(health.severity == TAGD_NOTICE && !health.keeps_up && says("Starting: 0 of 0 shards run"));
    facts.uptime_ms++;
    judge(&facts);
    CHECK(health.severity == TAGD_ERROR && says("has given this instance no shard for 15 s"));
}

static void a_worker_that_failed_or_stands_is_told(void)
{
    struct tagd_health_facts facts = well();
    facts.step_ms = TAGD_HEALTH_STEP_MS;
    judge(&facts);
    CHECK(health.severity == TAGD_WARNING && !health.keeps_up && says("in one step for 5 s"));
    facts.failed = "records were deleted";
    judge(&facts);
    CHECK(health.severity == TAGD_ERROR && says("A worker can't go on, and the daemon stops: records were deleted."));
}

int main(void)
{
    RUN(all_well_is_keeping_up);
    RUN(a_stalled_shard_names_the_server_that_is_silent);
    RUN(several_shards_are_named_or_counted);
    RUN(redis_that_is_silent_is_told_also_if_no_shard_stands);
    RUN(a_take_over_has_its_time);
    RUN(lag_counts_beyond_grace);
    RUN(what_is_held_comes_with_the_command_that_releases_it);
    RUN(records_that_cannot_be_used_are_told_and_it_keeps_up);
    RUN(the_worst_comes_first);
    RUN(starting_and_standing_by_are_no_faults);
    RUN(a_worker_that_failed_or_stands_is_told);
    return DONE();
}
