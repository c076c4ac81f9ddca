#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/registry/registry_local.h"
#include "lib/registry/world.h"

#define STEP_NS UINT64_C(1000000)
#define DELAY_NS UINT64_C(300000)
#define TIMEOUT_NS UINT64_C(1000000000)

static struct rill_registry_server *server;
static uint64_t now;

static int nothing(void **state)
{
    (void)state;
    return 0;
}

static void setup(void)
{
    now = 0;
    server = rill_registry_server_create(DELAY_NS);
    assert_non_null(server);
}

static void teardown(void)
{
    rill_registry_server_destroy(server);
}

static struct rill_registry *connect_session(void)
{
    return rill_registry_connect_local(server, TIMEOUT_NS, now);
}

static void closed(struct rill_registry *registry)
{
    (void)registry;
}

/* Time goes on to what is due next. */
static void wait(struct rill_registry *const *sessions, uint32_t count)
{
    uint64_t next_ns = now + STEP_NS, server_ns = rill_registry_server_next_ns(server);

    if (server_ns < next_ns)
        next_ns = server_ns;
    for (uint32_t i = 0; i < count; i++)
        if (rill_registry_next_ns(sessions[i]) < next_ns)
            next_ns = rill_registry_next_ns(sessions[i]);
    now = next_ns > now ? next_ns : now + 1;
}

static uint64_t now_ns(void)
{
    return now;
}

static void start(void)
{
    rill_registry_server_start(server, now);
}

static void stop(void)
{
    rill_registry_server_stop(server);
}

int main(void)
{
    /* Its patience is in its own time: some 30 s of it are some 30,000 steps. */
    static const struct world_ops ops = {.name = "local",
                                         .timeout_ns = TIMEOUT_NS,
                                         .virtual_time = true,
                                         .group_setup = nothing,
                                         .group_teardown = nothing,
                                         .setup = setup,
                                         .teardown = teardown,
                                         .connect = connect_session,
                                         .closed = closed,
                                         .wait = wait,
                                         .now_ns = now_ns,
                                         .clock_ns = now_ns,
                                         .cut = rill_registry_local_cut,
                                         .stop = stop,
                                         .start = start};

    return world_run(&ops);
}
