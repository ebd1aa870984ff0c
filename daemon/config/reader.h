/* What config's own files share: reading one value, with a fault told at its place. */
#ifndef TAGD_CONFIG_READER_H
#define TAGD_CONFIG_READER_H

#include "base/jsonc.h"
#include "config/config.h"

struct reader {
    struct tagd_jsonc *jsonc;
    struct tagd_config *config;
    const struct tagd_config_outside *outside;
    struct tagd_error *error;
};

struct key {
    const char *name;
    bool (*read)(struct reader *reader, const cJSON *node, void *into);
    bool required;
};

/* Says what is wrong at the node; returns false. */
bool tagd_config_fault(struct reader *reader, const cJSON *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A string with "${NAME}" replaced; the text belongs to the configuration. */
bool tagd_config_read_text(struct reader *reader, const cJSON *node, const char **text);
/* The text as a message may show it: as written, if some of it came from a file. */
const char *tagd_config_shown(const cJSON *node, const char *text);
/* secret.c: a value that is to be kept secret; copied if it isn't the configuration's own. */
bool tagd_config_keep_secret(struct reader *reader, const cJSON *node, const char *value);
/* Whether bytes of a configuration, with what stands in front of them, may show a password that is written there. */
bool tagd_config_shows_secret(struct tagd_str text, size_t from, size_t to);
/* Each member by its key; unknown and missing ones are faults. */
bool tagd_config_read_object(struct reader *reader, const cJSON *object, const struct key *keys, size_t n, void *into);
/* A source's map; the rules that need the topic get it from the caller. */
bool tagd_config_read_map(struct reader *reader, const cJSON *node, struct tagd_map *map);

#endif
