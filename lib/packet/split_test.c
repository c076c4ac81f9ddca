#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rill/nf.h>

#include "lib/packet/split.h"
#include "lib/packet/test_packets.h"

enum { CONTROLLERS = 5, PORT_LOW = 1000, PORTS = 103, CLIENTS = 2000 };

static const uint8_t public_addr[2][16] = {{198, 51, 100, 9}, {198, 51, 100, 1}};

static struct rill_split *split;
static uint64_t now_ns;
static enum rill_split_kind kind;

static struct rill_split_config usual(enum rill_key_kind flows, uint32_t writes)
{
    return (struct rill_split_config){
        .controllers = CONTROLLERS, .kind = flows, .writes = writes, .seed = 7};
}

static struct rill_split_config nat(void)
{
    struct rill_split_config config = usual(RILL_KEY_INSIDE_ENDPOINT, RILL_WRITES_SOURCE);

    config.pools[0] = (struct rill_split_pool){.proto = RILL_UDP,
                                               .family = 4,
                                               .port_low = PORT_LOW,
                                               .port_high = PORT_LOW + PORTS - 1,
                                               .addresses = 2,
                                               .addr = public_addr};
    config.pool_count = 1;
    return config;
}

static void create(struct rill_split_config config)
{
    struct rill_error err = {.text = ""};

    rill_split_destroy(split);
    split = rill_split_create(&config, &err);
    assert_non_null(split);
}

static int teardown(void **state)
{
    (void)state;
    rill_split_destroy(split);
    split = NULL;
    return 0;
}

static uint32_t slot_of(struct test_packet *p, enum rill_side side)
{
    struct rte_mbuf *m;
    uint32_t slot;

    test_finish(p);
    m = test_mbuf(p->bytes, p->len);
    slot = rill_split_slot(split, m, p->len, side, now_ns, &kind);
    test_mbuf_free(m);
    assert_true(slot < CONTROLLERS);
    return slot;
}

static uint32_t udp(const char *source, uint16_t sport, const char *destination, uint16_t dport,
                    enum rill_side side)
{
    struct test_packet p = {0};

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, source, destination, RILL_UDP, 0, 0);
    test_udp(&p, sport, dport, 10);
    return slot_of(&p, side);
}

static const char *client(uint32_t i)
{
    static char text[32];

    snprintf(text, sizeof(text), "10.0.%u.%u", i / 250, 1 + i % 250);
    return text;
}

static void both_directions_of_a_connection_go_to_one(void **state)
{
    uint32_t count[CONTROLLERS] = {0};

    (void)state;
    create(usual(RILL_KEY_CONNECTION, 0));
    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint32_t out = udp(client(i), 5000, "192.0.2.1", 80, RILL_INSIDE);

        assert_int_equal(udp("192.0.2.1", 80, client(i), 5000, RILL_OUTSIDE), out);
        assert_int_equal(udp("192.0.2.1", 80, client(i), 5000, RILL_INSIDE), out);
        count[out]++;
    }
    for (uint32_t i = 0; i < CONTROLLERS; i++)
        assert_in_range(count[i], CLIENTS / CONTROLLERS * 8 / 10, CLIENTS / CONTROLLERS * 12 / 10);
}

static void an_inside_endpoint_goes_to_one_whoever_it_talks_to(void **state)
{
    (void)state;
    create(nat());
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(udp(client(i), 5000, "192.0.2.1", 80, RILL_INSIDE),
                         udp(client(i), 5000, "203.0.113.7", 81, RILL_INSIDE));
}

static void a_reply_goes_to_whom_its_endpoint_belongs(void **state)
{
    (void)state;
    create(nat());
    for (uint32_t a = 0; a < 2; a++) {
        for (uint32_t port = 0; port < PORTS; port++) {
            uint32_t index = a * PORTS + port;
            uint32_t slot = udp("192.0.2.1", 80, a == 0 ? "198.51.100.9" : "198.51.100.1",
                                (uint16_t)(PORT_LOW + port), RILL_OUTSIDE);
            struct rill_split_range part = rill_split_part(2 * PORTS, slot, CONTROLLERS);

            assert_in_range(index, part.low, part.end - 1);
        }
    }
}

/* Between them the parts are the pool. */
static void parts_are_all_of_a_pool_and_do_not_meet(void **state)
{
    (void)state;
    for (uint32_t size = 1; size < 200; size++) {
        for (uint32_t n = 1; n <= 16; n++) {
            uint32_t next = 0;

            for (uint32_t slot = 0; slot < n; slot++) {
                struct rill_split_range part = rill_split_part(size, slot, n);

                assert_int_equal(part.low, next);
                for (uint32_t i = part.low; i < part.end; i++)
                    assert_int_equal(rill_split_owner(size, i, n), slot);
                next = part.end;
            }
            assert_int_equal(next, size);
        }
    }
}

/* A load balancer: the reply comes from a backend that the request did not name. */
static void a_rewritten_end_does_not_count(void **state)
{
    (void)state;
    create(usual(RILL_KEY_CONNECTION, RILL_WRITES_DESTINATION));
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(udp(client(i), 5000, "192.0.2.1", 80, RILL_INSIDE),
                         udp("192.0.2.10", 8080, client(i), 5000, RILL_OUTSIDE));
    create(usual(RILL_KEY_CONNECTION, RILL_WRITES_SOURCE));
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(udp("10.0.0.1", (uint16_t)i, "192.0.2.1", 80, RILL_INSIDE),
                         udp("192.0.2.1", 80, "198.51.100.1", (uint16_t)(i + 1), RILL_OUTSIDE));
}

static void hosts_alone_count_where_flows_are_hosts(void **state)
{
    (void)state;
    create(usual(RILL_KEY_OUTSIDE_HOST, 0));
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(udp("10.0.0.1", 1, client(i), 2, RILL_INSIDE),
                         udp(client(i), 3, "10.0.0.2", 4, RILL_OUTSIDE));
}

static void refused(struct rill_split_config config)
{
    struct rill_error err = {.text = ""};

    assert_null(rill_split_create(&config, &err));
    assert_non_null(strstr(err.text, "one controller only"));
}

static void replies_that_look_like_nobodys_are_refused(void **state)
{
    (void)state;
    refused(usual(RILL_KEY_CONNECTION, RILL_WRITES_SOURCE | RILL_WRITES_DESTINATION));
    refused(usual(RILL_KEY_INSIDE_ENDPOINT, RILL_WRITES_SOURCE));
    refused(usual(RILL_KEY_OUTSIDE_HOST, RILL_WRITES_DESTINATION));
}

/* An error about a packet that went out under a public endpoint, and one about its reply. */
static void an_error_goes_where_the_packet_went(void **state)
{
    (void)state;
    create(nat());
    for (uint32_t port = 0; port < PORTS; port++) {
        struct test_packet quoted = {0}, error = {0};

        test_ip(&quoted, "198.51.100.1", "192.0.2.1", RILL_UDP, 0, 0);
        test_udp(&quoted, (uint16_t)(PORT_LOW + port), 80, 10);
        test_finish(&quoted);
        test_ethernet(&error, 0x0800, 0);
        test_ip(&error, "203.0.113.7", "198.51.100.1", RILL_ICMP, 0, 0);
        test_icmp(&error, 3, 3, 0, 0);
        test_quote(&error, &quoted, 0);
        assert_int_equal(slot_of(&error, RILL_OUTSIDE),
                         rill_split_owner(2 * PORTS, PORTS + port, CONTROLLERS));
    }
}

static struct test_packet fragment(uint32_t i, bool first)
{
    struct test_packet p = {0};

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, client(i), "192.0.2.1", RILL_UDP, 0, first ? 0x2000 : 0x0002);
    if (first)
        test_udp(&p, (uint16_t)i, 80, 8);
    else
        test_fill(&p, 16);
    return p;
}

static void a_later_fragment_goes_where_its_first_went(void **state)
{
    (void)state;
    create(usual(RILL_KEY_CONNECTION, 0));
    for (uint32_t i = 0; i < 200; i++) {
        struct test_packet first = fragment(i, true), later = fragment(i, false);
        uint32_t slot;

        slot_of(&later, RILL_INSIDE);
        assert_int_equal(kind, RILL_SPLIT_EARLY);
        slot = slot_of(&first, RILL_INSIDE);
        assert_int_equal(kind, RILL_SPLIT_FIRST);
        assert_int_equal(slot, udp(client(i), (uint16_t)i, "192.0.2.1", 80, RILL_INSIDE));
        later = fragment(i, false);
        assert_int_equal(slot_of(&later, RILL_INSIDE), slot);
        assert_int_equal(kind, RILL_SPLIT_SURE);
    }
}

/* Who has read a later fragment, and knows its ports, needs no first. */
static void a_view_goes_where_its_packet_does(void **state)
{
    (void)state;
    create(nat());
    for (uint16_t port = PORT_LOW; port < PORT_LOW + PORTS; port++) {
        struct rill_view view = {.source = test_endpoint("198.51.100.1", 7, RILL_UDP),
                                 .destination = test_endpoint("198.51.100.9", port, RILL_UDP),
                                 .flags = RILL_VIEW_FRAGMENT | RILL_VIEW_LATER_FRAGMENT};

        assert_int_equal(rill_split_slot_of(split, &view, RILL_OUTSIDE),
                         udp("198.51.100.1", 7, "198.51.100.9", port, RILL_OUTSIDE));
    }
}

static void what_can_not_be_read_goes_to_the_first(void **state)
{
    struct test_packet p = {0};

    (void)state;
    create(usual(RILL_KEY_CONNECTION, 0));
    test_ethernet(&p, 0x0806, 0);
    test_fill(&p, 28);
    assert_int_equal(slot_of(&p, RILL_INSIDE), 0);
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(both_directions_of_a_connection_go_to_one),
        T(an_inside_endpoint_goes_to_one_whoever_it_talks_to),
        T(a_reply_goes_to_whom_its_endpoint_belongs),
        T(parts_are_all_of_a_pool_and_do_not_meet),
        T(a_rewritten_end_does_not_count),
        T(hosts_alone_count_where_flows_are_hosts),
        T(replies_that_look_like_nobodys_are_refused),
        T(an_error_goes_where_the_packet_went),
        T(a_later_fragment_goes_where_its_first_went),
        T(a_view_goes_where_its_packet_does),
        T(what_can_not_be_read_goes_to_the_first),
    };

    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
