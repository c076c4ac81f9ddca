/* The backends of a load balancer, ready to choose from: made once from text, never changed. */
#ifndef RILL_NFS_LB_BACKENDS_H
#define RILL_NFS_LB_BACKENDS_H

#include <stddef.h>

#include "servers.h"

enum { BACKENDS_MAX = 10000, BACKEND_WEIGHT_MAX = 100 };

enum lb_hash { LB_HASH_MODULO = 0, LB_HASH_MAGLEV };

/* Those of one family. */
struct backend_set {
    struct server *server; /* all, sorted; see server_find() */
    uint32_t n, down;
    struct server *up; /* to choose from */
    uint32_t up_n;
    uint32_t *until; /* modulo: sum of the weights of up[0..i] */
    uint16_t *entry; /* Maglev's table of indices into `up`; NULL with modulo */
    uint32_t entries;
};

struct backends {
    struct backend_set four, six;
};

/* One after the other is added; then they are built, and stay. */
struct backends *backends_new(void);           /* NULL: no memory */
void backends_free(struct backends *backends); /* NULL is fine */
/* Why not, as a text to follow the server's; NULL: it was added. */
const char *backends_add(struct backends *backends, const struct server *server);
/* Why not, in static memory or `text`; NULL: they are ready. */
const char *backends_build(struct backends *backends, enum lb_hash hash, uint32_t entries,
                           char *text, size_t bytes);

/* For a connection of that hash; NULL: none of the family is up. */
const struct server *backends_choose(const struct backends *backends, uint8_t family,
                                     uint64_t hash);
/* Is it one of them, up or not? */
bool backends_have(const struct backends *backends, const struct rill_endpoint *endpoint);
bool backends_down(const struct backends *backends, const struct rill_endpoint *endpoint);

#endif
