/* The resource manager's core: leases fractions of units to controllers.
 *
 * Protocol with controllers. A controller asks once per epoch with LEASE_REQUEST: `count` is how
 * many thousandths of a unit it wants in all (those that it has included), `clock` its request
 * number. The answer is LEASE_GRANT with the same number and the controller's whole lease list; it
 * renews them all. A controller asks again with the same number until it has the answer. It takes a
 * new number for a new question only then; or when lease_ns have passed since it first sent the
 * number, so that all that it had has run out. So a higher number says that the grant before has
 * been heard, or is void. It takes the first answer to the number that it waits for and ignores any
 * other. It counts the leases' time from its own first sending of that number; the RM counts from
 * its first answer, and adds margin_ns. A controller that does not ask in time loses its leases:
 * the units' shares are set to 0.
 *
 * Protocol with units. A unit is told each controller's share by SHARE (clock: a number, upwards
 * over all SHAREs of this RM), and answers SHARE_ACK with the same clock, next_unit and count. It
 * ignores a SHARE whose number is below the newest that it has for that controller, but
 * acknowledges it all the same. SHARE is sent again until acknowledged. A share that grows: the
 * unit first, the grant when it has acknowledged. A share that shrinks: the grant first, the unit
 * when the controller asks next. A grant waits one epoch for units at most; then it goes out with
 * what is acknowledged and the rest follows with the next one, so that a unit that does not answer
 * can not cost a controller its other leases.
 *
 * A controller's identity is its slot (lib/base/epoch.h): one of a later epoch takes the place of
 * the one before, with all its leases, and is told its deaths anew; the earlier one is refused from
 * then on. The units are told by SHARE. MEMBERS_REQUEST, answered with MEMBERS, says all units that
 * live, and all that died and that this controller has not recovered from. (Frames of epoch 0 have
 * no slot: the sender's id is the identity.)
 *
 * Deaths: DEATH to the controllers, DEATH_ACK, RECOVERED, RECOVERED_ACK (deaths.h).
 *
 * So at all times, whatever is lost, doubled or reordered: what the controllers take as theirs of a
 * unit, and what the unit has been told, sums to at most share_max (design: I5); and a controller
 * never takes more as its own than the unit grants it.
 *
 * Packing: a controller's leases stay where they are; what it wants more comes first from units
 * where it has a share already, then from whole free units, then, for the remainder, from the
 * fullest unit where it fits (if it fits nowhere, from the ones with most room). What it wants less
 * goes off its smallest shares first. Ties go to the lowest id in growing, to the highest in
 * shrinking. If units run out it gets what there is; but a controller that has less than an equal
 * part of all, and wants more, gets it from those that have more than theirs, when they ask next.
 *
 * Sans-IO: no clock, no randomness, deterministic. A message that can not be allocated is counted,
 * and sent with the next resend. One thread.
 */
#ifndef RILL_RM_RM_H
#define RILL_RM_RM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/resend.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"
#include "lib/frame/outbox.h"
#include "rm/record.h"

struct rill_rm;

enum {
    RILL_RM_SHARE_WHOLE = 1000,
    RILL_RM_UNITS_MAX = 65536,
    RILL_RM_CONTROLLERS_MAX = 1024,
    RILL_RM_LEASES_MAX = RILL_BODY_MAX / sizeof(struct rill_lease), /* of one controller */
};

struct rill_rm_config {
    uint32_t id;        /* the RM's role id */
    uint64_t epoch_ns;  /* a grant waits so long for units, at most */
    uint64_t lease_ns;  /* > epoch_ns */
    uint64_t margin_ns; /* for clocks that run at different speed */
    bool whole_units;   /* no unit is shared: who has a part of one may have all of it */
    uint64_t resend_ns; /* first pause before what is not acknowledged is said again; > 0 */
    struct rill_resend resend;
    struct rte_mempool *pool; /* of frames; outlives the RM */
};

struct rill_rm_counters {
    uint64_t requests;          /* new numbers taken */
    uint64_t requests_repeated; /* the newest number again */
    uint64_t requests_stale;    /* an older number */
    uint64_t requests_refused;  /* not from a controller, one that was replaced, or too many */
    uint64_t takeovers;         /* controllers that took another's place */
    uint64_t members_told;
    uint64_t members_too_many; /* to be told in one message: not told */
    uint64_t grants;           /* sent, repeats included */
    uint64_t grants_short;     /* of these, with less than was wanted */
    uint64_t shares;           /* SHARE sent, resends not included */
    uint64_t shares_resent;
    uint64_t resends_slowed; /* what was said resend_attempts times and not acknowledged */
    uint64_t acks;           /* that fit the newest SHARE */
    uint64_t acks_stale;     /* any other from a unit that is known */
    uint64_t leases_expired; /* controllers that lost all their leases for not asking */
    uint64_t unknown_unit;   /* acks from units that are not there */
    uint64_t unknown_frames; /* other types, or not for this RM */
    uint64_t alloc_failures; /* messages not sent for want of memory; sent later */
};

/* NULL with a line in *err. */
struct rill_rm *rill_rm_create(const struct rill_rm_config *config, struct rill_error *err);
void rill_rm_destroy(struct rill_rm *rm); /* NULL is fine */

const struct rill_rm_counters *rill_rm_counters(const struct rill_rm *rm);

/* A unit that is there and running. share_max in thousandths, 1..1000: how much of it may be
 * leased. -EEXIST, -ENOSPC, -EINVAL or -ENOMEM with a line in *err. */
int rill_rm_add_unit(struct rill_rm *rm, uint32_t unit, uint32_t output_logger,
                     uint64_t capacity_bps, uint32_t share_max, struct rill_error *err);

/* The unit is dead, or out of service and empty: its leases are gone. Grants that waited for it go
 * out without. Controllers see it in their next grant; what they then lack they get elsewhere.
 * Unknown: nothing. */
void rill_rm_remove_unit(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                         struct rill_outbox *outbox);

/* The unit is dead: as above, and every controller is told, so that the unit's flows go on
 * elsewhere with what its output logger keeps. That logger must stay until rill_rm_recovered()
 * names it. -ENOENT, or -ENOSPC, -ENOMEM and then only the leases are gone. */
int rill_rm_unit_died(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                      struct rill_outbox *outbox);
/* The output logger of a unit that died before is dead, too: what only it had is lost, and the
 * controllers are told so. Unknown: nothing. */
void rill_rm_logger_lost(struct rill_rm *rm, uint32_t unit, uint64_t now_ns,
                         struct rill_outbox *outbox);
/* Names, once each, a dead unit that all controllers have recovered from: its output logger may go
 * (0: it was lost). False: none. */
bool rill_rm_recovered(struct rill_rm *rm, uint32_t *unit, uint32_t *output_logger);

/* The unit's output logger died: this one takes its place. The unit is told until it has filled it
 * with all that it has; seen in the next grants. -ENOENT. */
int rill_rm_replace_logger(struct rill_rm *rm, uint32_t unit, uint32_t output_logger,
                           uint64_t now_ns, struct rill_outbox *outbox);
/* Whether its output logger holds all that it has; until then its death loses what the logger
 * lacks. False too for a unit that is not there. */
bool rill_rm_logger_filled(const struct rill_rm *rm, uint32_t unit);

/* Takes n frames and frees them all. */
void rill_rm_recv(struct rill_rm *rm, struct rte_mbuf **frames, uint32_t n, uint64_t now_ns,
                  struct rill_outbox *outbox);

/* Resends, sends grants that waited long enough, expires leases. Calling it too early or late is
 * harmless. */
void rill_rm_tick(struct rill_rm *rm, uint64_t now_ns, struct rill_outbox *outbox);

/* When tick has something to do next; UINT64_MAX if nothing is under way or leased. */
uint64_t rill_rm_next_ns(const struct rill_rm *rm);

/* For status and tests. Units in id order. */
struct rill_rm_unit_info {
    uint32_t unit, output_logger;
    uint64_t capacity_bps;
    uint32_t share_max;
    uint32_t leased; /* what its controllers are meant to have */
    uint32_t
        committed; /* what they, or the unit, may still think they have; >= leased, <= share_max */
    uint32_t controllers; /* how many have a share */
};
uint32_t rill_rm_unit_count(const struct rill_rm *rm);
void rill_rm_unit_info(const struct rill_rm *rm, uint32_t i, struct rill_rm_unit_info *info);

/* What the next resource manager has to know of this one's leases: writes it, or, in one that was
 * just created, reads it (rill_memo_failed() then says whether it made sense; if not, destroy
 * it). Whatever one grants or tells is to be written down before it is sent; a grant that only
 * renews changes nothing.
 *
 * What was read counts in full: a unit's share may be all that it was ever told, and a controller
 * may believe in all of it until it has asked twice. */
void rill_rm_record(struct rill_rm *rm, struct rill_memo *record, uint64_t now_ns);
/* What that controller was granted by the one before can't be renewed by it any more: its time runs
 * from now on. Only the first call counts, and only for one that was read. */
void rill_rm_run_lease(struct rill_rm *rm, uint32_t controller, uint64_t now_ns);

/* The share that a controller is meant to have of a unit; 0 if none. */
uint32_t rill_rm_share(const struct rill_rm *rm, uint32_t unit, uint32_t controller);

#endif
