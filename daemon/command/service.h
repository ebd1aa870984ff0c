/* The daemon as a service: what it tells systemd, or whoever else speaks its protocol (sd_notify(3)), and what it gives up.
 * Without NOTIFY_SOCKET in the environment nobody is told anything. Everything here belongs to the main thread, which is
 * apart from the workers: librdkafka's calls may stand longer than their timeouts say, and then the watchdog isn't fed. */
#ifndef TAGD_COMMAND_SERVICE_H
#define TAGD_COMMAND_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct tagd_service {
    int64_t watchdog_ms; /* 0: there is none */
    int64_t fed_ms, told_ms, extended_ms;
    char status[160];
};

/* No new privileges for good, and unless core_dumps no core dump, which would hold what customers do and passwords; nor
 * may processes of the same user look into this one. */
void tagd_service_harden(bool core_dumps);
/* Reads WATCHDOG_USEC and WATCHDOG_PID. */
void tagd_service_begin(struct tagd_service *service);
/* What comes next may take that long: the start isn't to be given up before. */
void tagd_service_starting(int64_t next_ms);
void tagd_service_ready(struct tagd_service *service, int64_t now_ms);
/* A line for people; told when it is another one, every few seconds at most. */
void tagd_service_status(struct tagd_service *service, const char *status, int64_t now_ms);
/* Feeds the watchdog, if it is time to, and no worker's step has lasted for half its time: stood_ms is the longest. */
void tagd_service_feed(struct tagd_service *service, int64_t stood_ms, int64_t now_ms);
void tagd_service_reloading(void);
void tagd_service_reloaded(void);
/* To be called again and again until the end. */
void tagd_service_stopping(struct tagd_service *service, int64_t now_ms);
/* It ends, for this reason: the first line of it. */
void tagd_service_failed(const char *reason);

#endif
