/* The order of segments: by hand, and at random against a model that keeps every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/ids/order.h"

enum { RING_BYTES = 1024, STREAM_BYTES = 6000 };

struct bench {
    uint32_t next;
    struct ids_extent extents[IDS_EXTENTS_MAX];
    uint8_t n_extents, ring[RING_BYTES];
    uint8_t out[4 * STREAM_BYTES]; /* what came, gaps as '?' */
    uint32_t n, gaps;
};

static void deliver(void *arg, const uint8_t *data, uint32_t bytes)
{
    struct bench *b = arg;

    if (b->n + bytes <= sizeof(b->out))
        memcpy(b->out + b->n, data, bytes);
    b->n += bytes;
}

static void gap(void *arg, uint32_t bytes)
{
    struct bench *b = arg;

    assert_true(bytes > 0);
    if (b->n + bytes <= sizeof(b->out))
        memset(b->out + b->n, '?', bytes);
    b->n += bytes;
    b->gaps++;
}

static struct ids_order order(struct bench *b)
{
    return (struct ids_order){.next = &b->next,
                              .extents = b->extents,
                              .n_extents = &b->n_extents,
                              .ring = b->ring,
                              .ring_bytes = RING_BYTES,
                              .deliver = deliver,
                              .gap = gap,
                              .arg = b};
}

static void send(struct bench *b, uint32_t sequence, const char *text)
{
    struct ids_order o = order(b);

    ids_order_segment(&o, sequence, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void expect(const struct bench *b, const char *text)
{
    assert_int_equal(b->n, strlen(text));
    assert_memory_equal(b->out, text, b->n);
}

static void test_reordered(void **unused)
{
    struct bench b = {.next = UINT32_MAX - 3}; /* numbers wrap */

    (void)unused;
    send(&b, b.next + 4, "efgh");
    send(&b, b.next + 8, "ijkl");
    expect(&b, "");
    assert_int_equal(b.n_extents, 1);
    send(&b, b.next, "abcd");
    expect(&b, "abcdefghijkl");
    assert_int_equal(b.n_extents, 0);
    send(&b, b.next - 12, "ABCDEFGHIJKL"); /* again, and otherwise */
    expect(&b, "abcdefghijkl");
}

static void test_first_stays(void **unused)
{
    struct bench b = {.next = 100};

    (void)unused;
    send(&b, 104, "EF");
    send(&b, 108, "IJ");
    send(&b, 102, "cdefghijkl"); /* fills what is missing, overwrites nothing */
    expect(&b, "");
    send(&b, 100, "abCDEFGH");
    expect(&b, "abcdEFghIJkl");
}

static void test_in_order_gives_way_to_what_waits(void **unused)
{
    struct bench b = {.next = 100};

    (void)unused;
    send(&b, 103, "DE");
    send(&b, 100, "abcdefgh");
    expect(&b, "abcDEfgh");
}

static void test_gap_is_given_up(void **unused)
{
    struct bench b = {.next = 0};
    char text[RING_BYTES - 9];

    (void)unused;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    send(&b, 10, "ab");
    send(&b, 20, "cd");
    send(&b, 22, text); /* ends 8 bytes behind the ring */
    assert_int_equal(b.gaps, 1);
    assert_memory_equal(b.out, "??????????ab", 12);
    assert_int_equal(b.n, 12);
    assert_int_equal(b.next, 12);
    assert_int_equal(b.n_extents, 1);
}

static void test_acknowledged(void **unused)
{
    struct bench b = {.next = 0};
    struct ids_order o = order(&b);

    (void)unused;
    send(&b, 4, "ef");
    send(&b, 8, "ij");
    ids_order_acknowledged(&o, 0);
    ids_order_acknowledged(&o, UINT32_MAX - 5); /* an old one */
    assert_int_equal(b.n, 0);
    ids_order_acknowledged(&o, 5);
    expect(&b, "????ef");
    ids_order_acknowledged(&o, 12);
    expect(&b, "????ef??ij??");
    ids_order_acknowledged(&o, 12 + 2 * IDS_FAR_BYTES); /* of no segment that can be */
    assert_int_equal(b.n, 12);
}

static void test_many_extents(void **unused)
{
    struct bench b = {.next = 0};

    (void)unused;
    for (uint32_t i = 1; i <= IDS_EXTENTS_MAX; i++)
        send(&b, 10 * i, "x");
    assert_int_equal(b.n_extents, IDS_EXTENTS_MAX);
    assert_int_equal(b.gaps, 0);
    send(&b, 200, "y"); /* no room for one more: the first gap is given up */
    assert_int_equal(b.gaps, 1);
    assert_int_equal(b.next, 11);
    assert_int_equal(b.n_extents, IDS_EXTENTS_MAX);
}

static void test_far(void **unused)
{
    struct bench b = {.next = 1000};
    struct ids_order o = order(&b);

    (void)unused;
    ids_order_segment(&o, 1001 + IDS_FAR_BYTES, (const uint8_t *)"x", 1);
    assert_int_equal(o.far, 1);
    assert_int_equal(b.n + b.n_extents, 0);
}

/* Every byte comes at some time, in segments that overlap, in an order in which nothing is further
 * ahead than the ring: the stream comes out whole. */
static void run_shuffled(unsigned seed)
{
    static uint8_t stream[STREAM_BYTES];
    struct bench b = {.next = (uint32_t)seed * 99991u};
    uint32_t base = b.next;

    srand(seed);
    for (uint32_t i = 0; i < STREAM_BYTES; i++)
        stream[i] = (uint8_t)rand();
    while (b.n < STREAM_BYTES) {
        uint32_t back = (uint32_t)rand() % 60, ahead = (uint32_t)rand() % 300;
        uint32_t from = rand() % 3 != 0 ? b.n : b.n + ahead;
        uint32_t bytes = 1 + (uint32_t)rand() % 200;
        struct ids_order o = order(&b);

        from = from > back ? from - back : 0;
        if (b.n_extents > 6)
            from = b.n; /* no gap is given up */
        if (from >= STREAM_BYTES)
            continue;
        bytes = bytes < STREAM_BYTES - from ? bytes : STREAM_BYTES - from;
        ids_order_segment(&o, base + from, stream + from, bytes);
        assert_int_equal(b.gaps, 0);
        assert_int_equal(b.next, base + b.n);
        assert_memory_equal(b.out, stream, b.n);
    }
}

static void test_shuffled(void **unused)
{
    (void)unused;
    for (unsigned seed = 1; seed <= 300; seed++)
        run_shuffled(seed);
}

/* Anything: it ends, extents stay sorted, apart and within the ring. */
static void run_anything(unsigned seed)
{
    static const uint8_t bytes[3000];
    struct bench b = {.next = UINT32_MAX - 2000};

    srand(seed);
    for (int i = 0; i < 400; i++) {
        struct ids_order o = order(&b);
        uint32_t at = b.next + (uint32_t)(rand() % 3000 - 1000);

        if (rand() % 20 == 0)
            at = (uint32_t)rand() * 3u;
        b.n = 0;
        if (rand() % 5 == 0)
            ids_order_acknowledged(&o, at);
        else if (rand() % 9 == 0)
            ids_order_missing(&o, at, (uint32_t)rand() % 3000);
        else
            ids_order_segment(&o, at, bytes, (uint32_t)rand() % (rand() % 8 == 0 ? 3000 : 200));
        assert_true(b.n_extents <= IDS_EXTENTS_MAX);
        for (uint8_t k = 0; k < b.n_extents; k++) {
            assert_true(b.extents[k].start - b.next < b.extents[k].end - b.next);
            assert_true(b.extents[k].end - b.next <= RING_BYTES);
            assert_true((k == 0 ? b.next : b.extents[k - 1].end) - b.next <
                        b.extents[k].start - b.next);
        }
    }
}

static void test_anything(void **unused)
{
    (void)unused;
    for (unsigned seed = 1; seed <= 500; seed++)
        run_anything(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reordered),
        cmocka_unit_test(test_first_stays),
        cmocka_unit_test(test_in_order_gives_way_to_what_waits),
        cmocka_unit_test(test_gap_is_given_up),
        cmocka_unit_test(test_acknowledged),
        cmocka_unit_test(test_many_extents),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
