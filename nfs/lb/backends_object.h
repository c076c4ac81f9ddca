/* Backends as an object of the configuration store: one server a line. */
#ifndef RILL_NFS_LB_BACKENDS_OBJECT_H
#define RILL_NFS_LB_BACKENDS_OBJECT_H

#include <rill/nf.h>

/* Its objects are struct backends. */
extern const struct rill_object_type backends_object_type;

#endif
