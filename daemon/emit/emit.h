/* What emit's own files share: the names that both content modes carry. */
#ifndef TAGD_EMIT_ROOM_H
#define TAGD_EMIT_ROOM_H

#include "tagd/emit.h"

#define TAGD_SOURCE_PREFIX "tagd/" /* source: this and the group */

/* id: this, the subject, ':', the revision. "tag:", ... */
const char *tagd_emit_id_prefix(enum tagd_kind kind);
const char *tagd_emit_type(const struct tagd_change *change);

#endif
