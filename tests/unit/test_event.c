#include "check.h"
#include "tagd/catalog.h"
#include "tagd/event.h"

/* 2026-11-23T02:00:00Z */
#define NOW INT64_C(1795399200000)

static const char catalog_text[] =
    "{\"catalog\": \"test\", \"version\": \"1\", \"events\": {"
    "\"order.paid\": {\"fields\": {\"amount\": {\"type\": \"decimal\", \"required\": true}, \"category\": \"string\","
    " \"coupon\": \"boolean\", \"delivery\": \"time\", \"birthday\": \"date\"}, \"dedupe\": \"7d\"}, \"login\": {}},"
    "\"attributes\": {\"region\": \"string\", \"since\": \"time\", \"size\": \"decimal\", \"grade\": \"string\"},"
    "\"dimensions\": {\"a.b\": {\"tags\": [{\"tag\": \"x\", \"when\": \"count(login) > 0\"}]},"
    "\"m.kind\": {\"assign\": \"manual\", \"tags\": [{\"tag\": \"vip\"}, {\"tag\": \"press\"}]},"
    "\"v.category\": {\"value\": \"latest(category, order.paid)\"}},"
    "\"alerts\": {\"loud\": {\"when\": \"true\"}},"
    "\"aliases\": {\"old.kind.star\": \"m.kind.press\", \"old.mixed.a\": \"m.kind.vip\", \"old.mixed.b\": \"a.b.x\"}}";

enum { AMOUNT, BIRTHDAY, CATEGORY, COUPON, DELIVERY }; /* in the order of their names */

static struct tagd_catalog *catalog;
static struct tagd_event_rules rules;
static struct tagd_record record;
static struct tagd_arena arena;
static struct tagd_event event;
static struct tagd_header headers[16];

/* A record from a topic of one partition that stamps nothing, under the default rules. */
static void fresh(void)
{
    rules = (struct tagd_event_rules){
        .catalog = catalog,
        .max_bytes = TAGD_EVENT_BYTES_MAX,
        .past_ms = INT64_C(631152000000), /* 1990-01-01 */
        .future_ms = 300000,
        .partitioner = TAGD_MURMUR2,
        .junk = tagd_junk_of(tagd_junk_subjects, tagd_n_junk_subjects),
    };
    record = (struct tagd_record){.has_value = true, .timestamp_ms = NOW - 1000, .headers = headers};
    tagd_arena_reset(&arena);
}

static void decode(void)
{
    tagd_event_decode(&rules, &record, NOW, &arena, &event);
    CHECK((event.code == TAGD_EVENT_OK) == (event.reason[0] == '\0'));
    CHECK(tagd_utf8_valid(event.reason, strlen(event.reason)));
}

static void decode_bytes(const char *p, size_t n)
{
    record.value = (struct tagd_str){p, n};
    decode();
}

static void decode_text(const char *text)
{
    decode_bytes(text, strlen(text));
}

static void add_header(const char *name, const char *value)
{
    headers[record.n_headers++] = (struct tagd_header){tagd_str_of(name), tagd_str_of(value)};
}

/* An order whose data is `data`, with `more` before it. */
static void decode_order(const char *more, const char *data)
{
    static char text[8192];

    snprintf(text, sizeof(text),
             "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"douyin\",\"type\":\"order.paid\",\"subject\":\"C1\","
             "\"time\":\"2026-11-23T10:00:00.123+08:00\",%s\"data\":%s}",
             more, data);
    decode_text(text);
}

/* A login with the member `name` given as `value` (JSON), or without it if value is NULL. */
static void decode_with(const char *name, const char *value)
{
    static const char *const members[][2] = {
        {"specversion", "\"1.0\""}, {"id", "\"e1\""},      {"source", "\"web\""},
        {"type", "\"login\""},      {"subject", "\"C1\""}, {"time", "\"2026-11-23T02:00:00Z\""},
    };
    static char text[8192];
    size_t n = 0;

    for (size_t i = 0; i < 6; i++) {
        const char *shown = strcmp(members[i][0], name) == 0 ? value : members[i][1];

        if (shown)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%c\"%s\":%s", n ? ',' : '{', members[i][0], shown);
    }
    snprintf(text + n, sizeof(text) - n, "}");
    decode_text(text);
}

static bool refused(enum tagd_event_code code, const char *reason)
{
    if (event.code == code && strcmp(event.reason, reason) == 0)
        return true;
    fprintf(stderr, "it is %s: %s\n", tagd_event_code_name(event.code), event.reason);
    return false;
}

static void a_structured_event_gives_its_attributes_and_fields(void)
{
    fresh();
    decode_order("", "{\"amount\":129.90,\"category\":\"b\\u0065auty\",\"coupon\":true,\"other\":[1],"
                     "\"delivery\":\"2026-11-24T00:00:00+08:00\",\"birthday\":\"1970-01-02\"}");
    CHECK(event.code == TAGD_EVENT_OK);
    CHECK(tagd_str_eq(event.id, TAGD_STR("e1")) && tagd_str_eq(event.source, TAGD_STR("douyin")));
    CHECK(tagd_str_eq(event.subject, TAGD_STR("C1")) && tagd_str_eq(event.type_name, TAGD_STR("order.paid")));
    CHECK(event.type == tagd_catalog_type_find(catalog, TAGD_STR("order.paid")));
    CHECK(event.has_time && event.time_ms == NOW + 123);
    CHECK(event.fields[AMOUNT].present && event.fields[AMOUNT].i == 1299000);
    CHECK(event.fields[CATEGORY].present && tagd_str_eq(event.fields[CATEGORY].s, TAGD_STR("beauty")));
    CHECK(event.fields[COUPON].present && event.fields[COUPON].i == 1);
    CHECK(event.fields[DELIVERY].present && event.fields[DELIVERY].i == NOW + 14 * 3600000);
    CHECK(event.fields[BIRTHDAY].present && event.fields[BIRTHDAY].i == 1);
    struct tagd_hash128 hash = tagd_hash_pair(TAGD_STR("douyin"), TAGD_STR("e1"));
    CHECK(event.dedupe.lo == hash.lo && event.dedupe.hi == hash.hi);
}

static void source_and_id_are_hashed_for_types_with_dedupe_only(void)
{
    fresh();
    decode_with("", NULL);
    CHECK(event.code == TAGD_EVENT_OK && event.dedupe.lo == 0 && event.dedupe.hi == 0);
}

static void fields_missing_or_null_are_absent(void)
{
    fresh();
    decode_order("", "{\"coupon\":null,\"amount\":0}");
    CHECK(event.code == TAGD_EVENT_OK && event.fields[AMOUNT].present);
    CHECK(!event.fields[CATEGORY].present && !event.fields[COUPON].present && !event.fields[BIRTHDAY].present);
}

static void a_wrong_field_is_invalid_and_named(void)
{
    fresh();
    decode_order("", "{\"amount\":\"1\"}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found a string"));
    CHECK(event.has_time);
    decode_order("", "{}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found nothing"));
    decode_order("", "{\"amount\":null}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found null"));
    decode_order("", "null");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found nothing"));
    decode_order("", "[]");
    CHECK(refused(TAGD_EVENT_INVALID, "data: expected an object, found an array"));
    decode_order("", "{\"amount\":1e300}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found one beyond 10^11"));
    decode_order("", "{\"amount\":1,\"category\":7}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/category: expected a string, found a number"));
    decode_order("", "{\"amount\":1,\"coupon\":1}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/coupon: expected a boolean, found a number"));
    decode_order("", "{\"amount\":1,\"delivery\":\"2026-11-24\"}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/delivery: expected a time as RFC 3339 writes it, found another string"));
    decode_order("", "{\"amount\":1,\"birthday\":\"1970-02-30\"}");
    CHECK(refused(TAGD_EVENT_INVALID,
                  "data/birthday: expected a date as 2023-10-15, 2023/10/15, 2023.10.15, 20231015 or "
                  "2023年10月15日, found another string"));
    decode_order("\"data_base64\":\"e30=\",", "null");
    CHECK(refused(TAGD_EVENT_INVALID, "data: expected a JSON object, found data_base64"));
}

static void a_date_field_takes_every_form_of_a_date(void)
{
    static const char *const forms[] = {"2023-10-05", "2023/10/05", "2023/10/5",     "2023.10.5",
                                        "20231005",   "2023-10-5",  "2023年10月5日", "2023年10月05日"};

    fresh();
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char data[100];

        snprintf(data, sizeof(data), "{\"amount\":1,\"birthday\":\"%s\"}", forms[i]);
        decode_order("", data);
        CHECK(event.code == TAGD_EVENT_OK && event.fields[BIRTHDAY].i == 19635);
        snprintf(data, sizeof(data), "{\"amount\":1,\"delivery\":\"%sT00:00:00Z\"}", forms[i]);
        decode_order("", data);
        CHECK((event.code == TAGD_EVENT_OK) == (i == 0));
    }
    decode_order("", "{\"amount\":1,\"birthday\":\"05.10.2023\"}");
    CHECK(event.code == TAGD_EVENT_INVALID);
    decode_order("", "{\"amount\":1,\"birthday\":20231005}");
    CHECK(refused(TAGD_EVENT_INVALID,
                  "data/birthday: expected a date as 2023-10-15, 2023/10/15, 2023.10.15, 20231015 or "
                  "2023年10月15日, found a number"));
}

static void a_string_field_may_have_1024_bytes(void)
{
    char data[1200];

    fresh();
    snprintf(data, sizeof(data), "{\"amount\":1,\"category\":\"%01024d\"}", 0);
    decode_order("", data);
    CHECK(event.code == TAGD_EVENT_OK && event.fields[CATEGORY].s.n == 1024);
    snprintf(data, sizeof(data), "{\"amount\":1,\"category\":\"%01025d\"}", 0);
    decode_order("", data);
    CHECK(refused(TAGD_EVENT_INVALID, "data/category: expected a string, found one of more than 1024 bytes"));
}

static void a_key_given_twice_counts_as_its_last(void)
{
    fresh();
    decode_order("\"subject\":\"C2\",", "{\"amount\":\"x\",\"amount\":2}");
    CHECK(event.code == TAGD_EVENT_OK && event.fields[AMOUNT].i == 20000);
    CHECK(tagd_str_eq(event.subject, TAGD_STR("C2")));
}

static void an_undeclared_type_is_sound_whatever_its_data(void)
{
    fresh();
    decode_with("type", "\"page.viewed\",\"data\":[1]");
    CHECK(event.code == TAGD_EVENT_OK && event.type == -1 && event.fields == NULL && event.has_time);
    add_header("content-type", "text/plain");
    add_header("ce_specversion", "1.0");
    add_header("ce_id", "1");
    add_header("ce_source", "s");
    add_header("ce_type", "page.viewed");
    add_header("ce_subject", "C1");
    decode_text("not JSON");
    CHECK(event.code == TAGD_EVENT_OK && event.type == -1);
}

static void a_binary_event_gives_the_same(void)
{
    fresh();
    add_header("Content-Type", "application/json; charset=utf-8");
    add_header("CE_specversion", "1.0");
    add_header("ce_ID", "e1");
    add_header("ce_source", "douyin");
    add_header("ce_type", "order.paid");
    add_header("ce_subject", "C1");
    add_header("ce_time", "2026-11-23T02:00:00Z");
    add_header("ce_extension", "x");
    decode_text("{\"amount\":5}");
    CHECK(event.code == TAGD_EVENT_OK && event.time_ms == NOW && event.fields[AMOUNT].i == 50000);
    CHECK(tagd_str_eq(event.id, TAGD_STR("e1")) && tagd_str_eq(event.subject, TAGD_STR("C1")));
    decode_text("{\"amount\":5");
    CHECK(refused(TAGD_EVENT_MALFORMED, "value: byte 11: expected ',' or '}'"));
    decode_text("");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found nothing"));
    headers[0].value = TAGD_STR("text/csv");
    decode_text("{\"amount\":5}");
    CHECK(refused(TAGD_EVENT_INVALID, "data: expected JSON, but content-type says otherwise"));
    headers[0].value = TAGD_STR("application/cloudevents+json; charset=UTF-8"); /* then the headers don't count */
    decode_text("{\"amount\":5}");
    CHECK(refused(TAGD_EVENT_INVALID, "specversion: missing"));
    headers[0].value = TAGD_STR("application/cloudevents-batch+json");
    decode_text("[]");
    CHECK(event.code == TAGD_EVENT_MALFORMED);
    headers[0].value = TAGD_STR("application/json");
    headers[2].value = TAGD_STR("\xFF");
    decode_text("{\"amount\":5}");
    CHECK(refused(TAGD_EVENT_MALFORMED, "header ce_id: invalid UTF-8"));
    headers[2].value = TAGD_STR("a\0b");
    decode_text("{\"amount\":5}");
    CHECK(refused(TAGD_EVENT_MALFORMED, "header ce_id: a NUL byte"));
    headers[2].value = (struct tagd_str){NULL, 0};
    decode_text("{\"amount\":5}");
    CHECK(refused(TAGD_EVENT_INVALID, "id: missing"));
    headers[2].value = TAGD_STR("");
    decode_text("{\"amount\":5}");
    CHECK(refused(TAGD_EVENT_INVALID, "id: expected 1 to 1024 bytes, found an empty string"));
    headers[2].value = TAGD_STR("e1");
    record.value = (struct tagd_str){"", 0};
    record.has_value = false;
    decode();
    CHECK(event.code == TAGD_EVENT_MALFORMED);
}

static void what_is_not_json_is_malformed(void)
{
    char deep[400] = "";

    fresh();
    decode_text("{\"a\":1} x");
    CHECK(refused(TAGD_EVENT_MALFORMED, "value: byte 8: text after the end of the value"));
    CHECK(!event.has_time);
    decode_bytes("{}\0", 3);
    CHECK(refused(TAGD_EVENT_MALFORMED, "value: byte 2: text after the end of the value"));
    decode_text("\xEF\xBB\xBF{}");
    CHECK(refused(TAGD_EVENT_MALFORMED, "value: byte 0: a byte order mark; write UTF-8 without it"));
    decode_text("{\"id\":\"\xC3\"}");
    CHECK(refused(TAGD_EVENT_MALFORMED, "value: byte 7: invalid UTF-8"));
    decode_with("subject", "\"C1\\u0000x\"");
    CHECK(event.code == TAGD_EVENT_MALFORMED);
    decode_text("");
    CHECK(event.code == TAGD_EVENT_MALFORMED);
    for (int i = 0; i < 63; i++)
        strcat(deep, "[");
    for (int i = 0; i < 63; i++)
        strcat(deep, "]");
    decode_order("\"x\":", "0");
    CHECK(event.code == TAGD_EVENT_MALFORMED);
    char member[420];
    snprintf(member, sizeof(member), "\"x\":%s,", deep);
    decode_order(member, "{\"amount\":1}");
    CHECK(event.code == TAGD_EVENT_OK);
    snprintf(member, sizeof(member), "\"x\":[%s],", deep);
    decode_order(member, "{\"amount\":1}");
    CHECK(event.code == TAGD_EVENT_MALFORMED && strstr(event.reason, "nested deeper than 64 levels"));
}

static void a_tombstone_is_malformed(void)
{
    fresh();
    record.has_value = false;
    decode();
    CHECK(refused(TAGD_EVENT_MALFORMED, "value: the record has none (a tombstone); expected an event"));
}

static void size_comes_before_all_else(void)
{
    fresh();
    rules.max_bytes = 10;
    decode_text("not JSON at all");
    CHECK(refused(TAGD_EVENT_TOO_LARGE, "value: 15 bytes, over the limit of 10"));
    decode_text("0123456789");
    CHECK(event.code == TAGD_EVENT_MALFORMED);
}

static void each_attribute_is_asked_for(void)
{
    char text[1200];

    fresh();
    decode_with("specversion", NULL);
    CHECK(refused(TAGD_EVENT_INVALID, "specversion: missing"));
    decode_with("specversion", "\"0.3\"");
    CHECK(refused(TAGD_EVENT_INVALID, "specversion: expected \"1.0\", found \"0.3\""));
    decode_with("specversion", "1.0");
    CHECK(refused(TAGD_EVENT_INVALID, "specversion: expected a string, found a number"));
    decode_with("id", "null");
    CHECK(refused(TAGD_EVENT_INVALID, "id: missing"));
    decode_with("source", "\"\"");
    CHECK(refused(TAGD_EVENT_INVALID, "source: expected 1 to 1024 bytes, found an empty string"));
    decode_with("type", "{}");
    CHECK(refused(TAGD_EVENT_INVALID, "type: expected a string, found an object"));
    decode_with("subject", NULL);
    CHECK(refused(TAGD_EVENT_INVALID, "subject: missing"));
    decode_with("subject", "0");
    CHECK(refused(TAGD_EVENT_INVALID, "subject: expected a string, found a number"));
    decode_with("subject", "\"a\\u0007\"");
    CHECK(refused(TAGD_EVENT_INVALID, "subject: a control character"));
    decode_with("subject", "\"a\\u0085\"");
    CHECK(refused(TAGD_EVENT_INVALID, "subject: a control character"));
    decode_with("subject", "\"客户 1\"");
    CHECK(event.code == TAGD_EVENT_OK);
    snprintf(text, sizeof(text), "\"%0128d\"", 1);
    decode_with("subject", text);
    CHECK(event.code == TAGD_EVENT_OK);
    snprintf(text, sizeof(text), "\"%0129d\"", 1);
    decode_with("subject", text);
    CHECK(refused(TAGD_EVENT_INVALID, "subject: expected at most 128 bytes, found 129"));
    snprintf(text, sizeof(text), "\"%01025d\"", 1);
    decode_with("id", text);
    CHECK(refused(TAGD_EVENT_INVALID, "id: expected at most 1024 bytes, found 1025"));
    decode_text("[]");
    CHECK(refused(TAGD_EVENT_INVALID, "value: expected an object, found an array"));
    CHECK(!event.has_time);
}

static void junk_subjects_are_caught_before_what_is_invalid(void)
{
    static const struct tagd_str only[] = {{"test", 4}};
    static const char long_one[] = "this-form-field-was-left-empty-by-the-customer-or-by-the-person-who-filled-it-in";

    fresh();
    decode_with("subject", "\"\"");
    CHECK(refused(TAGD_EVENT_JUNK_SUBJECT, "subject: \"\" stands for no customer"));
    CHECK(event.has_time && event.time_ms == NOW);
    decode_with("subject", "\"UnDefined\"");
    CHECK(event.code == TAGD_EVENT_JUNK_SUBJECT);
    decode_text("{\"subject\":\"0\"}");
    CHECK(event.code == TAGD_EVENT_JUNK_SUBJECT && event.has_time && event.time_ms == NOW - 1000);
    decode_with("subject", "\"00\"");
    CHECK(event.code == TAGD_EVENT_OK);
    rules.junk = tagd_junk_of(only, 1);
    decode_with("subject", "\"TEST\"");
    CHECK(event.code == TAGD_EVENT_JUNK_SUBJECT);
    decode_with("subject", "\"null\"");
    CHECK(event.code == TAGD_EVENT_OK);
    decode_with("subject", "\"\"");
    CHECK(event.code == TAGD_EVENT_INVALID);
    for (size_t n = 60; n < sizeof long_one; n++) { /* of any length, and nothing shorter or longer */
        char subject[sizeof long_one + 2];
        struct tagd_str listed = {long_one, n};
        rules.junk = tagd_junk_of(&listed, 1);
        for (size_t other = 60; other < sizeof long_one; other++) {
            snprintf(subject, sizeof subject, "\"%.*s\"", (int)other, long_one);
            decode_with("subject", subject);
            CHECK(event.code == (other == n ? TAGD_EVENT_JUNK_SUBJECT : TAGD_EVENT_OK));
        }
    }
}

static void an_event_without_time_has_that_of_its_record(void)
{
    fresh();
    decode_with("time", NULL);
    CHECK(event.code == TAGD_EVENT_OK && event.has_time && event.time_ms == NOW - 1000);
    rules.time_required = true;
    decode_with("time", NULL);
    CHECK(refused(TAGD_EVENT_INVALID, "time: missing"));
    CHECK(!event.has_time);
    rules.time_required = false;
    record.timestamp_ms = -1;
    decode_with("time", NULL);
    CHECK(refused(TAGD_EVENT_INVALID, "time: missing, and the record has no timestamp to stand for it"));
    CHECK(!event.has_time);
}

static void a_time_that_cannot_be_read_is_invalid(void)
{
    fresh();
    decode_with("time", "1795399200");
    CHECK(refused(TAGD_EVENT_INVALID, "time: expected a string, found a number"));
    decode_with("time", "\"yesterday\"");
    CHECK(refused(TAGD_EVENT_INVALID, "time: expected a time as RFC 3339 writes it, found \"yesterday\""));
    decode_with("time", "\"价价价价价价价价价价价价价价价价\"");
    CHECK(event.code == TAGD_EVENT_INVALID && !event.has_time);
}

static void past_and_future_move_no_clock(void)
{
    fresh();
    decode_with("time", "\"1990-01-01T00:00:00Z\"");
    CHECK(event.code == TAGD_EVENT_OK && event.has_time);
    decode_with("time", "\"1989-12-31T23:59:59.999Z\"");
    CHECK(refused(TAGD_EVENT_PAST,
                  "time: 1989-12-31T23:59:59.999Z is before the earliest allowed, 1990-01-01T00:00:00.000Z"));
    CHECK(!event.has_time);
    decode_with("time", "\"2026-11-23T02:05:00Z\"");
    CHECK(event.code == TAGD_EVENT_OK && event.has_time);
    decode_with("time", "\"2026-11-23T02:05:00.001Z\"");
    CHECK(refused(TAGD_EVENT_FUTURE, "time: 2026-11-23T02:05:00.001Z is over 300000 ms ahead of the clock"));
    CHECK(!event.has_time);
    record.log_append_time = true; /* by an append time a second ago */
    decode_with("time", "\"2026-11-23T02:04:59.001Z\"");
    decode_with("time", "\"2026-11-23T02:04:59Z\"");
    CHECK(event.code == TAGD_EVENT_OK && event.has_time);
    decode_with("time", "\"2026-11-23T02:04:59.001Z\"");
    CHECK(refused(TAGD_EVENT_FUTURE,
                  "time: 2026-11-23T02:04:59.001Z is over 300000 ms ahead of the record's append time"));
    rules.future_ms = -1;
    decode_with("time", "\"9999-12-31T23:59:59Z\"");
    CHECK(event.code == TAGD_EVENT_OK && event.has_time);
}

static void an_invalid_record_keeps_the_time_that_moves_its_shard(void)
{
    fresh();
    decode_with("id", NULL);
    CHECK(event.code == TAGD_EVENT_INVALID && event.has_time && event.time_ms == NOW);
    decode_with("source", "7,\"id\":7");
    CHECK(event.code == TAGD_EVENT_INVALID && event.has_time);
}

static void a_record_in_the_wrong_partition_names_what_would_fit(void)
{
    struct tagd_str subject = TAGD_STR("C1");
    uint32_t murmur = tagd_murmur2(subject) % 64, crc = tagd_crc32(subject) % 64;
    char expected[256];

    fresh();
    CHECK(murmur != crc);
    rules.partitions = 64;
    record.partition = (int32_t)murmur;
    decode_with("", NULL);
    CHECK(event.code == TAGD_EVENT_OK);
    record.partition = (int32_t)crc;
    decode_with("", NULL);
    snprintf(expected, sizeof(expected),
             "subject: murmur2 puts it in partition %u of 64, the record is in %u; crc32 would fit", murmur, crc);
    CHECK(refused(TAGD_EVENT_MISROUTED, expected));
    CHECK(event.has_time);
    rules.partitioner = TAGD_CRC32;
    decode_with("", NULL);
    CHECK(event.code == TAGD_EVENT_OK);
    record.partition = (int32_t)murmur;
    decode_with("", NULL);
    CHECK(event.code == TAGD_EVENT_MISROUTED && strstr(event.reason, "; murmur2 would fit"));
    record.partition =
        (int32_t)(murmur + 1) % 64 == (int32_t)crc ? (int32_t)(murmur + 2) % 64 : (int32_t)(murmur + 1) % 64;
    record.has_key = true;
    record.key = TAGD_STR("order-7");
    decode_with("", NULL);
    CHECK(strstr(event.reason, "; neither it nor murmur2 would fit; the record's key is not the subject"));
    rules.partitioner = TAGD_NO_PARTITIONER;
    decode_with("", NULL);
    CHECK(event.code == TAGD_EVENT_OK);
}

/* An event of a reserved type about a tag, whose data is `data`. */
static void decode_verdict(const char *type, const char *data)
{
    static char text[8192];

    snprintf(text, sizeof(text),
             "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"crm\",\"type\":\"%s\",\"subject\":\"C1\","
             "\"time\":\"2026-11-23T10:00:00+08:00\",\"data\":%s}",
             type, data);
    decode_text(text);
}

static void a_word_of_a_person_names_dimension_tag_and_end(void)
{
    fresh();
    decode_verdict("tag.assigned", "{\"dimension\":\"m.kind\",\"tag\":\"press\",\"by\":\"li\",\"reason\":\"as agreed\","
                                   "\"until\":\"2026-12-01T00:00:00+08:00\",\"more\":[1]}");
    CHECK(event.code == TAGD_EVENT_OK && event.type == TAGD_TYPE_TAG_ASSIGNED && event.time_ms == NOW);
    CHECK(event.verdict.dimension == 1 && event.verdict.tag == 1 && event.verdict.until_ms == INT64_C(1796054400000));
    CHECK(tagd_str_eq(event.verdict.by, TAGD_STR("li")) && tagd_str_eq(event.verdict.reason, TAGD_STR("as agreed")));
    decode_verdict("tag.assigned",
                   "{\"dimension\":\"old.kind\",\"tag\":\"star\",\"by\":\"li\",\"reason\":\"r\",\"until\":null}");
    CHECK(event.code == TAGD_EVENT_OK && event.verdict.dimension == 1 && event.verdict.tag == 1 &&
          event.verdict.until_ms == TAGD_NEVER);
    decode_verdict("tag.assigned", "{\"dimension\":\"old.mixed\",\"tag\":\"b\",\"by\":\"li\",\"reason\":\"r\"}");
    CHECK(event.code == TAGD_EVENT_OK && event.verdict.dimension == 0 && event.verdict.tag == 0);
    decode_verdict("tag.cleared", "{\"dimension\":\"m.kind\",\"by\":\"li\"}");
    CHECK(event.code == TAGD_EVENT_OK && event.type == TAGD_TYPE_TAG_CLEARED && event.verdict.dimension == 1);
    decode_verdict("tag.cleared", "{\"dimension\":\"old.kind\",\"by\":\"li\"}"); /* all its aliases lead to one */
    CHECK(event.code == TAGD_EVENT_OK && event.verdict.dimension == 1);
    decode_verdict("tag.assigned",
                   "{\"dimension\":\"nobody\",\"by\":\"x\",\"tag\":\"vip\",\"reason\":\"r\","
                   "\"dimension\":\"m.kind\",\"by\":\"last\"}"); /* a key given twice counts as its last */
    CHECK(event.code == TAGD_EVENT_OK && event.verdict.dimension == 1 &&
          tagd_str_eq(event.verdict.by, TAGD_STR("last")));
}

static void a_decision_names_a_proposal_of_its_customer(void)
{
    fresh();
    decode_verdict("tag.reviewed", "{\"proposal\":\"proposal:C1:17\",\"decision\":\"approved\",\"by\":\"li\"}");
    CHECK(event.code == TAGD_EVENT_OK && event.type == TAGD_TYPE_TAG_REVIEWED && event.verdict.proposal == 17 &&
          event.verdict.approved && tagd_str_eq(event.verdict.by, TAGD_STR("li")));
    decode_verdict("tag.reviewed",
                   "{\"proposal\":\"proposal:C1:999999999999999\",\"decision\":\"rejected\",\"by\":\"li\"}");
    CHECK(event.code == TAGD_EVENT_OK && event.verdict.proposal == UINT64_C(999999999999999) &&
          !event.verdict.approved);
    static const char *const foreign[] = {"proposal:C2:1",   "proposal:C1:01", "proposal:C1:0",
                                          "proposal:C1:",    "proposal:C1",    "proposal:C1:1x",
                                          "proposal:C1:1.1", "proposal:C1:-1", "tag:C1:1",
                                          "proposal:C11:1",  "proposal:C1:1 ", "1",
                                          "proposal:C1:1:1", "proposal:C:1:1", "proposal:C1:1000000000000000"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        char data[200], reason[256];
        snprintf(data, sizeof(data), "{\"proposal\":\"%s\",\"decision\":\"approved\",\"by\":\"li\"}", foreign[i]);
        snprintf(reason, sizeof(reason),
                 "data/proposal: expected the id of a proposal of this customer, as proposal:C1:1, found \"%s\"",
                 foreign[i]);
        decode_verdict("tag.reviewed", data);
        CHECK(refused(TAGD_EVENT_INVALID, reason) && event.has_time);
    }
}

static void what_is_wrong_with_a_word_or_a_decision_is_named(void)
{
    static const struct {
        const char *type, *data, *reason;
    } cases[] = {
        {"tag.assigned", "null", "data: expected an object, found null"},
        {"tag.cleared", "[]", "data: expected an object, found an array"},
        {"tag.assigned", "{}", "data/dimension: expected a string, found nothing"},
        {"tag.assigned", "{\"dimension\":\"m.kind\"}", "data/tag: expected a string, found nothing"},
        {"tag.assigned", "{\"dimension\":5}", "data/dimension: expected a string, found a number"},
        {"tag.assigned", "{\"dimension\":\"\"}", "data/dimension: expected 1 to 1024 bytes, found 0"},
        {"tag.assigned", "{\"dimension\":\"m.nobody\",\"tag\":\"vip\"}",
         "data/dimension: the catalog has no dimension \"m.nobody\", nor an alias of that name"},
        {"tag.assigned", "{\"dimension\":\"loud\",\"tag\":\"raised\"}",
         "data/dimension: the catalog has no dimension \"loud\", nor an alias of that name"},
        {"tag.assigned", "{\"dimension\":\"m.kind\",\"tag\":\"star\"}",
         "data/tag: dimension \"m.kind\" has no tag \"star\""},
        {"tag.assigned", "{\"dimension\":\"old.kind\",\"tag\":\"vip\"}",
         "data/tag: dimension \"old.kind\" has no tag \"vip\""},
        {"tag.assigned", "{\"dimension\":\"v.category\",\"tag\":\"beauty\"}",
         "data/dimension: the tag of \"v.category\" is drawn from the data: it can't be assigned"},
        {"tag.assigned", "{\"dimension\":\"m.kind\",\"tag\":\"vip\"}", "data/by: expected a string, found nothing"},
        {"tag.assigned", "{\"dimension\":\"m.kind\",\"tag\":\"vip\",\"by\":\"li\"}",
         "data/reason: expected a string, found nothing"},
        {"tag.assigned", "{\"dimension\":\"m.kind\",\"tag\":\"vip\",\"by\":\"li\",\"reason\":\"\"}",
         "data/reason: expected 1 to 1024 bytes, found 0"},
        {"tag.assigned",
         "{\"dimension\":\"m.kind\",\"tag\":\"vip\",\"by\":\"li\",\"reason\":\"r\",\"until\":\"2026-12-01\"}",
         "data/until: expected a time as RFC 3339 writes it, found another string"},
        {"tag.assigned",
         "{\"dimension\":\"m.kind\",\"tag\":\"vip\",\"by\":\"li\",\"reason\":\"r\",\"until\":1795399200000}",
         "data/until: expected a time as RFC 3339 writes it, found a number"},
        {"tag.cleared", "{\"dimension\":\"old.mixed\",\"by\":\"li\"}", /* its aliases lead to two */
         "data/dimension: the catalog has no dimension \"old.mixed\", nor an alias of that name"},
        {"tag.cleared", "{\"dimension\":\"m.kind\"}", "data/by: expected a string, found nothing"},
        {"tag.reviewed", "{\"decision\":\"approved\",\"by\":\"li\"}",
         "data/proposal: expected a string, found nothing"},
        {"tag.reviewed", "{\"proposal\":\"proposal:C1:1\",\"by\":\"li\"}",
         "data/decision: expected a string, found nothing"},
        {"tag.reviewed", "{\"proposal\":\"proposal:C1:1\",\"decision\":\"Approved\",\"by\":\"li\"}",
         "data/decision: expected \"approved\" or \"rejected\", found \"Approved\""},
        {"tag.reviewed", "{\"proposal\":\"proposal:C1:1\",\"decision\":\"rejected\",\"by\":null}",
         "data/by: expected a string, found null"},
    };
    fresh();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        decode_verdict(cases[i].type, cases[i].data);
        CHECK(refused(TAGD_EVENT_INVALID, cases[i].reason) && event.has_time);
    }
}

static void a_reason_may_have_1024_bytes(void)
{
    char data[TAGD_STRING_MAX + 100], text[TAGD_STRING_MAX + 2] = "";
    fresh();
    for (int n = TAGD_STRING_MAX; n <= TAGD_STRING_MAX + 1; n++) {
        memset(text, 'x', (size_t)n);
        snprintf(data, sizeof(data), "{\"dimension\":\"m.kind\",\"tag\":\"vip\",\"by\":\"li\",\"reason\":\"%s\"}",
                 text);
        decode_verdict("tag.assigned", data);
        CHECK(n == TAGD_STRING_MAX ? event.code == TAGD_EVENT_OK && event.verdict.reason.n == TAGD_STRING_MAX
                                   : refused(TAGD_EVENT_INVALID, "data/reason: expected 1 to 1024 bytes, found 1025"));
    }
}

static void words_and_decisions_are_checked_for_time_and_place_as_all_are(void)
{
    const char *data = "{\"dimension\":\"m.kind\",\"by\":\"li\"}";
    fresh();
    rules.partitions = 2;
    decode_verdict("tag.cleared", data);
    enum tagd_event_code here = event.code;
    record.partition = 1;
    decode_verdict("tag.cleared", data);
    CHECK((here == TAGD_EVENT_OK) != (event.code == TAGD_EVENT_OK));
    CHECK(here == TAGD_EVENT_MISROUTED || event.code == TAGD_EVENT_MISROUTED);
    rules.partitions = 0;
    rules.past_ms = NOW + 1;
    decode_verdict("tag.cleared", data);
    CHECK(event.code == TAGD_EVENT_PAST);
    decode_verdict("tag.cleared", "{\"by\":\"li\"}"); /* invalid comes first */
    CHECK(event.code == TAGD_EVENT_INVALID);
}

static void a_reserved_type_is_unsupported_yet(void)
{
    fresh();
    decode_with("type", "\"identity.linked\"");
    CHECK(event.code == TAGD_EVENT_UNSUPPORTED && strstr(event.reason, "identity.linked") && event.has_time);
}

static void codes_have_the_names_of_the_dead_letter_topic(void)
{
    static const char *const names[] = {"ok",   "too_large", "malformed", "junk_subject", "invalid",
                                        "past", "future",    "misrouted", "unsupported",  "poison"};

    for (int i = 0; i < TAGD_EVENT_CODES; i++)
        CHECK(strcmp(tagd_event_code_name((enum tagd_event_code)i), names[i]) == 0);
}

static void a_long_value_is_cut_between_characters_in_the_reason(void)
{
    char text[100];

    fresh();
    for (int i = 0; i < 13; i++) { /* decode checks that the reason is UTF-8 */
        snprintf(text, sizeof(text), "\"%.*s价价价价价价价价价价价价价价价\"", i, "abcdefghijklmnop");
        decode_with("time", text);
        CHECK(event.code == TAGD_EVENT_INVALID);
    }
}

/* Nothing that comes in may break the decoder: every cut of a record, and single bytes changed. */
static void try_hostile_bytes(const char *text, size_t n, void (*begin)(void))
{
    for (size_t cut = 0; cut <= n; cut++) {
        char *copy = malloc(cut ? cut : 1); /* its own block, so that a sanitizer sees a read past it */

        begin();
        memcpy(copy, text, cut);
        decode_bytes(copy, cut);
        CHECK(cut == n || event.code == TAGD_EVENT_MALFORMED);
        for (int b = 0; b < 256; b++) {
            char kept;

            if (cut == n)
                break;
            free(copy);
            copy = malloc(n);
            memcpy(copy, text, n);
            kept = copy[cut];
            copy[cut] = (char)b;
            tagd_arena_reset(&arena);
            decode_bytes(copy, n);
            copy[cut] = kept;
        }
        free(copy);
    }
}

static void hostile_bytes_end_in_a_code(void)
{
    static const char text[] =
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"d\\ud83d\\ude00\",\"type\":\"order.paid\","
        "\"subject\":\"价1\",\"time\":\"2026-11-23T10:00:00.123+08:00\",\"data\":{\"amount\":-1.5e3,"
        "\"category\":null,\"coupon\":[true,{}]}}";

    try_hostile_bytes(text, sizeof(text) - 1, fresh);
}

static void hostile_bytes_about_tags_end_in_a_code_too(void)
{
    static const char word[] =
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"d\",\"type\":\"tag.assigned\",\"subject\":\"C1\","
        "\"time\":\"2026-11-23T10:00:00.123+08:00\",\"data\":{\"dimension\":\"old.kind\",\"tag\":\"star\","
        "\"by\":\"李\",\"reason\":\"r\",\"until\":\"2026-12-01T00:00:00Z\"}}";
    static const char decision[] =
        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"d\",\"type\":\"tag.reviewed\",\"subject\":\"价1\","
        "\"data\":{\"proposal\":\"proposal:价1:12\",\"decision\":\"rejected\",\"by\":\"li\"}}";

    try_hostile_bytes(word, sizeof(word) - 1, fresh);
    try_hostile_bytes(decision, sizeof(decision) - 1, fresh);
}

/* ---- the edges of JSON: what each comes out as ---- */

static void numbers_of_all_sizes_come_out_exact_or_named(void)
{
    static const struct {
        const char *text;
        enum tagd_event_code code;
        int64_t amount; /* if OK */
        const char *what;
    } table[] = {
        {"0", TAGD_EVENT_OK, 0, ""},
        {"-0", TAGD_EVENT_OK, 0, ""},
        {"-0.0", TAGD_EVENT_OK, 0, ""},
        {"1e-400", TAGD_EVENT_OK, 0, ""},
        {"-1e-400", TAGD_EVENT_OK, 0, ""},
        {"0.00005", TAGD_EVENT_OK, 1, ""},
        {"-0.00005", TAGD_EVENT_OK, -1, ""},
        {"0.0000499", TAGD_EVENT_OK, 0, ""},
        {"1.5E+2", TAGD_EVENT_OK, 1500000, ""},
        {"0.1", TAGD_EVENT_OK, 1000, ""},
        {"100000000000", TAGD_EVENT_OK, TAGD_DECIMAL_MAX, ""},
        {"-100000000000", TAGD_EVENT_OK, -TAGD_DECIMAL_MAX, ""},
        {"100000000000.0001", TAGD_EVENT_INVALID, 0, "found one beyond 10^11"},
        {"1e400", TAGD_EVENT_INVALID, 0, "found one beyond 10^11"},
        {"-1e400", TAGD_EVENT_INVALID, 0, "found one beyond 10^11"},
        {"0.0000000000000000000000000000000000000000000000000000000000001", TAGD_EVENT_OK, 0, ""}, /* 63 characters */
        {"0.00000000000000000000000000000000000000000000000000000000000001", TAGD_EVENT_MALFORMED, 0,
         "a number of more than 63 characters"},
        {"01", TAGD_EVENT_MALFORMED, 0, "a number with a leading zero"},
        {"+1", TAGD_EVENT_MALFORMED, 0, "expected a value"},
        {".5", TAGD_EVENT_MALFORMED, 0, "expected a value"},
        {"5.", TAGD_EVENT_MALFORMED, 0, "expected a digit after the decimal point"},
        {"1e", TAGD_EVENT_MALFORMED, 0, "expected a digit in the exponent"},
        {"0x10", TAGD_EVENT_MALFORMED, 0, "expected ',' or '}'"},
        {"NaN", TAGD_EVENT_MALFORMED, 0, "expected a value"},
        {"-Infinity", TAGD_EVENT_MALFORMED, 0, "expected a digit"},
    };
    char digits[500];

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fresh();
        snprintf(digits, sizeof(digits), "{\"amount\":%s}", table[i].text);
        decode_order("", digits);
        if (event.code != table[i].code || !strstr(event.reason, table[i].what) ||
            (event.code == TAGD_EVENT_OK && event.fields[AMOUNT].i != table[i].amount)) {
            fprintf(stderr, "%s: %s %s\n", table[i].text, tagd_event_code_name(event.code), event.reason);
            CHECK(false);
        }
    }
    fresh();
    snprintf(digits, sizeof(digits), "{\"amount\":1%0399d}", 0); /* also where nothing declares it */
    decode_order("", digits);
    CHECK(event.code == TAGD_EVENT_MALFORMED && strstr(event.reason, "a number of more than 63 characters"));
    decode_order("\"other\":1e400,", "{\"amount\":1,\"undeclared\":-1e400}");
    CHECK(event.code == TAGD_EVENT_OK);
}

static void strings_come_out_as_the_text_they_mean_or_malformed(void)
{
#define TEXT(literal) literal, sizeof(literal) - 1
    static const struct {
        const char *written;
        size_t n;
        const char *means; /* NULL: malformed */
        const char *what;
    } table[] = {
        {TEXT("\\\"\\\\\\/"), "\"\\/", ""},
        {TEXT("\\b\\f\\n\\r\\t"), "\b\f\n\r\t", ""},
        {TEXT("\\u00e9\\u4EF7"), "\u00e9\u4ef7", ""},
        {TEXT("\\ud83d\\ude00"), "\U0001F600", ""},
        {TEXT("\\uD83D\\uDE00"), "\U0001F600", ""},
        {TEXT("\\uffff"), "\uffff", ""},
        {TEXT("\x7f"), "\x7f", ""},
        {TEXT("\\ud83d"), NULL, "half of a surrogate pair"},
        {TEXT("\\ude00"), NULL, "half of a surrogate pair"},
        {TEXT("\\ude00\\ud83d"), NULL, "half of a surrogate pair"},
        {TEXT("\\ud83d\\ud83d"), NULL, "half of a surrogate pair"},
        {TEXT("\\ud83dx"), NULL, "half of a surrogate pair"},
        {TEXT("\\ud83d\\n"), NULL, "half of a surrogate pair"},
        {TEXT("\\u0000"), NULL, "the character \\u0000 is not allowed"},
        {TEXT("a\0b"), NULL, "a control character in a string"},
        {TEXT("a\nb"), NULL, "a control character in a string"},
        {TEXT("\x1f"), NULL, "a control character in a string"},
        {TEXT("\\x41"), NULL, "an unknown escape in a string"},
        {TEXT("\\"), NULL, ""},
        {TEXT("\\u12"), NULL, "four hex digits"},
        {TEXT("\xC0\x80"), NULL, "invalid UTF-8"},         /* overlong */
        {TEXT("\xED\xA0\x80"), NULL, "invalid UTF-8"},     /* a surrogate */
        {TEXT("\xF4\x90\x80\x80"), NULL, "invalid UTF-8"}, /* beyond U+10FFFF */
        {TEXT("\xE4\xBB"), NULL, "invalid UTF-8"},         /* cut */
        {TEXT("\xFF"), NULL, "invalid UTF-8"},
    };
    static const struct {
        const char *before, *after;
    } places[] = {{"\"data\":{\"amount\":1,\"category\":\"", "\"},\"id\":\"e\",\"subject\":\"C\""},
                  {"\"id\":\"", "\",\"subject\":\"C\",\"data\":{\"amount\":1}"},
                  {"\"id\":\"e\",\"subject\":\"C", "\",\"data\":{\"amount\":1}"},
                  {"\"id\":\"e\",\"subject\":\"C\",\"data\":{\"amount\":1},\"", "\":5"},
                  {"\"id\":\"e\",\"subject\":\"C\",\"data\":{\"amount\":1,\"", "\":[]}"}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
            struct tagd_buf text = {0};

            fresh();
            tagd_buf_printf(&text, "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"order.paid\",%s",
                            places[place].before);
            tagd_buf_add(&text, table[i].written, table[i].n);
            tagd_buf_printf(&text, "%s}", places[place].after);
            decode_bytes(text.p, text.n);
            if (!table[i].means) {
                CHECK(event.code == TAGD_EVENT_MALFORMED && strstr(event.reason, table[i].what));
                CHECK(strstr(event.reason, "value: byte ") && !event.has_time);
            } else if (place == 0) {
                CHECK(tagd_str_eq(event.fields[CATEGORY].s, tagd_str_of(table[i].means)));
            } else if (place == 1) {
                CHECK(event.code == TAGD_EVENT_OK && tagd_str_eq(event.id, tagd_str_of(table[i].means)));
            } else if (place == 2) {
                CHECK(tagd_str_eq((struct tagd_str){event.subject.p + 1, event.subject.n - 1},
                                  tagd_str_of(table[i].means)));
            } else {
                CHECK(event.code == TAGD_EVENT_OK);
            }
            tagd_buf_free(&text);
        }
}

static void keys_are_compared_as_the_text_they_mean(void)
{
    fresh();
    decode_order("", "{\"am\\u006funt\":7}");
    CHECK(event.code == TAGD_EVENT_OK && event.fields[AMOUNT].i == 70000);
    decode_order("", "{\"amount\":1,\"am\\u006funt\":7}"); /* the last one counts */
    CHECK(event.fields[AMOUNT].i == 70000);
    decode_order("", "{\"amount\":1,\"amount\":null}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found null"));
    decode_order("", "{\"Amount\":7}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount: expected a number, found nothing"));
    decode_order("", "{\"amount\":1,\"\":7}");
    CHECK(event.code == TAGD_EVENT_OK);
    decode_with("subject", "\"C1\",\"subject\":null");
    CHECK(refused(TAGD_EVENT_INVALID, "subject: missing"));
    decode_with("time", "\"nonsense\",\"time\":\"2026-11-23T02:00:00Z\"");
    CHECK(event.code == TAGD_EVENT_OK && event.time_ms == NOW);
}

static void a_value_is_one_json_text_and_nothing_else(void)
{
    static const struct {
        const char *text;
        size_t n;
        enum tagd_event_code code;
        const char *reason;
    } table[] = {
        {TEXT(""), TAGD_EVENT_MALFORMED, "value: byte 0: there is no value"},
        {TEXT("  \r\n\t "), TAGD_EVENT_MALFORMED, "value: byte 6: there is no value"},
        {TEXT("\0"), TAGD_EVENT_MALFORMED, "value: byte 0: expected a value"},
        {TEXT("\xEF\xBB\xBF{}"), TAGD_EVENT_MALFORMED, "value: byte 0: a byte order mark; write UTF-8 without it"},
        {TEXT("\xFF\xFE{\0}\0"), TAGD_EVENT_MALFORMED, "value: byte 0: invalid UTF-8"}, /* UTF-16 */
        {TEXT("{}{}"), TAGD_EVENT_MALFORMED, "value: byte 2: text after the end of the value"},
        {TEXT("{}\n{}"), TAGD_EVENT_MALFORMED, "value: byte 3: text after the end of the value"},
        {TEXT("{},"), TAGD_EVENT_MALFORMED, "value: byte 2: text after the end of the value"},
        {TEXT("{\"a\":1,}"), TAGD_EVENT_MALFORMED, "value: byte 7: expected a key in quotes after ','"},
        {TEXT("{'a':1}"), TAGD_EVENT_MALFORMED, "value: byte 1: expected a key in quotes or '}'"},
        {TEXT("{a:1}"), TAGD_EVENT_MALFORMED, "value: byte 1: expected a key in quotes or '}'"},
        {TEXT("{\"a\" 1}"), TAGD_EVENT_MALFORMED, "value: byte 5: expected ':'"},
        {TEXT("{} // no"), TAGD_EVENT_MALFORMED, "value: byte 3: text after the end of the value"},
        {TEXT("{"), TAGD_EVENT_MALFORMED, "value: byte 1: expected a key in quotes or '}'"},
        {TEXT("[1"), TAGD_EVENT_MALFORMED, "value: byte 2: expected ',' or ']'"},
        {TEXT("tru"), TAGD_EVENT_MALFORMED, "value: byte 0: expected a value"},
        {TEXT("{}"), TAGD_EVENT_INVALID, "specversion: missing"},
        {TEXT(" \t{}\r\n"), TAGD_EVENT_INVALID, "specversion: missing"},
        {TEXT("null"), TAGD_EVENT_INVALID, "value: expected an object, found null"},
        {TEXT("5"), TAGD_EVENT_INVALID, "value: expected an object, found a number"},
        {TEXT("\"{}\""), TAGD_EVENT_INVALID, "value: expected an object, found a string"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fresh();
        decode_bytes(table[i].text, table[i].n);
        CHECK(refused(table[i].code, table[i].reason));
    }
}

static void one_mebibyte_is_not_too_large_and_one_byte_more_is(void)
{
    size_t n = TAGD_EVENT_BYTES_MAX;
    char *text = malloc(n + 1);
    int head = snprintf(text, n,
                        "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"s\",\"type\":\"login\",\"subject\":\"C1\","
                        "\"data\":{\"long\":\"");

    CHECK(n == 1048576);
    memset(text + head, 'x', n - (size_t)head - 3);
    memcpy(text + n - 3, "\"}}", 4);
    fresh();
    decode_bytes(text, n);
    CHECK(event.code == TAGD_EVENT_OK);
    text[n] = ' ';
    decode_bytes(text, n + 1);
    CHECK(refused(TAGD_EVENT_TOO_LARGE, "value: 1048577 bytes, over the limit of 1048576"));
    CHECK(!event.has_time);
    free(text);
}

static void a_subject_is_counted_in_bytes_and_has_no_control_characters(void)
{
    static const struct {
        const char *unit; /* so often */
        int times;
        const char *end;
        const char *reason;                  /* NULL: fine */
    } table[] = {{"\u4ef7", 42, "ab", NULL}, /* 128 bytes */
                 {"\u4ef7", 43, "", "subject: expected at most 128 bytes, found 129"},
                 {"\U0001F600", 32, "", NULL},
                 {"\U0001F600", 32, "a", "subject: expected at most 128 bytes, found 129"},
                 {"a", 1, "\\u00a0", NULL},
                 {"a", 1, "\\u200b", NULL},
                 {"a", 1, " b", NULL},
                 {"a", 1, "\\u001f", "subject: a control character"},
                 {"a", 1, "\\u007f", "subject: a control character"},
                 {"a", 1, "\x7f", "subject: a control character"},
                 {"a", 1, "\\u0080", "subject: a control character"},
                 {"a", 1, "\\u009f", "subject: a control character"}};
    static const char *const controls[] = {"\\u0001", "\\u001f", "\x7f", "\\u0080", "\\u009f"};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tagd_buf text = {0};

        fresh();
        tagd_buf_add_byte(&text, '"');
        for (int k = 0; k < table[i].times; k++)
            tagd_buf_add_z(&text, table[i].unit);
        tagd_buf_printf(&text, "%s\"%c", table[i].end, 0);
        decode_with("subject", text.p);
        CHECK(table[i].reason ? refused(TAGD_EVENT_INVALID, table[i].reason) : event.code == TAGD_EVENT_OK);
        tagd_buf_free(&text);
    }
    for (int place = 0; place < 18; place++) { /* wherever it stands */
        for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
            char subject[64];
            snprintf(subject, sizeof subject, "\"%.*s%s%.*s\"", place, " ~ ~a5678 ~ ~bcdefgh", controls[i], 20 - place,
                     "\u00a0 ~ ~ghij");
            decode_with("subject", subject);
            CHECK(refused(TAGD_EVENT_INVALID, "subject: a control character"));
        }
    }
    decode_with("subject", "\" ~ ~a5678 ~ ~bcdefgh\u00a0 ~ ~ghij\"");
    CHECK(event.code == TAGD_EVENT_OK);
}

static void id_source_and_type_may_have_1024_bytes(void)
{
    static const char *const names[] = {"id", "source", "type"};
    char text[1100], expected[100];

    for (size_t i = 0; i < 3; i++) {
        fresh();
        snprintf(text, sizeof(text), "\"%01024d\"", 1);
        decode_with(names[i], text);
        CHECK(event.code == TAGD_EVENT_OK);
        snprintf(text, sizeof(text), "\"%01025d\"", 1);
        decode_with(names[i], text);
        snprintf(expected, sizeof(expected), "%s: expected at most 1024 bytes, found 1025", names[i]);
        CHECK(refused(TAGD_EVENT_INVALID, expected));
    }
}

/* Each record has all faults from its own code on; the first one is told. */
static void codes_are_tried_in_their_order(void)
{
    static const char misrouted[] = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"subject\":\"C1\","
                                    "\"type\":\"identity.linked\",\"time\":\"%s\"%s";
    static const struct {
        enum tagd_event_code code;
        size_t max_bytes;
        const char *time, *more;
        bool elsewhere;
    } table[] = {
        {TAGD_EVENT_TOO_LARGE, 10, "1980-01-01T00:00:00Z", ",\"subject\":\"null\",\"id\":7", true},
        {TAGD_EVENT_MALFORMED, 1000, "1980-01-01T00:00:00Z", ",\"subject\":\"null\",\"id\":7", true},
        {TAGD_EVENT_JUNK_SUBJECT, 1000, "1980-01-01T00:00:00Z", ",\"subject\":\"null\",\"id\":7}", true},
        {TAGD_EVENT_INVALID, 1000, "1980-01-01T00:00:00Z", ",\"id\":7}", true},
        {TAGD_EVENT_PAST, 1000, "1980-01-01T00:00:00Z", "}", true},
        {TAGD_EVENT_FUTURE, 1000, "2030-01-01T00:00:00Z", "}", true},
        {TAGD_EVENT_MISROUTED, 1000, "2026-11-23T02:00:00Z", "}", true},
        {TAGD_EVENT_UNSUPPORTED, 1000, "2026-11-23T02:00:00Z", "}", false},
    };
    char text[1000];

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fresh();
        rules.max_bytes = table[i].max_bytes;
        rules.partitions = 7;
        record.partition = (int32_t)(tagd_murmur2(TAGD_STR("C1")) % 7 + table[i].elsewhere) % 7;
        snprintf(text, sizeof(text), misrouted, table[i].time, table[i].more);
        decode_text(text);
        CHECK(event.code == table[i].code);
        CHECK(event.has_time ==
              (table[i].code >= TAGD_EVENT_MISROUTED)); /* the earlier ones' time is past, or unread */
    }
}

/* ---- a topic of another shape ---- */

#define MAP_TOKENS 8

/* A rule at a pointer without escapes; up to 16 of them at a time. */
static struct tagd_map_rule at(const char *pointer, const char *called, enum tagd_time_form form)
{
    static struct tagd_str tokens[16][MAP_TOKENS];
    static char copies[16][64];
    static size_t turn;
    size_t n = 0, k = turn++ % 16;

    snprintf(copies[k], sizeof(copies[k]), "%s", pointer);
    for (char *p = strtok(copies[k], "/"); p; p = strtok(NULL, "/"))
        tokens[k][n++] = tagd_str_of(p);
    return (struct tagd_map_rule){
        .kind = TAGD_MAP_AT, .form = form, .at = {tagd_str_of(pointer), tokens[k], n}, .called = called};
}

static struct tagd_map_rule always(const char *text)
{
    return (struct tagd_map_rule){.kind = TAGD_MAP_TEXT, .text = tagd_str_of(text), .called = "a constant"};
}

static struct tagd_map map;
static struct tagd_map_field map_fields[4];

static void fresh_map(void)
{
    fresh();
    map = (struct tagd_map){
        .attributes = {[TAGD_MAP_ID] = at("/no", "id (/no)", TAGD_RFC3339),
                       [TAGD_MAP_SOURCE] = always("store"),
                       [TAGD_MAP_TYPE] = always("order.paid"),
                       [TAGD_MAP_SUBJECT] = at("/who/member", "subject (/who/member)", TAGD_RFC3339),
                       [TAGD_MAP_TIME] = at("/ts", "time (/ts)", TAGD_EPOCH_MS)},
        .data = {.kind = TAGD_MAP_FIELDS, .fields = map_fields, .n_fields = 4, .called = "data (made of fields)"}};
    map_fields[0] = (struct tagd_map_field){TAGD_STR("amount"), at("/lines/0/total", "amount (/lines/0/total)", 0)};
    map_fields[1] = (struct tagd_map_field){TAGD_STR("category"), at("/cat", "category (/cat)", 0)};
    map_fields[2] = (struct tagd_map_field){TAGD_STR("delivery"), at("/eta", "delivery (/eta)", TAGD_EPOCH_S)};
    map_fields[3] = (struct tagd_map_field){TAGD_STR("coupon"),
                                            {.kind = TAGD_MAP_BOOLEAN, .number = 1, .called = "coupon (a constant)"}};
    rules.map = &map;
    record.offset = 77;
}

static void a_mapped_record_gives_what_its_map_points_at(void)
{
    fresh_map();
    decode_text("{\"no\":\"A1\",\"who\":{\"member\":\"C1\"},\"ts\":1795399200123,\"lines\":[{\"total\":12.5}],"
                "\"cat\":\"beauty\",\"eta\":1795399200}");
    CHECK(event.code == TAGD_EVENT_OK && event.has_time && event.time_ms == NOW + 123);
    CHECK(tagd_str_eq(event.id, TAGD_STR("A1")) && tagd_str_eq(event.source, TAGD_STR("store")));
    CHECK(tagd_str_eq(event.subject, TAGD_STR("C1")) && tagd_str_eq(event.type_name, TAGD_STR("order.paid")));
    CHECK(event.fields[AMOUNT].i == 125000 && tagd_str_eq(event.fields[CATEGORY].s, TAGD_STR("beauty")));
    CHECK(event.fields[DELIVERY].present && event.fields[DELIVERY].i == NOW);
    CHECK(event.fields[COUPON].present && event.fields[COUPON].i == 1 && !event.fields[BIRTHDAY].present);
}

static void a_mapped_record_needs_no_headers_and_heeds_none(void)
{
    fresh_map();
    add_header("ce_id", "other");
    add_header("content-type", "text/csv");
    decode_text("{\"no\":\"A1\",\"who\":{\"member\":\"C1\"},\"ts\":1795399200123,\"lines\":[{\"total\":1}]}");
    CHECK(event.code == TAGD_EVENT_OK && tagd_str_eq(event.id, TAGD_STR("A1")));
}

/* A mapped record with one place given otherwise. */
static void decode_mapped(const char *no, const char *member, const char *ts, const char *total, const char *more)
{
    static char text[4096];

    snprintf(text, sizeof(text), "{\"no\":%s,\"who\":{\"member\":%s},\"ts\":%s,\"lines\":[{\"total\":%s}]%s}", no,
             member, ts, total, more);
    decode_text(text);
}

static void a_fault_of_a_mapped_record_names_the_pointer(void)
{
    static const struct {
        const char *no, *member, *ts, *total, *more;
        enum tagd_event_code code;
        const char *reason;
    } table[] = {
        {"null", "\"C\"", "1795399200000", "1", "", TAGD_EVENT_INVALID, "id (/no): missing"},
        {"\"\"", "\"C\"", "1795399200000", "1", "", TAGD_EVENT_INVALID,
         "id (/no): expected 1 to 1024 bytes, found an empty string"},
        {"true", "\"C\"", "1795399200000", "1", "", TAGD_EVENT_INVALID,
         "id (/no): expected a string or a whole number, found a boolean"},
        {"1.5", "\"C\"", "1795399200000", "1", "", TAGD_EVENT_INVALID,
         "id (/no): expected a string or a whole number, found a number with a fraction"},
        {"9007199254740992", "\"C\"", "1795399200000", "1", "", TAGD_EVENT_INVALID,
         "id (/no): expected a string or a whole number, found a number beyond 9007199254740991, which readers of JSON "
         "round (it must come as a string)"},
        {"1e400", "\"C\"", "1795399200000", "1", "", TAGD_EVENT_INVALID,
         "id (/no): expected a string or a whole number, found a number beyond 9007199254740991, which readers of JSON "
         "round (it must come as a string)"},
        {"1", "null", "1795399200000", "1", "", TAGD_EVENT_INVALID, "subject (/who/member): missing"},
        {"1", "[1]", "1795399200000", "1", "", TAGD_EVENT_INVALID,
         "subject (/who/member): expected a string or a whole number, found an array"},
        {"1", "0", "1795399200000", "1", "", TAGD_EVENT_JUNK_SUBJECT,
         "subject (/who/member): \"0\" stands for no customer"},
        {"1", "\"a\\tb\"", "1795399200000", "1", "", TAGD_EVENT_INVALID, "subject (/who/member): a control character"},
        {"1", "\"C\"", "\"2026-11-23T02:00:00Z\"", "1", "", TAGD_EVENT_INVALID,
         "time (/ts): expected milliseconds since 1970 as a number, found a string"},
        {"1", "\"C\"", "1e300", "1", "", TAGD_EVENT_INVALID,
         "time (/ts): expected milliseconds since 1970 as a number, found a number out of range"},
        {"1", "\"C\"", "1795399200", "1", "", TAGD_EVENT_PAST,
         "time (/ts): 1970-01-21T18:43:19.200Z is before the earliest allowed, 1990-01-01T00:00:00.000Z"},
        {"1", "\"C\"", "1795399500001", "1", "", TAGD_EVENT_FUTURE,
         "time (/ts): 2026-11-23T02:05:00.001Z is over 300000 ms ahead of the clock"},
        {"1", "\"C\"", "1795399200000", "\"1\"", "", TAGD_EVENT_INVALID,
         "data/amount (/lines/0/total): expected a number, found a string"},
        {"1", "\"C\"", "1795399200000", "null", "", TAGD_EVENT_INVALID,
         "data/amount (/lines/0/total): expected a number, found null"},
        {"1", "\"C\"", "1795399200000", "1", ",\"eta\":[]", TAGD_EVENT_INVALID,
         "data/delivery (/eta): expected seconds since 1970 as a number, found an array"},
        {"1", "\"C\"", "1795399200000", "1", ",\"eta\":1e12", TAGD_EVENT_INVALID,
         "data/delivery (/eta): expected seconds since 1970 as a number, found a number"},
        {"1", "\"C\"", "1795399200000", "1", ",\"cat\":1.5", TAGD_EVENT_INVALID,
         "data/category (/cat): expected a string, found a number with a fraction"},
        {"1", "\"C\"", "1795399200000", "1", "} x", TAGD_EVENT_MALFORMED, NULL},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fresh_map();
        decode_mapped(table[i].no, table[i].member, table[i].ts, table[i].total, table[i].more);
        CHECK(table[i].reason ? refused(table[i].code, table[i].reason) : event.code == table[i].code);
        CHECK(event.has_time == (table[i].code == TAGD_EVENT_INVALID || table[i].code == TAGD_EVENT_JUNK_SUBJECT) ||
              strncmp(event.reason, "time", 4) == 0);
    }
}

static void a_whole_number_where_text_is_wanted_is_its_decimal_text(void)
{
    static const char *const table[][2] = {{"17", "17"},
                                           {"0", "0"},
                                           {"-0", "0"},
                                           {"-42", "-42"},
                                           {"1e3", "1000"},
                                           {"100000000000000000e-4", "10000000000000"},
                                           {"9007199254740991", "9007199254740991"},
                                           {"-9007199254740991", "-9007199254740991"}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char more[64];

        fresh_map();
        snprintf(more, sizeof(more), ",\"cat\":%s", table[i][0]);
        decode_mapped(table[i][0], "7", "1795399200000", "1", more);
        CHECK(event.code == TAGD_EVENT_OK && tagd_str_eq(event.id, tagd_str_of(table[i][1])));
        CHECK(tagd_str_eq(event.fields[CATEGORY].s, tagd_str_of(table[i][1])));
        CHECK(tagd_str_eq(event.subject, TAGD_STR("7")));
    }
}

static void a_mapped_time_comes_in_three_forms_and_is_cut_to_the_millisecond(void)
{
    static const struct {
        enum tagd_time_form form;
        const char *ts;
        int64_t ms; /* 0: invalid */
    } table[] = {
        {TAGD_RFC3339, "\"2026-11-23T10:00:00.1239+08:00\"", NOW + 123},
        {TAGD_RFC3339, "1795399200000", 0},
        {TAGD_EPOCH_S, "1795399200", NOW},
        {TAGD_EPOCH_S, "1795399200.123", NOW + 123},
        {TAGD_EPOCH_S, "1795399200.1239", NOW + 123},
        {TAGD_EPOCH_S, "1795399200.12399", NOW + 123},
        {TAGD_EPOCH_S, "1795399200.0009", NOW},
        {TAGD_EPOCH_S, "1795399200.999", NOW + 999},
        {TAGD_EPOCH_S, "1.7953992e9", NOW},
        {TAGD_EPOCH_S, "\"1795399200\"", NOW},
        {TAGD_EPOCH_S, "\"1795399200.5\"", NOW + 500},
        {TAGD_EPOCH_S, "\"1795399200s\"", 0},
        {TAGD_EPOCH_S, "\"\"", 0},
        {TAGD_EPOCH_S, "\" 1795399200\"", 0},
        {TAGD_EPOCH_S, "\"1795399200.\"", 0},
        {TAGD_EPOCH_S, "\"0x6B0363A0\"", 0},
        {TAGD_EPOCH_S, "-62167219200", -62167219200000},
        {TAGD_EPOCH_S, "-62167219201", 0},
        {TAGD_EPOCH_S, "-0.0005", -1},
        {TAGD_EPOCH_S, "253402300799.999", 253402300799999},
        {TAGD_EPOCH_S, "253402300800", 0},
        {TAGD_EPOCH_S, "1795399200123", 0},
        {TAGD_EPOCH_S, "true", 0},
        {TAGD_EPOCH_MS, "1795399200123", NOW + 123},
        {TAGD_EPOCH_MS, "1795399200123.9", NOW + 123},
        {TAGD_EPOCH_MS, "\"1795399200123\"", NOW + 123},
        {TAGD_EPOCH_MS, "253402300799999", 253402300799999},
        {TAGD_EPOCH_MS, "253402300800000", 0},
        {TAGD_EPOCH_MS, "-62167219200000", -62167219200000},
        {TAGD_EPOCH_MS, "-62167219200001", 0},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fresh_map();
        rules.past_ms = INT64_MIN;
        rules.future_ms = -1;
        map.attributes[TAGD_MAP_TIME].form = table[i].form;
        decode_mapped("1", "\"C\"", table[i].ts, "1", "");
        if (table[i].ms ? event.time_ms != table[i].ms || event.code != TAGD_EVENT_OK
                        : event.code != TAGD_EVENT_INVALID || event.has_time) {
            fprintf(stderr, "%s: %lld %s\n", table[i].ts, (long long)event.time_ms, event.reason);
            CHECK(false);
        }
    }
}

static void a_mapped_time_that_is_absent_is_the_records_timestamp(void)
{
    fresh_map();
    decode_mapped("1", "\"C\"", "null", "1", "");
    CHECK(event.code == TAGD_EVENT_OK && event.time_ms == NOW - 1000);
    map.attributes[TAGD_MAP_TIME] = (struct tagd_map_rule){.called = "time"};
    decode_mapped("1", "\"C\"", "5", "1", "");
    CHECK(event.code == TAGD_EVENT_OK && event.time_ms == NOW - 1000);
    record.timestamp_ms = -1;
    decode_mapped("1", "\"C\"", "5", "1", "");
    CHECK(refused(TAGD_EVENT_INVALID, "time: missing, and the record has no timestamp to stand for it"));
}

static void the_key_may_be_the_subject(void)
{
    fresh_map();
    map.attributes[TAGD_MAP_SUBJECT] =
        (struct tagd_map_rule){.kind = TAGD_MAP_KEY, .called = "subject (the record's key)"};
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(refused(TAGD_EVENT_INVALID, "subject (the record's key): missing"));
    record.has_key = true;
    record.key = TAGD_STR("C9");
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(event.code == TAGD_EVENT_OK && tagd_str_eq(event.subject, TAGD_STR("C9")));
    record.key = TAGD_STR("");
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(event.code == TAGD_EVENT_JUNK_SUBJECT);
    record.key = TAGD_STR("\xC3");
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(refused(TAGD_EVENT_MALFORMED, "subject (the record's key): invalid UTF-8"));
    record.key = TAGD_STR("a\0b");
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(refused(TAGD_EVENT_MALFORMED, "subject (the record's key): a NUL byte"));
}

static void the_offset_may_make_the_id(void)
{
    fresh_map();
    map.attributes[TAGD_MAP_ID] = (struct tagd_map_rule){.kind = TAGD_MAP_OFFSET, .text = TAGD_STR("crm")};
    record.partition = 3;
    decode_mapped("null", "9", "1795399200000", "1", "");
    CHECK(event.code == TAGD_EVENT_OK && tagd_str_eq(event.id, TAGD_STR("crm/3/77")));
}

static void a_whole_object_may_be_the_data(void)
{
    fresh_map();
    map.data = at("/lines/0", "data (/lines/0)", TAGD_RFC3339);
    map.attributes[TAGD_MAP_TYPE] = at("/kind", "type (/kind)", TAGD_RFC3339);
    decode_mapped("1", "9", "1795399200000", "1,\"amount\":2.5,\"category\":5", ",\"kind\":\"order.paid\"");
    CHECK(event.code == TAGD_EVENT_OK && event.fields[AMOUNT].i == 25000);
    CHECK(tagd_str_eq(event.fields[CATEGORY].s, TAGD_STR("5")));
    decode_mapped("1", "9", "1795399200000", "1", ",\"kind\":\"order.paid\"");
    CHECK(refused(TAGD_EVENT_INVALID, "data/amount (/lines/0/amount): expected a number, found nothing"));
    map.data = at("/no", "data (/no)", TAGD_RFC3339);
    decode_mapped("1", "9", "1795399200000", "1", ",\"kind\":\"order.paid\"");
    CHECK(refused(TAGD_EVENT_INVALID, "data (/no): expected an object, found a number"));
    decode_mapped("1", "9", "1795399200000", "1", ",\"kind\":\"login\"");
    CHECK(refused(TAGD_EVENT_INVALID, "data (/no): expected an object, found a number"));
    decode_mapped("1", "9", "1795399200000", "1",
                  ",\"kind\":\"page.viewed\""); /* not declared: data is not looked at */
    CHECK(event.code == TAGD_EVENT_OK && event.type == -1);
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(refused(TAGD_EVENT_INVALID, "type (/kind): missing"));
}

static void a_time_field_comes_in_three_forms_too(void)
{
    static const struct {
        enum tagd_time_form form;
        const char *more;
        int64_t ms; /* 0: invalid */
    } table[] = {{TAGD_RFC3339, ",\"eta\":\"2026-11-23T02:00:00.5Z\"", NOW + 500},
                 {TAGD_RFC3339, ",\"eta\":1795399200", 0},
                 {TAGD_EPOCH_S, ",\"eta\":1795399200.5", NOW + 500},
                 {TAGD_EPOCH_S, ",\"eta\":\"1795399200\"", NOW},
                 {TAGD_EPOCH_S, ",\"eta\":\"2026-11-23T02:00:00.5Z\"", 0},
                 {TAGD_EPOCH_MS, ",\"eta\":1795399200500", NOW + 500}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fresh_map();
        map_fields[2].rule.form = table[i].form;
        decode_mapped("1", "9", "1795399200000", "1", table[i].more);
        CHECK(table[i].ms ? event.code == TAGD_EVENT_OK && event.fields[DELIVERY].i == table[i].ms
                          : event.code == TAGD_EVENT_INVALID);
    }
}

static void a_field_that_the_type_does_not_declare_may_hold_anything(void)
{
    fresh_map();
    map.attributes[TAGD_MAP_TYPE] = always("login");
    decode_mapped("1", "9", "1795399200000", "[]", ",\"eta\":{},\"cat\":1.5");
    CHECK(event.code == TAGD_EVENT_OK);
}

static const struct tagd_update *update(const char *name)
{
    return &event.updates[tagd_catalog_attribute_find(catalog, tagd_str_of(name))];
}

static void a_profile_update_is_put_together_from_fields(void)
{
    static struct tagd_map_field inner[4];
    struct tagd_error error;

    fresh_map();
    inner[0] = (struct tagd_map_field){TAGD_STR("region"), at("/city", "region (/city)", TAGD_RFC3339)};
    inner[1] = (struct tagd_map_field){TAGD_STR("grade"), at("/grade", "grade (/grade)", TAGD_RFC3339)};
    inner[2] = (struct tagd_map_field){TAGD_STR("since"), at("/born", "since (/born)", TAGD_EPOCH_S)};
    inner[3] = (struct tagd_map_field){TAGD_STR("size"), {.kind = TAGD_MAP_NUMBER, .number = 2.5, .called = "size"}};
    map_fields[0] = (struct tagd_map_field){TAGD_STR("attributes"),
                                            {.kind = TAGD_MAP_FIELDS, .fields = inner, .n_fields = 4, .called = "a"}};
    map.data.n_fields = 1;
    map.attributes[TAGD_MAP_TYPE] = always("profile.updated");
    CHECK(tagd_map_check(&map, catalog, "crm", &error));
    decode_mapped("1", "9", "1795399200000", "1", ",\"city\":17,\"grade\":null,\"born\":1795399200");
    CHECK(event.code == TAGD_EVENT_OK && event.n_undeclared == 0);
    CHECK(update("region")->given && tagd_str_eq(update("region")->value.s, TAGD_STR("17")));
    CHECK(update("grade")->given && !update("grade")->value.present); /* null removes */
    CHECK(update("since")->value.i == NOW && update("size")->value.i == 25000);
    decode_mapped("1", "9", "1795399200000", "1", "");
    CHECK(event.code == TAGD_EVENT_OK && !update("region")->given && !update("grade")->given); /* absent leaves it */
    decode_mapped("1", "9", "1795399200000", "1", ",\"city\":[]");
    CHECK(refused(TAGD_EVENT_INVALID, "data/attributes/region (/city): expected a string, found an array"));
    decode_mapped("1", "9", "1795399200000", "1", ",\"born\":\"x\"");
    CHECK(refused(TAGD_EVENT_INVALID,
                  "data/attributes/since (/born): expected seconds since 1970 as a number, found another string"));
    inner[1].rule.form = TAGD_EPOCH_MS;
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "\"as\" of the attribute \"grade\""));
    map.attributes[TAGD_MAP_TYPE] = at("/kind", "type (/kind)", TAGD_RFC3339);
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "\"as\" of the attribute \"grade\""));
    inner[1].name = TAGD_STR("grad");
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "the attribute \"grad\", which the"));
    map_fields[0].rule = at("/who", "attributes (/who)", TAGD_RFC3339); /* a whole object */
    map.attributes[TAGD_MAP_TYPE] = always("profile.updated");
    CHECK(tagd_map_check(&map, catalog, "crm", &error));
    decode_mapped("1", "9,\"size\":\"big\"", "1795399200000", "1", "");
    CHECK(refused(TAGD_EVENT_INVALID, "data/attributes/size (/who/size): expected a number, found a string"));
    decode_mapped("1", "9,\"size\":3", "1795399200000", "1", "");
    CHECK(event.code == TAGD_EVENT_OK && update("size")->value.i == 30000 && event.n_undeclared == 1);
}

static void a_word_is_put_together_from_fields(void)
{
    fresh_map();
    map_fields[0] = (struct tagd_map_field){TAGD_STR("dimension"), always("m.kind")};
    map_fields[1] = (struct tagd_map_field){TAGD_STR("tag"), at("/kind", "tag (/kind)", TAGD_RFC3339)};
    map_fields[2] = (struct tagd_map_field){TAGD_STR("by"), at("/clerk", "by (/clerk)", TAGD_RFC3339)};
    map_fields[3] = (struct tagd_map_field){TAGD_STR("until"), at("/end", "until (/end)", TAGD_EPOCH_S)};
    struct tagd_map_field fields[5] = {
        map_fields[0], map_fields[1], map_fields[2], map_fields[3], {TAGD_STR("reason"), always("as told")}};
    map.data.fields = fields;
    map.data.n_fields = 5;
    map.attributes[TAGD_MAP_TYPE] = always("tag.assigned");
    decode_mapped("1", "\"C1\"", "1795399200000", "1", ",\"kind\":\"vip\",\"clerk\":4711,\"end\":1795399200.5");
    CHECK(event.code == TAGD_EVENT_OK && event.verdict.dimension == 1 && event.verdict.tag == 0);
    CHECK(tagd_str_eq(event.verdict.by, TAGD_STR("4711")) &&
          event.verdict.until_ms == NOW + 500); /* a whole number is text */
    decode_mapped("1", "\"C1\"", "1795399200000", "1", ",\"kind\":\"vip\",\"clerk\":0.5");
    CHECK(refused(TAGD_EVENT_INVALID, "data/by (/clerk): expected a string, found a number with a fraction"));
    decode_mapped("1", "\"C1\"", "1795399200000", "1", ",\"kind\":\"boss\",\"clerk\":\"li\"");
    CHECK(refused(TAGD_EVENT_INVALID, "data/tag (/kind): dimension \"m.kind\" has no tag \"boss\""));
    decode_mapped("1", "\"C1\"", "1795399200000", "1", ",\"kind\":\"vip\",\"clerk\":\"li\",\"end\":\"soon\"");
    CHECK(refused(TAGD_EVENT_INVALID,
                  "data/until (/end): expected seconds since 1970 as a number, found another string"));
    map.data = at("/payload", "data (/payload)", TAGD_RFC3339);
    decode_mapped("1", "\"C1\"", "1795399200000", "1",
                  ",\"payload\":{\"dimension\":\"m.kind\",\"tag\":\"vip\",\"by\":\"li\",\"reason\":true}");
    CHECK(refused(TAGD_EVENT_INVALID, "data/reason (/payload/reason): expected a string, found a boolean"));
    decode_mapped("1", "\"C1\"", "1795399200000", "1", ",\"payload\":7");
    CHECK(refused(TAGD_EVENT_INVALID, "data (/payload): expected an object, found a number"));
}

static void a_mapped_value_need_not_be_an_object(void)
{
    fresh_map();
    decode_text("[1]");
    CHECK(refused(TAGD_EVENT_INVALID, "id (/no): missing"));
    CHECK(event.has_time); /* the record's */
    map.attributes[TAGD_MAP_ID] = at("/1", "id (/1)", TAGD_RFC3339);
    map.attributes[TAGD_MAP_SUBJECT] = at("/0", "subject (/0)", TAGD_RFC3339);
    map.data = (struct tagd_map_rule){.called = "data"};
    map.attributes[TAGD_MAP_TYPE] = always("login");
    decode_text("[\"C1\",\"e1\"]");
    CHECK(event.code == TAGD_EVENT_OK && tagd_str_eq(event.id, TAGD_STR("e1")));
    record.has_value = false;
    decode();
    CHECK(event.code == TAGD_EVENT_MALFORMED && strstr(event.reason, "tombstone"));
}

static void hostile_bytes_end_in_a_code_by_a_map_too(void)
{
    static const char text[] = "{\"no\":17,\"who\":{\"member\":\"\\ud83d\\ude00\"},\"ts\":\"1795399200123.5\","
                               "\"lines\":[{\"total\":-1.5e3},{}],\"eta\":1.795399e9,\"cat\":9007199254740991}";

    try_hostile_bytes(text, sizeof(text) - 1, fresh_map);
}

static void a_map_that_does_not_fit_the_catalog_is_refused(void)
{
    struct tagd_error error;

    fresh_map();
    CHECK(tagd_map_check(&map, catalog, "crm", &error));
    map_fields[1].rule.form = TAGD_EPOCH_MS;
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "\"as\" of the field \"category\""));
    map_fields[1].rule = (struct tagd_map_rule){.kind = TAGD_MAP_NUMBER, .number = 5};
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "the value of the field \"category\""));
    map_fields[1].rule = always("x");
    CHECK(tagd_map_check(&map, catalog, "crm", &error));
    map_fields[1].rule = (struct tagd_map_rule){.kind = TAGD_MAP_BOOLEAN, .number = 1};
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "the value of the field \"category\""));
    map_fields[1].rule = always("x");
    map_fields[1].name = TAGD_STR("tag"); /* a reserved type's, which this one is not */
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "\"tag\""));
    map.attributes[TAGD_MAP_TYPE] = always("login");
    map_fields[1].name = TAGD_STR("category"); /* another type's */
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "event type login does not declare"));
    map.attributes[TAGD_MAP_TYPE] = always("order.paid");
    map_fields[1].name = TAGD_STR("categry");
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) &&
          strstr(error.text, "\"categry\", which the catalog's event type order.paid does not declare"));
    map.attributes[TAGD_MAP_TYPE] = at("/kind", "type (/kind)", TAGD_RFC3339);
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "which no event type of the catalog"));
    map_fields[1].name = TAGD_STR("attributes"); /* of profile.updated, should one come */
    CHECK(tagd_map_check(&map, catalog, "crm", &error));
    map.attributes[TAGD_MAP_TYPE] = always("order.payed");
    CHECK(!tagd_map_check(&map, catalog, "crm", &error) && strstr(error.text, "\"order.payed\", which the catalog"));
    map.attributes[TAGD_MAP_TYPE] = always("profile.updated");
    CHECK(tagd_map_check(&map, catalog, "crm", &error));
}

static void a_reason_is_cut_between_characters_and_is_one_line(void)
{
    char long_reason[2 * TAGD_EVENT_REASON_MAX + 1], room[TAGD_EVENT_REASON_MAX];
    for (size_t i = 0; i < sizeof(long_reason) - 1; i += 2)
        memcpy(long_reason + i, "\xC3\xA9", 3);
    tagd_event_condemn(long_reason, room, &event);
    CHECK(event.code == TAGD_EVENT_POISON && event.reason == room && strlen(room) == TAGD_EVENT_REASON_MAX - 2);
    CHECK(tagd_utf8_valid(room, strlen(room)));
    tagd_event_condemn("a\nb\x7F", room, &event);
    CHECK(strcmp(room, "a?b?") == 0);
}

int main(void)
{
    struct tagd_error error;

    catalog = tagd_catalog_load("test.json", catalog_text, sizeof(catalog_text) - 1, &error);
    if (!catalog)
        fprintf(stderr, "%s\n", error.text);
    CHECK(catalog);
    RUN(a_reason_is_cut_between_characters_and_is_one_line);
    RUN(a_structured_event_gives_its_attributes_and_fields);
    RUN(source_and_id_are_hashed_for_types_with_dedupe_only);
    RUN(fields_missing_or_null_are_absent);
    RUN(a_wrong_field_is_invalid_and_named);
    RUN(a_date_field_takes_every_form_of_a_date);
    RUN(a_string_field_may_have_1024_bytes);
    RUN(a_key_given_twice_counts_as_its_last);
    RUN(an_undeclared_type_is_sound_whatever_its_data);
    RUN(a_binary_event_gives_the_same);
    RUN(what_is_not_json_is_malformed);
    RUN(a_tombstone_is_malformed);
    RUN(size_comes_before_all_else);
    RUN(each_attribute_is_asked_for);
    RUN(junk_subjects_are_caught_before_what_is_invalid);
    RUN(an_event_without_time_has_that_of_its_record);
    RUN(a_time_that_cannot_be_read_is_invalid);
    RUN(past_and_future_move_no_clock);
    RUN(an_invalid_record_keeps_the_time_that_moves_its_shard);
    RUN(a_record_in_the_wrong_partition_names_what_would_fit);
    RUN(a_word_of_a_person_names_dimension_tag_and_end);
    RUN(a_decision_names_a_proposal_of_its_customer);
    RUN(what_is_wrong_with_a_word_or_a_decision_is_named);
    RUN(a_reason_may_have_1024_bytes);
    RUN(words_and_decisions_are_checked_for_time_and_place_as_all_are);
    RUN(a_reserved_type_is_unsupported_yet);
    RUN(codes_have_the_names_of_the_dead_letter_topic);
    RUN(a_long_value_is_cut_between_characters_in_the_reason);
    RUN(hostile_bytes_end_in_a_code);
    RUN(hostile_bytes_about_tags_end_in_a_code_too);
    RUN(numbers_of_all_sizes_come_out_exact_or_named);
    RUN(strings_come_out_as_the_text_they_mean_or_malformed);
    RUN(keys_are_compared_as_the_text_they_mean);
    RUN(a_value_is_one_json_text_and_nothing_else);
    RUN(one_mebibyte_is_not_too_large_and_one_byte_more_is);
    RUN(a_subject_is_counted_in_bytes_and_has_no_control_characters);
    RUN(id_source_and_type_may_have_1024_bytes);
    RUN(codes_are_tried_in_their_order);
    RUN(a_mapped_record_gives_what_its_map_points_at);
    RUN(a_mapped_record_needs_no_headers_and_heeds_none);
    RUN(a_fault_of_a_mapped_record_names_the_pointer);
    RUN(a_whole_number_where_text_is_wanted_is_its_decimal_text);
    RUN(a_mapped_time_comes_in_three_forms_and_is_cut_to_the_millisecond);
    RUN(a_mapped_time_that_is_absent_is_the_records_timestamp);
    RUN(the_key_may_be_the_subject);
    RUN(the_offset_may_make_the_id);
    RUN(a_whole_object_may_be_the_data);
    RUN(a_time_field_comes_in_three_forms_too);
    RUN(a_field_that_the_type_does_not_declare_may_hold_anything);
    RUN(a_profile_update_is_put_together_from_fields);
    RUN(a_word_is_put_together_from_fields);
    RUN(a_mapped_value_need_not_be_an_object);
    RUN(hostile_bytes_end_in_a_code_by_a_map_too);
    RUN(a_map_that_does_not_fit_the_catalog_is_refused);
    tagd_arena_free(&arena);
    tagd_catalog_free(catalog);
    return DONE();
}
