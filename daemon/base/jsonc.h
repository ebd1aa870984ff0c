/* jsonc: JSON with comments (// and, between slash-star and star-slash, blocks), as catalogs and configurations are
 * written, and messages that show the place of a fault in the source. Reads from memory, never a file. */
#ifndef TAGD_BASE_JSONC_H
#define TAGD_BASE_JSONC_H

#include "base/cjson.h"

struct tagd_jsonc;

/* Copies the text. Comments count as blanks; a key given twice in one object is an error. NULL: *error says
 * FILE:LINE:COLUMN, what was found and expected, with the source line and a caret on lines of their own. */
struct tagd_jsonc *tagd_jsonc_parse(const char *name, const char *text, size_t n, struct tagd_error *error);
/* The same, and a line [from, to) of which `hides` says so is not shown. */
struct tagd_jsonc *tagd_jsonc_parse_hiding(const char *name, const char *text, size_t n,
                                           bool (*hides)(struct tagd_str text, size_t from, size_t to),
                                           struct tagd_error *error);
void tagd_jsonc_free(struct tagd_jsonc *jsonc);         /* NULL is fine; frees the tree too */
cJSON *tagd_jsonc_root(const struct tagd_jsonc *jsonc); /* owned by jsonc: never cJSON_Delete it */

/* A string_offset that means the value itself (the opening quote of a string), not a place inside it. */
#define TAGD_JSONC_WHOLE SIZE_MAX

/* Sets *error to
 *   FILE:LINE:COLUMN: at POINTER: MESSAGE
 *     SOURCE LINE
 *     ^
 * and returns false. The place is that of `pointer` (RFC 6901; "" is the root), or of the node if pointer is NULL. A
 * pointer to what isn't there (a missing key) shows its nearest ancestor that is. at_key: the caret stands at the key,
 * not the value. string_offset: where in a string value (or key) the caret stands, in BYTES of the decoded string;
 * escapes are allowed for; it doesn't matter if the value is not a string. LINE and COLUMN count from 1, columns in
 * characters. */
bool tagd_jsonc_fail(const struct tagd_jsonc *jsonc, struct tagd_error *error, const cJSON *node, const char *pointer,
                     size_t string_offset, bool at_key, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* Adds "/token" to a pointer, with ~ as ~0 and / as ~1. The buffer is NUL-terminated after it (the NUL is not counted).
 */
void tagd_jsonc_pointer_add(struct tagd_buf *pointer, const char *token);
void tagd_jsonc_pointer_add_index(struct tagd_buf *pointer, size_t index);

#endif
