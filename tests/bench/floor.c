/* What no consumer can go below: reads a topic from its beginning, with librdkafka alone or with cJSON over an arena
 * behind it. Prints {"events", "seconds", "cpu_us"} from the first record to the last.
 *   floor BOOTSTRAP TOPIC PARTITIONS EVENTS fetch|parse */
#include "bench.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define BATCH 1000

static _Alignas(16) unsigned char arena[1 << 20];
static size_t arena_used;

static void *arena_take(size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (n > sizeof(arena) - arena_used)
        return NULL;
    arena_used += n;
    return arena + arena_used - n;
}

static void arena_keep(void *p)
{
    (void)p;
}

static void parse(const rd_kafka_message_t *message)
{
    arena_used = 0;
    if (cJSON_ParseWithLength(message->payload, message->len) == NULL)
        bench_die("no JSON at %" PRId64, message->offset);
}

int main(int argc, char **argv)
{
    rd_kafka_message_t *messages[BATCH];
    cJSON_Hooks hooks = {arena_take, arena_keep};
    if (argc != 6)
        bench_die("usage: floor BOOTSTRAP TOPIC PARTITIONS EVENTS fetch|parse");
    int64_t wanted = bench_number(argv[4], "EVENTS", 1), seen = 0, began = 0, cpu = 0;
    bool parsing = strcmp(argv[5], "parse") == 0;
    rd_kafka_t *consumer =
        bench_reader(argv[1], argv[2], (int)bench_number(argv[3], "PARTITIONS", 1), RD_KAFKA_OFFSET_BEGINNING, true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    cJSON_InitHooks(&hooks);
    while (seen < wanted) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH);
        if (n > 0 && began == 0) {
            began = bench_now_us();
            cpu = bench_cpu_us();
        }
        for (ssize_t i = 0; i < n; i++) {
            bool record = !messages[i]->err;
            seen += record;
            if (record && parsing)
                parse(messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    printf("{\"events\": %" PRId64 ", \"seconds\": %.3f, \"cpu_us\": %" PRId64 "}\n", seen,
           (double)(bench_now_us() - began) / 1e6, bench_cpu_us() - cpu);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return 0;
}
