/* Preloaded into the daemon (LD_PRELOAD), this makes a record deadly, as a fault in the code would: the number 1e-07 to who
 * decodes it, 2e-07 to who waits for it (a number with an exponent is strtod's), and a record whose id is
 * "kills-applying" to who writes of a change that it brought about. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char applying[] = "kills-applying";

double strtod(const char *text, char **end)
{
    double (*read)(const char *, char **) = (double (*)(const char *, char **))dlsym(RTLD_NEXT, "strtod");
    if (strcmp(text, "1e-07") == 0)
        raise(SIGSEGV);
    while (strcmp(text, "2e-07") == 0)
        pause();
    return read(text, end);
}

/* A change's bytes name its cause, <source>#<id>, in one piece each. */
void *memcpy(void *to, const void *from, size_t n)
{
    if (n == sizeof(applying) - 1 && memcmp(from, applying, n) == 0 && ((char *)to)[-1] == '#')
        raise(SIGSEGV);
    return memmove(to, from, n);
}
