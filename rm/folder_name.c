#include "rm/folder_name.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/rng.h"

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static void mix(uint64_t v[4], int rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
}

uint64_t rill_folder_hash(uint64_t key0, uint64_t key1, uint64_t message)
{
    uint64_t v[4] = {key0 ^ 0x736f6d6570736575u, key1 ^ 0x646f72616e646f6du,
                     key0 ^ 0x6c7967656e657261u, key1 ^ 0x7465646279746573u};

    take(v, message);
    take(v, UINT64_C(8) << 56); /* its length; no bytes are left over */
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void rill_folder_name(uint64_t seed, uint64_t number, char name[RILL_FOLDER_NAME_BYTES])
{
    uint64_t key0 = rill_splitmix64(&seed);
    uint64_t key1 = rill_splitmix64(&seed);

    snprintf(name, RILL_FOLDER_NAME_BYTES, "%016" PRIx64 "%016" PRIx64,
             rill_folder_hash(key0, key1, 2 * number),
             rill_folder_hash(key0, key1, 2 * number + 1));
}
