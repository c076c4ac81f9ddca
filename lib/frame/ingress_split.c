#include "lib/frame/ingress_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/epoch.h"
#include "lib/frame/frame.h"
#include "lib/packet/fragment_hold.h"

enum { BIN = 32 };

struct rill_ingress_split {
    struct rill_ingress_split_config config;
    struct rill_split *split;
    struct rill_fragment_hold early; /* fragments that may be any controller's */
    struct {
        struct rte_mbuf *packets[BIN];
        uint32_t count;
    } bins[RILL_SLOTS_MAX]; /* of one burst; empty in between */
};

struct rill_ingress_split *rill_ingress_split_create(const struct rill_ingress_split_config *config,
                                                     struct rill_error *err)
{
    struct rill_ingress_split *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        rill_error_set(err, -ENOMEM, "no memory to split packets over controllers");
        return NULL;
    }
    s->config = *config;
    s->split = rill_split_create(&config->split, err);
    if (s->split == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

void rill_ingress_split_destroy(struct rill_ingress_split *s)
{
    if (s == NULL)
        return;
    rill_fragment_hold_fini(&s->early);
    rill_split_destroy(s->split);
    free(s);
}

static uint32_t slot_of(struct rill_ingress_split *s, struct rte_mbuf *m, uint64_t now_ns,
                        enum rill_split_kind *kind)
{
    const struct rill_frame *f = rill_frame(m);

    return rill_split_slot(s->split, m, f->wire_bytes, (enum rill_side)f->side, now_ns, kind);
}

uint32_t rill_ingress_split_slot(struct rill_ingress_split *s, struct rte_mbuf *m, uint64_t now_ns)
{
    enum rill_split_kind kind;

    return slot_of(s, m, now_ns, &kind);
}

const struct rill_split *rill_ingress_split_of(const struct rill_ingress_split *s)
{
    return s->split;
}

static void empty_bin(struct rill_ingress_split *s, uint32_t slot, uint64_t now_ns)
{
    if (s->bins[slot].count > 0)
        s->config.give(s->config.arg, slot, s->bins[slot].packets, s->bins[slot].count, now_ns);
    s->bins[slot].count = 0;
}

static void put(struct rill_ingress_split *s, uint32_t slot, struct rte_mbuf *m, uint64_t now_ns)
{
    s->bins[slot].packets[s->bins[slot].count++] = m;
    if (s->bins[slot].count == BIN)
        empty_bin(s, slot, now_ns);
}

/* A first fragment has come: which of those that wait were waiting for it? */
static void put_early(struct rill_ingress_split *s, uint64_t now_ns)
{
    for (uint32_t i = 0; i < s->early.count;) {
        enum rill_split_kind kind;
        uint32_t slot = slot_of(s, s->early.held[i].m, now_ns, &kind);

        if (kind == RILL_SPLIT_EARLY)
            i++;
        else
            put(s, slot, rill_fragment_hold_take(&s->early, i), now_ns);
    }
}

static void sort(struct rill_ingress_split *s, struct rte_mbuf *m, uint64_t now_ns)
{
    enum rill_split_kind kind;
    uint32_t slot = slot_of(s, m, now_ns, &kind);

    if (kind == RILL_SPLIT_EARLY) {
        m = rill_fragment_hold_put(&s->early, m, now_ns);
        if (m == NULL)
            return;
        slot = slot_of(s, m, now_ns, &kind); /* the oldest had to make room */
    }
    put(s, slot, m, now_ns);
    if (kind == RILL_SPLIT_FIRST)
        put_early(s, now_ns);
}

void rill_ingress_split_take(struct rill_ingress_split *s, struct rte_mbuf **packets, uint32_t n,
                             uint64_t now_ns)
{
    for (uint32_t i = 0; i < n; i++)
        sort(s, packets[i], now_ns);
    for (uint32_t slot = 0; slot < s->config.split.controllers; slot++)
        empty_bin(s, slot, now_ns);
}

bool rill_ingress_split_tick(struct rill_ingress_split *s, uint64_t now_ns)
{
    bool any = false;

    while (rill_fragment_hold_due_ns(&s->early) <= now_ns) {
        struct rte_mbuf *m = rill_fragment_hold_take(&s->early, 0);

        s->config.give(s->config.arg, rill_ingress_split_slot(s, m, now_ns), &m, 1, now_ns);
        any = true;
    }
    return any;
}

uint64_t rill_ingress_split_next_ns(const struct rill_ingress_split *s)
{
    return rill_fragment_hold_due_ns(&s->early);
}

uint32_t rill_ingress_split_held(const struct rill_ingress_split *s)
{
    return s->early.count;
}
