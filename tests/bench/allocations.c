/* Interposed over malloc and its kin: counts the calls and prints them on stderr at the end. Used by allocations.sh. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long calls;

void *malloc(size_t n)
{
    static void *(*real)(size_t);
    if (!real)
        real = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    calls++;
    return real(n);
}
void *realloc(void *p, size_t n)
{
    static void *(*real)(void *, size_t);
    if (!real)
        real = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    calls++;
    return real(p, n);
}
__attribute__((destructor)) static void report(void)
{
    fprintf(stderr, "allocations %lu\n", calls);
}
