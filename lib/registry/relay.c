#include "lib/registry/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAIRS_MAX = 16,
    BUFFER_BYTES = 65536,
    WOKEN = 0,
    LISTENER = 1,
    POLLS_MAX = 2 + 2 * PAIRS_MAX
};

/* One end of a connection; what came in at it waits in `buffer` for the other end. */
struct end {
    int fd;
    uint32_t at, bytes;
    char buffer[BUFFER_BYTES];
};

struct pair {
    struct end ends[2];
};

struct relay {
    int listener, woken;
    uint16_t server_port;
    pthread_t thread;
    pthread_mutex_t mutex; /* held while anything passes */
    bool cut, ending;
    struct pair *pairs[PAIRS_MAX]; /* the thread's */
};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void close_pair(struct pair **pair)
{
    close((*pair)->ends[0].fd);
    close((*pair)->ends[1].fd);
    free(*pair);
    *pair = NULL;
}

/* An end is read when there is nothing of it waiting, and written while the other's waits. */
static short wanted(const struct pair *pair, int end)
{
    return (short)((pair->ends[end].bytes == 0 ? POLLIN : 0) |
                   (pair->ends[!end].bytes > 0 ? POLLOUT : 0));
}

static uint32_t fill_polls(const struct relay *relay, struct pollfd *polls)
{
    uint32_t count = LISTENER + 1;

    polls[WOKEN] = (struct pollfd){.fd = relay->woken, .events = POLLIN};
    polls[LISTENER] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
    for (int i = 0; i < PAIRS_MAX; i++)
        for (int end = 0; end < 2 && relay->pairs[i] != NULL; end++)
            polls[count++] = (struct pollfd){.fd = relay->pairs[i]->ends[end].fd,
                                             .events = wanted(relay->pairs[i], end)};
    return count;
}

/* The server is on this machine: it is there at once or it is not. */
static int connect_to_server(const struct relay *relay)
{
    struct sockaddr_in address = loopback(relay->server_port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static void accept_one(struct relay *relay)
{
    int client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC), server, i = 0, yes = 1;

    if (client < 0)
        return;
    server = connect_to_server(relay);
    while (i < PAIRS_MAX && relay->pairs[i] != NULL)
        i++;
    if (server >= 0 && i < PAIRS_MAX)
        relay->pairs[i] = calloc(1, sizeof(*relay->pairs[i]));
    if (server < 0 || i == PAIRS_MAX || relay->pairs[i] == NULL) {
        close(client);
        if (server >= 0)
            close(server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    relay->pairs[i]->ends[0].fd = client;
    relay->pairs[i]->ends[1].fd = server;
}

/* False: the connection is over. */
static bool read_end(struct end *end)
{
    ssize_t bytes = recv(end->fd, end->buffer, sizeof(end->buffer), MSG_DONTWAIT);

    if (bytes < 0)
        return errno == EAGAIN;
    end->at = 0;
    end->bytes = (uint32_t)bytes;
    return bytes > 0;
}

static bool write_end(struct end *from, int fd)
{
    ssize_t bytes = send(fd, from->buffer + from->at, from->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (bytes < 0)
        return errno == EAGAIN;
    from->at += (uint32_t)bytes;
    from->bytes -= (uint32_t)bytes;
    return true;
}

static void turn_pair(struct pair **pair, int end, short events)
{
    struct end *this = &(*pair)->ends[end], *other = &(*pair)->ends[!end];
    bool goes_on = true;

    if (events & POLLOUT)
        goes_on = write_end(other, this->fd);
    if (goes_on && this->bytes == 0 && (events & (POLLIN | POLLHUP | POLLERR)))
        goes_on = read_end(this);
    if (!goes_on)
        close_pair(pair);
}

static void turn_fd(struct relay *relay, int fd, short events)
{
    for (int i = 0; i < PAIRS_MAX; i++)
        for (int end = 0; end < 2 && relay->pairs[i] != NULL; end++)
            if (relay->pairs[i]->ends[end].fd == fd) {
                turn_pair(&relay->pairs[i], end, events);
                return;
            }
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool turn(struct relay *relay)
{
    struct pollfd polls[POLLS_MAX];
    uint32_t count;
    uint64_t times;
    bool goes_on;

    pthread_mutex_lock(&relay->mutex);
    count = relay->cut ? LISTENER : fill_polls(relay, polls);
    pthread_mutex_unlock(&relay->mutex);
    polls[WOKEN] = (struct pollfd){.fd = relay->woken, .events = POLLIN};
    poll(polls, count, -1);
    if (polls[WOKEN].revents != 0 && read(relay->woken, &times, sizeof(times)) < 0)
        return false;
    pthread_mutex_lock(&relay->mutex);
    for (uint32_t i = LISTENER + 1; i < count && !relay->cut; i++)
        if (polls[i].revents != 0)
            turn_fd(relay, polls[i].fd, polls[i].revents);
    if (count > LISTENER && !relay->cut && polls[LISTENER].revents != 0)
        accept_one(relay);
    goes_on = !relay->ending;
    pthread_mutex_unlock(&relay->mutex);
    return goes_on;
}

static void *run(void *arg)
{
    while (turn(arg))
        ;
    return NULL;
}

static void wake(const struct relay *relay)
{
    const uint64_t one = 1;

    if (write(relay->woken, &one, sizeof(one)) != sizeof(one))
        abort();
}

void relay_cut(struct relay *relay, bool cut)
{
    pthread_mutex_lock(&relay->mutex);
    relay->cut = cut;
    pthread_mutex_unlock(&relay->mutex);
    wake(relay);
}

/* --- making and ending ------------------------------------------------------------------------ */

struct relay *relay_create(uint16_t server_port)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    struct sockaddr_in address = loopback(0);

    if (relay == NULL)
        return NULL;
    relay->server_port = server_port;
    relay->woken = eventfd(0, EFD_CLOEXEC);
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    pthread_mutex_init(&relay->mutex, NULL);
    if (bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(relay->listener, PAIRS_MAX) == 0 &&
        pthread_create(&relay->thread, NULL, run, relay) == 0)
        return relay;
    close(relay->listener);
    close(relay->woken);
    free(relay);
    return NULL;
}

void relay_destroy(struct relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    relay->ending = true;
    pthread_mutex_unlock(&relay->mutex);
    wake(relay);
    pthread_join(relay->thread, NULL);
    for (int i = 0; i < PAIRS_MAX; i++)
        if (relay->pairs[i] != NULL)
            close_pair(&relay->pairs[i]);
    pthread_mutex_destroy(&relay->mutex);
    close(relay->listener);
    close(relay->woken);
    free(relay);
}

uint16_t relay_port(const struct relay *relay)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof(address);

    if (getsockname(relay->listener, (struct sockaddr *)&address, &bytes) != 0)
        return 0;
    return ntohs(address.sin_port);
}
