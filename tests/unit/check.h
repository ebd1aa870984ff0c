/* The unit tests' few words: each test is a function whose name is the behaviour. */
#ifndef TAGD_TEST_CHECK_H
#define TAGD_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_count;
#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        check_count++;                                                                                                 \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: in %s: not so: %s\n", __FILE__, __LINE__, __func__, #what);                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)
#define RUN(test)                                                                                                      \
    do {                                                                                                               \
        test();                                                                                                        \
        printf("ok %s\n", #test);                                                                                      \
    } while (0)
#define DONE() (printf("%d checks\n", check_count), 0)

#endif
