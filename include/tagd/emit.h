/* emit: a change -> the bytes of its CloudEvent (structured JSON). */
#ifndef TAGD_EMIT_H
#define TAGD_EMIT_H

#include "tagd/engine.h"

struct tagd_emit {
    const struct tagd_catalog *catalog;
    const char *group;   /* source is tagd/<group> */
    const bool *carry;   /* a flag a dimension; NULL: all */
    int64_t recorded_ms; /* < 0: the change's own time (simulate) */
    bool caught_up;
};
/* Appends one JSON object, no newline. */
void tagd_emit_change(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                      struct tagd_buf *out);

#endif
