#include "command/customer.h"

#include "catalog/compiled.h"
#include "command/servers.h"
#include "profile/state.h"

/* ---- finding it ---- */

/* The shard that the configured partitioner sends the customer to. */
static uint32_t shard_of(const struct tagd_config *config, struct tagd_str customer, uint32_t partitions)
{
    uint32_t hash = config->sources[0].partitioner == TAGD_CRC32 ? tagd_crc32(customer) : tagd_murmur2(customer);
    return hash % partitions;
}

static enum tagd_exit fail(enum tagd_exit code, struct tagd_error *error, const char *text)
{
    tagd_fail(error, "%s", text);
    return code;
}

/* Finds the profile: in the shard its partitioner says, or, without one, in whichever has it. */
static enum tagd_exit find_profile(struct tagd_customer *customer, struct tagd_error *error)
{
    const struct tagd_config *config = customer->config;
    struct tagd_error why;
    enum tagd_io_result result = tagd_io_peek(config, 0, customer->id, &customer->arena, &customer->peek, &why);
    if (result != TAGD_IO_OK)
        return fail(tagd_servers_exit(result), error, why.text);
    uint32_t partitions = customer->peek.partitions;
    if (partitions == 0) {
        tagd_fail(error, "group %s keeps nothing under prefix %s yet; has tagd run with this configuration?",
                  config->group, config->redis.prefix);
        return TAGD_EXIT_DATA;
    }
    bool anywhere = config->sources[0].partitioner == TAGD_NO_PARTITIONER;
    uint32_t first = anywhere ? 0 : shard_of(config, customer->id, partitions),
             last = anywhere ? partitions - 1 : first;
    for (customer->shard = first; customer->shard <= last; customer->shard++) {
        result = tagd_io_peek(config, customer->shard, customer->id, &customer->arena, &customer->peek, &why);
        if (result != TAGD_IO_OK)
            return fail(TAGD_EXIT_UNAVAILABLE, error, why.text);
        if (customer->peek.profile.n)
            return TAGD_EXIT_OK;
    }
    tagd_fail(error, "customer %.*s is not known: no applied event of theirs was in %s", (int)customer->id.n,
              customer->id.p, anywhere ? "any shard" : "their shard");
    return TAGD_EXIT_DATA;
}

enum tagd_exit tagd_customer_open(struct tagd_customer *customer, const struct tagd_config *config,
                                  const struct tagd_catalog *catalog, struct tagd_str id, struct tagd_error *error)
{
    *customer = (struct tagd_customer){.config = config, .catalog = catalog, .id = id};
    enum tagd_exit code = find_profile(customer, error);
    if (code != TAGD_EXIT_OK)
        return code;
    customer->profile = tagd_profile_new(catalog);
    customer->engine = tagd_engine_new(catalog, config->horizon_ms);
    if (!tagd_profile_decode(customer->profile, customer->peek.profile, error))
        return TAGD_EXIT_CONFIG;
    int64_t at = tagd_profile_clock(customer->profile), due = tagd_profile_due(customer->profile);
    if (customer->peek.head.watermark_ms > at)
        at = customer->peek.head.watermark_ms;
    if (at >= due)
        at = due - 1;
    customer->at_ms = at;
    tagd_engine_view(customer->engine, customer->profile, at);
    return TAGD_EXIT_OK;
}

void tagd_customer_close(struct tagd_customer *customer)
{
    tagd_engine_free(customer->engine);
    tagd_profile_free(customer->profile);
    tagd_arena_free(&customer->arena);
    *customer = (struct tagd_customer){0};
}

/* ---- questions ---- */

struct tagd_str tagd_customer_tag_before(const struct tagd_customer *customer, size_t dimension)
{
    struct tagd_tag_history history;
    tagd_profile_tag_history(customer->profile, dimension, &history);
    return history.before;
}

int32_t tagd_customer_outcome(const struct tagd_customer *customer, size_t dimension)
{
    const struct tagd_dimension *d = &customer->catalog->dimensions[dimension];
    for (uint32_t i = 0; i < d->n_rules; i++) {
        if (tagd_engine_rule_holds(customer->engine, dimension, i))
            return (int32_t)i;
    }
    return -1;
}

bool tagd_customer_is_given(const struct tagd_customer *customer, size_t dimension)
{
    return tagd_tag_of(customer->profile, (uint32_t)dimension)->assigned;
}

/* ---- as JSON ---- */

static void add_key(struct tagd_buf *out, const char *key)
{
    unsigned char last = (unsigned char)out->p[out->n - 1];
    if (last != '{' && last != '[')
        tagd_buf_add_byte(out, ',');
    tagd_buf_add_json(out, tagd_str_of(key));
    tagd_buf_add_byte(out, ':');
}

static void add_text(struct tagd_buf *out, const char *key, struct tagd_str text)
{
    add_key(out, key);
    if (text.p)
        tagd_buf_add_json(out, text);
    else
        tagd_buf_add_z(out, "null");
}

static void add_instant(struct tagd_buf *out, const char *key, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    if (ms == TAGD_NEVER || ms == INT64_MIN)
        add_text(out, key, (struct tagd_str){NULL, 0});
    else
        add_text(out, key, (struct tagd_str){text, tagd_time_format(ms, text)});
}

static void add_number(struct tagd_buf *out, const char *key, uint64_t number)
{
    add_key(out, key);
    tagd_buf_add_i64(out, (int64_t)number);
}

static void add_flag(struct tagd_buf *out, const char *key, bool flag)
{
    add_key(out, key);
    tagd_buf_add_z(out, flag ? "true" : "false");
}

static void add_null(struct tagd_buf *out, const char *key)
{
    add_text(out, key, (struct tagd_str){NULL, 0});
}

static void begin(struct tagd_buf *out, const char *key)
{
    add_key(out, key);
    tagd_buf_add_byte(out, '{');
}

static void end(struct tagd_buf *out)
{
    tagd_buf_add_byte(out, '}');
}

static struct tagd_str tag_name(const struct tagd_customer *customer, size_t d, int32_t tag)
{
    return tag < 0 ? (struct tagd_str){NULL, 0} : tagd_str_of(customer->catalog->dimensions[d].rules[tag].tag);
}

/* "rule", "holds", "values" */
static void add_rule(const struct tagd_customer *customer, size_t d, size_t rule, struct tagd_buf *out)
{
    add_text(out, "rule", tagd_str_of(tagd_engine_rule_text(customer->engine, d, rule)));
    add_flag(out, "holds", tagd_engine_rule_holds(customer->engine, d, rule));
    add_key(out, "values");
    tagd_engine_rule_values(customer->engine, d, rule, out);
}

static void add_rules(const struct tagd_customer *customer, size_t d, struct tagd_buf *out)
{
    const struct tagd_dimension *dimension = &customer->catalog->dimensions[d];
    add_key(out, "rules");
    tagd_buf_add_byte(out, '[');
    for (uint32_t i = 0; i < dimension->n_rules && dimension->assign != TAGD_ASSIGN_MANUAL; i++) {
        tagd_buf_add_z(out, i ? ",{" : "{");
        if (!dimension->is_value)
            add_text(out, "tag", tag_name(customer, d, (int32_t)i));
        add_rule(customer, d, i, out);
        end(out);
    }
    tagd_buf_add_byte(out, ']');
}

/* The latest word of a person, whether it is in force or not. */
static void add_word(const struct tagd_customer *customer, size_t d, struct tagd_buf *out)
{
    struct tagd_assignment word;
    tagd_profile_assignment(customer->profile, d, &word);
    if (!word.known) {
        add_null(out, "word");
        return;
    }
    begin(out, "word");
    add_text(out, "tag", tag_name(customer, d, word.tag));
    add_text(out, "by", word.by);
    add_text(out, "reason", word.tag < 0 ? (struct tagd_str){NULL, 0} : word.reason);
    add_instant(out, "until", word.until_ms);
    add_flag(out, "in_force", tagd_customer_is_given(customer, d));
    end(out);
}

/* What for and min_dwell make of the rules. */
static void add_holding(const struct tagd_customer *customer, size_t d, struct tagd_buf *out)
{
    struct tagd_holding holding;
    if (!tagd_engine_holding(customer->engine, d, &holding)) {
        add_null(out, "holding");
        return;
    }
    begin(out, "holding");
    add_text(out, "tag", holding.rule.text);
    add_instant(out, "since", holding.rule.index < 0 ? TAGD_NEVER : holding.rule_since_ms);
    if (holding.waits) {
        begin(out, "waits");
        add_text(out, "tag", holding.wanted.text);
        add_instant(out, "since", holding.wanted_since_ms);
        add_instant(out, "taken", holding.due_ms);
        end(out);
    } else {
        add_null(out, "waits");
    }
    end(out);
}

static void add_proposal(const struct tagd_customer *customer, size_t d, struct tagd_buf *out)
{
    struct tagd_proposal proposal;
    if (!tagd_profile_proposal(customer->profile, d, &proposal)) {
        add_null(out, "proposal");
        return;
    }
    struct tagd_buf id = {0};
    tagd_buf_printf(&id, "proposal:%.*s:%llu", (int)customer->id.n, customer->id.p,
                    (unsigned long long)proposal.revision);
    begin(out, "proposal");
    add_text(out, "id", (struct tagd_str){id.p, id.n});
    add_text(out, "to", tag_name(customer, d, proposal.tag));
    add_instant(out, "since", proposal.at_ms);
    add_instant(out, "expires", proposal.expires_ms);
    end(out);
    tagd_buf_free(&id);
}

static void add_review(const struct tagd_customer *customer, size_t d, struct tagd_buf *out)
{
    const struct tagd_review *review = &tagd_tag_of(customer->profile, (uint32_t)d)->review;
    if (customer->catalog->dimensions[d].assign != TAGD_ASSIGN_REVIEW) {
        add_null(out, "review");
        return;
    }
    begin(out, "review");
    add_text(out, "approved", tag_name(customer, d, review->approved));
    add_proposal(customer, d, out);
    if (review->declined) {
        begin(out, "declined");
        add_text(out, "to", tag_name(customer, d, review->declined_tag));
        end(out);
    } else {
        add_null(out, "declined");
    }
    end(out);
}

/* "since", "valid_until" and, of a dimension, what it was before and is next. */
static void add_span(const struct tagd_customer *customer, size_t d, bool with_tags, struct tagd_buf *out)
{
    struct tagd_tag_history history;
    int64_t until;
    struct tagd_tag then;
    tagd_profile_tag_history(customer->profile, d, &history);
    tagd_engine_next(customer->engine, (struct tagd_profile *)customer->profile, d, customer->at_ms, &until, &then);
    add_instant(out, "since", history.changed ? history.since_ms : TAGD_NEVER);
    if (with_tags)
        add_text(out, "before", history.before);
    add_instant(out, "valid_until", until);
    if (with_tags)
        add_text(out, "then", then.text);
}

static void add_dimensions(const struct tagd_customer *customer, struct tagd_buf *out)
{
    begin(out, "dimensions");
    for (uint32_t d = 0; d < customer->catalog->n_dimensions; d++) {
        const struct tagd_dimension *dimension = &customer->catalog->dimensions[d];
        if (dimension->kind == TAGD_KIND_ALERT)
            continue;
        begin(out, dimension->name);
        add_text(out, "tag", tagd_profile_tag_text(customer->profile, d));
        add_span(customer, d, true, out);
        add_rules(customer, d, out);
        add_holding(customer, d, out);
        add_word(customer, d, out);
        add_review(customer, d, out);
        end(out);
    }
    end(out);
}

static void add_alerts(const struct tagd_customer *customer, struct tagd_buf *out)
{
    begin(out, "alerts");
    for (uint32_t d = 0; d < customer->catalog->n_dimensions; d++) {
        const struct tagd_dimension *dimension = &customer->catalog->dimensions[d];
        if (dimension->kind != TAGD_KIND_ALERT)
            continue;
        begin(out, dimension->name);
        add_flag(out, "raised", tagd_profile_tag(customer->profile, d) >= 0);
        add_span(customer, d, false, out);
        add_rule(customer, d, 0, out);
        add_holding(customer, d, out);
        end(out);
    }
    end(out);
}

static void add_attributes(const struct tagd_customer *customer, struct tagd_buf *out)
{
    begin(out, "attributes");
    for (uint32_t i = 0; i < customer->catalog->n_attributes; i++) {
        const struct tagd_attribute_state *state = tagd_attribute_of(customer->profile, i);
        if (!state->updated)
            continue;
        begin(out, customer->catalog->attributes[i].field.name.p);
        add_key(out, "value");
        tagd_engine_attribute(customer->engine, i, out);
        add_instant(out, "updated", state->at);
        end(out);
    }
    end(out);
}

static void add_place(const struct tagd_customer *customer, struct tagd_buf *out)
{
    const struct tagd_head *head = &customer->peek.head;
    add_number(out, "shard", customer->shard);
    add_number(out, "partitions", head->partitions);
    add_number(out, "batch", head->batch);
    add_text(out, "owner", head->owner[0] ? tagd_str_of(head->owner) : (struct tagd_str){NULL, 0});
    add_instant(out, "baseline", head->baseline.import[0] ? head->baseline.before_ms : TAGD_NEVER);
    add_flag(out, "repairing", head->repair.phase != TAGD_NO_REPAIR);
}

static void add_state(const struct tagd_customer *customer, struct tagd_buf *out)
{
    struct tagd_profile_sizes sizes;
    tagd_profile_sizes(customer->profile, &sizes);
    begin(out, "revision");
    add_number(out, "tag", tagd_profile_revision(customer->profile, TAGD_KIND_TAG));
    add_number(out, "alert", tagd_profile_revision(customer->profile, TAGD_KIND_ALERT));
    add_number(out, "proposal", tagd_profile_revision(customer->profile, TAGD_KIND_PROPOSAL));
    end(out);
    begin(out, "state");
    add_number(out, "bytes", customer->peek.profile.n);
    add_number(out, "panes", sizes.panes);
    add_number(out, "values", sizes.values);
    add_number(out, "value_bytes", sizes.value_bytes);
    add_number(out, "dedupe_ids", sizes.dedupe_ids);
    end(out);
}

void tagd_customer_json(struct tagd_customer *customer, struct tagd_buf *out)
{
    tagd_buf_add_byte(out, '{');
    add_text(out, "customer", customer->id);
    add_instant(out, "as_of", customer->at_ms);
    add_instant(out, "latest_event", tagd_profile_latest(customer->profile));
    add_text(out, "catalog", tagd_str_of(tagd_catalog_name(customer->catalog)));
    add_text(out, "version", tagd_str_of(tagd_catalog_version(customer->catalog)));
    add_place(customer, out);
    add_state(customer, out);
    add_dimensions(customer, out);
    add_alerts(customer, out);
    add_attributes(customer, out);
    tagd_buf_add_z(out, "}\n");
}
