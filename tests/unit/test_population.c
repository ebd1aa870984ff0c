/* The population: what an engine tells of moves, what a tally makes of them, what the counts say together; then how a shard
 * keeps them, over a world in memory, where every write is compared with a recount. */
#include "world.h"
#include "worker/import.h"

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define DAY ((int64_t)TAGD_MS_DAY)
#define MIDNIGHT (T0 / DAY * DAY + DAY) /* 2023-11-15T00:00:00Z */
#define DIMENSIONS                                                                                                     \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(interaction) >= 10s\"},"                           \
    "{\"tag\":\"busy\",\"when\":\"true\"}]},"                                                                          \
    "\"v.level\":{\"tags\":[{\"tag\":\"high\",\"when\":\"count(order.paid) >= 2\"},"                                   \
    "{\"tag\":\"low\",\"when\":\"count(order.paid) >= 1\"}]},"                                                         \
    "\"a.region\":{\"value\":\"attr.region\"},\"n.category\":{\"value\":\"latest(category, order.paid)\"}"
#define BREAKDOWNS "\"breakdowns\":[[\"v.level\",\"b.activity\"],[\"n.category\",\"v.level\"]],"
#define ALERTS "\"alerts\":{\"loss\":{\"when\":\"v.level == 'high' and b.activity == 'silent'\"}},"

/* ---- what an engine tells ---- */

struct moves {
    struct shop shop;
    struct tagd_buf text;
};

static void on_move(void *to, size_t dimension, struct tagd_tag from, struct tagd_tag into, int64_t at_ms)
{
    struct moves *moves = to;
    struct tagd_str none = TAGD_STR("-"), a = from.text.p ? from.text : none, b = into.text.p ? into.text : none;
    tagd_buf_printf(&moves->text, "%s %.*s>%.*s@%lld;", tagd_catalog_dimension(moves->shop.catalog, dimension),
                    (int)a.n, a.p, (int)b.n, b.p, (long long)(at_ms - T0));
}

static void moves_open(struct moves *moves, const char *more, const char *dimensions)
{
    *moves = (struct moves){.shop = shop_open(more, dimensions)};
    tagd_engine_watch(moves->shop.engine, (struct tagd_watcher){moves, on_move, NULL});
}

static void moves_close(struct moves *moves)
{
    tagd_buf_free(&moves->text);
    shop_close(&moves->shop);
}

static void every_change_of_a_tag_is_told_of_as_a_move_also_several_in_a_row(void)
{
    struct moves moves;
    moves_open(&moves, ALERTS, DIMENSIONS);
    shop_event(&moves.shop, "order.paid", T0, "{\"category\":\"tea\"}");
    CHECK(world_saw(&moves.text, "b.activity ->busy@0;v.level ->low@0;n.category ->tea@0;"));
    shop_event(&moves.shop, "order.paid", T0 + 1, "{\"category\":\"silk\"}");
    CHECK(world_saw(&moves.text, "v.level low>high@1;n.category tea>silk@1;"));
    shop_time(&moves.shop, T0 + 20000);
    CHECK(world_saw(&moves.text, "b.activity busy>silent@10001;loss ->raised@10001;"));
    shop_event(&moves.shop, "profile.updated", T0 + 20000, "{\"attributes\":{\"region\":\"north\"}}");
    shop_event(&moves.shop, "profile.updated", T0 + 20001, "{\"attributes\":{\"region\":null}}");
    CHECK(world_saw(&moves.text, "a.region ->north@20000;a.region north>-@20001;"));
    tagd_engine_watch(moves.shop.engine, TAGD_NO_WATCHER);
    shop_event(&moves.shop, "login", T0 + 30000, "{}");
    CHECK(world_saw(&moves.text, "") && moves.shop.seen.n > 0);
    moves_close(&moves);
}

static void what_is_untold_moves_all_the_same(void)
{
    static const enum tagd_telling untold[] = {TAGD_BASELINE, TAGD_REPLAY};
    for (size_t i = 0; i < 2; i++) {
        struct moves moves;
        moves_open(&moves, "", DIMENSIONS);
        tagd_engine_telling(moves.shop.engine, untold[i]);
        shop_event(&moves.shop, "login", T0, "{}");
        shop_time(&moves.shop, T0 + 10000);
        CHECK(shop_saw(&moves.shop, ""));
        CHECK(world_saw(&moves.text, "b.activity ->busy@0;b.activity busy>silent@10000;"));
        moves_close(&moves);
    }
}

/* ---- a tally ---- */

static struct tagd_tag tag(int32_t index, const char *text)
{
    return (struct tagd_tag){index, text ? tagd_str_of(text) : (struct tagd_str){NULL, 0}};
}

/* "set member value;" of those that aren't 0, in the order in which they are told. */
static bool counts_are(const struct tagd_catalog *catalog, const struct tagd_counts *counts, const char *expected)
{
    struct tagd_buf text = {0};
    size_t n;
    struct tagd_ranked *ranked = tagd_counts_rank(counts, &n);
    for (size_t i = 0; i < n; i++) {
        tagd_set_name(catalog, ranked[i].set, &text);
        tagd_buf_printf(&text, " %.*s %lld;", (int)ranked[i].member.n, ranked[i].member.p, (long long)ranked[i].value);
    }
    bool same = world_saw(&text, expected);
    tagd_buf_free(&text);
    free(ranked);
    return same;
}

static void who_comes_and_leaves_in_one_batch_counts_by_day_alone(void)
{
    struct shop shop = shop_open("", DIMENSIONS);
    struct tagd_tally tally = {0};
    struct tagd_members *members = tagd_members_new(shop.catalog);
    tagd_tally_begin(&tally, members);
    tagd_tally_move(&tally, 1, tag(-1, NULL), tag(1, "low"), T0);
    tagd_tally_move(&tally, 1, tag(1, "low"), tag(0, "high"), T0);
    tagd_tally_move(&tally, 1, tag(0, "high"), tag(-1, NULL), T0);
    tagd_tally_customer(&tally, TAGD_STR("c"), shop.profile, false);
    CHECK(counts_are(shop.catalog, &tally.counts,
                     "2023-11-14 +v.level|high 1;2023-11-14 +v.level|low 1;2023-11-14 -v.level|high 1;2023-11-14 "
                     "-v.level|low 1;"));
    CHECK(tally.n_moves == 3);
    tagd_tally_begin(&tally, members);
    CHECK(counts_are(shop.catalog, &tally.counts, "") && tally.n_moves == 0);
    tagd_tally_free(&tally);
    tagd_members_free(members);
    shop_close(&shop);
}

static void an_alert_counts_where_it_is_raised_and_has_no_tags(void)
{
    struct shop shop = shop_open(ALERTS, DIMENSIONS);
    struct tagd_tally tally = {0};
    struct tagd_members *members = tagd_members_new(shop.catalog);
    tagd_engine_watch(shop.engine, tagd_tally_watcher(&tally));
    tagd_tally_begin(&tally, members);
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "order.paid", T0 + 1, "{}");
    tagd_tally_customer(&tally, TAGD_STR("c"), shop.profile, true);
    tagd_tally_begin(&tally, members);
    shop_time(&shop, T0 + 10001);
    tagd_tally_customer(&tally, TAGD_STR("c"), shop.profile, false);
    CHECK(counts_are(shop.catalog, &tally.counts,
                     "2023-11-14 +alert:loss 1;2023-11-14 +b.activity|silent 1;2023-11-14 -b.activity|busy 1;all "
                     "alert:loss 1;b.activity silent 1;b.activity busy -1;"));
    tagd_tally_begin(&tally, members);
    shop_event(&shop, "login", T0 + 20000, "{}");
    tagd_tally_customer(&tally, TAGD_STR("c"), shop.profile, false);
    CHECK(tagd_counts_get(&tally.counts, TAGD_SET_ALL, TAGD_STR("alert:loss")) == -1);
    tagd_tally_free(&tally);
    tagd_members_free(members);
    shop_close(&shop);
}

static void a_day_begins_at_the_catalogs_midnight(void)
{
    struct shop shop = shop_open("\"timezone\":\"+08:00\",", DIMENSIONS);
    struct tagd_tally tally = {0};
    struct tagd_members *members = tagd_members_new(shop.catalog);
    tagd_tally_begin(&tally, members);
    tagd_tally_move(&tally, 0, tag(-1, NULL), tag(1, "busy"), MIDNIGHT - 8 * 3600000 - 1);
    tagd_tally_move(&tally, 0, tag(1, "busy"), tag(-1, NULL), MIDNIGHT - 8 * 3600000);
    CHECK(counts_are(shop.catalog, &tally.counts, "2023-11-14 +b.activity|busy 1;2023-11-15 -b.activity|busy 1;"));
    CHECK(tagd_population_day(shop.catalog, MIDNIGHT - 8 * 3600000 - 1, INT64_MIN) + 1 ==
          tagd_population_day(shop.catalog, INT64_MIN, MIDNIGHT - 8 * 3600000));
    CHECK(tagd_population_day(shop.catalog, INT64_MIN, INT64_MIN) == INT64_MIN);
    tagd_tally_free(&tally);
    tagd_members_free(members);
    shop_close(&shop);
}

#define GOAL                                                                                                           \
    "\"timezone\":\"+08:00\",\"goals\":{\"back\":{\"label\":{\"en\":\"Back\"},\"start\":\"b.activity.silent\","        \
    "\"reach\":"                                                                                                       \
    "\"order.paid\",\"within\":\"30d\",\"target\":0.15,\"holdout\":0.5}},"
#define SILENT                                                                                                         \
    "\"b.activity\":{\"tags\":[{\"tag\":\"silent\",\"when\":\"since(login) >= 1d\"},{\"tag\":\"busy\",\"when\":"       \
    "\"true\"}]}"

static int64_t cohort(const struct tagd_tally *tally, int64_t at_ms, const char *member)
{
    return tagd_counts_get(&tally->counts, tagd_set_month(tagd_month_of(at_ms / DAY)), tagd_str_of(member));
}

/* Of "back", half of the customers are held out: b is, a isn't. */
static void a_goal_counts_in_the_month_in_which_it_began(void)
{
    struct shop shop = shop_open(GOAL, SILENT);
    struct tagd_tally tally = {0};
    struct tagd_members *members = tagd_members_new(shop.catalog);
    int64_t november = INT64_C(1700000000000), december = INT64_C(1701360000000); /* 2023-12-01T00:00:00+08:00 */
    tagd_engine_watch(shop.engine, tagd_tally_watcher(&tally));
    tagd_tally_begin(&tally, members);
    shop_event(&shop, "login", december - DAY - 1, "{}");
    shop_time(&shop, december - 1); /* silent in November's last millisecond */
    shop_event(&shop, "order.paid", december + 3 * DAY, "{}");
    shop_event(&shop, "login", december + 3 * DAY, "{}");
    shop_time(&shop, december + 35 * DAY); /* silent again in December, and missed in January */
    tagd_tally_customer(&tally, TAGD_STR("a"), shop.profile, true);
    CHECK(cohort(&tally, november, "back|started") == 1 && cohort(&tally, november, "back|reached") == 1);
    CHECK(cohort(&tally, december + DAY, "back|started") == 1 && cohort(&tally, december + DAY, "back|missed") == 1);
    CHECK(cohort(&tally, december + 35 * DAY, "back|missed") == 0);
    CHECK(cohort(&tally, november, "back|started|holdout") == 0);
    tagd_tally_goal(&tally, 0, december - 1, TAGD_GOAL_NONE);
    tagd_tally_goal(&tally, 0, december, TAGD_GOAL_NONE);
    tagd_tally_customer(&tally, TAGD_STR("b"), shop.profile, false);
    CHECK(cohort(&tally, november, "back|started|holdout") == 1 && cohort(&tally, november, "back|started") == 1);
    CHECK(cohort(&tally, december + DAY, "back|started|holdout") == 1);
    tagd_tally_free(&tally);
    tagd_members_free(members);
    shop_close(&shop);
}

/* What a repair puts in place of what it computed: the net of both, as far as both know. */
static void a_goal_that_is_put_right_counts_its_difference_alone(void)
{
    enum { RUNS, REACHED, MISSED, NEVER };
    static const struct {
        int was, is;
        int64_t started, reached, missed;
    } rows[] = {{RUNS, RUNS, 0, 0, 0},       {RUNS, REACHED, 0, 1, 0},   {REACHED, RUNS, 0, -1, 0},
                {REACHED, MISSED, 0, -1, 1}, {NEVER, RUNS, 1, 0, 0},     {RUNS, NEVER, -1, 0, 0},
                {NEVER, REACHED, 1, 1, 0},   {MISSED, NEVER, -1, 0, -1}, {REACHED, REACHED, 0, 0, 0}};
    struct shop shop = shop_open(GOAL, SILENT);
    struct tagd_members *members = tagd_members_new(shop.catalog);
    struct tagd_tally tally = {0};
    const struct tagd_goal_state states[] = {{.running = true, .started = T0},
                                             {.outcome = TAGD_GOAL_REACHED, .ended_started = T0, .ended = T0 + 1},
                                             {.outcome = TAGD_GOAL_MISSED, .ended_started = T0, .ended = T0 + 30 * DAY},
                                             {0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tagd_tally_begin(&tally, members);
        tagd_tally_goal_state(&tally, 0, &states[rows[i].was], &states[rows[i].is]);
        tagd_tally_customer(&tally, TAGD_STR("a"), shop.profile, false);
        CHECK(cohort(&tally, T0, "back|started") == rows[i].started);
        CHECK(cohort(&tally, T0, "back|reached") == rows[i].reached);
        CHECK(cohort(&tally, T0, "back|missed") == rows[i].missed);
    }
    /* One began after another: that which only the one that knows more has is left as it was counted. */
    struct tagd_goal_state two = {.running = true,
                                  .started = T0 + 60 * DAY,
                                  .outcome = TAGD_GOAL_REACHED,
                                  .ended_started = T0,
                                  .ended = T0 + 1},
                           second = {.running = true, .started = T0 + 60 * DAY};
    tagd_tally_begin(&tally, members);
    tagd_tally_goal_state(&tally, 0, &two, &second);
    tagd_tally_goal_state(&tally, 0, &second, &two);
    tagd_tally_customer(&tally, TAGD_STR("a"), shop.profile, false);
    CHECK(tally.counts.n == 0);
    tagd_tally_begin(&tally, members);
    tagd_tally_goal_state(&tally, 0, &states[REACHED], &two);
    tagd_tally_customer(&tally, TAGD_STR("a"), shop.profile, false);
    CHECK(cohort(&tally, T0, "back|started") == 0 && cohort(&tally, T0 + 60 * DAY, "back|started") == 1);
    tagd_tally_free(&tally);
    tagd_members_free(members);
    shop_close(&shop);
}

static void the_report_has_the_months_in_which_goals_began(void)
{
    struct shop shop = shop_open(GOAL, SILENT);
    struct tagd_counts sums = {0};
    struct tagd_population_query query = {.dimension = 0, .breakdown = TAGD_NO_BREAKDOWN, .months = 2, .tags_max = 9};
    struct tagd_population_info info = {NULL, MIDNIGHT, 1, 0}; /* of November 2023 */
    struct tagd_buf whole = {0};
    int64_t last = tagd_month_of(MIDNIGHT / DAY);
    for (int64_t month = last - 2; month <= last + 1; month++)
        tagd_counts_add(&sums, tagd_set_month(month), TAGD_STR("back|started"), 4);
    tagd_counts_add(&sums, tagd_set_month(last - 1), TAGD_STR("back|reached"), 1);
    tagd_counts_add(&sums, tagd_set_month(last - 1), TAGD_STR("back|missed"), 3);
    tagd_counts_add(&sums, tagd_set_month(last), TAGD_STR("back|started|holdout"), 2);
    tagd_population_report(shop.catalog, &sums, &query, &info, &whole);
    tagd_buf_add_byte(&whole, '\0');
    CHECK(strstr(whole.p,
                 ",\"goals\":{\"back\":{\"label\":{\"en\":\"Back\"},\"start\":\"b.activity.silent\",\"target\":0.15,"
                 "\"months\":["
                 "{\"month\":\"2023-10\",\"treated\":{\"started\":4,\"reached\":1,\"missed\":3},\"holdout\":{"
                 "\"started\":0,\"reached\":0,\"missed\":0}},"
                 "{\"month\":\"2023-11\",\"treated\":{\"started\":4,\"reached\":0,\"missed\":0},\"holdout\":{"
                 "\"started\":2,\"reached\":0,\"missed\":0}}]}}}"));
    tagd_buf_free(&whole);
    tagd_counts_free(&sums);
    shop_close(&shop);
}

/* Events of a few customers, at random and in batches of any size: the differences add up to what the profiles say. */
static void tallies_add_up_to_what_the_profiles_say(void)
{
    enum { CUSTOMERS = 7 };
    struct shop shop = shop_open(ALERTS BREAKDOWNS, DIMENSIONS);
    struct tagd_tally tally = {0};
    struct tagd_members *members = tagd_members_new(shop.catalog);
    struct tagd_counts sums = {0}, recount = {0};
    struct tagd_buf bytes[CUSTOMERS] = {{0}};
    struct tagd_error error;
    uint32_t chance = 1;
    int64_t at = T0;
    tagd_engine_watch(shop.engine, tagd_tally_watcher(&tally));
    for (int batch = 0; batch < 300; batch++) {
        tagd_tally_begin(&tally, members);
        for (int c = 0; c < CUSTOMERS; c++) {
            static const char *const categories[] = {"tea", "a|b", "", "3|x|y"};
            bool known = bytes[c].n > 0;
            chance = chance * 1664525 + 1013904223;
            uint32_t dice = chance >> 16;
            if (dice % 3 == 0)
                continue;
            if (known)
                CHECK(tagd_profile_decode(shop.profile, (struct tagd_str){bytes[c].p, bytes[c].n}, &error));
            else
                tagd_profile_clear(shop.profile);
            for (uint32_t i = 0; i < dice % 4; i++) {
                char data[64];
                at += dice % 9 == 0 ? 11000 : dice % 700;
                snprintf(data, sizeof(data), "{\"category\":\"%s\"}", categories[(dice + i) % 4]);
                if ((dice + i) % 5 == 4)
                    shop_event(&shop, "profile.updated", at,
                               dice % 2 ? "{\"attributes\":{\"region\":\"n\"}}" : "{\"attributes\":{\"region\":null}}");
                else
                    shop_event(&shop, (dice + i) % 5 < 3 ? "order.paid" : "login", at, data);
            }
            if (!tagd_profile_exists(shop.profile))
                continue;
            tagd_engine_advance(shop.engine, shop.profile, at, (struct tagd_sink){&shop, shop_change});
            tagd_tally_customer(&tally, TAGD_STR("c"), shop.profile, !known);
            bytes[c].n = 0;
            tagd_profile_encode(shop.profile, &bytes[c]);
        }
        for (size_t i = 0; i < tally.counts.n; i++)
            if (tally.counts.at[i].set >= 0)
                tagd_counts_add(&sums, tally.counts.at[i].set, tagd_counts_member(&tally.counts, i),
                                tally.counts.at[i].value);
        tagd_counts_clear(&recount);
        for (int c = 0; c < CUSTOMERS; c++)
            if (bytes[c].n > 0) {
                CHECK(tagd_profile_decode(shop.profile, (struct tagd_str){bytes[c].p, bytes[c].n}, &error));
                tagd_counts_profile(&recount, shop.profile, shop.catalog);
            }
        for (size_t i = 0; i < sums.n; i++)
            CHECK(sums.at[i].value == tagd_counts_get(&recount, sums.at[i].set, tagd_counts_member(&sums, i)));
        for (size_t i = 0; i < recount.n; i++)
            CHECK(recount.at[i].value == tagd_counts_get(&sums, recount.at[i].set, tagd_counts_member(&recount, i)));
    }
    CHECK(tagd_counts_get(&recount, TAGD_SET_ALL, TAGD_STR("customers")) == CUSTOMERS && recount.n > 10);
    for (int c = 0; c < CUSTOMERS; c++)
        tagd_buf_free(&bytes[c]);
    tagd_counts_free(&sums);
    tagd_counts_free(&recount);
    tagd_tally_free(&tally);
    tagd_members_free(members);
    shop_close(&shop);
}

static void a_table_keeps_any_member_apart_and_is_empty_once_it_is_cleared(void)
{
    struct tagd_counts counts = {0};
    char member[16];
    CHECK(tagd_counts_get(&counts, 0, TAGD_STR("x")) == 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++)
            tagd_counts_add(&counts, i % 3 - 1,
                            (struct tagd_str){member, (size_t)snprintf(member, sizeof(member), "%d", i / 3)},
                            i + round);
        CHECK(counts.n == 1000);
        for (int i = 0; i < 1000; i++)
            CHECK(tagd_counts_get(&counts, i % 3 - 1,
                                  (struct tagd_str){member, (size_t)snprintf(member, sizeof(member), "%d", i / 3)}) ==
                  i + round);
        size_t n = counts.cap;
        tagd_counts_clear(&counts);
        CHECK(counts.n == 0 && counts.cap == n && tagd_counts_get(&counts, 0, TAGD_STR("1")) == 0);
    }
    tagd_counts_add(&counts, 0, (struct tagd_str){"", 0}, 2);
    tagd_counts_add(&counts, 0, (struct tagd_str){"\0", 1}, 3);
    tagd_counts_add(&counts, 0, (struct tagd_str){"", 0}, 5);
    CHECK(tagd_counts_get(&counts, 0, (struct tagd_str){"", 0}) == 7);
    tagd_counts_free(&counts);
}

/* ---- names and forms ---- */

static bool form_is(const struct tagd_catalog *catalog, bool counted, const char *expected)
{
    struct tagd_buf form = {0};
    tagd_population_form(catalog, counted, &form);
    bool same = world_saw(&form, expected);
    tagd_buf_free(&form);
    return same;
}

static void a_form_names_the_pairs_however_the_catalog_lists_them(void)
{
    struct tagd_error error;
    struct tagd_str pairs[4];
    struct tagd_catalog *a = shop_catalog(BREAKDOWNS, DIMENSIONS, &error),
                        *b = shop_catalog("\"breakdowns\":[[\"v.level\",\"n.category\"],[\"b.activity\",\"v.level\"],"
                                          "[\"a.region\"]],",
                                          DIMENSIONS, &error),
                        *c = shop_catalog("\"breakdowns\":[],", DIMENSIONS, &error);
    CHECK(form_is(a, true, "1\nb.activity|v.level\nv.level|n.category"));
    CHECK(form_is(b, true, "1\nb.activity|v.level\nv.level|n.category"));
    CHECK(form_is(b, false, "0\nb.activity|v.level\nv.level|n.category"));
    CHECK(form_is(c, true, "1"));
    CHECK(strcmp(tagd_catalog_hash(a), tagd_catalog_hash(b)) == 0 &&
          strcmp(tagd_catalog_hash(a), tagd_catalog_hash(c)) == 0);
    CHECK(tagd_population_form_pairs(TAGD_STR("1\nb.activity|v.level\nv.level|n.category"), pairs, 4) == 2);
    CHECK(tagd_str_eq(pairs[0], TAGD_STR("b.activity|v.level")) &&
          tagd_str_eq(pairs[1], TAGD_STR("v.level|n.category")));
    CHECK(tagd_population_form_pairs(TAGD_STR("1\na|b\nc|d"), pairs, 1) == 1);
    CHECK(tagd_population_form_pairs(TAGD_STR("1"), pairs, 4) == 0);
    CHECK(tagd_population_form_pairs((struct tagd_str){NULL, 0}, pairs, 4) == 0);
    tagd_catalog_free(a);
    tagd_catalog_free(b);
    tagd_catalog_free(c);
}

static void members_of_pairs_and_days_read_back_and_others_do_not(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog(ALERTS, DIMENSIONS, &error);
    struct tagd_str first, second, of;
    size_t dimension;
    bool came;
    CHECK(tagd_pair_member(TAGD_STR("3|a|b|c|d"), &first, &second) && tagd_str_eq(first, TAGD_STR("a|b")) &&
          tagd_str_eq(second, TAGD_STR("c|d")));
    CHECK(tagd_pair_member(TAGD_STR("0|||"), &first, &second) && first.n == 0 && tagd_str_eq(second, TAGD_STR("|")));
    static const char *const no_pairs[] = {"", "|a|b", "3|a|b", "2|ab", "x|a|b", "9999999|a|b", "1a|b|c"};
    for (size_t i = 0; i < sizeof(no_pairs) / sizeof(no_pairs[0]); i++)
        CHECK(!tagd_pair_member(tagd_str_of(no_pairs[i]), &first, &second));
    CHECK(!tagd_pair_member((struct tagd_str){"3|a|b|c", 5}, &first, &second)); /* what follows is no part of it */
    CHECK(tagd_day_member(catalog, TAGD_STR("+n.category|a|b"), &dimension, &of, &came) && dimension == 3 && came &&
          tagd_str_eq(of, TAGD_STR("a|b")));
    CHECK(tagd_day_member(catalog, TAGD_STR("-n.category"), &dimension, &of, &came) && !came && of.p == NULL);
    CHECK(tagd_day_member(catalog, TAGD_STR("-alert:loss"), &dimension, &of, &came) && dimension == 4 && !came);
    static const char *const no_days[] = {"",           "+", "n.category", "+n.other|a", "+loss", "+alert:n.category",
                                          "*b.activity"};
    for (size_t i = 0; i < sizeof(no_days) / sizeof(no_days[0]); i++)
        CHECK(!tagd_day_member(catalog, tagd_str_of(no_days[i]), &dimension, &of, &came));
    tagd_catalog_free(catalog);
}

/* ---- what they say ---- */

static bool report_is(const struct tagd_catalog *catalog, const struct tagd_counts *sums,
                      struct tagd_population_query query, const char *expected)
{
    struct tagd_population_info info = {"g", MIDNIGHT, 2, 1};
    struct tagd_buf text = {0};
    tagd_population_report(catalog, sums, &query, &info, &text);
    bool same = world_saw(&text, expected);
    tagd_buf_free(&text);
    return same;
}

static void the_report_tells_all_that_is_asked_for_and_the_rest_as_others(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog(
        "\"breakdowns\":[[\"v.level\",\"n.category\"]],\"alerts\":{\"loss\":{\"label\":\"Loss\",\"when\":"
        "\"false\"}},",
        "\"v.level\":{\"label\":{\"en\":\"Level\"},\"tags\":[{\"tag\":\"high\",\"label\":\"Hoch\",\"when\":"
        "\"false\"},{\"tag\":\"low\",\"when\":\"true\"}]},\"n.category\":{\"value\":\"latest(category, "
        "order.paid)\"}",
        &error);
    struct tagd_counts sums = {0};
    struct tagd_population_query query = {-1, TAGD_NO_BREAKDOWN, 0, 0, 2};
    tagd_counts_add(&sums, TAGD_SET_ALL, TAGD_STR("customers"), 9);
    tagd_counts_add(&sums, TAGD_SET_ALL, TAGD_STR("alert:loss"), 4);
    for (int i = 0; i < 6; i++)
        tagd_counts_add_tag(&sums, catalog, 0, i < 5 ? TAGD_STR("low") : TAGD_STR("high"), 1);
    static const char *const values[] = {"tea", "silk", "tea", "\"", "silk", "books", "books", "books"};
    for (size_t i = 0; i < 8; i++)
        tagd_counts_add_tag(&sums, catalog, 1, tagd_str_of(values[i]), 1);
    for (size_t i = 0; i < 4; i++)
        tagd_counts_add_pair(&sums, catalog, 0, TAGD_STR("low"), tagd_str_of(values[i]), 1);
#define HEAD                                                                                                           \
    "{\"group\":\"g\",\"catalog\":\"shop@1\",\"as_of\":\"2023-11-15T00:00:00.000Z\",\"shards\":2,\"uncounted\":1,"     \
    "\"customers\":9,"
#define LEVEL                                                                                                          \
    "\"v.level\":{\"label\":{\"en\":\"Level\"},\"customers\":6,\"none\":3,\"tags\":[{\"tag\":\"high\",\"label\":"      \
    "\"Hoch\",\"customers\":1},{\"tag\":\"low\",\"label\":null,\"customers\":5}],\"others\":0}"
#define LOSS "\"alerts\":{\"loss\":{\"label\":\"Loss\",\"raised\":4}}"
    CHECK(report_is(catalog, &sums, query,
                    HEAD "\"dimensions\":{" LEVEL
                         ",\"n.category\":{\"label\":null,\"customers\":8,\"none\":1,\"tags\":["
                         "{\"tag\":\"books\",\"label\":null,\"customers\":3},{\"tag\":\"silk\",\"label\":null,"
                         "\"customers\":2}],\"others\":3}}," LOSS "}"));
    query = (struct tagd_population_query){0, 0, 0, 0, 2};
    CHECK(report_is(catalog, &sums, query,
                    HEAD "\"dimensions\":{" LEVEL "},\"alerts\":{},\"breakdowns\":[{\"dimensions\":[\"v.level\","
                         "\"n.category\"],\"customers\":4,\"counts\":[{\"tags\":[\"low\",\"tea\"],\"customers\":2},"
                         "{\"tags\":[\"low\",\"\\\"\"],\"customers\":1}],\"others\":1}]}"));
    query = (struct tagd_population_query){2, TAGD_ALL_BREAKDOWNS, 0, 0, 1};
    CHECK(report_is(catalog, &sums, query,
                    HEAD "\"dimensions\":{}," LOSS ",\"breakdowns\":[{\"dimensions\":[\"v.level\",\"n.category\"],"
                         "\"customers\":4,\"counts\":[{\"tags\":[\"low\",\"tea\"],\"customers\":2}],\"others\":2}]}"));
    /* one that is damaged, and comes before all others, is left out */
    tagd_counts_add(&sums, tagd_set_breakdown(catalog, 0), TAGD_STR("no pair"), 7);
    query.tags_max = 2;
    CHECK(report_is(catalog, &sums, query,
                    HEAD "\"dimensions\":{}," LOSS ",\"breakdowns\":[{\"dimensions\":[\"v.level\",\"n.category\"],"
                         "\"customers\":4,\"counts\":[{\"tags\":[\"low\",\"tea\"],\"customers\":2}],\"others\":2}]}"));
    tagd_counts_free(&sums);
    tagd_catalog_free(catalog);
}

static void the_report_has_as_many_days_as_are_asked_for(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog(ALERTS "\"breakdowns\":[[\"a.region\"]],", DIMENSIONS, &error);
    struct tagd_counts sums = {0};
    struct tagd_population_query query = {.dimension = 0, .breakdown = TAGD_NO_BREAKDOWN, .days = 2, .tags_max = 9};
    int64_t last = MIDNIGHT / DAY;
    struct tagd_buf whole = {0};
    for (int64_t day = last - 2; day <= last + 1; day++) {
        tagd_counts_add(&sums, tagd_set_day(day), TAGD_STR("+b.activity|busy"), 1);
        tagd_counts_add(&sums, tagd_set_day(day), TAGD_STR("-b.activity|busy"), last - day + 2);
        tagd_counts_add(&sums, tagd_set_day(day), TAGD_STR("+b.activity|silent"), 3);
    }
    tagd_counts_add(&sums, tagd_set_day(last), TAGD_STR("+a.region|"), 1);
    tagd_counts_add(&sums, tagd_set_day(last), TAGD_STR("-a.region"), 7); /* as it was counted before */
    tagd_counts_add(&sums, tagd_set_day(last), TAGD_STR("+n.category"), 5);
    tagd_counts_add(&sums, tagd_set_day(last), TAGD_STR("+alert:loss"), 6);
    struct tagd_population_info info = {NULL, MIDNIGHT, 1, 0};
    tagd_population_report(catalog, &sums, &query, &info, &whole);
    tagd_buf_add_byte(&whole, '\0');
    CHECK(strstr(whole.p,
                 ",\"days\":[{\"day\":\"2023-11-14\",\"dimensions\":{\"b.activity\":{\"entries\":4,\"exits\":3,"
                 "\"tags\":[{\"tag\":\"busy\",\"entries\":1,\"exits\":3},{\"tag\":\"silent\",\"entries\":3,"
                 "\"exits\":0}]}},\"alerts\":{}},{\"day\":\"2023-11-15\",\"dimensions\":{\"b.activity\":{"
                 "\"entries\":4,\"exits\":2,\"tags\":[{\"tag\":\"busy\",\"entries\":1,\"exits\":2},"
                 "{\"tag\":\"silent\",\"entries\":3,\"exits\":0}]}},\"alerts\":{}}]}"));
    query.dimension = -1;
    query.days = 1;
    whole.n = 0;
    tagd_population_report(catalog, &sums, &query, &info, &whole);
    tagd_buf_add_byte(&whole, '\0');
    CHECK(strstr(whole.p, ",\"days\":[{\"day\":\"2023-11-15\",\"dimensions\":{\"b.activity\":{"));
    CHECK(strstr(whole.p,
                 "\"a.region\":{\"entries\":1,\"exits\":7,\"tags\":[{\"tag\":\"\",\"entries\":1,\"exits\":0}]},"
                 "\"n.category\":{\"entries\":5,\"exits\":0}},\"alerts\":{\"loss\":{\"raised\":6,\"cleared\":0}}}"
                 "]}"));
    info.as_of_ms = INT64_MIN;
    whole.n = 0;
    tagd_population_report(catalog, &sums, &query, &info, &whole);
    tagd_buf_add_byte(&whole, '\0');
    CHECK(strstr(whole.p, "{\"group\":null,") == whole.p && strstr(whole.p, "\"as_of\":null,") &&
          strstr(whole.p, "\"days\":[]}"));
    tagd_buf_free(&whole);
    tagd_counts_free(&sums);
    tagd_catalog_free(catalog);
}

/* ---- a shard's ---- */

static void open_world(struct world *world, const char *more)
{
    struct tagd_error error;
    world_open(world, DIMENSIONS);
    tagd_catalog_free(world->catalog);
    world->catalog = shop_catalog(more, DIMENSIONS, &error);
    CHECK(world->catalog != NULL);
}

static struct tagd_worker *start(struct world *world)
{
    struct tagd_worker_config config = world_config(world, "a", true);
    config.batch_events_max = 3;
    return tagd_worker_new(&config, &world->port);
}

static void buy(struct world *world, const char *customer, int64_t time_ms, const char *category)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    world_append(
        world, 0, 0,
        tagd_arena_printf(&world->memory,
                          "{\"specversion\":\"1.0\",\"id\":\"o%u\",\"source\":\"test\",\"type\":\"order.paid\","
                          "\"subject\":\"%s\",\"time\":\"%s\",\"data\":{\"category\":\"%s\"}}",
                          world->n_events++, customer, time, category));
}

static void feed(struct world *world)
{
    for (int i = 0; i < 4; i++) {
        buy(world, "c", T0 + 1000 * i, i % 2 ? "tea" : "a|b");
        buy(world, i % 2 ? "d" : "e", T0 + 1000 * i + 1, "silk");
    }
    world_event(world, 0, 0, "login", "f", T0 + 5000);
}

static void let_pass(struct world *world, int64_t to_ms)
{
    world_event(world, 0, 0, "unheard.of", "nobody", to_ms);
}

static void counts_follow_the_profiles_of_a_shard(void)
{
    struct world world;
    open_world(&world, BREAKDOWNS);
    feed(&world);
    struct tagd_worker *worker = start(&world);
    world_run(&world, worker, 200);
    struct world_shard *shard = &world.shards[0];
    CHECK(world_counted(shard, "all", "customers") == 4 && world_counted(shard, "all", "v.level") == 3);
    CHECK(world_counted(shard, "v.level", "high") == 3 && world_counted(shard, "v.level", "low") == 0);
    CHECK(world_counted(shard, "n.category", "silk") == 2 && world_counted(shard, "n.category", "a|b") == 0);
    CHECK(world_counted(shard, "b.activity|v.level", "4|busy|high") == 3);
    CHECK(world_counted(shard, "v.level|n.category", "4|high|tea") == 1);
    CHECK(world_counted(shard, "2023-11-14", "+v.level|low") == 3 &&
          world_counted(shard, "2023-11-14", "-v.level|low") == 3);
    CHECK(world_counted(shard, "2023-11-14", "+n.category|a|b") == 2 &&
          world_counted(shard, "2023-11-14", "-n.category|a|b") == 2);
    CHECK(world_counted(shard, "2023-11-14", "+a.region") == 0);
    let_pass(&world, T0 + 60000);
    world_run(&world, worker, 60);
    CHECK(world_counted(shard, "b.activity", "silent") == 4 && world_counted(shard, "b.activity", "busy") == 0);
    CHECK(!world.shards[1].head.exists && world.shards[1].population.n_counts == 0);
    CHECK(tagd_worker_stats(worker)->populations_counted == 0);
    const struct tagd_flow *flow = tagd_worker_flow(worker);
    CHECK(flow->entries[flow->base[1]] == 3 && flow->entries[flow->base[1] + 1] == 3 &&
          flow->exits[flow->base[1] + 1] == 3);
    CHECK(flow->entries[flow->base[3]] == 6 && flow->exits[flow->base[3]] == 3);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_value_that_stands_in_no_breakdown_has_its_days_together(void)
{
    struct world world;
    open_world(&world, "");
    feed(&world);
    struct tagd_worker *worker = start(&world);
    world_run(&world, worker, 200);
    CHECK(world_counted(&world.shards[0], "2023-11-14", "+n.category") == 6);
    CHECK(world_counted(&world.shards[0], "2023-11-14", "-n.category") == 3);
    CHECK(world_counted(&world.shards[0], "2023-11-14", "+n.category|tea") == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

/* Of the days' sets the first and the last; NULL: none. */
static void days_of(const struct world_shard *shard, struct tagd_str *first, struct tagd_str *last)
{
    *first = *last = (struct tagd_str){NULL, 0};
    for (size_t i = 0; i < shard->population.n_counts; i++) {
        struct tagd_str set = shard->population.counts[i].set;
        if (set.p[0] < '0' || set.p[0] > '9')
            continue;
        if (first->p == NULL || tagd_str_cmp(set, *first) < 0)
            *first = set;
        if (last->p == NULL || tagd_str_cmp(set, *last) > 0)
            *last = set;
    }
}

static void a_day_is_kept_for_as_many_days_as_the_limit_says(void)
{
    struct world world;
    struct tagd_str first, last;
    open_world(&world, "");
    struct tagd_worker *worker = start(&world);
    world_event(&world, 0, 0, "login", "c", MIDNIGHT - 1); /* 14 November 2023 */
    world_event(&world, 0, 0, "login", "d", MIDNIGHT);     /* the 15th */
    world_run(&world, worker, 100);
    let_pass(&world, MIDNIGHT + (TAGD_POPULATION_DAYS - 1) * DAY - 1);
    world_run(&world, worker, 30);
    days_of(&world.shards[0], &first, &last);
    CHECK(tagd_str_eq(first, TAGD_STR("2023-11-14")) && tagd_str_eq(last, TAGD_STR("2023-11-15")));
    world_event(&world, 0, 0, "login", "c", MIDNIGHT + (TAGD_POPULATION_DAYS - 1) * DAY); /* the 401st */
    world_run(&world, worker, 30);
    days_of(&world.shards[0], &first, &last);
    CHECK(tagd_str_eq(first, TAGD_STR("2023-11-15")) && tagd_str_eq(last, TAGD_STR("2024-12-18")));
    world_event(&world, 0, 0, "login", "c",
                MIDNIGHT + 3000 * DAY); /* a jump; c falls silent on the way, too long ago */
    world_run(&world, worker, 30);
    days_of(&world.shards[0], &first, &last);
    CHECK(tagd_str_eq(first, last) && tagd_str_eq(first, TAGD_STR("2032-02-01")));
    CHECK(world_counted(&world.shards[0], "all", "customers") == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static int64_t began_in(struct world *world, const char *month)
{
    return world_counted(&world->shards[0], month, "back|started") +
           world_counted(&world->shards[0], month, "back|started|holdout");
}

static void a_month_is_kept_for_as_many_months_as_the_limit_says(void)
{
    struct world world;
    world_open_with(&world, GOAL, SILENT);
    struct tagd_worker *worker = start(&world);
    world_event(&world, 0, 0, "login", "c", MIDNIGHT); /* silent on 16 November 2023 */
    world_run(&world, worker, 100);
    let_pass(&world, INT64_C(1761926399999)); /* the last millisecond of October 2025 in +08:00 */
    world_run(&world, worker, 30);
    CHECK(began_in(&world, "2023-11") == 1);
    let_pass(&world, INT64_C(1761926400000));
    world_run(&world, worker, 30);
    CHECK(began_in(&world, "2023-11") == 0);
    world_event(&world, 0, 0, "login", "c", INT64_C(1761926400000));
    world_run(&world, worker, 30);
    world_event(&world, 0, 0, "login", "c", MIDNIGHT + 3000 * DAY); /* a jump; c was silent on the way, too long ago */
    world_run(&world, worker, 30);
    CHECK(began_in(&world, "2025-11") == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_commit_whose_answer_is_lost_is_not_counted_twice(void)
{
    static const enum tagd_op_status statuses[] = {TAGD_UNKNOWN, TAGD_REFUSED, TAGD_ABORTED};
    for (size_t i = 0; i < 3; i++)
        for (int effect = 0; effect <= (statuses[i] == TAGD_UNKNOWN); effect++)
            for (int count = 1; count <= 4; count++) {
                struct world world;
                open_world(&world, BREAKDOWNS);
                feed(&world);
                world.faults[TAGD_OP_COMMIT] = (struct world_fault){count, statuses[i], effect};
                struct tagd_worker *worker = start(&world);
                world_run(&world, worker, 6000);
                CHECK(world_counted(&world.shards[0], "2023-11-14", "+v.level|low") == 3);
                CHECK(world_counted(&world.shards[0], "all", "customers") == 4);
                tagd_worker_free(worker);
                world_close(&world);
            }
}

/* ---- counted anew ---- */

static void forget_population(struct world *world)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++)
        world->shards[i].population = (struct world_population){0};
}

/* The state of `feed`, and a worker's death. */
static void open_fed(struct world *world, const char *more)
{
    open_world(world, more);
    feed(world);
    struct tagd_worker *worker = start(world);
    world_run(world, worker, 200);
    world_kill(world, worker);
}

static void state_without_a_population_is_counted_before_anything_else(void)
{
    struct world world;
    open_fed(&world, BREAKDOWNS);
    forget_population(&world);
    buy(&world, "g", T0 + 6000, "tea");
    struct tagd_worker *worker = start(&world);
    world_run(&world, worker, 200);
    CHECK(tagd_worker_stats(worker)->populations_counted == 1 && tagd_worker_stats(worker)->takeovers == 2);
    CHECK(world_counted(&world.shards[0], "all", "customers") == 5 &&
          world_counted(&world.shards[0], "v.level", "high") == 3);
    CHECK(world_counted(&world.shards[0], "v.level|n.category", "4|high|silk") == 2);
    CHECK(world_counted(&world.shards[0], "2023-11-14", "+v.level|low") == 1); /* what was before, nobody knows */
    CHECK(strstr(world.notes.p, "counting its customers\n") && strstr(world.notes.p, "shard 0: 4 customers counted\n"));
    world_kill(&world, worker);
    worker = start(&world);
    world_run(&world, worker, 200);
    CHECK(tagd_worker_stats(worker)->populations_counted == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void other_breakdowns_take_the_place_of_those_before_and_days_stay(void)
{
    struct world world;
    struct tagd_error error;
    open_fed(&world, BREAKDOWNS);
    tagd_catalog_free(world.catalog);
    world.catalog =
        shop_catalog("\"breakdowns\":[[\"a.region\",\"v.level\"],[\"v.level\",\"b.activity\"]],", DIMENSIONS, &error);
    struct tagd_worker *worker = start(&world);
    world_run(&world, worker, 200);
    struct world_shard *shard = &world.shards[0];
    CHECK(tagd_worker_stats(worker)->populations_counted == 1 && tagd_worker_stats(worker)->takeover_refused == 0);
    CHECK(world_counted(shard, "b.activity|v.level", "4|busy|high") == 3);
    CHECK(world_counted(shard, "v.level|n.category", "4|high|silk") == 0 &&
          world_counted(shard, "all", "v.level|n.category") == 0);
    CHECK(world_counted(shard, "2023-11-14", "+n.category|silk") == 2);
    tagd_worker_free(worker);
    world_close(&world);
}

static void a_death_at_any_operation_of_a_count_leaves_it_to_the_next(void)
{
    size_t deaths = 0;
    for (size_t at = 1; at < 60; at++)
        for (int after = 0; after < 2; after++) {
            struct world world;
            struct tagd_error error;
            open_fed(&world, BREAKDOWNS);
            tagd_catalog_free(world.catalog);
            /* the one that dies knows other pairs than the one that comes */
            world.catalog = shop_catalog("\"breakdowns\":[[\"a.region\",\"v.level\"],[\"b.activity\",\"n.category\"]],",
                                         DIMENSIONS, &error);
            world.die_at = world.n_done + at;
            world.die_after = after;
            struct tagd_worker *worker = start(&world);
            world_run(&world, worker, 200);
            deaths += world.dead;
            world_kill(&world, worker);
            tagd_catalog_free(world.catalog);
            world.catalog = shop_catalog(BREAKDOWNS, DIMENSIONS, &error);
            buy(&world, "g", T0 + 6000, "tea");
            worker = start(&world);
            world_run(&world, worker, 300);
            CHECK(world_counted(&world.shards[0], "all", "customers") == 5);
            CHECK(world_counted(&world.shards[0], "b.activity|v.level", "4|busy|high") == 3);
            tagd_worker_free(worker);
            world_close(&world);
        }
    CHECK(deaths >= 36);
}

static void an_answer_that_fails_in_a_count_begins_it_again(void)
{
    static const enum tagd_op_kind kinds[] = {TAGD_OP_LOAD, TAGD_OP_COMMIT, TAGD_OP_FENCE};
    static const enum tagd_op_status statuses[] = {TAGD_UNKNOWN, TAGD_REFUSED, TAGD_ABORTED};
    for (size_t kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < 3; i++)
            for (int count = 1; count <= 6; count++) {
                struct world world;
                open_fed(&world, BREAKDOWNS);
                forget_population(&world);
                world.faults[kinds[kind]] = (struct world_fault){count, statuses[i], count % 2 == 0};
                struct tagd_worker *worker = start(&world);
                world_run(&world, worker, 3000);
                CHECK(tagd_worker_stats(worker)->shards_running == 2);
                CHECK(world_counted(&world.shards[0], "all", "customers") == 4);
                CHECK(world_counted(&world.shards[0], "v.level|n.category", "4|high|silk") == 2);
                tagd_worker_free(worker);
                world_close(&world);
            }
}

static void a_rebuild_counts_from_nothing_and_what_it_replays_is_no_flow(void)
{
    struct world world;
    open_fed(&world, BREAKDOWNS);
    struct world_population before = world.shards[0].population;
    world_empty(&world.shards[0]);
    struct tagd_worker_config config = world_config(&world, "a", true);
    config.rebuild = true;
    struct tagd_worker *worker = tagd_worker_new(&config, &world.port);
    world_run(&world, worker, 3000);
    CHECK(tagd_worker_stats(worker)->repairs == 1 && tagd_worker_stats(worker)->populations_counted == 0);
    CHECK(world.shards[0].population.n_counts == before.n_counts); /* days, too */
    for (size_t i = 0; i < before.n_counts; i++) {
        const struct world_count *count =
            world_count(&world.shards[0].population, before.counts[i].set, before.counts[i].member);
        CHECK(count != NULL && count->n == before.counts[i].n);
    }
    const struct tagd_flow *flow = tagd_worker_flow(worker);
    for (uint32_t i = 0; i < flow->base[4]; i++)
        CHECK(flow->entries[i] == 0 && flow->exits[i] == 0);
    tagd_worker_free(worker);
    world_close(&world);
}

static void what_a_refused_shard_has_is_left_alone(void)
{
    struct world world;
    struct tagd_error error = {""};
    open_fed(&world, BREAKDOWNS);
    forget_population(&world);
    world.shards[0].head.partitions = 7;
    struct tagd_worker *worker = start(&world);
    bool goes_on = true;
    for (int i = 0; i < 6000 && goes_on; i++) {
        world.mono_ms++;
        world.wall_ms++;
        goes_on = tagd_worker_step(worker, 0, &error);
    }
    CHECK(!goes_on && strstr(error.text, "made with 7 partitions") && world.shards[0].population.form.n == 0);
    world_kill(&world, worker);
    world_close(&world);
}

static void a_profile_that_cant_be_read_stops_the_count_and_says_whose(void)
{
    struct world world;
    struct tagd_error error = {""};
    open_fed(&world, BREAKDOWNS);
    forget_population(&world);
    world.shards[0].customers[2].bytes = TAGD_STR("?");
    struct tagd_worker *worker = start(&world);
    bool goes_on = true;
    for (int i = 0; i < 1000 && goes_on; i++) {
        world.mono_ms++;
        world.wall_ms++;
        goes_on = tagd_worker_step(worker, 0, &error);
    }
    CHECK(!goes_on && strstr(error.text, "shard 0: the stored profile of customer \"d\" can't be read"));
    world_kill(&world, worker);
    world_close(&world);
}

static void a_shard_that_begins_has_nothing_of_another_life(void)
{
    struct world world;
    open_fed(&world, BREAKDOWNS);
    struct world_population before = world.shards[0].population;
    world_empty(&world.shards[0]);
    world.shards[0].population = before; /* somebody removed all but that */
    world.shards[0].tail = (struct tagd_position){0};
    world.shards[0].n_first_copies = 0;
    for (int i = 0; i < WORLD_TOPICS; i++) {
        world.shards[0].topics[i].committed = -1;
        world.shards[0].topics[i].metadata = (struct tagd_str){NULL, 0};
    }
    struct tagd_worker *worker = start(&world);
    world_run(&world, worker, 300);
    CHECK(world_counted(&world.shards[0], "all", "customers") == 4);
    tagd_worker_free(worker);
    world_close(&world);
}

/* ---- history ---- */

static void an_import_counts_its_customers_and_their_days(void)
{
    struct world world;
    struct tagd_error error = {""};
    open_world(&world, BREAKDOWNS);
    struct tagd_import_config config = {.catalog = world.catalog,
                                        .group = "g",
                                        .n_topics = WORLD_TOPICS,
                                        .partitions = WORLD_SHARDS,
                                        .partitioner = TAGD_MURMUR2,
                                        .before_ms = MIDNIGHT + 1,
                                        .horizon_ms = DAY,
                                        .batch_events_max = 2,
                                        .batch_bytes_max = 1 << 20,
                                        .identity = "0123456789abcdef0123456789abcdef"};
    struct tagd_import *import = tagd_import_new(&config, &world.port);
    struct tagd_head heads[WORLD_SHARDS] = {world.shards[0].head, world.shards[1].head};
    struct tagd_event_rules rules = {.catalog = world.catalog,
                                     .max_bytes = TAGD_EVENT_BYTES_MAX,
                                     .past_ms = INT64_MIN,
                                     .future_ms = -1,
                                     .partitioner = TAGD_NO_PARTITIONER};
    CHECK(tagd_import_begin(import, heads, &error) == TAGD_IMPORT_OK);
    feed(&world);
    for (int64_t i = 0; i < world.shards[0].topics[0].end; i++) {
        struct tagd_arena *arena = tagd_import_arena(import);
        struct tagd_event *event = tagd_arena_alloc(arena, sizeof(*event));
        tagd_event_decode(&rules, &world.shards[0].topics[0].records[i], 0, arena, event);
        tagd_import_take(import, &world.shards[0].topics[0].records[i], event);
        if (tagd_import_full(import))
            CHECK(tagd_import_flush(import, &error) == TAGD_IMPORT_OK);
    }
    CHECK(tagd_import_finish(import, &error) == TAGD_IMPORT_OK);
    tagd_import_free(import);
    struct world_shard *a = &world.shards[0], *b = &world.shards[1];
    CHECK(world_counted(a, "all", "customers") + world_counted(b, "all", "customers") == 4);
    CHECK(world_counted(a, "b.activity", "silent") + world_counted(b, "b.activity", "silent") == 4);
    CHECK(world_counted(a, "2023-11-14", "+v.level|high") + world_counted(b, "2023-11-14", "+v.level|high") == 3);
    CHECK(a->population.form.n > 0 && b->population.form.n > 0);
    world_close(&world);
}

int main(void)
{
    RUN(every_change_of_a_tag_is_told_of_as_a_move_also_several_in_a_row);
    RUN(what_is_untold_moves_all_the_same);
    RUN(who_comes_and_leaves_in_one_batch_counts_by_day_alone);
    RUN(an_alert_counts_where_it_is_raised_and_has_no_tags);
    RUN(a_day_begins_at_the_catalogs_midnight);
    RUN(a_goal_counts_in_the_month_in_which_it_began);
    RUN(a_goal_that_is_put_right_counts_its_difference_alone);
    RUN(the_report_has_the_months_in_which_goals_began);
    RUN(tallies_add_up_to_what_the_profiles_say);
    RUN(a_table_keeps_any_member_apart_and_is_empty_once_it_is_cleared);
    RUN(a_form_names_the_pairs_however_the_catalog_lists_them);
    RUN(members_of_pairs_and_days_read_back_and_others_do_not);
    RUN(the_report_tells_all_that_is_asked_for_and_the_rest_as_others);
    RUN(the_report_has_as_many_days_as_are_asked_for);
    RUN(counts_follow_the_profiles_of_a_shard);
    RUN(a_value_that_stands_in_no_breakdown_has_its_days_together);
    RUN(a_day_is_kept_for_as_many_days_as_the_limit_says);
    RUN(a_month_is_kept_for_as_many_months_as_the_limit_says);
    RUN(a_commit_whose_answer_is_lost_is_not_counted_twice);
    RUN(state_without_a_population_is_counted_before_anything_else);
    RUN(other_breakdowns_take_the_place_of_those_before_and_days_stay);
    RUN(a_death_at_any_operation_of_a_count_leaves_it_to_the_next);
    RUN(an_answer_that_fails_in_a_count_begins_it_again);
    RUN(a_rebuild_counts_from_nothing_and_what_it_replays_is_no_flow);
    RUN(what_a_refused_shard_has_is_left_alone);
    RUN(a_profile_that_cant_be_read_stops_the_count_and_says_whose);
    RUN(a_shard_that_begins_has_nothing_of_another_life);
    RUN(an_import_counts_its_customers_and_their_days);
    return DONE();
}
