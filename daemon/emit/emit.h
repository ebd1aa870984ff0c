/* What emit's own files share: the names that both content modes carry, and what is the same in every change. */
#ifndef TAGD_EMIT_ROOM_H
#define TAGD_EMIT_ROOM_H

#include "tagd/emit.h"

#define TAGD_SOURCE_PREFIX "tagd/" /* source: this and the group */

/* id: this, the subject, ':', the revision. "tag:", ... */
struct tagd_str tagd_emit_id_prefix(enum tagd_kind kind);
struct tagd_str tagd_emit_type(const struct tagd_change *change);

/* Texts are JSON, ready to be copied; p NULL: none. */
struct tagd_emit_rule {
    struct tagd_str member; /* ,"dimension":"tag"; of a value: none */
    struct tagd_str tag;    /* "tag", within it */
    struct tagd_str plan;   /* ,"plan":... */
    /* What stands before each value of the rule: "rule":"...","values":{"...": and from the second on ,"...": With no
     * values, the first is there and ends with the brace. NULL: only a person gives that tag. */
    struct tagd_str *values;
    uint32_t n_values;
};
struct tagd_emit_dimension {
    struct tagd_str subject; /* {"dimension":"..." or, of an alert, {"alert":"..." */
    struct tagd_str key;     /* ,"dimension": */
    struct tagd_str name;    /* "dimension", within it */
    struct tagd_emit_rule *rules;
    bool shown; /* in `tags` */
};
struct tagd_emit_fixed {
    struct tagd_arena arena;
    struct tagd_str source;     /* tagd/<group>, as it is */
    struct tagd_str attributes; /* ","source":"...","type":" */
    struct tagd_str catalog;    /* ,"catalog":"...","origin":" */
    struct tagd_emit_dimension *dimensions;
    struct tagd_str *goals; /* "name" */
};

#endif
