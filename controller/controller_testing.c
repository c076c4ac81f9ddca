#include "controller/controller_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct rill_controller *c;
struct rill_outbox out;
uint64_t now_ns;
uint64_t ingress_id;

static const uint8_t public_addr[1][16] = {{198, 51, 100, 1}};
static unsigned in_use;

uint32_t unit(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

uint32_t logger(uint32_t number)
{
    return rill_role_id(RILL_ROLE_OUTPUT_LOGGER, number);
}

struct rill_controller_config controller_usual(void)
{
    return (struct rill_controller_config){
        .id = rill_role_id(RILL_ROLE_CONTROLLER, 1),
        .rm = RM,
        .epoch = 3,
        .vni = 1,
        .pool = core_pool,
        .flow_kind = RILL_KEY_CONNECTION,
        .handles = RILL_HANDLES_UDP4,
        .pools = {{.proto = RILL_UDP,
                   .family = 4,
                   .port_low = POOL_PORT,
                   .port_high = POOL_PORT + POOL_SIZE - 1,
                   .addresses = 1,
                   .addr = public_addr}},
        .pool_count = 1,
        .mode = RILL_MODE_FLOWLET,
        .placement = RILL_PLACEMENT_SPREAD,
        .replica_choice = RILL_REPLICA_DETERMINISTIC,
        .proactive = true,
        .replicas = 1,
        .alpha = 0.5,
        .ewma_weight = 0.5,
        .flowlet_timeout_ns = 1 * CORE_MS,
        .flowlet_bytes = 3000,
        .flow_idle_ns = 1000 * CORE_MS,
        .flows_max = 64,
        .units_max = 16,
        .units_min = 1,
        .epoch_ns = 200 * CORE_MS,
        .lease_ns = 5000 * CORE_MS,
        .idle_unit_ns = 100000 * CORE_MS,
        .waiting_packets = 4,
        .waiting_ns = 100000 * CORE_MS,
        .retry_ns = 10 * CORE_MS,
        .pool_quarantine_ns = 500 * CORE_MS,
        .seed = 1,
    };
}

void controller_create(const struct rill_controller_config *config)
{
    struct rill_error err = {.text = ""};

    rill_controller_destroy(c);
    core_clear(&out);
    c = rill_controller_create(config, &err);
    assert_string_equal(err.text, "");
    assert_non_null(c);
    now_ns = CORE_MS;
    ingress_id = 0;
}

int controller_setup(void **state)
{
    (void)state;
    in_use = core_in_use();
    return 0;
}

int controller_teardown(void **state)
{
    (void)state;
    rill_controller_destroy(c);
    c = NULL;
    rill_outbox_fini(&out);
    return core_in_use() == in_use ? 0 : -1;
}

const struct rill_controller_counters *n(void)
{
    return rill_controller_counters(c);
}

void give(struct rte_mbuf *m)
{
    rill_controller_recv(c, &m, 1, now_ns, &out);
}

void pass_time(uint64_t ns)
{
    uint64_t until_ns = now_ns + ns;

    while (rill_controller_next_ns(c) <= until_ns) {
        now_ns = RTE_MAX(now_ns, rill_controller_next_ns(c));
        rill_controller_tick(c, now_ns, &out);
    }
    now_ns = until_ns;
}

void enter(struct rte_mbuf *m, enum rill_side side)
{
    struct rill_frame *f = rill_frame(m);

    f->flags = 0;
    f->side = (uint8_t)side;
    f->ingress_ns = now_ns;
    f->ingress_id = ++ingress_id;
    rill_controller_ingress(c, &m, 1, now_ns, &out);
}

void send_packet(uint16_t port)
{
    enter(core_udp("10.0.0.1", port, "192.0.2.1", 80, 100), RILL_INSIDE);
}

struct rte_mbuf *lease_grant(uint64_t number, uint32_t first, uint32_t last)
{
    struct rte_mbuf *m = core_frame(RILL_FRAME_LEASE_GRANT, RM, c->config.id);

    rill_frame(m)->clock = number;
    for (uint32_t i = first; i <= last; i++) {
        struct rill_lease lease = {
            .unit = unit(i), .output_logger = logger(i), .share = 1000, .capacity_bps = 1000000000};

        core_body(m, &lease, sizeof(lease));
        rill_frame(m)->count++;
    }
    return m;
}

void lease(uint32_t first, uint32_t last)
{
    give(lease_grant(core_expect(&out, RILL_FRAME_LEASE_REQUEST, RM).clock, first, last));
}

struct rte_mbuf *about(enum rill_frame_type type, uint32_t src, const struct rill_frame *packet)
{
    struct rte_mbuf *m = core_frame(type, src, c->config.id);

    rill_frame(m)->flow = packet->flow;
    rill_frame(m)->term = packet->term;
    rill_frame(m)->next_unit = packet->dst;
    return m;
}
