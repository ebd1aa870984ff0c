/* checks: what is right and wrong about a set-up, from what was found of it, and what to do. Pure. */
#ifndef TAGD_COMMAND_CHECKS_H
#define TAGD_COMMAND_CHECKS_H

#include "config/config.h"
#include "io/survey.h"
#include "tagd/catalog.h"

enum tagd_check_level { TAGD_CHECK_OK, TAGD_CHECK_WARN, TAGD_CHECK_FAIL, TAGD_CHECK_LEVELS };
const char *tagd_check_level_name(enum tagd_check_level level); /* "ok", "warn", "fail" */

struct tagd_check {
    enum tagd_check_level level;
    const char *name, *text; /* one line; ends with what to do, if it isn't ok */
};
struct tagd_checks {
    struct tagd_arena arena;
    struct tagd_check *at;
    size_t n, cap;
    size_t by_level[TAGD_CHECK_LEVELS];
    bool out_of_reach; /* a server is */
};
void tagd_checks_add(struct tagd_checks *checks, enum tagd_check_level level, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void tagd_checks_free(struct tagd_checks *checks);

struct tagd_host {
    int64_t open_files;  /* the limit; -1: none */
    bool root;           /* we run as that user */
    int clock;           /* 1: the clock is synchronised, 0: it isn't, -1: not known */
    uint32_t librdkafka; /* as rd_kafka_version() has it */
    const char *librdkafka_text, *hiredis_text;
};

void tagd_check_host(const struct tagd_host *host, const struct tagd_config *config, struct tagd_checks *checks);
void tagd_check_kafka(const struct tagd_survey_kafka *survey, const struct tagd_config *config,
                      const struct tagd_catalog *catalog, struct tagd_checks *checks);
/* partitions: of the sources; 0: not known. */
void tagd_check_redis(const struct tagd_survey_redis *survey, const struct tagd_config *config, uint32_t partitions,
                      struct tagd_checks *checks);
/* heads: of the group's shards, `n` of them. */
void tagd_check_heads(const struct tagd_head *heads, uint32_t n, const struct tagd_config *config,
                      const struct tagd_catalog *catalog, struct tagd_checks *checks);

#endif
