#include "lib/base/table_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = RILL_TABLE_HUGE_BYTES, PAGE = RILL_TABLE_PAGE_BYTES };

/* Linux 5.14; an older one refuses it, and pages come as they are used. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static size_t rounded(size_t bytes)
{
    return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* A mapping that begins at a huge page: one page more, and what is too much goes back. */
static void *map_huge(size_t bytes)
{
    uint8_t *at = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t before;

    if (at == MAP_FAILED)
        return NULL;
    before = rounded((uintptr_t)at) - (uintptr_t)at;
    if (before > 0)
        munmap(at, before);
    at += before;
    if (before < HUGE_PAGE)
        munmap(at + bytes, HUGE_PAGE - before);
    madvise(at, bytes, MADV_HUGEPAGE); /* where there are none, it does without */
    return at;
}

void *rill_table_alloc(size_t bytes)
{
    return bytes >= HUGE_PAGE ? map_huge(rounded(bytes)) : calloc(1, bytes);
}

void *rill_table_alloc_sparse(size_t bytes)
{
    void *at = mmap(NULL, rounded(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    madvise(at, rounded(bytes), MADV_NOHUGEPAGE); /* a kernel without them refuses, and is right */
    return at;
}

void rill_table_prefault(void *memory, size_t bytes)
{
    uintptr_t begin = (uintptr_t)memory / PAGE * PAGE;

    madvise((void *)begin, (uintptr_t)memory + bytes - begin, MADV_POPULATE_WRITE);
}

void rill_table_free(void *memory, size_t bytes)
{
    if (bytes >= HUGE_PAGE && memory != NULL)
        munmap(memory, rounded(bytes));
    else
        free(memory);
}
