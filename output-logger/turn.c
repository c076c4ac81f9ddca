/* Packets that the NF turned round (RILL_TURN): released like any other, they do not leave but come
 * in again from there, at the controller whose they are then. */
#include <rte_ether.h>

#include "lib/packet/split.h"
#include "output-logger/internal.h"

/* As somebody outside would send it back: to whom it came from. */
static void swap_ethernet(struct rte_mbuf *m)
{
    struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
    struct rte_ether_addr to;

    if (rte_pktmbuf_data_len(m) < sizeof(*ether))
        return;
    to = ether->dst_addr;
    ether->dst_addr = ether->src_addr;
    ether->src_addr = to;
}

/* The slot of the controller that the packet goes to. The ports of a later fragment are those that
 * its first has now; its unit says so. */
static uint32_t slot_of(const struct rill_ol *ol, struct rte_mbuf *m)
{
    const struct rill_frame *f = rill_frame(m);
    struct rill_view view;

    if (ol->config.split == NULL)
        return rill_number_slot(f->flow);
    if (rill_parse(m, f->wire_bytes, &view) != RILL_PARSE_OK)
        return 0;
    if (view.flags & RILL_VIEW_LATER_FRAGMENT) {
        view.source.port = f->first_sport;
        view.destination.port = f->first_dport;
    }
    return rill_split_slot_of(ol->config.split, &view, (enum rill_side)f->side);
}

void turn_packet(struct rill_ol *ol, struct rte_mbuf *m)
{
    struct rill_frame *f = rill_frame(m), was;
    uint32_t slot = slot_of(ol, m);

    ol->n.packets_turned++;
    if (ol->config.turning != NULL)
        ol->config.turning(ol->config.turning_arg, ol, m);
    was = *f;
    swap_ethernet(m);
    rill_frame_reset(f);
    f->type = RILL_FRAME_TURNED;
    f->flags = RILL_FLAG_PACKET;
    f->side = was.side;
    f->src = ol->config.id;
    f->dst = ol->controllers.slot[slot].id;
    f->epoch = ol->controllers.slot[slot].epoch;
    f->vni = ol->config.vni;
    f->clock = ++ol->turned[slot];
    f->wire_bytes = was.wire_bytes;
    f->ingress_ns = was.ingress_ns;
    f->ingress_id = was.ingress_id;
    rill_outbox_put(ol->out, m);
}
