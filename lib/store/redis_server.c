#include "lib/store/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 20000, LOOK_MS = 10, PATH_BYTES = 80 };

struct redis_server {
    pid_t pid; /* 0: it does not run */
    char folder[PATH_BYTES], port[8];
    char socket_address[PATH_BYTES + 20], port_address[32];
};

bool redis_server_is_installed(void)
{
    if (system("command -v redis-server >/dev/null 2>&1") == 0)
        return true;
    fprintf(stderr, "SKIPPED: no Redis server on this machine: nothing of what needs one was "
                    "tested (apt-get install redis-server)\n");
    return false;
}

/* One that is free now. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = bind(fd, (struct sockaddr *)&address, bytes) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &bytes) == 0;

    close(fd);
    return found ? ntohs(address.sin_port) : 0;
}

struct redis_server *redis_server_create(void)
{
    struct redis_server *server = calloc(1, sizeof(*server));
    uint16_t port = free_port();

    if (server == NULL)
        return NULL;
    snprintf(server->folder, sizeof(server->folder), "/tmp/rill_redis_XXXXXX");
    if (port == 0 || mkdtemp(server->folder) == NULL) {
        perror("redis_server_create");
        free(server);
        return NULL;
    }
    snprintf(server->port, sizeof(server->port), "%u", port);
    snprintf(server->port_address, sizeof(server->port_address), "127.0.0.1:%u", port);
    snprintf(server->socket_address, sizeof(server->socket_address), "unix:%s/socket",
             server->folder);
    return server;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

void redis_server_destroy(struct redis_server *server)
{
    if (server == NULL)
        return;
    redis_server_kill(server);
    nftw(server->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(server);
}

/* In the child. */
static void run(const struct redis_server *server, pid_t parent)
{
    char log[PATH_BYTES + 20];
    int fd;

    snprintf(log, sizeof(log), "%s/log", server->folder);
    fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", server->port,
           "--unixsocket", server->socket_address + strlen("unix:"), "--dir", server->folder,
           "--save", "", "--appendonly", "no", NULL);
    _exit(1);
}

static bool takes_connections(const struct redis_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(server->port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    /* The socket comes after the port. */
    return taken && access(server->socket_address + strlen("unix:"), F_OK) == 0;
}

static void print_log(const struct redis_server *server)
{
    char path[PATH_BYTES + 20], line[400];
    FILE *file;

    snprintf(path, sizeof(path), "%s/log", server->folder);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        fputs(line, stderr);
    if (file != NULL)
        fclose(file);
}

bool redis_server_start(struct redis_server *server)
{
    pid_t parent = getpid();

    unlink(server->socket_address + strlen("unix:"));
    server->pid = fork();
    if (server->pid == 0)
        run(server, parent);
    for (int ms = 0; ms < START_MS && waitpid(server->pid, NULL, WNOHANG) == 0; ms += LOOK_MS) {
        if (takes_connections(server))
            return true;
        poll(NULL, 0, LOOK_MS); /* it has no way to say that it is there */
    }
    fprintf(stderr, "a Redis server did not come up; it wrote:\n");
    print_log(server);
    return false;
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void redis_server_freeze(struct redis_server *server, bool frozen)
{
    kill(server->pid, frozen ? SIGSTOP : SIGCONT);
}

const char *redis_server_socket(const struct redis_server *server)
{
    return server->socket_address;
}

const char *redis_server_port(const struct redis_server *server)
{
    return server->port_address;
}
