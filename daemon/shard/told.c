/* What the outputs tell of a customer, while a shard is repaired: the tags that were published last, beside a profile
 * that is computed again. Its form in the store:
 *
 *   u8      version, 1
 *   4 bytes the first 4 of the catalog's hash, so that dimensions are never taken for others
 *   u       revision of the last change told; 0: none
 *   z       its effective time
 *   for each dimension, in the catalog's order:
 *     u8    bits: 1 a change was told, 2 since when and what was before are known, 4 there is a tag, 8 there was one
 *           before
 *     u     bytes of the tag, and the tag, if there is one; the same of the one before; z since when, if known
 *
 * u: LEB128; z: zigzag LEB128. Valid: the whole input is read, no more. */
#include "shard/repair.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"

#define VERSION 1
enum { CHANGED = 1, KNOWN = 2, TAG = 4, BEFORE = 8 };

/* ---- form ---- */

static struct tagd_str copy_of(struct tagd_arena *arena, struct tagd_str text)
{
    return text.p == NULL ? text : tagd_arena_copy(arena, text.p, text.n);
}

void tagd_told_of_profile(struct tagd_told *told, const struct tagd_catalog *catalog,
                          const struct tagd_profile *profile, struct tagd_arena *arena)
{
    size_t n = tagd_catalog_n_dimensions(catalog);
    *told = (struct tagd_told){.revision = tagd_profile_revision(profile, TAGD_KIND_TAG),
                               .changed_at_ms = tagd_profile_changed_at(profile),
                               .tags = tagd_arena_zalloc(arena, (n + 1) * sizeof(*told->tags))};
    for (size_t d = 0; d < n; d++) {
        struct tagd_tag_history *history = &told->tags[d].history;
        tagd_profile_tag_history(profile, d, history);
        history->tag = copy_of(arena, history->tag);
        history->before = copy_of(arena, history->before);
        told->tags[d].known = true;
    }
}

static void add_text(struct tagd_buf *out, struct tagd_str text)
{
    if (text.p == NULL)
        return;
    tagd_buf_add_varint(out, text.n);
    tagd_buf_add_str(out, text);
}

void tagd_told_write(const struct tagd_told *told, const struct tagd_catalog *catalog, struct tagd_buf *out)
{
    tagd_buf_add_byte(out, VERSION);
    tagd_buf_add(out, tagd_catalog_hash(catalog), 4);
    tagd_buf_add_varint(out, told->revision);
    tagd_buf_add_zigzag(out, told->changed_at_ms);
    for (size_t d = 0; d < tagd_catalog_n_dimensions(catalog); d++) {
        const struct tagd_told_tag *of = &told->tags[d];
        const struct tagd_tag_history *history = &of->history;
        tagd_buf_add_byte(out, (unsigned char)((history->changed ? CHANGED : 0) | (of->known ? KNOWN : 0) |
                                               (history->tag.p ? TAG : 0) | (history->before.p ? BEFORE : 0)));
        add_text(out, history->tag);
        add_text(out, history->before);
        if (of->known)
            tagd_buf_add_zigzag(out, history->since_ms);
    }
}

static struct tagd_str read_text(struct tagd_reader *reader, bool there)
{
    uint64_t n = there ? tagd_read_varint(reader) : 0;
    if (n > (size_t)(reader->end - reader->p))
        reader->bad = true;
    return !there || reader->bad ? (struct tagd_str){NULL, 0} : tagd_read_bytes(reader, (size_t)n);
}

static void read_tag(struct tagd_reader *reader, struct tagd_told_tag *of)
{
    struct tagd_str bits = tagd_read_bytes(reader, 1);
    unsigned char is = reader->bad ? 0 : (unsigned char)bits.p[0];
    reader->bad = reader->bad || is >= 2 * BEFORE;
    of->known = is & KNOWN;
    of->history.changed = is & CHANGED;
    of->history.tag = read_text(reader, is & TAG);
    of->history.before = read_text(reader, is & BEFORE);
    if (of->known)
        of->history.since_ms = tagd_read_zigzag(reader);
}

bool tagd_told_read(struct tagd_str bytes, const struct tagd_catalog *catalog, struct tagd_arena *arena,
                    struct tagd_told *told)
{
    struct tagd_reader reader = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n, false};
    size_t n = tagd_catalog_n_dimensions(catalog);
    struct tagd_str begin = tagd_read_bytes(&reader, 5);
    if (reader.bad || begin.p[0] != VERSION || memcmp(begin.p + 1, tagd_catalog_hash(catalog), 4) != 0)
        return false;
    *told = (struct tagd_told){.tags = tagd_arena_zalloc(arena, (n + 1) * sizeof(*told->tags))};
    told->revision = tagd_read_varint(&reader);
    told->changed_at_ms = tagd_read_zigzag(&reader);
    for (size_t d = 0; d < n && !reader.bad; d++)
        read_tag(&reader, &told->tags[d]);
    return !reader.bad && reader.p == reader.end;
}

/* ---- published changes ---- */

/* A member's text; p NULL: it isn't there, or is null, or no string. */
static struct tagd_str text_of(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(member) ? tagd_str_of(member->valuestring) : (struct tagd_str){NULL, 0};
}

static struct tagd_str header_of(const struct tagd_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (tagd_str_eq(headers[i].name, tagd_str_of(name)))
            return headers[i].value;
    return (struct tagd_str){NULL, 0};
}

static bool find_dimension(const struct tagd_catalog *catalog, struct tagd_str name, size_t *dimension)
{
    for (size_t d = 0; name.p != NULL && d < tagd_catalog_n_dimensions(catalog); d++)
        if (tagd_str_eq(name, tagd_str_of(tagd_catalog_dimension(catalog, d)))) {
            *dimension = d;
            return true;
        }
    return false;
}

/* None, or one that the dimension may have. */
static bool is_tag_of(const struct tagd_catalog *catalog, size_t dimension, struct tagd_str tag)
{
    if (tag.p == NULL || tagd_catalog_is_value(catalog, dimension))
        return tag.n <= TAGD_STRING_MAX;
    for (size_t i = 0; i < tagd_catalog_n_tags(catalog, dimension); i++)
        if (tagd_str_eq(tag, tagd_str_of(tagd_catalog_tag(catalog, dimension, i))))
            return true;
    return false;
}

bool tagd_told_change_read(const struct tagd_catalog *catalog, struct tagd_str key, struct tagd_str value,
                           const struct tagd_header *headers, size_t n_headers, struct tagd_arena *arena,
                           struct tagd_told_change *change)
{
    struct tagd_json_fault fault;
    struct tagd_str type = header_of(headers, n_headers, "ce_type"), time = header_of(headers, n_headers, "ce_time");
    bool binary = type.p != NULL;
    const cJSON *root = tagd_json_parse(arena, value.p, value.n, &fault);
    const cJSON *data = binary ? root : cJSON_GetObjectItemCaseSensitive(root, "data");
    const cJSON *revision = cJSON_GetObjectItemCaseSensitive(data, "revision");
    if (!binary) {
        type = text_of(root, "type");
        time = text_of(root, "time");
    }
    *change = (struct tagd_told_change){.customer = key, .from = text_of(data, "from"), .to = text_of(data, "to")};
    if (type.p == NULL || !tagd_str_eq(type, TAGD_STR("tagd.tag.changed")) || time.p == NULL || key.n == 0 ||
        !cJSON_IsNumber(revision) || revision->valuedouble < 1 || revision->valuedouble > 9007199254740992.0)
        return false;
    change->revision = (uint64_t)revision->valuedouble;
    return tagd_time_parse(time, &change->time_ms) &&
           find_dimension(catalog, text_of(data, "dimension"), &change->dimension) &&
           is_tag_of(catalog, change->dimension, change->from) && is_tag_of(catalog, change->dimension, change->to);
}

static bool same_tag(struct tagd_str a, struct tagd_str b)
{
    return (a.p == NULL) == (b.p == NULL) && (a.p == NULL || tagd_str_eq(a, b));
}

bool tagd_told_follow(struct tagd_told *told, const struct tagd_told_change *change)
{
    struct tagd_told_tag *of = &told->tags[change->dimension];
    if (change->revision <= told->revision)
        return true;
    if (change->revision != told->revision + 1 || !same_tag(of->history.tag, change->from))
        return false;
    told->revision = change->revision;
    told->changed_at_ms = change->time_ms;
    *of = (struct tagd_told_tag){{true, change->to, change->from, change->time_ms}, true};
    return true;
}

/* The latest change that is known: what stood before one that is taken back is not. At the latest, if there is none. */
static int64_t latest_change(const struct tagd_told *told, size_t n_dimensions, int64_t at_the_latest_ms)
{
    int64_t latest = INT64_MIN;
    for (size_t d = 0; d < n_dimensions; d++) {
        const struct tagd_told_tag *of = &told->tags[d];
        if (of->known && of->history.changed && of->history.since_ms > latest)
            latest = of->history.since_ms;
    }
    return latest == INT64_MIN ? at_the_latest_ms : latest;
}

bool tagd_told_take_back(struct tagd_told *told, const struct tagd_catalog *catalog,
                         const struct tagd_told_change *change)
{
    struct tagd_told_tag *of = &told->tags[change->dimension];
    if (change->revision != told->revision || !same_tag(of->history.tag, change->to))
        return false;
    told->revision--;
    *of = (struct tagd_told_tag){{.changed = true, .tag = change->from}, false};
    told->changed_at_ms = latest_change(told, tagd_catalog_n_dimensions(catalog), change->time_ms);
    return true;
}

/* ---- the end ---- */

size_t tagd_told_settle(const struct tagd_told *told, struct tagd_shard_context *context, struct tagd_arena *arena,
                        struct tagd_sink sink)
{
    const struct tagd_catalog *catalog = context->config->catalog;
    struct tagd_profile *profile = context->profile;
    size_t n = tagd_catalog_n_dimensions(catalog), n_different = 0;
    bool *different = tagd_arena_zalloc(arena, n + 1);
    for (size_t d = 0; d < n; d++) {
        const struct tagd_told_tag *of = &told->tags[d];
        struct tagd_tag_history is;
        tagd_profile_tag_history(profile, d, &is);
        different[d] = !same_tag(is.tag, of->history.tag);
        n_different += different[d];
        if (!different[d] && !of->known)
            continue;
        if (different[d])
            is = (struct tagd_tag_history){true, copy_of(arena, is.tag), of->history.tag, tagd_profile_clock(profile)};
        bool set = tagd_profile_set_tag_history(profile, d, different[d] ? &is : &of->history);
        assert(set); /* tags were looked up when they were told */
        (void)set;
    }
    tagd_profile_set_revision(profile, TAGD_KIND_TAG, told->revision);
    tagd_profile_set_changed_at(profile, told->changed_at_ms);
    if (n_different > 0)
        tagd_engine_tell(context->engine, profile, different, sink);
    return n_different;
}
