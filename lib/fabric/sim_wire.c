#include "lib/fabric/sim_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/frame/geneve.h"

int sim_wire(struct rte_mbuf **m, struct rte_mempool *pool)
{
    static const struct rill_underlay underlay = {
        .src_mac = {2, 0, 0, 0, 0, 1},
        .dst_mac = {2, 0, 0, 0, 0, 2},
        .src = {.family = 4, .addr = {10, 0, 0, 1}},
        .dst = {.family = 4, .addr = {10, 0, 0, 2}},
    };
    const char *name = rill_frame_type_name(rill_frame(*m)->type);
    struct rill_geneve_outer outer;
    enum rill_geneve_result result;
    int code = rill_geneve_outer_init(&outer, &underlay);

    if (code == 0)
        code = rill_geneve_encode(m, pool, &outer);
    if (code == -ENOMEM || code == -EMSGSIZE)
        return code;
    if (code != 0) {
        fprintf(stderr, "fabric sim: a %s frame cannot be encoded: %s\n", name, strerror(-code));
        abort();
    }
    result = rill_geneve_decode(*m);
    if (result != RILL_GENEVE_OK) {
        fprintf(stderr, "fabric sim: a %s frame cannot be decoded: %s\n", name,
                rill_geneve_result_name(result));
        abort();
    }
    return 0;
}
