/* What an event out says, to the byte: the parts made once and those of each change. */
#include "shop.h"

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

#define ODD "c\"\\\n\x01\x7f价"
#define ODD_JSON "c\\\"\\\\\\n\\u0001\x7f价"

/* Tells all changes with the same odd names around them. */
struct telling {
    struct tagd_emit emit;
    struct tagd_str subject, source, id;
    uint64_t revision;    /* 0: the change's own */
    bool forgets_persons; /* told as if `from` had been no person's */
    struct tagd_buf text, headers;
};

static struct telling telling_of(const struct shop *shop, const char *group, const bool *carry)
{
    struct telling telling = {.emit = {.catalog = shop->catalog, .group = group, .carry = carry, .recorded_ms = -1},
                              .subject = TAGD_STR("c"),
                              .source = TAGD_STR("s"),
                              .id = TAGD_STR("i")};
    tagd_emit_prepare(&telling.emit);
    return telling;
}

static void forget(struct telling *telling)
{
    tagd_emit_free(&telling->emit);
    tagd_buf_free(&telling->text);
    tagd_buf_free(&telling->headers);
}

static void tell(void *self, const struct tagd_change *change)
{
    struct telling *telling = self;
    struct tagd_change told = *change;
    struct tagd_event cause = {.code = TAGD_EVENT_OK};
    if (change->cause) {
        cause = *change->cause;
        cause.source = telling->source;
        cause.id = telling->id;
        told.cause = &cause;
    }
    if (telling->revision)
        told.revision = telling->revision;
    told.from_by = told.from_by && !telling->forgets_persons;
    tagd_emit_change(&telling->emit, telling->subject, &told, &telling->text);
    tagd_buf_add_byte(&telling->text, '\n');
    telling->headers.n = 0;
    tagd_emit_headers(&telling->emit, telling->subject, &told, &telling->headers);
}

static bool says(struct telling *telling, const char *what)
{
    tagd_buf_add_byte(&telling->text, '\0');
    telling->text.n--;
    bool is = strstr(telling->text.p, what) != NULL;
    if (!is)
        fprintf(stderr, "no %s in\n%s\n", what, telling->text.p);
    return is;
}

/* One event, its changes told in full. */
static void take(struct shop *shop, struct telling *telling, const char *type, const char *data)
{
    char text[1024], time[TAGD_TIME_TEXT];
    struct tagd_event event;
    tagd_time_format(T0, time);
    int n = snprintf(text, sizeof(text),
                     "{\"specversion\":\"1.0\",\"id\":\"e%d\",\"source\":\"test\",\"type\":\"%s\",\"subject\":\"c\","
                     "\"time\":\"%s\",\"data\":%s}",
                     shop->n++, type, time, data);
    struct tagd_record record = {.value = {text, (size_t)n}, .has_value = true, .timestamp_ms = -1};
    tagd_event_decode(&shop->rules, &record, 0, &shop->arena, &event);
    CHECK(event.code == TAGD_EVENT_OK);
    telling->text.n = 0;
    tagd_engine_apply(shop->engine, shop->profile, &event, INT64_MIN, (struct tagd_sink){telling, tell});
    tagd_arena_reset(&shop->arena);
}

#define BIG                                                                                                            \
    "\"v.level\":{\"tags\":[{\"tag\":\"big\",\"when\":\"latest(category, order.paid) == 'a\\\"b' and "                 \
    "sum(amount, order.paid[1d]) >= 10\",\"plan\":{\"say\":\"\\\"hi\\\"\"}},"                                          \
    "{\"tag\":\"small\",\"when\":\"true\"}]}"

static void a_change_is_written_to_the_byte(void)
{
    struct shop shop = shop_open("", BIG);
    struct telling telling = telling_of(&shop, "g", NULL);
    telling.emit.caught_up = true;
    telling.emit.recorded_ms = T0 + 1;
    take(&shop, &telling, "login", "{}");
    CHECK(strncmp(telling.text.p,
                  "{\"specversion\":\"1.0\",\"id\":\"tag:c:1\",\"source\":\"tagd/g\",\"type\":\"tagd.tag.changed\","
                  "\"subject\":\"c\",\"time\":\"2023-11-14T22:13:20.000Z\","
                  "\"recordedtime\":\"2023-11-14T22:13:20.001Z\",\"causationid\":\"s#i\","
                  "\"datacontenttype\":\"application/json\",\"data\":{\"dimension\":\"v.level\",\"from\":null,"
                  "\"to\":\"small\",\"revision\":1,\"catalog\":\"shop@1\",\"origin\":\"event\",\"because\":"
                  "{\"rule\":\"true\",\"values\":{},\"failed\":null},\"valid_until\":null,\"then\":null,"
                  "\"tags\":{\"v.level\":\"small\"},\"plan\":null,\"caught_up\":true}}\n",
                  telling.text.n) == 0);
    forget(&telling);
    shop_close(&shop);
}

static void a_rule_its_values_and_its_plan_are_json(void)
{
    struct shop shop = shop_open("", BIG);
    struct telling telling = telling_of(&shop, "g", NULL);
    take(&shop, &telling, "order.paid", "{\"amount\":10.5,\"category\":\"a\\\"b\"}");
    CHECK(says(&telling, "\"because\":{\"rule\":\"latest(category, order.paid) == 'a\\\"b' and "
                         "sum(amount, order.paid[1d]) >= 10\",\"values\":{\"latest(category, order.paid)\":\"a\\\"b\","
                         "\"sum(amount, order.paid[1d])\":10.5},\"failed\":null}"));
    CHECK(says(&telling, "\"then\":\"small\",\"tags\":{\"v.level\":\"big\"},\"plan\":{\"say\":\"\\\"hi\\\"\"},"
                         "\"caught_up\":false}}\n"));
    tagd_engine_advance(shop.engine, shop.profile, T0 + 2 * (int64_t)TAGD_MS_DAY, (struct tagd_sink){&telling, tell});
    CHECK(says(&telling,
               "\"from\":\"big\",\"to\":\"small\",\"revision\":2,\"catalog\":\"shop@1\",\"origin\":\"time\","
               "\"because\":{\"rule\":\"true\",\"values\":{},\"failed\":{\"rule\":\"latest(category, "
               "order.paid) == 'a\\\"b' and sum(amount, order.paid[1d]) >= 10\",\"values\":{\"latest("
               "category, order.paid)\":\"a\\\"b\",\"sum(amount, order.paid[1d])\":0}}},\"valid_until\":null,"));
    forget(&telling);
    shop_close(&shop);
}

static void odd_names_are_escaped_in_json_and_plain_in_headers(void)
{
    struct shop shop = shop_open("", BIG);
    struct telling telling = telling_of(&shop, "g" ODD, NULL);
    struct tagd_arena arena = {0};
    const struct tagd_header *headers;
    size_t n;
    telling.subject = telling.source = telling.id = TAGD_STR(ODD);
    telling.revision = INT64_MAX;
    take(&shop, &telling, "login", "{}");
    CHECK(
        says(&telling, "\"id\":\"tag:" ODD_JSON ":9223372036854775807\",\"source\":\"tagd/g" ODD_JSON "\",\"type\":"));
    CHECK(says(&telling, "\"subject\":\"" ODD_JSON "\",\"time\":"));
    CHECK(says(&telling, "\"causationid\":\"" ODD_JSON "#" ODD_JSON "\",\"datacontenttype\""));
    CHECK(tagd_emit_headers_read((struct tagd_str){telling.headers.p, telling.headers.n}, &arena, &headers, &n));
    CHECK(n == 9 && tagd_str_eq(headers[0].name, TAGD_STR("ce_specversion")));
    CHECK(tagd_str_eq(headers[1].name, TAGD_STR("ce_id")) &&
          tagd_str_eq(headers[1].value, TAGD_STR("tag:" ODD ":9223372036854775807")));
    CHECK(tagd_str_eq(headers[2].name, TAGD_STR("ce_source")) && tagd_str_eq(headers[2].value, TAGD_STR("tagd/g" ODD)));
    CHECK(tagd_str_eq(headers[4].name, TAGD_STR("ce_subject")) && tagd_str_eq(headers[4].value, TAGD_STR(ODD)));
    CHECK(tagd_str_eq(headers[7].name, TAGD_STR("ce_causationid")) &&
          tagd_str_eq(headers[7].value, TAGD_STR(ODD "#" ODD)));
    telling.subject = telling.source = telling.id = TAGD_STR("");
    take(&shop, &telling, "order.paid", "{\"amount\":10,\"category\":\"a\\\"b\"}");
    CHECK(says(&telling, "\"id\":\"tag::") && says(&telling, "\"subject\":\"\",") &&
          says(&telling, "\"causationid\":\"#\","));
    tagd_arena_free(&arena);
    forget(&telling);
    shop_close(&shop);
}

/* A header's length takes two bytes of the block from 128 on. */
static void a_long_subject_comes_back_from_its_headers(void)
{
    struct shop shop = shop_open("", BIG);
    struct telling telling = telling_of(&shop, "g", NULL);
    char subject[300];
    memset(subject, 'x', sizeof(subject));
    for (size_t n_subject = 120; n_subject <= sizeof(subject); n_subject++) {
        struct tagd_arena arena = {0};
        const struct tagd_header *headers;
        size_t n;
        telling.subject = (struct tagd_str){subject, n_subject};
        tagd_profile_clear(shop.profile);
        take(&shop, &telling, "login", "{}");
        CHECK(tagd_emit_headers_read((struct tagd_str){telling.headers.p, telling.headers.n}, &arena, &headers, &n));
        CHECK(tagd_str_eq(headers[4].value, telling.subject) && headers[1].value.n == n_subject + 6);
        tagd_arena_free(&arena);
    }
    forget(&telling);
    shop_close(&shop);
}

#define FOUR                                                                                                           \
    "\"a.first\":{\"tags\":[{\"tag\":\"x\",\"when\":\"count(order.paid) >= 1\"}]},"                                    \
    "\"a.second\":{\"value\":\"latest(category, order.paid)\"},"                                                       \
    "\"a.third\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}"

static void tags_are_those_there_are_and_are_carried(void)
{
    static const struct {
        bool carry[4];
        const char *before, *after;
    } cases[] = {{{true, true, true, true},
                  ",\"tags\":{\"a.third\":\"x\"},",
                  ",\"tags\":{\"a.first\":\"x\",\"a.second\":\"a\\\"b\",\"a.third\":\"x\"},"},
                 {{false, true, false, true}, ",\"tags\":{},", ",\"tags\":{\"a.second\":\"a\\\"b\"},"},
                 {{true, false, false, false}, ",\"tags\":{},", ",\"tags\":{\"a.first\":\"x\"},"},
                 {{false, false, true, false}, ",\"tags\":{\"a.third\":\"x\"},", ",\"tags\":{\"a.third\":\"x\"},"},
                 {{false, false, false, true}, ",\"tags\":{},", ",\"tags\":{},"}};
    struct shop shop = shop_open("\"alerts\":{\"any\":{\"when\":\"true\"}},", FOUR);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct telling telling = telling_of(&shop, "g", cases[i].carry);
        tagd_profile_clear(shop.profile);
        take(&shop, &telling, "login", "{}");
        CHECK(says(&telling, cases[i].before));
        CHECK(says(&telling, "\"id\":\"alert:c:1\"") && says(&telling, "\"data\":{\"alert\":\"any\",\"revision\":1,"));
        take(&shop, &telling, "order.paid", "{\"amount\":1,\"category\":\"a\\\"b\"}");
        CHECK(says(&telling, cases[i].after));
        CHECK(says(&telling, "\"dimension\":\"a.second\",\"from\":null,\"to\":\"a\\\"b\","));
        take(&shop, &telling, "order.paid", "{\"amount\":1,\"category\":\"\"}");
        CHECK(says(&telling, "\"dimension\":\"a.second\",\"from\":\"a\\\"b\",\"to\":\"\","));
        forget(&telling);
    }
    shop_close(&shop);
}

static void a_tag_that_only_persons_give_has_no_rule_that_failed(void)
{
    struct shop shop = shop_open("", "\"m.kind\":{\"assign\":\"manual\",\"tags\":[{\"tag\":\"press\"}]}");
    for (int forgets = 0; forgets < 2; forgets++) {
        struct telling telling = telling_of(&shop, "g", NULL);
        telling.forgets_persons = forgets == 1;
        tagd_profile_clear(shop.profile);
        take(&shop, &telling, "tag.assigned",
             "{\"dimension\":\"m.kind\",\"tag\":\"press\",\"by\":\"l\\\"i\",\"reason\":\"as\\tagreed\"}");
        CHECK(says(&telling, "\"to\":\"press\",\"revision\":1,\"catalog\":\"shop@1\",\"origin\":\"manual\","
                             "\"because\":{\"by\":\"l\\\"i\",\"reason\":\"as\\tagreed\",\"until\":null},"));
        take(&shop, &telling, "tag.cleared", "{\"dimension\":\"m.kind\",\"by\":\"li\"}");
        CHECK(says(&telling, "\"from\":\"press\",\"to\":null,\"revision\":2,"));
        CHECK(says(&telling, "\"because\":{\"rule\":null,\"values\":{},\"failed\":null},"));
        forget(&telling);
    }
    shop_close(&shop);
}

static void an_emitter_that_never_was_prepared_is_freed(void)
{
    struct tagd_emit emit = {.group = "g"};
    tagd_emit_free(&emit);
    CHECK(emit.fixed == NULL);
}

int main(void)
{
    RUN(a_change_is_written_to_the_byte);
    RUN(a_rule_its_values_and_its_plan_are_json);
    RUN(odd_names_are_escaped_in_json_and_plain_in_headers);
    RUN(a_long_subject_comes_back_from_its_headers);
    RUN(tags_are_those_there_are_and_are_carried);
    RUN(a_tag_that_only_persons_give_has_no_rule_that_failed);
    RUN(an_emitter_that_never_was_prepared_is_freed);
    return DONE();
}
