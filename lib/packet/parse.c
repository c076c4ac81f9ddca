#include "lib/packet/parse.h"

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "lib/packet/bytes.h"
#include "lib/packet/parse_plain.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "loads swap bytes");

enum { VLAN_TAG_BYTES = 4, VLAN_TAGS_MAX = 4, IP_BYTES_MAX = 65535, ETHERTYPE_IP6 = 0x86dd };

/* The packet as far as it is understood. Offsets are from the first byte of the frame. */
struct packet {
    const uint8_t *bytes;
    uint32_t here; /* bytes that may be read: the mbuf's first segment, later cut to `end` */
    uint32_t wire;
    uint32_t ip;
    uint32_t l4;
    uint32_t end; /* of the IP packet, by its length field: at most `wire`, may be over `here` */
    uint8_t family;
    uint8_t proto;
};

static const char *const result_names[RILL_PARSE_RESULTS] = {
    [RILL_PARSE_OK] = "ok",
    [RILL_PARSE_NOT_IP] = "not_ip",
    [RILL_PARSE_SHORT_ETHERNET] = "malformed_short_ethernet",
    [RILL_PARSE_VLAN_DEPTH] = "malformed_vlan_depth",
    [RILL_PARSE_SHORT_IP] = "malformed_short_ip",
    [RILL_PARSE_IP_VERSION] = "malformed_ip_version",
    [RILL_PARSE_IP_HEADER_LENGTH] = "malformed_ip_header_length",
    [RILL_PARSE_IP_TOTAL_LENGTH] = "malformed_ip_total_length",
    [RILL_PARSE_IP6_EXTENSION] = "malformed_ip6_extension",
    [RILL_PARSE_SHORT_L4] = "malformed_short_l4",
    [RILL_PARSE_L4_LENGTH] = "malformed_l4_length",
    [RILL_PARSE_FRAGMENT] = "malformed_fragment",
    [RILL_PARSE_SAME_ADDRESS] = "malformed_same_address",
};

const char *rill_parse_result_name(enum rill_parse_result result)
{
    return (unsigned int)result < RILL_PARSE_RESULTS ? result_names[result] : "unknown";
}

/* ---- endpoints ---- */

static inline void set_endpoint(struct rill_endpoint *endpoint, const uint8_t *addr, uint8_t family,
                                uint8_t proto, uint16_t port)
{
    if (family == 4) {
        rill_endpoint_set4(endpoint, addr, port, proto);
        return;
    }
    memcpy(endpoint->addr, addr, 16);
    rill_endpoint_set_rest(endpoint, port, family, proto);
}

/* Both endpoints of the IP header at `ip`. */
static inline void set_endpoints(struct rill_endpoint *source, struct rill_endpoint *destination,
                                 const uint8_t *ip, uint8_t family, uint8_t proto,
                                 uint16_t source_port, uint16_t destination_port)
{
    bool ip4 = family == 4;

    set_endpoint(source, ip + (ip4 ? 12 : 8), family, proto, source_port);
    set_endpoint(destination, ip + (ip4 ? 16 : 24), family, proto, destination_port);
}

static inline void set_packet_endpoints(const struct packet *p, uint16_t source_port,
                                        uint16_t destination_port, struct rill_view *view)
{
    set_endpoints(&view->source, &view->destination, p->bytes + p->ip, p->family, p->proto,
                  source_port, destination_port);
}

/* ---- IPv6 extension headers ---- */

enum {
    IP6_HOP_BY_HOP = 0,
    IP6_ROUTING = 43,
    IP6_FRAGMENT = 44,
    IP6_AUTHENTICATION = 51,
    IP6_NO_NEXT_HEADER = 59,
    IP6_DESTINATION = 60,
    IP6_EXTENSIONS_MAX = 8,
};

struct ip6_chain {
    uint32_t fragment_off; /* of the fragment header; 0: there is none */
    uint32_t after;        /* offset of the first byte after the last header that was walked */
    uint8_t proto;
    bool more;
    bool routed;          /* by a routing header that has segments left */
    uint16_t data_offset; /* of the fragment, bytes */
    uint32_t id;
};

static bool ip6_is_extension(uint8_t header)
{
    return header == IP6_HOP_BY_HOP || header == IP6_ROUTING || header == IP6_FRAGMENT ||
           header == IP6_AUTHENTICATION || header == IP6_DESTINATION;
}

static uint32_t ip6_extension_bytes(uint8_t header, const uint8_t *p)
{
    if (header == IP6_FRAGMENT)
        return 8;
    return header == IP6_AUTHENTICATION ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
}

/* Walks the headers from `off` on, none of which may reach past `limit`. What a later fragment
 * holds after its fragment header is data. False where a header is cut or there are too many. */
static bool ip6_walk(const uint8_t *bytes, uint32_t off, uint32_t limit, uint8_t header,
                     struct ip6_chain *chain)
{
    *chain = (struct ip6_chain){0};
    for (int n = 0; ip6_is_extension(header) && chain->data_offset == 0; n++) {
        const uint8_t *p = bytes + off;

        if (n == IP6_EXTENSIONS_MAX || off + 8 > limit)
            return false;
        if (header == IP6_FRAGMENT) {
            if (chain->fragment_off != 0)
                return false;
            chain->fragment_off = off;
            chain->data_offset = load_be16(p + 2) & 0xfff8;
            chain->more = p[3] & 1;
            chain->id = load_be32(p + 4);
        } else if (header == IP6_ROUTING && p[3] != 0) {
            chain->routed = true;
        }
        off += ip6_extension_bytes(header, p);
        if (off > limit)
            return false;
        header = p[0];
    }
    chain->after = off;
    chain->proto = header;
    return true;
}

/* ---- ICMP errors and what they quote ---- */

/* The ports that the L4 header at `l4` shows. False where it does not reach that far. */
static bool quoted_ports(const uint8_t *bytes, uint32_t l4, uint32_t limit, uint8_t family,
                         uint8_t proto, uint16_t ports[2])
{
    ports[0] = ports[1] = 0;
    if (l4 == 0 || l4 > limit)
        return false;
    if (proto == RILL_TCP || proto == RILL_UDP) {
        if (limit - l4 < 4)
            return false;
        ports[0] = load_be16(bytes + l4);
        ports[1] = load_be16(bytes + l4 + 2);
    } else if (is_icmp(family, proto)) {
        if (limit - l4 < 6)
            return false;
        if (icmp_is_echo(family, bytes[l4]))
            ports[0] = ports[1] = load_be16(bytes + l4 + 4);
    }
    return true;
}

/* Finds the quoted L4 header: *l4 is 0 where there is none. The quoted packet's own length is not
 * looked at: stacks are known to quote it swapped or lessened, and the quote is cut anyway. False
 * where not even the addresses can be read. */
static bool quote_find_l4(const struct packet *p, uint32_t off, uint32_t *l4, uint8_t *proto,
                          struct rill_view *view)
{
    const uint8_t *ip = p->bytes + off;
    struct ip6_chain chain;

    *l4 = 0;
    if (p->family == 4) {
        if (p->here < off + IP4_HEADER_BYTES || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
            return false;
        *proto = ip[9];
        if ((load_be16(ip + 6) & IP4_FRAGMENT_OFFSET) == 0)
            *l4 = off + (ip[0] & 15) * 4u;
        return true;
    }
    if (p->here < off + IP6_HEADER_BYTES || ip[0] >> 4 != 6)
        return false;
    *proto = ip[6];
    if (ip6_walk(p->bytes, off + IP6_HEADER_BYTES, p->here, ip[6], &chain)) {
        *proto = chain.proto;
        *l4 = chain.data_offset == 0 ? chain.after : 0;
        if (chain.routed)
            view->flags |= RILL_VIEW_QUOTED_ROUTED;
    }
    return true;
}

static void parse_quote(const struct packet *p, struct rill_view *view)
{
    uint32_t off = p->l4 + ICMP_HEADER_BYTES, l4;
    uint16_t ports[2];
    uint8_t proto;

    if (!quote_find_l4(p, off, &l4, &proto, view))
        return;
    if (!quoted_ports(p->bytes, l4, p->here, p->family, proto, ports)) {
        proto = 0;
        l4 = 0;
    }
    view->flags |= RILL_VIEW_ICMP_ERROR;
    view->quoted_off = (uint16_t)off;
    view->quoted_l4_off = (uint16_t)l4;
    set_endpoints(&view->quoted_source, &view->quoted_destination, p->bytes + off, p->family, proto,
                  ports[0], ports[1]);
}

/* ---- L4 ---- */

/* Whether the first `bytes` of L4 are within the IP packet and readable. */
static inline bool l4_fits(const struct packet *p, uint32_t bytes)
{
    return likely(p->here >= p->l4 + bytes);
}

static enum rill_parse_result parse_icmp(const struct packet *p, struct rill_view *view)
{
    const uint8_t *icmp = p->bytes + p->l4;
    uint16_t identifier = 0;

    if (!l4_fits(p, ICMP_HEADER_BYTES))
        return RILL_PARSE_SHORT_L4;
    if (icmp_is_echo(p->family, icmp[0])) {
        view->flags |= RILL_VIEW_ICMP_ECHO;
        identifier = load_be16(icmp + 4);
    } else if (icmp_is_error(p->family, icmp[0])) {
        parse_quote(p, view);
    }
    view->l4_payload_off = (uint16_t)(p->l4 + ICMP_HEADER_BYTES);
    set_packet_endpoints(p, identifier, identifier, view);
    return RILL_PARSE_OK;
}

/* A land attack's packet answers itself. Ports of 0 are no service's, so nothing would answer. */
static inline bool same_endpoint(const struct packet *p, const uint8_t *l4)
{
    const uint8_t *ip = p->bytes + p->ip;

    if (likely(load_raw16(l4) != load_raw16(l4 + 2)) || load_raw16(l4) == 0)
        return false;
    if (p->family == 4)
        return load_raw32(ip + 12) == load_raw32(ip + 16);
    return memcmp(ip + 8, ip + 24, 16) == 0;
}

/* Options may be cut by a snap length, then the payload's offset is the end of what is here. */
static inline enum rill_parse_result tcp_length(const struct packet *p, struct rill_view *view)
{
    uint32_t header = (p->bytes[p->l4 + 12] >> 4) * 4u;

    if (unlikely(header < TCP_HEADER_BYTES))
        return RILL_PARSE_L4_LENGTH;
    if (unlikely(p->l4 + header > p->end))
        return view->flags & RILL_VIEW_FRAGMENT ? RILL_PARSE_SHORT_L4 : RILL_PARSE_L4_LENGTH;
    if (unlikely(p->l4 + header > p->here)) {
        if (!(view->flags & RILL_VIEW_SNAPPED))
            return RILL_PARSE_SHORT_L4;
        header = p->here - p->l4;
    }
    view->tcp_flags = p->bytes[p->l4 + 13];
    view->l4_payload_off = (uint16_t)(p->l4 + header);
    return RILL_PARSE_OK;
}

/* A datagram may be shorter than its packet; only one that is fragmented may be longer. */
static inline enum rill_parse_result udp_length(const struct packet *p, struct rill_view *view)
{
    uint32_t length = load_be16(p->bytes + p->l4 + 4);

    if (unlikely(length < UDP_HEADER_BYTES))
        return RILL_PARSE_L4_LENGTH;
    if (unlikely(p->l4 + length > p->end && !(view->flags & RILL_VIEW_FRAGMENT)))
        return RILL_PARSE_L4_LENGTH;
    view->l4_payload_off = (uint16_t)(p->l4 + UDP_HEADER_BYTES);
    return RILL_PARSE_OK;
}

static inline enum rill_parse_result parse_ports(const struct packet *p, struct rill_view *view)
{
    const uint8_t *l4 = p->bytes + p->l4;
    enum rill_parse_result result;

    if (!l4_fits(p, p->proto == RILL_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES))
        return RILL_PARSE_SHORT_L4;
    result = p->proto == RILL_TCP ? tcp_length(p, view) : udp_length(p, view);
    if (unlikely(result != RILL_PARSE_OK))
        return result;
    if (unlikely(same_endpoint(p, l4)))
        return RILL_PARSE_SAME_ADDRESS;
    set_packet_endpoints(p, load_be16(l4), load_be16(l4 + 2), view);
    return RILL_PARSE_OK;
}

static inline enum rill_parse_result parse_l4(const struct packet *p, struct rill_view *view)
{
    view->l4_off = (uint16_t)p->l4;
    if (likely(p->proto == RILL_TCP || p->proto == RILL_UDP))
        return parse_ports(p, view);
    if (is_icmp(p->family, p->proto))
        return parse_icmp(p, view);
    if (p->family == 6 && p->proto == IP6_NO_NEXT_HEADER)
        view->l4_off = 0;
    set_packet_endpoints(p, 0, 0, view);
    return RILL_PARSE_OK;
}

/* ---- IP ---- */

/* `data` is where the fragment's data begins, `before` how many bytes of header every fragment of
 * the datagram shares, since they count towards its length too. */
static enum rill_parse_result parse_fragment(const struct packet *p, uint32_t data, uint32_t before,
                                             uint32_t data_offset, struct rill_view *view)
{
    uint32_t bytes = p->end - data;

    if (bytes == 0 || before + data_offset + bytes > IP_BYTES_MAX)
        return RILL_PARSE_FRAGMENT;
    view->flags |= RILL_VIEW_FRAGMENT;
    if (data_offset == 0)
        return parse_l4(p, view);
    view->flags |= RILL_VIEW_LATER_FRAGMENT;
    set_packet_endpoints(p, 0, 0, view);
    return RILL_PARSE_OK;
}

/* Cuts what may be read to the IP packet: what follows it is Ethernet padding. */
static inline bool set_end(struct packet *p, uint32_t ip_bytes)
{
    p->end = p->ip + ip_bytes;
    if (unlikely(p->end > p->wire))
        return false;
    if (p->here > p->end)
        p->here = p->end;
    return true;
}

static inline enum rill_parse_result parse_ip4(struct packet *p, struct rill_view *view)
{
    const uint8_t *ip = p->bytes + p->ip;
    uint32_t header, total, fragment;

    if (unlikely(p->here < p->ip + IP4_HEADER_BYTES))
        return RILL_PARSE_SHORT_IP;
    if (unlikely(ip[0] >> 4 != 4))
        return RILL_PARSE_IP_VERSION;
    header = (ip[0] & 15) * 4u;
    if (unlikely(header < IP4_HEADER_BYTES))
        return RILL_PARSE_IP_HEADER_LENGTH;
    if (unlikely(p->here < p->ip + header))
        return RILL_PARSE_SHORT_IP;
    total = load_be16(ip + 2);
    if (unlikely(total < header) || !set_end(p, total))
        return RILL_PARSE_IP_TOTAL_LENGTH;
    p->family = 4;
    p->proto = ip[9];
    p->l4 = p->ip + header;
    fragment = load_be16(ip + 6);
    if (likely((fragment & (IP4_MORE_FRAGMENTS | IP4_FRAGMENT_OFFSET)) == 0))
        return parse_l4(p, view);
    view->fragment_id = load_be16(ip + 4);
    return parse_fragment(p, p->l4, header, (fragment & IP4_FRAGMENT_OFFSET) * 8, view);
}

static enum rill_parse_result parse_ip6_extensions(struct packet *p, struct rill_view *view)
{
    struct ip6_chain chain;
    uint32_t first = p->ip + IP6_HEADER_BYTES;

    if (!ip6_walk(p->bytes, first, p->here, p->proto, &chain))
        return RILL_PARSE_IP6_EXTENSION;
    p->l4 = chain.after;
    p->proto = chain.proto;
    if (chain.routed)
        view->flags |= RILL_VIEW_ROUTED;
    /* A fragment header with neither offset nor more to come is no fragment (RFC 6946). */
    if (chain.fragment_off == 0 || (chain.data_offset == 0 && !chain.more))
        return parse_l4(p, view);
    view->fragment_id = chain.id;
    return parse_fragment(p, chain.fragment_off + 8, chain.fragment_off - first, chain.data_offset,
                          view);
}

static inline enum rill_parse_result parse_ip6(struct packet *p, struct rill_view *view)
{
    const uint8_t *ip = p->bytes + p->ip;

    if (unlikely(p->here < p->ip + IP6_HEADER_BYTES))
        return RILL_PARSE_SHORT_IP;
    if (unlikely(ip[0] >> 4 != 6))
        return RILL_PARSE_IP_VERSION;
    if (!set_end(p, IP6_HEADER_BYTES + load_be16(ip + 4)))
        return RILL_PARSE_IP_TOTAL_LENGTH;
    p->family = 6;
    p->proto = ip[6];
    p->l4 = p->ip + IP6_HEADER_BYTES;
    if (unlikely(ip6_is_extension(p->proto)))
        return parse_ip6_extensions(p, view);
    return parse_l4(p, view);
}

/* ---- Ethernet ---- */

static inline bool is_vlan_tag(uint16_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Sets p->ip to what follows the tags and *type to its EtherType. */
static bool skip_vlan_tags(struct packet *p, uint16_t *type)
{
    for (int tags = 0; is_vlan_tag(*type); tags++) {
        if (tags == VLAN_TAGS_MAX || p->here < p->ip + VLAN_TAG_BYTES)
            return false;
        *type = load_be16(p->bytes + p->ip + 2);
        p->ip += VLAN_TAG_BYTES;
    }
    return true;
}

enum rill_parse_result rill_parse_any(const struct rte_mbuf *m, uint32_t wire_bytes,
                                      struct rill_view *view)
{
    struct packet p = {
        .bytes = rte_pktmbuf_mtod(m, const uint8_t *),
        .here = m->data_len,
        .wire = RTE_MAX(wire_bytes, m->pkt_len),
        .ip = ETHERNET_BYTES,
    };
    uint16_t type;

    if (unlikely(p.here < ETHERNET_BYTES))
        return RILL_PARSE_SHORT_ETHERNET;
    type = load_be16(p.bytes + 12);
    if (unlikely(is_vlan_tag(type)) && !skip_vlan_tags(&p, &type))
        return RILL_PARSE_VLAN_DEPTH;
    view->l2_len = (uint16_t)p.ip;
    view->l4_off = 0;
    view->l4_payload_off = 0;
    view->flags = m->pkt_len < p.wire ? RILL_VIEW_SNAPPED : 0;
    view->tcp_flags = 0;
    view->fragment_id = 0;
    view->quoted_off = 0;
    view->quoted_l4_off = 0;
    if (likely(type == ETHERTYPE_IP4))
        return parse_ip4(&p, view);
    if (type == ETHERTYPE_IP6)
        return parse_ip6(&p, view);
    return RILL_PARSE_NOT_IP;
}

enum rill_parse_result rill_parse(const struct rte_mbuf *m, uint32_t wire_bytes,
                                  struct rill_view *view)
{
    return rill_parse_inline(m, wire_bytes, view);
}
