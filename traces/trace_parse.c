#include "traces/trace_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_jhash.h>
#include <rte_mbuf.h>

enum { MAP_SIZE_MIN = 1024, KIND_FRAGMENT = 255 };

static uint64_t hash(const struct rill_flow_key *key)
{
    uint32_t a = 1, b = 2;

    rte_jhash_32b_2hashes((const uint32_t *)key, sizeof(*key) / 4, &a, &b);
    return (uint64_t)a << 32 | b;
}

static struct rill_key_map_slot *find(const struct rill_key_map *map,
                                      const struct rill_flow_key *key)
{
    uint64_t i = hash(key) & (map->size - 1);

    while (map->slots[i].key.kind != 0 && memcmp(&map->slots[i].key, key, sizeof(*key)) != 0)
        i = (i + 1) & (map->size - 1);
    return &map->slots[i];
}

static int grow(struct rill_key_map *map)
{
    struct rill_key_map larger = {.count = map->count,
                                  .size = map->size != 0 ? 2 * map->size : MAP_SIZE_MIN};

    larger.slots = calloc(larger.size, sizeof(larger.slots[0]));
    if (larger.slots == NULL)
        return -1;
    for (uint64_t i = 0; i < map->size; i++) {
        if (map->slots[i].key.kind != 0)
            *find(&larger, &map->slots[i].key) = map->slots[i];
    }
    free(map->slots);
    *map = larger;
    return 0;
}

uint64_t *rill_key_map_at(struct rill_key_map *map, const struct rill_flow_key *key, uint64_t fresh)
{
    struct rill_key_map_slot *slot;

    if (2 * map->count >= map->size && grow(map) != 0)
        return NULL;
    slot = find(map, key);
    if (slot->key.kind == 0) {
        slot->key = *key;
        slot->value = fresh;
        map->count++;
    }
    return &slot->value;
}

void rill_key_map_fini(struct rill_key_map *map)
{
    free(map->slots);
    memset(map, 0, sizeof(*map));
}

/* A first fragment leaves its ports and protocol, a later one finds them. A new datagram that uses
 * an identification again comes with a first fragment of its own. In IPv6 the identification does
 * not depend on the protocol, and a later fragment need not show it. */
static int join_fragments(struct rill_trace_parser *parser, struct rill_view *view)
{
    struct rill_flow_key key = {.vni = view->fragment_id,
                                .kind = KIND_FRAGMENT,
                                .family = view->source.family,
                                .proto = view->source.family == 4 ? view->source.proto : 0};
    uint64_t *first;

    memcpy(key.addr_a, view->source.addr, sizeof(key.addr_a));
    memcpy(key.addr_b, view->destination.addr, sizeof(key.addr_b));
    first = rill_key_map_at(&parser->fragments, &key, (uint64_t)view->source.proto << 32);
    if (first == NULL)
        return -ENOMEM;
    if (view->flags & RILL_VIEW_LATER_FRAGMENT) {
        view->source.port = (uint16_t)(*first >> 16);
        view->destination.port = (uint16_t)*first;
        view->source.proto = view->destination.proto = (uint8_t)(*first >> 32);
    } else {
        *first = (uint64_t)view->source.proto << 32 | (uint64_t)view->source.port << 16 |
                 view->destination.port;
    }
    return 0;
}

enum rill_parse_result rill_trace_parse_one(const struct rill_capture_packet *packet,
                                            struct rill_view *view)
{
    /* The parser only reads; of the mbuf it looks at these fields. */
    struct rte_mbuf m = {.buf_addr = (void *)(uintptr_t)packet->data,
                         .data_len = (uint16_t)packet->bytes,
                         .pkt_len = packet->bytes,
                         .nb_segs = 1};

    return rill_parse(&m, packet->wire_bytes, view);
}

int rill_trace_parse(struct rill_trace_parser *parser, const struct rill_capture_packet *packet,
                     struct rill_view *view)
{
    enum rill_parse_result result = rill_trace_parse_one(packet, view);

    if (result == RILL_PARSE_OK && (view->flags & RILL_VIEW_FRAGMENT) != 0 &&
        join_fragments(parser, view) != 0)
        return -ENOMEM;
    return (int)result;
}

void rill_trace_parser_fini(struct rill_trace_parser *parser)
{
    rill_key_map_fini(&parser->fragments);
}

unsigned rill_trace_connection(const struct rill_view *view, struct rill_flow_key *key)
{
    bool error = view->flags & RILL_VIEW_ICMP_ERROR;
    const struct rill_endpoint *source = error ? &view->quoted_source : &view->source;
    bool from_a;

    rill_flow_key(view, RILL_INSIDE, RILL_KEY_CONNECTION, 0, key);
    from_a =
        memcmp(source->addr, key->addr_a, sizeof(source->addr)) == 0 && source->port == key->port_a;
    return error ? from_a : !from_a;
}
