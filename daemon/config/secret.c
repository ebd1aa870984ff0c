/* What is secret in a configuration, and must not be shown: neither the line of a mistake, nor in what others say. */
#include "config/reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const words[] = {"password", "passwd", "secret", "token", "ssl.key.pem", "oauthbearer.config"};
#define N_WORDS (sizeof(words) / sizeof(words[0]))

bool tagd_config_is_secret(const char *property)
{
    size_t n = strlen(property);
    for (size_t i = 0; i < N_WORDS; i++) {
        size_t k = strlen(words[i]);
        if (n >= k && strcasecmp(property + n - k, words[i]) == 0)
            return true;
    }
    return false;
}

bool tagd_config_keep_secret(struct reader *reader, const cJSON *node, const char *value)
{
    struct tagd_config *config = reader->config;
    if (config->n_secrets == TAGD_SECRETS_MAX)
        return tagd_config_fault(reader, node, "there are more than %d secrets; write some of them as \"${NAME}\"",
                                 TAGD_SECRETS_MAX);
    size_t at = config->n_secrets++, n = strlen(value);
    for (; at > 0 && config->secrets[at - 1].n < n; at--) /* longest first: one may begin with another */
        config->secrets[at] = config->secrets[at - 1];
    config->secrets[at] = tagd_arena_copy(&config->arena, value, n);
    return true;
}

void tagd_config_redact(const struct tagd_config *config, char *text)
{
    for (size_t i = 0; i < config->n_secrets; i++) {
        struct tagd_str secret = config->secrets[i];
        if (secret.n < TAGD_REDACTED_LEAST)
            continue;
        for (char *at = strstr(text, secret.p); at != NULL; at = strstr(at + 3, secret.p)) {
            at[0] = at[1] = at[2] = '*';
            memmove(at + 3, at + secret.n, strlen(at + secret.n) + 1);
        }
    }
}

/* ---- lines that are not shown ---- */

/* A copy without each "${...}": what is there stands elsewhere. */
static char *written(struct tagd_str text)
{
    char *out = tagd_xmalloc(text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *close =
            i + 1 < text.n && text.p[i] == '$' && text.p[i + 1] == '{' ? memchr(text.p + i, '}', text.n - i) : NULL;
        if (close != NULL)
            i = (size_t)(close - text.p);
        else
            out[n++] = text.p[i] == '\0' ? ' ' : text.p[i];
    }
    out[n] = '\0';
    return out;
}

/* A key that says that something secret follows, and something does. */
static bool has_value_of(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; *p != '\0'; p++) {
        if (strncasecmp(p, word, n) != 0 || (p[n] != '\0' && strchr("\": \t=,", p[n]) == NULL))
            continue;
        const char *value = p + n + strspn(p + n, "\": \t\r\n=");
        if (*value != '\0' && *value != ',' && *value != '}')
            return true;
    }
    return false;
}

/* "//user:password@", and nothing can be told of one that is broken. */
static bool has_user_part(const char *text)
{
    const char *begin = strstr(text, "://"), *at = begin == NULL ? NULL : strrchr(begin, '@');
    const char *colon = at == NULL ? NULL : memchr(begin + 3, ':', (size_t)(at - begin) - 3);
    return at != NULL && (colon == NULL || colon + 1 < at);
}

bool tagd_config_shows_secret(struct tagd_str text, size_t from, size_t to)
{
    while (from > 0 && strchr(" \t\r\n", text.p[from - 1]) != NULL) /* a key may stand on a line before its value */
        from--;
    while (from > 0 && text.p[from - 1] != '\n')
        from--;
    char *shown = written((struct tagd_str){text.p + from, to - from});
    bool secret = has_user_part(shown);
    for (size_t i = 0; i < N_WORDS && !secret; i++)
        secret = has_value_of(shown, words[i]);
    free(shown);
    return secret;
}
