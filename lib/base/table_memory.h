/* Memory for tables that are looked into at random: flows by the hundred thousand.
 *
 * From 2 MB on it is asked for in huge pages, or else most looks would miss the processor's table
 * of pages as well as its caches. Where the machine gives none (no transparent huge pages), it is
 * ordinary memory. Pages are touched only as they are used. Any thread.
 */
#ifndef RILL_LIB_BASE_TABLE_MEMORY_H
#define RILL_LIB_BASE_TABLE_MEMORY_H

#include <stddef.h>

enum { RILL_TABLE_HUGE_BYTES = 2 << 20, RILL_TABLE_PAGE_BYTES = 4096 };

/* Zeroed; from RILL_TABLE_HUGE_BYTES on aligned to as much. NULL if there is none. Freed with the
 * same `bytes`; memory of malloc() with fewer than that may be freed so, too. */
void *rill_table_alloc(size_t bytes);
/* The same in small pages, for what is used here and there. At least RILL_TABLE_HUGE_BYTES. */
void *rill_table_alloc_sparse(size_t bytes);
void rill_table_free(void *memory, size_t bytes); /* NULL is fine */
/* All of its pages are there afterwards, if the machine has them: to zero a huge one takes 150 us,
 * for which no packet should wait. */
void rill_table_prefault(void *memory, size_t bytes);

#endif
