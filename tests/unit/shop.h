/* A small shop for tests: a catalog, events made in one line, changes gathered as text. */
#ifndef TAGD_TEST_SHOP_H
#define TAGD_TEST_SHOP_H

#include <stdio.h>

#include "check.h"
#include "tagd/emit.h"

struct shop {
    struct tagd_catalog *catalog;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_event_rules rules;
    struct tagd_arena arena;
    /* "dimension from>to@time;", with " manual" or " review" before the end if that is behind it. Of a proposal
     * "dimension proposed from>to@time #revision;", closed: "dimension approved from>to@time #revision of #proposal;" */
    struct tagd_buf seen;
    int64_t watermark;
    int n;
    bool in_full; /* `seen` holds the events themselves, as emit writes them, a line each */
};

#define SHOP_EVENTS                                                                                                    \
    "\"events\":{\"order.paid\":{\"fields\":{\"amount\":\"decimal\",\"category\":\"string\",\"coupon\":\"boolean\","   \
    "\"due\":\"time\",\"day\":\"date\"},\"dedupe\":\"1h\"},\"login\":{},"                                              \
    "\"chat.message\":{\"fields\":{\"direction\":\"string\"}}},"                                                       \
    "\"groups\":{\"interaction\":[\"login\",\"order.paid\",\"chat.message{direction=\\\"inbound\\\"}\"],"              \
    "\"buys\":[\"order.paid\"]},"                                                                                      \
    "\"attributes\":{\"region\":\"string\",\"score\":\"decimal\",\"vip\":\"boolean\",\"born\":\"date\","               \
    "\"joined\":\"time\"}"

/* dimensions: the inside of "dimensions":{...}; more: other members, with a comma at the end, or "" */
static inline struct tagd_catalog *shop_catalog(const char *more, const char *dimensions, struct tagd_error *error)
{
    struct tagd_buf text = {0};
    tagd_buf_printf(&text, "{\"catalog\":\"shop\",\"version\":\"1\",%s%s,\"dimensions\":{%s}}", more, SHOP_EVENTS,
                    dimensions);
    struct tagd_catalog *catalog = tagd_catalog_load("shop.json", text.p, text.n, error);
    tagd_buf_free(&text);
    return catalog;
}

static inline void shop_change(void *self, const struct tagd_change *change)
{
    struct shop *shop = self;
    if (shop->in_full) {
        struct tagd_emit emit = {.catalog = shop->catalog, .group = "g", .recorded_ms = -1, .caught_up = true};
        tagd_emit_prepare(&emit);
        tagd_emit_change(&emit, TAGD_STR("c"), change, &shop->seen);
        tagd_buf_add_byte(&shop->seen, '\n');
        tagd_emit_free(&emit);
        return;
    }
    struct tagd_str none = TAGD_STR("-"), from = change->from.text.p ? change->from.text : none,
                    to = change->to.text.p ? change->to.text : none;
    static const char *const statuses[TAGD_PROPOSAL_STATUSES] = {"proposed ", "approved ", "rejected ", "withdrawn ",
                                                                 "expired "};
    bool proposal = change->kind == TAGD_KIND_PROPOSAL;
    tagd_buf_printf(&shop->seen, "%s %s%.*s>%.*s@%lld", tagd_catalog_dimension(shop->catalog, change->dimension),
                    proposal ? statuses[change->status] : "", (int)from.n, from.p, (int)to.n, to.p,
                    (long long)change->time_ms);
    if (proposal)
        tagd_buf_printf(&shop->seen, " #%llu", (unsigned long long)change->revision);
    if (proposal && change->status != TAGD_PROPOSAL_OPEN)
        tagd_buf_printf(&shop->seen, " of #%llu", (unsigned long long)change->proposal);
    if (!proposal && change->origin == TAGD_BY_HAND)
        tagd_buf_add_z(&shop->seen, " manual");
    if (!proposal && change->origin == TAGD_BY_REVIEW)
        tagd_buf_add_z(&shop->seen, " review");
    tagd_buf_add_byte(&shop->seen, ';');
}

static inline struct shop shop_open(const char *more, const char *dimensions)
{
    struct tagd_error error = {0};
    struct shop shop = {.catalog = shop_catalog(more, dimensions, &error), .watermark = INT64_MIN};
    if (!shop.catalog)
        fprintf(stderr, "%s\n", error.text);
    CHECK(shop.catalog);
    shop.engine = tagd_engine_new(shop.catalog, 400 * (int64_t)TAGD_MS_DAY);
    shop.profile = tagd_profile_new(shop.catalog);
    shop.rules = (struct tagd_event_rules){.catalog = shop.catalog,
                                           .max_bytes = TAGD_EVENT_BYTES_MAX,
                                           .past_ms = INT64_MIN,
                                           .future_ms = -1,
                                           .partitioner = TAGD_NO_PARTITIONER};
    return shop;
}

/* Every step goes through the binary form, as in the daemon. What nobody has asked for is still as it was stored; looked
 * at, it is written the same. */
static inline void shop_reload(struct shop *shop)
{
    struct tagd_buf bytes = {0}, looked_at = {0};
    struct tagd_error error;
    if (!tagd_profile_exists(shop->profile))
        return;
    tagd_profile_encode(shop->profile, &bytes);
    tagd_profile_check(shop->profile);
    tagd_profile_encode(shop->profile, &looked_at);
    CHECK(bytes.n == looked_at.n && memcmp(bytes.p, looked_at.p, bytes.n) == 0);
    CHECK(tagd_profile_decode(shop->profile, (struct tagd_str){bytes.p, bytes.n}, &error));
    tagd_buf_free(&bytes);
    tagd_buf_free(&looked_at);
}

static inline enum tagd_applied shop_event_id(struct shop *shop, const char *type, const char *id, int64_t time_ms,
                                              const char *data)
{
    char text[2048], time[TAGD_TIME_TEXT];
    tagd_time_format(time_ms, time);
    int n = snprintf(text, sizeof text,
                     "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"test\",\"type\":\"%s\",\"subject\":\"c\","
                     "\"time\":\"%s\",\"data\":%s}",
                     id, type, time, data);
    struct tagd_record record = {.value = {text, (size_t)n}, .has_value = true, .timestamp_ms = -1};
    struct tagd_event event;
    tagd_event_decode(&shop->rules, &record, 0, &shop->arena, &event);
    CHECK(event.code == TAGD_EVENT_OK);
    shop_reload(shop);
    enum tagd_applied applied =
        tagd_engine_apply(shop->engine, shop->profile, &event, shop->watermark, (struct tagd_sink){shop, shop_change});
    shop_reload(shop);
    tagd_arena_reset(&shop->arena);
    return applied;
}

static inline enum tagd_applied shop_event(struct shop *shop, const char *type, int64_t time_ms, const char *data)
{
    char id[32];
    snprintf(id, sizeof id, "e%d", shop->n++);
    return shop_event_id(shop, type, id, time_ms, data);
}

static inline void shop_time(struct shop *shop, int64_t to)
{
    shop_reload(shop);
    tagd_engine_advance(shop->engine, shop->profile, to, (struct tagd_sink){shop, shop_change});
    shop_reload(shop);
}

/* Whether exactly these changes were seen since the last look. */
static inline bool shop_saw(struct shop *shop, const char *expected)
{
    bool same = tagd_str_eq((struct tagd_str){shop->seen.p ? shop->seen.p : "", shop->seen.n}, tagd_str_of(expected));
    if (!same)
        fprintf(stderr, "saw      %.*s\nexpected %s\n", (int)shop->seen.n, shop->seen.p ? shop->seen.p : "", expected);
    shop->seen.n = 0;
    return same;
}

/* Whether this stands in what was seen; the look forgets nothing. */
static inline bool shop_tells(struct shop *shop, const char *part)
{
    tagd_buf_reserve(&shop->seen, 1);
    shop->seen.p[shop->seen.n] = '\0';
    bool there = strstr(shop->seen.p, part) != NULL;
    if (!there)
        fprintf(stderr, "saw %s\nnot in it: %s\n", shop->seen.p, part);
    return there;
}

static inline void shop_forget(struct shop *shop)
{
    shop->seen.n = 0;
}

static inline void shop_close(struct shop *shop)
{
    tagd_profile_free(shop->profile);
    tagd_engine_free(shop->engine);
    tagd_catalog_free(shop->catalog);
    tagd_arena_free(&shop->arena);
    tagd_buf_free(&shop->seen);
}

#endif
