#include "lib/frame/geneve_options.h"

#include "lib/frame/body.h"
#include "lib/frame/geneve_bytes.h"
#include "lib/frame/geneve_types.h"
#include "lib/frame/inventory.h"

#define USES RILL_USES
#define PACKET RILL_USES_PACKET
#define BODY RILL_USES_BODY
#define KEY RILL_USES_KEY
#define TAG RILL_USES_TAG
#define NEXT (USES(NEXT_TERM) | USES(NEXT_UNIT))
#define ABOUT_UNIT (KEY | USES(TERM) | USES(NEXT_UNIT))

const uint32_t rill_geneve_uses[RILL_FRAME_TYPES] = {
    [RILL_FRAME_DATA] = RILL_USES_DATA,
    [RILL_FRAME_FORWARDED] = KEY | USES(TERM) | USES(CLOCK) | USES(CHAIN) | USES(INGRESS) |
                             USES(TUPLE) | USES(ENDPOINT) | PACKET,
    [RILL_FRAME_CHANGE] = RILL_USES_CHANGE,
    [RILL_FRAME_PASS] = RILL_USES_INGRESS,
    [RILL_FRAME_INGRESS] = RILL_USES_INGRESS,
    [RILL_FRAME_RELEASED] = RILL_USES_RELEASED,
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
    [RILL_FRAME_POOL_GRANT] =
        USES(FRAME) | USES(TERM) | USES(CLOCK) | USES(POOL) | USES(COUNT) | BODY,
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
    [RILL_OPTION_TUPLE] = RILL_GENEVE_TUPLE,
    [RILL_OPTION_CHAIN] = RILL_CHAIN_MAX * RILL_GENEVE_CHAIN_ENTRY,
    [RILL_OPTION_TARGETS] = RILL_TARGETS_MAX * RILL_GENEVE_TARGET,
    [RILL_OPTION_STATE] = RILL_GENEVE_STATE_HEAD + RILL_GENEVE_STATE_FIRST,
    [RILL_OPTION_STATE_MORE] = RILL_INLINE_STATE - RILL_GENEVE_STATE_FIRST,
    [RILL_OPTION_ENDPOINT] = 8,
};
_Static_assert(RILL_GENEVE_STATE_HEAD + RILL_GENEVE_STATE_FIRST <= RILL_GENEVE_LENGTH_MASK * 4,
               "an option's value is at most 31 words");

/* --- check ------------------------------------------------------------------------------------ */

enum rill_geneve_result rill_geneve_check_body(const struct rill_frame *f, uint32_t body_bytes)
{
    /* A grant's count is that of its body's entries. */
    static const uint8_t bytes_of[RILL_FRAME_TYPES] = {
        [RILL_FRAME_POOL_GRANT] = sizeof(uint32_t),
        [RILL_FRAME_LEASE_GRANT] = sizeof(struct rill_lease),
        [RILL_FRAME_INVENTORY] = sizeof(struct rill_death),
        [RILL_FRAME_MEMBERS] = sizeof(struct rill_member),
    };
    uint64_t entry_bytes = bytes_of[f->type];

    if (body_bytes > RILL_BODY_MAX || (entry_bytes != 0 && f->count * entry_bytes != body_bytes))
        return RILL_GENEVE_VALUE;
    return RILL_GENEVE_OK;
}

enum rill_geneve_result rill_geneve_check(const struct rill_frame *f, uint32_t data_bytes)
{
    uint32_t uses = rill_geneve_uses_of(f);

    return uses == 0 ? RILL_GENEVE_TYPE : rill_geneve_check_as(f, data_bytes, uses);
}

/* --- read ------------------------------------------------------------------------------------- */

static bool width_fits(enum rill_geneve_option option, uint32_t bytes)
{
    switch (option) {
    case RILL_OPTION_CHAIN:
        return bytes <= width[option] && bytes % RILL_GENEVE_CHAIN_ENTRY == 0;
    case RILL_OPTION_TARGETS:
        return bytes <= width[option];
    case RILL_OPTION_STATE:
        return bytes <= width[option] && bytes >= RILL_GENEVE_STATE_HEAD;
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
    f->chain_len = (uint8_t)(bytes / RILL_GENEVE_CHAIN_ENTRY);
    for (uint32_t i = 0; i < f->chain_len; i++, from += RILL_GENEVE_CHAIN_ENTRY) {
        f->chain[i].term = get64(from);
        f->chain[i].unit = get32(from + 8);
        f->chain[i].output_logger = get32(from + 12);
    }
}

static void read_targets(struct rill_frame *f, const uint8_t *from, uint32_t bytes)
{
    f->target_count = (uint8_t)(bytes / RILL_GENEVE_TARGET);
    for (uint32_t i = 0; i < f->target_count; i++)
        f->targets[i] = get32(from + i * RILL_GENEVE_TARGET);
}

static enum rill_geneve_result read_state(struct rill_frame *f, const uint8_t *from, uint32_t bytes)
{
    uint32_t here = RTE_MIN(from[2], (uint32_t)RILL_GENEVE_STATE_FIRST);

    f->state_offset = get16(from);
    f->state_bytes = from[2];
    if (f->state_bytes > RILL_INLINE_STATE ||
        RTE_ALIGN_CEIL(here + (uint32_t)RILL_GENEVE_STATE_HEAD, 4) != bytes)
        return RILL_GENEVE_VALUE;
    memcpy(f->state, from + RILL_GENEVE_STATE_HEAD, here);
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

/* The options that this very frame has. */
static uint32_t options_of(const struct rill_frame *f)
{
    uint32_t uses = rill_geneve_uses[f->type] & RILL_USES_OPTIONS;

    if (!rill_geneve_has_tuple(f, uses))
        uses &= ~USES(TUPLE);
    if (!rill_geneve_has_endpoint(f, uses))
        uses &= ~USES(ENDPOINT);
    if (!rill_geneve_has_state_more(f, uses))
        uses &= ~USES(STATE_MORE);
    return uses;
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
    uses = rill_geneve_uses_of(f) & RILL_USES_OPTIONS;
    if (uses == 0)
        return RILL_GENEVE_TYPE;
    if (seen & ~uses)
        return RILL_GENEVE_OPTION;
    uses = options_of(f);
    if (uses & ~seen)
        return RILL_GENEVE_MISSING;
    return seen == uses ? RILL_GENEVE_OK : RILL_GENEVE_VALUE;
}
