/* Runs inside a container in the tests, and says what it sees, one "name=value" a line, then "end".
 *
 *   container_probe report [FILE]   and writes FILE if it can; waits for SIGTERM, then exits with 7
 *   container_probe ignore          does not hear SIGTERM; waits
 *   container_probe exit N          at once
 *   container_probe eal             starts DPDK's EAL, makes a pool, and waits for SIGTERM
 *   container_probe port INTERFACE  the same, opens it as a DPDK port over af_packet, sends a frame
 *                                   and waits until it is back (so the interface has to be `lo`)
 *   container_probe eat MB          uses up so much memory
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "lib/base/eal.h"

enum { PORT_TYPE = 0x88b5 /* for experiments */ };
#define PORT_WAIT_NS 10000000000ULL

static volatile sig_atomic_t told_to_end;

static void on_term(int signal_number)
{
    (void)signal_number;
    told_to_end = 1;
}

static unsigned long long now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

static void report_file(const char *name, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        printf("%s=%s%s", name, line, strchr(line, '\n') == NULL ? "\n" : "");
    if (file == NULL)
        printf("%s=%s\n", name, strerror(errno));
    else
        fclose(file);
}

static void report_status(void)
{
    char line[512];
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "Seccomp:", 8) == 0 ||
            strncmp(line, "NoNewPrivs", 10) == 0 || strncmp(line, "Cpus_allowed_list", 17) == 0)
            printf("status=%s", line);
    if (file != NULL)
        fclose(file);
}

static void report_write(const char *name, const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0644);

    printf("%s=%s\n", name, fd >= 0 ? "written" : strerror(errno));
    if (fd >= 0)
        close(fd);
}

static const char *outcome(long result)
{
    return result >= 0 ? "done" : strerror(errno);
}

/* The same call by 32-bit code's door: a filter for 64-bit numbers only would not see it. */
static long call_32(long number)
{
#if defined(__x86_64__)
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0), "c"(0), "d"(0) : "memory");
    errno = result < 0 ? (int)-result : 0;
    return result < 0 ? -1 : result;
#else
    (void)number;
    errno = ENOSYS;
    return -1;
#endif
}

static void report_link(const char *name, const char *path)
{
    char target[256] = "";

    printf("%s=%s\n", name,
           readlink(path, target, sizeof(target) - 1) > 0 ? target : strerror(errno));
}

static bool copy_file(int out, const char *path)
{
    static char buffer[1 << 16];
    int in = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = in < 0 ? -1 : 0;

    while (in >= 0 && (length = read(in, buffer, sizeof(buffer))) > 0)
        if (write(out, buffer, (size_t)length) != length)
            break;
    if (in >= 0)
        close(in);
    return length == 0;
}

/* A shared object from memory, as an NF's image is loaded. */
static void report_load(void)
{
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL), *loaded = NULL;
    int fd = memfd_create("image", MFD_CLOEXEC);
    struct link_map *map = NULL;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (library != NULL && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && fd >= 0 &&
        copy_file(fd, map->l_name))
        loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    printf("load=%s\n", loaded == NULL      ? strerror(errno)
                        : loaded == library ? "not a second one"
                                            : "done");
}

/* What CAP_NET_ADMIN would be needed for: the interface's own flags. */
static long set_flags(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    long result;

    if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
        return -1;
    result = ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
    return result;
}

static void report_calls(void)
{
    enum { UNSHARE_32 = 310 };

    printf("unshare=%s\n", outcome(unshare(CLONE_NEWUSER)));
    printf("mount=%s\n", outcome(mount("none", "/run", "tmpfs", 0, NULL)));
    printf("socket_inet=%s\n", outcome(socket(AF_INET, SOCK_DGRAM, 0)));
    printf("socket_inet6=%s\n", outcome(socket(AF_INET6, SOCK_STREAM, 0)));
    printf("socket_netlink=%s\n", outcome(socket(AF_NETLINK, SOCK_RAW, 0)));
    printf("socket_packet=%s\n", outcome(socket(AF_PACKET, SOCK_RAW, 0)));
    printf("socket_unix=%s\n", outcome(socket(AF_UNIX, SOCK_DGRAM, 0)));
    printf("set_flags=%s\n", outcome(set_flags()));
    printf("clone_newuser=%s\n",
           outcome(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0)));
    printf("unshare_32=%s\n", outcome(call_32(UNSHARE_32)));
}

static void report(const char *file)
{
    struct utsname names;
    extern char **environ;

    printf("pid=%d\nuid=%d\ngid=%d\n", (int)getpid(), (int)getuid(), (int)getgid());
    if (uname(&names) == 0)
        printf("host=%s\n", names.nodename);
    report_file("uid_map", "/proc/self/uid_map");
    report_file("gid_map", "/proc/self/gid_map");
    report_status();
    report_link("net_namespace", "/proc/self/ns/net");
    report_link("user_namespace", "/proc/self/ns/user");
    report_link("pid_namespace", "/proc/self/ns/pid");
    report_link("mnt_namespace", "/proc/self/ns/mnt");
    report_link("ipc_namespace", "/proc/self/ns/ipc");
    report_link("uts_namespace", "/proc/self/ns/uts");
    report_link("cgroup_namespace", "/proc/self/ns/cgroup");
    report_file("network", "/proc/net/dev");
    report_file("routes", "/proc/net/route");
    report_file("mounts", "/proc/self/mounts");
    report_write("write_root", "/file");
    report_write("write_usr", "/usr/file");
    report_write("write_proc", "/proc/sys/kernel/hostname");
    report_write("write_run", "/run/file");
    if (file != NULL)
        report_write("write_given", file);
    report_calls();
    report_load();
    for (char **env = environ; *env != NULL; env++)
        printf("env=%s\n", *env);
}

static int start_eal(void)
{
    struct rill_error err = {.text = ""};

    if (rill_eal_init(64, &err) != 0 || rill_frame_pool_create("probe", 512, &err) == NULL) {
        printf("eal=%s\nend\n", err.text);
        return 1;
    }
    printf("eal=ready\neal_ns=%llu\n", now_ns());
    return 0;
}

/* Promiscuous for as long as the socket is open, without a right to change the interface. */
static long watch_all(const char *interface)
{
    struct packet_mreq request = {.mr_ifindex = (int)if_nametoindex(interface),
                                  .mr_type = PACKET_MR_PROMISC};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request));
}

static int open_port(const char *interface, struct rte_mempool *pool, uint16_t *port)
{
    struct rte_eth_conf config = {0};
    char args[128];
    int code;

    snprintf(args, sizeof(args), "iface=%s,qdisc_bypass=1", interface);
    if ((code = rte_eal_hotplug_add("vdev", "net_af_packet0", args)) != 0 ||
        (code = rte_eth_dev_get_port_by_name("net_af_packet0", port)) != 0 ||
        (code = rte_eth_dev_configure(*port, 1, 1, &config)) != 0 ||
        (code = rte_eth_rx_queue_setup(*port, 0, 64, SOCKET_ID_ANY, NULL, pool)) != 0 ||
        (code = rte_eth_tx_queue_setup(*port, 0, 64, SOCKET_ID_ANY, NULL)) != 0)
        return code;
    return rte_eth_dev_start(*port);
}

static bool is_frame(const struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod(m, const struct ether_header *)->ether_type == htons(PORT_TYPE);
}

static void send_frame(uint16_t port, struct rte_mempool *pool)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    struct ether_header *header = m == NULL ? NULL : (void *)rte_pktmbuf_append(m, ETH_ZLEN);

    if (header == NULL)
        return;
    memset(header, 0, ETH_ZLEN);
    header->ether_type = htons(PORT_TYPE);
    rte_eth_tx_burst(port, 0, &m, 1); /* where it fails, the driver may have freed it or not */
}

/* What leaves by `lo` comes in there. So does all that others send to each other, and neither ring
 * has room for much of it: a frame may be refused or lost, and is sent again. */
static bool sends_to_itself(uint16_t port, struct rte_mempool *pool)
{
    unsigned long long until_ns = now_ns() + PORT_WAIT_NS;
    struct rte_mbuf *m;

    while (now_ns() < until_ns) {
        send_frame(port, pool);
        while (now_ns() < until_ns && rte_eth_rx_burst(port, 0, &m, 1) == 1) {
            bool found = is_frame(m);

            rte_pktmbuf_free(m);
            if (found)
                return true;
        }
        usleep(1000);
    }
    return false;
}

static bool report_port(const char *interface)
{
    struct rte_mempool *pool = rte_mempool_lookup("probe");
    uint16_t port;
    int code = open_port(interface, pool, &port);

    printf("port=%s\n", code == 0 ? "started" : strerror(-code));
    printf("watch_all=%s\n", outcome(watch_all(interface)));
    if (code == 0)
        printf("frame=%s\n", sends_to_itself(port, pool) ? "came back" : "lost");
    return code == 0;
}

static void eat(size_t bytes)
{
    char *memory = malloc(bytes);

    for (size_t i = 0; memory != NULL && i < bytes; i += 4096)
        ((volatile char *)memory)[i] = 1;
}

int main(int argc, char **argv)
{
    unsigned long long main_ns = now_ns();
    const char *mode = argc > 1 ? argv[1] : "";
    sigset_t term, before;

    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (strcmp(mode, "exit") == 0 && argc > 2)
        return atoi(argv[2]);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    if (strcmp(mode, "ignore") != 0)
        signal(SIGTERM, on_term);
    printf("main_ns=%llu\n", main_ns);
    if (strcmp(mode, "report") == 0)
        report(argc > 2 ? argv[2] : NULL);
    else if (strcmp(mode, "eal") == 0 && start_eal() != 0)
        return 1;
    else if (strcmp(mode, "port") == 0 && argc > 2 && (start_eal() != 0 || !report_port(argv[2])))
        return 1;
    else if (strcmp(mode, "eat") == 0 && argc > 2)
        eat((size_t)atoi(argv[2]) << 20);
    printf("end\n");
    fflush(stdout);
    while (!told_to_end)
        sigsuspend(&before);
    return 7;
}
