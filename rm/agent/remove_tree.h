/* Deleting a folder with all that is in it. */
#ifndef RILL_RM_AGENT_REMOVE_TREE_H
#define RILL_RM_AGENT_REMOVE_TREE_H

#include "lib/base/error.h"

/* A folder or a file; 0 also if it is not there. Links are deleted, not followed, and what is
 * mounted there is not touched. -errno with a line in *err. */
int rill_remove_tree(const char *path, struct rill_error *err);

#endif
