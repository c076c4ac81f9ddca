#include "lib/daemon/role.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lib/base/eal.h"
#include "lib/daemon/role_internal.h"

enum {
    MBUF_BYTES = 4352, /* without hugepages a buffer does not share its page */
    MBUFS_CONTROLLER = 32768,
    MBUFS_OTHERS = 16384,
    RESERVE_PART = 16, /* of the pool, for messages */
    MEMORY_MB_MIN = 64,
    MEMORY_MB_MAX = 1 << 20,
    TIMER_SLACK_NS = 1000,
    WAITING_TURN_MS = 100,
    FLUSH_MS = 500,
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

bool role_stopped(void)
{
    return stopped != 0;
}

/* --- start ------------------------------------------------------------------------------------ */

/* Before anything that takes time: process 1 of a container does not feel a signal that it has no
 * handler for. */
static void set_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

static uint64_t read_token(void)
{
    const char *text = getenv("RILL_TOKEN");
    char *end;
    uint64_t token;

    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        rill_daemon_refuse("RILL_TOKEN in the environment is not 16 hexadecimal digits; the node "
                           "agent starts this program");
    token = strtoull(text, &end, 16);
    return token;
}

struct texts { /* options */
    const char *role, *control, *turns, *memory_mb, *poll;
};

static void read_options(struct texts *texts, const char *program, int argc, char **argv)
{
    const struct rill_daemon_option table[] = {
        {"--role", "ID", "the role's id, in hexadecimal: 0x03000001", true, &texts->role},
        {"--control", "URL", "where the node agent listens", true, &texts->control},
        {"--turns", "PATH", "file for the loop's turns, for the node agent", true, &texts->turns},
        {"--memory-mb", "N", "for DPDK", false, &texts->memory_mb},
        {"--poll", "HOW", "yield, busy or sleep", false, &texts->poll},
        {.name = NULL},
    };

    rill_daemon_options(program, table, argc, argv);
}

static uint32_t read_role(const char *text, enum rill_role_kind kind)
{
    uint32_t role = (uint32_t)rill_daemon_number("--role", text, 1, UINT32_MAX);

    if (rill_role_kind(role) != kind || rill_role_number(role) == 0)
        rill_daemon_refuse("--role: 0x%08x is not a role that this program can be: 0x%02x000001 "
                           "and so on are",
                           role, (unsigned)kind);
    return role;
}

/* At most half of the memory: the rest is for tables. */
static uint32_t pool_mbufs(enum rill_role_kind kind, uint32_t memory_mb)
{
    uint32_t wanted = kind == RILL_ROLE_CONTROLLER ? MBUFS_CONTROLLER : MBUFS_OTHERS;
    uint64_t most = ((uint64_t)memory_mb << 20) / 2 / MBUF_BYTES;

    return (uint32_t)RTE_MIN(most, (uint64_t)wanted);
}

static int start_dpdk(struct role_process *p, uint32_t memory_mb, struct rill_error *err)
{
    int rc = rill_eal_init(memory_mb, err);

    if (rc != 0)
        return rc;
    rill_turns_count(&p->turns);
    p->host.pool = rill_frame_pool_create("frames", pool_mbufs(p->ops->kind, memory_mb), err);
    if (p->host.pool == NULL)
        return -ENOMEM;
    p->reserve = p->host.pool->size / RESERVE_PART;
    return 0;
}

static void set_up(struct role_process *p, const struct rill_role_ops *ops, int argc, char **argv)
{
    struct texts texts = {.memory_mb = "256", .poll = "yield"};
    struct rill_error err;
    uint32_t memory_mb;

    *p = (struct role_process){.ops = ops, .main_ns = rill_daemon_now_ns()};
    read_options(&texts, ops->program, argc, argv);
    p->host.role = read_role(texts.role, ops->kind);
    p->poll = rill_daemon_poll(texts.poll);
    p->token = read_token();
    memory_mb =
        (uint32_t)rill_daemon_number("--memory-mb", texts.memory_mb, MEMORY_MB_MIN, MEMORY_MB_MAX);
    umask(0); /* what is made here the other roles of the deployment must be able to use */
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
    if (rill_turns_open(&p->turns, texts.turns, &err) != 0 || start_dpdk(p, memory_mb, &err) != 0 ||
        role_control_start(p, texts.control, &err) != 0)
        rill_daemon_refuse("%s", err.text);
}

/* --- until it is activated -------------------------------------------------------------------- */

static void on_waiting(uv_timer_t *timer)
{
    struct role_process *p = timer->data;

    rill_turns_count(&p->turns);
}

static void wait_for_activation(struct role_process *p)
{
    uv_timer_init(&p->loop, &p->waiting);
    p->waiting.data = p;
    uv_timer_start(&p->waiting, on_waiting, 0, WAITING_TURN_MS);
    while (!p->active && !p->ended && !role_stopped())
        uv_run(&p->loop, UV_RUN_ONCE);
    uv_timer_stop(&p->waiting);
}

/* --- end -------------------------------------------------------------------------------------- */

static void end(struct role_process *p)
{
    rill_link_flush(p->link, FLUSH_MS);
    rill_link_close(p->link);
    uv_close((uv_handle_t *)&p->waiting, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT); /* lets go of what is closed */
    uv_loop_close(&p->loop);
    if (p->fabric != NULL) /* the sockets of its links go with it */
        p->fabric->ops->destroy(p->fabric);
    rill_outbox_fini(&p->out);
    rill_config_destroy(p->settings);
    rill_turns_close(&p->turns);
}

int rill_role_main(const struct rill_role_ops *ops, int argc, char **argv)
{
    static struct role_process process;

    set_signals();
    set_up(&process, ops, argc, argv);
    wait_for_activation(&process);
    if (process.active) {
        role_loop(&process);
        if (ops->end != NULL)
            ops->end(ops->arg, rill_daemon_now_ns());
    }
    role_last_metrics(&process);
    end(&process);
    exit(process.exit_code);
}
