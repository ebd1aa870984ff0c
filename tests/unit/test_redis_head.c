/* The head's line of text in Redis. */
#include "check.h"
#include "io/redis_head.c"

static struct tagd_head some_head(void)
{
    struct tagd_head head = {.exists = true,
                             .fence = UINT64_MAX,
                             .batch = 12,
                             .prev_fence = 3,
                             .n_topics = 2,
                             .partitions = 64,
                             .next_offset = {-1, 77},
                             .watermark_ms = INT64_MIN,
                             .latest_ms = 1000,
                             .catalog_hash = "0123456789abcdef0123456789abcdef",
                             .owner = "tagd-a-0"};
    return head;
}

static struct tagd_head with_baseline(bool finished)
{
    struct tagd_head head = some_head();
    head.baseline = (struct tagd_baseline){.import = "fedcba9876543210fedcba9876543210",
                                           .finished = finished,
                                           .before_ms = -5,
                                           .lines = UINT64_MAX,
                                           .events = 1,
                                           .duplicates = 2,
                                           .ignored = 3,
                                           .customers = 4};
    return head;
}

static struct tagd_head repairing(enum tagd_repair_phase phase)
{
    struct tagd_head head = with_baseline(true);
    head.outputs_end[TAGD_OUT_CHANGE] = INT64_MAX;
    head.outputs_end[TAGD_OUT_CHURN] = 12;
    head.repair = (struct tagd_repair){
        .phase = phase, .to_offset = {7, INT64_MAX}, .to_watermark_ms = INT64_MIN, .outputs_from = {0, 9876543210, 5}};
    return head;
}

static bool same(const struct tagd_head *a, const struct tagd_head *b)
{
    return a->exists == b->exists && a->fence == b->fence && a->batch == b->batch && a->prev_fence == b->prev_fence &&
           a->n_topics == b->n_topics && a->partitions == b->partitions &&
           memcmp(a->next_offset, b->next_offset, a->n_topics * sizeof(a->next_offset[0])) == 0 &&
           a->watermark_ms == b->watermark_ms && a->latest_ms == b->latest_ms &&
           strcmp(a->catalog_hash, b->catalog_hash) == 0 && strcmp(a->owner, b->owner) == 0 &&
           strcmp(a->baseline.import, b->baseline.import) == 0 && a->baseline.finished == b->baseline.finished &&
           a->baseline.before_ms == b->baseline.before_ms && a->baseline.lines == b->baseline.lines &&
           a->baseline.events == b->baseline.events && a->baseline.duplicates == b->baseline.duplicates &&
           a->baseline.ignored == b->baseline.ignored && a->baseline.customers == b->baseline.customers &&
           a->at_least_once == b->at_least_once &&
           memcmp(a->outputs_end, b->outputs_end, sizeof(a->outputs_end)) == 0 &&
           memcmp(&a->repair, &b->repair, sizeof(a->repair)) == 0;
}

static bool reads_back(const struct tagd_head *head)
{
    struct tagd_buf text = {0};
    struct tagd_head read;
    tagd_redis_head_write(&text, head);
    bool ok = tagd_redis_head_read((struct tagd_str){text.p, text.n}, &read) && same(head, &read);
    tagd_buf_free(&text);
    return ok;
}

static void a_head_reads_back_with_and_without_a_baseline(void)
{
    struct tagd_head plain = some_head(), unfinished = with_baseline(false), finished = with_baseline(true);
    CHECK(reads_back(&plain) && reads_back(&unfinished) && reads_back(&finished));
    plain.owner[0] = plain.catalog_hash[0] = '\0';
    CHECK(reads_back(&plain));
}

static void a_repair_reads_back_with_and_without_a_baseline(void)
{
    struct tagd_head telling = repairing(TAGD_REPAIR_TELLING), replaying = repairing(TAGD_REPAIR_REPLAYING);
    CHECK(reads_back(&telling) && reads_back(&replaying));
    replaying.baseline = (struct tagd_baseline){0};
    CHECK(reads_back(&replaying));
    replaying.repair = (struct tagd_repair){0};
    replaying.at_least_once = true;
    CHECK(reads_back(&replaying));
    for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++) { /* whichever was looked at */
        memset(replaying.outputs_end, 0, sizeof(replaying.outputs_end));
        replaying.outputs_end[kind] = 1;
        CHECK(reads_back(&replaying));
    }
}

static bool is_read(const char *text)
{
    struct tagd_head head;
    return tagd_redis_head_read(tagd_str_of(text), &head);
}

#define REMEDY "run the version that wrote it, or a new \"group\" and \"redis.prefix\" read the topics again"

static const char *unread(const char *text)
{
    static struct tagd_error error;
    CHECK(!is_read(text));
    tagd_redis_head_unread(tagd_str_of(text), &error);
    return error.text;
}

static void a_head_of_another_version_is_refused(void)
{
    CHECK(is_read("3 5 12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("2 5 12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("4 5 12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(strcmp(unread("4 anything"),
                 "its head in Redis is of format 4, and this tagd reads format 3: a newer one wrote "
                 "it; " REMEDY) == 0);
    CHECK(strcmp(unread("2 5 12 3"),
                 "its head in Redis is of format 2, and this tagd reads format 3: an older one wrote "
                 "it; " REMEDY) == 0);
    static const char *const damaged[] = {"3 5 12", "", "x", "-4 1", "999999999999 1 newer by far"};
    for (size_t i = 0; i < 4; i++)
        CHECK(strcmp(unread(damaged[i]),
                     "its head in Redis can't be read: it is damaged, or of another version of tagd; " REMEDY) == 0);
    CHECK(strstr(unread(damaged[4]), "is of format 999999, "));
}

/* Kept as a tagd of format 3 wrote it, with all that a head can have. Whatever comes, a version whose format is 3 or 4 reads
 * it: release n reads what release n - 1 wrote. */
static void a_kept_head_of_format_3_is_read(void)
{
    struct tagd_head head;
    CHECK(tagd_redis_head_read(
        TAGD_STR("3 1795500000001 12 1795500000000 64 1795499998000 1795500000500 0123456789abcdef0123456789abcdef "
                 "tagd-a-0 2 -1 77 outputs 3 0 41 repair 2 0 9 5 1795499997000 7 80 import "
                 "fedcba9876543210fedcba9876543210 1 1795400000000 1000 900 60 40 300"),
        &head));
    CHECK(head.exists && head.fence == 1795500000001 && head.batch == 12 && head.prev_fence == 1795500000000);
    CHECK(head.partitions == 64 && head.watermark_ms == 1795499998000 && head.latest_ms == 1795500000500);
    CHECK(strcmp(head.catalog_hash, "0123456789abcdef0123456789abcdef") == 0 && strcmp(head.owner, "tagd-a-0") == 0);
    CHECK(head.n_topics == 2 && head.next_offset[0] == -1 && head.next_offset[1] == 77 && !head.at_least_once);
    CHECK(head.outputs_end[TAGD_OUT_CHANGE] == 3 && head.outputs_end[TAGD_OUT_CHURN] == 41);
    CHECK(head.repair.phase == TAGD_REPAIR_REPLAYING && head.repair.outputs_from[1] == 9);
    CHECK(head.repair.to_watermark_ms == 1795499997000 && head.repair.to_offset[1] == 80);
    CHECK(strcmp(head.baseline.import, "fedcba9876543210fedcba9876543210") == 0 && head.baseline.finished);
    CHECK(head.baseline.before_ms == 1795400000000 && head.baseline.lines == 1000 && head.baseline.customers == 300);
    CHECK(tagd_redis_head_read(TAGD_STR("3 5 12 3 64 -1 1000 - - 1 77 at_least_once"), &head) && head.at_least_once);
}

static void a_repair_that_can_not_be_is_refused(void)
{
    CHECK(is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7 8"));
    CHECK(is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 2 0 9 5 -1 7 8 import a 1 0 0 0 0 0 0"));
    CHECK(is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 outputs 3 0 0 repair 1 0 9 5 -1 7 8"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 outputs 3 4"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 outputs 3 4 5x"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7 8 outputs 3 0 0"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 0 0 9 5 -1 7 8"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 3 0 9 5 -1 7 8"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7 8 9"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7 x"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7 8x"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repairs 1 0 9 -1 7 8"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 repair 1 0 9 5 -1 7 8 repair 1 0 9 5 -1 7 8"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 import a 1 0 0 0 0 0 0 repair 1 0 9 5 -1 7 8"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 at_least_once repair 1 0 9 5 -1 7 8"));
}

static void a_head_without_more_is_written_in_short(void)
{
    struct tagd_head head = some_head();
    struct tagd_buf text = {0};
    tagd_redis_head_write(&text, &head);
    CHECK(tagd_str_eq((struct tagd_str){text.p, text.n},
                      TAGD_STR("3 18446744073709551615 12 3 64 -9223372036854775808 1000 "
                               "0123456789abcdef0123456789abcdef tagd-a-0 2 -1 77")));
    tagd_buf_free(&text);
}

static void the_largest_head_fits(void)
{
    struct tagd_head head = repairing(TAGD_REPAIR_REPLAYING);
    struct tagd_baseline *baseline = &head.baseline;
    head.n_topics = TAGD_TOPICS_MAX;
    head.batch = head.prev_fence = UINT64_MAX;
    head.latest_ms = baseline->before_ms = INT64_MIN;
    baseline->events = baseline->duplicates = baseline->ignored = baseline->customers = UINT64_MAX;
    for (int i = 0; i < TAGD_TOPICS_MAX; i++)
        head.next_offset[i] = head.repair.to_offset[i] = INT64_MIN;
    head.watermark_ms = head.repair.to_watermark_ms = INT64_MIN;
    for (int kind = 0; kind < TAGD_OUTPUT_KINDS; kind++) {
        head.repair.outputs_from[kind] = INT64_MIN;
        head.outputs_end[kind] = INT64_MAX;
    }
    memset(head.owner, 'o', sizeof(head.owner) - 1);
    CHECK(reads_back(&head));
}

static void a_head_that_is_cut_or_has_more_is_refused(void)
{
    struct tagd_head head = repairing(TAGD_REPAIR_REPLAYING), read;
    struct tagd_buf text = {0};
    tagd_redis_head_write(&text, &head);
    tagd_buf_reserve(&text, 1);
    text.p[text.n] = '\0';
    for (size_t n = 0; n < text.n; n++) /* a number that is cut is a number still: whole words go */
        if (n == 0 || (text.p[n] == ' ' && strncmp(text.p + n, " import", 7) != 0 &&
                       strncmp(text.p + n, " repair", 7) != 0 && strncmp(text.p + n, " outputs", 8) != 0))
            CHECK(!tagd_redis_head_read((struct tagd_str){text.p, n}, &read));
    tagd_buf_add_z(&text, " 1");
    CHECK(!tagd_redis_head_read((struct tagd_str){text.p, text.n}, &read));
    tagd_buf_free(&text);
}

static void numbers_and_blanks_of_another_hand_are_no_head(void)
{
    CHECK(is_read("3 18446744073709551615 12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("3 18446744073709551616 12 3 64 -1 1000 - - 2 -1 77")); /* would be read as the largest there is */
    CHECK(!is_read("3 5 -12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("3 5 12 3 4294967360 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("3 5 12 3 64 -9223372036854775809 1000 - - 2 -1 77"));
    CHECK(!is_read("3 05 12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("3 5  12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("3 5\n12 3 64 -1 1000 - - 2 -1 77"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 +77"));
    CHECK(!is_read("3 5 12 3 64 -1 1000 - - 2 -1 77 outputs 0 0 0"));
}

int main(void)
{
    RUN(numbers_and_blanks_of_another_hand_are_no_head);
    RUN(a_head_reads_back_with_and_without_a_baseline);
    RUN(a_repair_reads_back_with_and_without_a_baseline);
    RUN(a_head_of_another_version_is_refused);
    RUN(a_kept_head_of_format_3_is_read);
    RUN(a_repair_that_can_not_be_is_refused);
    RUN(a_head_without_more_is_written_in_short);
    RUN(the_largest_head_fits);
    RUN(a_head_that_is_cut_or_has_more_is_refused);
    return DONE();
}
