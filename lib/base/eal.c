#include "lib/base/eal.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "lib/frame/frame.h"
#include "lib/frame/geneve.h"

_Static_assert(RILL_GENEVE_HEADROOM <= 512, "headroom of a frame");

enum { FRAME_DATA_ROOM = 2048, FRAME_HEADROOM = RTE_PKTMBUF_HEADROOM };

static int first_cpu(const cpu_set_t *cpus)
{
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, cpus))
            return cpu;
    return 0;
}

/* EAL makes a folder for each process and leaves it; without shared files it is empty. */
static void remove_runtime_folder(void)
{
    rmdir(rte_eal_get_runtime_dir());
}

int rill_eal_init(uint32_t memory_mb, struct rill_error *err)
{
    static bool done;
    cpu_set_t cpus;
    char memory[32], prefix[64], cpu[16];
    char *args[] = {"rill",          "--no-huge",       "-m",          memory,
                    "--no-pci",      "--no-telemetry",  "--no-shconf", "--file-prefix",
                    prefix,          "--log-level=*:3", "-l",          cpu,
                    "--iova-mode=va"};

    if (done)
        return 0;
    snprintf(memory, sizeof(memory), "%u", memory_mb);
    /* A container's set of processors need not hold the machine's first. */
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        CPU_ZERO(&cpus);
    snprintf(cpu, sizeof(cpu), "%d", first_cpu(&cpus));
    snprintf(prefix, sizeof(prefix), "rill%d", (int)getpid());
    if (rte_eal_init((int)RTE_DIM(args), args) < 0)
        return rill_error_set(
            err, rte_errno == ENOMEM ? -ENOMEM : -EIO,
            "DPDK: cannot start with %u MB of memory: %s; free some memory or ask "
            "for less with --memory-mb",
            memory_mb, rte_strerror(rte_errno));
    /* EAL ties the calling thread, and so every thread that it starts, to that one processor. Who
     * runs where is for the caller to say. */
    if (CPU_COUNT(&cpus) > 0)
        sched_setaffinity(0, sizeof(cpus), &cpus);
    atexit(remove_runtime_folder);
    done = true;
    return 0;
}

struct rte_mempool *rill_frame_pool_create(const char *name, uint32_t mbufs, struct rill_error *err)
{
    struct rte_mempool *pool =
        rte_pktmbuf_pool_create(name, mbufs, mbufs >= 4096 ? 256 : 0, RILL_FRAME_PRIVATE_BYTES,
                                FRAME_HEADROOM + FRAME_DATA_ROOM, SOCKET_ID_ANY);

    if (pool == NULL)
        rill_error_set(err, -ENOMEM,
                       "no memory for %u packet buffers (%s): %s; use a smaller capture or raise "
                       "--memory-mb",
                       mbufs, name, rte_strerror(rte_errno));
    return pool;
}
