#include "servers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_BYTES = 64 };

/* 1..65535, or 0 where the text is no port. */
static uint16_t read_port(const char *text)
{
    unsigned long port;

    if (text[0] == '\0' || strlen(text) > 5 || text[strspn(text, "0123456789")] != '\0')
        return 0;
    port = strtoul(text, NULL, 10);
    return port <= 65535 ? (uint16_t)port : 0;
}

/* Cuts the port off the text and reads it. False if there is one that can't be read. */
static bool split_port(char *text, char **address, uint16_t *port)
{
    char *colon;

    *address = text;
    *port = 0;
    if (text[0] == '[') {
        char *end = strchr(text, ']');

        if (end == NULL || strchr(text, ':') == NULL || (end[1] != ':' && end[1] != '\0'))
            return false;
        *address = text + 1;
        colon = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
    } else {
        colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') != NULL)
            return true; /* an IPv6 address without brackets has no port */
    }
    if (colon == NULL)
        return true;
    *colon = '\0';
    *port = read_port(colon + 1);
    return *port != 0;
}

static bool is_unicast6(const uint8_t addr[16])
{
    static const uint8_t unspecified[16];

    return addr[0] != 0xff && memcmp(addr, unspecified, sizeof(unspecified)) != 0;
}

bool server_read(const char *entry, struct server *server)
{
    char text[ENTRY_BYTES], *address;

    *server = (struct server){.weight = 1};
    if ((size_t)snprintf(text, sizeof(text), "%s", entry) >= sizeof(text) ||
        !split_port(text, &address, &server->port))
        return false;
    if (inet_pton(AF_INET, address, server->addr) == 1) {
        server->family = 4;
        return entry[0] != '[' && server->addr[0] != 0 && server->addr[0] < 224;
    }
    memset(server->addr, 0, sizeof(server->addr));
    server->family = 6;
    return inet_pton(AF_INET6, address, server->addr) == 1 && is_unicast6(server->addr);
}

int server_compare(const void *a, const void *b)
{
    const struct server *x = a, *y = b;
    int order = memcmp(x->addr, y->addr, sizeof(x->addr));

    return order != 0 ? order : (int)x->port - (int)y->port;
}

const struct server *server_find(const struct server *sorted, uint32_t n,
                                 const struct rill_endpoint *endpoint)
{
    struct server wanted = {.port = endpoint->port};
    const struct server *found;

    if (n == 0)
        return NULL;
    memcpy(wanted.addr, endpoint->addr, sizeof(wanted.addr));
    found = bsearch(&wanted, sorted, n, sizeof(wanted), server_compare);
    if (found != NULL)
        return found;
    wanted.port = 0;
    return bsearch(&wanted, sorted, n, sizeof(wanted), server_compare);
}
