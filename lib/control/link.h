/* Control messages over nng, turned by a libuv loop: one listener that many dial.
 *
 * nng's pair1 in its polyamorous mode: one socket, many connections, each message from and to one
 * of them. A connection that breaks is dialled again by itself. Sending never waits: a peer that
 * does not read costs its own messages (dropped, counted), never time; who needs an answer asks
 * again.
 *
 * What can't be read (another version, no protobuf, beyond a limit) is counted by reason and goes
 * nowhere; a request number in it can't be trusted, so it isn't answered either.
 *
 * Thread: the loop's. nng has threads of its own, which touch nothing of the caller's. A process
 * that has a link must not fork (rm/agent/keeper.h).
 */
#ifndef RILL_LIB_CONTROL_LINK_H
#define RILL_LIB_CONTROL_LINK_H

#include <stdbool.h>

#include <uv.h>

#include "lib/control/control.h"

struct rill_link;

struct rill_link_events {
    /* `peer` names a connection: never 0, not used again for another while the link lives. */
    void (*up)(void *arg, uint32_t peer);
    void (*down)(void *arg, uint32_t peer); /* after it, nothing more of that peer */
    void (*message)(void *arg, uint32_t peer, const Control__Message *message); /* lent */
    void *arg;
};

struct rill_link_counters {
    uint64_t sent, received;
    uint64_t dropped;                       /* not sent: the peer is gone or does not read */
    uint64_t refused[RILL_CONTROL_RESULTS]; /* received and not readable, by reason */
};

/* Listens at `url` (ipc:///path, tcp://address:port). An ipc path's socket is made with `mode`; one
 * that is there and that nobody listens at is replaced. -EADDRINUSE, -EACCES, -EINVAL ... with a
 * line in *err. */
int rill_link_listen(uv_loop_t *loop, const char *url, unsigned mode,
                     const struct rill_link_events *events, struct rill_link **link,
                     struct rill_error *err);
/* Dials; comes up (events->up) when the other is there, now or later, and again after it was away.
 * Only what can't ever work is an error: -EINVAL. */
int rill_link_dial(uv_loop_t *loop, const char *url, const struct rill_link_events *events,
                   struct rill_link **link, struct rill_error *err);
/* What was sent shortly before may not arrive; see rill_link_flush(). NULL is fine. The loop has to
 * turn (or be closed by uv_run()) once more for its handles. */
void rill_link_close(struct rill_link *link);

/* Packs and sends. The message stays the caller's. False: not sent (and counted). */
bool rill_link_send(struct rill_link *link, uint32_t peer, const Control__Message *message);
/* Gives nng's threads up to timeout_ms to hand what was sent to the kernel: before an exit. */
void rill_link_flush(struct rill_link *link, unsigned timeout_ms);

const struct rill_link_counters *rill_link_counters(const struct rill_link *link);

#endif
