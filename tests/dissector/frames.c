/* Writes a capture of frames by the codec, and beside it what a reader must find in it:
 *
 *     dissector_frames frames CAPTURE EXPECTED         every type a few times
 *     dissector_frames corrupt CAPTURE EXPECTED SEED   frames that were damaged on the way
 *
 * EXPECTED has a line "number of the frame, field, value" for each value of each field, under the
 * names of docs/rill.lua; of damaged frames only "refused" with the codec's reason.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/frame/body.h"
#include "lib/frame/geneve.h"
#include "lib/frame/inventory.h"
#include "traces/capture.h"

enum {
    ROUNDS = 6, /* of each type */
    CORRUPTED = 2000,
    WIRE_MAX = 2000,
    INNER_BYTES = 60,
    GENEVE_OFFSET = 42, /* over IPv4 */
    OPTIONS_OFFSET = GENEVE_OFFSET + 8,
};

static struct rte_mempool *pool;
static struct rill_capture_writer *writer;
static FILE *expected;
static uint32_t number; /* of the frame at hand, from 1 */
static bool quiet;      /* its fields are not expected: it will be damaged */
static struct rill_rng rng;
static struct rill_error err;

static const struct rill_underlay underlay4 = {
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .src = {.family = 4, .addr = {192, 0, 2, 1}},
    .dst = {.family = 4, .addr = {198, 51, 100, 2}},
};
static const struct rill_underlay underlay6 = {
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .src = {.family = 6, .addr = {0x20, 1, 0xd, 0xb8, [15] = 1}},
    .dst = {.family = 6, .addr = {0x20, 1, 0xd, 0xb8, [15] = 2}},
};

/* Options behind FRAME as docs/wire-format.md has them, by number in hexadecimal (f and h only with
 * their flags; 16 goes with 12 where there is need). Body: a: alias, d: deaths, i: indexes, l:
 * leases, m: members, p: packet, ?: packet or nothing, r: replicas, s: state, t: items. */
static const struct type_info {
    uint8_t type;
    const char *name, *options;
    char data;
} types[] = {
    {1, "data", "2349abfh", 'p'},
    {2, "forwarded", "2349afh", 'p'},
    {3, "change", "23459c", '?'},
    {4, "pass", "9", 'p'},
    {5, "ingress", "9", 'p'},
    {6, "released", "29", 'p'},
    {7, "turned", "49", 'p'},
    {8, "move", "2367a", 0},
    {9, "pull", "2367a", 0},
    {10, "final", "2345678ae", 's'},
    {11, "replica", "", 'r'},
    {16, "full", "23458e", 's'},
    {17, "no_full", "2", 0},
    {18, "sync", "23458e", 0},
    {19, "request_full", "2", 0},
    {20, "sync_ack", "23458", 0},
    {24, "established", "237", 0},
    {25, "established_ack", "237", 0},
    {26, "alias", "237", 'a'},
    {27, "alias_ack", "237", 'a'},
    {28, "need", "237", 0},
    {29, "forget", "237", 0},
    {30, "where", "23", 0},
    {31, "chain", "23a", 0},
    {32, "pool_request", "4de", 0},
    {33, "pool_grant", "34de", 'i'},
    {40, "lease_request", "4e", 0},
    {41, "lease_grant", "4e", 'l'},
    {42, "share", "47e", 0},
    {43, "share_ack", "47e", 0},
    {12, "take", "23a", 0},
    {21, "logger_pull", "2345678", 0},
    {22, "logger_state", "2345678e", 's'},
    {34, "fence", "7", 0},
    {35, "fence_ack", "7", 0},
    {36, "dead", "7e", 0},
    {44, "death", "7e", 0},
    {45, "death_ack", "7e", 0},
    {46, "recovered", "7", 0},
    {47, "recovered_ack", "7", 0},
    {48, "new_logger", "47", 0},
    {49, "new_logger_ack", "4e", 0},
    {37, "inventory", "34e", 'd'},
    {38, "inventory_part", "346e", 't'},
    {50, "members_request", "4", 0},
    {51, "members", "4e", 'm'},
    {56, "store_put", "23458", 's'},
    {57, "store_ack", "23458", 0},
    {58, "store_get", "2e", 0},
    {59, "store_value", "23458e", 's'},
};

static void die(const char *what)
{
    fprintf(stderr, "dissector_frames: %s: %s\n", what, err.text);
    exit(2);
}

/* --- what is expected --------------------------------------------------------------------------
 */

__attribute__((format(printf, 2, 3))) static void expect(const char *field, const char *format, ...)
{
    va_list args;

    if (quiet)
        return;
    fprintf(expected, "%u\t%s\t", number, field);
    va_start(args, format);
    vfprintf(expected, format, args);
    va_end(args);
    fputc('\n', expected);
}

static void expect_number(const char *field, uint64_t value)
{
    expect(field, "%" PRIu64, value);
}

/* A flow number, term or clock. */
static void expect_sequence(const char *field, uint64_t value)
{
    char part[64];
    uint64_t epoch = value >> 48, sequence = value & 0xffffffffffff;

    expect(field, "%" PRIu64 ".%" PRIu64, epoch, sequence);
    snprintf(part, sizeof(part), "%s.epoch", field);
    expect_number(part, epoch);
    snprintf(part, sizeof(part), "%s.sequence", field);
    expect_number(part, sequence);
}

static void expect_role(const char *field, uint32_t id)
{
    static const char *const kinds[] = {"none",  "rm",   "controller", "unit", "output_logger",
                                        "agent", "port", "client",     "store"};

    expect(field, "%s:%u", kinds[rill_role_kind(id)], rill_role_number(id));
}

static void expect_bytes(const char *field, const uint8_t *bytes, uint32_t count)
{
    char text[2 * WIRE_MAX + 1];

    for (uint32_t i = 0; i < count; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", bytes[i]);
    if (count > 0)
        expect(field, "%s", text);
}

static void expect_flags(const struct rill_frame *f)
{
    static const char *const names[] = {"packet",    "full",   "alias_known", "refused",
                                        "elsewhere", "by_gap", "by_size",     "moved"};

    expect("rill.flags", "0x%02x", f->flags);
    for (int bit = 0; bit < 8; bit++) {
        char field[64];
        bool is_state =
            bit == 2 && (f->type == RILL_FRAME_FINAL || f->type == RILL_FRAME_LOGGER_STATE ||
                         f->type == RILL_FRAME_STORE_VALUE);
        bool is_tuple =
            bit == 1 && (f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED ||
                         f->type == RILL_FRAME_ESTABLISHED);

        bool is_endpoint =
            bit == 3 && (f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED);
        bool is_forgotten = bit == 4 && f->type == RILL_FRAME_WHERE;
        bool is_ended = bit == 5 && f->type == RILL_FRAME_WHERE;
        bool is_turn = bit == 5 && f->type == RILL_FRAME_CHANGE;

        snprintf(field, sizeof(field), "rill.flags.%s",
                 is_state       ? "state"
                 : is_tuple     ? "tuple"
                 : is_endpoint  ? "endpoint"
                 : is_forgotten ? "forgotten"
                 : is_ended     ? "ended"
                 : is_turn      ? "turn"
                                : names[bit]);
        expect_number(field, f->flags >> bit & 1);
    }
}

/* --- random values, each expected as it is drawn ------------------------------------------------
 */

static uint64_t draw(const char *field)
{
    uint64_t value = rill_rng_u64(&rng);

    expect_number(field, value);
    return value;
}

static uint64_t draw_sequence(const char *field)
{
    /* Small numbers too, and such that no double holds. */
    uint64_t value = rill_rng_u64(&rng) >> (rill_rng_below(&rng, 4) == 0 ? 50 : 0);

    expect_sequence(field, value);
    return value;
}

static uint64_t draw_window(const char *field)
{
    uint64_t value = rill_rng_u64(&rng);

    expect(field, "0x%016" PRIx64, value);
    return value;
}

static uint32_t draw_role(const char *field)
{
    enum rill_role_kind kind = (enum rill_role_kind)rill_rng_below(&rng, RILL_ROLE_STORE + 1);
    uint32_t id = rill_role_id(kind, (uint32_t)rill_rng_u64(&rng));

    expect_role(field, id);
    return id;
}

static void draw_bytes(uint8_t *to, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = (uint8_t)rill_rng_u64(&rng);
}

static void draw_ingress(struct rill_frame *f)
{
    f->ingress_ns = draw("rill.ingress.ns");
    f->ingress_id = draw("rill.ingress.id");
    f->wire_bytes = INNER_BYTES + rill_rng_below(&rng, 1000);
    f->first_sport = (uint16_t)rill_rng_u64(&rng);
    f->first_dport = (uint16_t)rill_rng_u64(&rng);
    expect_number("rill.ingress.wire_bytes", f->wire_bytes);
    expect_number("rill.ingress.first_sport", f->first_sport);
    expect_number("rill.ingress.first_dport", f->first_dport);
}

static bool has_endpoint(const struct rill_frame *f)
{
    return (f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED) &&
           (f->flags & RILL_FLAG_ENDPOINT);
}

static void draw_chain(struct rill_frame *f)
{
    bool with_tuple = (f->type == RILL_FRAME_DATA || f->type == RILL_FRAME_FORWARDED) &&
                      rill_frame_tuple(f) != NULL;
    uint32_t most = !with_tuple       ? RILL_CHAIN_MAX
                    : has_endpoint(f) ? RILL_CHAIN_MAX_WITH_BOTH
                                      : RILL_CHAIN_MAX_WITH_TUPLE;

    f->chain_len = (uint8_t)rill_rng_below(&rng, most + 1);
    for (int i = 0; i < f->chain_len; i++) {
        f->chain[i].term = draw_sequence("rill.chain.term");
        f->chain[i].unit = draw_role("rill.chain.unit");
        f->chain[i].output_logger = draw_role("rill.chain.output_logger");
    }
}

static void draw_targets(struct rill_frame *f)
{
    f->target_count = (uint8_t)rill_rng_below(&rng, RILL_TARGETS_MAX + 1);
    for (int i = 0; i < f->target_count; i++)
        f->targets[i] = draw_role("rill.target");
}

static void draw_inline_state(struct rill_frame *f)
{
    f->state_offset = (uint16_t)rill_rng_u64(&rng);
    f->state_bytes = (uint8_t)rill_rng_below(&rng, RILL_INLINE_STATE + 1);
    draw_bytes(f->state, f->state_bytes);
    expect_number("rill.state.offset", f->state_offset);
    expect_number("rill.state.bytes", f->state_bytes);
    expect_bytes("rill.state.data", f->state, RTE_MIN(f->state_bytes, 120u));
    if (f->state_bytes > 120)
        expect_bytes("rill.state.data", f->state + 120, f->state_bytes - 120u);
}

static uint8_t draw_family(void)
{
    return rill_rng_below(&rng, 2) == 0 ? 4 : 6;
}

/* An address that has one way to be written, and that. */
static void draw_address(uint8_t family, uint8_t *addr, char *text)
{
    draw_bytes(addr, family == 4 ? 4 : 16);
    addr[0] = family == 4 ? 10 : 0x20;
    addr[1] |= 1; /* no run of zeros */
    for (int i = 2; i < 16 && family == 6; i++)
        addr[i] |= 0x10;
    if (family == 4)
        snprintf(text, 40, "%u.%u.%u.%u", addr[0], addr[1], addr[2], addr[3]);
    else
        snprintf(text, 40, "%x:%x:%x:%x:%x:%x:%x:%x", addr[0] << 8 | addr[1],
                 addr[2] << 8 | addr[3], addr[4] << 8 | addr[5], addr[6] << 8 | addr[7],
                 addr[8] << 8 | addr[9], addr[10] << 8 | addr[11], addr[12] << 8 | addr[13],
                 addr[14] << 8 | addr[15]);
}

static void draw_tuple_side(const char *which, uint8_t family, uint8_t *addr, uint16_t *port,
                            char *text)
{
    char field[64], address[40];

    draw_address(family, addr, address);
    *port = (uint16_t)rill_rng_u64(&rng);
    snprintf(field, sizeof(field), "rill.tuple.%s.%s", which, family == 4 ? "ip" : "ip6");
    expect(field, "%s", address);
    snprintf(field, sizeof(field), "rill.tuple.%s.port", which);
    expect_number(field, *port);
    snprintf(text, 64, family == 4 ? "%s:%u" : "[%s]:%u", address, *port);
}

static struct rill_flow_tuple draw_tuple(void)
{
    struct rill_flow_tuple tuple = {.proto = 17};
    char a[64], b[64];

    if (rill_rng_below(&rng, 4) == 0) {
        expect("rill.tuple", "none");
        return (struct rill_flow_tuple){0};
    }
    tuple.family = draw_family();
    draw_tuple_side("a", tuple.family, tuple.addr_a, &tuple.port_a, a);
    draw_tuple_side("b", tuple.family, tuple.addr_b, &tuple.port_b, b);
    expect_number("rill.tuple.proto", tuple.proto);
    expect("rill.tuple", "%s %s %u", a, b, tuple.proto);
    return tuple;
}

static void draw_option(struct rill_frame *f, char option)
{
    switch (option) {
    case '2':
        f->flow = draw_sequence("rill.flow");
        break;
    case '3':
        f->term = draw_sequence("rill.term");
        break;
    case '4':
        f->clock = draw_sequence("rill.clock");
        break;
    case '5':
        f->step = draw("rill.step");
        f->window = draw_window("rill.window");
        break;
    case '6':
        f->next_term = draw_sequence("rill.next_term");
        break;
    case '7':
        f->next_unit = draw_role("rill.next_unit");
        break;
    case '8':
        f->granted_term = draw_sequence("rill.granted_term");
        break;
    case '9':
        draw_ingress(f);
        break;
    case 'a':
        draw_chain(f);
        break;
    case 'b':
        draw_targets(f);
        break;
    case 'c':
        draw_inline_state(f);
        break;
    case 'd':
        f->pool = (uint16_t)rill_rng_u64(&rng);
        expect_number("rill.pool", f->pool);
        break;
    case 'f':
        if (rill_frame_tuple(f) != NULL)
            f->tuple = draw_tuple();
        break;
    case 'h':
        if (!has_endpoint(f))
            break;
        f->pool = (uint16_t)rill_rng_u64(&rng);
        f->count = (uint32_t)rill_rng_u64(&rng);
        expect_number("rill.pool", f->pool);
        expect_number("rill.endpoint", f->count);
        break;
    }
}

/* --- bodies --------------------------------------------------------------------------------------
 */

static void append(struct rte_mbuf *m, const void *bytes, uint32_t count)
{
    if (rill_body_append(m, pool, bytes, count) != 0)
        die("a body does not fit");
}

/* Writes the address as text; the endpoint's fields are rill.alias.WHICH.*. */
static struct rill_endpoint draw_endpoint(const char *which, uint8_t family, char *text)
{
    struct rill_endpoint e = {.family = family, .port = (uint16_t)rill_rng_u64(&rng), .proto = 17};
    char field[64], address[40];

    draw_address(family, e.addr, address);
    snprintf(field, sizeof(field), "rill.alias.%s.%s", which, family == 4 ? "ip" : "ip6");
    expect(field, "%s", address);
    snprintf(field, sizeof(field), "rill.alias.%s.port", which);
    expect_number(field, e.port);
    snprintf(field, sizeof(field), "rill.alias.%s.proto", which);
    expect_number(field, e.proto);
    snprintf(text, 64, family == 4 ? "%s:%u/%u" : "[%s]:%u/%u", address, e.port, e.proto);
    return e;
}

static struct rill_alias draw_alias(void)
{
    struct rill_alias alias = {0};
    uint8_t family = draw_family();
    char local[64], remote[64] = "any";

    if (rill_rng_below(&rng, 4) == 0) {
        expect("rill.alias", "none");
    } else {
        alias.local = draw_endpoint("local", family, local);
        if (rill_rng_below(&rng, 2) == 0)
            alias.remote = draw_endpoint("remote", family, remote);
        expect("rill.alias", "%s from %s", local, remote);
    }
    alias.lease = draw_sequence("rill.alias.lease");
    return alias;
}

static void append_alias(struct rte_mbuf *m)
{
    struct rill_alias alias = draw_alias();

    append(m, &alias, sizeof(alias));
}

static struct rill_state_head draw_head(void)
{
    struct rill_state_head head = {.alias = draw_alias()};

    head.tuple = draw_tuple();
    return head;
}

/* `bytes` with the head. */
static void append_state(struct rte_mbuf *m, uint32_t bytes)
{
    struct rill_state_head head = draw_head();
    uint8_t tables[256];

    append(m, &head, sizeof(head));
    draw_bytes(tables, bytes - (uint32_t)sizeof(struct rill_state_head));
    expect_bytes("rill.state.data", tables, bytes - (uint32_t)sizeof(struct rill_state_head));
    append(m, tables, bytes - (uint32_t)sizeof(struct rill_state_head));
}

static void append_replicas(struct rte_mbuf *m)
{
    uint32_t state_bytes = (uint32_t)sizeof(struct rill_state_head) + 8 * rill_rng_below(&rng, 4);

    for (uint32_t left = rill_rng_below(&rng, 4); left > 0; left--) {
        struct rill_replica_entry entry = {.state_bytes = state_bytes};

        entry.flow = draw_sequence("rill.replica.flow");
        entry.term = draw_sequence("rill.replica.term");
        entry.step = draw("rill.replica.step");
        entry.clock = draw_sequence("rill.replica.clock");
        entry.window = draw_window("rill.replica.window");
        expect_number("rill.replica.state_bytes", state_bytes);
        append(m, &entry, sizeof(entry));
        append_state(m, state_bytes);
    }
}

static void append_leases(struct rte_mbuf *m, uint32_t count)
{
    while (count-- > 0) {
        struct rill_lease lease = {.share = 1 + rill_rng_below(&rng, 1000)};

        lease.unit = draw_role("rill.lease.unit");
        lease.output_logger = draw_role("rill.lease.output_logger");
        expect_number("rill.lease.share", lease.share);
        lease.capacity_bps = draw("rill.lease.capacity_bps");
        append(m, &lease, sizeof(lease));
    }
}

static void append_indexes(struct rte_mbuf *m, uint32_t count)
{
    while (count-- > 0) {
        uint32_t index = (uint32_t)rill_rng_u64(&rng);

        expect_number("rill.grant.index", index);
        append(m, &index, sizeof(index));
    }
}

static void append_deaths(struct rte_mbuf *m, uint32_t count)
{
    while (count-- > 0) {
        struct rill_death death;

        death.unit = draw_role("rill.death.unit");
        death.output_logger = draw_role("rill.death.output_logger");
        append(m, &death, sizeof(death));
    }
}

static void append_members(struct rte_mbuf *m, uint32_t count)
{
    while (count-- > 0) {
        struct rill_member member = {.dead = rill_rng_below(&rng, 2)};

        member.unit = draw_role("rill.member.unit");
        member.output_logger = draw_role("rill.member.output_logger");
        expect_number("rill.member.dead", member.dead);
        append(m, &member, sizeof(member));
    }
}

static void draw_endpoint_item(struct rill_inventory_item *item)
{
    item->endpoint = (struct rill_inventory_endpoint){.kind = RILL_INVENTORY_ENDPOINT,
                                                      .pool = (uint16_t)rill_rng_u64(&rng),
                                                      .index = (uint32_t)rill_rng_u64(&rng)};
    expect_number("rill.item.pool", item->endpoint.pool);
    expect_number("rill.item.index", item->endpoint.index);
    item->endpoint.lease = draw_sequence("rill.item.lease");
}

static void draw_flow_item(struct rill_inventory_item *item)
{
    uint32_t claims = rill_rng_below(&rng, 4);

    item->flow = (struct rill_inventory_flow){.kind = RILL_INVENTORY_FLOW,
                                              .flags = (uint8_t)rill_rng_below(&rng, 4)};
    item->flow.flow = draw_sequence("rill.item.flow");
    item->flow.term = draw_sequence("rill.item.term");
    item->flow.step = draw("rill.item.step");
    item->flow.idle_ns = draw("rill.item.idle_ns");
    expect_number("rill.item.head", item->flow.flags & RILL_INVENTORY_HEAD ? 1 : 0);
    expect_number("rill.item.confirmed", item->flow.flags & RILL_INVENTORY_CONFIRMED ? 1 : 0);
    if (item->flow.flags & RILL_INVENTORY_HEAD)
        item->head = draw_head();
    for (uint32_t i = 0; i < claims; i++) {
        bool established = rill_rng_below(&rng, 2);
        uint64_t term = draw_sequence("rill.claim.term");

        rill_inventory_claim(item, term, draw_role("rill.claim.unit"), established);
        expect_number("rill.claim.established", established);
    }
}

static void append_items(struct rte_mbuf *m)
{
    for (uint32_t left = rill_rng_below(&rng, 4); left > 0; left--) {
        struct rill_inventory_item item = {
            .kind = rill_rng_below(&rng, 2) ? RILL_INVENTORY_FLOW : RILL_INVENTORY_ENDPOINT};

        if (item.kind == RILL_INVENTORY_FLOW)
            draw_flow_item(&item);
        else
            draw_endpoint_item(&item);
        if (rill_inventory_put(m, pool, &item) != 0)
            die("a body does not fit");
    }
}

/* Ethernet, IPv4, UDP from port 40000 to 40001. */
static void append_packet(struct rte_mbuf *m)
{
    static const uint8_t packet[INNER_BYTES] = {
        2,    0,    0,    0,    0, 0x0b, 2, 0, 0,  0,  0, 0x0a, 8,  0, /* Ethernet */
        0x45, 0,    0,    46,   0, 1,    0, 0, 64, 17, 0, 0,    10, 0, 0, 1, 10, 0, 0, 2, /* IPv4 */
        0x9c, 0x40, 0x9c, 0x41, 0, 26,   0, 0,                                            /* UDP */
    };

    append(m, packet, sizeof(packet));
}

static void append_data(struct rte_mbuf *m, const struct type_info *info)
{
    struct rill_frame *f = rill_frame(m);

    switch (info->data) {
    case 'a':
        append_alias(m);
        break;
    case 'd':
        append_deaths(m, f->count);
        break;
    case 'i':
        append_indexes(m, f->count);
        break;
    case 'm':
        append_members(m, f->count);
        break;
    case 't':
        append_items(m);
        break;
    case 'l':
        append_leases(m, f->count);
        break;
    case 'r':
        append_replicas(m);
        break;
    case 's':
        if (f->type == RILL_FRAME_FULL || (f->flags & RILL_FLAG_STATE))
            append_state(m, (uint32_t)sizeof(struct rill_state_head) + rill_rng_below(&rng, 200));
        break;
    default:
        if (f->flags & RILL_FLAG_PACKET)
            append_packet(m);
    }
}

/* --- frames --------------------------------------------------------------------------------------
 */

static void expect_outer(const struct rill_frame *f, const struct type_info *info)
{
    bool packet = f->flags & RILL_FLAG_PACKET;

    expect("rill.layout", "1");
    expect("rill.type", "%s", info->name);
    expect_number("rill.type.number", info->type);
    expect_flags(f);
    expect("rill.side", f->side == RILL_INSIDE ? "inside" : "outside");
    expect_number("rill.epoch", f->epoch);
    expect("geneve.vni", "0x%06x", f->vni);
    expect("eth.src", "02:00:00:00:00:01");
    expect("udp.dstport", "6081");
    if (packet) { /* the inner packet is dissected too */
        expect("eth.src", "02:00:00:00:00:0a");
        expect("udp.dstport", "40001");
    }
}

static struct rte_mbuf *draw_frame(const struct type_info *info)
{
    struct rte_mbuf *m = rill_frame_new(pool, info->type, 0, 0);
    struct rill_frame *f;

    if (m == NULL)
        die("no buffer");
    f = rill_frame(m);
    f->src = draw_role("rill.src");
    f->dst = draw_role("rill.dst");
    f->flags = (uint8_t)rill_rng_u64(&rng);
    if (info->data != '?')
        f->flags &= (uint8_t)~RILL_FLAG_PACKET;
    if (info->data == 'p')
        f->flags |= RILL_FLAG_PACKET;
    f->side = (uint8_t)rill_rng_below(&rng, 2);
    f->epoch = (uint16_t)rill_rng_u64(&rng);
    f->vni = rill_rng_below(&rng, 1 << 24);
    for (const char *option = info->options; *option != 0; option++)
        draw_option(f, *option);
    if (f->type == RILL_FRAME_DEAD || f->type == RILL_FRAME_DEATH) {
        f->count = draw_role("rill.dead.output_logger");
        expect_number("rill.count", f->count);
    } else if (strchr(info->options, 'e') != NULL) {
        f->count = info->data != 0 ? rill_rng_below(&rng, 5) : (uint32_t)rill_rng_u64(&rng);
        expect_number("rill.count", f->count);
    }
    expect_outer(f, info);
    append_data(m, info);
    return m;
}

static struct rte_mbuf *encode(struct rte_mbuf *m, const struct rill_underlay *underlay)
{
    struct rill_geneve_outer outer;
    int code = rill_geneve_outer_init(&outer, underlay);

    if (code == 0)
        code = rill_geneve_encode(&m, pool, &outer);
    if (code != 0) {
        rill_error_set(&err, code, "code %d, type %u", code, rill_frame(m)->type);
        die("encode");
    }
    return m;
}

static void write_frames(void)
{
    for (unsigned i = 0; i < RTE_DIM(types); i++)
        for (int round = 0; round < ROUNDS; round++) {
            struct rill_capture_packet_out out = {.time_ns = ++number * 1000ull};
            struct rte_mbuf *m =
                encode(draw_frame(&types[i]), round % 3 == 2 ? &underlay6 : &underlay4);

            out.wire_bytes = m->pkt_len;
            if (rill_capture_writer_put(writer, m, &out) != 0)
                die("write");
            rte_pktmbuf_free(m);
        }
}

/* --- damage --------------------------------------------------------------------------------------
 */

/* Makes the outer lengths and the checksum those of `length` bytes over IPv4. */
static void repair(uint8_t *wire, uint32_t length)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(wire + 14);

    ip->total_length = rte_cpu_to_be_16((uint16_t)(length - 14));
    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    wire[38] = (uint8_t)((length - 34) >> 8);
    wire[39] = (uint8_t)(length - 34);
}

static const char *codec_says(const uint8_t *wire, uint32_t length)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    enum rill_geneve_result result;

    if (m == NULL || rill_mbuf_append(m, pool, wire, length) != 0)
        die("no buffer");
    result = rill_geneve_decode(m);
    rte_pktmbuf_free(m);
    return rill_geneve_result_name(result);
}

/* A random option grows by zeros, as a list that is too long does; returns the frame's length. */
static uint32_t grow_option(uint8_t *wire, uint32_t length)
{
    uint32_t end = OPTIONS_OFFSET + (wire[GENEVE_OFFSET] & 0x3f) * 4u, at = OPTIONS_OFFSET;
    uint32_t more = 4 * (1 + rill_rng_below(&rng, 6)), value;

    for (;;) {
        value = wire[at + 3] * 4u;
        if (at + 4 + value >= end || rill_rng_below(&rng, 4) == 0)
            break;
        at += 4 + value;
    }
    if (value + more > 31 * 4 || end + more > OPTIONS_OFFSET + 252)
        return length;
    memmove(wire + at + 4 + value + more, wire + at + 4 + value, length - at - 4 - value);
    memset(wire + at + 4 + value, 0, more);
    wire[at + 3] += (uint8_t)(more / 4);
    wire[GENEVE_OFFSET] += (uint8_t)(more / 4);
    repair(wire, length + more);
    return length + more;
}

/* The packet becomes longer than INGRESS says that it was on the wire, or as long. */
static void shrink_wire_bytes(uint8_t *wire)
{
    uint32_t end = OPTIONS_OFFSET + (wire[GENEVE_OFFSET] & 0x3f) * 4u;

    for (uint32_t at = OPTIONS_OFFSET; at < end; at += 4 + wire[at + 3] * 4u)
        if (wire[at + 2] == (0x80 | 9)) {
            wire[at + 22] = 0;
            wire[at + 23] = (uint8_t)(INNER_BYTES - rill_rng_below(&rng, 2));
        }
}

enum damage {
    CHANGED_OPTIONS, /* bytes of the Geneve header and the options */
    CHANGED_BITS,    /* anywhere */
    CUT,             /* the end is missing, the lengths do not know */
    RESIZED,         /* shorter or longer, and the lengths know */
    SNAPPED,         /* by the capture: it was whole on the wire */
    GROWN_OPTION,
    SHRUNK_WIRE_BYTES,
    DAMAGES
};

static void change_bits(uint8_t *wire, uint32_t length)
{
    for (uint32_t left = 1 + rill_rng_below(&rng, 4); left > 0; left--)
        wire[GENEVE_OFFSET + rill_rng_below(&rng, length - GENEVE_OFFSET)] ^=
            (uint8_t)(1 << rill_rng_below(&rng, 8));
}

static void change_options(uint8_t *wire)
{
    uint32_t bytes = OPTIONS_OFFSET - GENEVE_OFFSET + (wire[GENEVE_OFFSET] & 0x3f) * 4u;

    for (uint32_t left = 1 + rill_rng_below(&rng, 3); left > 0; left--)
        wire[GENEVE_OFFSET + rill_rng_below(&rng, bytes)] = (uint8_t)rill_rng_u64(&rng);
}

/* Returns the new length; what is longer ends in zeros. */
static uint32_t damage(uint8_t *wire, uint32_t length, enum damage kind)
{
    uint32_t shorter = OPTIONS_OFFSET + rill_rng_below(&rng, length - OPTIONS_OFFSET);

    switch (kind) {
    case CHANGED_OPTIONS:
        change_options(wire);
        return length;
    case CHANGED_BITS:
        change_bits(wire, length);
        return length;
    case RESIZED:
        if (rill_rng_below(&rng, 4) == 0)
            shorter = length + 4 * (1 + rill_rng_below(&rng, 3));
        repair(wire, shorter);
        return shorter;
    case GROWN_OPTION:
        return grow_option(wire, length);
    case SHRUNK_WIRE_BYTES:
        shrink_wire_bytes(wire);
        return length;
    default:
        return shorter;
    }
}

static void write_corrupted(void)
{
    static uint8_t wire[WIRE_MAX];

    quiet = true;
    for (int i = 0; i < CORRUPTED; i++) {
        enum damage kind = (enum damage)rill_rng_below(&rng, DAMAGES);
        uint32_t length;
        struct rill_capture_packet_out out = {.time_ns = ++number * 1000ull};
        struct rte_mbuf *m =
            encode(draw_frame(&types[rill_rng_below(&rng, RTE_DIM(types))]), &underlay4);

        memset(wire, 0, sizeof(wire));
        out.wire_bytes = m->pkt_len;
        if (m->pkt_len + 24 > sizeof(wire) || rill_body_read(m, 0, wire, m->pkt_len) != 0)
            die("a frame is too long");
        length = damage(wire, m->pkt_len, kind);
        rte_pktmbuf_free(m);
        if (kind != SNAPPED)
            out.wire_bytes = length;
        if (rill_capture_writer_put_bytes(writer, wire, length, &out) != 0)
            die("write");
        fprintf(expected, "%u\trefused\t%s\n", number,
                kind == SNAPPED ? "cut" : codec_says(wire, length));
    }
}

int main(int argc, char **argv)
{
    bool corrupt = argc == 5 && strcmp(argv[1], "corrupt") == 0;

    if (!corrupt && (argc != 4 || strcmp(argv[1], "frames") != 0)) {
        fprintf(stderr, "usage: dissector_frames frames CAPTURE EXPECTED\n"
                        "       dissector_frames corrupt CAPTURE EXPECTED SEED\n");
        return 2;
    }
    if (rill_eal_init(256, &err) != 0)
        die("EAL");
    pool = rill_frame_pool_create("dissector_frames", 511, &err);
    if (pool == NULL || rill_capture_writer_open(argv[2], &writer, &err) != 0)
        die("start");
    expected = fopen(argv[3], "w");
    if (expected == NULL)
        die(argv[3]);
    rill_rng_seed(&rng, corrupt ? strtoull(argv[4], NULL, 10) : 1);
    if (corrupt)
        write_corrupted();
    else
        write_frames();
    if (fclose(expected) != 0 || rill_capture_writer_close(writer, &err) != 0)
        die("close");
    rte_mempool_free(pool);
    return 0;
}
