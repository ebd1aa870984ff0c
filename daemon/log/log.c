#include "log/log.h"

#include "log/recent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MODE 0640

struct tagd_logger {
    enum tagd_log_format format;
    enum tagd_note_level level;
    char *path;            /* NULL: stderr */
    pthread_mutex_t mutex; /* of all below */
    int fd;
    bool waits; /* a pipe, a socket, a terminal: a write may have to wait for who reads */
    bool cut;   /* the last line has no end yet: a disk was full */
    int64_t lost;
    struct tagd_log_limit limit;
};

static int64_t clock_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- where lines go ---- */

/* O_NONBLOCK: a named pipe that nobody reads is an error, and none is waited for. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
}

static bool may_wait(int fd)
{
    struct stat seen;
    return fstat(fd, &seen) != 0 || !S_ISREG(seen.st_mode);
}

struct tagd_logger *tagd_logger_new(enum tagd_log_format format, enum tagd_note_level level, const char *path,
                                    struct tagd_error *error)
{
    int fd = path == NULL ? STDERR_FILENO : open_file(path);
    if (fd < 0) {
        tagd_fail(error,
                  "can't open the log file %s: %s; correct \"log.file\", or leave it out to log to standard error",
                  path, strerror(errno));
        return NULL;
    }
    struct tagd_logger *logger = tagd_xcalloc(1, sizeof(*logger));
    logger->format = format;
    logger->level = level;
    logger->path = tagd_xstrdup(path);
    logger->fd = fd;
    logger->waits = may_wait(fd);
    pthread_mutex_init(&logger->mutex, NULL);
    return logger;
}

bool tagd_logger_is_stderr(const struct tagd_logger *logger)
{
    return logger->path == NULL;
}

bool tagd_logger_is_json_stderr(const struct tagd_logger *logger)
{
    return logger->path == NULL && logger->format == TAGD_LOG_JSON;
}

/* A pipe that poll calls ready takes a line's bytes in one piece, and so does a socket. */
static bool is_ready(const struct tagd_logger *logger)
{
    struct pollfd at = {.fd = logger->fd, .events = POLLOUT};
    return !logger->waits || (poll(&at, 1, 0) == 1 && (at.revents & POLLOUT) != 0);
}

/* How many of the bytes could be written. */
static size_t write_all(int fd, const char *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t written = write(fd, p + done, n - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    return done;
}

/* ---- writing; the mutex is held ---- */

/* The first pairs of every line. */
static void begin(const struct tagd_logger *logger, struct tagd_log_line *line, enum tagd_note_level level,
                  const char *message)
{
    static const char *const names[] = {"info", "warn", "error"};
    char text[TAGD_TIME_TEXT];
    tagd_time_format(clock_ms(CLOCK_REALTIME), text);
    tagd_log_line_begin(line, logger->format);
    tagd_log_line_text(line, "time", text);
    tagd_log_line_text(line, "level", names[level]);
    tagd_log_line_text(line, "msg", message);
}

/* What was cut ends before anything else is written. */
static bool takes_a_line(struct tagd_logger *logger)
{
    if (!is_ready(logger))
        return false;
    logger->cut = logger->cut && write_all(logger->fd, "\n", 1) == 0;
    return !logger->cut;
}

static void put(struct tagd_logger *logger, struct tagd_log_line *line)
{
    if (!takes_a_line(logger)) {
        logger->lost++;
        return;
    }
    if (logger->lost > 0)
        tagd_log_line_number(line, "lines_lost", logger->lost);
    tagd_log_line_end(line);
    size_t written = write_all(logger->fd, line->text, line->n);
    logger->lost = written == line->n ? 0 : logger->lost + 1;
    logger->cut = written > 0 && written < line->n;
}

/* "1,234" */
static void group_digits(uint64_t number, char out[32])
{
    char digits[TAGD_INTEGER_TEXT];
    size_t n = tagd_u64_format(number, digits), k = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = '\0';
}

static void put_over(struct tagd_logger *logger, int64_t now_ms)
{
    struct tagd_log_kind over;
    while (tagd_log_limit_over(&logger->limit, now_ms, &over)) {
        struct tagd_log_line line;
        char number[32], text[TAGD_LOG_KIND_BYTES + 64];
        group_digits(over.left_out, number);
        if (over.text[0] == '\0')
            snprintf(text, sizeof(text), "and %s more, of various kinds", number);
        else
            snprintf(text, sizeof(text), "and %s more like it: %s", number, over.text);
        if (over.level < logger->level)
            continue;
        begin(logger, &line, over.level, text);
        tagd_log_line_number(&line, "left_out", (int64_t)over.left_out);
        put(logger, &line);
    }
}

/* ---- what others call ---- */

void tagd_log_begin(struct tagd_log *log, struct tagd_logger *logger, enum tagd_note_level level, const char *message)
{
    log->logger = logger;
    log->level = level;
    log->wanted = level >= logger->level;
    log->wall_ms = clock_ms(CLOCK_REALTIME);
    tagd_log_shown("msg", message, log->kept, sizeof(log->kept));
    snprintf(log->kind, sizeof(log->kind), "%.*s", TAGD_LOG_KIND_BYTES - 1, message);
    if (!log->wanted)
        return;
    begin(logger, &log->line, level, message);
}

/* What the ring keeps: the same, as text for people. */
static void keep_pair(struct tagd_log *log, const char *key, const char *value)
{
    size_t n = strlen(log->kept), room = sizeof(log->kept) - n;
    if (room < strlen(key) + 3)
        return;
    n += (size_t)snprintf(log->kept + n, room, " %s=", key);
    tagd_log_shown(key, value, log->kept + n, sizeof(log->kept) - n);
}

void tagd_log_text(struct tagd_log *log, const char *key, const char *value)
{
    keep_pair(log, key, value);
    if (log->wanted)
        tagd_log_line_text(&log->line, key, value);
}

void tagd_log_number(struct tagd_log *log, const char *key, int64_t value)
{
    char text[TAGD_INTEGER_TEXT + 1];
    text[tagd_i64_format(value, text)] = '\0';
    keep_pair(log, key, text);
    if (log->wanted)
        tagd_log_line_number(&log->line, key, value);
}

void tagd_log_end(struct tagd_log *log)
{
    struct tagd_logger *logger = log->logger;
    if (!log->wanted && log->level < TAGD_NOTE_WARN) /* warnings are for those who look, too */
        return;
    pthread_mutex_lock(&logger->mutex);
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    put_over(logger, now_ms);
    bool taken = tagd_log_limit_take(&logger->limit, log->level, log->kind, now_ms);
    if (taken && log->wanted)
        put(logger, &log->line);
    pthread_mutex_unlock(&logger->mutex);
    if (taken)
        tagd_log_keep(log->level, log->wall_ms, tagd_str_of(log->kept));
}

void tagd_log_line(struct tagd_logger *logger, enum tagd_note_level level, const char *message)
{
    struct tagd_log log;
    tagd_log_begin(&log, logger, level, message);
    tagd_log_end(&log);
}

void tagd_log_note(struct tagd_logger *logger, const struct tagd_note *note)
{
    struct tagd_log log;
    tagd_log_begin(&log, logger, note->level, note->text);
    if (note->shard >= 0)
        tagd_log_number(&log, "shard", note->shard);
    if (note->batch >= 0)
        tagd_log_number(&log, "batch", note->batch);
    if (note->topic != NULL)
        tagd_log_text(&log, "topic", note->topic);
    if (note->offset >= 0)
        tagd_log_number(&log, "offset", note->offset);
    tagd_log_end(&log);
}

void tagd_logger_tick(struct tagd_logger *logger)
{
    pthread_mutex_lock(&logger->mutex);
    put_over(logger, clock_ms(CLOCK_MONOTONIC));
    pthread_mutex_unlock(&logger->mutex);
}

void tagd_logger_flush(struct tagd_logger *logger)
{
    pthread_mutex_lock(&logger->mutex);
    put_over(logger, INT64_MAX);
    pthread_mutex_unlock(&logger->mutex);
}

void tagd_logger_reopen(struct tagd_logger *logger)
{
    char text[512];
    if (logger->path == NULL)
        return;
    int fd = open_file(logger->path);
    if (fd < 0) {
        snprintf(text, sizeof(text), "the log file can't be opened anew: %s: %s; going on with the one that is open",
                 logger->path, strerror(errno));
        tagd_log_line(logger, TAGD_NOTE_ERROR, text);
        return;
    }
    pthread_mutex_lock(&logger->mutex);
    close(logger->fd);
    logger->fd = fd;
    logger->waits = may_wait(fd);
    logger->cut = false;
    pthread_mutex_unlock(&logger->mutex);
    tagd_log_line(logger, TAGD_NOTE_INFO, "the log file was opened anew");
}

void tagd_logger_free(struct tagd_logger *logger)
{
    if (logger == NULL)
        return;
    tagd_logger_flush(logger);
    if (logger->path != NULL)
        close(logger->fd);
    pthread_mutex_destroy(&logger->mutex);
    free(logger->path);
    free(logger);
}
