/* What a unit tells a controller that takes another's place, and that it takes nothing of the one
 * before from then on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/frame/inventory.h"
#include "nf-runtime/unit_testing.h"

enum { SLOT = 0, BLOCK = 4, ITEMS_MAX = 64, PORT = 1000 };

#define PEER rill_role_id(RILL_ROLE_UNIT, 2)
#define THIRD rill_role_id(RILL_ROLE_UNIT, 3)
#define OL2 rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 2)
#define BEFORE rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define AFTER rill_role_id(RILL_ROLE_CONTROLLER, 2)
#define OTHER rill_role_id(RILL_ROLE_CONTROLLER, 3)
#define OLD rill_epoch(SLOT, 4)
#define NEW rill_epoch(SLOT, 5)
#define OTHERS rill_epoch(SLOT + 1, 1)
#define RETRY_NS (6 * CORE_MS)
#define LEASE (UINT64_C(42) << 48 | 43) /* number of what is granted */

static const struct rill_flow_tuple tuple = {.addr_a = {10, 0, 0, 1},
                                             .addr_b = {192, 0, 2, 1},
                                             .port_a = 1,
                                             .port_b = 2,
                                             .family = 4,
                                             .proto = RILL_UDP};

/* --- the NF: counts; a packet to port 7 takes an endpoint, one to port 9 is dropped ---------- */

struct instance {
    struct rill_table *table;
    struct rill_pool *pool;
};

static int init_nf(struct rill_nf *nf, const struct rill_config *config)
{
    struct instance *self = rill_nf_private(nf);
    const char *address = "198.51.100.1";

    (void)config;
    self->table = rill_table_create(nf, "count", RILL_PER_FLOW, RILL_WRITE, 8);
    self->pool = rill_pool_create(nf, "ports", &address, 1, PORT, PORT + 999, RILL_UDP);
    return self->table != NULL && self->pool != NULL ? 0 : -1;
}

static enum rill_verdict count_packet(struct rill_nf *nf, struct rill_pkt *pkt)
{
    struct instance *self = rill_nf_private(nf);
    uint64_t *packets = rill_get(self->table, pkt);
    struct rill_endpoint to, mine;

    ++*packets;
    rill_put(self->table, pkt, 0, 8);
    rill_pkt_destination(pkt, &to);
    if (to.port == 7 &&
        (rill_pool_take(self->pool, pkt, &mine) != 0 || rill_flow_alias(pkt, &mine, NULL) != 0))
        return RILL_DROP;
    return RILL_FORWARD;
}

static const struct rill_nf_descriptor descriptor = {.abi = RILL_NF_ABI,
                                                     .name = "counting",
                                                     .version = "1",
                                                     .summary = "Counts.",
                                                     .flow_scope = RILL_FLOW_CONNECTION,
                                                     .handles = RILL_HANDLES_UDP4,
                                                     .instance_bytes = sizeof(struct instance),
                                                     .init = init_nf,
                                                     .process_packet = count_packet};

/* --- the unit --------------------------------------------------------------------------------- */

static void create(uint64_t capacity_bps)
{
    struct rill_unit_config config = unit_usual();

    config.epoch = OLD;
    config.capacity_bps = capacity_bps;
    config.retry_ns = RETRY_NS;
    config.flows_max = 1024;
    config.pool_block = BLOCK;
    unit_create(&descriptor, config);
}

static int setup(void **state)
{
    unit_setup(state);
    create(UINT64_C(8000000000000000)); /* service takes no time */
    lease_to(BEFORE, OLD, 1000);
    core_expect(&out, RILL_FRAME_SHARE_ACK, RM);
    return 0;
}

/* --- frames ----------------------------------------------------------------------------------- */

static uint64_t number(uint16_t epoch, uint64_t sequence)
{
    return (uint64_t)epoch << RILL_EPOCH_SHIFT | sequence;
}

static struct rte_mbuf *of(uint32_t controller, uint16_t epoch, struct rte_mbuf *m)
{
    rill_frame(m)->src = controller;
    rill_frame(m)->epoch = epoch;
    return m;
}

static struct rte_mbuf *with_chain(struct rte_mbuf *m, uint64_t term, uint32_t at)
{
    struct rill_frame *f = rill_frame(m);

    f->chain[f->chain_len++] = (struct rill_chain_entry){.term = term, .unit = at};
    return m;
}

/* To `port`, of a flow of the old controller's; born here unless a chain is added. */
static struct rte_mbuf *packet(uint64_t flow, uint64_t term, uint64_t clock, uint16_t port)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", port, BYTES);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_DATA;
    f->dst = UNIT;
    f->flags |= RILL_FLAG_TUPLE;
    f->tuple = tuple;
    f->flow = number(OLD, flow);
    f->term = number(OLD, term);
    f->clock = number(OLD, clock);
    return of(BEFORE, OLD, m);
}

static void own(uint64_t flow)
{
    give(with_chain(packet(flow, flow, flow, 1), RILL_BIRTH_TERM, 0));
}

static struct rte_mbuf *moved(enum rill_frame_type type, uint64_t flow, uint64_t term,
                              uint64_t next_term, uint32_t next_unit)
{
    struct rte_mbuf *m = core_frame(type, BEFORE, UNIT);
    struct rill_frame *f = rill_frame(m);

    f->flow = number(OLD, flow);
    f->term = number(OLD, term);
    f->next_term = number(OLD, next_term);
    f->next_unit = next_unit;
    return with_chain(of(BEFORE, OLD, m), RILL_BIRTH_TERM, 0);
}

static struct rte_mbuf *inventory(uint64_t part, uint64_t round)
{
    struct rte_mbuf *m = of(AFTER, NEW, core_frame(RILL_FRAME_INVENTORY, AFTER, UNIT));

    rill_frame(m)->clock = part;
    rill_frame(m)->term = round;
    return m;
}

/* --- what is told ----------------------------------------------------------------------------- */

static struct rill_inventory_item items[ITEMS_MAX];
static uint32_t item_count, heard_ms;

static void read_items(const struct rte_mbuf *m)
{
    uint32_t at = 0;

    while (item_count < ITEMS_MAX && rill_inventory_next(m, &at, &items[item_count]))
        item_count++;
    assert_int_equal(at, rte_pktmbuf_pkt_len(m));
}

/* Asks for all parts; gives how many there were. */
static uint32_t ask_all(void)
{
    uint64_t next = 0;
    uint32_t parts = 0;

    item_count = 0;
    while (next != RILL_INVENTORY_END) {
        struct rte_mbuf *m;

        give(inventory(next, 77));
        m = core_take(&out, RILL_FRAME_INVENTORY_PART, AFTER);
        assert_non_null(m);
        assert_int_equal(rill_frame(m)->clock, next);
        assert_int_equal(rill_frame(m)->term, 77);
        assert_int_equal(rill_frame(m)->epoch, NEW);
        next = rill_frame(m)->next_term;
        heard_ms = rill_frame(m)->count;
        read_items(m);
        rte_pktmbuf_free(m);
        parts++;
    }
    return parts;
}

static const struct rill_inventory_item *told(uint64_t flow)
{
    for (uint32_t i = 0; i < item_count; i++)
        if (items[i].kind == RILL_INVENTORY_FLOW && items[i].flow.flow == number(OLD, flow))
            return &items[i];
    return NULL;
}

/* 0: it is not claimed. */
static uint32_t claimed(uint64_t flow, uint64_t term)
{
    const struct rill_inventory_item *item = told(flow);

    assert_non_null(item);
    for (uint8_t i = 0; i < item->flow.claims; i++)
        if (item->claims[i].term == number(OLD, term)) {
            assert_int_equal(item->claims[i].established, 0);
            return item->claims[i].unit;
        }
    return 0;
}

static void an_owned_flow_is_told_with_its_head(void **state)
{
    const struct rill_inventory_item *item;

    (void)state;
    own(7);
    give(packet(7, 7, 8, 1));
    pass_time(3 * CORE_MS);
    ask_all();
    item = told(7);
    assert_non_null(item);
    assert_int_equal(item->flow.flags, RILL_INVENTORY_HEAD);
    assert_int_equal(item->flow.term, number(OLD, 7));
    assert_int_equal(item->flow.step, 2);
    assert_int_equal(item->flow.idle_ns, 3 * CORE_MS);
    assert_int_equal(item->flow.vouched_ms, UINT32_MAX);
    assert_memory_equal(&item->head.tuple, &tuple, sizeof(tuple));
    assert_int_equal(claimed(7, 7), UNIT);
    assert_int_equal(item->flow.claims, 2);
    assert_true(n()->inventory_parts > 0);
}

static void give_word(enum rill_frame_type type, uint16_t flags)
{
    struct rte_mbuf *m = core_frame(type, BEFORE, UNIT);

    rill_frame(m)->epoch = OLD;
    rill_frame(m)->flow = number(OLD, 7);
    rill_frame(m)->term = number(OLD, 7);
    rill_frame(m)->next_unit = UNIT;
    rill_frame(m)->flags = flags;
    give(m);
}

static void what_the_controller_vouched_for_is_told(void **state)
{
    (void)state;
    own(7);
    pass_time(30 * CORE_MS);
    give_word(RILL_FRAME_FORGET, RILL_FLAG_REFUSED);
    pass_time(5 * CORE_MS);
    give_word(RILL_FRAME_DEAD, 0); /* is heard, and says nothing of the flow */
    pass_time(3 * CORE_MS);
    ask_all();
    assert_int_equal(told(7)->flow.vouched_ms, 8);
    assert_int_equal(heard_ms, 3);
}

static void flows_of_other_slots_are_not_told(void **state)
{
    struct rte_mbuf *m = with_chain(packet(7, 7, 7, 1), RILL_BIRTH_TERM, 0);

    (void)state;
    lease_to(OTHER, OTHERS, 100);
    rill_frame(m)->flow = rill_frame(m)->term = rill_frame(m)->clock = number(OTHERS, 7);
    give(of(OTHER, OTHERS, m));
    own(8);
    ask_all();
    assert_int_equal(n()->packets_processed, 2);
    assert_int_equal(item_count, 1);
    assert_non_null(told(8));
}

static void whom_it_was_passed_on_to_is_told(void **state)
{
    (void)state;
    own(7);
    give(moved(RILL_FRAME_MOVE, 7, 7, 20, PEER));
    core_expect(&out, RILL_FRAME_FINAL, PEER);
    ask_all();
    assert_int_equal(claimed(7, 7), UNIT);
    assert_int_equal(claimed(7, 20), PEER);
}

/* A term that has not begun here, what is below it, and whom it is promised to. */
static void what_is_waited_for_is_told(void **state)
{
    (void)state;
    give(with_chain(with_chain(packet(7, 20, 8, 1), number(OLD, 12), PEER), number(OLD, 7), THIRD));
    ask_all();
    assert_int_equal(claimed(7, 20), UNIT);
    assert_int_equal(claimed(7, 12), PEER);
    assert_int_equal(claimed(7, 7), THIRD);
    assert_int_equal(told(7)->flow.flags & RILL_INVENTORY_HEAD, 0);
    give(moved(RILL_FRAME_MOVE, 7, 20, 30, PEER));
    ask_all();
    assert_int_equal(claimed(7, 30), 0); /* of the old controller: not taken any more */
}

static void a_promised_term_is_told(void **state)
{
    (void)state;
    give(with_chain(packet(7, 20, 8, 1), number(OLD, 12), PEER));
    give(moved(RILL_FRAME_MOVE, 7, 20, 30, PEER));
    ask_all();
    assert_int_equal(claimed(7, 20), UNIT);
    assert_int_equal(claimed(7, 30), PEER);
}

static void put_state(struct rte_mbuf *m)
{
    uint8_t state[sizeof(struct rill_state_head) + 8] = {0};

    assert_int_equal(sizeof(state), rill_nf_state_bytes(unit_nf));
    core_body(m, state, sizeof(state));
}

/* What PEER had of flow 7 in term 12, for our term 20. */
static struct rte_mbuf *final_of_peer(void)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FINAL, PEER, UNIT);
    struct rill_frame *f = rill_frame(m);

    f->flow = number(OLD, 7);
    f->term = f->granted_term = number(OLD, 12);
    f->step = 3;
    f->clock = number(OLD, 7);
    f->window = UINT64_MAX;
    f->next_term = number(OLD, 20);
    f->next_unit = UNIT;
    f->epoch = OLD;
    f->flags |= RILL_FLAG_STATE;
    put_state(with_chain(with_chain(m, number(OLD, 12), PEER), number(OLD, 7), THIRD));
    return m;
}

static void the_chain_below_an_owned_term_is_told(void **state)
{
    (void)state;
    give(with_chain(with_chain(packet(7, 20, 8, 1), number(OLD, 12), PEER), number(OLD, 7), THIRD));
    give(final_of_peer());
    assert_int_equal(n()->packets_processed, 1);
    ask_all();
    assert_int_equal(claimed(7, 20), UNIT);
    assert_int_equal(claimed(7, 12), PEER);
    assert_int_equal(claimed(7, 7), THIRD);
}

static void a_replica_is_nothing_to_tell(void **state)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_REPLICA, PEER, UNIT);
    struct rill_replica_entry e = {.flow = number(OLD, 7),
                                   .term = number(OLD, 7),
                                   .step = 1,
                                   .clock = number(OLD, 7),
                                   .window = UINT64_MAX,
                                   .state_bytes = rill_nf_state_bytes(unit_nf)};
    struct rill_unit_flow_info info;

    (void)state;
    core_body(m, &e, sizeof(e));
    put_state(m);
    give(m);
    assert_true(rill_unit_flow_info(unit, number(OLD, 7), &info));
    ask_all();
    assert_int_equal(item_count, 0);
}

/* --- endpoints -------------------------------------------------------------------------------- */

static void grant(uint32_t first, uint32_t count)
{
    struct rill_frame asked = core_expect(&out, RILL_FRAME_POOL_REQUEST, BEFORE);
    struct rte_mbuf *m = of(BEFORE, OLD, core_frame(RILL_FRAME_POOL_GRANT, BEFORE, UNIT));

    rill_frame(m)->clock = asked.clock;
    rill_frame(m)->pool = asked.pool;
    rill_frame(m)->count = count;
    rill_frame(m)->term = LEASE;
    for (uint32_t i = first; i < first + count; i++)
        core_body(m, &i, sizeof(i));
    give(m);
}

static void endpoints_are_told_before_flows(void **state)
{
    uint32_t seen = 0;

    (void)state;
    grant(10, BLOCK);
    own(7);
    ask_all();
    assert_int_equal(item_count, BLOCK + 1);
    for (uint32_t i = 0; i < BLOCK; i++) {
        assert_int_equal(items[i].kind, RILL_INVENTORY_ENDPOINT);
        assert_int_equal(items[i].endpoint.pool, 0);
        assert_in_range(items[i].endpoint.index, 10, 10 + BLOCK - 1);
        assert_int_equal(items[i].endpoint.lease, LEASE);
        seen |= 1u << (items[i].endpoint.index - 10);
    }
    assert_int_equal(seen, (1u << BLOCK) - 1);
    assert_int_equal(items[BLOCK].kind, RILL_INVENTORY_FLOW);
}

static struct rte_mbuf *with_kept(struct rte_mbuf *m, uint32_t index)
{
    rill_frame(m)->flags |= RILL_FLAG_ENDPOINT;
    rill_frame(m)->pool = 0;
    rill_frame(m)->count = index;
    return m;
}

/* The endpoint that flow 7 has: its index. */
static uint32_t taken(void)
{
    const struct rill_inventory_item *item;

    item_count = 0;
    ask_all();
    item = told(7);
    assert_non_null(item);
    return item->head.alias.local.port - PORT;
}

static void what_is_kept_for_a_flow_is_taken(void **state)
{
    (void)state;
    grant(10, BLOCK);
    give(with_kept(with_chain(packet(7, 7, 7, 7), RILL_BIRTH_TERM, 0), 55));
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), BLOCK);
    assert_int_equal(taken(), 55);
}

/* A packet waits since before a takeover: what it brings the new controller was not told of. */
static void what_an_older_controller_kept_is_not_taken(void **state)
{
    (void)state;
    grant(10, BLOCK);
    give(with_kept(
        with_chain(with_chain(packet(7, 20, 8, 7), number(OLD, 12), PEER), number(OLD, 7), THIRD),
        55));
    ask_all();
    give(final_of_peer());
    assert_int_equal(n()->packets_processed, 1);
    assert_int_equal(rill_nf_pool_free(unit_nf, 0), BLOCK - 1);
    assert_int_equal(taken(), 10);
}

/* One that is in use is told with its flow, and with no other. */
static void a_taken_endpoint_is_told_with_its_flow(void **state)
{
    const struct rill_inventory_item *item;

    (void)state;
    grant(10, BLOCK);
    give(with_chain(packet(7, 7, 7, 7), RILL_BIRTH_TERM, 0));
    ask_all();
    item = told(7);
    assert_non_null(item);
    assert_int_equal(item->head.alias.local.port, PORT + 10);
    assert_int_equal(item_count, BLOCK);
    for (uint32_t i = 0; i + 1 < item_count; i++)
        assert_int_not_equal(items[i].endpoint.index, 10);
}

static void without_leased_endpoints_flows_are_told(void **state)
{
    (void)state;
    own(7);
    ask_all();
    assert_int_equal(item_count, 1);
}

/* --- parts ------------------------------------------------------------------------------------ */

static void many_flows_come_in_parts(void **state)
{
    static bool seen[512];
    uint64_t next = 0;
    uint32_t parts = 0, flows = 0;

    (void)state;
    memset(seen, 0, sizeof(seen));
    for (uint64_t flow = 1; flow < 512; flow++) {
        own(flow);
        core_clear(&out);
    }
    while (next != RILL_INVENTORY_END) {
        struct rte_mbuf *m;
        uint32_t at = 0;

        give(inventory(next, 1));
        m = core_take(&out, RILL_FRAME_INVENTORY_PART, AFTER);
        assert_non_null(m);
        assert_true(rte_pktmbuf_pkt_len(m) <= RILL_BODY_MAX);
        next = rill_frame(m)->next_term;
        for (struct rill_inventory_item item; rill_inventory_next(m, &at, &item);) {
            assert_int_equal(item.kind, RILL_INVENTORY_FLOW);
            assert_false(seen[item.flow.flow & 0xffff]);
            seen[item.flow.flow & 0xffff] = true;
            flows++;
        }
        if (parts > 0 && next != RILL_INVENTORY_END)
            assert_true(rte_pktmbuf_pkt_len(m) >= RILL_INVENTORY_PART_BYTES);
        rte_pktmbuf_free(m);
        parts++;
    }
    assert_int_equal(flows, 511);
    assert_true(parts > 4);
}

/* The same part asked for again, or a number that none has. */
static void any_part_may_be_asked_for(void **state)
{
    struct rill_rng rng;

    (void)state;
    own(7);
    rill_rng_seed(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        give(inventory(rill_rng_u64(&rng) >> rill_rng_below(&rng, 64), 1));
        core_expect(&out, RILL_FRAME_INVENTORY_PART, AFTER);
    }
    ask_all();
    assert_int_equal(ask_all() > 0, 1);
    assert_int_equal(item_count, 1);
}

/* --- the controller before is over ------------------------------------------------------------ */

static void nothing_of_an_older_epoch_is_taken(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    own(7);
    ask_all();
    core_clear(&out);
    give(packet(7, 7, 8, 1));
    assert_int_equal(n()->dropped_old_epoch, 1);
    give(moved(RILL_FRAME_MOVE, 7, 7, 20, PEER));
    m = of(BEFORE, OLD, core_frame(RILL_FRAME_FORGET, BEFORE, UNIT));
    rill_frame(m)->flow = number(OLD, 7);
    rill_frame(m)->term = number(OLD, 7);
    rill_frame(m)->next_unit = UNIT;
    give(m);
    assert_int_equal(n()->messages_old_epoch, 2);
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, 0), 0);
    assert_int_equal(core_count(&out, RILL_FRAME_FINAL, 0), 0);
    ask_all();
    assert_int_equal(claimed(7, 20), 0);
    assert_int_equal(told(7)->flow.step, 1);
    assert_int_equal(n()->packets_in, n()->packets_processed + n()->dropped_old_epoch);
}

/* What queued when the controller changed is served, and told of. */
static void the_answer_waits_behind_what_queues(void **state)
{
    (void)state;
    create(8000000); /* a packet takes 1 ms */
    lease_to(BEFORE, OLD, 1000);
    own(7);
    give(packet(7, 7, 8, 1));
    give(inventory(0, 1));
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY_PART, 0), 0);
    give(packet(7, 7, 9, 2)); /* after the question: of the old epoch */
    pass_time(10 * CORE_MS);
    core_expect(&out, RILL_FRAME_INVENTORY_PART, AFTER);
    assert_int_equal(n()->packets_processed, 2);
    assert_int_equal(n()->dropped_old_epoch, 1);
    assert_int_equal(rill_unit_packets_held(unit), 0);
}

/* Whoever the new controller has not spoken to may be dead, and what it waits for is told by
 * nobody. */
static void who_is_not_known_to_the_new_controller_is_not_passed_on_to(void **state)
{
    (void)state;
    own(7);
    core_clear(&out);
    ask_all();
    give(of(PEER, OLD, moved(RILL_FRAME_PULL, 7, 7, 8, PEER)));
    assert_int_equal(core_count(&out, RILL_FRAME_FINAL, 0), 0);
    assert_int_equal(n()->messages_old_epoch, 1);
    give(of(PEER, NEW, moved(RILL_FRAME_PULL, 7, 7, 8, PEER)));
    core_expect(&out, RILL_FRAME_FINAL, PEER);
}

/* ... and a question says who spoke to us last. To be asked what is here is not to be known. */
static void a_question_has_the_epoch_of_who_spoke_to_us(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    give(with_chain(packet(7, 8, 8, 1), number(OLD, 7), PEER));
    ask_all();
    core_clear(&out);
    pass_time(5 * CORE_MS);
    assert_int_equal(core_expect(&out, RILL_FRAME_PULL, PEER).epoch, OLD);
    m = with_chain(of(AFTER, NEW, core_frame(RILL_FRAME_CHAIN, AFTER, UNIT)), number(OLD, 7), PEER);
    rill_frame(m)->flow = number(OLD, 7);
    rill_frame(m)->term = number(OLD, 8);
    give(m);
    core_clear(&out);
    pass_time(40 * CORE_MS);
    assert_int_equal(core_expect(&out, RILL_FRAME_PULL, PEER).epoch, NEW);
}

/* The state of the flow's term 7, for term 8, from a unit whom that epoch's controller spoke to
 * last.
 */
static void give_final(uint64_t flow, uint16_t epoch)
{
    struct rte_mbuf *m = moved(RILL_FRAME_FINAL, flow, 0, 8, UNIT);
    uint8_t state[sizeof(struct rill_state_head) + 8] = {0};

    rill_frame(m)->term = rill_frame(m)->granted_term = number(OLD, 7);
    rill_frame(m)->step = 1;
    rill_frame(m)->clock = number(OLD, flow);
    rill_frame(m)->window = UINT64_MAX;
    rill_frame(m)->flags |= RILL_FLAG_STATE;
    core_body(m, state, sizeof(state));
    give(of(PEER, epoch, m));
}

/* Such a unit may be dead as well, and have told nobody to whom it was to give the flow ("giver").
 */
static void who_is_not_known_to_the_new_controller_gives_nothing(void **state)
{
    (void)state;
    ask_all();
    give_final(7, OLD);
    assert_int_equal(rill_unit_flows(unit), 0);
    assert_int_equal(n()->messages_old_epoch, 1);
    give_final(7, NEW);
    ask_all();
    assert_int_equal(claimed(7, 8), UNIT);
}

/* ... but to whom waits for it: then that was told, or the new controller has said so. */
static void what_is_waited_for_is_taken_from_anybody(void **state)
{
    (void)state;
    give(with_chain(packet(7, 8, 8, 1), number(OLD, 7), PEER));
    ask_all();
    give_final(7, OLD);
    assert_int_equal(n()->messages_old_epoch, 0);
    assert_int_equal(n()->packets_processed, 1);
}

/* ... and FINAL says who spoke to us last. */
static void what_is_given_has_the_epoch_of_who_spoke_to_us(void **state)
{
    (void)state;
    own(7);
    ask_all();
    core_clear(&out);
    give(of(PEER, NEW, moved(RILL_FRAME_PULL, 7, 7, 8, PEER)));
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, PEER).epoch, OLD);
    give(of(AFTER, NEW, core_frame(RILL_FRAME_DEAD, AFTER, UNIT)));
    give(of(PEER, NEW, moved(RILL_FRAME_PULL, 7, 7, 8, PEER)));
    assert_int_equal(core_expect(&out, RILL_FRAME_FINAL, PEER).epoch, NEW);
}

static void another_slots_controller_is_none_of_its_business(void **state)
{
    struct rte_mbuf *m = with_chain(packet(9, 9, 9, 1), RILL_BIRTH_TERM, 0);

    (void)state;
    lease_to(OTHER, OTHERS, 100);
    own(7);
    rill_frame(m)->flow = rill_frame(m)->term = rill_frame(m)->clock = number(OTHERS, 9);
    give(of(OTHER, OTHERS, m));
    give(packet(7, 7, 8, 1));
    assert_int_equal(n()->packets_processed, 3);
}

/* Whom to ask about a flow is the newest controller of its slot. */
static void questions_go_to_the_new_controller(void **state)
{
    (void)state;
    give(with_chain(packet(7, 20, 8, 1), number(OLD, 12), PEER));
    give(inventory(0, 1));
    core_clear(&out);
    for (int i = 0; i < 20 && core_count(&out, RILL_FRAME_WHERE, 0) == 0; i++)
        pass_time(4 * CORE_MS);
    assert_int_equal(core_expect(&out, RILL_FRAME_WHERE, AFTER).epoch, NEW);
}

static void the_list_of_the_dead_is_heard(void **state)
{
    struct rill_death death = {.unit = PEER, .output_logger = OL2};
    struct rte_mbuf *m = inventory(0, 1);

    (void)state;
    give(with_chain(packet(7, 20, 8, 1), number(OLD, 12), PEER));
    core_clear(&out);
    core_body(m, &death, sizeof(death));
    rill_frame(m)->count = 1;
    give(m);
    assert_int_equal(core_expect(&out, RILL_FRAME_LOGGER_PULL, OL2).next_unit, PEER);
    core_expect(&out, RILL_FRAME_INVENTORY_PART, AFTER);
}

/* The new one's clocks begin anew, and are told apart from the one's before. */
static void the_window_begins_with_the_epoch(void **state)
{
    static const uint64_t clocks[] = {1, 3, 2};

    (void)state;
    own(7);
    give(packet(7, 7, 5000, 1));
    assert_int_equal(n()->packets_processed, 2);
    core_clear(&out);
    for (unsigned twice = 0; twice < 2; twice++)
        for (unsigned i = 0; i < RTE_DIM(clocks); i++) {
            struct rte_mbuf *m = packet(7, 7, 0, 1);

            rill_frame(m)->term = number(NEW, 1);
            rill_frame(m)->clock = number(NEW, clocks[i]);
            give(of(AFTER, NEW, with_chain(m, number(OLD, 7), UNIT)));
        }
    assert_int_equal(n()->packets_processed, 5);
    assert_int_equal(n()->dropped_late_or_duplicate, 3);
    /* Nothing of the new one's is missing, however much of the other's was. */
    assert_int_equal(core_expect(&out, RILL_FRAME_CHANGE, OL).window, UINT64_MAX);
    assert_int_equal(core_expect(&out, RILL_FRAME_CHANGE, OL).window, UINT64_MAX - 2);
    assert_int_equal(core_expect(&out, RILL_FRAME_CHANGE, OL).window, UINT64_MAX);
    ask_all();
    assert_int_equal(told(7)->flow.term, number(NEW, 1));
    assert_int_equal(told(7)->flow.step, 5);
}

/* --- shares ----------------------------------------------------------------------------------- */

/* How long `packets` take that come now. */
static uint64_t time_for(uint32_t packets)
{
    static uint64_t clock = 100;
    uint64_t begin_ns = now_ns, done = n()->packets_processed + packets;

    for (uint32_t i = 0; i < packets; i++)
        give(with_chain(packet(7, 7, ++clock, 1), RILL_BIRTH_TERM, 0));
    while (n()->packets_processed < done && now_ns < begin_ns + 1000 * CORE_MS)
        pass_time(CORE_MS / 10);
    return now_ns - begin_ns;
}

static void shares_of_other_slots_change_nothing(void **state)
{
    (void)state;
    create(8000000); /* a packet takes 1 ms of the whole unit */
    lease_to(BEFORE, OLD, 250);
    assert_int_equal(time_for(4), 16 * CORE_MS);
    lease_to(OTHER, OTHERS, 250);
    assert_int_equal(rill_unit_share(unit), 500);
    assert_int_equal(time_for(4), 16 * CORE_MS);
    lease_to(OTHER, OTHERS, 0);
    assert_int_equal(time_for(4), 16 * CORE_MS);
    assert_int_equal(rill_unit_share(unit), 250);
}

/* Who takes over has its predecessor's share, not one beside it. */
static void a_share_is_a_slots(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    create(8000000);
    lease_to(OTHER, OTHERS, 250);
    lease_to(BEFORE, OLD, 500);
    assert_int_equal(time_for(4), 8 * CORE_MS);
    core_clear(&out);
    lease_to(AFTER, NEW, 500);
    assert_int_equal(core_expect(&out, RILL_FRAME_SHARE_ACK, RM).next_unit, AFTER);
    lease_to(BEFORE, OLD, 750); /* it is over */
    assert_int_equal(n()->messages_old_epoch, 1);
    assert_int_equal(core_count(&out, RILL_FRAME_SHARE_ACK, RM), 0);
    for (uint64_t clock = 1; clock <= 4; clock++) {
        m = with_chain(packet(9, 9, 9, 1), RILL_BIRTH_TERM, 0);
        rill_frame(m)->flow = rill_frame(m)->term = number(NEW, 1);
        rill_frame(m)->clock = number(NEW, clock);
        give(of(AFTER, NEW, m));
    }
    pass_time(8 * CORE_MS - 1);
    assert_int_equal(n()->packets_processed, 4 + 3);
    pass_time(1);
    assert_int_equal(n()->packets_processed, 4 + 4);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, unit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_owned_flow_is_told_with_its_head),
        T(what_the_controller_vouched_for_is_told),
        T(flows_of_other_slots_are_not_told),
        T(whom_it_was_passed_on_to_is_told),
        T(what_is_waited_for_is_told),
        T(a_promised_term_is_told),
        T(the_chain_below_an_owned_term_is_told),
        T(a_replica_is_nothing_to_tell),
        T(endpoints_are_told_before_flows),
        T(what_is_kept_for_a_flow_is_taken),
        T(what_an_older_controller_kept_is_not_taken),
        T(a_taken_endpoint_is_told_with_its_flow),
        T(without_leased_endpoints_flows_are_told),
        T(many_flows_come_in_parts),
        T(any_part_may_be_asked_for),
        T(nothing_of_an_older_epoch_is_taken),
        T(the_answer_waits_behind_what_queues),
        T(who_is_not_known_to_the_new_controller_is_not_passed_on_to),
        T(a_question_has_the_epoch_of_who_spoke_to_us),
        T(who_is_not_known_to_the_new_controller_gives_nothing),
        T(what_is_waited_for_is_taken_from_anybody),
        T(what_is_given_has_the_epoch_of_who_spoke_to_us),
        T(another_slots_controller_is_none_of_its_business),
        T(questions_go_to_the_new_controller),
        T(the_list_of_the_dead_is_heard),
        T(the_window_begins_with_the_epoch),
        T(shares_of_other_slots_change_nothing),
        T(a_share_is_a_slots),
    };

    return cmocka_run_group_tests_name("unit_inventory", tests, core_group_setup,
                                       core_group_teardown);
}
