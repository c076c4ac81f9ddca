/* The registry in this process (registry.h), for the embedded form and the simulator. Sans-IO: the
 * same calls at the same times give the same callbacks, always. Its faults are for tests and for
 * the simulator.
 *
 * Its server stands for ZooKeeper's: it keeps sessions and their watches over a stop, gives every
 * session its full time-out again at a start, and expires one when nothing came from it for that
 * long. A session takes itself for suspended at once when its server stops, and after two thirds of
 * its time-out when it hears nothing.
 *
 * Thread: one for a server and all its sessions.
 */
#ifndef RILL_LIB_REGISTRY_REGISTRY_LOCAL_H
#define RILL_LIB_REGISTRY_REGISTRY_LOCAL_H

#include "lib/registry/registry.h"

struct rill_registry_server;

/* `delay_ns`: how long a message takes, each way. NULL: no memory. */
struct rill_registry_server *rill_registry_server_create(uint64_t delay_ns);
/* All its sessions must be closed. NULL is fine. */
void rill_registry_server_destroy(struct rill_registry_server *server);

/* A session, not connected yet. `timeout_ns` is at least 1 ms. NULL: no memory. */
struct rill_registry *rill_registry_connect_local(struct rill_registry_server *server,
                                                  uint64_t timeout_ns, uint64_t now_ns);

/* The server's own time goes on with each turn of a session too: to turn only sessions is enough.
 */
void rill_registry_server_turn(struct rill_registry_server *server, uint64_t now_ns);
uint64_t rill_registry_server_next_ns(const struct rill_registry_server *server);

/* --- faults, from the time of the last turn on --------------------------------------------------
 */

/* Nothing passes between this session and the server, either way. What was under way arrives if the
 * cut ends before the session is suspended, else never. */
void rill_registry_local_cut(struct rill_registry *registry, bool cut);
/* The server ends the session now, before its time: the one thing that rill_registry_may_act() does
 * not foresee. The session hears of it when it next gets through. */
void rill_registry_local_expire(struct rill_registry *registry);
/* All connections break. Nodes and sessions stay. */
void rill_registry_server_stop(struct rill_registry_server *server);
void rill_registry_server_start(struct rill_registry_server *server, uint64_t now_ns);

#endif
