#include "http/http.h"

#include <microhttpd.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 64
#define CONNECTION_TIMEOUT_S 10
#define THREADS 4 /* an answer may wait for Redis, and /livez not for that */

struct tagd_http {
    struct MHD_Daemon *daemon;
    tagd_http_answer answer;
    void *to;
};

static enum MHD_Result on_argument(void *to, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct tagd_http_arguments *arguments = to;
    (void)kind;
    if (arguments->n < TAGD_HTTP_ARGUMENTS_MAX) {
        arguments->at[arguments->n].name = name;
        arguments->at[arguments->n].value = value;
    }
    arguments->n++;
    return MHD_YES;
}

static enum MHD_Result on_request(void *opaque, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **request)
{
    static int begun;
    const struct tagd_http *http = opaque;
    struct tagd_buf body = {0};
    struct tagd_http_arguments arguments = {0};
    const char *content_type = "text/plain; charset=utf-8";
    int status;
    (void)version, (void)upload;
    if (*request == NULL) { /* the headers; the answer comes with the next call */
        *request = &begun;
        return MHD_YES;
    }
    if (*upload_size != 0) { /* a body isn't looked at */
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        tagd_buf_add_z(&body, "only GET and HEAD\n");
    } else {
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_argument, &arguments);
        bool many = arguments.n > TAGD_HTTP_ARGUMENTS_MAX;
        if (many)
            tagd_buf_add_z(&body, "too many arguments\n");
        status = many ? MHD_HTTP_BAD_REQUEST : http->answer(http->to, url, &arguments, &body, &content_type);
    }
    if (body.n == 0)
        tagd_buf_add_z(&body, status == MHD_HTTP_NOT_FOUND ? "not found\n" : "\n");
    struct MHD_Response *response = MHD_create_response_from_buffer(body.n, body.p, MHD_RESPMEM_MUST_COPY);
    tagd_buf_free(&body);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static bool address_of(const char *host, int port, struct sockaddr_storage *address, bool *v6)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof(*address));
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    *v6 = inet_pton(AF_INET, host, &in4->sin_addr) != 1;
    if (!*v6) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons((uint16_t)port);
        return true;
    }
    memset(address, 0, sizeof(*address));
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
}

struct tagd_http *tagd_http_new(const char *host, int port, tagd_http_answer answer, void *to, struct tagd_error *error)
{
    struct sockaddr_storage address;
    bool v6;
    if (!address_of(host, port, &address, &v6)) {
        tagd_fail(error, "\"http.listen\" wants a numeric address, as in \"127.0.0.1:9464\", found \"%s\"", host);
        return NULL;
    }
    struct tagd_http *http = tagd_xcalloc(1, sizeof(*http));
    http->answer = answer;
    http->to = to;
    errno = 0;
    http->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | (v6 ? MHD_USE_IPv6 : 0u), (uint16_t)port,
        NULL, NULL, on_request, http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_END);
    if (http->daemon != NULL)
        return http;
    tagd_fail(error, "can't listen on %s:%d: %s; choose another \"http.listen\", or \"off\"", host, port,
              strerror(errno));
    free(http);
    return NULL;
}

int tagd_http_port(const struct tagd_http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info == NULL ? 0 : info->port;
}

void tagd_http_free(struct tagd_http *http)
{
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
