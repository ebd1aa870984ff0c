#include "command/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool tagd_command_read_file(const char *path, size_t max_bytes, struct tagd_buf *out, struct tagd_error *error)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return tagd_fail(error, "%s: %s", path, strerror(errno));
    size_t n;
    do {
        tagd_buf_reserve(out, 65536);
        n = fread(out->p + out->n, 1, 65536, file);
        out->n += n;
    } while (n > 0 && out->n <= max_bytes);
    bool failed = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    if (failed)
        return tagd_fail(error, "%s: %s", path, strerror(reason));
    if (out->n > max_bytes)
        return tagd_fail(error, "%s: more than %zu bytes: it can't be such a file", path, max_bytes);
    return true;
}

struct tagd_catalog *tagd_command_load_catalog(const char *path, struct tagd_error *error)
{
    struct tagd_buf text = {0};
    struct tagd_catalog *catalog = NULL;
    if (tagd_command_read_file(path, TAGD_CATALOG_BYTES_MAX, &text, error))
        catalog = tagd_catalog_load(path, text.p ? text.p : "", text.n, error);
    tagd_buf_free(&text);
    return catalog;
}
