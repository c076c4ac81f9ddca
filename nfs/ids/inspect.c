#include "nfs/ids/inspect.h"

#include <stddef.h>
#include <string.h>

#include "nfs/ids/inspect_internal.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
enum {
    OF_RULES = IDS_SEARCHED | IDS_WINDOWED | IDS_PACKETS | IDS_BARE
}; /* of a direction's flags */

struct ids_layout ids_layout_make(uint32_t window_bytes, uint32_t reassembly_bytes,
                                  uint32_t saved_bytes)
{
    struct ids_layout l = {.window_bytes = window_bytes,
                           .reassembly_bytes = reassembly_bytes,
                           .saved_bytes = (saved_bytes + 7) / 8 * 8};

    l.saved = l.hot + (uint32_t)sizeof(struct ids_hot);
    l.told = l.saved + 2 * l.saved_bytes;
    l.window[0] = l.told + IDS_TOLD_MAX * 4;
    l.window[1] = l.window[0] + window_bytes;
    l.warm[0] = l.window[1] + window_bytes;
    l.warm[1] = l.warm[0] + (uint32_t)sizeof(struct ids_warm);
    l.reassembly[0] = l.warm[1] + (uint32_t)sizeof(struct ids_warm);
    l.reassembly[1] = l.reassembly[0] + reassembly_bytes;
    l.bytes = l.reassembly[1] + reassembly_bytes;
    return l;
}

void ids_changed_direction(struct ids_inspection *in)
{
    ids_changed(in, in->layout->hot + in->direction * (uint32_t)sizeof(struct ids_direction),
                sizeof(struct ids_direction));
}

void ids_changed_rest(struct ids_inspection *in)
{
    ids_changed(in, in->layout->hot + (uint32_t)offsetof(struct ids_hot, version),
                sizeof(struct ids_hot) - offsetof(struct ids_hot, version));
}

static void set_flags(struct ids_inspection *in, uint8_t *flags, unsigned bits)
{
    if ((*flags | bits) == *flags)
        return;
    *flags = (uint8_t)(*flags | bits);
    ids_changed_rest(in);
}

/* --- who is who ------------------------------------------------------------------------------- */

/* As bytes are compared. Mostly the first four or eight of them differ. */
static bool source_is_less(const struct ids_inspection *in)
{
    uint64_t source, destination;

    memcpy(&source, in->source.addr, sizeof(source));
    memcpy(&destination, in->destination.addr, sizeof(destination));
    if (source == destination)
        return memcmp(&in->source, &in->destination, sizeof(in->source)) < 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    source = __builtin_bswap64(source);
    destination = __builtin_bswap64(destination);
#endif
    return source < destination;
}

static unsigned direction_of(const struct ids_inspection *in, const struct ids_hot *hot)
{
    return source_is_less(in) == ((hot->flags & IDS_CLIENT_LESS) != 0) ? 0 : 1;
}

/* The client is who sends the first packet; if that is a SYN/ACK, who gets it. */
static void choose_client(struct ids_inspection *in, const struct ids_tcp *tcp)
{
    bool answer = tcp != NULL && (tcp->flags & (SYN | ACK)) == (SYN | ACK);
    bool syn = tcp != NULL && (tcp->flags & SYN) != 0;

    set_flags(in, &ids_hot(in)->flags,
              IDS_CLIENT_KNOWN | (source_is_less(in) != answer ? IDS_CLIENT_LESS : 0) |
                  (tcp != NULL && !syn ? IDS_PICKED_UP : 0));
}

static void find_direction(struct ids_inspection *in)
{
    struct ids_hot *hot = ids_hot(in);

    in->direction = direction_of(in, hot);
    set_flags(in, &hot->flags, in->direction == 0 ? IDS_CLIENT_SEEN : IDS_SERVER_SEEN);
}

/* Which directions have rules, and rules that need the window. */
static void find_directions(struct ids_inspection *in)
{
    const struct ids_rules *rules = in->set->rules;
    struct ids_hot *hot = ids_hot(in);
    const struct rill_endpoint *client = in->direction == 0 ? &in->source : &in->destination;
    const struct rill_endpoint *server = in->direction == 0 ? &in->destination : &in->source;

    for (uint32_t i = 0; i < rules->n_headers; i++) {
        const struct ids_header *h = &rules->headers[i];
        unsigned bits = (h->has_plain ? IDS_SEARCHED : 0) | (h->has_packet ? IDS_PACKETS : 0) |
                        (h->has_windowed ? IDS_SEARCHED | IDS_WINDOWED : 0) |
                        (h->has_bare ? IDS_BARE : 0);

        if (ids_header_matches(h, client, server))
            hot->of[0] = (uint8_t)(hot->of[0] | bits);
        if (ids_header_matches(h, server, client))
            hot->of[1] = (uint8_t)(hot->of[1] | bits);
    }
}

/* Other rules than at the packet before: their search begins here, and a direction that was not
 * searched is picked up in its middle. */
static void change_rules(struct ids_inspection *in)
{
    struct ids_hot *hot = ids_hot(in);
    unsigned direction = in->direction;

    if (hot->version != 0)
        in->counts[IDS_COUNT_RULES_CHANGED]++;
    for (in->direction = 0; in->direction < 2; in->direction++) {
        uint8_t *of = &hot->of[in->direction];

        ids_search_restart(in);
        *of &= (uint8_t)((*of & IDS_SEARCHED) != 0 ? ~OF_RULES : 0);
    }
    in->direction = direction;
    hot->version = in->set->version;
    find_directions(in);
    ids_changed_rest(in);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void deliver(void *arg, const uint8_t *data, uint32_t bytes)
{
    ids_search_stream(arg, data, bytes);
}

static void gap(void *arg, uint32_t bytes)
{
    struct ids_inspection *in = arg;
    struct ids_direction *d = &ids_hot(in)->direction[in->direction];

    in->counts[IDS_COUNT_GAPS]++;
    d->position = d->position > UINT32_MAX - 1 - bytes ? IDS_FAR_IN : d->position + bytes;
    ids_search_restart(in);
}

static struct ids_order order(struct ids_inspection *in)
{
    struct ids_hot *hot = ids_hot(in);

    return (struct ids_order){
        .next = &hot->direction[in->direction].next,
        .extents = ids_warm(in)->extents,
        .n_extents = &hot->n_extents[in->direction],
        .ring = in->value + in->layout->reassembly[in->direction],
        .ring_bytes = in->layout->reassembly_bytes,
        .deliver = deliver,
        .gap = gap,
        .arg = in,
    };
}

/* Nothing waits any more: zeros cost nothing. */
static void clear_reassembly(struct ids_inspection *in)
{
    const struct ids_layout *layout = in->layout;
    uint32_t offset = layout->reassembly[in->direction];

    memset(in->value + offset, 0, layout->reassembly_bytes);
    ids_changed(in, offset, layout->reassembly_bytes);
    memset(ids_warm(in)->extents, 0, sizeof(ids_warm(in)->extents));
}

/* What a call on `o` did: to the counters, and to what has changed beyond the search's part. */
static void settle(struct ids_inspection *in, const struct ids_order *o, uint8_t extents_before)
{
    in->counts[IDS_COUNT_OUT_OF_ORDER] += o->waiting;
    in->counts[IDS_COUNT_OVERLAPPING] += o->overlaps;
    in->counts[IDS_COUNT_RETRANSMITTED] += o->old;
    in->counts[IDS_COUNT_FAR] += o->far;
    if (o->waiting == 0 && extents_before == *o->n_extents)
        return;
    if (*o->n_extents == 0)
        clear_reassembly(in);
    ids_changed(in, in->layout->warm[in->direction] + (uint32_t)offsetof(struct ids_warm, extents),
                sizeof(ids_warm(in)->extents));
    ids_changed_rest(in);
}

/* Bytes of the segment wait in the ring. */
static void ring_changed(struct ids_inspection *in, uint32_t sequence, uint32_t bytes)
{
    uint32_t size = in->layout->reassembly_bytes, offset = in->layout->reassembly[in->direction];
    uint32_t at = sequence & (size - 1), n = bytes < size - at ? bytes : size - at;

    if (bytes >= size) {
        ids_changed(in, offset, size);
        return;
    }
    ids_changed(in, offset + at, n);
    ids_changed(in, offset, bytes - n);
}

static void start(struct ids_inspection *in, uint32_t next, uint32_t position)
{
    struct ids_hot *hot = ids_hot(in);
    struct ids_direction *d = &hot->direction[in->direction];

    d->next = next;
    d->position = position;
    hot->n_extents[in->direction] = 0;
    hot->of[in->direction] = (uint8_t)((hot->of[in->direction] & OF_RULES) | IDS_STARTED);
    ids_search_restart(in);
}

/* The addresses and ports have a new connection. */
static void begin_anew(struct ids_inspection *in, const struct ids_tcp *tcp)
{
    struct ids_hot *hot = ids_hot(in);

    memset(hot->direction, 0, sizeof(hot->direction));
    memset(hot->of, 0, sizeof(hot->of));
    memset(hot->n_extents, 0, sizeof(hot->n_extents));
    hot->version = 0;
    hot->flags = 0;
    choose_client(in, tcp);
    find_direction(in);
    change_rules(in);
    start(in, tcp->sequence + 1, 0);
    if ((tcp->flags & ACK) != 0) {
        in->direction = 1 - in->direction;
        start(in, tcp->acknowledgement, 0);
        in->direction = 1 - in->direction;
    }
}

/* A SYN begins a stream, unless it only comes again. Another one begins a new connection where the
 * one before was closing or had not yet sent anything, or where the server agrees: then it had
 * none. Any other is ignored, as its receiver does. */
static void take_syn(struct ids_inspection *in, const struct ids_tcp *tcp)
{
    const struct ids_hot *hot = ids_hot(in);
    const struct ids_direction *d = &hot->direction[in->direction];
    uint32_t next = tcp->sequence + 1;

    if ((hot->of[in->direction] & IDS_STARTED) == 0)
        start(in, next, 0);
    else if (d->position != IDS_FAR_IN && d->next - d->position == next)
        return;
    else if ((hot->flags & IDS_CLOSING) != 0 || d->position == 0 || (tcp->flags & ACK) != 0)
        begin_anew(in, tcp);
    else
        in->counts[IDS_COUNT_STRAY_SYN]++;
}

/* The receiver has what the other direction sent up to here. */
static void take_acknowledgement(struct ids_inspection *in, uint32_t acknowledgement)
{
    struct ids_hot *hot = ids_hot(in);
    uint8_t of;

    in->direction = 1 - in->direction;
    in->reversed = true;
    of = hot->of[in->direction];
    if ((of & IDS_STARTED) != 0 && (of & IDS_SEARCHED) != 0 &&
        acknowledgement != hot->direction[in->direction].next &&
        !((of & IDS_FINISHED) != 0 && acknowledgement == hot->direction[in->direction].next + 1)) {
        struct ids_order o = order(in);
        uint8_t extents = *o.n_extents;

        ids_search_turn(in);
        ids_order_acknowledged(&o, acknowledgement);
        settle(in, &o, extents);
    }
    in->direction = 1 - in->direction;
    in->reversed = false;
}

static void take_header(struct ids_inspection *in, const struct ids_tcp *tcp)
{
    struct ids_hot *hot = ids_hot(in);
    uint8_t *of = &hot->of[in->direction];

    if ((tcp->flags & SYN) != 0)
        take_syn(in, tcp);
    else if ((*of & IDS_STARTED) == 0 && (tcp->flags & RST) == 0)
        start(in, tcp->sequence, IDS_FAR_IN);
    if ((tcp->flags & (FIN | RST)) != 0)
        set_flags(in, &hot->flags, IDS_CLOSING);
    if ((tcp->flags & FIN) != 0)
        set_flags(in, of, IDS_FINISHED);
    if ((tcp->flags & (ACK | RST)) == ACK)
        take_acknowledgement(in, tcp->acknowledgement);
}

/* --- packets ---------------------------------------------------------------------------------- */

bool ids_inspect_begin(struct ids_inspection *in, const struct ids_tcp *tcp)
{
    struct ids_hot *hot = ids_hot(in);

    in->low = UINT32_MAX;
    if ((hot->flags & IDS_CLIENT_KNOWN) == 0)
        choose_client(in, tcp);
    find_direction(in);
    if (hot->version != in->set->version)
        change_rules(in);
    if (tcp == NULL)
        return (hot->of[in->direction] & (IDS_SEARCHED | IDS_PACKETS | IDS_BARE)) != 0;
    if (((hot->of[0] | hot->of[1]) & IDS_SEARCHED) == 0)
        return false;
    take_header(in, tcp);
    return (hot->of[in->direction] & IDS_SEARCHED) != 0 &&
           (hot->of[in->direction] & IDS_STARTED) != 0 && (tcp->flags & RST) == 0;
}

/* The receiver of what `direction` sends has all that we have, or less. */
static bool is_acknowledged_at_most(const struct ids_hot *hot, unsigned direction,
                                    const struct ids_tcp *tcp)
{
    uint8_t of = hot->of[direction];

    return (tcp->flags & ACK) == 0 || (of & IDS_STARTED) == 0 || (of & IDS_SEARCHED) == 0 ||
           (int32_t)(tcp->acknowledgement - hot->direction[direction].next) <= 0;
}

bool ids_inspect_next(struct ids_inspection *in, const struct ids_tcp *tcp, const uint8_t *data,
                      uint32_t bytes)
{
    struct ids_hot *hot = ids_hot(in);
    unsigned direction = direction_of(in, hot), known = IDS_CLIENT_KNOWN;
    struct ids_direction *d = &hot->direction[direction];
    const unsigned ready = IDS_STARTED | IDS_SEARCHED;

    known |= direction == 0 ? IDS_CLIENT_SEEN : IDS_SERVER_SEEN;
    if (hot->version != in->set->version || (hot->flags & known) != known ||
        (tcp->flags & (SYN | FIN | RST)) != 0 || (hot->of[direction] & ready) != ready ||
        tcp->sequence != d->next || hot->n_extents[direction] != 0 ||
        !is_acknowledged_at_most(hot, 1 - direction, tcp))
        return false;
    in->low = UINT32_MAX;
    in->direction = direction;
    if (bytes == 0)
        return true;
    ids_search_turn(in);
    ids_search_stream(in, data, bytes);
    d->next += bytes;
    return true;
}

bool ids_inspect_wants_packet(const struct ids_inspection *in)
{
    const struct ids_hot *hot = (const void *)(in->value + in->layout->hot);

    return (hot->of[in->direction] & (IDS_PACKETS | IDS_BARE)) != 0;
}

void ids_inspect_packet(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                        uint32_t whole)
{
    uint8_t of = ids_hot(in)->of[in->direction];
    unsigned searched = IDS_PACKETS | (in->source.proto == RILL_UDP ? IDS_SEARCHED : 0);

    ids_search_packet(in, data, bytes, whole, (of & searched) != 0, (of & IDS_BARE) != 0);
}

bool ids_inspect_wants_apart(const struct ids_set *set)
{
    return set->rules->apart_packet || set->rules->apart_bare;
}

void ids_inspect_apart(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                       uint32_t whole)
{
    const struct ids_rules *rules = in->set->rules;

    in->low = UINT32_MAX;
    ids_search_packet(in, data, bytes, whole, rules->apart_packet, rules->apart_bare);
}

void ids_inspect_segment(struct ids_inspection *in, uint32_t sequence, const uint8_t *data,
                         uint32_t bytes)
{
    struct ids_order o = order(in);
    uint8_t extents = *o.n_extents;

    ids_search_turn(in);
    ids_order_segment(&o, sequence, data, bytes);
    if (o.waiting > 0)
        ring_changed(in, sequence, bytes);
    settle(in, &o, extents);
}

void ids_inspect_missing(struct ids_inspection *in, uint32_t sequence, uint32_t bytes)
{
    struct ids_order o = order(in);
    uint8_t extents = *o.n_extents;

    ids_search_turn(in);
    ids_order_missing(&o, sequence, bytes);
    settle(in, &o, extents);
}
