/* What the leading RM has promised: one record per key (a controller of a deployment, say), written
 * before the promise is sent, and only while its writer still is the last leader. Over a registry,
 * in its owner's thread.
 *
 *   FOLDER/KEY       persistent: the record's bytes
 *
 * Each write goes with the fence of the writer's leadership (rill_election_fence()) at one moment:
 * a deposed RM's is refused, however late it comes. A leader that has just won reads all that those
 * before it wrote, as its own winning is later in the store's one order.
 */
#ifndef RILL_LIB_REGISTRY_LEASE_TABLE_H
#define RILL_LIB_REGISTRY_LEASE_TABLE_H

#include "lib/registry/registry.h"

struct rill_lease_table;

/* `folder` must be there (rill_registry_make_folder()). -EINVAL, -ENAMETOOLONG, -ENOMEM. */
int rill_lease_table_create(struct rill_registry *registry, const char *folder,
                            struct rill_lease_table **table, struct rill_error *err);
/* Nothing is told any more; what was asked for may still be done. Before the registry is closed.
 * NULL is fine. */
void rill_lease_table_destroy(struct rill_lease_table *table);

/* `status` 0: the record is in the store. -ESTALE: refused, another one leads or has led since:
 * stop. -ECANCELED: overtaken by a later write of that key before it was sent. -ECONNRESET,
 * -ESHUTDOWN: it may be in the store or not. -ENOENT: there is no folder, or no fence. Others as of
 * registry.h. */
typedef void rill_lease_table_done(void *arg, const char *key, int status);

/* Writes a record, or with data NULL deletes it (it not being there is fine). The writes of one key
 * are done in order, one at a time; of those that wait, only the last is sent. 0: `done` is called
 * once, from rill_registry_turn() or, for -ECANCELED, from a later write of that key. It may not
 * destroy the table. Else never: -EINVAL, -ENAMETOOLONG, -EMSGSIZE, -ENOTCONN, -ESHUTDOWN, -EBUSY,
 * -ENOMEM. */
int rill_lease_table_write(struct rill_lease_table *table, const struct rill_registry_op *fence,
                           const char *key, const void *data, uint32_t data_bytes,
                           rill_lease_table_done *done, void *arg, struct rill_error *err);

struct rill_lease_table_reader {
    void (*record)(void *arg, const char *key, const void *data, uint32_t data_bytes);
    /* 0: that were all. Else it is to be asked for again. */
    void (*done)(void *arg, int status);
    void *arg;
};

/* Tells every record that is there, then `done` once. One at a time: -EBUSY. */
int rill_lease_table_read(struct rill_lease_table *table,
                          const struct rill_lease_table_reader *reader, struct rill_error *err);

#endif
