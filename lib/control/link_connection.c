#include "lib/control/link_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/control/control.h"

enum { LENGTH_BYTES = 4, RECEIVE_BYTES = 16 << 10, WAITING_BYTES_MAX = 64 << 20 };

/* In place of a length: "have you taken all?", and "I have". */
#define WORD_ASK 0xfffffff0u
#define WORD_ANSWER 0xfffffff1u

/* --- operations ------------------------------------------------------------------------------ */

static void on_finished(void *arg)
{
    struct rill_operation *operation = arg;

    atomic_store_explicit(&operation->finished, true, memory_order_release);
    operation->wake(operation->arg);
}

int rill_operation_init(struct rill_operation *operation, void (*wake)(void *arg), void *arg)
{
    operation->wake = wake;
    operation->arg = arg;
    return nng_aio_alloc(&operation->aio, on_finished, operation) == 0 ? 0 : -ENOMEM;
}

void rill_operation_fini(struct rill_operation *operation)
{
    if (operation->aio == NULL)
        return;
    nng_aio_stop(operation->aio);
    nng_aio_free(operation->aio);
    operation->aio = NULL;
}

void rill_operation_begin(struct rill_operation *operation)
{
    atomic_store_explicit(&operation->finished, false, memory_order_relaxed);
    operation->begun = true;
}

bool rill_operation_done(struct rill_operation *operation)
{
    if (!operation->begun || !atomic_load_explicit(&operation->finished, memory_order_acquire))
        return false;
    nng_aio_wait(operation->aio); /* its callback may be about to return */
    operation->begun = false;
    return true;
}

/* --- a connection ---------------------------------------------------------------------------- */

struct rill_connection *rill_connection_create(nng_stream *stream, void (*wake)(void *arg),
                                               void *arg)
{
    struct rill_connection *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        nng_stream_free(stream);
        return NULL;
    }
    c->stream = stream;
    if (rill_operation_init(&c->in, wake, arg) != 0 ||
        rill_operation_init(&c->out, wake, arg) != 0) {
        rill_connection_destroy(c);
        return NULL;
    }
    rill_connection_receive(c);
    return c;
}

void rill_connection_destroy(struct rill_connection *c)
{
    nng_stream_close(c->stream);
    rill_operation_fini(&c->in);
    rill_operation_fini(&c->out);
    nng_stream_free(c->stream);
    for (struct rill_outgoing *o = c->first, *next; o != NULL; o = next) {
        next = o->next;
        free(o);
    }
    free(c->reserved);
    free(c->received);
    free(c);
}

static void send_first(struct rill_connection *c)
{
    nng_iov iov = {.iov_buf = c->first->bytes + c->first->sent,
                   .iov_len = c->first->size - c->first->sent};

    nng_aio_set_iov(c->out.aio, 1, &iov);
    rill_operation_begin(&c->out);
    nng_stream_send(c->stream, c->out.aio);
}

static void turn_out(struct rill_connection *c)
{
    struct rill_outgoing *o = c->first;

    if (!rill_operation_done(&c->out))
        return;
    if (nng_aio_result(c->out.aio) != 0) {
        c->broken = true;
        return;
    }
    o->sent += nng_aio_count(c->out.aio);
    if (o->sent == o->size) {
        c->waiting_bytes -= o->size;
        c->first = o->next;
        free(o);
    }
    if (c->first != NULL)
        send_first(c);
}

void rill_connection_turn(struct rill_connection *c)
{
    turn_out(c);
    if (!rill_operation_done(&c->in))
        return;
    if (nng_aio_result(c->in.aio) != 0 || nng_aio_count(c->in.aio) == 0)
        c->broken = true;
    else
        c->filled += nng_aio_count(c->in.aio);
}

static void send_word(struct rill_connection *c, uint32_t word);

/* Takes a word that is no length. False: it is one. */
static bool take_word(struct rill_connection *c, size_t word)
{
    if (word != WORD_ASK && word != WORD_ANSWER)
        return false;
    c->taken += LENGTH_BYTES;
    if (word == WORD_ANSWER)
        c->asked = false;
    else
        send_word(c, WORD_ANSWER);
    return true;
}

static size_t length_at(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

enum rill_connection_result rill_connection_next(struct rill_connection *c, const void **bytes,
                                                 size_t *size)
{
    size_t left;

    do {
        left = c->filled - c->taken;
        if (left < LENGTH_BYTES)
            return RILL_CONNECTION_NOTHING;
        *size = length_at(c->received + c->taken);
    } while (take_word(c, *size));
    if (*size > RILL_CONTROL_BYTES_MAX)
        return RILL_CONNECTION_TOO_LONG;
    if (left < LENGTH_BYTES + *size)
        return RILL_CONNECTION_NOTHING;
    *bytes = c->received + c->taken + LENGTH_BYTES;
    c->taken += LENGTH_BYTES + *size;
    return RILL_CONNECTION_MESSAGE;
}

/* Room for the rest of the message that has begun, or for a first look at the next. */
static bool make_room(struct rill_connection *c)
{
    size_t left = c->filled - c->taken, need = RECEIVE_BYTES;
    uint8_t *larger;

    if (left >= LENGTH_BYTES && length_at(c->received + c->taken) + LENGTH_BYTES > need)
        need = length_at(c->received + c->taken) + LENGTH_BYTES;
    if (c->taken > 0 && left > 0)
        memmove(c->received, c->received + c->taken, left);
    c->taken = 0;
    c->filled = left;
    if (need <= c->capacity && c->capacity <= 4 * (need + RECEIVE_BYTES))
        return true;
    larger = realloc(c->received, need); /* or smaller: after an image */
    if (larger == NULL)
        return false;
    c->received = larger;
    c->capacity = need;
    return true;
}

void rill_connection_receive(struct rill_connection *c)
{
    nng_iov iov;

    if (c->in.begun || c->broken)
        return;
    if (!make_room(c)) {
        c->broken = true;
        return;
    }
    iov = (nng_iov){.iov_buf = c->received + c->filled, .iov_len = c->capacity - c->filled};
    nng_aio_set_iov(c->in.aio, 1, &iov);
    rill_operation_begin(&c->in);
    nng_stream_recv(c->stream, c->in.aio);
}

/* A first word, and room for `size` bytes behind it. */
static struct rill_outgoing *reserve(struct rill_connection *c, uint32_t word, size_t size)
{
    struct rill_outgoing *o = malloc(sizeof(*o) + LENGTH_BYTES + size);

    if (o == NULL)
        return NULL;
    o->next = NULL;
    o->sent = 0;
    o->size = LENGTH_BYTES + size;
    for (int i = 0; i < LENGTH_BYTES; i++)
        o->bytes[i] = (uint8_t)(word >> (8 * (LENGTH_BYTES - 1 - i)));
    c->reserved = o;
    return o;
}

uint8_t *rill_connection_reserve(struct rill_connection *c, size_t size)
{
    struct rill_outgoing *o;

    if (c->broken || size > RILL_CONTROL_BYTES_MAX || c->waiting_bytes > WAITING_BYTES_MAX)
        return NULL;
    o = reserve(c, (uint32_t)size, size);
    return o == NULL ? NULL : o->bytes + LENGTH_BYTES;
}

void rill_connection_commit(struct rill_connection *c)
{
    struct rill_outgoing *o = c->reserved;

    c->reserved = NULL;
    c->waiting_bytes += o->size;
    if (c->first == NULL)
        c->first = o;
    else
        c->last->next = o;
    c->last = o;
    if (c->first == o)
        send_first(c);
}

static void send_word(struct rill_connection *c, uint32_t word)
{
    if (reserve(c, word, 0) != NULL)
        rill_connection_commit(c);
}

void rill_connection_ask(struct rill_connection *c)
{
    c->asked = true;
    send_word(c, WORD_ASK);
}
