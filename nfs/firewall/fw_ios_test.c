/* Access lists in the syntax of Cisco's IOS: what they let in, and what is left out of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/frame/frame.h"
#include "lib/packet/test_packets.h"
#include "nf-runtime/nf_host.h"
#include "nfs/nf_testing.h"

#define WEB "tcp 10.0.0.1 4000 > 203.0.113.5 80"
#define DNS "udp 10.0.0.1 4000 > 203.0.113.5 53"
#define PING "icmp 10.0.0.1 5 > 203.0.113.5 5"
#define WEB6 "tcp 2001:db8::1 4000 > 2001:db8::2 80"
#define E(text) "access-list 101 " text "\n"
#define ALL E("permit ip any any")

static const char *const ios[] = {"rules=r.txt", "format=ios", NULL};

static void open_ios(struct nf_bench *b, const char *rules, struct rill_load_report *report)
{
    nf_open(b, "firewall", ios);
    nf_object(b, "rules", rules, report);
}

/* One packet of a connection of its own. */
static void judge(struct nf_bench *b, enum rill_side side, const char *packet, bool passes)
{
    struct nf_flow f;

    nf_flow_open(&f, b);
    nf_send(b, &f, side, packet, passes ? packet : NULL);
    nf_flow_close(&f);
}

/* --- entries ---------------------------------------------------------------------------------- */

struct row {
    const char *rules, *packet;
    bool passes;
};

static void judge_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct nf_bench b;

        open_ios(&b, rows[i].rules, NULL);
        judge(&b, RILL_INSIDE, rows[i].packet, rows[i].passes);
        judge(&b, RILL_OUTSIDE, rows[i].packet, rows[i].passes); /* a list is for both sides */
        nf_close(&b);
    }
}

static void test_protocols_and_ends(void **unused)
{
    static const struct row rows[] = {
        {ALL, WEB, true},
        {E("permit tcp any any"), WEB, true},
        {E("permit tcp any any"), DNS, false}, /* a list ends with a deny */
        {E("permit udp any any"), DNS, true},
        {E("PERMIT UDP ANY ANY"), DNS, true},
        {E("permit 17 any any"), DNS, true},
        {E("permit icmp any any"), PING, true},
        {E("permit 1 any any"), PING, true},
        {E("deny igmp any any") ALL, PING, true},
        {E("deny tcp any any") ALL, WEB, false},
        {E("permit ip host 10.0.0.1 any"), WEB, true},
        {E("permit ip host 10.0.0.2 any"), WEB, false},
        {E("permit ip any host 203.0.113.5"), WEB, true},
        {E("permit ip any host 10.0.0.1"), WEB, false},
        {E("permit ip 10.0.0.0 0.0.0.255 any"), WEB, true},
        {E("permit ip 10.0.1.0 0.0.0.255 any"), WEB, false},
        {E("permit ip 10.0.0.9 0.0.0.255 any"), WEB, true}, /* bits under the wildcard */
        {E("permit ip 10.0.0.1 0.0.0.0 any"), WEB, true},
        {E("permit ip 0.0.0.0 255.255.255.255 any"), WEB, true},
        {E("permit ip any 203.0.0.5 0.0.255.0"), WEB, true}, /* wildcards with holes */
        {E("permit ip any 203.0.0.6 0.0.255.0"), WEB, false},
        {E("permit ip any 203.0.113.4 0.0.0.129"), WEB, true},
        {E("permit ip any 203.0.113.132 0.0.0.129"), WEB, true},
        {E("permit ip any 203.0.113.4 0.0.0.130"), WEB, false},
        {E("permit ip 0.0.0.1 255.255.255.0 any"), WEB, true},
        {E("permit ip 0.0.0.0 254.255.255.255 any"), WEB, true},
        {E("permit ip 1.0.0.0 254.255.255.255 any"), WEB, false},
        {"\taccess-list 101  permit\tip any any \r\n", WEB, true},
        {E("permit ip any any log"), WEB, true},
        {E("permit tcp any any eq www log-input"), WEB, true},
    };

    (void)unused;
    judge_all(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_ports(void **unused)
{
    static const struct row rows[] = {
        {E("permit tcp any any eq 80"), WEB, true},
        {E("permit tcp any any eq www"), WEB, true},
        {E("permit tcp any any eq 81"), WEB, false},
        {E("permit tcp any eq 80 any"), WEB, false},
        {E("permit tcp any eq 4000 any eq 80"), WEB, true},
        {E("permit tcp any eq 4001 any eq 80"), WEB, false},
        {E("permit tcp any any eq 443 80 smtp"), WEB, true},
        {E("permit tcp any any eq 443 8080 smtp"), WEB, false},
        {E("permit tcp any eq 1 2 3 4 5 6 7 8 9 4000 any eq 1 2 3 4 5 6 7 8 9 80"), WEB, true},
        {E("permit tcp any any neq 80"), WEB, false},
        {E("permit tcp any any neq 81"), WEB, true},
        {E("permit tcp any any neq 79 81"), WEB, true},
        {E("permit tcp any any neq 90 80 79 80"), WEB, false},
        {E("permit tcp any any neq 0 65535"), WEB, true},
        {E("permit tcp any any gt 79"), WEB, true},
        {E("permit tcp any any gt 80"), WEB, false},
        {E("permit tcp any any lt 81"), WEB, true},
        {E("permit tcp any any lt 80"), WEB, false},
        {E("permit tcp any any range 80 81"), WEB, true},
        {E("permit tcp any any range whois www"), WEB, true},
        {E("permit tcp any any range 81 90"), WEB, false},
        {E("permit tcp any any range 70 79"), WEB, false},
        {E("permit udp any gt 1023 host 203.0.113.5 eq domain"), DNS, true},
        {E("permit udp any lt 1024 host 203.0.113.5 eq domain"), DNS, false},
        {E("deny udp any any gt netbios-ss") ALL, DNS, true},
        /* the same name, another port */
        {E("permit tcp any any eq cmd"), "tcp 10.0.0.1 4000 > 203.0.113.5 514", true},
        {E("permit udp any any eq who"), "udp 10.0.0.1 4000 > 203.0.113.5 513", true},
    };

    (void)unused;
    judge_all(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_order_and_lists(void **unused)
{
    static const struct row rows[] = {
        {E("deny tcp any any eq 80") ALL, WEB, false},
        {ALL E("deny tcp any any eq 80"), WEB, true},
        {"ip access-list extended x\n 20 permit ip any any\n 10 deny tcp any any eq 80", WEB,
         false},
        {"ip access-list extended x\n 10 permit ip any any\n 20 deny tcp any any eq 80", WEB, true},
        /* without a number: behind the others */
        {"ip access-list extended x\n 20 permit ip any any\n deny tcp any any eq 80", WEB, true},
        {"ip access-list extended x\n deny tcp any any\n exit\n!\nip access-list extended x\n"
         " permit ip any any",
         WEB, false},
        {"ip access-list extended x\n deny tcp any any\nip access-list extended x\n"
         " 5 permit ip any any",
         WEB, true},
        {"ip access-list extended x\npermit ip any any\n", WEB, true}, /* not indented */
        {"ip access-list extended 101\n deny udp any any\n" ALL, WEB, true},
        {"ip access-list extended 101\n deny udp any any\n" ALL, DNS, false},
        {"ip access-list standard x\n permit 10.0.0.0 0.0.0.255", WEB, true},
        {"access-list 1 permit 10.0.0.1", WEB, true},
        {"access-list 1 permit 10.0.0.2", WEB, false},
        {"access-list 1 permit host 10.0.0.1 log", PING, true},
        {"access-list 1300 deny 10.0.0.1\naccess-list 1300 permit any", WEB, false},
        {"access-list 99 permit 203.0.113.5", WEB, false}, /* the source alone */
        {"access-list 2699 permit ip any any", WEB, true},
        {"! c\n\n  ! d\n" ALL, WEB, true},
        {E("remark # deny all ! of it") ALL, WEB, true},
        {"ip access-list extended x\n remark deny\n 10 remark deny\n permit ip any any", WEB, true},
        {"interface Vlan3\n ip address 10.0.0.1 255.0.0.0\n ip access-group 101 in\n!\n" ALL
         "line vty 0 4\n access-class 101 in\nend\n",
         WEB, true},
        {ALL "ip access-group 101 in\n", WEB, true},
        {"ipv6 access-list six\n deny ipv6 any any\n!\n" ALL, WEB, true},
    };

    (void)unused;
    judge_all(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_directions_and_choice(void **unused)
{
    static const char rules[] =
        "access-list 1 deny any\n" ALL "ip access-list extended web#1\n permit tcp any any eq www\n"
        "ip access-list extended web#2\n deny tcp any any\n";
    static const struct {
        const char *setting, *other;
        bool out, in;
    } rows[] = {
        {"access_list=1", NULL, false, false},
        {"access_list=101", NULL, true, true},
        {"access_list=web#1", NULL, true, true},
        {"access_list=web#2", NULL, false, false},
        {"access_list_inbound=web#1", NULL, true, true},
        {"access_list_inbound=1", NULL, true, false}, /* outbound: unmatched */
        {"access_list_inbound=1", "unmatched=deny", false, false},
        {"access_list_outbound=1", NULL, false, false},
        {"access_list_outbound=101", "unmatched=deny", true, false},
        {"access_list_inbound=101", "access_list_outbound=1", false, true},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nf_bench b;

        nf_open(&b, "firewall",
                (const char *const[]){"rules=r.txt", "format=ios", rows[i].setting, rows[i].other,
                                      NULL});
        nf_object(&b, "rules", rules, NULL);
        judge(&b, RILL_INSIDE, WEB, rows[i].out);
        judge(&b, RILL_OUTSIDE, WEB, rows[i].in);
        nf_close(&b);
    }
}

/* A list is of IPv4: what else there is, is left to `unmatched`. */
static void test_other_family(void **unused)
{
    struct nf_bench b;

    (void)unused;
    open_ios(&b, E("deny ip any any"), NULL);
    judge(&b, RILL_INSIDE, WEB6, true);
    judge(&b, RILL_OUTSIDE, WEB6, false);
    nf_object(&b, "rules", ALL, NULL);
    judge(&b, RILL_OUTSIDE, WEB6, false);
    nf_close(&b);
}

/* --- TCP flags -------------------------------------------------------------------------------- */

static void send_tcp(struct nf_bench *b, struct nf_flow *f, uint8_t flags, bool passes)
{
    struct test_packet p = {.len = 0};
    struct rill_pkt pkt = {.side = RILL_INSIDE};

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "203.0.113.5", RILL_TCP, 0, 0);
    test_tcp(&p, 4000, 80, flags, 0, 10);
    test_finish(&p);
    pkt.m = test_mbuf(p.bytes, p.len);
    assert_int_equal(rill_parse(pkt.m, p.len, &pkt.view), RILL_PARSE_OK);
    assert_int_equal(nf_run(b, f, &pkt), passes ? RILL_FORWARD : RILL_DROP);
    test_mbuf_free(pkt.m);
}

static void test_flags(void **unused)
{
    static const struct {
        const char *rules;
        uint8_t flags;
        bool passes;
    } rows[] = {
        {E("permit tcp any any established"), 0x02, false},
        {E("permit tcp any any established"), 0x10, true},
        {E("permit tcp any any established"), 0x12, true},
        {E("permit tcp any any established"), 0x04, true},
        {E("permit tcp any any established"), 0x01, false},
        {E("permit tcp any any eq 443 established"), 0x10, false},
        {E("permit tcp any any eq 443 80 established log"), 0x10, true},
        {E("deny tcp any any established") ALL, 0x14, false},
        {E("deny tcp any any established") ALL, 0x02, true},
        {E("permit tcp any any syn"), 0x12, true},
        {E("permit tcp any any syn"), 0x10, false},
        {E("permit tcp any any match-all +syn -ack"), 0x02, true},
        {E("permit tcp any any match-all +syn -ack"), 0x12, false},
        {E("permit tcp any any match-all +syn -ack"), 0x00, false},
        {E("permit tcp any any match-any +syn -ack"), 0x12, true},
        {E("permit tcp any any match-any +syn -ack"), 0x00, true},
        {E("permit tcp any any match-any +syn -ack"), 0x10, false},
        {E("permit tcp any any match-any +fin +syn +rst +psh +ack +urg"), 0x20, true},
        {E("permit tcp any any match-any +fin +syn +rst +psh +ack +urg"), 0xc0, false},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nf_bench b;
        struct nf_flow f;

        open_ios(&b, rows[i].rules, NULL);
        nf_flow_open(&f, &b);
        send_tcp(&b, &f, rows[i].flags, rows[i].passes);
        nf_flow_close(&f);
        nf_close(&b);
    }
}

/* The list judges who opens; its replies need no entry. */
static void test_replies_pass(void **unused)
{
    static const char answer[] = "tcp 203.0.113.5 80 > 10.0.0.1 4000";
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_ios(&b, E("permit tcp 10.0.0.0 0.255.255.255 any eq www"), NULL);
    nf_flow_open(&f, &b);
    nf_send(&b, &f, RILL_OUTSIDE, answer, NULL);
    nf_send(&b, &f, RILL_INSIDE, WEB, WEB);
    nf_send(&b, &f, RILL_OUTSIDE, answer, answer);
    nf_flow_close(&f);
    nf_close(&b);
}

/* --- ICMP messages ---------------------------------------------------------------------------- */

/* Of an ICMP message from the outside that quotes nothing. */
static void judge_icmp(const char *rules, uint8_t type, uint8_t code, bool passes)
{
    struct test_packet p = {.len = 0};
    struct rill_pkt pkt = {.side = RILL_OUTSIDE};
    struct nf_bench b;
    struct nf_flow f;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "203.0.113.5", "10.0.0.1", RILL_ICMP, 0, 0);
    test_icmp(&p, type, code, 7, 8);
    test_finish(&p);
    pkt.m = test_mbuf(p.bytes, p.len);
    assert_int_equal(rill_parse(pkt.m, p.len, &pkt.view), RILL_PARSE_OK);
    open_ios(&b, rules, NULL);
    nf_flow_open(&f, &b);
    if (nf_run(&b, &f, &pkt) != (passes ? RILL_FORWARD : RILL_DROP))
        fail_msg("%s: type %u code %u was %s", rules, type, code, passes ? "dropped" : "forwarded");
    nf_flow_close(&f);
    nf_close(&b);
    test_mbuf_free(pkt.m);
}

static void test_icmp_messages(void **unused)
{
    (void)unused;
    judge_icmp(E("permit icmp any any echo"), 8, 0, true);
    judge_icmp(E("permit icmp any any echo log"), 8, 0, true);
    judge_icmp(E("permit icmp any any Echo"), 0, 0, false);
    judge_icmp(E("permit icmp any any echo-reply"), 0, 0, true);
    judge_icmp(E("permit icmp any any host-unreachable"), 3, 1, true);
    judge_icmp(E("permit icmp any any host-unreachable"), 3, 0, false);
    judge_icmp(E("permit icmp any any unreachable"), 3, 13, true);
    judge_icmp(E("permit icmp any any ttl-exceeded"), 11, 0, true);
    judge_icmp(E("permit icmp any any ttl-exceeded"), 11, 1, false);
    judge_icmp(E("permit icmp any any time-exceeded"), 11, 1, true);
    judge_icmp(E("permit icmp any any packet-too-big"), 3, 4, true);
    judge_icmp(E("permit icmp any any traceroute"), 30, 5, true);
    judge_icmp(E("permit icmp any any 3"), 3, 9, true);
    judge_icmp(E("permit 1 any any 3 9"), 3, 9, true);
    judge_icmp(E("permit icmp any any 3 9"), 3, 8, false);
    judge_icmp(E("deny icmp any any redirect") ALL, 5, 1, false);
    judge_icmp(E("deny icmp any any net-redirect") ALL, 5, 1, true);
}

/* --- what is left out ------------------------------------------------------------------------- */

static void test_left_out(void **unused)
{
    static const char rules[] = E("permit icmp any any echo fragments")
        E("permit tcp any any eq www time-range office hours") E("permit ip any any dscp ef")
            E("permit udp any any log") E("permit tcp any any eq telnet log")
                E("permit tcp any any fragments");
    struct rill_load_report report;
    struct nf_bench b;

    (void)unused;
    open_ios(&b, rules, &report);
    assert_int_equal(report.skipped, 5);
    assert_string_equal(report.lines[0], "r.txt:1: permits by fragments, of which the firewall "
                                         "knows nothing");
    assert_non_null(strstr(report.lines[1], "r.txt:2: permits by time-range"));
    assert_non_null(strstr(report.lines[2], "r.txt:3: permits by dscp"));
    assert_non_null(strstr(report.lines[3], "r.txt:6: permits by fragments"));
    judge(&b, RILL_INSIDE, PING, false);
    judge(&b, RILL_INSIDE, WEB, false);
    judge(&b, RILL_INSIDE, DNS, true);
    nf_object(&b, "rules",
              E("permit udp any any") E("permit tcp any any log") E("deny ip any any log"),
              &report);
    assert_int_equal(report.skipped, 1);
    assert_non_null(strstr(report.lines[0], "r.txt:2: 'log' of access list 101, here and in 1 "));
    nf_close(&b);
}

/* Only what is meant is judged: other lists may use what the firewall has not. */
static void test_other_lists_do_not_matter(void **unused)
{
    struct rill_load_report report;
    struct nf_bench b;

    (void)unused;
    nf_open(&b, "firewall",
            (const char *const[]){"rules=r.txt", "format=ios", "access_list=101", NULL});
    nf_object(&b, "rules", "access-list 102 deny ip any any fragments\naccess-list 103 frob\n" ALL,
              &report);
    assert_int_equal(report.skipped, 0);
    judge(&b, RILL_OUTSIDE, WEB, true);
    nf_close(&b);
}

static void test_example_file(void **unused)
{
    FILE *file = fopen("nfs/firewall/example_ios.txt", "rb");
    char text[4096] = "";
    struct nf_bench b;

    (void)unused;
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    nf_open_file(&b, "nfs/firewall/example_ios.yaml");
    nf_object(&b, "rules", text, NULL);
    judge(&b, RILL_INSIDE, "tcp 203.0.113.9 4000 > 198.51.100.1 25", true);
    judge(&b, RILL_OUTSIDE, "tcp 198.51.100.1 4000 > 203.0.113.80 443", true);
    judge(&b, RILL_OUTSIDE, "tcp 198.51.100.1 4000 > 203.0.113.80 22", false);
    judge(&b, RILL_OUTSIDE, "tcp 203.0.113.1 4000 > 203.0.113.80 443", false);
    judge(&b, RILL_OUTSIDE, "udp 198.51.100.1 4000 > 203.0.113.53 53", true);
    judge(&b, RILL_OUTSIDE, "udp 198.51.100.1 4000 > 203.0.113.181 53", true);
    judge(&b, RILL_OUTSIDE, "udp 198.51.100.1 4000 > 203.0.113.54 53", false);
    nf_close(&b);
}

static int start_dpdk(void **unused)
{
    struct rill_error err;

    (void)unused;
    return rill_eal_init(256, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocols_and_ends), cmocka_unit_test(test_ports),
        cmocka_unit_test(test_order_and_lists),    cmocka_unit_test(test_directions_and_choice),
        cmocka_unit_test(test_other_family),       cmocka_unit_test(test_flags),
        cmocka_unit_test(test_replies_pass),       cmocka_unit_test(test_icmp_messages),
        cmocka_unit_test(test_left_out),           cmocka_unit_test(test_other_lists_do_not_matter),
        cmocka_unit_test(test_example_file),
    };

    return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
