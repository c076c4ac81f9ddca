/* Carries the memif driver's control messages, file descriptors and all, from one socket to
 * another. Never waits.
 */
#ifndef RILL_LIB_FABRIC_MEMIF_RELAY_H
#define RILL_LIB_FABRIC_MEMIF_RELAY_H

enum rill_relay_result {
    RILL_RELAY_NOTHING, /* there is no message */
    RILL_RELAY_DONE,    /* one message went over */
    RILL_RELAY_CLOSED,  /* either end is closed, or the message is none */
};

/* to = -1: the message is thrown away. */
enum rill_relay_result rill_relay_one(int from, int to);

#endif
