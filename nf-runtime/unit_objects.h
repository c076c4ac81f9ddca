/* The configuration store, as a unit in a process of its own sees it: a folder or a server's socket
 * under /run/store, where the agent mounts the cluster's store_folder. */
#ifndef RILL_NF_RUNTIME_UNIT_OBJECTS_H
#define RILL_NF_RUNTIME_UNIT_OBJECTS_H

#include "lib/daemon/role.h"
#include "nf-runtime/object_watch.h"

enum { UNIT_OBJECT_TEXT_BYTES = 512 };

/* One, as it is told. */
struct unit_object {
    Control__Object base;
    char option[RILL_OBJECT_NAME_MAX + 1], name[RILL_OBJECT_NAME_MAX + 1];
    char version[RILL_OBJECT_VERSION_BYTES], error[UNIT_OBJECT_TEXT_BYTES];
};

struct unit_objects {
    struct rill_object_watch *watch; /* NULL: the NF names none */
    unsigned count;
    struct unit_object told[RILL_NF_OBJECTS_MAX];
    Control__Object *told_list[RILL_NF_OBJECTS_MAX];
    char trouble[UNIT_OBJECT_TEXT_BYTES];
};

/* Waits until the first versions were loaded, while the agent sees that the process lives. Negative
 * with *err. */
int unit_objects_open(struct unit_objects *objects, const struct rill_role_host *host,
                      struct rill_nf *nf, struct rill_error *err);
/* Between packets: sets what is new. */
void unit_objects_turn(struct unit_objects *objects, struct rill_nf *nf);
void unit_objects_metrics(struct unit_objects *objects, struct rill_role_metrics *metrics);
/* Which versions it has; pointers into *objects. False: the NF names none. */
bool unit_objects_tell(struct unit_objects *objects, const struct rill_nf *nf,
                       Control__Objects *body);

#endif
