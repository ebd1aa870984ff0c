/* catalog: the text of a catalog -> compiled catalog: lex, parse, check types, compile.
 * Compiled once; nothing is looked up by name on the path of an event but its type. */
#ifndef TAGD_CATALOG_H
#define TAGD_CATALOG_H

#include "tagd/base.h"
#include "tagd/event.h"

struct tagd_catalog;

/* Named limits of a catalog; past one it is refused. */
#define TAGD_CATALOG_BYTES_MAX (4 * 1024 * 1024)
#define TAGD_EVENT_TYPES_MAX 1000
#define TAGD_FIELDS_MAX 64 /* a type */
#define TAGD_ATTRIBUTES_MAX 500
#define TAGD_TABLES_MAX 200
#define TAGD_TABLE_VALUES_MAX 10000 /* a table; keys and values have at most TAGD_STRING_MAX bytes */
#define TAGD_DIMENSIONS_MAX 2000
#define TAGD_TAGS_MAX 1000 /* a dimension */
#define TAGD_EXPR_DEPTH_MAX 64
#define TAGD_METRIC_DEPTH_MAX 64     /* metrics that use metrics that use ... */
#define TAGD_EXPR_NODES_MAX 10000    /* parts of an expression, those of its metrics counted at each use */
#define TAGD_WINDOW_PANES_MAX 100000 /* (window + offset) / pane */

/* Compiles the text (of n bytes; `name` is the file's name for messages). NULL: *error says file, JSON Pointer, line,
 * column, what was found and expected, with the source line and a caret on lines of their own. The catalog owns all it
 * needs. */
struct tagd_catalog *tagd_catalog_load(const char *name, const char *text, size_t n, struct tagd_error *error);
void tagd_catalog_free(struct tagd_catalog *catalog);

const char *tagd_catalog_name(const struct tagd_catalog *catalog);
const char *tagd_catalog_version(const struct tagd_catalog *catalog);
/* 32 lower-case hex digits over the compiled meaning: labels, plans, comments and layout don't count. */
const char *tagd_catalog_hash(const struct tagd_catalog *catalog);

/* Event types. find: -1 if not declared. */
int32_t tagd_catalog_type_find(const struct tagd_catalog *catalog, struct tagd_str name);
bool tagd_catalog_type_reserved(struct tagd_str name);
size_t tagd_catalog_n_types(const struct tagd_catalog *catalog);
size_t tagd_catalog_n_fields(const struct tagd_catalog *catalog, int32_t type);
struct tagd_field {
    struct tagd_str name;
    enum tagd_field_type type;
    bool required;
};
const struct tagd_field *tagd_catalog_fields(const struct tagd_catalog *catalog, int32_t type);
int64_t tagd_catalog_dedupe_ms(const struct tagd_catalog *catalog, int32_t type); /* 0: no dedupe, or a reserved type */

/* Attributes: what `profile.updated` says of a customer. find: -1 if not declared. */
size_t tagd_catalog_n_attributes(const struct tagd_catalog *catalog);
const struct tagd_field *tagd_catalog_attribute(const struct tagd_catalog *catalog, size_t attribute);
int32_t tagd_catalog_attribute_find(const struct tagd_catalog *catalog, struct tagd_str name);

size_t tagd_catalog_n_dimensions(const struct tagd_catalog *catalog);
const char *tagd_catalog_dimension(const struct tagd_catalog *catalog, size_t dimension);
/* Its tag is drawn from the data: it has no tags of its own. */
bool tagd_catalog_is_value(const struct tagd_catalog *catalog, size_t dimension);
size_t tagd_catalog_n_tags(const struct tagd_catalog *catalog, size_t dimension);
const char *tagd_catalog_tag(const struct tagd_catalog *catalog, size_t dimension, size_t tag);
/* A summary for `check`, in lines. */
void tagd_catalog_describe(const struct tagd_catalog *catalog, struct tagd_buf *out);

#endif
