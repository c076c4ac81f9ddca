/* Where a unit in a process of its own writes records, and when it merges what its NF adds up. */
#ifndef RILL_NF_RUNTIME_UNIT_RECORDS_H
#define RILL_NF_RUNTIME_UNIT_RECORDS_H

#include <stdio.h>

#include "lib/daemon/role.h"
#include "nf-runtime/nf_host.h"

struct unit_records {
    FILE *file; /* NULL: the agent has given us none */
    uint64_t bytes, bytes_max;
    uint64_t unwritten;             /* records that found the file full, or could not be written */
    uint64_t begin_ns, next_ns;     /* of merges; next_ns UINT64_MAX: never */
    uint64_t interval_ns, flush_ns; /* flush_ns: when what was written goes to the file */
};

/* The first line says whose records they are. */
void unit_records_open(struct unit_records *records, const struct rill_role_host *host,
                       const char *deployment, const struct rill_nf *nf);
uint64_t unit_records_next_ns(const struct unit_records *records);
void unit_records_tick(struct unit_records *records, struct rill_nf *nf, uint64_t now_ns);
void unit_records_metrics(const struct unit_records *records, struct rill_role_metrics *metrics);
/* Merges a last time. */
void unit_records_close(struct unit_records *records, struct rill_nf *nf, uint64_t now_ns);

#endif
