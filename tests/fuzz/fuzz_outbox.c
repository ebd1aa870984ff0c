/* Any bytes as an outbox entry, and as a block of headers. What is read is written to an entry that reads as the same; an
 * entry that was written reads as what it was made of; changed anywhere, it is refused or is one of the former. */
#include "fuzz.h"

#include "shard/shard.h"

#define OUTPUTS_MAX 12
#define LONG_TEXT ((size_t)300 * 1024) /* more than a block of it */

static bool same_headers(const struct tagd_outbox_output *a, const struct tagd_outbox_output *b)
{
    bool same = a->n_headers == b->n_headers && (a->headers == NULL) == (b->headers == NULL);
    for (size_t i = 0; same && i < a->n_headers; i++)
        same = tagd_str_eq(a->headers[i].name, b->headers[i].name) &&
               tagd_str_eq(a->headers[i].value, b->headers[i].value);
    return same;
}

static bool same_output(const struct tagd_outbox_output *a, const struct tagd_outbox_output *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == TAGD_OUT_DEAD_LETTER)
        return a->topic == b->topic && a->offset == b->offset && a->code == b->code &&
               tagd_str_eq(a->reason, b->reason);
    return tagd_str_eq(a->key, b->key) && tagd_str_eq(a->value, b->value) && same_headers(a, b);
}

static bool same(const struct tagd_outbox_content *a, const struct tagd_outbox_content *b)
{
    bool same = a->watermark_ms == b->watermark_ms && a->n_topics == b->n_topics && a->n_outputs == b->n_outputs &&
                memcmp(a->offset, b->offset, a->n_topics * sizeof(*a->offset)) == 0;
    for (size_t i = 0; same && i < a->n_outputs; i++)
        same = same_output(&a->outputs[i], &b->outputs[i]);
    return same;
}

/* emit/binary.c's form. */
static void add_headers(const struct tagd_outbox_output *output, struct tagd_buf *block)
{
    if (output->headers == NULL)
        return;
    tagd_buf_add_varint(block, output->n_headers);
    for (size_t i = 0; i < output->n_headers; i++) {
        tagd_buf_add_varint(block, output->headers[i].name.n);
        tagd_buf_add_str(block, output->headers[i].name);
        tagd_buf_add_varint(block, output->headers[i].value.n);
        tagd_buf_add_str(block, output->headers[i].value);
    }
}

static void write_entry(const struct tagd_outbox_content *content, struct tagd_buf *out)
{
    struct tagd_buf text = {0};
    tagd_outbox_begin(out, content->watermark_ms, content->n_topics, content->offset, content->n_outputs);
    for (size_t i = 0; i < content->n_outputs; i++) {
        const struct tagd_outbox_output *output = &content->outputs[i];
        if (output->kind == TAGD_OUT_DEAD_LETTER) {
            tagd_outbox_add_dead_letter(out, output->topic, output->offset, output->code, output->reason);
            continue;
        }
        size_t before = text.n;
        add_headers(output, &text);
        tagd_outbox_add_event(out, output->kind, output->key, text.n - before, output->value.n);
        tagd_buf_add_str(&text, output->value);
    }
    tagd_outbox_add_text(out, str_of(&text));
    tagd_buf_free(&text);
}

static void must_be_sound(const struct tagd_outbox_content *content)
{
    MUST(content->n_topics <= TAGD_TOPICS_MAX);
    for (size_t i = 0; i < content->n_outputs; i++) {
        const struct tagd_outbox_output *output = &content->outputs[i];
        MUST(output->kind < TAGD_OUTPUT_KINDS && output->n_headers <= TAGD_EMIT_HEADERS_MAX);
        MUST(output->kind != TAGD_OUT_DEAD_LETTER ||
             (output->topic < TAGD_TOPICS_MAX && output->offset >= 0 && output->code != TAGD_EVENT_OK &&
              output->code < TAGD_EVENT_CODES));
    }
}

static void read_any(struct tagd_str bytes)
{
    static struct tagd_arena arena;
    struct tagd_outbox_content content, again;
    struct tagd_buf written = {0};
    char *exact = tagd_xmalloc(bytes.n + 1);
    memcpy(exact + 1, bytes.p, bytes.n); /* so that a read past its end is seen */
    tagd_arena_reset(&arena);
    if (tagd_outbox_read((struct tagd_str){exact + 1, bytes.n}, &arena, &content)) {
        must_be_sound(&content);
        write_entry(&content, &written);
        MUST(tagd_outbox_read(str_of(&written), &arena, &again) && same(&content, &again));
    }
    free(exact);
    tagd_buf_free(&written);
}

static void read_headers(struct tagd_str block)
{
    static struct tagd_arena arena;
    struct tagd_outbox_output output = {0}, again = {0};
    struct tagd_buf written = {0};
    char *exact = tagd_xmalloc(block.n + 1);
    memcpy(exact + 1, block.p, block.n);
    tagd_arena_reset(&arena);
    if (tagd_emit_headers_read((struct tagd_str){exact + 1, block.n}, &arena, &output.headers, &output.n_headers)) {
        MUST(output.n_headers <= TAGD_EMIT_HEADERS_MAX);
        add_headers(&output, &written);
        MUST(tagd_emit_headers_read(str_of(&written), &arena, &again.headers, &again.n_headers));
        MUST(same_headers(&output, &again));
    }
    free(exact);
    tagd_buf_free(&written);
}

/* ---- entries ---- */

static void make_output(struct input *in, struct tagd_arena *arena, struct tagd_outbox_output *output)
{
    unsigned what = (unsigned)take(in, 1);
    *output = (struct tagd_outbox_output){.kind = (enum tagd_output_kind)(what % TAGD_OUTPUT_KINDS)};
    if (output->kind == TAGD_OUT_DEAD_LETTER) {
        output->topic = (uint32_t)take(in, 1) % TAGD_TOPICS_MAX;
        output->offset = (int64_t)take(in, 5);
        output->code = (enum tagd_event_code)(1 + take(in, 1) % (TAGD_EVENT_CODES - 1));
        output->reason = take_text(in, 100);
        return;
    }
    output->key = take_text(in, 60);
    output->value = take_text(in, 255);
    if (what >= 0xF0) {
        char *text = tagd_arena_alloc(arena, LONG_TEXT);
        for (size_t i = 0; i < LONG_TEXT; i++)
            text[i] = (char)(i * i % 251 * what);
        output->value = (struct tagd_str){text, LONG_TEXT - output->value.n};
    }
    if (what & 0x40) {
        struct tagd_header *headers = tagd_arena_alloc(arena, (TAGD_EMIT_HEADERS_MAX + 1) * sizeof(struct tagd_header));
        output->headers = headers;
        output->n_headers = take(in, 1) % (TAGD_EMIT_HEADERS_MAX + 1);
        for (size_t i = 0; i < output->n_headers; i++)
            headers[i] = (struct tagd_header){take_text(in, 20), take_text(in, 20)};
    }
}

static void make_entry(struct input *in, struct tagd_buf *out)
{
    static struct tagd_arena arena;
    struct tagd_outbox_output outputs[OUTPUTS_MAX];
    struct tagd_outbox_content content = {.outputs = outputs}, read;
    tagd_arena_reset(&arena);
    content.watermark_ms = take_i64(in);
    content.n_topics = (uint32_t)take(in, 1) % (TAGD_TOPICS_MAX + 1);
    for (uint32_t i = 0; i < content.n_topics; i++)
        content.offset[i] = take_i64(in);
    content.n_outputs = take(in, 1) % (OUTPUTS_MAX + 1);
    for (size_t i = 0; i < content.n_outputs; i++)
        make_output(in, &arena, &outputs[i]);
    write_entry(&content, out);
    MUST(tagd_outbox_read(str_of(out), &arena, &read) && same(&content, &read));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct tagd_buf bytes = {0};
    unsigned what = (unsigned)take(&in, 1) & 3;
    if (what > 1) {
        make_entry(&in, &bytes);
        damage(&in, &bytes);
        read_any(str_of(&bytes));
    } else if (what == 1) {
        read_any((struct tagd_str){(const char *)in.p, in.n});
    } else {
        read_headers((struct tagd_str){(const char *)in.p, in.n});
    }
    tagd_buf_free(&bytes);
    return 0;
}
