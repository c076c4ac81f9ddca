/* rill-rm: the director on a libuv loop, with one listener for this machine and, if asked for, one
 * for other machines. It leads, or stands by until it does: rm/store.h. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>

#include <rte_mempool.h>

#include "lib/base/eal.h"
#include "lib/base/role.h"
#include "lib/control/link.h"
#include "lib/daemon/daemon.h"
#include "rm/director.h"
#include "rm/leader_path.h"
#include "rm/links_folder.h"
#include "rm/store.h"
#include "rm/usage_file.h"

enum {
    LISTENERS = 2,
    FRAMES = 8192,
    WARM_MAX = 256,
    MEMORY_MB_MIN = 64,
    SOCKET_MODE = 0600,
    PATH_BYTES = 256,
    FLUSH_MS = 2000,
    START_TIMEOUT_S = 15, /* a busy machine starts a dozen programs at once */
    LINKS_TIMEOUT_S = 10,
    DEATHS_MAX = 5,
    DEATHS_WINDOW_S = 60,
    PAUSED_MS = 500,   /* a timer that comes so late: this process stood still */
    CATCH_UP_MS = 100, /* then what has come meanwhile is read before anybody is called late */
    LINK_SHIFT = 31,   /* each link numbers its peers itself; this bit says which link's it is */
};

#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)

struct rm;

struct listener {
    struct rm *rm;
    struct rill_link *link;
    uint32_t bit;
};

struct rm {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_signal_t signals[2];
    struct listener listeners[LISTENERS];
    struct rill_director *director; /* while it leads; else NULL */
    struct rill_store *store;
    struct rill_store_state state; /* for status */
    struct rte_mempool *pool;
    const char *cluster, *base, *listen;
    char links[PATH_BYTES];
    struct rill_usage_file usage;
    uint32_t uid, warm;
    uint64_t due_ns; /* when the timer should come */
    bool caught_up;
    bool deposed; /* found out while the director was at work */
    bool closing;
};

/* --- time ------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void end_leading(struct rm *rm);

/* After whatever the director was told. */
static void schedule(struct rm *rm)
{
    uint64_t next_ns, now_ns, wait_ns;

    rill_store_turn(rm->store);
    if (rm->deposed)
        end_leading(rm);
    if (rm->closing || rm->director == NULL)
        return;
    if (rill_director_over(rm->director)) {
        rill_store_end(rm->store);
        uv_stop(&rm->loop);
        return;
    }
    next_ns = rill_director_next_ns(rm->director);
    now_ns = rill_daemon_now_ns();
    wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    if (next_ns == UINT64_MAX) {
        uv_timer_stop(&rm->timer);
        return;
    }
    rm->due_ns = now_ns + wait_ns;
    uv_update_time(&rm->loop);
    uv_timer_start(&rm->timer, on_timer, (wait_ns + MS_NS - 1) / MS_NS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct rm *rm = timer->data;
    uint64_t now_ns = rill_daemon_now_ns();

    if (!rm->caught_up && now_ns > rm->due_ns + PAUSED_MS * MS_NS) {
        rm->caught_up = true;
        uv_timer_start(timer, on_timer, CATCH_UP_MS, 0);
        return;
    }
    rm->caught_up = false;
    rill_daemon_log_look(now_ns);
    if (rm->director != NULL)
        rill_director_tick(rm->director, now_ns);
    schedule(rm);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct rm *rm = signal->data;

    rill_daemon_say("ends on a signal (%d); what runs goes on without it", number);
    uv_stop(&rm->loop);
}

static void open_loop(struct rm *rm)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    uv_loop_init(&rm->loop);
    uv_timer_init(&rm->loop, &rm->timer);
    rm->timer.data = rm;
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&rm->loop, &rm->signals[i]);
        rm->signals[i].data = rm;
        uv_signal_start(&rm->signals[i], on_signal, numbers[i]);
    }
}

/* --- links ------------------------------------------------------------------------------------ */

static void on_up(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer; /* whoever it is says Join */
}

static void on_down(void *arg, uint32_t peer)
{
    struct listener *listener = arg;

    if (listener->rm->director == NULL)
        return;
    rill_director_down(listener->rm->director, peer | listener->bit, rill_daemon_now_ns());
    schedule(listener->rm);
}

static void on_message(void *arg, uint32_t peer, const Control__Message *message)
{
    struct listener *listener = arg;

    if (listener->rm->director == NULL)
        return;
    rill_director_message(listener->rm->director, peer | listener->bit, message,
                          rill_daemon_now_ns());
    schedule(listener->rm);
}

static void on_send(void *arg, uint32_t peer, const Control__Message *message)
{
    struct rm *rm = arg;
    struct listener *listener = &rm->listeners[peer >> LINK_SHIFT];

    rill_link_send(listener->link, peer & ~listener->bit, message);
}

static int listen_at(struct rm *rm, uint32_t index, const char *url, struct rill_error *err)
{
    struct listener *listener = &rm->listeners[index];
    struct rill_link_events events = {
        .up = on_up, .down = on_down, .message = on_message, .arg = listener};

    *listener = (struct listener){.rm = rm, .bit = index << LINK_SHIFT};
    return rill_link_listen(&rm->loop, url, SOCKET_MODE, &events, &listener->link, err);
}

static int listen_at_all(struct rm *rm, uint64_t number, struct rill_error *err)
{
    char url[PATH_BYTES];
    int rc = rill_leader_path_url(rm->base, number, url, sizeof(url), err);

    if (rc == 0)
        rc = listen_at(rm, 0, url, err);
    if (rc == 0 && rm->listen != NULL)
        rc = listen_at(rm, 1, rm->listen, err);
    return rc == 0 ? rill_leader_path_take(rm->base, number, err) : rc;
}

/* --- what the director asks for --------------------------------------------------------------- */

static int make_folder(void *arg, const char *name, struct rill_error *err)
{
    const struct rm *rm = arg;
    char path[PATH_BYTES + 64];

    snprintf(path, sizeof(path), "%s/%s", rm->links, name);
    return rill_links_folder_make(path, rm->uid, err);
}

static void remove_folder(void *arg, const char *name)
{
    const struct rm *rm = arg;
    char path[PATH_BYTES + 64];
    struct rill_error err;

    snprintf(path, sizeof(path), "%s/%s", rm->links, name);
    if (rill_links_folder_remove(path, &err) != 0)
        rill_daemon_say("%s", err.text);
}

static void say(void *arg, const char *line)
{
    (void)arg;
    rill_daemon_say("%s", line);
}

static void keep_usage(void *arg, const struct rill_usage_record *record)
{
    struct rm *rm = arg;
    struct rill_usage_record numbered = *record;
    int rc = rill_usage_file_put(&rm->usage, &numbered);

    if (rc != 0 && !rm->usage.failed)
        rill_daemon_say("usage records can not be written, and are lost: %s", strerror(-rc));
    rm->usage.failed = rc != 0;
}

static bool used_before(void *arg, const char *deployment, const char *role,
                        struct rill_usage_counts *counts, uint64_t *end_ns)
{
    const struct rm *rm = arg;
    const struct rill_usage_sum *sum = rill_usage_file_sum(&rm->usage, deployment, role);

    if (sum == NULL)
        return false;
    *counts = sum->counts;
    *end_ns = sum->end_ns;
    return true;
}

/* By who leads: numbers go on where the one before ended. */
static int open_usage(struct rm *rm, struct rill_error *err)
{
    char path[PATH_BYTES + 32];

    snprintf(path, sizeof(path), "%s/logs/usage.jsonl", rm->base);
    return rill_usage_file_open(&rm->usage, path, err);
}

static uint64_t draw_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        rill_daemon_refuse("no random numbers from the kernel");
    return seed;
}

static void save(void *arg, uint64_t version, const char *name, const void *data, size_t bytes)
{
    struct rm *rm = arg;

    rill_store_save(rm->store, version, name, data, bytes);
}

static const char *registry_state(void *arg, uint32_t *standbys)
{
    struct rm *rm = arg;

    rill_store_state(rm->store, &rm->state);
    *standbys = rm->state.standbys;
    return rm->state.registry;
}

static int create_director(struct rm *rm, uint64_t number, struct rill_error *err)
{
    struct rill_director_config config = {.id = rill_role_id(RILL_ROLE_RM, 1),
                                          .cluster = rm->cluster,
                                          .warm = rm->warm,
                                          .first_number = 1,
                                          .number = number,
                                          .save = save,
                                          .registry = registry_state,
                                          .start_timeout_ns = START_TIMEOUT_S * SECOND_NS,
                                          .links_timeout_ns = LINKS_TIMEOUT_S * SECOND_NS,
                                          .deaths_max = DEATHS_MAX,
                                          .deaths_window_ns = DEATHS_WINDOW_S * SECOND_NS,
                                          .fabric_crosses_machines = false, /* memif does not */
                                          .links_root = "/run/links",
                                          .links_root_host = rm->links,
                                          .seed = draw_seed(),
                                          .pool = rm->pool,
                                          .send = on_send,
                                          .make_folder = make_folder,
                                          .remove_folder = remove_folder,
                                          .say = say,
                                          .usage = keep_usage,
                                          .usage_before = used_before,
                                          .arg = rm};

    rm->director = rill_director_create(&config, rill_daemon_now_ns(), err);
    return rm->director == NULL ? -ENOMEM : 0;
}

/* --- leading ---------------------------------------------------------------------------------- */

static void close_listeners(struct rm *rm)
{
    for (int i = 0; i < LISTENERS; i++) {
        rill_link_close(rm->listeners[i].link);
        rm->listeners[i].link = NULL;
    }
}

static void on_leads(void *arg, uint64_t number, const struct rill_director_record *records,
                     uint32_t count)
{
    struct rm *rm = arg;
    struct rill_error err;
    int rc;

    rill_daemon_say("leads, as resource manager %" PRIu64 " of the cluster", number);
    rm->deposed = false;
    rill_usage_file_close(&rm->usage);
    rc = open_usage(rm, &err);
    if (rc == 0)
        rc = create_director(rm, number, &err);
    if (rc == 0)
        rc = rill_director_adopt(rm->director, records, count, &err);
    if (rc == 0)
        rc = listen_at_all(rm, number, &err);
    if (rc == -ESTALE)
        rm->deposed = true; /* the store says so, too, soon */
    else if (rc != 0)
        rill_daemon_refuse("%s", err.text);
    uv_timer_start(&rm->timer, on_timer, 0, 0);
}

static void on_saved(void *arg, uint64_t version)
{
    struct rm *rm = arg;

    if (rm->director != NULL)
        rill_director_saved(rm->director, version);
}

static void on_deposed(void *arg)
{
    struct rm *rm = arg;

    rm->deposed = true;
    uv_timer_start(&rm->timer, on_timer, 0, 0);
}

static void end_leading(struct rm *rm)
{
    rm->deposed = false;
    if (rm->director == NULL)
        return;
    rill_daemon_say("another resource manager leads: stands by");
    close_listeners(rm);
    rill_director_destroy(rm->director);
    rill_usage_file_close(&rm->usage);
    rm->director = NULL;
    uv_timer_stop(&rm->timer);
}

static void on_over(void *arg)
{
    struct rm *rm = arg;

    rill_daemon_say("the cluster went down");
    uv_stop(&rm->loop);
}

static void open_store(struct rm *rm, const char *registry, const char *folder, const char *name,
                       uint64_t session_ms)
{
    static const char zookeeper[] = "zookeeper:";
    const struct rill_store_events events = {.leads = on_leads,
                                             .saved = on_saved,
                                             .deposed = on_deposed,
                                             .over = on_over,
                                             .say = say,
                                             .arg = rm};
    struct rill_store_registry where = {.loop = &rm->loop,
                                        .servers = registry + strlen(zookeeper),
                                        .folder = folder,
                                        .name = name,
                                        .session_ns = session_ms * MS_NS};
    char path[PATH_BYTES];
    struct rill_error err;
    int rc = rill_leader_path_prepare(rm->base, &err);

    snprintf(path, sizeof(path), "%s/rm/kept", rm->base);
    if (rc == 0 && strcmp(registry, "local") == 0)
        rc = rill_store_open_local(path, &events, &rm->store, &err);
    else if (rc == 0 && strncmp(registry, zookeeper, strlen(zookeeper)) == 0)
        rc = rill_store_open_registry(&where, &events, &rm->store, &err);
    else if (rc == 0)
        rill_daemon_refuse("--registry: '%.100s' is neither local nor zookeeper:HOST:PORT,...",
                           registry);
    if (rc != 0)
        rill_daemon_refuse("%s", err.text);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void open_pool(struct rm *rm, uint32_t memory_mb)
{
    struct rill_error err;

    if (rill_eal_init(memory_mb, &err) != 0)
        rill_daemon_refuse("%s", err.text);
    rm->pool = rill_frame_pool_create("rill_rm", FRAMES, &err);
    if (rm->pool == NULL)
        rill_daemon_refuse("%s", err.text);
}

static void close_all(struct rm *rm)
{
    rm->closing = true;
    for (int i = 0; i < LISTENERS; i++) {
        if (rm->listeners[i].link != NULL)
            rill_link_flush(rm->listeners[i].link, FLUSH_MS);
    }
    close_listeners(rm);
    rill_store_close(rm->store);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&rm->signals[i], NULL);
    uv_close((uv_handle_t *)&rm->timer, NULL);
    uv_run(&rm->loop, UV_RUN_DEFAULT);
    uv_loop_close(&rm->loop);
    rill_director_destroy(rm->director);
    rill_usage_file_close(&rm->usage);
    rte_mempool_free(rm->pool);
}

int main(int argc, char **argv)
{
    static struct rm rm;
    const char *uid = NULL, *registry = "local", *folder = "/rill", *name = "1", *session = "2000";
    const char *warm = "1", *memory = "128", *log_lines = "100", *log_mb = "16";
    const struct rill_daemon_option options[] = {
        {"--cluster", "NAME", "the cluster's name", true, &rm.cluster},
        {"--base", "FOLDER", "the cluster's folder; FOLDER/rm.sock leads to it", true, &rm.base},
        {"--uid", "N", "of the containers' root on the host", true, &uid},
        {"--listen", "URL", "listens at tcp://ADDRESS:PORT too, for other machines", false,
         &rm.listen},
        {"--registry", "WHERE",
         "local: this one leads; zookeeper:HOST:PORT,...: one of several is elected", false,
         &registry},
        {"--registry-folder", "PATH", "in the registry, of this cluster alone", false, &folder},
        {"--name", "NAME", "among the resource managers in the registry", false, &name},
        {"--session-ms", "N", "a leader of whom the registry hears nothing for so long is gone",
         false, &session},
        {"--warm", "N", "units and output loggers that are kept warm", false, &warm},
        {"--memory-mb", "N", "memory that DPDK may take", false, &memory},
        {"--log-mb", "N", "size of its log file and of the one before, together", false, &log_mb},
        {"--log-lines-per-s", "N", "lines on stderr, at most", false, &log_lines},
        {NULL, NULL, NULL, false, NULL}};
    uint32_t memory_mb;

    rill_daemon_options("rill-rm", options, argc, argv);
    rm.uid = (uint32_t)rill_daemon_number("--uid", uid, 1, UINT32_MAX - 1);
    rill_daemon_log_limit(rill_daemon_number("--log-lines-per-s", log_lines, 1, 1000000));
    rill_daemon_log_file(rill_daemon_number("--log-mb", log_mb, 1, 1000000) << 20);
    rm.warm = (uint32_t)rill_daemon_number("--warm", warm, 0, WARM_MAX);
    memory_mb = (uint32_t)rill_daemon_number("--memory-mb", memory, MEMORY_MB_MIN, 65536);
    if (snprintf(rm.links, sizeof(rm.links), "%s/links", rm.base) >= (int)sizeof(rm.links) - 16)
        rill_daemon_refuse("--base: the path is too long for a socket's");
    if (rm.listen != NULL && strncmp(rm.listen, "tcp://", 6) != 0)
        rill_daemon_refuse("--listen: %.100s is no tcp://ADDRESS:PORT", rm.listen);
    signal(SIGPIPE, SIG_IGN);
    open_pool(&rm, memory_mb);
    open_loop(&rm);
    open_store(&rm, registry, folder, name,
               rill_daemon_number("--session-ms", session, 100, 600000));
    schedule(&rm);
    uv_run(&rm.loop, UV_RUN_DEFAULT);
    close_all(&rm);
    return 0;
}
