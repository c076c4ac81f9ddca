/* For tests: a server of their own, at a free port of 127.0.0.1, in a folder of its own. It ends
 * with the process that started it, however that ends. What is Redis's or ZooKeeper's is theirs:
 * lib/store/redis_server.h, lib/registry/zookeeper_server.h.
 */
#ifndef RILL_TESTS_TEST_SERVER_H
#define RILL_TESTS_TEST_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TEST_SERVER_PATH_BYTES = 80 };

struct test_server {
    const char *name; /* for messages, and the folder */
    pid_t pid;        /* 0: it does not run */
    uint16_t port;
    char folder[TEST_SERVER_PATH_BYTES];
};

/* Its folder and port; it does not run yet. False, said on stderr: it could not. */
bool test_server_init(struct test_server *server, const char *name);
/* Kills it, removes the folder. */
void test_server_fini(struct test_server *server);

/* Runs argv[0], found along PATH, and waits until it takes connections at its port and `path` is
 * there (NULL: nothing else has to be). False: it ended, or was not there in start_ms; what it
 * wrote is on stderr then. */
bool test_server_start(struct test_server *server, char *const argv[], const char *path,
                       int start_ms);
/* SIGKILL. */
void test_server_kill(struct test_server *server);
/* SIGSTOP, SIGCONT. */
void test_server_freeze(struct test_server *server, bool frozen);

#endif
