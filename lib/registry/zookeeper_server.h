/* For tests: a ZooKeeper server of their own, on 127.0.0.1, at a free port, in a folder of its own.
 * It ends with the process that started it, however that ends.
 */
#ifndef RILL_LIB_REGISTRY_ZOOKEEPER_SERVER_H
#define RILL_LIB_REGISTRY_ZOOKEEPER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

enum { ZOOKEEPER_SERVER_TICK_MS = 200 };

struct zookeeper_server;

/* Whether it can be started on this machine; if not, says on stderr what to install. */
bool zookeeper_server_is_installed(void);
/* Its folder and configuration; it does not run yet. NULL: it could not. */
struct zookeeper_server *zookeeper_server_create(void);
/* Kills it, removes the folder. NULL is fine. */
void zookeeper_server_destroy(struct zookeeper_server *zookeeper);

/* Starts it, and waits until it takes connections. False: it ended, or was not there in time; what
 * it wrote is on stderr then. */
bool zookeeper_server_start(struct zookeeper_server *zookeeper);
/* SIGKILL. */
void zookeeper_server_kill(struct zookeeper_server *zookeeper);
/* SIGSTOP, SIGCONT. */
void zookeeper_server_freeze(struct zookeeper_server *zookeeper, bool frozen);
uint16_t zookeeper_server_port(const struct zookeeper_server *zookeeper);

#endif
