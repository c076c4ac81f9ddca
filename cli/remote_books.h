/* What the roles of a deployment counted during a run: Metrics at its end less those before it, and
 * what follows from them. Pure.
 *
 * Each role counts for itself, since it was activated. A role that came during the run began at 0.
 * One that died took its counters along.
 */
#ifndef RILL_CLI_REMOTE_BOOKS_H
#define RILL_CLI_REMOTE_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/report.h"
#include "lib/control/control.h"

enum { RILL_BOOKS_ROLES_MAX = 64 };

struct rill_books_role {
    uint32_t id;
    const Control__Metrics *before; /* NULL: it was not there, or not asked */
    const Control__Metrics *now;    /* NULL: it has not answered yet */
};

/* This process, which holds an end of links, too. */
struct rill_books_self {
    uint64_t held, sent_off, taken_in; /* packets */
};

struct rill_books {
    const struct rill_books_role *roles;
    uint32_t count;
    struct rill_books_self self;
};

/* Packets that came in and are neither released nor dropped: held somewhere, or in a link between
 * two processes. Negative where more came out of links than went in, as far as is known: a role
 * that is missing here had sent them. */
int64_t rill_books_in_flight(const struct rill_books *books);
uint64_t rill_books_held(const struct rill_books *books); /* in processes, links apart */

/* "unit.packets_processed" of one role, or (id 0) of all. */
uint64_t rill_books_counter(const struct rill_books *books, uint32_t id, const char *name);

/* Packets that ended at a role whose counters begin with `prefix`, for whatever reason. */
uint64_t rill_books_dropped(const struct rill_books *books, const char *prefix);

/* Into the report: every counter, every drop by its reason, the NF's counters. -ENOMEM. */
int rill_books_tally(const struct rill_books *books, struct rill_report *report);

#endif
