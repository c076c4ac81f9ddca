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
#define RILL_NF_ABI 3

struct rill_nf;     /* one instance of an NF: one in each unit */
struct rill_pkt;    /* the packet at hand */
struct rill_table;  /* a state table */
struct rill_pool;   /* a pool of endpoints (public address and port) that no two flows may share */
struct rill_load;   /* a version of an object of the configuration store, being read */
struct rill_shared; /* a table of sums that all flows share */
struct rill_record;

enum rill_verdict {
    RILL_FORWARD = 0,
    RILL_DROP = 1,
    /* As RILL_FORWARD, but what is outside never sees it: once released, it comes in from there, as
     * it is now, and goes to whose flow it leads to by then (a NAT's hairpin, RFC 4787, REQ-9).
     * Only of an NF with RILL_NF_TURNS, and of a packet from the inside; any other is dropped. */
    RILL_TURN = 2,
};

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
    RILL_NF_TURNS = 1 << 2, /* it turns packets round: RILL_TURN */
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
    /* The flow has ended: it was idle for long enough, and nobody will ask for its state again.
     * Runs at the flow's owner, at most once; what else happens to the state is of no consequence.
     * `pkt` has no packet (rewriting it fails, its payload is empty): only the flow's state, as
     * time that of its last packet as far as the unit knows it, and as source and destination what
     * the flow is known by, the smaller of its two endpoints first (address, then port); for an
     * endpoint's or a host's flow that one alone. No flow ends twice; one whose unit dies as it
     * ends may not be told of. May be NULL. */
    void (*flow_end)(struct rill_nf *nf, struct rill_pkt *pkt);
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
static inline void *rill_nf_private(struct rill_nf *nf);

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
 * that is to be written while packets flow: for sums there is rill_shared_create(). A global table
 * is filled in init and read afterwards.
 *
 * Zeros at the end of a flow's state do not travel, and of a large one the memory behind the last
 * byte that was ever put is not touched. So what few flows need stands at the end of the last
 * table's value, and is zeroed, and put, when it is not needed any more. */
struct rill_table *rill_table_create(struct rill_nf *nf, const char *name, enum rill_scope scope,
                                     enum rill_access access, size_t value_bytes);

/* The value of this packet's flow (per-flow) or of the instance (global): local memory, 8-byte
 * aligned, never NULL, valid until the call that got the packet returns. For a global table `pkt`
 * may be NULL. */
static inline void *rill_get(struct rill_table *table, struct rill_pkt *pkt);

/* Says that the bytes [offset, offset + bytes) of this flow's value have changed. What is not put
 * is lost when the flow moves: that is a bug of the NF, and the debug build finds it. */
static inline void rill_put(struct rill_table *table, struct rill_pkt *pkt, size_t offset,
                            size_t bytes);

/* True for the first packet that this flow's state has ever seen. */
static inline bool rill_flow_is_new(const struct rill_pkt *pkt);

/* This packet is the last of its flow's life: the next one begins another, with a state of zeros,
 * and may have another alias and endpoint. Packets that are under way to the NF already still come
 * here, and it says so again; those that wait for the flow's alias to be known are dropped. */
void rill_flow_restart(struct rill_pkt *pkt);

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

/* Only in init: a flow that the inside opens is to get the port that it has there, on one of the
 * pool's addresses, if it is free; else one that is even or odd as that is, if one is found soon.
 */
void rill_pool_preserve_ports(struct rill_pool *pool);

/* Takes an endpoint for this packet's flow, for as long as the flow lives. The flow must declare it
 * as its alias's local endpoint with the same packet. 0, or -1 if the unit has none left now
 * (more have been asked for: drop the packet and count it). */
int rill_pool_take(struct rill_pool *pool, struct rill_pkt *pkt, struct rill_endpoint *endpoint);

/* --- sums that flows share --------------------------------------------------------------------
 * For what belongs to no one flow: bytes of a host, hits of a rule. Packets only ever add; each
 * instance adds to a replica of its own, without a lock, and every merge_ms the replicas are taken
 * together, handed to merged() and begun anew. So all that merged() is given adds up to all that
 * was ever added, whichever units the flows were at, except for what a unit that died had added
 * since the last merge. No packet can read the sums. */

struct rill_shared_type {
    size_t key_bytes;     /* 1..64; all of a key's bytes count */
    unsigned sums;        /* of an entry: 1..16 */
    uint32_t entries_max; /* between two merges */
    /* What was added to the key's sums in [begin_ns, end_ns) of the cluster's clock, for each key
     * to which anything was; time to write a record. In a cluster each unit merges its own. */
    void (*merged)(struct rill_nf *nf, const void *key, const uint64_t *sums, uint64_t begin_ns,
                   uint64_t end_ns);
};

/* Only in init; at most 4. `type` must outlive the instance. NULL after rill_nf_error(). */
struct rill_shared *rill_shared_create(struct rill_nf *nf, const char *name,
                                       const struct rill_shared_type *type);
/* 0, or -1 if a new key finds entries_max of them: nothing is added, and the counter
 * shared_overflow has one more. */
int rill_shared_add(struct rill_shared *table, const void *key, const uint64_t *sums);

/* --- objects of the configuration store ------------------------------------------------------
 * What is too large for an option, or changes while packets flow: rule sets, lists of backends. The
 * store (a folder, or Redis) keeps it as text under a name; an option of type RILL_OPT_STRING holds
 * that name, empty for none. Every new version is read and judged beside the packets. Where it is
 * bad, its error is told and the version before stays; else it takes that one's place between two
 * packets. */

struct rill_object_type {
    /* What process_packet needs, built from the text (not ended by a zero). NULL after
     * rill_load_error(). May take its time; runs in any thread, so it touches nothing but its
     * arguments, and what it returns is not written any more: instances share it. */
    void *(*load)(struct rill_load *load, const struct rill_config *config, const char *text,
                  size_t bytes);
    void (*unload)(void *object);
    /* On the instance's thread, before the first packet that sees `object`: for what the instance
     * itself has to make for it. 0, or -1 after rill_nf_error(): the version is refused. May be
     * NULL. */
    int (*changed)(struct rill_nf *nf, const void *object);
};

/* Says that the option `option` names an object, only in init; at most 8. Returns its index, -1
 * after rill_nf_error(). `type` must outlive the instance. */
int rill_object_declare(struct rill_nf *nf, const char *option,
                        const struct rill_object_type *type);
/* The present version: valid until the call that asked returns. NULL: the option is empty. Never
 * NULL in process_packet otherwise: no packet comes before the first version was read. */
const void *rill_object(struct rill_nf *nf, int index);

/* Why the text is refused, in one line; `line` counts from 1, 0 for none. Returns NULL. */
void *rill_load_error(struct rill_load *load, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What is left out of it, though it is taken: a rule with a keyword that is not known. Whoever runs
 * the NF is told of the first few, with their lines, and how many there were. */
void rill_load_skip(struct rill_load *load, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- records ---------------------------------------------------------------------------------
 * Lines of JSON for other programs: alerts, ends of flows. One at a time:
 *
 *     struct rill_record *record = rill_record_begin(nf, pkt, "alert");
 *
 *     rill_record_open(record, "alert");
 *     rill_record_number(record, "signature_id", rule->sid);
 *     rill_record_text(record, "signature", rule->msg);
 *     rill_record_close(record);
 *     rill_record_end(record);
 *
 * gives {"timestamp": ..., "flow_id": ..., "event_type": "alert", "src_ip": ..., "src_port": ...,
 * "dest_ip": ..., "dest_port": ..., "proto": "TCP", "alert": {"signature_id": ..., ...}}, with
 * names as in Suricata's EVE, and addresses as the packet came in. Written when the packet is
 * processed: if the unit dies before it was released, the record may tell of a packet that never
 * was. A line that would be longer than 4,000 bytes is not written, and counted. */
struct rill_record *rill_record_begin(struct rill_nf *nf, const struct rill_pkt *pkt,
                                      const char *event_type); /* pkt NULL: no packet, no time */
void rill_record_open(struct rill_record *record, const char *name); /* an object within */
void rill_record_close(struct rill_record *record);
void rill_record_number(struct rill_record *record, const char *name, uint64_t value);
void rill_record_text(struct rill_record *record, const char *name, const char *text); /* UTF-8 */
void rill_record_address(struct rill_record *record, const char *name,
                         const struct rill_endpoint *endpoint); /* its address alone */
void rill_record_time(struct rill_record *record, const char *name, uint64_t time_ns);
void rill_record_end(struct rill_record *record);

/* --- packet --------------------------------------------------------------------------------- */

/* The side that it came in on: true for the inside. */
static inline bool rill_pkt_from_inside(const struct rill_pkt *pkt);
/* When it came in, in nanoseconds of the cluster's clock. The only clock that an NF has. */
static inline uint64_t rill_pkt_time_ns(const struct rill_pkt *pkt);
/* Bytes on the wire, Ethernet header included, checksum trailer not. */
static inline uint32_t rill_pkt_bytes(const struct rill_pkt *pkt);
/* Of these the IP packet's, its header included, as it says itself. */
uint32_t rill_pkt_ip_bytes(const struct rill_pkt *pkt);

/* The packet's own source and destination. A fragment that is not the first has the ports of its
 * first. For an ICMP echo both ports are the identifier. */
static inline void rill_pkt_source(const struct rill_pkt *pkt, struct rill_endpoint *source);
static inline void rill_pkt_destination(const struct rill_pkt *pkt,
                                        struct rill_endpoint *destination);

/* Rewrite address and port (or ICMP identifier; both directions of an echo share it). Checksums are
 * fixed incrementally (RFC 1624, equation 3); a UDP checksum of zero stays zero; a fragment that is
 * not the first has its address rewritten only. Family and protocol must be the packet's own.
 * 0, or -1 and nothing changed. */
int rill_pkt_set_source(struct rill_pkt *pkt, const struct rill_endpoint *source);
int rill_pkt_set_destination(struct rill_pkt *pkt, const struct rill_endpoint *destination);

/* TCP flags byte (FIN 1, SYN 2, RST 4, ...), 0 where the packet has no TCP header. */
static inline uint8_t rill_pkt_tcp_flags(const struct rill_pkt *pkt);
/* Sequence and acknowledgement number; false where the packet has no TCP header. */
bool rill_pkt_tcp_numbers(const struct rill_pkt *pkt, uint32_t *sequence,
                          uint32_t *acknowledgement);

/* A fragment of an IP packet; and one that is not the first, which has no header of TCP or UDP. */
static inline bool rill_pkt_is_fragment(const struct rill_pkt *pkt);
static inline bool rill_pkt_is_later_fragment(const struct rill_pkt *pkt);

/* The IP header (RFC 791, RFC 8200), extension headers and options included, and behind it all that
 * lies in one piece with it: *bytes of it, at least 20 or 40. For what has no function of its own
 * here; read only. NULL where there is no packet (flow_end). */
const uint8_t *rill_pkt_ip(const struct rill_pkt *pkt, uint32_t *bytes);
/* What IP carries, from its header on, as far as it lies in one piece: of TCP at least 20 bytes, of
 * UDP, ICMP and ICMPv6 8. NULL where there is nothing: in later fragments, and if a capture has cut
 * it. */
const uint8_t *rill_pkt_transport(const struct rill_pkt *pkt, uint32_t *bytes);

/* What TCP, UDP, ICMP or ICMPv6 carries (behind 8 bytes of ICMP's, whatever its type), of other
 * protocols what IP carries; by IP's own length (no padding of the frame), as far as it is here: a
 * capture may have cut it. `offset` bytes into it, the run that lies in one piece, its length in
 * *bytes; NULL at its end, and for later fragments. So
 *
 *     while ((piece = rill_pkt_payload(pkt, offset, &bytes)) != NULL)
 *         offset += bytes;
 *
 * sees all of it. Read only. */
const uint8_t *rill_pkt_payload(const struct rill_pkt *pkt, uint32_t offset, uint32_t *bytes);
/* How many bytes the whole is, on the wire: what is not here included. */
uint32_t rill_pkt_payload_bytes(const struct rill_pkt *pkt);

/* The differentiated services code point, 0..63 (RFC 2474). Setting it leaves ECN alone and fixes
 * IPv4's checksum; 0, or -1 and nothing changed for a value over 63. */
uint8_t rill_pkt_dscp(const struct rill_pkt *pkt);
int rill_pkt_set_dscp(struct rill_pkt *pkt, uint8_t dscp);

/* An ICMP error quotes the packet that it is about. False where this packet is none. The quoted
 * packet is as it went, so the error travels against it. */
static inline bool rill_pkt_quoted(const struct rill_pkt *pkt, struct rill_endpoint *source,
                                   struct rill_endpoint *destination);
/* Rewrite the quoted packet's endpoints, with all checksums within (RFC 5508, 4.2). 0, or -1 and
 * nothing changed. The error's own addresses are set by rill_pkt_set_source() and _destination().
 */
int rill_pkt_set_quoted_source(struct rill_pkt *pkt, const struct rill_endpoint *source);
int rill_pkt_set_quoted_destination(struct rill_pkt *pkt, const struct rill_endpoint *destination);

#include <rill/nf_inline.h>

#ifdef __cplusplus
}
#endif

#endif
