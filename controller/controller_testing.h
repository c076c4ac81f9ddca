/* For the controller's unit tests: one controller at hand, the clock that they turn, and what the
 * roles around it send. Units and output loggers are numbered from 1 on. */
#ifndef RILL_CONTROLLER_TESTING_H
#define RILL_CONTROLLER_TESTING_H

#include <rill/nf.h>

#include "controller/internal.h"
#include "tests/core_testing.h"

#define RM rill_role_id(RILL_ROLE_RM, 1)

enum { POOL_PORT = 1000, POOL_SIZE = 10 }; /* public endpoints: 198.51.100.1, UDP */

extern struct rill_controller *c;
extern struct rill_outbox out;
extern uint64_t now_ns;
extern uint64_t ingress_id; /* of the last packet */

uint32_t unit(uint32_t number);
uint32_t logger(uint32_t number);

/* What most tests begin with: connections over UDP, 64 flows. Each
 * packet of a flow goes to the least used unit, so that a flowlet moves whenever it may. */
struct rill_controller_config controller_usual(void);
/* In the place of the one before; it is 1 ms. Nothing is leased. */
void controller_create(const struct rill_controller_config *config);
/* For cmocka: counts the pool's buffers, and fails if one did not come back. */
int controller_setup(void **state);
int controller_teardown(void **state);

const struct rill_controller_counters *n(void);
void give(struct rte_mbuf *m);
/* Calls tick whenever it wants to be called. */
void pass_time(uint64_t ns);

/* From a network. */
void enter(struct rte_mbuf *m, enum rill_side side);
/* 100 bytes of the inside's host, told apart by its port. */
void send_packet(uint16_t port);

/* Whole units first..last, each with the output logger of its number. */
struct rte_mbuf *lease_grant(uint64_t number, uint32_t first, uint32_t last);
/* Answers the open question with them. */
void lease(uint32_t first, uint32_t last);
/* A message of the flow and term of that packet. */
struct rte_mbuf *about(enum rill_frame_type type, uint32_t src, const struct rill_frame *packet);

#endif
