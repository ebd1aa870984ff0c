/* Profiles as the store has them, of customers seen lately, so that they need not be read. An entry is of a shard and its
 * fence: whoever takes a shard over takes a new one, and what was known under an older one is gone by that. What is found
 * is as of the last commit under this fence: only what is committed may be put in. */
#ifndef TAGD_SHARD_CACHE_H
#define TAGD_SHARD_CACHE_H

#include "tagd/base.h"

struct tagd_cache;
/* Holds at most so many bytes, of its own memory too; those not seen for longest go first, about. */
struct tagd_cache *tagd_cache_new(size_t bytes_max);
void tagd_cache_free(struct tagd_cache *cache);
/* hash: tagd_hash64 of the customer. */
/* So that a lookup soon doesn't wait for memory: its slot; and, once that is there, what it leads to. */
void tagd_cache_prefetch_slot(const struct tagd_cache *cache, uint32_t shard, uint64_t hash);
void tagd_cache_prefetch_block(const struct tagd_cache *cache, uint32_t shard, uint64_t hash);
/* p NULL: it isn't there. The bytes live until something is put in. */
struct tagd_str tagd_cache_get(struct tagd_cache *cache, uint32_t shard, uint64_t fence, struct tagd_str customer,
                               uint64_t hash);
/* No bytes: the customer goes. Customers have at most TAGD_SUBJECT_MAX bytes. */
void tagd_cache_put(struct tagd_cache *cache, uint32_t shard, uint64_t fence, struct tagd_str customer, uint64_t hash,
                    struct tagd_str bytes);
size_t tagd_cache_bytes(const struct tagd_cache *cache);
size_t tagd_cache_customers(const struct tagd_cache *cache);

#endif
