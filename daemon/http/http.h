/* http: a small server for on-call, in threads of its own: GET and HEAD. What a path says is its user's. */
#ifndef TAGD_HTTP_H
#define TAGD_HTTP_H

#include "tagd/base.h"

#define TAGD_HTTP_ARGUMENTS_MAX 16 /* of a request; more are 400 */
struct tagd_http_arguments {       /* what stands behind the "?", decoded; a value may be NULL */
    size_t n;
    struct {
        const char *name, *value;
    } at[TAGD_HTTP_ARGUMENTS_MAX];
};
/* Writes the body and the content type (static text); returns the status, 404 for a path it doesn't know. A thread of the
 * request's own: several may answer at once, and one that waits for a server holds up no other. */
typedef int (*tagd_http_answer)(void *to, const char *path, const struct tagd_http_arguments *arguments,
                                struct tagd_buf *body, const char **content_type);

struct tagd_http;
/* Listens on a numeric address; port 0 takes a free one. NULL: *error says why. */
struct tagd_http *tagd_http_new(const char *host, int port, tagd_http_answer answer, void *to,
                                struct tagd_error *error);
int tagd_http_port(const struct tagd_http *http);
void tagd_http_free(struct tagd_http *http); /* waits for answers under way; NULL is fine */

#endif
