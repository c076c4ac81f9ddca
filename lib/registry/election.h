/* Who leads, of several candidates, and under which number. Over a registry, in its owner's thread.
 *
 *   FOLDER/epoch     persistent: the number of the last leader, in decimal
 *   FOLDER/leader    ephemeral: "NUMBER\nINFO" of the one that leads, of its session
 *
 * A candidate wins by making `leader` and raising `epoch` at one moment. So numbers only grow, and
 * each is one leader's. It leads while that session may act by its own clock (registry.h): a second
 * one can win only after the servers have ended the session, which is later. A deposed leader that
 * does not know it yet is stopped by the number: what leaders write goes together with
 * rill_election_fence(), and is refused once somebody else has won.
 *
 * If the session seems lost and comes back, the leadership does not: it is given up, and the next
 * one has another number.
 */
#ifndef RILL_LIB_REGISTRY_ELECTION_H
#define RILL_LIB_REGISTRY_ELECTION_H

#include "lib/registry/registry.h"

struct rill_election;

enum { RILL_ELECTION_INFO_MAX = 1024 };

struct rill_election_events {
    /* This one leads from now on; from rill_election_turn(). */
    void (*elected)(void *arg, uint64_t epoch);
    /* And from now on it does not; between two `elected`, from rill_election_turn(). */
    void (*deposed)(void *arg);
    /* Who leads, as far as is known here; epoch 0: nobody. From rill_registry_turn(). May be NULL.
     */
    void (*leader)(void *arg, uint64_t epoch, const void *info, uint32_t info_bytes);
    void *arg;
};

struct rill_election_config {
    const char *folder;  /* made if it is missing */
    const void *info;    /* how to reach this one: others are told it */
    uint32_t info_bytes; /* at most RILL_ELECTION_INFO_MAX */
    bool watches_only;   /* is no candidate: `elected` and `deposed` may be NULL */
    struct rill_election_events events;
};

/* The session may be suspended yet. -EINVAL, -ENAMETOOLONG, -EMSGSIZE, -ENOMEM, -ESHUTDOWN. */
int rill_election_create(struct rill_registry *registry, const struct rill_election_config *config,
                         struct rill_election **election, struct rill_error *err);
/* Gives up a leadership first: another can win at once. No event comes any more. Before the
 * registry is closed. NULL is fine. */
void rill_election_destroy(struct rill_election *election);

/* After each rill_registry_turn(), and at rill_election_next_ns(). */
void rill_election_turn(struct rill_election *election, uint64_t now_ns);
uint64_t rill_election_next_ns(const struct rill_election *election);

/* Whether this one may act as leader at `now_ns`: ask before each act. */
bool rill_election_leads(const struct rill_election *election, uint64_t now_ns);
/* Under which number it leads; 0: it does not. */
uint64_t rill_election_epoch(const struct rill_election *election);
/* The op that refuses a request (-ESTALE, or -ENOENT) unless this leadership is still the last one.
 * Only while rill_election_epoch() is not 0; valid until the election is destroyed. */
struct rill_registry_op rill_election_fence(const struct rill_election *election);
/* Why it does not get on, one line; "" if it does. */
const char *rill_election_problem(const struct rill_election *election);

#endif
