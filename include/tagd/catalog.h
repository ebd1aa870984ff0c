/* catalog: the text of a catalog -> compiled catalog: lex, parse, check types, compile.
 * Compiled once; nothing is looked up by name on the path of an event but its type. */
#ifndef TAGD_CATALOG_H
#define TAGD_CATALOG_H

#include "tagd/base.h"
#include "tagd/event.h"

struct tagd_catalog;

/* Named limits of a catalog; past one it is refused. */
#define TAGD_CATALOG_BYTES_MAX (4 * 1024 * 1024)
#define TAGD_NAME_BYTES_MAX 128 /* of anything that has a name */
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
#define TAGD_ALERTS_MAX 500
#define TAGD_ALIASES_MAX 10000
#define TAGD_GOALS_MAX 100
#define TAGD_DRIVERS_MAX 20
#define TAGD_MEASURES_MAX 20
#define TAGD_BREAKDOWNS_MAX 100

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

/* What an event out tells of. A customer's events of one kind are counted from 1, without gaps. */
enum tagd_kind {
    TAGD_KIND_TAG,      /* a tag changed */
    TAGD_KIND_ALERT,    /* an alert was raised or cleared */
    TAGD_KIND_PROPOSAL, /* a tag is proposed for review, or a proposal is closed */
    TAGD_KIND_GOAL,     /* a goal was reached or missed */
    TAGD_KIND_CHURN,    /* the tag of TAGD_CHURN_DIMENSION changed */
    TAGD_KINDS
};
#define TAGD_CHURN_DIMENSION "churn.level"
/* Whether events of that kind may come of it. */
bool tagd_catalog_has_kind(const struct tagd_catalog *catalog, enum tagd_kind kind);

/* Dimensions, and after them the alerts: an alert is a dimension with one tag, whose changes are of another kind and
 * which nothing else reads or shows as a tag. */
size_t tagd_catalog_n_dimensions(const struct tagd_catalog *catalog);
enum tagd_kind tagd_catalog_kind(const struct tagd_catalog *catalog, size_t dimension); /* TAG, ALERT or CHURN */
const char *tagd_catalog_dimension(const struct tagd_catalog *catalog, size_t dimension);
enum tagd_assign { TAGD_ASSIGN_AUTO, TAGD_ASSIGN_MANUAL, TAGD_ASSIGN_REVIEW };
enum tagd_assign tagd_catalog_assign(const struct tagd_catalog *catalog, size_t dimension);
/* The dimension and tag that these names stand for, by themselves or as an alias; an alert has no name here. False:
 * there is no such dimension (*dimension is -1 then), or it has no such tag. A dimension whose tag is drawn from the data
 * has none. */
bool tagd_catalog_tag_find(const struct tagd_catalog *catalog, struct tagd_str dimension_name, struct tagd_str tag_name,
                           int32_t *dimension, int32_t *tag);
/* -1: no dimension of that name; one that only aliases name counts if they all lead to one dimension. */
int32_t tagd_catalog_dimension_find(const struct tagd_catalog *catalog, struct tagd_str name);
/* Its tag is drawn from the data: it has no tags of its own. */
bool tagd_catalog_is_value(const struct tagd_catalog *catalog, size_t dimension);
size_t tagd_catalog_n_tags(const struct tagd_catalog *catalog, size_t dimension);
const char *tagd_catalog_tag(const struct tagd_catalog *catalog, size_t dimension, size_t tag);
/* What people read of a dimension or an alert, and of a tag: JSON, a text or texts by language. NULL: none. */
const char *tagd_catalog_label(const struct tagd_catalog *catalog, size_t dimension);
const char *tagd_catalog_tag_label(const struct tagd_catalog *catalog, size_t dimension, size_t tag);
/* Goals: entering a tag starts one, an event within a time reaches it, else it is missed. */
struct tagd_goal {
    const char *name;
    const char *label;       /* JSON, a text or texts by language; NULL: none */
    uint32_t dimension, tag; /* entering this tag starts it; a tag starts one goal at most */
    uint32_t selector;       /* of the events that reach it */
    int64_t within_ms;       /* after the start; exclusive */
    int64_t target;          /* the share of customers hoped for, a decimal; -1: none */
    int64_t holdout;         /* the share of customers to be left alone, a decimal */
    /* Against those held out, decimals; -1: none. One of the three targets at most. */
    int64_t uplift;       /* by which share more are to reach it */
    int64_t fewer_missed; /* by which share fewer are to miss it */
};
size_t tagd_catalog_n_goals(const struct tagd_catalog *catalog);
const struct tagd_goal *tagd_catalog_goal(const struct tagd_catalog *catalog, size_t goal);
/* The goal that entering the tag starts; -1: none. */
int32_t tagd_catalog_goal_of(const struct tagd_catalog *catalog, size_t dimension, int32_t tag);
/* Whether the customer is one of those to be left alone, for comparison. Decided by both names alone, so that it is the
 * same whenever and wherever it is asked: CRC-32 (zlib's) of "<goal>:<customer>", modulo 10,000, is below 10,000 times
 * the share. */
bool tagd_catalog_holds_out(const struct tagd_goal *goal, struct tagd_str customer);
/* Measures: figures of customers, for reports. */
struct tagd_measure {
    const char *name;
    const char *label; /* JSON, a text or texts by language; NULL: none */
    enum { TAGD_MEASURE_SHARE, TAGD_MEASURE_NUMBER, TAGD_MEASURE_DURATION } kind; /* of a condition, 0 or 1 */
};
size_t tagd_catalog_n_measures(const struct tagd_catalog *catalog);
const struct tagd_measure *tagd_catalog_measure(const struct tagd_catalog *catalog, size_t measure);
const char *tagd_catalog_title(const struct tagd_catalog *catalog); /* its label, likewise */
/* A summary for `check`, in lines. */
void tagd_catalog_describe(const struct tagd_catalog *catalog, struct tagd_buf *out);

#endif
