#include "command/answers.h"

#include "command/customer.h"
#include "command/run.h"
#include "command/shards.h"

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
    int64_t now = tagd_io_mono_ms();
    for (size_t i = 0; i < run->n_workers; i++)
        if (now - __atomic_load_n(&run->workers[i].step_ms, __ATOMIC_RELAXED) > STUCK_MS)
            return false;
    return true;
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
static int write_customer(const struct run *run, struct tagd_str id, struct tagd_buf *body)
{
    struct tagd_customer customer;
    struct tagd_error error;
    enum tagd_exit code = tagd_customer_open(&customer, run->config, run->catalog, id, &error);
    if (code == TAGD_EXIT_OK) {
        tagd_customer_json(&customer, body);
    } else {
        tagd_buf_add_z(body, "{\"error\":");
        tagd_buf_add_json(body, tagd_str_of(error.text));
        tagd_buf_add_z(body, "}\n");
    }
    tagd_customer_close(&customer);
    return code == TAGD_EXIT_OK ? 200 : code == TAGD_EXIT_DATA ? 404 : code == TAGD_EXIT_UNAVAILABLE ? 503 : 500;
}

#define CUSTOMERS "/v1/customers/"

int tagd_answers_get(void *to, const char *path, const struct tagd_http_arguments *arguments, struct tagd_buf *body,
                     const char **content_type)
{
    struct run *run = to;
    if (strcmp(path, "/metrics") == 0) {
        *content_type = "text/plain; version=0.0.4; charset=utf-8";
        write_metrics(run, body);
        return 200;
    }
    if (strcmp(path, "/livez") == 0) {
        bool alive = is_alive(run);
        tagd_buf_add_z(body, alive ? "ok\n" : "a worker is stuck\n");
        return alive ? 200 : 503;
    }
    if (strcmp(path, "/readyz") == 0) {
        bool ready = is_ready(run);
        tagd_buf_add_z(body, ready ? "ok\n" : "not every assigned shard runs yet\n");
        return ready ? 200 : 503;
    }
    if (strncmp(path, CUSTOMERS, sizeof(CUSTOMERS) - 1) == 0 && path[sizeof(CUSTOMERS) - 1] != '\0') {
        *content_type = "application/json";
        return write_customer(run, tagd_str_of(path + sizeof(CUSTOMERS) - 1), body);
    }
    if (strcmp(path, "/v1/shards") == 0) {
        *content_type = "application/json";
        write_shards(run, body);
        return 200;
    }
    if (strcmp(path, "/v1/population") == 0) {
        *content_type = "application/json";
        return tagd_census_answer(run->census, arguments, body);
    }
    return 404;
}
