/* How many frames a second the memif fabric carries from one process to another.
 *
 *   fabric_memif_bench [one-core]
 *
 * 7 runs each of 64 and 1,434 bytes, with a core for each side or with both on one: median, least
 * and most. Every frame is made, encoded, copied twice, decoded and freed. Not a test:
 * docs/fabrics.md has its figures.
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/eal.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/frame.h"

enum { RING_FRAMES = 1024, POOL_MBUFS = 16383, BURST = 32, RUNS = 7, MEMORY_MB = 256 };

static const uint64_t RUN_NS = 500000000;

static bool one_core;
static struct rte_mempool *pool;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct rill_fabric *start(const char *folder, uint32_t self, uint32_t peer, int cpu,
                                 uint64_t *link_ns)
{
    struct rill_fabric_memif_config config = {.folder = folder, .ring_frames = RING_FRAMES};
    struct rill_fabric *fabric = NULL;
    struct rill_error err = {""};
    uint64_t begin_ns;
    cpu_set_t cpus;

    if (rill_eal_init(MEMORY_MB, &err) == 0)
        config.pool = pool = rill_frame_pool_create("bench", POOL_MBUFS, &err);
    if (pool != NULL)
        fabric = rill_fabric_memif_create(&config, &err);
    begin_ns = now_ns();
    if (fabric == NULL || fabric->ops->attach(fabric, self, &err) != 0 ||
        rill_fabric_memif_link(fabric, self, peer, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    *link_ns = now_ns() - begin_ns;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    return fabric;
}

static void sink(const char *folder, uint32_t self, uint32_t peer)
{
    uint64_t link_ns;
    struct rill_fabric *fabric = start(folder, self, peer, one_core ? 1 : 0, &link_ns);
    struct rte_mbuf *frames[BURST];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        uint32_t n = fabric->ops->recv(fabric, self, frames, BURST, 0);

        rte_pktmbuf_free_bulk(frames, n);
        if (n == 0)
            sched_yield();
    }
}

static double run(struct rill_fabric *fabric, uint32_t self, uint32_t peer, uint16_t bytes)
{
    uint64_t begin_ns = now_ns(), ns, before = fabric->counters.handed_over;
    uint64_t full = fabric->counters.full;

    do {
        struct rte_mbuf *frames[BURST];

        for (int i = 0; i < BURST; i++) {
            frames[i] = rill_frame_new(pool, RILL_FRAME_DATA, self, peer);
            rill_frame(frames[i])->flags = RILL_FLAG_PACKET;
            rill_frame(frames[i])->wire_bytes = bytes;
            rte_pktmbuf_append(frames[i], bytes);
        }
        fabric->ops->send(fabric, self, frames, BURST, 0);
        if (fabric->counters.full != full)
            sched_yield();
        full = fabric->counters.full;
        ns = now_ns() - begin_ns;
    } while (ns < RUN_NS);
    return (double)(fabric->counters.handed_over - before) * 1e3 / (double)ns;
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(int argc, char **argv)
{
    static const uint16_t sizes[] = {64, 1434};
    uint32_t self = rill_role_id(RILL_ROLE_UNIT, 1);
    uint32_t peer = rill_role_id(RILL_ROLE_CONTROLLER, 1);
    char folder[] = "/tmp/rill_memif_bench_XXXXXX", command[64];
    struct rill_fabric *fabric;
    uint64_t begin_ns, link_ns;
    pid_t pid;

    one_core = argc > 1 && strcmp(argv[1], "one-core") == 0;
    if (mkdtemp(folder) == NULL)
        return 1;
    pid = fork();
    if (pid == 0)
        sink(folder, peer, self);
    fabric = start(folder, self, peer, 1, &link_ns);
    begin_ns = now_ns();
    while (!rill_fabric_memif_is_up(fabric, self, peer))
        sched_yield();
    printf("this end made in %lu us, link up after another %lu us\n", (unsigned long)link_ns / 1000,
           (unsigned long)(now_ns() - begin_ns) / 1000);
    for (unsigned i = 0; i < RTE_DIM(sizes); i++) {
        double mpps[RUNS];

        for (int k = 0; k < RUNS; k++)
            mpps[k] = run(fabric, self, peer, sizes[i]);
        qsort(mpps, RUNS, sizeof(mpps[0]), by_size);
        printf("%s, %4u bytes: median %.2f Mpps, %.2f to %.2f (%d runs)\n",
               one_core ? "both on one core" : "a core each", sizes[i], mpps[RUNS / 2], mpps[0],
               mpps[RUNS - 1], RUNS);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fabric->ops->destroy(fabric);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command) == 0 ? 0 : 1;
}
