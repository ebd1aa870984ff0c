/* The files of the status page (daemon/page), which the build puts into the program. */
#ifndef TAGD_COMMAND_PAGE_H
#define TAGD_COMMAND_PAGE_H

#include <stddef.h>

struct tagd_page_file {
    const char *path, *content_type, *etag; /* etag: with its quotes */
    const unsigned char *bytes;
    size_t n;
};
extern const struct tagd_page_file tagd_page_files[];
extern const size_t tagd_n_page_files;

#endif
