/* Access lists in the syntax of Cisco's IOS: what they let in, and what they are refused for. */
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

/* --- what is left out and what is refused ----------------------------------------------------- */

static void test_left_out(void **unused)
{
    static const char rules[] = E("permit icmp any any echo log") E("permit icmp any any 3 4")
        E("permit tcp any any eq www time-range office hours") E("permit ip any any dscp ef")
            E("permit udp any any log") E("permit tcp any any eq telnet log")
                E("permit tcp any any fragments");
    struct rill_load_report report;
    struct nf_bench b;

    (void)unused;
    open_ios(&b, rules, &report);
    assert_int_equal(report.skipped, 6);
    assert_string_equal(report.lines[0], "r.txt:1: permits by an ICMP type, of which the firewall "
                                         "knows nothing");
    assert_non_null(strstr(report.lines[1], "r.txt:2: permits by an ICMP type"));
    assert_non_null(strstr(report.lines[2], "r.txt:3: permits by time-range"));
    assert_non_null(strstr(report.lines[3], "r.txt:4: permits by dscp"));
    assert_non_null(strstr(report.lines[4], "r.txt:7: permits by fragments"));
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

struct bad {
    const char *text, *part;
};

static void refuse_all(const char *const *settings, const struct bad *rows, size_t n)
{
    struct nf_bench b;

    nf_open(&b, "firewall", settings);
    for (size_t i = 0; i < n; i++) {
        const char *error = nf_object_error(&b, "rules", rows[i].text);

        if (strstr(error, rows[i].part) == NULL)
            fail_msg("%s: no '%s' in: %s", rows[i].text, rows[i].part, error);
    }
    nf_close(&b);
}

static void test_bad_entries(void **unused)
{
    static const struct bad rows[] = {
        {ALL E("allow ip any any"), "r.txt:2: 'allow' is no entry"},
        {E(""), "r.txt:1: '' is no entry"},
        {E("permit"), "protocol ''"},
        {E("permit 0 any any"), "protocol '0': give ip"},
        {E("permit 256 any any"), "protocol '256'"},
        {E("permit frob any any"), "protocol 'frob'"},
        {E("permit ip"), "source ''"},
        {E("permit ip any"), "destination ''"},
        {E("permit ip 10.0.0.0 any"), "source 'any'"},
        {E("permit ip 10.0.0.0/8 any"), "source '10.0.0.0/8'"},
        {E("permit ip host any"), "source 'any'"},
        {E("permit ip any host 10.0.0.256"), "destination '10.0.0.256'"},
        {E("permit ip any object-group servers"), "destination 'object-group'"},
        {E("permit ip any any eq 80"), "'eq': ports are for tcp and udp"},
        {E("permit icmp any any range 1 2"), "'range': ports are for tcp and udp"},
        {E("permit tcp any any eq"), "port ''"},
        {E("permit tcp any any eq 65536"), "port '65536'"},
        {E("permit tcp any any eq snmp"), "port 'snmp'"}, /* UDP's */
        {E("permit udp any any eq www"), "port 'www'"},
        {E("permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11"), "port '11'"},
        {E("permit tcp any any gt 65535"), "no port is in that range"},
        {E("permit tcp any any lt 0"), "no port is in that range"},
        {E("permit tcp any any range 81 80"), "no port is in that range"},
        {E("permit tcp any any range 81"), "port ''"},
        {E("permit tcp any any gt x"), "port 'x'"},
        {E("permit udp any any established"), "'established': is for tcp"},
        {E("permit ip any any syn"), "'syn': is for tcp"},
        {E("permit tcp any any syn ack"), "'ack': flags are there already"},
        {E("permit tcp any any match-all"), "'': give flags"},
        {E("permit tcp any any match-all +syn -syn"), "'-syn': give each"},
        {E("permit tcp any any match-any +ece"), "'+ece': give each"},
        {E("permit tcp any any eq 80 81 estab"), "'estab' is not understood"},
        {E("permit ip any any log cookie"), "'cookie' is not understood"},
        {E("permit icmp any any ecko"), "'ecko' is not understood"},
        {"access-list 1 permit", "source ''"},
        {"access-list 1 permit tcp any any", "source 'tcp'"},
        {"access-list 1 permit any established", "'established' is not understood"},
        {"access-list 1 permit 10.0.0.0 0.0.0.255 10.0.0.0", "'10.0.0.0' is not understood"},
        /* one deny less would let in more */
        {ALL E("deny icmp any any redirect"), "r.txt:2: denies by an ICMP type"},
        {E("deny ip any any fragments") ALL, "r.txt:1: denies by fragments"},
        {E("deny ip any any time-range night") ALL, "denies by time-range"},
    };

    (void)unused;
    refuse_all(ios, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_bad_lists(void **unused)
{
    static const struct bad rows[] = {
        {"", "r.txt: holds no access list"},
        {"interface x\n ip access-group 101 in\n", "holds no access list"},
        {"access-list 1 permit any\n" ALL, "which is meant: 1, 101"},
        {"hostname x\n" ALL, "r.txt:1: 'hostname' begins no line"},
        {"acces-list 101 deny ip any any\n" ALL, "r.txt:1: 'acces-list' begins no line"},
        {"permit ip any any\n", "'permit' begins no line"},
        {"interface x\npermit ip any any\n", "'permit' begins no line"},
        {ALL " permit ip any any\n", "r.txt:2: 'permit' begins no line"},
        {"access-list", "'' is no IP access list's number"},
        {"access-list 0 permit any", "'0' is no IP access list's number"},
        {"access-list 700 permit any", "'700' is no IP"},
        {"access-list x permit any", "'x' is no IP"},
        {"ip access-list x\n", "'x' is no kind of list"},
        {"ip access-list extended\n", "'' is not understood"},
        {"ip access-list extended x y\n", "'y' is not understood"},
        {"ip access-list standard 101\n", "'101' is not that kind"},
        {"ip access-list extended 1\n", "'1' is not that kind"},
        {"ip access-list extended 700\n", "'700' is not that kind"},
        {"ip access-list extended x\nip access-list standard x\n", "r.txt:2: 'x' is both"},
        {"ip access-list extended "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
         "too long"},
        {"ip access-list extended x\n remark nothing\n", "access list x has no entry"},
        {"ip access-list extended x\n 0 permit ip any any\n", "'0' is no number of an entry"},
        {"ip access-list extended x\n 9999999999 permit ip any any\n", "is no number of an entry"},
        {"ip access-list extended x\n 999999999 permit ip any any\n deny ip any any",
         "needs a lower number"},
        {"ip access-list extended x\n 7 deny tcp any any\n permit ip any any\n 7 deny ip any any\n",
         "r.txt:4: has the number 7, as line 2 has"},
        {"ip access-list extended x\n no permit ip any any\n", "'no' is no entry"},
        {"ip access-list extended x\n evaluate y\n", "'evaluate' is no entry"},
    };
    char text[8000] = "";
    struct bad many = {text, "..."};

    (void)unused;
    refuse_all(ios, rows, sizeof(rows) / sizeof(rows[0]));
    for (int i = 100; i < 200; i++)
        sprintf(text + strlen(text), "access-list %d permit ip any any\n", i);
    refuse_all(ios, &many, 1);
}

static void test_bad_choices(void **unused)
{
    static const struct bad one[] = {
        {"access-list 101 permit ip any any\nip access-list extended Web\n permit ip any any",
         "r.txt: holds no access list 'web'; there are: 101, Web"}};
    static const struct bad two[] = {{"ip access-list extended in\n permit ip any any",
                                      "holds no access list 'out'; there are: in"}};

    (void)unused;
    refuse_all((const char *const[]){"rules=r.txt", "format=ios", "access_list=web", NULL}, one, 1);
    refuse_all((const char *const[]){"rules=r.txt", "format=ios", "access_list_inbound=in",
                                     "access_list_outbound=out", NULL},
               two, 1);
    assert_non_null(
        strstr(nf_open_error("firewall", (const char *const[]){"rules=r", "access_list=1", NULL}),
               "access_list: is for format: ios"));
    assert_non_null(
        strstr(nf_open_error("firewall", (const char *const[]){"access_list_inbound=1", NULL}),
               "access_list_inbound, access_list_outbound: is for format: ios"));
    assert_non_null(
        strstr(nf_open_error("firewall", (const char *const[]){"format=ios", "access_list=1",
                                                               "access_list_outbound=1", NULL}),
               "access_list: is for both directions"));
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
        cmocka_unit_test(test_replies_pass),       cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_bad_entries),        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_bad_choices),        cmocka_unit_test(test_other_lists_do_not_matter),
        cmocka_unit_test(test_example_file),
    };

    return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
