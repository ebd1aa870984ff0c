/* Room-internal: what the files that parse expressions share. NULL or false of a tagd_parse_ function: *error is set,
 * unless it says otherwise. */
#ifndef TAGD_CATALOG_EXPRESSION_H
#define TAGD_CATALOG_EXPRESSION_H

#include "catalog/parse.h"

/* ---- tokens and literals (tokens.c) ---- */

/* Of the text from `at` on. NULL, always. */
__attribute__((format(printf, 3, 4))) void *tagd_parse_fail(struct parse *parse, size_t at, const char *fmt, ...);

bool tagd_is_digit(char c);
bool tagd_is_letter(char c);
char tagd_parse_peek(const struct parse *parse); /* 0: the end */
void tagd_parse_skip_space(struct parse *parse);
/* Takes what stands next if it is this; else false, and no error. An operator compares; in a filter = does too. */
bool tagd_parse_take(struct parse *parse, const char *token);
bool tagd_parse_take_word(struct parse *parse, const char *word);
bool tagd_parse_take_operator(struct parse *parse, bool filter, enum tagd_node_kind *kind);
bool tagd_parse_expect(struct parse *parse, const char *token, const char *where);
/* What stands next, for a message. */
const char *tagd_parse_found(struct parse *parse, char out[80]);
/* A name with the dots between its levels; empty if there is none here. */
struct tagd_str tagd_parse_take_name(struct parse *parse);
/* What stands next is a quote. */
bool tagd_parse_take_string(struct parse *parse, struct tagd_str *out);
/* A number or duration, perhaps with a minus right before it. */
struct tagd_node *tagd_parse_number(struct parse *parse);

/* A node of the text from start up to here. */
struct tagd_node *tagd_parse_node(struct parse *parse, enum tagd_node_kind kind, enum tagd_type type, size_t start);
struct tagd_node *tagd_parse_literal(struct parse *parse, size_t start, enum tagd_type type, struct tagd_val value);
size_t tagd_parse_start_of(const struct parse *parse, const struct tagd_node *node);

/* For messages. */
const char *tagd_type_name(enum tagd_type type);
const char *tagd_field_type_name(enum tagd_field_type type);
#define TAGD_DATE_EXPECTED ": expected a date as " TAGD_DATE_FORMS

/* ---- selections of events (selectors.c) ---- */

/* An event type or, if they may stand here, a group; perhaps with a filter. Fresh array. */
struct tagd_match *tagd_parse_events(struct parse *parse, bool groups);
/* The type a field has in all members that declare it. */
bool tagd_parse_field_type(struct parse *parse, const struct tagd_match *by_type, struct tagd_str field, size_t at,
                           enum tagd_field_type *type);
/* NULL: none of that name. */
const struct tagd_group *tagd_find_group(const struct tagd_catalog *catalog, struct tagd_str name);

/* ---- windows (windows.c) ---- */

struct window_range {
    int64_t window, pane, offset; /* ms; window 0: all time */
};

/* [window], [window:pane], offset; or nothing: all time. */
bool tagd_parse_range(struct parse *parse, struct window_range *range);
bool tagd_parse_take_duration(struct parse *parse, const char *what, int64_t *ms);

/* ---- values (names.c, functions.c) ---- */

/* Literal, name, call, or an expression in brackets. */
struct tagd_node *tagd_parse_primary(struct parse *parse);
/* After "name(". */
struct tagd_node *tagd_parse_call(struct parse *parse, size_t start, struct tagd_str name);

bool tagd_is_attribute(struct tagd_str name);
/* The attribute that attr.NAME names; -1: none of that name. */
int32_t tagd_find_attribute(const struct tagd_catalog *catalog, struct tagd_str name);
void *tagd_parse_unknown_attribute(struct parse *parse, size_t at, struct tagd_str name);
enum tagd_type tagd_value_type(enum tagd_field_type type);
/* Dimensions that a metric reads count for every rule that uses it. */
void tagd_parse_collect_needs(const struct parse *parse, const struct tagd_node *node);

/* ---- operators (operators.c) ---- */

/* The grammar's "or": any expression. */
struct tagd_node *tagd_parse_or(struct parse *parse);
/* By that rule, one level deeper. */
struct tagd_node *tagd_parse_deeper(struct parse *parse, struct tagd_node *(*rule)(struct parse *));

#endif
