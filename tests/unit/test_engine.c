#include "profile/state.h"
#include "shop.h"

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define DAY ((int64_t)TAGD_MS_DAY)
#define HOUR INT64_C(3600000)
#define ACTIVITY                                                                                                       \
    "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) > "                                     \
    "90d\"},{\"tag\":\"dormant\",\"when\":\"since(interaction) >= 30d\"},{\"tag\":\"fresh\",\"when\":\"true\"}]}"

static void silence_changes_a_tag_at_its_very_millisecond(void)
{
    struct shop shop = shop_open("", ACTIVITY);
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, "b.activity ->fresh@1700000000000;"));
    shop_time(&shop, T0 + 30 * DAY - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, T0 + 30 * DAY);
    CHECK(shop_saw(&shop, "b.activity fresh>dormant@1702592000000;"));
    shop_time(&shop, T0 + 90 * DAY);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, T0 + 90 * DAY + 1);
    CHECK(shop_saw(&shop, "b.activity dormant>lost@1707776000001;"));
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

static void time_comes_before_an_event_at_the_same_instant(void)
{
    struct shop shop = shop_open("", ACTIVITY);
    shop_event(&shop, "login", T0, "{}");
    shop_saw(&shop, "b.activity ->fresh@1700000000000;");
    shop_event(&shop, "login", T0 + 30 * DAY, "{}");
    CHECK(shop_saw(&shop, "b.activity fresh>dormant@1702592000000;b.activity dormant>fresh@1702592000000;"));
    shop_close(&shop);
}

static void a_pane_leaves_its_window_as_a_whole(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"two\",\"when\":\"count(login[2h:1h]) >= "
                                     "2\"},{\"tag\":\"one\",\"when\":\"count(login[2h:1h]) >= 1\"}]}");
    int64_t hour = 3600000, start = T0 / hour * hour;
    shop_event(&shop, "login", start + 10, "{}");
    shop_event(&shop, "login", start + hour, "{}");
    CHECK(shop_saw(&shop, "b.n ->one@1699999200010;b.n one>two@1700002800000;"));
    shop_time(&shop, start + 2 * hour - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, start + 10 * hour);
    CHECK(shop_saw(&shop, "b.n two>one@1700006400000;b.n one>-@1700010000000;"));
    shop_close(&shop);
}

static void a_day_pane_begins_at_local_midnight(void)
{
    struct shop shop = shop_open("\"timezone\":\"+08:00\",",
                                 "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(login[1d:1d]) > 0\"}]}");
    shop_event(&shop, "login", T0, "{}"); /* 06:13:20 local on the 15th */
    shop_time(&shop, T0 + 2 * DAY);
    CHECK(shop_saw(&shop, "b.n ->yes@1700000000000;b.n yes>-@1700064000000;")); /* 2023-11-15T16:00Z */
    shop_close(&shop);
}

static void an_offset_window_fills_and_empties_later(void)
{
    struct shop shop =
        shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(login[1h:1h] offset 1h) > 0\"}]}");
    int64_t hour = 3600000, start = T0 / hour * hour;
    shop_event(&shop, "login", start + 5, "{}");
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, start + 10 * hour);
    CHECK(shop_saw(&shop, "b.n ->yes@1700002800000;b.n yes>-@1700006400000;"));
    shop_close(&shop);
}

static void a_late_event_still_counts_in_its_pane(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"two\",\"when\":\"count(login[1d]) >= 2\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_event(&shop, "login", T0 - DAY / 2, "{}");
    CHECK(shop_saw(&shop, "b.n ->two@1700000000000;"));
    shop_event(&shop, "login", T0 - 40 * DAY, "{}");
    shop_time(&shop, T0 + DAY);
    CHECK(shop_saw(&shop, "b.n two>-@1700042400000;")); /* the hour pane of T0 - 12 h ends a day on */
    shop_close(&shop);
}

static void a_duplicate_is_ignored_within_its_span_and_no_longer(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"two\",\"when\":\"count(order.paid) >= 2\"}]}");
    CHECK(shop_event_id(&shop, "order.paid", "x", T0, "{}") == TAGD_APPLIED);
    CHECK(shop_event_id(&shop, "order.paid", "x", T0 + 3600000, "{}") == TAGD_DUPLICATE);
    CHECK(shop_event_id(&shop, "order.paid", "x", T0 + 3600001, "{}") == TAGD_APPLIED);
    CHECK(shop_event_id(&shop, "login", "y", T0 + 3600002, "{}") == TAGD_APPLIED);
    CHECK(shop_event_id(&shop, "login", "y", T0 + 3600002, "{}") == TAGD_APPLIED);
    CHECK(shop_saw(&shop, "b.n ->two@1700003600001;"));
    shop_close(&shop);
}

static void a_baseline_changes_tags_but_numbers_and_tells_none(void)
{
    struct shop shop = shop_open("", ACTIVITY);
    tagd_engine_telling(shop.engine, TAGD_BASELINE);
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 40 * DAY);
    CHECK(shop_saw(&shop, ""));
    CHECK(tagd_profile_tag(shop.profile, 0) == 1 && tagd_profile_revision(shop.profile, TAGD_KIND_TAG) == 0);
    CHECK(tagd_profile_changed_at(shop.profile) == T0 + 30 * DAY);
    struct tagd_buf bytes = {0};
    tagd_profile_encode(shop.profile, &bytes);
    CHECK(tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, NULL));
    tagd_buf_free(&bytes);
    tagd_profile_check(shop.profile);
    tagd_engine_telling(shop.engine, TAGD_TOLD);
    shop_time(&shop, T0 + 91 * DAY);
    CHECK(shop_saw(&shop, "b.activity dormant>lost@1707776000001;"));
    CHECK(tagd_profile_revision(shop.profile, TAGD_KIND_TAG) == 1);
    shop_close(&shop);
}

static void a_value_is_the_tag_and_a_number_has_no_trailing_zeros(void)
{
    struct shop shop = shop_open("", "\"v.max\":{\"value\":\"max(amount, order.paid)\"},"
                                     "\"v.coupon\":{\"value\":\"latest(coupon, order.paid)\"},"
                                     "\"v.day\":{\"value\":\"latest(day, order.paid)\"},"
                                     "\"v.due\":{\"value\":\"latest(due, order.paid)\"},"
                                     "\"v.category\":{\"value\":\"latest(category, order.paid)\"}");
    shop_event(&shop, "order.paid", T0, "{\"amount\":20.5000}");
    CHECK(shop_saw(&shop, "v.max ->20.5@1700000000000;"));
    shop_event(&shop, "order.paid", T0 + 1, "{\"amount\":100,\"coupon\":false,\"category\":\"\"}");
    CHECK(shop_saw(&shop, "v.max 20.5>100@1700000000001;v.coupon ->false@1700000000001;v.category ->@1700000000001;"));
    shop_event(&shop, "order.paid", T0 + 2,
               "{\"day\":\"2024-02-29\",\"due\":\"2023-11-15T08:00:00.5+08:00\",\"category\":\"美妆\"}");
    CHECK(shop_saw(&shop, "v.day ->2024-02-29@1700000000002;v.due ->2023-11-15T00:00:00.500Z@1700000000002;"
                          "v.category >美妆@1700000000002;"));
    shop_close(&shop);
}

static void the_most_frequent_value_wins_and_of_equals_the_one_seen_last(void)
{
    struct shop shop = shop_open("", "\"v.top\":{\"value\":\"top(category, order.paid[2h:1h])\"}");
    int64_t hour = 3600000, start = T0 / hour * hour;
    shop_event(&shop, "order.paid", start + 1, "{\"category\":\"a\"}");
    shop_event(&shop, "order.paid", start + 2, "{\"category\":\"b\"}");
    CHECK(shop_saw(&shop, "v.top ->a@1699999200001;v.top a>b@1699999200002;"));
    shop_event(&shop, "order.paid", start + 2, "{\"category\":\"a\"}");
    CHECK(shop_saw(&shop, "v.top b>a@1699999200002;"));
    shop_event(&shop, "order.paid", start + hour, "{\"category\":\"b\"}");
    shop_event(&shop, "order.paid", start + hour + 1, "{}"); /* has no part in it */
    CHECK(shop_saw(&shop, "v.top a>b@1700002800000;"));
    shop_event(&shop, "order.paid", start + hour + 1, "{\"category\":\"a\"}");
    CHECK(shop_saw(&shop, "v.top b>a@1700002800001;"));
    shop_time(&shop, start + 5 * hour); /* one each is left, a last; then none */
    CHECK(shop_saw(&shop, "v.top a>-@1700010000000;"));
    start += 10 * hour;
    for (int i = 0; i < 3; i++)
        shop_event(&shop, "order.paid", start + i, "{\"category\":\"a\"}");
    shop_event(&shop, "order.paid", start + hour, "{\"category\":\"b\"}");
    shop_time(&shop, start + 2 * hour); /* all three leave at once */
    CHECK(shop_saw(&shop, "v.top ->a@1700035200000;v.top a>b@1700042400000;"));
    shop_close(&shop);
}

static void distinct_counts_values_and_days_count_local_days(void)
{
    struct shop shop = shop_open("\"timezone\":\"+05:30\",",
                                 "\"v.distinct\":{\"value\":\"distinct(amount, order.paid[2h:1h])\"},"
                                 "\"v.days\":{\"value\":\"days(login[2h:1h])\"},\"v.all\":{\"value\":\"days(login)\"}");
    int64_t hour = 3600000, midnight = INT64_C(1700073000000); /* 2023-11-15T18:30Z: local midnight within an hour */
    shop_event(&shop, "order.paid", midnight - hour, "{\"amount\":1}");
    CHECK(shop_saw(&shop, "v.distinct ->1@1700069400000;v.days ->0@1700069400000;v.all ->0@1700069400000;"));
    shop_event(&shop, "order.paid", midnight - hour, "{\"amount\":1.00004}");
    shop_event(&shop, "order.paid", midnight, "{\"amount\":2}");
    CHECK(shop_saw(&shop, "v.distinct 1>2@1700073000000;"));
    shop_event(&shop, "login", midnight - 1, "{}");
    CHECK(shop_saw(&shop, "v.days 0>1@1700073000000;v.all 0>1@1700073000000;"));
    shop_event(&shop, "login", midnight, "{}"); /* the same pane, another day */
    CHECK(shop_saw(&shop, "v.days 1>2@1700073000000;v.all 1>2@1700073000000;"));
    shop_time(&shop, midnight + 5 * hour);
    CHECK(shop_saw(&shop, "v.distinct 2>1@1700074800000;v.distinct 1>0@1700078400000;v.days 2>0@1700078400000;"));
    shop_close(&shop);
}

static void the_least_leaves_its_window_and_the_next_least_counts(void)
{
    struct shop shop = shop_open("", "\"v.min\":{\"value\":\"min(amount, order.paid[3h:1h])\"}");
    int64_t hour = 3600000, start = T0 / hour * hour;
    shop_event(&shop, "order.paid", start, "{\"amount\":-1}");
    shop_event(&shop, "order.paid", start + hour, "{\"amount\":5}");
    shop_event(&shop, "order.paid", start + 2 * hour, "{\"amount\":0}");
    CHECK(shop_saw(&shop, "v.min ->-1@1699999200000;"));
    shop_time(&shop, start + 10 * hour);
    CHECK(shop_saw(&shop, "v.min -1>0@1700010000000;v.min 0>-@1700017200000;"));
    shop_close(&shop);
}

static void until_falls_to_its_instant_and_below(void)
{
    struct shop shop = shop_open("", "\"d.due\":{\"tags\":[{\"tag\":\"over\",\"when\":\"until(due, order.paid) < 0s\"},"
                                     "{\"tag\":\"soon\",\"when\":\"until(due, order.paid) <= 1h\"},"
                                     "{\"tag\":\"later\",\"when\":\"until(due, order.paid) is not null\"}]}");
    shop_event(&shop, "order.paid", T0, "{\"due\":\"2023-11-15T02:13:20Z\"}"); /* four hours on */
    shop_time(&shop, T0 + 10 * DAY);
    CHECK(shop_saw(&shop, "d.due ->later@1700000000000;d.due later>soon@1700010800000;d.due soon>over@1700014400001;"));
    shop_close(&shop);
}

static void the_earliest_instant_that_nothing_has_met_is_the_next(void)
{
    struct shop shop =
        shop_open("", "\"d.next\":{\"tags\":[{\"tag\":\"over\",\"when\":\"until_next(due, buys, login) < 0s\"},"
                      "{\"tag\":\"soon\",\"when\":\"until_next(due, buys, login) <= 1h\"},"
                      "{\"tag\":\"later\",\"when\":\"until_next(due, buys, login) is not null\"}]}");
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "order.paid", T0 + 1, "{\"due\":\"2023-11-15T03:13:20Z\"}"); /* T0 and five hours */
    shop_event(&shop, "order.paid", T0 + 2, "{\"due\":\"2023-11-15T01:13:20Z\"}"); /* three */
    CHECK(shop_saw(&shop, "d.next ->later@1700000000001;"));
    shop_time(&shop, T0 + 4 * HOUR - 1);
    CHECK(shop_saw(&shop, "d.next later>soon@1700007200000;d.next soon>over@1700010800001;"));
    shop_event(&shop, "login", T0 + 4 * HOUR - 1, "{}"); /* meets the earlier one */
    CHECK(shop_saw(&shop, "d.next over>later@1700014399999;"));
    shop_time(&shop, T0 + 6 * HOUR);
    CHECK(shop_saw(&shop, "d.next later>soon@1700014400000;d.next soon>over@1700018000001;"));
    shop_event(&shop, "login", T0 + 6 * HOUR, "{}");
    CHECK(shop_saw(&shop, "d.next over>-@1700021600000;"));
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

/* Each row: when an instant three hours after T0 is given, when something meets it, and whether that is so. */
static void an_instant_is_met_after_it_was_given_and_no_more_than_the_span_before_it(void)
{
    static const struct {
        int64_t given, meets;
        bool met;
    } rows[] = {{0, 2 * HOUR, true},           {0, 2 * HOUR - 1, false},       {0, 30 * HOUR, true},
                {2 * HOUR, 2 * HOUR, false},   {2 * HOUR, 2 * HOUR + 1, true}, {10 * HOUR, 10 * HOUR + 1, true},
                {10 * HOUR, 10 * HOUR, false}, {10 * HOUR, 9 * HOUR, false}};
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        bool late = i % 2; /* what was first comes last */
        int64_t given = T0 + rows[i / 2].given, meets = T0 + rows[i / 2].meets;
        struct shop shop =
            shop_open("", "\"d.open\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"until_next(due, order.paid, "
                          "login, 1h) is not null\"}]}");
        bool login_first = (meets < given) != late;
        for (int k = 0; k < 2; k++) {
            if ((k == 0) == login_first)
                shop_event(&shop, "login", meets, "{}");
            else
                shop_event(&shop, "order.paid", given, "{\"due\":\"2023-11-15T01:13:20Z\"}");
        }
        CHECK((tagd_profile_tag(shop.profile, 0) == 0) == !rows[i / 2].met);
        shop_close(&shop);
    }
}

static void an_instant_that_is_given_again_is_open_again(void)
{
    struct shop shop =
        shop_open("", "\"d.open\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"until_next(due, order.paid, login, "
                      "1h) is not null\"}]},\"v.n\":{\"value\":\"distinct(due, order.paid)\"}");
    const char *due = "{\"due\":\"2023-11-15T01:13:20Z\"}";
    shop_event(&shop, "order.paid", T0, due);
    shop_event(&shop, "login", T0 + 3 * HOUR, "{}");
    shop_event(&shop, "order.paid", T0 + 4 * HOUR, due);
    shop_event(&shop, "login", T0 + 5 * HOUR, "{}");
    CHECK(shop_saw(&shop, "d.open ->yes@1700000000000;v.n ->1@1700000000000;d.open yes>-@1700010800000;"
                          "d.open ->yes@1700014400000;d.open yes>-@1700018000000;"));
    shop_close(&shop);
}

static void a_birthday_comes_at_local_midnight_every_year(void)
{
    struct shop shop =
        shop_open("\"timezone\":\"+08:00\",",
                  "\"d.birthday\":{\"tags\":[{\"tag\":\"today\",\"when\":\"days_until(attr.born) == 0\"},"
                  "{\"tag\":\"week\",\"when\":\"days_until(attr.born) <= 7\"}]}");
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"born\":\"1990-11-25\"}}"); /* local: 15 November */
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, T0 + 20 * DAY);
    CHECK(shop_saw(&shop, "d.birthday ->week@1700236800000;d.birthday week>today@1700841600000;"
                          "d.birthday today>-@1700928000000;"));
    shop_time(&shop, T0 + 370 * DAY);
    CHECK(shop_saw(&shop, "d.birthday ->week@1731859200000;"));
    shop_event(&shop, "profile.updated", T0 + 371 * DAY, "{\"attributes\":{\"born\":null}}");
    CHECK(shop_saw(&shop, "d.birthday week>-@1732054400000;"));
    shop_time(&shop, T0 + 380 * DAY); /* the timer of before fires, and finds nothing */
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

static void a_week_before_a_birthday_ends_the_day_after_it(void)
{
    struct shop shop =
        shop_open("", "\"d.near\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"days_until(attr.born) <= 7\"}]}");
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"born\":\"1990-11-20\"}}"); /* 14 November */
    CHECK(shop_saw(&shop, "d.near ->yes@1700000000000;"));
    shop_time(&shop, T0 + 30 * DAY);
    CHECK(shop_saw(&shop, "d.near yes>-@1700524800000;")); /* 21 November, 00:00 */
    shop_time(&shop, T0 + 365 * DAY);
    CHECK(shop_saw(&shop, "d.near ->yes@1731456000000;")); /* 13 November */
    shop_close(&shop);
}

/* T0 is 06:13:20 of 15 November 2023 at +08:00. */
static void an_age_grows_at_the_birthdays_local_midnight(void)
{
    struct shop shop =
        shop_open("\"timezone\":\"+08:00\",",
                  "\"v.age\":{\"value\":\"years(attr.born)\"},"
                  "\"d.adult\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"years(attr.born) >= 18\"},{\"tag\":\"no\","
                  "\"when\":\"years(attr.born) is not null\"}]}");
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"born\":\"2006/11/25\"}}");
    CHECK(shop_saw(&shop, "v.age ->16@1700000000000;d.adult ->no@1700000000000;"));
    shop_time(&shop, INT64_C(1700841600000) - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, T0 + 390 * DAY);
    CHECK(shop_saw(&shop, "v.age 16>17@1700841600000;v.age 17>18@1732464000000;d.adult no>yes@1732464000000;"));
    shop_event(&shop, "profile.updated", T0 + 390 * DAY, "{\"attributes\":{\"born\":null}}");
    CHECK(shop_saw(&shop, "v.age 18>-@1733696000000;d.adult yes>-@1733696000000;"));
    shop_close(&shop);
}

static void whoever_is_born_on_29_february_is_a_year_older_on_the_28th_where_there_is_none(void)
{
    struct shop shop = shop_open("", "\"v.age\":{\"value\":\"years(attr.born)\"}");
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"born\":\"2004-02-29\"}}");
    shop_time(&shop, T0 + 500 * DAY);
    CHECK(shop_saw(&shop, "v.age ->19@1700000000000;v.age 19>20@1709164800000;v.age 20>21@1740700800000;"));
    shop_close(&shop);
}

/* How long each rule stands that is seen on 14 November 2023 of a birthday on the 20th of November 2000 and a date to
 * come, 1 December 2023; 0: for ever. */
static void a_comparison_of_years_turns_when_the_birthday_of_its_limit_comes(void)
{
    static const struct {
        const char *rule;
        int64_t until; /* a day since 1970; 0: never */
    } rows[] = {
        {"years(attr.born) >= 18", 0},
        {"years(attr.born) >= 22", 0},
        {"years(attr.born) > 22", 19681},
        {"years(attr.born) >= 23", 19681},
        {"years(attr.born) == 22", 19681},
        {"years(attr.born) != 22", 19681},
        {"years(attr.born) == 23", 19681},
        {"years(attr.born) == 24", 20047},
        {"years(attr.born) < 60", 33196},
        {"years(attr.born) <= 60", 33561},
        {"60 >= years(attr.born)", 33561},
        {"60 > years(attr.born)", 33196},
        {"years(attr.born) < 22.5", 19681},
        {"years(attr.born) >= 22.5", 19681},
        {"years(attr.born) >= 59.99999", 33196},
        {"years(attr.born) >= 0", 0},
        {"years(attr.born) > -5", 0},
        {"years(attr.born) < 1e30", 0},
        {"years(attr.born) > -1e30", 0},
        {"years(attr.born) == null", 0},
        {"years(attr.born) is null", 0},
        {"years(attr.born) < 8500", 0},
        {"years(attr.born) * 2 > 45", 19681},
    };
    static const struct {
        const char *rule;
        bool never;
    } ahead[] = {{"years(attr.born) >= 0", false},    {"years(attr.born) < 5", false},
                 {"years(attr.born) is null", false}, {"years(attr.born) is not null", false},
                 {"years(attr.born) * 2 < 5", false}, {"days_until(attr.born) is null", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows + sizeof ahead / sizeof *ahead; i++) {
        bool coming = i >= sizeof rows / sizeof *rows;
        size_t k = i - (coming ? sizeof rows / sizeof *rows : 0);
        const char *rule = coming ? ahead[k].rule : rows[k].rule;
        int64_t until = coming ? (ahead[k].never ? 0 : 19692) : rows[k].until;
        struct tagd_buf text = {0};
        tagd_buf_printf(&text, "\"d.x\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"%s\"}]}%c", rule, 0);
        struct shop shop = shop_open("", text.p);
        shop_event(&shop, "profile.updated", T0,
                   coming ? "{\"attributes\":{\"born\":\"2023-12-01\"}}"
                          : "{\"attributes\":{\"born\":\"2000-11-20\"}}");
        int64_t due = tagd_profile_due(shop.profile);
        if (due != (until ? until * DAY : TAGD_NEVER))
            fprintf(stderr, "%s: until %lld\n", rule, (long long)due);
        CHECK(due == (until ? until * DAY : TAGD_NEVER));
        shop_close(&shop);
        tagd_buf_free(&text);
    }
}

static void an_anniversary_is_of_the_local_day_of_the_first_event_by_time(void)
{
    struct shop shop = shop_open(
        "\"timezone\":\"+08:00\",",
        "\"d.anniversary\":{\"tags\":[{\"tag\":\"today\",\"when\":\"days_until(order.paid) == 0\"},{\"tag\":\"week\","
        "\"when\":\"days_until(order.paid) <= 7\"}]},\"v.years\":{\"value\":\"years(order.paid)\"}");
    shop_event(&shop, "login", T0 - DAY, "{}");
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "order.paid", T0, "{}"); /* the first day itself */
    CHECK(shop_saw(&shop, "d.anniversary ->today@1700000000000;v.years ->0@1700000000000;"));
    shop_time(&shop, T0 + 2 * DAY);
    CHECK(shop_saw(&shop, "d.anniversary today>-@1700064000000;")); /* 2023-11-16T00:00+08:00 */
    shop_event(&shop, "order.paid", T0 + 3 * DAY, "{}");            /* not the first */
    shop_time(&shop, T0 + 370 * DAY);
    CHECK(shop_saw(&shop, "d.anniversary ->week@1730995200000;d.anniversary week>today@1731600000000;"
                          "v.years 0>1@1731600000000;d.anniversary today>-@1731686400000;"));
    shop.watermark = T0 + 370 * DAY;
    shop_event(&shop, "order.paid", T0 - 358 * DAY, "{}"); /* late, and the first: 22 November 2022 */
    CHECK(shop_saw(&shop, "d.anniversary ->week@1731968000000;"));
    shop_time(&shop, T0 + 380 * DAY);
    CHECK(shop_saw(&shop, "d.anniversary week>today@1732204800000;v.years 1>2@1732204800000;"
                          "d.anniversary today>-@1732291200000;"));
    shop_close(&shop);
}

/* On the first day itself it is 0, so that no time is left at which it would begin to be known. */
static void years_since_an_event_are_known_from_the_event_on(void)
{
    struct shop shop = shop_open("", "\"d.x\":{\"tags\":[{\"tag\":\"unknown\",\"when\":\"years(order.paid) is null\"},"
                                     "{\"tag\":\"known\",\"when\":\"true\"}]}");
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, "d.x ->unknown@1700000000000;") && tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_event(&shop, "order.paid", T0 + 1, "{}");
    CHECK(shop_saw(&shop, "d.x unknown>known@1700000000001;") && tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

static void an_anniversary_counts_the_events_that_its_filter_takes(void)
{
    struct shop shop = shop_open("", "\"v.days\":{\"value\":\"days_until(buys{amount>=100})\"},\"v.years\":{\"value\":"
                                     "\"years(buys{amount>=100})\"}");
    shop_event(&shop, "order.paid", T0, "{\"amount\":99}");
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "order.paid", T0 + 5 * DAY, "{\"amount\":100}");
    CHECK(shop_saw(&shop, "v.days ->0@1700432000000;v.years ->0@1700432000000;"));
    shop_time(&shop, T0 + 6 * DAY);
    CHECK(shop_saw(&shop, "v.days 0>365@1700438400000;"));
    shop_close(&shop);
}

#define LINES                                                                                                           \
    "\"tables\":{\"line\":{\"values\":{\"web\":\"online\",\"store\":\"offline\",\"\":\"empty\"}},"                      \
    "\"other\":{\"values\":{\"web\":\"online\",\"no\":\"\"},\"else\":\"offline\"},\"kept\":{\"values\":{\"互联网\":" \
    "\"软件开发\"},"                                                                                                \
    "\"keep\":true}},"

static void a_key_that_a_table_lacks_is_null_or_else_or_itself(void)
{
    struct shop shop = shop_open(LINES, "\"v.line\":{\"value\":\"lookup(line, attr.region)\"},"
                                        "\"v.other\":{\"value\":\"lookup(other, attr.region)\"},"
                                        "\"v.kept\":{\"value\":\"lookup(kept, attr.region)\"}");
    shop_event(&shop, "login", T0 - 1, "{}"); /* of null there is nothing to look up */
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"region\":\"web\"}}");
    CHECK(shop_saw(&shop, "v.line ->online@1700000000000;v.other ->online@1700000000000;v.kept ->web@1700000000000;"));
    shop_event(&shop, "profile.updated", T0 + 1, "{\"attributes\":{\"region\":\"互联网\"}}");
    CHECK(shop_saw(&shop, "v.line online>-@1700000000001;v.other online>offline@1700000000001;"
                          "v.kept web>软件开发@1700000000001;"));
    shop_event(&shop, "profile.updated", T0 + 2, "{\"attributes\":{\"region\":\"Web\"}}"); /* exactly, or not at all */
    CHECK(shop_saw(&shop, "v.kept 软件开发>Web@1700000000002;"));
    shop_event(&shop, "profile.updated", T0 + 3, "{\"attributes\":{\"region\":\"web \"}}");
    CHECK(shop_saw(&shop, "v.kept Web>web @1700000000003;"));
    shop_event(&shop, "profile.updated", T0 + 4, "{\"attributes\":{\"region\":\"\"}}");
    CHECK(shop_saw(&shop, "v.line ->empty@1700000000004;v.kept web >@1700000000004;"));
    shop_event(&shop, "profile.updated", T0 + 5,
               "{\"attributes\":{\"region\":\"no\"}}"); /* a value of no bytes is one */
    CHECK(shop_saw(&shop, "v.line empty>-@1700000000005;v.other offline>@1700000000005;v.kept >no@1700000000005;"));
    shop_event(&shop, "profile.updated", T0 + 6, "{\"attributes\":{\"region\":null}}");
    CHECK(shop_saw(&shop, "v.other >-@1700000000006;v.kept no>-@1700000000006;"));
    shop_close(&shop);
}

static void what_was_looked_up_of_another_dimension_follows_its_tag(void)
{
    struct shop shop =
        shop_open("\"tables\":{\"t\":{\"values\":{\"lost\":\"gone\",\"dormant\":\"gone\"},\"keep\":true}},"
                  "\"metrics\":{\"kind\":\"lookup(t, b.activity)\"},",
                  "\"b.kind\":{\"value\":\"kind\"}," ACTIVITY);
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, "b.kind ->fresh@1700000000000;b.activity ->fresh@1700000000000;"));
    shop_time(&shop, T0 + 91 * DAY);
    CHECK(shop_saw(&shop, "b.kind fresh>gone@1702592000000;b.activity fresh>dormant@1702592000000;"
                          "b.activity dormant>lost@1707776000001;"));
    shop_close(&shop);
}

/* What is looked up leaves pane by pane; only the pane with which the value turns counts, and it is found at once. */
static void a_looked_up_value_turns_with_the_pane_that_turns_it(void)
{
    static const char *const rules[] = {
        "lookup(line, top(category, order.paid[60d:1m])) == 'offline'",
        "'offline' == lookup(line, category)",
        "lookup(two, lookup(line, category)) == 'two'",
        "lookup(line, category) != 'online'",
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct tagd_buf text = {0};
        tagd_buf_printf(&text,
                        "\"d.x\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"%s\"},{\"tag\":\"no\",\"when\":\"true\"}]}%c",
                        rules[i], 0);
        struct shop shop = shop_open("\"tables\":{\"line\":{\"values\":{\"a\":\"offline\",\"b\":\"online\"}},"
                                     "\"two\":{\"values\":{\"offline\":\"two\"}}},"
                                     "\"metrics\":{\"category\":\"top(category, order.paid[60d:1m])\"},",
                                     text.p);
        int64_t minute = 60000, last = T0 + 510 * minute;
        for (int j = 0; j <= 510; j++)
            shop_event(&shop, "order.paid", T0 + j * minute, j < 500 ? "{\"category\":\"a\"}" : "{\"category\":\"b\"}");
        CHECK(shop_saw(&shop, "d.x ->yes@1700000000000;"));
        int64_t end = (T0 + 488 * minute) / minute * minute + 60 * DAY, until; /* 11 of each are left, b seen last */
        struct tagd_tag then;
        tagd_engine_view(shop.engine, shop.profile, last);
        tagd_engine_next(shop.engine, shop.profile, 0, last, &until, &then);
        CHECK(until == end);
        shop_time(&shop, T0 + 60 * DAY); /* the first pane has left */
        CHECK(shop_saw(&shop, "") && tagd_profile_due(shop.profile) == end);
        shop_time(&shop, end);
        CHECK(shop_saw(&shop, "d.x yes>no@1705213260000;"));
        shop_close(&shop);
        tagd_buf_free(&text);
    }
}

static void a_change_shows_what_was_looked_up_and_not_what_was_looked_for(void)
{
    struct shop shop =
        shop_open(LINES, "\"d.x\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"lookup(other, top(source, login)) == "
                         "'offline' and lookup(line, attr.region) is null and years(login) < 3\"}]}");
    shop_event(&shop, "login", T0, "{}");
    struct tagd_buf out = {0};
    tagd_engine_view(shop.engine, shop.profile, T0);
    tagd_engine_rule_values(shop.engine, 0, 0, &out);
    CHECK(tagd_str_eq((struct tagd_str){out.p, out.n},
                      TAGD_STR("{\"lookup(other, top(source, login))\":\"offline\",\"lookup(line, attr.region)\":null,"
                               "\"years(login)\":0}")));
    tagd_buf_free(&out);
    shop_close(&shop);
}

static void dates_written_differently_are_one_value(void)
{
    struct shop shop =
        shop_open("", "\"v.days\":{\"value\":\"distinct(day, order.paid)\"},"
                      "\"v.top\":{\"value\":\"top(day, order.paid)\"},"
                      "\"d.x\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"latest(day, order.paid) == '2023.1.5' and "
                      "count(order.paid{day='2023/01/05'}) == 2\"}]}");
    shop_event(&shop, "order.paid", T0, "{\"day\":\"2023/1/5\"}");
    CHECK(shop_saw(&shop, "v.days ->1@1700000000000;v.top ->2023-01-05@1700000000000;"));
    shop_event(&shop, "order.paid", T0 + 1, "{\"day\":\"2023年1月5日\"}");
    CHECK(shop_saw(&shop, "d.x ->yes@1700000000001;"));
    shop_close(&shop);
}

static void a_pane_across_local_midnight_counts_the_days_it_has_events_on(void)
{
    const char *rule = "\"v.days\":{\"value\":\"days(login[3h:1h])\"}";
    int64_t minute = 60000, midnight = INT64_C(1700073000000); /* 18:30Z */
    struct shop shop = shop_open("\"timezone\":\"+05:30\",", rule);
    shop_event(&shop, "login", midnight, "{}"); /* the pane began on the day before, without an event */
    CHECK(shop_saw(&shop, "v.days ->1@1700073000000;"));
    shop_close(&shop);
    shop = shop_open("\"timezone\":\"+05:30\",", rule);
    shop_event(&shop, "login", midnight - 40 * minute, "{}");
    shop_event(&shop, "login", midnight - 20 * minute, "{}"); /* another pane, the same day */
    CHECK(shop_saw(&shop, "v.days ->1@1700070600000;"));
    shop_close(&shop);
    shop = shop_open("\"timezone\":\"+05:30\",", rule);
    shop_event(&shop, "login", midnight + 10 * minute, "{}");
    shop_event(&shop, "login", midnight + 40 * minute, "{}"); /* the next pane, the same day */
    CHECK(shop_saw(&shop, "v.days ->1@1700073600000;"));
    shop_close(&shop);
}

static void an_attribute_has_the_value_of_its_latest_update_by_time(void)
{
    struct shop shop = shop_open("", "\"v.region\":{\"value\":\"attr.region\"},"
                                     "\"d.rich\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"attr.score >= 2.5\"}]}");
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"region\":\"north\",\"score\":2.5,\"shoe\":43}}");
    CHECK(shop_saw(&shop, "v.region ->north@1700000000000;d.rich ->yes@1700000000000;"));
    shop_event(&shop, "profile.updated", T0 - 5, "{\"attributes\":{\"region\":\"south\"}}");
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "profile.updated", T0, "{\"attributes\":{\"region\":\"east\"}}"); /* as late, but arrived later */
    CHECK(shop_saw(&shop, "v.region north>east@1700000000000;"));
    shop_event(&shop, "profile.updated", T0 + 10, "{\"attributes\":{\"region\":null}}");
    CHECK(shop_saw(&shop, "v.region east>-@1700000000010;"));
    shop_event(&shop, "profile.updated", T0 + 9, "{\"attributes\":{\"region\":\"west\"}}"); /* removed later */
    CHECK(shop_saw(&shop, ""));
    shop_close(&shop);
}

static void the_first_value_is_that_of_the_earliest_event_even_if_it_comes_late(void)
{
    struct shop shop = shop_open("", "\"v.first\":{\"value\":\"first(category, order.paid)\"}");
    shop_event(&shop, "order.paid", T0, "{\"category\":\"a\"}");
    shop_event(&shop, "order.paid", T0, "{\"category\":\"b\"}");
    shop_event(&shop, "order.paid", T0 - 1, "{}");
    CHECK(shop_saw(&shop, "v.first ->a@1700000000000;"));
    shop_event(&shop, "order.paid", T0 - 2, "{\"category\":\"c\"}");
    CHECK(shop_saw(&shop, "v.first a>c@1700000000000;"));
    shop_close(&shop);
}

/* One silence against another that is the same: never a change, and no search for one at every millisecond. */
static void what_clocks_have_in_common_cancels_exactly(void)
{
    static const char *const rules[] = {
        "since(order.paid) > since_first(order.paid) / count(order.paid)",
        "(since_first(order.paid) - since(order.paid)) / count(order.paid) > 0s",
        "since(order.paid) * 3 - since_first(order.paid) * count(order.paid) * 3 > 0s",
        "until(due, order.paid) + since(order.paid) > 1d",
        "since(order.paid) / (count(order.paid) * 4) > since_first(order.paid) * 0.25",
        "(until(due, order.paid) + since(order.paid)) / 3 * 3 > 1d",
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct tagd_buf dimensions = {0};
        tagd_buf_printf(
            &dimensions,
            "\"d.more\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"%s\"},{\"tag\":\"no\",\"when\":\"true\"}]}%c", rules[i],
            0);
        struct shop shop = shop_open("", dimensions.p);
        shop_event(&shop, "order.paid", T0, "{\"due\":\"2023-11-15T22:13:20Z\"}");
        CHECK(shop_saw(&shop, "d.more ->no@1700000000000;"));
        CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
        int64_t until;
        struct tagd_tag then;
        tagd_engine_view(shop.engine, shop.profile, T0);
        tagd_engine_next(shop.engine, shop.profile, 0, T0, &until, &then);
        CHECK(until == TAGD_NEVER && then.index == -1);
        shop_close(&shop);
        tagd_buf_free(&dimensions);
    }
}

static void orders_a_month_apart_to_the_millisecond_are_a_month_apart(void)
{
    struct shop shop = shop_open("", "\"d.rhythm\":{\"tags\":[{\"tag\":\"slow\",\"when\":\"(since_first(order.paid) - "
                                     "since(order.paid)) / (count(order.paid) - 1) >= 30d\"}]}");
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "order.paid", T0 + 30 * DAY, "{}");
    CHECK(shop_saw(&shop, "d.rhythm ->slow@1702592000000;"));
    shop_event(&shop, "order.paid", T0 + 60 * DAY - 2, "{}");
    CHECK(shop_saw(&shop, "d.rhythm slow>-@1705183999998;"));
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

/* A duration past 2^53 ms is null: on both sides of such values there are some that are not. */
static void a_value_between_two_overflows_is_found(void)
{
    struct shop shop = shop_open(
        "", "\"d.a\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"until(due, order.paid) * 10000000000 > 0s\"}]},"
            "\"d.b\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"until(due, order.paid) * 10000000000 is not null\"}]}");
    shop_event(&shop, "order.paid", T0, "{\"due\":\"2023-11-15T22:13:20Z\"}");
    shop_time(&shop, T0 + 2 * DAY); /* a day, less 900719 ms; there; and as long after it */
    CHECK(shop_saw(&shop, "d.a ->yes@1700085499281;d.b ->yes@1700085499281;d.a yes>-@1700086400000;"
                          "d.b yes>-@1700087300720;"));
    shop_close(&shop);
}

/* Cutting to whole milliseconds turns this one for ever: what is told of the future ends with a budget. */
static void a_comparison_that_cutting_blurs_for_ever_costs_a_bounded_search(void)
{
    struct shop shop = shop_open("", "\"d.blur\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"since(login) / 3 * 3 > "
                                     "since_first(login) + 1ms\"},{\"tag\":\"no\",\"when\":\"true\"}]}");
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, "d.blur ->no@1700000000000;"));
    int64_t due = tagd_profile_due(shop.profile);
    CHECK(due > T0 + 1000 && due < TAGD_NEVER); /* looked at again then */
    int64_t until;
    struct tagd_tag then;
    tagd_engine_view(shop.engine, shop.profile, T0);
    tagd_engine_next(shop.engine, shop.profile, 0, T0, &until, &then);
    CHECK(until == TAGD_NEVER && then.index == -1);
    shop_time(&shop, due + 60000);
    CHECK(shop_saw(&shop, ""));
    shop_close(&shop);
}

static void null_decides_nothing(void)
{
    struct shop shop =
        shop_open("", "\"b.a\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"not (avg(amount, order.paid) > 5)\"}]},"
                      "\"b.b\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"avg(amount, order.paid) > 5 or true\"}]},"
                      "\"b.c\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"1 / sum(amount, order.paid) is null\"}]},"
                      "\"b.d\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"2 in (1, null)\"}]},"
                      "\"b.e\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"not (2 in (1, null))\"}]}");
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, "b.b ->yes@1700000000000;b.c ->yes@1700000000000;"));
    shop_close(&shop);
}

static void changes_of_one_evaluation_are_in_catalog_order(void)
{
    struct shop shop = shop_open("", "\"b.first\":{\"tags\":[{\"tag\":\"on\",\"when\":\"b.second == 'on'\"}]},"
                                     "\"b.second\":{\"tags\":[{\"tag\":\"on\",\"when\":\"count(login) > 0\"}]}");
    shop_event(&shop, "login", T0, "{}");
    CHECK(shop_saw(&shop, "b.first ->on@1700000000000;b.second ->on@1700000000000;"));
    shop_close(&shop);
}

static void a_linear_comparison_turns_at_its_exact_millisecond(void)
{
    struct shop shop = shop_open(
        "", "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"since(login) * 0.3 > since(order.paid) - 10s\"}]}");
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "login", T0 + 1000, "{}");
    CHECK(shop_saw(&shop, "b.n ->yes@1700000001000;"));
    shop_time(&shop, T0 + DAY);
    /* trunc(0.3 (t - 1000)) > t - 10000 holds up to t = 13855 */
    CHECK(shop_saw(&shop, "b.n yes>-@1700000013856;"));
    shop_close(&shop);
}

static void an_ignored_event_begins_no_customer(void)
{
    struct shop shop = shop_open("", ACTIVITY);
    CHECK(shop_event(&shop, "nothing.declared", T0, "{}") == TAGD_IGNORED);
    CHECK(!tagd_profile_exists(shop.profile));
    shop_close(&shop);
}

static void a_difference_of_two_silences_turns_when_the_faster_has_caught_up(void)
{
    struct shop shop = shop_open(
        "", "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"since(order.paid) - since(login) * 0.5 > 10s\"}]}");
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "login", T0 + 4000, "{}");
    shop_time(&shop, T0 + DAY);
    /* t - trunc((t - 4000) / 2) > 10000 first holds at t = 16001 */
    CHECK(shop_saw(&shop, "b.n ->yes@1700000016001;"));
    shop_close(&shop);
}

static void a_duration_may_be_negative(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"since(login) - 30s > -10s\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + DAY);
    CHECK(shop_saw(&shop, "b.n ->yes@1700000020001;"));
    shop_close(&shop);
}

static void an_hour_has_panes_of_a_minute(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(login[1h]) > 0\"}]}");
    shop_event(&shop, "login", T0, "{}"); /* 20 s into its minute */
    shop_time(&shop, T0 + DAY);
    CHECK(shop_saw(&shop, "b.n ->yes@1700000000000;b.n yes>-@1700003580000;"));
    shop_close(&shop);
}

static void an_id_is_remembered_to_the_end_of_its_span_whatever_comes_between(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"two\",\"when\":\"count(order.paid) >= 2\"}]}");
    CHECK(shop_event_id(&shop, "order.paid", "x", T0, "{}") == TAGD_APPLIED);
    CHECK(shop_event_id(&shop, "login", "y", T0 + 3599500, "{}") == TAGD_APPLIED);
    CHECK(shop_event_id(&shop, "order.paid", "x", T0 + 3600000, "{}") == TAGD_DUPLICATE);
    shop_close(&shop);
}

static void valid_until_reaches_to_the_horizon_and_no_further(void)
{
    static const struct {
        const char *days;
        bool within;
    } cases[] = {{"since(login) >= 400d", true}, {"since(login) > 400d", false}};
    for (int i = 0; i < 2; i++) {
        struct tagd_buf rule = {0};
        tagd_buf_printf(&rule, "\"b.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"%s\"}]}", cases[i].days);
        tagd_buf_add_byte(&rule, 0);
        struct shop shop = shop_open("", rule.p);
        int64_t until;
        struct tagd_tag then;
        shop_event(&shop, "login", T0, "{}");
        tagd_engine_view(shop.engine, shop.profile, T0);
        tagd_engine_next(shop.engine, shop.profile, 0, T0, &until, &then);
        CHECK(until == (cases[i].within ? T0 + 400 * DAY : TAGD_NEVER));
        CHECK(then.index == (cases[i].within ? 0 : -1));
        tagd_buf_free(&rule);
        shop_close(&shop);
    }
}

/* They fall together, so which of two silences is the longer is settled until an event comes: no search through time.
 */
static void two_silences_are_compared_once_not_at_every_instant(void)
{
    static const char *const rules[] = {"since(order.paid) < since(login)",
                                        "since(order.paid) / 1d < since(login) / 1d",
                                        "since(order.paid) * 3 - 1s < since(login) * 3",
                                        "since(order.paid) - since(login) < 0s",
                                        "since(order.paid) / 1d == since(interaction) / 1d",
                                        "since(order.paid) * 2 <= since(interaction) * 2",
                                        "since(order.paid) * 2 - since(login) < since(interaction) + 1s",
                                        "since(order.paid) in (since(interaction), 1ms)"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "\"b.last\":{\"tags\":[{\"tag\":\"order\",\"when\":\"%s\"},{\"tag\":\"login\",\"when\":\"true\"}]}",
                 rules[i]);
        struct shop shop = shop_open("", text);
        shop_event(&shop, "login", T0, "{}");
        shop_event(&shop, "order.paid", T0 + 2000, "{}");
        shop_time(&shop, T0 + 300 * DAY);
        shop_event(&shop, "login", T0 + 300 * DAY, "{}");
        shop_time(&shop, T0 + 600 * DAY);
        CHECK(shop_saw(
            &shop, "b.last ->login@1700000000000;b.last login>order@1700000002000;b.last order>login@1725920000000;"));
        shop_close(&shop);
    }
}

static void halves_of_two_silences_a_millisecond_apart_agree_at_every_other_one(void)
{
    struct shop shop = shop_open("", "\"b.x\":{\"tags\":[{\"tag\":\"same\",\"when\":\"since(order.paid) * 0.5 == "
                                     "since(login) * 0.5\"},{\"tag\":\"apart\",\"when\":\"true\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_event(&shop, "order.paid", T0 + 1, "{}");
    shop_time(&shop, T0 + 4);
    CHECK(shop_saw(&shop, "b.x ->apart@1700000000000;b.x apart>same@1700000000001;b.x same>apart@1700000000002;"
                          "b.x apart>same@1700000000003;b.x same>apart@1700000000004;"));
    shop_close(&shop);
}

/* ---- the next instant at which time changes a tag ---- */

static uint64_t random_state = 1;

static unsigned pick(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static void add_comparison(struct tagd_buf *out, bool may_read)
{
    static const char *const operators[] = {">", ">=", "<", "<=", "=="};
    static const char *const windows[] = {"2s:500ms", "3s:1s", "4s:500ms", "1m:1s", "2d:1d"};
    static const char *const values[] = {"count(login[%s])",
                                         "count(interaction[%s])",
                                         "sum(amount, order.paid[%s])",
                                         "days(login[%s])",
                                         "distinct(category, order.paid[%s])",
                                         "sum(amount, buys[%s])"};
    unsigned kind = pick(may_read ? 10 : 9);
    if (kind < 6) {
        tagd_buf_printf(out, values[kind], windows[pick(5)]);
        tagd_buf_printf(out, " %s %u", operators[pick(5)], pick(4));
    } else if (kind == 6) {
        tagd_buf_printf(out, "since(interaction) %s %u00ms", operators[pick(4)], 1 + pick(50));
    } else if (kind == 7) {
        tagd_buf_printf(out, "since_first(order.paid) %s %us", operators[pick(4)], 1 + pick(20));
    } else if (kind == 8) {
        tagd_buf_add_z(out, pick(2) ? "attr.vip" : "count(login[2s:500ms] offset 1s) > 0");
    } else {
        tagd_buf_add_z(out, pick(3) ? "d.d0 == 'a'" : "was(d.d0) == 'a'");
    }
}

static void add_condition(struct tagd_buf *out, bool may_read)
{
    static const char *const between[] = {" and ", " or "};
    bool negated = pick(12) == 0;
    tagd_buf_add_z(out, negated ? "not (" : "(");
    add_comparison(out, may_read);
    for (unsigned n = pick(3); n > 0; n--) {
        tagd_buf_add_z(out, between[pick(2)]);
        add_comparison(out, may_read);
    }
    tagd_buf_add_byte(out, ')');
}

static void add_dimension(struct tagd_buf *out, unsigned d)
{
    tagd_buf_printf(out, "%s\"d.d%u\":{", d ? "," : "", d);
    if (pick(10) == 0)
        tagd_buf_printf(out, "\"%s\":\"%us\",", pick(2) ? "for" : "min_dwell", 1 + pick(3));
    tagd_buf_add_z(out, "\"tags\":[{\"tag\":\"a\",\"when\":\"");
    add_condition(out, d > 0);
    if (pick(2)) {
        tagd_buf_add_z(out, "\"},{\"tag\":\"b\",\"when\":\"");
        add_condition(out, d > 0);
    }
    tagd_buf_add_z(out, "\"}]}");
}

static void random_event(struct shop *shop, int64_t *now)
{
    char data[160], until[TAGD_TIME_TEXT];
    *now += pick(4) ? pick(1500) : pick(8000);
    int64_t at = pick(4) ? *now : *now - pick(5000);
    switch (pick(9)) {
    case 0:
        shop_event(shop, "profile.updated", at,
                   pick(2) ? "{\"attributes\":{\"vip\":true}}" : "{\"attributes\":{\"vip\":null}}");
        return;
    case 1:
        tagd_time_format(at + 1 + pick(9000), until);
        snprintf(data, sizeof data,
                 "{\"dimension\":\"d.d0\",\"tag\":\"a\",\"by\":\"li\",\"reason\":\"r\",\"until\":\"%s\"}", until);
        shop_event(shop, pick(3) ? "login" : "tag.assigned", at, data);
        return;
    case 2:
    case 3:
    case 4: shop_event(shop, "login", at, "{}"); return;
    default:
        snprintf(data, sizeof data, "{\"amount\":%d,\"category\":\"c%u\"}", (int)pick(4) - (pick(5) ? 0 : 4), pick(3));
        shop_event(shop, "order.paid", at, data);
    }
}

/* When time next changes a tag of the profile: another engine looks for it, from the next millisecond on, at all. */
static int64_t change_by_time(struct shop *shop, struct shop *anew)
{
    struct tagd_buf bytes = {0};
    int64_t at = TAGD_NEVER;
    tagd_profile_encode(shop->profile, &bytes);
    CHECK(tagd_profile_decode(anew->profile, (struct tagd_str){bytes.p, bytes.n}, NULL));
    anew->profile->due = anew->profile->clock + 1;
    for (int i = 0; i < 500 && anew->seen.n == 0 && anew->profile->due != TAGD_NEVER; i++) {
        at = anew->profile->due;
        shop_time(anew, at);
    }
    at = anew->seen.n > 0 ? at : TAGD_NEVER;
    shop_forget(anew);
    tagd_buf_free(&bytes);
    return at;
}

/* Though what its pane comes to stays above 0. */
static void an_amount_below_zero_brings_the_end_forward(void)
{
    struct shop shop =
        shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"a\",\"when\":\"sum(amount, order.paid[10s:1s]) >= 3\"}]}");
    shop_event(&shop, "order.paid", T0, "{\"amount\":3}");
    shop_event(&shop, "order.paid", T0 + 2000, "{\"amount\":3}");
    tagd_engine_repair(shop.engine, shop.profile, (struct tagd_sink){&shop, shop_change});
    CHECK(tagd_profile_due(shop.profile) == T0 + 12000);
    shop_event(&shop, "order.paid", T0 + 2500, "{\"amount\":-1}");
    CHECK(tagd_profile_due(shop.profile) == T0 + 10000);
    shop_time(&shop, T0 + 40000);
    CHECK(shop_saw(&shop, "b.n ->a@1700000000000;b.n a>-@1700000010000;"));
    shop_close(&shop);
}

/* A pane below 0 leaves, and what came since is enough. */
static void an_amount_that_waits_for_one_below_zero_to_leave_counts(void)
{
    struct shop shop =
        shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"a\",\"when\":\"sum(amount, order.paid[10s:1s]) >= 3\"}]}");
    shop_event(&shop, "order.paid", T0, "{\"amount\":-5}");
    shop_event(&shop, "order.paid", T0 + 1000, "{\"amount\":2}");
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_event(&shop, "order.paid", T0 + 2000, "{\"amount\":1}");
    shop_time(&shop, T0 + 40000);
    CHECK(shop_saw(&shop, "b.n ->a@1700000010000;b.n a>-@1700000011000;"));
    shop_close(&shop);
}

/* Of random dimensions, steady ones and others, after every one of random events. */
static void what_is_due_is_never_later_than_what_time_changes(void)
{
    int n_changes = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct tagd_buf dimensions = {0};
        random_state = seed;
        for (unsigned d = 0, n = 1 + pick(4); d < n; d++)
            add_dimension(&dimensions, d);
        tagd_buf_add_byte(&dimensions, '\0');
        struct shop shop = shop_open("", dimensions.p), anew = shop_open("", dimensions.p);
        int64_t now = T0;
        for (int i = 0; i < 40; i++) {
            random_event(&shop, &now);
            int64_t due = tagd_profile_due(shop.profile), at = change_by_time(&shop, &anew);
            if (due > at)
                fprintf(stderr, "seed %llu, event %d: due %lld, but it changes at %lld: %s\n", (unsigned long long)seed,
                        i, (long long)due, (long long)at, dimensions.p);
            CHECK(due <= at);
            n_changes += at != TAGD_NEVER;
        }
        shop_close(&shop);
        shop_close(&anew);
        tagd_buf_free(&dimensions);
    }
    CHECK(n_changes > 1000);
}

static void a_silence_that_nothing_began_is_neither_long_nor_short(void)
{
    struct shop shop = shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"long\",\"when\":\"since(order.paid) > 1h\"},"
                                     "{\"tag\":\"short\",\"when\":\"since(order.paid) <= 1h\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 2 * HOUR);
    CHECK(shop_saw(&shop, ""));
    shop_close(&shop);
}

static void an_event_at_the_very_end_of_a_silence_finds_it_as_long_as_its_limit(void)
{
    struct shop shop =
        shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"a\",\"when\":\"since(login) <= 1h and count(order.paid) > 0\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_event(&shop, "order.paid", T0 + HOUR, "{}");
    shop_time(&shop, T0 + DAY);
    CHECK(shop_saw(&shop, "b.n ->a@1700003600000;b.n a>-@1700003600001;"));
    shop_close(&shop);
}

static void a_limit_may_stand_on_the_left(void)
{
    struct shop shop = shop_open("", "\"b.a\":{\"tags\":[{\"tag\":\"y\",\"when\":\"2 < count(login)\"}]},"
                                     "\"b.b\":{\"tags\":[{\"tag\":\"y\",\"when\":\"2 <= count(login)\"}]},"
                                     "\"b.c\":{\"tags\":[{\"tag\":\"y\",\"when\":\"2 > count(login)\"}]},"
                                     "\"b.d\":{\"tags\":[{\"tag\":\"y\",\"when\":\"2 >= count(login)\"}]}");
    for (int i = 0; i < 3; i++)
        shop_event(&shop, "login", T0 + i, "{}");
    CHECK(shop_saw(&shop, "b.c ->y@1700000000000;b.d ->y@1700000000000;b.b ->y@1700000000001;b.c y>-@1700000000001;"
                          "b.a ->y@1700000000002;b.d y>-@1700000000002;"));
    shop_close(&shop);
}

int main(void)
{
    RUN(a_difference_of_two_silences_turns_when_the_faster_has_caught_up);
    RUN(a_duration_may_be_negative);
    RUN(an_hour_has_panes_of_a_minute);
    RUN(an_id_is_remembered_to_the_end_of_its_span_whatever_comes_between);
    RUN(valid_until_reaches_to_the_horizon_and_no_further);
    RUN(silence_changes_a_tag_at_its_very_millisecond);
    RUN(time_comes_before_an_event_at_the_same_instant);
    RUN(a_pane_leaves_its_window_as_a_whole);
    RUN(a_day_pane_begins_at_local_midnight);
    RUN(an_offset_window_fills_and_empties_later);
    RUN(a_late_event_still_counts_in_its_pane);
    RUN(a_duplicate_is_ignored_within_its_span_and_no_longer);
    RUN(a_baseline_changes_tags_but_numbers_and_tells_none);
    RUN(a_value_is_the_tag_and_a_number_has_no_trailing_zeros);
    RUN(the_most_frequent_value_wins_and_of_equals_the_one_seen_last);
    RUN(distinct_counts_values_and_days_count_local_days);
    RUN(the_least_leaves_its_window_and_the_next_least_counts);
    RUN(until_falls_to_its_instant_and_below);
    RUN(the_earliest_instant_that_nothing_has_met_is_the_next);
    RUN(an_instant_is_met_after_it_was_given_and_no_more_than_the_span_before_it);
    RUN(an_instant_that_is_given_again_is_open_again);
    RUN(a_birthday_comes_at_local_midnight_every_year);
    RUN(a_week_before_a_birthday_ends_the_day_after_it);
    RUN(an_age_grows_at_the_birthdays_local_midnight);
    RUN(whoever_is_born_on_29_february_is_a_year_older_on_the_28th_where_there_is_none);
    RUN(a_comparison_of_years_turns_when_the_birthday_of_its_limit_comes);
    RUN(an_anniversary_is_of_the_local_day_of_the_first_event_by_time);
    RUN(years_since_an_event_are_known_from_the_event_on);
    RUN(an_anniversary_counts_the_events_that_its_filter_takes);
    RUN(a_key_that_a_table_lacks_is_null_or_else_or_itself);
    RUN(what_was_looked_up_of_another_dimension_follows_its_tag);
    RUN(a_looked_up_value_turns_with_the_pane_that_turns_it);
    RUN(a_change_shows_what_was_looked_up_and_not_what_was_looked_for);
    RUN(dates_written_differently_are_one_value);
    RUN(a_pane_across_local_midnight_counts_the_days_it_has_events_on);
    RUN(an_attribute_has_the_value_of_its_latest_update_by_time);
    RUN(the_first_value_is_that_of_the_earliest_event_even_if_it_comes_late);
    RUN(what_clocks_have_in_common_cancels_exactly);
    RUN(orders_a_month_apart_to_the_millisecond_are_a_month_apart);
    RUN(a_value_between_two_overflows_is_found);
    RUN(a_comparison_that_cutting_blurs_for_ever_costs_a_bounded_search);
    RUN(null_decides_nothing);
    RUN(changes_of_one_evaluation_are_in_catalog_order);
    RUN(a_linear_comparison_turns_at_its_exact_millisecond);
    RUN(an_ignored_event_begins_no_customer);
    RUN(two_silences_are_compared_once_not_at_every_instant);
    RUN(halves_of_two_silences_a_millisecond_apart_agree_at_every_other_one);
    RUN(an_amount_below_zero_brings_the_end_forward);
    RUN(an_amount_that_waits_for_one_below_zero_to_leave_counts);
    RUN(what_is_due_is_never_later_than_what_time_changes);
    RUN(a_silence_that_nothing_began_is_neither_long_nor_short);
    RUN(an_event_at_the_very_end_of_a_silence_finds_it_as_long_as_its_limit);
    RUN(a_limit_may_stand_on_the_left);
    return DONE();
}
