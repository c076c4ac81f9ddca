#include "tests/core_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/eal.h"

struct rte_mempool *core_pool;

int core_group_setup(void **state)
{
    struct rill_error err = {.text = ""};

    (void)state;
    if (rill_eal_init(256, &err) == 0)
        core_pool = rill_frame_pool_create("core_test", 4095, &err);
    if (core_pool == NULL)
        print_error("%s\n", err.text);
    return core_pool == NULL ? -1 : 0;
}

int core_group_teardown(void **state)
{
    (void)state;
    rte_mempool_free(core_pool);
    return 0;
}

unsigned core_in_use(void)
{
    return rte_mempool_in_use_count(core_pool);
}

struct rte_mbuf *core_frame(enum rill_frame_type type, uint32_t src, uint32_t dst)
{
    struct rte_mbuf *m = rill_frame_new(core_pool, type, src, dst);

    assert_non_null(m);
    return m;
}

void core_body(struct rte_mbuf *m, const void *bytes, uint32_t n)
{
    assert_int_equal(rill_body_append(m, core_pool, bytes, n), 0);
}

struct rte_mbuf *core_packet(const struct test_packet *p)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_NONE, 0, 0);

    core_body(m, p->bytes, p->len);
    rill_frame(m)->flags = RILL_FLAG_PACKET;
    rill_frame(m)->wire_bytes = p->len;
    return m;
}

struct rte_mbuf *core_udp(const char *source, uint16_t sport, const char *destination,
                          uint16_t dport, uint32_t wire_bytes)
{
    struct test_packet p;

    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, source, destination, RILL_UDP, 0, 0);
    test_udp(&p, sport, dport, wire_bytes - 42);
    test_finish(&p);
    return core_packet(&p);
}

static uint64_t any_number(struct rill_rng *rng)
{
    switch (rill_rng_below(rng, 8)) {
    case 0:
        return rill_rng_u64(rng);
    case 1:
        return UINT64_MAX;
    default:
        return rill_rng_below(rng, 12);
    }
}

static uint32_t any_of(struct rill_rng *rng, const uint32_t *ids, uint32_t count)
{
    if (rill_rng_below(rng, 16) == 0)
        return (uint32_t)rill_rng_u64(rng);
    return ids[rill_rng_below(rng, count)];
}

static void any_lists(struct rill_rng *rng, struct rill_frame *f, const uint32_t *ids,
                      uint32_t count)
{
    f->chain_len = (uint8_t)rill_rng_below(rng, RILL_CHAIN_MAX + 1);
    f->target_count = (uint8_t)rill_rng_below(rng, RILL_TARGETS_MAX + 1);
    f->state_bytes = (uint8_t)rill_rng_below(rng, RILL_INLINE_STATE + 1);
    f->state_offset = (uint16_t)any_number(rng);
    for (int i = 0; i < RILL_CHAIN_MAX; i++)
        f->chain[i] =
            (struct rill_chain_entry){.term = any_number(rng), .unit = any_of(rng, ids, count)};
    for (int i = 0; i < RILL_TARGETS_MAX; i++)
        f->targets[i] = any_of(rng, ids, count);
    for (int i = 0; i < RILL_INLINE_STATE; i++)
        f->state[i] = (uint8_t)rill_rng_below(rng, 3);
}

static void any_body(struct rill_rng *rng, struct rte_mbuf *m)
{
    static const uint32_t usual[] = {0, 0, 40, 48, 56, 104, 192};
    uint8_t bytes[2000];
    uint32_t n = rill_rng_below(rng, 4) == 0 ? rill_rng_below(rng, sizeof(bytes))
                                             : usual[rill_rng_below(rng, RTE_DIM(usual))];

    for (uint32_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(rill_rng_below(rng, 4) ? 0 : rill_rng_u64(rng));
    core_body(m, bytes, n);
}

static bool any_packet(struct rill_rng *rng, uint8_t type)
{
    switch (type) {
    case RILL_FRAME_DATA:
    case RILL_FRAME_FORWARDED:
    case RILL_FRAME_PASS:
        return true;
    case RILL_FRAME_CHANGE:
        return rill_rng_below(rng, 4) != 0;
    default:
        return false;
    }
}

struct rte_mbuf *core_garbage(struct rill_rng *rng, const uint32_t *ids, uint32_t id_count)
{
    uint8_t type = (uint8_t)rill_rng_below(rng, rill_rng_below(rng, 64) ? RILL_FRAME_TYPES : 256);
    bool packet = any_packet(rng, type);
    struct rte_mbuf *m =
        packet ? core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60) : core_frame(RILL_FRAME_NONE, 0, 0);
    struct rill_frame *f = rill_frame(m);

    if (!packet)
        any_body(rng, m);
    f->type = type;
    f->flags = (uint8_t)((rill_rng_u64(rng) & ~(uint64_t)RILL_FLAG_PACKET) | packet);
    f->side = (uint8_t)rill_rng_below(rng, 2);
    f->src = any_of(rng, ids, id_count);
    f->dst = any_of(rng, ids, 1);
    f->epoch = (uint16_t)rill_rng_below(rng, 2);
    f->pool = (uint16_t)any_number(rng);
    f->flow = any_number(rng);
    f->term = any_number(rng);
    f->clock = any_number(rng);
    f->step = any_number(rng);
    f->window = any_number(rng);
    f->next_term = any_number(rng);
    f->granted_term = any_number(rng);
    f->next_unit = any_of(rng, ids, id_count);
    f->count = (uint32_t)any_number(rng);
    any_lists(rng, f, ids, id_count);
    return m;
}

static bool is(struct rte_mbuf *m, enum rill_frame_type type, uint32_t dst)
{
    return rill_frame(m)->type == type && (dst == 0 || rill_frame(m)->dst == dst);
}

uint32_t core_count(const struct rill_outbox *out, enum rill_frame_type type, uint32_t dst)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < out->count; i++)
        n += is(out->frames[i], type, dst);
    return n;
}

struct rte_mbuf *core_take(struct rill_outbox *out, enum rill_frame_type type, uint32_t dst)
{
    for (uint32_t i = 0; i < out->count; i++) {
        struct rte_mbuf *m = out->frames[i];

        if (!is(m, type, dst))
            continue;
        out->count--;
        for (; i < out->count; i++)
            out->frames[i] = out->frames[i + 1];
        return m;
    }
    return NULL;
}

struct rill_frame core_expect(struct rill_outbox *out, enum rill_frame_type type, uint32_t dst)
{
    struct rte_mbuf *m = core_take(out, type, dst);
    struct rill_frame f = {0};

    if (m == NULL)
        fail_msg("no %s to %08x", rill_frame_type_name(type), dst);
    else
        rill_frame_copy_metadata(&f, rill_frame(m));
    rte_pktmbuf_free(m);
    return f;
}

void core_clear(struct rill_outbox *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        rte_pktmbuf_free(out->frames[i]);
    out->count = 0;
}
