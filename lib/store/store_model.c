#include "lib/store/store_model.h"

#include <errno.h>

#include "lib/base/flow_map.h"
#include "lib/base/slab.h"
#include "lib/frame/body.h"
#include "lib/frame/frame.h"

struct entry {
    struct rill_map_node node;
    struct entry *older, *newer; /* by when it was put */
    uint64_t put_ns;
    uint64_t granted_term, term, step, clock, window;
    uint8_t state[]; /* state_bytes */
};

/* Frames whose time comes one after the other; each has its own in ingress_ns. */
struct lane {
    struct rte_mbuf *head, *tail;
};

struct model {
    struct rill_store store;
    struct rill_store_model_config config;
    struct rill_flow_map flows;
    struct rill_slab slab;
    struct entry *oldest, *newest;
    struct lane requests, answers;
};

static struct model *model_of(struct rill_store *store)
{
    return (struct model *)store;
}

/* --- lanes ------------------------------------------------------------------------------------ */

static void lane_put(struct lane *lane, struct rte_mbuf *m, uint64_t due_ns)
{
    rill_frame(m)->ingress_ns = due_ns;
    rill_frame(m)->link = NULL;
    if (lane->tail != NULL)
        rill_frame(lane->tail)->link = m;
    else
        lane->head = m;
    lane->tail = m;
}

static uint64_t lane_due_ns(const struct lane *lane)
{
    return lane->head != NULL ? rill_frame(lane->head)->ingress_ns : UINT64_MAX;
}

/* NULL: nothing is due by then. */
static struct rte_mbuf *lane_take(struct lane *lane, uint64_t now_ns)
{
    struct rte_mbuf *m = lane->head;

    if (lane_due_ns(lane) > now_ns || m == NULL)
        return NULL;
    lane->head = rill_frame(m)->link;
    if (lane->head == NULL)
        lane->tail = NULL;
    return m;
}

static void lane_clear(struct lane *lane)
{
    struct rte_mbuf *m;

    while ((m = lane_take(lane, UINT64_MAX)) != NULL)
        rte_pktmbuf_free(m);
}

/* --- entries ---------------------------------------------------------------------------------- */

static void unlink_entry(struct model *s, struct entry *e)
{
    if (e->older != NULL)
        e->older->newer = e->newer;
    else
        s->oldest = e->newer;
    if (e->newer != NULL)
        e->newer->older = e->older;
    else
        s->newest = e->older;
}

static void link_newest(struct model *s, struct entry *e)
{
    e->older = s->newest;
    e->newer = NULL;
    if (s->newest != NULL)
        s->newest->newer = e;
    else
        s->oldest = e;
    s->newest = e;
}

static void remove_entry(struct model *s, struct entry *e)
{
    unlink_entry(s, e);
    rill_flow_map_remove(&s->flows, &e->node);
    rill_slab_put(&s->slab, e);
}

static void expire(struct model *s, uint64_t now_ns)
{
    while (s->oldest != NULL && s->oldest->put_ns + s->config.keep_ns <= now_ns) {
        remove_entry(s, s->oldest);
        s->store.n.entries_expired++;
    }
}

static struct entry *find(const struct model *s, uint64_t flow)
{
    return (struct entry *)rill_flow_map_find(&s->flows, flow, 0);
}

/* The flow's, made if need be; NULL: no memory. */
static struct entry *get_entry(struct model *s, uint64_t flow)
{
    struct entry *e = find(s, flow);

    if (e != NULL) {
        unlink_entry(s, e);
        link_newest(s, e);
        return e;
    }
    e = rill_slab_get(&s->slab);
    if (e == NULL && s->oldest != NULL) {
        remove_entry(s, s->oldest);
        s->store.n.entries_evicted++;
        e = rill_slab_get(&s->slab);
    }
    if (e == NULL)
        return NULL;
    e->node.flow = flow;
    rill_flow_map_insert(&s->flows, &e->node);
    link_newest(s, e);
    return e;
}

/* --- requests --------------------------------------------------------------------------------- */

static bool is_older(const struct rill_frame *f, const struct entry *e)
{
    if (f->granted_term != e->granted_term)
        return f->granted_term < e->granted_term;
    return f->term != e->term ? f->term < e->term : f->step < e->step;
}

/* False: something newer is there, or it could not be kept. */
static bool put(struct model *s, struct rte_mbuf *m, uint64_t now_ns)
{
    const struct rill_frame *f = rill_frame(m);
    struct entry *e = find(s, f->flow);

    s->store.n.puts++;
    if (rte_pktmbuf_pkt_len(m) != s->config.state_bytes) {
        s->store.n.errors++;
        return false;
    }
    if (e != NULL && is_older(f, e)) {
        s->store.n.puts_refused++;
        return false;
    }
    e = get_entry(s, f->flow);
    if (e == NULL || rill_body_read(m, 0, e->state, s->config.state_bytes) != 0) {
        s->store.n.errors++;
        return false;
    }
    e->put_ns = now_ns;
    e->granted_term = f->granted_term;
    e->term = f->term;
    e->step = f->step;
    e->clock = f->clock;
    e->window = f->window;
    return true;
}

/* Fills the answer with what is there. False: no buffer. */
static bool get(struct model *s, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m);
    const struct entry *e = find(s, f->flow);

    s->store.n.gets++;
    if (e == NULL) {
        s->store.n.gets_empty++;
        return true;
    }
    if (rill_body_append(m, s->config.pool, e->state, s->config.state_bytes) != 0) {
        s->store.n.messages_no_mbuf++;
        return false;
    }
    f->flags |= RILL_FLAG_STATE;
    f->granted_term = e->granted_term;
    f->term = e->term;
    f->step = e->step;
    f->clock = e->clock;
    f->window = e->window;
    return true;
}

static void cut_body(struct rte_mbuf *m)
{
    rte_pktmbuf_free(m->next);
    m->next = NULL;
    m->nb_segs = 1;
    m->data_len = 0;
    m->pkt_len = 0;
}

/* Makes the request its own answer. False: there is none. */
static bool serve(struct model *s, struct rte_mbuf *m, uint64_t now_ns)
{
    struct rill_frame *f = rill_frame(m);
    uint32_t asker = f->src;

    f->src = f->dst;
    f->dst = asker;
    f->flags = 0;
    if (f->type == RILL_FRAME_STORE_GET) {
        f->type = RILL_FRAME_STORE_VALUE;
        return get(s, m);
    }
    if (!put(s, m, now_ns))
        f->flags |= RILL_FLAG_REFUSED;
    f->type = RILL_FRAME_STORE_ACK;
    cut_body(m);
    return true;
}

static void model_tick(struct rill_store *store, uint64_t now_ns, struct rill_outbox *out)
{
    struct model *s = model_of(store);
    struct rte_mbuf *m;

    expire(s, now_ns);
    while ((m = lane_take(&s->requests, now_ns)) != NULL) {
        uint64_t done_ns = rill_frame(m)->ingress_ns;

        if (serve(s, m, now_ns))
            lane_put(&s->answers, m, done_ns + s->config.delay_ns - s->config.delay_ns / 2);
        else
            rte_pktmbuf_free(m);
    }
    while ((m = lane_take(&s->answers, now_ns)) != NULL) {
        rill_frame(m)->ingress_ns = 0;
        rill_outbox_put(out, m);
    }
}

static void model_recv(struct rill_store *store, struct rte_mbuf **frames, uint32_t n,
                       uint64_t now_ns, struct rill_outbox *out)
{
    struct model *s = model_of(store);

    for (uint32_t i = 0; i < n; i++) {
        uint8_t type = rill_frame(frames[i])->type;

        if (type == RILL_FRAME_STORE_PUT || type == RILL_FRAME_STORE_GET) {
            lane_put(&s->requests, frames[i], now_ns + s->config.delay_ns / 2);
            continue;
        }
        s->store.n.messages_unknown++;
        rte_pktmbuf_free(frames[i]);
    }
    model_tick(store, now_ns, out);
}

static uint64_t model_next_ns(struct rill_store *store)
{
    const struct model *s = model_of(store);

    return RTE_MIN(lane_due_ns(&s->requests), lane_due_ns(&s->answers));
}

/* --- life ------------------------------------------------------------------------------------- */

static void model_destroy(struct rill_store *store)
{
    struct model *s = model_of(store);

    lane_clear(&s->requests);
    lane_clear(&s->answers);
    rill_flow_map_fini(&s->flows);
    rill_slab_fini(&s->slab);
    free(s);
}

void rill_store_model_restart(struct rill_store *store)
{
    struct model *s = model_of(store);

    lane_clear(&s->requests);
    lane_clear(&s->answers);
    while (s->oldest != NULL)
        remove_entry(s, s->oldest);
}

uint32_t rill_store_model_flows(const struct rill_store *store)
{
    return ((const struct model *)store)->flows.count;
}

struct rill_store *rill_store_model_create(const struct rill_store_model_config *config,
                                           struct rill_error *err)
{
    static const struct rill_store_ops ops = {
        .recv = model_recv, .tick = model_tick, .next_ns = model_next_ns, .destroy = model_destroy};
    struct model *s = calloc(1, sizeof(*s));

    if (s != NULL) {
        s->store.ops = &ops;
        s->config = *config;
        if (rill_flow_map_init(&s->flows, config->flows_max) == 0 &&
            rill_slab_init(&s->slab, sizeof(struct entry) + config->state_bytes,
                           config->flows_max) == 0)
            return &s->store;
        model_destroy(&s->store);
    }
    rill_error_set(err, -ENOMEM, "no memory for a store of %u flows: lower flows_max",
                   config->flows_max);
    return NULL;
}
