/* What a role's tables hold, for status and tests. */
#ifndef RILL_LIB_BASE_TABLE_USE_H
#define RILL_LIB_BASE_TABLE_USE_H

#include <stdint.h>

struct rill_table_use {
    uint64_t entries; /* in use */
    uint64_t keys;    /* in hash tables that lead to them */
    uint64_t bytes;   /* taken for entries: as many as were in use at a time; never given back */
};

#endif
