#include "nf-runtime/unit_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CONTROLLER rill_role_id(RILL_ROLE_CONTROLLER, 1)

struct rill_unit *unit;
struct rill_nf *unit_nf;
struct rill_outbox out;
uint64_t now_ns;
uint64_t steps[STEPS_MAX];
uint32_t step_count;
uint64_t share_number;

static unsigned in_use;

static void on_step(void *arg, const struct rill_unit_step *step)
{
    (void)arg;
    if (step_count < STEPS_MAX)
        steps[step_count++] = step->clock;
}

struct rill_unit_config unit_usual(void)
{
    return (struct rill_unit_config){.id = UNIT,
                                     .output_logger = OL,
                                     .controller = CONTROLLER,
                                     .vni = 1,
                                     .pool = core_pool,
                                     .capacity_bps = UINT64_C(8000000000000000),
                                     .flowlet_timeout_ns = 10 * CORE_MS,
                                     .pull_timeout_ns = 4 * CORE_MS,
                                     .retry_ns = 6 * CORE_MS,
                                     .resend = {.attempts = 100, .slow_ns = 1000 * CORE_MS},
                                     .keep_ns = 1000 * CORE_MS,
                                     .queue_packets = 16,
                                     .stash_packets_per_flow = 8,
                                     .stash_packets_per_unit = 12,
                                     .flows_max = 64,
                                     .replica_kb = 1024,
                                     .pool_block = 8,
                                     .proactive = true};
}

void unit_destroy(void)
{
    rill_unit_destroy(unit);
    rill_nf_destroy(unit_nf);
    unit = NULL;
    unit_nf = NULL;
}

void unit_create(const struct rill_nf_descriptor *descriptor, struct rill_unit_config config)
{
    struct rill_error err = {.text = ""};

    unit_destroy();
    unit_nf = rill_nf_create(descriptor, NULL, &err);
    assert_string_equal(err.text, "");
    assert_non_null(unit_nf);
    config.nf = unit_nf;
    unit = rill_unit_create(&config, &err);
    assert_string_equal(err.text, "");
    assert_non_null(unit);
    rill_unit_set_step_hook(unit, on_step, NULL);
    step_count = 0;
    share_number = 0;
    now_ns = CORE_MS;
}

int unit_setup(void **state)
{
    (void)state;
    in_use = core_in_use();
    return 0;
}

int unit_teardown(void **state)
{
    (void)state;
    unit_destroy();
    rill_outbox_fini(&out);
    return core_in_use() == in_use ? 0 : -1;
}

const struct rill_unit_counters *n(void)
{
    return rill_unit_counters(unit);
}

void give(struct rte_mbuf *m)
{
    rill_unit_recv(unit, &m, 1, now_ns, &out);
}

void at(uint64_t ns)
{
    now_ns = ns;
    rill_unit_tick(unit, now_ns, &out);
}

void pass_time(uint64_t ns)
{
    at(now_ns + ns);
}

void lease_to(uint32_t controller, uint16_t epoch, uint32_t thousandths)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_SHARE, RM, UNIT);

    rill_frame(m)->epoch = epoch;
    rill_frame(m)->next_unit = controller;
    rill_frame(m)->count = thousandths;
    rill_frame(m)->clock = ++share_number;
    give(m);
}

struct rte_mbuf *data_frame(uint64_t flow, uint64_t term, uint64_t clock,
                            struct rill_chain_entry below)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, BYTES);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_DATA;
    f->src = CONTROLLER;
    f->dst = UNIT;
    f->flow = flow;
    f->term = term;
    f->clock = clock;
    f->ingress_id = clock;
    f->chain[0] = below;
    f->chain_len = 1;
    return m;
}
