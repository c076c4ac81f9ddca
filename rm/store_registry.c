/* A registry: several processes, of which one is elected (lib/registry/election.h). What it keeps
 * is written under its leadership's number, record by record in order; a write of one whose place
 * was taken is refused there.
 *
 *   FOLDER/election/   who leads
 *   FOLDER/members/    who is there: the leader, and those that stand by
 *   FOLDER/kept/NAME   a record (store_nodes.h)
 *   FOLDER/kept/over   the cluster went down: nobody leads any more
 *
 * While the store is away, or has expired the session, the leader goes on: all that it could do
 * wrong it would have to write down first. If it is elected again, and nobody was in between, it
 * goes on as the same; if another one was, it is deposed. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "lib/daemon/daemon.h"
#include "lib/registry/election.h"
#include "lib/registry/lease_table.h"
#include "lib/registry/membership.h"
#include "lib/registry/registry_zookeeper.h"
#include "rm/leader_death.h"
#include "rm/store_internal.h"
#include "rm/store_nodes.h"

enum {
    PATH_BYTES = RILL_REGISTRY_PATH_MAX + 1,
    AGAIN_MS = 50,
    END_MS = 3000,
};
#define MS_NS UINT64_C(1000000)

static const char over_key[] = "over";

struct kept {
    struct rill_store base;
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;
    bool polls;
    unsigned handles;
    char servers[RILL_STORE_LINE_BYTES], folder[PATH_BYTES], name[64];
    uint64_t session_ns;
    struct rill_registry *registry;
    struct rill_election *election;
    struct rill_lease_table *table;
    struct rill_membership *membership;
    struct rill_leader_death death; /* of the one that this one stands by for */
    char info[RILL_LEADER_INFO_BYTES];
    bool folder_is_there, reading, lost, closing, turning;
    uint64_t number; /* under which its owner leads; 0: it does not */
    uint64_t epoch;  /* of the newest leadership of its own */
    uint64_t again_ns;
    struct store_nodes nodes;
};

static struct kept *kept_of(struct rill_store *store)
{
    return (struct kept *)store;
}

static void say(const struct kept *k, const char *line)
{
    k->base.events.say(k->base.events.arg, line);
}

static void schedule(struct kept *k);

/* --- writing ---------------------------------------------------------------------------------- */

static void stop_leading(struct kept *k)
{
    store_nodes_drop_jobs(&k->nodes);
    if (k->number == 0)
        return;
    k->number = 0;
    k->base.events.deposed(k->base.events.arg);
}

static void on_written(void *arg, const char *key, int status)
{
    struct kept *k = arg;
    char line[RILL_STORE_LINE_BYTES];

    k->nodes.busy = false;
    if (k->nodes.first == NULL || strcmp(k->nodes.first->key, key) != 0)
        return; /* deposed meanwhile */
    if (status == 0) {
        uint64_t version = store_nodes_done(&k->nodes);

        if (version != 0 && k->number != 0)
            k->base.events.saved(k->base.events.arg, version);
        return;
    }
    k->again_ns = rill_daemon_now_ns() + AGAIN_MS * MS_NS;
    if (status == -ESTALE) {
        stop_leading(k);
    } else if (status != -ECONNRESET && status != -ESHUTDOWN) {
        snprintf(line, sizeof(line), "the registry did not take %.60s: %s; tries again", key,
                 rill_registry_status_text(status));
        say(k, line);
    }
}

static void write_next(struct kept *k, uint64_t now_ns)
{
    const struct store_job *job = k->nodes.first;
    struct rill_registry_op fence;
    struct rill_error err;

    if (k->nodes.busy || job == NULL || now_ns < k->again_ns || k->election == NULL ||
        rill_election_epoch(k->election) != k->epoch || k->epoch == 0)
        return;
    fence = rill_election_fence(k->election);
    k->nodes.busy = true;
    if (rill_lease_table_write(k->table, &fence, job->key, job->removes ? NULL : job->data,
                               (uint32_t)job->bytes, on_written, k, &err) == 0)
        return;
    k->nodes.busy = false;
    k->again_ns = now_ns + AGAIN_MS * MS_NS;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void on_record(void *arg, const char *key, const void *data, uint32_t bytes)
{
    struct kept *k = arg;

    store_nodes_add_read(&k->nodes, key, data, bytes);
}

static void lead(struct kept *k)
{
    struct rill_director_record records[STORE_NAMES_MAX] = {{.name = NULL}};
    uint32_t count = store_nodes_records(&k->nodes, records);

    k->number = k->epoch;
    k->base.events.leads(k->base.events.arg, k->number, records, count);
    for (uint32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)records[i].data);
}

static void on_read(void *arg, int status)
{
    struct kept *k = arg;

    k->reading = false;
    if (status == 0 && rill_election_epoch(k->election) == k->epoch && k->number == 0) {
        if (store_nodes_has_read(&k->nodes, over_key))
            k->base.events.over(k->base.events.arg);
        else
            lead(k);
    }
    store_nodes_drop_read(&k->nodes);
}

/* Elected, and not told its owner yet. */
static void read_if_due(struct kept *k, uint64_t now_ns)
{
    const struct rill_lease_table_reader reader = {.record = on_record, .done = on_read, .arg = k};
    struct rill_error err;

    if (k->number != 0 || k->reading || k->election == NULL || !k->folder_is_there ||
        rill_election_epoch(k->election) == 0 || now_ns < k->again_ns)
        return;
    k->epoch = rill_election_epoch(k->election);
    store_nodes_drop_read(&k->nodes);
    k->reading = rill_lease_table_read(k->table, &reader, &err) == 0;
    k->again_ns = now_ns + AGAIN_MS * MS_NS;
}

/* --- the election ----------------------------------------------------------------------------- */

static void on_elected(void *arg, uint64_t epoch)
{
    struct kept *k = arg;

    if (k->number != 0 && epoch != k->epoch + 1)
        stop_leading(k); /* somebody was in between */
    else if (k->number != 0)
        say(k, "the registry is back, and nobody else led meanwhile: goes on");
    k->epoch = epoch;
}

static void on_deposed(void *arg)
{
    struct kept *k = arg;

    if (k->number != 0)
        say(k, "leads no more as far as the registry goes; goes on with what is written down");
}

static void on_leader(void *arg, uint64_t epoch, const void *info, uint32_t info_bytes)
{
    struct kept *k = arg;

    rill_leader_death_watch(&k->death, epoch, info, info_bytes);
    if (k->number != 0 && epoch > k->epoch && epoch != rill_election_epoch(k->election))
        k->lost = true; /* it may be our own next one: on_elected() knows */
}

/* --- the session ------------------------------------------------------------------------------ */

static const char *below(const struct kept *k, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%.200s/%s", k->folder, name);
    return path;
}

static void on_folder(void *arg, const struct rill_registry_result *result)
{
    struct kept *k = arg;

    k->folder_is_there = result->status == 0 || result->status == -EEXIST;
}

static void on_state(void *arg, enum rill_registry_state state)
{
    struct kept *k = arg;
    char path[PATH_BYTES];
    struct rill_error err;

    if (state == RILL_REGISTRY_CONNECTED && !k->folder_is_there)
        rill_registry_make_folder(k->registry, below(k, "kept", path), on_folder, k, &err);
    say(k, state == RILL_REGISTRY_CONNECTED   ? "the registry is there"
           : state == RILL_REGISTRY_SUSPENDED ? "the registry is away"
                                              : "the registry has ended the session");
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    rill_store_turn(poll->data);
}

static void close_session(struct kept *k)
{
    if (k->polls)
        uv_poll_stop(&k->poll);
    rill_leader_death_end(&k->death);
    rill_membership_destroy(k->membership);
    rill_election_destroy(k->election);
    rill_lease_table_destroy(k->table);
    rill_registry_close(k->registry);
    k->membership = NULL;
    k->election = NULL;
    k->table = NULL;
    k->registry = NULL;
    k->nodes.busy = k->reading = false;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct kept *k = handle->data;

    if (--k->handles == 0)
        free(k);
}

static int open_parts(struct kept *k, struct rill_error *err)
{
    const struct rill_membership_events nobody = {0};
    struct rill_election_config election = {
        .info = rill_leader_info(k->name, k->info),
        .info_bytes = (uint32_t)strlen(k->info),
        .events = {.elected = on_elected, .deposed = on_deposed, .leader = on_leader, .arg = k}};
    char path[PATH_BYTES];
    int rc = rill_registry_listen(k->registry, on_state, k);

    if (rc == 0)
        rc = rill_lease_table_create(k->registry, below(k, "kept", path), &k->table, err);
    election.folder = below(k, "election", path);
    rill_leader_death_begin(&k->death, k->registry, path);
    if (rc == 0)
        rc = rill_election_create(k->registry, &election, &k->election, err);
    if (rc == 0)
        rc = rill_membership_create(k->registry, below(k, "members", path), &nobody, &k->membership,
                                    err);
    if (rc == 0)
        rc = rill_membership_enter(k->membership, k->name, "", 0, err);
    return rc;
}

static int open_session(struct kept *k, struct rill_error *err)
{
    int rc = rill_registry_connect_zookeeper(k->servers, k->session_ns, rill_daemon_now_ns(),
                                             &k->registry, err);

    k->folder_is_there = false;
    if (rc == 0)
        rc = open_parts(k, err);
    if (rc != 0)
        return rc;
    if (uv_poll_init(k->loop, &k->poll, rill_registry_fd(k->registry)) != 0)
        return rill_error_set(err, -EIO, "the registry's events can't be waited for");
    k->poll.data = k;
    k->polls = true;
    k->handles++;
    uv_poll_start(&k->poll, UV_READABLE, on_readable);
    return 0;
}

/* Polls are closed, not used again: their memory has to stay until the loop has turned. So a new
 * session is opened only then. */
static void on_poll_gone(uv_handle_t *handle)
{
    struct kept *k = handle->data;
    struct rill_error err;

    k->polls = false;
    if (k->closing) {
        on_poll_closed(handle);
        return;
    }
    k->handles--;
    if (open_session(k, &err) != 0)
        say(k, err.text);
    schedule(k);
}

static void renew_session(struct kept *k)
{
    close_session(k);
    uv_close((uv_handle_t *)&k->poll, on_poll_gone);
}

/* --- time ------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    rill_store_turn(timer->data);
}

static void schedule(struct kept *k)
{
    uint64_t now_ns = rill_daemon_now_ns(), next_ns = now_ns + AGAIN_MS * MS_NS;

    if (k->closing || k->registry == NULL)
        return;
    next_ns = RTE_MIN(next_ns, rill_registry_next_ns(k->registry));
    next_ns = RTE_MIN(next_ns, rill_election_next_ns(k->election));
    uv_update_time(k->loop);
    uv_timer_start(&k->timer, on_timer, next_ns <= now_ns ? 0 : (next_ns - now_ns) / MS_NS + 1, 0);
}

static void turn_session(struct kept *k, uint64_t now_ns)
{
    rill_registry_turn(k->registry, now_ns);
    rill_election_turn(k->election, now_ns);
    if (k->lost && rill_election_epoch(k->election) == 0)
        stop_leading(k);
    k->lost = false;
    if (rill_leader_death_look(&k->death))
        say(k, "the process that led has ended");
    read_if_due(k, now_ns);
    write_next(k, now_ns);
}

static void turn(struct rill_store *store)
{
    struct kept *k = kept_of(store);

    if (k->registry == NULL || k->turning || k->closing)
        return;
    k->turning = true;
    turn_session(k, rill_daemon_now_ns());
    k->turning = false;
    if (k->closing)
        return;
    if (rill_registry_state(k->registry) == RILL_REGISTRY_EXPIRED)
        renew_session(k);
    schedule(k);
}

/* --- for its owner ---------------------------------------------------------------------------- */

static void save(struct rill_store *store, uint64_t version, const char *name, const void *data,
                 size_t bytes)
{
    struct kept *k = kept_of(store);

    if (k->number != 0)
        store_nodes_save(&k->nodes, version, name, data, bytes);
}

static void end(struct rill_store *store)
{
    struct kept *k = kept_of(store);
    uint64_t until_ns = rill_daemon_now_ns() + END_MS * MS_NS;

    if (k->number == 0 || k->registry == NULL)
        return;
    store_nodes_save_last(&k->nodes, over_key, "state");
    store_nodes_remove_all(&k->nodes);
    while (k->nodes.first != NULL && rill_daemon_now_ns() < until_ns) {
        struct pollfd wait = {.fd = rill_registry_fd(k->registry), .events = POLLIN};

        poll(&wait, 1, 10);
        turn_session(k, rill_daemon_now_ns());
    }
}

static void state(const struct rill_store *store, struct rill_store_state *state)
{
    static const char *const states[] = {[RILL_REGISTRY_SUSPENDED] = "away",
                                         [RILL_REGISTRY_CONNECTED] = "connected",
                                         [RILL_REGISTRY_EXPIRED] = "session expired"};
    const struct kept *k = (const struct kept *)store;
    enum rill_registry_state now =
        k->registry == NULL ? RILL_REGISTRY_EXPIRED : rill_registry_state(k->registry);
    uint32_t members = k->membership == NULL ? 0 : rill_membership_count(k->membership);

    *state = (struct rill_store_state){.number = k->number};
    snprintf(state->registry, sizeof(state->registry), "zookeeper %.200s: %s", k->servers,
             states[now]);
    state->standbys = members > 1 ? members - 1 : 0;
}

static void close_store(struct rill_store *store)
{
    struct kept *k = kept_of(store);

    k->closing = true;
    close_session(k);
    store_nodes_fini(&k->nodes);
    if (k->polls && !uv_is_closing((uv_handle_t *)&k->poll))
        uv_close((uv_handle_t *)&k->poll, on_poll_gone);
    uv_close((uv_handle_t *)&k->timer, on_poll_closed);
}

int rill_store_open_registry(const struct rill_store_registry *where,
                             const struct rill_store_events *events, struct rill_store **result,
                             struct rill_error *err)
{
    static const struct rill_store_ops ops = {
        .close = close_store, .turn = turn, .save = save, .end = end, .state = state};
    struct kept *k = calloc(1, sizeof(*k));
    int rc;

    *result = NULL;
    if (k == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the registry");
    k->base = (struct rill_store){.ops = &ops, .events = *events};
    k->loop = where->loop;
    k->session_ns = where->session_ns;
    snprintf(k->servers, sizeof(k->servers), "%s", where->servers);
    snprintf(k->folder, sizeof(k->folder), "%s", where->folder);
    snprintf(k->name, sizeof(k->name), "rm-%.60s", where->name);
    uv_timer_init(k->loop, &k->timer);
    k->timer.data = k;
    k->handles = 1;
    rc = open_session(k, err);
    if (rc != 0) {
        close_store(&k->base);
        return rc;
    }
    schedule(k);
    *result = &k->base;
    return 0;
}
