/* TLS of one Redis connection, by OpenSSL over a connected socket; hiredis's formats and reader stand on top of it. The
 * certificate files are read at every connection, so renewed ones need no restart.
 *
 * What is sent is encrypted into a buffer of its own and goes out in one piece; the socket is never waited on but with a
 * deadline, in either direction. Nothing here touches a socket unless it is called, so a child that a trial forks may
 * end without disturbing its parent's connection. One thread at a time. */
#ifndef TAGD_IO_REDIS_TLS_H
#define TAGD_IO_REDIS_TLS_H

#include "io/io.h"

#include <sys/types.h>

#define TAGD_REDIS_TLS_PREFIX "TLS: " /* begins what tagd_redis_tls_why says of a peer that ends the connection */

struct tagd_redis_tls;

/* Whether the files of "redis.tls" can be read and belong together; true without TLS. False: *error names key and file. */
bool tagd_redis_tls_check(const struct tagd_config *config, struct tagd_error *error);
/* The handshake, within connect_ms. place is the server's, for messages. The socket stays the caller's. Later calls wait
 * up to wait_ms without progress. NULL: *result and *error say why. */
struct tagd_redis_tls *tagd_redis_tls_open(const struct tagd_config *config, int fd, const char *place, int connect_ms,
                                           int wait_ms, enum tagd_io_result *result, struct tagd_error *error);
/* Says goodbye, as far as the socket takes it at once. NULL is fine. */
void tagd_redis_tls_close(struct tagd_redis_tls *tls);
/* All n bytes. 0, or errno: EAGAIN, the peer takes nothing in time; EPROTO, tagd_redis_tls_why has the words. */
int tagd_redis_tls_send(struct tagd_redis_tls *tls, const char *p, size_t n);
/* Up to n bytes; 0: the peer closed the connection; -1: errno, likewise. */
ssize_t tagd_redis_tls_receive(struct tagd_redis_tls *tls, char *p, size_t n);
const char *tagd_redis_tls_why(const struct tagd_redis_tls *tls);

#endif
