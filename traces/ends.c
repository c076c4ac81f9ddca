#include "traces/ends.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rill/nf.h>

#include "lib/packet/rewrite.h"
#include "traces/ends_check.h"
#include "traces/ends_prefix.h"
#include "traces/trace_parse.h"

enum { TCP_SYN = 2, TCP_ACK = 16, ICMP4_ECHO_REPLY = 0, ICMP6_ECHO_REPLY = 129 };

/* What one direction of a connection became on its way out. */
struct ends_mapping {
    struct rill_endpoint source, destination; /* as released */
    uint64_t last_ns;                         /* time in the capture of the last such packet */
    bool known;
};

/* By direction: that of a key's packets from a to b, and from b to a (rill_trace_connection). */
struct ends_connection {
    struct ends_mapping mapping[2];
    uint8_t opener; /* direction of the packets of the side that opened it */
};

/* What is known of a packet before anything is replayed. */
struct ends_packet {
    uint32_t connection; /* index; NO_CONNECTION: not parsed */
    uint8_t direction;
    uint8_t side; /* on which it goes in */
};
enum { NO_CONNECTION = UINT32_MAX };

struct rill_ends {
    struct rill_ends_config config;
    struct ends_prefixes prefixes;
    struct ends_packet *packets;
    struct ends_connection *connections;
    uint32_t connection_count, connection_room;
    struct rill_ends_counters counters;
};

/* ---- sides ---- */

struct ends_scan {
    struct rill_ends *ends;
    struct rill_trace_parser parser;
    struct rill_key_map map; /* to index of connection */
};

static bool is_answer(const struct rill_capture_packet *p, const struct rill_view *v)
{
    if (v->flags & RILL_VIEW_ICMP_ECHO)
        return p->data[v->l4_off] == (v->source.family == 4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY);
    return (v->flags & RILL_VIEW_ICMP_ERROR) != 0 ||
           (v->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

static int add_connection(struct rill_ends *ends)
{
    if (ends->connection_count == NO_CONNECTION)
        return -ENOMEM;
    if (ends->connection_count == ends->connection_room) {
        uint32_t room = ends->connection_room < 1024 ? 1024 : 2 * ends->connection_room;
        struct ends_connection *list = reallocarray(ends->connections, room, sizeof(*list));

        if (list == NULL)
            return -ENOMEM;
        ends->connections = list;
        ends->connection_room = room;
    }
    memset(&ends->connections[ends->connection_count++], 0, sizeof(ends->connections[0]));
    return 0;
}

static enum rill_side side_of(const struct rill_ends *ends, const struct ends_packet *r,
                              const struct rill_view *v)
{
    if (ends->config.inside_prefixes == NULL)
        return r->direction == ends->connections[r->connection].opener ? RILL_INSIDE : RILL_OUTSIDE;
    /* An error goes to where the packet that it quotes came from. */
    if (v->flags & RILL_VIEW_ICMP_ERROR)
        return rill_ends_prefixes_have(&ends->prefixes, &v->quoted_source) ? RILL_OUTSIDE
                                                                           : RILL_INSIDE;
    return rill_ends_prefixes_have(&ends->prefixes, &v->source) ? RILL_INSIDE : RILL_OUTSIDE;
}

static int scan_packet(struct ends_scan *scan, uint64_t index)
{
    struct rill_ends *ends = scan->ends;
    const struct rill_capture_packet *p = &ends->config.capture->packets[index];
    struct ends_packet *r = &ends->packets[index];
    struct rill_view view;
    struct rill_flow_key key;
    uint64_t *connection;
    int result = rill_trace_parse(&scan->parser, p, &view);

    *r = (struct ends_packet){.connection = NO_CONNECTION, .side = RILL_INSIDE};
    if (result != RILL_PARSE_OK)
        return result < 0 ? result : 0;
    r->direction = (uint8_t)rill_trace_connection(&view, &key);
    connection = rill_key_map_at(&scan->map, &key, ends->connection_count);
    if (connection == NULL)
        return -ENOMEM;
    r->connection = (uint32_t)*connection;
    if (r->connection == ends->connection_count) {
        if (add_connection(ends) != 0)
            return -ENOMEM;
        ends->connections[r->connection].opener = r->direction ^ is_answer(p, &view);
    }
    r->side = (uint8_t)side_of(ends, r, &view);
    return 0;
}

static int scan_capture(struct rill_ends *ends)
{
    struct ends_scan scan = {.ends = ends};
    int rc = 0;

    for (uint64_t i = 0; i < ends->config.capture->count && rc == 0; i++)
        rc = scan_packet(&scan, i);
    rill_key_map_fini(&scan.map);
    rill_trace_parser_fini(&scan.parser);
    return rc;
}

struct rill_ends *rill_ends_create(const struct rill_ends_config *config, struct rill_error *err)
{
    struct rill_ends *ends = calloc(1, sizeof(*ends));
    uint64_t count = config->capture->count;

    if (ends != NULL) {
        ends->config = *config;
        if (config->inside_prefixes != NULL &&
            rill_ends_prefixes_read(&ends->prefixes, config->inside_prefixes, err) != 0) {
            free(ends);
            return NULL;
        }
        ends->packets = reallocarray(NULL, count, sizeof(ends->packets[0]));
    }
    if (ends == NULL || ends->packets == NULL || scan_capture(ends) != 0) {
        rill_error_set(err, -ENOMEM, "no memory to follow %" PRIu64 " packets", count);
        rill_ends_destroy(ends);
        return NULL;
    }
    return ends;
}

void rill_ends_destroy(struct rill_ends *ends)
{
    if (ends == NULL)
        return;
    rill_ends_prefixes_fini(&ends->prefixes);
    free(ends->packets);
    free(ends->connections);
    free(ends);
}

const struct rill_ends_counters *rill_ends_counters(const struct rill_ends *ends)
{
    return &ends->counters;
}

/* ---- going in ---- */

/* Sets an endpoint of the packet to what the outside knows it as. True if that changed it. A later
 * fragment has no port, and may not show its protocol. */
static bool rewrite_to(int (*set)(struct rte_mbuf *, struct rill_view *,
                                  const struct rill_endpoint *),
                       struct rte_mbuf *m, struct rill_view *v, const struct rill_endpoint *from,
                       const struct rill_endpoint *mapped)
{
    struct rill_endpoint to = *mapped;

    to.proto = from->proto;
    if (v->flags & RILL_VIEW_LATER_FRAGMENT)
        to.port = from->port;
    return !rill_endpoint_equal(from, &to) && set(m, v, &to) == 0;
}

static bool rewrite_error(struct rte_mbuf *m, struct rill_view *v, const struct ends_mapping *out)
{
    struct rill_endpoint outer = v->destination;
    bool changed;

    memcpy(outer.addr, out->source.addr, sizeof(outer.addr));
    changed = rewrite_to(rill_rewrite_destination, m, v, &v->destination, &outer);
    changed |= rewrite_to(rill_rewrite_quoted_source, m, v, &v->quoted_source, &out->source);
    changed |= rewrite_to(rill_rewrite_quoted_destination, m, v, &v->quoted_destination,
                          &out->destination);
    return changed;
}

static void rewrite_reply(struct rill_ends *ends, uint64_t index, struct rte_mbuf *m)
{
    const struct ends_packet *r = &ends->packets[index];
    const struct ends_mapping *out;
    struct rill_view v;
    bool changed;

    if (r->connection == NO_CONNECTION)
        return;
    out = &ends->connections[r->connection].mapping[!r->direction];
    if (!out->known ||
        rill_parse(m, ends->config.capture->packets[index].wire_bytes, &v) != RILL_PARSE_OK) {
        ends->counters.replies_unmapped++;
        return;
    }
    if (v.flags & RILL_VIEW_ICMP_ERROR) {
        changed = ends->config.handles_errors && rewrite_error(m, &v, out);
    } else {
        changed = rewrite_to(rill_rewrite_destination, m, &v, &v.destination, &out->source);
        changed |= rewrite_to(rill_rewrite_source, m, &v, &v.source, &out->destination);
    }
    ends->counters.replies_rewritten += changed;
}

enum rill_side rill_ends_ingress(struct rill_ends *ends, uint64_t index, struct rte_mbuf *m)
{
    enum rill_side side = (enum rill_side)ends->packets[index].side;

    if (side == RILL_INSIDE) {
        ends->counters.inside_packets++;
    } else {
        ends->counters.outside_packets++;
        rewrite_reply(ends, index, m);
    }
    return side;
}

/* ---- coming out ---- */

/* A connection keeps what it was mapped to, unless it is opened anew or was idle for so long that
 * the NF may have forgotten it: half of flow_idle, as it is measured here at the way out. Learns.
 */
static bool learn(struct rill_ends *ends, uint64_t index, const struct rte_mbuf *m, uint64_t now_ns)
{
    const struct rill_capture_packet *p = &ends->config.capture->packets[index];
    const struct ends_packet *r = &ends->packets[index];
    struct ends_mapping *out = &ends->connections[r->connection].mapping[r->direction];
    struct rill_view v;
    bool kept, fresh;

    if (rill_parse(m, p->wire_bytes, &v) != RILL_PARSE_OK)
        return true; /* its headers are longer than a buffer */
    if (v.flags & (RILL_VIEW_LATER_FRAGMENT | RILL_VIEW_ICMP_ERROR))
        return true;
    fresh = !out->known || (v.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN ||
            (now_ns > out->last_ns && now_ns - out->last_ns >= ends->config.flow_idle_ns / 2);
    kept = rill_endpoint_equal(&v.source, &out->source) &&
           rill_endpoint_equal(&v.destination, &out->destination);
    out->source = v.source;
    out->destination = v.destination;
    out->last_ns = now_ns;
    out->known = true;
    return fresh || kept;
}

/* A connection that was mapped already comes out as the same, if this packet is of one. */
static bool keeps_mapping(struct rill_ends *ends, uint64_t index,
                          const struct ends_original *original, const struct rte_mbuf *m,
                          uint64_t now_ns)
{
    return original->view == NULL || ends->packets[index].side != RILL_INSIDE ||
           learn(ends, index, m, now_ns);
}

static bool mismatch(struct rill_ends *ends, uint64_t index, uint64_t *counter)
{
    (*counter)++;
    if (ends->counters.first_mismatch_id == 0)
        ends->counters.first_mismatch_id = index + 1;
    return false;
}

static bool check_turned(struct rill_ends *ends, uint64_t index,
                         const struct ends_original *original, const struct rte_mbuf *m)
{
    ends->counters.outward_checked++;
    if (rill_ends_check_turned(original, m, ends->config.writes))
        return true;
    return mismatch(ends, index, &ends->counters.outward_mismatches);
}

bool rill_ends_released(struct rill_ends *ends, uint64_t index, enum rill_side side,
                        const struct rte_mbuf *m, uint64_t now_ns)
{
    struct ends_original original = {.packet = &ends->config.capture->packets[index]};
    bool back = ends->packets[index].side == (uint8_t)side; /* to where it came in from */
    struct rill_view view;

    if (ends->packets[index].connection != NO_CONNECTION) {
        rill_trace_parse_one(original.packet, &view);
        original.view = &view;
    }
    if (side == RILL_OUTSIDE) {
        bool kept = keeps_mapping(ends, index, &original, m, now_ns);

        ends->counters.outward_checked++;
        ends->counters.mappings_changed += !kept;
        if (!back && rill_ends_check_outward(&original, m, ends->config.writes))
            return kept;
        return mismatch(ends, index, &ends->counters.outward_mismatches);
    }
    if (back && ends->config.turns)
        return check_turned(ends, index, &original, m);
    if (!ends->config.inverts) {
        ends->counters.inverse_unchecked++;
        return true;
    }
    ends->counters.inverse_checked++;
    if (!back && rill_ends_check_inverse(&original, m))
        return true;
    return mismatch(ends, index, &ends->counters.inverse_mismatches);
}
