/* Files and environment for the commands: what the pure rooms parse from memory is read here. */
#ifndef TAGD_COMMAND_LOAD_H
#define TAGD_COMMAND_LOAD_H

#include "config/config.h"
#include "tagd/catalog.h"

/* A stream joins an imported history only if nothing between them is passed over. */
#define TAGD_LATEST_AFTER_HISTORY                                                                                      \
    "at /kafka/auto.offset.reset: with \"latest\" the events between an import's --until and the daemon's start are "  \
    "in "                                                                                                              \
    "neither; take it out, so that a new group begins at the earliest record"

/* The whole file; `what` is expected in it, as in "a catalog". False: *error names it and says why. Larger than
 * max_bytes is an error too. */
bool tagd_command_read_file(const char *path, const char *what, size_t max_bytes, struct tagd_buf *out,
                            struct tagd_error *error);
/* NULL: *error says where and what. */
struct tagd_catalog *tagd_command_load_catalog(const char *path, struct tagd_error *error);
/* The configuration, "${NAME}" from the environment, the instance by default the host's name, librdkafka's properties
 * checked; and the catalog it names, relative to it, with all dimensions that "carry" names and fit for the maps of the
 * sources. The caller frees both whatever came of it. An exit code; what is wrong is written, and what works and should not
 * stay so (a secret that everyone may read, a certificate that isn't checked) is warned of. */
int tagd_command_load(const char *config_path, struct tagd_config **config, struct tagd_catalog **catalog);
/* The same, but the warnings are added to a buffer, each with a NUL behind it. */
int tagd_command_load_quietly(const char *config_path, struct tagd_config **config, struct tagd_catalog **catalog,
                              struct tagd_buf *warnings);

/* A path that a configuration names, relative to the configuration's own; NULL stays NULL. */
const char *tagd_command_beside(struct tagd_arena *arena, const char *config_path, const char *path);

#endif
