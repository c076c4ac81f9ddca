#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include <rill/nf.h>

#include "lib/packet/split.h"
#include "output-logger/ol_testing.h"

enum { FLOW = 100, TERM = 7 };

#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)

static const struct rill_alias alias_a = {
    .local = {.addr = {198, 51, 100, 1}, .port = 1000, .family = 4, .proto = RILL_UDP}};

static void create(uint32_t flows_max, uint32_t held_packets)
{
    struct rill_ol_config config = ol_usual();

    config.flows_max = flows_max;
    config.held_packets = held_packets;
    ol_create(&config);
}

/* --- what units send --- */

/* Step n, that changes the value to n. */
static struct rte_mbuf *step(uint64_t k)
{
    return change(UNIT, FLOW, TERM, k);
}

static struct rte_mbuf *first_step(uint64_t k)
{
    return with_whole_state(step(k), NULL);
}

static struct rte_mbuf *full(uint32_t unit, uint64_t flow, uint64_t term, uint64_t k,
                             const struct rill_alias *alias)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FULL, unit, OL);
    struct rill_frame *f = rill_frame(m);
    uint8_t state[STATE] = {0};

    f->flow = flow;
    f->term = term;
    f->granted_term = term;
    f->step = k;
    f->clock = k;
    if (alias != NULL)
        memcpy(state, alias, sizeof(*alias));
    memcpy(state + VALUE_AT, &k, 8);
    core_body(m, state, STATE);
    return m;
}

static struct rte_mbuf *about_flow(enum rill_frame_type type, uint32_t src, uint64_t term)
{
    struct rte_mbuf *m = core_frame(type, src, OL);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->term = term;
    rill_frame(m)->next_unit = UNIT;
    return m;
}

static struct rte_mbuf *alias_ack(const struct rill_alias *alias, uint16_t epoch, uint8_t flags)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_ALIAS_ACK, CONTROLLER, TERM);

    rill_frame(m)->epoch = epoch;
    rill_frame(m)->flags = flags;
    core_body(m, alias, sizeof(*alias));
    return m;
}

static struct rte_mbuf *sync_at(uint64_t k)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_SYNC, UNIT, TERM);

    rill_frame(m)->granted_term = TERM;
    rill_frame(m)->step = k;
    return m;
}

/* --- what is to be seen --- */

static uint64_t value_of(uint32_t unit, uint64_t flow)
{
    struct rill_ol_flow_info info;
    uint64_t value;

    assert_true(rill_ol_flow_info(ol, unit, flow, &info));
    memcpy(&value, info.state + VALUE_AT, 8);
    return value;
}

static uint32_t released(void)
{
    return core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE);
}

static void expect_released(uint64_t id)
{
    assert_int_equal(core_expect(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE).ingress_id, id);
}

/* --- applying --- */

static void steps_are_applied_in_order_and_released(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(2));
    give(step(3));
    assert_int_equal(value_of(UNIT, FLOW), 3);
    for (uint64_t k = 1; k <= 3; k++)
        expect_released(k);
    assert_int_equal(n()->packets_released, 3);
    assert_int_equal(n()->changes_applied, 3);
    assert_int_equal(n()->packets_in, 3);
}

static void the_first_of_a_term_goes_onto_anything(void **state)
{
    (void)state;
    give(with_whole_state(change(UNIT, FLOW, TERM, 1), NULL));
    give(with_whole_state(change(UNIT, FLOW, TERM + 2, 41), NULL));
    assert_int_equal(value_of(UNIT, FLOW), 41);
    assert_int_equal(released(), 2);
}

/* What of the state is zero up to its end does not travel. */
static void a_shorter_state_ends_in_zeros(void **state)
{
    struct rte_mbuf *m = with_whole_state(change(UNIT, FLOW, TERM + 2, 41), NULL);
    const uint8_t head[VALUE_AT] = {0};

    (void)state;
    give(first_step(1));
    rill_frame(m)->state_bytes = VALUE_AT;
    give(m);
    assert_int_equal(value_of(UNIT, FLOW), 0);
    give(change(UNIT, FLOW, TERM + 2, 42));
    assert_int_equal(value_of(UNIT, FLOW), 42);
    m = full(UNIT, FLOW, TERM + 4, 50, NULL);
    assert_int_equal(rte_pktmbuf_trim(m, (uint16_t)rte_pktmbuf_pkt_len(m)), 0);
    core_body(m, head, VALUE_AT);
    give(m);
    assert_int_equal(value_of(UNIT, FLOW), 0);
    assert_int_equal(n()->messages_malformed, 0);
}

static void a_change_without_packet_is_applied_and_releases_nothing(void **state)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_CHANGE, UNIT, OL);
    struct rte_mbuf *like = step(2);

    (void)state;
    give(first_step(1));
    rill_frame_copy_metadata(rill_frame(m), rill_frame(like));
    rill_frame(m)->flags = 0;
    rte_pktmbuf_free(like);
    give(m);
    assert_int_equal(value_of(UNIT, FLOW), 2);
    assert_int_equal(released(), 1);
    assert_int_equal(n()->changes_in, 2);
    assert_int_equal(n()->packets_in, 1);
    give(step(3));
    assert_int_equal(released(), 2);
}

static void a_passed_packet_leaves_at_once(void **state)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);

    (void)state;
    rill_frame(m)->type = RILL_FRAME_PASS;
    rill_frame(m)->dst = OL;
    rill_frame(m)->side = RILL_INSIDE;
    give(m);
    core_expect(&out, RILL_FRAME_PASS, CORE_INSIDE);
    assert_int_equal(n()->packets_passed, 1);
    assert_int_equal(n()->packets_released, 1);
}

/* --- turning --- */

static struct rte_mbuf *turning(uint64_t k)
{
    struct rte_mbuf *m = k == 1 ? first_step(k) : step(k);

    rill_frame(m)->flags |= RILL_FLAG_TURN;
    return m;
}

/* It goes to its controller, from the side where it would have left, as somebody there would send
 * it. */
static void a_packet_that_is_turned_goes_to_a_controller(void **state)
{
    struct rte_mbuf *m = turning(1);
    struct rte_ether_hdr before = *rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
    const struct rte_ether_hdr *ether;
    const struct rill_frame *f;

    (void)state;
    before.src_addr.addr_bytes[5] = 1;
    before.dst_addr.addr_bytes[5] = 2;
    *rte_pktmbuf_mtod(m, struct rte_ether_hdr *) = before;
    rill_frame(m)->ingress_ns = 77;
    give(m);
    assert_int_equal(value_of(UNIT, FLOW), 1);
    assert_int_equal(released(), 0);
    m = core_take(&out, RILL_FRAME_TURNED, CONTROLLER);
    assert_non_null(m);
    f = rill_frame(m);
    ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
    assert_memory_equal(&ether->dst_addr, &before.src_addr, 6);
    assert_memory_equal(&ether->src_addr, &before.dst_addr, 6);
    assert_int_equal(f->flags, RILL_FLAG_PACKET);
    assert_int_equal(f->src, OL);
    assert_int_equal(f->side, RILL_OUTSIDE);
    assert_int_equal(f->clock, 1);
    assert_int_equal(f->wire_bytes, 60);
    assert_int_equal(f->ingress_id, 1);
    assert_int_equal(f->ingress_ns, 77);
    assert_int_equal(f->flow, 0);
    rte_pktmbuf_free(m);
    assert_int_equal(n()->packets_released, 1);
    assert_int_equal(n()->packets_turned, 1);
    give(turning(2));
    assert_int_equal(core_expect(&out, RILL_FRAME_TURNED, CONTROLLER).clock, 2);
}

static void it_waits_for_its_flows_alias_like_any(void **state)
{
    struct rte_mbuf *m = with_whole_state(step(1), &alias_a);

    (void)state;
    rill_frame(m)->flags |= RILL_FLAG_TURN;
    give(m);
    assert_int_equal(core_count(&out, RILL_FRAME_TURNED, 0), 0);
    give(alias_ack(&alias_a, 0, 0));
    core_expect(&out, RILL_FRAME_TURNED, CONTROLLER);
}

/* Whose the endpoint is that it is for; a later fragment shows none, but its frame knows. */
static void of_several_controllers_it_goes_to_whose_it_is(void **state)
{
    static const uint8_t address[1][16] = {{198, 51, 100, 1}};
    const struct rill_split_config config = {.controllers = 2,
                                             .kind = RILL_KEY_INSIDE_ENDPOINT,
                                             .writes = RILL_WRITES_SOURCE,
                                             .pools = {{.proto = RILL_UDP,
                                                        .family = 4,
                                                        .port_low = 1000,
                                                        .port_high = 1999,
                                                        .addresses = 1,
                                                        .addr = address}},
                                             .pool_count = 1};
    struct rill_controllers known = {0};
    struct rill_error err;
    struct rill_split *split = rill_split_create(&config, &err);
    struct rill_ol_config logger = ol_usual();

    (void)state;
    assert_non_null(split);
    for (uint32_t i = 0; i < 2; i++)
        rill_controllers_adopt(&known, rill_epoch(i, 3), rill_role_id(RILL_ROLE_CONTROLLER, 5 + i));
    logger.split = split;
    logger.controllers = &known;
    ol_create(&logger);
    for (uint32_t k = 1; k <= 4; k++) {
        uint16_t port = k % 2 == 1 ? 1499 : 1500;
        struct rte_mbuf *m = core_udp("198.51.100.1", 1700, "198.51.100.1", port, 60);
        struct rte_mbuf *like = k == 1 ? first_step(k) : step(k);
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
        struct rill_frame f;

        rill_frame_copy_metadata(rill_frame(m), rill_frame(like));
        rte_pktmbuf_free(like);
        rill_frame(m)->flags |= RILL_FLAG_TURN;
        if (k > 2) {
            ip->fragment_offset = RTE_BE16(2);
            ip->hdr_checksum = 0;
            ip->hdr_checksum = rte_ipv4_cksum(ip);
            rill_frame(m)->first_dport = port;
        }
        give(m);
        f = core_expect(&out, RILL_FRAME_TURNED, rill_role_id(RILL_ROLE_CONTROLLER, 6 - k % 2));
        assert_int_equal(f.clock, (k + 1) / 2); /* each counts for itself */
        assert_int_equal(f.epoch, rill_epoch(1 - k % 2, 3));
    }
    rill_split_destroy(split);
}

static void entries_of_two_units_are_apart(void **state)
{
    (void)state;
    give(with_whole_state(change(UNIT, FLOW, TERM, 5), NULL));
    give(with_whole_state(change(UNIT2, FLOW, TERM + 1, 9), NULL));
    give(change(UNIT, FLOW, TERM, 6));
    assert_int_equal(value_of(UNIT, FLOW), 6);
    assert_int_equal(value_of(UNIT2, FLOW), 9);
}

/* --- gaps --- */

static void behind_a_gap_a_packet_is_kept_back_and_the_state_asked_for(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(3));
    assert_int_equal(released(), 1);
    assert_int_equal(value_of(UNIT, FLOW), 1);
    assert_int_equal(rill_ol_packets_held(ol), 1);
    assert_int_equal(core_expect(&out, RILL_FRAME_REQUEST_FULL, UNIT).flow, FLOW);
}

static void the_state_is_asked_for_again_until_it_comes(void **state)
{
    (void)state;
    give(first_step(1));
    give(about_flow(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER, TERM));
    give(step(3));
    core_clear(&out);
    pass_time(RETRY_NS - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, 0), 0);
    for (int i = 0; i < 3; i++) {
        pass_time(RETRY_NS);
        core_expect(&out, RILL_FRAME_REQUEST_FULL, UNIT);
    }
    give(full(UNIT, FLOW, TERM, 3, NULL));
    pass_time(RETRY_NS);
    pass_time(RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, 0), 0);
}

static uint32_t asked_within(enum rill_frame_type type, uint64_t ns)
{
    uint32_t asked;

    core_clear(&out);
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns;)
        pass_time(RETRY_NS / 2);
    asked = core_count(&out, type, 0);
    core_clear(&out);
    return asked;
}

/* The unit is gone, say. A new question does not wait for the pauses of an old one. */
static void questions_without_an_answer_get_rare_but_not_new_ones(void **state)
{
    struct rill_ol_config config = ol_usual();

    (void)state;
    config.resend = (struct rill_resend){.attempts = 3, .slow_ns = 500 * RETRY_NS};
    ol_create(&config);
    give(first_step(1));
    give(about_flow(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER, TERM));
    give(step(3));
    assert_int_equal(asked_within(RILL_FRAME_REQUEST_FULL, 100 * RETRY_NS), 2);
    assert_int_equal(n()->resends_slowed, 1);
    assert_int_equal(asked_within(RILL_FRAME_REQUEST_FULL, 2000 * RETRY_NS), 4);
    give(with_whole_state(change(UNIT, FLOW, TERM + 1, 4), NULL));
    core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER);
    assert_int_equal(asked_within(RILL_FRAME_ESTABLISHED, 4 * RETRY_NS), 2);
}

static void the_step_that_was_missing_closes_the_gap(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(4));
    give(step(3));
    give(step(2));
    for (uint64_t k = 1; k <= 4; k++)
        expect_released(k);
    assert_int_equal(value_of(UNIT, FLOW), 4);
    assert_int_equal(rill_ol_packets_held(ol), 0);
}

static void a_full_state_closes_the_gap(void **state)
{
    (void)state;
    give(first_step(1));
    give(step(3));
    give(step(6));
    give(full(UNIT, FLOW, TERM, 5, NULL));
    assert_int_equal(value_of(UNIT, FLOW), 6);
    assert_int_equal(rill_ol_packets_held(ol), 0);
    assert_int_equal(released(), 3);
    assert_int_equal(n()->changes_covered, 1);
}

static void a_covered_step_is_released_once_without_applying_it(void **state)
{
    (void)state;
    give(first_step(1));
    give(full(UNIT, FLOW, TERM, 4, NULL));
    give(step(3));
    give(step(3));
    give(step(2));
    assert_int_equal(value_of(UNIT, FLOW), 4);
    assert_int_equal(released(), 3);
    assert_int_equal(n()->dropped_already_released, 1);
}

static void a_second_copy_is_dropped(void **state)
{
    (void)state;
    give(first_step(1));
    give(first_step(1));
    give(step(3)); /* held */
    give(step(3));
    assert_int_equal(released(), 1);
    assert_int_equal(n()->dropped_already_released, 2);
    assert_int_equal(rill_ol_packets_held(ol), 1);
}

static void no_full_drops_what_is_kept_back(void **state)
{
    (void)state;
    give(step(8));
    give(step(9));
    give(about_flow(RILL_FRAME_NO_FULL, UNIT, 0));
    assert_int_equal(n()->dropped_held_lost, 2);
    assert_int_equal(rill_ol_packets_held(ol), 0);
    core_clear(&out);
    pass_time(2 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, 0), 0);
}

static void a_change_that_is_elsewhere_waits_for_the_full_state(void **state)
{
    struct rte_mbuf *m = step(1);

    (void)state;
    rill_frame(m)->flags |= RILL_FLAG_ELSEWHERE;
    rill_frame(m)->state_bytes = 0;
    rill_frame(m)->state_offset = 0;
    give(m);
    assert_int_equal(released(), 0);
    give(full(UNIT, FLOW, TERM, 1, NULL));
    expect_released(1);
    assert_int_equal(value_of(UNIT, FLOW), 1);
}

static void sync_tells_whether_the_tail_was_lost(void **state)
{
    struct rill_frame ack;

    (void)state;
    give(first_step(1));
    give(sync_at(1));
    ack = core_expect(&out, RILL_FRAME_SYNC_ACK, UNIT);
    assert_int_equal(ack.flow, FLOW);
    assert_int_equal(ack.term, TERM);
    assert_int_equal(ack.step, 1);
    give(sync_at(2));
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC_ACK, 0), 0);
    core_expect(&out, RILL_FRAME_REQUEST_FULL, UNIT);
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_REQUEST_FULL, UNIT);
    give(step(2));
    give(sync_at(2));
    core_expect(&out, RILL_FRAME_SYNC_ACK, UNIT);
}

/* The unit has the flow again, in a later term, and no packet came yet. */
static void sync_of_a_later_term_asks_for_its_state(void **state)
{
    struct rte_mbuf *m = sync_at(1);

    (void)state;
    give(first_step(1));
    core_clear(&out);
    rill_frame(m)->granted_term = TERM + 2;
    give(m);
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC_ACK, 0), 0);
    core_expect(&out, RILL_FRAME_REQUEST_FULL, UNIT);
    give(full(UNIT, FLOW, TERM + 2, 1, NULL));
    assert_int_equal(core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER).term, TERM + 2);
    core_clear(&out);
    m = sync_at(1);
    rill_frame(m)->granted_term = TERM + 2;
    give(m);
    assert_int_equal(core_expect(&out, RILL_FRAME_SYNC_ACK, UNIT).granted_term, TERM + 2);
    give(sync_at(1)); /* late, of the earlier term */
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC_ACK, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_REQUEST_FULL, 0), 0);
}

/* --- aliases --- */

static void every_packet_waits_until_the_alias_is_confirmed(void **state)
{
    struct rte_mbuf *question;
    struct rill_alias asked;

    (void)state;
    give(with_whole_state(step(1), &alias_a));
    give(step(2));
    give(step(3));
    assert_int_equal(released(), 0);
    assert_int_equal(rill_ol_packets_held(ol), 3);
    question = core_take(&out, RILL_FRAME_ALIAS, CONTROLLER);
    assert_non_null(question);
    assert_int_equal(rill_body_read(question, 0, &asked, sizeof(asked)), 0);
    assert_memory_equal(&asked, &alias_a, sizeof(asked));
    assert_int_equal(rill_frame(question)->next_unit, UNIT);
    rte_pktmbuf_free(question);
    give(alias_ack(&alias_a, 0, 0));
    for (uint64_t k = 1; k <= 3; k++)
        expect_released(k);
    give(step(4));
    expect_released(4);
}

/* Until the controller has answered, the unit is told that its own copy is still needed. */
static void an_open_alias_is_told_with_the_acknowledgement(void **state)
{
    (void)state;
    give(with_whole_state(step(1), &alias_a));
    give(sync_at(1));
    assert_int_equal(core_expect(&out, RILL_FRAME_SYNC_ACK, UNIT).flags, RILL_FLAG_REFUSED);
    core_clear(&out);
    give(alias_ack(&alias_a, 0, 0));
    assert_int_equal(core_expect(&out, RILL_FRAME_SYNC_ACK, UNIT).flags, 0);
}

static void the_alias_is_asked_for_again_until_it_is_answered(void **state)
{
    (void)state;
    give(with_whole_state(step(1), &alias_a));
    core_clear(&out);
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_ALIAS, CONTROLLER);
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_ALIAS, CONTROLLER);
    give(alias_ack(&alias_a, 0, 0));
    pass_time(2 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_ALIAS, 0), 0);
}

static void an_alias_in_a_full_state_is_asked_for_without_a_packet(void **state)
{
    (void)state;
    give(full(UNIT, FLOW, TERM, 1, &alias_a));
    core_expect(&out, RILL_FRAME_ALIAS, CONTROLLER);
}

static void a_refused_alias_drops_what_waits_for_it(void **state)
{
    (void)state;
    give(with_whole_state(step(1), &alias_a));
    give(step(2));
    give(alias_ack(&alias_a, 0, RILL_FLAG_REFUSED));
    assert_int_equal(released(), 0);
    assert_int_equal(n()->dropped_alias_conflict, 2);
    assert_int_equal(rill_ol_packets_held(ol), 0);
}

static void an_alias_that_the_controller_knows_is_not_waited_for(void **state)
{
    struct rte_mbuf *m = with_whole_state(step(1), &alias_a);

    (void)state;
    rill_frame(m)->flags |= RILL_FLAG_ALIAS_KNOWN;
    give(m);
    expect_released(1);
    assert_int_equal(core_count(&out, RILL_FRAME_ALIAS, 0), 0);
}

static void an_answer_of_an_older_controller_does_not_count(void **state)
{
    struct rte_mbuf *m = with_whole_state(step(1), &alias_a);

    (void)state;
    rill_frame(m)->epoch = 2;
    give(m);
    give(alias_ack(&alias_a, 1, 0));
    assert_int_equal(released(), 0);
    give(alias_ack(&alias_a, 2, 0));
    expect_released(1);
}

static void an_older_controllers_knowledge_does_not_count(void **state)
{
    struct rte_mbuf *m = change(UNIT2, FLOW + 1, TERM, 1);

    (void)state;
    rill_frame(m)->epoch = 2;
    give(with_whole_state(m, NULL));
    m = with_whole_state(step(1), &alias_a);
    rill_frame(m)->epoch = 1;
    rill_frame(m)->flags |= RILL_FLAG_ALIAS_KNOWN;
    give(m);
    assert_int_equal(released(), 1); /* the other flow's */
    core_expect(&out, RILL_FRAME_ALIAS, CONTROLLER);
}

static void an_answer_about_another_alias_does_not_count(void **state)
{
    struct rill_alias other = alias_a;

    (void)state;
    other.local.port++;
    give(with_whole_state(step(1), &alias_a));
    give(alias_ack(&other, 0, 0));
    assert_int_equal(released(), 0);
}

/* --- with the controller --- */

static void established_is_repeated_until_acknowledged(void **state)
{
    struct rill_frame told;

    (void)state;
    give(first_step(1));
    told = core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER);
    assert_int_equal(told.flow, FLOW);
    assert_int_equal(told.term, TERM);
    assert_int_equal(told.next_unit, UNIT);
    for (int i = 0; i < 2; i++) {
        pass_time(RETRY_NS);
        core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER);
    }
    give(about_flow(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER, TERM - 1)); /* of an older term */
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER);
    give(about_flow(RILL_FRAME_ESTABLISHED_ACK, CONTROLLER, TERM));
    pass_time(RETRY_NS);
    pass_time(RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_ESTABLISHED, 0), 0);
}

static void an_idle_flow_is_asked_about(void **state)
{
    struct rill_frame need;

    (void)state;
    give(first_step(1));
    pass_time(KEEP_NS - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_NEED, 0), 0);
    pass_time(1);
    need = core_expect(&out, RILL_FRAME_NEED, CONTROLLER);
    assert_int_equal(need.flow, FLOW);
    assert_int_equal(need.next_unit, UNIT);
}

static bool known(void)
{
    struct rill_ol_flow_info info;

    return rill_ol_flow_info(ol, UNIT, FLOW, &info);
}

static void a_flow_is_forgotten_only_when_it_was_idle(void **state)
{
    (void)state;
    give(first_step(1));
    pass_time(KEEP_NS / 2);
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_true(known());
    pass_time(KEEP_NS);
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_false(known());
    assert_int_equal(n()->flows_forgotten, 1);
}

static struct rte_mbuf *vouch(uint64_t term)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_FORGET, CONTROLLER, term);

    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    return m;
}

/* Others may have older copies, and not have heard that they may forget them. */
static void an_ended_flow_is_held(void **state)
{
    struct rill_ol_config config = ol_usual();

    (void)state;
    config.hold_ns = 3 * KEEP_NS;
    ol_create(&config);
    give(first_step(1));
    now_ns += 2 * KEEP_NS;
    give(vouch(TERM));
    now_ns += 3 * KEEP_NS - 1;
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_true(known());
    now_ns++;
    give(vouch(TERM - 1)); /* not for what is here */
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_false(known());
}

static void a_flow_is_forgotten_only_below_the_term(void **state)
{
    (void)state;
    give(first_step(1));
    pass_time(KEEP_NS);
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, TERM));
    assert_true(known());
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, TERM + 1));
    assert_false(known());
}

static void a_flow_is_not_forgotten_before_its_alias_is_answered(void **state)
{
    (void)state;
    give(with_whole_state(step(1), &alias_a));
    core_clear(&out);
    pass_time(KEEP_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_NEED, 0), 0);
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_true(known());
    give(alias_ack(&alias_a, 0, RILL_FLAG_REFUSED));
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_false(known());
}

static void a_flow_that_is_forgotten_drops_what_it_holds(void **state)
{
    (void)state;
    give(step(5));
    pass_time(KEEP_NS);
    give(about_flow(RILL_FRAME_FORGET, CONTROLLER, UINT64_MAX));
    assert_int_equal(n()->dropped_forgotten, 1);
    assert_int_equal(rill_ol_packets_held(ol), 0);
}

/* --- bounds and bad frames --- */

static void no_more_packets_are_held_than_the_bound(void **state)
{
    (void)state;
    create(64, 3);
    for (uint64_t k = 10; k < 15; k++)
        give(step(k));
    assert_int_equal(rill_ol_packets_held(ol), 3);
    assert_int_equal(n()->dropped_held_full, 2);
}

static void the_bound_counts_packets_that_wait_for_an_alias(void **state)
{
    (void)state;
    create(64, 2);
    give(with_whole_state(step(1), &alias_a));
    give(step(2));
    give(step(3));
    assert_int_equal(rill_ol_packets_held(ol), 2);
    assert_int_equal(n()->dropped_held_full, 1);
    assert_int_equal(value_of(UNIT, FLOW), 3); /* kept all the same */
}

static void no_more_flows_are_kept_than_the_bound(void **state)
{
    (void)state;
    create(2, 16);
    for (uint64_t flow = 1; flow <= 4; flow++)
        give(with_whole_state(change(UNIT, flow, TERM, 1), NULL));
    assert_int_equal(released(), 2);
    assert_int_equal(n()->dropped_logger_flows_full, 2);
}

static void a_change_outside_of_the_state_is_malformed(void **state)
{
    struct rte_mbuf *m = step(2);

    (void)state;
    give(first_step(1));
    rill_frame(m)->state_offset = STATE - 7;
    give(m);
    m = step(2);
    rill_frame(m)->state_offset = UINT16_MAX;
    give(m);
    assert_int_equal(n()->messages_malformed, 2);
    assert_int_equal(n()->dropped_held_lost, 2);
    assert_int_equal(value_of(UNIT, FLOW), 1);
}

static void a_whole_state_that_is_not_whole_is_malformed(void **state)
{
    struct rte_mbuf *m = step(9);

    (void)state;
    give(first_step(1));
    rill_frame(m)->flags |= RILL_FLAG_FULL; /* but it brings 8 bytes only */
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(value_of(UNIT, FLOW), 1);
    assert_int_equal(released(), 1);
}

static void a_full_state_of_the_wrong_size_is_malformed(void **state)
{
    struct rte_mbuf *m = full(UNIT, FLOW, TERM, 4, NULL);

    (void)state;
    give(first_step(1));
    core_body(m, "x", 1);
    give(m);
    m = full(UNIT, FLOW, TERM, 4, NULL);
    rte_pktmbuf_trim(m, 1);
    give(m);
    assert_int_equal(n()->messages_malformed, 2);
    assert_int_equal(value_of(UNIT, FLOW), 1);
}

static void a_frame_for_another_role_is_dropped(void **state)
{
    struct rte_mbuf *m = first_step(1);

    (void)state;
    rill_frame(m)->dst = OL + 1;
    give(m);
    assert_int_equal(n()->dropped_wrong_incarnation, 1);
    assert_int_equal(out.count, 0);
}

static void without_buffers_it_is_as_if_the_network_had_lost_a_message(void **state)
{
    static struct rte_mbuf *taken[4096];
    unsigned k = 0;
    struct rte_mbuf *m = first_step(1);

    (void)state;
    while (k < RTE_DIM(taken) && (taken[k] = rte_pktmbuf_alloc(core_pool)) != NULL)
        k++;
    give(m); /* ESTABLISHED can not be sent */
    expect_released(1);
    assert_true(n()->messages_no_mbuf > 0);
    rte_pktmbuf_free_bulk(taken, k);
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_ESTABLISHED, CONTROLLER);
}

static void destroying_frees_all_that_is_pending(void **state)
{
    (void)state; /* teardown counts */
    give(with_whole_state(step(1), &alias_a));
    give(step(2));
    give(step(5));
    give(change(UNIT2, FLOW, TERM, 3));
    assert_int_equal(rill_ol_packets_held(ol), 4);
}

static void garbage_is_survived(void **state)
{
    const uint32_t ids[] = {OL, UNIT, UNIT2, CONTROLLER};
    uint64_t packets = 0, in, dropped;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int i = 0; i < 5000; i++) {
        struct rte_mbuf *m = core_garbage(&rng, ids, RTE_DIM(ids));

        packets +=
            rill_frame_has_packet(m) &&
            (rill_frame(m)->type == RILL_FRAME_CHANGE || rill_frame(m)->type == RILL_FRAME_PASS) &&
            rill_frame(m)->dst == OL;
        now_ns += rill_rng_below(&rng, CORE_MS);
        give(m);
        rill_ol_tick(ol, now_ns, &out);
        if (out.count > 1000)
            core_clear(&out);
    }
    in = n()->packets_in;
    dropped = n()->dropped_already_released + n()->dropped_alias_conflict + n()->dropped_held_full +
              n()->dropped_held_lost + n()->dropped_logger_flows_full + n()->dropped_forgotten +
              n()->dropped_fenced + n()->dropped_logger_old_epoch;
    assert_int_equal(in, packets);
    assert_int_equal(in, n()->packets_released + dropped + rill_ol_packets_held(ol));
}

#define T(test) cmocka_unit_test_setup_teardown(test, ol_setup, ol_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(steps_are_applied_in_order_and_released),
        T(the_first_of_a_term_goes_onto_anything),
        T(a_shorter_state_ends_in_zeros),
        T(a_change_without_packet_is_applied_and_releases_nothing),
        T(a_passed_packet_leaves_at_once),
        T(a_packet_that_is_turned_goes_to_a_controller),
        T(it_waits_for_its_flows_alias_like_any),
        T(of_several_controllers_it_goes_to_whose_it_is),
        T(entries_of_two_units_are_apart),
        T(behind_a_gap_a_packet_is_kept_back_and_the_state_asked_for),
        T(the_state_is_asked_for_again_until_it_comes),
        T(questions_without_an_answer_get_rare_but_not_new_ones),
        T(the_step_that_was_missing_closes_the_gap),
        T(a_full_state_closes_the_gap),
        T(a_covered_step_is_released_once_without_applying_it),
        T(a_second_copy_is_dropped),
        T(no_full_drops_what_is_kept_back),
        T(a_change_that_is_elsewhere_waits_for_the_full_state),
        T(sync_tells_whether_the_tail_was_lost),
        T(sync_of_a_later_term_asks_for_its_state),
        T(every_packet_waits_until_the_alias_is_confirmed),
        T(an_open_alias_is_told_with_the_acknowledgement),
        T(the_alias_is_asked_for_again_until_it_is_answered),
        T(an_alias_in_a_full_state_is_asked_for_without_a_packet),
        T(a_refused_alias_drops_what_waits_for_it),
        T(an_alias_that_the_controller_knows_is_not_waited_for),
        T(an_answer_of_an_older_controller_does_not_count),
        T(an_older_controllers_knowledge_does_not_count),
        T(an_answer_about_another_alias_does_not_count),
        T(established_is_repeated_until_acknowledged),
        T(an_idle_flow_is_asked_about),
        T(a_flow_is_forgotten_only_when_it_was_idle),
        T(an_ended_flow_is_held),
        T(a_flow_is_forgotten_only_below_the_term),
        T(a_flow_is_not_forgotten_before_its_alias_is_answered),
        T(a_flow_that_is_forgotten_drops_what_it_holds),
        T(no_more_packets_are_held_than_the_bound),
        T(the_bound_counts_packets_that_wait_for_an_alias),
        T(no_more_flows_are_kept_than_the_bound),
        T(a_change_outside_of_the_state_is_malformed),
        T(a_whole_state_that_is_not_whole_is_malformed),
        T(a_full_state_of_the_wrong_size_is_malformed),
        T(a_frame_for_another_role_is_dropped),
        T(without_buffers_it_is_as_if_the_network_had_lost_a_message),
        T(destroying_frees_all_that_is_pending),
        T(garbage_is_survived),
    };

    return cmocka_run_group_tests_name("output_logger", tests, core_group_setup,
                                       core_group_teardown);
}
