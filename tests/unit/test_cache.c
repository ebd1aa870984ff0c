#include "shard/cache.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tagd_str customer(uint32_t i)
{
    static char text[16];
    int n = snprintf(text, sizeof text, "c%u", i);
    return (struct tagd_str){text, (size_t)n};
}

static struct tagd_str get(struct tagd_cache *cache, uint32_t shard, uint64_t fence, struct tagd_str of)
{
    tagd_cache_prefetch_slot(cache, shard, tagd_hash64(of));
    tagd_cache_prefetch_block(cache, shard, tagd_hash64(of));
    return tagd_cache_get(cache, shard, fence, of, tagd_hash64(of));
}

static void put(struct tagd_cache *cache, uint32_t shard, uint64_t fence, struct tagd_str of, struct tagd_str bytes)
{
    tagd_cache_put(cache, shard, fence, of, tagd_hash64(of), bytes);
}

static bool holds(struct tagd_cache *cache, uint64_t fence, uint32_t i, const char *bytes)
{
    struct tagd_str found = get(cache, 2, fence, customer(i));
    return bytes == NULL ? found.p == NULL : tagd_str_eq(found, tagd_str_of(bytes));
}

static void what_is_put_in_is_found_under_its_fence_alone(void)
{
    struct tagd_cache *cache = tagd_cache_new(1 << 20);
    put(cache, 2, 7, customer(1), TAGD_STR("one"));
    CHECK(holds(cache, 7, 1, "one") && holds(cache, 7, 2, NULL));
    CHECK(holds(cache, 8, 1, NULL) && holds(cache, 6, 1, NULL));
    CHECK(get(cache, 3, 7, customer(1)).p == NULL); /* of the same name in another shard */
    put(cache, 3, 7, customer(1), TAGD_STR("another"));
    CHECK(holds(cache, 7, 1, "one"));
    put(cache, 3, 7, customer(1), (struct tagd_str){NULL, 0});
    put(cache, 2, 8, customer(1), TAGD_STR("newer"));
    CHECK(holds(cache, 8, 1, "newer") && holds(cache, 7, 1, NULL));
    CHECK(tagd_cache_customers(cache) == 1);
    put(cache, 2, 8, customer(1), (struct tagd_str){NULL, 0});
    CHECK(holds(cache, 8, 1, NULL) && tagd_cache_customers(cache) == 0);
    tagd_cache_free(cache);
}

static void a_profile_that_grows_and_shrinks_is_whole(void)
{
    struct tagd_cache *cache = tagd_cache_new(1 << 20);
    char bytes[600];
    memset(bytes, 'x', sizeof bytes);
    for (size_t n = 1; n < sizeof bytes; n += 7) {
        size_t size = n % 2 ? n : sizeof bytes - n;
        put(cache, 2, 1, customer(3), (struct tagd_str){bytes, size});
        CHECK(get(cache, 2, 1, customer(3)).n == size);
    }
    tagd_cache_free(cache);
}

/* Against an array, with few places and many customers that come and go. */
static void it_never_holds_more_bytes_than_it_may_nor_what_was_not_put_in(void)
{
    enum { CUSTOMERS = 3000, LIMIT = 100 * 1024 };
    struct tagd_cache *cache = tagd_cache_new(LIMIT);
    uint32_t *last = calloc(CUSTOMERS, sizeof *last), found = 0, random = 1;
    for (uint32_t round = 1; round <= 60000; round++) {
        random = random * 1664525u + 1013904223u;
        uint32_t i = (random >> 8) % CUSTOMERS;
        char bytes[64], known[64];
        memset(bytes, ' ', sizeof bytes);
        memset(known, ' ', sizeof known);
        snprintf(known, sizeof known, "%u", last[i]);
        struct tagd_str got = get(cache, 2, 5, customer(i));
        found += got.p != NULL;
        CHECK(got.p == NULL || (last[i] != 0 && got.n == 11 + last[i] % 50 && memcmp(got.p, known, 11) == 0));
        bool goes = (random >> 4) % 16 == 0;
        snprintf(bytes, sizeof bytes, "%u", round);
        put(cache, 2, 5, customer(i), (struct tagd_str){bytes, goes ? 0 : 11 + round % 50});
        last[i] = goes ? 0 : round;
        CHECK(tagd_cache_bytes(cache) <= LIMIT);
    }
    CHECK(found > 10000);
    tagd_cache_free(cache);
    free(last);
}

static void those_that_are_asked_for_stay(void)
{
    struct tagd_cache *cache = tagd_cache_new(64 * 1024);
    char bytes[100] = {0};
    for (uint32_t i = 0; i < 5000; i++) {
        put(cache, 2, 1, customer(i), (struct tagd_str){bytes, sizeof bytes});
        CHECK(get(cache, 2, 1, customer(0)).p != NULL);
    }
    CHECK(get(cache, 2, 1, customer(1)).p == NULL && get(cache, 2, 1, customer(4999)).p != NULL);
    tagd_cache_free(cache);
}

static void one_without_room_for_a_profile_holds_none(void)
{
    struct tagd_cache *cache = tagd_cache_new(1);
    put(cache, 2, 1, customer(1), TAGD_STR("one"));
    CHECK(holds(cache, 1, 1, NULL) && tagd_cache_customers(cache) == 0);
    tagd_cache_free(cache);
}

static size_t customers_within(size_t bytes_max)
{
    struct tagd_cache *cache = tagd_cache_new(bytes_max);
    for (uint32_t i = 1; i <= 9; i++)
        put(cache, 2, 1, customer(i), TAGD_STR("bytes"));
    size_t n = tagd_cache_customers(cache);
    CHECK(n == 0 || holds(cache, 1, 9, "bytes")); /* the last one has the place of another */
    tagd_cache_free(cache);
    return n;
}

static void it_is_filled_to_the_last_byte_and_no_further(void)
{
    struct tagd_cache *cache = tagd_cache_new(1 << 20);
    size_t empty = tagd_cache_bytes(cache);
    put(cache, 2, 1, customer(1), TAGD_STR("bytes"));
    size_t one = tagd_cache_bytes(cache) - empty;
    tagd_cache_free(cache);
    CHECK(customers_within(empty + one) == 1 && customers_within(empty + one - 1) == 0);
    CHECK(customers_within(empty + 4 * one) == 4 && customers_within(empty + 4 * one - 1) == 3);
}

static void what_finds_the_profiles_counts_too(void)
{
    struct tagd_cache *cache = tagd_cache_new(64 << 20);
    size_t empty = tagd_cache_bytes(cache), one = 0;
    for (uint32_t i = 10000; i < 20000; i++) {
        put(cache, 2, 1, customer(i), TAGD_STR("bytes"));
        one = one == 0 ? tagd_cache_bytes(cache) - empty : one;
    }
    CHECK(tagd_cache_customers(cache) == 10000 && tagd_cache_bytes(cache) > empty + 10000 * (one + sizeof(void *)));
    tagd_cache_free(cache);
}

static void customers_of_one_hash_are_told_apart(void)
{
    struct tagd_cache *cache = tagd_cache_new(1 << 20);
    const uint64_t hash = UINT64_C(7) << 32, before = UINT64_C(6) << 32; /* of a shard one further the same place */
    tagd_cache_put(cache, 2, 1, TAGD_STR("a"), hash, TAGD_STR("one"));
    tagd_cache_put(cache, 2, 1, TAGD_STR("b"), hash, TAGD_STR("two"));
    tagd_cache_put(cache, 3, 1, TAGD_STR("a"), before, TAGD_STR("three"));
    CHECK(tagd_cache_customers(cache) == 3);
    CHECK(tagd_str_eq(tagd_cache_get(cache, 2, 1, TAGD_STR("a"), hash), TAGD_STR("one")));
    CHECK(tagd_str_eq(tagd_cache_get(cache, 2, 1, TAGD_STR("b"), hash), TAGD_STR("two")));
    CHECK(tagd_str_eq(tagd_cache_get(cache, 3, 1, TAGD_STR("a"), before), TAGD_STR("three")));
    tagd_cache_free(cache);
}

int main(void)
{
    RUN(what_is_put_in_is_found_under_its_fence_alone);
    RUN(a_profile_that_grows_and_shrinks_is_whole);
    RUN(it_never_holds_more_bytes_than_it_may_nor_what_was_not_put_in);
    RUN(those_that_are_asked_for_stay);
    RUN(one_without_room_for_a_profile_holds_none);
    RUN(it_is_filled_to_the_last_byte_and_no_further);
    RUN(what_finds_the_profiles_counts_too);
    RUN(customers_of_one_hash_are_told_apart);
    return DONE();
}
