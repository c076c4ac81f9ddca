/* Which versions of objects units have. They say it again and again, so nothing of it is kept for
 * the next director. */
#include <stdlib.h>
#include <string.h>

#include "rm/director_internal.h"

enum { OBJECTS_MAX = 8, OBJECTS_BYTES_MAX = 16384 }; /* of one unit */

static bool may_say(const struct dir_role *role, const Control__Objects *body)
{
    return rill_role_kind(role->id) == RILL_ROLE_UNIT && role->vni != 0 &&
           body->n_objects <= OBJECTS_MAX &&
           control__objects__get_packed_size(body) <= OBJECTS_BYTES_MAX;
}

void dir_on_objects(struct rill_director *d, struct dir_role *role, const Control__Message *message)
{
    const Control__Objects *body = message->objects;
    uint8_t *packed;

    if (!may_say(role, body)) {
        dir_unexpected(d, dir_peer_of(d, role->id), message);
        return;
    }
    packed = malloc(control__objects__get_packed_size(body) + 1);
    if (packed == NULL)
        return; /* it says it again */
    free(role->objects);
    role->objects = packed;
    role->objects_bytes = control__objects__pack(body, packed);
}

Control__Objects *dir_objects_of(const struct dir_role *role)
{
    if (role->objects == NULL)
        return NULL;
    return control__objects__unpack(NULL, role->objects_bytes, role->objects);
}
