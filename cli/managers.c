#include "cli/managers.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *rill_manager_name(unsigned number, char buf[RILL_MANAGER_NAME_BYTES])
{
    snprintf(buf, RILL_MANAGER_NAME_BYTES, number == 1 ? "rm" : "rm-%u", number);
    return buf;
}

const char *rill_manager_pid_file(unsigned number, char buf[RILL_PLACE_PATH_BYTES])
{
    snprintf(buf, RILL_PLACE_PATH_BYTES, number == 1 ? "rm.pid" : "rm/%u.pid", number);
    return buf;
}

bool rill_manager_find(const struct rill_place *place, unsigned number,
                       struct rill_process *process)
{
    char file[RILL_PLACE_PATH_BYTES], path[RILL_PLACE_PATH_BYTES];

    return rill_process_find(process,
                             rill_place_path(place, rill_manager_pid_file(number, file), path));
}

unsigned rill_managers_count(const struct rill_place *place)
{
    unsigned n = 0;

    for (unsigned i = 1; i <= RILL_MANAGERS_MAX; i++) {
        struct rill_process process;

        n += rill_manager_find(place, i, &process);
        rill_process_close(&process);
    }
    return n;
}

/* 0: nobody listens. */
static pid_t who_listens(const struct rill_place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[RILL_PLACE_PATH_BYTES];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct ucred who = {.pid = 0};
    socklen_t bytes = sizeof(who);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s",
             rill_place_path(place, "rm.sock", path));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) != 0)
        who.pid = 0;
    if (fd >= 0)
        close(fd);
    return who.pid;
}

unsigned rill_manager_leading(const struct rill_place *place)
{
    pid_t leader = who_listens(place);

    for (unsigned i = 1; leader != 0 && i <= RILL_MANAGERS_MAX; i++) {
        struct rill_process process;
        bool it_is = rill_manager_find(place, i, &process) && process.pid == leader;

        rill_process_close(&process);
        if (it_is)
            return i;
    }
    return 0;
}
