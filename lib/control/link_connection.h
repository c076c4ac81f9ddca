/* One connection of a link: bytes in and out of an nng stream, messages behind their lengths.
 *
 * nng finishes an operation on a thread of its own; all that thread does here is to set a flag and
 * wake the loop. Everything else happens in the loop's thread.
 */
#ifndef RILL_LIB_CONTROL_LINK_CONNECTION_H
#define RILL_LIB_CONTROL_LINK_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nng/nng.h>

/* An asynchronous operation of nng's that the loop asks about. */
struct rill_operation {
    nng_aio *aio;
    atomic_bool finished; /* set by nng's thread */
    bool begun;
    void (*wake)(void *arg);
    void *arg;
};

int rill_operation_init(struct rill_operation *operation, void (*wake)(void *arg), void *arg);
void rill_operation_fini(struct rill_operation *operation);  /* waits for nng to let go of it */
void rill_operation_begin(struct rill_operation *operation); /* then give its aio to nng */
/* True once after it has finished: its aio has the result. */
bool rill_operation_done(struct rill_operation *operation);

struct rill_outgoing {
    struct rill_outgoing *next;
    size_t size, sent;
    uint8_t bytes[];
};

struct rill_connection {
    struct rill_connection *next; /* of the link */
    uint32_t peer;
    bool broken; /* to be ended */
    bool asked;  /* whether the other end has taken all, and it has not answered */
    nng_stream *stream;
    struct rill_operation in, out;
    uint8_t *received; /* [taken, filled) has not been given out */
    size_t taken, filled, capacity;
    struct rill_outgoing *first, *last, *reserved;
    size_t waiting_bytes;
};

/* Takes the stream in all cases. NULL: no memory. Begins to receive. */
struct rill_connection *rill_connection_create(nng_stream *stream, void (*wake)(void *arg),
                                               void *arg);
void rill_connection_destroy(struct rill_connection *c);

/* Takes note of what has finished. */
void rill_connection_turn(struct rill_connection *c);

enum rill_connection_result {
    RILL_CONNECTION_NOTHING,
    RILL_CONNECTION_MESSAGE,
    RILL_CONNECTION_TOO_LONG,
};
/* The next whole message; *bytes is valid until the next call of next() or receive(). */
enum rill_connection_result rill_connection_next(struct rill_connection *c, const void **bytes,
                                                 size_t *size);
/* Goes on receiving, when next() has nothing more. */
void rill_connection_receive(struct rill_connection *c);

/* Asks the other end to say when it has taken all that was sent so far; sets `asked` until then. */
void rill_connection_ask(struct rill_connection *c);

/* Room for a message of so many bytes; NULL if too much is waiting. Then commit(). */
uint8_t *rill_connection_reserve(struct rill_connection *c, size_t size);
void rill_connection_commit(struct rill_connection *c);

#endif
