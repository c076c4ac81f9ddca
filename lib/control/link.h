/* Control messages over nng, turned by a libuv loop: one listener that many dial.
 *
 * One listener, many connections, each message from and to one of them. nng's streams, so that a
 * url says how (ipc, tcp, later TLS), each message behind its length in 4 bytes, most significant
 * first. Not one of nng's patterns: only pair1's polyamorous mode would fit, and that drops
 * messages without a word when a peer has more than two waiting (nng 1.5.2, pair1_poly.c:
 * send_queue), and is deprecated.
 *
 * Messages of a connection arrive in order, each once, or the connection ends. A dialler's
 * connection that broke is dialled again by itself. Sending never waits: a peer that does not read
 * costs its own messages (dropped and counted beyond 64 MB of them), never time.
 *
 * What can't be read (another version, no protobuf, beyond a limit) is counted by reason and goes
 * nowhere; a request number in it can't be trusted, so it isn't answered either. After a length
 * that is too long the connection is closed.
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
 * An ipc path that is a symbolic link is followed: when it points elsewhere, the connection ends
 * and the other one is dialled. Only what can't ever work is an error: -EINVAL. */
int rill_link_dial(uv_loop_t *loop, const char *url, const struct rill_link_events *events,
                   struct rill_link **link, struct rill_error *err);
/* What was sent shortly before may not arrive; see rill_link_flush(). NULL is fine. The loop has to
 * turn (or be closed by uv_run()) once more for its handles. */
void rill_link_close(struct rill_link *link);

/* Packs and sends. The message stays the caller's. False: not sent (and counted). */
bool rill_link_send(struct rill_link *link, uint32_t peer, const Control__Message *message);
/* Before an end: waits until all peers have said that they took all that was sent to them, at most
 * timeout_ms. (What is on its way when a connection is closed, nng's receiving end throws away.)
 * Messages that come in meanwhile are lost: only rill_link_close() may follow. */
void rill_link_flush(struct rill_link *link, unsigned timeout_ms);

const struct rill_link_counters *rill_link_counters(const struct rill_link *link);

#endif
