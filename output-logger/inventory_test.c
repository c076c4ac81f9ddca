/* What an output logger tells a controller that takes another's place, and that it takes nothing of
 * the one before from then on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/frame/inventory.h"
#include "output-logger/ol_testing.h"

enum { SLOT = 2, ITEMS_MAX = 64, TERM = 7 };

#define OL2 rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 2)
#define BEFORE rill_role_id(RILL_ROLE_CONTROLLER, 1)
#define AFTER rill_role_id(RILL_ROLE_CONTROLLER, 2)
#define OLD rill_epoch(SLOT, 4)
#define NEW rill_epoch(SLOT, 5)
#define OTHERS rill_epoch(SLOT + 1, 1)

static const struct rill_alias alias = {
    .local = {.addr = {198, 51, 100, 1}, .port = 1000, .family = 4, .proto = RILL_UDP}, .lease = 5};
static const struct rill_flow_tuple tuple = {.port_a = 1, .port_b = 2, .family = 4, .proto = 17};

static int setup(void **state)
{
    struct rill_ol_config config = ol_usual();

    ol_setup(state);
    config.epoch = OLD;
    config.resend = (struct rill_resend){.attempts = 100, .slow_ns = 1000 * CORE_MS};
    config.flows_max = 1024;
    ol_create(&config);
    return 0;
}

static uint64_t number(uint16_t epoch, uint64_t sequence)
{
    return (uint64_t)epoch << RILL_EPOCH_SHIFT | sequence;
}

/* --- what comes in ---------------------------------------------------------------------------- */

/* Step k of the term, with the whole state. */
static struct rte_mbuf *step(uint32_t unit, uint64_t flow, uint64_t term, uint64_t k,
                             const struct rill_state_head *head)
{
    struct rte_mbuf *m = with_whole_state(change(unit, flow, term, k), NULL);
    struct rill_frame *f = rill_frame(m);

    f->epoch = OLD;
    f->flow = number(OLD, flow);
    f->term = number(OLD, term);
    f->clock = number(OLD, flow + k);
    f->window = UINT64_MAX >> 1;
    if (head != NULL)
        memcpy(f->state, head, sizeof(*head));
    return m;
}

static struct rte_mbuf *from(uint32_t controller, uint16_t epoch, enum rill_frame_type type,
                             uint64_t flow)
{
    struct rte_mbuf *m = core_frame(type, controller, OL);
    struct rill_frame *f = rill_frame(m);

    f->epoch = epoch;
    f->flow = number(OLD, flow);
    f->term = number(OLD, TERM);
    f->next_unit = UNIT;
    return m;
}

static struct rte_mbuf *alias_ack(uint32_t controller, uint16_t epoch, uint64_t flow)
{
    struct rte_mbuf *m = from(controller, epoch, RILL_FRAME_ALIAS_ACK, flow);

    core_body(m, &alias, sizeof(alias));
    return m;
}

static struct rte_mbuf *inventory(uint64_t part)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_INVENTORY, AFTER, OL);

    rill_frame(m)->epoch = NEW;
    rill_frame(m)->clock = part;
    rill_frame(m)->term = 77;
    return m;
}

static struct rte_mbuf *with_dead(struct rte_mbuf *m, uint32_t unit, uint32_t output_logger)
{
    struct rill_death death = {.unit = unit, .output_logger = output_logger};

    core_body(m, &death, sizeof(death));
    rill_frame(m)->count++;
    return m;
}

/* --- what is told ----------------------------------------------------------------------------- */

static struct rill_inventory_item items[ITEMS_MAX];
static uint32_t item_count, heard_ms;

static void ask_all(void)
{
    uint64_t next = 0;

    item_count = 0;
    while (next != RILL_INVENTORY_END) {
        struct rte_mbuf *m;
        uint32_t at = 0;

        give(inventory(next));
        m = core_take(&out, RILL_FRAME_INVENTORY_PART, AFTER);
        assert_non_null(m);
        assert_int_equal(rill_frame(m)->clock, next);
        assert_int_equal(rill_frame(m)->term, 77);
        assert_int_equal(rill_frame(m)->epoch, NEW);
        next = rill_frame(m)->next_term;
        heard_ms = rill_frame(m)->count;
        while (item_count < ITEMS_MAX && rill_inventory_next(m, &at, &items[item_count]))
            item_count++;
        assert_int_equal(at, rte_pktmbuf_pkt_len(m));
        rte_pktmbuf_free(m);
    }
}

/* The only item. */
static const struct rill_inventory_item *told(void)
{
    ask_all();
    assert_int_equal(item_count, 1);
    assert_int_equal(items[0].kind, RILL_INVENTORY_FLOW);
    return &items[0];
}

static void a_term_is_told_as_established(void **state)
{
    struct rill_state_head head = {.tuple = tuple};
    const struct rill_inventory_item *item;

    (void)state;
    give(step(UNIT, 100, TERM, 3, &head));
    now_ns += 5 * CORE_MS;
    item = told();
    assert_int_equal(item->flow.flow, number(OLD, 100));
    assert_int_equal(item->flow.flags, RILL_INVENTORY_HEAD);
    assert_int_equal(item->flow.term, number(OLD, TERM));
    assert_int_equal(item->flow.step, 3);
    assert_int_equal(item->flow.idle_ns, 5 * CORE_MS);
    assert_int_equal(item->flow.vouched_ms, UINT32_MAX);
    assert_memory_equal(&item->head.tuple, &tuple, sizeof(tuple));
    assert_int_equal(item->flow.claims, 1);
    assert_int_equal(item->claims[0].term, number(OLD, TERM));
    assert_int_equal(item->claims[0].unit, UNIT);
    assert_int_equal(item->claims[0].established, 1);
    assert_true(n()->inventory_parts > 0);
}

static void give_word(enum rill_frame_type type, uint16_t flags)
{
    struct rte_mbuf *m = core_frame(type, BEFORE, OL);

    rill_frame(m)->epoch = OLD;
    rill_frame(m)->flow = number(OLD, 100);
    rill_frame(m)->term = number(OLD, TERM);
    rill_frame(m)->next_unit = UNIT;
    rill_frame(m)->flags = flags;
    give(m);
}

static void what_the_controller_vouched_for_is_told(void **state)
{
    struct rill_state_head head = {.tuple = tuple};

    (void)state;
    give(step(UNIT, 100, TERM, 3, &head));
    now_ns += 30 * CORE_MS;
    give_word(RILL_FRAME_FORGET, RILL_FLAG_REFUSED);
    now_ns += 5 * CORE_MS;
    give_word(RILL_FRAME_ESTABLISHED_ACK, 0);
    now_ns += 3 * CORE_MS;
    assert_int_equal(told()->flow.vouched_ms, 8);
    assert_int_equal(heard_ms, 3);
}

/* A logger that was filled just now says how long the flow has been idle, not how long it knows it.
 */
static void the_unit_says_how_long_a_flow_is_idle(void **state)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_FULL, UNIT, OL);
    struct rill_frame *f = rill_frame(m);
    static const uint8_t zeros[STATE];

    (void)state;
    now_ns += 100 * CORE_MS;
    f->epoch = OLD;
    f->flow = number(OLD, 100);
    f->term = f->granted_term = number(OLD, TERM);
    f->step = 3;
    f->count = 70000; /* us */
    core_body(m, zeros, STATE);
    give(m);
    now_ns += 5 * CORE_MS;
    assert_int_equal(told()->flow.idle_ns, 75 * CORE_MS);
    m = core_frame(RILL_FRAME_SYNC, UNIT, OL);
    f = rill_frame(m);
    f->epoch = OLD;
    f->flow = number(OLD, 100);
    f->term = f->granted_term = number(OLD, TERM);
    f->step = 3;
    f->count = 2000;
    give(m);
    assert_int_equal(told()->flow.idle_ns, 2 * CORE_MS);
}

/* Of one flow at two units: each tells its own. */
static void units_are_told_apart(void **state)
{
    (void)state;
    give(step(UNIT, 100, TERM, 1, NULL));
    give(step(UNIT2, 100, TERM + 1, 2, NULL));
    ask_all();
    assert_int_equal(item_count, 2);
    assert_int_not_equal(items[0].claims[0].unit, items[1].claims[0].unit);
}

static void flows_of_other_slots_are_not_told(void **state)
{
    struct rte_mbuf *m = step(UNIT, 100, TERM, 1, NULL);

    (void)state;
    rill_frame(m)->flow = number(OTHERS, 100);
    rill_frame(m)->epoch = OTHERS;
    give(m);
    give(step(UNIT, 101, TERM, 1, NULL));
    assert_int_equal(told()->flow.flow, number(OLD, 101));
}

/* A change that waits for the one before has given us no state yet. */
static void what_has_no_state_is_not_told(void **state)
{
    struct rte_mbuf *m = step(UNIT, 100, TERM, 5, NULL);

    (void)state;
    rill_frame(m)->flags &= (uint8_t)~RILL_FLAG_FULL;
    rill_frame(m)->state_offset = STATE - 8;
    rill_frame(m)->state_bytes = 8;
    give(m);
    assert_int_equal(rill_ol_packets_held(ol), 1);
    ask_all();
    assert_int_equal(item_count, 0);
}

static void an_alias_is_told_as_confirmed_once_it_is(void **state)
{
    struct rill_state_head head = {.alias = alias, .tuple = tuple};

    (void)state;
    give(step(UNIT, 100, TERM, 1, &head));
    core_expect(&out, RILL_FRAME_ALIAS, BEFORE);
    give(alias_ack(BEFORE, OLD, 100));
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE), 1);
    assert_int_equal(told()->flow.flags, RILL_INVENTORY_HEAD | RILL_INVENTORY_CONFIRMED);
    assert_memory_equal(&items[0].head.alias, &alias, sizeof(alias));
}

static void an_alias_that_is_open_is_not_confirmed(void **state)
{
    struct rill_state_head head = {.alias = alias};

    (void)state;
    give(step(UNIT, 100, TERM, 1, &head));
    assert_int_equal(told()->flow.flags, RILL_INVENTORY_HEAD);
    assert_memory_equal(&items[0].head.alias, &alias, sizeof(alias));
}

static void many_flows_come_in_parts(void **state)
{
    static bool seen[512];
    uint64_t next = 0;
    uint32_t parts = 0, flows = 0;

    (void)state;
    memset(seen, 0, sizeof(seen));
    for (uint64_t flow = 1; flow < 512; flow++) {
        give(step(UNIT, flow, TERM, 1, NULL));
        core_clear(&out);
    }
    while (next != RILL_INVENTORY_END) {
        struct rte_mbuf *m;
        uint32_t at = 0;

        give(inventory(next));
        m = core_take(&out, RILL_FRAME_INVENTORY_PART, AFTER);
        assert_non_null(m);
        next = rill_frame(m)->next_term;
        for (struct rill_inventory_item item; rill_inventory_next(m, &at, &item); flows++) {
            assert_false(seen[item.flow.flow & 0xffff]);
            seen[item.flow.flow & 0xffff] = true;
        }
        rte_pktmbuf_free(m);
        parts++;
    }
    assert_int_equal(flows, 511);
    assert_true(parts > 3);
}

static void any_part_may_be_asked_for(void **state)
{
    struct rill_rng rng;

    (void)state;
    give(step(UNIT, 100, TERM, 1, NULL));
    rill_rng_seed(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        give(inventory(rill_rng_u64(&rng) >> rill_rng_below(&rng, 64)));
        core_expect(&out, RILL_FRAME_INVENTORY_PART, AFTER);
    }
}

/* --- the dead --------------------------------------------------------------------------------- */

static void its_own_dead_are_fenced_before_the_answer(void **state)
{
    (void)state;
    give(step(UNIT, 100, TERM, 1, NULL));
    give(with_dead(with_dead(inventory(0), UNIT, OL), UNIT2, OL2));
    core_expect(&out, RILL_FRAME_INVENTORY_PART, AFTER);
    assert_int_equal(n()->fences, 1);
    give(step(UNIT, 100, TERM, 2, NULL));
    assert_int_equal(n()->dropped_fenced, 1);
    give(step(UNIT2, 101, TERM, 1, NULL)); /* another's: not ours to fence */
    assert_int_equal(n()->dropped_fenced, 1);
    ask_all();
    assert_int_equal(item_count, 2);
    for (uint32_t i = 0; i < item_count; i++)
        assert_int_equal(items[i].flow.step, 1);
}

/* Who can not remember that a unit is fenced must not say so. */
static void without_room_for_a_fence_nothing_is_answered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < FENCED_MAX; i++)
        give(with_dead(inventory(0), rill_role_id(RILL_ROLE_UNIT, 100 + i), OL));
    core_clear(&out);
    give(with_dead(inventory(0), UNIT, OL));
    assert_int_equal(core_count(&out, RILL_FRAME_INVENTORY_PART, 0), 0);
    give(with_dead(inventory(0), rill_role_id(RILL_ROLE_UNIT, 100), OL)); /* it is */
    core_expect(&out, RILL_FRAME_INVENTORY_PART, AFTER);
}

/* --- the controller before is over ------------------------------------------------------------ */

static void nothing_of_an_older_epoch_is_taken(void **state)
{
    struct rill_state_head head = {.alias = alias};
    struct rte_mbuf *m;

    (void)state;
    give(step(UNIT, 100, TERM, 1, &head));
    ask_all();
    core_clear(&out);
    give(from(BEFORE, OLD, RILL_FRAME_ESTABLISHED_ACK, 100));
    give(alias_ack(BEFORE, OLD, 100));
    give(from(BEFORE, OLD, RILL_FRAME_FORGET, 100));
    assert_int_equal(n()->messages_old_epoch, 3);
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, 0), 0); /* not confirmed */
    m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);
    rill_frame(m)->type = RILL_FRAME_PASS;
    rill_frame(m)->src = BEFORE;
    rill_frame(m)->dst = OL;
    rill_frame(m)->epoch = OLD;
    give(m);
    assert_int_equal(n()->dropped_logger_old_epoch, 1);
    assert_int_equal(n()->packets_in, 2);
    assert_int_equal(told()->flow.flags, RILL_INVENTORY_HEAD); /* there, and not confirmed */
    /* both are asked about again, and of the new one */
    now_ns += 20 * RETRY_NS;
    rill_ol_tick(ol, now_ns, &out);
    core_expect(&out, RILL_FRAME_ALIAS, AFTER);
    assert_int_equal(core_expect(&out, RILL_FRAME_ESTABLISHED, AFTER).epoch, NEW);
    give(alias_ack(AFTER, NEW, 100));
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE), 1);
}

/* The same frames of another slot's controller are that one's business. */
static void slots_do_not_outdate_each_other(void **state)
{
    struct rill_state_head head = {.alias = alias};
    struct rte_mbuf *m =
        from(rill_role_id(RILL_ROLE_CONTROLLER, 9), rill_epoch(SLOT + 1, 9), RILL_FRAME_FENCE, 0);

    (void)state;
    rill_frame(m)->next_unit = UNIT2;
    give(m);
    give(step(UNIT, 100, TERM, 1, &head));
    give(alias_ack(BEFORE, OLD, 100));
    assert_int_equal(n()->messages_old_epoch, 0);
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE), 1);
}

/* Units and peers of an older epoch are heard: they may not know yet. */
static void an_older_epoch_of_a_unit_is_taken(void **state)
{
    (void)state;
    ask_all();
    give(step(UNIT, 100, TERM, 1, NULL));
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE), 1);
    assert_int_equal(n()->dropped_logger_old_epoch, 0);
}

/* "Known" was said by the controller before: the new one may not know. */
static void an_older_controllers_knowledge_does_not_count(void **state)
{
    struct rill_state_head head = {.alias = alias};
    struct rte_mbuf *m = step(UNIT, 100, TERM, 1, &head);

    (void)state;
    ask_all();
    rill_frame(m)->flags |= RILL_FLAG_ALIAS_KNOWN;
    give(m);
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, 0), 0);
    core_expect(&out, RILL_FRAME_ALIAS, AFTER);
    m = step(UNIT, 101, TERM, 1, &head);
    rill_frame(m)->flags |= RILL_FLAG_ALIAS_KNOWN;
    rill_frame(m)->epoch = NEW;
    give(m);
    assert_int_equal(core_count(&out, RILL_FRAME_CHANGE, CORE_OUTSIDE), 1);
}

/* What the flow is known by is in the state: ESTABLISHED says so, and DATA needs it no longer. */
static void established_says_that_the_state_has_the_tuple(void **state)
{
    struct rill_state_head head = {.tuple = tuple};

    (void)state;
    give(step(UNIT, 100, TERM, 1, NULL));
    assert_int_equal(core_expect(&out, RILL_FRAME_ESTABLISHED, BEFORE).flags, 0);
    give(step(UNIT, 101, TERM, 1, &head));
    assert_int_equal(core_expect(&out, RILL_FRAME_ESTABLISHED, BEFORE).flags, RILL_FLAG_TUPLE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, ol_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_term_is_told_as_established),
        T(what_the_controller_vouched_for_is_told),
        T(the_unit_says_how_long_a_flow_is_idle),
        T(units_are_told_apart),
        T(flows_of_other_slots_are_not_told),
        T(what_has_no_state_is_not_told),
        T(an_alias_is_told_as_confirmed_once_it_is),
        T(an_alias_that_is_open_is_not_confirmed),
        T(many_flows_come_in_parts),
        T(any_part_may_be_asked_for),
        T(its_own_dead_are_fenced_before_the_answer),
        T(without_room_for_a_fence_nothing_is_answered),
        T(nothing_of_an_older_epoch_is_taken),
        T(slots_do_not_outdate_each_other),
        T(an_older_epoch_of_a_unit_is_taken),
        T(an_older_controllers_knowledge_does_not_count),
        T(established_says_that_the_state_has_the_tuple),
    };

    return cmocka_run_group_tests_name("output_logger_inventory", tests, core_group_setup,
                                       core_group_teardown);
}
