/* Part of <rill/nf.h>, which alone includes it: the functions of which a packet calls several, and
 * that do next to nothing, so that they are no calls into the runtime.
 *
 * They read the beginnings of what the runtime keeps. Those are for them only: an NF that looks
 * into them itself is not told when they change. RILL_NF_ABI grows when they do, so that no image
 * reads them as they were.
 */
#ifndef RILL_NF_INLINE_H
#define RILL_NF_INLINE_H

#define RILL_HEAD __attribute__((may_alias)) /* the runtime has these as parts of other types */

/* Of struct rill_pkt. */
struct RILL_HEAD rill_pkt_head {
    uint8_t *state; /* the flow's block */
    uint64_t time_ns;
    uint32_t dirty_low, dirty_high; /* changed bytes of the block: [low, high) */
    uint32_t wire_bytes;
    uint32_t side; /* 0: inside */
    bool is_new;
    bool checks_puts; /* the runtime wants to see each put by itself (debug builds) */
    uint16_t zero[3];
    uint16_t offsets[3];
    uint8_t flags; /* enum rill_head_flags */
    uint8_t tcp_flags;
    uint32_t fragment_id;
    struct rill_endpoint source, destination;
};

enum rill_head_flags {
    RILL_HEAD_FRAGMENT = 1 << 0,
    RILL_HEAD_LATER_FRAGMENT = 1 << 1,
    RILL_HEAD_QUOTES = 1 << 3,
};

/* Of struct rill_table. */
struct RILL_HEAD rill_table_head {
    uint8_t *global;         /* NULL: per-flow */
    uint32_t offset;         /* in the flow's block */
    uint32_t writable_bytes; /* of the value; 0: not to be written */
};

/* Of struct rill_nf. */
struct RILL_HEAD rill_nf_head {
    void *private_memory;
};

static inline const struct rill_pkt_head *rill_pkt_head(const struct rill_pkt *pkt)
{
    return (const struct rill_pkt_head *)(const void *)pkt;
}

static inline void *rill_nf_private(struct rill_nf *nf)
{
    return ((const struct rill_nf_head *)(const void *)nf)->private_memory;
}

/* All but what the functions below do themselves, mistakes of the NF included. */
void *rill_get_other(struct rill_table *table, struct rill_pkt *pkt);
void rill_put_other(struct rill_table *table, struct rill_pkt *pkt, size_t offset, size_t bytes);
bool rill_pkt_quoted_ends(const struct rill_pkt *pkt, struct rill_endpoint *source,
                          struct rill_endpoint *destination);

static inline void *rill_get(struct rill_table *table, struct rill_pkt *pkt)
{
    const struct rill_table_head *t = (const struct rill_table_head *)(const void *)table;

    if (__builtin_expect(t->global != NULL || pkt == NULL, 0))
        return rill_get_other(table, pkt);
    return rill_pkt_head(pkt)->state + t->offset;
}

static inline void rill_put(struct rill_table *table, struct rill_pkt *pkt, size_t offset,
                            size_t bytes)
{
    const struct rill_table_head *t = (const struct rill_table_head *)(const void *)table;
    struct rill_pkt_head *p = (struct rill_pkt_head *)(void *)pkt;
    uint32_t low = t->offset + (uint32_t)offset, high = low + (uint32_t)bytes;

    if (__builtin_expect(bytes == 0 || bytes > t->writable_bytes ||
                             offset > t->writable_bytes - bytes || p->checks_puts,
                         0)) {
        rill_put_other(table, pkt, offset, bytes);
        return;
    }
    if (low < p->dirty_low)
        p->dirty_low = low;
    if (high > p->dirty_high)
        p->dirty_high = high;
}

static inline bool rill_flow_is_new(const struct rill_pkt *pkt)
{
    return rill_pkt_head(pkt)->is_new;
}

static inline bool rill_pkt_from_inside(const struct rill_pkt *pkt)
{
    return rill_pkt_head(pkt)->side == 0;
}

static inline uint64_t rill_pkt_time_ns(const struct rill_pkt *pkt)
{
    return rill_pkt_head(pkt)->time_ns;
}

static inline uint32_t rill_pkt_bytes(const struct rill_pkt *pkt)
{
    return rill_pkt_head(pkt)->wire_bytes;
}

static inline void rill_pkt_source(const struct rill_pkt *pkt, struct rill_endpoint *source)
{
    *source = rill_pkt_head(pkt)->source;
}

static inline void rill_pkt_destination(const struct rill_pkt *pkt,
                                        struct rill_endpoint *destination)
{
    *destination = rill_pkt_head(pkt)->destination;
}

static inline uint8_t rill_pkt_tcp_flags(const struct rill_pkt *pkt)
{
    return rill_pkt_head(pkt)->tcp_flags;
}

static inline bool rill_pkt_is_fragment(const struct rill_pkt *pkt)
{
    return (rill_pkt_head(pkt)->flags & RILL_HEAD_FRAGMENT) != 0;
}

static inline bool rill_pkt_is_later_fragment(const struct rill_pkt *pkt)
{
    return (rill_pkt_head(pkt)->flags & RILL_HEAD_LATER_FRAGMENT) != 0;
}

static inline bool rill_pkt_quoted(const struct rill_pkt *pkt, struct rill_endpoint *source,
                                   struct rill_endpoint *destination)
{
    if (__builtin_expect((rill_pkt_head(pkt)->flags & RILL_HEAD_QUOTES) == 0, 1))
        return false;
    return rill_pkt_quoted_ends(pkt, source, destination);
}

#endif
