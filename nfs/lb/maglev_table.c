/* Prints Maglev's table of the backends on stdin, for the test of it and for eval/lb_maglev.py.
 *
 *   maglev_table ENTRIES     lines in: "SERVER [weight]"; out: the line (from 0) of each entry
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maglev.h"

/* Sorts a copy as the load balancer does, and tells each one's line. */
static uint32_t *lines_of(struct server *server, uint32_t n)
{
    struct server *given = calloc(n, sizeof(*given));
    uint32_t *line = calloc(n, sizeof(*line));

    if (given == NULL || line == NULL)
        abort();
    memcpy(given, server, n * sizeof(*given));
    qsort(server, n, sizeof(*server), server_compare);
    for (uint32_t i = 0; i < n; i++) {
        const struct server *found = bsearch(&given[i], server, n, sizeof(*server), server_compare);

        line[found - server] = i;
    }
    free(given);
    return line;
}

static uint32_t read_servers(struct server *server)
{
    char name[64], text[128];
    uint32_t n = 0;
    int weight;

    while (n < MAGLEV_SERVERS_MAX && fgets(text, sizeof(text), stdin) != NULL) {
        int words = sscanf(text, "%63s %d", name, &weight);

        if (words < 1 || !server_read(name, &server[n])) {
            fprintf(stderr, "maglev_table: no server: %s", text);
            exit(2);
        }
        if (words == 2)
            server[n].weight = (uint16_t)weight;
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    struct server *server = calloc(MAGLEV_SERVERS_MAX, sizeof(*server));
    uint32_t entries = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0, n;
    uint16_t *entry = calloc(entries + 1, sizeof(*entry));
    uint32_t *line;

    if (server == NULL || entry == NULL || !maglev_is_prime(entries))
        return 2;
    n = read_servers(server);
    if (n == 0 || n > entries)
        return 2;
    line = lines_of(server, n);
    if (maglev_fill(entry, entries, server, n) != 0)
        return 2;
    for (uint32_t i = 0; i < entries; i++)
        printf("%u\n", line[entry[i]]);
    free(line);
    free(entry);
    free(server);
    return 0;
}
