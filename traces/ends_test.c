/* Both ends of a replay, against small NFs of our own: what is right passes, every fault is seen.
 */
#include "traces/ends.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_ip.h>

#include <rill/nf.h>

#include "lib/packet/rewrite.h"
#include "traces/generate_packet.h"
#include "traces/trace_parse.h"

/* Beside the repository; not everyone has it. */
#define REAL_TRACES "../shared/traces"

/* ---- a capture in memory ---- */

enum { PACKETS_MAX = 16, BYTES_MAX = 65535, SEGMENTS = 4, SEGMENT_BYTES = 20000 };

static uint8_t bytes[PACKETS_MAX][BYTES_MAX];
static struct rill_capture_packet packets[PACKETS_MAX];
static struct rill_capture capture;

static int begin(void **state)
{
    (void)state;
    capture = (struct rill_capture){.packets = packets};
    return 0;
}

/* A packet of n bytes that are already in its place; 1 ms after the one before. */
static uint64_t add(uint32_t n)
{
    uint64_t i = capture.count++;

    packets[i] = (struct rill_capture_packet){
        .time_ns = 1000000 * (i + 1), .data = bytes[i], .bytes = n, .wire_bytes = n};
    return i;
}

static struct rill_build_flow flow_of(uint8_t family, uint8_t proto)
{
    static const uint8_t inside6[16] = {0x20, 1, 0x0d, 0xb8, 0, 1, [15] = 1};
    static const uint8_t outside6[16] = {0x20, 1, 0x0d, 0xb8, 0, 2, [15] = 2};
    struct rill_build_flow f = {.port = {40000, 443}, .family = family, .proto = proto};

    if (family == 6) {
        memcpy(f.addr[RILL_INSIDE], inside6, 16);
        memcpy(f.addr[RILL_OUTSIDE], outside6, 16);
    } else {
        memcpy(f.addr[RILL_INSIDE], "\x0a\x00\x00\x01", 4);
        memcpy(f.addr[RILL_OUTSIDE], "\xc0\x00\x02\x01", 4);
    }
    if (proto == RILL_ICMP || proto == RILL_ICMP6)
        f.port[RILL_OUTSIDE] = f.port[RILL_INSIDE];
    return f;
}

static uint64_t add_packet(const struct rill_build_flow *f, enum rill_side from, uint8_t tcp_flags,
                           uint32_t payload_bytes)
{
    struct rill_build_packet p = {
        .from = from, .tcp_flags = tcp_flags, .payload_bytes = payload_bytes};

    return add(rill_build(f, &p, bytes[capture.count]));
}

static void fix_ip4(uint8_t *ip, uint32_t total)
{
    struct rte_ipv4_hdr *h = (void *)ip;

    h->total_length = rte_cpu_to_be_16((uint16_t)total);
    h->hdr_checksum = 0;
    h->hdr_checksum = rte_ipv4_cksum(h);
}

/* An IPv4 packet that is longer than the generator makes: the payload of `i`, prolonged. */
static void prolong(uint64_t i, uint32_t n)
{
    uint8_t *ip = bytes[i] + 14, *udp = ip + 20;
    uint16_t checksum;

    for (uint32_t k = packets[i].bytes; k < n; k++)
        bytes[i][k] = (uint8_t)(k * 31);
    packets[i].bytes = packets[i].wire_bytes = n;
    fix_ip4(ip, n - 14);
    udp[4] = (uint8_t)((n - 34) >> 8);
    udp[5] = (uint8_t)(n - 34);
    memset(udp + 6, 0, 2);
    checksum = rte_ipv4_udptcp_cksum((void *)ip, udp);
    memcpy(udp + 6, &checksum, 2);
}

/* Cuts packet `i` (UDP over IPv4) into a first fragment of 8 bytes past its UDP header, in its own
 * place, and a second. */
static uint64_t fragment(uint64_t i)
{
    uint64_t later = capture.count;
    uint32_t cut = 14 + 20 + 16;
    uint8_t *first = bytes[i] + 14, *second = bytes[later] + 14;

    memcpy(bytes[later], bytes[i], 34);
    memcpy(bytes[later] + 34, bytes[i] + cut, packets[i].bytes - cut);
    add(packets[i].bytes - 16);
    packets[i].bytes = packets[i].wire_bytes = cut;
    first[4] = second[4] = 0x77;
    first[6] = 0x20;
    first[7] = second[6] = 0;
    second[7] = 2;
    fix_ip4(first, 36);
    fix_ip4(second, packets[later].bytes - 14);
    return later;
}

/* An ICMP error from a router outside, about packet `i` (IPv4), quoting n bytes of it. */
static uint64_t add_error(uint64_t i, uint32_t n)
{
    uint64_t at = capture.count;
    uint8_t *p = bytes[at], *ip = p + 14, *icmp = ip + 20;
    uint16_t checksum;

    memset(p, 0, 14 + 20 + 8);
    p[0] = p[6] = 2;
    p[12] = 8;
    ip[0] = 0x45;
    ip[8] = 60;
    ip[9] = RILL_ICMP;
    memcpy(ip + 12, "\xc6\x33\x64\x09", 4);
    memcpy(ip + 16, bytes[i] + 14 + 12, 4);
    icmp[0] = 3;
    icmp[1] = 1;
    memcpy(icmp + 8, bytes[i] + 14, n);
    fix_ip4(ip, 28 + n);
    checksum = (uint16_t)~rte_raw_cksum(icmp, 8 + n);
    memcpy(icmp + 2, &checksum, 2);
    return add(14 + 28 + n);
}

/* ---- mbufs without a pool ---- */

/* Of the first segment: less than the packets made here have, and for captures what frames have. */
enum { HEAD_BYTES = 512, FRAME_BYTES = 2048 };
static uint32_t head_bytes = HEAD_BYTES;

struct wire {
    struct rte_mbuf segments[SEGMENTS + 1];
    uint8_t data[SEGMENTS + 1][SEGMENT_BYTES];
};
static struct wire wire;

/* The packet on its way: headers in a segment of their own, the rest in as many as it takes. */
static struct rte_mbuf *load(const struct rill_capture_packet *p)
{
    uint32_t off = 0, n = 0;

    memset(wire.segments, 0, sizeof(wire.segments));
    do {
        uint32_t room = n == 0 ? head_bytes : SEGMENT_BYTES;
        uint32_t part = p->bytes - off < room ? p->bytes - off : room;

        memcpy(wire.data[n], p->data + off, part);
        wire.segments[n].buf_addr = wire.data[n];
        wire.segments[n].data_len = (uint16_t)part;
        if (n > 0)
            wire.segments[n - 1].next = &wire.segments[n];
        off += part;
        n++;
    } while (off < p->bytes);
    wire.segments[0].pkt_len = p->bytes;
    wire.segments[0].nb_segs = (uint16_t)n;
    return wire.segments;
}

/* ---- NFs: rewrite by connection, back on the reply ---- */

enum { NF_NONE = 0, NF_NAT = RILL_WRITES_SOURCE, NF_LB = RILL_WRITES_DESTINATION };

struct nf_connection {
    struct rill_endpoint original, mapped; /* the endpoint that the NF hides */
    unsigned direction;                    /* of the packets that it rewrites outward */
    bool known;
};

struct nf {
    uint32_t writes;
    struct rill_trace_parser parser;
    struct rill_key_map map;
    struct nf_connection *list;
    uint64_t room;
};

static void nf_fini(struct nf *nf)
{
    rill_trace_parser_fini(&nf->parser);
    rill_key_map_fini(&nf->map);
    free(nf->list);
    memset(nf, 0, sizeof(*nf));
}

static struct nf_connection *nf_connection(struct nf *nf, const struct rill_flow_key *key)
{
    uint64_t *index = rill_key_map_at(&nf->map, key, nf->map.count);

    assert_non_null(index);
    if (nf->map.count > nf->room) {
        uint64_t room = 2 * nf->map.count;

        nf->list = reallocarray(nf->list, room, sizeof(*nf->list));
        assert_non_null(nf->list);
        memset(nf->list + nf->room, 0, (room - nf->room) * sizeof(*nf->list));
        nf->room = room;
    }
    return &nf->list[*index];
}

/* All public endpoints share an address; the port tells connections apart. */
static struct rill_endpoint public_endpoint(const struct rill_endpoint *original, uint64_t number)
{
    struct rill_endpoint e = *original;

    memset(e.addr, 0, sizeof(e.addr));
    memcpy(e.addr, e.family == 4 ? "\xcb\x00\x71\x09" : "\x20\x01\x0d\xb8\x00\x09\x00\x01",
           e.family == 4 ? 4 : 8);
    if (original->port != 0)
        e.port = (uint16_t)(1024 + number % 60000);
    return e;
}

/* A reply comes to, or from, what the NF made of its connection: the ends must have seen to that.
 */
static void assert_addressed_to_nf(const struct rill_view *v, const struct nf_connection *c,
                                   bool nat)
{
    bool error = v->flags & RILL_VIEW_ICMP_ERROR;
    const struct rill_endpoint *near = error ? &v->quoted_source : &v->destination;
    const struct rill_endpoint *far = error ? &v->quoted_destination : &v->source;
    const struct rill_endpoint *hidden = nat ? near : far;

    assert_memory_equal(hidden->addr, c->mapped.addr, sizeof(hidden->addr));
    if ((v->flags & RILL_VIEW_LATER_FRAGMENT) == 0)
        assert_int_equal(hidden->port, c->mapped.port);
    if (error && nat)
        assert_memory_equal(v->destination.addr, c->mapped.addr, sizeof(hidden->addr));
}

/* `out`: the packet is one that the NF hides an endpoint of; else one that it gives it back to. */
static void nf_rewrite(struct nf *nf, struct rte_mbuf *m, uint32_t wire_bytes,
                       const struct nf_connection *c, bool out)
{
    bool nat = nf->writes == NF_NAT;
    struct rill_endpoint to = out ? c->mapped : c->original;
    struct rill_view v;

    assert_int_equal(rill_parse(m, wire_bytes, &v), RILL_PARSE_OK);
    to.proto = v.source.proto;
    if (!out)
        assert_addressed_to_nf(&v, c, nat);
    if (v.flags & RILL_VIEW_ICMP_ERROR) {
        struct rill_endpoint outer = v.destination;

        if (out) /* about a reply: passes as it is */
            return;
        to.proto = v.quoted_source.proto;
        memcpy(outer.addr, c->original.addr, sizeof(outer.addr));
        if (nat)
            assert_int_equal(rill_rewrite_destination(m, &v, &outer), 0);
        assert_int_equal(
            (nat ? rill_rewrite_quoted_source : rill_rewrite_quoted_destination)(m, &v, &to), 0);
    } else if (nat == out) {
        assert_int_equal(rill_rewrite_source(m, &v, &to), 0);
    } else {
        assert_int_equal(rill_rewrite_destination(m, &v, &to), 0);
    }
}

/* False: dropped, since nothing is known of its connection. */
static bool nf_process(struct nf *nf, uint64_t index, enum rill_side from, struct rte_mbuf *m)
{
    const struct rill_capture_packet *p = &capture.packets[index];
    struct nf_connection *c;
    struct rill_flow_key key;
    struct rill_view v;
    unsigned direction;

    if (nf->writes == NF_NONE || rill_trace_parse(&nf->parser, p, &v) != RILL_PARSE_OK)
        return true;
    direction = rill_trace_connection(&v, &key);
    c = nf_connection(nf, &key);
    if (!c->known) {
        if (from != RILL_INSIDE ||
            (v.flags & (RILL_VIEW_ICMP_ERROR | RILL_VIEW_LATER_FRAGMENT)) != 0)
            return from == RILL_INSIDE;
        c->original = nf->writes == NF_NAT ? v.source : v.destination;
        c->mapped = public_endpoint(&c->original, nf->map.count);
        c->direction = direction;
        c->known = true;
    }
    if ((direction == c->direction) != (from == RILL_INSIDE))
        return false; /* both hosts on one side: not ours */
    nf_rewrite(nf, m, p->wire_bytes, c, from == RILL_INSIDE);
    return true;
}

/* ---- runs ---- */

static struct rill_ends *ends;
static struct nf nf;

static bool nf_turns, nf_does_not_invert;

static void start(uint32_t writes, const char *prefixes)
{
    struct rill_ends_config config = {.capture = &capture,
                                      .inside_prefixes = prefixes,
                                      .writes = writes,
                                      .inverts = !nf_does_not_invert,
                                      .turns = nf_turns,
                                      .handles_errors = true,
                                      .flow_idle_ns = UINT64_C(120000000000)};
    struct rill_error err = {""};

    ends = rill_ends_create(&config, &err);
    if (ends == NULL)
        fail_msg("%s", err.text);
    nf.writes = writes;
}

static void start_turning(void)
{
    nf_turns = true;
    start(NF_NAT, NULL);
    nf_turns = false;
}

/* The run keeps the capture's times. */
static bool released(uint64_t i, enum rill_side side, const struct rte_mbuf *m)
{
    return rill_ends_released(ends, i, side, m, capture.packets[i].time_ns);
}

static void stop(void)
{
    rill_ends_destroy(ends);
    ends = NULL;
    nf_fini(&nf);
}

/* In through the NF, up to its release. */
static struct rte_mbuf *through(uint64_t i, enum rill_side *from)
{
    struct rte_mbuf *m = load(&capture.packets[i]);

    *from = rill_ends_ingress(ends, i, m);
    return nf_process(&nf, i, *from, m) ? m : NULL;
}

static bool pass(uint64_t i)
{
    enum rill_side from;
    struct rte_mbuf *m = through(i, &from);

    assert_non_null(m);
    return released(i, !from, m);
}

static void pass_all(void)
{
    for (uint64_t i = 0; i < capture.count; i++) {
        if (!pass(i))
            fail_msg("packet %llu", (unsigned long long)i + 1);
    }
}

static void assert_counters(uint64_t inside, uint64_t outside, uint64_t rewritten)
{
    const struct rill_ends_counters *c = rill_ends_counters(ends);

    assert_int_equal(c->inside_packets, inside);
    assert_int_equal(c->outside_packets, outside);
    assert_int_equal(c->replies_rewritten, rewritten);
    assert_int_equal(c->replies_unmapped, 0);
    assert_int_equal(c->outward_checked, inside);
    assert_int_equal(c->inverse_checked, outside);
    assert_int_equal(c->outward_mismatches + c->inverse_mismatches, 0);
    assert_int_equal(c->first_mismatch_id, 0);
}

/* ---- what must pass ---- */

static const struct {
    uint8_t family, proto;
} kinds[] = {{4, RILL_TCP}, {4, RILL_UDP}, {4, RILL_ICMP},
             {6, RILL_TCP}, {6, RILL_UDP}, {6, RILL_ICMP6}};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void test_round_trips(void **state)
{
    static const uint32_t nfs[] = {NF_NONE, NF_NAT, NF_LB};

    for (int k = 0; k < KINDS; k++) {
        for (int n = 0; n < 3; n++) {
            struct rill_build_flow f = flow_of(kinds[k].family, kinds[k].proto);

            begin(state);
            add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
            add_packet(&f, RILL_OUTSIDE, RILL_TCP_SYN | RILL_TCP_ACK, 0);
            add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 1201);
            add_packet(&f, RILL_OUTSIDE, RILL_TCP_ACK, 1333);
            start(nfs[n], NULL);
            pass_all();
            assert_counters(2, 2, nfs[n] == NF_NONE ? 0 : 2);
            stop();
        }
    }
}

/* The reply really carries what the connection became outside. */
static void test_reply_is_rewritten(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_UDP);
    struct rill_view v;
    struct rte_mbuf *m;

    (void)state;
    add_packet(&f, RILL_INSIDE, 0, 100);
    add_packet(&f, RILL_OUTSIDE, 0, 100);
    start(NF_NAT, NULL);
    assert_true(pass(0));
    m = load(&packets[1]);
    assert_int_equal(rill_ends_ingress(ends, 1, m), RILL_OUTSIDE);
    assert_int_equal(rill_parse(m, packets[1].wire_bytes, &v), RILL_PARSE_OK);
    assert_memory_equal(v.destination.addr, "\xcb\x00\x71\x09", 4);
    assert_int_equal(v.destination.port, 1025);
    assert_memory_equal(v.source.addr, "\xc0\x00\x02\x01", 4);
    /* Summed with its own checksum, a right UDP packet gives zero, which is written as 0xffff. */
    assert_int_equal(rte_ipv4_udptcp_cksum(rte_pktmbuf_mtod_offset(m, void *, 14),
                                           rte_pktmbuf_mtod_offset(m, void *, 34)),
                     0xffff);
    stop();
    start(NF_LB, NULL);
    assert_true(pass(0));
    m = load(&packets[1]);
    rill_ends_ingress(ends, 1, m);
    assert_int_equal(rill_parse(m, packets[1].wire_bytes, &v), RILL_PARSE_OK);
    assert_memory_equal(v.source.addr, "\xcb\x00\x71\x09", 4);
    assert_memory_equal(v.destination.addr, "\x0a\x00\x00\x01", 4);
    stop();
}

static void test_unmapped_reply_goes_in_as_it_is(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_TCP);
    struct rte_mbuf *m;

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
    add_packet(&f, RILL_OUTSIDE, RILL_TCP_SYN | RILL_TCP_ACK, 0);
    start(NF_NAT, NULL);
    m = load(&packets[1]);
    assert_int_equal(rill_ends_ingress(ends, 1, m), RILL_OUTSIDE);
    assert_memory_equal(rte_pktmbuf_mtod(m, void *), packets[1].data, packets[1].bytes);
    assert_int_equal(rill_ends_counters(ends)->replies_unmapped, 1);
    assert_int_equal(rill_ends_counters(ends)->replies_rewritten, 0);
    stop();
}

static void test_large_packets(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_UDP);

    (void)state;
    add_packet(&f, RILL_INSIDE, 0, 100);
    add_packet(&f, RILL_OUTSIDE, 0, 100);
    prolong(0, 65535);
    prolong(1, 20339);
    start(NF_NAT, NULL);
    pass_all();
    assert_counters(1, 1, 1);
    stop();
}

static void test_fragments(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_UDP);

    (void)state;
    fragment(add_packet(&f, RILL_INSIDE, 0, 900));
    fragment(add_packet(&f, RILL_OUTSIDE, 0, 1000));
    start(NF_NAT, NULL);
    pass_all();
    assert_counters(2, 2, 2);
    stop();
    start(NF_LB, NULL);
    pass_all();
    assert_counters(2, 2, 2);
    stop();
}

static void test_icmp_errors(void **state)
{
    for (int k = 0; k < 3; k++) {
        struct rill_build_flow f = flow_of(4, kinds[k].proto);

        begin(state);
        add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 300);
        add_error(0, 28);  /* what RFC 792 asks for: TCP's checksum is not in it */
        add_error(0, 120); /* RFC 1812 */
        start(NF_NAT, NULL);
        pass_all();
        assert_counters(1, 2, 2);
        stop();
        start(NF_LB, NULL);
        pass_all();
        assert_counters(1, 2, 2);
        stop();
    }
}

/* An error that goes outward is looked at only for length and type. */
static void test_outward_icmp_error(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_UDP);
    struct rte_mbuf *m;

    (void)state;
    add_packet(&f, RILL_INSIDE, 0, 64);
    add_packet(&f, RILL_OUTSIDE, 0, 64);
    add_error(1, 28);
    start(NF_NAT, NULL);
    assert_true(pass(0));
    m = load(&packets[2]);
    assert_int_equal(rill_ends_ingress(ends, 2, m), RILL_INSIDE);
    rte_pktmbuf_mtod(m, uint8_t *)[14 + 12] ^= 1;
    assert_true(released(2, RILL_OUTSIDE, m));
    rte_pktmbuf_mtod(m, uint8_t *)[14 + 20] ^= 1;
    assert_false(released(2, RILL_OUTSIDE, m));
    stop();
}

static void test_not_ip_passes_from_the_inside(void **state)
{
    (void)state;
    memset(bytes[0], 0, 60);
    memcpy(bytes[0] + 12, "\x08\x06", 2);
    add(60);
    add(0);
    memset(bytes[2], 0xff, 30);
    memcpy(bytes[2] + 12, "\x08\x00", 2);
    add(30);
    start(NF_NAT, "10.0.0.0/8");
    pass_all();
    assert_counters(3, 0, 0);
    stop();
}

/* ---- what must be seen ---- */

/* Releases packet `i` with the byte at `off` changed. */
static bool pass_changed(uint64_t i, uint32_t off, uint8_t mask)
{
    enum rill_side from;
    struct rte_mbuf *m = through(i, &from), *s = m;

    assert_non_null(m);
    while (off >= s->data_len) {
        off -= s->data_len;
        s = s->next;
    }
    rte_pktmbuf_mtod(s, uint8_t *)[off] ^= mask;
    return released(i, !from, m);
}

static void test_any_changed_byte_is_seen(void **state)
{
    for (int k = 0; k < KINDS; k++) {
        struct rill_build_flow f = flow_of(kinds[k].family, kinds[k].proto);
        uint64_t seen = 0;

        begin(state);
        add_packet(&f, RILL_INSIDE, 0, 700);
        add_packet(&f, RILL_OUTSIDE, 0, 700);
        start(NF_NAT, NULL);
        assert_true(pass(0));
        for (uint64_t i = 0; i < 2; i++) {
            for (uint32_t off = 0; off < packets[i].bytes; off++) {
                if (pass_changed(i, off, 0x10))
                    fail_msg("kind %d packet %d byte %u", k, (int)i, off);
                seen++;
            }
        }
        assert_int_equal(rill_ends_counters(ends)->outward_mismatches, packets[0].bytes);
        assert_int_equal(rill_ends_counters(ends)->inverse_mismatches, packets[1].bytes);
        assert_int_equal(rill_ends_counters(ends)->first_mismatch_id, 1);
        assert_int_equal(seen, packets[0].bytes + packets[1].bytes);
        stop();
    }
}

static void test_lengths_and_sides_are_seen(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_TCP);
    enum rill_side from;
    struct rte_mbuf *m;

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 1000);
    add_packet(&f, RILL_OUTSIDE, RILL_TCP_ACK, 1000);
    start(NF_NAT, NULL);
    for (uint64_t i = 0; i < 2; i++) {
        m = through(i, &from);
        assert_true(released(i, !from, m));
        assert_false(released(i, from, m)); /* back to where it came from */
        m->next->data_len--;
        m->pkt_len--;
        assert_false(released(i, !from, m));
        m->next->data_len += 2;
        m->pkt_len += 2;
        assert_false(released(i, !from, m));
    }
    stop();
}

/* From one inside host to another, by an NF that turns packets round: as somebody outside would
 * send it, with both ends rewritten. */
static void test_turned_round_is_right_if_the_nf_does(void **state)
{
    const struct rill_ends_counters *n;
    struct rill_build_flow f = flow_of(4, RILL_TCP), g = f;
    struct rte_mbuf *m;
    uint8_t *data;

    (void)state;
    memcpy(g.addr[RILL_INSIDE], "\xcb\x00\x71\x09", 4);
    memcpy(g.addr[RILL_OUTSIDE], "\x0a\x00\x00\x02", 4);
    add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 100);
    add_packet(&g, RILL_INSIDE, RILL_TCP_ACK, 100);
    data = bytes[1];
    for (int i = 0; i < 6; i++) {
        data[i] = bytes[0][6 + i];
        data[6 + i] = bytes[0][i];
    }
    memcpy(data + 18, bytes[0] + 18, 2); /* IPv4's identification */
    fix_ip4(data + 14, packets[1].bytes - 14);
    start(NF_NAT, NULL);
    assert_false(released(0, RILL_INSIDE, load(&packets[1])));
    stop();
    start_turning();
    n = rill_ends_counters(ends);
    assert_true(released(0, RILL_INSIDE, load(&packets[1])));
    assert_int_equal(n->outward_checked, 1);
    for (uint32_t at = 0; at < packets[1].bytes; at++) {
        bool ends_of_it = (at >= 24 && at < 38) || at == 50 || at == 51; /* and checksums */

        m = load(&packets[1]);
        rte_pktmbuf_mtod(m, uint8_t *)[at] ^= 1;
        if (!ends_of_it)
            assert_false(released(0, RILL_INSIDE, m));
    }
    stop();
}

static void test_turned_back_is_seen(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_TCP);

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
    add_packet(&f, RILL_OUTSIDE, RILL_TCP_ACK, 0);
    start(NF_NONE, NULL);
    assert_false(released(0, RILL_INSIDE, load(&packets[0])));
    assert_false(released(1, RILL_OUTSIDE, load(&packets[1])));
    assert_int_equal(rill_ends_counters(ends)->inverse_mismatches, 1);
    assert_int_equal(rill_ends_counters(ends)->outward_mismatches, 1);
    stop();
}

/* Replies that the NF need not take back are counted, not compared. */
static void test_not_compared(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_TCP);
    struct rte_mbuf *m;

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
    add_packet(&f, RILL_OUTSIDE, RILL_TCP_ACK, 0);
    nf_does_not_invert = true;
    start(NF_NONE, NULL);
    nf_does_not_invert = false;
    m = load(&packets[1]);
    rte_pktmbuf_mtod(m, uint8_t *)[40] ^= 1;
    assert_true(released(1, RILL_INSIDE, m));
    assert_int_equal(rill_ends_counters(ends)->inverse_unchecked, 1);
    assert_int_equal(rill_ends_counters(ends)->inverse_checked, 0);
    stop();
    start(NF_NONE, NULL);
    assert_true(released(1, RILL_INSIDE, load(&packets[1])));
    assert_int_equal(rill_ends_counters(ends)->inverse_unchecked, 0);
    stop();
}

/* NFs that write what they did not say. */
static void test_unannounced_writes_are_seen(void **state)
{
    static const uint32_t announced[] = {0, NF_LB, NF_NAT, RILL_WRITES_DSCP};
    static const uint32_t does[] = {NF_NAT, NF_NAT, NF_LB, NF_LB};

    for (int i = 0; i < 4; i++) {
        struct rill_build_flow f = flow_of(4, RILL_TCP);

        begin(state);
        add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 10);
        start(announced[i], NULL);
        nf.writes = does[i];
        assert_false(pass(0));
        stop();
    }
}

static void fix_dscp(struct rte_mbuf *m, uint8_t tos)
{
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);

    ip->type_of_service = tos;
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void test_dscp(void **state)
{
    struct rill_build_flow f4 = flow_of(4, RILL_UDP), f6 = flow_of(6, RILL_UDP);
    struct rte_mbuf *m;
    uint8_t *ip6;

    (void)state;
    add_packet(&f4, RILL_INSIDE, 0, 100);
    add_packet(&f6, RILL_INSIDE, 0, 100);
    start(RILL_WRITES_DSCP, NULL);
    m = load(&packets[0]);
    fix_dscp(m, 46 << 2);
    assert_true(released(0, RILL_OUTSIDE, m));
    fix_dscp(m, 46 << 2 | 1); /* ECN */
    assert_false(released(0, RILL_OUTSIDE, m));
    m = load(&packets[1]);
    ip6 = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);
    ip6[0] |= 0x0b;
    ip6[1] |= 0x80;
    assert_true(released(1, RILL_OUTSIDE, m));
    ip6[1] |= 0x10; /* ECN */
    assert_false(released(1, RILL_OUTSIDE, m));
    ip6[1] ^= 0x11; /* flow label */
    assert_false(released(1, RILL_OUTSIDE, m));
    stop();
    start(NF_NAT, NULL);
    m = load(&packets[0]);
    fix_dscp(m, 46 << 2);
    assert_false(released(0, RILL_OUTSIDE, m));
    stop();
}

/* A wrong checksum stays wrong; repairing it is a fault. */
static void test_wrong_checksums_stay_wrong(void **state)
{
    static const uint32_t offs[] = {14 + 10, 34 + 16}; /* of IP, of TCP */

    for (int i = 0; i < 2; i++) {
        struct rill_build_flow f = flow_of(4, RILL_TCP);
        enum rill_side from;
        struct rte_mbuf *m;

        begin(state);
        add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 10);
        add_packet(&f, RILL_OUTSIDE, RILL_TCP_ACK, 10);
        bytes[0][offs[i]] ^= 0x55;
        bytes[1][offs[i]] ^= 0x55;
        start(NF_NAT, NULL);
        pass_all();
        m = through(0, &from);
        if (i == 0) {
            fix_dscp(m, 0);
        } else {
            struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
            uint16_t checksum;

            memset((uint8_t *)(ip + 1) + 16, 0, 2);
            checksum = rte_ipv4_udptcp_cksum(ip, ip + 1);
            memcpy((uint8_t *)(ip + 1) + 16, &checksum, 2);
        }
        assert_false(released(0, RILL_OUTSIDE, m));
        stop();
    }
}

static void test_udp_without_checksum(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_UDP);
    struct rte_mbuf *m;
    enum rill_side from;

    (void)state;
    add_packet(&f, RILL_INSIDE, 0, 10);
    add_packet(&f, RILL_OUTSIDE, 0, 10);
    memset(bytes[0] + 40, 0, 2);
    memset(bytes[1] + 40, 0, 2);
    start(NF_NAT, NULL);
    pass_all();
    m = through(0, &from);
    rte_pktmbuf_mtod(m, uint8_t *)[40] = 0x12; /* made up */
    assert_false(released(0, RILL_OUTSIDE, m));
    m = through(1, &from);
    memset(rte_pktmbuf_mtod_offset(m, uint8_t *, 40), 0xff, 2); /* the same in ones' complement */
    assert_true(released(1, RILL_INSIDE, m));
    rte_pktmbuf_mtod(m, uint8_t *)[40] = 0x12;
    assert_false(released(1, RILL_INSIDE, m));
    stop();
}

/* Header-only captures: there is nothing to verify, but the bytes that are there count. */
static void test_snapped(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_TCP);

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 1000);
    add_packet(&f, RILL_OUTSIDE, RILL_TCP_ACK, 1000);
    packets[0].bytes = packets[1].bytes = 54;
    start(NF_NAT, NULL);
    pass_all();
    assert_counters(1, 1, 1);
    assert_false(pass_changed(0, 53, 1));
    assert_false(pass_changed(1, 53, 1));
    stop();
}

/* Released with another public port than before. */
static bool pass_with_port(uint64_t i, uint16_t port)
{
    struct rte_mbuf *m = load(&packets[i]);
    struct rill_endpoint to;
    struct rill_view v;

    assert_int_equal(rill_parse(m, packets[i].wire_bytes, &v), RILL_PARSE_OK);
    to = v.source;
    to.port = port;
    assert_int_equal(rill_rewrite_source(m, &v, &to), 0);
    return released(i, RILL_OUTSIDE, m);
}

static void test_mapping_must_stay(void **state)
{
    struct rill_build_flow f = flow_of(4, RILL_TCP);

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
    for (int i = 0; i < 3; i++)
        add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 10);
    add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
    add_packet(&f, RILL_INSIDE, RILL_TCP_ACK, 10);
    packets[5].time_ns += 61000000000;
    start(NF_NAT, NULL);
    assert_true(pass_with_port(0, 1000));
    assert_true(pass_with_port(1, 1000));
    assert_false(pass_with_port(2, 1001));
    assert_int_equal(rill_ends_counters(ends)->mappings_changed, 1);
    assert_true(pass_with_port(3, 1001));
    assert_true(pass_with_port(4, 1002)); /* opened anew */
    assert_true(pass_with_port(5, 1003)); /* long idle */
    assert_int_equal(rill_ends_counters(ends)->mappings_changed, 1);
    assert_int_equal(rill_ends_counters(ends)->outward_mismatches, 0);
    stop();
}

/* ---- sides ---- */

static enum rill_side side_of(uint64_t i)
{
    return rill_ends_ingress(ends, i, load(&packets[i]));
}

static void test_opener_is_inside(void **state)
{
    struct rill_build_flow tcp = flow_of(4, RILL_TCP), echo = flow_of(4, RILL_ICMP);
    struct rill_build_flow udp = flow_of(6, RILL_UDP);

    (void)state;
    add_packet(&tcp, RILL_OUTSIDE, RILL_TCP_SYN | RILL_TCP_ACK, 0); /* the SYN was missed */
    add_packet(&tcp, RILL_INSIDE, RILL_TCP_ACK, 0);
    add_packet(&echo, RILL_OUTSIDE, 0, 0); /* a reply */
    add_packet(&echo, RILL_INSIDE, 0, 0);
    add_packet(&udp, RILL_OUTSIDE, 0, 0);
    add_packet(&udp, RILL_INSIDE, 0, 0);
    start(NF_NONE, NULL);
    assert_int_equal(side_of(0), RILL_OUTSIDE);
    assert_int_equal(side_of(1), RILL_INSIDE);
    assert_int_equal(side_of(2), RILL_OUTSIDE);
    assert_int_equal(side_of(3), RILL_INSIDE);
    assert_int_equal(side_of(4), RILL_INSIDE);
    assert_int_equal(side_of(5), RILL_OUTSIDE);
    stop();
}

static void test_prefixes(void **state)
{
    struct rill_build_flow f4 = flow_of(4, RILL_TCP), f6 = flow_of(6, RILL_UDP);

    (void)state;
    add_packet(&f4, RILL_OUTSIDE, RILL_TCP_SYN, 0); /* opened from the outside */
    add_packet(&f4, RILL_INSIDE, RILL_TCP_ACK, 0);
    add_packet(&f6, RILL_INSIDE, 0, 0);
    add_packet(&f6, RILL_OUTSIDE, 0, 0);
    add_error(1, 28);
    start(NF_NONE, "192.168.0.0/16,10.0.0.0/31,2001:db8:1::/48");
    assert_int_equal(side_of(0), RILL_OUTSIDE);
    assert_int_equal(side_of(1), RILL_INSIDE);
    assert_int_equal(side_of(2), RILL_INSIDE);
    assert_int_equal(side_of(3), RILL_OUTSIDE);
    assert_int_equal(side_of(4), RILL_OUTSIDE);
    stop();
    start(NF_NONE, "10.0.0.2/31,192.0.2.1");
    assert_int_equal(side_of(0), RILL_INSIDE);
    assert_int_equal(side_of(1), RILL_OUTSIDE);
    assert_int_equal(side_of(2), RILL_OUTSIDE);
    stop();
    start(NF_NONE, "0.0.0.0/0,::/0");
    assert_int_equal(side_of(0), RILL_INSIDE);
    assert_int_equal(side_of(3), RILL_INSIDE);
    stop();
}

static void test_bad_prefixes(void **state)
{
    static const char *const bad[] = {"",
                                      "10.0.0.0/33",
                                      "10.0.0/8",
                                      "10.0.0.0/",
                                      "::/129",
                                      "10.0.0.0/8,",
                                      "fred",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/8 ",
                                      "10.0.0.0/8/8",
                                      "10.0.0.0/99999999999"};
    struct rill_build_flow f = flow_of(4, RILL_TCP);

    (void)state;
    add_packet(&f, RILL_INSIDE, RILL_TCP_SYN, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rill_ends_config config = {.capture = &capture, .inside_prefixes = bad[i]};
        struct rill_error err = {""};

        assert_null(rill_ends_create(&config, &err));
        assert_non_null(strstr(err.text, "10.0.0.0/8 or"));
    }
    rill_ends_destroy(NULL);
}

/* ---- whole captures ---- */

static void run_capture(const char *path, uint32_t writes, const char *prefixes)
{
    const struct rill_ends_counters *c;
    struct rill_error err = {""};

    if (rill_capture_read(path, &capture, &err) != 0)
        fail_msg("%s", err.text);
    start(writes, prefixes);
    head_bytes = FRAME_BYTES;
    for (uint64_t i = 0; i < capture.count; i++) {
        enum rill_side from;
        struct rte_mbuf *m = through(i, &from);

        if (m != NULL && !released(i, !from, m))
            fail_msg("%s, writes %u: packet %llu", path, writes, (unsigned long long)i + 1);
    }
    c = rill_ends_counters(ends);
    assert_int_equal(c->inside_packets + c->outside_packets, capture.count);
    assert_true(writes == NF_NONE || c->outside_packets == 0 || prefixes != NULL ||
                c->replies_rewritten > 0);
    head_bytes = HEAD_BYTES;
    stop();
    rill_capture_free(&capture);
}

static void test_bundled_capture(void **state)
{
    (void)state;
    run_capture("traces/bundled.pcap.gz", NF_NONE, NULL);
    run_capture("traces/bundled.pcap.gz", NF_NAT, NULL);
    run_capture("traces/bundled.pcap.gz", NF_LB, "10.0.0.0/8");
}

static void test_real_captures(void **state)
{
    struct dirent *entry;
    char path[512];
    DIR *dir = opendir(REAL_TRACES);
    int n = 0;

    (void)state;
    if (dir == NULL) {
        print_message("SKIPPED: no real captures in " REAL_TRACES "\n");
        skip();
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".pcap") == NULL)
            continue;
        snprintf(path, sizeof(path), REAL_TRACES "/%s", entry->d_name);
        run_capture(path, NF_NONE, NULL);
        run_capture(path, NF_NAT, NULL);
        run_capture(path, NF_LB, NULL);
        run_capture(path, NF_NAT, "10.0.0.0/8");
        n++;
    }
    closedir(dir);
    print_message("%d real captures\n", n);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_round_trips, begin),
        cmocka_unit_test_setup(test_reply_is_rewritten, begin),
        cmocka_unit_test_setup(test_unmapped_reply_goes_in_as_it_is, begin),
        cmocka_unit_test_setup(test_large_packets, begin),
        cmocka_unit_test_setup(test_fragments, begin),
        cmocka_unit_test_setup(test_icmp_errors, begin),
        cmocka_unit_test_setup(test_outward_icmp_error, begin),
        cmocka_unit_test_setup(test_not_ip_passes_from_the_inside, begin),
        cmocka_unit_test_setup(test_any_changed_byte_is_seen, begin),
        cmocka_unit_test_setup(test_lengths_and_sides_are_seen, begin),
        cmocka_unit_test_setup(test_turned_round_is_right_if_the_nf_does, begin),
        cmocka_unit_test_setup(test_turned_back_is_seen, begin),
        cmocka_unit_test_setup(test_not_compared, begin),
        cmocka_unit_test_setup(test_unannounced_writes_are_seen, begin),
        cmocka_unit_test_setup(test_dscp, begin),
        cmocka_unit_test_setup(test_wrong_checksums_stay_wrong, begin),
        cmocka_unit_test_setup(test_udp_without_checksum, begin),
        cmocka_unit_test_setup(test_snapped, begin),
        cmocka_unit_test_setup(test_mapping_must_stay, begin),
        cmocka_unit_test_setup(test_opener_is_inside, begin),
        cmocka_unit_test_setup(test_prefixes, begin),
        cmocka_unit_test_setup(test_bad_prefixes, begin),
        cmocka_unit_test(test_bundled_capture),
        cmocka_unit_test(test_real_captures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
