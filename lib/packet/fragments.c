#include "lib/packet/fragments.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"

enum { WAYS = 4, ENTRIES_MAX = 1 << 20 };

struct key {
    uint8_t source[16], destination[16];
    uint32_t fragment_id;
    uint8_t family, proto, side;
    uint8_t used; /* 1 in every key; an empty place is all zero */
};
_Static_assert(sizeof(struct key) == 40, "hashed and compared whole");

struct entry {
    struct key key;
    uint16_t sport, dport;
    uint32_t zero;
    uint64_t handle;
    uint64_t since_ns;
};
_Static_assert(sizeof(struct entry) == 64, "one cache line");

struct rill_fragments {
    struct entry *entries; /* buckets of WAYS; cleared when first used */
    uint64_t *used;        /* one bit per bucket */
    uint32_t bucket_mask;
    uint64_t hash_key[2];
    struct rill_fragments_counters counters;
};

struct rill_fragments *rill_fragments_create(uint32_t entries, uint64_t seed)
{
    struct rill_fragments *table;
    uint32_t n = WAYS;

    if (entries < 1 || entries > ENTRIES_MAX)
        return NULL;
    while (n < entries)
        n *= 2;
    table = calloc(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    table->entries = aligned_alloc(sizeof(struct entry), n * sizeof(struct entry));
    table->used = calloc(n / WAYS / 64 + 1, sizeof(table->used[0]));
    if (table->entries == NULL || table->used == NULL) {
        rill_fragments_destroy(table);
        return NULL;
    }
    table->bucket_mask = n / WAYS - 1;
    table->hash_key[0] = rill_splitmix64(&seed);
    table->hash_key[1] = rill_splitmix64(&seed);
    return table;
}

void rill_fragments_destroy(struct rill_fragments *table)
{
    if (table == NULL)
        return;
    free(table->entries);
    free(table->used);
    free(table);
}

const struct rill_fragments_counters *rill_fragments_counters(const struct rill_fragments *table)
{
    return &table->counters;
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of a key, whose length is a multiple of 8. */

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void sip_rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t hash(const uint64_t hash_key[2], const struct key *key)
{
    uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
                     hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573};
    uint64_t words[sizeof(*key) / 8 + 1];

    memcpy(words, key, sizeof(*key));
    words[sizeof(*key) / 8] = (uint64_t)sizeof(*key) << 56;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        v[3] ^= words[i];
        sip_rounds(v, 2);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct entry *bucket_of(struct rill_fragments *table, const struct rill_view *view,
                               enum rill_side side, struct key *key)
{
    struct entry *bucket;
    uint64_t *used, bit;
    uint32_t i;

    *key = (struct key){
        .fragment_id = view->fragment_id,
        .family = view->source.family,
        .proto = view->source.family == 6 ? 0 : view->source.proto,
        .side = (uint8_t)side,
        .used = 1,
    };
    memcpy(key->source, view->source.addr, sizeof(key->source));
    memcpy(key->destination, view->destination.addr, sizeof(key->destination));
    i = (uint32_t)hash(table->hash_key, key) & table->bucket_mask;
    bucket = &table->entries[(size_t)i * WAYS];
    used = &table->used[i / 64];
    bit = UINT64_C(1) << (i % 64);
    if ((*used & bit) == 0)
        memset(bucket, 0, WAYS * sizeof(*bucket));
    *used |= bit;
    return bucket;
}

static struct entry *find(struct entry *bucket, const struct key *key)
{
    for (int i = 0; i < WAYS; i++) {
        if (memcmp(&bucket[i].key, key, sizeof(*key)) == 0)
            return &bucket[i];
    }
    return NULL;
}

static bool lives(const struct entry *entry, uint64_t now_ns)
{
    return entry->key.used && now_ns - entry->since_ns <= RILL_FRAGMENTS_LIFE_NS;
}

/* An empty or expired place, else the oldest. */
static struct entry *place_in(struct entry *bucket, uint64_t now_ns)
{
    struct entry *oldest = bucket;

    for (int i = 0; i < WAYS; i++) {
        if (!lives(&bucket[i], now_ns))
            return &bucket[i];
        if (bucket[i].since_ns < oldest->since_ns)
            oldest = &bucket[i];
    }
    return oldest;
}

void rill_fragments_first(struct rill_fragments *table, const struct rill_view *view,
                          enum rill_side side, uint64_t handle, uint64_t now_ns)
{
    struct key key;
    struct entry *bucket = bucket_of(table, view, side, &key);
    struct entry *entry = find(bucket, &key);

    table->counters.firsts++;
    if (entry != NULL) {
        table->counters.renewed++;
    } else {
        entry = place_in(bucket, now_ns);
        table->counters.overwritten += lives(entry, now_ns);
    }
    *entry = (struct entry){
        .key = key,
        .sport = view->source.port,
        .dport = view->destination.port,
        .handle = handle,
        .since_ns = now_ns,
    };
}

bool rill_fragments_later(struct rill_fragments *table, const struct rill_view *view,
                          enum rill_side side, uint64_t now_ns, uint64_t *handle, uint16_t *sport,
                          uint16_t *dport)
{
    struct key key;
    const struct entry *entry = find(bucket_of(table, view, side, &key), &key);

    if (entry == NULL || !lives(entry, now_ns)) {
        table->counters.missed++;
        *handle = 0;
        *sport = *dport = 0;
        return false;
    }
    table->counters.found++;
    *handle = entry->handle;
    *sport = entry->sport;
    *dport = entry->dport;
    return true;
}
