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
/* I5. */
void sim_books_shares(struct sim_check *check, struct rill_cluster *cluster, bool asleep);

#endif
