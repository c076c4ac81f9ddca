/* For the output logger's unit tests: one output logger at hand, the clock that they turn, and what
 * units send to it. Their state is one number behind the head. */
#ifndef RILL_OL_TESTING_H
#define RILL_OL_TESTING_H

#include "output-logger/internal.h"
#include "tests/core_testing.h"

enum { STATE = sizeof(struct rill_state_head) + 8, VALUE_AT = sizeof(struct rill_state_head) };

#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define UNIT2 rill_role_id(RILL_ROLE_UNIT, 2)
#define RETRY_NS (2 * CORE_MS)
#define KEEP_NS (1000 * CORE_MS)

extern struct rill_ol *ol;
extern struct rill_outbox out;
extern uint64_t now_ns;

/* What most tests begin with, of controller 1: 64 flows, 16 held packets. */
struct rill_ol_config ol_usual(void);
/* In the place of the one before. */
void ol_create(const struct rill_ol_config *config);
/* For cmocka: counts the pool's buffers, makes the usual one at 1 ms; and fails if a buffer did not
 * come back, whatever the test left pending. */
int ol_setup(void **state);
int ol_teardown(void **state);

const struct rill_ol_counters *n(void);
void give(struct rte_mbuf *m);
void pass_time(uint64_t ns);

/* Step k of that term, a packet to the outside: it changes the number to k. */
struct rte_mbuf *change(uint32_t unit, uint64_t flow, uint64_t term, uint64_t k);
/* ... and all of the state with it, with that alias (or none). */
struct rte_mbuf *with_whole_state(struct rte_mbuf *m, const struct rill_alias *alias);

#endif
