/* Preloaded into the daemon (LD_PRELOAD), this makes workers stand still inside a call of librdkafka's for as long as the file
 * that TAGD_STAND names is there, as send_offsets_to_transaction can past its timeout. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

ssize_t rd_kafka_consume_batch_queue(void *queue, int timeout_ms, void **messages, size_t n);
ssize_t rd_kafka_consume_batch_queue(void *queue, int timeout_ms, void **messages, size_t n)
{
    ssize_t (*consume)(void *, int, void **, size_t) =
        (ssize_t(*)(void *, int, void **, size_t))dlsym(RTLD_NEXT, "rd_kafka_consume_batch_queue");
    while (access(getenv("TAGD_STAND"), F_OK) == 0)
        usleep(10000);
    return consume(queue, timeout_ms, messages, n);
}
