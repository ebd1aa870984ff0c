/* The compiled catalog, as profile and engine read it. Everything is an index; names are kept for messages and output.
 */
#ifndef TAGD_CATALOG_COMPILED_H
#define TAGD_CATALOG_COMPILED_H

#include "base/set.h"
#include "tagd/catalog.h"
#include "tagd/model.h"

/* Value types of expressions. A tag is the current tag of a dimension: a string that only compares for equality. */
enum tagd_type {
    TAGD_T_NULL,
    TAGD_T_NUMBER,
    TAGD_T_DURATION,
    TAGD_T_BOOLEAN,
    TAGD_T_STRING,
    TAGD_T_TIME,
    TAGD_T_DATE,
    TAGD_T_TAG
};

/* Their numbers are part of a catalog's hash, so that a new kind stands at the end. */
enum tagd_node_kind {
    TAGD_N_LITERAL,
    TAGD_N_COUNT, /* to DAYS: of a window of panes, or of all time; index: the window */
    TAGD_N_SUM,
    TAGD_N_AVG,
    TAGD_N_MIN,
    TAGD_N_MAX,
    TAGD_N_DAYS,
    TAGD_N_DISTINCT, /* to TOP: of a window of values, or of all time; index: the window */
    TAGD_N_TOP,
    TAGD_N_SINCE, /* to FIRST: of a mark; index: the mark */
    TAGD_N_SINCE_FIRST,
    TAGD_N_UNTIL,
    TAGD_N_LATEST,
    TAGD_N_FIRST,
    TAGD_N_DAYS_UNTIL, /* to ATTRIBUTE: index: the attribute */
    TAGD_N_ATTRIBUTE,
    TAGD_N_DIMENSION, /* index: the dimension */
    TAGD_N_METRIC,
    TAGD_N_AND,
    TAGD_N_OR,
    TAGD_N_NOT,
    TAGD_N_EQ,
    TAGD_N_NE,
    TAGD_N_LT,
    TAGD_N_LE,
    TAGD_N_GT,
    TAGD_N_GE,
    TAGD_N_IN,
    TAGD_N_ADD,
    TAGD_N_SUB,
    TAGD_N_MUL,
    TAGD_N_DIV,
    TAGD_N_IS_NULL,
    TAGD_N_IS_NOT_NULL,
    TAGD_N_YEARS,            /* of an attribute, as DAYS_UNTIL is */
    TAGD_N_DAYS_UNTIL_FIRST, /* to YEARS_FIRST: of the local day of the first event; index: the mark */
    TAGD_N_YEARS_FIRST,
    TAGD_N_LOOKUP, /* index: the table; a: what is looked up */
    TAGD_N_WAS,    /* to HELD: of a dimension, as before this evaluation; index: the dimension */
    TAGD_N_PREVIOUS,
    TAGD_N_HELD,
    TAGD_N_P_ALIVE,
    /* index: the mark of what meets an instant; column: the store of instants; literal: how long before it at most */
    TAGD_N_UNTIL_NEXT
};

/* A value at run time. Numbers are exact (decimal, 4 places, in d) or double (in f). */
enum tagd_val_kind {
    TAGD_V_NULL,
    TAGD_V_BOOL,
    TAGD_V_DECIMAL,
    TAGD_V_DOUBLE,
    TAGD_V_DURATION,
    TAGD_V_STRING,
    TAGD_V_TIME,
    TAGD_V_DATE
};
struct tagd_val {
    enum tagd_val_kind kind;
    union {
        bool b;
        tagd_i128 d;
        double f;
        int64_t i; /* duration, time: ms; date: days */
        struct tagd_str s;
    } u;
};

#define TAGD_DURATION_MAX (INT64_C(1) << 53) /* ms; a duration past it is null */

#define TAGD_SLOPE_OTHER INT32_MAX

struct tagd_node {
    enum tagd_node_kind kind;
    enum tagd_type type;
    bool varies;          /* has clocks, so that it may change linearly with time between pane boundaries */
    bool flat;            /* does not: its clocks cancel, as in since_first(E) - since(E), or it has none */
    int slope;            /* of a sum of clocks: by how much it moves in a millisecond; or TAGD_SLOPE_OTHER */
    bool decays;          /* it is p_alive(), which falls with time, and not linearly */
    bool timed;           /* its value may change with time alone at all */
    bool exact;           /* a number that is a decimal, never a double */
    struct tagd_str text; /* its source */
    struct tagd_val literal;
    uint32_t index;                /* window, mark, attribute, dimension, metric or table */
    uint32_t column, count_column; /* of the window's store; count_column: AVG */
    struct tagd_node *a, *b;
    struct tagd_node **list; /* IN */
    uint32_t n_list;
    /* Of a comparison with a literal: what is compared with it, behind metrics, and how, as if it stood on the left. NULL:
     * it isn't one. */
    const struct tagd_node *value;
    const struct tagd_val *level;
    enum tagd_node_kind op;
};

/* A function of a window, of panes or of values. */
static inline bool tagd_node_windowed(const struct tagd_node *node)
{
    return node->kind >= TAGD_N_COUNT && node->kind <= TAGD_N_TOP;
}

static inline bool tagd_node_of_mark(const struct tagd_node *node)
{
    return (node->kind >= TAGD_N_SINCE && node->kind <= TAGD_N_FIRST) || node->kind == TAGD_N_DAYS_UNTIL_FIRST ||
           node->kind == TAGD_N_YEARS_FIRST || node->kind == TAGD_N_UNTIL_NEXT;
}

/* Of clocks: it runs down. */
static inline bool tagd_node_falls(const struct tagd_node *node)
{
    return node->kind == TAGD_N_UNTIL || node->kind == TAGD_N_UNTIL_NEXT;
}

static inline bool tagd_node_of_attribute(const struct tagd_node *node)
{
    return node->kind == TAGD_N_DAYS_UNTIL || node->kind == TAGD_N_YEARS || node->kind == TAGD_N_ATTRIBUTE;
}

static inline bool tagd_node_years(const struct tagd_node *node)
{
    return node->kind == TAGD_N_YEARS || node->kind == TAGD_N_YEARS_FIRST;
}

/* days_until and years: of a date, by the local calendar. */
static inline bool tagd_node_calendar(const struct tagd_node *node)
{
    return tagd_node_years(node) || node->kind == TAGD_N_DAYS_UNTIL || node->kind == TAGD_N_DAYS_UNTIL_FIRST;
}

/* What has an index and is shown with its value: functions, attributes, dimensions, metrics, lookups. Every kind behind
 * IS_NOT_NULL is one. */
static inline bool tagd_node_named(const struct tagd_node *node)
{
    return (node->kind >= TAGD_N_COUNT && node->kind <= TAGD_N_METRIC) || node->kind >= TAGD_N_YEARS;
}

/* A field as an event type sees it: its index among the type's fields, or one of these. */
#define TAGD_FIELD_ABSENT (-1)
#define TAGD_FIELD_SOURCE (-2)

struct tagd_term { /* of a filter: field op literal */
    int32_t field;
    enum tagd_field_type field_type;
    enum tagd_node_kind op; /* EQ..GE */
    struct tagd_value literal;
};
struct tagd_clause { /* all terms must hold */
    uint32_t n_terms;
    struct tagd_term *terms;
};
struct tagd_match { /* of one event type: any clause must hold */
    uint32_t n_clauses;
    struct tagd_clause *clauses;
};

struct tagd_selector {          /* which events; equal ones are one */
    const char *key;            /* canonical text */
    struct tagd_match *by_type; /* n_types; n_clauses 0: no event of this type */
    uint32_t *stores, n_stores, *value_stores, n_value_stores, *marks, n_marks, *goals, n_goals;
    uint64_t *dimensions; /* places of those whose tags an event of it may change, through other dimensions too */
};

/* How time is cut: pane(t) = floor((t + shift) / pane). pane_ms 0: one pane, number 0, for all time. */
struct tagd_grid {
    int64_t pane_ms, shift_ms;
    int64_t span; /* panes that some window can still see, behind the present one; FOREVER: all */
};
#define TAGD_SPAN_FOREVER (INT64_C(1) << 40)
static inline int64_t tagd_grid_pane(const struct tagd_grid *grid, int64_t t_ms)
{
    return grid->pane_ms ? tagd_floor_div(t_ms + grid->shift_ms, grid->pane_ms) : 0;
}
/* Of a grid that has panes. */
static inline int64_t tagd_grid_begin(const struct tagd_grid *grid, int64_t pane)
{
    return pane * grid->pane_ms - grid->shift_ms;
}

/* A cell's meaning. MIN and MAX: 0 none, else the value, those >= 0 one more (so that an empty cell is 0). DAYS: bit 0:
 * an event on the local day on which the pane begins; bit 1: on the next. */
enum tagd_column_kind {
    TAGD_COL_COUNT,
    TAGD_COL_FIELD_SUM,
    TAGD_COL_FIELD_COUNT,
    TAGD_COL_FIELD_MIN,
    TAGD_COL_FIELD_MAX,
    TAGD_COL_DAYS
};
struct tagd_column {
    enum tagd_column_kind kind;
    struct tagd_str field; /* FIELD_* */
    int32_t *by_type;      /* the field in each event type */
};
struct tagd_store { /* panes of a selector */
    uint32_t selector;
    struct tagd_grid grid;
    struct tagd_column *columns;
    uint32_t n_columns;
    bool sums; /* every column's window is the sum of its cells */
};
struct tagd_value_store { /* the different values of a field, by pane */
    uint32_t selector;
    struct tagd_grid grid;
    struct tagd_str field;
    enum tagd_field_type field_type;
    int32_t *by_type;
    bool ordered; /* how often and when last matters too (top) */
};
struct tagd_window {
    bool values;    /* over a value store */
    uint32_t store; /* or value store */
    int64_t panes;  /* window / pane; 0: all time */
    int64_t offset_ms;
};
enum tagd_mark_kind { TAGD_MARK_LATEST, TAGD_MARK_FIRST, TAGD_MARK_VALUE, TAGD_MARK_FIRST_VALUE };
struct tagd_mark {
    uint32_t selector;
    enum tagd_mark_kind kind;
    struct tagd_str field; /* of the VALUEs */
    enum tagd_field_type field_type;
    int32_t *by_type;
};
static inline bool tagd_mark_has_value(const struct tagd_mark *mark)
{
    return mark->kind == TAGD_MARK_VALUE || mark->kind == TAGD_MARK_FIRST_VALUE;
}

struct tagd_attribute_def {
    struct tagd_field field; /* name and type */
    uint64_t *dimensions;    /* places of those whose tags it may change, through other dimensions too */
};

/* A value table: keys ascend as bytes. */
struct tagd_table_row {
    struct tagd_str key, value;
};
struct tagd_table {
    struct tagd_str name;
    struct tagd_table_row *rows;
    uint32_t n_rows;
    struct tagd_str other; /* for a key that isn't there; p NULL: none */
    bool keep;             /* such a key stands for itself */
};
/* The value of the key, which is looked for by halving; p NULL: none. A view of the catalog's bytes, or of the key's. */
struct tagd_str tagd_table_find(const struct tagd_table *table, struct tagd_str key);

struct tagd_event_type {
    struct tagd_str name;
    struct tagd_field *fields;
    uint32_t n_fields;
    int64_t dedupe_ms;
    uint32_t *selectors, n_selectors; /* that this type can match */
};

struct tagd_rule {
    const char *tag;           /* NULL: a value's */
    const char *text;          /* the source of `when` or `value` */
    const char *plan;          /* JSON text, or NULL */
    const char *label;         /* likewise */
    int64_t for_ms;            /* how long it has to be the first that holds before its tag is taken */
    int64_t dwell_ms;          /* how long its tag stays at least */
    struct tagd_node *when;    /* NULL: only a person gives this tag */
    struct tagd_node **values; /* what `because` shows, in order of first appearance */
    uint32_t n_values;
};
struct tagd_dimension {
    const char *name;
    const char *label;       /* JSON text, or NULL */
    bool is_value;           /* its tag is the value of its only rule, as text; the tag's index is 0 */
    struct tagd_rule *rules; /* rule i gives tag i */
    uint32_t n_rules;
    enum tagd_kind kind;
    enum tagd_assign assign;
    int64_t for_ms;     /* how long no rule has to hold before the tag ends; and of its rules, if they don't say */
    int64_t dwell_ms;   /* of its rules, if they don't say */
    int64_t expires_ms; /* of a proposal; 0: never */
    bool holds_back;    /* some for or min_dwell */
    bool remembered;    /* some rule reads how it stood before */
    bool by_day;        /* who comes to its tags and who leaves them is counted tag by tag */
    bool steady;        /* an event that leaves the tag as it is can only put off when time changes it; see steady.c */
    bool alone;         /* reads is empty */
    bool *needs;        /* dimensions it reads, through others too: they are evaluated first */
    bool *looks;        /* dimensions that it reads as they were before */
    uint32_t place;     /* in the order of evaluation; the sets that follow are of places */
    uint64_t *reads;    /* needs and looks, through others too */
    uint64_t *read_by;  /* those that read it */
    uint64_t *stirs; /* those whose tags may change in the next evaluation because this one's changed in the present */
};
/* Two dimensions, the first the earlier one in the catalog: customers are counted by the tags of both. */
struct tagd_breakdown {
    uint32_t a, b;
};
struct tagd_alias {
    struct tagd_str dimension, tag; /* the old name */
    uint32_t to;                    /* the dimension, */
    uint32_t to_tag;                /* and the tag meant */
};
/* A figure of the customer beside what is usual for them, for whoever asks why a level was reached. */
struct tagd_driver {
    const char *name, *value_text, *usual_text;
    struct tagd_node *value, *usual; /* usual may be NULL */
};
/* A figure of every customer, for reports: means over customers, of those who carry a tag and of all. */
struct tagd_measure_def {
    struct tagd_measure measure;
    const char *text, *of_text;
    struct tagd_node *value, *of; /* of: NULL, of all */
};
struct tagd_churn {
    bool given;
    struct tagd_churn_model model;
    uint32_t days, days_column; /* the window (of all time) and its column that count purchase days */
    uint32_t selector;          /* of purchases */
    uint32_t first, latest;     /* marks of purchases */
    uint32_t activity;          /* mark of the latest event that counts as a sign of life */
    struct tagd_driver *drivers;
    uint32_t n_drivers;
};
struct tagd_metric {
    const char *name;
    const char *text;
    struct tagd_node *node;
    int state;        /* 0 not parsed, 1 being parsed, 2 done */
    uint32_t nodes;   /* with those of the metrics it uses */
    uint32_t nesting; /* 1: it uses no metric */
};

struct tagd_catalog {
    struct tagd_arena arena;
    const char *name, *version;
    const char *label; /* JSON text, or NULL */
    char hash[33];
    int64_t zone_ms;
    struct tagd_event_type *types;
    uint32_t n_types;
    uint32_t *type_slots, n_type_slots; /* open addressing, index + 1 */
    struct tagd_attribute_def *attributes;
    uint32_t n_attributes;
    struct tagd_table *tables; /* in order of their names */
    uint32_t n_tables;
    struct tagd_group {
        struct tagd_str name;
        struct tagd_match *by_type;
    } * groups;
    uint32_t n_groups;
    struct tagd_metric *metrics;
    uint32_t n_metrics;
    struct tagd_dimension *dimensions;
    uint32_t n_dimensions; /* with alerts, which are the last */
    uint32_t n_alerts;
    bool reviews;         /* some dimension's tags are reviewed */
    bool has_churn_level; /* TAGD_CHURN_DIMENSION, by the churn section or rules of its own */
    bool looks_back;      /* some rule reads how a dimension stood before */
    struct tagd_alias *aliases;
    uint32_t n_aliases;
    struct tagd_goal *goals;
    uint32_t n_goals;
    struct tagd_churn churn;
    struct tagd_measure_def *measures;
    uint32_t n_measures;
    struct tagd_breakdown *breakdowns;
    uint32_t n_breakdowns;
    uint32_t *order;      /* of evaluation: the dimension at each place */
    uint32_t set_words;   /* of a set of dimensions */
    uint64_t *standing;   /* places of dimensions that are never plain; see engine/standing.c */
    uint64_t *remembered; /* by number: dimensions of which some rule reads how they stood before */
    struct tagd_selector *selectors;
    uint32_t n_selectors, cap_selectors;
    struct tagd_store *stores;
    uint32_t n_stores, cap_stores;
    struct tagd_value_store *value_stores;
    uint32_t n_value_stores, cap_value_stores;
    struct tagd_window *windows;
    uint32_t n_windows, cap_windows;
    struct tagd_mark *marks;
    uint32_t n_marks, cap_marks;
};

/* The local day of an instant, and the instant at which it begins; days since 1970-01-01. */
static inline int64_t tagd_local_day(const struct tagd_catalog *catalog, int64_t t_ms)
{
    return tagd_floor_div(t_ms + catalog->zone_ms, TAGD_MS_DAY);
}
static inline int64_t tagd_local_midnight(const struct tagd_catalog *catalog, int64_t day)
{
    return day * TAGD_MS_DAY - catalog->zone_ms;
}

/* A comparison whose sides change places. */
static inline enum tagd_node_kind tagd_mirrored(enum tagd_node_kind kind)
{
    switch (kind) {
    case TAGD_N_LT: return TAGD_N_GT;
    case TAGD_N_LE: return TAGD_N_GE;
    case TAGD_N_GT: return TAGD_N_LT;
    case TAGD_N_GE: return TAGD_N_LE;
    default: return kind;
    }
}

/* What a metric's name stands for, and that in turn; else the node itself. */
static inline const struct tagd_node *tagd_behind_metric(const struct tagd_catalog *catalog,
                                                         const struct tagd_node *node)
{
    while (node->kind == TAGD_N_METRIC)
        node = catalog->metrics[node->index].node;
    return node;
}

#endif
