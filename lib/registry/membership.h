/* Who is there: one ephemeral node per role, with a few bytes about it, in one folder. Over a
 * registry, in its owner's thread.
 *
 *   FOLDER/NAME      ephemeral, of the member's session
 *
 * "There" means that the servers have heard from its session within its time-out; it is no promise
 * that the member works, and no proof of death (the RM alone declares that).
 */
#ifndef RILL_LIB_REGISTRY_MEMBERSHIP_H
#define RILL_LIB_REGISTRY_MEMBERSHIP_H

#include "lib/registry/registry.h"

struct rill_membership;

enum { RILL_MEMBER_DATA_MAX = 4096 };

/* Each from rill_registry_turn(), and each may be NULL; none may destroy the membership. A member
 * that went and came back, in another session say, is told as left and joined. */
struct rill_membership_events {
    void (*joined)(void *arg, const char *name, const void *data, uint32_t data_bytes);
    void (*changed)(void *arg, const char *name, const void *data, uint32_t data_bytes);
    void (*left)(void *arg, const char *name);
    void *arg;
};

/* Watches a folder, which is made if it is missing. Nothing is told as left when a connection or
 * the session is lost: nobody knows then. */
int rill_membership_create(struct rill_registry *registry, const char *folder,
                           const struct rill_membership_events *events,
                           struct rill_membership **membership, struct rill_error *err);
/* Leaves, if it entered. No event comes any more. Before the registry is closed. NULL is fine. */
void rill_membership_destroy(struct rill_membership *membership);

/* Makes this one a member, as soon as there is a connection and nobody else's session has the name
 * (the one of a process before it, not expired yet, say), and again if the node vanishes. Once;
 * -EEXIST after that. -EINVAL, -ENAMETOOLONG, -EMSGSIZE. */
int rill_membership_enter(struct rill_membership *membership, const char *name, const void *data,
                          uint32_t data_bytes, struct rill_error *err);
/* Whether this session's node is there, as far as is known. */
bool rill_membership_entered(const struct rill_membership *membership);
/* Other data for the own node, now or when it is made. -EMSGSIZE, -ENOENT: it did not enter. */
int rill_membership_update(struct rill_membership *membership, const void *data,
                           uint32_t data_bytes, struct rill_error *err);
uint32_t rill_membership_count(const struct rill_membership *membership);

#endif
