/* What nf_*.c share about an instance; nobody else includes it. */
#ifndef RILL_NF_RUNTIME_NF_IMPL_H
#define RILL_NF_RUNTIME_NF_IMPL_H

#include <stdatomic.h>

#include "lib/base/epoch.h"
#include "nf-runtime/nf_host.h"

enum {
    RILL_NF_POOL_ADDRESSES_MAX = 4096, /* so that an index fits into 32 bits */
    RILL_NF_PRIVATE_BYTES_MAX = 1 << 30,
    RILL_NF_TABLE_BYTES_MAX = 60000
};

struct rill_table {
    /* struct rill_table_head */
    uint8_t *global;         /* global: the value; else NULL */
    uint32_t offset;         /* per-flow: of the value in the flow's block */
    uint32_t writable_bytes; /* `bytes`, or 0 */
    /* the rest */
    struct rill_nf *nf;
    const char *name;
    enum rill_scope scope;
    enum rill_access access;
    uint32_t bytes;
#ifdef RILL_CHECK_PUTS
    uint8_t *global_copy; /* as init left it */
#endif
};

struct rill_pool_leased {
    uint64_t lease;
    uint32_t index;
};

/* Leased from one controller and not taken. */
struct rill_pool_ring {
    struct rill_pool_leased *at;
    uint32_t size; /* a power of two, or 0 before the first lease */
    uint32_t head, count;
};

struct rill_pool {
    struct rill_nf *nf;
    const char *name;
    enum rill_proto proto;
    uint8_t family;
    uint16_t port_low, port_high;
    uint32_t addresses;
    uint8_t (*addr)[16];
    bool preserve_ports;
    struct rill_pool_ring leased[RILL_SLOTS_MAX]; /* by the controller's slot */
};

struct rill_nf_object {
    struct rill_object_spec spec;
    const void *present;                 /* of `version` */
    struct rill_object_version *version; /* NULL: none yet, or the option is empty */
};

struct rill_shared {
    struct rill_nf *nf;
    const char *name;
    const struct rill_shared_type *type;
    uint32_t *slots; /* mask + 1 of them; a hash table of indexes into... */
    uint32_t mask, count;
    uint8_t *entries; /* ...these, in the order in which they came */
};

struct rill_record {
    struct rill_nf *nf;
    uint32_t bytes, depth;
    bool is_open;    /* between begin and end */
    bool has_member; /* the object at hand has one already */
    bool too_long;
    char line[RILL_RECORD_BYTES_MAX + 1];
};

struct rill_nf {
    void *private_memory; /* struct rill_nf_head */
    const struct rill_nf_descriptor *descriptor;
    const struct rill_config *config;
    bool in_init;
    struct rill_error error; /* the first line that the NF, or a function that it called, gave */
    uint32_t state_bytes;
    unsigned tables_n, pools_n, counters_n;
    struct rill_table tables[RILL_NF_TABLES_MAX];
    struct rill_pool pools[RILL_NF_POOLS_MAX];
    const char *counter_names[RILL_NF_COUNTERS_MAX];
    uint64_t counters[RILL_NF_COUNTERS_MAX];
    /* The endpoint that the packet at hand has taken, and from where; pool NULL: none,
     * ring NULL: it is kept for the flow. */
    struct rill_pool *taken_pool;
    struct rill_pool_ring *taken_ring;
    struct rill_pool_leased taken_leased;
    struct rill_endpoint taken;
    unsigned objects_n;
    struct rill_nf_object objects[RILL_NF_OBJECTS_MAX];
    unsigned shared_n;
    struct rill_shared shared[RILL_NF_SHARED_MAX];
    uint64_t shared_overflow;
    struct rill_record record;
    uint64_t records_written, records_too_long;
    bool records_used;
#ifdef RILL_CHECK_PUTS
    uint8_t *before; /* the flow's block as the packet found it */
    uint8_t *put;    /* for each byte of the block: whether it was put */
#endif
};

_Static_assert(offsetof(struct rill_table, global) == offsetof(struct rill_table_head, global) &&
                   offsetof(struct rill_table, offset) ==
                       offsetof(struct rill_table_head, offset) &&
                   offsetof(struct rill_table, writable_bytes) ==
                       offsetof(struct rill_table_head, writable_bytes) &&
                   offsetof(struct rill_nf, private_memory) ==
                       offsetof(struct rill_nf_head, private_memory),
               "the heads of <rill/nf_inline.h> are their beginnings");

/* A bug of the NF: a line on stderr, then abort(). */
__attribute__((noreturn, format(printf, 2, 3))) void rill_nf_bug(const struct rill_nf *nf,
                                                                 const char *format, ...);

/* nf_state.c */
void rill_nf_state_fini(struct rill_nf *nf);
void rill_nf_mark_dirty(struct rill_pkt *pkt, size_t offset, size_t bytes);

/* nf_object.c */
void rill_nf_objects_fini(struct rill_nf *nf);

/* nf_shared.c */
void rill_nf_shared_fini(struct rill_nf *nf);

/* nf_packet.c: as the packet came in, whatever was rewritten since. */
const struct rill_endpoint *rill_pkt_source_in(const struct rill_pkt *pkt);
const struct rill_endpoint *rill_pkt_destination_in(const struct rill_pkt *pkt);

/* The check of puts (nf_check.c): nothing at all where RILL_CHECK_PUTS is not defined. */
#ifdef RILL_CHECK_PUTS
#define RILL_NF_CHECKS_PUTS true
int rill_nf_check_init(struct rill_nf *nf); /* after init; 0 or -ENOMEM */
void rill_nf_check_fini(struct rill_nf *nf);
void rill_nf_check_begin(struct rill_nf *nf, const struct rill_pkt *pkt);
void rill_nf_check_end(struct rill_nf *nf, const struct rill_pkt *pkt);
#else
#define RILL_NF_CHECKS_PUTS false
static inline int rill_nf_check_init(struct rill_nf *nf)
{
    (void)nf;
    return 0;
}

static inline void rill_nf_check_fini(struct rill_nf *nf)
{
    (void)nf;
}

static inline void rill_nf_check_begin(struct rill_nf *nf, const struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
}

static inline void rill_nf_check_end(struct rill_nf *nf, const struct rill_pkt *pkt)
{
    (void)nf;
    (void)pkt;
}
#endif

/* nf_pool.c */
void rill_nf_pools_fini(struct rill_nf *nf);
/* After a packet that took an endpoint: true if its flow declared it; else it goes back. */
bool rill_nf_pool_settle(struct rill_nf *nf, const struct rill_pkt *pkt);

#endif
