/* Both ends of a replayed capture: the hosts inside and the hosts outside.
 *
 * A capture was taken without our NF in the path, so its replies are addressed to hosts that (a
 * NAT) or from hosts that (a load balancer) the NF now hides. This module decides each packet's
 * side, learns from the packets released to the outside what a connection became there (its inside
 * endpoint as the outside sees it, and its peer as the NF chose it), and rewrites the capture's
 * replies to that before they go in. A reply whose connection is not mapped yet goes in as it is.
 *
 * It also checks what is released: towards the inside a packet must be, byte for byte, what the
 * capture holds (a checksum of 0xffff counts as 0); towards the outside it must differ only where
 * the NF may write (rill_writes), with checksums right exactly where they were right before, and a
 * connection must keep what it was mapped to, until it is opened anew or was idle for a minute. One
 * from the inside that the NF turned round comes out there with both ends rewritten, and else as it
 * was.
 *
 * Sans-IO: no file, no clock. One thread.
 */
#ifndef RILL_TRACES_ENDS_H
#define RILL_TRACES_ENDS_H

#include <rte_mbuf.h>

#include "lib/base/error.h"
#include "lib/base/role.h"
#include "traces/capture.h"

struct rill_ends;

struct rill_ends_counters {
    uint64_t inside_packets, outside_packets; /* by side of ingress */
    uint64_t replies_rewritten;               /* went in changed */
    uint64_t replies_unmapped; /* went in as they are: their connection was not known */
    uint64_t inverse_checked;  /* released to the inside and compared */
    uint64_t inverse_mismatches;
    uint64_t
        inverse_unchecked;    /* released to the inside and not compared: the NF does not invert */
    uint64_t outward_checked; /* released to the outside, or turned round, and compared */
    uint64_t outward_mismatches;
    uint64_t mappings_changed;  /* of connections, though they had not been idle: only right where
                                 * the  flow had to begin anew, which who ran it must say */
    uint64_t first_mismatch_id; /* number of the first packet that did not match; 0: none */
};

struct rill_ends_config {
    const struct rill_capture *capture; /* must outlive it */
    /* "10.0.0.0/8,2001:db8::/32": who is inside, judged by a packet's source. NULL: the side that
     * opened the connection. What is not IP, or malformed, comes from the inside. */
    const char *inside_prefixes;
    uint32_t writes;       /* enum rill_writes of the NF */
    bool inverts;          /* RILL_NF_INVERTS: check towards the inside */
    bool turns;            /* RILL_NF_TURNS: what came from the inside may leave there */
    uint64_t flow_idle_ns; /* a connection that was idle for so long may be forgotten; not 0 */
    bool handles_errors;   /* the NF handles ICMP errors; else they go in as they are */
};

/* NULL with *err: a prefix that can't be read (named), no memory. */
struct rill_ends *rill_ends_create(const struct rill_ends_config *config, struct rill_error *err);
void rill_ends_destroy(struct rill_ends *ends); /* NULL is fine */

/* Packet `index` (from 0) of the capture is about to go in: says on which side, and rewrites the
 * copy in m (whose frame metadata is the caller's business) if it is a reply whose connection is
 * mapped. */
enum rill_side rill_ends_ingress(struct rill_ends *ends, uint64_t index, struct rte_mbuf *m);

/* Packet `index` was released towards `side` as m, at now_ns of the run: learns and checks. False
 * if a check failed. */
bool rill_ends_released(struct rill_ends *ends, uint64_t index, enum rill_side side,
                        const struct rte_mbuf *m, uint64_t now_ns);

const struct rill_ends_counters *rill_ends_counters(const struct rill_ends *ends);

#endif
