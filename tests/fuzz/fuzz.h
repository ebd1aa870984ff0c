/* What the fuzzers share. Each takes any bytes; what must hold of them and doesn't is said, and ends it. */
#ifndef TAGD_TEST_FUZZ_H
#define TAGD_TEST_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "tagd/emit.h"

#define MUST(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: in %s: not so: %s\n", __FILE__, __LINE__, __func__, #what);                        \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct tagd_str str_of(const struct tagd_buf *buf)
{
    return (struct tagd_str){buf->n ? buf->p : "", buf->n};
}

static inline bool is_sentence(const char *text)
{
    return text[0] != '\0' && tagd_utf8_valid(text, strlen(text));
}

/* ---- an input that says what is to be made; past its end it is all zeros ---- */

struct input {
    const uint8_t *p;
    size_t n;
};
static inline uint64_t take(struct input *in, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes && in->n > 0; i++, in->p++, in->n--)
        v |= (uint64_t)*in->p << 8 * i;
    return v;
}
/* A text, its length before it in a byte. */
static inline struct tagd_str take_text(struct input *in, size_t max)
{
    size_t n = (size_t)take(in, 1) % (max + 1);
    struct tagd_str text = {(const char *)in->p, n < in->n ? n : in->n};
    in->p += text.n;
    in->n -= text.n;
    return text;
}
/* Small ones most of the time, any of 64 bits otherwise. */
static inline int64_t take_i64(struct input *in)
{
    uint64_t kind = take(in, 1);
    switch (kind >> 6) {
    case 0: return (int64_t)kind;
    case 1: return (int64_t)take(in, 8);
    case 2: return kind & 1 ? INT64_MAX : INT64_MIN;
    default: return -(int64_t)(kind & 63);
    }
}
/* What is left: bytes of the copy that are changed, each its place in two bytes and how; a place past the end cuts. */
static inline void damage(struct input *in, struct tagd_buf *bytes)
{
    while (in->n > 0 && bytes->n > 0) {
        size_t at = (size_t)take(in, 2);
        unsigned char by = (unsigned char)take(in, 1);
        if (by == 0)
            bytes->n = at % (bytes->n + 1);
        else
            bytes->p[at % bytes->n] = (char)((unsigned char)bytes->p[at % bytes->n] ^ by);
    }
}

/* ---- a catalog with one at least of all that a profile may have, and what happens by it ---- */

#define FUZZ_EVENTS                                                                                                    \
    "\"events\":{\"order.paid\":{\"fields\":{\"amount\":\"decimal\",\"category\":\"string\",\"coupon\":\"boolean\","   \
    "\"due\":\"time\",\"day\":\"date\"},\"dedupe\":\"1h\"},\"login\":{},"                                              \
    "\"chat.message\":{\"fields\":{\"direction\":\"string\"}}},"                                                       \
    "\"groups\":{\"interaction\":[\"login\",\"order.paid\",\"chat.message{direction=\\\"inbound\\\"}\"]},"             \
    "\"attributes\":{\"region\":\"string\",\"score\":\"decimal\",\"vip\":\"boolean\",\"born\":\"date\","               \
    "\"joined\":\"time\"},"

static const char fuzz_every_kind[] =
    "{\"catalog\":\"fuzz\",\"version\":\"1\",\"timezone\":\"+08:00\"," FUZZ_EVENTS
    "\"alerts\":{\"loss\":{\"when\":\"b.activity != 'busy' and churn.level == 'gone'\",\"for\":\"1s\"},"
    "\"loud\":{\"when\":\"count(login) >= 2\"}},"
    "\"goals\":{\"back\":{\"start\":\"b.activity.silent\",\"reach\":\"order.paid{amount>=10}\",\"within\":\"60s\"},"
    "\"stay\":{\"start\":\"churn.level.gone\",\"reach\":\"login\",\"within\":\"2h\",\"holdout\":0.3}},"
    "\"breakdowns\":[[\"b.activity\",\"b.category\"],[\"b.hot\",\"churn.level\"]],"
    "\"dimensions\":{"
    "\"b.activity\":{\"tags\":[{\"tag\":\"lost\",\"when\":\"since(interaction) > 25s\"},"
    "{\"tag\":\"silent\",\"when\":\"since(interaction) >= 7s\"},{\"tag\":\"busy\",\"when\":\"true\"}]},"
    "\"churn.level\":{\"tags\":[{\"tag\":\"gone\",\"when\":\"since(interaction) > 15s\"},"
    "{\"tag\":\"here\",\"when\":\"true\"}]},"
    "\"b.category\":{\"for\":\"2s\",\"min_dwell\":\"9s\",\"value\":\"top(category, order.paid[1h])\"},"
    "\"b.level\":{\"assign\":\"review\",\"expires\":\"25s\",\"tags\":[{\"tag\":\"high\",\"when\":"
    "\"count(order.paid) >= 3\"},{\"tag\":\"low\",\"when\":\"true\"}]},"
    "\"b.hot\":{\"assign\":\"review\",\"tags\":[{\"tag\":\"hot\",\"when\":\"count(order.paid[12s:1s]) >= 2\"}]},"
    "\"b.spend\":{\"tags\":[{\"tag\":\"much\",\"when\":\"sum(amount, order.paid[30d]) > 100\"},"
    "{\"tag\":\"odd\",\"when\":\"min(amount, order.paid[7d]) < 0 and max(amount, order.paid[7d]) > 5\"}]},"
    "\"b.mean\":{\"tags\":[{\"tag\":\"dear\",\"when\":\"avg(amount, order.paid[2h:1m]) >= 7.5\"},"
    "{\"tag\":\"often\",\"when\":\"days(order.paid[31d]) >= 3 or distinct(category, order.paid[7d]) > 4\"}]},"
    "\"b.latest\":{\"value\":\"latest(category, order.paid)\"},\"b.first\":{\"value\":\"first(amount, order.paid)\"},"
    "\"b.numbers\":{\"value\":\"top(amount, order.paid)\"},"
    "\"b.due\":{\"tags\":[{\"tag\":\"soon\",\"when\":\"until(due, order.paid) < 3d\"},"
    "{\"tag\":\"birthday\",\"when\":\"days_until(attr.born) <= 7 or attr.vip or attr.region == 'north'\"}]},"
    "\"b.back\":{\"tags\":[{\"tag\":\"back\",\"when\":\"was(b.activity) == 'silent' and since(order.paid) < 5s or "
    "was(b.back) == 'back' and held(b.back) < 4s\"}]},"
    "\"b.type\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"x\"},{\"tag\":\"y\"}]}}}";

#define FUZZ_T0 INT64_C(1700000000000)

struct customer { /* one, and all that serves it */
    struct tagd_catalog *catalog;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_event_rules rules;
    struct tagd_sink sink;
    struct tagd_arena arena;
    int64_t now;
    unsigned n; /* of events, which are all different by it */
};

static inline void fuzz_unheard(void *self, const struct tagd_change *change)
{
    (void)self, (void)change;
}

static inline void customer_new(struct customer *customer, const char *text, size_t n)
{
    struct tagd_error error = {{0}};
    customer->catalog = tagd_catalog_load("fuzz", text, n, &error);
    if (!customer->catalog)
        fprintf(stderr, "%s\n", error.text);
    MUST(customer->catalog);
    customer->engine = tagd_engine_new(customer->catalog, 400 * (int64_t)TAGD_MS_DAY);
    customer->profile = tagd_profile_new(customer->catalog);
    customer->rules = (struct tagd_event_rules){.catalog = customer->catalog,
                                                .max_bytes = TAGD_EVENT_BYTES_MAX,
                                                .past_ms = INT64_MIN,
                                                .future_ms = -1,
                                                .partitioner = TAGD_NO_PARTITIONER};
    customer->sink = (struct tagd_sink){NULL, fuzz_unheard};
}

static inline void customer_free(struct customer *customer)
{
    tagd_arena_free(&customer->arena);
    tagd_profile_free(customer->profile);
    tagd_engine_free(customer->engine);
    tagd_catalog_free(customer->catalog);
}

/* Never seen. */
static inline void customer_begin(struct customer *customer)
{
    tagd_profile_clear(customer->profile);
    customer->now = FUZZ_T0;
    customer->n = 0;
}

static inline void customer_event(struct customer *customer, const char *type, int64_t time_ms, const char *data)
{
    struct tagd_buf text = {0};
    char time[TAGD_TIME_TEXT];
    struct tagd_event event;
    tagd_time_format(time_ms, time);
    tagd_buf_printf(&text,
                    "{\"specversion\":\"1.0\",\"id\":\"e%u\",\"source\":\"s\",\"type\":\"%s\",\"subject\":\"c\","
                    "\"time\":\"%s\",\"data\":%s}",
                    customer->n++, type, time, data);
    struct tagd_record record = {.value = str_of(&text), .has_value = true, .timestamp_ms = -1};
    tagd_arena_reset(&customer->arena);
    tagd_event_decode(&customer->rules, &record, 0, &customer->arena, &event);
    if (event.code == TAGD_EVENT_OK)
        tagd_engine_apply(customer->engine, customer->profile, &event, INT64_MIN, customer->sink);
    tagd_buf_free(&text);
}

/* An order of a category that is one of some dozen, or any short text. */
static inline void customer_order(struct customer *customer, struct input *in, int64_t time_ms)
{
    struct tagd_buf data = {0};
    unsigned what = (unsigned)take(in, 1);
    tagd_buf_add_z(&data, "{\"category\":");
    if (what & 0x80) {
        struct tagd_str text = take_text(in, 40);
        tagd_buf_add_json(&data, tagd_utf8_valid(text.p, text.n) ? text : TAGD_STR("?"));
    } else {
        tagd_buf_printf(&data, "\"%u\"", what % 70);
    }
    tagd_buf_printf(&data, ",\"amount\":%d,\"coupon\":%s,\"due\":\"2023-11-%02uT00:00:00Z\"}", (int)(int8_t)take(in, 1),
                    what & 1 ? "true" : "false", 1 + what % 30);
    tagd_buf_add_byte(&data, '\0');
    customer_event(customer, "order.paid", time_ms, data.p);
    tagd_buf_free(&data);
}

/* The next thing that happens to the customer. */
static inline void customer_step(struct customer *customer, struct input *in)
{
    static const int64_t scales[] = {1, 100, 1000, 60000, 3600000, TAGD_MS_DAY, 30 * (int64_t)TAGD_MS_DAY, 1000};
    static const char *const others[][2] = {
        {"login", "{}"},
        {"chat.message", "{\"direction\":\"inbound\"}"},
        {"chat.message", "{\"direction\":\"outbound\"}"},
        {"profile.updated", "{\"attributes\":{\"region\":\"north\",\"score\":7,\"vip\":true,\"born\":\"1990-02-28\"}}"},
        {"profile.updated", "{\"attributes\":{\"region\":null,\"joined\":\"2020-01-01T00:00:00Z\",\"vip\":false}}"},
        {"tag.assigned", "{\"dimension\":\"b.type\",\"tag\":\"x\",\"by\":\"ann\",\"reason\":\"call\"}"},
        {"tag.assigned", "{\"dimension\":\"b.activity\",\"tag\":\"busy\",\"by\":\"bob\",\"reason\":\"r\",\"until\":"
                         "\"2023-11-15T00:00:00Z\"}"},
        {"tag.cleared", "{\"dimension\":\"b.type\",\"by\":\"bob\"}"},
        {"tag.cleared", "{\"dimension\":\"b.activity\",\"by\":\"bob\"}"},
    };
    unsigned what = (unsigned)take(in, 1);
    int64_t step = (int64_t)(int8_t)take(in, 1) * scales[what >> 5], at = customer->now + step;
    what &= 31;
    if (at > customer->now)
        customer->now = at;
    if (what < sizeof(others) / sizeof(*others)) {
        customer_event(customer, others[what][0], at, others[what][1]);
    } else if (what < 12) {
        char data[128];
        unsigned review = (unsigned)take(in, 1);
        snprintf(data, sizeof(data), "{\"proposal\":\"proposal:c:%u\",\"decision\":\"%s\",\"by\":\"ann\"}", review / 2,
                 review & 1 ? "approved" : "rejected");
        customer_event(customer, "tag.reviewed", at, data);
    } else if (what < 16) {
        if (tagd_profile_exists(customer->profile))
            tagd_engine_advance(customer->engine, customer->profile, customer->now, customer->sink);
    } else {
        customer_order(customer, in, at);
    }
}

#endif
