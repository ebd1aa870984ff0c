/* Who may ask over HTTP, and how often: decisions without I/O, of what http.c has at hand. Not locked. */
#ifndef TAGD_HTTP_GUARD_H
#define TAGD_HTTP_GUARD_H

#include "tagd/base.h"

/* An address of a client. Of IPv6 the first 64 bits: the rest is one household's to choose. */
struct tagd_guard_address {
    uint8_t bytes[8];
    uint8_t n; /* 4 or 8 */
};

/* Whether an Authorization header ("Bearer <token>"; NULL: none) has the token. Takes as long whatever is wrong with it. */
bool tagd_guard_has_token(const char *authorization, const char *token);

/* Whether a Host header is one that names a server at this loopback address, with any port: localhost, 127.0.0.1, [::1] or
 * the host that is listened on. A page of another site whose name was bound to 127.0.0.1 sends its own name. NULL: true,
 * since browsers always send one. */
bool tagd_guard_names_loopback(const char *header, const char *host);
/* Whether only this host reaches it. */
bool tagd_guard_is_loopback(const char *host);

/* ---- requests a second, by address ---- */
#define TAGD_GUARD_ADDRESSES_MAX 256 /* that are remembered; for another one, the one that asked longest ago goes */

struct tagd_guard_bucket {
    struct tagd_guard_address address;
    int64_t left_milli; /* thousandths of a request that it may send at once */
    int64_t asked_ms;
};
struct tagd_guard_rates {
    struct tagd_guard_bucket buckets[TAGD_GUARD_ADDRESSES_MAX];
    size_t n;
};
/* Takes one request of the address. 0: it may; else, in how many seconds it may. rate: a second, > 0; burst: at once;
 * mono_ms: never goes back. */
int tagd_guard_take(struct tagd_guard_rates *rates, const struct tagd_guard_address *address, unsigned rate,
                    unsigned burst, int64_t mono_ms);

/* ---- connections ---- */

struct tagd_guard_connection {
    bool used;
    int fd;
    struct tagd_guard_address address;
    bool asking;      /* a request's head has come, its answer isn't taken yet */
    bool leaving;     /* it was told to go */
    int64_t since_ms; /* it waits for a request, or its answer to be taken, since then */
};
/* Which of n connections has to go so that one more of the address may come: at or past `of_address` of it, or `all` of all,
 * the one that has waited longest without a request. -1: none has to. -2: none can; the new one must not come. */
int tagd_guard_make_room(const struct tagd_guard_connection *connections, size_t n,
                         const struct tagd_guard_address *address, size_t of_address, size_t all);
/* Whether it has been waited for too long. */
bool tagd_guard_is_overdue(const struct tagd_guard_connection *connection, int64_t mono_ms, int64_t head_ms,
                           int64_t answer_ms);

#endif
