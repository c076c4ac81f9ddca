#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rm/folder_name.h"

/* Of SipHash's authors: key 00 01 .. 0f, message 00 01 .. 07. */
static void the_hash_is_siphash(void **state)
{
    (void)state;
    assert_true(rill_folder_hash(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, 0x0706050403020100u) ==
                0x93f5f5799a932462u);
}

static void names_hang_on_seed_and_number(void **state)
{
    char a[RILL_FOLDER_NAME_BYTES], b[RILL_FOLDER_NAME_BYTES];

    (void)state;
    rill_folder_name(1, 0, a);
    rill_folder_name(1, 1, b);
    assert_string_not_equal(a, b);
    rill_folder_name(2, 0, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash),
        cmocka_unit_test(names_hang_on_seed_and_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
