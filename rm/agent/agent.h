/* The node agent's core: passes the RM's orders to the keeper and the keeper's events to the RM,
 * and messages between the RM and the programs in the machine's containers. Sans-IO.
 *
 * A program is who its token says: its first message is Join with the role and the token that the
 * keeper gave its container; anything else, and any message whose `from` is another role, is
 * counted and goes nowhere. RMs are numbered: once the agent has heard one, it takes nothing from
 * one before it, nor passes anything on. After the RM was away, the agent joins again and says what
 * runs; programs that lost their agent join again by themselves.
 */
#ifndef RILL_RM_AGENT_AGENT_H
#define RILL_RM_AGENT_AGENT_H

#include "lib/control/control.h"
#include "rm/agent/keeper.h"

struct rill_agent;

struct rill_agent_config {
    const char *machine;
    uint32_t cpus;
    uint64_t memory_bytes;
    bool hugepages;
    void (*to_rm)(void *arg, const Control__Message *message);
    void (*to_program)(void *arg, uint32_t peer, const Control__Message *message);
    void (*run)(void *arg, uint32_t role, bool host_network); /* keeper's */
    void (*stop)(void *arg, uint32_t role, bool at_once);
    void (*fail)(void *arg, uint32_t role, bool hang);
    void (*stop_all)(void *arg);
    void *arg;
};

#define RILL_AGENT_COUNTERS(X)                                                                     \
    X(passed_up)                                                                                   \
    X(passed_down)                                                                                 \
    X(refused_identity) /* a wrong token, or in another's name */                                  \
    X(no_program)       /* for a program that is not connected */                                  \
    X(no_rm)            /* for the RM, while it was away */                                        \
    X(refused_old_rm)   /* from an RM whose place was taken */                                     \
    X(unexpected)

struct rill_agent_counters {
#define X(name) uint64_t name;
    RILL_AGENT_COUNTERS(X)
#undef X
};

struct rill_agent *rill_agent_create(const struct rill_agent_config *config,
                                     struct rill_error *err);
void rill_agent_destroy(struct rill_agent *agent); /* NULL is fine */

/* The connection to the RM came up: the agent joins. (Also after READY, if it is up already; and
 * again after it was refused.) */
void rill_agent_rm_up(struct rill_agent *agent);
/* The RM takes another for this machine's agent: say rill_agent_rm_up() once more in a while, as it
 * may only not have heard yet that the connection of before, or the agent of before, is gone. */
bool rill_agent_refused(const struct rill_agent *agent);
void rill_agent_rm_down(struct rill_agent *agent);
void rill_agent_rm_message(struct rill_agent *agent, const Control__Message *message);
void rill_agent_program_down(struct rill_agent *agent, uint32_t peer);
void rill_agent_program_message(struct rill_agent *agent, uint32_t peer,
                                const Control__Message *message);
void rill_agent_keeper_event(struct rill_agent *agent, const struct rill_keeper_event *event);

/* True when the RM's StopAll was carried out and answered, or the keeper is gone. */
bool rill_agent_over(const struct rill_agent *agent);
const struct rill_agent_counters *rill_agent_counters(const struct rill_agent *agent);

#endif
