#include "shard/cache.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_LEAST 1024
/* Blocks are multiples of it, and have an eighth more: a profile that grows a little stays where it is. */
#define ROUND 16
#define CACHE_LINE 64
#define BLOCK_OVERHEAD 16 /* of the allocator, about */

struct block {
    uint64_t fence;
    uint32_t shard;
    uint32_t n, room; /* bytes of the profile; of data */
    uint32_t n_customer;
    char data[]; /* the customer, then the profile */
};
struct slot {
    struct block *block; /* NULL: free */
    uint32_t hash;
    bool seen; /* since the hand passed */
};

struct tagd_cache {
    struct slot *slots; /* open addressing; a power of two of them */
    size_t n_slots, n, bytes, bytes_max;
    size_t hand; /* the next to be looked at for going */
};

struct tagd_cache *tagd_cache_new(size_t bytes_max)
{
    struct tagd_cache *cache = tagd_xcalloc(1, sizeof(*cache));
    cache->bytes_max = bytes_max;
    cache->n_slots = SLOTS_LEAST;
    cache->slots = tagd_xcalloc(cache->n_slots, sizeof(*cache->slots));
    cache->bytes = cache->n_slots * sizeof(*cache->slots);
    return cache;
}

void tagd_cache_free(struct tagd_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->n_slots; i++)
        free(cache->slots[i].block);
    free(cache->slots);
    free(cache);
}

static size_t cost_of(const struct block *block)
{
    return sizeof(*block) + block->room + BLOCK_OVERHEAD;
}

static bool is_of(const struct slot *slot, uint32_t hash, uint32_t shard, struct tagd_str customer)
{
    const struct block *block = slot->block;
    return slot->hash == hash && block->shard == shard &&
           tagd_str_eq((struct tagd_str){block->data, block->n_customer}, customer);
}

/* The customer's slot, or the free one where it would be. */
static struct slot *find(const struct tagd_cache *cache, uint32_t hash, uint32_t shard, struct tagd_str customer)
{
    size_t at = hash & (cache->n_slots - 1);
    while (cache->slots[at].block != NULL && !is_of(&cache->slots[at], hash, shard, customer))
        at = (at + 1) & (cache->n_slots - 1);
    return &cache->slots[at];
}

static uint32_t mixed(uint32_t shard, uint64_t hash)
{
    return (uint32_t)(hash >> 32) + shard;
}

/* Those behind it that would not be found any more move up. */
static void take_out(struct tagd_cache *cache, size_t at)
{
    size_t mask = cache->n_slots - 1;
    cache->bytes -= cost_of(cache->slots[at].block);
    cache->n--;
    free(cache->slots[at].block);
    for (size_t next = (at + 1) & mask; cache->slots[next].block != NULL; next = (next + 1) & mask) {
        size_t home = cache->slots[next].hash & mask;
        if (((next - home) & mask) < ((next - at) & mask))
            continue;
        cache->slots[at] = cache->slots[next];
        at = next;
    }
    cache->slots[at] = (struct slot){0};
}

/* The table has as many as it may with one more. */
static bool crowded(const struct tagd_cache *cache)
{
    return (cache->n + 1) * 4 > cache->n_slots * 3;
}

/* The hand goes round until there is room: who was seen since it passed last is left this time. */
static void make_room(struct tagd_cache *cache, size_t more)
{
    while (cache->n > 0 && (cache->bytes + more > cache->bytes_max || crowded(cache))) {
        struct slot *slot = &cache->slots[cache->hand & (cache->n_slots - 1)];
        if (slot->block != NULL && !slot->seen) {
            take_out(cache, cache->hand & (cache->n_slots - 1));
            continue; /* another one may stand there by now */
        }
        slot->seen = false;
        cache->hand++;
    }
}

static void grow(struct tagd_cache *cache)
{
    struct slot *old = cache->slots;
    size_t n_old = cache->n_slots;
    cache->n_slots *= 2;
    cache->bytes += n_old * sizeof(*old);
    cache->slots = tagd_xcalloc(cache->n_slots, sizeof(*cache->slots));
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].block == NULL)
            continue;
        size_t at = old[i].hash & (cache->n_slots - 1);
        while (cache->slots[at].block != NULL)
            at = (at + 1) & (cache->n_slots - 1);
        cache->slots[at] = old[i];
    }
    free(old);
}

void tagd_cache_prefetch_slot(const struct tagd_cache *cache, uint32_t shard, uint64_t hash)
{
    __builtin_prefetch(&cache->slots[mixed(shard, hash) & (cache->n_slots - 1)]);
}

void tagd_cache_prefetch_block(const struct tagd_cache *cache, uint32_t shard, uint64_t hash)
{
    const char *block = (const char *)cache->slots[mixed(shard, hash) & (cache->n_slots - 1)].block;
    __builtin_prefetch(block); /* NULL does no harm */
    __builtin_prefetch(block + CACHE_LINE);
}

struct tagd_str tagd_cache_get(struct tagd_cache *cache, uint32_t shard, uint64_t fence, struct tagd_str customer,
                               uint64_t hash)
{
    struct slot *slot = find(cache, mixed(shard, hash), shard, customer);
    if (slot->block == NULL || slot->block->fence != fence)
        return (struct tagd_str){NULL, 0};
    slot->seen = true;
    return (struct tagd_str){slot->block->data + slot->block->n_customer, slot->block->n};
}

static struct block *new_block(uint32_t shard, struct tagd_str customer, size_t n)
{
    size_t room = (customer.n + n + n / 8 + ROUND - 1) / ROUND * ROUND;
    struct block *block = tagd_xmalloc(sizeof(*block) + room);
    block->shard = shard;
    block->room = (uint32_t)room;
    block->n_customer = (uint32_t)customer.n;
    memcpy(block->data, customer.p, customer.n);
    return block;
}

void tagd_cache_put(struct tagd_cache *cache, uint32_t shard, uint64_t fence, struct tagd_str customer, uint64_t hash,
                    struct tagd_str bytes)
{
    uint32_t place = mixed(shard, hash);
    struct slot *slot = find(cache, place, shard, customer);
    struct block *block = slot->block;
    bool fits = block != NULL && bytes.n > 0 && customer.n + bytes.n <= block->room;
    if (!fits) {
        if (block != NULL)
            take_out(cache, (size_t)(slot - cache->slots));
        if (bytes.n == 0)
            return;
        block = new_block(shard, customer, bytes.n);
        if (crowded(cache) && cache->bytes + cost_of(block) + cache->n_slots * sizeof(*slot) <= cache->bytes_max)
            grow(cache);
        make_room(cache, cost_of(block));
        if (cache->bytes + cost_of(block) > cache->bytes_max) {
            free(block);
            return;
        }
        slot = find(cache, place, shard, customer);
        *slot = (struct slot){block, place, false};
        cache->bytes += cost_of(block);
        cache->n++;
    }
    block->fence = fence;
    block->n = (uint32_t)bytes.n;
    memcpy(block->data + customer.n, bytes.p, bytes.n);
}

size_t tagd_cache_bytes(const struct tagd_cache *cache)
{
    return cache->bytes;
}

size_t tagd_cache_customers(const struct tagd_cache *cache)
{
    return cache->n;
}
