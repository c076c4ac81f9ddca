/* The rules of the firewall as text and as a list.
 *
 *     # first match
 *     allow outbound tcp from 10.0.0.0/8 to any port 80-443
 *     allow inbound icmp type echo-request
 *     deny udp from any to 192.0.2.53 port 53
 *
 * or a filter set of ClassBench's (Taylor and Turner, 2007), whose rules have no action, but may
 * have one at their end here:
 *
 *     @198.51.100.0/24  192.0.2.0/28  0 : 65535  80 : 80  0x06/0xFF  0x0000/0x0200
 *
 * or an access list (fw_ios.h).
 */
#ifndef RILL_NFS_FIREWALL_FW_RULES_H
#define RILL_NFS_FIREWALL_FW_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rill/nf.h>

#include "fw_text.h"

enum { FW_RULES_MAX = 65536 };

enum fw_way { FW_BOTH_WAYS, FW_OUTBOUND, FW_INBOUND };

struct fw_ports {
    uint16_t low, high;
};

/* A type of ICMP and of ICMPv6, and a code, as far as a rule names them. */
enum { FW_ICMP_ANY = -1, FW_ICMP_NONE = -2 /* of that family nothing matches */ };
struct fw_icmp {
    bool named; /* else it is of no consequence */
    struct fw_icmp_message {
        int16_t type, code;
    } of[2]; /* IPv4, IPv6 */
};

struct fw_rule {
    bool allow;
    uint8_t way;               /* enum fw_way */
    bool any_proto, icmp;      /* icmp: RILL_ICMP or RILL_ICMP6, as the family is */
    uint8_t proto;             /* unless one of these */
    uint8_t flags, flags_mask; /* of TCP; mask 0: any */
    struct fw_prefix from, to; /* both of one family, or of any */
    uint32_t from_wild,
        to_wild; /* of IPv4: bits that may be anything, besides those behind the prefix */
    struct fw_ports from_ports, to_ports;
    struct fw_icmp icmp_message; /* ICMP and ICMPv6 alone */
};

struct fw_rules {
    struct fw_rule *rule;
    size_t n, room;
};

/* FW_FORMAT_IOS: see fw_ios.h. */
enum fw_format { FW_FORMAT_RILL, FW_FORMAT_CLASSBENCH, FW_FORMAT_IOS };

/* `allow`: the action of ClassBench's rules that have none. 0, or -1 after rill_load_error(). */
int fw_rules_read(struct rill_load *load, enum fw_format format, bool allow, const char *text,
                  size_t bytes, struct fw_rules *rules);
/* A rule of the present line, at the end. 0, or -1 after rill_load_error(). */
int fw_rules_add(struct fw_lines *lines, struct fw_rules *rules, const struct fw_rule *rule);
void fw_rules_fini(struct fw_rules *rules); /* zeroed is fine */

#endif
