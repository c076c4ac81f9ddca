#include "lib/store/redis_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test_server.h"

enum { START_MS = 20000 };

struct redis_server {
    struct test_server server;
    char socket_address[TEST_SERVER_PATH_BYTES + 20], port_address[32];
};

bool redis_server_is_installed(void)
{
    if (system("command -v redis-server >/dev/null 2>&1") == 0)
        return true;
    fprintf(stderr, "SKIPPED: no Redis server on this machine: nothing of what needs one was "
                    "tested (apt-get install redis-server)\n");
    return false;
}

struct redis_server *redis_server_create(void)
{
    struct redis_server *redis = calloc(1, sizeof(*redis));

    if (redis == NULL || !test_server_init(&redis->server, "redis")) {
        free(redis);
        return NULL;
    }
    snprintf(redis->port_address, sizeof(redis->port_address), "127.0.0.1:%u", redis->server.port);
    snprintf(redis->socket_address, sizeof(redis->socket_address), "unix:%s/socket",
             redis->server.folder);
    return redis;
}

void redis_server_destroy(struct redis_server *redis)
{
    if (redis == NULL)
        return;
    test_server_fini(&redis->server);
    free(redis);
}

bool redis_server_start(struct redis_server *redis)
{
    char *path = redis->socket_address + strlen("unix:"), *port = strchr(redis->port_address, ':');
    char *argv[] = {
        "redis-server", "--bind", "127.0.0.1",          "--port", port + 1, "--unixsocket",
        path,           "--dir",  redis->server.folder, "--save", "",       "--appendonly",
        "no",           NULL};

    unlink(path);
    return test_server_start(&redis->server, argv, path,
                             START_MS); /* the socket comes after the port */
}

void redis_server_kill(struct redis_server *redis)
{
    test_server_kill(&redis->server);
}

void redis_server_freeze(struct redis_server *redis, bool frozen)
{
    test_server_freeze(&redis->server, frozen);
}

const char *redis_server_socket(const struct redis_server *redis)
{
    return redis->socket_address;
}

const char *redis_server_port(const struct redis_server *redis)
{
    return redis->port_address;
}
