/* Prints the changes on a topic as a read_committed reader finds them, from its beginning to its end, one a line:
 * customer, level 2 of the dimension, time in ms, from, to (- is none); up to a time, and all of those behind it left out.
 *   changes BOOTSTRAP TOPIC PARTITIONS UNTIL_MS */
#include "bench.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text == NULL ? "-" : text;
}

static void print_change(struct bench_span value, int64_t until_ms)
{
    cJSON *change = cJSON_ParseWithLength(value.p, value.n);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(change, "data");
    int64_t at_ms = bench_instant(value, "time");
    const char *dimension = text_of(data, "dimension"), *level2 = strchr(dimension, '.');
    level2 = level2 != NULL ? level2 + 1 : dimension;
    if (at_ms <= until_ms)
        printf("%s\t%s\t%" PRId64 "\t%s\t%s\n", text_of(change, "subject"), level2, at_ms, text_of(data, "from"),
               text_of(data, "to"));
    cJSON_Delete(change);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        bench_die("usage: changes BOOTSTRAP TOPIC PARTITIONS UNTIL_MS");
    int partitions = (int)bench_number(argv[3], "PARTITIONS", 1), ended = 0;
    int64_t until_ms = bench_number(argv[4], "UNTIL_MS", 0);
    rd_kafka_t *consumer = bench_reader(argv[1], argv[2], partitions, RD_KAFKA_OFFSET_BEGINNING, true);
    while (ended < partitions) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 30000);
        if (message == NULL)
            bench_die("%s: nothing for 30 s", argv[2]);
        if (!message->err)
            print_change((struct bench_span){message->payload, message->len}, until_ms);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            ended++;
        else
            bench_die("%s: %s", argv[2], rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return fflush(stdout) == 0 ? 0 : 1;
}
