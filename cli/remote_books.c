#include "cli/remote_books.h"

#include <stdio.h>
#include <string.h>

static const char DROPPED[] = "dropped_";

/* --- in flight ------------------------------------------------------------------------------- */

int64_t rill_books_in_flight(const struct rill_books *books)
{
    int64_t n = (int64_t)(books->self.held + books->self.sent_off - books->self.taken_in);

    for (uint32_t i = 0; i < books->count; i++) {
        const Control__Metrics *now = books->roles[i].now, *before = books->roles[i].before;

        if (now == NULL)
            continue;
        n += (int64_t)(now->packets_held + now->packets_sent_off - now->packets_taken_in);
        if (before != NULL)
            n -= (int64_t)(before->packets_sent_off - before->packets_taken_in);
    }
    return n;
}

uint64_t rill_books_held(const struct rill_books *books)
{
    uint64_t n = books->self.held;

    for (uint32_t i = 0; i < books->count; i++)
        if (books->roles[i].now != NULL)
            n += books->roles[i].now->packets_held;
    return n;
}

/* --- counters -------------------------------------------------------------------------------- */

static uint64_t value_of(Control__Counter *const *counters, size_t count, const char *name)
{
    uint64_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (strcmp(counters[i]->name, name) == 0)
            n += counters[i]->value;
    return n;
}

/* Counters never go down; where one seems to, what it said before counts for nothing. */
static uint64_t since(uint64_t now, uint64_t before)
{
    return now >= before ? now - before : now;
}

uint64_t rill_books_counter(const struct rill_books *books, uint32_t id, const char *name)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < books->count; i++) {
        const struct rill_books_role *role = &books->roles[i];
        uint64_t before = 0;

        if ((id != 0 && role->id != id) || role->now == NULL)
            continue;
        if (role->before != NULL)
            before = value_of(role->before->counters, role->before->n_counters, name);
        n += since(value_of(role->now->counters, role->now->n_counters, name), before);
    }
    return n;
}

uint64_t rill_books_dropped(const struct rill_books *books, const char *prefix)
{
    size_t bytes = strlen(prefix);
    uint64_t n = 0;

    for (uint32_t i = 0; i < books->count; i++) {
        const Control__Metrics *now = books->roles[i].now;

        for (size_t k = 0; now != NULL && k < now->n_counters; k++) {
            const char *name = now->counters[k]->name;

            if (strncmp(name, prefix, bytes) == 0 &&
                strncmp(name + bytes, DROPPED, sizeof(DROPPED) - 1) == 0)
                n += rill_books_counter(books, books->roles[i].id, name);
        }
    }
    return n;
}

static int tally_counter(struct rill_report *report, const char *name, uint64_t n)
{
    const char *point = strchr(name, '.');
    const char *bare = point != NULL ? point + 1 : name;
    int rc = rill_tally_add(&report->counters, name, n);

    if (rc == 0 && n > 0 && strncmp(bare, DROPPED, sizeof(DROPPED) - 1) == 0)
        rc = rill_tally_add(&report->packets_dropped, bare + sizeof(DROPPED) - 1, n);
    return rc;
}

static int tally_role(const struct rill_books_role *role, struct rill_report *report)
{
    static const Control__Metrics nothing = CONTROL__METRICS__INIT;
    const Control__Metrics *now = role->now;
    const Control__Metrics *before = role->before != NULL ? role->before : &nothing;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < now->n_counters; i++) {
        const Control__Counter *c = now->counters[i];

        rc =
            tally_counter(report, c->name,
                          since(c->value, value_of(before->counters, before->n_counters, c->name)));
    }
    for (size_t i = 0; rc == 0 && i < now->n_nf_counters; i++) {
        const Control__Counter *c = now->nf_counters[i];

        rc = rill_tally_add(
            &report->nf_counters, c->name,
            since(c->value, value_of(before->nf_counters, before->n_nf_counters, c->name)));
    }
    return rc;
}

int rill_books_tally(const struct rill_books *books, struct rill_report *report)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < books->count; i++)
        if (books->roles[i].now != NULL)
            rc = tally_role(&books->roles[i], report);
    return rc;
}
