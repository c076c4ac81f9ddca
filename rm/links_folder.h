/* Folders of deployments' links, on this machine (rm/director.h: make_folder, remove_folder). */
#ifndef RILL_RM_LINKS_FOLDER_H
#define RILL_RM_LINKS_FOLDER_H

#include <stdint.h>

#include "lib/base/error.h"

/* Makes `path` for `uid` alone. -errno with a line in *err. */
int rill_links_folder_make(const char *path, uint32_t uid, struct rill_error *err);

/* With all that is in it: sockets of those who were killed, and whatever programs that run other
 * people's NFs put there. Follows no link, leaves no file system. -errno with a line in *err. */
int rill_links_folder_remove(const char *path, struct rill_error *err);

#endif
