/* The names that Cisco's IOS writes for protocols, ports and ICMP messages. Any case. */
#ifndef RILL_NFS_FIREWALL_FW_IOS_NAMES_H
#define RILL_NFS_FIREWALL_FW_IOS_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "fw_rules.h"

enum { FW_IOS_IP = 256 }; /* "ip": every protocol */

/* Number of a protocol, written as a name or a number; FW_IOS_IP; -1 if the word is none. */
int fw_ios_protocol(const char *word);
/* Number of a port of RILL_TCP or RILL_UDP, written as a name or a number; -1 if it is none. */
int fw_ios_port(uint8_t proto, const char *word);
/* "echo", "host-unreachable": a type and, where the name says it, a code (else FW_ICMP_ANY). False
 * if the word is none. */
bool fw_ios_icmp_message(const char *word, struct fw_icmp_message *message);

#endif
