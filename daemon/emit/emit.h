/* What emit's own files share: the names that both content modes carry. */
#ifndef TAGD_EMIT_ROOM_H
#define TAGD_EMIT_ROOM_H

#define TAGD_ID_OF_TAG "tag:"      /* id: this, the subject, ':', the revision */
#define TAGD_SOURCE_PREFIX "tagd/" /* source: this and the group */
#define TAGD_TYPE_OF_TAG "tagd.tag.changed"

#endif
