#define _GNU_SOURCE /* sigabbrev_np */
#include "io/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_FIRST_NS 50000L /* the child is looked after so often at first, */
#define LOOK_NS_MAX 5000000L /* and ever less, up to this */
/* A longer time between two looks counts as this: if this process, or the machine, stood still, the child did too. */
#define LOOK_COUNTED_MS_MAX 50

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Bytes of memory that RLIMIT_DATA counts, as this process has them now; 0: not known. */
static uint64_t data_bytes(void)
{
    char text[256];
    unsigned long long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    /* size resident shared text library data */
    if (sscanf(text, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the child ---- */

static void lower(enum __rlimit_resource resource, rlim_t to)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > to)
        limit.rlim_cur = to;
    setrlimit(resource, &limit);
}

/* It dies with its parent, of whatever its work dies of, and leaves nothing behind. */
static void prepare_child(pid_t parent, rlim_t memory)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGALRM};
    sigset_t signals;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    prctl(PR_SET_DUMPABLE, 0);
    lower(RLIMIT_CORE, 0);
    if (memory > 0)
        lower(RLIMIT_DATA, memory);
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        signal(fatal[i], SIG_DFL);
        sigaddset(&signals, fatal[i]);
    }
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

/* ---- the parent ---- */

/* Whether the child ended of itself; if not, it went too long without a call's end, and was killed. */
static bool await(pid_t child, const size_t *through, int64_t call_ms, int *status)
{
    struct timespec pause = {0, LOOK_FIRST_NS};
    size_t seen = 0;
    int64_t looked_ms = now_ms(), since_ms = 0;
    for (;;) {
        pid_t ended = waitpid(child, status, WNOHANG);
        if (ended == child)
            return true;
        if (ended < 0 && errno != EINTR) { /* nobody keeps it for us: SIGCHLD is ignored */
            *status = 0;
            return true;
        }
        size_t now_through = __atomic_load_n(through, __ATOMIC_ACQUIRE);
        int64_t now = now_ms(), passed = now - looked_ms;
        since_ms = now_through != seen ? 0 : since_ms + (passed < LOOK_COUNTED_MS_MAX ? passed : LOOK_COUNTED_MS_MAX);
        seen = now_through;
        looked_ms = now;
        if (since_ms >= call_ms) {
            kill(child, SIGKILL);
            while (waitpid(child, status, 0) < 0 && errno == EINTR)
                ;
            return false;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < LOOK_NS_MAX)
            pause.tv_nsec += pause.tv_nsec / 2;
    }
}

static void say_why(bool ended, int status, int64_t call_ms, struct tagd_error *killed)
{
    if (!ended) {
        tagd_fail(killed, "no end within %lld ms", (long long)call_ms);
    } else if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        if (name != NULL)
            tagd_fail(killed, "SIG%s", name);
        else
            tagd_fail(killed, "signal %d", WTERMSIG(status));
    } else {
        tagd_fail(killed, "exit status %d", WEXITSTATUS(status));
    }
}

size_t tagd_io_trial(const struct tagd_trial_limits *limits, size_t n, void (*run)(void *to, size_t i), void *to,
                     struct tagd_error *killed)
{
    uint64_t memory = data_bytes();
    pid_t parent = getpid();
    int status = 0;
    killed->text[0] = '\0';
    size_t *through = mmap(NULL, sizeof(*through), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (through == MAP_FAILED) {
        tagd_fail(killed, "no memory to share with a child process: %s", strerror(errno));
        return n;
    }
    pid_t child = fork();
    if (child < 0) {
        tagd_fail(killed, "no child process can be made: %s", strerror(errno));
        munmap(through, sizeof(*through));
        return n;
    }
    if (child == 0) {
        prepare_child(parent, memory == 0 ? 0 : memory + limits->memory_bytes);
        for (size_t i = 0; i < n; i++) {
            run(to, i);
            __atomic_store_n(through, i + 1, __ATOMIC_RELEASE);
        }
        _exit(0);
    }
    bool ended = await(child, through, limits->call_ms, &status);
    size_t came = *through;
    munmap(through, sizeof(*through));
    if (came < n)
        say_why(ended, status, limits->call_ms, killed);
    return came;
}
