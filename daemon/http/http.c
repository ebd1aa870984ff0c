#include "http/http.h"

#include "http/guard.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MEMORY_BYTES 65536 /* a connection's, for the head: past it the library itself says 431 */
#define SPARE 8            /* connections that were told to go may take a moment */
#define SLOTS (TAGD_HTTP_CONNECTIONS_MAX + 2 * SPARE) /* more than the library lets in */
#define LOOK_MS 500

/* Nothing but our own, and nobody may put it into a frame. */
#define POLICY                                                                                                         \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "   \
    "form-action 'none'; frame-ancestors 'none'"

struct tagd_http {
    struct MHD_Daemon *daemon;
    struct tagd_http_config config;
    char *host, *token, *cert, *key, *client_ca; /* copies that config points to */
    bool loopback;
    pthread_t thread; /* looks for connections that are slow */
    bool started;
    pthread_cond_t wake;
    pthread_mutex_t mutex; /* of what follows */
    bool stopping;
    struct tagd_guard_rates rates;
    struct tagd_guard_connection connections[SLOTS];
};

/* Of one request, from its first line to the end of its answer. */
struct request {
    size_t url_bytes; /* as it was sent */
    bool has_nul;
    bool begun;
};

static int64_t mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- connections ---- */

static struct tagd_guard_address address_of(const struct sockaddr *address)
{
    struct tagd_guard_address out = {.n = 4};
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(in6);
        out.n = mapped ? 4 : 8;
        memcpy(out.bytes, in6->s6_addr + (mapped ? 12 : 0), out.n);
    } else if (address->sa_family == AF_INET) {
        memcpy(out.bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out.n);
    }
    return out;
}

static struct tagd_guard_address address_of_connection(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return address_of(info->client_addr);
}

/* Its own thread meets the end of the stream, and ends it. */
static void tell_to_go(struct tagd_guard_connection *connection)
{
    connection->leaving = true;
    shutdown(connection->fd, SHUT_RDWR);
}

/* Before a connection is taken. */
static enum MHD_Result on_accept(void *to, const struct sockaddr *from, socklen_t n)
{
    struct tagd_http *http = to;
    struct tagd_guard_address address = address_of(from);
    (void)n;
    pthread_mutex_lock(&http->mutex);
    int gone = tagd_guard_make_room(http->connections, SLOTS, &address, TAGD_HTTP_CONNECTIONS_OF_ADDRESS_MAX,
                                    TAGD_HTTP_CONNECTIONS_MAX);
    if (gone >= 0)
        tell_to_go(&http->connections[gone]);
    pthread_mutex_unlock(&http->mutex);
    return gone == -2 ? MHD_NO : MHD_YES;
}

static void begin_connection(struct tagd_http *http, struct MHD_Connection *connection, void **slot)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; i < SLOTS; i++) {
        struct tagd_guard_connection *at = &http->connections[i];
        if (at->used)
            continue;
        *at = (struct tagd_guard_connection){true,  info->connect_fd, address_of_connection(connection), false,
                                             false, mono_ms()};
        *slot = at;
        return;
    }
}

static void on_connection(void *to, struct MHD_Connection *connection, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct tagd_http *http = to;
    pthread_mutex_lock(&http->mutex);
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        begin_connection(http, connection, slot);
    else if (*slot != NULL)
        ((struct tagd_guard_connection *)*slot)->used = false;
    pthread_mutex_unlock(&http->mutex);
}

/* A request's head has come whole; or its answer is taken, and another request may come. */
static void set_asking(struct tagd_http *http, struct MHD_Connection *connection, bool asking)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct tagd_guard_connection *at = info == NULL ? NULL : info->socket_context;
    if (at == NULL)
        return;
    pthread_mutex_lock(&http->mutex);
    at->asking = asking;
    at->since_ms = mono_ms();
    pthread_mutex_unlock(&http->mutex);
}

static void *look_on(void *to)
{
    struct tagd_http *http = to;
    pthread_mutex_lock(&http->mutex);
    while (!http->stopping) {
        struct timespec until;
        int64_t now = mono_ms(), next = now + LOOK_MS;
        for (size_t i = 0; i < SLOTS; i++)
            if (tagd_guard_is_overdue(&http->connections[i], now, TAGD_HTTP_HEAD_MS, TAGD_HTTP_ANSWER_MS))
                tell_to_go(&http->connections[i]);
        until = (struct timespec){next / 1000, next % 1000 * 1000000};
        pthread_cond_timedwait(&http->wake, &http->mutex, &until);
    }
    pthread_mutex_unlock(&http->mutex);
    return NULL;
}

/* ---- refusing ---- */

int tagd_http_refuse(struct tagd_http_reply *reply, int status, const char *text)
{
    reply->content_type = "application/json";
    tagd_buf_add_z(&reply->body, "{\"error\":");
    tagd_buf_add_json(&reply->body, tagd_str_of(text));
    tagd_buf_add_z(&reply->body, "}\n");
    return status;
}

static bool is_api(const char *path)
{
    return strcmp(path, "/v1") == 0 || strncmp(path, "/v1/", 4) == 0;
}

static int refuse(const char *path, struct tagd_http_reply *reply, int status, const char *text)
{
    if (is_api(path))
        return tagd_http_refuse(reply, status, text);
    tagd_buf_add_z(&reply->body, text);
    tagd_buf_add_byte(&reply->body, '\n');
    return status;
}

static enum MHD_Result on_header(void *to, enum MHD_ValueKind kind, const char *name, const char *value)
{
    size_t *bytes = to;
    (void)kind;
    *bytes += strlen(name) + (value == NULL ? 0 : strlen(value)) + 4; /* ": " and the line's end */
    return MHD_YES;
}

static bool is_plain(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    return tagd_utf8_valid(text, strlen(text));
}

/* 0: it is as large as it may be, and comes from where it may. */
static int check_form(struct tagd_http *http, struct MHD_Connection *connection, const struct request *request,
                      const char *path, struct tagd_http_reply *reply)
{
    size_t head = request->url_bytes;
    if (request->url_bytes > TAGD_HTTP_URL_MAX)
        return refuse(path, reply, MHD_HTTP_URI_TOO_LONG, "the URL has more than 2048 bytes");
    MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, &head);
    if (head > TAGD_HTTP_HEAD_MAX)
        return refuse(path, reply, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                      "the request's head has more than 8192 bytes");
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (http->loopback && !tagd_guard_names_loopback(host, http->host))
        return refuse(path, reply, MHD_HTTP_FORBIDDEN,
                      "the Host header names another server; ask for localhost or 127.0.0.1");
    if (request->has_nul || !is_plain(path))
        return refuse(path, reply, MHD_HTTP_BAD_REQUEST, "the path has a control character, or is no UTF-8");
    return 0;
}

/* 0: the address has not asked too often. */
static int check_rate(struct tagd_http *http, struct MHD_Connection *connection, const char *path,
                      struct tagd_http_reply *reply, int *retry_s)
{
    struct tagd_guard_address address = address_of_connection(connection);
    if ((http->config.kind(path) & TAGD_HTTP_UNLIMITED) != 0)
        return 0;
    pthread_mutex_lock(&http->mutex);
    *retry_s =
        tagd_guard_take(&http->rates, &address, http->config.rate, http->config.rate * TAGD_HTTP_BURST, mono_ms());
    pthread_mutex_unlock(&http->mutex);
    return *retry_s == 0 ? 0
                         : refuse(path, reply, MHD_HTTP_TOO_MANY_REQUESTS,
                                  "this address asks more often than \"http.requests_per_second\" allows");
}

static bool has_certificate(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status;
    return info != NULL &&
           gnutls_certificate_verify_peers(info->tls_session, &purpose, 1, &status) == GNUTLS_E_SUCCESS && status == 0;
}

/* 0: whoever asks may ask for this. */
static int check_right(struct tagd_http *http, struct MHD_Connection *connection, const char *path,
                       struct tagd_http_reply *reply)
{
    if ((http->config.kind(path) & TAGD_HTTP_OPEN) != 0)
        return 0;
    if (http->client_ca != NULL && !has_certificate(connection))
        return refuse(path, reply, MHD_HTTP_FORBIDDEN,
                      "a client certificate is wanted that \"http.tls.client_ca\" has signed");
    if (http->token != NULL &&
        !tagd_guard_has_token(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
                              http->token))
        return refuse(path, reply, MHD_HTTP_UNAUTHORIZED,
                      "the header \"Authorization: Bearer <http.token>\" is missing, or has another token");
    return 0;
}

static bool is_get(const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

/* ---- answering ---- */

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

static int answer(struct tagd_http *http, struct MHD_Connection *connection, const char *path,
                  struct tagd_http_reply *reply)
{
    struct tagd_http_arguments arguments = {0};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_argument, &arguments);
    if (arguments.n > TAGD_HTTP_ARGUMENTS_MAX)
        return refuse(path, reply, MHD_HTTP_BAD_REQUEST, "more than 16 arguments");
    for (size_t i = 0; i < arguments.n; i++)
        if (!is_plain(arguments.at[i].name) || (arguments.at[i].value != NULL && !is_plain(arguments.at[i].value)))
            return refuse(path, reply, MHD_HTTP_BAD_REQUEST, "an argument has a control character, or is no UTF-8");
    int status = http->config.answer(http->config.to, path, &arguments, reply);
    if (reply->body.n == 0 && reply->fixed == NULL)
        refuse(path, reply, status, status == MHD_HTTP_NOT_FOUND ? "there is nothing at this path" : "no answer");
    return status;
}

/* What there is to say, status included; *retry_s: when to come again, 0: whenever. */
static int status_of(struct tagd_http *http, struct MHD_Connection *connection, const struct request *request,
                     const char *path, const char *method, struct tagd_http_reply *reply, int *retry_s)
{
    int status = check_form(http, connection, request, path, reply);
    if (status == 0)
        status = check_rate(http, connection, path, reply, retry_s);
    if (status == 0)
        status = check_right(http, connection, path, reply);
    if (status == 0 && !is_get(method))
        status = refuse(path, reply, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    if (status == 0 && has_body(connection))
        status = refuse(path, reply, MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here");
    return status == 0 ? answer(http, connection, path, reply) : status;
}

static void add_headers(struct MHD_Response *response, int status, const struct tagd_http_reply *reply, int retry_s)
{
    char seconds[TAGD_INTEGER_TEXT + 1];
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            reply->content_type == NULL ? "text/plain; charset=utf-8" : reply->content_type);
    MHD_add_response_header(response, "Content-Security-Policy", POLICY);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, reply->etag == NULL ? "no-store" : "no-cache");
    if (reply->etag != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, reply->etag);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (retry_s > 0) {
        seconds[tagd_i64_format(retry_s, seconds)] = '\0';
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
}

/* The browser has it as it is. */
static bool is_kept(struct MHD_Connection *connection, const struct tagd_http_reply *reply)
{
    const char *kept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    return reply->etag != NULL && kept != NULL && strcmp(kept, reply->etag) == 0;
}

static enum MHD_Result reply_to(struct MHD_Connection *connection, int status, struct tagd_http_reply *reply,
                                int retry_s)
{
    struct MHD_Response *response;
    if (status == MHD_HTTP_OK && is_kept(connection, reply)) {
        status = MHD_HTTP_NOT_MODIFIED;
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else if (reply->fixed != NULL) {
        response =
            MHD_create_response_from_buffer(reply->n_fixed, (void *)(uintptr_t)reply->fixed, MHD_RESPMEM_PERSISTENT);
    } else {
        response = MHD_create_response_from_buffer(reply->body.n, reply->body.p, MHD_RESPMEM_MUST_COPY);
    }
    tagd_buf_free(&reply->body);
    if (response == NULL)
        return MHD_NO;
    add_headers(response, status, reply, retry_s);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

/* The request's first line, as it was sent. */
static void *on_line(void *to, const char *url, struct MHD_Connection *connection)
{
    struct request *request = tagd_xcalloc(1, sizeof(*request));
    (void)to, (void)connection;
    request->url_bytes = strlen(url);
    request->has_nul = strstr(url, "%00") != NULL;
    return request;
}

static void on_completed(void *to, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    free(*request);
    *request = NULL;
    set_asking(to, connection, false);
}

static enum MHD_Result on_request(void *to, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **opaque)
{
    struct tagd_http *http = to;
    struct request *request = *opaque;
    struct tagd_http_reply reply = {0};
    int retry_s = 0;
    (void)version, (void)upload;
    if (request == NULL)
        return MHD_NO;
    if (!request->begun) {
        request->begun = true;
        set_asking(http, connection, true);
        if (!has_body(connection)) /* the answer comes with the next call */
            return MHD_YES;
    }
    *upload_size = 0;
    int status = status_of(http, connection, request, path, method, &reply, &retry_s);
    return reply_to(connection, status, &reply, retry_s);
}

/* ---- from start to end ---- */

static bool socket_address_of(const char *host, int port, struct sockaddr_storage *address, bool *v6)
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

static gnutls_datum_t datum_of(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* Whether the texts are what they should be: the library only says that it can't start. */
static bool check_tls(const struct tagd_http_config *config, struct tagd_error *error)
{
    gnutls_certificate_credentials_t credentials;
    int result = GNUTLS_E_SUCCESS;
    const char *what = "\"http.tls.cert\" and \"http.tls.key\" don't serve";
    if (config->cert == NULL)
        return true;
    gnutls_datum_t cert = datum_of(config->cert), key = datum_of(config->key);
    if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
        return tagd_fail(error, "no memory for TLS");
    result = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (result >= 0 && config->client_ca != NULL) {
        gnutls_datum_t ca = datum_of(config->client_ca);
        what = "\"http.tls.client_ca\" doesn't serve";
        result = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
        if (result == 0)
            result = GNUTLS_E_NO_CERTIFICATE_FOUND;
    }
    gnutls_certificate_free_credentials(credentials);
    return result >= 0 ||
           tagd_fail(error, "%s: %s; name PEM files, a key without a password", what, gnutls_strerror(result));
}

static bool start(struct tagd_http *http, const struct sockaddr_storage *address, bool v6)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, http->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, http->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {http->client_ca == NULL ? MHD_OPTION_END : MHD_OPTION_HTTPS_MEM_TRUST, 0, http->client_ca},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    /* By poll(): select() knows no descriptor past FD_SETSIZE, and clients of Kafka may have as many before us. */
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    flags |= (v6 ? MHD_USE_IPv6 : 0u) | (http->cert != NULL ? MHD_USE_TLS : 0u);
    errno = 0;
    http->daemon = MHD_start_daemon(flags, (uint16_t)http->config.port, on_accept, http, on_request, http,
                                    MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)address, MHD_OPTION_CONNECTION_LIMIT,
                                    (unsigned)(TAGD_HTTP_CONNECTIONS_MAX + SPARE), MHD_OPTION_CONNECTION_TIMEOUT,
                                    (unsigned)TAGD_HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                    (size_t)MEMORY_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_URI_LOG_CALLBACK,
                                    on_line, http, MHD_OPTION_ARRAY, http->cert != NULL ? tls : none, MHD_OPTION_END);
    return http->daemon != NULL;
}

struct tagd_http *tagd_http_new(const struct tagd_http_config *config, struct tagd_error *error)
{
    struct sockaddr_storage address;
    pthread_condattr_t monotonic;
    bool v6;
    if (!socket_address_of(config->host, config->port, &address, &v6)) {
        tagd_fail(error, "\"http.listen\" wants a numeric address, as in \"127.0.0.1:9464\", found \"%s\"",
                  config->host);
        return NULL;
    }
    if (!check_tls(config, error))
        return NULL;
    struct tagd_http *http = tagd_xcalloc(1, sizeof(*http));
    http->config = *config;
    http->host = tagd_xstrdup(config->host);
    http->token = tagd_xstrdup(config->token);
    http->cert = tagd_xstrdup(config->cert);
    http->key = tagd_xstrdup(config->key);
    http->client_ca = tagd_xstrdup(config->client_ca);
    http->loopback = tagd_guard_is_loopback(config->host);
    pthread_mutex_init(&http->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!start(http, &address, v6)) {
        tagd_fail(error, "can't listen on %s:%d: %s; choose another \"http.listen\", or \"off\"", config->host,
                  config->port, strerror(errno));
        tagd_http_free(http);
        return NULL;
    }
    http->started = pthread_create(&http->thread, NULL, look_on, http) == 0;
    if (http->started)
        return http;
    tagd_fail(error, "a thread can't be started");
    tagd_http_free(http);
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
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    pthread_mutex_lock(&http->mutex);
    http->stopping = true;
    pthread_cond_signal(&http->wake);
    pthread_mutex_unlock(&http->mutex);
    if (http->started)
        pthread_join(http->thread, NULL);
    pthread_cond_destroy(&http->wake);
    pthread_mutex_destroy(&http->mutex);
    free(http->host);
    free(http->token);
    free(http->cert);
    free(http->key);
    free(http->client_ca);
    free(http);
}
