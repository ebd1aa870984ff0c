/* Kills the process at one call of librdkafka or hiredis: KILL_AT is "<function>:<before|after>:<n>", the n-th call from 1.
 * after: once the call has returned. So a test dies exactly between two steps. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

static void die_at(const char *function, const char *when, unsigned *count)
{
    const char *wanted = getenv("KILL_AT");
    char at[128];
    if (wanted == NULL)
        return;
    snprintf(at, sizeof(at), "%s:%s:%u", function, when, ++*count);
    if (strcmp(at, wanted) != 0)
        return;
    usleep(300000); /* what was handed to the client is on the broker by then */
    kill(getpid(), SIGKILL);
}

#define WRAP(function, type, parameters, arguments)                                                                    \
    type function parameters                                                                                           \
    {                                                                                                                  \
        static unsigned before, after;                                                                                 \
        die_at(#function, "before", &before);                                                                          \
        type result = ((type(*) parameters)real(#function))arguments;                                                  \
        die_at(#function, "after", &after);                                                                            \
        return result;                                                                                                 \
    }

WRAP(rd_kafka_init_transactions, rd_kafka_error_t *, (rd_kafka_t * rk, int timeout_ms), (rk, timeout_ms))
WRAP(rd_kafka_begin_transaction, rd_kafka_error_t *, (rd_kafka_t * rk), (rk))
WRAP(rd_kafka_commit_transaction, rd_kafka_error_t *, (rd_kafka_t * rk, int timeout_ms), (rk, timeout_ms))
WRAP(rd_kafka_send_offsets_to_transaction, rd_kafka_error_t *,
     (rd_kafka_t * rk, const rd_kafka_topic_partition_list_t *offsets, const rd_kafka_consumer_group_metadata_t *group,
      int timeout_ms),
     (rk, offsets, group, timeout_ms))
WRAP(rd_kafka_header_add, rd_kafka_resp_err_t,
     (rd_kafka_headers_t * headers, const char *name, ssize_t n, const void *value, ssize_t size),
     (headers, name, n, value, size)) /* of messages that are made */
