/* Runs inside a container in the tests, and says what it sees, one "name=value" a line, then "end".
 *
 *   container_probe report [FILE]   and writes FILE if it can; waits for SIGTERM, then exits with 7
 *   container_probe ignore          does not hear SIGTERM; waits
 *   container_probe exit N          at once
 *   container_probe eal             starts DPDK's EAL, makes a pool, and waits for SIGTERM
 *   container_probe eat MB          uses up so much memory
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <rte_mempool.h>

#include "lib/base/eal.h"

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

static void report_calls(void)
{
    enum { UNSHARE_32 = 310 };

    printf("unshare=%s\n", outcome(unshare(CLONE_NEWUSER)));
    printf("mount=%s\n", outcome(mount("none", "/run", "tmpfs", 0, NULL)));
    printf("socket_inet=%s\n", outcome(socket(AF_INET, SOCK_DGRAM, 0)));
    printf("socket_unix=%s\n", outcome(socket(AF_UNIX, SOCK_DGRAM, 0)));
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
    report_file("network", "/proc/net/dev");
    report_file("routes", "/proc/net/route");
    report_file("mounts", "/proc/self/mounts");
    report_write("write_root", "/file");
    report_write("write_usr", "/usr/file");
    report_write("write_run", "/run/file");
    if (file != NULL)
        report_write("write_given", file);
    report_calls();
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
    else if (strcmp(mode, "eat") == 0 && argc > 2)
        eat((size_t)atoi(argv[2]) << 20);
    printf("end\n");
    fflush(stdout);
    while (!told_to_end)
        sigsuspend(&before);
    return 7;
}
