/* Puts events, one a line on standard input, into a topic: the key is the customer, the timestamp the event's time, the
 * partition that of Java clients. Prints {"events", "seconds"}.
 *   fill BOOTSTRAP TOPIC */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *const properties[] = {
        "partitioner", "murmur2_random", "enable.idempotence",           "true",   "linger.ms", "20",
        "batch.size",  "262144",         "queue.buffering.max.messages", "200000", NULL};
    if (argc != 3)
        bench_die("usage: fill BOOTSTRAP TOPIC");
    rd_kafka_t *producer = bench_client(RD_KAFKA_PRODUCER, argv[1], properties);
    char *line = NULL;
    size_t room = 0;
    int64_t events = 0, began = bench_now_us();
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0; events++) {
        struct bench_span event = {line, (size_t)n - (line[n - 1] == '\n')};
        bench_produce(producer, argv[2], bench_member(event, "subject"), event, bench_instant(event, "time"));
        if (events % 1000 == 0)
            rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, 60000))
        bench_die("%s: not flushed within a minute", argv[2]);
    printf("{\"events\": %" PRId64 ", \"seconds\": %.2f}\n", events, (double)(bench_now_us() - began) / 1e6);
    rd_kafka_destroy(producer);
    free(line);
    return 0;
}
