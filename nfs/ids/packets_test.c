/* Rules of single packets: header fields, ICMP, other protocols, fragments; with and without a
 * content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/test_packets.h"
#include "nfs/nf_testing.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { GRE = 47, DF = 0x4000, MF = 0x2000, SYN = 2, ACK = 16, URG = 32, ECE = 64 };

/* A packet from 10.0.0.1 (2001:db8::1) to 203.0.113.5 (2001:db8::2). */
struct made {
    uint8_t family, proto;
    uint16_t fragment; /* the field of IPv4 */
    uint8_t tos, ttl;
    uint8_t flags;       /* of TCP */
    uint8_t type, code;  /* of ICMP */
    uint16_t identifier; /* of an echo */
    const char *payload; /* NULL: none */
};

static void make(const struct made *m, struct test_packet *p)
{
    bool is_4 = m->family == 4;
    uint32_t bytes = m->payload != NULL ? (uint32_t)strlen(m->payload) : 0;

    memset(p, 0, sizeof(*p));
    test_ethernet(p, is_4 ? 0x0800 : 0x86dd, 0);
    test_ip(p, is_4 ? "10.0.0.1" : "2001:db8::1", is_4 ? "203.0.113.5" : "2001:db8::2", m->proto, 0,
            m->fragment);
    if (is_4)
        p->bytes[15] = m->tos;
    p->bytes[is_4 ? 22 : 21] = m->ttl;
    if ((m->fragment & 0x1fff) != 0)
        test_fill(p, 8);
    else if (m->proto == RILL_TCP)
        test_tcp(p, 40000, 80, m->flags, 0, bytes);
    else if (m->proto == RILL_UDP)
        test_udp(p, 40000, 80, bytes);
    else if (m->proto == RILL_ICMP || m->proto == RILL_ICMP6)
        test_icmp(p, m->type, m->code, m->identifier, bytes);
    else
        test_fill(p, bytes);
    if (bytes > 0)
        memcpy(p->bytes + p->len - bytes, m->payload, bytes);
    test_finish(p);
}

static void send(struct nf_bench *b, struct nf_flow *f, const struct test_packet *p,
                 enum rill_verdict wanted)
{
    struct rill_pkt pkt = {.m = test_mbuf(p->bytes, p->len), .side = RILL_INSIDE};

    assert_int_equal(rill_parse(pkt.m, p->len, &pkt.view), RILL_PARSE_OK);
    assert_int_equal(nf_run(b, f, &pkt), wanted);
    test_mbuf_free(pkt.m);
}

static void open_rules(struct nf_bench *b, const char *rules)
{
    static const char *const settings[] = {"rules=r", NULL};
    struct rill_load_report report;

    nf_open(b, "ids", settings);
    nf_object(b, "rules", rules, &report);
    if (report.skipped > 0)
        fail_msg("left out: %s", report.lines[0]);
    nf_records_clear();
}

/* Does a rule of that header and these options hold on the packet? */
static void judge(const char *header, const char *options, const struct made *made, bool holds)
{
    char rules[400];
    struct test_packet p;
    struct nf_bench b;
    struct nf_flow f;

    snprintf(rules, sizeof(rules), "alert %s any any -> any any (%s sid:1;)\n", header, options);
    open_rules(&b, rules);
    nf_flow_open(&f, &b);
    make(made, &p);
    send(&b, &f, &p, RILL_FORWARD);
    if (nf_record_count() != holds)
        fail_msg("%s %s: %s", header, options, holds ? "does not hold" : "holds");
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), holds); /* told once */
    nf_flow_close(&f);
    nf_close(&b);
}

static const struct made ping = {.family = 4,
                                 .proto = RILL_ICMP,
                                 .tos = 4,
                                 .ttl = 63,
                                 .type = 8,
                                 .identifier = 77,
                                 .payload = "abcdefgh"};
static const struct made ping6 = {.family = 6, .proto = RILL_ICMP6, .ttl = 63, .type = 128};
static const struct made closed = {.family = 4, .proto = RILL_ICMP, .ttl = 1, .type = 3, .code = 3};
static const struct made syn = {
    .family = 4, .proto = RILL_TCP, .fragment = DF, .ttl = 64, .flags = SYN | ECE};
static const struct made datagram = {.family = 4, .proto = RILL_UDP, .payload = "secret"};
static const struct made empty = {.family = 4, .proto = RILL_UDP};
static const struct made tunnel = {.family = 4, .proto = GRE, .payload = "secret"};
static const struct made later = {.family = 4, .proto = RILL_UDP, .fragment = 100, .ttl = 9};
static const struct made later_tcp = {.family = 4, .proto = RILL_TCP, .fragment = MF | 3, .ttl = 9};

struct row {
    const char *header, *options;
    const struct made *packet;
    bool holds;
};

static void judge_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        judge(rows[i].header, rows[i].options, rows[i].packet, rows[i].holds);
}

static void test_icmp_rules(void **unused)
{
    static const struct row rows[] = {
        {"icmp", "itype:8;", &ping, true},
        {"icmp", "itype:8; icode:0;", &ping, true},
        {"icmp", "itype:8; icode:>0;", &ping, false},
        {"icmp", "itype:<8;", &ping, false},
        {"icmp", "itype:<=8;", &ping, true},
        {"icmp", "itype:!8;", &closed, true},
        {"icmp", "itype:3; icode:3;", &closed, true},
        {"icmp", "itype:128;", &ping6, true},
        {"icmp", "itype:8;", &ping6, false},
        {"icmp", "icmp_id:77; icmp_seq:0;", &ping, true},
        {"icmp", "icmp_id:78;", &ping, false},
        {"icmp", "icmp_id:0;", &closed, false}, /* it has none */
        {"icmp", "icmp_id:!5;", &closed, false},
        {"icmp", "dsize:8;", &ping, true},
        {"icmp", "dsize:>8;", &ping, false},
        {"icmp", "dsize:0;", &ping6, true},
        {"icmp", "content:\"cde\";", &ping, true},
        {"icmp", "content:\"cde\"; depth:5; itype:8;", &ping, true},
        {"icmp", "content:\"cde\"; depth:4; itype:8;", &ping, false},
        {"icmp", "content:\"cde\"; itype:0;", &ping, false},
        {"icmp", "content:!\"cde\"; itype:8;", &ping, false},
        {"icmp", "content:!\"xyz\"; itype:8;", &ping, true},
        {"icmp", "isdataat:7;", &ping, true},
        {"icmp", "isdataat:8;", &ping, false},
        {"icmp", "byte_test:1,=,0x62,1;", &ping, true},
        {"tcp", "dsize:8;", &ping, false},
        {"udp", "content:\"cde\";", &ping, false},
        {"ip", "content:\"cde\";", &ping, true},
        {"ip", "itype:8;", &ping, true},
        {"ip", "itype:8;", &syn, false},
    };

    (void)unused;
    judge_all(rows, N_OF(rows));
}

static void test_ip_rules(void **unused)
{
    static const struct row rows[] = {
        {"ip", "ttl:63;", &ping, true},
        {"ip", "ttl:<63;", &ping, false},
        {"ip", "ttl:60-63;", &ping, true},
        {"ip", "ttl:-62;", &ping, false},
        {"ip", "ttl:63-;", &ping6, true},
        {"icmp", "ttl:1;", &closed, true},
        {"ip", "tos:4;", &ping, true},
        {"ip", "tos:!4;", &ping, false},
        {"ip", "id:0;", &ping6, false}, /* IPv4's alone */
        {"ip", "ip_proto:1;", &ping, true},
        {"ip", "ip_proto:!ICMP;", &ping, false},
        {"ip", "ip_proto:gre;", &tunnel, true},
        {"ip", "ip_proto:>46;", &tunnel, true},
        {"ip", "ip_proto:47; content:\"secret\"; depth:6;", &tunnel, true},
        {"ip", "dsize:6;", &tunnel, true},
        {"icmp", "dsize:6;", &tunnel, false},
        {"ip", "content:\"secret\";", &datagram, true},
        {"ip", "ip_proto:17; dsize:6;", &datagram, true},
        {"ip", "fragbits:D;", &syn, true},
        {"ip", "fragbits:MD;", &syn, false},
        {"ip", "fragbits:MD*;", &syn, true},
        {"ip", "fragbits:+D;", &syn, true},
        {"ip", "fragbits:!D;", &syn, false},
        {"ip", "fragbits:!MR;", &syn, true},
        {"ip", "fragbits:D;", &ping6, false},
        {"ip", "ttl:9;", &later, true},
        {"ip", "ttl:9; dsize:0;", &later, false}, /* what it carries is not judged */
        {"ip", "ttl:9; content:!\"x\";", &later, false},
        {"udp", "ttl:9;", &later, false}, /* it has no such header */
        {"ip", "ttl:9; fragbits:M;", &later_tcp, true},
        {"tcp", "ttl:9;", &later_tcp, false},
        {"ip", "flags:0;", &later_tcp, false},
    };

    (void)unused;
    judge_all(rows, N_OF(rows));
}

static void test_tcp_and_udp(void **unused)
{
    static const struct row rows[] = {
        {"tcp", "flags:S;", &syn, false}, /* ECE is set, too */
        {"tcp", "flags:SE;", &syn, true},
        {"tcp", "flags:S2;", &syn, true},
        {"tcp", "flags:S,12;", &syn, true},
        {"tcp", "flags:S,CE;", &syn, true},
        {"tcp", "flags:S+;", &syn, true},
        {"tcp", "flags:+SA;", &syn, false},
        {"tcp", "flags:*SA;", &syn, true},
        {"tcp", "flags:!SA;", &syn, false},
        {"tcp", "flags:!FA;", &syn, true},
        {"tcp", "flags:0,SE;", &syn, true},
        {"tcp", "flags:0;", &syn, false},
        {"tcp", "flags:S+; seq:0;", &syn, true},
        {"tcp", "flags:S+; seq:1;", &syn, false},
        {"tcp", "flags:S+; ack:!5; window:!1;", &syn, true},
        {"tcp", "flags:S+; window:>65534;", &syn, false},
        {"tcp", "flags:S+; flow:to_server,not_established;", &syn, true},
        {"tcp", "flags:S+; flow:to_client;", &syn, false},
        {"tcp", "flow:to_server;", &syn, true},
        {"tcp", "dsize:0;", &syn, true},
        {"tcp", "dsize:>0;", &syn, false},
        {"ip", "flags:S+;", &syn, true},
        {"tcp", "ttl:64; content:\"x\";", &syn, false},
        {"udp", "dsize:6;", &datagram, true},
        {"udp", "dsize:0;", &empty, true},
        {"udp", "dsize:>0;", &empty, false},
        {"udp", "isdataat:0;", &empty, false},
        {"udp", "content:!\"x\";", &datagram, true},
        {"udp", "content:!\"s\";", &datagram, false},
        {"udp", "flow:to_client;", &datagram, false},
        {"udp", "ttl:0; content:\"secret\";", &datagram, true},
        {"udp", "ttl:1; content:\"secret\";", &datagram, false},
    };

    (void)unused;
    judge_all(rows, N_OF(rows));
}

/* Port unreachable, about a datagram of the flow: told with the flow, by its own addresses. */
static void test_error(void **unused)
{
    struct test_packet p = {.len = 0}, quoted;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_rules(&b,
               "alert icmp any any -> 10.0.0.1 any (itype:3; icode:3; content:\"secret\"; sid:1;)\n"
               "alert udp any any -> any any (content:\"nothing\"; sid:2;)\n"
               "alert icmp any any -> any any (itype:3; sid:3;)\n");
    nf_flow_open(&f, &b);
    make(&datagram, &quoted);
    send(&b, &f, &quoted, RILL_FORWARD);
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "192.0.2.9", "10.0.0.1", RILL_ICMP, 0, 0);
    test_icmp(&p, 3, 3, 0, 0);
    test_quote(&p, &quoted, 20 + 8 + 6);
    test_finish(&p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), 2);
    assert_non_null(strstr(nf_records(), "\"192.0.2.9\""));
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), 2);
    nf_flow_close(&f);
    nf_close(&b);
}

/* Of what has no connection the packet alone is dropped; of TCP, all that comes after it. */
static void test_drop(void **unused)
{
    struct made ack = syn;
    struct test_packet p;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_rules(&b, "drop icmp any any -> any any (itype:8; dsize:>5; sid:1;)\n"
                   "drop tcp any any -> any any (flags:SE; sid:2;)\n");
    nf_flow_open(&f, &b);
    make(&ping, &p);
    send(&b, &f, &p, RILL_DROP);
    send(&b, &f, &p, RILL_DROP);
    make(&closed, &p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), 1);
    nf_flow_close(&f);
    nf_flow_open(&f, &b);
    make(&syn, &p);
    send(&b, &f, &p, RILL_DROP);
    ack.flags = ACK;
    make(&ack, &p);
    send(&b, &f, &p, RILL_DROP);
    assert_int_equal(nf_count(&b, "dropped_by_rule"), 3);
    assert_int_equal(nf_count(&b, "dropped_after_rule"), 1);
    nf_flow_close(&f);
    nf_close(&b);
}

/* Rules of streams and of packets side by side: neither takes from the other. */
static void test_both(void **unused)
{
    struct made data = syn;
    struct test_packet p;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_rules(&b, "alert tcp any any -> any 80 (content:\"xyz\"; sid:1;)\n"
                   "alert tcp any any -> any 80 (flags:U+; content:\"xyz\"; sid:2;)\n"
                   "alert tcp any any -> any 80 (flags:U+; sid:3;)\n");
    nf_flow_open(&f, &b);
    data.flags = ACK;
    data.payload = "xyz";
    make(&data, &p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), 1);
    data.flags = ACK | URG;
    data.payload = "abcd";
    make(&data, &p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), 2);
    assert_null(strstr(nf_records(), "\"signature_id\": 2,"));
    data.payload = "_xyz";
    make(&data, &p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_record_count(), 3);
    nf_flow_close(&f);
    nf_close(&b);
}

/* Without rules of its kind a packet leaves no trace in the state. */
static void test_no_rules_of_the_kind(void **unused)
{
    struct test_packet p;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_rules(&b, "alert tcp any any -> any 80 (content:\"xyz\"; sid:1;)\n");
    nf_flow_open(&f, &b);
    make(&ping, &p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_true(f.dirty_low >= f.dirty_high);
    make(&later, &p);
    send(&b, &f, &p, RILL_FORWARD);
    assert_int_equal(nf_count(&b, "fragments"), 1);
    assert_int_equal(nf_record_count(), 0);
    nf_flow_close(&f);
    nf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_icmp_rules),
        cmocka_unit_test(test_ip_rules),
        cmocka_unit_test(test_tcp_and_udp),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_no_rules_of_the_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
