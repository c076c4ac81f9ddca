/* The table of Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): each server has its own
 * order of preference of all the entries, and they take turns in taking the next one that is free.
 * So all get as many, give or take one, and if a server comes or goes few other entries change. */
#ifndef RILL_NFS_LB_MAGLEV_H
#define RILL_NFS_LB_MAGLEV_H

#include "servers.h"

/* The paper's small table; a prime, so that every order of preference is of all entries. */
#define MAGLEV_ENTRIES_DEFAULT "65537"
enum { MAGLEV_ENTRIES_MAX = 2000000, MAGLEV_SERVERS_MAX = 65535 };

bool maglev_is_prime(uint32_t n);

/* entry[0..entries-1] becomes the index of each entry's server. A server of weight w takes w turns
 * in each round. `servers` is 1..entries, `entries` a prime. 0, or -1 if there is no memory. */
int maglev_fill(uint16_t *entry, uint32_t entries, const struct server *server, uint32_t servers);

#endif
