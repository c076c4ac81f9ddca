#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/frame/body.h"
#include "lib/frame/geneve_options.h"
#include "lib/frame/inventory.h"

enum {
    POOL_MBUFS = 511,
    ROUNDS = 2000, /* of each type */
    WIRE_MAX = 70000,
    SEGMENT_ROOM = 2048,
};

static struct rte_mempool *pool;

static const struct rill_underlay underlay4 = {
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .src = {.family = 4, .addr = {192, 0, 2, 1}},
    .dst = {.family = 4, .addr = {198, 51, 100, 2}},
};

static const struct rill_underlay underlay6 = {
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .src = {.family = 6, .addr = {0x20, 1, 0xd, 0xb8, 0xff, 0xff, [15] = 1}},
    .dst = {.family = 6, .addr = {0x20, 1, 0xd, 0xb8, 0xff, 0xff, [15] = 2}},
};

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("geneve_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

/* --- what each type carries, as docs/wire-format.md says ----------------------------------------
 */

struct type_info {
    uint8_t type;
    const char *options; /* numbers on the wire, a: 10, b: 11, ..., without the critical bit;
                            f, g and h: only in some frames */
    char data;           /* p: packet, ?: packet or nothing, b: body or nothing, -: nothing */
};

static const struct type_info types[] = {
    {RILL_FRAME_DATA, "12349abfh", 'p'},
    {RILL_FRAME_FORWARDED, "12349afh", 'p'},
    {RILL_FRAME_CHANGE, "123459cg", '?'},
    {RILL_FRAME_PASS, "19", 'p'},
    {RILL_FRAME_MOVE, "12367a", '-'},
    {RILL_FRAME_PULL, "12367a", '-'},
    {RILL_FRAME_FINAL, "12345678ae", 'b'},
    {RILL_FRAME_REPLICA, "1", 'b'},
    {RILL_FRAME_FULL, "123458e", 'b'},
    {RILL_FRAME_NO_FULL, "12", '-'},
    {RILL_FRAME_SYNC_ACK, "123458", '-'},
    {RILL_FRAME_SYNC, "123458e", '-'},
    {RILL_FRAME_REQUEST_FULL, "12", '-'},
    {RILL_FRAME_ESTABLISHED, "1237", '-'},
    {RILL_FRAME_ESTABLISHED_ACK, "1237", '-'},
    {RILL_FRAME_ALIAS, "1237", 'b'},
    {RILL_FRAME_ALIAS_ACK, "1237", 'b'},
    {RILL_FRAME_NEED, "1237", '-'},
    {RILL_FRAME_FORGET, "1237", '-'},
    {RILL_FRAME_WHERE, "123", '-'},
    {RILL_FRAME_CHAIN, "123a", '-'},
    {RILL_FRAME_POOL_REQUEST, "14de", '-'},
    {RILL_FRAME_POOL_GRANT, "134de", 'b'},
    {RILL_FRAME_LEASE_REQUEST, "14e", '-'},
    {RILL_FRAME_LEASE_GRANT, "14e", 'b'},
    {RILL_FRAME_SHARE, "147e", '-'},
    {RILL_FRAME_SHARE_ACK, "147e", '-'},
    {RILL_FRAME_INGRESS, "19", 'p'},
    {RILL_FRAME_RELEASED, "129", 'p'},
    {RILL_FRAME_TURNED, "149", 'p'},
    {RILL_FRAME_TAKE, "123a", '-'},
    {RILL_FRAME_LOGGER_PULL, "12345678", '-'},
    {RILL_FRAME_LOGGER_STATE, "12345678e", 'b'},
    {RILL_FRAME_FENCE, "17", '-'},
    {RILL_FRAME_FENCE_ACK, "17", '-'},
    {RILL_FRAME_DEAD, "17e", '-'},
    {RILL_FRAME_DEATH, "17e", '-'},
    {RILL_FRAME_DEATH_ACK, "17e", '-'},
    {RILL_FRAME_RECOVERED, "17", '-'},
    {RILL_FRAME_RECOVERED_ACK, "17", '-'},
    {RILL_FRAME_NEW_LOGGER, "147", '-'},
    {RILL_FRAME_NEW_LOGGER_ACK, "14e", '-'},
    {RILL_FRAME_INVENTORY, "134e", 'b'},
    {RILL_FRAME_INVENTORY_PART, "1346e", 'b'},
    {RILL_FRAME_MEMBERS_REQUEST, "14", '-'},
    {RILL_FRAME_MEMBERS, "14e", 'b'},
    {RILL_FRAME_STORE_PUT, "123458", 'b'},
    {RILL_FRAME_STORE_ACK, "123458", '-'},
    {RILL_FRAME_STORE_GET, "12e", '-'},
    {RILL_FRAME_STORE_VALUE, "123458e", 'b'},
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

/* Bytes of a body's entry where `count` says how many there are; else 0. */
static uint32_t entry_bytes(uint8_t type)
{
    switch (type) {
    case RILL_FRAME_POOL_GRANT:
        return 4;
    case RILL_FRAME_LEASE_GRANT:
        return sizeof(struct rill_lease);
    case RILL_FRAME_INVENTORY:
        return sizeof(struct rill_death);
    case RILL_FRAME_MEMBERS:
        return sizeof(struct rill_member);
    default:
        return 0;
    }
}

/* Whole entries of any of these. */
enum { SOME_ENTRIES = 144 };

static bool has_tuple(const struct rill_frame *f)
{
    return (f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED) &&
           (f->flags & RILL_FLAG_TUPLE);
}

static bool has_endpoint(const struct rill_frame *f)
{
    return (f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED) &&
           (f->flags & RILL_FLAG_ENDPOINT);
}

static uint8_t chain_max(const struct rill_frame *f)
{
    return !has_tuple(f)     ? RILL_CHAIN_MAX
           : has_endpoint(f) ? RILL_CHAIN_MAX_WITH_BOTH
                             : RILL_CHAIN_MAX_WITH_TUPLE;
}

/* Of the options that only some frames have: does this one? */
static bool has_option(const struct rill_frame *f, char option)
{
    switch (option) {
    case 'f':
        return has_tuple(f);
    case 'g':
        return f->state_bytes > 120;
    case 'h':
        return has_endpoint(f);
    default:
        return true;
    }
}

/* Sets the fields of one option at random. */
static void set_fields(struct rill_rng *rng, struct rill_frame *f, char option)
{
    switch (option) {
    case '2':
        f->flow = rill_rng_u64(rng);
        break;
    case '3':
        f->term = rill_rng_u64(rng);
        break;
    case '4':
        f->clock = rill_rng_u64(rng);
        break;
    case '5':
        f->step = rill_rng_u64(rng);
        f->window = rill_rng_u64(rng);
        break;
    case '6':
        f->next_term = rill_rng_u64(rng);
        break;
    case '7':
        f->next_unit = (uint32_t)rill_rng_u64(rng);
        break;
    case '8':
        f->granted_term = rill_rng_u64(rng);
        break;
    case '9':
        f->ingress_ns = rill_rng_u64(rng);
        f->ingress_id = rill_rng_u64(rng);
        f->first_sport = (uint16_t)rill_rng_u64(rng);
        f->first_dport = (uint16_t)rill_rng_u64(rng);
        break;
    case 'a':
        f->chain_len = (uint8_t)rill_rng_below(rng, RILL_CHAIN_MAX + 1);
        for (int i = 0; i < f->chain_len; i++) {
            f->chain[i].term = rill_rng_u64(rng);
            f->chain[i].unit = (uint32_t)rill_rng_u64(rng);
            f->chain[i].output_logger = (uint32_t)rill_rng_u64(rng);
        }
        break;
    case 'b':
        f->target_count = (uint8_t)rill_rng_below(rng, RILL_TARGETS_MAX + 1);
        for (int i = 0; i < f->target_count; i++)
            f->targets[i] = (uint32_t)rill_rng_u64(rng);
        break;
    case 'c':
        f->state_offset = (uint16_t)rill_rng_u64(rng);
        f->state_bytes = (uint8_t)rill_rng_below(rng, RILL_INLINE_STATE + 1);
        for (int i = 0; i < f->state_bytes; i++)
            f->state[i] = (uint8_t)rill_rng_u64(rng);
        break;
    case 'd':
        f->pool = (uint16_t)rill_rng_u64(rng);
        break;
    case 'e':
        f->count = (uint32_t)rill_rng_u64(rng);
        break;
    case 'f':
        for (size_t i = 0; i < sizeof(f->tuple); i++)
            ((uint8_t *)&f->tuple)[i] = (uint8_t)rill_rng_u64(rng);
        memset(f->tuple.zero, 0, sizeof(f->tuple.zero));
        break;
    case 'h':
        f->pool = has_endpoint(f) ? (uint16_t)rill_rng_u64(rng) : 0;
        f->count = has_endpoint(f) ? (uint32_t)rill_rng_u64(rng) : 0;
        break;
    }
}

static uint8_t data[WIRE_MAX]; /* what the frame at hand carries */

/* Data of `bytes`, in segments as full as they get. */
static void add_data(struct rill_rng *rng, struct rte_mbuf *m, uint32_t bytes)
{
    struct rte_mbuf *last = m;
    uint32_t done = 0;

    for (uint32_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)rill_rng_u64(rng);
    while (done < bytes) {
        uint32_t n = RTE_MIN(bytes - done, (uint32_t)rte_pktmbuf_tailroom(last));

        memcpy(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), data + done, n);
        last->data_len += (uint16_t)n;
        m->pkt_len += n;
        done += n;
        if (done < bytes) {
            last->next = rte_pktmbuf_alloc(pool);
            last = last->next;
            assert_non_null(last);
            m->nb_segs++;
        }
    }
}

static uint32_t draw_length(struct rill_rng *rng, const struct type_info *info,
                            const struct rill_frame *f)
{
    static const uint32_t scale[] = {1, 60, 200, 1500, 1500, 1500, 5000, 61000};
    uint32_t bytes = rill_rng_below(rng, scale[rill_rng_below(rng, 8)]);

    if (entry_bytes(f->type) != 0)
        return bytes / entry_bytes(f->type) * entry_bytes(f->type);
    return info->data == '-' || (info->data == '?' && !(f->flags & RILL_FLAG_PACKET)) ? 0 : bytes;
}

/* A frame of the type with exactly the fields set that it uses; `bytes` of data, -1: draw. */
static struct rte_mbuf *random_frame(struct rill_rng *rng, const struct type_info *info, int bytes)
{
    struct rte_mbuf *m =
        rill_frame_new(pool, info->type, (uint32_t)rill_rng_u64(rng), (uint32_t)rill_rng_u64(rng));
    struct rill_frame *f = rill_frame(m);

    f->flags = (uint8_t)rill_rng_u64(rng);
    if (info->data != '?')
        f->flags &= (uint8_t)~RILL_FLAG_PACKET;
    if (info->data == 'p')
        f->flags |= RILL_FLAG_PACKET;
    f->side = (uint8_t)rill_rng_below(rng, 2);
    f->epoch = (uint16_t)rill_rng_u64(rng);
    f->vni = rill_rng_below(rng, 1 << 24);
    for (const char *option = info->options; *option != 0; option++)
        set_fields(rng, f, *option);
    while (f->chain_len > chain_max(f))
        f->chain[--f->chain_len] = (struct rill_chain_entry){0};
    if (rill_rng_below(rng, 2) == 0) { /* room for the headers in front */
        m->data_off = (uint16_t)(m->data_off + 200);
        assert_true(rte_pktmbuf_headroom(m) >= 200);
    }
    add_data(rng, m, bytes >= 0 ? (uint32_t)bytes : draw_length(rng, info, f));
    if (strchr(info->options, '9') != NULL && (f->flags & RILL_FLAG_PACKET))
        f->wire_bytes = m->pkt_len + rill_rng_below(rng, 100);
    else if (strchr(info->options, '9') != NULL)
        f->wire_bytes = (uint32_t)rill_rng_u64(rng);
    if (entry_bytes(f->type) != 0)
        f->count = m->pkt_len / entry_bytes(f->type);
    return m;
}

static void assert_same_metadata(const struct rill_frame *a, const struct rill_frame *b)
{
    assert_memory_equal(&a->type, &b->type,
                        offsetof(struct rill_frame, targets) - offsetof(struct rill_frame, type));
    assert_memory_equal(a->targets, b->targets, a->target_count * sizeof(a->targets[0]));
    assert_memory_equal(a->chain, b->chain, a->chain_len * sizeof(a->chain[0]));
    assert_memory_equal(a->state, b->state, a->state_bytes);
    if (has_tuple(a))
        assert_memory_equal(&a->tuple, &b->tuple, sizeof(a->tuple));
}

static void assert_data(const struct rte_mbuf *m, uint32_t bytes)
{
    static uint8_t read[WIRE_MAX];

    assert_int_equal(m->pkt_len, bytes);
    assert_int_equal(rill_body_read(m, 0, read, bytes), 0);
    assert_memory_equal(read, data, bytes);
    assert_true(m->data_len >= RTE_MIN(bytes, 1024u));
}

/* --- an independent reading of the bytes --------------------------------------------------------
 */

static uint64_t number(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *p++;
    return value;
}

static uint32_t ones_sum(const uint8_t *p, uint32_t bytes, uint32_t sum)
{
    for (uint32_t i = 0; i < bytes; i++)
        sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Checks the outer headers up to UDP; returns the offset of the UDP header. */
static uint32_t check_outer_ip(const uint8_t *w, uint32_t bytes, const struct rill_underlay *u)
{
    assert_memory_equal(w, u->dst_mac, 6);
    assert_memory_equal(w + 6, u->src_mac, 6);
    if (u->src.family == 4) {
        assert_int_equal(number(w + 12, 2), 0x0800);
        assert_int_equal(w[14], 0x45);
        assert_int_equal(number(w + 16, 2), bytes - 14);
        assert_int_equal(number(w + 20, 2), 0x4000); /* don't fragment */
        assert_int_equal(w[23], 17);
        assert_int_equal(ones_sum(w + 14, 20, 0), 0xffff);
        assert_memory_equal(w + 26, u->src.addr, 4);
        assert_memory_equal(w + 30, u->dst.addr, 4);
        return 34;
    }
    assert_int_equal(number(w + 12, 2), 0x86dd);
    assert_int_equal(w[14] >> 4, 6);
    assert_int_equal(number(w + 18, 2), bytes - 54);
    assert_int_equal(w[20], 17);
    assert_memory_equal(w + 22, u->src.addr, 16);
    assert_memory_equal(w + 38, u->dst.addr, 16);
    return 54;
}

/* Value of the option of that number; NULL if it is not there. */
static const uint8_t *find_option(const uint8_t *options, uint32_t bytes, unsigned type,
                                  uint32_t *length)
{
    for (uint32_t at = 0; at < bytes; at += 4 + (options[at + 3] & 0x1fu) * 4) {
        *length = (options[at + 3] & 0x1fu) * 4;
        if (options[at + 2] == (type | 0x80))
            return options + at + 4;
    }
    return NULL;
}

/* Spot checks of values at the places that the document gives. */
static void check_values(const uint8_t *options, uint32_t bytes, const struct rill_frame *f)
{
    uint32_t length;
    const uint8_t *v = find_option(options, bytes, 1, &length);

    assert_non_null(v);
    assert_int_equal(length, 16);
    assert_int_equal(v[0], 1);
    assert_int_equal(v[1], f->type);
    assert_int_equal(v[2], f->flags);
    assert_int_equal(v[3], f->side);
    assert_int_equal(number(v + 4, 4), f->src);
    assert_int_equal(number(v + 8, 4), f->dst);
    assert_int_equal(number(v + 12, 2), f->epoch);
    v = find_option(options, bytes, 2, &length);
    assert_true(v == NULL || number(v, 8) == f->flow);
    v = find_option(options, bytes, 5, &length);
    assert_true(v == NULL || (number(v, 8) == f->step && number(v + 8, 8) == f->window));
    v = find_option(options, bytes, 9, &length);
    assert_true(v == NULL ||
                (number(v, 8) == f->ingress_ns && number(v + 8, 8) == f->ingress_id &&
                 number(v + 16, 4) == f->wire_bytes && number(v + 20, 2) == f->first_sport));
    v = find_option(options, bytes, 10, &length);
    assert_true(v == NULL || length == f->chain_len * 16u);
    if (v != NULL && f->chain_len > 1)
        assert_true(number(v + 16, 8) == f->chain[1].term &&
                    number(v + 24, 4) == f->chain[1].unit &&
                    number(v + 28, 4) == f->chain[1].output_logger);
    v = find_option(options, bytes, 11, &length);
    assert_true(v == NULL || length == f->target_count * 4u);
    v = find_option(options, bytes, 12, &length);
    if (v != NULL) {
        assert_int_equal(number(v, 2), f->state_offset);
        assert_int_equal(v[2], f->state_bytes);
        assert_int_equal(v[3], 0);
        assert_memory_equal(v + 4, f->state, RTE_MIN(f->state_bytes, 120));
    }
    v = find_option(options, bytes, 16, &length);
    if (v != NULL)
        assert_memory_equal(v, f->state + 120, f->state_bytes - 120u);
    v = find_option(options, bytes, 15, &length);
    if (v != NULL) {
        assert_int_equal(length, 40);
        assert_memory_equal(v, f->tuple.addr_a, 16);
        assert_memory_equal(v + 16, f->tuple.addr_b, 16);
        assert_int_equal(number(v + 32, 2), f->tuple.port_a);
        assert_int_equal(number(v + 34, 2), f->tuple.port_b);
        assert_int_equal(v[36], f->tuple.family);
        assert_int_equal(v[37], f->tuple.proto);
        assert_int_equal(number(v + 38, 2), 0);
    }
}

static void check_wire(const uint8_t *w, uint32_t bytes, const struct rill_underlay *u,
                       const struct type_info *info, const struct rill_frame *f,
                       uint32_t data_bytes)
{
    uint32_t udp = check_outer_ip(w, bytes, u);
    uint32_t geneve = udp + 8, options = geneve + 8, at = 0;
    uint32_t option_bytes = (w[geneve] & 0x3fu) * 4;

    assert_true(number(w + udp, 2) >= 0xc000);
    assert_int_equal(number(w + udp + 2, 2), 6081);
    assert_int_equal(number(w + udp + 4, 2), bytes - udp);
    if (u->src.family == 4) {
        assert_int_equal(number(w + udp + 6, 2), 0);
    } else {
        assert_int_not_equal(number(w + udp + 6, 2), 0);
        assert_int_equal(ones_sum(w + udp, bytes - udp, ones_sum(w + 22, 32, 17 + bytes - udp)),
                         0xffff);
    }
    assert_int_equal(w[geneve] >> 6, 0);
    assert_int_equal(w[geneve + 1], 0x40);
    assert_int_equal(number(w + geneve + 2, 2), f->flags & RILL_FLAG_PACKET ? 0x6558 : 0x88b5);
    assert_int_equal(number(w + geneve + 4, 3), f->vni);
    assert_int_equal(w[geneve + 7], 0);
    assert_true(option_bytes <= 252);
    for (const char *option = info->options; *option != 0; option++) {
        if (!has_option(f, *option))
            continue;
        assert_true(at < option_bytes);
        assert_int_equal(number(w + options + at, 2), 0xff52);
        assert_int_equal(w[options + at + 2],
                         0x80 | (*option <= '9' ? *option - '0' : *option - 'a' + 10));
        assert_int_equal(w[options + at + 3] & 0xe0, 0);
        at += 4 + w[options + at + 3] * 4u;
    }
    assert_int_equal(at, option_bytes);
    check_values(w + options, option_bytes, f);
    assert_int_equal(bytes, options + option_bytes + data_bytes);
    assert_memory_equal(w + options + option_bytes, data, data_bytes);
}

/* --- round trips --------------------------------------------------------------------------------
 */

static uint8_t wire[WIRE_MAX];

static int try_encode(struct rte_mbuf **m, struct rte_mempool *from, const struct rill_underlay *u)
{
    struct rill_geneve_outer outer;

    assert_int_equal(rill_geneve_outer_init(&outer, u), 0);
    return rill_geneve_encode(m, from, &outer);
}

/* Encodes m; the bytes are then in `wire` too. */
static struct rte_mbuf *encode(struct rte_mbuf *m, const struct rill_underlay *u)
{
    assert_int_equal(try_encode(&m, pool, u), 0);
    rte_mbuf_sanity_check(m, 1);
    assert_int_equal(rill_body_read(m, 0, wire, m->pkt_len), 0);
    return m;
}

/* A message that holds `bytes` of `from`; every segment but the last holds `segment` of them. */
static struct rte_mbuf *as_received(const uint8_t *from, uint32_t bytes, uint32_t segment)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

    assert_non_null(m);
    memset(rill_frame(m), 0xee, sizeof(struct rill_frame));
    for (uint32_t done = 0; done < bytes;) {
        struct rte_mbuf *part = done == 0 ? m : rte_pktmbuf_alloc(pool);
        uint32_t n = RTE_MIN(bytes - done, segment);

        assert_non_null(part);
        memcpy(rte_pktmbuf_append(part, (uint16_t)n), from + done, n);
        if (part != m)
            assert_int_equal(rte_pktmbuf_chain(m, part), 0);
        done += n;
    }
    return m;
}

static void every_type_comes_back(void **state)
{
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 1);
    for (int t = 0; t < TYPES; t++) {
        for (int round = 0; round < ROUNDS; round++) {
            const struct rill_underlay *u = round % 4 == 3 ? &underlay6 : &underlay4;
            struct rte_mbuf *m = random_frame(&rng, &types[t], -1);
            struct rill_frame before = *rill_frame(m);
            uint32_t bytes = m->pkt_len;

            m = encode(m, u);
            check_wire(wire, m->pkt_len, u, &types[t], &before, bytes);
            memset(rill_frame(m), 0xee, sizeof(struct rill_frame));
            assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
            rte_mbuf_sanity_check(m, 1);
            before.link = NULL;
            assert_null(rill_frame(m)->link);
            assert_same_metadata(rill_frame(m), &before);
            assert_data(m, bytes);
            rte_pktmbuf_free(m);
        }
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* A network may hand the bytes over in segments of any size, and padded at the end. */
static void any_segments_and_padding(void **state)
{
    static const uint32_t sizes[] = {1, 7, 13, 14, 60, 333, 1500, SEGMENT_ROOM};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 2);
    for (int round = 0; round < 4000; round++) {
        const struct rill_underlay *u = round % 4 == 3 ? &underlay6 : &underlay4;
        uint32_t segment = sizes[rill_rng_below(&rng, 8)];
        const struct type_info *info = &types[rill_rng_below(&rng, TYPES)];
        struct rte_mbuf *m = random_frame(&rng, info, segment >= 60 ? -1 : 0);
        struct rill_frame before = *rill_frame(m);
        uint32_t bytes = m->pkt_len, pad = rill_rng_below(&rng, 2) * rill_rng_below(&rng, 40);
        struct rte_mbuf *received;

        m = encode(m, u);
        if (m->pkt_len / segment > 300)
            segment = SEGMENT_ROOM;
        memset(wire + m->pkt_len, 0xaa, pad);
        received = as_received(wire, m->pkt_len + pad, segment);
        rte_pktmbuf_free(m);
        assert_int_equal(rill_geneve_decode(received), RILL_GENEVE_OK);
        rte_mbuf_sanity_check(received, 1);
        assert_same_metadata(rill_frame(received), &before);
        assert_data(received, bytes);
        rte_pktmbuf_free(received);
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* The largest frame whose outer IP packet fits comes back; one byte more is refused, unchanged. */
static void largest_packet(void **state)
{
    const uint32_t options4 = 20 + 28; /* PASS: the fewest of a packet */
    const uint32_t most4 = 65535 - 20 - 8 - 8 - options4, most6 = most4 + 20;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 3);
    for (uint32_t round = 0; round < 4; round++) {
        const struct rill_underlay *u = round < 2 ? &underlay4 : &underlay6;
        uint32_t bytes = (round < 2 ? most4 : most6) + round % 2;
        struct rte_mbuf *m = random_frame(&rng, &types[3], (int)bytes);
        struct rill_frame before = *rill_frame(m);
        struct rte_mbuf *same = m;

        assert_int_equal(types[3].type, RILL_FRAME_PASS);
        if (round % 2 == 0) {
            m = encode(m, u);
            check_wire(wire, m->pkt_len, u, &types[3], &before, bytes);
            assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
        } else {
            assert_int_equal(try_encode(&m, pool, u), -EMSGSIZE);
            assert_ptr_equal(m, same);
        }
        assert_same_metadata(rill_frame(m), &before);
        assert_data(m, bytes);
        rte_pktmbuf_free(m);
    }
}

/* The largest body fits with the most options that a message has, over both outer protocols. */
static void largest_body(void **state)
{
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 4);
    for (int t = 0; t < TYPES; t++) {
        uint32_t bytes = RILL_BODY_MAX;
        struct rte_mbuf *m;

        if (types[t].data != 'b')
            continue;
        m = random_frame(&rng, &types[t], (int)bytes);
        rill_frame(m)->chain_len = strchr(types[t].options, 'a') != NULL ? RILL_CHAIN_MAX : 0;
        m = encode(m, t % 2 ? &underlay4 : &underlay6);
        assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
        assert_data(m, bytes);
        rte_pktmbuf_free(m);
    }
}

/* Full lists: the options of a frame are at most as long as the document says, and come back. */
static void longest_options(void **state)
{
    const uint32_t geneve4 = 42, most = 252, most_of_data[] = {232, 244, 244, 240};
    uint32_t longest = 0;
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 16);
    for (int i = 0; i < 4 * TYPES; i++) {
        int t = i / 4;
        struct rte_mbuf *m = random_frame(&rng, &types[t], 0);
        struct rill_frame *f = rill_frame(m), before;
        uint32_t options;

        f->flags = (uint8_t)(f->flags & ~(RILL_FLAG_TUPLE | RILL_FLAG_ENDPOINT));
        f->flags |= (uint8_t)((i & 1 ? RILL_FLAG_TUPLE : 0) | (i & 2 ? RILL_FLAG_ENDPOINT : 0));
        set_fields(&rng, f, 'f');
        if (strchr(types[t].options, 'h') != NULL)
            set_fields(&rng, f, 'h');
        f->chain_len = strchr(types[t].options, 'a') != NULL ? chain_max(f) : 0;
        memset(f->chain + f->chain_len, 0, sizeof(f->chain) - f->chain_len * sizeof(f->chain[0]));
        f->target_count = strchr(types[t].options, 'b') != NULL ? RILL_TARGETS_MAX : 0;
        f->state_bytes = strchr(types[t].options, 'c') != NULL ? RILL_INLINE_STATE : 0;
        before = *f;
        m = encode(m, &underlay4);
        options = (wire[geneve4] & 0x3fu) * 4;
        if (types[t].type == RILL_FRAME_DATA)
            assert_int_equal(options, most_of_data[i % 4]);
        longest = RTE_MAX(longest, options);
        assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
        assert_same_metadata(rill_frame(m), &before);
        rte_pktmbuf_free(m);
    }
    assert_int_equal(longest, most);
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void encode_refuses(void (*spoil)(struct rill_frame *), int type)
{
    struct rill_rng rng;
    struct rte_mbuf *m, *same;

    rill_rng_seed(&rng, 5);
    m = same = random_frame(&rng, &types[type], 0);
    spoil(rill_frame(m));
    assert_int_equal(try_encode(&m, pool, &underlay4), -EINVAL);
    assert_ptr_equal(m, same);
    assert_int_equal(m->pkt_len, 0);
    rte_pktmbuf_free(m);
}

static void no_type(struct rill_frame *f)
{
    f->type = RILL_FRAME_NONE;
}

static void gap_type(struct rill_frame *f)
{
    f->type = 13;
}

static void type_past_end(struct rill_frame *f)
{
    f->type = 255;
}

static void wide_vni(struct rill_frame *f)
{
    f->vni = 1 << 24;
}

static void long_chain(struct rill_frame *f)
{
    f->chain_len = RILL_CHAIN_MAX + 1;
}

static void long_chain_beside_tuple(struct rill_frame *f)
{
    f->flags |= RILL_FLAG_TUPLE;
    f->chain_len = RILL_CHAIN_MAX_WITH_TUPLE + 1;
}

static void long_chain_beside_both(struct rill_frame *f)
{
    f->flags |= RILL_FLAG_TUPLE | RILL_FLAG_ENDPOINT;
    f->chain_len = RILL_CHAIN_MAX_WITH_BOTH + 1;
}

static void many_targets(struct rill_frame *f)
{
    f->target_count = RILL_TARGETS_MAX + 1;
}

static void long_state(struct rill_frame *f)
{
    f->state_bytes = RILL_INLINE_STATE + 1;
}

static void third_side(struct rill_frame *f)
{
    f->side = 2;
}

static void other_packet_flag(struct rill_frame *f)
{
    f->flags ^= RILL_FLAG_PACKET;
}

static void encode_refuses_what_no_frame_may_be(void **state)
{
    enum { DATA = 0, FORWARDED = 1, CHANGE = 2, MOVE = 4 };

    (void)state;
    encode_refuses(no_type, DATA);
    encode_refuses(gap_type, DATA);
    encode_refuses(type_past_end, DATA);
    encode_refuses(wide_vni, DATA);
    encode_refuses(long_chain, DATA);
    encode_refuses(long_chain, MOVE);
    encode_refuses(long_chain_beside_tuple, DATA);
    encode_refuses(long_chain_beside_tuple, FORWARDED);
    encode_refuses(long_chain_beside_both, FORWARDED);
    encode_refuses(many_targets, DATA);
    encode_refuses(long_state, CHANGE);
    encode_refuses(third_side, MOVE);
    encode_refuses(other_packet_flag, DATA);
    encode_refuses(other_packet_flag, MOVE);
}

static void encode_refuses_data_that_does_not_fit(void **state)
{
    struct rill_underlay mixed = underlay4;
    struct rill_geneve_outer outer;
    struct rill_rng rng;
    struct rte_mbuf *m;

    (void)state;
    rill_rng_seed(&rng, 6);
    m = random_frame(&rng, &types[0], 100);
    rill_frame(m)->wire_bytes = 99;
    assert_int_equal(try_encode(&m, pool, &underlay4), -EINVAL);
    rill_frame(m)->wire_bytes = 100;
    mixed.dst.family = 6;
    assert_int_equal(rill_geneve_outer_init(&outer, &mixed), -EINVAL);
    mixed.src.family = mixed.dst.family = 0;
    assert_int_equal(rill_geneve_outer_init(&outer, &mixed), -EINVAL);
    rte_pktmbuf_free(m);
    m = random_frame(&rng, &types[4], 1); /* MOVE has no body */
    assert_int_equal(try_encode(&m, pool, &underlay4), -EINVAL);
    rte_pktmbuf_free(m);
    m = random_frame(&rng, &types[7], RILL_BODY_MAX + 1);
    assert_int_equal(try_encode(&m, pool, &underlay4), -EINVAL);
    rte_pktmbuf_free(m);
}

static void encode_without_buffers(void **state)
{
    static struct rte_mbuf *held[POOL_MBUFS];
    struct rill_rng rng;
    struct rte_mbuf *m, *same;
    unsigned n = 0;

    (void)state;
    rill_rng_seed(&rng, 7);
    m = same = random_frame(&rng, &types[0], 100);
    while ((held[n] = rte_pktmbuf_alloc(pool)) != NULL)
        n++;
    m->data_off = 0;
    assert_int_equal(try_encode(&m, pool, &underlay4), -ENOMEM);
    assert_int_equal(try_encode(&m, NULL, &underlay4), -ENOSPC);
    assert_ptr_equal(m, same);
    assert_int_equal(m->pkt_len, 100);
    rte_pktmbuf_free(m);
    while (n > 0)
        rte_pktmbuf_free(held[--n]);
}

/* Decodes bytes that should be refused; the mbuf must be left as it was. Returns why. */
static enum rill_geneve_result decode_wire(uint32_t bytes)
{
    struct rte_mbuf *m = as_received(wire, bytes, SEGMENT_ROOM);
    enum rill_geneve_result result = rill_geneve_decode(m);

    if (result != RILL_GENEVE_OK) {
        static uint8_t after[WIRE_MAX];
        const uint8_t *meta = (const uint8_t *)rill_frame(m);

        assert_int_equal(m->pkt_len, bytes);
        assert_int_equal(rill_body_read(m, 0, after, bytes), 0);
        assert_memory_equal(after, wire, bytes);
        for (size_t i = 0; i < sizeof(struct rill_frame); i++)
            assert_int_equal(meta[i], 0xee);
    }
    rte_pktmbuf_free(m);
    return result;
}

static void set16(uint32_t at, uint32_t value)
{
    wire[at] = (uint8_t)(value >> 8);
    wire[at + 1] = (uint8_t)value;
}

/* Makes the outer lengths and the IPv4 checksum right again. */
static void repair(uint32_t bytes)
{
    set16(16, bytes - 14);
    set16(38, bytes - 34);
    set16(24, 0);
    set16(24, ~ones_sum(wire + 14, 20, 0) & 0xffff);
}

/* A frame of the type over IPv4 in `wire`; its length. Options begin at 50. */
static uint32_t make_wire(const struct type_info *info, uint64_t seed, int bytes)
{
    struct rill_rng rng;
    struct rte_mbuf *m;
    uint32_t length;

    rill_rng_seed(&rng, seed);
    m = encode(random_frame(&rng, info, bytes), &underlay4);
    length = m->pkt_len;
    rte_pktmbuf_free(m);
    return length;
}

/* Puts an option in front of the others. */
static uint32_t insert_option(uint32_t length, uint16_t class, uint8_t type, uint8_t words)
{
    memmove(wire + 54 + words * 4, wire + 50, length - 50);
    set16(50, class);
    wire[52] = type;
    wire[53] = words;
    memset(wire + 54, 0x5a, words * 4u);
    wire[42] = (uint8_t)(wire[42] + 1 + words);
    repair(length + 4 + words * 4u);
    return length + 4 + words * 4u;
}

static void options_that_are_not_ours(void **state)
{
    const struct type_info *sync = &types[10];

    (void)state;
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0x0102, 0x11, 3)), 0);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x01, 4)), 0);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x7f, 0)), 0);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0x0102, 0x91, 3)),
                     RILL_GENEVE_OPTION);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x80, 1)),
                     RILL_GENEVE_OPTION);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x91, 1)),
                     RILL_GENEVE_OPTION);
    /* ours, doubled; ours, of another type; ours, of another width */
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x82, 2)),
                     RILL_GENEVE_OPTION);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x8e, 1)),
                     RILL_GENEVE_OPTION);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x8a, 4)),
                     RILL_GENEVE_OPTION);
    assert_int_equal(decode_wire(insert_option(make_wire(sync, 1, 0), 0xff52, 0x8f, 10)),
                     RILL_GENEVE_OPTION);
}

/* Every option that a type needs is missed when it becomes one that is skipped. */
static void missing_options(void **state)
{
    (void)state;
    for (int t = 0; t < TYPES; t++) {
        uint32_t length = make_wire(&types[t], 1, 0), options = wire[42] * 4u;

        assert_int_equal(decode_wire(length), RILL_GENEVE_OK);
        for (uint32_t at = 50; at < 50 + options; at += 4 + wire[at + 3] * 4u) {
            /* More state is of no value without the state before it. */
            bool more_follows = wire[at + 2] == (0x80 | 12) && at + 132 < 50 + options;

            wire[at + 2] &= 0x7f;
            assert_int_equal(decode_wire(length),
                             more_follows ? RILL_GENEVE_VALUE : RILL_GENEVE_MISSING);
            wire[at + 2] |= 0x80;
        }
    }
}

/* One byte set to one value, after which the frame is refused for one reason. */
static void refuse_byte(const struct type_info *info, uint32_t at, uint8_t value,
                        enum rill_geneve_result reason)
{
    uint32_t length = make_wire(info, 8, info->data == '-' ? 0 : SOME_ENTRIES);

    assert_int_equal(decode_wire(length), RILL_GENEVE_OK);
    wire[at] = value;
    if (at < 34 && at != 24)
        set16(24, 0), set16(24, ~ones_sum(wire + 14, 20, 0) & 0xffff);
    assert_int_equal(decode_wire(length), reason);
}

static void each_reason(void **state)
{
    const struct type_info *data_type = &types[0], *move = &types[4], *full = &types[8];
    uint32_t length;

    (void)state;
    refuse_byte(data_type, 13, 0x06, RILL_GENEVE_NOT_OURS);     /* ARP */
    refuse_byte(data_type, 14, 0x65, RILL_GENEVE_NOT_OURS);     /* version */
    refuse_byte(data_type, 14, 0x44, RILL_GENEVE_NOT_OURS);     /* header length */
    refuse_byte(data_type, 16, 0xff, RILL_GENEVE_SHORT);        /* total length */
    refuse_byte(data_type, 20, 0x20, RILL_GENEVE_NOT_OURS);     /* more fragments */
    refuse_byte(data_type, 21, 0x01, RILL_GENEVE_NOT_OURS);     /* a later fragment */
    refuse_byte(data_type, 23, 6, RILL_GENEVE_NOT_OURS);        /* TCP */
    refuse_byte(data_type, 24, 0xff, RILL_GENEVE_CHECKSUM);     /* header checksum */
    refuse_byte(data_type, 37, 0xc2, RILL_GENEVE_NOT_OURS);     /* port */
    refuse_byte(data_type, 38, 0xff, RILL_GENEVE_VALUE);        /* UDP length */
    refuse_byte(data_type, 41, 0x01, RILL_GENEVE_CHECKSUM);     /* UDP checksum */
    refuse_byte(data_type, 42, 0x7f, RILL_GENEVE_VERSION);      /* Geneve version */
    refuse_byte(move, 42, 0x3f, RILL_GENEVE_SHORT);             /* options past the end */
    refuse_byte(data_type, 42, 0, RILL_GENEVE_MISSING);         /* no options */
    refuse_byte(data_type, 43, 0xc0, RILL_GENEVE_VALUE);        /* a control packet */
    refuse_byte(data_type, 44, 0x08, RILL_GENEVE_VALUE);        /* protocol */
    refuse_byte(data_type, 45, 0xb5, RILL_GENEVE_VALUE);        /* protocol */
    refuse_byte(data_type, 53, 0x1f, RILL_GENEVE_OPTION);       /* an option's width */
    refuse_byte(data_type, 54, 2, RILL_GENEVE_VERSION);         /* layout */
    refuse_byte(data_type, 55, 0, RILL_GENEVE_TYPE);            /* type */
    refuse_byte(data_type, 55, 200, RILL_GENEVE_TYPE);          /* type */
    refuse_byte(data_type, 55, 4, RILL_GENEVE_OPTION);          /* type with fewer options */
    refuse_byte(full, 56, RILL_FLAG_PACKET, RILL_GENEVE_VALUE); /* flags */
    refuse_byte(data_type, 57, 2, RILL_GENEVE_VALUE);           /* side */
    refuse_byte(&types[10], 129, 5, RILL_GENEVE_SHORT);         /* the last option is cut */
    /* a body where there is none */
    length = make_wire(move, 8, 0);
    repair(length + 4);
    assert_int_equal(decode_wire(length + 4), RILL_GENEVE_VALUE);
    /* a body above the most */
    length = make_wire(&types[7], 8, RILL_BODY_MAX);
    assert_int_equal(decode_wire(length), RILL_GENEVE_OK);
    repair(length + 1);
    assert_int_equal(decode_wire(length + 1), RILL_GENEVE_VALUE);
}

/* Lists that are longer than a frame's, and an inline state that is longer than its option. */
static void lists_that_are_too_long(void **state)
{
    static const struct {
        int type;
        uint8_t option, words;
    } cases[] = {{4, 10, 31}, {4, 10, 29}, {4, 10, 3}, {0, 11, 8}, {2, 12, 0}};

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(cases); i++) { /* each is the last option of its type */
        uint32_t at = 50, length;

        make_wire(&types[cases[i].type], 20, 0);
        while (wire[at + 2] != (0x80 | cases[i].option))
            at += 4 + wire[at + 3] * 4u;
        wire[at + 3] = cases[i].words;
        length = at + 4 + cases[i].words * 4u;
        wire[42] = (uint8_t)((length - 50) / 4);
        repair(length);
        assert_int_equal(decode_wire(length), RILL_GENEVE_OPTION);
    }
}

/* What a CHANGE with `was` bytes of state is when its length says `bytes`. */
static enum rill_geneve_result with_length(uint32_t was, uint32_t bytes)
{
    uint32_t first = RTE_MIN(was, 120u), first_now = RTE_MIN(bytes, 120u);

    if (bytes > RILL_INLINE_STATE || (first + 3) / 4 != (first_now + 3) / 4)
        return RILL_GENEVE_VALUE;
    if (was <= 120)
        return bytes <= 120 ? RILL_GENEVE_OK : RILL_GENEVE_MISSING;
    return bytes > 120 && (bytes - 117) / 4 == (was - 117) / 4 ? RILL_GENEVE_OK : RILL_GENEVE_VALUE;
}

/* The length of an inline state, and the options that have so many bytes. */
static void state_has_its_length(void **state)
{
    uint32_t seen_more = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint32_t length = make_wire(&types[2], seed, 0), was = wire[160];

        assert_int_equal(wire[156], 0x80 | 12); /* STATE, behind the others of CHANGE */
        seen_more += was > 120;
        for (uint32_t bytes = 0; bytes < 256; bytes++) {
            wire[160] = (uint8_t)bytes;
            assert_int_equal(decode_wire(length), with_length(was, bytes));
        }
    }
    assert_true(seen_more > 5 && seen_more < 100);
}

/* The flag and the option are there together or not at all, and the chain beside it is shorter. */
static void tuple_has_its_flag(void **state)
{
    unsigned with = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        const struct type_info *info = &types[seed % 2];
        uint32_t length = make_wire(info, seed, 0);
        bool has = wire[56] & RILL_FLAG_TUPLE;

        with += has;
        wire[56] ^= RILL_FLAG_TUPLE;
        if (has)
            assert_int_equal(decode_wire(length), RILL_GENEVE_VALUE);
        else if (wire[50 + 20 + 12 * 3 + 28 + 3] / 4 <= (wire[56] & RILL_FLAG_ENDPOINT
                                                             ? RILL_CHAIN_MAX_WITH_BOTH
                                                             : RILL_CHAIN_MAX_WITH_TUPLE))
            assert_int_equal(decode_wire(length), RILL_GENEVE_MISSING);
        else
            assert_int_not_equal(decode_wire(length), RILL_GENEVE_OK);
    }
    assert_in_range(with, 20, 80);
}

/* A chain of any number of words: only whole entries of four, and at most seven. */
static void chain_has_whole_entries(void **state)
{
    enum { MOVE = 4, CHAIN = 10 };

    (void)state;
    for (uint32_t words = 0; words < 32; words++) {
        uint32_t at = 50, length;
        bool whole = words % 4 == 0 && words / 4 <= RILL_CHAIN_MAX;

        make_wire(&types[MOVE], 20, 0);
        while (wire[at + 2] != (0x80 | CHAIN))
            at += 4 + wire[at + 3] * 4u;
        wire[at + 3] = (uint8_t)words;
        length = at + 4 + words * 4;
        wire[42] = (uint8_t)((length - 50) / 4);
        repair(length);
        assert_int_equal(decode_wire(length), whole ? RILL_GENEVE_OK : RILL_GENEVE_OPTION);
    }
}

/* Over IPv6 the checksum guards all: any byte that changes is noticed, and so is its absence. */
static void ip6_checksum_is_needed(void **state)
{
    struct rill_rng rng;
    struct rte_mbuf *m;
    uint32_t length;

    (void)state;
    rill_rng_seed(&rng, 9);
    m = encode(random_frame(&rng, &types[0], 101), &underlay6);
    length = m->pkt_len;
    rte_pktmbuf_free(m);
    for (uint32_t at = 22; at < length; at++) {
        wire[at] ^= 0x10;
        assert_int_not_equal(decode_wire(length), RILL_GENEVE_OK);
        wire[at] ^= 0x10;
    }
    assert_int_equal(decode_wire(length), RILL_GENEVE_OK);
    set16(60, 0);
    assert_int_equal(decode_wire(length), RILL_GENEVE_CHECKSUM);
}

/* Over IPv4 a sum may be there (an offload, another encoder), and then it counts. */
static void ip4_checksum_is_honoured(void **state)
{
    uint32_t length = make_wire(&types[0], 10, 101);

    (void)state;
    set16(40, ~ones_sum(wire + 34, length - 34, ones_sum(wire + 26, 8, 17 + length - 34)) & 0xffff);
    assert_int_equal(decode_wire(length), RILL_GENEVE_OK);
    wire[length - 1] ^= 1;
    assert_int_equal(decode_wire(length), RILL_GENEVE_CHECKSUM);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (int t = 0; t < TYPES; t++) {
        int body = types[t].data == '-' || types[t].data == '?' ? 0 : SOME_ENTRIES;
        uint32_t length = make_wire(&types[t], 11, body), options = wire[42] * 4u;

        for (uint32_t n = 0; n < length; n++)
            assert_int_equal(decode_wire(n), RILL_GENEVE_SHORT);
        /* and with lengths that say that this is all */
        for (uint32_t n = 42; n < 50 + options; n++) {
            repair(n);
            assert_int_not_equal(decode_wire(n), RILL_GENEVE_OK);
        }
    }
}

static void assert_sound(struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);

    assert_string_not_equal(rill_frame_type_name(f->type), "unknown");
    assert_true(f->chain_len <= RILL_CHAIN_MAX);
    assert_true(f->target_count <= RILL_TARGETS_MAX);
    assert_true(f->state_bytes <= RILL_INLINE_STATE);
    assert_true(!has_tuple(f) || f->chain_len <= RILL_CHAIN_MAX_WITH_TUPLE);
    assert_true(f->side <= 1);
    assert_true(f->vni < 1 << 24);
    if (f->flags & RILL_FLAG_PACKET)
        assert_true(f->wire_bytes >= m->pkt_len);
    else
        assert_true(m->pkt_len <= RILL_BODY_MAX);
    if (entry_bytes(f->type) != 0)
        assert_true((uint64_t)f->count * entry_bytes(f->type) == m->pkt_len);
    rte_mbuf_sanity_check(m, 1);
}

/* Bytes changed at random, most of them where the headers are, lengths repaired now and then so
 * that more gets past the first checks. */
static void corruptions_are_refused_or_in_range(void **state)
{
    uint32_t seen[RILL_GENEVE_RESULTS] = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 12);
    for (int round = 0; round < 300000; round++) {
        const struct type_info *info = &types[rill_rng_below(&rng, TYPES)];
        uint32_t length = make_wire(info, (uint64_t)round, info->data == 'b' ? SOME_ENTRIES : 0);
        uint32_t changes = 1 + rill_rng_below(&rng, 4);
        struct rte_mbuf *m;
        enum rill_geneve_result result;

        for (uint32_t i = 0; i < changes; i++) {
            uint32_t from = rill_rng_below(&rng, 4) == 0 ? 0 : 42;

            wire[from + rill_rng_below(&rng, length - from)] = (uint8_t)rill_rng_u64(&rng);
        }
        if (rill_rng_below(&rng, 8) != 0)
            repair(length);
        m = as_received(wire, length, SEGMENT_ROOM);
        result = rill_geneve_decode(m);
        assert_true(result < RILL_GENEVE_RESULTS);
        seen[result]++;
        if (result == RILL_GENEVE_OK)
            assert_sound(m);
        rte_pktmbuf_free(m);
    }
    for (int i = 0; i < RILL_GENEVE_RESULTS; i++)
        assert_true(seen[i] > 100); /* the corruptions reach every check */
}

/* --- the short way in ----------------------------------------------------------------------------
 */

static const uint8_t short_types[] = {RILL_FRAME_INGRESS, RILL_FRAME_DATA, RILL_FRAME_CHANGE,
                                      RILL_FRAME_RELEASED};

struct both_ways {
    uint64_t shorter, general, refused;
};

/* Where the short way takes a frame, the general one makes the same of it; where it does not, it
 * touches nothing. */
static bool decode_both_ways(uint32_t length, struct both_ways *counts)
{
    struct rte_mbuf *m = as_received(wire, length, SEGMENT_ROOM);
    struct rte_mbuf *other = as_received(wire, length, SEGMENT_ROOM);
    enum rill_geneve_result result = rill_geneve_decode_any(other);
    bool shorter = rill_geneve_decode_short(m);

    if (shorter) {
        assert_int_equal(result, RILL_GENEVE_OK);
        assert_null(rill_frame(m)->link);
        assert_same_metadata(rill_frame(m), rill_frame(other));
        assert_int_equal(m->data_off, other->data_off);
        assert_int_equal(m->data_len, other->data_len);
        assert_int_equal(m->pkt_len, other->pkt_len);
    } else {
        const uint8_t *meta = (const uint8_t *)rill_frame(m);

        assert_int_equal(m->data_off, RTE_PKTMBUF_HEADROOM);
        assert_int_equal(m->pkt_len, length);
        for (size_t i = 0; i < sizeof(struct rill_frame); i++)
            assert_int_equal(meta[i], 0xee);
    }
    assert_memory_equal(rte_pktmbuf_mtod(m, void *), wire + length - m->pkt_len, m->data_len);
    rte_pktmbuf_free(m);
    rte_pktmbuf_free(other);
    counts->shorter += shorter;
    counts->general += !shorter && result == RILL_GENEVE_OK;
    counts->refused += result != RILL_GENEVE_OK;
    return shorter;
}

static const struct type_info *info_of(uint8_t type)
{
    int t = 0;

    while (types[t].type != type)
        t++;
    return &types[t];
}

/* A random frame in `wire`, of a type that the short way knows, in one segment; its length. */
static uint32_t make_short_wire(struct rill_rng *rng, uint8_t type, const struct rill_underlay *u)
{
    uint32_t length;

    do {
        struct rte_mbuf *m = random_frame(rng, info_of(type), -1);

        m = encode(m, u);
        length = m->pkt_len;
        rte_pktmbuf_free(m);
    } while (length > SEGMENT_ROOM);
    return length;
}

/* What each packet is in a cluster goes the short way, and only that. */
static void packets_go_the_short_way(void **state)
{
    struct both_ways counts = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 17);
    for (int round = 0; round < 20000; round++) {
        const struct rill_underlay *u = round % 16 == 0 ? &underlay6 : &underlay4;
        uint32_t length = make_short_wire(&rng, short_types[round / 16 % 4], u);
        const uint8_t *frame = wire + (u == &underlay6 ? 70 : 50);
        bool flagged =
            frame[5] == RILL_FRAME_DATA && (frame[6] & (RILL_FLAG_TUPLE | RILL_FLAG_ENDPOINT)) != 0;
        bool packet = (frame[6] & RILL_FLAG_PACKET) && length > 50 + (wire[42] & 0x3fu) * 4;
        bool long_state = frame[5] == RILL_FRAME_CHANGE && wire[160] > 120;

        assert_int_equal(decode_both_ways(length, &counts),
                         u == &underlay4 && packet && !flagged && !long_state);
    }
    assert_true(counts.shorter > 8000 && counts.general > 4000 && counts.refused == 0);
}

/* Every byte of the headers, with every value. */
static void any_byte_gives_the_same_both_ways(void **state)
{
    struct both_ways counts = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 18);
    for (unsigned t = 0; t < sizeof(short_types); t++) {
        uint32_t length, headers;

        do
            length = make_short_wire(&rng, short_types[t], &underlay4);
        while (!decode_both_ways(length, &counts));
        headers = 50 + wire[42] * 4u;
        for (uint32_t at = 12; at < headers; at++) {
            uint8_t was = wire[at], sum[2] = {wire[24], wire[25]};

            for (unsigned value = 0; value < 512; value++) { /* with the sum as it was, and right */
                wire[at] = (uint8_t)value;
                if (value >= 256 && at < 34) {
                    set16(24, 0);
                    set16(24, ~ones_sum(wire + 14, 20, 0) & 0xffff);
                }
                decode_both_ways(length, &counts);
                wire[at] = was;
                memcpy(wire + 24, sum, sizeof(sum));
            }
        }
    }
    assert_true(counts.shorter > 10000 && counts.general > 1000 && counts.refused > 10000);
}

/* Gives one of the options a word more. */
static uint32_t grow_option(struct rill_rng *rng, uint32_t length)
{
    uint32_t end = 50 + (wire[42] & 0x3fu) * 4, at = 50, next = at + 4 + (wire[at + 3] & 0x1fu) * 4;

    while (next + 4 <= end && rill_rng_below(rng, 8) != 0) {
        at = next;
        next += 4 + (wire[at + 3] & 0x1fu) * 4;
    }
    if (next > end || end + 4 > 50 + 63 * 4)
        return length;
    memmove(wire + next + 4, wire + next, length - next);
    wire[at + 3]++;
    wire[42]++;
    return length + 4;
}

/* Puts the first option behind the last, or one of another's in front, or takes the last away, or
 * makes one longer. */
static uint32_t move_options(struct rill_rng *rng, uint32_t length)
{
    uint32_t end = 50 + (wire[42] & 0x3fu) * 4, first = 4 + (wire[53] & 0x1fu) * 4;
    uint8_t option[128];

    switch (rill_rng_below(rng, 4)) {
    case 0:
        if (50 + first > end)
            return length;
        memcpy(option, wire + 50, first);
        memmove(wire + 50, wire + 50 + first, end - 50 - first);
        memcpy(wire + end - first, option, first);
        return length;
    case 1:
        if (end + 8 > 50 + 63 * 4)
            return length;
        return insert_option(length, (uint16_t)(0xff52 + rill_rng_below(rng, 2)),
                             (uint8_t)rill_rng_u64(rng), 1);
    case 2:
        return grow_option(rng, length);
    default:
        wire[42] = (uint8_t)(wire[42] - 1 - rill_rng_below(rng, 8));
        return length;
    }
}

static void any_change_gives_the_same_both_ways(void **state)
{
    struct both_ways counts = {0};
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 19);
    for (int round = 0; round < 60000; round++) {
        uint32_t length = make_short_wire(&rng, short_types[round % 4], &underlay4);
        uint32_t changes = rill_rng_below(&rng, 4);

        for (uint32_t i = 0; i < changes; i++)
            wire[12 + rill_rng_below(&rng, RTE_MIN(length, 250u) - 12)] =
                (uint8_t)(rill_rng_below(&rng, 2) ? rill_rng_u64(&rng) : rill_rng_below(&rng, 40));
        if (rill_rng_below(&rng, 4) == 0)
            length = move_options(&rng, length);
        if (rill_rng_below(&rng, 4) == 0)
            length -= rill_rng_below(&rng, length - 60);
        if (rill_rng_below(&rng, 8) != 0)
            repair(length);
        if (rill_rng_below(&rng, 8) == 0)
            length += rill_rng_below(&rng, 20); /* padding */
        decode_both_ways(length, &counts);
    }
    assert_true(counts.shorter > 5000 && counts.general > 5000 && counts.refused > 5000);
}

/* Segments, and data that is not there, are for the general way. */
static void short_way_is_for_one_segment(void **state)
{
    struct both_ways counts = {0};
    struct rte_mbuf *m;
    struct rill_rng rng;
    uint32_t length;

    (void)state;
    rill_rng_seed(&rng, 20);
    do
        length = make_short_wire(&rng, RILL_FRAME_DATA, &underlay4);
    while (!decode_both_ways(length, &counts));
    m = as_received(wire, length, length - 1);
    assert_false(rill_geneve_decode_short(m));
    assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
    rte_pktmbuf_free(m);
    m = as_received(wire, length + 1, length); /* a byte of padding */
    assert_false(rill_geneve_decode_short(m));
    assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
    assert_int_equal(m->nb_segs, 1);
    rte_pktmbuf_free(m);
    for (uint32_t n = 0; n < length; n++) {
        m = as_received(wire, n, SEGMENT_ROOM);
        assert_false(rill_geneve_decode_short(m));
        rte_pktmbuf_free(m);
    }
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* The length of an option has five bits: 32 words are none. */
static void state_of_32_words_is_refused_both_ways(void **state)
{
    struct both_ways counts = {0};
    struct rill_rng rng;
    uint32_t length;

    (void)state;
    rill_rng_seed(&rng, 21);
    do
        length = make_short_wire(&rng, RILL_FRAME_CHANGE, &underlay4);
    while (wire[157] != 31 || wire[160] > 120 || !decode_both_ways(length, &counts));
    memmove(wire + 162 + 124, wire + 162 + 120, length - (162 + 120));
    wire[157] = 32;
    wire[160] = 124;
    wire[42]++;
    repair(length + 4);
    assert_false(decode_both_ways(length + 4, &counts));
    assert_int_equal(counts.refused, 1);
}

/* --- smaller promises ----------------------------------------------------------------------------
 */

/* One flow, one source port; many flows, many ports. */
static void source_port_is_the_flows(void **state)
{
    struct rill_rng rng;
    uint8_t used[0x4000] = {0};
    unsigned different = 0;

    (void)state;
    rill_rng_seed(&rng, 13);
    for (uint64_t flow = 1; flow <= 1000; flow++) {
        uint16_t port[2];

        for (int i = 0; i < 2; i++) {
            struct rte_mbuf *m = random_frame(&rng, &types[i], 50);

            rill_frame(m)->flow = flow;
            rill_frame(m)->vni = 7;
            m = encode(m, &underlay4);
            port[i] = (uint16_t)number(wire + 34, 2);
            rte_pktmbuf_free(m);
        }
        assert_int_equal(port[0], port[1]);
        different += !used[port[0] - 0xc000];
        used[port[0] - 0xc000] = 1;
    }
    assert_true(different > 900);
}

/* Fields that a type does not use are not carried, however dirty they are. */
static void unused_fields_are_not_carried(void **state)
{
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 14);
    for (int t = 0; t < TYPES; t++) {
        struct rte_mbuf *m = random_frame(&rng, &types[t], 0);
        struct rill_frame clean = *rill_frame(m);
        struct rill_frame *f = rill_frame(m);

        for (const char *option = "2345678abcdf"; *option != 0; option++) {
            if (strchr(types[t].options, *option) == NULL && !(*option == 'd' && has_endpoint(f)))
                set_fields(&rng, f, *option);
        }
        m = encode(m, &underlay4);
        assert_int_equal(rill_geneve_decode(m), RILL_GENEVE_OK);
        assert_same_metadata(rill_frame(m), &clean);
        rte_pktmbuf_free(m);
    }
}

/* A packet that someone else holds too is not written in front of. */
static void shared_buffers_are_left_alone(void **state)
{
    struct rill_rng rng;
    struct rte_mbuf *m, *mine;

    (void)state;
    rill_rng_seed(&rng, 15);
    do {
        m = mine = random_frame(&rng, &types[3], 100);
        if (rte_pktmbuf_headroom(m) < 300)
            rte_pktmbuf_free(m);
    } while (rte_pktmbuf_headroom(m) < 300);
    rte_mbuf_refcnt_update(m, 1);
    m = encode(m, &underlay4);
    assert_ptr_not_equal(m, mine);
    assert_int_equal(mine->data_len, 100);
    rte_pktmbuf_free(m);
    assert_memory_equal(rte_pktmbuf_mtod(mine, void *), data, 100);
    rte_pktmbuf_free(mine);
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* A type that has a name has a line in the table above, and so in the document. */
static void every_type_is_tested(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool tested = false;

        for (int t = 0; t < TYPES; t++)
            tested |= types[t].type == type;
        assert_int_equal(tested, strcmp(rill_frame_type_name((uint8_t)type), "unknown") != 0);
    }
}

static void every_result_has_its_own_name(void **state)
{
    (void)state;
    for (int a = 0; a < RILL_GENEVE_RESULTS; a++) {
        assert_string_not_equal(rill_geneve_result_name(a), "unknown");
        for (int b = 0; b < a; b++)
            assert_string_not_equal(rill_geneve_result_name(a), rill_geneve_result_name(b));
    }
    assert_string_equal(rill_geneve_result_name(RILL_GENEVE_RESULTS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(any_segments_and_padding),
        cmocka_unit_test(largest_packet),
        cmocka_unit_test(largest_body),
        cmocka_unit_test(longest_options),
        cmocka_unit_test(encode_refuses_what_no_frame_may_be),
        cmocka_unit_test(encode_refuses_data_that_does_not_fit),
        cmocka_unit_test(encode_without_buffers),
        cmocka_unit_test(options_that_are_not_ours),
        cmocka_unit_test(missing_options),
        cmocka_unit_test(each_reason),
        cmocka_unit_test(lists_that_are_too_long),
        cmocka_unit_test(state_has_its_length),
        cmocka_unit_test(tuple_has_its_flag),
        cmocka_unit_test(chain_has_whole_entries),
        cmocka_unit_test(ip6_checksum_is_needed),
        cmocka_unit_test(ip4_checksum_is_honoured),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(corruptions_are_refused_or_in_range),
        cmocka_unit_test(packets_go_the_short_way),
        cmocka_unit_test(any_byte_gives_the_same_both_ways),
        cmocka_unit_test(any_change_gives_the_same_both_ways),
        cmocka_unit_test(short_way_is_for_one_segment),
        cmocka_unit_test(state_of_32_words_is_refused_both_ways),
        cmocka_unit_test(source_port_is_the_flows),
        cmocka_unit_test(unused_fields_are_not_carried),
        cmocka_unit_test(shared_buffers_are_left_alone),
        cmocka_unit_test(every_type_is_tested),
        cmocka_unit_test(every_result_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
