/* Any bytes as what is told of a customer while a shard is repaired, and as events that tagd published. What is read is
 * written to bytes that read as the same, and takes its place in a profile, whatever it says; an event that follows can
 * be taken back, which leaves the revisions as they were. */
#include "fuzz.h"

#include "shard/repair.h"

#define CHANGES_MAX 40

static struct customer customer;
static struct tagd_worker_config config;
static struct tagd_shard_context context;

static void begin(void)
{
    if (!customer.catalog) {
        customer_new(&customer, fuzz_every_kind, sizeof(fuzz_every_kind) - 1);
        config = (struct tagd_worker_config){.catalog = customer.catalog, .group = "g"};
        context =
            (struct tagd_shard_context){.config = &config, .engine = customer.engine, .profile = customer.profile};
    }
    customer_begin(&customer);
    tagd_engine_telling(customer.engine, TAGD_TOLD);
}

static void settle(const struct tagd_told *told, struct tagd_arena *arena)
{
    struct tagd_told is;
    if (!tagd_profile_exists(customer.profile))
        return;
    tagd_told_settle(told, &context, customer.sink);
    tagd_told_of_profile(&is, customer.catalog, customer.profile, arena);
    for (int kind = 0; kind < TAGD_KINDS; kind++)
        MUST(is.revision[kind] >= told->revision[kind]); /* a repair may tell more */
}

static bool is_tag(size_t dimension, struct tagd_str tag)
{
    bool is = tag.p == NULL || tagd_catalog_is_value(customer.catalog, dimension);
    for (size_t i = 0; i < tagd_catalog_n_tags(customer.catalog, dimension) && !is; i++)
        is = tagd_str_eq(tag, tagd_str_of(tagd_catalog_tag(customer.catalog, dimension, i)));
    return is;
}

static void must_be_of_the_catalog(const struct tagd_told *told)
{
    for (size_t d = 0; d < tagd_catalog_n_dimensions(customer.catalog); d++) {
        const struct tagd_review *review = &told->tags[d].review;
        int32_t n = (int32_t)tagd_catalog_n_tags(customer.catalog, d);
        MUST(told->tags[d].history.tag.n <= TAGD_STRING_MAX && told->tags[d].history.before.n <= TAGD_STRING_MAX);
        MUST(is_tag(d, told->tags[d].history.tag) && is_tag(d, told->tags[d].history.before));
        MUST(review->approved >= -1 && review->approved <= n && review->proposed >= -1 && review->proposed <= n);
    }
}

static void read_told(struct tagd_str bytes, bool settles, struct tagd_arena *arena)
{
    struct tagd_told told, again;
    struct tagd_buf first = {0}, second = {0};
    char *exact = tagd_xmalloc(bytes.n + 1);
    memcpy(exact + 1, bytes.p, bytes.n); /* so that a read past its end is seen */
    if (tagd_told_read((struct tagd_str){exact + 1, bytes.n}, customer.catalog, arena, &told)) {
        must_be_of_the_catalog(&told);
        tagd_told_write(&told, customer.catalog, &first);
        MUST(tagd_told_read(str_of(&first), customer.catalog, arena, &again));
        tagd_told_write(&again, customer.catalog, &second);
        MUST(tagd_str_eq(str_of(&first), str_of(&second)));
        if (settles)
            settle(&told, arena);
    }
    free(exact);
    tagd_buf_free(&first);
    tagd_buf_free(&second);
}

/* ---- events that were published: what a customer's life says, as emit writes it ---- */

struct published {
    struct tagd_emit emit;
    struct tagd_buf value[CHANGES_MAX], headers[CHANGES_MAX];
    size_t n;
    bool binary;
};

static void publish(void *self, const struct tagd_change *change)
{
    struct published *published = self;
    if (published->n == CHANGES_MAX)
        return;
    struct tagd_buf *value = &published->value[published->n], *headers = &published->headers[published->n];
    value->n = headers->n = 0;
    published->n++;
    if (!published->binary) {
        tagd_emit_change(&published->emit, TAGD_STR("c"), change, value);
        return;
    }
    tagd_emit_headers(&published->emit, TAGD_STR("c"), change, headers);
    tagd_emit_data(&published->emit, TAGD_STR("c"), change, value);
}

static struct published *live(struct input *in, unsigned steps, bool binary)
{
    static struct published published;
    if (!published.emit.catalog) {
        published.emit = (struct tagd_emit){.catalog = customer.catalog, .group = "g", .recorded_ms = -1};
        tagd_emit_prepare(&published.emit);
    }
    published.n = 0;
    published.binary = binary;
    customer.sink = (struct tagd_sink){&published, publish};
    for (unsigned i = 0; i < steps && in->n > 0; i++)
        customer_step(&customer, in);
    customer.sink = (struct tagd_sink){NULL, fuzz_unheard};
    return &published;
}

static bool read_change(struct tagd_str value, struct tagd_str block, struct tagd_arena *arena,
                        struct tagd_told_change *change)
{
    const struct tagd_header *headers = NULL;
    size_t n = 0;
    if (block.n > 0 && !tagd_emit_headers_read(block, arena, &headers, &n))
        return false;
    if (!tagd_told_change_read(customer.catalog, TAGD_STR("c"), value, headers, n, arena, change))
        return false;
    MUST(change->revision > 0 && change->kind < TAGD_KINDS && change->from.n <= TAGD_STRING_MAX &&
         change->to.n <= TAGD_STRING_MAX && change->goal < (int32_t)tagd_catalog_n_goals(customer.catalog));
    MUST(change->dimension < tagd_catalog_n_dimensions(customer.catalog));
    return true;
}

static void no_told(struct tagd_told *told, struct tagd_arena *arena)
{
    struct tagd_profile *none = tagd_profile_new(customer.catalog);
    tagd_told_of_profile(told, customer.catalog, none, arena);
    tagd_profile_free(none);
}

/* It may be the next one or not; if it is, it can be taken back. */
static void follow(struct tagd_told *told, const struct tagd_told_change *change)
{
    uint64_t before = told->revision[change->kind];
    if (!tagd_told_follow(told, customer.catalog, change) || told->revision[change->kind] == before)
        return;
    MUST(told->revision[change->kind] == before + 1);
    struct tagd_told copy = *told;
    size_t n = tagd_catalog_n_dimensions(customer.catalog), n_goals = tagd_catalog_n_goals(customer.catalog);
    copy.tags = tagd_xmalloc((n + 1) * sizeof(*copy.tags));
    memcpy(copy.tags, told->tags, n * sizeof(*copy.tags));
    copy.goals = tagd_xmalloc((n_goals + 1) * sizeof(*copy.goals));
    memcpy(copy.goals, told->goals, n_goals * sizeof(*copy.goals));
    MUST(tagd_told_take_back(&copy, customer.catalog, change) && copy.revision[change->kind] == before);
    free(copy.tags);
    free(copy.goals);
}

/* All that was published of a life follows, one after the other; with one of them damaged, anything but a crash. */
static void read_life(struct input *in, bool binary, struct tagd_arena *arena, struct tagd_buf *bytes)
{
    struct tagd_told told;
    struct tagd_told_change change;
    struct published *published = live(in, (unsigned)take(in, 1), binary);
    bool whole = in->n == 0;
    size_t damaged = whole || published->n == 0 ? SIZE_MAX : (size_t)take(in, 1) % published->n;
    no_told(&told, arena);
    for (size_t i = 0; i < published->n; i++) {
        if (i == damaged)
            damage(in, take(in, 1) & 1 && published->headers[i].n ? &published->headers[i] : &published->value[i]);
        bool read = read_change(str_of(&published->value[i]), str_of(&published->headers[i]), arena, &change);
        MUST(read || i == damaged);
        if (read)
            follow(&told, &change);
        MUST(damaged != SIZE_MAX || told.revision[change.kind] == change.revision);
    }
    tagd_told_write(&told, customer.catalog, bytes);
    settle(&told, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tagd_arena arena;
    struct input in = {data, size};
    struct tagd_buf bytes = {0};
    struct tagd_told told;
    struct tagd_told_change change;
    unsigned what = (unsigned)take(&in, 1);
    begin();
    tagd_arena_reset(&arena);
    switch (what & 3) {
    case 0: /* bytes behind a head that is right, over some profile */
        customer_step(&customer, &in);
        tagd_buf_add_byte(&bytes, 2);
        tagd_buf_add(&bytes, tagd_catalog_hash(customer.catalog), 4);
        tagd_buf_add(&bytes, in.p, in.n);
        read_told(str_of(&bytes), true, &arena);
        break;
    case 1: /* a published event's value, as it is */
        no_told(&told, &arena);
        if (read_change((struct tagd_str){(const char *)in.p, in.n}, (struct tagd_str){0}, &arena, &change))
            follow(&told, &change);
        break;
    default: /* what a life told, and then that with some bytes changed */
        read_life(&in, what & 1, &arena, &bytes);
        read_told(str_of(&bytes), true, &arena);
        for (size_t i = 0; i < bytes.n && what & 8; i++) { /* each of its bytes in turn */
            bytes.p[i] = (char)((unsigned char)bytes.p[i] ^ what >> 4);
            read_told(str_of(&bytes), false, &arena);
            bytes.p[i] = (char)((unsigned char)bytes.p[i] ^ what >> 4);
        }
        if (what & 4) {
            damage(&in, &bytes);
            read_told(str_of(&bytes), true, &arena);
        }
        break;
    }
    tagd_buf_free(&bytes);
    return 0;
}
