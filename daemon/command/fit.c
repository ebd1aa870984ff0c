/* tagd fit: a churn model's parameters from a file of purchases. A day with a purchase counts once, and all is measured from
 * local midnight to local midnight, as analysts' tools do. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/command.h"
#include "command/ids.h"
#include "command/lines.h"
#include "fit/fit.h"
#include "tagd/catalog.h"

struct purchase {
    uint32_t customer;
    int32_t day; /* local, since 1970-01-01 */
};

struct history {
    struct tagd_catalog *catalog; /* declares the purchases' type and nothing else */
    struct tagd_event_rules rules;
    int64_t zone_ms, until_ms; /* until_ms: without --until the latest event's time so far */
    bool until_given;
    struct tagd_ids ids;
    struct tagd_arena arena;
    struct purchase *purchases;
    size_t n, cap;
    struct tagd_model_group *groups;
    size_t n_groups;
    bool bad; /* some lines were no usable events */
};

/* ---- reading ---- */

static struct tagd_catalog *catalog_of(const char *event)
{
    struct tagd_buf text = {0};
    tagd_buf_add_z(&text, "{\"catalog\":\"fit\",\"version\":\"1\",\"events\":{");
    tagd_buf_add_json(&text, tagd_str_of(event));
    tagd_buf_add_z(&text, ":{}},\"dimensions\":{}}");
    struct tagd_catalog *catalog = tagd_catalog_load("", text.p, text.n, NULL);
    tagd_buf_free(&text);
    return catalog;
}

static void take_line(struct history *history, uint64_t number, struct tagd_str line)
{
    struct tagd_record record = tagd_line_record(line);
    struct tagd_event event;
    tagd_arena_reset(&history->arena);
    tagd_event_decode(&history->rules, &record, 0, &history->arena, &event);
    if (event.code != TAGD_EVENT_OK) {
        tagd_line_report(NULL, number, &event);
        history->bad = true;
        return;
    }
    if (event.time_ms > history->until_ms) {
        if (history->until_given)
            return;
        history->until_ms = event.time_ms;
    }
    if (event.type < 0)
        return;
    if (history->n == history->cap) {
        history->cap = history->cap ? history->cap * 2 : 1024;
        history->purchases = tagd_xrealloc(history->purchases, history->cap * sizeof *history->purchases);
    }
    history->purchases[history->n++] =
        (struct purchase){.customer = tagd_ids_number(&history->ids, event.subject, tagd_hash64(event.subject)),
                          .day = (int32_t)tagd_floor_div(event.time_ms + history->zone_ms, TAGD_MS_DAY)};
}

static bool read_events(struct history *history, const char *path)
{
    struct tagd_lines lines;
    struct tagd_str line;
    if (!tagd_lines_open(&lines, path))
        return false;
    while (tagd_lines_next(&lines, &line))
        take_line(history, lines.number, line);
    return tagd_lines_close(&lines);
}

/* ---- what the model knows of each customer ---- */

static int by_customer_and_day(const void *a, const void *b)
{
    const struct purchase *p = a, *q = b;
    if (p->customer != q->customer)
        return p->customer < q->customer ? -1 : 1;
    return p->day < q->day ? -1 : p->day > q->day;
}

static int by_x(const void *a, const void *b)
{
    const struct tagd_model_group *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    if (p->T != q->T)
        return p->T < q->T ? -1 : 1;
    return p->t_x < q->t_x ? -1 : p->t_x > q->t_x;
}

/* One group a customer; then customers alike are joined. */
static void make_groups(struct history *history)
{
    const struct purchase *purchases = history->purchases;
    int64_t today = tagd_floor_div(history->until_ms + history->zone_ms, TAGD_MS_DAY);
    struct tagd_model_group *groups = history->groups = tagd_xcalloc(history->ids.n + 1, sizeof *groups);
    size_t n = 0;
    qsort(history->purchases, history->n, sizeof *purchases, by_customer_and_day);
    for (size_t i = 0, end; i < history->n; i = end) {
        uint32_t x = 0;
        for (end = i + 1; end < history->n && purchases[end].customer == purchases[i].customer; end++)
            x += purchases[end].day != purchases[end - 1].day;
        groups[n++] = (struct tagd_model_group){.x = x,
                                                .t_x = (double)(purchases[end - 1].day - purchases[i].day) / 7,
                                                .T = (double)(today - purchases[i].day) / 7,
                                                .n = 1};
    }
    qsort(groups, n, sizeof *groups, by_x);
    for (size_t i = 0; i < n; i++) {
        struct tagd_model_group *last = history->n_groups ? &groups[history->n_groups - 1] : NULL;
        if (last && by_x(last, &groups[i]) == 0)
            last->n++;
        else
            groups[history->n_groups++] = groups[i];
    }
}

/* ---- the catalog's section ---- */

/* With so many significant digits, which say more than the standard errors leave; null: not known. */
static void add_number(struct tagd_buf *out, int digits, double value)
{
    if (isfinite(value))
        tagd_buf_printf(out, "%.*g", digits, value);
    else
        tagd_buf_add_z(out, "null");
}

static void add_counts(struct tagd_buf *out, const char *name, const double *counts, int decimals)
{
    tagd_buf_printf(out, "\"%s\": [", name);
    for (size_t i = 0; i < TAGD_FIT_ROWS; i++)
        tagd_buf_printf(out, "%s%.*f", i ? ", " : "", decimals, counts[i]);
    tagd_buf_add_byte(out, ']');
}

static void add_parameters(struct tagd_buf *out, int digits, const double values[4])
{
    static const char *const names[] = {"r", "alpha", "a", "b"};
    for (size_t i = 0; i < 4; i++) {
        tagd_buf_printf(out, "%s\"%s\": ", i ? ", " : "", names[i]);
        add_number(out, digits, values[i]);
    }
}

static void add_fit(struct tagd_buf *out, const struct tagd_fit *fit, int64_t until_ms)
{
    char until[TAGD_TIME_TEXT];
    tagd_time_format(until_ms, until);
    tagd_buf_printf(out, "      \"log_likelihood\": %.3f,\n", fit->log_likelihood);
    tagd_buf_printf(out, "      \"customers\": %llu, \"repeat_customers\": %llu, \"until\": \"%s\",\n",
                    (unsigned long long)fit->customers, (unsigned long long)fit->repeat_customers, until);
    tagd_buf_add_z(out, "      \"standard_errors\": {");
    add_parameters(out, 3, fit->standard_errors);
    tagd_buf_add_z(out, "},\n      \"repeat_purchases\": {\n        ");
    add_counts(out, "actual", fit->actual, 0);
    tagd_buf_add_z(out, ",\n        ");
    add_counts(out, "expected", fit->expected, 1);
    tagd_buf_printf(out, ",\n        \"chi_square\": %.2f, \"degrees_of_freedom\": %u, \"p_value\": ", fit->chi_square,
                    fit->degrees_of_freedom);
    add_number(out, 3, fit->p_value);
    tagd_buf_add_z(out, "\n      },\n      \"warnings\": [");
    for (size_t i = 0; i < fit->n_warnings; i++) {
        tagd_buf_add_z(out, i ? ",\n        " : "\n        ");
        tagd_buf_add_json(out, tagd_str_of(fit->warnings[i]));
    }
    tagd_buf_add_z(out, fit->n_warnings ? "\n      ]\n" : "]\n");
}

static void print_section(const struct tagd_fit *fit, const char *event, int64_t until_ms)
{
    const double values[] = {fit->model.r, fit->model.alpha, fit->model.a, fit->model.b};
    struct tagd_buf out = {0};
    tagd_buf_printf(&out,
                    "{\n  \"churn\": {\n    \"model\": \"%s\", \"event\": ", tagd_model_kind_name(fit->model.kind));
    tagd_buf_add_json(&out, tagd_str_of(event));
    tagd_buf_add_z(&out, ",\n    ");
    add_parameters(&out, 6, values);
    tagd_buf_add_z(&out, ",\n    \"fit\": {\n");
    add_fit(&out, fit, until_ms);
    tagd_buf_add_z(&out, "    }\n  }\n}\n");
    fwrite(out.p, 1, out.n, stdout);
    tagd_buf_free(&out);
}

/* ---- the command ---- */

static int fit_history(struct history *history, enum tagd_model_kind kind, const char *event, const char *path)
{
    struct tagd_fit fit;
    struct tagd_error error;
    if (!read_events(history, path))
        return TAGD_EXIT_DATA;
    if (history->n == 0)
        return tagd_command_error(TAGD_EXIT_DATA, "%s: no event of type %s%s; name the type of a purchase with --event",
                                  path, event, history->until_given ? " until then" : "");
    make_groups(history);
    if (!tagd_fit_run(kind, history->groups, history->n_groups, &fit, &error))
        return tagd_command_error(TAGD_EXIT_DATA, "%s: %s; take a longer history, or more customers", path, error.text);
    print_section(&fit, event, history->until_ms);
    if (fflush(stdout) != 0)
        return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "can't write to standard output; see where it leads");
    for (size_t i = 0; i < fit.n_warnings; i++)
        fprintf(stderr, "tagd: warning: %s\n", fit.warnings[i]);
    return history->bad ? TAGD_EXIT_DATA : TAGD_EXIT_OK;
}

static void history_free(struct history *history)
{
    free(history->purchases);
    free(history->groups);
    tagd_ids_free(&history->ids);
    tagd_arena_free(&history->arena);
    tagd_catalog_free(history->catalog);
}

int tagd_command_fit(int argc, char **argv)
{
    const char *model = NULL, *event = "order.paid", *until = NULL, *zone = "+00:00", *path = NULL;
    struct tagd_options options = {.argc = argc, .argv = argv};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--model"))
            model = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--event"))
            event = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--until"))
            until = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--timezone"))
            zone = tagd_options_value(&options);
        else if (tagd_options_is(&options, NULL) && !path)
            path = options.word;
        else
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    enum tagd_model_kind kind;
    struct history history = {.until_ms = INT64_MIN, .until_given = until != NULL};
    if (!model)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "fit wants --model bg-nbd or --model mbg-nbd; tagd fit --help shows how");
    if (!tagd_model_kind_parse(tagd_str_of(model), &kind))
        return tagd_command_error(TAGD_EXIT_USAGE, "--model \"%s\": expected bg-nbd or mbg-nbd", model);
    if (until && !tagd_time_parse(tagd_str_of(until), &history.until_ms))
        return tagd_command_error(TAGD_EXIT_USAGE, "--until \"%s\": expected a time such as 2026-11-23T10:00:00Z",
                                  until);
    if (!tagd_zone_parse(tagd_str_of(zone), &history.zone_ms))
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "--timezone \"%s\": expected a fixed offset such as +08:00, at most 14 hours", zone);
    history.catalog = catalog_of(event);
    if (!history.catalog)
        return tagd_command_error(TAGD_EXIT_USAGE, "--event \"%s\": expected an event type such as order.paid", event);
    history.rules = tagd_line_rules(history.catalog);
    int code = fit_history(&history, kind, event, path ? path : "-");
    history_free(&history);
    return code;
}
