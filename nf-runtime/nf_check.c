/* Finds what an NF changed without saying so: state that would be lost when the flow moves.
 *
 * Compares each byte of the flow's block with a copy made before the packet. Stricter than what
 * would really be lost (the bytes between two puts ride along), so that a missing put shows on the
 * first packet that needs it, not on the one packet in a million that nothing else hides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nf-runtime/nf_impl.h"

#ifdef RILL_CHECK_PUTS

int rill_nf_check_init(struct rill_nf *nf)
{
    nf->before = malloc(nf->state_bytes);
    nf->put = malloc(nf->state_bytes);
    if (nf->before == NULL || nf->put == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < nf->tables_n; i++) {
        struct rill_table *table = &nf->tables[i];

        if (table->global == NULL)
            continue;
        table->global_copy = malloc(table->bytes);
        if (table->global_copy == NULL)
            return -ENOMEM;
        memcpy(table->global_copy, table->global, table->bytes);
    }
    return 0;
}

void rill_nf_check_fini(struct rill_nf *nf)
{
    for (unsigned i = 0; i < nf->tables_n; i++)
        free(nf->tables[i].global_copy);
    free(nf->before);
    free(nf->put);
}

void rill_nf_check_begin(struct rill_nf *nf, const struct rill_pkt *pkt)
{
    memcpy(nf->before, pkt->state, nf->state_bytes);
    memset(nf->put, 0, nf->state_bytes);
}

__attribute__((noreturn)) static void report(const struct rill_nf *nf, uint32_t offset)
{
    for (unsigned i = 0; i < nf->tables_n; i++) {
        const struct rill_table *table = &nf->tables[i];

        if (table->global == NULL && offset >= table->offset &&
            offset - table->offset < table->bytes)
            rill_nf_bug(nf,
                        "changed byte %u of its value in table '%s' and did not rill_put() it; "
                        "it would be lost when the flow moves",
                        offset - table->offset, table->name);
    }
    rill_nf_bug(nf, "wrote outside its tables' values, at byte %u of the flow's state", offset);
}

void rill_nf_check_end(struct rill_nf *nf, const struct rill_pkt *pkt)
{
    for (uint32_t i = 0; i < nf->state_bytes; i++)
        if (pkt->state[i] != nf->before[i] && !nf->put[i])
            report(nf, i);
    for (unsigned i = 0; i < nf->tables_n; i++) {
        const struct rill_table *table = &nf->tables[i];

        if (table->global != NULL && memcmp(table->global, table->global_copy, table->bytes) != 0)
            rill_nf_bug(nf,
                        "changed the global table '%s' while packets flow; other instances will "
                        "never see it",
                        table->name);
    }
}

#else

_Static_assert(RILL_BODY_MAX > 0, "a C file may not be empty");

#endif
