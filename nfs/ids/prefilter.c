#include "nfs/ids/prefilter.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/* --- one place after the other ---------------------------------------------------------------- */

static bool may_begin(const struct ids_prefilter *f, const uint8_t *data, uint32_t bytes)
{
    uint8_t sets = f->first[data[0]];

    for (uint32_t i = 1; i < IDS_PREFILTER_BYTES && i < bytes && sets != 0; i++)
        sets &= f->low[i][data[i] & 15] & f->high[i][data[i] >> 4];
    return sets != 0;
}

static uint32_t next_plain(const struct ids_prefilter *f, const uint8_t *data, uint32_t from,
                           uint32_t bytes)
{
    for (; from < bytes; from++)
        if (f->first[data[from]] != 0 && may_begin(f, data + from, bytes - from))
            break;
    return from;
}

/* --- many at once ----------------------------------------------------------------------------- */

#if defined(__x86_64__)

enum { AHEAD = IDS_PREFILTER_BYTES - 1 };

#define WITH_SSSE3 __attribute__((target("ssse3")))
#define WITH_AVX2 __attribute__((target("avx2")))
#define WITH_AVX512 __attribute__((target("avx512f,avx512bw")))

WITH_SSSE3 static __m128i sets_of(const struct ids_prefilter *f, unsigned i, __m128i bytes)
{
    const __m128i nibble = _mm_set1_epi8(15);
    __m128i low = _mm_loadu_si128((const void *)f->low[i]);
    __m128i high = _mm_loadu_si128((const void *)f->high[i]);

    low = _mm_shuffle_epi8(low, _mm_and_si128(bytes, nibble));
    high = _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble));
    return _mm_and_si128(low, high);
}

WITH_SSSE3 static __m128i sets16(const struct ids_prefilter *f, unsigned i, const uint8_t *at)
{
    return sets_of(f, i, _mm_loadu_si128((const void *)(at + i)));
}

/* The places [0, 16) of `at` where a pattern may begin, as bits; 18 bytes are read. */
WITH_SSSE3 static uint64_t places16(const struct ids_prefilter *f, const uint8_t *at)
{
    __m128i sets = _mm_and_si128(sets16(f, 0, at), sets16(f, 1, at));

    sets = _mm_and_si128(sets, sets16(f, 2, at));
    return ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(sets, _mm_setzero_si128())) & 0xffff;
}

WITH_AVX2 static __m256i sets32(const struct ids_prefilter *f, unsigned i, const uint8_t *at)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_loadu_si256((const void *)(at + i));
    __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)f->low[i]));
    __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)f->high[i]));

    low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
    high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
    return _mm256_and_si256(low, high);
}

WITH_AVX2 static uint64_t places32(const struct ids_prefilter *f, const uint8_t *at)
{
    __m256i sets = _mm256_and_si256(sets32(f, 0, at), sets32(f, 1, at));

    sets = _mm256_and_si256(sets, sets32(f, 2, at));
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(sets, _mm256_setzero_si256()));
}

WITH_AVX512 static __m512i sets64(const struct ids_prefilter *f, unsigned i, const uint8_t *at)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i bytes = _mm512_loadu_si512(at + i);
    __m512i low = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)f->low[i]));
    __m512i high = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)f->high[i]));

    low = _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, nibble));
    high = _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble));
    return _mm512_and_si512(low, high);
}

WITH_AVX512 static uint64_t places64(const struct ids_prefilter *f, const uint8_t *at)
{
    __m512i sets = _mm512_and_si512(sets64(f, 0, at), sets64(f, 1, at));

    sets = _mm512_and_si512(sets, sets64(f, 2, at));
    return _mm512_test_epi8_mask(sets, sets);
}

static uint64_t load64(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* Lanes from n on are all ones: load at 16 - n. */
static const uint8_t from_lane[32] = {0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
                                      0,   0,   0,   0,   0,   255, 255, 255, 255, 255, 255,
                                      255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/* What fits into a register, 8 to 16 bytes: what would be behind the last one may be anything. */
WITH_SSSE3 static uint32_t next_short(const struct ids_prefilter *f, const uint8_t *data,
                                      uint32_t from, uint32_t bytes)
{
    uint32_t n = bytes - from, places;
    __m128i all, sets;

    if (n < 8 || n > 16)
        return next_plain(f, data, from, bytes);
    data += from;
    all = _mm_set_epi64x(n > 8 ? (long long)(load64(data + n - 8) >> (16 - n) * 8) : 0,
                         (long long)load64(data));
    sets = sets_of(f, 0, all);
    sets = _mm_and_si128(sets, _mm_or_si128(sets_of(f, 1, _mm_srli_si128(all, 1)),
                                            _mm_loadu_si128((const void *)(from_lane + 17 - n))));
    sets = _mm_and_si128(sets, _mm_or_si128(sets_of(f, 2, _mm_srli_si128(all, 2)),
                                            _mm_loadu_si128((const void *)(from_lane + 18 - n))));
    places = ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(sets, _mm_setzero_si128()));
    places &= (1u << n) - 1;
    return places != 0 ? from + (uint32_t)__builtin_ctz(places) : bytes;
}

/* Blocks of `width` places; the last one reaches back over places that were looked at already. What
 * is shorter than a block is for the next smaller. */
#define NEXT(name, with, width, places_of, shorter)                                                \
    with static uint32_t name(const struct ids_prefilter *f, const uint8_t *data, uint32_t from,   \
                              uint32_t bytes)                                                      \
    {                                                                                              \
        uint32_t last = bytes - (width)-AHEAD;                                                     \
        uint64_t places;                                                                           \
                                                                                                   \
        if (bytes < (width) + AHEAD)                                                               \
            return shorter(f, data, from, bytes);                                                  \
        for (; from <= last; from += (width)) {                                                    \
            places = places_of(f, data + from);                                                    \
            if (places != 0)                                                                       \
                return from + (uint32_t)__builtin_ctzll(places);                                   \
        }                                                                                          \
        if (from < bytes - AHEAD) {                                                                \
            places = places_of(f, data + last) & UINT64_MAX << (from - last);                      \
            if (places != 0)                                                                       \
                return last + (uint32_t)__builtin_ctzll(places);                                   \
            from = bytes - AHEAD;                                                                  \
        }                                                                                          \
        return next_plain(f, data, from, bytes);                                                   \
    }

NEXT(next_16, WITH_SSSE3, 16, places16, next_short)
NEXT(next_32, WITH_AVX2, 32, places32, next_16)
NEXT(next_64, WITH_AVX512, 64, places64, next_32)

/* Asked by hand: __builtin_cpu_supports() keeps its answer in a global, which an NF may not have.
 * The system must keep the wide registers, too. */
static uint32_t registers_kept(void)
{
    unsigned a, b, c, d, low, high;

    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0 || (c & bit_AVX) == 0)
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static uint32_t places_possible(void)
{
    enum { YMM = 0x6, ZMM = 0xe6 };
    uint32_t kept = registers_kept(), places = 1;
    unsigned a, b, c, d;

    if (__get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSSE3) != 0)
        places = 16;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0)
        return places;
    if ((kept & YMM) == YMM && (b & bit_AVX2) != 0)
        places = 32;
    if ((kept & ZMM) == ZMM && (b & bit_AVX512F) != 0 && (b & bit_AVX512BW) != 0)
        places = 64;
    return places;
}

#endif

/* --- building --------------------------------------------------------------------------------- */

void ids_prefilter_limit(struct ids_prefilter *f, uint32_t places)
{
    f->next = next_plain;
#if defined(__x86_64__)
    if (places > places_possible())
        places = places_possible();
    if (places >= 16)
        f->next = places >= 64 ? next_64 : places >= 32 ? next_32 : next_16;
#else
    (void)places;
#endif
}

static void add_byte(struct ids_prefilter *f, uint32_t i, uint8_t byte, uint8_t set)
{
    f->low[i][byte & 15] |= set;
    f->high[i][byte >> 4] |= set;
}

static void add_any(struct ids_prefilter *f, uint32_t i, uint8_t set)
{
    for (uint32_t nibble = 0; nibble < 16; nibble++) {
        f->low[i][nibble] |= set;
        f->high[i][nibble] |= set;
    }
}

static void add_pattern(struct ids_prefilter *f, const struct ids_pattern *p, uint8_t set)
{
    for (uint32_t i = 0; i < IDS_PREFILTER_BYTES; i++) {
        if (i >= p->length) {
            add_any(f, i, set);
            continue;
        }
        add_byte(f, i, p->bytes[i], set);
        if (p->nocase && p->bytes[i] >= 'a' && p->bytes[i] <= 'z')
            add_byte(f, i, (uint8_t)(p->bytes[i] - ('a' - 'A')), set);
    }
}

void ids_prefilter_build(struct ids_prefilter *f, const struct ids_pattern *patterns, uint32_t n)
{
    memset(f, 0, sizeof(*f));
    for (uint32_t i = 0; i < n; i++)
        add_pattern(f, &patterns[i], (uint8_t)(1u << i % IDS_PREFILTER_SETS));
    for (uint32_t byte = 0; byte < 256; byte++)
        f->first[byte] = f->low[0][byte & 15] & f->high[0][byte >> 4];
    ids_prefilter_limit(f, 64);
}
