#include "profile/state.h"
#include "shop.h"

#define T0 INT64_C(1700000000000)

static struct tagd_value text_value(const char *z)
{
    return (struct tagd_value){.present = true, .s = tagd_str_of(z)};
}

/* What is known, in the order in which entries stand: "pane:value*count ". */
static const char *show(const struct tagd_values *values)
{
    static char out[2000];
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < values->n; i++) {
        const struct tagd_known *known = &values->known[values->seen[i].value];
        n += (size_t)snprintf(out + n, sizeof out - n, "%lld:%.*s*%llu ", (long long)values->pane[i], (int)known->s.n,
                              known->s.p, (unsigned long long)values->seen[i].count);
    }
    return out;
}

static void add(struct shop *shop, int64_t pane, int64_t at, const char *z, uint64_t *dropped)
{
    struct tagd_value value = text_value(z);
    tagd_values_add(tagd_touch_values(shop->profile, 0), TAGD_STRING, pane, at, &value, dropped);
    tagd_profile_check(shop->profile);
}

static struct shop shop_of_values(void)
{
    return shop_open("", "\"d.top\":{\"value\":\"top(category, order.paid[30d])\"}");
}

static void values_of_a_pane_stand_in_the_order_in_which_they_were_last_seen(void)
{
    struct shop shop = shop_of_values();
    uint64_t dropped = 0;
    add(&shop, 2, 50, "a", &dropped);
    add(&shop, 2, 60, "b", &dropped);
    add(&shop, 1, 20, "c", &dropped);
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 2:a*1 2:b*1 ") == 0);
    add(&shop, 2, 60, "a", &dropped); /* at the same time, but later to arrive */
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 2:b*1 2:a*2 ") == 0);
    add(&shop, 2, 60, "b", &dropped); /* the same once more: behind again */
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 2:a*2 2:b*2 ") == 0);
    add(&shop, 2, 60, "a", &dropped);
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 2:b*2 2:a*3 ") == 0);
    add(&shop, 2, 55, "b", &dropped); /* late: it was seen later before */
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 2:b*3 2:a*3 ") == 0);
    add(&shop, 2, 70, "b", &dropped);
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 2:a*3 2:b*4 ") == 0);
    add(&shop, 1, 30, "a", &dropped);
    CHECK(strcmp(show(shop.profile->value_stores), "1:c*1 1:a*1 2:a*3 2:b*4 ") == 0);
    CHECK(shop.profile->value_stores->n_known == 3 && shop.profile->value_stores->bytes == 3 && dropped == 0);
    tagd_values_drop(shop.profile->value_stores, 1);
    CHECK(strcmp(show(shop.profile->value_stores), "2:a*3 2:b*4 ") == 0);
    CHECK(shop.profile->value_stores->bytes == 2);
    add(&shop, 3, 80, "dd", &dropped); /* takes the number that c left */
    CHECK(shop.profile->value_stores->n_known == 3 && shop.profile->value_stores->bytes == 4);
    shop_close(&shop);
}

static void past_10000_values_the_one_seen_longest_ago_goes(void)
{
    struct shop shop = shop_of_values();
    struct tagd_values *values = tagd_touch_values(shop.profile, 0);
    uint64_t dropped = 0;
    char name[16];
    for (int i = 0; i < TAGD_PROFILE_VALUES_MAX; i++) {
        snprintf(name, sizeof name, "v%d", i);
        struct tagd_value value = text_value(name);
        tagd_values_add(values, TAGD_STRING, 7, T0 + i, &value, &dropped);
    }
    CHECK(values->n == TAGD_PROFILE_VALUES_MAX && dropped == 0);
    add(&shop, 7, T0 + 5, "v0", &dropped); /* a known one is no more */
    CHECK(values->n == TAGD_PROFILE_VALUES_MAX && dropped == 0);
    add(&shop, 7, T0 + 20000, "new", &dropped);
    CHECK(values->n == TAGD_PROFILE_VALUES_MAX && dropped == 1);
    CHECK(tagd_str_eq(tagd_text_str(&values->known[values->seen[0].value].s), TAGD_STR("v2"))); /* v1 went */
    add(&shop, 6, T0, "too old", &dropped);
    CHECK(values->n == TAGD_PROFILE_VALUES_MAX && dropped == 2 && values->pane[0] == 7);
    shop.profile->exists = true;
    shop.profile->last = shop.profile->clock = T0;
    shop_reload(&shop);
    CHECK(values->n == TAGD_PROFILE_VALUES_MAX);
    struct tagd_profile_sizes sizes;
    tagd_profile_sizes(shop.profile, &sizes);
    CHECK(sizes.values == TAGD_PROFILE_VALUES_MAX && sizes.value_bytes == values->bytes);
    shop_close(&shop);
}

static void past_256_kib_of_different_strings_the_one_seen_longest_ago_goes(void)
{
    struct shop shop = shop_of_values();
    struct tagd_values *values = tagd_touch_values(shop.profile, 0);
    uint64_t dropped = 0;
    char name[TAGD_STRING_MAX + 1];
    int n = TAGD_PROFILE_VALUE_BYTES_MAX / TAGD_STRING_MAX;
    for (int i = 0; i < n; i++) {
        memset(name, 'x', sizeof name - 1);
        name[TAGD_STRING_MAX] = '\0';
        memcpy(name, "0000", 4);
        name[0] = (char)('a' + i % 26);
        name[1] = (char)('a' + i / 26);
        add(&shop, 7, T0 + i, name, &dropped);
    }
    CHECK(values->bytes == TAGD_PROFILE_VALUE_BYTES_MAX && dropped == 0 && values->n == (uint32_t)n);
    add(&shop, 8, T0 + n, name, &dropped); /* the same string again takes no more */
    CHECK(values->n == (uint32_t)n + 1 && dropped == 0);
    add(&shop, 8, T0 + n, "y", &dropped);
    CHECK(dropped == 1 && values->n == (uint32_t)n + 1 &&
          values->bytes == TAGD_PROFILE_VALUE_BYTES_MAX - TAGD_STRING_MAX + 1);
    shop.profile->exists = true;
    shop.profile->last = shop.profile->clock = T0;
    shop_reload(&shop);
    CHECK(values->n == (uint32_t)n + 1);
    shop_close(&shop);
}

static void past_20000_panes_the_oldest_goes(void)
{
    struct shop shop = shop_open("", "\"d.n\":{\"value\":\"count(login[60000s:1s])\"}");
    struct tagd_panes *panes = tagd_touch_panes(shop.profile, 0);
    uint64_t dropped = 0;
    for (int i = 0; i < TAGD_PROFILE_PANES_MAX; i++)
        *tagd_panes_at(panes, 100 + i, 1, &dropped) += i;
    CHECK(panes->n == TAGD_PROFILE_PANES_MAX && dropped == 0);
    CHECK(tagd_panes_at(panes, 99, 1, &dropped) == NULL && dropped == 1);
    *tagd_panes_at(panes, 100 + TAGD_PROFILE_PANES_MAX, 1, &dropped) += 5;
    CHECK(panes->n == TAGD_PROFILE_PANES_MAX && dropped == 2 && panes->pane[0] == 101 && panes->cells[0] == 1);
    shop.profile->exists = true;
    shop.profile->last = shop.profile->clock = T0;
    shop_reload(&shop);
    CHECK(tagd_panes_count(panes) == TAGD_PROFILE_PANES_MAX && panes->n == 1);
    *tagd_panes_at(panes, 101 + TAGD_PROFILE_PANES_MAX, 1, &dropped) += 6; /* and so it does once they are packed */
    CHECK(tagd_panes_count(panes) == TAGD_PROFILE_PANES_MAX && dropped == 3 && tagd_panes_first(panes) == 102);
    CHECK(tagd_panes_at(panes, 101, 1, &dropped) == NULL && dropped == 4);
    shop_close(&shop);
}

static void past_10000_dedupe_ids_the_one_that_ends_first_goes(void)
{
    struct shop shop = shop_open("", "\"d.n\":{\"value\":\"count(login)\"}");
    uint64_t dropped = 0;
    for (int i = 0; i < TAGD_PROFILE_IDS_MAX; i++)
        tagd_profile_add_id(shop.profile, (struct tagd_hash128){(uint64_t)i, 1}, T0 - i, &dropped);
    CHECK(shop.profile->n_ids == TAGD_PROFILE_IDS_MAX && dropped == 0);
    tagd_profile_add_id(shop.profile, (struct tagd_hash128){77777, 1}, T0, &dropped);
    CHECK(shop.profile->n_ids == TAGD_PROFILE_IDS_MAX && dropped == 1);
    CHECK(shop.profile->ids[TAGD_PROFILE_IDS_MAX - 2].hash.lo == TAGD_PROFILE_IDS_MAX - 2);
    CHECK(shop.profile->ids[TAGD_PROFILE_IDS_MAX - 1].hash.lo == 77777);
    shop_close(&shop);
}

/* Every kind of state at once, with every type; and any byte cut off is noticed. */
static void a_profile_comes_back_as_it_was_and_a_cut_one_is_refused(void)
{
    struct shop shop = shop_open("", "\"d.a\":{\"value\":\"top(category, order.paid[30d])\"},"
                                     "\"d.b\":{\"value\":\"distinct(day, order.paid[7d])\"},"
                                     "\"d.c\":{\"value\":\"top(due, order.paid)\"},"
                                     "\"d.d\":{\"value\":\"min(amount, order.paid[30d])\"},"
                                     "\"d.e\":{\"value\":\"first(category, order.paid)\"},"
                                     "\"d.f\":{\"value\":\"attr.region\"},\"d.g\":{\"value\":\"attr.born\"},"
                                     "\"d.h\":{\"value\":\"days(login)\"},\"d.i\":{\"value\":\"attr.vip\"},"
                                     "\"d.j\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"until(due, order.paid) > 0s\"}]}");
    shop_event(&shop, "order.paid", T0,
               "{\"amount\":-5.5,\"category\":\"x\",\"day\":\"2023-01-02\",\"due\":\"2023-11-15T00:00:00Z\"}");
    shop_event(&shop, "order.paid", T0 - 100000, "{\"amount\":7,\"category\":\"yy\",\"day\":\"2023-01-03\"}");
    shop_event(&shop, "login", T0, "{}");
    shop_event(&shop, "profile.updated", T0 + 5,
               "{\"attributes\":{\"region\":\"north\",\"born\":\"1990-02-28\",\"vip\":null}}");
    struct tagd_buf once = {0}, twice = {0};
    tagd_profile_encode(shop.profile, &once);
    CHECK(tagd_profile_decode(shop.profile, (struct tagd_str){once.p, once.n}, NULL));
    tagd_profile_encode(shop.profile, &twice);
    CHECK(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0);
    for (size_t n = 0; n < once.n; n++)
        CHECK(!tagd_profile_decode(shop.profile, (struct tagd_str){once.p, n}, NULL));
    tagd_buf_add_byte(&once, 0);
    CHECK(!tagd_profile_decode(shop.profile, (struct tagd_str){once.p, once.n}, NULL));
    CHECK(!tagd_profile_exists(shop.profile));
    tagd_buf_free(&once);
    tagd_buf_free(&twice);
    shop_close(&shop);
}

/* Any bytes at all are a profile or are refused; a profile that is read holds its invariants. */
static void a_damaged_profile_is_refused_or_sound(void)
{
    struct shop shop = shop_of_values();
    shop_event(&shop, "order.paid", T0, "{\"category\":\"x\"}");
    shop_event(&shop, "order.paid", T0 + 5, "{\"category\":\"yy\"}");
    struct tagd_buf bytes = {0};
    tagd_profile_encode(shop.profile, &bytes);
    unsigned refused = 0, sound = 0;
    for (size_t i = 5; i < bytes.n; i++) {
        for (int value = 0; value < 256; value++) {
            char kept = bytes.p[i];
            bytes.p[i] = (char)value;
            if (tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, NULL))
                sound++;
            else
                refused++;
            bytes.p[i] = kept;
        }
    }
    CHECK(refused > 0 && sound > 0);
    tagd_buf_free(&bytes);
    shop_close(&shop);
}

#define H INT64_C(3600000)

/* All that stands between a rule and a tag, in all its forms. */
static const char standings[] =
    "\"h.value\":{\"for\":\"1h\",\"min_dwell\":\"2h\",\"value\":\"latest(category, order.paid)\"},"
    "\"h.none\":{\"for\":\"9h\",\"tags\":[{\"tag\":\"few\",\"when\":\"count(login) < 2\",\"for\":\"0s\"}]},"
    "\"h.first\":{\"tags\":[{\"tag\":\"any\",\"when\":\"true\",\"for\":\"90h\"}]},"
    "\"m.until\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"a\"},{\"tag\":\"b\"}]},"
    "\"m.always\":{\"tags\":[{\"tag\":\"a\",\"when\":\"true\"},{\"tag\":\"b\",\"when\":\"false\"}]},"
    "\"m.cleared\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"a\"}]},"
    "\"r.open\":{\"assign\":\"review\",\"expires\":\"9h\",\"tags\":[{\"tag\":\"x\",\"when\":\"count(login) >= 1\"}]},"
    "\"r.none\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"x\",\"when\":\"count(login) == 1\"}]},"
    "\"r.declined\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"w\",\"when\":\"false\"},{\"tag\":\"x\",\"when\":"
    "\"true\"}]},"
    "\"w.chase\":{\"tags\":[{\"tag\":\"x\",\"when\":\"was(w.chase) is null or was(w.chase) == 'y'\"},"
    "{\"tag\":\"y\",\"when\":\"true\"}]}";

static void say(struct shop *shop, int64_t at, const char *type, const char *data)
{
    shop_event(shop, type, T0 + at, data);
}

static struct shop shop_of_standings(void)
{
    struct shop shop = shop_open("\"alerts\":{\"loud\":{\"when\":\"count(login) >= 1\"}},", standings);
    say(&shop, 0, "login", "{}");
    say(&shop, 0, "order.paid", "{\"category\":\"first\"}");
    say(&shop, 1, "tag.reviewed", "{\"proposal\":\"proposal:c:2\",\"decision\":\"approved\",\"by\":\"li\"}");
    say(&shop, 2, "tag.reviewed", "{\"proposal\":\"proposal:c:3\",\"decision\":\"rejected\",\"by\":\"li\"}");
    say(&shop, H, "tag.cleared", "{\"dimension\":\"m.cleared\",\"by\":\"wang\"}");
    say(&shop, H, "tag.assigned",
        "{\"dimension\":\"m.until\",\"tag\":\"b\",\"by\":\"li\",\"reason\":\"r\",\"until\":\"2024-01-01T00:00:00Z\"}");
    say(&shop, H + 5, "tag.assigned",
        "{\"dimension\":\"m.always\",\"tag\":\"b\",\"by\":\"李\",\"reason\":\"as agreed\"}");
    say(&shop, 2 * H, "login", "{}");
    say(&shop, 2 * H, "order.paid", "{\"category\":\"second\"}");
    tagd_profile_check(shop.profile);
    return shop;
}

enum { HOLD_VALUE, HOLD_NONE, HOLD_FIRST, UNTIL, ALWAYS, CLEARED, OPEN, NONE, DECLINED, CHASE, LOUD };

static void check_words(const struct tagd_profile *profile)
{
    struct tagd_assignment word;
    tagd_profile_assignment(profile, UNTIL, &word);
    CHECK(word.known && word.tag == 1 && word.until_ms == INT64_C(1704067200000) &&
          tagd_str_eq(word.by, TAGD_STR("li")) && tagd_str_eq(word.reason, TAGD_STR("r")));
    CHECK(tagd_tag_of(profile, UNTIL)->assigned && tagd_tag_of(profile, UNTIL)->assignment.at == T0 + H);
    tagd_profile_assignment(profile, ALWAYS, &word);
    CHECK(word.known && word.tag == 1 && word.until_ms == TAGD_NEVER && tagd_str_eq(word.by, TAGD_STR("李")) &&
          tagd_str_eq(word.reason, TAGD_STR("as agreed")) && tagd_tag_of(profile, ALWAYS)->assigned);
    tagd_profile_assignment(profile, CLEARED, &word);
    CHECK(word.known && word.tag == -1 && tagd_str_eq(word.by, TAGD_STR("wang")) &&
          !tagd_tag_of(profile, CLEARED)->assigned);
    CHECK(tagd_tag_of(profile, CLEARED)->assignment.at == T0 + H && word.reason.n == 0);
    tagd_profile_assignment(profile, OPEN, &word);
    CHECK(!word.known);
}

static void check_standings(const struct tagd_profile *profile)
{
    const struct tagd_hold *hold = &tagd_tag_of(profile, HOLD_VALUE)->hold;
    CHECK(hold->rule == 0 && hold->rule_at == T0 + H &&
          tagd_str_eq(tagd_text_str(&hold->rule_text), TAGD_STR("first")));
    CHECK(hold->waits && hold->wanted == 0 && hold->wanted_at == T0 + 2 * H &&
          tagd_str_eq(tagd_text_str(&hold->wanted_text), TAGD_STR("second")));
    hold = &tagd_tag_of(profile, HOLD_NONE)->hold; /* none waits */
    CHECK(hold->rule == 0 && hold->rule_at == T0 && hold->waits && hold->wanted == -1 && hold->wanted_at == T0 + 2 * H);
    hold = &tagd_tag_of(profile, HOLD_FIRST)->hold; /* there is no rules' tag yet */
    CHECK(hold->rule == -1 && hold->waits && hold->wanted == 0 && hold->wanted_at == T0);
    check_words(profile);
    const struct tagd_review *review = &tagd_tag_of(profile, OPEN)->review;
    CHECK(review->approved == -1 && review->open == 1 && review->proposed == 0 && review->proposed_at == T0 &&
          !review->declined);
    review = &tagd_tag_of(profile, NONE)->review; /* x was approved, and none is proposed */
    CHECK(review->approved == 0 && review->open == 6 && review->proposed == -1 && review->proposed_at == T0 + 2 * H);
    review = &tagd_tag_of(profile, DECLINED)->review;
    CHECK(review->approved == -1 && review->open == 0 && review->declined && review->declined_tag == 1);
    CHECK(profile->chase.n == 0 && profile->chase.at == 0); /* an event has come since */
    CHECK(profile->revision[TAGD_KIND_PROPOSAL] == 6 && profile->revision[TAGD_KIND_ALERT] == 1 &&
          tagd_tag_of(profile, LOUD)->tag == 0);
}

/* And any byte cut off is noticed. */
static void what_stands_between_rule_and_tag_comes_back_as_it_was(void)
{
    struct shop shop = shop_of_standings();
    check_standings(shop.profile);
    struct tagd_buf once = {0}, twice = {0};
    tagd_profile_encode(shop.profile, &once);
    tagd_profile_clear(shop.profile);
    CHECK(tagd_tag_of(shop.profile, OPEN)->review.open == 0 && !tagd_tag_of(shop.profile, UNTIL)->assignment.known &&
          !tagd_tag_of(shop.profile, HOLD_VALUE)->hold.waits && shop.profile->revision[TAGD_KIND_PROPOSAL] == 0);
    CHECK(tagd_profile_decode(shop.profile, (struct tagd_str){once.p, once.n}, NULL));
    check_standings(shop.profile);
    tagd_profile_encode(shop.profile, &twice);
    CHECK(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0);
    for (size_t n = 0; n < once.n; n++)
        CHECK(!tagd_profile_decode(shop.profile, (struct tagd_str){once.p, n}, NULL));
    tagd_buf_free(&once);
    tagd_buf_free(&twice);
    shop_close(&shop);
}

static void a_chase_under_way_comes_back_with_its_count(void)
{
    struct shop shop =
        shop_open("", "\"w.chase\":{\"tags\":[{\"tag\":\"x\",\"when\":\"was(w.chase) is null or was(w.chase) == 'y'\"},"
                      "{\"tag\":\"y\",\"when\":\"true\"}]}");
    shop_event(&shop, "login", T0, "{}");
    shop_time(&shop, T0 + 40);
    CHECK(shop.profile->chase.n == 40 && shop.profile->chase.at == T0 + 40);
    shop_reload(&shop);
    CHECK(shop.profile->chase.n == 40 && shop.profile->chase.at == T0 + 40);
    shop_close(&shop);
}

static void ignore_change(void *self, const struct tagd_change *change)
{
    *(uint64_t *)self += change->revision;
}

/* Any bytes at all are a profile or are refused; and one that is read can be gone on with, whatever stands in it. */
static void damaged_standings_are_refused_or_lead_on(void)
{
    struct shop shop = shop_of_standings();
    struct tagd_buf bytes = {0};
    tagd_profile_encode(shop.profile, &bytes);
    unsigned refused = 0, sound = 0;
    uint64_t told = 0;
    for (size_t i = 5; i < bytes.n; i++) {
        for (int value = 0; value < 256; value++) {
            char kept = bytes.p[i];
            bytes.p[i] = (char)value;
            bool read = tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, NULL);
            bytes.p[i] = kept;
            refused += !read;
            if (!read || shop.profile->clock != T0 + 2 * H || shop.profile->due <= shop.profile->clock)
                continue; /* where it stands in time is another matter */
            sound++;
            tagd_engine_advance(shop.engine, shop.profile, T0 + 3 * H, (struct tagd_sink){&told, ignore_change});
            struct tagd_buf again = {0};
            tagd_profile_encode(shop.profile, &again);
            CHECK(tagd_profile_decode(shop.profile, (struct tagd_str){again.p, again.n}, NULL));
            tagd_buf_free(&again);
        }
    }
    CHECK(refused > 1000 && sound > 1000 && told > 0);
    tagd_buf_free(&bytes);
    shop_close(&shop);
}

/* A number that names no tag of its dimension, a dimension that isn't there, two words about one. */
static void numbers_out_of_range_are_refused(void)
{
    struct shop shop = shop_open("", "\"h.x\":{\"for\":\"1h\",\"tags\":[{\"tag\":\"a\",\"when\":\"true\"}]},"
                                     "\"r.x\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"a\",\"when\":\"true\"}]},"
                                     "\"m.x\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"a\"}]}");
    struct tagd_buf head = {0};
    tagd_buf_add_byte(&head, 4);
    tagd_buf_add(&head, tagd_catalog_hash(shop.catalog), 4);
    static const unsigned char before[] = {0, 0, 0, 0, 0}; /* last, clock, due, revision, changed_at */
    tagd_buf_add(&head, before, sizeof before);
    static const struct {
        unsigned char lists[24];
        size_t n;
        bool sound;
    } cases[] = {
        /* tags; proposals' revision; holds: rule, waits; reviews: approved, open, declined; words */
        {{0, 0, 0, 0, 0}, 5, true},
        {{3, 0, 0, 0, 0, 0, 0}, 7, true},        /* the first has its tag, and had none */
        {{4, 0, 7, 0, 0, 0, 0, 0, 0}, 9, true},  /* both, and the third again */
        {{13, 0, 0, 0, 0, 0, 0}, 7, false},      /* a fourth has one */
        {{0, 0, 1, 1, 0, 0, 0, 0, 0}, 9, true},  /* the rules' tag a since 0; a waits... */
        {{0, 0, 1, 2, 0, 0, 0, 0, 0}, 9, false}, /* the rules' second tag: there is one */
        {{0, 0, 1, 0, 1, 0, 0, 0, 0}, 9, true},  /* none waits, */
        {{0, 0, 1, 0, 2, 0, 0, 0, 0}, 9, true},  /* or the first */
        {{0, 0, 1, 0, 3, 0, 0, 0, 0}, 9, false},
        {{0, 0, 1, 0, 0, 0, 0, 0}, 8, false},          /* nothing is held back */
        {{0, 0, 2, 0, 1, 0, 0, 0, 0}, 9, false},       /* the second holds nothing back */
        {{0, 0, 0, 2, 1, 0, 0, 0, 0}, 9, true},        /* approved: the first */
        {{0, 0, 0, 2, 2, 0, 0, 0, 0}, 9, false},       /* or a second */
        {{0, 0, 0, 2, 0, 0, 0, 0, 0}, 9, false},       /* nothing is approved, open or declined */
        {{0, 0, 0, 1, 1, 0, 0, 0, 0}, 9, false},       /* the first isn't reviewed */
        {{0, 1, 0, 2, 0, 1, 1, 0, 0, 0, 0}, 11, true}, /* open: proposal 1, of the first */
        {{0, 1, 0, 2, 0, 1, 2, 0, 0, 0, 0}, 11, false},
        {{0, 0, 0, 2, 0, 0, 2, 0, 0}, 9, true}, /* declined: the first */
        {{0, 0, 0, 2, 0, 0, 3, 0, 0}, 9, false},
        {{0, 0, 0, 0, 3, 0, 0, 1, 'x', 0, 0}, 11, true},        /* a word about the third: cleared by x */
        {{0, 0, 0, 0, 4, 0, 0, 1, 'x', 0, 0}, 11, false},       /* about a fourth */
        {{0, 0, 0, 0, 3, 0, 2, 0, 0, 1, 'x', 0, 0}, 13, false}, /* a second tag */
        {{3, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 'r', 1, 'x', 1, 0}, 16, true},
        {{3, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 'r', 1, 'x', 2, 0}, 16, false}, /* neither in force nor not */
        {{0, 0, 0, 0, 2, 0, 0, 1, 'x', 0, 1, 0, 0, 1, 'y', 0, 0}, 17, true},
        {{0, 0, 0, 0, 2, 0, 0, 1, 'x', 0, 2, 0, 0, 1, 'y', 0, 0}, 17, false}, /* a fourth again */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tagd_buf bytes = {0};
        tagd_buf_add(&bytes, head.p, head.n);
        tagd_buf_add(&bytes, cases[i].lists, cases[i].n);
        tagd_buf_add_byte(&bytes, 0); /* no attribute was updated; */
        tagd_buf_add_byte(&bytes, 0); /* and no ids */
        bool read = tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, NULL);
        if (read != cases[i].sound)
            fprintf(stderr, "case %zu\n", i);
        CHECK(read == cases[i].sound);
        tagd_buf_free(&bytes);
    }
    tagd_buf_free(&head);
    shop_close(&shop);
}

/* What format 4 can hold, as far as a customer can have it at one time: plain and packed panes, values of both kinds, ids,
 * marks, attributes, what waits, reviews, words, goals. */
static struct shop shop_of_everything(void)
{
    return shop_open(
        "\"timezone\":\"+08:00\",\"goals\":{\"win\":{\"start\":\"a.life.lost\",\"reach\":\"order.paid\","
        "\"within\":\"30d\"}},",
        "\"a.life\":{\"tags\":[{\"tag\":\"busy\",\"when\":\"count(login[1d]) >= "
        "3\",\"for\":\"1h\"},{\"tag\":\"lost\",\"when\":"
        "\"since(interaction) > 5d\"},{\"tag\":\"here\",\"when\":\"true\",\"min_dwell\":\"1d\"}]},"
        "\"a.top\":{\"value\":\"top(category, order.paid[30d])\"},"
        "\"a.most\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"distinct(amount, order.paid[30d]) >= 2 and "
        "max(amount, order.paid[30d]) > 5 "
        "and latest(category, order.paid) == 'beauty' and attr.region == 'north'\"}]},"
        "\"a.review\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"vip\",\"when\":\"sum(amount, "
        "order.paid[30d]) >= 100\"}]},"
        "\"a.word\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"care\"}]},"
        "\"a.back\":{\"tags\":[{\"tag\":\"came\",\"when\":\"previous(a.life) == 'lost'\"}]},"
        "\"a.many\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(login[30d]) >= 5 and days(login[30d]) > 0\"}]}");
}

static void everything_happens(struct shop *shop)
{
    for (int i = 0; i < 12; i++)
        shop_event(shop, "login", T0 + i * 2 * H, "{}");
    shop_event(shop, "order.paid", T0 + 20 * H, "{\"amount\":12.5,\"category\":\"home\",\"coupon\":true}");
    shop_event(shop, "profile.updated", T0 + 21 * H, "{\"attributes\":{\"region\":\"north\",\"score\":7.25}}");
    shop_time(shop, T0 + 9 * 24 * H); /* lost meanwhile: a goal began */
    shop_event(shop, "order.paid", T0 + 9 * 24 * H, "{\"amount\":99,\"category\":\"beauty\"}");
    shop_event(shop, "tag.assigned", T0 + 9 * 24 * H + 1,
               "{\"dimension\":\"a.word\",\"tag\":\"care\",\"by\":\"li\",\"reason\":\"as agreed\"}");
    shop_event(shop, "login", T0 + 9 * 24 * H + 2, "{}");
}

/* Kept as a tagd of format 4 wrote it. Whatever comes, a version whose format is 4 or 5 reads it, with this catalog: release n
 * reads what release n - 1 wrote. If this fails without a new format, state that is out there can't be read any more. */
static const char kept_format_4[] =
    "04663134338490f5e3ff6200ffaffe9b030b010f0406040662656175747904686f6d650504150205020584a08eca05000101"
    "008490f5e3ff620103040000040001010400000502010009617320616772656564026c69010001000182c487fe0104010008"
    "0bf1fc26e629bcd2391618180202020202020202020202020202020202020202020202020202020202020202020202c20102"
    "0202e4d23992a10f90a10fc401e2ec78e0ec7800010204686f6d650662656175747902e4d239000180d461c401010180d461"
    "010290a10fe0ec7802e4d23900c40101000100010406626561757479000384aebd9d0501056e6f7274680184aebd9d0501e8"
    "ec080001952277a067ade8bc9e71260fc1d999a1fcb9b703";

static void a_kept_profile_of_format_4_is_read(void)
{
    struct shop shop = shop_of_everything();
    struct tagd_buf bytes = {0}, now = {0};
    struct tagd_error error = {0};
    for (const char *p = kept_format_4; *p != '\0'; p += 2) {
        unsigned byte;
        CHECK(sscanf(p, "%2x", &byte) == 1);
        tagd_buf_add_byte(&bytes, (unsigned char)byte);
    }
    if (!tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, &error))
        fprintf(stderr, "%s\n", error.text);
    CHECK(error.text[0] == '\0' && tagd_profile_exists(shop.profile));
    tagd_profile_check(shop.profile);
    tagd_profile_encode(shop.profile, &now);
    CHECK(now.n == bytes.n && memcmp(now.p, bytes.p, now.n) == 0);
    /* and it goes on from there as one that was never stored */
    struct shop fresh = shop_of_everything();
    everything_happens(&fresh);
    now.n = 0;
    tagd_profile_encode(fresh.profile, &now);
    if (now.n != bytes.n || memcmp(now.p, bytes.p, now.n) != 0) {
        for (size_t i = 0; i < now.n; i++)
            fprintf(stderr, "%02x", (unsigned char)now.p[i]);
        fprintf(stderr, "\n");
    }
    CHECK(now.n == bytes.n && memcmp(now.p, bytes.p, now.n) == 0);
    shop_forget(&fresh);
    shop_time(&shop, T0 + 60 * 24 * H);
    shop_time(&fresh, T0 + 60 * 24 * H);
    CHECK(shop.seen.n > 0 && shop.seen.n == fresh.seen.n && memcmp(shop.seen.p, fresh.seen.p, shop.seen.n) == 0);
    tagd_buf_free(&bytes);
    tagd_buf_free(&now);
    shop_close(&shop);
    shop_close(&fresh);
}

static void a_newer_profile_is_refused_with_what_to_do(void)
{
    struct shop shop = shop_of_values();
    struct tagd_buf bytes = {0};
    shop_event(&shop, "login", T0, "{}");
    tagd_profile_encode(shop.profile, &bytes);
    for (int format = 5; format < 256; format += 50) {
        struct tagd_error error = {0};
        char wanted[100];
        bytes.p[0] = (char)format;
        CHECK(!tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, &error));
        snprintf(wanted, sizeof(wanted),
                 "a profile of format %d: this tagd reads format 4; run the version that wrote it", format);
        CHECK(strcmp(error.text, wanted) == 0 && !tagd_profile_exists(shop.profile));
    }
    tagd_buf_free(&bytes);
    shop_close(&shop);
}

/* Of the format before, which packed only long stores. Formats 1 to 3 were of no release: from 1.0 on, which has format 4 or a
 * later one, release n reads what n - 1 wrote. */
static void a_profile_of_format_3_is_refused_by_its_number(void)
{
    struct shop shop = shop_of_values();
    struct tagd_error error = {0};
    struct tagd_buf bytes = {0};
    shop_event(&shop, "login", T0, "{}");
    tagd_profile_encode(shop.profile, &bytes);
    bytes.p[0] = 3;
    CHECK(!tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, &error));
    CHECK(strstr(error.text, "a profile of format 3: this tagd reads format 4"));
    tagd_buf_free(&bytes);
    shop_close(&shop);
}

static void sums_of_any_size_and_sign_come_back(void)
{
    struct shop shop =
        shop_open("", "\"b.n\":{\"tags\":[{\"tag\":\"a\",\"when\":\"sum(amount, order.paid[1d]) >= 3\"}]}");
    const tagd_i128 sums[] = {1,
                              -1,
                              63,
                              64,
                              -64,
                              -65,
                              INT64_MAX,
                              INT64_MIN,
                              (tagd_i128)INT64_MAX * 1000,
                              (tagd_i128)INT64_MIN * 1000,
                              (tagd_i128)1 << 63,
                              (tagd_i128)1 << 64};
    shop_event(&shop, "order.paid", INT64_C(1700000000000), "{\"amount\":1}");
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        tagd_touch_panes(shop.profile, 0)->cells[0] = sums[i];
        shop_reload(&shop);
        CHECK(tagd_panes_of(shop.profile, 0)->n == 1 && tagd_panes_of(shop.profile, 0)->cells[0] == sums[i]);
    }
    shop_close(&shop);
}

/* ---- long stores ---- */

#define DAY (24 * H)

static int64_t number_of(const struct shop *shop, size_t dimension)
{
    struct tagd_str text = tagd_profile_tag_text(shop->profile, dimension);
    CHECK(text.n > 0 && text.n < 20);
    char digits[20] = {0};
    memcpy(digits, text.p, text.n);
    return strtoll(digits, NULL, 10);
}

static void windows_count_the_same_whether_panes_are_packed_or_not(void)
{
    struct shop shop = shop_open("", "\"d.all\":{\"value\":\"count(login[60h:1h])\"},"
                                     "\"d.few\":{\"value\":\"count(login[5h:1h])\"},"
                                     "\"d.old\":{\"value\":\"count(login[5h:1h] offset 30h)\"}");
    const struct tagd_panes *panes = &shop.profile->stores[0];
    for (int i = 0; i < 100; i++) {
        shop_event(&shop, "login", T0 + i * H, "{}");
        CHECK(panes->n == (i < 7 ? (uint32_t)i + 1 : 1) && tagd_panes_count(panes) == (uint32_t)(i < 60 ? i + 1 : 60));
        CHECK(number_of(&shop, 0) == (i < 60 ? i + 1 : 60) && number_of(&shop, 1) == (i < 5 ? i + 1 : 5));
        CHECK(number_of(&shop, 2) == (i < 30 ? 0 : i < 35 ? i - 29 : 5));
    }
    shop_event(&shop, "login", T0 + 70 * H, "{}"); /* late: in the midst of them */
    CHECK(number_of(&shop, 0) == 61 && tagd_panes_count(panes) == 60 && panes->packed.sums[0] == 60);
    shop_event(&shop, "login", T0 + 130 * H, "{}"); /* some are gone, and time goes on */
    CHECK(number_of(&shop, 0) == 30 && tagd_panes_count(panes) == 30 && panes->packed.n == 29);
    shop_time(&shop, T0 + 150 * H);
    CHECK(number_of(&shop, 0) == 10);
    shop_close(&shop);
}

static void a_window_of_all_packed_panes_takes_their_sum(void)
{
    struct shop whole = shop_open("", "\"d.n\":{\"value\":\"count(login[60h:1h])\"}");
    struct shop back = shop_open("", "\"d.n\":{\"value\":\"count(login[60h:1h] offset 5h)\"}");
    struct shop days = shop_open("", "\"d.n\":{\"value\":\"days(login)\"}");
    for (int i = 0; i < 100; i++) {
        shop_event(&whole, "login", T0 + i * H, "{}");
        shop_event(&back, "login", T0 + i * H, "{}");
        shop_event(&days, "login", T0 + i * DAY, "{}");
        CHECK(number_of(&whole, 0) == (i < 60 ? i + 1 : 60) && number_of(&days, 0) == i + 1);
        CHECK(number_of(&back, 0) == (i < 5 ? 0 : i < 65 ? i - 4 : 60));
    }
    shop_close(&whole);
    shop_close(&back);
    shop_close(&days);
}

static void a_tag_ends_when_packed_panes_have_left_its_window(void)
{
    struct shop shop = shop_open("", "\"d.n\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(login[60h:1h]) >= 40\"}]}");
    char ends[64], until[TAGD_TIME_TEXT], told[64];
    until[tagd_time_format((T0 / H + 60) * H, until)] = '\0';
    snprintf(told, sizeof told, "\"valid_until\":\"%s\"", until);
    for (int i = 0; i < 100; i++) {
        shop.in_full = i == 39;
        shop_event(&shop, "login", T0 + i * H, "{}");
        CHECK(i != 39 || shop_tells(&shop, told));
        CHECK(shop.profile->due == (i < 39 ? TAGD_NEVER : i < 60 ? (T0 / H + 60) * H : shop.profile->due));
    }
    CHECK(shop.profile->stores[0].packed.n == 59);
    shop_time(&shop, T0 + 200 * H);
    snprintf(ends, sizeof ends, "d.n yes>-@%lld;", (long long)(T0 / H + 120) * H);
    CHECK(shop_tells(&shop, ends));
    shop_close(&shop);
}

static void a_store_with_a_sum_below_0_stays_open(void)
{
    struct shop shop = shop_open("", "\"d.n\":{\"value\":\"sum(amount, order.paid[60h:1h])\"}");
    const struct tagd_panes *panes = &shop.profile->stores[0];
    for (int i = 0; i < 100; i++)
        shop_event(&shop, "order.paid", T0 + i * H, i == 10 ? "{\"amount\":-5}" : "{\"amount\":2}");
    CHECK(panes->n == 1 && panes->packed.n == 59 && panes->packed.sums[0] == 59 * 2 * TAGD_DECIMAL_ONE);
    shop_event(&shop, "order.paid", T0 + 99 * H, "{\"amount\":-3}"); /* the latest hour is at -1 */
    CHECK(panes->n == 60 && panes->packed.n == 0 && number_of(&shop, 0) == 117);
    shop_event(&shop, "order.paid", T0 + 99 * H, "{\"amount\":2}");
    CHECK(panes->n == 1 && panes->packed.n == 59);
    shop_close(&shop);
}

/* ---- large catalogs ---- */

#define CATEGORIES 70

/* Of each category a mark, panes, and values. */
static struct shop shop_of_categories(void)
{
    struct tagd_buf text = {0};
    for (int i = 0; i < CATEGORIES; i++)
        tagd_buf_printf(&text, "%s\"m.c%d\":{\"value\":\"latest(amount, order.paid{category=\\\"%d\\\"})\"}",
                        i ? "," : "", i, i);
    for (int i = 0; i < CATEGORIES; i++)
        tagd_buf_printf(
            &text,
            ",\"s.c%d\":{\"tags\":[{\"tag\":\"yes\",\"when\":\"count(order.paid{category=\\\"%d\\\"}[30d]) >= "
            "2\"}]}",
            i, i);
    for (int i = 0; i < CATEGORIES; i++)
        tagd_buf_printf(&text, ",\"v.c%d\":{\"value\":\"top(amount, order.paid{category=\\\"%d\\\"}[7d])\"}", i, i);
    tagd_buf_add_byte(&text, '\0');
    struct shop shop = shop_open("", text.p);
    tagd_buf_free(&text);
    CHECK(shop.profile->parts[TAGD_TAGS].chunks.n == 14 && shop.profile->parts[TAGD_MARKS].chunks.n == 5);
    CHECK(shop.profile->parts[TAGD_PANES].chunks.n == 18 && shop.profile->parts[TAGD_VALUES].chunks.n == 18);
    return shop;
}

static void buy(struct shop *shop, int64_t at, int category, int amount)
{
    char data[64];
    snprintf(data, sizeof data, "{\"amount\":%d,\"category\":\"%d\"}", amount, category);
    shop_event(shop, "order.paid", at, data);
}

static void what_an_event_does_not_touch_stays_as_it_was(void)
{
    struct shop shop = shop_of_categories();
    int64_t since[CATEGORIES] = {0};
    int latest[CATEGORIES] = {0}, bought[CATEGORIES] = {0};
    for (int i = 0; i < 400; i++) {
        int64_t at = T0 + i * 10 * H;
        int category = i * i % 67;
        since[category] = latest[category] == i % 7 + 1 ? since[category] : at;
        latest[category] = i % 7 + 1;
        bought[category]++;
        buy(&shop, at, category, latest[category]);
        for (uint32_t c = 0; c < CATEGORIES && i % 10 == 9; c++) {
            struct tagd_tag_history history;
            tagd_profile_tag_history(shop.profile, c, &history);
            CHECK(history.changed == (bought[c] > 0));
            CHECK(bought[c] == 0 || (number_of(&shop, c) == latest[c] && history.since_ms == since[c]));
        }
    }
    CHECK(tagd_profile_tag(shop.profile, CATEGORIES + 1) == 0 && tagd_profile_tag(shop.profile, CATEGORIES + 69) < 0);
    shop_close(&shop);
}

static void only_what_is_asked_for_is_opened(void)
{
    struct shop shop = shop_of_categories();
    for (int i = 0; i < CATEGORIES; i++)
        buy(&shop, T0 + i, i, 3);
    const struct tagd_chunks *marks = &shop.profile->parts[TAGD_MARKS].chunks;
    CHECK(marks->n_closed == 5);
    CHECK(tagd_mark_of(shop.profile, 20)->at == T0 + 20 && marks->n_closed == 4);
    CHECK(tagd_mark_of(shop.profile, 31)->at == T0 + 31 && marks->n_closed == 4);
    CHECK(tagd_set_has(marks->stored, 1));
    tagd_touch_mark(shop.profile, 69)->at++;
    CHECK(marks->n_closed == 3 && !tagd_set_has(marks->stored, 4));
    shop_reload(&shop);
    CHECK(marks->n_closed == 5 && tagd_mark_of(shop.profile, 69)->at == T0 + 70);
    uint32_t tagged = 0;
    for (uint32_t d = 0; tagd_profile_next_tagged(shop.profile, &d); d++)
        tagged += tagd_profile_tag(shop.profile, d) >= 0;
    CHECK(tagged == 2 * CATEGORIES);
    shop_close(&shop);
}

static void a_chunk_of_which_nothing_is_left_goes(void)
{
    struct shop shop = shop_of_categories();
    const struct tagd_chunks *panes = &shop.profile->parts[TAGD_PANES].chunks;
    int64_t from = INT64_C(198) << 33; /* chunks stay as they are stored for 99 days from here on */
    buy(&shop, from, 1, 3);
    buy(&shop, from, 10, 3);
    buy(&shop, from, 20, 3);
    CHECK(panes->n_closed == 3);
    shop_time(&shop, from + 90 * DAY);
    shop.watermark = from + 90 * DAY;
    buy(&shop, from + 40 * DAY, 10, 3); /* too late for its window, and what was in that is gone */
    CHECK(panes->n_closed == 2 && !tagd_set_has(panes->closed, 2));
    buy(&shop, from + 90 * DAY, 20, 3);
    CHECK(panes->n_closed == 2 && tagd_panes_of(shop.profile, 20)->n == 1);
    shop_close(&shop);
}

/* Whatever stands in them is refused, or can be looked at. */
static void damaged_bytes_that_nobody_has_looked_at_are_refused(struct shop *shop)
{
    struct tagd_buf bytes = {0};
    tagd_profile_encode(shop->profile, &bytes);
    for (size_t n = 0; n < bytes.n; n++)
        CHECK(!tagd_profile_decode(shop->profile, (struct tagd_str){bytes.p, n}, NULL));
    unsigned refused = 0;
    for (size_t i = 5; i < bytes.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes.p[i] = (char)(bytes.p[i] ^ 1 << bit);
            bool read = tagd_profile_decode(shop->profile, (struct tagd_str){bytes.p, bytes.n}, NULL);
            refused += !read;
            if (read && shop->profile->clock >= shop->profile->last && shop->profile->due > shop->profile->clock)
                tagd_profile_check(shop->profile);
            bytes.p[i] = (char)(bytes.p[i] ^ 1 << bit);
        }
    }
    CHECK(refused > bytes.n * 4); /* but for ids and instants */
    tagd_buf_free(&bytes);
}

/* Its beginning would be computed past all numbers. */
static void a_pane_that_begins_at_no_instant_is_refused(void)
{
    struct shop shop = shop_open("", "\"b.a\":{\"tags\":[{\"tag\":\"x\",\"when\":\"count(order.paid[7d]) > 1\"},"
                                     "{\"tag\":\"y\",\"when\":\"distinct(category, order.paid[7d]) > 1\"}]}");
    static const int64_t wrong[] = {INT64_MAX, INT64_MIN, INT64_MAX / 3600000 + 1, INT64_MIN / 3600000 - 1};
    struct tagd_error error;
    for (size_t i = 0; i < 8; i++) {
        struct tagd_buf bytes = {0};
        tagd_profile_clear(shop.profile);
        shop_event(&shop, "order.paid", T0, "{\"category\":\"a\"}");
        CHECK(tagd_touch_panes(shop.profile, 0)->n == 1 && tagd_touch_values(shop.profile, 0)->n == 1);
        *(i % 2 ? shop.profile->stores[0].pane : shop.profile->value_stores[0].pane) = wrong[i / 2];
        tagd_profile_encode(shop.profile, &bytes);
        CHECK(!tagd_profile_decode(shop.profile, (struct tagd_str){bytes.p, bytes.n}, &error));
        CHECK(strstr(error.text, "is damaged"));
        tagd_buf_free(&bytes);
    }
    shop_close(&shop);
}

static void damaged_chunks_and_packed_panes_are_refused(void)
{
    struct shop large = shop_of_categories(), longer = shop_open("", "\"d.n\":{\"value\":\"count(login[60h:1h])\"}");
    for (int i = 0; i < 200; i++)
        buy(&large, T0 + i, i % 60, i);
    for (int i = 0; i < 200; i++)
        shop_event(&longer, "login", T0 + i * H, "{}");
    damaged_bytes_that_nobody_has_looked_at_are_refused(&large);
    damaged_bytes_that_nobody_has_looked_at_are_refused(&longer);
    shop_close(&large);
    shop_close(&longer);
}

int main(void)
{
    RUN(values_of_a_pane_stand_in_the_order_in_which_they_were_last_seen);
    RUN(past_10000_values_the_one_seen_longest_ago_goes);
    RUN(past_256_kib_of_different_strings_the_one_seen_longest_ago_goes);
    RUN(past_20000_panes_the_oldest_goes);
    RUN(past_10000_dedupe_ids_the_one_that_ends_first_goes);
    RUN(a_profile_comes_back_as_it_was_and_a_cut_one_is_refused);
    RUN(a_damaged_profile_is_refused_or_sound);
    RUN(what_stands_between_rule_and_tag_comes_back_as_it_was);
    RUN(a_chase_under_way_comes_back_with_its_count);
    RUN(damaged_standings_are_refused_or_lead_on);
    RUN(numbers_out_of_range_are_refused);
    RUN(a_kept_profile_of_format_4_is_read);
    RUN(a_newer_profile_is_refused_with_what_to_do);
    RUN(a_profile_of_format_3_is_refused_by_its_number);
    RUN(sums_of_any_size_and_sign_come_back);
    RUN(windows_count_the_same_whether_panes_are_packed_or_not);
    RUN(a_window_of_all_packed_panes_takes_their_sum);
    RUN(a_tag_ends_when_packed_panes_have_left_its_window);
    RUN(a_store_with_a_sum_below_0_stays_open);
    RUN(what_an_event_does_not_touch_stays_as_it_was);
    RUN(only_what_is_asked_for_is_opened);
    RUN(a_chunk_of_which_nothing_is_left_goes);
    RUN(damaged_chunks_and_packed_panes_are_refused);
    RUN(a_pane_that_begins_at_no_instant_is_refused);
    return DONE();
}
