/* ids: customers of a file by number, in the order in which they appear. */
#ifndef TAGD_COMMAND_IDS_H
#define TAGD_COMMAND_IDS_H

#include "tagd/base.h"

struct tagd_id_slot {
    uint32_t tag;   /* bits of the hash that don't say the slot */
    uint32_t place; /* number + 1; 0: free */
};
struct tagd_ids { /* zeroed at first */
    struct tagd_arena arena;
    struct tagd_str *ids; /* by number */
    uint32_t n, cap;
    struct tagd_id_slot *slots; /* open addressing */
    uint32_t n_slots;
};
/* So that a lookup soon doesn't wait for memory: its slot; then, once that is there, where its id probably is. What isn't
 * right is only slower. The number that it probably has; n: none. */
void tagd_ids_prefetch(const struct tagd_ids *ids, uint64_t hash);
uint32_t tagd_ids_probably(const struct tagd_ids *ids, uint64_t hash);
/* The id's number, from 0; a new one gets n, which grows. */
uint32_t tagd_ids_number(struct tagd_ids *ids, struct tagd_str id, uint64_t hash); /* hash: tagd_hash64 of it */
void tagd_ids_free(struct tagd_ids *ids);

#endif
