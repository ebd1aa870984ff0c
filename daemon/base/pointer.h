/* pointer: JSON Pointers (RFC 6901), split into tokens once and followed through a tree as often as need be. Following
 * one allocates nothing. */
#ifndef TAGD_BASE_POINTER_H
#define TAGD_BASE_POINTER_H

#include "base/json.h"

/* What is wrong with a pointer's text, and where. */
struct tagd_pointer_fault {
    size_t offset;    /* byte of the text */
    const char *what; /* static text, with the remedy */
};

/* Splits text, which must live as long as the pointer; tokens come from arena. False: *fault says why. */
bool tagd_pointer_split(struct tagd_str text, struct tagd_arena *arena, struct tagd_pointer *pointer,
                        struct tagd_pointer_fault *fault);

/* The value that the pointer leads to from root; of equal keys the last. NULL: there is none. */
const struct tagd_json *tagd_pointer_find(const struct tagd_pointer *pointer, const struct tagd_json *root);

#endif
