/* The host's side of rill/nf.h: an instance of an NF, its tables' layout, its pools, and the packet
 * that it is shown. The unit's core (unit.h) drives it; it knows nothing of flowlets, terms or
 * peers.
 *
 * A flow's state is one block of bytes of fixed size: struct rill_state_head first, then the
 * per-flow tables' values in order of creation, each 8-byte aligned. All zeros is a flow that was
 * just born.
 */
#ifndef RILL_NF_RUNTIME_NF_HOST_H
#define RILL_NF_RUNTIME_NF_HOST_H

#include <rill/nf.h>

#include "lib/base/error.h"
#include "lib/base/object_name.h"
#include "lib/base/role.h"
#include "lib/frame/body.h"
#include "lib/packet/parse.h"

enum {
    RILL_NF_COUNTERS_MAX = 32,
    RILL_NF_TABLES_MAX = 8,
    RILL_NF_POOLS_MAX = 8,
    RILL_NF_OBJECTS_MAX = 8,
    RILL_NF_SHARED_MAX = 4,
    RILL_SHARED_KEY_MAX = 64,
    RILL_SHARED_SUMS_MAX = 16,
    RILL_LOAD_SKIPS_SHOWN = 5,
    RILL_LOAD_SKIP_BYTES = 256,
    RILL_RECORD_BYTES_MAX = 4000,
};

/* What an NF is shown. Filled by the unit for each packet; lives on its stack. */
struct rill_pkt {
    /* struct rill_pkt_head: what an NF reads without a call */
    uint8_t *state; /* the flow's block, rill_nf_state_bytes() long */
    uint64_t time_ns;
    /* Changed bytes [low, high) of it; low >= high: none. Set by the API functions; the unit starts
     * with low = UINT32_MAX, high = 0. */
    uint32_t dirty_low, dirty_high;
    uint32_t wire_bytes;
    enum rill_side side; /* where it came in */
    bool is_new;         /* nothing has been processed on this state before */
    bool checks_puts;    /* set by rill_nf_process() */
    uint16_t zero[3];
    struct rill_view view; /* of a later fragment: with the ports of its first */
    /* the rest */
    struct rte_mbuf *m; /* NULL: none, the flow has ended */
    uint64_t flow;      /* its number */
    uint32_t slot;      /* its flow's controller's: endpoints come from its part of the pools */
    bool has_kept;      /* the controller keeps this endpoint for the flow */
    unsigned kept_pool;
    uint32_t kept_index;
    bool ended; /* there is no packet: the flow has ended */
    bool ends;  /* the NF says that its flow's life ends with it; false at first */
    /* The NF has rewritten it: what it was is kept for records. Both false at first. */
    bool source_set, destination_set;
    struct rill_endpoint source_in, destination_in;
    struct rill_nf *nf;
};
#define RILL_IS_HEAD(field, at)                                                                    \
    _Static_assert(offsetof(struct rill_pkt, at) == offsetof(struct rill_pkt_head, field),         \
                   "struct rill_pkt_head is its beginning")
RILL_IS_HEAD(state, state);
RILL_IS_HEAD(time_ns, time_ns);
RILL_IS_HEAD(dirty_low, dirty_low);
RILL_IS_HEAD(dirty_high, dirty_high);
RILL_IS_HEAD(wire_bytes, wire_bytes);
RILL_IS_HEAD(side, side);
RILL_IS_HEAD(is_new, is_new);
RILL_IS_HEAD(checks_puts, checks_puts);
RILL_IS_HEAD(flags, view.flags);
RILL_IS_HEAD(tcp_flags, view.tcp_flags);
RILL_IS_HEAD(source, view.source);
RILL_IS_HEAD(destination, view.destination);
_Static_assert((int)RILL_HEAD_FRAGMENT == RILL_VIEW_FRAGMENT &&
                   (int)RILL_HEAD_LATER_FRAGMENT == RILL_VIEW_LATER_FRAGMENT &&
                   (int)RILL_HEAD_QUOTES == RILL_VIEW_ICMP_ERROR && RILL_INSIDE == 0 &&
                   sizeof(enum rill_side) == sizeof(uint32_t),
               "what <rill/nf_inline.h> takes them for");

/* -EINVAL and a line in *err: built for another RILL_NF_ABI, or something is missing or unknown. */
int rill_nf_descriptor_check(const struct rill_nf_descriptor *descriptor, struct rill_error *err);

/* An instance: runs the descriptor's init with `config`. The config must outlive it. NULL with the
 * NF's own line, or why the descriptor is no good, in *err. No I/O, no clock. */
struct rill_nf *rill_nf_create(const struct rill_nf_descriptor *descriptor,
                               const struct rill_config *config, struct rill_error *err);
void rill_nf_destroy(struct rill_nf *nf); /* NULL is fine */

const struct rill_nf_descriptor *rill_nf_descriptor(const struct rill_nf *nf);
uint32_t rill_nf_state_bytes(const struct rill_nf *nf); /* a multiple of 8; fixed after init */

/* Shows the packet to the NF; sets pkt->nf. `pkt->state` is 8-byte aligned. A packet that took an
 * endpoint from a pool and did not declare it as its flow's alias is dropped, and the endpoint goes
 * back.
 *
 * Where RILL_CHECK_PUTS is defined (debug and sanitizer builds) it also checks that no byte of the
 * state changed that was not put and that no global table changed at all, and aborts with a line
 * that names the table if one did. */
enum rill_verdict rill_nf_process(struct rill_nf *nf, struct rill_pkt *pkt);

/* The flow has ended: flow_end of the NF, if it has one. `pkt` without a packet: m is NULL. */
void rill_nf_flow_end(struct rill_nf *nf, struct rill_pkt *pkt);

/* Where lines of rill_log() go, from all NFs of the process; NULL, as at first: nowhere. */
void rill_nf_log_to(void (*log)(const char *nf, const char *line));

/* Where lines of records go, from all NFs of the process; NULL, as at first: nowhere (they are
 * counted all the same). A line has no newline, and a zero behind its last byte. */
struct rill_record_sink {
    void (*write)(void *arg, const char *nf, const char *line, size_t bytes);
    void *arg;
    int64_t utc_offset_ns; /* added to the cluster's clock it gives nanoseconds since 1970, UTC */
};
void rill_nf_record_to(const struct rill_record_sink *sink);

/* Counters: name and value of the i-th, false past the end. An NF that makes records has two more,
 * records_written and records_too_long; one with
 * shared tables has shared_overflow. */
bool rill_nf_counter(const struct rill_nf *nf, unsigned i, const char **name, uint64_t *value);

/* --- objects of the configuration store --------------------------------------------------------
 * What an instance declared in init stays as it is; so any thread may read its specs, and load
 * versions by them, while the instance works. Only setting one is for the instance's own thread. */
struct rill_object_spec {
    const char *nf, *option;
    const char *name; /* in the store; "": the option is empty, and there is nothing to load */
    const struct rill_object_type *type;
    const struct rill_config *config;
};
unsigned rill_nf_object_count(const struct rill_nf *nf);
const struct rill_object_spec *rill_nf_object_spec(const struct rill_nf *nf, unsigned i);

/* One version of an object, read: immutable and counted, for any number of instances and threads.
 * The NF's image and configuration outlive it. */
struct rill_object_version;

/* What was left out of a version that was taken, as "NAME:LINE: text". */
struct rill_load_report {
    uint32_t skipped;
    char lines[RILL_LOAD_SKIPS_SHOWN][RILL_LOAD_SKIP_BYTES]; /* of the first */
};

/* Any thread. The caller holds the one reference. NULL with "NAME:LINE: why" in *err. `version` is
 * what the store calls it, cut at 47 bytes. *report is written in either case. */
struct rill_object_version *rill_object_load(const struct rill_object_spec *spec,
                                             const char *version, const char *text, size_t bytes,
                                             struct rill_load_report *report,
                                             struct rill_error *err);
void rill_object_hold(struct rill_object_version *version);
/* The last reference frees it, which may take as long as reading it: a packet thread sees to it
 * that someone else holds one. NULL is fine. */
void rill_object_release(struct rill_object_version *version);
const char *rill_object_version_text(const struct rill_object_version *version);

/* Between two packets: the i-th object is this version from now on; the instance takes a reference,
 * and drops that of the one before. -EINVAL with a line where the NF refuses it: nothing changed.
 */
int rill_nf_object_set(struct rill_nf *nf, unsigned i, struct rill_object_version *version,
                       struct rill_error *err);
const char *rill_nf_object_version(const struct rill_nf *nf, unsigned i); /* "": none */
/* One that is named and has no version yet: packets have to wait. NULL: all are there. */
const struct rill_object_spec *rill_nf_object_missing(const struct rill_nf *nf);

/* --- sums that flows share ---------------------------------------------------------------------
 * All on the instances' own thread. */
unsigned rill_nf_shared_count(const struct rill_nf *nf);
/* What one instance has added becomes another's of the same NF. */
void rill_nf_shared_move(struct rill_nf *from, struct rill_nf *to);
/* Gives the NF all that this instance has, as added in [begin_ns, end_ns), and begins anew. */
void rill_nf_shared_merge(struct rill_nf *nf, uint64_t begin_ns, uint64_t end_ns);

/* --- pools: how the unit and the controller see them -------------------------------------------
 * An endpoint of a pool is known by its index: address number * ports + (port - port_low). */
struct rill_pool_spec {
    const char *name;
    enum rill_proto proto;
    uint8_t family;
    uint16_t port_low, port_high;
    uint32_t addresses;
    const uint8_t (*addr)[16]; /* `addresses` of them; lives as long as the instance */
    bool preserve_ports;
};
unsigned rill_nf_pool_count(const struct rill_nf *nf);
void rill_nf_pool_spec(const struct rill_nf *nf, unsigned pool, struct rill_pool_spec *spec);
uint32_t rill_pool_spec_size(const struct rill_pool_spec *spec); /* number of endpoints */
void rill_pool_spec_endpoint(const struct rill_pool_spec *spec, uint32_t index,
                             struct rill_endpoint *endpoint);
/* The index of an endpoint; -1 if it is not of this pool. */
int64_t rill_pool_spec_index(const struct rill_pool_spec *spec,
                             const struct rill_endpoint *endpoint);

/* Leased endpoints that the instance may give out now, to flows of the controller of that slot:
 * taken in the order in which they were given. `lease` is the number of their lease: an alias says
 * from which one its endpoint is. free(): of all slots. give(): 0, or nothing was given:
 * -ENOMEM, or -EINVAL for an index that the pool does not have. */
uint32_t rill_nf_pool_free(const struct rill_nf *nf, unsigned pool);
uint32_t rill_nf_pool_free_of(const struct rill_nf *nf, unsigned pool, uint32_t slot);
int rill_nf_pool_give(struct rill_nf *nf, unsigned pool, uint32_t slot, const uint32_t *indexes,
                      uint32_t n, uint64_t lease);
/* The i-th of these, counted from the one that was given last: takes do not move the others. False
 * past the end. */
bool rill_nf_pool_leased(const struct rill_nf *nf, unsigned pool, uint32_t slot, uint32_t i,
                         uint32_t *index, uint64_t *lease);

#endif
