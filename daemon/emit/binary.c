/* A change in binary mode (CloudEvents 1.0, Kafka protocol binding, 3.2): its attributes are headers, the value is data.
 * The headers travel as one block, so that an outbox can keep them and a later owner publish the same bytes:
 *
 *   u  headers; for each  u name bytes, name, u value bytes, value
 *
 * u: LEB128. */
#include "emit/emit.h"

static void add_text(struct tagd_buf *block, struct tagd_str text)
{
    tagd_buf_add_varint(block, text.n);
    tagd_buf_add_str(block, text);
}

static void add_header(struct tagd_buf *block, struct tagd_str name, struct tagd_str value)
{
    add_text(block, name);
    add_text(block, value);
}

/* The value is the three, one behind the other. */
static void add_header_of(struct tagd_buf *block, struct tagd_str name, struct tagd_str a, struct tagd_str b,
                          struct tagd_str c)
{
    add_text(block, name);
    tagd_buf_add_varint(block, a.n + b.n + c.n);
    tagd_buf_add_str(block, a);
    tagd_buf_add_str(block, b);
    tagd_buf_add_str(block, c);
}

static void add_time(struct tagd_buf *block, struct tagd_str name, int64_t ms)
{
    char text[TAGD_TIME_TEXT];
    size_t n = tagd_time_format(ms, text);
    add_header(block, name, (struct tagd_str){text, n});
}

static void add_id(struct tagd_buf *block, struct tagd_str subject, const struct tagd_change *change)
{
    char text[24];
    struct tagd_buf revision = {text, 0, sizeof(text)};
    tagd_buf_add_byte(&revision, ':');
    tagd_buf_add_i64(&revision, (int64_t)change->revision);
    add_header_of(block, TAGD_STR("ce_id"), tagd_emit_id_prefix(change->kind), subject,
                  (struct tagd_str){text, revision.n});
}

void tagd_emit_headers(const struct tagd_emit *emit, struct tagd_str subject, const struct tagd_change *change,
                       struct tagd_buf *block)
{
    tagd_buf_add_varint(block, change->cause ? 9 : 8);
    add_header(block, TAGD_STR("ce_specversion"), TAGD_STR("1.0"));
    add_id(block, subject, change);
    add_header(block, TAGD_STR("ce_source"), emit->fixed->source);
    add_header(block, TAGD_STR("ce_type"), tagd_emit_type(change));
    add_header(block, TAGD_STR("ce_subject"), subject);
    add_time(block, TAGD_STR("ce_time"), change->time_ms);
    add_time(block, TAGD_STR("ce_recordedtime"), emit->recorded_ms < 0 ? change->time_ms : emit->recorded_ms);
    if (change->cause)
        add_header_of(block, TAGD_STR("ce_causationid"), change->cause->source, TAGD_STR("#"), change->cause->id);
    add_header(block, TAGD_STR("content-type"), TAGD_STR("application/json"));
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
