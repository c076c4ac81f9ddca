/* Fragments: a later fragment has no ports, so it is sent where its first one went.
 *
 * A table from (source, destination, protocol, identification, side) to the flow of the first
 * fragment and its ports. (IPv6: without the protocol, RFC 8200, 4.5: it may differ from fragment
 * to fragment.) Fixed memory, a few loads per look-up: 4-way buckets under a keyed hash
 * (SipHash-2-4), so that a sender can not aim at one bucket. An entry lives for 30 s (RFC 791 and
 * 8200 give reassembly no longer), or until its bucket is full of younger ones. No clock: now_ns is
 * given, and does not go backwards. One thread.
 */
#ifndef RILL_LIB_PACKET_FRAGMENTS_H
#define RILL_LIB_PACKET_FRAGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/role.h"
#include "lib/packet/parse.h"

struct rill_fragments;

enum { RILL_FRAGMENTS_DEFAULT = 4096 };
#define RILL_FRAGMENTS_LIFE_NS UINT64_C(30000000000)

struct rill_fragments_counters {
    uint64_t firsts;      /* first fragments taken in */
    uint64_t renewed;     /* of these, a new one under a key that was there */
    uint64_t overwritten; /* of these, took the place of the oldest, which had not expired */
    uint64_t found;       /* later fragments that found their first */
    uint64_t missed;      /* ... that did not */
};

/* `entries` is rounded up to a power of two, at least 4, at most 2^20; 64 bytes each. `seed` is the
 * hash's key: to be hard to guess. NULL if there is no memory or entries is out of range. */
struct rill_fragments *rill_fragments_create(uint32_t entries, uint64_t seed);
void rill_fragments_destroy(struct rill_fragments *table); /* NULL is fine */

const struct rill_fragments_counters *rill_fragments_counters(const struct rill_fragments *table);

/* Takes in a first fragment (FRAGMENT without LATER_FRAGMENT): `handle` is the caller's word for
 * its flow. The newest under a key counts. */
void rill_fragments_first(struct rill_fragments *table, const struct rill_view *view,
                          enum rill_side side, uint64_t handle, uint64_t now_ns);

/* Looks for the first fragment of a later one. True, and *handle and the ports are set; or false,
 * and they are 0. That the flow of the handle still lives is for the caller to check. */
bool rill_fragments_later(struct rill_fragments *table, const struct rill_view *view,
                          enum rill_side side, uint64_t now_ns, uint64_t *handle, uint16_t *sport,
                          uint16_t *dport);

#endif
