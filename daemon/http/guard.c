#include "http/guard.h"

#include <strings.h>

/* ---- who ---- */

bool tagd_guard_has_token(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    size_t n = strlen(token), given_n;
    unsigned differs = 0;
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return false;
    const char *given = authorization + sizeof(scheme) - 1;
    while (*given == ' ')
        given++;
    given_n = strlen(given);
    for (size_t i = 0; i < n; i++) /* as long, however much of it is right */
        differs |= (unsigned char)token[i] ^ (unsigned char)(i < given_n ? given[i] : '\0');
    return differs == 0 && given_n == n;
}

/* The length of a Host header's name, without ":port"; of "[v6]" with its brackets. */
static size_t name_length(const char *header)
{
    const char *close = *header == '[' ? strchr(header, ']') : NULL;
    if (close != NULL)
        return (size_t)(close - header) + 1;
    return strcspn(header, ":");
}

static bool is_name(const char *header, size_t n, const char *name)
{
    return strlen(name) == n && strncasecmp(header, name, n) == 0;
}

bool tagd_guard_names_loopback(const char *header, const char *host)
{
    if (header == NULL)
        return true;
    size_t n = name_length(header);
    const char *port = header + n;
    if (*port != '\0' && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
        return false;
    if (n > 2 && *header == '[' && strncmp(header + 1, host, n - 2) == 0 && strlen(host) == n - 2)
        return true;
    return is_name(header, n, "localhost") || is_name(header, n, "127.0.0.1") || is_name(header, n, "[::1]") ||
           is_name(header, n, host);
}

bool tagd_guard_is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 || strncmp(host, "127.", 4) == 0;
}

/* ---- how often ---- */

static bool same_address(const struct tagd_guard_address *a, const struct tagd_guard_address *b)
{
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

static struct tagd_guard_bucket *bucket_of(struct tagd_guard_rates *rates, const struct tagd_guard_address *address,
                                           int64_t full_milli, int64_t mono_ms)
{
    struct tagd_guard_bucket *oldest = &rates->buckets[0];
    for (size_t i = 0; i < rates->n; i++) {
        if (same_address(&rates->buckets[i].address, address))
            return &rates->buckets[i];
        if (rates->buckets[i].asked_ms < oldest->asked_ms)
            oldest = &rates->buckets[i];
    }
    if (rates->n < TAGD_GUARD_ADDRESSES_MAX)
        oldest = &rates->buckets[rates->n++];
    *oldest = (struct tagd_guard_bucket){*address, full_milli, mono_ms};
    return oldest;
}

int tagd_guard_take(struct tagd_guard_rates *rates, const struct tagd_guard_address *address, unsigned rate,
                    unsigned burst, int64_t mono_ms)
{
    int64_t full = (int64_t)burst * 1000;
    struct tagd_guard_bucket *bucket = bucket_of(rates, address, full, mono_ms);
    int64_t passed_ms = mono_ms - bucket->asked_ms;
    bucket->left_milli = passed_ms >= full / rate ? full : bucket->left_milli + passed_ms * rate;
    if (bucket->left_milli > full)
        bucket->left_milli = full;
    bucket->asked_ms = mono_ms;
    if (bucket->left_milli < 1000)
        return (int)((1000 - bucket->left_milli + (int64_t)rate * 1000 - 1) / ((int64_t)rate * 1000));
    bucket->left_milli -= 1000;
    return 0;
}

/* ---- connections ---- */

int tagd_guard_make_room(const struct tagd_guard_connection *connections, size_t n,
                         const struct tagd_guard_address *address, size_t of_address, size_t all)
{
    size_t n_all = 0, n_address = 0;
    int oldest = -2, oldest_of_address = -2;
    for (size_t i = 0; i < n; i++) {
        const struct tagd_guard_connection *at = &connections[i];
        if (!at->used || at->leaving)
            continue;
        bool same = same_address(&at->address, address);
        n_all++;
        n_address += same;
        if (at->asking)
            continue;
        if (oldest < 0 || at->since_ms < connections[oldest].since_ms)
            oldest = (int)i;
        if (same && (oldest_of_address < 0 || at->since_ms < connections[oldest_of_address].since_ms))
            oldest_of_address = (int)i;
    }
    if (n_address >= of_address)
        return oldest_of_address;
    return n_all >= all ? oldest : -1;
}

bool tagd_guard_is_overdue(const struct tagd_guard_connection *connection, int64_t mono_ms, int64_t head_ms,
                           int64_t answer_ms)
{
    return connection->used && !connection->leaving &&
           mono_ms - connection->since_ms >= (connection->asking ? answer_ms : head_ms);
}
