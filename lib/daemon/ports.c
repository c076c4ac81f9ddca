#include "lib/daemon/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <rte_ether.h>

#include "lib/frame/body.h"
#include "lib/frame/frame.h"

enum {
    SIDES = 2,
    RING_BYTES = 4 << 20, /* of a side's ring from the kernel: 2,048 packets of usual size */
    BLOCK_BYTES = 64 << 10,
    SLOT_MIN_BYTES = 2048,
    SLOT_HEAD_BYTES = 128, /* more than what the kernel puts in front of a packet */
    TAG_BYTES = 4,
    TAG_AT = 2 * RTE_ETHER_ADDR_LEN,
    SEND_BURST = 32,
    SEGMENTS_MAX = 64, /* of a packet: 65 KB are 32 */
};

struct port {
    int fd;
    int index; /* the interface's */
    /* receiving */
    uint8_t *ring;
    uint32_t slot_bytes, slots, next;
};

struct rill_ports {
    struct port sides[SIDES];
    struct rte_mempool *pool;
    struct rill_ports_counters counters;
};

/* --- opening ---------------------------------------------------------------------------------- */

static int fail(const char *name, const char *what, struct rill_error *err)
{
    int code = errno;

    if (code == EPERM || code == EACCES)
        return rill_error_set(err, -EPERM, "interface %s: %s: %s; it takes root, or CAP_NET_RAW",
                              name, what, strerror(code));
    return rill_error_set(err, -EIO, "interface %s: %s: %s", name, what, strerror(code));
}

static int set_option(int fd, int option, const void *value, socklen_t bytes)
{
    return setsockopt(fd, SOL_PACKET, option, value, bytes);
}

/* Until it is bound to a protocol, the socket receives nothing. */
static int open_socket(struct port *port, const char *name, struct rill_error *err)
{
    struct ifreq request = {.ifr_ifindex = 0};

    port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (port->fd < 0)
        return fail(name, "no socket", err);
    if (strlen(name) >= sizeof(request.ifr_name))
        return rill_error_set(err, -ENODEV, "interface %.64s: no interface has so long a name",
                              name);
    memcpy(request.ifr_name, name, strlen(name));
    if (ioctl(port->fd, SIOCGIFINDEX, &request) != 0)
        return rill_error_set(err, -ENODEV,
                              "interface %s: %s; 'ip link' lists those that are there", name,
                              strerror(errno));
    port->index = request.ifr_ifindex;
    if (ioctl(port->fd, SIOCGIFHWADDR, &request) != 0)
        return fail(name, "its address", err);
    if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        return rill_error_set(err, -EINVAL, "interface %s: it is not an Ethernet interface", name);
    return 0;
}

static int bind_to(const struct port *port, uint16_t protocol)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = port->index};

    return bind(port->fd, (const struct sockaddr *)&address, sizeof(address));
}

/* A slot holds the longest packet that the interface takes. */
static int slot_size(struct port *port, const char *name)
{
    struct ifreq request = {.ifr_mtu = 0};
    uint32_t bytes = SLOT_MIN_BYTES;

    memcpy(request.ifr_name, name, strlen(name));
    if (ioctl(port->fd, SIOCGIFMTU, &request) != 0)
        return -1;
    while (bytes < BLOCK_BYTES &&
           bytes < (uint32_t)request.ifr_mtu + RTE_ETHER_HDR_LEN + 2 * TAG_BYTES + SLOT_HEAD_BYTES)
        bytes *= 2;
    port->slot_bytes = bytes;
    port->slots = RING_BYTES / bytes;
    return 0;
}

static int map_ring(struct port *port)
{
    struct tpacket_req request = {.tp_block_size = BLOCK_BYTES,
                                  .tp_block_nr = RING_BYTES / BLOCK_BYTES,
                                  .tp_frame_size = port->slot_bytes,
                                  .tp_frame_nr = port->slots};
    int version = TPACKET_V2;
    void *ring;

    if (set_option(port->fd, PACKET_VERSION, &version, sizeof(version)) != 0 ||
        set_option(port->fd, PACKET_RX_RING, &request, sizeof(request)) != 0)
        return -1;
    ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0);
    if (ring == MAP_FAILED)
        return -1;
    port->ring = ring;
    return 0;
}

static int open_receive(struct port *port, const char *name, struct rill_error *err)
{
    struct packet_mreq promiscuous = {.mr_ifindex = port->index, .mr_type = PACKET_MR_PROMISC};
    int yes = 1;

    if (slot_size(port, name) != 0)
        return fail(name, "its MTU", err);
    if (map_ring(port) != 0)
        return fail(name, "no ring to receive from it", err);
    if (set_option(port->fd, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) != 0)
        return fail(name, "can't leave out what is sent (Linux 4.20 or newer is needed)", err);
    if (set_option(port->fd, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) != 0)
        return fail(name, "no promiscuous mode", err);
    return bind_to(port, ETH_P_ALL) == 0 ? 0 : fail(name, "can't bind to it", err);
}

static int open_transmit(struct port *port, const char *name, struct rill_error *err)
{
    int yes = 1, bytes = RING_BYTES;

    setsockopt(port->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* as much as is allowed */
    if (set_option(port->fd, PACKET_QDISC_BYPASS, &yes, sizeof(yes)) != 0)
        return fail(name, "can't send past the queueing discipline", err);
    return bind_to(port, 0) == 0 ? 0 : fail(name, "can't bind to it", err);
}

int rill_ports_open(const char *inside, const char *outside, enum rill_ports_use use,
                    struct rte_mempool *pool, struct rill_ports **ports, struct rill_error *err)
{
    const char *const names[SIDES] = {[RILL_INSIDE] = inside, [RILL_OUTSIDE] = outside};
    struct rill_ports *p = calloc(1, sizeof(*p));
    int rc = 0;

    *ports = NULL;
    if (p == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for interfaces");
    p->pool = pool;
    for (int i = 0; i < SIDES; i++)
        p->sides[i].fd = -1;
    if (strcmp(inside, outside) == 0)
        rc = rill_error_set(err, -EINVAL, "interface %s: it can't be inside and outside", inside);
    for (int i = 0; rc == 0 && i < SIDES; i++) {
        rc = open_socket(&p->sides[i], names[i], err);
        if (rc == 0)
            rc = use == RILL_PORTS_RECEIVE ? open_receive(&p->sides[i], names[i], err)
                                           : open_transmit(&p->sides[i], names[i], err);
    }
    if (rc == 0)
        *ports = p;
    else
        rill_ports_close(p);
    return rc;
}

void rill_ports_close(struct rill_ports *ports)
{
    if (ports == NULL)
        return;
    for (int i = 0; i < SIDES; i++) {
        if (ports->sides[i].ring != NULL)
            munmap(ports->sides[i].ring, RING_BYTES);
        if (ports->sides[i].fd >= 0)
            close(ports->sides[i].fd);
    }
    free(ports);
}

/* --- receiving -------------------------------------------------------------------------------- */

/* The tag of a packet whose tag the kernel took off, as it stood there; false if there was none. */
static bool read_tag(const struct tpacket2_hdr *slot, uint8_t tag[TAG_BYTES])
{
    uint16_t type = ETH_P_8021Q;

    if (!(slot->tp_status & TP_STATUS_VLAN_VALID))
        return false;
    if (slot->tp_status & TP_STATUS_VLAN_TPID_VALID)
        type = slot->tp_vlan_tpid;
    tag[0] = (uint8_t)(type >> 8);
    tag[1] = (uint8_t)type;
    tag[2] = (uint8_t)(slot->tp_vlan_tci >> 8);
    tag[3] = (uint8_t)slot->tp_vlan_tci;
    return true;
}

static struct rte_mbuf *copy_packet(struct rill_ports *ports, const struct tpacket2_hdr *slot)
{
    const uint8_t *data = (const uint8_t *)slot + slot->tp_mac;
    uint32_t bytes = slot->tp_snaplen, head = 0;
    struct rte_mbuf *m = rte_pktmbuf_alloc(ports->pool);
    uint8_t tag[TAG_BYTES];
    int rc = 0;

    if (m == NULL)
        return NULL;
    if (bytes >= TAG_AT && read_tag(slot, tag)) {
        head = TAG_AT;
        rc = rill_mbuf_append(m, ports->pool, data, TAG_AT);
        if (rc == 0)
            rc = rill_mbuf_append(m, ports->pool, tag, TAG_BYTES);
    }
    if (rc == 0)
        rc = rill_mbuf_append(m, ports->pool, data + head, bytes - head);
    if (rc == 0)
        return m;
    rte_pktmbuf_free(m);
    return NULL;
}

/* NULL: dropped, and counted. */
static struct rte_mbuf *take(struct rill_ports *ports, enum rill_side side,
                             const struct tpacket2_hdr *slot)
{
    struct rte_mbuf *m;
    struct rill_frame *f;

    ports->counters.received++;
    if (slot->tp_len > slot->tp_snaplen) {
        ports->counters.dropped_port_too_long++;
        return NULL;
    }
    m = copy_packet(ports, slot);
    if (m == NULL) {
        ports->counters.dropped_port_no_buffer++;
        return NULL;
    }
    f = rill_frame(m);
    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = (uint8_t)side;
    f->wire_bytes = m->pkt_len;
    return m;
}

uint32_t rill_ports_receive(struct rill_ports *ports, enum rill_side side,
                            struct rte_mbuf **packets, uint32_t n)
{
    struct port *port = &ports->sides[side];
    uint32_t got = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct tpacket2_hdr *slot =
            (struct tpacket2_hdr *)(port->ring + (size_t)port->next * port->slot_bytes);
        struct rte_mbuf *m;

        if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            break;
        m = take(ports, side, slot);
        if (m != NULL)
            packets[got++] = m;
        __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        port->next = port->next + 1 == port->slots ? 0 : port->next + 1;
    }
    return got;
}

/* --- sending ---------------------------------------------------------------------------------- */

/* The packet's segments. More than there may be: none. */
static size_t segments_of(struct rte_mbuf *m, struct iovec list[SEGMENTS_MAX])
{
    size_t count = 0;

    for (; m != NULL; m = m->next) {
        if (count == SEGMENTS_MAX)
            return 0;
        list[count++] =
            (struct iovec){.iov_base = rte_pktmbuf_mtod(m, void *), .iov_len = m->data_len};
    }
    return count;
}

/* A packet that the kernel did not take: why. */
static void count_refused(struct rill_ports *ports, int why)
{
    switch (why) {
    case EMSGSIZE:
    case EINVAL: /* shorter than an Ethernet header: none of ours is */
        ports->counters.dropped_port_too_long++;
        break;
    case ENETDOWN:
    case ENXIO:
    case ENODEV:
        ports->counters.dropped_port_down++;
        break;
    default: /* EAGAIN, ENOBUFS, ENOMEM */
        ports->counters.dropped_port_full++;
        break;
    }
}

static void send_burst(struct rill_ports *ports, const struct port *port, struct rte_mbuf **packets,
                       uint32_t n)
{
    struct iovec segments[SEND_BURST][SEGMENTS_MAX];
    struct mmsghdr messages[SEND_BURST] = {0};
    uint32_t done = 0;

    for (uint32_t i = 0; i < n; i++) {
        messages[i].msg_hdr.msg_iov = segments[i];
        messages[i].msg_hdr.msg_iovlen = segments_of(packets[i], segments[i]);
    }
    while (done < n) {
        int sent = sendmmsg(port->fd, messages + done, n - done, MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) { /* it is about the first of them: pass it by */
            count_refused(ports, errno);
            done++;
        } else {
            ports->counters.sent += (uint32_t)sent;
            done += (uint32_t)sent;
        }
    }
}

void rill_ports_send(struct rill_ports *ports, enum rill_side side, struct rte_mbuf **packets,
                     uint32_t n)
{
    for (uint32_t first = 0; first < n; first += SEND_BURST)
        send_burst(ports, &ports->sides[side], packets + first,
                   RTE_MIN(n - first, (uint32_t)SEND_BURST));
    rte_pktmbuf_free_bulk(packets, n);
}

/* --- counters --------------------------------------------------------------------------------- */

/* The kernel's count begins anew each time that it is read. */
static void add_missed(struct rill_ports *ports, const struct port *port)
{
    struct tpacket_stats stats;
    socklen_t bytes = sizeof(stats);

    if (port->ring != NULL &&
        getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) == 0)
        ports->counters.missed += stats.tp_drops;
}

const struct rill_ports_counters *rill_ports_counters(struct rill_ports *ports)
{
    for (int i = 0; i < SIDES; i++)
        add_missed(ports, &ports->sides[i]);
    return &ports->counters;
}
