/* The short way in. What each packet is on its way is written by rill_geneve_encode() in one way
 * only: its headers say the same but for lengths, and its options stand in one order. Whatever is
 * not exactly that goes the general way, which is the one that says what is wrong with it.
 */
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "lib/frame/geneve_bytes.h"
#include "lib/frame/geneve_types.h"

#define USES RILL_USES

enum {
    IP_AT = RTE_ETHER_HDR_LEN,
    UDP_AT = IP_AT + sizeof(struct rte_ipv4_hdr),
    GENEVE_AT = UDP_AT + sizeof(struct rte_udp_hdr),
    OPTIONS_AT = GENEVE_AT + RILL_GENEVE_BYTES,
    FRAME_BYTES = RILL_GENEVE_OPTION_HEADER + 16,
};

/* --- headers ---------------------------------------------------------------------------------- */

/* Ethernet's type to the flags of Geneve as the encoder writes them, for a datagram that is all of
 * `bytes`: IPv4 without options, no sum over UDP. */
static inline bool headers_are_ours(const uint8_t *h, uint32_t bytes)
{
    const uint64_t port = RILL_GENEVE_PORT, length_of_options = 0x3f00;
    /* type, version and length of header, type of service, length, identification */
    uint64_t first = get64(h + IP_AT - 2);
    /* fragment, time to live, protocol, sum, half of the source */
    uint64_t second = get64(h + IP_AT + 6);
    /* port, length, no sum; version of Geneve and length of options, flags */
    uint64_t udp = get64(h + UDP_AT + 2);
    uint64_t total = bytes - IP_AT, datagram = bytes - UDP_AT, sum;

    if (first != (UINT64_C(0x0800450000000000) | total << 16) || second >> 32 != 0x40004011 ||
        (udp & ~length_of_options) != (port << 48 | datagram << 32 | RILL_GENEVE_CRITICAL_BIT))
        return false;
    sum = 0x4500 + 0x4000 + 0x4011 + total + (uint32_t)second + get32(h + IP_AT + 14) +
          get16(h + IP_AT + 18);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (sum >> 16) + (sum & 0xffff) == 0xffff;
}

/* --- options ---------------------------------------------------------------------------------- */

/* Where the options of a type that uses this stand: those of one width, which are there always,
 * from FRAME on; then the rest. */
struct places {
    uint32_t flow, term, clock, step, ingress, rest;
};

static __rte_always_inline struct places places_of(uint32_t uses)
{
    struct places p = {.flow = FRAME_BYTES};

    p.term = p.flow + (uses & USES(FLOW) ? 12 : 0);
    p.clock = p.term + (uses & USES(TERM) ? 12 : 0);
    p.step = p.clock + (uses & USES(CLOCK) ? 12 : 0);
    p.ingress = p.step + (uses & USES(STEP) ? 20 : 0);
    p.rest = p.ingress + 28;
    return p;
}

static __rte_always_inline uint32_t header_of(enum rill_geneve_option option, uint32_t bytes)
{
    return (uint32_t)RILL_GENEVE_CLASS << 16 | (RILL_GENEVE_CRITICAL | option) << 8 | bytes / 4;
}

/* Zero if there is such an option. */
static __rte_always_inline uint32_t differs(const uint8_t *at, enum rill_geneve_option option,
                                            uint32_t bytes)
{
    return differs32(at, header_of(option, bytes));
}

/* Do the options of one width stand where they should? FRAME's layout version, too. */
static __rte_always_inline bool in_place(const uint8_t *from, struct places p, uint32_t uses)
{
    uint32_t wrong = differs(from, RILL_OPTION_FRAME, 16) | (from[4] ^ RILL_GENEVE_LAYOUT) |
                     differs(from + p.ingress, RILL_OPTION_INGRESS, 24);

    if (uses & USES(FLOW))
        wrong |= differs(from + p.flow, RILL_OPTION_FLOW, 8);
    if (uses & USES(TERM))
        wrong |= differs(from + p.term, RILL_OPTION_TERM, 8);
    if (uses & USES(CLOCK))
        wrong |= differs(from + p.clock, RILL_OPTION_CLOCK, 8);
    if (uses & USES(STEP))
        wrong |= differs(from + p.step, RILL_OPTION_STEP, 16);
    return wrong == 0;
}

/* The lists behind those of one width, and how much they hold. */
struct lists {
    const uint8_t *chain, *targets, *state; /* values */
    uint8_t chain_len, target_count, state_bytes;
};

/* A list of at most `most` entries of `entry` bytes that stands at *at, before `end`. */
static __rte_always_inline bool find_list(const uint8_t **at, const uint8_t *end,
                                          enum rill_geneve_option option, uint32_t entry,
                                          uint32_t most, const uint8_t **value, uint8_t *count)
{
    uint32_t words = entry / 4, header, n;

    if (end - *at < RILL_GENEVE_OPTION_HEADER)
        return false;
    header = get32(*at) - header_of(option, 0);
    n = header / words;
    if (header % words != 0 || n > most ||
        end - *at < RILL_GENEVE_OPTION_HEADER + (ptrdiff_t)(header * 4))
        return false;
    *value = *at + RILL_GENEVE_OPTION_HEADER;
    *at = *value + header * 4;
    *count = (uint8_t)n;
    return true;
}

/* STATE, without more of it behind. */
static __rte_always_inline bool find_state(const uint8_t **at, const uint8_t *end,
                                           struct lists *lists)
{
    uint32_t bytes;

    if (end - *at < RILL_GENEVE_OPTION_HEADER + RILL_GENEVE_STATE_HEAD)
        return false;
    lists->state = *at + RILL_GENEVE_OPTION_HEADER;
    lists->state_bytes = lists->state[2];
    bytes = RILL_GENEVE_STATE_HEAD + RTE_ALIGN_CEIL((uint32_t)lists->state_bytes, 4);
    if (lists->state_bytes > RILL_GENEVE_STATE_FIRST || differs(*at, RILL_OPTION_STATE, bytes) ||
        end - lists->state < (ptrdiff_t)bytes)
        return false;
    *at = lists->state + bytes;
    return true;
}

/* Are they there, and nothing behind? */
static __rte_always_inline bool find_lists(const uint8_t *at, const uint8_t *end, uint32_t uses,
                                           struct lists *lists)
{
    if ((uses & USES(CHAIN)) && !find_list(&at, end, RILL_OPTION_CHAIN, RILL_GENEVE_CHAIN_ENTRY,
                                           RILL_CHAIN_MAX, &lists->chain, &lists->chain_len))
        return false;
    if ((uses & USES(TARGETS)) &&
        !find_list(&at, end, RILL_OPTION_TARGETS, RILL_GENEVE_TARGET, RILL_TARGETS_MAX,
                   &lists->targets, &lists->target_count))
        return false;
    if ((uses & USES(STATE)) && !find_state(&at, end, lists))
        return false;
    return at == end;
}

/* --- into the frame --------------------------------------------------------------------------- */

/* With the zeros behind: there is room for them. */
static __rte_always_inline void read_state(struct rill_frame *f, const uint8_t *from,
                                           uint32_t bytes)
{
    uint32_t i = 0;

    for (; i + 4 < bytes; i += 8)
        memcpy(f->state + i, from + i, 8);
    if (i < bytes)
        memcpy(f->state + i, from + i, 4);
}

static __rte_always_inline void read_lists(struct rill_frame *f, const struct lists *lists)
{
    for (uint32_t i = 0; i < lists->chain_len; i++) {
        const uint8_t *from = lists->chain + i * (uint32_t)RILL_GENEVE_CHAIN_ENTRY;

        f->chain[i].term = get64(from);
        f->chain[i].unit = get32(from + 8);
        f->chain[i].output_logger = get32(from + 12);
    }
    for (uint32_t i = 0; i < lists->target_count; i++)
        f->targets[i] = get32(lists->targets + i * (uint32_t)RILL_GENEVE_TARGET);
    read_state(f, lists->state + RILL_GENEVE_STATE_HEAD, lists->state_bytes);
}

/* All but the lists' entries. */
static __rte_always_inline void read_fields(struct rill_frame *f, const uint8_t *from,
                                            struct places p, uint32_t uses,
                                            const struct lists *lists, uint32_t vni)
{
    const uint8_t *frame = from + RILL_GENEVE_OPTION_HEADER;
    const uint8_t *ingress = from + p.ingress + RILL_GENEVE_OPTION_HEADER;

    f->link = NULL;
    f->type = frame[1];
    f->flags = frame[2];
    f->side = frame[3];
    f->chain_len = lists->chain_len;
    f->src = get32(frame + 4);
    f->dst = get32(frame + 8);
    f->epoch = get16(frame + 12);
    f->pool = 0;
    f->flow = uses & USES(FLOW) ? get64(from + p.flow + 4) : 0;
    f->term = uses & USES(TERM) ? get64(from + p.term + 4) : 0;
    f->clock = uses & USES(CLOCK) ? get64(from + p.clock + 4) : 0;
    f->step = uses & USES(STEP) ? get64(from + p.step + 4) : 0;
    f->window = uses & USES(STEP) ? get64(from + p.step + 12) : 0;
    f->next_term = 0;
    f->granted_term = 0;
    f->next_unit = 0;
    f->vni = vni;
    f->count = 0;
    f->wire_bytes = get32(ingress + 16);
    f->ingress_ns = get64(ingress);
    f->ingress_id = get64(ingress + 8);
    f->state_offset = uses & USES(STATE) ? get16(lists->state) : 0;
    f->state_bytes = lists->state_bytes;
    f->target_count = lists->target_count;
    f->first_sport = get16(ingress + 20);
    f->first_dport = get16(ingress + 22);
    f->zero = 0;
}

/* What rill_geneve_check() says of a packet, before it is one; and no option that only a flag
 * brings. */
static __rte_always_inline bool is_fit(const uint8_t *from, struct places p, uint32_t uses,
                                       uint32_t data_bytes)
{
    uint8_t flags = from[6], side = from[7];
    uint8_t longer = uses & USES(TUPLE) ? RILL_FLAG_TUPLE | RILL_FLAG_ENDPOINT : 0;

    return (flags & (RILL_FLAG_PACKET | longer)) == RILL_FLAG_PACKET && side <= RILL_OUTSIDE &&
           data_bytes <= get32(from + p.ingress + RILL_GENEVE_OPTION_HEADER + 16);
}

/* The headers are ours; the options of a type that uses this have all `bytes` of h before the
 * packet. */
static __rte_always_inline bool decode_as(struct rte_mbuf *m, const uint8_t *h, uint32_t bytes,
                                          uint32_t uses)
{
    const uint8_t *from = h + OPTIONS_AT;
    struct places p = places_of(uses);
    struct lists lists = {0};

    if (bytes < OPTIONS_AT + p.rest || !in_place(from, p, uses) ||
        !is_fit(from, p, uses, m->pkt_len - bytes) ||
        !find_lists(from + p.rest, h + bytes, uses, &lists))
        return false;
    read_fields(rill_frame(m), from, p, uses, &lists, get32(h + GENEVE_AT + 4) >> 8);
    read_lists(rill_frame(m), &lists);
    m->data_off += (uint16_t)bytes;
    m->data_len -= (uint16_t)bytes;
    m->pkt_len -= bytes;
    return true;
}

bool rill_geneve_decode_short(struct rte_mbuf *m)
{
    const uint8_t *h = rte_pktmbuf_mtod(m, const uint8_t *);
    uint32_t bytes;

    if (m->next != NULL || m->data_len < OPTIONS_AT + FRAME_BYTES ||
        !headers_are_ours(h, m->data_len) ||
        get16(h + GENEVE_AT + 2) != RILL_GENEVE_PROTOCOL_ETHERNET)
        return false;
    bytes = OPTIONS_AT + h[GENEVE_AT] * 4u;
    if (bytes >= m->data_len)
        return false;
    switch (h[OPTIONS_AT + 5]) {
    case RILL_FRAME_INGRESS:
        return decode_as(m, h, bytes, RILL_USES_INGRESS);
    case RILL_FRAME_DATA:
        return decode_as(m, h, bytes, RILL_USES_DATA);
    case RILL_FRAME_CHANGE:
        return decode_as(m, h, bytes, RILL_USES_CHANGE);
    case RILL_FRAME_RELEASED:
        return decode_as(m, h, bytes, RILL_USES_RELEASED);
    default:
        return false;
    }
}
