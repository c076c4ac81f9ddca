/* A burst is read the short way where that will do: whatever comes, what is known of it afterwards
 * is what the parser, the key's maker and the list of what the NF handles say, each asked by
 * itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/controller_testing.h"
#include "lib/base/rng.h"
#include "lib/packet/test_packets.h"

enum { ROUNDS = 300 };

static void break_it(struct test_packet *p, struct rill_rng *rng)
{
    for (uint32_t n = rill_rng_below(rng, 4); n > 0; n--)
        p->bytes[rill_rng_below(rng, RTE_MIN(p->len, 60u))] ^=
            (uint8_t)(1u << rill_rng_below(rng, 8));
    if (rill_rng_below(rng, 8) == 0)
        p->len = 1 + rill_rng_below(rng, p->len);
}

static struct rill_flow_key key_of(const struct rill_view *view, enum rill_side side)
{
    struct rill_flow_key key;

    if (side == RILL_OUTSIDE && c->config.inside_opens)
        rill_alias_keys_of(view, c->config.vni, &key, NULL);
    else
        rill_flow_key(view, side, c->config.flow_kind, c->config.vni, &key);
    return key;
}

static bool is_plain(const struct rill_view *view)
{
    return !(view->flags & (RILL_VIEW_FRAGMENT | RILL_VIEW_ICMP_ERROR)) &&
           (arrival_handles(view) & c->config.handles) != 0;
}

static void check(struct rte_mbuf *m, const struct arrival *a)
{
    enum rill_side side = (enum rill_side)rill_frame(m)->side;
    bool by_alias = side == RILL_OUTSIDE && c->config.inside_opens;
    struct rill_flow_key key;
    struct rill_view view;

    assert_int_equal(a->parsed, rill_parse(m, rill_frame(m)->wire_bytes, &view));
    if (a->parsed != RILL_PARSE_OK) {
        assert_false(a->has_key || a->plain);
        return;
    }
    assert_int_equal(a->view.flags, view.flags);
    assert_int_equal(a->view.tcp_flags, view.tcp_flags);
    assert_true(rill_endpoint_equal(&a->view.source, &view.source) &&
                rill_endpoint_equal(&a->view.destination, &view.destination));
    assert_int_equal(a->has_key, !(view.flags & RILL_VIEW_LATER_FRAGMENT));
    assert_int_equal(a->plain, is_plain(&view));
    if (!a->has_key)
        return;
    key = key_of(&view, side);
    assert_int_equal(a->by_alias, by_alias);
    assert_memory_equal(&a->key, &key, sizeof(key));
    assert_int_equal(a->hash, key_hash(by_alias ? &c->by_alias : &c->by_key, &key));
}

static void burst(struct rill_rng *rng, uint32_t *plain)
{
    struct arrival arrivals[ARRIVALS_MAX];
    struct rte_mbuf *packets[ARRIVALS_MAX];
    struct test_packet p;

    memset(arrivals, 0x5a, sizeof(arrivals));
    for (int i = 0; i < ARRIVALS_MAX; i++) {
        test_packet_of_kind((int)rill_rng_below(rng, TEST_KINDS), &p);
        break_it(&p, rng);
        packets[i] = core_packet(&p);
        rill_frame(packets[i])->side = (uint8_t)rill_rng_below(rng, 2);
        rill_frame(packets[i])->wire_bytes += rill_rng_below(rng, 8) == 0;
    }
    arrivals_read(c, packets, ARRIVALS_MAX, arrivals);
    for (int i = 0; i < ARRIVALS_MAX; i++) {
        check(packets[i], &arrivals[i]);
        *plain += arrivals[i].parsed == RILL_PARSE_OK && arrivals[i].plain;
        rte_pktmbuf_free(packets[i]);
    }
}

static void both_ways_say_the_same(void **state)
{
    static const enum rill_key_kind kinds[] = {RILL_KEY_CONNECTION, RILL_KEY_INSIDE_ENDPOINT,
                                               RILL_KEY_INSIDE_HOST, RILL_KEY_OUTSIDE_HOST};
    struct rill_controller_config config = controller_usual();
    uint32_t plain = 0;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 5);
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 10 == 0) {
            config.flow_kind = kinds[rill_rng_below(&rng, RTE_DIM(kinds))];
            config.handles = (uint32_t)rill_rng_u64(&rng);
            config.inside_opens = rill_rng_below(&rng, 2) == 0;
            config.vni = (uint32_t)rill_rng_u64(&rng);
            controller_create(&config);
        }
        burst(&rng, &plain);
    }
    assert_true(plain > ROUNDS * ARRIVALS_MAX / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ways_say_the_same, controller_setup,
                                        controller_teardown),
    };

    return cmocka_run_group_tests(tests, core_group_setup, core_group_teardown);
}
