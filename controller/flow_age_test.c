/* When flows end: closed connections, and a table that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include <rill/nf.h>

#include "controller/controller.h"
#include "tests/core_testing.h"

#define C rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define RM rill_role_id(RILL_ROLE_RM, 1)
#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define LIFE_NS (40 * CORE_MS)
#define CLOSED_NS (100 * CORE_MS)
#define IDLE_NS (10000 * CORE_MS)

enum { FLOWS_MAX = 64, SYN = RTE_TCP_SYN_FLAG, ACK = RTE_TCP_ACK_FLAG };
enum { FIN = RTE_TCP_FIN_FLAG | ACK, RST = RTE_TCP_RST_FLAG };

static struct rill_controller *c;
static struct rill_outbox out;
static uint64_t now_ns;
static unsigned in_use;

static void create(enum rill_key_kind kind, uint32_t flows_max)
{
    struct rill_controller_config config = {.id = C,
                                            .rm = RM,
                                            .epoch = 1,
                                            .pool = core_pool,
                                            .flow_kind = kind,
                                            .handles = RILL_HANDLES_UDP4 | RILL_HANDLES_TCP4,
                                            .ewma_weight = 0.5,
                                            .flowlet_timeout_ns = CORE_MS,
                                            .flowlet_bytes = 15000,
                                            .flow_idle_ns = IDLE_NS,
                                            .flow_closed_ns = CLOSED_NS,
                                            .frame_life_ns = LIFE_NS,
                                            .flows_max = flows_max,
                                            .units_max = 1,
                                            .units_min = 1,
                                            .epoch_ns = 1000000 * CORE_MS,
                                            .lease_ns = 1000000 * CORE_MS,
                                            .idle_unit_ns = 1000000 * CORE_MS,
                                            .retry_ns = CORE_MS};
    struct rill_lease lease = {
        .unit = UNIT, .output_logger = OL, .share = 1000, .capacity_bps = 1000000000};
    struct rill_error err = {.text = ""};
    struct rte_mbuf *m = core_frame(RILL_FRAME_LEASE_GRANT, RM, C);

    rill_controller_destroy(c);
    c = rill_controller_create(&config, &err);
    assert_string_equal(err.text, "");
    now_ns = CORE_MS;
    rill_controller_tick(c, now_ns, &out);
    core_body(m, &lease, sizeof(lease));
    rill_frame(m)->count = 1;
    rill_frame(m)->clock = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    rill_controller_recv(c, &m, 1, now_ns, &out);
    assert_int_equal(rill_controller_units(c), 1);
}

static int setup(void **state)
{
    (void)state;
    in_use = core_in_use();
    create(RILL_KEY_CONNECTION, FLOWS_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rill_controller_destroy(c);
    c = NULL;
    rill_outbox_fini(&out);
    return core_in_use() == in_use ? 0 : -1;
}

static const struct rill_controller_counters *n(void)
{
    return rill_controller_counters(c);
}

static void pass_time(uint64_t ns)
{
    now_ns += ns;
    rill_controller_tick(c, now_ns, &out);
}

static void enter(struct rte_mbuf *m, enum rill_side side)
{
    rill_frame(m)->flags = 0;
    rill_frame(m)->side = (uint8_t)side;
    rill_controller_ingress(c, &m, 1, now_ns, &out);
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

static struct rill_frame udp(uint16_t port)
{
    enter(core_udp("10.0.0.1", port, "192.0.2.1", 53, 100), RILL_INSIDE);
    return core_expect(&out, RILL_FRAME_DATA, UNIT);
}

static bool alive(const struct rill_frame *packet)
{
    return rill_controller_flow_alive(c, packet->flow);
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
    pass_time(IDLE_NS);
    ended = n()->flows_ended;
    assert_in_range(ended, 1, MANY / 4);
    while (n()->flows_ended < MANY) {
        assert_true(rill_controller_next_ns(c) <= now_ns);
        pass_time(0);
        assert_true(n()->flows_ended > ended);
        ended = n()->flows_ended;
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
        T(the_flow_idle_for_longest_gives_way),
        T(nobody_gives_way_while_frames_may_be_under_way),
        T(who_is_not_established_stays),
        T(many_ends_come_in_parts),
    };

    return cmocka_run_group_tests_name("flow_age", tests, core_group_setup, core_group_teardown);
}
