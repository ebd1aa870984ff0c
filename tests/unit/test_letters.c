/* What a record of the dead-letter topic is, which letters are meant, and whether they can be used by now. */
#include "command/letters.h"
#include "shop.h"

#define HEADERS_MAX 12

static struct tagd_header headers[HEADERS_MAX];

/* name, value, ...; NULL at the end. A value of NULL isn't possible here. */
static struct tagd_record letter(uint32_t partition, int64_t offset, const char *const *pairs)
{
    struct tagd_record record = {.partition = (int32_t)partition, .offset = offset, .timestamp_ms = 1000 + offset};
    for (; *pairs != NULL; pairs += 2)
        headers[record.n_headers++] = (struct tagd_header){tagd_str_of(pairs[0]), tagd_str_of(pairs[1])};
    record.headers = headers;
    return record;
}

#define LETTER(code, partition, offset, group)                                                                         \
    "tagd_error", code, "tagd_reason", "why", "tagd_topic", "events", "tagd_partition", partition, "tagd_offset",      \
        offset, "tagd_batch", "1.2.3", "tagd_group", group
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define MARKER(place, partition, offset)                                                                               \
    PAIRS("tagd_replayed", place, "tagd_topic", "events", "tagd_partition", partition, "tagd_offset", offset,          \
          "tagd_group", "g")

static void a_letter_begins_with_the_records_own_headers(void)
{
    struct tagd_letter_view view;
    struct tagd_record record = letter(
        1, 7, PAIRS("trace", "x", "tagd_offset", "99", "tagd_error", "own", LETTER("invalid", "3", "4711", "g")));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_RECORD);
    CHECK(view.n_own == 3 && view.partition == 3 && view.offset == 4711 && view.code == TAGD_EVENT_INVALID);
    CHECK(tagd_str_eq(view.topic, TAGD_STR("events")) && tagd_str_eq(view.reason, TAGD_STR("why")) && !view.truncated);
}

static void a_letter_that_was_cut_says_so(void)
{
    struct tagd_letter_view view;
    struct tagd_record record = letter(1, 7, PAIRS(LETTER("too_large", "3", "4711", "g"), "tagd_truncated", "5000"));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_RECORD && view.truncated && view.full_bytes == 5000);
    record = letter(1, 7, PAIRS("tagd_truncated", "1", LETTER("too_large", "3", "4711", "g"))); /* the record's own */
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_RECORD && !view.truncated && view.n_own == 1);
}

static void what_is_no_letter_of_the_group_is_foreign(void)
{
    struct tagd_letter_view view;
    struct tagd_record record = letter(1, 7, PAIRS(LETTER("invalid", "3", "4711", "other")));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_FOREIGN);
    record = letter(1, 7, PAIRS("trace", "x"));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_FOREIGN);
    record = letter(1, 7, PAIRS(LETTER("unheard_of", "3", "4711", "g")));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_FOREIGN);
    record = letter(1, 7, PAIRS(LETTER("invalid", "3", "47x", "g")));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_FOREIGN);
    record = letter(1, 7, PAIRS(LETTER("invalid", "", "4711", "g")));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_FOREIGN);
}

static void a_marker_is_no_letter_and_a_letter_with_a_markers_header_is_one(void)
{
    struct tagd_letter_view view;
    struct tagd_record record = letter(1, 8, MARKER("1:7", "3", "4711"));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_MARKER && view.partition == 3 && view.offset == 4711);
    CHECK(tagd_letter_read(&record, "other", &view) == TAGD_LETTER_FOREIGN);
    record = letter(1, 9, PAIRS("tagd_replayed", "1:7", LETTER("invalid", "3", "4712", "g")));
    CHECK(tagd_letter_read(&record, "g", &view) == TAGD_LETTER_RECORD && view.n_own == 1);
}

static void add(struct tagd_letter_list *list, struct tagd_record record)
{
    CHECK(tagd_letter_list_add(list, &record, "g"));
}

static const struct tagd_letter_entry *find(const struct tagd_letter_list *list, uint32_t partition, int64_t offset)
{
    return tagd_letter_list_find(list, (struct tagd_letter_place){partition, offset});
}

static void a_list_knows_what_was_replayed_and_what_stands_there_again(void)
{
    struct tagd_letter_list list = {0};
    add(&list, letter(1, 5, PAIRS(LETTER("invalid", "1", "40", "g"))));
    add(&list, letter(1, 6, PAIRS(LETTER("invalid", "1", "41", "g"))));
    add(&list, letter(1, 7, MARKER("1:5", "1", "40")));
    add(&list, letter(1, 8, PAIRS(LETTER("invalid", "1", "40", "g")))); /* sent again, behind its marker */
    add(&list, letter(1, 9, PAIRS(LETTER("past", "1", "42", "other"))));
    add(&list, letter(0, 5, PAIRS(LETTER("past", "0", "40", "g"))));
    tagd_letter_list_settle(&list);
    CHECK(list.n == 4 && list.n_marks == 1 && list.n_foreign == 1);
    CHECK(list.at[0].at.partition == 0 && list.at[3].at.offset == 8);
    CHECK(find(&list, 1, 5)->replayed && !find(&list, 1, 5)->repeated);
    CHECK(find(&list, 1, 8)->replayed && find(&list, 1, 8)->repeated);
    CHECK(!find(&list, 1, 6)->replayed && !find(&list, 0, 5)->replayed);
    CHECK(find(&list, 1, 7) == NULL && find(&list, 1, 9) == NULL && find(&list, 2, 5) == NULL);
    tagd_letter_list_free(&list);
}

static void a_list_has_a_limit(void)
{
    struct tagd_letter_list list = {.n = TAGD_LETTERS_MAX};
    struct tagd_record record = letter(1, 5, PAIRS(LETTER("invalid", "1", "40", "g")));
    CHECK(!tagd_letter_list_add(&list, &record, "g"));
    record = letter(1, 7, MARKER("1:5", "1", "40"));
    CHECK(tagd_letter_list_add(&list, &record, "g") && list.n_marks == 1);
    list.n = 0;
    tagd_letter_list_free(&list);
}

static void a_filter_takes_what_fits_all_of_it(void)
{
    struct tagd_letter_place places[] = {{1, 5}, {1, 6}};
    struct tagd_letter_filter any = {.since_ms = INT64_MIN, .until_ms = INT64_MAX}, filter = any;
    struct tagd_letter_entry entry = {.at = {1, 6}, .topic = "events", .code = TAGD_EVENT_PAST, .time_ms = 1000};
    CHECK(tagd_letter_fits(&any, &entry));
    filter = (struct tagd_letter_filter){TAGD_EVENT_PAST, "events", 1000, 1001, places, 2};
    CHECK(tagd_letter_fits(&filter, &entry));
    filter.until_ms = 1000;
    CHECK(!tagd_letter_fits(&filter, &entry));
    filter.until_ms = 1001, filter.since_ms = 1001;
    CHECK(!tagd_letter_fits(&filter, &entry));
    filter.since_ms = 1000, filter.code = TAGD_EVENT_FUTURE;
    CHECK(!tagd_letter_fits(&filter, &entry));
    filter.code = TAGD_EVENT_OK, filter.n_places = 1;
    CHECK(!tagd_letter_fits(&filter, &entry));
    filter.n_places = 0, filter.topic = "event";
    CHECK(!tagd_letter_fits(&filter, &entry));
}

static void places_and_codes_are_read_strictly(void)
{
    struct tagd_letter_place place;
    enum tagd_event_code code;
    CHECK(tagd_letter_place_parse("3:4711", &place) && place.partition == 3 && place.offset == 4711);
    CHECK(tagd_letter_place_parse("4095:0", &place) && place.partition == TAGD_SHARDS_MAX - 1);
    const char *const wrong[] = {"",     "3",    ":",    "3:",    ":4",  "4096:0", "-1:4",
                                 "3:-4", "3:4 ", " 3:4", "3:4:5", "a:1", "1:a",    "1:1234567890123456789"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!tagd_letter_place_parse(wrong[i], &place));
    CHECK(tagd_letter_code_parse("poison", &code) && code == TAGD_EVENT_POISON);
    CHECK(!tagd_letter_code_parse("", &code) && !tagd_letter_code_parse("ok", &code));
}

/* ---- judging ---- */

#define WALL 1795399200000

static struct tagd_letter_verdict judge(const struct tagd_catalog *catalog, int32_t partition, const char *time,
                                        const char *data, size_t max_bytes)
{
    static char text[1024];
    static struct tagd_arena arena;
    struct tagd_letter_verdict verdict;
    struct tagd_event_rules rules = {.catalog = catalog,
                                     .max_bytes = max_bytes,
                                     .past_ms = 0,
                                     .future_ms = 300000,
                                     .partitioner = TAGD_MURMUR2,
                                     .partitions = 8};
    snprintf(text, sizeof text,
             "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"s\",\"type\":\"order.paid\",\"subject\":\"C1\"%s,"
             "\"data\":%s}",
             time, data);
    struct tagd_record record = {
        .value = tagd_str_of(text), .has_value = true, .partition = partition, .timestamp_ms = WALL};
    tagd_letter_judge(&rules, &record, WALL, &arena, &verdict);
    return verdict;
}

static void a_record_in_a_wrong_partition_belongs_to_the_right_one(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog("", "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}", &error);
    const char *time = ",\"time\":\"2026-11-23T02:00:00Z\"";
    uint32_t right = tagd_murmur2(TAGD_STR("C1")) % 8;
    for (int32_t partition = 0; partition < 8; partition++) {
        struct tagd_letter_verdict verdict = judge(catalog, partition, time, "{}", 1000);
        CHECK(verdict.code == TAGD_EVENT_OK && verdict.partition == right && !verdict.stamped);
    }
    struct tagd_letter_verdict verdict = judge(catalog, (int32_t)right, time, "{\"amount\":\"1\"}", 1000);
    CHECK(verdict.code == TAGD_EVENT_INVALID && strstr(verdict.reason, "data/amount: expected a number") != NULL);
    verdict = judge(catalog, (int32_t)right, time, "{}", 10);
    CHECK(verdict.code == TAGD_EVENT_TOO_LARGE);
    tagd_catalog_free(catalog);
}

static void an_event_without_a_time_stands_by_its_timestamp(void)
{
    struct tagd_error error;
    struct tagd_catalog *catalog = shop_catalog("", "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}", &error);
    struct tagd_letter_verdict verdict = judge(catalog, 0, "", "{}", 1000);
    CHECK(verdict.code == TAGD_EVENT_OK && verdict.stamped);
    tagd_catalog_free(catalog);
}

int main(void)
{
    RUN(a_letter_begins_with_the_records_own_headers);
    RUN(a_letter_that_was_cut_says_so);
    RUN(what_is_no_letter_of_the_group_is_foreign);
    RUN(a_marker_is_no_letter_and_a_letter_with_a_markers_header_is_one);
    RUN(a_list_knows_what_was_replayed_and_what_stands_there_again);
    RUN(a_list_has_a_limit);
    RUN(a_filter_takes_what_fits_all_of_it);
    RUN(places_and_codes_are_read_strictly);
    RUN(a_record_in_a_wrong_partition_belongs_to_the_right_one);
    RUN(an_event_without_a_time_stands_by_its_timestamp);
    return DONE();
}
