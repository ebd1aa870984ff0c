/* Goals: what starts one, what reaches it, when it is missed, who is held out. */
#include "shop.h"

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define DAY ((int64_t)TAGD_MS_DAY)
#define GOAL(more)                                                                                                     \
    "\"goals\":{\"back\":{\"start\":\"b.activity.dormant\",\"reach\":\"order.paid{amount>=10}\",\"within\":"           \
    "\"30d\"" more "}},"
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"dormant\",\"when\":\"since(interaction) >= 30d\"},{\"tag\":\"active\","      \
    "\"when\":\"true\"}]}"

/* A customer who falls dormant 30 days after T0. */
static struct shop dormant(const char *goal)
{
    struct shop shop = shop_open(goal, ACTIVITY);
    shop.in_full = true;
    shop_event(&shop, "login", T0, "{}");
    shop_forget(&shop);
    shop_time(&shop, T0 + 30 * DAY);
    return shop;
}

static void entering_the_tag_starts_a_goal_and_says_by_when(void)
{
    struct shop shop = dormant(GOAL(""));
    struct tagd_goal_state goal;
    CHECK(shop_tells(&shop, "\"to\":\"dormant\""));
    CHECK(
        shop_tells(&shop, "\"goal\":{\"name\":\"back\",\"deadline\":\"2024-01-13T22:13:20.000Z\",\"holdout\":false}"));
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.running && goal.started == T0 + 30 * DAY);
    CHECK(goal.outcome == TAGD_GOAL_NONE);
    shop_close(&shop);
}

static void an_event_up_to_the_last_millisecond_reaches_it(void)
{
    struct shop shop = dormant(GOAL(""));
    struct tagd_goal_state goal;
    shop_forget(&shop);
    shop_event(&shop, "order.paid", T0 + 60 * DAY - 1, "{\"amount\":10}");
    CHECK(shop_tells(&shop, "\"id\":\"goal:c:1\",\"source\":\"tagd/g\",\"type\":\"tagd.goal.reached\""));
    CHECK(shop_tells(&shop, "\"causationid\":\"test#e1\""));
    CHECK(shop_tells(&shop, "\"data\":{\"goal\":\"back\",\"dimension\":\"b.activity\",\"tag\":\"dormant\","
                            "\"started\":\"2023-12-14T22:13:20.000Z\",\"deadline\":\"2024-01-13T22:13:20.000Z\","
                            "\"holdout\":false,\"revision\":1,\"catalog\":\"shop@1\",\"origin\":\"event\","
                            "\"tags\":{\"b.activity\":\"active\"},\"caught_up\":true}"));
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(!goal.running && goal.outcome == TAGD_GOAL_REACHED && goal.ended == T0 + 60 * DAY - 1);
    shop_close(&shop);
}

static void at_the_deadline_it_is_missed_before_an_event_of_that_instant(void)
{
    struct shop shop = dormant(GOAL(""));
    shop_forget(&shop);
    shop_time(&shop, T0 + 60 * DAY - 1);
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "order.paid", T0 + 60 * DAY, "{\"amount\":10}");
    CHECK(shop_tells(&shop, "\"type\":\"tagd.goal.missed\""));
    CHECK(shop_tells(&shop, "\"origin\":\"time\",\"tags\":{\"b.activity\":\"dormant\"}"));
    CHECK(!strstr(shop.seen.p, "tagd.goal.reached"));
    shop_close(&shop);
}

static void a_goal_that_a_repair_leaves_running_is_missed_in_its_time(void)
{
    struct shop shop = dormant(GOAL(""));
    tagd_engine_repair(shop.engine, shop.profile, (struct tagd_sink){&shop, shop_change});
    shop_forget(&shop);
    shop_time(&shop, T0 + 60 * DAY - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, T0 + 60 * DAY);
    CHECK(shop_tells(&shop, "\"type\":\"tagd.goal.missed\""));
    shop_close(&shop);
}

static void an_event_that_the_filter_passes_over_reaches_nothing(void)
{
    struct shop shop = dormant(GOAL(""));
    struct tagd_goal_state goal;
    shop_event(&shop, "order.paid", T0 + 31 * DAY, "{\"amount\":9.9999}");
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.running);
    shop_event(&shop, "order.paid", T0 + 32 * DAY, "{\"amount\":10}");
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.outcome == TAGD_GOAL_REACHED);
    shop_close(&shop);
}

static void a_late_event_of_before_the_start_reaches_nothing(void)
{
    struct shop shop = dormant(GOAL(""));
    struct tagd_goal_state goal;
    shop.watermark = T0 + 40 * DAY;
    shop_event(&shop, "order.paid", T0 + 30 * DAY - 1, "{\"amount\":10}");
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.running);
    shop_event(&shop, "order.paid", T0 + 30 * DAY, "{\"amount\":10}");
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.outcome == TAGD_GOAL_REACHED && goal.ended == T0 + 40 * DAY);
    shop_close(&shop);
}

static void entering_again_while_it_runs_starts_none_and_names_the_first_deadline(void)
{
    struct shop shop =
        dormant("\"goals\":{\"back\":{\"start\":\"b.activity.dormant\",\"reach\":\"order.paid\",\"within\":\"90d\"}},");
    shop_event(&shop, "login", T0 + 31 * DAY, "{}");
    shop_forget(&shop);
    shop_time(&shop, T0 + 61 * DAY);
    CHECK(shop_tells(&shop, "\"to\":\"dormant\""));
    CHECK(shop_tells(&shop, "\"deadline\":\"2024-03-13T22:13:20.000Z\"")); /* 90 days after the first start */
    shop_event(&shop, "order.paid", T0 + 62 * DAY, "{}");
    shop_forget(&shop);
    shop_time(&shop, T0 + 92 * DAY);
    CHECK(shop_tells(&shop, "\"deadline\":\"2024-05-14T22:13:20.000Z\"")); /* a new one */
    shop_close(&shop);
}

static void the_event_that_starts_a_goal_does_not_reach_it(void)
{
    struct shop shop =
        shop_open("\"goals\":{\"again\":{\"start\":\"v.buyer.yes\",\"reach\":\"order.paid\",\"within\":\"7d\"}},",
                  "\"v.buyer\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(order.paid) >= 1\"}]}");
    struct tagd_goal_state goal;
    shop_event(&shop, "order.paid", T0, "{}");
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.running && goal.outcome == TAGD_GOAL_NONE);
    shop_event(&shop, "order.paid", T0, "{}"); /* another one at the same instant does */
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(!goal.running && goal.outcome == TAGD_GOAL_REACHED);
    shop_close(&shop);
}

static void who_is_held_out_is_said_by_name_and_share_alone(void)
{
    /* CRC-32 of "back:c" is 0xCCAFC3B8: modulo 10,000 it is 968 */
    const char *const shares[] = {"0", "0.0968", "0.0969", "1"};
    for (size_t i = 0; i < 4; i++) {
        char goal[300];
        snprintf(goal, sizeof goal, GOAL(",\"target\":0.15,\"holdout\":%s"), shares[i]);
        struct shop shop = dormant(goal);
        CHECK(tagd_crc32(TAGD_STR("back:c")) % TAGD_DECIMAL_ONE == 968);
        CHECK(shop_tells(&shop, i < 2 ? "\"holdout\":false" : "\"holdout\":true"));
        shop_close(&shop);
    }
}

static void history_starts_and_ends_goals_untold(void)
{
    struct shop shop = shop_open(GOAL(""), ACTIVITY);
    struct tagd_goal_state goal;
    shop.in_full = true;
    tagd_engine_telling(shop.engine, TAGD_BASELINE);
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 61 * DAY);
    CHECK(shop_saw(&shop, "") && tagd_profile_revision(shop.profile, TAGD_KIND_GOAL) == 0);
    tagd_profile_goal(shop.profile, 0, &goal);
    CHECK(goal.outcome == TAGD_GOAL_MISSED);
    shop_event(&shop, "login", T0 + 62 * DAY, "{}");
    shop_time(&shop, T0 + 93 * DAY);
    tagd_engine_telling(shop.engine, TAGD_TOLD);
    shop_event(&shop, "order.paid", T0 + 94 * DAY, "{\"amount\":10}");
    CHECK(shop_tells(&shop, "\"id\":\"goal:c:1\"")); /* what history started is told as it ends */
    shop_close(&shop);
}

static void goals_that_ended_are_told_before_the_tags_of_that_instant(void)
{
    struct shop shop = shop_open(
        "\"goals\":{\"back\":{\"start\":\"b.activity.dormant\",\"reach\":\"order.paid\",\"within\":\"60d\"}},",
        "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) >= 90d\"},"
        "{\"tag\":\"dormant\",\"when\":\"since(interaction) >= 30d\"}]}");
    shop.in_full = true;
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 90 * DAY);
    tagd_buf_add_byte(&shop.seen, 0);
    const char *missed = strstr(shop.seen.p, "tagd.goal.missed"), *lost = strstr(shop.seen.p, "\"to\":\"lost\"");
    CHECK(missed && lost && missed < lost);
    CHECK(strstr(missed, "\"tags\":{\"b.activity\":\"lost\"}")); /* and all tags are those after it */
    shop_close(&shop);
}

int main(void)
{
    RUN(entering_the_tag_starts_a_goal_and_says_by_when);
    RUN(an_event_up_to_the_last_millisecond_reaches_it);
    RUN(at_the_deadline_it_is_missed_before_an_event_of_that_instant);
    RUN(a_goal_that_a_repair_leaves_running_is_missed_in_its_time);
    RUN(an_event_that_the_filter_passes_over_reaches_nothing);
    RUN(a_late_event_of_before_the_start_reaches_nothing);
    RUN(entering_again_while_it_runs_starts_none_and_names_the_first_deadline);
    RUN(the_event_that_starts_a_goal_does_not_reach_it);
    RUN(who_is_held_out_is_said_by_name_and_share_alone);
    RUN(history_starts_and_ends_goals_untold);
    RUN(goals_that_ended_are_told_before_the_tags_of_that_instant);
    return DONE();
}
