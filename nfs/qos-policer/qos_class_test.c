#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "qos_class.h"

static struct qos_class read_class(const char *text)
{
    struct qos_class class;
    char why[160] = "";

    if (qos_class_read(text, &class, why, sizeof(why)) != 0)
        fail_msg("%s: %s", text, why);
    return class;
}

static void test_one_rate(void **unused)
{
    struct qos_class c =
        read_class("udp port 5000-5099 cir=200kbps cbs=10KB ebs=20000B yellow=af41");

    (void)unused;
    assert_int_equal(c.proto, RILL_UDP);
    assert_int_equal(c.port_low, 5000);
    assert_int_equal(c.port_high, 5099);
    assert_false(c.two_rates);
    assert_int_equal(c.one.cbs, 80000000);
    assert_int_equal(c.one.ebs, 160000000);
    assert_int_equal(c.one.cir_bytes_per_period, 200);
    assert_int_equal(c.one.cir_period, 1000);
    assert_int_equal(c.committed_fill_ns, UINT64_C(1200000000)); /* 30 KB at 200 kbps: 1.2 s */
    assert_int_equal(c.action[RTE_COLOR_GREEN], QOS_KEEP);
    assert_int_equal(c.action[RTE_COLOR_YELLOW], 34);
    assert_int_equal(c.action[RTE_COLOR_RED], QOS_DROP);
}

static void test_two_rates(void **unused)
{
    struct qos_class c = read_class("any\t inbound cir=1Mbps cbs=1MB pir=3Gbps pbs=2MB red=cs1");

    (void)unused;
    assert_int_equal(c.proto, 0);
    assert_int_equal(c.way, QOS_INBOUND);
    assert_true(c.two_rates);
    assert_int_equal(c.two.cir_bytes_per_period, 1000);
    assert_int_equal(c.two.pir_bytes_per_period, 3000000);
    assert_int_equal(c.two.pbs, UINT64_C(16000000000));
    assert_int_equal(c.committed_fill_ns, UINT64_C(8000000000));
    assert_int_equal(c.peak_fill_ns, 5334000); /* rounded up to a period */
    assert_int_equal(c.action[RTE_COLOR_RED], 8);
}

static void test_code_points(void **unused)
{
    static const struct {
        const char *text;
        int value;
    } rows[] = {{"df", 0},    {"be", 0},    {"le", 1},    {"ef", 46},   {"va", 44},   {"cs0", 0},
                {"cs7", 56},  {"af11", 10}, {"af43", 38}, {"af32", 28}, {"0", 0},     {"63", 63},
                {"keep", 64}, {"drop", 65}, {"64", -1},   {"cs8", -1},  {"af14", -1}, {"af51", -1},
                {"", -1},     {"-1", -1},   {"ef ", 46},  {"EF", -1}};
    char text[80], why[160];
    struct qos_class c;

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "any cir=1Mbps cbs=1KB green=%s", rows[i].text);
        if (rows[i].value < 0)
            assert_int_equal(qos_class_read(text, &c, why, sizeof(why)), -1);
        else
            assert_int_equal(read_class(text).action[RTE_COLOR_GREEN], rows[i].value);
    }
}

static struct rill_endpoint endpoint(const char *address, uint16_t port, uint8_t proto)
{
    struct rill_endpoint e = {.port = port, .proto = proto};

    e.family = strchr(address, ':') != NULL ? 6 : 4;
    assert_int_equal(inet_pton(e.family == 6 ? AF_INET6 : AF_INET, address, e.addr), 1);
    return e;
}

static void test_match(void **unused)
{
    static const struct {
        const char *class;
        const char *source, *destination;
        uint16_t source_port, destination_port;
        uint8_t proto;
        bool outbound, has;
    } rows[] = {
        {"any", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, true, true},
        {"tcp", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, false, true},
        {"udp", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, true, false},
        {"icmp", "2001:db8::1", "2001:db8::2", 7, 7, RILL_ICMP6, true, true},
        {"icmp", "10.0.0.1", "192.0.2.1", 7, 7, RILL_ICMP, true, true},
        {"tcp port 80", "10.0.0.1", "192.0.2.1", 80, 2, RILL_TCP, true, true},
        {"tcp port 80", "10.0.0.1", "192.0.2.1", 1, 80, RILL_TCP, true, true},
        {"tcp port 80", "10.0.0.1", "192.0.2.1", 79, 81, RILL_TCP, true, false},
        {"tcp port 0-65535", "10.0.0.1", "192.0.2.1", 0, 65535, RILL_TCP, true, true},
        {"tcp outbound", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, true, true},
        {"tcp outbound", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, false, false},
        {"tcp inbound", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, false, true},
        {"any net 10.0.0.0/31", "10.0.0.1", "192.0.2.1", 1, 2, RILL_TCP, true, true},
        {"any net 10.0.0.0/31", "192.0.2.1", "10.0.0.1", 1, 2, RILL_TCP, true, true},
        {"any net 10.0.0.0/31", "10.0.0.2", "192.0.2.1", 1, 2, RILL_TCP, true, false},
        {"any net 10.0.0.2", "10.0.0.2", "192.0.2.1", 1, 2, RILL_TCP, true, true},
        {"any net 0.0.0.0/0", "10.0.0.2", "192.0.2.1", 1, 2, RILL_TCP, true, true},
        {"any net 0.0.0.0/0", "2001:db8::1", "2001:db8::2", 1, 2, RILL_TCP, true, false},
        {"any net 2001:db8::/33", "2001:db8:7fff::1", "2001:db9::2", 1, 2, RILL_TCP, true, true},
        {"any net 2001:db8::/33", "2001:db8:8000::1", "2001:db9::2", 1, 2, RILL_TCP, true, false},
    };
    char text[80];

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rill_endpoint a = endpoint(rows[i].source, rows[i].source_port, rows[i].proto);
        struct rill_endpoint b =
            endpoint(rows[i].destination, rows[i].destination_port, rows[i].proto);
        struct qos_class c;

        snprintf(text, sizeof(text), "%s cir=1Mbps cbs=1KB", rows[i].class);
        c = read_class(text);
        if (qos_class_has(&c, rows[i].outbound, &a, &b) != rows[i].has)
            fail_msg("row %zu: %s", i, rows[i].class);
    }
}

static void test_errors(void **unused)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "empty"},
        {"sctp cir=1Mbps cbs=1KB", "sctp"},
        {"tcp", "needs cir"},
        {"tcp cir=1Mbps", "needs cir"},
        {"tcp cir=1.5Mbps cbs=1KB", "cir=1.5Mbps"},
        {"tcp cir=0Mbps cbs=1KB", "cir=0Mbps"},
        {"tcp cir=401Gbps cbs=1KB", "400Gbps"},
        {"tcp cir=1 cbs=1KB", "cir=1"},
        {"tcp cir=1Mbps cbs=1001MB", "1000MB"},
        {"tcp cir=1Mbps cbs=1GB", "cbs=1GB"},
        {"tcp cir=1Mbps cbs=99999999999999999999B", "cbs="},
        {"tcp cir=1Mbps cbs=1KB rate=2", "'rate'"},
        {"tcp cir=1Mbps cbs=1KB pir=2Mbps", "pir and pbs"},
        {"tcp cir=1Mbps cbs=1KB pbs=2KB", "pir and pbs"},
        {"tcp cir=2Mbps cbs=1KB pir=1Mbps pbs=2KB", "less than cir"},
        {"tcp cir=2Mbps cbs=1KB ebs=1KB pir=3Mbps pbs=2KB", "ebs"},
        {"any port 80 cir=1Mbps cbs=1KB", "tcp and udp"},
        {"tcp port 65536 cir=1Mbps cbs=1KB", "65536"},
        {"tcp port 80- cir=1Mbps cbs=1KB", "80-"},
        {"tcp port 81-80 cir=1Mbps cbs=1KB", "before its start"},
        {"tcp port", "port ''"},
        {"tcp net", "net ''"},
        {"tcp net 10.0.0.0/33 cir=1Mbps cbs=1KB", "10.0.0.0/33"},
        {"tcp net 10.0.0.1/8 cir=1Mbps cbs=1KB", "behind its prefix"},
        {"tcp net 10.0.0/8 cir=1Mbps cbs=1KB", "10.0.0/8"},
        {"tcp net 10.0.0.0/ cir=1Mbps cbs=1KB", "10.0.0.0/"},
        {"tcp inbound outbound cir=1Mbps cbs=1KB", "twice"},
        {"tcp from 10.0.0.0/8 cir=1Mbps cbs=1KB", "'from'"},
        {"tcp cir=1Mbps cbs=1KB red=purple", "red=purple"},
    };
    struct qos_class c;

    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char why[160] = "";

        assert_int_equal(qos_class_read(rows[i].text, &c, why, sizeof(why)), -1);
        if (strstr(why, rows[i].part) == NULL)
            fail_msg("%s: no '%s' in: %s", rows[i].text, rows[i].part, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_rate),    cmocka_unit_test(test_two_rates),
        cmocka_unit_test(test_code_points), cmocka_unit_test(test_match),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
