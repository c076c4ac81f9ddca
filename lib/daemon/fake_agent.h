/* For the tests of roles' processes: a node agent and a resource manager in one, which start real
 * programs, without containers, and talk to them. Every wait fails the test after a minute. */
#ifndef RILL_LIB_DAEMON_FAKE_AGENT_H
#define RILL_LIB_DAEMON_FAKE_AGENT_H

#include <sys/types.h>

#include "lib/base/role.h"
#include "lib/control/link.h"

#define FAKE_RM rill_role_id(RILL_ROLE_RM, 1)

enum { FAKE_PROGRAMS_MAX = 8 };

struct fake_program {
    uint32_t role;
    pid_t pid; /* 0: it has ended */
    uint64_t token;
    uint32_t peer; /* its connection; 0: it has not joined */
    uint32_t joins;
    uint64_t ready_ns;
    uint64_t number;            /* of the newest request */
    Control__Message *answer;   /* to it */
    uint32_t share, share_acks; /* of a unit */
    uint32_t lease_requests;    /* of a controller */
    int turns;
};

struct fake_agent {
    uv_loop_t loop;
    struct rill_link *link;
    char folder[64], url[128], links[80];
    struct fake_program programs[FAKE_PROGRAMS_MAX];
    uint32_t count;
    bool turns_away; /* answers a Join with an Error */
    /* what a controller gets; unit 0: nothing */
    uint32_t leased_unit, leased_output_logger;
    uint64_t leased_bps;   /* 0: 1 Gbps */
    const char *memory_mb; /* of programs that are started from then on; NULL: little */
    /* Called all the time while it waits; NULL is fine. */
    void (*turn)(void);
};

void fake_agent_start(struct fake_agent *agent);
/* Kills what still runs, and removes its folder. */
void fake_agent_stop(struct fake_agent *agent);
void fake_agent_listen(struct fake_agent *agent);
void fake_agent_hang_up(struct fake_agent *agent);

/* Starts a program (its path); `poll` as its --poll. It has not joined yet. */
struct fake_program *fake_run(struct fake_agent *agent, const char *path, uint32_t role,
                              const char *poll);
/* Waits until it has joined `joins` times in all. */
void fake_await_join(struct fake_agent *agent, struct fake_program *program, uint32_t joins);
/* Sends a request (its body is set) and waits for the answer, which is there until the next one. */
const Control__Message *fake_ask(struct fake_agent *agent, struct fake_program *program,
                                 Control__Message *request);
/* Only sends. */
void fake_tell(struct fake_agent *agent, struct fake_program *program, Control__Message *message);
/* Waits until *number is at least `least`. */
void fake_await(struct fake_agent *agent, const uint32_t *number, uint32_t least);
/* Waits for its end: the wait status. */
int fake_await_end(struct fake_agent *agent, struct fake_program *program);
uint64_t fake_turns(const struct fake_program *program);
/* Lets the loop turn once. */
void fake_turn(struct fake_agent *agent);
/* What the program wrote, into text. */
void fake_read_log(struct fake_agent *agent, const struct fake_program *program, char *text,
                   size_t bytes);

/* A counter of a Metrics message; fails the test if it is not there. */
uint64_t fake_counter(const Control__Message *message, const char *name);

#endif
