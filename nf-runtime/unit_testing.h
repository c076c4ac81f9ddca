/* For the unit's tests: one unit at hand, the clock that they turn, and what the roles around it
 * send. */
#ifndef RILL_UNIT_TESTING_H
#define RILL_UNIT_TESTING_H

#include "nf-runtime/unit.h"
#include "tests/core_testing.h"

#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define RM rill_role_id(RILL_ROLE_RM, 1)

enum { BYTES = 1000, STEPS_MAX = 256 };

extern struct rill_unit *unit;
extern struct rill_nf *unit_nf;
extern struct rill_outbox out;
extern uint64_t now_ns;
extern uint64_t steps[STEPS_MAX]; /* clocks of the packets, in order of processing */
extern uint32_t step_count;
extern uint64_t share_number; /* the last that was given */

/* What most tests begin with: service takes no time. */
struct rill_unit_config unit_usual(void);
/* With that NF, in the place of the one before; it is 1 ms. It has no share. */
void unit_create(const struct rill_nf_descriptor *descriptor, struct rill_unit_config config);
void unit_destroy(void);
/* For cmocka: counts the pool's buffers, and fails if one did not come back, whatever the test left
 * pending. */
int unit_setup(void **state);
int unit_teardown(void **state);

const struct rill_unit_counters *n(void);
void give(struct rte_mbuf *m);
void at(uint64_t ns);
void pass_time(uint64_t ns);

/* From the resource manager, each newer than those before. */
void lease_to(uint32_t controller, uint16_t epoch, uint32_t thousandths);
/* A packet of controller 1, of that flow and term, with what is below that term. */
struct rte_mbuf *data_frame(uint64_t flow, uint64_t term, uint64_t clock,
                            struct rill_chain_entry below);

#endif
