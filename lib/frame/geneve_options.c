#include "lib/frame/geneve_options.h"

#include <rte_byteorder.h>

#include "lib/frame/body.h"
#include "lib/frame/inventory.h"

enum {
    CHAIN_ENTRY_BYTES = 16,
    TARGET_BYTES = 4,
    STATE_HEAD_BYTES = 4,
    TUPLE_BYTES = 40,
};

/* What a type uses: a bit for each option, and what its data may be. */
#define USES(name) (1u << RILL_OPTION_##name)
#define PACKET (1u << 29)       /* always with a packet */
#define MAYBE_PACKET (1u << 30) /* the flag says */
#define BODY (1u << 31)         /* may have a body */

#define KEY (USES(FRAME) | USES(FLOW))
#define TAG (USES(TERM) | USES(CLOCK) | USES(STEP))
#define NEXT (USES(NEXT_TERM) | USES(NEXT_UNIT))
#define ABOUT_UNIT (KEY | USES(TERM) | USES(NEXT_UNIT))

static const uint32_t type_uses[RILL_FRAME_TYPES] = {
    [RILL_FRAME_DATA] = KEY | USES(TERM) | USES(CLOCK) | USES(CHAIN) | USES(INGRESS) |
                        USES(TARGETS) | USES(TUPLE) | USES(ENDPOINT) | PACKET,
    [RILL_FRAME_FORWARDED] = KEY | USES(TERM) | USES(CLOCK) | USES(CHAIN) | USES(INGRESS) |
                             USES(TUPLE) | USES(ENDPOINT) | PACKET,
    [RILL_FRAME_CHANGE] = KEY | TAG | USES(INGRESS) | USES(STATE) | USES(STATE_MORE) | MAYBE_PACKET,
    [RILL_FRAME_PASS] = USES(FRAME) | USES(INGRESS) | PACKET,
    [RILL_FRAME_INGRESS] = USES(FRAME) | USES(INGRESS) | PACKET,
    [RILL_FRAME_RELEASED] = KEY | USES(INGRESS) | PACKET,
    [RILL_FRAME_TURNED] = USES(FRAME) | USES(CLOCK) | USES(INGRESS) | PACKET,
    [RILL_FRAME_MOVE] = KEY | USES(TERM) | NEXT | USES(CHAIN),
    [RILL_FRAME_PULL] = KEY | USES(TERM) | NEXT | USES(CHAIN),
    [RILL_FRAME_FINAL] = KEY | TAG | NEXT | USES(GRANTED_TERM) | USES(COUNT) | USES(CHAIN) | BODY,
    [RILL_FRAME_REPLICA] = USES(FRAME) | BODY,
    [RILL_FRAME_TAKE] = KEY | USES(TERM) | USES(CHAIN),
    [RILL_FRAME_FULL] = KEY | TAG | USES(GRANTED_TERM) | USES(COUNT) | BODY,
    [RILL_FRAME_NO_FULL] = KEY,
    [RILL_FRAME_SYNC] = KEY | TAG | USES(GRANTED_TERM) | USES(COUNT),
    [RILL_FRAME_SYNC_ACK] = KEY | TAG | USES(GRANTED_TERM),
    [RILL_FRAME_REQUEST_FULL] = KEY,
    [RILL_FRAME_LOGGER_PULL] = KEY | TAG | NEXT | USES(GRANTED_TERM),
    [RILL_FRAME_LOGGER_STATE] = KEY | TAG | NEXT | USES(GRANTED_TERM) | USES(COUNT) | BODY,
    [RILL_FRAME_ESTABLISHED] = ABOUT_UNIT,
    [RILL_FRAME_ESTABLISHED_ACK] = ABOUT_UNIT,
    [RILL_FRAME_ALIAS] = ABOUT_UNIT | BODY,
    [RILL_FRAME_ALIAS_ACK] = ABOUT_UNIT | BODY,
    [RILL_FRAME_NEED] = ABOUT_UNIT,
    [RILL_FRAME_FORGET] = ABOUT_UNIT,
    [RILL_FRAME_WHERE] = KEY | USES(TERM),
    [RILL_FRAME_CHAIN] = KEY | USES(TERM) | USES(CHAIN),
    [RILL_FRAME_POOL_REQUEST] = USES(FRAME) | USES(CLOCK) | USES(POOL) | USES(COUNT),
    [RILL_FRAME_POOL_GRANT] = USES(FRAME) | USES(CLOCK) | USES(POOL) | USES(COUNT) | BODY,
    [RILL_FRAME_FENCE] = USES(FRAME) | USES(NEXT_UNIT),
    [RILL_FRAME_FENCE_ACK] = USES(FRAME) | USES(NEXT_UNIT),
    [RILL_FRAME_DEAD] = USES(FRAME) | USES(NEXT_UNIT) | USES(COUNT),
    [RILL_FRAME_INVENTORY] = USES(FRAME) | USES(TERM) | USES(CLOCK) | USES(COUNT) | BODY,
    [RILL_FRAME_INVENTORY_PART] =
        USES(FRAME) | USES(TERM) | USES(CLOCK) | USES(NEXT_TERM) | USES(COUNT) | BODY,
    [RILL_FRAME_LEASE_REQUEST] = USES(FRAME) | USES(CLOCK) | USES(COUNT),
    [RILL_FRAME_LEASE_GRANT] = USES(FRAME) | USES(CLOCK) | USES(COUNT) | BODY,
    [RILL_FRAME_SHARE] = USES(FRAME) | USES(CLOCK) | USES(NEXT_UNIT) | USES(COUNT),
    [RILL_FRAME_SHARE_ACK] = USES(FRAME) | USES(CLOCK) | USES(NEXT_UNIT) | USES(COUNT),
    [RILL_FRAME_DEATH] = USES(FRAME) | USES(NEXT_UNIT) | USES(COUNT),
    [RILL_FRAME_DEATH_ACK] = USES(FRAME) | USES(NEXT_UNIT) | USES(COUNT),
    [RILL_FRAME_RECOVERED] = USES(FRAME) | USES(NEXT_UNIT),
    [RILL_FRAME_RECOVERED_ACK] = USES(FRAME) | USES(NEXT_UNIT),
    [RILL_FRAME_NEW_LOGGER] = USES(FRAME) | USES(CLOCK) | USES(NEXT_UNIT),
    [RILL_FRAME_NEW_LOGGER_ACK] = USES(FRAME) | USES(CLOCK) | USES(COUNT),
    [RILL_FRAME_MEMBERS_REQUEST] = USES(FRAME) | USES(CLOCK),
    [RILL_FRAME_MEMBERS] = USES(FRAME) | USES(CLOCK) | USES(COUNT) | BODY,
    [RILL_FRAME_STORE_PUT] = KEY | TAG | USES(GRANTED_TERM) | BODY,
    [RILL_FRAME_STORE_ACK] = KEY | TAG | USES(GRANTED_TERM),
    [RILL_FRAME_STORE_GET] = KEY | USES(COUNT),
    [RILL_FRAME_STORE_VALUE] = KEY | TAG | USES(GRANTED_TERM) | USES(COUNT) | BODY,
};

#define OPTIONS_MASK (((1u << RILL_OPTIONS) - 1) & ~1u)

/* Bytes of an option's value; of the last four, at most. */
static const uint8_t width[RILL_OPTIONS] = {
    [RILL_OPTION_FRAME] = 16,
    [RILL_OPTION_FLOW] = 8,
    [RILL_OPTION_TERM] = 8,
    [RILL_OPTION_CLOCK] = 8,
    [RILL_OPTION_STEP] = 16,
    [RILL_OPTION_NEXT_TERM] = 8,
    [RILL_OPTION_NEXT_UNIT] = 4,
    [RILL_OPTION_GRANTED_TERM] = 8,
    [RILL_OPTION_INGRESS] = 24,
    [RILL_OPTION_POOL] = 4,
    [RILL_OPTION_COUNT] = 4,
    [RILL_OPTION_TUPLE] = TUPLE_BYTES,
    [RILL_OPTION_CHAIN] = RILL_CHAIN_MAX * CHAIN_ENTRY_BYTES,
    [RILL_OPTION_TARGETS] = RILL_TARGETS_MAX * TARGET_BYTES,
    [RILL_OPTION_STATE] = STATE_HEAD_BYTES + RILL_GENEVE_STATE_FIRST,
    [RILL_OPTION_STATE_MORE] = RILL_INLINE_STATE - RILL_GENEVE_STATE_FIRST,
    [RILL_OPTION_ENDPOINT] = 8,
};
_Static_assert(STATE_HEAD_BYTES + RILL_GENEVE_STATE_FIRST <= RILL_GENEVE_LENGTH_MASK * 4,
               "an option's value is at most 31 words");

/* --- bytes ------------------------------------------------------------------------------------ */

static inline uint8_t *put16(uint8_t *to, uint16_t value)
{
    value = rte_cpu_to_be_16(value);
    return (uint8_t *)memcpy(to, &value, sizeof(value)) + sizeof(value);
}

static inline uint8_t *put32(uint8_t *to, uint32_t value)
{
    value = rte_cpu_to_be_32(value);
    return (uint8_t *)memcpy(to, &value, sizeof(value)) + sizeof(value);
}

static inline uint8_t *put64(uint8_t *to, uint64_t value)
{
    value = rte_cpu_to_be_64(value);
    return (uint8_t *)memcpy(to, &value, sizeof(value)) + sizeof(value);
}

static inline uint16_t get16(const uint8_t *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof(value));
    return rte_be_to_cpu_16(value);
}

static inline uint32_t get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return rte_be_to_cpu_32(value);
}

static inline uint64_t get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return rte_be_to_cpu_64(value);
}

/* --- check ------------------------------------------------------------------------------------ */

/* A grant's count is that of its body's entries. */
static bool count_fits_body(const struct rill_frame *f, uint32_t body_bytes)
{
    static const uint8_t bytes_of[RILL_FRAME_TYPES] = {
        [RILL_FRAME_POOL_GRANT] = sizeof(uint32_t),
        [RILL_FRAME_LEASE_GRANT] = sizeof(struct rill_lease),
        [RILL_FRAME_INVENTORY] = sizeof(struct rill_death),
        [RILL_FRAME_MEMBERS] = sizeof(struct rill_member),
    };
    uint64_t entry_bytes = bytes_of[f->type];

    return entry_bytes == 0 || f->count * entry_bytes == body_bytes;
}

/* What else such a frame has leaves room for so many entries. */
static uint8_t chain_max(const struct rill_frame *f, uint32_t uses)
{
    if (!(uses & USES(TUPLE)) || !(f->flags & RILL_FLAG_TUPLE))
        return RILL_CHAIN_MAX;
    return f->flags & RILL_FLAG_ENDPOINT ? RILL_CHAIN_MAX_WITH_BOTH : RILL_CHAIN_MAX_WITH_TUPLE;
}

enum rill_geneve_result rill_geneve_check(const struct rill_frame *f, uint32_t data_bytes)
{
    uint32_t uses = f->type < RILL_FRAME_TYPES ? type_uses[f->type] : 0;
    bool packet = (f->flags & RILL_FLAG_PACKET) != 0;

    if (uses == 0)
        return RILL_GENEVE_TYPE;
    if (f->side > RILL_OUTSIDE || packet != ((uses & PACKET) || (packet && (uses & MAYBE_PACKET))))
        return RILL_GENEVE_VALUE;
    if (((uses & USES(CHAIN)) && f->chain_len > chain_max(f, uses)) ||
        ((uses & USES(TARGETS)) && f->target_count > RILL_TARGETS_MAX) ||
        ((uses & USES(STATE)) && f->state_bytes > RILL_INLINE_STATE))
        return RILL_GENEVE_VALUE;
    if (packet)
        return data_bytes <= f->wire_bytes ? RILL_GENEVE_OK : RILL_GENEVE_VALUE;
    if (data_bytes > (uses & BODY ? RILL_BODY_MAX : 0) || !count_fits_body(f, data_bytes))
        return RILL_GENEVE_VALUE;
    return RILL_GENEVE_OK;
}

/* --- write ------------------------------------------------------------------------------------ */

static uint8_t *write_frame(const struct rill_frame *f, uint8_t *to)
{
    *to++ = RILL_GENEVE_LAYOUT;
    *to++ = f->type;
    *to++ = f->flags;
    *to++ = f->side;
    to = put32(to, f->src);
    to = put32(to, f->dst);
    to = put16(to, f->epoch);
    return put16(to, 0);
}

static uint8_t *write_ingress(const struct rill_frame *f, uint8_t *to)
{
    to = put64(to, f->ingress_ns);
    to = put64(to, f->ingress_id);
    to = put32(to, f->wire_bytes);
    to = put16(to, f->first_sport);
    return put16(to, f->first_dport);
}

static uint8_t *write_chain(const struct rill_frame *f, uint8_t *to)
{
    for (uint32_t i = 0; i < f->chain_len; i++)
        to = put32(put32(put64(to, f->chain[i].term), f->chain[i].unit), f->chain[i].output_logger);
    return to;
}

static uint8_t *write_targets(const struct rill_frame *f, uint8_t *to)
{
    for (uint32_t i = 0; i < f->target_count; i++)
        to = put32(to, f->targets[i]);
    return to;
}

/* With zeros up to a multiple of 4. */
static uint8_t *write_bytes(const uint8_t *from, uint32_t bytes, uint8_t *to)
{
    memcpy(to, from, bytes);
    to += bytes;
    for (; bytes % 4 != 0; bytes++)
        *to++ = 0;
    return to;
}

static uint8_t *write_state(const struct rill_frame *f, uint8_t *to)
{
    to = put16(to, f->state_offset);
    *to++ = f->state_bytes;
    *to++ = 0;
    return write_bytes(f->state, RTE_MIN(f->state_bytes, (uint32_t)RILL_GENEVE_STATE_FIRST), to);
}

static uint8_t *write_tuple(const struct rill_flow_tuple *tuple, uint8_t *to)
{
    to = write_bytes(tuple->addr_a, sizeof(tuple->addr_a), to);
    to = write_bytes(tuple->addr_b, sizeof(tuple->addr_b), to);
    to = put16(put16(to, tuple->port_a), tuple->port_b);
    *to++ = tuple->family;
    *to++ = tuple->proto;
    return put16(to, 0);
}

static uint8_t *write_value(const struct rill_frame *f, enum rill_geneve_option option, uint8_t *to)
{
    switch (option) {
    case RILL_OPTION_FRAME:
        return write_frame(f, to);
    case RILL_OPTION_FLOW:
        return put64(to, f->flow);
    case RILL_OPTION_TERM:
        return put64(to, f->term);
    case RILL_OPTION_CLOCK:
        return put64(to, f->clock);
    case RILL_OPTION_STEP:
        return put64(put64(to, f->step), f->window);
    case RILL_OPTION_NEXT_TERM:
        return put64(to, f->next_term);
    case RILL_OPTION_NEXT_UNIT:
        return put32(to, f->next_unit);
    case RILL_OPTION_GRANTED_TERM:
        return put64(to, f->granted_term);
    case RILL_OPTION_INGRESS:
        return write_ingress(f, to);
    case RILL_OPTION_CHAIN:
        return write_chain(f, to);
    case RILL_OPTION_TARGETS:
        return write_targets(f, to);
    case RILL_OPTION_STATE:
        return write_state(f, to);
    case RILL_OPTION_POOL:
        return put32(to, f->pool);
    case RILL_OPTION_COUNT:
        return put32(to, f->count);
    case RILL_OPTION_TUPLE:
        return write_tuple(&f->tuple, to);
    case RILL_OPTION_ENDPOINT:
        return put32(put32(to, f->pool), f->count);
    case RILL_OPTION_STATE_MORE:
        return write_bytes(f->state + RILL_GENEVE_STATE_FIRST,
                           f->state_bytes - RILL_GENEVE_STATE_FIRST, to);
    case RILL_OPTIONS:
        break;
    }
    return to;
}

/* The options that this very frame has. */
static uint32_t options_of(const struct rill_frame *f)
{
    uint32_t uses = type_uses[f->type] & OPTIONS_MASK;

    if (!(f->flags & RILL_FLAG_TUPLE))
        uses &= ~USES(TUPLE);
    if (!(f->flags & RILL_FLAG_ENDPOINT))
        uses &= ~USES(ENDPOINT);
    if (f->state_bytes <= RILL_GENEVE_STATE_FIRST)
        uses &= ~USES(STATE_MORE);
    return uses;
}

uint32_t rill_geneve_options_write(const struct rill_frame *f, uint8_t *to)
{
    uint8_t *start = to;

    for (uint32_t left = options_of(f); left != 0; left &= left - 1) {
        enum rill_geneve_option option = (enum rill_geneve_option)__builtin_ctz(left);
        uint8_t *value = to + RILL_GENEVE_OPTION_HEADER;
        uint8_t *end = write_value(f, option, value);

        put16(to, RILL_GENEVE_CLASS);
        to[2] = RILL_GENEVE_CRITICAL | (uint8_t)option;
        to[3] = (uint8_t)((end - value) / 4);
        to = end;
    }
    return (uint32_t)(to - start);
}

/* --- read ------------------------------------------------------------------------------------- */

static bool width_fits(enum rill_geneve_option option, uint32_t bytes)
{
    switch (option) {
    case RILL_OPTION_CHAIN:
        return bytes <= width[option] && bytes % CHAIN_ENTRY_BYTES == 0;
    case RILL_OPTION_TARGETS:
        return bytes <= width[option];
    case RILL_OPTION_STATE:
        return bytes <= width[option] && bytes >= STATE_HEAD_BYTES;
    case RILL_OPTION_STATE_MORE:
        return bytes <= width[option] && bytes > 0;
    default:
        return bytes == width[option];
    }
}

static enum rill_geneve_result read_frame(struct rill_frame *f, const uint8_t *from)
{
    if (from[0] != RILL_GENEVE_LAYOUT)
        return RILL_GENEVE_VERSION;
    f->type = from[1];
    f->flags = from[2];
    f->side = from[3];
    f->src = get32(from + 4);
    f->dst = get32(from + 8);
    f->epoch = get16(from + 12);
    return RILL_GENEVE_OK;
}

static void read_ingress(struct rill_frame *f, const uint8_t *from)
{
    f->ingress_ns = get64(from);
    f->ingress_id = get64(from + 8);
    f->wire_bytes = get32(from + 16);
    f->first_sport = get16(from + 20);
    f->first_dport = get16(from + 22);
}

static void read_chain(struct rill_frame *f, const uint8_t *from, uint32_t bytes)
{
    f->chain_len = (uint8_t)(bytes / CHAIN_ENTRY_BYTES);
    for (uint32_t i = 0; i < f->chain_len; i++, from += CHAIN_ENTRY_BYTES) {
        f->chain[i].term = get64(from);
        f->chain[i].unit = get32(from + 8);
        f->chain[i].output_logger = get32(from + 12);
    }
}

static void read_targets(struct rill_frame *f, const uint8_t *from, uint32_t bytes)
{
    f->target_count = (uint8_t)(bytes / TARGET_BYTES);
    for (uint32_t i = 0; i < f->target_count; i++)
        f->targets[i] = get32(from + i * TARGET_BYTES);
}

static enum rill_geneve_result read_state(struct rill_frame *f, const uint8_t *from, uint32_t bytes)
{
    uint32_t here = RTE_MIN(from[2], (uint32_t)RILL_GENEVE_STATE_FIRST);

    f->state_offset = get16(from);
    f->state_bytes = from[2];
    if (f->state_bytes > RILL_INLINE_STATE ||
        RTE_ALIGN_CEIL(here + (uint32_t)STATE_HEAD_BYTES, 4) != bytes)
        return RILL_GENEVE_VALUE;
    memcpy(f->state, from + STATE_HEAD_BYTES, here);
    return RILL_GENEVE_OK;
}

/* STATE comes before it, and says how many bytes there are. */
static enum rill_geneve_result read_state_more(struct rill_frame *f, const uint8_t *from,
                                               uint32_t bytes)
{
    uint32_t here = f->state_bytes - (uint32_t)RILL_GENEVE_STATE_FIRST;

    if (f->state_bytes <= RILL_GENEVE_STATE_FIRST || RTE_ALIGN_CEIL(here, 4) != bytes)
        return RILL_GENEVE_VALUE;
    memcpy(f->state + RILL_GENEVE_STATE_FIRST, from, here);
    return RILL_GENEVE_OK;
}

static void read_tuple(struct rill_flow_tuple *tuple, const uint8_t *from)
{
    memset(tuple, 0, sizeof(*tuple));
    memcpy(tuple->addr_a, from, sizeof(tuple->addr_a));
    memcpy(tuple->addr_b, from + 16, sizeof(tuple->addr_b));
    tuple->port_a = get16(from + 32);
    tuple->port_b = get16(from + 34);
    tuple->family = from[36];
    tuple->proto = from[37];
}

static enum rill_geneve_result read_pool(struct rill_frame *f, const uint8_t *from)
{
    f->pool = (uint16_t)get32(from);
    return get32(from) > UINT16_MAX ? RILL_GENEVE_VALUE : RILL_GENEVE_OK;
}

static enum rill_geneve_result read_value(struct rill_frame *f, enum rill_geneve_option option,
                                          const uint8_t *from, uint32_t bytes)
{
    switch (option) {
    case RILL_OPTION_FRAME:
        return read_frame(f, from);
    case RILL_OPTION_FLOW:
        f->flow = get64(from);
        break;
    case RILL_OPTION_TERM:
        f->term = get64(from);
        break;
    case RILL_OPTION_CLOCK:
        f->clock = get64(from);
        break;
    case RILL_OPTION_STEP:
        f->step = get64(from);
        f->window = get64(from + 8);
        break;
    case RILL_OPTION_NEXT_TERM:
        f->next_term = get64(from);
        break;
    case RILL_OPTION_NEXT_UNIT:
        f->next_unit = get32(from);
        break;
    case RILL_OPTION_GRANTED_TERM:
        f->granted_term = get64(from);
        break;
    case RILL_OPTION_INGRESS:
        read_ingress(f, from);
        break;
    case RILL_OPTION_CHAIN:
        read_chain(f, from, bytes);
        break;
    case RILL_OPTION_TARGETS:
        read_targets(f, from, bytes);
        break;
    case RILL_OPTION_STATE:
        return read_state(f, from, bytes);
    case RILL_OPTION_POOL:
        return read_pool(f, from);
    case RILL_OPTION_COUNT:
        f->count = get32(from);
        break;
    case RILL_OPTION_TUPLE:
        read_tuple(&f->tuple, from);
        break;
    case RILL_OPTION_ENDPOINT:
        f->count = get32(from + 4);
        return read_pool(f, from);
    case RILL_OPTION_STATE_MORE:
        return read_state_more(f, from, bytes);
    case RILL_OPTIONS:
        break;
    }
    return RILL_GENEVE_OK;
}

/* One option; *seen collects which were there. */
static enum rill_geneve_result read_option(struct rill_frame *f, const uint8_t *from,
                                           uint32_t bytes, uint32_t *seen)
{
    uint8_t type = from[2];
    enum rill_geneve_option option = (enum rill_geneve_option)(type & ~RILL_GENEVE_CRITICAL);

    if (get16(from) != RILL_GENEVE_CLASS || !(type & RILL_GENEVE_CRITICAL) || option == 0 ||
        option >= RILL_OPTIONS)
        return type & RILL_GENEVE_CRITICAL ? RILL_GENEVE_OPTION : RILL_GENEVE_OK;
    if (*seen & (1u << option) || !width_fits(option, bytes))
        return RILL_GENEVE_OPTION;
    *seen |= 1u << option;
    return read_value(f, option, from + RILL_GENEVE_OPTION_HEADER, bytes);
}

enum rill_geneve_result rill_geneve_options_read(const uint8_t *from, uint32_t bytes,
                                                 struct rill_frame *f)
{
    uint32_t seen = 0, uses;

    rill_frame_reset(f);
    while (bytes > 0) {
        uint32_t value_bytes;
        enum rill_geneve_result result;

        if (bytes < RILL_GENEVE_OPTION_HEADER)
            return RILL_GENEVE_SHORT;
        value_bytes = (from[3] & RILL_GENEVE_LENGTH_MASK) * 4u;
        if (value_bytes > bytes - RILL_GENEVE_OPTION_HEADER)
            return RILL_GENEVE_SHORT;
        result = read_option(f, from, value_bytes, &seen);
        if (result != RILL_GENEVE_OK)
            return result;
        from += RILL_GENEVE_OPTION_HEADER + value_bytes;
        bytes -= RILL_GENEVE_OPTION_HEADER + value_bytes;
    }
    if (!(seen & USES(FRAME)))
        return RILL_GENEVE_MISSING;
    uses = f->type < RILL_FRAME_TYPES ? type_uses[f->type] & OPTIONS_MASK : 0;
    if (uses == 0)
        return RILL_GENEVE_TYPE;
    if (seen & ~uses)
        return RILL_GENEVE_OPTION;
    uses = options_of(f);
    if (uses & ~seen)
        return RILL_GENEVE_MISSING;
    return seen == uses ? RILL_GENEVE_OK : RILL_GENEVE_VALUE;
}
