/* Room-internal: parsing expressions and event selections of a catalog. */
#ifndef TAGD_CATALOG_PARSE_H
#define TAGD_CATALOG_PARSE_H

#include "base/jsonc.h"
#include "catalog/compiled.h"

/* One text being parsed: an expression, or a group's member. */
struct parse {
    struct tagd_catalog *catalog;
    struct tagd_jsonc *jsonc;
    struct tagd_error *error;
    const char *pointer; /* JSON Pointer of the string */
    const char *text;
    size_t n, at; /* length; next byte */
    int depth, metric_depth;
    bool *needs; /* dimensions read; NULL in a metric's own check */
    bool *looks; /* the same, as they were before */
};

/* A `when` or a metric. NULL: *error is set. */
struct tagd_node *tagd_parse_expression(struct parse *parse);
/* "type" or "type{filter}" of a group: adds it to by_type. */
bool tagd_parse_member(struct parse *parse, struct tagd_match *by_type);
/* E alone: an event type or a group, perhaps with a filter, as an index of selectors. -1: *error is set. */
int32_t tagd_parse_selector(struct parse *parse);
/* Parses metric `index` if it is not yet. */
struct tagd_node *tagd_metric_node(struct parse *from, uint32_t index, size_t at);

/* State that expressions ask for: equal requests are answered with the same index. */
uint32_t tagd_state_selector(struct tagd_catalog *catalog, const struct tagd_match *by_type);
/* pane_ms 0: one pane for all time; forever: all panes are kept. */
uint32_t tagd_state_store(struct tagd_catalog *catalog, uint32_t selector, int64_t pane_ms, bool forever);
uint32_t tagd_state_column(struct tagd_catalog *catalog, uint32_t store, enum tagd_column_kind kind,
                           struct tagd_str field);
uint32_t tagd_state_values(struct tagd_catalog *catalog, uint32_t selector, int64_t pane_ms, struct tagd_str field,
                           enum tagd_field_type type);
uint32_t tagd_state_window(struct tagd_catalog *catalog, bool values, uint32_t store, int64_t panes, int64_t offset_ms);
uint32_t tagd_state_mark(struct tagd_catalog *catalog, uint32_t selector, enum tagd_mark_kind kind,
                         struct tagd_str field, enum tagd_field_type type);
/* The field as each type sees it; false: no type that by_type can match declares it. */
int32_t *tagd_field_by_type(struct tagd_catalog *catalog, struct tagd_str field);

#endif
