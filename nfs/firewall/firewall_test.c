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
#define WEB_ANS "tcp 203.0.113.5 80 > 10.0.0.1 4000"
#define DNS "udp 10.0.0.1 4000 > 203.0.113.5 53"
#define DNS_ANS "udp 203.0.113.5 53 > 10.0.0.1 4000"

static const char *const with_rules[] = {"rules=r.txt", NULL};

static void open_bench(struct nf_bench *b, struct nf_flow *f, const char *const *settings,
                       const char *rules)
{
    nf_open(b, "firewall", settings);
    if (rules != NULL)
        nf_object(b, "rules", rules, NULL);
    nf_flow_open(f, b);
}

static void close_bench(struct nf_bench *b, struct nf_flow *f)
{
    nf_flow_close(f);
    nf_close(b);
}

/* One packet of a connection of its own. */
static void judge(struct nf_bench *b, enum rill_side side, const char *packet, bool passes)
{
    struct nf_flow f;

    nf_flow_open(&f, b);
    nf_send(b, &f, side, packet, passes ? packet : NULL);
    nf_flow_close(&f);
}

/* --- state ------------------------------------------------------------------------------------ */

static void test_replies_pass(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, with_rules, "allow tcp from 10.0.0.0/8 to any port 80-443\ndeny any\n");
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, NULL);
    nf_send(&b, &f, RILL_INSIDE, WEB, WEB);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, WEB_ANS);
    nf_send(&b, &f, RILL_INSIDE, WEB, WEB);
    assert_int_equal(nf_count(&b, "opened"), 1);
    assert_int_equal(nf_count(&b, "denied"), 1);
    judge(&b, RILL_INSIDE, DNS, false);
    judge(&b, RILL_OUTSIDE, DNS_ANS, false);
    close_bench(&b, &f);
}

/* Who is denied can't keep his peer from opening the same connection. */
static void test_denial_does_not_stick(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, (const char *const[]){NULL}, NULL);
    nf_send(&b, &f, RILL_OUTSIDE, DNS_ANS, NULL);
    assert_true(f.dirty_low >= f.dirty_high);
    nf_send(&b, &f, RILL_INSIDE, DNS, DNS);
    nf_send(&b, &f, RILL_OUTSIDE, DNS_ANS, DNS_ANS);
    close_bench(&b, &f);
}

static void test_goes_on_at_another_instance(void **unused)
{
    const char *rules = "allow udp to any port 53\ndeny any";
    struct nf_bench a, b;
    struct nf_flow f;

    (void)unused;
    open_bench(&a, &f, with_rules, rules);
    nf_open(&b, "firewall", with_rules);
    nf_object(&b, "rules", rules, NULL);
    nf_send(&a, &f, RILL_INSIDE, DNS, DNS);
    nf_flow_move(&f);
    nf_send(&b, &f, RILL_OUTSIDE, DNS_ANS, DNS_ANS);
    assert_int_equal(nf_count(&b, "rejudged"), 0);
    nf_close(&b);
    close_bench(&a, &f);
}

static void test_changes_are_small(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, (const char *const[]){NULL}, NULL);
    assert_true(f.bytes <= RILL_INLINE_STATE);
    nf_send(&b, &f, RILL_INSIDE, DNS, DNS);
    assert_int_equal(f.dirty_high - f.dirty_low, 8);
    nf_send(&b, &f, RILL_OUTSIDE, DNS_ANS, DNS_ANS);
    assert_true(f.dirty_low >= f.dirty_high);
    close_bench(&b, &f);
}

static void test_new_rules_rejudge(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, with_rules, "allow tcp from 10.0.0.0/8 to any\ndeny any");
    nf_send(&b, &f, RILL_INSIDE, WEB, WEB);
    nf_object(&b, "rules", "allow tcp from 10.0.0.1 to any\ndeny any", NULL);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, WEB_ANS); /* as the opener would be judged */
    assert_int_equal(f.dirty_high - f.dirty_low, 8);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, WEB_ANS);
    assert_int_equal(nf_count(&b, "rejudged"), 1);
    nf_object(&b, "rules", "allow tcp from 10.0.0.2 to any\ndeny any", NULL);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, NULL);
    nf_send(&b, &f, RILL_INSIDE, WEB, NULL);
    assert_int_equal(nf_count(&b, "revoked"), 1);
    nf_object(&b, "rules", "allow tcp", NULL);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, WEB_ANS);
    close_bench(&b, &f);
}

static void test_new_rules_keep(void **unused)
{
    static const char *const settings[] = {"rules=r.txt", "on_change=keep", NULL};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, settings, "allow any");
    nf_send(&b, &f, RILL_INSIDE, WEB, WEB);
    nf_object(&b, "rules", "deny any", NULL);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, WEB_ANS);
    judge(&b, RILL_INSIDE, WEB, false);
    close_bench(&b, &f);
}

/* --- which packets ---------------------------------------------------------------------------- */

struct row {
    const char *rules;
    enum rill_side side;
    const char *packet;
    bool passes;
};

static void test_rules(void **unused)
{
    static const struct row rows[] = {
        {"", RILL_INSIDE, WEB, true}, /* unmatched=outbound */
        {"", RILL_OUTSIDE, WEB_ANS, false},
        {"# nothing\n\n  \t\r\n", RILL_INSIDE, WEB, true},
        {"deny any", RILL_INSIDE, WEB, false},
        {"deny", RILL_INSIDE, WEB, false},
        {"allow", RILL_OUTSIDE, WEB_ANS, true},
        {"deny udp\nallow any\n", RILL_INSIDE, WEB, true},
        {"deny udp # not that\r\nallow any\r\n", RILL_INSIDE, DNS, false},
        {"deny 6", RILL_INSIDE, WEB, false},
        {"deny icmp", RILL_INSIDE, "icmp 10.0.0.1 5 > 203.0.113.5 5", false},
        {"deny 1", RILL_INSIDE, "icmp 10.0.0.1 5 > 203.0.113.5 5", false},
        {"deny 58", RILL_INSIDE, "icmp 10.0.0.1 5 > 203.0.113.5 5", true},
        {"deny tcp to any port 80", RILL_INSIDE, WEB, false},
        {"deny tcp from any port 80", RILL_INSIDE, WEB, true},
        {"deny tcp from any port 4000 to any port 80", RILL_INSIDE, WEB, false},
        {"deny tcp from any port 4001 to any port 80", RILL_INSIDE, WEB, true},
        {"deny tcp to any port 79-81", RILL_INSIDE, WEB, false},
        {"deny tcp to any port 0-79", RILL_INSIDE, WEB, true},
        {"deny tcp to any port 81-65535", RILL_INSIDE, WEB, true},
        {"deny from 10.0.0.0/31", RILL_INSIDE, WEB, false},
        {"deny from 10.0.0.2/31", RILL_INSIDE, WEB, true},
        {"deny to 203.0.113.5", RILL_INSIDE, WEB, false},
        {"deny to 10.0.0.1", RILL_INSIDE, WEB, true},
        {"deny to 203.0.113.5 from 10.0.0.1", RILL_INSIDE, WEB, false},
        {"deny inbound", RILL_INSIDE, WEB, true},
        {"deny outbound", RILL_INSIDE, WEB, false},
        {"allow tcp inbound", RILL_OUTSIDE, WEB_ANS, true},
        {"deny from 0.0.0.0/0", RILL_INSIDE, WEB, false},
        {"deny from ::/0", RILL_INSIDE, WEB, true},
        {"deny from ::/0", RILL_INSIDE, "tcp 2001:db8::1 4 > 2001:db8::2 5", false},
        {"deny from 2001:db8::/33", RILL_INSIDE, "tcp 2001:db8:7fff::1 4 > 2001:db8::2 5", false},
        {"deny from 2001:db8::/33", RILL_INSIDE, "tcp 2001:db8:8000::1 4 > 2001:db8::2 5", true},
        {"deny udp to 2001:db8::2 port 5", RILL_INSIDE, "udp 2001:db8::1 4 > 2001:db8::2 5", false},
        {"deny udp to 2001:db8::3 port 5", RILL_INSIDE, "udp 2001:db8::1 4 > 2001:db8::2 5", true},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nf_bench b;

        nf_open(&b, "firewall", with_rules);
        nf_object(&b, "rules", rows[i].rules, NULL);
        judge(&b, rows[i].side, rows[i].packet, rows[i].passes);
        nf_close(&b);
    }
}

static void test_unmatched(void **unused)
{
    static const struct {
        const char *setting;
        bool out, in;
    } rows[] = {{"unmatched=outbound", true, false},
                {"unmatched=deny", false, false},
                {"unmatched=allow", true, true}};

    (void)unused;
    for (int i = 0; i < 3; i++) {
        struct nf_bench b;

        nf_open(&b, "firewall", (const char *const[]){rows[i].setting, NULL});
        judge(&b, RILL_INSIDE, WEB, rows[i].out);
        judge(&b, RILL_OUTSIDE, WEB_ANS, rows[i].in);
        nf_close(&b);
    }
}

static void test_lists(void **unused)
{
    static const char *const settings[] = {"deny_list=d.txt", "allow_list=a.txt", NULL};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, settings, NULL);
    nf_object(&b, "deny_list", "203.0.113.0/30 # bad\n203.0.113.2\n\n2001:db8:bad::/48\n", NULL);
    nf_object(&b, "allow_list", "203.0.113.0/24\n10.9.0.0/16\n", NULL);
    judge(&b, RILL_INSIDE, "tcp 10.0.0.1 4000 > 203.0.113.3 80", false);
    judge(&b, RILL_INSIDE, "tcp 10.0.0.1 4000 > 203.0.113.4 80", true);
    judge(&b, RILL_OUTSIDE, "tcp 203.0.113.3 80 > 10.0.0.1 4000", false);
    judge(&b, RILL_OUTSIDE, "tcp 203.0.113.255 80 > 10.0.0.1 4000", true);
    judge(&b, RILL_OUTSIDE, "tcp 203.0.112.255 80 > 10.0.0.1 4000", false);
    judge(&b, RILL_OUTSIDE, "tcp 198.51.100.1 80 > 10.9.255.255 4000", true);
    judge(&b, RILL_OUTSIDE, "tcp 198.51.100.1 80 > 10.10.0.0 4000", false);
    judge(&b, RILL_INSIDE, "tcp 2001:db8::1 80 > 2001:db8:bad:ffff::1 4000", false);
    judge(&b, RILL_INSIDE, "tcp 2001:db8::1 80 > 2001:db8:bae::1 4000", true);
    nf_send(&b, &f, RILL_INSIDE, WEB, WEB);
    nf_object(&b, "deny_list", "203.0.113.5", NULL);
    nf_send(&b, &f, RILL_OUTSIDE, WEB_ANS, NULL);
    close_bench(&b, &f);
}

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

static void test_require_syn(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, (const char *const[]){"require_syn=true", NULL}, NULL);
    send_tcp(&b, &f, 0x10, false);
    send_tcp(&b, &f, 0x12, false);
    send_tcp(&b, &f, 0x02, true);
    send_tcp(&b, &f, 0x10, true);
    assert_int_equal(nf_count(&b, "no_syn"), 2);
    judge(&b, RILL_INSIDE, DNS, true);
    close_bench(&b, &f);
}

/* --- many rules, ClassBench ------------------------------------------------------------------- */

/* Each rule denies one port; the last of many still counts, and the first goes before it. */
static void test_many_rules(void **unused)
{
    char *text = malloc(2000 * 64), packet[80];
    struct nf_bench b;
    size_t used = 0;

    (void)unused;
    assert_non_null(text);
    for (int i = 0; i < 1500; i++)
        used +=
            (size_t)sprintf(text + used, "%s udp to any port %d\n", i % 2 ? "allow" : "deny", i);
    sprintf(text + used, "deny udp to any port 0-1500\n");
    nf_open(&b, "firewall", with_rules);
    nf_object(&b, "rules", text, NULL);
    for (int port = 0; port <= 1501; port += port < 1490 ? 149 : 1) {
        sprintf(packet, "udp 10.0.0.1 4000 > 203.0.113.5 %d", port);
        judge(&b, RILL_INSIDE, packet, port > 1500 || (port < 1500 && port % 2 == 1));
    }
    nf_close(&b);
    free(text);
}

static void test_classbench(void **unused)
{
    static const char *const settings[] = {"rules=r.txt", "format=classbench", "unmatched=deny",
                                           NULL};
    static const char rules[] =
        "@10.0.0.1/32\t203.0.113.0/24\t0 : 65535\t53 : 53\t0x11/0xFF\t"
        "0x0000/0x0000\t\n"
        "@10.0.0.2/32 0.0.0.0/0 0 : 65535 0 : 65535 0x00/0x00\n"
        "@10.0.0.0/8 0.0.0.0/0 0 : 65535 0 : 65535 0x01/0xFF 0x0800/0xff00\n"
        "@10.0.0.1/32 203.0.113.5/32 0 : 65535 80 : 80 0x06/0xFF "
        "0x0200/0x1200\n"
        "@10.0.0.3/32 0.0.0.0/0 0 : 65535 0 : 65535 0x00/0x00 deny\n"
        "@10.0.0.3/32 0.0.0.0/0 0 : 65535 0 : 65535 0x00/0x00\n";
    struct rill_load_report report;
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open(&b, "firewall", settings);
    nf_object(&b, "rules", rules, &report);
    assert_int_equal(report.skipped, 1);
    assert_non_null(strstr(report.lines[0], "r.txt:3: "));
    judge(&b, RILL_INSIDE, DNS, true);
    judge(&b, RILL_INSIDE, "udp 10.0.0.1 4000 > 203.0.113.5 54", false);
    judge(&b, RILL_INSIDE, "udp 10.0.0.2 4000 > 203.0.113.5 54", true);
    judge(&b, RILL_INSIDE, "udp 10.0.0.3 4000 > 203.0.113.5 54", false);
    judge(&b, RILL_INSIDE, "icmp 10.0.0.1 5 > 203.0.113.5 5", false);
    nf_flow_open(&f, &b);
    send_tcp(&b, &f, 0x10, false);
    send_tcp(&b, &f, 0x12, false);
    send_tcp(&b, &f, 0x02, true);
    nf_flow_close(&f);
    nf_close(&b);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void test_example_file(void **unused)
{
    char *rules = read_file("nfs/firewall/example_rules.txt");
    struct nf_bench b;

    (void)unused;
    nf_open_file(&b, "nfs/firewall/example.yaml");
    nf_object(&b, "rules", rules, NULL);
    judge(&b, RILL_INSIDE, WEB, true);
    judge(&b, RILL_INSIDE, "tcp 10.0.0.1 4000 > 203.0.113.5 25", false);
    judge(&b, RILL_OUTSIDE, "tcp 198.51.100.1 4000 > 203.0.113.80 443", true);
    judge(&b, RILL_OUTSIDE, "tcp 198.51.100.1 4000 > 203.0.113.80 80", false);
    nf_close(&b);
    free(rules);
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
        cmocka_unit_test(test_replies_pass),
        cmocka_unit_test(test_denial_does_not_stick),
        cmocka_unit_test(test_goes_on_at_another_instance),
        cmocka_unit_test(test_changes_are_small),
        cmocka_unit_test(test_new_rules_rejudge),
        cmocka_unit_test(test_new_rules_keep),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_unmatched),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_require_syn),
        cmocka_unit_test(test_many_rules),
        cmocka_unit_test(test_classbench),
        cmocka_unit_test(test_example_file),
    };

    return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
