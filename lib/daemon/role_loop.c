/* The packet loop. */
#include <sched.h>
#include <time.h>

#include "lib/daemon/role_internal.h"
#include "lib/frame/frame.h"

enum {
    CONTROL_EVERY_NS = 1000000,
    /* Sleep: after so many turns that found nothing, so long, and twice as long each time up to the
     * most: 60 wake-ups a second of some 40 us, a quarter of a per cent of a core. */
    EMPTY_TURNS = 32,
    SLEEP_MIN_NS = 50000,
    SLEEP_MAX_NS = 16000000,
};

/* --- frames ----------------------------------------------------------------------------------- */

/* While buffers are short, packets are dropped and messages are not: what the packets that are held
 * wait for is a message. */
static uint32_t shed(struct role_process *p, struct rte_mbuf **frames, uint32_t n)
{
    struct rte_mempool *pool = p->host.pool;
    uint32_t kept = 0;

    /* Without the caches: to count these as well takes long. */
    if (rte_mempool_get_ops(pool->ops_index)->get_count(pool) >= p->reserve)
        return n;
    for (uint32_t i = 0; i < n; i++) {
        if (rill_frame_has_packet(frames[i])) {
            rte_pktmbuf_free(frames[i]);
            p->dropped_no_buffer++;
        } else {
            frames[kept++] = frames[i];
        }
    }
    return kept;
}

uint32_t role_receive(struct role_process *p, uint64_t now_ns)
{
    struct rte_mbuf *frames[ROLE_BURST];
    uint32_t n = p->fabric->ops->recv(p->fabric, p->host.role, frames, ROLE_BURST, now_ns);
    uint32_t kept;

    if (n == 0)
        return 0;
    kept = shed(p, frames, n);
    if (kept > 0) {
        p->ops->recv(p->ops->arg, frames, kept, now_ns, &p->out);
        role_send(p, now_ns);
    }
    return n;
}

void role_send(struct role_process *p, uint64_t now_ns)
{
    struct rill_outbox *out = &p->out;
    uint32_t kept = 0;

    /* What release() puts in comes behind, and is seen here, too. */
    for (uint32_t i = 0; i < out->count; i++) {
        struct rte_mbuf *m = out->frames[i];
        enum rill_role_kind kind = rill_role_kind(rill_frame(m)->dst);

        if (kind == RILL_ROLE_PORT && p->ops->release != NULL)
            p->ops->release(p->ops->arg, m, now_ns, out);
        else if (kind == RILL_ROLE_RM)
            role_send_lease(p, m);
        else
            out->frames[kept++] = m;
    }
    if (kept > 0)
        p->fabric->ops->send(p->fabric, p->host.role, out->frames, kept, now_ns);
    out->count = 0;
}

/* Processor time of this thread. */
static uint64_t cpu_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* Only where there is something to do: looking for it is not the deployment's to pay. What came in
 * is measured from when it was there, as receiving it is part of the same call. */
static bool receive_and_tick(struct role_process *p, uint64_t now_ns)
{
    const struct rill_role_ops *ops = p->ops;
    bool measured = ops->kind == RILL_ROLE_UNIT, due, any;
    uint64_t began_ns = measured ? cpu_now_ns() : 0;

    any = role_receive(p, now_ns) > 0;
    due = ops->next_ns(ops->arg) <= now_ns;
    if (due) {
        ops->tick(ops->arg, now_ns, &p->out);
        role_send(p, now_ns);
    }
    if (measured && (any || due))
        p->cpu_ns += cpu_now_ns() - began_ns;
    return any;
}

/* True if anything came in. */
static bool turn(struct role_process *p, uint64_t now_ns)
{
    const struct rill_role_ops *ops = p->ops;
    bool any = receive_and_tick(p, now_ns);

    if (ops->poll != NULL && ops->poll(ops->arg, now_ns, &p->out)) {
        role_send(p, now_ns);
        any = true;
    }
    return any;
}

static void look_at_control(struct role_process *p, uint64_t now_ns)
{
    if (now_ns < p->next_control_ns)
        return;
    p->next_control_ns = now_ns + CONTROL_EVERY_NS;
    uv_run(&p->loop, UV_RUN_NOWAIT);
    role_peers_look(p);
    role_tell_objects(p, now_ns);
    rill_daemon_log_look(now_ns);
}

/* --- between turns ---------------------------------------------------------------------------- */

static void sleep_a_while(struct role_process *p, uint64_t now_ns)
{
    uint64_t next_ns = p->ops->next_ns(p->ops->arg);
    uint64_t left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    uint64_t ns = RTE_MIN(p->rest.sleep_ns, left_ns);
    struct timespec t = {.tv_nsec = (long)ns};

    nanosleep(&t, NULL);
    p->rest.sleep_ns = RTE_MIN(p->rest.sleep_ns * 2, (uint64_t)SLEEP_MAX_NS);
}

/* Work is packets and messages of other roles, and links that come up; not the few leases that are
 * renewed all the time, and not timers, before which it wakes up anyway. */
static void rest(struct role_process *p, uint64_t now_ns, bool worked)
{
    if (p->poll == RILL_POLL_BUSY)
        return;
    if (worked)
        p->rest = (struct role_rest){.sleep_ns = SLEEP_MIN_NS};
    if (p->poll == RILL_POLL_YIELD || p->rest.empty_turns < EMPTY_TURNS) {
        p->rest.empty_turns++;
        sched_yield();
    } else {
        sleep_a_while(p, now_ns);
    }
}

void role_loop(struct role_process *p)
{
    p->rest.sleep_ns = SLEEP_MIN_NS;
    while (!p->ended && !role_stopped()) {
        uint64_t now_ns = rill_daemon_now_ns();
        bool any = turn(p, now_ns);

        look_at_control(p, now_ns);
        rill_turns_count(&p->turns);
        rest(p, now_ns, any || p->peers.pending);
    }
}
