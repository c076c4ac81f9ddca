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

/* Ethernet's type to the protocol in Geneve as the encoder writes them for a packet, in a datagram
 * that is all of `bytes`: IPv4 without options, no sum over UDP. */
static inline bool headers_are_ours(const uint8_t *h, uint32_t bytes)
{
    const uint32_t ether_ip = RTE_ETHER_TYPE_IPV4 << 16 | 0x4500; /* and no type of service */
    const uint32_t fragment_ttl_udp = 0x40004011, length_of_options = 0x3f00;
    const uint8_t *ip = h + IP_AT, *udp = h + UDP_AT;
    uint32_t total = bytes - IP_AT, datagram = bytes - UDP_AT;
    uint64_t sum;

    if (differs32(ip - 2, ether_ip) || differs32(ip + 2, total << 16) /* no identification */ ||
        differs32(ip + 6, fragment_ttl_udp) ||
        differs32(udp + 2, (uint32_t)RILL_GENEVE_PORT << 16 | datagram) ||
        (get32(udp + 6) & ~length_of_options) != RILL_GENEVE_CRITICAL_BIT ||
        get16(h + GENEVE_AT + 2) != RILL_GENEVE_PROTOCOL_ETHERNET)
        return false;
    /* Ones' complement, in which all ones are zero; in either order of bytes. */
    sum = RILL_SWAPPED(16, 0x4500) + RILL_SWAPPED(16, (uint16_t)total) +
          RILL_SWAPPED(16, fragment_ttl_udp >> 16) + RILL_SWAPPED(16, fragment_ttl_udp & 0xffff);
    sum += (uint64_t)raw32(ip + 10) + raw32(ip + 14) + raw16(ip + 18);
    return sum % 0xffff == 0;
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

/* Do the options of one width stand where they should? */
static __rte_always_inline bool in_place(const uint8_t *from, struct places p, uint32_t uses)
{
    uint32_t wrong =
        differs(from, RILL_OPTION_FRAME, 16) | differs(from + p.ingress, RILL_OPTION_INGRESS, 24);

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

        rte_compiler_barrier(); /* there are few: no loop for many */
        f->chain[i].term = get64(from);
        swap_pair32(RILL_FIELD(&f->chain[i], unit), from + 8);
    }
    for (uint32_t i = 0; i < lists->target_count; i++) {
        rte_compiler_barrier();
        f->targets[i] = get32(lists->targets + i * (uint32_t)RILL_GENEVE_TARGET);
    }
    if (lists->state != NULL)
        read_state(f, lists->state + RILL_GENEVE_STATE_HEAD, lists->state_bytes);
}

/* The first word of FRAME's value: layout version, type, flags, side. */
static __rte_always_inline uint32_t head_of(const uint8_t *from)
{
    return get32(from + RILL_GENEVE_OPTION_HEADER);
}

/* All but the lists' entries. */
static __rte_always_inline void read_fields(struct rill_frame *f, const uint8_t *from,
                                            struct places p, uint32_t uses,
                                            const struct lists *lists, uint32_t vni)
{
    const uint8_t *frame = from + RILL_GENEVE_OPTION_HEADER;
    const uint8_t *ingress = from + p.ingress + RILL_GENEVE_OPTION_HEADER;
    uint32_t ports = get32(ingress + 20);

    f->link = NULL;
    put32(RILL_FIELD(f, type), head_of(from) << 8 | lists->chain_len);
    swap_pair32(RILL_FIELD(f, src), frame + 4);
    f->epoch = get16(frame + 12);
    f->pool = 0;
    f->flow = uses & USES(FLOW) ? get64(from + p.flow + 4) : 0;
    f->term = uses & USES(TERM) ? get64(from + p.term + 4) : 0;
    f->clock = uses & USES(CLOCK) ? get64(from + p.clock + 4) : 0;
    if (uses & USES(STEP))
        swap_pair(RILL_FIELD(f, step), from + p.step + 4);
    else
        f->step = f->window = 0;
    f->next_term = 0;
    f->granted_term = 0;
    f->next_unit = 0;
    f->vni = vni;
    f->count = 0;
    f->wire_bytes = get32(ingress + 16);
    swap_pair(RILL_FIELD(f, ingress_ns), ingress);
    f->state_offset = uses & USES(STATE) ? get16(lists->state) : 0;
    f->state_bytes = lists->state_bytes;
    f->target_count = lists->target_count;
    f->first_sport = (uint16_t)(ports >> 16);
    f->first_dport = (uint16_t)ports;
    f->zero = 0;
}

/* What rill_geneve_check() says of a packet, before it is one; and no option that only a flag
 * brings; and FRAME's layout version. */
static __rte_always_inline bool is_fit(const uint8_t *from, struct places p, uint32_t uses,
                                       uint32_t data_bytes)
{
    uint32_t longer = uses & USES(TUPLE) ? RILL_FLAG_TUPLE | RILL_FLAG_ENDPOINT : 0;
    uint32_t known = 0xff0000fe | (RILL_FLAG_PACKET | longer) << 8;

    return (head_of(from) & known) == (RILL_GENEVE_LAYOUT << 24 | RILL_FLAG_PACKET << 8) &&
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

/* A function for each, so that none saves registers for what the others need. */
static __rte_noinline bool decode_ingress(struct rte_mbuf *m, const uint8_t *h, uint32_t bytes)
{
    return decode_as(m, h, bytes, RILL_USES_INGRESS);
}

static __rte_noinline bool decode_data(struct rte_mbuf *m, const uint8_t *h, uint32_t bytes)
{
    return decode_as(m, h, bytes, RILL_USES_DATA);
}

static __rte_noinline bool decode_change(struct rte_mbuf *m, const uint8_t *h, uint32_t bytes)
{
    return decode_as(m, h, bytes, RILL_USES_CHANGE);
}

static __rte_noinline bool decode_released(struct rte_mbuf *m, const uint8_t *h, uint32_t bytes)
{
    return decode_as(m, h, bytes, RILL_USES_RELEASED);
}

bool rill_geneve_decode_short(struct rte_mbuf *m)
{
    const uint8_t *h = rte_pktmbuf_mtod(m, const uint8_t *);
    uint32_t bytes;

    if (m->next != NULL || m->data_len < OPTIONS_AT + FRAME_BYTES ||
        !headers_are_ours(h, m->data_len))
        return false;
    bytes = OPTIONS_AT + h[GENEVE_AT] * 4u;
    if (bytes >= m->data_len)
        return false;
    switch (h[OPTIONS_AT + 5]) {
    case RILL_FRAME_INGRESS:
        return decode_ingress(m, h, bytes);
    case RILL_FRAME_DATA:
        return decode_data(m, h, bytes);
    case RILL_FRAME_CHANGE:
        return decode_change(m, h, bytes);
    case RILL_FRAME_RELEASED:
        return decode_released(m, h, bytes);
    default:
        return false;
    }
}
