#include "traces/ends_check.h"

#include <string.h>

#include <rte_ip.h>

#include <rill/nf.h>

/* ---- places where a difference is allowed ---- */

enum { PLACES_MAX = 16, CHECKSUM_BYTES = 2, TCP_CHECKSUM_OFF = 16, UDP_CHECKSUM_OFF = 6 };
enum { ICMP_CHECKSUM_OFF = 2, IP4_CHECKSUM_OFF = 10, ADDRESS_BYTES = 6 /* of Ethernet */ };

struct place {
    uint32_t off, bytes;
    uint8_t keep; /* bits that must be equal nonetheless */
    bool checksum;
};

/* In ascending order, none overlapping. */
struct places {
    struct place at[PLACES_MAX];
    uint32_t n;
    uint32_t end; /* of the packet: what lies past it is left out */
};

static void add_place(struct places *places, struct place place)
{
    if (place.off + place.bytes <= places->end)
        places->at[places->n++] = place;
}

static void add_any(struct places *places, uint32_t off, uint32_t bytes)
{
    add_place(places, (struct place){.off = off, .bytes = bytes});
}

static void add_checksum(struct places *places, uint32_t off)
{
    add_place(places, (struct place){.off = off, .bytes = CHECKSUM_BYTES, .checksum = true});
}

/* Where in the L4 header the checksum is; 0: that protocol has none that we know. */
static uint32_t l4_checksum_off(uint8_t family, uint8_t proto)
{
    if (proto == RILL_TCP)
        return TCP_CHECKSUM_OFF;
    if (proto == RILL_UDP)
        return UDP_CHECKSUM_OFF;
    return proto == (family == 4 ? RILL_ICMP : RILL_ICMP6) ? ICMP_CHECKSUM_OFF : 0;
}

/* The checksums of the packet, and those in what it quotes. */
static void add_checksums(struct places *places, const struct rill_view *v)
{
    uint8_t family = v->source.family;
    uint32_t off = l4_checksum_off(family, v->source.proto);

    if (family == 4)
        add_checksum(places, v->l2_len + IP4_CHECKSUM_OFF);
    if (v->l4_off != 0 && off != 0)
        add_checksum(places, v->l4_off + off);
    if ((v->flags & RILL_VIEW_ICMP_ERROR) == 0)
        return;
    if (family == 4)
        add_checksum(places, v->quoted_off + IP4_CHECKSUM_OFF);
    off = l4_checksum_off(family, v->quoted_source.proto);
    if (v->quoted_l4_off != 0 && off != 0)
        add_checksum(places, v->quoted_l4_off + off);
}

static void add_dscp(struct places *places, const struct rill_view *v)
{
    if (v->source.family == 4) {
        add_place(places, (struct place){.off = v->l2_len + 1u, .bytes = 1, .keep = 0x03});
    } else {
        add_place(places, (struct place){.off = v->l2_len, .bytes = 1, .keep = 0xf0});
        add_place(places, (struct place){.off = v->l2_len + 1u, .bytes = 1, .keep = 0x3f});
    }
}

static void add_addresses(struct places *places, const struct rill_view *v, uint32_t writes)
{
    uint32_t off = v->source.family == 4 ? 12 : 8, bytes = v->source.family == 4 ? 4 : 16;

    if (writes & RILL_WRITES_SOURCE)
        add_any(places, v->l2_len + off, bytes);
    if (writes & RILL_WRITES_DESTINATION)
        add_any(places, v->l2_len + off + bytes, bytes);
}

static void add_l4(struct places *places, const struct rill_view *v, uint32_t writes)
{
    uint32_t checksum = l4_checksum_off(v->source.family, v->source.proto);

    if (v->l4_off == 0 || checksum == 0)
        return;
    if (v->flags & RILL_VIEW_ICMP_ECHO) {
        add_any(places, v->l4_off + checksum, CHECKSUM_BYTES);
        add_any(places, v->l4_off + 4u, 2);
        return;
    }
    if (checksum != ICMP_CHECKSUM_OFF) {
        if (writes & RILL_WRITES_SOURCE)
            add_any(places, v->l4_off, 2);
        if (writes & RILL_WRITES_DESTINATION)
            add_any(places, v->l4_off + 2u, 2);
    }
    add_any(places, v->l4_off + checksum, CHECKSUM_BYTES);
}

static void add_writes(struct places *places, const struct rill_view *v, uint32_t writes)
{
    if (writes & RILL_WRITES_DSCP)
        add_dscp(places, v);
    if (writes != 0 && v->source.family == 4)
        add_any(places, v->l2_len + IP4_CHECKSUM_OFF, CHECKSUM_BYTES);
    if (writes & (RILL_WRITES_SOURCE | RILL_WRITES_DESTINATION)) {
        add_addresses(places, v, writes);
        add_l4(places, v, writes);
    }
}

/* ---- comparison ---- */

static bool same_bytes(const struct rte_mbuf *m, uint32_t off, const uint8_t *data, uint32_t bytes)
{
    while (bytes > 0) {
        uint32_t n;

        while (m != NULL && off >= m->data_len) {
            off -= m->data_len;
            m = m->next;
        }
        if (m == NULL)
            return false;
        n = RTE_MIN(bytes, m->data_len - off);
        if (memcmp(rte_pktmbuf_mtod_offset(m, const uint8_t *, off), data, n) != 0)
            return false;
        data += n;
        bytes -= n;
        off += n;
    }
    return true;
}

static bool same_checksum(const uint8_t *a, const uint8_t *b)
{
    static const uint8_t zero[2], ones[2] = {0xff, 0xff};
    bool a_void = memcmp(a, zero, 2) == 0 || memcmp(a, ones, 2) == 0;
    bool b_void = memcmp(b, zero, 2) == 0 || memcmp(b, ones, 2) == 0;

    return (a_void && b_void) || memcmp(a, b, 2) == 0;
}

static bool same_place(const struct rte_mbuf *m, const uint8_t *data, const struct place *place)
{
    uint8_t buf[CHECKSUM_BYTES];
    const uint8_t *bytes;

    if (!place->checksum && place->keep == 0)
        return true;
    bytes = rte_pktmbuf_read(m, place->off, place->bytes, buf);
    if (bytes == NULL)
        return false;
    if (place->checksum)
        return same_checksum(bytes, data + place->off);
    return ((*bytes ^ data[place->off]) & place->keep) == 0;
}

static bool same_but_for(const struct places *places, const struct rill_capture_packet *p,
                         const struct rte_mbuf *m)
{
    uint32_t off = 0;

    if (rte_pktmbuf_pkt_len(m) != p->bytes)
        return false;
    for (uint32_t i = 0; i < places->n; i++) {
        const struct place *place = &places->at[i];

        if (!same_bytes(m, off, p->data + off, place->off - off) || !same_place(m, p->data, place))
            return false;
        off = place->off + place->bytes;
    }
    return same_bytes(m, off, p->data + off, p->bytes - off);
}

bool rill_ends_check_inverse(const struct ends_original *original, const struct rte_mbuf *m)
{
    struct places places = {.end = original->packet->bytes};

    if (original->view != NULL)
        add_checksums(&places, original->view);
    return same_but_for(&places, original->packet, m);
}

/* ---- checksums ---- */

enum checksum { CHECKSUM_NONE, CHECKSUM_RIGHT, CHECKSUM_WRONG };

static uint16_t read16(const struct rte_mbuf *m, uint32_t off)
{
    uint8_t buf[2];
    const uint8_t *p = rte_pktmbuf_read(m, off, sizeof(buf), buf);

    return p == NULL ? 0 : (uint16_t)(p[0] << 8 | p[1]);
}

/* Of bytes that hold their own checksum, so that a right one makes 0xffff. `sum` is what else it
 * covers. */
static enum checksum judge(const struct rte_mbuf *m, uint32_t off, uint32_t bytes, uint32_t sum)
{
    uint16_t part;

    if (bytes == 0 || rte_raw_cksum_mbuf(m, off, bytes, &part) != 0)
        return CHECKSUM_NONE;
    sum += part;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff ? CHECKSUM_RIGHT : CHECKSUM_WRONG;
}

static enum checksum ip_checksum(const struct rte_mbuf *m, const struct rill_view *v)
{
    if (v->source.family != 4)
        return CHECKSUM_NONE;
    return judge(m, v->l2_len, (read16(m, v->l2_len) >> 8 & 15) * 4u, 0);
}

static uint32_t pseudo_header_sum(const struct rte_mbuf *m, const struct rill_view *v,
                                  uint32_t bytes)
{
    uint32_t off = v->l2_len + (v->source.family == 4 ? 12u : 8u);
    uint32_t addresses = v->source.family == 4 ? 8 : 32;
    uint8_t buf[32], tail[4] = {(uint8_t)(bytes >> 8), (uint8_t)bytes, 0, v->source.proto};
    const uint8_t *p = rte_pktmbuf_read(m, off, addresses, buf);

    return p == NULL ? 0 : (uint32_t)rte_raw_cksum(p, addresses) + rte_raw_cksum(tail, 4);
}

/* Only of a packet that is all here: not snapped, not a fragment. One that a routing header sends
 * on has another destination in its pseudo header: left out as well. */
static enum checksum l4_checksum(const struct rte_mbuf *m, const struct rill_view *v)
{
    const uint32_t partial = RILL_VIEW_SNAPPED | RILL_VIEW_FRAGMENT | RILL_VIEW_ROUTED;
    bool ip4 = v->source.family == 4;
    uint32_t off = l4_checksum_off(v->source.family, v->source.proto), end, bytes;

    if ((v->flags & partial) != 0 || v->l4_off == 0 || off == 0)
        return CHECKSUM_NONE;
    end = ip4 ? v->l2_len + (uint32_t)read16(m, v->l2_len + 2u)
              : v->l2_len + 40u + read16(m, v->l2_len + 4u);
    bytes = end - v->l4_off;
    if (v->source.proto == RILL_UDP) {
        if (read16(m, v->l4_off + off) == 0)
            return CHECKSUM_NONE;
        bytes = RTE_MIN(bytes, read16(m, v->l4_off + 4u));
    }
    if (ip4 && v->source.proto == RILL_ICMP)
        return judge(m, v->l4_off, bytes, 0);
    return judge(m, v->l4_off, bytes, pseudo_header_sum(m, v, bytes));
}

/* The layouts are the same (checked before), so one view serves both. */
static bool same_checksums(const struct ends_original *original, const struct rte_mbuf *m)
{
    const struct rill_capture_packet *p = original->packet;
    struct rte_mbuf before = {.buf_addr = (void *)(uintptr_t)p->data,
                              .data_len = (uint16_t)p->bytes,
                              .pkt_len = p->bytes,
                              .nb_segs = 1};

    return ip_checksum(&before, original->view) == ip_checksum(m, original->view) &&
           l4_checksum(&before, original->view) == l4_checksum(m, original->view);
}

/* `places` has what may differ already. */
static bool same_but_for_writes(struct places *places, const struct ends_original *original,
                                const struct rte_mbuf *m, uint32_t writes)
{
    const struct rill_capture_packet *p = original->packet;
    const struct rill_view *v = original->view;

    if (v != NULL && (v->flags & RILL_VIEW_ICMP_ERROR) != 0 &&
        (writes & (RILL_WRITES_SOURCE | RILL_WRITES_DESTINATION)) != 0)
        return rte_pktmbuf_pkt_len(m) == p->bytes &&
               same_bytes(m, v->l4_off, p->data + v->l4_off, 1);
    if (v != NULL)
        add_writes(places, v, writes);
    return same_but_for(places, p, m) && (v == NULL || same_checksums(original, m));
}

bool rill_ends_check_outward(const struct ends_original *original, const struct rte_mbuf *m,
                             uint32_t writes)
{
    struct places places = {.end = original->packet->bytes};

    return same_but_for_writes(&places, original, m, writes);
}

bool rill_ends_check_turned(const struct ends_original *original, const struct rte_mbuf *m,
                            uint32_t writes)
{
    const uint8_t *data = original->packet->data;
    struct places places = {.end = original->packet->bytes};

    if (original->view == NULL)
        return false; /* no NF has seen it */
    add_any(&places, 0, 2 * ADDRESS_BYTES);
    return same_bytes(m, 0, data + ADDRESS_BYTES, ADDRESS_BYTES) &&
           same_bytes(m, ADDRESS_BYTES, data, ADDRESS_BYTES) &&
           same_but_for_writes(&places, original, m,
                               writes | RILL_WRITES_SOURCE | RILL_WRITES_DESTINATION);
}
