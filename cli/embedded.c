#include "cli/embedded_run.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "lib/base/log_limit.h"

#define SECOND_NS UINT64_C(1000000000)
#define WARM_UP_MAX_NS SECOND_NS  /* for the first lease */
#define STUCK_NS (10 * SECOND_NS) /* nothing came out for so long: nothing will */
#define SLEEP_ABOVE_NS 2000000    /* idle for longer: sleep, do not spin */
#define WAKE_EARLY_NS 500000
#define SLEEP_MAX_NS 50000000 /* so that progress is shown */

enum { BURST = 32, ROUNDS_MAX = 1000000, RING_FRAMES = 4096 };

/* --- the cluster ----------------------------------------------------------------------------- */

static void on_released(void *arg, struct rte_mbuf *m, uint64_t now_ns)
{
    rill_player_released(&((struct run *)arg)->player, m, now_ns);
}

static struct rill_log_limit log_limit;

static void say_unsaid(uint64_t lines)
{
    fprintf(stderr, "rill replay: %" PRIu64 " lines were not written: more than log_lines_per_s\n",
            lines);
}

static void say(const char *nf, const char *line)
{
    uint64_t unsaid = 0;

    if (!rill_log_limit_take(&log_limit, rill_player_clock_ns(), &unsaid))
        return;
    if (unsaid > 0)
        say_unsaid(unsaid);
    fprintf(stderr, "rill replay: NF '%s': %s\n", nf, line);
}

static void begin_log(const struct rill_config *settings)
{
    log_limit =
        (struct rill_log_limit){.lines_per_s = rill_config_u64(settings, "log_lines_per_s")};
    rill_nf_log_to(say);
}

static void end_log(void)
{
    rill_nf_log_to(NULL);
    if (log_limit.unsaid > 0)
        say_unsaid(log_limit.unsaid);
}

static struct rill_fabric *create_fabric(const struct run *r, struct rill_error *err)
{
    struct rill_fabric_sim_config sim = {
        .seed = rill_config_u64(r->input.settings, "seed"),
        .delay_ns = (uint64_t)(rill_config_double(r->input.settings, "link_delay_us") * 1000),
        .pool = r->player.pool};

    if (r->options->clock == RILL_CLOCK_VIRTUAL)
        return rill_fabric_sim_create(&sim, err);
    return rill_fabric_inproc_create(RING_FRAMES, err);
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static int create_cluster(struct run *r, struct rill_error *err)
{
    struct rill_cluster_config config = {.nf = r->input.image.descriptor,
                                         .nf_config = r->input.nf_config,
                                         .settings = r->input.settings,
                                         .units_milli = r->options->units_milli,
                                         .controllers = r->options->controllers,
                                         .flows_max =
                                             rill_player_flows_bound(&r->player, r->input.settings),
                                         .pool = r->player.pool,
                                         .released = on_released,
                                         .arg = r};

    if (r->options->usage != NULL && r->options->clock == RILL_CLOCK_REAL)
        config.cpu_ns = thread_cpu_ns;
    begin_log(r->input.settings);
    r->fabric = create_fabric(r, err);
    if (r->fabric == NULL)
        return -ENOMEM;
    if (embedded_store_open(r, err) != 0)
        return -EINVAL;
    config.equip = embedded_equip;
    config.fabric = r->fabric;
    config.store = r->store;
    r->cluster = rill_cluster_create(&config, err);
    return r->cluster == NULL ? -EINVAL : 0;
}

static int prepare(struct run *r, struct rill_error *err)
{
    const struct rill_replay_options *o = r->options;
    const struct rill_nf_request request = {
        .nf = o->nf, .config = o->config, .sets = o->sets, .set_count = o->set_count};
    struct rill_player_nf nf;
    int rc = rill_nf_input_read(&request, &r->input, err);

    if (rc == 0)
        rc = rill_player_read(&r->player, err);
    if (rc == 0)
        rc = rill_player_start_dpdk(&r->player, r->input.settings, err);
    if (rc == 0) {
        nf = (struct rill_player_nf){.writes = r->input.image.descriptor->writes,
                                     .flags = r->input.image.descriptor->flags,
                                     .handles = r->input.image.descriptor->handles};
        rc = rill_player_create_ends(&r->player, r->input.settings, &nf, err);
    }
    if (rc == 0)
        rc = create_cluster(r, err);
    if (rc == 0)
        rc = embedded_shared_open(r, err);
    if (rc == 0)
        rc = embedded_epochs_open(r, err);
    if (rc == 0)
        rc = embedded_usage_open(r, err);
    if (rc == 0)
        rc = embedded_records_open(r, err);
    return rc == 0 ? rill_player_open_output(&r->player, err) : rc;
}

static void clean_up(struct run *r)
{
    embedded_epochs_close(r, NULL);
    embedded_usage_close(r, NULL);
    embedded_shared_close(r);
    rill_cluster_destroy(r->cluster);
    embedded_objects_close(r);
    embedded_records_close(r, NULL);
    rill_store_destroy(r->store);
    if (r->fabric != NULL)
        r->fabric->ops->destroy(r->fabric);
    rill_player_fini(&r->player);
    rill_nf_input_fini(&r->input);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Of the run, under real time. */
static uint64_t real_ns(const struct run *r)
{
    return rill_player_clock_ns() - r->real_start_ns;
}

/* Virtual: jumps to the next event, but not past `until_ns`. Real: reads the clock; where nothing
 * is due for long, sleeps, else lets others run. */
static void advance(struct run *r, uint64_t until_ns, bool idle)
{
    uint64_t *now_ns = &r->player.now_ns;
    uint64_t next_ns = RTE_MIN(rill_cluster_next_ns(r->cluster), until_ns);

    if (r->options->clock == RILL_CLOCK_VIRTUAL) {
        if (next_ns != UINT64_MAX && next_ns > *now_ns)
            *now_ns = next_ns;
        return;
    }
    *now_ns = real_ns(r);
    if (!idle || next_ns <= *now_ns)
        return;
    if (next_ns - *now_ns > SLEEP_ABOVE_NS) {
        uint64_t ns = RTE_MIN(next_ns - *now_ns - WAKE_EARLY_NS, (uint64_t)SLEEP_MAX_NS);
        struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ns};

        nanosleep(&t, NULL);
    } else {
        sched_yield();
    }
    *now_ns = real_ns(r);
}

/* Lets the cluster do all that is due now. True if there was anything. */
static bool turn(struct run *r)
{
    bool any = false;

    /* Under real time a turn is short, so that packets that become due go in. */
    int rounds = r->options->clock == RILL_CLOCK_VIRTUAL ? ROUNDS_MAX : 4;

    while (rounds-- > 0 && rill_cluster_step(r->cluster, r->player.now_ns))
        any = true;
    return any;
}

/* At the end of each 100 ms. */
static int end_epochs(struct run *r)
{
    struct rill_player *p = &r->player;
    int rc = 0;

    while (rc == 0 && p->now_ns >= p->next_epoch_ns) {
        embedded_sample_units(r);
        embedded_epochs_end(r);
        rc = rill_report_add_epoch(
            p->report, (double)(p->next_epoch_ns - RILL_PLAYER_EPOCH_NS - p->start_ns) / 1e9,
            embedded_units_in_use(r));
        p->next_epoch_ns += RILL_PLAYER_EPOCH_NS;
    }
    if (p->now_ns >= r->usage.next_ns)
        embedded_usage_write(r, false);
    return rc;
}

/* Puts in what is due, at most a burst. True if that was anything. */
static bool inject(struct run *r)
{
    struct rte_mbuf *burst[BURST];
    uint32_t n;
    bool any = rill_player_take_due(&r->player, burst, BURST, &n);

    if (n > 0)
        rill_cluster_ingress(r->cluster, burst, n, r->player.now_ns);
    return any;
}

/* --- the run --------------------------------------------------------------------------------- */

/* Every controller has leased something, if it is to have anything before there is traffic. */
static bool is_warm(const struct run *r)
{
    if (rill_config_u64(r->input.settings, "units_min") == 0)
        return true;
    for (uint32_t i = 0; i < rill_cluster_controller_count(r->cluster); i++)
        if (rill_controller_units(rill_cluster_controller_at(r->cluster, i)) == 0)
            return false;
    return true;
}

static int warm_up(struct run *r, struct rill_error *err)
{
    int rc;

    r->real_start_ns = rill_player_clock_ns();
    do {
        advance(r, UINT64_MAX, !turn(r));
        if (r->player.now_ns > WARM_UP_MAX_NS)
            return rill_error_set(err, -EIO,
                                  "no unit was leased within a second: the machine is too busy");
    } while (!is_warm(r));
    while ((rc = embedded_store_ready(r, err)) == 0)
        advance(r, UINT64_MAX, !turn(r));
    if (rc < 0)
        return rc;
    rill_player_start(&r->player, (r->player.now_ns / 1000000 + 2) * 1000000);
    embedded_epochs_start(r);
    embedded_usage_start(r);
    embedded_records_start(r);
    embedded_shared_start(r);
    return embedded_objects_start(r, err);
}

/* The capture is in: is the last packet out, or is what is left stuck? Who failed has time to
 * recover. */
static bool drained(struct run *r)
{
    uint64_t in_flight = rill_cluster_packets_in_flight(r->cluster);

    if (in_flight != r->in_flight) {
        r->in_flight = in_flight;
        r->give_up_ns = r->player.now_ns + STUCK_NS;
    }
    return (in_flight == 0 && embedded_fails_settled(r)) || r->player.now_ns >= r->give_up_ns;
}

/* Time does not jump past what is next to do here. */
static uint64_t next_stop_ns(const struct run *r)
{
    const struct rill_player *p = &r->player;
    uint64_t next_ns = RTE_MIN(p->next_due_ns, p->next_epoch_ns);

    next_ns = RTE_MIN(next_ns, RTE_MIN(embedded_next_fail_ns(r), embedded_next_update_ns(r)));
    return RTE_MIN(next_ns, RTE_MIN(r->usage.next_ns, r->sharing.next_ns));
}

/* Until the capture is in, and out again. */
static int play(struct run *r, struct rill_error *err)
{
    struct rill_player *p = &r->player;
    uint32_t since_look = 0;

    for (;;) {
        bool any, in;
        int rc = embedded_fail_due(r, err);

        if (rc != 0)
            return rc;
        embedded_objects_turn(r);
        embedded_shared_turn(r);
        any = inject(r);
        in = p->next_due_ns == UINT64_MAX;
        any |= turn(r);
        embedded_watch_fails(r);
        embedded_epochs_watch(r);
        if (end_epochs(r) != 0)
            return rill_error_set(err, -ENOMEM, "no memory for the report");
        if (in && drained(r))
            return 0;
        if (since_look++ % 64 == 0 || r->options->clock == RILL_CLOCK_REAL)
            rill_player_progress(p);
        if (any && p->next_due_ns <= p->now_ns && r->options->clock == RILL_CLOCK_VIRTUAL)
            continue; /* the rest of what is due at this very time */
        advance(r, next_stop_ns(r), !any);
    }
}

int rill_embedded_replay(const struct rill_replay_options *options, struct rill_report *report,
                         struct rill_error *err)
{
    struct run r = {.options = options, .player = {.options = options, .report = report}};
    int rc = prepare(&r, err);

    if (rc == 0)
        rc = warm_up(&r, err);
    if (rc == 0)
        rc = embedded_check_fails(&r, err);
    if (rc == 0)
        rc = embedded_check_updates(&r, err);
    if (rc == 0)
        rc = play(&r, err);
    if (rc == 0 && rill_cluster_end_flows(r.cluster, r.player.now_ns) != 0)
        rc = rill_error_set(err, -ENOMEM, "no memory for the ends of flows");
    if (rc == 0)
        embedded_shared_end(&r);
    if (rc == 0)
        rc = embedded_report(&r, err);
    if (rc == 0)
        rc = rill_player_close_output(&r.player, err);
    if (rc == 0) {
        embedded_epochs_end(&r);
        embedded_usage_write(&r, true);
        rc = embedded_epochs_close(&r, err);
    }
    if (rc == 0)
        rc = embedded_usage_close(&r, err);
    if (rc == 0)
        rc = embedded_records_close(&r, err);
    clean_up(&r);
    end_log();
    return rc;
}
