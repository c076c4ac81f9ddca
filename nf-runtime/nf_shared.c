/* Sums that flows share: each instance adds to a replica of its own, which the host empties from
 * time to time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "nf-runtime/nf_impl.h"

static const char *create_fault(const struct rill_nf *nf, const char *name,
                                const struct rill_shared_type *type)
{
    if (!nf->in_init)
        return "shared tables are created in init only";
    if (nf->shared_n == RILL_NF_SHARED_MAX)
        return "an NF has at most 4 shared tables";
    if (name == NULL || name[0] == '\0' || type == NULL || type->merged == NULL)
        return "it needs a name, and a type with merged";
    if (type->key_bytes == 0 || type->key_bytes > RILL_SHARED_KEY_MAX)
        return "a key has 1 to 64 bytes";
    if (type->sums == 0 || type->sums > RILL_SHARED_SUMS_MAX)
        return "an entry has 1 to 16 sums";
    if (type->entries_max == 0 || type->entries_max > 1u << 24)
        return "it has 1 to 16777216 entries";
    return NULL;
}

static size_t entry_bytes(const struct rill_shared *t)
{
    return t->type->sums * sizeof(uint64_t) + (t->type->key_bytes + 7) / 8 * 8;
}

/* The sums come first, the key behind them. */
static uint64_t *entry_at(const struct rill_shared *t, uint32_t i)
{
    return (uint64_t *)(void *)(t->entries + i * entry_bytes(t));
}

static const void *key_of(const struct rill_shared *t, const uint64_t *entry)
{
    return entry + t->type->sums;
}

struct rill_shared *rill_shared_create(struct rill_nf *nf, const char *name,
                                       const struct rill_shared_type *type)
{
    const char *fault = create_fault(nf, name, type);
    struct rill_shared *t = &nf->shared[nf->shared_n];
    uint32_t slots = 16;

    if (fault == NULL) {
        *t = (struct rill_shared){.nf = nf, .name = name, .type = type};
        while (slots < type->entries_max * 2)
            slots *= 2;
        t->mask = slots - 1;
        t->slots = calloc(slots, sizeof(t->slots[0])); /* touched as it is used */
        t->entries = malloc(type->entries_max * entry_bytes(t));
        nf->shared_n++;
        if (t->slots == NULL || t->entries == NULL)
            fault = "no memory";
    }
    if (fault == NULL)
        return t;
    rill_nf_error(nf, "NF '%s': shared table '%s': %s", nf->descriptor->name,
                  name != NULL ? name : "", fault);
    return NULL;
}

/* The slot with the key, or the one that is free for it; a slot holds the entry's index plus 1. */
static uint32_t *find(struct rill_shared *t, const void *key)
{
    uint32_t at = rte_hash_crc(key, (uint32_t)t->type->key_bytes, 0x5eed);

    for (;; at++) {
        uint32_t *slot = &t->slots[at & t->mask];

        if (*slot == 0 || memcmp(key_of(t, entry_at(t, *slot - 1)), key, t->type->key_bytes) == 0)
            return slot;
    }
}

int rill_shared_add(struct rill_shared *t, const void *key, const uint64_t *sums)
{
    uint32_t *slot = find(t, key);
    uint64_t *entry;

    if (*slot == 0) {
        if (t->count == t->type->entries_max) {
            t->nf->shared_overflow++;
            return -1;
        }
        *slot = ++t->count;
        entry = entry_at(t, *slot - 1);
        memset(entry, 0, entry_bytes(t));
        memcpy(entry + t->type->sums, key, t->type->key_bytes);
    }
    entry = entry_at(t, *slot - 1);
    for (unsigned i = 0; i < t->type->sums; i++)
        entry[i] += sums[i];
    return 0;
}

static void empty(struct rill_shared *t)
{
    if (t->count > t->mask / 64) {
        memset(t->slots, 0, (t->mask + 1) * sizeof(t->slots[0]));
    } else {
        /* From the last one: each key's way leads over those that came before it. */
        for (uint32_t i = t->count; i > 0; i--)
            *find(t, key_of(t, entry_at(t, i - 1))) = 0;
    }
    t->count = 0;
}

unsigned rill_nf_shared_count(const struct rill_nf *nf)
{
    return nf->shared_n;
}

void rill_nf_shared_move(struct rill_nf *from, struct rill_nf *to)
{
    for (unsigned i = 0; i < from->shared_n; i++) {
        struct rill_shared *t = &from->shared[i];

        for (uint32_t k = 0; k < t->count; k++) {
            const uint64_t *entry = entry_at(t, k);

            rill_shared_add(&to->shared[i], key_of(t, entry), entry);
        }
        empty(t);
    }
}

void rill_nf_shared_merge(struct rill_nf *nf, uint64_t begin_ns, uint64_t end_ns)
{
    for (unsigned i = 0; i < nf->shared_n; i++) {
        struct rill_shared *t = &nf->shared[i];

        for (uint32_t k = 0; k < t->count; k++) {
            const uint64_t *entry = entry_at(t, k);

            t->type->merged(nf, key_of(t, entry), entry, begin_ns, end_ns);
        }
        empty(t);
    }
}

void rill_nf_shared_fini(struct rill_nf *nf)
{
    for (unsigned i = 0; i < nf->shared_n; i++) {
        free(nf->shared[i].slots);
        free(nf->shared[i].entries);
    }
}
