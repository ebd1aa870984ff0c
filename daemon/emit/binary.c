/* A change in binary mode (CloudEvents 1.0, Kafka protocol binding, 3.2): its attributes are headers, the value is data.
 * The headers travel as one block, so that an outbox can keep them and a later owner publish the same bytes:
 *
 *   u  headers; for each  u name bytes, name, u value bytes, value
 *
 * u: LEB128. */
#include "emit/emit.h"

#include <stdio.h>

static void add_header(struct tagd_buf *block, const char *name, const struct tagd_str *parts, size_t n_parts)
{
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++)
        n += parts[i].n;
    tagd_buf_add_varint(block, tagd_str_of(name).n);
    tagd_buf_add_z(block, name);
    tagd_buf_add_varint(block, n);
    for (size_t i = 0; i < n_parts; i++)
        tagd_buf_add_str(block, parts[i]);
}

static void add_text(struct tagd_buf *block, const char *name, struct tagd_str text)
{
    add_header(block, name, &text, 1);
}

static void add_time(struct tagd_buf *block, const char *name, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    size_t n = tagd_time_format(ms, text);
    add_text(block, name, (struct tagd_str){text, n});
}

void tagd_emit_headers(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                       struct tagd_buf *block)
{
    char revision[24];
    int n = snprintf(revision, sizeof(revision), ":%llu", (unsigned long long)change->revision);
    const struct tagd_str id[] = {tagd_str_of(tagd_emit_id_prefix(change->kind)), subject, {revision, (size_t)n}};
    const struct tagd_str source[] = {TAGD_STR(TAGD_SOURCE_PREFIX), tagd_str_of(emit->group)};
    tagd_buf_add_varint(block, change->cause ? 9 : 8);
    add_text(block, "ce_specversion", TAGD_STR("1.0"));
    add_header(block, "ce_id", id, 3);
    add_header(block, "ce_source", source, 2);
    add_text(block, "ce_type", tagd_str_of(tagd_emit_type(change)));
    add_text(block, "ce_subject", subject);
    add_time(block, "ce_time", change->time_ms);
    add_time(block, "ce_recordedtime", emit->recorded_ms < 0 ? change->time_ms : emit->recorded_ms);
    if (change->cause) {
        const struct tagd_str cause[] = {change->cause->source, TAGD_STR("#"), change->cause->id};
        add_header(block, "ce_causationid", cause, 3);
    }
    add_text(block, "content-type", TAGD_STR("application/json"));
}

static struct tagd_str read_text(struct tagd_reader *reader)
{
    uint64_t n = tagd_read_varint(reader);
    if (n > (size_t)(reader->end - reader->p))
        reader->bad = true;
    return reader->bad ? (struct tagd_str){"", 0} : tagd_read_bytes(reader, (size_t)n);
}

bool tagd_emit_headers_read(struct tagd_str block, struct tagd_arena *arena, const struct tagd_header **headers,
                            size_t *n_headers)
{
    struct tagd_reader reader = {(const unsigned char *)block.p, (const unsigned char *)block.p + block.n, false};
    uint64_t n = tagd_read_varint(&reader);
    if (reader.bad || n > TAGD_EMIT_HEADERS_MAX)
        return false;
    struct tagd_header *out = tagd_arena_alloc(arena, ((size_t)n + 1) * sizeof(*out));
    for (uint64_t i = 0; i < n; i++) {
        out[i].name = read_text(&reader);
        out[i].value = read_text(&reader);
    }
    *headers = out;
    *n_headers = (size_t)n;
    return !reader.bad && reader.p == reader.end;
}
