/* The interface between a network function (NF) and Rill: all that an NF ever includes.
 *
 * An NF is a shared object that exports one descriptor, by RILL_NF(). It handles one packet at a
 * time, keeps its state in tables that the runtime owns, and knows nothing of flowlets, units,
 * replication, clocks or time zones of failure: the runtime moves, commits and recovers the state
 * by itself. (SNF, section 3: process_packet() with get and put; Serpens, III-B: typed tables.)
 *
 * Thread: the runtime calls an NF from one thread per instance. All units of one process share the
 * image, so an NF has no mutable globals; the loader refuses an image that has.
 *
 * What an NF may not do: block, allocate per packet, call a clock (use rill_pkt_time_ns), keep a
 * pointer from rill_get() or rill_pkt_*() beyond the call, or write a header past rill_pkt_set_*().
 */
#ifndef RILL_NF_H
#define RILL_NF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rill/endpoint.h>
#include <rill/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with every change that an older NF could not bear; the loader wants the very number. */
#define RILL_NF_ABI 1

struct rill_nf;    /* one instance of an NF: one in each unit */
struct rill_pkt;   /* the packet at hand */
struct rill_table; /* a state table */
struct rill_pool;  /* a pool of endpoints (public address and port) that no two flows may share */

enum rill_verdict { RILL_FORWARD = 0, RILL_DROP = 1 };

/* What a flow is for this NF: packets that share state and stay in order. */
enum rill_flow_scope {
    RILL_FLOW_CONNECTION,      /* both directions of a 5-tuple */
    RILL_FLOW_INSIDE_ENDPOINT, /* address, port and protocol on the inside */
    RILL_FLOW_INSIDE_HOST,     /* address on the inside */
    RILL_FLOW_OUTSIDE_HOST,    /* address on the outside */
};

/* What an NF handles; the rest passes by or is dropped, as the deployment says (`unhandled`). */
enum rill_handles {
    RILL_HANDLES_TCP4 = 1 << 0,
    RILL_HANDLES_UDP4 = 1 << 1,
    RILL_HANDLES_ICMP4_ECHO = 1 << 2,
    RILL_HANDLES_TCP6 = 1 << 3,
    RILL_HANDLES_UDP6 = 1 << 4,
    RILL_HANDLES_ICMP6_ECHO = 1 << 5,
    RILL_HANDLES_ICMP4_ERROR = 1 << 6, /* by the flow of the packet that the error quotes */
    RILL_HANDLES_ICMP6_ERROR = 1 << 7,
    RILL_HANDLES_OTHER4 = 1 << 8, /* IPv4 with any other protocol (ports are 0) */
    RILL_HANDLES_OTHER6 = 1 << 9,
};

enum rill_nf_flags {
    /* Only a packet from the inside opens a flow; one from the outside that leads to none is
     * dropped at the controller and counted `unsolicited` (RFC 4787, REQ-8). */
    RILL_NF_INSIDE_OPENS = 1 << 0,
    /* What the NF does to a packet towards the outside it takes back on the reply: a reply that is
     * released to the inside equals the one that the outside host sent to the untranslated peer.
     * `rill replay` then checks just that, byte for byte. */
    RILL_NF_INVERTS = 1 << 1,
};

/* Header fields that the NF may change on a packet towards the outside (checksums besides). */
enum rill_writes {
    RILL_WRITES_SOURCE = 1 << 0,      /* source address and port (or ICMP identifier) */
    RILL_WRITES_DESTINATION = 1 << 1, /* destination address and port (or ICMP identifier) */
    RILL_WRITES_DSCP = 1 << 2,
};

struct rill_nf_descriptor {
    uint32_t abi; /* RILL_NF_ABI */
    const char *name;
    const char *version;
    const char *summary; /* one line */
    enum rill_flow_scope flow_scope;
    uint32_t handles;                  /* enum rill_handles, or-ed */
    uint32_t flags;                    /* enum rill_nf_flags, or-ed */
    uint32_t writes;                   /* enum rill_writes, or-ed */
    bool unhandled_passes;             /* the default for packets that it does not handle */
    const struct rill_option *options; /* its configuration's schema; NULL: it has none */
    size_t instance_bytes; /* of private memory per instance, zeroed; see rill_nf_private() */

    /* Reads the configuration, creates tables and pools. 0, or -1 after rill_nf_error(). */
    int (*init)(struct rill_nf *nf, const struct rill_config *config);
    /* Handles one packet of one flow. */
    enum rill_verdict (*process_packet)(struct rill_nf *nf, struct rill_pkt *pkt);
    /* Frees what init took beyond tables, pools and private memory. May be NULL. */
    void (*fini)(struct rill_nf *nf);
};

/* The one exported symbol of an NF: RILL_NF(&my_descriptor); */
#define RILL_NF_SYMBOL "rill_nf_entry"
#define RILL_NF(descriptor_address)                                                                \
    __attribute__((                                                                                \
        visibility("default"))) extern const struct rill_nf_descriptor *const rill_nf_entry;       \
    const struct rill_nf_descriptor *const rill_nf_entry = (descriptor_address)

/* --- instance ------------------------------------------------------------------------------- */

/* The instance's private memory (instance_bytes, zeroed before init). Not moved, not replicated:
 * for what init derives from the configuration. */
void *rill_nf_private(struct rill_nf *nf);

/* Says why init fails, in one line that names the option. Returns -1. */
int rill_nf_error(struct rill_nf *nf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line for whoever runs the NF: a replay writes it to stderr, in a cluster `rill logs unit-N` has
 * it. Cut at 500 bytes, control characters replaced; no more than log_lines_per_s a second are
 * written, and of the others how many they were. For what happens for each packet, count. */
void rill_log(struct rill_nf *nf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A named counter of the NF, only in init. Returns its index, for rill_count(); -1 if there are
 * already 32. `name` must outlive the instance. */
int rill_counter(struct rill_nf *nf, const char *name);
void rill_count(struct rill_nf *nf, int counter, uint64_t n);

/* --- state ---------------------------------------------------------------------------------- */

enum rill_scope {
    RILL_PER_FLOW, /* one value for each flow; moved, committed and recovered with it */
    RILL_GLOBAL,   /* one value per instance */
};
enum rill_access { RILL_READ, RILL_WRITE };

/* Creates a table of values of value_bytes (1..60000), only in init. Every flow starts with a value
 * of zeros. NULL after rill_nf_error() if it can't be had: more than 8 tables, or a global table
 * that is to be written while packets flow (cross-flow state: not in this version). A global table
 * is filled in init and read afterwards. */
struct rill_table *rill_table_create(struct rill_nf *nf, const char *name, enum rill_scope scope,
                                     enum rill_access access, size_t value_bytes);

/* The value of this packet's flow (per-flow) or of the instance (global): local memory, 8-byte
 * aligned, never NULL, valid until the call that got the packet returns. For a global table `pkt`
 * may be NULL. */
void *rill_get(struct rill_table *table, struct rill_pkt *pkt);

/* Says that the bytes [offset, offset + bytes) of this flow's value have changed. What is not put
 * is lost when the flow moves: that is a bug of the NF, and the debug build finds it. */
void rill_put(struct rill_table *table, struct rill_pkt *pkt, size_t offset, size_t bytes);

/* True for the first packet that this flow's state has ever seen. */
bool rill_flow_is_new(const struct rill_pkt *pkt);

/* Declares that packets to `local` (from `remote`, or from anyone if NULL) that come in on the
 * other side belong to this flow: to a NAT's public endpoint from anyone, to a load balancer's
 * client from the backend. One alias a flow; the same one again is no change. Nothing of the flow
 * is released before the controller knows it. 0, or -1 if the flow has another alias already. */
int rill_flow_alias(struct rill_pkt *pkt, const struct rill_endpoint *local,
                    const struct rill_endpoint *remote);

/* A pool of endpoints: n addresses (as text, "192.0.2.1" or "2001:db8::1") times the ports
 * [port_low, port_high], for one protocol. Only in init; at most 8 pools. The controller leases
 * blocks of it to the unit and gets each endpoint back when the flow that took it has ended.
 * NULL after rill_nf_error() if an address or the range is bad. */
struct rill_pool *rill_pool_create(struct rill_nf *nf, const char *name,
                                   const char *const *addresses, size_t n, uint16_t port_low,
                                   uint16_t port_high, enum rill_proto proto);

/* Takes an endpoint for this packet's flow, for as long as the flow lives. The flow must declare it
 * as its alias's local endpoint with the same packet. 0, or -1 if the unit has none left now
 * (more have been asked for: drop the packet and count it). */
int rill_pool_take(struct rill_pool *pool, struct rill_pkt *pkt, struct rill_endpoint *endpoint);

/* --- packet --------------------------------------------------------------------------------- */

/* The side that it came in on: true for the inside. */
bool rill_pkt_from_inside(const struct rill_pkt *pkt);
/* When it came in, in nanoseconds of the cluster's clock. The only clock that an NF has. */
uint64_t rill_pkt_time_ns(const struct rill_pkt *pkt);
/* Bytes on the wire, Ethernet header included, checksum trailer not. */
uint32_t rill_pkt_bytes(const struct rill_pkt *pkt);

/* The packet's own source and destination. A fragment that is not the first has the ports of its
 * first. For an ICMP echo both ports are the identifier. */
void rill_pkt_source(const struct rill_pkt *pkt, struct rill_endpoint *source);
void rill_pkt_destination(const struct rill_pkt *pkt, struct rill_endpoint *destination);

/* Rewrite address and port (or ICMP identifier; both directions of an echo share it). Checksums are
 * fixed incrementally (RFC 1624, equation 3); a UDP checksum of zero stays zero; a fragment that is
 * not the first has its address rewritten only. Family and protocol must be the packet's own.
 * 0, or -1 and nothing changed. */
int rill_pkt_set_source(struct rill_pkt *pkt, const struct rill_endpoint *source);
int rill_pkt_set_destination(struct rill_pkt *pkt, const struct rill_endpoint *destination);

/* TCP flags byte (FIN 1, SYN 2, RST 4, ...), 0 where the packet has no TCP header. */
uint8_t rill_pkt_tcp_flags(const struct rill_pkt *pkt);

#ifdef __cplusplus
}
#endif

#endif
