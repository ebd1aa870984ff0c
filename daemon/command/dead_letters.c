/* tagd dead-letters: what couldn't be used, to be read; and replay (replay.c), once it can be. */
#include "command/dead_letters.h"

#include "base/json.h"
#include "base/text.h"
#include "command/load.h"
#include "command/servers.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 1000
#define SHOWN_INDENT 2

/* ---- reading ---- */

struct reading {
    struct tagd_dead_letters *command;
    bool full;
};

static bool take(void *to, const struct tagd_record *record)
{
    struct reading *reading = to;
    reading->full = !tagd_letter_list_add(&reading->command->list, record, reading->command->config->group);
    return !reading->full;
}

int tagd_dead_letters_read(struct tagd_dead_letters *command, int64_t since_ms)
{
    struct reading reading = {command, false};
    for (uint32_t partition = 0; partition < command->partitions; partition++) {
        struct tagd_error error;
        int64_t from, end;
        enum tagd_io_result result = tagd_io_letters_bounds(command->io, partition, since_ms, &from, &end, &error);
        if (result == TAGD_IO_OK)
            result = tagd_io_letters_read(command->io, partition, from, end, take, &reading, &error);
        if (result != TAGD_IO_OK)
            return tagd_servers_error(result, &error);
        if (reading.full)
            return tagd_command_error(TAGD_EXIT_DATA,
                                      "topic \"%s\" holds more than %d letters of group \"%s\", the most that are "
                                      "looked at at once; lower the topic's retention, or list them with --since",
                                      command->config->dead_letter, TAGD_LETTERS_MAX, command->config->group);
    }
    tagd_letter_list_settle(&command->list);
    return TAGD_EXIT_OK;
}

/* ---- list ---- */

static int by_time(const void *left, const void *right)
{
    const struct tagd_letter_entry *a = *(const struct tagd_letter_entry *const *)left,
                                   *b = *(const struct tagd_letter_entry *const *)right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return a < b ? -1 : a > b;
}

struct chosen {
    const struct tagd_letter_entry **at; /* by time */
    size_t n;
    size_t first; /* shown from here on */
    size_t by_code[TAGD_EVENT_CODES], replayed, repeated;
};

static void choose(const struct tagd_dead_letters *command, struct chosen *chosen)
{
    const struct tagd_letter_list *list = &command->list;
    chosen->at = tagd_xcalloc(list->n + 1, sizeof(*chosen->at));
    for (size_t i = 0; i < list->n; i++) {
        const struct tagd_letter_entry *entry = &list->at[i];
        if (!tagd_letter_fits(&command->filter, entry))
            continue;
        chosen->at[chosen->n++] = entry;
        chosen->by_code[entry->code]++;
        chosen->replayed += entry->replayed;
        chosen->repeated += entry->repeated;
    }
    qsort(chosen->at, chosen->n, sizeof(*chosen->at), by_time);
    chosen->first = chosen->n > command->limit ? chosen->n - command->limit : 0;
}

static void print_entry(const struct tagd_letter_entry *entry)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(entry->time_ms, time);
    printf("%" PRIu32 ":%" PRId64 "  %s:%" PRId64 ":%" PRId64 "  %s  %s  %s%s%s%s\n", entry->at.partition,
           entry->at.offset, entry->topic, entry->partition, entry->offset, tagd_event_code_name(entry->code), time,
           entry->reason, entry->truncated ? " (truncated)" : "", entry->repeated ? " (repeated)" : "",
           entry->replayed ? " (replayed)" : "");
}

static void print_list(const struct tagd_dead_letters *command, const struct chosen *chosen)
{
    const char *before = ": ";
    for (size_t i = chosen->first; i < chosen->n; i++)
        print_entry(chosen->at[i]);
    printf("%zu dead letter%s of group \"%s\"", chosen->n, chosen->n == 1 ? "" : "s", command->config->group);
    for (enum tagd_event_code code = TAGD_EVENT_TOO_LARGE; code < TAGD_EVENT_CODES; code++) {
        if (chosen->by_code[code] == 0)
            continue;
        printf("%s%zu %s", before, chosen->by_code[code], tagd_event_code_name(code));
        before = ", ";
    }
    if (chosen->replayed > 0)
        printf("; %zu replayed", chosen->replayed);
    if (chosen->repeated > 0)
        printf("; %zu repeated: the same letter stands before it", chosen->repeated);
    if (chosen->first > 0)
        printf("; the latest %zu are shown, --limit shows more", chosen->n - chosen->first);
    putchar('\n');
}

static void add_entry(const struct tagd_letter_entry *entry, struct tagd_buf *out)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(entry->time_ms, time);
    tagd_buf_printf(out, "{\"place\":\"%" PRIu32 ":%" PRId64 "\",\"topic\":", entry->at.partition, entry->at.offset);
    tagd_buf_add_json(out, tagd_str_of(entry->topic));
    tagd_buf_printf(out,
                    ",\"partition\":%" PRId64 ",\"offset\":%" PRId64 ",\"error\":\"%s\",\"reason\":", entry->partition,
                    entry->offset, tagd_event_code_name(entry->code));
    tagd_buf_add_json(out, tagd_str_of(entry->reason));
    tagd_buf_printf(out, ",\"time\":\"%s\",\"truncated\":%s,\"repeated\":%s,\"replayed\":%s", time,
                    entry->truncated ? "true" : "false", entry->repeated ? "true" : "false",
                    entry->replayed ? "true" : "false");
}

static void print_json(const struct tagd_dead_letters *command, const struct chosen *chosen)
{
    struct tagd_buf out = {0};
    const char *before = "";
    tagd_buf_add_z(&out, "{\"group\":");
    tagd_buf_add_json(&out, tagd_str_of(command->config->group));
    tagd_buf_add_z(&out, ",\"topic\":");
    tagd_buf_add_json(&out, tagd_str_of(command->config->dead_letter));
    tagd_buf_printf(&out, ",\"n\":%zu,\"replayed\":%zu,\"repeated\":%zu,\"by_code\":{", chosen->n, chosen->replayed,
                    chosen->repeated);
    for (enum tagd_event_code code = TAGD_EVENT_TOO_LARGE; code < TAGD_EVENT_CODES; code++) {
        if (chosen->by_code[code] == 0)
            continue;
        tagd_buf_printf(&out, "%s\"%s\":%zu", before, tagd_event_code_name(code), chosen->by_code[code]);
        before = ",";
    }
    tagd_buf_add_z(&out, "},\"letters\":[");
    for (size_t i = chosen->first; i < chosen->n; i++) {
        tagd_buf_add_z(&out, i > chosen->first ? ",\n" : "\n");
        add_entry(chosen->at[i], &out);
        tagd_buf_add_byte(&out, '}');
    }
    tagd_buf_add_z(&out, "\n]}\n");
    fwrite(out.p, 1, out.n, stdout);
    tagd_buf_free(&out);
}

static int list(struct tagd_dead_letters *command)
{
    struct chosen chosen = {0};
    int code = tagd_dead_letters_read(command, command->filter.since_ms);
    if (code != TAGD_EXIT_OK)
        return code;
    choose(command, &chosen);
    if (command->json)
        print_json(command, &chosen);
    else
        print_list(command, &chosen);
    free((void *)chosen.at);
    return TAGD_EXIT_OK;
}

/* ---- show ---- */

/* JSON's text with line feeds and indents between its tokens, which stay as they are: numbers keep their digits. */
static void add_pretty(struct tagd_str text, struct tagd_buf *out)
{
    int depth = 0;
    bool in_string = false, empty = false; /* empty: what was opened last has nothing in it yet */
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            tagd_buf_add_byte(out, (unsigned char)c);
            if (c == '\\' && i + 1 < text.n)
                tagd_buf_add_byte(out, (unsigned char)text.p[++i]);
            in_string = c != '"';
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            continue;
        bool closes = c == '}' || c == ']';
        depth -= closes;
        if (empty != closes)
            tagd_buf_printf(out, "\n%*s", depth * SHOWN_INDENT, "");
        tagd_buf_add_byte(out, (unsigned char)c);
        empty = c == '{' || c == '[';
        depth += empty;
        if (c == ',')
            tagd_buf_printf(out, "\n%*s", depth * SHOWN_INDENT, "");
        if (c == ':')
            tagd_buf_add_byte(out, ' ');
        in_string = c == '"';
    }
    tagd_buf_add_byte(out, '\n');
}

/* Text as it is, but for control characters and bytes that aren't UTF-8: \xNN. */
static void add_escaped(struct tagd_str text, struct tagd_buf *out)
{
    const unsigned char *p = (const unsigned char *)text.p, *end = p + text.n;
    while (p < end) {
        size_t n = tagd_utf8_step(p, end);
        if (n == 0 || *p < 0x20 || *p == 0x7F || *p == '\\') {
            tagd_buf_printf(out, "\\x%02X", *p);
            n = 1;
        } else {
            tagd_buf_add(out, p, n);
        }
        p += n;
    }
}

static void add_value(const struct tagd_record *record, struct tagd_buf *out)
{
    struct tagd_json_fault fault;
    if (!record->has_value)
        tagd_buf_add_z(out, "none\n");
    else if (tagd_json_check(record->value.p, record->value.n, &fault))
        add_pretty(record->value, out);
    else {
        add_escaped(record->value, out);
        tagd_buf_add_byte(out, '\n');
    }
}

/* A JSON string, or an object with the bytes in base 64 if they are no text. */
static void add_json_bytes(bool has, struct tagd_str text, struct tagd_buf *out)
{
    if (!has || text.p == NULL) {
        tagd_buf_add_z(out, "null");
        return;
    }
    if (tagd_utf8_valid(text.p, text.n)) {
        tagd_buf_add_json(out, text);
        return;
    }
    tagd_buf_add_z(out, "{\"base64\":\"");
    tagd_buf_reserve(out, (text.n + 2) / 3 * 4 + 1);
    out->n += (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->n, (const unsigned char *)text.p, (int)text.n);
    tagd_buf_add_z(out, "\"}");
}

struct showing {
    struct tagd_dead_letters *command;
    struct tagd_letter_place place;
    struct tagd_buf out;
    enum tagd_letter_kind kind;
    bool found;
};

static void show_json(const struct tagd_letter_entry *entry, const struct tagd_record *record, struct tagd_buf *out)
{
    add_entry(entry, out);
    if (entry->truncated)
        tagd_buf_printf(out, ",\"full_bytes\":%" PRId64, entry->full_bytes);
    tagd_buf_add_z(out, ",\"headers\":[");
    for (size_t i = 0; i < record->n_headers; i++) {
        tagd_buf_add_z(out, i == 0 ? "[" : ",[");
        tagd_buf_add_json(out, record->headers[i].name);
        tagd_buf_add_byte(out, ',');
        add_json_bytes(true, record->headers[i].value, out);
        tagd_buf_add_byte(out, ']');
    }
    tagd_buf_add_z(out, "],\"key\":");
    add_json_bytes(record->has_key, record->key, out);
    tagd_buf_add_z(out, ",\"value\":");
    add_json_bytes(record->has_value, record->value, out);
    tagd_buf_add_z(out, "}\n");
}

static void show_text(const struct tagd_letter_entry *entry, const struct tagd_record *record, struct tagd_buf *out)
{
    char time[TAGD_TIME_TEXT];
    tagd_time_format(entry->time_ms, time);
    tagd_buf_printf(out, "letter     %" PRIu32 ":%" PRId64 "%s%s\n", entry->at.partition, entry->at.offset,
                    entry->repeated ? ", repeated: the same letter stands before it" : "",
                    entry->replayed ? ", replayed" : "");
    tagd_buf_printf(out, "record     topic %s, partition %" PRId64 ", offset %" PRId64 "\n", entry->topic,
                    entry->partition, entry->offset);
    tagd_buf_printf(out, "since      %s\nerror      %s\nreason     %s\n", time, tagd_event_code_name(entry->code),
                    entry->reason);
    for (size_t i = 0; i < record->n_headers; i++) {
        tagd_buf_add_z(out, "header     ");
        add_escaped(record->headers[i].name, out);
        tagd_buf_add_z(out, record->headers[i].value.p == NULL ? " has no value" : ": ");
        add_escaped(record->headers[i].value, out);
        tagd_buf_add_byte(out, '\n');
    }
    tagd_buf_add_z(out, "key        ");
    if (record->has_key)
        add_escaped(record->key, out);
    tagd_buf_add_z(out, record->has_key ? "\n" : "none\n");
    if (entry->truncated)
        tagd_buf_printf(out,
                        "truncated  the first %zu of %" PRId64
                        " bytes; raise the topic's max.message.bytes to keep all of the next ones\n",
                        record->value.n, entry->full_bytes);
    tagd_buf_add_z(out, "value      ");
    add_value(record, out);
}

static bool take_shown(void *to, const struct tagd_record *record)
{
    struct showing *showing = to;
    struct tagd_letter_view view;
    const char *group = showing->command->config->group;
    if (record->offset != showing->place.offset)
        return false;
    showing->found = true;
    showing->kind = tagd_letter_read(record, group, &view);
    const struct tagd_letter_entry *entry = tagd_letter_list_find(&showing->command->list, showing->place);
    if (entry != NULL && showing->command->json)
        show_json(entry, record, &showing->out);
    else if (entry != NULL)
        show_text(entry, record, &showing->out);
    return false;
}

static int not_shown(const struct showing *showing)
{
    const struct tagd_dead_letters *command = showing->command;
    const char *topic = command->config->dead_letter;
    uint32_t partition = showing->place.partition;
    if (!showing->found)
        return tagd_command_error(TAGD_EXIT_DATA,
                                  "topic \"%s\" has no record at %" PRIu32 ":%" PRId64 "; tagd dead-letters list "
                                  "tells those that are there",
                                  topic, partition, showing->place.offset);
    return tagd_command_error(TAGD_EXIT_DATA, "what is at %" PRIu32 ":%" PRId64 " of topic \"%s\" is %s", partition,
                              showing->place.offset, topic,
                              showing->kind == TAGD_LETTER_MARKER
                                  ? "no letter: it says that one was replayed"
                                  : "no dead letter of this group; see the group in the configuration");
}

static int show(struct tagd_dead_letters *command)
{
    struct showing showing = {.command = command, .place = command->places[0]};
    struct tagd_error error;
    int64_t from, end;
    int code = tagd_dead_letters_read(command, INT64_MIN);
    if (code != TAGD_EXIT_OK)
        return code;
    uint32_t partition = showing.place.partition;
    if (partition >= command->partitions)
        return not_shown(&showing);
    enum tagd_io_result result = tagd_io_letters_bounds(command->io, partition, INT64_MIN, &from, &end, &error);
    if (result == TAGD_IO_OK && showing.place.offset >= from && showing.place.offset < end)
        result = tagd_io_letters_read(command->io, partition, showing.place.offset, showing.place.offset + 1,
                                      take_shown, &showing, &error);
    if (result != TAGD_IO_OK)
        code = tagd_servers_error(result, &error);
    else if (showing.out.n == 0)
        code = not_shown(&showing);
    else
        fwrite(showing.out.p, 1, showing.out.n, stdout);
    tagd_buf_free(&showing.out);
    return code;
}

/* ---- the command line ---- */

static int with_config(struct tagd_dead_letters *command, int (*run)(struct tagd_dead_letters *command))
{
    struct tagd_notes notes = {tagd_servers_warn, NULL};
    struct tagd_error error;
    int code = tagd_command_load(command->path, &command->config, &command->catalog);
    if (code != TAGD_EXIT_OK)
        return code;
    enum tagd_io_result result =
        tagd_io_check_topics(command->config, false, TAGD_LETTERS_TIMEOUT_MS, &notes, &command->partitions, &error);
    if (result != TAGD_IO_OK)
        return tagd_servers_error(result, &error);
    command->io = tagd_io_letters_new(command->config, &error);
    return command->io == NULL ? tagd_servers_error(TAGD_IO_CONFIG, &error) : run(command);
}

static void read_time(struct tagd_options *options, int64_t *ms)
{
    const char *name = options->word, *text = tagd_options_value(options);
    if (text == NULL || tagd_time_parse(tagd_str_of(text), ms))
        return;
    tagd_command_error(TAGD_EXIT_USAGE, "%s: \"%s\" is no time as RFC 3339 writes it, as in 2026-11-20T00:00:00Z", name,
                       text);
    options->failed = true;
}

static void read_code(struct tagd_options *options, enum tagd_event_code *code)
{
    const char *text = tagd_options_value(options);
    if (text == NULL || tagd_letter_code_parse(text, code))
        return;
    tagd_command_error(TAGD_EXIT_USAGE,
                       "--code: \"%s\" is no code of a dead letter; expected too_large, malformed, junk_subject, "
                       "invalid, past, future, misrouted, unsupported or poison",
                       text);
    options->failed = true;
}

static void read_limit(struct tagd_options *options, size_t *limit)
{
    const char *text = tagd_options_value(options);
    char *end = NULL;
    if (text == NULL)
        return;
    unsigned long n = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    *limit = (size_t)n;
    if (n >= 1 && n <= TAGD_LETTERS_MAX && *end == '\0')
        return;
    tagd_command_error(TAGD_EXIT_USAGE, "--limit: expected a number from 1 to %d, found \"%s\"", TAGD_LETTERS_MAX,
                       text);
    options->failed = true;
}

static void read_place(struct tagd_options *options, struct tagd_dead_letters *command)
{
    struct tagd_letter_place place;
    if (!tagd_letter_place_parse(options->word, &place)) {
        tagd_command_error(TAGD_EXIT_USAGE,
                           "\"%s\" is no place of a dead letter; expected PARTITION:OFFSET, as in 3:4711, which tagd "
                           "dead-letters list tells",
                           options->word);
        options->failed = true;
        return;
    }
    size_t n = command->filter.n_places++;
    command->places = tagd_xrealloc(command->places, (n + 1) * sizeof(*command->places));
    command->places[n] = place;
    command->filter.places = command->places;
}

static const struct verb {
    const char *name, *places, *not_for; /* how many of a letter it wants, NULL: any; options that it doesn't take */
    int (*run)(struct tagd_dead_letters *command);
} verbs[] = {
    {"list", "no place", "--dry-run", list},
    {"show", "one PARTITION:OFFSET", "--code --topic --since --until --limit --dry-run", show},
    {"replay", NULL, "--json --limit", tagd_dead_letters_replay},
};
#define N_VERBS (sizeof(verbs) / sizeof(*verbs))

static const struct verb *verb_of(const char *word)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (word != NULL && strcmp(verbs[i].name, word) == 0)
            return &verbs[i];
    return NULL;
}

static bool takes(const struct verb *verb, const char *options)
{
    char *copy = tagd_xstrdup(options), *rest = copy, *word;
    bool fine = true;
    while (fine && (word = strtok_r(rest, " ", &rest)) != NULL) {
        size_t n = strlen(word);
        for (const char *at = strstr(verb->not_for, word); at != NULL && fine; at = strstr(at + 1, word))
            fine = at[n] != ' ' && at[n] != '\0';
        if (!fine)
            tagd_command_error(TAGD_EXIT_USAGE, "dead-letters %s takes no %s; tagd dead-letters --help shows how",
                               verb->name, word);
    }
    free(copy);
    return fine;
}

static int run(struct tagd_dead_letters *command, const char *word, const char *given)
{
    const struct verb *verb = verb_of(word);
    size_t n = command->filter.n_places;
    if (verb == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "dead-letters wants list, show or replay%s%s%s; tagd dead-letters "
                                  "--help shows how",
                                  word == NULL ? "" : ", not \"", word == NULL ? "" : word, word == NULL ? "" : "\"");
    if (command->path == NULL)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "dead-letters wants --config FILE; tagd dead-letters --help shows how");
    if (!takes(verb, given))
        return TAGD_EXIT_USAGE;
    if ((verb->run == list && n > 0) || (verb->run == show && n != 1))
        return tagd_command_error(TAGD_EXIT_USAGE, "dead-letters %s wants %s; tagd dead-letters --help shows how",
                                  verb->name, verb->places);
    return with_config(command, verb->run);
}

int tagd_command_dead_letters(int argc, char **argv)
{
    struct tagd_options options = {.argc = argc, .argv = argv};
    struct tagd_dead_letters command = {.limit = LIMIT_DEFAULT,
                                        .filter = {.since_ms = INT64_MIN, .until_ms = INT64_MAX}};
    const char *word = NULL;
    struct tagd_buf given = {0};
    while (tagd_options_next(&options)) {
        if (options.is_option && strcmp(options.word, "--config") != 0)
            tagd_buf_printf(&given, "%s ", options.word);
        if (tagd_options_is(&options, "--config"))
            command.path = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--code"))
            read_code(&options, &command.filter.code);
        else if (tagd_options_is(&options, "--topic"))
            command.filter.topic = tagd_options_value(&options);
        else if (tagd_options_is(&options, "--since"))
            read_time(&options, &command.filter.since_ms);
        else if (tagd_options_is(&options, "--until"))
            read_time(&options, &command.filter.until_ms);
        else if (tagd_options_is(&options, "--limit"))
            read_limit(&options, &command.limit);
        else if (tagd_options_is(&options, "--json"))
            command.json = true;
        else if (tagd_options_is(&options, "--dry-run"))
            command.dry_run = true;
        else if (tagd_options_is(&options, NULL) && word == NULL)
            word = options.word;
        else if (tagd_options_is(&options, NULL))
            read_place(&options, &command);
        else
            tagd_options_unknown(&options);
    }
    tagd_buf_add_byte(&given, '\0');
    int code = options.failed ? TAGD_EXIT_USAGE : run(&command, word, given.p);
    tagd_buf_free(&given);
    tagd_letter_list_free(&command.list);
    tagd_io_letters_free(command.io);
    tagd_catalog_free(command.catalog);
    tagd_config_free(command.config);
    free(command.places);
    return code;
}
