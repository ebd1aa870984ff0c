#include "metrics/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of /proc/self/statm: resident pages. */
static int64_t resident_bytes(void)
{
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    int n = file == NULL ? 0 : fscanf(file, "%ld %ld", &total, &resident);
    if (file != NULL)
        fclose(file);
    return n == 2 ? (int64_t)resident * sysconf(_SC_PAGESIZE) : 0;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void tagd_metrics_process(const struct tagd_metrics_info *info, struct tagd_buf *out)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    tagd_metrics_head(out, "process_cpu_seconds_total", "Processor time used.", "counter");
    tagd_buf_printf(out, "process_cpu_seconds_total %.3f\n", seconds(usage.ru_utime) + seconds(usage.ru_stime));
    tagd_metrics_head(out, "process_resident_memory_bytes", "Resident memory.", "gauge");
    tagd_buf_printf(out, "process_resident_memory_bytes %" PRId64 "\n", resident_bytes());
    tagd_metrics_head(out, "process_start_time_seconds", "When the process started, as Unix time.", "gauge");
    tagd_buf_printf(out, "process_start_time_seconds %.3f\n", (double)info->started_ms / 1000);
}
