#include "output-logger/ol_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct rill_ol *ol;
struct rill_outbox out;
uint64_t now_ns;

static unsigned in_use;

struct rill_ol_config ol_usual(void)
{
    return (struct rill_ol_config){.id = OL,
                                   .controller = rill_role_id(RILL_ROLE_CONTROLLER, 1),
                                   .vni = 1,
                                   .state_bytes = STATE,
                                   .pool = core_pool,
                                   .retry_ns = RETRY_NS,
                                   .keep_ns = KEEP_NS,
                                   .flows_max = 64,
                                   .held_packets = 16};
}

void ol_create(const struct rill_ol_config *config)
{
    struct rill_error err = {.text = ""};

    rill_ol_destroy(ol);
    core_clear(&out);
    ol = rill_ol_create(config, &err);
    assert_string_equal(err.text, "");
    assert_non_null(ol);
}

int ol_setup(void **state)
{
    struct rill_ol_config config = ol_usual();

    (void)state;
    in_use = core_in_use();
    now_ns = CORE_MS;
    ol_create(&config);
    return 0;
}

int ol_teardown(void **state)
{
    (void)state;
    rill_ol_destroy(ol);
    ol = NULL;
    rill_outbox_fini(&out);
    return core_in_use() == in_use ? 0 : -1;
}

const struct rill_ol_counters *n(void)
{
    return rill_ol_counters(ol);
}

void give(struct rte_mbuf *m)
{
    rill_ol_recv(ol, &m, 1, now_ns, &out);
}

void pass_time(uint64_t ns)
{
    now_ns += ns;
    rill_ol_tick(ol, now_ns, &out);
}

struct rte_mbuf *change(uint32_t unit, uint64_t flow, uint64_t term, uint64_t k)
{
    struct rte_mbuf *m = core_udp("10.0.0.1", 1, "192.0.2.1", 2, 60);
    struct rill_frame *f = rill_frame(m);

    f->type = RILL_FRAME_CHANGE;
    f->src = unit;
    f->dst = OL;
    f->side = RILL_OUTSIDE;
    f->flow = flow;
    f->term = term;
    f->step = k;
    f->clock = k;
    f->ingress_id = k;
    f->state_offset = VALUE_AT;
    f->state_bytes = 8;
    memcpy(f->state, &k, 8);
    return m;
}

struct rte_mbuf *with_whole_state(struct rte_mbuf *m, const struct rill_alias *alias)
{
    struct rill_frame *f = rill_frame(m);

    f->flags |= RILL_FLAG_FULL;
    f->state_offset = 0;
    f->state_bytes = STATE;
    memset(f->state, 0, STATE);
    if (alias != NULL)
        memcpy(f->state, alias, sizeof(*alias));
    memcpy(f->state + VALUE_AT, &f->step, 8);
    return m;
}
