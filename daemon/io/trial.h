/* trial: something that may kill the process is tried in a child of it. */
#ifndef TAGD_IO_TRIAL_H
#define TAGD_IO_TRIAL_H

#include "tagd/base.h"

#define TAGD_TRIAL_CALL_MS 10000                               /* one call may take so long */
#define TAGD_TRIAL_MEMORY_BYTES ((uint64_t)1024 * 1024 * 1024) /* all calls together may take so much more memory */

struct tagd_trial_limits {
    int64_t call_ms;
    uint64_t memory_bytes;
};

/* Calls run(to, i) for i from 0 to n-1 in a child process, up to the first that ends it: by a signal, by leaving it, or
 * by a limit. How many came through; if not all, *killed says what the next died of. n with *killed not empty: no child
 * can be made, and why. Blocks. The child has this thread only, and no core dump comes of it; what run uses must not
 * need other threads, and it must leave files and sockets alone. */
size_t tagd_io_trial(const struct tagd_trial_limits *limits, size_t n, void (*run)(void *to, size_t i), void *to,
                     struct tagd_error *killed);

#endif
