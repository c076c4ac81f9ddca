/* What a controller that takes over asks of every unit and output logger, and what they answer.
 *
 * INVENTORY carries the list of the dead (struct rill_death). An answer, INVENTORY_PART, carries
 * items one behind another: endpoints that a unit has leased and not given out, and flows. It says
 * which part follows; the last says RILL_INVENTORY_END. Parts of one role are at different moments,
 * and parts of different roles are; docs/protocol.md ("A controller dies") says why that is enough.
 */
#ifndef RILL_LIB_FRAME_INVENTORY_H
#define RILL_LIB_FRAME_INVENTORY_H

#include "lib/frame/body.h"

#define RILL_INVENTORY_END UINT64_MAX

enum {
    RILL_INVENTORY_PART_BYTES = 16384, /* a part is full when it has as many */
    RILL_INVENTORY_CLAIMS_MAX = 24,
};

struct rill_death {
    uint32_t unit;
    uint32_t output_logger; /* has its state; or RILL_LOGGER_LOST */
};

enum rill_inventory_kind { RILL_INVENTORY_ENDPOINT = 1, RILL_INVENTORY_FLOW = 2 };

struct rill_inventory_endpoint { /* at a unit, free to be given out */
    uint16_t kind;
    uint16_t pool;
    uint32_t index;
    uint64_t lease;
};

enum rill_inventory_flags {
    RILL_INVENTORY_HEAD = 1 << 0,      /* the head of the flow's state is here */
    RILL_INVENTORY_CONFIRMED = 1 << 1, /* a controller said that it knows the head's alias */
};

struct rill_inventory_flow {
    uint16_t kind;
    uint8_t claims; /* as many follow the head */
    uint8_t flags;
    uint32_t
        vouched_ms; /* since a controller said that the flow lives there; UINT32_MAX: none did */
    uint64_t flow;
    uint64_t term, step; /* of the version of the state that the head is of */
    uint64_t idle_ns;    /* since anything was heard of it */
};

/* In that term the flow is, was, or is to be that unit's. RILL_BIRTH_TERM: nothing came before. */
struct rill_inventory_claim {
    uint64_t term;
    uint32_t unit;
    uint32_t established; /* 1: its output logger has the full state of that term */
};

/* One item, taken apart. */
struct rill_inventory_item {
    enum rill_inventory_kind kind;
    struct rill_inventory_endpoint endpoint;
    struct rill_inventory_flow flow;
    struct rill_state_head head; /* zeros without RILL_INVENTORY_HEAD */
    struct rill_inventory_claim claims[RILL_INVENTORY_CLAIMS_MAX];
};

/* Adds a claim unless there is one of that term; where there is no room, the lowest term gives way.
 */
void rill_inventory_claim(struct rill_inventory_item *item, uint64_t term, uint32_t unit,
                          bool established);

/* Appends the item. 0, or -ENOMEM and m as it was. */
int rill_inventory_put(struct rte_mbuf *m, struct rte_mempool *pool,
                       const struct rill_inventory_item *item);

/* The item at *offset of the body, which then moves on. False: the end, *offset is the body's
 * length; or something that is no item. */
bool rill_inventory_next(const struct rte_mbuf *m, uint32_t *offset,
                         struct rill_inventory_item *item);

#endif
