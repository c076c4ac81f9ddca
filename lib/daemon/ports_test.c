/* Interfaces, with their far ends in our hands: two pairs of veth in a network namespace of this
 * process alone. The ends 'in' and 'out' are what is tested, 'in_far' and 'out_far' the wire. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include <rte_ether.h>

#include "lib/daemon/daemon.h"
#include "lib/daemon/ports.h"
#include "tests/core_testing.h"

enum { TEST_MACS = 12, SKIPPED = 77, RING_SLOTS = 2048, BURST = 32, MTU = 1500 };

#define WAIT_NS UINT64_C(20000000000)

static struct rill_ports *receiver, *sender;

/* --- the far ends ----------------------------------------------------------------------------- */

/* A plain socket at an interface: it sends through the queueing discipline, and sees all. */
static int raw_socket(const char *interface)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(RTE_ETHER_TYPE_IPV4),
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), yes = 1;
    struct timeval wait = {.tv_sec = WAIT_NS / 1000000000};

    assert_true(fd >= 0 && address.sll_ifindex != 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* A frame of `bytes` that begins with `head`; `mark` is in its last byte. */
static void make(uint8_t *frame, uint32_t bytes, const char *head, uint32_t head_bytes,
                 uint8_t mark)
{
    for (uint32_t i = 0; i < bytes; i++)
        frame[i] = (uint8_t)(i * 7);
    memset(frame, 0x02, TEST_MACS);
    memcpy(frame + TEST_MACS, head, head_bytes);
    frame[bytes - 1] = mark;
}

static void put(int fd, const uint8_t *frame, uint32_t bytes)
{
    assert_int_equal(send(fd, frame, bytes, 0), bytes);
}

/* The next packet that comes in at a side. NULL after a while where there is none to come. */
static struct rte_mbuf *next(enum rill_side side)
{
    uint64_t until_ns = rill_daemon_now_ns() + WAIT_NS;
    struct rte_mbuf *m;

    while (rill_ports_receive(receiver, side, &m, 1) == 0)
        if (rill_daemon_now_ns() > until_ns)
            fail_msg("nothing came in at side %d", side);
    return m;
}

static void expect(enum rill_side side, const uint8_t *frame, uint32_t bytes)
{
    struct rte_mbuf *m = next(side);
    struct rill_frame want = {
        .flags = RILL_FLAG_PACKET, .side = (uint8_t)side, .wire_bytes = bytes};
    uint8_t copy[65536];

    assert_memory_equal(rill_frame(m), &want, offsetof(struct rill_frame, state));
    assert_int_equal(m->pkt_len, bytes);
    assert_memory_equal(rte_pktmbuf_read(m, 0, bytes, copy), frame, bytes);
    rte_pktmbuf_free(m);
}

/* --- setup ------------------------------------------------------------------------------------ */

static int run(const char *command)
{
    int status = system(command);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int group_setup(void **state)
{
    if (unshare(CLONE_NEWNET) != 0 ||
        run("for f in all default; do f=/proc/sys/net/ipv6/conf/$f/disable_ipv6;"
            "[ ! -e $f ] || echo 1 >$f; done;"
            "for name in in out; do ip link add $name type veth peer name ${name}_far &&"
            "ip link set $name up && ip link set ${name}_far up || exit 1; done") != 0)
        return -1;
    return core_group_setup(state);
}

static int setup(void **state)
{
    struct rill_error err = {""};

    (void)state;
    if (rill_ports_open("in", "out", RILL_PORTS_RECEIVE, core_pool, &receiver, &err) != 0 ||
        rill_ports_open("in", "out", RILL_PORTS_TRANSMIT, core_pool, &sender, &err) != 0)
        print_error("%s\n", err.text);
    return sender == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    rill_ports_close(receiver);
    rill_ports_close(sender);
    receiver = sender = NULL;
    return core_in_use() == 0 ? 0 : -1;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void what_comes_in_is_received(void **state)
{
    int in = raw_socket("in_far"), out = raw_socket("out_far");
    uint8_t frame[MTU + 18];

    (void)state;
    for (uint32_t bytes = 60; bytes <= MTU + 14; bytes += 97) {
        make(frame, bytes, "\x08\x00", 2, (uint8_t)bytes);
        put(in, frame, bytes);
        expect(RILL_INSIDE, frame, bytes);
        put(out, frame, bytes);
        expect(RILL_OUTSIDE, frame, bytes);
    }
    assert_int_equal(rill_ports_counters(receiver)->received, 30);
    close(in);
    close(out);
}

/* The kernel takes the outer tag off before anybody sees the packet. */
static void tags_are_put_back(void **state)
{
    static const struct {
        const char *head;
        uint32_t bytes;
    } heads[] = {
        {"\x81\x00\x20\x05\x08\x00", 6},                  /* 802.1Q */
        {"\x81\x00\x00\x00\x08\x00", 6},                  /* VLAN 0 */
        {"\x88\xa8\x00\x07\x81\x00\x00\x09\x08\x00", 10}, /* QinQ */
        {"\x81\x00\x00\x07\x81\x00\x00\x09\x86\xdd", 10},
    };
    int in = raw_socket("in_far");
    uint8_t frame[MTU + 18];

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        uint32_t bytes = i < 2 ? MTU + 18 : MTU + 14; /* as much as the kernel lets us send */

        make(frame, bytes, heads[i].head, heads[i].bytes, (uint8_t)i);
        put(in, frame, bytes);
        expect(RILL_INSIDE, frame, bytes);
    }
    close(in);
}

/* Neither what our sender sends, nor what anybody else on this machine does. */
static void what_goes_out_is_not_received(void **state)
{
    int in = raw_socket("in"), far = raw_socket("in_far");
    uint8_t frame[100], got[200];
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 100);

    (void)state;
    make(frame, sizeof(frame), "\x08\x00", 2, 1);
    rill_ports_send(sender, RILL_INSIDE, &m, 1);
    assert_int_equal(recv(far, got, sizeof(got), 0), 100);
    put(in, frame, sizeof(frame));
    assert_int_equal(recv(far, got, sizeof(got), 0), 100);
    /* Both went through the wire before this one, which is the first that comes in. */
    frame[99] = 2;
    put(far, frame, sizeof(frame));
    expect(RILL_INSIDE, frame, sizeof(frame));
    assert_int_equal(rill_ports_counters(receiver)->received, 1);
    close(in);
    close(far);
}

/* A packet that the kernel built from many (offloads are on): it does not fit into a slot. */
static void what_is_too_long_is_counted(void **state)
{
    static const uint32_t bytes = 9000;
    struct virtio_net_hdr head = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                  .hdr_len = 54,
                                  .gso_size = 1400,
                                  .csum_start = 34,
                                  .csum_offset = 16};
    int far = raw_socket("in_far"), yes = 1;
    struct test_packet p;
    uint8_t frame[sizeof(head) + 9000] = {0};
    uint64_t until_ns = rill_daemon_now_ns() + WAIT_NS;
    struct rte_mbuf *m;

    (void)state;
    test_ethernet(&p, 0x0800, 0);
    test_ip(&p, "10.0.0.1", "192.0.2.1", RILL_TCP, 0, 0);
    test_tcp(&p, 1, 2, 0x10, 0, 100);
    test_finish(&p);
    memcpy(frame, &head, sizeof(head));
    memcpy(frame + sizeof(head), p.bytes, p.len);
    frame[sizeof(head) + 16] = (bytes - 14) >> 8; /* IP's length */
    frame[sizeof(head) + 17] = (bytes - 14) & 0xff;
    assert_int_equal(setsockopt(far, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)), 0);
    put(far, frame, sizeof(frame));
    while (rill_ports_counters(receiver)->received == 0 && rill_daemon_now_ns() < until_ns)
        assert_int_equal(rill_ports_receive(receiver, RILL_INSIDE, &m, 1), 0);
    assert_int_equal(rill_ports_counters(receiver)->dropped_port_too_long, 1);
    close(far);
}

static void nothing_is_lost_uncounted(void **state)
{
    static struct rte_mbuf *all[4096];
    int in = raw_socket("in_far");
    uint8_t frame[60];
    struct rte_mbuf *m;
    uint32_t n = 0, got = 0;

    (void)state;
    make(frame, sizeof(frame), "\x08\x00", 2, 1);
    for (uint32_t i = 0; i < RING_SLOTS + 100; i++)
        put(in, frame, sizeof(frame));
    while (rill_ports_counters(receiver)->missed < 100)
        ; /* the kernel delivers on its own time */
    assert_int_equal(rill_ports_counters(receiver)->missed, 100);
    assert_int_equal(rill_ports_receive(receiver, RILL_INSIDE, &m, 1), 1);
    rte_pktmbuf_free(m);
    while (n < 4096 && (all[n] = rte_pktmbuf_alloc(core_pool)) != NULL)
        n++;
    assert_int_equal(rill_ports_receive(receiver, RILL_INSIDE, &m, 1), 0);
    assert_int_equal(rill_ports_counters(receiver)->dropped_port_no_buffer, 1);
    rte_pktmbuf_free_bulk(all, n);
    while (rill_ports_receive(receiver, RILL_INSIDE, &m, 1) == 1) {
        rte_pktmbuf_free(m);
        got++;
    }
    assert_int_equal(got, RING_SLOTS - 2);
    assert_int_equal(rill_ports_counters(receiver)->received, RING_SLOTS);
    put(in, frame, sizeof(frame)); /* the ring goes round */
    expect(RILL_INSIDE, frame, sizeof(frame));
    close(in);
}

/* --- sending ---------------------------------------------------------------------------------- */

static void what_is_sent_goes_out_in_order(void **state)
{
    int far = raw_socket("out_far");
    struct rte_mbuf *packets[100];
    uint8_t got[MTU + 14];

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        packets[i] = core_udp("10.0.0.1", (uint16_t)(i + 1), "192.0.2.1", 2, 60 + i);
        if (i % 3 == 0) { /* over two segments */
            struct rte_mbuf *rest = core_frame(RILL_FRAME_NONE, 0, 0);
            struct rte_mbuf *m = packets[i];
            uint32_t bytes = m->pkt_len - 20;

            core_body(rest, rte_pktmbuf_mtod_offset(m, const void *, 20), bytes);
            rte_pktmbuf_trim(m, (uint16_t)bytes);
            assert_int_equal(rte_pktmbuf_chain(m, rest), 0);
        }
    }
    rill_ports_send(sender, RILL_OUTSIDE, packets, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(recv(far, got, sizeof(got), 0), 60 + i);
        assert_int_equal(got[34] << 8 | got[35], i + 1);
    }
    assert_int_equal(rill_ports_counters(sender)->sent, 100);
    close(far);
}

static void what_can_not_be_sent_is_counted(void **state)
{
    const struct rill_ports_counters *n = rill_ports_counters(sender);
    struct rte_mbuf *packets[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        packets[i] = core_udp("10.0.0.1", 1, "192.0.2.1", 2, i == 1 ? MTU + 15 : MTU + 14);
    rill_ports_send(sender, RILL_OUTSIDE, packets, 3);
    assert_int_equal(n->sent, 2);
    assert_int_equal(n->dropped_port_too_long, 1);
    assert_int_equal(run("ip link set out down"), 0);
    packets[0] = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);
    rill_ports_send(sender, RILL_OUTSIDE, packets, 1);
    assert_int_equal(n->dropped_port_down, 1);
    assert_int_equal(run("ip link set out up"), 0);
    while (n->sent == 2) { /* it comes up in its own time */
        packets[0] = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);
        rill_ports_send(sender, RILL_OUTSIDE, packets, 1);
    }
}

/* A tap whose other side is not read has a queue that fills. */
static void a_full_interface_does_not_stop_us(void **state)
{
    struct ifreq request = {.ifr_name = "tap", .ifr_flags = IFF_TAP | IFF_NO_PI};
    const struct rill_ports_counters *n;
    struct rill_ports *ports;
    struct rill_error err = {""};
    int fd = open("/dev/net/tun", O_RDWR);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    assert_int_equal(run("ip link set tap up"), 0);
    if (rill_ports_open("tap", "out", RILL_PORTS_TRANSMIT, core_pool, &ports, &err) != 0)
        fail_msg("%s", err.text);
    n = rill_ports_counters(ports);
    for (uint32_t i = 0; i < 3000; i++) {
        struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);

        rill_ports_send(ports, RILL_INSIDE, &m, 1);
    }
    assert_true(n->sent >= 100);
    assert_true(n->dropped_port_full >= 100);
    assert_int_equal(n->sent + n->dropped_port_full, 3000);
    rill_ports_close(ports);
    close(fd);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void refused(const char *inside, const char *outside, int code, const char *part)
{
    struct rill_error err = {""};
    struct rill_ports *ports;

    assert_int_equal(rill_ports_open(inside, outside, RILL_PORTS_RECEIVE, core_pool, &ports, &err),
                     code);
    assert_null(ports);
    if (strstr(err.text, part) == NULL)
        fail_msg("no '%s' in: %s", part, err.text);
}

static void bad_interfaces_are_refused(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    refused("nix", "out", -ENODEV, "interface nix: No such device");
    refused("in", "nix", -ENODEV, "interface nix: No such device");
    refused("a_name_that_is_too_long", "out", -ENODEV, "so long a name");
    refused("in", "in", -EINVAL, "inside and outside");
    refused("lo", "out", -EINVAL, "interface lo: it is not an Ethernet");
    pid = fork();
    if (pid == 0) {
        if (setuid(65534) != 0)
            _exit(1);
        refused("in", "out", -EPERM, "CAP_NET_RAW");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool promiscuous(void)
{
    return run("ip -d link show dev in | grep -q 'promiscuity 1'") == 0;
}

static void promiscuous_while_it_is_open(void **state)
{
    (void)state;
    assert_true(promiscuous());
    rill_ports_close(receiver);
    receiver = NULL;
    assert_false(promiscuous());
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(what_comes_in_is_received),       T(tags_are_put_back),
        T(what_goes_out_is_not_received),   T(what_is_too_long_is_counted),
        T(nothing_is_lost_uncounted),       T(what_is_sent_goes_out_in_order),
        T(what_can_not_be_sent_is_counted), T(a_full_interface_does_not_stop_us),
        T(bad_interfaces_are_refused),      T(promiscuous_while_it_is_open),
#undef T
    };
    const char *needed = getenv("RILL_NEEDS_CONTAINERS");

    if (geteuid() != 0 || run("ip -V >/dev/null 2>&1") != 0) {
        fprintf(stderr, "ports_test needs root and the program 'ip' (iproute2): skipped\n");
        return needed != NULL && strcmp(needed, "1") == 0 ? 1 : SKIPPED;
    }
    return cmocka_run_group_tests(tests, group_setup, core_group_teardown);
}
