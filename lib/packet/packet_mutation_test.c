/* Takes well-formed packets of every kind, breaks them at random (from a seed), parses them and
 * rewrites whatever the parser lets through. Must hold: no byte is read outside the packet (the
 * packets are exact heap blocks, a sanitizer sees it), nothing but the endpoint and the checksums
 * that cover it changes, a checksum is as right or as wrong as it was, what was written is parsed
 * back, and rewriting back restores the packet. And the parser's short way says what the long one
 * does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/packet/rewrite_plain.h"
#include "lib/packet/test_packets.h"

enum { ROUNDS_PER_KIND = 4000, FIELDS_MAX = 8 };

typedef int (*rewriter)(struct rte_mbuf *m, struct rill_view *view, const struct rill_endpoint *to);

enum which { SOURCE, DESTINATION, QUOTED_SOURCE, QUOTED_DESTINATION, WHICHES };

static const rewriter rewriters[WHICHES] = {rill_rewrite_source, rill_rewrite_destination,
                                            rill_rewrite_quoted_source,
                                            rill_rewrite_quoted_destination};

/* ---- breaking ---- */

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Makes a packet of one that has ports go to where it came from. */
static void turn_upon_itself(struct test_packet *p)
{
    uint32_t address = p->ip + (p->family == 4 ? 12 : 8), bytes = p->family == 4 ? 4 : 16;

    if (p->l4 == 0 || p->l4 + 4 > p->len)
        return;
    memcpy(p->bytes + address + bytes, p->bytes + address, bytes);
    memcpy(p->bytes + p->l4 + 2, p->bytes + p->l4, 2);
}

static void mutate_once(struct test_packet *p, struct rill_rng *rng)
{
    static const uint16_t edges[] = {0,      1,      7,     8,     19,     20,
                                     21,     28,     40,    60,    0x1fff, 0x2000,
                                     0x2001, 0x8100, 65535, 65528, 1280,   0x4011};
    /* Mostly in the headers. */
    uint32_t within = rill_rng_below(rng, 8) != 0 && p->len > 100 ? 100 : p->len;
    uint32_t at = rill_rng_below(rng, within);

    switch (rill_rng_below(rng, 7)) {
    case 0:
        p->bytes[at] ^= (uint8_t)(1u << rill_rng_below(rng, 8));
        break;
    case 1:
        p->bytes[at] = (uint8_t)rill_rng_u64(rng);
        break;
    case 2:
        if (at + 2 <= p->len)
            put16(p->bytes + at, edges[rill_rng_below(rng, sizeof(edges) / sizeof(edges[0]))]);
        break;
    case 3:
        p->len = 1 + at;
        break;
    case 4:
        test_fill(p, rill_rng_below(rng, 40));
        break;
    case 5:
        turn_upon_itself(p);
        break;
    default: /* an IP length that is nearly right */
        if (p->ip + 6 <= p->len)
            put16(p->bytes + p->ip + (p->family == 4 ? 2 : 4),
                  p->len - p->ip - (p->family == 4 ? 0 : 40) - rill_rng_below(rng, 12) + 2);
        break;
    }
}

/* ---- what may change ---- */

struct field {
    uint32_t off, len;
};

struct allowed {
    struct field fields[FIELDS_MAX];
    int count;
};

static void allow(struct allowed *a, uint32_t off, uint32_t len)
{
    assert_true(a->count < FIELDS_MAX);
    a->fields[a->count++] = (struct field){off, len};
}

static uint32_t l4_checksum_of(uint8_t family, uint8_t proto)
{
    if (proto == RILL_TCP)
        return 16;
    if (proto == RILL_UDP)
        return 6;
    return proto == (family == 4 ? RILL_ICMP : RILL_ICMP6) ? 2 : 0;
}

static void allow_packet(struct allowed *a, uint32_t ip, uint32_t l4, uint32_t end,
                         const struct rill_endpoint *endpoint, bool source)
{
    uint32_t checksum = l4_checksum_of(endpoint->family, endpoint->proto);

    if (endpoint->family == 4) {
        allow(a, ip + (source ? 12 : 16), 4);
        allow(a, ip + 10, 2);
    } else {
        allow(a, ip + (source ? 8 : 24), 16);
    }
    if (l4 == 0 || checksum == 0)
        return;
    allow(a, l4 + (checksum == 2 ? 4 : source ? 0 : 2), 2);
    if (l4 + checksum + 2 <= end)
        allow(a, l4 + checksum, 2);
}

static uint32_t ip_end(const uint8_t *bytes, uint32_t len, const struct rill_view *view)
{
    const uint8_t *ip = bytes + view->l2_len;
    uint32_t end = view->l2_len + (view->source.family == 4 ? (uint32_t)ip[2] << 8 | ip[3]
                                                            : 40u + ((uint32_t)ip[4] << 8 | ip[5]));

    return end < len ? end : len;
}

static struct allowed allowed_of(const uint8_t *bytes, uint32_t len, const struct rill_view *view,
                                 enum which which)
{
    struct allowed a = {.count = 0};

    if (which == SOURCE || which == DESTINATION) {
        allow_packet(&a, view->l2_len, view->l4_off, len, &view->source, which == SOURCE);
    } else {
        allow_packet(&a, view->quoted_off, view->quoted_l4_off, ip_end(bytes, len, view),
                     &view->quoted_source, which == QUOTED_SOURCE);
        allow(&a, view->l4_off + 2u, 2);
    }
    return a;
}

static void assert_only_allowed(const uint8_t *old, const uint8_t *now, uint32_t len,
                                const struct allowed *a)
{
    for (uint32_t i = 0; i < len; i++) {
        bool ok = old[i] == now[i];

        for (int f = 0; f < a->count && !ok; f++)
            ok = i >= a->fields[f].off && i < a->fields[f].off + a->fields[f].len;
        if (!ok)
            fail_msg("byte %u changed from %02x to %02x", i, old[i], now[i]);
    }
}

/* ---- how wrong the checksums are ---- */

struct sums {
    uint16_t ip, l4, quoted_ip, quoted_l4;
};

/* 0 and 0xffff are the same number. */
static uint16_t residue(uint16_t sum)
{
    return sum == 0xffff ? 0 : sum;
}

static uint16_t l4_residue(const uint8_t *bytes, uint32_t ip, uint32_t l4, uint32_t end,
                           const struct rill_endpoint *endpoint, bool routed)
{
    uint32_t checksum = l4_checksum_of(endpoint->family, endpoint->proto);
    uint32_t sum = 0;

    if (l4 == 0 || checksum == 0 || l4 + checksum + 2 > end)
        return 0;
    if (endpoint->proto == RILL_UDP && bytes[l4 + 6] == 0 && bytes[l4 + 7] == 0)
        return 0;
    if (endpoint->family == 6)
        sum = test_sum(bytes + ip + 8, routed ? 16 : 32, 0);
    else if (endpoint->proto != RILL_ICMP)
        sum = test_sum(bytes + ip + 12, 8, 0);
    return residue(test_sum(bytes + l4, end - l4, sum));
}

static struct sums sums_of(const uint8_t *bytes, uint32_t len, const struct rill_view *view)
{
    uint32_t end = ip_end(bytes, len, view);
    struct sums sums = {0};

    if (view->source.family == 4)
        sums.ip = residue(test_sum(bytes + view->l2_len, 20, 0));
    sums.l4 = l4_residue(bytes, view->l2_len, view->l4_off, end, &view->source,
                         view->flags & RILL_VIEW_ROUTED);
    if (!(view->flags & RILL_VIEW_ICMP_ERROR))
        return sums;
    if (view->source.family == 4)
        sums.quoted_ip = residue(test_sum(bytes + view->quoted_off, 20, 0));
    sums.quoted_l4 = l4_residue(bytes, view->quoted_off, view->quoted_l4_off, end,
                                &view->quoted_source, view->flags & RILL_VIEW_QUOTED_ROUTED);
    return sums;
}

/* ---- one packet ---- */

static struct rill_endpoint *endpoint_of(struct rill_view *view, enum which which)
{
    struct rill_endpoint *all[WHICHES] = {&view->source, &view->destination, &view->quoted_source,
                                          &view->quoted_destination};

    return all[which];
}

static struct rill_endpoint another(const struct rill_endpoint *from, struct rill_rng *rng)
{
    struct rill_endpoint to = *from;

    for (int i = 0; i < (from->family == 4 ? 4 : 16); i++)
        to.addr[i] = (uint8_t)rill_rng_u64(rng);
    if (rill_rng_below(rng, 4) == 0) /* so that sums of all ones and all zeros are met */
        memset(to.addr, rill_rng_below(rng, 2) == 0 ? 0 : 0xff, from->family == 4 ? 4 : 16);
    to.port = (uint16_t)rill_rng_u64(rng);
    return to;
}

static void assert_view_is_of(const struct rte_mbuf *m, uint32_t wire, const struct rill_view *view)
{
    struct rill_view anew;

    memset(&anew, 0x77, sizeof(anew));
    assert_int_equal(rill_parse(m, wire, &anew), RILL_PARSE_OK);
    assert_int_equal(anew.l2_len, view->l2_len);
    assert_int_equal(anew.l4_off, view->l4_off);
    assert_int_equal(anew.l4_payload_off, view->l4_payload_off);
    assert_int_equal(anew.flags, view->flags);
    assert_int_equal(anew.tcp_flags, view->tcp_flags);
    assert_int_equal(anew.fragment_id, view->fragment_id);
    assert_memory_equal(&anew.source, &view->source, sizeof(anew.source));
    assert_memory_equal(&anew.destination, &view->destination, sizeof(anew.destination));
    assert_int_equal(anew.quoted_off, view->quoted_off);
    assert_int_equal(anew.quoted_l4_off, view->quoted_l4_off);
    if (!(view->flags & RILL_VIEW_ICMP_ERROR))
        return;
    assert_memory_equal(&anew.quoted_source, &view->quoted_source, sizeof(anew.source));
    assert_memory_equal(&anew.quoted_destination, &view->quoted_destination, sizeof(anew.source));
}

static void assert_same_sums(struct sums a, struct sums b)
{
    assert_int_equal(a.ip, b.ip);
    assert_int_equal(a.l4, b.l4);
    assert_int_equal(a.quoted_ip, b.quoted_ip);
    assert_int_equal(a.quoted_l4, b.quoted_l4);
}

/* A checksum field of 0xffff is another way to write 0: what is left of the difference. */
static void assert_restored(const uint8_t *old, const uint8_t *now, uint32_t len,
                            const struct allowed *a)
{
    uint8_t *copy = malloc(len);

    memcpy(copy, now, len);
    for (int f = 0; f < a->count; f++) {
        uint32_t off = a->fields[f].off;

        if (a->fields[f].len == 2 && memcmp(old + off, "\xff\xff", 2) == 0 &&
            memcmp(copy + off, "\0\0", 2) == 0)
            memset(copy + off, 0xff, 2);
    }
    assert_memory_equal(old, copy, len);
    free(copy);
}

/* The rewriter takes a short way with packets that most are; the long way makes the same bytes.
 * Some of the ports and addresses are such that a checksum does not change, or comes out as zero.
 */
static void assert_same_the_long_way(const struct test_packet *p, uint32_t wire, enum which which,
                                     const struct rill_endpoint *to, struct rill_rng *rng)
{
    struct rte_mbuf *a = test_mbuf(p->bytes, p->len), *b = test_mbuf(p->bytes, p->len);
    struct rill_endpoint end = *to;
    struct rill_view x, y;

    assert_int_equal(rill_parse(a, wire, &x), RILL_PARSE_OK);
    y = x;
    if (rill_rng_below(rng, 4) == 0) { /* as it is, its two halves exchanged */
        const uint8_t *own = endpoint_of(&x, which)->addr;

        memcpy(end.addr, own + 2, 2);
        memcpy(end.addr + 2, own, 2);
        end.port = endpoint_of(&x, which)->port;
    }
    for (int i = 0; i < 4; i++) {
        if (i > 0 && end.port != 0)
            end.port = (uint16_t)rill_rng_below(rng, 65536);
        assert_int_equal(rewriters[which](a, &x, &end),
                         rill_rewrite_any(b, &y, which == SOURCE, &end));
        assert_memory_equal(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *), p->len);
        assert_true(rill_endpoint_equal(endpoint_of(&x, which), endpoint_of(&y, which)));
    }
    test_mbuf_free(a);
    test_mbuf_free(b);
}

/* Rewrites one endpoint there and back. What has no port may refuse one. */
static void there_and_back(const struct test_packet *p, uint32_t wire, enum which which,
                           struct rill_rng *rng)
{
    struct rte_mbuf *m = test_mbuf(p->bytes, p->len);
    uint8_t *bytes = rte_pktmbuf_mtod(m, uint8_t *);
    struct rill_endpoint from, to;
    struct rill_view view;
    struct allowed allowed;
    struct sums sums;

    assert_int_equal(rill_parse(m, wire, &view), RILL_PARSE_OK);
    from = *endpoint_of(&view, which);
    to = another(&from, rng);
    allowed = allowed_of(p->bytes, p->len, &view, which);
    sums = sums_of(bytes, p->len, &view);
    if (view.flags & RILL_VIEW_LATER_FRAGMENT)
        to.port = 0;
    if (which == SOURCE || which == DESTINATION)
        assert_same_the_long_way(p, wire, which, &to, rng);
    if (rewriters[which](m, &view, &to) != 0) {
        assert_memory_equal(bytes, p->bytes, p->len);
        to.port = 0;
        assert_int_equal(rewriters[which](m, &view, &to), 0);
    }
    assert_only_allowed(p->bytes, bytes, p->len, &allowed);
    assert_same_sums(sums, sums_of(bytes, p->len, &view));
    assert_view_is_of(m, wire, &view);
    assert_int_equal(rewriters[which](m, &view, &from), 0);
    assert_restored(p->bytes, bytes, p->len, &allowed);
    test_mbuf_free(m);
}

static bool is_tagged(const struct test_packet *p)
{
    uint16_t type = (uint16_t)(p->bytes[12] << 8 | p->bytes[13]);

    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* The parser takes a short way with packets that most are. A tag makes no difference but that it is
 * not taken. */
static void assert_same_with_a_tag(const struct test_packet *p, uint32_t wire,
                                   enum rill_parse_result result, const struct rill_view *view)
{
    static const uint8_t tag[4] = {0x81, 0x00, 0x00, 0x07};
    struct test_packet tagged = *p;
    struct rill_view other;

    if (p->len < 14 || p->len + sizeof(tag) > sizeof(p->bytes) || is_tagged(p))
        return;
    memcpy(tagged.bytes + 12, tag, sizeof(tag));
    memcpy(tagged.bytes + 16, p->bytes + 12, p->len - 12);
    tagged.len += sizeof(tag);
    assert_int_equal(test_parse(&tagged, wire + sizeof(tag), &other), result);
    if (result != RILL_PARSE_OK)
        return;
    assert_int_equal(other.l2_len, view->l2_len + 4);
    assert_int_equal(other.l4_off, view->l4_off == 0 ? 0 : view->l4_off + 4);
    assert_int_equal(other.l4_payload_off,
                     view->l4_payload_off == 0 ? 0 : view->l4_payload_off + 4);
    assert_int_equal(other.flags, view->flags);
    assert_int_equal(other.tcp_flags, view->tcp_flags);
    assert_int_equal(other.fragment_id, view->fragment_id);
    assert_int_equal(other.quoted_off, view->quoted_off == 0 ? 0 : view->quoted_off + 4);
    assert_true(rill_endpoint_equal(&other.source, &view->source));
    assert_true(rill_endpoint_equal(&other.destination, &view->destination));
}

/* Returns the parser's result. */
static enum rill_parse_result try_packet(const struct test_packet *p, uint32_t wire,
                                         struct rill_rng *rng)
{
    struct rill_view view;
    enum rill_parse_result result = test_parse(p, wire, &view);

    assert_same_with_a_tag(p, wire, result, &view);
    if (result != RILL_PARSE_OK)
        return result;
    assert_true(view.l4_off <= p->len);
    assert_true(view.l4_payload_off <= p->len);
    assert_true(view.l4_payload_off == 0 || view.l4_payload_off >= view.l4_off);
    there_and_back(p, wire, SOURCE, rng);
    there_and_back(p, wire, DESTINATION, rng);
    if (view.flags & RILL_VIEW_ICMP_ERROR) {
        there_and_back(p, wire, QUOTED_SOURCE, rng);
        there_and_back(p, wire, QUOTED_DESTINATION, rng);
    }
    return result;
}

/* ---- tests ---- */

static void test_well_formed_packets(void **state)
{
    struct test_packet p;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int kind = 0; kind < TEST_KINDS; kind++) {
        test_packet_of_kind(kind, &p);
        for (int round = 0; round < 50; round++)
            try_packet(&p, p.len, &rng);
    }
}

static void test_every_truncation(void **state)
{
    struct test_packet p;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 2);
    for (int kind = 0; kind < TEST_KINDS; kind++) {
        uint32_t len;

        test_packet_of_kind(kind, &p);
        for (len = p.len; p.len > 0; p.len--) {
            try_packet(&p, p.len, &rng);
            try_packet(&p, len, &rng); /* as a snap length leaves it */
        }
    }
}

static void test_mutations(void **state)
{
    uint64_t results[RILL_PARSE_RESULTS] = {0};
    struct test_packet p;
    struct rill_rng rng;

    (void)state;
    for (int kind = 0; kind < TEST_KINDS; kind++) {
        for (uint32_t round = 0; round < ROUNDS_PER_KIND; round++) {
            uint32_t mutations, wire;

            rill_rng_seed(&rng, (uint64_t)kind << 32 | round);
            test_packet_of_kind(kind, &p);
            wire = p.len;
            mutations = 1 + rill_rng_below(&rng, 4);
            for (uint32_t i = 0; i < mutations; i++)
                mutate_once(&p, &rng);
            if (wire < p.len || rill_rng_below(&rng, 3) != 0)
                wire = p.len;
            results[try_packet(&p, wire, &rng)]++;
        }
    }
    /* The mutations must reach everything that the parser can say, and not break all they touch. */
    for (int i = 0; i < RILL_PARSE_RESULTS; i++)
        assert_true(results[i] > 20);
    assert_true(results[RILL_PARSE_OK] > TEST_KINDS * ROUNDS_PER_KIND / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed_packets),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
