#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nf-runtime/unit_testing.h"

enum { FLOW = 100, TERM = 5, BLOCK = 8, TURNED_PORT = 1100 };

#define PEER rill_role_id(RILL_ROLE_UNIT, 2)
#define THIRD rill_role_id(RILL_ROLE_UNIT, 3)
#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define T_NS (10 * CORE_MS)
#define PULL_NS (4 * CORE_MS)
#define RETRY_NS (6 * CORE_MS)
#define SLOW_NS (1000 * CORE_MS)
#define KEEP_NS (1000 * CORE_MS)
#define NO_COST_BPS UINT64_C(8000000000000000) /* service takes no time */
#define MS_A_PACKET_BPS UINT64_C(8000000)      /* BYTES take 1 ms */

/* --- NFs --- */

struct counting {
    uint64_t packets, last; /* not 0: all of the state travels */
};

struct instance {
    struct rill_table *table;
    size_t wide; /* its last byte is written with the first packet; 0: it is not */
    struct rill_pool *pool;
};

static int init_small(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);

    (void)config;
    self->table =
        rill_table_create(nf, "count", RILL_PER_FLOW, RILL_WRITE, sizeof(struct counting));
    return self->table != NULL ? 0 : -1;
}

static int init_large(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);

    (void)config;
    self->wide = 400;
    self->table = rill_table_create(nf, "count", RILL_PER_FLOW, RILL_WRITE, self->wide);
    return self->table != NULL ? 0 : -1;
}

static int init_hardly_used(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);

    (void)config;
    self->table = rill_table_create(nf, "count", RILL_PER_FLOW, RILL_WRITE, 60000);
    return self->table != NULL ? 0 : -1;
}

static int init_pool(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);
    const char *address = "198.51.100.1";

    self->pool = rill_pool_create(nf, "ports", &address, 1, 1000, 1999, RILL_UDP);
    return self->pool != NULL ? init_small(nf, config) : -1;
}

/* Drops what goes to port 9, ends the flow with what goes to port 10, and turns what goes to port
 * 11. */
static enum rill_verdict count_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);
    struct counting *state = rill_get(self->table, pkt);
    struct rill_endpoint to;

    if (self->wide > 0 && state->packets == 0) {
        ((uint8_t *)state)[self->wide - 1] = 1;
        rill_put(self->table, pkt, self->wide - 1, 1);
    }
    state->packets++;
    rill_put(self->table, pkt, offsetof(struct counting, packets), 8);
    if (state->last == 0) {
        state->last = 1;
        rill_put(self->table, pkt, offsetof(struct counting, last), 8);
    }
    rill_pkt_destination(pkt, &to);
    if (to.port == 10)
        rill_flow_restart(pkt);
    if (to.port == 11) {
        rill_pkt_source(pkt, &to);
        to.port = TURNED_PORT;
        rill_pkt_set_source(pkt, &to);
        return RILL_TURN;
    }
    return to.port == 9 ? RILL_DROP : RILL_FORWARD;
}

static unsigned ends;
static uint64_t end_packets, end_time_ns; /* as flow_end saw them */

/* All that needs a packet fails, and does no harm. */
static void end_flow(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);
    const struct counting *state = rill_get(self->table, pkt);
    struct rill_endpoint a;
    uint32_t bytes = 0;

    ends++;
    end_packets = state->packets;
    end_time_ns = rill_pkt_time_ns(pkt);
    rill_pkt_source(pkt, &a);
    assert_int_equal(rill_pkt_set_source(pkt, &a), -1);
    assert_int_equal(rill_flow_alias(pkt, &a, NULL), -1);
    assert_int_equal(rill_pkt_set_dscp(pkt, 1), -1);
    assert_int_equal(rill_pkt_dscp(pkt), 0);
    assert_null(rill_pkt_payload(pkt, 0, &bytes));
    assert_int_equal(rill_pkt_payload_bytes(pkt), 0);
    assert_false(rill_pkt_tcp_numbers(pkt, &bytes, &bytes));
}

static const struct rill_nf_descriptor small_nf = {.abi = RILL_NF_ABI,
                                                   .name = "small",
                                                   .version = "1",
                                                   .summary = "Counts.",
                                                   .flow_scope = RILL_FLOW_CONNECTION,
                                                   .handles = RILL_HANDLES_UDP4,
                                                   .flags = RILL_NF_TURNS,
                                                   .instance_bytes = sizeof(struct instance),
                                                   .init = init_small,
                                                   .process_packet = count_packet,
                                                   .flow_end = end_flow};

/* --- the unit --- */

static struct rill_nf_descriptor descriptor;

static void set_share(uint32_t thousandths)
{
    lease_to(CONTROLLER, 0, thousandths);
}

static struct rill_unit_config usual(void)
{
    struct rill_unit_config config = unit_usual();

    config.capacity_bps = NO_COST_BPS;
    config.flowlet_timeout_ns = T_NS;
    config.pull_timeout_ns = PULL_NS;
    config.retry_ns = RETRY_NS;
    config.resend.slow_ns = SLOW_NS;
    config.keep_ns = KEEP_NS;
    config.pool_block = BLOCK;
    return config;
}

static void create_without_share(struct rill_unit_config config,
                                 int (*init)(struct rill_nf *, const struct rill_config *))
{
    descriptor = small_nf;
    descriptor.init = init;
    unit_create(&descriptor, config);
}

static void create(struct rill_unit_config config,
                   int (*init)(struct rill_nf *, const struct rill_config *))
{
    create_without_share(config, init);
    set_share(1000);
    core_expect(&out, RILL_FRAME_SHARE_ACK, RM);
}

static int setup(void **state)
{
    unit_setup(state);
    create(usual(), init_small);
    return 0;
}

/* --- frames --- */

static const struct rill_chain_entry birth = {.term = RILL_BIRTH_TERM};

static struct rill_chain_entry entry(uint64_t term, uint32_t role)
{
    return (struct rill_chain_entry){.term = term, .unit = role};
}

static void set_chain(struct rte_mbuf *m, struct rill_chain_entry below)
{
    rill_frame(m)->chain[0] = below;
    rill_frame(m)->chain_len = 1;
}

/* A packet of the flow that is born here. */
static struct rte_mbuf *own(uint64_t clock)
{
    return data_frame(FLOW, TERM, clock, birth);
}

static struct rte_mbuf *to_targets(struct rte_mbuf *m, uint32_t a, uint32_t b)
{
    rill_frame(m)->targets[0] = a;
    rill_frame(m)->targets[1] = b;
    rill_frame(m)->target_count = b != 0 ? 2 : 1;
    return m;
}

/* The first packet after a move from PEER, which had the term before. */
static struct rte_mbuf *moved_in(uint64_t clock)
{
    struct rte_mbuf *m = data_frame(FLOW, TERM + 1, clock, entry(TERM, PEER));

    rill_frame(m)->flags |= RILL_FLAG_MOVED;
    return m;
}

static struct rte_mbuf *handoff(enum rill_frame_type type, uint64_t term, uint64_t next_term,
                                uint32_t next_unit)
{
    struct rte_mbuf *m = core_frame(type, CONTROLLER, UNIT);

    rill_frame(m)->flow = FLOW;
    rill_frame(m)->term = term;
    rill_frame(m)->next_term = next_term;
    rill_frame(m)->next_unit = next_unit;
    set_chain(m, birth);
    return m;
}

static void put_state(struct rte_mbuf *m, uint64_t packets)
{
    uint8_t state[sizeof(struct rill_state_head) + sizeof(struct counting)] = {0};

    memcpy(state + sizeof(struct rill_state_head), &packets, 8);
    assert_int_equal(sizeof(state), rill_nf_state_bytes(unit_nf));
    core_body(m, state, sizeof(state));
}

/* PEER grants TERM + 1: `packets` steps were done, up to clock `clock`. */
static struct rte_mbuf *final_from_peer(uint64_t packets, uint64_t clock, bool with_state)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FINAL, PEER, UNIT);
    struct rill_frame *f = rill_frame(m);

    f->flow = FLOW;
    f->term = TERM;
    f->granted_term = TERM;
    f->step = packets;
    f->clock = clock;
    f->window = UINT64_MAX;
    f->next_term = TERM + 1;
    f->next_unit = UNIT;
    set_chain(m, entry(TERM, PEER));
    if (with_state) {
        f->flags |= RILL_FLAG_STATE;
        put_state(m, packets);
    }
    return m;
}

static struct rte_mbuf *replica(uint64_t packets, uint64_t clock, uint64_t window)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_REPLICA, PEER, UNIT);
    struct rill_replica_entry e = {.flow = FLOW,
                                   .term = TERM,
                                   .step = packets,
                                   .clock = clock,
                                   .window = window,
                                   .state_bytes = rill_nf_state_bytes(unit_nf)};

    core_body(m, &e, sizeof(e));
    put_state(m, packets);
    return m;
}

static struct rte_mbuf *about_flow(enum rill_frame_type type, uint32_t src, uint64_t flow)
{
    struct rte_mbuf *m = core_frame(type, src, UNIT);

    rill_frame(m)->flow = flow;
    return m;
}

/* --- what is to be seen --- */

static uint64_t packets_in_state(const uint8_t *state)
{
    uint64_t packets;

    memcpy(&packets, state + sizeof(struct rill_state_head), 8);
    return packets;
}

static uint64_t counted(uint64_t flow)
{
    struct rill_unit_flow_info info;

    assert_true(rill_unit_flow_info(unit, flow, &info));
    return packets_in_state(info.state);
}

static bool owner(uint64_t flow)
{
    struct rill_unit_flow_info info;

    return rill_unit_flow_info(unit, flow, &info) && info.owner;
}

static uint32_t changes(void)
{
    return core_count(&out, RILL_FRAME_CHANGE, OL);
}

/* --- steps --- */

static void a_flow_is_born_from_zeros(void **state)
{
    struct rill_frame f;

    (void)state;
    give(own(FLOW));
    f = core_expect(&out, RILL_FRAME_CHANGE, OL);
    assert_int_equal(f.flow, FLOW);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.step, 1);
    assert_int_equal(f.side, RILL_OUTSIDE);
    assert_int_equal(f.ingress_id, FLOW);
    assert_true(f.flags & RILL_FLAG_PACKET);
    assert_true(f.flags & RILL_FLAG_FULL);
    assert_int_equal(f.state_bytes, rill_nf_state_bytes(unit_nf));
    assert_int_equal(packets_in_state(f.state), 1);
    assert_int_equal(n()->flows_born, 1);
    assert_true(owner(FLOW));
}

static void later_changes_bring_only_what_changed(void **state)
{
    struct rill_frame f;
    uint64_t value;

    (void)state;
    give(own(FLOW));
    give(own(FLOW + 1));
    core_expect(&out, RILL_FRAME_CHANGE, OL);
    f = core_expect(&out, RILL_FRAME_CHANGE, OL);
    assert_false(f.flags & RILL_FLAG_FULL);
    assert_int_equal(f.step, 2);
    assert_int_equal(f.state_offset, sizeof(struct rill_state_head));
    assert_int_equal(f.state_bytes, 8);
    memcpy(&value, f.state, 8);
    assert_int_equal(value, 2);
}

static void a_large_change_goes_ahead_by_itself(void **state)
{
    struct rill_frame f;

    (void)state;
    create(usual(), init_large);
    give(own(FLOW));
    assert_true(out.count >= 2);
    assert_int_equal(rill_frame(out.frames[0])->type, RILL_FRAME_FULL);
    assert_int_equal(rte_pktmbuf_pkt_len(out.frames[0]), rill_nf_state_bytes(unit_nf));
    f = core_expect(&out, RILL_FRAME_CHANGE, OL);
    assert_true(f.flags & RILL_FLAG_ELSEWHERE);
    assert_false(f.flags & RILL_FLAG_FULL);
    assert_int_equal(f.state_bytes, 0);
}

static void bytes_that_were_never_used_do_not_travel(void **state)
{
    uint32_t used = sizeof(struct rill_state_head) + sizeof(struct counting);
    struct rill_unit_flow_info info;
    struct rte_mbuf *m;

    (void)state;
    create(usual(), init_hardly_used);
    assert_true(rill_nf_state_bytes(unit_nf) > 60000);
    give(to_targets(own(FLOW), PEER, 0));
    assert_int_equal(core_expect(&out, RILL_FRAME_CHANGE, OL).state_bytes, used);
    pass_time(T_NS / 2);
    m = core_take(&out, RILL_FRAME_REPLICA, PEER);
    assert_int_equal(rte_pktmbuf_pkt_len(m), sizeof(struct rill_replica_entry) + used);
    rte_pktmbuf_free(m);
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    m = core_take(&out, RILL_FRAME_FINAL, PEER);
    rte_pktmbuf_free(m);
    assert_true(rill_unit_flow_info(unit, FLOW, &info));
    for (uint32_t i = used; i < rill_nf_state_bytes(unit_nf); i++)
        assert_int_equal(info.state[i], 0);
}

/* PEER grants `term`, with a state of n bytes. */
static void give_final(uint64_t term, const void *bytes, uint32_t n)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FINAL, PEER, UNIT);
    struct rill_frame *f = rill_frame(m);

    f->flow = FLOW;
    f->term = f->granted_term = term - 1;
    f->step = term;
    f->clock = FLOW + term;
    f->window = UINT64_MAX;
    f->next_term = term;
    f->next_unit = UNIT;
    f->flags |= RILL_FLAG_STATE;
    set_chain(m, entry(term - 1, PEER));
    core_body(m, bytes, n);
    give(m);
}

static void a_shorter_state_leaves_nothing_of_a_longer_one(void **state)
{
    const uint32_t lengths[] = {50000, sizeof(struct rill_state_head) + sizeof(struct counting)};
    static uint8_t bytes[60000];
    struct rill_unit_flow_info info;

    (void)state;
    create(usual(), init_hardly_used);
    memset(bytes + sizeof(struct rill_state_head), 7,
           sizeof(bytes) - sizeof(struct rill_state_head));
    for (uint64_t i = 0; i < 2; i++) {
        give_final(TERM + 1 + 2 * i, bytes, lengths[i]);
        assert_true(rill_unit_flow_info(unit, FLOW, &info));
        assert_int_equal(info.term, TERM + 1 + 2 * i);
        assert_int_equal(info.state[lengths[i] - 1], 7);
        for (uint32_t k = lengths[i]; k < rill_nf_state_bytes(unit_nf); k++)
            assert_int_equal(info.state[k], 0);
    }
    give_final(TERM + 5, bytes, sizeof(struct rill_state_head) - 8); /* no state at all */
    give_final(TERM + 5, bytes, lengths[1] + 4);
    assert_int_equal(n()->messages_malformed, 2);
}

static void a_flow_that_the_nf_ends_is_told_of(void **state)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 10, BYTES);
    struct rte_mbuf *like = own(FLOW);
    struct rill_frame where;

    (void)state;
    rill_frame_copy_metadata(rill_frame(m), rill_frame(like));
    rte_pktmbuf_free(like);
    give(m);
    core_expect(&out, RILL_FRAME_CHANGE, OL);
    where = core_expect(&out, RILL_FRAME_WHERE, 0);
    assert_int_equal(where.flags, RILL_FLAG_ENDED);
    assert_int_equal(where.flow, FLOW);
    assert_int_equal(core_count(&out, RILL_FRAME_WHERE, 0), 0);
    give(own(FLOW + 1)); /* under way: nothing special */
    core_expect(&out, RILL_FRAME_CHANGE, OL);
    assert_int_equal(core_count(&out, RILL_FRAME_WHERE, 0), 0);
}

static void a_packet_that_the_nf_drops_still_sends_its_change(void **state)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 9, BYTES);
    struct rte_mbuf *like = own(FLOW);
    struct rte_mbuf *change;

    (void)state;
    rill_frame_copy_metadata(rill_frame(m), rill_frame(like));
    rte_pktmbuf_free(like);
    give(m);
    change = core_take(&out, RILL_FRAME_CHANGE, OL);
    assert_non_null(change);
    assert_false(rill_frame_has_packet(change));
    assert_int_equal(rte_pktmbuf_pkt_len(change), 0);
    assert_int_equal(rill_frame(change)->step, 1);
    rte_pktmbuf_free(change);
    assert_int_equal(n()->dropped_nf, 1);
}

/* Its change, as the output logger gets it. */
static struct rill_frame change_of(enum rill_side side, uint16_t port)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", port, BYTES);
    struct rte_mbuf *like = own(FLOW);

    rill_frame_copy_metadata(rill_frame(m), rill_frame(like));
    rill_frame(m)->side = side;
    rte_pktmbuf_free(like);
    give(m);
    return core_expect(&out, RILL_FRAME_CHANGE, OL);
}

static void a_packet_that_the_nf_turns_says_so(void **state)
{
    struct rill_frame change = change_of(RILL_INSIDE, 11);

    (void)state;
    assert_int_equal(change.flags & (RILL_FLAG_PACKET | RILL_FLAG_TURN),
                     RILL_FLAG_PACKET | RILL_FLAG_TURN);
    assert_int_equal(change.side, RILL_OUTSIDE);
    assert_int_equal(n()->dropped_nf, 0);
}

/* What the change of a later fragment says, whose first came from port 5 and went to port 11. */
static struct rill_frame turned_fragment(uint8_t proto, uint64_t clock)
{
    struct test_packet p;
    struct rte_mbuf *m, *like = own(clock);

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", proto, 0, 100);
    test_fill(&p, 64);
    test_finish(&p);
    m = core_packet(&p);
    rill_frame_copy_metadata(rill_frame(m), rill_frame(like));
    rill_frame(m)->wire_bytes = p.len;
    rill_frame(m)->side = RILL_INSIDE;
    rill_frame(m)->first_sport = proto == RILL_ICMP ? 11 : 5;
    rill_frame(m)->first_dport = 11;
    rte_pktmbuf_free(like);
    give(m);
    return core_expect(&out, RILL_FRAME_CHANGE, OL);
}

/* It is looked up once more by these. */
static void a_later_fragment_that_is_turned_has_its_firsts_ports(void **state)
{
    struct rill_frame change = turned_fragment(RILL_UDP, FLOW);

    (void)state;
    assert_true(change.flags & RILL_FLAG_TURN);
    assert_int_equal(change.first_sport, TURNED_PORT);
    assert_int_equal(change.first_dport, 11);
    change = turned_fragment(RILL_ICMP, FLOW + 1);
    assert_true(change.flags & RILL_FLAG_TURN);
    assert_int_equal(change.first_sport, TURNED_PORT);
    assert_int_equal(change.first_dport, TURNED_PORT);
}

static void what_came_from_outside_is_not_turned(void **state)
{
    (void)state;
    assert_int_equal(change_of(RILL_OUTSIDE, 11).flags & (RILL_FLAG_PACKET | RILL_FLAG_TURN), 0);
    assert_int_equal(n()->dropped_nf, 1);
}

static void no_packet_is_processed_twice(void **state)
{
    (void)state;
    give(own(FLOW));
    give(own(FLOW + 2));
    give(own(FLOW + 1)); /* late, but not yet seen */
    give(own(FLOW + 1));
    give(own(FLOW + 2));
    assert_int_equal(changes(), 3);
    assert_int_equal(n()->dropped_late_or_duplicate, 2);
    assert_int_equal(counted(FLOW), 3);
}

static void older_than_the_window_counts_as_a_duplicate(void **state)
{
    (void)state;
    give(own(FLOW));
    give(own(FLOW + 65));
    give(own(FLOW + 2)); /* 63 behind */
    give(own(FLOW + 1)); /* 64 behind */
    assert_int_equal(changes(), 3);
    assert_int_equal(n()->dropped_late_or_duplicate, 1);
}

static void a_packet_that_can_not_be_read_is_dropped(void **state)
{
    struct rte_mbuf *m = own(FLOW);

    (void)state;
    rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_pkt_len(m) - 10));
    give(m);
    assert_int_equal(n()->dropped_unit_parse, 1);
    assert_int_equal(changes(), 0);
}

static void frames_for_another_or_of_an_older_controller_are_dropped(void **state)
{
    struct rte_mbuf *m = own(FLOW);

    (void)state;
    rill_frame(m)->dst = UNIT + 7;
    give(m);
    assert_int_equal(n()->dropped_wrong_incarnation, 1);
    m = own(FLOW);
    rill_frame(m)->epoch = 2;
    give(m);
    m = own(FLOW + 1);
    rill_frame(m)->epoch = 1;
    give(m);
    assert_int_equal(n()->dropped_old_epoch, 1);
    assert_int_equal(changes(), 1);
}

static void no_more_flows_than_the_bound(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.flows_max = 2;
    create(config, init_small);
    for (uint64_t flow = 1; flow <= 4; flow++)
        give(data_frame(flow * 1000, TERM, flow * 1000, birth));
    assert_int_equal(changes(), 2);
    assert_int_equal(n()->dropped_unit_flows_full, 2);
    assert_int_equal(rill_unit_flows(unit), 2);
}

/* --- service --- */

static void slow(uint32_t thousandths)
{
    struct rill_unit_config config = usual();

    config.capacity_bps = MS_A_PACKET_BPS;
    create(config, init_small);
    set_share(thousandths);
    core_clear(&out);
}

static void comes_out_every(uint64_t service_ns)
{
    uint64_t start_ns = now_ns;

    for (uint64_t i = 0; i < 3; i++)
        give(own(FLOW + i));
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(rill_unit_next_ns(unit) <= start_ns + (i + 1) * service_ns, 1);
        at(start_ns + (i + 1) * service_ns - 1);
        assert_int_equal(changes(), i);
        at(start_ns + (i + 1) * service_ns);
        assert_int_equal(changes(), i + 1);
    }
    /* An idle unit begins when the packet comes, not where it left off. */
    at(start_ns + 4 * service_ns);
    give(own(FLOW + 3));
    at(start_ns + 5 * service_ns - 1);
    assert_int_equal(changes(), 3);
    at(start_ns + 5 * service_ns);
    assert_int_equal(changes(), 4);
}

static void a_packet_takes_its_service_time(void **state)
{
    (void)state;
    slow(1000);
    comes_out_every(CORE_MS);
}

static void a_quarter_of_the_unit_takes_four_times_as_long(void **state)
{
    (void)state;
    slow(250);
    comes_out_every(4 * CORE_MS);
}

/* Up to half a microsecond ahead. */
static void what_takes_hardly_any_time_is_served_at_once(void **state)
{
    struct rill_unit_config config = usual();
    uint64_t start_ns;

    (void)state;
    config.capacity_bps = MS_A_PACKET_BPS * 5000; /* 200 ns a packet, or a little less */
    create(config, init_small);
    set_share(1000);
    core_clear(&out);
    start_ns = now_ns;
    for (uint64_t i = 0; i < 4; i++)
        give(own(FLOW + i));
    assert_int_equal(changes(), 2);
    assert_int_equal(rill_unit_packets_held(unit), 2);
    at(start_ns + 590);
    assert_int_equal(changes(), 2);
    at(start_ns + 600);
    assert_int_equal(changes(), 3);
    give(own(FLOW + 4)); /* not before the one that waits */
    assert_int_equal(changes(), 3);
    at(start_ns + 1000);
    assert_int_equal(changes(), 5);
    assert_in_range(n()->service_ns, 990, 1000);
    assert_int_equal(rill_unit_served_bytes(unit, 0), n()->bytes_in);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    slow(1000);
    for (uint64_t i = 0; i < 20; i++)
        give(own(FLOW + i));
    assert_int_equal(rill_unit_packets_held(unit), 16);
    assert_int_equal(n()->dropped_unit_queue_full, 4);
    assert_int_equal(n()->packets_in, 20);
}

static void without_a_share_packets_wait_until_there_is_one(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.capacity_bps = MS_A_PACKET_BPS;
    create_without_share(config, init_small);
    core_clear(&out);
    give(own(FLOW));
    pass_time(100 * CORE_MS);
    assert_int_equal(changes(), 0);
    assert_int_equal(rill_unit_packets_held(unit), 1);
    set_share(500);
    pass_time(2 * CORE_MS - 1);
    assert_int_equal(changes(), 0);
    pass_time(1);
    assert_int_equal(changes(), 1);
}

static void a_share_of_nothing_is_taken_when_the_queue_is_empty(void **state)
{
    struct rill_frame ack;

    (void)state;
    slow(1000);
    give(own(FLOW));
    set_share(0);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE_ACK, 0), 0);
    pass_time(CORE_MS);
    assert_int_equal(changes(), 1);
    set_share(0);
    ack = core_expect(&out, RILL_FRAME_SHARE_ACK, RM);
    assert_int_equal(ack.clock, share_number);
    assert_int_equal(ack.next_unit, CONTROLLER);
    assert_int_equal(ack.count, 0);
    /* A straggler is served at the last speed: nothing waits behind it for good. */
    give(own(FLOW + 1));
    pass_time(CORE_MS - 1);
    assert_int_equal(changes(), 1);
    pass_time(1);
    assert_int_equal(changes(), 2);
}

static void a_late_share_does_not_undo_a_newer_one(void **state)
{
    (void)state;
    slow(1000); /* the second share */
    share_number = 0;
    set_share(250); /* the first, once more: acknowledged, not taken */
    core_expect(&out, RILL_FRAME_SHARE_ACK, RM);
    give(own(FLOW));
    pass_time(CORE_MS);
    assert_int_equal(changes(), 1);
}

static void a_share_above_the_whole_is_malformed(void **state)
{
    (void)state;
    set_share(1001);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE_ACK, 0), 0);
}

/* --- handing over --- */

static void move_takes_its_turn_behind_the_packets_before_it(void **state)
{
    struct rill_frame f;

    (void)state;
    slow(1000);
    give(own(FLOW));
    give(own(FLOW + 1));
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    pass_time(CORE_MS);
    assert_int_equal(changes(), 1);
    assert_int_equal(core_count(&out, RILL_FRAME_FINAL, 0), 0);
    assert_true(owner(FLOW));
    pass_time(CORE_MS);
    assert_int_equal(changes(), 2);
    f = core_expect(&out, RILL_FRAME_FINAL, PEER);
    assert_int_equal(f.step, 2);
    assert_int_equal(f.clock, FLOW + 1);
    assert_false(owner(FLOW));
}

static void final_brings_the_state(void **state)
{
    struct rte_mbuf *m;
    uint8_t bytes[128];

    (void)state;
    give(own(FLOW));
    give(own(FLOW + 1));
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    m = core_take(&out, RILL_FRAME_FINAL, PEER);
    assert_non_null(m);
    assert_true(rill_frame(m)->flags & RILL_FLAG_STATE);
    assert_int_equal(rill_frame(m)->term, TERM);
    assert_int_equal(rill_frame(m)->granted_term, TERM);
    assert_int_equal(rill_frame(m)->next_term, TERM + 1);
    assert_int_equal(rill_frame(m)->next_unit, PEER);
    assert_int_equal(rill_frame(m)->chain[0].term, TERM);
    assert_int_equal(rill_frame(m)->chain[0].unit, UNIT);
    assert_int_equal(rte_pktmbuf_pkt_len(m), rill_nf_state_bytes(unit_nf));
    assert_int_equal(rill_body_read(m, 0, bytes, rill_nf_state_bytes(unit_nf)), 0);
    assert_int_equal(packets_in_state(bytes), 2);
    rte_pktmbuf_free(m);
    assert_int_equal(n()->handoffs_out, 1);
}

static void final_leaves_out_a_state_that_the_next_owner_was_sent(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), PEER, 0));
    pass_time(T_NS / 2);
    core_expect(&out, RILL_FRAME_REPLICA, PEER);
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    assert_false(core_expect(&out, RILL_FRAME_FINAL, PEER).flags & RILL_FLAG_STATE);
    assert_int_equal(n()->finals_without_state, 1);
}

static void final_brings_the_state_if_the_copy_is_older(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), PEER, 0));
    pass_time(T_NS / 2);
    give(own(FLOW + 1));
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    assert_true(core_expect(&out, RILL_FRAME_FINAL, PEER).flags & RILL_FLAG_STATE);
}

static void pull_is_answered_with_the_state(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), PEER, 0));
    pass_time(T_NS / 2);
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    core_clear(&out);
    for (int i = 0; i < 2; i++) { /* the first answer may be lost */
        give(handoff(RILL_FRAME_PULL, TERM, TERM + 1, PEER));
        assert_true(core_expect(&out, RILL_FRAME_FINAL, PEER).flags & RILL_FLAG_STATE);
    }
    assert_int_equal(n()->pulls_answered, 2);
}

static void pull_alone_moves_the_flow(void **state)
{
    (void)state;
    give(own(FLOW));
    give(handoff(RILL_FRAME_PULL, TERM, TERM + 1, PEER));
    core_expect(&out, RILL_FRAME_FINAL, PEER);
    assert_false(owner(FLOW));
}

static void a_late_packet_at_the_former_owner_is_forwarded(void **state)
{
    struct rill_frame f;

    (void)state;
    give(own(FLOW));
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    give(own(FLOW + 1));
    f = core_expect(&out, RILL_FRAME_FORWARDED, PEER);
    assert_int_equal(f.flow, FLOW);
    assert_int_equal(f.term, TERM + 1);
    assert_int_equal(f.clock, FLOW + 1);
    assert_int_equal(changes(), 1);
    assert_int_equal(n()->packets_forwarded, 1);
}

static void a_packet_of_a_later_term_implies_move(void **state)
{
    struct rte_mbuf *m = data_frame(FLOW, TERM + 2, FLOW + 9, entry(TERM + 1, PEER));

    (void)state;
    rill_frame(m)->chain[1] = entry(TERM, UNIT);
    rill_frame(m)->chain_len = 2;
    give(own(FLOW));
    give(m);
    assert_false(owner(FLOW));
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, PEER).next_term, TERM + 1);
    assert_int_equal(changes(), 1);
    assert_int_equal(rill_unit_packets_held(unit), 1);
}

/* --- taking over --- */

static void packets_are_held_until_final_and_processed_by_clock(void **state)
{
    (void)state;
    give(moved_in(FLOW + 12));
    give(data_frame(FLOW, TERM + 1, FLOW + 14, entry(TERM, PEER)));
    give(data_frame(FLOW, TERM + 1, FLOW + 13, entry(TERM, PEER)));
    give(data_frame(FLOW, TERM + 1, FLOW + 13, entry(TERM, PEER)));
    assert_int_equal(changes(), 0);
    assert_int_equal(rill_unit_packets_held(unit), 3);
    assert_int_equal(n()->moved_in_held, 1);
    give(final_from_peer(12, FLOW + 11, true));
    assert_int_equal(step_count, 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(steps[i], FLOW + 12 + i);
    assert_int_equal(counted(FLOW), 15);
    assert_int_equal(rill_unit_packets_held(unit), 0);
    assert_int_equal(n()->dropped_late_or_duplicate, 1);
    assert_true(core_expect(&out, RILL_FRAME_CHANGE, OL).flags & RILL_FLAG_FULL);
    assert_true(owner(FLOW));
}

static void a_packet_after_final_does_not_wait(void **state)
{
    (void)state;
    give(final_from_peer(12, FLOW + 11, true));
    give(moved_in(FLOW + 12));
    assert_int_equal(changes(), 1);
    assert_int_equal(counted(FLOW), 13);
    assert_int_equal(n()->moved_in_seamless, 1);
    assert_int_equal(n()->moved_in_held, 0);
}

static void final_of_another_term_is_not_taken(void **state)
{
    struct rte_mbuf *m = final_from_peer(12, FLOW + 11, true);

    (void)state;
    give(final_from_peer(12, FLOW + 11, true));
    give(moved_in(FLOW + 12));
    give(m); /* a second copy: would undo the step */
    assert_int_equal(counted(FLOW), 13);
}

static void final_without_state_goes_on_from_the_replica(void **state)
{
    (void)state;
    give(moved_in(FLOW + 12)); /* before the replica, whose window has a hole: not seamless */
    give(replica(11, FLOW + 11, UINT64_MAX & ~UINT64_C(4)));
    assert_int_equal(changes(), 0);
    give(final_from_peer(11, FLOW + 11, false));
    assert_int_equal(changes(), 1);
    assert_int_equal(counted(FLOW), 12);
}

static void final_without_state_is_pulled_if_the_replica_is_another(void **state)
{
    struct rill_frame f;

    (void)state;
    give(replica(10, FLOW + 10, UINT64_MAX));
    give(moved_in(FLOW + 12));
    core_clear(&out);
    give(final_from_peer(12, FLOW + 11, false));
    assert_int_equal(changes(), 0);
    f = core_expect(&out, RILL_FRAME_PULL, PEER);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.next_term, TERM + 1);
    assert_int_equal(f.next_unit, UNIT);
    give(final_from_peer(12, FLOW + 11, true));
    assert_int_equal(counted(FLOW), 13);
}

static void a_final_of_the_wrong_size_is_malformed(void **state)
{
    struct rte_mbuf *m = final_from_peer(12, FLOW + 11, true);

    (void)state;
    core_body(m, "x", 1);
    give(moved_in(FLOW + 12));
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(changes(), 0);
}

static void without_final_the_chain_is_asked(void **state)
{
    struct rill_frame f;

    (void)state;
    give(moved_in(FLOW + 12));
    pass_time(PULL_NS - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_PULL, 0), 0);
    pass_time(1);
    f = core_expect(&out, RILL_FRAME_PULL, PEER);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.next_term, TERM + 1);
    assert_int_equal(f.next_unit, UNIT);
    pass_time(2 * PULL_NS); /* pauses double; every other time the controller, too */
    core_expect(&out, RILL_FRAME_PULL, PEER);
    assert_int_equal(core_expect(&out, RILL_FRAME_WHERE, CONTROLLER).term, TERM + 1);
}

static struct rill_unit_config slow_after_three(void)
{
    struct rill_unit_config config = usual();

    config.resend = (struct rill_resend){.attempts = 3, .slow_ns = SLOW_NS};
    return config;
}

/* In steps of the shortest pause, so that nothing that is due waits for another. */
static uint32_t asked_within(enum rill_frame_type type, uint64_t ns)
{
    uint32_t asked;

    core_clear(&out);
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns;)
        pass_time(CORE_MS);
    asked = core_count(&out, type, 0);
    core_clear(&out);
    return asked;
}

/* Nobody answers: it is asked rarely, but for ever, and what is held stays. */
static void a_question_without_an_answer_is_asked_more_and_more_rarely(void **state)
{
    (void)state;
    create(slow_after_three(), init_small);
    give(moved_in(FLOW + 12));
    assert_int_equal(asked_within(RILL_FRAME_PULL, 20 * PULL_NS), 2);
    assert_int_equal(n()->resends_slowed, 1);
    assert_in_range(asked_within(RILL_FRAME_PULL, 10 * SLOW_NS), 9, 10);
    assert_int_equal(n()->resends_slowed, 1);
    assert_int_equal(rill_unit_packets_held(unit), 1);
    give(final_from_peer(12, FLOW + 11, true));
    assert_int_equal(counted(FLOW), 13);
}

/* The next owner's question goes on at once: pauses do not add up along the chain. */
static void who_is_asked_itself_asks_at_once(void **state)
{
    (void)state;
    create(slow_after_three(), init_small);
    give(moved_in(FLOW + 12));
    asked_within(RILL_FRAME_PULL, 20 * PULL_NS);
    give(handoff(RILL_FRAME_PULL, TERM + 1, TERM + 2, THIRD));
    core_expect(&out, RILL_FRAME_PULL, PEER);
}

static void the_logger_and_the_controller_are_asked_rarely_too(void **state)
{
    (void)state;
    create(slow_after_three(), init_pool);
    give(own(FLOW));
    assert_in_range(asked_within(RILL_FRAME_POOL_REQUEST, 20 * RETRY_NS), 1, 2);
    assert_int_equal(n()->resends_slowed, 2); /* for endpoints, and SYNC */
    assert_in_range(asked_within(RILL_FRAME_SYNC, 10 * SLOW_NS), 9, 10);
    assert_in_range(asked_within(RILL_FRAME_POOL_REQUEST, 10 * SLOW_NS), 9, 10);
}

static void a_term_that_was_passed_over_drops_its_packets(void **state)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_CHAIN, CONTROLLER, FLOW);

    (void)state;
    give(moved_in(FLOW + 12));
    rill_frame(m)->term = TERM + 1;
    rill_frame(m)->flags |= RILL_FLAG_REFUSED;
    give(m);
    assert_int_equal(n()->dropped_superseded, 1);
    assert_int_equal(rill_unit_packets_held(unit), 0);
}

static void a_dense_replica_one_clock_below_is_gone_on_from_at_once(void **state)
{
    struct rte_mbuf *m = moved_in(FLOW + 12);

    (void)state;
    rill_frame(m)->flags |= RILL_FLAG_BY_GAP;
    give(replica(12, FLOW + 11, UINT64_MAX));
    give(m);
    assert_int_equal(changes(), 1);
    assert_int_equal(counted(FLOW), 13);
    assert_true(owner(FLOW));
    assert_int_equal(n()->moved_in_seamless, 1);
    assert_int_equal(n()->moved_in_seamless_by_gap, 1);
}

static void a_replica_that_comes_after_the_packet_serves_too(void **state)
{
    (void)state;
    give(moved_in(FLOW + 12));
    give(replica(12, FLOW + 11, UINT64_MAX));
    assert_int_equal(counted(FLOW), 13);
    assert_int_equal(n()->moved_in_held, 1);
}

static void a_replica_with_a_hole_is_not_gone_on_from(void **state)
{
    (void)state;
    give(replica(11, FLOW + 11, UINT64_MAX & ~UINT64_C(2)));
    give(moved_in(FLOW + 12));
    assert_int_equal(changes(), 0);
    assert_int_equal(n()->moved_in_held, 1);
}

static void a_replica_of_another_clock_is_not_gone_on_from(void **state)
{
    (void)state;
    give(replica(11, FLOW + 10, UINT64_MAX));
    give(moved_in(FLOW + 12));
    give(replica(13, FLOW + 12, UINT64_MAX));
    assert_int_equal(changes(), 0);
}

static void a_forwarded_packet_does_not_say_where_a_term_begins(void **state)
{
    struct rte_mbuf *m = data_frame(FLOW, TERM + 1, FLOW + 12, entry(TERM, PEER));

    (void)state;
    rill_frame(m)->type = RILL_FRAME_FORWARDED;
    rill_frame(m)->src = PEER;
    give(replica(12, FLOW + 11, UINT64_MAX));
    give(m);
    assert_int_equal(changes(), 0);
    assert_int_equal(rill_unit_packets_held(unit), 1);
}

static void an_older_replica_does_not_replace_a_newer_one(void **state)
{
    (void)state;
    give(replica(12, FLOW + 11, UINT64_MAX));
    give(replica(9, FLOW + 8, UINT64_MAX));
    give(moved_in(FLOW + 12));
    assert_int_equal(counted(FLOW), 13);
    assert_int_equal(n()->replicas_taken, 1);
}

static void a_replica_frame_that_is_cut_is_malformed(void **state)
{
    struct rte_mbuf *m = replica(12, FLOW + 11, UINT64_MAX);

    (void)state;
    rte_pktmbuf_trim(m, 1);
    give(m);
    m = core_frame(RILL_FRAME_REPLICA, PEER, UNIT);
    core_body(m, "x", 1);
    give(m);
    assert_int_equal(n()->messages_malformed, 2);
    assert_int_equal(n()->replicas_taken, 0);
}

/* A replica of another flow, of a version that its first packet would go on from. */
static void give_replica_of(uint64_t flow)
{
    struct rte_mbuf *m = replica(12, flow + 11, UINT64_MAX);
    struct rill_replica_entry e;

    assert_int_equal(rill_body_read(m, 0, &e, sizeof(e)), 0);
    e.flow = flow;
    memcpy(rte_pktmbuf_mtod(m, void *), &e, sizeof(e));
    give(m);
}

static void replicas_take_no_more_memory_than_they_may(void **state)
{
    struct rill_unit_config config = usual();
    uint32_t room;

    (void)state;
    config.replica_kb = 4;
    create(config, init_small);
    for (uint64_t flow = 1; flow <= 60; flow++)
        give_replica_of(flow * 1000);
    room = rill_unit_replicas(unit);
    assert_in_range(room, 4, 12); /* an entry takes some 500 bytes */
    assert_int_equal(rill_unit_flows(unit), room);
    assert_int_equal(n()->replicas_evicted, 60 - room);
    assert_int_equal(n()->replicas_refused, 0);
}

/* The one that was refreshed is not the oldest any more. */
static void the_replica_that_goes_is_the_one_that_changed_least_recently(void **state)
{
    struct rill_unit_config config = usual();
    struct rill_unit_flow_info info;

    (void)state;
    config.flows_max = 2;
    create(config, init_small);
    give_replica_of(1000);
    give_replica_of(2000);
    give(replica(12, FLOW + 11, UINT64_MAX)); /* 1000 goes */
    assert_false(rill_unit_flow_info(unit, 1000, &info));
    give(replica(13, FLOW + 12, UINT64_MAX));
    give_replica_of(3000); /* 2000 goes */
    give(replica(14, FLOW + 13, UINT64_MAX));
    give_replica_of(4000); /* 3000 goes, though it came after FLOW */
    assert_false(rill_unit_flow_info(unit, 3000, &info));
    assert_true(rill_unit_flow_info(unit, FLOW, &info));
    assert_int_equal(n()->replicas_evicted, 3);
}

static void without_memory_for_replicas_none_is_taken(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.replica_kb = 0;
    create(config, init_small);
    give(replica(12, FLOW + 11, UINT64_MAX));
    assert_int_equal(n()->replicas_refused, 1);
    assert_int_equal(rill_unit_flows(unit), 0);
    give(own(FLOW)); /* it is for replicas alone */
    assert_int_equal(changes(), 1);
}

static void a_replica_gives_way_to_a_flow_of_our_own(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.flows_max = 2;
    create(config, init_small);
    give_replica_of(1000);
    give_replica_of(2000);
    give(own(FLOW));
    give(data_frame(FLOW + 1000, TERM, FLOW + 1000, birth));
    assert_int_equal(changes(), 2);
    assert_int_equal(n()->replicas_evicted, 2);
    assert_int_equal(n()->dropped_unit_flows_full, 0);
}

/* Owned, passed on and pinned, or waited for: none of these is a mere replica. */
static void nothing_but_a_replica_gives_way(void **state)
{
    struct rill_unit_config config = usual();
    struct rill_unit_flow_info info;

    (void)state;
    config.flows_max = 3;
    create(config, init_small);
    give(own(FLOW));
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));    /* pinned */
    give(data_frame(FLOW + 1000, TERM, FLOW + 1000, birth)); /* owned */
    give_replica_of(FLOW + 2000);                            /* a replica ... */
    give(data_frame(FLOW + 2000, TERM + 1, FLOW + 2020,
                    entry(TERM, PEER))); /* ... of one that waits */
    assert_int_equal(rill_unit_replicas(unit), 0);
    give_replica_of(5000);
    give(data_frame(6000, TERM, 6000, birth));
    assert_int_equal(n()->replicas_refused, 1);
    assert_int_equal(n()->dropped_unit_flows_full, 1);
    assert_int_equal(n()->replicas_evicted, 0);
    for (uint64_t flow = FLOW; flow <= FLOW + 2000; flow += 1000)
        assert_true(rill_unit_flow_info(unit, flow, &info));
    assert_int_equal(rill_unit_packets_held(unit), 1);
}

/* FINAL leaves the state out for a replica that is gone: it is asked for. */
static void who_finds_its_replica_gone_asks(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.flows_max = 1;
    create(config, init_small);
    give(replica(12, FLOW + 11, UINT64_MAX));
    give_replica_of(1000); /* FLOW goes */
    give(moved_in(FLOW + 12));
    assert_int_equal(changes(), 0);
    give(final_from_peer(12, FLOW + 11, false));
    assert_int_equal(core_expect(&out, RILL_FRAME_PULL, PEER).flow, FLOW);
    give(final_from_peer(12, FLOW + 11, true));
    assert_int_equal(counted(FLOW), 13);
}

static void the_stash_is_bounded_for_a_flow_and_for_the_unit(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 10; i++)
        give(data_frame(FLOW, TERM + 1, FLOW + 12 + i, entry(TERM, PEER)));
    assert_int_equal(rill_unit_packets_held(unit), 8);
    assert_int_equal(n()->dropped_stash_full, 2);
    for (uint64_t i = 0; i < 8; i++)
        give(data_frame(FLOW + 1000, TERM + 1, FLOW + 1012 + i, entry(TERM, PEER)));
    assert_int_equal(rill_unit_packets_held(unit), 12);
    assert_int_equal(n()->dropped_stash_full, 6);
    give(final_from_peer(12, FLOW + 11, true));
    assert_int_equal(rill_unit_packets_held(unit), 4);
}

/* --- the output logger --- */

static void the_logger_gets_the_full_state_when_it_asks(void **state)
{
    struct rte_mbuf *m;
    uint8_t bytes[128];

    (void)state;
    give(own(FLOW));
    give(about_flow(RILL_FRAME_REQUEST_FULL, OL, FLOW));
    m = core_take(&out, RILL_FRAME_FULL, OL);
    assert_non_null(m);
    assert_int_equal(rill_frame(m)->step, 1);
    assert_int_equal(rill_frame(m)->granted_term, TERM);
    assert_int_equal(rill_body_read(m, 0, bytes, rill_nf_state_bytes(unit_nf)), 0);
    assert_int_equal(packets_in_state(bytes), 1);
    rte_pktmbuf_free(m);
}

static void the_logger_is_told_that_a_flow_is_not_known(void **state)
{
    (void)state;
    give(about_flow(RILL_FRAME_REQUEST_FULL, OL, FLOW));
    assert_int_equal(core_expect(&out, RILL_FRAME_NO_FULL, OL).flow, FLOW);
}

static void the_logger_is_told_nothing_while_the_state_is_on_its_way(void **state)
{
    (void)state;
    give(moved_in(FLOW + 12));
    give(about_flow(RILL_FRAME_REQUEST_FULL, OL, FLOW));
    assert_int_equal(core_count(&out, RILL_FRAME_NO_FULL, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_FULL, 0), 0);
}

static void acknowledge_sync(uint64_t term, uint64_t step)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_SYNC_ACK, OL, FLOW);

    rill_frame(m)->term = rill_frame(m)->granted_term = term;
    rill_frame(m)->step = step;
    give(m);
}

static void the_tag_is_repeated_until_the_logger_has_the_term(void **state)
{
    struct rill_frame f;

    (void)state;
    give(own(FLOW));
    pass_time(T_NS / 2 - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
    pass_time(1);
    f = core_expect(&out, RILL_FRAME_SYNC, OL);
    assert_int_equal(f.flow, FLOW);
    assert_int_equal(f.term, TERM);
    assert_int_equal(f.step, 1);
    pass_time(RETRY_NS);
    core_expect(&out, RILL_FRAME_SYNC, OL);
    acknowledge_sync(TERM - 1, 1); /* not this term */
    pass_time(2 * RETRY_NS - 1);   /* pauses double */
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
    pass_time(1);
    core_expect(&out, RILL_FRAME_SYNC, OL);
    acknowledge_sync(TERM, 1);
    pass_time(100 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
}

/* What comes after is missed by the logger itself, with the next change. */
static void nothing_is_said_in_the_gaps_of_a_term_that_the_logger_has(void **state)
{
    (void)state;
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    pass_time(T_NS);
    for (uint64_t clock = FLOW + 1; clock < FLOW + 4; clock++) {
        give(own(clock));
        pass_time(T_NS);
    }
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
    assert_int_equal(rill_unit_counters(unit)->syncs_sent, 0);
}

static void the_last_tag_is_repeated_before_the_flow_may_be_forgotten(void **state)
{
    (void)state;
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    give(own(FLOW + 1));
    pass_time(KEEP_NS + KEEP_NS / 4);
    assert_int_equal(core_count(&out, RILL_FRAME_NEED, 0), 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_SYNC, OL).step, 2);
    pass_time(RETRY_NS); /* it is not there yet */
    core_expect(&out, RILL_FRAME_SYNC, OL);
    acknowledge_sync(TERM, 1); /* not this version */
    pass_time(2 * RETRY_NS);
    core_expect(&out, RILL_FRAME_SYNC, OL);
    acknowledge_sync(TERM, 2);
    pass_time(4 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
    assert_int_equal(core_expect(&out, RILL_FRAME_NEED, CONTROLLER).flow, FLOW);
}

static void the_tag_is_repeated_while_the_alias_is_open(void **state)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_SYNC_ACK, OL, FLOW);

    (void)state;
    rill_frame(m)->term = rill_frame(m)->granted_term = TERM;
    rill_frame(m)->step = 1;
    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    give(own(FLOW));
    pass_time(T_NS / 2);
    core_expect(&out, RILL_FRAME_SYNC, OL);
    give(m);
    pass_time(KEEP_NS + KEEP_NS / 4);
    core_expect(&out, RILL_FRAME_SYNC, OL);
    assert_int_equal(core_count(&out, RILL_FRAME_NEED, 0), 0);
    acknowledge_sync(TERM, 1);
    pass_time(100 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_SYNC, 0), 0);
}

/* --- replication --- */

static void after_half_of_t_the_state_goes_to_the_targets(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), PEER, THIRD));
    pass_time(T_NS / 2 - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 0);
    pass_time(1);
    core_expect(&out, RILL_FRAME_REPLICA, PEER);
    core_expect(&out, RILL_FRAME_REPLICA, THIRD);
    assert_int_equal(n()->state_pushes, 2);
}

static void a_packet_puts_the_push_off(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), PEER, 0));
    pass_time(T_NS / 2 - 1);
    give(to_targets(own(FLOW + 1), PEER, 0));
    pass_time(T_NS / 2 - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 0);
    pass_time(1);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 1);
}

/* It waited for longer than half of T: the pause is over when its turn comes, but for the one
 * behind it. */
static void a_packet_that_waited_is_pushed_at_once(void **state)
{
    (void)state;
    slow(100); /* 10 ms a packet, and T is 10 ms */
    give(own(FLOW));
    pass_time(10 * CORE_MS);
    give(to_targets(own(FLOW + 1), PEER, 0));
    give(to_targets(own(FLOW + 2), PEER, 0));
    pass_time(20 * CORE_MS - 1);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 0);
    pass_time(1);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, PEER), 1);
}

static void entries_of_several_flows_for_one_peer_share_a_frame(void **state)
{
    struct rill_replica_entry e;
    uint32_t entry_bytes = sizeof(e) + rill_nf_state_bytes(unit_nf);
    struct rte_mbuf *m;

    (void)state;
    for (uint64_t flow = 1000; flow < 1003; flow++)
        give(to_targets(data_frame(flow, TERM, flow, birth), PEER, 0));
    pass_time(T_NS / 2);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, PEER), 1);
    m = core_take(&out, RILL_FRAME_REPLICA, PEER);
    assert_int_equal(rte_pktmbuf_pkt_len(m), 3 * entry_bytes);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(rill_body_read(m, i * entry_bytes, &e, sizeof(e)), 0);
        assert_int_equal(e.flow, 1000 + i);
        assert_int_equal(e.step, 1);
        assert_int_equal(e.state_bytes, rill_nf_state_bytes(unit_nf));
    }
    rte_pktmbuf_free(m);
    assert_int_equal(n()->replica_frames, 1);
}

static void what_did_not_change_is_not_pushed_again(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), PEER, 0));
    pass_time(T_NS / 2);
    for (int i = 0; i < 5; i++)
        pass_time(T_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 1);
}

static void a_unit_does_not_push_to_itself(void **state)
{
    (void)state;
    give(to_targets(own(FLOW), UNIT, PEER));
    pass_time(T_NS / 2);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 1);
    assert_int_equal(n()->replicas_taken, 0);
}

static void reactive_mode_pushes_nothing(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.proactive = false;
    create(config, init_small);
    give(to_targets(own(FLOW), PEER, THIRD));
    pass_time(T_NS / 2);
    pass_time(T_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_REPLICA, 0), 0);
    assert_true(core_count(&out, RILL_FRAME_SYNC, OL) > 0); /* the logger is told all the same */
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    assert_true(core_expect(&out, RILL_FRAME_FINAL, PEER).flags & RILL_FLAG_STATE);
}

/* --- forgetting --- */

static struct rte_mbuf *forget(uint64_t term)
{
    struct rte_mbuf *m = about_flow(RILL_FRAME_FORGET, CONTROLLER, FLOW);

    rill_frame(m)->term = term;
    rill_frame(m)->next_unit = UNIT;
    return m;
}

static void a_flow_is_forgotten_only_when_it_was_idle_and_below_the_term(void **state)
{
    (void)state;
    give(own(FLOW));
    give(forget(UINT64_MAX));
    assert_int_equal(rill_unit_flows(unit), 1);
    pass_time(2 * KEEP_NS);
    give(forget(TERM));
    assert_int_equal(rill_unit_flows(unit), 1);
    give(forget(TERM + 1));
    assert_int_equal(rill_unit_flows(unit), 0);
    assert_int_equal(n()->flows_forgotten, 1);
}

static struct rte_mbuf *vouch(uint64_t term)
{
    struct rte_mbuf *m = forget(term);

    rill_frame(m)->flags = RILL_FLAG_REFUSED;
    return m;
}

/* Others may have older copies, and not have heard that they may forget them. */
static void an_ended_flow_is_held(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.hold_ns = 3 * KEEP_NS;
    create(config, init_small);
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    now_ns += 2 * KEEP_NS;
    give(vouch(TERM));
    now_ns += 3 * KEEP_NS - 1;
    give(forget(UINT64_MAX));
    assert_int_equal(rill_unit_flows(unit), 1);
    now_ns++;
    give(vouch(TERM - 1)); /* not for what is here */
    give(forget(UINT64_MAX));
    assert_int_equal(rill_unit_flows(unit), 0);
}

/* It went on elsewhere: that is where the newest copy is. */
static void a_former_owner_holds_nothing(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    config.hold_ns = 3 * KEEP_NS;
    create(config, init_small);
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    now_ns += KEEP_NS;
    give(forget(TERM + 1));
    assert_int_equal(rill_unit_flows(unit), 0);
}

static void an_idle_flow_is_asked_about_once_the_logger_has_it(void **state)
{
    (void)state;
    give(own(FLOW));
    pass_time(KEEP_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_NEED, 0), 0);
    acknowledge_sync(TERM, 1);
    pass_time(2 * KEEP_NS);
    assert_int_equal(core_expect(&out, RILL_FRAME_NEED, CONTROLLER).flow, FLOW);
}

static void an_ended_flow_that_is_still_held_for_is_dropped(void **state)
{
    (void)state;
    give(moved_in(FLOW + 12));
    now_ns += 2 * KEEP_NS;
    give(forget(TERM + 2)); /* another term began; this one's state may still come */
    assert_int_equal(rill_unit_packets_held(unit), 1);
    give(forget(UINT64_MAX));
    assert_int_equal(rill_unit_packets_held(unit), 0);
    assert_int_equal(n()->dropped_forgotten, 1);
}

static void the_owner_ends_a_flow_once(void **state)
{
    uint64_t last_ns;

    (void)state;
    ends = 0;
    last_ns = now_ns;
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    pass_time(2 * KEEP_NS);
    acknowledge_sync(TERM, 1);
    give(forget(UINT64_MAX));
    assert_int_equal(rill_unit_flows(unit), 0);
    assert_int_equal(ends, 1);
    assert_int_equal(n()->flows_ended, 1);
    assert_int_equal(end_packets, 1);
    assert_int_equal(end_time_ns, last_ns);
    give(forget(UINT64_MAX));
    assert_int_equal(ends, 1);
}

static void who_is_not_the_owner_ends_nothing(void **state)
{
    (void)state;
    ends = 0;
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    assert_false(rill_unit_end_flow(unit, FLOW, now_ns));
    pass_time(2 * KEEP_NS);
    give(forget(UINT64_MAX));
    assert_int_equal(rill_unit_flows(unit), 0);
    assert_int_equal(ends, 0);
}

/* The flow lives, at another unit. */
static void a_flow_that_is_not_over_ends_nowhere(void **state)
{
    (void)state;
    ends = 0;
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    pass_time(2 * KEEP_NS);
    give(forget(TERM + 1));
    assert_int_equal(rill_unit_flows(unit), 0);
    assert_int_equal(ends, 0);
}

static void at_the_end_of_a_run_the_owner_ends_it(void **state)
{
    (void)state;
    ends = 0;
    give(own(FLOW));
    assert_true(rill_unit_end_flow(unit, FLOW, now_ns));
    assert_int_equal(ends, 1);
    assert_int_equal(rill_unit_flows(unit), 0);
    assert_false(rill_unit_end_flow(unit, FLOW, now_ns));
}

static void at_the_end_of_a_deployment_the_owner_ends_all(void **state)
{
    (void)state;
    ends = 0;
    give(own(FLOW));
    acknowledge_sync(TERM, 1);
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER)); /* that one reports on it */
    for (uint64_t i = 1; i <= 40; i++)
        give(data_frame(FLOW + i, TERM, 1, birth));
    rill_unit_end_owned(unit, now_ns);
    assert_int_equal(ends, 40);
    assert_int_equal(rill_unit_flows(unit), 1);
    rill_unit_end_owned(unit, now_ns);
    assert_int_equal(ends, 40);
}

/* --- pools --- */

static struct rte_mbuf *grant(uint64_t number, uint32_t first)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_POOL_GRANT, CONTROLLER, UNIT);
    uint32_t indexes[BLOCK];

    for (uint32_t i = 0; i < BLOCK; i++)
        indexes[i] = first + i;
    rill_frame(m)->count = BLOCK;
    rill_frame(m)->clock = number;
    core_body(m, indexes, sizeof(indexes));
    return m;
}

static struct rte_mbuf *no_grant(uint64_t number)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_POOL_GRANT, CONTROLLER, UNIT);

    rill_frame(m)->clock = number;
    return m;
}

static void endpoints_are_asked_for_by_number_until_they_come(void **state)
{
    struct rill_frame first, again;

    (void)state;
    create(usual(), init_pool);
    first = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER);
    assert_int_equal(first.pool, 0);
    assert_int_equal(first.count, BLOCK);
    pass_time(RETRY_NS);
    again = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER);
    assert_int_equal(again.clock, first.clock);
    give(grant(first.clock, 0));
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), BLOCK);
    pass_time(2 * RETRY_NS);
    assert_int_equal(core_count(&out, RILL_FRAME_POOL_REQUEST, 0), 0);
}

/* Answers "none": each pause is twice the one before, up to eight retry times. */
static void a_dry_pool_is_asked_ever_more_rarely(void **state)
{
    static const uint64_t pauses[] = {2, 4, 8, 8};
    uint64_t number;

    (void)state;
    create(usual(), init_pool);
    for (size_t i = 0; i < RTE_DIM(pauses); i++) {
        number = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER).clock;
        give(no_grant(number));
        pass_time(pauses[i] * RETRY_NS - 1);
        assert_int_equal(core_count(&out, RILL_FRAME_POOL_REQUEST, 0), 0);
        pass_time(1);
    }
    number = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER).clock;
    give(grant(number, 0));
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), BLOCK);
}

static void a_doubled_or_stale_grant_gives_nothing(void **state)
{
    uint64_t number;

    (void)state;
    create(usual(), init_pool);
    number = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER).clock;
    give(grant(number + 1, 100));
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), 0);
    give(grant(number, 0));
    give(grant(number, 0));
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), BLOCK);
    assert_int_equal(n()->pool_grants, 1);
}

static void a_grant_that_makes_no_sense_is_malformed(void **state)
{
    struct rte_mbuf *m;
    uint64_t number;

    (void)state;
    create(usual(), init_pool);
    number = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER).clock;
    m = grant(number, 0);
    rill_frame(m)->count++;
    give(m);
    give(grant(number, 995)); /* past the pool's end */
    m = grant(number, 0);
    rill_frame(m)->pool = 1;
    give(m);
    m = grant(number, 0);
    rill_frame(m)->pool = UINT16_MAX;
    give(m);
    assert_int_equal(n()->messages_malformed, 4);
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), 0);
}

/* Half a grant would be given again with the answer to the repeated question. */
static void a_grant_is_taken_whole_or_not_at_all(void **state)
{
    struct rte_mbuf *m;
    uint32_t indexes[100];
    uint64_t number;

    (void)state;
    create(usual(), init_pool);
    number = core_expect(&out, RILL_FRAME_POOL_REQUEST, CONTROLLER).clock;
    for (uint32_t i = 0; i < RTE_DIM(indexes); i++)
        indexes[i] = i;
    indexes[99] = 1000;
    m = core_frame(RILL_FRAME_POOL_GRANT, CONTROLLER, UNIT);
    rill_frame(m)->count = RTE_DIM(indexes);
    rill_frame(m)->clock = number;
    core_body(m, indexes, sizeof(indexes));
    give(m);
    assert_int_equal(n()->messages_malformed, 1);
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), 0);
}

/* --- the rest --- */

static void destroying_frees_all_that_is_pending(void **state)
{
    (void)state; /* teardown counts */
    slow(1000);
    give(own(FLOW));
    give(handoff(RILL_FRAME_MOVE, TERM, TERM + 1, PEER));
    create(usual(), init_small);
    give(moved_in(FLOW + 12));
    give(data_frame(FLOW, TERM + 3, FLOW + 20, entry(TERM + 1, THIRD)));
    assert_int_equal(rill_unit_packets_held(unit), 2);
}

static uint64_t dropped(void)
{
    return n()->dropped_unit_queue_full + n()->dropped_late_or_duplicate + n()->dropped_stash_full +
           n()->dropped_unit_flows_full + n()->dropped_superseded + n()->dropped_forgotten +
           n()->dropped_old_epoch + n()->dropped_unit_parse;
}

static void survive(uint64_t seed, struct rill_unit_config config,
                    int (*init)(struct rill_nf *, const struct rill_config *))
{
    const uint32_t ids[] = {UNIT, UNIT, PEER, THIRD, OL, CONTROLLER, RM};
    struct rill_rng rng;

    create(config, init);
    rill_rng_seed(&rng, seed);
    for (int i = 0; i < 3000; i++) {
        now_ns += rill_rng_below(&rng, 2 * CORE_MS);
        give(core_garbage(&rng, ids, RTE_DIM(ids)));
        rill_unit_tick(unit, now_ns, &out);
        assert_true(rill_unit_next_ns(unit) > now_ns);
        if (out.count > 1000)
            core_clear(&out);
    }
    /* Packets to ourselves are counted in and out again, so this holds with them, too. */
    assert_int_equal(n()->packets_in, n()->packets_processed + dropped() + n()->packets_forwarded +
                                          rill_unit_packets_held(unit));
    core_clear(&out);
}

static void garbage_is_survived(void **state)
{
    struct rill_unit_config config = usual();

    (void)state;
    survive(1, config, init_small);
    survive(2, config, init_pool);
    config.flows_max = 4;
    survive(3, config, init_large);
    config.flows_max = 1000;
    config.capacity_bps = MS_A_PACKET_BPS;
    survive(4, config, init_small);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, unit_teardown)

static void no_memory_is_taken_for_the_first_flow_of_a_prepared_unit(void **state)
{
    uint64_t prepared_bytes;

    (void)state;
    rill_unit_prefault(unit);
    prepared_bytes = rill_unit_tables(unit).bytes;
    assert_true(prepared_bytes > 0);
    assert_int_equal(rill_unit_tables(unit).entries, 0);
    give(own(FLOW));
    assert_int_equal(n()->packets_processed, 1);
    assert_int_equal(rill_unit_tables(unit).bytes, prepared_bytes);
    rill_unit_prefault(unit); /* again: nothing */
    assert_int_equal(rill_unit_tables(unit).bytes, prepared_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(no_memory_is_taken_for_the_first_flow_of_a_prepared_unit),
        T(a_flow_is_born_from_zeros),
        T(later_changes_bring_only_what_changed),
        T(a_large_change_goes_ahead_by_itself),
        T(bytes_that_were_never_used_do_not_travel),
        T(a_shorter_state_leaves_nothing_of_a_longer_one),
        T(a_flow_that_the_nf_ends_is_told_of),
        T(a_packet_that_the_nf_drops_still_sends_its_change),
        T(a_packet_that_the_nf_turns_says_so),
        T(a_later_fragment_that_is_turned_has_its_firsts_ports),
        T(what_came_from_outside_is_not_turned),
        T(no_packet_is_processed_twice),
        T(older_than_the_window_counts_as_a_duplicate),
        T(a_packet_that_can_not_be_read_is_dropped),
        T(frames_for_another_or_of_an_older_controller_are_dropped),
        T(no_more_flows_than_the_bound),
        T(a_packet_takes_its_service_time),
        T(a_quarter_of_the_unit_takes_four_times_as_long),
        T(what_takes_hardly_any_time_is_served_at_once),
        T(the_queue_is_bounded),
        T(without_a_share_packets_wait_until_there_is_one),
        T(a_share_of_nothing_is_taken_when_the_queue_is_empty),
        T(a_late_share_does_not_undo_a_newer_one),
        T(a_share_above_the_whole_is_malformed),
        T(move_takes_its_turn_behind_the_packets_before_it),
        T(final_brings_the_state),
        T(final_leaves_out_a_state_that_the_next_owner_was_sent),
        T(final_brings_the_state_if_the_copy_is_older),
        T(pull_is_answered_with_the_state),
        T(pull_alone_moves_the_flow),
        T(a_late_packet_at_the_former_owner_is_forwarded),
        T(a_packet_of_a_later_term_implies_move),
        T(packets_are_held_until_final_and_processed_by_clock),
        T(a_packet_after_final_does_not_wait),
        T(final_of_another_term_is_not_taken),
        T(final_without_state_goes_on_from_the_replica),
        T(final_without_state_is_pulled_if_the_replica_is_another),
        T(a_final_of_the_wrong_size_is_malformed),
        T(without_final_the_chain_is_asked),
        T(a_question_without_an_answer_is_asked_more_and_more_rarely),
        T(who_is_asked_itself_asks_at_once),
        T(the_logger_and_the_controller_are_asked_rarely_too),
        T(a_term_that_was_passed_over_drops_its_packets),
        T(a_dense_replica_one_clock_below_is_gone_on_from_at_once),
        T(a_replica_that_comes_after_the_packet_serves_too),
        T(a_replica_with_a_hole_is_not_gone_on_from),
        T(a_replica_of_another_clock_is_not_gone_on_from),
        T(a_forwarded_packet_does_not_say_where_a_term_begins),
        T(an_older_replica_does_not_replace_a_newer_one),
        T(a_replica_frame_that_is_cut_is_malformed),
        T(replicas_take_no_more_memory_than_they_may),
        T(the_replica_that_goes_is_the_one_that_changed_least_recently),
        T(without_memory_for_replicas_none_is_taken),
        T(a_replica_gives_way_to_a_flow_of_our_own),
        T(nothing_but_a_replica_gives_way),
        T(who_finds_its_replica_gone_asks),
        T(the_stash_is_bounded_for_a_flow_and_for_the_unit),
        T(the_logger_gets_the_full_state_when_it_asks),
        T(the_logger_is_told_that_a_flow_is_not_known),
        T(the_logger_is_told_nothing_while_the_state_is_on_its_way),
        T(the_tag_is_repeated_until_the_logger_has_the_term),
        T(nothing_is_said_in_the_gaps_of_a_term_that_the_logger_has),
        T(the_last_tag_is_repeated_before_the_flow_may_be_forgotten),
        T(the_tag_is_repeated_while_the_alias_is_open),
        T(after_half_of_t_the_state_goes_to_the_targets),
        T(a_packet_puts_the_push_off),
        T(a_packet_that_waited_is_pushed_at_once),
        T(entries_of_several_flows_for_one_peer_share_a_frame),
        T(what_did_not_change_is_not_pushed_again),
        T(a_unit_does_not_push_to_itself),
        T(reactive_mode_pushes_nothing),
        T(a_flow_is_forgotten_only_when_it_was_idle_and_below_the_term),
        T(an_ended_flow_is_held),
        T(a_former_owner_holds_nothing),
        T(an_idle_flow_is_asked_about_once_the_logger_has_it),
        T(an_ended_flow_that_is_still_held_for_is_dropped),
        T(the_owner_ends_a_flow_once),
        T(who_is_not_the_owner_ends_nothing),
        T(a_flow_that_is_not_over_ends_nowhere),
        T(at_the_end_of_a_run_the_owner_ends_it),
        T(at_the_end_of_a_deployment_the_owner_ends_all),
        T(endpoints_are_asked_for_by_number_until_they_come),
        T(a_dry_pool_is_asked_ever_more_rarely),
        T(a_doubled_or_stale_grant_gives_nothing),
        T(a_grant_that_makes_no_sense_is_malformed),
        T(a_grant_is_taken_whole_or_not_at_all),
        T(destroying_frees_all_that_is_pending),
        T(garbage_is_survived),
    };

    return cmocka_run_group_tests_name("unit", tests, core_group_setup, core_group_teardown);
}
