#include "command/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define STATUS_MS 5000        /* between two lines for people */
#define FEEDS 4               /* in a watchdog's time */
#define START_EXTRA_MS 10000  /* beyond what a step of the start says */
#define STOP_EXTEND_MS 10000  /* each time, */
#define STOP_EXTENDED_MS 1000 /* and so often */

void tagd_service_harden(bool core_dumps)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!core_dumps)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void tagd_service_begin(struct tagd_service *service)
{
    uint64_t usec = 0;
    *service = (struct tagd_service){0};
    if (sd_watchdog_enabled(0, &usec) > 0)
        service->watchdog_ms = (int64_t)(usec / 1000);
}

void tagd_service_starting(int64_t next_ms)
{
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRId64, (next_ms + START_EXTRA_MS) * 1000);
}

void tagd_service_ready(struct tagd_service *service, int64_t now_ms)
{
    sd_notify(0, "READY=1");
    service->fed_ms = now_ms; /* the watchdog's time begins here */
}

void tagd_service_status(struct tagd_service *service, const char *status, int64_t now_ms)
{
    if (strcmp(status, service->status) == 0 || (service->told_ms != 0 && now_ms - service->told_ms < STATUS_MS))
        return;
    snprintf(service->status, sizeof(service->status), "%s", status);
    service->told_ms = now_ms;
    sd_notifyf(0, "STATUS=%s", service->status);
}

void tagd_service_feed(struct tagd_service *service, int64_t stood_ms, int64_t now_ms)
{
    if (service->watchdog_ms == 0 || now_ms - service->fed_ms < service->watchdog_ms / FEEDS ||
        stood_ms >= service->watchdog_ms / 2)
        return;
    service->fed_ms = now_ms;
    sd_notify(0, "WATCHDOG=1");
}

void tagd_service_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void tagd_service_reloaded(void)
{
    sd_notify(0, "READY=1");
}

void tagd_service_stopping(struct tagd_service *service, int64_t now_ms)
{
    if (service->extended_ms != 0 && now_ms - service->extended_ms < STOP_EXTENDED_MS)
        return;
    sd_notifyf(0, "%sEXTEND_TIMEOUT_USEC=%d", service->extended_ms == 0 ? "STOPPING=1\nSTATUS=stopping\n" : "",
               STOP_EXTEND_MS * 1000);
    service->extended_ms = now_ms;
}

void tagd_service_failed(const char *reason)
{
    sd_notifyf(0, "STATUS=%.*s", (int)strcspn(reason, "\n"), reason);
}
