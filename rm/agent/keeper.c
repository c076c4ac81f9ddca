/* The agent's side: forks the keeper, sends it requests and receives its events. */
#include "rm/agent/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rm/agent/keeper_internal.h"

struct rill_keeper {
    int fd;
    pid_t pid;
    bool gone; /* told */
};

enum {
    BUFFER_BYTES = 8 << 20, /* thousands of requests, so that sending one never waits in practice */
    END_MS = 5000,
};

/* What there is to receive; 0: the keeper is gone. */
static ssize_t receive(int fd, void *what, size_t size, int flags)
{
    ssize_t length;

    /* ECONNRESET: it died with requests unread. What it had sent before comes after that. */
    do
        length = recv(fd, what, size, flags);
    while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    return length;
}

static int open_sockets(int fds[2], struct rill_error *err)
{
    int bytes = BUFFER_BYTES;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return rill_error_set(err, -errno, "keeper: socketpair: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    return 0;
}

static int greet(struct rill_keeper *keeper, struct rill_error *err)
{
    struct rill_keeper_greeting greeting;

    if (receive(keeper->fd, &greeting, sizeof(greeting), 0) != sizeof(greeting))
        return rill_error_set(err, -EIO, "the keeper died at its start; see the agent's log");
    if (greeting.code != 0 && err != NULL)
        *err = greeting.err;
    return greeting.code;
}

int rill_keeper_create(const struct rill_keeper_config *config, struct rill_keeper **keeper,
                       struct rill_error *err)
{
    struct rill_keeper *made = calloc(1, sizeof(*made));
    int fds[2], code;

    *keeper = NULL;
    if (made == NULL)
        return rill_error_set(err, -ENOMEM, "keeper: no memory");
    code = open_sockets(fds, err);
    if (code != 0) {
        free(made);
        return code;
    }
    made->pid = fork();
    if (made->pid == 0) {
        close(fds[0]);
        rill_keeper_main(config, fds[1]);
    }
    made->fd = fds[0];
    close(fds[1]);
    code = made->pid < 0 ? rill_error_set(err, -errno, "keeper: fork: %s", strerror(errno))
                         : greet(made, err);
    if (code != 0) {
        rill_keeper_destroy(made);
        return code;
    }
    *keeper = made;
    return 0;
}

/* It ends when its socket is closed; unless it hangs. Its pid is ours until it was waited for. */
static void end(pid_t pid)
{
    for (int ms = 0; ms < END_MS; ms++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        poll(NULL, 0, 1);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void rill_keeper_destroy(struct rill_keeper *keeper)
{
    if (keeper == NULL)
        return;
    close(keeper->fd);
    if (keeper->pid > 0 && !keeper->gone)
        end(keeper->pid);
    free(keeper);
}

int rill_keeper_fd(const struct rill_keeper *keeper)
{
    return keeper->fd;
}

bool rill_keeper_next(struct rill_keeper *keeper, struct rill_keeper_event *event)
{
    ssize_t length;

    if (keeper->gone)
        return false;
    length = receive(keeper->fd, event, sizeof(*event), MSG_DONTWAIT);
    if (length == sizeof(*event))
        return true;
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    keeper->gone = true;
    end(keeper->pid);
    *event = (struct rill_keeper_event){.type = RILL_KEEPER_GONE};
    return true;
}

/* If the keeper is gone, an event says so. */
static void ask(struct rill_keeper *keeper, struct rill_keeper_request request)
{
    while (send(keeper->fd, &request, sizeof(request), MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

void rill_keeper_run(struct rill_keeper *keeper, uint32_t role, bool host_network)
{
    ask(keeper, (struct rill_keeper_request){
                    .type = RILL_KEEPER_RUN, .role = role, .host_network = host_network});
}

void rill_keeper_stop(struct rill_keeper *keeper, uint32_t role, bool at_once)
{
    ask(keeper,
        (struct rill_keeper_request){.type = RILL_KEEPER_STOP, .role = role, .at_once = at_once});
}

void rill_keeper_fail(struct rill_keeper *keeper, uint32_t role, bool hang)
{
    ask(keeper, (struct rill_keeper_request){.type = hang ? RILL_KEEPER_HANG : RILL_KEEPER_KILL,
                                             .role = role});
}

void rill_keeper_stop_all(struct rill_keeper *keeper)
{
    ask(keeper, (struct rill_keeper_request){.type = RILL_KEEPER_STOP_ALL});
}
