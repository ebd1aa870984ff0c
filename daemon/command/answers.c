#include "command/answers.h"

#include "command/customer.h"
#include "command/load.h"
#include "command/page.h"
#include "command/shards.h"
#include "command/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUCK_MS 120000 /* without a step: /livez says so */

static bool is_ready(const struct run *run)
{
    for (size_t i = 0; i < run->n_workers; i++) {
        const struct tagd_io_stats *io = tagd_io_stats(run->workers[i].io);
        uint64_t running =
            __atomic_load_n(&tagd_worker_stats(run->workers[i].worker)->shards_running, __ATOMIC_RELAXED);
        if (__atomic_load_n(&io->assignments, __ATOMIC_RELAXED) == 0 ||
            running < __atomic_load_n(&io->shards_assigned, __ATOMIC_RELAXED) ||
            __atomic_load_n(&run->workers[i].finished, __ATOMIC_ACQUIRE))
            return false;
    }
    return !__atomic_load_n(&run->stopping, __ATOMIC_RELAXED);
}

static bool is_alive(const struct run *run)
{
    return tagd_run_stood_ms(run) <= STUCK_MS;
}

static void write_population(struct run *run, struct tagd_buf *body)
{
    const struct tagd_flow **flows = tagd_xcalloc(run->n_workers, sizeof(*flows));
    for (size_t i = 0; i < run->n_workers; i++)
        flows[i] = tagd_worker_flow(run->workers[i].worker);
    tagd_census_metrics(run->census, flows, run->n_workers, body);
    free(flows);
}

/* What /metrics and /v1/shards tell of, as it is now; of shards, a copy. */
static struct tagd_metrics_worker *look_at_workers(struct run *run)
{
    struct tagd_metrics_worker *workers = tagd_xcalloc(run->n_workers, sizeof(*workers));
    for (size_t i = 0; i < run->n_workers; i++) {
        struct run_worker *worker = &run->workers[i];
        pthread_mutex_lock(&worker->mutex);
        struct tagd_metrics_shard *shards = tagd_xcalloc(worker->n_shards + 1, sizeof(*shards));
        memcpy(shards, worker->shards, worker->n_shards * sizeof(*shards));
        workers[i] = (struct tagd_metrics_worker){
            tagd_worker_stats(worker->worker), tagd_io_stats(worker->io), shards, worker->n_shards,
            tagd_io_mono_ms() - __atomic_load_n(&worker->step_ms, __ATOMIC_RELAXED)};
        pthread_mutex_unlock(&worker->mutex);
    }
    return workers;
}

static void free_looked_at(struct run *run, struct tagd_metrics_worker *workers)
{
    for (size_t i = 0; i < run->n_workers; i++)
        free((void *)(uintptr_t)workers[i].shards);
    free(workers);
}

static struct tagd_metrics_info info_of(const struct run *run)
{
    return (struct tagd_metrics_info){TAGD_VERSION,
                                      run->config->group,
                                      tagd_catalog_name(run->catalog),
                                      tagd_catalog_hash(run->catalog),
                                      run->topics,
                                      run->config->n_sources,
                                      run->config->time_events,
                                      run->config->grace_ms,
                                      run->started_ms,
                                      tagd_io_wall_ms(),
                                      tagd_io_mono_ms()};
}

static void write_metrics(struct run *run, struct tagd_buf *body)
{
    struct tagd_metrics_worker *workers = look_at_workers(run);
    struct tagd_metrics_info info = info_of(run);
    tagd_metrics_write(&info, workers, run->n_workers, body);
    free_looked_at(run, workers);
    tagd_watch_metrics(run->watch, body);
    write_population(run, body);
}

static void write_shards(struct run *run, struct tagd_buf *body)
{
    struct tagd_metrics_worker *workers = look_at_workers(run);
    struct tagd_metrics_info info = info_of(run);
    tagd_shards_json(&info, run->config->instance, workers, run->n_workers, run->watch, body);
    free_looked_at(run, workers);
}

/* GET /v1/customers/{id}: what `tagd explain` says, as JSON. */
static int write_customer(const struct run *run, struct tagd_str id, struct tagd_http_reply *reply)
{
    struct tagd_customer customer;
    struct tagd_error error;
    if (id.n == 0 || id.n > TAGD_SUBJECT_MAX)
        return tagd_http_refuse(reply, 404, "no customer has such an id: it has 1 to 128 bytes");
    enum tagd_exit code = tagd_customer_open(&customer, run->config, run->catalog, id, &error);
    if (code == TAGD_EXIT_OK)
        tagd_customer_json(&customer, &reply->body);
    tagd_customer_close(&customer);
    int status = code == TAGD_EXIT_DATA ? 404 : code == TAGD_EXIT_UNAVAILABLE ? 503 : 500;
    return code == TAGD_EXIT_OK ? 200 : tagd_http_refuse(reply, status, error.text);
}

static void write_status(struct run *run, struct tagd_buf *body)
{
    struct tagd_metrics_worker *workers = look_at_workers(run);
    struct tagd_metrics_info info = info_of(run);
    tagd_status_json(run, &info, workers, body);
    free_looked_at(run, workers);
}

/* "limit", from 1 to max, and nothing else. False: the reply says what is wrong. */
static bool read_limit(const struct tagd_http_arguments *arguments, size_t max, size_t *limit,
                       struct tagd_http_reply *reply)
{
    char text[128];
    *limit = max;
    for (size_t i = 0; i < arguments->n; i++) {
        const char *value = arguments->at[i].value == NULL ? "" : arguments->at[i].value;
        size_t n = strlen(value);
        bool number = n >= 1 && n <= 3 && strspn(value, "0123456789") == n && value[0] != '0';
        *limit = number ? (size_t)strtoul(value, NULL, 10) : 0;
        if (i == 0 && strcmp(arguments->at[i].name, "limit") == 0 && *limit >= 1 && *limit <= max)
            continue;
        snprintf(text, sizeof(text), "the one argument is limit, a whole number from 1 to %zu", max);
        tagd_http_refuse(reply, 400, text);
        return false;
    }
    return true;
}

static int write_changes(struct run *run, const struct tagd_http_arguments *arguments, struct tagd_http_reply *reply)
{
    size_t limit;
    if (!read_limit(arguments, TAGD_RECENT_CHANGES_MAX, &limit, reply))
        return 400;
    tagd_buf_add_z(&reply->body, "{\"changes\":");
    tagd_recent_changes_json(run->recent, limit, &reply->body);
    tagd_buf_add_z(&reply->body, "}\n");
    return 200;
}

static int write_letters(struct run *run, const struct tagd_http_arguments *arguments, struct tagd_http_reply *reply)
{
    size_t limit;
    if (!read_limit(arguments, TAGD_RECENT_LETTERS_MAX, &limit, reply))
        return 400;
    struct tagd_metrics_worker *workers = look_at_workers(run);
    tagd_buf_add_z(&reply->body, "{\"counts\":");
    tagd_status_letters_json(workers, run->n_workers, &reply->body);
    tagd_buf_add_z(&reply->body, ",\"recent\":");
    tagd_recent_letters_json(run->recent, limit, &reply->body);
    tagd_buf_add_z(&reply->body, "}\n");
    free_looked_at(run, workers);
    return 200;
}

/* ---- which path says what ---- */

static int get_health(const struct run *run, const char *path, struct tagd_buf *body)
{
    bool live = strcmp(path, "/livez") == 0, well = live ? is_alive(run) : is_ready(run);
    tagd_buf_add_z(body, well ? "ok\n" : live ? "a worker is stuck\n" : "not every assigned shard runs yet\n");
    return well ? 200 : 503;
}

#define API "/v1/"
#define CUSTOMERS "/v1/customers/"

static int get_api(struct run *run, const char *path, const struct tagd_http_arguments *arguments,
                   struct tagd_http_reply *reply)
{
    reply->content_type = "application/json";
    if (strcmp(path, "/v1/population") == 0)
        return tagd_census_answer(run->census, arguments, &reply->body);
    if (strcmp(path, "/v1/changes") == 0)
        return write_changes(run, arguments, reply);
    if (strcmp(path, "/v1/dead-letters") == 0)
        return write_letters(run, arguments, reply);
    bool customer = strncmp(path, CUSTOMERS, sizeof(CUSTOMERS) - 1) == 0, status = strcmp(path, "/v1/status") == 0;
    if (!customer && !status && strcmp(path, "/v1/shards") != 0)
        return 404;
    if (arguments->n > 0)
        return tagd_http_refuse(reply, 400, "this path takes no arguments");
    if (customer)
        return write_customer(run, tagd_str_of(path + sizeof(CUSTOMERS) - 1), reply);
    if (status)
        write_status(run, &reply->body);
    else
        write_shards(run, &reply->body);
    return 200;
}

static const struct tagd_page_file *page_file(const char *path)
{
    for (size_t i = 0; i < tagd_n_page_files; i++)
        if (strcmp(path, tagd_page_files[i].path) == 0)
            return &tagd_page_files[i];
    return NULL;
}

static unsigned kind_of(const char *path)
{
    if (strcmp(path, "/metrics") == 0)
        return TAGD_HTTP_UNLIMITED;
    if (strcmp(path, "/livez") == 0 || strcmp(path, "/readyz") == 0)
        return TAGD_HTTP_OPEN | TAGD_HTTP_UNLIMITED;
    return page_file(path) != NULL ? TAGD_HTTP_OPEN : 0;
}

static int get(void *to, const char *path, const struct tagd_http_arguments *arguments, struct tagd_http_reply *reply)
{
    struct run *run = to;
    const struct tagd_page_file *file = page_file(path);
    if (strncmp(path, API, sizeof(API) - 1) == 0)
        return get_api(run, path, arguments, reply);
    if (strcmp(path, "/livez") == 0 || strcmp(path, "/readyz") == 0)
        return get_health(run, path, &reply->body);
    if (strcmp(path, "/metrics") == 0) {
        reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
        write_metrics(run, &reply->body);
        return 200;
    }
    if (file == NULL)
        return 404;
    reply->content_type = file->content_type;
    reply->etag = file->etag;
    reply->fixed = file->bytes;
    reply->n_fixed = file->n;
    return 200;
}

/* ---- listening ---- */

/* The text of a file that is named relative to the configuration; "": none is named. NULL: *error. */
static bool read_pem(const struct run *run, const char *name, const char *what, struct tagd_buf *out,
                     struct tagd_error *error)
{
    if (name == NULL)
        return true;
    const char *path = tagd_command_beside(&run->config->arena, run->path, name);
    bool ok = tagd_command_read_file(path, what, TAGD_HTTP_PEM_BYTES_MAX, out, error);
    tagd_buf_add_byte(out, '\0');
    return ok;
}

struct tagd_http *tagd_answers_listen(struct run *run, struct tagd_error *error)
{
    const struct tagd_config *config = run->config;
    struct tagd_buf cert = {0}, key = {0}, ca = {0};
    struct tagd_http *http = NULL;
    if (read_pem(run, config->http.cert, "a certificate (http.tls.cert)", &cert, error) &&
        read_pem(run, config->http.key, "a private key (http.tls.key)", &key, error) &&
        read_pem(run, config->http.client_ca, "certificates (http.tls.client_ca)", &ca, error)) {
        struct tagd_http_config with = {.host = config->http.host,
                                        .port = config->http.port,
                                        .token = config->http.token,
                                        .cert = cert.p,
                                        .key = key.p,
                                        .client_ca = ca.p,
                                        .rate = config->http.rate,
                                        .answer = get,
                                        .kind = kind_of,
                                        .to = run};
        http = tagd_http_new(&with, error);
    }
    if (key.p != NULL)
        explicit_bzero(key.p, key.n);
    tagd_buf_free(&cert);
    tagd_buf_free(&key);
    tagd_buf_free(&ca);
    return http;
}
