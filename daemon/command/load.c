#include "command/load.h"

#include "command/command.h"

#include "io/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool tagd_command_read_file(const char *path, const char *what, size_t max_bytes, struct tagd_buf *out,
                            struct tagd_error *error)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return tagd_fail(error, "%s: %s; expected %s in a readable file", path, strerror(errno), what);
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
        return tagd_fail(error, "%s: %s; expected %s in a readable file", path, strerror(reason), what);
    if (out->n > max_bytes)
        return tagd_fail(error, "%s: more than %zu bytes, the most that %s may have; is this the right file?", path,
                         max_bytes, what);
    return true;
}

static struct tagd_catalog *load_catalog(const char *path, const char *what, struct tagd_error *error)
{
    struct tagd_buf text = {0};
    struct tagd_catalog *catalog = NULL;
    if (tagd_command_read_file(path, what, TAGD_CATALOG_BYTES_MAX, &text, error))
        catalog = tagd_catalog_load(path, text.p ? text.p : "", text.n, error);
    tagd_buf_free(&text);
    return catalog;
}

struct tagd_catalog *tagd_command_load_catalog(const char *path, struct tagd_error *error)
{
    return load_catalog(path, "a catalog", error);
}

/* A path as the configuration has it -> one from where we are, in the arena. */
const char *tagd_command_beside(struct tagd_arena *arena, const char *config_path, const char *path)
{
    const char *slash = strrchr(config_path, '/');
    if (path == NULL || path[0] == '/' || slash == NULL)
        return path;
    return tagd_arena_printf(arena, "%.*s%s", (int)(slash - config_path) + 1, config_path, path);
}

/* ---- what a configuration takes from outside ---- */

static const char *from_environment(void *to, const char *name)
{
    (void)to;
    return getenv(name);
}

static bool everyone_reads(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & S_IROTH) != 0;
}

/* What is read, and what is to be said of it. */
struct loading {
    const char *path;
    struct tagd_buf *warnings; /* each with a NUL behind it */
};

static void warn(struct tagd_buf *warnings, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct tagd_buf *warnings, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tagd_buf_add(warnings, text, strlen(text) + 1);
}

static bool from_file(void *to, const char *path, struct tagd_buf *out, struct tagd_error *error)
{
    const struct loading *loading = to;
    struct tagd_arena arena = {0};
    const char *found = tagd_command_beside(&arena, loading->path, path);
    bool ok = tagd_command_read_file(found, "a secret", TAGD_SECRET_BYTES_MAX, out, error);
    if (ok && everyone_reads(found))
        warn(loading->warnings,
             "everyone on this machine may read the secret in %s; take that right away, as in: chmod o= %s", found,
             found);
    tagd_arena_free(&arena);
    return ok;
}

static bool can_be_used(const char *path, struct tagd_config *config, struct tagd_error *error)
{
    struct tagd_error reason;
    config->redis.tls.ca = tagd_command_beside(&config->arena, path, config->redis.tls.ca);
    config->redis.tls.cert = tagd_command_beside(&config->arena, path, config->redis.tls.cert);
    config->redis.tls.key = tagd_command_beside(&config->arena, path, config->redis.tls.key);
    return (tagd_io_check_properties(config, &reason) && tagd_io_check_tls(config, &reason)) ||
           tagd_fail(error, "%s: %s", path, reason.text);
}

static struct tagd_config *load_config(struct loading *loading, struct tagd_error *error)
{
    const char *path = loading->path;
    struct tagd_buf text = {0};
    struct tagd_config *config = NULL;
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        snprintf(host, sizeof host, "localhost");
    if (tagd_command_read_file(path, "a configuration", TAGD_CONFIG_BYTES_MAX, &text, error))
        config = tagd_config_parse(path, text.p ? text.p : "", text.n, host,
                                   &(struct tagd_config_outside){from_environment, from_file, loading}, error);
    tagd_buf_free(&text);
    if (config && !can_be_used(path, config, error)) {
        tagd_config_free(config);
        return NULL;
    }
    return config;
}

static bool is_dimension(const struct tagd_catalog *catalog, const char *name)
{
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++)
        if (tagd_catalog_kind(catalog, d) != TAGD_KIND_ALERT && strcmp(tagd_catalog_dimension(catalog, d), name) == 0)
            return true;
    return false;
}

/* Whether all that "carry" names are dimensions of the catalog. */
static bool carry_fits(const char *path, const struct tagd_config *config, const struct tagd_catalog *catalog,
                       struct tagd_error *error)
{
    for (size_t i = 0; i < config->n_carry; i++)
        if (!is_dimension(catalog, config->carry[i]))
            return tagd_fail(error, "%s: at /carry/%zu: \"%s\" is no dimension of the catalog %s; correct it", path, i,
                             config->carry[i], config->catalog);
    return true;
}

/* Likewise of max_changes_per_minute; "*" stands for all. */
static bool limits_fit(const char *path, const struct tagd_config *config, const struct tagd_catalog *catalog,
                       struct tagd_error *error)
{
    for (size_t i = 0; i < config->n_changes_limits; i++) {
        const char *name = config->changes_limits[i].dimension;
        if (strcmp(name, "*") != 0 && !is_dimension(catalog, name))
            return tagd_fail(error,
                             "%s: at /max_changes_per_minute: \"%s\" is no dimension of the catalog %s; correct it",
                             path, name, config->catalog);
    }
    return true;
}

static bool maps_fit(const struct tagd_config *config, const struct tagd_catalog *catalog, const char *path,
                     struct tagd_error *error)
{
    struct tagd_error why;
    for (size_t i = 0; i < config->n_sources; i++)
        if (config->sources[i].map && !tagd_map_check(config->sources[i].map, catalog, config->sources[i].topic, &why))
            return tagd_fail(error, "%s: at /sources/%zu/map: %s", path, i, why.text);
    return true;
}

/* What works and should not stay so, told at every start. */
static void warn_of(const struct tagd_config *config, const char *path, struct tagd_buf *warnings)
{
    static const char risk[] = "read and change everything";
    if (config->literal_secret && everyone_reads(path))
        warn(warnings,
             "everyone on this machine may read %s, and a password stands in it; take that right away, as in: chmod o= "
             "%s, or write \"${NAME}\" or \"${file:PATH}\" for the password",
             path, path);
    if (config->redis.tls.on && !config->redis.tls.verify)
        warn(warnings,
             "\"redis.tls.verify\" is false: whoever is on the way to Redis can %s; give \"redis.tls.ca\" and take "
             "\"verify\" out",
             risk);
    for (size_t i = 0; i < config->n_kafka; i++)
        if (strcmp(config->kafka[i].name, "enable.ssl.certificate.verification") == 0 &&
            strcmp(config->kafka[i].value, "false") == 0)
            warn(warnings,
                 "\"%s\" is false: whoever is on the way to Kafka can %s; give \"ssl.ca.location\" and take it out",
                 config->kafka[i].name, risk);
}

static struct tagd_catalog *load_beside(const char *config_path, const char *catalog, struct tagd_error *error)
{
    struct tagd_arena arena = {0};
    const char *what = tagd_arena_printf(&arena, "the catalog that %s names at /catalog", config_path);
    struct tagd_catalog *loaded = load_catalog(tagd_command_beside(&arena, config_path, catalog), what, error);
    tagd_arena_free(&arena);
    return loaded;
}

static struct tagd_catalog *load_catalog_of(const char *config_path, const struct tagd_config *config,
                                            struct tagd_error *error)
{
    struct tagd_catalog *catalog = load_beside(config_path, config->catalog, error);
    if (!catalog || (carry_fits(config_path, config, catalog, error) &&
                     limits_fit(config_path, config, catalog, error) && maps_fit(config, catalog, config_path, error)))
        return catalog;
    tagd_catalog_free(catalog);
    return NULL;
}

int tagd_command_load_quietly(const char *config_path, struct tagd_config **config, struct tagd_catalog **catalog,
                              struct tagd_buf *warnings)
{
    struct tagd_error error;
    struct loading loading = {config_path, warnings};
    *catalog = NULL;
    *config = load_config(&loading, &error);
    if (*config != NULL)
        *catalog = load_catalog_of(config_path, *config, &error);
    if (*catalog == NULL)
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    (*config)->has_churn = tagd_catalog_has_kind(*catalog, TAGD_KIND_CHURN);
    warn_of(*config, config_path, warnings);
    return TAGD_EXIT_OK;
}

int tagd_command_load(const char *config_path, struct tagd_config **config, struct tagd_catalog **catalog)
{
    struct tagd_buf warnings = {0};
    int code = tagd_command_load_quietly(config_path, config, catalog, &warnings);
    for (size_t at = 0; at < warnings.n; at += strlen(warnings.p + at) + 1)
        fprintf(stderr, "tagd: warning: %s\n", warnings.p + at);
    tagd_buf_free(&warnings);
    return code;
}
