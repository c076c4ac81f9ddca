/* Objects of a slab, and when its memory comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/base/slab.h"

enum { BYTES = 640, MAX = 100000, PAGE = 4096 };

static struct rill_slab slab;

static int setup(void **state)
{
    (void)state;
    return rill_slab_init(&slab, BYTES, MAX);
}

static int teardown(void **state)
{
    (void)state;
    rill_slab_fini(&slab);
    return 0;
}

static void get(uint32_t n)
{
    while (n-- > 0)
        assert_non_null(rill_slab_get(&slab));
}

/* Of a chunk: how many of its pages are there. */
static size_t pages_there(uint32_t chunk)
{
    unsigned char there[RILL_TABLE_HUGE_BYTES / PAGE];
    size_t n = 0;

    assert_int_equal(mincore(slab.chunk[chunk], RILL_TABLE_HUGE_BYTES, there), 0);
    for (size_t i = 0; i < sizeof(there); i++)
        n += there[i] & 1;
    return n;
}

static void the_next_chunk_is_there_before_it_is_needed(void **state)
{
    (void)state;
    rill_slab_prefault(&slab);
    assert_false(rill_slab_prefault_ahead(&slab, true)); /* nothing is used yet */
    get(1);
    assert_false(rill_slab_prefault_ahead(&slab, false)); /* there is time */
    assert_true(rill_slab_prefault_ahead(&slab, true));
    assert_int_equal(slab.made, 2 * slab.per_chunk);
    assert_int_equal(pages_there(1), RILL_TABLE_HUGE_BYTES / PAGE);
    assert_false(rill_slab_prefault_ahead(&slab, true)); /* one is enough */
    get(slab.per_chunk);
    assert_int_equal(slab.made, 2 * slab.per_chunk);
    assert_true(rill_slab_prefault_ahead(&slab, true));
}

static void where_there_is_no_time_it_comes_late_but_in_time(void **state)
{
    (void)state;
    rill_slab_prefault(&slab);
    get(slab.per_chunk * 3 / 4 - 1);
    assert_false(rill_slab_prefault_ahead(&slab, false));
    get(2);
    assert_true(rill_slab_prefault_ahead(&slab, false));
    assert_int_equal(pages_there(1), RILL_TABLE_HUGE_BYTES / PAGE);
}

static void without_it_a_chunk_comes_untouched(void **state)
{
    (void)state;
    get(slab.per_chunk);
    rill_slab_grow(&slab);
    assert_int_equal(pages_there(1), 0);
}

static void it_never_takes_more_than_the_bound(void **state)
{
    uint32_t chunks;

    (void)state;
    rill_slab_prefault(&slab);
    for (uint32_t i = 0; i < MAX; i++) {
        get(1);
        rill_slab_prefault_ahead(&slab, true);
    }
    chunks = (MAX + slab.per_chunk - 1) / slab.per_chunk;
    assert_int_equal(slab.made, chunks * slab.per_chunk);
    assert_null(rill_slab_get(&slab));
    assert_false(rill_slab_prefault_ahead(&slab, true));
}

static void a_small_slab_is_left_alone(void **state)
{
    struct rill_slab small;

    (void)state;
    assert_int_equal(rill_slab_init(&small, 64, 1000), 0);
    assert_non_null(rill_slab_get(&small));
    assert_false(rill_slab_prefault_ahead(&small, true));
    rill_slab_fini(&small);
}

static void what_comes_back_is_used_again_and_zero(void **state)
{
    uint8_t *object = rill_slab_get(&slab);

    (void)state;
    memset(object, 1, BYTES);
    rill_slab_put(&slab, object);
    assert_ptr_equal(rill_slab_get(&slab), object);
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(object[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_chunk_is_there_before_it_is_needed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(where_there_is_no_time_it_comes_late_but_in_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_it_a_chunk_comes_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(it_never_takes_more_than_the_bound, setup, teardown),
        cmocka_unit_test(a_small_slab_is_left_alone),
        cmocka_unit_test_setup_teardown(what_comes_back_is_used_again_and_zero, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
