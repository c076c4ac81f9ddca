/* The whole NF over made connections: at two units in turn, whose only bond is the state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/test_packets.h"
#include "nfs/ids/engine_hyperscan.h"
#include "nfs/nf_testing.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16, UNITS = 2, STREAM_MAX = 16384 };

static const char *const engines[] = {"engine=aho-corasick", "engine=hyperscan"};

/* One connection, between 10.0.0.1 and 203.0.113.5, and the units that it goes over. */
struct bench {
    struct nf_bench unit[UNITS];
    struct nf_flow flow;
    unsigned packets;
    uint32_t start[2]; /* sequence number of each direction's first byte */
};

static void open_bench(struct bench *b, const char *engine, const char *rules)
{
    const char *const settings[] = {engine, "rules=r", "window_bytes=512", "reassembly_bytes=4096",
                                    NULL};

    *b = (struct bench){.start = {UINT32_MAX - 40, 5000}};
    for (unsigned i = 0; i < UNITS; i++) {
        struct rill_load_report report;

        nf_open(&b->unit[i], "ids", settings);
        nf_object(&b->unit[i], "rules", rules, &report);
        if (report.skipped > 0)
            fail_msg("left out: %s", report.lines[0]);
    }
    nf_flow_open(&b->flow, &b->unit[0]);
    nf_records_clear();
}

static void close_bench(struct bench *b)
{
    nf_flow_close(&b->flow);
    for (unsigned i = 0; i < UNITS; i++)
        nf_close(&b->unit[i]);
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static enum rill_verdict run(struct bench *b, struct test_packet *p, enum rill_side side)
{
    struct nf_bench *unit = &b->unit[b->packets++ % UNITS];
    struct rill_pkt pkt = {.side = side};
    enum rill_verdict verdict;

    test_finish(p);
    pkt.m = test_mbuf(p->bytes, p->len);
    assert_int_equal(rill_parse(pkt.m, p->len, &pkt.view), RILL_PARSE_OK);
    nf_flow_move(&b->flow);
    verdict = nf_run(unit, &b->flow, &pkt);
    test_mbuf_free(pkt.m);
    return verdict;
}

/* `at` counts from the direction's first byte; 0 is the client's direction. */
static enum rill_verdict send_flags(struct bench *b, unsigned direction, uint8_t flags, uint32_t at,
                                    uint32_t acknowledged, const void *data, size_t bytes)
{
    struct test_packet p = {.len = 0};

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, direction == 0 ? "10.0.0.1" : "203.0.113.5",
            direction == 0 ? "203.0.113.5" : "10.0.0.1", RILL_TCP, 0, 0);
    test_tcp(&p, direction == 0 ? 40000 : 80, direction == 0 ? 80 : 40000, flags, 0,
             (uint32_t)bytes);
    put32(p.bytes + p.l4 + 4, b->start[direction] + at);
    put32(p.bytes + p.l4 + 8, b->start[1 - direction] + acknowledged);
    memcpy(p.bytes + p.l4 + 20, data, bytes);
    return run(b, &p, direction == 0 ? RILL_INSIDE : RILL_OUTSIDE);
}

static enum rill_verdict send_at(struct bench *b, uint32_t at, const void *data, size_t bytes)
{
    return send_flags(b, 0, ACK, at, 0, data, bytes);
}

static enum rill_verdict send_text(struct bench *b, uint32_t at, const char *text)
{
    return send_at(b, at, text, strlen(text));
}

static void shake_hands(struct bench *b)
{
    send_flags(b, 0, SYN, UINT32_MAX, 0, "", 0);
    send_flags(b, 1, SYN | ACK, UINT32_MAX, 0, "", 0);
    send_flags(b, 0, ACK, 0, 0, "", 0);
}

static uint64_t count(const struct bench *b, const char *counter)
{
    return nf_count(&b->unit[0], counter) + nf_count(&b->unit[1], counter);
}

/* The sids of the alerts, each once and in order of time: "1,3,". */
static void expect_alerts(const char *expected, const char *what)
{
    char got[400] = "";

    for (const char *p = nf_records(); (p = strstr(p, "\"signature_id\"")) != NULL; p++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%lu,",
                 strtoul(p + strcspn(p, "0123456789"), NULL, 10));
    if (strcmp(got, expected) != 0)
        fail_msg("%s: alerts '%s', not '%s'", what, got, expected);
}

/* Runs `test` with each engine there is. */
static void with_engines(void (*test)(const char *engine))
{
    test(engines[0]);
    if (ids_has_hyperscan())
        test(engines[1]);
    else
        print_message("no Hyperscan in this build: its engine is not tested\n");
}

/* --- signatures in pieces --------------------------------------------------------------------- */

static const char split_rules[] =
    "alert tcp any any -> any 80 (msg:\"plain\"; content:\"Secret\"; sid:1;)\n"
    "alert tcp any any -> any 80 (content:\"sEcReT\"; nocase; sid:2;)\n"
    "alert tcp any any -> any 80 (content:\"GET \"; depth:4; sid:3;)\n"
    "alert tcp any any -> any 80 (content:\"GET\"; offset:1; depth:30; sid:4;)\n"
    "alert tcp any any -> any 80 (content:\"/a\"; content:\"Secret\"; distance:3; within:9; "
    "sid:5;)\n"
    "alert tcp any any -> any 80 (content:\"/a\"; content:\"Secret\"; within:6; sid:6;)\n"
    "alert tcp any any -> any 80 (content:\"Secret\"; content:!\"|0d|\"; within:12; sid:7;)\n"
    "alert tcp any any -> any 80 (content:\"Secret\"; content:!\"|0d|\"; within:4; sid:8;)\n"
    "alert tcp any any -> any 80 (content:\"end\"; content:\"GET\"; sid:9;)\n";
static const char split_stream[] = "GET /a/b/Secret more\r\nthe end, and what is behind it";
/* By where they end, then by what is exact, then by length and bytes. */
static const char split_alerts[] = "3,1,5,8,2,9,";

/* All alerts come, whatever the pieces; which packet brings them is another matter. */
static void expect_split_alerts(const char *what)
{
    static const char *const sids[] = {"1", "2", "3", "5", "8", "9"};
    char field[40];

    for (size_t i = 0; i < N_OF(sids); i++) {
        snprintf(field, sizeof(field), "\"signature_id\": %s,", sids[i]);
        if (strstr(nf_records(), field) == NULL)
            fail_msg("%s: no alert of rule %s in %s", what, sids[i], nf_records());
    }
    assert_int_equal(nf_record_count(), N_OF(sids));
}

static void test_whole(const char *engine)
{
    struct bench b;

    open_bench(&b, engine, split_rules);
    shake_hands(&b);
    send_text(&b, 0, split_stream);
    expect_alerts(split_alerts, "in one packet");
    send_text(&b, 0, split_stream);
    send_text(&b, (uint32_t)strlen(split_stream), split_stream);
    expect_split_alerts("again: once for each connection");
    close_bench(&b);
}

static void split_in_two(const char *engine, uint32_t at, unsigned how)
{
    uint32_t n = sizeof(split_stream) - 1;
    char other[sizeof(split_stream)], what[80];
    struct bench b;

    snprintf(what, sizeof(what), "cut at %u, way %u, %s", at, how, engine);
    memset(other, '*', sizeof(other));
    open_bench(&b, engine, split_rules);
    shake_hands(&b);
    switch (how) {
    case 0: /* in order */
        send_at(&b, 0, split_stream, at);
        send_at(&b, at, split_stream + at, n - at);
        break;
    case 1: /* the other way around */
        send_at(&b, at, split_stream + at, n - at);
        send_at(&b, 0, split_stream, at);
        break;
    case 2: /* overlapping with other bytes, which come too late */
        send_at(&b, 0, split_stream, at);
        memcpy(other + at, split_stream + at, n - at);
        send_at(&b, 0, other, n);
        break;
    case 3: /* the same ahead of the gap */
        send_at(&b, at, split_stream + at, n - at);
        memcpy(other, split_stream, at);
        send_at(&b, 0, other, n);
        break;
    default: /* each byte alone, backwards but for the first few */
        for (uint32_t i = 0; i < at; i++)
            send_at(&b, i, split_stream + i, 1);
        for (uint32_t i = n; i-- > at;)
            send_at(&b, i, split_stream + i, 1);
    }
    expect_split_alerts(what);
    close_bench(&b);
}

static void test_split(const char *engine)
{
    for (uint32_t at = 1; at < sizeof(split_stream) - 1; at++)
        for (unsigned how = 0; how < 5; how++)
            split_in_two(engine, at, how);
}

/* --- windows ---------------------------------------------------------------------------------- */

/* The window is 512 bytes: 256 before the fast content's end, 256 behind. */
static void run_apart(const char *engine, uint32_t apart, uint32_t piece, bool expected)
{
    static char stream[2000];
    char what[80];
    struct bench b;

    snprintf(what, sizeof(what), "%u apart in pieces of %u, %s", apart, piece, engine);
    memset(stream, '.', sizeof(stream));
    memcpy(stream + 700, "longest", 7);
    memcpy(stream + 707 + apart - 2, "zz", 2); /* ends `apart` behind the fast content */
    open_bench(&b, engine,
               "alert tcp any any -> any 80 (content:\"longest\"; content:\"zz\"; sid:1;)");
    shake_hands(&b);
    for (uint32_t at = 0; at < sizeof(stream); at += piece)
        send_at(&b, at, stream + at, sizeof(stream) - at < piece ? sizeof(stream) - at : piece);
    expect_alerts(expected ? "1," : "", what);
    close_bench(&b);
}

static void test_window(const char *engine)
{
    static const uint32_t pieces[] = {1, 7, 100, 256, 511, 512, 513, 1400, 2000};

    for (size_t i = 0; i < N_OF(pieces); i++) {
        run_apart(engine, 256, pieces[i], true);
        run_apart(engine, 257, pieces[i], false);
    }
}

static void test_pcre(const char *engine)
{
    struct bench b;

    if (!ids_has_hyperscan())
        return;
    open_bench(&b, engine,
               "alert tcp any any -> any 80 (content:\"id=\"; pcre:\"/ID=[0-9]+;/i\"; sid:1;)\n"
               "alert tcp any any -> any 80 (content:\"id=\"; pcre:\"/id=[a-z]+;/\"; sid:2;)\n"
               "alert udp any any -> any any (content:\"id=\"; pcre:!\"/^x/\"; sid:3;)\n");
    shake_hands(&b);
    send_text(&b, 0, "xid=12");
    send_text(&b, 6, "34");
    expect_alerts("", "before its end");
    send_text(&b, 8, ";");
    expect_alerts("1,", "at its end");
    close_bench(&b);
}

/* A fast content that is everywhere costs little, and its rule is found all the same. */
static void test_common_content(const char *engine)
{
    static char zeros[1400];
    struct bench b;

    memset(zeros, 'a', sizeof(zeros));
    open_bench(
        &b, engine,
        "alert tcp any any -> any 80 (content:\"a\"; fast_pattern; content:\"zz\"; sid:1;)\n"
        "alert tcp any any -> any 80 (content:\"a\"; fast_pattern; content:\"zz\"; depth:2; "
        "sid:2;)\n"
        "alert tcp any any -> any 80 (content:\"aa\"; fast_pattern; content:\"b\"; within:1; "
        "sid:3;)\n");
    shake_hands(&b);
    for (uint32_t i = 0; i < 50; i++)
        send_at(&b, i * 1400, zeros, sizeof(zeros));
    expect_alerts("", "nothing yet");
    send_text(&b, 50 * 1400, "b and zz");
    expect_alerts("3,1,", "what they waited for");
    close_bench(&b);
}

/* --- connections ------------------------------------------------------------------------------ */

static void test_gap(const char *engine)
{
    static const char filler[3000];
    struct bench b;

    open_bench(&b, engine,
               "alert tcp any any -> any 80 (content:\"abcd\"; sid:1;)\n"
               "alert tcp any any -> any 80 (content:\"efgh\"; sid:2;)\n");
    shake_hands(&b);
    send_text(&b, 0, "ab");
    send_text(&b, 4, "cd efgh"); /* two bytes are missing */
    expect_alerts("", "waits");
    send_at(&b, 1000, filler, sizeof(filler)); /* still fits */
    assert_int_equal(count(&b, "stream_gaps"), 0);
    send_at(&b, 4000, filler, sizeof(filler)); /* does not */
    expect_alerts("2,", "behind the gap");
    assert_int_equal(count(&b, "stream_gaps"), 2);
    send_text(&b, 7000, "abcd");
    expect_alerts("2,1,", "after the gap");
    close_bench(&b);
}

static void test_acknowledged_gap(const char *engine)
{
    struct bench b;

    open_bench(&b, engine, "alert tcp any any -> any 80 (content:\"efgh\"; sid:2;)\n");
    shake_hands(&b);
    send_text(&b, 4, "efgh");
    send_flags(&b, 1, ACK, 0, 2, "", 0);
    send_flags(&b, 1, ACK, 0, 8, "", 0);
    expect_alerts("2,", "the server has the bytes that were not seen");
    assert_int_equal(count(&b, "stream_gaps"), 2);
    close_bench(&b);
}

static void test_flow_options(const char *engine)
{
    static const char rules[] =
        "alert tcp any any -> any any (content:\"abc\"; flow:to_server,established; sid:1;)\n"
        "alert tcp any any -> any any (content:\"abc\"; flow:to_client; sid:2;)\n"
        "alert tcp any any -> any any (content:\"abc\"; flow:not_established; sid:3;)\n"
        "alert tcp any 80 -> any any (content:\"abc\"; sid:4;)\n"
        "alert tcp any any -> any any (content:\"abc\"; depth:3; sid:5;)\n";
    struct bench b;

    open_bench(&b, engine, rules);
    send_flags(&b, 0, SYN, UINT32_MAX, 0, "", 0);
    send_text(&b, 0, "abc");
    expect_alerts("3,5,", "the server has said nothing");
    close_bench(&b);

    open_bench(&b, engine, rules);
    shake_hands(&b);
    send_text(&b, 0, "abc");
    expect_alerts("1,5,", "to the server");
    send_flags(&b, 1, ACK, 0, 3, "abc", 3);
    expect_alerts("1,5,2,4,", "to the client");
    close_bench(&b);

    open_bench(&b, engine, rules); /* its beginning is not seen, and a server's packet is first */
    send_flags(&b, 1, ACK, 700, 3, "abc", 3);
    expect_alerts("1,4,", "picked up");
    close_bench(&b);

    open_bench(&b, engine, rules); /* nor the SYN, but its answer */
    send_flags(&b, 1, SYN | ACK, UINT32_MAX, 0, "", 0);
    send_flags(&b, 1, ACK, 0, 0, "abc", 3);
    expect_alerts("2,3,4,5,", "from the server");
    close_bench(&b);
}

static void test_ports_used_again(const char *engine)
{
    struct bench b;

    open_bench(&b, engine, "alert tcp any any -> any 80 (content:\"abc\"; depth:3; sid:1;)\n");
    shake_hands(&b);
    send_text(&b, 0, "xyz");
    b.start[0] += 100000;
    send_flags(&b, 0, SYN, UINT32_MAX, 0, "", 0);
    assert_int_equal(count(&b, "stray_syn"), 1); /* in the midst of a connection */
    b.start[1] += 70000;
    send_flags(&b, 1, SYN | ACK, UINT32_MAX, 0, "", 0); /* the server has none */
    send_text(&b, 0, "abc");
    expect_alerts("1,", "the second connection");
    close_bench(&b);

    open_bench(&b, engine, "alert tcp any any -> any 80 (content:\"abc\"; depth:3; sid:1;)\n");
    shake_hands(&b);
    send_text(&b, 0, "xyz");
    send_flags(&b, 0, FIN | ACK, 3, 0, "", 0);
    send_flags(&b, 1, FIN | ACK, 0, 4, "", 0);
    assert_int_equal(count(&b, "stream_gaps"), 0); /* the FIN has a number, and no byte */
    b.start[0] += 100000;
    b.start[1] += 70000;
    shake_hands(&b);
    send_text(&b, 0, "abc");
    expect_alerts("1,", "after the end of the first");
    close_bench(&b);
}

static void test_drop(const char *engine)
{
    struct bench b;

    open_bench(&b, engine,
               "drop tcp any any -> any 80 (content:\"evil\"; sid:1;)\n"
               "alert tcp any any -> any 80 (content:\"later\"; sid:2;)\n");
    shake_hands(&b);
    assert_int_equal(send_text(&b, 0, "ev"), RILL_FORWARD);
    assert_int_equal(send_text(&b, 2, "il"), RILL_DROP);
    assert_int_equal(send_text(&b, 2, "il"), RILL_DROP); /* tried again */
    assert_int_equal(send_text(&b, 4, "later"), RILL_DROP);
    assert_int_equal(send_flags(&b, 1, ACK, 0, 0, "x", 1), RILL_DROP);
    expect_alerts("1,", "dropped");
    assert_non_null(strstr(nf_records(), "blocked"));
    assert_int_equal(count(&b, "dropped_by_rule"), 1);
    assert_int_equal(count(&b, "dropped_after_rule"), 3);
    close_bench(&b);
}

static enum rill_verdict send_udp(struct bench *b, unsigned direction, const char *text)
{
    struct test_packet p = {.len = 0};
    size_t bytes = strlen(text);

    test_ethernet(&p, 0x86dd, 0);
    test_ip(&p, direction == 0 ? "2001:db8::1" : "2001:db8:1::1",
            direction == 0 ? "2001:db8:1::1" : "2001:db8::1", RILL_UDP, 0, 0);
    test_udp(&p, direction == 0 ? 5000 : 53, direction == 0 ? 53 : 5000, (uint32_t)bytes);
    memcpy(p.bytes + p.l4 + 8, text, bytes);
    return run(b, &p, RILL_INSIDE);
}

static void test_datagrams(const char *engine)
{
    struct bench b;

    open_bench(&b, engine,
               "alert udp any any -> any 53 (content:\"abcd\"; sid:1;)\n"
               "alert udp any any -> any 53 (content:\"ab\"; content:!\"q\"; sid:2;)\n"
               "alert udp any any -> any 53 (content:\"cd\"; content:!\"q\"; depth:4; sid:3;)\n"
               "drop udp any any -> any 53 (content:\"bad\"; sid:4;)\n"
               "alert udp any any -> any any (content:\"z\"; flow:to_client; sid:5;)\n");
    send_udp(&b, 0, "ab");
    expect_alerts("2,", "the first");
    send_udp(&b, 0, "cd_____q"); /* not a stream: nothing is carried over */
    expect_alerts("2,3,", "the second");
    assert_int_equal(send_udp(&b, 0, "bad"), RILL_DROP);
    assert_int_equal(send_udp(&b, 0, "good"), RILL_FORWARD);
    assert_int_equal(send_udp(&b, 0, "bad"), RILL_DROP);
    assert_int_equal(send_udp(&b, 1, "bad z"), RILL_FORWARD); /* another port */
    expect_alerts("2,3,4,5,", "all");
    close_bench(&b);
}

/* On streams nothing is said before the bytes are there, however they come. */
static void test_checks_on_streams(const char *engine)
{
    struct bench b;

    open_bench(
        &b, engine,
        "alert tcp any any -> any 80 (content:\"len=\"; isdataat:5,relative; sid:1;)\n"
        "alert tcp any any -> any 80 (content:\"len=\"; byte_test:2,>,9,0,relative,string,dec; "
        "sid:2;)\n"
        "alert tcp any any -> any 80 (content:\"len=\"; byte_test:1,=,71,0; sid:3;)\n"
        "alert tcp any any -> any 80 (content:\"len=\"; isdataat:16; sid:4;)\n"
        "alert tcp any any -> any 80 (content:\"len=\"; isdataat:300,relative; sid:5;)\n");
    shake_hands(&b);
    send_text(&b, 0, "GET len=1");
    expect_alerts("3,", "one of two digits is there");
    send_text(&b, 9, "2");
    expect_alerts("3,2,", "the number is there");
    send_text(&b, 10, "345");
    expect_alerts("3,2,", "one byte is missing");
    send_text(&b, 13, "6");
    expect_alerts("3,2,1,", "behind the content");
    send_text(&b, 14, "78");
    expect_alerts("3,2,1,", "one byte is missing");
    send_text(&b, 16, "9");
    expect_alerts("3,2,1,4,", "in the stream");
    for (uint32_t i = 0; i < 40; i++)
        send_text(&b, 17 + 10 * i, "0123456789");
    expect_alerts("3,2,1,4,", "what is behind the window is not seen");
    close_bench(&b);
}

static void test_pcre_from_a_content_on(const char *engine)
{
    struct bench b;

    if (!ids_has_hyperscan())
        return;
    open_bench(&b, engine,
               "alert tcp any any -> any 80 (content:\"id=\"; pcre:\"/^[0-9]+;/R\"; sid:1;)\n"
               "alert tcp any any -> any 80 (content:\"id=\"; pcre:\"/x.y/R\"; sid:2;)\n"
               "alert udp any any -> any any (content:\"id=\"; pcre:!\"/^[0-9]/R\"; content:\"z\"; "
               "within:2; sid:3;)\n");
    shake_hands(&b);
    send_text(&b, 0, "x_y 12; id=a id=1");
    expect_alerts("", "before its end");
    send_text(&b, 17, "2;");
    expect_alerts("1,", "at its end");
    send_text(&b, 19, "x_");
    send_text(&b, 21, "y");
    expect_alerts("1,2,", "anywhere behind");
    close_bench(&b);
    open_bench(&b, engine,
               "alert udp any any -> any any (content:\"id=\"; pcre:!\"/^[0-9]/R\"; content:\"z\"; "
               "within:2; sid:3;)\n");
    send_udp(&b, 0, "id=1z id=aa");
    expect_alerts("", "one has it, the other is not near");
    send_udp(&b, 0, "id=1z id=az");
    expect_alerts("3,", "both of one content");
    close_bench(&b);
}

/* A rule with dsize speaks of one segment, whether it is in order or not; the others of the stream
 * go on beside it. */
static void test_segments(const char *engine)
{
    struct bench b;

    open_bench(
        &b, engine,
        "alert tcp any any -> any 80 (content:\"abcd\"; sid:1;)\n"
        "alert tcp any any -> any 80 (content:\"abcd\"; dsize:>5; sid:2;)\n"
        "alert tcp any any -> any 80 (content:\"cd\"; depth:2; content:!\"e\"; dsize:4; sid:3;)\n"
        "alert tcp any any -> any 80 (content:\"ab\"; dsize:2<>3; flow:to_client; sid:4;)\n"
        "drop tcp any any -> any 80 (content:\"bad\"; dsize:3; sid:5;)\n"
        "alert udp any any -> any 53 (content:\"ab\"; dsize:3; sid:6;)\n");
    shake_hands(&b);
    send_text(&b, 0, "ab");
    send_text(&b, 2, "cde_");
    expect_alerts("1,", "over two segments");
    send_text(&b, 20, "cd__"); /* waits */
    expect_alerts("1,3,", "ahead of its turn");
    send_text(&b, 6, "xabcd");
    expect_alerts("1,3,", "too short");
    send_text(&b, 11, "xxabcd");
    expect_alerts("1,3,2,", "of the size");
    assert_int_equal(send_text(&b, 24, "baad"), RILL_FORWARD);
    assert_int_equal(send_text(&b, 28, "bad"), RILL_DROP);
    assert_int_equal(send_text(&b, 31, "good"), RILL_DROP);
    expect_alerts("1,3,2,5,", "all");
    close_bench(&b);
    open_bench(&b, engine, "alert udp any any -> any 53 (content:\"ab\"; dsize:3; sid:6;)\n");
    send_udp(&b, 0, "abcd");
    expect_alerts("", "a datagram that is too long");
    send_udp(&b, 0, "abc");
    expect_alerts("6,", "one of the size");
    close_bench(&b);
}

/* What contents mean, on datagrams. */
static void test_contents(const char *engine)
{
    static const struct {
        const char *contents, *payload;
        bool holds;
    } rows[] = {
        {"content:\"ab\"; content:\"cd\"; within:3;", "ab____ab_cd", true}, /* to the later one */
        {"content:\"ab\"; content:\"cd\"; within:3;", "ab__cd", false},
        {"content:\"ab\"; content:\"cd\"; distance:2; within:2;", "ab_ab__cd", true},
        {"content:\"ab\"; content:\"cd\"; distance:2; within:2;", "ab_cd", false},
        {"content:\"ab\"; content:\"cd\"; distance:-4;", "cdab", true},
        {"content:\"ab\"; content:\"cd\"; distance:-3;", "cdab", false},
        {"content:\"ab\"; content:\"bc\"; distance:-1; within:2;", "abc", true},
        {"content:\"a\"; content:\"b\"; within:1; content:\"c\"; within:1;", "abdabc", true},
        {"content:\"a\"; content:!\"b\"; within:2; content:\"c\"; distance:0;", "ab_ac", true},
        {"content:\"a\"; content:!\"b\"; within:2; content:\"c\"; distance:0;", "abca", false},
        {"content:\"a\"; content:!\"b\"; distance:1;", "ab", true},
        {"content:\"a\"; content:!\"b\"; distance:0;", "a_b", false},
        {"content:\"a\"; content:!\"b\"; within:9;", "a", true}, /* nothing comes behind it */
        {"content:\"a\"; offset:1; depth:2;", "__a", true},
        {"content:\"ab\"; isdataat:2;", "ab_", true},
        {"content:\"ab\"; isdataat:3;", "ab_", false},
        {"content:\"ab\"; isdataat:!3;", "ab_", true},
        {"content:\"ab\"; isdataat:0,relative;", "ab_", true},
        {"content:\"ab\"; isdataat:1,relative;", "ab_", false},
        {"content:\"ab\"; isdataat:!1,relative;", "ab_", true},
        {"content:\"ab\"; isdataat:!1,relative;", "ab__ab", true},
        {"content:\"ab\"; isdataat:!1,relative; content:\"c\"; distance:0;", "ab_c__ab", false},
        {"content:\"ab\"; content:!\"x\"; isdataat:3,relative;", "ab____", true},
        {"content:\"ab\"; content:!\"x\"; isdataat:3,relative;", "ab___", false},
        {"content:\"ab\"; content:\"c\"; distance:0; isdataat:1,relative;", "abc__ab", true},
        {"content:\"ab\"; byte_test:1,=,95,0;", "_ab", true},
        {"content:\"ab\"; byte_test:1,!=,95,0;", "_ab", false},
        {"content:\"ab\"; byte_test:1,!,95,0;", "xab", true},
        {"content:\"ab\"; byte_test:1,!,95,9;", "xab", false}, /* nothing is there */
        {"content:\"ab\"; byte_test:2,=,0x3031,0,relative;", "ab01", true},
        {"content:\"ab\"; byte_test:2,=,0x3130,0,relative,little;", "ab01", true},
        {"content:\"ab\"; byte_test:2,=,0x3031,0,relative;", "ab02ab01", true},
        {"content:\"ab\"; byte_test:2,=,0x3031,0,relative;", "ab0", false},
        {"content:\"ab\"; byte_test:1,=,0x30,-3,relative;", "0ab", true},
        {"content:\"ab\"; byte_test:1,=,0x30,-4,relative;", "0ab", false},
        {"content:\"ab\"; byte_test:1,&,1,0,relative;", "ab1", true},
        {"content:\"ab\"; byte_test:1,!&,1,0,relative;", "ab1", false},
        {"content:\"ab\"; byte_test:1,^,0x31,0,relative;", "ab1", false},
        {"content:\"ab\"; byte_test:1,<,0x31,0,relative;", "ab0", true},
        {"content:\"ab\"; byte_test:1,<=,0x30,0,relative;", "ab0", true},
        {"content:\"ab\"; byte_test:1,>=,0x31,0,relative;", "ab0", false},
        {"content:\"ab\"; byte_test:3,=,123,1,relative,string,dec;", "ab=123", true},
        {"content:\"ab\"; byte_test:3,>,122,1,relative,string,dec;", "ab= 12", false},
        {"content:\"ab\"; byte_test:3,=,12,1,relative,string,dec;", "ab=12;", true},
        {"content:\"ab\"; byte_test:3,!,12,1,relative,string,dec;", "ab=;;;", false},
        {"content:\"ab\"; byte_test:2,=,255,0,relative,string,hex;", "abfF", true},
        {"content:\"ab\"; byte_test:2,=,8,0,relative,string,oct;", "ab10", true},
        {"content:\"a\"; offset:1; depth:1;", "__a", false},
        {"content:\"ab\"; startswith;", "_ab", false},
        {"content:\"AB\"; content:\"cD\"; nocase;", "ABCd", true},
        {"content:\"AB\"; content:\"cD\"; nocase;", "aBCd", false},
        {"content:\"b\"; content:\"a\"; content:\"longest\";", "longest a b", true},
    };

    for (size_t i = 0; i < N_OF(rows); i++) {
        char rule[200], what[300];
        struct bench b;

        snprintf(rule, sizeof(rule), "alert udp any any -> any any (%s sid:1;)", rows[i].contents);
        snprintf(what, sizeof(what), "%s in %s", rows[i].contents, rows[i].payload);
        open_bench(&b, engine, rule);
        send_udp(&b, 0, rows[i].payload);
        expect_alerts(rows[i].holds ? "1," : "", what);
        close_bench(&b);
    }
}

/* --- rules that change ------------------------------------------------------------------------ */

static void test_new_rules(const char *engine)
{
    static const char rules[] = "alert tcp any any -> any 80 (content:\"xyabcd\"; sid:1;)\n"
                                "alert tcp any any -> any 80 (content:\"cdef\"; sid:2;)\n";
    struct bench b;

    open_bench(&b, engine, "alert tcp any any -> any 80 (content:\"abcd\"; sid:1;)\n");
    shake_hands(&b);
    send_text(&b, 0, "xyab");
    for (unsigned i = 0; i < UNITS; i++)
        nf_object(&b.unit[i], "rules", rules, NULL);
    send_text(&b, 4, "cd");
    expect_alerts("", "a state of other rules says nothing");
    send_text(&b, 6, "ef");
    expect_alerts("2,", "the search has begun anew");
    assert_int_equal(count(&b, "connections_with_new_rules"), 1);
    close_bench(&b);
}

static void test_record(const char *engine)
{
    struct bench b;

    open_bench(&b, engine,
               "alert tcp any any -> any 80 (msg:\"a \\\"name\\\"\"; content:\"x\"; rev:4; "
               "classtype:trojan-activity; sid:77;)\n");
    shake_hands(&b);
    send_text(&b, 0, "x");
    for (size_t i = 0; i < 7; i++) {
        static const char *const parts[] = {
            "alert",       "allowed", "77", "a \\\"name\\\"", "A Network Trojan was detected",
            "203.0.113.5", "\"TCP\""};

        if (strstr(nf_records(), parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], nf_records());
    }
    close_bench(&b);
}

/* --- state ------------------------------------------------------------------------------------ */

/* What a packet in order changes, where no rule needs the window: it fits into the packet's frame.
 */
static void test_small_changes(void **unused)
{
    struct bench b;

    (void)unused;
    open_bench(&b, engines[0], "alert tcp any any -> any 80 (content:\"abcd\"; sid:1;)\n");
    shake_hands(&b);
    send_text(&b, 0, "ab");
    for (uint32_t at = 2; at < 100; at += 2) {
        send_text(&b, at, "xx");
        assert_true(b.flow.dirty_high - b.flow.dirty_low <= 16);
    }
    send_text(&b, 0, "ab"); /* nothing new: nothing changes */
    assert_true(b.flow.dirty_low >= b.flow.dirty_high);
    close_bench(&b);
}

static uint32_t used_bytes(const struct bench *b)
{
    uint32_t n = b->flow.bytes;

    while (n > 0 && b->flow.state[n - 1] == 0)
        n--;
    return n;
}

/* Of a connection in order hardly anything is kept; and of one out of order nothing more, as soon
 * as it is in order again. */
static void test_small_state(const char *engine)
{
    const uint32_t head = 88, hot = 48, streams = 2 * 93; /* Hyperscan's, of such rules */
    struct bench b;

    open_bench(&b, engine, "alert tcp any any -> any 80 (content:\"abcd\"; sid:1;)\n");
    shake_hands(&b);
    for (uint32_t at = 0; at < 300; at += 3)
        send_text(&b, at, "abc");
    assert_in_range(used_bytes(&b), 1, head + hot + (engine == engines[0] ? 0 : streams));
    send_text(&b, 303, "d....");
    send_text(&b, 310, "....");
    assert_in_range(used_bytes(&b), 2000, b.flow.bytes);
    send_text(&b, 308, "..");
    send_text(&b, 300, "abc");
    assert_int_equal(count(&b, "alerts"), 1);
    assert_int_equal(count(&b, "segments_out_of_order"), 3);
    assert_in_range(used_bytes(&b), 1, head + hot + 64 + (engine == engines[0] ? 0 : 512));
    close_bench(&b);
}

/* --- configuration ---------------------------------------------------------------------------- */

static void test_configuration(void **unused)
{
    static const struct {
        const char *setting, *why;
    } rows[] = {
        {"window_bytes=1000", "window_bytes (--set): is no power of two"},
        {"reassembly_bytes=3000", "reassembly_bytes (--set): is no power of two"},
        {"variables=HOME_NET", "'HOME_NET' is not NAME=VALUE"},
    };
    struct nf_bench b;

    (void)unused;
    for (size_t i = 0; i < N_OF(rows); i++) {
        const char *const settings[] = {rows[i].setting, NULL};

        assert_non_null(strstr(nf_open_error("ids", settings), rows[i].why));
    }
    assert_non_null(
        strstr(nf_open_error("ids", (const char *const[]){"window_bytes=16384",
                                                          "reassembly_bytes=16384", NULL}),
               "60000 are possible"));
    nf_open(&b, "ids", (const char *const[]){"rules=r", NULL});
    assert_non_null(strstr(nf_object_error(&b, "rules", "alert tcp any any -> any any (a; sid:1;)"),
                           "none of the 1 rules"));
    nf_close(&b);
    if (ids_has_hyperscan()) {
        nf_open(
            &b, "ids",
            (const char *const[]){"rules=r", "engine=hyperscan", "hyperscan_state_bytes=64", NULL});
        assert_non_null(
            strstr(nf_object_error(&b, "rules",
                                   "alert tcp any any -> any any (content:\"abcdefgh\"; sid:1;)"),
                   "set hyperscan_state_bytes to that or more"));
        nf_close(&b);
    } else {
        assert_non_null(
            strstr(nf_open_error("ids", (const char *const[]){"engine=hyperscan", NULL}),
                   "this build has no Hyperscan"));
    }
}

#define TEST_WITH_ENGINES(name)                                                                    \
    static void both_##name(void **unused)                                                         \
    {                                                                                              \
        (void)unused;                                                                              \
        with_engines(test_##name);                                                                 \
    }

TEST_WITH_ENGINES(whole)
TEST_WITH_ENGINES(split)
TEST_WITH_ENGINES(window)
TEST_WITH_ENGINES(pcre)
TEST_WITH_ENGINES(common_content)
TEST_WITH_ENGINES(gap)
TEST_WITH_ENGINES(acknowledged_gap)
TEST_WITH_ENGINES(flow_options)
TEST_WITH_ENGINES(ports_used_again)
TEST_WITH_ENGINES(drop)
TEST_WITH_ENGINES(datagrams)
TEST_WITH_ENGINES(contents)
TEST_WITH_ENGINES(new_rules)
TEST_WITH_ENGINES(record)
TEST_WITH_ENGINES(segments)
TEST_WITH_ENGINES(checks_on_streams)
TEST_WITH_ENGINES(pcre_from_a_content_on)
TEST_WITH_ENGINES(small_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_whole),
        cmocka_unit_test(both_split),
        cmocka_unit_test(both_window),
        cmocka_unit_test(both_pcre),
        cmocka_unit_test(both_common_content),
        cmocka_unit_test(both_gap),
        cmocka_unit_test(both_acknowledged_gap),
        cmocka_unit_test(both_flow_options),
        cmocka_unit_test(both_ports_used_again),
        cmocka_unit_test(both_drop),
        cmocka_unit_test(both_datagrams),
        cmocka_unit_test(both_contents),
        cmocka_unit_test(both_new_rules),
        cmocka_unit_test(both_record),
        cmocka_unit_test(both_segments),
        cmocka_unit_test(both_checks_on_streams),
        cmocka_unit_test(both_pcre_from_a_content_on),
        cmocka_unit_test(both_small_state),
        cmocka_unit_test(test_small_changes),
        cmocka_unit_test(test_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
