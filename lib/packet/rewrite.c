#include "lib/packet/rewrite.h"

#include <rte_mbuf.h>

#include "lib/packet/bytes.h"
#include "lib/packet/rewrite_plain.h"

/* Sums are of 16-bit words in memory order: one's complement addition does not care which byte is
 * the high one, as long as all words have it on the same side. Every field here lies at an even
 * distance from the start of what its checksums cover. */

enum end { SOURCE, DESTINATION };

/* A packet, or a packet within an ICMP error. */
struct target {
    uint8_t *bytes;
    uint32_t limit; /* nothing of it at or after this offset may be touched */
    uint32_t ip;
    uint32_t l4; /* 0: none to touch */
    uint8_t family;
    uint8_t proto;
    bool routed;
};

/* Of sums of a few dozen words of 16 bits. */
static inline uint32_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Each of these returns what the change adds to a sum that covers the field: ~m + m'. */

static inline uint32_t replace16(uint8_t *field, uint16_t value)
{
    uint16_t old = load_raw16(field);

    store_raw16(field, value);
    return (uint16_t)~old + (uint32_t)value;
}

static inline uint32_t replace32(uint8_t *field, uint32_t value)
{
    uint32_t old = ~load_raw32(field);

    memcpy(field, &value, sizeof(value));
    return (old & 0xffff) + (old >> 16) + (value & 0xffff) + (value >> 16);
}

static inline uint32_t replace_address(uint8_t *field, const uint8_t *addr, uint8_t family)
{
    uint32_t change = 0;

    for (int i = 0; i < (family == 4 ? 4 : 16); i += 4)
        change += replace32(field + i, load_raw32(addr + i));
    return change;
}

/* HC' = ~(~HC + ~m + m'). A change of zero leaves the field as it is, in either form of zero. */
static inline uint32_t fix_checksum(uint8_t *field, uint32_t change, bool udp)
{
    uint16_t old = load_raw16(field), fixed;

    change = fold(change);
    if (change == 0 || change == 0xffff || (udp && old == 0))
        return 0;
    fixed = (uint16_t)~fold((uint16_t)~old + change);
    if (udp && fixed == 0)
        fixed = 0xffff;
    return replace16(field, fixed);
}

/* ---- fields ---- */

static inline bool has_ports(const struct target *t)
{
    return t->proto == RILL_TCP || t->proto == RILL_UDP;
}

static inline bool is_echo(const struct target *t)
{
    return is_icmp(t->family, t->proto) && icmp_is_echo(t->family, t->bytes[t->l4]);
}

static inline uint32_t set_port(const struct target *t, enum end end, uint16_t port)
{
    uint8_t *l4 = t->bytes + t->l4;

    if (has_ports(t))
        return replace16(l4 + (end == SOURCE ? 0 : 2), __builtin_bswap16(port));
    return is_echo(t) ? replace16(l4 + 4, __builtin_bswap16(port)) : 0;
}

/* Offset in the L4 header; 0 for a protocol whose checksum is not known. */
static inline uint32_t checksum_offset(const struct target *t)
{
    if (t->proto == RILL_TCP)
        return 16;
    if (t->proto == RILL_UDP)
        return 6;
    return is_icmp(t->family, t->proto) ? 2 : 0;
}

/* Whether the L4 checksum covers this end's address, by the pseudo header. */
static inline bool covers_address(const struct target *t, enum end end)
{
    return (t->family == 6 || t->proto != RILL_ICMP) && !(t->routed && end == DESTINATION);
}

static inline uint32_t rewrite_l4(const struct target *t, enum end end, uint16_t port,
                                  uint32_t address_change)
{
    uint32_t checksum = checksum_offset(t);
    uint32_t change = set_port(t, end, port);
    uint32_t covered = change + (covers_address(t, end) ? address_change : 0);

    if (checksum != 0 && t->l4 + checksum + 2 <= t->limit)
        change += fix_checksum(t->bytes + t->l4 + checksum, covered, t->proto == RILL_UDP);
    return change;
}

/* Returns the change of all the bytes of the target together. */
static uint32_t rewrite(const struct target *t, enum end end, const struct rill_endpoint *to)
{
    uint8_t *ip = t->bytes + t->ip;
    uint32_t address_change, change;

    if (t->family == 4) {
        address_change = replace_address(ip + (end == SOURCE ? 12 : 16), to->addr, 4);
        change = address_change + fix_checksum(ip + 10, address_change, false);
    } else {
        address_change = replace_address(ip + (end == SOURCE ? 8 : 24), to->addr, 6);
        change = address_change;
    }
    if (t->l4 != 0)
        change += rewrite_l4(t, end, to->port, address_change);
    return change;
}

static bool may_become(const struct target *t, const struct rill_endpoint *to)
{
    if (to->family != t->family || to->proto != t->proto)
        return false;
    return to->port == 0 || has_ports(t) || (t->l4 != 0 && is_echo(t));
}

/* ---- the packet itself ---- */

int rill_rewrite_any(struct rte_mbuf *m, struct rill_view *view, bool source,
                     const struct rill_endpoint *to)
{
    enum end end = source ? SOURCE : DESTINATION;
    struct rill_endpoint *this_end = end == SOURCE ? &view->source : &view->destination;
    struct rill_endpoint *other_end = end == SOURCE ? &view->destination : &view->source;
    struct target t = {
        .bytes = rte_pktmbuf_mtod(m, uint8_t *),
        .limit = m->data_len,
        .ip = view->l2_len,
        .l4 = view->l4_off,
        .family = this_end->family,
        .proto = this_end->proto,
        .routed = view->flags & RILL_VIEW_ROUTED,
    };

    if (to->family != t.family || to->proto != t.proto)
        return -1;
    if (!(view->flags & RILL_VIEW_LATER_FRAGMENT) && !may_become(&t, to))
        return -1;
    rewrite(&t, end, to);
    *this_end = *to;
    if (view->flags & RILL_VIEW_ICMP_ECHO)
        other_end->port = to->port;
    return 0;
}

int rill_rewrite_source(struct rte_mbuf *m, struct rill_view *view, const struct rill_endpoint *to)
{
    return rill_rewrite_inline(m, view, true, to);
}

int rill_rewrite_destination(struct rte_mbuf *m, struct rill_view *view,
                             const struct rill_endpoint *to)
{
    return rill_rewrite_inline(m, view, false, to);
}

/* ---- the code point ---- */

/* Where the IP header's first 16 bits hold it: IPv4 has 4 bits of version, 4 of header length, then
 * it; IPv6 has it right behind the version. */
static inline unsigned dscp_shift(const struct rill_view *view)
{
    return view->source.family == 4 ? 2 : 6;
}

uint8_t rill_dscp(const struct rte_mbuf *m, const struct rill_view *view)
{
    const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, view->l2_len);

    return load_be16(ip) >> dscp_shift(view) & 63;
}

void rill_rewrite_dscp(struct rte_mbuf *m, const struct rill_view *view, uint8_t dscp)
{
    uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, view->l2_len);
    unsigned shift = dscp_shift(view);
    uint32_t word = (load_be16(ip) & ~(63u << shift)) | (dscp & 63u) << shift;
    uint32_t change = replace16(ip, __builtin_bswap16((uint16_t)word));

    if (view->source.family == 4)
        fix_checksum(ip + 10, change, false);
}

/* ---- the quoted packet ---- */

/* Where the IP packet ends, in the bytes that are here. What follows is padding, which looks like
 * more of the quote but is not covered by the ICMP checksum. */
static uint32_t packet_end(const struct rte_mbuf *m, const struct rill_view *view)
{
    const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, view->l2_len);
    uint32_t bytes = view->source.family == 4 ? load_be16(ip + 2)
                                              : IP6_HEADER_BYTES + (uint32_t)load_be16(ip + 4);

    return RTE_MIN((uint32_t)m->data_len, view->l2_len + bytes);
}

static int rewrite_quoted(struct rte_mbuf *m, struct rill_view *view, enum end end,
                          const struct rill_endpoint *to)
{
    struct rill_endpoint *this_end =
        end == SOURCE ? &view->quoted_source : &view->quoted_destination;
    struct rill_endpoint *other_end =
        end == SOURCE ? &view->quoted_destination : &view->quoted_source;
    struct target t = {
        .bytes = rte_pktmbuf_mtod(m, uint8_t *),
        .limit = packet_end(m, view),
        .ip = view->quoted_off,
        .l4 = view->quoted_l4_off,
        .routed = view->flags & RILL_VIEW_QUOTED_ROUTED,
    };

    if (!(view->flags & RILL_VIEW_ICMP_ERROR))
        return -1;
    t.family = this_end->family;
    t.proto = this_end->proto;
    if (!may_become(&t, to))
        return -1;
    fix_checksum(t.bytes + view->l4_off + 2, rewrite(&t, end, to), false);
    *this_end = *to;
    if (t.l4 != 0 && is_echo(&t))
        other_end->port = to->port;
    return 0;
}

int rill_rewrite_quoted_source(struct rte_mbuf *m, struct rill_view *view,
                               const struct rill_endpoint *to)
{
    return rewrite_quoted(m, view, SOURCE, to);
}

int rill_rewrite_quoted_destination(struct rte_mbuf *m, struct rill_view *view,
                                    const struct rill_endpoint *to)
{
    return rewrite_quoted(m, view, DESTINATION, to);
}
