/* A class of the qos-policer: which packets are in it, what they may send, what becomes of them.
 *
 *     udp port 16384-32767 outbound cir=200kbps cbs=10KB ebs=20KB green=ef yellow=af41 red=drop
 *
 * Pure. The words of RFC 2697 and 2698: cir, cbs, ebs for one rate; cir, cbs, pir, pbs for two.
 */
#ifndef RILL_NFS_QOS_POLICER_QOS_CLASS_H
#define RILL_NFS_QOS_POLICER_QOS_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_meter.h>

#include <rill/nf.h>

/* rte_meter counts in whatever units it is given. A token is a thousandth of a bit, and tokens come
 * each microsecond: as many as the rate has kilobits per second, so that no rate is rounded. */
enum { QOS_TOKENS_PER_BYTE = 8000, QOS_PERIOD_NS = 1000 };

enum { QOS_KEEP = 64, QOS_DROP = 65 }; /* what is not a code point */

enum qos_way { QOS_BOTH_WAYS, QOS_OUTBOUND, QOS_INBOUND };

struct qos_class {
    uint8_t proto; /* enum rill_proto, 0: any (an ICMP echo is in RILL_ICMP in both families) */
    enum qos_way way;
    bool has_ports;
    uint16_t port_low, port_high;
    uint8_t family, bits; /* of the prefix; family 0: none */
    uint8_t prefix[16];

    bool two_rates;
    struct rte_meter_srtcm_profile one; /* two_rates: only the two are filled in, */
    struct rte_meter_trtcm_profile two; /* else only the one */
    /* After so long, a bucket that was empty is full; with one rate, the second one, too. */
    uint64_t committed_fill_ns, peak_fill_ns;
    uint8_t action[RTE_COLORS]; /* by colour: a code point, QOS_KEEP or QOS_DROP */
};

/* 0, or -1 with the reason in why[]. */
int qos_class_read(const char *text, struct qos_class *class, char *why, size_t why_bytes);

/* `outbound`: the packet comes from the inside. */
bool qos_class_has(const struct qos_class *class, bool outbound, const struct rill_endpoint *source,
                   const struct rill_endpoint *destination);

#endif
