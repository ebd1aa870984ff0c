/* config: the text of a configuration file -> struct tagd_config, every value checked and every default filled in.
 * Reads no file and no environment: the text and functions for "${NAME}" and "${file:PATH}" come in as arguments.
 *
 * "${NAME}" and "${file:PATH}" may stand anywhere in any string, and a string may stand for a number or a boolean; what
 * is put in isn't looked at again. Unknown keys are errors. No message has a password in it, or a line of the file that
 * may hold one, or what came from a file. */
#ifndef TAGD_CONFIG_H
#define TAGD_CONFIG_H

#include "tagd/event.h"
#include "tagd/port.h"

#define TAGD_CONFIG_BYTES_MAX (1024 * 1024)
#define TAGD_WORKERS_MAX 64
#define TAGD_GROUP_MAX 100    /* bytes of group; letters, digits, '.', '_', '-' */
#define TAGD_INSTANCE_MAX 100 /* bytes of instance; the same */
#define TAGD_TOPIC_NAME_MAX 249
#define TAGD_PREFIX_MAX 100
#define TAGD_JUNK_SUBJECTS_MAX 1000
#define TAGD_CARRY_MAX 2000
#define TAGD_CHANGES_LIMITS_MAX 2000           /* dimensions of max_changes_per_minute */
#define TAGD_CHANGES_PER_MINUTE_MAX 1000000000 /* of one of them */
#define TAGD_EXPECT_EVERY_LEAST_MS 10000
#define TAGD_EXPECT_EVERY_MAX_MS (INT64_C(366) * TAGD_MS_DAY)
#define TAGD_SERVER_NAME_MAX 255              /* bytes of redis.tls.server_name */
#define TAGD_SECRET_BYTES_MAX ((size_t)65536) /* of the file of a "${file:PATH}" */
#define TAGD_SECRETS_MAX 256                  /* that a configuration can hold */
#define TAGD_REDACTED_LEAST 4                 /* bytes of a secret that is looked for in what others say */

#define TAGD_GROUP_DEFAULT "tagd"
#define TAGD_TAG_CHANGES_DEFAULT "tagd.tag-changes"
#define TAGD_CHURN_RISK_DEFAULT "tagd.churn-risk"
#define TAGD_DEAD_LETTER_DEFAULT "tagd.dead-letter"
#define TAGD_PREFIX_DEFAULT "tagd:"
#define TAGD_REDIS_PORT_DEFAULT 6379
#define TAGD_HTTP_HOST_DEFAULT "127.0.0.1"
#define TAGD_HTTP_PORT_DEFAULT 9464
#define TAGD_HTTP_TOKEN_LEAST 16 /* bytes */
#define TAGD_HTTP_TOKEN_MAX 256
#define TAGD_HTTP_RATE_DEFAULT 20 /* requests a second */
#define TAGD_HTTP_RATE_MAX 10000
#define TAGD_GRACE_DEFAULT_MS 2000
#define TAGD_GRACE_MAX_MS 3600000
#define TAGD_MAX_IDLE_DEFAULT_MS 100
#define TAGD_MAX_IDLE_MAX_MS 3600000
#define TAGD_HORIZON_DEFAULT_MS (INT64_C(400) * TAGD_MS_DAY)
#define TAGD_HORIZON_MAX_MS (INT64_C(3660) * TAGD_MS_DAY)
#define TAGD_PAST_DEFAULT_MS INT64_C(631152000000) /* 1990-01-01T00:00:00Z */
#define TAGD_FUTURE_DEFAULT_MS 300000
#define TAGD_FUTURE_MAX_MS (INT64_C(366) * TAGD_MS_DAY)
#define TAGD_EVENT_BYTES_LEAST 1024
#define TAGD_EVENT_BYTES_MOST (64 * 1024 * 1024)
#define TAGD_BATCH_EVENTS_DEFAULT 20000
#define TAGD_BATCH_EVENTS_MAX 1000000
#define TAGD_BATCH_BYTES_DEFAULT (8 * 1024 * 1024)
#define TAGD_BATCH_BYTES_LEAST 65536
#define TAGD_BATCH_BYTES_MAX (1024 * 1024 * 1024)
#define TAGD_CACHE_BYTES_DEFAULT (64 * 1024 * 1024)
#define TAGD_CACHE_BYTES_MAX 68719476736 /* 64 GiB */

/* max_changes_per_minute, of one dimension or, as "*", of each that isn't named. */
struct tagd_changes_limit {
    const char *dimension;
    uint32_t most;
};

enum tagd_log_format { TAGD_LOG_LOGFMT, TAGD_LOG_JSON };

/* A librdkafka property as the user wrote it. Those that the guarantees rest on are refused (config.c has the list). */
struct tagd_property {
    const char *name, *value;
};

struct tagd_source {
    const char *topic;
    enum tagd_partitioner partitioner;
    struct tagd_map *map;    /* NULL: CloudEvents */
    bool no_headers;         /* they say nothing of what an event is */
    int64_t expect_every_ms; /* silent for longer, it isn't believed to be; 0: it may be */
};

struct tagd_config {
    struct tagd_arena arena; /* owns all text below */
    const char *group, *instance;
    const char *catalog;         /* path as written: relative to the configuration file */
    struct tagd_source *sources; /* 1 to TAGD_TOPICS_MAX, all different */
    size_t n_sources;
    const char *tag_changes, *churn_risk, *dead_letter; /* all different, none a source */
    bool has_churn; /* the catalog has events of kind churn, so that their topic is needed: for the caller to say */
    bool content_binary;         /* outputs.content_mode: CloudEvents in binary mode */
    struct tagd_property *kafka; /* without auto.offset.reset */
    size_t n_kafka;
    const char *bootstrap_servers; /* also among kafka */
    bool start_latest;             /* auto.offset.reset: where a shard without offsets begins */
    struct {
        const char *host; /* NULL: unix_path */
        const char *unix_path;
        int port;
        int db;
        const char *user, *password; /* NULL: none */
        const char *prefix;
        struct {
            bool on;                     /* "rediss://" */
            const char *ca, *cert, *key; /* files, relative to the configuration file; NULL: the system's CAs, none */
            const char *server_name;     /* whom the certificate must be for; NULL: host */
            bool verify;
        } tls;
    } redis;
    unsigned workers;
    bool at_least_once; /* "delivery" */
    bool time_events;
    int64_t grace_ms, max_idle_ms, horizon_ms;
    bool carry_all;
    const char **carry; /* names of dimensions, unless carry_all; checked against the catalog by the caller */
    size_t n_carry;
    struct tagd_changes_limit *changes_limits; /* all different; checked against the catalog by the caller */
    size_t n_changes_limits;
    bool continue_on_data_gap;
    struct {
        enum tagd_log_format format;
        enum tagd_note_level level;
        const char *file; /* path as written: relative to the configuration file; NULL: stderr */
    } log;
    struct {
        const char *host;                   /* NULL: no HTTP */
        int port;                           /* 0: a free one */
        const char *token;                  /* NULL: none is wanted */
        const char *cert, *key, *client_ca; /* paths as written, relative to the configuration file; NULL: none */
        bool insecure;                      /* another address than loopback, and yet anybody may ask */
        unsigned rate;                      /* requests a second of an address */
    } http;
    int64_t past_ms, future_ms;
    size_t max_event_bytes, batch_events, batch_bytes, cache_bytes;
    struct tagd_str *junk_subjects;
    size_t n_junk_subjects;
    struct tagd_str secrets[TAGD_SECRETS_MAX]; /* passwords, and all that came from files */
    size_t n_secrets;
    bool literal_secret; /* one of them stands in the text itself */
};

/* What a configuration may take from outside itself. */
struct tagd_config_outside {
    const char *(*lookup)(void *to, const char *name); /* an environment variable's value, or NULL */
    /* The bytes of the file at a path as written, at most TAGD_SECRET_BYTES_MAX. False: *error has path, reason, remedy. */
    bool (*read)(void *to, const char *path, struct tagd_buf *out, struct tagd_error *error);
    void *to;
};

/* Parses and checks n bytes of text; `name` is the file's name for messages, default_instance stands in for `instance`
 * (what can't be in a name becomes '-'). outside may be NULL: nothing is there. NULL: *error says FILE:LINE:COLUMN, the
 * place as a JSON Pointer, what is wrong and what to do, with the source line and a caret on lines of their own. */
struct tagd_config *tagd_config_parse(const char *name, const char *text, size_t n, const char *default_instance,
                                      const struct tagd_config_outside *outside, struct tagd_error *error);
/* Which of the sources is read from that topic; -1: none. */
int32_t tagd_config_source(const struct tagd_config *config, const char *topic);
void tagd_config_free(struct tagd_config *config); /* NULL is fine */

/* secret.c: whether a property of librdkafka holds a password, a token or a key. */
bool tagd_config_is_secret(const char *property);
/* Puts "***" for each of the configuration's secrets in a text that others made, in place. */
void tagd_config_redact(const struct tagd_config *config, char *text);

#endif
