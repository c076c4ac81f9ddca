/* The whole chain as a cluster has it: rill-controller, rill-nf-runtime with `nat` and
 * rill-output-logger, the programs themselves, each in its process, with memif between them; source
 * and sink are this process, which is their client and stands for agent and resource manager, too.
 * No containers; the scheduler puts the four processes onto the processors there are.
 *
 * With poll=yield it also says what processor time a packet takes in each process: of that, other
 * work on the machine takes nothing.
 *
 * Fewer packets are under way than fit into a ring. What does not come out within STUCK_NS is
 * counted as lost, once every flow is known: before, the NAT drops what comes while it waits for
 * ports.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "eval/bench/harness.h"
#include "eval/bench/source.h"
#include "lib/base/eal.h"
#include "lib/daemon/role_fixture.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/frame.h"

enum { MEMORY_MB = 512, MBUFS = 16384, WINDOW = 512, BURST = 32, FLOWS_MAX = 240000 };
#define RUN_NS UINT64_C(500000000)
#define QUICK_RUN_NS UINT64_C(20000000)
#define STUCK_NS UINT64_C(2000000000)
#define CONTROL_EVERY_NS UINT64_C(1000000)
#define CAPACITY_MBPS "400000"
#define PROGRAM_MEMORY_MB "1024"

struct wanted {
    uint64_t flows; /* 0: all cases */
};

struct client {
    struct rte_mempool *pool;
    struct rill_fabric *fabric;
    bool yields;
    uint64_t sent, released, lost;
    uint64_t next_control_ns;
};

struct programs {
    struct fake_program *unit, *logger, *controller;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* --- the programs -----------------------------------------------------------------------------
 */

static void stop_programs(void)
{
    if (agent.count > 0)
        fake_agent_stop(&agent);
    agent.count = 0;
}

static Control__Named named(const char *name, const char *text)
{
    Control__Named n = CONTROL__NAMED__INIT;

    n.name = (char *)(uintptr_t)name;
    n.text = (char *)(uintptr_t)text;
    return n;
}

static int read_image(ProtobufCBinaryData *image, struct rill_error *err)
{
    FILE *in = fopen(RILL_TEST_NAT, "re");
    long bytes = in != NULL && fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;

    image->data = bytes > 0 ? malloc((size_t)bytes) : NULL;
    image->len = (size_t)bytes;
    if (image->data != NULL) {
        rewind(in);
        image->len = fread(image->data, 1, (size_t)bytes, in);
    }
    if (in != NULL)
        fclose(in);
    return image->data != NULL && image->len == (size_t)bytes
               ? 0
               : rill_error_set(err, -EIO, "%s can not be read", RILL_TEST_NAT);
}

/* Roles that are never the bottleneck by what they may; one public address for 60,000 flows. */
static int activate_all(struct programs *p, uint64_t flows, struct rill_error *err)
{
    char flows_max[24];
    Control__Named settings[3], addresses, *config[] = {&addresses}, *set[3];
    Control__Activate how = activation();
    int rc = read_image(&how.image, err);

    if (rc != 0)
        return rc;
    /* A NAT's flows begin to give way when an eighth of the table is left. */
    snprintf(flows_max, sizeof(flows_max), "%llu", (unsigned long long)flows * 5 / 4 + 1000);
    settings[0] = named("flows_max", flows_max);
    settings[1] = named("unit_capacity_mbps", CAPACITY_MBPS);
    settings[2] = named("units_min", "1");
    for (int i = 0; i < 3; i++)
        set[i] = &settings[i];
    addresses = named("public_addresses", "198.51.100.1,198.51.100.2,198.51.100.3,198.51.100.4");
    how.n_settings = RTE_DIM(set);
    how.settings = set;
    how.n_config = RTE_DIM(config);
    how.config = config;
    assert_activated(activate(p->unit, &how));
    free(how.image.data);
    how.image = (ProtobufCBinaryData){0};
    how.n_config = 0;
    how.facts = p->unit->answer->activated->facts;
    assert_activated(activate(p->logger, &how));
    assert_activated(activate(p->controller, &how));
    return 0;
}

/* Packets before that would find no unit. */
static bool is_leased(struct fake_program *controller)
{
    const Control__Metrics *metrics = metrics_of(controller)->metrics;

    return metrics->n_units == 1 && metrics->units[0]->share == 1000;
}

static void share_all(struct programs *p)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Share body = CONTROL__SHARE__INIT;

    body.number = 1;
    body.controller = CONTROLLER;
    body.share = 1000;
    body.epoch = 1;
    RILL_CONTROL_SET(&m, SHARE, share, &body);
    fake_tell(&agent, p->unit, &m);
    fake_await(&agent, &p->unit->share_acks, 1);
    agent.leased_unit = UNIT;
    agent.leased_output_logger = LOGGER;
    while (!is_leased(p->controller))
        fake_turn(&agent);
}

static int make_client(struct client *c, struct rill_error *err)
{
    const struct rill_fabric_memif_config config = {
        .folder = agent.links, .ring_frames = RILL_FABRIC_MEMIF_RING_FRAMES, .pool = c->pool};
    int rc;

    c->fabric = rill_fabric_memif_create(&config, err);
    rc = c->fabric != NULL ? c->fabric->ops->attach(c->fabric, CLIENT, err) : -EIO;
    if (rc == 0)
        rc = rill_fabric_memif_link(c->fabric, CLIENT, CONTROLLER, err);
    return rc == 0 ? rill_fabric_memif_link(c->fabric, CLIENT, LOGGER, err) : rc;
}

/* Returns once all links are up. */
static void link_all(struct client *c, struct programs *p)
{
    struct fake_program *const all[] = {p->unit, p->logger, p->controller};

    PEERS(p->unit, 0, CONTROLLER, LOGGER);
    PEERS(p->logger, CLIENT, UNIT, CONTROLLER, CLIENT);
    PEERS(p->controller, 0, UNIT, LOGGER, CLIENT);
    for (unsigned i = 0; i < RTE_DIM(all); i++)
        while (all[i]->answer == NULL) {
            struct rte_mbuf *none[BURST];

            rte_pktmbuf_free_bulk(none, c->fabric->ops->recv(c->fabric, CLIENT, none, BURST, 0));
            fake_turn(&agent);
        }
}

static int start_programs(struct client *c, struct programs *p, const char *poll, uint64_t flows,
                          struct rill_error *err)
{
    int rc;

    fake_agent_start(&agent);
    agent.leased_bps = UINT64_C(400000000000);
    agent.memory_mb = PROGRAM_MEMORY_MB;
    p->unit = run_role("rill-nf-runtime", UNIT, poll);
    p->logger = run_role("rill-output-logger", LOGGER, poll);
    p->controller = run_role("rill-controller", CONTROLLER, poll);
    fake_await_join(&agent, p->unit, 1);
    fake_await_join(&agent, p->logger, 1);
    fake_await_join(&agent, p->controller, 1);
    rc = activate_all(p, flows, err);
    if (rc == 0)
        rc = make_client(c, err);
    if (rc != 0)
        return rc;
    link_all(c, p);
    share_all(p);
    return 0;
}

/* --- source and sink --------------------------------------------------------------------------
 */

static void look_at_control(struct client *c, uint64_t now_ns)
{
    if (now_ns < c->next_control_ns)
        return;
    c->next_control_ns = now_ns + CONTROL_EVERY_NS;
    uv_run(&agent.loop, UV_RUN_NOWAIT);
}

static bool send_burst(struct client *c, struct bench_source *source, uint64_t now_ns)
{
    struct rte_mbuf *burst[BENCH_BURST];

    if (!bench_source_burst(source, burst))
        return false;
    for (int i = 0; i < BENCH_BURST; i++) {
        struct rill_frame *f = rill_frame(burst[i]);

        rill_frame_reset(f);
        f->type = RILL_FRAME_INGRESS;
        f->flags = RILL_FLAG_PACKET;
        f->side = RILL_INSIDE;
        f->src = CLIENT;
        f->dst = CONTROLLER;
        f->vni = VNI;
        f->wire_bytes = burst[i]->pkt_len;
        f->ingress_ns = now_ns;
        f->ingress_id = ++c->sent;
    }
    c->fabric->ops->send(c->fabric, CLIENT, burst, BENCH_BURST, now_ns);
    return true;
}

static uint64_t in_flight(const struct client *c)
{
    return c->sent - c->released - c->lost;
}

/* What came out, if anything. */
static uint32_t receive(struct client *c, uint64_t now_ns)
{
    struct rte_mbuf *burst[BURST];
    uint32_t n = c->fabric->ops->recv(c->fabric, CLIENT, burst, BURST, now_ns);

    for (uint32_t i = 0; i < n; i++)
        c->released += rill_frame(burst[i])->type == RILL_FRAME_RELEASED;
    rte_pktmbuf_free_bulk(burst, n);
    return n;
}

/* Sends until `until_ns`, or so many packets; then waits for all that is under way. What does not
 * come any more is lost. */
static void run_until(struct client *c, struct bench_source *source, uint64_t until_ns,
                      uint64_t packets)
{
    uint64_t now_ns = bench_ns(), last_ns = now_ns, end = c->sent + packets;

    while (true) {
        bool sends = now_ns < until_ns && c->sent < end;

        if (sends && in_flight(c) + BENCH_BURST <= WINDOW)
            send_burst(c, source, now_ns);
        if (receive(c, now_ns) > 0)
            last_ns = now_ns;
        if ((in_flight(c) == 0 && !sends) || interrupted)
            return;
        if (now_ns > last_ns + STUCK_NS) {
            c->lost += in_flight(c);
            last_ns = now_ns;
        }
        look_at_control(c, now_ns);
        if (c->yields)
            sched_yield();
        now_ns = bench_ns();
    }
}

/* --- processors --------------------------------------------------------------------------------
 */

enum { PROCESSES = 4 };

/* Processor time that each of the processes took: the programs, and this one, which is the client.
 */
static void read_cpu_ns(const struct programs *p, uint64_t ns[PROCESSES])
{
    const pid_t pids[PROCESSES] = {p->controller->pid, p->unit->pid, p->logger->pid, getpid()};

    for (int i = 0; i < PROCESSES; i++) {
        struct timespec t = {0};
        clockid_t clock;

        if (clock_getcpuclockid(pids[i], &clock) == 0)
            clock_gettime(clock, &t);
        ns[i] = (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
    }
}

/* With what looking for work takes, and giving way to the others. */
static void report_cycles(struct bench_report *report, enum bench_order order, uint64_t flows,
                          const uint64_t before[PROCESSES], const uint64_t after[PROCESSES],
                          uint64_t packets)
{
    static const char *const names[PROCESSES] = {"controller", "unit", "logger", "client"};

    for (int i = 0; i < PROCESSES; i++) {
        double cycles = (double)(after[i] - before[i]) * bench_cycles_per_ns();
        char name[96];

        snprintf(name, sizeof(name), "%s_cycles_per_packet_%s_%llu_flows", names[i],
                 order == BENCH_BURSTS ? "bursts" : "random", (unsigned long long)flows);
        bench_report_figure(report, name, cycles / (double)packets);
    }
}

/* --- cases ------------------------------------------------------------------------------------ */

struct world {
    const struct bench_options *options;
    struct bench_report *report;
    struct client client;
    uint64_t lost;
};

static int measure(struct world *w, const struct programs *programs, const char *poll,
                   uint64_t flows, enum bench_order order, struct rill_error *err)
{
    struct bench_result result = {.flows = flows, .packet_bytes = BENCH_PACKET_MIN};
    uint64_t run_ns = w->options->quick ? QUICK_RUN_NS : RUN_NS;
    struct client *c = &w->client;
    struct bench_source source;
    uint64_t cpu_before[PROCESSES], cpu_after[PROCESSES];
    double values[BENCH_RUNS_MAX];
    uint64_t lost, released;

    bench_source_init(&source, c->pool, (uint32_t)flows, BENCH_PACKET_MIN, BENCH_IN_TURN);
    run_until(c, &source, UINT64_MAX, 2 * flows);
    lost = c->lost;
    bench_source_init(&source, c->pool, (uint32_t)flows, BENCH_PACKET_MIN, order);
    read_cpu_ns(programs, cpu_before);
    released = c->released;
    for (uint64_t i = 0; i < w->options->runs; i++) {
        uint64_t before = c->released, begin_ns = bench_ns();

        run_until(c, &source, begin_ns + run_ns, UINT64_MAX / 2);
        values[i] = (double)(c->released - before) * 1000 / (double)(bench_ns() - begin_ns);
        if (interrupted)
            return rill_error_set(err, -EINTR, "interrupted");
        if (c->released == before)
            return rill_error_set(err, -EIO, "nothing comes out of the chain any more");
    }
    read_cpu_ns(programs, cpu_after);
    if (c->yields)
        report_cycles(w->report, order, flows, cpu_before, cpu_after, c->released - released);
    snprintf(result.name, sizeof(result.name), "memif/nat/%s/%s",
             order == BENCH_BURSTS ? "bursts" : "random", poll);
    result.mpps = bench_median(values, w->options->runs, &result.spread_percent);
    bench_report_add(w->report, &result);
    w->lost += c->lost - lost;
    return 0;
}

static int measure_poll(struct world *w, const char *poll, uint64_t flows, struct rill_error *err)
{
    struct client *c = &w->client;
    struct programs programs;
    int rc;

    *c = (struct client){.pool = c->pool, .yields = strcmp(poll, "yield") == 0};
    rc = start_programs(c, &programs, poll, flows, err);
    if (rc == 0)
        rc = measure(w, &programs, poll, flows, BENCH_BURSTS, err);
    if (rc == 0)
        rc = measure(w, &programs, poll, flows, BENCH_RANDOM, err);
    if (c->fabric != NULL)
        c->fabric->ops->destroy(c->fabric);
    stop_programs();
    return rc;
}

/* Four processes that never let go of a processor take turns as the scheduler sees fit: some
 * milliseconds each. One case shows that. */
static int measure_all(struct world *w, struct rill_error *err)
{
    static const struct {
        const char *poll;
        uint64_t flows;
    } cases[] = {{"yield", 1000}, {"busy", 1000}, {"yield", 50000}, {"yield", 200000}};
    unsigned n = w->options->quick ? 2 : RTE_DIM(cases);
    uint64_t only = ((const struct wanted *)w->options->own)->flows;
    int rc = 0;

    if (only != 0)
        return measure_poll(w, "yield", only, err);
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = measure_poll(w, cases[i].poll, cases[i].flows, err);
    bench_report_figure(w->report, "packets_lost", (double)w->lost);
    return rc;
}

static int take_flows(void *target, const char *value, struct rill_error *err)
{
    struct wanted *wanted = ((struct bench_options *)target)->own;

    if (rill_args_u64(value, &wanted->flows) != 0 || wanted->flows == 0 ||
        wanted->flows > FLOWS_MAX)
        return rill_error_set(err, -EINVAL, "--flows '%s': it is a whole number from 1 to %d",
                              value, FLOWS_MAX);
    return 0;
}

static const struct rill_arg arguments[] = {
    {"flows", "N", "only so many flows, with poll=yield", false, NULL, take_flows},
    {0},
};

int main(int argc, char **argv)
{
    struct wanted wanted = {0};
    struct bench_options options = {.own = &wanted};
    struct world w = {.options = &options};
    struct rill_error err;
    int rc = bench_options("chain_memif", argc, argv, arguments, &options);

    if (rc != 0)
        return rc - 1;
    w.report = bench_report_begin("chain_memif", &options);
    if (w.report == NULL)
        return 2;
    atexit(stop_programs);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    rc = rill_eal_init(MEMORY_MB, &err);
    if (rc == 0) {
        w.client.pool = rill_frame_pool_create("bench", MBUFS, &err);
        rc = w.client.pool != NULL ? measure_all(&w, &err) : -ENOMEM;
    }
    if (rc != 0) {
        fprintf(stderr, "bench chain_memif: %s\n", err.text);
        free(w.report);
        return 2;
    }
    return bench_report_end(w.report);
}
