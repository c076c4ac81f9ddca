/* One entry of an IOS access list: from "permit" or "deny" on. */
#ifndef RILL_NFS_FIREWALL_FW_IOS_ENTRY_H
#define RILL_NFS_FIREWALL_FW_IOS_ENTRY_H

#include "fw_rules.h"

struct fw_ios_entry {
    struct fw_lines *lines;
    enum fw_way way;
    bool standard; /* list: it judges the source alone */
    char *rest;    /* of the line; is cut into words */
    bool logs;     /* result: it has "log" */
};

/* Adds what the entry says: none if it is left out, several where it has more than one port or
 * flag. 0, or -1 after rill_load_error(). */
int fw_ios_entry_read(struct fw_ios_entry *entry, struct fw_rules *rules);

/* "deny ip any any". */
struct fw_rule fw_ios_deny_all(enum fw_way way);

#endif
