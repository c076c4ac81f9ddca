#include "tests/test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 10, LOG_PATH_BYTES = TEST_SERVER_PATH_BYTES + 20 };

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* One that is free now: not every server can choose one itself. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = bind(fd, (struct sockaddr *)&address, bytes) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &bytes) == 0;

    close(fd);
    return found ? ntohs(address.sin_port) : 0;
}

bool test_server_init(struct test_server *server, const char *name)
{
    *server = (struct test_server){.name = name, .port = free_port()};
    snprintf(server->folder, sizeof(server->folder), "/tmp/rill_%s_XXXXXX", name);
    if (server->port != 0 && mkdtemp(server->folder) != NULL)
        return true;
    perror(name);
    return false;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

void test_server_fini(struct test_server *server)
{
    test_server_kill(server);
    nftw(server->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void log_path(const struct test_server *server, char path[LOG_PATH_BYTES])
{
    snprintf(path, LOG_PATH_BYTES, "%s/log", server->folder);
}

/* In the child. */
static void run(const struct test_server *server, char *const argv[], pid_t parent)
{
    char log[LOG_PATH_BYTES];
    int fd;

    log_path(server, log);
    fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execvp(argv[0], argv);
    _exit(1);
}

static bool takes_connections(const struct test_server *server)
{
    struct sockaddr_in address = loopback(server->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return taken;
}

static void print_log(const struct test_server *server)
{
    char path[LOG_PATH_BYTES], line[400];
    FILE *file;

    log_path(server, path);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        fputs(line, stderr);
    if (file != NULL)
        fclose(file);
}

bool test_server_start(struct test_server *server, char *const argv[], const char *path,
                       int start_ms)
{
    pid_t parent = getpid();

    server->pid = fork();
    if (server->pid == 0)
        run(server, argv, parent);
    for (int ms = 0; ms < start_ms && waitpid(server->pid, NULL, WNOHANG) == 0; ms += LOOK_MS) {
        if (takes_connections(server) && (path == NULL || access(path, F_OK) == 0))
            return true;
        poll(NULL, 0, LOOK_MS); /* it has no way to say that it is there */
    }
    fprintf(stderr, "the server %s did not come up; it wrote:\n", server->name);
    print_log(server);
    return false;
}

void test_server_kill(struct test_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void test_server_freeze(struct test_server *server, bool frozen)
{
    kill(server->pid, frozen ? SIGSTOP : SIGCONT);
}
