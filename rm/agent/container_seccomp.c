/* The system calls that a container may make.
 *
 * A list of what is allowed, not of what is not: the programs are ours (runtime, output logger) and
 * known, the functions that they load are not, and a kernel's next system call is not allowed
 * because nobody had heard of it. All others fail with ENOSYS (38) instead of killing, since glibc
 * takes that for an old kernel and falls back: so clone3, whose flags a filter can not see, becomes
 * clone, whose flags it can.
 *
 * Not here on purpose: mount and namespaces, ptrace and other processes' memory, keys, bpf, perf,
 * io_uring, userfaultfd, modules, clocks, and sockets that are not AF_UNIX (with host_network:
 * AF_UNIX or AF_PACKET).
 */
#include "rm/agent/container_internal.h"

const char rill_container_seccomp_policy[] =
    "2\n"
    "allowlist errno 38\n"
    /* Files. ioctl is needed for FIONBIO and the like; there is no device but null and random. */
    "read\nreadv\npread64\npreadv\npreadv2\nwrite\nwritev\npwrite64\npwritev\npwritev2\n"
    "open\nopenat\ncreat\nclose\nclose_range\nstat\nfstat\nlstat\nnewfstatat\nstatx\n"
    "statfs\nfstatfs\naccess\nfaccessat\nfaccessat2\nreadlink\nreadlinkat\ngetcwd\nchdir\n"
    "fchdir\ngetdents\ngetdents64\nlseek\nmkdir\nmkdirat\nrmdir\nunlink\nunlinkat\nrename\n"
    "renameat\nrenameat2\nftruncate\ntruncate\nfallocate\nfadvise64\nfsync\nfdatasync\n"
    "sync_file_range\nflock\nfcntl\ndup\ndup2\ndup3\npipe\npipe2\nsendfile\nioctl\numask\n"
    "getxattr\nlgetxattr\nfgetxattr\nchmod\nfchmod\nfchmodat\nutimensat\ninotify_init1\ninotify_"
    "add_watch\ninotify_rm_watch\n"
    /* Memory. */
    "mmap\nmunmap\nmprotect\nmremap\nmadvise\nmincore\nmsync\nmlock\nmlock2\nmunlock\n"
    "mlockall\nmunlockall\nbrk\nmemfd_create\nget_mempolicy\nset_mempolicy\nmbind\n"
    "move_pages\nmembarrier\n"
    /* Processes and threads; none of clone's CLONE_NEW... flags. */
    "clone allow [0,0,SCMP_CMP_MASKED_EQ,2114060288]\n"
    "fork\nvfork\nexecve\nexit\nexit_group\nwait4\nwaitid\nset_tid_address\n"
    "set_robust_list\nget_robust_list\nrseq\nfutex\nfutex_waitv\nkill\ntkill\ntgkill\n"
    "getpid\ngetppid\ngettid\ngetuid\ngeteuid\ngetgid\ngetegid\ngetresuid\ngetresgid\n"
    "getgroups\ngetpgrp\ngetpgid\ngetsid\nsetsid\nsetpgid\ncapget\ncapset\nprctl\n"
    "arch_prctl\ngetrlimit\nsetrlimit\nprlimit64\ngetrusage\ngetpriority\nsetpriority\n"
    "sysinfo\nuname\ngetrandom\n"
    "sched_yield\nsched_getaffinity\nsched_setaffinity\nsched_getparam\nsched_setparam\n"
    "sched_getscheduler\nsched_setscheduler\nsched_get_priority_max\n"
    "sched_get_priority_min\nsched_rr_get_interval\nsched_getattr\ngetcpu\n"
    /* Signals and time. */
    "rt_sigaction\nrt_sigprocmask\nrt_sigpending\nrt_sigtimedwait\nrt_sigqueueinfo\n"
    "rt_tgsigqueueinfo\nrt_sigsuspend\nrt_sigreturn\nsigaltstack\nsignalfd4\npause\n"
    "restart_syscall\nnanosleep\nclock_nanosleep\nclock_gettime\nclock_getres\n"
    "gettimeofday\ntime\ntimes\nalarm\nsetitimer\ngetitimer\ntimer_create\ntimer_settime\n"
    "timer_gettime\ntimer_getoverrun\ntimer_delete\ntimerfd_create\ntimerfd_settime\n"
    "timerfd_gettime\n"
    /* Waiting, and AF_UNIX (1). */
    "eventfd\neventfd2\nepoll_create\nepoll_create1\nepoll_ctl\nepoll_wait\nepoll_pwait\n"
    "epoll_pwait2\npoll\nppoll\nselect\npselect6\n"
    "socket allow [0,1,SCMP_CMP_EQ]\nsocketpair allow [0,1,SCMP_CMP_EQ]\n"
    "bind\nlisten\naccept\naccept4\nconnect\ngetsockname\ngetpeername\nsendto\nrecvfrom\n"
    "sendmsg\nrecvmsg\nsendmmsg\nrecvmmsg\nshutdown\nsetsockopt\ngetsockopt\n";

/* AF_PACKET (17), for host_network. DPDK's driver for it, when a port is started, opens an AF_INET
 * (2) socket to take the interface out of promiscuous mode, which needs CAP_NET_ADMIN. "Not
 * supported" (95) is the one answer that it takes and goes on with. setgroups is liblxc's, between
 * the filter and the program, where there is no user namespace; the program lacks CAP_SETGID. */
const char rill_container_seccomp_host_network[] = "socket allow [0,17,SCMP_CMP_EQ]\n"
                                                   "setgroups\n"
                                                   "socket errno 95 [0,2,SCMP_CMP_EQ]\n";
