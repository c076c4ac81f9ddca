#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "cli/writer.h"

struct rill_output {
    struct rill_writer *writer;
    bool has_port;
    uint16_t port;
};

static int fail(const char *devargs, const char *what, int rc, struct rill_error *err)
{
    return rill_error_set(err, rc < 0 ? rc : -EIO, "--out dpdk:%s: %s: %s", devargs, what,
                          strerror(rc < 0 ? -rc : EIO));
}

static int open_port(struct rill_output *output, const char *devargs, struct rte_mempool *pool,
                     struct rill_error *err)
{
    struct rte_eth_conf conf = {0};
    struct rte_dev_iterator it;
    uint16_t port = RTE_MAX_ETHPORTS;
    int rc = rte_dev_probe(devargs);

    if (rc < 0)
        return fail(devargs, "no such DPDK device, or it can't be opened", rc, err);
    RTE_ETH_FOREACH_MATCHING_DEV(port, devargs, &it)
    {
        rte_eth_iterator_cleanup(&it);
        break;
    }
    if (port >= RTE_MAX_ETHPORTS)
        return fail(devargs, "the device has no port", -ENODEV, err);
    output->port = port;
    output->has_port = true;
    rc = rte_eth_dev_configure(port, 1, 1, &conf);
    if (rc == 0)
        rc = rte_eth_rx_queue_setup(port, 0, 64, SOCKET_ID_ANY, NULL, pool);
    if (rc == 0)
        rc = rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL);
    if (rc == 0)
        rc = rte_eth_dev_start(port);
    return rc == 0 ? 0 : fail(devargs, "can't be started", rc, err);
}

int rill_output_open(const char *path, const char *devargs, struct rte_mempool *pool,
                     struct rill_output **output, struct rill_error *err)
{
    struct rill_output *o = calloc(1, sizeof(*o));
    int rc = 0;

    *output = NULL;
    if (o == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the output");
    if (path != NULL)
        rc = rill_writer_open(path, &o->writer, err);
    else if (devargs != NULL)
        rc = open_port(o, devargs, pool, err);
    if (rc != 0) {
        rill_output_close(o, NULL);
        return rc;
    }
    *output = o;
    return 0;
}

/* The packet stays the caller's. With a reference of our own, as net_af_packet frees packets of
 * which it says afterwards that it could not send them. */
static bool send_packet(uint16_t port, struct rte_mbuf *m)
{
    bool sent;

    rte_pktmbuf_refcnt_update(m, 1);
    sent = rte_eth_tx_burst(port, 0, &m, 1) == 1;
    if (!sent && rte_mbuf_refcnt_read(m) > 1)
        rte_pktmbuf_refcnt_update(m, -1);
    return sent;
}

bool rill_output_put(struct rill_output *o, struct rte_mbuf *m,
                     const struct rill_capture_packet_out *meta)
{
    bool written = true;

    if (o->has_port) {
        written = send_packet(o->port, m);
    } else if (o->writer != NULL) {
        written = rill_writer_put(o->writer, m, meta);
    }
    rte_pktmbuf_free(m);
    return written;
}

uint64_t rill_output_waits(const struct rill_output *o)
{
    return o->writer != NULL ? rill_writer_waits(o->writer) : 0;
}

int rill_output_close(struct rill_output *o, struct rill_error *err)
{
    int rc = 0;

    if (o == NULL)
        return 0;
    if (o->writer != NULL)
        rc = rill_writer_close(o->writer, err);
    if (o->has_port) {
        rte_eth_dev_stop(o->port);
        rte_eth_dev_close(o->port);
    }
    free(o);
    return rc;
}
