/* Generates traffic: heavy-tailed flows, bursts, both directions, from a seed. The same settings
 * give the same packets, byte for byte, on every machine.
 *
 * Flows arrive as a Poisson process, faster for a part of each cycle; sizes are bounded Pareto
 * (mice and elephants); each flow sends bursts separated by gaps (log-normal), packets within a
 * burst back to back at the flow's line rate; TCP flows have handshake, data both ways with right
 * sequence numbers, and FIN; UDP flows request and reply; ICMP flows are echoes. Checksums are
 * right. Inside hosts are in 10.0.0.0/8, outside servers in 192.0.2.0/24 and 198.18.0.0/15 (IPv6:
 * 2001:db8:1::/48 and 2001:db8:2::/48). Connections are opened from the inside, and a reply follows
 * at least rtt_us after what it replies to. Times start at a fixed date.
 */
#ifndef RILL_TRACES_GENERATE_H
#define RILL_TRACES_GENERATE_H

#include <rill/schema.h>

#include "lib/base/error.h"

/* Options of `rill trace gen`: seed, seconds, mean_mbps, flows_per_s, packet_bytes, pareto_alpha,
 * flow_bytes_max, burst_packets, gap_us, tcp_share, hosts, servers, ... with defaults and ranges.
 */
extern const struct rill_option rill_generate_schema[];

struct rill_generate_counters {
    uint64_t packets, bytes, flows;
};

/* Writes the capture to `path` in order of time. Memory is proportional to the flows alive at a
 * time, not to the length. 0, or negative with *err (the file is then not whole): -EINVAL where
 * options contradict each other or the path's ending is no capture's, -ENOMEM, -EIO. */
int rill_generate(const struct rill_config *config, const char *path,
                  struct rill_generate_counters *counters, struct rill_error *err);

#endif
