#include "io/redis_tls.h"

#include "io/certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PIECE_BYTES (64 * 1024)       /* encrypted at once */
#define OUT_BYTES (256 * 1024)        /* encrypted, not sent yet: more is sent before it grows */
#define READ_AHEAD_BYTES (128 * 1024) /* taken from the socket at once */

struct tagd_redis_tls {
    int fd, wait_ms;
    SSL_CTX *context;
    SSL *ssl;
    BIO_METHOD *method;
    struct tagd_buf out; /* encrypted, not sent yet */
    int failed;          /* errno of the socket; 0: none */
    bool broken;         /* nothing more can be said to the peer */
    char why[256];
};

/* ---- the socket ---- */

static bool await(int fd, short events, int64_t until_ms)
{
    int64_t left_ms = until_ms - tagd_io_mono_ms();
    struct pollfd look = {.fd = fd, .events = events};
    if (left_ms <= 0)
        return false;
    return poll(&look, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms) != 0; /* an error shows in the call after it */
}

/* Sends what is encrypted, as long as some of it goes out every wait_ms. 0, or errno. */
static int flush(struct tagd_redis_tls *tls, int64_t wait_ms)
{
    int64_t until_ms = tagd_io_mono_ms() + wait_ms;
    size_t at = 0;
    int failed = tls->failed;
    while (at < tls->out.n && failed == 0) {
        ssize_t n = send(tls->fd, tls->out.p + at, tls->out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            at += (size_t)n;
            until_ms = tagd_io_mono_ms() + wait_ms;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            failed = await(tls->fd, POLLOUT, until_ms) ? 0 : EAGAIN;
        } else if (errno != EINTR) {
            failed = errno;
        }
    }
    tls->out.n = 0;
    tls->failed = failed;
    return failed;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tagd_redis_tls *tls = BIO_get_data(bio);
    tagd_buf_add(&tls->out, p, (size_t)n);
    return n;
}

static int bio_read(BIO *bio, char *p, int n)
{
    struct tagd_redis_tls *tls = BIO_get_data(bio);
    ssize_t got;
    BIO_clear_retry_flags(bio);
    do
        got = recv(tls->fd, p, (size_t)n, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    else if (got < 0)
        tls->failed = errno;
    else if (got == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)got;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)number, (void)p;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH; /* what is written is sent by whoever waits for an answer */
}

static BIO *bio_new(struct tagd_redis_tls *tls)
{
    tls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tagd");
    if (tls->method == NULL)
        return NULL;
    BIO_meth_set_write(tls->method, bio_write);
    BIO_meth_set_read(tls->method, bio_read);
    BIO_meth_set_ctrl(tls->method, bio_ctrl);
    BIO *bio = BIO_new(tls->method);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- the files ---- */

/* The first of the errors is the cause, the others are of whom it met. */
static const char *reason_text(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    return text == NULL ? "no reason is given" : text;
}

/* Why a file can't be used: one that can't be opened is told as such, whatever is made of that later. */
static const char *file_reason(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return strerror(errno);
    fclose(file);
    return reason_text();
}

/* A key with a passphrase is refused: nobody is there to be asked. */
static int no_passphrase(char *p, int n, int writes, void *to)
{
    (void)p, (void)n, (void)writes, (void)to;
    return -1;
}

static bool use_ca(SSL_CTX *context, const struct tagd_config *config, struct tagd_error *error)
{
    const char *ca = config->redis.tls.ca;
    if (!config->redis.tls.verify)
        return true;
    if (ca == NULL)
        return SSL_CTX_set_default_verify_paths(context) == 1 ||
               tagd_fail(error, "the system's CAs can't be read: %s; give \"redis.tls.ca\"", reason_text());
    return SSL_CTX_load_verify_file(context, ca) == 1 ||
           tagd_fail(error, "at /redis/tls/ca: \"%s\" can't be used: %s; expected certificates of CAs in PEM", ca,
                     file_reason(ca));
}

static bool use_own(SSL_CTX *context, const struct tagd_config *config, struct tagd_error *error)
{
    const char *cert = config->redis.tls.cert, *key = config->redis.tls.key;
    if (cert == NULL)
        return true;
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return tagd_fail(error, "at /redis/tls/cert: \"%s\" can't be used: %s; expected our certificate in PEM", cert,
                         file_reason(cert));
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        unsigned long code = ERR_peek_error();
        bool others = ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH;
        return others
                   ? tagd_fail(error,
                               "at /redis/tls/key: \"%s\" is not the key of the certificate \"%s\"; give the two "
                               "that belong together",
                               key, cert)
                   : tagd_fail(error,
                               "at /redis/tls/key: \"%s\" can't be used: %s; expected that certificate's key in PEM, "
                               "without a passphrase",
                               key, file_reason(key));
    }
    return true;
}

static SSL_CTX *context_new(const struct tagd_config *config, struct tagd_error *error)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        tagd_fail(error, "TLS can't begin: %s", reason_text());
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_verify(context, config->redis.tls.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (use_ca(context, config, error) && use_own(context, config, error))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

bool tagd_redis_tls_check(const struct tagd_config *config, struct tagd_error *error)
{
    if (!config->redis.tls.on)
        return true;
    SSL_CTX *context = context_new(config, error);
    SSL_CTX_free(context);
    return context != NULL;
}

/* ---- the handshake ---- */

static const char *server_name(const struct tagd_config *config)
{
    return config->redis.tls.server_name != NULL ? config->redis.tls.server_name : config->redis.host;
}

/* Whom the certificate must be for: a name, which is also asked for (SNI), or an IP address. */
static bool expect(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1)
        return true;
    ERR_clear_error();
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

static void distrusted(const struct tagd_config *config, int verdict, const char *place, struct tagd_error *error)
{
    const char *text = tagd_certificate_text(verdict), *ca = config->redis.tls.ca;
    switch (tagd_certificate_fault(verdict)) {
    case TAGD_CERTIFICATE_OTHER_NAME:
        tagd_fail(error,
                  "the certificate of Redis at %s is not for \"%s\" (%s); connect by a name that stands in it, set "
                  "\"redis.tls.server_name\" to one, or give Redis a certificate for this one",
                  place, server_name(config), text);
        return;
    case TAGD_CERTIFICATE_EXPIRED:
        tagd_fail(error, "the certificate of Redis at %s, or its CA's, has expired; renew it", place);
        return;
    case TAGD_CERTIFICATE_EARLY:
        tagd_fail(error, "the certificate of Redis at %s is not valid yet; is this machine's clock right?", place);
        return;
    case TAGD_CERTIFICATE_UNKNOWN_CA:
        tagd_fail(error,
                  "the certificate of Redis at %s is signed by none of the CAs in %s (%s); set \"redis.tls.ca\" to the "
                  "file of the CA that signed it",
                  place, ca == NULL ? "the system's store" : ca, text);
        return;
    case TAGD_CERTIFICATE_BAD:
        tagd_fail(error, "the certificate of Redis at %s can't be trusted: %s; give Redis another one", place, text);
    }
}

/* What a peer's alert, or its silence about TLS, comes to. */
static const char *peer_reason(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "it may want a certificate of ours: set \"redis.tls.cert\" and \"redis.tls.key\"";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        return "correct \"redis.tls.cert\": it must be valid, and signed by a CA that Redis knows";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL: return "let Redis speak TLS 1.2 or later";
    default: return "see Redis's log";
    }
}

static bool is_alert(unsigned long code)
{
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET;
}

static enum tagd_io_result handshake_failed(struct tagd_redis_tls *tls, const struct tagd_config *config, bool late,
                                            const char *place, struct tagd_error *error)
{
    unsigned long code = ERR_peek_error();
    long verdict = SSL_get_verify_result(tls->ssl);
    if (late || tls->failed != 0 || code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        tagd_fail(error,
                  "what serves at %s doesn't answer to TLS: %s; let Redis speak TLS there (tls-port), or correct "
                  "\"redis.url\" (\"redis://\" is without TLS)",
                  place,
                  late               ? "no answer in time"
                  : tls->failed != 0 ? strerror(tls->failed)
                                     : "Server closed the connection");
        return TAGD_IO_UNREACHABLE;
    }
    if (config->redis.tls.verify && verdict != X509_V_OK) {
        distrusted(config, (int)verdict, place, error);
        return TAGD_IO_CONFIG;
    }
    if (is_alert(code) || ERR_GET_REASON(code) == SSL_R_UNSUPPORTED_PROTOCOL) {
        tagd_fail(error, "Redis at %s refuses our TLS: %s; %s", place, reason_text(), peer_reason(code));
        return TAGD_IO_CONFIG;
    }
    tagd_fail(error,
              "what serves at %s doesn't speak TLS: %s; let Redis speak TLS there (tls-port), or correct \"redis.url\" "
              "(\"redis://\" is without TLS)",
              place, reason_text());
    return TAGD_IO_UNREACHABLE;
}

static bool prepare(struct tagd_redis_tls *tls, const char *name, struct tagd_error *error)
{
    tls->ssl = SSL_new(tls->context);
    BIO *bio = tls->ssl == NULL ? NULL : bio_new(tls);
    if (bio == NULL)
        return tagd_fail(error, "TLS can't begin: %s", reason_text());
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    return expect(tls->ssl, name) || tagd_fail(error,
                                               "\"%s\" can't be a server's name for TLS; correct "
                                               "\"redis.tls.server_name\"",
                                               name);
}

struct tagd_redis_tls *tagd_redis_tls_open(const struct tagd_config *config, int fd, const char *place, int connect_ms,
                                           int wait_ms, enum tagd_io_result *result, struct tagd_error *error)
{
    int64_t until_ms = tagd_io_mono_ms() + connect_ms;
    struct tagd_redis_tls *tls = tagd_xcalloc(1, sizeof(*tls));
    *tls = (struct tagd_redis_tls){.fd = fd, .wait_ms = wait_ms, .broken = true};
    *result = TAGD_IO_CONFIG;
    tls->context = context_new(config, error);
    if (tls->context == NULL || !prepare(tls, server_name(config), error)) {
        tagd_redis_tls_close(tls);
        return NULL;
    }
    for (;;) {
        ERR_clear_error();
        int done = SSL_do_handshake(tls->ssl);
        int next = SSL_get_error(tls->ssl, done);
        bool late = flush(tls, until_ms - tagd_io_mono_ms()) == EAGAIN;
        if (done == 1 && !late && tls->failed == 0)
            break;
        late = late || (next == SSL_ERROR_WANT_READ && tls->failed == 0 && !await(fd, POLLIN, until_ms));
        if (next == SSL_ERROR_WANT_READ && tls->failed == 0 && !late)
            continue;
        *result = handshake_failed(tls, config, late, place, error);
        tagd_redis_tls_close(tls);
        return NULL;
    }
    tls->broken = false;
    return tls;
}

void tagd_redis_tls_close(struct tagd_redis_tls *tls)
{
    if (tls == NULL)
        return;
    if (!tls->broken && tls->failed == 0 && SSL_shutdown(tls->ssl) >= 0)
        flush(tls, 0);
    ERR_clear_error();
    SSL_free(tls->ssl);
    BIO_meth_free(tls->method);
    SSL_CTX_free(tls->context);
    tagd_buf_free(&tls->out);
    free(tls);
}

/* ---- what is said and heard ---- */

static int broke(struct tagd_redis_tls *tls, int next)
{
    unsigned long code = ERR_peek_error();
    tls->broken = true; /* OpenSSL: nothing may be sent after SSL_ERROR_SSL or SSL_ERROR_SYSCALL */
    if (next == SSL_ERROR_SYSCALL && tls->failed != 0)
        return tls->failed;
    snprintf(tls->why, sizeof(tls->why), TAGD_REDIS_TLS_PREFIX "%s%s%s", reason_text(), is_alert(code) ? "; " : "",
             is_alert(code) ? peer_reason(code) : "");
    ERR_clear_error();
    return EPROTO;
}

/* A peer that won't have us says so, in TLS 1.3 after the handshake, and closes while we send. */
static int last_words(struct tagd_redis_tls *tls, int failed)
{
    char first;
    size_t got;
    ERR_clear_error();
    int done = SSL_peek_ex(tls->ssl, &first, 1, &got), next = SSL_get_error(tls->ssl, done);
    return next == SSL_ERROR_SSL && is_alert(ERR_peek_error()) ? broke(tls, next) : failed;
}

int tagd_redis_tls_send(struct tagd_redis_tls *tls, const char *p, size_t n)
{
    int failed = 0;
    for (size_t at = 0; at < n && failed == 0;) {
        size_t some = n - at < PIECE_BYTES ? n - at : PIECE_BYTES, written = 0;
        ERR_clear_error();
        if (SSL_write_ex(tls->ssl, p + at, some, &written) != 1)
            return broke(tls, SSL_get_error(tls->ssl, 0));
        at += written;
        if (at == n || tls->out.n >= OUT_BYTES)
            failed = flush(tls, tls->wait_ms);
    }
    return failed == EPIPE || failed == ECONNRESET ? last_words(tls, failed) : failed;
}

ssize_t tagd_redis_tls_receive(struct tagd_redis_tls *tls, char *p, size_t n)
{
    int64_t until_ms = tagd_io_mono_ms() + tls->wait_ms;
    for (;;) {
        size_t got = 0;
        ERR_clear_error();
        int done = SSL_read_ex(tls->ssl, p, n, &got), next = SSL_get_error(tls->ssl, done);
        int failed = tls->out.n == 0 ? 0 : flush(tls, tls->wait_ms); /* TLS's own answer to what came */
        if (done == 1)
            return (ssize_t)got; /* a failed flush shows in the next call */
        if (next == SSL_ERROR_ZERO_RETURN || ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            tls->broken = true;
            return 0;
        }
        if (next != SSL_ERROR_WANT_READ)
            errno = broke(tls, next);
        else if (failed != 0)
            errno = failed;
        else if (await(tls->fd, POLLIN, until_ms))
            continue;
        else
            errno = EAGAIN;
        return -1;
    }
}

const char *tagd_redis_tls_why(const struct tagd_redis_tls *tls)
{
    return tls->why;
}
