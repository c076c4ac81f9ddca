#include "lib/registry/election.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/registry/number.h"

#define RETRY_NS UINT64_C(100000000)

enum step {
    IDLE,      /* nothing is asked for: as there is a leader, or no connection, or it is to be tried
                  again later */
    PREPARING, /* makes the folder and the number's node, reads that */
    TRYING,    /* to become leader */
    WON,       /* to be told at the next turn */
    LEADING,
    RESIGNING, /* the session lasted, the leadership did not */
};

struct rill_election {
    struct rill_registry *registry;
    struct rill_election_config config;
    enum step step;
    uint64_t now_ns, retry_ns;
    uint64_t leader_epoch; /* as the watch told last; 0: none */
    uint64_t epoch;        /* the last read; or this one's own, from TRYING on */
    int32_t epoch_version; /* of its node, likewise */
    bool leader_known, leader_there, leader_mine; /* as the watch told last */
    bool lost;                                    /* the node is gone, or another's */
    struct rill_error problem;
    char folder[RILL_REGISTRY_PATH_MAX + 1];
    char leader_path[RILL_REGISTRY_PATH_MAX + 1], epoch_path[RILL_REGISTRY_PATH_MAX + 1];
    char info[RILL_ELECTION_INFO_MAX];
};

static void prepare(struct rill_election *e);
static void go_on(struct rill_election *e);

/* --- what may go wrong ------------------------------------------------------------------------ */

/* Without a connection there will be a CONNECTED; else it is tried again after a while. */
static void give_up_for_now(struct rill_election *e, enum step step, int status)
{
    e->step = step;
    e->retry_ns = e->now_ns + RETRY_NS;
    if (status != 0 && status != -ECONNRESET && status != -ENOTCONN)
        rill_error_set(&e->problem, status, "election in %s: %s", e->folder,
                       rill_registry_status_text(status));
}

static bool wants_to_lead(const struct rill_election *e)
{
    return !e->config.watches_only && e->leader_known && !e->leader_there &&
           rill_registry_state(e->registry) == RILL_REGISTRY_CONNECTED;
}

/* --- giving up -------------------------------------------------------------------------------- */

static void on_resigned(void *arg, const struct rill_registry_result *result)
{
    struct rill_election *e = arg;

    if (result->status == -ECONNRESET || result->status == -ESHUTDOWN) {
        give_up_for_now(e, RESIGNING, result->status);
        return;
    }
    e->step = IDLE; /* -ESTALE, -ENOENT: it was gone anyway */
    e->retry_ns = 0;
}

/* Deletes `leader` only if nobody else has won since. */
static void resign(struct rill_election *e, rill_registry_done *done)
{
    const struct rill_registry_op ops[] = {
        {.type = RILL_REGISTRY_CHECK, .path = e->epoch_path, .version = e->epoch_version},
        {.type = RILL_REGISTRY_DELETE,
         .path = e->leader_path,
         .version = RILL_REGISTRY_ANY_VERSION},
    };
    int rc = rill_registry_ask(e->registry, ops, 2, done, e, NULL);

    e->step = RESIGNING;
    e->lost = e->leader_mine = false;
    e->retry_ns = rc == 0 ? UINT64_MAX : e->now_ns + RETRY_NS;
}

/* A `leader` of this session, though nothing is under way: it was won, and that answer lost. It is
 * given up and tried anew, but only by the version of its own number: what was told of the node may
 * be old, and somebody else's be there by now. */
static bool has_unknown_win(const struct rill_election *e)
{
    return e->leader_mine && !e->config.watches_only &&
           rill_registry_state(e->registry) == RILL_REGISTRY_CONNECTED;
}

/* --- trying ----------------------------------------------------------------------------------- */

static void on_tried(void *arg, const struct rill_registry_result *result)
{
    struct rill_election *e = arg;

    if (result->status == 0) {
        e->step = WON;
        e->problem.text[0] = '\0';
    } else if (result->status == -EEXIST) {
        e->leader_there = true; /* the watch tells when it is gone */
        give_up_for_now(e, IDLE, 0);
        go_on(e);
    } else if (result->status == -ESTALE || result->status == -ENOENT) {
        prepare(e); /* another one was faster, and is gone already */
    } else {
        give_up_for_now(e, IDLE, result->status);
    }
}

static void try_to_lead(struct rill_election *e)
{
    char leader[RILL_NUMBER_MAX + RILL_ELECTION_INFO_MAX + 1], number[RILL_NUMBER_MAX];
    uint32_t number_bytes = rill_number_print(e->epoch + 1, number);
    const struct rill_registry_op ops[] = {
        {.type = RILL_REGISTRY_CREATE,
         .path = e->leader_path,
         .flags = RILL_REGISTRY_EPHEMERAL,
         .data = leader,
         .data_bytes = number_bytes + 1 + e->config.info_bytes},
        {.type = RILL_REGISTRY_SET,
         .path = e->epoch_path,
         .version = e->epoch_version,
         .data = number,
         .data_bytes = number_bytes},
    };
    int rc;

    memcpy(leader, number, number_bytes);
    leader[number_bytes] = '\n';
    memcpy(leader + number_bytes + 1, e->info, e->config.info_bytes);
    rc = rill_registry_ask(e->registry, ops, 2, on_tried, e, NULL);
    if (rc != 0) {
        give_up_for_now(e, IDLE, rc);
        return;
    }
    e->step = TRYING;
    e->epoch++;
    e->epoch_version++;
}

static void on_number(void *arg, const struct rill_registry_result *result)
{
    struct rill_election *e = arg;

    if (result->status != 0) {
        give_up_for_now(e, IDLE, result->status);
    } else if (!rill_number_parse(result->data, result->data_bytes, &e->epoch)) {
        give_up_for_now(e, IDLE, 0);
        rill_error_set(&e->problem, -EINVAL, "election: node %s holds no number: repair it by hand",
                       e->epoch_path);
    } else if (has_unknown_win(e) && e->epoch == e->leader_epoch) {
        e->epoch_version = result->stat.version;
        resign(e, on_resigned);
    } else if (wants_to_lead(e)) {
        e->epoch_version = result->stat.version;
        try_to_lead(e);
    } else {
        e->leader_mine = false; /* somebody has won since */
        give_up_for_now(e, IDLE, 0);
    }
}

/* The folder, the number's node if it is missing, and what is in it: one after the other. */
static void prepare(struct rill_election *e)
{
    const struct rill_registry_op make = {
        .type = RILL_REGISTRY_CREATE, .path = e->epoch_path, .data = "0", .data_bytes = 1};
    const struct rill_registry_op get = {.type = RILL_REGISTRY_GET, .path = e->epoch_path};
    int rc = rill_registry_make_folder(e->registry, e->folder, NULL, NULL, NULL);

    if (rc == 0)
        rc = rill_registry_ask(e->registry, &make, 1, NULL, NULL, NULL);
    if (rc == 0)
        rc = rill_registry_ask(e->registry, &get, 1, on_number, e, NULL);
    if (rc == 0)
        e->step = PREPARING;
    else
        give_up_for_now(e, IDLE, rc);
}

/* Goes on from where it can. */
static void go_on(struct rill_election *e)
{
    if (e->step == RESIGNING && e->retry_ns <= e->now_ns)
        resign(e, on_resigned);
    else if (e->step == IDLE && (wants_to_lead(e) || has_unknown_win(e)))
        prepare(e);
}

/* --- what is heard ---------------------------------------------------------------------------- */

/* Also keeps the leader's number; 0: there is none. */
static void tell_leader(struct rill_election *e, const struct rill_registry_result *result)
{
    const char *data = result->data, *end = NULL, *info = NULL;
    uint32_t info_bytes = 0;

    e->leader_epoch = 0;
    if (result->status == 0)
        end = memchr(data, '\n', result->data_bytes);
    if (end != NULL && rill_number_parse(data, (uint32_t)(end - data), &e->leader_epoch)) {
        info = end + 1;
        info_bytes = result->data_bytes - (uint32_t)(info - data);
    }
    if (e->config.events.leader != NULL)
        e->config.events.leader(e->config.events.arg, e->leader_epoch, info, info_bytes);
}

static void on_leader(void *arg, const struct rill_registry_result *result)
{
    struct rill_election *e = arg;
    bool mine = result->status == 0 && result->stat.owner == rill_registry_session(e->registry);

    e->leader_known = true;
    e->leader_there = result->status == 0;
    e->leader_mine = mine;
    if ((e->step == LEADING || e->step == WON) && !mine)
        e->lost = true; /* somebody deleted the node */
    tell_leader(e, result);
    go_on(e);
}

static void on_state(void *arg, enum rill_registry_state state)
{
    struct rill_election *e = arg;

    if (state != RILL_REGISTRY_CONNECTED)
        return;
    if (e->step == RESIGNING)
        e->retry_ns = 0;
    go_on(e);
}

/* --- turns ------------------------------------------------------------------------------------ */

bool rill_election_leads(const struct rill_election *election, uint64_t now_ns)
{
    return election->step == LEADING && !election->lost &&
           rill_registry_may_act(election->registry, now_ns);
}

uint64_t rill_election_epoch(const struct rill_election *election)
{
    return election->step == LEADING ? election->epoch : 0;
}

void rill_election_turn(struct rill_election *election, uint64_t now_ns)
{
    struct rill_election *e = election;
    bool may_act = !e->lost && rill_registry_may_act(e->registry, now_ns);

    e->now_ns = now_ns;
    if (e->step == WON && may_act) {
        e->step = LEADING;
        e->config.events.elected(e->config.events.arg, e->epoch);
    } else if (e->step == LEADING && !may_act) {
        resign(e, on_resigned);
        e->config.events.deposed(e->config.events.arg);
    } else if (e->step == WON) {
        resign(e, on_resigned); /* the answer came too late */
    } else if (e->retry_ns <= now_ns) {
        go_on(e);
    }
}

uint64_t rill_election_next_ns(const struct rill_election *election)
{
    const struct rill_election *e = election;

    if (e->step == WON || e->lost)
        return e->now_ns;
    if (e->step == LEADING)
        return rill_registry_valid_until_ns(e->registry);
    if (rill_registry_state(e->registry) != RILL_REGISTRY_CONNECTED)
        return UINT64_MAX;
    if (e->step == RESIGNING)
        return e->retry_ns;
    return e->step == IDLE && (wants_to_lead(e) || has_unknown_win(e)) ? e->retry_ns : UINT64_MAX;
}

struct rill_registry_op rill_election_fence(const struct rill_election *election)
{
    assert(election->step == LEADING);
    return (struct rill_registry_op){.type = RILL_REGISTRY_CHECK,
                                     .path = election->epoch_path,
                                     .version = election->epoch_version};
}

const char *rill_election_problem(const struct rill_election *election)
{
    return election->problem.text;
}

/* --- making and ending ------------------------------------------------------------------------ */

int rill_election_create(struct rill_registry *registry, const struct rill_election_config *config,
                         struct rill_election **election, struct rill_error *err)
{
    struct rill_election *e;
    int rc;

    if (config->info_bytes > RILL_ELECTION_INFO_MAX)
        return rill_error_set(err, -EMSGSIZE, "election in %s: %u bytes of info, at most %d",
                              config->folder, config->info_bytes, RILL_ELECTION_INFO_MAX);
    if (strlen(config->folder) + sizeof("/leader") > RILL_REGISTRY_PATH_MAX)
        return rill_error_set(err, -ENAMETOOLONG, "election: folder '%s' is too long a path",
                              config->folder);
    e = calloc(1, sizeof(*e));
    if (e == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for an election");
    e->registry = registry;
    e->config = *config;
    snprintf(e->folder, sizeof(e->folder), "%s", config->folder);
    snprintf(e->leader_path, sizeof(e->leader_path), "%s/leader", config->folder);
    snprintf(e->epoch_path, sizeof(e->epoch_path), "%s/epoch", config->folder);
    if (config->info_bytes > 0)
        memcpy(e->info, config->info, config->info_bytes);
    rc = rill_registry_watch(registry, e->leader_path, RILL_REGISTRY_WATCH_NODE, on_leader, e, err);
    if (rc == 0 && rill_registry_listen(registry, on_state, e) != 0)
        rc = rill_error_set(err, -ENOMEM, "no memory for an election");
    if (rc != 0) {
        rill_registry_forget(registry, e);
        free(e);
        return rc;
    }
    *election = e;
    return 0;
}

void rill_election_destroy(struct rill_election *election)
{
    struct rill_election *e = election;

    if (e == NULL)
        return;
    rill_registry_forget(e->registry, e);
    /* Also what is being tried: the number's version is what it will be then. */
    if (e->step >= TRYING)
        resign(e, NULL);
    free(e);
}
