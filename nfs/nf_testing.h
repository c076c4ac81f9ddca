/* What the tests of NFs share: an NF loaded and set up as Rill does it, and packets driven through
 * it and judged. A failed check fails the cmocka test.
 *
 * Packets are written as text: "tcp 10.0.0.1 1000 > 203.0.113.5 80" (also udp; icmp, whose ports
 * are the identifier).
 */
#ifndef RILL_NFS_NF_TESTING_H
#define RILL_NFS_NF_TESTING_H

#include "nf-runtime/loader.h"

struct nf_bench {
    struct rill_nf_image image;
    struct rill_config *config;
    struct rill_nf *nf;
    uint64_t time_ns; /* of the next packet */
};

/* One flow's state, and a copy that is kept by applying only the bytes that each packet has put, as
 * an output logger does. */
struct nf_flow {
    uint8_t *state, *copy;
    uint32_t bytes;
    bool old;                       /* has seen a packet */
    uint32_t dirty_low, dirty_high; /* of its last packet */
};

/* Loads NF `name` (a path, or a plain name from the build's NFs) and makes an instance with the
 * settings "NAME=VALUE", ended by NULL. */
void nf_open(struct nf_bench *b, const char *name, const char *const *settings);
/* As a deployment file says; `path` from the root of the source. */
void nf_open_file(struct nf_bench *b, const char *path);
/* As nf_open(), and it must fail; the error is given back, in static memory. */
const char *nf_open_error(const char *name, const char *const *settings);
void nf_close(struct nf_bench *b);
/* Leases the pool's endpoints [first, first + n) to the instance. */
void nf_lease(struct nf_bench *b, unsigned pool, uint32_t first, uint32_t n);
uint64_t nf_count(const struct nf_bench *b, const char *counter);

/* Gives the instance a version of the object that `option` names; nf_object_error(): it must be
 * refused, and why is given back, in static memory. *report may be NULL. */
void nf_object(struct nf_bench *b, const char *option, const char *text,
               struct rill_load_report *report);
const char *nf_object_error(struct nf_bench *b, const char *option, const char *text);

/* Records, of all instances, from the first nf_open() or the last nf_records_clear() on: each line
 * of JSON with a newline behind it. */
const char *nf_records(void);
unsigned nf_record_count(void);
void nf_records_clear(void);

void nf_flow_open(struct nf_flow *f, const struct nf_bench *b);
void nf_flow_close(struct nf_flow *f);
/* The flow's state goes on at another instance: as bytes. */
void nf_flow_move(struct nf_flow *f);
const struct rill_alias *nf_alias(const struct nf_flow *f);

/* Sends one packet in on `side`. It must come out as `expected` says (NULL: dropped, and
 * unchanged), with all checksums right, its payload as it was, and the copy of the state equal to
 * the state. */
void nf_send(struct nf_bench *b, struct nf_flow *f, enum rill_side side, const char *packet,
             const char *expected);
/* The same from the inside, and it is turned round. */
void nf_turn(struct nf_bench *b, struct nf_flow *f, const char *packet, const char *expected);
/* Runs a packet that the caller made: *pkt with m, view and side set. */
enum rill_verdict nf_run(struct nf_bench *b, struct nf_flow *f, struct rill_pkt *pkt);

/* The flow, of which that is a packet in either direction, ends. */
void nf_end(struct nf_bench *b, struct nf_flow *f, const char *packet);

/* The packet that a text says, as bytes (without link-layer padding) and as an mbuf. */
struct rte_mbuf *nf_packet(const char *text);
/* All checksums of the packet, calculated anew. */
bool nf_checksums_right(const struct rte_mbuf *m, const struct rill_view *view);

#endif
