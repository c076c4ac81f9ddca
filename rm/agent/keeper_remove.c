/* Removing a cluster from this machine when nobody answers who could be asked to. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rm/agent/keeper_internal.h"
#include "rm/agent/remove_tree.h"

/* By name, so that a base that is none loses nothing else. logs/ stays. */
static const char *const leftovers[] = {"roles",   "links", "control",   "programs", "rm.pid",
                                        "rm.sock", "rm",    "agent.pid", "records"};
enum { LEFTOVERS = sizeof(leftovers) / sizeof(leftovers[0]) };

static int remove_leftovers(const char *base, struct rill_error *err)
{
    char path[RILL_KEEPER_PATH_BYTES];
    int code = 0;

    /* Where nothing may be executed from /run, `rill up` mounted something over it. */
    if (rill_keeper_path(base, "programs", path, NULL) == 0)
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    for (int i = 0; i < LEFTOVERS; i++) {
        struct rill_error *first = code == 0 ? err : NULL;
        int one = rill_keeper_path(base, leftovers[i], path, first);

        if (one == 0)
            one = rill_remove_tree(path, first);
        code = code == 0 ? one : code;
    }
    return code;
}

/* With the cluster locked, so that no agent begins meanwhile. */
static int remove_locked(const char *cluster, const char *base, const char *run_folder,
                         struct rill_error *err)
{
    struct rill_containers *containers;
    int code = rill_containers_open(cluster, run_folder, &containers, err);

    if (code != 0)
        return code;
    code = rill_containers_remove_all(containers, err);
    if (code == 0) /* what a container has mounted is not deleted under it */
        code = remove_leftovers(base, err);
    rill_containers_close(containers);
    return code;
}

int rill_keeper_remove_all(const char *cluster, const char *base, struct rill_error *err)
{
    char run_folder[RILL_KEEPER_PATH_BYTES];
    int code = rill_keeper_path(base, "containers", run_folder, err);

    /* Containers may run though somebody deleted their folders. */
    if (code == 0 && mkdir(base, 0755) != 0 && errno != EEXIST)
        code = rill_error_set(err, -errno, "cannot make the folder %s: %s", base, strerror(errno));
    if (code == 0)
        code = remove_locked(cluster, base, run_folder, err);
    rmdir(base); /* if there are no logs */
    return code;
}
