/* Parses a capture's packets where they lie, and finds out what a later fragment belongs to: it
 * gets the ports of its first fragment, if that came before it.
 */
#ifndef RILL_TRACES_TRACE_PARSE_H
#define RILL_TRACES_TRACE_PARSE_H

#include "lib/packet/flow_key.h"
#include "lib/packet/parse.h"
#include "traces/capture.h"

/* From a key to a number: open addressing, grows. Zeroed memory is an empty map. */
struct rill_key_map_slot {
    struct rill_flow_key key; /* kind 0: free */
    uint64_t value;
};
struct rill_key_map {
    struct rill_key_map_slot *slots;
    uint64_t count, size;
};

/* The value of `key`, which is put in with value `fresh` if it is not there. Valid until the next
 * call. NULL if there is no memory. */
uint64_t *rill_key_map_at(struct rill_key_map *map, const struct rill_flow_key *key,
                          uint64_t fresh);
void rill_key_map_fini(struct rill_key_map *map);

struct rill_trace_parser {
    struct rill_key_map fragments; /* zeroed memory is a new parser */
};

/* The packet by itself: a later fragment has no ports. */
enum rill_parse_result rill_trace_parse_one(const struct rill_capture_packet *packet,
                                            struct rill_view *view);
/* Of packets in order. A result of enum rill_parse_result, or -ENOMEM. */
int rill_trace_parse(struct rill_trace_parser *parser, const struct rill_capture_packet *packet,
                     struct rill_view *view);
void rill_trace_parser_fini(struct rill_trace_parser *parser);

/* The key of the packet's connection, and whether the packet goes from the key's second endpoint to
 * its first (1) or the other way (0). An ICMP error goes against the packet that it quotes. */
unsigned rill_trace_connection(const struct rill_view *view, struct rill_flow_key *key);

#endif
