/* tagd explain: one customer's tags, the values behind each, why, and what changes next. Reads the store; owns nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compiled.h"
#include "command/command.h"
#include "command/load.h"
#include "io/io.h"
#include "profile/state.h"
#include "tagd/engine.h"

struct explain {
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_engine *engine;
    struct tagd_profile *profile;
    struct tagd_arena arena;
    struct tagd_io_peek peek;
    struct tagd_str customer;
    uint32_t shard;
    int64_t at; /* the instant explained */
};

static const char *time_text(int64_t ms, char text[TAGD_TIME_TEXT])
{
    if (ms == INT64_MIN || ms == TAGD_NEVER)
        return "never";
    tagd_time_format(ms, text);
    return text;
}

/* The shard that the configured partitioner sends the customer to. */
static uint32_t shard_of(const struct tagd_config *config, struct tagd_str customer, uint32_t partitions)
{
    uint32_t hash = config->sources[0].partitioner == TAGD_CRC32 ? tagd_crc32(customer) : tagd_murmur2(customer);
    return hash % partitions;
}

/* Finds the profile: in the shard its partitioner says, or, without one, in whichever has it. */
static int find_profile(struct explain *explain)
{
    struct tagd_error error;
    enum tagd_io_result result =
        tagd_io_peek(explain->config, 0, explain->customer, &explain->arena, &explain->peek, &error);
    if (result != TAGD_IO_OK)
        return tagd_command_error(result == TAGD_IO_UNREACHABLE ? TAGD_EXIT_UNAVAILABLE : TAGD_EXIT_CONFIG, "%s",
                                  error.text);
    if (explain->peek.partitions == 0)
        return tagd_command_error(TAGD_EXIT_DATA,
                                  "group %s keeps nothing under prefix %s yet; has tagd run with this configuration?",
                                  explain->config->group, explain->config->redis.prefix);
    uint32_t partitions = explain->peek.partitions;
    bool anywhere = explain->config->sources[0].partitioner == TAGD_NO_PARTITIONER;
    uint32_t first = anywhere ? 0 : shard_of(explain->config, explain->customer, partitions),
             last = anywhere ? partitions - 1 : first;
    for (explain->shard = first; explain->shard <= last; explain->shard++) {
        result =
            tagd_io_peek(explain->config, explain->shard, explain->customer, &explain->arena, &explain->peek, &error);
        if (result != TAGD_IO_OK)
            return tagd_command_error(TAGD_EXIT_UNAVAILABLE, "%s", error.text);
        if (explain->peek.profile.n)
            return TAGD_EXIT_OK;
    }
    return tagd_command_error(TAGD_EXIT_DATA, "customer %.*s is not known: no applied event of theirs was in %s",
                              (int)explain->customer.n, explain->customer.p, anywhere ? "any shard" : "their shard");
}

static void print_head(const struct explain *explain)
{
    char text[TAGD_TIME_TEXT], last[TAGD_TIME_TEXT];
    const struct tagd_head *head = &explain->peek.head;
    printf("customer   %.*s\n", (int)explain->customer.n, explain->customer.p);
    printf("as of      %s (latest event %s)\n", time_text(explain->at, text), time_text(explain->profile->last, last));
    printf("shard      %u of %u, batch %llu, owner %s\n", explain->shard, head->partitions,
           (unsigned long long)head->batch, head->owner[0] ? head->owner : "none: it was left cleanly");
    if (head->baseline.import[0])
        printf("baseline   %s: earlier events came by an import%s\n", time_text(head->baseline.before_ms, text),
               head->baseline.finished ? ", the stream's are ignored" : " that isn't finished");
    if (head->repair.phase != TAGD_NO_REPAIR)
        printf("repair     goes on: what stands here may be behind what was published\n");
    printf("revision   %llu\n", (unsigned long long)explain->profile->revision);
    struct tagd_profile_sizes sizes;
    tagd_profile_sizes(explain->profile, &sizes);
    printf("state      %zu bytes; fullest store: %u of %d panes, %u of %d values in %zu of %d bytes; %u of %d dedupe "
           "ids\n",
           explain->peek.profile.n, sizes.panes, TAGD_PROFILE_PANES_MAX, sizes.values, TAGD_PROFILE_VALUES_MAX,
           sizes.value_bytes, TAGD_PROFILE_VALUE_BYTES_MAX, sizes.dedupe_ids, TAGD_PROFILE_IDS_MAX);
}

static void print_rules(const struct explain *explain, uint32_t d)
{
    const struct tagd_dimension *dimension = &explain->catalog->dimensions[d];
    int32_t tag = explain->profile->tags[d].tag;
    uint32_t shown = tag < 0 ? dimension->n_rules : (uint32_t)tag + 1;
    for (uint32_t i = 0; i < shown; i++) {
        struct tagd_buf values = {0};
        tagd_engine_rule_values(explain->engine, d, i, &values);
        printf("  %s %-12s %s   %.*s\n", (int32_t)i == tag ? "=>" : "no",
               dimension->is_value ? "(value)" : dimension->rules[i].tag, dimension->rules[i].text, (int)values.n,
               values.p);
        tagd_buf_free(&values);
    }
}

/* The text of a tag, or that there is none. */
static struct tagd_str shown_tag(struct tagd_str tag)
{
    return tag.p ? tag : TAGD_STR("(none)");
}

/* The tag before the present one. */
static struct tagd_str tag_before(const struct explain *explain, uint32_t d)
{
    const struct tagd_dimension *dimension = &explain->catalog->dimensions[d];
    const struct tagd_tag_state *state = &explain->profile->tags[d];
    if (state->prev < 0)
        return shown_tag((struct tagd_str){NULL, 0});
    return dimension->is_value ? tagd_text_str(&state->prev_text) : tagd_str_of(dimension->rules[state->prev].tag);
}

static void print_dimension(const struct explain *explain, uint32_t d)
{
    const struct tagd_dimension *dimension = &explain->catalog->dimensions[d];
    const struct tagd_tag_state *state = &explain->profile->tags[d];
    struct tagd_str tag = shown_tag(tagd_profile_tag_text(explain->profile, d)), before = tag_before(explain, d);
    char text[TAGD_TIME_TEXT];
    printf("\n%s: %.*s", dimension->name, (int)tag.n, tag.p);
    if (state->changed)
        printf(", since %s, before %.*s", time_text(state->at, text), (int)before.n, before.p);
    putchar('\n');
    print_rules(explain, d);
    int64_t until;
    struct tagd_tag then;
    tagd_engine_next(explain->engine, explain->profile, d, explain->at, &until, &then);
    struct tagd_str next = shown_tag(then.text);
    if (until == TAGD_NEVER)
        printf("  stays so if nothing happens, as far as the horizon reaches\n");
    else
        printf("  next: %.*s at %s, if nothing happens\n", (int)next.n, next.p, time_text(until, text));
}

static void print_attributes(const struct explain *explain)
{
    bool any = false;
    for (uint32_t i = 0; i < explain->catalog->n_attributes; i++) {
        const struct tagd_attribute_state *state = &explain->profile->attributes[i];
        char text[TAGD_TIME_TEXT];
        struct tagd_buf value = {0};
        if (!state->updated)
            continue;
        if (!any)
            printf("\nattributes\n");
        any = true;
        tagd_engine_attribute(explain->engine, i, &value);
        printf("  %-20s %.*s, updated at %s\n", explain->catalog->attributes[i].field.name.p, (int)value.n, value.p,
               time_text(state->at, text));
        tagd_buf_free(&value);
    }
}

/* The last change of each dimension, the latest first; of equals, the catalog's last first. */
static void print_changes(const struct explain *explain)
{
    const struct tagd_tag_state *tags = explain->profile->tags;
    uint32_t n = explain->catalog->n_dimensions, shown = 0, last = n;
    int64_t before = TAGD_NEVER;
    for (;;) {
        uint32_t next = n;
        for (uint32_t d = 0; d < n; d++) {
            bool later_shown = tags[d].at > before || (tags[d].at == before && d >= last);
            if (tags[d].changed && !later_shown && (next == n || tags[d].at >= tags[next].at))
                next = d;
        }
        if (next == n)
            return;
        char text[TAGD_TIME_TEXT];
        struct tagd_str from = tag_before(explain, next), to = shown_tag(tagd_profile_tag_text(explain->profile, next));
        if (shown++ == 0)
            printf("\nlast change of each dimension\n");
        printf("  %s %s: %.*s -> %.*s\n", time_text(tags[next].at, text), explain->catalog->dimensions[next].name,
               (int)from.n, from.p, (int)to.n, to.p);
        before = tags[next].at;
        last = next;
    }
}

static int print_profile(struct explain *explain)
{
    struct tagd_error error;
    explain->profile = tagd_profile_new(explain->catalog);
    explain->engine = tagd_engine_new(explain->catalog, explain->config->horizon_ms);
    if (!tagd_profile_decode(explain->profile, explain->peek.profile, &error))
        return tagd_command_error(TAGD_EXIT_CONFIG, "%s", error.text);
    int64_t at = explain->profile->clock;
    if (explain->peek.head.watermark_ms > at)
        at = explain->peek.head.watermark_ms;
    if (at >= explain->profile->due)
        at = explain->profile->due - 1;
    explain->at = at;
    tagd_engine_view(explain->engine, explain->profile, at);
    print_head(explain);
    for (uint32_t d = 0; d < explain->catalog->n_dimensions; d++)
        print_dimension(explain, d);
    print_attributes(explain);
    print_changes(explain);
    return TAGD_EXIT_OK;
}

static int explain_customer(struct explain *explain, const char *path)
{
    int code = tagd_command_load(path, &explain->config, &explain->catalog);
    if (code == TAGD_EXIT_OK)
        code = find_profile(explain);
    return code == TAGD_EXIT_OK ? print_profile(explain) : code;
}

int tagd_command_explain(int argc, char **argv)
{
    const char *path = NULL, *customer = NULL;
    struct tagd_options options = {.argc = argc, .argv = argv};
    while (tagd_options_next(&options)) {
        if (tagd_options_is(&options, "--config"))
            path = tagd_options_value(&options);
        else if (tagd_options_is(&options, NULL) && !customer)
            customer = options.word;
        else
            tagd_options_unknown(&options);
    }
    if (options.failed)
        return TAGD_EXIT_USAGE;
    if (!path || !customer)
        return tagd_command_error(TAGD_EXIT_USAGE,
                                  "explain wants --config FILE and a customer; tagd explain --help shows how");
    struct explain explain = {.customer = tagd_str_of(customer)};
    int code = explain_customer(&explain, path);
    tagd_engine_free(explain.engine);
    tagd_profile_free(explain.profile);
    tagd_catalog_free(explain.catalog);
    tagd_config_free(explain.config);
    tagd_arena_free(&explain.arena);
    return code;
}
