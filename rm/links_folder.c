#include "rm/links_folder.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_MODE = 0700, DESCRIPTORS = 16 };

int rill_links_folder_make(const char *path, uint32_t uid, struct rill_error *err)
{
    int rc;

    if (mkdir(path, FOLDER_MODE) != 0)
        return rill_error_set(err, -errno, "%s: can't be made: %s", path, strerror(errno));
    if (chown(path, uid, uid) == 0)
        return 0;
    rc =
        rill_error_set(err, -errno, "%s: can't be given to uid %u: %s", path, uid, strerror(errno));
    rmdir(path);
    return rc;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)where;
    return type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path);
}

int rill_links_folder_remove(const char *path, struct rill_error *err)
{
    if (nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0)
        return 0;
    return rill_error_set(err, -errno, "%s: can't be removed: %s; remove it by hand", path,
                          strerror(errno));
}
