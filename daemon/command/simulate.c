/* tagd simulate: a catalog tried on a file. One shard, "time": "events", grace 0; customers live in memory in the same
 * binary form that the daemon stores, behind the same engine. */
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command/command.h"
#include "command/ids.h"
#include "command/lines.h"
#include "command/load.h"
#include "command/portrait.h"
#include "population/population.h"
#include "tagd/emit.h"

#define HORIZON_MS (400 * (int64_t)TAGD_MS_DAY)
#define OUT_BYTES (1 << 18) /* written out past it */
#define AHEAD 16            /* lines that are decoded before the first of them is applied */
#define CACHE_LINE 64

struct customer {
    char *bytes;
    uint32_t n, cap;
    int64_t armed; /* the earliest entry of the heap; TAGD_NEVER: none */
};
struct timer {
    int64_t at;
    uint32_t customer;
};

struct simulation {
    struct tagd_catalog *catalog;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_event_rules rules;
    struct tagd_emit emit;
    struct tagd_arena arena;
    struct tagd_buf bytes; /* of the customer that is closed */
    struct tagd_ids ids;   /* of the customers, by index */
    struct customer *customers;
    uint32_t n_customers, cap_customers;
    struct timer *heap;
    uint32_t n_heap, cap_heap;
    struct tagd_buf out;
    struct tagd_str subject;
    int64_t time_ms; /* the shard's */
    struct tagd_members *members;
    struct tagd_tally tally; /* from the beginning: the population itself */
    bool began;              /* the present customer has no profile yet */
    uint64_t lines, bad, changes;
    bool progress;
    time_t shown;
    bool broken_pipe;
};

/* ---- customers ---- */

static uint32_t customer_of(struct simulation *sim, struct tagd_str id, uint64_t hash)
{
    uint32_t index = tagd_ids_number(&sim->ids, id, hash);
    if (index == sim->n_customers) {
        if (sim->n_customers == sim->cap_customers) {
            sim->cap_customers = sim->cap_customers ? sim->cap_customers * 2 : 256;
            sim->customers = tagd_xrealloc(sim->customers, sim->cap_customers * sizeof *sim->customers);
        }
        sim->customers[sim->n_customers++] = (struct customer){.armed = TAGD_NEVER};
    }
    return index;
}

/* ---- timers: a heap by instant, then by customer, so that the output is a function of the input ---- */

static bool before(struct timer a, struct timer b)
{
    return a.at != b.at ? a.at < b.at : a.customer < b.customer;
}

static void heap_push(struct simulation *sim, struct timer timer)
{
    if (sim->n_heap == sim->cap_heap) {
        sim->cap_heap = sim->cap_heap ? sim->cap_heap * 2 : 256;
        sim->heap = tagd_xrealloc(sim->heap, sim->cap_heap * sizeof *sim->heap);
    }
    uint32_t i = sim->n_heap++;
    while (i > 0 && before(timer, sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = timer;
}

static struct timer heap_pop(struct simulation *sim)
{
    struct timer top = sim->heap[0], last = sim->heap[--sim->n_heap];
    uint32_t i = 0;
    for (uint32_t child = 1; child < sim->n_heap; child = 2 * i + 1) {
        if (child + 1 < sim->n_heap && before(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!before(sim->heap[child], last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return top;
}

/* ---- work ---- */

static void flush(struct simulation *sim)
{
    if (sim->out.n && fwrite(sim->out.p, 1, sim->out.n, stdout) != sim->out.n)
        sim->broken_pipe = true;
    sim->out.n = 0;
}

static void on_change(void *self, const struct tagd_change *change)
{
    struct simulation *sim = self;
    tagd_emit_change(&sim->emit, sim->subject, change, &sim->out);
    tagd_buf_add_byte(&sim->out, '\n');
    sim->changes++;
    if (sim->out.n >= OUT_BYTES)
        flush(sim);
}

static void open_customer(struct simulation *sim, uint32_t index)
{
    struct customer *customer = &sim->customers[index];
    struct tagd_error error;
    sim->subject = sim->ids.ids[index];
    sim->began = customer->n == 0;
    if (customer->n == 0) {
        tagd_profile_clear(sim->profile);
    } else if (!tagd_profile_decode(sim->profile, (struct tagd_str){customer->bytes, customer->n}, &error)) {
        fprintf(stderr, "tagd: bug: %s\n", error.text);
        exit(TAGD_EXIT_BUG);
    }
}

static void keep(struct customer *customer, const struct tagd_buf *bytes)
{
    if (bytes->n > customer->cap) {
        customer->cap = (uint32_t)(bytes->n + bytes->n / 4);
        free(customer->bytes);
        customer->bytes = tagd_xmalloc(customer->cap);
    }
    memcpy(customer->bytes, bytes->p, bytes->n);
    customer->n = (uint32_t)bytes->n;
}

static void close_customer(struct simulation *sim, uint32_t index)
{
    struct customer *customer = &sim->customers[index];
    if (!tagd_profile_exists(sim->profile))
        return;
    sim->bytes.n = 0;
    tagd_profile_encode(sim->profile, &sim->bytes);
    keep(customer, &sim->bytes);
    tagd_tally_customer(&sim->tally, sim->subject, sim->profile, sim->began);
    sim->tally.n_moves = 0; /* nobody asks for them */
    int64_t due = tagd_profile_due(sim->profile);
    if (due < customer->armed) {
        customer->armed = due;
        heap_push(sim, (struct timer){due, index});
    }
}

/* Time runs to `to`, included, for every customer, in order of instants. */
static void run_time(struct simulation *sim, int64_t to)
{
    struct tagd_sink sink = {sim, on_change};
    while (sim->n_heap && sim->heap[0].at <= to) {
        struct timer timer = heap_pop(sim);
        struct customer *customer = &sim->customers[timer.customer];
        if (customer->armed != timer.at)
            continue;
        customer->armed = TAGD_NEVER;
        open_customer(sim, timer.customer);
        tagd_engine_advance(sim->engine, sim->profile, timer.at, sink);
        close_customer(sim, timer.customer);
    }
}

static void show_progress(struct simulation *sim)
{
    time_t now = time(NULL);
    if (now == sim->shown)
        return;
    sim->shown = now;
    char text[TAGD_TIME_TEXT] = "-";
    if (sim->time_ms != INT64_MIN)
        tagd_time_format(sim->time_ms, text);
    fprintf(stderr, "\r%llu events, %u customers, %llu changes, at %s ", (unsigned long long)sim->lines,
            sim->n_customers, (unsigned long long)sim->changes, text);
}

/* A line that was read ahead. */
struct ahead {
    struct tagd_line line;
    struct tagd_event event;
    uint64_t hash;     /* of its customer */
    uint32_t customer; /* probably */
};

/* What is known of their customers is asked for at once, so that nobody waits for memory at each of them. */
static void look_ahead(struct simulation *sim, struct ahead *ahead, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct tagd_record record = tagd_line_record(ahead[i].line.text);
        tagd_event_decode(&sim->rules, &record, 0, &sim->arena, &ahead[i].event);
        ahead[i].hash = tagd_hash64(ahead[i].event.subject);
        tagd_ids_prefetch(&sim->ids, ahead[i].hash);
    }
    for (size_t i = 0; i < n; i++) {
        ahead[i].customer = tagd_ids_probably(&sim->ids, ahead[i].hash);
        if (ahead[i].customer < sim->n_customers)
            __builtin_prefetch(&sim->customers[ahead[i].customer]);
    }
    for (size_t i = 0; i < n; i++) {
        if (ahead[i].customer >= sim->n_customers)
            continue;
        __builtin_prefetch(sim->ids.ids[ahead[i].customer].p);
        __builtin_prefetch(sim->customers[ahead[i].customer].bytes);
        __builtin_prefetch(sim->customers[ahead[i].customer].bytes + CACHE_LINE);
    }
}

static void take_event(struct simulation *sim, const struct ahead *ahead)
{
    const struct tagd_event *event = &ahead->event;
    sim->lines = ahead->line.number;
    if (event->has_time && event->time_ms > sim->time_ms)
        sim->time_ms = event->time_ms;
    run_time(sim, sim->time_ms);
    if (event->code != TAGD_EVENT_OK) {
        tagd_line_report(NULL, sim->lines, event);
        sim->bad++;
        return;
    }
    if (event->type == TAGD_TYPE_UNDECLARED)
        return;
    uint32_t index = customer_of(sim, event->subject, ahead->hash);
    open_customer(sim, index);
    tagd_engine_apply(sim->engine, sim->profile, event, sim->time_ms, (struct tagd_sink){sim, on_change});
    close_customer(sim, index);
    if (sim->progress && sim->lines % 1024 == 0)
        show_progress(sim);
}

static void read_lines(struct simulation *sim, struct tagd_lines *lines)
{
    struct tagd_line some[AHEAD];
    struct ahead *ahead = tagd_xmalloc(AHEAD * sizeof *ahead);
    size_t n;
    while (!sim->broken_pipe && (n = tagd_lines_some(lines, some, AHEAD)) > 0) {
        tagd_arena_reset(&sim->arena);
        for (size_t i = 0; i < n; i++)
            ahead[i].line = some[i];
        look_ahead(sim, ahead, n);
        for (size_t i = 0; i < n && !sim->broken_pipe; i++)
            take_event(sim, &ahead[i]);
    }
    free(ahead);
}

static void simulation_free(struct simulation *sim)
{
    for (uint32_t i = 0; i < sim->n_customers; i++)
        free(sim->customers[i].bytes);
    tagd_buf_free(&sim->bytes);
    free(sim->customers);
    free(sim->heap);
    tagd_buf_free(&sim->out);
    tagd_arena_free(&sim->arena);
    tagd_ids_free(&sim->ids);
    tagd_tally_free(&sim->tally);
    tagd_emit_free(&sim->emit);
    tagd_members_free(sim->members);
    tagd_profile_free(sim->profile);
    tagd_engine_free(sim->engine);
    tagd_catalog_free(sim->catalog);
}

static struct tagd_population_info info_of(const struct simulation *sim, const int64_t *until)
{
    return (struct tagd_population_info){.as_of_ms = until && *until > sim->time_ms ? *until : sim->time_ms,
                                         .shards = 1};
}

static int write_out(FILE *file, struct tagd_buf *out, const char *what)
{
    bool written = fwrite(out->p, 1, out->n, file) == out->n && fflush(file) == 0;
    tagd_buf_free(out);
    return written ? TAGD_EXIT_OK
                   : tagd_command_error(TAGD_EXIT_UNAVAILABLE, "can't write the %s: %s", what, strerror(errno));
}

/* Of the one shard that there is, with all that is listed anywhere. */
static int write_population(struct simulation *sim, FILE *file, const int64_t *until)
{
    struct tagd_population_query query = {.dimension = -1,
                                          .breakdown = TAGD_ALL_BREAKDOWNS,
                                          .days = TAGD_POPULATION_DAYS,
                                          .months = TAGD_POPULATION_MONTHS,
                                          .tags_max = SIZE_MAX};
    struct tagd_population_info info = info_of(sim, until);
    struct tagd_buf out = {0};
    tagd_population_report(sim->catalog, &sim->tally.counts, &query, &info, &out);
    tagd_buf_add_byte(&out, '\n');
    return write_out(file, &out, "population");
}

/* The same, as a portrait; measures are those of the end. */
static int write_report(struct simulation *sim, FILE *file, const struct tagd_portrait_options *options,
                        const int64_t *until)
{
    struct tagd_population_info info = info_of(sim, until);
    struct tagd_buf out = {0};
    struct tagd_portrait *portrait =
        tagd_portrait_new(sim->catalog, &sim->tally.counts, &info, options->days, options->language);
    for (uint32_t i = 0; i < sim->n_customers && tagd_catalog_n_measures(sim->catalog) > 0; i++) {
        if (sim->customers[i].n == 0)
            continue;
        open_customer(sim, i);
        tagd_engine_view(sim->engine, sim->profile, info.as_of_ms);
        tagd_portrait_add(portrait, sim->engine, sim->profile);
    }
    tagd_portrait_write(portrait, options->format, &out);
    tagd_portrait_free(portrait);
    return write_out(file, &out, "report");
}

/* What is wanted besides the changes; files NULL: not. */
struct wanted {
    const char *population, *report;
    FILE *population_file, *report_file;
    struct tagd_portrait_options options;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The report's format is by its name, unless it is said. */
static int check_wanted(struct wanted *wanted, const char *events)
{
    static const char *const endings[] = {
        [TAGD_REPORT_MARKDOWN] = ".md", [TAGD_REPORT_HTML] = ".html", [TAGD_REPORT_JSON] = ".json"};
    if (!wanted->report && wanted->options.given)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "--period, --format and --language are of a report: name it with --report FILE");
    bool known = wanted->options.format_given || !wanted->report;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]) && !known; i++) {
        known = ends_with(wanted->report, endings[i]);
        wanted->options.format = (enum tagd_report_format)i;
    }
    if (!known)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "--report \"%s\": expected a name that ends in .html, .md or .json, or --format",
                                  wanted->report);
    const char *files[] = {events, wanted->population, wanted->report};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = i + 1; k < 3; k++)
            if (files[i] && files[k] && strcmp(files[i], files[k]) == 0)
                return tagd_command_error(TAGD_EXIT_USAGE, "\"%s\" stands twice: expected another file for each",
                                          files[i]);
    return TAGD_EXIT_OK;
}

static int open_wanted(struct wanted *wanted)
{
    if (wanted->population && !(wanted->population_file = fopen(wanted->population, "w")))
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "%s: %s; --population wants a file that can be written",
                                  wanted->population, strerror(errno));
    if (wanted->report && !(wanted->report_file = fopen(wanted->report, "w")))
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "%s: %s; --report wants a file that can be written",
                                  wanted->report, strerror(errno));
    return TAGD_EXIT_OK;
}

static void close_wanted(struct wanted *wanted)
{
    if (wanted->population_file)
        fclose(wanted->population_file);
    if (wanted->report_file)
        fclose(wanted->report_file);
}

static int simulate(struct simulation *sim, const char *events, const int64_t *until, struct wanted *wanted)
{
    struct tagd_lines lines;
    if (!tagd_lines_open(&lines, events))
        return TAGD_EXIT_DATA;
    int opened = open_wanted(wanted);
    if (opened != TAGD_EXIT_OK) {
        tagd_lines_close(&lines);
        return opened;
    }
    read_lines(sim, &lines);
    if (until)
        run_time(sim, *until);
    flush(sim);
    if (sim->progress)
        fputs("\r\033[K", stderr);
    bool read = tagd_lines_close(&lines);
    if (sim->broken_pipe || fflush(stdout) != 0)
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "can't write to standard output; see where it leads");
    int code = wanted->population_file ? write_population(sim, wanted->population_file, until) : TAGD_EXIT_OK;
    if (code == TAGD_EXIT_OK && wanted->report_file)
        code = write_report(sim, wanted->report_file, &wanted->options, until);
    return code != TAGD_EXIT_OK ? code : read && !sim->bad ? TAGD_EXIT_OK : TAGD_EXIT_DATA;
}

int tagd_command_simulate(int argc, char **argv)
{
    const char *catalog = NULL, *until_text = NULL, *events = NULL;
    struct wanted wanted = {.options = tagd_portrait_options_new()};
    struct tagd_options options = {.argc = argc, .argv = argv};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--catalog"))
            catalog = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--until"))
            until_text = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--population"))
            wanted.population = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--report"))
            wanted.report = tagd_options_value(&options);
        else if (tagd_portrait_option(&wanted.options, &options))
            continue;
        else if (tagd_options_is(&options, NULL) && !events)
            events = options.word;
        else
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    int64_t until = 0;
    if (!catalog)
        return tagd_command_error(TAGD_EXIT_USAGE, "simulate wants --catalog FILE; tagd simulate --help shows how");
    if (until_text && !tagd_time_parse(tagd_str_of(until_text), &until))
        return tagd_command_error(TAGD_EXIT_USAGE, "--until \"%s\": expected a time such as 2026-11-23T10:00:00Z",
                                  until_text);
    int wrong = check_wanted(&wanted, events);
    if (wrong != TAGD_EXIT_OK)
        return wrong;
    struct tagd_error error;
    struct simulation sim = {.time_ms = INT64_MIN, .progress = isatty(2) && !isatty(1)};
    sim.catalog = tagd_command_load_catalog(catalog, &error);
    if (!sim.catalog)
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    sim.engine = tagd_engine_new(sim.catalog, HORIZON_MS);
    sim.profile = tagd_profile_new(sim.catalog);
    sim.members = tagd_members_new(sim.catalog);
    tagd_tally_begin(&sim.tally, sim.members);
    if (wanted.population || wanted.report)
        tagd_engine_watch(sim.engine, tagd_tally_watcher(&sim.tally));
    sim.rules = tagd_line_rules(sim.catalog);
    sim.emit = (struct tagd_emit){.catalog = sim.catalog, .group = "tagd", .recorded_ms = -1, .caught_up = true};
    tagd_emit_prepare(&sim.emit);
    int code = simulate(&sim, events ? events : "-", until_text ? &until : NULL, &wanted);
    close_wanted(&wanted);
    simulation_free(&sim);
    return code;
}
