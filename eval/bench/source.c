#include "eval/bench/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>

#include "lib/frame/frame.h"

enum { ROOM_MIN = 128 }; /* a capture's buffers: small, as there are many */
enum { ETHERNET = 14, IP = 20, UDP = 8, TCP_PROTOCOL = 6 };
enum { PROTOCOL_AT = ETHERNET + 9, CHECKSUM_AT = ETHERNET + 10, SOURCE_AT = ETHERNET + 12 };

void bench_source_init(struct bench_source *s, struct rte_mempool *pool, uint32_t flows,
                       uint32_t packet_bytes, enum bench_order order)
{
    uint16_t ip_bytes = (uint16_t)(packet_bytes - ETHERNET), udp_bytes = (uint16_t)(ip_bytes - IP);
    const uint8_t header[ETHERNET + IP + UDP] = {
        2,
        0,
        0,
        0,
        0,
        2,
        2,
        0,
        0,
        0,
        0,
        1,
        8,
        0, /* Ethernet */
        0x45,
        0,
        (uint8_t)(ip_bytes >> 8),
        (uint8_t)ip_bytes,
        0,
        0,
        0x40,
        0,
        64,
        17,
        0,
        0, /* IP */
        10,
        0,
        0,
        0,
        203,
        0,
        113,
        5, /* addresses */
        0x13,
        0x88,
        0,
        80,
        (uint8_t)(udp_bytes >> 8),
        (uint8_t)udp_bytes /* ports, no checksum */
    };

    *s = (struct bench_source){
        .pool = pool, .flows = flows, .packet_bytes = packet_bytes, .order = order};
    rill_rng_seed(&s->rng, 1);
    memcpy(s->header, header, sizeof(header));
    s->base_sum = rte_raw_cksum(s->header + ETHERNET, IP);
}

void bench_source_carry(struct bench_source *s, struct bench_streams *streams)
{
    s->streams = streams;
    s->header[PROTOCOL_AT] = TCP_PROTOCOL;
    s->base_sum = rte_raw_cksum(s->header + ETHERNET, IP);
}

static uint32_t next_flow(struct bench_source *s)
{
    uint64_t i = s->next++;

    if (s->order == BENCH_IN_TURN) {
        if (s->next == s->flows)
            s->next = 0;
        return (uint32_t)i;
    }
    if (s->order == BENCH_RANDOM)
        return rill_rng_below(&s->rng, s->flows);
    i %= BENCH_ACTIVE;
    if (s->active[i].left == 0) {
        s->active[i].flow = rill_rng_below(&s->rng, s->flows);
        s->active[i].left = BENCH_FLOWLET;
    }
    s->active[i].left--;
    return s->active[i].flow;
}

/* 10.x.y.z, by the flow's number. */
static void write_packet(const struct bench_source *s, uint8_t *to, uint32_t flow)
{
    uint16_t high = rte_cpu_to_be_16((uint16_t)(10 << 8 | flow >> 16));
    uint16_t low = rte_cpu_to_be_16((uint16_t)flow);
    uint32_t sum = s->base_sum - rte_cpu_to_be_16(10 << 8) + high + low;
    uint16_t checksum;

    sum = (sum & 0xffff) + (sum >> 16);
    checksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
    memcpy(to, s->header, BENCH_PACKET_MIN);
    memcpy(to + SOURCE_AT, &high, 2);
    memcpy(to + SOURCE_AT + 2, &low, 2);
    memcpy(to + CHECKSUM_AT, &checksum, 2);
}

/* --- from a capture --------------------------------------------------------------------------- */

/* How many packets it has, all as long as the first. */
static int count_packets(const char *path, uint32_t *packets, uint32_t *bytes,
                         struct rill_error *err)
{
    enum { FILE_HEADER = 24, RECORD_HEADER = 16 };
    uint32_t record[RECORD_HEADER / 4] = {0};
    FILE *in = fopen(path, "re");
    struct stat st;
    int rc = 0;

    if (in == NULL || fstat(fileno(in), &st) != 0)
        rc = rill_error_set(err, -errno, "%s: %s", path, strerror(errno));
    else if (fseek(in, FILE_HEADER, SEEK_SET) != 0 || fread(record, sizeof(record), 1, in) != 1 ||
             (st.st_size - FILE_HEADER) % (RECORD_HEADER + record[2]) != 0)
        rc = rill_error_set(err, -EINVAL, "%s: it is no capture of packets of one length", path);
    else
        *packets = (uint32_t)((st.st_size - FILE_HEADER) / (RECORD_HEADER + record[2]));
    *bytes = record[2];
    if (in != NULL)
        fclose(in);
    return rc;
}

static int start_port(uint16_t port, struct rte_mempool *pool)
{
    const struct rte_eth_conf conf = {0};
    int rc = rte_eth_dev_configure(port, 1, 1, &conf);

    if (rc == 0)
        rc = rte_eth_rx_queue_setup(port, 0, 0, SOCKET_ID_ANY, NULL, pool);
    if (rc == 0)
        rc = rte_eth_tx_queue_setup(port, 0, 0, SOCKET_ID_ANY, NULL);
    return rc == 0 ? rte_eth_dev_start(port) : rc;
}

int bench_source_open(struct bench_source *s, const char *path, uint32_t spare,
                      struct rill_error *err)
{
    static const char device[] = "net_pcap0";
    char arguments[512];
    uint32_t packets = 0, bytes;
    int rc = count_packets(path, &packets, &bytes, err);

    if (rc != 0)
        return rc;
    s->pool = rte_pktmbuf_pool_create("capture", packets + spare, 256, RILL_FRAME_PRIVATE_BYTES,
                                      (uint16_t)(RTE_PKTMBUF_HEADROOM + RTE_MAX(bytes, ROOM_MIN)),
                                      SOCKET_ID_ANY);
    if (s->pool == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the %u packets of %s", packets, path);
    snprintf(arguments, sizeof(arguments), "rx_pcap=%s,infinite_rx=1", path);
    rc = rte_eal_hotplug_add("vdev", device, arguments);
    if (rc == 0)
        rc = rte_eth_dev_get_port_by_name(device, &s->port);
    if (rc == 0)
        rc = start_port(s->port, s->pool);
    if (rc != 0)
        return rill_error_set(err, rc, "%s: DPDK's net_pcap does not take it: %s", path,
                              rte_strerror(-rc));
    s->order = BENCH_CAPTURE;
    return 0;
}

void bench_source_close(struct bench_source *s)
{
    if (s->order != BENCH_CAPTURE)
        return;
    rte_eth_dev_stop(s->port);
    rte_eth_dev_close(s->port);
}

static bool receive(struct bench_source *s, struct rte_mbuf **packets)
{
    uint16_t n = 0, more;

    do {
        more = rte_eth_rx_burst(s->port, 0, packets + n, (uint16_t)(BENCH_BURST - n));
        n = (uint16_t)(n + more);
    } while (n < BENCH_BURST && more > 0);
    if (n < BENCH_BURST)
        rte_pktmbuf_free_bulk(packets, n);
    return n == BENCH_BURST;
}

/* --- bursts ----------------------------------------------------------------------------------- */

bool bench_source_burst(struct bench_source *s, struct rte_mbuf **packets)
{
    if (s->order == BENCH_CAPTURE)
        return receive(s, packets);
    if (rte_pktmbuf_alloc_bulk(s->pool, packets, BENCH_BURST) != 0)
        return false;
    for (int i = 0; i < BENCH_BURST; i++) {
        uint8_t *packet = rte_pktmbuf_mtod(packets[i], uint8_t *);
        uint32_t flow = next_flow(s);

        packets[i]->data_len = (uint16_t)s->packet_bytes;
        packets[i]->pkt_len = s->packet_bytes;
        write_packet(s, packet, flow);
        if (s->streams != NULL)
            bench_streams_fill(s->streams, flow, packet, s->packet_bytes);
    }
    return true;
}
