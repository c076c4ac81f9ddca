/* What the Geneve codec costs a frame, on the way out and on the way in (lib/frame/geneve.h), for
 * the frames that each packet is: INGRESS from the client to the controller, DATA from there to the
 * unit, CHANGE from there to the output logger, RELEASED from there to the client. In bursts, as a
 * role sends and receives them, and in one buffer, as they are on their way: the headers that were
 * taken off leave room for the next.
 */
#include <errno.h>
#include <stdlib.h>

#include "eval/bench/harness.h"
#include "lib/base/eal.h"
#include "lib/base/role.h"
#include "lib/frame/geneve.h"

enum { MEMORY_MB = 256, MBUFS = 4096, BURST = 32, BURSTS = 1 << 14, QUICK_BURSTS = 1 << 8 };
enum { STATE_BYTES = 16, ROOM = 256 };

enum what { WHAT_INGRESS, WHAT_DATA, WHAT_CHANGE, WHAT_RELEASED, WHATS };
static const char *const whats[WHATS] = {"ingress", "data", "change", "released"};

struct cycles {
    double encode, decode;
};

static const struct rill_underlay underlay = {
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .src = {4, {10, 0, 0, 1}},
    .dst = {4, {10, 0, 0, 2}},
};

static void fill_ingress(struct rill_frame *f)
{
    f->type = RILL_FRAME_INGRESS;
    f->src = rill_role_id(RILL_ROLE_CLIENT, 1);
    f->dst = rill_role_id(RILL_ROLE_CONTROLLER, 1);
}

static void fill_data(struct rill_frame *f)
{
    f->type = RILL_FRAME_DATA;
    f->src = rill_role_id(RILL_ROLE_CONTROLLER, 1);
    f->dst = rill_role_id(RILL_ROLE_UNIT, 1);
    f->term = 1;
    f->clock = f->flow;
    f->chain_len = 1;
    f->chain[0] = (struct rill_chain_entry){.term = 1, .unit = f->dst};
}

static void fill_change(struct rill_frame *f)
{
    f->type = RILL_FRAME_CHANGE;
    f->src = rill_role_id(RILL_ROLE_UNIT, 1);
    f->dst = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1);
    f->term = 1;
    f->clock = f->flow;
    f->step = 1;
    f->window = 1;
    f->granted_term = 1;
    f->state_bytes = STATE_BYTES;
    memset(f->state, 1, STATE_BYTES);
}

static void fill_released(struct rill_frame *f)
{
    f->type = RILL_FRAME_RELEASED;
    f->src = rill_role_id(RILL_ROLE_OUTPUT_LOGGER, 1);
    f->dst = rill_role_id(RILL_ROLE_CLIENT, 1);
}

static void make(struct rte_mbuf *m, enum what what, uint64_t flow, uint16_t bytes)
{
    static void (*const fills[WHATS])(struct rill_frame *) = {fill_ingress, fill_data, fill_change,
                                                              fill_released};
    struct rill_frame *f = rill_frame(m);

    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->epoch = 1;
    f->vni = 1;
    f->flow = flow;
    f->wire_bytes = bytes;
    f->ingress_ns = flow;
    f->ingress_id = flow;
    fills[what](f);
    m->data_off = ROOM;
    m->data_len = bytes;
    m->pkt_len = bytes;
}

static int refused(const char *way, enum what what, struct rill_error *err)
{
    return rill_error_set(err, -EINVAL, "the codec refuses to %s a frame '%s'", way, whats[what]);
}

static int encode(struct rte_mbuf **burst, struct rte_mempool *pool,
                  const struct rill_geneve_outer *outer)
{
    int rc = 0;

    for (int i = 0; i < BURST; i++)
        rc |= rill_geneve_encode(&burst[i], pool, outer);
    return rc;
}

static int decode(struct rte_mbuf **burst)
{
    int rc = 0;

    for (int i = 0; i < BURST; i++)
        rc |= (int)rill_geneve_decode(burst[i]);
    return rc;
}

static int run(struct rte_mempool *pool, enum what what, uint16_t bytes, unsigned bursts,
               struct cycles *cycles, struct rill_error *err)
{
    struct rte_mbuf *burst[BURST];
    uint64_t begin, middle, out = 0, in = 0;
    struct rill_geneve_outer outer;

    rill_geneve_outer_init(&outer, &underlay);
    for (unsigned n = 0; n < bursts; n++) {
        bool whole;

        if (rte_pktmbuf_alloc_bulk(pool, burst, BURST) != 0)
            return rill_error_set(err, -ENOMEM, "no packet buffers");
        for (unsigned i = 0; i < BURST; i++)
            make(burst[i], what, 1 + n * BURST + i, bytes);
        begin = bench_cycles();
        if (encode(burst, pool, &outer) != 0)
            return refused("encode", what, err);
        middle = bench_cycles();
        if (decode(burst) != 0)
            return refused("decode", what, err);
        in += bench_cycles() - middle;
        out += middle - begin;
        whole = burst[0]->pkt_len == bytes && rill_frame(burst[0])->ingress_id == 1 + n * BURST;
        rte_pktmbuf_free_bulk(burst, BURST);
        if (!whole)
            return refused("give back", what, err);
    }
    *cycles = (struct cycles){(double)out / bursts / BURST, (double)in / bursts / BURST};
    return 0;
}

static void add(struct bench_report *report, const char *way, enum what what, uint32_t bytes,
                double *values, uint64_t n)
{
    struct bench_result result = {.packet_bytes = bytes};

    snprintf(result.name, sizeof(result.name), "codec/%s/%s", way, whats[what]);
    result.cycles_per_packet = bench_median(values, n, &result.spread_percent);
    bench_report_add(report, &result);
}

static int measure(struct bench_report *report, const struct bench_options *options,
                   struct rte_mempool *pool, enum what what, uint16_t bytes, struct rill_error *err)
{
    double encodes[BENCH_RUNS_MAX], decodes[BENCH_RUNS_MAX];
    unsigned bursts = options->quick ? QUICK_BURSTS : BURSTS;
    struct cycles cycles;
    int rc = run(pool, what, bytes, bursts, &cycles, err);

    for (uint64_t i = 0; rc == 0 && i < options->runs; i++) {
        rc = run(pool, what, bytes, bursts, &cycles, err);
        encodes[i] = cycles.encode;
        decodes[i] = cycles.decode;
    }
    if (rc != 0)
        return rc;
    add(report, "encode", what, bytes, encodes, options->runs);
    add(report, "decode", what, bytes, decodes, options->runs);
    return 0;
}

int main(int argc, char **argv)
{
    static const uint16_t sizes[] = {64, 1434};
    struct bench_options options = {0};
    struct bench_report *report;
    struct rte_mempool *pool = NULL;
    struct rill_error err;
    int rc = bench_options("codec", argc, argv, NULL, &options);

    if (rc != 0)
        return rc - 1;
    report = bench_report_begin("codec", &options);
    if (report == NULL)
        return 2;
    rc = rill_eal_init(MEMORY_MB, &err);
    if (rc == 0) {
        pool = rill_frame_pool_create("bench", MBUFS, &err);
        rc = pool != NULL ? 0 : -ENOMEM;
    }
    for (int what = 0; rc == 0 && what < WHATS; what++)
        for (unsigned i = 0; rc == 0 && i < RTE_DIM(sizes); i++)
            rc = measure(report, &options, pool, (enum what)what, sizes[i], &err);
    if (rc != 0) {
        fprintf(stderr, "bench codec: %s\n", err.text);
        free(report);
        return 2;
    }
    return bench_report_end(report);
}
