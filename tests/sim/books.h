/* What is counted, against what was done: packets, work that is billed, shares of units. */
#ifndef RILL_TESTS_SIM_BOOKS_H
#define RILL_TESTS_SIM_BOOKS_H

#include "tests/sim/sim.h"

/* What a unit did, as the history says. */
struct sim_done {
    uint64_t packets, bytes;
    uint64_t released, released_bytes;
};

/* Nothing is lost without being counted. */
void sim_books_balance(struct sim_check *check, const struct rill_cluster *cluster,
                       const struct rill_fabric *fabric, uint64_t sent, uint64_t released);
/* I7. `done` is by number of the unit. */
void sim_books_billed(struct sim_check *check, struct rill_cluster *cluster,
                      const struct sim_done *done);
/* Packets that units which died had processed, and that never left. */
uint64_t sim_books_unbilled(struct rill_cluster *cluster, const struct sim_done *done);
/* I5. `unchecked`: kinds of roles that did something since they were looked at, kept from one call
 * to the next; all at first. What nobody touched is as it was. */
void sim_books_shares(struct sim_check *check, struct rill_cluster *cluster, uint32_t *unchecked,
                      uint32_t asleep);

/* What each controller's packets may still be served at each unit at once: a bucket that fills at
 * the speed of its share, and holds one packet. */
struct sim_speed {
    uint64_t at_ns;
    struct sim_bucket {
        uint64_t served_bytes;
        double room_bytes;
        uint32_t share; /* the last that was not 0 */
    } buckets[RILL_CLUSTER_UNITS_MAX][RILL_CLUSTER_SLOTS_MAX];
};
/* After each turn of a unit: between them nothing is served, and no share changes. */
#define SIM_UNIT_TURNED (RILL_CLUSTER_TURNED << RILL_ROLE_UNIT) /* in `unchecked` */
void sim_books_speed(struct sim_check *check, struct rill_cluster *cluster, struct sim_speed *speed,
                     double unit_mbps, uint64_t now_ns);

#endif
