/* The table of take-overs, and the forms of outbox and metadata. */
#include "shop.h"
#include "shard/shard.h"

static const char *const topics[] = {"orders", "logins"};

struct found {
    struct tagd_takeover_found found;
    struct tagd_head head;
    struct tagd_committed_topic committed[2];
    struct tagd_outbox_entry outbox[3];
    char metadata[TAGD_METADATA_MAX];
    struct tagd_worker_config config;
    struct tagd_takeover_decision decision;
    struct tagd_error error;
    struct shop shop;
};

/* Redis at batch 7 of fence 3, offsets 10 and 20, and Kafka the same. */
static void level(struct found *found)
{
    *found = (struct found){.shop = shop_open("", "\"a.b\":{\"tags\":[{\"tag\":\"x\",\"when\":\"true\"}]}")};
    found->config = (struct tagd_worker_config){
        .catalog = found->shop.catalog, .group = "g", .owner = "me", .n_topics = 2, .topics = topics};
    found->config.rules.partitions = 4;
    found->head = (struct tagd_head){.exists = true,
                                     .fence = 3,
                                     .batch = 7,
                                     .prev_fence = 3,
                                     .n_topics = 2,
                                     .partitions = 4,
                                     .next_offset = {10, 20}};
    snprintf(found->head.catalog_hash, sizeof(found->head.catalog_hash), "%s", tagd_catalog_hash(found->shop.catalog));
    size_t n = tagd_metadata_write(found->metadata, 3, 7, 1000);
    for (int i = 0; i < 2; i++)
        found->committed[i] = (struct tagd_committed_topic){found->head.next_offset[i], {found->metadata, n}, 0, 100};
}

static void kafka_at(struct found *found, uint64_t fence, uint64_t batch)
{
    size_t n = tagd_metadata_write(found->metadata, fence, batch, 1000);
    for (int i = 0; i < 2; i++)
        found->committed[i].metadata = (struct tagd_str){found->metadata, n};
}

static enum tagd_takeover_verdict decide(struct found *found)
{
    found->found.shard = 2;
    found->found.head = &found->head;
    found->found.committed = found->committed;
    found->found.outbox = found->outbox;
    tagd_takeover_decide(&found->config, &found->found, &found->decision, &found->error);
    return found->decision.verdict;
}

/* Refused, and the text names the shard, what was found and a remedy. */
static bool refused(struct found *found, const char *why)
{
    bool is = decide(found) == TAGD_TAKEOVER_REFUSE && strstr(found->error.text, why) != NULL &&
              strstr(found->error.text, "shard 2") != NULL;
    if (!is)
        fprintf(stderr, "verdict %d, %s\n", found->decision.verdict, found->error.text);
    return is;
}

#define FOUND(name)                                                                                                    \
    struct found name;                                                                                                 \
    level(&name)

static void nothing_anywhere_is_a_new_shard(void)
{
    FOUND(found);
    found.head = (struct tagd_head){.next_offset = {-1, -1}};
    found.committed[0] = found.committed[1] = (struct tagd_committed_topic){.offset = -1, .low = 5, .high = 9};
    CHECK(decide(&found) == TAGD_TAKEOVER_NEW && found.decision.gaps == 0);
    shop_close(&found.shop);
}

static void equal_batches_go_on_at_the_heads_offsets(void)
{
    FOUND(found);
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL && found.decision.start[0] == 10 && found.decision.start[1] == 20);
    found.found.tail = (struct tagd_position){true, 3, 5}; /* an older batch's outputs are the last ones */
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL);
    shop_close(&found.shop);
}

static void what_kafka_lacks_comes_from_the_outbox(void)
{
    FOUND(found);
    kafka_at(&found, 2, 5);
    found.outbox[0] = (struct tagd_outbox_entry){.fence = 2, .batch = 5, .prev_fence = 2};
    found.outbox[1] = (struct tagd_outbox_entry){.fence = 3, .batch = 6, .prev_fence = 2};
    found.outbox[2] = (struct tagd_outbox_entry){.fence = 3, .batch = 7, .prev_fence = 3};
    found.found.n_outbox = 3;
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 1);
    found.outbox[1].prev_fence = 1; /* it was built on another batch 5 */
    CHECK(refused(&found, "outbox"));
    found.outbox[1] = found.outbox[2]; /* batch 6 is missing */
    found.found.n_outbox = 2;
    CHECK(refused(&found, "outbox"));
    found.found.n_outbox = 0;
    CHECK(refused(&found, "outbox"));
    shop_close(&found.shop);
}

static void outputs_say_more_than_offsets_that_expired(void)
{
    FOUND(found);
    found.committed[0].offset = found.committed[1].offset = -1;
    found.committed[0].metadata = found.committed[1].metadata = (struct tagd_str){"", 0};
    found.found.tail = (struct tagd_position){true, 3, 7};
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL);
    shop_close(&found.shop);
}

/* An entry with so many changes, dead letters and changes of churn. */
static struct tagd_str entry_with(struct tagd_buf *bytes, size_t changes, size_t letters, size_t churn)
{
    bytes->n = 0;
    tagd_outbox_begin(bytes, 1000, 2, (const int64_t[]){10, 20}, changes + letters + churn);
    for (size_t i = 0; i < changes + churn; i++)
        tagd_outbox_add_event(bytes, i < changes ? TAGD_OUT_CHANGE : TAGD_OUT_CHURN, TAGD_STR("k"), 0, 2);
    for (size_t i = 0; i < letters; i++)
        tagd_outbox_add_dead_letter(bytes, 1, 5, TAGD_EVENT_MALFORMED, TAGD_STR("why"));
    struct tagd_buf text = {0};
    for (size_t i = 0; i < changes + churn; i++)
        tagd_buf_add_str(&text, TAGD_STR("{}"));
    tagd_outbox_add_text(bytes, (struct tagd_str){text.p, text.n});
    tagd_buf_free(&text);
    return (struct tagd_str){bytes->p, bytes->n};
}

/* Offsets have expired, and the topic of changes, of dead letters, or of churn, is emptied by retention. */
static void without_offsets_an_entry_is_published_only_where_it_would_be_seen(void)
{
    static const struct {
        size_t changes, letters, churn;
        bool no_changes, no_letters, no_churn, known;
    } rows[] = {
        {1, 0, 0, false, true, true, true},  {1, 0, 0, true, false, true, false}, {0, 1, 0, true, false, true, true},
        {0, 1, 0, false, true, true, false}, {1, 1, 0, true, false, true, true},  {1, 1, 0, false, true, true, true},
        {1, 1, 0, true, true, true, false},  {0, 0, 0, true, true, true, true},   {0, 0, 1, false, false, true, false},
        {0, 0, 1, true, true, false, true},  {1, 0, 1, true, false, false, true}, {1, 1, 0, true, true, false, false},
        {0, 1, 1, false, true, true, false}};
    FOUND(found);
    struct tagd_buf bytes = {0};
    struct tagd_arena arena = {0};
    bool nothing[TAGD_OUTPUT_KINDS];
    found.found.arena = &arena;
    found.found.emptied = nothing;
    found.committed[0].offset = found.committed[1].offset = -1;
    found.committed[0].metadata = found.committed[1].metadata = (struct tagd_str){"", 0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nothing[TAGD_OUT_CHANGE] = rows[i].no_changes;
        nothing[TAGD_OUT_DEAD_LETTER] = rows[i].no_letters;
        nothing[TAGD_OUT_CHURN] = rows[i].no_churn;
        found.outbox[0] =
            (struct tagd_outbox_entry){3, 7, 3, entry_with(&bytes, rows[i].changes, rows[i].letters, rows[i].churn)};
        found.found.n_outbox = 1;
        found.found.tail = rows[i].no_changes && rows[i].no_letters && rows[i].no_churn
                               ? (struct tagd_position){0}
                               : (struct tagd_position){true, 2, 4};
        CHECK(rows[i].known ? decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0
                            : refused(&found, "nobody knows whether it was published"));
        found.found.tail = (struct tagd_position){true, 3, 7}; /* it is there */
        CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL);
    }
    tagd_arena_free(&arena);
    tagd_buf_free(&bytes);
    shop_close(&found.shop);
}

/* Batch 1 is in the outbox still, as while outputs are held: it may have been published, if what was there is deleted. */
static void without_offsets_a_first_batch_is_in_doubt_where_retention_has_been(void)
{
    FOUND(found);
    struct tagd_buf bytes = {0};
    struct tagd_arena arena = {0};
    bool emptied[TAGD_OUTPUT_KINDS] = {false, false, false};
    found.found.arena = &arena;
    found.found.emptied = emptied;
    found.found.tail = (struct tagd_position){0};
    found.committed[0].offset = found.committed[1].offset = -1;
    found.committed[0].metadata = found.committed[1].metadata = (struct tagd_str){"", 0};
    found.head.batch = 1;
    found.head.prev_fence = 0;
    found.outbox[0] = (struct tagd_outbox_entry){3, 1, 0, entry_with(&bytes, 1, 0, 0)};
    found.found.n_outbox = 1;
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0);
    emptied[TAGD_OUT_CHANGE] = true;
    CHECK(refused(&found, "nobody knows whether it was published"));
    tagd_arena_free(&arena);
    tagd_buf_free(&bytes);
    shop_close(&found.shop);
}

/* Redis at batch 7, offsets 10 and 20; Kafka at a later one, offsets 12 and 20. */
static void behind(struct found *found)
{
    level(found);
    kafka_at(found, 4, 9);
    found->committed[0].offset = 12;
}

static void a_redis_behind_kafka_is_repaired_up_to_what_was_published(void)
{
    struct found found;
    behind(&found);
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && found.decision.k.fence == 4 && found.decision.k.batch == 9);
    CHECK(found.decision.start[0] == 10 && found.decision.to_offset[0] == 12 && found.decision.to_offset[1] == 20);
    CHECK(found.decision.to_watermark_ms == 1000 && found.decision.repair_level);
    kafka_at(&found, 2, 8); /* an older fence: Redis is another history's */
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR);
    kafka_at(&found, 4, 7); /* equal numbers under different fences */
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR);
    kafka_at(&found, 2, 7);
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR);
    found.head.next_offset[1] = 30; /* it has read further: it is repaired up to there */
    found.head.watermark_ms = 2000;
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && !found.decision.repair_level);
    CHECK(found.decision.start[1] == 30 && found.decision.to_offset[1] == 30 && found.decision.to_watermark_ms == 2000);
    shop_close(&found.shop);
}

static void what_is_missing_for_a_repair_is_said(void)
{
    struct found found;
    behind(&found);
    found.committed[0].low = 11;
    found.config.continue_on_data_gap = true; /* never passed over */
    CHECK(refused(&found, "lost its last writes; bring back a newer copy of its data, or a new \"group\""));
    CHECK(refused(&found, "the records of topic \"orders\" from offset 10 to 12 must be read again, and those before "
                          "11 are deleted"));
    found.committed[0].low = 10;
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR);
    found.committed[1].low = 25; /* nothing of this one is read again */
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && found.decision.start[1] == 25);
    found.committed[1].low = 0;
    found.committed[0].high = 11;
    CHECK(refused(&found, "topic \"orders\" ends at offset 11, and its records up to 12 were taken into account"));
    found.committed[0].high = 12;
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR);
    found.found.tail = (struct tagd_position){true, 4, 10};
    CHECK(refused(&found, "topic \"orders\" has no committed offset of that batch"));
    found.found.tail = (struct tagd_position){0};
    found.committed[1].offset = -1;
    found.committed[1].metadata = (struct tagd_str){"", 0};
    CHECK(refused(&found, "topic \"logins\" has no committed offset of that batch"));
    shop_close(&found.shop);
    behind(&found);
    found.head.next_offset[1] = -1;
    found.config.begins_at_end = true;
    CHECK(refused(&found, "nobody knows where topic \"logins\" began"));
    found.config.begins_at_end = false;
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && found.decision.start[1] == 0);
    found.config.at_least_once = true;
    CHECK(refused(&found, "(repair is for \"delivery\": \"exactly_once\")"));
    found.config.at_least_once = false;
    found.head.at_least_once = true;
    CHECK(refused(&found, "(repair is for \"delivery\": \"exactly_once\")"));
    shop_close(&found.shop);
}

static void an_emptied_redis_is_refused_unless_it_may_be_rebuilt(void)
{
    struct found found;
    behind(&found);
    found.head = (struct tagd_head){.next_offset = {-1, -1}, .watermark_ms = INT64_MIN};
    CHECK(
        refused(&found, "Redis was emptied, or it is another one; bring its data back, or run \"tagd run --rebuild\""));
    found.config.rebuild = true;
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && found.decision.start[0] == 0 && found.decision.to_offset[1] == 20);
    found.committed[1].low = 1;
    CHECK(refused(&found, "topic \"logins\" from offset 0 to 20 must be read again, and those before 1 are deleted"));
    found.committed[1].low = 0;
    found.config.begins_at_end = true;
    CHECK(refused(&found, "new shards begin at the topics' ends"));
    found.config.begins_at_end = false;
    found.config.at_least_once = true;
    CHECK(refused(&found, "(repair is for"));
    shop_close(&found.shop);
}

/* Head repairs up to offsets 12 and 20 of batch 7; the first topic was read again up to 10. */
static void repairing(struct found *found)
{
    level(found);
    found->head.repair = (struct tagd_repair){TAGD_REPAIR_REPLAYING, {12, 20}, 1000, {5, 0}};
    found->committed[0].offset = 12;
}

static void a_repair_goes_on_up_to_where_it_was_to_go(void)
{
    struct found found;
    repairing(&found);
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL && found.decision.repair_level && found.decision.start[0] == 10);
    found.head.repair.to_watermark_ms = 2000;
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL && !found.decision.repair_level);
    found.committed[0].low = 11;
    CHECK(refused(&found, "the repair isn't over"));
    found.committed[0].low = 0;
    found.committed[0].offset = 13;
    CHECK(refused(&found, "somebody reset group \"g\""));
    found.committed[0].offset = 12;
    found.config.at_least_once = true;
    CHECK(refused(&found, "its repair isn't over, and goes on only with \"delivery\": \"exactly_once\""));
    found.config.at_least_once = false;
    kafka_at(&found, 4, 8); /* Redis went back again */
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && found.decision.k.batch == 8);
    kafka_at(&found, 2, 6); /* a difference was committed and not published yet */
    found.outbox[0] = (struct tagd_outbox_entry){.fence = 3, .batch = 7, .prev_fence = 2};
    found.found.n_outbox = 1;
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0 && found.decision.repair_level);
    found.outbox[0].prev_fence = 1;
    CHECK(refused(&found, "outbox"));
    shop_close(&found.shop);
}

static void a_redis_without_state_and_outputs_without_offsets_cannot_be_rebuilt(void)
{
    FOUND(found);
    found.head = (struct tagd_head){.next_offset = {-1, -1}};
    found.committed[0] = found.committed[1] = (struct tagd_committed_topic){.offset = -1, .low = 0, .high = 100};
    found.found.tail = (struct tagd_position){true, 3, 8};
    CHECK(refused(&found, "Redis was emptied"));
    found.config.rebuild = true;
    CHECK(refused(&found, "topic \"orders\" has no committed offset of that batch"));
    shop_close(&found.shop);
}

/* Head was written at least once: Kafka may lag, and all of the outbox goes. */
static void at_least_once_all_of_the_outbox_is_sent(void)
{
    FOUND(found);
    found.head.at_least_once = true;
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL && found.decision.start[1] == 20);
    found.outbox[0] = (struct tagd_outbox_entry){.fence = 3, .batch = 6, .prev_fence = 2};
    found.outbox[1] = (struct tagd_outbox_entry){.fence = 3, .batch = 7, .prev_fence = 3};
    found.found.n_outbox = 2;
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0);
    kafka_at(&found, 2, 3); /* offsets are committed now and then: entries 4 and 5 have gone since */
    found.committed[0].offset = 4;
    found.found.tail = (struct tagd_position){true, 3, 7}; /* and a part of batch 7 was there */
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0);
    found.committed[0].offset = found.committed[1].offset = -1; /* expired, or not committed yet */
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0);
    found.found.n_outbox = 0;
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL);
    shop_close(&found.shop);
}

static void at_least_once_what_does_not_fit_is_refused(void)
{
    FOUND(found);
    found.head.at_least_once = true;
    found.outbox[0] = (struct tagd_outbox_entry){.fence = 3, .batch = 6, .prev_fence = 2};
    found.found.n_outbox = 1;
    CHECK(refused(&found, "outbox")); /* batch 7 is missing */
    found.outbox[1] = (struct tagd_outbox_entry){.fence = 3, .batch = 7, .prev_fence = 2};
    found.found.n_outbox = 2;
    CHECK(refused(&found, "outbox")); /* built on another batch 6 */
    found.found.n_outbox = 0;
    found.committed[1].offset = 19; /* of batch 7 */
    CHECK(refused(&found, "somebody reset"));
    kafka_at(&found, 3, 6);
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL);
    found.committed[1].offset = 21;
    CHECK(refused(&found, "somebody reset"));
    found.committed[1].offset = 20;
    kafka_at(&found, 3, 8);
    CHECK(refused(&found, "lost its last writes"));
    kafka_at(&found, 2, 7);
    CHECK(refused(&found, "lost its last writes"));
    kafka_at(&found, 3, 7);
    found.committed[0].metadata = (struct tagd_str){"", 0};
    CHECK(refused(&found, "tagd did not write"));
    found.head = (struct tagd_head){.next_offset = {-1, -1}};
    kafka_at(&found, 3, 7);
    CHECK(refused(&found, "Redis was emptied"));
    shop_close(&found.shop);
}

static void offsets_of_another_hand_are_refused(void)
{
    FOUND(found);
    found.committed[1].metadata = (struct tagd_str){"", 0};
    CHECK(refused(&found, "\"logins\" has a committed offset (20) that tagd did not write"));
    kafka_at(&found, 3, 7);
    found.committed[1].offset = 4;
    CHECK(refused(&found, "somebody reset"));
    shop_close(&found.shop);
}

static void another_number_of_partitions_topics_or_another_catalog_is_refused(void)
{
    FOUND(found);
    found.config.rules.partitions = 5;
    CHECK(refused(&found, "4 partitions"));
    found.config.rules.partitions = 4;
    found.config.n_topics = 1;
    CHECK(refused(&found, "source topics"));
    found.config.n_topics = 2;
    found.head.catalog_hash[0] = '?';
    CHECK(refused(&found, "catalog"));
    shop_close(&found.shop);
}

/* As an import left it: batch 0, nothing read. */
static void imported(struct found *found, bool finished)
{
    found->head.batch = found->head.prev_fence = 0;
    found->head.baseline = (struct tagd_baseline){.import = "id", .finished = finished, .before_ms = 1000};
    for (int i = 0; i < 2; i++) {
        found->head.next_offset[i] = -1;
        found->committed[i] = (struct tagd_committed_topic){.offset = -1, .low = 5, .high = 9};
    }
}

static void a_finished_import_and_nothing_in_kafka_is_a_new_shard_upon_its_baseline(void)
{
    FOUND(found);
    imported(&found, true);
    CHECK(decide(&found) == TAGD_TAKEOVER_NEW && found.decision.gaps == 0);
    CHECK(found.decision.start[0] == -1 && found.decision.start[1] == -1);
    found.config.rules.partitions = 5;
    CHECK(refused(&found, "4 partitions"));
    shop_close(&found.shop);
}

static void the_first_batch_upon_a_baseline_comes_from_the_outbox(void)
{
    FOUND(found);
    imported(&found, true);
    found.head.prev_fence = 3; /* the import's */
    found.head.fence = 4;
    found.head.batch = 1;
    found.head.next_offset[0] = 6;
    found.outbox[0] = (struct tagd_outbox_entry){.fence = 4, .batch = 1, .prev_fence = 3};
    found.found.n_outbox = 1;
    CHECK(decide(&found) == TAGD_TAKEOVER_OUTBOX && found.decision.first == 0 && found.decision.start[0] == 6);
    shop_close(&found.shop);
}

static void an_unfinished_import_is_refused_whatever_kafka_has(void)
{
    FOUND(found);
    imported(&found, false);
    CHECK(refused(&found, "run the same \"tagd import\" again"));
    kafka_at(&found, 3, 7);
    found.committed[0].offset = 10;
    CHECK(refused(&found, "run the same \"tagd import\" again"));
    shop_close(&found.shop);
}

static void a_baseline_in_redis_and_batches_in_kafka_is_refused(void)
{
    FOUND(found);
    imported(&found, true);
    found.found.tail = (struct tagd_position){true, 4, 2};
    CHECK(refused(&found, "lost its last writes"));
    kafka_at(&found, 4, 2);
    found.committed[0].offset = found.committed[1].offset = 7;
    found.committed[0].low = found.committed[1].low = 0;
    CHECK(decide(&found) == TAGD_TAKEOVER_REPAIR && found.decision.start[0] == 0); /* upon the baseline */
    shop_close(&found.shop);
}

static void a_gap_in_a_topic_is_refused_unless_it_may_be_passed_over(void)
{
    FOUND(found);
    found.committed[1].low = 21;
    CHECK(refused(&found, "1 records were deleted"));
    found.config.continue_on_data_gap = true;
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL && found.decision.gaps == 1 && found.decision.start[1] == 21 &&
          found.decision.start[0] == 10);
    found.committed[1].low = 20;
    CHECK(decide(&found) == TAGD_TAKEOVER_LEVEL && found.decision.gaps == 0);
    found.committed[0].high = 9; /* the topic was made anew */
    CHECK(refused(&found, "made anew"));
    shop_close(&found.shop);
}

static void metadata_reads_back_and_nothing_else_does(void)
{
    char text[TAGD_METADATA_MAX];
    uint64_t fence, batch;
    int64_t watermark;
    size_t n = tagd_metadata_write(text, UINT64_MAX, 12, -5);
    CHECK(tagd_metadata_read((struct tagd_str){text, n}, &fence, &batch, &watermark) && fence == UINT64_MAX &&
          batch == 12 && watermark == -5);
    n = tagd_metadata_write(text, 1, 2, INT64_MIN);
    CHECK(tagd_metadata_read((struct tagd_str){text, n}, &fence, &batch, &watermark) && watermark == INT64_MIN);
    static const char *const wrong[] = {"",       "1",      "1,2",    "1,2,",    "1,2,3x",
                                        "x1,2,3", "-1,2,3", " 1,2,3", "1,2,3,4", "1;2;3"};
    /* of another hand: they would be read as other numbers, the largest there is among them */
    static const char *const other[] = {"1,-2,3",
                                        "1, 2,3",
                                        "1,2, 3",
                                        "1,2,+3",
                                        "01,2,3",
                                        "1,02,3",
                                        "1,2,-0",
                                        "18446744073709551616,2,3",
                                        "1,2,9223372036854775808"};
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        CHECK(!tagd_metadata_read(tagd_str_of(other[i]), &fence, &batch, &watermark));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK(!tagd_metadata_read(tagd_str_of(wrong[i]), &fence, &batch, &watermark));
}

static void an_outbox_entry_reads_back_and_a_cut_one_does_not(void)
{
    struct tagd_buf bytes = {0};
    struct tagd_arena arena = {0};
    struct tagd_outbox_content content;
    tagd_outbox_begin(&bytes, 1000, 2, (const int64_t[]){-1, 77}, 3);
    tagd_outbox_add_event(&bytes, TAGD_OUT_CHANGE, TAGD_STR("c"), 0, 2);
    tagd_outbox_add_dead_letter(&bytes, 1, 5, TAGD_EVENT_MALFORMED, TAGD_STR("why"));
    tagd_outbox_add_event(&bytes, TAGD_OUT_CHURN, TAGD_STR("d"), 10, 2);
    tagd_outbox_add_text(&bytes, TAGD_STR("{}\1\5ce_id\2xy[]"));
    CHECK(tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    CHECK(content.watermark_ms == 1000 && content.n_topics == 2 && content.offset[0] == -1 && content.offset[1] == 77 &&
          content.n_outputs == 3);
    CHECK(content.outputs[0].kind == TAGD_OUT_CHANGE && tagd_str_eq(content.outputs[0].key, TAGD_STR("c")) &&
          tagd_str_eq(content.outputs[0].value, TAGD_STR("{}")));
    CHECK(content.outputs[0].headers == NULL && content.outputs[2].kind == TAGD_OUT_CHURN &&
          tagd_str_eq(content.outputs[2].key, TAGD_STR("d")) && tagd_str_eq(content.outputs[2].value, TAGD_STR("[]")) &&
          content.outputs[2].n_headers == 1 && tagd_str_eq(content.outputs[2].headers[0].name, TAGD_STR("ce_id")) &&
          tagd_str_eq(content.outputs[2].headers[0].value, TAGD_STR("xy")));
    CHECK(content.outputs[1].kind == TAGD_OUT_DEAD_LETTER && content.outputs[1].topic == 1 &&
          content.outputs[1].offset == 5 && content.outputs[1].code == TAGD_EVENT_MALFORMED &&
          tagd_str_eq(content.outputs[1].reason, TAGD_STR("why")));
    for (size_t n = 0; n < bytes.n; n++) {
        char *cut = tagd_xmalloc(n + 1); /* its own memory, so that a read past the end is seen */
        memcpy(cut, bytes.p, n);
        CHECK(!tagd_outbox_read((struct tagd_str){cut, n}, &arena, &content));
        free(cut);
    }
    for (size_t i = 0; i < bytes.n; i++) { /* any byte damaged: read or not, but never past the end */
        bytes.p[i] = (char)(bytes.p[i] ^ 0xff);
        tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content);
        bytes.p[i] = (char)(bytes.p[i] ^ 0xff);
    }
    tagd_buf_add_byte(&bytes, 0);
    CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    bytes.n = 0; /* a block of headers with a byte too many */
    tagd_outbox_begin(&bytes, 1000, 0, NULL, 1);
    tagd_outbox_add_event(&bytes, TAGD_OUT_CHANGE, TAGD_STR("d"), 11, 2);
    tagd_outbox_add_text(&bytes, TAGD_STR("\1\5ce_id\2xyz[]"));
    CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    bytes.n = 0; /* an output of a kind that there is not */
    tagd_outbox_begin(&bytes, 1000, 0, NULL, 1);
    tagd_outbox_add_event(&bytes, TAGD_OUTPUT_KINDS, TAGD_STR("d"), 0, 2);
    tagd_outbox_add_text(&bytes, TAGD_STR("[]"));
    CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    bytes.n = 0; /* an entry of the version before */
    tagd_outbox_begin(&bytes, 1000, 0, NULL, 0);
    CHECK(tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    bytes.p[0] = 3;
    CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    tagd_buf_free(&bytes);
    tagd_arena_free(&arena);
}

/* Texts on both sides of a block's size, of what packs well and of what doesn't. */
static void an_outbox_entrys_text_is_packed(void)
{
    enum { BLOCK = 256 * 1024 };
    static const size_t sizes[] = {1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 700000};
    struct tagd_buf bytes = {0}, text = {0};
    struct tagd_arena arena = {0};
    struct tagd_outbox_content content;
    uint64_t random = 1;
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i / 2];
        bytes.n = text.n = 0;
        for (size_t k = 0; k < n; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            tagd_buf_add_byte(&text, i % 2 == 0 ? 'x' : (unsigned char)(random >> 56));
        }
        tagd_outbox_begin(&bytes, 1000, 0, NULL, 1);
        tagd_outbox_add_event(&bytes, TAGD_OUT_CHANGE, TAGD_STR("c"), 0, n);
        size_t list = bytes.n;
        tagd_outbox_add_text(&bytes, (struct tagd_str){text.p, n});
        CHECK(bytes.n - list <= (i % 2 == 0 ? 32 + n / 200 : 32 + n + n / 200));
        CHECK(tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
        CHECK(content.n_outputs == 1 && tagd_str_eq(content.outputs[0].value, (struct tagd_str){text.p, n}));
        bytes.n = list; /* less text than the list says, and more */
        tagd_outbox_add_text(&bytes, (struct tagd_str){text.p, n - 1});
        CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
        bytes.n = list;
        tagd_buf_add_byte(&text, 'y');
        tagd_outbox_add_text(&bytes, (struct tagd_str){text.p, n + 1});
        CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
        tagd_arena_reset(&arena);
    }
    /* Lists that say more than any text of so many bytes comes to: no memory is asked for. */
    static const size_t too_much[][4] = {{(size_t)1 << 46, 0, 0, 0}, {0, (size_t)1 << 46, 0, 0}, {0, 5000, 0, 5000}};
    for (size_t i = 0; i < sizeof(too_much) / sizeof(too_much[0]); i++) {
        const size_t *n = too_much[i];
        bytes.n = 0;
        tagd_outbox_begin(&bytes, 1000, 0, NULL, 2);
        tagd_outbox_add_event(&bytes, TAGD_OUT_CHANGE, TAGD_STR("c"), n[0], n[1]);
        tagd_outbox_add_event(&bytes, TAGD_OUT_CHANGE, TAGD_STR("c"), n[2], n[3]);
        tagd_outbox_add_text(&bytes, TAGD_STR("xy"));
        CHECK(!tagd_outbox_read((struct tagd_str){bytes.p, bytes.n}, &arena, &content));
    }
    tagd_buf_free(&bytes);
    tagd_buf_free(&text);
    tagd_arena_free(&arena);
}

int main(void)
{
    RUN(nothing_anywhere_is_a_new_shard);
    RUN(equal_batches_go_on_at_the_heads_offsets);
    RUN(what_kafka_lacks_comes_from_the_outbox);
    RUN(outputs_say_more_than_offsets_that_expired);
    RUN(without_offsets_an_entry_is_published_only_where_it_would_be_seen);
    RUN(without_offsets_a_first_batch_is_in_doubt_where_retention_has_been);
    RUN(a_redis_behind_kafka_is_repaired_up_to_what_was_published);
    RUN(what_is_missing_for_a_repair_is_said);
    RUN(an_emptied_redis_is_refused_unless_it_may_be_rebuilt);
    RUN(a_repair_goes_on_up_to_where_it_was_to_go);
    RUN(a_redis_without_state_and_outputs_without_offsets_cannot_be_rebuilt);
    RUN(at_least_once_all_of_the_outbox_is_sent);
    RUN(at_least_once_what_does_not_fit_is_refused);
    RUN(offsets_of_another_hand_are_refused);
    RUN(another_number_of_partitions_topics_or_another_catalog_is_refused);
    RUN(a_finished_import_and_nothing_in_kafka_is_a_new_shard_upon_its_baseline);
    RUN(the_first_batch_upon_a_baseline_comes_from_the_outbox);
    RUN(an_unfinished_import_is_refused_whatever_kafka_has);
    RUN(a_baseline_in_redis_and_batches_in_kafka_is_refused);
    RUN(a_gap_in_a_topic_is_refused_unless_it_may_be_passed_over);
    RUN(metadata_reads_back_and_nothing_else_does);
    RUN(an_outbox_entry_reads_back_and_a_cut_one_does_not);
    RUN(an_outbox_entrys_text_is_packed);
    return DONE();
}
