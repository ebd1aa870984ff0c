#include "log/log.h"

#include "log/recent.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096

static bool plain(const char *value)
{
    if (*value == '\0')
        return false;
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == '"' || *p == '=' || *p == '\\' || (unsigned char)*p == 0x7f)
            return false;
    return true;
}

static void add_text(struct tagd_log *log, const char *key, const char *value)
{
    tagd_buf_printf(&log->line, " %s=", key);
    if (plain(value))
        tagd_buf_add_z(&log->line, value);
    else
        tagd_buf_add_json(&log->line, tagd_str_of(value));
}

void tagd_log_text(struct tagd_log *log, const char *key, const char *value)
{
    tagd_buf_printf(&log->kept, " %s=%s", key, value);
    add_text(log, key, value);
}

void tagd_log_number(struct tagd_log *log, const char *key, int64_t value)
{
    tagd_buf_printf(&log->kept, " %s=%lld", key, (long long)value);
    tagd_buf_printf(&log->line, " %s=%lld", key, (long long)value);
}

void tagd_log_begin(struct tagd_log *log, enum tagd_log_level level, const char *message)
{
    static const char *const names[] = {"info", "warn", "error"};
    struct timespec now;
    char text[TAGD_TIME_TEXT];
    *log = (struct tagd_log){0};
    clock_gettime(CLOCK_REALTIME, &now);
    log->level = level;
    log->wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    tagd_time_format(log->wall_ms, text);
    tagd_buf_printf(&log->line, "time=%s level=%s", text, names[level]);
    tagd_buf_add_z(&log->kept, message);
    add_text(log, "msg", message);
}

void tagd_log_end(struct tagd_log *log)
{
    if (log->line.n > LINE_BYTES_MAX)
        log->line.n = LINE_BYTES_MAX;
    tagd_buf_add_byte(&log->line, '\n');
    for (size_t at = 0; at < log->line.n;) {
        ssize_t n = write(STDERR_FILENO, log->line.p + at, log->line.n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    tagd_log_keep(log->level, log->wall_ms, (struct tagd_str){log->kept.p, log->kept.n});
    tagd_buf_free(&log->kept);
    tagd_buf_free(&log->line);
}

void tagd_log_line(enum tagd_log_level level, const char *message)
{
    struct tagd_log log;
    tagd_log_begin(&log, level, message);
    tagd_log_end(&log);
}
