#include "cli/remote_run.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/config/settings.h"
#include "lib/frame/frame.h"

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)
#define ATTACH_NS (20 * SECOND_NS)
#define QUIET_NS (10 * SECOND_NS) /* before the run: for what an earlier one left to come out */
#define STUCK_NS (10 * SECOND_NS) /* in flight did not change for so long: nothing will come */
#define SETTLE_NS SECOND_NS       /* after a death: nothing moved for so long, so nothing will */
#define LOOK_NS MS_NS
#define ROUND_NS (50 * MS_NS)
#define BUSY_NS (20 * MS_NS) /* nothing moved for longer: rest a moment between looks */
#define REST_NS 100000

enum { BURST = 32, STATUS_MS = 5000 };

/* --- messages -------------------------------------------------------------------------------- */

static void on_attached(struct remote *r, const Control__Message *message)
{
    if (message->body_case == CONTROL__MESSAGE__BODY_ERROR)
        rill_error_set(&r->failure, -EREMOTEIO, "%s", message->error->text);
    else if (message->body_case == CONTROL__MESSAGE__BODY_ATTACHED)
        r->attached = rill_client_copy(message);
    r->attach_number = 0;
    r->roles.status_wanted = true;
}

static void on_message(void *arg, const Control__Message *message)
{
    struct remote *r = arg;

    if (message->body_case == CONTROL__MESSAGE__BODY_PEERS)
        remote_on_peers(r, message);
    else if (r->attach_number != 0 && message->number == r->attach_number)
        on_attached(r, message);
    else if (message->body_case == CONTROL__MESSAGE__BODY_STATUS && r->attached != NULL)
        remote_on_status(r, message);
    else if (remote_on_fail_answer(r, message))
        return;
    else if (message->body_case == CONTROL__MESSAGE__BODY_METRICS && !remote_on_epoch(r, message))
        remote_on_metrics(r, message);
}

static uint64_t send_attach(struct remote *r)
{
    Control__Attach body = CONTROL__ATTACH__INIT;
    Control__Message m = rill_client_message_to(r->client, 0);

    if (r->options->deployment != NULL)
        body.deployment = (char *)r->options->deployment;
    RILL_CONTROL_SET(&m, ATTACH, attach, &body);
    return rill_client_send(r->client, &m);
}

/* Another resource manager has let us in: what the one before was asked is asked again. */
static void look_at_returns(struct remote *r)
{
    if (rill_client_returns(r->client) == r->returns)
        return;
    r->returns = rill_client_returns(r->client);
    if (r->fabric != NULL && rill_client_role(r->client) != r->role)
        rill_error_set(&r->failure, -ECONNRESET,
                       "the resource manager of cluster '%s' does not know this replay, which the "
                       "one before it knew: start it again",
                       r->place.name);
    r->roles.asking = false;
    r->roles.status_number = 0;
    r->roles.status_wanted = true;
    if (r->attach_number != 0)
        r->attach_number = send_attach(r);
}

/* Once a millisecond: messages, links, questions. What ends the run is in r->failure then. */
static void look(struct remote *r)
{
    struct rill_player *p = &r->player;

    p->now_ns = rill_player_clock_ns();
    if (p->now_ns - r->last_look_ns < LOOK_NS)
        return;
    r->last_look_ns = p->now_ns;
    rill_client_turn(r->client, 0);
    look_at_returns(r);
    remote_look_at_links(r);
    remote_look_at_roles(r);
    rill_player_progress(p);
    if (rill_client_lost(r->client))
        rill_error_set(&r->failure, -ECONNRESET,
                       "the resource manager of cluster '%s' ended during the replay",
                       r->place.name);
}

/* --- before the run -------------------------------------------------------------------------- */

static int read_input(struct remote *r, struct rill_error *err)
{
    int rc;

    r->place.given_name = r->options->cluster;
    r->place.given_base = r->options->base;
    rc = rill_place_resolve(&r->place, err);
    if (rc == 0)
        rc = rill_player_read(&r->player, err);
    if (rc != 0)
        return rc;
    r->settings = rill_config_create(rill_settings_schema, err);
    r->released = calloc(r->player.capture.count / 8 + 1, 1);
    if (r->settings == NULL || r->released == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the capture's packets");
    return 0;
}

static int look_before(struct remote *r, struct rill_error *err)
{
    Control__StatusRequest body = CONTROL__STATUS_REQUEST__INIT;
    Control__Message m = rill_client_message_to(r->client, 0);
    int rc;

    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &body);
    rc = rill_client_ask(r->client, &m, STATUS_MS, &r->roles.status, err);
    if (rc != 0)
        return rc;
    if (r->roles.status->body_case != CONTROL__MESSAGE__BODY_STATUS)
        return rill_error_set(err, -EPROTO, "the resource manager's answer is not understood");
    return 0;
}

static int attach(struct remote *r, struct rill_error *err)
{
    uint64_t until_ns = rill_player_clock_ns() + ATTACH_NS;

    r->attach_number = send_attach(r);
    while (r->attach_number != 0 && r->failure.text[0] == '\0') {
        rill_client_turn(r->client, 1);
        look(r);
        remote_receive(r);
        if (r->player.now_ns > until_ns)
            return rill_error_set(err, -ETIMEDOUT,
                                  "the links to the deployment's roles did not come up within %u s",
                                  (unsigned)(ATTACH_NS / SECOND_NS));
    }
    if (r->failure.text[0] != '\0')
        return rill_error_set(err, -EIO, "%s", r->failure.text);
    return r->attached != NULL && r->fabric != NULL
               ? 0
               : rill_error_set(err, -EPROTO, "the resource manager's answer is not understood");
}

static int take_settings(struct remote *r, struct rill_error *err)
{
    const Control__Attached *a = r->attached->attached;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < a->n_settings; i++)
        rc = rill_config_set(r->settings, a->settings[i]->name, a->settings[i]->text,
                             "the deployment", err);
    return rc;
}

/* Each controller. */
static bool have_leases(const struct remote *r)
{
    for (uint32_t slot = 0; slot < r->controllers.slots; slot++) {
        const Control__Metrics *metrics = remote_metrics_of(r, r->controllers.present[slot]);

        if (metrics == NULL || metrics->n_units == 0)
            return false;
    }
    return true;
}

/* Until nothing moves, nothing is held and there is a unit to go to: what was counted until then is
 * from before the run. */
static int wait_until_quiet(struct remote *r, struct rill_error *err)
{
    struct rill_books_role roles[RILL_BOOKS_ROLES_MAX];
    uint64_t until_ns = rill_player_clock_ns() + QUIET_NS, next_ns = 0, rounds = 0;

    while (r->failure.text[0] == '\0') {
        struct rill_books books;

        rill_client_turn(r->client, 1);
        look(r);
        remote_receive(r);
        if (r->player.now_ns >= next_ns) {
            remote_ask_roles(r);
            next_ns = r->player.now_ns + ROUND_NS;
        }
        books = remote_books(r, roles);
        if (r->roles.rounds > rounds && r->roles.still && rill_books_held(&books) == 0 &&
            (rill_config_u64(r->settings, "units_min") == 0 || have_leases(r)))
            return 0;
        rounds = r->roles.rounds;
        if (r->player.now_ns > until_ns)
            return rill_error_set(
                err, -EBUSY, "the deployment is not ready after %u s: %s",
                (unsigned)(QUIET_NS / SECOND_NS),
                rill_books_held(&books) > 0
                    ? "packets of an earlier replay are still held; undeploy it"
                    : "a controller of it has no unit, or a role does not answer; see rill status");
    }
    return rill_error_set(err, -EIO, "%s", r->failure.text);
}

static int create_ends(struct remote *r, struct rill_error *err)
{
    const Control__Facts *facts = r->attached->attached->facts;
    const struct rill_player_nf nf = {
        .writes = facts->writes, .flags = facts->flags, .handles = facts->handles};

    return rill_player_create_ends(&r->player, r->settings, &nf, err);
}

static int prepare(struct remote *r, struct rill_error *err)
{
    int rc = read_input(r, err);

    if (rc == 0)
        rc = rill_client_open(&r->place, &r->client, err);
    if (rc != 0)
        return rc;
    rc = look_before(r, err);
    if (rc != 0)
        return rc;
    rill_client_on_message(r->client, on_message, r);
    rc = rill_player_start_dpdk(&r->player, r->settings, err);
    if (rc == 0)
        rc = rill_player_open_output(&r->player, err);
    if (rc == 0)
        rc = attach(r, err);
    if (rc == 0)
        rc = take_settings(r, err);
    if (rc == 0)
        rc = create_ends(r, err);
    if (rc == 0)
        rc = remote_create_split(r, err);
    if (rc == 0)
        rc = remote_choose_fails(r, err);
    if (rc == 0)
        rc = wait_until_quiet(r, err);
    return rc;
}

static void clean_up(struct remote *r)
{
    rill_client_close(r->client); /* the cluster goes on without us */
    remote_links_fini(r);
    remote_controllers_fini(r);
    remote_roles_fini(r);
    rill_control_free(r->attached);
    rill_player_fini(&r->player);
    rill_config_destroy(r->settings);
    free(r->released);
}

/* --- the run --------------------------------------------------------------------------------- */

/* Puts in what is due, at most a burst. True if that was anything. */
static bool inject(struct remote *r)
{
    struct rte_mbuf *burst[BURST];
    uint32_t n;
    bool any = rill_player_take_due(&r->player, burst, BURST, &n);

    if (n > 0)
        remote_send(r, burst, n);
    return remote_send_early(r) || any;
}

/* What takes part in deciding that nothing will come out any more. */
struct drain {
    uint64_t rounds, next_round_ns;
    uint64_t changed_ns; /* when in flight was last seen to change, or a packet to move */
    int64_t in_flight;
};

/* Asks all roles again and again; true when the last packet is out, or what is left is stuck. */
static bool drained(struct remote *r, struct drain *d)
{
    struct rill_books_role roles[RILL_BOOKS_ROLES_MAX];
    uint64_t now_ns = r->player.now_ns;
    struct rill_books books;
    int64_t in_flight;

    if (now_ns >= d->next_round_ns) {
        if (d->next_round_ns == 0) {
            d->changed_ns = now_ns;
            r->roles.status_wanted = true; /* who is there at the end */
        }
        d->next_round_ns = now_ns + ROUND_NS;
        if (!remote_fails_settled(r))
            r->roles.status_wanted = true;
        remote_ask_roles(r);
    }
    if (r->roles.rounds == d->rounds)
        return now_ns - d->changed_ns > STUCK_NS;
    d->rounds = r->roles.rounds;
    books = remote_books(r, roles);
    in_flight = rill_books_in_flight(&books);
    if (in_flight != d->in_flight || !r->roles.still)
        d->changed_ns = now_ns;
    d->in_flight = in_flight;
    if (now_ns - d->changed_ns > STUCK_NS)
        return true;
    if (!remote_fails_settled(r) || !r->roles.still || r->roles.status_number != 0 ||
        r->roles.status_wanted)
        return false;
    /* Two rounds that say the same: it was so at one moment in between, everywhere. */
    if (r->roles.died == 0)
        return in_flight == 0;
    return rill_books_held(&books) == 0 && now_ns - d->changed_ns > SETTLE_NS;
}

static void rest(struct remote *r)
{
    const struct timespec t = {.tv_nsec = REST_NS};
    uint64_t now_ns = r->player.now_ns;

    if (now_ns - r->last_move_ns > BUSY_NS && r->player.next_due_ns > now_ns + 2 * REST_NS)
        nanosleep(&t, NULL);
    else
        sched_yield();
}

/* Until the capture is in, and out again. */
static int play(struct remote *r, struct rill_error *err)
{
    struct rill_player *p = &r->player;
    struct drain drain = {0};

    while (r->failure.text[0] == '\0') {
        bool any;

        look(r);
        remote_fail_due(r);
        any = inject(r);
        any |= remote_receive(r);
        if (any)
            r->last_move_ns = p->now_ns;
        if (remote_end_epochs(r) != 0)
            return rill_error_set(err, -ENOMEM, "no memory for the report");
        if (p->next_due_ns == UINT64_MAX && drained(r, &drain))
            return 0;
        if (!any)
            rest(r);
    }
    return rill_error_set(err, -EIO, "%s", r->failure.text);
}

int rill_remote_replay(const struct rill_replay_options *options, struct rill_report *report,
                       struct rill_error *err)
{
    struct remote *r = calloc(1, sizeof(*r));
    int rc;

    if (r == NULL)
        return rill_error_set(err, -ENOMEM, "no memory for the replay");
    r->options = options;
    r->player.options = options;
    r->player.report = report;
    rc = prepare(r, err);
    if (rc == 0) {
        remote_begin_books(r);
        remote_look_at_units(r);
        rill_player_start(&r->player, rill_player_clock_ns() + 2 * MS_NS);
        rc = remote_check_fails(r, err);
    }
    if (rc == 0)
        rc = play(r, err);
    if (rc == 0)
        rc = remote_report(r, err);
    if (rc == 0)
        rc = rill_player_close_output(&r->player, err);
    clean_up(r);
    free(r);
    return rc;
}
