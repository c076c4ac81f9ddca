#include "lib/frame/frame.h"

_Static_assert(sizeof(struct rill_chain_entry) == 16, "an entry has no hidden bytes");
_Static_assert(offsetof(struct rill_frame, targets) <= 128,
               "what every packet needs sits in the first two cache lines");
_Static_assert(RILL_FRAME_PRIVATE_BYTES <= UINT16_MAX, "an mbuf's private area");

const char *rill_frame_type_name(uint8_t type)
{
    static const char *const names[RILL_FRAME_TYPES] = {
        [RILL_FRAME_DATA] = "data",
        [RILL_FRAME_FORWARDED] = "forwarded",
        [RILL_FRAME_CHANGE] = "change",
        [RILL_FRAME_PASS] = "pass",
        [RILL_FRAME_INGRESS] = "ingress",
        [RILL_FRAME_RELEASED] = "released",
        [RILL_FRAME_TURNED] = "turned",
        [RILL_FRAME_MOVE] = "move",
        [RILL_FRAME_PULL] = "pull",
        [RILL_FRAME_FINAL] = "final",
        [RILL_FRAME_REPLICA] = "replica",
        [RILL_FRAME_TAKE] = "take",
        [RILL_FRAME_FULL] = "full",
        [RILL_FRAME_NO_FULL] = "no_full",
        [RILL_FRAME_SYNC] = "sync",
        [RILL_FRAME_SYNC_ACK] = "sync_ack",
        [RILL_FRAME_REQUEST_FULL] = "request_full",
        [RILL_FRAME_LOGGER_PULL] = "logger_pull",
        [RILL_FRAME_LOGGER_STATE] = "logger_state",
        [RILL_FRAME_ESTABLISHED] = "established",
        [RILL_FRAME_ESTABLISHED_ACK] = "established_ack",
        [RILL_FRAME_ALIAS] = "alias",
        [RILL_FRAME_ALIAS_ACK] = "alias_ack",
        [RILL_FRAME_NEED] = "need",
        [RILL_FRAME_FORGET] = "forget",
        [RILL_FRAME_WHERE] = "where",
        [RILL_FRAME_CHAIN] = "chain",
        [RILL_FRAME_POOL_REQUEST] = "pool_request",
        [RILL_FRAME_POOL_GRANT] = "pool_grant",
        [RILL_FRAME_LEASE_REQUEST] = "lease_request",
        [RILL_FRAME_LEASE_GRANT] = "lease_grant",
        [RILL_FRAME_SHARE] = "share",
        [RILL_FRAME_SHARE_ACK] = "share_ack",
        [RILL_FRAME_FENCE] = "fence",
        [RILL_FRAME_FENCE_ACK] = "fence_ack",
        [RILL_FRAME_DEAD] = "dead",
        [RILL_FRAME_DEATH] = "death",
        [RILL_FRAME_DEATH_ACK] = "death_ack",
        [RILL_FRAME_RECOVERED] = "recovered",
        [RILL_FRAME_RECOVERED_ACK] = "recovered_ack",
        [RILL_FRAME_NEW_LOGGER] = "new_logger",
        [RILL_FRAME_NEW_LOGGER_ACK] = "new_logger_ack",
        [RILL_FRAME_INVENTORY] = "inventory",
        [RILL_FRAME_INVENTORY_PART] = "inventory_part",
        [RILL_FRAME_MEMBERS_REQUEST] = "members_request",
        [RILL_FRAME_MEMBERS] = "members",
        [RILL_FRAME_STORE_PUT] = "store_put",
        [RILL_FRAME_STORE_ACK] = "store_ack",
        [RILL_FRAME_STORE_GET] = "store_get",
        [RILL_FRAME_STORE_VALUE] = "store_value",
    };

    return type < RILL_FRAME_TYPES && names[type] != NULL ? names[type] : "unknown";
}

struct rte_mbuf *rill_frame_copy(struct rte_mbuf *m, struct rte_mempool *pool)
{
    /* rte_pktmbuf_copy refuses to copy nothing, and most messages have no body. */
    struct rte_mbuf *copy =
        m->pkt_len == 0 ? rte_pktmbuf_alloc(pool) : rte_pktmbuf_copy(m, pool, 0, UINT32_MAX);

    if (copy != NULL)
        rill_frame_copy_metadata(rill_frame(copy), rill_frame(m));
    return copy;
}
