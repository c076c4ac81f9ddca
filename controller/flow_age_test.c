/* When flows end: closed connections, and a table that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include <rill/nf.h>

#include "controller/controller.h"
#include "controller/controller_testing.h"

#define C rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define LIFE_NS (40 * CORE_MS)
#define CLOSED_NS (100 * CORE_MS)
#define IDLE_NS (10000 * CORE_MS)
#define TCP_NS (300000 * CORE_MS) /* longer than a turn of the timer wheel */
#define TRANSITORY_NS (3000 * CORE_MS)
#define UDP_NS (2000 * CORE_MS)
#define ICMP_NS (1000 * CORE_MS)

enum { FLOWS_MAX = 64, SYN = RTE_TCP_SYN_FLAG, ACK = RTE_TCP_ACK_FLAG };
enum { FIN = RTE_TCP_FIN_FLAG | ACK, RST = RTE_TCP_RST_FLAG };

static void create_with(struct rill_controller_config config)
{
    controller_create(&config);
    rill_controller_tick(c, now_ns, &out);
    lease(1, 1);
    assert_int_equal(rill_controller_units(c), 1);
}

static struct rill_controller_config usual(enum rill_key_kind kind, uint32_t flows_max)
{
    struct rill_controller_config config = controller_usual();

    config.flow_kind = kind;
    config.handles = RILL_HANDLES_UDP4 | RILL_HANDLES_TCP4;
    config.pool_count = 0;
    config.flow_idle_ns = IDLE_NS;
    config.flow_closed_ns = CLOSED_NS;
    config.frame_life_ns = LIFE_NS;
    config.flows_max = flows_max;
    config.units_max = 1;
    config.epoch_ns = 1000000 * CORE_MS;
    config.lease_ns = 1000000 * CORE_MS;
    config.idle_unit_ns = 1000000 * CORE_MS;
    config.waiting_packets = 0;
    config.retry_ns = CORE_MS;
    return config;
}

static void create(enum rill_key_kind kind, uint32_t flows_max)
{
    create_with(usual(kind, flows_max));
}

/* Of inside endpoints, with another life for each protocol. */
static void create_classes(void)
{
    struct rill_controller_config config = usual(RILL_KEY_INSIDE_ENDPOINT, FLOWS_MAX);

    config.handles |= RILL_HANDLES_ICMP4_ECHO | RILL_HANDLES_ICMP4_ERROR | RILL_HANDLES_OTHER4;
    config.inside_opens = true;
    config.flow_idle_tcp_ns = TCP_NS;
    config.flow_idle_tcp_transitory_ns = TRANSITORY_NS;
    config.flow_idle_udp_ns = UDP_NS;
    config.flow_idle_icmp_ns = ICMP_NS;
    create_with(config);
}

static int setup(void **state)
{
    controller_setup(state);
    create(RILL_KEY_CONNECTION, FLOWS_MAX);
    return 0;
}

/* The output logger has the term of that packet. */
static void establish(const struct rill_frame *packet)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_ESTABLISHED, OL, C);

    rill_frame(m)->flow = packet->flow;
    rill_frame(m)->term = packet->term;
    rill_frame(m)->next_unit = packet->dst;
    rill_controller_recv(c, &m, 1, now_ns, &out);
    core_clear(&out);
}

/* A packet of the inside's port `port` to that server, or back. */
static struct rill_frame tcp(uint16_t port, const char *server, enum rill_side side, uint8_t flags)
{
    struct test_packet p;
    bool in = side == RILL_INSIDE;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, in ? "10.0.0.1" : server, in ? server : "10.0.0.1", RILL_TCP, 0, 0);
    test_tcp(&p, in ? port : 80, in ? 80 : port, flags, 0, 10);
    test_finish(&p);
    enter(core_packet(&p), side);
    return core_expect(&out, RILL_FRAME_DATA, UNIT);
}

/* The flow's packets are known outside as 198.51.100.1:1000. */
static void declare(const struct rill_frame *packet)
{
    struct rill_alias alias = {.local = test_endpoint("198.51.100.1", 1000, RILL_TCP)};
    struct rte_mbuf *m = core_frame(RILL_FRAME_ALIAS, OL, C);

    rill_frame(m)->flow = packet->flow;
    rill_frame(m)->term = packet->term;
    rill_frame(m)->next_unit = packet->dst;
    core_body(m, &alias, sizeof(alias));
    rill_controller_recv(c, &m, 1, now_ns, &out);
    core_clear(&out);
}

static void tcp_reply(uint8_t flags)
{
    struct test_packet p;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "192.0.2.1", "198.51.100.1", RILL_TCP, 0, 0);
    test_tcp(&p, 80, 1000, flags, 0, 10);
    test_finish(&p);
    enter(core_packet(&p), RILL_OUTSIDE);
    core_expect(&out, RILL_FRAME_DATA, UNIT);
}

static struct rill_frame established(void)
{
    struct rill_frame f = tcp(1, "192.0.2.1", RILL_INSIDE, ACK);

    establish(&f);
    declare(&f);
    tcp_reply(ACK);
    return f;
}

static struct rill_frame udp(uint16_t port)
{
    enter(core_udp("10.0.0.1", port, "192.0.2.1", 53, 100), RILL_INSIDE);
    return core_expect(&out, RILL_FRAME_DATA, UNIT);
}

static struct rill_frame of_proto(uint8_t proto)
{
    struct test_packet p;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", proto, 0, 0);
    if (proto == RILL_ICMP)
        test_icmp(&p, 8, 0, 7, 10);
    else if (proto == RILL_UDP)
        test_udp(&p, 7, 53, 10);
    else
        test_fill(&p, 20);
    test_finish(&p);
    enter(core_packet(&p), RILL_INSIDE);
    return core_expect(&out, RILL_FRAME_DATA, UNIT);
}

/* From the inside, about a packet that came to that port of the inside. */
static void error_about(uint16_t port)
{
    struct test_packet quoted, p;

    test_ethernet(&quoted, 0x0800, 0);
    test_ip(&quoted, "192.0.2.1", "10.0.0.1", RILL_UDP, 0, 0);
    test_udp(&quoted, 53, port, 10);
    test_finish(&quoted);
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", RILL_ICMP, 0, 0);
    test_icmp(&p, 3, 3, 0, 0);
    test_quote(&p, &quoted, 28);
    test_finish(&p);
    enter(core_packet(&p), RILL_INSIDE);
}

static bool alive(const struct rill_frame *packet)
{
    return rill_controller_flow_alive(c, packet->flow);
}

/* Neither sooner nor later. */
static void ends_after(const struct rill_frame *packet, uint64_t ns)
{
    pass_time(ns - 1);
    assert_true(alive(packet));
    pass_time(1);
    assert_false(alive(packet));
}

/* --- closed connections --- */

static void both_fins_end_a_flow_soon(void **state)
{
    struct rill_frame f = tcp(1, "192.0.2.1", RILL_INSIDE, SYN);

    (void)state;
    establish(&f);
    tcp(1, "192.0.2.1", RILL_OUTSIDE, SYN | ACK);
    tcp(1, "192.0.2.1", RILL_INSIDE, FIN);
    tcp(1, "192.0.2.1", RILL_INSIDE, FIN); /* again: the other side has not yet */
    pass_time(2 * CLOSED_NS);
    assert_true(alive(&f));
    tcp(1, "192.0.2.1", RILL_OUTSIDE, FIN);
    pass_time(CLOSED_NS - 1);
    assert_true(alive(&f));
    tcp(1, "192.0.2.1", RILL_INSIDE, ACK); /* the last word; and it is in use */
    pass_time(1);
    assert_true(alive(&f));
    pass_time(CLOSED_NS - 1);
    assert_false(alive(&f));
    assert_int_equal(n()->flows_closed, 1);
    assert_int_equal(n()->flows_ended, 1);
}

static void one_rst_ends_a_flow_soon(void **state)
{
    struct rill_frame f = tcp(1, "192.0.2.1", RILL_INSIDE, ACK);

    (void)state;
    establish(&f);
    tcp(1, "192.0.2.1", RILL_OUTSIDE, RST);
    pass_time(CLOSED_NS);
    assert_false(alive(&f));
}

static void a_syn_takes_the_end_back(void **state)
{
    struct rill_frame f = tcp(1, "192.0.2.1", RILL_INSIDE, RST);

    (void)state;
    establish(&f);
    tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    pass_time(2 * CLOSED_NS);
    assert_true(alive(&f));
    pass_time(IDLE_NS);
    assert_false(alive(&f));
}

/* What is not established anywhere waits for its usual end. */
static void a_closed_flow_that_is_not_established_stays(void **state)
{
    struct rill_frame f = tcp(1, "192.0.2.1", RILL_INSIDE, RST);

    (void)state;
    pass_time(2 * CLOSED_NS);
    assert_true(alive(&f));
    pass_time(IDLE_NS);
    assert_false(alive(&f));
}

static void an_endpoint_ends_with_its_only_connection(void **state)
{
    struct rill_frame f;

    (void)state;
    create(RILL_KEY_INSIDE_ENDPOINT, FLOWS_MAX);
    f = tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    establish(&f);
    tcp(1, "192.0.2.1", RILL_INSIDE, RST);
    pass_time(CLOSED_NS);
    assert_false(alive(&f));
}

static void an_endpoint_of_several_connections_does_not(void **state)
{
    struct rill_frame f;

    (void)state;
    create(RILL_KEY_INSIDE_ENDPOINT, FLOWS_MAX);
    f = tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    establish(&f);
    tcp(1, "192.0.2.2", RILL_INSIDE, SYN);
    tcp(1, "192.0.2.1", RILL_INSIDE, RST);
    tcp(1, "192.0.2.2", RILL_INSIDE, RST);
    pass_time(2 * CLOSED_NS);
    assert_true(alive(&f));
    assert_int_equal(n()->flows_closed, 0);
}

static void a_host_does_not_end_with_a_connection(void **state)
{
    struct rill_frame f;

    (void)state;
    create(RILL_KEY_INSIDE_HOST, FLOWS_MAX);
    f = tcp(1, "192.0.2.1", RILL_INSIDE, RST);
    establish(&f);
    pass_time(2 * CLOSED_NS);
    assert_true(alive(&f));
}

/* --- lives of flows, by protocol and TCP state --- */

static void each_protocol_has_its_life(void **state)
{
    static const struct {
        uint8_t proto;
        uint64_t ns;
    } rows[] = {{RILL_UDP, UDP_NS}, {RILL_ICMP, ICMP_NS}, {47, IDLE_NS}};

    (void)state;
    create_classes();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rill_frame f = of_proto(rows[i].proto);

        pass_time(rows[i].ns / 2);
        of_proto(rows[i].proto);
        ends_after(&f, rows[i].ns);
    }
}

static void tcp_is_transitory_until_both_have_talked(void **state)
{
    struct rill_frame f;

    (void)state;
    create_classes();
    f = tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    ends_after(&f, TRANSITORY_NS);
    f = tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    establish(&f);
    declare(&f);
    tcp_reply(SYN | ACK);
    tcp(1, "192.0.2.1", RILL_INSIDE, ACK);
    ends_after(&f, TRANSITORY_NS); /* the server has sent no more than its SYN */
    f = tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    establish(&f);
    declare(&f);
    tcp_reply(SYN | ACK);
    tcp(1, "192.0.2.1", RILL_INSIDE, ACK);
    tcp_reply(ACK);
    ends_after(&f, TCP_NS);
}

/* Its own side shows that a reset was somebody else's. */
static void a_reset_is_taken_back_by_who_sent_it(void **state)
{
    struct rill_frame f;

    (void)state;
    create_classes();
    f = established();
    tcp_reply(RST);
    tcp(1, "192.0.2.1", RILL_INSIDE, ACK); /* was under way */
    ends_after(&f, CLOSED_NS);
    f = established();
    tcp_reply(RST);
    tcp_reply(ACK);
    ends_after(&f, TCP_NS);
}

static void a_connection_in_the_place_of_one_that_closed_is_transitory(void **state)
{
    struct rill_frame f;

    (void)state;
    create_classes();
    f = established();
    tcp(1, "192.0.2.1", RILL_INSIDE, SYN); /* the connection is there: means nothing */
    pass_time(TRANSITORY_NS);
    assert_true(alive(&f));
    tcp(1, "192.0.2.1", RILL_INSIDE, RST);
    tcp(1, "192.0.2.1", RILL_INSIDE, SYN);
    ends_after(&f, TRANSITORY_NS);
}

/* One connection of an endpoint is established: the others that open or end take nothing from it.
 */
static void an_endpoint_lives_as_long_as_its_longest(void **state)
{
    struct rill_frame f;

    (void)state;
    create_classes();
    f = established();
    tcp(1, "192.0.2.2", RILL_INSIDE, SYN);
    tcp(1, "192.0.2.2", RILL_INSIDE, RST);
    ends_after(&f, TCP_NS);
}

static void an_error_lengthens_nothing(void **state)
{
    struct rill_frame f;

    (void)state;
    create_classes();
    f = of_proto(RILL_UDP);
    pass_time(UDP_NS - LIFE_NS / 2);
    error_about(7);
    assert_int_equal(core_expect(&out, RILL_FRAME_DATA, UNIT).flow, f.flow);
    ends_after(&f, LIFE_NS); /* but for the frame that is under way now */
    f = of_proto(RILL_UDP);
    pass_time(UDP_NS - 2 * LIFE_NS);
    error_about(7);
    ends_after(&f, 2 * LIFE_NS);
}

static void an_error_opens_no_flow(void **state)
{
    (void)state;
    create_classes();
    error_about(7);
    assert_int_equal(n()->dropped_error_of_no_flow, 1);
    assert_int_equal(n()->flows, 0);
}

static void an_error_keeps_its_flow_from_giving_way(void **state)
{
    struct rill_controller_config config = usual(RILL_KEY_INSIDE_ENDPOINT, 1);
    struct rill_frame f;

    (void)state;
    config.handles |= RILL_HANDLES_ICMP4_ERROR;
    create_with(config);
    f = of_proto(RILL_UDP);
    establish(&f);
    pass_time(LIFE_NS);
    error_about(7);
    now_ns += LIFE_NS;
    enter(core_udp("10.0.0.1", 1, "192.0.2.1", 53, 100), RILL_INSIDE);
    assert_int_equal(n()->dropped_flow_table_full, 1);
    now_ns++;
    udp(1);
    assert_false(alive(&f));
}

/* --- a full table --- */

static void the_flow_idle_for_longest_gives_way(void **state)
{
    struct rill_frame f[3];

    (void)state;
    create(RILL_KEY_CONNECTION, 2);
    for (uint16_t i = 0; i < 2; i++) {
        f[i] = udp(i);
        establish(&f[i]);
        now_ns += LIFE_NS / 4;
    }
    udp(0); /* the older is used again */
    now_ns += LIFE_NS;
    f[2] = udp(2);
    assert_true(alive(&f[0]) && alive(&f[2]));
    assert_false(alive(&f[1]));
    assert_int_equal(n()->flows_evicted, 1);
    assert_int_equal(n()->flows_ended, 1);
    assert_int_equal(n()->dropped_flow_table_full, 0);
}

static void nobody_gives_way_while_frames_may_be_under_way(void **state)
{
    struct rill_frame f;

    (void)state;
    create(RILL_KEY_CONNECTION, 1);
    f = udp(0);
    establish(&f);
    now_ns += LIFE_NS;
    enter(core_udp("10.0.0.1", 1, "192.0.2.1", 53, 100), RILL_INSIDE);
    assert_int_equal(n()->dropped_flow_table_full, 1);
    now_ns++;
    udp(1);
    assert_false(alive(&f));
}

/* The flows of a burst are looked up before its first packet is handled. */
static void a_burst_forgets_whom_it_made_give_way(void **state)
{
    struct rte_mbuf *burst[2];
    struct rill_frame before, first;

    (void)state;
    create(RILL_KEY_CONNECTION, 1);
    before = udp(0);
    establish(&before);
    now_ns += LIFE_NS + 1;
    for (uint16_t i = 0; i < 2; i++) {
        burst[i] = core_udp("10.0.0.1", 1 - i, "192.0.2.1", 53, 100);
        rill_frame(burst[i])->flags = 0;
        rill_frame(burst[i])->side = RILL_INSIDE;
    }
    rill_controller_ingress(c, burst, 2, now_ns, &out);
    first = core_expect(&out, RILL_FRAME_DATA, UNIT);
    assert_int_not_equal(first.flow, before.flow);
    assert_false(alive(&before));
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    assert_int_equal(n()->dropped_flow_table_full, 1);
}

static void who_is_not_established_stays(void **state)
{
    struct rill_frame f[2];

    (void)state;
    create(RILL_KEY_CONNECTION, 2);
    f[0] = udp(0);
    now_ns += LIFE_NS;
    f[1] = udp(1);
    establish(&f[1]);
    now_ns += LIFE_NS + 1;
    udp(2);
    assert_true(alive(&f[0]));
    assert_false(alive(&f[1]));
    enter(core_udp("10.0.0.1", 3, "192.0.2.1", 53, 100), RILL_INSIDE);
    assert_int_equal(n()->dropped_flow_table_full, 1);
}

/* As many flows end at one time as the table holds: some with each tick, all in the end. */
static void many_ends_come_in_parts(void **state)
{
    enum { MANY = 2000 };

    uint64_t ended;

    (void)state;
    create(RILL_KEY_CONNECTION, MANY);
    for (uint16_t i = 0; i < MANY; i++)
        udp(i);
    now_ns += IDLE_NS;
    rill_controller_tick(c, now_ns, &out);
    ended = n()->flows_ended;
    assert_in_range(ended, 1, MANY / 4);
    while (n()->flows_ended < MANY) {
        assert_true(rill_controller_next_ns(c) <= now_ns);
        rill_controller_tick(c, now_ns, &out);
        assert_true(n()->flows_ended > ended);
        ended = n()->flows_ended;
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, controller_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(both_fins_end_a_flow_soon),
        T(one_rst_ends_a_flow_soon),
        T(a_syn_takes_the_end_back),
        T(a_closed_flow_that_is_not_established_stays),
        T(an_endpoint_ends_with_its_only_connection),
        T(an_endpoint_of_several_connections_does_not),
        T(a_host_does_not_end_with_a_connection),
        T(each_protocol_has_its_life),
        T(tcp_is_transitory_until_both_have_talked),
        T(a_reset_is_taken_back_by_who_sent_it),
        T(a_connection_in_the_place_of_one_that_closed_is_transitory),
        T(an_endpoint_lives_as_long_as_its_longest),
        T(an_error_lengthens_nothing),
        T(an_error_opens_no_flow),
        T(an_error_keeps_its_flow_from_giving_way),
        T(the_flow_idle_for_longest_gives_way),
        T(nobody_gives_way_while_frames_may_be_under_way),
        T(a_burst_forgets_whom_it_made_give_way),
        T(who_is_not_established_stays),
        T(many_ends_come_in_parts),
    };

    return cmocka_run_group_tests_name("flow_age", tests, core_group_setup, core_group_teardown);
}
