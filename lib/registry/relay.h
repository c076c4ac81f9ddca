/* For tests: a way to a TCP server on this machine that can be cut. While it is, bytes wait (as
 * they would for a retransmission), new connections are taken by the kernel and not answered, and
 * nothing is closed. It has a thread of its own, which no one else sees.
 */
#ifndef RILL_LIB_REGISTRY_RELAY_H
#define RILL_LIB_REGISTRY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

struct relay;

/* Listens at a free port of 127.0.0.1. NULL: it could not. */
struct relay *relay_create(uint16_t server_port);
void relay_destroy(struct relay *relay);
uint16_t relay_port(const struct relay *relay);
/* When it is back, nothing passes any more; or all does again. */
void relay_cut(struct relay *relay, bool cut);

#endif
