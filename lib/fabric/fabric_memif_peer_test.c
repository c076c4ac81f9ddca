/* The memif fabric between two processes: this one, and a peer that it starts, stops and kills. The
 * peer is this program again; it sends back whatever it gets.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/rng.h"
#include "lib/fabric/fabric_battery.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/frame.h"

enum {
    RING_FRAMES = 256,
    POOL_MBUFS = 16383,
    BURST = 32,
    KILLS = 8,
    DEADLINE_S = 60, /* only a broken program gets there */
    MEMORY_MB = 256,
};

static char folder[] = "/tmp/rill_memif_peer_XXXXXX";
static const char *program;
static struct rte_mempool *pool;
static struct rill_fabric *fabric;
static struct rill_rng rng;

/* --- both processes --------------------------------------------------------------------------- */

/* EAL ties the thread to one core, both processes to the same; let them run at the same time. */
static int start_eal(struct rill_error *err)
{
    cpu_set_t cpus;
    int code;

    sched_getaffinity(0, sizeof(cpus), &cpus);
    code = rill_eal_init(MEMORY_MB, err);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    return code;
}

static struct rill_fabric *create(const char *in, struct rill_error *err)
{
    struct rill_fabric_memif_config config = {
        .folder = in, .ring_frames = RING_FRAMES, .pool = pool};

    return rill_fabric_memif_create(&config, err);
}

/* --- the peer --------------------------------------------------------------------------------- */

static void echo(uint32_t self, uint32_t peer)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n = fabric->ops->recv(fabric, self, frames, BURST, 0);

    for (uint32_t i = 0; i < n; i++) {
        rill_frame(frames[i])->src = self;
        rill_frame(frames[i])->dst = peer;
    }
    fabric->ops->send(fabric, self, frames, n, 0);
    if (n == 0)
        sched_yield();
}

/* Says on its output that its end of the link is there, and echoes until it is killed. */
static int be_peer(char **args)
{
    uint32_t self = (uint32_t)strtoul(args[1], NULL, 16);
    uint32_t peer = (uint32_t)strtoul(args[2], NULL, 16);
    struct rill_error err;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (start_eal(&err) == 0)
        pool = rill_frame_pool_create("peer", POOL_MBUFS, &err);
    if (pool != NULL)
        fabric = create(args[0], &err);
    if (fabric == NULL || fabric->ops->attach(fabric, self, &err) != 0 ||
        rill_fabric_memif_link(fabric, self, peer, &err) != 0) {
        fprintf(stderr, "peer: %s\n", err.text);
        return 1;
    }
    if (write(STDOUT_FILENO, "!", 1) != 1)
        return 1;
    for (;;)
        echo(self, peer);
}

static pid_t start_peer(uint32_t self, uint32_t peer)
{
    char ids[2][16], byte;
    int ready[2];
    pid_t pid;

    snprintf(ids[0], sizeof(ids[0]), "%x", self);
    snprintf(ids[1], sizeof(ids[1]), "%x", peer);
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ready[1], STDOUT_FILENO);
        for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
            close(fd);
        execl(program, program, folder, ids[0], ids[1], (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end_peer(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* and of nothing before */
}

/* --- this side -------------------------------------------------------------------------------- */

struct talk {
    uint32_t self, peer;
    uint64_t next_id, last_id; /* to send; that came back */
    uint64_t came_back;
};

/* Some messages, and packets of all sizes. */
static uint32_t bytes_of(uint64_t id)
{
    static const uint32_t bytes[] = {0, 60, 0, 1434, 64, 200, 64, 100, 64, 700};

    if (id % 97 == 0)
        return id % 2 ? 60000 : 9000;
    return bytes[id % RTE_DIM(bytes)];
}

static struct rte_mbuf *new_frame(const struct talk *t, uint64_t id)
{
    uint32_t bytes = bytes_of(id);
    struct rte_mbuf *m =
        rill_frame_new(pool, bytes ? RILL_FRAME_DATA : RILL_FRAME_SYNC, t->self, t->peer);

    assert_non_null(m);
    rill_frame(m)->flow = id;
    if (bytes != 0) {
        rill_frame(m)->flags = RILL_FLAG_PACKET;
        rill_frame(m)->wire_bytes = bytes;
        rill_fabric_test_fill(m, pool, bytes, (uint32_t)id);
    }
    return m;
}

static void send_burst(struct talk *t)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n = 1 + rill_rng_below(&rng, BURST);

    for (uint32_t i = 0; i < n; i++)
        frames[i] = new_frame(t, t->next_id++);
    fabric->ops->send(fabric, t->self, frames, n, 0);
}

static uint32_t recv_burst(struct talk *t)
{
    struct rte_mbuf *frames[BURST];
    uint32_t n = fabric->ops->recv(fabric, t->self, frames, BURST, 0);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = rill_frame(frames[i])->flow;

        assert_true(id > t->last_id && id < t->next_id);
        assert_int_equal(rill_frame(frames[i])->src, t->peer);
        rill_fabric_test_check(frames[i], bytes_of(id), (uint32_t)id);
        t->last_id = id;
        rte_pktmbuf_free(frames[i]);
    }
    t->came_back += n;
    return n;
}

static void assert_balance(void)
{
    const struct rill_fabric_counters *c = &fabric->counters;
    const struct rill_fabric_memif_counters *more = rill_fabric_memif_counters(fabric);

    assert_int_equal(c->sent + c->taken_over,
                     c->delivered + c->full + c->no_route + c->lost + c->handed_over);
    assert_true(c->taken_over <= c->handed_over); /* an echo of what it got */
    assert_int_equal(c->lost, 0);
    assert_int_equal(more->foreign + more->malformed + more->starved, 0);
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

static time_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Says all that can be seen from here. */
static void stuck(const struct talk *t)
{
    const struct rill_fabric_memif_counters *c = rill_fabric_memif_counters(fabric);
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);

    fail_msg("0x%08x waits for 0x%08x: up %lu times, down %lu, misfits %lu, %lu came back; peers: "
             "%d, status 0x%x",
             t->self, t->peer, (unsigned long)c->links_up, (unsigned long)c->links_down,
             (unsigned long)c->misfits, (unsigned long)t->came_back, (int)pid, (unsigned)status);
}

static void wait_until(const struct talk *t, bool up)
{
    time_t until_s = now_s() + DEADLINE_S;

    while (rill_fabric_memif_is_up(fabric, t->self, t->peer) != up) {
        if (now_s() >= until_s)
            stuck(t);
        sched_yield();
    }
}

/* What a peer sent before it died still comes. */
static void wait_until_gone(struct talk *t)
{
    wait_until(t, false);
    while (recv_burst(t) > 0)
        ;
}

/* Talks until so many more frames have come back. */
static void talk_until(struct talk *t, uint64_t came_back)
{
    time_t until_s = now_s() + DEADLINE_S;

    came_back += t->came_back;
    while (t->came_back < came_back) {
        if (t->next_id - t->last_id < RING_FRAMES)
            send_burst(t);
        else if (rill_rng_below(&rng, 64) == 0)
            send_burst(t); /* something may have been lost */
        recv_burst(t);
        if (now_s() >= until_s)
            stuck(t);
    }
}

static int setup(void **state)
{
    struct rill_error err;

    (void)state;
    rill_rng_seed(&rng, 1);
    fabric = create(folder, &err);
    if (fabric == NULL)
        print_error("%s\n", err.text);
    return fabric == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    if (fabric != NULL)
        fabric->ops->destroy(fabric);
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

static uint32_t unit(uint32_t i)
{
    return rill_role_id(RILL_ROLE_UNIT, i);
}

static struct talk begin(uint32_t self, uint32_t peer)
{
    struct talk t = {.self = self, .peer = peer, .next_id = 1};
    struct rill_error err;

    assert_int_equal(fabric->ops->attach(fabric, self, &err), 0);
    assert_int_equal(rill_fabric_memif_link(fabric, self, peer, &err), 0);
    assert_int_equal(rill_fabric_memif_link(fabric, self, peer, &err), 0); /* again: nothing */
    return t;
}

/* --- tests ------------------------------------------------------------------------------------ */

/* A peer dies in the middle of bursts, and another comes, again and again. */
static void peers_are_killed(uint32_t self, uint32_t peer)
{
    struct talk t = begin(self, peer);

    for (uint32_t round = 0; round < KILLS; round++) {
        pid_t pid = start_peer(peer, self);

        wait_until(&t, true);
        talk_until(&t, 500 + rill_rng_below(&rng, 3000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        for (uint32_t i = 0; i < 200 || rill_fabric_memif_is_up(fabric, self, peer); i++) {
            send_burst(&t);
            recv_burst(&t);
        }
        end_peer(pid);
    }
    while (recv_burst(&t) > 0)
        ;
    assert_balance();
    assert_int_equal(rill_fabric_memif_counters(fabric)->links_up, KILLS);
    assert_int_equal(rill_fabric_memif_counters(fabric)->links_down, KILLS);
}

static void a_killed_client_leaves_the_server_well(void **state)
{
    (void)state;
    peers_are_killed(unit(1), unit(2));
}

static void a_killed_server_leaves_the_client_well(void **state)
{
    (void)state;
    peers_are_killed(unit(2), unit(1));
}

/* A peer that sleeps costs frames, not time. */
static void peer_sleeps(uint32_t self, uint32_t peer)
{
    struct talk t = begin(self, peer);
    pid_t pid = start_peer(peer, self);
    uint64_t full;

    wait_until(&t, true);
    talk_until(&t, 1000);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        send_burst(&t);
        recv_burst(&t);
    }
    assert_true(fabric->counters.full > 0);
    assert_true(rill_fabric_memif_is_up(fabric, self, peer));
    assert_int_equal(kill(pid, SIGCONT), 0);
    talk_until(&t, 1000 + RING_FRAMES);
    full = fabric->counters.full;
    assert_true(full < fabric->counters.sent);
    end_peer(pid);
    wait_until_gone(&t);
    assert_balance();
}

static void a_sleeping_client_does_not_block(void **state)
{
    (void)state;
    peer_sleeps(unit(1), unit(2));
}

static void a_sleeping_server_does_not_block(void **state)
{
    (void)state;
    peer_sleeps(unit(2), unit(1));
}

/* Connecting to a server that is there and sleeps does not block either, however often. */
static void connecting_to_a_sleeper_does_not_block(void **state)
{
    pid_t pid = start_peer(unit(1), unit(2));
    struct talk t;
    time_t until_s = now_s() + DEADLINE_S;

    (void)state;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    t = begin(unit(2), unit(1));
    for (uint32_t links = 0; links < 40; links++) { /* more than a listener's queue holds */
        struct rill_error err;

        for (uint32_t i = 0; i < 1500; i++) {
            send_burst(&t);
            recv_burst(&t);
        }
        assert_false(rill_fabric_memif_is_up(fabric, t.self, t.peer));
        rill_fabric_memif_unlink(fabric, t.self, t.peer);
        assert_int_equal(rill_fabric_memif_link(fabric, t.self, t.peer, &err), 0);
        assert_true(now_s() < until_s);
    }
    assert_int_equal(fabric->counters.no_route, fabric->counters.sent);
    assert_int_equal(kill(pid, SIGCONT), 0);
    wait_until(&t, true);
    talk_until(&t, 1000);
    end_peer(pid);
    wait_until_gone(&t);
    assert_balance();
}

/* A peer that hangs is replaced by another before anybody has killed it. */
static void a_new_peer_takes_the_place_of_a_sleeper(void **state)
{
    struct talk t = begin(unit(1), unit(2));
    pid_t pids[2] = {start_peer(t.peer, t.self)};

    (void)state;
    wait_until(&t, true);
    talk_until(&t, 1000);
    assert_int_equal(kill(pids[0], SIGSTOP), 0);
    pids[1] = start_peer(t.peer, t.self);
    wait_until_gone(&t);
    wait_until(&t, true);
    talk_until(&t, 1000);
    end_peer(pids[0]);
    talk_until(&t, 1000);
    end_peer(pids[1]);
    wait_until_gone(&t);
    assert_balance();
}

/* Two peers at once; one's death is nothing to the other, and unlinking ends what is on its way. */
static void others_talk_on(void **state)
{
    struct talk a = begin(unit(5), unit(1)), b = a;
    pid_t pids[2] = {start_peer(unit(1), unit(5)), start_peer(unit(9), unit(5))};
    struct rill_error err;

    (void)state;
    b.peer = unit(9);
    assert_int_equal(rill_fabric_memif_link(fabric, b.self, b.peer, &err), 0);
    wait_until(&a, true);
    wait_until(&b, true);
    talk_until(&a, 1000);
    end_peer(pids[0]);
    a.last_id = 0;
    wait_until_gone(&a);
    b.next_id = a.next_id;
    talk_until(&b, 3000);
    send_burst(&b);
    rill_fabric_memif_unlink(fabric, b.self, b.peer);
    assert_false(rill_fabric_memif_is_up(fabric, b.self, b.peer));
    send_burst(&b);
    end_peer(pids[1]);
    assert_balance();
}

static int group_setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    if (start_eal(&err) == 0)
        pool = rill_frame_pool_create("peer_test", POOL_MBUFS, &err);
    if (pool == NULL)
        print_error("%s\n", err.text);
    return pool == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    char command[sizeof(folder) + 16];

    (void)state;
    rte_mempool_free(pool);
    snprintf(command, sizeof(command), "rm -rf %s", folder); /* a killed peer leaves its sockets */
    return system(command) == 0 ? 0 : -1;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_client_leaves_the_server_well),
        TEST(a_killed_server_leaves_the_client_well),
        TEST(a_sleeping_client_does_not_block),
        TEST(a_sleeping_server_does_not_block),
        TEST(connecting_to_a_sleeper_does_not_block),
        TEST(a_new_peer_takes_the_place_of_a_sleeper),
        TEST(others_talk_on),
    };

    if (argc == 4)
        return be_peer(argv + 1);
    program = "/proc/self/exe";
    return cmocka_run_group_tests_name("memif: two processes", tests, group_setup, group_teardown);
}
