/* The way from a unit's process to the store outside of state=external: a Redis server's socket
 * that is mounted into the container. In place of a fabric: what the unit sends to the store is
 * taken out of its outbox, and the store's answers are given to it as if they had been received. */
#ifndef RILL_NF_RUNTIME_UNIT_STORE_H
#define RILL_NF_RUNTIME_UNIT_STORE_H

#include "lib/config/config.h"
#include "lib/store/store.h"
#include "nf-runtime/unit.h"

enum { UNIT_STORE_TROUBLE_BYTES = 160 };

struct unit_store {
    struct rill_store *store; /* NULL: units hand state to each other */
    struct rill_outbox answers, given;
    char trouble[UNIT_STORE_TROUBLE_BYTES]; /* the last that was told */
};

/* Role id of the store as its units know it. */
#define UNIT_STORE_ID rill_role_id(RILL_ROLE_STORE, 1)

/* As the deployment's settings say. `links_folder` is of this deployment alone; its name becomes
 * that of the deployment's keys. Negative with a line in *err. */
int unit_store_open(struct unit_store *s, const struct rill_config *settings,
                    const char *links_folder, struct rte_mempool *pool, struct rill_error *err);
/* After the unit was given something: see above. */
void unit_store_pass(struct unit_store *s, struct rill_unit *unit, uint64_t now_ns,
                     struct rill_outbox *out);
/* Looks for answers, and gives them to the unit. */
void unit_store_tick(struct unit_store *s, struct rill_unit *unit, uint64_t now_ns,
                     struct rill_outbox *out);
uint64_t unit_store_next_ns(const struct unit_store *s);

#endif
