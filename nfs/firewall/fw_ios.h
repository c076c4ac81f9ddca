/* Access lists as routers write them, in the syntax of Cisco's IOS:
 *
 *     access-list 101 deny   tcp any any eq 445
 *     access-list 101 permit ip 10.0.0.0 0.255.255.255 any
 *     ip access-list extended from-outside
 *      10 permit tcp any host 192.0.2.80 eq www 443
 *      20 permit udp any eq domain 192.0.2.0 0.0.0.255
 *
 * Numbered and named ones, standard and extended. The text may hold many, of which one is read; of
 * the others only the names are. What the firewall can't do exactly is never done in part: an entry
 * that permits by it is left out and told, one that denies by it refuses the text.
 */
#ifndef RILL_NFS_FIREWALL_FW_IOS_H
#define RILL_NFS_FIREWALL_FW_IOS_H

#include "fw_rules.h"

/* Adds the rules of the list `name` (empty: the only one) to *rules, for connections that are begun
 * in direction `way`; the last denies what is left of IPv4. 0, or -1 after rill_load_error(). */
int fw_ios_read(struct rill_load *load, const char *name, enum fw_way way, const char *text,
                size_t bytes, struct fw_rules *rules);

#endif
