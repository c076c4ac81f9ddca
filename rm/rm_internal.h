/* What the files of the lease core share; nobody else includes it. */
#ifndef RILL_RM_RM_INTERNAL_H
#define RILL_RM_RM_INTERNAL_H

#include "rm/deaths.h"
#include "rm/rm.h"

struct rill_packing_unit;

/* What one controller has of one unit. Frames may be lost or late, so neither the controller nor
 * the unit is known exactly: bounds are kept for both. */
struct share {
    uint32_t controller; /* index */
    uint32_t target;     /* what it is meant to have */
    uint32_t granted;    /* what the newest grant said */
    uint32_t sent;       /* what the newest SHARE said; at least `granted`, so the unit never grants
                            less than the controller may take as its own */
    uint32_t held_min,
        held_max; /* bounds of what the unit has been told; equal once acknowledged */
    bool acked;
    uint64_t number; /* of the newest SHARE */
    uint32_t tries;
    uint64_t resend_at_ns;
};

struct unit {
    uint32_t id, output_logger;
    uint64_t logger_number, logger_resend_at_ns; /* of the newest word about it */
    uint32_t logger_tries;
    bool logger_filled; /* it holds all that the unit has */
    uint64_t capacity_bps;
    uint32_t share_max;
    uint32_t share_count, share_room;
    struct share *shares;
};

struct controller {
    uint32_t id;
    uint16_t epoch; /* 0: it did not say */
    uint32_t wanted;
    uint64_t number;    /* of the newest request */
    bool waits;         /* it has no answer yet */
    bool granted;       /* an answer has been sent to `number`, and has not expired */
    bool inherited;     /* which of its grants it has heard, the one before us knew */
    uint64_t asked_ns;  /* while it waits: since when */
    uint64_t retry_ns;  /* not before: there was no memory for the answer */
    uint64_t expire_ns; /* UINT64_MAX: has nothing */
};

struct rill_rm {
    struct rill_rm_config config;
    struct rill_rm_counters counters;
    struct unit *units; /* in id order */
    uint32_t unit_count, unit_room;
    struct controller *controllers;
    uint32_t controller_count;
    uint64_t share_number;
    uint64_t next_ns;
    struct rill_rm_deaths deaths;
    /* as many as units; leases: RILL_RM_LEASES_MAX */
    struct rill_packing_unit *packing;
    uint32_t *scratch;
    struct rill_lease *leases;
};

/* --- rm.c: units, and time --- */

struct unit *rm_find_unit(const struct rill_rm *rm, uint32_t id); /* NULL: none */
int rm_grow(void **array, uint32_t room, size_t bytes);
/* When there is something to do next, after whatever changed. */
void rm_find_next(struct rill_rm *rm);
/* When what is said for the *tries-th time, counted here, is said again. */
uint64_t rm_resend_at_ns(struct rill_rm *rm, uint32_t *tries, uint64_t now_ns);

/* --- rm_loggers.c: units hear which output logger is theirs --- */

bool rm_logger_word_due(const struct unit *unit, uint64_t now_ns);
void rm_repeat_new_logger(struct rill_rm *rm, struct unit *unit, uint64_t now_ns,
                          struct rill_outbox *outbox);
void rm_take_logger_ack(struct rill_rm *rm, const struct rill_frame *f);

/* --- rm_shares.c: units hear what each controller may have of them --- */

struct share *rm_find_share(const struct unit *unit, uint32_t controller); /* NULL: none */
struct share *rm_add_share(struct unit *unit, uint32_t controller);        /* NULL: no memory */
/* What of the unit nobody else may have. */
uint32_t rm_committed(const struct share *share);
void rm_send_share(struct rill_rm *rm, const struct unit *unit, struct share *share,
                   uint64_t now_ns, struct rill_outbox *outbox);
void rm_tell_unit(struct rill_rm *rm, const struct unit *unit, struct share *share, uint64_t now_ns,
                  struct rill_outbox *outbox);
void rm_tell_units(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                   struct rill_outbox *outbox);
void rm_drop_if_over(struct unit *unit, struct share *share);
void rm_take_ack(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                 struct rill_outbox *outbox);
void rm_resend_shares(struct rill_rm *rm, uint64_t now_ns, struct rill_outbox *outbox);

/* --- rm_grants.c: controllers hear what they have, and until when --- */

void rm_send_grant(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                   struct rill_outbox *outbox);
/* Once all units know of it, or an epoch after the question. */
void rm_grant_if_ready(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
                       struct rill_outbox *outbox);
bool rm_expires(const struct controller *c);
void rm_expire(struct rill_rm *rm, uint32_t controller, uint64_t now_ns,
               struct rill_outbox *outbox);
uint64_t rm_next_of_controller(const struct rill_rm *rm, const struct controller *c);

/* --- rm_requests.c: controllers ask for units, and who is there --- */

void rm_take_request(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                     struct rill_outbox *outbox);
void rm_tell_members(struct rill_rm *rm, const struct rill_frame *f, uint64_t now_ns,
                     struct rill_outbox *outbox);

#endif
