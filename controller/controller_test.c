#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rill/nf.h>

#include "controller/controller_testing.h"

enum { FLOWLET_BYTES = 3000, UNITS_MAX = 8 };

#define C rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define UNIT rill_role_id(RILL_ROLE_UNIT, 1)
#define UNIT2 rill_role_id(RILL_ROLE_UNIT, 2)
#define OL rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1)
#define T_NS (1 * CORE_MS)
#define EPOCH_NS (200 * CORE_MS)
#define LEASE_NS (5000 * CORE_MS)
#define RETRY_NS (10 * CORE_MS)
#define IDLE_NS (1000 * CORE_MS)
#define QUARANTINE_NS (500 * CORE_MS)

static uint16_t epoch = 3;

/* Packets of every flow go to the least used unit, so that a flowlet moves whenever it may. */
static struct rill_controller_config usual(void)
{
    struct rill_controller_config config = controller_usual();

    config.handles |= RILL_HANDLES_TCP4 | RILL_HANDLES_ICMP4_ERROR;
    config.flowlet_timeout_ns = T_NS;
    config.flowlet_bytes = FLOWLET_BYTES;
    config.flow_idle_ns = IDLE_NS;
    config.units_max = UNITS_MAX;
    config.epoch_ns = EPOCH_NS;
    config.lease_ns = LEASE_NS;
    config.retry_ns = RETRY_NS;
    config.pool_quarantine_ns = QUARANTINE_NS;
    return config;
}

/* One whose flows are known from the outside by their aliases alone. */
static struct rill_controller_config nat_like(void)
{
    struct rill_controller_config config = usual();

    config.flow_kind = RILL_KEY_INSIDE_ENDPOINT;
    config.inside_opens = true;
    return config;
}

static struct rte_mbuf *grant_of(uint64_t number, const uint32_t *units, uint32_t count)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_LEASE_GRANT, RM, C);

    for (uint32_t i = 0; i < count; i++) {
        struct rill_lease lease = {
            .unit = units[i], .output_logger = OL, .share = 1000, .capacity_bps = 1000000000};

        core_body(m, &lease, sizeof(lease));
    }
    rill_frame(m)->count = count;
    rill_frame(m)->clock = number;
    return m;
}

/* Answers the open question with these units. */
static void lease_units(uint32_t count, uint32_t a, uint32_t b)
{
    const uint32_t units[] = {a, b};

    give(grant_of(core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock, units, count));
    assert_int_equal(rill_controller_units(c), count);
}

static void create_without_units(struct rill_controller_config config)
{
    controller_create(&config);
    rill_controller_tick(c, now_ns, &out);
}

static void create(struct rill_controller_config config)
{
    create_without_units(config);
    lease_units(2, UNIT, UNIT2);
}

static int setup(void **state)
{
    controller_setup(state);
    create(usual());
    return 0;
}

/* --- packets --- */

/* A packet of the inside's host, told apart by its port. */
static void send_bytes(uint16_t port, uint32_t bytes)
{
    enter(core_udp("10.0.0.1", port, "192.0.2.1", 80, bytes), RILL_INSIDE);
}

static struct rill_frame sent(uint16_t port)
{
    send_bytes(port, 700);
    return core_expect(&out, RILL_FRAME_DATA, 0);
}

static void reply_to_public(const char *from, uint16_t from_port, uint16_t port)
{
    enter(core_udp(from, from_port, "198.51.100.1", port, 100), RILL_OUTSIDE);
}

/* --- messages --- */

static void establish(const struct rill_frame *packet)
{
    struct rill_frame ack;

    give(about(RILL_FRAME_ESTABLISHED, OL, packet));
    ack = core_expect(&out, RILL_FRAME_ESTABLISHED_ACK, OL);
    assert_int_equal(ack.flow, packet->flow);
    assert_int_equal(ack.term, packet->term);
    assert_int_equal(ack.next_unit, packet->dst);
}

static const struct rill_endpoint remote_a = {
    .addr = {203, 0, 113, 1}, .port = 53, .family = 4, .proto = RILL_UDP};

static uint64_t first_lease; /* number of UNIT's */

static struct rill_alias alias_of(uint16_t port, const struct rill_endpoint *remote)
{
    struct rill_alias alias = {
        .local = {.addr = {198, 51, 100, 1}, .port = port, .family = 4, .proto = RILL_UDP},
        .lease = first_lease};

    if (remote != NULL)
        alias.remote = *remote;
    return alias;
}

/* Declares the alias; true if it was confirmed. */
static bool declare(const struct rill_frame *flow, uint16_t port,
                    const struct rill_endpoint *remote)
{
    struct rte_mbuf *m = about(RILL_FRAME_ALIAS, OL, flow);
    struct rill_alias alias = alias_of(port, remote), echoed;
    bool refused;

    core_body(m, &alias, sizeof(alias));
    give(m);
    m = core_take(&out, RILL_FRAME_ALIAS_ACK, OL);
    assert_non_null(m);
    assert_int_equal(rill_frame(m)->flow, flow->flow);
    assert_int_equal(rill_frame(m)->next_unit, flow->dst);
    assert_int_equal(rill_frame(m)->epoch, epoch);
    assert_int_equal(rill_body_read(m, 0, &echoed, sizeof(echoed)), 0);
    assert_memory_equal(&echoed, &alias, sizeof(alias));
    refused = (rill_frame(m)->flags & RILL_FLAG_REFUSED) != 0;
    rte_pktmbuf_free(m);
    return !refused;
}

static uint32_t lease_endpoints(uint32_t unit, uint64_t number, uint32_t want, uint32_t *indexes)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_POOL_REQUEST, unit, C);
    uint32_t count;

    rill_frame(m)->clock = number;
    rill_frame(m)->count = want;
    give(m);
    m = core_take(&out, RILL_FRAME_POOL_GRANT, unit);
    if (m == NULL)
        return UINT32_MAX;
    count = rill_frame(m)->count;
    assert_int_equal(rill_frame(m)->clock, number);
    if (unit == UNIT && number == 1)
        first_lease = rill_frame(m)->term;
    assert_int_equal(rte_pktmbuf_pkt_len(m), count * sizeof(uint32_t));
    assert_int_equal(rill_body_read(m, 0, indexes, count * sizeof(uint32_t)), 0);
    rte_pktmbuf_free(m);
    return count;
}

static uint32_t endpoints_free(void)
{
    return rill_controller_pool_free(c, 0, now_ns);
}

/* --- what is no packet of a flow --- */

static void malformed(enum rill_parse_result reason, uint32_t bytes, uint32_t at, uint8_t value)
{
    uint64_t before = n()->dropped_malformed[reason];
    struct test_packet p;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", RILL_UDP, 0, 0);
    test_udp(&p, 1, 2, 20);
    test_finish(&p);
    if (bytes != 0)
        p.len = bytes;
    if (at != 0)
        p.bytes[at] = value;
    enter(core_packet(&p), RILL_INSIDE);
    assert_int_equal(n()->dropped_malformed[reason], before + 1);
}

static void malformed_packets_are_counted_by_reason(void **state)
{
    (void)state;
    malformed(RILL_PARSE_SHORT_ETHERNET, 10, 0, 0);
    malformed(RILL_PARSE_SHORT_IP, 30, 0, 0);
    malformed(RILL_PARSE_IP_VERSION, 0, 14, 0x65);
    malformed(RILL_PARSE_IP_HEADER_LENGTH, 0, 14, 0x44);
    malformed(RILL_PARSE_IP_TOTAL_LENGTH, 0, 16, 0xff);
    enter(core_udp("10.0.0.1", 7, "10.0.0.1", 7, 60), RILL_INSIDE);
    assert_int_equal(n()->dropped_malformed[RILL_PARSE_SAME_ADDRESS], 1);
    assert_int_equal(out.count, 0);
    assert_int_equal(n()->packets_in, 6);
}

static void send_arp(void)
{
    struct test_packet p;

    test_ethernet(&p, 0x0806, 0);
    test_fill(&p, 46);
    enter(core_packet(&p), RILL_INSIDE);
}

static void send_gre(void)
{
    struct test_packet p;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", 47, 0, 0);
    test_fill(&p, 30);
    test_finish(&p);
    enter(core_packet(&p), RILL_INSIDE);
}

static void unhandled_packets_pass_by(void **state)
{
    struct rill_controller_config config = usual();

    (void)state;
    config.pass_unhandled = true;
    create(config);
    send_arp();
    send_gre();
    for (int i = 0; i < 2; i++) {
        struct rill_frame f = core_expect(&out, RILL_FRAME_PASS, OL);

        assert_int_equal(f.side, RILL_OUTSIDE);
        assert_true(f.flags & RILL_FLAG_PACKET);
    }
    assert_int_equal(n()->packets_passed, 2);
}

static void unhandled_packets_are_dropped_if_the_deployment_says_so(void **state)
{
    (void)state;
    send_arp();
    send_gre();
    assert_int_equal(n()->dropped_unhandled, 2);
    assert_int_equal(out.count, 0);
}

static void what_the_outside_did_not_get_asked_for_is_dropped(void **state)
{
    (void)state;
    create(nat_like());
    reply_to_public("203.0.113.1", 53, POOL_PORT);
    assert_int_equal(n()->dropped_unsolicited, 1);
    assert_int_equal(n()->flows, 0);
}

static void no_more_flows_than_the_table_holds(void **state)
{
    struct rill_controller_config config = usual();

    (void)state;
    config.flows_max = 2;
    create(config);
    for (uint16_t port = 1; port <= 4; port++)
        send_bytes(port, 100);
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 2);
    assert_int_equal(n()->dropped_flow_table_full, 2);
}

/* --- whose packet it is --- */

static void both_directions_of_a_connection_are_one_flow(void **state)
{
    struct rill_frame a = sent(1), b;

    (void)state;
    enter(core_udp("192.0.2.1", 80, "10.0.0.1", 1, 100), RILL_OUTSIDE);
    b = core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(a.flow, b.flow);
    assert_int_equal(b.clock, a.clock + 1);
    assert_int_equal(b.side, RILL_OUTSIDE);
    assert_int_not_equal(sent(2).flow, a.flow);
}

static void send_fragment(uint16_t offset_and_flags)
{
    struct test_packet p;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", RILL_UDP, 0, offset_and_flags);
    if ((offset_and_flags & 0x1fff) == 0)
        test_udp(&p, 1, 80, 24);
    else
        test_fill(&p, 16);
    test_finish(&p);
    enter(core_packet(&p), RILL_INSIDE);
}

static void a_later_fragment_goes_with_its_first(void **state)
{
    struct rill_frame first, later;

    (void)state;
    send_fragment(0x2000);
    first = core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(sent(1).flow, first.flow);
    send_fragment(4);
    later = core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(later.flow, first.flow);
    assert_int_equal(later.first_sport, 1);
    assert_int_equal(later.first_dport, 80);
}

static void a_fragment_without_its_first_waits_and_is_dropped(void **state)
{
    (void)state;
    send_fragment(4);
    assert_int_equal(rill_controller_packets_held(c), 1);
    assert_int_equal(out.count, 0);
    pass_time(RILL_FRAGMENT_HOLD_NS - 1);
    assert_int_equal(n()->dropped_fragment_without_first, 0);
    assert_true(rill_controller_next_ns(c) <= now_ns + 1);
    pass_time(1);
    assert_int_equal(n()->dropped_fragment_without_first, 1);
    assert_int_equal(rill_controller_packets_held(c), 0);
}

static void a_fragment_before_its_first_goes_behind_it(void **state)
{
    struct rill_frame first, later;

    (void)state;
    send_fragment(4);
    send_fragment(0x2000);
    first = core_expect(&out, RILL_FRAME_DATA, 0);
    later = core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(later.flow, first.flow);
    assert_int_equal(later.clock, first.clock + 1);
    assert_int_equal(later.first_dport, 80);
    assert_int_equal(rill_controller_packets_held(c), 0);
}

static void the_oldest_makes_room_where_too_many_wait(void **state)
{
    (void)state;
    for (int i = 0; i < RILL_FRAGMENT_HOLD_MAX + 3; i++)
        send_fragment(4);
    assert_int_equal(rill_controller_packets_held(c), RILL_FRAGMENT_HOLD_MAX);
    assert_int_equal(n()->dropped_fragment_without_first, 3);
}

static void an_icmp_error_goes_with_what_it_quotes(void **state)
{
    struct test_packet quoted, p;
    struct rill_frame flow = sent(1);

    (void)state;
    test_ethernet(&quoted, 0x0800, 0);
    test_ip(&quoted, "10.0.0.1", "192.0.2.1", RILL_UDP, 0, 0);
    test_udp(&quoted, 1, 80, 30);
    test_finish(&quoted);
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "203.0.113.9", "10.0.0.1", RILL_ICMP, 0, 0);
    test_icmp(&p, 3, 3, 0, 0);
    test_quote(&p, &quoted, 0);
    test_finish(&p);
    enter(core_packet(&p), RILL_OUTSIDE);
    assert_int_equal(core_expect(&out, RILL_FRAME_DATA, 0).flow, flow.flow);
    assert_int_equal(n()->flows, 1);
}

/* --- flowlets --- */

static void a_packet_is_stamped(void **state)
{
    struct rill_frame f;

    (void)state;
    send_bytes(1, 1000);
    f = core_expect(&out, RILL_FRAME_DATA, UNIT);
    assert_int_equal(f.src, C);
    assert_int_equal(f.epoch, 3);
    assert_int_equal(f.vni, 1);
    assert_int_equal(f.clock, f.flow);
    assert_int_equal(f.clock >> 48, 3);
    assert_int_equal(f.term >> 48, 3);
    assert_int_equal(f.chain_len, 1);
    assert_int_equal(f.chain[0].term, RILL_BIRTH_TERM);
    assert_int_equal(f.target_count, 1);
    assert_int_equal(f.targets[0], UNIT2);
    assert_true(f.flags & RILL_FLAG_PACKET);
    assert_int_equal(f.ingress_id, ingress_id);
    assert_int_equal(f.wire_bytes, 1000);
}

static void a_pause_begins_a_flowlet(void **state)
{
    (void)state;
    sent(1);
    now_ns += T_NS;
    assert_int_equal(sent(1).flags, RILL_FLAG_PACKET | RILL_FLAG_TUPLE);
    now_ns += T_NS + 1;
    assert_int_equal(sent(1).flags & (RILL_FLAG_BY_GAP | RILL_FLAG_BY_SIZE), RILL_FLAG_BY_GAP);
    assert_int_equal(n()->flowlets, 2);
}

static void too_many_bytes_begin_a_flowlet(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        sent(1);
    assert_int_equal(n()->flowlets, 1);
    assert_int_equal(sent(1).flags & (RILL_FLAG_BY_GAP | RILL_FLAG_BY_SIZE), RILL_FLAG_BY_SIZE);
    assert_int_equal(n()->flowlets, 2);
}

/* The flow's next packet, of a new flowlet. */
static void send_after_pause(void)
{
    now_ns += 2 * T_NS;
    send_bytes(1, 100);
}

static void an_established_flow_moves_and_its_owner_hears_of_it_first(void **state)
{
    struct rill_frame before = sent(1), move, f;

    (void)state;
    assert_int_equal(before.dst, UNIT);
    establish(&before);
    core_clear(&out);
    send_after_pause();
    assert_int_equal(out.count, 2);
    assert_int_equal(rill_frame(out.frames[0])->type, RILL_FRAME_MOVE);
    move = core_expect(&out, RILL_FRAME_MOVE, UNIT);
    f = core_expect(&out, RILL_FRAME_DATA, UNIT2);
    assert_int_equal(move.flow, f.flow);
    assert_int_equal(move.term, before.term);
    assert_int_equal(move.next_term, f.term);
    assert_int_equal(move.next_unit, UNIT2);
    assert_true(f.term > before.term);
    assert_true(f.flags & RILL_FLAG_MOVED);
    assert_true(f.flags & RILL_FLAG_BY_GAP);
    assert_int_equal(n()->flowlets_moved, 1);
    assert_int_equal(n()->moves_by_gap, 1);
}

static void the_chain_is_stamped_until_the_term_is_established(void **state)
{
    struct rill_frame before = sent(1), f;

    (void)state;
    establish(&before);
    send_after_pause();
    f = core_expect(&out, RILL_FRAME_DATA, UNIT2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f.chain_len, 1);
        assert_int_equal(f.chain[0].term, before.term);
        assert_int_equal(f.chain[0].unit, UNIT);
        f = sent(1);
        assert_false(f.flags & RILL_FLAG_MOVED);
    }
    establish(&f);
    assert_int_equal(sent(1).chain_len, 0);
}

static void a_flow_that_is_not_established_stays(void **state)
{
    struct rill_frame before = sent(1), f;

    (void)state;
    send_after_pause();
    f = core_expect(&out, RILL_FRAME_DATA, UNIT);
    assert_int_equal(f.term, before.term);
    assert_int_equal(f.chain_len, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_MOVE, 0), 0);
    assert_int_equal(n()->moves_deferred, 1);
}

static void what_is_established_by_another_unit_or_term_does_not_count(void **state)
{
    struct rill_frame f = sent(1), other = f;

    (void)state;
    other.term++;
    establish(&other);
    other = f;
    other.dst = UNIT2;
    establish(&other);
    send_after_pause();
    core_expect(&out, RILL_FRAME_DATA, UNIT);
    assert_int_equal(n()->established, 0);
}

static void mode_flow_keeps_a_flow_where_it_is(void **state)
{
    struct rill_controller_config config = usual();
    struct rill_frame f;

    (void)state;
    config.mode = RILL_MODE_FLOW;
    create(config);
    f = sent(1);
    establish(&f);
    for (int i = 0; i < 3; i++) {
        send_after_pause();
        core_expect(&out, RILL_FRAME_DATA, UNIT);
    }
    assert_int_equal(n()->flowlets_moved, 0);
}

static void mode_smart_flow_moves_a_flow_after_its_period_alone(void **state)
{
    struct rill_controller_config config = usual();
    struct rill_frame f;

    (void)state;
    config.mode = RILL_MODE_SMART_FLOW;
    config.smart_flow_ns = 10 * T_NS;
    create(config);
    f = sent(1);
    establish(&f);
    send_after_pause();
    core_expect(&out, RILL_FRAME_DATA, UNIT);
    now_ns += 8 * T_NS;
    f = sent(1);
    assert_int_equal(f.dst, UNIT2);
    assert_int_equal(f.flags & ~RILL_FLAG_TUPLE, RILL_FLAG_PACKET | RILL_FLAG_MOVED);
    assert_int_equal(n()->flowlets_moved, 1);
    assert_int_equal(n()->moves_by_period, 1);
}

static void reactive_mode_names_no_targets(void **state)
{
    struct rill_controller_config config = usual();

    (void)state;
    config.proactive = false;
    create(config);
    assert_int_equal(sent(1).target_count, 0);
}

/* What the flow is known by rides along until its state is known to hold it. */
static void the_tuple_is_sent_until_the_state_has_it(void **state)
{
    struct rill_frame first = sent(1);
    struct rill_flow_key key;
    struct rte_mbuf *m;

    (void)state;
    assert_true(first.flags & RILL_FLAG_TUPLE);
    assert_int_equal(first.tuple.family, 4);
    assert_int_equal(first.tuple.proto, RILL_UDP);
    rill_flow_key_unpack(&first.tuple, RILL_KEY_CONNECTION, 1, &key);
    assert_ptr_equal(flows_by_key(c, &key), flows_by_number(c, first.flow));
    establish(&first); /* by a state that a unit wrote without it */
    assert_true(sent(1).flags & RILL_FLAG_TUPLE);
    m = about(RILL_FRAME_ESTABLISHED, OL, &first);
    rill_frame(m)->flags = RILL_FLAG_TUPLE;
    rill_frame(m)->next_unit = UNIT2; /* not what the chain says */
    give(m);
    assert_true(sent(1).flags & RILL_FLAG_TUPLE);
    m = about(RILL_FRAME_ESTABLISHED, OL, &first);
    rill_frame(m)->flags = RILL_FLAG_TUPLE;
    give(m);
    assert_false(sent(1).flags & RILL_FLAG_TUPLE);
}

/* Beside a tuple only so many entries of the chain have room. */
static void a_long_chain_goes_without_the_tuple(void **state)
{
    struct flow *flow = flows_by_number(c, sent(1).flow);
    struct rill_frame f;

    (void)state;
    flow->chain_len = 1 + RILL_CHAIN_MAX_WITH_TUPLE;
    f = sent(1);
    assert_int_equal(f.chain_len, RILL_CHAIN_MAX_WITH_TUPLE);
    assert_true(f.flags & RILL_FLAG_TUPLE);
    flow->chain_len++;
    f = sent(1);
    assert_int_equal(f.chain_len, RILL_CHAIN_MAX_WITH_TUPLE + 1);
    assert_false(f.flags & RILL_FLAG_TUPLE);
}

static void time_that_runs_backwards_stands_still(void **state)
{
    (void)state;
    now_ns = 100 * CORE_MS;
    sent(1);
    now_ns = 50 * CORE_MS;
    sent(1);
    assert_int_equal(n()->clock_clamped, 1);
    now_ns = 100 * CORE_MS + T_NS;
    assert_int_equal(sent(1).flags, RILL_FLAG_PACKET | RILL_FLAG_TUPLE);
    assert_int_equal(n()->clock_clamped, 1);
}

/* --- ends, and new lives --- */

static void a_tuple_that_comes_back_begins_above_its_former_life(void **state)
{
    struct rill_frame before, after;

    (void)state;
    sent(1);
    sent(1);
    before = sent(1);
    pass_time(IDLE_NS - 1);
    assert_true(rill_controller_flow_alive(c, before.flow));
    pass_time(1);
    assert_false(rill_controller_flow_alive(c, before.flow));
    assert_int_equal(n()->flows_ended, 1);
    after = sent(1);
    assert_true(after.flow > before.clock);
    assert_true(after.clock > before.clock);
    assert_true(after.term > before.term);
    assert_int_equal(after.chain[0].term, RILL_BIRTH_TERM);
}

static void a_flow_with_packets_does_not_end(void **state)
{
    struct rill_frame f = sent(1);

    (void)state;
    for (int i = 0; i < 4; i++) {
        pass_time(IDLE_NS / 2);
        send_bytes(1, 100);
    }
    assert_true(rill_controller_flow_alive(c, f.flow));
}

/* --- parts of units --- */

static void grant_share(uint32_t share)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_LEASE_GRANT, RM, C);
    struct rill_lease lease = {
        .unit = UNIT, .output_logger = OL, .share = share, .capacity_bps = 1000000000};

    core_body(m, &lease, sizeof(lease));
    rill_frame(m)->count = 1;
    rill_frame(m)->clock = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    give(m);
}

/* One of three that share a unit at least: a third of it, in steps of a fifth. */
static void share_units(void)
{
    struct rill_controller_config config = usual();

    config.controllers = 3;
    config.lease_step = 200;
    config.idle_unit_ns = IDLE_NS;
    create_without_units(config);
}

static uint32_t wanted(void)
{
    uint32_t want = 0;

    for (uint32_t i = 0; i < out.count; i++)
        if (rill_frame(out.frames[i])->type == RILL_FRAME_LEASE_REQUEST)
            want = rill_frame(out.frames[i])->count;
    return want;
}

static void parts_of_units_are_asked_for_in_steps(void **state)
{
    (void)state;
    share_units();
    assert_int_equal(wanted(), 200);
    grant_share(200);
    /* 3 MB in 100 ms would be 0.24 Gbps of 0.2. */
    for (uint16_t i = 0; i < 1000; i++) {
        send_bytes(1 + i % 50, 3000);
        rte_pktmbuf_free(core_take(&out, RILL_FRAME_DATA, 0));
    }
    assert_int_equal(wanted(), 400);
}

static void a_step_that_is_not_used_is_given_back(void **state)
{
    (void)state;
    share_units();
    grant_share(800);
    for (uint64_t since_ns = now_ns; now_ns < since_ns + IDLE_NS; pass_time(EPOCH_NS)) {
        if (wanted() == 0)
            continue;
        assert_int_equal(wanted(), 800);
        grant_share(800);
    }
    pass_time(EPOCH_NS);
    assert_int_equal(wanted(), 600);
    assert_int_equal(n()->lease_steps_given_back, 1);
}

/* --- aliases and endpoints --- */

static void an_alias_with_any_remote_is_found_from_everywhere(void **state)
{
    struct rill_frame f, reply;

    (void)state;
    create(nat_like());
    f = sent(1);
    assert_true(declare(&f, 5000, NULL)); /* of no pool */
    for (uint16_t port = 53; port < 55; port++) {
        reply_to_public("203.0.113.1", port, 5000);
        reply = core_expect(&out, RILL_FRAME_DATA, 0);
        assert_int_equal(reply.flow, f.flow);
        assert_int_equal(reply.side, RILL_OUTSIDE);
        assert_true(reply.flags & RILL_FLAG_ALIAS_KNOWN);
    }
    assert_int_equal(n()->aliases, 1);
}

static void an_alias_with_one_remote_is_found_from_there_alone(void **state)
{
    struct rill_frame f;
    struct rill_alias alias = alias_of(5000, &remote_a);

    (void)state;
    create(nat_like());
    f = sent(1);
    assert_true(declare(&f, 5000, &remote_a));
    assert_int_equal(rill_controller_alias_flow(c, &alias.local, &alias.remote), f.flow);
    reply_to_public("203.0.113.1", 53, 5000);
    assert_int_equal(core_expect(&out, RILL_FRAME_DATA, 0).flow, f.flow);
    reply_to_public("203.0.113.1", 54, 5000);
    reply_to_public("203.0.113.2", 53, 5000);
    assert_int_equal(n()->dropped_unsolicited, 2);
}

static void an_alias_that_another_flow_has_is_refused(void **state)
{
    struct rill_frame a, b;

    (void)state;
    create(nat_like());
    a = sent(1);
    b = sent(2);
    assert_true(declare(&a, 5000, NULL));
    assert_true(declare(&a, 5000, NULL)); /* asked again */
    assert_false(declare(&b, 5000, NULL));
    assert_int_equal(n()->aliases, 1);
    assert_int_equal(n()->alias_conflicts, 1);
    reply_to_public("203.0.113.1", 53, 5000);
    assert_int_equal(core_expect(&out, RILL_FRAME_DATA, 0).flow, a.flow);
}

static void an_alias_ends_with_its_flow(void **state)
{
    struct rill_frame a, b;

    (void)state;
    create(nat_like());
    a = sent(1);
    assert_true(declare(&a, 5000, NULL));
    pass_time(IDLE_NS);
    reply_to_public("203.0.113.1", 53, 5000);
    assert_int_equal(n()->dropped_unsolicited, 1);
    assert_false(declare(&a, 5000, NULL)); /* that flow is no more */
    b = sent(2);
    assert_true(declare(&b, 5000, NULL));
}

static void a_cut_alias_is_malformed(void **state)
{
    struct rill_frame f = sent(1);
    struct rte_mbuf *m = about(RILL_FRAME_ALIAS, OL, &f);

    (void)state;
    core_body(m, &f, sizeof(struct rill_alias) - 1);
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_ALIAS_ACK, 0), 0);
}

static void a_repeated_pool_request_gets_the_same_answer(void **state)
{
    uint32_t first[1024], again[1024], other[1024];
    uint64_t number;

    (void)state;
    assert_int_equal(lease_endpoints(UNIT, 1, 4, first), 4);
    number = first_lease;
    assert_int_equal(rill_number_epoch(number), epoch);
    assert_int_equal(lease_endpoints(UNIT, 1, 4, again), 4);
    assert_int_equal(first_lease, number);
    assert_memory_equal(first, again, 4 * sizeof(first[0]));
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
    assert_int_equal(lease_endpoints(UNIT2, 1, 4, other), 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++)
            assert_int_not_equal(first[i], other[k]);
    assert_int_equal(lease_endpoints(UNIT, 2, 4, again), 2); /* all that there is */
    assert_int_equal(lease_endpoints(UNIT, 1, 4, again), UINT32_MAX);
}

/* The second of three: the fourth to the sixth of ten are its own. */
static struct rill_controller_config second_of_three(void)
{
    struct rill_controller_config config = nat_like();

    config.epoch = rill_epoch(1, 3);
    config.controllers = 3;
    return config;
}

static void of_several_each_gives_out_its_part_of_a_pool(void **state)
{
    uint32_t indexes[1024];

    (void)state;
    create(second_of_three());
    assert_int_equal(endpoints_free(), 3);
    assert_int_equal(lease_endpoints(UNIT, 1, 8, indexes), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(indexes[i], 3 + i);
}

/* Packets to it would come to another controller. */
static void an_endpoint_of_anothers_part_is_refused(void **state)
{
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    epoch = rill_epoch(1, 3);
    create(second_of_three());
    assert_int_equal(lease_endpoints(UNIT, 1, 8, indexes), 3);
    f = sent(1);
    assert_false(declare(&f, POOL_PORT + 2, NULL));
    assert_false(declare(&f, POOL_PORT + 6, NULL));
    assert_int_equal(n()->alias_conflicts, 2);
    assert_true(declare(&f, POOL_PORT + 3, NULL));
    pass_time(IDLE_NS);
    pass_time(QUARANTINE_NS);
    assert_int_equal(endpoints_free(), 1);
    epoch = 3;
}

static void a_request_for_no_pool_is_malformed(void **state)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_POOL_REQUEST, UNIT, C);

    (void)state;
    rill_frame(m)->pool = 1;
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_POOL_GRANT, 0), 0);
}

static void an_endpoint_that_nobody_leases_is_refused(void **state)
{
    struct rill_frame f;

    (void)state;
    create(nat_like());
    f = sent(1);
    assert_false(declare(&f, POOL_PORT, NULL));
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

static void an_endpoint_comes_back_after_its_flow_and_a_rest(void **state)
{
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    create(nat_like());
    lease_endpoints(UNIT, 1, 4, indexes);
    f = sent(1);
    assert_true(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(IDLE_NS);
    assert_int_equal(n()->flows_ended, 1);
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
    pass_time(QUARANTINE_NS - 1);
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
    pass_time(1);
    assert_int_equal(endpoints_free(), POOL_SIZE - 3);
}

static struct rill_controller_config preserving(void)
{
    struct rill_controller_config config = nat_like();

    config.pools[0].preserve_ports = true;
    return config;
}

/* The port that is kept for the flow of a packet of that inside endpoint; 0: none. */
static uint32_t kept(const char *host, uint16_t port)
{
    struct rill_frame f;

    core_clear(&out);
    enter(core_udp(host, port, "192.0.2.1", 80, 100), RILL_INSIDE);
    f = core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(f.flags & RILL_FLAG_ENDPOINT ? f.pool : 0, 0);
    return f.flags & RILL_FLAG_ENDPOINT ? POOL_PORT + f.count : 0;
}

static void a_flow_is_kept_its_own_port_or_one_as_even(void **state)
{
    uint32_t port;

    (void)state;
    create(preserving());
    assert_int_equal(kept("10.0.0.1", POOL_PORT + 3), POOL_PORT + 3);
    assert_int_equal(kept("10.0.0.1", POOL_PORT + 3), POOL_PORT + 3); /* until its alias is known */
    port = kept("10.0.0.2", POOL_PORT + 3);
    assert_true(port != POOL_PORT + 3 && port % 2 == (POOL_PORT + 3) % 2);
    port = kept("10.0.0.3", 80); /* not a port of the pool's */
    assert_true(port >= POOL_PORT && port < POOL_PORT + POOL_SIZE && port % 2 == 0);
    assert_int_equal(n()->ports_preserved, 1);
    assert_int_equal(n()->port_parities_preserved, 2);
    assert_int_equal(endpoints_free(), POOL_SIZE - 3);
}

static void what_is_kept_is_told_until_the_alias_is_known(void **state)
{
    struct rill_frame f;

    (void)state;
    create(preserving());
    f = sent(POOL_PORT + 3);
    assert_true(declare(&f, POOL_PORT + 3, NULL));
    assert_int_equal(kept("10.0.0.1", POOL_PORT + 3), 0);
    pass_time(IDLE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE - 1);
    pass_time(QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE);
}

/* The unit could not know, as its frame had no room: both endpoints are the flow's, to the end. */
static void what_was_kept_and_not_taken_comes_back_too(void **state)
{
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    create(preserving());
    f = sent(POOL_PORT + 3);
    assert_int_equal(lease_endpoints(UNIT, 1, 4, indexes), 4);
    assert_true(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    assert_int_equal(endpoints_free(), POOL_SIZE - 5);
    pass_time(IDLE_NS);
    pass_time(QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE - 3);
}

static void nothing_is_kept_of_what_is_not_free(void **state)
{
    uint32_t indexes[1024];

    (void)state;
    create(preserving());
    assert_int_equal(lease_endpoints(UNIT, 1, POOL_SIZE, indexes), POOL_SIZE);
    assert_int_equal(kept("10.0.0.1", POOL_PORT + 3), 0);
    create(nat_like()); /* which does not ask for it */
    assert_int_equal(kept("10.0.0.1", POOL_PORT + 3), 0);
}

static void of_several_each_keeps_of_its_part(void **state)
{
    struct rill_controller_config config = second_of_three();
    uint32_t port;

    (void)state;
    epoch = rill_epoch(1, 3);
    config.pools[0].preserve_ports = true;
    create(config);
    assert_int_equal(kept("10.0.0.1", POOL_PORT + 4), POOL_PORT + 4);
    port = kept("10.0.0.1", POOL_PORT + 9); /* another's */
    assert_true(port == 0 || port == POOL_PORT + 3 || port == POOL_PORT + 5);
    epoch = 3;
}

static uint64_t forget_below(const struct rill_frame *f)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_NEED, UNIT, C);

    rill_frame(m)->flow = f->flow;
    rill_frame(m)->term = f->term;
    rill_frame(m)->next_unit = UNIT;
    give(m);
    return core_expect(&out, RILL_FRAME_FORGET, UNIT).term;
}

/* Who takes over hears of endpoints from those that have the flow: so they keep it that long. */
static void an_ended_flow_is_forgotten_when_its_endpoint_has_rested(void **state)
{
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    create(nat_like());
    lease_endpoints(UNIT, 1, 4, indexes);
    f = sent(1);
    assert_true(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(IDLE_NS);
    assert_false(rill_controller_knows(c, f.flow));
    assert_true(forget_below(&f) <= f.term);
    /* Its key is another's now, and so would its alias be. */
    assert_int_not_equal(sent(1).flow, f.flow);
    enter(core_udp("192.0.2.1", 80, "198.51.100.1", (uint16_t)(POOL_PORT + indexes[0]), 100),
          RILL_OUTSIDE);
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    assert_false(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(QUARANTINE_NS);
    assert_true(forget_below(&f) == UINT64_MAX);
    assert_int_equal(endpoints_free(), POOL_SIZE - 3);
}

/* It took another than the one that is known: nobody else would say so. */
static void a_late_alias_of_a_resting_flow_gives_its_endpoint_back(void **state)
{
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    create(nat_like());
    lease_endpoints(UNIT, 1, 4, indexes);
    f = sent(1);
    assert_true(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(IDLE_NS);
    assert_false(declare(&f, (uint16_t)(POOL_PORT + indexes[1]), NULL));
    pass_time(QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE - 2);
}

/* Places are free only when endpoints have rested, so one flow gives way sooner. */
static void a_full_table_has_room_for_what_rests(void **state)
{
    struct rill_controller_config config = nat_like();
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    config.flows_max = 3;
    create(config);
    lease_endpoints(UNIT, 1, 4, indexes);
    for (uint16_t i = 0; i < 2; i++) {
        f = sent((uint16_t)(1 + i));
        establish(&f);
        assert_true(declare(&f, (uint16_t)(POOL_PORT + indexes[i]), NULL));
    }
    now_ns += 2 * config.frame_life_ns + 1;
    send_bytes(3, 100); /* the first gives way, and rests */
    assert_int_equal(n()->flows_evicted, 1);
    send_bytes(4, 100); /* no other does before it has */
    assert_int_equal(n()->flows_evicted, 1);
    assert_int_equal(n()->dropped_flow_table_full, 1);
    pass_time(QUARANTINE_NS);
    send_bytes(4, 100);
    assert_int_equal(n()->dropped_flow_table_full, 1);
}

static void a_stranger_is_answered_when_it_is_leased(void **state)
{
    uint32_t indexes[1024];

    (void)state;
    create_without_units(nat_like());
    assert_int_equal(lease_endpoints(UNIT2, 1, 4, indexes), UINT32_MAX);
    assert_int_equal(endpoints_free(), POOL_SIZE);
    lease_units(2, UNIT, UNIT2);
    assert_int_equal(core_expect(&out, RILL_FRAME_POOL_GRANT, UNIT2).count, 4);
    assert_int_equal(endpoints_free(), POOL_SIZE - 4);
}

static void an_endpoint_of_a_flow_that_ended_unheard_comes_back(void **state)
{
    uint32_t indexes[1024];
    struct rill_frame f;

    (void)state;
    create(nat_like());
    lease_endpoints(UNIT, 1, 4, indexes);
    f = sent(1);
    pass_time(IDLE_NS);
    assert_false(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(QUARANTINE_NS);
    assert_int_equal(endpoints_free(), POOL_SIZE - 3);
}

/* Its endpoint has come back and is leased again; a late word of it changes nothing. */
static void an_older_flow_does_not_give_back_a_later_lease(void **state)
{
    uint32_t indexes[1024], again[1024];
    struct rill_frame f;

    (void)state;
    create(nat_like());
    lease_endpoints(UNIT, 1, 4, indexes);
    f = sent(1);
    assert_true(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(IDLE_NS);
    pass_time(QUARANTINE_NS);
    assert_int_equal(lease_endpoints(UNIT + 1, 1, POOL_SIZE, again), POOL_SIZE - 3);
    assert_false(declare(&f, (uint16_t)(POOL_PORT + indexes[0]), NULL));
    pass_time(QUARANTINE_NS);
    assert_int_equal(endpoints_free(), 0);
}

/* --- questions about flows --- */

static void where_is_answered_with_the_chain(void **state)
{
    struct rill_frame before = sent(1), now, answer;

    (void)state;
    establish(&before);
    send_after_pause();
    now = core_expect(&out, RILL_FRAME_DATA, UNIT2);
    give(about(RILL_FRAME_WHERE, UNIT2, &now));
    answer = core_expect(&out, RILL_FRAME_CHAIN, UNIT2);
    assert_int_equal(answer.flow, now.flow);
    assert_int_equal(answer.term, now.term);
    assert_int_equal(answer.flags & RILL_FLAG_REFUSED, 0);
    assert_int_equal(answer.chain_len, 1);
    assert_int_equal(answer.chain[0].term, before.term);
    assert_int_equal(answer.chain[0].unit, UNIT);
}

static void where_is_refused_for_a_term_that_was_passed_over(void **state)
{
    struct rill_frame f = sent(1);

    (void)state;
    f.term++;
    give(about(RILL_FRAME_WHERE, UNIT, &f));
    assert_true(core_expect(&out, RILL_FRAME_CHAIN, UNIT).flags & RILL_FLAG_REFUSED);
    f.flow += 1000; /* no such flow */
    give(about(RILL_FRAME_WHERE, UNIT, &f));
    assert_true(core_expect(&out, RILL_FRAME_CHAIN, UNIT).flags & RILL_FLAG_REFUSED);
}

static void need_is_answered_with_what_may_be_forgotten(void **state)
{
    struct rill_frame before = sent(1), now, answer;

    (void)state;
    establish(&before);
    send_after_pause();
    now = core_expect(&out, RILL_FRAME_DATA, UNIT2);
    give(about(RILL_FRAME_NEED, UNIT, &before));
    answer = core_expect(&out, RILL_FRAME_FORGET, UNIT);
    assert_int_equal(answer.term, before.term); /* the last established: keep that one */
    assert_int_equal(answer.next_unit, UNIT);
    assert_false(answer.flags & RILL_FLAG_REFUSED); /* it lives, but not there */
    give(about(RILL_FRAME_NEED, UNIT2, &now));
    answer = core_expect(&out, RILL_FRAME_FORGET, UNIT2);
    assert_true(answer.flags & RILL_FLAG_REFUSED);
    assert_int_equal(answer.term, now.term);
    establish(&now);
    give(about(RILL_FRAME_NEED, UNIT, &before));
    assert_int_equal(core_expect(&out, RILL_FRAME_FORGET, UNIT).term, now.term);
    pass_time(IDLE_NS);
    give(about(RILL_FRAME_NEED, UNIT2, &now));
    assert_int_equal(core_expect(&out, RILL_FRAME_FORGET, UNIT2).term, UINT64_MAX);
}

/* --- leases --- */

static void capacity_is_asked_for_until_it_comes(void **state)
{
    struct rill_frame first;

    (void)state;
    create_without_units(usual());
    first = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM);
    assert_int_equal(first.count, 1000);
    for (int i = 0; i < 3; i++) {
        pass_time(RETRY_NS);
        assert_int_equal(core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock, first.clock);
    }
    give(grant_of(first.clock, (const uint32_t[]){UNIT}, 1));
    assert_int_equal(rill_controller_units(c), 1);
    pass_time(RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_LEASE_REQUEST, 0), 0);
    pass_time(EPOCH_NS); /* a new question */
    assert_true(core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock > first.clock);
}

static void a_grant_with_another_number_is_ignored(void **state)
{
    uint64_t number;

    (void)state;
    create_without_units(usual());
    number = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    give(grant_of(number + 1, (const uint32_t[]){UNIT}, 1));
    assert_int_equal(rill_controller_units(c), 0);
    give(grant_of(number, (const uint32_t[]){UNIT}, 1));
    give(grant_of(number, (const uint32_t[]){UNIT2}, 1)); /* answered already */
    assert_int_equal(rill_controller_units(c), 1);
    assert_int_equal(n()->lease_grants, 1);
}

static void a_grant_of_the_wrong_size_is_malformed(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    create_without_units(usual());
    m = grant_of(core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock, (const uint32_t[]){UNIT},
                 1);
    rill_frame(m)->count = 2;
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(rill_controller_units(c), 0);
}

static void a_lease_that_makes_no_sense_is_malformed(void **state)
{
    const struct rill_lease bad[] = {
        {.unit = 0, .output_logger = OL, .share = 1000, .capacity_bps = 1000},
        {.unit = UNIT, .output_logger = OL, .share = 0, .capacity_bps = 1000},
        {.unit = UNIT, .output_logger = OL, .share = 1001, .capacity_bps = 1000},
    };
    struct rte_mbuf *m = core_frame(RILL_FRAME_LEASE_GRANT, RM, C);

    (void)state;
    create_without_units(usual());
    core_body(m, bad, sizeof(bad));
    rill_frame(m)->count = RTE_DIM(bad);
    rill_frame(m)->clock = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    give(m);
    assert_int_equal(n()->messages_malformed, 3);
    assert_int_equal(rill_controller_units(c), 0);
}

static void a_unit_that_is_no_longer_granted_gets_no_flowlet(void **state)
{
    struct rill_frame f = sent(1);

    (void)state;
    establish(&f);
    pass_time(EPOCH_NS);
    lease_units(1, UNIT2, 0);
    send_bytes(1, 100);
    core_expect(&out, RILL_FRAME_MOVE, UNIT);
    core_expect(&out, RILL_FRAME_DATA, UNIT2);
}

static void without_a_unit_packets_wait(void **state)
{
    (void)state;
    create_without_units(usual());
    send_bytes(1, 100);
    assert_int_equal(n()->packets_waited, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
}

/* Nothing was done for longer than the leases ran: no tick came before the packet. */
static void who_stood_still_does_not_act_on_leases_of_before(void **state)
{
    (void)state;
    now_ns += LEASE_NS;
    core_clear(&out);
    send_bytes(1, 100);
    assert_int_equal(n()->packets_waited, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    assert_int_equal(n()->leases_expired, 1);
}

static void a_grant_that_ran_out_on_its_way_is_not_taken(void **state)
{
    const uint32_t units[] = {UNIT};
    uint64_t number;

    (void)state;
    create_without_units(usual());
    number = core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock;
    now_ns += LEASE_NS;
    give(grant_of(number, units, 1));
    assert_int_equal(rill_controller_units(c), 0);
}

static void leases_run_out_if_the_manager_is_silent(void **state)
{
    double utilization;

    (void)state;
    pass_time(LEASE_NS - 1);
    assert_int_equal(rill_controller_units(c), 2);
    pass_time(1);
    assert_int_equal(rill_controller_units(c), 0);
    assert_int_equal(rill_controller_unit(c, 0, now_ns, &utilization), 0);
    assert_int_equal(n()->leases_expired, 1);
    send_bytes(1, 100);
    assert_int_equal(n()->packets_waited, 1);
}

/* Units whose lease has run out may have no share any more: what is sent there stays there. */
static void without_a_unit_the_packets_of_old_flows_wait_too(void **state)
{
    struct rill_controller_config config = usual();

    (void)state;
    config.flow_idle_ns = 10 * LEASE_NS;
    create(config);
    sent(1);
    pass_time(LEASE_NS);
    assert_int_equal(rill_controller_units(c), 0);
    send_bytes(1, 100); /* a new flowlet */
    send_bytes(1, 100); /* and one that goes on */
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    assert_int_equal(n()->packets_waited, 2);
}

/* --- the rest --- */

/* Of an output logger, numbered, to the public endpoint with that port. */
static struct rte_mbuf *turned(uint32_t from, uint64_t number, uint16_t port)
{
    struct rte_mbuf *m = core_udp("198.51.100.1", 1777, "198.51.100.1", port, 100);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_TURNED;
    f->src = from;
    f->dst = C;
    f->side = RILL_OUTSIDE;
    f->clock = number;
    f->ingress_id = 1000 + number;
    return m;
}

/* To the flow with that alias, as what comes from the outside; without one it goes nowhere. */
static void a_packet_that_was_turned_comes_in_from_outside(void **state)
{
    struct rill_frame flow, data;

    (void)state;
    create(nat_like());
    flow = sent(1);
    assert_true(declare(&flow, 5005, NULL));
    give(turned(OL, 1, 5005));
    data = core_expect(&out, RILL_FRAME_DATA, 0);
    assert_int_equal(data.flow, flow.flow);
    assert_int_equal(data.side, RILL_OUTSIDE);
    assert_int_equal(data.ingress_id, 1001);
    give(turned(OL, 2, 5006));
    assert_int_equal(core_count(&out, RILL_FRAME_DATA, 0), 0);
    assert_int_equal(n()->dropped_unsolicited, 1);
    assert_int_equal(n()->packets_turned, 2);
    assert_int_equal(n()->packets_in, 3);
}

static void a_copy_of_it_is_dropped(void **state)
{
    (void)state;
    create(nat_like());
    give(turned(OL, 3, 1005));
    give(turned(OL, 3, 1005));
    give(turned(OL, 2, 1005)); /* was overtaken */
    give(turned(OL, 2, 1005));
    give(turned(OL + 1, 3, 1005)); /* another's */
    give(turned(OL, 80, 1005));
    give(turned(OL, 16, 1005)); /* who knows */
    assert_int_equal(n()->dropped_turned_again, 3);
    assert_int_equal(n()->dropped_unsolicited, 4);
    assert_int_equal(n()->packets_turned, 7);
    assert_int_equal(n()->packets_in, 7);
}

/* Those that are heard of stay known, however many there were. */
static void output_loggers_of_long_ago_are_forgotten(void **state)
{
    (void)state;
    create(nat_like());
    for (uint32_t i = 0; i < 3 * TURNED_LOGGERS_MAX; i++) {
        pass_time(1000);
        give(turned(logger(2 + i), 1, 1005));
        give(turned(OL, 1 + i, 1005));
    }
    give(turned(OL, 3 * TURNED_LOGGERS_MAX, 1005));
    assert_int_equal(n()->dropped_turned_again, 1);
}

/* An output logger that has not heard of a takeover sends to the controller before this one, whose
 * address is this one's now. */
static void one_for_the_controller_before_is_counted_as_come(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    create(nat_like());
    m = turned(OL, 1, 1005);
    rill_frame(m)->dst = C + 1;
    give(m);
    assert_int_equal(n()->dropped_unexpected, 1);
    assert_int_equal(n()->packets_in, 1);
    assert_int_equal(n()->packets_to_units + n()->packets_passed, 0);
}

static void only_output_loggers_turn_packets(void **state)
{
    (void)state;
    give(turned(UNIT, 1, 1005));
    assert_int_equal(n()->dropped_unexpected, 1);
    assert_int_equal(n()->packets_turned, 0);
}

static void frames_that_make_no_sense_here_are_counted(void **state)
{
    (void)state;
    give(core_frame(RILL_FRAME_FULL, OL, C));
    give(core_frame(RILL_FRAME_WHERE, UNIT, C + 1));
    assert_int_equal(n()->messages_unknown, 2);
    assert_int_equal(out.count, 0);
}

static uint64_t dropped(void)
{
    uint64_t sum = n()->dropped_unhandled + n()->dropped_unsolicited +
                   n()->dropped_fragment_without_first + n()->dropped_flow_table_full +
                   n()->dropped_no_unit + n()->dropped_waiting_full + n()->dropped_unexpected;

    for (int i = 0; i < RILL_PARSE_RESULTS; i++)
        sum += n()->dropped_malformed[i];
    return sum;
}

static void survive(uint64_t seed, struct rill_controller_config config)
{
    const uint32_t ids[] = {C, UNIT, UNIT2, OL, RM, C};
    struct rill_rng rng;

    config.epoch = 0; /* so that small numbers meet flows */
    create(config);
    rill_rng_seed(&rng, seed);
    for (int i = 0; i < 5000; i++) {
        now_ns += rill_rng_below(&rng, 4 * CORE_MS);
        if (rill_rng_below(&rng, 4) == 0)
            send_bytes((uint16_t)rill_rng_below(&rng, 8), 100);
        give(core_garbage(&rng, ids, RTE_DIM(ids)));
        rill_controller_tick(c, now_ns, &out);
        if (out.count > 1000)
            core_clear(&out);
    }
    assert_int_equal(n()->packets_in, n()->packets_to_units + n()->packets_passed + dropped() +
                                          rill_controller_packets_held(c));
    core_clear(&out);
}

static void garbage_is_survived(void **state)
{
    struct rill_controller_config config = usual();

    (void)state;
    survive(1, config);
    config.placement = RILL_PLACEMENT_PACK;
    config.pass_unhandled = true;
    survive(2, config);
    config = nat_like();
    config.flows_max = 4;
    survive(3, config);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, controller_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(malformed_packets_are_counted_by_reason),
        T(unhandled_packets_pass_by),
        T(unhandled_packets_are_dropped_if_the_deployment_says_so),
        T(what_the_outside_did_not_get_asked_for_is_dropped),
        T(no_more_flows_than_the_table_holds),
        T(both_directions_of_a_connection_are_one_flow),
        T(a_later_fragment_goes_with_its_first),
        T(a_fragment_without_its_first_waits_and_is_dropped),
        T(a_fragment_before_its_first_goes_behind_it),
        T(the_oldest_makes_room_where_too_many_wait),
        T(an_icmp_error_goes_with_what_it_quotes),
        T(a_packet_is_stamped),
        T(a_pause_begins_a_flowlet),
        T(too_many_bytes_begin_a_flowlet),
        T(an_established_flow_moves_and_its_owner_hears_of_it_first),
        T(the_chain_is_stamped_until_the_term_is_established),
        T(a_flow_that_is_not_established_stays),
        T(what_is_established_by_another_unit_or_term_does_not_count),
        T(mode_flow_keeps_a_flow_where_it_is),
        T(mode_smart_flow_moves_a_flow_after_its_period_alone),
        T(reactive_mode_names_no_targets),
        T(the_tuple_is_sent_until_the_state_has_it),
        T(a_long_chain_goes_without_the_tuple),
        T(time_that_runs_backwards_stands_still),
        T(a_tuple_that_comes_back_begins_above_its_former_life),
        T(a_flow_with_packets_does_not_end),
        T(an_alias_with_any_remote_is_found_from_everywhere),
        T(an_alias_with_one_remote_is_found_from_there_alone),
        T(an_alias_that_another_flow_has_is_refused),
        T(an_alias_ends_with_its_flow),
        T(a_cut_alias_is_malformed),
        T(a_repeated_pool_request_gets_the_same_answer),
        T(of_several_each_gives_out_its_part_of_a_pool),
        T(an_endpoint_of_anothers_part_is_refused),
        T(parts_of_units_are_asked_for_in_steps),
        T(a_step_that_is_not_used_is_given_back),
        T(a_request_for_no_pool_is_malformed),
        T(an_endpoint_that_nobody_leases_is_refused),
        T(an_endpoint_comes_back_after_its_flow_and_a_rest),
        T(a_flow_is_kept_its_own_port_or_one_as_even),
        T(what_is_kept_is_told_until_the_alias_is_known),
        T(what_was_kept_and_not_taken_comes_back_too),
        T(nothing_is_kept_of_what_is_not_free),
        T(of_several_each_keeps_of_its_part),
        T(an_ended_flow_is_forgotten_when_its_endpoint_has_rested),
        T(a_late_alias_of_a_resting_flow_gives_its_endpoint_back),
        T(a_full_table_has_room_for_what_rests),
        T(a_stranger_is_answered_when_it_is_leased),
        T(an_endpoint_of_a_flow_that_ended_unheard_comes_back),
        T(an_older_flow_does_not_give_back_a_later_lease),
        T(where_is_answered_with_the_chain),
        T(where_is_refused_for_a_term_that_was_passed_over),
        T(need_is_answered_with_what_may_be_forgotten),
        T(capacity_is_asked_for_until_it_comes),
        T(a_grant_with_another_number_is_ignored),
        T(a_grant_of_the_wrong_size_is_malformed),
        T(a_lease_that_makes_no_sense_is_malformed),
        T(a_unit_that_is_no_longer_granted_gets_no_flowlet),
        T(without_a_unit_packets_wait),
        T(who_stood_still_does_not_act_on_leases_of_before),
        T(a_grant_that_ran_out_on_its_way_is_not_taken),
        T(leases_run_out_if_the_manager_is_silent),
        T(without_a_unit_the_packets_of_old_flows_wait_too),
        T(a_packet_that_was_turned_comes_in_from_outside),
        T(a_copy_of_it_is_dropped),
        T(output_loggers_of_long_ago_are_forgotten),
        T(one_for_the_controller_before_is_counted_as_come),
        T(only_output_loggers_turn_packets),
        T(frames_that_make_no_sense_here_are_counted),
        T(garbage_is_survived),
    };

    return cmocka_run_group_tests_name("controller", tests, core_group_setup, core_group_teardown);
}
