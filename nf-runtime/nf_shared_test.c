#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "nf-runtime/nf_host.h"
#include "nf-runtime/nf_test_descriptor.h"

enum { KEYS = 5000, ENTRIES = 6000 };

/* Keys of 6 bytes: what was merged, by the number in them. */
static uint64_t merged[KEYS][2];
static unsigned calls;
static uint64_t last_begin_ns, last_end_ns;
static struct rill_shared *table; /* of the instance that was made last */
static struct rill_shared_type type;

static void on_merged(struct rill_nf *nf, const void *key, const uint64_t *sums, uint64_t begin_ns,
                      uint64_t end_ns)
{
    uint32_t number;

    (void)nf;
    memcpy(&number, (const uint8_t *)key + 2, 4);
    assert_memory_equal(key, "k:", 2);
    assert_true(number < KEYS);
    merged[number][0] += sums[0];
    merged[number][1] += sums[1];
    last_begin_ns = begin_ns;
    last_end_ns = end_ns;
    calls++;
}

static int init(struct rill_nf *nf, const struct rill_config *config)
{
    (void)config;
    table = rill_shared_create(nf, "hosts", &type);
    return table == NULL ? -1 : 0;
}

static const struct rill_nf_descriptor descriptor = NF_TEST_DESCRIPTOR(init, NULL);

static int setup(void **state)
{
    (void)state;
    type = (struct rill_shared_type){
        .key_bytes = 6, .sums = 2, .entries_max = ENTRIES, .merged = on_merged};
    memset(merged, 0, sizeof(merged));
    calls = 0;
    return 0;
}

static struct rill_nf *make(void)
{
    struct rill_error err = {.text = ""};
    struct rill_nf *nf = rill_nf_create(&descriptor, NULL, &err);

    if (nf == NULL)
        fail_msg("%s", err.text);
    return nf;
}

static int add(struct rill_shared *to, uint32_t number, uint64_t a, uint64_t b)
{
    uint8_t key[6] = "k:";
    const uint64_t sums[2] = {a, b};

    memcpy(key + 2, &number, 4);
    return rill_shared_add(to, key, sums);
}

static uint64_t overflow(const struct rill_nf *nf)
{
    const char *name;
    uint64_t value;

    for (unsigned i = 0; rill_nf_counter(nf, i, &name, &value); i++)
        if (strcmp(name, "shared_overflow") == 0)
            return value;
    fail_msg("no counter");
    return 0;
}

/* Many keys at several instances, merged now and then: nothing is lost, nothing comes twice. */
static void test_all_adds_up(void **state)
{
    static uint64_t expected[KEYS][2];
    struct rill_nf *nf[4], *merger = make();
    struct rill_shared *tables[4];
    struct rill_rng rng;

    (void)state;
    rill_rng_seed(&rng, 7);
    memset(expected, 0, sizeof(expected));
    for (int i = 0; i < 4; i++) {
        nf[i] = make();
        tables[i] = table;
    }
    for (int step = 0; step < 200000; step++) {
        /* Few keys at times, so that tables are emptied one by one as well as all at once. */
        uint32_t number = (uint32_t)rill_rng_below(&rng, step % 50000 < 25000 ? KEYS : 20);

        assert_int_equal(add(tables[step % 4], number, 1, (uint64_t)step), 0);
        expected[number][0]++;
        expected[number][1] += (uint64_t)step;
        if (step % 1000 != 999)
            continue;
        for (int i = 0; i < 4; i++)
            rill_nf_shared_move(nf[i], merger);
        rill_nf_shared_merge(merger, 5, 9);
    }
    assert_memory_equal(merged, expected, sizeof(expected));
    assert_int_equal(last_begin_ns, 5);
    assert_int_equal(last_end_ns, 9);
    calls = 0;
    rill_nf_shared_merge(merger, 9, 10);
    assert_int_equal(calls, 0);
    for (int i = 0; i < 4; i++)
        rill_nf_destroy(nf[i]);
    rill_nf_destroy(merger);
}

static void test_full_is_counted(void **state)
{
    struct rill_nf *nf;

    (void)state;
    type.entries_max = 3;
    nf = make();
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(add(table, i, 1, 0), 0);
    assert_int_equal(add(table, 3, 1, 0), -1);
    assert_int_equal(add(table, 1, 1, 0), 0); /* a key that is there */
    assert_int_equal(overflow(nf), 1);
    rill_nf_shared_merge(nf, 0, 1);
    assert_int_equal(calls, 3);
    assert_int_equal(merged[1][0], 2);
    assert_int_equal(add(table, 3, 1, 0), 0);
    rill_nf_destroy(nf);
}

static void refused(const char *part)
{
    struct rill_error err = {.text = ""};

    assert_null(rill_nf_create(&descriptor, NULL, &err));
    if (strstr(err.text, part) == NULL)
        fail_msg("no '%s' in: %s", part, err.text);
}

static void test_bad_types(void **state)
{
    (void)state;
    type.key_bytes = 65;
    refused("key");
    setup(NULL);
    type.sums = 17;
    refused("sums");
    setup(NULL);
    type.entries_max = 0;
    refused("entries");
    setup(NULL);
    type.merged = NULL;
    refused("merged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_all_adds_up, setup),
                                       cmocka_unit_test_setup(test_full_is_counted, setup),
                                       cmocka_unit_test_setup(test_bad_types, setup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
