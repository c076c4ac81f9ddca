/* For tests: a Redis server of their own, on a socket and at a free port of 127.0.0.1, in a folder
 * of its own. It ends with the process that started it, however that ends.
 */
#ifndef RILL_LIB_STORE_REDIS_SERVER_H
#define RILL_LIB_STORE_REDIS_SERVER_H

#include <stdbool.h>

struct redis_server;

/* Whether it can be started on this machine; if not, says on stderr what to install. */
bool redis_server_is_installed(void);
/* Its folder; it does not run yet. NULL: it could not. */
struct redis_server *redis_server_create(void);
/* Kills it, removes the folder. NULL is fine. */
void redis_server_destroy(struct redis_server *redis);

/* Starts it, empty, and waits until it takes connections. False: it ended, or was not there in
 * time; what it wrote is on stderr then. */
bool redis_server_start(struct redis_server *redis);
/* SIGKILL. */
void redis_server_kill(struct redis_server *redis);
/* SIGSTOP, SIGCONT. */
void redis_server_freeze(struct redis_server *redis, bool frozen);
/* As in external_store: of the socket, and of the port. */
const char *redis_server_socket(const struct redis_server *redis);
const char *redis_server_port(const struct redis_server *redis);

#endif
