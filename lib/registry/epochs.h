/* The epochs of controllers. A controller holds a slot (0 to 63); each process that takes the slot
 * over gets the slot's next incarnation (1 to 1,023), and on the wire its epoch is
 * slot << 10 | incarnation. What an older incarnation still sends is known by it, and refused: so
 * no number is ever given twice.
 *
 *   FOLDER/slot-NN   persistent: the last incarnation given, in decimal
 *
 * The node is only ever replaced by one more at the version that was read. If the answer to that is
 * lost, the number is taken as given, and the next one is asked for.
 */
#ifndef RILL_LIB_REGISTRY_EPOCHS_H
#define RILL_LIB_REGISTRY_EPOCHS_H

#include "lib/registry/registry.h"

enum {
    RILL_EPOCH_SLOTS = 64,
    RILL_EPOCH_INCARNATION_BITS = 10,
    RILL_EPOCH_INCARNATION_MAX = 1023,
};

struct rill_epoch_request;

/* `status` 0: `epoch` is this one's alone, for ever. -EOVERFLOW: the slot has had all its
 * incarnations; -EINVAL: the node holds something else; -ESHUTDOWN: the session has expired (the
 * number may be lost); -EIO, -ENOMEM. With those, *err has a line. */
typedef void rill_epoch_done(void *arg, int status, uint16_t epoch, const struct rill_error *err);

/* Takes the slot's next incarnation. `folder` is made if it is missing. The session may be
 * suspended: then it waits. `done` is called once, from rill_registry_turn(), and the request is
 * gone after it. -EINVAL, -ENAMETOOLONG, -ESHUTDOWN, -ENOMEM. */
int rill_epoch_take(struct rill_registry *registry, const char *folder, uint32_t slot,
                    rill_epoch_done *done, void *arg, struct rill_epoch_request **request,
                    struct rill_error *err);
/* `done` is not called; a number may be lost. Before the registry is closed, if it is not done. */
void rill_epoch_cancel(struct rill_epoch_request *request);

static inline uint32_t rill_epoch_slot(uint16_t epoch)
{
    return epoch >> RILL_EPOCH_INCARNATION_BITS;
}

static inline uint32_t rill_epoch_incarnation(uint16_t epoch)
{
    return epoch & RILL_EPOCH_INCARNATION_MAX;
}

#endif
