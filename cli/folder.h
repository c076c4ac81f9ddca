/* A cluster's folder on this machine: made by `rill up`, removed by `rill down`.
 *
 *     BASE/cluster        its name: by this file a cluster's folder is known
 *     BASE/rm.sock  rm.pid  agent.pid
 *     BASE/containers/  control/  links/  roles/  logs/  programs/  records/
 *     BASE.lock           held while the cluster is being brought up or taken down
 */
#ifndef RILL_CLI_FOLDER_H
#define RILL_CLI_FOLDER_H

#include <stdbool.h>

#include "cli/place.h"

enum rill_folder_state {
    RILL_FOLDER_NONE,    /* nothing there, or an empty folder */
    RILL_FOLDER_CLUSTER, /* this cluster's, alive or not */
    RILL_FOLDER_OTHER,   /* somebody else's, or another cluster's: hands off */
};
enum rill_folder_state rill_folder_state(const struct rill_place *place);

/* Takes BASE.lock, or -EBUSY with a line: somebody else is at it. A descriptor (closed on exec). */
int rill_folder_lock(const struct rill_place *place, struct rill_error *err);
/* Lets go, and removes the file where the cluster's folder is gone. -1 is fine. */
void rill_folder_unlock(const struct rill_place *place, int lock);

/* Makes BASE and what is in it, with the programs of the folder `programs`. Negative with *err: the
 * folder can't be entered by containers, a program is missing, no room. What was made then stays.
 */
int rill_folder_make(const struct rill_place *place, const char *programs, struct rill_error *err);
/* Removes what rill_folder_make() and the daemons made, and nothing else. -errno with *err, which
 * names the first thing that stayed. */
int rill_folder_remove(const struct rill_place *place, bool keep_logs, struct rill_error *err);

/* The last line of BASE/logs/ROLE.log, "(no line in PATH)" if there is none. Returns buf. */
enum { RILL_FOLDER_LINE_BYTES = 400 };
const char *rill_folder_last_line(const struct rill_place *place, const char *role,
                                  char buf[RILL_FOLDER_LINE_BYTES]);

/* The folder of this very program, where the daemons are, too. */
int rill_folder_of_programs(char *buf, size_t bytes, struct rill_error *err);

#endif
