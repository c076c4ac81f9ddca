/* State tables: their layout in a flow's block, get and put; and the alias at the block's head. */
#include <stdlib.h>
#include <string.h>

#include "nf-runtime/nf_impl.h"

uint32_t rill_nf_state_bytes(const struct rill_nf *nf)
{
    return nf->state_bytes;
}

static uint32_t align8(size_t bytes)
{
    return (uint32_t)((bytes + 7) & ~(size_t)7);
}

/* Why such a table can't be had; NULL if it can. */
static const char *table_fault(const struct rill_nf *nf, const char *name, enum rill_scope scope,
                               enum rill_access access, size_t value_bytes)
{
    if (!nf->in_init)
        return "tables are created in init only";
    if (name == NULL || name[0] == '\0')
        return "a table needs a name";
    if (nf->tables_n == RILL_NF_TABLES_MAX)
        return "an NF has at most 8 tables";
    if (value_bytes == 0 || value_bytes > RILL_NF_TABLE_BYTES_MAX)
        return "a value has 1 to 60000 bytes";
    if (scope != RILL_PER_FLOW && scope != RILL_GLOBAL)
        return "its scope is RILL_PER_FLOW or RILL_GLOBAL";
    if (access != RILL_READ && access != RILL_WRITE)
        return "its access is RILL_READ or RILL_WRITE";
    if (scope == RILL_GLOBAL && access == RILL_WRITE)
        return "a global table can't be written while packets flow; fill it in init and make it "
               "RILL_READ, or add up in a rill_shared_create() table";
    if (scope == RILL_PER_FLOW && nf->state_bytes + align8(value_bytes) > RILL_BODY_MAX)
        return "the tables of one flow have more than 61352 bytes together";
    return NULL;
}

struct rill_table *rill_table_create(struct rill_nf *nf, const char *name, enum rill_scope scope,
                                     enum rill_access access, size_t value_bytes)
{
    const char *fault = table_fault(nf, name, scope, access, value_bytes);
    struct rill_table *table = &nf->tables[nf->tables_n];
    uint8_t *global = NULL;

    if (fault == NULL && scope == RILL_GLOBAL) {
        global = calloc(1, align8(value_bytes));
        if (global == NULL)
            fault = "no memory";
    }
    if (fault != NULL) {
        rill_nf_error(nf, "NF '%s': table '%s': %s", nf->descriptor->name, name != NULL ? name : "",
                      fault);
        return NULL;
    }
    *table = (struct rill_table){.nf = nf,
                                 .name = name,
                                 .scope = scope,
                                 .access = access,
                                 .bytes = (uint32_t)value_bytes,
                                 .global = global};
    table->writable_bytes = access == RILL_WRITE ? table->bytes : 0;
    if (scope == RILL_PER_FLOW) {
        table->offset = nf->state_bytes;
        nf->state_bytes += align8(value_bytes);
    }
    nf->tables_n++;
    return table;
}

void rill_nf_state_fini(struct rill_nf *nf)
{
    for (unsigned i = 0; i < nf->tables_n; i++)
        free(nf->tables[i].global);
}

void *rill_get_other(struct rill_table *table, struct rill_pkt *pkt)
{
    if (table->global != NULL)
        return table->global;
    if (__builtin_expect(pkt == NULL, 0))
        rill_nf_bug(table->nf, "rill_get() of the per-flow table '%s' without a packet",
                    table->name);
    return pkt->state + table->offset;
}

void rill_nf_mark_dirty(struct rill_pkt *pkt, size_t offset, size_t bytes)
{
    uint32_t low = (uint32_t)offset, high = (uint32_t)(offset + bytes);

    if (low < pkt->dirty_low)
        pkt->dirty_low = low;
    if (high > pkt->dirty_high)
        pkt->dirty_high = high;
#ifdef RILL_CHECK_PUTS
    memset(pkt->nf->put + offset, 1, bytes);
#endif
}

/* Clamping a put that makes no sense would lose state in silence, so it ends the unit, in any
 * build. */
void rill_put_other(struct rill_table *table, struct rill_pkt *pkt, size_t offset, size_t bytes)
{
    if (__builtin_expect(table->global != NULL || table->access != RILL_WRITE, 0))
        rill_nf_bug(table->nf, "rill_put() to table '%s', which is not one to be written",
                    table->name);
    if (__builtin_expect(offset > table->bytes || bytes > table->bytes - offset, 0))
        rill_nf_bug(table->nf, "rill_put() of %zu bytes at %zu, but a value of table '%s' has %u",
                    bytes, offset, table->name, table->bytes);
    if (bytes > 0)
        rill_nf_mark_dirty(pkt, table->offset + offset, bytes);
}

void rill_flow_restart(struct rill_pkt *pkt)
{
    pkt->ends = true;
}

static bool endpoint_is_whole(const struct rill_endpoint *e)
{
    static const uint8_t zeros[12];

    return e->family == 6 || (e->family == 4 && memcmp(e->addr + 4, zeros, 12) == 0);
}

int rill_flow_alias(struct rill_pkt *pkt, const struct rill_endpoint *local,
                    const struct rill_endpoint *remote)
{
    struct rill_alias *present = (struct rill_alias *)(void *)pkt->state;
    struct rill_alias wanted = {.local = *local};

    if (pkt->ended || !endpoint_is_whole(local) || (remote != NULL && !endpoint_is_whole(remote)))
        return -1;
    if (remote != NULL)
        wanted.remote = *remote;
    if (present->local.family != 0)
        return memcmp(present, &wanted, offsetof(struct rill_alias, lease)) == 0 ? 0 : -1;
    if (pkt->nf->taken_pool != NULL && rill_endpoint_equal(local, &pkt->nf->taken))
        wanted.lease = pkt->nf->taken_leased.lease;
    *present = wanted;
    rill_nf_mark_dirty(pkt, 0, sizeof(wanted));
    return 0;
}
