#include "cli/teardown.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/folder.h"
#include "cli/managers.h"
#include "cli/process.h"

enum {
    TERM_MS = 2000, /* to end after SIGTERM */
    KILL_MS = 5000, /* and after SIGKILL */
    TRIES = 10,     /* of removing the containers: the keeper may hold its lock a moment longer */
    PAUSE_MS = 200,
    REMOVE_MS = 60000,
};

static void end_daemon(const struct rill_place *place, const char *pid_file,
                       struct rill_teardown *did)
{
    char path[RILL_PLACE_PATH_BYTES];
    struct rill_process process;

    if (!rill_process_find(&process, rill_place_path(place, pid_file, path)))
        return;
    did->killed++;
    rill_process_signal(&process, SIGCONT); /* one that was stopped would never see the next */
    rill_process_signal(&process, SIGTERM);
    if (!rill_process_ended(&process, TERM_MS)) {
        rill_process_signal(&process, SIGKILL);
        rill_process_ended(&process, KILL_MS);
    }
    rill_process_close(&process);
}

unsigned rill_teardown_containers(const struct rill_place *place)
{
    char path[RILL_PLACE_PATH_BYTES], prefix[RILL_PLACE_NAME_MAX + 8];
    char relative[RILL_PLACE_NAME_MAX + 16];
    unsigned count = 0;
    DIR *folder;

    snprintf(relative, sizeof(relative), "containers/%s", place->name);
    folder = opendir(rill_place_path(place, relative, path));

    if (folder == NULL)
        return 0;
    snprintf(prefix, sizeof(prefix), "rill-%s-", place->name);
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder))
        count += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(folder);
    return count;
}

/* One try. True if nothing is left of them. */
static bool remove_containers(const struct rill_place *place, const char *agent)
{
    const char *const argv[] = {agent,       "--remove-all", "yes",       "--cluster",
                                place->name, "--base",       place->base, NULL};
    char log[RILL_PLACE_PATH_BYTES];
    struct rill_process process;
    int status = -1;

    if (rill_process_start(&process, argv, rill_place_path(place, "logs/agent.log", log), NULL) !=
        0)
        return false;
    if (!rill_process_ended(&process, REMOVE_MS))
        rill_process_signal(&process, SIGKILL);
    waitpid(process.pid, &status, 0);
    rill_process_close(&process);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int remove_all_containers(const struct rill_place *place, struct rill_teardown *did,
                                 struct rill_error *err)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    char folder[PATH_MAX], agent[PATH_MAX + 16], line[RILL_FOLDER_LINE_BYTES];
    int rc = rill_folder_of_programs(folder, sizeof(folder), err);

    if (rc != 0)
        return rc;
    did->containers = rill_teardown_containers(place);
    snprintf(agent, sizeof(agent), "%s/rill-agent", folder);
    for (int i = 0; i < TRIES; i++) {
        if (remove_containers(place, agent))
            return 0;
        nanosleep(&pause, NULL);
    }
    if (rill_teardown_containers(place) == 0)
        return 0;
    return rill_error_set(err, -EIO, "containers of cluster '%s' could not be removed: %s",
                          place->name, rill_folder_last_line(place, "agent", line));
}

int rill_teardown(const struct rill_place *place, bool keep_logs, struct rill_teardown *did,
                  struct rill_error *err)
{
    int rc;

    *did = (struct rill_teardown){0};
    /* The agent first: nobody starts containers any more. */
    end_daemon(place, "agent.pid", did);
    for (unsigned i = 1; i <= RILL_MANAGERS_MAX; i++) {
        char file[RILL_PLACE_PATH_BYTES];

        end_daemon(place, rill_manager_pid_file(i, file), did);
    }
    rc = remove_all_containers(place, did, err);
    return rc == 0 ? rill_folder_remove(place, keep_logs, err) : rc;
}
