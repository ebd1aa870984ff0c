/* The log room: lines, what is hidden in them, the limiter, and where they go. */
#include "log/log.h"
#include "log/recent.h"

#include "check.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- a reader of logfmt, written from its rules: key=value, a value bare or in quotes with JSON's escapes ---- */

/* The value of `key` in a line without its line feed, to be freed; NULL: it isn't there. Ends the test if the line is no
 * logfmt. */
static char *logfmt_value(const char *line, const char *key)
{
    char *found = NULL;
    const char *p = line;
    while (*p != '\0') {
        size_t n = strcspn(p, "= \"");
        CHECK(n > 0 && p[n] == '=');
        bool wanted = strlen(key) == n && strncmp(p, key, n) == 0;
        p += n + 1;
        const char *end = p;
        if (*p == '"') {
            cJSON *text = cJSON_ParseWithOpts(p, &end, false);
            CHECK(text != NULL && cJSON_IsString(text));
            if (wanted)
                found = strdup(text->valuestring);
            cJSON_Delete(text);
        } else {
            end = p + strcspn(p, " ");
            CHECK(end > p && memchr(p, '"', (size_t)(end - p)) == NULL && memchr(p, '=', (size_t)(end - p)) == NULL);
            if (wanted)
                found = strndup(p, (size_t)(end - p));
        }
        p = end;
        CHECK(*p == '\0' || (*p == ' ' && p[1] != '\0'));
        p += *p == ' ';
    }
    return found;
}

static char *json_value(const char *line, const char *key)
{
    cJSON *root = cJSON_ParseWithOpts(line, NULL, true);
    CHECK(root != NULL && cJSON_IsObject(root));
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    char *found = item == NULL ? NULL : cJSON_IsString(item) ? strdup(item->valuestring) : cJSON_PrintUnformatted(item);
    cJSON_Delete(root);
    return found;
}

static char *value_of(enum tagd_log_format format, const char *line, const char *key)
{
    return format == TAGD_LOG_JSON ? json_value(line, key) : logfmt_value(line, key);
}

static bool says(enum tagd_log_format format, const char *line, const char *key, const char *wanted)
{
    char *found = value_of(format, line, key);
    bool same = wanted == NULL ? found == NULL : found != NULL && strcmp(found, wanted) == 0;
    if (!same)
        fprintf(stderr, "%s: %s, not %s, in %s\n", key, found ? found : "nothing", wanted ? wanted : "nothing", line);
    free(found);
    return same;
}

/* The line's text, ended by a NUL in place of its line feed. */
static const char *finish(struct tagd_log_line *line)
{
    tagd_log_line_end(line);
    CHECK(line->n <= sizeof(line->text) && line->text[line->n - 1] == '\n');
    line->text[line->n - 1] = '\0';
    CHECK(strlen(line->text) == line->n - 1 && strchr(line->text, '\n') == NULL);
    CHECK(tagd_utf8_valid(line->text, line->n - 1));
    return line->text;
}

static const enum tagd_log_format formats[] = {TAGD_LOG_LOGFMT, TAGD_LOG_JSON};

/* ---- lines ---- */

static void a_line_reads_back_whatever_stands_in_it(void)
{
    static const char *const values[] = {"plain",       "",           "two words", "a=b",      "\"quoted\"",
                                         "back\\slash", "line\nfeed", "tab\tand",  "\x01\x1f", "del \x7f",
                                         "名字",        "é 😀",        "a\"b",      "{}",       ","};
    for (size_t f = 0; f < N_OF(formats); f++)
        for (size_t i = 0; i < N_OF(values); i++) {
            struct tagd_log_line line;
            tagd_log_line_begin(&line, formats[f]);
            tagd_log_line_text(&line, "first", values[i]);
            tagd_log_line_number(&line, "number", INT64_MIN);
            tagd_log_line_text(&line, "last", values[i]);
            const char *text = finish(&line);
            CHECK(says(formats[f], text, "first", values[i]) && says(formats[f], text, "last", values[i]));
        }
}

static void a_word_is_bare_in_logfmt_and_a_number_is_one_in_json(void)
{
    struct tagd_log_line line;
    tagd_log_line_begin(&line, TAGD_LOG_LOGFMT);
    tagd_log_line_text(&line, "msg", "started");
    tagd_log_line_text(&line, "why", "a b");
    tagd_log_line_number(&line, "shard", 3);
    CHECK(strcmp(finish(&line), "msg=started why=\"a b\" shard=3") == 0);
    tagd_log_line_begin(&line, TAGD_LOG_JSON);
    tagd_log_line_text(&line, "msg", "started");
    tagd_log_line_number(&line, "shard", 3);
    CHECK(strcmp(finish(&line), "{\"msg\":\"started\",\"shard\":3}") == 0);
}

static void what_is_no_utf8_becomes_a_mark(void)
{
    static const char *const broken[][2] = {{"a\xff", "a\uFFFD"},
                                            {"\xc3(", "\uFFFD("},
                                            {"cut \xe2\x82", "cut \uFFFD\uFFFD"},
                                            {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"}};
    for (size_t f = 0; f < N_OF(formats); f++)
        for (size_t i = 0; i < N_OF(broken); i++) {
            struct tagd_log_line line;
            tagd_log_line_begin(&line, formats[f]);
            tagd_log_line_text(&line, "msg", broken[i][0]);
            CHECK(says(formats[f], finish(&line), "msg", broken[i][1]));
        }
}

/* Values of every length around the limit, of characters of every width. */
static void a_long_value_is_cut_in_its_text_and_never_in_its_syntax(void)
{
    static const char *const pieces[] = {"a", "\"", "\x01", "é", "名", "😀", "\xff", " "};
    static const size_t bytes[] = {1, 2, 6, 2, 3, 4, 3, 1}; /* as written */
    char value[4 * TAGD_LOG_VALUE_BYTES + 1];
    for (size_t f = 0; f < N_OF(formats); f++)
        for (size_t k = 0; k < N_OF(pieces); k++)
            for (size_t n = TAGD_LOG_VALUE_BYTES / bytes[k] - 2; n <= TAGD_LOG_VALUE_BYTES / bytes[k] + 2; n++) {
                struct tagd_log_line line;
                value[0] = '\0';
                for (size_t i = 0; i < n; i++)
                    memcpy(value + i * strlen(pieces[k]), pieces[k], strlen(pieces[k]) + 1);
                tagd_log_line_begin(&line, formats[f]);
                tagd_log_line_text(&line, "msg", value);
                tagd_log_line_number(&line, "shard", 7);
                const char *text = finish(&line);
                char *found = value_of(formats[f], text, "msg");
                bool whole = n * bytes[k] <= TAGD_LOG_VALUE_BYTES;
                size_t n_found = strlen(found);
                CHECK(whole == (strstr(found, "…") == NULL));
                CHECK(whole || strcmp(found + n_found - strlen("…"), "…") == 0);
                CHECK(whole || n_found + 4 * 6 > TAGD_LOG_VALUE_BYTES * strlen(pieces[k]) / bytes[k]);
                CHECK(says(formats[f], text, "shard", "7"));
                free(found);
            }
}

static void a_full_line_leaves_pairs_out_and_stays_one(void)
{
    char value[TAGD_LOG_VALUE_BYTES + 1];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (size_t f = 0; f < N_OF(formats); f++)
        for (size_t room = 0; room < 200; room++) { /* what the third value has no room for is cut, the rest left out */
            struct tagd_log_line line;
            tagd_log_line_begin(&line, formats[f]);
            tagd_log_line_text(&line, "one", value);
            tagd_log_line_text(&line, "two", value + 60 + room);
            for (int i = 0; i < 30; i++) {
                tagd_log_line_text(&line, "three", "a b");
                tagd_log_line_number(&line, "four", -1234567890123456789);
            }
            CHECK(sizeof(line.text) - line.n < 60); /* nothing more fits, or it would be there */
            const char *text = finish(&line);
            CHECK(says(formats[f], text, "one", value));
        }
}

static void a_number_that_does_not_fit_is_left_out_whole(void)
{
    char value[TAGD_LOG_VALUE_BYTES + 1];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (size_t n = 0; n < 120; n++) {
        struct tagd_log_line line;
        tagd_log_line_begin(&line, TAGD_LOG_JSON);
        tagd_log_line_text(&line, "one", value);
        tagd_log_line_text(&line, "two", value + n);
        tagd_log_line_number(&line, "three", INT64_MIN);
        char *found = json_value(finish(&line), "three");
        CHECK(found == NULL || strtod(found, NULL) == (double)INT64_MIN);
        free(found);
    }
}

/* ---- secrets ---- */

static void secrets_are_hidden(void)
{
    static const char *const rows[][2] = {
        {"sasl.password=hunter2", "sasl.password=[hidden]"},
        {"  sasl.password = hunter2", "  sasl.password = [hidden]"},
        {"SSL.KEY.PEM=abc, next=1", "SSL.KEY.PEM=[hidden], next=1"},
        {"{\"sasl.oauthbearer.token\": \"a \\\" b\", \"x\": 1}", "{\"sasl.oauthbearer.token\": [hidden], \"x\": 1}"},
        {"client_secret=\"two words\" end", "client_secret=[hidden] end"},
        {"AWS_SECRET_ACCESS_KEY=a&b=c", "AWS_SECRET_ACCESS_KEY=[hidden]&b=c"},
        {"credentials='x y'", "credentials=[hidden]"},
        {"password=", "password="},
        {"redis://user:word@host:1/0 is away", "redis://[hidden]@host:1/0 is away"},
        {"redis://:w@rd@host", "redis://[hidden]@host"},
        {"ssl://host:9093/bootstrap: user@host", "ssl://host:9093/bootstrap: user@host"},
        {"the key \"a\" is missing; keys: b", "the key \"a\" is missing; keys: b"},
        {"linger.ms=5", "linger.ms=5"},
        {"password=a password=b", "password=[hidden] password=[hidden]"},
        {"token=\"never closed", "token=[hidden]"},
    };
    for (size_t f = 0; f < N_OF(formats); f++)
        for (size_t i = 0; i < N_OF(rows); i++) {
            struct tagd_log_line line;
            tagd_log_line_begin(&line, formats[f]);
            tagd_log_line_text(&line, "msg", rows[i][0]);
            CHECK(says(formats[f], finish(&line), "msg", rows[i][1]));
        }
    struct tagd_log_line line;
    tagd_log_line_begin(&line, TAGD_LOG_JSON);
    tagd_log_line_text(&line, "redis_password", "hunter2");
    CHECK(says(TAGD_LOG_JSON, finish(&line), "redis_password", "[hidden]"));
}

/* ---- the limiter ---- */

static bool take(struct tagd_log_limit *limit, const char *message, int64_t now_ms)
{
    return tagd_log_limit_take(limit, TAGD_NOTE_WARN, message, now_ms);
}

static void of_a_kind_so_many_lines_are_taken_in_a_window(void)
{
    struct tagd_log_limit limit = {0};
    struct tagd_log_kind over;
    for (int i = 0; i < TAGD_LOG_SAME_MAX; i++)
        CHECK(take(&limit, "Redis is away", 1000 + i));
    for (int i = 0; i < 1234; i++)
        CHECK(!take(&limit, "Redis is away", 2000 + i));
    CHECK(take(&limit, "Kafka is away", 3000));
    CHECK(!tagd_log_limit_over(&limit, 1000 + TAGD_LOG_WINDOW_MS - 1, &over));
    CHECK(tagd_log_limit_over(&limit, 1000 + TAGD_LOG_WINDOW_MS, &over));
    CHECK(over.left_out == 1234 && strcmp(over.text, "Redis is away") == 0 && over.level == TAGD_NOTE_WARN);
    CHECK(!tagd_log_limit_over(&limit, 1000 + TAGD_LOG_WINDOW_MS, &over)); /* told once */
    CHECK(take(&limit, "Redis is away", 1000 + TAGD_LOG_WINDOW_MS));
}

static void a_window_of_which_nothing_was_left_out_ends_by_itself(void)
{
    struct tagd_log_limit limit = {0};
    struct tagd_log_kind over;
    for (int i = 0; i < TAGD_LOG_SAME_MAX; i++)
        CHECK(take(&limit, "a", 0));
    CHECK(!tagd_log_limit_over(&limit, TAGD_LOG_WINDOW_MS, &over));
    for (int i = 0; i < TAGD_LOG_SAME_MAX; i++)
        CHECK(take(&limit, "a", TAGD_LOG_WINDOW_MS));
    CHECK(!take(&limit, "a", TAGD_LOG_WINDOW_MS));
    CHECK(tagd_log_limit_over(&limit, INT64_MAX, &over) && over.left_out == 1 && limit.n == 0);
}

static void a_kind_is_a_level_and_the_first_words_without_digits(void)
{
    struct tagd_log_limit limit = {0};
    for (int i = 0; i < TAGD_LOG_SAME_MAX; i++) {
        char text[100];
        snprintf(text, sizeof(text), "shard %d: repaired: %d of %d and more", i, 7 * i, i);
        CHECK(take(&limit, text, 0));
    }
    CHECK(!take(&limit, "shard 4095: repaired: 1 of anything", 0));
    CHECK(take(&limit, "shard 4095: repaired: 1 in anything", 0));
    CHECK(take(&limit, "shard 4095: refused: 1 of anything", 0));
    CHECK(tagd_log_limit_take(&limit, TAGD_NOTE_ERROR, "shard 0: repaired: 1 of them", 0));
}

static void more_kinds_than_are_told_apart_count_as_one(void)
{
    struct tagd_log_limit limit = {0};
    struct tagd_log_kind over;
    char text[8];
    int taken = 0;
    for (int i = 0; i < TAGD_LOG_KINDS_MAX + 100; i++) {
        snprintf(text, sizeof(text), "%c%c", 'a' + i / 26, 'a' + i % 26);
        taken += take(&limit, text, 0);
    }
    CHECK(taken == TAGD_LOG_KINDS_MAX + TAGD_LOG_SAME_MAX && limit.n == TAGD_LOG_KINDS_MAX);
    CHECK(take(&limit, "aa", 0)); /* known: its own count */
    CHECK(tagd_log_limit_over(&limit, TAGD_LOG_WINDOW_MS, &over));
    CHECK(over.text[0] == '\0' && over.left_out == 100 - TAGD_LOG_SAME_MAX);
    CHECK(!tagd_log_limit_over(&limit, TAGD_LOG_WINDOW_MS, &over));
    for (int i = 0; i < TAGD_LOG_SAME_MAX; i++) /* windows that are over make room */
        CHECK(take(&limit, "zz", TAGD_LOG_WINDOW_MS));
    CHECK(!take(&limit, "zz", TAGD_LOG_WINDOW_MS));
    CHECK(tagd_log_limit_over(&limit, INT64_MAX, &over) && strcmp(over.text, "zz") == 0);
}

/* ---- where lines go ---- */

static char *contents(const char *path)
{
    static char text[1 << 16];
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    CHECK(n >= 0);
    close(fd);
    text[n] = '\0';
    return text;
}

/* The line of that number, from 0, as a static copy. */
static const char *nth_line(const char *path, int n)
{
    static char line[TAGD_LOG_LINE_BYTES];
    const char *p = contents(path);
    for (; n > 0; n--) {
        p = strchr(p, '\n');
        CHECK(p != NULL);
        p++;
    }
    size_t bytes = strcspn(p, "\n");
    CHECK(p[bytes] == '\n');
    snprintf(line, sizeof(line), "%.*s", (int)bytes, p);
    return line;
}

static int lines(const char *path)
{
    int n = 0;
    for (const char *p = contents(path); *p != '\0'; p++)
        n += *p == '\n';
    return n;
}

static char folder[] = "/tmp/test_log.XXXXXX";
static char file[64], renamed[64];

static struct tagd_logger *open_logger(enum tagd_log_format format, enum tagd_note_level level)
{
    struct tagd_error error;
    unlink(file);
    struct tagd_logger *logger = tagd_logger_new(format, level, file, &error);
    CHECK(logger != NULL);
    return logger;
}

static void a_note_becomes_a_line_with_what_it_is_about(void)
{
    for (size_t f = 0; f < N_OF(formats); f++) {
        struct tagd_logger *logger = open_logger(formats[f], TAGD_NOTE_INFO);
        tagd_log_note(logger, &(struct tagd_note){TAGD_NOTE_WARN, "it is let through", "events", 0, 12, 345});
        struct tagd_note none = TAGD_NOTE(TAGD_NOTE_INFO);
        none.text = "a sentence";
        tagd_log_note(logger, &none);
        tagd_logger_free(logger);
        const char *line = nth_line(file, 0);
        int64_t ms;
        char *time = value_of(formats[f], line, "time");
        CHECK(tagd_time_parse(tagd_str_of(time), &ms) && ms > INT64_C(1700000000000));
        free(time);
        CHECK(says(formats[f], line, "level", "warn") && says(formats[f], line, "msg", "it is let through"));
        CHECK(says(formats[f], line, "shard", "0") && says(formats[f], line, "batch", "12"));
        CHECK(says(formats[f], line, "topic", "events") && says(formats[f], line, "offset", "345"));
        line = nth_line(file, 1);
        CHECK(says(formats[f], line, "level", "info") && says(formats[f], line, "shard", NULL));
        CHECK(says(formats[f], line, "batch", NULL) && says(formats[f], line, "topic", NULL));
        CHECK(says(formats[f], line, "offset", NULL) && lines(file) == 2);
    }
}

static void what_is_below_the_level_is_not_written(void)
{
    for (enum tagd_note_level level = TAGD_NOTE_INFO; level <= TAGD_NOTE_ERROR; level++) {
        struct tagd_logger *logger = open_logger(TAGD_LOG_LOGFMT, level);
        tagd_log_line(logger, TAGD_NOTE_INFO, "i");
        tagd_log_line(logger, TAGD_NOTE_WARN, "w");
        tagd_log_line(logger, TAGD_NOTE_ERROR, "e");
        tagd_logger_free(logger);
        struct tagd_log_kept kept[2];
        CHECK(tagd_log_recent(kept, 2) == 2); /* those who look see warnings all the same */
        CHECK(kept[0].level == TAGD_NOTE_ERROR && strcmp(kept[0].text, "e") == 0);
        CHECK(kept[1].level == TAGD_NOTE_WARN && strcmp(kept[1].text, "w") == 0);
        CHECK(lines(file) == 3 - (int)level);
        CHECK(says(TAGD_LOG_LOGFMT, nth_line(file, 0), "msg",
                   level == TAGD_NOTE_INFO   ? "i"
                   : level == TAGD_NOTE_WARN ? "w"
                                             : "e"));
    }
}

static void what_was_left_out_is_told_at_the_end(void)
{
    struct tagd_logger *logger = open_logger(TAGD_LOG_JSON, TAGD_NOTE_INFO);
    for (int i = 0; i < TAGD_LOG_SAME_MAX + 1234; i++)
        tagd_log_line(logger, TAGD_NOTE_WARN, "Redis is away");
    tagd_logger_tick(logger); /* its window isn't over */
    CHECK(lines(file) == TAGD_LOG_SAME_MAX);
    tagd_logger_free(logger);
    CHECK(lines(file) == TAGD_LOG_SAME_MAX + 1);
    const char *line = nth_line(file, TAGD_LOG_SAME_MAX);
    CHECK(says(TAGD_LOG_JSON, line, "msg", "and 1,234 more like it: Redis is away"));
    CHECK(says(TAGD_LOG_JSON, line, "left_out", "1234") && says(TAGD_LOG_JSON, line, "level", "warn"));
    logger = open_logger(TAGD_LOG_JSON, TAGD_NOTE_ERROR); /* which leaves out what is left out of warnings, too */
    for (int i = 0; i < TAGD_LOG_SAME_MAX + 2; i++)
        tagd_log_line(logger, TAGD_NOTE_WARN, "Redis is away");
    tagd_logger_free(logger);
    CHECK(lines(file) == 0);
}

static void a_renamed_file_is_left_when_it_is_opened_anew(void)
{
    struct tagd_logger *logger = open_logger(TAGD_LOG_LOGFMT, TAGD_NOTE_INFO);
    tagd_log_line(logger, TAGD_NOTE_INFO, "before");
    CHECK(rename(file, renamed) == 0);
    tagd_log_line(logger, TAGD_NOTE_INFO, "still there");
    tagd_logger_reopen(logger);
    tagd_log_line(logger, TAGD_NOTE_INFO, "after");
    CHECK(lines(renamed) == 2 && lines(file) == 2);
    CHECK(says(TAGD_LOG_LOGFMT, nth_line(file, 0), "msg", "the log file was opened anew"));
    CHECK(says(TAGD_LOG_LOGFMT, nth_line(file, 1), "msg", "after"));
    /* what can't be opened leaves the old one in its place */
    CHECK(unlink(file) == 0 && mkdir(file, 0700) == 0 && unlink(renamed) == 0);
    int fd = open(folder, O_RDONLY);
    tagd_logger_reopen(logger);
    tagd_log_line(logger, TAGD_NOTE_INFO, "nobody sees it, and nothing fails");
    close(fd);
    tagd_logger_free(logger);
    CHECK(rmdir(file) == 0);
}

static void an_old_file_that_stays_open_says_why(void)
{
    char gone[80], moved[80];
    struct tagd_error error;
    snprintf(gone, sizeof(gone), "%s/sub", folder);
    snprintf(moved, sizeof(moved), "%s/moved", folder);
    CHECK(mkdir(gone, 0700) == 0);
    snprintf(file, sizeof(file), "%s/sub/log", folder);
    struct tagd_logger *logger = tagd_logger_new(TAGD_LOG_LOGFMT, TAGD_NOTE_INFO, file, &error);
    CHECK(logger != NULL && rename(gone, moved) == 0);
    tagd_logger_reopen(logger);
    tagd_logger_free(logger);
    strncat(moved, "/log", 5);
    char *said = logfmt_value(nth_line(moved, 0), "msg");
    CHECK(strstr(said, "the log file can't be opened anew: ") == said && strstr(said, "No such file or directory"));
    CHECK(strstr(said, "; going on with the one that is open"));
    free(said);
    unlink(moved);
    *strrchr(moved, '/') = '\0';
    rmdir(moved);
    snprintf(file, sizeof(file), "%s/log", folder);
}

static void a_file_that_cannot_be_opened_is_an_error(void)
{
    struct tagd_error error;
    CHECK(tagd_logger_new(TAGD_LOG_LOGFMT, TAGD_NOTE_INFO, "/nowhere/log", &error) == NULL);
    CHECK(strcmp(error.text,
                 "can't open the log file /nowhere/log: No such file or directory; correct \"log.file\", or "
                 "leave it out to log to standard error") == 0);
}

/* A pipe that nobody reads: nothing waits, and who reads again is told what is missing. */
static void a_line_that_nobody_takes_is_dropped_and_counted(void)
{
    struct tagd_error error;
    char fifo[80], value[3000];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    CHECK(mkfifo(fifo, 0600) == 0);
    CHECK(tagd_logger_new(TAGD_LOG_JSON, TAGD_NOTE_INFO, fifo, &error) == NULL); /* nobody reads it at all */
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    CHECK(reader >= 0);
    struct tagd_logger *logger = tagd_logger_new(TAGD_LOG_JSON, TAGD_NOTE_INFO, fifo, &error);
    CHECK(logger != NULL);
    for (int i = 0; i < 200; i++) {
        char message[8];
        snprintf(message, sizeof(message), "%c%c", 'a' + i / 26, 'a' + i % 26);
        struct tagd_log log;
        tagd_log_begin(&log, logger, TAGD_NOTE_INFO, i < 50 ? message : "more");
        tagd_log_text(&log, "long", value);
        tagd_log_end(&log);
    }
    static char text[1 << 18];
    size_t n = 0;
    for (ssize_t got; (got = read(reader, text + n, sizeof(text) - n)) > 0;)
        n += (size_t)got;
    int there = 0;
    for (size_t i = 0; i < n; i++)
        there += text[i] == '\n';
    CHECK(there > 10 && there < 50 && text[n - 1] == '\n');
    tagd_log_line(logger, TAGD_NOTE_INFO, "there again");
    ssize_t got = read(reader, text, sizeof(text) - 1);
    CHECK(got > 0);
    text[got - 1] = '\0';
    char wanted[16];
    snprintf(wanted, sizeof(wanted), "%d", 50 + TAGD_LOG_SAME_MAX - there);
    CHECK(says(TAGD_LOG_JSON, text, "msg", "there again") && says(TAGD_LOG_JSON, text, "lines_lost", wanted));
    close(reader);
    tagd_log_line(logger, TAGD_NOTE_INFO, "nobody is there"); /* no signal, no error */
    tagd_logger_free(logger);
    unlink(fifo);
}

/* A limit of the file's size stands for a disk that is full. */
static void a_line_that_a_full_disk_cut_is_a_line_of_its_own(void)
{
    struct rlimit before, now;
    struct tagd_logger *logger = open_logger(TAGD_LOG_JSON, TAGD_NOTE_INFO);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, SIG_IGN);
    tagd_log_line(logger, TAGD_NOTE_INFO, "whole");
    for (rlim_t room = 0; room < 3; room++) { /* of a line and its end: nothing, one byte, two */
        size_t n = strlen(contents(file));
        now = (struct rlimit){n + room, before.rlim_max};
        CHECK(setrlimit(RLIMIT_FSIZE, &now) == 0);
        tagd_log_line(logger, TAGD_NOTE_INFO, "lost");
        tagd_log_line(logger, TAGD_NOTE_INFO, "lost too");
        CHECK(strlen(contents(file)) == n + room);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        char message[16];
        snprintf(message, sizeof(message), "after %c", 'a' + (int)room);
        tagd_log_line(logger, TAGD_NOTE_INFO, message);
        const char *last = nth_line(file, lines(file) - 1);
        CHECK(says(TAGD_LOG_JSON, last, "msg", message) && says(TAGD_LOG_JSON, last, "lines_lost", "2"));
    }
    CHECK(lines(file) == 1 + 3 + 2); /* the whole one, those after, and what was cut */
    CHECK(says(TAGD_LOG_JSON, nth_line(file, 0), "msg", "whole"));
    CHECK(strcmp(nth_line(file, 2), "{") == 0);
    tagd_logger_free(logger);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
    snprintf(file, sizeof(file), "%s/log", folder);
    snprintf(renamed, sizeof(renamed), "%s/log.1", folder);
    RUN(a_line_reads_back_whatever_stands_in_it);
    RUN(a_word_is_bare_in_logfmt_and_a_number_is_one_in_json);
    RUN(what_is_no_utf8_becomes_a_mark);
    RUN(a_long_value_is_cut_in_its_text_and_never_in_its_syntax);
    RUN(a_full_line_leaves_pairs_out_and_stays_one);
    RUN(a_number_that_does_not_fit_is_left_out_whole);
    RUN(secrets_are_hidden);
    RUN(of_a_kind_so_many_lines_are_taken_in_a_window);
    RUN(a_window_of_which_nothing_was_left_out_ends_by_itself);
    RUN(a_kind_is_a_level_and_the_first_words_without_digits);
    RUN(more_kinds_than_are_told_apart_count_as_one);
    RUN(a_note_becomes_a_line_with_what_it_is_about);
    RUN(what_is_below_the_level_is_not_written);
    RUN(what_was_left_out_is_told_at_the_end);
    RUN(a_renamed_file_is_left_when_it_is_opened_anew);
    RUN(an_old_file_that_stays_open_says_why);
    RUN(a_file_that_cannot_be_opened_is_an_error);
    RUN(a_line_that_nobody_takes_is_dropped_and_counted);
    RUN(a_line_that_a_full_disk_cut_is_a_line_of_its_own);
    unlink(file);
    unlink(renamed);
    rmdir(folder);
    return DONE();
}
