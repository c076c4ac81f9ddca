#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eval/bench/start.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/frame.h"

enum { BURST = 32 };
#define END UINT_MAX /* as the sample that is asked for */
#define GIVE_UP_NS UINT64_C(10000000000)

/* Between the two processes, about the benchmark itself; what is measured goes over the fabric. */
struct shared {
    atomic_uint asked;  /* number of the sample that is prepared for; 0: none yet */
    atomic_uint ready;  /* the last that the warm process was ready for */
    atomic_bool linked; /* the warm process's ends of the links are up */
    atomic_bool failed;
    enum start_how how;
};

struct start_fabric {
    struct shared *shared;
    const char *folder;
    pid_t warm;
    int wake; /* eventfd */
    unsigned sample;
    struct rte_mempool *pool;
    struct rill_fabric *fabric;
};

static int make_end(struct start_fabric *f, struct rill_error *err)
{
    struct rill_fabric_memif_config config = {
        .folder = f->folder, .ring_frames = 64, .pool = f->pool};

    f->fabric = rill_fabric_memif_create(&config, err);
    return f->fabric != NULL ? 0 : -EIO;
}

/* --- the warm process ------------------------------------------------------------------------ */

static int warm_start(struct start_fabric *f, struct start_process *p, const char *nf,
                      struct rill_error *err)
{
    int rc = start_process_init(p, err);

    if (rc == 0)
        rc = rill_nf_load(nf, "", &p->image, err);
    f->pool = p->pool;
    if (rc == 0)
        rc = make_end(f, err);
    if (rc == 0)
        rc = f->fabric->ops->attach(f->fabric, START_UNIT, err);
    if (rc == 0)
        rc = rill_fabric_memif_link(f->fabric, START_UNIT, START_CONTROLLER, err);
    if (rc == 0)
        rc = rill_fabric_memif_link(f->fabric, START_UNIT, START_LOGGER, err);
    return rc;
}

/* Links come up as both ends look at them. Ours may be up while the other end still waits for a
 * word that we have yet to pass on: so we look until that one asks, and not until ours are up. */
static void warm_link(struct start_fabric *f)
{
    struct rte_mbuf *none[BURST];

    while (atomic_load(&f->shared->asked) == 0) {
        rte_pktmbuf_free_bulk(none,
                              f->fabric->ops->recv(f->fabric, START_UNIT, none, BURST, bench_ns()));
        if (rill_fabric_memif_is_up(f->fabric, START_UNIT, START_CONTROLLER) &&
            rill_fabric_memif_is_up(f->fabric, START_UNIT, START_LOGGER))
            atomic_store(&f->shared->linked, true);
        sched_yield();
    }
}

static void warm_sleep(struct start_fabric *f)
{
    uint64_t count;

    while (read(f->wake, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static bool warm_is_wanted(const struct start_fabric *f)
{
    return atomic_load(&f->shared->asked) != END;
}

/* Until a sample is asked for. It sleeps, so that other kinds of samples have the processors.
 * False: none is wanted any more. */
static bool warm_await(struct start_fabric *f)
{
    if (warm_is_wanted(f))
        warm_sleep(f);
    return warm_is_wanted(f);
}

/* One activation, up to the first packet; then the unit goes. */
static int warm_sample(struct start_fabric *f, const struct start_process *p, unsigned sample,
                       struct rill_error *err)
{
    struct start_instance instance = {0};
    struct rill_outbox out = {0};
    bool served = false;
    int rc = 0;

    if (f->shared->how != START_ON_DEMAND)
        rc = start_instance_create(p, &instance, err);
    if (instance.unit != NULL)
        rill_unit_prefault(instance.unit);
    atomic_store(&f->shared->ready, sample);
    if (rc == 0 && f->shared->how == START_ASLEEP)
        warm_sleep(f);
    while (rc == 0 && !served && atomic_load(&f->shared->asked) == sample) {
        struct rte_mbuf *frames[BURST];
        uint64_t now_ns = bench_ns();
        uint32_t n = f->fabric->ops->recv(f->fabric, START_UNIT, frames, BURST, now_ns);

        if (n > 0 && instance.unit == NULL)
            rc = start_instance_create(p, &instance, err);
        if (rc == 0 && instance.unit != NULL)
            served = start_serve(&instance, frames, n, &out);
        f->fabric->ops->send(f->fabric, START_UNIT, out.frames, out.count, now_ns);
        out.count = 0;
        if (n == 0)
            sched_yield();
    }
    start_instance_destroy(&instance);
    rill_outbox_fini(&out);
    return rc;
}

static void warm_run(struct start_fabric *f, const char *nf)
{
    struct start_process p = {.image = {.memory = -1}};
    struct rill_error err = {""};
    int rc;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    rc = warm_start(f, &p, nf, &err);
    if (rc == 0)
        warm_link(f);
    for (unsigned sample = 1; rc == 0 && warm_await(f); sample++)
        rc = warm_sample(f, &p, sample, &err);
    if (f->fabric != NULL)
        f->fabric->ops->destroy(f->fabric);
    if (rc != 0) {
        fprintf(stderr, "bench start: the warm process: %s\n", err.text);
        atomic_store(&f->shared->failed, true);
    }
    exit(rc == 0 ? 0 : 2);
}

/* --- who activates it ------------------------------------------------------------------------ */

struct start_fabric *start_fabric_fork(const char *nf, const char *folder, struct rill_error *err)
{
    struct start_fabric *f = calloc(1, sizeof(*f));
    struct shared *shared =
        mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (f == NULL || shared == MAP_FAILED) {
        rill_error_set(err, -ENOMEM, "no memory");
        free(f);
        return NULL;
    }
    *f = (struct start_fabric){.shared = shared, .folder = folder, .wake = eventfd(0, EFD_CLOEXEC)};
    fflush(NULL);
    f->warm = f->wake >= 0 ? fork() : -1;
    if (f->warm == 0)
        warm_run(f, nf);
    if (f->warm < 0) {
        rill_error_set(err, -errno, "the warm process: %s", strerror(errno));
        start_fabric_end(f);
        return NULL;
    }
    return f;
}

static bool links_are_up(struct start_fabric *f)
{
    struct rte_mbuf *none[BURST];

    rte_pktmbuf_free_bulk(none,
                          f->fabric->ops->recv(f->fabric, START_LOGGER, none, BURST, bench_ns()));
    return rill_fabric_memif_is_up(f->fabric, START_CONTROLLER, START_UNIT) &&
           rill_fabric_memif_is_up(f->fabric, START_LOGGER, START_UNIT);
}

static int failed(const struct start_fabric *f, uint64_t begin_ns, struct rill_error *err)
{
    if (!atomic_load(&f->shared->failed) && bench_ns() - begin_ns < GIVE_UP_NS)
        return 0;
    return rill_error_set(
        err, -EIO,
        "nothing comes from the warm process: sample %u (%d), ready for %u; links "
        "%" PRIu64 " up, %" PRIu64 " down",
        f->sample, (int)f->shared->how, atomic_load(&f->shared->ready),
        rill_fabric_memif_counters(f->fabric)->links_up,
        rill_fabric_memif_counters(f->fabric)->links_down);
}

int start_fabric_link(struct start_fabric *f, struct rte_mempool *pool, struct rill_error *err)
{
    uint64_t begin_ns = bench_ns();
    int rc;

    f->pool = pool;
    rc = make_end(f, err);
    if (rc == 0)
        rc = f->fabric->ops->attach(f->fabric, START_CONTROLLER, err);
    if (rc == 0)
        rc = f->fabric->ops->attach(f->fabric, START_LOGGER, err);
    if (rc == 0)
        rc = rill_fabric_memif_link(f->fabric, START_CONTROLLER, START_UNIT, err);
    if (rc == 0)
        rc = rill_fabric_memif_link(f->fabric, START_LOGGER, START_UNIT, err);
    while (rc == 0 && !(links_are_up(f) && atomic_load(&f->shared->linked))) {
        sched_yield();
        rc = failed(f, begin_ns, err);
    }
    return rc;
}

static void wake(struct start_fabric *f)
{
    const uint64_t one = 1;

    if (write(f->wake, &one, sizeof(one)) != sizeof(one))
        abort(); /* a counter that is never near its end */
}

static int await_ready(struct start_fabric *f, enum start_how how, struct rill_error *err)
{
    uint64_t begin_ns = bench_ns();
    int rc = 0;

    f->shared->how = how;
    atomic_store(&f->shared->asked, ++f->sample);
    wake(f);
    while (rc == 0 && atomic_load(&f->shared->ready) != f->sample) {
        links_are_up(f); /* the other end's needs our looking, too */
        sched_yield();
        rc = failed(f, begin_ns, err);
    }
    if (how == START_ASLEEP)
        usleep(1000); /* it says so before it sleeps */
    return rc;
}

/* The change of the packet, among whatever else comes. */
static bool has_come(struct start_fabric *f)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n = f->fabric->ops->recv(f->fabric, START_LOGGER, frames, BURST, bench_ns());
    bool change = false;

    for (uint32_t i = 0; i < n; i++)
        change |= rill_frame(frames[i])->type == RILL_FRAME_CHANGE;
    rte_pktmbuf_free_bulk(frames, n);
    return change;
}

int start_fabric_sample(struct start_fabric *f, enum start_how how, double *us,
                        struct rill_error *err)
{
    struct rte_mbuf *frames[2];
    uint64_t begin_ns;
    int rc = await_ready(f, how, err);

    if (rc != 0)
        return rc;
    if (start_frames(f->pool, frames) != 0)
        return rill_error_set(err, -ENOMEM, "no packet buffer");
    begin_ns = bench_ns();
    f->fabric->ops->send(f->fabric, START_CONTROLLER, frames, 2, begin_ns);
    if (how == START_ASLEEP)
        wake(f);
    while (rc == 0 && !has_come(f)) {
        sched_yield();
        rc = failed(f, begin_ns, err);
    }
    *us = (double)(bench_ns() - begin_ns) / 1000;
    return rc;
}

void start_fabric_end(struct start_fabric *f)
{
    if (f == NULL)
        return;
    atomic_store(&f->shared->asked, END);
    if (f->warm > 0) {
        wake(f);
        waitpid(f->warm, NULL, 0);
    }
    if (f->fabric != NULL)
        f->fabric->ops->destroy(f->fabric);
    if (f->wake >= 0)
        close(f->wake);
    munmap(f->shared, sizeof(*f->shared));
    free(f);
}
