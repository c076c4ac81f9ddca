#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_ethdev.h>

#include "lib/base/eal.h"
#include "lib/fabric/fabric_battery.h"
#include "lib/fabric/fabric_memif.h"
#include "lib/frame/frame.h"

enum { RING_FRAMES = 256, POOL_MBUFS = 4095, DEADLINE_S = 60 };

static char folder[] = "/tmp/rill_memif_test_XXXXXX";
static struct rte_mempool *pool;

/* Two fabrics: as if two processes. */
static struct rill_fabric *ours, *theirs;

static struct rill_fabric *create(struct rte_mempool *of, struct rill_error *err)
{
    struct rill_fabric_memif_config config = {
        .folder = folder, .ring_frames = RING_FRAMES, .pool = of};

    return rill_fabric_memif_create(&config, err);
}

static uint32_t unit(uint32_t i)
{
    return rill_role_id(RILL_ROLE_UNIT, i);
}

static int group_setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) == 0)
        pool = rill_frame_pool_create("memif_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    ours = create(pool, NULL);
    theirs = create(pool, NULL);
    return ours == NULL || theirs == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    ours->ops->destroy(ours);
    theirs->ops->destroy(theirs);
    return rte_mempool_in_use_count(pool) == 0 && rte_eth_dev_count_avail() == 0 ? 0 : -1;
}

/* --- links between the two -------------------------------------------------------------------- */

static void attach(struct rill_fabric *fabric, uint32_t role)
{
    struct rill_error err;

    assert_int_equal(fabric->ops->attach(fabric, role, &err), 0);
}

static void link_to(struct rill_fabric *fabric, uint32_t role, uint32_t peer)
{
    struct rill_error err = {""};

    if (rill_fabric_memif_link(fabric, role, peer, &err) != 0)
        fail_msg("%s", err.text);
}

static void wait_until(bool up, uint32_t a, uint32_t b)
{
    struct timespec now, until;
    bool here, there;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DEADLINE_S;
    do {
        here = rill_fabric_memif_is_up(ours, a, b);
        there = rill_fabric_memif_is_up(theirs, b, a);
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_true(now.tv_sec < until.tv_sec);
    } while (here != up || there != up);
}

/* Ours has `a`, theirs has `b`, and they are linked. */
static void connect_both(uint32_t a, uint32_t b)
{
    attach(ours, a);
    attach(theirs, b);
    link_to(ours, a, b);
    link_to(theirs, b, a);
    wait_until(true, a, b);
}

static void send_new(struct rill_fabric *fabric, uint32_t src, uint32_t dst, uint64_t id)
{
    struct rte_mbuf *m = rill_fabric_test_frame(pool, src, dst, id, true);

    fabric->ops->send(fabric, src, &m, 1, 0);
}

static uint32_t recv_and_free(struct rill_fabric *fabric, uint32_t role)
{
    struct rte_mbuf *frames[64];
    uint32_t n, all = 0;

    while ((n = fabric->ops->recv(fabric, role, frames, RTE_DIM(frames), 0)) > 0) {
        rte_pktmbuf_free_bulk(frames, n);
        all += n;
    }
    return all;
}

/* --- what can not work ------------------------------------------------------------------------ */

static void refused(const char *where, uint32_t ring_frames, struct rte_mempool *of,
                    const char *says)
{
    struct rill_fabric_memif_config config = {
        .folder = where, .ring_frames = ring_frames, .pool = of};
    struct rill_error err = {""};

    assert_null(rill_fabric_memif_create(&config, &err));
    assert_non_null(strstr(err.text, says));
    assert_null(strchr(err.text, '\n'));
    assert_null(rill_fabric_memif_create(&config, NULL));
}

static void bad_settings_are_refused(void **state)
{
    char path[200];

    (void)state;
    refused(folder, 0, pool, "power of two");
    refused(folder, 32, pool, "power of two");
    refused(folder, 1000, pool, "power of two");
    refused(folder, 16384, pool, "power of two");
    refused(folder, 256, NULL, "pool");
    refused(NULL, 256, pool, "folder");
    refused("", 256, pool, "folder");
    refused("/tmp/rill,a=b", 256, pool, "can not take");
    refused("/nonexistent/rill", 256, pool, "make the folder");
    refused("/dev/null", 256, pool, "not a folder");
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[84] = '\0';
    refused(path, 256, pool, "at most 83 bytes");
    path[83] = '\0';
    refused(path, 256, pool, "make the folder"); /* just short enough */
    assert_int_equal(chmod(folder, 0750), 0);
    refused(folder, 256, pool, "chmod 700");
    assert_int_equal(chmod(folder, 0700), 0);
}

static void bad_links_are_refused(void **state)
{
    struct rill_error err;

    (void)state;
    attach(ours, unit(1));
    attach(ours, unit(2));
    assert_int_equal(rill_fabric_memif_link(ours, unit(7), unit(8), &err), -EINVAL);
    assert_int_equal(rill_fabric_memif_link(ours, unit(1), unit(2), &err), -EINVAL);
    assert_int_equal(rill_fabric_memif_link(ours, unit(1), unit(1), &err), -EINVAL);
    assert_int_equal(rill_fabric_memif_link(ours, unit(1), 0, &err), -EINVAL);
    assert_int_equal(
        rill_fabric_memif_link(ours, unit(1), rill_role_id(RILL_ROLE_PORT, RILL_INSIDE), &err),
        -EINVAL);
    link_to(ours, unit(1), unit(9));
    assert_int_equal(ours->ops->attach(ours, unit(9), &err), -EEXIST);
    rill_fabric_memif_unlink(ours, unit(1), unit(2)); /* within the fabric: nothing happens */
    assert_true(rill_fabric_memif_is_up(ours, unit(1), unit(2)));
    assert_false(rill_fabric_memif_is_up(ours, unit(1), unit(9)));
    assert_false(rill_fabric_memif_is_up(ours, unit(1), unit(10)));
}

/* DPDK's limit: a clear line, and a port that is given back does again, for either end. */
static void ports_run_out(void **state)
{
    struct rill_error err = {""};

    (void)state;
    attach(ours, unit(100));
    for (uint32_t i = 0; i < RTE_MAX_ETHPORTS; i++)
        link_to(ours, unit(100), unit(i < 16 ? i : 200 + i));
    assert_int_equal(rill_fabric_memif_link(ours, unit(100), unit(300), &err), -ENOSPC);
    assert_non_null(strstr(err.text, "all 32 ports"));
    assert_int_equal(rill_fabric_memif_link(ours, unit(100), unit(99), NULL), -ENOSPC);
    rill_fabric_memif_unlink(ours, unit(100), unit(3));
    link_to(ours, unit(100), unit(300)); /* the client's port became a server's */
    assert_int_equal(rill_fabric_memif_link(ours, unit(100), unit(99), NULL), -ENOSPC);
    rill_fabric_memif_unlink(ours, unit(100), unit(300));
    link_to(ours, unit(100), unit(99));
    assert_int_equal(ours->ops->attach(ours, unit(101), &err), -ENOSPC); /* one more link */
    ours->ops->detach(ours, unit(100));
    attach(ours, unit(100));
    attach(ours, unit(101));
}

/* --- what arrives ----------------------------------------------------------------------------- */

static void frames_are_counted_where_they_cross(void **state)
{
    uint32_t a = unit(1), b = unit(2);
    struct rte_mbuf *message;

    (void)state;
    connect_both(a, b);
    for (uint64_t id = 1; id <= 40; id++) {
        send_new(ours, a, b, id);
        send_new(theirs, b, a, id);
    }
    assert_int_equal(ours->ops->next_ns(ours), 0);
    assert_int_equal(ours->ops->packets_in_flight(ours), 0); /* not within the fabric */
    assert_int_equal(recv_and_free(theirs, b), 40);
    assert_int_equal(recv_and_free(ours, a), 40);
    assert_int_equal(ours->counters.handed_over, 40);
    assert_int_equal(ours->counters.taken_over, 40);
    assert_int_equal(ours->counters.handed_over_packets, 40);
    assert_int_equal(ours->counters.taken_over_packets, 40);
    assert_int_equal(theirs->counters.delivered, 40);
    message = rill_fabric_test_frame(pool, a, b, 1, false);
    ours->ops->send(ours, a, &message, 1, 0);
    assert_int_equal(recv_and_free(theirs, b), 1);
    assert_int_equal(ours->counters.handed_over, 41);
    assert_int_equal(ours->counters.handed_over_packets, 40);
    assert_int_equal(theirs->counters.taken_over, 41);
    assert_int_equal(theirs->counters.taken_over_packets, 40);
    /* What was sent before a link is taken down is still read at the other end. */
    for (uint64_t id = 1; id <= 40; id++)
        send_new(ours, a, b, id);
    rill_fabric_memif_unlink(ours, a, b);
    send_new(ours, a, b, 1);
    assert_int_equal(ours->counters.no_route, 1);
    link_to(ours, a, b);
    wait_until(false, a, b);
    wait_until(true, a, b); /* though nobody has read those yet */
    send_new(ours, a, b, 3);
    assert_int_equal(theirs->ops->packets_in_flight(theirs), 40);
    assert_int_equal(recv_and_free(theirs, b), 41);
    assert_int_equal(theirs->ops->packets_in_flight(theirs), 0);
    /* What is on its way to us when we take it down has nowhere to go. */
    for (uint64_t id = 1; id <= 40; id++)
        send_new(theirs, b, a, id);
    rill_fabric_memif_unlink(ours, a, b);
    assert_int_equal(ours->counters.no_route, 41);
    assert_int_equal(rill_fabric_memif_counters(theirs)->links_up, 2);
}

static void frames_too_long_are_counted(void **state)
{
    uint32_t a = unit(1), b = unit(2);
    struct rte_mbuf *m;

    (void)state;
    connect_both(a, b);
    for (uint32_t bytes = 65000; bytes <= 65500; bytes += 20) {
        m = rill_frame_new(pool, RILL_FRAME_PASS, a, b);
        rill_frame(m)->flags = RILL_FLAG_PACKET;
        rill_frame(m)->wire_bytes = bytes;
        rill_fabric_test_fill(m, pool, bytes, bytes);
        ours->ops->send(ours, a, &m, 1, 0);
        if (theirs->ops->recv(theirs, b, &m, 1, 0) == 1) {
            rill_fabric_test_check(m, bytes, bytes);
            rte_pktmbuf_free(m);
            assert_true(bytes < RILL_FABRIC_MEMIF_FRAME_BYTES - 60);
        } else {
            assert_true(bytes + RILL_GENEVE_HEADROOM > RILL_FABRIC_MEMIF_FRAME_BYTES);
        }
    }
    assert_true(ours->counters.full_packets > 0 && theirs->counters.delivered > 10);
    assert_int_equal(ours->counters.handed_over, theirs->counters.delivered);
    /* and one that is none */
    m = rill_fabric_test_frame(pool, a, b, 1, true);
    rill_frame(m)->type = RILL_FRAME_NONE;
    ours->ops->send(ours, a, &m, 1, 0);
    assert_int_equal(ours->counters.lost, 1);
    assert_int_equal(rill_fabric_memif_counters(ours)->malformed, 1);
}

/* Without buffers for the longest frame nothing is taken, so nothing is lost. */
static void a_pool_that_runs_dry_loses_nothing(void **state)
{
    static struct rte_mbuf *all[POOL_MBUFS + 1];
    uint32_t a = unit(1), b = unit(2), n = 0;

    (void)state;
    connect_both(a, b);
    for (uint64_t id = 1; id <= 8; id++) {
        struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_PASS, a, b);

        rill_frame(m)->flags = RILL_FLAG_PACKET;
        rill_frame(m)->wire_bytes = 60000;
        rill_fabric_test_fill(m, pool, 60000, 1);
        ours->ops->send(ours, a, &m, 1, 0);
    }
    while ((all[n] = rte_pktmbuf_alloc(pool)) != NULL)
        n++;
    for (uint32_t left = 0; left < 32; left++) {
        assert_int_equal(recv_and_free(theirs, b), 0);
        rte_pktmbuf_free(all[--n]);
    }
    assert_true(rill_fabric_memif_counters(theirs)->starved > 0);
    rte_pktmbuf_free_bulk(all, n);
    assert_int_equal(recv_and_free(theirs, b), 8);
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* --- hostile peers ---------------------------------------------------------------------------- */

/* The last port that was made. */
static uint16_t last_port(void)
{
    uint16_t port, last = 0;

    RTE_ETH_FOREACH_DEV(port)
    last = port;
    return last;
}

static struct rill_underlay underlay(uint32_t from, uint32_t to)
{
    struct rill_underlay u = {
        .src_mac = {2, 'R', (uint8_t)(from >> 24), 0, 0, (uint8_t)from},
        .dst_mac = {2, 'R', (uint8_t)(to >> 24), 0, 0, (uint8_t)to},
        .src = {.family = 4, .addr = {10}},
        .dst = {.family = 4, .addr = {10}},
    };

    return u;
}

static void send_raw(struct rte_mbuf *m)
{
    assert_int_equal(rte_eth_tx_burst(last_port(), 0, &m, 1), 1);
}

static void send_frame_raw(uint32_t mac_from, uint32_t mac_to, uint32_t dst, uint32_t damage)
{
    struct rte_mbuf *m = rill_fabric_test_frame(pool, unit(2), dst, 3, true);
    struct rill_underlay u = underlay(mac_from, mac_to);
    struct rill_geneve_outer outer;

    assert_int_equal(rill_geneve_outer_init(&outer, &u), 0);
    assert_int_equal(rill_geneve_encode(&m, pool, &outer), 0);
    if (damage != 0)
        rte_pktmbuf_mtod(m, uint8_t *)[damage] ^= 0x55;
    send_raw(m);
}

static void what_is_not_for_us_is_refused(void **state)
{
    uint32_t a = unit(1), b = unit(2), c = unit(3);
    const struct rill_fabric_memif_counters *counters = rill_fabric_memif_counters(ours);
    struct rte_mbuf *m;

    (void)state;
    connect_both(a, b); /* the last port is b's */
    send_frame_raw(b, c, a, 0);
    send_frame_raw(c, a, a, 0);
    send_frame_raw(b, a, c, 0);
    m = rte_pktmbuf_alloc(pool);
    rte_pktmbuf_append(m, 5);
    send_raw(m);
    assert_int_equal(recv_and_free(ours, a), 0);
    assert_int_equal(counters->foreign, 4);
    send_frame_raw(b, a, a, 16); /* the IP length */
    send_frame_raw(b, a, a, 12); /* the Ethernet type */
    send_frame_raw(b, a, a, 42); /* Geneve's version */
    assert_int_equal(recv_and_free(ours, a), 0);
    assert_int_equal(
        counters->refused[RILL_GENEVE_SHORT] + counters->refused[RILL_GENEVE_CHECKSUM] +
            counters->refused[RILL_GENEVE_NOT_OURS] + counters->refused[RILL_GENEVE_VERSION],
        3);
    assert_int_equal(counters->refused[RILL_GENEVE_NOT_OURS], 1);
    assert_int_equal(ours->counters.lost, 7);
    assert_int_equal(ours->counters.taken_over, 7);
    assert_int_equal(ours->counters.taken_over_packets, 3); /* of the others nobody can know */
    send_frame_raw(b, a, a, 50); /* an option: that it has a packet can be read */
    send_frame_raw(b, a, a, 0);
    assert_int_equal(recv_and_free(ours, a), 1);
    assert_int_equal(ours->counters.lost_packets, 4);
    assert_int_equal(ours->counters.taken_over_packets, 5);
}

/* A peer with other settings is turned away, again and again, and told apart from one that is not
 * there. */
static void misfits_are_turned_away(void **state)
{
    struct rill_fabric_memif_config config = {
        .folder = folder, .ring_frames = RING_FRAMES * 2, .pool = pool};
    uint32_t a = unit(1), b = unit(2);

    (void)state;
    theirs->ops->destroy(theirs);
    theirs = rill_fabric_memif_create(&config, NULL);
    assert_non_null(theirs);
    attach(ours, a);
    attach(theirs, b);
    link_to(ours, a, b);
    link_to(theirs, b, a);
    while (rill_fabric_memif_counters(ours)->misfits < 3) {
        assert_false(rill_fabric_memif_is_up(ours, a, b));
        assert_false(rill_fabric_memif_is_up(theirs, b, a));
    }
}

/* --- nothing is left behind ------------------------------------------------------------------- */

static uint32_t entries(const char *path)
{
    DIR *dir = opendir(path);
    uint32_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void links_come_and_go_without_a_trace(void **state)
{
    uint32_t a = unit(10), fds = 0;

    (void)state;
    attach(ours, a);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t b = unit(i);

        if (b == a)
            continue;
        attach(theirs, b);
        link_to(ours, a, b);
        link_to(theirs, b, a);
        wait_until(true, a, b);
        send_new(ours, a, b, 3);
        assert_int_equal(recv_and_free(theirs, b), 1);
        rill_fabric_memif_unlink(ours, a, b);
        theirs->ops->detach(theirs, b);
        if (i == 12) /* by now there is a port of each kind on each side */
            fds = entries("/proc/self/fd");
    }
    /* EAL's interrupt thread may have its epoll open or not, just now. */
    assert_true(entries("/proc/self/fd") <= fds + 2);
    assert_int_equal(rte_eth_dev_count_avail(), 4);
}

static void destroy_removes_its_files(void **state)
{
    (void)state;
    connect_both(unit(1), unit(2));
    assert_true(entries(folder) > 2);
    ours->ops->destroy(ours);
    theirs->ops->destroy(theirs);
    assert_int_equal(entries(folder), 2); /* . and .. */
    ours = create(pool, NULL);
    theirs = create(pool, NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    static const struct rill_fabric_battery battery = {
        .name = "memif: battery",
        .create = create,
        .lossless = true,
        .fifo = true,
        .bounded = true,
        .link_holds = RING_FRAMES,
        .roles_max = 6, /* 15 links with both ends here, of DPDK's 32 ports */
    };
    const struct CMUnitTest tests[] = {
        TEST(bad_settings_are_refused),
        TEST(bad_links_are_refused),
        TEST(ports_run_out),
        TEST(frames_are_counted_where_they_cross),
        TEST(frames_too_long_are_counted),
        TEST(a_pool_that_runs_dry_loses_nothing),
        TEST(what_is_not_for_us_is_refused),
        TEST(misfits_are_turned_away),
        TEST(links_come_and_go_without_a_trace),
        TEST(destroy_removes_its_files),
    };
    int failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    failed = rill_fabric_battery_run(&battery);
    failed += cmocka_run_group_tests_name("memif", tests, group_setup, group_teardown);
    rmdir(folder);
    return failed;
}
