/* From a rule's outcome to the tag: for and min_dwell, looking back, words of persons, review, alerts. */
#include "profile/state.h"
#include "shop.h"

#define T0 INT64_C(1700000000000)
#define H INT64_C(3600000)
#define DAY ((int64_t)TAGD_MS_DAY)

/* What was seen since the last look, with T0 taken off the instants: "@0", "@3600000". */
static const char *seen(struct shop *shop)
{
    static char out[65536];
    size_t n = 0;
    const char *p = shop->seen.p, *end = p ? p + shop->seen.n : p;
    while (p < end) {
        if (*p != '@') {
            out[n++] = *p++;
            continue;
        }
        char *after;
        long long at = strtoll(p + 1, &after, 10);
        n += (size_t)snprintf(out + n, sizeof(out) - n, "@%lld", at - (long long)T0);
        p = after;
    }
    out[n] = '\0';
    shop->seen.n = 0;
    return out;
}

#define SAW(shop, expected)                                                                                            \
    do {                                                                                                               \
        const char *found = seen(shop);                                                                                \
        if (strcmp(found, expected) != 0)                                                                              \
            fprintf(stderr, "saw      %s\nexpected %s\n", found, expected);                                            \
        CHECK(strcmp(found, expected) == 0);                                                                           \
    } while (0)

static void login(struct shop *shop, int64_t at)
{
    shop_event(shop, "login", T0 + at, "{}");
}

static void order(struct shop *shop, int64_t at)
{
    shop_event(shop, "order.paid", T0 + at, "{}");
}

static void until(struct shop *shop, int64_t at)
{
    shop_time(shop, T0 + at);
}

/* NULL: no until. */
static void assign(struct shop *shop, int64_t at, const char *dimension, const char *tag, const char *until_text)
{
    char data[512];
    snprintf(data, sizeof data, "{\"dimension\":\"%s\",\"tag\":\"%s\",\"by\":\"li\",\"reason\":\"agreed\"%s%s%s}",
             dimension, tag, until_text ? ",\"until\":\"" : "", until_text ? until_text : "", until_text ? "\"" : "");
    shop_event(shop, "tag.assigned", T0 + at, data);
}

static void assign_until(struct shop *shop, int64_t at, const char *dimension, const char *tag, int64_t end)
{
    char text[TAGD_TIME_TEXT];
    tagd_time_format(T0 + end, text);
    assign(shop, at, dimension, tag, text);
}

static void clear(struct shop *shop, int64_t at, const char *dimension)
{
    char data[256];
    snprintf(data, sizeof data, "{\"dimension\":\"%s\",\"by\":\"wang\"}", dimension);
    shop_event(shop, "tag.cleared", T0 + at, data);
}

static void review(struct shop *shop, int64_t at, int proposal, const char *decision)
{
    char data[256];
    snprintf(data, sizeof data, "{\"proposal\":\"proposal:c:%d\",\"decision\":\"%s\",\"by\":\"zhao\"}", proposal,
             decision);
    shop_event(shop, "tag.reviewed", T0 + at, data);
}

/* ---- for, min_dwell ---- */

#define WAITS                                                                                                          \
    "\"b.x\":{\"tags\":[{\"tag\":\"two\",\"when\":\"count(login) >= 2\",\"for\":\"1h\"},"                              \
    "{\"tag\":\"one\",\"when\":\"count(login) >= 1\"}]}"

static void a_tag_is_taken_at_the_instant_at_which_its_rule_has_held_for_its_time(void)
{
    struct shop shop = shop_open("", WAITS);
    login(&shop, 0);
    login(&shop, 10);
    SAW(&shop, "b.x ->one@0;");
    until(&shop, 10 + H - 1);
    SAW(&shop, "");
    until(&shop, 10 + H);
    SAW(&shop, "b.x one>two@3600010;");
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

static void events_meanwhile_neither_take_it_early_nor_begin_it_anew(void)
{
    struct shop shop = shop_open("", WAITS);
    login(&shop, 0);
    login(&shop, 10);
    login(&shop, 11);
    login(&shop, 10 + H - 1);
    SAW(&shop, "b.x ->one@0;");
    login(&shop, 10 + H); /* time comes first */
    SAW(&shop, "b.x one>two@3600010;");
    shop_close(&shop);
}

static void a_break_begins_the_wait_anew(void)
{
    struct shop shop =
        shop_open("", "\"b.x\":{\"tags\":[{\"tag\":\"shop\",\"when\":\"latest(category, order.paid) == 'a'\","
                      "\"for\":\"1h\"},{\"tag\":\"rest\",\"when\":\"true\"}]}");
    login(&shop, 0);
    shop_event(&shop, "order.paid", T0, "{\"category\":\"a\"}");
    shop_event(&shop, "order.paid", T0 + H - 2, "{\"category\":\"b\"}");
    shop_event(&shop, "order.paid", T0 + H - 1, "{\"category\":\"a\"}");
    until(&shop, 2 * H - 2);
    SAW(&shop, "b.x ->rest@0;");
    until(&shop, 2 * H - 1);
    SAW(&shop, "b.x rest>shop@7199999;");
    shop_close(&shop);
}

static void a_customer_has_no_tag_until_for_has_passed(void)
{
    struct shop shop =
        shop_open("", "\"b.x\":{\"for\":\"1h\",\"tags\":[{\"tag\":\"all\",\"when\":\"true\"}]},"
                      "\"b.y\":{\"for\":\"1h\",\"tags\":[{\"tag\":\"all\",\"when\":\"true\",\"for\":\"0s\"}]}");
    login(&shop, 0);
    SAW(&shop, "b.y ->all@0;"); /* its own "0s" takes it out of the dimension's */
    until(&shop, H - 1);
    SAW(&shop, "");
    until(&shop, H);
    SAW(&shop, "b.x ->all@3600000;");
    shop_close(&shop);
}

static void for_of_a_dimension_is_how_long_no_rule_has_to_hold_before_the_tag_ends(void)
{
    struct shop shop =
        shop_open("", "\"b.x\":{\"for\":\"1h\",\"tags\":[{\"tag\":\"here\",\"when\":\"since(login) < 2h\","
                      "\"for\":\"0s\"}]}");
    login(&shop, 0);
    until(&shop, 3 * H - 1);
    SAW(&shop, "b.x ->here@0;");
    until(&shop, 3 * H);
    SAW(&shop, "b.x here>-@10800000;");
    login(&shop, 4 * H);
    login(&shop, 7 * H - 1); /* a millisecond before it ends */
    until(&shop, 9 * H);
    SAW(&shop, "b.x ->here@14400000;");
    shop_close(&shop);
}

#define DWELLS                                                                                                         \
    "\"b.x\":{\"tags\":[{\"tag\":\"up\",\"when\":\"latest(category, order.paid) == 'up'\",\"min_dwell\":\"1h\"},"      \
    "{\"tag\":\"down\",\"when\":\"latest(category, order.paid) == 'down'\"}]}"

static void up_or_down(struct shop *shop, int64_t at, const char *which)
{
    char data[64];
    snprintf(data, sizeof data, "{\"category\":\"%s\"}", which);
    shop_event(shop, "order.paid", T0 + at, data);
}

static void a_tag_stays_as_long_as_its_min_dwell_and_no_millisecond_longer(void)
{
    struct shop shop = shop_open("", DWELLS);
    up_or_down(&shop, 0, "up");
    up_or_down(&shop, 1000, "down");
    until(&shop, H - 1);
    SAW(&shop, "b.x ->up@0;");
    until(&shop, H);
    SAW(&shop, "b.x up>down@3600000;");
    up_or_down(&shop, 2 * H, "up");   /* down has no min_dwell */
    up_or_down(&shop, 3 * H, "down"); /* by an event at the very instant: time has come first, and takes nothing */
    SAW(&shop, "b.x down>up@7200000;b.x up>down@10800000;");
    shop_close(&shop);
}

static void what_the_rules_say_again_meanwhile_renews_no_min_dwell(void)
{
    struct shop shop = shop_open("", DWELLS);
    up_or_down(&shop, 0, "up");
    up_or_down(&shop, 1000, "down");
    up_or_down(&shop, 2000, "up");
    up_or_down(&shop, H - 1, "none"); /* no rule holds: none waits as well */
    until(&shop, H);
    SAW(&shop, "b.x ->up@0;b.x up>-@3600000;");
    shop_close(&shop);
}

static void min_dwell_and_for_both_have_to_pass(void)
{
    static const struct {
        const char *dwell, *wait;
        int64_t begins, taken;
    } cases[] = {{"1h", "30m", 1000, H},           /* min_dwell is the longer */
                 {"1h", "2h", 1000, 1000 + 2 * H}, /* for is */
                 {"1h", "1h", 0, H},               /* both at one instant */
                 {"1h", "30m", H / 2 + 1, H + 1},  /* for ends a millisecond later, */
                 {"1h", "30m", H / 2 - 1, H},      /* and before */
                 {"1h", "0s", H - 1, H},
                 {"1h", "0s", H, H}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char rules[512], expected[64];
        snprintf(rules, sizeof rules,
                 "\"b.x\":{\"tags\":[{\"tag\":\"up\",\"when\":\"latest(category, order.paid) == "
                 "'up'\",\"min_dwell\":\"%s\"},"
                 "{\"tag\":\"down\",\"when\":\"true\",\"for\":\"%s\"}]}",
                 cases[i].dwell, cases[i].wait);
        snprintf(expected, sizeof expected, "b.x up>down@%lld;", (long long)cases[i].taken);
        struct shop shop = shop_open("", rules);
        up_or_down(&shop, 0, "up");
        SAW(&shop, "b.x ->up@0;");
        up_or_down(&shop, cases[i].begins, "down");
        until(&shop, cases[i].taken - 1);
        SAW(&shop, cases[i].begins == cases[i].taken ? expected : "");
        until(&shop, cases[i].taken);
        SAW(&shop, cases[i].begins == cases[i].taken ? "" : expected);
        shop_close(&shop);
    }
}

static void another_outcome_that_waits_counts_from_its_own_beginning(void)
{
    struct shop shop = shop_open(
        "", "\"b.x\":{\"for\":\"1h\",\"tags\":[{\"tag\":\"up\",\"when\":\"latest(category, order.paid) == 'up'\"},"
            "{\"tag\":\"down\",\"when\":\"latest(category, order.paid) == "
            "'down'\"},{\"tag\":\"rest\",\"when\":\"true\",\"for\":\"0s\"}]}");
    login(&shop, 0);
    up_or_down(&shop, 0, "up");
    up_or_down(&shop, H / 2, "down"); /* never rest between: what waits goes over from one to the other */
    until(&shop, H + H / 2 - 1);
    SAW(&shop, "b.x ->rest@0;");
    until(&shop, H + H / 2);
    SAW(&shop, "b.x rest>down@5400000;");
    shop_close(&shop);
}

static void a_value_is_held_back_by_its_text(void)
{
    struct shop shop =
        shop_open("", "\"b.v\":{\"for\":\"1h\",\"min_dwell\":\"3h\",\"value\":\"latest(category, order.paid)\"}");
    up_or_down(&shop, 0, "a");
    up_or_down(&shop, H - 1, "bb"); /* a millisecond too early: a was never taken */
    up_or_down(&shop, H, "bb");     /* the same value goes on waiting */
    until(&shop, 2 * H - 2);
    SAW(&shop, "");
    until(&shop, 2 * H - 1);
    SAW(&shop, "b.v ->bb@7199999;");
    up_or_down(&shop, 3 * H, "ccc"); /* min_dwell is the longer */
    up_or_down(&shop, 5 * H - 2, "bb");
    up_or_down(&shop, 5 * H - 1 - H, "late"); /* late: not the latest */
    up_or_down(&shop, 5 * H - 1, "dddd");
    until(&shop, 6 * H - 2);
    SAW(&shop, "");
    until(&shop, 6 * H - 1);
    SAW(&shop, "b.v bb>dddd@21599999;");
    shop_close(&shop);
}

static void a_value_that_ends_waits_as_long_as_the_dimension_says(void)
{
    struct shop shop = shop_open("", "\"b.v\":{\"for\":\"1h\",\"value\":\"top(category, order.paid[2h:1h])\"}");
    int64_t start = T0 / H * H - T0;
    up_or_down(&shop, start, "a");
    until(&shop, start + 3 * H - 1);
    char expected[64];
    snprintf(expected, sizeof expected, "b.v ->a@%lld;", (long long)(start + H));
    SAW(&shop, expected);
    until(&shop, start + 3 * H);
    snprintf(expected, sizeof expected, "b.v a>-@%lld;", (long long)(start + 3 * H));
    SAW(&shop, expected);
    shop_close(&shop);
}

static void valid_until_knows_what_waits(void)
{
    struct shop shop = shop_open("", WAITS);
    int64_t at;
    struct tagd_tag then;
    login(&shop, 0);
    login(&shop, 10);
    tagd_engine_view(shop.engine, shop.profile, T0 + 10);
    tagd_engine_next(shop.engine, shop.profile, 0, T0 + 10, &at, &then);
    CHECK(at == T0 + 10 + H && then.index == 0);
    struct tagd_holding holding;
    CHECK(tagd_engine_holding(shop.engine, 0, &holding) && holding.waits && holding.rule.index == 1 &&
          holding.wanted.index == 0);
    CHECK(holding.rule_since_ms == T0 && holding.wanted_since_ms == T0 + 10 && holding.due_ms == T0 + 10 + H);
    CHECK(tagd_engine_rule_holds(shop.engine, 0, 0) && tagd_engine_rule_holds(shop.engine, 0, 1));
    shop_close(&shop);
}

/* ---- looking back ---- */

static void what_looks_back_is_evaluated_again_a_millisecond_later(void)
{
    struct shop shop = shop_open("", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"count(login) >= 1\"}]},"
                                     "\"b.y\":{\"tags\":[{\"tag\":\"was-on\",\"when\":\"was(b.x) == 'on'\"},"
                                     "{\"tag\":\"was-off\",\"when\":\"was(b.x) is null\"}]}");
    order(&shop, 0);
    SAW(&shop, "b.y ->was-off@0;");
    login(&shop, 10);
    SAW(&shop, "b.x ->on@10;"); /* it was off as this evaluation began */
    CHECK(tagd_profile_due(shop.profile) == T0 + 11);
    until(&shop, 11);
    SAW(&shop, "b.y was-off>was-on@11;");
    shop_close(&shop);
}

static void time_comes_first_in_that_millisecond_too(void)
{
    struct shop shop = shop_open("", "\"b.x\":{\"value\":\"count(login)\"},\"b.y\":{\"value\":\"was(b.x)\"}");
    login(&shop, 0);
    login(&shop, 1);
    login(&shop, 1);
    SAW(&shop, "b.x ->1@0;b.y ->1@1;b.x 1>2@1;b.x 2>3@1;b.y 1>2@1;"); /* between the two at 1 b.x was 2 */
    until(&shop, 2);
    SAW(&shop, "b.y 2>3@2;");
    shop_close(&shop);
}

static void previous_is_the_tag_before_the_one_that_was(void)
{
    struct shop shop =
        shop_open("", "\"b.x\":{\"value\":\"latest(category, order.paid)\"},\"b.y\":{\"value\":\"previous(b.x)\"}");
    up_or_down(&shop, 0, "a");
    up_or_down(&shop, 10, "b");
    SAW(&shop, "b.x ->a@0;b.x a>b@10;");
    up_or_down(&shop, 20, "c");
    SAW(&shop, "b.y ->a@11;b.x b>c@20;");
    until(&shop, 30);
    SAW(&shop, "b.y a>b@21;");
    shop_close(&shop);
}

static void held_is_exact_to_the_millisecond_and_null_without_a_tag(void)
{
    struct shop shop = shop_open("", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"count(login) == 1\"}]},"
                                     "\"b.at\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"held(b.x) >= "
                                     "1h\"},{\"tag\":\"never\",\"when\":\"held(b.x) is null\"}]},"
                                     "\"b.over\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"held(b.x) > 1h\"}]}");
    order(&shop, 0);
    SAW(&shop, "b.at ->never@0;");
    login(&shop, 10);
    until(&shop, 11);
    SAW(&shop, "b.x ->on@10;b.at never>-@11;");
    until(&shop, 10 + H - 1);
    SAW(&shop, "");
    until(&shop, 10 + H);
    SAW(&shop, "b.at ->yes@3600010;");
    until(&shop, 10 + H + 1);
    SAW(&shop, "b.over ->yes@3600011;");
    login(&shop, 2 * H);
    until(&shop, 3 * H);
    SAW(&shop, "b.x on>-@7200000;b.at yes>never@7200001;b.over yes>-@7200001;");
    shop_close(&shop);
}

static void a_rule_may_look_back_at_its_own_dimension(void)
{
    struct shop shop = shop_open("", "\"b.x\":{\"tags\":[{\"tag\":\"fresh\",\"when\":\"was(b.x) is null or was(b.x) == "
                                     "'fresh' and held(b.x) < 1h\"},"
                                     "{\"tag\":\"old\",\"when\":\"true\"}]}");
    login(&shop, 0);
    until(&shop, H - 1);
    SAW(&shop, "b.x ->fresh@0;");
    until(&shop, H);
    SAW(&shop, "b.x fresh>old@3600000;");
    shop_close(&shop);
}

static void what_reads_another_through_one_that_looks_back_follows_it(void)
{
    struct shop shop = shop_open("", "\"b.z\":{\"tags\":[{\"tag\":\"so\",\"when\":\"b.y == 'was'\"}]},"
                                     "\"b.y\":{\"tags\":[{\"tag\":\"was\",\"when\":\"was(b.x) == 'on'\"}]},"
                                     "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"count(login) >= 1\"}]}");
    login(&shop, 0);
    until(&shop, 10);
    SAW(&shop, "b.x ->on@0;b.z ->so@1;b.y ->was@1;");
    shop_close(&shop);
}

static void valid_until_follows_what_looks_back_and_what_reads_that(void)
{
    struct shop shop = shop_open(
        "", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"since(login) >= 1h\"}]},"
            "\"b.y\":{\"tags\":[{\"tag\":\"was\",\"when\":\"was(b.x) == 'on'\"}]},"
            "\"b.z\":{\"tags\":[{\"tag\":\"so\",\"when\":\"b.y == 'was'\"},{\"tag\":\"else\",\"when\":\"true\"}]}");
    login(&shop, 0);
    for (size_t d = 0; d < 3; d++) {
        int64_t at;
        struct tagd_tag then;
        tagd_engine_view(shop.engine, shop.profile, T0);
        tagd_engine_next(shop.engine, shop.profile, d, T0, &at, &then);
        CHECK(at == T0 + H + (d > 0) && then.index == 0);
    }
    shop_close(&shop);
}

/* t0, t1, ...: each a millisecond after the one before. */
static struct shop chain(int n)
{
    struct tagd_buf rules = {0};
    tagd_buf_add_z(&rules, "\"b.x\":{\"tags\":[{\"tag\":\"t0\",\"when\":\"was(b.x) is null\"}");
    for (int i = 1; i < n; i++)
        tagd_buf_printf(&rules, ",{\"tag\":\"t%d\",\"when\":\"was(b.x) == 't%d' and count(login) > 0\"}", i, i - 1);
    tagd_buf_printf(&rules, ",{\"tag\":\"end\",\"when\":\"was(b.x) == 'end' or was(b.x) == 't%d'\"}]}%c", n - 1, 0);
    struct shop shop = shop_open("", rules.p);
    tagd_buf_free(&rules);
    return shop;
}

static void a_hundred_changes_in_a_row_are_a_chase_and_are_stopped(void)
{
    struct shop shop = chain(TAGD_CHASE_MAX + 50);
    char expected[64];
    login(&shop, 0);
    until(&shop, TAGD_CHASE_MAX - 1);
    CHECK(tagd_engine_limits(shop.engine)->chases == 0 && tagd_profile_due(shop.profile) == T0 + TAGD_CHASE_MAX);
    shop.seen.n = 0;
    until(&shop, TAGD_CHASE_MAX);
    snprintf(expected, sizeof expected, "b.x t%d>t%d@%d;", TAGD_CHASE_MAX - 1, TAGD_CHASE_MAX, TAGD_CHASE_MAX);
    SAW(&shop, expected);
    CHECK(tagd_engine_limits(shop.engine)->chases == 1 && tagd_profile_due(shop.profile) == TAGD_NEVER);
    until(&shop, DAY);
    SAW(&shop, "");
    login(&shop, DAY); /* something else: it goes on from where it was, and is not stopped before the end */
    until(&shop, 2 * DAY);
    CHECK(strncmp(seen(&shop), "b.x t100>t101@86400000;b.x t101>t102@86400001;", 45) == 0);
    CHECK(tagd_engine_limits(shop.engine)->chases == 1);
    CHECK(tagd_str_eq(tagd_profile_tag_text(shop.profile, 0), TAGD_STR("end")));
    shop_close(&shop);
}

static void ninety_nine_changes_in_a_row_come_to_rest_by_themselves(void)
{
    struct shop shop = chain(TAGD_CHASE_MAX - 1); /* t0 to t98, end: 99 behind the first */
    login(&shop, 0);
    until(&shop, DAY);
    CHECK(tagd_str_eq(tagd_profile_tag_text(shop.profile, 0), TAGD_STR("end")));
    CHECK(tagd_engine_limits(shop.engine)->chases == 0 && tagd_profile_due(shop.profile) == TAGD_NEVER);
    shop_close(&shop);
}

static void changes_apart_by_more_than_a_millisecond_are_no_chase(void)
{
    struct shop shop = shop_open(
        "", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"was(b.x) is null or was(b.x) == 'off' and held(b.x) >= 2ms "
            "or was(b.x) == 'on' and held(b.x) < 2ms\"},{\"tag\":\"off\",\"when\":\"true\"}]}");
    login(&shop, 0);
    until(&shop, 1000); /* takes turns every 2 ms */
    CHECK(tagd_engine_limits(shop.engine)->chases == 0);
    CHECK(tagd_profile_revision(shop.profile, TAGD_KIND_TAG) == 501 && tagd_profile_due(shop.profile) == T0 + 1002);
    shop_close(&shop);
}

static void valid_until_of_a_chase_is_the_next_millisecond_and_behind_it_none(void)
{
    struct shop shop = chain(TAGD_CHASE_MAX + 50);
    int64_t at;
    struct tagd_tag then;
    login(&shop, 0);
    tagd_engine_view(shop.engine, shop.profile, T0);
    tagd_engine_next(shop.engine, shop.profile, 0, T0, &at, &then);
    CHECK(at == T0 + 1 && then.index == 1);
    until(&shop, DAY);
    tagd_engine_view(shop.engine, shop.profile, T0 + DAY);
    tagd_engine_next(shop.engine, shop.profile, 0, T0 + DAY, &at, &then);
    CHECK(at == TAGD_NEVER && then.index == -1);
    shop_close(&shop);
}

/* ---- words of persons ---- */

#define LEVELS                                                                                                         \
    "\"b.x\":{\"tags\":[{\"tag\":\"high\",\"when\":\"count(login) >= 2\"},{\"tag\":\"low\",\"when\":\"true\"}]},"      \
    "\"b.y\":{\"tags\":[{\"tag\":\"care\",\"when\":\"b.x == 'high'\"}]}"

static void a_word_wins_over_the_rules_up_to_its_until(void)
{
    struct shop shop = shop_open("", LEVELS);
    login(&shop, 0);
    assign_until(&shop, 10, "b.x", "high", H);
    SAW(&shop, "b.x ->low@0;b.x low>high@10 manual;b.y ->care@10;");
    login(&shop, 20); /* the rules say the same by now */
    until(&shop, H - 1);
    SAW(&shop, "");
    until(&shop, H);
    SAW(&shop, ""); /* and have their say: no change */
    assign_until(&shop, H + 10, "b.x", "low", 2 * H);
    until(&shop, 2 * H - 1);
    SAW(&shop, "b.x high>low@3600010 manual;b.y care>-@3600010;");
    until(&shop, 2 * H);
    SAW(&shop, "b.x low>high@7200000;b.y ->care@7200000;");
    shop_close(&shop);
}

static void a_word_without_until_ends_when_it_is_cleared(void)
{
    struct shop shop = shop_open("", LEVELS);
    login(&shop, 0);
    assign(&shop, 10, "b.x", "high", NULL);
    until(&shop, 300 * DAY);
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    clear(&shop, 300 * DAY, "b.x");
    SAW(&shop,
        "b.x ->low@0;b.x low>high@10 manual;b.y ->care@10;b.x high>low@25920000000 manual;b.y care>-@25920000000;");
    clear(&shop, 301 * DAY, "b.x"); /* nothing to clear */
    SAW(&shop, "");
    shop_close(&shop);
}

struct told {
    int n;
    struct tagd_change last;
    char by[32], reason[32];
};

static void keep_change(void *self, const struct tagd_change *change)
{
    struct told *told = self;
    told->n++;
    told->last = *change;
    snprintf(told->by, sizeof told->by, "%.*s", (int)change->by.by.n, change->by.by.n ? change->by.by.p : "");
    snprintf(told->reason, sizeof told->reason, "%.*s", (int)change->by.reason.n,
             change->by.reason.n ? change->by.reason.p : "");
}

static void a_change_by_a_word_says_who_why_and_until_when(void)
{
    struct shop shop = shop_open("", LEVELS);
    struct told told = {0};
    login(&shop, 0);
    assign_until(&shop, 10, "b.x", "high", H);
    struct tagd_assignment word;
    tagd_profile_assignment(shop.profile, 0, &word);
    CHECK(word.known && word.tag == 0 && word.until_ms == T0 + H && tagd_str_eq(word.by, TAGD_STR("li")) &&
          tagd_str_eq(word.reason, TAGD_STR("agreed")));
    CHECK(tagd_tag_of(shop.profile, 0)->assigned && tagd_tag_of(shop.profile, 0)->tag == 0);
    /* At its end the tag is the rules' again, and nothing of the word is told. */
    tagd_engine_advance(shop.engine, shop.profile, T0 + H, (struct tagd_sink){&told, keep_change});
    CHECK(told.n == 2 && told.last.dimension == 1 && !told.last.by.known && told.last.origin == TAGD_BY_TIME);
    CHECK(!tagd_tag_of(shop.profile, 0)->assigned && tagd_tag_of(shop.profile, 0)->tag == 1);
    tagd_profile_assignment(shop.profile, 0, &word);
    CHECK(word.known && word.until_ms == T0 + H); /* it is kept, though over */
    clear(&shop, 2 * H, "b.x");
    tagd_profile_assignment(shop.profile, 0, &word);
    CHECK(word.known && word.tag == -1 && word.until_ms == TAGD_NEVER && tagd_str_eq(word.by, TAGD_STR("wang")) &&
          word.reason.n == 0);
    shop_close(&shop);
}

static void what_is_told_of_a_word_is_the_word(void)
{
    struct shop shop =
        shop_open("", "\"b.m\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"vip\"},{\"tag\":\"press\"}]}");
    struct told told = {0};
    const char *text =
        "{\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"s\",\"type\":\"tag.assigned\",\"subject\":\"c\","
        "\"time\":\"2023-11-14T22:13:20Z\",\"data\":{\"dimension\":\"b.m\",\"tag\":\"press\",\"by\":\"li\",\"reason\":"
        "\"why\","
        "\"until\":\"2023-11-15T00:00:00Z\"}}";
    struct tagd_record record = {.value = tagd_str_of(text), .has_value = true, .timestamp_ms = -1};
    struct tagd_event event;
    tagd_event_decode(&shop.rules, &record, 0, &shop.arena, &event);
    CHECK(event.code == TAGD_EVENT_OK);
    CHECK(tagd_engine_apply(shop.engine, shop.profile, &event, INT64_MIN, (struct tagd_sink){&told, keep_change}) ==
          TAGD_APPLIED);
    CHECK(told.n == 1 && told.last.kind == TAGD_KIND_TAG && told.last.origin == TAGD_BY_HAND &&
          told.last.revision == 1);
    CHECK(told.last.from.index == -1 && told.last.to.index == 1 && told.last.by.known && told.last.by.tag == 1);
    CHECK(strcmp(told.by, "li") == 0 && strcmp(told.reason, "why") == 0 &&
          told.last.by.until_ms == INT64_C(1700006400000));
    CHECK(told.last.valid_until_ms == INT64_C(1700006400000) && told.last.then.index == -1 && !told.last.from_by);
    shop_close(&shop);
}

static void of_several_words_the_latest_by_time_counts(void)
{
    struct shop shop =
        shop_open("", "\"b.m\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"a\"},{\"tag\":\"b\"},{\"tag\":\"c\"}]}");
    login(&shop, 0);
    assign(&shop, 100, "b.m", "a", NULL);
    assign(&shop, 99, "b.m", "b", NULL); /* late, and behind the latest word */
    clear(&shop, 99, "b.m");
    SAW(&shop, "b.m ->a@100 manual;");
    assign(&shop, 100, "b.m", "b", NULL); /* of one time: the later to arrive */
    SAW(&shop, "b.m a>b@100 manual;");
    login(&shop, 200);
    assign(&shop, 150, "b.m", "c", NULL); /* late, but later than any word: at the clock */
    SAW(&shop, "b.m b>c@200 manual;");
    clear(&shop, 149, "b.m");
    SAW(&shop, "");
    clear(&shop, 150, "b.m");
    SAW(&shop, "b.m c>-@200 manual;");
    shop_close(&shop);
}

static void a_word_whose_until_has_passed_gives_nothing_but_ends_the_one_before(void)
{
    struct shop shop = shop_open("", LEVELS);
    login(&shop, 0);
    assign_until(&shop, 10, "b.x", "high", 10); /* until is exclusive */
    SAW(&shop, "b.x ->low@0;");
    assign_until(&shop, 11, "b.x", "high", 12);
    SAW(&shop, "b.x low>high@11 manual;b.y ->care@11;");
    until(&shop, 12);
    SAW(&shop, "b.x high>low@12;b.y care>-@12;");
    assign(&shop, 20, "b.x", "high", NULL);
    assign_until(&shop, 30, "b.x", "high", 5);
    SAW(&shop, "b.x low>high@20 manual;b.y ->care@20;b.x high>low@30 manual;b.y care>-@30;");
    shop_close(&shop);
}

static void rules_go_on_beneath_a_word_with_their_for_and_min_dwell(void)
{
    struct shop shop = shop_open("", WAITS);
    login(&shop, 0);
    assign_until(&shop, 5, "b.x", "one", H);
    login(&shop, 10);
    until(&shop, H);
    SAW(&shop, "b.x ->one@0;"); /* the word says what the rules' tag is as well */
    until(&shop, H + 9);
    SAW(&shop, "");
    until(&shop, H + 10); /* an hour after the rule began to hold, not after the word ended */
    SAW(&shop, "b.x one>two@3600010;");
    shop_close(&shop);
}

static void an_old_name_assigns_what_it_means(void)
{
    struct shop shop = shop_open("\"aliases\":{\"old.x.gold\":\"b.x.high\",\"b.x.silver\":\"b.x.low\"},", LEVELS);
    login(&shop, 0);
    assign(&shop, 10, "old.x", "gold", NULL);
    assign(&shop, 20, "b.x", "silver", NULL);
    SAW(&shop, "b.x ->low@0;b.x low>high@10 manual;b.y ->care@10;b.x high>low@20 manual;b.y care>-@20;");
    assign(&shop, 30, "b.x", "high", NULL);
    clear(&shop, 40, "old.x");
    SAW(&shop, "b.x low>high@30 manual;b.y ->care@30;b.x high>low@40 manual;b.y care>-@40;");
    shop_close(&shop);
}

static void a_word_begins_a_customer(void)
{
    struct shop shop = shop_open("", LEVELS ",\"b.m\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"vip\"}]}");
    assign(&shop, 0, "b.m", "vip", NULL);
    SAW(&shop, "b.x ->low@0;b.m ->vip@0 manual;");
    CHECK(tagd_profile_latest(shop.profile) == T0);
    shop_close(&shop);
}

static void a_word_about_one_dimension_is_no_word_about_another(void)
{
    struct shop shop = shop_open(
        "", "\"b.x\":{\"tags\":[{\"tag\":\"on\",\"when\":\"true\"},{\"tag\":\"off\",\"when\":\"false\"}]},"
            "\"b.y\":{\"tags\":[{\"tag\":\"was-on\",\"when\":\"b.x == 'on'\"},{\"tag\":\"else\",\"when\":\"true\"}]},"
            "\"b.z\":{\"tags\":[{\"tag\":\"on\",\"when\":\"true\"},{\"tag\":\"off\",\"when\":\"false\"}]}");
    login(&shop, 0);
    seen(&shop);
    assign(&shop, 10, "b.x", "off", NULL);
    SAW(&shop, "b.x on>off@10 manual;b.y was-on>else@10;"); /* origin of the second: the event */
    shop_close(&shop);
}

/* ---- review ---- */

#define REVIEWED                                                                                                       \
    "\"b.r\":{\"assign\":\"review\",\"expires\":\"1d\",\"tags\":[{\"tag\":\"up\",\"when\":\"latest(category, "         \
    "order.paid) == 'up'\"},"                                                                                          \
    "{\"tag\":\"down\",\"when\":\"latest(category, order.paid) == 'down'\"}]},"                                        \
    "\"b.y\":{\"tags\":[{\"tag\":\"seen\",\"when\":\"b.r == 'up'\"}]}"

static uint64_t stale(const struct shop *shop)
{
    return tagd_engine_limits(shop->engine)->stale_reviews;
}

static void what_the_rules_say_is_proposed_and_approved(void)
{
    struct shop shop = shop_open("", REVIEWED);
    up_or_down(&shop, 0, "up");
    SAW(&shop, "b.r proposed ->up@0 #1;");
    up_or_down(&shop, 10, "up"); /* it is proposed already */
    SAW(&shop, "");
    review(&shop, 20, 1, "approved");
    SAW(&shop, "b.r approved ->up@20 #2 of #1;b.r ->up@20 review;b.y ->seen@20;"); /* closed, then the change */
    CHECK(stale(&shop) == 0 && tagd_profile_revision(shop.profile, TAGD_KIND_PROPOSAL) == 2 &&
          tagd_profile_revision(shop.profile, TAGD_KIND_TAG) == 2);
    up_or_down(&shop, 30, "none"); /* that there be none is proposed too */
    SAW(&shop, "b.r proposed up>-@30 #3;");
    review(&shop, 40, 3, "approved");
    SAW(&shop, "b.r approved up>-@40 #4 of #3;b.r up>-@40 review;b.y seen>-@40;");
    shop_close(&shop);
}

static void what_was_rejected_is_not_proposed_again_before_the_rules_say_something_else(void)
{
    struct shop shop = shop_open("", REVIEWED);
    up_or_down(&shop, 0, "up");
    review(&shop, 10, 1, "rejected");
    SAW(&shop, "b.r proposed ->up@0 #1;b.r rejected ->up@10 #2 of #1;");
    up_or_down(&shop, 20, "up");
    login(&shop, 5 * DAY);
    until(&shop, 9 * DAY);
    SAW(&shop, "");
    up_or_down(&shop, 10 * DAY, "none"); /* the approved one: nothing to propose, but something else */
    up_or_down(&shop, 10 * DAY + 1, "up");
    SAW(&shop, "b.r proposed ->up@864000001 #3;");
    shop_close(&shop);
}

static void a_proposal_expires_at_its_very_millisecond(void)
{
    struct shop shop = shop_open("", REVIEWED);
    up_or_down(&shop, 0, "up");
    struct tagd_proposal proposal;
    CHECK(tagd_profile_proposal(shop.profile, 0, &proposal) && proposal.revision == 1 && proposal.tag == 0 &&
          proposal.at_ms == T0 && proposal.expires_ms == T0 + DAY);
    until(&shop, DAY - 1);
    SAW(&shop, "b.r proposed ->up@0 #1;");
    until(&shop, DAY);
    SAW(&shop, "b.r expired ->up@86400000 #2 of #1;");
    CHECK(!tagd_profile_proposal(shop.profile, 0, &proposal));
    up_or_down(&shop, DAY + 1, "up"); /* as if rejected */
    SAW(&shop, "");
    up_or_down(&shop, DAY + 2, "down");
    SAW(&shop, "b.r proposed ->down@86400002 #3;");
    shop_close(&shop);
}

static void a_decision_counts_a_millisecond_before_and_not_as_it_expires(void)
{
    for (int late = 0; late < 2; late++) {
        struct shop shop = shop_open("", REVIEWED);
        up_or_down(&shop, 0, "up");
        SAW(&shop, "b.r proposed ->up@0 #1;");
        review(&shop, DAY - 1 + late, 1, "approved");
        if (late)
            SAW(&shop, "b.r expired ->up@86400000 #2 of #1;"); /* time comes first */
        else
            SAW(&shop, "b.r approved ->up@86399999 #2 of #1;b.r ->up@86399999 review;b.y ->seen@86399999;");
        CHECK(stale(&shop) == (uint64_t)late);
        shop_close(&shop);
    }
}

static void a_proposal_without_expires_stays_open(void)
{
    struct shop shop = shop_open("", "\"b.r\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"up\",\"when\":\"true\"}]}");
    struct tagd_proposal proposal;
    login(&shop, 0);
    CHECK(tagd_profile_due(shop.profile) == TAGD_NEVER);
    CHECK(tagd_profile_proposal(shop.profile, 0, &proposal) && proposal.expires_ms == TAGD_NEVER);
    shop_close(&shop);
}

static void a_proposal_is_withdrawn_when_the_rules_say_something_else(void)
{
    struct shop shop = shop_open("", REVIEWED);
    up_or_down(&shop, 0, "up");
    up_or_down(&shop, 10, "down");
    SAW(&shop,
        "b.r proposed ->up@0 #1;b.r withdrawn ->up@10 #2 of #1;b.r proposed ->down@10 #3;"); /* closed, then the new one */
    up_or_down(&shop, 20, "none"); /* which is what is approved */
    SAW(&shop, "b.r withdrawn ->down@20 #4 of #3;");
    review(&shop, 30, 3, "approved");
    SAW(&shop, "");
    CHECK(stale(&shop) == 1);
    shop_close(&shop);
}

static void time_alone_withdraws_and_proposes(void)
{
    struct shop shop =
        shop_open("", "\"b.r\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"here\",\"when\":\"since(login) < 1h\"},"
                      "{\"tag\":\"gone\",\"when\":\"since(login) >= 2h\"}]}");
    login(&shop, 0);
    until(&shop, 3 * H);
    SAW(&shop, "b.r proposed ->here@0 #1;b.r withdrawn ->here@3600000 #2 of #1;b.r proposed ->gone@7200000 #3;");
    shop_close(&shop);
}

static void a_word_withdraws_a_proposal_and_nothing_is_proposed_while_it_lasts(void)
{
    struct shop shop = shop_open("", REVIEWED);
    up_or_down(&shop, 0, "up");
    assign_until(&shop, 10, "b.r", "down", H);
    SAW(&shop, "b.r proposed ->up@0 #1;b.r withdrawn ->up@10 #2 of #1;b.r ->down@10 manual;");
    up_or_down(&shop, 20, "none");
    up_or_down(&shop, 30, "up");
    until(&shop, H - 1);
    SAW(&shop, "");
    until(&shop, H); /* the tag is the approved one again: none; and the rules' is proposed */
    SAW(&shop, "b.r proposed ->up@3600000 #3;b.r down>-@3600000;");
    shop_close(&shop);
}

static void a_decision_about_no_open_proposal_changes_nothing_and_is_counted(void)
{
    struct shop shop = shop_open("", REVIEWED);
    review(&shop, 0, 1, "approved"); /* nothing was ever proposed */
    CHECK(stale(&shop) == 1);
    up_or_down(&shop, 1, "up");
    review(&shop, 2, 2, "approved");
    CHECK(stale(&shop) == 2);
    SAW(&shop, "b.r proposed ->up@1 #1;");
    review(&shop, 3, 1, "rejected");
    review(&shop, 4, 1, "approved"); /* over */
    review(&shop, 5, 2, "approved"); /* the number of its end is no proposal */
    SAW(&shop, "b.r rejected ->up@3 #2 of #1;");
    CHECK(stale(&shop) == 4);
    shop_close(&shop);
}

static void a_decision_is_about_its_own_dimension(void)
{
    struct shop shop =
        shop_open("", "\"b.p\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"x\",\"when\":\"count(login) > 0\"}]},"
                      "\"b.q\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"y\",\"when\":\"count(login) > 0\"}]}");
    login(&shop, 0);
    SAW(&shop, "b.p proposed ->x@0 #1;b.q proposed ->y@0 #2;");
    review(&shop, 10, 2, "approved");
    SAW(&shop, "b.q approved ->y@10 #3 of #2;b.q ->y@10 review;");
    review(&shop, 20, 1, "rejected");
    SAW(&shop, "b.p rejected ->x@20 #4 of #1;");
    shop_close(&shop);
}

static void a_decision_may_come_late(void)
{
    struct shop shop = shop_open("", REVIEWED);
    up_or_down(&shop, 0, "up");
    login(&shop, H);
    review(&shop, 10, 1, "approved"); /* decided at 10, known and done at the clock */
    SAW(&shop, "b.r proposed ->up@0 #1;b.r approved ->up@3600000 #2 of #1;b.r ->up@3600000 review;b.y ->seen@3600000;");
    shop_close(&shop);
}

static void what_a_reviewed_dimension_proposes_has_lasted(void)
{
    struct shop shop = shop_open("", "\"b.r\":{\"assign\":\"review\",\"for\":\"1h\",\"tags\":[{\"tag\":\"up\",\"when\":"
                                     "\"latest(category, order.paid) == 'up'\"}]}");
    up_or_down(&shop, 0, "up");
    until(&shop, H - 1);
    SAW(&shop, "");
    until(&shop, H);
    SAW(&shop, "b.r proposed ->up@3600000 #1;");
    up_or_down(&shop, 2 * H, "none");
    until(&shop, 3 * H - 1);
    SAW(&shop, "");
    until(&shop, 3 * H);
    SAW(&shop, "b.r withdrawn ->up@10800000 #2 of #1;");
    shop_close(&shop);
}

static void a_rule_may_look_back_at_a_reviewed_dimension(void)
{
    struct shop shop =
        shop_open("", "\"b.r\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"up\",\"when\":\"count(login) > 0\"}]},"
                      "\"b.y\":{\"tags\":[{\"tag\":\"settled\",\"when\":\"was(b.r) == 'up' and held(b.r) >= 1h\"}]}");
    login(&shop, 0);
    review(&shop, H, 1, "approved");
    until(&shop, 2 * H - 1);
    SAW(&shop, "b.r proposed ->up@0 #1;b.r approved ->up@3600000 #2 of #1;b.r ->up@3600000 review;");
    until(&shop, 2 * H);
    SAW(&shop, "b.y ->settled@7200000;");
    shop_close(&shop);
}

static void an_import_proposes_nothing_and_the_next_evaluation_does(void)
{
    struct shop shop = shop_open("", REVIEWED);
    struct tagd_proposal proposal;
    tagd_engine_telling(shop.engine, TAGD_BASELINE);
    up_or_down(&shop, 0, "up");
    until(&shop, 2 * DAY);
    SAW(&shop, "");
    CHECK(!tagd_profile_proposal(shop.profile, 0, &proposal) &&
          tagd_profile_revision(shop.profile, TAGD_KIND_PROPOSAL) == 0);
    tagd_engine_telling(shop.engine, TAGD_TOLD);
    up_or_down(&shop, 3 * DAY, "up"); /* nothing has changed, but it is looked at */
    SAW(&shop, "b.r proposed ->up@259200000 #1;");
    shop_close(&shop);
}

/* What the daemon tells, and what a repair makes again: the same profile but for what only telling counts. */
static void a_replay_numbers_proposals_as_they_were(void)
{
    struct shop told = shop_open("", REVIEWED), again = shop_open("", REVIEWED);
    struct tagd_proposal a, b;
    tagd_engine_telling(again.engine, TAGD_REPLAY);
    struct shop *shops[] = {&told, &again};
    for (int i = 0; i < 2; i++) {
        up_or_down(shops[i], 0, "up");
        up_or_down(shops[i], 10, "down");
        review(shops[i], 20, 3, "approved");
        up_or_down(shops[i], 30, "up");
        until(shops[i], 2 * DAY);
        up_or_down(shops[i], 3 * DAY, "none");
    }
    CHECK(tagd_profile_revision(told.profile, TAGD_KIND_PROPOSAL) == 7);
    CHECK(tagd_profile_revision(again.profile, TAGD_KIND_PROPOSAL) == 7);
    CHECK(tagd_profile_revision(told.profile, TAGD_KIND_TAG) == 1 &&
          tagd_profile_revision(again.profile, TAGD_KIND_TAG) == 0);
    CHECK(tagd_profile_proposal(told.profile, 0, &a) && tagd_profile_proposal(again.profile, 0, &b));
    CHECK(a.revision == 7 && b.revision == 7 && a.tag == b.tag && a.at_ms == b.at_ms);
    CHECK(again.seen.n == 0 && tagd_engine_untold(again.engine) == 6 && tagd_engine_untold(told.engine) == 0);
    shop_close(&told);
    shop_close(&again);
}

/* ---- alerts ---- */

static struct shop shop_with_alerts(const char *alerts)
{
    char more[1024];
    snprintf(more, sizeof more, "\"alerts\":{%s},", alerts);
    return shop_open(more, "\"b.x\":{\"tags\":[{\"tag\":\"high\",\"when\":\"count(order.paid) >= "
                           "2\"},{\"tag\":\"low\",\"when\":\"true\"}]}");
}

static void an_alert_is_raised_and_cleared_and_counts_by_itself(void)
{
    struct shop shop = shop_with_alerts("\"loss\":{\"when\":\"b.x == 'high' and since(login) > 1h\"}");
    CHECK(tagd_catalog_n_dimensions(shop.catalog) == 2 && tagd_catalog_kind(shop.catalog, 1) == TAGD_KIND_ALERT);
    login(&shop, 0);
    order(&shop, 0);
    order(&shop, 10);
    until(&shop, H);
    SAW(&shop, "b.x ->low@0;b.x low>high@10;");
    until(&shop, H + 1);
    SAW(&shop, "loss ->raised@3600001;");
    login(&shop, 2 * H);
    SAW(&shop, "loss raised>-@7200000;");
    until(&shop, 4 * H);
    SAW(&shop, "loss ->raised@10800001;");
    CHECK(tagd_profile_revision(shop.profile, TAGD_KIND_ALERT) == 3 &&
          tagd_profile_revision(shop.profile, TAGD_KIND_TAG) == 2);
    CHECK(tagd_profile_changed_at(shop.profile) == T0 + 10); /* the last change of a tag */
    shop_close(&shop);
}

static void an_alert_waits_for_its_for_and_stays_for_its_min_dwell(void)
{
    struct shop shop = shop_with_alerts(
        "\"loss\":{\"when\":\"latest(category, order.paid) == 'up'\",\"for\":\"1h\",\"min_dwell\":\"2h\"}");
    up_or_down(&shop, 0, "up");
    up_or_down(&shop, 1, "up");
    until(&shop, H - 1);
    SAW(&shop, "b.x ->low@0;b.x low>high@1;");
    until(&shop, H);
    SAW(&shop, "loss ->raised@3600000;");
    up_or_down(&shop, H + 1, "down");
    until(&shop, 3 * H - 1);
    SAW(&shop, "");
    until(&shop, 3 * H);
    SAW(&shop, "loss raised>-@10800000;");
    shop_close(&shop);
}

static void an_alert_ends_at_once_whatever_its_for(void)
{
    struct shop shop = shop_with_alerts("\"loss\":{\"when\":\"latest(category, order.paid) == 'up'\",\"for\":\"1h\"}");
    up_or_down(&shop, 0, "up");
    until(&shop, 2 * H);
    up_or_down(&shop, 2 * H, "down");
    SAW(&shop, "b.x ->low@0;loss ->raised@3600000;b.x low>high@7200000;loss raised>-@7200000;");
    shop_close(&shop);
}

static void what_waits_is_given_up_at_the_instant_at_which_its_rule_ends(void)
{
    struct shop shop = shop_open("", "\"b.x\":{\"for\":\"10s\",\"tags\":["
                                     "{\"tag\":\"a\",\"when\":\"since(login) < 20s\"},"
                                     "{\"tag\":\"b\",\"when\":\"since(login) < 25s\"},"
                                     "{\"tag\":\"c\",\"when\":\"true\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 60000);
    CHECK(shop_saw(&shop, "b.x ->a@1700000010000;b.x a>c@1700000035000;"));
    shop_close(&shop);
}

int main(void)
{
    RUN(a_tag_is_taken_at_the_instant_at_which_its_rule_has_held_for_its_time);
    RUN(events_meanwhile_neither_take_it_early_nor_begin_it_anew);
    RUN(a_break_begins_the_wait_anew);
    RUN(a_customer_has_no_tag_until_for_has_passed);
    RUN(for_of_a_dimension_is_how_long_no_rule_has_to_hold_before_the_tag_ends);
    RUN(a_tag_stays_as_long_as_its_min_dwell_and_no_millisecond_longer);
    RUN(what_the_rules_say_again_meanwhile_renews_no_min_dwell);
    RUN(min_dwell_and_for_both_have_to_pass);
    RUN(another_outcome_that_waits_counts_from_its_own_beginning);
    RUN(a_value_is_held_back_by_its_text);
    RUN(a_value_that_ends_waits_as_long_as_the_dimension_says);
    RUN(valid_until_knows_what_waits);
    RUN(what_looks_back_is_evaluated_again_a_millisecond_later);
    RUN(time_comes_first_in_that_millisecond_too);
    RUN(previous_is_the_tag_before_the_one_that_was);
    RUN(held_is_exact_to_the_millisecond_and_null_without_a_tag);
    RUN(a_rule_may_look_back_at_its_own_dimension);
    RUN(what_reads_another_through_one_that_looks_back_follows_it);
    RUN(valid_until_follows_what_looks_back_and_what_reads_that);
    RUN(a_hundred_changes_in_a_row_are_a_chase_and_are_stopped);
    RUN(ninety_nine_changes_in_a_row_come_to_rest_by_themselves);
    RUN(changes_apart_by_more_than_a_millisecond_are_no_chase);
    RUN(valid_until_of_a_chase_is_the_next_millisecond_and_behind_it_none);
    RUN(a_word_wins_over_the_rules_up_to_its_until);
    RUN(a_word_without_until_ends_when_it_is_cleared);
    RUN(a_change_by_a_word_says_who_why_and_until_when);
    RUN(what_is_told_of_a_word_is_the_word);
    RUN(of_several_words_the_latest_by_time_counts);
    RUN(a_word_whose_until_has_passed_gives_nothing_but_ends_the_one_before);
    RUN(rules_go_on_beneath_a_word_with_their_for_and_min_dwell);
    RUN(an_old_name_assigns_what_it_means);
    RUN(a_word_begins_a_customer);
    RUN(a_word_about_one_dimension_is_no_word_about_another);
    RUN(what_the_rules_say_is_proposed_and_approved);
    RUN(what_was_rejected_is_not_proposed_again_before_the_rules_say_something_else);
    RUN(a_proposal_expires_at_its_very_millisecond);
    RUN(a_decision_counts_a_millisecond_before_and_not_as_it_expires);
    RUN(a_proposal_without_expires_stays_open);
    RUN(a_proposal_is_withdrawn_when_the_rules_say_something_else);
    RUN(time_alone_withdraws_and_proposes);
    RUN(a_word_withdraws_a_proposal_and_nothing_is_proposed_while_it_lasts);
    RUN(a_decision_about_no_open_proposal_changes_nothing_and_is_counted);
    RUN(a_decision_is_about_its_own_dimension);
    RUN(a_decision_may_come_late);
    RUN(what_a_reviewed_dimension_proposes_has_lasted);
    RUN(a_rule_may_look_back_at_a_reviewed_dimension);
    RUN(an_import_proposes_nothing_and_the_next_evaluation_does);
    RUN(a_replay_numbers_proposals_as_they_were);
    RUN(an_alert_is_raised_and_cleared_and_counts_by_itself);
    RUN(an_alert_waits_for_its_for_and_stays_for_its_min_dwell);
    RUN(an_alert_ends_at_once_whatever_its_for);
    RUN(what_waits_is_given_up_at_the_instant_at_which_its_rule_ends);
    return DONE();
}
