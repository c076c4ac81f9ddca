/* The control conversation: Join, and answers to what is asked. */
#include <string.h>

#include "lib/control/lease.h"
#include "lib/daemon/role_internal.h"

enum { JOIN_NUMBER = 1, OBJECTS_EVERY_NS = 500000000 };

/* --- sending ---------------------------------------------------------------------------------- */

static bool send_message(struct role_process *p, const Control__Message *m)
{
    return p->agent != 0 && rill_link_send(p->link, p->agent, m);
}

bool role_answer(struct role_process *p, const struct role_asker *asker, Control__Message *answer)
{
    answer->version = RILL_CONTROL_VERSION;
    answer->from = p->host.role;
    answer->to = asker->from;
    answer->number = asker->number;
    return asker->number == 0 || send_message(p, answer);
}

void role_tell_manager(struct role_process *p, Control__Message *message)
{
    message->version = RILL_CONTROL_VERSION;
    message->from = p->host.role;
    message->to = rill_role_id(RILL_ROLE_RM, 1);
    send_message(p, message);
}

void role_tell_objects(struct role_process *p, uint64_t now_ns)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Objects body = CONTROL__OBJECTS__INIT;

    if (p->ops->objects == NULL || now_ns < p->next_objects_ns)
        return;
    p->next_objects_ns = now_ns + OBJECTS_EVERY_NS;
    if (!p->ops->objects(p->ops->arg, &body))
        return;
    RILL_CONTROL_SET(&m, OBJECTS, objects, &body);
    role_tell_manager(p, &m);
}

bool role_answer_done(struct role_process *p, const struct role_asker *asker)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Done done = CONTROL__DONE__INIT;

    RILL_CONTROL_SET(&m, DONE, done, &done);
    return role_answer(p, asker, &m);
}

void role_answer_error(struct role_process *p, const struct role_asker *asker, const char *line)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Error error = CONTROL__ERROR__INIT;
    struct rill_error text;

    rill_error_set(&text, 0, "%s", line);
    rill_daemon_clean(text.text); /* an NF may have written it */
    error.text = text.text;
    RILL_CONTROL_SET(&m, ERROR, error, &error);
    rill_daemon_say("%s", text.text);
    role_answer(p, asker, &m);
}

static void send_lease(void *arg, const Control__Message *m)
{
    struct role_process *p = arg;

    p->messages_lost += !send_message(p, m);
}

void role_send_lease(struct role_process *p, struct rte_mbuf *frame)
{
    p->messages_lost += rill_lease_from_frame(frame, send_lease, p) != 0;
    rte_pktmbuf_free(frame);
}

/* --- the agent comes and goes ----------------------------------------------------------------- */

static void on_up(void *arg, uint32_t peer)
{
    struct role_process *p = arg;
    Control__Message m = rill_control_message(p->host.role, 0, JOIN_NUMBER);
    Control__Join join = CONTROL__JOIN__INIT;

    p->agent = peer;
    if (p->ready_ns == 0)
        p->ready_ns = rill_daemon_now_ns() - p->main_ns;
    join.kind = p->ops->kind;
    join.role = p->host.role;
    join.token = p->token;
    join.program = (char *)(uintptr_t)RILL_VERSION;
    join.ready_ns = p->ready_ns;
    RILL_CONTROL_SET(&m, JOIN, join, &join);
    send_message(p, &m);
}

static void on_down(void *arg, uint32_t peer)
{
    struct role_process *p = arg;

    if (p->agent == peer)
        p->agent = 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void on_error(struct role_process *p, const Control__Message *m)
{
    if (m->number != JOIN_NUMBER)
        return;
    rill_daemon_say("the node agent turns this program away: %s", m->error->text);
    p->exit_code = ROLE_EXIT_REFUSED;
    p->ended = true;
}

/* The resource manager's words: the core knows them as frames. */
static void on_lease(struct role_process *p, const Control__Message *m)
{
    uint64_t now_ns = rill_daemon_now_ns();
    struct rte_mbuf *frame;

    if (!p->active)
        return; /* it will be said again */
    frame = rill_lease_to_frame(m, p->host.role, p->host.pool);
    if (frame == NULL) {
        p->messages_lost++;
        return;
    }
    p->ops->recv(p->ops->arg, &frame, 1, now_ns, &p->out);
    role_send(p, now_ns);
}

static void refuse(struct role_process *p, const struct role_asker *asker,
                   const Control__Message *m)
{
    struct rill_error line;

    p->messages_unknown++;
    rill_error_set(&line, 0, "%s: role 0x%08x takes no message '%s'", p->ops->program, p->host.role,
                   rill_control_name(m));
    role_answer_error(p, asker, line.text);
}

static void on_message(void *arg, uint32_t peer, const Control__Message *m)
{
    struct role_process *p = arg;
    struct role_asker asker = {.from = m->from, .number = m->number};

    (void)peer;
    if (m->rm_number != 0 && m->rm_number < p->rm_number) { /* 0: the agent itself */
        p->messages_old_rm++;
        return;
    }
    p->rm_number = RTE_MAX(p->rm_number, m->rm_number);
    if (m->to != 0 && m->to != p->host.role) {
        p->messages_unknown++;
        return;
    }
    switch (m->body_case) {
    case CONTROL__MESSAGE__BODY_WELCOME:
    case CONTROL__MESSAGE__BODY_DONE:
        break;
    case CONTROL__MESSAGE__BODY_ERROR:
        on_error(p, m);
        break;
    case CONTROL__MESSAGE__BODY_ACTIVATE:
        role_activate(p, &asker, m->activate);
        break;
    case CONTROL__MESSAGE__BODY_PEERS:
        role_peers_set(p, &asker, m->peers);
        break;
    case CONTROL__MESSAGE__BODY_SHARE:
    case CONTROL__MESSAGE__BODY_LEASE_GRANT:
    case CONTROL__MESSAGE__BODY_DEATH:
    case CONTROL__MESSAGE__BODY_RECOVERED_ACK:
    case CONTROL__MESSAGE__BODY_NEW_LOGGER:
    case CONTROL__MESSAGE__BODY_MEMBERS:
        on_lease(p, m);
        break;
    case CONTROL__MESSAGE__BODY_METRICS_REQUEST:
        role_answer_metrics(p, &asker);
        break;
    default:
        refuse(p, &asker, m);
        break;
    }
}

int role_control_start(struct role_process *p, const char *url, struct rill_error *err)
{
    struct rill_link_events events = {
        .up = on_up, .down = on_down, .message = on_message, .arg = p};

    uv_loop_init(&p->loop);
    return rill_link_dial(&p->loop, url, &events, &p->link, err);
}
