#include "lib/registry/zookeeper_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLASSES "/usr/share/java/zookeeper.jar"

enum { START_MS = 60000, LOOK_MS = 20, PATH_BYTES = 128 };

struct zookeeper_server {
    pid_t pid; /* 0: it does not run */
    uint16_t port;
    char folder[PATH_BYTES];
};

bool zookeeper_server_is_installed(void)
{
    if (access(CLASSES, R_OK) == 0 && system("command -v java >/dev/null 2>&1") == 0)
        return true;
    fprintf(stderr, "SKIPPED: no ZooKeeper server on this machine: nothing of what needs one was "
                    "tested (apt-get install zookeeper)\n");
    return false;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* One that is free now: the server can't choose one itself. */
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

static bool write_configuration(const struct zookeeper_server *server)
{
    char path[PATH_BYTES + 20];
    FILE *file;

    snprintf(path, sizeof(path), "%s/zoo.cfg", server->folder);
    file = fopen(path, "w");
    if (file == NULL)
        return false;
    fprintf(file,
            "tickTime=%d\ndataDir=%s/data\nclientPort=%u\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\nmaxClientCnxns=0\nforceSync=no\n",
            ZOOKEEPER_SERVER_TICK_MS, server->folder, server->port);
    return fclose(file) == 0;
}

struct zookeeper_server *zookeeper_server_create(void)
{
    struct zookeeper_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return NULL;
    snprintf(server->folder, sizeof(server->folder), "/tmp/rill_zookeeper_XXXXXX");
    server->port = free_port();
    if (mkdtemp(server->folder) != NULL && server->port != 0 && write_configuration(server))
        return server;
    perror("zookeeper_server_create");
    free(server);
    return NULL;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

void zookeeper_server_destroy(struct zookeeper_server *server)
{
    if (server == NULL)
        return;
    zookeeper_server_kill(server);
    nftw(server->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(server);
}

/* In the child. */
static void run(const struct zookeeper_server *server, pid_t parent)
{
    char configuration[PATH_BYTES + 20], log[PATH_BYTES + 20];
    int fd;

    snprintf(configuration, sizeof(configuration), "%s/zoo.cfg", server->folder);
    snprintf(log, sizeof(log), "%s/log", server->folder);
    fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    execlp("java", "java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
           CLASSES, "org.apache.zookeeper.server.quorum.QuorumPeerMain", configuration, NULL);
    _exit(1);
}

static bool takes_connections(const struct zookeeper_server *server)
{
    struct sockaddr_in address = loopback(server->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return taken;
}

static void print_log(const struct zookeeper_server *server)
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

bool zookeeper_server_start(struct zookeeper_server *server)
{
    pid_t parent = getpid();

    server->pid = fork();
    if (server->pid == 0)
        run(server, parent);
    for (int ms = 0; ms < START_MS && waitpid(server->pid, NULL, WNOHANG) == 0; ms += LOOK_MS) {
        if (takes_connections(server))
            return true;
        poll(NULL, 0, LOOK_MS); /* it has no way to say that it is there */
    }
    fprintf(stderr, "a ZooKeeper server did not come up; it wrote:\n");
    print_log(server);
    return false;
}

void zookeeper_server_kill(struct zookeeper_server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void zookeeper_server_freeze(struct zookeeper_server *server, bool frozen)
{
    kill(server->pid, frozen ? SIGSTOP : SIGCONT);
}

uint16_t zookeeper_server_port(const struct zookeeper_server *server)
{
    return server->port;
}
