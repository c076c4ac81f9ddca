#include "lib/fabric/memif_port.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "lib/fabric/memif_relay.h"

enum {
    PATH_BYTES = sizeof(((struct sockaddr_un *)0)->sun_path),
    NAME_BYTES_MAX = sizeof("/01234567.4294967295.end"),
    LISTEN_QUEUE = 32,
};

/* --- the folder ------------------------------------------------------------------------------- */

int rill_memif_folder_check(const char *folder, struct rill_error *err)
{
    size_t most = PATH_BYTES - NAME_BYTES_MAX;
    struct stat st;

    if (folder == NULL || folder[0] == '\0')
        return rill_error_set(err, -EINVAL, "fabric memif: no folder for its sockets; give one");
    if (strlen(folder) > most)
        return rill_error_set(
            err, -ENAMETOOLONG,
            "fabric memif: %s: the folder's name has %zu bytes, and the path of a "
            "socket in it at most %d; choose one of at most %zu bytes",
            folder, strlen(folder), PATH_BYTES - 1, most);
    if (strpbrk(folder, ",=[]()\"'\\") != NULL)
        return rill_error_set(err, -EINVAL,
                              "fabric memif: %s: the folder's name has one of ,=[]()\"'\\, which "
                              "DPDK can not take; choose another",
                              folder);
    if (stat(folder, &st) != 0)
        return rill_error_set(err, -errno, "fabric memif: %s: %s; make the folder", folder,
                              strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return rill_error_set(err, -ENOTDIR, "fabric memif: %s: not a folder; give one", folder);
    if ((st.st_mode & 077) != 0)
        return rill_error_set(err, -EACCES,
                              "fabric memif: %s: others may look into the folder (mode %03o); "
                              "chmod 700 it",
                              folder, (unsigned)st.st_mode & 0777);
    return 0;
}

void rill_memif_role_address(const char *folder, uint32_t role, struct sockaddr_un *address)
{
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "%s/%08x.sock", folder, role);
}

int rill_memif_listen(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    unlink(address->sun_path);
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        listen(fd, LISTEN_QUEUE) != 0) {
        int code = -errno;

        close(fd);
        return code;
    }
    return fd;
}

/* --- devices ---------------------------------------------------------------------------------- */

static void device_name(const struct rill_memif_port *port, char name[RTE_DEV_NAME_MAX_LEN])
{
    snprintf(name, RTE_DEV_NAME_MAX_LEN, "net_memif_rill%u", port->number);
}

static void remove_device(struct rill_memif_port *port)
{
    char name[RTE_DEV_NAME_MAX_LEN];

    device_name(port, name);
    if (port->started)
        rte_eth_dev_stop(port->id);
    rte_eal_hotplug_remove("vdev", name);
    if (port->listener >= 0)
        close(port->listener);
    unlink(port->address.sun_path);
    free(port);
}

static int plug(const struct rill_memif_ports *ports, struct rill_memif_port *port)
{
    char name[RTE_DEV_NAME_MAX_LEN], args[PATH_BYTES + 128];
    int code;

    device_name(port, name);
    snprintf(args, sizeof(args), "role=%s,id=0,socket=%s,socket-abstract=no,rsize=%u,bsize=%u",
             port->server ? "server" : "client", port->address.sun_path, ports->log2_ring,
             ports->buffer_bytes);
    unlink(port->address.sun_path); /* of one that was killed */
    code = rte_eal_hotplug_add("vdev", name, args);
    if (code == 0)
        code = rte_eth_dev_get_port_by_name(name, &port->id);
    return code;
}

static int configure(const struct rill_memif_ports *ports, struct rill_memif_port *port)
{
    struct rte_eth_conf conf = {0};
    uint16_t slots = (uint16_t)(1u << ports->log2_ring);
    int code = rte_eth_dev_configure(port->id, 1, 1, &conf);

    if (code == 0)
        code = rte_eth_rx_queue_setup(port->id, 0, slots, SOCKET_ID_ANY, NULL, ports->pool);
    if (code == 0)
        code = rte_eth_tx_queue_setup(port->id, 0, slots, SOCKET_ID_ANY, NULL);
    if (code == 0 && port->server) {
        code = rte_eth_dev_start(port->id);
        port->started = code == 0;
    } else if (code == 0) {
        port->listener = rill_memif_listen(&port->address);
        code = RTE_MIN(port->listener, 0);
    }
    return code;
}

static struct rill_memif_port *take_idle(struct rill_memif_ports *ports, bool server, bool any)
{
    struct rill_memif_port **at = &ports->idle;

    while (*at != NULL && !any && (*at)->server != server)
        at = &(*at)->next;
    if (*at != NULL) {
        struct rill_memif_port *port = *at;

        *at = port->next;
        return port;
    }
    return NULL;
}

/* Makes room for another device, if an idle one of another kind can go. */
static int make_room(struct rill_memif_ports *ports, struct rill_error *err)
{
    struct rill_memif_port *port;

    if (rte_eth_dev_count_avail() < RTE_MAX_ETHPORTS)
        return 0;
    port = take_idle(ports, false, true);
    if (port == NULL)
        return rill_error_set(err, -ENOSPC,
                              "all %d ports that DPDK allows a process are in use; give this role "
                              "fewer peers on this machine",
                              RTE_MAX_ETHPORTS);
    remove_device(port);
    return 0;
}

static struct rill_memif_port *make(struct rill_memif_ports *ports, uint32_t self, bool server,
                                    int *code, struct rill_error *err)
{
    static uint32_t number; /* of the next device */
    struct rill_memif_port *port;

    *code = make_room(ports, err);
    if (*code != 0)
        return NULL;
    port = calloc(1, sizeof(*port));
    if (port == NULL) {
        *code = rill_error_set(err, -ENOMEM, "no memory");
        return NULL;
    }
    *port = (struct rill_memif_port){.server = server,
                                     .number = __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED),
                                     .listener = -1,
                                     .local = -1};
    port->address.sun_family = AF_UNIX;
    snprintf(port->address.sun_path, sizeof(port->address.sun_path), "%s/%08x.%u.end",
             ports->folder, self, port->number);
    *code = plug(ports, port);
    if (*code != 0) {
        rill_error_set(err, *code,
                       "DPDK can not make a memif port: %s; is its memif driver installed "
                       "(librte-net-memif23), and may this user write to %s?",
                       strerror(-*code), ports->folder);
        free(port);
        return NULL;
    }
    *code = configure(ports, port);
    if (*code != 0) {
        rill_error_set(err, *code, "DPDK can not set up a memif port: %s", strerror(-*code));
        remove_device(port);
        return NULL;
    }
    return port;
}

struct rill_memif_port *rill_memif_port_open(struct rill_memif_ports *ports, uint32_t self,
                                             bool server, int *code, struct rill_error *err)
{
    struct rill_memif_port *port = take_idle(ports, server, false);

    *code = 0;
    return port != NULL ? port : make(ports, self, server, code, err);
}

void rill_memif_port_close(struct rill_memif_ports *ports, struct rill_memif_port *port)
{
    port->next = ports->idle;
    ports->idle = port;
}

void rill_memif_ports_fini(struct rill_memif_ports *ports)
{
    struct rill_memif_port *port;

    while ((port = take_idle(ports, false, true)) != NULL)
        remove_device(port);
}

/* --- connections ------------------------------------------------------------------------------ */

/* To the driver's listener: its queue has room, for we have one connection at a time. */
static int connect_to_driver(struct rill_memif_port *port)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&port->address, sizeof(port->address)) != 0) {
        int code = -errno;

        close(fd);
        return code;
    }
    port->local = fd;
    return 0;
}

/* The driver connects while it starts: to us, who has nobody else in the queue. */
static int let_driver_connect(struct rill_memif_port *port)
{
    int code = rte_eth_dev_start(port->id);

    if (code != 0)
        return -EIO;
    port->started = true;
    port->local = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return port->local < 0 ? -errno : 0;
}

int rill_memif_port_connect(struct rill_memif_port *port)
{
    return port->server ? connect_to_driver(port) : let_driver_connect(port);
}

bool rill_memif_port_is_up(const struct rill_memif_port *port)
{
    struct rte_eth_link link = {0};

    return port->local >= 0 && rte_eth_link_get_nowait(port->id, &link) == 0 &&
           link.link_status == RTE_ETH_LINK_UP;
}

void rill_memif_port_hang_up(struct rill_memif_port *port)
{
    if (port->local >= 0)
        shutdown(port->local, SHUT_WR);
}

bool rill_memif_port_is_down(struct rill_memif_port *port)
{
    enum rill_relay_result result = RILL_RELAY_CLOSED;

    /* The driver closes its end after it has let go of everything else. */
    if (port->local >= 0) {
        do
            result = rill_relay_one(port->local, -1);
        while (result == RILL_RELAY_DONE);
    }
    if (result != RILL_RELAY_CLOSED)
        return false;
    if (port->local >= 0)
        close(port->local);
    port->local = -1;
    if (!port->server && port->started)
        rte_eth_dev_stop(port->id);
    port->started = port->server;
    return true;
}

void rill_memif_port_disconnect(struct rill_memif_port *port)
{
    rill_memif_port_hang_up(port);
    while (!rill_memif_port_is_down(port)) {
        struct pollfd fd = {.fd = port->local, .events = POLLIN};

        poll(&fd, 1, -1);
    }
}
