#include "log/line.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TAIL_BYTES 3 /* a quote, a brace, a line feed */
static const char cut_mark[] = "…";
#define CUT_BYTES (sizeof(cut_mark) - 1)

/* ---- what is hidden ---- */

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static bool secret(const char *name, size_t n)
{
    static const char *const words[] = {"password", "passwd", "secret", "token", "key", "credential"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
            if (n - i >= strlen(words[k]) && strncasecmp(name + i, words[k], strlen(words[k])) == 0)
                return true;
    return false;
}

/* Does the text before `at`, which is '=' or ':', end in a secret's name? A ':' follows a name in quotes only. */
static bool names_secret(const char *text, size_t at)
{
    size_t end = at;
    while (end > 0 && text[end - 1] == ' ')
        end--;
    bool quoted = end > 0 && text[end - 1] == '"';
    if (text[at] == ':' && !quoted)
        return false;
    end -= quoted;
    size_t begin = end;
    while (begin > 0 && name_byte(text[begin - 1]))
        begin--;
    return secret(text + begin, end - begin);
}

/* Where the value that begins at `at` ends. A quoted one ends at its quote. */
static size_t value_end(const char *text, size_t at)
{
    if (text[at] != '"' && text[at] != '\'')
        return at + strcspn(text + at, " \t\r\n,;&\"'");
    size_t end = at + 1;
    while (text[end] != '\0' && text[end] != text[at])
        end += text[end] == '\\' && text[end + 1] != '\0' ? 2 : 1;
    return text[end] == '\0' ? end : end + 1;
}

/* Where the user and password behind "://" at `at` end; `at`: there are none. */
static size_t user_end(const char *text, size_t at)
{
    size_t n = strcspn(text + at, " \t\r\n/\"'");
    while (n > 0 && text[at + n - 1] != '@')
        n--;
    return n == 0 ? at : at + n - 1;
}

struct shown { /* a value without its secrets */
    char text[TAGD_LOG_VALUE_BYTES + 1];
    size_t n;
    bool cut;
};

static void show(struct shown *shown, const char *p, size_t n)
{
    size_t room = sizeof(shown->text) - 1 - shown->n;
    shown->cut = shown->cut || n > room;
    n = n < room ? n : room;
    memcpy(shown->text + shown->n, p, n);
    shown->n += n;
    shown->text[shown->n] = '\0';
}

static void hide(struct shown *shown, const char *value)
{
    size_t from = 0, at = 0;
    shown->n = 0;
    shown->text[0] = '\0';
    shown->cut = false;
    while (value[at] != '\0' && !shown->cut) {
        size_t begin = at, end = at;
        if (strncmp(value + at, "://", 3) == 0) {
            begin = at + 3;
            end = user_end(value, begin);
        } else if ((value[at] == '=' || value[at] == ':') && names_secret(value, at)) {
            begin = at + 1 + strspn(value + at + 1, " ");
            end = value_end(value, begin);
        }
        if (end == begin) {
            at++;
            continue;
        }
        show(shown, value + from, begin - from);
        show(shown, TAGD_LOG_HIDDEN, sizeof(TAGD_LOG_HIDDEN) - 1);
        from = at = end;
    }
    show(shown, value + from, strlen(value + from));
}

/* ---- pairs ---- */

/* Bytes of the character at p, 0: it is none in UTF-8. */
static size_t character(const char *p, size_t n)
{
    unsigned char lead = (unsigned char)*p;
    size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return bytes <= n && tagd_utf8_valid(p, bytes) ? bytes : 0;
}

static bool plain(const struct shown *shown)
{
    if (shown->n == 0 || shown->cut || !tagd_utf8_valid(shown->text, shown->n))
        return false;
    for (size_t i = 0; i < shown->n; i++)
        if ((unsigned char)shown->text[i] <= ' ' || strchr("\"=\\\x7f", shown->text[i]) != NULL)
            return false;
    return true;
}

static void add(struct tagd_log_line *line, const char *p, size_t n)
{
    memcpy(line->text + line->n, p, n);
    line->n += n;
}

/* Escaped, with its quotes, in at most `room` bytes between them. */
static void add_quoted(struct tagd_log_line *line, const struct shown *shown, size_t room)
{
    size_t begin = line->n + 1, cut = begin;
    add(line, "\"", 1);
    bool whole = !shown->cut;
    for (size_t i = 0; i < shown->n;) {
        char escape[8];
        const char *p = shown->text + i;
        size_t bytes = character(p, shown->n - i), n = bytes;
        if (bytes == 0) {
            p = "\xef\xbf\xbd"; /* U+FFFD */
            n = 3;
        } else if (*p == '"' || *p == '\\') {
            n = (size_t)snprintf(escape, sizeof(escape), "\\%c", *p);
            p = escape;
        } else if ((unsigned char)*p < ' ' || *p == 0x7f) {
            const char *at = strchr("\nn\rr\tt", *p);
            n = at != NULL ? (size_t)snprintf(escape, sizeof(escape), "\\%c", at[1])
                           : (size_t)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)*p);
            p = escape;
        }
        if (line->n - begin + n > room) {
            whole = false;
            break;
        }
        add(line, p, n);
        if (line->n - begin + CUT_BYTES <= room)
            cut = line->n;
        i += bytes == 0 ? 1 : bytes;
    }
    if (!whole) {
        line->n = cut;
        add(line, cut_mark, CUT_BYTES);
    }
    add(line, "\"", 1);
}

/* The key and what stands before a value; false: there is no room for a value of `least` bytes behind it. */
static bool add_key(struct tagd_log_line *line, const char *key, size_t least)
{
    bool json = line->format == TAGD_LOG_JSON;
    size_t n = strlen(key);
    if (line->n + n + 4 + least + TAIL_BYTES > sizeof(line->text))
        return false;
    if (line->n > (json ? 1 : 0))
        add(line, json ? "," : " ", 1);
    if (json)
        add(line, "\"", 1);
    add(line, key, n);
    add(line, json ? "\":" : "=", json ? 2 : 1);
    return true;
}

void tagd_log_line_begin(struct tagd_log_line *line, enum tagd_log_format format)
{
    line->format = format;
    line->n = 0;
    if (format == TAGD_LOG_JSON)
        add(line, "{", 1);
}

void tagd_log_shown(const char *key, const char *value, char *out, size_t size)
{
    struct shown shown;
    hide(&shown, secret(key, strlen(key)) ? TAGD_LOG_HIDDEN : value);
    size_t n = shown.n < size ? shown.n : tagd_utf8_cut(shown.text, size - 1);
    memcpy(out, shown.text, n);
    out[n] = '\0';
}

void tagd_log_line_text(struct tagd_log_line *line, const char *key, const char *value)
{
    struct shown shown;
    hide(&shown, secret(key, strlen(key)) ? TAGD_LOG_HIDDEN : value);
    if (!add_key(line, key, 2 + CUT_BYTES))
        return;
    size_t room = sizeof(line->text) - line->n - TAIL_BYTES - 1;
    room = room < TAGD_LOG_VALUE_BYTES ? room : TAGD_LOG_VALUE_BYTES;
    if (line->format == TAGD_LOG_LOGFMT && shown.n <= room && plain(&shown))
        add(line, shown.text, shown.n);
    else
        add_quoted(line, &shown, room);
}

void tagd_log_line_number(struct tagd_log_line *line, const char *key, int64_t value)
{
    if (add_key(line, key, TAGD_INTEGER_TEXT))
        line->n += tagd_i64_format(value, line->text + line->n);
}

void tagd_log_line_end(struct tagd_log_line *line)
{
    if (line->format == TAGD_LOG_JSON)
        add(line, "}", 1);
    add(line, "\n", 1);
}
