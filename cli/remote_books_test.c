#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/remote_books.h"
#include "lib/base/role.h"

enum { COUNTERS = 4 };

/* Metrics with a few counters, all in one place. */
struct metrics {
    Control__Metrics base;
    Control__Counter counters[COUNTERS], nf_counter;
    Control__Counter *list[COUNTERS], *nf_list[1];
};

static Control__Metrics *fill(struct metrics *m, uint64_t held, uint64_t sent, uint64_t taken,
                              const char *const *names, const uint64_t *values, size_t n)
{
    control__metrics__init(&m->base);
    m->base.packets_held = held;
    m->base.packets_sent_off = sent;
    m->base.packets_taken_in = taken;
    for (size_t i = 0; i < n; i++) {
        control__counter__init(&m->counters[i]);
        m->counters[i].name = (char *)names[i];
        m->counters[i].value = values[i];
        m->list[i] = &m->counters[i];
    }
    m->base.counters = m->list;
    m->base.n_counters = n;
    control__counter__init(&m->nf_counter);
    m->nf_counter.name = "mappings";
    m->nf_counter.value = sent;
    m->nf_list[0] = &m->nf_counter;
    m->base.nf_counters = m->nf_list;
    m->base.n_nf_counters = 1;
    return &m->base;
}

static const char *const names[] = {"unit.packets_processed", "unit.dropped_queue", "fabric.sent",
                                    "fabric.dropped_fabric_full"};

static const uint32_t UNIT_A = (RILL_ROLE_UNIT << 24) | 3, UNIT_B = (RILL_ROLE_UNIT << 24) | 5;

struct pair {
    struct metrics before[2], now[2];
    struct rill_books_role roles[2];
    struct rill_books books;
};

/* Two units: one was there before with something on its counters, one came during the run. */
static void fill_pair(struct pair *p)
{
    static const uint64_t before[] = {100, 7, 1000, 0}, now[] = {150, 9, 1500, 0},
                          fresh[] = {30, 0, 60, 4};

    p->roles[0] = (struct rill_books_role){
        .id = UNIT_A,
        .before = fill(&p->before[0], 0, 400, 500, names, before, COUNTERS),
        .now = fill(&p->now[0], 5, 450, 550, names, now, COUNTERS)};
    p->roles[1] = (struct rill_books_role){
        .id = UNIT_B, .now = fill(&p->now[1], 0, 30, 34, names, fresh, COUNTERS)};
    p->books = (struct rill_books){.roles = p->roles, .count = 2};
}

static void only_what_was_counted_since(void **state)
{
    struct rill_report report = {0};
    struct pair p;

    (void)state;
    fill_pair(&p);
    assert_int_equal(rill_books_counter(&p.books, UNIT_A, "unit.packets_processed"), 50);
    assert_int_equal(rill_books_counter(&p.books, UNIT_B, "unit.packets_processed"), 30);
    assert_int_equal(rill_books_counter(&p.books, 0, "unit.packets_processed"), 80);
    assert_int_equal(rill_books_counter(&p.books, 0, "unit.nonesuch"), 0);
    assert_int_equal(rill_books_tally(&p.books, &report), 0);
    assert_int_equal(rill_tally_get(&report.counters, "fabric.sent"), 560);
    assert_int_equal(rill_tally_get(&report.packets_dropped, "queue"), 2);
    assert_int_equal(rill_tally_get(&report.packets_dropped, "fabric_full"), 4);
    assert_int_equal(report.packets_dropped.count, 2);
    assert_int_equal(rill_tally_get(&report.nf_counters, "mappings"), 50 + 30);
    rill_report_fini(&report);
}

static void drops_of_a_kind_of_role(void **state)
{
    struct pair p;

    (void)state;
    fill_pair(&p);
    assert_int_equal(rill_books_dropped(&p.books, "unit."), 2);
    assert_int_equal(rill_books_dropped(&p.books, "fabric."), 4);
    assert_int_equal(rill_books_dropped(&p.books, "controller."), 0);
}

/* What this process sent off, and nobody took in yet, is in a link; what came back is not. */
static void in_flight_is_held_and_in_links(void **state)
{
    struct pair p;

    (void)state;
    fill_pair(&p);
    /* 84 went into the units, 80 came out of them, 5 are held: of these only 79 came back here. */
    p.books.self = (struct rill_books_self){.held = 1, .sent_off = 90, .taken_in = 79};
    assert_int_equal(rill_books_in_flight(&p.books), 1 + 90 - 79 + 5 + 50 - 50 + 30 - 34);
    assert_int_equal(rill_books_held(&p.books), 6);
    /* A role that has not answered says nothing. */
    p.roles[1].now = NULL;
    assert_int_equal(rill_books_in_flight(&p.books), 1 + 90 - 79 + 5);
    assert_int_equal(rill_books_counter(&p.books, 0, "unit.packets_processed"), 50);
}

static void without_a_role_it_may_be_negative(void **state)
{
    struct rill_books books = {.self = {.held = 0, .sent_off = 10, .taken_in = 25}};

    (void)state;
    assert_int_equal(rill_books_in_flight(&books), -15);
    assert_int_equal(rill_books_held(&books), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_counted_since),
        cmocka_unit_test(drops_of_a_kind_of_role),
        cmocka_unit_test(in_flight_is_held_and_in_links),
        cmocka_unit_test(without_a_role_it_may_be_negative),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
