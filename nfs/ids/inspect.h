/* The inspection of packets: puts a connection's bytes in order, searches them, judges what was
 * found. It knows connections by their memory alone, and packets by what the caller says. */
#ifndef RILL_NFS_IDS_INSPECT_H
#define RILL_NFS_IDS_INSPECT_H

#include "nfs/ids/engine.h"
#include "nfs/ids/flow.h"
#include "nfs/ids/match.h"
#include "nfs/ids/rules.h"

/* A version of the rules, ready. Not written after it was made. */
struct ids_set {
    struct ids_rules *rules;
    struct ids_engine *engine; /* NULL: there are no rules */
    uint32_t version;          /* not 0; equal sets, equal version */
};

/* What one thread needs to inspect with a set. */
struct ids_worker;

struct ids_worker *ids_worker_create(const struct ids_set *set, const struct ids_layout *layout);
void ids_worker_free(struct ids_worker *worker);

enum ids_count {
    IDS_COUNT_ALERTS,
    IDS_COUNT_OUT_OF_ORDER,
    IDS_COUNT_OVERLAPPING,
    IDS_COUNT_RETRANSMITTED,
    IDS_COUNT_GAPS,
    IDS_COUNT_FAR,
    IDS_COUNT_STRAY_SYN,
    IDS_COUNT_RULES_CHANGED,
    IDS_COUNT_CANDIDATES_LOST,
    IDS_COUNT_STATE_LOST,
    IDS_COUNTS
};

struct ids_inspection {
    /* Given. */
    const struct ids_layout *layout;
    const struct ids_set *set;
    struct ids_worker *worker;
    uint8_t *value; /* the connection's memory */
    struct rill_endpoint source, destination;
    const struct ids_fields *fields; /* of its headers; NULL if no rule looks at them */
    /* For each rule that a connection has not been told of. */
    void (*alert)(void *arg, const struct ids_rule *rule);
    void *arg;

    /* What came of it. */
    uint32_t low, high; /* the bytes of the value that changed: [low, high) */
    bool drop;
    uint32_t counts[IDS_COUNTS];

    /* Of the inspection itself. */
    unsigned direction; /* of the bytes at hand */
    bool reversed;      /* they go against the packet */
};

struct ids_tcp {
    uint8_t flags;
    uint32_t sequence, acknowledgement;
};

/* All of a segment, where it is simply the next one of a stream that is known: what most packets
 * are. False: it is not that, and nothing was done. */
bool ids_inspect_next(struct ids_inspection *in, const struct ids_tcp *tcp, const uint8_t *data,
                      uint32_t bytes);

/* Else first of a packet. True if there is anything to do with its payload. */
bool ids_inspect_begin(struct ids_inspection *in, const struct ids_tcp *tcp);
/* Then a piece of its payload, for TCP with its own sequence number. */
void ids_inspect_segment(struct ids_inspection *in, uint32_t sequence, const uint8_t *data,
                         uint32_t bytes);
/* Bytes of the stream that the capture cut off. */
void ids_inspect_missing(struct ids_inspection *in, uint32_t sequence, uint32_t bytes);
/* ... or all that a packet carries: `whole` bytes on the wire, `bytes` of them here. `fields` has
 * to be set. */
void ids_inspect_packet(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                        uint32_t whole);
/* After a segment: are there rules for it by itself? */
bool ids_inspect_wants_packet(const struct ids_inspection *in);
/* In place of all this, for what has no client and no server: ICMP (an error is inspected with the
 * connection that it is about), other protocols, later fragments. False: there are no rules. */
bool ids_inspect_wants_apart(const struct ids_set *set);
void ids_inspect_apart(struct ids_inspection *in, const uint8_t *data, uint32_t bytes,
                       uint32_t whole);

#endif
