/* Reading a record of another shape by its topic's map. Headers play no part in it: the value is JSON, and the map says
 * where each attribute is. A whole number where text is wanted is its decimal text. */
#include "event/event.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pointer.h"
#include "tagd/catalog.h"

/* ---- text from numbers ---- */

/* NULL if the number was read, else what was found in its place. */
const char *tagd_number_text(double number, struct tagd_arena *arena, struct tagd_str *text)
{
    char digits[24], *out;
    size_t n = 0, k = 0;
    uint64_t left;

    if (!(fabs(number) <= (double)TAGD_EXACT_MAX))
        return "a number beyond 9007199254740991, which readers of JSON round (it must come as a string)";
    if (number != floor(number))
        return "a number with a fraction";
    left = (uint64_t)fabs(number);
    do {
        digits[n++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    out = tagd_arena_alloc(arena, n + 2);
    if (number < 0)
        out[k++] = '-';
    while (n > 0)
        out[k++] = digits[--n];
    out[k] = '\0';
    *text = (struct tagd_str){out, k};
    return NULL;
}

/* ---- times from numbers ---- */

/* The instant of a count of seconds, cut to the millisecond as its decimal text reads. */
static int64_t ms_of_seconds(double seconds)
{
    double whole = floor(seconds), fraction = (seconds - whole) * 1000;
    int64_t near = (int64_t)whole * 1000 + (int64_t)(fraction + 0.5);

    /* 0.123 is no double: of a text with three places `near` is the value, and its quotient the same double. */
    return (double)near / 1000 == seconds ? near : (int64_t)whole * 1000 + (int64_t)fraction;
}

static bool plain_number(struct tagd_str of, double *number)
{
    char text[34]; /* a sign, twice 15 digits, a point, and one byte more that is too much */
    const char *p;
    size_t whole, n = of.n < sizeof(text) - 1 ? of.n : sizeof(text) - 1;

    memcpy(text, of.p, n);
    text[n] = '\0';
    p = text + (*text == '-');
    whole = strspn(p, "0123456789");
    p += whole;
    if (whole == 0 || whole > 15)
        return false;
    if (*p == '.') {
        size_t places = strspn(p + 1, "0123456789");

        if (places == 0 || places > 15)
            return false;
        p += 1 + places;
    }
    *number = strtod(text, NULL);
    return *p == '\0';
}

/* NULL if the time was read, else what was found in its place. */
static const char *read_epoch(enum tagd_time_form form, const struct tagd_json *node, int64_t *ms)
{
    double number, scale = form == TAGD_EPOCH_S ? 1000 : 1;

    if (node->type == TAGD_JSON_NUMBER)
        number = tagd_double_parse(node->text);
    else if (node->type != TAGD_JSON_STRING)
        return tagd_json_what(node);
    else if (!plain_number(node->text, &number))
        return "a string";
    if (!(number >= (double)TAGD_TIME_MIN / scale && number < ((double)TAGD_TIME_MAX + 1) / scale))
        return form == TAGD_EPOCH_S ? "a number out of range (milliseconds?)" : "a number out of range";
    *ms = form == TAGD_EPOCH_S ? ms_of_seconds(number) : (int64_t)floor(number);
    return NULL;
}

/* ---- attributes ---- */

static bool read_key(const struct tagd_record *record, const struct tagd_map_rule *rule, struct tagd_attribute *attr,
                     struct tagd_event *event)
{
    if (!record->has_key)
        return true;
    if (!tagd_utf8_valid(record->key.p, record->key.n))
        return tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "%s: invalid UTF-8", rule->called);
    if (record->key.n && memchr(record->key.p, '\0', record->key.n))
        return tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "%s: a NUL byte", rule->called);
    *attr = (struct tagd_attribute){TAGD_TEXT, record->key, "a string", 0};
    return true;
}

static void read_at(const struct tagd_map_rule *rule, const struct tagd_json *root, struct tagd_arena *arena,
                    struct tagd_attribute *attr)
{
    const struct tagd_json *node = tagd_pointer_find(&rule->at, root);

    if (!node || node->type == TAGD_JSON_NULL)
        return;
    if (rule->form != TAGD_RFC3339) {
        attr->kind = read_epoch(rule->form, node, &attr->ms);
        attr->state = attr->kind ? TAGD_NOT_TEXT : TAGD_INSTANT;
        return;
    }
    attr->kind = tagd_json_what(node);
    if (node->type == TAGD_JSON_STRING)
        attr->text = node->text;
    else if (node->type == TAGD_JSON_NUMBER)
        attr->kind = tagd_number_text(tagd_double_parse(node->text), arena, &attr->text);
    attr->state = node->type == TAGD_JSON_STRING || !attr->kind ? TAGD_TEXT : TAGD_NOT_TEXT;
}

static bool read_attribute(const struct tagd_map_rule *rule, const struct tagd_record *record,
                           const struct tagd_json *root, struct tagd_arena *arena, struct tagd_attribute *attr,
                           struct tagd_event *event)
{
    *attr = (struct tagd_attribute){TAGD_ABSENT, {"", 0}, "null", 0};
    switch (rule->kind) {
    case TAGD_MAP_AT: read_at(rule, root, arena, attr); return true;
    case TAGD_MAP_TEXT: *attr = (struct tagd_attribute){TAGD_TEXT, rule->text, "a string", 0}; return true;
    case TAGD_MAP_KEY: return read_key(record, rule, attr, event);
    case TAGD_MAP_OFFSET:
        attr->state = TAGD_TEXT;
        attr->text = tagd_str_of(
            tagd_arena_printf(arena, "%s/%d/%lld", rule->text.p, (int)record->partition, (long long)record->offset));
        return true;
    case TAGD_MAP_NONE:
    case TAGD_MAP_NUMBER:
    case TAGD_MAP_BOOLEAN:
    case TAGD_MAP_FIELDS: break;
    }
    return true;
}

/* ---- data ---- */

/* A time of another form becomes text. One that can't be read is left for the field's own check to refuse, if the event's
 * type declares it; a string is emptied, or it might pass there as RFC 3339. */
static void read_time_field(const struct tagd_map_rule *rule, struct tagd_arena *arena, struct tagd_json *node)
{
    char *text = tagd_arena_alloc(arena, TAGD_TIME_TEXT);
    int64_t ms;

    if (!read_epoch(rule->form, node, &ms)) {
        node->type = TAGD_JSON_STRING;
        node->text = (struct tagd_str){text, tagd_time_format(ms, text)};
    } else if (node->type == TAGD_JSON_STRING) {
        node->text = (struct tagd_str){"", 0};
    }
}

static struct tagd_json *make_value(const struct tagd_map_rule *rule, const struct tagd_json *root,
                                    struct tagd_arena *arena);

static void make_members(const struct tagd_map_rule *rule, const struct tagd_json *root, struct tagd_arena *arena,
                         struct tagd_json **link)
{
    for (size_t i = 0; i < rule->n_fields; i++) {
        struct tagd_json *member =
            make_value(&rule->fields[i].rule, root, arena); /* at most one level deeper: see config */

        if (!member)
            continue;
        member->name = rule->fields[i].name;
        member->next = NULL;
        *link = member;
        link = &member->next;
    }
}

/* NULL: nothing is there. */
static struct tagd_json *make_value(const struct tagd_map_rule *rule, const struct tagd_json *root,
                                    struct tagd_arena *arena)
{
    const struct tagd_json *found = rule->kind == TAGD_MAP_AT ? tagd_pointer_find(&rule->at, root) : NULL;
    struct tagd_json *node;

    if (rule->kind == TAGD_MAP_AT && !found)
        return NULL;
    node = tagd_arena_zalloc(arena, sizeof(*node));
    switch (rule->kind) {
    case TAGD_MAP_AT:
        *node = *found; /* its members are shared */
        if (rule->form != TAGD_RFC3339)
            read_time_field(rule, arena, node);
        return node;
    case TAGD_MAP_TEXT:
        node->type = TAGD_JSON_STRING;
        node->text = rule->text;
        return node;
    case TAGD_MAP_NUMBER:
        node->type = TAGD_JSON_NUMBER;
        node->text = tagd_str_of(tagd_arena_printf(arena, "%.17g", rule->number)); /* reads back the same */
        return node;
    case TAGD_MAP_BOOLEAN: node->type = rule->number != 0 ? TAGD_JSON_TRUE : TAGD_JSON_FALSE; return node;
    case TAGD_MAP_NONE:
    case TAGD_MAP_KEY:
    case TAGD_MAP_OFFSET:
    case TAGD_MAP_FIELDS: break;
    }
    node->type = TAGD_JSON_OBJECT;
    make_members(rule, root, arena, &node->child);
    return node;
}

bool tagd_map_read(const struct tagd_map *map, const struct tagd_record *record, struct tagd_arena *arena,
                   struct tagd_envelope *envelope, struct tagd_event *event)
{
    struct tagd_json_fault fault = {0, ""};
    const struct tagd_json *root;

    memset(envelope, 0, offsetof(struct tagd_envelope, nodes));
    envelope->map = map;
    if (!record->has_value)
        return tagd_event_refuse(event, TAGD_EVENT_MALFORMED,
                                 "value: the record has none (a tombstone); expected an event");
    root = tagd_json_read(tagd_envelope_room(envelope, arena), record->value.p, record->value.n, &fault);
    if (!root)
        return tagd_event_refuse(event, TAGD_EVENT_MALFORMED, "value: byte %zu: %s", fault.offset, fault.what);
    for (int i = 0; i < TAGD_MAP_ATTRIBUTES; i++)
        if (!read_attribute(&map->attributes[i], record, root, arena, &envelope->attrs[TAGD_ATTR_ID + i], event))
            return false;
    if (map->data.kind == TAGD_MAP_AT)
        envelope->data = tagd_pointer_find(&map->data.at, root);
    else if (map->data.kind == TAGD_MAP_FIELDS)
        envelope->data = make_value(&map->data, root, arena);
    return true;
}

/* ---- for messages ---- */

const char *tagd_attribute_called(const struct tagd_envelope *envelope, enum tagd_attribute_name name)
{
    const char *called =
        envelope->map && name != TAGD_ATTR_SPECVERSION ? envelope->map->attributes[name - TAGD_ATTR_ID].called : NULL;

    return called ? called : tagd_attribute_names[name].p;
}

const char *tagd_time_form_expected(enum tagd_time_form form)
{
    switch (form) {
    case TAGD_EPOCH_S: return "seconds since 1970 as a number";
    case TAGD_EPOCH_MS: return "milliseconds since 1970 as a number";
    case TAGD_RFC3339: break;
    }
    return "a time as RFC 3339 writes it";
}

const struct tagd_map_rule *tagd_map_field_rule(const struct tagd_map_rule *of, struct tagd_str name)
{
    for (size_t i = 0; of && i < of->n_fields; i++)
        if (tagd_str_eq(of->fields[i].name, name))
            return &of->fields[i].rule;
    return NULL;
}

/* ---- against the catalog ---- */

static bool fits(const struct tagd_map_rule *rule, enum tagd_field_type type)
{
    int64_t ignored;

    switch (rule->kind) {
    case TAGD_MAP_AT: return rule->form == TAGD_RFC3339 || type == TAGD_TIME;
    case TAGD_MAP_NUMBER: return type == TAGD_DECIMAL && tagd_decimal_from_double(rule->number, &ignored);
    case TAGD_MAP_BOOLEAN: return type == TAGD_BOOLEAN;
    case TAGD_MAP_TEXT:
        return (type == TAGD_STRING && rule->text.n <= TAGD_STRING_MAX) ||
               (type == TAGD_TIME && tagd_time_parse(rule->text, &ignored)) ||
               (type == TAGD_DATE && tagd_date_parse(rule->text, &ignored));
    case TAGD_MAP_NONE:
    case TAGD_MAP_KEY:
    case TAGD_MAP_OFFSET:
    case TAGD_MAP_FIELDS: break;
    }
    return false;
}

/* Whether any type from `first` to `last` declares the field, and whether one that does takes the rule's value. */
static void look_up(const struct tagd_catalog *catalog, int32_t first, int32_t last, const struct tagd_map_field *field,
                    bool *declared, bool *fitting)
{
    *declared = *fitting = false;
    for (int32_t type = first; type <= last; type++) {
        size_t n = tagd_catalog_n_fields(catalog, type);
        const struct tagd_field *fields = n ? tagd_catalog_fields(catalog, type) : NULL;

        for (size_t i = 0; i < n; i++)
            if (tagd_str_eq(fields[i].name, field->name)) {
                *declared = true;
                *fitting = *fitting || fits(&field->rule, fields[i].type);
            }
    }
}

static bool refuse_value(const char *topic, const struct tagd_map_field *field, const char *what,
                         struct tagd_error *error)
{
    return tagd_fail(error,
                     "the map of topic \"%s\": %s of the %s \"%s\" doesn't fit the type that the catalog gives it; "
                     "correct either",
                     topic, field->rule.kind == TAGD_MAP_AT ? "\"as\"" : "the value", what, field->name.p);
}

/* The fields of `attributes`, which a profile.updated has. */
static bool check_attributes(const struct tagd_catalog *catalog, const char *topic, const struct tagd_map_rule *rule,
                             struct tagd_error *error)
{
    for (size_t i = 0; i < rule->n_fields; i++) {
        const struct tagd_map_field *field = &rule->fields[i];
        int32_t found = tagd_catalog_attribute_find(catalog, field->name);

        if (found < 0)
            return tagd_fail(error,
                             "the map of topic \"%s\" gives the attribute \"%s\", which the catalog does not declare; "
                             "declare it among \"attributes\", or take it out",
                             topic, field->name.p);
        if (!fits(&field->rule, tagd_catalog_attribute(catalog, (size_t)found)->type))
            return refuse_value(topic, field, "attribute", error);
    }
    return true;
}

static bool check_field(const struct tagd_map *map, const struct tagd_catalog *catalog, const char *topic,
                        const struct tagd_map_field *field, struct tagd_error *error)
{
    static const char *const reserved[] = {"attributes", "dimension", "tag",      "by",
                                           "reason",     "until",     "proposal", "decision"};
    const struct tagd_map_rule *type = &map->attributes[TAGD_MAP_TYPE];
    int32_t only = type->kind == TAGD_MAP_TEXT ? tagd_catalog_type_find(catalog, type->text) : -1;
    int32_t last = (int32_t)tagd_catalog_n_types(catalog) - 1;
    bool declared, fitting;

    for (size_t i = 0; only < 0 && i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (tagd_str_eq(field->name, tagd_str_of(reserved[i]))) /* a reserved type's own member */
            return i > 0 || check_attributes(catalog, topic, &field->rule, error);
    look_up(catalog, only < 0 ? 0 : only, only < 0 ? last : only, field, &declared, &fitting);
    if (!declared && only < 0)
        return tagd_fail(error,
                         "the map of topic \"%s\" gives the field \"%s\", which no event type of the catalog declares; "
                         "correct its name, or take it out",
                         topic, field->name.p);
    if (!declared)
        return tagd_fail(error,
                         "the map of topic \"%s\" gives the field \"%s\", which the catalog's event type %s does not "
                         "declare; correct its name, or take it out",
                         topic, field->name.p, type->text.p);
    if (!fitting)
        return refuse_value(topic, field, "field", error);
    return true;
}

bool tagd_map_check(const struct tagd_map *map, const struct tagd_catalog *catalog, const char *topic,
                    struct tagd_error *error)
{
    const struct tagd_map_rule *type = &map->attributes[TAGD_MAP_TYPE];

    if (type->kind == TAGD_MAP_TEXT && tagd_catalog_type_find(catalog, type->text) < 0) {
        const struct tagd_map_rule *attributes = tagd_map_field_rule(&map->data, TAGD_STR("attributes"));

        if (tagd_catalog_type_reserved(type->text)) /* the rest of its data is not the catalog's to say */
            return !attributes || check_attributes(catalog, topic, attributes, error);
        return tagd_fail(
            error,
            "the map of topic \"%s\" makes every record's type \"%s\", which the catalog does not declare; "
            "declare it among \"events\", or correct it",
            topic, type->text.p);
    }
    for (size_t i = 0; i < map->data.n_fields; i++)
        if (!check_field(map, catalog, topic, &map->data.fields[i], error))
            return false;
    return true;
}
