/* Any bytes as a catalog. What isn't one has a sentence that begins with the file; what is one compiles to the same meaning
 * again, and its rules run: events of its types happen, time passes, the profile is stored and read, and every change is a
 * JSON text with what it says. */
#include "fuzz.h"

#include "base/json.h"
#include "catalog/compiled.h"

#define TYPES_MAX 12 /* of whose events there are some */
#define TOLD_MAX 400 /* changes that are looked at */

struct told {
    struct tagd_emit emit;
    struct tagd_buf text;
    unsigned n;
};

static void tell(void *self, const struct tagd_change *change)
{
    struct told *told = self;
    struct tagd_json_fault fault;
    if (told->n++ >= TOLD_MAX)
        return;
    told->text.n = 0;
    tagd_emit_change(&told->emit, TAGD_STR("c"), change, &told->text);
    MUST(tagd_json_check(told->text.p, told->text.n, &fault));
    MUST(change->revision > 0 && change->time_ms <= change->valid_until_ms);
}

static void add_field(struct tagd_buf *out, const struct tagd_field *field, unsigned n)
{
    tagd_buf_add_json(out, field->name);
    switch (field->type) {
    case TAGD_DECIMAL: tagd_buf_printf(out, ":%u.5", n * n); break;
    case TAGD_STRING: tagd_buf_printf(out, ":\"%s\"", n % 3 ? "inbound" : "a"); break;
    case TAGD_BOOLEAN: tagd_buf_printf(out, ":%s", n % 2 ? "true" : "false"); break;
    case TAGD_TIME: tagd_buf_printf(out, ":\"2023-11-%02uT00:00:00Z\"", 14 + n % 9); break;
    case TAGD_DATE: tagd_buf_printf(out, ":\"2000-02-%02u\"", 20 + n % 10); break;
    }
}

static void add_event(const struct tagd_catalog *catalog, size_t type, unsigned n, struct tagd_buf *out)
{
    const struct tagd_field *fields = tagd_catalog_fields(catalog, (int32_t)type);
    tagd_buf_add_byte(out, '{');
    for (size_t i = 0; i < tagd_catalog_n_fields(catalog, (int32_t)type); i++) {
        tagd_buf_add_z(out, i ? "," : "");
        add_field(out, &fields[i], n);
    }
    TAGD_BUF_ADD(out, "}\0");
}

static void add_attributes(const struct tagd_catalog *catalog, unsigned n, struct tagd_buf *out)
{
    tagd_buf_add_z(out, "{\"attributes\":{");
    for (size_t i = 0; i < tagd_catalog_n_attributes(catalog); i++) {
        tagd_buf_add_z(out, i ? "," : "");
        add_field(out, tagd_catalog_attribute(catalog, i), n);
    }
    TAGD_BUF_ADD(out, "}}\0");
}

static void reload(struct customer *customer)
{
    struct tagd_buf bytes = {0}, again = {0};
    struct tagd_error error;
    if (tagd_profile_exists(customer->profile)) {
        tagd_profile_encode(customer->profile, &bytes);
        MUST(tagd_profile_decode(customer->profile, str_of(&bytes), &error));
        tagd_profile_check(customer->profile);
        tagd_profile_encode(customer->profile, &again);
        MUST(tagd_str_eq(str_of(&bytes), str_of(&again)));
    }
    tagd_buf_free(&bytes);
    tagd_buf_free(&again);
}

static void live(struct customer *customer)
{
    struct told told = {.emit = {.catalog = customer->catalog, .group = "g", .recorded_ms = -1}};
    struct tagd_buf data = {0};
    tagd_emit_prepare(&told.emit);
    customer->sink = (struct tagd_sink){&told, tell};
    customer_begin(customer);
    for (unsigned n = 0; n < 3; n++) {
        for (size_t type = 0; type < TYPES_MAX && type < customer->catalog->n_types; type++) {
            data.n = 0;
            add_event(customer->catalog, type, n, &data);
            customer_event(customer, customer->catalog->types[type].name.p, FUZZ_T0 + (int64_t)n * 5000 + (int64_t)type,
                           data.p);
        }
        data.n = 0;
        add_attributes(customer->catalog, n, &data);
        customer_event(customer, "profile.updated", FUZZ_T0 + (int64_t)n * 5000 + 999, data.p);
        reload(customer);
    }
    if (tagd_profile_exists(customer->profile)) {
        tagd_engine_advance(customer->engine, customer->profile, FUZZ_T0 + 30000, customer->sink);
        reload(customer);
        tagd_engine_advance(customer->engine, customer->profile, FUZZ_T0 + TAGD_MS_DAY, customer->sink);
    }
    tagd_buf_free(&data);
    tagd_buf_free(&told.text);
    tagd_emit_free(&told.emit);
}

static bool is_label(const char *text)
{
    struct tagd_json_fault fault;
    return text == NULL || tagd_json_check(text, strlen(text), &fault);
}

static void must_be_described(const struct tagd_catalog *catalog)
{
    struct tagd_buf text = {0};
    tagd_catalog_describe(catalog, &text);
    MUST(tagd_utf8_valid(text.p, text.n) && is_label(tagd_catalog_title(catalog)));
    for (size_t i = 0; i < tagd_catalog_n_measures(catalog); i++)
        MUST(is_label(tagd_catalog_measure(catalog, i)->label));
    tagd_buf_free(&text);
}

static void must_be_named(const struct tagd_catalog *catalog)
{
    MUST(strspn(tagd_catalog_hash(catalog), "0123456789abcdef") == 32);
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        MUST(is_label(tagd_catalog_label(catalog, d)));
        for (size_t i = 0; i < tagd_catalog_n_tags(catalog, d); i++)
            MUST(is_label(tagd_catalog_tag_label(catalog, d, i)));
        MUST(strlen(tagd_catalog_dimension(catalog, d)) <= TAGD_NAME_BYTES_MAX);
        MUST(tagd_catalog_n_tags(catalog, d) <= TAGD_TAGS_MAX);
    }
}

/* A name leads to what has it. */
static void must_be_found(const struct tagd_catalog *catalog)
{
    int32_t dimension, tag;
    for (uint32_t i = 0; i < catalog->n_types; i++) {
        MUST(tagd_catalog_type_find(catalog, catalog->types[i].name) == (int32_t)i);
        MUST(!tagd_catalog_type_reserved(catalog->types[i].name) && tagd_catalog_dedupe_ms(catalog, (int32_t)i) >= 0);
    }
    for (size_t i = 0; i < tagd_catalog_n_attributes(catalog); i++)
        MUST(tagd_catalog_attribute_find(catalog, tagd_catalog_attribute(catalog, i)->name) == (int32_t)i);
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        struct tagd_str name = tagd_str_of(tagd_catalog_dimension(catalog, d));
        enum tagd_kind kind = tagd_catalog_kind(catalog, d);
        MUST(tagd_catalog_has_kind(catalog, kind));
        if (kind == TAGD_KIND_ALERT)
            continue;
        MUST(tagd_catalog_dimension_find(catalog, name) == (int32_t)d);
        for (size_t i = 0; i < tagd_catalog_n_tags(catalog, d); i++)
            MUST(tagd_catalog_tag_find(catalog, name, tagd_str_of(tagd_catalog_tag(catalog, d, i)), &dimension, &tag) &&
                 dimension == (int32_t)d && tag == (int32_t)i);
        MUST(!tagd_catalog_is_value(catalog, d) || tagd_catalog_n_tags(catalog, d) == 0);
    }
    for (size_t g = 0; g < tagd_catalog_n_goals(catalog); g++) {
        const struct tagd_goal *goal = tagd_catalog_goal(catalog, g);
        MUST(tagd_catalog_goal_of(catalog, goal->dimension, (int32_t)goal->tag) == (int32_t)g);
        tagd_catalog_holds_out(goal, TAGD_STR("c"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tagd_error error = {{0}};
    struct tagd_catalog *catalog = tagd_catalog_load("fuzz.json", (const char *)data, size, &error);
    if (!catalog) {
        MUST(is_sentence(error.text) && strncmp(error.text, "fuzz.json:", 10) == 0);
        return 0;
    }
    must_be_described(catalog);
    must_be_named(catalog);
    must_be_found(catalog);
    struct customer customer = {0};
    customer_new(&customer, (const char *)data, size);
    MUST(strcmp(tagd_catalog_hash(catalog), tagd_catalog_hash(customer.catalog)) == 0);
    tagd_catalog_free(catalog);
    live(&customer);
    customer_free(&customer);
    return 0;
}
