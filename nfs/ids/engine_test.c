/* Both engines against a search that tries every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/ids/engine.h"
#include "nfs/ids/engine_hyperscan.h"
#include "nfs/ids/prefilter.h"

enum { HITS_MAX = 200000, SAVED_BYTES = 16384, TEXT_BYTES = 600 };

struct hits {
    uint32_t n;
    struct {
        uint32_t pattern, end;
    } hit[HITS_MAX];
    uint32_t base;
};

static struct hits found, wanted;

static void on_hit(void *arg, uint32_t pattern, uint32_t end)
{
    struct hits *hits = arg;

    assert_true(hits->n < HITS_MAX);
    hits->hit[hits->n].pattern = pattern;
    hits->hit[hits->n++].end = hits->base + end;
}

static bool ends_here(const struct ids_pattern *p, const uint8_t *text, uint32_t end)
{
    if (end < p->length)
        return false;
    for (uint32_t i = 0; i < p->length; i++) {
        uint8_t byte = text[end - p->length + i];

        if ((p->nocase ? ids_fold(byte) : byte) != p->bytes[i])
            return false;
    }
    return true;
}

static void search_plainly(const struct ids_pattern *patterns, uint32_t n, const uint8_t *text,
                           uint32_t bytes)
{
    wanted.n = wanted.base = 0;
    for (uint32_t end = 1; end <= bytes; end++)
        for (uint32_t p = 0; p < n; p++)
            if (ends_here(&patterns[p], text, end))
                on_hit(&wanted, p, end);
}

/* In pieces of at most `piece` bytes, with nothing kept between them but the stream's state. */
static void search_in_pieces(const struct ids_engine *engine, const uint8_t *text, uint32_t bytes,
                             uint32_t piece)
{
    uint8_t saved[SAVED_BYTES];
    uint32_t state = 0;

    assert_true(ids_engine_saved_bytes(engine) <= sizeof(saved));
    found.n = 0;
    for (uint32_t at = 0; at < bytes; at += piece) {
        struct ids_scanner *scanner = ids_scanner_create(engine); /* another unit */
        struct ids_stream stream = {&state, saved, sizeof(saved), at};

        assert_non_null(scanner);
        found.base = at;
        assert_true(ids_scan(scanner, &stream, text + at, bytes - at < piece ? bytes - at : piece,
                             on_hit, &found));
        ids_scanner_free(scanner);
    }
    assert_int_equal(found.n, wanted.n);
    assert_memory_equal(found.hit, wanted.hit, found.n * sizeof(found.hit[0]));
}

static bool is_new(const struct ids_pattern *patterns, uint32_t n, const struct ids_pattern *p)
{
    for (uint32_t i = 0; i < n; i++)
        if (patterns[i].nocase == p->nocase && patterns[i].length == p->length &&
            memcmp(patterns[i].bytes, p->bytes, p->length) == 0)
            return false;
    return true;
}

/* Few letters, so that patterns overlap, lie within each other and are found often. */
static uint8_t letter(unsigned kinds)
{
    return (uint8_t) "aAbBcC\0\xff"[(unsigned)rand() % kinds];
}

static uint32_t make_patterns(struct ids_pattern *patterns, uint8_t (*bytes)[12], unsigned kinds)
{
    uint32_t n = 0;

    for (int i = 0; i < 30; i++) {
        struct ids_pattern p = {bytes[i], (uint16_t)(1 + rand() % 12), rand() % 2};

        for (uint32_t k = 0; k < p.length; k++)
            bytes[i][k] = p.nocase ? ids_fold(letter(kinds)) : letter(kinds);
        if (is_new(patterns, n, &p))
            patterns[n++] = p;
    }
    return n;
}

/* By turns full of the patterns' letters, and with few of them in long runs of others. */
static void make_text(uint8_t text[TEXT_BYTES], unsigned kinds, bool sparse)
{
    bool run = false;

    for (uint32_t i = 0; i < TEXT_BYTES; i++) {
        if (sparse && rand() % 12 == 0)
            run = rand() % 6 != 0;
        text[i] = run ? 'z' : letter(kinds);
    }
}

static void run_random(enum ids_engine_kind kind, unsigned seeds)
{
    for (unsigned seed = 1; seed <= seeds; seed++) {
        struct ids_pattern patterns[30];
        uint8_t bytes[30][12], text[TEXT_BYTES];
        unsigned kinds = 2 + seed % 7;
        char why[IDS_WHY_BYTES];
        struct ids_engine *engine;
        uint32_t n;

        srand(seed);
        n = make_patterns(patterns, bytes, kinds);
        make_text(text, kinds, seed % 2 == 0);
        search_plainly(patterns, n, text, TEXT_BYTES);
        engine = ids_engine_build(kind, patterns, n, why);
        if (engine == NULL)
            fail_msg("%s", why);
        search_in_pieces(engine, text, TEXT_BYTES, TEXT_BYTES);
        search_in_pieces(engine, text, TEXT_BYTES, 1);
        search_in_pieces(engine, text, TEXT_BYTES, 2 + seed % 50);
        ids_engine_free(engine);
    }
}

static void test_aho_corasick(void **unused)
{
    (void)unused;
    run_random(IDS_AHO_CORASICK, 300);
}

static void test_hyperscan(void **unused)
{
    (void)unused;
    if (!ids_has_hyperscan()) {
        print_message("no Hyperscan in this build: its engine is not tested\n");
        skip();
    }
    run_random(IDS_HYPERSCAN, 40);
}

/* A state from elsewhere must not lead outside of the tables. */
static void test_foreign_state(void **unused)
{
    static const struct ids_pattern patterns[] = {{(const uint8_t *)"abc", 3, false},
                                                  {(const uint8_t *)"bcd", 3, true}};
    bool too_large;
    struct ids_automaton *a = ids_automaton_build(patterns, 2, &too_large);

    (void)unused;
    assert_non_null(a);
    for (uint32_t i = 0; i < 100000; i++) {
        found.n = found.base = 0;
        ids_automaton_scan(a, i * 2654435761u, (const uint8_t *)"xabcd", 5, on_hit, &found);
        assert_true(found.n >= 2);
    }
    ids_automaton_free(a);
}

static bool begins(const struct ids_pattern *p, const uint8_t *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < p->length && i < bytes; i++)
        if ((p->nocase ? ids_fold(text[i]) : text[i]) != p->bytes[i])
            return false;
    return true;
}

/* No place where a pattern begins, or may begin with what is here, is left out; and it makes no
 * difference how many places are looked at at once. */
static void test_prefilter(void **unused)
{
    static const uint32_t at_once[] = {1, 16, 32, 64};

    (void)unused;
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct ids_pattern patterns[30];
        uint8_t bytes[30][12], text[TEXT_BYTES];
        struct ids_prefilter filter;
        uint32_t n, end;

        srand(seed);
        n = make_patterns(patterns, bytes, 2 + seed % 7);
        n = seed % 3 == 0 ? 1 : n;
        make_text(text, 2 + seed % 7, true);
        ids_prefilter_build(&filter, patterns, n);
        end = seed % 2 == 0 ? TEXT_BYTES : (uint32_t)rand() % 140;
        for (uint32_t from = 0; from <= end; from++) {
            uint32_t next[4];

            for (unsigned i = 0; i < 4; i++) {
                ids_prefilter_limit(&filter, at_once[i]);
                next[i] = ids_prefilter_next(&filter, text, from, end);
                assert_in_range(next[i], from, end);
                assert_int_equal(next[i], next[0]);
            }
            for (uint32_t p = 0; p < n; p++)
                for (uint32_t at = from; at < next[0]; at++)
                    assert_false(begins(&patterns[p], text + at, end - at));
        }
    }
}

/* So many states that not all of them have a row; all byte values. */
static void test_many_states(void **unused)
{
    enum { PATTERNS = 400, TEXT = 20000, SHARED_FROM = 100 };
    static uint8_t bytes[PATTERNS][IDS_PATTERN_BYTES_MAX], text[TEXT];
    static struct ids_pattern patterns[PATTERNS];
    char why[IDS_WHY_BYTES];
    struct ids_engine *engine;

    (void)unused;
    srand(7);
    for (uint32_t i = PATTERNS; i-- > 0;) { /* each ends as another one begins */
        for (uint32_t k = 0; k < IDS_PATTERN_BYTES_MAX; k++)
            bytes[i][k] = k < SHARED_FROM || i + 4 >= PATTERNS
                              ? ids_fold(k < 4 ? (uint8_t)(i * (k + 3)) : (uint8_t)rand())
                              : bytes[i + 4][k - SHARED_FROM];
        patterns[i] = (struct ids_pattern){bytes[i], IDS_PATTERN_BYTES_MAX, i % 4 == 0};
    }
    for (uint32_t at = 0; at < TEXT;) {
        uint32_t i = (uint32_t)rand() % (PATTERNS - 4), n = IDS_PATTERN_BYTES_MAX;

        if (rand() % 3 == 0) /* a piece */
            n = (uint32_t)rand() % n;
        for (uint32_t k = 0; k < n && at < TEXT; k++)
            text[at++] = bytes[i][k];
        for (uint32_t k = n - SHARED_FROM; n == IDS_PATTERN_BYTES_MAX && k < n && at < TEXT; k++)
            text[at++] = bytes[i + 4][k];
    }
    search_plainly(patterns, PATTERNS, text, TEXT);
    assert_true(wanted.n > 10);
    engine = ids_engine_build(IDS_AHO_CORASICK, patterns, PATTERNS, why);
    if (engine == NULL)
        fail_msg("%s", why);
    search_in_pieces(engine, text, TEXT, TEXT);
    search_in_pieces(engine, text, TEXT, 1000);
    ids_engine_free(engine);
}

/* All 255 byte values, and the longest pattern. */
static void test_long_pattern(void **unused)
{
    uint8_t bytes[IDS_PATTERN_BYTES_MAX];
    const struct ids_pattern pattern = {bytes, sizeof(bytes), false};
    char why[IDS_WHY_BYTES];

    (void)unused;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    for (int kind = IDS_AHO_CORASICK; kind <= (ids_has_hyperscan() ? IDS_HYPERSCAN : 0); kind++) {
        struct ids_engine *engine = ids_engine_build(kind, &pattern, 1, why);

        assert_non_null(engine);
        search_plainly(&pattern, 1, bytes, sizeof(bytes));
        assert_int_equal(wanted.n, 1);
        search_in_pieces(engine, bytes, sizeof(bytes), 7);
        ids_engine_free(engine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aho_corasick),  cmocka_unit_test(test_hyperscan),
        cmocka_unit_test(test_foreign_state), cmocka_unit_test(test_prefilter),
        cmocka_unit_test(test_many_states),   cmocka_unit_test(test_long_pattern),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
