/* What all sections share: errors with their place, keys, names, labels, spans, the texts of expressions. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "catalog/load.h"

#define TEXT_BYTES_MAX 16384 /* of an expression */

bool tagd_load_fail(struct load *load, const char *pointer, bool key, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return tagd_jsonc_fail(load->jsonc, load->error, NULL, pointer, TAGD_JSONC_WHOLE, key, "%s", text);
}

const char *tagd_load_below(struct load *load, const char *pointer, const char *token)
{
    struct tagd_buf buf = {0};
    tagd_buf_add_z(&buf, pointer);
    tagd_buf_add_byte(&buf, '/');
    for (const char *p = token; *p; p++) {
        if (*p == '~' || *p == '/')
            tagd_buf_add_z(&buf, *p == '~' ? "~0" : "~1");
        else
            tagd_buf_add_byte(&buf, (unsigned char)*p);
    }
    const char *out = tagd_arena_copy(&load->catalog->arena, buf.p, buf.n).p;
    tagd_buf_free(&buf);
    return out;
}

const char *tagd_load_below_index(struct load *load, const char *pointer, uint32_t i)
{
    char token[16];
    snprintf(token, sizeof token, "%u", i);
    return tagd_load_below(load, pointer, token);
}

static const char *kind_name(const cJSON *node)
{
    return cJSON_IsObject(node)   ? "an object"
           : cJSON_IsArray(node)  ? (node->child ? "an array" : "an empty array")
           : cJSON_IsString(node) ? (node->valuestring[0] ? "a string" : "an empty string")
           : cJSON_IsNumber(node) ? "a number"
           : cJSON_IsBool(node)   ? "a boolean"
                                  : "null";
}

bool tagd_load_known_keys(struct load *load, const cJSON *object, const char *pointer, const char *const *keys)
{
    for (const cJSON *child = object->child; child; child = child->next) {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], child->string) != 0)
            i++;
        if (keys[i])
            continue;
        struct tagd_buf buf = {0};
        for (i = 0; keys[i]; i++)
            tagd_buf_printf(&buf, "%s%s", i ? ", " : "", keys[i]);
        tagd_buf_add_byte(&buf, 0);
        tagd_load_fail(load, tagd_load_below(load, pointer, child->string), true,
                       "unknown key '%s': expected one of %s", child->string, buf.p);
        tagd_buf_free(&buf);
        return false;
    }
    return true;
}

bool tagd_load_want(struct load *load, const cJSON *node, const char *pointer, bool ok, const char *expected)
{
    return ok ? true : tagd_load_fail(load, pointer, false, "expected %s, found %s", expected, kind_name(node));
}

bool tagd_load_name_ok(const char *name, int min_levels, int max_levels)
{
    int levels = 1;
    size_t n = strlen(name);
    bool start = true;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool rest = (c >= '0' && c <= '9') || c == '-';
        if (c == '.') {
            if (start)
                return false;
            levels++;
            start = true;
        } else if (letter || (rest && (!start || levels > 1))) {
            start = false;
        } else {
            return false;
        }
    }
    return n > 0 && n <= TAGD_NAME_BYTES_MAX && !start && levels >= min_levels && levels <= max_levels;
}

bool tagd_load_dimension_name_ok(const char *name)
{
    return tagd_load_name_ok(name, 2, 2) && strncmp(name, "attr.", 5) != 0;
}

bool tagd_load_tag_letters_ok(const char *name)
{
    for (const char *p = name; *p; p++) {
        bool ok =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-';
        if (!ok)
            return false;
    }
    return true;
}

const char *tagd_load_keep(struct load *load, const char *text)
{
    return tagd_arena_copy(&load->catalog->arena, text, strlen(text)).p;
}

const char *tagd_load_keep_json(struct load *load, const cJSON *node)
{
    if (!node || cJSON_IsNull(node))
        return NULL;
    char *text = cJSON_PrintUnformatted(node);
    const char *kept = tagd_load_keep(load, text);
    cJSON_free(text);
    return kept;
}

bool tagd_load_label(struct load *load, const cJSON *label, const char *pointer)
{
    if (!label || cJSON_IsString(label))
        return true;
    if (!tagd_load_want(load, label, pointer, cJSON_IsObject(label), "a text, or texts by language"))
        return false;
    for (const cJSON *node = label->child; node; node = node->next) {
        if (!tagd_load_want(load, node, tagd_load_below(load, pointer, node->string), cJSON_IsString(node), "a text"))
            return false;
    }
    return true;
}

struct parse tagd_load_parse_of(struct load *load, const char *pointer, const char *text)
{
    return (struct parse){.catalog = load->catalog,
                          .jsonc = load->jsonc,
                          .error = load->error,
                          .pointer = pointer,
                          .text = text,
                          .n = strlen(text)};
}

bool tagd_load_expression(struct load *load, const cJSON *node, const char *pointer, const char **text)
{
    if (!tagd_load_want(load, node, pointer, cJSON_IsString(node), "an expression in a string"))
        return false;
    if (strlen(node->valuestring) > TEXT_BYTES_MAX)
        return tagd_load_fail(load, pointer, false, "an expression has at most %d bytes", TEXT_BYTES_MAX);
    *text = tagd_load_keep(load, node->valuestring);
    return true;
}

bool tagd_load_span(struct load *load, const cJSON *node, const char *pointer, const char *key, int64_t *ms)
{
    const cJSON *span = cJSON_GetObjectItemCaseSensitive(node, key);
    if (!span)
        return true;
    if (cJSON_IsString(span) && tagd_duration_parse(tagd_str_of(span->valuestring), ms))
        return true;
    return tagd_load_fail(load, tagd_load_below(load, pointer, key), false, "expected a duration such as \"1h\"");
}

void tagd_load_plan(struct load *load, const cJSON *node, struct tagd_rule *rule)
{
    rule->plan = tagd_load_keep_json(load, cJSON_GetObjectItemCaseSensitive(node, "plan"));
}

bool tagd_load_tag(struct load *load, const char *name, struct tagd_str *dimension, struct tagd_str *tag)
{
    const char *dot = strrchr(name, '.');
    if (!dot)
        return false;
    *dimension = tagd_arena_copy(&load->catalog->arena, name, (size_t)(dot - name));
    *tag = tagd_str_of(tagd_load_keep(load, dot + 1));
    return tagd_load_dimension_name_ok(dimension->p) && tag->n > 0 && tag->n <= TAGD_NAME_BYTES_MAX &&
           tagd_load_tag_letters_ok(tag->p);
}
