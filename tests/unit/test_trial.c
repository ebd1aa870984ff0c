/* A trial in a child process: what ends the child, and what is seen of it. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "io/trial.h"

static const struct tagd_trial_limits limits = {60000, (uint64_t)64 * 1024 * 1024};
static const struct tagd_trial_limits short_limits = {500, (uint64_t)64 * 1024 * 1024};

struct killer {
    size_t at; /* this call kills */
    enum { SEGFAULT, ABORT, LEAVE, LOOP, SLEEP, EAT, NOTHING } by;
    size_t calls;
};

static void run(void *to, size_t i)
{
    struct killer *killer = to;
    volatile char *nowhere = NULL;
    CHECK(killer->calls == i); /* it sees what the calls before it did */
    killer->calls++;
    if (i != killer->at)
        return;
    switch (killer->by) {
    case SEGFAULT: raise(SIGSEGV); break;
    case ABORT: abort();
    case LEAVE: exit(0);
    case LOOP:
        for (;;)
            nowhere = &((volatile char *)nowhere)[0];
    case SLEEP:
        for (;;)
            pause();
    case EAT:
        for (;;)
            memset(tagd_xmalloc(1 << 20), 1, 1 << 20);
    case NOTHING: break;
    }
}

static pid_t parent;
static int exits[2]; /* a pipe: what is to be done at exit was done in a child */

static void tell_exit(void)
{
    if (getpid() != parent && write(exits[1], "x", 1) != 1)
        abort();
}

static bool exit_was_told(void)
{
    char byte;
    return read(exits[0], &byte, 1) == 1;
}

static bool ends_so(struct killer killer, size_t through, const char *how)
{
    struct tagd_error killed = {"?"};
    bool ends = killer.by != LOOP && killer.by != SLEEP;
    size_t came = tagd_io_trial(ends ? &limits : &short_limits, 5, run, &killer, &killed);
    bool same = came == through && strcmp(killed.text, how) == 0 && killer.calls == 0;
    if (!same)
        fprintf(stderr, "%zu came through, \"%s\"; expected %zu, \"%s\"\n", came, killed.text, through, how);
    return same;
}

static void what_kills_no_child_comes_through_and_is_not_seen(void)
{
    CHECK(ends_so((struct killer){.by = NOTHING}, 5, ""));
    CHECK(!exit_was_told());
}

static void whatever_ends_the_child_is_named_with_the_call_that_did(void)
{
    for (size_t at = 0; at < 5; at++) {
        CHECK(ends_so((struct killer){at, SEGFAULT, 0}, at, "SIGSEGV"));
        CHECK(ends_so((struct killer){at, ABORT, 0}, at, "SIGABRT"));
    }
}

static void a_child_that_leaves_has_not_come_through(void)
{
    struct killer killer = {2, LEAVE, 0};
    struct tagd_error killed = {""};
    CHECK(tagd_io_trial(&limits, 5, run, &killer, &killed) == 2 && strncmp(killed.text, "exit status ", 12) == 0);
    CHECK(exit_was_told()); /* so it would be seen */
}

static void a_call_without_end_is_ended(void)
{
    CHECK(ends_so((struct killer){3, LOOP, 0}, 3, "no end within 500 ms"));
    CHECK(ends_so((struct killer){0, SLEEP, 0}, 0, "no end within 500 ms"));
}

static void one_that_takes_all_memory_is_ended(void)
{
    struct killer killer = {1, EAT, 0};
    struct tagd_error killed = {""};
#ifdef __SANITIZE_ADDRESS__ /* its allocator has ways of its own to end, or not to */
    CHECK(tagd_io_trial(&short_limits, 5, run, &killer, &killed) <= 1 && killed.text[0] != '\0');
#else
    CHECK(tagd_io_trial(&limits, 5, run, &killer, &killed) == 1);
    CHECK(strcmp(killed.text, "SIGABRT") == 0);
#endif
}

static void nap(void *to, size_t i)
{
    (void)to, (void)i;
    usleep(50000);
}

static void many_calls_may_take_longer_than_one_may(void)
{
    struct tagd_error killed = {"?"};
    CHECK(tagd_io_trial(&short_limits, 14, nap, NULL, &killed) == 14 && killed.text[0] == '\0');
}

/* In a process of its own, since the limit on processes doesn't hold for root. */
static void without_a_child_nothing_is_tried_and_it_says_why(void)
{
    struct killer killer = {0, SEGFAULT, 0};
    struct tagd_error killed = {""};
    const struct rlimit none = {0, 0};
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bool limited = (geteuid() != 0 || setuid(65534) == 0) && setrlimit(RLIMIT_NPROC, &none) == 0;
        size_t came = tagd_io_trial(&limits, 5, run, &killer, &killed);
        _exit(limited && came == 5 && strncmp(killed.text, "no child process can be made: ", 30) == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    parent = getpid();
    setvbuf(stdout, NULL, _IONBF, 0); /* or a child that leaves would write it again */
    CHECK(pipe(exits) == 0 && fcntl(exits[0], F_SETFL, O_NONBLOCK) == 0);
    atexit(tell_exit);
    RUN(what_kills_no_child_comes_through_and_is_not_seen);
    RUN(whatever_ends_the_child_is_named_with_the_call_that_did);
    RUN(a_child_that_leaves_has_not_come_through);
    RUN(a_call_without_end_is_ended);
    RUN(one_that_takes_all_memory_is_ended);
    RUN(many_calls_may_take_longer_than_one_may);
    RUN(without_a_child_nothing_is_tried_and_it_says_why);
    return DONE();
}
