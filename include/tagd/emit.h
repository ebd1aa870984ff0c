/* emit: a change -> the bytes of its CloudEvent: structured JSON, or in binary mode headers and data. */
#ifndef TAGD_EMIT_H
#define TAGD_EMIT_H

#include "tagd/engine.h"

struct tagd_emit {
    const struct tagd_catalog *catalog;
    const char *group;   /* source is tagd/<group> */
    const bool *carry;   /* a flag a dimension; NULL: all */
    int64_t recorded_ms; /* < 0: the change's own time (simulate) */
    bool caught_up;
    struct tagd_emit_fixed *fixed; /* what catalog, group and carry put into every change; owned */
};
/* Makes `fixed`, once catalog, group and carry are set and before the first change; and frees it. */
void tagd_emit_prepare(struct tagd_emit *emit);
void tagd_emit_free(struct tagd_emit *emit);
/* Appends one JSON object, no newline. */
void tagd_emit_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                      struct tagd_buf *out);

/* "open", "approved", ...: as the end of a proposal says it. */
const char *tagd_emit_status(enum tagd_proposal_status status);

/* ---- binary mode: the attributes as headers, data alone as the value ---- */
#define TAGD_EMIT_HEADERS_MAX 16
/* Appends the headers as one block, which emit/binary.c describes. */
void tagd_emit_headers(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                       struct tagd_buf *block);
/* Appends what is `data` in structured mode. */
void tagd_emit_data(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                    struct tagd_buf *out);
/* The headers of a block; they point into it, their array is the arena's. False: damaged. */
bool tagd_emit_headers_read(struct tagd_str block, struct tagd_arena *arena, const struct tagd_header **headers,
                            size_t *n_headers);

#endif
