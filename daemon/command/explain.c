/* tagd explain: one customer's tags, the values behind each, why, and what changes next. Reads the store; owns nothing.
 */
#include <stdio.h>
#include <string.h>

#include "catalog/compiled.h"
#include "command/command.h"
#include "command/customer.h"
#include "command/load.h"
#include "profile/state.h"

static const char *time_text(int64_t ms, char text[TAGD_TIME_TEXT])
{
    if (ms == INT64_MIN || ms == TAGD_NEVER)
        return "never";
    tagd_time_format(ms, text);
    return text;
}

static void print_revisions(const struct tagd_customer *customer)
{
    const struct tagd_profile *profile = customer->profile;
    printf("revision   %llu", (unsigned long long)tagd_profile_revision(profile, TAGD_KIND_TAG));
    if (customer->catalog->n_alerts)
        printf(", alerts %llu", (unsigned long long)tagd_profile_revision(profile, TAGD_KIND_ALERT));
    if (customer->catalog->reviews)
        printf(", proposals %llu", (unsigned long long)tagd_profile_revision(profile, TAGD_KIND_PROPOSAL));
    putchar('\n');
}

static void print_head(const struct tagd_customer *customer)
{
    char text[TAGD_TIME_TEXT], last[TAGD_TIME_TEXT];
    const struct tagd_head *head = &customer->peek.head;
    printf("customer   %.*s\n", (int)customer->id.n, customer->id.p);
    printf("as of      %s (latest event %s)\n", time_text(customer->at_ms, text),
           time_text(customer->profile->last, last));
    printf("shard      %u of %u, batch %llu, owner %s\n", customer->shard, head->partitions,
           (unsigned long long)head->batch, head->owner[0] ? head->owner : "none: it was left cleanly");
    if (head->baseline.import[0])
        printf("baseline   %s: earlier events came by an import%s\n", time_text(head->baseline.before_ms, text),
               head->baseline.finished ? ", the stream's are ignored" : " that isn't finished");
    if (head->repair.phase != TAGD_NO_REPAIR)
        printf("repair     goes on: what stands here may be behind what was published\n");
    print_revisions(customer);
    struct tagd_profile_sizes sizes;
    tagd_profile_sizes(customer->profile, &sizes);
    printf("state      %zu bytes; fullest store: %u of %d panes, %u of %d values in %zu of %d bytes; %u of %d dedupe "
           "ids\n",
           customer->peek.profile.n, sizes.panes, TAGD_PROFILE_PANES_MAX, sizes.values, TAGD_PROFILE_VALUES_MAX,
           sizes.value_bytes, TAGD_PROFILE_VALUE_BYTES_MAX, sizes.dedupe_ids, TAGD_PROFILE_IDS_MAX);
}

/* ---- a dimension ---- */

/* Up to the first that holds, and to that of the present tag. */
static void print_rules(const struct tagd_customer *customer, uint32_t d)
{
    const struct tagd_dimension *dimension = &customer->catalog->dimensions[d];
    int32_t outcome = tagd_customer_outcome(customer, d), tag = tagd_tag_of(customer->profile, d)->tag;
    uint32_t shown = outcome < 0 ? dimension->n_rules : (uint32_t)(tag > outcome ? tag : outcome) + 1;
    for (uint32_t i = 0; i < shown && dimension->assign != TAGD_ASSIGN_MANUAL; i++) {
        struct tagd_buf values = {0};
        const char *mark = (int32_t)i == outcome ? "=>" : outcome < 0 || (int32_t)i < outcome ? "no" : "  ";
        const char *name = dimension->is_value                  ? "(value)"
                           : dimension->kind == TAGD_KIND_ALERT ? "(when)"
                                                                : dimension->rules[i].tag;
        tagd_engine_rule_values(customer->engine, d, i, &values);
        printf("  %s %-12s %s   %.*s\n", mark, name, dimension->rules[i].text, (int)values.n, values.p);
        tagd_buf_free(&values);
    }
}

/* The text of a tag, or that there is none. */
static struct tagd_str shown_tag(struct tagd_str tag)
{
    return tag.p ? tag : TAGD_STR("(none)");
}

static struct tagd_str tag_name(const struct tagd_dimension *dimension, int32_t tag)
{
    return shown_tag(tag < 0 ? (struct tagd_str){NULL, 0} : tagd_str_of(dimension->rules[tag].tag));
}

/* The latest word of a person: texts that came with events stand in quotes. */
static void print_word(const struct tagd_customer *customer, uint32_t d)
{
    char text[TAGD_TIME_TEXT];
    struct tagd_assignment word;
    struct tagd_buf out = {0};
    tagd_profile_assignment(customer->profile, d, &word);
    if (!word.known)
        return;
    tagd_buf_printf(&out, word.tag < 0 ? "  cleared by " : "  given by ");
    tagd_buf_add_json(&out, word.by);
    if (word.tag >= 0) {
        tagd_buf_printf(&out, word.until_ms == TAGD_NEVER ? ", until it is cleared: " : ", until %s%s: ",
                        time_text(word.until_ms, text),
                        tagd_customer_is_given(customer, d) ? "" : ", which has passed");
        tagd_buf_add_json(&out, word.reason);
    }
    printf("%.*s\n", (int)out.n, out.p);
    tagd_buf_free(&out);
}

/* What for and min_dwell make of the rules, where that isn't simply the tag. */
static void print_holding(const struct tagd_customer *customer, uint32_t d)
{
    char since[TAGD_TIME_TEXT], due[TAGD_TIME_TEXT];
    struct tagd_holding holding;
    if (!tagd_engine_holding(customer->engine, d, &holding))
        return;
    struct tagd_str rule = shown_tag(holding.rule.text), wanted = shown_tag(holding.wanted.text);
    if (holding.rule.index >= 0 && holding.rule.index != tagd_tag_of(customer->profile, d)->tag)
        printf("  rules' tag: %.*s since %s\n", (int)rule.n, rule.p, time_text(holding.rule_since_ms, since));
    if (holding.waits)
        printf("  waits: %.*s since %s, the rules' tag at %s if it stays so\n", (int)wanted.n, wanted.p,
               time_text(holding.wanted_since_ms, since), time_text(holding.due_ms, due));
}

static void print_review(const struct tagd_customer *customer, uint32_t d)
{
    const struct tagd_dimension *dimension = &customer->catalog->dimensions[d];
    const struct tagd_review *review = &tagd_tag_of(customer->profile, d)->review;
    char since[TAGD_TIME_TEXT], expires[TAGD_TIME_TEXT];
    struct tagd_proposal proposal;
    if (tagd_profile_proposal(customer->profile, d, &proposal)) {
        struct tagd_str tag = tag_name(dimension, proposal.tag);
        printf("  proposed: %.*s since %s, expires %s, proposal:%.*s:%llu\n", (int)tag.n, tag.p,
               time_text(proposal.at_ms, since), time_text(proposal.expires_ms, expires), (int)customer->id.n,
               customer->id.p, (unsigned long long)proposal.revision);
    }
    if (review->declined) {
        struct tagd_str tag = tag_name(dimension, review->declined_tag);
        printf("  declined: %.*s; not proposed again before the rules say something else\n", (int)tag.n, tag.p);
    }
}

static void print_next(const struct tagd_customer *customer, uint32_t d)
{
    bool alert = customer->catalog->dimensions[d].kind == TAGD_KIND_ALERT;
    char text[TAGD_TIME_TEXT];
    int64_t until;
    struct tagd_tag then;
    tagd_engine_next(customer->engine, customer->profile, d, customer->at_ms, &until, &then);
    struct tagd_str next = alert && then.index < 0 ? TAGD_STR("cleared") : shown_tag(then.text);
    if (until == TAGD_NEVER)
        printf("  stays so if nothing happens, as far as the horizon reaches\n");
    else
        printf("  next: %.*s at %s, if nothing happens\n", (int)next.n, next.p, time_text(until, text));
}

static void print_dimension(const struct tagd_customer *customer, uint32_t d)
{
    const struct tagd_dimension *dimension = &customer->catalog->dimensions[d];
    const struct tagd_tag_state *state = tagd_tag_of(customer->profile, d);
    struct tagd_str tag = shown_tag(tagd_profile_tag_text(customer->profile, d)),
                    before = shown_tag(tagd_customer_tag_before(customer, d));
    char text[TAGD_TIME_TEXT];
    if (dimension->kind == TAGD_KIND_ALERT)
        printf("\nalert %s: %s", dimension->name, state->tag < 0 ? "not raised" : "raised");
    else
        printf("\n%s: %.*s", dimension->name, (int)tag.n, tag.p);
    if (state->changed)
        printf(", since %s", time_text(state->at, text));
    if (state->changed && dimension->kind != TAGD_KIND_ALERT)
        printf(", before %.*s", (int)before.n, before.p);
    putchar('\n');
    print_word(customer, d);
    print_rules(customer, d);
    print_holding(customer, d);
    print_review(customer, d);
    print_next(customer, d);
}

static void print_attributes(const struct tagd_customer *customer)
{
    bool any = false;
    for (uint32_t i = 0; i < customer->catalog->n_attributes; i++) {
        const struct tagd_attribute_state *state = tagd_attribute_of(customer->profile, i);
        char text[TAGD_TIME_TEXT];
        struct tagd_buf value = {0};
        if (!state->updated)
            continue;
        if (!any)
            printf("\nattributes\n");
        any = true;
        tagd_engine_attribute(customer->engine, i, &value);
        printf("  %-20s %.*s, updated at %s\n", customer->catalog->attributes[i].field.name.p, (int)value.n, value.p,
               time_text(state->at, text));
        tagd_buf_free(&value);
    }
}

/* The last change of each dimension, the latest first; of equals, the catalog's last first. Alerts stand behind the
 * dimensions, and have their own lines. */
static void print_changes(const struct tagd_customer *customer)
{
    const struct tagd_profile *profile = customer->profile;
    uint32_t n = customer->catalog->n_dimensions - customer->catalog->n_alerts, shown = 0, last = n;
    int64_t before = TAGD_NEVER;
    for (;;) {
        uint32_t next = n;
        for (uint32_t d = 0; d < n; d++) {
            const struct tagd_tag_state *tag = tagd_tag_of(profile, d);
            bool later_shown = tag->at > before || (tag->at == before && d >= last);
            if (tag->changed && !later_shown && (next == n || tag->at >= tagd_tag_of(profile, next)->at))
                next = d;
        }
        if (next == n)
            return;
        char text[TAGD_TIME_TEXT];
        struct tagd_str from = shown_tag(tagd_customer_tag_before(customer, next)),
                        to = shown_tag(tagd_profile_tag_text(customer->profile, next));
        if (shown++ == 0)
            printf("\nlast change of each dimension\n");
        printf("  %s %s: %.*s -> %.*s\n", time_text(tagd_tag_of(profile, next)->at, text),
               customer->catalog->dimensions[next].name, (int)from.n, from.p, (int)to.n, to.p);
        before = tagd_tag_of(profile, next)->at;
        last = next;
    }
}

static void print_customer(const struct tagd_customer *customer)
{
    print_head(customer);
    for (uint32_t d = 0; d < customer->catalog->n_dimensions; d++)
        print_dimension(customer, d);
    print_attributes(customer);
    print_changes(customer);
}

static int explain(const char *path, const char *id)
{
    struct tagd_config *config;
    struct tagd_catalog *catalog;
    struct tagd_customer customer = {0};
    struct tagd_error error;
    int code = tagd_command_load(path, &config, &catalog);
    if (code == TAGD_EXIT_OK) {
        code = (int)tagd_customer_open(&customer, config, catalog, tagd_str_of(id), &error);
        if (code != TAGD_EXIT_OK)
            tagd_command_error((enum tagd_exit)code, "%s", error.text);
        else
            print_customer(&customer);
    }
    tagd_customer_close(&customer);
    tagd_catalog_free(catalog);
    tagd_config_free(config);
    return code;
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
    return explain(path, customer);
}
