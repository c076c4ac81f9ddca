#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/nf_testing.h"

/* A packet of nf_packet() has 37 bytes of payload: 77 octets of IPv4 with TCP, 65 with UDP, 97 of
 * IPv6 with TCP. */
static const char there[] = "tcp 10.0.0.9 1000 > 203.0.113.5 80",
                  back[] = "tcp 203.0.113.5 80 > 10.0.0.9 1000";

static void open_bench(struct nf_bench *b, struct nf_flow *f, const char *setting)
{
    const char *settings[] = {setting, NULL};

    nf_open(b, "monitor", settings);
    nf_flow_open(f, b);
    nf_records_clear();
}

static void close_bench(struct nf_bench *b, struct nf_flow *f)
{
    nf_flow_close(f);
    nf_close(b);
}

static void holds(const char *part)
{
    if (strstr(nf_records(), part) == NULL)
        fail_msg("no '%s' in: %s", part, nf_records());
}

static void test_flow(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, NULL);
    assert_int_equal(rill_nf_state_bytes(b.nf), 136);
    nf_send(&b, &f, RILL_INSIDE, there, there);
    nf_flow_move(&f);
    nf_send(&b, &f, RILL_OUTSIDE, back, back);
    nf_send(&b, &f, RILL_INSIDE, there, there);
    assert_int_equal(nf_record_count(), 0);
    nf_end(&b, &f, back);
    assert_int_equal(nf_record_count(), 1);
    holds(
        "{\"event_type\": \"flow\", \"flowStartNanoseconds\": \"1970-01-01T00:00:00.000000001Z\", "
        "\"flowEndNanoseconds\": \"1970-01-01T00:00:00.000002001Z\", "
        "\"sourceIPv4Address\": \"10.0.0.9\", \"destinationIPv4Address\": \"203.0.113.5\", "
        "\"sourceTransportPort\": 1000, \"destinationTransportPort\": 80, "
        "\"protocolIdentifier\": 6, \"packetDeltaCount\": 2, \"octetDeltaCount\": 154, "
        "\"reversePacketDeltaCount\": 1, \"reverseOctetDeltaCount\": 77, "
        "\"tcpControlBits\": 16, \"reverseTcpControlBits\": 16, \"flowEndReason\": 1}");
    assert_int_equal(nf_count(&b, "flow_records"), 1);
    close_bench(&b, &f);
}

/* Who sent first is the source, be it the smaller endpoint or the larger. */
static void test_source_is_who_sent_first(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, NULL);
    nf_send(&b, &f, RILL_OUTSIDE, back, back);
    nf_send(&b, &f, RILL_INSIDE, there, there);
    nf_send(&b, &f, RILL_INSIDE, there, there);
    nf_end(&b, &f, there);
    holds("\"sourceIPv4Address\": \"203.0.113.5\"");
    holds("\"packetDeltaCount\": 1, \"octetDeltaCount\": 77, \"reversePacketDeltaCount\": 2");
    close_bench(&b, &f);
}

static void test_long_flow_is_reported_on(void **unused)
{
    static const char v6[] = "tcp 2001:db8::9 1000 > 2001:db8::5 80";
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "active_timeout_s=2");
    nf_send(&b, &f, RILL_INSIDE, v6, v6);
    nf_send(&b, &f, RILL_INSIDE, v6, v6);
    b.time_ns = UINT64_C(2000000001);
    nf_send(&b, &f, RILL_INSIDE, v6, v6);
    assert_int_equal(nf_record_count(), 1);
    holds("\"sourceIPv6Address\": \"2001:db8::9\"");
    holds("\"packetDeltaCount\": 2, \"octetDeltaCount\": 194,");
    holds("\"flowEndReason\": 2}");
    nf_records_clear();
    nf_end(&b, &f, v6);
    holds("\"packetDeltaCount\": 1, \"octetDeltaCount\": 97,");
    holds("\"flowStartNanoseconds\": \"1970-01-01T00:00:02.000000001Z\"");
    close_bench(&b, &f);
}

static void test_hosts(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "flows=false");
    nf_send(&b, &f, RILL_INSIDE, there, there);
    nf_send(&b, &f, RILL_INSIDE, there, there);
    nf_send(&b, &f, RILL_OUTSIDE, back, back);
    nf_end(&b, &f, there);
    assert_int_equal(nf_record_count(), 0);
    rill_nf_shared_merge(b.nf, 0, 5000000000);
    assert_int_equal(nf_record_count(), 2);
    holds(
        "{\"event_type\": \"host\", \"flowStartNanoseconds\": \"1970-01-01T00:00:00.000000000Z\", "
        "\"flowEndNanoseconds\": \"1970-01-01T00:00:05.000000000Z\", "
        "\"sourceIPv4Address\": \"10.0.0.9\", \"packetDeltaCount\": 2, \"octetDeltaCount\": 154, "
        "\"reversePacketDeltaCount\": 1, \"reverseOctetDeltaCount\": 77}");
    holds("\"sourceIPv4Address\": \"203.0.113.5\", \"packetDeltaCount\": 1,");
    rill_nf_shared_merge(b.nf, 0, 1);
    assert_int_equal(nf_record_count(), 2);
    close_bench(&b, &f);
}

static void test_without_hosts(void **unused)
{
    struct nf_bench b;
    struct nf_flow f;

    (void)unused;
    open_bench(&b, &f, "hosts=false");
    nf_send(&b, &f, RILL_INSIDE, there, there);
    rill_nf_shared_merge(b.nf, 0, 1);
    assert_int_equal(nf_record_count(), 0);
    close_bench(&b, &f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_source_is_who_sent_first),
        cmocka_unit_test(test_long_flow_is_reported_on),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_without_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
