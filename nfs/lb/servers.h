/* Servers as text, and lists of them: what a load balancer's configuration is made of. */
#ifndef RILL_NFS_LB_SERVERS_H
#define RILL_NFS_LB_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include <rill/endpoint.h>

enum server_state { SERVER_UP = 0, SERVER_DRAIN, SERVER_DOWN };

/* A backend or a virtual service. */
struct server {
    uint8_t addr[16];
    uint16_t port; /* 0: any, that is, a packet keeps its own */
    uint8_t family;
    uint8_t state; /* enum server_state */
    uint16_t weight;
};

/* "192.0.2.10", "192.0.2.10:80", "2001:db8::10" or "[2001:db8::10]:443": false where the text is
 * none of these, or no unicast address. It is up, and of weight 1. */
bool server_read(const char *text, struct server *server);

/* Order by address and port; 0 for the same server. */
int server_compare(const void *a, const void *b);

/* In a list sorted by that: one of the endpoint's address, and of its port or any. NULL: none. */
const struct server *server_find(const struct server *sorted, uint32_t n,
                                 const struct rill_endpoint *endpoint);

#endif
