/* What the resource manager does when a unit or an output logger dies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/eal.h"
#include "lib/base/role.h"
#include "rm/deaths.h"
#include "rm/rm.h"

enum { MS = 1000000, RESEND_NS = 10 * MS, EPOCH_NS = 100 * MS, POOL_MBUFS = 2047 };

#define RM rill_role_id(RILL_ROLE_RM, 1)

static struct rte_mempool *pool;
static struct rill_outbox out;
static uint64_t now_ns;

static uint32_t unit(uint32_t number)
{
    return rill_role_id(RILL_ROLE_UNIT, number);
}

static uint32_t controller(uint32_t number)
{
    return rill_role_id(RILL_ROLE_CONTROLLER, number);
}

static uint32_t logger(uint32_t number)
{
    return rill_role_id(RILL_ROLE_OUTPUT_LOGGER, number);
}

static int group_setup(void **state)
{
    struct rill_error err;

    (void)state;
    if (rill_eal_init(256, &err) != 0)
        return -1;
    pool = rill_frame_pool_create("deaths_test", POOL_MBUFS, &err);
    return pool == NULL ? -1 : 0;
}

static int group_teardown(void **state)
{
    (void)state;
    rte_mempool_free(pool);
    return 0;
}

static void clear(void)
{
    for (uint32_t i = 0; i < out.count; i++)
        rte_pktmbuf_free(out.frames[i]);
    out.count = 0;
}

static uint32_t count_of(enum rill_frame_type type, uint32_t dst)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < out.count; i++)
        n += rill_frame(out.frames[i])->type == type && rill_frame(out.frames[i])->dst == dst;
    return n;
}

/* The first such frame; gives its metadata, and takes it out. */
static struct rill_frame expect(enum rill_frame_type type, uint32_t dst)
{
    struct rill_frame f = {0};

    for (uint32_t i = 0; i < out.count; i++) {
        struct rte_mbuf *m = out.frames[i];

        if (rill_frame(m)->type != type || rill_frame(m)->dst != dst)
            continue;
        rill_frame_copy_metadata(&f, rill_frame(m));
        rte_pktmbuf_free(m);
        out.count--;
        memmove(&out.frames[i], &out.frames[i + 1], (out.count - i) * sizeof(out.frames[0]));
        assert_int_equal(f.src, RM);
        return f;
    }
    fail_msg("no %s to %08x", rill_frame_type_name(type), dst);
    return f;
}

static void expect_death(uint32_t to, uint32_t dead)
{
    struct rill_frame f = expect(RILL_FRAME_DEATH, controller(to));

    assert_int_equal(f.next_unit, unit(dead));
    assert_int_equal(f.count, logger(dead));
}

static struct rte_mbuf *word(enum rill_frame_type type, uint32_t src, uint32_t about)
{
    struct rte_mbuf *m = rill_frame_new(pool, type, src, RM);

    assert_non_null(m);
    rill_frame(m)->next_unit = about;
    if (type == RILL_FRAME_DEATH_ACK)
        rill_frame(m)->count = logger(rill_role_number(about)); /* as the DEATH said */
    return m;
}

/* --- the deaths by themselves --- */

static struct rill_rm_deaths deaths;

static int setup(void **state)
{
    (void)state;
    now_ns = MS;
    deaths = (struct rill_rm_deaths){.rm = RM, .resend_ns = RESEND_NS, .pool = pool};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rill_rm_deaths_fini(&deaths);
    rill_outbox_fini(&out);
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

/* Unit `dead` died; controllers 1..n are told. */
static void die(uint32_t dead, uint32_t n)
{
    uint32_t ids[8] = {0};

    for (uint32_t i = 0; i < n; i++)
        ids[i] = controller(i + 1);
    assert_int_equal(rill_rm_deaths_add(&deaths, unit(dead), logger(dead), ids, n, now_ns, &out),
                     0);
}

static void say(enum rill_frame_type type, uint32_t from, uint32_t about)
{
    struct rte_mbuf *m = word(type, from, about);

    rill_rm_deaths_recv(&deaths, m, &out);
    rte_pktmbuf_free(m);
}

static void pass_time(uint64_t ns)
{
    now_ns += ns;
    rill_rm_deaths_tick(&deaths, now_ns, &out);
}

static bool is_over(uint32_t *dead)
{
    uint32_t role = 0, output_logger = 0;
    bool over = rill_rm_deaths_take_over(&deaths, &role, &output_logger);

    *dead = over ? rill_role_number(role) : 0;
    if (over)
        assert_int_equal(output_logger, logger(*dead));
    return over;
}

static void expect_not_over(void)
{
    uint32_t dead;

    assert_false(is_over(&dead));
}

static void expect_over(uint32_t dead)
{
    uint32_t which;

    assert_true(is_over(&which));
    assert_int_equal(which, dead);
}

static void every_controller_is_told_until_it_has_heard(void **state)
{
    (void)state;
    die(1, 3);
    for (uint32_t i = 1; i <= 3; i++)
        expect_death(i, 1);
    assert_int_equal(rill_rm_deaths_next_ns(&deaths), now_ns + RESEND_NS);
    say(RILL_FRAME_DEATH_ACK, controller(2), unit(1));
    pass_time(RESEND_NS - 1);
    assert_int_equal(out.count, 0);
    pass_time(1);
    expect_death(1, 1);
    expect_death(3, 1);
    assert_int_equal(out.count, 0);
    say(RILL_FRAME_DEATH_ACK, controller(1), unit(1));
    say(RILL_FRAME_DEATH_ACK, controller(3), unit(1));
    say(RILL_FRAME_DEATH_ACK, controller(3), unit(1)); /* doubled */
    assert_int_equal(rill_rm_deaths_next_ns(&deaths), UINT64_MAX);
    pass_time(10 * RESEND_NS);
    assert_int_equal(out.count, 0);
}

/* That its output logger is gone as well is news, and said often again. */
static void a_controller_that_does_not_answer_is_told_rarely(void **state)
{
    (void)state;
    deaths.resend = (struct rill_resend){.attempts = 2, .slow_ns = 100 * RESEND_NS};
    die(1, 1);
    expect_death(1, 1);
    pass_time(RESEND_NS);
    expect_death(1, 1);
    assert_int_equal(deaths.slowed, 1);
    pass_time(100 * RESEND_NS - 1);
    assert_int_equal(out.count, 0);
    pass_time(1);
    expect_death(1, 1);
    rill_rm_deaths_logger_lost(&deaths, unit(1), now_ns, &out);
    clear();
    assert_int_equal(rill_rm_deaths_next_ns(&deaths), now_ns + RESEND_NS);
}

/* The logger dies, too: that is said until it was heard; an answer to the word before is not that.
 */
static void a_lost_logger_is_said_until_it_is_heard(void **state)
{
    struct rill_frame f;

    (void)state;
    die(1, 1);
    expect_death(1, 1);
    rill_rm_deaths_logger_lost(&deaths, unit(1), now_ns, &out);
    f = expect(RILL_FRAME_DEATH, controller(1));
    assert_int_equal(f.count, 0);
    say(RILL_FRAME_DEATH_ACK, controller(1), unit(1)); /* of the first word */
    clear();
    pass_time(RESEND_NS);
    f = expect(RILL_FRAME_DEATH, controller(1));
    assert_int_equal(f.next_unit, unit(1));
    assert_int_equal(f.count, 0);
}

/* To have heard is not to have recovered. */
static void it_is_over_when_all_have_recovered(void **state)
{
    (void)state;
    die(1, 2);
    say(RILL_FRAME_DEATH_ACK, controller(1), unit(1));
    say(RILL_FRAME_DEATH_ACK, controller(2), unit(1));
    expect_not_over();
    say(RILL_FRAME_RECOVERED, controller(1), unit(1));
    say(RILL_FRAME_RECOVERED, controller(1), unit(1)); /* doubled: still only one of two */
    say(RILL_FRAME_DEATH_ACK, controller(1), unit(1)); /* late: takes nothing back */
    expect_not_over();
    say(RILL_FRAME_RECOVERED, controller(2), unit(1));
    expect_over(1);
    expect_not_over(); /* named once */
}

static void recovered_is_acknowledged_known_or_not(void **state)
{
    (void)state;
    die(1, 1);
    clear();
    for (int i = 0; i < 2; i++) { /* the acknowledgement may be lost */
        say(RILL_FRAME_RECOVERED, controller(1), unit(1));
        assert_int_equal(expect(RILL_FRAME_RECOVERED_ACK, controller(1)).next_unit, unit(1));
    }
    expect_over(1);
    say(RILL_FRAME_RECOVERED, controller(1), unit(1));
    assert_int_equal(expect(RILL_FRAME_RECOVERED_ACK, controller(1)).next_unit, unit(1));
    say(RILL_FRAME_RECOVERED, controller(1), unit(9));
    assert_int_equal(expect(RILL_FRAME_RECOVERED_ACK, controller(1)).next_unit, unit(9));
    assert_int_equal(out.count, 0);
}

/* Its DEATH_ACK was lost, but who says RECOVERED has heard. */
static void who_has_recovered_has_heard(void **state)
{
    (void)state;
    die(1, 2);
    say(RILL_FRAME_RECOVERED, controller(1), unit(1));
    clear();
    pass_time(RESEND_NS);
    assert_int_equal(count_of(RILL_FRAME_DEATH, controller(1)), 0);
    assert_int_equal(count_of(RILL_FRAME_DEATH, controller(2)), 1);
}

static void strangers_words_do_not_count(void **state)
{
    (void)state;
    die(1, 1);
    die(2, 1);
    say(RILL_FRAME_RECOVERED, controller(2), unit(1)); /* was not told */
    say(RILL_FRAME_RECOVERED, unit(1), unit(1));
    say(RILL_FRAME_DEATH_ACK, controller(2), unit(1));
    say(RILL_FRAME_DEATH_ACK, controller(1), unit(9));
    expect_not_over();
    clear();
    pass_time(RESEND_NS);
    expect_death(1, 1);
    expect_death(1, 2);
    say(RILL_FRAME_RECOVERED, controller(1), unit(2)); /* of that one only */
    expect_over(2);
    expect_not_over();
}

static void without_controllers_it_is_over_at_once(void **state)
{
    (void)state;
    die(1, 0);
    assert_int_equal(out.count, 0);
    assert_int_equal(rill_rm_deaths_next_ns(&deaths), UINT64_MAX);
    expect_over(1);
}

/* Whatever order they end in, none is lost and none named twice. */
static void several_deaths_are_kept_apart(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 5; i++)
        die(i, 1);
    say(RILL_FRAME_RECOVERED, controller(1), unit(3));
    say(RILL_FRAME_RECOVERED, controller(1), unit(5));
    expect_over(3);
    expect_over(5);
    expect_not_over();
    say(RILL_FRAME_RECOVERED, controller(1), unit(1));
    say(RILL_FRAME_RECOVERED, controller(1), unit(2));
    say(RILL_FRAME_RECOVERED, controller(1), unit(4));
    expect_over(1);
    expect_over(2);
    expect_over(4);
    assert_int_equal(deaths.count, 0);
}

static void only_so_many_are_under_way(void **state)
{
    const uint32_t id = controller(1);

    (void)state;
    for (uint32_t i = 1; i <= RILL_RM_DEATHS_MAX; i++)
        die(i, 1);
    clear();
    assert_int_equal(rill_rm_deaths_add(&deaths, unit(999), logger(999), &id, 1, now_ns, &out),
                     -ENOSPC);
    assert_int_equal(out.count, 0);
    say(RILL_FRAME_RECOVERED, controller(1), unit(7));
    expect_over(7);
    clear();
    die(999, 1);
    expect_death(1, 999);
}

static struct rte_mbuf *taken[POOL_MBUFS];

static uint32_t take_all_buffers(void)
{
    uint32_t n = 0;

    while (n < POOL_MBUFS && (taken[n] = rte_pktmbuf_alloc(pool)) != NULL)
        n++;
    return n;
}

static void without_a_buffer_it_is_said_later(void **state)
{
    uint32_t n = take_all_buffers();

    (void)state;
    die(1, 1);
    assert_int_equal(out.count, 0);
    rte_pktmbuf_free_bulk(taken, n);
    pass_time(RESEND_NS);
    expect_death(1, 1);
}

/* --- in the resource manager --- */

static struct rill_rm *rm;

static int rm_setup(void **state)
{
    const struct rill_rm_config config = {.id = RM,
                                          .epoch_ns = EPOCH_NS,
                                          .lease_ns = 3 * EPOCH_NS,
                                          .margin_ns = 50 * MS,
                                          .resend_ns = RESEND_NS,
                                          .pool = pool};
    struct rill_error err;

    (void)state;
    now_ns = MS;
    rm = rill_rm_create(&config, &err);
    assert_non_null(rm);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(rill_rm_add_unit(rm, unit(i), logger(i), 1000000000, 1000, &err), 0);
    return 0;
}

static int rm_teardown(void **state)
{
    (void)state;
    rill_rm_destroy(rm);
    rill_outbox_fini(&out);
    return rte_mempool_in_use_count(pool) == 0 ? 0 : -1;
}

static void give(struct rte_mbuf *m)
{
    rill_rm_recv(rm, &m, 1, now_ns, &out);
}

/* Calls tick whenever it wants to be called. */
static void rm_pass_time(uint64_t ns)
{
    uint64_t until_ns = now_ns + ns;

    while (rill_rm_next_ns(rm) <= until_ns) {
        now_ns = RTE_MAX(now_ns, rill_rm_next_ns(rm));
        rill_rm_tick(rm, now_ns, &out);
    }
    now_ns = until_ns;
}

/* The controller asks, the units acknowledge, and it is granted. */
static void ask(uint32_t who, uint64_t number, uint32_t wanted)
{
    struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_LEASE_REQUEST, controller(who), RM);

    rill_frame(m)->clock = number;
    rill_frame(m)->count = wanted;
    give(m);
    for (uint32_t i = 0; i < out.count; i++) {
        const struct rill_frame *share = rill_frame(out.frames[i]);

        if (share->type != RILL_FRAME_SHARE)
            continue;
        m = rill_frame_new(pool, RILL_FRAME_SHARE_ACK, share->dst, RM);
        rill_frame(m)->clock = share->clock;
        rill_frame(m)->next_unit = share->next_unit;
        rill_frame(m)->count = share->count;
        give(m);
    }
}

static struct rte_mbuf *logger_ack(uint32_t from, uint64_t number, uint32_t filled)
{
    struct rte_mbuf *m = rill_frame_new(pool, RILL_FRAME_NEW_LOGGER_ACK, from, RM);

    rill_frame(m)->clock = number;
    rill_frame(m)->count = filled;
    return m;
}

static bool recovered(uint32_t dead)
{
    uint32_t role, output_logger;

    if (!rill_rm_recovered(rm, &role, &output_logger))
        return false;
    assert_int_equal(role, unit(dead));
    return true;
}

/* Those without a share there as well: their flows may have come from it. */
static void all_controllers_hear_of_a_units_death(void **state)
{
    (void)state;
    ask(1, 1, 1000);
    ask(2, 1, 0);
    clear();
    assert_int_equal(rill_rm_unit_died(rm, unit(1), now_ns, &out), 0);
    expect_death(1, 1);
    expect_death(2, 1);
    assert_int_equal(rill_rm_unit_count(rm), 2);
    assert_int_equal(rill_rm_share(rm, unit(1), controller(1)), 0);
    assert_true(rill_rm_next_ns(rm) <= now_ns + RESEND_NS);
    rm_pass_time(RESEND_NS);
    expect_death(1, 1);
    give(word(RILL_FRAME_DEATH_ACK, controller(1), unit(1)));
    give(word(RILL_FRAME_RECOVERED, controller(1), unit(1)));
    expect(RILL_FRAME_RECOVERED_ACK, controller(1));
    assert_false(recovered(1));
    give(word(RILL_FRAME_RECOVERED, controller(2), unit(1)));
    assert_true(recovered(1));
    assert_false(recovered(1));
}

static void a_unit_dies_once(void **state)
{
    (void)state;
    ask(1, 1, 1000);
    assert_int_equal(rill_rm_unit_died(rm, unit(9), now_ns, &out), -ENOENT);
    assert_int_equal(rill_rm_unit_died(rm, unit(1), now_ns, &out), 0);
    assert_int_equal(rill_rm_unit_died(rm, unit(1), now_ns, &out), -ENOENT);
    assert_int_equal(count_of(RILL_FRAME_DEATH, controller(1)), 1);
}

/* Words for another resource manager are not for this one. */
static void words_to_another_are_not_taken(void **state)
{
    struct rte_mbuf *m;

    (void)state;
    ask(1, 1, 1000);
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    m = word(RILL_FRAME_RECOVERED, controller(1), unit(1));
    rill_frame(m)->dst = rill_role_id(RILL_ROLE_RM, 2);
    give(m);
    assert_false(recovered(1));
    assert_int_equal(rill_rm_counters(rm)->unknown_frames, 1);
}

static void a_dead_unit_is_granted_to_nobody(void **state)
{
    struct rill_lease lease;

    (void)state;
    ask(1, 1, 1000);
    clear();
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    clear();
    ask(1, 2, 3000);
    for (uint32_t i = 0; i < out.count; i++) {
        if (rill_frame(out.frames[i])->type != RILL_FRAME_LEASE_GRANT)
            continue;
        assert_int_equal(rill_frame(out.frames[i])->count, 2);
        assert_int_equal(rill_body_read(out.frames[i], 0, &lease, sizeof(lease)), 0);
        assert_int_equal(lease.unit, unit(2));
    }
    assert_int_equal(count_of(RILL_FRAME_LEASE_GRANT, controller(1)), 1);
}

/* Whose output logger was replaced: the one that has its state now is named. */
static void the_logger_of_the_time_is_named(void **state)
{
    struct rill_frame f;

    (void)state;
    ask(1, 1, 1000);
    rill_rm_replace_logger(rm, unit(1), logger(50), now_ns, &out);
    give(logger_ack(unit(1), 1, 1));
    clear();
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    f = expect(RILL_FRAME_DEATH, controller(1));
    assert_int_equal(f.next_unit, unit(1));
    assert_int_equal(f.count, logger(50));
}

/* --- an output logger --- */

static void the_unit_is_told_until_its_new_logger_is_filled(void **state)
{
    struct rill_frame f;

    (void)state;
    assert_true(rill_rm_logger_filled(rm, unit(1))); /* both were empty */
    assert_int_equal(rill_rm_replace_logger(rm, unit(1), logger(50), now_ns, &out), 0);
    for (int i = 0; i < 3; i++) {
        f = expect(RILL_FRAME_NEW_LOGGER, unit(1));
        assert_int_equal(f.next_unit, logger(50));
        assert_int_equal(f.clock, 1);
        assert_int_equal(out.count, 0);
        assert_false(rill_rm_logger_filled(rm, unit(1)));
        give(logger_ack(unit(1), 1, 0)); /* heard, but not filled */
        rm_pass_time(RESEND_NS);
    }
    give(logger_ack(unit(1), 1, 1));
    assert_true(rill_rm_logger_filled(rm, unit(1)));
    clear();
    rm_pass_time(10 * RESEND_NS);
    assert_int_equal(out.count, 0);
    assert_true(rill_rm_logger_filled(rm, unit(2)));
    assert_false(rill_rm_logger_filled(rm, unit(9)));
}

static void an_answer_about_an_older_logger_does_not_count(void **state)
{
    (void)state;
    rill_rm_replace_logger(rm, unit(1), logger(50), now_ns, &out);
    rill_rm_replace_logger(rm, unit(1), logger(51), now_ns, &out);
    give(logger_ack(unit(1), 1, 1));
    assert_false(rill_rm_logger_filled(rm, unit(1)));
    give(logger_ack(unit(1), 3, 1)); /* nor one about one that never was */
    assert_false(rill_rm_logger_filled(rm, unit(1)));
    give(logger_ack(unit(2), 2, 1)); /* nor another unit's */
    assert_false(rill_rm_logger_filled(rm, unit(1)));
    clear();
    rm_pass_time(RESEND_NS);
    assert_int_equal(expect(RILL_FRAME_NEW_LOGGER, unit(1)).next_unit, logger(51));
    give(logger_ack(unit(1), 2, 1));
    assert_true(rill_rm_logger_filled(rm, unit(1)));
    give(logger_ack(unit(9), 1, 1));
    assert_int_equal(rill_rm_counters(rm)->unknown_unit, 1);
}

/* Nobody waits for the answer of a unit that is dead. */
static void a_dead_unit_is_not_told_of_its_logger(void **state)
{
    (void)state;
    rill_rm_replace_logger(rm, unit(1), logger(50), now_ns, &out);
    rill_rm_unit_died(rm, unit(1), now_ns, &out);
    clear();
    rm_pass_time(10 * RESEND_NS);
    assert_int_equal(count_of(RILL_FRAME_NEW_LOGGER, unit(1)), 0);
    assert_int_equal(rill_rm_replace_logger(rm, unit(1), logger(51), now_ns, &out), -ENOENT);
    assert_false(rill_rm_logger_filled(rm, unit(1)));
}

static void without_a_buffer_the_unit_is_told_later(void **state)
{
    uint32_t n = take_all_buffers();

    (void)state;
    rill_rm_replace_logger(rm, unit(1), logger(50), now_ns, &out);
    assert_int_equal(out.count, 0);
    assert_int_equal(rill_rm_counters(rm)->alloc_failures, 1);
    rte_pktmbuf_free_bulk(taken, n);
    rm_pass_time(RESEND_NS);
    expect(RILL_FRAME_NEW_LOGGER, unit(1));
}

#define D(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define R(test) cmocka_unit_test_setup_teardown(test, rm_setup, rm_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        D(every_controller_is_told_until_it_has_heard),
        D(a_controller_that_does_not_answer_is_told_rarely),
        D(a_lost_logger_is_said_until_it_is_heard),
        D(it_is_over_when_all_have_recovered),
        D(recovered_is_acknowledged_known_or_not),
        D(who_has_recovered_has_heard),
        D(strangers_words_do_not_count),
        D(without_controllers_it_is_over_at_once),
        D(several_deaths_are_kept_apart),
        D(only_so_many_are_under_way),
        D(without_a_buffer_it_is_said_later),
        R(all_controllers_hear_of_a_units_death),
        R(a_unit_dies_once),
        R(words_to_another_are_not_taken),
        R(a_dead_unit_is_granted_to_nobody),
        R(the_logger_of_the_time_is_named),
        R(the_unit_is_told_until_its_new_logger_is_filled),
        R(an_answer_about_an_older_logger_does_not_count),
        R(a_dead_unit_is_not_told_of_its_logger),
        R(without_a_buffer_the_unit_is_told_later),
    };

    return cmocka_run_group_tests_name("deaths", tests, group_setup, group_teardown);
}
