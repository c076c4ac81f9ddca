#include "lib/packet/flow_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/packet/test_packets.h"

#define A4 "10.1.2.3"
#define B4 "192.0.2.77"
#define A6 "2001:db8:1::3"
#define B6 "2001:db8:ffff::77"

static struct rill_view view_of(const char *source, uint16_t source_port, const char *destination,
                                uint16_t destination_port, uint8_t proto)
{
    struct rill_view view;

    /* A key must not pick up what a view leaves undefined. */
    memset(&view, 0x5a, sizeof(view));
    view.flags = 0;
    view.source = test_endpoint(source, source_port, proto);
    view.destination = test_endpoint(destination, destination_port, proto);
    return view;
}

/* The error that answers `view`'s packet. */
static struct rill_view error_of(const struct rill_view *view, const char *router)
{
    struct rill_view error;

    memset(&error, 0x5a, sizeof(error));
    error.flags = RILL_VIEW_ICMP_ERROR;
    error.source = test_endpoint(router, 0, view->source.family == 4 ? RILL_ICMP : RILL_ICMP6);
    error.destination = view->source;
    error.destination.port = 0;
    error.destination.proto = error.source.proto;
    error.quoted_source = view->source;
    error.quoted_destination = view->destination;
    return error;
}

static struct rill_flow_key key_of(const struct rill_view *view, enum rill_side side,
                                   enum rill_key_kind kind, uint32_t vni)
{
    struct rill_flow_key key;

    memset(&key, 0xa5, sizeof(key));
    rill_flow_key(view, side, kind, vni, &key);
    return key;
}

static void assert_same(struct rill_flow_key a, struct rill_flow_key b)
{
    assert_memory_equal(&a, &b, sizeof(a));
}

static void assert_differ(struct rill_flow_key a, struct rill_flow_key b)
{
    assert_memory_not_equal(&a, &b, sizeof(a));
}

static struct rill_flow_key expected(enum rill_key_kind kind, const char *a, uint16_t port_a,
                                     const char *b, uint16_t port_b, uint8_t proto)
{
    struct rill_flow_key key;
    struct rill_endpoint end = test_endpoint(a, port_a, proto);

    memset(&key, 0, sizeof(key));
    memcpy(key.addr_a, end.addr, 16);
    if (b != NULL) {
        end = test_endpoint(b, port_b, proto);
        memcpy(key.addr_b, end.addr, 16);
    }
    key.port_a = port_a;
    key.port_b = port_b;
    key.vni = 7;
    key.kind = (uint8_t)kind;
    key.family = end.family;
    key.proto = proto;
    return key;
}

static void test_bytes_of_keys(void **state)
{
    struct rill_view view = view_of(B4, 53, A4, 5353, RILL_UDP);

    (void)state;
    assert_same(key_of(&view, RILL_INSIDE, RILL_KEY_CONNECTION, 7),
                expected(RILL_KEY_CONNECTION, A4, 5353, B4, 53, RILL_UDP));
    assert_same(key_of(&view, RILL_INSIDE, RILL_KEY_INSIDE_ENDPOINT, 7),
                expected(RILL_KEY_INSIDE_ENDPOINT, B4, 53, NULL, 0, RILL_UDP));
    assert_same(key_of(&view, RILL_INSIDE, RILL_KEY_INSIDE_HOST, 7),
                expected(RILL_KEY_INSIDE_HOST, B4, 0, NULL, 0, 0));
    assert_same(key_of(&view, RILL_INSIDE, RILL_KEY_OUTSIDE_HOST, 7),
                expected(RILL_KEY_OUTSIDE_HOST, A4, 0, NULL, 0, 0));
    view = view_of(B6, 53, A6, 5353, RILL_TCP);
    assert_same(key_of(&view, RILL_OUTSIDE, RILL_KEY_CONNECTION, 7),
                expected(RILL_KEY_CONNECTION, A6, 5353, B6, 53, RILL_TCP));
    assert_same(key_of(&view, RILL_OUTSIDE, RILL_KEY_INSIDE_ENDPOINT, 7),
                expected(RILL_KEY_INSIDE_ENDPOINT, A6, 5353, NULL, 0, RILL_TCP));
}

static void test_both_directions(void **state)
{
    struct rill_view out = view_of(A4, 40000, B4, 443, RILL_TCP);
    struct rill_view back = view_of(B4, 443, A4, 40000, RILL_TCP);

    (void)state;
    for (int kind = RILL_KEY_CONNECTION; kind <= RILL_KEY_OUTSIDE_HOST; kind++) {
        enum rill_key_kind k = (enum rill_key_kind)kind;

        assert_same(key_of(&out, RILL_INSIDE, k, 1), key_of(&back, RILL_OUTSIDE, k, 1));
        if (k != RILL_KEY_CONNECTION)
            assert_differ(key_of(&out, RILL_INSIDE, k, 1), key_of(&back, RILL_INSIDE, k, 1));
    }
    assert_same(key_of(&out, RILL_OUTSIDE, RILL_KEY_CONNECTION, 1),
                key_of(&back, RILL_OUTSIDE, RILL_KEY_CONNECTION, 1));
}

/* The order is total: by address, all 16 bytes of it, then by port. */
static void test_canonical_order(void **state)
{
    static const char *const addrs[] = {"::1",           "::2",           "::ff00",
                                        "2001:db8::",    "2001:db8::1",   "2001:db8:0:0:1::",
                                        "fe80::1:0:0:0", "ff00:1:2:3:4::"};
    enum { N = sizeof(addrs) / sizeof(addrs[0]) };

    (void)state;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            struct rill_view out = view_of(addrs[i], 10, addrs[j], 20, RILL_UDP);
            struct rill_view back = view_of(addrs[j], 20, addrs[i], 10, RILL_UDP);
            struct rill_flow_key key = key_of(&out, RILL_INSIDE, RILL_KEY_CONNECTION, 1);

            assert_same(key, key_of(&back, RILL_INSIDE, RILL_KEY_CONNECTION, 1));
            assert_true(memcmp(key.addr_a, key.addr_b, 16) <= 0);
            if (i == j)
                assert_int_equal(key.port_a, 10);
        }
    }
}

static void test_errors_have_the_key_of_what_they_quote(void **state)
{
    struct rill_view out = view_of(A4, 40000, B4, 443, RILL_TCP);
    struct rill_view in = view_of(B6, 443, A6, 40000, RILL_UDP);
    struct rill_view from_outside = error_of(&out, "198.51.100.1");
    struct rill_view from_inside = error_of(&in, "2001:db8:1::1");

    (void)state;
    for (int kind = RILL_KEY_CONNECTION; kind <= RILL_KEY_OUTSIDE_HOST; kind++) {
        enum rill_key_kind k = (enum rill_key_kind)kind;

        assert_same(key_of(&out, RILL_INSIDE, k, 1), key_of(&from_outside, RILL_OUTSIDE, k, 1));
        assert_same(key_of(&in, RILL_OUTSIDE, k, 1), key_of(&from_inside, RILL_INSIDE, k, 1));
    }
}

static void test_kinds_and_deployments_differ(void **state)
{
    struct rill_view view = view_of(A4, 0, B4, 0, 0);
    struct rill_flow_key keys[6];

    (void)state;
    for (int i = 0; i < 4; i++)
        keys[i] = key_of(&view, RILL_INSIDE, (enum rill_key_kind)(RILL_KEY_CONNECTION + i), 1);
    rill_alias_key(&view.source, NULL, 1, &keys[4]);
    rill_alias_key(&view.source, &view.destination, 1, &keys[5]);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++)
            assert_differ(keys[i], keys[j]);
    }
    assert_differ(keys[0], key_of(&view, RILL_INSIDE, RILL_KEY_CONNECTION, 2));
    view.source.proto = view.destination.proto = RILL_UDP;
    assert_differ(keys[0], key_of(&view, RILL_INSIDE, RILL_KEY_CONNECTION, 1));
}

static void test_families_differ(void **state)
{
    struct rill_view four = view_of("32.1.13.184", 1, "32.1.13.185", 2, RILL_UDP);
    struct rill_view six = view_of("2001:db8::", 1, "2001:db9::", 2, RILL_UDP);

    (void)state;
    assert_memory_equal(four.source.addr, six.source.addr, 16);
    assert_differ(key_of(&four, RILL_INSIDE, RILL_KEY_INSIDE_HOST, 1),
                  key_of(&six, RILL_INSIDE, RILL_KEY_INSIDE_HOST, 1));
}

static void test_alias_keys(void **state)
{
    struct rill_endpoint local = test_endpoint("203.0.113.9", 61000, RILL_UDP);
    struct rill_endpoint remote = test_endpoint(B4, 53, RILL_UDP);
    struct rill_view reply = view_of(B4, 53, "203.0.113.9", 61000, RILL_UDP);
    struct rill_view stranger = view_of("192.0.2.78", 53, "203.0.113.9", 61000, RILL_UDP);
    struct rill_flow_key any, one, any_of, one_of;

    (void)state;
    rill_alias_key(&local, NULL, 7, &any);
    rill_alias_key(&local, &remote, 7, &one);
    assert_same(any, expected(RILL_KEY_ALIAS_ANY, "203.0.113.9", 61000, NULL, 0, RILL_UDP));
    assert_same(one, expected(RILL_KEY_ALIAS_REMOTE, "203.0.113.9", 61000, B4, 53, RILL_UDP));
    rill_alias_keys_of(&reply, 7, &any_of, &one_of);
    assert_same(any, any_of);
    assert_same(one, one_of);
    rill_alias_keys_of(&stranger, 7, &any_of, &one_of);
    assert_same(any, any_of);
    assert_differ(one, one_of);
    rill_alias_keys_of(&reply, 8, &any_of, &one_of);
    assert_differ(any, any_of);
}

/* What left as local to remote, and is answered by a router's error. */
static void test_alias_keys_of_errors(void **state)
{
    struct rill_endpoint local = test_endpoint("203.0.113.9", 61000, RILL_UDP);
    struct rill_endpoint remote = test_endpoint(B4, 53, RILL_UDP);
    struct rill_view sent = view_of("203.0.113.9", 61000, B4, 53, RILL_UDP);
    struct rill_view error = error_of(&sent, "198.51.100.1");
    struct rill_flow_key any, one, any_of, one_of;

    (void)state;
    rill_alias_key(&local, NULL, 7, &any);
    rill_alias_key(&local, &remote, 7, &one);
    rill_alias_keys_of(&error, 7, &any_of, &one_of);
    assert_same(any, any_of);
    assert_same(one, one_of);
}

static void test_of_parsed_packets(void **state)
{
    struct test_packet p;
    struct rill_view view;

    (void)state;
    test_ethernet(&p, 0x0800, 1);
    test_ip(&p, B4, A4, RILL_ICMP, 0, 0);
    test_icmp(&p, 0, 0, 0x77, 8);
    test_finish(&p);
    assert_int_equal(test_parse(&p, 0, &view), RILL_PARSE_OK);
    assert_same(key_of(&view, RILL_OUTSIDE, RILL_KEY_CONNECTION, 7),
                expected(RILL_KEY_CONNECTION, A4, 0x77, B4, 0x77, RILL_ICMP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_keys),
        cmocka_unit_test(test_both_directions),
        cmocka_unit_test(test_canonical_order),
        cmocka_unit_test(test_errors_have_the_key_of_what_they_quote),
        cmocka_unit_test(test_kinds_and_deployments_differ),
        cmocka_unit_test(test_families_differ),
        cmocka_unit_test(test_alias_keys),
        cmocka_unit_test(test_alias_keys_of_errors),
        cmocka_unit_test(test_of_parsed_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
