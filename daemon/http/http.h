/* http: a small server for on-call, in threads of its own: GET and HEAD. What a path says is its user's; who may ask, how
 * much and how fast is decided here. What is refused under /v1 says so as {"error": "..."}, elsewhere as a line of text. */
#ifndef TAGD_HTTP_H
#define TAGD_HTTP_H

#include "tagd/base.h"

/* Named limits of a client. */
#define TAGD_HTTP_ARGUMENTS_MAX 16              /* of a request; more are 400 */
#define TAGD_HTTP_URL_MAX 2048                  /* bytes of path and arguments as sent; longer is 414 */
#define TAGD_HTTP_HEAD_MAX 8192                 /* bytes of the head's lines together; larger is 431 */
#define TAGD_HTTP_CONNECTIONS_MAX 64            /* at once; of one address: */
#define TAGD_HTTP_CONNECTIONS_OF_ADDRESS_MAX 32 /* for more, the one that has waited longest without a request goes */
#define TAGD_HTTP_HEAD_MS 10000                 /* a request's head must have come by then */
#define TAGD_HTTP_ANSWER_MS 60000               /* and its answer have been taken by then */
#define TAGD_HTTP_IDLE_S 10                     /* a connection on which nothing moves is closed */
#define TAGD_HTTP_BURST 5                       /* seconds' worth of requests that an address may send at once */
#define TAGD_HTTP_PEM_BYTES_MAX (256 * 1024)    /* of a certificate or key */

struct tagd_http_arguments { /* what stands behind the "?", decoded; a value may be NULL */
    size_t n;
    struct {
        const char *name, *value;
    } at[TAGD_HTTP_ARGUMENTS_MAX];
};

struct tagd_http_reply {
    struct tagd_buf body;
    const char *content_type; /* static text; else it is plain text */
    /* What never changes, in place of body: static bytes, which a browser may keep and ask about. etag: with its quotes. */
    const unsigned char *fixed;
    size_t n_fixed;
    const char *etag;
};

/* Fills in the reply; returns the status, 404 for a path it doesn't know. A thread of the request's own: several may answer
 * at once, and one that waits for a server holds up no other. The path is UTF-8 without control characters. */
typedef int (*tagd_http_answer)(void *to, const char *path, const struct tagd_http_arguments *arguments,
                                struct tagd_http_reply *reply);

/* Of a path: */
#define TAGD_HTTP_OPEN 1u      /* anybody may ask: neither token nor client certificate is wanted */
#define TAGD_HTTP_UNLIMITED 2u /* requests don't count against the rate: scrapes and probes */

struct tagd_http_config {
    const char *host;       /* a numeric address, or "localhost" */
    int port;               /* 0 takes a free one */
    const char *token;      /* NULL: none is wanted */
    const char *cert, *key; /* PEM texts; NULL: no TLS */
    const char *client_ca;  /* PEM text; NULL: no client certificate is wanted */
    unsigned rate;          /* requests a second of an address */
    tagd_http_answer answer;
    unsigned (*kind)(const char *path); /* TAGD_HTTP_OPEN and _UNLIMITED; called from any thread */
    void *to;
};

struct tagd_http;
/* Listens. What the configuration points to is copied, or static. NULL: *error says why. */
struct tagd_http *tagd_http_new(const struct tagd_http_config *config, struct tagd_error *error);
int tagd_http_port(const struct tagd_http *http);
void tagd_http_free(struct tagd_http *http); /* waits for answers under way; NULL is fine */

/* {"error": "..."} into the body, and its content type; returns the status. */
int tagd_http_refuse(struct tagd_http_reply *reply, int status, const char *text);

#endif
