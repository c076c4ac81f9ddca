/* What `rill trace info` says, of a capture small enough to count by hand. */
#include "traces/info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rill/endpoint.h>

#include "traces/generate_packet.h"

enum { PACKETS_MAX = 128 };

static uint8_t bytes[PACKETS_MAX][RILL_BUILD_BYTES_MAX];
static struct rill_capture_packet packets[PACKETS_MAX];
static struct rill_capture capture;
static struct rill_trace_info info;

static int begin(void **state)
{
    (void)state;
    capture = (struct rill_capture){.packets = packets, .format = "pcapng"};
    return 0;
}

static void add_bytes(uint64_t time_ns, uint32_t n)
{
    uint64_t i = capture.count++;

    packets[i] = (struct rill_capture_packet){
        .time_ns = time_ns, .data = bytes[i], .bytes = n, .wire_bytes = n};
    capture.bytes += n;
}

static void add(uint64_t time_us, uint8_t family, uint8_t proto, enum rill_side from, uint16_t port,
                uint32_t n)
{
    struct rill_build_flow f = {.addr = {{10, 0, 0, 1}, {192, 0, 2, 1}},
                                .port = {port, 443},
                                .family = family,
                                .proto = proto};
    struct rill_build_packet p = {.from = from};

    p.payload_bytes = n - rill_build_header_bytes(&f);
    assert_int_equal(rill_build(&f, &p, bytes[capture.count]), n);
    add_bytes(time_us * 1000, n);
}

static void look(void)
{
    struct rill_error err;

    assert_int_equal(rill_trace_info(&capture, &info, &err), 0);
}

static void test_flowlets(void **state)
{
    (void)state;
    add(0, 4, RILL_UDP, RILL_INSIDE, 1, 1500);
    add(500, 4, RILL_UDP, RILL_OUTSIDE, 1, 1500); /* a gap of T is not over T */
    add(1001, 4, RILL_UDP, RILL_INSIDE, 1, 1500); /* this one is */
    for (int i = 0; i < 9; i++)
        add(1002, 4, RILL_UDP, RILL_INSIDE, 1, 1500); /* 15,000 bytes are not over B */
    look();
    assert_int_equal(info.flowlets, 2);
    assert_int_equal(info.flowlets_by_size, 0);
    add(1003, 4, RILL_UDP, RILL_INSIDE, 1, 60); /* 15,060 are */
    add(1003, 4, RILL_UDP, RILL_INSIDE, 2, 60); /* another flow, one way */
    look();
    assert_int_equal(info.flows, 2);
    assert_int_equal(info.flows_one_way, 3);
    assert_int_equal(info.flowlets, 4);
    assert_int_equal(info.flowlets_by_gap, 1);
    assert_int_equal(info.flowlets_by_size, 1);
}

static void test_kinds(void **state)
{
    (void)state;
    add(0, 4, RILL_TCP, RILL_INSIDE, 1, 100);
    add(1, 6, RILL_TCP, RILL_INSIDE, 1, 200);
    add(2, 4, RILL_ICMP, RILL_INSIDE, 1, 300);
    add(3, 6, RILL_ICMP6, RILL_INSIDE, 1, 400);
    add(4, 4, RILL_UDP, RILL_INSIDE, 1, 500);
    bytes[4][14 + 9] = 47; /* GRE */
    memset(bytes[5], 0, 64);
    memcpy(bytes[5] + 12, "\x81\x00\x00\x05\x08\x06", 6); /* ARP in a VLAN */
    add_bytes(5000, 64);
    add_bytes(6000, 10); /* no Ethernet header */
    add(7, 4, RILL_UDP, RILL_INSIDE, 1, 600);
    bytes[7][14 + 6] = 0x20; /* a first fragment */
    look();
    assert_int_equal(info.packets, 8);
    assert_int_equal(info.ip4, 4);
    assert_int_equal(info.ip6, 2);
    assert_int_equal(info.tcp, 2);
    assert_int_equal(info.udp, 1);
    assert_int_equal(info.icmp, 2);
    assert_int_equal(info.other_ip, 1);
    assert_int_equal(info.vlan, 1);
    assert_int_equal(info.fragments, 1);
    assert_int_equal(info.results[RILL_PARSE_OK], 6);
    assert_int_equal(info.results[RILL_PARSE_NOT_IP], 1);
    assert_int_equal(info.results[RILL_PARSE_SHORT_ETHERNET], 1);
    assert_int_equal(info.size_min, 10);
    assert_int_equal(info.size_median, 200); /* of 10 64 100 200 | 300 400 500 600 */
    assert_int_equal(info.size_max, 600);
}

static void test_rates_and_times(void **state)
{
    (void)state;
    add(0, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    add(100000, 4, RILL_UDP, RILL_INSIDE, 1, 1000); /* 100 ms later: in another window */
    add(199999, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    /* Backwards, and cut short. */
    add(150000, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    packets[3].bytes = 100;
    add(400000, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    look();
    assert_int_equal(info.backwards, 1);
    assert_int_equal(info.duration_ns, 400000000);
    assert_int_equal(info.bytes, 5000);
    assert_int_equal(info.captured_bytes, 4100);
    assert_int_equal(info.snapped, 1);
    assert_int_equal(info.mean_bps, 100000);
    assert_int_equal(info.peak_bps, 240000); /* three packets in 100 ms */
}

static void test_window_of_the_peak(void **state)
{
    (void)state;
    add(0, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    add(100000, 4, RILL_UDP, RILL_INSIDE, 1, 1000); /* 100 ms later is in another 100 ms */
    look();
    assert_int_equal(info.peak_bps, 80000);
    packets[1].time_ns--;
    add(150000, 4, RILL_UDP, RILL_INSIDE, 1, 100);
    look();
    assert_int_equal(info.peak_bps, 160000);
}

static void test_short_and_timeless_captures(void **state)
{
    (void)state;
    add(0, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    add(1000, 4, RILL_UDP, RILL_INSIDE, 1, 1000);
    look();
    assert_int_equal(info.mean_bps, 16000000);
    assert_int_equal(info.peak_bps, 16000000);
    packets[1].time_ns = 0;
    look();
    assert_int_equal(info.duration_ns, 0);
    assert_int_equal(info.mean_bps, 0);
    assert_int_equal(info.peak_bps, 0);
}

/* A later fragment belongs to the flow of its first; without that one it is a flow of its own. */
static void test_fragments_join(void **state)
{
    (void)state;
    add(0, 4, RILL_UDP, RILL_INSIDE, 1, 600);
    add(1, 4, RILL_UDP, RILL_INSIDE, 1, 600);
    add(2, 4, RILL_UDP, RILL_INSIDE, 1, 600);
    for (int i = 0; i < 3; i++)
        bytes[i][14 + 5] = i < 2 ? 1 : 2; /* identification */
    bytes[0][14 + 6] = 0x20;
    bytes[1][14 + 6] = bytes[2][14 + 6] = 0x01;
    look();
    assert_int_equal(info.fragments, 3);
    assert_int_equal(info.flows, 2);
    assert_int_equal(info.flows_one_way, 2);
}

static void test_screen(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    int column = -1;

    (void)state;
    assert_non_null(out);
    for (int i = 0; i < 100; i++)
        add((uint64_t)i * 10000, 4, RILL_TCP, RILL_INSIDE, (uint16_t)(i % 5), 1250);
    add_bytes(5, 3);
    look();
    rill_trace_info_print(&info, "some.pcap", out);
    fclose(out);
    assert_non_null(strstr(text, "some.pcap\n"));
    assert_non_null(strstr(text, "125,003"));
    assert_non_null(strstr(text, "1.01 Mbps mean"));
    assert_non_null(strstr(text, "malformed_short_ethernet"));
    assert_non_null(strstr(text, "99.0 %"));
    assert_non_null(strstr(text, "times run backwards"));
    assert_null(strstr(text, "IPv6")); /* what is not there takes no line */
    for (char *rest = text, *l; (l = strsep(&rest, "\n")) != NULL;) {
        char *percent = strstr(l, " %");

        if (percent == NULL)
            continue;
        assert_true(column < 0 || percent - l == column);
        column = (int)(percent - l);
    }
    assert_true(column > 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_flowlets, begin),
        cmocka_unit_test_setup(test_kinds, begin),
        cmocka_unit_test_setup(test_rates_and_times, begin),
        cmocka_unit_test_setup(test_window_of_the_peak, begin),
        cmocka_unit_test_setup(test_short_and_timeless_captures, begin),
        cmocka_unit_test_setup(test_fragments_join, begin),
        cmocka_unit_test_setup(test_screen, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
