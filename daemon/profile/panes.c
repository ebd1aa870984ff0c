/* The panes of one store, and their binary form: see the head of profile.c. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "profile/chunks.h"
#include "profile/numbers.h"
#include "profile/panes.h"

void tagd_panes_free(struct tagd_panes *panes)
{
    free(panes->pane);
    free(panes->cells);
    free(panes->packed.bytes);
    free(panes->packed.sums);
}

static void panes_reserve(struct tagd_panes *panes, uint32_t n, uint32_t n_columns)
{
    if (n <= panes->cap)
        return;
    while (panes->cap < n)
        panes->cap = panes->cap ? panes->cap * 2 : 8;
    panes->pane = tagd_xrealloc(panes->pane, panes->cap * sizeof *panes->pane);
    panes->cells = tagd_xrealloc(panes->cells, (size_t)panes->cap * n_columns * sizeof *panes->cells);
}

/* ---- packed ones ---- */

void tagd_panes_unpack_all(struct tagd_panes *panes, uint32_t n_columns)
{
    struct tagd_packed *packed = &panes->packed;
    uint32_t before = packed->n;
    panes_reserve(panes, before + panes->n, n_columns);
    memmove(panes->pane + before, panes->pane, panes->n * sizeof *panes->pane);
    memmove(panes->cells + (size_t)before * n_columns, panes->cells,
            (size_t)panes->n * n_columns * sizeof *panes->cells);
    struct tagd_reader reader = {packed->bytes + packed->begin, packed->bytes + packed->end, false};
    tagd_i128 *cells = panes->cells;
    for (uint32_t i = 0; i < before; i++) {
        panes->pane[i] = i ? plus(panes->pane[i - 1], (int64_t)tagd_read_varint(&reader)) : packed->first;
        for (uint32_t c = 0; c < n_columns; c++)
            *cells++ = tagd_read_zigzag128(&reader);
    }
    assert(!reader.bad && reader.p == reader.end && panes->pane[before - 1] == packed->last);
    panes->n += before;
    packed->n = 0;
}

/* The first packed pane goes. */
static void drop_packed(struct tagd_packed *packed, uint32_t n_columns)
{
    struct tagd_reader reader = {packed->bytes + packed->begin, packed->bytes + packed->end, false};
    for (uint32_t c = 0; c < n_columns; c++)
        packed->sums[c] -= tagd_read_zigzag128(&reader);
    packed->n--;
    if (packed->n > 0)
        packed->first = plus(packed->first, (int64_t)tagd_read_varint(&reader));
    assert(!reader.bad);
    packed->begin = (uint32_t)(reader.p - packed->bytes);
}

/* ---- what happens to panes ---- */

tagd_i128 *tagd_panes_at(struct tagd_panes *panes, int64_t pane, uint32_t n_columns, uint64_t *dropped)
{
    if (panes->n > 0 && pane < panes->pane[0])
        tagd_panes_unpack(panes, n_columns);
    uint32_t i = panes->n;
    while (i > 0 && panes->pane[i - 1] > pane)
        i--;
    if (i > 0 && panes->pane[i - 1] == pane)
        return &panes->cells[(size_t)(i - 1) * n_columns];
    if (tagd_panes_count(panes) == TAGD_PROFILE_PANES_MAX) {
        ++*dropped;
        if (i == 0)
            return NULL;
        uint32_t n = panes->n;
        tagd_panes_drop(panes, tagd_panes_first(panes), n_columns);
        i -= n - panes->n;
    }
    panes_reserve(panes, panes->n + 1, n_columns);
    memmove(&panes->pane[i + 1], &panes->pane[i], (panes->n - i) * sizeof *panes->pane);
    memmove(&panes->cells[(size_t)(i + 1) * n_columns], &panes->cells[(size_t)i * n_columns],
            (size_t)(panes->n - i) * n_columns * sizeof *panes->cells);
    panes->pane[i] = pane;
    tagd_i128 *cells = &panes->cells[(size_t)i * n_columns];
    memset(cells, 0, n_columns * sizeof *cells);
    panes->n++;
    return cells;
}

void tagd_panes_drop(struct tagd_panes *panes, int64_t last, uint32_t n_columns)
{
    while (panes->packed.n > 0 && panes->packed.first <= last)
        drop_packed(&panes->packed, n_columns);
    uint32_t i = 0;
    while (i < panes->n && panes->pane[i] <= last)
        i++;
    if (i == 0)
        return;
    panes->n -= i;
    memmove(panes->pane, panes->pane + i, panes->n * sizeof *panes->pane);
    memmove(panes->cells, panes->cells + (size_t)i * n_columns, (size_t)panes->n * n_columns * sizeof *panes->cells);
}

/* ---- encode ---- */

static inline unsigned char *put_cells(unsigned char *p, const tagd_i128 *cells, uint32_t n_columns)
{
    for (uint32_t c = 0; c < n_columns; c++)
        p = put_128(p, cells[c]);
    return p;
}

/* Panes [from, to), each by its distance from the one before, which is `before` ahead of the first. */
static unsigned char *put_panes(unsigned char *p, const struct tagd_panes *panes, uint32_t from, uint32_t to,
                                int64_t before, uint32_t n_columns)
{
    for (uint32_t i = from; i < to; i++) {
        p = put(p, (uint64_t)(panes->pane[i] - before));
        p = put_cells(p, &panes->cells[(size_t)i * n_columns], n_columns);
        before = panes->pane[i];
    }
    return p;
}

static size_t most_bytes(uint32_t n, uint32_t n_columns)
{
    return n * (VARINT_BYTES + n_columns * (size_t)VARINT128_BYTES);
}

/* All but the last pane: what stands in the binary form's packed part. */
static unsigned char *put_packed(unsigned char *p, const struct tagd_panes *panes, uint32_t n_columns)
{
    const struct tagd_packed *packed = &panes->packed;
    uint32_t to = panes->n - 1;
    int64_t first = tagd_panes_first(panes), last = to ? panes->pane[to - 1] : packed->last;
    p = put(p, zigzag(first));
    p = put(p, (uint64_t)(last - first));
    for (uint32_t c = 0; c < n_columns; c++) {
        tagd_i128 sum = packed->n ? packed->sums[c] : 0;
        for (uint32_t i = 0; i < to; i++)
            sum += panes->cells[(size_t)i * n_columns + c];
        p = put_128(p, sum);
    }
    if (packed->n == 0) {
        p = put_cells(p, panes->cells, n_columns);
        return put_panes(p, panes, 1, to, first, n_columns);
    }
    memcpy(p, packed->bytes + packed->begin, packed->end - packed->begin);
    return put_panes(p + (packed->end - packed->begin), panes, 0, to, packed->last, n_columns);
}

/* How long the packed part is stands before it, and is known behind it. */
static void encode_packed(const struct tagd_panes *panes, uint32_t n_columns, struct tagd_buf *out)
{
    size_t known = panes->packed.n ? panes->packed.end - panes->packed.begin : 0;
    unsigned char *at = reserve(out, CHECKSUM_BYTES + VARINT_BYTES + known + most_bytes(panes->n + 3, n_columns));
    unsigned char *packed = at + CHECKSUM_BYTES + VARINT_BYTES;
    size_t n = (size_t)(put_packed(packed, panes, n_columns) - packed);
    tagd_put_checksum(at, packed, n, tagd_panes_count(panes));
    at = put(at + CHECKSUM_BYTES, n);
    memmove(at, packed, n);
    int64_t before = panes->n > 1 ? panes->pane[panes->n - 2] : panes->packed.last;
    written(out, put_panes(at + n, panes, panes->n - 1, panes->n, before, n_columns));
}

static void encode_plain(const struct tagd_panes *panes, uint32_t n_columns, struct tagd_buf *out)
{
    unsigned char *p = reserve(out, most_bytes(panes->n, n_columns));
    p = put(p, zigzag(panes->pane[0]));
    p = put_cells(p, panes->cells, n_columns);
    written(out, put_panes(p, panes, 1, panes->n, panes->pane[0], n_columns));
}

/* A window's sum that is below 0 in a part has to be seen as such, so that these panes stay open. */
static bool any_negative(const struct tagd_panes *panes, uint32_t n_columns)
{
    bool any = false;
    for (size_t i = 0; i < (size_t)panes->n * n_columns; i++)
        any |= panes->cells[i] < 0;
    return any;
}

void tagd_panes_encode(const struct tagd_panes *panes, const struct tagd_store *store, uint64_t step,
                       struct tagd_buf *out)
{
    uint32_t n = tagd_panes_count(panes);
    bool pack = n >= PACKED_LEAST && !(store->sums && any_negative(panes, store->n_columns));
    tagd_buf_add_varint(out, 1 + step * PANES_FEW + (n < PANES_FEW ? n - 1 : PANES_FEW - 1));
    if (n >= PANES_FEW)
        tagd_buf_add_varint(out, 2 * (uint64_t)(n - PANES_FEW) + pack);
    if (!pack)
        tagd_panes_unpack(panes, store->n_columns);
    if (pack)
        encode_packed(panes, store->n_columns, out);
    else
        encode_plain(panes, store->n_columns, out);
}

/* ---- decode ---- */

static inline void decode_cells(struct tagd_panes *panes, int64_t pane, uint32_t n_columns, struct tagd_reader *reader)
{
    tagd_i128 *cells = &panes->cells[(size_t)panes->n * n_columns];
    for (uint32_t c = 0; c < n_columns; c++)
        cells[c] = tagd_read_zigzag128(reader);
    panes->pane[panes->n++] = pane;
}

/* The pane that follows one. */
static inline void decode_next(struct tagd_panes *panes, int64_t before, uint32_t n_columns, struct tagd_reader *reader)
{
    uint64_t step = tagd_read_varint(reader);
    int64_t pane = plus(before, (int64_t)step);
    reader->bad = reader->bad || step > INT64_MAX || pane <= before;
    decode_cells(panes, pane, n_columns, reader);
}

static void keep_bytes(struct tagd_packed *packed, const struct tagd_reader *from)
{
    uint32_t n = (uint32_t)(from->end - from->p);
    if (n > packed->cap) {
        packed->cap = n + n / 2;
        free(packed->bytes);
        packed->bytes = tagd_xmalloc(packed->cap);
    }
    memcpy(packed->bytes, from->p, n);
    packed->begin = 0;
    packed->end = n;
}

/* The packed part is as it was written, or refused here: nobody can refuse it once it is unpacked. */
static void decode_packed(struct tagd_panes *panes, uint32_t n, uint32_t n_columns, struct tagd_reader *reader)
{
    struct tagd_packed *packed = &panes->packed;
    unsigned char expected[CHECKSUM_BYTES];
    struct tagd_str found = tagd_read_bytes(reader, CHECKSUM_BYTES);
    uint64_t length = tagd_read_varint(reader);
    struct tagd_str part = tagd_read_bytes(reader, length < UINT32_MAX ? (size_t)length : UINT32_MAX);
    if (reader->bad)
        return;
    struct tagd_reader within = {(const unsigned char *)part.p, (const unsigned char *)part.p + part.n, false};
    tagd_put_checksum(expected, within.p, part.n, n);
    packed->first = tagd_read_zigzag(&within);
    packed->last = plus(packed->first, (int64_t)tagd_read_varint(&within));
    if (!packed->sums)
        packed->sums = tagd_xcalloc(n_columns + 1, sizeof *packed->sums);
    for (uint32_t c = 0; c < n_columns; c++)
        packed->sums[c] = tagd_read_zigzag128(&within);
    reader->bad = memcmp(expected, found.p, CHECKSUM_BYTES) != 0 || within.bad || packed->last <= packed->first;
    if (reader->bad)
        return;
    keep_bytes(packed, &within);
    packed->n = n - 1;
    decode_next(panes, packed->last, n_columns, reader);
}

void tagd_panes_decode(struct tagd_panes *panes, const struct tagd_store *store, unsigned few,
                       struct tagd_reader *reader)
{
    uint64_t more = few == PANES_FEW - 1 ? tagd_read_varint(reader) : 0, n = few + 1 + more / 2;
    bool packed = more % 2;
    reader->bad = reader->bad || n > TAGD_PROFILE_PANES_MAX || n > (uint64_t)(reader->end - reader->p) ||
                  (packed && n < PACKED_LEAST);
    if (reader->bad)
        return;
    panes_reserve(panes, packed ? 1 : (uint32_t)n, store->n_columns);
    struct tagd_reader at = *reader;
    if (packed) {
        decode_packed(panes, (uint32_t)n, store->n_columns, &at);
    } else {
        decode_cells(panes, tagd_read_zigzag(&at), store->n_columns, &at);
        while (panes->n < n && !at.bad)
            decode_next(panes, panes->pane[panes->n - 1], store->n_columns, &at);
    }
    at.bad = at.bad || !tagd_pane_begins(&store->grid, tagd_panes_first(panes)) ||
             !tagd_pane_begins(&store->grid, panes->pane[panes->n - 1]);
    *reader = at;
}

void tagd_panes_check(const struct tagd_panes *panes, const struct tagd_store *store)
{
    const struct tagd_packed *packed = &panes->packed;
    assert(panes->n <= panes->cap && tagd_panes_count(panes) <= TAGD_PROFILE_PANES_MAX);
    for (uint32_t j = 1; j < panes->n; j++)
        assert(panes->pane[j - 1] < panes->pane[j]);
    assert(store->grid.pane_ms || panes->n <= 1);
    if (packed->n == 0)
        return;
    struct tagd_reader reader = {packed->bytes + packed->begin, packed->bytes + packed->end, false};
    int64_t pane = packed->first;
    tagd_i128 sums = 0, expected = 0;
    for (uint32_t i = 0; i < packed->n; i++) {
        pane = i ? plus(pane, (int64_t)tagd_read_varint(&reader)) : pane;
        for (uint32_t c = 0; c < store->n_columns; c++)
            sums += tagd_read_zigzag128(&reader);
    }
    for (uint32_t c = 0; c < store->n_columns; c++)
        expected += packed->sums[c];
    assert(!reader.bad && reader.p == reader.end && pane == packed->last && sums == expected);
    assert(panes->n > 0 && packed->last < panes->pane[0]);
}
