/* The first of many rules that a packet matches, by DPDK's rte_acl.
 *
 * rte_acl's tries grow with the number of rules whose wildcards overlap: 10,000 rules of a firewall
 * took 2.7 GB to build as one. So rules are cut into runs of FW_RUN_RULES, each with tries of its
 * own, and looked up in order until one has a match: a few tens of megabytes, for some more time
 * with a connection's first packet.
 */
#ifndef RILL_NFS_FIREWALL_FW_ACL_H
#define RILL_NFS_FIREWALL_FW_ACL_H

#include "fw_rules.h"

enum { FW_RUN_RULES = 512 };

struct fw_acl;

/* NULL after rill_load_error(). Any thread. The rules are not needed afterwards. */
struct fw_acl *fw_acl_build(struct rill_load *load, const struct fw_rules *rules);
void fw_acl_free(struct fw_acl *acl); /* NULL is fine */

/* A packet, as rules see it. */
struct fw_packet {
    struct rill_endpoint source, destination;
    bool outbound; /* it comes from the inside */
    uint8_t tcp_flags;
    uint8_t icmp_type, icmp_code;
};

/* Number of the first rule that matches, or -1. Any threads at a time. */
int fw_acl_find(const struct fw_acl *acl, const struct fw_packet *packet);

#endif
