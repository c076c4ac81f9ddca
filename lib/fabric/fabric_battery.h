/* What every fabric promises, as tests. Each implementation's own test program runs the battery
 * with a factory, and then tests what only that one promises.
 *
 * The battery uses many roles in one thread, and no clock: time is a number that it moves on to
 * next_ns().
 */
#ifndef RILL_LIB_FABRIC_FABRIC_BATTERY_H
#define RILL_LIB_FABRIC_FABRIC_BATTERY_H

#include "lib/fabric/fabric.h"

struct rill_fabric_battery {
    const char *name; /* of the group of tests */
    /* A new fabric, or NULL with a line in *err. `pool`: for copies, if it makes any. */
    struct rill_fabric *(*create)(struct rte_mempool *pool, struct rill_error *err);
    bool lossless;       /* nothing is lost or doubled while there is room */
    bool fifo;           /* a link never reorders */
    bool bounded;        /* a link has room for less than 4 * link_holds: the rest is `full` */
    uint32_t link_holds; /* frames that each link has room for, from 64 to 1,024 */
    uint32_t roles_max;  /* that it can hold in one process, at least 6; 0: at least 40 */
};

/* Runs all its tests; returns how many failed. Starts the EAL if it is not. */
int rill_fabric_battery_run(const struct rill_fabric_battery *battery);

/* --- for tests of one implementation's own promises ------------------------------------------- */

/* A frame from the pool: a SYNC, or with a packet a DATA with 100 bytes of one. `flow` is `id`. */
struct rte_mbuf *rill_fabric_test_frame(struct rte_mempool *pool, uint32_t src, uint32_t dst,
                                        uint64_t id, bool packet);
/* Appends `bytes` of a pattern that `seed` tells to m's data, over as many segments as it takes. */
void rill_fabric_test_fill(struct rte_mbuf *m, struct rte_mempool *pool, uint32_t bytes,
                           uint32_t seed);
/* Asserts that m's data is that pattern. */
void rill_fabric_test_check(const struct rte_mbuf *m, uint32_t bytes, uint32_t seed);

#endif
