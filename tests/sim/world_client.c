/* Clients. The operator looks at the status now and then and makes deployments be as they should;
 * a replayer attaches to one and sends packets through it. Both do as cli/client.c does: they join
 * anew when their connection was lost, and wait for the answer to what they ask. */
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "tests/sim/world.h"

enum { JOIN_NUMBER = 1, FLOWS_MAX = 64, PACKETS_MAX = 4000 };
#define LOOK_NS (30 * WORLD_MS)
#define LINKS_LOOK_NS (2 * WORLD_MS)

/* --- asking ----------------------------------------------------------------------------------- */

static bool is_operator(const struct world_client *c)
{
    return c->index == 0;
}

static void tell_rm(struct world_client *c, Control__Message *m)
{
    if (c->is_up)
        world_send(c->w, c->line->connection, WORLD_DIALLER, m);
}

static void ask(struct world_client *c, Control__Message *m)
{
    m->version = RILL_CONTROL_VERSION;
    m->from = c->id;
    m->number = ++c->number;
    c->waits = true;
    c->asked = m->body_case;
    c->asked_ns = c->w->now_ns;
    tell_rm(c, m);
}

static void join(struct world_client *c)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Join body = CONTROL__JOIN__INIT;

    c->joined = true; /* what it says is heard after this */
    body.kind = RILL_ROLE_CLIENT;
    body.machine = c->w->machines[c->machine].name;
    body.program = (char *)(uintptr_t)RILL_VERSION;
    RILL_CONTROL_SET(&m, JOIN, join, &body);
    ask(c, &m);
}

/* --- the operator ----------------------------------------------------------------------------- */

static const Control__Deployment *seen(const struct world_client *c, const char *name)
{
    const Control__Status *status = c->status == NULL ? NULL : c->status->status;

    for (size_t i = 0; status != NULL && i < status->n_deployments; i++)
        if (strcmp(status->deployments[i]->name, name) == 0)
            return status->deployments[i];
    return NULL;
}

bool world_is_live(const struct world *w, uint32_t deployment)
{
    return w->plan.live && deployment + 1 == w->plan.deployments;
}

static void deploy(struct world_client *c, const struct world_wish *wish)
{
    const struct world_plan *plan = &c->w->plan;
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Deploy body = CONTROL__DEPLOY__INIT;
    Control__Named settings[WORLD_SETTINGS], *list[WORLD_SETTINGS];
    Control__Named ports = CONTROL__NAMED__INIT, preserve = CONTROL__NAMED__INIT;
    Control__Named *config[] = {&ports, &preserve};
    char range[32];

    for (uint32_t i = 0; i < plan->setting_count; i++) {
        control__named__init(&settings[i]);
        settings[i].name = (char *)(uintptr_t)plan->settings[i][0];
        settings[i].text = (char *)(uintptr_t)plan->settings[i][1];
        list[i] = &settings[i];
    }
    snprintf(range, sizeof(range), "1000-%u", 999 + plan->check.pool_ports);
    ports.name = (char *)(uintptr_t) "ports";
    ports.text = range;
    preserve.name = (char *)(uintptr_t) "preserve_ports";
    preserve.text = (char *)(uintptr_t)(plan->seed % 2 ? "true" : "false");
    body.name = (char *)(uintptr_t)wish->name;
    body.nf = (char *)(uintptr_t) "chain";
    body.image.data = (uint8_t *)(uintptr_t) "\177ELF";
    body.image.len = 4;
    body.n_settings = plan->setting_count;
    body.settings = list;
    body.n_config = RTE_DIM(config);
    body.config = config;
    body.units = plan->units;
    body.controllers = plan->controllers;
    if (world_is_live(c->w, (uint32_t)(wish - c->wishes))) {
        body.inside_interface = (char *)(uintptr_t) "eth0";
        body.outside_interface = (char *)(uintptr_t) "eth1";
    }
    RILL_CONTROL_SET(&m, DEPLOY, deploy, &body);
    world_note(c->w, "the operator deploys %s", wish->name);
    ask(c, &m);
}

static void undeploy(struct world_client *c, const char *name)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Undeploy body = CONTROL__UNDEPLOY__INIT;

    body.name = (char *)(uintptr_t)name;
    RILL_CONTROL_SET(&m, UNDEPLOY, undeploy, &body);
    world_note(c->w, "the operator undeploys %s", name);
    ask(c, &m);
}

static void ask_status(struct world_client *c)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__StatusRequest body = CONTROL__STATUS_REQUEST__INIT;

    RILL_CONTROL_SET(&m, STATUS_REQUEST, status_request, &body);
    ask(c, &m);
}

static void shut_down(struct world_client *c)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Shutdown body = CONTROL__SHUTDOWN__INIT;

    RILL_CONTROL_SET(&m, SHUTDOWN, shutdown, &body);
    world_note(c->w, "the operator lets the cluster go down");
    ask(c, &m);
}

/* As `rill fail` does. True if it asked for it. */
static bool let_fail(struct world_client *c)
{
    const Control__Status *status = c->status->status;
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Fail body = CONTROL__FAIL__INIT;

    if (c->w->calm || status->n_roles == 0 || !world_chance(c->w, c->w->plan.fails))
        return false;
    body.role = status->roles[world_draw(c->w, status->n_roles - 1)]->role;
    body.hang = world_chance(c->w, 0.3);
    RILL_CONTROL_SET(&m, FAIL, fail, &body);
    world_note(c->w, "the operator lets %08x fail", body.role);
    ask(c, &m);
    return true;
}

static void change_mind(struct world_client *c, struct world_wish *wish)
{
    struct world *w = c->w;

    if (!wish->wanted && !w->ending && w->now_ns >= wish->change_ns)
        wish->wanted = true;
    if (w->ending) {
        wish->wanted = false;
    } else if (wish->wanted && !w->calm && world_chance(w, w->plan.undeploys)) {
        wish->wanted = false;
        wish->change_ns = w->now_ns + world_draw(w, 300 * WORLD_MS);
    }
}

/* True if it asked for something. */
static bool see_to(struct world_client *c, struct world_wish *wish)
{
    const Control__Deployment *there = seen(c, wish->name);

    change_mind(c, wish);
    if (there == NULL && !wish->wanted)
        return false;
    if (there == NULL)
        deploy(c, wish);
    else if (strcmp(there->state, "stopping") == 0 ||
             (wish->wanted && strcmp(there->state, "failed") != 0))
        return false;
    else
        undeploy(c, wish->name);
    return true;
}

static void operate(struct world_client *c)
{
    bool any;

    if (c->status == NULL || c->status_ns + LOOK_NS < c->w->now_ns) {
        ask_status(c);
        return;
    }
    any = let_fail(c);
    for (uint32_t i = 0; !any && i < c->w->plan.deployments; i++)
        any = see_to(c, &c->wishes[i]);
    if (any) { /* the status is old now */
        rill_control_free(c->status);
        c->status = NULL;
    } else if (c->shuts_down && !c->shut_down) {
        shut_down(c);
    }
}

static void operator_answered(struct world_client *c, const Control__Message *m)
{
    size_t bytes = control__message__get_packed_size(m);
    uint8_t *packed;

    if (c->asked == CONTROL__MESSAGE__BODY_SHUTDOWN) {
        c->shut_down = true;
        if (m->body_case != CONTROL__MESSAGE__BODY_DONE)
            world_fail(c->w, "CLIENT", "the cluster did not go down: %s",
                       m->body_case == CONTROL__MESSAGE__BODY_ERROR ? m->error->text : "?");
    }
    if (m->body_case == CONTROL__MESSAGE__BODY_ERROR)
        world_note(c->w, "the operator is told: %s", m->error->text);
    if (m->body_case != CONTROL__MESSAGE__BODY_STATUS)
        return;
    packed = world_alloc(bytes);
    control__message__pack(m, packed);
    rill_control_free(c->status);
    rill_control_unpack(packed, bytes, &c->status);
    c->status_ns = c->w->now_ns;
    free(packed);
}

/* --- a replayer ------------------------------------------------------------------------------- */

static void detach(struct world_client *c)
{
    c->attached = false;
    c->links.pending = false;
    if (c->domain != NULL)
        world_domain_unlink_all(c->domain, c->id);
    c->links.count = 0;
    c->domain = NULL;
}

static void attach(struct world_client *c)
{
    Control__Message m = CONTROL__MESSAGE__INIT;
    Control__Attach body = CONTROL__ATTACH__INIT;

    body.deployment = c->w->clients[0].wishes[c->index - 1].name;
    RILL_CONTROL_SET(&m, ATTACH, attach, &body);
    ask(c, &m);
}

static void look_at_links(struct world *w, const struct world_event *event)
{
    struct world_client *c = event->data;
    Control__Message m = rill_control_message(c->id, rill_role_id(RILL_ROLE_RM, 1), event->a);
    Control__Done done = CONTROL__DONE__INIT;

    if (!c->links.pending || c->links.number != event->a || c->domain == NULL)
        return;
    if (!c->joined || !world_links_are_up(c->domain, &c->links)) {
        world_at(w, w->now_ns + LINKS_LOOK_NS, look_at_links, c, event->a, 0);
        return;
    }
    c->links.pending = false;
    RILL_CONTROL_SET(&m, DONE, done, &done);
    tell_rm(c, &m);
}

/* A slot that has none now keeps the one before, which takes nothing. */
static void note_controllers(struct world_client *c, const uint32_t *controllers, size_t n)
{
    for (size_t slot = 0; slot < n; slot++)
        if (controllers[slot] != 0)
            c->controllers[slot] = controllers[slot];
}

static void make_split(struct world_client *c, const Control__Facts *facts)
{
    const Control__Pool *pool = facts->pools[0]; /* the chain NF has one */
    struct rill_split_config config = {.controllers = c->w->plan.controllers,
                                       .kind = RILL_KEY_INSIDE_ENDPOINT,
                                       .writes = facts->writes,
                                       .pool_count = 1,
                                       .seed = c->w->plan.seed};
    struct rill_error err;

    rill_split_destroy(c->split);
    c->split = NULL;
    if (config.controllers == 1)
        return;
    if (pool->addresses.len > sizeof(c->addresses))
        abort();
    memcpy(c->addresses, pool->addresses.data, pool->addresses.len);
    config.pools[0] = (struct rill_split_pool){.proto = (uint8_t)pool->proto,
                                               .family = (uint8_t)pool->family,
                                               .port_low = (uint16_t)pool->port_low,
                                               .port_high = (uint16_t)pool->port_high,
                                               .addresses = (uint32_t)pool->addresses.len / 16,
                                               .addr = (const uint8_t(*)[16])c->addresses};
    c->split = rill_split_create(&config, &err);
    if (c->split == NULL)
        abort();
}

void world_client_end(struct world_client *c)
{
    rill_split_destroy(c->split);
}

static void set_peers(struct world_client *c, const Control__Message *m)
{
    struct world_domain *domain = world_domain_of(c->w, m->peers->links_folder);

    if (domain != c->domain)
        detach(c);
    if (domain == NULL)
        return;
    c->domain = domain;
    c->links.id = c->id;
    world_links_set(domain, &c->links, m);
    if (m->peers->n_roles == 0)
        c->attached = false;
    note_controllers(c, m->peers->controllers, m->peers->n_controllers);
    world_at(c->w, c->w->now_ns, look_at_links, c, c->links.number, 0);
}

static void replayer_answered(struct world_client *c, const Control__Message *m)
{
    if (m->body_case == CONTROL__MESSAGE__BODY_ATTACHED) {
        world_note(c->w, "client %u is attached", c->index);
        c->attached = true;
        note_controllers(c, m->attached->controllers, m->attached->n_controllers);
        make_split(c, m->attached->facts);
    } else if (m->body_case == CONTROL__MESSAGE__BODY_ERROR) {
        world_note(c->w, "client %u is told: %s", c->index, m->error->text);
        if (strstr(m->error->text, "attach from there") != NULL) {
            c->machine = (c->machine + 1) % c->w->plan.machines;
            world_break(c->w, c->line->connection);
        }
    }
}

/* Whoever it was attached to under another id goes on without it. */
static void welcomed(struct world_client *c, uint32_t id)
{
    if (id != c->id)
        detach(c);
    c->id = id;
}

/* --- packets ---------------------------------------------------------------------------------- */

static void write_headers(uint8_t *at, const uint8_t src[4], uint16_t sport, const uint8_t dst[4],
                          uint16_t dport)
{
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)at;
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
    struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

    memset(at, 0, SIM_HEADERS_BYTES);
    eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(SIM_PACKET_BYTES - 14);
    ip->time_to_live = 64;
    ip->next_proto_id = RILL_UDP;
    memcpy(&ip->src_addr, src, 4);
    memcpy(&ip->dst_addr, dst, 4);
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    udp->src_port = rte_cpu_to_be_16(sport);
    udp->dst_port = rte_cpu_to_be_16(dport);
    udp->dgram_len = rte_cpu_to_be_16(SIM_PACKET_BYTES - 34);
}

static struct rte_mbuf *make_packet(struct world_client *c, uint32_t flow, bool probe)
{
    static const uint8_t server[4] = {192, 0, 2, 1};
    const uint8_t inside[4] = {10, 0, 0, (uint8_t)(flow + 1)};
    const struct rill_endpoint *public = sim_check_public(c->domain->check, flow);
    bool reply = !probe && public != NULL && world_chance(c->w, 0.4);
    struct rte_mbuf *m = rte_pktmbuf_alloc(c->w->pool);
    struct sim_mark mark = {.packet = c->domain->sent + 1};
    struct rill_frame *f;
    uint8_t *data;

    if (m == NULL)
        return NULL;
    data = (uint8_t *)rte_pktmbuf_append(m, SIM_PACKET_BYTES);
    if (reply)
        write_headers(data, server, 80, public->addr, public->port);
    else
        write_headers(data, inside, 5000, server, 80);
    memcpy(data + SIM_HEADERS_BYTES, &mark, sizeof(mark));
    f = rill_frame(m);
    rill_frame_reset(f);
    f->flags = RILL_FLAG_PACKET;
    f->side = reply ? RILL_OUTSIDE : RILL_INSIDE;
    f->wire_bytes = SIM_PACKET_BYTES;
    f->ingress_ns = c->w->now_ns;
    f->ingress_id = mark.packet;
    return m;
}

/* The controller that the packet is for; NULL: it can't take it now. */
static struct world_program *controller_for(struct world_client *c, struct rte_mbuf *m)
{
    enum rill_split_kind kind;
    uint32_t slot = 0;
    struct world_program *p;

    if (c->split != NULL)
        slot = rill_split_slot(c->split, m, SIM_PACKET_BYTES, (enum rill_side)rill_frame(m)->side,
                               c->w->now_ns, &kind);
    p = world_program(c->w, c->controllers[slot], true);
    if (p == NULL || !p->active || p->domain != c->domain || world_program_stands_still(p) ||
        !world_domain_is_linked(c->domain, c->id, p->id))
        return NULL;
    return p;
}

static void send_packet(struct world_client *c, uint32_t flow, bool probe)
{
    struct world_program *controller;
    struct rte_mbuf *m;

    if (!c->attached || c->domain->sent >= PACKETS_MAX)
        return;
    m = make_packet(c, flow, probe);
    if (m == NULL)
        return;
    controller = controller_for(c, m);
    if (controller == NULL) {
        rte_pktmbuf_free(m);
        return;
    }
    sim_check_sent(c->domain->check, ++c->domain->sent, flow, SIM_PACKET_BYTES, probe);
    c->w->result->packets++;
    world_program_ingress(controller, m);
}

void world_client_probe(struct world_client *c)
{
    send_packet(c, c->flow++ % c->w->plan.flows, true);
}

static void play(struct world *w, const struct world_event *event)
{
    struct world_client *c = event->data;

    if (w->calm) {
        c->playing = false;
        return;
    }
    if (c->burst_left == 0) {
        c->flow = (uint32_t)world_draw(w, w->plan.flows - 1);
        c->burst_left = 1 + (uint32_t)world_draw(w, w->plan.burst);
    }
    c->burst_left--;
    if (c->attached && c->domain->sent < w->plan.packets)
        send_packet(c, c->flow, false);
    world_at(w, w->now_ns + 1 + world_draw(w, 2 * w->plan.gap_ns), play, c, 0, 0);
}

/* --- life ------------------------------------------------------------------------------------- */

static void look(struct world *w, const struct world_event *event)
{
    struct world_client *c = event->data;

    world_at(w, w->now_ns + LOOK_NS, look, c, 0, 0);
    if (!c->is_up || c->waits || (w->ending && !is_operator(c)))
        return;
    if (is_operator(c))
        operate(c);
    else if (!c->joined)
        join(c);
    else if (!c->attached)
        attach(c);
}

void world_client_up(struct world_client *c)
{
    c->is_up = true;
    c->waits = c->joined = false;
}

/* It keeps its links: the next resource manager may know it. */
void world_client_down(struct world_client *c)
{
    c->is_up = c->waits = c->joined = false;
    rill_control_free(c->status);
    c->status = NULL;
}

void world_client_message(struct world_client *c, const Control__Message *m)
{
    if (m->body_case == CONTROL__MESSAGE__BODY_PEERS) {
        set_peers(c, m);
        return;
    }
    if (!c->waits || m->number != c->number) {
        world_fail(c->w, "CLIENT", "client %u was answered what it had not asked: %s", c->index,
                   rill_control_name(m));
        return;
    }
    c->waits = false;
    if (m->body_case == CONTROL__MESSAGE__BODY_WELCOME)
        welcomed(c, m->welcome->role);
    else if (is_operator(c))
        operator_answered(c, m);
    else
        replayer_answered(c, m);
}

void world_client_start(struct world *w, uint32_t index)
{
    struct world_client *c = &w->clients[index];

    c->w = w;
    c->index = index;
    for (uint32_t i = 0; i < w->plan.deployments; i++) {
        snprintf(c->wishes[i].name, sizeof(c->wishes[i].name), "web%u", i);
        c->wishes[i].wanted = true;
    }
    c->line = world_line_open(w, WORLD_LINE_CLIENT, c);
    world_at(w, w->now_ns + world_draw(w, LOOK_NS), look, c, 0, 0);
    if (!is_operator(c))
        world_at(w, w->now_ns, play, c, 0, 0);
}
