/* A registry: several processes, of which one is elected (lib/registry/election.h). What it keeps
 * is written under its leadership's number, record by record in order; a write of one whose place
 * was taken is refused there.
 *
 *   FOLDER/election/   who leads
 *   FOLDER/members/    who is there: the leader, and those that stand by
 *   FOLDER/kept/NAME   "I" and the record, or "P VERSION PARTS" where it is too large for a node
 *   FOLDER/kept/NAME.VERSION.PART
 *   FOLDER/kept/over   the cluster went down: nobody leads any more
 *
 * While the store is away, or has expired the session, the leader goes on: all that it could do
 * wrong it would have to write down first. If it is elected again, and nobody was in between, it
 * goes on as the same; if another one was, it is deposed. */
#include <errno.h>
#include <inttypes.h>
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

enum {
    PART_BYTES = 60000,
    PARTS_MAX = 1024,
    NAMES_MAX = 2 * RILL_DIRECTOR_DEPLOYMENTS_MAX + 8,
    KEY_BYTES = RILL_STORE_NAME_MAX + 32,
    PATH_BYTES = RILL_REGISTRY_PATH_MAX + 1,
    AGAIN_MS = 50,
    END_MS = 3000,
};
#define MS_NS UINT64_C(1000000)

static const char over_key[] = "over";

/* One node to be written or deleted. */
struct job {
    struct job *next;
    char key[KEY_BYTES];
    char name[RILL_STORE_NAME_MAX + 1]; /* of the record that it is of; "": of none any more */
    bool removes;
    uint32_t parts;   /* of a head: how many there are of its version; 0: it holds the record */
    uint64_t version; /* told when it is done; 0: is not */
    size_t bytes;
    uint8_t data[];
};

struct head { /* a record that is there */
    char name[RILL_STORE_NAME_MAX + 1];
    uint64_t version;
    uint32_t parts;
};

struct node { /* read, before it leads */
    char key[KEY_BYTES];
    uint8_t *data;
    uint32_t bytes;
};

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
    bool folder_is_there, reading, busy, lost, closing, turning;
    uint64_t number; /* under which its owner leads; 0: it does not */
    uint64_t epoch;  /* of the newest leadership of its own */
    uint64_t again_ns;
    struct job *first, *last; /* the first is under way if `busy` */
    struct head heads[NAMES_MAX];
    struct node *nodes;
    uint32_t node_count, node_room;
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

/* --- jobs ------------------------------------------------------------------------------------- */

static struct job *add_job(struct kept *k, const char *key, const char *name, const void *data,
                           size_t bytes)
{
    struct job *job = calloc(1, sizeof(*job) + bytes + 1);

    if (job == NULL)
        abort(); /* what was said to be kept has to be; the next one goes on with what is */
    snprintf(job->key, sizeof(job->key), "%s", key);
    snprintf(job->name, sizeof(job->name), "%s", name);
    job->bytes = bytes;
    if (data != NULL)
        memcpy(job->data, data, bytes);
    if (k->first == NULL)
        k->first = job;
    else
        k->last->next = job;
    k->last = job;
    return job;
}

static void drop_first(struct kept *k)
{
    struct job *job = k->first;

    k->first = job->next;
    free(job);
}

static void drop_jobs(struct kept *k)
{
    while (k->first != NULL)
        drop_first(k);
}

/* Those of that record that wait: a newer one takes their place. */
static void supersede(struct kept *k, const char *name)
{
    struct job **at = k->busy && k->first != NULL ? &k->first->next : &k->first;

    while (*at != NULL) {
        struct job *job = *at;

        if (strcmp(job->name, name) != 0 || job->removes) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        free(job);
    }
    k->last = k->first;
    while (k->last != NULL && k->last->next != NULL)
        k->last = k->last->next;
}

static void part_key(char key[KEY_BYTES], const char *name, uint64_t version, uint32_t part)
{
    snprintf(key, KEY_BYTES, "%s.%" PRIu64 ".%" PRIu32, name, version, part);
}

static struct head *head_named(struct kept *k, const char *name)
{
    struct head *unused = NULL;

    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        if (strcmp(k->heads[i].name, name) == 0)
            return &k->heads[i];
        if (k->heads[i].name[0] == '\0' && unused == NULL)
            unused = &k->heads[i];
    }
    if (unused != NULL)
        snprintf(unused->name, sizeof(unused->name), "%s", name);
    return unused;
}

static void remove_parts(struct kept *k, const struct head *head)
{
    char key[KEY_BYTES];

    for (uint32_t i = 0; i < head->parts; i++) {
        part_key(key, head->name, head->version, i);
        add_job(k, key, "", NULL, 0)->removes = true;
    }
}

/* The head of a record is another one now: what the one before pointed to is nobody's. */
static void note_head(struct kept *k, const struct job *job)
{
    struct head *head = head_named(k, job->name);

    if (head == NULL)
        return;
    remove_parts(k, head);
    head->parts = job->parts;
    head->version = job->version;
    if (job->removes)
        *head = (struct head){.name = ""};
}

/* --- writing ---------------------------------------------------------------------------------- */

static void stop_leading(struct kept *k)
{
    drop_jobs(k);
    if (k->number == 0)
        return;
    k->number = 0;
    k->base.events.deposed(k->base.events.arg);
}

static void on_written(void *arg, const char *key, int status)
{
    struct kept *k = arg;
    char line[RILL_STORE_LINE_BYTES];

    k->busy = false;
    if (k->first == NULL || strcmp(k->first->key, key) != 0)
        return; /* deposed meanwhile */
    if (status == 0) {
        struct job *job = k->first;
        uint64_t version = job->version;

        if (strcmp(job->key, job->name) == 0)
            note_head(k, job);
        drop_first(k);
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
    const struct job *job = k->first;
    struct rill_registry_op fence;
    struct rill_error err;

    if (k->busy || job == NULL || now_ns < k->again_ns || k->election == NULL ||
        rill_election_epoch(k->election) != k->epoch || k->epoch == 0)
        return;
    fence = rill_election_fence(k->election);
    k->busy = true;
    if (rill_lease_table_write(k->table, &fence, job->key, job->removes ? NULL : job->data,
                               (uint32_t)job->bytes, on_written, k, &err) == 0)
        return;
    k->busy = false;
    k->again_ns = now_ns + AGAIN_MS * MS_NS;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void free_nodes(struct kept *k)
{
    for (uint32_t i = 0; i < k->node_count; i++)
        free(k->nodes[i].data);
    k->node_count = 0;
}

static void on_record(void *arg, const char *key, const void *data, uint32_t bytes)
{
    struct kept *k = arg;
    struct node *node;

    if (k->node_count == k->node_room) {
        uint32_t room = k->node_room == 0 ? 64 : 2 * k->node_room;

        k->nodes = realloc(k->nodes, room * sizeof(*node));
        if (k->nodes == NULL)
            abort();
        k->node_room = room;
    }
    node = &k->nodes[k->node_count++];
    snprintf(node->key, sizeof(node->key), "%s", key);
    node->bytes = bytes;
    node->data = malloc((size_t)bytes + 1);
    if (node->data == NULL)
        abort();
    memcpy(node->data, data, bytes);
    node->data[bytes] = '\0';
}

static const struct node *node_of(const struct kept *k, const char *key)
{
    for (uint32_t i = 0; i < k->node_count; i++)
        if (strcmp(k->nodes[i].key, key) == 0)
            return &k->nodes[i];
    return NULL;
}

/* NULL: a part is missing. */
static uint8_t *join_parts(const struct kept *k, const struct head *head, size_t *bytes)
{
    uint8_t *all = malloc((size_t)head->parts * PART_BYTES + 1);

    *bytes = 0;
    for (uint32_t i = 0; all != NULL && i < head->parts; i++) {
        char key[KEY_BYTES];
        const struct node *node;

        part_key(key, head->name, head->version, i);
        node = node_of(k, key);
        if (node == NULL || node->bytes > PART_BYTES) {
            free(all);
            return NULL;
        }
        memcpy(all + *bytes, node->data, node->bytes);
        *bytes += node->bytes;
    }
    return all;
}

/* The caller's to free; NULL: it is no record, or not whole. */
static uint8_t *read_record(struct kept *k, const struct node *node, size_t *bytes)
{
    struct head *head;
    uint8_t *data;

    if (strchr(node->key, '.') != NULL || node->bytes == 0 ||
        strlen(node->key) > RILL_STORE_NAME_MAX)
        return NULL;
    head = head_named(k, node->key);
    if (head == NULL)
        return NULL;
    if (node->data[0] == 'P' &&
        sscanf((const char *)node->data, "P %" SCNu64 " %" SCNu32, &head->version, &head->parts) ==
            2 &&
        head->parts <= PARTS_MAX)
        return join_parts(k, head, bytes);
    if (node->data[0] != 'I')
        return NULL;
    *bytes = node->bytes - 1;
    data = malloc(*bytes + 1);
    if (data != NULL)
        memcpy(data, node->data + 1, *bytes);
    return data;
}

static void lead(struct kept *k)
{
    struct rill_director_record records[NAMES_MAX] = {{.name = NULL}};
    uint32_t count = 0;

    memset(k->heads, 0, sizeof(k->heads));
    for (uint32_t i = 0; i < k->node_count && count < NAMES_MAX; i++) {
        size_t bytes = 0;
        uint8_t *data = read_record(k, &k->nodes[i], &bytes);

        if (data != NULL)
            records[count++] = (struct rill_director_record){
                .name = k->nodes[i].key, .data = data, .bytes = bytes};
    }
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
        if (node_of(k, over_key) != NULL)
            k->base.events.over(k->base.events.arg);
        else
            lead(k);
    }
    free_nodes(k);
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
    free_nodes(k);
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
    k->busy = k->reading = false;
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

static void save_large(struct kept *k, uint64_t version, const char *name, const uint8_t *data,
                       size_t bytes)
{
    uint32_t parts = (uint32_t)((bytes + PART_BYTES - 1) / PART_BYTES);
    char text[64], key[KEY_BYTES];
    struct job *head;

    for (uint32_t i = 0; i < parts; i++) {
        size_t at = (size_t)i * PART_BYTES;

        part_key(key, name, version, i);
        add_job(k, key, name, data + at, RTE_MIN((size_t)PART_BYTES, bytes - at));
    }
    snprintf(text, sizeof(text), "P %" PRIu64 " %" PRIu32, version, parts);
    head = add_job(k, name, name, text, strlen(text));
    head->version = version;
    head->parts = parts;
}

static void save(struct rill_store *store, uint64_t version, const char *name, const void *data,
                 size_t bytes)
{
    struct kept *k = kept_of(store);
    struct job *job;

    if (k->number == 0)
        return;
    supersede(k, name);
    if (data == NULL) {
        job = add_job(k, name, name, NULL, 0);
        job->removes = true;
    } else if (bytes >= PART_BYTES) {
        save_large(k, version, name, data, bytes);
    } else {
        job = add_job(k, name, name, NULL, 1 + bytes);
        job->data[0] = 'I';
        memcpy(job->data + 1, data, bytes);
        job->version = version;
    }
}

static void end(struct rill_store *store)
{
    struct kept *k = kept_of(store);
    uint64_t until_ns = rill_daemon_now_ns() + END_MS * MS_NS;

    if (k->number == 0 || k->registry == NULL)
        return;
    supersede(k, "state");
    add_job(k, over_key, "", "1", 1);
    for (uint32_t i = 0; i < NAMES_MAX; i++)
        if (k->heads[i].name[0] != '\0')
            save(store, 0, k->heads[i].name, NULL, 0);
    while (k->first != NULL && rill_daemon_now_ns() < until_ns) {
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
    drop_jobs(k);
    close_session(k);
    free_nodes(k);
    free(k->nodes);
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
