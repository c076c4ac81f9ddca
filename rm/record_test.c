/* What is written reads back; what makes no sense is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rm/record.h"

struct sample {
    uint64_t a;
    uint32_t b;
    uint16_t c;
    bool d;
    char text[8];
    const uint8_t *blob;
    size_t blob_bytes;
};

static void record(struct rill_memo *r, struct sample *s)
{
    rill_memo_u64(r, &s->a);
    rill_memo_u32(r, &s->b);
    rill_memo_u16(r, &s->c);
    rill_memo_bool(r, &s->d);
    rill_memo_text(r, s->text, sizeof(s->text));
    rill_memo_blob(r, &s->blob, &s->blob_bytes);
}

static const struct sample full = {
    UINT64_MAX, UINT32_MAX, UINT16_MAX, true, "seven77", (const uint8_t *)"\0\xff", 2};

static void what_is_written_reads_back(void **state)
{
    struct sample samples[] = {{0}, full, {1, 127, 128, false, "", NULL, 0}};
    struct rill_memo w = {0}, r;

    (void)state;
    for (int round = 0; round < 2; round++) { /* the same memory again */
        rill_memo_begin(&w);
        for (size_t i = 0; i < 3; i++)
            record(&w, &samples[i]);
        assert_false(rill_memo_failed(&w));
        rill_memo_open(&r, w.bytes, w.count);
        for (size_t i = 0; i < 3; i++) {
            struct sample s = {.a = 99, .d = true};

            record(&r, &s);
            assert_int_equal(s.a, samples[i].a);
            assert_int_equal(s.b, samples[i].b);
            assert_int_equal(s.c, samples[i].c);
            assert_int_equal(s.d, samples[i].d);
            assert_string_equal(s.text, samples[i].text);
            assert_int_equal(s.blob_bytes, samples[i].blob_bytes);
            assert_memory_equal(s.blob, samples[i].blob == NULL ? s.blob : samples[i].blob,
                                s.blob_bytes);
        }
        assert_true(rill_memo_is_over(&r));
    }
    rill_memo_fini(&w);
}

static void what_is_cut_off_is_noticed(void **state)
{
    struct sample sample = full;
    struct rill_memo w = {0}, r;

    (void)state;
    rill_memo_begin(&w);
    record(&w, &sample);
    for (size_t n = 0; n < w.count; n++) {
        struct sample s = {0};

        rill_memo_open(&r, w.bytes, n);
        record(&r, &s);
        assert_true(rill_memo_failed(&r));
        assert_false(rill_memo_is_over(&r));
    }
    rill_memo_fini(&w);
}

static void what_does_not_fit_is_noticed(void **state)
{
    uint32_t large = 70000, count = 5;
    uint16_t small = 1;
    bool yes = false;
    struct rill_memo w = {0}, r;

    (void)state;
    rill_memo_begin(&w);
    rill_memo_u32(&w, &large);
    rill_memo_open(&r, w.bytes, w.count);
    rill_memo_u16(&r, &small);
    assert_true(rill_memo_failed(&r));
    assert_int_equal(small, 0);
    rill_memo_open(&r, w.bytes, w.count);
    rill_memo_bool(&r, &yes);
    assert_true(rill_memo_failed(&r));
    rill_memo_open(&r, w.bytes, w.count);
    rill_memo_count(&r, &count, 69999);
    assert_true(rill_memo_failed(&r));
    assert_int_equal(count, 0);
    rill_memo_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(what_is_cut_off_is_noticed),
        cmocka_unit_test(what_does_not_fit_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
