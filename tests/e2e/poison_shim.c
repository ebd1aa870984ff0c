/* Preloaded into the daemon (LD_PRELOAD), this makes a record deadly, as a fault in the code would: a text with
 * "kills-decoding" to who parses it, one with "hangs-decoding" to who waits for it, and one whose id is "kills-applying"
 * to who writes of a change that it brought about. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char applying[] = "kills-applying";

void *cJSON_ParseWithLengthOpts(const char *text, size_t n, const char **end, int whole)
{
    void *(*parse)(const char *, size_t, const char **, int) =
        (void *(*)(const char *, size_t, const char **, int))dlsym(RTLD_NEXT, "cJSON_ParseWithLengthOpts");
    if (memmem(text, n, "kills-decoding", 14) != NULL)
        raise(SIGSEGV);
    while (memmem(text, n, "hangs-decoding", 14) != NULL)
        pause();
    return parse(text, n, end, whole);
}

/* A change's bytes name its cause, <source>#<id>: the id is written in quotes first, in one piece. */
void *memcpy(void *to, const void *from, size_t n)
{
    if (n == sizeof(applying) - 1 && memcmp(from, applying, n) == 0 && memcmp((char *)to - 2, "#\"", 2) == 0)
        raise(SIGSEGV);
    return memmove(to, from, n);
}
