/* What a capture holds: what `rill trace info FILE` prints. */
#ifndef RILL_TRACES_INFO_H
#define RILL_TRACES_INFO_H

#include <stdint.h>
#include <stdio.h>

#include "lib/base/error.h"
#include "lib/packet/parse.h"
#include "traces/capture.h"

/* The flowlets that it would be cut into at Rill's default settings. */
enum { RILL_INFO_FLOWLET_GAP_US = 500, RILL_INFO_FLOWLET_BYTES = 15000 };

struct rill_trace_info {
    const char *format;
    uint64_t packets;
    uint64_t bytes, captured_bytes; /* bytes: on the wire */
    uint64_t snapped;               /* packets with fewer bytes captured than on the wire */
    uint64_t duration_ns;           /* from the first packet to the last */
    uint64_t mean_bps;              /* bits per second; 0 if the duration is 0 */
    uint64_t peak_bps;              /* over any 100 ms; the mean if the capture is shorter */
    uint32_t size_min, size_median, size_max;             /* bytes of a packet on the wire */
    uint64_t flows;                                       /* connections, both directions as one */
    uint64_t flows_one_way;                               /* each direction as one */
    uint64_t flowlets, flowlets_by_gap, flowlets_by_size; /* the rest: a flow's first */
    uint64_t ip4, ip6, vlan, fragments, tcp, udp, icmp;   /* packets */
    uint64_t other_ip;                                    /* packets of other protocols over IP */
    uint64_t results[RILL_PARSE_RESULTS];                 /* packets, by what the parser says */
    uint64_t backwards; /* packets earlier than one before them; counted as at the same time */
};

/* 0, or -ENOMEM with *err. */
int rill_trace_info(const struct rill_capture *capture, struct rill_trace_info *info,
                    struct rill_error *err);
void rill_trace_info_print(const struct rill_trace_info *info, const char *path, FILE *out);

#endif
