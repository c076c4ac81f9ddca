#include "rm/agent/remove_tree.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS_OPEN = 16 };

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)ftw;
    if ((type == FTW_DP ? rmdir(path) : unlink(path)) == 0 || errno == ENOENT)
        return 0;
    return errno; /* positive: nftw() itself fails with -1 */
}

int rill_remove_tree(const char *path, struct rill_error *err)
{
    struct stat info;
    int code;

    if (lstat(path, &info) != 0 && errno == ENOENT)
        return 0;
    code = nftw(path, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (code == 0)
        return 0;
    code = code > 0 ? code : errno;
    return rill_error_set(err, -code, "cannot remove %s: %s", path, strerror(code));
}
