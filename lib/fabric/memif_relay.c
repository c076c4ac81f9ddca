#include "lib/fabric/memif_relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MESSAGE_BYTES = 128, /* every message of memif 2.0 */
    FDS_MAX = 4,         /* a message has one at most; room for the wrong ones, to close them */
};

/* How many file descriptors came; all are ours now. */
static int take_fds(struct msghdr *message, int fds[FDS_MAX])
{
    int count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && count < FDS_MAX; i++)
            memcpy(&fds[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return count;
}

static int pass_on(int to, void *bytes, const int *fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec iov = {.iov_base = bytes, .iov_len = MESSAGE_BYTES};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd != NULL) {
        struct cmsghdr *c;

        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), fd, sizeof(int));
    }
    return sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == MESSAGE_BYTES ? 0 : -1;
}

enum rill_relay_result rill_relay_one(int from, int to)
{
    char bytes[MESSAGE_BYTES];
    union {
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    int fds[FDS_MAX], count;
    ssize_t n = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    enum rill_relay_result result = RILL_RELAY_DONE;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return RILL_RELAY_NOTHING;
    if (n <= 0)
        return RILL_RELAY_CLOSED;
    count = take_fds(&message, fds);
    if (n != MESSAGE_BYTES || count > 1 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        (to >= 0 && pass_on(to, bytes, count == 1 ? fds : NULL) != 0))
        result = RILL_RELAY_CLOSED;
    for (int i = 0; i < count; i++)
        close(fds[i]);
    return result;
}
