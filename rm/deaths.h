/* Units that died: which controllers have heard of it, and which no longer need what the dead
 * unit's output logger keeps.
 *
 * DEATH goes to every controller that had asked for leases by then, again until it is acknowledged.
 * A controller says RECOVERED when no flow depends on the dead unit's output logger any more; when
 * all have, the logger may go. Sans-IO; the resource manager's (rm.h) own part.
 */
#ifndef RILL_RM_DEATHS_H
#define RILL_RM_DEATHS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/resend.h"
#include "lib/frame/outbox.h"

struct rte_mempool;

enum { RILL_RM_DEATHS_MAX = 256 }; /* under way at a time */

struct rill_rm_death {
    uint32_t unit, output_logger;
    uint64_t resend_at_ns;
    uint32_t tries; /* since it was last news */
    uint32_t count; /* controllers */
    struct rill_rm_told {
        uint32_t controller;
        bool heard, recovered;
    } * told;
};

struct rill_rm_deaths {
    struct rill_rm_death list[RILL_RM_DEATHS_MAX]; /* oldest first */
    uint32_t count;
    uint32_t rm;        /* role id */
    uint64_t resend_ns; /* the first pause */
    struct rill_resend resend;
    uint64_t slowed; /* deaths that were told resend.attempts times */
    struct rte_mempool *pool;
};

void rill_rm_deaths_fini(struct rill_rm_deaths *deaths);

/* -ENOSPC, -ENOMEM. `controllers` are role ids. Sends. */
int rill_rm_deaths_add(struct rill_rm_deaths *deaths, uint32_t unit, uint32_t output_logger,
                       const uint32_t *controllers, uint32_t n, uint64_t now_ns,
                       struct rill_outbox *outbox);
/* Its output logger is dead, too: said again, with logger 0. */
void rill_rm_deaths_logger_lost(struct rill_rm_deaths *deaths, uint32_t unit, uint64_t now_ns,
                                struct rill_outbox *outbox);
/* DEATH_ACK or RECOVERED; the latter is acknowledged, known or not. */
void rill_rm_deaths_recv(struct rill_rm_deaths *deaths, struct rte_mbuf *m,
                         struct rill_outbox *outbox);
/* Another controller has taken the place of one: it is told what that one had not recovered from.
 */
void rill_rm_deaths_controller_replaced(struct rill_rm_deaths *deaths, uint32_t controller,
                                        uint32_t by, uint64_t now_ns, struct rill_outbox *outbox);
/* Deaths that the controller has not recovered from: how many, and the i-th. */
uint32_t rill_rm_deaths_count(const struct rill_rm_deaths *deaths, uint32_t controller);
void rill_rm_deaths_at(const struct rill_rm_deaths *deaths, uint32_t controller, uint32_t i,
                       uint32_t *unit, uint32_t *output_logger);
void rill_rm_deaths_tick(struct rill_rm_deaths *deaths, uint64_t now_ns,
                         struct rill_outbox *outbox);
uint64_t rill_rm_deaths_next_ns(const struct rill_rm_deaths *deaths);

/* Takes out one that all controllers have recovered from. False: there is none. */
bool rill_rm_deaths_take_over(struct rill_rm_deaths *deaths, uint32_t *unit,
                              uint32_t *output_logger);

#endif
