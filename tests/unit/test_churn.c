/* The churn section: p_alive() in rules, the levels it makes, the instants at which time alone changes them. */
#include "shop.h"

#include "tagd/model.h"

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define DAY ((int64_t)TAGD_MS_DAY)
#define FITTED "\"r\":0.2426,\"alpha\":4.4136,\"a\":0.7929,\"b\":2.4259"
#define BG "\"churn\":{\"model\":\"bg-nbd\"," FITTED "},"
#define MBG "\"churn\":{\"model\":\"mbg-nbd\"," FITTED "},"
#define NO_OTHER "\"v.any\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"false\"}]}"

static const struct tagd_churn_model fitted = {TAGD_BG_NBD, 0.2426, 4.4136, 0.7929, 2.4259};

static bool saw_one(struct shop *shop, const char *from, const char *to, int64_t at)
{
    char text[200];
    snprintf(text, sizeof text, "churn.level %s>%s@%lld;", from, to, (long long)at);
    return shop_saw(shop, text);
}

static void a_level_is_reached_at_its_very_millisecond(void)
{
    struct shop shop = shop_open(BG, NO_OTHER);
    struct tagd_purchases purchases = {.x = 2, .first_ms = T0, .last_ms = T0 + 40 * DAY};
    int64_t watch = tagd_model_below_ms(&fitted, &purchases, 0.7),
            at_risk = tagd_model_below_ms(&fitted, &purchases, 0.5),
            churned = tagd_model_below_ms(&fitted, &purchases, 0.2);
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "order.paid", T0 + 20 * DAY, "{}");
    shop_event(&shop, "order.paid", T0 + 40 * DAY, "{}");
    CHECK(tagd_str_eq(tagd_profile_tag_text(shop.profile, 1), TAGD_STR("stable")));
    shop_forget(&shop);
    shop_time(&shop, watch - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, watch);
    CHECK(saw_one(&shop, "stable", "watch", watch));
    shop_time(&shop, at_risk - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, at_risk);
    CHECK(saw_one(&shop, "watch", "at-risk", at_risk));
    shop_time(&shop, churned - 1);
    CHECK(shop_saw(&shop, ""));
    shop_event(&shop, "order.paid", churned, "{}"); /* time comes first, then the order that brings them back */
    char text[200];
    snprintf(text, sizeof text, "churn.level at-risk>churned@%lld;churn.level churned>stable@%lld;", (long long)churned,
             (long long)churned);
    CHECK(shop_saw(&shop, text));
    shop_close(&shop);
}

static void after_one_purchase_silence_speaks_where_the_model_cannot(void)
{
    struct shop shop = shop_open(BG, NO_OTHER);
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "order.paid", T0 + 3600000, "{}"); /* the same local day is no repeat purchase day */
    CHECK(saw_one(&shop, "-", "stable", T0));
    shop_time(&shop, T0 + 3600000 + 30 * DAY - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, T0 + 3600000 + 30 * DAY);
    CHECK(saw_one(&shop, "stable", "watch", T0 + 3600000 + 30 * DAY));
    shop_time(&shop, T0 + 3600000 + 60 * DAY);
    CHECK(saw_one(&shop, "watch", "at-risk", T0 + 3600000 + 60 * DAY));
    shop_time(&shop, T0 + 3600000 + 90 * DAY);
    CHECK(saw_one(&shop, "at-risk", "churned", T0 + 3600000 + 90 * DAY));
    shop_close(&shop);
}

static void mbg_speaks_from_the_first_purchase_on(void)
{
    struct shop shop = shop_open(MBG, NO_OTHER);
    struct tagd_churn_model model = fitted;
    struct tagd_purchases purchases = {.x = 0, .first_ms = T0, .last_ms = T0};
    model.kind = TAGD_MBG_NBD;
    int64_t watch = tagd_model_below_ms(&model, &purchases, 0.7);
    CHECK(watch > T0 && watch < TAGD_NEVER);
    shop_event(&shop, "order.paid", T0, "{}");
    CHECK(saw_one(&shop, "-", "stable", T0));
    shop_time(&shop, watch - 1);
    CHECK(shop_saw(&shop, ""));
    shop_time(&shop, watch);
    CHECK(saw_one(&shop, "stable", "watch", watch));
    shop_close(&shop);
}

static void who_never_bought_has_no_level(void)
{
    struct shop shop = shop_open(BG, NO_OTHER);
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 400 * DAY);
    CHECK(shop_saw(&shop, ""));
    shop_close(&shop);
}

static void a_late_purchase_brings_the_level_back(void)
{
    struct shop shop = shop_open(BG, NO_OTHER);
    shop_event(&shop, "order.paid", T0, "{}");
    shop_time(&shop, T0 + 60 * DAY);
    shop_forget(&shop);
    shop.watermark = T0 + 60 * DAY;
    shop_event(&shop, "order.paid", T0 + 55 * DAY, "{}");
    CHECK(saw_one(&shop, "at-risk", "stable", T0 + 60 * DAY));
    shop_close(&shop);
}

static void levels_and_their_silences_are_the_catalog_s(void)
{
    struct shop shop =
        shop_open("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"levels\":{\"churned\":{\"below\":0.1,\"silence\":"
                  "\"10d\"},\"watch\":{\"below\":0.9}}},",
                  NO_OTHER);
    CHECK(tagd_catalog_n_tags(shop.catalog, 1) == 3);
    CHECK(strcmp(tagd_catalog_tag(shop.catalog, 1, 0), "churned") == 0);
    CHECK(strcmp(tagd_catalog_tag(shop.catalog, 1, 1), "watch") == 0);
    CHECK(strcmp(tagd_catalog_tag(shop.catalog, 1, 2), "stable") == 0);
    CHECK(strcmp(tagd_engine_rule_text(shop.engine, 1, 0),
                 "p_alive() < 0.1 or p_alive() is null and since(order.paid) >= 10d") == 0);
    CHECK(strcmp(tagd_engine_rule_text(shop.engine, 1, 1), "p_alive() < 0.9") == 0);
    shop_event(&shop, "order.paid", T0, "{}");
    shop_forget(&shop);
    shop_time(&shop, T0 + 10 * DAY);
    CHECK(saw_one(&shop, "stable", "churned", T0 + 10 * DAY));
    shop_close(&shop);
}

static void both_strict_and_loose_comparisons_turn_where_the_function_does(void)
{
    static const char *const rules[] = {"p_alive() < 0.5", "0.5 > p_alive()", "p_alive() <= 0.5",
                                        "not p_alive() >= 0.5", "not p_alive() > 0.5"};
    struct tagd_purchases purchases = {.x = 1, .first_ms = T0, .last_ms = T0 + 9 * DAY + 1};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char dimension[200], text[100];
        snprintf(dimension, sizeof dimension, "\"v.low\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"%s\"}]}", rules[i]);
        struct shop shop = shop_open("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"levels\":{}},", dimension);
        int64_t at = i == 2 || i == 4 ? tagd_model_at_most_ms(&fitted, &purchases, 0.5)
                                      : tagd_model_below_ms(&fitted, &purchases, 0.5);
        shop_event(&shop, "order.paid", T0, "{}");
        shop_event(&shop, "order.paid", T0 + 9 * DAY + 1, "{}");
        shop_forget(&shop);
        shop_time(&shop, at - 1);
        CHECK(shop_saw(&shop, ""));
        shop_time(&shop, at);
        snprintf(text, sizeof text, "v.low ->yes@%lld;", (long long)at);
        CHECK(shop_saw(&shop, text));
        shop_close(&shop);
    }
}

static void against_a_window_both_sides_are_looked_at(void)
{
    struct shop shop =
        shop_open("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"levels\":{}},",
                  "\"v.low\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"p_alive() < count(login[10d:1d]) / 2\"}]}");
    struct tagd_purchases purchases = {.x = 1, .first_ms = T0, .last_ms = T0 + 7 * DAY};
    int64_t at = tagd_model_below_ms(&fitted, &purchases, 0.5);
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "order.paid", T0 + 7 * DAY, "{}");
    shop_event(&shop, "login", at - 3 * DAY, "{}");
    CHECK(shop_saw(&shop, "churn.level ->stable@1700000000000;"));
    shop_time(&shop, at + 20 * DAY);
    char text[200];
    int64_t leaves = (at - 3 * DAY) / DAY * DAY + 10 * DAY; /* UTC */
    snprintf(text, sizeof text, "v.low ->yes@%lld;v.low yes>-@%lld;", (long long)at, (long long)leaves);
    CHECK(shop_saw(&shop, text));
    shop_close(&shop);
}

static void refused(const char *more, const char *dimensions, const char *why)
{
    struct tagd_error error = {0};
    struct tagd_catalog *catalog = shop_catalog(more, dimensions, &error);
    if (catalog || !strstr(error.text, why))
        fprintf(stderr, "expected: %s\nfound: %s\n", why, error.text);
    CHECK(!catalog && strstr(error.text, why));
}

/* The level rises as a login leaves its window, long before P(alive) has fallen to where the level stood. */
static void a_level_that_rises_with_time_is_met_at_its_pane(void)
{
    struct shop shop = shop_open(
        BG, "\"v.low\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"p_alive() < 1 - 0.2 * count(login[1h:1m])\"}]}");
    int64_t at = T0 + 20 * DAY, pane = at - at % 60000;
    shop_event(&shop, "order.paid", T0, "{}");
    shop_event(&shop, "order.paid", at, "{}");
    for (int i = 0; i < 4; i++)
        shop_event(&shop, "login", at, "{}");
    CHECK(tagd_profile_tag(shop.profile, 0) == -1);
    shop_time(&shop, pane + 3600000 - 1);
    CHECK(tagd_profile_tag(shop.profile, 0) == -1);
    shop_time(&shop, pane + 3600000);
    CHECK(tagd_profile_tag(shop.profile, 0) == 0);
    shop_close(&shop);
}

static void what_no_instant_could_be_computed_of_is_refused(void)
{
    static const char *const rules[] = {"p_alive() == 0.5",  "p_alive() + 1 > 1",     "p_alive() in (1, 2)",
                                        "1 > p_alive() * 2", "p_alive() < p_alive()", "p_alive() < since(login) / 1d"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char dimension[200];
        snprintf(dimension, sizeof dimension, "\"v.low\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"%s\"}]}", rules[i]);
        refused(BG, dimension, "p_alive() doesn't change linearly with time");
    }
    refused(BG, "\"v.alive\":{\"value\":\"p_alive()\"}", "this value varies with every millisecond");
    refused("", "\"v.low\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"p_alive() < 0.5\"}]}",
            "expected a \"churn\" section");
}

static void a_section_that_says_nothing_sound_is_refused(void)
{
    refused("\"churn\":{\"model\":\"pareto\"," FITTED "},", NO_OTHER, "\"bg-nbd\" or \"mbg-nbd\"");
    refused("\"churn\":{\"model\":\"bg-nbd\",\"r\":1,\"alpha\":1,\"a\":1},", NO_OTHER, "expected a number as 'b'");
    refused("\"churn\":{\"model\":\"bg-nbd\",\"r\":0,\"alpha\":1,\"a\":1,\"b\":1},", NO_OTHER, "/churn");
    refused("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"event\":\"nothing\"},", NO_OTHER,
            "'nothing' is not declared");
    refused("\"churn\":{\"model\":\"bg-nbd\"," FITTED
            ",\"levels\":{\"churned\":{\"below\":0.5},\"watch\":{\"below\":0.5}}},",
            NO_OTHER, "churned's is the least");
    refused("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"levels\":{\"gone\":{\"below\":0.5}}},", NO_OTHER,
            "unknown key 'gone'");
    refused("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"levels\":{\"watch\":{\"below\":1}}},", NO_OTHER,
            "between 0 and 1");
    refused("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"drivers\":[{\"name\":\"x\",\"value\":\"true\"}]},", NO_OTHER,
            "expected a number or a duration");
    refused("\"churn\":{\"model\":\"bg-nbd\"," FITTED ",\"levels\":{}},",
            "\"churn.level\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}", "expected levels here or rules there");
}

static void own_rules_take_the_place_of_the_levels(void)
{
    struct shop shop = shop_open(BG, "\"churn.level\":{\"tags\":[{\"tag\":\"gone\",\"when\":\"p_alive() < 0.3\"}]}");
    CHECK(tagd_catalog_n_dimensions(shop.catalog) == 1 && tagd_catalog_n_tags(shop.catalog, 0) == 1);
    shop_close(&shop);
}

int main(void)
{
    RUN(a_level_is_reached_at_its_very_millisecond);
    RUN(a_level_that_rises_with_time_is_met_at_its_pane);
    RUN(after_one_purchase_silence_speaks_where_the_model_cannot);
    RUN(mbg_speaks_from_the_first_purchase_on);
    RUN(who_never_bought_has_no_level);
    RUN(a_late_purchase_brings_the_level_back);
    RUN(levels_and_their_silences_are_the_catalog_s);
    RUN(both_strict_and_loose_comparisons_turn_where_the_function_does);
    RUN(against_a_window_both_sides_are_looked_at);
    RUN(what_no_instant_could_be_computed_of_is_refused);
    RUN(a_section_that_says_nothing_sound_is_refused);
    RUN(own_rules_take_the_place_of_the_levels);
    return DONE();
}
