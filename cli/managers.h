/* The resource managers of a cluster on this machine: the first is called rm, those that stand by
 * rm-2, rm-3, ...; which of them leads changes. */
#ifndef RILL_CLI_MANAGERS_H
#define RILL_CLI_MANAGERS_H

#include "cli/place.h"
#include "cli/process.h"

enum { RILL_MANAGERS_MAX = 9, RILL_MANAGER_NAME_BYTES = 16 };

/* "rm", "rm-2": of its log. From 1. Returns buf. */
const char *rill_manager_name(unsigned number, char buf[RILL_MANAGER_NAME_BYTES]);
/* Its pid file, relative to BASE. Returns buf. */
const char *rill_manager_pid_file(unsigned number, char buf[RILL_PLACE_PATH_BYTES]);
/* False, and none, if it does not run. */
bool rill_manager_find(const struct rill_place *place, unsigned number,
                       struct rill_process *process);
/* How many run. */
unsigned rill_managers_count(const struct rill_place *place);
/* The one that leads: that listens where rm.sock leads to. 0: none. */
unsigned rill_manager_leading(const struct rill_place *place);

#endif
