/* What systemd is told, read from a socket in its place. */
#include "command/service.h"

#include "check.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char path[] = "/tmp/test_service.XXXXXX";
static int manager;

/* The next message, "" if there is none. */
static const char *told(void)
{
    static char text[512];
    ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static bool is_told(const char *wanted)
{
    const char *text = told();
    if (strcmp(text, wanted) != 0)
        fprintf(stderr, "told \"%s\", not \"%s\"\n", text, wanted);
    return strcmp(text, wanted) == 0;
}

static struct tagd_service begin(const char *usec)
{
    struct tagd_service service;
    if (usec == NULL)
        unsetenv("WATCHDOG_USEC");
    else
        setenv("WATCHDOG_USEC", usec, 1);
    tagd_service_begin(&service);
    return service;
}

static void a_watchdog_is_fed_four_times_in_its_time(void)
{
    struct tagd_service service = begin("8000000");
    CHECK(service.watchdog_ms == 8000);
    tagd_service_ready(&service, 1000);
    CHECK(is_told("READY=1"));
    tagd_service_feed(&service, 0, 2999);
    CHECK(is_told(""));
    tagd_service_feed(&service, 0, 3000);
    CHECK(is_told("WATCHDOG=1"));
    tagd_service_feed(&service, 0, 4999);
    CHECK(is_told(""));
    tagd_service_feed(&service, 0, 5000);
    CHECK(is_told("WATCHDOG=1"));
}

static void a_step_of_half_its_time_starves_it(void)
{
    struct tagd_service service = begin("8000000");
    tagd_service_feed(&service, 3999, 10000);
    CHECK(is_told("WATCHDOG=1"));
    tagd_service_feed(&service, 4000, 20000);
    CHECK(is_told(""));
    tagd_service_feed(&service, 1, 20001); /* it goes on: at once */
    CHECK(is_told("WATCHDOG=1"));
}

static void without_a_watchdog_none_is_fed(void)
{
    struct tagd_service service = begin(NULL);
    CHECK(service.watchdog_ms == 0);
    tagd_service_feed(&service, 0, 1000000);
    CHECK(is_told(""));
}

static void another_line_for_people_waits_for_five_seconds(void)
{
    struct tagd_service service = begin(NULL);
    tagd_service_status(&service, "a", 1000);
    CHECK(is_told("STATUS=a"));
    tagd_service_status(&service, "b", 5999);
    CHECK(is_told(""));
    tagd_service_status(&service, "b", 6000);
    CHECK(is_told("STATUS=b"));
    tagd_service_status(&service, "b", 600000); /* the same again says nothing */
    CHECK(is_told(""));
}

static void a_stop_is_told_once_and_extended_every_second(void)
{
    struct tagd_service service = begin(NULL);
    tagd_service_stopping(&service, 1000);
    CHECK(is_told("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=10000000"));
    tagd_service_stopping(&service, 1999);
    CHECK(is_told(""));
    tagd_service_stopping(&service, 2000);
    CHECK(is_told("EXTEND_TIMEOUT_USEC=10000000"));
}

static void a_start_asks_for_the_time_it_takes_and_says_why_it_fails(void)
{
    tagd_service_starting(10000);
    CHECK(is_told("EXTEND_TIMEOUT_USEC=20000000"));
    tagd_service_failed("a.json:1:2: wrong\n  {\n  ^\nREADY=1");
    CHECK(is_told("STATUS=a.json:1:2: wrong"));
}

static void a_reload_begins_at_an_instant_and_ends(void)
{
    tagd_service_reloading();
    const char *text = told();
    CHECK(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0 && atoll(text + 27) > 1000000);
    tagd_service_reloaded();
    CHECK(is_told("READY=1"));
}

static void privileges_and_dumps_are_given_up(void)
{
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    tagd_service_harden(true);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    tagd_service_harden(false);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* for those who look for leaks at the end */
}

int main(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    CHECK(mkdtemp(path) != NULL);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", path);
    manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(manager >= 0 && bind(manager, (struct sockaddr *)&at, sizeof(at)) == 0);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    unsetenv("WATCHDOG_PID");
    RUN(a_watchdog_is_fed_four_times_in_its_time);
    RUN(a_step_of_half_its_time_starves_it);
    RUN(without_a_watchdog_none_is_fed);
    RUN(another_line_for_people_waits_for_five_seconds);
    RUN(a_stop_is_told_once_and_extended_every_second);
    RUN(a_start_asks_for_the_time_it_takes_and_says_why_it_fails);
    RUN(a_reload_begins_at_an_instant_and_ends);
    RUN(privileges_and_dumps_are_given_up);
    close(manager);
    unlink(at.sun_path);
    rmdir(path);
    return DONE();
}
