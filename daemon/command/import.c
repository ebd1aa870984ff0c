/* tagd import: history from files as a baseline. This file reads and merges the lines; worker/import.c makes state of
 * them. When the store was away, all is read again from the first line, as after a kill. */
#include "command/lines.h"
#include "command/load.h"
#include "command/servers.h"
#include "worker/import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FILES_MAX 256           /* all are open at once */
#define START_TIMEOUT_MS 10000  /* for a server's first answer */
#define STUCK_MAX_MS 60000      /* without getting any further; then the import ends, to be run again, */
#define STUCK_ATTEMPTS_LEAST 2  /* but not after one attempt, which may have read for long to where the last one was */
#define AGAIN_PAUSE_MS 1000     /* before another attempt */
#define PROGRESS_MS 5000        /* between two lines that tell how far it is */
#define HASH_BYTES (1 << 20)    /* hashed at once */
#define FILE_BUFFER_BYTES 65536 /* read at once */

struct source {
    struct tagd_lines lines;
    struct stat seen; /* before it was hashed: it must be the same when all is read */
    bool has_head;    /* the last line read isn't taken yet: */
    struct tagd_str line;
    struct tagd_record record; /* in the import's arena, until the next flush */
    struct tagd_event *event;
};

struct run {
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    const char *until_text;
    bool create_topics;
    struct source *sources;
    size_t n_sources;
    struct tagd_event_rules rules;
    struct tagd_import_config with;
    struct tagd_notes notes;
    struct tagd_head *heads;
    struct tagd_io *io;
    struct tagd_import *import; /* the present attempt */
    uint64_t taken, told;       /* lines taken by this attempt; bad ones among the first so many are told already */
    int64_t started_ms, progress_ms;
};

static void tell(void *to, const struct tagd_note *note)
{
    (void)to;
    fprintf(stderr, "tagd: %s\n", note->text);
}

/* ---- files ---- */

static int open_file(struct run *run, const char *path)
{
    struct source *source = &run->sources[run->n_sources];
    source->lines.path = path;
    source->lines.file = fopen(path, "r");
    if (source->lines.file == NULL)
        return tagd_command_error(TAGD_EXIT_DATA, "%s: %s; expected events in a readable file, one JSON a line", path,
                                  strerror(errno));
    run->n_sources++;
    setvbuf(source->lines.file, NULL, _IOFBF, FILE_BUFFER_BYTES);
    if (fstat(fileno(source->lines.file), &source->seen) != 0 || !S_ISREG(source->seen.st_mode))
        return tagd_command_error(TAGD_EXIT_DATA,
                                  "%s: not a file that can be read again, as an import that was interrupted must; "
                                  "write the events to a file first",
                                  path);
    for (const struct source *other = run->sources; other < source; other++)
        if (other->seen.st_dev == source->seen.st_dev && other->seen.st_ino == source->seen.st_ino)
            return tagd_command_error(TAGD_EXIT_USAGE, "%s and %s are the same file; name it once", other->lines.path,
                                      path);
    return TAGD_EXIT_OK;
}

/* The contents' hash, chained over chunks. */
static bool hash_file(FILE *file, char *chunk, struct tagd_hash128 *hash)
{
    size_t n;
    *hash = (struct tagd_hash128){0, 0};
    rewind(file);
    while ((n = fread(chunk, 1, HASH_BYTES, file)) > 0)
        *hash = tagd_hash_pair((struct tagd_str){(const char *)hash, sizeof(*hash)}, (struct tagd_str){chunk, n});
    return !ferror(file);
}

/* What the import is: the lines themselves, since names, sizes and times can stay the same when lines change, and all
 * that decides which of them count, for whom and as what. Going on with anything else would make a state that belongs
 * to no history. */
static int identify(struct run *run)
{
    const struct tagd_config *config = run->config;
    struct tagd_buf text = {0};
    int code = TAGD_EXIT_OK;
    char *chunk = tagd_xmalloc(HASH_BYTES);
    tagd_buf_printf(&text, "import 1\n%" PRId64 " %s %d %" PRId64 " %zu\n", run->with.before_ms,
                    tagd_catalog_hash(run->catalog), (int)run->with.partitioner, config->past_ms,
                    config->max_event_bytes);
    for (size_t i = 0; i < config->n_junk_subjects; i++) {
        tagd_buf_add_json(&text, config->junk_subjects[i]);
        tagd_buf_add_byte(&text, '\n');
    }
    for (size_t i = 0; i < run->n_sources && code == TAGD_EXIT_OK; i++) {
        struct tagd_hash128 hash;
        if (!hash_file(run->sources[i].lines.file, chunk, &hash))
            code = tagd_command_error(TAGD_EXIT_DATA, "%s: %s", run->sources[i].lines.path, strerror(errno));
        tagd_buf_printf(&text, "file %016" PRIx64 "%016" PRIx64 "\n", hash.hi, hash.lo);
    }
    struct tagd_hash128 hash = tagd_hash_pair((struct tagd_str){text.p, text.n}, TAGD_STR(""));
    snprintf(run->with.identity, sizeof(run->with.identity), "%016" PRIx64 "%016" PRIx64, hash.hi, hash.lo);
    tagd_buf_free(&text);
    free(chunk);
    return code;
}

static bool is_unchanged(const struct source *source)
{
    struct stat now;
    return fstat(fileno(source->lines.file), &now) == 0 && now.st_size == source->seen.st_size &&
           now.st_mtim.tv_sec == source->seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == source->seen.st_mtim.tv_nsec;
}

static int check_unchanged(const struct run *run)
{
    for (size_t i = 0; i < run->n_sources; i++)
        if (!is_unchanged(&run->sources[i]))
            return tagd_command_error(TAGD_EXIT_DATA,
                                      "%s: it changed while it was imported, so nobody knows what was read; import it, "
                                      "once nobody writes to it, with a new \"group\" and \"redis.prefix\"",
                                      run->sources[i].lines.path);
    return TAGD_EXIT_OK;
}

/* ---- lines ---- */

static void show_progress(struct run *run)
{
    int64_t now = tagd_io_mono_ms();
    if (now - run->progress_ms < PROGRESS_MS)
        return;
    struct tagd_import_counts counts = tagd_import_counts(run->import);
    double seconds = (double)(now - run->started_ms) / 1000;
    run->progress_ms = now;
    fprintf(stderr,
            "tagd: import: %" PRIu64 " lines, %" PRIu64 " events, %" PRIu64 " customers in %.0f s, %.0f lines/s\n",
            counts.lines, counts.events, counts.customers, seconds, (double)counts.lines / seconds);
}

/* The line must outlive the reader's buffer: a batch holds it until the flush. */
static void decode(struct run *run, struct source *source)
{
    struct tagd_arena *arena = tagd_import_arena(run->import);
    source->record = tagd_line_record(tagd_arena_copy(arena, source->line.p, source->line.n));
    source->event = tagd_arena_alloc(arena, sizeof(*source->event));
    tagd_event_decode(&run->rules, &source->record, 0, arena, source->event);
}

/* The source's head is taken; a full batch is flushed, and with it goes what the other heads were decoded into. */
static enum tagd_import_result take(struct run *run, struct source *source, struct tagd_error *error)
{
    if (source->event->code != TAGD_EVENT_OK && run->taken >= run->told)
        tagd_line_report(source->lines.path, source->lines.number, source->event);
    if (++run->taken > run->told)
        run->told = run->taken;
    source->has_head = false;
    tagd_import_take(run->import, &source->record, source->event);
    if (!tagd_import_full(run->import))
        return TAGD_IMPORT_OK;
    enum tagd_import_result result = tagd_import_flush(run->import, error);
    show_progress(run);
    for (size_t i = 0; i < run->n_sources && result == TAGD_IMPORT_OK; i++)
        if (run->sources[i].has_head)
            decode(run, &run->sources[i]);
    return result;
}

/* The source's next head. Lines at or after --until take no part in the merge, so that one of them that stands too
 * early holds up nothing. */
static enum tagd_import_result advance(struct run *run, struct source *source, struct tagd_error *error)
{
    enum tagd_import_result result = TAGD_IMPORT_OK;
    while (result == TAGD_IMPORT_OK && tagd_lines_next(&source->lines, &source->line)) {
        decode(run, source);
        source->has_head = true;
        if (!source->event->has_time || source->event->time_ms < run->with.before_ms)
            return result;
        result = take(run, source, error);
    }
    if (result == TAGD_IMPORT_OK && source->lines.error) {
        tagd_fail(error, "%s: reading stopped after line %" PRIu64 ": %s", source->lines.path, source->lines.number,
                  strerror(source->lines.error));
        return TAGD_IMPORT_REFUSED;
    }
    return result;
}

/* The head that comes first by event time; ties in the order of the command line. One without a usable time waits for
 * nothing. */
static struct source *first_head(struct run *run)
{
    struct source *best = NULL;
    int64_t best_ms = 0;
    for (struct source *source = run->sources; source < run->sources + run->n_sources; source++) {
        if (!source->has_head)
            continue;
        int64_t at = source->event->has_time ? source->event->time_ms : INT64_MIN;
        if (best != NULL && at >= best_ms)
            continue;
        best = source;
        best_ms = at;
    }
    return best;
}

static enum tagd_import_result read_all(struct run *run, struct tagd_error *error)
{
    enum tagd_import_result result = TAGD_IMPORT_OK;
    for (size_t i = 0; i < run->n_sources && result == TAGD_IMPORT_OK; i++) {
        tagd_lines_rewind(&run->sources[i].lines);
        run->sources[i].has_head = false;
    }
    for (size_t i = 0; i < run->n_sources && result == TAGD_IMPORT_OK; i++)
        result = advance(run, &run->sources[i], error);
    for (struct source *source; result == TAGD_IMPORT_OK && (source = first_head(run)) != NULL;) {
        result = take(run, source, error);
        if (result == TAGD_IMPORT_OK)
            result = advance(run, source, error);
    }
    return result;
}

/* ---- attempts ---- */

static void tell_start(const struct run *run)
{
    uint64_t lines = 0;
    uint32_t begun = 0, finished = 0;
    for (uint32_t i = 0; i < run->with.partitions; i++) {
        begun += run->heads[i].exists;
        finished += run->heads[i].baseline.finished;
        lines = run->heads[i].baseline.lines > lines ? run->heads[i].baseline.lines : lines;
    }
    if (finished == run->with.partitions)
        fprintf(stderr, "tagd: this import is complete already; its lines are counted once more\n");
    else if (begun > 0)
        fprintf(stderr, "tagd: the import goes on after line %" PRIu64 "\n", lines);
}

static int summary(const struct run *run)
{
    struct tagd_import_counts counts = tagd_import_counts(run->import);
    printf("imported: %" PRIu64 " lines: %" PRIu64 " events applied, %" PRIu64 " duplicates, %" PRIu64
           " ignored (types the catalog does not declare), %" PRIu64 " at or after %s, %" PRIu64 " bad; %" PRIu64
           " customers in %" PRIu64 " of %" PRIu32 " shards, %.1f s\n",
           counts.lines, counts.events, counts.duplicates, counts.ignored, counts.after, run->until_text, counts.bad,
           counts.customers, counts.shards, run->with.partitions, (double)(tagd_io_mono_ms() - run->started_ms) / 1000);
    if (fflush(stdout) != 0)
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "can't write to standard output; see where it leads");
    if (counts.bad == 0)
        return TAGD_EXIT_OK;
    return tagd_command_error(TAGD_EXIT_DATA,
                              "the import is complete, without %" PRIu64 " bad lines, told above; if they matter, "
                              "correct them and import with a new \"group\" and \"redis.prefix\"",
                              counts.bad);
}

/* One attempt from the first line. */
static enum tagd_import_result attempt(struct run *run, int *code, struct tagd_error *error)
{
    tagd_import_free(run->import);
    run->import = tagd_import_new(&run->with, tagd_io_port(run->io));
    run->taken = 0;
    if (tagd_io_heads(run->config, run->with.partitions, 0, NULL, run->heads, error) != TAGD_IO_OK)
        return TAGD_IMPORT_AGAIN;
    enum tagd_import_result result = tagd_import_begin(run->import, run->heads, error);
    if (result != TAGD_IMPORT_OK)
        return result;
    result = read_all(run, error);
    if (result != TAGD_IMPORT_OK)
        return result;
    *code = check_unchanged(run);
    return *code == TAGD_EXIT_OK ? tagd_import_finish(run->import, error) : TAGD_IMPORT_OK;
}

static int attempts(struct run *run)
{
    int64_t stuck_since_ms = tagd_io_mono_ms();
    for (unsigned stuck = 1;; stuck++) {
        struct tagd_error error;
        int code = TAGD_EXIT_OK;
        switch (attempt(run, &code, &error)) {
        case TAGD_IMPORT_OK: return code == TAGD_EXIT_OK ? summary(run) : code;
        case TAGD_IMPORT_REFUSED: return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
        case TAGD_IMPORT_TAKEN:
            return tagd_command_error(TAGD_EXIT_UNAVAILABLE,
                                      "%s: \"tagd run\", or a second import, works on the same group; stop it, and run "
                                      "this import again: it goes on where it stopped",
                                      error.text);
        case TAGD_IMPORT_AGAIN: break;
        }
        if (tagd_import_commits(run->import) > 0) {
            stuck_since_ms = tagd_io_mono_ms();
            stuck = 0;
        }
        if (stuck >= STUCK_ATTEMPTS_LEAST && tagd_io_mono_ms() - stuck_since_ms >= STUCK_MAX_MS)
            return tagd_command_error(TAGD_EXIT_UNAVAILABLE,
                                      "%s; see to it, and run the import again: it goes on where it stopped",
                                      error.text);
        fprintf(stderr, "tagd: %s; trying again\n", error.text);
        nanosleep(&(struct timespec){AGAIN_PAUSE_MS / 1000, 0}, NULL);
    }
}

/* ---- checks ---- */

/* One partitioner for all sources, and a known one: it says where each line's customer is. */
static int find_partitioner(struct run *run)
{
    const struct tagd_config *config = run->config;
    run->with.partitioner = config->sources[0].partitioner;
    for (size_t i = 0; i < config->n_sources; i++) {
        if (config->sources[i].partitioner == TAGD_NO_PARTITIONER)
            return tagd_command_error(TAGD_EXIT_CONFIG,
                                      "topic \"%s\" has the partitioner \"none\", so nobody knows which shard a line's "
                                      "customer is in; name the one its producers use, \"murmur2\" or \"crc32\"",
                                      config->sources[i].topic);
        if (config->sources[i].partitioner != run->with.partitioner)
            return tagd_command_error(
                TAGD_EXIT_CONFIG,
                "topics \"%s\" and \"%s\" have different partitioners, so a line's customer is in "
                "two shards; history can go only into sources that agree",
                config->sources[0].topic, config->sources[i].topic);
    }
    return TAGD_EXIT_OK;
}

static int check_until(const struct run *run)
{
    if (run->config->time_events || run->with.before_ms <= tagd_io_wall_ms())
        return TAGD_EXIT_OK;
    return tagd_command_error(TAGD_EXIT_USAGE,
                              "--until %s has not come yet: the daemon would ignore all events until then; name a time "
                              "that the topics reach back to",
                              run->until_text);
}

static int check_servers(struct run *run)
{
    struct tagd_error error;
    enum tagd_io_result result = tagd_io_check_topics(run->config, run->create_topics, START_TIMEOUT_MS, &run->notes,
                                                      &run->with.partitions, &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    run->heads = tagd_xcalloc(run->with.partitions, sizeof(*run->heads));
    run->io = tagd_io_store_new(run->config, run->with.partitions, START_TIMEOUT_MS, &run->notes, &result, &error);
    if (run->io == NULL)
        return tagd_servers_error(result, &error);
    result = tagd_io_heads(run->config, run->with.partitions, START_TIMEOUT_MS, NULL, run->heads, &error);
    if (result == TAGD_IO_OK)
        result =
            tagd_io_check_unused(run->config, run->with.partitions, run->heads, START_TIMEOUT_MS, &run->notes, &error);
    return result == TAGD_IO_OK ? TAGD_EXIT_OK : tagd_servers_error(result, &error);
}

static void configure(struct run *run)
{
    const struct tagd_config *config = run->config;
    run->rules = tagd_line_rules(run->catalog);
    run->rules.max_bytes = config->max_event_bytes;
    run->rules.past_ms = config->past_ms;
    run->rules.junk = tagd_junk_of(config->junk_subjects, config->n_junk_subjects);
    run->with.catalog = run->catalog;
    run->with.group = config->group;
    run->with.n_topics = (uint32_t)config->n_sources;
    run->with.horizon_ms = config->horizon_ms;
    run->with.batch_events_max = config->batch_events;
    run->with.batch_bytes_max = config->batch_bytes;
}

static int run_import(struct run *run, const char *path, char *const *files, size_t n_files)
{
    struct tagd_error error;
    int code = tagd_command_load(path, &run->config, &run->catalog);
    if (code != TAGD_EXIT_OK)
        return code;
    configure(run);
    if ((code = find_partitioner(run)) != TAGD_EXIT_OK || (code = check_until(run)) != TAGD_EXIT_OK)
        return code;
    if (run->config->start_latest)
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s: " TAGD_LATEST_AFTER_HISTORY, path);
    run->sources = tagd_xcalloc(n_files, sizeof(*run->sources));
    for (size_t i = 0; i < n_files; i++)
        if ((code = open_file(run, files[i])) != TAGD_EXIT_OK)
            return code;
    if ((code = check_servers(run)) != TAGD_EXIT_OK || (code = identify(run)) != TAGD_EXIT_OK)
        return code;
    if (!tagd_import_may(&run->with, run->heads, &error))
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    tell_start(run);
    return attempts(run);
}

static int check_command_line(const char *path, const char *until, char *const *files, size_t n_files, int64_t *ms)
{
    if (path == NULL || until == NULL || n_files == 0)
        return tagd_command_error(
            TAGD_EXIT_USAGE,
            "import wants --config FILE, --until TIME and files of events; tagd import --help shows how");
    if (n_files > FILES_MAX)
        return tagd_command_error(TAGD_EXIT_USAGE, "%zu files; at most %d are taken: join some, in order of time",
                                  n_files, FILES_MAX);
    if (!tagd_time_parse(tagd_str_of(until), ms))
        return tagd_command_error(TAGD_EXIT_USAGE, "--until \"%s\": expected a time such as 2026-11-23T10:00:00Z",
                                  until);
    for (size_t i = 0; i < n_files; i++)
        if (strcmp(files[i], "-") == 0)
            return tagd_command_error(TAGD_EXIT_USAGE,
                                      "standard input can't be read again, as an import that was interrupted must; "
                                      "write the events to a file first");
    return TAGD_EXIT_OK;
}

int tagd_command_import(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    const char *path = NULL;
    char **files = tagd_xcalloc((size_t)argc, sizeof(*files));
    size_t n_files = 0;
    struct run run = {.notes = {tell, NULL}};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--until"))
            run.until_text = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--create-topics"))
            run.create_topics = true;
        else if (tagd_options_is(&options, NULL))
            files[n_files++] = options.word;
        else
            tagd_options_unknown(&options);
    }
    int code = options.failed ? TAGD_EXIT_USAGE
                              : check_command_line(path, run.until_text, files, n_files, &run.with.before_ms);
    run.started_ms = run.progress_ms = tagd_io_mono_ms();
    if (code == TAGD_EXIT_OK)
        code = run_import(&run, path, files, n_files);
    for (size_t i = 0; i < run.n_sources; i++) {
        fclose(run.sources[i].lines.file);
        tagd_lines_free(&run.sources[i].lines);
    }
    tagd_import_free(run.import);
    tagd_io_free(run.io);
    free(run.heads);
    free(run.sources);
    free(files);
    tagd_catalog_free(run.catalog);
    tagd_config_free(run.config);
    return code;
}
