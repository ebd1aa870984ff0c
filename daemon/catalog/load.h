/* Room-internal: a catalog being loaded, section by section; what the sections share. */
#ifndef TAGD_CATALOG_LOAD_H
#define TAGD_CATALOG_LOAD_H

#include <cjson/cJSON.h>

#include "catalog/parse.h"

struct load {
    struct tagd_catalog *catalog;
    struct tagd_jsonc *jsonc;
    struct tagd_error *error;
};

/* ---- what the sections share (section.c); a false has set *error ---- */

/* Of the value at the pointer, or of its key. False, always. */
__attribute__((format(printf, 4, 5))) bool tagd_load_fail(struct load *load, const char *pointer, bool key,
                                                          const char *fmt, ...);
/* pointer + "/" + escaped token, in the catalog's arena. */
const char *tagd_load_below(struct load *load, const char *pointer, const char *token);
const char *tagd_load_below_index(struct load *load, const char *pointer, uint32_t i);

/* The object has no other keys than these, up to NULL. */
bool tagd_load_known_keys(struct load *load, const cJSON *object, const char *pointer, const char *const *keys);
/* Unless ok: what was expected, and what kind of value the node is. */
bool tagd_load_want(struct load *load, const cJSON *node, const char *pointer, bool ok, const char *expected);

/* ASCII letters, digits, _ and -, beginning with a letter; with dots between levels if levels > 1 allows them. */
bool tagd_load_name_ok(const char *name, int min_levels, int max_levels);
bool tagd_load_dimension_name_ok(const char *name);
/* ASCII letters, digits, _ and -. */
bool tagd_load_tag_letters_ok(const char *name);

/* A copy in the catalog's arena. */
const char *tagd_load_keep(struct load *load, const char *text);
/* As JSON text in the catalog's arena; NULL: there is nothing. */
const char *tagd_load_keep_json(struct load *load, const cJSON *node);

/* Checks a label: nothing, a text, or texts by language. */
bool tagd_load_label(struct load *load, const cJSON *label, const char *pointer);
/* A span of time under `key` of node; *ms stays if there is none. */
bool tagd_load_span(struct load *load, const cJSON *node, const char *pointer, const char *key, int64_t *ms);
void tagd_load_plan(struct load *load, const cJSON *node, struct tagd_rule *rule);
/* "level1.level2.tag" -> its dimension and tag, kept. False sets no error. */
bool tagd_load_tag(struct load *load, const char *name, struct tagd_str *dimension, struct tagd_str *tag);
/* The text of an expression, kept; then a parser over it. */
bool tagd_load_expression(struct load *load, const cJSON *node, const char *pointer, const char **text);
struct parse tagd_load_parse_of(struct load *load, const char *pointer, const char *text);

/* ---- sections of root, in files of their names; groups and attributes: events.c, metrics: dimensions.c ---- */

bool tagd_load_events(struct load *load, const cJSON *root);
bool tagd_load_groups(struct load *load, const cJSON *root);
bool tagd_load_attributes(struct load *load, const cJSON *root);
bool tagd_load_tables(struct load *load, const cJSON *root);
bool tagd_load_aliases(struct load *load, const cJSON *root);
bool tagd_load_breakdowns(struct load *load, const cJSON *root);
bool tagd_load_goals(struct load *load, const cJSON *root);
bool tagd_load_measures(struct load *load, const cJSON *root);

/* Names and texts only, since rules refer to each other. */
bool tagd_load_metrics(struct load *load, const cJSON *root);
/* With the dimension of churn and with alerts. */
bool tagd_load_dimensions(struct load *load, const cJSON *root);
bool tagd_load_churn(struct load *load, const cJSON *root);
/* Whether `for` or `min_dwell` of any of its rules holds a tag back. */
void tagd_load_see_holds(struct tagd_dimension *dimension);

/* ---- once the names are known ---- */

/* Parses what rules and drivers say (rules.c). */
bool tagd_load_rules(struct load *load);
/* Topological order, ties in catalog order; then needs become transitive. */
bool tagd_load_order(struct load *load);
/* What dimensions read of each other, and what each event type and attribute touches (link.c). */
void tagd_load_link(struct tagd_catalog *catalog);
/* Which dimensions are steady (steady.c). */
void tagd_load_steady(struct tagd_catalog *catalog);
/* Its hash (meaning.c). */
void tagd_load_meaning(struct tagd_catalog *catalog);

#endif
