/* ICMP: messages that rules name, what belongs to a flow of them, and errors. */
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

#define DNS "udp 10.0.0.1 4000 > 203.0.113.5 53"

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

/* --- ICMP messages ---------------------------------------------------------------------------- */

struct icmp {
    enum rill_side side;
    uint8_t family, type, code;
};

/* Between 10.0.0.1 (2001:db8::1), inside, and 203.0.113.5 (2001:db8::2). */
static void send_icmp(struct nf_bench *b, struct nf_flow *f, struct icmp icmp, bool passes)
{
    bool is_4 = icmp.family == 4, out = icmp.side == RILL_INSIDE;
    const char *inside = is_4 ? "10.0.0.1" : "2001:db8::1";
    const char *outside = is_4 ? "203.0.113.5" : "2001:db8::2";
    struct test_packet p = {.len = 0};
    struct rill_pkt pkt = {.side = (uint8_t)icmp.side};

    test_ethernet(&p, is_4 ? 0x0800 : 0x86dd, 0);
    test_ip(&p, out ? inside : outside, out ? outside : inside, is_4 ? RILL_ICMP : RILL_ICMP6, 0,
            0);
    test_icmp(&p, icmp.type, icmp.code, 7, 8);
    test_finish(&p);
    pkt.m = test_mbuf(p.bytes, p.len);
    assert_int_equal(rill_parse(pkt.m, p.len, &pkt.view), RILL_PARSE_OK);
    if (nf_run(b, f, &pkt) != (passes ? RILL_FORWARD : RILL_DROP))
        fail_msg("type %u code %u was %s", icmp.type, icmp.code, passes ? "dropped" : "forwarded");
    test_mbuf_free(pkt.m);
}

static void judge_icmp(struct nf_bench *b, struct icmp icmp, bool passes)
{
    struct nf_flow f;

    nf_flow_open(&f, b);
    send_icmp(b, &f, icmp, passes);
    nf_flow_close(&f);
}

static void test_icmp_types(void **unused)
{
    static const struct {
        const char *rules;
        struct icmp icmp;
        bool passes;
    } rows[] = {
        {"allow icmp type echo-request", {RILL_OUTSIDE, 4, 8, 0}, true},
        {"allow icmp type echo-request", {RILL_OUTSIDE, 6, 128, 0}, true},
        {"allow icmp type echo-request", {RILL_OUTSIDE, 4, 13, 0}, false},
        {"allow icmp type echo-request", {RILL_OUTSIDE, 6, 8, 0}, false},
        {"allow icmp type echo-request", {RILL_OUTSIDE, 4, 128, 0}, false},
        {"allow icmp type echo-request code 0 from 0.0.0.0/0", {RILL_OUTSIDE, 4, 8, 0}, true},
        {"allow icmp type echo-request code 0 from 0.0.0.0/0", {RILL_OUTSIDE, 4, 8, 1}, false},
        {"allow 1 type 13", {RILL_OUTSIDE, 4, 13, 7}, true},
        {"allow 1 type 13 code 7", {RILL_OUTSIDE, 4, 13, 7}, true},
        {"allow 1 type 13 code 6", {RILL_OUTSIDE, 4, 13, 7}, false},
        {"allow 58 type 128", {RILL_OUTSIDE, 6, 128, 0}, true},
        {"allow 58 type 128", {RILL_OUTSIDE, 4, 8, 0}, false},
        {"allow icmp from ::/0 type 135", {RILL_OUTSIDE, 6, 135, 0}, true},
        {"allow icmp type packet-too-big", {RILL_OUTSIDE, 4, 3, 4}, true}, /* with no quote */
        {"allow icmp type packet-too-big", {RILL_OUTSIDE, 4, 3, 3}, false},
        {"allow icmp type packet-too-big", {RILL_OUTSIDE, 6, 2, 9}, true},
        {"allow icmp", {RILL_OUTSIDE, 4, 13, 0}, true},
        {"deny icmp type redirect\nallow icmp", {RILL_OUTSIDE, 4, 13, 0}, true},
        {"deny icmp type router-advertisement\nallow icmp", {RILL_OUTSIDE, 4, 9, 0}, false},
        {"deny icmp type router-advertisement\nallow icmp", {RILL_OUTSIDE, 6, 134, 0}, false},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nf_bench b;

        nf_open(&b, "firewall", with_rules);
        nf_object(&b, "rules", rows[i].rules, NULL);
        judge_icmp(&b, rows[i].icmp, rows[i].passes);
        nf_close(&b);
    }
}

/* What opened a flow, and the answer to it, pass: not all ICMP between the two. */
static void test_icmp_flows(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, (const char *const[]){NULL}, NULL); /* the inside may open */
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 0, 0}, false);
    send_icmp(&b, &f, (struct icmp){RILL_INSIDE, 4, 8, 0}, true);
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 0, 0}, true);
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 8, 0}, false);
    send_icmp(&b, &f, (struct icmp){RILL_INSIDE, 4, 8, 0}, true);
    nf_flow_close(&f);
    nf_flow_open(&f, &b);
    send_icmp(&b, &f, (struct icmp){RILL_INSIDE, 4, 13, 0}, true);
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 14, 0}, true);
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 16, 0}, false);
    send_icmp(&b, &f, (struct icmp){RILL_INSIDE, 4, 15, 0}, true);
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 16, 0}, true);
    assert_int_equal(nf_count(&b, "opened"), 3);
    close_bench(&b, &f);
}

/* It is the request that is judged anew, whoever comes first. */
static void test_new_rules_rejudge_the_request(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, with_rules, "allow icmp type echo-request\ndeny any");
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 8, 0}, true);
    nf_object(&b, "rules", "allow inbound icmp type echo-request\ndeny any", NULL);
    send_icmp(&b, &f, (struct icmp){RILL_INSIDE, 4, 0, 0}, true);
    nf_object(&b, "rules", "allow icmp type echo-reply\ndeny any", NULL);
    send_icmp(&b, &f, (struct icmp){RILL_OUTSIDE, 4, 8, 0}, false);
    assert_int_equal(nf_count(&b, "rejudged"), 1);
    assert_int_equal(nf_count(&b, "revoked"), 1);
    close_bench(&b, &f);
}

/* Port unreachable, about the reply DNS_ANS: it goes outwards. */
static void send_error(struct nf_bench *b, struct nf_flow *f, bool passes)
{
    struct test_packet p = {.len = 0}, quoted = {.len = 0};
    struct rill_pkt pkt = {.side = RILL_INSIDE};

    test_ethernet(&quoted, 0x0800, 0);
    test_ip(&quoted, "203.0.113.5", "10.0.0.1", RILL_UDP, 0, 0);
    test_udp(&quoted, 53, 4000, 40);
    test_finish(&quoted);
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "203.0.113.5", RILL_ICMP, 0, 0);
    test_icmp(&p, 3, 3, 0, 0);
    test_quote(&p, &quoted, 28);
    test_finish(&p);
    pkt.m = test_mbuf(p.bytes, p.len);
    assert_int_equal(rill_parse(pkt.m, p.len, &pkt.view), RILL_PARSE_OK);
    assert_true(rill_pkt_quoted(&pkt, &(struct rill_endpoint){.port = 0},
                                &(struct rill_endpoint){.port = 0}));
    assert_int_equal(nf_run(b, f, &pkt), passes ? RILL_FORWARD : RILL_DROP);
    test_mbuf_free(pkt.m);
}

static void test_errors_pass_with_their_connection(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, with_rules, "allow udp\ndeny icmp");
    send_error(&b, &f, false);
    nf_send(&b, &f, RILL_INSIDE, DNS, DNS);
    send_error(&b, &f, true);
    assert_int_equal(nf_count(&b, "stray_error"), 1);
    close_bench(&b, &f);
}

/* A rule that names a type goes for errors, too. */
static void test_rules_for_errors(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, with_rules, "deny icmp type unreachable\nallow udp");
    send_error(&b, &f, false);
    nf_send(&b, &f, RILL_INSIDE, DNS, DNS);
    send_error(&b, &f, false);
    assert_int_equal(nf_count(&b, "stray_error"), 1);
    assert_int_equal(nf_count(&b, "denied"), 1);
    nf_object(&b, "rules", "deny 1 type 3 code 2\nallow udp", NULL);
    send_error(&b, &f, true);
    nf_object(&b, "rules", "deny icmp\ndeny icmp type unreachable\nallow udp", NULL);
    send_error(&b, &f, true); /* the first rule is what counts, and it names none */
    nf_flow_close(&f);
    nf_flow_open(&f, &b);
    nf_object(&b, "rules", "allow 1 type 3 code 3\ndeny any", NULL);
    send_error(&b, &f, true);
    assert_true(f.dirty_low >= f.dirty_high); /* and opens nothing */
    nf_send(&b, &f, RILL_INSIDE, DNS, NULL);
    nf_object(&b, "rules", "allow icmp\nallow icmp type unreachable\ndeny any", NULL);
    send_error(&b, &f, false);
    close_bench(&b, &f);
}

static void test_deny_list_and_errors(void **unused)
{
    const char *const settings[] = {"rules=r.txt", "deny_list=d.txt", NULL};
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    nf_open(&b, "firewall", settings);
    nf_object(&b, "rules", "allow icmp type unreachable", NULL);
    nf_object(&b, "deny_list", "198.51.100.0/24", NULL);
    nf_flow_open(&f, &b);
    send_error(&b, &f, true);
    nf_object(&b, "deny_list", "203.0.113.5", NULL);
    send_error(&b, &f, false);
    close_bench(&b, &f);
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
        cmocka_unit_test(test_errors_pass_with_their_connection),
        cmocka_unit_test(test_icmp_types),
        cmocka_unit_test(test_icmp_flows),
        cmocka_unit_test(test_new_rules_rejudge_the_request),
        cmocka_unit_test(test_rules_for_errors),
        cmocka_unit_test(test_deny_list_and_errors),
    };

    return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
