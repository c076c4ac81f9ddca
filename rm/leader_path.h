/* Where the leading resource manager of a machine is found: BASE/rm.sock is a symbolic link to the
 * socket of the one that leads, BASE/rm/NUMBER.sock. Whoever dials follows it (lib/control/link.h).
 *
 * Why a link, and not the registry: what talks to the resource manager on this machine, every
 * command among it, needs neither a client of the registry nor a list of addresses, and finds a
 * leader that hangs as gone as one that died: the link points elsewhere.
 */
#ifndef RILL_RM_LEADER_PATH_H
#define RILL_RM_LEADER_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

/* BASE/rm, for sockets and what is kept: there from now on. 0, or negative with a line. */
int rill_leader_path_prepare(const char *base, struct rill_error *err);
/* "ipc://BASE/rm/NUMBER.sock"; -ENAMETOOLONG. */
int rill_leader_path_url(const char *base, uint64_t number, char *url, size_t bytes,
                         struct rill_error *err);
/* This one listens there: rm.sock leads to it from now on, and what others left is removed.
 * -ESTALE: it leads to one with a higher number. Others with a line in *err. */
int rill_leader_path_take(const char *base, uint64_t number, struct rill_error *err);

#endif
