/* What the tests of roles' processes share: a fake agent, and what a resource manager says. */
#ifndef RILL_LIB_DAEMON_ROLE_FIXTURE_H
#define RILL_LIB_DAEMON_ROLE_FIXTURE_H

#include "lib/daemon/fake_agent.h"

enum { VNI = 5, UNITS = 1 };

#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define LOGGER rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define CLIENT rill_role_id(RILL_ROLE_CLIENT, 1)

extern struct fake_agent agent;
extern Control__Facts *facts; /* what Activate says that the NF is; NULL: nothing */

/* Starts a program by its name. */
struct fake_program *run_role(const char *program, uint32_t role, const char *poll);

Control__Activate activation(void);
/* The answers. */
const Control__Message *activate(struct fake_program *program, Control__Activate *how);
const Control__Message *activate_unit(struct fake_program *unit, const char *option,
                                      const char *text);
const Control__Message *metrics_of(struct fake_program *program);

/* Fail the test if it is another answer; `refused` also if the text has not that part. */
void assert_activated(const Control__Message *answer);
void refused(const Control__Message *answer, const char *part);

/* Links come up when both ends know of them: this does not wait for the answer. */
void set_peers(struct fake_program *program, uint32_t egress, uint32_t *roles, size_t n);
#define PEERS(program, egress, ...)                                                                \
    set_peers(program, egress, (uint32_t[]){__VA_ARGS__},                                          \
              sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
void await_answer(struct fake_program *program);
void await_done(struct fake_program *program);
/* Until a counter is at least so high. */
void await_counter(struct fake_program *program, const char *name, uint64_t least);

#endif
