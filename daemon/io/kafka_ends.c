/* Asking for the ends of partitions on a thread of its own: an answer may take its time, and events don't wait for it. */
#include "io/kafka.h"

#include <pthread.h>
#include <stdlib.h>

#define CONFIRM_TIMEOUT_MS 1000

struct tagd_kafka_ends {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t asked;
    enum { ENDS_IDLE, ENDS_ASKED, ENDS_ANSWERED, ENDS_STOP } state;
    rd_kafka_t *reader;
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t err;
};

static void *answer(void *self)
{
    struct tagd_kafka_ends *ends = self;
    pthread_mutex_lock(&ends->mutex);
    while (ends->state != ENDS_STOP) {
        if (ends->state != ENDS_ASKED) {
            pthread_cond_wait(&ends->asked, &ends->mutex);
            continue;
        }
        pthread_mutex_unlock(&ends->mutex);
        rd_kafka_resp_err_t err = tagd_kafka_list_offsets(ends->reader, ends->list, -1, CONFIRM_TIMEOUT_MS);
        pthread_mutex_lock(&ends->mutex);
        ends->err = err;
        if (ends->state == ENDS_ASKED)
            ends->state = ENDS_ANSWERED;
    }
    pthread_mutex_unlock(&ends->mutex);
    return NULL;
}

static struct tagd_kafka_ends *ends_new(void)
{
    struct tagd_kafka_ends *ends = tagd_xcalloc(1, sizeof(*ends));
    pthread_mutex_init(&ends->mutex, NULL);
    pthread_cond_init(&ends->asked, NULL);
    if (pthread_create(&ends->thread, NULL, answer, ends) == 0)
        return ends;
    pthread_cond_destroy(&ends->asked);
    pthread_mutex_destroy(&ends->mutex);
    free(ends);
    return NULL;
}

bool tagd_kafka_ends_ask(struct tagd_kafka *kafka, rd_kafka_t *reader, rd_kafka_topic_partition_list_t *list)
{
    if (kafka->ends == NULL)
        kafka->ends = ends_new();
    struct tagd_kafka_ends *ends = kafka->ends;
    if (ends == NULL) {
        rd_kafka_topic_partition_list_destroy(list);
        return false;
    }
    pthread_mutex_lock(&ends->mutex);
    ends->reader = reader;
    ends->list = list;
    ends->state = ENDS_ASKED;
    pthread_cond_signal(&ends->asked);
    pthread_mutex_unlock(&ends->mutex);
    return true;
}

bool tagd_kafka_ends_answer(struct tagd_kafka *kafka, rd_kafka_topic_partition_list_t **list, rd_kafka_resp_err_t *err)
{
    struct tagd_kafka_ends *ends = kafka->ends;
    pthread_mutex_lock(&ends->mutex);
    bool answered = ends->state == ENDS_ANSWERED;
    if (answered) {
        *list = ends->list;
        *err = ends->err;
        ends->list = NULL;
        ends->state = ENDS_IDLE;
    }
    pthread_mutex_unlock(&ends->mutex);
    return answered;
}

void tagd_kafka_ends_close(struct tagd_kafka *kafka)
{
    struct tagd_kafka_ends *ends = kafka->ends;
    if (ends == NULL)
        return;
    pthread_mutex_lock(&ends->mutex);
    ends->state = ENDS_STOP;
    pthread_cond_signal(&ends->asked);
    pthread_mutex_unlock(&ends->mutex);
    pthread_join(ends->thread, NULL);
    if (ends->list != NULL)
        rd_kafka_topic_partition_list_destroy(ends->list);
    pthread_cond_destroy(&ends->asked);
    pthread_mutex_destroy(&ends->mutex);
    free(ends);
    kafka->ends = NULL;
}
