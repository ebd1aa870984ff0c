#include "command/ids.h"

#include <stdlib.h>

static void rehash(struct tagd_ids *ids)
{
    ids->n_slots = ids->n_slots ? ids->n_slots * 2 : 1024;
    free(ids->slots);
    ids->slots = tagd_xcalloc(ids->n_slots, sizeof *ids->slots);
    for (uint32_t i = 0; i < ids->n; i++) {
        uint64_t hash = tagd_hash64(ids->ids[i]);
        uint32_t slot = (uint32_t)hash & (ids->n_slots - 1);
        while (ids->slots[slot].place)
            slot = (slot + 1) & (ids->n_slots - 1);
        ids->slots[slot] = (struct tagd_id_slot){(uint32_t)(hash >> 32), i + 1};
    }
}

void tagd_ids_prefetch(const struct tagd_ids *ids, uint64_t hash)
{
    if (ids->n_slots)
        __builtin_prefetch(&ids->slots[(uint32_t)hash & (ids->n_slots - 1)]);
}

uint32_t tagd_ids_probably(const struct tagd_ids *ids, uint64_t hash)
{
    if (!ids->n_slots)
        return ids->n;
    struct tagd_id_slot slot = ids->slots[(uint32_t)hash & (ids->n_slots - 1)];
    if (!slot.place || slot.tag != (uint32_t)(hash >> 32))
        return ids->n;
    __builtin_prefetch(&ids->ids[slot.place - 1]);
    return slot.place - 1;
}

uint32_t tagd_ids_number(struct tagd_ids *ids, struct tagd_str id, uint64_t hash)
{
    if (ids->n * 2 >= ids->n_slots)
        rehash(ids);
    uint32_t slot = (uint32_t)hash & (ids->n_slots - 1);
    while (ids->slots[slot].place) {
        struct tagd_id_slot found = ids->slots[slot];
        if (found.tag == (uint32_t)(hash >> 32) && tagd_str_eq(ids->ids[found.place - 1], id))
            return found.place - 1;
        slot = (slot + 1) & (ids->n_slots - 1);
    }
    if (ids->n == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 256;
        ids->ids = tagd_xrealloc(ids->ids, ids->cap * sizeof *ids->ids);
    }
    ids->ids[ids->n] = tagd_arena_copy(&ids->arena, id.p, id.n);
    ids->slots[slot] = (struct tagd_id_slot){(uint32_t)(hash >> 32), ++ids->n};
    return ids->n - 1;
}

void tagd_ids_free(struct tagd_ids *ids)
{
    free(ids->ids);
    free(ids->slots);
    tagd_arena_free(&ids->arena);
}
