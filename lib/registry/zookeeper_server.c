#include "lib/registry/zookeeper_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test_server.h"

#define CLASSES "/usr/share/java/zookeeper.jar"

enum { START_MS = 60000 };

struct zookeeper_server {
    struct test_server server;
    char configuration[TEST_SERVER_PATH_BYTES + 20];
};

bool zookeeper_server_is_installed(void)
{
    if (access(CLASSES, R_OK) == 0 && system("command -v java >/dev/null 2>&1") == 0)
        return true;
    fprintf(stderr, "SKIPPED: no ZooKeeper server on this machine: nothing of what needs one was "
                    "tested (apt-get install zookeeper)\n");
    return false;
}

static bool write_configuration(const struct zookeeper_server *zookeeper)
{
    FILE *file = fopen(zookeeper->configuration, "w");

    if (file == NULL)
        return false;
    fprintf(file,
            "tickTime=%d\ndataDir=%s/data\nclientPort=%u\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\nmaxClientCnxns=0\nforceSync=no\n",
            ZOOKEEPER_SERVER_TICK_MS, zookeeper->server.folder, zookeeper->server.port);
    return fclose(file) == 0;
}

struct zookeeper_server *zookeeper_server_create(void)
{
    struct zookeeper_server *zookeeper = calloc(1, sizeof(*zookeeper));

    if (zookeeper == NULL || !test_server_init(&zookeeper->server, "zookeeper")) {
        free(zookeeper);
        return NULL;
    }
    snprintf(zookeeper->configuration, sizeof(zookeeper->configuration), "%s/zoo.cfg",
             zookeeper->server.folder);
    if (write_configuration(zookeeper))
        return zookeeper;
    perror(zookeeper->configuration);
    zookeeper_server_destroy(zookeeper);
    return NULL;
}

void zookeeper_server_destroy(struct zookeeper_server *zookeeper)
{
    if (zookeeper == NULL)
        return;
    test_server_fini(&zookeeper->server);
    free(zookeeper);
}

bool zookeeper_server_start(struct zookeeper_server *zookeeper)
{
    char *argv[] = {"java",
                    "-Xmx128m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    CLASSES,
                    "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                    zookeeper->configuration,
                    NULL};

    return test_server_start(&zookeeper->server, argv, NULL, START_MS);
}

void zookeeper_server_kill(struct zookeeper_server *zookeeper)
{
    test_server_kill(&zookeeper->server);
}

void zookeeper_server_freeze(struct zookeeper_server *zookeeper, bool frozen)
{
    test_server_freeze(&zookeeper->server, frozen);
}

uint16_t zookeeper_server_port(const struct zookeeper_server *zookeeper)
{
    return zookeeper->server.port;
}
