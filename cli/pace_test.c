#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/pace.h"

enum { PACKETS_MAX = 8 };

#define START_NS UINT64_C(1000)

static struct rill_capture_packet packets[PACKETS_MAX];
static struct rill_capture capture;

/* A capture of packets of 125 bytes (1000 bits) at these times. */
static void captured(uint64_t count, const uint64_t *times_ns)
{
    capture = (struct rill_capture){.packets = packets, .count = count, .bytes = count * 125};
    for (uint64_t i = 0; i < count; i++)
        packets[i] = (struct rill_capture_packet){.time_ns = times_ns[i], .wire_bytes = 125};
}

static void due(struct rill_pace *pace, const uint64_t *expected_ns)
{
    for (uint64_t i = 0; i < capture.count; i++)
        assert_int_equal(rill_pace_due_ns(pace, i), START_NS + expected_ns[i]);
}

static void at_speed_one_packets_keep_their_distances(void **state)
{
    const uint64_t times[] = {500, 500, 700, 1500}, expected[] = {0, 0, 200, 1000};
    struct rill_pace pace;

    (void)state;
    captured(4, times);
    rill_pace_init(&pace, &capture, 1, 0, START_NS);
    due(&pace, expected);
    assert_int_equal(pace.backwards, 0);
}

static void gaps_are_divided_by_the_speed(void **state)
{
    const uint64_t times[] = {500, 700, 1500};
    const uint64_t twice[] = {0, 100, 500}, half[] = {0, 400, 2000};
    struct rill_pace pace;

    (void)state;
    captured(3, times);
    rill_pace_init(&pace, &capture, 2, 0, START_NS);
    due(&pace, twice);
    rill_pace_init(&pace, &capture, 0.5, 0, START_NS);
    due(&pace, half);
}

static void times_since_1970_lose_no_nanosecond(void **state)
{
    const uint64_t epoch_ns = UINT64_C(1700000000123456789);
    const uint64_t times[] = {epoch_ns, epoch_ns + 1, epoch_ns + 3}, expected[] = {0, 1, 3};
    struct rill_pace pace;

    (void)state;
    captured(3, times);
    rill_pace_init(&pace, &capture, 1, 0, START_NS);
    due(&pace, expected);
}

static void a_rate_overrides_the_speed(void **state)
{
    /* 4000 bits in 1000 ns are 4 Gbps; at 2 Gbps it takes twice as long. */
    const uint64_t times[] = {500, 600, 700, 1500}, expected[] = {0, 200, 400, 2000};
    struct rill_pace pace;

    (void)state;
    captured(4, times);
    rill_pace_init(&pace, &capture, 7, UINT64_C(2000000000), START_NS);
    due(&pace, expected);
}

static void without_times_packets_are_paced_by_their_sizes(void **state)
{
    const uint64_t times[] = {500, 500, 500}, expected[] = {0, 1000, 3000};
    struct rill_pace pace;

    (void)state;
    captured(3, times);
    packets[1].wire_bytes = 250;
    rill_pace_init(&pace, &capture, 1, UINT64_C(1000000000), START_NS);
    due(&pace, expected);
}

static void a_packet_whose_time_ran_backwards_is_due_with_the_one_before(void **state)
{
    const uint64_t times[] = {500, 900, 600, 100, 1000}, expected[] = {0, 400, 400, 400, 500};
    struct rill_pace pace;

    (void)state;
    captured(5, times);
    rill_pace_init(&pace, &capture, 1, 0, START_NS);
    due(&pace, expected);
    assert_int_equal(pace.backwards, 2);
}

static void no_pause_is_longer_than_the_bound(void **state)
{
    const uint64_t longest_ns = RILL_PACE_PAUSE_MAX_NS;
    const uint64_t times[] = {500, 500 + 3 * longest_ns, 700 + 3 * longest_ns, 700 + 4 * longest_ns,
                              701 + 5 * longest_ns};
    const uint64_t expected[] = {0, longest_ns, longest_ns + 200, 2 * longest_ns + 200,
                                 3 * longest_ns + 200};
    struct rill_pace pace;

    (void)state;
    captured(5, times);
    rill_pace_init(&pace, &capture, 1, 0, START_NS);
    due(&pace, expected);
    assert_int_equal(pace.pauses_cut, 2);
}

/* A time far in the future, divided by a small speed, is beyond 64 bits of nanoseconds. */
static void one_wrong_time_does_not_upset_the_others(void **state)
{
    const uint64_t times[] = {0, UINT64_MAX, 100};
    struct rill_pace pace;
    uint64_t last_ns = START_NS;

    (void)state;
    captured(3, times);
    rill_pace_init(&pace, &capture, 0.001, 0, START_NS);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t due_ns = rill_pace_due_ns(&pace, i);

        assert_true(due_ns >= last_ns);
        assert_true(due_ns - last_ns <= RILL_PACE_PAUSE_MAX_NS);
        last_ns = due_ns;
    }
    assert_int_equal(last_ns, START_NS + RILL_PACE_PAUSE_MAX_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_speed_one_packets_keep_their_distances),
        cmocka_unit_test(gaps_are_divided_by_the_speed),
        cmocka_unit_test(times_since_1970_lose_no_nanosecond),
        cmocka_unit_test(a_rate_overrides_the_speed),
        cmocka_unit_test(without_times_packets_are_paced_by_their_sizes),
        cmocka_unit_test(a_packet_whose_time_ran_backwards_is_due_with_the_one_before),
        cmocka_unit_test(no_pause_is_longer_than_the_bound),
        cmocka_unit_test(one_wrong_time_does_not_upset_the_others),
    };

    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
