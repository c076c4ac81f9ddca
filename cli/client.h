/* A command's connection to its cluster's resource manager, at BASE/rm.sock.
 *
 * Synchronous: rill_client_ask() turns the loop until the answer is there. Who has something else
 * to do meanwhile sends, and turns it by hand.
 */
#ifndef RILL_CLI_CLIENT_H
#define RILL_CLI_CLIENT_H

#include <stdbool.h>

#include "cli/place.h"
#include "lib/control/control.h"

struct rill_client;

/* Connects and joins. -ENOENT: no such cluster ("cluster 'x' is not up: rill up"); -EACCES: not for
 * this user; -ETIMEDOUT: it does not answer. */
int rill_client_open(const struct rill_place *place, struct rill_client **client,
                     struct rill_error *err);
void rill_client_close(struct rill_client *client); /* NULL is fine */
/* What is no answer that rill_client_ask() waits for goes there; lent. */
void rill_client_on_message(struct rill_client *client,
                            void (*callback)(void *arg, const Control__Message *message),
                            void *arg);

uint32_t rill_client_role(const struct rill_client *client); /* this process's id, as given */
/* The connection broke: now (a question that was asked is not answered any more) ... */
bool rill_client_is_away(const struct rill_client *client);
/* ... or for good: nobody has taken the resource manager's place for some seconds. */
bool rill_client_lost(const struct rill_client *client);
/* How often it was let in again, by the next resource manager. Under the same id, if it was
 * attached to something; under another one nothing is known of it. */
unsigned rill_client_returns(const struct rill_client *client);

/* A message to fill: RILL_CONTROL_SET() its body, then send or ask. `to` 0: the RM. */
Control__Message rill_client_message_to(const struct rill_client *client, uint32_t to);
/* Sends under a number of its own, which the answer repeats; answers come to the callback. */
uint64_t rill_client_send(struct rill_client *client, Control__Message *message);
/* Answers a request. */
void rill_client_answer(struct rill_client *client, const Control__Message *request,
                        Control__Message *message);
/* Sends and waits. 0 and *answer, the caller's to rill_control_free(); -EREMOTEIO if the answer is
 * Error, its line in *err; -ETIMEDOUT, -ECONNRESET. */
int rill_client_ask(struct rill_client *client, Control__Message *message, unsigned timeout_ms,
                    Control__Message **answer, struct rill_error *err);

/* What was lent, to keep: rill_control_free() it. NULL: no memory. */
Control__Message *rill_client_copy(const Control__Message *message);

/* Takes what is there; waits for it up to timeout_ms. */
void rill_client_turn(struct rill_client *client, unsigned timeout_ms);

#endif
